/* SPDX-License-Identifier: MIT */
/*
 * Frames of a connection where they lie, in a buffer of the shard's or in the stash: found, checked,
 * and given to the owner.
 */
#include "conn/guess.h"
#include "conn/parts.h"

enum {
    CONN_ALIKE_PER_FRAME = 4, // Of a stream: each is as much work as a part of another frame.
};

/* `from`: the bytes that the frame begins with. */
static void conn_fail_frame(struct cmdi_conn *conn, int64_t code, const struct cmdi_frame *frame,
        struct cmds_bytes from)
{
    const char *guess = conn->run_size == 0 ? cmdi_guess_peer(from, conn->secured != NULL) : "";
    CMDI_COUNT(conn->counters, proto_errors, 1);
    if (code == CMDS_E_LIMIT) {
        cmdi_conn_refuse(conn, CMDS_E_LIMIT,
                "a frame (sequence %llu, type %llu) is larger than %u bytes (frame_size_max)%s",
                (unsigned long long)frame->sequence, (unsigned long long)frame->type,
                conn->limits->frame_size_max, guess);
    } else {
        cmdi_conn_refuse(conn, (int)code, "a frame header that is no header%s", guess);
    }
}

/*
 * What the codec looks for the end of: `used` bytes it needs, or has taken. Returns: the frame goes on
 * behind what is there, or the connection failed.
 */
static bool conn_is_cut(struct cmdi_conn *conn, const struct cmdi_frame *frame, int64_t used,
        bool too_large, struct cmds_bytes from)
{
    if (used <= (int64_t)frame->body_size) {
        return false;
    }
    if (too_large || used > (int64_t)conn->limits->frame_size_max) {
        conn_fail_frame(conn, CMDS_E_LIMIT, frame, from);
        return true;
    }
    conn->more->frame_need = frame->header_size + (size_t)used;
    if (conn->more->place == NULL && !cmdi_conn_open_place(conn)) {
        CMDI_COUNT(conn->counters, out_of_memory, 1);
        cmdi_conn_fail(conn, CMDS_E_MEMORY_LIMIT, "no memory for a frame that is cut");
    }
    return true;
}

/* A frame whose end the codec finds. Returns: as ops->on_frame, or CMDI_CONN_LATER if it is cut. */
static int64_t conn_run_open_ended(
        struct cmdi_conn *conn, struct cmdi_frame *frame, struct cmds_bytes from)
{
    bool too_large = frame->body_size > conn->limits->frame_size_max;
    frame->body_size = too_large ? conn->limits->frame_size_max : frame->body_size;
    frame->place = conn->more->place;
    int64_t used = conn->ops->on_frame(conn, frame);
    CMDI_ASSERT(used != CMDI_CONN_LATER || conn->paused);
    if (used == CMDI_CONN_LATER || conn_is_cut(conn, frame, used, too_large, from)) {
        return CMDI_CONN_LATER;
    }
    if (CMDI_UNLIKELY(conn->more->place != NULL)) {
        cmdi_conn_drop_place(conn);
    }
    return used;
}

/* It is not whole, and frame_need says what it takes; or it is no frame, and the connection failed. */
static void conn_no_frame(struct cmdi_conn *conn, int64_t code, const struct cmdi_frame *frame,
        size_t missing, struct cmds_bytes from)
{
    if (code < 0) {
        conn_fail_frame(conn, code, frame, from);
    } else {
        conn->more->frame_need = from.size + missing;
    }
}

/* The owner has not run it: it will later, or it never will. Returns: 0. */
static size_t conn_not_run(struct cmdi_conn *conn, int64_t code, struct cmdi_conn_run *run)
{
    if (code != CMDI_CONN_LATER) {
        run->frames--;
        // Unless the owner said it better.
        cmdi_conn_refuse(conn, (int)code, "%s", cmds_error_text((int)code));
    }
    return 0;
}

/*
 * One frame at `data`. Returns: its size; 0: it is not whole, and frame_need says what it takes, or the
 * connection failed.
 */
static inline size_t conn_run_frame(struct cmdi_conn *conn, struct cmdi_frame *frame,
        const uint8_t *data, size_t size, struct cmdi_conn_run *run)
{
    const struct cmdi_conn_limits *limits = conn->limits;
    size_t missing = 0;
    CMDI_ASSERT_SLOW(frame->place == NULL);
    int64_t whole = cmdi_frame_decode(
            frame, data, size, limits->frame_size_max, limits->self_delimiting, &missing);
    if (CMDI_UNLIKELY(whole <= 0)) {
        conn_no_frame(conn, whole, frame, missing, (struct cmds_bytes){data, size});
        return 0;
    }
    int64_t used = 0;
    if (CMDI_UNLIKELY(frame->sequence == 0)) {
        used = conn->ops->on_ping(conn);
    } else if (CMDI_UNLIKELY(limits->self_delimiting)) {
        used = conn_run_open_ended(conn, frame, (struct cmds_bytes){data, size});
        whole += used;
        frame->place = NULL;
    } else {
        used = conn->ops->on_frame(conn, frame);
    }
    if (CMDI_UNLIKELY(used < 0)) {
        return conn_not_run(conn, used, run);
    }
    run->frames--;
    return (size_t)whole;
}

/*
 * Frames of a stream: those with the header of `frame`, which lies before `from`. Each is a part of the work that a
 * command is, and so much of the budget. `begin_max`: so far from there the last one begins at most. Returns: their
 * size.
 */
static __attribute__((noinline)) size_t conn_run_alike(struct cmdi_conn *conn,
        struct cmdi_frame *frame, struct cmds_bytes from, size_t begin_max,
        struct cmdi_conn_run *run)
{
    const uint8_t *data = from.data;
    struct cmdi_frame_head head;
    size_t at = 0;
    int64_t used = 0;
    CMDI_ASSERT(run->frames > 0 && run->alike < CONN_ALIKE_PER_FRAME);
    uint32_t left = run->frames * CONN_ALIKE_PER_FRAME - run->alike;
    const uint32_t most = left;
    if (cmdi_frame_head(&head, frame) && from.size >= head.whole) {
        const size_t last = from.size - head.whole < begin_max ? from.size - head.whole : begin_max;
        while (at <= last && left > 0 && conn->alike && !conn->paused && !conn->spent &&
                conn->state == CMDI_CONN_OPEN && cmdi_frame_has_head(&head, data + at)) {
            frame->body = data + at + frame->header_size;
            used = conn->ops->on_frame(conn, frame);
            if (CMDI_UNLIKELY(used < 0)) {
                break;
            }
            at += head.whole;
            left--;
        }
    }
    conn->alike = false;
    run->alike += most - left;
    run->frames -= run->alike / CONN_ALIKE_PER_FRAME;
    run->alike %= CONN_ALIKE_PER_FRAME;
    return at + (used < 0 ? conn_not_run(conn, used, run) : 0);
}

/* The server's first words. Returns: their size; 0: not whole, or the connection failed. */
static size_t conn_run_server_info(struct cmdi_conn *conn, const uint8_t *data, size_t size)
{
    struct cmds_bytes info = {0};
    int used = cmdi_server_info_decode(data, size, &info);
    if (used == 0) {
        conn->more->frame_need = size + 1;
        return 0;
    }
    int code = used < 0 ? used : conn->ops->on_server_info(conn, info);
    if (code < 0) {
        CMDI_COUNT(conn->counters, proto_errors, used < 0);
        cmdi_conn_fail(conn, code, "ServerInfo: %s%s", cmds_error_text(code),
                cmdi_guess_peer((struct cmds_bytes){data, size}, conn->secured != NULL));
        return 0;
    }
    if (conn->state == CMDI_CONN_SERVER_INFO) {
        cmdi_conn_move(conn, CMDI_CONN_OPEN);
        conn->more->server_info_until = 0;
        cmdi_shard_flush(conn->shard, &conn->more->flush); // What was collected until now.
    }
    return (size_t)used;
}

size_t cmdi_conn_run_bytes(
        struct cmdi_conn *conn, const uint8_t *data, size_t size, struct cmdi_conn_run *run)
{
    const size_t end = size < run->bytes ? size : run->bytes; // The last frame begins before it.
    struct cmdi_frame frame; // What else is valid of it is written by what finds it.
    size_t at = 0;
    frame.place = NULL;
    conn->alike = false;
    conn->more->frame_need = 0; // Known only of a frame that ends the loop.
    while (at < end && run->frames > 0 && !conn->paused && !conn->spent) {
        size_t used = 0;
        if (CMDI_LIKELY(conn->state == CMDI_CONN_OPEN)) {
            used = conn_run_frame(conn, &frame, data + at, size - at, run);
        } else if (conn->state == CMDI_CONN_SERVER_INFO) {
            used = conn_run_server_info(conn, data + at, size - at);
        }
        if (CMDI_UNLIKELY(used == 0)) {
            break;
        }
        at += used;
        if (CMDI_UNLIKELY(conn->alike) && at < end && run->frames > 0) {
            const struct cmds_bytes from = {data + at, size - at};
            at += conn_run_alike(conn, &frame, from, end - 1 - at, run);
        }
    }
    run->progress = run->progress || at > 0;
    run->bytes -= at < run->bytes ? at : run->bytes;
    conn->run_size += at;
    return at;
}

/* SPDX-License-Identifier: MIT */
/*
 * Input of a connection: from the shard's receive buffers to frames (frames.c).
 *
 * Receiving and running are two steps. What is received is only queued, as slices; the run takes
 * frames out of them, at most a budget of them a turn, so that nobody's flood delays the others. A
 * frame that lies whole in a slice is never copied.
 *
 * A paused connection keeps no slice: its bytes go to the stash and its recv is ended, so its
 * standstill costs the others no buffer. Nothing here is freed while the owner's callback may look
 * at it: teardown waits for the end of the run.
 */
#include <errno.h>
#include <string.h>

#include "conn/parts.h"
#include "conn/secure.h"

enum {
    CONN_BYTES_PER_UNIT = 4096,                        // Of input: take about as long as a frame.
    CONN_HEAVY_FRAMES = CMDI_SHARD_FRAMES_PER_RUN / 2, // In one run: much...
    CONN_HEAVY_OUTPUT = CMDI_SHARD_OUTPUT_PER_RUN / 4, // ... as this is.
    CONN_LIGHT_RUNS = 8, // After so many that were not it is believed to ask for little.
    CONN_FEW_BYTES = 1024,
    CONN_SHARE_PART = 8, // Of the shard's buffers, what a connection may hold and receive on...
    CONN_STASH_PART = 4, // ... and what it may hold at all.
};

static void conn_fail_memory(struct cmdi_conn *conn, size_t size)
{
    CMDI_COUNT(conn->counters, out_of_memory, 1);
    cmdi_conn_fail(conn, CMDS_E_MEMORY_LIMIT, "no memory for %zu bytes of input", size);
}

/* A part of the slices went to the stash, or not: without hope of memory the connection ends. */
static void conn_check_stashed(struct cmdi_conn *conn, int code)
{
    if (code == -ENOMEM) {
        size_t size = conn->more->stash.end - conn->more->stash.begin;
        if (conn->slices.count > 0) {
            size += cmdi_receive_oldest(&conn->shard->receive, &conn->slices).size;
        }
        conn_fail_memory(conn, size);
    }
}

/* --- Records of a security layer, and what is there ------------------------------------------- */

/* The peer's layer has said that nothing more comes: as its FIN, which follows or does not. */
static void conn_on_notified(struct cmdi_conn *conn)
{
    conn->secured->closed = true;
    cmdi_receive_drop(&conn->shard->receive, &conn->slices);
    cmdi_conn_drop_raw(conn);
    cmdi_conn_peer_finished(conn);
    cmdi_conn_stop_input(conn);
}

/* What the session answers has no other bound: a peer may ask for ever, and take nothing. */
static bool conn_check_answers(struct cmdi_conn *conn)
{
    size_t size = conn->secured->wire.end;
    if (size <= CMDI_SECURE_ANSWERS_MAX) {
        return true;
    }
    CMDI_COUNT(conn->counters, slow_consumers, 1);
    cmdi_conn_fail(conn, CMDS_E_SLOW_PEER,
            "the peer asks for answers of the TLS layer and takes none: %zu bytes wait", size);
    return false;
}

/* The next record goes to the stash. Returns: there was one with data. */
static bool conn_open_record(struct cmdi_conn *conn, struct cmdi_conn_run *run)
{
    struct cmds_error error = CMDS_ERROR_INIT;
    int lack = 0;
    if (!conn_check_answers(conn)) {
        return false;
    }
    enum cmdi_security_result result = cmdi_secure_open(conn, &lack, &error);
    conn_check_stashed(conn, lack);
    switch (result) {
    case CMDI_SECURITY_DATA:
        return true;
    case CMDI_SECURITY_CUT:
        run->partial = true;
        break;
    case CMDI_SECURITY_SPENT:
        run->bytes = 0; // The rest in another turn.
        break;
    case CMDI_SECURITY_CLOSED:
        conn_on_notified(conn);
        break;
    case CMDI_SECURITY_FAILED:
        CMDI_COUNT(conn->counters, proto_errors, error.code == CMDS_E_TLS_RECORD);
        cmdi_conn_fail_secured(conn, &error);
        break;
    default:
        run->partial = lack == 0 && conn->more->stash.begin < conn->more->stash.end;
        break;
    }
    return false;
}

/* More of a frame that is cut. Opening costs more than running: it takes of the budget. */
static void conn_open_more(struct cmdi_conn *conn, struct cmdi_conn_run *run)
{
    uint64_t before = conn->secured->opened_size;
    (void)conn_open_record(conn, run);
    uint64_t opened = conn->secured->opened_size - before;
    run->bytes -= opened < run->bytes ? opened : run->bytes;
}

/*
 * A frame that is cut is examined again when what it lacks has come, not for every byte that
 * comes: where the codec finds the end, looking costs as much as the frame is large.
 */
static void conn_run_stash(struct cmdi_conn *conn, struct cmdi_conn_run *run)
{
    struct cmdi_conn_buffer *stash = &conn->more->stash;
    size_t size = stash->end - stash->begin;
    if (size < conn->more->frame_need) {
        run->partial = conn->slices.count == 0 && !cmdi_secure_has_raw(conn);
        if (!run->partial && conn->secured != NULL) {
            conn_open_more(conn, run);
        } else if (!run->partial) {
            conn_check_stashed(conn, cmdi_conn_stash_slice(conn, conn->more->frame_need - size));
        }
        return;
    }
    conn->more->arrived_ns = conn->more->stash_ns;
    stash->begin += cmdi_conn_run_bytes(conn, stash->data + stash->begin, size, run);
    if (stash->begin == stash->end) {
        cmdi_conn_drop_stash(conn);
        if (conn->secured != NULL) {
            cmdi_secure_settle(conn);
        }
    }
}

static void conn_run_slice(struct cmdi_conn *conn, struct cmdi_conn_run *run)
{
    struct cmdi_receive *receive = &conn->shard->receive;
    struct cmds_bytes slice = cmdi_receive_oldest(receive, &conn->slices);
    conn->more->arrived_ns = cmdi_receive_arrived_ns(receive, &conn->slices);
    size_t used = cmdi_conn_run_bytes(conn, slice.data, slice.size, run);
    if (!cmdi_receive_use(receive, &conn->slices, used) && conn->more->frame_need > 0) {
        // The next one continues where this one was cut.
        conn_check_stashed(conn, cmdi_conn_stash_slice(conn, SIZE_MAX));
    }
}

static bool conn_may_run(const struct cmdi_conn *conn)
{
    return (conn->state == CMDI_CONN_OPEN || conn->state == CMDI_CONN_SERVER_INFO) &&
           !conn->paused && !conn->lacks_input && !cmdi_secure_seal_failed(conn);
}

static void conn_begin_piece(const struct cmdi_conn *conn, struct cmdi_conn_run *run)
{
    uint32_t most = conn->shard->work_left;
    run->piece = run->more < most ? run->more : most;
    run->frames = run->piece;
    run->more -= run->piece;
}

/* The next piece of the budget. Returns: there is none, or others wait for too long. */
static bool conn_run_is_over(struct cmdi_conn *conn, struct cmdi_conn_run *run)
{
    if (CMDI_LIKELY(run->frames > 0)) {
        return false;
    }
    cmdi_shard_worked(conn->shard, run->piece);
    run->piece = 0;
    if (run->more == 0 || conn->shard->step_over) {
        return true;
    }
    conn_begin_piece(conn, run);
    return false;
}

/*
 * Frames within the budget; `used`: of it, at least CONN_HEAVY_FRAMES if that was much. Returns:
 * there is more to run now.
 */
static bool conn_run_frames(struct cmdi_conn *conn, uint32_t *used)
{
    struct cmdi_conn_run run = {
            .more = conn->shard->frames_per_run, .bytes = CMDI_SHARD_BYTES_PER_RUN};
    conn_begin_piece(conn, &run);
    while (cmdi_conn_has_received(conn) && conn_may_run(conn) && !run.partial && run.bytes > 0 &&
            !conn->spent && !conn_run_is_over(conn, &run)) {
        if (conn->more->stash.begin < conn->more->stash.end) {
            conn_run_stash(conn, &run);
        } else if (CMDI_LIKELY(conn->secured == NULL)) {
            conn_run_slice(conn, &run);
        } else {
            (void)conn_open_record(conn, &run);
        }
    }
    size_t bytes = CMDI_SHARD_BYTES_PER_RUN - run.bytes;
    cmdi_shard_worked(
            conn->shard, run.piece - run.frames + (uint32_t)(bytes / CONN_BYTES_PER_UNIT));
    *used = conn->shard->frames_per_run - run.more - run.frames;
    *used += bytes >= CMDI_SHARD_BYTES_PER_RUN / 2 ? CONN_HEAVY_FRAMES : 0;
    run.partial = run.partial || (cmdi_secure_is_cut(conn) && conn_may_run(conn));
    bool more = cmdi_conn_has_received(conn) && !run.partial;
    conn->unrun = conn->unrun && more;
    if (!run.partial) {
        conn->more->frame_since = 0;
    } else if (run.progress || conn->more->frame_since == 0) {
        conn->more->frame_since = conn->shard->now_ms + (conn->shard->now_ms == 0);
        cmdi_conn_timer_after(conn, conn->more->frame_since, conn->limits->frame_timeout_ms);
    }
    return more && conn_may_run(conn);
}

/* The input has ended before the connection was open. */
static void conn_fail_early(struct cmdi_conn *conn)
{
    if (!cmdi_conn_peer_has_ended(conn)) {
        cmdi_conn_fail(conn, CMDS_E_DRAINING, "the server is shutting down");
    } else if (conn->state == CMDI_CONN_SECURING) {
        cmdi_conn_fail(conn, CMDS_E_EOF, "the peer closed the connection in the TLS handshake");
    } else {
        cmdi_conn_fail(
                conn, CMDS_E_EOF, "the peer closed the connection before its ServerInfo was whole");
    }
}

/* Somebody on the way can have cut it: whoever ends in order says so. */
static void conn_check_truncated(struct cmdi_conn *conn)
{
    const struct cmdi_secured *secured = conn->secured;
    if (secured != NULL && !secured->closed && conn->input == CMDI_INPUT_ENDED) {
        CMDI_COUNT(secured->counters, tls_truncated, 1);
        cmdi_conn_note(conn, CMDS_E_EOF, "the peer closed the connection without close_notify");
    }
}

/* The peer has finished, and what it sent has run. */
static void conn_run_eof(struct cmdi_conn *conn)
{
    if (CMDI_LIKELY(conn->input != CMDI_INPUT_ENDED && conn->input != CMDI_INPUT_STOPPED)) {
        return;
    }
    /* What has come is run first; but not at a bound, for a peer that has gone. */
    bool received = conn->slices.count > 0 || cmdi_secure_is_due(conn) || cmdi_secure_is_late(conn);
    bool waits = conn->paused ? conn->more->recv_error == 0 : received;
    if (waits || conn->end_told || conn->state >= CMDI_CONN_FINISHING) {
        return;
    }
    conn->end_told = true;
    if (conn->output == CMDI_OUTPUT_BROKEN) {
        // It was counted then; and recv may say 0, as the send has had the error.
        cmdi_conn_fail(conn, CMDS_E_EOF, "the peer has gone");
    } else if (conn->more->recv_error < 0) {
        cmdi_conn_count_reset(conn, conn->more->recv_error);
        cmdi_conn_fail(conn,
                conn->more->recv_error == -ECONNRESET ? CMDS_E_EOF : conn->more->recv_error,
                "recv: %s", strerror(-conn->more->recv_error));
    } else if (conn->state < CMDI_CONN_OPEN) {
        conn_fail_early(conn);
    } else {
        bool is_fin = cmdi_conn_peer_has_ended(conn);
        if (is_fin && conn->more->stash.begin < conn->more->stash.end && conn->error_code == 0) {
            CMDI_COUNT(conn->counters, proto_errors, 1);
            cmdi_conn_note(conn, CMDS_E_PROTO, "the peer closed the connection inside a frame");
        }
        conn_check_truncated(conn);
        conn->ops->on_eof(conn);
    }
}

/* --- The run ---------------------------------------------------------------------------------- */

/* What is not in slices any more. */
static size_t conn_stashed(const struct cmdi_conn *conn)
{
    size_t raw = conn->secured != NULL ? conn->secured->raw.end - conn->secured->raw.begin : 0;
    return conn->more->stash.end - conn->more->stash.begin + raw;
}

/* Of what it does not run it knows the first frame, which may be a ping. */
static void conn_open_paused(struct cmdi_conn *conn)
{
    struct cmdi_conn_run run = {0};
    while (cmdi_secure_has_raw(conn) && conn->state == CMDI_CONN_OPEN && !conn->secured->failed &&
            conn->more->stash.begin == conn->more->stash.end && conn_open_record(conn, &run)) {
    }
}

/*
 * After a run: what is received from now on follows what could be run. `more`: frames are there
 * that have not.
 */
static void conn_steer_recv(struct cmdi_conn *conn, bool more)
{
    bool stash_full = more && conn_stashed(conn) > CMDI_SHARD_BYTES_PER_RUN;
    bool raw_full = conn->state == CMDI_CONN_SECURING && conn_stashed(conn) > CMDI_SECURE_RAW_MAX;
    if (conn->lacks_input || raw_full) {
        cmdi_conn_stop_recv(conn);
    } else if (conn->paused) {
        cmdi_conn_stop_recv(conn);
        conn_check_stashed(conn, cmdi_conn_stash_all(conn));
        conn_open_paused(conn);
        /* A server judges by what is taken: a client that waits for its program shows that it lives. */
        if (cmdi_conn_is_client(conn) && cmdi_conn_is_long_deaf(conn)) {
            cmdi_conn_arm_recv(conn, false);
        }
    } else if (conn->input == CMDI_INPUT_IDLE &&
               ((conn->slices.count <= 1 && !stash_full) || cmdi_conn_is_long_deaf(conn))) {
        cmdi_conn_arm_recv(conn, false);
    }
}

/*
 * A connection that has used much of its budget comes behind all others in the next pass; one that has
 * used little, several times, before them.
 */
static void conn_set_level(struct cmdi_conn *conn, bool heavy)
{
    bool believed = conn->light_runs >= CONN_LIGHT_RUNS;
    conn->light_runs = heavy ? 0 : believed ? CONN_LIGHT_RUNS : (uint8_t)(conn->light_runs + 1);
    conn->ready.level = heavy ? CMDI_LEVEL_HEAVY : believed ? CMDI_LEVEL_LIGHT : CMDI_LEVEL_UNKNOWN;
}

static void conn_run_handshake(struct cmdi_conn *conn)
{
    int code = cmdi_conn_stash_all(conn);
    conn_check_stashed(conn, code);
    if (code == 0) {
        cmdi_handshake_run(conn);
        conn->unrun = cmdi_secure_is_due(conn);
    }
}

/*
 * It reads on. If it comes to its bound in this very run, as one that sends a stream does each time,
 * it has received in between what lies in the socket: else the stream would go on alone for ever.
 */
static void conn_read_on(struct cmdi_conn *conn)
{
    if (conn->input == CMDI_INPUT_IDLE && conn_may_run(conn) && !cmdi_conn_has_received(conn)) {
        cmdi_conn_arm_recv(conn, false);
    }
}

/*
 * One that rests has nothing that would be run or sent. If it was stopped, no memory is needed to end it, when
 * its receive has ended with nothing in it.
 */
static void conn_end_resting(struct cmdi_conn *conn, size_t size)
{
    if (conn->input == CMDI_INPUT_STOPPED) {
        cmdi_conn_fail(conn, CMDS_E_DRAINING, "the server is shutting down");
    } else if (conn->input != CMDI_INPUT_STOPPING) {
        conn_fail_memory(conn, size);
    }
}

void cmdi_conn_run(struct cmdi_shard *shard, struct cmdi_work *work)
{
    struct cmdi_conn *conn = CMDI_CONTAINER(work, struct cmdi_conn, ready);
    bool more_input = false;
    bool more = false;
    if (!cmdi_conn_wake(conn) && conn->state < CMDI_CONN_FINISHING) {
        conn_end_resting(conn, sizeof(*conn->more));
        return; // If it ends, it is ready again.
    }
    conn_read_on(conn);
    if (conn->state < CMDI_CONN_FINISHING) {
        uint32_t used = 0;
        conn->running = true;
        conn->spent = false;
        conn->more->made_size = 0;
        if (CMDI_UNLIKELY(conn->state == CMDI_CONN_SECURING)) {
            conn_run_handshake(conn);
        }
        more_input = conn_run_frames(conn, &used);
        more = more_input;
        if (conn->state == CMDI_CONN_OPEN && conn->ops->run != NULL) {
            more = conn->ops->run(conn, CMDI_SHARD_FRAMES_PER_RUN) || more;
        }
        conn_set_level(conn, more || used >= CONN_HEAVY_FRAMES ||
                                     conn->more->made_size + conn->fill.end >= CONN_HEAVY_OUTPUT);
        if (shard->flush_first && conn->fill.end > 0) {
            shard->flush_first = false;
            cmdi_conn_flush_now(conn);
        }
        if (!more) {
            conn_run_eof(conn);
        }
        conn->running = false;
        conn->spent = false;
    }
    if (conn->state >= CMDI_CONN_FINISHING) {
        cmdi_conn_drop_slices(conn);
        cmdi_conn_close_if_done(conn);
        return;
    }
    conn_steer_recv(conn, more_input);
    if (CMDI_UNLIKELY(!cmdi_conn_is_receiving(conn))) {
        cmdi_conn_watch_peer(conn);
    }
    if (more) {
        cmdi_conn_ready(conn);
    }
}

/* --- From the transport ----------------------------------------------------------------------- */

/* So many bytes were received, however. */
static void conn_count_received(struct cmdi_conn *conn, size_t size)
{
    CMDI_COUNT(conn->counters, recv_bytes, size);
    conn->shard->moved_size += size;
    conn->received_size += size;
}

/*
 * A few bytes hold a whole buffer until they are run, and hundreds of connections may wait for that
 * in the same instant: where buffers are scarce those few bytes are copied, so that whoever asks for
 * little does not wait for a buffer.
 */
static bool conn_is_wasteful(const struct cmdi_conn *conn, uint16_t buffer, uint32_t size)
{
    const struct cmdi_receive *receive = &conn->shard->receive;
    return size <= CONN_FEW_BYTES && !cmdi_receive_is_small(receive, buffer) &&
           cmdi_receive_is_scarce(receive);
}

/* Bytes in a buffer of the shard's: a slice more, if there is a frame to be read in it. */
static void conn_take_slice(struct cmdi_conn *conn, uint16_t buffer, uint32_t size)
{
    struct cmdi_receive *receive = &conn->shard->receive;
    cmdi_receive_push(receive, &conn->slices, buffer, size, conn->shard->now_ns);
    if (cmdi_receive_is_over(receive, &conn->slices, CONN_SHARE_PART)) {
        cmdi_conn_stop_recv(conn);
        if (cmdi_receive_is_over(receive, &conn->slices, CONN_STASH_PART)) {
            conn_check_stashed(conn, cmdi_conn_stash_all(conn));
        }
    }
    if (conn->slices.count > 0 && conn_is_wasteful(conn, buffer, size)) {
        conn_check_stashed(conn, cmdi_conn_stash_all(conn));
    }
}

/* Nobody will run what comes now. */
static bool conn_is_over(const struct cmdi_conn *conn)
{
    return conn->state >= CMDI_CONN_FINISHING || (conn->secured != NULL && conn->secured->closed);
}

void cmdi_conn_on_data(struct cmdi_conn *conn, uint16_t buffer, uint32_t size, bool more_waits)
{
    CMDI_ASSERT(cmdi_conn_is_receiving(conn) && size > 0);
    conn_count_received(conn, size);
    conn->slow = conn->slow && more_waits;
    if (conn_is_over(conn)) {
        cmdi_receive_give_back(&conn->shard->receive, buffer);
        return;
    }
    if (!cmdi_conn_wake(conn)) {
        cmdi_receive_give_back(&conn->shard->receive, buffer);
        conn_fail_memory(conn, size);
        return;
    }
    conn->received_at = conn->shard->now_ms;
    conn->unrun = true;
    conn_take_slice(conn, buffer, size);
    cmdi_conn_ready(conn);
}

void cmdi_conn_feed(struct cmdi_conn *conn, const void *data, size_t size)
{
    if (size == 0) {
        return;
    }
    conn_count_received(conn, size);
    if (conn_is_over(conn)) {
        return;
    }
    if (!cmdi_conn_wake(conn)) {
        conn_fail_memory(conn, size);
        return;
    }
    CMDI_ASSERT(conn->slices.count == 0); // One source of bytes only, or their order is lost.
    conn->received_at = conn->shard->now_ms;
    conn->unrun = true;
    if (cmdi_conn_stash_append(conn, data, size)) {
        conn->more->stash_ns = conn->shard->now_ns;
        cmdi_conn_ready(conn);
    } else {
        conn_fail_memory(conn, size);
    }
}

/* What the input is after a receive that ended with `code`. */
static enum cmdi_input_state conn_input_after(struct cmdi_conn *conn, int code)
{
    if (code != -ENOBUFS && code != -ECANCELED && code != -EINTR && code != -EAGAIN) {
        return CMDI_INPUT_ENDED;
    }
    if (conn->input == CMDI_INPUT_STOPPING) {
        return CMDI_INPUT_STOPPED;
    }
    bool starved = code == -ENOBUFS &&
                   !cmdi_receive_grow(&conn->shard->receive, conn->shard->counters.turns);
    return starved ? CMDI_INPUT_STARVED : CMDI_INPUT_IDLE; // The end of the next run arms it again.
}

static void conn_recv_ended(struct cmdi_conn *conn, int code)
{
    conn->more->deaf_since = conn->shard->now_ms;
    CMDI_COUNT(&conn->shard->counters, buffers_empty, code == -ENOBUFS);
    cmdi_conn_input_move(conn, conn_input_after(conn, code));
    if (conn->input == CMDI_INPUT_ENDED) {
        conn->more->recv_error = code;
        if (code == 0) {
            cmdi_conn_peer_finished(conn);
        }
    } else if (conn->input == CMDI_INPUT_STARVED) {
        conn->more->starve.level = conn->ready.level;
        cmdi_receive_wait(&conn->shard->receive, &conn->more->starve);
    }
}

void cmdi_conn_on_recv_end(struct cmdi_conn *conn, int code)
{
    CMDI_ASSERT(cmdi_conn_is_receiving(conn) && code <= 0);
    if (conn->state >= CMDI_CONN_CLOSING) {
        cmdi_conn_input_move(conn, CMDI_INPUT_ENDED);
        return;
    }
    if (!cmdi_conn_wake(conn)) {
        bool is_stopped = conn->input == CMDI_INPUT_STOPPING && code == -ECANCELED;
        cmdi_conn_input_move(conn, is_stopped ? CMDI_INPUT_STOPPED : CMDI_INPUT_ENDED);
        conn_end_resting(conn, sizeof(*conn->more));
        return;
    }
    conn_recv_ended(conn, code);
    conn->slow = conn->slow && code == -EAGAIN;
    if (conn->state == CMDI_CONN_LINGERING && conn->input == CMDI_INPUT_ENDED) {
        cmdi_conn_fail(conn, CMDS_E_CLOSED, "closed in order");
    } else if (conn->state == CMDI_CONN_LINGERING) {
        cmdi_conn_arm_recv(conn, false);
    }
    cmdi_conn_ready(conn);
}

void cmdi_conn_on_buffers(struct cmdi_shard *shard, struct cmdi_work *work)
{
    (void)shard;
    struct cmdi_conn *conn = CMDI_CONTAINER(work, struct cmdi_conn_more, starve)->conn;
    cmdi_conn_input_move(conn, CMDI_INPUT_IDLE);
    if (conn->state == CMDI_CONN_LINGERING) {
        cmdi_conn_arm_recv(conn, false);
    } else {
        cmdi_conn_ready(conn); // The end of the run arms it, if there is room.
    }
}

void cmdi_conn_on_watch(struct cmdi_conn *conn, int events)
{
    bool failed = events > 0 && (events & CMDI_PEER_FAILED) != 0;
    bool gone = events > 0 && (events & CMDI_PEER_GONE) != 0;
    CMDI_ASSERT(conn->watch == CMDI_WATCH_ARMED);
    conn->watch = CMDI_WATCH_OFF;
    if (conn->state >= CMDI_CONN_FINISHING) {
        return;
    }
    if (!cmdi_conn_wake(conn)) {
        conn_fail_memory(conn, sizeof(*conn->more));
        return;
    }
    /* A UNIX peer that has gone may have left commands behind, which we have not read yet. */
    bool unread = cmdi_conn_has_received(conn) ||
                  (conn->input != CMDI_INPUT_ENDED && conn->transport->unread != NULL &&
                          conn->transport->unread(conn) > 0);
    if (failed || (gone && !unread)) {
        cmdi_conn_count_reset(conn, failed ? -ECONNRESET : 0);
        cmdi_conn_fail(conn, CMDS_E_EOF, "the peer has gone");
        return;
    }
    if (events < 0 || gone) {
        conn->watch = CMDI_WATCH_OVER; // It would say so again and again.
    }
    if (events > 0) {
        cmdi_conn_peer_finished(conn);
    }
    cmdi_conn_ready(conn);
}

/* SPDX-License-Identifier: MIT */
/*
 * Input of a connection: from the shard's receive buffers to frames.
 *
 * Receiving and running are two steps. A completion only queues its buffer as a slice; the run
 * takes frames out of slices, at most a budget of them a turn, so that nobody's flood delays the
 * others. A frame that lies whole in a slice is never copied.
 *
 *     stash: [ begin ... end )   then the slices, oldest first      = the bytes of the connection in their order
 *
 * A paused connection keeps no slice: its bytes go to the stash and its recv is cancelled, so its
 * standstill costs the others no buffer. Nothing here is freed while the owner's callback may look
 * at it: teardown waits for the end of the run.
 */
#include "conn/input.h"

#include <errno.h>
#include <string.h>

enum {
    CONN_BYTES_PER_UNIT = 4096,                        // Of input: take about as long as a frame.
    CONN_HEAVY_FRAMES = CMDI_SHARD_FRAMES_PER_RUN / 2, // In one run: much...
    CONN_HEAVY_OUTPUT = CMDI_SHARD_OUTPUT_PER_RUN / 4, // ... as this is.
    CONN_LIGHT_RUNS = 8, // After so many that were not it is believed to ask for little.
    CONN_FEW_BYTES = 1024,
    CONN_SLOW_MS = 500, // From the end of a recv to the next, while what it brought was run.
    CONN_LONG_DEAF_MS = 2000,
    CONN_BEHIND_SIZE_MAX = 4 * 1024 * 1024, // That much and more waits to be run: no buffer more.
    CONN_FAST_MS = 5,                       // From the recv of one buffer to that of the next.
    CONN_SHARE_PART = 8, // Of the shard's buffers, what a connection may hold and receive on...
    CONN_STASH_PART = 4, // ... and what it may hold at all.
};

/* --- Slices ----------------------------------------------------------------------------------- */

static void conn_drop_stash(struct cmdi_conn *conn)
{
    cmdi_buffers_return(&conn->shard->buffers, conn->stash.data, conn->stash.capacity);
    conn->stash = (struct cmdi_conn_buffer){0};
}

void cmdi_conn_drop_slices(struct cmdi_conn *conn)
{
    if (conn->running) {
        return; // A callback may be reading them; the run comes back here.
    }
    cmdi_receive_drop(&conn->shard->receive, &conn->slices);
    conn_drop_stash(conn);
    cmdi_conn_drop_place(conn);
}

/* --- Stash ------------------------------------------------------------------------------------ */

/* Room for `size` more. It grows by what has come, never by what a length claims. */
static bool conn_stash_room(struct cmdi_conn *conn, size_t size)
{
    struct cmdi_conn_buffer *stash = &conn->stash;
    size_t used = stash->end - stash->begin;
    if (stash->end + size <= stash->capacity) {
        return true;
    }
    if (used + size <= stash->capacity && stash->begin >= used) {
        memcpy(stash->data, stash->data + stash->begin, used); // They do not overlap.
    } else {
        struct cmdi_conn_buffer grown = {0};
        grown.data = cmdi_buffers_lease(&conn->shard->buffers, used + size, &grown.capacity);
        if (grown.data == NULL) {
            return false;
        }
        if (used > 0) {
            memcpy(grown.data, stash->data + stash->begin, used);
        }
        conn_drop_stash(conn);
        *stash = grown;
    }
    stash->begin = 0;
    stash->end = used;
    return true;
}

static bool conn_stash_append(struct cmdi_conn *conn, const void *data, size_t size)
{
    if (!conn_stash_room(conn, size)) {
        return false;
    }
    memcpy(conn->stash.data + conn->stash.end, data, size);
    conn->stash.end += size;
    return true;
}

static void conn_fail_memory(struct cmdi_conn *conn, size_t size)
{
    CMDI_COUNT(conn->shard, out_of_memory, 1);
    cmdi_conn_fail(conn, CMDS_E_MEMORY_LIMIT, "no memory for %zu bytes of input", size);
}

/* Up to `size` bytes from the oldest slice go to the stash; not if the connection waits for memory. */
static bool conn_stash_slice(struct cmdi_conn *conn, size_t size)
{
    struct cmdi_receive *receive = &conn->shard->receive;
    struct cmds_bytes slice = cmdi_receive_oldest(receive, &conn->slices);
    size_t take = size < slice.size ? size : slice.size;
    if (!conn_stash_append(conn, slice.data, take)) {
        size_t size_after = conn->stash.end - conn->stash.begin + take;
        if (cmdi_conn_lack(conn, size_after, true) == -ENOMEM) {
            conn_fail_memory(conn, size_after);
        }
        return false;
    }
    (void)cmdi_receive_use(receive, &conn->slices, take);
    return true;
}

static void conn_stash_all(struct cmdi_conn *conn)
{
    while (conn->slices.count > 0 && conn_stash_slice(conn, SIZE_MAX)) {
        // One after the other, in order.
    }
}

/* --- Frames ----------------------------------------------------------------------------------- */

struct conn_run {
    uint32_t frames; // Left of the present piece: between two looks at the clock.
    uint32_t piece;  // Frames that it had.
    uint32_t more;   // Left of the budget behind it.
    size_t bytes;    // Left of the budget.
    bool partial;    // What is there is not a whole frame, and nothing more has come.
    bool progress;   // A frame was run.
};

static void conn_fail_frame(struct cmdi_conn *conn, int64_t code, const struct cmdi_frame *frame)
{
    CMDI_COUNT(conn->shard, proto_errors, 1);
    if (code == CMDS_E_LIMIT) {
        cmdi_conn_refuse(conn, CMDS_E_LIMIT,
                "a frame (sequence %llu, type %llu) is larger than %u bytes",
                (unsigned long long)frame->sequence, (unsigned long long)frame->type,
                conn->limits->frame_size_max);
    } else {
        cmdi_conn_refuse(conn, (int)code, "a frame header that is no header");
    }
}

/* The next looks at this frame go on where the last one ended. */
static void conn_open_place(struct cmdi_conn *conn)
{
    size_t capacity = 0;
    void *place = cmdi_buffers_lease(&conn->shard->buffers, sizeof(*conn->place), &capacity);
    CMDI_ASSERT(place == NULL || capacity == CMDI_BUFFER_SIZE_MIN);
    conn->place = place;
    if (place == NULL) {
        CMDI_COUNT(conn->shard, out_of_memory, 1);
        cmdi_conn_fail(conn, CMDS_E_MEMORY_LIMIT, "no memory for a frame that is cut");
        return;
    }
    *conn->place = (struct cmds_codec_place){.words = {0}};
}

void cmdi_conn_drop_place(struct cmdi_conn *conn)
{
    void *place = conn->place;
    cmdi_buffers_return(&conn->shard->buffers, place, CMDI_BUFFER_SIZE_MIN);
    conn->place = NULL;
}

/*
 * One frame at `data`. Returns: its size; 0: it is not whole, and frame_need says what it takes, or
 * the connection failed.
 */
static size_t conn_run_frame(
        struct cmdi_conn *conn, const uint8_t *data, size_t size, struct conn_run *run)
{
    struct cmdi_frame frame = {0};
    size_t missing = 0;
    int64_t whole = cmdi_frame_decode(&frame, data, size, conn->limits->frame_size_max,
            conn->limits->self_delimiting, &missing);
    if (CMDI_UNLIKELY(whole <= 0)) {
        if (whole < 0) {
            conn_fail_frame(conn, whole, &frame);
        } else {
            conn->frame_need = size + missing;
        }
        return 0;
    }
    int64_t used = 0;
    if (CMDI_UNLIKELY(frame.sequence == 0)) {
        used = conn->ops->on_ping(conn);
    } else {
        bool too_large =
                conn->limits->self_delimiting && frame.body_size > conn->limits->frame_size_max;
        frame.body_size = too_large ? conn->limits->frame_size_max : frame.body_size;
        frame.place = conn->place;
        used = conn->ops->on_frame(conn, &frame);
        if (CMDI_UNLIKELY(used == CMDI_CONN_LATER)) {
            CMDI_ASSERT(conn->paused);
            return 0;
        }
        if (conn->limits->self_delimiting && used > (int64_t)frame.body_size) {
            if (too_large || used > (int64_t)conn->limits->frame_size_max) {
                conn_fail_frame(conn, CMDS_E_LIMIT, &frame);
                return 0;
            }
            conn->frame_need = frame.header_size + (size_t)used;
            if (conn->place == NULL) {
                conn_open_place(conn);
            }
            return 0;
        }
        if (CMDI_UNLIKELY(conn->place != NULL)) {
            cmdi_conn_drop_place(conn);
        }
    }
    run->progress = true;
    run->frames--;
    if (CMDI_UNLIKELY(used < 0)) {
        // Unless the owner said it better.
        cmdi_conn_refuse(conn, (int)used, "%s", cmds_error_text((int)used));
        return 0;
    }
    return (size_t)whole + (conn->limits->self_delimiting ? (size_t)used : 0);
}

/* The server's first words. Returns: their size; 0: not whole, or the connection failed. */
static size_t conn_run_server_info(struct cmdi_conn *conn, const uint8_t *data, size_t size)
{
    struct cmds_bytes info = {0};
    int used = cmdi_server_info_decode(data, size, &info);
    if (used == 0) {
        conn->frame_need = size + 1;
        return 0;
    }
    int code = used < 0 ? used : conn->ops->on_server_info(conn, info);
    if (code < 0) {
        CMDI_COUNT(conn->shard, proto_errors, used < 0);
        cmdi_conn_fail(conn, code, "ServerInfo: %s", cmds_error_text(code));
        return 0;
    }
    if (conn->state == CMDI_CONN_SERVER_INFO) {
        cmdi_conn_move(conn, CMDI_CONN_OPEN);
        conn->server_info_until = 0;
        cmdi_shard_flush(conn->shard, &conn->flush); // What was collected until now.
    }
    return (size_t)used;
}

/* As many frames as there are, and as the budget allows. Returns: bytes used. */
static size_t conn_run_bytes(
        struct cmdi_conn *conn, const uint8_t *data, size_t size, struct conn_run *run)
{
    size_t at = 0;
    while (at < size && run->frames > 0 && at < run->bytes && !conn->paused && !conn->spent) {
        size_t used = 0;
        conn->frame_need = 0;
        if (CMDI_LIKELY(conn->state == CMDI_CONN_OPEN)) {
            used = conn_run_frame(conn, data + at, size - at, run);
        } else if (conn->state == CMDI_CONN_SERVER_INFO) {
            used = conn_run_server_info(conn, data + at, size - at);
        }
        if (used == 0) {
            break;
        }
        at += used;
    }
    run->bytes -= at < run->bytes ? at : run->bytes;
    conn->run_size += at;
    return at;
}

/*
 * A frame that is cut is looked at again when what it lacks has come, not for every byte that
 * comes: where the codec finds the end, looking costs as much as the frame is large.
 */
static void conn_run_stash(struct cmdi_conn *conn, struct conn_run *run)
{
    struct cmdi_conn_buffer *stash = &conn->stash;
    size_t size = stash->end - stash->begin;
    if (size < conn->frame_need) {
        run->partial = conn->slices.count == 0;
        if (!run->partial) {
            (void)conn_stash_slice(conn, conn->frame_need - size); // Or the connection failed.
        }
        return;
    }
    stash->begin += conn_run_bytes(conn, stash->data + stash->begin, size, run);
    if (stash->begin == stash->end) {
        conn_drop_stash(conn);
    }
}

static void conn_run_slice(struct cmdi_conn *conn, struct conn_run *run)
{
    struct cmdi_receive *receive = &conn->shard->receive;
    struct cmds_bytes slice = cmdi_receive_oldest(receive, &conn->slices);
    size_t used = conn_run_bytes(conn, slice.data, slice.size, run);
    if (!cmdi_receive_use(receive, &conn->slices, used) && conn->frame_need > 0) {
        (void)conn_stash_slice(conn, SIZE_MAX); // The next one goes on where this one was cut.
    }
}

static bool conn_has_input(const struct cmdi_conn *conn)
{
    return conn->slices.count > 0 || conn->stash.begin < conn->stash.end;
}

static bool conn_may_run(const struct cmdi_conn *conn)
{
    return (conn->state == CMDI_CONN_OPEN || conn->state == CMDI_CONN_SERVER_INFO) &&
           !conn->paused && !conn->lacks_input;
}

static void conn_begin_piece(const struct cmdi_conn *conn, struct conn_run *run)
{
    uint32_t most = conn->shard->work_left;
    run->piece = run->more < most ? run->more : most;
    run->frames = run->piece;
    run->more -= run->piece;
}

/* The next piece of the budget. Returns: there is none, or others wait for too long. */
static bool conn_run_is_over(struct cmdi_conn *conn, struct conn_run *run)
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
    struct conn_run run = {.more = conn->shard->frames_per_run, .bytes = CMDI_SHARD_BYTES_PER_RUN};
    conn_begin_piece(conn, &run);
    while (conn_may_run(conn) && conn_has_input(conn) && !run.partial && run.bytes > 0 &&
            !conn->spent && !conn_run_is_over(conn, &run)) {
        if (conn->stash.begin < conn->stash.end) {
            conn_run_stash(conn, &run);
        } else {
            conn_run_slice(conn, &run);
        }
    }
    size_t bytes = CMDI_SHARD_BYTES_PER_RUN - run.bytes;
    cmdi_shard_worked(
            conn->shard, run.piece - run.frames + (uint32_t)(bytes / CONN_BYTES_PER_UNIT));
    *used = conn->shard->frames_per_run - run.more - run.frames;
    *used += bytes >= CMDI_SHARD_BYTES_PER_RUN / 2 ? CONN_HEAVY_FRAMES : 0;
    conn->unrun = conn->unrun && conn_has_input(conn) && !run.partial;
    if (!run.partial) {
        conn->frame_since = 0;
    } else if (run.progress || conn->frame_since == 0) {
        conn->frame_since = conn->shard->now_ms + (conn->shard->now_ms == 0);
        cmdi_conn_watch_after(conn, conn->frame_since, conn->limits->frame_timeout_ms);
    }
    return conn_may_run(conn) && conn_has_input(conn) && !run.partial;
}

/* The peer has finished, and what it sent has run. */
static void conn_run_eof(struct cmdi_conn *conn)
{
    bool ended = conn->eof || (conn->input_stopped && !conn->receiving);
    /* What has come is run first; but not at a bound, for a peer that has gone. */
    bool waits = conn->paused ? conn->recv_error == 0 : conn->slices.count > 0;
    if (!ended || waits || conn->eof_told || conn->state >= CMDI_CONN_FINISHING) {
        return;
    }
    conn->eof_told = true;
    if (conn->recv_error < 0) {
        cmdi_conn_count_reset(conn, conn->recv_error);
        cmdi_conn_fail(conn, conn->recv_error == -ECONNRESET ? CMDS_E_EOF : conn->recv_error,
                "recv: %s", strerror(-conn->recv_error));
    } else if (conn->state < CMDI_CONN_OPEN) {
        cmdi_conn_fail(
                conn, CMDS_E_EOF, "the peer closed the connection before its ServerInfo was whole");
    } else {
        if (conn->eof && conn->stash.begin < conn->stash.end && conn->error.code == 0) {
            CMDI_COUNT(conn->shard, proto_errors, 1);
            conn->error = (struct cmds_error){
                    CMDS_E_PROTO, "the peer closed the connection inside a frame"};
        }
        conn->ops->on_eof(conn);
    }
}

/* --- Receiving -------------------------------------------------------------------------------- */

bool cmdi_conn_is_deaf(const struct cmdi_conn *conn)
{
    bool armed = conn->receiving && conn->armed_turn != conn->shard->stats.turns;
    return !armed && !conn->eof && conn->state != CMDI_CONN_CONNECTING;
}

bool cmdi_conn_is_behind(const struct cmdi_conn *conn)
{
    bool waits = conn->unrun || conn->slices.count > 0 ||
                 (conn->stash.begin < conn->stash.end && conn->frame_since == 0);
    return waits || cmdi_conn_is_deaf(conn);
}

bool cmdi_conn_has_ping(struct cmdi_conn *conn)
{
    if (conn->stash.begin < conn->stash.end) {
        return conn->stash.data[conn->stash.begin] == 0;
    }
    return !conn->receiving && conn->slices.count == 0 && conn->transport->has_ping != NULL &&
           conn->transport->has_ping(conn);
}

bool cmdi_conn_has_run(struct cmdi_conn *conn, uint64_t *mark)
{
    if (!cmdi_conn_is_behind(conn)) {
        *mark = 0;
        return true;
    }
    if (*mark == 0) {
        size_t unread = conn->transport->unread != NULL ? conn->transport->unread(conn) : 0;
        *mark = conn->received_size + unread;
    }
    if (conn->run_size < *mark) {
        return false;
    }
    *mark = 0;
    return true;
}

/* The time in which we did not listen is not the peer's. */
static void conn_hear_again(struct cmdi_conn *conn)
{
    uint64_t now_ms = conn->shard->now_ms;
    uint64_t deaf_ms = conn->deaf_since != 0 ? now_ms - conn->deaf_since : 0;
    bool is_client = conn->ops->on_server_info != NULL;
    conn->deaf_since = 0;
    /*
     * A multishot recv takes a megabyte or more at once. Where that takes long to run, nothing is
     * received for so long that the peer would give us up: steps are small until we are fast, or
     * have caught up.
     */
    conn->slow = deaf_ms >= CONN_SLOW_MS || (conn->slow && now_ms - conn->armed_at > CONN_FAST_MS);
    conn->armed_at = now_ms;
    conn->armed_turn = conn->shard->stats.turns;
    conn->received_at = conn->received_at + deaf_ms < now_ms ? conn->received_at + deaf_ms : now_ms;
    conn->frame_since += conn->frame_since != 0 ? deaf_ms : 0;
    conn->server_info_until += is_client && conn->server_info_until != 0 ? deaf_ms : 0;
}

void cmdi_conn_arm_recv(struct cmdi_conn *conn, bool poll_first)
{
    bool stopped = conn->eof || (conn->input_stopped && conn->state < CMDI_CONN_FINISHING);
    if (conn->receiving || stopped || conn->state >= CMDI_CONN_CLOSING ||
            conn->state == CMDI_CONN_CONNECTING) {
        return;
    }
    conn->receiving = true;
    conn_hear_again(conn);
    conn->transport->recv(conn, conn->slow   ? CMDI_RECV_ONE
                                : poll_first ? CMDI_RECV_QUIET
                                             : CMDI_RECV_STREAM);
}

static void conn_stop_recv(struct cmdi_conn *conn)
{
    if (conn->receiving) {
        conn->transport->stop_recv(conn);
    }
}

void cmdi_conn_stop_input(struct cmdi_conn *conn)
{
    if (!conn->input_stopped && conn->state < CMDI_CONN_FINISHING) {
        conn->input_stopped = true;
        conn_stop_recv(conn);
        cmdi_conn_watch(conn, conn->shard->now_ms + CMDI_CONN_HELD_MS);
        cmdi_conn_ready(conn);
    }
}

/*
 * Nothing is received for now, or any more, but whoever goes has to be noticed. After a FIN the
 * same FIN would be noticed for ever.
 */
static void conn_watch_peer(struct cmdi_conn *conn)
{
    bool held = cmdi_conn_is_held(conn) || conn->eof_told;
    if (!held || conn->receiving || conn->watching || conn->watched ||
            conn->transport->watch == NULL) {
        return;
    }
    conn->watching = true;
    conn->transport->watch(conn, conn->finished_at == 0);
}

/* The peer sends no more. From here on the calls that it waits for have their time. */
static void conn_peer_finished(struct cmdi_conn *conn)
{
    if (conn->finished_at == 0) {
        conn->finished_at = conn->shard->now_ms + (conn->shard->now_ms == 0);
        cmdi_conn_watch_after(conn, conn->finished_at, conn->limits->idle_timeout_ms);
    }
}

void cmdi_conn_on_watch(struct cmdi_conn *conn, int events)
{
    bool failed = events > 0 && (events & CMDI_PEER_FAILED) != 0;
    bool gone = events > 0 && (events & CMDI_PEER_GONE) != 0;
    conn->watching = false;
    if (conn->state >= CMDI_CONN_FINISHING) {
        return;
    }
    /* A UNIX peer that has gone may have left commands behind, which we have not read yet. */
    bool unread =
            conn->slices.count > 0 || conn->stash.begin < conn->stash.end ||
            (!conn->eof && conn->transport->unread != NULL && conn->transport->unread(conn) > 0);
    if (failed || (gone && !unread)) {
        cmdi_conn_count_reset(conn, failed ? -ECONNRESET : 0);
        cmdi_conn_fail(conn, CMDS_E_EOF, "the peer has gone");
        return;
    }
    conn->watched = events < 0 || gone; // It would say so again and again.
    if (events > 0) {
        conn_peer_finished(conn);
    }
    cmdi_conn_ready(conn);
}

/* Nothing was received for so long that a buffer more is due, for the peer to see that we live. */
static bool conn_is_long_deaf(const struct cmdi_conn *conn)
{
    return conn->deaf_since != 0 && conn->shard->now_ms >= conn->deaf_since + CONN_LONG_DEAF_MS &&
           conn->received_size - conn->run_size < CONN_BEHIND_SIZE_MAX;
}

/*
 * After a run: what is received from now on follows what could be run. `more`: frames are there
 * that have not.
 */
static void conn_steer_recv(struct cmdi_conn *conn, bool more)
{
    bool stash_full = more && conn->stash.end - conn->stash.begin > CMDI_SHARD_BYTES_PER_RUN;
    if (conn->lacks_input) {
        conn_stop_recv(conn);
    } else if (conn->paused) {
        conn_stop_recv(conn);
        conn_stash_all(conn);
    } else if (!conn->receiving && !conn->starved &&
               ((conn->slices.count <= 1 && !stash_full) || conn_is_long_deaf(conn))) {
        cmdi_conn_arm_recv(conn, false);
    }
}

/*
 * Who has used much of its budget comes behind all others in the next pass; who has used little,
 * several times, before them.
 */
static void conn_set_level(struct cmdi_conn *conn, bool heavy)
{
    bool believed = conn->light_runs >= CONN_LIGHT_RUNS;
    conn->light_runs = heavy ? 0 : believed ? CONN_LIGHT_RUNS : (uint8_t)(conn->light_runs + 1);
    conn->ready.level = heavy ? CMDI_LEVEL_HEAVY : believed ? CMDI_LEVEL_LIGHT : CMDI_LEVEL_UNKNOWN;
}

void cmdi_conn_run(struct cmdi_shard *shard, struct cmdi_work *work)
{
    struct cmdi_conn *conn = CMDI_CONTAINER(work, struct cmdi_conn, ready);
    bool more_input = false;
    bool more = false;
    if (conn->state < CMDI_CONN_FINISHING) {
        uint32_t used = 0;
        conn->running = true;
        conn->spent = false;
        conn->made_size = 0;
        more_input = conn_run_frames(conn, &used);
        more = more_input;
        if (conn->state == CMDI_CONN_OPEN && conn->ops->run != NULL) {
            more = conn->ops->run(conn, CMDI_SHARD_FRAMES_PER_RUN) || more;
        }
        conn_set_level(conn, more || used >= CONN_HEAVY_FRAMES ||
                                     conn->made_size + conn->fill.end >= CONN_HEAVY_OUTPUT);
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
    conn_watch_peer(conn);
    if (more) {
        cmdi_conn_ready(conn);
    }
}

void cmdi_conn_pause(struct cmdi_conn *conn)
{
    if (!conn->paused) {
        conn->paused = true;
        CMDI_COUNT(conn->shard, read_pauses, 1);
        cmdi_conn_watch(conn, conn->shard->now_ms + CMDI_CONN_HELD_MS);
        cmdi_conn_ready(conn);
    }
}

void cmdi_conn_resume(struct cmdi_conn *conn)
{
    if (conn->paused) {
        conn->paused = false;
        cmdi_conn_ready(conn);
    }
}

void cmdi_conn_rearm_starved(struct cmdi_shard *shard, struct cmdi_work *work)
{
    (void)shard;
    struct cmdi_conn *conn = CMDI_CONTAINER(work, struct cmdi_conn, starve);
    conn->starved = false;
    if (conn->state == CMDI_CONN_LINGERING) {
        cmdi_conn_arm_recv(conn, false);
    } else {
        cmdi_conn_ready(conn); // The end of the run arms it, if there is room.
    }
}

/* The code says why. */
static void conn_recv_ended(struct cmdi_conn *conn, int code)
{
    conn->deaf_since = conn->shard->now_ms;
    if (code == 0) {
        conn->eof = true;
        conn_peer_finished(conn);
    } else if (code == -ENOBUFS) {
        CMDI_COUNT(conn->shard, buffers_empty, 1);
        if (!cmdi_receive_grow(&conn->shard->receive)) {
            conn->starved = true;
            conn->starve.level = conn->ready.level;
            cmdi_receive_wait(&conn->shard->receive, &conn->starve);
        }
    } else if (code != -ECANCELED && code != -EINTR && code != -EAGAIN) {
        conn->eof = true;
        conn->recv_error = code;
    }
    /* All else passes: the end of the next run arms it again. */
}

/*
 * A few bytes hold a whole buffer until they are run, and hundreds of connections may wait for that
 * in the same instant: where buffers are scarce those few bytes are copied, so that whoever asks for
 * little does not wait for a buffer.
 */
static bool conn_is_wasteful(const struct cmdi_conn *conn, uint32_t size)
{
    return size <= CONN_FEW_BYTES && cmdi_receive_is_scarce(&conn->shard->receive);
}

/* Bytes in a buffer of the shard's: a slice more, if there is a frame to be read in it. */
static void conn_take_slice(struct cmdi_conn *conn, uint16_t buffer, uint32_t size)
{
    struct cmdi_receive *receive = &conn->shard->receive;
    cmdi_receive_push(receive, &conn->slices, buffer, size, conn->shard->now_ns);
    if (cmdi_receive_is_over(receive, &conn->slices, CONN_SHARE_PART)) {
        conn_stop_recv(conn);
        if (cmdi_receive_is_over(receive, &conn->slices, CONN_STASH_PART)) {
            conn_stash_all(conn);
        }
    }
    if (conn->slices.count > 0 && conn_is_wasteful(conn, size)) {
        conn_stash_all(conn);
    }
}

/* So many bytes were received, however. */
static void conn_count_received(struct cmdi_conn *conn, size_t size)
{
    CMDI_COUNT(conn->shard, recv_bytes, size);
    conn->received_size += size;
}

void cmdi_conn_on_data(struct cmdi_conn *conn, uint16_t buffer, uint32_t size, bool more_waits)
{
    CMDI_ASSERT(conn->receiving && size > 0);
    conn_count_received(conn, size);
    conn->slow = conn->slow && more_waits;
    if (conn->state >= CMDI_CONN_FINISHING) {
        cmdi_receive_give_back(&conn->shard->receive, buffer);
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
    if (conn->state >= CMDI_CONN_FINISHING) {
        return;
    }
    CMDI_ASSERT(conn->slices.count == 0); // One source of bytes only, or their order is lost.
    conn->received_at = conn->shard->now_ms;
    conn->unrun = true;
    if (conn_stash_append(conn, data, size)) {
        cmdi_conn_ready(conn);
    } else {
        conn_fail_memory(conn, size);
    }
}

void cmdi_conn_on_recv_end(struct cmdi_conn *conn, int code)
{
    CMDI_ASSERT(conn->receiving && code <= 0);
    conn->receiving = false;
    if (conn->state >= CMDI_CONN_CLOSING) {
        return;
    }
    conn_recv_ended(conn, code);
    conn->slow = conn->slow && code == -EAGAIN;
    if (conn->state == CMDI_CONN_LINGERING && conn->eof) {
        cmdi_conn_fail(conn, CMDS_E_CLOSED, "closed in order");
    } else if (conn->state == CMDI_CONN_LINGERING && !conn->starved) {
        cmdi_conn_arm_recv(conn, false);
    }
    cmdi_conn_ready(conn);
}

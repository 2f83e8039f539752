/* SPDX-License-Identifier: MIT */
/*
 * Whether a connection receives: its input's state, and what can be concluded from silence.
 *
 * The time in which no receive is armed is not the peer's: nothing that it sends then is seen. All
 * limits on the input are judged by what is said here.
 */
#include "conn/parts.h"
#include "conn/secure.h"

enum {
    CONN_SLOW_MS = 500, // From the end of a recv to the next, while what it brought was run.
    CONN_FAST_MS = 5,   // From the recv of one buffer to that of the next.
    CONN_LONG_DEAF_MS = 2000,
    CONN_BEHIND_SIZE_MAX = 4 * 1024 * 1024, // That much and more waits to be run: no buffer more.
};

#define INPUT_BIT(state) (1u << CMDI_INPUT_##state)

static const uint8_t input_moves[] = {
        [CMDI_INPUT_IDLE] = INPUT_BIT(RECEIVING) | INPUT_BIT(STOPPED),
        [CMDI_INPUT_RECEIVING] =
                INPUT_BIT(IDLE) | INPUT_BIT(STARVED) | INPUT_BIT(STOPPING) | INPUT_BIT(ENDED),
        [CMDI_INPUT_STARVED] = INPUT_BIT(IDLE) | INPUT_BIT(STOPPED),
        [CMDI_INPUT_STOPPING] = INPUT_BIT(STOPPED) | INPUT_BIT(ENDED),
        [CMDI_INPUT_STOPPED] = INPUT_BIT(RECEIVING),
        [CMDI_INPUT_ENDED] = 0,
};

void cmdi_conn_input_move(struct cmdi_conn *conn, enum cmdi_input_state next)
{
    CMDI_ASSERT((input_moves[conn->input] >> next & 1) != 0);
    conn->input = (uint8_t)next;
}

/* The time in which we did not listen is not the peer's. */
static void conn_hear_again(struct cmdi_conn *conn)
{
    uint64_t now_ms = conn->shard->now_ms;
    uint64_t deaf_ms = conn->more->deaf_since != 0 ? now_ms - conn->more->deaf_since : 0;
    conn->more->deaf_since = 0;
    /*
     * A multishot recv takes a megabyte or more at once. Where that takes long to run, nothing is
     * received for so long that the peer would give us up: steps are small until we are fast, or
     * have caught up.
     */
    conn->slow = deaf_ms >= CONN_SLOW_MS ||
                 (conn->slow && (uint32_t)now_ms - conn->armed_at > CONN_FAST_MS);
    conn->armed_at = (uint32_t)now_ms;
    conn->armed_turn = (uint32_t)conn->shard->counters.turns;
    conn->received_at = conn->received_at + deaf_ms < now_ms ? conn->received_at + deaf_ms : now_ms;
    conn->more->frame_since += conn->more->frame_since != 0 ? deaf_ms : 0;
    conn->more->server_info_until +=
            cmdi_conn_is_client(conn) && conn->more->server_info_until != 0 ? deaf_ms : 0;
}

void cmdi_conn_arm_recv(struct cmdi_conn *conn, bool poll_first)
{
    bool wanted = conn->input == CMDI_INPUT_IDLE ||
                  (conn->input == CMDI_INPUT_STOPPED && conn->state >= CMDI_CONN_FINISHING);
    if (!wanted || conn->state >= CMDI_CONN_CLOSING || conn->state == CMDI_CONN_CONNECTING) {
        return;
    }
    cmdi_conn_input_move(conn, CMDI_INPUT_RECEIVING);
    conn_hear_again(conn);
    conn->transport->recv(conn, conn->slow   ? CMDI_RECV_ONE
                                : poll_first ? CMDI_RECV_QUIET
                                             : CMDI_RECV_STREAM);
}

void cmdi_conn_stop_recv(struct cmdi_conn *conn)
{
    if (cmdi_conn_is_receiving(conn)) {
        conn->transport->stop_recv(conn);
    }
}

static void conn_stop_starving(struct cmdi_conn *conn)
{
    if (conn->input == CMDI_INPUT_STARVED) {
        cmdi_list_remove(&conn->more->starve.link);
    }
}

void cmdi_conn_stop_input(struct cmdi_conn *conn)
{
    if (!cmdi_conn_input_is_stopped(conn) && conn->state < CMDI_CONN_FINISHING) {
        if (conn->input != CMDI_INPUT_ENDED) {
            conn_stop_starving(conn);
            cmdi_conn_input_move(conn,
                    conn->input == CMDI_INPUT_RECEIVING ? CMDI_INPUT_STOPPING : CMDI_INPUT_STOPPED);
        }
        cmdi_conn_stop_recv(conn);
        cmdi_conn_timer_by(conn, conn->shard->now_ms + CMDI_CONN_HELD_MS);
        cmdi_conn_ready(conn);
    }
}

void cmdi_conn_pause(struct cmdi_conn *conn)
{
    if (!conn->paused) {
        conn->paused = true;
        CMDI_COUNT(conn->counters, read_pauses, 1);
        cmdi_conn_timer_by(conn, conn->shard->now_ms + CMDI_CONN_HELD_MS);
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

/* --- What silence says ------------------------------------------------------------------------ */

bool cmdi_conn_is_deaf(const struct cmdi_conn *conn)
{
    bool armed = cmdi_conn_is_receiving(conn) &&
                 conn->armed_turn != (uint32_t)conn->shard->counters.turns;
    return !armed && conn->input != CMDI_INPUT_ENDED && conn->state != CMDI_CONN_CONNECTING;
}

/* So long that a buffer more is due, unless too many bytes wait to be run already. */
bool cmdi_conn_is_long_deaf(const struct cmdi_conn *conn)
{
    return conn->more->deaf_since != 0 &&
           conn->shard->now_ms >= conn->more->deaf_since + CONN_LONG_DEAF_MS &&
           conn->received_size - conn->run_size < CONN_BEHIND_SIZE_MAX;
}

bool cmdi_conn_is_behind(const struct cmdi_conn *conn)
{
    bool waits = conn->unrun || conn->slices.count > 0 || cmdi_secure_is_late(conn) ||
                 (conn->more->stash.begin < conn->more->stash.end && conn->more->frame_since == 0);
    return waits || cmdi_conn_is_deaf(conn);
}

bool cmdi_conn_peer_has_ended(const struct cmdi_conn *conn)
{
    return conn->input == CMDI_INPUT_ENDED || (conn->secured != NULL && conn->secured->closed);
}

bool cmdi_conn_has_ping(struct cmdi_conn *conn)
{
    if (conn->more->stash.begin < conn->more->stash.end) {
        return conn->more->stash.data[conn->more->stash.begin] == 0;
    }
    return !cmdi_conn_is_receiving(conn) && conn->slices.count == 0 && conn->secured == NULL &&
           conn->transport->has_ping != NULL && conn->transport->has_ping(conn);
}

/*
 * It is received when others let go of the shard's buffers, or run when it has memory: where it has to
 * come from those who wait for memory themselves, nobody knows when.
 */
static bool conn_waits_for_memory(const struct cmdi_conn *conn)
{
    return conn->lacks_input ||
           (conn->input == CMDI_INPUT_STARVED && !cmdi_list_empty(&conn->shard->lacking));
}

bool cmdi_conn_has_run(struct cmdi_conn *conn, uint64_t *mark)
{
    bool is_over = conn->state >= CMDI_CONN_CLOSING; // It runs nothing more.
    if (is_over || conn->paused || conn_waits_for_memory(conn) || !cmdi_conn_is_behind(conn)) {
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

/* --- The peer's end --------------------------------------------------------------------------- */

/*
 * Nothing is received for now, or any more, but whoever goes has to be noticed. After a FIN the
 * same FIN would be noticed for ever.
 */
void cmdi_conn_watch_peer(struct cmdi_conn *conn)
{
    bool held = cmdi_conn_is_held(conn) || conn->end_told;
    if (!held || cmdi_conn_is_receiving(conn) || conn->watch != CMDI_WATCH_OFF ||
            conn->transport->watch == NULL) {
        return;
    }
    CMDI_ASSERT(conn->state != CMDI_CONN_CONNECTING && conn->state < CMDI_CONN_CLOSING);
    conn->watch = CMDI_WATCH_ARMED;
    conn->transport->watch(conn, conn->more->finished_at == 0);
}

/* The peer sends no more. From here on the calls that it waits for have their time. */
void cmdi_conn_peer_finished(struct cmdi_conn *conn)
{
    if (conn->more->finished_at == 0) {
        conn->more->finished_at = conn->shard->now_ms + (conn->shard->now_ms == 0);
        cmdi_conn_timer_after(conn, conn->more->finished_at, conn->limits->idle_timeout_ms);
    }
}

/* SPDX-License-Identifier: MIT */
/*
 * Idle connections: of many thousands most do nothing for most of the time, and what they need then is
 * little. The rest of a connection is leased when it does something, and goes back after a while in
 * which nothing happened and nothing is owed in either direction.
 *
 * One that rests reads all of it as 0, of one constant that all of them share. What is to be written
 * is written behind cmdi_conn_wake(); what forgets that ends the process, as the constant cannot be
 * written. Without memory to wake, what has come cannot be run: the connection ends.
 */
#include <string.h>

#include "conn/parts.h"
#include "conn/secure.h"

enum {
    // Long enough that one which is asked again and again keeps it: waking costs as much as a command.
    CONN_REST_MS = 1000,
    // One that waits for a call is looked at again after as long as it has waited, but not later than this.
    CONN_REST_LOOK_MS = 30000,
};

#define MORE_ALONE(member)                                                                         \
    {                                                                                              \
        (struct cmdi_list *)(uintptr_t)&cmdi_conn_resting.member,                                  \
                (struct cmdi_list *)(uintptr_t)&cmdi_conn_resting.member                           \
    }

// In no list, as all that is zeroed and initialised.
const struct cmdi_conn_more cmdi_conn_resting = {
        .flush = {.link = MORE_ALONE(flush.link)},
        .starve = {.link = MORE_ALONE(starve.link)},
        .lacking = MORE_ALONE(lacking),
};

void cmdi_conn_begin_resting(struct cmdi_conn *conn)
{
    const struct cmdi_conn_more *none = &cmdi_conn_resting;
    memcpy(&conn->more, &none, sizeof(none)); // It is read only, and its type does not say so.
}

static struct cmdi_conn_more *more_of_shard(struct cmdi_shard *shard)
{
    if (shard->conn_mores.item_size == 0) {
        cmdi_pool_init(&shard->conn_mores, sizeof(struct cmdi_conn_more));
    }
    return cmdi_pool_acquire(&shard->conn_mores);
}

bool cmdi_conn_wake_slow(struct cmdi_conn *conn)
{
    if (conn->state >= CMDI_CONN_CLOSING) {
        return false; // Nothing is done by it any more.
    }
    struct cmdi_conn_more *more =
            conn->ops->lease != NULL ? conn->ops->lease(conn) : more_of_shard(conn->shard);
    if (more == NULL) {
        return false;
    }
    *more = (struct cmdi_conn_more){.conn = conn};
    cmdi_work_init(&more->flush, conn->shard->conn_flush);
    cmdi_work_init(&more->starve, conn->shard->conn_starve);
    cmdi_list_init(&more->lacking);
    conn->more = more;
    if (conn->ops->give_back != NULL) {
        cmdi_conn_timer_by(conn, conn->shard->now_ms + CONN_REST_MS);
    }
    return true;
}

void cmdi_conn_drop_more(struct cmdi_conn *conn)
{
    struct cmdi_conn_more *more = conn->more;
    if (cmdi_conn_is_resting(conn)) {
        return;
    }
    CMDI_ASSERT(more->flight.data == NULL && more->stash.data == NULL && more->place == NULL);
    CMDI_ASSERT(!cmdi_work_queued(&more->flush) && !cmdi_work_queued(&more->starve));
    CMDI_ASSERT(cmdi_list_empty(&more->lacking));
    cmdi_conn_begin_resting(conn);
    if (conn->ops->give_back != NULL) {
        conn->ops->give_back(conn, more);
    } else {
        cmdi_pool_release(&conn->shard->conn_mores, more);
    }
}

/* Its layer holds nothing that is to be run or sent. */
static bool more_is_secure_quiet(const struct cmdi_secured *secured)
{
    return secured == NULL || (secured->handshake == CMDI_HANDSHAKE_OVER &&
                                      secured->raw.data == NULL && secured->wire.data == NULL &&
                                      !secured->cut && !secured->closed && !secured->failed);
}

/* Nothing of it is in use, and nothing is being timed. Without a limit nobody sets write_since back. */
static bool more_is_unused(const struct cmdi_conn *conn)
{
    const struct cmdi_conn_more *more = conn->more;
    bool writes = more->write_since != 0 && conn->limits->write_timeout_ms != CMDS_NEVER;
    return more->stash.data == NULL && more->place == NULL && more->server_info_until == 0 &&
           more->frame_since == 0 && !writes && more->finished_at == 0 && more->deaf_since == 0 &&
           !cmdi_work_queued(&more->flush);
}

static bool more_is_idle(const struct cmdi_conn *conn)
{
    bool no_input = conn->input == CMDI_INPUT_RECEIVING && conn->slices.count == 0 &&
                    !conn->unrun && !conn->paused && conn->watch != CMDI_WATCH_ARMED;
    bool no_output = conn->fill.data == NULL && conn->output == CMDI_OUTPUT_IDLE &&
                     conn->lacks == 0 && !conn->above_low;
    return conn->state == CMDI_CONN_OPEN && no_input && no_output && conn->error_code == 0 &&
           !cmdi_work_queued(&conn->ready) && more_is_secure_quiet(conn->secured) &&
           more_is_unused(conn);
}

static bool more_is_owner_idle(const struct cmdi_conn *conn)
{
    const struct cmdi_conn_ops *ops = conn->ops;
    return (ops->is_busy == NULL || !ops->is_busy(conn)) &&
           (ops->queued == NULL || ops->queued(conn) == 0);
}

void cmdi_conn_look_for_rest(struct cmdi_conn *conn, uint64_t now_ms)
{
    if (conn->ops->give_back == NULL || cmdi_conn_is_resting(conn) ||
            conn->state >= CMDI_CONN_FINISHING) {
        return;
    }
    uint64_t moved_at = conn->received_at > conn->sent_at ? conn->received_at : conn->sent_at;
    if (now_ms < moved_at + CONN_REST_MS) {
        cmdi_conn_timer_by(conn, moved_at + CONN_REST_MS);
    } else if (!more_is_idle(conn)) {
        cmdi_conn_timer_by(conn, now_ms + CONN_REST_MS);
    } else if (more_is_owner_idle(conn)) {
        cmdi_conn_drop_more(conn);
    } else {
        uint64_t quiet_ms = now_ms - moved_at;
        cmdi_conn_timer_by(
                conn, now_ms + (quiet_ms < CONN_REST_LOOK_MS ? quiet_ms : CONN_REST_LOOK_MS));
    }
}

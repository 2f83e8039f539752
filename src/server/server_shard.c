/* SPDX-License-Identifier: MIT */
/*
 * Life of a server's part on one shard.
 *
 * The end takes three steps, each behind what was queued before it. When nothing is left, a mail is
 * posted, not from inside what has just ended; the mail queues a work, behind what the calls have
 * queued (a forward that reports its cancellation); the work asks the owner to end it. So nothing
 * that knows the server shard is on the stack or in a queue when it goes.
 */
#include "server/server_shard.h"

#include <stdlib.h>

#include "base/assert.h"
#include "server/call.h"
#include "server/connection.h"
#include "server/trace.h"

enum {
    SERVER_SHARD_KEPT_SMALL = 512,
    SERVER_SHARD_KEPT_LARGE = 2048,
    SERVER_SHARD_SWEEP = 64, // Connections that are drained or closed in one go.
};

// By state: those that may follow.
static const uint8_t server_shard_moves[] = {
        [CMDI_SERVER_SHARD_OPEN] = 1 << CMDI_SERVER_SHARD_DRAINING |
                                   1 << CMDI_SERVER_SHARD_CLOSING | 1 << CMDI_SERVER_SHARD_ENDING,
        [CMDI_SERVER_SHARD_DRAINING] = 1 << CMDI_SERVER_SHARD_CLOSING,
        [CMDI_SERVER_SHARD_CLOSING] = 1 << CMDI_SERVER_SHARD_ENDING,
        [CMDI_SERVER_SHARD_ENDING] = 0,
};

static void server_shard_move(
        struct cmdi_server_shard *server_shard, enum cmdi_server_shard_state next)
{
    CMDI_ASSERT((server_shard_moves[server_shard->state] & (1 << next)) != 0);
    server_shard->state = (uint8_t)next;
}

/* Returns: NULL: there are no more. */
static struct cmdi_pool *server_shard_pool(struct cmdi_server_shard *server_shard, uint32_t index)
{
    struct cmdi_pool *const pools[] = {&server_shard->connection_pool, &server_shard->more_pool,
            &server_shard->call_pool, &server_shard->trace_pool, &server_shard->kept_pools[0],
            &server_shard->kept_pools[1]};
    _Static_assert(CMDI_KEPT_POOLS == 2, "all of them");
    return index < sizeof(pools) / sizeof(pools[0]) ? pools[index] : NULL;
}

struct cmdi_server_shard *cmdi_server_shard_create(struct cmdi_server_core *core,
        struct cmdi_shard *shard, const struct cmdi_server_shard_ops *ops, void *owner)
{
    struct cmdi_server_shard *server_shard = calloc(1, sizeof(*server_shard));
    if (server_shard == NULL) {
        return NULL;
    }
    server_shard->core = core;
    server_shard->ops = ops;
    server_shard->owner = owner;
    server_shard->shard = shard;
    cmdi_list_init(&server_shard->connections);
    cmdi_work_init(&server_shard->sweep, NULL);
    cmdi_list_init(&server_shard->over);
    cmdi_work_init(&server_shard->over_work, NULL);
    cmdi_list_init(&server_shard->closed);
    cmdi_pool_init(&server_shard->connection_pool, sizeof(struct cmds_connection));
    cmdi_pool_init(&server_shard->more_pool, sizeof(struct cmdi_connection_more));
    cmdi_pool_init(&server_shard->call_pool, sizeof(struct cmds_call));
    cmdi_pool_init(&server_shard->trace_pool, sizeof(struct cmdi_call_trace));
    cmdi_pool_init(&server_shard->kept_pools[0], SERVER_SHARD_KEPT_SMALL);
    cmdi_pool_init(&server_shard->kept_pools[1], SERVER_SHARD_KEPT_LARGE);
    /*
     * A value takes more room than its bytes; what one frame may need is bounded by a multiple of
     * it.
     */
    cmdi_arena_init(&server_shard->arena, (size_t)core->options.frame_size_max * 4 + 1024 * 1024);
    struct cmdi_account *account = &shard->buffers.account;
    cmdi_arena_charge_to(&server_shard->arena, account);
    struct cmdi_pool *pool = NULL;
    for (uint32_t i = 0; (pool = server_shard_pool(server_shard, i)) != NULL; i++) {
        cmdi_pool_charge_to(pool, account);
    }
    // Cannot fail with default attributes on Linux.
    (void)pthread_mutex_init(&server_shard->lock, NULL);
    for (uint32_t i = 0; i < CMDI_INBOX_ROOMS; i++) {
        cmdi_inbox_room_init(&server_shard->inbox_rooms[i], shard);
    }
    atomic_fetch_add(&core->refs, 1);
    return server_shard;
}

/* --- Counters --------------------------------------------------------------------------------- */

static void server_shard_read_counters(const struct cmdi_tally *tally, uint64_t *rows)
{
    const struct cmdi_server_shard *server_shard =
            CMDI_CONTAINER(tally, struct cmdi_server_shard, tally);
    const struct cmdi_server_counters *block = &server_shard->counters;
    size_t refused = offsetof(struct cmdi_server_counters, results_refused) / sizeof(uint64_t);
    cmdi_counters_add_rows(rows, block, sizeof(*block));
    rows[refused] += atomic_load(&server_shard->refused_elsewhere);
}

void cmdi_server_shard_count_for(struct cmdi_server_shard *server_shard, struct cmdi_scope *scope,
        struct cmdi_ledger *ledger)
{
    server_shard->ledger = cmdi_ledger_of(ledger, server_shard->shard->index);
    cmdi_tally_begin(
            &server_shard->tally, scope, server_shard->shard->index, server_shard_read_counters);
}

/* --- Connections ------------------------------------------------------------------------------ */

void cmdi_server_shard_free_connection(
        struct cmdi_server_shard *server_shard, struct cmds_connection *connection)
{
    CMDI_ASSERT(connection->state == CMDI_CONNECTION_CLOSED && connection->in_flight == 0);
    cmdi_list_remove(&connection->link);
    cmdi_conn_drop_more(&connection->conn);
    cmdi_inbox_fini(&connection->inbox);
    free(connection->tls_peer);
    cmdi_connection_forget_peer(connection);
    cmdi_pool_release(&server_shard->connection_pool, connection);
}

/*
 * Each connection goes behind the others when it was drained or closed, so the first ones are those
 * that were not; new ones come last, and are drained when they open. Ten thousand at once would
 * hold up the other servers of the runtime.
 */
static void server_shard_run_sweep(struct cmdi_shard *shard, struct cmdi_work *work)
{
    struct cmdi_server_shard *server_shard = CMDI_CONTAINER(work, struct cmdi_server_shard, sweep);
    for (uint32_t i = 0; i < SERVER_SHARD_SWEEP && server_shard->sweep_left > 0; i++) {
        struct cmdi_list *node = cmdi_list_pop(&server_shard->connections);
        if (node == NULL) {
            server_shard->sweep_left = 0;
            break;
        }
        server_shard->sweep_left--;
        cmdi_list_push(&server_shard->connections, node);
        struct cmds_connection *connection = CMDI_CONTAINER(node, struct cmds_connection, link);
        if (cmdi_server_shard_is_open(server_shard)) {
            cmdi_connection_drain(connection);
            server_shard->ops->drain(connection);
        } else {
            cmdi_conn_fail(&connection->conn, CMDS_E_CLOSED, "the server was closed");
        }
    }
    if (server_shard->sweep_left > 0) {
        cmdi_shard_ready(shard, work);
    }
}

static void server_shard_sweep(struct cmdi_server_shard *server_shard)
{
    // Not fewer than there are here: also those that have closed and wait for a message.
    server_shard->sweep_left = server_shard->connection_pool.live;
    server_shard->sweep.fn = server_shard_run_sweep;
    server_shard_run_sweep(server_shard->shard, &server_shard->sweep);
}

/* --- The end ---------------------------------------------------------------------------------- */

static void server_shard_run_end(struct cmdi_shard *shard, struct cmdi_work *work)
{
    (void)shard;
    struct cmdi_server_shard *server_shard =
            CMDI_CONTAINER(work, struct cmdi_server_shard, end_work);
    server_shard->ops->on_empty(server_shard);
}

static void server_shard_on_end(struct cmdi_shard *shard, struct cmdi_mail *mail)
{
    struct cmdi_server_shard *server_shard = CMDI_CONTAINER(mail, struct cmdi_server_shard, end);
    cmdi_work_init(&server_shard->end_work, server_shard_run_end);
    cmdi_shard_ready(shard, &server_shard->end_work);
}

/* Calls of connections that have closed are cancelled, so none asks any more. */
static bool server_shard_is_asked(struct cmdi_server_shard *server_shard)
{
    pthread_mutex_lock(&server_shard->lock);
    bool is_asked = server_shard->asks > 0;
    pthread_mutex_unlock(&server_shard->lock);
    return is_asked;
}

static void server_shard_check_empty(struct cmdi_server_shard *server_shard)
{
    if (server_shard->state == CMDI_SERVER_SHARD_CLOSING && server_shard_is_asked(server_shard)) {
        return; // The mail comes back here.
    }
    if (server_shard->state == CMDI_SERVER_SHARD_CLOSING && server_shard->jobs == 0 &&
            cmdi_list_empty(&server_shard->connections)) {
        server_shard_move(server_shard, CMDI_SERVER_SHARD_ENDING);
        server_shard->end.fn = server_shard_on_end;
        cmdi_shard_post(server_shard->shard, &server_shard->end);
    }
}

void cmdi_server_shard_connection_closed(struct cmdi_server_shard *server_shard)
{
    server_shard->ops->on_connection_closed(server_shard);
    server_shard_check_empty(server_shard);
}

void cmdi_server_shard_ask_ended(struct cmdi_server_shard *server_shard)
{
    pthread_mutex_lock(&server_shard->lock);
    CMDI_ASSERT(server_shard->asks > 0);
    server_shard->asks--;
    pthread_mutex_unlock(&server_shard->lock);
    server_shard_check_empty(server_shard);
}

void cmdi_server_shard_job_ended(struct cmdi_server_shard *server_shard)
{
    CMDI_ASSERT(server_shard->jobs > 0);
    server_shard->jobs--;
    server_shard_check_empty(server_shard);
}

void cmdi_server_shard_drain(struct cmdi_server_shard *server_shard)
{
    CMDI_ASSERT(cmdi_shard_current() == server_shard->shard);
    server_shard_move(server_shard, CMDI_SERVER_SHARD_DRAINING);
    server_shard_sweep(server_shard);
}

void cmdi_server_shard_close(struct cmdi_server_shard *server_shard)
{
    CMDI_ASSERT(cmdi_shard_current() == server_shard->shard);
    server_shard_move(server_shard, CMDI_SERVER_SHARD_CLOSING);
    server_shard_sweep(server_shard);
    server_shard_check_empty(server_shard);
}

void cmdi_server_shard_ending(struct cmdi_server_shard *server_shard)
{
    if (server_shard->state != CMDI_SERVER_SHARD_ENDING) {
        server_shard_move(server_shard, CMDI_SERVER_SHARD_ENDING);
    }
}

/* What calls still keep is their keepers' from here on, on whatever thread. */
static void server_shard_leave_account(struct cmdi_server_shard *server_shard)
{
    cmdi_arena_fini(&server_shard->arena);
    struct cmdi_pool *pool = NULL;
    for (uint32_t i = 0; (pool = server_shard_pool(server_shard, i)) != NULL; i++) {
        cmdi_pool_leave(pool);
    }
    cmdi_account_sub(&server_shard->shard->buffers.account, server_shard->kept_size);
}

static void server_shard_free(struct cmdi_server_shard *server_shard)
{
    struct cmdi_pool *pool = NULL;
    for (uint32_t i = 0; (pool = server_shard_pool(server_shard, i)) != NULL; i++) {
        cmdi_pool_fini(pool);
    }
    (void)pthread_mutex_destroy(&server_shard->lock);
    for (uint32_t i = 0; i < CMDI_INBOX_ROOMS; i++) {
        cmdi_inbox_room_fini(&server_shard->inbox_rooms[i]);
    }
    cmdi_server_core_unref(server_shard->core);
    free(server_shard);
}

void cmdi_server_shard_end(struct cmdi_server_shard *server_shard)
{
    CMDI_ASSERT(server_shard->state == CMDI_SERVER_SHARD_ENDING && !server_shard->ended);
    CMDI_ASSERT(cmdi_list_empty(&server_shard->connections) && server_shard->jobs == 0);
    CMDI_ASSERT(cmdi_list_empty(&server_shard->over));
    cmdi_list_remove(&server_shard->sweep.link); // It may have found that nothing is left.
    server_shard_leave_account(server_shard);
    cmdi_tally_end(&server_shard->tally);
    cmdi_meter_forget_types(&server_shard->shard->meter); // They may go with it.
    pthread_mutex_lock(&server_shard->lock);
    server_shard->ended = true;
    server_shard->orphans = server_shard->call_pool.live;
    bool last = server_shard->orphans == 0;
    pthread_mutex_unlock(&server_shard->lock);
    if (last) {
        server_shard_free(server_shard);
    }
}

void cmdi_server_shard_orphan_ended(
        struct cmdi_server_shard *server_shard, struct cmds_connection *connection)
{
    CMDI_ASSERT(server_shard->ended && server_shard->orphans > 0 && connection->in_flight > 0);
    if (--connection->in_flight == 0) {
        cmdi_inbox_fini(&connection->inbox);
        free(connection->tls_peer);
        cmdi_connection_forget_peer(connection);
    }
    bool last = --server_shard->orphans == 0;
    pthread_mutex_unlock(&server_shard->lock);
    if (last) {
        server_shard_free(server_shard);
    }
}

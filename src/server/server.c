/* SPDX-License-Identifier: MIT */
/*
 * A server's life: start, drain, close.
 *
 * Everything about a shard happens on it; these functions run on the caller's thread and wait for
 * the shards. The end comes in the order: no more accepts, connections closed, workers' calls back,
 * shards let go, memory freed.
 *
 * Why `drained` is set, and not too early. A connection counts from the moment in which its accept
 * takes a seat until it is closed, also while it travels to its shard, which closes it if it drains
 * by then. Shutdown first ends the accepts, then tells each shard, then moves to QUIET, and then looks
 * at the count; the last connection gives its seat back, and then looks at the state. Both do so in
 * sequentially consistent operations, so one of them sees that nothing is left.
 *
 * Why nothing of a server runs when it is freed. The deputy and the accepts have ended; each shard
 * has reported its end, which it does when no connection is in its list and no call of it in the
 * pool; and one more call to each shard has returned, so what was posted to an acceptor before has
 * run. What calls that are kept still need is counted by itself: the core by `refs`, a shard's part
 * by its orphans.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/error.h"
#include "net/address.h"
#include "ring/socket.h"
#include "ring/thread.h"
#include "server/call.h"
#include "server/listen.h"
#include "server/option_list.h"
#include "server/server.h"
#include "server/writable.h"
#include "shard/drive.h"

enum {
    SERVER_OTHER_FILES = 64,   // Open beside connections, about.
    SERVER_ROOM_MAX = 1 << 20, // Connections that room is made for: 8 MB of the kernel's memory.
};

/* --- News ----------------------------------------------------------------------------- */

static void server_set(_Atomic uint32_t *word)
{
    atomic_store(word, 1);
    cmdi_futex_wake(word, INT32_MAX);
}

// By state: those that may follow.
static const uint8_t server_moves[] = {
        [CMDI_SERVER_RUNNING] = 1 << CMDI_SERVER_DRAINING | 1 << CMDI_SERVER_CLOSING,
        [CMDI_SERVER_DRAINING] = 1 << CMDI_SERVER_QUIET | 1 << CMDI_SERVER_CLOSING,
        [CMDI_SERVER_QUIET] = 1 << CMDI_SERVER_CLOSING,
        [CMDI_SERVER_CLOSING] = 0,
};

static void server_count(struct cmds_server *server)
{
    server->is_counted = true;
    atomic_fetch_add(&server->runtime->serving, 1);
    atomic_store(&server->runtime->served, 1);
}

/* Several threads may want to drain it. Returns: this one is to do so. */
static bool server_move(struct cmds_server *server, enum cmdi_server_state next)
{
    uint32_t before = atomic_load(&server->state);
    while ((server_moves[before] & (1u << next)) != 0) {
        if (atomic_compare_exchange_weak(&server->state, &before, next)) {
            if (before == CMDI_SERVER_RUNNING && server->is_counted) {
                atomic_fetch_add(&server->runtime->leaving, 1);
                atomic_fetch_sub(&server->runtime->serving, 1);
            }
            return true;
        }
    }
    return false;
}

static void server_check_drained(struct cmds_server *server)
{
    if (atomic_load(&server->state) >= CMDI_SERVER_QUIET &&
            atomic_load(&server->connection_count) == 0) {
        server_set(&server->drained);
    }
}

/* --- What a server does for its parts --------------------------------------------------------- */

static void server_on_connection_closed(struct cmdi_server_shard *server_shard)
{
    struct cmds_server *server = server_shard->owner;
    uint32_t before = atomic_fetch_sub(&server_shard->shard->load, 1);
    CMDI_ASSERT(before > 0);
    cmdi_accept_give_seat(server);
    if (cmdi_server_shard_is_open(server_shard)) {
        cmdi_accept_tell_seat(server);
    }
    server_check_drained(server);
}

static void server_on_empty(struct cmdi_server_shard *server_shard)
{
    struct cmds_server *server = server_shard->owner;
    const struct cmds_server_options *options = &server->core->options;
    uint32_t index = server_shard->shard->index;
    CMDI_ASSERT(server_shard->state == CMDI_SERVER_SHARD_ENDING);
    CMDI_ASSERT(atomic_load(&server->state) == CMDI_SERVER_CLOSING);
    bool state_started = server_shard->state_started;
    void *shard_state = server_shard->shard_state;
    // Runs what cmds_call_after still has to run, which may look at the shard's state.
    cmdi_calls_end_timers(server_shard);
    cmdi_server_shard_end(server_shard);
    if (state_started && options->on_shard_stop != NULL) {
        options->on_shard_stop(options->receiver, index, shard_state);
    }
    if (atomic_fetch_sub(&server->shards_left, 1) == 1) {
        server_set(&server->shards_ended);
    }
}

static int server_push_job(
        struct cmdi_server_shard *server_shard, struct cmdi_job_queue *queue, struct cmdi_job *job)
{
    struct cmds_server *server = server_shard->owner;
    return cmdi_workers_push(&server->runtime->workers, queue, job);
}

static bool server_job_may_wait(struct cmdi_server_shard *server_shard)
{
    struct cmds_server *server = server_shard->owner;
    return cmdi_workers_may_wait(&server->runtime->workers);
}

static void server_job_waited(struct cmdi_server_shard *server_shard)
{
    struct cmds_server *server = server_shard->owner;
    cmdi_workers_waited(&server->runtime->workers);
}

static const struct cmdi_server_shard_ops server_shard_ops = {
        .on_connection_closed = server_on_connection_closed,
        .on_empty = server_on_empty,
        .push_job = server_push_job,
        .job_may_wait = server_job_may_wait,
        .job_waited = server_job_waited,
        .drain = cmdi_writable_drain,
};

/* --- Start ------------------------------------------------------------------------------------ */

struct server_shard_start {
    struct cmds_server *server;
    struct cmds_error *error;
    int code;
};

static void server_start_shard(struct cmdi_shard *shard, void *context)
{
    struct server_shard_start *start = context;
    struct cmds_server *server = start->server;
    const struct cmds_server_options *options = &server->core->options;
    struct cmdi_server_shard *server_shard =
            cmdi_server_shard_create(server->core, shard, &server_shard_ops, server);
    if (server_shard == NULL) {
        start->code = cmdi_fail(start->error, -ENOMEM, "no memory for shard %u", shard->index);
        return;
    }
    CMDI_ASSERT(shard->index == server->shard_count);
    server_shard->lane = &server->jobs;
    cmdi_server_shard_count_for(server_shard, server->scope, server->ledger);
    server->shards[shard->index] = server_shard;
    server->shard_count++;
    atomic_fetch_add(&server->shards_left, 1);
    if (options->on_shard_start != NULL) {
        start->code = options->on_shard_start(
                options->receiver, shard->index, &server_shard->shard_state);
        if (start->code < 0) {
            struct cmdi_code_text room;
            (void)cmdi_fail(start->error, start->code,
                    "on_shard_start failed on shard %u: it returned %s", shard->index,
                    cmdi_program_code(&room, start->code));
            return;
        }
    }
    server_shard->state_started = true;
}

struct server_acceptor_start {
    struct cmdi_acceptor *acceptor;
    int code;
};

static void server_start_acceptor(struct cmdi_shard *shard, void *context)
{
    (void)shard;
    struct server_acceptor_start *start = context;
    start->code = cmdi_acceptor_start(start->acceptor);
}

static int server_start_acceptors(struct cmds_server *server, struct cmds_error *error)
{
    int code = 0;
    for (uint32_t i = 0; i < server->acceptor_count && code == 0; i++) {
        struct server_acceptor_start start = {.acceptor = &server->acceptors[i]};
        cmdi_runtime_call(server->runtime, start.acceptor->listener.shard->index,
                server_start_acceptor, &start);
        code = start.code;
    }
    return code < 0 ? cmdi_fail(error, code, "no memory for a listener") : 0;
}

static int server_start_parts(struct cmds_server *server, struct cmds_error *error)
{
    struct cmds_runtime *runtime = server->runtime;
    struct cmds_server_options *options = &server->core->options;
    struct server_shard_start start = {.server = server, .error = error};
    uint32_t per_address = options->reuse_port ? runtime->shard_count : 1;
    server->acceptor_count_max = CMDI_ADDRESSES_OF_SERVER_MAX * per_address;
    server->scope = cmdi_scope_find(runtime, CMDI_SCOPE_SERVER, options->name);
    options->name = NULL; // Theirs. The scope has it.
    server->shards = calloc(runtime->shard_count, sizeof(struct cmdi_server_shard *));
    server->acceptors = calloc(server->acceptor_count_max, sizeof(*server->acceptors));
    bool has_scope = server->scope != NULL && cmdi_ledger_find(runtime, server->scope,
                                                      options->protocol, &server->ledger) == 0;
    if (!has_scope || server->shards == NULL || server->acceptors == NULL) {
        return cmdi_fail(error, -ENOMEM, "no memory for a server");
    }
    for (uint32_t i = 0; i < runtime->shard_count && start.code >= 0; i++) {
        cmdi_runtime_call(runtime, i, server_start_shard, &start);
    }
    int code = start.code < 0 ? start.code : cmdi_listen(server, error);
    if (code == 0) {
        uint32_t most = options->connection_count_max;
        uint32_t room = most < SERVER_ROOM_MAX ? most : SERVER_ROOM_MAX;
        cmdi_fd_expect(server->acceptors[0].listener.fd, room + SERVER_OTHER_FILES);
    }
    return code;
}

static void server_free(struct cmds_server *server)
{
    CMDI_ASSERT(atomic_load(&server->shards_left) == 0);
    CMDI_ASSERT(atomic_load(&server->deputy.state) == CMDI_DEPUTY_OFF);
    if (server->is_counted) {
        atomic_fetch_sub(&server->runtime->leaving, 1);
    }
    cmdi_server_core_unref(server->core);
    free(server->shards);
    free(server->acceptors);
    free(server);
}

static void server_end(struct cmds_server *server);

static void server_on_runtime_stop(struct cmdi_service *service)
{
    server_end(CMDI_CONTAINER(service, struct cmds_server, service));
}

int cmds_server_start(struct cmds_server **out, struct cmds_runtime *runtime,
        const struct cmds_server_options *options, struct cmds_error *error)
{
    int code = cmdi_runtime_may_block(runtime);
    if (code < 0) {
        return cmdi_fail(error, code, "%s",
                code == -EXDEV ? "another thread turns this inline runtime; start the server there"
                : code == -EDEADLK
                        ? "a server cannot be started from a shard: it waits for all of them"
                        : cmds_error_text(code));
    }
    struct cmds_server *server = calloc(1, sizeof(*server));
    if (server == NULL) {
        return cmdi_fail(error, -ENOMEM, "no memory for a server");
    }
    server->runtime = runtime;
    server->service.stop = server_on_runtime_stop;
    server->service.list_options = cmdi_server_list_options;
    cmdi_list_init(&server->service.link);
    cmdi_job_lane_init(&server->jobs);
    code = cmdi_server_core_create(&server->core, options, error);
    if (code < 0) {
        server_free(server);
        return code;
    }
    code = server_start_parts(server, error);
    if (code == 0) {
        code = server_start_acceptors(server, error);
        if (code == 0) {
            cmdi_deputy_start(server);
            server_count(server);
            code = cmdi_runtime_add(runtime, &server->service);
            code = code < 0 ? cmdi_fail(error, code, "the runtime is stopping") : 0;
        }
    } else {
        for (uint32_t i = 0; i < server->acceptor_count; i++) {
            cmdi_acceptor_close(&server->acceptors[i]);
        }
    }
    if (code < 0) {
        server_end(server);
        return code;
    }
    *out = server;
    return 0;
}

/* --- Drain and close -------------------------------------------------------------------------- */

static void server_stop_acceptor(struct cmdi_shard *shard, void *context)
{
    (void)shard;
    cmdi_acceptor_stop(context);
}

static void server_stop_acceptors(struct cmds_server *server)
{
    CMDI_ASSERT(atomic_load(&server->state) != CMDI_SERVER_RUNNING);
    cmdi_deputy_stop(server);
    for (uint32_t i = 0; i < server->acceptor_count; i++) {
        struct cmdi_acceptor *acceptor = &server->acceptors[i];
        cmdi_runtime_call(
                server->runtime, acceptor->listener.shard->index, server_stop_acceptor, acceptor);
        /* Deadlock and failed turns were ruled out by the callers; then it ends. */
        (void)cmdi_runtime_wait(server->runtime, &acceptor->closed, 0, CMDS_NEVER);
    }
}

static void server_drain_shard(struct cmdi_shard *shard, void *context)
{
    struct cmds_server *server = context;
    if (shard->index == 0) {
        uint32_t count = cmds_server_connection_count(server);
        cmdi_shard_log(shard, CMDS_REASON_DRAIN, CMDS_LOG_INFO,
                "a server drains: %u connection%s open", count, count == 1 ? " is" : "s are");
    }
    cmdi_server_shard_drain(server->shards[shard->index]);
}

/* All connections have ended. Returns: 0: in order. */
static int server_cut_code(const struct cmds_server *server)
{
    int code = 0;
    for (uint32_t i = 0; i < server->shard_count && code == 0; i++) {
        code = atomic_load(&server->shards[i]->cut_code);
    }
    return code;
}

int cmds_server_shutdown(struct cmds_server *server, uint32_t timeout_ms)
{
    int code = cmdi_runtime_may_block(server->runtime);
    if (code < 0) {
        return code;
    }
    if (server_move(server, CMDI_SERVER_DRAINING)) {
        server_stop_acceptors(server);
        for (uint32_t i = 0; i < server->shard_count; i++) {
            cmdi_runtime_call(server->runtime, i, server_drain_shard, server);
        }
        (void)server_move(server, CMDI_SERVER_QUIET); // Unless it is closing by now.
    }
    server_check_drained(server);
    code = cmdi_runtime_wait(server->runtime, &server->drained, 0, timeout_ms);
    return code < 0 ? code : server_cut_code(server);
}

static void server_close_shard(struct cmdi_shard *shard, void *context)
{
    struct cmds_server *server = context;
    cmdi_server_shard_close(server->shards[shard->index]);
}

static void server_nothing(struct cmdi_shard *shard, void *context)
{
    (void)shard;
    (void)context;
}

/* The caller owns the server, and it is in no list any more. */
static void server_end(struct cmds_server *server)
{
    bool closes = server_move(server, CMDI_SERVER_CLOSING);
    CMDI_ASSERT(closes);
    server_stop_acceptors(server);
    for (uint32_t i = 0; i < server->shard_count; i++) {
        cmdi_runtime_call(server->runtime, i, server_close_shard, server);
    }
    if (server->shard_count > 0) {
        (void)cmdi_runtime_wait(server->runtime, &server->shards_ended, 0, CMDS_NEVER);
    }
    for (uint32_t i = 0; i < server->shard_count; i++) {
        // Every mail posted to an acceptor has run by now.
        cmdi_runtime_call(server->runtime, i, server_nothing, NULL);
    }
    server_free(server);
}

void cmds_server_close(struct cmds_server *server)
{
    if (server == NULL || cmdi_runtime_may_block(server->runtime) < 0) {
        return;
    }
    if (cmdi_runtime_remove(server->runtime, &server->service)) {
        server_end(server);
    }
}

/* --- Small things ----------------------------------------------------------------------------- */

uint32_t cmds_server_connection_count(const struct cmds_server *server)
{
    return atomic_load(&server->connection_count);
}

CMDI_COUNTERS_MATCH(struct cmdi_server_counters, struct cmds_server_counters);

void cmds_server_stats(const struct cmds_server *server, struct cmds_server_counters *counters)
{
    struct cmds_server_counters sums = {0};
    for (uint32_t i = 0; i < server->shard_count; i++) {
        const struct cmdi_server_counters *block = &server->shards[i]->counters;
        cmdi_counters_add(&sums, block, sizeof(*block));
        sums.results_refused += atomic_load(&server->shards[i]->refused_elsewhere);
    }
    cmdi_counters_give(counters, &sums, sizeof(sums));
}

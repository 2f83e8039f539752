/* SPDX-License-Identifier: MIT */
/*
 * The server of the integration tests. Its exec functions run on shards and workers; what they
 * share is atomic.
 */
#include "support/world.h"

#include <errno.h>
#include <sys/resource.h>

static const struct cmds_type *const world_commands[] = {&echo_type, &run_type, &pool_type};
static const struct cmds_type *const world_results[] = {&echoed_type, &item_type, &note_type};
const struct cmds_protocol world_protocol = CMDS_PROTOCOL("world", world_commands, world_results);

static int world_echo(struct cmds_call *call, const struct echo *echo)
{
    struct world *world = cmds_call_receiver(call);
    struct echoed echoed = {echo->boolean, echo->int64, echo->string, echo->float64};
    atomic_fetch_add(&world->executed, 1);
    return cmds_call_send(call, echoed_message(&echoed));
}

static int world_run(struct cmds_call *call, const struct run *run)
{
    struct world *world = cmds_call_receiver(call);
    atomic_fetch_add(&world->executed, 1);
    int code = world->exec(call, run);
    atomic_fetch_add(&world->returned, 1);
    return code;
}

static int world_pool(struct cmds_call *call, const struct pool *pool)
{
    struct world *world = cmds_call_receiver(call);
    struct run run = {pool->what, pool->number, pool->text};
    atomic_fetch_add(&world->executed, 1);
    int code = world->exec(call, &run);
    atomic_fetch_add(&world->returned, 1);
    return code;
}

static const struct cmds_exec world_execs[] = {CMDS_EXEC(echo, world_echo),
        CMDS_EXEC(run, world_run), CMDS_EXEC_IN_POOL(pool, world_pool)};

static int world_on_connect(void *receiver, struct cmds_connection *connection)
{
    struct world *world = receiver;
    (void)connection;
    atomic_fetch_add(&world->connected, 1);
    return 0;
}

static void world_on_disconnect(
        void *receiver, struct cmds_connection *connection, const struct cmds_error *cause)
{
    struct world *world = receiver;
    (void)connection;
    atomic_store(&world->cause, cause->code);
    atomic_fetch_add(&world->disconnected, 1);
}

static void world_on_log(void *context, enum cmds_log_level level, const char *text)
{
    struct world *world = context;
    if (level < CMDS_LOG_WARN) {
        return; // That somebody came and went.
    }
    pthread_mutex_lock(&world->log_lock);
    uint32_t line = atomic_load(&world->log_count);
    (void)snprintf(world->log[line % WORLD_LOG_LINES], WORLD_LOG_SIZE, "%s", text);
    atomic_store(&world->log_count, line + 1);
    pthread_mutex_unlock(&world->log_lock);
}

void world_init(struct world *world)
{
    memset(world, 0, sizeof(*world));
    (void)pthread_mutex_init(&world->log_lock, NULL);
    world->runtime_options = (struct cmds_runtime_options)CMDS_RUNTIME_OPTIONS_INIT;
    world->runtime_options.shard_count = 2;
    world->runtime_options.on_log = world_on_log;
    world->runtime_options.log_context = world;
    world->options =
            (struct cmds_server_options)CMDS_SERVER_OPTIONS_INIT(&world_protocol, world_execs);
    world->options.listen = "127.0.0.1:0";
    world->options.receiver = world;
    world->options.on_connect = world_on_connect;
    world->options.on_disconnect = world_on_disconnect;
}

int world_start(struct world *world)
{
    int code = cmds_runtime_start(&world->runtime, &world->runtime_options, &world->error);
    if (code == 0) {
        code = cmds_server_start(&world->server, world->runtime, &world->options, &world->error);
    }
    if (code == 0) {
        code = cmds_server_address(world->server, 0, world->address, sizeof(world->address));
    }
    if (code < 0) {
        fprintf(stderr, "%s\n", world->error.text);
    }
    atomic_fetch_add(&world->executed, 0); // Exec functions, which add to it, see what is set here.
    return code;
}

void world_end_server(struct world *world)
{
    cmds_server_close(world->server);
    world->server = NULL;
}

int world_serve_again(struct world *world)
{
    uint64_t until_ms = raw_now_ms() + RAW_GUARD_MS;
    int code = 0;
    world->options.listen = world->address;
    do { // A socket of somebody else may have the port for a moment, as one to connect from.
        code = cmds_server_start(&world->server, world->runtime, &world->options, &world->error);
    } while (code == -EADDRINUSE && raw_now_ms() < until_ms);
    if (code < 0) {
        fprintf(stderr, "%s\n", world->error.text);
    }
    return code;
}

void world_stop(struct world *world)
{
    cmds_server_close(world->server);
    cmds_runtime_stop(world->runtime);
    world->server = NULL;
    world->runtime = NULL;
    (void)pthread_mutex_destroy(&world->log_lock);
}

struct cmds_runtime *world_turn(const struct world *world)
{
    return world->runtime_options.shard_count == CMDS_SHARDS_INLINE ? world->runtime : NULL;
}

bool world_connect(struct world *world, struct raw *raw)
{
    return raw_open(raw, world->address, 0, world_turn(world)) == 0 && raw_server_info(raw);
}

bool world_echoes(struct raw *raw, uint64_t sequence)
{
    struct echo echo = {true, (int64_t)sequence * -3, CMDS_STRING("alive"), 0.5};
    struct raw_frame frame;
    if (!raw_send(raw, sequence, echo_message(&echo)) || raw_read(raw, &frame) != RAW_FRAME ||
            frame.sequence != sequence) {
        return false;
    }
    struct echoed *echoed = raw_value(&frame, &echoed_type);
    bool same = echoed != NULL && echoed->boolean && echoed->int64 == echo.int64 &&
                cmds_string_equal(echoed->string, echo.string);
    free(echoed);
    return same;
}

struct world_stats world_stats(const struct world *world)
{
    struct cmds_runtime_counters runtime = CMDS_RUNTIME_COUNTERS_INIT;
    struct cmds_server_counters server = CMDS_SERVER_COUNTERS_INIT;
    struct world_stats stats;
    cmds_runtime_stats(world->runtime, &runtime);
    if (world->server != NULL) {
        cmds_server_stats(world->server, &server);
    }
#define WORLD_X_(kind, name, meaning) stats.name = runtime.name;
    CMDS_RUNTIME_COUNTERS(WORLD_X_)
#undef WORLD_X_
#define WORLD_X_(kind, name, meaning) stats.name = server.name;
    CMDS_SERVER_COUNTERS(WORLD_X_)
#undef WORLD_X_
    return stats;
}

uint32_t world_logged(struct world *world, const char *words)
{
    uint32_t count = 0;
    pthread_mutex_lock(&world->log_lock);
    for (uint32_t i = 0; i < world->log_count && i < WORLD_LOG_LINES; i++) {
        count += strstr(world->log[i], words) != NULL;
    }
    pthread_mutex_unlock(&world->log_lock);
    return count;
}

int world_send_item(struct cmds_call *call, int64_t index, bool last)
{
    struct item item = {.index = index, .last = last};
    return cmds_call_send(call, item_message(&item));
}

int64_t world_read_item(struct raw *raw, uint64_t *sequence, bool *last)
{
    struct raw_frame frame;
    *sequence = 0;
    *last = false;
    if (raw_read(raw, &frame) != RAW_FRAME) {
        return INT64_MIN;
    }
    *sequence = frame.sequence;
    struct item *item = raw_value(&frame, &item_type);
    int64_t index = item != NULL ? item->index : INT64_MIN;
    *last = item != NULL && item->last;
    free(item);
    return index;
}

uint32_t world_fit_connections(uint32_t wanted)
{
    enum {
        SPARE_FDS = 200, // Of the test itself.
    };
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) {
        return 0;
    }
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit); // As far as it goes: looked at below.
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    uint64_t fit = limit.rlim_cur > SPARE_FDS ? (limit.rlim_cur - SPARE_FDS) / 2 : 0;
    if (fit < wanted) {
        printf("***** only %llu connections instead of %u: ulimit -n *****\n",
                (unsigned long long)fit, wanted);
    }
    return fit < wanted ? (uint32_t)fit : wanted;
}

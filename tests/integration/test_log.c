/* SPDX-License-Identifier: MIT */
/*
 * What a server writes into its log, as records. What may go wrong: a line that does not say whom it
 * is about, or says another one; a line for each of a thousand connections; none for a drain.
 */
#include <errno.h>

#include "support/world.h"

enum {
    RECORDS_MAX = 64,
    TEXT_MAX = 128,
};

struct kept {
    struct cmds_log_record record;
    char text[TEXT_MAX], peer[TEXT_MAX], type[TEXT_MAX];
};

struct scene {
    struct world world;
    pthread_mutex_t lock;
    struct kept kept[RECORDS_MAX];
    _Atomic uint32_t count;
};

static void scene_on_record(void *context, const struct cmds_log_record *record)
{
    struct scene *scene = context;
    pthread_mutex_lock(&scene->lock);
    uint32_t count = atomic_load(&scene->count);
    if (count < RECORDS_MAX) {
        struct kept *kept = &scene->kept[count];
        kept->record = *record;
        (void)snprintf(kept->text, TEXT_MAX, "%s", record->text);
        (void)snprintf(kept->peer, TEXT_MAX, "%s", record->peer != NULL ? record->peer : "");
        (void)snprintf(kept->type, TEXT_MAX, "%s", record->type != NULL ? record->type : "");
        atomic_store(&scene->count, count + 1);
    }
    pthread_mutex_unlock(&scene->lock);
}

/* The first one of this reason; NULL: there is none yet. */
static const struct kept *scene_find(struct scene *scene, enum cmds_log_reason reason)
{
    const struct kept *found = NULL;
    pthread_mutex_lock(&scene->lock);
    for (uint32_t i = 0; i < atomic_load(&scene->count) && found == NULL; i++) {
        found = scene->kept[i].record.reason == reason ? &scene->kept[i] : NULL;
    }
    pthread_mutex_unlock(&scene->lock);
    return found;
}

static struct scene *scene_start(void)
{
    struct scene *scene = calloc(1, sizeof(*scene));
    CU_ASSERT_PTR_NOT_NULL_FATAL(scene);
    (void)pthread_mutex_init(&scene->lock, NULL);
    world_init(&scene->world);
    scene->world.runtime_options.shard_count = 1;
    scene->world.runtime_options.on_record = scene_on_record;
    scene->world.runtime_options.record_context = scene;
    return scene;
}

static void scene_end(struct scene *scene)
{
    world_stop(&scene->world);
    (void)pthread_mutex_destroy(&scene->lock);
    free(scene);
}

static void test_log_a_connection_comes_and_goes(void)
{
    struct scene *scene = scene_start();
    struct raw raw;
    CU_ASSERT_FATAL(world_start(&scene->world) == 0 && world_connect(&scene->world, &raw));
    WORLD_UNTIL(&scene->world, scene_find(scene, CMDS_REASON_CONNECT) != NULL);
    const struct kept *came = scene_find(scene, CMDS_REASON_CONNECT);
    CU_ASSERT_EQUAL(came->record.level, CMDS_LOG_INFO);
    CU_ASSERT(came->record.connection != 0);
    CU_ASSERT_EQUAL(strncmp(came->peer, "127.0.0.1:", 10), 0);

    raw_close(&raw);

    WORLD_UNTIL(&scene->world, scene_find(scene, CMDS_REASON_DISCONNECT) != NULL);
    const struct kept *went = scene_find(scene, CMDS_REASON_DISCONNECT);
    CU_ASSERT_EQUAL(went->record.level, CMDS_LOG_INFO);
    CU_ASSERT_EQUAL(went->record.code, 0);
    CU_ASSERT_EQUAL(went->record.connection, came->record.connection);
    CU_ASSERT_STRING_EQUAL(went->peer, came->peer);
    scene_end(scene);
}

static int exec_fails(struct cmds_call *call, const struct run *run)
{
    (void)call;
    (void)run;
    return -EBADMSG;
}

static void test_log_a_command_that_fails_is_named(void)
{
    struct run run = {0};
    struct scene *scene = scene_start();
    struct raw raw;
    scene->world.exec = exec_fails;
    CU_ASSERT_FATAL(world_start(&scene->world) == 0 && world_connect(&scene->world, &raw));

    CU_ASSERT(raw_send(&raw, 42, run_message(&run)));

    WORLD_UNTIL(&scene->world, scene_find(scene, CMDS_REASON_EXEC) != NULL);
    const struct kept *failed = scene_find(scene, CMDS_REASON_EXEC);
    CU_ASSERT_EQUAL(failed->record.level, CMDS_LOG_WARN);
    CU_ASSERT_EQUAL(failed->record.code, -EBADMSG);
    CU_ASSERT_EQUAL(failed->record.sequence, 42);
    CU_ASSERT_STRING_EQUAL(failed->type, "run");
    CU_ASSERT_EQUAL(strncmp(failed->peer, "127.0.0.1:", 10), 0);
    CU_ASSERT(failed->record.connection != 0);
    raw_close(&raw);
    scene_end(scene);
}

/* Whatever code the program has chosen, it is told apart from an end that the peer has made. */
static int exec_fails_as_a_reset(struct cmds_call *call, const struct run *run)
{
    (void)call;
    (void)run;
    return -ECONNRESET;
}

static void test_log_a_connection_that_an_exec_function_ends_has_its_own_reason(void)
{
    struct run run = {0};
    struct scene *scene = scene_start();
    struct raw raw, other;
    scene->world.exec = exec_fails_as_a_reset;
    CU_ASSERT_FATAL(world_start(&scene->world) == 0 && world_connect(&scene->world, &raw));
    CU_ASSERT_FATAL(world_connect(&scene->world, &other));

    CU_ASSERT(raw_send(&raw, 42, run_message(&run)));
    WORLD_UNTIL(&scene->world, scene_find(scene, CMDS_REASON_EXEC_CLOSE) != NULL);
    const struct kept *closed = scene_find(scene, CMDS_REASON_EXEC_CLOSE);
    CU_ASSERT_EQUAL(closed->record.level, CMDS_LOG_WARN);
    CU_ASSERT_EQUAL(closed->record.code, -ECONNRESET);
    CU_ASSERT_EQUAL(world_stats(&scene->world).exec_closes, 1);

    raw_abort(&other);
    WORLD_UNTIL(&scene->world, scene_find(scene, CMDS_REASON_DISCONNECT) != NULL);
    CU_ASSERT_PTR_NULL(scene_find(scene, CMDS_REASON_OTHER));
    CU_ASSERT_EQUAL(world_stats(&scene->world).exec_closes, 1);
    CU_ASSERT_STRING_EQUAL(cmds_log_reason_name(CMDS_REASON_EXEC_CLOSE), "exec_close");
    raw_close(&raw);
    scene_end(scene);
}

/* Of several that fail on workers only the first one closes it: it stays the reason. */
static void test_log_several_exec_functions_that_fail_are_one_reason(void)
{
    struct pool pool = {0};
    struct scene *scene = scene_start();
    struct raw raw;
    scene->world.exec = exec_fails_as_a_reset;
    CU_ASSERT_FATAL(world_start(&scene->world) == 0 && world_connect(&scene->world, &raw));

    for (uint64_t sequence = 1; sequence <= 8; sequence++) {
        CU_ASSERT(raw_send(&raw, sequence, pool_message(&pool)));
    }
    WORLD_UNTIL(&scene->world, world_stats(&scene->world).connections_closed == 1);
    CU_ASSERT_PTR_NOT_NULL(scene_find(scene, CMDS_REASON_EXEC_CLOSE));
    CU_ASSERT_PTR_NULL(scene_find(scene, CMDS_REASON_OTHER));
    CU_ASSERT_EQUAL(world_stats(&scene->world).exec_closes, 1);
    raw_close(&raw);
    scene_end(scene);
}

/* By its trace and span, so that the line is found from the trace, and the other way round. */
static void test_log_a_sampled_command_that_fails_is_found(void)
{
    struct cmds_trace_options trace = CMDS_TRACE_OPTIONS_INIT;
    struct cmds_span span;
    uint32_t taken = 0;
    struct run run = {0};
    struct scene *scene = scene_start();
    struct raw raw;
    trace.span_count = 16;
    scene->world.runtime_options.trace = &trace;
    scene->world.exec = exec_fails;
    CU_ASSERT_FATAL(world_start(&scene->world) == 0 && world_connect(&scene->world, &raw));

    CU_ASSERT(raw_send(&raw, 1, run_message(&run)));

    WORLD_UNTIL(&scene->world, scene_find(scene, CMDS_REASON_EXEC) != NULL);
    WORLD_UNTIL(&scene->world, (taken += cmds_span_take(scene->world.runtime, &span, 1)) == 1);
    const struct kept *failed = scene_find(scene, CMDS_REASON_EXEC);
    CU_ASSERT_EQUAL(memcmp(failed->record.trace_id, span.trace_id, sizeof(span.trace_id)), 0);
    CU_ASSERT_EQUAL(memcmp(failed->record.span_id, span.span_id, sizeof(span.span_id)), 0);
    raw_close(&raw);
    scene_end(scene);
}

static void test_log_a_drain_is_announced(void)
{
    struct scene *scene = scene_start();
    struct raw raw;
    CU_ASSERT_FATAL(world_start(&scene->world) == 0 && world_connect(&scene->world, &raw));

    CU_ASSERT_EQUAL(cmds_server_shutdown(scene->world.server, RAW_GUARD_MS), 0);

    const struct kept *drain = scene_find(scene, CMDS_REASON_DRAIN);
    CU_ASSERT_PTR_NOT_NULL_FATAL(drain);
    CU_ASSERT_EQUAL(drain->record.level, CMDS_LOG_INFO);
    CU_ASSERT_STRING_EQUAL(drain->text, "a server drains: 1 connection is open");
    raw_close(&raw);
    scene_end(scene);
}

static void test_log_the_level_changes_while_it_runs(void)
{
    struct scene *scene = scene_start();
    struct raw raw;
    CU_ASSERT_FATAL(world_start(&scene->world) == 0);
    struct cmds_runtime *runtime = scene->world.runtime;
    CU_ASSERT_EQUAL(cmds_runtime_log_level(runtime), CMDS_LOG_DEBUG);
    CU_ASSERT_EQUAL(cmds_runtime_set_log_level(runtime, CMDS_LOG_ERROR + 1), -EINVAL);
    CU_ASSERT_EQUAL(cmds_runtime_set_log_level(runtime, CMDS_LOG_WARN), 0);
    CU_ASSERT_EQUAL(cmds_runtime_log_level(runtime), CMDS_LOG_WARN);

    CU_ASSERT_FATAL(world_connect(&scene->world, &raw));
    // A warning, behind what there would be to say.
    CU_ASSERT(raw_write_hex(&raw, "ffffffffffffffffffffffff"));
    WORLD_UNTIL(&scene->world, scene_find(scene, CMDS_REASON_PROTO) != NULL);
    raw_close(&raw);
    CU_ASSERT_PTR_NULL(scene_find(scene, CMDS_REASON_CONNECT));

    CU_ASSERT_EQUAL(cmds_runtime_set_log_level(runtime, CMDS_LOG_INFO), 0);
    CU_ASSERT_FATAL(world_connect(&scene->world, &raw));
    CU_ASSERT_PTR_NOT_NULL(scene_find(scene, CMDS_REASON_CONNECT));
    raw_close(&raw);
    scene_end(scene);
}

static void test_log_takes_lines_of_the_program(void)
{
    struct scene *scene = scene_start();
    CU_ASSERT_FATAL(world_start(&scene->world) == 0);
    struct cmds_runtime *runtime = scene->world.runtime;
    struct cmds_log_record record = CMDS_LOG_RECORD_INIT;
    record.level = CMDS_LOG_INFO;
    record.reason = CMDS_REASON_ADMIN;
    record.peer = "unix:pid 7";
    record.left_out = 9; // Not the caller's to say.

    CU_ASSERT_EQUAL(cmds_runtime_log(runtime, NULL), -EINVAL);
    CU_ASSERT_EQUAL(cmds_runtime_log(runtime, &record), -EINVAL); // No text.
    record.text = "one\x1b[2J";
    for (uint32_t i = 0; i < 3; i++) { // No second passes, and each is written.
        CU_ASSERT_EQUAL(cmds_runtime_log(runtime, &record), 0);
    }
    CU_ASSERT_EQUAL(cmds_runtime_set_log_level(runtime, CMDS_LOG_WARN), 0);
    CU_ASSERT_EQUAL(cmds_runtime_log(runtime, &record), 0); // Nobody wants it.
    record.level = CMDS_LOG_ERROR + 1;
    CU_ASSERT_EQUAL(cmds_runtime_log(runtime, &record), -EINVAL);
    record.level = CMDS_LOG_ERROR;
    record.struct_size = sizeof(record) - 1;
    CU_ASSERT_EQUAL(cmds_runtime_log(runtime, &record), -EINVAL);

    CU_ASSERT_EQUAL(atomic_load(&scene->count), 3);
    const struct kept *kept = scene_find(scene, CMDS_REASON_ADMIN);
    CU_ASSERT_PTR_NOT_NULL_FATAL(kept);
    CU_ASSERT_STRING_EQUAL(kept->text, "one?[2J");
    CU_ASSERT_STRING_EQUAL(kept->peer, record.peer);
    CU_ASSERT(kept->record.level == CMDS_LOG_INFO && kept->record.left_out == 0);
    CU_ASSERT(kept->record.time_ns > 0);
    scene_end(scene);
}

enum {
    CROWD = 200,
};

static void test_log_a_crowd_is_a_line_a_second(void)
{
    struct scene *scene = scene_start();
    CU_ASSERT_FATAL(world_start(&scene->world) == 0);
    uint64_t start_ms = raw_now_ms();
    for (uint32_t i = 0; i < CROWD; i++) {
        struct raw raw;
        CU_ASSERT_FATAL(world_connect(&scene->world, &raw));
        raw_close(&raw);
    }
    uint64_t seconds = (raw_now_ms() - start_ms) / 1000;
    uint32_t lines = 0, left_out = 0;

    for (uint32_t i = 0; i < atomic_load(&scene->count); i++) {
        bool is_connect = scene->kept[i].record.reason == CMDS_REASON_CONNECT;
        lines += is_connect;
        left_out += is_connect ? scene->kept[i].record.left_out : 0;
    }
    CU_ASSERT(lines >= 1 && lines <= seconds + 2);
    CU_ASSERT(lines + left_out <= CROWD);
    scene_end(scene);
}

CU_TestInfo test_log[] = {
        {"a connection comes and goes", test_log_a_connection_comes_and_goes},
        {"a command that fails is named", test_log_a_command_that_fails_is_named},
        {"a connection that an exec function ends has its own reason",
                test_log_a_connection_that_an_exec_function_ends_has_its_own_reason},
        {"several exec functions that fail are one reason",
                test_log_several_exec_functions_that_fail_are_one_reason},
        {"a sampled command that fails is found", test_log_a_sampled_command_that_fails_is_found},
        {"a drain is announced", test_log_a_drain_is_announced},
        {"the level changes while it runs", test_log_the_level_changes_while_it_runs},
        {"takes lines of the program", test_log_takes_lines_of_the_program},
        {"a crowd is a line a second", test_log_a_crowd_is_a_line_a_second},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("log", test_log)

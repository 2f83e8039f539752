/* SPDX-License-Identifier: MIT */
/*
 * A child that is forked while another thread holds a lock of telemetry. Nobody gives the lock back there,
 * so whoever takes it waits for ever: what a child may call takes none that a thread of its parent has.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmdstream/breaker.h>
#include <cmdstream/client.h>
#include <cmdstream/log.h>
#include <cmdstream/telemetry.h>
#include <cmdstream/trace.h>

#include "group/group.h"
#include "shard/spans.h"
#include "support/world.h"
#include "telemetry/scope.h"

enum {
    HANGS_S = 60, // After so long a child is taken for one that hangs.
    FORKS = 64,   // Each of them has one chance in a few to meet a lock that is held.
};

struct family {
    struct world world;
    struct cmds_group *group;
    uint32_t metric;
    _Atomic uint32_t over;
};

/* Returns: what `fn` has returned in a child; not 0 as well if it hangs. */
static int in_child(int (*fn)(struct family *family), struct family *family)
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        (void)alarm(HANGS_S);
        _exit(fn(family));
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid ? status : -1;
}

static void family_start(struct family *family)
{
    struct cmds_trace_options trace = CMDS_TRACE_OPTIONS_INIT;
    struct cmds_group_options group = CMDS_GROUP_OPTIONS_INIT(&world_protocol);
    struct cmds_metric_options metric = CMDS_METRIC_OPTIONS_INIT;
    const struct cmds_breaker_options breaker = CMDS_BREAKER_OPTIONS_INIT;
    trace.span_count = 16;
    metric.name = "test.size";
    metric.unit = "By";
    metric.kind = CMDS_METRIC_HISTOGRAM;
    world_init(&family->world);
    family->world.runtime_options.trace = &trace;
    CU_ASSERT_FATAL(world_start(&family->world) == 0);
    group.connect = family->world.address;
    group.endpoint_breaker = &breaker;
    CU_ASSERT_FATAL(cmds_group_open(&family->group, family->world.runtime, &group, NULL) == 0);
    CU_ASSERT_FATAL(cmds_metric_define(family->world.runtime, &metric, &family->metric) == 0);
    atomic_store(&family->over, 0);
}

static void family_stop(struct family *family)
{
    cmds_group_close(family->group, NULL, NULL);
    world_stop(&family->world);
}

/* --- Settings ----------------------------------------------------------------------------------- */

static int child_sets_the_log_level(struct family *family)
{
    struct cmds_runtime *runtime = family->world.runtime;
    int code = cmds_runtime_set_log_level(runtime, CMDS_LOG_ERROR);
    struct cmds_log_record record = CMDS_LOG_RECORD_INIT;
    record.level = CMDS_LOG_ERROR;
    record.text = "from a child";
    return code == CMDS_E_FORKED && cmds_runtime_log_level(runtime) == CMDS_LOG_INFO &&
                           cmds_runtime_log(runtime, &record) == CMDS_E_FORKED
                   ? 0
                   : 1;
}

static void test_fork_leaves_the_log_level_alone(void)
{
    static struct family family;
    family_start(&family);
    CU_ASSERT_EQUAL(cmds_runtime_set_log_level(family.world.runtime, CMDS_LOG_INFO), 0);
    CU_ASSERT_EQUAL(in_child(child_sets_the_log_level, &family), 0);
    CU_ASSERT_EQUAL(cmds_runtime_log_level(family.world.runtime), CMDS_LOG_INFO);
    family_stop(&family);
}

/* --- Locks that are held for sure ------------------------------------------------------------- */

static void on_no_result(void *context, const struct cmds_result *result)
{
    (void)context;
    (void)result;
}

static int child_sends_and_opens(struct family *family)
{
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(&world_protocol);
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    struct echo echo = {.string = CMDS_STRING("")};
    const struct cmds_trace none = {.flags = 0}; // So a new one would begin.
    struct cmds_group *group = NULL;
    options.connect = family->world.address;
    how.trace = &none;
    int sent = cmds_group_send(family->group, echo_message(&echo), &how, on_no_result, NULL);
    int opened = cmds_group_open(&group, family->world.runtime, &options, NULL);
    return sent == CMDS_E_FORKED && opened == CMDS_E_FORKED ? 0 : 1;
}

static int child_asks_how_it_ended(struct family *family)
{
    int code = cmds_group_error(family->group, NULL);
    return cmds_group_done(family->group) && code == CMDS_E_FORKED ? 0 : 1;
}

static int child_looks(struct family *family)
{
    struct cmds_connection_info connection = CMDS_CONNECTION_INFO_INIT;
    struct cmds_endpoint_state endpoint = CMDS_ENDPOINT_STATE_INIT;
    bool refused = cmds_group_connection(family->group, 0, &connection) == CMDS_E_FORKED &&
                   cmds_group_endpoint(family->group, 0, &endpoint) == CMDS_E_FORKED;
    return refused && cmds_group_endpoint_count(family->group) == 0 ? 0 : 1;
}

static int child_moves_a_breaker(struct family *family)
{
    struct cmds_breaker_info info = CMDS_BREAKER_INFO_INIT;
    struct cmds_group *group = family->group;
    bool refused = cmds_group_endpoint_breaker(group, 1, &info) == CMDS_E_FORKED &&
                   cmds_group_endpoint_breaker_open(group, 1) == CMDS_E_FORKED &&
                   cmds_group_endpoint_breaker_reset(group, 1) == CMDS_E_FORKED;
    return refused ? 0 : 1;
}

static int child_pauses(struct family *family)
{
    bool refused = cmds_group_pause(family->group, 0) == CMDS_E_FORKED &&
                   cmds_group_resume(family->group, 0) == CMDS_E_FORKED;
    return refused ? 0 : 1;
}

static int child_forgets(struct family *family)
{
    int code = cmds_group_forget(family->group, (struct cmds_ticket){1});
    return code == CMDS_E_FORKED ? 0 : 1;
}

static void test_fork_under_the_lock_of_a_group(void)
{
    struct family family;
    family_start(&family);
    pthread_mutex_lock(&family.group->lock);

    CU_ASSERT_EQUAL(in_child(child_asks_how_it_ended, &family), 0);
    CU_ASSERT_EQUAL(in_child(child_forgets, &family), 0);
    CU_ASSERT_EQUAL(in_child(child_looks, &family), 0);
    CU_ASSERT_EQUAL(in_child(child_pauses, &family), 0);

    pthread_mutex_unlock(&family.group->lock);
    pthread_mutex_lock(&family.group->endpoints.lock);

    CU_ASSERT_EQUAL(in_child(child_looks, &family), 0);
    CU_ASSERT_EQUAL(in_child(child_moves_a_breaker, &family), 0);

    pthread_mutex_unlock(&family.group->endpoints.lock);
    family_stop(&family);
}

/* --- What both have --------------------------------------------------------------------------- */

static _Atomic(struct cmds_connection *) caller; // Who has sent the last `run`.

static int exec_remembers(struct cmds_call *call, const struct run *run)
{
    (void)run;
    atomic_store(&caller, cmds_call_connection(call));
    return world_send_item(call, 0, true);
}

static void on_item(void *context, const struct cmds_result *result)
{
    struct family *family = context;
    atomic_fetch_add(&family->over, result->error == 0 && result->last ? 1 : 1000);
}

static int child_closes_a_connection(struct family *family)
{
    (void)family;
    cmds_connection_close(atomic_load(&caller));
    return 0;
}

/* Its socket is the child's as well: a shutdown there would end it here. */
static void test_fork_closes_no_connection_of_the_parent(void)
{
    struct family family;
    family_start(&family);
    family.world.exec = exec_remembers;
    struct run run = {.text = CMDS_STRING("")};
    CU_ASSERT_EQUAL(cmds_group_send(family.group, run_message(&run), NULL, on_item, &family), 0);
    WORLD_UNTIL(&family.world, atomic_load(&family.over) == 1);

    CU_ASSERT_EQUAL(in_child(child_closes_a_connection, &family), 0);

    CU_ASSERT_EQUAL(cmds_group_send(family.group, run_message(&run), NULL, on_item, &family), 0);
    WORLD_UNTIL(&family.world, atomic_load(&family.over) >= 2);
    CU_ASSERT_EQUAL(atomic_load(&family.over), 2);
    CU_ASSERT_EQUAL(atomic_load(&family.world.disconnected), 0);
    family_stop(&family);
}

static void test_fork_under_locks_of_telemetry(void)
{
    struct family family;
    family_start(&family);
    struct cmdi_telemetry *telemetry = cmdi_telemetry_of(family.world.runtime);
    pthread_mutex_lock(&family.world.runtime->spans->lock);
    pthread_mutex_lock(&telemetry->lock);

    CU_ASSERT_EQUAL(in_child(child_sends_and_opens, &family), 0);

    pthread_mutex_unlock(&telemetry->lock);
    pthread_mutex_unlock(&family.world.runtime->spans->lock);
    family_stop(&family);
}

/* --- Locks that other threads take all the time ----------------------------------------------- */

static void *say_and_record(void *context)
{
    struct family *family = context;
    enum cmds_log_level all = CMDS_LOG_DEBUG;
    while (atomic_load(&family->over) == 0) {
        for (uint32_t i = 0; i < 16; i++) {
            cmds_metric_record(family->world.runtime, family->metric, i);
        }
        cmds_log_stderr(&all, CMDS_LOG_DEBUG, "");
    }
    return NULL;
}

static int child_says_and_records(struct family *family)
{
    enum cmds_log_level all = CMDS_LOG_DEBUG;
    cmds_log_stderr(&all, CMDS_LOG_DEBUG, "");
    cmds_metric_record(family->world.runtime, family->metric, 1);
    return 0;
}

static void test_fork_while_others_say_and_record(void)
{
    struct family family;
    pthread_t threads[2];
    family_start(&family);
    int before = dup(STDERR_FILENO);
    CU_ASSERT_FATAL(before >= 0 && freopen("/dev/null", "w", stderr) != NULL);
    for (int i = 0; i < 2; i++) {
        CU_ASSERT_FATAL(pthread_create(&threads[i], NULL, say_and_record, &family) == 0);
    }

    int status = 0;
    for (uint32_t i = 0; i < FORKS && status == 0; i++) {
        status = in_child(child_says_and_records, &family);
    }

    atomic_store(&family.over, 1);
    for (int i = 0; i < 2; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    (void)dup2(before, STDERR_FILENO);
    (void)close(before);
    CU_ASSERT_EQUAL(status, 0);
    family_stop(&family);
}

CU_TestInfo test_fork[] = {
        {"leaves the log level alone", test_fork_leaves_the_log_level_alone},
        {"closes no connection of the parent", test_fork_closes_no_connection_of_the_parent},
        {"under the lock of a group", test_fork_under_the_lock_of_a_group},
        {"under locks of telemetry", test_fork_under_locks_of_telemetry},
        {"while others say and record", test_fork_while_others_say_and_record},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("fork", test_fork)

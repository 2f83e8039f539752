/* SPDX-License-Identifier: MIT */
/*
 * A shard that is late: held up by an exec function or a callback, or not turned. Meanwhile limits
 * have passed and peers were in time, with what they sent in the kernel. Nobody may be judged
 * before that was looked at: no peer cut, no answer taken for none, no server for dead.
 */
#include <sys/resource.h>

#include "support/answers.h"
#include "support/hold.h"
#include "support/world.h"

enum {
    PEERS = 400, // More than one enter of the kernel looks at.
    LIMIT_MS = 3000,
    HELD_MS = LIMIT_MS + 500,
};

/* Holds its shard up until the test says so. */
static int exec_hold(struct cmds_call *call, const struct run *run)
{
    (void)run;
    hold_here(NULL);
    return world_send_item(call, 1, true);
}

static void hold_for(uint64_t ms)
{
    uint64_t until_ms = raw_now_ms() + ms;
    while (raw_now_ms() < until_ms) {
        raw_pause(NULL);
    }
    hold_end();
}

static void more_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < 2 * PEERS + 100) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* Every peer says `before`, then the shard is held up, and they say `meanwhile`. */
static void check_held_server(
        struct world *world, const char *before, const char *meanwhile, const char *answer)
{
    static struct raw peers[PEERS];
    struct raw holder;
    struct run run = {0};
    hold_begin();
    more_descriptors();
    world->runtime_options.shard_count = 1;
    world->exec = exec_hold;
    CU_ASSERT_FATAL(world_start(world) == 0);
    for (int i = 0; i < PEERS; i++) {
        CU_ASSERT_FATAL(world_connect(world, &peers[i]));
    }
    uint64_t received = world_stats(world).recv_bytes;
    for (int i = 0; i < PEERS; i++) {
        CU_ASSERT_FATAL(raw_write_hex(&peers[i], before));
    }
    WORLD_UNTIL(world, world_stats(world).recv_bytes == received + PEERS * strlen(before) / 2);
    CU_ASSERT_FATAL(world_connect(world, &holder) && raw_send(&holder, 1, run_message(&run)));
    WORLD_UNTIL(world, hold_is_on());
    for (int i = 0; i < PEERS; i++) {
        CU_ASSERT_FATAL(raw_write_hex(&peers[i], meanwhile));
    }

    hold_for(HELD_MS);

    for (int i = 0; i < PEERS; i++) {
        CU_ASSERT(raw_expect_hex(&peers[i], answer));
        raw_close(&peers[i]);
    }
    CU_ASSERT_EQUAL(world_stats(world).idle_closes + world_stats(world).frame_timeouts, 0);
    raw_close(&holder);
    world_stop(world);
}

static void test_late_peers_that_were_not_idle_stay(void)
{
    struct world world;
    world_init(&world);
    world.options.idle_timeout_ms = LIMIT_MS;
    check_held_server(&world, "00", "00", "0000");
}

static void test_late_frames_that_got_whole_count(void)
{
    struct world world;
    world_init(&world);
    world.options.frame_timeout_ms = LIMIT_MS;
    check_held_server(&world, "01000f94c3fba2", "6869cb3ff8000000000000", WORLD_ECHO_HEX);
}

static void test_late_inline_runtime_that_was_not_turned(void)
{
    struct world world;
    struct raw raw;
    world_init(&world);
    world.runtime_options.shard_count = CMDS_SHARDS_INLINE;
    world.options.idle_timeout_ms = 500;
    CU_ASSERT_FATAL(world_start(&world) == 0 && world_connect(&world, &raw));

    CU_ASSERT_FATAL(raw_write_hex(&raw, "00"));
    hold_for(1500); // Nobody turns it.

    CU_ASSERT(raw_expect_hex(&raw, "00"));
    CU_ASSERT(world_echoes(&raw, 1));
    CU_ASSERT_EQUAL(world_stats(&world).idle_closes, 0);
    raw_close(&raw);
    world_stop(&world);
}

/* --- A client that is held up by a callback --------------------------------------------------- */

static void answer_later(struct cmds_call *call)
{
    (void)world_send_item(call, 7, true);
}

static int exec_later(struct cmds_call *call, const struct run *run)
{
    return cmds_call_after(call, (uint32_t)run->number, answer_later);
}

/*
 * The answers come while the callback runs; when it returns the deadline is over, a ping is due,
 * and so is the pong of one that has not left.
 */
static void test_late_client_finds_its_answers_and_its_server(void)
{
    struct world world;
    struct cmds_runtime *runtime = NULL;
    struct cmds_group *group = NULL;
    struct answers *answers = answers_new();
    struct cmds_runtime_options runtime_options = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(&world_protocol);
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    struct run run = {.number = 300};
    world_init(&world);
    world.exec = exec_later;
    CU_ASSERT_FATAL(world_start(&world) == 0);
    runtime_options.shard_count = 1;
    options.connect = world.address;
    options.keepalive_ms = 400;
    options.keepalive_interval_ms = 200;
    how.deadline_ms = 1500;
    CU_ASSERT_FATAL(cmds_runtime_start(&runtime, &runtime_options, NULL) == 0);
    CU_ASSERT_FATAL(cmds_group_open(&group, runtime, &options, NULL) == 0);
    CU_ASSERT_FATAL(cmds_group_wait(group, RAW_GUARD_MS, NULL) == 0);
    hold_begin();

    for (int i = 0; i < 500; i++) { // More than a turn's budget of frames.
        CU_ASSERT_EQUAL(cmds_group_send(group, run_message(&run), &how, answers_take, answers), 0);
    }
    WORLD_UNTIL(&world, atomic_load(&world.executed) == 500);
    CU_ASSERT_FATAL(cmds_runtime_post(runtime, 0, hold_here, NULL) == 0);
    WORLD_UNTIL(&world, hold_is_on() && world_stats(&world).results_sent >= 500);
    hold_for(2500);

    WORLD_UNTIL(&world, atomic_load(&answers->last_count) == 500);
    CU_ASSERT_EQUAL(atomic_load(&answers->good_count), 500);
    CU_ASSERT_EQUAL(cmds_group_connected(group), 1);
    cmds_group_close(group, NULL, NULL);
    cmds_runtime_stop(runtime);
    world_stop(&world);
    answers_free(answers);
}

static CU_TestInfo tests[] = {
        {"peers that were not idle stay", test_late_peers_that_were_not_idle_stay},
        {"frames that got whole count", test_late_frames_that_got_whole_count},
        {"inline runtime that was not turned", test_late_inline_runtime_that_was_not_turned},
        {"client finds its answers and its server",
                test_late_client_finds_its_answers_and_its_server},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("late", tests)

/* SPDX-License-Identifier: MIT */
/*
 * Deadlines and forgets of commands that are queued, half written, or in flight. Each ends once, by its own
 * code and at its own time; no frame is torn; what its server says late is told as what nobody waits for.
 */
#include "support/feed.h"

enum {
    LARGE = 4 * 1024 * 1024, // More than all that the kernels take while the server stands still.
};

struct ends {
    _Atomic uint32_t count;
    _Atomic int code;
    _Atomic uint64_t at_ms;
};
static struct ends ends[4];
static _Atomic uint32_t late_count;

static void on_end(void *context, const struct cmds_result *result)
{
    struct ends *end = context;
    atomic_store(&end->code, result->error);
    atomic_store(&end->at_ms, feed_now_ms());
    atomic_fetch_add(&end->count, result->last);
}

static void on_late(void *context, const struct cmds_result *result)
{
    (void)context;
    atomic_fetch_add(&late_count, result->error == 0 && end_of(result) != NULL);
}

static int put(
        struct cmds_group *group, uint32_t index, uint32_t deadline_ms, struct cmds_ticket *ticket)
{
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    struct put put = {(int64_t)index, {feed_bytes, LARGE}};
    how.deadline_ms = deadline_ms;
    how.ticket = ticket;
    memset(feed_bytes, 'a' + (int)index, LARGE); // It is encoded before the send returns.
    return cmds_group_send(group, put_message(&put), &how, on_end, &ends[index]);
}

static bool ended(uint32_t index, int code, uint64_t at_ms)
{
    const struct ends *end = &ends[index];
    return end->count == 1 && end->code == code && end->at_ms >= at_ms && end->at_ms <= at_ms + 20;
}

static int open_group(
        struct cmds_runtime **runtime, struct cmds_group **group, uint32_t shard_count)
{
    struct cmds_runtime_options runtime_options = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(&feed_protocol);
    memset(ends, 0, sizeof(ends));
    atomic_store(&late_count, 0);
    runtime_options.shard_count = (uint16_t)shard_count;
    options.connect = "server:9000";
    options.output_size_max = 64 * 1024 * 1024;
    options.on_unexpected = on_late;
    int code = cmds_runtime_start(runtime, &runtime_options, NULL);
    return code < 0 ? code : cmds_group_open(group, *runtime, &options, NULL);
}

static int close_group(struct cmds_runtime *runtime, struct cmds_group *group, int code)
{
    cmds_group_close(group, NULL, NULL);
    cmds_runtime_stop(runtime);
    return code;
}

/* The first one is under way, and the others wait behind it: all of them leave whole. */
static int use_half_written(struct feed *feed)
{
    struct cmds_runtime *runtime = NULL;
    struct cmds_group *group = NULL;
    struct cmds_ticket ticket = {0};
    struct cmds_group_counters counters = CMDS_GROUP_COUNTERS_INIT;
    if (open_group(&runtime, &group, 1) < 0 || cmds_group_wait(group, 1000, NULL) < 0) {
        return 1;
    }
    cmds_sim_stall(feed->server_process, 2000);
    uint64_t since_ms = feed_now_ms();
    if (put(group, 0, 300, NULL) < 0 || put(group, 1, 5000, &ticket) < 0 ||
            put(group, 2, 600, NULL) < 0 || put(group, 3, 10000, NULL) < 0) {
        return 2;
    }
    cmds_sim_sleep_ms(400);
    bool right = ended(0, CMDS_E_TIMEOUT, since_ms + 300) && ends[2].count == 0;
    right = right && cmds_group_forget(group, ticket) == 0;
    cmds_sim_sleep_ms(100);
    right = right && ended(1, CMDS_E_CANCELLED, since_ms + 400);
    cmds_sim_sleep_ms(400);
    right = right && ended(2, CMDS_E_TIMEOUT, since_ms + 600) && feed->puts == 0;
    cmds_sim_sleep_ms(6000);
    right = right && ends[3].count == 1 && ends[3].code == 0 && feed->puts == 4 && !feed->torn;
    right = right && cmds_group_stats(group, &counters) == 0 && counters.deadlines == 2 &&
            counters.unexpected_results == 3 && late_count == 3 && counters.connections_closed == 0;
    return close_group(runtime, group, right ? 0 : 3);
}

static void test_sim_deadline_of_what_is_half_written(void)
{
    struct feed feed;
    feed_init(&feed);
    CU_ASSERT_TRUE(feed_run(&feed, use_half_written));
}

/* No connection is up: what ends while it waits is never sent. */
static int use_queued(struct feed *feed)
{
    struct cmds_runtime *runtime = NULL;
    struct cmds_group *group = NULL;
    struct cmds_ticket ticket = {0};
    feed->server = NULL;
    cmds_sim_kill(feed->server_process);
    cmds_sim_sleep_ms(100);
    if (open_group(&runtime, &group, 2) < 0) {
        return 1;
    }
    uint64_t since_ms = feed_now_ms();
    if (put(group, 0, 300, NULL) < 0 || put(group, 1, 5000, &ticket) < 0 ||
            put(group, 2, 10000, NULL) < 0) {
        return 2;
    }
    cmds_sim_sleep_ms(200);
    bool right = cmds_group_forget(group, ticket) == 0;
    cmds_sim_sleep_ms(300);
    right = right && ended(0, CMDS_E_TIMEOUT, since_ms + 300) &&
            ended(1, CMDS_E_CANCELLED, since_ms + 200) && ends[2].count == 0;
    cmds_sim_restart(feed->server_process);
    cmds_sim_sleep_ms(3000);
    right = right && ends[2].count == 1 && ends[2].code == 0 && feed->puts == 1 && late_count == 0;
    return close_group(runtime, group, right ? 0 : 3);
}

static void test_sim_deadline_of_what_is_queued(void)
{
    struct feed feed;
    feed_init(&feed);
    CU_ASSERT_TRUE(feed_run(&feed, use_queued));
}

static void answer_late(struct cmds_call *call)
{
    (void)cmds_call_send(call, end_message(&(struct end){1}));
    cmds_call_unref(call);
}

static int keep_for_long(struct cmds_call *call, const struct keep *keep)
{
    (void)keep;
    return cmds_call_after(cmds_call_ref(call), 500, answer_late);
}

/* Their server has them, and answers when it is too late. */
static int use_in_flight(struct feed *feed)
{
    struct cmds_runtime *runtime = NULL;
    struct cmds_group *group = NULL;
    struct cmds_ticket ticket = {0};
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    struct keep keep = {0};
    (void)feed;
    if (open_group(&runtime, &group, 2) < 0 || cmds_group_wait(group, 1000, NULL) < 0) {
        return 1;
    }
    uint64_t since_ms = feed_now_ms();
    how.deadline_ms = 300;
    bool right = cmds_group_send(group, keep_message(&keep), &how, on_end, &ends[0]) == 0;
    how.ticket = &ticket;
    right = right && cmds_group_send(group, keep_message(&keep), &how, on_end, &ends[1]) == 0;
    cmds_sim_sleep_ms(100);
    right = right && cmds_group_forget(group, ticket) == 0;
    cmds_sim_sleep_ms(300);
    right = right && ended(0, CMDS_E_TIMEOUT, since_ms + 300) &&
            ended(1, CMDS_E_CANCELLED, since_ms + 100) && late_count == 0;
    cmds_sim_sleep_ms(200);
    right = right && late_count == 2 && ends[0].count == 1 && ends[1].count == 1;
    return close_group(runtime, group, right ? 0 : 2);
}

static void test_sim_deadline_of_what_is_in_flight(void)
{
    struct feed feed;
    feed_init(&feed);
    feed.on_keep = keep_for_long;
    CU_ASSERT_TRUE(feed_run(&feed, use_in_flight));
}

static CU_TestInfo tests[] = {
        {"of what is half written", test_sim_deadline_of_what_is_half_written},
        {"of what is queued", test_sim_deadline_of_what_is_queued},
        {"of what is in flight", test_sim_deadline_of_what_is_in_flight},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("sim_deadline", tests)

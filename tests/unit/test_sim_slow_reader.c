/* SPDX-License-Identifier: MIT */
/*
 * A server's peers that take their results slowly, or not at all for a while: what becomes of them is the
 * server's choice, what they hold has a bound, and nobody else notices them.
 */
#include "support/feed.h"

#include <stdlib.h>

enum {
    CHUNK = 10 * 1000,
    CHUNKS = 2000,
    HOUR_MS = 3600 * 1000,
    ECHOES = 1000,
    // What one connection may hold: its output, twice while that grows, and a result beyond the bound.
    HELD_MAX = 3 * 1024 * 1024,
};

/* A process of its own beside the test. */
struct reader {
    struct cmds_sim_process *process;
    int64_t count;     // 0: without end.
    uint32_t pause_ms; // For each chunk.
    _Atomic int64_t next;
    _Atomic int code;
    _Atomic bool wrong, stops;
};
static struct reader reader;

static int on_each(void *context, const struct cmds_result *result)
{
    struct reader *mine = context;
    const struct chunk *chunk = chunk_of(result);
    if (chunk != NULL) {
        mine->wrong = mine->wrong || chunk->index != mine->next;
        mine->next++;
    }
    cmds_sim_sleep_ms(mine->pause_ms);
    return mine->stops;
}

static int reader_main(void *context)
{
    struct reader *mine = context;
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&feed_protocol);
    struct cmds_sender *sender = NULL;
    struct give give = {mine->count, CHUNK};
    if (feed_open_sender(&sender, &options) < 0) {
        return 1;
    }
    mine->code =
            cmds_sender_send_multi(sender, give_message(&give), CMDS_NEVER, NULL, on_each, mine);
    cmds_sender_close(sender, 1000);
    return 0;
}

/* Returns: it has begun to read. */
static bool start_reader(int64_t count, uint32_t pause_ms)
{
    struct cmds_sim_program program = CMDS_SIM_PROGRAM_INIT("reader", reader_main);
    reader = (struct reader){.count = count, .pause_ms = pause_ms};
    program.context = &reader;
    if (cmds_sim_start(cmds_sim_current(), &program, &reader.process, NULL) < 0) {
        return false;
    }
    for (int i = 0; i < 1000 && reader.next == 0; i++) {
        cmds_sim_sleep_ms(1);
    }
    return reader.next > 0;
}

static bool reader_ends(void)
{
    for (int i = 0; i < 60000 && cmds_sim_is_running(reader.process); i++) {
        cmds_sim_sleep_ms(10);
    }
    return !cmds_sim_is_running(reader.process) && !reader.wrong;
}

static uint64_t server_memory(const struct feed *feed)
{
    struct cmds_runtime_counters counters = CMDS_RUNTIME_COUNTERS_INIT;
    cmds_runtime_stats(feed->server_runtime, &counters);
    return counters.memory_bytes;
}

/* --- The choice ------------------------------------------------------------------------------- */

static int use_close(struct feed *feed)
{
    uint64_t before = server_memory(feed);
    if (!start_reader(0, 0)) {
        return 1;
    }
    cmds_sim_stall(reader.process, 60000);
    cmds_sim_sleep_ms(9000);
    if (feed_stats(feed).slow_consumers != 0 || feed_stats(feed).connections != 1) {
        return 2;
    }
    cmds_sim_sleep_ms(6000);
    struct cmds_server_counters counters = feed_stats(feed);
    if (counters.slow_consumers != 1 || counters.slow_spared != 0 || counters.connections != 0 ||
            server_memory(feed) > before + 65536) {
        return 3;
    }
    return reader_ends() && reader.code == CMDS_E_LOST ? 0 : 4;
}

static void test_sim_slow_reader_is_closed(void)
{
    struct feed feed;
    feed_init(&feed);
    CU_ASSERT_TRUE(feed_run(&feed, use_close));
    CU_ASSERT_EQUAL(feed.gives_cancelled, 1);
}

/* An hour, in which what it holds does not grow; then it goes on where it was. */
static int use_wait(struct feed *feed)
{
    if (!start_reader(CHUNKS, 0)) {
        return 1;
    }
    cmds_sim_stall(reader.process, HOUR_MS);
    cmds_sim_sleep_ms(1000);
    uint64_t held = server_memory(feed);
    for (uint32_t i = 0; i < 58; i++) {
        cmds_sim_sleep_ms(60000);
        if (server_memory(feed) > held) {
            return 2;
        }
    }
    struct cmds_server_counters counters = feed_stats(feed);
    if (counters.slow_spared < 300 || counters.slow_spared > 400 || counters.slow_consumers != 0 ||
            counters.connections != 1 || held > HELD_MAX || counters.results_refused == 0) {
        return 3;
    }
    return reader_ends() && reader.code == 0 && reader.next == CHUNKS ? 0 : 4;
}

static void test_sim_slow_reader_stays(void)
{
    struct feed feed;
    feed_init(&feed);
    feed.server_options.slow_reader = CMDS_SLOW_READER_WAIT;
    CU_ASSERT_TRUE(feed_run(&feed, use_wait));
    CU_ASSERT_EQUAL(feed.gives_cancelled, 0);
}

/* Whoever is told to wait for it waits for its end all the same. */
static int use_end(struct feed *feed)
{
    if (!start_reader(0, 0)) {
        return 1;
    }
    cmds_sim_stall(reader.process, 120000);
    cmds_sim_sleep_ms(30000);
    uint64_t since_ms = feed_now_ms();
    cmds_sim_terminate(feed->server_process);
    for (int i = 0; i < 1000 && cmds_sim_is_running(feed->server_process); i++) {
        cmds_sim_sleep_ms(10);
    }
    return !cmds_sim_is_running(feed->server_process) && feed_now_ms() - since_ms < 5000 &&
                           reader_ends()
                   ? 0
                   : 2;
}

static void test_sim_slow_reader_ends_with_its_server(void)
{
    struct feed feed;
    feed_init(&feed);
    feed.server_options.slow_reader = CMDS_SLOW_READER_WAIT;
    CU_ASSERT_TRUE(feed_run(&feed, use_end));
}

/* --- The others -------------------------------------------------------------------------------- */

static int compare(const void *one, const void *other)
{
    uint64_t left = *(const uint64_t *)one, right = *(const uint64_t *)other;
    return left < right ? -1 : left > right;
}

/* Of echoes one after the other. Returns: the time of the slowest but one in a hundred, in ns. */
static uint64_t measure(struct cmds_sender *sender)
{
    static uint64_t times[ECHOES];
    for (uint32_t i = 0; i < ECHOES; i++) {
        uint64_t since_ns = cmds_sim_now_ns(cmds_sim_current());
        if (feed_ask(sender, 1000) != 0) {
            return 0;
        }
        times[i] = cmds_sim_now_ns(cmds_sim_current()) - since_ns;
        cmds_sim_sleep_ms(1);
    }
    qsort(times, ECHOES, sizeof(times[0]), compare);
    return times[ECHOES - ECHOES / 100];
}

/* A stream without end, of which 20 chunks a second are read. */
static int use_beside(struct feed *feed)
{
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&feed_protocol);
    struct cmds_sender *sender = NULL;
    if (feed_open_sender(&sender, &options) < 0) {
        return 1;
    }
    uint64_t quiet_ns = measure(sender);
    uint64_t before = server_memory(feed);
    if (quiet_ns == 0 || !start_reader(0, 50)) {
        return 2;
    }
    uint64_t most = 0;
    for (uint32_t i = 0; i < 10; i++) {
        uint64_t beside_ns = measure(sender);
        if (beside_ns == 0 || beside_ns > quiet_ns + quiet_ns / 2) {
            return 3;
        }
        most = server_memory(feed) > most ? server_memory(feed) : most;
    }
    if (most > before + HELD_MAX || feed_stats(feed).connections_closed != 0) {
        return 4;
    }
    reader.stops = true;
    cmds_sender_close(sender, 1000);
    return reader_ends() && reader.code == 1 && reader.next > 200 ? 0 : 5;
}

static void test_sim_slow_reader_beside_others(void)
{
    struct feed feed;
    feed_init(&feed);
    CU_ASSERT_TRUE(feed_run(&feed, use_beside));
}

static CU_TestInfo tests[] = {
        {"is closed", test_sim_slow_reader_is_closed},
        {"stays", test_sim_slow_reader_stays},
        {"ends with its server", test_sim_slow_reader_ends_with_its_server},
        {"beside others", test_sim_slow_reader_beside_others},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("sim_slow_reader", tests)

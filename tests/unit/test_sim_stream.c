/* SPDX-License-Identifier: MIT */
/*
 * Streams that are read more slowly than their server could send. Nothing may be lost, memory may not
 * grow, nothing may be ended for it: neither by the server, nor by the keepalive, nor by a limit. And the
 * others on the connection get what is theirs as soon as it can be read, or their deadline.
 */
#include "support/feed.h"

#include <pthread.h>

enum {
    CHUNK = 10 * 1000,
    MINUTE_MS = 60 * 1000,
    // What lies on the way, beside the stream's own: both outputs, both windows, receive buffers.
    ON_THE_WAY = 12 * 1024 * 1024,
};

/* One stream that is read. */
struct reader {
    struct feed *feed;
    struct cmds_sender *sender;
    int64_t next;
    uint32_t pause_ms;  // For each chunk.
    int64_t stop_at;    // Then it wants no more. 0: never.
    uint64_t ahead_max; // Bytes that the server had sent and `each` not seen, at most.
    bool wrong;
    int (*on_chunk)(struct reader *reader); // May be NULL.
};

static int on_each(void *context, const struct cmds_result *result)
{
    struct reader *reader = context;
    const struct chunk *chunk = chunk_of(result);
    if (chunk == NULL) {
        reader->wrong |= end_of(result) == NULL || end_of(result)->number != reader->next;
        return 0;
    }
    reader->wrong |= chunk->index != reader->next++;
    if (reader->feed->server != NULL) {
        uint64_t sent = feed_stats(reader->feed).results_sent * chunk->data.size;
        uint64_t seen = (uint64_t)reader->next * chunk->data.size;
        uint64_t ahead = sent > seen ? sent - seen : 0;
        reader->ahead_max = ahead > reader->ahead_max ? ahead : reader->ahead_max;
    }
    if (reader->pause_ms > 0) {
        cmds_sim_sleep_ms(reader->pause_ms);
    }
    int code = reader->on_chunk != NULL ? reader->on_chunk(reader) : 0;
    return code != 0 ? code : reader->next == reader->stop_at;
}

static int read_stream(struct reader *reader, int64_t count, int64_t size, uint32_t timeout_ms)
{
    struct give give = {count, size};
    return cmds_sender_send_multi(
            reader->sender, give_message(&give), timeout_ms, NULL, on_each, reader);
}

static bool is_whole(struct cmds_sender *sender)
{
    struct cmds_group_counters counters = CMDS_GROUP_COUNTERS_INIT;
    return cmds_sender_stats(sender, &counters) == 0 && counters.connections_closed == 0;
}

/* --- Slow readers ----------------------------------------------------------------------------- */

/* 60 MB, of which 100 KB a second are read: ten minutes, with default options on both sides. */
static int use_slowly(struct feed *feed)
{
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&feed_protocol);
    struct reader reader = {.feed = feed, .pause_ms = 100};
    if (feed_open_sender(&reader.sender, &options) < 0) {
        return 1;
    }
    uint64_t since_ms = feed_now_ms();
    int code = read_stream(&reader, 6000, CHUNK, CMDS_NEVER);
    if (code < 0 || reader.wrong || reader.next != 6000 || !is_whole(reader.sender) ||
            feed_now_ms() - since_ms < 6000 * 100) {
        return 2;
    }
    if (reader.ahead_max > ON_THE_WAY || reader.ahead_max < 1024 * 1024) {
        return 3;
    }
    code = feed_ask(reader.sender, 1000);
    cmds_sender_close(reader.sender, 1000);
    return code;
}

static void test_sim_stream_is_read_slowly(void)
{
    struct feed feed;
    feed_init(&feed);
    CU_ASSERT_TRUE(feed_run(&feed, use_slowly));
}

/* Whoever reads turns the ring as well. */
static int use_alone(struct feed *feed)
{
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&feed_protocol);
    struct reader reader = {.feed = feed, .pause_ms = 10};
    options.single_thread = true;
    if (feed_open_sender(&reader.sender, &options) < 0) {
        return 1;
    }
    int code = read_stream(&reader, 3000, CHUNK, CMDS_NEVER);
    if (code < 0 || reader.wrong || reader.next != 3000 || reader.ahead_max > ON_THE_WAY) {
        return 2;
    }
    code = feed_ask(reader.sender, 1000);
    cmds_sender_close(reader.sender, 1000);
    return code;
}

static void test_sim_stream_of_a_single_thread(void)
{
    struct feed feed;
    feed_init(&feed);
    CU_ASSERT_TRUE(feed_run(&feed, use_alone));
}

/* Takes nothing for minutes, once, and then all of it. */
static int stand_still_once(struct reader *reader)
{
    if (reader->next == 1) {
        cmds_sim_sleep_ms(3 * MINUTE_MS);
    }
    return 0;
}

static int use_standstill(struct feed *feed)
{
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&feed_protocol);
    struct reader reader = {.feed = feed, .on_chunk = stand_still_once};
    if (feed_open_sender(&reader.sender, &options) < 0) {
        return 1;
    }
    int code = read_stream(&reader, 3000, CHUNK, CMDS_NEVER);
    if (code < 0 || reader.wrong || reader.next != 3000 || !is_whole(reader.sender)) {
        return 2;
    }
    cmds_sender_close(reader.sender, 1000);
    return reader.ahead_max < ON_THE_WAY ? 0 : 3;
}

static void test_sim_stream_stands_still(void)
{
    struct feed feed;
    feed_init(&feed);
    CU_ASSERT_TRUE(feed_run(&feed, use_standstill));
    CU_ASSERT_EQUAL(feed.gives_cancelled, 0);
}

/* Each result is larger than all that may wait: one at a time. */
static int use_huge(struct feed *feed)
{
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&feed_protocol);
    struct reader reader = {.feed = feed, .pause_ms = 50};
    options.stream_size_max = 65536;
    if (feed_open_sender(&reader.sender, &options) < 0) {
        return 1;
    }
    int code = read_stream(&reader, 10, FEED_CHUNK_MAX, CMDS_NEVER);
    cmds_sender_close(reader.sender, 1000);
    // The one that is read, one here, one that is received, and one in the server's output.
    bool bounded = reader.ahead_max <= 3 * (uint64_t)FEED_CHUNK_MAX;
    return code == 0 && !reader.wrong && reader.next == 10 && bounded ? 0 : 2;
}

static void test_sim_stream_of_results_that_are_huge(void)
{
    struct feed feed;
    feed_init(&feed);
    CU_ASSERT_TRUE(feed_run(&feed, use_huge));
}

/* --- The others on the connection -------------------------------------------------------------- */

static int leave_soon(struct reader *reader)
{
    cmds_sim_sleep_ms(200); // It is paused by then.
    return reader->next == 3 ? 5 : 0;
}

static int use_leave(struct feed *feed)
{
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&feed_protocol);
    struct reader reader = {.feed = feed, .on_chunk = leave_soon};
    struct cmds_group_counters counters = CMDS_GROUP_COUNTERS_INIT;
    if (feed_open_sender(&reader.sender, &options) < 0) {
        return 1;
    }
    int code = read_stream(&reader, 2000, CHUNK, CMDS_NEVER);
    if (code != 5 || cmds_sender_stats(reader.sender, &counters) < 0 || counters.read_pauses == 0) {
        return 2;
    }
    code = feed_ask(reader.sender, 1000); // Behind what nobody wants any more.
    cmds_sender_close(reader.sender, 1000);
    return code;
}

static void test_sim_stream_whose_caller_has_left(void)
{
    struct feed feed;
    feed_init(&feed);
    CU_ASSERT_TRUE(feed_run(&feed, use_leave));
}

static int ask_meanwhile(struct reader *reader)
{
    if (reader->next == 3) {
        cmds_sim_sleep_ms(500);
        uint64_t since_ms = feed_now_ms();
        /* It is answered, but that lies behind what is not read. */
        int code = feed_ask(reader->sender, 300);
        uint64_t took_ms = feed_now_ms() - since_ms;
        reader->wrong |= code != CMDS_E_TIMEOUT || took_ms < 300 || took_ms > 320;
    }
    return 0;
}

static int use_deadline(struct feed *feed)
{
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&feed_protocol);
    struct reader reader = {.feed = feed, .on_chunk = ask_meanwhile};
    struct cmds_group_counters counters = CMDS_GROUP_COUNTERS_INIT;
    if (feed_open_sender(&reader.sender, &options) < 0) {
        return 1;
    }
    int code = read_stream(&reader, 1000, CHUNK, CMDS_NEVER);
    if (code < 0 || reader.wrong || reader.next != 1000) {
        return 2;
    }
    code = cmds_sender_stats(reader.sender, &counters);
    cmds_sender_close(reader.sender, 1000);
    return code == 0 && counters.unexpected_results == 1 && counters.deadlines == 1 ? 0 : 3;
}

static void test_sim_stream_does_not_hold_up_deadlines(void)
{
    struct feed feed;
    feed_init(&feed);
    CU_ASSERT_TRUE(feed_run(&feed, use_deadline));
}

/* With a second connection half of the commands have nothing to do with the stream. */
static int ask_ten(struct reader *reader)
{
    uint32_t answered = 0;
    for (uint32_t i = 0; reader->next == 3 && i < 10; i++) {
        answered += feed_ask(reader->sender, 300) == 0;
    }
    reader->wrong |= reader->next == 3 && answered != 5;
    return 0;
}

static int use_two_connections(struct feed *feed)
{
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&feed_protocol);
    struct reader reader = {.feed = feed, .on_chunk = ask_ten};
    options.client_count = 2;
    if (feed_open_sender(&reader.sender, &options) < 0) {
        return 1;
    }
    int code = read_stream(&reader, 1000, CHUNK, CMDS_NEVER);
    cmds_sender_close(reader.sender, 1000);
    return code == 0 && !reader.wrong && reader.next == 1000 ? 0 : 2;
}

static void test_sim_stream_leaves_other_connections_alone(void)
{
    struct feed feed;
    feed_init(&feed);
    CU_ASSERT_TRUE(feed_run(&feed, use_two_connections));
}

static void *read_all(void *context)
{
    struct reader *reader = context;
    int code = read_stream(reader, 1000, CHUNK, CMDS_NEVER);
    reader->wrong |= code != 0 || reader->next != 1000;
    return NULL;
}

/* Both pause the one connection, at their own times, and one leaves. */
static int use_two_streams(struct feed *feed)
{
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&feed_protocol);
    struct reader one = {.feed = feed, .pause_ms = 3}, other = {.feed = feed, .pause_ms = 7};
    struct reader third = {.feed = feed, .on_chunk = leave_soon};
    pthread_t threads[2];
    options.stream_size_max = 100000;
    options.stream_size_low = 100000; // It reads on, and stops again, for each of them.
    if (feed_open_sender(&one.sender, &options) < 0) {
        return 1;
    }
    other.sender = third.sender = one.sender;
    if (pthread_create(&threads[0], NULL, read_all, &one) != 0 ||
            pthread_create(&threads[1], NULL, read_all, &other) != 0) {
        return 2;
    }
    int code = read_stream(&third, 1000, CHUNK, CMDS_NEVER);
    (void)pthread_join(threads[0], NULL);
    (void)pthread_join(threads[1], NULL);
    int asked = feed_ask(one.sender, 1000);
    cmds_sender_close(one.sender, 1000);
    return code == 5 && !one.wrong && !other.wrong && !third.wrong ? asked : 3;
}

static void test_sim_stream_two_of_one_connection(void)
{
    struct feed feed;
    feed_init(&feed);
    CU_ASSERT_TRUE(feed_run(&feed, use_two_streams));
}

/* The connection is to go to another endpoint, and stays until the stream has ended. */
static int move_on(struct reader *reader)
{
    struct cmds_endpoint endpoint = CMDS_ENDPOINT_INIT("10.200.0.1:9000");
    if (reader->next == 3) {
        struct cmds_group *group = cmds_sender_group(reader->sender);
        reader->wrong |= cmds_group_set_endpoints(group, &endpoint, 1, NULL) < 0;
    }
    return 0;
}

static int use_move(struct feed *feed)
{
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&feed_protocol);
    struct reader reader = {.feed = feed, .pause_ms = 5, .on_chunk = move_on};
    options.stream_size_max = 65536;
    if (feed_open_sender(&reader.sender, &options) < 0) {
        return 1;
    }
    int code = read_stream(&reader, 3000, CHUNK, CMDS_NEVER);
    cmds_sender_close(reader.sender, 1000);
    return code == 0 && !reader.wrong && reader.next == 3000 && reader.ahead_max < ON_THE_WAY ? 0
                                                                                              : 2;
}

static void test_sim_stream_whose_connection_moves(void)
{
    struct feed feed;
    feed_init(&feed);
    CU_ASSERT_TRUE(feed_run(&feed, use_move));
}

/* --- Ends while nothing is read ---------------------------------------------------------------- */

static int kill_server(struct reader *reader)
{
    if (reader->next == 3) {
        cmds_sim_sleep_ms(500);
        reader->feed->server = NULL;
        cmds_sim_kill(reader->feed->server_process);
        cmds_sim_sleep_ms(500);
    }
    return 0;
}

static int use_kill(struct feed *feed)
{
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&feed_protocol);
    struct reader reader = {.feed = feed, .on_chunk = kill_server};
    if (feed_open_sender(&reader.sender, &options) < 0) {
        return 1;
    }
    int code = read_stream(&reader, 0, CHUNK, CMDS_NEVER);
    bool right = code == CMDS_E_LOST && !reader.wrong && reader.next > 3;
    cmds_sender_close(reader.sender, 1000);
    return right ? 0 : 2;
}

static void test_sim_stream_whose_server_dies(void)
{
    struct feed feed;
    feed_init(&feed);
    CU_ASSERT_TRUE(feed_run(&feed, use_kill));
}

static int hide_server(struct reader *reader)
{
    if (reader->next == 3) {
        cmds_sim_sleep_ms(500);
        cmds_sim_block(reader->feed->server_process, reader->feed->test_process);
        cmds_sim_block(reader->feed->test_process, reader->feed->server_process);
        cmds_sim_sleep_ms(20000); // Nothing is concluded as long as nothing is read...
        reader->wrong |= !is_whole(reader->sender);
    }
    return 0;
}

static int use_hidden(struct feed *feed)
{
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&feed_protocol);
    struct reader reader = {.feed = feed, .on_chunk = hide_server};
    if (feed_open_sender(&reader.sender, &options) < 0) {
        return 1;
    }
    int code = read_stream(&reader, 0, CHUNK, CMDS_NEVER); // ...and it is found when that goes on.
    bool right = code == CMDS_E_LOST && !reader.wrong && reader.next > 3;
    cmds_sim_heal(cmds_sim_current());
    cmds_sender_close(reader.sender, 1000);
    return right ? 0 : 2;
}

static void test_sim_stream_whose_server_vanishes(void)
{
    struct feed feed;
    feed_init(&feed);
    CU_ASSERT_TRUE(feed_run(&feed, use_hidden));
}

static int use_deadline_of_its_own(struct feed *feed)
{
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&feed_protocol);
    struct reader reader = {.feed = feed, .pause_ms = 10};
    if (feed_open_sender(&reader.sender, &options) < 0) {
        return 1;
    }
    int code = read_stream(&reader, 0, CHUNK, 500);
    bool right = code == CMDS_E_TIMEOUT && !reader.wrong && reader.next > 40;
    code = feed_ask(reader.sender, 2000); // Nothing of the stream holds the connection up.
    cmds_sender_close(reader.sender, 1000);
    return right && code == 0 ? 0 : 2;
}

static void test_sim_stream_whose_time_is_over(void)
{
    struct feed feed;
    feed_init(&feed);
    CU_ASSERT_TRUE(feed_run(&feed, use_deadline_of_its_own));
}

/* Its command has ended, and what is not read has nothing to wait for. */
static int stay_too_long(struct reader *reader)
{
    if (reader->next == 3) {
        cmds_sim_sleep_ms(1000);
        reader->wrong |= feed_ask(reader->sender, 500) != 0;
    }
    return 0;
}

static int use_overstay(struct feed *feed)
{
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&feed_protocol);
    struct reader reader = {.feed = feed, .on_chunk = stay_too_long};
    if (feed_open_sender(&reader.sender, &options) < 0) {
        return 1;
    }
    int code = read_stream(&reader, 0, CHUNK, 500);
    cmds_sender_close(reader.sender, 1000);
    return code == CMDS_E_TIMEOUT && !reader.wrong && reader.next > 3 ? 0 : 2;
}

static void test_sim_stream_that_ended_holds_nobody_up(void)
{
    struct feed feed;
    feed_init(&feed);
    CU_ASSERT_TRUE(feed_run(&feed, use_overstay));
}

static void *close_it(void *context)
{
    struct reader *reader = context;
    cmds_sim_sleep_ms(500);
    uint64_t since_ms = feed_now_ms();
    cmds_sender_close(reader->sender, 100);
    reader->ahead_max = feed_now_ms() - since_ms;
    return NULL;
}

static int stay_in_each(struct reader *reader)
{
    cmds_sim_sleep_ms(reader->next == 3 ? 2000 : 0);
    return 0;
}

/* It waits for `each`, and for nothing else. */
static int use_close(struct feed *feed)
{
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&feed_protocol);
    struct reader reader = {.feed = feed, .on_chunk = stay_in_each};
    struct reader closer = {.feed = feed};
    pthread_t thread;
    if (feed_open_sender(&reader.sender, &options) < 0) {
        return 1;
    }
    closer.sender = reader.sender;
    if (pthread_create(&thread, NULL, close_it, &closer) != 0) {
        return 2;
    }
    int code = read_stream(&reader, 0, CHUNK, CMDS_NEVER);
    (void)pthread_join(thread, NULL);
    return code == CMDS_E_CLOSED && !reader.wrong && closer.ahead_max < 3000 ? 0 : 3;
}

static void test_sim_stream_whose_sender_is_closed(void)
{
    struct feed feed;
    feed_init(&feed);
    CU_ASSERT_TRUE(feed_run(&feed, use_close));
}

/* --- Pauses of a program's own ----------------------------------------------------------------- */

struct taker {
    struct cmds_group *group;
    _Atomic uint32_t results, ends, client;
    _Atomic bool waits, is_paused; // For another thread's pause; that was given.
    bool pauses;
    _Atomic uint32_t closed;
};

static void on_taken(void *context, const struct cmds_result *result)
{
    struct taker *taker = context;
    atomic_store(&taker->client, result->client);
    atomic_fetch_add(&taker->results, 1);
    atomic_fetch_add(&taker->ends, result->last);
    while (taker->waits && !taker->is_paused) {
        cmds_sim_sleep_ms(1);
    }
    if (taker->pauses && !result->last) {
        (void)cmds_group_pause(taker->group, result->client); // No further one follows.
    }
}

static void on_closed(void *context)
{
    atomic_store(&((struct taker *)context)->closed, 1);
}

static int take(struct feed *feed, struct taker *taker)
{
    struct give give = {100, taker->waits ? 10 : CHUNK}; // Small ones come many at once.
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    (void)feed;
    how.deadline_ms = CMDS_NEVER;
    return cmds_group_send(taker->group, give_message(&give), &how, on_taken, taker);
}

static int use_one_by_one(struct feed *feed, struct taker *taker)
{
    taker->pauses = true;
    if (cmds_group_resume(taker->group, 0) != -EINVAL ||
            cmds_group_pause(taker->group, 1) != -EINVAL || take(feed, taker) < 0) {
        return 2;
    }
    for (uint32_t i = 1; i <= 100; i++) {
        cmds_sim_sleep_ms(20);
        if (atomic_load(&taker->results) != i) {
            return 3;
        }
        if (cmds_group_resume(taker->group, taker->client) != 0) {
            return 4;
        }
    }
    cmds_sim_sleep_ms(20);
    return taker->ends == 1 && taker->results == 101 ? 0 : 5;
}

/* By a thread that is no shard, twice, before the first result, and through the end of the connection. */
static int use_counted(struct feed *feed, struct taker *taker)
{
    taker->pauses = false;
    taker->results = taker->ends = 0;
    (void)cmds_group_pause(taker->group, 0);
    (void)cmds_group_pause(taker->group, 0);
    if (take(feed, taker) < 0) {
        return 6;
    }
    cmds_sim_sleep_ms(100);
    (void)cmds_group_resume(taker->group, 0);
    cmds_sim_sleep_ms(100);
    if (taker->results != 0) {
        return 7;
    }
    (void)cmds_group_resume(taker->group, 0);
    cmds_sim_sleep_ms(100);
    return taker->ends == 1 && taker->results == 101 ? 0 : 8;
}

/* The other thread's pause is still on its way to the shard when a callback pauses as well. */
static int use_pause_beside_another(struct feed *feed, struct taker *taker)
{
    taker->results = taker->ends = 0;
    taker->pauses = true;
    taker->waits = true;
    if (take(feed, taker) < 0) {
        return 10;
    }
    while (taker->results == 0) {
        cmds_sim_sleep_ms(1);
    }
    (void)cmds_group_pause(taker->group, 0);
    taker->is_paused = true;
    cmds_sim_sleep_ms(100);
    if (taker->results != 1) {
        return 11;
    }
    taker->pauses = false;
    if (cmds_group_resume(taker->group, 0) != 0 || cmds_group_resume(taker->group, 0) != 0) {
        return 12;
    }
    cmds_sim_sleep_ms(100);
    return taker->ends == 1 && taker->results == 101 ? 0 : 13;
}

static int use_pause(struct feed *feed)
{
    struct cmds_runtime_options runtime_options = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(&feed_protocol);
    struct cmds_runtime *runtime = NULL;
    struct taker taker = {.group = NULL};
    options.connect = "server:9000";
    options.client_count = 1;
    if (cmds_runtime_start(&runtime, &runtime_options, NULL) < 0 ||
            cmds_group_open(&taker.group, runtime, &options, NULL) < 0 ||
            cmds_group_wait(taker.group, 1000, NULL) < 0) {
        return 1;
    }
    int code = use_one_by_one(feed, &taker);
    code = code != 0 ? code : use_counted(feed, &taker);
    code = code != 0 ? code : use_pause_beside_another(feed, &taker);
    (void)cmds_group_pause(taker.group, 0); // A group that is paused closes all the same.
    cmds_group_close(taker.group, on_closed, &taker);
    cmds_sim_sleep_ms(1500);
    cmds_runtime_stop(runtime);
    return code != 0 ? code : taker.closed == 1 ? 0 : 9;
}

static void test_sim_stream_of_a_group_is_paused(void)
{
    struct feed feed;
    feed_init(&feed);
    CU_ASSERT_TRUE(feed_run(&feed, use_pause));
}

static CU_TestInfo tests[] = {
        {"is read slowly", test_sim_stream_is_read_slowly},
        {"of a single thread", test_sim_stream_of_a_single_thread},
        {"stands still", test_sim_stream_stands_still},
        {"of results that are huge", test_sim_stream_of_results_that_are_huge},
        {"whose caller has left", test_sim_stream_whose_caller_has_left},
        {"does not hold up deadlines", test_sim_stream_does_not_hold_up_deadlines},
        {"leaves other connections alone", test_sim_stream_leaves_other_connections_alone},
        {"two of one connection", test_sim_stream_two_of_one_connection},
        {"whose connection moves", test_sim_stream_whose_connection_moves},
        {"whose server dies", test_sim_stream_whose_server_dies},
        {"whose server vanishes", test_sim_stream_whose_server_vanishes},
        {"whose time is over", test_sim_stream_whose_time_is_over},
        {"that ended holds nobody up", test_sim_stream_that_ended_holds_nobody_up},
        {"whose sender is closed", test_sim_stream_whose_sender_is_closed},
        {"of a group is paused", test_sim_stream_of_a_group_is_paused},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("sim_stream", tests)

/* SPDX-License-Identifier: MIT */
/*
 * A server in a simulated world that gives as much as one asks for, as fast as its connections take it:
 * for tests of back-pressure. The test is a process beside it.
 *
 * give(count, size)   `count` chunks of `size` bytes and the end; count 0: without end
 * echo(number)        number
 * keep(number)        kept: the test answers, or nobody does
 * put(index, data)    counted, if `data` is nothing but the letter of this index
 * work(number)        in the pool: number, or what the test does
 */
#ifndef CMDI_TESTS_SUPPORT_FEED_H
#define CMDI_TESTS_SUPPORT_FEED_H

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include <cmdstream/cmdstream.h>

#include "support/sim_runs.h"

enum {
    FEED_CHUNK_MAX = 8 * 1024 * 1024,
};

struct give {
    int64_t count, size;
};
struct echo {
    int64_t number;
};
struct keep {
    int64_t number;
};
struct work {
    int64_t number;
};
struct put {
    int64_t index;
    struct cmds_bytes data;
};
struct chunk {
    int64_t index;
    struct cmds_bytes data;
};
struct end {
    int64_t number;
};
CMDS_COMMAND(give, 0, count, size);
CMDS_COMMAND(echo, 1, number);
CMDS_COMMAND(keep, 2, number);
CMDS_COMMAND(work, 3, number);
CMDS_COMMAND(put, 4, index, data);
CMDS_RESULT_NEVER_LAST(chunk, 0, index, data);
CMDS_RESULT(end, 1, number);
static const struct cmds_type *const feed_commands[] = {
        &give_type, &echo_type, &keep_type, &work_type, &put_type};
static const struct cmds_type *const feed_results[] = {&chunk_type, &end_type};
static const struct cmds_protocol feed_protocol =
        CMDS_PROTOCOL("feed", feed_commands, feed_results);

/** Shared by both processes: all of it lies in the one memory of the world. */
struct feed {
    int (*use)(struct feed *feed); // The test. Returns: 0: all was right; else where it was not.
    struct cmds_server_options server_options;
    struct cmds_runtime *server_runtime;
    struct cmds_server *server; // NULL: it is not up.
    struct cmds_sim_process *server_process, *test_process;
    // Of the test. NULL: as above.
    int (*on_keep)(struct cmds_call *call, const struct keep *keep);
    int (*on_work)(struct cmds_call *call, const struct work *work);
    void (*on_closed)(struct feed *feed); // The server has been closed. NULL: nothing.
    struct cmds_call *_Atomic kept;
    _Atomic uint64_t gives_cancelled, puts;
    _Atomic bool torn; // A put was not what its client had sent.
};

static char feed_bytes[FEED_CHUNK_MAX];

/* --- The server ------------------------------------------------------------------------------- */

static void feed_on_cancel(struct cmds_call *call)
{
    struct feed *feed = cmds_call_receiver(call);
    atomic_fetch_add(&feed->gives_cancelled, 1);
}

/* The context counts the chunks that were sent. */
static int feed_give(struct cmds_call *call, const struct give *give)
{
    uintptr_t index = (uintptr_t)cmds_call_context(call);
    int code = 0;
    cmds_call_on_cancel(call, feed_on_cancel);
    while (code == 0 && (give->count == 0 || (int64_t)index < give->count)) {
        struct chunk chunk = {(int64_t)index, {feed_bytes, (size_t)give->size}};
        code = cmds_call_send(call, chunk_message(&chunk));
        index += code == 0;
    }
    cmds_call_set_context(call, (void *)index);
    if (code == 0) {
        code = cmds_call_send(call, end_message(&(struct end){(int64_t)index}));
    }
    return code == -ENOBUFS ? CMDS_EXEC_AGAIN : code;
}

static int feed_echo(struct cmds_call *call, const struct echo *echo)
{
    return cmds_call_send(call, end_message(&(struct end){echo->number}));
}

static int feed_keep(struct cmds_call *call, const struct keep *keep)
{
    struct feed *feed = cmds_call_receiver(call);
    if (feed->on_keep != NULL) {
        return feed->on_keep(call, keep);
    }
    atomic_store(&feed->kept, cmds_call_ref(call));
    return 0;
}

static int feed_put(struct cmds_call *call, const struct put *put)
{
    struct feed *feed = cmds_call_receiver(call);
    const char *data = put->data.data;
    for (size_t i = 0; i < put->data.size; i++) {
        feed->torn = feed->torn || data[i] != 'a' + (char)put->index;
    }
    atomic_fetch_add(&feed->puts, 1);
    return cmds_call_send(call, end_message(&(struct end){put->index}));
}

static int feed_work(struct cmds_call *call, const struct work *work)
{
    struct feed *feed = cmds_call_receiver(call);
    return feed->on_work != NULL ? feed->on_work(call, work)
                                 : cmds_call_send(call, end_message(&(struct end){work->number}));
}

static const struct cmds_exec feed_execs[] = {CMDS_EXEC(give, feed_give),
        CMDS_EXEC(echo, feed_echo), CMDS_EXEC(keep, feed_keep), CMDS_EXEC(put, feed_put),
        CMDS_EXEC_IN_POOL(work, feed_work)};

static inline int feed_serve(void *context)
{
    struct feed *feed = context;
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    options.shard_count = 1;
    feed->server_options.receiver = feed;
    int code = cmds_runtime_start(&feed->server_runtime, &options, NULL);
    code = code < 0 ? code
                    : cmds_server_start(
                              &feed->server, feed->server_runtime, &feed->server_options, NULL);
    if (code == 0) {
        cmds_sim_wait_stop();
    }
    struct cmds_server *server = feed->server;
    feed->server = NULL;
    cmds_server_close(server);
    if (feed->on_closed != NULL) {
        feed->on_closed(feed);
    }
    cmds_runtime_stop(feed->server_runtime);
    return code;
}

static inline struct cmds_server_counters feed_stats(const struct feed *feed)
{
    struct cmds_server_counters counters = CMDS_SERVER_COUNTERS_INIT;
    cmds_server_stats(feed->server, &counters);
    return counters;
}

/* --- The test --------------------------------------------------------------------------------- */

static inline uint64_t feed_now_ms(void)
{
    return cmds_sim_now_ns(cmds_sim_current()) / 1000000;
}

static inline int feed_test(void *context)
{
    struct feed *feed = context;
    return feed->use(feed);
}

static inline void feed_init(struct feed *feed)
{
    *feed = (struct feed){.server_options = CMDS_SERVER_OPTIONS_INIT(&feed_protocol, feed_execs)};
    feed->server_options.listen = "0.0.0.0:9000";
}

/* Runs the world with this test. Returns: nothing failed, and nothing of the client's is left. */
static inline bool feed_run(struct feed *feed, int (*use)(struct feed *feed))
{
    struct cmds_sim_options options = CMDS_SIM_OPTIONS_INIT;
    struct cmds_sim_report report;
    struct cmds_sim *sim = NULL;
    options.seed = 11;
    options.event_count = 8;
    options.time_max_ms = 4 * 3600 * 1000;
    feed->use = use;
    CU_ASSERT_EQUAL_FATAL(cmds_sim_open(&sim, &options, NULL), 0);
    feed->server_process = add(sim, "server", true, feed_serve, feed);
    feed->test_process = add(sim, "test", false, feed_test, feed);
    int code = finish(sim, &report, NULL, 0);
    CU_ASSERT_EQUAL(code, 0);
    CU_ASSERT_EQUAL(report.files_left, 0); // A lookup may still wait for its answer: a thread.
    return code == 0;
}

static inline int feed_open_sender(
        struct cmds_sender **sender, const struct cmds_sender_options *options)
{
    struct cmds_sender_options mine = *options;
    mine.connect = "server:9000";
    return cmds_sender_open(sender, &mine, NULL);
}

/* Returns: 0; the code. */
static inline int feed_ask(struct cmds_sender *sender, uint32_t timeout_ms)
{
    struct cmds_result *result = NULL;
    struct echo echo = {7};
    int code = cmds_sender_send(sender, echo_message(&echo), timeout_ms, &result, NULL);
    bool right = code < 0 || (end_of(result) != NULL && end_of(result)->number == 7);
    cmds_result_free(result);
    return right ? code : 1;
}

#endif

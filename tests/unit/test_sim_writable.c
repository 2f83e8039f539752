/* SPDX-License-Identifier: MIT */
/*
 * cmds_call_on_writable(): whoever was refused is told of room, on whatever thread it sends: once for each
 * question, not before there is room, not never, and also when nobody waits for its results any more.
 */
#include "support/feed.h"

#include <pthread.h>

#include "shard/shard.h"

enum {
    CHUNK = 10 * 1000,
    CHUNKS = 1000,
};

/* A call that gives so many chunks, as fast as it may. The test and the server share it. */
struct giver {
    struct feed *feed;
    struct cmds_call *call;
    pthread_mutex_t lock;
    pthread_cond_t told_cond;
    pthread_t thread;
    bool has_thread;
    uint32_t late_ms; // It begins so much later.
    bool told;        // Under the lock.
    int64_t next, count;
    size_t large; // What is sent next after a small one was refused; 0: that one.
    bool refused; // It is.
    _Atomic uint32_t asks, tells, useless, wrong;
    _Atomic int code;
    bool asking; // Inside cmds_call_on_writable().
};
static struct giver givers[8];

static int give_one(struct giver *giver)
{
    size_t size = giver->refused ? giver->large : CHUNK;
    struct chunk chunk = {giver->next, {feed_bytes, size}};
    int code = giver->next < giver->count
                       ? cmds_call_send(giver->call, chunk_message(&chunk))
                       : cmds_call_send(giver->call, end_message(&(struct end){giver->next}));
    giver->next += code == 0;
    if (giver->large > 0 && code == -ENOBUFS && !giver->refused) {
        giver->refused = true;
        return give_one(giver);
    }
    giver->refused = giver->refused && code != 0;
    return code;
}

static int ask(struct giver *giver, cmds_call_fn fn)
{
    giver->asking = true;
    int code = cmds_call_on_writable(giver->call, fn);
    giver->asking = false;
    giver->asks += code == 0;
    return code;
}

static struct giver *giver_of(struct cmds_call *call)
{
    return cmds_call_context(call);
}

static void giver_init(struct giver *giver, struct cmds_call *call)
{
    giver->call = cmds_call_ref(call);
    giver->count = giver->count != 0 ? giver->count : CHUNKS;
    giver->code = 1;
    (void)pthread_mutex_init(&giver->lock, NULL);
    (void)pthread_cond_init(&giver->told_cond, NULL);
    cmds_call_set_context(call, giver);
}

static void giver_end(struct giver *giver, int code)
{
    giver->code = code;
    cmds_call_unref(giver->call);
}

/* --- On the shard ----------------------------------------------------------------------------- */

static void pump(struct cmds_call *call)
{
    struct giver *giver = giver_of(call);
    int64_t before = giver->next;
    giver->tells += giver->asks > giver->tells;
    giver->wrong += giver->asking; // It has its own turn.
    int code = 0;
    while (code == 0 && giver->next <= giver->count) {
        code = give_one(giver);
    }
    if (code == -ENOBUFS) {
        giver->useless += giver->next == before;
        giver->wrong += ask(giver, pump) != 0;
        giver->wrong += cmds_call_on_writable(call, pump) != -EBUSY;
        return;
    }
    giver_end(giver, code);
}

static int keep_on_shard(struct cmds_call *call, const struct keep *keep)
{
    struct giver *giver = &givers[keep->number];
    giver_init(giver, call);
    if (giver->late_ms > 0) {
        return cmds_call_after(call, giver->late_ms, pump);
    }
    pump(call);
    return 0;
}

/* --- On another thread ------------------------------------------------------------------------ */

static void wake(struct cmds_call *call)
{
    struct giver *giver = giver_of(call);
    pthread_mutex_lock(&giver->lock);
    giver->tells++;
    giver->told = true;
    pthread_cond_signal(&giver->told_cond);
    pthread_mutex_unlock(&giver->lock);
}

/* Gives all of it, and sleeps while there is no room. Returns: what the last send returned. */
static int give_all(struct giver *giver)
{
    int code = 0;
    int64_t told_at = -1;
    while (giver->next <= giver->count) {
        code = give_one(giver);
        if (code == -ENOBUFS) {
            giver->useless += giver->next == told_at;
            told_at = giver->next;
            code = ask(giver, wake);
            pthread_mutex_lock(&giver->lock);
            while (code == 0 && !giver->told) {
                (void)pthread_cond_wait(&giver->told_cond, &giver->lock);
            }
            giver->told = false;
            pthread_mutex_unlock(&giver->lock);
        }
        if (code != 0) {
            return code;
        }
    }
    return 0;
}

static void *give_all_elsewhere(void *context)
{
    struct giver *giver = context;
    cmds_sim_sleep_ms(giver->late_ms);
    giver_end(giver, give_all(giver));
    return NULL;
}

static int keep_elsewhere(struct cmds_call *call, const struct keep *keep)
{
    struct giver *giver = &givers[keep->number];
    giver_init(giver, call);
    giver->has_thread = pthread_create(&giver->thread, NULL, give_all_elsewhere, giver) == 0;
    return giver->has_thread ? 0 : -EAGAIN;
}

static void join_all(struct feed *feed)
{
    (void)feed;
    for (uint32_t i = 0; i < 8; i++) {
        if (givers[i].has_thread) {
            (void)pthread_join(givers[i].thread, NULL);
        }
    }
}

static int work_in_pool(struct cmds_call *call, const struct work *work)
{
    struct giver *giver = &givers[work->number];
    giver_init(giver, call);
    int code = give_all(giver);
    giver_end(giver, code);
    return code;
}

/* --- Whoever reads ---------------------------------------------------------------------------- */

struct reader {
    int64_t next;
    uint32_t pause_ms;
    bool wrong;
};

static int on_each(void *context, const struct cmds_result *result)
{
    struct reader *reader = context;
    const struct chunk *chunk = chunk_of(result);
    reader->wrong |= chunk != NULL
                             ? chunk->index != reader->next
                             : end_of(result) == NULL || end_of(result)->number != reader->next;
    reader->next += chunk != NULL;
    if (reader->pause_ms > 0 && reader->next % 50 == 0) {
        cmds_sim_sleep_ms(reader->pause_ms);
    }
    return 0;
}

static int read_one(struct cmds_message message, uint32_t pause_ms)
{
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&feed_protocol);
    struct reader reader = {.pause_ms = pause_ms};
    struct cmds_sender *sender = NULL;
    if (feed_open_sender(&sender, &options) < 0) {
        return 1;
    }
    int code = cmds_sender_send_multi(sender, message, CMDS_NEVER, NULL, on_each, &reader);
    cmds_sender_close(sender, 1000);
    return code < 0 ? code : reader.wrong || reader.next != CHUNKS ? 2 : 0;
}

/* Each of them, and so the question, was answered once; few for nothing. */
static int check(const struct feed *feed, const struct giver *giver)
{
    if (feed_stats(feed).results_refused != giver->asks) {
        return 4;
    }
    return giver->code == 0 && giver->wrong == 0 && giver->asks == giver->tells &&
                           giver->asks > 5 && giver->useless <= giver->asks / 4
                   ? 0
                   : 3;
}

static int use_kept(struct feed *feed)
{
    struct keep keep = {0};
    int code = read_one(keep_message(&keep), 100);
    return code != 0 ? code : check(feed, &givers[0]);
}

static int use_work(struct feed *feed)
{
    struct work work = {0};
    int code = read_one(work_message(&work), 100);
    return code != 0 ? code : check(feed, &givers[0]);
}

static void run(struct feed *feed, int (*use)(struct feed *feed))
{
    memset(givers, 0, sizeof(givers));
    if (feed->server_options.output_size_max == 0) {
        feed->server_options.output_size_max = 256 * 1024;
    }
    feed->on_closed = join_all;
    CU_ASSERT_TRUE(feed_run(feed, use));
}

static void test_sim_writable_of_a_kept_call(void)
{
    struct feed feed;
    feed_init(&feed);
    feed.on_keep = keep_on_shard;
    run(&feed, use_kept);
    feed_init(&feed); // It does not read on, as there is no place for another call.
    feed.on_keep = keep_on_shard;
    feed.server_options.in_flight_max = 1;
    run(&feed, use_kept);
}

static void test_sim_writable_of_a_thread(void)
{
    struct feed feed;
    feed_init(&feed);
    feed.on_keep = keep_elsewhere;
    run(&feed, use_kept);
}

static void test_sim_writable_of_the_pool(void)
{
    struct feed feed;
    feed_init(&feed);
    feed.on_work = work_in_pool;
    run(&feed, use_work);
}

/* --- In turns --------------------------------------------------------------------------------- */

struct share {
    struct cmds_sender *sender;
    struct cmds_message message;
    uint64_t chunks, stop_at_ms;
    int code;
};

static int on_share(void *context, const struct cmds_result *result)
{
    struct share *share = context;
    share->chunks += chunk_of(result) != NULL;
    return feed_now_ms() >= share->stop_at_ms;
}

static void *read_share(void *context)
{
    struct share *share = context;
    share->code = cmds_sender_send_multi(
            share->sender, share->message, CMDS_NEVER, NULL, on_share, share);
    return NULL;
}

/*
 * Three that wait for room, and one that is run again, on one connection: nobody starves. All of them are
 * there before the first begins: at its bound the server reads no further command.
 */
static int use_turns(struct feed *feed)
{
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&feed_protocol);
    struct keep keeps[3] = {{0}, {1}, {2}};
    struct give give = {0, CHUNK};
    struct share shares[4];
    pthread_t threads[4];
    (void)feed;
    if (feed_open_sender(&shares[0].sender, &options) < 0) {
        return 1;
    }
    for (uint32_t i = 0; i < 4; i++) {
        shares[i] = (struct share){.sender = shares[0].sender,
                .message = i < 3 ? keep_message(&keeps[i]) : give_message(&give),
                .stop_at_ms = feed_now_ms() + 300};
        givers[i].count = INT64_MAX;
        givers[i].late_ms = 20;
        cmds_sim_sleep_ms(i < 3 ? 0 : 10);
        if (pthread_create(&threads[i], NULL, read_share, &shares[i]) != 0) {
            return 2;
        }
    }
    uint64_t least = UINT64_MAX, most = 0;
    for (uint32_t i = 0; i < 4; i++) {
        (void)pthread_join(threads[i], NULL);
        least = shares[i].chunks < least ? shares[i].chunks : least;
        most = shares[i].chunks > most ? shares[i].chunks : most;
    }
    cmds_sender_close(shares[0].sender, 0);
    cmds_sim_sleep_ms(100); // Those that wait learn that it has gone.
    bool told = true;
    for (uint32_t i = 0; i < 3; i++) {
        told = told && givers[i].code == CMDS_E_GONE && givers[i].asks == givers[i].tells;
    }
    return least > 20 && most < 8 * least && told ? 0 : 3;
}

static void test_sim_writable_in_turns(void)
{
    struct feed feed;
    feed_init(&feed);
    feed.on_keep = keep_on_shard;
    run(&feed, use_turns);
}

/* --- Ends while one waits --------------------------------------------------------------------- */

static _Atomic uint32_t cancel_count;

/* It is told behind this. */
static void count_cancel(struct cmds_call *call)
{
    giver_of(call)->wrong += giver_of(call)->tells == giver_of(call)->asks;
    atomic_fetch_add(&cancel_count, 1);
}

static int keep_on_shard_with_cancel(struct cmds_call *call, const struct keep *keep)
{
    cmds_call_on_cancel(call, count_cancel);
    return keep_on_shard(call, keep);
}

static void ignore(void *context, const struct cmds_result *result)
{
    (void)context;
    (void)result;
}

/* A connection that asks for `number` and reads nothing. Returns: the calls wait for room. */
static bool ask_for(struct cmds_runtime **runtime, struct cmds_group **group, int64_t number)
{
    struct cmds_runtime_options runtime_options = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(&feed_protocol);
    runtime_options.shard_count = 1;
    options.connect = "server:9000";
    options.deadline_ms = CMDS_NEVER;
    if (cmds_runtime_start(runtime, &runtime_options, NULL) < 0 ||
            cmds_group_open(group, *runtime, &options, NULL) < 0 ||
            cmds_group_pause(*group, 0) < 0) {
        return false;
    }
    for (int64_t i = 0; i < number; i++) {
        struct keep keep = {i};
        givers[i].count = INT64_MAX;
        givers[i].late_ms = 20; // The server has all of them by then.
        if (cmds_group_send(*group, keep_message(&keep), NULL, ignore, NULL) < 0) {
            return false;
        }
    }
    cmds_sim_sleep_ms(500);
    for (int64_t i = 0; i < number; i++) {
        if (givers[i].asks != givers[i].tells + 1) {
            return false;
        }
    }
    return true;
}

static bool all_are_told(int64_t number)
{
    bool told = true;
    for (int64_t i = 0; i < number; i++) {
        told = told && givers[i].asks == givers[i].tells && givers[i].code == CMDS_E_GONE &&
               givers[i].wrong == 0;
    }
    return told;
}

/* `end` is what ends it. */
static int use_end(void (*end)(struct feed *feed, struct cmds_group *group), struct feed *feed)
{
    struct cmds_runtime *runtime = NULL;
    struct cmds_group *group = NULL;
    atomic_store(&cancel_count, 0);
    if (!ask_for(&runtime, &group, 3)) {
        return 1;
    }
    end(feed, group);
    cmds_sim_sleep_ms(500);
    bool told = all_are_told(3);
    cmds_group_close(group, NULL, NULL);
    cmds_runtime_stop(runtime);
    return told ? 0 : 2;
}

static void end_by_a_cut(struct feed *feed, struct cmds_group *group)
{
    (void)group;
    (void)cmds_sim_cut(feed->server_process, feed->test_process);
}

static void end_by_the_server(struct feed *feed, struct cmds_group *group)
{
    (void)group;
    cmds_sim_terminate(feed->server_process);
}

static void end_by_time(struct feed *feed, struct cmds_group *group)
{
    (void)feed;
    (void)group;
    cmds_sim_sleep_ms(1000); // exec_timeout_ms
}

static int use_cut(struct feed *feed)
{
    return use_end(end_by_a_cut, feed);
}

static int use_close(struct feed *feed)
{
    return use_end(end_by_the_server, feed);
}

static int use_deadline(struct feed *feed)
{
    return use_end(end_by_time, feed);
}

static void test_sim_writable_is_told_of_the_end(void)
{
    int (*const uses[])(struct feed * feed) = {use_cut, use_close, use_deadline};
    for (uint32_t i = 0; i < 6; i++) {
        struct feed feed;
        feed_init(&feed);
        feed.on_keep = i < 3 ? keep_on_shard_with_cancel : keep_elsewhere;
        feed.server_options.exec_timeout_ms = uses[i % 3] == use_deadline ? 1000 : CMDS_NEVER;
        run(&feed, uses[i % 3]);
        CU_ASSERT_EQUAL(atomic_load(&cancel_count), i < 3 ? 3 : 0);
    }
}

/* --- A reader that stops anywhere --------------------------------------------------------------- */

enum {
    STEPS = 300,
    STEP_CHUNKS = 5,
};

struct stepper {
    struct cmds_group *group;
    uint32_t left; // Chunks until it stops.
};

/* Each begins later, at any time of a cycle. */
static int keep_late(struct cmds_call *call, const struct keep *keep)
{
    struct giver *giver = &givers[keep->number];
    giver->count = INT64_MAX;
    giver->large = 10 * CHUNK;
    giver->late_ms = keep->number == 0 ? 0 : 30 * (uint32_t)keep->number + 1490;
    return keep_elsewhere(call, keep);
}

static void on_step(void *context, const struct cmds_result *result)
{
    struct stepper *stepper = context;
    if (chunk_of(result) != NULL && stepper->left > 0 && --stepper->left == 0) {
        (void)cmds_group_pause(stepper->group, 0);
    }
}

/*
 * Wherever it stops, and whatever else its connection does then: a thread that waits is told only if its
 * send would be taken.
 */
static int use_steps(struct feed *feed)
{
    struct cmds_runtime *runtime = NULL;
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(&feed_protocol);
    struct cmds_runtime_options runtime_options = CMDS_RUNTIME_OPTIONS_INIT;
    struct stepper stepper = {.group = NULL};
    struct keep keep = {0};
    uint32_t asks = 0;
    (void)feed;
    runtime_options.shard_count = 1;
    options.connect = "server:9000";
    options.deadline_ms = CMDS_NEVER;
    givers[0].count = INT64_MAX;
    if (cmds_runtime_start(&runtime, &runtime_options, NULL) < 0 ||
            cmds_group_open(&stepper.group, runtime, &options, NULL) < 0 ||
            cmds_group_pause(stepper.group, 0) < 0 ||
            cmds_group_send(stepper.group, keep_message(&keep), NULL, on_step, &stepper) < 0) {
        return 1;
    }
    for (keep.number = 1; keep.number < 8; keep.number++) {
        if (cmds_group_send(stepper.group, keep_message(&keep), NULL, on_step, &stepper) < 0) {
            return 1;
        }
    }
    cmds_sim_sleep_ms(100);
    for (uint32_t i = 0; i < STEPS; i++) {
        stepper.left = STEP_CHUNKS;
        (void)cmds_group_resume(stepper.group, 0);
        cmds_sim_sleep_ms(40);
    }
    cmds_group_close(stepper.group, NULL, NULL);
    cmds_runtime_stop(runtime);
    for (uint32_t i = 0; i < 8; i++) {
        asks += givers[i].asks;
    }
    return asks < STEPS ? 0 : 2;
}

static void test_sim_writable_wherever_the_reader_stops(void)
{
    struct feed feed;
    feed_init(&feed);
    feed.on_keep = keep_late;
    feed.server_options.output_size_max = 1024 * 1024;
    run(&feed, use_steps);
}

/* --- Memory ----------------------------------------------------------------------------------- */

static _Atomic uint64_t memory_taken;

static void take_memory(void *context)
{
    struct cmdi_account *account = &cmdi_shard_current()->buffers.account;
    (void)context;
    cmdi_account_add(account, account->size_max);
    atomic_store(&memory_taken, account->size_max);
}

static void give_memory(void *context)
{
    (void)context;
    cmdi_account_sub(&cmdi_shard_current()->buffers.account, atomic_exchange(&memory_taken, 0));
}

static int keep_without_memory(struct cmds_call *call, const struct keep *keep)
{
    givers[keep->number].count = 1;
    givers[keep->number].late_ms = 500;
    return keep_elsewhere(call, keep);
}

/* The output is empty, but the shard has nothing for an inbox. */
static int use_memory(struct feed *feed)
{
    struct cmds_runtime *runtime = NULL;
    struct cmds_group *group = NULL;
    struct cmds_runtime_options runtime_options = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(&feed_protocol);
    struct keep keep = {0};
    runtime_options.shard_count = 1;
    options.connect = "server:9000";
    if (cmds_runtime_start(&runtime, &runtime_options, NULL) < 0 ||
            cmds_group_open(&group, runtime, &options, NULL) < 0 ||
            cmds_group_wait(group, 1000, NULL) < 0 ||
            cmds_group_send(group, keep_message(&keep), NULL, ignore, NULL) < 0) {
        return 1;
    }
    cmds_sim_sleep_ms(100);
    if (cmds_runtime_post(feed->server_runtime, 0, take_memory, NULL) < 0) {
        return 1;
    }
    cmds_sim_sleep_ms(2000);
    if (givers[0].asks != 1 || givers[0].tells != 0) {
        return 2;
    }
    if (cmds_runtime_post(feed->server_runtime, 0, give_memory, NULL) < 0) {
        return 3;
    }
    cmds_sim_sleep_ms(300);
    bool right = givers[0].code == 0 && givers[0].tells == 1 && cmds_group_pending(group) == 0;
    cmds_group_close(group, NULL, NULL);
    cmds_runtime_stop(runtime);
    return right ? 0 : 4;
}

static void test_sim_writable_when_memory_is_given_back(void)
{
    struct feed feed;
    feed_init(&feed);
    feed.on_keep = keep_without_memory;
    run(&feed, use_memory);
}

/* --- What is refused -------------------------------------------------------------------------- */

static _Atomic int codes[4];

static void never(struct cmds_call *call)
{
    (void)call;
    codes[3] = 1;
}

static int keep_and_ask(struct cmds_call *call, const struct keep *keep)
{
    codes[0] = cmds_call_on_writable(NULL, never);
    codes[1] = cmds_call_on_writable(call, NULL);
    int code = cmds_call_send(call, end_message(&(struct end){keep->number}));
    codes[2] = cmds_call_on_writable(call, never);
    return code;
}

static int use_wrongly(struct feed *feed)
{
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&feed_protocol);
    struct cmds_sender *sender = NULL;
    struct keep keep = {0};
    (void)feed;
    if (feed_open_sender(&sender, &options) < 0) {
        return 1;
    }
    int code = cmds_sender_send(sender, keep_message(&keep), 1000, NULL, NULL);
    cmds_sender_close(sender, 1000);
    return code;
}

static void test_sim_writable_is_refused(void)
{
    struct feed feed;
    feed_init(&feed);
    feed.on_keep = keep_and_ask;
    run(&feed, use_wrongly);
    CU_ASSERT_EQUAL(codes[0], -EINVAL);
    CU_ASSERT_EQUAL(codes[1], -EINVAL);
    CU_ASSERT_EQUAL(codes[2], CMDS_E_FINISHED);
    CU_ASSERT_EQUAL(codes[3], 0);
}

static CU_TestInfo tests[] = {
        {"of a kept call", test_sim_writable_of_a_kept_call},
        {"of a thread", test_sim_writable_of_a_thread},
        {"of the pool", test_sim_writable_of_the_pool},
        {"in turns", test_sim_writable_in_turns},
        {"is told of the end", test_sim_writable_is_told_of_the_end},
        {"wherever the reader stops", test_sim_writable_wherever_the_reader_stops},
        {"when memory is given back", test_sim_writable_when_memory_is_given_back},
        {"is refused", test_sim_writable_is_refused},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("sim_writable", tests)

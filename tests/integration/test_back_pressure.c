/* SPDX-License-Identifier: MIT */
/*
 * The bounds of a server connection, where it stops reading and must go on. What may go wrong: a
 * wake-up that is lost, so that it stands for ever; calls that stay and hold up those that do not;
 * a ping that is answered by a cut; a limit of connections that two listeners pass together; a
 * reference that goes while the server does.
 */
#include "support/world.h"

#include <errno.h>
#include <unistd.h>

enum {
    BIG_SIZE = 8 << 20, // More than a UNIX socket takes for a peer that does not read.
};
static char big[BIG_SIZE];

static void send_big(struct cmds_call *call)
{
    struct item item = {.index = 1, .last = true, .data = {big, sizeof(big)}};
    CU_ASSERT_EQUAL(cmds_call_send(call, item_message(&item)), 0);
}

static void send_small(struct cmds_call *call)
{
    CU_ASSERT_EQUAL(world_send_item(call, 2, true), 0);
}

enum {
    DO_BIG,
    DO_SMALL,
    DO_KEEP,
};

static int exec(struct cmds_call *call, const struct run *run)
{
    struct world *world = cmds_call_receiver(call);
    if (run->what == DO_KEEP) {
        _Atomic(struct cmds_call *) *calls = world->context;
        atomic_store(&calls[run->number], cmds_call_ref(call));
        return 0;
    }
    return cmds_call_after(call, 1, run->what == DO_BIG ? send_big : send_small);
}

static bool send_run(struct raw *raw, uint64_t sequence, int64_t what, int64_t number)
{
    return raw_send(raw, sequence, run_message(&(struct run){what, number, CMDS_STRING("")}));
}

static bool read_big(struct raw *raw)
{
    struct raw_frame frame;
    return raw_read(raw, &frame) == RAW_FRAME && frame.body_size > BIG_SIZE;
}

/* A UNIX socket, which holds little: what is sent stays in our output. */
static bool start_local(struct world *world, struct raw *raw)
{
    static char name[64];
    (void)snprintf(name, sizeof(name), "unix:@cmds-back-pressure-%d", (int)getpid());
    world->options.listen = name;
    world->exec = exec;
    return world_start(world) == 0 && world_connect(world, raw);
}

static void test_a_connection_that_stopped_for_both_bounds_goes_on(void)
{
    struct world world;
    struct raw raw;
    world_init(&world);
    world.options.in_flight_max = 1;
    CU_ASSERT_FATAL(start_local(&world, &raw));

    // Its result goes, and the call ends, when the output is full.
    CU_ASSERT_FATAL(send_run(&raw, 1, DO_BIG, 0));
    WORLD_UNTIL(&world, world_stats(&world).results_sent == 1);
    CU_ASSERT_FATAL(read_big(&raw));

    CU_ASSERT(world_echoes(&raw, 2));
    raw_close(&raw);
    world_stop(&world);
}

static void test_calls_that_stay_do_not_hold_up_the_others(void)
{
    struct world world;
    struct raw raw;
    _Atomic(struct cmds_call *) calls[7] = {NULL};
    uint64_t sequence = 0;
    bool last = false;
    world_init(&world);
    world.exec = exec;
    world.context = calls;
    world.options.in_flight_max = 8;
    CU_ASSERT_FATAL(world_start(&world) == 0 && world_connect(&world, &raw));

    for (int64_t i = 0; i < 7; i++) {
        CU_ASSERT_FATAL(send_run(&raw, (uint64_t)i + 1, DO_KEEP, i));
    }
    for (uint64_t i = 8; i < 20; i += 2) { // The second of each two is beyond the bound.
        CU_ASSERT_FATAL(send_run(&raw, i, DO_SMALL, 0) && send_run(&raw, i + 1, DO_SMALL, 0));
        for (uint64_t k = i; k < i + 2; k++) {
            CU_ASSERT_EQUAL_FATAL(world_read_item(&raw, &sequence, &last), 2);
            CU_ASSERT_EQUAL(sequence, k);
        }
    }

    CU_ASSERT(world_echoes(&raw, 20));
    CU_ASSERT(world_stats(&world).read_pauses > 0);
    raw_close(&raw);
    world_stop(&world);
    for (uint32_t i = 0; i < 7; i++) {
        CU_ASSERT_TRUE(cmds_call_is_cancelled(calls[i]));
        cmds_call_unref(calls[i]); // The runtime is gone; they are not.
    }
}

static void test_a_ping_behind_a_full_output_is_answered(void)
{
    struct world world;
    struct raw raw;
    world_init(&world);
    CU_ASSERT_FATAL(start_local(&world, &raw));

    CU_ASSERT_FATAL(send_run(&raw, 1, DO_BIG, 0));
    WORLD_UNTIL(&world, world_stats(&world).results_sent == 1);
    CU_ASSERT_FATAL(raw_write_hex(&raw, "00"));

    CU_ASSERT_FATAL(read_big(&raw));
    CU_ASSERT(raw_expect_hex(&raw, "00"));
    CU_ASSERT_EQUAL(atomic_load(&world.disconnected), 0);
    raw_close(&raw);
    world_stop(&world);
}

static void test_two_listeners_keep_one_limit(void)
{
    struct world world;
    struct raw first, second, third;
    char other[128];
    world_init(&world);
    world.options.listen = "127.0.0.1:0,127.0.0.1:0";
    world.options.overflow = CMDS_OVERFLOW_QUEUE;
    world.options.connection_count_max = 1;
    CU_ASSERT_FATAL(world_start(&world) == 0 && world_connect(&world, &first));
    CU_ASSERT_FATAL(cmds_server_address(world.server, 1, other, sizeof(other)) == 0);

    CU_ASSERT_FATAL(raw_open(&second, other, 0, NULL) == 0);
    for (uint64_t i = 1; i < 50; i++) {
        CU_ASSERT(world_echoes(&first, i));
        CU_ASSERT_EQUAL(cmds_server_connection_count(world.server), 1);
    }
    CU_ASSERT_EQUAL(atomic_load(&world.connected), 1);
    raw_close(&first);
    CU_ASSERT(raw_server_info(&second)); // Its turn has come.
    CU_ASSERT(world_echoes(&second, 1));

    CU_ASSERT_FATAL(raw_open(&third, world.address, 0, NULL) == 0);
    world_stop(&world);
    CU_ASSERT_NOT_EQUAL(raw_drain(&third), RAW_HANG); // Nobody's descriptor is left open.
    raw_close(&second);
    raw_close(&third);
}

/* --- Threads that are refused ------------------------------------------------------------------ */

enum {
    PIECE_SIZE = 64 * 1024,
    PIECES = 300, // 19 MB of results, of which 1 MB may wait.
    GIVERS = 3,
};

/* A thread that gives the results of a kept call, and sleeps while there is no room. */
struct giver {
    struct cmds_call *call;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t told_cond;
    bool told; // Under the lock.
    uint32_t asks;
    int code;
};
static struct giver givers[GIVERS];
static _Atomic uint32_t giver_count;

static void giver_wake(struct cmds_call *call)
{
    struct giver *giver = cmds_call_context(call);
    pthread_mutex_lock(&giver->lock);
    giver->told = true;
    pthread_cond_signal(&giver->told_cond);
    pthread_mutex_unlock(&giver->lock);
}

static int giver_wait(struct giver *giver)
{
    int code = cmds_call_on_writable(giver->call, giver_wake);
    giver->asks++;
    pthread_mutex_lock(&giver->lock);
    while (code == 0 && !giver->told) {
        (void)pthread_cond_wait(&giver->told_cond, &giver->lock);
    }
    giver->told = false;
    pthread_mutex_unlock(&giver->lock);
    return code;
}

static void *give(void *context)
{
    struct giver *giver = context;
    for (uint32_t i = 0; i < PIECES && giver->code == 0;) {
        struct item item = {.index = i, .last = i == PIECES - 1, .data = {big, PIECE_SIZE}};
        giver->code = cmds_call_send(giver->call, item_message(&item));
        i += giver->code == 0;
        giver->code = giver->code == -ENOBUFS ? giver_wait(giver) : giver->code;
    }
    cmds_call_unref(giver->call);
    return NULL;
}

static int exec_give(struct cmds_call *call, const struct run *run)
{
    struct giver *giver = &givers[run->number];
    *giver = (struct giver){.call = cmds_call_ref(call)};
    (void)pthread_mutex_init(&giver->lock, NULL);
    (void)pthread_cond_init(&giver->told_cond, NULL);
    cmds_call_set_context(call, giver);
    atomic_fetch_add(&giver_count, 1);
    return pthread_create(&giver->thread, NULL, give, giver) == 0 ? 0 : -EAGAIN;
}

/* `read_all` false: the peer leaves when all of them have been refused. */
static void check_threads(bool read_all)
{
    struct world world;
    struct raw raw;
    world_init(&world);
    world.exec = exec_give;
    atomic_store(&giver_count, 0);
    CU_ASSERT_FATAL(world_start(&world) == 0 && world_connect(&world, &raw));
    for (int64_t i = 0; i < GIVERS; i++) {
        CU_ASSERT_FATAL(send_run(&raw, (uint64_t)i + 1, 0, i));
    }
    WORLD_UNTIL(&world, atomic_load(&giver_count) == GIVERS);
    WORLD_UNTIL(&world, world_stats(&world).results_refused >= GIVERS);
    int64_t next[GIVERS] = {0};
    uint32_t asks = 0;
    for (uint32_t i = 0; read_all && i < GIVERS * PIECES; i++) {
        uint64_t sequence = 0;
        bool last = false;
        int64_t index = world_read_item(&raw, &sequence, &last);
        CU_ASSERT_FATAL(sequence >= 1 && sequence <= GIVERS);
        CU_ASSERT_EQUAL_FATAL(index, next[sequence - 1]++);
    }
    raw_close(&raw);
    for (uint32_t i = 0; i < GIVERS; i++) {
        (void)pthread_join(givers[i].thread, NULL);
        CU_ASSERT_EQUAL(givers[i].code, read_all ? 0 : CMDS_E_GONE);
        asks += givers[i].asks;
    }
    CU_ASSERT(asks > 0);
    world_stop(&world);
}

static void test_threads_that_are_refused_are_told_of_room(void)
{
    check_threads(true);
    check_threads(false);
}

static void *release(void *context)
{
    (void)cmds_call_send(context, note_message(&(struct note){1}));
    cmds_call_unref(context);
    return NULL;
}

static void test_the_last_reference_races_with_the_close_of_the_server(void)
{
    for (uint32_t i = 0; i < 40; i++) {
        struct world world;
        struct raw raw;
        _Atomic(struct cmds_call *) calls[1] = {NULL};
        pthread_t thread;
        world_init(&world);
        world.exec = exec;
        world.context = calls;
        CU_ASSERT_FATAL(world_start(&world) == 0 && world_connect(&world, &raw));
        // In order: it is kept.
        CU_ASSERT_FATAL(send_run(&raw, 1, DO_KEEP, 0) && world_echoes(&raw, 2));
        CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, release, atomic_load(&calls[0])), 0);

        if (i % 2 == 0) {
            raw_close(&raw); // The connection goes at the same time.
        }
        world_stop(&world);

        (void)pthread_join(thread, NULL);
        raw_close(&raw);
    }
}

static CU_TestInfo tests[] = {
        {"a connection that stopped for both bounds goes on",
                test_a_connection_that_stopped_for_both_bounds_goes_on},
        {"calls that stay do not hold up the others",
                test_calls_that_stay_do_not_hold_up_the_others},
        {"a ping behind a full output is answered", test_a_ping_behind_a_full_output_is_answered},
        {"two listeners keep one limit", test_two_listeners_keep_one_limit},
        {"threads that are refused are told of room",
                test_threads_that_are_refused_are_told_of_room},
        {"the last reference races with the close of the server",
                test_the_last_reference_races_with_the_close_of_the_server},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("back pressure", tests)

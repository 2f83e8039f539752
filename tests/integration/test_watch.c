/* SPDX-License-Identifier: MIT */
/*
 * Peers of a server that does not read for the moment, or waits for nothing but its calls: their
 * end must be noticed all the same, and they must see that the server lives. And peers that read
 * slowly: what counts is what they take, not how large our sends are.
 */
#include "support/world.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    BOUND = 4,
    CALLS = 16,
};

static _Atomic(struct cmds_call *) calls[CALLS];
static _Atomic uint32_t call_count, cancel_count;

static void on_cancel(struct cmds_call *call)
{
    (void)call;
    atomic_fetch_add(&cancel_count, 1);
}

/* Kept until the end of the test. */
static int exec_keep(struct cmds_call *call, const struct run *run)
{
    (void)run;
    cmds_call_on_cancel(call, on_cancel);
    atomic_store(&calls[atomic_fetch_add(&call_count, 1)], cmds_call_ref(call));
    return 0;
}

static void start(struct world *world, const char *listen)
{
    atomic_store(&call_count, 0);
    atomic_store(&cancel_count, 0);
    world->exec = world->exec != NULL ? world->exec : exec_keep;
    world->options.in_flight_max = BOUND;
    if (listen != NULL) {
        world->options.listen = listen;
    }
    CU_ASSERT_FATAL(world_start(world) == 0);
}

static void stop(struct world *world)
{
    world_stop(world);
    for (uint32_t i = 0; i < atomic_load(&call_count); i++) {
        cmds_call_unref(calls[i]);
    }
}

/* Beyond the bound: the server has stopped reading. */
static void fill(struct world *world, struct raw *raw, uint32_t number)
{
    struct run run = {0};
    uint64_t pauses = world_stats(world).read_pauses;
    uint32_t before = atomic_load(&call_count);
    for (uint64_t i = 1; i <= number; i++) {
        CU_ASSERT_FATAL(raw_send(raw, i, run_message(&run)));
    }
    WORLD_UNTIL(world, atomic_load(&call_count) == before + (number < BOUND ? number : BOUND));
    WORLD_UNTIL(world, number <= BOUND || world_stats(world).read_pauses > pauses);
}

static const char *local_address(void)
{
    static char name[64];
    (void)snprintf(name, sizeof(name), "unix:@cmds-watch-%d", (int)getpid());
    return name;
}

static void test_watch_a_reset_is_noticed_at_once(void)
{
    for (uint32_t number = BOUND - 1; number <= BOUND + 1; number++) {
        struct world world;
        struct raw raw;
        world_init(&world);
        world.options.idle_timeout_ms = CMDS_NEVER;
        start(&world, NULL);
        CU_ASSERT_FATAL(world_connect(&world, &raw));
        fill(&world, &raw, number);

        raw_abort(&raw);

        WORLD_UNTIL(&world, atomic_load(&world.disconnected) == 1);
        CU_ASSERT_EQUAL(atomic_load(&cancel_count), atomic_load(&call_count));
        CU_ASSERT_EQUAL(atomic_load(&world.cause), CMDS_E_EOF);
        CU_ASSERT_EQUAL(world_stats(&world).resets, 1);
        stop(&world);
    }
}

static void test_watch_a_unix_peer_that_closed_is_noticed(void)
{
    for (uint32_t number = BOUND - 1; number <= BOUND; number++) {
        struct world world;
        struct raw raw;
        world_init(&world);
        world.options.idle_timeout_ms = CMDS_NEVER;
        start(&world, local_address());
        CU_ASSERT_FATAL(world_connect(&world, &raw));
        fill(&world, &raw, number);

        raw_close(&raw);

        WORLD_UNTIL(&world, atomic_load(&world.disconnected) == 1);
        CU_ASSERT_EQUAL(atomic_load(&cancel_count), number);
        stop(&world);
    }
}

/* Half a close is legal, but calls that never end do not hold the connection for ever. */
static void test_watch_a_peer_that_finished_has_its_time(void)
{
    const char *addresses[] = {NULL, local_address()};
    for (uint32_t i = 0; i < 4; i++) {
        struct world world;
        struct raw raw;
        world_init(&world);
        world.options.idle_timeout_ms = 300;
        start(&world, addresses[i / 2]);
        CU_ASSERT_FATAL(world_connect(&world, &raw));
        fill(&world, &raw, i % 2 == 0 ? 1 : BOUND + 2);

        raw_finish(&raw);

        WORLD_UNTIL(&world, atomic_load(&world.disconnected) == 1);
        CU_ASSERT_EQUAL(atomic_load(&cancel_count), atomic_load(&call_count));
        CU_ASSERT_EQUAL(world_stats(&world).idle_closes, 1);
        raw_close(&raw);
        stop(&world);
    }
}

/* The shard has nothing to do for one whose calls take their time. */
static void test_watch_a_peer_that_finished_costs_nothing(void)
{
    struct world world;
    struct raw raw;
    struct cmds_runtime_counters before = CMDS_RUNTIME_COUNTERS_INIT, after = before;
    world_init(&world);
    start(&world, NULL);
    CU_ASSERT_FATAL(world_connect(&world, &raw));
    fill(&world, &raw, 1);
    raw_finish(&raw);
    usleep(50000);

    cmds_runtime_stats(world.runtime, &before);
    usleep(100000);
    cmds_runtime_stats(world.runtime, &after);

    CU_ASSERT(after.turns - before.turns < 100); // It was as many as fit into the time.
    raw_abort(&raw);                             // And its end is noticed.
    WORLD_UNTIL(&world, atomic_load(&world.disconnected) == 1);
    CU_ASSERT_EQUAL(atomic_load(&cancel_count), 1);
    stop(&world);
}

static void test_watch_half_a_close_is_answered(void)
{
    struct world world;
    struct raw raw;
    uint64_t sequence = 0;
    bool last = false;
    world_init(&world);
    start(&world, NULL);
    CU_ASSERT_FATAL(world_connect(&world, &raw));
    fill(&world, &raw, BOUND + 1);
    raw_finish(&raw);

    for (uint32_t i = 0; i < BOUND + 1; i++) {
        WORLD_UNTIL(&world, atomic_load(&call_count) > i);
        CU_ASSERT_EQUAL(world_send_item(calls[i], 9, true), 0);
        cmds_call_unref(cmds_call_ref(calls[i]));
        CU_ASSERT_EQUAL(world_read_item(&raw, &sequence, &last), 9);
        cmds_call_unref(calls[i]);
    }

    CU_ASSERT_EQUAL(raw_drain(&raw), RAW_EOF);
    atomic_store(&call_count, 0);
    raw_close(&raw);
    stop(&world);
}

/* --- The server lives ------------------------------------------------------------------------- */

static bool has_pong(struct raw *raw)
{
    struct raw_frame frame;
    return raw_try(raw, &frame) == RAW_FRAME && frame.sequence == 0;
}

static void test_watch_a_ping_at_the_bound_is_answered(void)
{
    struct world world;
    struct raw raw;
    world_init(&world);
    start(&world, NULL);
    CU_ASSERT_FATAL(world_connect(&world, &raw));
    fill(&world, &raw, BOUND);

    CU_ASSERT(raw_write_hex(&raw, "0000") && raw_expect_hex(&raw, "0000"));

    CU_ASSERT_EQUAL(world_stats(&world).read_pauses, 0);
    raw_close(&raw);
    stop(&world);
}

/* Whoever has not sent a ping does not know what a pong is. */
static void test_watch_pongs_come_unasked_while_nothing_is_read(void)
{
    struct world world;
    struct raw raw, other;
    world_init(&world);
    start(&world, NULL);
    CU_ASSERT_FATAL(world_connect(&world, &raw) && world_connect(&world, &other));
    CU_ASSERT(raw_write_hex(&raw, "00") && raw_expect_hex(&raw, "00"));
    fill(&world, &other, BOUND + 1);
    fill(&world, &raw, BOUND + 1);

    CU_ASSERT(raw_expect_hex(&raw, "0000"));

    CU_ASSERT_FALSE(has_pong(&other));
    raw_close(&raw);
    raw_close(&other);
    stop(&world);
}

static void test_watch_pongs_come_while_it_drains(void)
{
    struct world world;
    struct raw raw, other;
    world_init(&world);
    start(&world, NULL);
    CU_ASSERT_FATAL(world_connect(&world, &raw) && world_connect(&world, &other));
    fill(&world, &raw, 1);
    fill(&world, &other, 1);
    CU_ASSERT_EQUAL(cmds_server_shutdown(world.server, 1), CMDS_E_TIMEOUT);

    CU_ASSERT(raw_write_hex(&raw, "00")); // The first one: the server does not read it any more.
    CU_ASSERT(raw_expect_hex(&raw, "0000"));

    CU_ASSERT_FALSE(has_pong(&other));
    raw_close(&raw);
    raw_close(&other);
    stop(&world);
}

/* --- Peers that read slowly ------------------------------------------------------------------- */

static int exec_endless(struct cmds_call *call, const struct run *run)
{
    static char chunk[65536];
    int code = 0;
    (void)run;
    while (code == 0) {
        code = cmds_call_send(call, item_message(&(struct item){.data = {chunk, sizeof(chunk)}}));
    }
    return code == -ENOBUFS ? CMDS_EXEC_AGAIN : code;
}

struct slow {
    struct world world;
    struct raw raw;
};

static void slow_start(struct slow *slow, const char *listen)
{
    struct run run = {0};
    world_init(&slow->world);
    slow->world.options.output_size_max = 4 << 20;
    slow->world.options.write_timeout_ms = 2000;
    slow->world.exec = exec_endless;
    start(&slow->world, listen);
    CU_ASSERT_FATAL(raw_open(&slow->raw, slow->world.address, 4096, NULL) == 0);
    CU_ASSERT_FATAL(raw_server_info(&slow->raw));
    CU_ASSERT_FATAL(raw_send(&slow->raw, 1, run_message(&run)));
}

/* Returns: false: it was cut. */
static bool slow_read(struct slow *slow)
{
    static uint8_t bytes[16384];
    ssize_t size = recv(slow->raw.fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    return size > 0 || (size < 0 && errno == EAGAIN);
}

/* They read no more. */
static void slow_stop(struct slow *slow)
{
    WORLD_UNTIL(&slow->world, atomic_load(&slow->world.disconnected) == 1);
    CU_ASSERT_EQUAL(atomic_load(&slow->world.cause), CMDS_E_SLOW_PEER);
    CU_ASSERT_EQUAL(world_stats(&slow->world).slow_consumers, 1);
    CU_ASSERT_EQUAL(world_logged(&slow->world, "the peer took "), 1);
    raw_close(&slow->raw);
    stop(&slow->world);
}

/* On TCP and on a UNIX socket, side by side: it takes a while. */
static void test_watch_slow_readers_stay_until_they_stop(void)
{
    struct slow slow[2];
    slow_start(&slow[0], NULL);
    slow_start(&slow[1], local_address());

    // Each reads 1 MB in all: less than the send that is under way.
    for (uint64_t until_ms = raw_now_ms() + 5000; raw_now_ms() < until_ms; usleep(100000)) {
        CU_ASSERT_FATAL(slow_read(&slow[0]) && slow_read(&slow[1]));
    }
    CU_ASSERT_EQUAL(world_stats(&slow[0].world).slow_consumers, 0);
    CU_ASSERT_EQUAL(world_stats(&slow[1].world).slow_consumers, 0);

    slow_stop(&slow[0]);
    slow_stop(&slow[1]);
}

static CU_TestInfo tests[] = {
        {"a reset is noticed at once", test_watch_a_reset_is_noticed_at_once},
        {"a UNIX peer that closed is noticed", test_watch_a_unix_peer_that_closed_is_noticed},
        {"a peer that finished has its time", test_watch_a_peer_that_finished_has_its_time},
        {"a peer that finished costs nothing", test_watch_a_peer_that_finished_costs_nothing},
        {"half a close is answered", test_watch_half_a_close_is_answered},
        {"a ping at the bound is answered", test_watch_a_ping_at_the_bound_is_answered},
        {"pongs come unasked while nothing is read",
                test_watch_pongs_come_unasked_while_nothing_is_read},
        {"pongs come while it drains", test_watch_pongs_come_while_it_drains},
        {"slow readers stay until they stop", test_watch_slow_readers_stay_until_they_stop},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("watch", tests)

/* SPDX-License-Identifier: MIT */
/*
 * The proxy of `cmdstream chaos` in a simulated world: without a fault there is nothing to be seen of it,
 * and what the faults that last look like from both ends of a connection.
 */
#include "support/chaos_world.h"

/* --- Without a fault -------------------------------------------------------------------------- */

static void use_bytes_and_ends(struct world *world)
{
    join(world);
    say(world->client, "ping", 4);
    CU_ASSERT(hears(world->target, "ping"));
    say(world->target, "pong", 4);
    CU_ASSERT(hears(world->client, "pong"));

    cmdi_socket_shutdown(world->client, SHUT_WR);
    CU_ASSERT(is_finished(world->target));
    CU_ASSERT(is_silent(world->client, 1000)); // One direction has ended, no more.
    say(world->target, "after", 5);
    CU_ASSERT(hears(world->client, "after"));
    CU_ASSERT_EQUAL(open_count(world), 1);

    cmdi_socket_shutdown(world->target, SHUT_WR);
    CU_ASSERT(is_finished(world->client));
    cmds_sim_sleep_ms(100);
    CU_ASSERT_EQUAL(open_count(world), 0);
    part(world);
}

static void test_sim_chaos_passes_bytes_and_each_fin(void)
{
    in_world(&(struct run){.test = use_bytes_and_ends});
}

static void use_resets(struct world *world)
{
    join(world);
    say(world->client, "last words", 10);
    cmds_sim_sleep_ms(10);
    cmdi_socket_reset(world->client);
    CU_ASSERT(hears(world->target, "last words"));
    CU_ASSERT(is_reset(world->target));
    part(world);

    join(world);
    cmdi_socket_reset(world->target);
    CU_ASSERT(is_reset(world->client));
    part(world);
    cmds_sim_sleep_ms(100);
    CU_ASSERT_EQUAL(open_count(world), 0);
}

static void test_sim_chaos_passes_each_reset(void)
{
    in_world(&(struct run){.test = use_resets});
}

static void use_back_pressure(struct world *world)
{
    static char data[MUCH];
    size_t sent = 0, came = 0, wrong = 0;
    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = (char)(i * 7 + i / 251);
    }
    join(world);
    for (uint32_t quiet = 0; quiet < 1000;) { // Until nothing more is taken for a second.
        int64_t took = cmdi_sock_send(
                cmdi_sock_of_fd(world->client), data + sent % MUCH, MUCH - sent % MUCH);
        sent += took > 0 ? (size_t)took : 0;
        quiet = took > 0 ? 0 : quiet + 1;
        cmds_sim_sleep_ms(1);
    }
    struct cmdi_chaos_counters counters;
    cmdi_chaos_stats(world->chaos, &counters);
    CU_ASSERT(sent < 64 * (size_t)MUCH);
    CU_ASSERT(counters.bytes_up < sent);

    cmdi_socket_shutdown(world->client, SHUT_WR);
    static char back[65536];
    int64_t got;
    while ((got = hear(world->target, back, sizeof(back), PATIENCE_MS)) > 0) {
        for (int64_t i = 0; i < got; i++, came++) {
            wrong += back[i] != data[came % MUCH];
        }
    }
    CU_ASSERT_EQUAL(got, 0);
    CU_ASSERT_EQUAL(came, sent);
    CU_ASSERT_EQUAL(wrong, 0);
    part(world);
}

static void test_sim_chaos_reads_no_more_than_is_taken(void)
{
    in_world(&(struct run){.test = use_back_pressure});
}

/* A reset is known although nothing is read: the target takes nothing, and the pipe is full. */
static void use_reset_behind_much(struct world *world)
{
    static char data[MUCH];
    join(world);
    for (uint32_t i = 0; i < 2000; i++) {
        (void)cmdi_sock_send(cmdi_sock_of_fd(world->client), data, sizeof(data));
        cmds_sim_sleep_ms(1);
    }
    cmdi_socket_reset(world->client);
    cmds_sim_sleep_ms(3000);
    CU_ASSERT_EQUAL(open_count(world), 0);
    part(world);
}

static void test_sim_chaos_passes_a_reset_that_nobody_reads(void)
{
    in_world(&(struct run){.test = use_reset_behind_much});
}

static void use_no_target(struct world *world)
{
    cmdi_fd_close(world->listeners[0]);
    CU_ASSERT(is_turned_away(world, 0));
    struct cmdi_chaos_counters counters;
    cmdi_chaos_stats(world->chaos, &counters);
    CU_ASSERT_EQUAL(counters.not_connected, 1);
    struct cmdi_address address = address_of(listens[0]);
    world->listeners[0] = cmdi_socket_listen(&address, 64, false, 0);
    join(world);
    part(world);
}

static void test_sim_chaos_resets_who_wants_a_target_that_is_away(void)
{
    in_world(&(struct run){.test = use_no_target});
}

static void use_a_name(struct world *world)
{
    join(world);
    say(world->client, "by name", 7);
    CU_ASSERT(hears(world->target, "by name"));
    part(world);
    cmds_sim_sleep_ms(2000); // It is looked up again.
    join(world);
    part(world);
    CU_ASSERT_EQUAL(cmds_sim_set_name(cmds_sim_current(), "one", ""), 0);
    cmds_sim_sleep_ms(2000);
    CU_ASSERT(is_turned_away(world, 0));
}

static void test_sim_chaos_looks_names_up(void)
{
    in_world(&(struct run){.test = use_a_name, .target = "one:9000"});
}

/* --- Bytes that come late, slowly, or in pieces ------------------------------------------------ */

enum {
    DELAY_MS = 300,
    RATE = 1000,
};

static void use_delay(struct world *world)
{
    join(world);
    uint64_t since_ms = now_ms();
    for (uint32_t i = 0; i < 10; i++) {
        char digit = (char)('0' + i);
        say(world->client, &digit, 1);
        cmds_sim_sleep_ms(10);
    }
    CU_ASSERT(is_silent(world->target, DELAY_MS - 100 - 1));
    CU_ASSERT(hears(world->target, "0123456789"));
    CU_ASSERT(now_ms() - since_ms >= 90 + DELAY_MS && now_ms() - since_ms < 150 + 2 * DELAY_MS);

    since_ms = now_ms();
    cmdi_socket_shutdown(world->target, SHUT_WR); // The end is a byte like others.
    CU_ASSERT(is_finished(world->client));
    CU_ASSERT(now_ms() - since_ms >= DELAY_MS);
    part(world);
}

static void test_sim_chaos_delays_and_keeps_the_order(void)
{
    in_world(&(struct run){.test = use_delay,
            .options = {.always = 1u << CMDI_CHAOS_DELAY,
                    .ways = CMDI_CHAOS_BOTH,
                    .delay_ms = {DELAY_MS, 2 * DELAY_MS}}});
}

static void use_delay_one_way(struct world *world)
{
    join(world);
    say(world->client, "up", 2);
    CU_ASSERT(is_silent(world->target, DELAY_MS - 10));
    CU_ASSERT(hears(world->target, "up"));
    say(world->target, "down", 4);
    uint64_t since_ms = now_ms();
    CU_ASSERT(hears(world->client, "down"));
    CU_ASSERT(now_ms() - since_ms < 10);
    part(world);
}

static void test_sim_chaos_delays_one_direction(void)
{
    in_world(&(struct run){.test = use_delay_one_way,
            .options = {.always = 1u << CMDI_CHAOS_DELAY,
                    .ways = CMDI_CHAOS_UP,
                    .delay_ms = {DELAY_MS, DELAY_MS}}});
}

static void use_throttle(struct world *world)
{
    static char data[10 * RATE];
    static char back[sizeof(data)];
    size_t size = 0;
    join(world);
    uint64_t since_ms = now_ms();
    say(world->client, data, sizeof(data));
    cmdi_socket_shutdown(world->client, SHUT_WR);
    CU_ASSERT(hear_all(world->target, back, sizeof(back), &size) > 0);
    CU_ASSERT(is_finished(world->target));
    CU_ASSERT_EQUAL(size, sizeof(data));
    uint64_t took_ms = now_ms() - since_ms;
    CU_ASSERT(took_ms >= 9800 && took_ms <= 10500);
    part(world);
}

static void test_sim_chaos_throttles(void)
{
    in_world(&(struct run){.test = use_throttle,
            .options = {.always = 1u << CMDI_CHAOS_THROTTLE,
                    .ways = CMDI_CHAOS_BOTH,
                    .throttle = RATE}});
}

/* It is not for a reset to be faster than what came before it. */
static void use_throttle_and_reset(struct world *world)
{
    char data[RATE / 2] = {0}, back[RATE];
    size_t size = 0;
    join(world);
    say(world->client, data, sizeof(data));
    cmds_sim_sleep_ms(10);
    cmdi_socket_reset(world->client);
    CU_ASSERT_EQUAL(hear_all(world->target, back, sizeof(back), &size), -ECONNRESET);
    CU_ASSERT_EQUAL(size, sizeof(data));
    part(world);
}

static void test_sim_chaos_passes_a_reset_behind_slow_bytes(void)
{
    in_world(&(struct run){.test = use_throttle_and_reset,
            .options = {.always = 1u << CMDI_CHAOS_THROTTLE,
                    .ways = CMDI_CHAOS_BOTH,
                    .throttle = RATE}});
}

static void use_split(struct world *world)
{
    uint64_t before;
    struct cmds_sim_report report = CMDS_SIM_REPORT_INIT;
    join(world);
    cmds_sim_stats(cmds_sim_current(), &report);
    before = report.segment_count;
    say(world->client, "one by one", 10);
    CU_ASSERT(hears(world->target, "one by one"));
    cmds_sim_stats(cmds_sim_current(), &report);
    CU_ASSERT(report.segment_count - before >= 1 + 10);
    part(world);
}

static void test_sim_chaos_splits_to_single_bytes(void)
{
    in_world(&(struct run){.test = use_split,
            .options = {.always = 1u << CMDI_CHAOS_SPLIT, .ways = CMDI_CHAOS_BOTH, .split = 1}});
}

/* --- Nothing moves ----------------------------------------------------------------------------- */

static void use_black_hole(struct world *world)
{
    join(world);
    CU_ASSERT_EQUAL(strike(world, CMDI_CHAOS_BLACK_HOLE, CMDI_CHAOS_BOTH, 10000), 1);
    uint64_t since_ms = now_ms();
    say(world->client, "question", 8);
    say(world->target, "answer", 6);
    cmdi_socket_shutdown(world->target, SHUT_WR);
    CU_ASSERT(is_silent(world->target, 5000));
    CU_ASSERT(is_silent(world->client, 4000));
    CU_ASSERT(hears(world->target, "question"));
    CU_ASSERT(hears(world->client, "answer"));
    CU_ASSERT(is_finished(world->client));
    CU_ASSERT(now_ms() - since_ms >= 9990 && now_ms() - since_ms <= 10100);
    part(world);
}

static void test_sim_chaos_swallows_all_and_heals(void)
{
    in_world(&(struct run){.test = use_black_hole});
}

static void use_black_hole_one_way(struct world *world)
{
    join(world);
    CU_ASSERT_EQUAL(strike(world, CMDI_CHAOS_BLACK_HOLE, CMDI_CHAOS_DOWN, CMDS_NEVER), 1);
    say(world->client, "question", 8);
    CU_ASSERT(hears(world->target, "question"));
    say(world->target, "answer", 6);
    CU_ASSERT(is_silent(world->client, HOUR_MS));
    cmdi_chaos_heal(world->chaos);
    CU_ASSERT(hears(world->client, "answer"));
    CU_ASSERT_EQUAL(strike(world, CMDI_CHAOS_BLACK_HOLE, CMDI_CHAOS_BOTH, CMDS_NEVER), 1);
    part(world);
    cmds_sim_sleep_ms(100);
    CU_ASSERT_EQUAL(open_count(world), 0); // Nobody is left who could wait for it to heal.

    join(world); // One that comes while it lasts.
    say(world->client, "question", 8);
    CU_ASSERT(is_silent(world->target, 1000));
    part(world);
}

static void test_sim_chaos_swallows_one_direction(void)
{
    in_world(&(struct run){.test = use_black_hole_one_way});
}

static void use_refuse(struct world *world)
{
    join(world);
    CU_ASSERT_EQUAL(strike(world, CMDI_CHAOS_REFUSE, CMDI_CHAOS_BOTH, 2000), ROUTES);
    cmds_sim_sleep_ms(10);
    CU_ASSERT_EQUAL(connect_route(world, 0), -ECONNREFUSED);
    CU_ASSERT_EQUAL(connect_route(world, 1), -ECONNREFUSED);
    say(world->client, "still here", 10); // Those that are there stay.
    CU_ASSERT(hears(world->target, "still here"));
    part(world);
    cmds_sim_sleep_ms(1900);
    CU_ASSERT_EQUAL(connect_route(world, 0), -ECONNREFUSED);
    cmds_sim_sleep_ms(200);
    join(world);
    part(world);

    CU_ASSERT_EQUAL(strike(world, CMDI_CHAOS_REFUSE, CMDI_CHAOS_BOTH, CMDS_NEVER), ROUTES);
    char text[CMDI_ADDRESS_TEXT_MAX];
    cmdi_chaos_address(world->chaos, 0, text, sizeof(text));
    struct cmdi_address address = address_of(text);
    cmds_sim_sleep_ms(10);
    int fd = cmdi_socket_listen(&address, 1, false, 0); // Its port is another's for a while.
    CU_ASSERT(fd >= 0);
    cmdi_chaos_heal(world->chaos);
    cmds_sim_sleep_ms(200);
    cmdi_fd_close(fd);
    cmds_sim_sleep_ms(200);
    join(world);
    part(world);
}

static void test_sim_chaos_refuses_for_a_while(void)
{
    in_world(&(struct run){.test = use_refuse});
}

static void use_hang(struct world *world)
{
    CU_ASSERT_EQUAL(strike(world, CMDI_CHAOS_HANG, CMDI_CHAOS_BOTH, 10000), ROUTES);
    world->client = connect_route(world, 0);
    int gone = connect_route(world, 0);
    CU_ASSERT_FATAL(world->client >= 0 && gone >= 0);
    say(world->client, "hello?", 6);
    CU_ASSERT_EQUAL(accept_of(world, 0, 5000), -EAGAIN);
    CU_ASSERT_EQUAL(open_count(world), 2);
    cmdi_socket_reset(gone);
    cmdi_fd_close(gone);
    cmds_sim_sleep_ms(100);
    CU_ASSERT_EQUAL(open_count(world), 1);
    world->target = accept_of(world, 0, 6000);
    CU_ASSERT_FATAL(world->target >= 0);
    CU_ASSERT(hears(world->target, "hello?"));
    cmdi_socket_shutdown(world->target, SHUT_WR);
    CU_ASSERT(is_finished(world->client));
    cmdi_socket_shutdown(world->client, SHUT_WR); // It has been watched, and has not failed.
    CU_ASSERT(is_finished(world->target));
    part(world);
}

static void test_sim_chaos_lets_new_ones_hang(void)
{
    in_world(&(struct run){.test = use_hang});
}

static void use_always(struct world *world)
{
    CU_ASSERT_EQUAL(connect_route(world, 0), -ECONNREFUSED);
    cmds_sim_sleep_ms(4900);
    CU_ASSERT_EQUAL(connect_route(world, 0), -ECONNREFUSED);
    cmds_sim_sleep_ms(200);
    join(world); // options.until_ms
    part(world);
}

static void test_sim_chaos_has_faults_from_the_beginning(void)
{
    in_world(&(struct run){.test = use_always,
            .options = {.faults = {[CMDI_CHAOS_REFUSE] = 1}, .until_ms = 5000}});
}

CU_TestInfo test_sim_chaos[] = {
        {"passes bytes and each FIN", test_sim_chaos_passes_bytes_and_each_fin},
        {"passes each reset", test_sim_chaos_passes_each_reset},
        {"reads no more than is taken", test_sim_chaos_reads_no_more_than_is_taken},
        {"passes a reset that nobody reads", test_sim_chaos_passes_a_reset_that_nobody_reads},
        {"resets who wants a target that is away",
                test_sim_chaos_resets_who_wants_a_target_that_is_away},
        {"looks names up", test_sim_chaos_looks_names_up},
        {"delays and keeps the order", test_sim_chaos_delays_and_keeps_the_order},
        {"delays one direction", test_sim_chaos_delays_one_direction},
        {"throttles", test_sim_chaos_throttles},
        {"passes a reset behind slow bytes", test_sim_chaos_passes_a_reset_behind_slow_bytes},
        {"splits to single bytes", test_sim_chaos_splits_to_single_bytes},
        {"swallows all and heals", test_sim_chaos_swallows_all_and_heals},
        {"swallows one direction", test_sim_chaos_swallows_one_direction},
        {"refuses for a while", test_sim_chaos_refuses_for_a_while},
        {"lets new ones hang", test_sim_chaos_lets_new_ones_hang},
        {"has faults from the beginning", test_sim_chaos_has_faults_from_the_beginning},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("sim_chaos", test_sim_chaos)

/* SPDX-License-Identifier: MIT */
/*
 * The proxy of `cmdstream chaos` in a simulated world: connections that end, at which byte, by whom they
 * are chosen; that the seed says all of it, and that nothing is left behind, whatever has befallen whom.
 */
#include "support/chaos_world.h"

/* --- Ends at a byte ---------------------------------------------------------------------------- */

static const char words[] = "a frame of some kind";

/* Both directions count. Returns: how many bytes the target got of `words`, after 5 of its own. */
static size_t bytes_before(struct world *world, int64_t *client_end, int64_t *target_end)
{
    char data[64];
    size_t size = 0;
    join(world);
    say(world->target, "hello", 5);
    CU_ASSERT(hears(world->client, "hello"));
    say(world->client, words, sizeof(words));
    *target_end = hear_all(world->target, data, sizeof(data), &size);
    CU_ASSERT(memcmp(data, words, size) == 0);
    char byte;
    *client_end = hear(world->client, &byte, 1, PATIENCE_MS);
    part(world);
    return size;
}

static void use_cut(struct world *world)
{
    int64_t client_end, target_end;
    CU_ASSERT_EQUAL(bytes_before(world, &client_end, &target_end), 7);
    CU_ASSERT_EQUAL(client_end, 0);
    CU_ASSERT_EQUAL(target_end, 0);
    cmds_sim_sleep_ms(100);
    CU_ASSERT_EQUAL(open_count(world), 0);
}

static void test_sim_chaos_cuts_at_a_byte(void)
{
    in_world(&(struct run){.test = use_cut,
            .options = {.faults = {[CMDI_CHAOS_CUT] = 1},
                    .by_bytes = true,
                    .ways = CMDI_CHAOS_BOTH,
                    .after_bytes = {12, 12}}});
}

static void use_reset(struct world *world)
{
    int64_t client_end, target_end;
    CU_ASSERT_EQUAL(bytes_before(world, &client_end, &target_end), 12);
    CU_ASSERT_EQUAL(client_end, -ECONNRESET);
    CU_ASSERT_EQUAL(target_end, -ECONNRESET);
    cmds_sim_sleep_ms(100);
    CU_ASSERT_EQUAL(open_count(world), 0);
}

static void test_sim_chaos_resets_at_a_byte_of_one_direction(void)
{
    in_world(&(struct run){.test = use_reset,
            .options = {.faults = {[CMDI_CHAOS_RESET] = 1},
                    .by_bytes = true,
                    .ways = CMDI_CHAOS_UP,
                    .after_bytes = {12, 12}}});
}

/* A cut ends although one end goes on sending and never closes. */
static void use_cut_ignored(struct world *world)
{
    join(world);
    CU_ASSERT_EQUAL(strike(world, CMDI_CHAOS_CUT, CMDI_CHAOS_BOTH, 0), 1);
    CU_ASSERT(is_finished(world->client));
    CU_ASSERT(is_finished(world->target));
    say(world->client, "more", 4);
    CU_ASSERT_EQUAL(open_count(world), 1);
    cmds_sim_sleep_ms(5000);
    CU_ASSERT_EQUAL(open_count(world), 0);
    part(world);
}

static void test_sim_chaos_cuts_those_who_do_not_close(void)
{
    in_world(&(struct run){.test = use_cut_ignored});
}

static void use_half_open(struct world *world)
{
    join(world);
    CU_ASSERT_EQUAL(strike(world, CMDI_CHAOS_HALF_OPEN, CMDI_CHAOS_UP, 0), 1);
    CU_ASSERT(is_reset(world->target));
    say(world->client, "is anybody there?", 17);
    CU_ASSERT(is_silent(world->client, HOUR_MS));
    CU_ASSERT_EQUAL(open_count(world), 1);
    part(world);
    cmds_sim_sleep_ms(100);
    CU_ASSERT_EQUAL(open_count(world), 0);

    join(world);
    CU_ASSERT_EQUAL(strike(world, CMDI_CHAOS_HALF_OPEN, CMDI_CHAOS_DOWN, 0), 1);
    CU_ASSERT(is_reset(world->client));
    CU_ASSERT(is_silent(world->target, HOUR_MS));
    part(world);
    cmds_sim_sleep_ms(100);
    CU_ASSERT_EQUAL(open_count(world), 0);
}

static void test_sim_chaos_opens_half_of_a_connection(void)
{
    in_world(&(struct run){.test = use_half_open});
}

/* --- Whom, and when ---------------------------------------------------------------------------- */

static void use_scopes(struct world *world)
{
    int clients[4];
    for (uint32_t i = 0; i < 4; i++) {
        clients[i] = connect_route(world, i / 2);
        cmdi_fd_close(accept_of(world, i / 2, PATIENCE_MS)); // A FIN: the proxy passes it on.
        CU_ASSERT(is_finished(clients[i]));
    }
    struct cmdi_chaos_event event = {
            .kind = CMDI_CHAOS_RESET, .scope = CMDI_CHAOS_ONE, .connection = 3};
    CU_ASSERT_EQUAL(cmdi_chaos_do(world->chaos, &event), 1);
    cmds_sim_sleep_ms(10);
    CU_ASSERT_EQUAL(open_count(world), 3);
    CU_ASSERT_EQUAL(cmdi_chaos_do(world->chaos, &event), 0);
    event = (struct cmdi_chaos_event){
            .kind = CMDI_CHAOS_RESET, .scope = CMDI_CHAOS_TARGET, .target = 0};
    CU_ASSERT_EQUAL(cmdi_chaos_do(world->chaos, &event), 2);
    event.scope = CMDI_CHAOS_ALL;
    CU_ASSERT_EQUAL(cmdi_chaos_do(world->chaos, &event), 1);
    cmds_sim_sleep_ms(10);
    CU_ASSERT_EQUAL(open_count(world), 0);
    for (uint32_t i = 0; i < 4; i++) {
        cmdi_fd_close(clients[i]);
    }
}

static void test_sim_chaos_befalls_one_or_a_target_or_all(void)
{
    in_world(&(struct run){.test = use_scopes});
}

enum {
    EVENTS = 100,
    SCHEDULES = 3,
    SEEDS = 5,
    STEPS = 1000, // Of 5 ms.
};
struct events {
    uint32_t count, hits;
    struct cmdi_chaos_event list[EVENTS];
};

static void on_event(void *context, const struct cmdi_chaos_event *event)
{
    struct events *events = context;
    if (events->count < EVENTS) {
        events->list[events->count++] = *event;
    }
    events->hits += event->count;
}

/* Connections come and go meanwhile; each is treated badly, and at the end nothing is left of it. */
static void use_schedule(struct world *world)
{
    static char data[4096];
    int fds[32];
    uint32_t count = 0;
    for (uint32_t i = 0; i < STEPS; i++) {
        int fd = count < 32 && i % 3 == 0 ? connect_route(world, i % ROUTES) : -1;
        fd = fd < 0 && count < 32 ? accept_of(world, i % ROUTES, 0) : fd;
        if (fd >= 0) {
            fds[count++] = fd;
        }
        for (uint32_t k = 0; k < count; k++) {
            struct cmdi_sock *sock = cmdi_sock_of_fd(fds[k]);
            int64_t got = cmdi_sock_recv(sock, data, sizeof(data));
            int64_t took = cmdi_sock_send(sock, data, 1 + i % sizeof(data));
            if ((got < 0 && got != -EAGAIN) || (took < 0 && took != -EAGAIN) || i % 97 == k) {
                cmdi_fd_close(fds[k]);
                fds[k--] = fds[--count];
            }
        }
        cmds_sim_sleep_ms(5);
    }
    while (count > 0) {
        cmdi_fd_close(fds[--count]);
    }
    cmdi_chaos_heal(world->chaos);
    cmds_sim_sleep_ms(PATIENCE_MS);
    for (uint32_t i = 0; i < ROUTES; i++) {
        for (int fd; (fd = accept_of(world, i, 10)) >= 0;) {
            cmdi_fd_close(fd);
        }
    }
    cmds_sim_sleep_ms(PATIENCE_MS);
    CU_ASSERT_EQUAL(open_count(world), 0);
}

static struct run schedule_of(uint64_t seed, struct events *events)
{
    struct run run = {.test = use_schedule,
            .options = {.seed = seed,
                    .delay_ms = {1, 200},
                    .throttle = 5000,
                    .split = 3,
                    .every_ms = {50, 200},
                    .after_bytes = {0, 50000},
                    .by_bytes = true,
                    .share = 30,
                    .lasts_ms = {10, 1000},
                    .until_ms = 6000,
                    .on_event = on_event,
                    .context = events}};
    for (uint32_t kind = 0; kind < CMDI_CHAOS_KINDS; kind++) {
        run.options.faults[kind] = 1;
    }
    return run;
}

static bool are_same(const struct events *one, const struct events *other)
{
    bool same = one->count == other->count;
    for (uint32_t i = 0; i < one->count && same; i++) {
        const struct cmdi_chaos_event *a = &one->list[i], *b = &other->list[i];
        same = a->at_ms == b->at_ms && a->kind == b->kind && a->scope == b->scope &&
               a->by_bytes == b->by_bytes && a->ways == b->ways && a->target == b->target &&
               a->count == b->count && a->connection == b->connection && a->bytes == b->bytes &&
               a->lasts_ms == b->lasts_ms;
    }
    return same;
}

static void test_sim_chaos_is_drawn_by_its_seed(void)
{
    for (uint64_t seed = 1; seed <= CMDI_SEEDS(SCHEDULES); seed++) {
        struct events first = {0}, again = {0}, other = {0};
        struct run run = schedule_of(seed, &first);
        in_world(&run);
        run = schedule_of(seed, &again);
        in_world(&run);
        run = schedule_of(seed + 100, &other);
        in_world(&run);
        CU_ASSERT(first.count > 40 && first.hits > 20);
        CU_ASSERT(are_same(&first, &again));
        CU_ASSERT_FALSE(are_same(&first, &other));
    }
}

/* The kernel refuses, links clog, others reset, and nothing stays behind all the same. */
static void test_sim_chaos_bears_what_else_fails(void)
{
    for (uint64_t seed = 1; seed <= CMDI_SEEDS(SEEDS); seed++) {
        struct events events = {0};
        struct run run = schedule_of(seed, &events);
        run.seed = seed;
        run.faults = CMDS_SIM_DELAYS | CMDS_SIM_CUTS | CMDS_SIM_STALLS | CMDS_SIM_KERNEL;
        in_world(&run);
    }
}

CU_TestInfo test_sim_chaos_ends[] = {
        {"cuts at a byte", test_sim_chaos_cuts_at_a_byte},
        {"resets at a byte of one direction", test_sim_chaos_resets_at_a_byte_of_one_direction},
        {"cuts those who do not close", test_sim_chaos_cuts_those_who_do_not_close},
        {"opens half of a connection", test_sim_chaos_opens_half_of_a_connection},
        {"befalls one or a target or all", test_sim_chaos_befalls_one_or_a_target_or_all},
        {"is drawn by its seed", test_sim_chaos_is_drawn_by_its_seed},
        {"bears what else fails", test_sim_chaos_bears_what_else_fails},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("sim_chaos_ends", test_sim_chaos_ends)

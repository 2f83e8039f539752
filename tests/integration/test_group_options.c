/* SPDX-License-Identifier: MIT */
/*
 * Options of a group that change what a connection does, each against a server: the strategy and
 * its key, the ServerInfo, the limits in the direction of results, the time to write, and a result
 * that is kept.
 */
#include <errno.h>
#include <sched.h>

#include "support/answers.h"
#include "support/world.h"

struct guest {
    struct world world;
    struct cmds_group_options options;
    struct cmds_group *group;
    struct answers *answers;
    struct cmds_error error;
};

static void guest_init(struct guest *guest)
{
    memset(guest, 0, sizeof(*guest));
    world_init(&guest->world);
    guest->options = (struct cmds_group_options)CMDS_GROUP_OPTIONS_INIT(&world_protocol);
    guest->options.reconnect_delay_ms = CMDS_NEVER;
    guest->answers = answers_new();
}

static void guest_start(struct guest *guest)
{
    CU_ASSERT_FATAL(world_start(&guest->world) == 0);
    guest->options.connect = guest->world.address;
    CU_ASSERT_FATAL(cmds_group_open(&guest->group, guest->world.runtime, &guest->options,
                            &guest->error) == 0);
    CU_ASSERT_EQUAL_FATAL(cmds_group_wait(guest->group, RAW_GUARD_MS, &guest->error), 0);
}

static void guest_stop(struct guest *guest)
{
    cmds_group_close(guest->group, NULL, NULL);
    world_stop(&guest->world);
    answers_free(guest->answers);
}

static int guest_echo(struct guest *guest, int64_t number, uint64_t key)
{
    struct echo echo = {true, number, CMDS_STRING("hi"), 0.5};
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    how.sticky_key = key;
    return cmds_group_send(guest->group, echo_message(&echo), &how, answers_take, guest->answers);
}

/* --- Dispatch --------------------------------------------------------------------------------- */

static uint32_t pick_by_key(const struct cmds_dispatch *self, void *state, uint64_t key,
        uint32_t count, cmds_candidate_fn candidate, const void *source)
{
    (void)self;
    (void)state;
    return candidate(source, (uint32_t)(key % count)) != NULL ? (uint32_t)(key % count) : 0;
}

static const struct cmds_dispatch by_key = {.struct_size = sizeof(by_key),
        .version = CMDS_DISPATCH_VERSION,
        .name = "by key",
        .pick = pick_by_key};

enum {
    KEYS = 40,
    CLIENTS = 4,
};

/* Every answer of a key came over one connection; together over `clients` of them. */
static void check_keys(struct guest *guest, uint32_t from, uint32_t count, uint32_t clients)
{
    uint32_t of_key[KEYS];
    uint32_t seen[CLIENTS] = {0};
    memset(of_key, 0xff, sizeof(of_key));
    for (uint32_t i = from; i < from + count; i++) {
        struct answer answer = answers_at(guest->answers, i);
        uint32_t *mine = &of_key[answer.number % KEYS];
        CU_ASSERT_EQUAL(answer.error, 0);
        CU_ASSERT(*mine == UINT32_MAX || *mine == answer.client);
        *mine = answer.client;
        seen[answer.client % CLIENTS]++;
    }
    uint32_t used = 0;
    for (int i = 0; i < CLIENTS; i++) {
        used += seen[i] > 0;
    }
    CU_ASSERT_EQUAL(used, clients);
}

static void send_keys(void *context)
{
    struct guest *guest = context;
    for (int64_t i = 0; i < 5 * KEYS; i++) {
        if (guest_echo(guest, i % KEYS, (uint64_t)(i % KEYS)) < 0) {
            break; // The answer that is missing fails the test.
        }
    }
}

static void test_options_a_strategy_decides_by_its_key(void)
{
    struct guest guest;
    guest_init(&guest);
    guest.options.client_count = CLIENTS;
    guest.options.dispatch = &by_key;
    guest_start(&guest);

    send_keys(&guest); // From elsewhere all connections are candidates...
    WORLD_UNTIL(&guest.world, atomic_load(&guest.answers->last_count) == 5 * KEYS);
    check_keys(&guest, 0, 5 * KEYS, CLIENTS);
    CU_ASSERT_EQUAL(cmds_runtime_post(guest.world.runtime, 1, send_keys, &guest), 0);
    WORLD_UNTIL(&guest.world, atomic_load(&guest.answers->last_count) == 10 * KEYS);
    check_keys(&guest, 5 * KEYS, 5 * KEYS, CLIENTS / 2); // ...on a shard its own ones.

    guest_stop(&guest);
}

/* On each shard, and from outside, every key is sent once. */
static void send_each_key(void *context)
{
    struct guest *guest = context;
    for (int64_t i = 0; i < CLIENTS; i++) {
        if (guest_echo(guest, i, (uint64_t)i) < 0) {
            return; // The answer that is missing fails the test.
        }
    }
}

/* Half of the connections are refused. Whoever picks one of them gets one of the others. */
static void test_options_a_strategy_that_picks_a_lost_connection(void)
{
    struct guest guest;
    uint32_t seen[CLIENTS] = {0};
    guest_init(&guest);
    guest.world.options.connection_count_max = CLIENTS / 2;
    guest.options.client_count = CLIENTS;
    guest.options.dispatch = &by_key;
    CU_ASSERT_FATAL(world_start(&guest.world) == 0);
    guest.options.connect = guest.world.address;
    CU_ASSERT_FATAL(cmds_group_open(&guest.group, guest.world.runtime, &guest.options, NULL) == 0);
    CU_ASSERT_TRUE(cmds_group_wait(guest.group, RAW_GUARD_MS, NULL) < 0);
    CU_ASSERT_EQUAL(cmds_group_connected(guest.group), CLIENTS / 2);

    send_each_key(&guest);
    CU_ASSERT_EQUAL(cmds_runtime_post(guest.world.runtime, 0, send_each_key, &guest), 0);
    CU_ASSERT_EQUAL(cmds_runtime_post(guest.world.runtime, 1, send_each_key, &guest), 0);
    WORLD_UNTIL(&guest.world, atomic_load(&guest.answers->last_count) == 3 * CLIENTS);
    CU_ASSERT_EQUAL(atomic_load(&guest.answers->good_count), 3 * CLIENTS);
    for (uint32_t i = 0; i < 3 * CLIENTS; i++) {
        seen[answers_at(guest.answers, i).client % CLIENTS]++;
    }
    CU_ASSERT_EQUAL((seen[0] > 0) + (seen[1] > 0) + (seen[2] > 0) + (seen[3] > 0), CLIENTS / 2);
    guest_stop(&guest);
}

static uint32_t pick_first(const struct cmds_dispatch *self, void *state, uint64_t key,
        uint32_t count, cmds_candidate_fn candidate, const void *source)
{
    (void)self;
    (void)state;
    (void)key;
    (void)candidate;
    (void)source;
    return count * 7; // Out of range on purpose: it is brought back.
}

static struct cmds_call *_Atomic held[CLIENTS];
static _Atomic uint32_t held_count;

static int hold_exec(struct cmds_call *call, const struct run *run)
{
    (void)run;
    atomic_store(&held[atomic_fetch_add(&held_count, 1) % CLIENTS], cmds_call_ref(call));
    return 0;
}

static void test_options_a_full_window_passes_to_the_next(void)
{
    static const struct cmds_dispatch first = {.struct_size = sizeof(first),
            .version = CMDS_DISPATCH_VERSION,
            .name = "first",
            .pick = pick_first};
    struct guest guest;
    struct run run = {0, 0, CMDS_STRING("")};
    guest_init(&guest);
    guest.world.exec = hold_exec;
    guest.options.client_count = CLIENTS;
    guest.options.in_flight_max = 1;
    guest.options.dispatch = &first;
    guest_start(&guest);

    for (int i = 0; i < CLIENTS; i++) {
        CU_ASSERT_EQUAL(
                cmds_group_send(guest.group, run_message(&run), NULL, answers_take, guest.answers),
                0);
    }
    WORLD_UNTIL(&guest.world, atomic_load(&guest.world.returned) == CLIENTS);
    CU_ASSERT_EQUAL(
            cmds_group_send(guest.group, run_message(&run), NULL, answers_take, guest.answers),
            -ENOBUFS);
    uint32_t clients = 0;
    for (int i = 0; i < CLIENTS; i++) {
        struct cmds_call *call = atomic_exchange(&held[i], NULL);
        CU_ASSERT_EQUAL(world_send_item(call, i, true), 0);
        cmds_call_unref(call);
    }
    WORLD_UNTIL(&guest.world, atomic_load(&guest.answers->last_count) == CLIENTS);
    for (uint32_t i = 0; i < CLIENTS; i++) {
        clients |= 1u << answers_at(guest.answers, i).client;
    }
    CU_ASSERT_EQUAL(clients, (1u << CLIENTS) - 1);

    guest_stop(&guest);
}

/* --- A strategy with a state ------------------------------------------------------------------ */

enum {
    HAMMERS = 4,
    HAMMER_SENDS = 500,
};

struct kept {
    _Atomic uint32_t busy; // Inside pick.
    uint32_t picks;
    uint32_t count;
};

static struct {
    _Atomic uint32_t inits, finis, picks, doubles, closed;
    uint32_t sizes;     // Sum of the lists' lengths.
    uint32_t fail_at;   // The init that fails; 0: none.
    uint32_t ends_late; // A state that ended after on_closed.
} seen;

static int kept_init(const struct cmds_dispatch *self, void *state, uint32_t count)
{
    (void)self;
    ((struct kept *)state)->count = count;
    seen.sizes += count;
    return atomic_fetch_add(&seen.inits, 1) + 1 == seen.fail_at ? -EPERM : 0;
}

static void kept_fini(const struct cmds_dispatch *self, void *state)
{
    (void)self;
    seen.ends_late += atomic_load(&seen.closed);
    atomic_fetch_add(&seen.finis, 1);
    atomic_fetch_add(&seen.picks, ((struct kept *)state)->picks);
}

static uint32_t kept_pick(const struct cmds_dispatch *self, void *state, uint64_t key,
        uint32_t count, cmds_candidate_fn candidate, const void *source)
{
    struct kept *kept = state;
    (void)self;
    (void)key;
    (void)candidate;
    (void)source;
    if (atomic_exchange(&kept->busy, 1) != 0 || kept->count != count) {
        atomic_fetch_add(&seen.doubles, 1);
    }
    uint32_t index = kept->picks++ % count;
    if (index == 0) {
        (void)sched_yield(); // Others could come in now, if they were let.
    }
    atomic_store(&kept->busy, 0);
    return index;
}

static const struct cmds_dispatch kept_dispatch = {.struct_size = sizeof(kept_dispatch),
        .version = CMDS_DISPATCH_VERSION,
        .name = "kept",
        .state_size = sizeof(struct kept),
        .init = kept_init,
        .fini = kept_fini,
        .pick = kept_pick};

static void kept_on_closed(void *context)
{
    (void)context;
    atomic_store(&seen.closed, 1);
}

static void *hammer_main(void *context)
{
    for (uint32_t sent = 0; sent < HAMMER_SENDS;) {
        if (guest_echo(context, sent, 0) == 0) {
            sent++;
        } else {
            raw_pause(NULL);
        }
    }
    return NULL;
}

static void kept_send(void *context)
{
    (void)guest_echo(context, 1, 0);
}

static void test_options_a_strategy_keeps_a_state_for_each_list(void)
{
    struct guest guest;
    pthread_t threads[HAMMERS];
    memset(&seen, 0, sizeof(seen));
    guest_init(&guest);
    guest.options.client_count = CLIENTS;
    guest.options.dispatch = &kept_dispatch;
    guest_start(&guest);
    CU_ASSERT_EQUAL(atomic_load(&seen.inits), 3); // Two shards, and all other threads.
    CU_ASSERT_EQUAL(seen.sizes, 2 * CLIENTS);

    for (int i = 0; i < HAMMERS; i++) {
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, hammer_main, &guest), 0);
    }
    CU_ASSERT_EQUAL(cmds_runtime_post(guest.world.runtime, 0, kept_send, &guest), 0);
    for (int i = 0; i < HAMMERS; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    WORLD_UNTIL(
            &guest.world, atomic_load(&guest.answers->last_count) == HAMMERS * HAMMER_SENDS + 1);
    CU_ASSERT_EQUAL(atomic_load(&seen.finis), 0);
    cmds_group_close(guest.group, kept_on_closed, NULL);
    WORLD_UNTIL(&guest.world, atomic_load(&seen.closed) == 1);
    CU_ASSERT_EQUAL(atomic_load(&seen.finis), 3);
    CU_ASSERT_EQUAL(seen.ends_late, 0);
    CU_ASSERT_EQUAL(atomic_load(&seen.doubles), 0); // Never two at once with one state.
    CU_ASSERT_TRUE(atomic_load(&seen.picks) > HAMMERS * HAMMER_SENDS);

    world_stop(&guest.world);
    answers_free(guest.answers);
}

static void test_options_a_strategy_that_fails_to_begin(void)
{
    struct guest guest;
    guest_init(&guest);
    CU_ASSERT_FATAL(world_start(&guest.world) == 0);
    guest.options.connect = guest.world.address;
    guest.options.client_count = CLIENTS;
    guest.options.dispatch = &kept_dispatch;
    for (uint32_t at = 1; at <= 3; at++) {
        struct cmds_error error = CMDS_ERROR_INIT;
        memset(&seen, 0, sizeof(seen));
        seen.fail_at = at;
        CU_ASSERT_EQUAL(
                cmds_group_open(&guest.group, guest.world.runtime, &guest.options, &error), -EPERM);
        CU_ASSERT_TRUE(strstr(error.text, "kept") != NULL);
        CU_ASSERT_EQUAL(atomic_load(&seen.inits), at);
        CU_ASSERT_EQUAL(atomic_load(&seen.finis), at - 1); // Of those that began.
    }
    world_stop(&guest.world);
    answers_free(guest.answers);
}

/* --- The connection --------------------------------------------------------------------------- */

static void test_options_a_server_info_of_both_sides(void)
{
    struct guest guest;
    guest_init(&guest);
    guest.options.server_info = (struct cmds_bytes){"a \0 b", 5};
    guest.world.options.server_info = guest.options.server_info;
    guest_start(&guest);

    CU_ASSERT_EQUAL(guest_echo(&guest, 4, 0), 0);
    WORLD_UNTIL(&guest.world, atomic_load(&guest.answers->last_count) == 1);
    CU_ASSERT_EQUAL(answers_at(guest.answers, 0).number, 4);
    guest_stop(&guest);
}

static int large_exec(struct cmds_call *call, const struct run *run)
{
    static char large[5000];
    struct item item = {0, true, {large, (size_t)run->number}};
    return cmds_call_send(call, item_message(&item));
}

static void test_options_a_result_beyond_its_limit_ends_the_connection(void)
{
    struct guest guest;
    struct run run = {0, 900, CMDS_STRING("")};
    guest_init(&guest);
    guest.world.exec = large_exec;
    guest.options.frame_size_max = 1000;
    guest_start(&guest);

    CU_ASSERT_EQUAL(
            cmds_group_send(guest.group, run_message(&run), NULL, answers_take, guest.answers), 0);
    WORLD_UNTIL(&guest.world, atomic_load(&guest.answers->last_count) == 1);
    CU_ASSERT_EQUAL(answers_at(guest.answers, 0).error, 0);
    run.number = 1100;
    CU_ASSERT_EQUAL(
            cmds_group_send(guest.group, run_message(&run), NULL, answers_take, guest.answers), 0);
    WORLD_UNTIL(&guest.world, atomic_load(&guest.answers->last_count) == 2);
    CU_ASSERT_EQUAL(answers_at(guest.answers, 1).error, CMDS_E_LOST);
    CU_ASSERT_TRUE(cmds_group_error(guest.group, &guest.error) < 0);
    CU_ASSERT_TRUE(cmds_group_done(guest.group));
    guest_stop(&guest);
}

/* Says who it is and reads nothing. */
static void mute_serve(struct raw_server *server, struct raw *peer, void *context)
{
    (void)context;
    (void)raw_write_hex(peer, "0764656661756c74");
    while (!atomic_load(&server->stopping)) {
        raw_pause(NULL);
    }
}

static void test_options_a_server_that_takes_nothing_is_left(void)
{
    static char large[100000];
    struct echo echo = {.string = {large, sizeof(large)}};
    struct raw_server server;
    struct guest guest;
    CU_ASSERT_FATAL(raw_server_start(&server, mute_serve, NULL) == 0);
    guest_init(&guest);
    CU_ASSERT_FATAL(world_start(&guest.world) == 0);
    guest.options.connect = server.address;
    guest.options.write_timeout_ms = 50;
    guest.options.keepalive_ms = CMDS_NEVER;
    guest.options.deadline_ms = CMDS_NEVER;
    CU_ASSERT_FATAL(cmds_group_open(&guest.group, guest.world.runtime, &guest.options, NULL) == 0);
    CU_ASSERT_EQUAL(cmds_group_wait(guest.group, RAW_GUARD_MS, NULL), 0);

    int code = 0;
    WORLD_UNTIL(
            &guest.world, code == CMDS_E_NOT_CONNECTED ||
                                  (code = cmds_group_send(guest.group, echo_message(&echo), NULL,
                                           answers_take, guest.answers)) == CMDS_E_NOT_CONNECTED);
    // The shard that refuses further commands is about to say why.
    WORLD_UNTIL(&guest.world, cmds_group_error(guest.group, &guest.error) == CMDS_E_SLOW_PEER);
    CU_ASSERT_TRUE(strstr(guest.error.text, "took nothing for 50 ms") != NULL);
    CU_ASSERT_EQUAL(cmds_group_drain(guest.group, RAW_GUARD_MS), 0);
    CU_ASSERT(answers_with(guest.answers, CMDS_E_LOST) > 0);
    guest_stop(&guest);
    raw_server_stop(&server);
}

/* --- A result that is kept -------------------------------------------------------------------- */

static void keep_result(void *context, const struct cmds_result *result)
{
    _Atomic(struct cmds_result *) *kept = context;
    atomic_store(kept, cmds_result_copy(result));
}

static void test_options_a_result_outlives_its_callback(void)
{
    struct guest guest;
    _Atomic(struct cmds_result *) kept = NULL;
    struct echo echo = {true, 42, CMDS_STRING("kept"), 0.5};
    guest_init(&guest);
    guest_start(&guest);

    CU_ASSERT_EQUAL(cmds_group_send(guest.group, echo_message(&echo), NULL, keep_result, &kept), 0);
    WORLD_UNTIL(&guest.world, atomic_load(&kept) != NULL);
    guest_stop(&guest); // Neither the group nor the runtime is needed.
    struct cmds_result *result = atomic_load(&kept);
    CU_ASSERT_PTR_NOT_NULL_FATAL(echoed_of(result));
    CU_ASSERT_EQUAL(echoed_of(result)->int64, 42);
    CU_ASSERT_TRUE(
            cmds_string_equal(echoed_of(result)->string, (struct cmds_string)CMDS_STRING("kept")));
    cmds_result_free(result);
}

/* --- A sender's ------------------------------------------------------------------------------- */

static void check_sender_code(
        const struct cmds_sender_options *options, int code, const char *words)
{
    struct cmds_sender *sender = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    CU_ASSERT_EQUAL(cmds_sender_open(&sender, options, &error), code);
    CU_ASSERT_TRUE(strstr(error.text, words) != NULL);
    CU_ASSERT_PTR_NULL(sender);
}

static void check_sender(const struct cmds_sender_options *options, const char *words)
{
    check_sender_code(options, -EINVAL, words);
}

static void test_options_of_a_sender_are_named(void)
{
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&world_protocol);
    struct cmds_group_options group = CMDS_GROUP_OPTIONS_INIT(&world_protocol);
    check_sender(&options, "connect");
    options.connect = "127.0.0.1:1";
    options.client_count = 65537;
    check_sender(&options, "client_count");
    options.client_count = 1;
    group.output_size_max = 1;
    options.group = &group;
    check_sender(&options, "output_size_max");
    group.output_size_max = 0;
    group.hooks_count = 1;
    check_sender(&options, "hooks");
    group.hooks_count = CMDS_HOOKS_MAX + 1;
    check_sender(&options, "hooks_count");
    group.hooks_count = 0;
    group.resend = CMDS_RESEND_NEVER + 1;
    check_sender(&options, "resend");
    group.resend = 0;
    group.struct_size = 1;
    check_sender(&options, "cmds_sender_options.group");
    options.group = NULL;
    options.protocol = NULL;
    check_sender(&options, "protocol");
    options.unused[1] = 1;
    check_sender_code(&options, -E2BIG, "cmds_sender_options: an unused member");
    options.struct_size = 0;
    check_sender(&options, "struct_size");
}

static CU_TestInfo test_group_options[] = {
        {"a strategy and its key", test_options_a_strategy_decides_by_its_key},
        {"a strategy keeps a state for each list",
                test_options_a_strategy_keeps_a_state_for_each_list},
        {"a strategy that fails to begin", test_options_a_strategy_that_fails_to_begin},
        {"a strategy that picks a lost connection",
                test_options_a_strategy_that_picks_a_lost_connection},
        {"a full window", test_options_a_full_window_passes_to_the_next},
        {"a server info", test_options_a_server_info_of_both_sides},
        {"a large result", test_options_a_result_beyond_its_limit_ends_the_connection},
        {"write_timeout_ms", test_options_a_server_that_takes_nothing_is_left},
        {"a result is kept", test_options_a_result_outlives_its_callback},
        {"of a sender", test_options_of_a_sender_are_named},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("group_options", test_group_options)

/* SPDX-License-Identifier: MIT */
/* See secured.h. */
#include "support/secured.h"

enum {
    SECURED_LARGE = 5 * 1024 * 1024,
    SECURED_ITEMS = 3000,
    SECURED_ITEM_SIZE = 1000,
    SECURED_COMMANDS = 200,
    SECURED_SOON_MS = 30,
    SECURED_STORM = 100,
};

enum secured_exec {
    SECURED_SIZED, // An item whose data has the size of `number`.
    SECURED_STREAM,
    SECURED_KEEP,
};

static struct secured *secured_of(void *receiver)
{
    return receiver;
}

static void secured_see(
        struct secured *secured, enum secured_place place, const struct cmds_connection *connection)
{
    const struct cmds_tls_peer *peer = cmds_connection_tls(connection);
    bool right = peer != NULL && peer->version >= 12 && peer->cipher[0] != '\0' &&
                 (secured->expected == NULL || strcmp(peer->common_name, secured->expected) == 0);
    atomic_fetch_add(right ? &secured->seen[place] : &secured->wrong[place], 1);
}

static int secured_on_connect(void *receiver, struct cmds_connection *connection)
{
    struct secured *secured = secured_of(receiver);
    const struct cmds_tls_peer *peer = cmds_connection_tls(connection);
    secured_see(secured, SECURED_ON_CONNECT, connection);
    atomic_fetch_add(&secured->world.connected, 1);
    bool refused = secured->refused != NULL && peer != NULL &&
                   strcmp(peer->common_name, secured->refused) == 0;
    return refused ? -1 : 0;
}

static void secured_on_disconnect(
        void *receiver, struct cmds_connection *connection, const struct cmds_error *cause)
{
    struct secured *secured = secured_of(receiver);
    secured_see(secured, SECURED_ON_DISCONNECT, connection);
    atomic_store(&secured->world.cause, cause->code);
    atomic_fetch_add(&secured->world.disconnected, 1);
}

static int secured_invoke(void *receiver, struct cmds_call *call, struct cmds_invocation *next)
{
    secured_see(secured_of(receiver), SECURED_INVOKER, cmds_call_connection(call));
    return cmds_invocation_next(next, call);
}

static int secured_send_sized(struct cmds_call *call, int64_t size)
{
    struct item item = {.index = size, .last = true};
    char *data = calloc(1, (size_t)size + 1);
    item.data = (struct cmds_string){data, (size_t)size};
    int code = cmds_call_send(call, item_message(&item));
    free(data);
    return code;
}

static int secured_stream(struct cmds_call *call, int64_t count)
{
    static const char data[SECURED_ITEM_SIZE];
    int64_t round = (int64_t)cmds_call_round(call);
    struct item item = {round, round + 1 >= count, {data, sizeof(data)}};
    int code = cmds_call_send(call, item_message(&item));
    return code < 0 || item.last ? code : CMDS_EXEC_AGAIN;
}

static int secured_exec(struct cmds_call *call, const struct run *run)
{
    struct secured *secured = secured_of(cmds_call_receiver(call));
    bool in_pool = cmds_runtime_current_shard(secured->world.runtime) < 0;
    secured_see(secured, in_pool ? SECURED_IN_POOL : SECURED_EXEC, cmds_call_connection(call));
    if (run->what == SECURED_STREAM) {
        return secured_stream(call, run->number);
    }
    if (run->what == SECURED_SIZED) {
        return secured_send_sized(call, run->number);
    }
    int code = cmds_call_keep_command(call);
    if (code == 0) {
        uint32_t index = atomic_fetch_add(&secured->kept, 1);
        atomic_store(&kept_calls[index % KEPT_MAX], cmds_call_ref(call));
        atomic_fetch_add(&kept_count, 1); // Who waits for it finds the call.
    }
    return code;
}

void secured_init(struct secured *secured, struct cmds_tls *server, struct cmds_tls *client)
{
    static const cmds_invoker_fn invokers[] = {secured_invoke};
    memset(secured, 0, sizeof(*secured));
    world_init(&secured->world);
    guest_init(&secured->guest);
    secured->world.exec = secured_exec;
    secured->world.options.on_connect = secured_on_connect;
    secured->world.options.on_disconnect = secured_on_disconnect;
    secured->world.options.invokers = invokers;
    secured->world.options.invoker_count = 1;
    secured->world.options.tls = server;
    secured->guest.options.tls = client;
    atomic_store(&kept_count, 0);
}

bool secured_start(struct secured *secured)
{
    struct guest *guest = &secured->guest;
    CU_ASSERT_FATAL(world_start(&secured->world) == 0);
    CU_ASSERT_FATAL(guest_open(guest, secured->world.runtime, secured->world.address) == 0);
    return cmds_group_wait(guest->group, RAW_GUARD_MS, &guest->error) == 0;
}

static void secured_connect(struct secured *secured)
{
    bool connected = secured_start(secured);
    if (!connected) {
        fprintf(stderr, "%s\n", secured->guest.error.text);
    }
    CU_ASSERT_FATAL(connected);
}

void secured_stop(struct secured *secured)
{
    if (secured->guest.group != NULL) {
        guest_close(&secured->guest, &secured->world);
    } else {
        answers_free(secured->guest.answers);
        answers_free(secured->guest.unexpected);
    }
    world_stop(&secured->world);
    for (int i = 0; i < SECURED_PLACES; i++) {
        CU_ASSERT_EQUAL(atomic_load(&secured->wrong[i]), 0);
    }
}

struct cmds_server_counters secured_counters(const struct secured *secured)
{
    struct cmds_server_counters counters = CMDS_SERVER_COUNTERS_INIT;
    cmds_server_stats(secured->world.server, &counters);
    return counters;
}

int secured_refused(struct secured *secured, const char *words)
{
    const char *text = secured->guest.error.text;
    CU_ASSERT_FALSE_FATAL(secured_start(secured));
    const char *port = strrchr(secured->world.address, ':');
    const char *first = strstr(text, port);
    bool right = strstr(text, words) != NULL && first != NULL && strstr(first + 1, port) == NULL;
    if (!right) {
        fprintf(stderr, "\"%s\": %s\n", words, text);
    }
    CU_ASSERT_TRUE(right);
    return secured->guest.error.code;
}

/* --- What works over any layer ---------------------------------------------------------------- */

static int secured_pool(struct secured *secured, int64_t what, int64_t number)
{
    struct pool pool = {what, number, CMDS_STRING("")};
    return cmds_group_send(
            secured->guest.group, pool_message(&pool), NULL, answers_take, secured->guest.answers);
}

void secured_check_identity(struct cmds_tls *server, struct cmds_tls *client, const char *name)
{
    struct secured secured;
    secured_init(&secured, server, client);
    secured.expected = name;
    secured.guest.options.deadline_ms = CMDS_NEVER;
    secured_connect(&secured);

    CU_ASSERT_EQUAL(guest_run(&secured.guest, SECURED_SIZED, 10, NULL), 0);
    CU_ASSERT_EQUAL(secured_pool(&secured, SECURED_SIZED, 11), 0);
    WORLD_UNTIL(&secured.world, guest_last(&secured.guest) == 2);
    CU_ASSERT_EQUAL(guest_run(&secured.guest, SECURED_KEEP, 0, NULL), 0);
    CU_ASSERT_EQUAL(secured_pool(&secured, SECURED_KEEP, 0), 0);
    WORLD_UNTIL(&secured.world, atomic_load(&kept_count) == 2);
    guest_close(&secured.guest, &secured.world);
    world_stop(&secured.world);

    for (int i = 0; i < 2; i++) { // Both outlive all of it.
        struct cmds_call *call = atomic_exchange(&kept_calls[i], NULL);
        const struct cmds_tls_peer *peer = cmds_connection_tls(cmds_call_connection(call));
        CU_ASSERT_PTR_NOT_NULL_FATAL(peer);
        CU_ASSERT_STRING_EQUAL(peer->common_name, name);
        cmds_call_unref(call);
    }
    const uint32_t expected[SECURED_PLACES] = {1, 4, 2, 2, 1};
    for (int i = 0; i < SECURED_PLACES; i++) {
        CU_ASSERT_EQUAL(atomic_load(&secured.seen[i]), expected[i]);
        CU_ASSERT_EQUAL(atomic_load(&secured.wrong[i]), 0);
    }
}

void secured_check_sizes(struct cmds_tls *server, struct cmds_tls *client, const char *listen)
{
    static char large[SECURED_LARGE];
    static const int64_t sizes[] = {0, 1, 100, 16300, 16384, 16400, 100000, 1000000, SECURED_LARGE};
    enum {
        COUNT = sizeof(sizes) / sizeof(sizes[0]),
        CLIENTS = 5,
    };
    struct secured secured;
    secured_init(&secured, server, client);
    secured.world.options.listen = listen;
    // A turn with such frames is long under a sanitizer: nobody's time is up meanwhile.
    secured.world.options.write_timeout_ms = CMDS_NEVER;
    secured.guest.options.write_timeout_ms = CMDS_NEVER;
    secured.guest.options.keepalive_ms = CMDS_NEVER;
    secured.guest.options.client_count = CLIENTS;
    secured.guest.options.output_size_max = 4 * SECURED_LARGE;
    secured.guest.options.deadline_ms = CMDS_NEVER;
    secured_connect(&secured);

    for (int i = 0; i < COUNT * CLIENTS; i++) {
        struct run run = {SECURED_SIZED, sizes[i % COUNT], {large, (size_t)sizes[i / CLIENTS]}};
        CU_ASSERT_EQUAL(cmds_group_send(secured.guest.group, run_message(&run), NULL, answers_take,
                                secured.guest.answers),
                0);
    }
    WORLD_UNTIL(&secured.world, guest_last(&secured.guest) == COUNT * CLIENTS);
    int64_t sum = 0, expected = 0;
    for (uint32_t i = 0; i < COUNT * CLIENTS; i++) {
        sum += answers_at(secured.guest.answers, i).number;
        expected += sizes[i % COUNT];
    }
    CU_ASSERT_EQUAL(atomic_load(&secured.guest.answers->good_count), COUNT * CLIENTS);
    CU_ASSERT_EQUAL(sum, expected);
    struct cmds_server_counters counters = secured_counters(&secured);
    CU_ASSERT_EQUAL(counters.tls_handshakes, CLIENTS);
    CU_ASSERT_EQUAL(guest_counters(&secured.guest).tls_handshakes, CLIENTS);
    CU_ASSERT_EQUAL(counters.tls_failed + counters.tls_waiting, 0);
    secured_stop(&secured);
}

void secured_check_bounds(struct cmds_tls *server, struct cmds_tls *client)
{
    struct secured secured;
    secured_init(&secured, server, client);
    secured.world.options.output_size_max = 8192;
    secured.world.options.in_flight_max = 4; // The rest waits unread, over and over.
    secured.guest.options.deadline_ms = CMDS_NEVER;
    secured_connect(&secured);

    CU_ASSERT_EQUAL(guest_run(&secured.guest, SECURED_STREAM, SECURED_ITEMS, NULL), 0);
    for (int64_t i = 0; i < SECURED_COMMANDS; i++) {
        CU_ASSERT_EQUAL(guest_run(&secured.guest, SECURED_STREAM, i % 9 + 1, NULL), 0);
    }
    WORLD_UNTIL(&secured.world, guest_last(&secured.guest) == SECURED_COMMANDS + 1);
    uint32_t results = SECURED_ITEMS;
    for (uint32_t i = 0; i < SECURED_COMMANDS; i++) {
        results += i % 9 + 1;
    }
    CU_ASSERT_EQUAL(atomic_load(&secured.guest.answers->good_count), results);
    CU_ASSERT_TRUE(secured_counters(&secured).read_pauses > 0);
    secured_stop(&secured);
}

void secured_check_keepalive(struct cmds_tls *server, struct cmds_tls *client)
{
    struct secured secured;
    secured_init(&secured, server, client);
    secured.guest.options.keepalive_ms = SECURED_SOON_MS;
    secured.guest.options.keepalive_interval_ms = SECURED_SOON_MS;
    secured_connect(&secured);

    WORLD_UNTIL(&secured.world, secured_counters(&secured).pings_answered >= 10);
    CU_ASSERT_TRUE(guest_counters(&secured.guest).pings_sent >= 10);
    CU_ASSERT_EQUAL(cmds_group_connected(secured.guest.group), 1);
    CU_ASSERT_EQUAL(guest_echo(&secured.guest, 7, NULL), 0);
    WORLD_UNTIL(&secured.world, guest_last(&secured.guest) == 1);
    CU_ASSERT_EQUAL(atomic_load(&secured.guest.answers->good_count), 1);
    secured_stop(&secured);
}

static void secured_check_sender(
        const struct secured *secured, const struct cmds_sender_options *options)
{
    struct cmds_sender *sender = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    struct cmds_group_counters counters = CMDS_GROUP_COUNTERS_INIT;
    struct echo echo = {.int64 = 42, .string = CMDS_STRING("sender")};
    struct cmds_result *result = NULL;
    uint64_t before = secured_counters(secured).tls_handshakes;
    int code = cmds_sender_open(&sender, options, &error);
    if (code < 0) {
        fprintf(stderr, "%s\n", error.text);
    }
    CU_ASSERT_EQUAL_FATAL(code, 0);
    CU_ASSERT_EQUAL_FATAL(cmds_sender_send(sender, echo_message(&echo), 0, &result, &error), 0);
    CU_ASSERT_EQUAL(echoed_of(result)->int64, 42);
    CU_ASSERT_EQUAL(cmds_sender_stats(sender, &counters), 0);
    CU_ASSERT_EQUAL(counters.tls_handshakes, 1);
    CU_ASSERT_EQUAL(secured_counters(secured).tls_handshakes, before + 1);
    cmds_result_free(result);
    cmds_sender_close(sender, RAW_GUARD_MS);
}

void secured_check_senders(struct cmds_tls *server, struct cmds_tls *client)
{
    struct secured secured;
    secured_init(&secured, server, client);
    secured_connect(&secured);

    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&world_protocol);
    options.connect = secured.world.address;
    options.tls = client;
    secured_check_sender(&secured, &options);
    options.single_thread = true;
    secured_check_sender(&secured, &options);
    struct cmds_group_options group = CMDS_GROUP_OPTIONS_INIT(&world_protocol);
    group.reconnect_delay_ms = CMDS_NEVER;
    group.tls = client;
    options.tls = NULL; // As the group's options say.
    options.group = &group;
    secured_check_sender(&secured, &options);
    secured_stop(&secured);
}

/* --- Forward ---------------------------------------------------------------------------------- */

struct secured_front {
    struct world world; // First: the receiver.
    struct cmds_group *up;
};

static void front_on_result(struct cmds_call *call, void *context, const struct cmds_result *result)
{
    (void)context;
    const struct item *item = item_of(result);
    if (item != NULL) {
        (void)cmds_call_send(call, item_message(item));
    } else {
        cmds_call_fail(call, cmds_result_cause(result), result->text);
    }
}

static int front_exec(struct cmds_call *call, const struct run *run)
{
    struct secured_front *front = cmds_call_receiver(call);
    return cmds_group_forward(front->up, run_message(run), NULL, call, front_on_result, NULL);
}

void secured_check_forward(struct cmds_tls *server, struct cmds_tls *client)
{
    struct secured back;
    struct secured_front front = {.up = NULL};
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(&world_protocol);
    options.reconnect_delay_ms = CMDS_NEVER;
    secured_init(&back, server, client);
    CU_ASSERT_FATAL(world_start(&back.world) == 0);
    world_init(&front.world);
    front.world.exec = front_exec;
    front.world.options.tls = server;
    CU_ASSERT_FATAL(world_start(&front.world) == 0);
    options.connect = back.world.address;
    options.tls = client;
    CU_ASSERT_EQUAL_FATAL(cmds_group_open(&front.up, front.world.runtime, &options, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(cmds_group_wait(front.up, RAW_GUARD_MS, NULL), 0);
    back.guest.options.client_count = 2; // On both shards of the front: one way there, and two.
    CU_ASSERT_FATAL(guest_open(&back.guest, back.world.runtime, front.world.address) == 0);
    CU_ASSERT_EQUAL_FATAL(cmds_group_wait(back.guest.group, RAW_GUARD_MS, NULL), 0);

    for (int64_t i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL(guest_run(&back.guest, SECURED_STREAM, 50, NULL), 0);
        CU_ASSERT_EQUAL(guest_run(&back.guest, SECURED_SIZED, 100000, NULL), 0);
    }
    WORLD_UNTIL(&back.world, guest_last(&back.guest) == 4);
    CU_ASSERT_EQUAL(atomic_load(&back.guest.answers->good_count), 102);
    guest_close(&back.guest, &back.world);
    world_stop(&front.world);
    world_stop(&back.world);
}

/* --- Many at once ----------------------------------------------------------------------------- */

void secured_check_storm(struct cmds_tls *server, struct cmds_tls *client)
{
    struct secured secured;
    secured_init(&secured, server, client);
    secured.guest.options.client_count = SECURED_STORM;
    secured.guest.options.connect_timeout_ms = RAW_GUARD_MS;
    secured.world.options.server_info_timeout_ms = RAW_GUARD_MS;
    // One that has no time for its handshake gives its seat to others, and comes again.
    secured.guest.options.reconnect_delay_ms = 50;
    secured_connect(&secured);

    for (int64_t i = 0; i < SECURED_STORM; i++) {
        CU_ASSERT_EQUAL(guest_echo(&secured.guest, i, NULL), 0);
    }

    WORLD_UNTIL(&secured.world, guest_last(&secured.guest) == SECURED_STORM);
    CU_ASSERT_EQUAL(atomic_load(&secured.guest.answers->good_count), SECURED_STORM);
    struct cmds_server_counters counters = secured_counters(&secured);
    CU_ASSERT_EQUAL(counters.tls_handshakes, SECURED_STORM);
    CU_ASSERT_EQUAL(counters.tls_waiting, 0);
    CU_ASSERT(counters.tls_failed == 0 || world_logged(&secured.world, "wait for the seat") > 0);
    secured_stop(&secured);
}

/* --- Drain ------------------------------------------------------------------------------------ */

void secured_check_drain(struct cmds_tls *server, struct cmds_tls *client)
{
    struct secured secured;
    secured_init(&secured, server, client);
    secured.guest.options.client_count = 4;
    secured_connect(&secured);
    CU_ASSERT_EQUAL(guest_run(&secured.guest, SECURED_KEEP, 5, NULL), 0);
    WORLD_UNTIL(&secured.world, atomic_load(&kept_count) == 1);
    CU_ASSERT_EQUAL(cmds_server_shutdown(secured.world.server, SECURED_SOON_MS), CMDS_E_TIMEOUT);

    kept_answer(0); // Which was all that it waited for.

    CU_ASSERT_EQUAL(cmds_server_shutdown(secured.world.server, RAW_GUARD_MS), 0);
    WORLD_UNTIL(&secured.world, guest_last(&secured.guest) == 1);
    CU_ASSERT_EQUAL(answers_at(secured.guest.answers, 0).number, 5);
    WORLD_UNTIL(&secured.world, cmds_group_done(secured.guest.group));
    struct cmds_server_counters counters = secured_counters(&secured);
    CU_ASSERT_EQUAL(counters.tls_truncated, 0);
    CU_ASSERT_EQUAL(counters.resets, 0);
    CU_ASSERT_EQUAL(guest_counters(&secured.guest).tls_truncated, 0);
    secured_stop(&secured);
}

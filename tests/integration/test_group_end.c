/* SPDX-License-Identifier: MIT */
/*
 * The end of a group. Whatever is queued somewhere when it comes, whoever uses the group at that
 * moment and whoever closes it as well: nothing reads what was freed, everybody is told, once, and
 * nobody waits longer for a peer than it was said.
 */
#include <errno.h>
#include <netdb.h>
#include <time.h>

#include "support/answers.h"
#include "support/world.h"

struct put {
    struct cmds_string data;
};
CMDS_COMMAND_ONE_WAY(put, 3, data);
static const struct cmds_type *const end_commands[] = {
        &echo_type, &run_type, &pool_type, &put_type};
static const struct cmds_type *const end_results[] = {&echoed_type, &item_type, &note_type};
static const struct cmds_protocol end_protocol = CMDS_PROTOCOL("world", end_commands, end_results);

/* A resolver that answers when the test lets it, and never finds anything. */
static _Atomic uint32_t resolving, resolver_held;

int getaddrinfo(
        const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **list)
{
    (void)name;
    (void)service;
    (void)hints;
    (void)list;
    atomic_fetch_add(&resolving, 1);
    while (atomic_load(&resolver_held) != 0) {
        raw_pause(NULL);
    }
    atomic_fetch_sub(&resolving, 1);
    return EAI_FAIL;
}

static void count_one(void *context)
{
    atomic_fetch_add((_Atomic uint32_t *)context, 1);
}

static int send_echo(struct cmds_group *group, int64_t number, const struct cmds_send_options *how,
        struct answers *answers)
{
    struct echo echo = {true, number, CMDS_STRING("hi"), 0.5};
    return cmds_group_send(group, echo_message(&echo), how, answers_take, answers);
}

static struct cmds_group *open_group(struct cmds_runtime *runtime, const char *address)
{
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(&end_protocol);
    struct cmds_group *group = NULL;
    options.connect = address;
    CU_ASSERT_EQUAL_FATAL(cmds_group_open(&group, runtime, &options, NULL), 0);
    return group;
}

/* --- Work that waits while its owner ends ----------------------------------------------------- */

enum {
    UP_ASK, // The command is forwarded to a group whose name still resolves.
    UP_LEAVE,
};

struct up {
    _Atomic(struct cmds_group *) group;
    _Atomic uint32_t forwarded, told, closed, told_late;
};

static void up_on_closed(void *context)
{
    atomic_fetch_add(&((struct up *)context)->closed, 1);
}

static void up_on_result(struct cmds_call *call, void *context, const struct cmds_result *result)
{
    (void)context;
    struct up *up = ((struct world *)cmds_call_receiver(call))->context;
    atomic_fetch_add(&up->told, result->last);
    atomic_fetch_add(&up->told_late, atomic_load(&up->closed));
}

/* Asks, or: all in one callback the connection and the group end. */
static int up_exec(struct cmds_call *call, const struct run *run)
{
    struct up *up = ((struct world *)cmds_call_receiver(call))->context;
    struct echo echo = {.string = CMDS_STRING("")};
    if (run->what == UP_LEAVE) {
        cmds_connection_close(cmds_call_connection(call));
        cmds_group_close(up->group, up_on_closed, up);
        return world_send_item(call, 0, true);
    }
    int code = cmds_group_forward(up->group, echo_message(&echo), NULL, call, up_on_result, NULL);
    atomic_fetch_add(&up->forwarded, code == 0);
    return code;
}

static void test_group_end_waits_for_forwards_that_were_cancelled(void)
{
    struct world world;
    struct up up = {.group = NULL};
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(&world_protocol);
    struct raw raw;
    world_init(&world);
    world.runtime_options.shard_count = 1;
    world.exec = up_exec;
    world.context = &up;
    CU_ASSERT_FATAL(world_start(&world) == 0);
    atomic_store(&resolver_held, 1);
    options.connect = "slow.example:9";
    options.in_flight_max = 1;
    options.connect_timeout_ms = RAW_GUARD_MS;
    options.deadline_ms = CMDS_NEVER;
    struct cmds_group *group = NULL;
    CU_ASSERT_FATAL(cmds_group_open(&group, world.runtime, &options, NULL) == 0);
    atomic_store(&up.group, group);
    CU_ASSERT_FATAL(world_connect(&world, &raw));

    for (uint64_t i = 1; i <= 4; i++) {
        struct run run = {i < 4 ? UP_ASK : UP_LEAVE, 0, CMDS_STRING("")};
        CU_ASSERT(raw_send(&raw, i, run_message(&run)));
    }
    WORLD_UNTIL(&world, atomic_load(&up.closed) == 1);
    CU_ASSERT_EQUAL(atomic_load(&up.forwarded), 3);
    CU_ASSERT_EQUAL(atomic_load(&up.told), 3); // Before on_closed, each of them once.
    CU_ASSERT_EQUAL(atomic_load(&up.told_late), 0);

    raw_close(&raw);
    atomic_store(&resolver_held, 0);
    WORLD_UNTIL(&world, atomic_load(&resolving) == 0);
    world_stop(&world);
}

static _Atomic int32_t late_code[2];

static void late_on_result(struct cmds_call *call, void *context, const struct cmds_result *result)
{
    (void)context;
    (void)call;
    (void)result;
}

static void late_forward(struct cmds_call *call, int which)
{
    struct up *up = ((struct world *)cmds_call_receiver(call))->context;
    struct echo echo = {.string = CMDS_STRING("")};
    atomic_store(&late_code[which],
            cmds_group_forward(up->group, echo_message(&echo), NULL, call, late_on_result, NULL));
}

static void late_on_cancel(struct cmds_call *call)
{
    late_forward(call, 1);
    cmds_call_unref(call);
}

/* Forwards for a call that is over, or, later, for one that is cancelled. */
static int late_exec(struct cmds_call *call, const struct run *run)
{
    if (run->what == 0) {
        (void)world_send_item(call, 0, true);
        late_forward(call, 0);
    } else {
        cmds_call_on_cancel(cmds_call_ref(call), late_on_cancel);
    }
    return 0;
}

static void test_group_forward_refuses_what_cannot_be_answered(void)
{
    struct world world;
    struct up up = {.group = NULL};
    struct raw raw;
    struct echo echo = {.string = CMDS_STRING("")};
    struct run run = {0, 0, CMDS_STRING("")};
    world_init(&world);
    world.exec = late_exec;
    world.context = &up;
    CU_ASSERT_FATAL(world_start(&world) == 0);
    atomic_store(&up.group, open_group(world.runtime, world.address));
    CU_ASSERT_FATAL(world_connect(&world, &raw));

    CU_ASSERT(raw_send(&raw, 1, run_message(&run)));
    WORLD_UNTIL(&world, atomic_load(&world.returned) == 1);
    CU_ASSERT_EQUAL(atomic_load(&late_code[0]), CMDS_E_FINISHED);
    run.what = 1;
    CU_ASSERT(raw_send(&raw, 2, run_message(&run)));
    WORLD_UNTIL(&world, atomic_load(&world.returned) == 2);
    raw_abort(&raw);
    WORLD_UNTIL(&world, atomic_load(&late_code[1]) != 0);
    CU_ASSERT_EQUAL(atomic_load(&late_code[1]), CMDS_E_GONE);
    CU_ASSERT_EQUAL(cmds_group_forward(NULL, echo_message(&echo), NULL, NULL, late_on_result, NULL),
            -EINVAL);
    CU_ASSERT_EQUAL(
            cmds_group_forward(up.group, echo_message(&echo), NULL, NULL, late_on_result, NULL),
            -EINVAL);

    cmds_group_close(atomic_load(&up.group), NULL, NULL);
    world_stop(&world);
}

/* --- Threads that use it while it is closed --------------------------------------------------- */

struct user {
    struct cmds_group *group;
    pthread_t thread;
    struct answers *answers;
    _Atomic uint32_t rounds, *started;
    int code;
    bool waits;
};

/* Everything that a thread may call, until the group is closed. */
static void *user_main(void *context)
{
    struct user *user = context;
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    struct cmds_ticket ticket = {0};
    struct cmds_error error = CMDS_ERROR_INIT;
    how.ticket = &ticket;
    atomic_fetch_add(user->started, 1);
    while (user->code != CMDS_E_CLOSED) {
        user->code = send_echo(user->group, 1, &how, user->answers);
        (void)cmds_group_has(user->group, ticket);
        (void)cmds_group_forget(user->group, ticket);
        (void)cmds_group_pending(user->group);
        (void)cmds_group_connected(user->group);
        (void)cmds_group_done(user->group);
        (void)cmds_group_error(user->group, &error);
        (void)cmds_group_size(user->group);
        if (user->waits) {
            int code = cmds_group_wait(user->group, 1, NULL);
            code = cmds_group_drain(user->group, 1);
            (void)code;
        }
    }
    return NULL;
}

/* `counted`: each thread has a reference; else they go by what the runtime keeps. */
static void close_under_users(struct world *world, bool counted, bool stop_runtime)
{
    struct user users[3];
    _Atomic uint32_t started = 0;
    _Atomic uint32_t closed = 0;
    struct cmds_runtime *runtime = NULL;
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    options.shard_count = 2;
    CU_ASSERT_FATAL(cmds_runtime_start(&runtime, &options, NULL) == 0);
    struct cmds_group *group = open_group(runtime, world->address);
    CU_ASSERT_FATAL(cmds_group_wait(group, RAW_GUARD_MS, NULL) == 0);
    for (int i = 0; i < 3; i++) {
        users[i] = (struct user){.group = counted ? cmds_group_ref(group) : group,
                .answers = answers_new(),
                .started = &started,
                .waits = i == 2};
        CU_ASSERT_FATAL(pthread_create(&users[i].thread, NULL, user_main, &users[i]) == 0);
    }
    WORLD_UNTIL(world, atomic_load(&started) == 3);
    if (stop_runtime) {
        cmds_runtime_stop(runtime);
    } else {
        cmds_group_close(group, count_one, &closed);
        WORLD_UNTIL(world, atomic_load(&closed) == 1);
    }
    for (int i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(pthread_join(users[i].thread, NULL), 0);
        CU_ASSERT_EQUAL(users[i].code, CMDS_E_CLOSED);
        if (counted) {
            CU_ASSERT_EQUAL(cmds_group_pending(users[i].group), 0);
            CU_ASSERT_TRUE(cmds_group_done(users[i].group));
            CU_ASSERT_EQUAL(cmds_group_wait(users[i].group, 0, NULL), CMDS_E_CLOSED);
            CU_ASSERT_EQUAL(cmds_group_drain(users[i].group, 0), 0);
            CU_ASSERT_EQUAL(cmds_group_forget(users[i].group, (struct cmds_ticket){1}), -ENOENT);
            cmds_group_unref(users[i].group);
        }
        answers_free(users[i].answers);
    }
    if (!stop_runtime) {
        cmds_runtime_stop(runtime);
    }
}

static void test_group_end_under_threads_that_use_it(void)
{
    struct world world;
    world_init(&world);
    CU_ASSERT_FATAL(world_start(&world) == 0);
    for (int i = 0; i < 10; i++) {
        close_under_users(&world, false, false);
        close_under_users(&world, true, false);
        close_under_users(&world, true, true);
    }
    world_stop(&world);
}

static void test_group_end_keeps_few_groups_and_tells_late_sends(void)
{
    struct world world;
    struct cmds_group *groups[8];
    struct answers *answers = answers_new();
    world_init(&world);
    CU_ASSERT_FATAL(world_start(&world) == 0);
    _Atomic uint32_t closed = 0;
    for (uint32_t i = 0; i < 8; i++) {
        groups[i] = open_group(world.runtime, "127.0.0.1:1");
        cmds_group_close(groups[i], count_one, &closed);
    }
    WORLD_UNTIL(&world, atomic_load(&closed) == 8);

    for (uint32_t i = 0; i < 8; i++) {
        CU_ASSERT_EQUAL(send_echo(groups[i], 1, NULL, answers), CMDS_E_CLOSED);
        CU_ASSERT_EQUAL(cmds_group_connected(groups[i]), 0);
    }
    for (uint32_t i = 0; i < 2100; i++) { // More than are kept: the oldest ones are freed.
        cmds_group_close(open_group(world.runtime, "127.0.0.1:1"), count_one, &closed);
        WORLD_UNTIL(&world, i % 100 != 0 || atomic_load(&closed) == 9 + i);
    }
    WORLD_UNTIL(&world, atomic_load(&closed) == 2108);

    answers_free(answers);
    world_stop(&world);
}

/* --- on_closed -------------------------------------------------------------------------------- */

static void test_group_end_tells_everybody_who_closed_it(void)
{
    struct world world;
    world_init(&world);
    CU_ASSERT_FATAL(world_start(&world) == 0);
    struct cmds_group *group = cmds_group_ref(open_group(world.runtime, world.address));
    CU_ASSERT_EQUAL(cmds_group_wait(group, RAW_GUARD_MS, NULL), 0);
    _Atomic uint32_t closed = 0;

    for (int i = 0; i < 5; i++) {
        cmds_group_close(group, i != 2 ? count_one : NULL, &closed);
    }
    WORLD_UNTIL(&world, atomic_load(&closed) == 4);
    cmds_group_close(group, count_one, &closed); // Too late: told at once.
    CU_ASSERT_EQUAL(atomic_load(&closed), 5);
    world_stop(&world);
    CU_ASSERT_EQUAL(atomic_load(&closed), 5);
    cmds_group_close(group, count_one, &closed);
    CU_ASSERT_EQUAL(atomic_load(&closed), 6);
    cmds_group_unref(group);
}

struct stopped {
    struct cmds_group *group;
    _Atomic uint32_t closed, down;
};

static void stopped_on_state(void *context, uint32_t client, enum cmds_connection_state state,
        const struct cmds_error *cause)
{
    struct stopped *stopped = context;
    (void)client;
    if (state != CMDS_CONNECTION_UP && cause->code == CMDS_E_CLOSED &&
            atomic_fetch_add(&stopped->down, 1) == 0) {
        cmds_group_close(stopped->group, count_one, &stopped->closed);
    }
}

static void test_group_end_by_the_runtime_tells_who_closes_meanwhile(void)
{
    struct world world;
    struct stopped stopped = {NULL, 0, 0};
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(&world_protocol);
    struct cmds_runtime *runtime = NULL;
    world_init(&world);
    CU_ASSERT_FATAL(world_start(&world) == 0);
    CU_ASSERT_FATAL(cmds_runtime_start(&runtime, &world.runtime_options, NULL) == 0);
    options.connect = world.address;
    options.context = &stopped;
    options.on_state = stopped_on_state;
    CU_ASSERT_FATAL(cmds_group_open(&stopped.group, runtime, &options, NULL) == 0);
    CU_ASSERT_FATAL(cmds_group_wait(stopped.group, RAW_GUARD_MS, NULL) == 0);

    cmds_runtime_stop(runtime); // The group ends with it, and is closed by its callback as well.
    CU_ASSERT_EQUAL(atomic_load(&stopped.down), 1);
    CU_ASSERT_EQUAL(atomic_load(&stopped.closed), 1);
    world_stop(&world);
}

/* --- Closed inside each callback -------------------------------------------------------------- */

enum {
    CLOSE_ON_UP,
    CLOSE_ON_DOWN,
    CLOSE_ON_RESULT,
    CLOSE_ON_WRITABLE,
    CLOSE_ON_UNEXPECTED,
    CLOSE_COUNT,
};

struct closer {
    int when;
    struct cmds_group *group;
    _Atomic uint32_t closed, done;
    _Atomic int32_t code; // Of a send after it.
};

static void closer_reach(struct closer *closer, int when)
{
    if (closer->when == when && atomic_exchange(&closer->done, 1) == 0) {
        cmds_group_close(closer->group, count_one, &closer->closed);
        struct echo echo = {.string = CMDS_STRING("")};
        atomic_store(&closer->code,
                cmds_group_send(closer->group, echo_message(&echo), NULL, NULL, NULL));
        (void)cmds_group_pending(closer->group);
        (void)cmds_group_forget(closer->group, (struct cmds_ticket){1});
    }
}

static void closer_on_state(void *context, uint32_t client, enum cmds_connection_state state,
        const struct cmds_error *cause)
{
    (void)client;
    (void)cause;
    closer_reach(context, state == CMDS_CONNECTION_UP ? CLOSE_ON_UP : CLOSE_ON_DOWN);
}
static void closer_on_writable(void *context)
{
    closer_reach(context, CLOSE_ON_WRITABLE);
}
static void closer_on_unexpected(void *context, const struct cmds_result *result)
{
    (void)result;
    closer_reach(context, CLOSE_ON_UNEXPECTED);
}
static void closer_on_result(void *context, const struct cmds_result *result)
{
    (void)result;
    closer_reach(context, CLOSE_ON_RESULT);
}

/* Several results, so that some come after the command was forgotten. */
static int closer_exec(struct cmds_call *call, const struct run *run)
{
    int64_t index = (int64_t)cmds_call_round(call);
    (void)run;
    int code = world_send_item(call, index, index == 999);
    return code < 0 || index == 999 ? code : CMDS_EXEC_AGAIN;
}

/* More of what leads to the callbacks. Returns: it is closed. */
static bool closer_push(struct closer *closer, struct cmds_group *group)
{
    struct run run = {0, 0, CMDS_STRING("")};
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    struct cmds_ticket ticket = {0};
    how.ticket = &ticket;
    for (int i = 0; i < 20; i++) { // More than the window takes.
        int code = cmds_group_send(group, run_message(&run), &how, closer_on_result, closer);
        if (closer->when == CLOSE_ON_UNEXPECTED && code == 0) {
            (void)cmds_group_forget(group, ticket);
        }
    }
    return atomic_load(&closer->closed) == 1;
}

static void close_inside(int when, uint32_t shards)
{
    struct world world;
    struct closer closer = {when, NULL, 0, 0, 0};
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(&world_protocol);
    world_init(&world);
    world.runtime_options.shard_count = shards;
    world.exec = closer_exec;
    CU_ASSERT_FATAL(world_start(&world) == 0);
    options.connect = world.address;
    options.in_flight_max = 2;
    options.context = &closer;
    options.on_state = closer_on_state;
    options.on_writable = closer_on_writable;
    options.on_unexpected = closer_on_unexpected;
    CU_ASSERT_FATAL(cmds_group_open(&closer.group, world.runtime, &options, NULL) == 0);
    struct cmds_group *group = cmds_group_ref(closer.group);
    if (when == CLOSE_ON_DOWN) {
        CU_ASSERT_EQUAL(cmds_group_wait(group, RAW_GUARD_MS, NULL), 0);
        cmds_server_close(world.server);
        world.server = NULL;
    }
    WORLD_UNTIL(&world, closer_push(&closer, group));
    CU_ASSERT_EQUAL(atomic_load(&closer.code), CMDS_E_CLOSED);
    cmds_group_unref(group);
    world_stop(&world);
}

static void test_group_end_begun_inside_each_callback(void)
{
    for (int when = 0; when < CLOSE_COUNT; when++) {
        close_inside(when, 1);
        close_inside(when, 2);
    }
}

/* --- Peers that do not let go ----------------------------------------------------------------- */

/* Says who it is, then neither reads nor closes until the test is over. */
static void mute_serve(struct raw_server *server, struct raw *peer, void *context)
{
    (void)context;
    (void)raw_write_hex(peer, "0764656661756c74");
    while (!atomic_load(&server->stopping)) {
        raw_pause(NULL);
    }
}

/* More than both kernels take, so that the output is full; nothing of it is pending. */
static void fill_output(struct cmds_group *group)
{
    static char large[60000];
    struct put put = {{large, sizeof(large)}};
    int code = 0;
    for (int i = 0; i < 10000 && code == 0; i++) {
        code = cmds_group_send(group, put_message(&put), NULL, NULL, NULL);
        if (code == -ENOBUFS) {
            raw_pause(NULL); // What the shard writes makes room, as long as the kernel takes it.
            code = i < 500 ? 0 : code;
        }
    }
    CU_ASSERT_EQUAL(code, -ENOBUFS);
    CU_ASSERT_EQUAL(cmds_group_pending(group), 0);
}

static void close_mute_sender(bool single_thread, bool fill)
{
    struct raw_server server;
    struct cmds_sender *sender = NULL;
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&end_protocol);
    struct cmds_group_options group = CMDS_GROUP_OPTIONS_INIT(&end_protocol);
    CU_ASSERT_FATAL(raw_server_start(&server, mute_serve, NULL) == 0);
    group.write_timeout_ms = CMDS_NEVER;
    group.keepalive_ms = CMDS_NEVER;
    options.group = &group;
    options.connect = server.address;
    options.single_thread = single_thread;
    CU_ASSERT_FATAL(cmds_sender_open(&sender, &options, NULL) == 0);
    if (fill) {
        fill_output(cmds_sender_group(sender));
    }

    cmds_sender_close(sender, 100); // It returns.
    raw_server_stop(&server);
}

static void test_group_end_of_a_sender_is_bounded_by_its_time(void)
{
    close_mute_sender(false, false);
    close_mute_sender(false, true);
    close_mute_sender(true, false);
}

enum {
    MUTE_COUNT = 6,
};

struct mute {
    struct cmds_group *group;
    _Atomic uint32_t *down, *first_saw;
};

static void mute_on_closed(void *context)
{
    struct mute *mute = context;
    uint32_t none = 0;
    (void)atomic_compare_exchange_strong(mute->first_saw, &none, atomic_load(mute->down));
}

static void mute_on_state(void *context, uint32_t client, enum cmds_connection_state state,
        const struct cmds_error *cause)
{
    struct mute *mute = context;
    (void)client;
    (void)cause;
    if (state != CMDS_CONNECTION_UP) {
        atomic_fetch_add(mute->down, 1);
        cmds_group_close(mute->group, mute_on_closed, mute);
    }
}

static void test_group_end_with_mute_peers_is_bounded_by_the_linger(void)
{
    struct raw_server servers[MUTE_COUNT];
    struct mute mutes[MUTE_COUNT];
    _Atomic uint32_t down = 0;
    _Atomic uint32_t first_saw = 0;
    struct cmds_runtime *runtime = NULL;
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    options.shard_count = 2;
    CU_ASSERT_FATAL(cmds_runtime_start(&runtime, &options, NULL) == 0);
    for (int i = 0; i < MUTE_COUNT; i++) {
        struct cmds_group_options group_options = CMDS_GROUP_OPTIONS_INIT(&end_protocol);
        mutes[i] = (struct mute){NULL, &down, &first_saw};
        CU_ASSERT_FATAL(raw_server_start(&servers[i], mute_serve, NULL) == 0);
        group_options.connect = servers[i].address;
        group_options.write_timeout_ms = CMDS_NEVER;
        group_options.keepalive_ms = CMDS_NEVER;
        group_options.context = &mutes[i];
        group_options.on_state = mute_on_state;
        CU_ASSERT_FATAL(cmds_group_open(&mutes[i].group, runtime, &group_options, NULL) == 0);
        CU_ASSERT_FATAL(cmds_group_wait(mutes[i].group, RAW_GUARD_MS, NULL) == 0);
        fill_output(mutes[i].group);
    }
    cmds_runtime_stop(runtime); // It returns, and all of them began before the first was over.
    CU_ASSERT_EQUAL(atomic_load(&down), MUTE_COUNT);
    CU_ASSERT_EQUAL(atomic_load(&first_saw), MUTE_COUNT);
    for (int i = 0; i < MUTE_COUNT; i++) {
        raw_server_stop(&servers[i]);
    }
}

/* --- NULL ------------------------------------------------------------------------------------- */

static int null_each(void *context, const struct cmds_result *result)
{
    (void)context;
    (void)result;
    return 0;
}

static void test_group_functions_refuse_null(void)
{
    struct echo echo = {.string = CMDS_STRING("")};
    struct cmds_message message = echo_message(&echo);
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(&world_protocol);
    struct cmds_group *group = NULL;
    struct cmds_sender *sender = NULL;
    struct cmds_result *result = NULL;
    CU_ASSERT_EQUAL(cmds_group_open(NULL, NULL, &options, NULL), -EINVAL);
    CU_ASSERT_EQUAL(cmds_group_open(&group, NULL, &options, NULL), -EINVAL);
    CU_ASSERT_EQUAL(cmds_group_wait(NULL, 0, NULL), -EINVAL);
    CU_ASSERT_EQUAL(cmds_group_drain(NULL, 0), -EINVAL);
    CU_ASSERT_EQUAL(cmds_group_send(NULL, message, NULL, NULL, NULL), -EINVAL);
    CU_ASSERT_EQUAL(cmds_group_forget(NULL, (struct cmds_ticket){1}), -EINVAL);
    CU_ASSERT_FALSE(cmds_group_has(NULL, (struct cmds_ticket){1}));
    CU_ASSERT_EQUAL(cmds_group_connected(NULL), 0);
    CU_ASSERT_EQUAL(cmds_group_size(NULL), 0);
    CU_ASSERT_EQUAL(cmds_group_pending(NULL), 0);
    CU_ASSERT_TRUE(cmds_group_done(NULL));
    CU_ASSERT_EQUAL(cmds_group_error(NULL, NULL), -EINVAL);
    CU_ASSERT_PTR_NULL(cmds_group_ref(NULL));
    cmds_group_unref(NULL);
    cmds_group_close(NULL, NULL, NULL);
    CU_ASSERT_EQUAL(cmds_sender_open(NULL, NULL, NULL), -EINVAL);
    CU_ASSERT_EQUAL(cmds_sender_open(&sender, NULL, NULL), -EINVAL);
    CU_ASSERT_EQUAL(cmds_sender_send(NULL, message, 0, &result, NULL), -EINVAL);
    CU_ASSERT_EQUAL(cmds_sender_send_multi(NULL, message, 0, NULL, null_each, NULL), -EINVAL);
    CU_ASSERT_PTR_NULL(cmds_sender_group(NULL));
    cmds_sender_close(NULL, 0);
    CU_ASSERT_PTR_NULL(cmds_result_copy(NULL));
    cmds_result_free(NULL);
}

static CU_TestInfo test_group_end[] = {
        {"waits for cancelled forwards", test_group_end_waits_for_forwards_that_were_cancelled},
        {"forward of what is over", test_group_forward_refuses_what_cannot_be_answered},
        {"under threads that use it", test_group_end_under_threads_that_use_it},
        {"keeps few", test_group_end_keeps_few_groups_and_tells_late_sends},
        {"tells everybody", test_group_end_tells_everybody_who_closed_it},
        {"by the runtime", test_group_end_by_the_runtime_tells_who_closes_meanwhile},
        {"inside each callback", test_group_end_begun_inside_each_callback},
        {"of a sender is bounded", test_group_end_of_a_sender_is_bounded_by_its_time},
        {"with mute peers is bounded", test_group_end_with_mute_peers_is_bounded_by_the_linger},
        {"NULL", test_group_functions_refuse_null},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("group_end", test_group_end)

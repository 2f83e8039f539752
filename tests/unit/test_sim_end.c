/* SPDX-License-Identifier: MIT */
/*
 * The end of groups and of their runtime, while threads use them. What may go wrong: something goes that a
 * thread, a shard's stack or a mail still knows, or something is begun that nobody ends. Run it under the
 * address sanitizer: most of this is silent otherwise.
 */
#include <errno.h>

#include "group/ref.h"
#include "ring/ring.h"
#include "ring/socket.h"
#include "sim/world.h"
#include "support/sim/host.h"

enum {
    SEEDS = 10,
    ROUNDS = 250,
    OPENS = 100,
    SHARDS = 2,
};

static void run_all(struct hall *hall, void (*script)(struct hall *hall))
{
    for (uint64_t seed = 1; seed <= CMDI_SEEDS(SEEDS); seed++) {
        struct hall mine = *hall;
        mine.options.receiver = &mine;
        hall_run(&mine, seed, script);
    }
}

/* --- Threads that are slow where it matters --------------------------------------------------- */

void __real_cmdi_ring_wake(struct cmdi_ring *ring);
void __wrap_cmdi_ring_wake(struct cmdi_ring *ring);
void __real_cmdi_shard_post(struct cmdi_shard *shard, struct cmdi_mail *mail);
void __wrap_cmdi_shard_post(struct cmdi_shard *shard, struct cmdi_mail *mail);
void __real_cmdi_group_shard_drop(struct cmdi_group_shard *group_shard);
void __wrap_cmdi_group_shard_drop(struct cmdi_group_shard *group_shard);

/* A thread, and no shard, gets no CPU for as long as a group takes to end; not always. */
static void dawdle(void)
{
    if (cmdi_shard_current() == NULL && cmds_sim_random(cmds_sim_current()) % 4 == 0) {
        hall_pause_us(2000);
    }
}

/* Inside of a post: the mail is there, and the shard may have it before it was woken. */
void __wrap_cmdi_ring_wake(struct cmdi_ring *ring)
{
    dawdle();
    __real_cmdi_ring_wake(ring);
}

/* Between what one part of a group is told and the next one. */
void __wrap_cmdi_shard_post(struct cmdi_shard *shard, struct cmdi_mail *mail)
{
    __real_cmdi_shard_post(shard, mail);
    dawdle();
}

/* Behind a count that a shard has given back: by then all others may be done. */
void __wrap_cmdi_group_shard_drop(struct cmdi_group_shard *group_shard)
{
    __real_cmdi_group_shard_drop(group_shard);
    hall_pause_us(20);
}

/* --- What ends ---------------------------------------------------------------------------------- */

/* A runtime for a group, beside the server's. */
static struct cmds_runtime *start_runtime(void)
{
    struct cmds_runtime *runtime = NULL;
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    options.shard_count = SHARDS;
    CU_ASSERT_EQUAL(cmds_runtime_start(&runtime, &options, NULL), 0);
    return runtime;
}

static int open_group(struct cmds_group **group, struct cmds_runtime *runtime,
        const struct cmds_protocol *protocol, uint32_t client_count)
{
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(protocol);
    options.connect = "127.0.0.1:9000";
    options.client_count = client_count;
    return cmds_group_open(group, runtime, &options, NULL);
}

/* --- Threads that use it ------------------------------------------------------------------------ */

static void take_any(void *context, const struct cmds_result *result)
{
    *(uint32_t *)context += result->last;
}

struct user {
    struct cmds_group *group; // A reference.
    uint32_t sent, ended;
    pthread_t thread;
};

/* All that a thread may do with a group, until it is closed; and then once more. */
static void *thread_uses(void *context)
{
    struct user *user = context;
    int code = 0;
    // Who looked before the close began may find that no connection is left.
    while (code == 0 || code == -ENOBUFS || code == CMDS_E_NOT_CONNECTED) {
        struct act act = {1};
        struct cmds_ticket ticket;
        struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
        how.ticket = &ticket;
        code = cmds_group_send(user->group, act_message(&act), &how, take_any, &user->ended);
        user->sent += code == 0;
        if (code == 0 && user->sent % 2 == 0) {
            (void)cmds_group_forget(user->group, ticket);
        }
        (void)cmds_group_drain(user->group, 0);
        (void)cmds_group_pending(user->group);
    }
    CU_ASSERT_EQUAL(code, CMDS_E_CLOSED);
    (void)cmds_group_wait(user->group, 0, NULL);
    CU_ASSERT_EQUAL(cmds_group_drain(user->group, 1000), 0);
    cmds_group_unref(user->group);
    return NULL;
}

/* Closed by us, or by the end of its runtime, which waits for no thread that uses the group. */
static void use_and_close(struct hall *hall, uint32_t pause_us, bool closes)
{
    struct user users[2] = {{.sent = 0}};
    struct cmds_runtime *runtime = start_runtime();
    struct cmds_group *group = NULL, *other = NULL; // Of the other shards hear as well meanwhile.
    CU_ASSERT_EQUAL(open_group(&group, runtime, hall->options.protocol, SHARDS), 0);
    CU_ASSERT_EQUAL(open_group(&other, runtime, hall->options.protocol, 4 * SHARDS), 0);
    for (uint32_t i = 0; i < 2; i++) {
        users[i].group = cmds_group_ref(group);
        users[i].thread = hall_thread(thread_uses, &users[i]);
    }
    hall_pause_us(pause_us);

    if (closes) {
        cmds_group_close(group, NULL, NULL);
    }
    cmds_runtime_stop(runtime);

    for (uint32_t i = 0; i < 2; i++) {
        (void)pthread_join(users[i].thread, NULL);
        CU_ASSERT_EQUAL(users[i].sent, users[i].ended);
    }
}

static void script_used(struct hall *hall)
{
    for (uint32_t i = 0; i < ROUNDS; i++) {
        use_and_close(hall, i * 37 % 400, i % 2 == 0);
    }
}

static void test_sim_end_of_a_group_that_is_used(void)
{
    struct hall hall;
    hall_init(&hall);
    hall.sim_options.faults = CMDS_SIM_STALLS; // Now and then one of them gets no CPU for a while.

    run_all(&hall, script_used);
}

/* --- While it opens ----------------------------------------------------------------------------- */

struct opening {
    struct cmds_group *volatile group;
    volatile bool closed;
};

static void on_closed(void *context)
{
    ((struct opening *)context)->closed = true;
}

/* As a callback may, of another shard than the one that opens it: as soon as it is known. */
static void *thread_closes(void *context)
{
    struct opening *opening = context;
    while (opening->group == NULL) {
        cmdi_sim_sleep(50, "a test");
    }
    cmds_group_close(opening->group, on_closed, opening);
    return NULL;
}

static void script_opening(struct hall *hall)
{
    struct cmds_runtime *runtime = start_runtime();
    for (uint32_t i = 0; i < OPENS; i++) {
        struct opening opening = {.group = NULL};
        pthread_t thread = hall_thread(thread_closes, &opening);
        CU_ASSERT_EQUAL(open_group((struct cmds_group **)&opening.group, runtime,
                                hall->options.protocol, SHARDS),
                0);
        (void)pthread_join(thread, NULL);
        HALL_UNTIL(opening.closed);
    }
    cmds_runtime_stop(runtime);
}

static void test_sim_end_of_a_group_that_opens(void)
{
    struct hall hall;
    hall_init(&hall);
    hall.sim_options.faults = CMDS_SIM_STALLS;

    run_all(&hall, script_opening);
}

/* --- With forwards that have not been told of their end --------------------------------------- */

enum {
    ACT_FORWARD,
    ACT_CLOSE, // Those that forward, and then as long as:
    ACT_LONG,  // longer than a pass over the ready list may be.
    ACT_ECHO,
    LONG_MS = 3,
    GUESTS = 24,
    ECHOES = 12,      // Then it is believed to ask for little, and runs with what is no connection.
    FORWARDS_MAX = 4, // On each shard, of a window of one.
};

static uint32_t forward_count; // On each shard.

struct forwards {
    struct cmds_group *group;
    // By shard: the connection of those that it has.
    struct cmds_connection *connections[SHARDS];
    uint32_t begun, lasts;
    volatile bool closed;
    int listener;
    struct guest servers[SHARDS];
};

static void on_forwarded(struct cmds_call *call, void *context, const struct cmds_result *result)
{
    (void)context;
    struct hall *hall = cmds_call_receiver(call);
    ((struct forwards *)hall->context)->lasts += result->last;
}

static void on_forwards_closed(void *context)
{
    ((struct forwards *)context)->closed = true;
}

static int act_forward(struct cmds_call *call, const struct act *act)
{
    struct hall *hall = cmds_call_receiver(call);
    struct forwards *forwards = hall->context;
    int shard = cmds_runtime_current_shard(hall->runtime);
    if (forwards == NULL) { // Its guests have gone.
        return hall_answer(call, act->number);
    }
    if (act->number == ACT_FORWARD) {
        forwards->connections[shard] = cmds_call_connection(call);
        forwards->begun++;
        return cmds_group_forward(
                forwards->group, act_message(act), NULL, call, on_forwarded, NULL);
    }
    if (act->number == ACT_CLOSE) {
        cmds_connection_close(forwards->connections[shard]);
    }
    cmds_sim_sleep_ms(act->number == ACT_ECHO ? 0 : LONG_MS);
    return hall_answer(call, act->number);
}

/* Its server says who it is, and then nothing. */
static void forwards_open(struct forwards *forwards, struct hall *hall)
{
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(hall->options.protocol);
    options.connect = "127.0.0.1:9001";
    options.client_count = hall->runtime_options.shard_count;
    options.in_flight_max = 1;
    hall->context = forwards;
    CU_ASSERT_EQUAL(cmds_group_open(&forwards->group, hall->runtime, &options, NULL), 0);
    for (uint32_t i = 0; i < options.client_count; i++) {
        host_enter(forwards->listener, &forwards->servers[i]);
    }
    CU_ASSERT_EQUAL(cmds_group_wait(forwards->group, 1000, NULL), 0);
}

static void forwards_close(struct forwards *forwards, uint32_t shards)
{
    for (uint32_t i = 0; i < shards; i++) {
        guest_close(&forwards->servers[i]);
    }
    cmdi_fd_close(forwards->listener);
}

/* On all shards, as many on each, in turn; each is known to ask for little. */
static void guests_enter(struct guest *guests)
{
    for (uint32_t i = 0; i < GUESTS; i++) {
        guest_enter(&guests[i]);
        for (uint32_t j = 0; j < ECHOES; j++) {
            (void)guest_send(&guests[i], &act_type, ACT_ECHO);
            CU_ASSERT_TRUE(guest_expects(&guests[i], ACT_ECHO, 1000));
        }
    }
}

/*
 * One forward is at its server, others wait for room when their connection is closed: each is to be told by
 * a work, which stands behind long commands of others. Meanwhile the group is closed.
 */
static void script_forwards(struct hall *hall)
{
    struct forwards forwards = {.listener = host_listen()};
    struct guest guests[GUESTS];
    uint32_t shards = hall->runtime_options.shard_count;
    forwards_open(&forwards, hall);
    guests_enter(guests);
    for (uint32_t i = 0; i < forward_count * shards; i++) {
        (void)guest_send(&guests[i % shards], &act_type, ACT_FORWARD);
    }
    HALL_UNTIL(forwards.begun == forward_count * shards);
    for (uint32_t i = shards; i < GUESTS; i++) { // The first one holds up those behind it.
        bool closes = i >= 2 * shards && i < 3 * shards;
        (void)guest_send(&guests[i], &act_type, closes ? ACT_CLOSE : ACT_LONG);
        hall_pause_us(i + 1 == 2 * shards ? LONG_MS * 1000 / 2 : 0);
    }
    cmds_sim_sleep_ms(LONG_MS);
    CU_ASSERT_EQUAL(forwards.lasts, 0);
    cmds_group_close(forwards.group, on_forwards_closed, &forwards);
    HALL_UNTIL(forwards.closed);

    CU_ASSERT_EQUAL(forwards.lasts, forward_count * shards);
    for (uint32_t i = 0; i < GUESTS; i++) {
        guest_close(&guests[i]);
    }
    forwards_close(&forwards, shards);
    hall->context = NULL;
}

static void test_sim_end_of_a_group_waits_for_its_forwards(void)
{
    struct hall hall;
    hall_init(&hall);
    hall.act = act_forward;

    for (forward_count = 1; forward_count <= FORWARDS_MAX; forward_count += FORWARDS_MAX - 1) {
        for (uint32_t shards = 1; shards <= SHARDS; shards++) {
            hall.runtime_options.shard_count = shards;
            run_all(&hall, script_forwards);
        }
    }
}

/* --- The runtime -------------------------------------------------------------------------------- */

/* The server ends with its runtime, and its program begins something. */
static void open_late(void *receiver, uint32_t shard, void *shard_state)
{
    struct hall *hall = receiver;
    struct cmds_group *group = NULL;
    (void)shard;
    (void)shard_state;
    CU_ASSERT_EQUAL(
            open_group(&group, hall->runtime, hall->options.protocol, SHARDS), CMDS_E_CLOSED);
    CU_ASSERT_PTR_NULL(group);
    hall->works++;
}

static void script_late(struct hall *hall)
{
    struct cmds_server *server = NULL;
    struct cmds_server_options options = hall->options;
    options.listen = "127.0.0.1:9001";
    options.on_shard_stop = open_late;
    CU_ASSERT_EQUAL(cmds_server_start(&server, hall->runtime, &options, NULL), 0);
}

static void test_sim_end_of_a_runtime_that_nothing_new_outlives(void)
{
    struct hall hall;
    hall_init(&hall);

    for (uint64_t seed = 1; seed <= CMDI_SEEDS(SEEDS); seed++) {
        struct hall mine = hall;
        mine.options.receiver = &mine;
        hall_run(&mine, seed, script_late);
        CU_ASSERT_EQUAL(mine.works, 1);
    }
}

static CU_TestInfo tests[] = {
        {"of a group that is used", test_sim_end_of_a_group_that_is_used},
        {"of a group that opens", test_sim_end_of_a_group_that_opens},
        {"of a group waits for its forwards", test_sim_end_of_a_group_waits_for_its_forwards},
        {"of a runtime that nothing new outlives",
                test_sim_end_of_a_runtime_that_nothing_new_outlives},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("sim_end", tests)

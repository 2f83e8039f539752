/* SPDX-License-Identifier: MIT */
/*
 * Connections that come back, in a simulated world: a server that dies, restarts, is not there yet, closes
 * whoever comes, or is another one. They could stay away; come back without a pause; end commands twice, or
 * never; say LOST of what was never sent; let commands wait behind one that stays away while another is up.
 */
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmdstream/cmdstream.h>
#include <cmdstream/sim.h>

#include "group/group.h"
#include "support/harness.h"

enum {
    SEEDS = 20,
    COMMANDS = 40,
    POISON = -2, // Its connection is closed.
};

struct ask {
    int64_t number; // Below 0: it is kept, and not answered, but for POISON.
};
struct answer {
    int64_t number;
};
CMDS_COMMAND(ask, 0, number);
CMDS_RESULT(answer, 0, number);
static const struct cmds_type *const commands[] = {&ask_type};
static const struct cmds_type *const results[] = {&answer_type};
static const struct cmds_protocol protocol = CMDS_PROTOCOL("reconnect", commands, results);

/* What the script of a test sees. */
struct scene {
    struct cmds_sim_process *server;
    struct cmds_group_options options;
    struct cmds_runtime *runtime;
    struct cmds_group *group;
    void (*script)(struct scene *scene);
    struct cmds_bytes server_info;
    bool is_refusing, is_poisoned;

    _Atomic uint32_t answers, lost, not_sent, timeouts, cancelled, others;
    _Atomic uint32_t states[4];   // By enum cmds_connection_state.
    struct cmds_error last_cause; // Of WAITING or DOWN.
    uint32_t up_when_all_came;
};
static struct scene scene;

static int on_ask(struct cmds_call *call, const struct ask *ask)
{
    if (ask->number == POISON) {
        return -1;
    }
    if (ask->number < 0) {
        (void)cmds_call_ref(call); // Until the process is killed.
        return 0;
    }
    return cmds_call_send(call, answer_message(&(struct answer){ask->number}));
}
static const struct cmds_exec execs[] = {CMDS_EXEC(ask, on_ask)};

static int refuse(void *receiver, struct cmds_connection *connection)
{
    (void)receiver;
    (void)connection;
    return -1;
}

static int server_main(void *context)
{
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    (void)context;
    options.listen = "0.0.0.0:9000";
    options.server_info = scene.server_info;
    options.on_connect = scene.is_refusing ? refuse : NULL;
    return cmds_server_main(&options);
}

static uint32_t ended(void)
{
    return scene.answers + scene.lost + scene.not_sent + scene.timeouts + scene.cancelled +
           scene.others;
}

static void on_answer(void *context, const struct cmds_result *result)
{
    (void)context;
    CU_ASSERT_TRUE(result->last);
    CU_ASSERT_TRUE(result->error == 0 || result->text[0] != '\0');
    _Atomic uint32_t *count = result->error == 0                  ? &scene.answers
                              : result->error == CMDS_E_LOST      ? &scene.lost
                              : result->error == CMDS_E_NOT_SENT  ? &scene.not_sent
                              : result->error == CMDS_E_TIMEOUT   ? &scene.timeouts
                              : result->error == CMDS_E_CANCELLED ? &scene.cancelled
                                                                  : &scene.others;
    atomic_fetch_add(count, 1);
    if (ended() == COMMANDS) {
        scene.up_when_all_came = cmds_group_connected(scene.group);
    }
}

static void send_one(int64_t number, struct cmds_ticket *ticket)
{
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    how.ticket = ticket;
    CU_ASSERT_EQUAL(
            cmds_group_send(scene.group, ask_message(&(struct ask){number}), &how, on_answer, NULL),
            0);
}

static void on_state(void *context, uint32_t client, enum cmds_connection_state state,
        const struct cmds_error *cause)
{
    (void)context;
    CU_ASSERT_TRUE(client < scene.options.client_count);
    CU_ASSERT_EQUAL(cause->code == 0, state == CMDS_CONNECTION_UP);
    atomic_fetch_add(&scene.states[state], 1);
    if (state != CMDS_CONNECTION_UP && cause->code != CMDS_E_CLOSED) {
        scene.last_cause = *cause;
    }
    if (state == CMDS_CONNECTION_UP && scene.is_poisoned) {
        send_one(POISON, NULL);
    }
}

#define SCENE_UNTIL(condition)                                                                     \
    do {                                                                                           \
        for (int i_ = 0; i_ < 120000 && !(condition); i_++) {                                      \
            cmds_sim_sleep_ms(1);                                                                  \
        }                                                                                          \
        CU_ASSERT(condition);                                                                      \
    } while (0)

static int client_main(void *context)
{
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    (void)context;
    options.shard_count = 2;
    int code = cmds_runtime_start(&scene.runtime, &options, NULL);
    code = code < 0 ? code : cmds_group_open(&scene.group, scene.runtime, &scene.options, NULL);
    if (code == 0) {
        scene.script(&scene);
        cmds_group_close(scene.group, NULL, NULL);
    }
    cmds_runtime_stop(scene.runtime);
    return code;
}

static void scene_init(uint32_t client_count)
{
    scene = (struct scene){.server_info = {"default", 7}};
    scene.options = (struct cmds_group_options)CMDS_GROUP_OPTIONS_INIT(&protocol);
    scene.options.connect = "shop:9000";
    scene.options.client_count = client_count;
    scene.options.on_state = on_state;
    scene.options.deadline_ms = 60000;
}

static void scene_run(uint64_t seed, void (*script)(struct scene *scene))
{
    struct cmds_sim_options options = CMDS_SIM_OPTIONS_INIT;
    struct cmds_sim_program shop = CMDS_SIM_PROGRAM_INIT("shop", server_main);
    struct cmds_sim_program client = CMDS_SIM_PROGRAM_INIT("client", client_main);
    struct cmds_sim *sim = NULL;
    struct cmds_sim_report report = CMDS_SIM_REPORT_INIT;
    options.seed = seed;
    shop.daemon = true;
    scene.script = script;
    CU_ASSERT_FATAL(cmds_sim_open(&sim, &options, NULL) == 0);
    CU_ASSERT_EQUAL(cmds_sim_start(sim, &shop, &scene.server, NULL), 0);
    CU_ASSERT_EQUAL(cmds_sim_start(sim, &client, NULL, NULL), 0);
    CU_ASSERT_EQUAL(cmds_sim_run(sim, NULL), 0);
    cmds_sim_stats(sim, &report);
    /* A lookup may still wait for its answer: a thread, and its block. */
    CU_ASSERT_TRUE(report.blocks_left <= report.threads_left);
    CU_ASSERT_EQUAL(report.files_left, 0);
    cmds_sim_close(sim);
}

/* --- A server that dies ------------------------------------------------------------------------- */

static void script_restart(struct scene *its)
{
    CU_ASSERT_EQUAL(cmds_group_wait(its->group, 5000, NULL), 0);
    for (int64_t i = 0; i < COMMANDS; i++) {
        send_one(-1, NULL);
    }
    cmds_sim_sleep_ms(10);
    cmds_sim_kill(its->server);
    SCENE_UNTIL(ended() == COMMANDS);
    CU_ASSERT_EQUAL(its->lost, COMMANDS);
    CU_ASSERT_FALSE(cmds_group_done(its->group));
    cmds_sim_sleep_ms(2000);
    struct cmds_connection_info info = CMDS_CONNECTION_INFO_INIT;
    CU_ASSERT_EQUAL(cmds_group_connection(its->group, 0, &info), 0);
    CU_ASSERT_NOT_EQUAL(info.state, CMDS_CONNECTION_UP);
    CU_ASSERT_EQUAL(info.up_count, 1);
    CU_ASSERT_TRUE(info.failed >= 2);
    CU_ASSERT_TRUE(strstr(info.error.text, "shop:9000") != NULL);
    CU_ASSERT_TRUE(strstr(info.error.text, "try ") != NULL);
    for (int64_t i = 0; i < COMMANDS; i++) {
        send_one(i, NULL); // They wait.
    }
    cmds_sim_restart(its->server);
    SCENE_UNTIL(ended() == 2 * COMMANDS);
    CU_ASSERT_EQUAL(its->answers, COMMANDS);
    CU_ASSERT_EQUAL(cmds_group_wait(its->group, 60000, NULL), 0);
    CU_ASSERT_EQUAL(cmds_group_connected(its->group), its->options.client_count);
    CU_ASSERT_EQUAL(its->states[CMDS_CONNECTION_UP], 2 * its->options.client_count);
    CU_ASSERT_TRUE(its->states[CMDS_CONNECTION_WAITING] >= 2 * its->options.client_count);
    CU_ASSERT_EQUAL(its->states[CMDS_CONNECTION_DOWN], 0);
    CU_ASSERT_EQUAL(cmds_group_pending(its->group), 0);
}

static void test_reconnect_after_a_restart(void)
{
    for (uint64_t seed = 1; seed <= CMDI_SEEDS(SEEDS); seed++) {
        scene_init(1 + (uint32_t)seed % 4);
        scene_run(seed, script_restart);
    }
}

/* --- A server that is not there yet --------------------------------------------------------------- */

static void script_early(struct scene *its)
{
    cmds_sim_kill(its->server); // Before the first connect, or during it.
    cmds_sim_sleep_ms(10);
    for (int64_t i = 0; i < COMMANDS; i++) {
        send_one(i, NULL);
    }
    struct cmds_error error = CMDS_ERROR_INIT;
    CU_ASSERT_NOT_EQUAL(cmds_group_wait(its->group, 500, &error), 0);
    CU_ASSERT_TRUE(error.text[0] != '\0');
    cmds_sim_restart(its->server);
    SCENE_UNTIL(ended() == COMMANDS);
    CU_ASSERT_TRUE(its->answers > 0);
    CU_ASSERT_EQUAL(its->answers + its->lost, COMMANDS);
}

static void test_reconnect_waits_for_the_first_time_too(void)
{
    for (uint64_t seed = 1; seed <= CMDI_SEEDS(SEEDS); seed++) {
        scene_init(2);
        scene_run(seed, script_early);
    }
}

/* --- Commands that wait behind one that stays away -------------------------------------------------- */

static void script_handover(struct scene *its)
{
    struct cmds_ticket tickets[COMMANDS];
    CU_ASSERT_EQUAL(cmds_group_wait(its->group, 5000, NULL), 0);
    cmds_sim_sleep_ms(2000);
    cmds_sim_kill(its->server);
    SCENE_UNTIL(cmds_group_connected(its->group) == 0);
    for (int64_t i = 0; i < COMMANDS; i++) {
        send_one(i, &tickets[i]);
    }
    cmds_sim_restart(its->server);
    SCENE_UNTIL(cmds_group_connected(its->group) > 0);
    uint32_t forgotten = cmds_group_forget(its->group, tickets[COMMANDS / 2]) == 0;
    SCENE_UNTIL(ended() == COMMANDS);
    CU_ASSERT_EQUAL(its->answers, COMMANDS - forgotten);
    CU_ASSERT_EQUAL(its->cancelled, forgotten);
    CU_ASSERT_EQUAL(cmds_group_drain(its->group, 1000), 0);
}

static void test_reconnect_hands_over_what_waits(void)
{
    uint32_t by_one = 0;
    for (uint64_t seed = 1; seed <= CMDI_SEEDS(SEEDS); seed++) {
        scene_init(3);
        scene.options.reconnect_delay_ms = 10000;
        scene_run(seed, script_handover);
        by_one += scene.up_when_all_came == 1;
    }
    CU_ASSERT_TRUE(by_one > CMDI_SEEDS(SEEDS) / 2);
}

/* --- Ends --------------------------------------------------------------------------------------- */

static void script_mismatch(struct scene *its)
{
    struct cmds_error error = CMDS_ERROR_INIT;
    CU_ASSERT_EQUAL(cmds_group_wait(its->group, 5000, &error), CMDS_E_SERVER_INFO_MISMATCH);
    CU_ASSERT_TRUE(cmds_group_done(its->group));
    CU_ASSERT_EQUAL(its->states[CMDS_CONNECTION_DOWN], 2);
    CU_ASSERT_EQUAL(its->states[CMDS_CONNECTION_WAITING], 0);
}

static void test_reconnect_not_to_another_service(void)
{
    scene_init(2);
    scene.server_info = (struct cmds_bytes){"other", 5};
    scene_run(1, script_mismatch);
}

static void script_count(struct scene *its)
{
    SCENE_UNTIL(cmds_group_done(its->group));
    CU_ASSERT_EQUAL(its->states[CMDS_CONNECTION_WAITING], 4);
    CU_ASSERT_EQUAL(its->states[CMDS_CONNECTION_DOWN], 1);
    CU_ASSERT_EQUAL(cmds_group_send(its->group, ask_message(&(struct ask){1}), NULL, NULL, NULL),
            CMDS_E_NOT_CONNECTED);
    CU_ASSERT_PTR_NOT_NULL(strstr(its->last_cause.text, "(try 5, the last one)"));
    /* What came next then is no news any more. */
    struct cmds_error error = CMDS_ERROR_INIT;
    CU_ASSERT_TRUE(cmds_group_error(its->group, &error) < 0);
    CU_ASSERT_PTR_NULL(strstr(error.text, "(try"));
}

/* Whoever sees that the group is done can ask why: it is known by then. */
static _Atomic bool is_seen_done;

static void *look_once(void *context)
{
    struct scene *its = context;
    atomic_store(&is_seen_done, cmds_group_done(its->group));
    return NULL;
}

static void script_last(struct scene *its)
{
    pthread_t thread;
    atomic_store(&is_seen_done, false);
    CU_ASSERT_EQUAL(cmds_group_wait(its->group, 5000, NULL), 0);
    pthread_mutex_lock(&its->group->lock); // What is known of its connection waits.
    cmds_sim_kill(its->server);
    cmds_sim_sleep_ms(100);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, look_once, its), 0);
    cmds_sim_sleep_ms(10);
    CU_ASSERT_FALSE(atomic_load(&is_seen_done));
    pthread_mutex_unlock(&its->group->lock);
    (void)pthread_join(thread, NULL);
    SCENE_UNTIL(cmds_group_done(its->group));
    CU_ASSERT_EQUAL(cmds_group_error(its->group, NULL), CMDS_E_EOF);
}

static void test_reconnect_is_done_when_it_is_known_why(void)
{
    scene_init(1);
    scene.options.reconnect_delay_ms = CMDS_NEVER;
    scene_run(1, script_last);
}

static void script_rude(struct scene *its)
{
    cmds_sim_sleep_ms(60000);
    uint32_t ups = its->states[CMDS_CONNECTION_UP];
    CU_ASSERT_TRUE(ups >= 5 && ups <= 40); // Without a growing pause it would be thousands.
}

static void test_reconnect_is_not_hot(void)
{
    scene_init(1);
    scene.options.reconnect_count_max = 5;
    scene.is_refusing = true;
    scene_run(1, script_count);
    scene_init(1);
    scene.is_poisoned = true;
    scene_run(2, script_rude);
}

/* --- A sender that opens ------------------------------------------------------------------------ */

static int sender_open(struct cmds_sender **sender, struct cmds_runtime *runtime,
        const char *connect, struct cmds_error *error)
{
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&protocol);
    options.runtime = runtime;
    options.connect = connect;
    options.client_count = 2;
    return cmds_sender_open(sender, &options, error);
}

/* One server of two will do. */
static void script_half(struct scene *its)
{
    const struct cmds_message command = ask_message(&(struct ask){1});
    struct cmds_error error = CMDS_ERROR_INIT;
    struct cmds_sender *sender = NULL;
    CU_ASSERT_EQUAL(sender_open(&sender, its->runtime, "shop:8,shop:9", &error), -ECONNREFUSED);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "0 of 2 connected; client 0: connect shop:"));
    CU_ASSERT_FATAL(sender_open(&sender, its->runtime, "shop:9000,shop:9", NULL) == 0);
    CU_ASSERT_EQUAL(cmds_group_connected(cmds_sender_group(sender)), 1);
    CU_ASSERT_EQUAL(cmds_sender_send(sender, command, 1000, NULL, NULL), 0);
    cmds_sender_close(sender, 0);
}

static void test_reconnect_opens_with_one_of_two(void)
{
    scene_init(1);
    scene_run(1, script_half);
}

/* --- A thread that turns its own ring ----------------------------------------------------------- */

/* Its server restarts between two calls, while nobody turns the ring. */
static void script_single(struct scene *its)
{
    const struct cmds_message command = ask_message(&(struct ask){1});
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&protocol);
    struct cmds_sender *sender = NULL;
    options.connect = "shop:9000";
    options.single_thread = true;
    CU_ASSERT_FATAL(cmds_sender_open(&sender, &options, NULL) == 0);
    for (int i = 0; i < 5; i++) {
        CU_ASSERT_EQUAL(cmds_sender_send(sender, command, 5000, NULL, NULL), 0);
        cmds_sim_kill(its->server);
        cmds_sim_sleep_ms(100);
        cmds_sim_restart(its->server);
        cmds_sim_sleep_ms(100);
    }
    cmds_sender_close(sender, 0);
}

static void test_reconnect_of_a_single_thread(void)
{
    scene_init(1);
    scene_run(1, script_single);
}

/* --- What a caller is told ---------------------------------------------------------------------- */

static int each_none(void *context, const struct cmds_result *result)
{
    (void)context;
    (void)result;
    return 0;
}

static void caller_is_told(const struct cmds_error *error, int code, const char *what)
{
    CU_ASSERT_EQUAL(error->code, code);
    CU_ASSERT_PTR_NOT_NULL(strstr(error->text, what));
    CU_ASSERT_PTR_NOT_NULL(
            strstr(error->text, "not connected: connect shop:9 (10.0.0.1:9): refused"));
}

/* Of 2; those that have ended leave it soon. */
static void fill_window(struct cmds_group *group, struct cmds_message command)
{
    uint32_t taken = 0;
    for (int i = 0; i < 1000 && taken < 2; i++) {
        taken += cmds_group_send(group, command, NULL, NULL, NULL) == 0;
        cmds_sim_sleep_ms(taken < 2);
    }
    CU_ASSERT_EQUAL(taken, 2);
}

/* Nobody listens at that port. */
static void caller_run(struct cmds_runtime *runtime, uint32_t count_max)
{
    const struct cmds_message command = ask_message(&(struct ask){1});
    struct cmds_group_options group = CMDS_GROUP_OPTIONS_INIT(&protocol);
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&protocol);
    struct cmds_error first = CMDS_ERROR_INIT, second = CMDS_ERROR_INIT, third = CMDS_ERROR_INIT;
    struct cmds_sender *sender = NULL;
    group.reconnect_count_max = count_max;
    group.in_flight_max = 2;
    options.group = &group;
    options.runtime = runtime;
    options.connect = "shop:9";
    options.connect_later = true;
    CU_ASSERT_FATAL(cmds_sender_open(&sender, &options, NULL) == 0);
    if (count_max != 0) {
        SCENE_UNTIL(cmds_group_done(cmds_sender_group(sender)));
        CU_ASSERT_TRUE(cmds_sender_send(sender, command, 300, NULL, &first) < 0);
        caller_is_told(&first, CMDS_E_NOT_CONNECTED, "(try 3, the last one)");
    } else {
        CU_ASSERT_TRUE(cmds_sender_send(sender, command, 300, NULL, &first) < 0);
        caller_is_told(&first, CMDS_E_TIMEOUT, "no result within 300 ms; ");
        CU_ASSERT_PTR_NOT_NULL(strstr(first.text, "; it connects again in "));
        CU_ASSERT_TRUE(cmds_sender_send_multi(sender, command, 300, &second, each_none, NULL) < 0);
        caller_is_told(&second, CMDS_E_TIMEOUT, "no last result within 300 ms; ");
        fill_window(cmds_sender_group(sender), command);
        CU_ASSERT_TRUE(cmds_sender_send(sender, command, 300, NULL, &third) < 0);
        caller_is_told(&third, CMDS_E_TIMEOUT, "the window was full for 300 ms; ");
    }
    cmds_sender_close(sender, 0);
}

/* It is not the window that is full: small commands have all of the output. */
static void caller_fills_output(struct cmds_runtime *runtime)
{
    const struct cmds_message command = ask_message(&(struct ask){1});
    struct cmds_group_options group = CMDS_GROUP_OPTIONS_INIT(&protocol);
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&protocol);
    struct cmds_error error = CMDS_ERROR_INIT;
    struct cmds_sender *sender = NULL;
    group.output_size_max = 4096;
    options.group = &group;
    options.runtime = runtime;
    options.connect = "shop:9";
    options.connect_later = true;
    CU_ASSERT_FATAL(cmds_sender_open(&sender, &options, NULL) == 0);
    while (cmds_group_send(cmds_sender_group(sender), command, NULL, NULL, NULL) == 0) {
    }

    CU_ASSERT_TRUE(cmds_sender_send(sender, command, 300, NULL, &error) < 0);

    caller_is_told(
            &error, CMDS_E_TIMEOUT, "the output (output_size_max), or the memory of a shard,");
    cmds_sender_close(sender, 0);
}

static void script_callers(struct scene *its)
{
    caller_fills_output(its->runtime);
    caller_run(its->runtime, 0);
    caller_run(its->runtime, 3);
}

static void test_reconnect_says_why_to_a_caller(void)
{
    scene_init(1);
    scene_run(1, script_callers);
}

static CU_TestInfo tests[] = {
        {"after a restart", test_reconnect_after_a_restart},
        {"waits for the first time too", test_reconnect_waits_for_the_first_time_too},
        {"hands over what waits", test_reconnect_hands_over_what_waits},
        {"not to another service", test_reconnect_not_to_another_service},
        {"is done when it is known why", test_reconnect_is_done_when_it_is_known_why},
        {"is not hot", test_reconnect_is_not_hot},
        {"opens with one of two", test_reconnect_opens_with_one_of_two},
        {"of a single thread", test_reconnect_of_a_single_thread},
        {"says why to a caller", test_reconnect_says_why_to_a_caller},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("sim_reconnect", tests)

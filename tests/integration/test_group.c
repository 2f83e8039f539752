/* SPDX-License-Identifier: MIT */
/*
 * A group against a server: every command ends in exactly one result with `last`, whatever happens
 * to it, to its connection or to the group; and what the application is told is enough to know what
 * to do.
 */
#include <errno.h>

#include "support/answers.h"
#include "support/world.h"

struct guest {
    struct cmds_group_options options;
    struct cmds_group *group;
    struct answers *answers, *unexpected;
    struct cmds_error error;
    _Atomic uint32_t up, down, writable, closed;
    _Atomic uint32_t odd;  // States that were reported and should not have been.
    _Atomic int32_t cause; // Of the last connection lost.
};

static void guest_on_writable(void *context)
{
    atomic_fetch_add(&((struct guest *)context)->writable, 1);
}

static void guest_on_unexpected(void *context, const struct cmds_result *result)
{
    answers_take(((struct guest *)context)->unexpected, result);
}

static void guest_on_state(void *context, uint32_t client, enum cmds_connection_state state,
        const struct cmds_error *cause)
{
    struct guest *guest = context;
    (void)client;
    bool is_known = state == CMDS_CONNECTION_UP || state == CMDS_CONNECTION_DOWN;
    if (!is_known || (state == CMDS_CONNECTION_UP) != (cause->code == 0)) {
        atomic_fetch_add(&guest->odd, 1);
    }
    atomic_store(&guest->cause, cause->code);
    atomic_fetch_add(state == CMDS_CONNECTION_UP ? &guest->up : &guest->down, 1);
}

static void guest_on_closed(void *context)
{
    atomic_store(&((struct guest *)context)->closed, 1);
}

static void guest_init(struct guest *guest)
{
    memset(guest, 0, sizeof(*guest));
    guest->options = (struct cmds_group_options)CMDS_GROUP_OPTIONS_INIT(&world_protocol);
    guest->options.context = guest;
    guest->options.on_writable = guest_on_writable;
    guest->options.on_unexpected = guest_on_unexpected;
    guest->options.on_state = guest_on_state;
    guest->answers = answers_new();
    guest->unexpected = answers_new();
}

static int guest_open(struct guest *guest, struct cmds_runtime *runtime, const char *address)
{
    guest->options.connect = address;
    int code = cmds_group_open(&guest->group, runtime, &guest->options, &guest->error);
    if (code < 0) {
        fprintf(stderr, "%s\n", guest->error.text);
    }
    return code;
}

static void guest_close(struct guest *guest, const struct world *world)
{
    cmds_group_close(guest->group, guest_on_closed, guest);
    WORLD_UNTIL(world, atomic_load(&guest->closed) == 1);
    CU_ASSERT_EQUAL(atomic_load(&guest->odd), 0);
    answers_free(guest->answers);
    answers_free(guest->unexpected);
}

static int guest_echo(struct guest *guest, int64_t number, const struct cmds_send_options *how)
{
    struct echo echo = {true, number, CMDS_STRING("hi"), 0.5};
    return cmds_group_send(guest->group, echo_message(&echo), how, answers_take, guest->answers);
}

static int guest_run(
        struct guest *guest, int64_t what, int64_t number, const struct cmds_send_options *how)
{
    struct run run = {what, number, CMDS_STRING("")};
    return cmds_group_send(guest->group, run_message(&run), how, answers_take, guest->answers);
}

static uint32_t guest_last(struct guest *guest)
{
    return atomic_load(&guest->answers->last_count);
}

static void start(struct world *world, struct guest *guest)
{
    CU_ASSERT_FATAL(world_start(world) == 0);
    CU_ASSERT_FATAL(guest_open(guest, world->runtime, world->address) == 0);
    CU_ASSERT_FATAL(cmds_group_wait(guest->group, RAW_GUARD_MS, &guest->error) == 0);
}

/* --- Commands that succeed -------------------------------------------------------------------- */

static void test_group_answers_once_with_every_field(void)
{
    struct world world;
    struct guest guest;
    world_init(&world);
    guest_init(&guest);
    start(&world, &guest);

    CU_ASSERT_EQUAL(guest_echo(&guest, -5, NULL), 0);
    WORLD_UNTIL(&world, guest_last(&guest) == 1);
    struct answer answer = answers_at(guest.answers, 0);
    CU_ASSERT_EQUAL(answer.error, 0);
    CU_ASSERT_TRUE(answer.last);
    CU_ASSERT_EQUAL(answer.sequence, 1);
    CU_ASSERT_EQUAL(answer.number, -5);
    CU_ASSERT_STRING_EQUAL(answer.text, "");
    CU_ASSERT_EQUAL(cmds_group_drain(guest.group, RAW_GUARD_MS), 0);
    CU_ASSERT_EQUAL(cmds_group_pending(guest.group), 0);
    CU_ASSERT_EQUAL(cmds_group_connected(guest.group), 1);
    CU_ASSERT_EQUAL(cmds_group_size(guest.group), 1);
    CU_ASSERT_FALSE(cmds_group_done(guest.group));
    CU_ASSERT_EQUAL(cmds_group_error(guest.group, NULL), 0);
    CU_ASSERT_EQUAL(atomic_load(&guest.up), 1);

    guest_close(&guest, &world);
    CU_ASSERT_EQUAL(atomic_load(&guest.down), 1);
    world_stop(&world);
}

static void test_group_sent_before_connected_waits(void)
{
    struct world world;
    struct guest guest;
    world_init(&world);
    guest_init(&guest);
    guest.options.client_count = 4;
    CU_ASSERT_FATAL(world_start(&world) == 0);
    CU_ASSERT_FATAL(guest_open(&guest, world.runtime, world.address) == 0);

    for (int64_t i = 0; i < 100; i++) {
        CU_ASSERT_EQUAL(guest_echo(&guest, i, NULL), 0);
    }
    WORLD_UNTIL(&world, guest_last(&guest) == 100);
    CU_ASSERT_EQUAL(atomic_load(&guest.answers->good_count), 100);

    guest_close(&guest, &world);
    world_stop(&world);
}

static void test_group_full_windows_and_every_command_answered_once(void)
{
    enum {
        COUNT = 20000
    };
    struct world world;
    struct guest guest;
    world_init(&world);
    guest_init(&guest);
    guest.options.client_count = 5;
    guest.options.in_flight_max = 16;
    guest.options.deadline_ms = CMDS_NEVER;
    start(&world, &guest);
    uint32_t refused = 0;

    for (int64_t i = 0; i < COUNT;) {
        uint32_t writable = atomic_load(&guest.writable);
        int error = guest_echo(&guest, i, NULL);
        if (error == -ENOBUFS) {
            refused++;
            WORLD_UNTIL(&world, atomic_load(&guest.writable) != writable);
            continue;
        }
        CU_ASSERT_EQUAL_FATAL(error, 0);
        i++;
    }
    CU_ASSERT_EQUAL(cmds_group_drain(guest.group, RAW_GUARD_MS), 0);
    CU_ASSERT_EQUAL(guest_last(&guest), COUNT);
    CU_ASSERT_EQUAL(atomic_load(&guest.answers->good_count), COUNT);
    CU_ASSERT_EQUAL(world_stats(&world).commands_sent, COUNT);
    CU_ASSERT_TRUE(refused > 0);

    guest_close(&guest, &world);
    world_stop(&world);
}

static int exec_stream(struct cmds_call *call, const struct run *run)
{
    int64_t index = (int64_t)cmds_call_round(call);
    int error = world_send_item(call, index, index + 1 >= run->number);
    return error < 0 || index + 1 >= run->number ? error : CMDS_EXEC_AGAIN;
}

static void test_group_many_results_in_order_up_to_the_last(void)
{
    struct world world;
    struct guest guest;
    world_init(&world);
    guest_init(&guest);
    world.exec = exec_stream;
    start(&world, &guest);

    CU_ASSERT_EQUAL(guest_run(&guest, 0, 300, NULL), 0);
    WORLD_UNTIL(&world, guest_last(&guest) == 1);
    CU_ASSERT_EQUAL_FATAL(atomic_load(&guest.answers->count), 300);
    for (uint32_t i = 0; i < 300; i++) {
        struct answer answer = answers_at(guest.answers, i);
        CU_ASSERT_EQUAL(answer.number, i);
        CU_ASSERT_EQUAL(answer.last, i == 299);
    }

    guest_close(&guest, &world);
    world_stop(&world);
}

static void test_group_over_unix_socket_and_by_name(void)
{
    static const char *const listen[] = {"unix:@cmdstream-test-group", "127.0.0.1:0"};
    for (int i = 0; i < 2; i++) {
        struct world world;
        struct guest guest;
        char address[128];
        world_init(&world);
        guest_init(&guest);
        world.options.listen = listen[i];
        CU_ASSERT_FATAL(world_start(&world) == 0);
        (void)snprintf(address, sizeof(address), "%s", world.address);
        if (i == 1) {
            (void)snprintf(address, sizeof(address), "localhost%s", strrchr(world.address, ':'));
        }
        CU_ASSERT_FATAL(guest_open(&guest, world.runtime, address) == 0);
        CU_ASSERT_EQUAL(cmds_group_wait(guest.group, RAW_GUARD_MS, &guest.error), 0);
        CU_ASSERT_EQUAL(guest_echo(&guest, 1, NULL), 0);
        WORLD_UNTIL(&world, guest_last(&guest) == 1);
        CU_ASSERT_EQUAL(answers_at(guest.answers, 0).number, 1);
        guest_close(&guest, &world);
        world_stop(&world);
    }
}

static void test_group_on_an_inline_runtime(void)
{
    struct world world;
    struct guest guest;
    world_init(&world);
    guest_init(&guest);
    world.runtime_options.shard_count = CMDS_SHARDS_INLINE;
    guest.options.client_count = 3;
    start(&world, &guest);
    uint64_t posts = world_stats(&world).posts;

    for (int64_t i = 0; i < 1000; i++) {
        CU_ASSERT_EQUAL(guest_echo(&guest, i, NULL), 0);
    }
    CU_ASSERT_EQUAL(cmds_group_pending(guest.group), 1000);
    CU_ASSERT_EQUAL(cmds_group_drain(guest.group, RAW_GUARD_MS), 0);
    CU_ASSERT_EQUAL(atomic_load(&guest.answers->good_count), 1000);
    CU_ASSERT_TRUE(
            world_stats(&world).posts - posts <= 1); // The drain's own. The sends crossed nothing.

    guest_close(&guest, &world);
    world_stop(&world);
}

/* --- From the shard, and inside callbacks ----------------------------------------------------- */

struct chain {
    struct guest *guest;
    int64_t left;
    int error;
    _Atomic uint32_t done;
};

static void chain_next(struct chain *chain);

static void chain_on_result(void *context, const struct cmds_result *result)
{
    struct chain *chain = context;
    if (echoed_of(result) == NULL) {
        chain->error = cmds_result_cause(result);
    }
    chain_next(chain);
}

static void chain_next(struct chain *chain)
{
    struct echo echo = {false, chain->left, CMDS_STRING(""), 0};
    if (chain->left-- > 0 && chain->error == 0) {
        chain->error = cmds_group_send(
                chain->guest->group, echo_message(&echo), NULL, chain_on_result, chain);
    }
    if (chain->left < 0 || chain->error < 0) {
        atomic_store(&chain->done, 1);
    }
}

static void chain_begin(void *context)
{
    chain_next(context);
}

static void test_group_send_from_its_own_callback(void)
{
    struct world world;
    struct guest guest;
    world_init(&world);
    guest_init(&guest);
    guest.options.client_count = 2;
    guest.options.in_flight_max = 1; // The command that has just been answered has left the window.
    start(&world, &guest);
    struct chain chain = {.guest = &guest, .left = 5000};

    CU_ASSERT_EQUAL(cmds_runtime_post(world.runtime, 0, chain_begin, &chain), 0);
    WORLD_UNTIL(&world, atomic_load(&chain.done) == 1);
    CU_ASSERT_EQUAL(chain.error, 0);
    CU_ASSERT_EQUAL(chain.left, -1);

    guest_close(&guest, &world);
    world_stop(&world);
}

struct window {
    struct guest *guest;
    int errors[6];
    _Atomic uint32_t done;
};

static void window_fill(void *context)
{
    struct window *window = context;
    for (int i = 0; i < 6; i++) {
        window->errors[i] = guest_run(window->guest, 0, i, NULL);
    }
    atomic_store(&window->done, 1);
}

static _Atomic(struct cmds_call *) kept_calls[16];
static _Atomic uint32_t kept_count;

static int exec_keep(struct cmds_call *call, const struct run *run)
{
    (void)run;
    int error = cmds_call_keep_command(call);
    if (error == 0) {
        atomic_store(&kept_calls[atomic_fetch_add(&kept_count, 1) % 16], cmds_call_ref(call));
    }
    return error;
}

static void kept_answer(uint32_t index)
{
    struct cmds_call *call = atomic_exchange(&kept_calls[index], NULL);
    const struct run *run = run_of(call);
    (void)world_send_item(call, run->number, true); // CMDS_E_GONE when the test has closed it.
    cmds_call_unref(call);
}

static void kept_init(struct world *world)
{
    atomic_store(&kept_count, 0);
    world->exec = exec_keep;
}

static void test_group_window_on_the_shard_is_exact_and_opens_again(void)
{
    struct world world;
    struct guest guest;
    world_init(&world);
    guest_init(&guest);
    kept_init(&world);
    world.runtime_options.shard_count = 1;
    guest.options.in_flight_max = 4;
    start(&world, &guest);
    struct window window = {.guest = &guest};

    CU_ASSERT_EQUAL(cmds_runtime_post(world.runtime, 0, window_fill, &window), 0);
    WORLD_UNTIL(&world, atomic_load(&window.done) == 1);
    CU_ASSERT_EQUAL(window.errors[3], 0);
    CU_ASSERT_EQUAL(window.errors[4], -ENOBUFS);
    CU_ASSERT_EQUAL(window.errors[5], -ENOBUFS);
    CU_ASSERT_EQUAL(guest_run(&guest, 0, 9, NULL), -ENOBUFS); // From here as well, at once.
    CU_ASSERT_EQUAL(cmds_group_pending(guest.group), 4);
    CU_ASSERT_EQUAL(atomic_load(&guest.writable), 0);
    WORLD_UNTIL(&world, atomic_load(&kept_count) == 4);
    kept_answer(0);
    WORLD_UNTIL(&world, atomic_load(&guest.writable) >= 1);
    CU_ASSERT_EQUAL(guest_run(&guest, 0, 9, NULL), 0);
    WORLD_UNTIL(&world, atomic_load(&kept_count) == 5);
    for (uint32_t i = 1; i < 5; i++) {
        kept_answer(i);
    }
    CU_ASSERT_EQUAL(cmds_group_drain(guest.group, RAW_GUARD_MS), 0);
    CU_ASSERT_EQUAL(atomic_load(&guest.answers->good_count), 5);

    guest_close(&guest, &world);
    world_stop(&world);
}

static void close_on_result(void *context, const struct cmds_result *result)
{
    struct guest *guest = context;
    answers_take(guest->answers, result);
    cmds_group_close(guest->group, guest_on_closed, guest);
    struct echo echo = {0};
    if (cmds_group_send(guest->group, echo_message(&echo), NULL, answers_take, guest->answers) !=
            CMDS_E_CLOSED) {
        atomic_fetch_add(&guest->answers->count, 1000);
    }
}

static void test_group_closed_inside_a_callback(void)
{
    struct world world;
    struct guest guest;
    world_init(&world);
    guest_init(&guest);
    kept_init(&world);
    guest.options.client_count = 4;
    start(&world, &guest);

    for (int i = 0; i < 4; i++) {
        CU_ASSERT_EQUAL(guest_run(&guest, 0, i, NULL), 0);
    }
    WORLD_UNTIL(&world, atomic_load(&kept_count) == 4);
    struct echo echo = {.string = CMDS_STRING("")};
    CU_ASSERT_EQUAL(
            cmds_group_send(guest.group, echo_message(&echo), NULL, close_on_result, &guest), 0);
    WORLD_UNTIL(&world, atomic_load(&guest.closed) == 1);
    CU_ASSERT_EQUAL(atomic_load(&guest.answers->count), 5);
    CU_ASSERT_EQUAL(answers_with(guest.answers, CMDS_E_CLOSED), 4);
    for (uint32_t i = 0; i < 4; i++) {
        kept_answer(i);
    }

    answers_free(guest.answers);
    answers_free(guest.unexpected);
    world_stop(&world);
}

/* --- Deadlines and forgetting ----------------------------------------------------------------- */

static void test_group_deadline_ends_one_command_and_its_late_result_is_unexpected(void)
{
    struct world world;
    struct guest guest;
    struct cmds_send_options soon = CMDS_SEND_OPTIONS_INIT;
    world_init(&world);
    guest_init(&guest);
    kept_init(&world);
    guest.options.in_flight_max = 2;
    soon.deadline_ms = 20;
    start(&world, &guest);

    CU_ASSERT_EQUAL(guest_run(&guest, 0, 7, &soon), 0);
    WORLD_UNTIL(&world, guest_last(&guest) == 1);
    struct answer answer = answers_at(guest.answers, 0);
    CU_ASSERT_EQUAL(answer.error, CMDS_E_TIMEOUT);
    CU_ASSERT_TRUE(strstr(answer.text, world.address) != NULL);
    CU_ASSERT_EQUAL(world_stats(&world).deadlines, 1);
    CU_ASSERT_EQUAL(cmds_group_pending(guest.group), 0);
    /*
     * The server still works on it: it counts in the window. The connection is as good as before.
     */
    CU_ASSERT_EQUAL(guest_run(&guest, 0, 8, NULL), 0);
    CU_ASSERT_EQUAL(guest_echo(&guest, 9, NULL), -ENOBUFS);
    WORLD_UNTIL(&world, atomic_load(&kept_count) == 2);
    kept_answer(0);
    WORLD_UNTIL(&world, atomic_load(&guest.unexpected->count) == 1);
    CU_ASSERT_EQUAL(answers_at(guest.unexpected, 0).number, 7);
    CU_ASSERT_EQUAL(world_stats(&world).unexpected_results, 1);
    CU_ASSERT_EQUAL(guest_echo(&guest, 10, NULL), 0);
    kept_answer(1);
    CU_ASSERT_EQUAL(cmds_group_drain(guest.group, RAW_GUARD_MS), 0);
    CU_ASSERT_EQUAL(atomic_load(&guest.answers->good_count), 2);
    CU_ASSERT_EQUAL(atomic_load(&guest.down), 0);

    guest_close(&guest, &world);
    world_stop(&world);
}

static void test_group_forget_ends_with_exactly_one_cancelled(void)
{
    struct world world;
    struct guest guest;
    struct cmds_ticket ticket = {0};
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    world_init(&world);
    guest_init(&guest);
    kept_init(&world);
    how.ticket = &ticket;
    start(&world, &guest);

    CU_ASSERT_EQUAL(guest_run(&guest, 0, 3, &how), 0);
    CU_ASSERT_TRUE(ticket.id != 0);
    CU_ASSERT_TRUE(cmds_group_has(guest.group, ticket));
    CU_ASSERT_EQUAL(cmds_group_forget(guest.group, ticket), 0);
    CU_ASSERT_FALSE(cmds_group_has(guest.group, ticket));
    CU_ASSERT_EQUAL(cmds_group_forget(guest.group, ticket), -ENOENT);
    WORLD_UNTIL(&world, guest_last(&guest) == 1);
    CU_ASSERT_EQUAL(answers_at(guest.answers, 0).error, CMDS_E_CANCELLED);
    /* It may have been forgotten before it left; if the server has it, its result finds nobody. */
    CU_ASSERT_EQUAL(guest_echo(&guest, 1, NULL), 0);
    WORLD_UNTIL(&world, guest_last(&guest) == 2);
    if (atomic_load(&kept_count) == 1) {
        kept_answer(0);
        WORLD_UNTIL(&world, atomic_load(&guest.unexpected->count) == 1);
    }

    CU_ASSERT_EQUAL(guest_echo(&guest, 2, &how), 0);
    WORLD_UNTIL(&world, guest_last(&guest) == 3);
    CU_ASSERT_EQUAL(cmds_group_forget(guest.group, ticket), -ENOENT);
    CU_ASSERT_FALSE(cmds_group_has(guest.group, (struct cmds_ticket){12345}));
    CU_ASSERT_EQUAL(atomic_load(&guest.answers->count), 3);

    guest_close(&guest, &world);
    world_stop(&world);
}

static void test_group_forget_races_with_results(void)
{
    enum {
        COUNT = 3000
    };
    struct world world;
    struct guest guest;
    struct cmds_ticket tickets[32] = {{0}};
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    world_init(&world);
    guest_init(&guest);
    guest.options.client_count = 2;
    start(&world, &guest);
    uint32_t forgotten = 0;

    for (uint32_t i = 0; i < COUNT;) {
        if (tickets[i % 32].id != 0) {
            forgotten += cmds_group_forget(guest.group, tickets[i % 32]) == 0;
        }
        uint32_t writable = atomic_load(&guest.writable);
        how.ticket = &tickets[i % 32];
        int error = guest_echo(&guest, i, &how); // One that failed leaves no ticket.
        if (error == -ENOBUFS) {
            WORLD_UNTIL(&world, atomic_load(&guest.writable) != writable);
            continue;
        }
        CU_ASSERT_EQUAL_FATAL(error, 0);
        i++;
    }
    CU_ASSERT_EQUAL(cmds_group_drain(guest.group, RAW_GUARD_MS), 0);
    CU_ASSERT_EQUAL(atomic_load(&guest.answers->count), COUNT);
    CU_ASSERT_EQUAL(answers_with(guest.answers, CMDS_E_CANCELLED), forgotten);
    CU_ASSERT_EQUAL(atomic_load(&guest.answers->good_count), COUNT - forgotten);

    guest_close(&guest, &world);
    world_stop(&world);
}

/* --- Mistakes of the caller ------------------------------------------------------------------- */

static void test_group_refuses_what_is_not_of_the_protocol(void)
{
    static char large[4096];
    struct world world;
    struct guest guest;
    world_init(&world);
    guest_init(&guest);
    guest.options.frame_size_max = 1000;
    start(&world, &guest);
    struct echoed echoed = {0};
    struct echo echo = {.string = {large, sizeof(large)}};

    CU_ASSERT_EQUAL(cmds_group_send(guest.group, echoed_message(&echoed), NULL, answers_take,
                            guest.answers),
            CMDS_E_WRONG_TYPE);
    CU_ASSERT_EQUAL(cmds_group_send(guest.group, (struct cmds_message){NULL, NULL}, NULL,
                            answers_take, guest.answers),
            CMDS_E_WRONG_TYPE);
    CU_ASSERT_EQUAL(
            cmds_group_send(guest.group, echo_message(&echo), NULL, answers_take, guest.answers),
            CMDS_E_LIMIT);
    CU_ASSERT_EQUAL(guest_echo(&guest, 1, NULL), 0);
    WORLD_UNTIL(&world, guest_last(&guest) == 1);
    CU_ASSERT_EQUAL(atomic_load(&guest.answers->count), 1);

    guest_close(&guest, &world);
    world_stop(&world);
}

static int open_with(struct world *world, void (*change)(struct cmds_group_options *options),
        struct cmds_error *error)
{
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(&world_protocol);
    struct cmds_group *group = NULL;
    options.connect = "127.0.0.1:1";
    change(&options);
    *error = (struct cmds_error)CMDS_ERROR_INIT;
    return cmds_group_open(&group, world->runtime, &options, error);
}
static void change_connect(struct cmds_group_options *options)
{
    options->connect = "127.0.0.1";
}
static void change_count(struct cmds_group_options *options)
{
    options->client_count = 65537;
}
static void change_window(struct cmds_group_options *options)
{
    options->in_flight_max = 1048577;
}
static void change_info(struct cmds_group_options *options)
{
    options->server_info = (struct cmds_bytes){"x", 1025};
}
static void change_output(struct cmds_group_options *options)
{
    options->output_size_max = 4095;
}
static void change_frame(struct cmds_group_options *options)
{
    options->frame_size_max = 1024 * 1024 * 1024 + 1;
}
static void change_protocol(struct cmds_group_options *options)
{
    options->protocol = NULL;
}
static void change_dispatch(struct cmds_group_options *options)
{
    static struct cmds_dispatch dispatch;
    options->dispatch = &dispatch;
}
static void change_size(struct cmds_group_options *options)
{
    options->struct_size = 0;
}
static void change_codec(struct cmds_group_options *options)
{
    static struct cmds_codec codec;
    codec = cmds_codec_msgpack;
    codec.decode = NULL;
    options->codec = &codec;
}

static void test_group_bad_options_are_named(void)
{
    struct world world;
    struct cmds_error error;
    world_init(&world);
    CU_ASSERT_FATAL(world_start(&world) == 0);

    CU_ASSERT_EQUAL(open_with(&world, change_connect, &error), -EINVAL);
    CU_ASSERT_TRUE(strstr(error.text, "port") != NULL);
    CU_ASSERT_EQUAL(open_with(&world, change_count, &error), -EINVAL);
    CU_ASSERT_TRUE(strstr(error.text, "client_count") != NULL);
    CU_ASSERT_EQUAL(open_with(&world, change_window, &error), -EINVAL);
    CU_ASSERT_TRUE(strstr(error.text, "in_flight_max") != NULL);
    CU_ASSERT_EQUAL(open_with(&world, change_info, &error), -EINVAL);
    CU_ASSERT_TRUE(strstr(error.text, "server_info") != NULL);
    CU_ASSERT_EQUAL(open_with(&world, change_output, &error), -EINVAL);
    CU_ASSERT_TRUE(strstr(error.text, "output_size_max 4095") != NULL);
    CU_ASSERT_EQUAL(open_with(&world, change_frame, &error), -EINVAL);
    CU_ASSERT_TRUE(strstr(error.text, "frame_size_max 1073741825") != NULL);
    CU_ASSERT_EQUAL(open_with(&world, change_protocol, &error), -EINVAL);
    CU_ASSERT_TRUE(strstr(error.text, "protocol") != NULL);
    CU_ASSERT_EQUAL(open_with(&world, change_dispatch, &error), -EINVAL);
    CU_ASSERT_TRUE(strstr(error.text, "dispatch") != NULL);
    CU_ASSERT_EQUAL(open_with(&world, change_size, &error), -EINVAL);
    CU_ASSERT_TRUE(strstr(error.text, "struct_size") != NULL);
    CU_ASSERT_EQUAL(open_with(&world, change_codec, &error), -EINVAL);
    CU_ASSERT_TRUE(strstr(error.text, "codec: it lacks") != NULL);

    world_stop(&world);
}

struct blocked {
    struct guest *guest;
    int wait, drain;
    _Atomic uint32_t done;
};

static void block_on_shard(void *context)
{
    struct blocked *blocked = context;
    blocked->wait = cmds_group_wait(blocked->guest->group, 1000, NULL);
    blocked->drain = cmds_group_drain(blocked->guest->group, 1000);
    atomic_store(&blocked->done, 1);
}

static void test_group_blocking_calls_on_a_shard_are_refused(void)
{
    struct world world;
    struct guest guest;
    struct blocked blocked = {.guest = &guest};
    world_init(&world);
    guest_init(&guest);
    start(&world, &guest);

    CU_ASSERT_EQUAL(cmds_runtime_post(world.runtime, 0, block_on_shard, &blocked), 0);
    WORLD_UNTIL(&world, atomic_load(&blocked.done) == 1);
    CU_ASSERT_EQUAL(blocked.wait, -EDEADLK);
    CU_ASSERT_EQUAL(blocked.drain, -EDEADLK);

    guest_close(&guest, &world);
    world_stop(&world);
}

/* --- Life ------------------------------------------------------------------------------------- */

static void open_and_close(void *context)
{
    struct guest *guest = context;
    for (int i = 0; i < 8; i++) {
        struct cmds_group *group = NULL;
        if (cmds_group_open(&group,
                    guest->group == NULL ? NULL : (struct cmds_runtime *)(void *)guest->group,
                    &guest->options, NULL) == 0) {
            cmds_group_close(group, NULL, NULL);
        }
    }
    atomic_store(&guest->closed, 1);
}

static void test_group_opened_and_closed_on_a_shard_at_once(void)
{
    struct world world;
    struct guest guest;
    world_init(&world);
    guest_init(&guest);
    guest.options.client_count = 3;
    CU_ASSERT_FATAL(world_start(&world) == 0);
    guest.options.connect = world.address;
    guest.group = (struct cmds_group *)(void *)world.runtime; // Only a place for the pointer.

    CU_ASSERT_EQUAL(cmds_runtime_post(world.runtime, 1, open_and_close, &guest), 0);
    WORLD_UNTIL(&world, atomic_load(&guest.closed) == 1);
    guest.options.connect = "localhost:1"; // Closed while the name is being resolved.
    atomic_store(&guest.closed, 0);
    CU_ASSERT_EQUAL(cmds_runtime_post(world.runtime, 0, open_and_close, &guest), 0);
    WORLD_UNTIL(&world, atomic_load(&guest.closed) == 1);

    world_stop(&world); // Waits for what is still closing.
    answers_free(guest.answers);
    answers_free(guest.unexpected);
}

static void test_group_ended_by_the_end_of_its_runtime(void)
{
    struct world world;
    struct guest guest;
    world_init(&world);
    guest_init(&guest);
    kept_init(&world);
    guest.options.client_count = 3;
    start(&world, &guest);
    for (int i = 0; i < 10; i++) {
        CU_ASSERT_EQUAL(guest_run(&guest, 0, i, NULL), 0);
    }
    WORLD_UNTIL(&world, atomic_load(&kept_count) == 10);

    struct cmds_runtime *runtime = world.runtime;
    for (uint32_t i = 0; i < 10; i++) {
        cmds_call_unref(atomic_exchange(&kept_calls[i], NULL)); // Without an answer.
    }
    CU_ASSERT_EQUAL(guest_last(&guest), 0);
    cmds_server_close(world.server);
    world.server = NULL;
    cmds_runtime_stop(runtime);
    world.runtime = NULL;
    CU_ASSERT_EQUAL(guest_last(&guest), 10);
    CU_ASSERT_EQUAL(atomic_load(&guest.answers->good_count), 0);

    answers_free(guest.answers);
    answers_free(guest.unexpected);
    world_stop(&world);
}

struct hammer {
    struct guest *guest;
    pthread_t thread;
    uint32_t accepted;
    int error;
};

static void *hammer_main(void *context)
{
    struct hammer *hammer = context;
    while (hammer->error == 0 || hammer->error == -ENOBUFS) {
        hammer->error = guest_echo(hammer->guest, hammer->accepted, NULL);
        hammer->accepted += hammer->error == 0;
    }
    return NULL;
}

static void test_group_closed_while_threads_send(void)
{
    struct world world;
    struct guest guest;
    struct hammer hammers[3];
    uint32_t accepted = 0;
    world_init(&world);
    guest_init(&guest);
    guest.options.client_count = 2;
    start(&world, &guest);
    for (int i = 0; i < 3; i++) {
        hammers[i] = (struct hammer){.guest = &guest};
        CU_ASSERT_FATAL(pthread_create(&hammers[i].thread, NULL, hammer_main, &hammers[i]) == 0);
    }
    WORLD_UNTIL(&world, guest_last(&guest) > 1000);

    /*
     * The connections go first, so that the threads stop before the group does: no send may begin
     * after on_closed.
     */
    cmds_server_close(world.server);
    world.server = NULL;
    for (int i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(pthread_join(hammers[i].thread, NULL), 0);
        CU_ASSERT_EQUAL(hammers[i].error, CMDS_E_NOT_CONNECTED);
        accepted += hammers[i].accepted;
    }
    CU_ASSERT_EQUAL(cmds_group_drain(guest.group, RAW_GUARD_MS), 0);
    CU_ASSERT_EQUAL(guest_last(&guest), accepted);
    CU_ASSERT_EQUAL(atomic_load(&guest.answers->count), accepted);
    CU_ASSERT_TRUE(cmds_group_done(guest.group));
    CU_ASSERT_EQUAL(cmds_group_error(guest.group, &guest.error), CMDS_E_EOF);
    CU_ASSERT_TRUE(strstr(guest.error.text, world.address) != NULL);

    guest_close(&guest, &world);
    world_stop(&world);
}

static CU_TestInfo test_group[] = {
        {"answers once with every field", test_group_answers_once_with_every_field},
        {"sent before connected waits", test_group_sent_before_connected_waits},
        {"full windows and every command answered once",
                test_group_full_windows_and_every_command_answered_once},
        {"many results in order up to the last", test_group_many_results_in_order_up_to_the_last},
        {"over a unix socket and by name", test_group_over_unix_socket_and_by_name},
        {"on an inline runtime", test_group_on_an_inline_runtime},
        {"send from its own callback", test_group_send_from_its_own_callback},
        {"window on the shard is exact and opens again",
                test_group_window_on_the_shard_is_exact_and_opens_again},
        {"closed inside a callback", test_group_closed_inside_a_callback},
        {"deadline ends one command, its late result is unexpected",
                test_group_deadline_ends_one_command_and_its_late_result_is_unexpected},
        {"forget ends with exactly one cancelled",
                test_group_forget_ends_with_exactly_one_cancelled},
        {"forget races with results", test_group_forget_races_with_results},
        {"refuses what is not of the protocol", test_group_refuses_what_is_not_of_the_protocol},
        {"bad options are named", test_group_bad_options_are_named},
        {"blocking calls on a shard are refused", test_group_blocking_calls_on_a_shard_are_refused},
        {"opened and closed on a shard at once", test_group_opened_and_closed_on_a_shard_at_once},
        {"ended by the end of its runtime", test_group_ended_by_the_end_of_its_runtime},
        {"closed while threads send", test_group_closed_while_threads_send},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("group", test_group)

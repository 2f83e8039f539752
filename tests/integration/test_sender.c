/* SPDX-License-Identifier: MIT */
/*
 * The blocking sender: a thread that sleeps must always be woken, with the right result, from
 * whatever shard; and what it cannot wait for is refused at once.
 */
#include <errno.h>

#include "support/world.h"

static struct cmds_sender *open_sender(struct world *world, struct cmds_sender_options *options)
{
    struct cmds_sender *sender = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    options->connect = world->address;
    int code = cmds_sender_open(&sender, options, &error);
    if (code < 0) {
        fprintf(stderr, "%s\n", error.text);
    }
    CU_ASSERT_EQUAL_FATAL(code, 0);
    return sender;
}

static int send_echo(struct cmds_sender *sender, int64_t number, struct cmds_string text,
        int64_t *back, struct cmds_error *error)
{
    struct echo echo = {true, number, text, 0.5};
    struct cmds_result *result = NULL;
    int code = cmds_sender_send(sender, echo_message(&echo), RAW_GUARD_MS, &result, error);
    const struct echoed *echoed = echoed_of(result);
    *back = echoed != NULL && cmds_string_equal(echoed->string, text) ? echoed->int64 : INT64_MIN;
    cmds_result_free(result);
    return code;
}

static void test_sender_answers(void)
{
    static char large[100000]; // More than fits beside the caller's own block.
    static const uint32_t sizes[] = {0, 10, 800, 900, 1000, 1100, sizeof(large)};
    struct world world;
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&world_protocol);
    struct cmds_error error = CMDS_ERROR_INIT;
    world_init(&world);
    memset(large, 'x', sizeof(large));
    CU_ASSERT_FATAL(world_start(&world) == 0);
    struct cmds_sender *sender = open_sender(&world, &options);

    for (uint32_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        int64_t back = 0;
        CU_ASSERT_EQUAL(
                send_echo(sender, i, (struct cmds_string){large, sizes[i]}, &back, &error), 0);
        CU_ASSERT_EQUAL(back, i);
    }
    CU_ASSERT_EQUAL(cmds_group_pending(cmds_sender_group(sender)), 0);

    cmds_sender_close(sender, RAW_GUARD_MS);
    world_stop(&world);
}

/* What a sender without a runtime counts is on one of its own, which a program may ask for. */
static void counts_where_it_is_seen(struct cmds_sender_options *options)
{
    static char text[65536];
    struct world world;
    struct cmds_error error = CMDS_ERROR_INIT;
    int64_t back = 0;
    world_init(&world);
    CU_ASSERT_FATAL(world_start(&world) == 0);
    struct cmds_sender *sender = open_sender(&world, options);
    struct cmds_runtime *runtime = cmds_group_runtime(cmds_sender_group(sender));
    CU_ASSERT_PTR_NOT_NULL_FATAL(runtime);
    CU_ASSERT_PTR_NOT_EQUAL(runtime, world.runtime);

    CU_ASSERT_EQUAL(send_echo(sender, 7, (struct cmds_string){NULL, 0}, &back, &error), 0);

    CU_ASSERT(cmds_telemetry_write(runtime, CMDS_FORMAT_PROMETHEUS, 0, text, sizeof(text)) > 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "cmd_stream_client_command_count_total{"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "cmdstream_client_commands_sent_total 1\n"));
    cmds_sender_close(sender, RAW_GUARD_MS);
    world_stop(&world);
}

static void test_sender_counts_where_it_is_seen(void)
{
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&world_protocol);
    counts_where_it_is_seen(&options);
    options.single_thread = true;
    counts_where_it_is_seen(&options);
    CU_ASSERT_PTR_NULL(cmds_group_runtime(NULL));
}

/* What a hook was given last. */
struct given {
    void *data;
    uint32_t deadline_ms;
};

static int given_before_send(void *context, struct cmds_sent_command *command)
{
    struct given *given = context;
    given->data = command->data;
    given->deadline_ms = command->deadline_ms;
    return 0;
}

static int count_results(void *context, const struct cmds_result *result)
{
    *(uint32_t *)context += result->error == 0;
    return 0;
}

/* Of both: data and deadline reach the hooks, a ticket is filled in, and what is wrong is refused. */
/* It is no hook that refuses them, though there is one. */
static void refuse_options(struct cmds_sender *sender, const struct cmds_send_options *good)
{
    struct cmds_send_options how = *good;
    struct cmds_error error = CMDS_ERROR_INIT;
    struct echo echo = {true, 5, CMDS_STRING("hi"), 0.5};
    uint32_t count = 0;
    how.resend = CMDS_RESEND_NEVER + 1;
    CU_ASSERT_EQUAL(
            cmds_sender_send_with(sender, echo_message(&echo), &how, NULL, &error), -EINVAL);
    CU_ASSERT_STRING_EQUAL(error.text, "cmds_send_options: resend: there is no 3");
    how.resend = CMDS_RESEND_NEVER;
    how.unused = 1;
    error = (struct cmds_error)CMDS_ERROR_INIT;
    CU_ASSERT_EQUAL(cmds_sender_send_with(sender, echo_message(&echo), &how, NULL, &error), -E2BIG);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "cmds_send_options"));
    CU_ASSERT_EQUAL(
            cmds_group_send(cmds_sender_group(sender), echo_message(&echo), &how, NULL, NULL),
            -E2BIG);
    how.unused = 0;
    how.struct_size = 1;
    CU_ASSERT_EQUAL(cmds_sender_send_multi_with(
                            sender, echo_message(&echo), &how, &error, count_results, &count),
            -EINVAL);
    CU_ASSERT_EQUAL(count, 0);
}

static void test_sender_takes_the_options_of_a_send(void)
{
    struct world world;
    struct given given = {NULL, 0};
    struct cmds_hooks hooks = CMDS_HOOKS_INIT;
    const struct cmds_hooks *const list[] = {&hooks};
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&world_protocol);
    struct cmds_group_options group = CMDS_GROUP_OPTIONS_INIT(&world_protocol);
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    struct cmds_ticket ticket = {0};
    struct cmds_error error = CMDS_ERROR_INIT;
    struct echo echo = {true, 5, CMDS_STRING("hi"), 0.5};
    struct cmds_result *result = NULL;
    uint32_t count = 0;
    world_init(&world);
    CU_ASSERT_FATAL(world_start(&world) == 0);
    hooks.context = &given;
    hooks.before_send = given_before_send;
    group.hooks = list;
    group.hooks_count = 1;
    options.group = &group;
    struct cmds_sender *sender = open_sender(&world, &options);
    how.deadline_ms = RAW_GUARD_MS;
    how.data = &world;
    how.ticket = &ticket;

    CU_ASSERT_EQUAL(cmds_sender_send_with(sender, echo_message(&echo), &how, &result, &error), 0);
    CU_ASSERT_EQUAL(echoed_of(result) != NULL ? echoed_of(result)->int64 : 0, 5);
    CU_ASSERT_PTR_EQUAL(given.data, &world);
    CU_ASSERT(given.deadline_ms > RAW_GUARD_MS / 2 && given.deadline_ms <= RAW_GUARD_MS);
    CU_ASSERT_NOT_EQUAL(ticket.id, 0);
    uint64_t first = ticket.id;
    given.data = NULL;
    CU_ASSERT_EQUAL(cmds_sender_send_multi_with(
                            sender, echo_message(&echo), &how, &error, count_results, &count),
            0);
    CU_ASSERT_EQUAL(count, 1);
    CU_ASSERT_PTR_EQUAL(given.data, &world);
    CU_ASSERT(ticket.id != 0 && ticket.id != first);
    CU_ASSERT_EQUAL(cmds_sender_send_with(sender, echo_message(&echo), NULL, NULL, &error), 0);
    CU_ASSERT_PTR_NULL(given.data);
    refuse_options(sender, &how);
    CU_ASSERT_EQUAL(count, 1);
    cmds_result_free(result);
    cmds_sender_close(sender, RAW_GUARD_MS);
    world_stop(&world);
}

static void test_sender_of_a_single_thread(void)
{
    struct world world;
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&world_protocol);
    struct cmds_error error = CMDS_ERROR_INIT;
    world_init(&world);
    CU_ASSERT_FATAL(world_start(&world) == 0);
    options.single_thread = true;
    options.client_count = 2;
    struct cmds_sender *sender = open_sender(&world, &options);

    for (int64_t i = 0; i < 500; i++) {
        int64_t back = 0;
        CU_ASSERT_EQUAL_FATAL(
                send_echo(sender, i, (struct cmds_string)CMDS_STRING("hi"), &back, &error), 0);
        CU_ASSERT_EQUAL_FATAL(back, i);
    }

    cmds_sender_close(sender, RAW_GUARD_MS);
    world_stop(&world);
}

struct caller {
    struct cmds_sender *sender;
    pthread_t thread;
    int64_t first, count;
    int code;
    uint32_t wrong;
};

static void *caller_main(void *context)
{
    struct caller *caller = context;
    struct cmds_error error = CMDS_ERROR_INIT;
    for (int64_t i = 0; i < caller->count && caller->code == 0; i++) {
        int64_t back = 0;
        caller->code = send_echo(caller->sender, caller->first + i,
                (struct cmds_string)CMDS_STRING("abc"), &back, &error);
        caller->wrong += caller->code == 0 && back != caller->first + i;
    }
    return NULL;
}

/* Each gets its own result; with a window of 2 most of them wait for room. */
static void run_callers(struct cmds_sender *sender)
{
    struct caller callers[8];
    for (int i = 0; i < 8; i++) {
        callers[i] = (struct caller){.sender = sender, .first = i * 1000000, .count = 400};
        CU_ASSERT_FATAL(pthread_create(&callers[i].thread, NULL, caller_main, &callers[i]) == 0);
    }
    for (int i = 0; i < 8; i++) {
        CU_ASSERT_EQUAL(pthread_join(callers[i].thread, NULL), 0);
        CU_ASSERT_EQUAL(callers[i].code, 0);
        CU_ASSERT_EQUAL(callers[i].wrong, 0);
    }
}

static void test_sender_many_threads_and_a_small_window(void)
{
    struct world world;
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&world_protocol);
    struct cmds_group_options group = CMDS_GROUP_OPTIONS_INIT(&world_protocol);
    world_init(&world);
    CU_ASSERT_FATAL(world_start(&world) == 0);
    struct cmds_sender *sender = open_sender(&world, &options);
    run_callers(sender);
    cmds_sender_close(sender, RAW_GUARD_MS);

    group.in_flight_max = 1;
    options.group = &group;
    options.client_count = 2;
    options.runtime = world.runtime; // Two shards: results come from both.
    sender = open_sender(&world, &options);
    run_callers(sender);
    cmds_sender_close(sender, RAW_GUARD_MS);
    world_stop(&world);
}

/* --- Many results ----------------------------------------------------------------------------- */

static int exec_stream(struct cmds_call *call, const struct run *run)
{
    int64_t index = (int64_t)cmds_call_round(call);
    struct item item = {index, run->number > 0 && index + 1 >= run->number, run->text};
    int code = cmds_call_send(call, item_message(&item));
    if (code == -ENOBUFS) {
        code = 0;
        item.last = false;
    }
    return code < 0 || item.last ? code : CMDS_EXEC_AGAIN;
}

struct each {
    int64_t next;
    uint32_t wrong;
    int64_t stop_at;
    pthread_t thread;
};

static int each_item(void *context, const struct cmds_result *result)
{
    struct each *each = context;
    const struct item *item = item_of(result);
    each->wrong += item == NULL || item->index != each->next ||
                   !pthread_equal(each->thread, pthread_self());
    each->next++;
    return each->next == each->stop_at ? 77 : 0;
}

static void stream_once(struct world *world, struct cmds_sender_options *options)
{
    struct each each = {.thread = pthread_self()};
    struct each few = {.thread = pthread_self(), .stop_at = 5};
    struct cmds_error error = CMDS_ERROR_INIT;
    struct run run = {0, 500, CMDS_STRING("data")};
    struct run endless = {0, 0, CMDS_STRING("data")};
    struct cmds_result *result = NULL;
    struct cmds_sender *sender = open_sender(world, options);

    CU_ASSERT_EQUAL(cmds_sender_send_multi(
                            sender, run_message(&run), RAW_GUARD_MS, &error, each_item, &each),
            0);
    CU_ASSERT_EQUAL(each.next, 500);
    CU_ASSERT_EQUAL(each.wrong, 0);
    CU_ASSERT_EQUAL(cmds_sender_send_multi(
                            sender, run_message(&endless), RAW_GUARD_MS, &error, each_item, &few),
            77);
    CU_ASSERT_EQUAL(few.next, 5);
    CU_ASSERT_EQUAL(few.wrong, 0);
    CU_ASSERT_EQUAL(error.code, 0);
    CU_ASSERT_EQUAL(cmds_sender_send(sender, run_message(&run), RAW_GUARD_MS, &result, &error),
            CMDS_E_MORE_RESULTS);
    CU_ASSERT_PTR_NULL(result);
    CU_ASSERT_EQUAL(error.code, CMDS_E_MORE_RESULTS);

    cmds_sender_close(sender, RAW_GUARD_MS);
}

static void test_sender_many_results_until_last_or_until_told_to_stop(void)
{
    struct world world;
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&world_protocol);
    world_init(&world);
    world.exec = exec_stream;
    CU_ASSERT_FATAL(world_start(&world) == 0);

    stream_once(&world, &options);
    options.single_thread = true;
    stream_once(&world, &options);

    world_stop(&world);
}

struct slow {
    struct cmds_sender *sender;
    uint32_t results;
};

/* The first one is looked at until the connection has stopped reading because of it. */
static int each_slowly(void *context, const struct cmds_result *result)
{
    struct slow *slow = context;
    struct cmds_group_counters counters = CMDS_GROUP_COUNTERS_INIT;
    uint64_t until_ms = raw_now_ms() + RAW_GUARD_MS;
    CU_ASSERT_PTR_NOT_NULL(item_of(result));
    while (slow->results == 0 && counters.read_pauses == 0 && raw_now_ms() < until_ms) {
        raw_pause(NULL);
        CU_ASSERT_EQUAL(cmds_sender_stats(slow->sender, &counters), 0);
    }
    slow->results++;
    return slow->results == 100 ? 100 : 0; // More than fits on the way.
}

static void test_sender_slow_taker_slows_its_server_down(void)
{
    static char large[1000000];
    struct world world;
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&world_protocol);
    struct run endless = {0, 0, {large, sizeof(large)}};
    int64_t back = 0;
    world_init(&world);
    world.exec = exec_stream;
    CU_ASSERT_FATAL(world_start(&world) == 0);
    options.runtime = world.runtime;
    options.stream_size_max = 4000000;
    struct slow slow = {open_sender(&world, &options), 0};

    CU_ASSERT_EQUAL(cmds_sender_send_multi(slow.sender, run_message(&endless), RAW_GUARD_MS, NULL,
                            each_slowly, &slow),
            100);
    CU_ASSERT_EQUAL(send_echo(slow.sender, 5, (struct cmds_string)CMDS_STRING(""), &back, NULL), 0);

    cmds_sender_close(slow.sender, 0);
    world_stop(&world);
}

static void test_sender_stream_sizes_are_checked(void)
{
    struct world world;
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&world_protocol);
    struct cmds_sender *sender = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    world_init(&world);
    CU_ASSERT_FATAL(world_start(&world) == 0);
    options.connect = world.address;
    options.stream_size_max = 1000;
    options.stream_size_low = 1001;

    CU_ASSERT_EQUAL(cmds_sender_open(&sender, &options, &error), -EINVAL);
    CU_ASSERT_TRUE(strstr(error.text, "stream_size_low") != NULL);

    world_stop(&world);
}

/* --- Failures --------------------------------------------------------------------------------- */

static _Atomic uint32_t held_count;
static _Atomic(struct cmds_call *) held[16];

static int exec_hold(struct cmds_call *call, const struct run *run)
{
    (void)run;
    atomic_store(&held[atomic_fetch_add(&held_count, 1) % 16], cmds_call_ref(call));
    return 0;
}

static void held_release(void)
{
    for (int i = 0; i < 16; i++) {
        struct cmds_call *call = atomic_exchange(&held[i], NULL);
        if (call != NULL) {
            (void)world_send_item(call, 0, true); // CMDS_E_GONE if its connection has ended.
            cmds_call_unref(call);
        }
    }
    atomic_store(&held_count, 0);
}

static void test_sender_time_is_for_the_whole(void)
{
    struct world world;
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&world_protocol);
    struct cmds_group_options group = CMDS_GROUP_OPTIONS_INIT(&world_protocol);
    struct cmds_error error = CMDS_ERROR_INIT;
    struct cmds_result *result = NULL;
    struct run run = {0};
    world_init(&world);
    world.exec = exec_hold;
    CU_ASSERT_FATAL(world_start(&world) == 0);
    group.in_flight_max = 1;
    options.group = &group;
    struct cmds_sender *sender = open_sender(&world, &options);

    CU_ASSERT_EQUAL(
            cmds_sender_send(sender, run_message(&run), 20, &result, &error), CMDS_E_TIMEOUT);
    CU_ASSERT_EQUAL(error.code, CMDS_E_TIMEOUT);
    CU_ASSERT_TRUE(strstr(error.text, world.address) != NULL);
    error = (struct cmds_error)CMDS_ERROR_INIT; // The first command still fills the window of one.
    CU_ASSERT_EQUAL(
            cmds_sender_send(sender, run_message(&run), 20, &result, &error), CMDS_E_TIMEOUT);
    CU_ASSERT_TRUE(strstr(error.text, "window") != NULL);
    CU_ASSERT_PTR_NULL(result);
    WORLD_UNTIL(&world, atomic_load(&held_count) == 1);
    held_release();
    int64_t back = 0;
    CU_ASSERT_EQUAL(send_echo(sender, 5, (struct cmds_string)CMDS_STRING(""), &back, NULL), 0);
    CU_ASSERT_EQUAL(back, 5);

    cmds_sender_close(sender, RAW_GUARD_MS);
    world_stop(&world);
}

struct late {
    struct cmds_sender *sender;
    int code;
    struct cmds_error error;
};

static void *late_main(void *context)
{
    struct late *late = context;
    struct run run = {0};
    struct cmds_result *result = NULL;
    late->code =
            cmds_sender_send(late->sender, run_message(&run), CMDS_NEVER, &result, &late->error);
    cmds_result_free(result);
    return NULL;
}

static void test_sender_close_ends_those_who_wait(void)
{
    struct world world;
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&world_protocol);
    struct cmds_group_options group = CMDS_GROUP_OPTIONS_INIT(&world_protocol);
    struct late late[2];
    pthread_t threads[2];
    world_init(&world);
    world.exec = exec_hold;
    CU_ASSERT_FATAL(world_start(&world) == 0);
    group.in_flight_max = 2;
    options.group = &group;
    struct cmds_sender *sender = open_sender(&world, &options);
    for (int i = 0; i < 2; i++) {
        late[i] = (struct late){.sender = sender};
        CU_ASSERT_FATAL(pthread_create(&threads[i], NULL, late_main, &late[i]) == 0);
    }
    WORLD_UNTIL(&world, atomic_load(&held_count) == 2);

    cmds_sender_close(sender, 1);
    for (int i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL(pthread_join(threads[i], NULL), 0);
        CU_ASSERT_EQUAL(late[i].code, CMDS_E_CLOSED);
        CU_ASSERT_EQUAL(late[i].error.code, CMDS_E_CLOSED);
    }
    held_release();
    world_stop(&world);
}

static void test_sender_lost_and_never_connected_are_told_apart(void)
{
    struct world world;
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&world_protocol);
    struct cmds_group_options group = CMDS_GROUP_OPTIONS_INIT(&world_protocol);
    struct late late = {.code = 0};
    pthread_t thread;
    group.reconnect_delay_ms = CMDS_NEVER;
    options.group = &group;
    world_init(&world);
    world.exec = exec_hold;
    CU_ASSERT_FATAL(world_start(&world) == 0);
    struct cmds_sender *sender = open_sender(&world, &options);
    late.sender = sender;
    CU_ASSERT_FATAL(pthread_create(&thread, NULL, late_main, &late) == 0);
    WORLD_UNTIL(&world, atomic_load(&held_count) == 1);

    cmds_server_close(world.server);
    world.server = NULL;
    CU_ASSERT_EQUAL(pthread_join(thread, NULL), 0);
    CU_ASSERT_EQUAL(late.code, CMDS_E_LOST);
    CU_ASSERT_TRUE(strstr(late.error.text, world.address) != NULL);
    struct cmds_error error = CMDS_ERROR_INIT;
    int64_t back = 0;
    CU_ASSERT_EQUAL(send_echo(sender, 1, (struct cmds_string)CMDS_STRING(""), &back, &error),
            CMDS_E_NOT_CONNECTED);
    CU_ASSERT_TRUE(strstr(error.text, world.address) != NULL);
    cmds_sender_close(sender, RAW_GUARD_MS);
    held_release();

    sender = NULL;
    error = (struct cmds_error)CMDS_ERROR_INIT;
    options.connect = world.address; // Nobody listens there any more.
    options.client_count = 2;
    CU_ASSERT_EQUAL(cmds_sender_open(&sender, &options, &error), -ECONNREFUSED);
    CU_ASSERT_PTR_NULL(sender);
    CU_ASSERT_TRUE(strstr(error.text, "0 of 2 connected") != NULL);
    CU_ASSERT_TRUE(strstr(error.text, "refused") != NULL);
    world_stop(&world);
}

struct on_shard {
    struct cmds_sender *sender;
    int code;
    _Atomic uint32_t done;
};

static void send_on_shard(void *context)
{
    struct on_shard *on_shard = context;
    struct echo echo = {0};
    struct cmds_result *result = NULL;
    on_shard->code = cmds_sender_send(on_shard->sender, echo_message(&echo), 1000, &result, NULL);
    atomic_store(&on_shard->done, 1);
}

static void test_sender_refuses_the_wrong_thread(void)
{
    struct world world;
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&world_protocol);
    struct late late = {.code = 0};
    pthread_t thread;
    world_init(&world);
    CU_ASSERT_FATAL(world_start(&world) == 0);
    options.runtime = world.runtime;
    struct on_shard on_shard = {.sender = open_sender(&world, &options)};

    CU_ASSERT_EQUAL(cmds_runtime_post(world.runtime, 0, send_on_shard, &on_shard), 0);
    WORLD_UNTIL(&world, atomic_load(&on_shard.done) == 1);
    CU_ASSERT_EQUAL(on_shard.code, -EDEADLK);
    cmds_sender_close(on_shard.sender, RAW_GUARD_MS);

    options.runtime = NULL;
    options.single_thread = true;
    late.sender = open_sender(&world, &options);
    CU_ASSERT_FATAL(pthread_create(&thread, NULL, late_main, &late) == 0);
    CU_ASSERT_EQUAL(pthread_join(thread, NULL), 0);
    CU_ASSERT_EQUAL(late.code, -EXDEV);
    cmds_sender_close(late.sender, RAW_GUARD_MS);

    struct cmds_sender *none = NULL;
    options.runtime = world.runtime;
    CU_ASSERT_EQUAL(cmds_sender_open(&none, &options, NULL), -EINVAL);
    world_stop(&world);
}

static CU_TestInfo test_sender[] = {
        {"counts where it is seen", test_sender_counts_where_it_is_seen},
        {"answers", test_sender_answers},
        {"takes the options of a send", test_sender_takes_the_options_of_a_send},
        {"of a single thread", test_sender_of_a_single_thread},
        {"many threads and a small window", test_sender_many_threads_and_a_small_window},
        {"many results until last or until told to stop",
                test_sender_many_results_until_last_or_until_told_to_stop},
        {"slow taker slows its server down", test_sender_slow_taker_slows_its_server_down},
        {"stream sizes are checked", test_sender_stream_sizes_are_checked},
        {"time is for the whole", test_sender_time_is_for_the_whole},
        {"close ends those who wait", test_sender_close_ends_those_who_wait},
        {"lost and never connected are told apart",
                test_sender_lost_and_never_connected_are_told_apart},
        {"refuses the wrong thread", test_sender_refuses_the_wrong_thread},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("sender", test_sender)

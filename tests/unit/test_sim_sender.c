/* SPDX-License-Identifier: MIT */
/*
 * Threads that sleep in a sender, and what is to wake them: room, their result, the caller before them in
 * the chain. What may go wrong: it comes between the last look and the sleep, or goes to somebody who does
 * not pass it on, and the caller sleeps for its whole time. Threads are slow here just where that matters;
 * the server is the test.
 */
#include <errno.h>

#include "group/command.h"
#include "ring/socket.h"
#include "ring/thread.h"
#include "shard/drive.h"
#include "sim/world.h"
#include "support/sim/host.h"
#include "wire/frame.h"

enum {
    SEEDS = 5,
    TIMEOUT_MS = 10000, // Of whoever has to be awake long before.
    SOON_MS = 1000,
    STEP_US = 1000,   // Of a thread that is slow everywhere, and ...
    OFFSET_US = 250,  // ... what comes at another moment each time, ...
    OFFSETS = 60,     // ... until long after it sleeps.
    HELD_UP_MS = 20,  // As long as all results need to lie there.
    PATIENCE_MS = 60, // Of the one whose time ends before the chain comes to it.
    SLOW_MS = 200,
};

static void run_all(struct hall *hall, void (*script)(struct hall *hall))
{
    for (uint64_t seed = 1; seed <= CMDI_SEEDS(SEEDS); seed++) {
        struct hall mine = *hall;
        mine.options.receiver = &mine;
        hall_run(&mine, seed, script);
    }
}

/* --- Threads that are slow where it matters ----------------------------------------------------- */

int __real_cmdi_group_send(struct cmds_group *group, struct cmds_message message,
        const struct cmds_send_options *how, const struct cmdi_send_end *end);
int __wrap_cmdi_group_send(struct cmds_group *group, struct cmds_message message,
        const struct cmds_send_options *how, const struct cmdi_send_end *end);
int __real_cmdi_runtime_wait(
        struct cmds_runtime *runtime, _Atomic uint32_t *word, uint32_t seen, uint32_t timeout_ms);
int __wrap_cmdi_runtime_wait(
        struct cmds_runtime *runtime, _Atomic uint32_t *word, uint32_t seen, uint32_t timeout_ms);
void __real_cmdi_futex_wake(_Atomic uint32_t *word, int count);
void __wrap_cmdi_futex_wake(_Atomic uint32_t *word, int count);
void __real_cmdi_sim_yield(void);
void __wrap_cmdi_sim_yield(void);

static struct {
    bool holds_refused;                      // A send that was refused does not return yet.
    uint32_t refused;                        // So many have been.
    struct cmdi_sim_thread *sleeps_late;     // Once awake it goes on SLOW_MS later.
    struct cmdi_sim_thread *slow_everywhere; // STEP_US wherever threads change over.
    bool wakes_slowly;                       // Whoever is woken has run before the wake returns.
} slow;

int __wrap_cmdi_group_send(struct cmds_group *group, struct cmds_message message,
        const struct cmds_send_options *how, const struct cmdi_send_end *end)
{
    int code = __real_cmdi_group_send(group, message, how, end);
    slow.refused += code == -ENOBUFS;
    while (code == -ENOBUFS && slow.holds_refused) {
        hall_pause_us(100);
    }
    return code;
}

int __wrap_cmdi_runtime_wait(
        struct cmds_runtime *runtime, _Atomic uint32_t *word, uint32_t seen, uint32_t timeout_ms)
{
    int code = __real_cmdi_runtime_wait(runtime, word, seen, timeout_ms);
    if (cmdi_sim_thread() == slow.sleeps_late) {
        cmds_sim_sleep_ms(SLOW_MS);
    }
    return code;
}

void __wrap_cmdi_futex_wake(_Atomic uint32_t *word, int count)
{
    __real_cmdi_futex_wake(word, count);
    if (slow.wakes_slowly) {
        hall_pause_us(100);
    }
}

void __wrap_cmdi_sim_yield(void)
{
    if (cmdi_sim_thread() != NULL && cmdi_sim_thread() == slow.slow_everywhere) {
        hall_pause_us(STEP_US);
    } else {
        __real_cmdi_sim_yield();
    }
}

/* --- A sender and its server -------------------------------------------------------------------- */

struct desk {
    int listener;
    struct guest server;
    struct cmds_sender *sender;
};

static void desk_open(struct desk *desk, struct hall *hall, uint32_t in_flight_max)
{
    struct asker asker;
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(hall->options.protocol);
    asker_init(&asker, hall);
    asker.options.in_flight_max = in_flight_max;
    asker.options.context = NULL;
    asker.options.on_writable = NULL;
    asker.options.on_unexpected = NULL;
    asker.options.on_state = NULL;
    options.runtime = hall->runtime;
    options.group = &asker.options;
    options.connect_later = true;
    *desk = (struct desk){.listener = host_listen()};
    CU_ASSERT_EQUAL_FATAL(cmds_sender_open(&desk->sender, &options, NULL), 0);
    host_enter(desk->listener, &desk->server);
}

static void desk_close(struct desk *desk)
{
    guest_close(&desk->server);
    cmds_sender_close(desk->sender, SOON_MS);
    cmdi_fd_close(desk->listener);
}

/* A thread that sends one command. */
struct caller {
    struct cmds_sender *sender;
    int64_t number;
    uint32_t timeout_ms;
    bool sleeps_late;
    pthread_t thread;
    int code;
    int64_t answer;
    uint64_t took_ms;
};

static void *thread_calls(void *context)
{
    struct caller *caller = context;
    struct act act = {caller->number};
    struct cmds_result *result = NULL;
    if (caller->sleeps_late) {
        slow.sleeps_late = cmdi_sim_thread();
    }
    uint64_t since_ns = hall_now_ns();
    caller->code =
            cmds_sender_send(caller->sender, act_message(&act), caller->timeout_ms, &result, NULL);
    caller->took_ms = (hall_now_ns() - since_ns) / 1000000;
    caller->answer = caller->code == 0 ? value_of(result)->number : -1;
    cmds_result_free(result);
    if (caller->sleeps_late) {
        slow.sleeps_late = NULL;
    }
    return NULL;
}

static void caller_begin(struct caller *caller, struct desk *desk, int64_t number)
{
    caller->sender = desk->sender;
    caller->number = number;
    caller->timeout_ms = caller->timeout_ms != 0 ? caller->timeout_ms : TIMEOUT_MS;
    caller->thread = hall_thread(thread_calls, caller);
}

/* Its answer has been sent. */
static void caller_end(struct caller *caller)
{
    (void)pthread_join(caller->thread, NULL);
    CU_ASSERT_EQUAL(caller->code, 0);
    CU_ASSERT_EQUAL(caller->answer, caller->number);
    CU_ASSERT(caller->took_ms < SOON_MS);
}

/* --- Room --------------------------------------------------------------------------------------- */

/* It comes when the send was refused, and the caller has not looked whether any came. */
static void script_room(struct hall *hall)
{
    struct desk desk;
    struct caller first = {.code = 0}, second = {.code = 0};
    desk_open(&desk, hall, 1);
    caller_begin(&first, &desk, 1);
    uint64_t sequence = host_expects(&desk.server, 1, SOON_MS);
    slow.refused = 0;
    slow.holds_refused = true;
    caller_begin(&second, &desk, 2);
    HALL_UNTIL(slow.refused == 1);

    host_answer(&desk.server, sequence, 1);
    cmds_sim_sleep_ms(HALL_SETTLE_MS);
    slow.holds_refused = false;

    host_answer(&desk.server, host_expects(&desk.server, 2, 100), 2);
    caller_end(&first);
    caller_end(&second);
    desk_close(&desk);
}

static void test_sim_sender_sees_room_that_comes_before_its_sleep(void)
{
    struct hall hall;
    hall_init(&hall);

    run_all(&hall, script_room);
}

/* --- The chain ---------------------------------------------------------------------------------- */

enum {
    CALLERS = 4,
};

/* Commands 0, 1, 2 and so on, whose results come in one turn. */
static void chain_begin(struct desk *desk, struct hall *hall, struct caller *callers)
{
    uint64_t sequences[CALLERS];
    desk_open(desk, hall, CALLERS);
    for (uint32_t i = 0; i < CALLERS; i++) {
        caller_begin(&callers[i], desk, i);
        sequences[i] = host_expects(&desk->server, i, SOON_MS);
    }
    hall_hold_up(hall, HELD_UP_MS);
    for (uint32_t i = 0; i < CALLERS; i++) {
        host_answer(&desk->server, sequences[i], i);
    }
}

static void chain_end(struct desk *desk, struct caller *callers)
{
    for (uint32_t i = 0; i < CALLERS; i++) {
        caller_end(&callers[i]);
    }
    desk_close(desk);
}

static void script_chain(struct hall *hall)
{
    struct desk desk;
    struct caller callers[CALLERS] = {{.code = 0}};
    chain_begin(&desk, hall, callers);
    chain_end(&desk, callers);
}

static void test_sim_sender_wakes_all_of_one_turn(void)
{
    struct hall hall;
    hall_init(&hall);

    run_all(&hall, script_chain);
}

/* The first wakes the second late, after the second's time: that one waits, and wakes the third. */
static void script_impatient(struct hall *hall)
{
    struct desk desk;
    struct caller callers[CALLERS] = {{.sleeps_late = true}, {.timeout_ms = PATIENCE_MS}};
    chain_begin(&desk, hall, callers);
    chain_end(&desk, callers);
    CU_ASSERT(callers[1].took_ms >= SLOW_MS);
}

static void test_sim_sender_stays_in_its_chain_when_its_time_is_over(void)
{
    struct hall hall;
    hall_init(&hall);

    run_all(&hall, script_impatient);
}

/* --- A result ----------------------------------------------------------------------------------- */

/* Whoever is woken looks at once, long before its waker does anything more. */
static void script_done(struct hall *hall)
{
    struct desk desk;
    struct caller caller = {.code = 0};
    desk_open(&desk, hall, 1);
    slow.wakes_slowly = true;
    caller_begin(&caller, &desk, 1);
    uint64_t sequence = host_expects(&desk.server, 1, SOON_MS);
    cmds_sim_sleep_ms(HALL_SETTLE_MS);

    host_answer(&desk.server, sequence, 1);

    caller_end(&caller);
    slow.wakes_slowly = false;
    desk_close(&desk);
}

static void test_sim_sender_is_done_when_it_is_woken(void)
{
    struct hall hall;
    hall_init(&hall);

    run_all(&hall, script_done);
}

/* --- A stream ----------------------------------------------------------------------------------- */

struct reader {
    struct desk *desk;
    uint32_t lines;
    bool done;
    int code;
    uint64_t took_ms;
};

static int on_each(void *context, const struct cmds_result *result)
{
    ((struct reader *)context)->lines += line_of(result) != NULL;
    return 0;
}

static void *thread_reads(void *context)
{
    struct reader *reader = context;
    struct act act = {1};
    uint64_t since_ns = hall_now_ns();
    slow.slow_everywhere = cmdi_sim_thread();
    reader->code = cmds_sender_send_multi(
            reader->desk->sender, act_message(&act), TIMEOUT_MS, NULL, on_each, reader);
    slow.slow_everywhere = NULL;
    reader->took_ms = (hall_now_ns() - since_ns) / 1000000;
    reader->done = true;
    return NULL;
}

static void answer_line(struct guest *guest, uint64_t sequence, bool last)
{
    const uint8_t body[] = {0x93, 0x01, last ? 0xc3 : 0xc2, 0xa0};
    uint8_t out[CMDI_FRAME_HEADER_MAX + sizeof(body)];
    uint8_t *end = cmdi_frame_header_encode(out, sequence, line_type.number, sizeof(body), false);
    memcpy(end, body, sizeof(body));
    size_t size = (size_t)(end - out) + sizeof(body);
    CU_ASSERT_EQUAL(guest_write(guest, out, size), size);
}

/* The last result comes a little later each time: before, inside, behind each step to the sleep. */
static void script_stream(struct hall *hall)
{
    struct desk desk;
    desk_open(&desk, hall, 1);
    for (uint32_t i = 0; i < OFFSETS; i++) {
        struct reader reader = {.desk = &desk};
        pthread_t thread = hall_thread(thread_reads, &reader);
        uint64_t sequence = host_expects(&desk.server, 1, SOON_MS);
        answer_line(&desk.server, sequence, false);
        hall_pause_us(1 + (uint64_t)i * OFFSET_US);
        answer_line(&desk.server, sequence, true);
        (void)pthread_join(thread, NULL);
        CU_ASSERT_EQUAL(reader.code, 0);
        CU_ASSERT_EQUAL(reader.lines, 2);
        CU_ASSERT(reader.took_ms < SOON_MS);
    }
    desk_close(&desk);
}

static void test_sim_sender_sees_what_comes_while_it_takes(void)
{
    struct hall hall;
    hall_init(&hall);

    run_all(&hall, script_stream);
}

static CU_TestInfo tests[] = {
        {"sees room that comes before its sleep",
                test_sim_sender_sees_room_that_comes_before_its_sleep},
        {"wakes all of one turn", test_sim_sender_wakes_all_of_one_turn},
        {"stays in its chain when its time is over",
                test_sim_sender_stays_in_its_chain_when_its_time_is_over},
        {"is done when it is woken", test_sim_sender_is_done_when_it_is_woken},
        {"sees what comes while it takes", test_sim_sender_sees_what_comes_while_it_takes},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("sim_sender", tests)

/* SPDX-License-Identifier: MIT */
/*
 * A shard: slots, mailbox, lists of work, thread. What could go wrong: a completion that reaches the
 * next owner of a slot, a message that is lost, reordered or lies there while the shard sleeps, a
 * shard that sleeps or spins past its end. test_shard_log.c has its log, test_runtime_turn.c the
 * runtime without a thread.
 */
#include "shard/runtime.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ring/clock.h"
#include "ring/cpu.h"
#include "ring/thread.h"
#include "shard/drive.h"
#include "support/harness.h"
#include "support/steps.h"

enum {
    POSTERS = 4,
    POSTS = 25000,
    TURNS_MAX = 20000, // More than there are posts: each may make a turn of its own.
};

static const struct cmdi_shard_options options_ring = {
        .drive = CMDI_DRIVE_INLINE,
        .cpu = -1,
        .memory_size_max = 1 << 20,
        .ring = {.entries = 16,
                .completion_entries = 64,
                .buffer_size = 64,
                .buffer_count = 4,
                .buffer_count_max = 4},
};

static struct cmdi_shard *make_shard(const struct cmdi_shard_options *options)
{
    struct cmdi_shard *shard = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    if (cmdi_shard_create(&shard, options, &error) < 0) {
        cmdi_test_skip(error.text);
    }
    return shard;
}

static struct cmdi_shard *stepped_shard(void)
{
    struct cmdi_shard_options options = {
            .cpu = -1, .drive = CMDI_DRIVE_STEPPED, .memory_size_max = 1 << 20};
    return make_shard(&options);
}

/* One with a thread of its own. */
static struct cmdi_shard *running_shard(uint32_t spin_us, bool spin_always)
{
    struct cmdi_shard_options options = options_ring;
    options.drive = CMDI_DRIVE_THREAD;
    options.spin_us = spin_us;
    options.spin_always = spin_always;
    struct cmdi_shard *shard = make_shard(&options);
    CU_ASSERT_EQUAL_FATAL(cmdi_drive_start_thread(shard), 0);
    return shard;
}

/* As its thread would. */
static int turn(struct cmdi_shard *shard, uint64_t wait_ns)
{
    struct cmdi_shard *before = cmdi_shard_set_current(shard);
    int code = cmdi_shard_turn(shard, wait_ns);
    (void)cmdi_shard_set_current(before);
    return code;
}

static void stop_shard(struct cmdi_shard *shard)
{
    cmdi_drive_join(shard);
    cmdi_shard_destroy(shard);
}

/* --- Slots ------------------------------------------------------------------------------------ */

static void count_completion(
        void *owner, uint32_t operation, const struct cmdi_completion *completion)
{
    (void)completion;
    *(uint32_t *)owner += operation;
}

static void test_shard_slots_name_their_owner_only(void)
{
    enum {
        SLOTS = 1000,
    };
    struct cmdi_shard *shard = stepped_shard();
    uint32_t owner = 0;
    static bool used[SLOTS * 2];
    memset(used, 0, sizeof(used));
    for (uint32_t i = 0; i < SLOTS; i++) {
        uint32_t slot = cmdi_shard_slot_acquire(shard, count_completion, &owner);
        CU_ASSERT_FATAL(slot < SLOTS * 2 && !used[slot]);
        used[slot] = true;
    }

    uint64_t before = cmdi_shard_user_data(shard, 5, 200);
    CU_ASSERT_EQUAL((uint32_t)before, 5);
    CU_ASSERT_EQUAL(before >> 56, 200);
    cmdi_shard_slot_release(shard, 5);
    CU_ASSERT_EQUAL(cmdi_shard_slot_acquire(shard, count_completion, &owner), 5);
    CU_ASSERT_NOT_EQUAL(cmdi_shard_user_data(shard, 5, 200), before);

    shard->slots[5].generation = 0xffffff; // After the last one comes the first, and never 0.
    cmdi_shard_slot_release(shard, 5);
    CU_ASSERT_EQUAL(shard->slots[5].generation, 1);
    cmdi_shard_destroy(shard);
}

static void test_shard_stale_completion_gives_its_buffer_back(void)
{
    struct cmdi_shard *shard = make_shard(&options_ring);
    uint32_t first = 0;
    uint32_t second = 0;
    int fds[2];
    CU_ASSERT_EQUAL_FATAL(cmdi_ring_enable(shard->ring), 0);
    CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    uint32_t slot = cmdi_shard_slot_acquire(shard, count_completion, &first);
    cmdi_ring_recv(shard->ring, fds[0], false, cmdi_shard_user_data(shard, slot, 1));
    cmdi_shard_slot_release(shard, slot);
    CU_ASSERT_EQUAL(cmdi_shard_slot_acquire(shard, count_completion, &second), slot);

    for (uint32_t i = 0; i < 10; i++) {
        CU_ASSERT_EQUAL_FATAL(send(fds[1], "x", 1, MSG_NOSIGNAL), 1);
        while (shard->counters.stale_completions == i) {
            CU_ASSERT_FATAL(turn(shard, CMDI_RING_WAIT_FOREVER) >= 0);
        }
    }

    CU_ASSERT_EQUAL(first, 0);
    CU_ASSERT_EQUAL(second, 0);
    CU_ASSERT_EQUAL(cmdi_ring_buffers_free(shard->ring), 4);
    cmdi_shard_destroy(shard);
    (void)close(fds[0]);
    (void)close(fds[1]);
}

/* --- Mailbox ---------------------------------------------------------------------------------- */

struct numbered {
    struct cmdi_mail mail;
    struct poster *poster;
    uint32_t number;
};

struct poster {
    struct cmdi_shard *shard;
    pthread_t thread;
    struct numbered *mails;
    uint32_t count;
    uint32_t expected; // On the shard.
    _Atomic uint32_t done, wrong;
};

static void on_numbered(struct cmdi_shard *shard, struct cmdi_mail *mail)
{
    struct numbered *numbered = CMDI_CONTAINER(mail, struct numbered, mail);
    struct poster *poster = numbered->poster;
    if (numbered->number != poster->expected || cmdi_shard_current() != shard) {
        atomic_store(&poster->wrong, 1);
    }
    poster->expected++;
    atomic_store(&poster->done, poster->expected);
    cmdi_futex_wake(&poster->done, 1);
}

static void wait_for(struct poster *poster, uint32_t count)
{
    for (;;) {
        uint32_t done = atomic_load(&poster->done);
        if (done >= count) {
            return;
        }
        cmdi_futex_wait(&poster->done, done, UINT64_MAX);
    }
}

static void *poster_main(void *argument)
{
    struct poster *poster = argument;
    for (uint32_t i = 0; i < poster->count; i++) {
        poster->mails[i] =
                (struct numbered){.mail = {.fn = on_numbered}, .poster = poster, .number = i};
        cmdi_shard_post(poster->shard, &poster->mails[i].mail);
        if (i % 64 == 0) {
            wait_for(poster, i + 1); // So that the shard has gone to sleep, now and then.
        }
    }
    wait_for(poster, poster->count);
    return NULL;
}

static void post_from_many(uint32_t spin_us)
{
    struct cmdi_shard *shard = running_shard(spin_us, false);
    struct poster posters[POSTERS];
    for (uint32_t i = 0; i < POSTERS; i++) {
        posters[i] = (struct poster){.shard = shard, .count = POSTS};
        posters[i].mails = calloc(POSTS, sizeof(struct numbered));
        CU_ASSERT_PTR_NOT_NULL_FATAL(posters[i].mails);
        CU_ASSERT_EQUAL_FATAL(
                pthread_create(&posters[i].thread, NULL, poster_main, &posters[i]), 0);
    }
    for (uint32_t i = 0; i < POSTERS; i++) {
        (void)pthread_join(posters[i].thread, NULL); // A lost wake-up hangs here.
        CU_ASSERT_EQUAL(atomic_load(&posters[i].done), POSTS);
        CU_ASSERT_EQUAL(atomic_load(&posters[i].wrong), 0);
        free(posters[i].mails);
    }
    /* A batch of mails is counted after the last of them, which is when we got here. */
    while (__atomic_load_n(&shard->counters.posts, __ATOMIC_RELAXED) < POSTERS * POSTS) {
        (void)sched_yield();
    }
    CU_ASSERT_EQUAL(__atomic_load_n(&shard->counters.posts, __ATOMIC_RELAXED), POSTERS * POSTS);
    stop_shard(shard);
}

static void test_shard_posts_arrive_in_order(void)
{
    post_from_many(0);
    post_from_many(100);
}

/* The last one ends the turn that would sleep. */
static void on_last(struct cmdi_shard *shard, struct cmdi_mail *mail)
{
    on_numbered(shard, mail);
    atomic_store(&shard->stopping, 1);
}

static void *one_by_one_main(void *argument)
{
    struct poster *poster = argument;
    for (uint32_t i = 0; i < poster->count; i++) {
        cmdi_mail_fn fn = i + 1 == poster->count ? on_last : on_numbered;
        poster->mails[0] = (struct numbered){.mail = {.fn = fn}, .poster = poster, .number = i};
        cmdi_shard_post(poster->shard, &poster->mails[0].mail);
        while (atomic_load(&poster->done) <= i) {
            cmdi_cpu_pause(); // Awake, so as to meet the shard on its way to sleep...
        }
        for (uint32_t k = 0; k < i % 64; k++) {
            cmdi_cpu_pause(); // ...at every point of it.
        }
    }
    return NULL;
}

/* One message at a time, to a shard that sleeps in between and has no timer to wake it. */
static void test_shard_sleep_loses_no_wake(void)
{
    enum {
        ROUNDS = 60000,
    };
    struct cmdi_shard_options options = options_ring;
    options.drive = CMDI_DRIVE_THREAD; // It is the test's own.
    struct cmdi_shard *shard = make_shard(&options);
    struct numbered mail;
    struct poster poster = {.shard = shard, .count = ROUNDS, .mails = &mail};
    CU_ASSERT_EQUAL_FATAL(cmdi_ring_enable(shard->ring), 0);
    (void)cmdi_shard_set_current(shard);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&poster.thread, NULL, one_by_one_main, &poster), 0);
    while (poster.expected < ROUNDS) {
        CU_ASSERT_FATAL(turn(shard, CMDI_RING_WAIT_FOREVER) >= 0);
    }
    (void)pthread_join(poster.thread, NULL);
    CU_ASSERT_EQUAL(atomic_load(&poster.wrong), 0);
    (void)cmdi_shard_set_current(NULL);
    cmdi_shard_destroy(shard);
}

static void test_shard_posts_arrive_before_the_end(void)
{
    for (uint32_t round = 0; round < 200; round++) {
        struct cmdi_shard *shard = running_shard(0, false);
        struct poster poster = {.shard = shard, .count = 3};
        struct numbered mails[3];
        for (uint32_t i = 0; i < 3; i++) {
            mails[i] =
                    (struct numbered){.mail = {.fn = on_numbered}, .poster = &poster, .number = i};
            cmdi_shard_post(shard, &mails[i].mail);
        }
        stop_shard(shard); // At once: they may lie there still.
        CU_ASSERT_EQUAL(atomic_load(&poster.done), 3);
    }
}

static uint32_t calls;

static void count_call(struct cmdi_shard *shard, void *context)
{
    if (cmdi_shard_current() == shard) {
        calls++;
    }
    if (context != NULL) {
        cmdi_shard_call(shard, count_call, NULL); // From the shard itself: simply a call.
    }
}

static void *caller_main(void *argument)
{
    for (uint32_t i = 0; i < 1000; i++) {
        cmdi_shard_call(argument, count_call, argument);
    }
    return NULL;
}

static void test_shard_call_returns_when_it_has_run(void)
{
    struct cmdi_shard *shard = running_shard(0, false);
    pthread_t threads[POSTERS];
    calls = 0;
    for (uint32_t i = 0; i < POSTERS; i++) {
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, caller_main, shard), 0);
    }
    for (uint32_t i = 0; i < POSTERS; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    CU_ASSERT_EQUAL(calls, POSTERS * 1000 * 2);
    stop_shard(shard);
}

/* --- Work ------------------------------------------------------------------------------------- */

static void test_shard_work_runs_in_its_order(void)
{
    struct cmdi_shard *shard = stepped_shard();
    struct step after = {.name = 'e'};
    struct step flush = {.name = 'f'};
    struct step late = {.name = 'l'};
    struct step ready = {.name = 'r', .then = &late};
    struct step second = {.name = 's'};
    struct step *all[] = {&after, &flush, &late, &ready, &second};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        cmdi_work_init(&all[i]->work, run_step);
    }
    memset(steps_run, 0, sizeof(steps_run));

    cmdi_shard_after(shard, &after.work);
    cmdi_shard_flush(shard, &flush.work);
    cmdi_shard_ready(shard, &ready.work);
    cmdi_shard_ready(shard, &ready.work); // Once.
    cmdi_shard_ready(shard, &second.work);
    cmdi_shard_step(shard, 0);

    CU_ASSERT_STRING_EQUAL(steps_run, "rsfel"); // What became ready meanwhile: the next pass.
    cmdi_shard_destroy(shard);
}

/* One who asks for much, whose runs take long, beside one who asks for little each time it has run. */
static struct beside {
    struct cmdi_work heavy, light, answer;
    int fds[2];
    char order[32];
    uint32_t frames_per_run; // In its last run.
} beside;

static void beside_note(char name)
{
    beside.order[strlen(beside.order)] = name;
}

static void beside_run_heavy(struct cmdi_shard *shard, struct cmdi_work *work)
{
    uint64_t begin_ns = cmdi_now_ns();
    while (cmdi_now_ns() < begin_ns + 300 * 1000) {
    }
    CU_ASSERT_EQUAL(send(beside.fds[1], "x", 1, MSG_NOSIGNAL), 1);
    beside_note('h');
    beside.frames_per_run = shard->frames_per_run;
    cmdi_shard_ready(shard, work);
}

static void beside_run_light(struct cmdi_shard *shard, struct cmdi_work *work)
{
    (void)work;
    beside_note('l');
    cmdi_shard_flush(shard, &beside.answer);
}

static void beside_answer(struct cmdi_shard *shard, struct cmdi_work *work)
{
    (void)shard;
    (void)work;
    beside_note('a');
}

static void beside_received(
        void *owner, uint32_t operation, const struct cmdi_completion *completion)
{
    (void)operation;
    struct cmdi_shard *shard = owner;
    cmdi_ring_buffer_release(shard->ring, completion->buffer);
    cmdi_shard_ready(shard, &beside.light);
}

static void test_shard_long_runs_come_in_parts_beside_others(void)
{
    struct cmdi_shard *shard = make_shard(&options_ring);
    beside = (struct beside){.frames_per_run = 0};
    cmdi_work_init(&beside.heavy, beside_run_heavy);
    cmdi_work_init(&beside.light, beside_run_light);
    cmdi_work_init(&beside.answer, beside_answer);
    beside.heavy.level = CMDI_LEVEL_HEAVY;
    CU_ASSERT_EQUAL_FATAL(cmdi_ring_enable(shard->ring), 0);
    CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, beside.fds), 0);
    uint32_t slot = cmdi_shard_slot_acquire(shard, beside_received, shard);
    cmdi_ring_recv(shard->ring, beside.fds[0], false, cmdi_shard_user_data(shard, slot, 1));
    CU_ASSERT_EQUAL(cmdi_ring_enter(shard->ring, CMDI_RING_WAIT_NONE), 0);

    cmdi_shard_ready(shard, &beside.light);
    cmdi_shard_ready(shard, &beside.heavy);
    CU_ASSERT(turn(shard, CMDI_RING_WAIT_NONE) >= 0);
    CU_ASSERT_STRING_EQUAL(beside.order, "lha"); // That its runs are long is seen now.
    CU_ASSERT_EQUAL(beside.frames_per_run, CMDI_SHARD_FRAMES_PER_RUN);

    memset(beside.order, 0, sizeof(beside.order));
    CU_ASSERT(turn(shard, CMDI_RING_WAIT_NONE) >= 0);
    CU_ASSERT_STRING_EQUAL(beside.order, "lahlah");
    CU_ASSERT_EQUAL(beside.frames_per_run, CMDI_SHARD_FRAMES_PER_RUN / 2);

    cmdi_list_remove(&beside.heavy.link);
    cmdi_list_remove(&beside.light.link);
    cmdi_ring_drain(shard->ring);
    (void)close(beside.fds[0]);
    (void)close(beside.fds[1]);
    cmdi_shard_destroy(shard);
}

static int near_end, far_end;
static ssize_t seen_after;

static void send_in_flush(struct cmdi_shard *shard, struct cmdi_work *work)
{
    (void)work;
    cmdi_ring_send(shard->ring, near_end, "x", 1, cmdi_shard_user_data(shard, 0, 1));
}

static void look_after(struct cmdi_shard *shard, struct cmdi_work *work)
{
    (void)shard;
    (void)work;
    char text[4];
    seen_after = recv(far_end, text, sizeof(text), MSG_DONTWAIT);
}

static void test_shard_after_is_behind_the_sends(void)
{
    struct cmdi_shard *shard = make_shard(&options_ring);
    struct cmdi_work flush;
    struct cmdi_work after;
    uint32_t owner = 0;
    int fds[2];
    CU_ASSERT_EQUAL_FATAL(cmdi_ring_enable(shard->ring), 0);
    CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    CU_ASSERT_EQUAL_FATAL(cmdi_shard_slot_acquire(shard, count_completion, &owner), 0);
    cmdi_work_init(&flush, send_in_flush);
    cmdi_work_init(&after, look_after);
    near_end = fds[0];
    far_end = fds[1];
    cmdi_shard_after(shard, &after);
    cmdi_shard_flush(shard, &flush);
    seen_after = 0;

    CU_ASSERT_EQUAL(turn(shard, CMDI_RING_WAIT_NONE), 0);

    CU_ASSERT_EQUAL(seen_after, 1);
    CU_ASSERT_EQUAL(turn(shard, CMDI_RING_WAIT_NONE), 1);
    CU_ASSERT_EQUAL(owner, 1);
    cmdi_shard_destroy(shard);
    (void)close(fds[0]);
    (void)close(fds[1]);
}

/* --- The thread ------------------------------------------------------------------------------- */

struct alarm {
    struct cmdi_timer timer;
    _Atomic uint32_t fired;
};

static void fire_alarm(struct cmdi_timer *timer, uint64_t now_ms)
{
    struct alarm *alarm = CMDI_CONTAINER(timer, struct alarm, timer);
    atomic_store(&alarm->fired, now_ms >= timer->at_ms ? 1 : 2);
    cmdi_futex_wake(&alarm->fired, 1);
}

static void arm_alarm(struct cmdi_shard *shard, void *context)
{
    struct alarm *alarm = context;
    cmdi_timer_init(&alarm->timer, fire_alarm);
    cmdi_shard_timer(shard, &alarm->timer, shard->now_ms + 5);
}

static void test_shard_wakes_for_a_timer(void)
{
    struct cmdi_shard *shard = running_shard(0, false);
    for (uint32_t i = 0; i < 5; i++) {
        struct alarm alarm = {.fired = 0};
        cmdi_shard_call(shard, arm_alarm, &alarm);
        while (atomic_load(&alarm.fired) == 0) {
            cmdi_futex_wait(&alarm.fired, 0, UINT64_MAX);
        }
        CU_ASSERT_EQUAL(atomic_load(&alarm.fired), 1);
    }
    stop_shard(shard);
}

static void arm_late_alarm(struct cmdi_shard *shard, void *context)
{
    struct alarm *alarm = context;
    cmdi_timer_init(&alarm->timer, fire_alarm);
    cmdi_shard_timer(shard, &alarm->timer, shard->now_ms + 500);
}

static void give_connection(struct cmdi_shard *shard, void *context)
{
    (void)context;
    shard->connection_count++; // Without one it would not spin.
}

static void test_shard_that_always_spins_ends(void)
{
    struct cmdi_shard *shard = running_shard(3600u * 1000000u, true);
    cmdi_shard_call(shard, give_connection, NULL);
    cmdi_shard_call(shard, give_connection, NULL);
    stop_shard(shard); // Not in an hour.
}

/* A spin that found nothing is not added to the time until the next timer. */
static void test_shard_spin_makes_no_timer_late(void)
{
    struct cmdi_shard *shard = running_shard(450000, true);
    struct alarm alarm = {.fired = 0};
    cmdi_shard_call(shard, give_connection, NULL);
    uint64_t before_ms = cmdi_now_ns() / 1000000;
    cmdi_shard_call(shard, arm_late_alarm, &alarm);
    while (atomic_load(&alarm.fired) == 0) {
        cmdi_futex_wait(&alarm.fired, 0, UINT64_MAX);
    }
    CU_ASSERT(cmdi_now_ns() / 1000000 - before_ms < 850); // It was 950.
    stop_shard(shard);
}

/* --- Timers judge ----------------------------------------------------------------------------- */

enum {
    JUDGE_PAIRS = 400, // More than one enter of the kernel looks at.
};

static struct judge {
    struct cmdi_timer timer;
    struct cmdi_work work;
    int fds[JUDGE_PAIRS][2];
    uint32_t come, run, come_at_timer, run_at_timer;
    uint64_t told_ms;
} judged;

static void judge_run(struct cmdi_shard *shard, struct cmdi_work *work)
{
    (void)shard;
    (void)work;
    judged.run = judged.come;
}

static void judge_complete(
        void *owner, uint32_t operation, const struct cmdi_completion *completion)
{
    struct cmdi_shard *shard = owner;
    (void)operation;
    judged.come += completion->result > 0;
    if (completion->flags & CMDI_COMPLETION_BUFFER) {
        cmdi_ring_buffer_release(shard->ring, completion->buffer);
    }
    cmdi_shard_ready(shard, &judged.work);
}

static void judge_fire(struct cmdi_timer *timer, uint64_t now_ms)
{
    (void)timer;
    judged.come_at_timer = judged.come;
    judged.run_at_timer = judged.run;
    judged.told_ms = now_ms;
}

static void judge_open(struct cmdi_shard *shard, uint32_t slot)
{
    for (uint32_t i = 0; i < JUDGE_PAIRS; i++) {
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, judged.fds[i]) != 0) {
            cmdi_test_skip("too few open files");
        }
        cmdi_ring_recv(shard->ring, judged.fds[i][0], true, cmdi_shard_user_data(shard, slot, 1));
    }
}

/*
 * Everything that lay in the sockets when the timer was due has been received and run when it
 * fires; and it is told the time that it really is.
 */
static void test_shard_looks_before_a_timer_judges(void)
{
    struct cmdi_shard_options options = options_ring;
    options.ring.entries = 512;
    options.ring.completion_entries = 2048;
    options.ring.buffer_count = options.ring.buffer_count_max = 512;
    struct cmdi_shard *shard = make_shard(&options);
    uint32_t slot = cmdi_shard_slot_acquire(shard, judge_complete, shard);
    CU_ASSERT_EQUAL_FATAL(cmdi_ring_enable(shard->ring), 0);
    cmdi_timer_init(&judged.timer, judge_fire);
    cmdi_work_init(&judged.work, judge_run);
    judge_open(shard, slot);
    CU_ASSERT(turn(shard, CMDI_RING_WAIT_NONE) >= 0);
    cmdi_shard_timer(shard, &judged.timer, shard->now_ms + 10);

    for (uint32_t i = 0; i < JUDGE_PAIRS; i++) {
        CU_ASSERT_EQUAL(write(judged.fds[i][1], "x", 1), 1);
    }
    uint64_t due_ms = judged.timer.at_ms;
    while (cmdi_now_ns() / 1000000 < due_ms + 300) {
        cmdi_cpu_pause(); // The shard does nothing meanwhile.
    }
    CU_ASSERT(turn(shard, CMDI_RING_WAIT_NONE) >= 0);

    CU_ASSERT_EQUAL(judged.come_at_timer, JUDGE_PAIRS);
    CU_ASSERT_EQUAL(judged.run_at_timer, JUDGE_PAIRS);
    CU_ASSERT(judged.told_ms >= due_ms + 300);
    CU_ASSERT(shard->now_ms - cmdi_shard_awake_ms(shard) >= 300); // It knows that it was away.
    cmdi_ring_drain(shard->ring);
    cmdi_shard_destroy(shard);
    for (uint32_t i = 0; i < JUDGE_PAIRS; i++) {
        (void)close(judged.fds[i][0]);
        (void)close(judged.fds[i][1]);
    }
}

CU_TestInfo test_shard[] = {
        {"slots name their owner only", test_shard_slots_name_their_owner_only},
        {"stale completion gives its buffer back",
                test_shard_stale_completion_gives_its_buffer_back},
        {"posts arrive in order", test_shard_posts_arrive_in_order},
        {"sleep loses no wake", test_shard_sleep_loses_no_wake},
        {"posts arrive before the end", test_shard_posts_arrive_before_the_end},
        {"call returns when it has run", test_shard_call_returns_when_it_has_run},
        {"work runs in its order", test_shard_work_runs_in_its_order},
        {"long runs come in parts beside others", test_shard_long_runs_come_in_parts_beside_others},
        {"after is behind the sends", test_shard_after_is_behind_the_sends},
        {"wakes for a timer", test_shard_wakes_for_a_timer},
        {"that always spins ends", test_shard_that_always_spins_ends},
        {"spin makes no timer late", test_shard_spin_makes_no_timer_late},
        {"looks before a timer judges", test_shard_looks_before_a_timer_judges},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("shard", test_shard)

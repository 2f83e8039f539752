/* SPDX-License-Identifier: MIT */
/*
 * The runtime that has no thread and is turned by its user. What could go wrong: work that waits for
 * an event that does not come, an fd that stays silent or is never silent again, a turn on the wrong
 * thread.
 */
#include "shard/drive.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "support/harness.h"
#include "support/steps.h"

enum {
    POSTS = 10000,
    TURNS_MAX = 2 * POSTS, // More than there are posts: each may make a turn of its own.
};

static struct cmds_runtime *inline_runtime(void)
{
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_runtime *runtime = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    options.shard_count = CMDS_SHARDS_INLINE;
    if (cmds_runtime_start(&runtime, &options, &error) < 0) {
        cmdi_test_skip(error.text);
    }
    return runtime;
}

static int inline_epoll(const struct cmds_runtime *runtime)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN};
    CU_ASSERT_FATAL(epoll >= 0);
    CU_ASSERT_EQUAL_FATAL(epoll_ctl(epoll, EPOLL_CTL_ADD, cmds_runtime_fd(runtime), &event), 0);
    return epoll;
}

/* As the header tells to do it. Returns: how many were handled. */
static int turn_until_quiet(struct cmds_runtime *runtime)
{
    int total = 0;
    for (uint32_t i = 0; i < TURNS_MAX; i++) {
        int handled = cmds_runtime_turn(runtime, CMDS_TURN_NOWAIT);
        CU_ASSERT_FATAL(handled >= 0);
        if (handled == 0) {
            return total;
        }
        total += handled;
    }
    CU_FAIL("it never comes to rest");
    return total;
}

static bool is_readable(int epoll, int timeout_ms)
{
    struct epoll_event event;
    int count = -1;
    do { // The kernel's own work for the ring may interrupt it.
        count = epoll_wait(epoll, &event, 1, timeout_ms);
    } while (count < 0 && errno == EINTR);
    return count == 1;
}

/* A wake-up that finds no work is a turn that handles nothing: the fd may be readable once more. */
static bool comes_to_rest(struct cmds_runtime *runtime, int epoll)
{
    uint32_t turns = 0;
    for (; is_readable(epoll, 0) && turns < TURNS_MAX; turns++) {
        (void)turn_until_quiet(runtime);
    }
    return turns < TURNS_MAX;
}

static void add_one(void *context)
{
    ++*(uint32_t *)context;
}

struct inline_poster {
    struct cmds_runtime *runtime;
    uint32_t count; // On the turning thread.
    int error;
};

static void *inline_poster_main(void *argument)
{
    struct inline_poster *poster = argument;
    for (uint32_t i = 0; i < POSTS && poster->error == 0; i++) {
        poster->error = cmds_runtime_post(poster->runtime, 0, add_one, &poster->count);
    }
    return NULL;
}

static void test_runtime_fd_wakes_for_posts(void)
{
    struct cmds_runtime *runtime = inline_runtime();
    int epoll = inline_epoll(runtime);
    struct inline_poster poster = {.runtime = runtime};
    pthread_t thread;
    (void)turn_until_quiet(runtime);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, inline_poster_main, &poster), 0);

    while (poster.count < POSTS) {
        CU_ASSERT_TRUE_FATAL(is_readable(epoll, -1)); // A missed wake-up hangs here.
        (void)turn_until_quiet(runtime);
    }

    (void)pthread_join(thread, NULL);
    CU_ASSERT_EQUAL(poster.error, 0);
    CU_ASSERT_TRUE(comes_to_rest(runtime, epoll)); // Wake-ups may have come behind their posts.
    (void)close(epoll);
    cmds_runtime_stop(runtime);
}

struct alarm {
    struct cmdi_timer timer;
    bool fired;
};

static void fire_alarm(struct cmdi_timer *timer, uint64_t now_ms)
{
    CU_ASSERT(now_ms >= timer->at_ms);
    CMDI_CONTAINER(timer, struct alarm, timer)->fired = true;
}

static void arm_alarm(struct cmdi_shard *shard, void *context)
{
    struct alarm *alarm = context;
    cmdi_timer_init(&alarm->timer, fire_alarm);
    cmdi_shard_timer(shard, &alarm->timer, shard->now_ms + 5);
}

static void test_runtime_fd_wakes_for_timers(void)
{
    struct cmds_runtime *runtime = inline_runtime();
    int epoll = inline_epoll(runtime);
    struct alarm alarm = {.fired = false};
    (void)turn_until_quiet(runtime);
    cmdi_runtime_call(runtime, 0, arm_alarm, &alarm);

    while (!alarm.fired) {
        CU_ASSERT_TRUE_FATAL(is_readable(epoll, -1));
        (void)turn_until_quiet(runtime);
    }

    CU_ASSERT_FALSE(is_readable(epoll, 0)); // Silent again: the loop around it does not spin.
    (void)close(epoll);
    cmds_runtime_stop(runtime);
}

static void leave_work(struct cmdi_shard *shard, void *context)
{
    cmdi_shard_after(shard, &((struct step *)context)->work);
}

static void leave_work_inside(void *context)
{
    leave_work(cmdi_shard_current(), context);
}

/* What is left in a list runs without any other event, whoever left it. */
static void test_runtime_fd_wakes_for_work_that_was_left(void)
{
    struct cmds_runtime *runtime = inline_runtime();
    int epoll = inline_epoll(runtime);
    struct step late = {.name = 'l'};
    struct step flush = {.name = 'f', .then = &late};
    struct step after = {.name = 'e', .then = &flush, .then_flush = true};
    cmdi_work_init(&late.work, run_step);
    cmdi_work_init(&flush.work, run_step);
    cmdi_work_init(&after.work, run_step);
    (void)turn_until_quiet(runtime);

    for (uint32_t from_outside = 0; from_outside <= 1; from_outside++) {
        memset(steps_run, 0, sizeof(steps_run));
        if (from_outside) {
            cmdi_runtime_call(runtime, 0, leave_work, &after);
        } else {
            CU_ASSERT_EQUAL(cmds_runtime_post(runtime, 0, leave_work_inside, &after), 0);
        }
        CU_ASSERT_TRUE_FATAL(is_readable(epoll, -1));
        (void)turn_until_quiet(runtime);
        CU_ASSERT_STRING_EQUAL(steps_run, "efl");
        CU_ASSERT_FALSE(is_readable(epoll, 0));
    }
    (void)close(epoll);
    cmds_runtime_stop(runtime);
}

static void test_runtime_turn_waits_only_for_nothing(void)
{
    struct cmds_runtime *runtime = inline_runtime();
    uint32_t count = 0;
    CU_ASSERT_EQUAL(cmds_runtime_post(runtime, 0, add_one, &count), 0);

    CU_ASSERT_EQUAL(cmds_runtime_turn(runtime, CMDS_NEVER), 1); // It has something, so it returns.
    CU_ASSERT_EQUAL(count, 1);
    CU_ASSERT_EQUAL(cmds_runtime_turn(runtime, 100), 0);
    cmds_runtime_stop(runtime);
}

struct turner {
    struct cmds_runtime *runtime;
    int code;
};

static void turn_inside(void *context)
{
    struct turner *turner = context;
    turner->code = cmds_runtime_turn(turner->runtime, CMDS_TURN_NOWAIT);
}

static void *turn_elsewhere(void *argument)
{
    turn_inside(argument);
    return NULL;
}

static void test_runtime_turn_is_for_one_thread(void)
{
    struct cmds_runtime *runtime = inline_runtime();
    struct turner turner = {.runtime = runtime};
    pthread_t thread;
    CU_ASSERT_EQUAL(cmds_runtime_post(runtime, 0, turn_inside, &turner), 0);
    (void)turn_until_quiet(runtime);
    CU_ASSERT_EQUAL(turner.code, -EDEADLK);

    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, turn_elsewhere, &turner), 0);
    (void)pthread_join(thread, NULL);
    CU_ASSERT_EQUAL(turner.code, -EXDEV);
    cmds_runtime_stop(runtime);
}

/*
 * The thread that turned it has ended, and another one stops the runtime. The kernel takes nothing
 * from that one; what was posted runs all the same, and nobody is left behind.
 */
static void test_runtime_stops_without_its_thread(void)
{
    struct cmds_runtime *runtime = inline_runtime();
    struct turner turner = {.runtime = runtime};
    uint32_t count = 0;
    pthread_t thread;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, turn_elsewhere, &turner), 0);
    (void)pthread_join(thread, NULL);
    CU_ASSERT_EQUAL(turner.code, 0);
    CU_ASSERT_EQUAL(cmds_runtime_post(runtime, 0, add_one, &count), 0);

    cmds_runtime_stop(runtime);
    CU_ASSERT_EQUAL(count, 1);
}

static void test_runtime_posts_run_before_the_stop(void)
{
    for (uint32_t is_inline = 0; is_inline <= 1; is_inline++) {
        struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
        struct cmds_runtime *runtime = NULL;
        uint32_t count = 0;
        options.shard_count = is_inline ? CMDS_SHARDS_INLINE : 1;
        CU_ASSERT_EQUAL_FATAL(cmds_runtime_start(&runtime, &options, NULL), 0);
        for (uint32_t i = 0; i < 100; i++) {
            CU_ASSERT_EQUAL(cmds_runtime_post(runtime, 0, add_one, &count), 0);
        }
        cmds_runtime_stop(runtime);
        CU_ASSERT_EQUAL(count, 100);
    }
}

CU_TestInfo test_runtime_turn[] = {
        {"fd wakes for posts", test_runtime_fd_wakes_for_posts},
        {"fd wakes for timers", test_runtime_fd_wakes_for_timers},
        {"fd wakes for work that was left", test_runtime_fd_wakes_for_work_that_was_left},
        {"waits only for nothing", test_runtime_turn_waits_only_for_nothing},
        {"is for one thread", test_runtime_turn_is_for_one_thread},
        {"stops without its thread", test_runtime_stops_without_its_thread},
        {"posts run before the stop", test_runtime_posts_run_before_the_stop},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("runtime_turn", test_runtime_turn)

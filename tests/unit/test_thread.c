/* SPDX-License-Identifier: MIT */
/*
 * Threads and the futex. A futex could sleep through its wake, or when the word has changed already.
 */
#include "ring/thread.h"

#include <pthread.h>
#include <sys/resource.h>

#include "ring/clock.h"
#include "support/harness.h"

struct meeting {
    _Atomic uint32_t there, go;
};

static void *meeting_thread(void *context)
{
    struct meeting *meeting = context;
    atomic_store(&meeting->there, 1);
    cmdi_futex_wake(&meeting->there, 1);
    while (atomic_load(&meeting->go) == 0) {
        cmdi_futex_wait(&meeting->go, 0, UINT64_MAX);
    }
    return NULL;
}

static void test_thread_futex_wakes_who_waits(void)
{
    for (int i = 0; i < 200; i++) {
        struct meeting meeting = {0, 0};
        pthread_t thread;
        CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, meeting_thread, &meeting), 0);
        while (atomic_load(&meeting.there) == 0) {
            cmdi_futex_wait(&meeting.there, 0, UINT64_MAX);
        }
        atomic_store(&meeting.go, 1);
        cmdi_futex_wake(&meeting.go, 1);
        // A lost wake hangs here, and the alarm names the test.
        CU_ASSERT_EQUAL(pthread_join(thread, NULL), 0);
    }
}

static void test_thread_futex_does_not_sleep_when_the_word_has_changed_or_time_is_up(void)
{
    _Atomic uint32_t word = 5;

    cmdi_futex_wait(&word, 4, UINT64_MAX);
    cmdi_futex_wait(&word, 5, 0);
    struct rusage usage;
    CU_ASSERT_EQUAL(getrusage(RUSAGE_THREAD, &usage), 0);
    long sleeps = usage.ru_nvcsw;
    uint64_t before = cmdi_now_ns();
    while (cmdi_now_ns() < before + 2000000) {
        cmdi_futex_wait(&word, 5, 1000000);
    }
    CU_ASSERT_EQUAL(getrusage(RUSAGE_THREAD, &usage), 0);
    CU_ASSERT(usage.ru_nvcsw > sleeps); // But it does sleep while it is to.
    CU_ASSERT_EQUAL(atomic_load(&word), 5);
}

static CU_TestInfo test_thread[] = {
        {"futex wakes who waits", test_thread_futex_wakes_who_waits},
        {"futex does not sleep when the word has changed or time is up",
                test_thread_futex_does_not_sleep_when_the_word_has_changed_or_time_is_up},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("thread", test_thread)

/* SPDX-License-Identifier: MIT */
/*
 * What is taken of the machine as it is, besides its CPUs. A fork could go uncounted, a child of one of
 * our threads could be deaf to every signal, and a signal to end could be lost or end the process.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmdstream/base.h>

#include "machine/fork.h"
#include "machine/probe.h"
#include "machine/process.h"
#include "ring/output.h"
#include "ring/signals.h"
#include "ring/thread.h"
#include "support/harness.h"

enum {
    CHILD_RIGHT = 0,
    CHILD_WRONG = 1,
};

static int children; // Of this process, as its child counts them.

static void on_child(void)
{
    children++;
}

/* In a child. Returns: it was counted, `on_child` ran, and signals are blocked as they are to be. */
static bool child_is_right(uint32_t count, bool blocks)
{
    sigset_t mask;
    (void)pthread_sigmask(SIG_SETMASK, NULL, &mask);
    return cmdi_fork_count() == count + 1 && children == 1 &&
           (sigismember(&mask, SIGUSR1) == 1) == blocks;
}

static int status_of_child(bool blocks)
{
    uint32_t count = cmdi_fork_count();
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        _exit(child_is_right(count, blocks) ? CHILD_RIGHT : CHILD_WRONG);
    }
    return waitpid(child, &status, 0) == child && cmdi_fork_count() == count ? status : -1;
}

static void *fork_here(void *status)
{
    atomic_store((_Atomic int *)status, status_of_child(false));
    return NULL;
}

static void test_machine_counts_forks_in_the_child(void)
{
    sigset_t mask;
    sigset_t before;
    (void)sigemptyset(&mask);
    (void)sigaddset(&mask, SIGUSR1);
    CU_ASSERT_EQUAL_FATAL(cmdi_fork_register(on_child), 0);
    CU_ASSERT_EQUAL(cmdi_fork_register(on_child), 0); // Registered once: on_child would run twice.
    (void)fflush(NULL);
    CU_ASSERT_EQUAL(pthread_sigmask(SIG_SETMASK, &mask, &before), 0);

    int status = status_of_child(true);

    CU_ASSERT_EQUAL(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
    CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == CHILD_RIGHT);
}

static void test_machine_child_of_our_thread_hears_signals(void)
{
    _Atomic int status = -1;
    pthread_t thread;
    CU_ASSERT_EQUAL_FATAL(cmdi_fork_register(on_child), 0);
    (void)fflush(NULL);
    CU_ASSERT_EQUAL_FATAL(cmdi_thread_start(&thread, fork_here, (void *)&status, "forks", 0), 0);
    cmdi_thread_join(thread);
    CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == CHILD_RIGHT);
}

static void test_machine_takes_each_signal_to_end_once(void)
{
    sigset_t before;
    CU_ASSERT_EQUAL(pthread_sigmask(SIG_SETMASK, NULL, &before), 0);
    cmdi_stop_signals_block(true);
    CU_ASSERT_FALSE(cmdi_stop_signals_take());

    CU_ASSERT_EQUAL(raise(SIGTERM), 0);
    CU_ASSERT_EQUAL(cmdi_stop_signals_wait(true, CMDS_NEVER), CMDI_STOP_SIGNAL_END);
    CU_ASSERT_FALSE(cmdi_stop_signals_take());
    CU_ASSERT_EQUAL(raise(SIGHUP), 0);
    CU_ASSERT_FALSE(cmdi_stop_signals_take()); // It does not ask to end.
    CU_ASSERT_EQUAL(cmdi_stop_signals_wait(true, 1000000), CMDI_STOP_SIGNAL_HANGUP);
    CU_ASSERT_EQUAL(cmdi_stop_signals_wait(true, 1), CMDI_STOP_SIGNAL_NONE);
    CU_ASSERT_EQUAL(raise(SIGINT), 0);
    CU_ASSERT_TRUE(cmdi_stop_signals_take());
    CU_ASSERT_FALSE(cmdi_stop_signals_take());

    CU_ASSERT_EQUAL(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
}

static void test_machine_writes_as_long_as_somebody_reads(void)
{
    int fds[2];
    char text[4] = "";
    CU_ASSERT_EQUAL_FATAL(pipe(fds), 0);
    CU_ASSERT_EQUAL(cmdi_write_now(fds[1], "abc", 3), 0);
    CU_ASSERT_EQUAL(read(fds[0], text, sizeof(text)), 3);
    CU_ASSERT_STRING_EQUAL(text, "abc");

    int code = 0;
    for (int i = 0; code == 0 && i < 1000000; i++) {
        code = cmdi_write_now(fds[1], "a line of some length\n", 22);
    }
    CU_ASSERT_EQUAL(code, -EAGAIN);

    (void)close(fds[0]);
    CU_ASSERT_EQUAL(cmdi_write_now(fds[1], "abc", 3), -EPIPE); // And no SIGPIPE.
    (void)close(fds[1]);
}

static void test_machine_release_is_cut_at_its_size(void)
{
    char whole[CMDI_KERNEL_RELEASE_MAX];
    char part[3] = "xx";
    cmdi_kernel_release(whole, sizeof(whole));
    cmdi_kernel_release(part, sizeof(part));
    CU_ASSERT(strlen(whole) > 2);
    CU_ASSERT_EQUAL(strlen(part), 2);
    CU_ASSERT_EQUAL(strncmp(whole, part, 2), 0);
}

/* What it says follows what the process does. */
static void test_machine_process_is_this_one(void)
{
    struct cmdi_process before = {0}, after = {0};
    int fds[2];
    CU_ASSERT_EQUAL_FATAL(cmdi_process_read(&before), 0);
    CU_ASSERT_EQUAL_FATAL(pipe(fds), 0);
    size_t size = 64 * 1024 * 1024;
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CU_ASSERT_NOT_EQUAL_FATAL(memory, MAP_FAILED);
    memset(memory, 1, size);
    do { // Until a tick of the processor's time is counted.
        CU_ASSERT_EQUAL_FATAL(cmdi_process_read(&after), 0);
    } while (after.cpu_s <= before.cpu_s);

    CU_ASSERT_EQUAL(after.fd_count, before.fd_count + 2);
    CU_ASSERT(after.fd_count_max >= after.fd_count);
    CU_ASSERT(after.virtual_size >= before.virtual_size + size);
    CU_ASSERT(after.resident_size >= before.resident_size + size / 2);
    CU_ASSERT(after.resident_size <= after.virtual_size);
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    CU_ASSERT(after.start_s <= (double)now.tv_sec + 1);
    CU_ASSERT(after.start_s > (double)now.tv_sec - 3600);
    CU_ASSERT(after.start_s - before.start_s < 1 && before.start_s - after.start_s < 1);
    (void)munmap(memory, size);
    (void)close(fds[0]);
    (void)close(fds[1]);
}

static CU_TestInfo test_machine[] = {
        {"counts forks in the child", test_machine_counts_forks_in_the_child},
        {"child of our thread hears signals", test_machine_child_of_our_thread_hears_signals},
        {"takes each signal to end once", test_machine_takes_each_signal_to_end_once},
        {"writes as long as somebody reads", test_machine_writes_as_long_as_somebody_reads},
        {"process is this one", test_machine_process_is_this_one},
        {"release is cut at its size", test_machine_release_is_cut_at_its_size},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("machine", test_machine)

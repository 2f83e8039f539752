/* SPDX-License-Identifier: MIT */
/*
 * A ring that is misused. A buffer could be given to two receives, or an operation's completion taken
 * for the ring's own, and it would show much later and elsewhere: such a process ends at once.
 */
#include "ring/ring.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/harness.h"

enum {
    FIRST = 1000, // User data of the tests begins here.
    BUFFERS = 4,
};

static struct cmdi_ring *open_ring(void)
{
    const struct cmdi_ring_options options = {
            .entries = 32,
            .completion_entries = 128,
            .buffer_size = 64,
            .buffer_count = BUFFERS,
            .buffer_count_max = BUFFERS,
    };
    struct cmdi_ring *ring = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    if (cmdi_ring_create(&ring, &options, &error) < 0) {
        cmdi_test_skip(error.text);
    }
    CU_ASSERT_EQUAL_FATAL(cmdi_ring_enable(ring), 0);
    return ring;
}

/* A byte arrives in a buffer. Returns: its number. */
static uint16_t receive(struct cmdi_ring *ring, int fd)
{
    struct cmdi_completion completion = {0};
    CU_ASSERT_EQUAL_FATAL(send(fd, "x", 1, MSG_NOSIGNAL), 1);
    while (cmdi_ring_harvest(ring, &completion, 1) == 0) {
        CU_ASSERT_EQUAL_FATAL(cmdi_ring_enter(ring, CMDI_RING_WAIT_FOREVER), 0);
    }
    return completion.buffer;
}

static void *enter_elsewhere(void *context)
{
    (void)cmdi_ring_enter(context, CMDI_RING_WAIT_NONE);
    return NULL;
}

static void misuse_another_thread(struct cmdi_ring *ring)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, enter_elsewhere, ring) == 0) {
        (void)pthread_join(thread, NULL);
    }
}

static void misuse_released_twice(struct cmdi_ring *ring)
{
    int fds[2];
    CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    cmdi_ring_recv(ring, fds[0], false, FIRST);
    uint16_t first = receive(ring, fds[1]);
    (void)receive(ring, fds[1]); // So that one is held when the first is released again.
    cmdi_ring_buffer_release(ring, first);
    cmdi_ring_buffer_release(ring, first);
}

static void misuse_a_number_beyond_the_group(struct cmdi_ring *ring)
{
    (void)cmdi_ring_buffer(ring, BUFFERS);
}

static void misuse_own_user_data(struct cmdi_ring *ring)
{
    cmdi_ring_recv(ring, 0, false, CMDI_RING_OWN_MAX);
}

static void test_ring_misuse_ends_the_process(void)
{
    static void (*const misuses[])(struct cmdi_ring * ring) = {
            misuse_another_thread,
            misuse_released_twice,
            misuse_a_number_beyond_the_group,
            misuse_own_user_data,
    };
    cmdi_ring_destroy(open_ring()); // Skips the test here, not in a child, where there is none.
    for (size_t i = 0; i < sizeof(misuses) / sizeof(misuses[0]); i++) {
        (void)fflush(NULL);
        pid_t child = fork();
        CU_ASSERT_FATAL(child >= 0);
        if (child == 0) {
            (void)close(STDERR_FILENO);
            misuses[i](open_ring());
            _exit(0);
        }
        int status = 0;
        CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
        CU_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    }
}

static CU_TestInfo test_ring_misuse[] = {
        {"ends the process", test_ring_misuse_ends_the_process},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("ring misuse", test_ring_misuse)

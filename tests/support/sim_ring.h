/* SPDX-License-Identifier: MIT */
/*
 * The tests of the real ring, test_ring.c, on the simulated one: what they ask the kernel for is asked of
 * the world. Their helpers are there for others, too.
 */
#ifndef CMDI_TESTS_SUPPORT_SIM_RING_H
#define CMDI_TESTS_SUPPORT_SIM_RING_H

#include "ring/ring.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ring/clock.h"
#include "ring/socket.h"
#include "sim/net.h"
#include "support/harness.h"
#include "support/sim_runs.h"

/* --- What test_ring.c asks the kernel for, of the world ---------------------------------------- */

static inline void pause_us(uint64_t us)
{
    struct cmdi_sim_queue nobody;
    cmdi_sim_queue_init(&nobody);
    (void)cmdi_sim_wait(&nobody, cmdi_sim_now() + us * 1000, "a test");
}

/* Two ends of a connection through the loopback interface. */
static inline int world_socketpair(int domain, int type, int protocol, int fds[2])
{
    (void)domain;
    (void)type;
    (void)protocol;
    struct cmdi_address address = {.size = sizeof(address.as.v4)};
    address.as.v4.sin_family = AF_INET;
    address.as.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listener = cmdi_socket_listen(&address, 16, false, 0);
    if (listener < 0 || cmdi_socket_local(listener, &address) < 0) {
        return -1;
    }
    fds[0] = cmdi_socket_open(&address, 0);
    int code = cmdi_sock_connect(cmdi_sock_of_fd(fds[0]), &address);
    while (code == 0 && (fds[1] = cmdi_socket_accept_now(listener)) == -EAGAIN) {
        pause_us(10);
    }
    while (code == 0 && cmdi_sock_connected(cmdi_sock_of_fd(fds[0])) == -EINPROGRESS) {
        pause_us(10);
    }
    cmdi_fd_close(listener);
    return code;
}

static inline ssize_t world_send(int fd, const void *data, size_t size, int flags)
{
    (void)flags;
    return cmdi_sock_send(cmdi_sock_of_fd(fd), data, size);
}

static inline ssize_t world_recv(int fd, void *data, size_t size, int flags)
{
    int64_t got = cmdi_sock_recv(cmdi_sock_of_fd(fd), data, size);
    while (got == -EAGAIN && (flags & MSG_DONTWAIT) == 0) {
        pause_us(10);
        got = cmdi_sock_recv(cmdi_sock_of_fd(fd), data, size);
    }
    pause_us(1); // Whoever asks again and again lets the time pass.
    return got;
}

static inline int world_shutdown(int fd, int how)
{
    cmdi_socket_shutdown(fd, how);
    return 0;
}

static inline int world_close(int fd)
{
    cmdi_fd_close(fd);
    return 0;
}

#define socketpair world_socketpair
#define send       world_send
#define recv       world_recv
#define shutdown   world_shutdown
#define close      world_close
#undef CMDI_TEST_MAIN
#define CMDI_TEST_MAIN(suite, tests)
#include "unit/test_ring.c"
#undef CMDI_TEST_MAIN
#undef socketpair
#undef send
#undef recv
#undef shutdown
#undef close

/* --- In worlds -------------------------------------------------------------------------------- */

enum {
    SEEDS = 30,
};

static inline int main_of_test(void *context)
{
    const CU_TestInfo *test = context;
    test->pTestFunc();
    return 0;
}

static inline void in_worlds(int (*program_main)(void *context), void *context, uint32_t faults)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct cmds_sim *sim = open_world(seed, faults);
        (void)add(sim, "one", false, program_main, context);
        struct cmds_sim_report report;
        CU_ASSERT_EQUAL(finish(sim, &report, NULL, 0), 0);
        CU_ASSERT_EQUAL(report.blocks_left, 0);
        CU_ASSERT_EQUAL(report.files_left, 0);
    }
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The poller. An arrival could end no wait, or every wait after it (a busy loop), and a stop could be
 * lost when something arrived in the same moment.
 */
#include "ring/poller.h"

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "support/harness.h"

static void arrive(int fd)
{
    uint64_t one = 1;
    CU_ASSERT_EQUAL_FATAL(write(fd, &one, sizeof(one)), sizeof(one));
}

static void test_poller_ends_a_wait_for_an_arrival_at_each_of_several(void)
{
    struct cmdi_poller poller;
    int fds[2] = {eventfd(0, EFD_CLOEXEC), eventfd(0, EFD_CLOEXEC)};
    CU_ASSERT_EQUAL_FATAL(cmdi_poller_init(&poller), 0);
    CU_ASSERT_EQUAL(cmdi_poller_add(&poller, fds[0]), 0);
    CU_ASSERT_EQUAL(cmdi_poller_add(&poller, fds[1]), 0);

    for (int i = 0; i < 4; i++) {
        arrive(fds[i % 2]);
        CU_ASSERT_TRUE(cmdi_poller_wait(&poller));
    }

    cmdi_poller_fini(&poller);
    (void)close(fds[0]);
    (void)close(fds[1]);
}

/* Would a wait end? */
static bool is_ready(const struct cmdi_poller *poller)
{
    struct pollfd ready = {.fd = poller->poll_fd, .events = POLLIN};
    return poll(&ready, 1, 0) == 1;
}

/* Nobody takes what has arrived, and yet it ends no second wait. */
static void test_poller_ends_one_wait_for_one_arrival(void)
{
    struct cmdi_poller poller;
    int fd = eventfd(0, EFD_CLOEXEC);
    CU_ASSERT_EQUAL_FATAL(cmdi_poller_init(&poller), 0);
    CU_ASSERT_EQUAL(cmdi_poller_add(&poller, fd), 0);
    CU_ASSERT_FALSE(is_ready(&poller));

    arrive(fd);

    CU_ASSERT_TRUE(is_ready(&poller));
    CU_ASSERT_TRUE(cmdi_poller_wait(&poller));
    CU_ASSERT_FALSE(is_ready(&poller));
    arrive(fd);
    CU_ASSERT_TRUE(is_ready(&poller));
    cmdi_poller_fini(&poller);
    (void)close(fd);
}

static void test_poller_stop_is_seen_beside_an_arrival(void)
{
    struct cmdi_poller poller;
    int fd = eventfd(0, EFD_CLOEXEC);
    CU_ASSERT_EQUAL_FATAL(cmdi_poller_init(&poller), 0);
    CU_ASSERT_EQUAL(cmdi_poller_add(&poller, fd), 0);

    arrive(fd);
    cmdi_poller_stop(&poller);

    CU_ASSERT_FALSE(cmdi_poller_wait(&poller));
    CU_ASSERT_FALSE(cmdi_poller_wait(&poller)); // Nor is it forgotten.
    cmdi_poller_fini(&poller);
    (void)close(fd);
}

static CU_TestInfo test_poller[] = {
        {"ends a wait for an arrival at each of several",
                test_poller_ends_a_wait_for_an_arrival_at_each_of_several},
        {"ends one wait for one arrival", test_poller_ends_one_wait_for_one_arrival},
        {"stop is seen beside an arrival", test_poller_stop_is_seen_beside_an_arrival},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("poller", test_poller)

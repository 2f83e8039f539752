/* SPDX-License-Identifier: MIT */
/*
 * Receive buffers side by side in one block. What may go wrong: one reaches into the next one, when the
 * kernel fills it or takes its pages back.
 */
#include "ring/ring.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/harness.h"

enum {
    FIRST = 1000, // User data of the tests begins here: below 16 is the ring's own.
};

static struct cmdi_ring *open_ring(const struct cmdi_ring_options *options)
{
    struct cmdi_ring *ring = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    if (cmdi_ring_create(&ring, options, &error) < 0) {
        cmdi_test_skip(error.text);
    }
    CU_ASSERT_EQUAL_FATAL(cmdi_ring_enable(ring), 0);
    return ring;
}

static void pair(int fds[2])
{
    CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
}

static void pair_close(const int fds[2])
{
    (void)close(fds[0]);
    (void)close(fds[1]);
}

/* The next completion, however long it takes: the harness ends a test that hangs. */
static struct cmdi_completion next(struct cmdi_ring *ring)
{
    struct cmdi_completion completion = {0};
    while (cmdi_ring_harvest(ring, &completion, 1) == 0) {
        CU_ASSERT_EQUAL_FATAL(cmdi_ring_enter(ring, CMDI_RING_WAIT_FOREVER), 0);
    }
    return completion;
}

/* The first ones take more, and none reaches into the next one, wherever the group begins anew. */
static void test_ring_buffers_first_ones_are_large(void)
{
    enum {
        SMALL = 16,
        LARGE = 100,
        COUNT = 4,
        LARGE_COUNT = 2,
    };
    struct cmdi_ring *ring = open_ring(&(struct cmdi_ring_options){.entries = 8,
            .completion_entries = 32,
            .buffer_size = SMALL,
            .large_count = LARGE_COUNT,
            .large_size = LARGE,
            .buffer_count = COUNT,
            .buffer_count_max = COUNT});
    char text[LARGE_COUNT * LARGE + (COUNT - LARGE_COUNT) * SMALL];
    int fds[2];
    pair(fds);
    cmdi_ring_recv(ring, fds[0], true, FIRST);

    for (uint32_t round = 0; round < 3; round++) {
        struct cmdi_completion completions[COUNT];
        size_t begin = 0;
        for (size_t i = 0; i < sizeof(text); i++) {
            text[i] = (char)('a' + (i + round) % 23);
        }
        CU_ASSERT_EQUAL_FATAL(send(fds[1], text, sizeof(text), 0), (ssize_t)sizeof(text));
        for (uint32_t i = 0; i < COUNT; i++) {
            completions[i] = next(ring);
            CU_ASSERT_EQUAL(
                    completions[i].result, completions[i].buffer < LARGE_COUNT ? LARGE : SMALL);
            CU_ASSERT_TRUE_FATAL(completions[i].flags & CMDI_COMPLETION_MORE);
        }
        for (uint32_t i = 0; i < COUNT; i++) {
            size_t size = (size_t)completions[i].result;
            const uint8_t *data = cmdi_ring_buffer(ring, completions[i].buffer);
            CU_ASSERT_EQUAL(memcmp(data, text + begin, size), 0);
            begin += size;
        }
        CU_ASSERT_EQUAL(begin, sizeof(text));
        for (uint32_t i = COUNT; i > 0; i--) {
            cmdi_ring_buffer_release(ring, completions[i - 1].buffer);
        }
    }
    pair_close(fds);
    cmdi_ring_destroy(ring);
}

/* A client that waits for its program receives a little now and then, for minutes, within one bound. */
static void test_ring_buffers_a_little_fills_no_large_one(void)
{
    enum {
        SMALL = 16,
        LARGE = 100,
    };
    struct cmdi_ring *ring = open_ring(&(struct cmdi_ring_options){.entries = 8,
            .completion_entries = 32,
            .buffer_size = SMALL,
            .large_count = 2,
            .large_size = LARGE,
            .buffer_count = 2,
            .buffer_count_max = 2});
    static const char text[LARGE] = "a little";
    int fds[2];
    pair(fds);
    CU_ASSERT_EQUAL_FATAL(send(fds[1], text, sizeof(text), 0), (ssize_t)sizeof(text));
    cmdi_ring_recv_once(ring, fds[0], FIRST);
    struct cmdi_completion completion = next(ring);
    CU_ASSERT_EQUAL(completion.result, SMALL);
    CU_ASSERT_FALSE(completion.flags & CMDI_COMPLETION_MORE);
    cmdi_ring_buffer_release(ring, completion.buffer);
    pair_close(fds);
    cmdi_ring_destroy(ring);
}

/* The last ones are smaller: a receive fills them in pieces, and their neighbours are not touched. */
static void test_ring_buffers_last_ones_are_small(void)
{
    enum {
        SMALL = 10,
        NORMAL = 30,
        LARGE = 50,
        COUNT = 4, // One large, one normal, two small.
    };
    static const uint32_t sizes[COUNT] = {LARGE, NORMAL, SMALL, SMALL};
    struct cmdi_ring *ring = open_ring(&(struct cmdi_ring_options){.entries = 8,
            .completion_entries = 32,
            .buffer_size = NORMAL,
            .large_count = 1,
            .large_size = LARGE,
            .small_count = 2,
            .small_size = SMALL,
            .buffer_count = COUNT,
            .buffer_count_max = COUNT});
    char text[LARGE + NORMAL + 2 * SMALL];
    struct cmdi_completion completions[COUNT];
    int fds[2];
    pair(fds);
    cmdi_ring_recv(ring, fds[0], true, FIRST);
    for (size_t i = 0; i < sizeof(text); i++) {
        text[i] = (char)i;
    }
    CU_ASSERT_EQUAL_FATAL(send(fds[1], text, sizeof(text), 0), (ssize_t)sizeof(text));
    for (uint32_t i = 0; i < COUNT; i++) {
        completions[i] = next(ring);
        CU_ASSERT_EQUAL_FATAL(completions[i].result, (int32_t)sizes[i]);
    }
    const char *at = text;
    for (uint32_t i = 0; i < COUNT; i++) {
        const uint8_t *data = cmdi_ring_buffer(ring, completions[i].buffer);
        CU_ASSERT_EQUAL(memcmp(data, at, sizes[i]), 0);
        at += sizes[i];
        cmdi_ring_buffer_release(ring, completions[i].buffer);
    }
    pair_close(fds);
    cmdi_ring_destroy(ring);
}

/* A buffer that leaves the group gives its pages back, but for those that it shares with its neighbours. */
static void test_ring_buffers_parked_one_leaves_its_neighbours_alone(void)
{
    enum {
        SIZE = 6144, // One and a half pages.
        COUNT = 8,
    };
    static char text[COUNT * SIZE];
    struct cmdi_ring *ring = open_ring(&(struct cmdi_ring_options){.entries = 8,
            .completion_entries = 32,
            .buffer_size = SIZE,
            .buffer_count = COUNT / 2,
            .buffer_count_max = COUNT});
    struct cmdi_completion completions[COUNT];
    int fds[2];
    pair(fds);
    CU_ASSERT_TRUE(cmdi_ring_buffers_grow(ring));
    cmdi_ring_recv(ring, fds[0], true, FIRST);
    memset(text, 'x', sizeof(text));
    CU_ASSERT_EQUAL_FATAL(send(fds[1], text, sizeof(text), 0), (ssize_t)sizeof(text));
    for (uint32_t i = 0; i < COUNT; i++) {
        completions[i] = next(ring);
        CU_ASSERT_EQUAL_FATAL(completions[i].result, SIZE);
    }

    cmdi_ring_buffers_shrink(ring);
    for (uint32_t i = 0; i < COUNT; i++) {
        const uint8_t *data = cmdi_ring_buffer(ring, completions[i].buffer);
        CU_ASSERT_EQUAL(memcmp(data, text, SIZE), 0);
        cmdi_ring_buffer_release(ring, completions[i].buffer);
    }
    pair_close(fds);
    cmdi_ring_destroy(ring);
}

static CU_TestInfo test_ring_buffers[] = {
        {"first ones are large", test_ring_buffers_first_ones_are_large},
        {"a little fills no large one", test_ring_buffers_a_little_fills_no_large_one},
        {"last ones are small", test_ring_buffers_last_ones_are_small},
        {"parked one leaves its neighbours alone",
                test_ring_buffers_parked_one_leaves_its_neighbours_alone},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("ring_buffers", test_ring_buffers)

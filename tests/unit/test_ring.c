/* SPDX-License-Identifier: MIT */
/*
 * The ring against the real kernel, over socket pairs. What could go wrong: an operation that the
 * kernel never saw because a queue was full, a completion that was lost or taken twice, a receive
 * buffer that leaked or was given out twice, a wait that nobody can end, an fd that stays readable
 * (a busy loop of whoever waits on it) or stays silent (a loop that never wakes), and an end that
 * waits for what does not come. Queues and groups are as small as the kernel lets them be.
 */
#include "ring/ring.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ring/clock.h"
#include "ring/socket.h"
#include "support/harness.h"

enum {
    FIRST = 1000, // User data of the tests begins here: below 16 is the ring's own.
    COMPLETIONS_MAX = 64,
    PAIRS = 40,
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

static struct cmdi_ring *usual_ring(void)
{
    return open_ring(&(struct cmdi_ring_options){.entries = 32,
            .completion_entries = 128,
            .buffer_size = 64,
            .buffer_count = 4,
            .buffer_count_max = 4});
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

/* What comes without waiting, the ring's own work included. Returns: how many. */
static uint32_t drain(struct cmdi_ring *ring, struct cmdi_completion *completions)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < 4; i++) {
        CU_ASSERT_EQUAL_FATAL(cmdi_ring_enter(ring, CMDI_RING_WAIT_NONE), 0);
        count += cmdi_ring_harvest(ring, completions + count, COMPLETIONS_MAX - count);
    }
    return count;
}

static void send_text(int fd, const char *text)
{
    CU_ASSERT_EQUAL_FATAL(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* --- Operations ------------------------------------------------------------------------------- */

static void test_ring_sends_and_receives(void)
{
    struct cmdi_ring *ring = usual_ring();
    int fds[2];
    char text[8];
    pair(fds);

    cmdi_ring_send(ring, fds[0], "hello", 5, FIRST);
    struct cmdi_completion completion = next(ring);
    CU_ASSERT_EQUAL(completion.user_data, FIRST);
    CU_ASSERT_EQUAL(completion.result, 5);
    CU_ASSERT_EQUAL(completion.flags, 0);
    CU_ASSERT_EQUAL(recv(fds[1], text, sizeof(text), 0), 5);

    cmdi_ring_recv(ring, fds[0], false, FIRST + 1);
    for (uint32_t i = 0; i < 10; i++) {
        send_text(fds[1], "data");
        completion = next(ring);
        CU_ASSERT_EQUAL(completion.user_data, FIRST + 1);
        CU_ASSERT_EQUAL(completion.result, 4);
        CU_ASSERT_TRUE(completion.flags & CMDI_COMPLETION_MORE);
        CU_ASSERT_TRUE_FATAL(completion.flags & CMDI_COMPLETION_BUFFER);
        CU_ASSERT_EQUAL(memcmp(cmdi_ring_buffer(ring, completion.buffer), "data", 4), 0);
        CU_ASSERT_EQUAL(cmdi_ring_buffers_free(ring), 3);
        cmdi_ring_buffer_release(ring, completion.buffer);
    }

    CU_ASSERT_EQUAL(shutdown(fds[1], SHUT_WR), 0);
    completion = next(ring);
    CU_ASSERT_EQUAL(completion.result, 0);
    CU_ASSERT_EQUAL(completion.flags, 0);
    pair_close(fds);
    cmdi_ring_destroy(ring);
}

static void test_ring_send_waits_for_room(void)
{
    enum {
        SIZE = 4 * 1024 * 1024,
    };
    struct cmdi_ring *ring = usual_ring();
    uint8_t *data = calloc(1, SIZE);
    uint8_t *back = malloc(SIZE);
    struct cmdi_completion completions[COMPLETIONS_MAX];
    int fds[2];
    size_t got = 0;
    CU_ASSERT_FATAL(data != NULL && back != NULL);
    pair(fds);

    cmdi_ring_send(ring, fds[0], data, SIZE, FIRST);
    CU_ASSERT_EQUAL(drain(ring, completions), 0);
    while (got < SIZE) {
        ssize_t size = recv(fds[1], back, SIZE, MSG_DONTWAIT);
        got += size > 0 ? (size_t)size : 0;
        CU_ASSERT_EQUAL_FATAL(cmdi_ring_enter(ring, CMDI_RING_WAIT_NONE), 0);
    }
    CU_ASSERT_EQUAL(next(ring).result, SIZE); // All of it, in one completion.

    free(data);
    free(back);
    pair_close(fds);
    cmdi_ring_destroy(ring);
}

static void test_ring_cancel_completes_both(void)
{
    struct cmdi_ring *ring = usual_ring();
    int fds[2];
    pair(fds);
    cmdi_ring_recv(ring, fds[0], true, FIRST);
    CU_ASSERT_EQUAL_FATAL(cmdi_ring_enter(ring, CMDI_RING_WAIT_NONE), 0);

    cmdi_ring_cancel(ring, FIRST, FIRST + 1);
    for (uint32_t i = 0; i < 2; i++) { // In any order.
        struct cmdi_completion completion = next(ring);
        CU_ASSERT_EQUAL(completion.result, completion.user_data == FIRST ? -ECANCELED : 0);
        CU_ASSERT_EQUAL(completion.flags, 0);
    }
    cmdi_ring_cancel(ring, FIRST, FIRST + 2);
    CU_ASSERT_EQUAL(next(ring).result, -ENOENT);

    /* In one submission, the cancel behind its victim: it finds it. */
    cmdi_ring_recv(ring, fds[0], false, FIRST + 3);
    cmdi_ring_cancel(ring, FIRST + 3, FIRST + 4);
    struct cmdi_completion one = next(ring);
    struct cmdi_completion two = next(ring);
    CU_ASSERT_EQUAL(one.user_data + two.user_data, 2 * FIRST + 7);
    CU_ASSERT_EQUAL(one.result + two.result, -ECANCELED);
    CU_ASSERT_EQUAL(cmdi_ring_buffers_free(ring), 4);
    pair_close(fds);
    cmdi_ring_destroy(ring);
}

static int listen_anywhere(struct cmdi_address *address)
{
    *address = (struct cmdi_address){.size = sizeof(address->as.v4)};
    address->as.v4.sin_family = AF_INET;
    address->as.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = cmdi_socket_listen(address, 16, false, 0);
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_EQUAL_FATAL(cmdi_socket_local(fd, address), 0);
    return fd;
}

static void test_ring_accepts_and_connects(void)
{
    struct cmdi_ring *ring = usual_ring();
    struct cmdi_address address;
    int listener = listen_anywhere(&address);

    for (uint32_t once = 0; once <= 1; once++) {
        uint64_t accept = FIRST + 100 + once;
        cmdi_ring_accept(ring, listener, once, accept);
        for (uint32_t i = 0; i <= (once ? 0 : 2); i++) {
            int fd = cmdi_socket_open(&address, 0);
            cmdi_ring_connect(ring, fd, &address, FIRST);
            for (uint32_t k = 0; k < 2; k++) {
                struct cmdi_completion completion = next(ring);
                CU_ASSERT_FATAL(completion.result >= 0);
                if (completion.user_data == accept) {
                    CU_ASSERT_EQUAL((completion.flags & CMDI_COMPLETION_MORE) == 0, once);
                    (void)close(completion.result);
                }
            }
            (void)close(fd);
        }
        if (!once) {
            cmdi_ring_cancel(ring, accept, FIRST + 1);
            (void)next(ring);
            (void)next(ring);
        }
    }
    (void)close(listener);

    int fd = cmdi_socket_open(&address, 0);
    cmdi_ring_connect(ring, fd, &address, FIRST);
    CU_ASSERT_EQUAL(next(ring).result, -ECONNREFUSED);
    (void)close(fd);
    cmdi_ring_destroy(ring);
}

/* --- Buffers ---------------------------------------------------------------------------------- */

/* Receives `count` buffers and keeps them; then the next one finds none. */
static void use_up(struct cmdi_ring *ring, const int fds[2], uint32_t count, uint16_t *buffers)
{
    cmdi_ring_recv(ring, fds[0], false, FIRST);
    for (uint32_t i = 0; i < count; i++) {
        send_text(fds[1], "x");
        struct cmdi_completion completion = next(ring);
        CU_ASSERT_TRUE_FATAL(completion.flags & CMDI_COMPLETION_BUFFER);
        buffers[i] = completion.buffer;
    }
    send_text(fds[1], "y");
    struct cmdi_completion completion = next(ring);
    CU_ASSERT_EQUAL(completion.result, -ENOBUFS);
    CU_ASSERT_EQUAL(completion.flags & CMDI_COMPLETION_MORE, 0);
}

static void test_ring_without_buffers_loses_nothing(void)
{
    for (uint32_t count = 1; count <= 4; count *= 2) {
        struct cmdi_ring *ring = open_ring(&(struct cmdi_ring_options){.entries = 4,
                .completion_entries = 8,
                .buffer_size = 16,
                .buffer_count = count,
                .buffer_count_max = count});
        uint16_t buffers[4];
        int fds[2];
        pair(fds);
        use_up(ring, fds, count, buffers);
        CU_ASSERT_EQUAL(cmdi_ring_buffers_free(ring), 0);
        CU_ASSERT_FALSE(cmdi_ring_buffers_grow(ring));

        cmdi_ring_buffer_release(ring, buffers[0]);
        cmdi_ring_recv(ring, fds[0], false, FIRST);
        struct cmdi_completion completion = next(ring);
        CU_ASSERT_EQUAL(completion.result, 1);
        CU_ASSERT_EQUAL(completion.buffer, buffers[0]);
        CU_ASSERT_EQUAL(cmdi_ring_buffer(ring, completion.buffer)[0], 'y');
        pair_close(fds);
        cmdi_ring_destroy(ring);
    }
}

static void test_ring_group_grows_and_shrinks(void)
{
    struct cmdi_ring *ring = open_ring(&(struct cmdi_ring_options){.entries = 8,
            .completion_entries = 32,
            .buffer_size = 16,
            .buffer_count = 2,
            .buffer_count_max = 8});
    uint16_t buffers[8];
    int fds[2];
    pair(fds);

    for (uint32_t count = 2; count <= 8; count *= 2) {
        bool seen[8] = {false};
        use_up(ring, fds, count, buffers);
        for (uint32_t i = 0; i < count; i++) {
            CU_ASSERT_FATAL(buffers[i] < count && !seen[buffers[i]]); // Each is given out once.
            seen[buffers[i]] = true;
            cmdi_ring_buffer_release(ring, buffers[i]);
        }
        char text[4];
        CU_ASSERT_EQUAL(recv(fds[0], text, sizeof(text), 0), 1);
        CU_ASSERT_EQUAL(cmdi_ring_buffers_grow(ring), count < 8);
    }
    CU_ASSERT_EQUAL(cmdi_ring_buffer_count(ring), 8);
    CU_ASSERT_EQUAL(cmdi_ring_buffers_peak(ring), 8);
    CU_ASSERT_EQUAL(cmdi_ring_buffers_peak(ring), 0); // Since it was last asked.

    // It shrinks while all are ours, and grows while some are parked.
    use_up(ring, fds, 8, buffers);
    for (uint32_t i = 0; i < 4; i++) {
        cmdi_ring_buffers_shrink(ring);
    }
    CU_ASSERT_EQUAL(cmdi_ring_buffer_count(ring), 2);
    for (uint32_t i = 0; i < 5; i++) {
        cmdi_ring_buffer_release(ring, buffers[i]);
    }
    CU_ASSERT_TRUE(cmdi_ring_buffers_grow(ring));
    CU_ASSERT_TRUE(cmdi_ring_buffers_grow(ring));
    for (uint32_t i = 5; i < 8; i++) {
        cmdi_ring_buffer_release(ring, buffers[i]);
    }
    CU_ASSERT_EQUAL(cmdi_ring_buffers_free(ring), 8);
    char text[4];
    CU_ASSERT_EQUAL(recv(fds[0], text, sizeof(text), 0), 1);
    bool seen[8] = {false};
    use_up(ring, fds, 8, buffers);
    for (uint32_t i = 0; i < 8; i++) {
        CU_ASSERT_FALSE(seen[buffers[i]]);
        seen[buffers[i]] = true;
    }
    pair_close(fds);
    cmdi_ring_destroy(ring);
}

/* --- Full queues ------------------------------------------------------------------------------ */

/* Forty receives and what comes to them, through queues of four. */
static void test_ring_full_queues_lose_nothing(void)
{
    struct cmdi_ring *ring = open_ring(&(struct cmdi_ring_options){.entries = 4,
            .completion_entries = 4,
            .buffer_size = 16,
            .buffer_count = 64,
            .buffer_count_max = 64});
    static int fds[PAIRS][2];
    bool armed[PAIRS] = {false};
    uint32_t got[PAIRS] = {0};
    uint32_t total = 0;
    for (uint32_t i = 0; i < PAIRS; i++) {
        pair(fds[i]);
    }
    for (uint32_t round = 0; round < 5; round++) {
        for (uint32_t i = 0; i < PAIRS; i++) {
            if (!armed[i]) {
                cmdi_ring_recv(ring, fds[i][0], false, FIRST + i);
                armed[i] = true;
            }
        }
        for (uint32_t i = 0; i < PAIRS; i++) {
            send_text(fds[i][1], "z");
        }
        while (total < (round + 1) * PAIRS) {
            struct cmdi_completion completion = next(ring);
            uint64_t i = completion.user_data - FIRST;
            CU_ASSERT_FATAL(i < PAIRS);
            if (completion.flags & CMDI_COMPLETION_BUFFER) {
                got[i] += (uint32_t)completion.result;
                total += (uint32_t)completion.result;
                cmdi_ring_buffer_release(ring, completion.buffer);
            }
            armed[i] = (completion.flags & CMDI_COMPLETION_MORE) != 0;
            if (!armed[i]) { // A full queue ends what is multishot.
                cmdi_ring_recv(ring, fds[i][0], false, FIRST + i);
                armed[i] = true;
            }
        }
    }
    for (uint32_t i = 0; i < PAIRS; i++) {
        CU_ASSERT_EQUAL(got[i], 5);
        pair_close(fds[i]);
    }
    CU_ASSERT_EQUAL(cmdi_ring_buffers_free(ring), 64);
    cmdi_ring_destroy(ring);
}

/* Operations that each complete at once, many more than both queues hold. */
static void test_ring_overflow_loses_no_completion(void)
{
    enum {
        SENDS = 1000,
    };
    struct cmdi_ring *ring = open_ring(&(struct cmdi_ring_options){.entries = 4,
            .completion_entries = 4,
            .buffer_size = 16,
            .buffer_count = 1,
            .buffer_count_max = 1});
    static bool seen[SENDS];
    int fds[2];
    memset(seen, 0, sizeof(seen));
    pair(fds);
    for (uint32_t i = 0; i < SENDS; i++) {
        cmdi_ring_send(ring, i % 2 == 0 ? fds[0] : -1, "a", 1, FIRST + i);
        char text[4];
        (void)recv(fds[1], text, sizeof(text), MSG_DONTWAIT);
    }
    cmdi_ring_wake(ring);
    for (uint32_t i = 0; i < SENDS; i++) {
        struct cmdi_completion completion = next(ring);
        uint64_t number = completion.user_data - FIRST;
        CU_ASSERT_FATAL(number < SENDS && !seen[number]);
        seen[number] = true;
        CU_ASSERT_EQUAL(completion.result, number % 2 == 0 ? 1 : -EBADF);
    }
    cmdi_ring_wake(ring); // And the wake-up still works.
    CU_ASSERT_EQUAL(cmdi_ring_enter(ring, CMDI_RING_WAIT_FOREVER), 0);
    pair_close(fds);
    cmdi_ring_destroy(ring);
}

/* --- Waking ----------------------------------------------------------------------------------- */

static void *wake_main(void *argument)
{
    cmdi_ring_wake(argument);
    return NULL;
}

static void test_ring_wake_ends_a_wait(void)
{
    struct cmdi_ring *ring = usual_ring();
    struct cmdi_completion completions[COMPLETIONS_MAX];
    for (uint32_t i = 0; i < 100; i++) {
        pthread_t thread;
        CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, wake_main, ring), 0);
        while (!cmdi_ring_has_work(ring)) {
            CU_ASSERT_EQUAL_FATAL(cmdi_ring_enter(ring, CMDI_RING_WAIT_FOREVER), 0);
        }
        CU_ASSERT_EQUAL(drain(ring, completions), 0); // Nobody else sees it.
        (void)pthread_join(thread, NULL);
    }
    cmdi_ring_wake(ring); // Before the wait: it does not begin.
    cmdi_ring_wake(ring);
    CU_ASSERT_EQUAL(cmdi_ring_enter(ring, CMDI_RING_WAIT_FOREVER), 0);
    cmdi_ring_destroy(ring);
}

static void test_ring_wait_has_an_end(void)
{
    struct cmdi_ring *ring = usual_ring();
    uint64_t start_ns = cmdi_now_ns();

    CU_ASSERT_EQUAL(cmdi_ring_enter(ring, 2000000), 0);

    CU_ASSERT(cmdi_now_ns() - start_ns >= 2000000);
    CU_ASSERT_FALSE(cmdi_ring_has_work(ring));
    cmdi_ring_destroy(ring);
}

/* --- The fd of an inline runtime -------------------------------------------------------------- */

static struct cmdi_ring *external_ring(void)
{
    return open_ring(&(struct cmdi_ring_options){.entries = 8,
            .completion_entries = 16,
            .buffer_size = 16,
            .buffer_count = 2,
            .buffer_count_max = 2,
            .external_wait = true});
}

static bool readable(const struct cmdi_ring *ring, int timeout_ms)
{
    struct pollfd poll_fd = {.fd = cmdi_ring_fd(ring), .events = POLLIN};
    return poll(&poll_fd, 1, timeout_ms) == 1;
}

/* Takes what there is; then the fd is silent. */
static void expect_quiet(struct cmdi_ring *ring)
{
    struct cmdi_completion completions[COMPLETIONS_MAX];
    (void)drain(ring, completions);
    cmdi_ring_fd_quiet(ring);
    CU_ASSERT_FALSE(cmdi_ring_has_work(ring));
    CU_ASSERT_FALSE(readable(ring, 0));
}

static void test_ring_fd_tells_of_everything(void)
{
    struct cmdi_ring *ring = external_ring();
    int fds[2];
    pair(fds);
    cmdi_ring_recv(ring, fds[0], false, FIRST);
    expect_quiet(ring);

    send_text(fds[1], "x");
    CU_ASSERT_TRUE(readable(ring, -1));
    expect_quiet(ring);

    cmdi_ring_wake(ring);
    CU_ASSERT_TRUE(readable(ring, -1));
    expect_quiet(ring);

    cmdi_ring_alarm(ring, cmdi_now_ns() + 1000000);
    CU_ASSERT_EQUAL(cmdi_ring_enter(ring, CMDI_RING_WAIT_NONE), 0);
    CU_ASSERT_TRUE(readable(ring, -1));
    // An alarm alone is nobody's completion, and has to be cleared all the same.
    expect_quiet(ring);
    pair_close(fds);
    cmdi_ring_destroy(ring);
}

static void test_ring_alarm_moves_to_the_earlier_time(void)
{
    struct cmdi_ring *ring = external_ring();
    uint64_t far_ns = cmdi_now_ns() + 3600ull * 1000000000u;
    expect_quiet(ring);

    for (uint32_t i = 0; i < 100; i++) { // Each time the far one and a near one: none may pile up.
        cmdi_ring_alarm(ring, far_ns);
        CU_ASSERT_EQUAL_FATAL(cmdi_ring_enter(ring, CMDI_RING_WAIT_NONE), 0);
        expect_quiet(ring);
        cmdi_ring_alarm(ring, cmdi_now_ns() + 100000);
        CU_ASSERT_EQUAL_FATAL(cmdi_ring_enter(ring, CMDI_RING_WAIT_NONE), 0);
        CU_ASSERT_TRUE_FATAL(readable(ring, -1));
        while (cmdi_ring_in_flight(ring) > 1) { // Only the wake-up's READ stays.
            struct cmdi_completion completions[COMPLETIONS_MAX];
            CU_ASSERT_EQUAL(cmdi_ring_harvest(ring, completions, COMPLETIONS_MAX), 0);
            CU_ASSERT_EQUAL_FATAL(cmdi_ring_enter(ring, CMDI_RING_WAIT_NONE), 0);
        }
        expect_quiet(ring);
    }
    cmdi_ring_destroy(ring);
}

/* --- Life ------------------------------------------------------------------------------------- */

static void test_ring_features_go_by_the_environment(void)
{
    CU_ASSERT_EQUAL_FATAL(unsetenv("CMDSTREAM_FEATURES_OFF"), 0); // A run without any has it set.
    struct cmdi_ring *ring = usual_ring();
    uint32_t usual = cmdi_ring_features(ring);
    cmdi_ring_destroy(ring);
    CU_ASSERT_TRUE(usual & 1u << CMDI_RING_FEATURE_REGISTERED_FD);

    CU_ASSERT_EQUAL_FATAL(setenv("CMDSTREAM_FEATURES_OFF", "no_iowait,registered_fd", 1), 0);
    ring = usual_ring();
    CU_ASSERT_EQUAL(cmdi_ring_features(ring), usual & (1u << CMDI_RING_FEATURE_ACCEPT_POLL_FIRST));
    cmdi_ring_destroy(ring);

    CU_ASSERT_EQUAL_FATAL(setenv("CMDSTREAM_FEATURES_OFF", "registered", 1), 0); // No such name.
    ring = usual_ring();
    CU_ASSERT_EQUAL(cmdi_ring_features(ring), usual);
    cmdi_ring_destroy(ring);

    CU_ASSERT_EQUAL_FATAL(setenv("CMDSTREAM_FEATURES_OFF", "all", 1), 0);
    ring = usual_ring();
    CU_ASSERT_EQUAL(cmdi_ring_features(ring), 0);
    cmdi_ring_destroy(ring);
    test_ring_sends_and_receives(); // It works without any of them.
    test_ring_full_queues_lose_nothing();
    test_ring_accepts_and_connects();
    CU_ASSERT_EQUAL_FATAL(unsetenv("CMDSTREAM_FEATURES_OFF"), 0);
}

static void test_ring_ends_with_operations_in_flight(void)
{
    for (uint32_t submitted = 0; submitted <= 1; submitted++) {
        struct cmdi_ring *ring = open_ring(&(struct cmdi_ring_options){.entries = 4,
                .completion_entries = 4,
                .buffer_size = 4096,
                .buffer_count = 4,
                .buffer_count_max = 4});
        static int fds[8][2];
        for (uint32_t i = 0; i < 8; i++) {
            pair(fds[i]);
            cmdi_ring_recv(ring, fds[i][0], false, FIRST + i);
            send_text(fds[i][1], "late");
        }
        cmdi_ring_wake(ring); // Nobody takes it, and it is not armed again.
        if (submitted) {
            CU_ASSERT_EQUAL(cmdi_ring_enter(ring, CMDI_RING_WAIT_NONE), 0);
        }

        cmdi_ring_drain(ring);

        CU_ASSERT_EQUAL(cmdi_ring_in_flight(ring), 0); // The kernel has let go of the memory.
        cmdi_ring_destroy(ring);
        for (uint32_t i = 0; i < 8; i++) {
            pair_close(fds[i]);
        }
    }
}

static void test_ring_is_enabled_by_a_full_queue(void)
{
    struct cmdi_ring *ring = NULL;
    struct cmdi_ring_options options = {.entries = 4,
            .completion_entries = 32,
            .buffer_size = 16,
            .buffer_count = 1,
            .buffer_count_max = 1};
    int fds[2];
    pair(fds);
    CU_ASSERT_EQUAL_FATAL(cmdi_ring_create(&ring, &options, NULL), 0);
    for (uint32_t i = 0; i < 10; i++) {
        cmdi_ring_send(ring, fds[0], "a", 1, FIRST + i);
    }

    CU_ASSERT_EQUAL(cmdi_ring_enable(ring), 0); // Done already; it is not an error.

    for (uint32_t i = 0; i < 10; i++) {
        CU_ASSERT_EQUAL(next(ring).result, 1);
    }
    pair_close(fds);
    cmdi_ring_destroy(ring);
}

static void test_ring_that_was_never_enabled_ends(void)
{
    struct cmdi_ring *ring = NULL;
    struct cmdi_ring_options options = {.entries = 4,
            .completion_entries = 4,
            .buffer_size = 16,
            .buffer_count = 1,
            .buffer_count_max = 1};
    CU_ASSERT_EQUAL_FATAL(cmdi_ring_create(&ring, &options, NULL), 0);
    cmdi_ring_send(ring, -1, "a", 1, FIRST);
    cmdi_ring_destroy(ring);
    cmdi_ring_destroy(NULL);
}

CU_TestInfo test_ring[] = {
        {"sends and receives", test_ring_sends_and_receives},
        {"send waits for room", test_ring_send_waits_for_room},
        {"cancel completes both", test_ring_cancel_completes_both},
        {"accepts and connects", test_ring_accepts_and_connects},
        {"without buffers loses nothing", test_ring_without_buffers_loses_nothing},
        {"group grows and shrinks", test_ring_group_grows_and_shrinks},
        {"full queues lose nothing", test_ring_full_queues_lose_nothing},
        {"overflow loses no completion", test_ring_overflow_loses_no_completion},
        {"wake ends a wait", test_ring_wake_ends_a_wait},
        {"wait has an end", test_ring_wait_has_an_end},
        {"fd tells of everything", test_ring_fd_tells_of_everything},
        {"alarm moves to the earlier time", test_ring_alarm_moves_to_the_earlier_time},
        {"features go by the environment", test_ring_features_go_by_the_environment},
        {"ends with operations in flight", test_ring_ends_with_operations_in_flight},
        {"is enabled by a full queue", test_ring_is_enabled_by_a_full_queue},
        {"that was never enabled ends", test_ring_that_was_never_enabled_ends},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("ring", test_ring)

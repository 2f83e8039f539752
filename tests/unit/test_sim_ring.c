/* SPDX-License-Identifier: MIT */
/*
 * The simulated ring keeps the contract of the real one: the tests of that, test_ring.c, run here as they
 * are, in worlds of many seeds, on sockets of the world. What could go wrong is what could go wrong
 * there, and a ring that is kinder than the kernel would prove nothing.
 */
#include "support/sim_ring.h"

/* There is no file descriptor to poll, and the environment says nothing about another kernel. */
static bool is_of_the_real_one(const char *name)
{
    return strcmp(name, "fd tells of everything") == 0 ||
           strcmp(name, "alarm moves to the earlier time") == 0 ||
           strcmp(name, "features go by the environment") == 0;
}

static void test_sim_ring_keeps_the_contract(void)
{
    for (CU_TestInfo *test = test_ring; test->pName != NULL; test++) {
        if (!is_of_the_real_one(test->pName)) {
            in_worlds(main_of_test, test, CMDS_SIM_NO_FAULTS);
        }
    }
}

/* --- What only a world can show ---------------------------------------------------------------- */

static uint32_t pair_and_ring(struct cmdi_ring **ring, int fds[2], uint32_t buffer_count)
{
    *ring = open_ring(&(struct cmdi_ring_options){.entries = 8,
            .completion_entries = 32,
            .buffer_size = 64,
            .buffer_count = buffer_count,
            .buffer_count_max = buffer_count});
    pair(fds);
    return cmdi_ring_buffers_free(*ring);
}

/* Whatever the kernel does: interrupted, ended early, without buffers, cancelled in between. */
static int main_of_stream(void *context)
{
    enum {
        BYTES = 20000,
        CHUNK = 700,
    };
    static uint8_t sent[CHUNK];
    struct cmdi_ring *ring = NULL;
    int fds[2];
    uint32_t received = 0, given = 0;
    bool sending = false, receiving = false;
    uint32_t *cancels = context;
    (void)pair_and_ring(&ring, fds, 4);
    while (received < BYTES) {
        if (!sending && given < BYTES) {
            for (uint32_t i = 0; i < CHUNK; i++) {
                sent[i] = (uint8_t)((given + i) * 7 % 251);
            }
            cmdi_ring_send(ring, fds[0], sent, CHUNK, FIRST);
            sending = true;
        }
        if (!receiving) {
            cmdi_ring_recv(ring, fds[1], given > 0, FIRST + 1);
            receiving = true;
            if (received % 3 == 0) {
                cmdi_ring_cancel(ring, FIRST + 1, FIRST + 2);
            }
        }
        struct cmdi_completion completion = next(ring);
        if (completion.user_data == FIRST) {
            CU_ASSERT(completion.result > 0 || completion.result == -EINTR);
            given += completion.result > 0 ? (uint32_t)completion.result : 0;
            sending = false; // The bytes that are left come with those behind them.
        } else if (completion.user_data == FIRST + 1) {
            receiving = (completion.flags & CMDI_COMPLETION_MORE) != 0;
            *cancels += completion.result == -ECANCELED;
            if ((completion.flags & CMDI_COMPLETION_BUFFER) != 0) {
                const uint8_t *data = cmdi_ring_buffer(ring, completion.buffer);
                for (int32_t i = 0; i < completion.result; i++) {
                    CU_ASSERT_EQUAL(data[i], (uint8_t)(received * 7 % 251));
                    received++;
                }
                cmdi_ring_buffer_release(ring, completion.buffer);
            }
        }
    }
    CU_ASSERT_EQUAL(cmdi_ring_buffers_free(ring), 4);
    cmdi_ring_destroy(ring); // Whatever is in flight.
    pair_close(fds);
    return 0;
}

static void test_sim_ring_loses_no_byte(void)
{
    uint32_t cancels = 0;
    in_worlds(main_of_stream, &cancels, CMDS_SIM_KERNEL | CMDS_SIM_DELAYS);
    CU_ASSERT(cancels > 0);
}

/* The data of a send belongs to the kernel until its completion: who changes it has sent the change. */
static int main_of_a_borrower(void *context)
{
    enum {
        SIZE = 4 * 1024 * 1024,
    };
    (void)context;
    struct cmdi_ring *ring = NULL;
    uint8_t *data = calloc(1, SIZE);
    uint8_t *back = malloc(SIZE);
    int fds[2];
    size_t got = 0;
    (void)pair_and_ring(&ring, fds, 1);
    cmdi_ring_send(ring, fds[0], data, SIZE, FIRST);
    CU_ASSERT_EQUAL(cmdi_ring_enter(ring, CMDI_RING_WAIT_NONE), 0);

    memset(data, 1, SIZE);
    while (got < SIZE) {
        ssize_t size = world_recv(fds[1], back + got, SIZE - got, MSG_DONTWAIT);
        got += size > 0 ? (size_t)size : 0;
        CU_ASSERT_EQUAL_FATAL(cmdi_ring_enter(ring, CMDI_RING_WAIT_NONE), 0);
    }

    CU_ASSERT_EQUAL(back[SIZE - 1], 1);
    free(data);
    free(back);
    pair_close(fds);
    cmdi_ring_destroy(ring);
    return 0;
}

static void test_sim_ring_reads_what_is_sent_late(void)
{
    in_worlds(main_of_a_borrower, NULL, CMDS_SIM_NO_FAULTS);
}

/* NONEMPTY tells of bytes that are left, and of the end. */
static int main_of_a_rest(void *context)
{
    (void)context;
    struct cmdi_ring *ring = NULL;
    uint8_t bytes[100] = {0};
    int fds[2];
    (void)pair_and_ring(&ring, fds, 4);
    CU_ASSERT_EQUAL(world_send(fds[1], bytes, sizeof(bytes), 0), sizeof(bytes));
    pause_us(100 * 1000);

    cmdi_ring_recv(ring, fds[0], false, FIRST);
    for (uint32_t i = 0; i < 2; i++) {
        struct cmdi_completion completion = next(ring);
        CU_ASSERT_EQUAL(completion.result, i == 0 ? 64 : 36);
        CU_ASSERT_EQUAL((completion.flags & CMDI_COMPLETION_NONEMPTY) != 0, i == 0);
        cmdi_ring_buffer_release(ring, completion.buffer);
    }
    pair_close(fds);
    cmdi_ring_destroy(ring);
    return 0;
}

static void test_sim_ring_tells_of_more(void)
{
    in_worlds(main_of_a_rest, NULL, CMDS_SIM_NO_FAULTS);
}

/* What was sent before it failed is the result; the next one fails. */
static int main_of_a_short_send(void *context)
{
    enum {
        SIZE = 4 * 1024 * 1024,
    };
    (void)context;
    struct cmdi_ring *ring = NULL;
    uint8_t *data = calloc(1, SIZE);
    int fds[2];
    (void)pair_and_ring(&ring, fds, 1);
    cmdi_ring_send(ring, fds[0], data, SIZE, FIRST);
    for (uint32_t i = 0; i < 10; i++) {
        CU_ASSERT_EQUAL(cmdi_ring_enter(ring, 10 * 1000 * 1000), 0);
    }

    (void)world_close(fds[1]); // With bytes in it that nobody has read.

    struct cmdi_completion completion = next(ring);
    CU_ASSERT(completion.result > 0 && completion.result < SIZE);
    cmdi_ring_send(ring, fds[0], data, SIZE, FIRST);
    CU_ASSERT(next(ring).result < 0);
    free(data);
    (void)world_close(fds[0]);
    cmdi_ring_destroy(ring);
    return 0;
}

static void test_sim_ring_tells_what_was_sent(void)
{
    in_worlds(main_of_a_short_send, NULL, CMDS_SIM_NO_FAULTS);
}

/* Whatever part of the work an enter does, two of them do all that there was. */
static int main_of_two_enters(void *context)
{
    uint32_t *left = context;
    struct cmdi_ring *ring = open_ring(&(struct cmdi_ring_options){.entries = 64,
            .completion_entries = 128,
            .buffer_size = 64,
            .buffer_count = 64,
            .buffer_count_max = 64});
    static int fds[PAIRS][2];
    struct cmdi_completion completions[COMPLETIONS_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < PAIRS; i++) {
        pair(fds[i]);
        cmdi_ring_recv(ring, fds[i][0], true, FIRST + i);
    }
    CU_ASSERT_EQUAL(cmdi_ring_enter(ring, CMDI_RING_WAIT_NONE), 0);
    for (uint32_t round = 0; round < 40; round++) {
        for (uint32_t i = 0; i < PAIRS; i++) {
            send_text(fds[i][1], "x");
        }
        pause_us(100 * 1000);
        count = 0;
        for (uint32_t i = 0; i < 2; i++) {
            *left += count > 0 && count < PAIRS;
            CU_ASSERT_EQUAL(cmdi_ring_enter(ring, CMDI_RING_WAIT_NONE), 0);
            uint32_t before = count;
            do { // One harvest may take less than there is.
                before = count;
                count += cmdi_ring_harvest(ring, completions + count, COMPLETIONS_MAX - count);
            } while (count > before);
        }
        CU_ASSERT_EQUAL(count, PAIRS);
        for (uint32_t i = 0; i < count; i++) {
            cmdi_ring_buffer_release(ring, completions[i].buffer);
        }
    }
    for (uint32_t i = 0; i < PAIRS; i++) {
        pair_close(fds[i]);
    }
    cmdi_ring_destroy(ring);
    return 0;
}

static void test_sim_ring_leaves_nothing_twice(void)
{
    uint32_t left = 0;
    in_worlds(main_of_two_enters, &left, CMDS_SIM_NO_FAULTS);
    CU_ASSERT(left > 0); // Once it may.
}

static void *thread_of_a_reader(void *context)
{
    static uint8_t bytes[100 * 1000];
    for (uint32_t i = 0; i < 10; i++) {
        (void)world_recv(*(int *)context, bytes, sizeof(bytes), 0);
        pause_us(1000);
    }
    return NULL;
}

/* A send that goes on, and is not over, ends no wait. */
static int main_of_a_wait(void *context)
{
    enum {
        SIZE = 8 * 1024 * 1024,
        WAIT_NS = 200 * 1000 * 1000,
    };
    (void)context;
    struct cmdi_ring *ring = NULL;
    uint8_t *data = calloc(1, SIZE);
    int fds[2];
    pthread_t thread;
    (void)pair_and_ring(&ring, fds, 1);
    cmdi_ring_send(ring, fds[0], data, SIZE, FIRST);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, thread_of_a_reader, &fds[1]), 0);
    uint64_t begin_ns = cmdi_sim_now();

    CU_ASSERT_EQUAL(cmdi_ring_enter(ring, WAIT_NS), 0);

    CU_ASSERT(cmdi_sim_now() - begin_ns >= WAIT_NS);
    CU_ASSERT(cmdi_sim_now() - begin_ns < 2 * WAIT_NS);
    (void)pthread_join(thread, NULL);
    cmdi_ring_destroy(ring);
    free(data);
    pair_close(fds);
    return 0;
}

static void test_sim_ring_waits_for_a_completion(void)
{
    in_worlds(main_of_a_wait, NULL, CMDS_SIM_NO_FAULTS);
}

/* close(2) ends nothing while an operation is in flight; its end does. */
static int main_of_a_closer(void *context)
{
    (void)context;
    struct cmdi_ring *ring = NULL;
    int fds[2];
    char byte = 0;
    (void)pair_and_ring(&ring, fds, 1);
    cmdi_ring_recv(ring, fds[0], false, FIRST);
    CU_ASSERT_EQUAL(cmdi_ring_enter(ring, CMDI_RING_WAIT_NONE), 0);

    (void)world_close(fds[0]);
    pause_us(100 * 1000);
    CU_ASSERT_EQUAL(world_recv(fds[1], &byte, 1, MSG_DONTWAIT), -EAGAIN);
    send_text(fds[1], "x");
    struct cmdi_completion completion = next(ring);
    CU_ASSERT_EQUAL(completion.result, 1);
    cmdi_ring_buffer_release(ring, completion.buffer);

    cmdi_ring_cancel(ring, FIRST, FIRST + 1);
    (void)next(ring);
    (void)next(ring);
    CU_ASSERT_EQUAL(world_recv(fds[1], &byte, 1, 0), 0);
    (void)world_close(fds[1]);
    cmdi_ring_destroy(ring);
    return 0;
}

static void test_sim_ring_keeps_what_is_in_flight(void)
{
    in_worlds(main_of_a_closer, NULL, CMDS_SIM_NO_FAULTS);
}

/* One accept; with every descriptor in use it fails or waits, and the connection stays in the backlog. */
static int main_without_descriptors(void *context)
{
    uint32_t *failures = context;
    struct cmdi_ring *ring = usual_ring();
    struct cmdi_address address;
    int listener = listen_anywhere(&address);
    int client = cmdi_socket_open(&address, 0);
    int used[2000], count = 0;
    while ((used[count] = cmdi_socket_open(&address, 0)) >= 0) {
        count++;
    }
    CU_ASSERT_EQUAL(used[count], -EMFILE);
    cmdi_ring_connect(ring, client, &address, FIRST);
    CU_ASSERT_EQUAL(next(ring).result, 0);

    cmdi_ring_accept(ring, listener, false, FIRST + 1);
    struct cmdi_completion completion = next(ring);
    CU_ASSERT_EQUAL(completion.result, -EMFILE);
    CU_ASSERT_EQUAL(completion.flags, 0);
    ++*failures;
    (void)world_close(used[--count]);
    cmdi_ring_accept(ring, listener, true, FIRST + 1);
    completion = next(ring);
    CU_ASSERT_EQUAL(completion.result, used[count]); // The lowest that is free.

    while (count > 0) {
        (void)world_close(used[--count]);
    }
    (void)world_close(completion.result);
    (void)world_close(client);
    (void)world_close(listener);
    cmdi_ring_destroy(ring);
    return 0;
}

static void test_sim_ring_accepts_none_without_a_descriptor(void)
{
    uint32_t failures = 0;
    in_worlds(main_without_descriptors, &failures, CMDS_SIM_NO_FAULTS);
    CU_ASSERT_EQUAL(failures, SEEDS);
}

/* As poll(2) there, it tells that the peer has finished, whether it was asked to or not. */
static int main_of_a_watcher(void *context)
{
    (void)context;
    struct cmdi_ring *ring = NULL;
    for (uint32_t finish = 0; finish <= 1; finish++) {
        int fds[2];
        (void)pair_and_ring(&ring, fds, 1);
        cmdi_ring_watch(ring, fds[0], finish, FIRST);
        CU_ASSERT_EQUAL(cmdi_ring_enter(ring, CMDI_RING_WAIT_NONE), 0);
        send_text(fds[1], "x");
        CU_ASSERT_EQUAL(cmdi_ring_enter(ring, 50 * 1000 * 1000), 0);
        CU_ASSERT_FALSE(cmdi_ring_has_work(ring)); // Bytes are nothing to it.

        (void)world_shutdown(fds[1], SHUT_WR);
        struct cmdi_completion completion = next(ring);
        CU_ASSERT_EQUAL(completion.result, CMDI_RING_PEER_FINISHED);
        CU_ASSERT_EQUAL((completion.flags & CMDI_COMPLETION_MORE) == 0, finish);
        send_text(fds[0], "y");
        CU_ASSERT_EQUAL(cmdi_ring_enter(ring, 50 * 1000 * 1000), 0);
        CU_ASSERT_FALSE(cmdi_ring_has_work(ring)); // It has said so once.

        if (!finish) {
            (void)world_shutdown(fds[0], SHUT_RDWR);
            CU_ASSERT_TRUE(next(ring).result & CMDI_RING_PEER_GONE);
        }
        cmdi_ring_destroy(ring);
        pair_close(fds);
    }
    return 0;
}

static void test_sim_ring_watches(void)
{
    in_worlds(main_of_a_watcher, NULL, CMDS_SIM_NO_FAULTS);
}

/* An alarm ends a wait; an earlier one takes its place; a ring that was given up takes nothing. */
static int main_of_an_alarm(void *context)
{
    (void)context;
    struct cmdi_ring *ring = usual_ring();
    uint64_t begin_ns = cmdi_sim_now();
    cmdi_ring_alarm(ring, begin_ns + 3600ull * 1000000000u);
    CU_ASSERT_EQUAL(cmdi_ring_enter(ring, CMDI_RING_WAIT_NONE), 0);
    cmdi_ring_alarm(ring, begin_ns + 1000000);
    while (cmdi_ring_in_flight(ring) > 1) { // Only the READ that wakes it stays.
        struct cmdi_completion none;
        CU_ASSERT_EQUAL(cmdi_ring_enter(ring, CMDI_RING_WAIT_FOREVER), 0);
        CU_ASSERT_EQUAL(cmdi_ring_harvest(ring, &none, 1), 0);
    }
    CU_ASSERT(cmdi_sim_now() - begin_ns >= 1000000);
    CU_ASSERT(cmdi_sim_now() - begin_ns < 1000000000);

    cmdi_ring_give_up(ring);
    CU_ASSERT_EQUAL(cmdi_ring_enter(ring, CMDI_RING_WAIT_FOREVER), -EXDEV);
    for (uint32_t i = 0; i < 100; i++) {
        cmdi_ring_recv(ring, -1, false, FIRST);
    }
    CU_ASSERT_EQUAL(cmdi_ring_enter(ring, CMDI_RING_WAIT_NONE), -EXDEV);
    cmdi_ring_destroy(ring);
    return 0;
}

static void test_sim_ring_has_an_alarm(void)
{
    in_worlds(main_of_an_alarm, NULL, CMDS_SIM_NO_FAULTS);
}

static CU_TestInfo tests[] = {
        {"keeps the contract", test_sim_ring_keeps_the_contract},
        {"loses no byte", test_sim_ring_loses_no_byte},
        {"reads what is sent late", test_sim_ring_reads_what_is_sent_late},
        {"tells of more", test_sim_ring_tells_of_more},
        {"tells what was sent", test_sim_ring_tells_what_was_sent},
        {"leaves nothing twice", test_sim_ring_leaves_nothing_twice},
        {"waits for a completion", test_sim_ring_waits_for_a_completion},
        {"keeps what is in flight", test_sim_ring_keeps_what_is_in_flight},
        {"accepts none without a descriptor", test_sim_ring_accepts_none_without_a_descriptor},
        {"watches", test_sim_ring_watches},
        {"has an alarm", test_sim_ring_has_an_alarm},
        CU_TEST_INFO_NULL,
};
int main(int argc, char **argv)
{
    return cmdi_test_main("sim ring", tests, argc, argv);
}

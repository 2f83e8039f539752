/* SPDX-License-Identifier: MIT */
/*
 * The simulated ring keeps the contract of the real one: the tests of that, test_ring.c, run here as they
 * are, in worlds of many seeds, on sockets of the world. What could go wrong is what could go wrong
 * there, and a ring that is kinder than the kernel would prove nothing.
 */
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

static void pause_us(uint64_t us)
{
    struct cmdi_sim_queue nobody;
    cmdi_sim_queue_init(&nobody);
    (void)cmdi_sim_wait(&nobody, cmdi_sim_now() + us * 1000, "a test");
}

/* Two ends of a connection through the loopback interface. */
static int world_socketpair(int domain, int type, int protocol, int fds[2])
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

static ssize_t world_send(int fd, const void *data, size_t size, int flags)
{
    (void)flags;
    return cmdi_sock_send(cmdi_sock_of_fd(fd), data, size);
}

static ssize_t world_recv(int fd, void *data, size_t size, int flags)
{
    int64_t got = cmdi_sock_recv(cmdi_sock_of_fd(fd), data, size);
    while (got == -EAGAIN && (flags & MSG_DONTWAIT) == 0) {
        pause_us(10);
        got = cmdi_sock_recv(cmdi_sock_of_fd(fd), data, size);
    }
    pause_us(1); // Whoever asks again and again lets the time pass.
    return got;
}

static int world_shutdown(int fd, int how)
{
    cmdi_socket_shutdown(fd, how);
    return 0;
}

static int world_close(int fd)
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
#include "test_ring.c"
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

static int main_of_test(void *context)
{
    const CU_TestInfo *test = context;
    test->pTestFunc();
    return 0;
}

static void in_worlds(int (*program_main)(void *context), void *context, uint32_t faults)
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
        (void)world_shutdown(fds[1], SHUT_WR);
        CU_ASSERT_EQUAL(cmdi_ring_enter(ring, 50 * 1000 * 1000), 0);
        if (finish) {
            CU_ASSERT_EQUAL(next(ring).result, CMDI_RING_PEER_FINISHED);
        } else {
            CU_ASSERT_FALSE(cmdi_ring_has_work(ring)); // It may still read.
            (void)world_shutdown(fds[0], SHUT_RDWR);
            CU_ASSERT_TRUE(next(ring).result & CMDI_RING_PEER_GONE);
        }
        pair_close(fds);
        cmdi_ring_destroy(ring);
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

/* --- Wakes ------------------------------------------------------------------------------------ */

enum {
    WAKES = 200,
};
struct wakes {
    struct cmdi_ring *ring;
    uint32_t sent, seen;
};

static void *thread_of_wakes(void *context)
{
    struct wakes *wakes = context;
    for (uint32_t i = 0; i < WAKES; i++) {
        while (wakes->seen < wakes->sent) {
            pause_us(1 + cmdi_sim_below(CMDI_CHANCE_PROGRAM, 3));
        }
        wakes->sent++;
        cmdi_ring_wake(wakes->ring);
    }
    return NULL;
}

/* If one were lost, both would wait for ever, and the run would say so. */
static int main_of_wakes(void *context)
{
    (void)context;
    struct wakes wakes = {.ring = usual_ring()};
    struct cmdi_completion completion;
    pthread_t thread;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, thread_of_wakes, &wakes), 0);
    while (wakes.seen < WAKES) {
        CU_ASSERT_EQUAL(cmdi_ring_enter(wakes.ring, CMDI_RING_WAIT_FOREVER), 0);
        CU_ASSERT_EQUAL(cmdi_ring_harvest(wakes.ring, &completion, 1), 0);
        wakes.seen = wakes.sent;
    }
    (void)pthread_join(thread, NULL);
    cmdi_ring_destroy(wakes.ring);
    return 0;
}

static void test_sim_ring_loses_no_wake(void)
{
    in_worlds(main_of_wakes, NULL, CMDS_SIM_KERNEL | CMDS_SIM_STALLS);
}

/* --- Processes that are killed ---------------------------------------------------------------- */

struct killed {
    struct cmds_sim_process *process;
    uint16_t port;
    bool armed;
};

static int main_that_is_killed(void *context)
{
    struct killed *killed = context;
    struct cmdi_ring *ring = usual_ring();
    struct cmdi_address address = {.size = sizeof(address.as.v4)};
    address.as.v4.sin_family = AF_INET;
    address.as.v4.sin_port = htons(killed->port);
    int listener = cmdi_socket_listen(&address, 16, false, 0);
    cmdi_ring_accept(ring, listener, false, FIRST);
    CU_ASSERT_EQUAL(cmdi_ring_enter(ring, CMDI_RING_WAIT_NONE), 0);
    killed->armed = true;
    struct cmdi_completion completion = next(ring);
    cmdi_ring_recv(ring, completion.result, false, FIRST + 1);
    (void)next(ring); // Never.
    return 1;
}

static int main_of_the_killer(void *context)
{
    struct killed *killed = context;
    struct cmdi_address address = {.size = sizeof(address.as.v4)};
    address.as.v4.sin_family = AF_INET;
    address.as.v4.sin_port = htons(killed->port);
    CU_ASSERT_EQUAL(
            inet_pton(AF_INET, cmds_sim_address(killed->process), &address.as.v4.sin_addr), 1);
    while (!killed->armed) {
        pause_us(10);
    }
    struct cmdi_ring *ring = usual_ring();
    int fd = cmdi_socket_open(&address, 0);
    cmdi_ring_connect(ring, fd, &address, FIRST);
    CU_ASSERT_EQUAL(next(ring).result, 0);
    pause_us(10 * 1000);
    cmdi_ring_recv(ring, fd, false, FIRST + 1);
    CU_ASSERT_EQUAL(cmdi_ring_enter(ring, CMDI_RING_WAIT_NONE), 0);

    cmds_sim_kill(killed->process);

    CU_ASSERT_EQUAL(next(ring).result, 0); // Its kernel has closed what only the operation held.
    (void)world_close(fd);
    cmdi_ring_destroy(ring);
    return 0;
}

static void test_sim_ring_dies_with_its_process(void)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct cmds_sim *sim = open_world(seed, CMDS_SIM_NO_FAULTS);
        struct killed killed = {.port = 9000};
        killed.process = add(sim, "killed", true, main_that_is_killed, &killed);
        (void)add(sim, "killer", false, main_of_the_killer, &killed);
        CU_ASSERT_EQUAL(finish(sim, NULL, NULL, 0), 0);
    }
}

/* --- Misuse ----------------------------------------------------------------------------------- */

static void *enter_elsewhere(void *context)
{
    (void)cmdi_ring_enter(context, CMDI_RING_WAIT_FOREVER);
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
    uint16_t first = 0;
    pair(fds);
    cmdi_ring_recv(ring, fds[0], false, FIRST);
    for (uint32_t i = 0; i < 2; i++) { // So that one is held when the first is released again.
        send_text(fds[1], "x");
        uint16_t buffer = next(ring).buffer;
        first = i == 0 ? buffer : first;
    }
    cmdi_ring_buffer_release(ring, first);
    cmdi_ring_buffer_release(ring, first);
}

static void misuse_a_number_beyond_the_group(struct cmdi_ring *ring)
{
    (void)cmdi_ring_buffer(ring, 4);
}

static void misuse_own_user_data(struct cmdi_ring *ring)
{
    cmdi_ring_recv(ring, 0, false, CMDI_RING_OWN_MAX);
}

static int main_of_misuse(void *context)
{
    void (*misuse)(struct cmdi_ring * ring) = *(void (**)(struct cmdi_ring *))context;
    misuse(usual_ring());
    return 0;
}

static void test_sim_ring_misuse_ends_the_process(void)
{
    static void (*misuses[])(struct cmdi_ring * ring) = {
            misuse_another_thread,
            misuse_released_twice,
            misuse_a_number_beyond_the_group,
            misuse_own_user_data,
    };
    for (size_t i = 0; i < sizeof(misuses) / sizeof(misuses[0]); i++) {
        (void)fflush(NULL);
        pid_t child = fork();
        CU_ASSERT_FATAL(child >= 0);
        if (child == 0) {
            (void)close(STDERR_FILENO);
            struct cmds_sim *sim = open_world(1, CMDS_SIM_NO_FAULTS);
            (void)add(sim, "one", false, main_of_misuse, &misuses[i]);
            (void)finish(sim, NULL, NULL, 0);
            _exit(0);
        }
        int status = 0;
        CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
        CU_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    }
}

static CU_TestInfo tests[] = {
        {"keeps the contract", test_sim_ring_keeps_the_contract},
        {"loses no byte", test_sim_ring_loses_no_byte},
        {"reads what is sent late", test_sim_ring_reads_what_is_sent_late},
        {"keeps what is in flight", test_sim_ring_keeps_what_is_in_flight},
        {"accepts none without a descriptor", test_sim_ring_accepts_none_without_a_descriptor},
        {"watches", test_sim_ring_watches},
        {"has an alarm", test_sim_ring_has_an_alarm},
        {"loses no wake", test_sim_ring_loses_no_wake},
        {"dies with its process", test_sim_ring_dies_with_its_process},
        {"misuse ends the process", test_sim_ring_misuse_ends_the_process},
        CU_TEST_INFO_NULL,
};
int main(int argc, char **argv)
{
    return cmdi_test_main("sim ring", tests, argc, argv);
}

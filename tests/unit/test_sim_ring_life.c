/* SPDX-License-Identifier: MIT */
/*
 * A simulated ring between threads and processes: a wake that is lost, a killed process whose operations
 * go on or whose sockets stay open, and a misuse that nobody sees.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "support/sim_ring.h"

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
    for (uint64_t seed = 1; seed <= CMDI_SEEDS(SEEDS); seed++) {
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
        {"loses no wake", test_sim_ring_loses_no_wake},
        {"dies with its process", test_sim_ring_dies_with_its_process},
        {"misuse ends the process", test_sim_ring_misuse_ends_the_process},
        CU_TEST_INFO_NULL,
};
int main(int argc, char **argv)
{
    return cmdi_test_main("sim ring life", tests, argc, argv);
}

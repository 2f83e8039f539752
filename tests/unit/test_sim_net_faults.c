/* SPDX-License-Identifier: MIT */
/*
 * The simulated network between two hosts, when links break and hosts vanish. What could go wrong: an end
 * that knows what nobody can have told it (an acknowledgement, room, a FIN over a broken link), one that
 * never learns of what has become true again, a peer that is gone and answers, or one that is there and
 * does not. Each test is a client and a server, played in worlds of several seeds.
 */
#include "support/sim_runs.h"
#include "support/stream.h"

#include <arpa/inet.h>

#include "sim/net.h"

enum {
    SEEDS = 4,
    PORT = 7000,
    LINK_MS = 50, // By then whatever gets through has arrived, and is acknowledged.
    LONG_MS = 400 * 1000,
};

static struct play {
    void (*client)(struct rig *rig);
    void (*server)(struct rig *rig); // NULL: it does nothing.
    struct cmds_sim_process *client_process, *server_process;
    struct cmdi_address address; // Of the server.
    uint32_t keepalive_ms;
    int backlog;
    int step; // Each waits for the other.
    int listener, fd;
} play;

static void wait_for(struct rig *rig, int step)
{
    UNTIL(rig, play.step >= step);
}

static int main_of_server(void *context)
{
    struct rig rig;
    (void)context;
    rig_init(&rig);
    struct cmdi_address address = v4(INADDR_ANY, PORT);
    play.listener = cmdi_socket_listen(&address, play.backlog, false, play.keepalive_ms);
    CU_ASSERT_FATAL(play.listener >= 0);
    if (play.step == 0) { // Not if it has started again.
        play.step = 1;
        if (play.server != NULL) {
            play.server(&rig);
        }
    }
    wait_for(&rig, INT32_MAX);
    cmdi_fd_close(play.listener);
    rig_fini(&rig);
    return 0;
}

static int main_of_client(void *context)
{
    struct rig rig;
    (void)context;
    rig_init(&rig);
    wait_for(&rig, 1);
    play.client(&rig);
    rig_fini(&rig);
    play.step = INT32_MAX;
    return 0;
}

static struct cmds_sim *open_long_world(uint64_t seed)
{
    struct cmds_sim_options options = CMDS_SIM_OPTIONS_INIT;
    options.seed = seed;
    options.time_max_ms = 10 * LONG_MS;
    options.event_count = 1;
    struct cmds_sim *sim = NULL;
    CU_ASSERT_EQUAL_FATAL(cmds_sim_open(&sim, &options, NULL), 0);
    return sim;
}

static void play_with(void (*client)(struct rig *rig), void (*server)(struct rig *rig), int backlog,
        uint32_t keepalive_ms)
{
    for (uint64_t seed = 1; seed <= CMDI_SEEDS(SEEDS); seed++) {
        struct cmds_sim *sim = open_long_world(seed);
        play = (struct play){.client = client,
                .server = server,
                .backlog = backlog,
                .keepalive_ms = keepalive_ms};
        play.server_process = add(sim, "server", false, main_of_server, NULL);
        play.client_process = add(sim, "client", false, main_of_client, NULL);
        play.address = v4(0, PORT);
        (void)inet_pton(
                AF_INET, cmds_sim_address(play.server_process), &play.address.as.v4.sin_addr);
        CU_ASSERT_EQUAL(finish(sim, NULL, NULL, 0), 0);
    }
}

static void play_both(void (*client)(struct rig *rig), void (*server)(struct rig *rig))
{
    play_with(client, server, 4, 0);
}

static void block_to_server(void)
{
    cmds_sim_block(play.client_process, play.server_process);
}

static void block_to_client(void)
{
    cmds_sim_block(play.server_process, play.client_process);
}

static void heal(void)
{
    cmds_sim_heal(cmds_sim_current());
}

static void server_accepts(struct rig *rig)
{
    play.fd = accept_one(rig, play.listener);
    play.step = 2;
}

/* Returns: the client's end, once the server has its own. */
static int connected(struct rig *rig)
{
    int fd = -1;
    CU_ASSERT_EQUAL_FATAL(dial(rig, &play.address, &fd), 0);
    wait_for(rig, 2);
    return fd;
}

/* --- Broken links ----------------------------------------------------------------------------- */

static void server_reads_hello(struct rig *rig)
{
    server_accepts(rig);
    wait_for(rig, 3);
    cmds_sim_sleep_ms(LINK_MS);
    CU_ASSERT_EQUAL(cmdi_socket_unread(play.fd), 0);
    CU_ASSERT_EQUAL(cmdi_socket_peek(play.fd), -EAGAIN); // Nor the FIN.
    play.step = 4;
    recv_bytes(rig, play.fd, 6);
    CU_ASSERT_EQUAL(recv_one(rig, play.fd), 0);
    cmdi_fd_close(play.fd);
}

static void client_sends_into_a_broken_link(struct rig *rig)
{
    size_t waiting = 0;
    int fd = connected(rig);
    int64_t before = cmdi_socket_acked(fd, &waiting);
    block_to_server();
    CU_ASSERT_EQUAL(send_text(fd, "hel"), 3);
    CU_ASSERT_EQUAL(send_text(fd, "lo!"), 3);
    cmdi_socket_shutdown(fd, SHUT_WR);
    play.step = 3;
    wait_for(rig, 4);
    CU_ASSERT_EQUAL(cmdi_socket_acked(fd, &waiting), before);
    CU_ASSERT_EQUAL(waiting, 7); // FIN, too.

    heal();
    CU_ASSERT_EQUAL(recv_one(rig, fd), 0);
    cmdi_fd_close(fd);
}

static void test_sim_net_bytes_and_fin_wait_for_a_broken_link(void)
{
    play_both(client_sends_into_a_broken_link, server_reads_hello);
}

static void server_reads_on(struct rig *rig)
{
    server_accepts(rig);
    size_t total = 0;
    while (recv_one(rig, play.fd) > 0) {
        bool right = true;
        for (int32_t i = 0; i < rig->results[RECV]; i++) {
            right = right && rig->data[i] == byte_at(total);
            total++;
        }
        CU_ASSERT_TRUE_FATAL(right);
    }
    CU_ASSERT(total > CHUNK);
    cmdi_fd_close(play.fd);
}

static void client_hears_nothing(struct rig *rig)
{
    uint8_t data[CHUNK];
    size_t waiting = 0;
    int fd = connected(rig);
    block_to_client();
    int64_t before = cmdi_socket_acked(fd, &waiting);
    size_t total = fill(rig, fd); // Though the other end reads all the time.
    cmds_sim_sleep_ms(LINK_MS);
    CU_ASSERT(cmdi_socket_acked(fd, &waiting) - before <= 0);
    CU_ASSERT_EQUAL(waiting, total);
    for (size_t i = 0; i < CHUNK; i++) {
        data[i] = byte_at(total + i);
    }
    cmdi_ring_send(rig->ring, fd, data, CHUNK, FIRST + SEND);
    CU_ASSERT_TRUE(stays(rig, SEND));

    heal();
    CU_ASSERT_EQUAL(await(rig, SEND), CHUNK);
    UNTIL(rig, cmdi_socket_acked(fd, &waiting) == before + (int64_t)total + CHUNK);
    cmdi_fd_close(fd);
}

static void test_sim_net_acknowledgements_need_the_way_back(void)
{
    play_both(client_hears_nothing, server_reads_on);
}

static void server_waits_for_a_reset(struct rig *rig)
{
    server_accepts(rig);
    CU_ASSERT_EQUAL(send_text(play.fd, "unread"), 6);
    wait_for(rig, 3);
    cmds_sim_sleep_ms(LINK_MS);
    CU_ASSERT_EQUAL(cmdi_socket_peek(play.fd), -EAGAIN); // It was sent once, and is lost.
    CU_ASSERT_EQUAL(send_text(play.fd, "x"), 1);
    CU_ASSERT_EQUAL(recv_one(rig, play.fd), -ECONNRESET);
    cmdi_fd_close(play.fd);
    play.step = 4;
}

static void client_resets_unheard(struct rig *rig)
{
    int fd = connected(rig);
    UNTIL(rig, cmdi_socket_unread(fd) == 6);
    cmds_sim_sleep_ms(2 * LINK_MS); // The acknowledgement, too.
    block_to_server();
    cmdi_fd_close(fd);
    heal();
    play.step = 3;
    wait_for(rig, 4);
}

static void test_sim_net_a_reset_is_not_sent_again(void)
{
    play_both(client_resets_unheard, server_waits_for_a_reset);
}

/* --- Connecting ------------------------------------------------------------------------------- */

static void client_dials_over_a_broken_link(struct rig *rig)
{
    int fd = -1;
    for (uint32_t i = 0; i < 2; i++) {
        (i == 0 ? block_to_server : block_to_client)();
        fd = cmdi_socket_open(&play.address, 0);
        cmdi_ring_connect(rig->ring, fd, &play.address, FIRST + CONNECT);
        CU_ASSERT_TRUE(stays(rig, CONNECT));
        heal();
        CU_ASSERT_EQUAL(await(rig, CONNECT), 0);
        cmdi_fd_close(fd);
    }
    block_to_server();
    uint64_t begin_ns = cmdi_sim_now();
    CU_ASSERT_EQUAL(dial(rig, &play.address, &fd), -ETIMEDOUT);
    CU_ASSERT(cmdi_sim_now() - begin_ns > 100 * (uint64_t)1000000000);
    cmdi_fd_close(fd);
}

static void test_sim_net_connecting_tries_again_and_gives_up(void)
{
    play_both(client_dials_over_a_broken_link, NULL);
}

static void server_has_nobody_to_accept(struct rig *rig)
{
    wait_for(rig, 2);
    cmds_sim_sleep_ms(LINK_MS);
    CU_ASSERT_EQUAL(cmdi_socket_accept_now(play.listener), -EAGAIN);
    play.step = 3;
    cmdi_fd_close(accept_one(rig, play.listener));
}

static void client_is_not_answered(struct rig *rig)
{
    block_to_client();
    int fd = cmdi_socket_open(&play.address, 0);
    cmdi_ring_connect(rig->ring, fd, &play.address, FIRST + CONNECT);
    CU_ASSERT_TRUE(stays(rig, CONNECT));
    play.step = 2;
    wait_for(rig, 3);
    heal();
    CU_ASSERT_EQUAL(await(rig, CONNECT), 0);
    CU_ASSERT(recv_one(rig, fd) == 0);
    cmdi_fd_close(fd);
}

static void test_sim_net_nobody_is_accepted_before_both_know(void)
{
    play_both(client_is_not_answered, server_has_nobody_to_accept);
}

/* Two find room in the queue, and one of them takes it. */
static void client_is_connected_to_nobody(struct rig *rig)
{
    int fds[2];
    for (uint32_t i = 0; i < 2; i++) {
        fds[i] = cmdi_socket_open(&play.address, 0);
        cmdi_ring_connect(rig->ring, fds[i], &play.address, FIRST + (i == 0 ? CONNECT : OTHER));
    }
    CU_ASSERT_EQUAL(await(rig, CONNECT), 0);
    CU_ASSERT_EQUAL(await(rig, OTHER), 0);
    cmds_sim_sleep_ms(100 * 1000);

    int resets = 0;
    for (uint32_t i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL(send_text(fds[i], "x"), 1);
        cmds_sim_sleep_ms(1000);
        resets += send_text(fds[i], "x") == -ECONNRESET;
        cmdi_fd_close(fds[i]);
    }
    CU_ASSERT_EQUAL(resets, 1);
}

static void test_sim_net_who_finds_no_place_is_forgotten(void)
{
    play_with(client_is_connected_to_nobody, NULL, 0, 0);
}

/* --- Hosts and processes ---------------------------------------------------------------------- */

static void client_loses_its_peer(struct rig *rig)
{
    int fd = connected(rig);
    cmds_sim_power_off(play.server_process);
    cmds_sim_sleep_ms(1000);
    CU_ASSERT_EQUAL(cmdi_socket_peek(fd), -EAGAIN); // Nobody told it.
    CU_ASSERT_EQUAL(send_text(fd, "x"), 1);
    cmds_sim_sleep_ms(1000);
    CU_ASSERT_EQUAL(cmdi_socket_peek(fd), -EAGAIN);

    cmds_sim_restart(play.server_process);
    CU_ASSERT_EQUAL(recv_one(rig, fd), -ECONNRESET);
    cmdi_fd_close(fd);
}

static void test_sim_net_a_host_without_power_tells_nobody(void)
{
    play_both(client_loses_its_peer, server_accepts);
}

static void client_has_sent_to_what_is_gone(struct rig *rig)
{
    int fd = connected(rig);
    block_to_server();
    CU_ASSERT_EQUAL(send_text(fd, "x"), 1);
    cmds_sim_power_off(play.server_process);
    heal();
    cmds_sim_sleep_ms(1000);
    CU_ASSERT_EQUAL(cmdi_socket_peek(fd), -EAGAIN);

    cmds_sim_restart(play.server_process);
    CU_ASSERT_EQUAL(recv_one(rig, fd), -ECONNRESET); // It is sent again, without our doing.
    cmdi_fd_close(fd);
}

static void test_sim_net_what_was_lost_is_sent_again(void)
{
    play_both(client_has_sent_to_what_is_gone, server_accepts);
}

static void client_fills_what_is_gone(struct rig *rig)
{
    int fd = connected(rig);
    cmds_sim_power_off(play.server_process);
    (void)fill(rig, fd);
    CU_ASSERT_EQUAL(recv_one(rig, fd), -ETIMEDOUT); // After a quarter of an hour.
    CU_ASSERT_EQUAL(recv_one(rig, fd), 0);
    cmdi_fd_close(fd);
}

static void test_sim_net_what_nobody_acknowledges_is_given_up(void)
{
    play_both(client_fills_what_is_gone, server_accepts);
}

static void server_keeps_alive(struct rig *rig)
{
    server_accepts(rig);
    CU_ASSERT_EQUAL(recv_one(rig, play.fd), -ETIMEDOUT);
    cmdi_fd_close(play.fd);
    play.step = 3;
}

static void client_is_out_of_reach(struct rig *rig)
{
    int fd = connected(rig);
    cmds_sim_sleep_ms(LONG_MS); // Silent, and there.
    block_to_server();
    cmds_sim_sleep_ms(38 * 1000); // Probes begin after 30 s; two of the three are lost.
    heal();
    cmds_sim_sleep_ms(LONG_MS);
    CU_ASSERT_EQUAL(play.step, 2);

    block_to_server();
    cmds_sim_sleep_ms(65 * 1000);
    CU_ASSERT_EQUAL(play.step, 3);
    heal();
    cmdi_fd_close(fd);
    (void)rig;
}

static void test_sim_net_keepalive_gives_up_who_is_out_of_reach(void)
{
    play_with(client_is_out_of_reach, server_keeps_alive, 4, 60 * 1000);
}

static void server_has_sent_in_vain(struct rig *rig)
{
    server_accepts(rig);
    block_to_client();
    CU_ASSERT_EQUAL(send_text(play.fd, "hello"), 5);
    cmds_sim_sleep_ms(3 * 60 * 1000);
    CU_ASSERT_EQUAL(cmdi_socket_peek(play.fd), -EAGAIN);
    heal();
    recv_bytes(rig, play.fd, 1);
    cmdi_fd_close(play.fd);
}

static void client_is_back_in_time(struct rig *rig)
{
    int fd = connected(rig);
    recv_bytes(rig, fd, 5);
    CU_ASSERT_EQUAL(send_text(fd, "x"), 1);
    CU_ASSERT_EQUAL(recv_one(rig, fd), 0);
    cmdi_fd_close(fd);
}

/* As long as something is sent again and again, nothing is probed: Linux gives up much later then. */
static void test_sim_net_keepalive_waits_for_what_is_sent(void)
{
    play_with(client_is_back_in_time, server_has_sent_in_vain, 4, 60 * 1000);
}

static void client_sees_a_kill(struct rig *rig)
{
    int fd = connected(rig);
    CU_ASSERT_EQUAL(send_text(fd, "x"), 1);
    cmds_sim_sleep_ms(LINK_MS);
    cmds_sim_kill(play.server_process);
    CU_ASSERT_EQUAL(recv_one(rig, fd), -ECONNRESET); // It had not read that.
    cmdi_fd_close(fd);
    CU_ASSERT_EQUAL(dial(rig, &play.address, &fd), -ECONNREFUSED);
    cmdi_fd_close(fd);
}

static void test_sim_net_a_kill_closes(void)
{
    play_both(client_sees_a_kill, server_accepts);
}

static void server_sees_a_cut(struct rig *rig)
{
    server_accepts(rig);
    CU_ASSERT_EQUAL(recv_one(rig, play.fd), -ECONNRESET);
    cmdi_fd_close(play.fd);
}

static void client_cuts(struct rig *rig)
{
    int fd = connected(rig);
    int own[2];
    pair_at(rig, v4(INADDR_LOOPBACK, 0), own);
    CU_ASSERT_EQUAL(cmds_sim_cut(play.client_process, play.server_process), 1);
    CU_ASSERT_EQUAL(recv_one(rig, fd), -ECONNRESET);
    CU_ASSERT_EQUAL(cmdi_socket_peek(own[0]), -EAGAIN);
    CU_ASSERT_EQUAL(cmds_sim_cut(play.client_process, play.client_process), 1);
    CU_ASSERT_EQUAL(recv_one(rig, own[0]), -ECONNRESET);
    CU_ASSERT_EQUAL(recv_one(rig, own[1]), -ECONNRESET);
    cmdi_fd_close(fd);
    cmdi_fd_close(own[0]);
    cmdi_fd_close(own[1]);
}

static void test_sim_net_a_cut_resets_both_ends(void)
{
    play_both(client_cuts, server_sees_a_cut);
}

/* --- Pace ------------------------------------------------------------------------------------- */

static void server_counts_time(struct rig *rig)
{
    server_accepts(rig);
    uint64_t begin_ns = cmdi_sim_now();
    take(rig, play.fd, 0, CHUNK / 2);
    CU_ASSERT(cmdi_sim_now() - begin_ns > 1900 * (uint64_t)1000000);
    play.step = 3;
    begin_ns = cmdi_sim_now();
    take(rig, play.fd, CHUNK / 2, 4 * CHUNK);
    CU_ASSERT(cmdi_sim_now() - begin_ns < 1000 * (uint64_t)1000000);
    cmdi_fd_close(play.fd);
}

/* A byte in a ms. Two connections share it; and what has not departed goes at the pace of its time. */
static void client_clogs(struct rig *rig)
{
    static const struct cmdi_link_plan clogged = {.bytes_per_ms = 1};
    static const struct cmdi_link_plan free;
    uint8_t data[CHUNK];
    const struct cmdi_sim_host *here = cmdi_sim_host();
    const struct cmdi_sim_host *there = cmdi_sim_host_of(&play.address);
    int fd = connected(rig);
    cmdi_net_set_link(here, there, &clogged);
    for (size_t i = 0; i < 4 * CHUNK; i += 64) {
        for (size_t k = 0; k < 64; k++) {
            data[k] = byte_at(i + k);
        }
        cmdi_ring_send(rig->ring, fd, data, 64, FIRST + SEND);
        CU_ASSERT_EQUAL(await(rig, SEND), 64);
        if (play.step == 3) {
            cmdi_net_set_link(here, there, &free);
        }
    }
    wait_for(rig, 3);
    cmdi_net_set_link(here, there, &free);
    CU_ASSERT_EQUAL(recv_one(rig, fd), 0);
    cmdi_fd_close(fd);
}

static void test_sim_net_a_link_has_a_pace(void)
{
    play_both(client_clogs, server_counts_time);
}

/* --- Accepting -------------------------------------------------------------------------------- */

static int main_of_accepts(void *context)
{
    struct rig rig;
    uint32_t *aborted = context;
    struct cmdi_address address = v4(INADDR_LOOPBACK, 0);
    rig_init(&rig);
    int listener = -1;
    UNTIL(&rig, (listener = cmdi_socket_listen(&address, 4, false, 0)) >= 0);
    CU_ASSERT_EQUAL(cmdi_socket_local(listener, &address), 0);
    for (uint32_t i = 0; i < 200; i++) {
        int fd = -1;
        UNTIL(&rig, (fd = cmdi_socket_open(&address, 0)) >= 0);
        cmdi_ring_connect(rig.ring, fd, &address, FIRST + CONNECT);
        CU_ASSERT_EQUAL_FATAL(await(&rig, CONNECT), 0);
        int got = -EAGAIN;
        UNTIL(&rig, (got = cmdi_socket_accept_now(listener)) >= 0 || got == -ECONNABORTED);
        if (got >= 0) {
            cmdi_fd_close(got);
        } else {
            (*aborted)++;
        }
        int code = -EINTR; // As a fault of the kernel.
        while (code == -EINTR || code == -ENOBUFS) {
            code = recv_one(&rig, fd);
        }
        CU_ASSERT_EQUAL(code, got >= 0 ? 0 : -ECONNRESET);
        cmdi_fd_close(fd);
    }
    cmdi_fd_close(listener);
    rig_fini(&rig);
    return 0;
}

static void test_sim_net_an_aborted_connection_is_gone(void)
{
    uint32_t aborted = 0;
    for (uint64_t seed = 1; seed <= 5 * SEEDS; seed++) {
        struct cmds_sim *sim = open_world(seed, CMDS_SIM_KERNEL);
        (void)add(sim, "one", false, main_of_accepts, &aborted);
        CU_ASSERT_EQUAL(finish(sim, NULL, NULL, 0), 0);
    }
    CU_ASSERT(aborted > 0);
}

static int main_of_selves(void *context)
{
    struct rig rig;
    uint32_t *selves = context;
    struct cmdi_address address = v4(INADDR_LOOPBACK, 0);
    rig_init(&rig);
    int listener = -1;
    UNTIL(&rig, (listener = cmdi_socket_listen(&address, 4, false, 0)) >= 0);
    CU_ASSERT_EQUAL(cmdi_socket_local(listener, &address), 0);
    cmdi_fd_close(listener);
    for (uint32_t i = 0; i < 50; i++) {
        int fd = -1;
        UNTIL(&rig, (fd = cmdi_socket_open(&address, 0)) >= 0);
        cmdi_ring_connect(rig.ring, fd, &address, FIRST + CONNECT);
        int32_t code = await(&rig, CONNECT);
        CU_ASSERT(code == 0 || code == -ECONNREFUSED);
        CU_ASSERT_EQUAL(cmdi_socket_undo_self(fd), code == 0);
        CU_ASSERT_FALSE(cmdi_socket_undo_self(fd));
        *selves += code == 0;
        cmdi_fd_close(fd);
    }
    rig_fini(&rig);
    return 0;
}

static void test_sim_net_a_connection_may_reach_its_own_end(void)
{
    uint32_t selves = 0;
    for (uint64_t seed = 1; seed <= CMDI_SEEDS(SEEDS); seed++) {
        struct cmds_sim *sim = open_world(seed, CMDS_SIM_KERNEL);
        (void)add(sim, "one", false, main_of_selves, &selves);
        CU_ASSERT_EQUAL(finish(sim, NULL, NULL, 0), 0);
    }
    CU_ASSERT(selves > 0);
}

static struct cmds_sim_process *waiting_process;

/* Who listens takes one, and the other waits for room. */
static int main_of_waiting(void *context)
{
    struct rig rig;
    int *step = context;
    int fds[3] = {-1, -1, -1};
    struct cmdi_address address = {.as.local = {.sun_family = AF_UNIX, .sun_path = "/run/full"}};
    address.size = sizeof(address.as.local);
    rig_init(&rig);
    fds[0] = cmdi_socket_listen(&address, 0, false, 0);
    CU_ASSERT_FATAL(fds[0] >= 0);
    CU_ASSERT_EQUAL(dial(&rig, &address, &fds[1]), 0);
    fds[2] = cmdi_socket_open(&address, 0);
    cmdi_ring_connect(rig.ring, fds[2], &address, FIRST + CONNECT);
    CU_ASSERT_TRUE(stays(&rig, CONNECT));
    *step = 1;
    UNTIL(&rig, *step == 2); // Its host has no power by then.
    CU_FAIL("a host without power goes on");
    return 0;
}

static int main_of_power(void *context)
{
    int *step = context;
    while (*step == 0) {
        cmds_sim_sleep_ms(1);
    }
    cmds_sim_power_off(waiting_process);
    cmds_sim_sleep_ms(1000);
    *step = 2;
    return 0;
}

static void test_sim_net_power_fails_while_one_waits_for_room(void)
{
    for (uint64_t seed = 1; seed <= CMDI_SEEDS(SEEDS); seed++) {
        struct cmds_sim_report report;
        struct cmds_sim *sim = open_world(seed, 0);
        int step = 0;
        waiting_process = add(sim, "one", true, main_of_waiting, &step);
        (void)add(sim, "two", false, main_of_power, &step);
        CU_ASSERT_EQUAL(finish(sim, &report, NULL, 0), 0);
        CU_ASSERT_EQUAL(step, 2);
        CU_ASSERT_EQUAL(report.files_left, 0);
    }
}

static CU_TestInfo test_sim_net_faults[] = {
        {"bytes and FIN wait for a broken link", test_sim_net_bytes_and_fin_wait_for_a_broken_link},
        {"acknowledgements need the way back", test_sim_net_acknowledgements_need_the_way_back},
        {"a reset is not sent again", test_sim_net_a_reset_is_not_sent_again},
        {"connecting tries again and gives up", test_sim_net_connecting_tries_again_and_gives_up},
        {"nobody is accepted before both know", test_sim_net_nobody_is_accepted_before_both_know},
        {"who finds no place is forgotten", test_sim_net_who_finds_no_place_is_forgotten},
        {"a host without power tells nobody", test_sim_net_a_host_without_power_tells_nobody},
        {"what nobody acknowledges is given up", test_sim_net_what_nobody_acknowledges_is_given_up},
        {"keepalive gives up who is out of reach",
                test_sim_net_keepalive_gives_up_who_is_out_of_reach},
        {"what was lost is sent again", test_sim_net_what_was_lost_is_sent_again},
        {"keepalive waits for what is sent", test_sim_net_keepalive_waits_for_what_is_sent},
        {"a kill closes", test_sim_net_a_kill_closes},
        {"a cut resets both ends", test_sim_net_a_cut_resets_both_ends},
        {"a link has a pace", test_sim_net_a_link_has_a_pace},
        {"a connection may reach its own end", test_sim_net_a_connection_may_reach_its_own_end},
        {"power fails while one waits for room", test_sim_net_power_fails_while_one_waits_for_room},
        {"an aborted connection is gone", test_sim_net_an_aborted_connection_is_gone},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("sim_net_faults", test_sim_net_faults)

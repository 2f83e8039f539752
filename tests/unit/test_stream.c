/* SPDX-License-Identifier: MIT */
/*
 * What the library takes for granted of TCP: who is told of what when a peer finishes, closes, resets, does
 * not read. Nothing here is ours but the calls: these are facts of the kernel, on which conn/socket.c and
 * net/listener.c are built, and test_sim_net.c holds the simulated network to the same ones, by this very
 * file.
 */
#include "support/stream.h"

#include "ring/poller.h"

/* --- The end of a stream ---------------------------------------------------------------------- */

static void test_stream_each_direction_ends_by_itself(void)
{
    struct rig rig;
    int fds[2];
    pair(&rig, fds);

    cmdi_socket_shutdown(fds[0], SHUT_WR);
    CU_ASSERT_EQUAL(recv_one(&rig, fds[1]), 0);
    CU_ASSERT_EQUAL(recv_one(&rig, fds[1]), 0); // Again and again.
    CU_ASSERT_EQUAL(cmdi_socket_peek(fds[1]), -ENODATA);
    CU_ASSERT_EQUAL(watch_one(&rig, fds[1]), CMDI_RING_PEER_FINISHED);

    CU_ASSERT_EQUAL(send_text(fds[1], "still"), 5);
    CU_ASSERT_EQUAL(send_text(fds[0], "x"), -EPIPE);
    recv_bytes(&rig, fds[0], 5);
    cmdi_socket_shutdown(fds[1], SHUT_WR);
    CU_ASSERT_EQUAL(recv_one(&rig, fds[0]), 0);
    CU_ASSERT_EQUAL(watch_one(&rig, fds[0]), CMDI_RING_PEER_FINISHED | CMDI_RING_PEER_GONE);
    pair_fini(&rig, fds);
}

static void test_stream_bytes_come_before_the_end(void)
{
    struct rig rig;
    int fds[2];
    pair(&rig, fds);
    CU_ASSERT_EQUAL(send_text(fds[0], "last"), 4);
    cmdi_fd_close(fds[0]);

    CU_ASSERT_EQUAL(watch_one(&rig, fds[1]), CMDI_RING_PEER_FINISHED);
    CU_ASSERT_EQUAL(cmdi_socket_unread(fds[1]), 4);
    CU_ASSERT_EQUAL(cmdi_socket_peek(fds[1]), 'l');
    recv_bytes(&rig, fds[1], 4);
    CU_ASSERT_EQUAL(memcmp(rig.data, "last", 4), 0);
    CU_ASSERT_EQUAL(recv_one(&rig, fds[1]), 0);

    cmdi_fd_close(fds[1]);
    rig_fini(&rig);
}

static void test_stream_shutdown_of_both_ends_a_receive(void)
{
    struct rig rig;
    int fds[2];
    pair(&rig, fds);
    cmdi_ring_recv_once(rig.ring, fds[0], FIRST + RECV);
    CU_ASSERT_TRUE(stays(&rig, RECV));

    cmdi_socket_shutdown(fds[0], SHUT_RDWR);

    CU_ASSERT_EQUAL(await(&rig, RECV), 0);
    CU_ASSERT_EQUAL(recv_one(&rig, fds[1]), 0);
    pair_fini(&rig, fds);
}

/* --- Resets ----------------------------------------------------------------------------------- */

static void test_stream_a_close_with_unread_bytes_resets(void)
{
    struct rig rig;
    int fds[2];
    struct cmdi_address address;
    pair(&rig, fds);
    reset_first(&rig, fds);

    CU_ASSERT_EQUAL(watch_one(&rig, fds[1]),
            CMDI_RING_PEER_FAILED | CMDI_RING_PEER_GONE | CMDI_RING_PEER_FINISHED);
    CU_ASSERT_EQUAL(recv_one(&rig, fds[1]), -ECONNRESET);
    CU_ASSERT_EQUAL(recv_one(&rig, fds[1]), 0); // Told once.
    CU_ASSERT_EQUAL(watch_one(&rig, fds[1]), CMDI_RING_PEER_GONE | CMDI_RING_PEER_FINISHED);
    CU_ASSERT_EQUAL(send_text(fds[1], "x"), -EPIPE);
    CU_ASSERT_EQUAL(cmdi_socket_peer(fds[1], &address), -ENOTCONN);
    cmdi_fd_close(fds[1]);
    rig_fini(&rig);
}

static void test_stream_a_send_or_a_peek_takes_the_error(void)
{
    for (uint32_t i = 0; i < 2; i++) {
        struct rig rig;
        int fds[2];
        pair(&rig, fds);
        reset_first(&rig, fds);
        (void)watch_one(&rig, fds[1]);

        int code = i == 0 ? send_text(fds[1], "x") : cmdi_socket_peek(fds[1]);
        CU_ASSERT_EQUAL(code, -ECONNRESET);
        CU_ASSERT_EQUAL(recv_one(&rig, fds[1]), 0);
        CU_ASSERT_EQUAL(send_text(fds[1], "x"), -EPIPE);
        cmdi_fd_close(fds[1]);
        rig_fini(&rig);
    }
}

static void test_stream_what_lies_there_survives_a_reset(void)
{
    struct rig rig;
    int fds[2];
    pair(&rig, fds);
    CU_ASSERT_EQUAL(send_text(fds[0], "before"), 6);
    UNTIL(&rig, cmdi_socket_unread(fds[1]) == 6);
    reset_first(&rig, fds);
    (void)watch_one(&rig, fds[1]);

    recv_bytes(&rig, fds[1], 6);
    CU_ASSERT_EQUAL(recv_one(&rig, fds[1]), -ECONNRESET);
    CU_ASSERT_EQUAL(recv_one(&rig, fds[1]), 0);
    cmdi_fd_close(fds[1]);
    rig_fini(&rig);
}

/* Behind the end there is no reset for whoever receives; whoever sends gets EPIPE, and no ECONNRESET. */
static void test_stream_bytes_for_a_closed_socket_reset(void)
{
    struct rig rig;
    int fds[2];
    pair(&rig, fds);
    cmdi_fd_close(fds[0]);
    CU_ASSERT_EQUAL(watch_one(&rig, fds[1]), CMDI_RING_PEER_FINISHED);

    cmdi_ring_watch(rig.ring, fds[1], false, FIRST + WATCH);
    CU_ASSERT_EQUAL(send_text(fds[1], "nobody"), 6);
    UNTIL(&rig, rig.counts[WATCH] > 0 && (rig.results[WATCH] & CMDI_RING_PEER_GONE) != 0);
    CU_ASSERT_EQUAL(rig.results[WATCH],
            CMDI_RING_PEER_FAILED | CMDI_RING_PEER_GONE | CMDI_RING_PEER_FINISHED);
    CU_ASSERT_EQUAL(recv_one(&rig, fds[1]), 0);
    CU_ASSERT_EQUAL(send_text(fds[1], "x"), -EPIPE);
    CU_ASSERT_EQUAL(recv_one(&rig, fds[1]), 0);
    cmdi_ring_cancel(rig.ring, FIRST + WATCH, FIRST + CANCEL);
    (void)await(&rig, CANCEL);
    cmdi_fd_close(fds[1]);
    rig_fini(&rig);
}

static void test_stream_bytes_for_one_that_shut_both_reset(void)
{
    struct rig rig;
    int fds[2];
    pair(&rig, fds);
    cmdi_socket_shutdown(fds[0], SHUT_RDWR);
    CU_ASSERT_EQUAL(recv_one(&rig, fds[1]), 0);

    CU_ASSERT_EQUAL(send_text(fds[1], "nobody"), 6);

    int code = 0;
    UNTIL(&rig, (code = send_text(fds[1], "x")) != 1);
    CU_ASSERT_EQUAL(code, -EPIPE);
    pair_fini(&rig, fds);
}

/* --- Windows ---------------------------------------------------------------------------------- */

static void test_stream_a_send_without_room_goes_on_when_there_is(void)
{
    struct rig rig;
    int fds[2];
    pair(&rig, fds);
    expect_room_to_be_told(&rig, fds[0], fds[1]);
    expect_room_to_be_told(&rig, fds[1], fds[0]);
    pair_fini(&rig, fds);
}

static void test_stream_acknowledged_is_what_the_other_side_has(void)
{
    struct rig rig;
    int fds[2];
    size_t waiting = 1;
    pair(&rig, fds);
    int64_t before = cmdi_socket_acked(fds[0], &waiting);
    CU_ASSERT(before >= 0);
    CU_ASSERT_EQUAL(waiting, 0);

    CU_ASSERT_EQUAL(send_text(fds[0], "12345"), 5);
    UNTIL(&rig, cmdi_socket_acked(fds[0], &waiting) == before + 5);
    CU_ASSERT_EQUAL(waiting, 0);
    recv_bytes(&rig, fds[1], 5);

    size_t total = fill(&rig, fds[0]);
    int64_t some = cmdi_socket_acked(fds[0], &waiting);
    CU_ASSERT_EQUAL(waiting, total - (size_t)(some - before - 5));
    CU_ASSERT(waiting > 0);
    take(&rig, fds[1], 0, total);
    UNTIL(&rig, cmdi_socket_acked(fds[0], &waiting) == before + 5 + (int64_t)total);
    CU_ASSERT_EQUAL(waiting, 0);
    pair_fini(&rig, fds);
}

static void test_stream_nothing_waits_for_a_peer_that_reset(void)
{
    struct rig rig;
    int fds[2];
    size_t waiting = 0;
    pair(&rig, fds);
    (void)fill(&rig, fds[0]);
    CU_ASSERT(cmdi_socket_acked(fds[0], &waiting) >= 0);
    CU_ASSERT(waiting > 0);

    cmdi_fd_close(fds[1]); // With bytes unread.
    (void)watch_one(&rig, fds[0]);

    CU_ASSERT(cmdi_socket_acked(fds[0], &waiting) >= 0);
    CU_ASSERT_EQUAL(waiting, 0);
    cmdi_fd_close(fds[0]);
    rig_fini(&rig);
}

static void test_stream_acknowledged_stays_when_the_peer_is_gone(void)
{
    struct rig rig;
    int fds[2];
    size_t waiting = 1;
    pair(&rig, fds);
    int64_t before = cmdi_socket_acked(fds[1], &waiting);
    CU_ASSERT_EQUAL(send_text(fds[1], "taken"), 5);
    UNTIL(&rig, cmdi_socket_acked(fds[1], &waiting) == before + 5);
    cmdi_fd_close(fds[0]); // With these bytes unread.
    (void)watch_one(&rig, fds[1]);

    CU_ASSERT_EQUAL(cmdi_socket_acked(fds[1], &waiting), before + 5);
    cmdi_fd_close(fds[1]);
    rig_fini(&rig);
}

/* --- Connecting and accepting ----------------------------------------------------------------- */

static void test_stream_nobody_listens(void)
{
    struct rig rig;
    int fd = -1;
    struct cmdi_address address = v4(INADDR_LOOPBACK, 0);
    rig_init(&rig);
    cmdi_fd_close(listen_at(&address, 1));

    CU_ASSERT_EQUAL(dial(&rig, &address, &fd), -ECONNREFUSED);

    CU_ASSERT_EQUAL(recv_one(&rig, fd), 0); // It was told already.
    cmdi_fd_close(fd);
    rig_fini(&rig);
}

/* A queue holds one more than the backlog says; who finds it full tries again by itself. */
static void test_stream_a_full_backlog_lets_the_next_one_wait(void)
{
    struct rig rig;
    int first = -1;
    struct cmdi_address address = v4(INADDR_LOOPBACK, 0);
    rig_init(&rig);
    int listener = listen_at(&address, 0);
    CU_ASSERT_EQUAL(dial(&rig, &address, &first), 0);
    turn(&rig); // It lies in the queue by now.

    int second = cmdi_socket_open(&address, 0);
    cmdi_ring_connect(rig.ring, second, &address, FIRST + OTHER);
    CU_ASSERT_TRUE(stays(&rig, OTHER));
    cmdi_fd_close(accept_one(&rig, listener));

    CU_ASSERT_EQUAL(await(&rig, OTHER), 0);
    cmdi_fd_close(accept_one(&rig, listener));
    cmdi_fd_close(first);
    cmdi_fd_close(second);
    cmdi_fd_close(listener);
    rig_fini(&rig);
}

static void test_stream_who_was_not_accepted_is_reset(void)
{
    struct rig rig;
    int fd = -1;
    struct cmdi_address address = v4(INADDR_LOOPBACK, 0);
    rig_init(&rig);
    int listener = listen_at(&address, 4);
    CU_ASSERT_EQUAL(dial(&rig, &address, &fd), 0);
    CU_ASSERT_EQUAL(send_text(fd, "hello"), 5);

    cmdi_socket_shutdown(listener, SHUT_RDWR);

    CU_ASSERT_EQUAL(recv_one(&rig, fd), -ECONNRESET);
    CU_ASSERT_EQUAL(cmdi_socket_accept_now(listener), -EINVAL);
    cmdi_fd_close(listener);
    cmdi_fd_close(fd);
    rig_fini(&rig);
}

/* What was sent, and that it was closed, lies there for whoever accepts it late. */
static void test_stream_one_that_closed_early_is_accepted(void)
{
    struct rig rig;
    int fd = -1;
    struct cmdi_address address = v4(INADDR_LOOPBACK, 0);
    rig_init(&rig);
    int listener = listen_at(&address, 4);
    CU_ASSERT_EQUAL(dial(&rig, &address, &fd), 0);
    CU_ASSERT_EQUAL(send_text(fd, "hello"), 5);
    cmdi_fd_close(fd);

    fd = accept_one(&rig, listener);

    recv_bytes(&rig, fd, 5);
    CU_ASSERT_EQUAL(recv_one(&rig, fd), 0);
    cmdi_fd_close(fd);
    cmdi_fd_close(listener);
    rig_fini(&rig);
}

static void test_stream_connections_do_not_keep_a_port(void)
{
    struct rig rig;
    int fds[2];
    struct cmdi_address address = v4(INADDR_LOOPBACK, 0);
    rig_init(&rig);
    int listener = listen_at(&address, 4);
    CU_ASSERT_EQUAL(dial(&rig, &address, &fds[0]), 0);
    fds[1] = accept_one(&rig, listener);
    CU_ASSERT_EQUAL(cmdi_socket_listen(&address, 4, false, 0), -EADDRINUSE);
    struct cmdi_address any = v4(INADDR_ANY, ntohs(address.as.v4.sin_port));
    CU_ASSERT_EQUAL(cmdi_socket_listen(&any, 4, false, 0), -EADDRINUSE);

    cmdi_fd_close(listener);
    listener = cmdi_socket_listen(&address, 4, false, 0);

    CU_ASSERT(listener >= 0);
    cmdi_fd_close(listener);
    pair_fini(&rig, fds);
}

static void test_stream_addresses_of_both_ends_agree(void)
{
    struct rig rig;
    int fds[2];
    struct cmdi_address ours, theirs;
    pair(&rig, fds);
    for (uint32_t i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL(cmdi_socket_local(fds[i], &ours), 0);
        CU_ASSERT_EQUAL(cmdi_socket_peer(fds[1 - i], &theirs), 0);
        CU_ASSERT_EQUAL(ours.size, theirs.size);
        CU_ASSERT_EQUAL(ours.as.v4.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
        CU_ASSERT_EQUAL(ours.as.v4.sin_addr.s_addr, theirs.as.v4.sin_addr.s_addr);
        CU_ASSERT_EQUAL(ours.as.v4.sin_port, theirs.as.v4.sin_port);
        CU_ASSERT_FALSE(cmdi_socket_is_local(fds[i]));
        CU_ASSERT_FALSE(cmdi_socket_undo_self(fds[i]));
    }
    pair_fini(&rig, fds);
}

static void test_stream_any_address_of_ipv6_is_any_address(void)
{
    struct rig rig;
    int fd = -1;
    struct cmdi_address any = v6(in6addr_any, 0);
    int listener = cmdi_socket_listen(&any, 4, false, 0);
    if (listener == -EAFNOSUPPORT || listener == -EADDRNOTAVAIL) {
        printf("(no IPv6 here) ");
        return;
    }
    rig_init(&rig);
    CU_ASSERT_EQUAL(cmdi_socket_local(listener, &any), 0);
    uint16_t port = ntohs(any.as.v6.sin6_port);
    struct cmdi_address addresses[] = {v4(INADDR_LOOPBACK, port), v6(in6addr_loopback, port)};
    for (uint32_t i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL(dial(&rig, &addresses[i], &fd), 0);
        cmdi_fd_close(accept_one(&rig, listener));
        cmdi_fd_close(fd);
    }
    cmdi_fd_close(listener);

    struct cmdi_address any_v4 = v4(INADDR_ANY, 0); // And that of IPv4 is not.
    listener = listen_at(&any_v4, 4);
    addresses[1] = v6(in6addr_loopback, ntohs(any_v4.as.v4.sin_port));
    CU_ASSERT_EQUAL(dial(&rig, &addresses[1], &fd), -ECONNREFUSED);
    cmdi_fd_close(fd);
    cmdi_fd_close(listener);
    rig_fini(&rig);
}

static void test_stream_a_poller_lets_go_of_a_closed_listener(void)
{
    struct rig rig;
    struct cmdi_poller poller;
    int fd = -1;
    struct cmdi_address addresses[] = {v4(INADDR_LOOPBACK, 0), v4(INADDR_LOOPBACK, 0)};
    rig_init(&rig);
    int listeners[] = {listen_at(&addresses[0], 4), listen_at(&addresses[1], 4)};
    CU_ASSERT_EQUAL_FATAL(cmdi_poller_init(&poller), 0);
    CU_ASSERT_EQUAL(cmdi_poller_add(&poller, listeners[0]), 0);
    CU_ASSERT_EQUAL(cmdi_poller_add(&poller, listeners[1]), 0);

    cmdi_fd_close(listeners[0]);
    CU_ASSERT_EQUAL(dial(&rig, &addresses[0], &fd), -ECONNREFUSED);
    cmdi_fd_close(fd);
    CU_ASSERT_EQUAL(dial(&rig, &addresses[1], &fd), 0);
    CU_ASSERT_TRUE(cmdi_poller_wait(&poller));
    cmdi_poller_stop(&poller);
    CU_ASSERT_FALSE(cmdi_poller_wait(&poller));

    cmdi_poller_fini(&poller);
    cmdi_fd_close(fd);
    cmdi_fd_close(listeners[1]);
    rig_fini(&rig);
}

static CU_TestInfo test_stream[] = {
        {"each direction ends by itself", test_stream_each_direction_ends_by_itself},
        {"bytes come before the end", test_stream_bytes_come_before_the_end},
        {"shutdown of both ends a receive", test_stream_shutdown_of_both_ends_a_receive},
        {"a close with unread bytes resets", test_stream_a_close_with_unread_bytes_resets},
        {"a send or a peek takes the error", test_stream_a_send_or_a_peek_takes_the_error},
        {"what lies there survives a reset", test_stream_what_lies_there_survives_a_reset},
        {"bytes for a closed socket reset", test_stream_bytes_for_a_closed_socket_reset},
        {"bytes for one that shut both reset", test_stream_bytes_for_one_that_shut_both_reset},
        {"a send without room goes on when there is",
                test_stream_a_send_without_room_goes_on_when_there_is},
        {"acknowledged is what the other side has",
                test_stream_acknowledged_is_what_the_other_side_has},
        {"nothing waits for a peer that reset", test_stream_nothing_waits_for_a_peer_that_reset},
        {"acknowledged stays when the peer is gone",
                test_stream_acknowledged_stays_when_the_peer_is_gone},
        {"nobody listens", test_stream_nobody_listens},
        {"a full backlog lets the next one wait",
                test_stream_a_full_backlog_lets_the_next_one_wait},
        {"who was not accepted is reset", test_stream_who_was_not_accepted_is_reset},
        {"one that closed early is accepted", test_stream_one_that_closed_early_is_accepted},
        {"connections do not keep a port", test_stream_connections_do_not_keep_a_port},
        {"addresses of both ends agree", test_stream_addresses_of_both_ends_agree},
        {"any address of IPv6 is any address", test_stream_any_address_of_ipv6_is_any_address},
        {"a poller lets go of a closed listener",
                test_stream_a_poller_lets_go_of_a_closed_listener},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("stream", test_stream)

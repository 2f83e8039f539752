/* SPDX-License-Identifier: MIT */
/*
 * What the library takes for granted of UNIX sockets, where they are not as TCP: who closes is gone at once,
 * what is not read is counted, and paths outlive their sockets. See test_stream.c.
 */
#include "support/stream.h"

static void test_stream_local_who_closes_is_gone_at_once(void)
{
    struct rig rig;
    int fds[2];
    local_pair(&rig, fds);
    CU_ASSERT_TRUE(cmdi_socket_is_local(fds[0]) && cmdi_socket_is_local(fds[1]));
    CU_ASSERT_EQUAL(send_text(fds[0], "last"), 4);
    cmdi_fd_close(fds[0]);

    CU_ASSERT_EQUAL(watch_one(&rig, fds[1]), CMDI_RING_PEER_GONE | CMDI_RING_PEER_FINISHED);
    CU_ASSERT_EQUAL(send_text(fds[1], "x"), -EPIPE);
    recv_bytes(&rig, fds[1], 4);
    CU_ASSERT_EQUAL(recv_one(&rig, fds[1]), 0);
    cmdi_fd_close(fds[1]);
    rig_fini(&rig);
}

static void test_stream_local_a_close_with_unread_bytes_resets(void)
{
    struct rig rig;
    int fds[2];
    local_pair(&rig, fds);
    CU_ASSERT_EQUAL(send_text(fds[0], "before"), 6);
    reset_first(&rig, fds);

    CU_ASSERT_EQUAL(watch_one(&rig, fds[1]),
            CMDI_RING_PEER_FAILED | CMDI_RING_PEER_GONE | CMDI_RING_PEER_FINISHED);
    recv_bytes(&rig, fds[1], 6);
    CU_ASSERT_EQUAL(recv_one(&rig, fds[1]), -ECONNRESET);
    CU_ASSERT_EQUAL(recv_one(&rig, fds[1]), 0);
    CU_ASSERT_EQUAL(send_text(fds[1], "x"), -EPIPE);
    cmdi_fd_close(fds[1]);
    rig_fini(&rig);
}

static void test_stream_local_a_shutdown_is_one_of_the_peer_too(void)
{
    struct rig rig;
    int fds[2];
    local_pair(&rig, fds);
    cmdi_socket_shutdown(fds[0], SHUT_WR);
    CU_ASSERT_EQUAL(watch_one(&rig, fds[1]), CMDI_RING_PEER_FINISHED);
    CU_ASSERT_EQUAL(send_text(fds[1], "still"), 5);
    recv_bytes(&rig, fds[0], 5);

    cmdi_socket_shutdown(fds[0], SHUT_RDWR);
    CU_ASSERT_EQUAL(watch_one(&rig, fds[1]), CMDI_RING_PEER_GONE | CMDI_RING_PEER_FINISHED);
    CU_ASSERT_EQUAL(send_text(fds[1], "x"), -EPIPE);
    pair_fini(&rig, fds);
}

static void test_stream_local_what_is_not_read_waits(void)
{
    struct rig rig;
    int fds[2];
    size_t waiting = 1;
    local_pair(&rig, fds);
    CU_ASSERT_EQUAL(cmdi_socket_acked(fds[0], &waiting), -ENOTSUP);
    CU_ASSERT_EQUAL(waiting, 0);

    CU_ASSERT_EQUAL(send_text(fds[0], "12345"), 5);
    CU_ASSERT_EQUAL(cmdi_socket_acked(fds[0], &waiting), -ENOTSUP);
    CU_ASSERT(waiting >= 5);
    CU_ASSERT_EQUAL(cmdi_socket_unread(fds[1]), 5);
    recv_bytes(&rig, fds[1], 5);
    (void)cmdi_socket_acked(fds[0], &waiting);
    CU_ASSERT_EQUAL(waiting, 0);

    expect_room_to_be_told(&rig, fds[0], fds[1]);
    expect_room_to_be_told(&rig, fds[1], fds[0]);
    pair_fini(&rig, fds);
}

static void test_stream_local_paths_outlive_their_sockets(void)
{
    struct rig rig;
    int fd = -1;
    struct cmdi_socket_file files[2];
    struct cmdi_address address = path();
    rig_init(&rig);
    CU_ASSERT_EQUAL(dial(&rig, &address, &fd), -ENOENT);
    cmdi_fd_close(fd);
    int listener = cmdi_socket_listen(&address, 4, false, 0);
    cmdi_socket_file_note(&address, &files[0]);
    CU_ASSERT_EQUAL(dial(&rig, &address, &fd), 0);
    cmdi_fd_close(fd);
    CU_ASSERT_EQUAL(cmdi_socket_listen(&address, 4, false, 0), -EADDRINUSE);

    cmdi_fd_close(listener);
    CU_ASSERT_EQUAL(dial(&rig, &address, &fd), -ECONNREFUSED);
    cmdi_fd_close(fd);
    listener = cmdi_socket_listen(&address, 4, false, 0);
    cmdi_socket_file_note(&address, &files[1]);
    CU_ASSERT(files[0].inode != 0 && files[1].inode != 0);
    CU_ASSERT_EQUAL(dial(&rig, &address, &fd), 0);
    cmdi_fd_close(fd);

    cmdi_socket_file_remove(&address, &files[1]);
    CU_ASSERT_EQUAL(dial(&rig, &address, &fd), -ENOENT); // Though somebody listens.
    cmdi_fd_close(fd);
    cmdi_fd_close(listener);
    rig_fini(&rig);
}

static void test_stream_local_a_full_backlog_lets_the_next_one_wait(void)
{
    struct rig rig;
    int first = -1;
    struct cmdi_address address = abstract();
    rig_init(&rig);
    int listener = listen_at(&address, 0);
    CU_ASSERT_EQUAL(dial(&rig, &address, &first), 0);
    for (uint32_t i = 0; i < 2; i++) {
        int next = cmdi_socket_open(&address, 0);
        cmdi_ring_connect(rig.ring, next, &address, FIRST + OTHER);
        CU_ASSERT_TRUE(stays(&rig, OTHER));

        if (i == 0) {
            cmdi_fd_close(accept_one(&rig, listener));
        } else {
            cmdi_fd_close(listener);
        }

        CU_ASSERT_EQUAL(await(&rig, OTHER), i == 0 ? 0 : -ECONNREFUSED);
        cmdi_fd_close(next);
    }
    cmdi_fd_close(first);
    rig_fini(&rig);
}

static CU_TestInfo test_stream_local[] = {
        {"who closes is gone at once", test_stream_local_who_closes_is_gone_at_once},
        {"a close with unread bytes resets", test_stream_local_a_close_with_unread_bytes_resets},
        {"a shutdown is one of the peer too", test_stream_local_a_shutdown_is_one_of_the_peer_too},
        {"what is not read waits", test_stream_local_what_is_not_read_waits},
        {"paths outlive their sockets", test_stream_local_paths_outlive_their_sockets},
        {"a full backlog lets the next one wait",
                test_stream_local_a_full_backlog_lets_the_next_one_wait},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("stream_local", test_stream_local)

/* SPDX-License-Identifier: MIT */
/*
 * Connections over a real ring, where received bytes are slices of the shard's buffers. They are so
 * small here that they cut frames at every byte, and so few that receives keep running out of them.
 * A shard that sleeps although something can be done would sleep for ever: then a test hangs.
 */
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conn/parts.h"
#include "support/harness.h"
#include "support/wires.h"

static void test_conn_slices_survive_every_cut(void)
{
    static const uint32_t sizes[] = {1, 2, 3, 5, 7, 16, 33, 64};
    static uint8_t data[PEER_WIRE_MAX];
    size_t size = peer_mixed_frames(data, PEER_FRAMES);

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        for (uint32_t count = 1; count <= 8; count *= 2) {
            struct cmdi_shard *shard = wire_shard(sizes[i], count, count <= 2 ? count : 8, true);
            struct wire wire;
            wire_open(&wire, shard, data, size);
            while (wire.peer.eofs == 0) {
                wire_turn(shard);
            }
            CU_ASSERT_EQUAL(wire.peer.frames, PEER_FRAMES);
            CU_ASSERT_EQUAL(wire.peer.conn.error_code, 0);
            wire_close(&wire);
            wire_shard_free(shard);
        }
    }
}

/* Frames so small that a turn runs far less than it receives. */
static void test_conn_flood_is_bounded(void)
{
    enum {
        FRAMES = 200000,
    };
    uint8_t *data = malloc(FRAMES * 8);
    CU_ASSERT_PTR_NOT_NULL_FATAL(data);
    uint8_t *end = data;
    for (uint64_t sequence = 1; sequence <= FRAMES; sequence++) {
        end = peer_put_frame(end, sequence, 1);
    }
    struct cmdi_shard *shard = wire_shard(4096, 4, 16, true);
    struct wire wire;
    size_t most = 0;
    wire_open(&wire, shard, data, (size_t)(end - data));
    while (wire.peer.eofs == 0) {
        wire_turn(shard);
        most = shard->buffers.leased_size > most ? shard->buffers.leased_size : most;
    }

    CU_ASSERT_EQUAL(wire.peer.frames, FRAMES);
    CU_ASSERT(most <= 2 * CMDI_SHARD_BYTES_PER_RUN + 32 * 4096);
    wire_close(&wire);
    wire_shard_free(shard);
    free(data);
}

static void test_conn_stop_and_go_loses_nothing(void)
{
    static uint8_t data[PEER_WIRE_MAX];
    size_t size = peer_mixed_frames(data, 900);
    struct cmdi_shard *shard = wire_shard(256, 4, 16, false);
    struct wire wire;
    wire_open(&wire, shard, data, size);
    while (wire.peer.eofs == 0) {
        wire.peer.pause_at = wire.peer.frames + 7;
        cmdi_conn_resume(&wire.peer.conn);
        wire_turn(shard);
    }

    CU_ASSERT_EQUAL(wire.peer.frames, 900);
    wire_close(&wire);
    wire_shard_free(shard);
}

static void test_conn_paused_one_holds_no_buffer(void)
{
    static uint8_t data[PEER_WIRE_MAX];
    size_t size = peer_mixed_frames(data, 400);
    struct cmdi_shard *shard = wire_shard(256, 4, 4, false);
    struct wire paused;
    struct wire other;
    wire_open(&paused, shard, data, size);
    paused.peer.pause_at = 1;
    while (paused.peer.frames == 0 || cmdi_conn_is_receiving(&paused.peer.conn)) {
        wire_turn(shard);
    }
    CU_ASSERT_EQUAL(paused.peer.conn.slices.count, 0);

    wire_open(&other, shard, data, size);
    while (other.peer.eofs == 0) {
        wire_turn(shard);
    }
    CU_ASSERT_EQUAL(other.peer.frames, 400);
    CU_ASSERT_EQUAL(paused.peer.frames, 1);

    cmdi_conn_resume(&paused.peer.conn);
    while (paused.peer.eofs == 0) {
        wire_turn(shard);
    }
    CU_ASSERT_EQUAL(paused.peer.frames, 400);
    wire_close(&paused);
    wire_close(&other);
    wire_shard_free(shard);
}

/* Of a peer that sends no more the receive ends by nothing but its cancel. */
static void test_conn_paused_one_stops_to_receive(void)
{
    static uint8_t data[PEER_WIRE_MAX];
    size_t size = peer_mixed_frames(data, 1);
    struct cmdi_shard *shard = wire_shard(256, 4, 4, true);
    struct wire wire;
    wire_open(&wire, shard, NULL, 0);
    wire.peer.pause_at = 1;
    CU_ASSERT_EQUAL_FATAL(send(wire.fd, data, size, MSG_NOSIGNAL), (ssize_t)size);

    while (wire.peer.frames == 0 || cmdi_conn_is_receiving(&wire.peer.conn)) {
        wire_turn(shard);
    }

    CU_ASSERT_EQUAL(send(wire.fd, data, size, MSG_NOSIGNAL), (ssize_t)size);
    CU_ASSERT_EQUAL(wire.peer.conn.received_size, size); // The rest stays with the kernel.
    wire_close(&wire);
    wire_shard_free(shard);
}

static void test_conn_lingers_over_a_ring(void)
{
    static uint8_t data[PEER_WIRE_MAX];
    size_t size = peer_mixed_frames(data, 400);
    struct cmdi_shard *shard = wire_shard(64, 2, 2, true);
    struct wire wire;
    wire_open(&wire, shard, data, size);
    wire.peer.finish_at = 3;
    peer_append(&wire.peer, "last words", 10);

    while (wire.peer.closeds == 0) { // The rest is read and thrown away, up to the peer's end.
        wire_turn(shard);
    }

    char text[16];
    CU_ASSERT_EQUAL(recv(wire.fd, text, sizeof(text), 0), 10);
    CU_ASSERT_EQUAL(recv(wire.fd, text, sizeof(text), 0), 0);
    CU_ASSERT_EQUAL(wire.peer.frames, 3);
    CU_ASSERT_EQUAL(wire.peer.conn.error_code, CMDS_E_CLOSED);
    wire_close(&wire);
    wire_shard_free(shard);
}

/* --- Few bytes -------------------------------------------------------------------------------- */

enum {
    FEW_BUFFERS = 8
};
static uint32_t free_at_first; // When the first frame of all ran.

static int64_t on_first_frame(struct cmdi_conn *conn, const struct cmdi_frame *frame)
{
    if (free_at_first == UINT32_MAX) {
        free_at_first = cmdi_ring_buffers_free(conn->shard->ring);
        atomic_store(&conn->shard->stopping, 1); // This turn does not sleep.
    }
    return (int64_t)frame->body_size;
}

/* As many connections as there are buffers have sent a frame each, in the same instant. */
static void test_conn_slices_few_bytes_leave_buffers_free(void)
{
    static const uint8_t frame[] = {1, 0, 1, 0xc0};
    static const struct cmdi_conn_ops ops = {
            .on_frame = on_first_frame,
            .on_ping = peer_on_ping,
            .on_eof = wire_on_eof,
            .on_closing = peer_on_closing,
            .on_closed = wire_on_closed,
    };
    struct cmdi_shard *shard = wire_shard(4096, FEW_BUFFERS, FEW_BUFFERS, true);
    static struct wire wires[FEW_BUFFERS];
    free_at_first = UINT32_MAX;
    for (int i = 0; i < FEW_BUFFERS; i++) {
        int fds[2];
        wires[i] = (struct wire){.peer = {.shard = shard, .limits = peer_limits}};
        CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        wires[i].fd = fds[1];
        cmdi_conn_init(&wires[i].peer.conn, shard, &ops, &cmdi_transport_socket,
                &wires[i].peer.limits, &wires[i].peer.counters);
        CU_ASSERT_EQUAL_FATAL(cmdi_conn_open(&wires[i].peer.conn, fds[0], NULL), 1);
        CU_ASSERT_EQUAL(send(fds[1], frame, sizeof(frame), MSG_NOSIGNAL), sizeof(frame));
        cmdi_conn_start(&wires[i].peer.conn);
    }

    while (free_at_first == UINT32_MAX) {
        wire_turn(shard);
    }

    CU_ASSERT(free_at_first > 0);
    for (int i = 0; i < FEW_BUFFERS; i++) {
        cmdi_conn_fail(&wires[i].peer.conn, CMDS_E_CLOSED, "the test is over");
    }
    for (int i = 0; i < FEW_BUFFERS; i++) {
        while (wires[i].peer.closeds == 0) {
            wire_turn(shard);
        }
        cmdi_conn_fini(&wires[i].peer.conn);
        (void)close(wires[i].fd);
    }
    wire_shard_free(shard);
}

/*
 * One holds the shard's only buffer and waits for memory: what the other's peer has sent is not to be
 * waited for until it has some, but it is when the buffer is on its way.
 */
static void test_conn_starved_one_waits_for_no_memory_of_others(void)
{
    static uint8_t cut[1024], data[PEER_WIRE_MAX];
    size_t cut_size = (size_t)(peer_put_frame(cut, 1, 900) - cut);
    size_t size = peer_mixed_frames(data, 8);
    struct cmdi_shard *shard = wire_shard(64, 1, 1, false);
    struct cmdi_account *account = &shard->buffers.account;
    size_t most = account->size_max;
    struct wire holder, starved;
    uint64_t mark = 0;
    cmdi_account_add(account, most);
    shard->evictions = 1; // Who has it is on the way out, and takes its time.
    wire_open(&holder, shard, cut, cut_size);
    while (!holder.peer.conn.lacks_input) {
        wire_turn(shard);
    }
    wire_open(&starved, shard, data, size);
    while (starved.peer.conn.input != CMDI_INPUT_STARVED) {
        wire_turn(shard);
    }
    while (starved.peer.conn.transport->unread(&starved.peer.conn) < size) {
        (void)sched_yield(); // Its writer is under way.
    }

    CU_ASSERT_EQUAL(cmdi_ring_buffers_free(shard->ring), 0);
    CU_ASSERT_TRUE(cmdi_conn_has_run(&starved.peer.conn, &mark));
    CU_ASSERT_EQUAL(mark, 0);

    cmdi_account_sub(account, most);
    shard->evictions = 0;
    cmdi_conn_relieve(shard);
    CU_ASSERT_EQUAL(holder.peer.conn.lacks, 0);
    CU_ASSERT_FALSE(cmdi_conn_has_run(&starved.peer.conn, &mark));
    while (holder.peer.eofs == 0 || starved.peer.eofs == 0) {
        wire_turn(shard);
    }
    CU_ASSERT_TRUE(cmdi_conn_has_run(&starved.peer.conn, &mark));
    CU_ASSERT_EQUAL(holder.peer.frames, 1);
    CU_ASSERT_EQUAL(starved.peer.frames, 8);
    wire_close(&holder);
    wire_close(&starved);
    wire_shard_free(shard);
}

static size_t held_by_queues(const struct cmdi_conn *conn)
{
    (void)conn;
    return (size_t)256 * 1024;
}

/*
 * One has the shard's only buffer and waits for memory. That is with the queues of one that cannot become
 * open without a buffer: to close this one gives nothing back, and each would wait for the other.
 */
static void test_conn_who_has_the_buffer_pays_for_who_opens(void)
{
    static const uint8_t info[] = {4, 'c', 'a', 'l', 'c'};
    static const struct cmdi_conn_ops ops = {
            .on_frame = peer_on_frame,
            .on_ping = peer_on_ping,
            .on_server_info = peer_on_server_info,
            .on_closing = peer_on_closing,
            .on_closed = wire_on_closed,
            .held = held_by_queues,
    };
    static uint8_t cut[1024];
    size_t cut_size = (size_t)(peer_put_frame(cut, 1, 900) - cut);
    struct cmdi_shard *shard = wire_shard(64, 1, 1, false);
    size_t most = shard->buffers.account.size_max;
    struct wire holder, opening = {.peer = {.shard = shard, .limits = peer_limits}};
    int fds[2];
    cmdi_account_add(&shard->buffers.account, most);
    shard->evictions = 1; // Nobody pays yet.
    wire_open(&holder, shard, cut, cut_size);
    while (!holder.peer.conn.lacks_input) {
        wire_turn(shard);
    }
    CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    opening.fd = fds[1];
    cmdi_conn_init(&opening.peer.conn, shard, &ops, &cmdi_transport_socket, &opening.peer.limits,
            &opening.peer.counters);
    CU_ASSERT_EQUAL_FATAL(cmdi_conn_open(&opening.peer.conn, fds[0], NULL), 1);
    CU_ASSERT_EQUAL(send(fds[1], info, sizeof(info), MSG_NOSIGNAL), sizeof(info));
    cmdi_conn_start(&opening.peer.conn);
    while (opening.peer.conn.input != CMDI_INPUT_STARVED) {
        wire_turn(shard);
    }

    shard->evictions = 0;
    cmdi_conn_relieve(shard);
    CU_ASSERT_EQUAL(holder.peer.conn.error_code, CMDS_E_MEMORY_LIMIT);
    CU_ASSERT_EQUAL(opening.peer.closings, 0);
    cmdi_account_sub(&shard->buffers.account, most);
    while (opening.peer.conn.state < CMDI_CONN_OPEN) {
        wire_turn(shard);
    }
    CU_ASSERT_EQUAL(opening.peer.conn.state, CMDI_CONN_OPEN);
    CU_ASSERT_EQUAL(opening.peer.counters.memory_evictions, 0);
    wire_close(&holder);
    wire_close(&opening);
    wire_shard_free(shard);
}

CU_TestInfo test_conn_slices[] = {
        {"slices survive every cut", test_conn_slices_survive_every_cut},
        {"flood is bounded", test_conn_flood_is_bounded},
        {"stop and go loses nothing", test_conn_stop_and_go_loses_nothing},
        {"paused one holds no buffer", test_conn_paused_one_holds_no_buffer},
        {"paused one stops to receive", test_conn_paused_one_stops_to_receive},
        {"lingers over a ring", test_conn_lingers_over_a_ring},
        {"few bytes leave buffers free", test_conn_slices_few_bytes_leave_buffers_free},
        {"starved one waits for no memory of others",
                test_conn_starved_one_waits_for_no_memory_of_others},
        {"who has the buffer pays for who opens", test_conn_who_has_the_buffer_pays_for_who_opens},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("conn_slices", test_conn_slices)

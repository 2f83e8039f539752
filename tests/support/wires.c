/* SPDX-License-Identifier: MIT */
/* See wires.h. */
#include "support/wires.h"

#include <sys/socket.h>
#include <unistd.h>

#include "support/harness.h"

void wire_on_eof(struct cmdi_conn *conn)
{
    peer_on_eof(conn);
    atomic_store(&conn->shard->stopping, 1);
}

void wire_on_closed(struct cmdi_conn *conn)
{
    peer_on_closed(conn);
    atomic_store(&conn->shard->stopping, 1);
}

static const struct cmdi_conn_ops wire_ops = {
        .on_frame = peer_on_frame,
        .on_ping = peer_on_ping,
        .on_eof = wire_on_eof,
        .on_closing = peer_on_closing,
        .on_closed = wire_on_closed,
};

static const struct cmdi_conn_ops wire_secured_ops = {
        .on_frame = peer_on_frame,
        .on_ping = peer_on_ping,
        .on_open = peer_on_open,
        .on_eof = wire_on_eof,
        .on_closing = peer_on_closing,
        .on_closed = wire_on_closed,
        .answers_first = true,
        .expects_quiet = true,
};

struct cmdi_shard *wire_shard(uint32_t buffer_size, uint32_t count, uint32_t count_max, bool thread)
{
    struct cmdi_shard_options options = {
            .cpu = -1,
            .drive = thread ? CMDI_DRIVE_THREAD : CMDI_DRIVE_INLINE,
            .memory_size_max = 1 << 26,
            .ring = {.entries = 16,
                    .completion_entries = 64,
                    .buffer_size = buffer_size,
                    .buffer_count = count,
                    .buffer_count_max = count_max},
    };
    struct cmdi_shard *shard = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    if (cmdi_shard_create(&shard, &options, &error) < 0) {
        cmdi_test_skip(error.text);
    }
    CU_ASSERT_EQUAL_FATAL(cmdi_ring_enable(shard->ring), 0);
    (void)cmdi_shard_set_current(shard);
    return shard;
}

void wire_shard_free(struct cmdi_shard *shard)
{
    CU_ASSERT_EQUAL(shard->buffers.leased_size, 0);
    CU_ASSERT_EQUAL(shard->connection_count, 0);
    CU_ASSERT_EQUAL(shard->seat_count, 0);
    CU_ASSERT_EQUAL(cmdi_ring_buffers_free(shard->ring), cmdi_ring_buffer_count(shard->ring));
    (void)cmdi_shard_set_current(NULL);
    cmdi_shard_destroy(shard);
}

void wire_turn(struct cmdi_shard *shard)
{
    atomic_store(&shard->stopping, 0);
    CU_ASSERT_FATAL(cmdi_shard_turn(shard, CMDI_RING_WAIT_FOREVER) >= 0);
}

static void *wire_main(void *argument)
{
    struct wire *wire = argument;
    for (size_t at = 0; at < wire->size;) {
        ssize_t sent = send(wire->fd, wire->data + at, wire->size - at, MSG_NOSIGNAL);
        if (sent <= 0) {
            break;
        }
        at += (size_t)sent;
    }
    (void)shutdown(wire->fd, SHUT_WR);
    return NULL;
}

void wire_open_secured(struct wire *wire, struct cmdi_shard *shard, struct cmds_tls *tls,
        const uint8_t *data, size_t size)
{
    static const struct cmdi_security_peer of_client = {.address = "client"};
    struct peer *peer = &wire->peer;
    int fds[2];
    *wire = (struct wire){
            .peer = {.shard = shard, .limits = peer_limits}, .data = data, .size = size};
    CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    wire->fd = fds[1];
    cmdi_conn_init(&peer->conn, shard, tls != NULL ? &wire_secured_ops : &wire_ops,
            &cmdi_transport_socket, &peer->limits, &peer->counters);
    if (tls != NULL) {
        CU_ASSERT_EQUAL_FATAL(
                cmdi_conn_secure(&peer->conn, tls, &of_client, &peer->tls_counters), 0);
    }
    CU_ASSERT_EQUAL_FATAL(cmdi_conn_open(&peer->conn, fds[0], NULL), tls == NULL);
    if (tls == NULL) {
        cmdi_conn_start(&peer->conn);
    }
    if (data != NULL) {
        CU_ASSERT_EQUAL_FATAL(pthread_create(&wire->writer, NULL, wire_main, wire), 0);
    }
}

void wire_open(struct wire *wire, struct cmdi_shard *shard, const uint8_t *data, size_t size)
{
    wire_open_secured(wire, shard, NULL, data, size);
}

void wire_close(struct wire *wire)
{
    cmdi_conn_fail(&wire->peer.conn, CMDS_E_CLOSED, "the test is over");
    (void)shutdown(wire->fd, SHUT_RDWR); // Ends the writer.
    while (wire->peer.closeds == 0) {
        wire_turn(wire->peer.shard);
    }
    if (wire->data != NULL) {
        (void)pthread_join(wire->writer, NULL);
    }
    (void)close(wire->fd);
    cmdi_conn_fini(&wire->peer.conn);
    CU_ASSERT_EQUAL(wire->peer.closings, 1);
    CU_ASSERT_FALSE(wire->peer.wrong);
}

/* SPDX-License-Identifier: MIT */
/*
 * Connections of one shard, side by side. One that makes output without end, one that sends
 * commands without end, and hundreds that begin in the same instant must not come before the one
 * that asks for little. The order is what is asserted; time stands still.
 */
#include "conn/conn.h"

#include <stdlib.h>
#include <string.h>

#include "support/harness.h"
#include "support/peer.h"

enum {
    RESULT_SIZE = 100 * 1000,
    COMMANDS = 30, // So many results fit into PEER_SENT_MAX.
    LIGHT_RUNS = 20,
    PIECE = 64 * 1024,
};

static char order[64]; // Of what happened: one letter each.
static struct peer *peers[4];

static void note(const struct cmdi_conn *conn)
{
    size_t size = strlen(order);
    for (uint32_t i = 0; i < 4; i++) {
        if (peers[i] != NULL && conn == &peers[i]->conn && size + 1 < sizeof(order)) {
            order[size] = (char)('a' + i);
            order[size + 1] = '\0';
        }
    }
}

static int64_t note_frame(struct cmdi_conn *conn, const struct cmdi_frame *frame)
{
    note(conn);
    return peer_on_frame(conn, frame);
}

/* A command of a few bytes, a result of many. */
static int64_t answer_much(struct cmdi_conn *conn, const struct cmdi_frame *frame)
{
    int code = 0;
    uint8_t *out = cmdi_conn_reserve(conn, RESULT_SIZE, &code);
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    memset(out, 'x', RESULT_SIZE);
    cmdi_conn_commit(conn, RESULT_SIZE);
    return note_frame(conn, frame);
}

static struct cmdi_conn_ops note_ops, much_ops;

/* The first one owns the shard. */
static void open_peers(uint32_t count)
{
    order[0] = '\0';
    note_ops = peer_server_ops;
    note_ops.on_frame = note_frame;
    much_ops = peer_server_ops;
    much_ops.on_frame = answer_much;
    memset(peers, 0, sizeof(peers));
    peers[0] = peer_open(&note_ops);
    for (uint32_t i = 1; i < count; i++) {
        peers[i] = malloc(sizeof(*peers[i]));
        CU_ASSERT_PTR_NOT_NULL_FATAL(peers[i]);
        peer_init(peers[i], peers[0]->shard, &note_ops);
    }
    for (uint32_t i = 0; i < count; i++) {
        cmdi_conn_start(&peers[i]->conn);
    }
}

static void close_peers(uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        cmdi_conn_fail(&peers[i]->conn, CMDS_E_CLOSED, "done");
        peer_end_operations(peers[i]);
        CU_ASSERT_EQUAL(peers[i]->closeds, 1);
        cmdi_conn_fini(&peers[i]->conn);
        free(peers[i]->sent);
        free(peers[i]);
    }
    peer_free(peers[0]);
}

/* So many small frames, behind those that it has had. */
static void feed(struct peer *peer, uint64_t count)
{
    static uint8_t wire[PEER_WIRE_MAX];
    uint8_t *end = wire;
    for (uint64_t i = 1; i <= count; i++) {
        end = peer_put_frame(end, peer->frames + i, 1);
    }
    cmdi_conn_feed(&peer->conn, wire, (size_t)(end - wire));
}

static void test_fair_output_of_a_run_is_bounded(void)
{
    open_peers(2);
    peers[0]->conn.ops = &much_ops;
    peers[0]->limits.output_size_max = 4 * 1024 * 1024;
    peers[0]->now_takes = INT64_MAX; // A fast reader: the bound of the output never comes.

    feed(peers[0], COMMANDS);
    feed(peers[1], 1);
    peer_advance(peers[0]);

    CU_ASSERT_PTR_NOT_NULL_FATAL(strchr(order, 'b'));
    CU_ASSERT(strchr(order, 'b') - order <= CMDI_SHARD_OUTPUT_PER_RUN / RESULT_SIZE + 1);
    CU_ASSERT_EQUAL(peers[0]->frames, COMMANDS);
    (void)peer_send_all(peers[0]);
    CU_ASSERT_EQUAL(peers[0]->sent_size, (size_t)COMMANDS * RESULT_SIZE);
    close_peers(2);
}

static void test_fair_who_asks_for_little_comes_first(void)
{
    open_peers(3);
    for (uint32_t i = 0; i < LIGHT_RUNS; i++) {
        feed(peers[2], 1);
        peer_advance(peers[0]);
    }
    feed(peers[0], 2 * CMDI_SHARD_FRAMES_PER_RUN); // It has shown what it asks for...
    peer_advance(peers[0]);
    order[0] = '\0';

    feed(peers[0], 1);
    feed(peers[1], 1); // ... of this one nothing is known, and c is the last to come.
    feed(peers[2], 1);
    peer_advance(peers[0]);

    CU_ASSERT_STRING_EQUAL(order, "cba");
    close_peers(3);
}

static void test_fair_who_asked_for_much_is_forgiven(void)
{
    open_peers(2);
    feed(peers[0], 2 * CMDI_SHARD_FRAMES_PER_RUN);
    peer_advance(peers[0]);
    for (uint32_t i = 0; i < LIGHT_RUNS; i++) {
        feed(peers[0], 1);
        peer_advance(peers[0]);
    }
    order[0] = '\0';

    feed(peers[1], 1);
    feed(peers[0], 1);
    peer_advance(peers[0]);

    CU_ASSERT_STRING_EQUAL(order, "ab");
    close_peers(2);
}

/* --- Sends ------------------------------------------------------------------------------------ */

static const struct cmdi_transport *fake;

static void note_send(struct cmdi_conn *conn, const uint8_t *data, size_t size)
{
    note(conn);
    fake->send(conn, data, size);
}

static void append(struct peer *peer, size_t size)
{
    int code = 0;
    uint8_t *out = cmdi_conn_reserve(&peer->conn, size, &code);
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    memset(out, 'x', size);
    cmdi_conn_commit(&peer->conn, size);
}

static void test_fair_small_sends_leave_before_large_ones(void)
{
    struct cmdi_transport transport;
    open_peers(4);
    fake = peers[0]->conn.transport;
    transport = *fake;
    transport.send = note_send;
    for (uint32_t i = 0; i < 4; i++) {
        peers[i]->conn.transport = &transport;
    }

    append(peers[0], PIECE);
    append(peers[1], PIECE);
    append(peers[2], PIECE);
    append(peers[3], 6);
    peer_advance(peers[0]);

    CU_ASSERT_STRING_EQUAL(order, "dabc");
    for (uint32_t i = 0; i < 4; i++) {
        CU_ASSERT(peer_send_all(peers[i]) > 0);
        CU_ASSERT_EQUAL(peers[i]->sent_size, i < 3 ? PIECE : 6);
    }
    close_peers(4);
}

static void test_fair_a_rest_is_sent_in_its_turn(void)
{
    struct cmdi_transport transport;
    open_peers(2);
    fake = peers[0]->conn.transport;
    transport = *fake;
    transport.send = note_send;
    peers[0]->conn.transport = peers[1]->conn.transport = &transport;
    peers[0]->conn.limits = peers[1]->conn.limits = &peer_limits;
    append(peers[0], 16 * PIECE); // More than one send takes.
    peer_advance(peers[0]);
    CU_ASSERT_STRING_EQUAL(order, "a");

    append(peers[1], PIECE);
    peer_send_done(peers[0], (int32_t)peers[0]->sending_size);
    CU_ASSERT_STRING_EQUAL(order, "a"); // Not inside the completion.
    peer_advance(peers[0]);

    CU_ASSERT_STRING_EQUAL(order, "aba");
    CU_ASSERT(peer_send_all(peers[0]) > 0);
    CU_ASSERT_EQUAL(peers[0]->sent_size, 16 * PIECE);
    close_peers(2);
}

static CU_TestInfo tests[] = {
        {"output of a run is bounded", test_fair_output_of_a_run_is_bounded},
        {"who asks for little comes first", test_fair_who_asks_for_little_comes_first},
        {"who asked for much is forgiven", test_fair_who_asked_for_much_is_forgiven},
        {"small sends leave before large ones", test_fair_small_sends_leave_before_large_ones},
        {"a rest is sent in its turn", test_fair_a_rest_is_sent_in_its_turn},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("conn_fair", tests)

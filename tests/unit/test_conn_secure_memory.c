/* SPDX-License-Identifier: MIT */
/*
 * A connection with a security layer where the shard has no memory: for what comes, for a record that
 * is opened, for what is sealed, for what the session says itself. It waits where others may make
 * room, else it ends, and nothing is lost but with it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conn/parts.h"
#include "conn/secure.h"
#include "support/harness.h"
#include "support/masked.h"

enum {
    KIB = 1024,
};

static uint8_t frames[PEER_WIRE_MAX];

/* A mebibyte, of which somebody else has all but `room` bytes. */
static size_t fill_account(struct masked *masked, size_t room)
{
    struct cmdi_account *account = &masked->peer->shard->buffers.account;
    account->size_max = 1024 * KIB;
    size_t size = account->size_max - account->size - room;
    cmdi_account_add(account, size);
    return size;
}

static void drain_account(struct masked *masked, size_t size)
{
    cmdi_account_sub(&masked->peer->shard->buffers.account, size);
}

/* So much output of another connection is in flight. */
static void hold(struct peer *peer, size_t size)
{
    int code = 0;
    uint8_t *out = cmdi_conn_reserve(&peer->conn, size, &code);
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    memset(out, 1, size);
    peer->conn.fill.end += size;
    cmdi_shard_flush(peer->shard, &peer->conn.more->flush);
    peer_advance(peer);
    CU_ASSERT_PTR_NOT_NULL(peer->sending);
}

/* --- What comes ------------------------------------------------------------------------------- */

/* Its record cannot be opened; whoever holds most makes room, and then all of it runs, before its end. */
static void test_secure_record_waits_for_memory(void)
{
    static struct peer hog;
    struct masked masked;
    for (int fin = 0; fin <= 1; fin++) {
        masked_shaken(&masked, true);
        struct peer *peer = masked.peer;
        peer_init(&hog, peer->shard, &peer_server_ops);
        hold(&hog, 300 * KIB);
        size_t size = fill_account(&masked, 8 * KIB);
        masked_feed_data(&masked, frames, peer_mixed_frames(frames, 40), 100);
        if (fin) {
            peer_recv_done(peer, 0);
        }
        peer_advance(peer);
        CU_ASSERT_EQUAL(hog.conn.error_code, CMDS_E_MEMORY_LIMIT);
        CU_ASSERT_EQUAL(peer->frames, 0);
        CU_ASSERT_EQUAL(peer->eofs, 0);
        CU_ASSERT_TRUE(peer->conn.lacks_input);
        CU_ASSERT_EQUAL(peer->stops, !fin);
        cmdi_conn_ready(&peer->conn);
        peer_advance(peer);
        CU_ASSERT_EQUAL(peer->eofs, 0);

        peer_end_operations(&hog);
        peer_advance(peer);
        CU_ASSERT_EQUAL(peer->frames, 40);
        CU_ASSERT_EQUAL(peer->eofs, (uint32_t)fin);
        CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_OPEN);
        CU_ASSERT_EQUAL(peer->counters.out_of_memory, 0);
        drain_account(&masked, size);
        peer_fini(&hog);
        masked_free(&masked);
    }
}

static void test_secure_record_waits_in_vain(void)
{
    struct masked masked;
    for (int paused = 0; paused <= 1; paused++) {
        masked_shaken(&masked, true);
        if (paused) {
            cmdi_conn_pause(&masked.peer->conn);
            peer_advance(masked.peer);
        }
        size_t size = fill_account(&masked, 8 * KIB);
        masked_feed_data(&masked, frames, peer_mixed_frames(frames, 40), 100);
        peer_advance(masked.peer);
        CU_ASSERT_EQUAL(masked.peer->conn.error_code, CMDS_E_MEMORY_LIMIT);
        CU_ASSERT_EQUAL(masked.peer->counters.out_of_memory, 1);
        drain_account(&masked, size);
        masked_free(&masked);
    }
}

static void test_secure_bytes_without_memory(void)
{
    struct masked masked;
    for (int shaken = 0; shaken <= 1; shaken++) {
        mask_init(&masked.mask, true);
        masked_open(&masked, &peer_secured_server_ops, CMDS_NEVER);
        if (shaken) {
            masked_shake(&masked);
        }
        size_t size = fill_account(&masked, 4095);
        masked_feed_hello(&masked, 1);
        peer_advance(masked.peer);
        CU_ASSERT_EQUAL(masked.peer->conn.error_code, CMDS_E_MEMORY_LIMIT);
        CU_ASSERT_EQUAL(masked.peer->tls_counters.tls_failed, !shaken);
        drain_account(&masked, size);
        masked_free(&masked);
    }
}

/* --- What leaves ------------------------------------------------------------------------------ */

static void test_secure_sealing_takes_from_the_reserve(void)
{
    struct masked masked;
    for (int short_of = 0; short_of <= 1; short_of++) {
        masked_shaken(&masked, true);
        int code = 0;
        CU_ASSERT_PTR_NOT_NULL_FATAL(cmdi_conn_reserve(&masked.peer->conn, 60 * KIB, &code));
        memset(masked.peer->conn.fill.data, 'x', 60 * KIB);
        cmdi_conn_commit(&masked.peer->conn, 60 * KIB);
        size_t size = fill_account(&masked, 64 * KIB - (size_t)short_of);
        peer_advance(masked.peer);
        CU_ASSERT_EQUAL(masked.peer->conn.error_code, short_of ? CMDS_E_MEMORY_LIMIT : 0);
        CU_ASSERT_EQUAL(masked.peer->counters.out_of_memory, (uint64_t)short_of);
        CU_ASSERT_EQUAL(masked.peer->sending != NULL, !short_of);
        drain_account(&masked, size);
        if (!short_of) {
            (void)peer_send_all(masked.peer);
            CU_ASSERT_EQUAL(masked_look(&masked).size, 60 * KIB);
        }
        masked_free(&masked);
    }
}

/* Of the session itself: a flight, an answer, close_notify. */
static void test_secure_session_without_room(void)
{
    struct masked masked;
    mask_init(&masked.mask, true);
    masked_open(&masked, &peer_secured_server_ops, CMDS_NEVER);
    masked_feed_hello(&masked, 1);
    masked.mask.flight_size = 5000; // Of ours.
    size_t size = fill_account(&masked, 4095);
    peer_advance(masked.peer);
    CU_ASSERT_EQUAL(masked.peer->conn.error_code, -ENOMEM);
    CU_ASSERT_EQUAL(masked.peer->tls_counters.tls_failed, 1);
    CU_ASSERT_EQUAL(masked.peer->counters.out_of_memory, 1);
    CU_ASSERT(masked.peer->conn.state >= CMDI_CONN_CLOSING);
    drain_account(&masked, size);
    masked_free(&masked);

    masked_shaken(&masked, true);
    masked.mask.answer_size = 5000;
    masked_feed(&masked, MASK_ASK);
    size = fill_account(&masked, 16 * KIB + 4095);
    peer_advance(masked.peer);
    CU_ASSERT_EQUAL(masked.peer->conn.error_code, -ENOMEM);
    CU_ASSERT_EQUAL(masked.peer->counters.out_of_memory, 1);
    drain_account(&masked, size);
    masked_free(&masked);

    masked_shaken(&masked, true); // It is not told, and gets the FIN.
    size = fill_account(&masked, 4095);
    cmdi_conn_finish(&masked.peer->conn);
    peer_advance(masked.peer);
    CU_ASSERT_EQUAL(masked.mask.notifies, 1);
    CU_ASSERT_EQUAL(masked.peer->shuts, 1);
    CU_ASSERT_EQUAL(masked.peer->conn.state, CMDI_CONN_LINGERING);
    drain_account(&masked, size);
    masked_free(&masked);
}

/* Who asks and asks, and takes no answer, does not fill the shard's memory. */
static void test_secure_answers_that_nobody_takes_are_bounded(void)
{
    struct masked masked;
    masked_shaken(&masked, true);
    struct peer *peer = masked.peer;
    masked.mask.answer_size = 1000;
    peer_append(peer, "hello", 5);
    peer_advance(peer);
    CU_ASSERT_PTR_NOT_NULL(peer->sending); // And stays.
    uint32_t asked = 0;
    for (; asked < 1000 && peer->conn.state == CMDI_CONN_OPEN; asked++) {
        masked_feed_data(&masked, "", 1, 1); // A ping: it is forgiven for it.
        masked_feed(&masked, MASK_ASK);
        peer_advance(peer);
    }
    CU_ASSERT(asked > 60 && asked < 70);
    CU_ASSERT(cmdi_conn_held(&peer->conn) >= asked * 1000); // It is who holds much.
    CU_ASSERT_EQUAL(peer->conn.error_code, CMDS_E_SLOW_PEER);
    CU_ASSERT_EQUAL(peer->counters.slow_consumers, 1);
    CU_ASSERT(peer->conn.state >= CMDI_CONN_CLOSING);
    masked_free(&masked);

    masked_shaken(&masked, true); // Who takes them may ask for ever.
    masked.mask.answer_size = 1000;
    for (asked = 0; asked < 500; asked++) {
        masked_feed_data(&masked, "", 1, 1);
        masked_feed(&masked, MASK_ASK);
        (void)peer_send_all(masked.peer);
    }
    CU_ASSERT_EQUAL(masked_look(&masked).glitches, 500);
    CU_ASSERT_EQUAL(masked.peer->conn.state, CMDI_CONN_OPEN);
    masked_free(&masked);
}

/* --- Everything ------------------------------------------------------------------------------- */

/* The whole of a connection's life with so much memory: it works, or ends for want of it. */
static bool live_with(size_t size_max)
{
    struct masked masked;
    uint8_t data[3000] = {0};
    mask_init(&masked.mask, true);
    masked_open(&masked, &peer_secured_server_ops, CMDS_NEVER);
    struct peer *peer = masked.peer;
    struct cmdi_conn *conn = &peer->conn;
    peer->shard->buffers.account.size_max = size_max;
    masked_feed_hello(&masked, 1);
    (void)peer_send_all(peer);
    masked_feed_hello(&masked, 3);
    size_t size = peer_mixed_frames(frames, 300);
    for (size_t at = 0; at < size; at += 1000) {
        int code = 0;
        masked_feed_data(&masked, frames + at, size - at < 1000 ? size - at : 1000, 700);
        masked_feed(&masked, MASK_ASK);
        if (conn->state == CMDI_CONN_OPEN && cmdi_conn_reserve(conn, 3000, &code) != NULL) {
            memcpy(conn->fill.data + conn->fill.end, data, sizeof(data));
            cmdi_conn_commit(conn, sizeof(data));
        }
        if (at % 2000 == 0) {
            peer_advance(peer);
        }
    }
    cmdi_conn_pause(conn);
    peer_advance(peer);
    cmdi_conn_resume(conn);
    (void)peer_send_all(peer);
    cmdi_conn_finish(conn);
    (void)peer_send_all(peer);
    bool lived = conn->state == CMDI_CONN_LINGERING;
    if (lived) {
        CU_ASSERT_EQUAL(peer->frames, 300);
    } else {
        CU_ASSERT(conn->error_code == CMDS_E_MEMORY_LIMIT || conn->error_code == -ENOMEM);
        CU_ASSERT(peer->counters.out_of_memory > 0);
    }
    masked_free(&masked);
    return lived;
}

static void test_secure_lives_or_dies_with_any_memory(void)
{
    bool lived = false;
    uint32_t deaths = 0;
    for (size_t size_max = 0; size_max <= 256 * KIB; size_max += 4 * KIB) {
        bool lives = live_with(size_max);
        deaths += !lives;
        lived = lived || lives;
    }
    CU_ASSERT_TRUE(lived);
    CU_ASSERT(deaths > 5);
}

static CU_TestInfo tests[] = {
        {"record waits for memory", test_secure_record_waits_for_memory},
        {"record waits in vain", test_secure_record_waits_in_vain},
        {"bytes without memory", test_secure_bytes_without_memory},
        {"sealing takes from the reserve", test_secure_sealing_takes_from_the_reserve},
        {"session without room", test_secure_session_without_room},
        {"answers that nobody takes are bounded",
                test_secure_answers_that_nobody_takes_are_bounded},
        {"lives or dies with any memory", test_secure_lives_or_dies_with_any_memory},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("conn_secure_memory", tests)

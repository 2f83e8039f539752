/* SPDX-License-Identifier: MIT */
/*
 * Output and memory of a connection with a security layer. What was sealed has its order: nothing may
 * overtake it, be sealed twice, or leave in part before what was made earlier. And where the shard has
 * no memory for a record, only that connection waits, or fails.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conn/parts.h"
#include "conn/secure.h"
#include "support/harness.h"
#include "support/masked.h"

/* `size` bytes, each the next number. */
static void append_numbers(struct peer *peer, size_t *next, size_t size)
{
    int code = 0;
    uint8_t *out = cmdi_conn_reserve(&peer->conn, size, &code);
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    for (size_t i = 0; i < size; i++) {
        out[i] = (uint8_t)((*next)++ * 7);
    }
    cmdi_conn_commit(&peer->conn, size);
}

/* All that was sent is whole records, and their data is `count` numbers. */
static bool sent_numbers(struct masked *masked, size_t count)
{
    struct mask_found found = masked_look(masked);
    bool right = masked->data_size == count && found.cut == 0;
    for (size_t i = 0; right && i < count; i++) {
        right = masked->data[i] == (uint8_t)(i * 7);
    }
    return right;
}

/* --- Sends ------------------------------------------------------------------------------------ */

static void test_secure_output_survives_every_short_send(void)
{
    struct masked masked;
    for (size_t cut = 0; cut < 43; cut++) {
        masked_shaken(&masked, true);
        struct peer *peer = masked.peer;
        size_t next = 0;
        append_numbers(peer, &next, 40);
        peer_advance(peer);
        append_numbers(peer, &next, 20);
        peer_advance(peer);
        CU_ASSERT_EQUAL(peer->sending_size, 43);
        CU_ASSERT_EQUAL(masked.mask.seals, 1); // Sealed when it can leave, not before.

        peer_send_done(peer, cut == 0 ? -EINTR : (int32_t)cut);
        append_numbers(peer, &next, 5);
        (void)peer_send_all(peer);

        CU_ASSERT_EQUAL(masked.mask.seals, 2);
        CU_ASSERT_TRUE(sent_numbers(&masked, 65));
        CU_ASSERT_EQUAL(peer->shard->buffers.leased_size, 0);
        masked_free(&masked);
    }
}

static void test_secure_large_output_is_many_records(void)
{
    struct masked masked;
    masked_shaken(&masked, true);
    size_t next = 0;
    masked.peer->now_takes = -EAGAIN;
    append_numbers(masked.peer, &next, 600 * 1024);
    CU_ASSERT_EQUAL(peer_send_all(masked.peer), 3);
    struct mask_found found = mask_unwrap(&(struct mask_end){0}, masked.peer->sent + masked.seen,
            masked.peer->sent_size - masked.seen, NULL);
    CU_ASSERT_EQUAL(found.records, 38);
    CU_ASSERT_TRUE(sent_numbers(&masked, 600 * 1024));
    masked_free(&masked);
}

static void test_secure_flush_in_mid_turn_keeps_the_order(void)
{
    static const int64_t takes[] = {PEER_SENT_MAX, 1, 5000, 98304, 0, -EAGAIN, -ENOBUFS};
    struct masked masked;
    for (size_t i = 0; i < sizeof(takes) / sizeof(takes[0]); i++) {
        masked_shaken(&masked, true);
        size_t next = 0;
        masked.peer->now_takes = takes[i];
        for (uint32_t piece = 0; piece < 25; piece++) {
            append_numbers(masked.peer, &next, 10000);
        }
        (void)peer_send_all(masked.peer);
        CU_ASSERT_TRUE(sent_numbers(&masked, 250000));
        masked_free(&masked);
    }
}

/* While it only shakes hands nothing of the owner's leaves, however much there is. */
static void test_secure_output_is_collected_in_the_handshake(void)
{
    struct masked masked;
    mask_init(&masked.mask, false);
    masked_open(&masked, &peer_client_ops, CMDS_NEVER);
    size_t next = 0;
    append_numbers(masked.peer, &next, 200 * 1024);
    masked_shake(&masked);
    append_numbers(masked.peer, &next, 200 * 1024);
    (void)peer_send_all(masked.peer);
    CU_ASSERT_EQUAL(masked.data_size, 0);
    CU_ASSERT_EQUAL(masked.mask.seals, 0);
    CU_ASSERT_EQUAL(cmdi_conn_output_size(&masked.peer->conn), 400 * 1024);

    masked_feed_data(&masked, "\004calc", 5, 5);
    (void)peer_send_all(masked.peer);
    CU_ASSERT_TRUE(sent_numbers(&masked, 400 * 1024));
    masked_free(&masked);
}

/* What the session itself has to say is made whenever something is opened, also during a send. */
static void test_secure_answers_of_the_session_stand_in_their_order(void)
{
    struct masked masked;
    for (size_t cut = 1; cut < 30; cut++) {
        masked_shaken(&masked, true);
        struct peer *peer = masked.peer;
        size_t next = 0;
        append_numbers(peer, &next, 30);
        peer_advance(peer);
        CU_ASSERT_PTR_NOT_NULL(peer->sending);
        masked_feed(&masked, MASK_ASK);
        append_numbers(peer, &next, 30);
        masked_feed(&masked, MASK_ASK);
        peer_advance(peer);
        CU_ASSERT_EQUAL(peer->conn.secured->wire.end, 6);
        peer_send_done(peer, (int32_t)cut);
        masked_feed(&masked, MASK_ASK);
        (void)peer_send_all(peer);
        struct mask_found found = mask_unwrap(&(struct mask_end){0}, peer->sent + masked.seen,
                peer->sent_size - masked.seen, NULL);
        CU_ASSERT_EQUAL(found.glitches, 3);
        CU_ASSERT_EQUAL(found.last, MASK_DATA); // What the session said was sealed earlier.
        CU_ASSERT_TRUE(sent_numbers(&masked, 60));
        masked_free(&masked);
    }
}

/* An answer alone leaves without anything of the owner's. */
static void test_secure_answer_of_the_session_leaves_alone(void)
{
    struct masked masked;
    for (int state = 0; state < 3; state++) { // SECURING, SERVER_INFO, OPEN.
        mask_init(&masked.mask, false);
        masked_open(&masked, &peer_client_ops, CMDS_NEVER);
        (void)peer_send_all(masked.peer);
        if (state > 0) {
            masked_feed_hello(&masked, 2);
            (void)peer_send_all(masked.peer);
        }
        if (state > 1) {
            masked_feed_data(&masked, "\004calc", 5, 5);
            peer_advance(masked.peer);
        }
        (void)masked_look(&masked);
        masked_feed(&masked, MASK_ASK);
        CU_ASSERT_EQUAL(peer_send_all(masked.peer), 1);
        CU_ASSERT_EQUAL(masked_look(&masked).glitches, 1);
        masked_free(&masked);
    }
}

static void test_secure_low_mark_is_told(void)
{
    struct masked masked;
    masked_shaken(&masked, true);
    struct peer *peer = masked.peer;
    int code = 0;
    size_t next = 0;
    peer->limits.output_size_max = 8192;
    append_numbers(peer, &next, 8192);
    CU_ASSERT_PTR_NULL(cmdi_conn_reserve(&peer->conn, 1, &code));
    CU_ASSERT_EQUAL(code, -ENOBUFS);
    peer_advance(peer);
    CU_ASSERT_PTR_NULL(cmdi_conn_reserve(&peer->conn, 1, &code));
    CU_ASSERT_EQUAL(peer->lows, 0);
    (void)peer_send_all(peer);
    CU_ASSERT_EQUAL(peer->lows, 1);
    CU_ASSERT_TRUE(sent_numbers(&masked, 8192));
    masked_free(&masked);
}

static void test_secure_seal_that_fails_ends_it(void)
{
    struct masked masked;
    for (int how = 0; how < 3; how++) { // At the end of a turn, in mid-turn, at the end of all.
        masked_shaken(&masked, true);
        struct peer *peer = masked.peer;
        masked.mask.fails_in_seal = 1;
        size_t next = 0;
        append_numbers(peer, &next, 100);
        if (how == 1) {
            cmdi_conn_flush_now(&peer->conn);
            CU_ASSERT_EQUAL(peer->closings, 0); // Not inside of what the owner called.
            append_numbers(peer, &next, 100);
            cmdi_conn_flush_now(&peer->conn);
        } else if (how == 2) {
            cmdi_conn_finish(&peer->conn);
        }
        peer_advance(peer);
        CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_CLOSING);
        CU_ASSERT_EQUAL(peer->conn.error_code, CMDS_E_TLS_RECORD);
        CU_ASSERT_STRING_EQUAL(peer->conn.error_text, "mask: this seal was to fail");
        CU_ASSERT_PTR_NULL(peer->sending);
        CU_ASSERT_EQUAL(masked_look(&masked).size, 0);
        masked_free(&masked);
    }
}

static void expect_slow_peer(struct masked *masked, uint64_t ms)
{
    struct peer *peer = masked->peer;
    peer_advance(peer);
    CU_ASSERT_PTR_NOT_NULL(peer->sending);
    peer_pass_ms(peer, ms - 20);
    CU_ASSERT_EQUAL(peer->conn.state, CMDI_CONN_FINISHING);
    peer_pass_ms(peer, 22);
    CU_ASSERT(peer->conn.state >= CMDI_CONN_CLOSING);
    CU_ASSERT_EQUAL(peer->counters.slow_consumers, 1);
    masked_free(masked);
}

/* Whatever has no limit, an end has one: of output, of close_notify alone, of an alert alone. */
static void test_secure_peer_that_takes_nothing_in_the_end(void)
{
    struct masked masked;
    for (int limited = 0; limited <= 1; limited++) {
        for (int what = 0; what < 4; what++) {
            mask_init(&masked.mask, true);
            masked.mask.fails_in_step = what == 3 ? 2 : 0;
            masked_open(&masked, &peer_secured_server_ops, CMDS_NEVER);
            masked.peer->limits.write_timeout_ms = limited ? 100 : CMDS_NEVER;
            if (what == 3) {
                masked_feed_hello(&masked, 1);
                (void)peer_send_all(masked.peer);
                masked_feed_hello(&masked, 3);
            } else {
                masked_shake(&masked);
            }
            if (what == 0) {
                peer_append(masked.peer, "hello", 5);
                peer_advance(masked.peer);
                cmdi_conn_finish(&masked.peer->conn);
            } else if (what == 1) {
                cmdi_conn_finish(&masked.peer->conn);
            } else if (what == 2) {
                masked.mask.fails_in_open = 1;
                masked_feed_data(&masked, "x", 1, 1);
            }
            expect_slow_peer(&masked, limited ? 100 : 10000);
        }
    }
}

static CU_TestInfo tests[] = {
        {"output survives every short send", test_secure_output_survives_every_short_send},
        {"large output is many records", test_secure_large_output_is_many_records},
        {"flush in mid turn keeps the order", test_secure_flush_in_mid_turn_keeps_the_order},
        {"output is collected in the handshake", test_secure_output_is_collected_in_the_handshake},
        {"answers of the session stand in their order",
                test_secure_answers_of_the_session_stand_in_their_order},
        {"answer of the session leaves alone", test_secure_answer_of_the_session_leaves_alone},
        {"low mark is told", test_secure_low_mark_is_told},
        {"seal that fails ends it", test_secure_seal_that_fails_ends_it},
        {"peer that takes nothing in the end", test_secure_peer_that_takes_nothing_in_the_end},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("conn_secure_output", tests)

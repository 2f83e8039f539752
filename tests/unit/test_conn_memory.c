/* SPDX-License-Identifier: MIT */
/*
 * Connections of a shard whose memory is short. Those who hold little could be closed for those who
 * hold much, somebody could wait for ever, or more could be closed than is needed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conn/parts.h"
#include "support/harness.h"
#include "support/peer.h"

enum {
    KIB = 1024,
    PEERS = 5, // On one shard: `first`, then the others.
};

struct crowd {
    struct peer *first;
    struct peer others[PEERS - 1];
};

/* A mebibyte; from 896 KiB on only small sizes. */
static void crowd_open(struct crowd *crowd)
{
    crowd->first = peer_open(&peer_server_ops);
    crowd->first->shard->buffers.account.size_max = 1024 * KIB;
    for (int i = 0; i < PEERS - 1; i++) {
        peer_init(&crowd->others[i], crowd->first->shard, &peer_server_ops);
    }
}

static void peer_drop(struct peer *peer)
{
    cmdi_conn_fail(&peer->conn, CMDS_E_CLOSED, "the test is over");
    peer_advance(peer);
    peer_end_operations(peer);
    CU_ASSERT_EQUAL(peer->closeds, 1);
    cmdi_conn_fini(&peer->conn);
    free(peer->sent);
}

static void crowd_close(struct crowd *crowd)
{
    struct cmdi_account *account = &crowd->first->shard->buffers.account;
    for (int i = 0; i < PEERS - 1; i++) {
        peer_drop(&crowd->others[i]);
    }
    if (crowd->first->conn.state < CMDI_CONN_CLOSING) {
        cmdi_conn_fail(&crowd->first->conn, CMDS_E_CLOSED, "the test is over");
        peer_advance(crowd->first);
    }
    peer_end_operations(crowd->first);
    CU_ASSERT_EQUAL(cmdi_account_used(account), 0); // All of it came back.
    CU_ASSERT_EQUAL(crowd->first->shard->evictions, 0);
    CU_ASSERT_TRUE(cmdi_list_empty(&crowd->first->shard->lacking));
    peer_free(crowd->first);
}

/* So much output, which is in flight then. */
static void peer_hold(struct peer *peer, size_t size)
{
    int code = 0;
    uint8_t *out = cmdi_conn_reserve(&peer->conn, size, &code);
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    memset(out, 1, size);
    peer->conn.fill.end += size; // No send in mid-turn.
    cmdi_shard_flush(peer->shard, &peer->conn.more->flush);
    peer_advance(peer);
    CU_ASSERT_PTR_NOT_NULL(peer->sending);
}

static int peer_try(struct peer *peer, size_t size)
{
    int code = 0;
    return cmdi_conn_reserve(&peer->conn, size, &code) != NULL ? 0 : code;
}

static void test_conn_who_holds_most_makes_room_for_who_waits(void)
{
    struct crowd crowd;
    crowd_open(&crowd);
    struct peer *most = &crowd.others[0], *much = &crowd.others[1];
    struct peer *waits = &crowd.others[2], *little = &crowd.others[3];
    peer_hold(much, 200 * KIB);
    peer_hold(most, 300 * KIB);

    CU_ASSERT_EQUAL(peer_try(waits, 150 * KIB), -ENOBUFS);
    CU_ASSERT_TRUE(cmdi_conn_output_high(&waits->conn)); // So nothing is run for it meanwhile.
    CU_ASSERT_EQUAL(most->closings, 0);                  // Never inside somebody else's call.
    peer_hold(little, 10 * KIB);                         // From the reserve.
    peer_send_done(little, 10 * KIB);
    peer_advance(waits);

    CU_ASSERT_EQUAL(most->conn.error_code, CMDS_E_MEMORY_LIMIT);
    CU_ASSERT_PTR_NOT_NULL(strstr(most->conn.error_text, "524288 bytes"));
    CU_ASSERT_EQUAL(waits->lows, 0); // Its memory is the kernel's still.
    peer_advance(waits);
    CU_ASSERT_EQUAL(much->closings, 0); // One at a time.
    peer_end_operations(most);
    peer_advance(waits);
    CU_ASSERT_EQUAL(waits->lows, 1);
    CU_ASSERT_EQUAL(peer_try(waits, 150 * KIB), 0);
    CU_ASSERT_EQUAL(much->closings + waits->closings + little->closings, 0);
    CU_ASSERT_EQUAL(most->counters.memory_evictions, 1);
    crowd_close(&crowd);
}

/* Back-pressure first: who has output of his own under way is not worth a connection. */
static void test_conn_own_output_makes_room_first(void)
{
    struct crowd crowd;
    crowd_open(&crowd);
    struct peer *most = &crowd.others[0], *waits = &crowd.others[1];
    peer_hold(most, 300 * KIB);
    peer_hold(waits, 200 * KIB);

    CU_ASSERT_EQUAL(peer_try(waits, 200 * KIB), -ENOBUFS);
    peer_advance_ms(waits, 1000);
    CU_ASSERT_EQUAL(most->counters.memory_evictions + waits->counters.memory_evictions, 0);
    CU_ASSERT_EQUAL(waits->lows, 0);

    peer_send_done(waits, 200 * KIB);
    peer_advance(waits);
    CU_ASSERT_EQUAL(waits->lows, 1);
    CU_ASSERT_EQUAL(peer_try(waits, 200 * KIB), 0);
    CU_ASSERT_EQUAL(most->counters.memory_evictions + waits->counters.memory_evictions, 0);
    crowd_close(&crowd);
}

/* Together with what it has already it would never fit, alone it does. */
static void test_conn_own_output_is_not_for_ever(void)
{
    struct crowd crowd;
    crowd_open(&crowd);
    struct peer *waits = &crowd.others[0];
    peer_hold(waits, 10 * KIB);
    CU_ASSERT_EQUAL(peer_try(waits, 200 * KIB), 0);
    waits->conn.fill.end += 200 * KIB; // Behind what is in flight.

    CU_ASSERT_EQUAL(peer_try(waits, 400 * KIB), -ENOBUFS);
    cmdi_shard_flush(waits->shard, &waits->conn.more->flush);
    peer_send_done(waits, 10 * KIB);
    peer_advance(waits);

    CU_ASSERT_EQUAL(waits->lows, 1);
    CU_ASSERT_EQUAL(peer_try(waits, 400 * KIB), 0);
    CU_ASSERT_EQUAL(waits->closings, 0);
    crowd_close(&crowd);
}

static size_t kept_beside; // By calls of the peer that is asked.

static size_t ops_held(const struct cmdi_conn *conn)
{
    (void)conn;
    return kept_beside;
}

/* What calls keep comes back when they end, a moment after their connection: that is waited for. */
static void test_conn_what_was_kept_comes_back_before_the_next_goes(void)
{
    struct crowd crowd;
    crowd_open(&crowd);
    struct peer *hog = &crowd.others[0], *innocent = &crowd.others[1];
    struct cmdi_account *account = &hog->shard->buffers.account;
    struct cmdi_conn_ops ops = *hog->conn.ops;
    ops.held = ops_held;
    hog->conn.ops = &ops;
    peer_hold(innocent, 64 * KIB);
    kept_beside = 920 * KIB;
    cmdi_account_add(account, kept_beside);

    peer_advance_ms(hog, 200);
    CU_ASSERT_EQUAL(hog->conn.error_code, CMDS_E_MEMORY_LIMIT);
    peer_end_operations(hog);
    CU_ASSERT_EQUAL(hog->closeds, 1);
    peer_advance_ms(innocent, 50);
    CU_ASSERT_EQUAL(innocent->closings, 0);

    cmdi_account_sub(account, kept_beside);
    peer_advance_ms(innocent, 1000);
    CU_ASSERT_EQUAL(innocent->closings, 0);
    CU_ASSERT_EQUAL(hog->counters.memory_evictions, 1);
    CU_ASSERT_EQUAL(innocent->counters.memory_evictions, 0);
    crowd_close(&crowd);
}

/* Calls that never end do not hold up the others for ever. */
static void test_conn_what_was_kept_is_not_waited_for_without_end(void)
{
    struct crowd crowd;
    crowd_open(&crowd);
    struct peer *hog = &crowd.others[0], *next = &crowd.others[1];
    struct cmdi_account *account = &hog->shard->buffers.account;
    struct cmdi_conn_ops ops = *hog->conn.ops;
    ops.held = ops_held;
    hog->conn.ops = &ops;
    peer_hold(next, 64 * KIB);
    kept_beside = 920 * KIB;
    cmdi_account_add(account, kept_beside);

    peer_advance_ms(hog, 200);
    peer_end_operations(hog);
    peer_advance_ms(next, 1000);

    CU_ASSERT_EQUAL(next->conn.error_code, CMDS_E_MEMORY_LIMIT);
    cmdi_account_sub(account, kept_beside);
    crowd_close(&crowd);
}

/* Who wants more than there will ever be learns it at once, and costs nobody anything. */
static void test_conn_never_as_much(void)
{
    struct crowd crowd;
    crowd_open(&crowd);
    struct peer *holds = &crowd.others[0], *wants = &crowd.others[1];
    peer_hold(holds, 300 * KIB);

    CU_ASSERT_EQUAL(peer_try(wants, 600 * KIB), -ENOMEM);
    peer_advance_ms(wants, 1000);

    CU_ASSERT_EQUAL(wants->counters.memory_evictions, 0);
    CU_ASSERT_EQUAL(wants->conn.lacks, 0);
    crowd_close(&crowd);
}

/* Everybody holds little: then it is who wants much that does not get it. */
static void test_conn_waits_in_vain_where_nobody_holds_much(void)
{
    struct crowd crowd;
    crowd_open(&crowd);
    struct peer *wants = &crowd.others[0], *little = &crowd.others[1];
    struct cmdi_account *account = &wants->shard->buffers.account;
    peer_hold(little, 10 * KIB);
    cmdi_account_add(account, 800 * KIB); // Held by nobody who could be closed.

    CU_ASSERT_EQUAL(peer_try(wants, 100 * KIB), -ENOBUFS);
    peer_advance(wants);

    CU_ASSERT_EQUAL(wants->conn.error_code, CMDS_E_MEMORY_LIMIT);
    CU_ASSERT_EQUAL(little->closings, 0);
    CU_ASSERT_EQUAL(wants->counters.memory_evictions, 0);
    cmdi_account_sub(account, 800 * KIB);
    crowd_close(&crowd);
}

/* Who sent much before gets what little he needs now. */
static void test_conn_does_not_insist_on_what_it_used_to_need(void)
{
    struct crowd crowd;
    crowd_open(&crowd);
    struct peer *holds = &crowd.others[0], *little = &crowd.others[1];
    struct cmdi_account *account = &holds->shard->buffers.account;
    peer_hold(little, 100 * KIB);
    peer_send_done(little, 100 * KIB);
    peer_advance(little);
    CU_ASSERT_EQUAL(little->conn.fill_hint, 100 * KIB);
    peer_hold(holds, 300 * KIB);
    cmdi_account_add(account, 384 * KIB - 4096);

    CU_ASSERT_EQUAL(peer_try(little, 100), 0);

    CU_ASSERT_EQUAL(little->conn.fill.capacity, 4096);
    cmdi_account_sub(account, 384 * KIB - 4096);
    crowd_close(&crowd);
}

/* The last sixteenth is not for waiting: before it is gone somebody goes. */
static void test_conn_who_holds_most_goes_before_nothing_is_left(void)
{
    struct crowd crowd;
    crowd_open(&crowd);
    struct peer *holds = &crowd.others[0];
    struct cmdi_account *account = &holds->shard->buffers.account;
    peer_hold(holds, 300 * KIB);
    cmdi_account_add(account, 440 * KIB);
    peer_advance_ms(holds, 1000);
    CU_ASSERT_EQUAL(holds->closings, 0);

    cmdi_account_add(account, 20 * KIB);
    peer_advance_ms(holds, 1000);

    CU_ASSERT_EQUAL(holds->conn.error_code, CMDS_E_MEMORY_LIMIT);
    cmdi_account_sub(account, 460 * KIB);
    crowd_close(&crowd);
}

static CU_TestInfo tests[] = {
        {"who holds most makes room for who waits",
                test_conn_who_holds_most_makes_room_for_who_waits},
        {"own output makes room first", test_conn_own_output_makes_room_first},
        {"own output is not for ever", test_conn_own_output_is_not_for_ever},
        {"what was kept comes back before the next goes",
                test_conn_what_was_kept_comes_back_before_the_next_goes},
        {"what was kept is not waited for without end",
                test_conn_what_was_kept_is_not_waited_for_without_end},
        {"never as much", test_conn_never_as_much},
        {"waits in vain where nobody holds much", test_conn_waits_in_vain_where_nobody_holds_much},
        {"does not insist on what it used to need",
                test_conn_does_not_insist_on_what_it_used_to_need},
        {"who holds most goes before nothing is left",
                test_conn_who_holds_most_goes_before_nothing_is_left},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("conn_memory", tests)

/* SPDX-License-Identifier: MIT */
/*
 * Handshakes and input of a connection with a security layer, which is a mask: records may be cut
 * anywhere and frames anywhere in them, commands may come in the same breath as the last of the
 * handshake, and the owner may pause. No frame may be lost or run early, and nothing leased for what
 * has not come.
 */
#include "conn/secure.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conn/parts.h"
#include "support/harness.h"
#include "support/masked.h"

static void open_server(struct masked *masked)
{
    mask_init(&masked->mask, true);
    masked_open(masked, &peer_secured_server_ops, CMDS_NEVER);
}

static void open_client(struct masked *masked)
{
    mask_init(&masked->mask, false);
    masked_open(masked, &peer_client_ops, CMDS_NEVER);
}

/* --- Handshakes ------------------------------------------------------------------------------- */

static void test_secure_server_shakes_hands(void)
{
    struct masked masked;
    open_server(&masked);
    peer_advance(masked.peer);
    CU_ASSERT_EQUAL(masked.mask.begins, 0); // A peer that says nothing costs nothing.
    CU_ASSERT_PTR_NULL(cmdi_conn_tls_peer(&masked.peer->conn));

    masked_feed_hello(&masked, 1);
    peer_advance(masked.peer);
    CU_ASSERT_EQUAL(masked.peer->opens, 0);
    CU_ASSERT_EQUAL(masked.peer->shard->seat_count, 1);
    (void)peer_send_all(masked.peer);
    CU_ASSERT_EQUAL(masked_look(&masked).hellos, 1);
    CU_ASSERT_PTR_NULL(cmdi_conn_tls_peer(&masked.peer->conn));
    CU_ASSERT_EQUAL(masked.peer->tls_counters.tls_handshakes, 0);

    masked_feed_hello(&masked, 3);
    peer_advance(masked.peer);
    CU_ASSERT_EQUAL(masked.peer->opens, 1);
    CU_ASSERT_EQUAL(masked.peer->conn.state, CMDI_CONN_OPEN);
    CU_ASSERT_EQUAL(masked.peer->shard->seat_count, 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(cmdi_conn_tls_peer(&masked.peer->conn));
    CU_ASSERT_STRING_EQUAL(cmdi_conn_tls_peer(&masked.peer->conn)->common_name, "mask");
    CU_ASSERT_EQUAL(masked.peer->tls_counters.tls_handshakes, 1);
    CU_ASSERT_EQUAL(masked.peer->tls_counters.tls_resumed, 0);
    CU_ASSERT_EQUAL(masked.peer->tls_counters.tls_failed, 0);
    CU_ASSERT_EQUAL(masked.peer->shard->buffers.leased_size, 0);
    masked_free(&masked);
    CU_ASSERT_EQUAL(masked.mask.ends, 1);
}

static void test_secure_client_shakes_hands_and_waits_for_the_server_info(void)
{
    struct masked masked;
    open_client(&masked);
    masked.mask.resumes = true;
    peer_append(masked.peer, "early", 5); // Collected until the ServerInfo has come.
    (void)peer_send_all(masked.peer);
    CU_ASSERT_EQUAL(masked_look(&masked).hellos, 1);
    CU_ASSERT_EQUAL(masked.peer->conn.state, CMDI_CONN_SECURING);

    masked_feed_hello(&masked, 2);
    (void)peer_send_all(masked.peer);
    CU_ASSERT_EQUAL(masked_look(&masked).hellos, 1);
    CU_ASSERT_EQUAL(masked.data_size, 0);
    CU_ASSERT_EQUAL(masked.peer->opens, 1);
    CU_ASSERT_EQUAL(masked.peer->conn.state, CMDI_CONN_SERVER_INFO);
    CU_ASSERT_EQUAL(masked.peer->tls_counters.tls_resumed, 1);

    masked_feed_data(&masked, "\004calc", 5, 2);
    (void)peer_send_all(masked.peer);
    CU_ASSERT_EQUAL(masked.peer->conn.state, CMDI_CONN_OPEN);
    CU_ASSERT_EQUAL(masked_look(&masked).size, 5);
    CU_ASSERT_EQUAL(memcmp(masked.data, "early", 5), 0);
    masked_free(&masked);
}

static CU_TestInfo tests[] = {
        {"server shakes hands", test_secure_server_shakes_hands},
        {"client shakes hands and waits for the ServerInfo",
                test_secure_client_shakes_hands_and_waits_for_the_server_info},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("conn_secure", tests)

/* SPDX-License-Identifier: MIT */
/* See masked.h. */
#include "support/masked.h"

#include <stdlib.h>

#include "conn/secure.h"
#include "support/harness.h"

void masked_open(struct masked *masked, const struct cmdi_conn_ops *ops, uint32_t timeout_ms)
{
    masked->peer = peer_open_secured(ops, &masked->mask.tls, timeout_ms);
    masked->end = (struct mask_end){0};
    masked->seen = masked->data_size = 0;
    masked->data = malloc(PEER_SENT_MAX);
    CU_ASSERT_PTR_NOT_NULL_FATAL(masked->data);
    if (!masked->mask.tls.is_server) {
        peer_open_done(masked->peer, 0);
    }
    CU_ASSERT_EQUAL(masked->peer->conn.state, CMDI_CONN_SECURING);
    CU_ASSERT_TRUE(masked->peer->receiving);
}

void masked_shake(struct masked *masked)
{
    uint8_t flight = masked->mask.tls.is_server ? 1 : 2;
    (void)peer_send_all(masked->peer);
    for (; flight <= masked->mask.flights; flight = (uint8_t)(flight + 2)) {
        masked_feed_hello(masked, flight);
        (void)peer_send_all(masked->peer);
    }
    CU_ASSERT_EQUAL_FATAL(masked->peer->opens, 1);
    CU_ASSERT_EQUAL(masked->peer->open_code, 0);
    uint32_t flights = masked->mask.flights;
    CU_ASSERT_EQUAL(masked_look(masked).hellos,
            masked->mask.tls.is_server ? flights / 2 : flights - flights / 2);
}

void masked_shaken(struct masked *masked, bool is_server)
{
    mask_init(&masked->mask, is_server);
    masked_open(masked, is_server ? &peer_secured_server_ops : &peer_client_ops, CMDS_NEVER);
    masked_shake(masked);
}

void masked_free(struct masked *masked)
{
    peer_free(masked->peer);
    free(masked->data);
    CU_ASSERT_EQUAL(masked->mask.sessions, 0);
    CU_ASSERT(masked->mask.ends <= masked->mask.begins);
}

void masked_feed(struct masked *masked, enum mask_type type)
{
    uint8_t wire[MASK_HEADER_SIZE + 1];
    uint8_t *end = mask_put(wire, type, "!", type == MASK_ALERT);
    cmdi_conn_feed(&masked->peer->conn, wire, (size_t)(end - wire));
}

void masked_feed_hello(struct masked *masked, uint8_t flight)
{
    static uint8_t wire[MASK_RECORD_MAX];
    uint8_t *end = mask_put_hello(wire, flight, masked->mask.flight_size);
    cmdi_conn_feed(&masked->peer->conn, wire, (size_t)(end - wire));
}

void masked_feed_data(struct masked *masked, const void *data, size_t size, size_t record_size)
{
    static uint8_t wire[MASKED_WIRE_MAX];
    CMDI_ASSERT(size + (size / record_size + 1) * MASK_HEADER_SIZE <= sizeof(wire));
    uint8_t *end = mask_wrap(&masked->end, wire, data, size, record_size);
    cmdi_conn_feed(&masked->peer->conn, wire, (size_t)(end - wire));
}

struct mask_found masked_look(struct masked *masked)
{
    const struct peer *peer = masked->peer;
    struct mask_found found = mask_unwrap(&masked->end, peer->sent + masked->seen,
            peer->sent_size - masked->seen, masked->data + masked->data_size);
    masked->data_size += found.size;
    masked->seen = peer->sent_size - found.cut;
    CU_ASSERT_FALSE(found.is_wrong);
    return found;
}

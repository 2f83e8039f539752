/* SPDX-License-Identifier: MIT */
/*
 * A connection with a mask for its security layer, and the peer's side of it, which the test plays:
 * support/peer.h and support/mask.h together.
 */
#ifndef CMDI_TESTS_SUPPORT_MASKED_H
#define CMDI_TESTS_SUPPORT_MASKED_H

#include "support/mask.h"
#include "support/peer.h"

enum {
    MASKED_WIRE_MAX = 2 * PEER_SENT_MAX,
};

struct masked {
    struct mask mask;
    struct peer *peer;
    struct mask_end end; // What the test has made and unmasked.
    size_t seen;         // Of peer->sent: unmasked.
    uint8_t *data;       // What came out of it, together.
    size_t data_size;
};

/** With what is set in masked->mask, which mask_init() has set; SECURING. Gives: masked_free(). */
void masked_open(struct masked *masked, const struct cmdi_conn_ops *ops, uint32_t timeout_ms);
/** All of it, without a limit of time, up to OPEN; a client's up to SERVER_INFO. */
void masked_shaken(struct masked *masked, bool is_server);
/** The handshake, from where SECURING begins. */
void masked_shake(struct masked *masked);
/** Closes it. Asserts that no session is left, and that each has ended once. */
void masked_free(struct masked *masked);

/** One record comes; nothing is run. */
void masked_feed(struct masked *masked, enum mask_type type);
void masked_feed_hello(struct masked *masked, uint8_t flight);
/** Data comes, in records of this size. */
void masked_feed_data(struct masked *masked, const void *data, size_t size, size_t record_size);
/** Unmasks what was sent since the last time. */
struct mask_found masked_look(struct masked *masked);

#endif

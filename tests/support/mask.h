/* SPDX-License-Identifier: MIT */
/*
 * A security layer of a few lines, in place of TLS: conn/security.h by XOR. It proves what a
 * connection does with a layer, and secures servers and clients of tests that need none in earnest.
 *
 *     record:    type (1), size of the body (2, the high byte first), body
 *     handshake: HELLO 1 by the client, HELLO 2 by the server, HELLO 3 by the client: `flights`
 *
 * Each body of a HELLO begins with its number; behind it a side that has a name says ":name". The client
 * is done when it has sent the last one: as in TLS 1.3 it learns later if that was refused. Bodies of DATA are masked by their place in the record
 * and by the record's number, so none can be lost, doubled or exchanged unseen.
 *
 *     struct mask mask;
 *     mask_init(&mask, true);
 *     server_options.tls = &mask.tls;
 *
 * Several connections, of several shards, may use one: its options are set before, its counts are
 * atomic.
 */
#ifndef CMDI_TESTS_SUPPORT_MASK_H
#define CMDI_TESTS_SUPPORT_MASK_H

#include <stdatomic.h>

#include <cmdstream/tls.h>

#include "conn/security.h"

enum mask_type {
    MASK_HELLO = 1,
    MASK_DATA,
    MASK_ALERT,
    MASK_NOTIFY, // Nothing more comes.
    MASK_GLITCH, // It brings nothing.
    MASK_ASK,    // As that, and a GLITCH is to answer it.
};

enum {
    MASK_HEADER_SIZE = 3,
    MASK_RECORD_MAX = MASK_HEADER_SIZE + CMDI_SECURITY_RECORD_MAX,
    MASK_SPENT_AFTER = 4, // Records that brought nothing, in one call.
    // Of a session, less one for each record with data. One more, and it fails.
    MASK_GLITCHES_MAX = 100,
    MASK_NAME_MAX = 64, // Terminated.
    MASK_ADDRESS_MAX = 300,
};

struct mask {
    struct cmds_tls tls;
    const char *name;       // Who we say that we are. NULL: nobody in particular.
    const char *wants;      // Whom the peer has to be. NULL: anybody.
    bool checks_host;       // A client's: instead, its server_name, or the host in `connect`.
    uint32_t flights;       // At least 2. Default 3.
    uint32_t flight_size;   // Of the body of each HELLO that is made. Default 10.
    uint32_t answer_size;   // Of the body of what answers an ASK.
    bool is_light_at_last;  // What a server does behind its first step costs little.
    bool is_eager;          // A step is made of any part of a flight, but for the first.
    bool resumes;           // Its handshakes say that they resumed.
    bool cannot_reload;     // reload() fails.
    bool cannot_begin;      // begin() fails.
    uint32_t fails_in_step; // Of each session: the first one is 1. 0: none.
    uint32_t fails_in_open; // At that record with data.
    uint32_t fails_in_seal; // In that call.
    bool fails_silently;    // Without an alert.
    /* What was called, and how many sessions there are. */
    _Atomic uint32_t begins, steps, opens, seals, notifies, ends, sessions, reloads;
};

/** How often trim() was called, of all masks together. */
extern _Atomic uint32_t mask_trims;

/** 64 handshakes at a time, three flights, and nothing fails. */
void mask_init(struct mask *mask, bool is_server);

/* --- The peer, where the test plays it -------------------------------------------------------- */

/** How many records with data it has made and unmasked. */
struct mask_end {
    uint64_t sealed, opened;
};

/** Each appends one record. Returns: its end. `data` of a HELLO: what follows its number. */
uint8_t *mask_put(uint8_t *out, enum mask_type type, const void *data, size_t size);
uint8_t *mask_put_hello(uint8_t *out, uint8_t flight, size_t size);
uint8_t *mask_put_data(struct mask_end *end, uint8_t *out, const void *data, size_t size);
/** All of the data, in records of `record_size`. */
uint8_t *mask_wrap(
        struct mask_end *end, uint8_t *out, const void *data, size_t size, size_t record_size);

/** What was in a stream of records. */
struct mask_found {
    size_t size; // Of the data, one record after the other.
    uint32_t hellos, records, alerts, notifies, glitches;
    uint8_t last;  // enum mask_type of the last one.
    size_t cut;    // Bytes behind the last whole record.
    bool is_wrong; // Something was no record.
};

/** Data goes to `out`, which has room for `size` bytes. NULL: it is only counted. */
struct mask_found mask_unwrap(struct mask_end *end, const uint8_t *wire, size_t size, uint8_t *out);

#endif

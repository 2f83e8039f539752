/* SPDX-License-Identifier: MIT */
/*
 * The record gate: what stands between the bytes of a peer and the library that speaks TLS.
 *
 *     type 1 | version 2 | length 2 | length bytes      a record; numbers are big-endian
 *
 * It sees the received bytes as they pass, in pieces of any size, and refuses a record by its header,
 * before the library has seen the whole of it. There are headers that crash a library (a record of
 * data too short for its tag: CVE-2024-0901), and records without end that bring nothing but work
 * (KeyUpdates, warnings, empty records), which the library would go through inside one call.
 *
 * Bytes in, verdict out: no I/O, no clock, no memory. Any thread, one at a time.
 *
 * A call is one call of the library that reads: a step of the handshake, or a read. It ends with the
 * first record that brings data, or when the gate lets nothing more pass. So of the records of a call
 * all but the last have brought nothing, and of the last the caller knows.
 */
#ifndef CMDI_TLS_GATE_H
#define CMDI_TLS_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CMDI_TLS_HEADER_SIZE = 5,
    CMDI_TLS_LENGTH_MAX = 16384 + 2048,  // TLS 1.2, and as long as the version is not known.
    CMDI_TLS13_LENGTH_MAX = 16384 + 256, // TLS 1.3.
    // A tag, and the byte that says what was sealed: in TLS 1.3 all that is sealed looks like data.
    CMDI_TLS_DATA_LENGTH_MIN = 17,
    CMDI_TLS_CALL_RECORDS_MAX = 32,
    CMDI_TLS_GLITCHES_MAX = 100,
};

enum cmdi_tls_gate_state {
    CMDI_TLS_GATE_START,   // No byte has come.
    CMDI_TLS_GATE_HEADER,  // `header_size` bytes of a header have passed; 0: a record has ended.
    CMDI_TLS_GATE_BODY,    // `left` bytes of a record are still to come, at least one.
    CMDI_TLS_GATE_REFUSED, // For good, and `reason` says why.
};

enum cmdi_tls_gate_reason {
    CMDI_TLS_GATE_NO_REASON,
    CMDI_TLS_GATE_PLAIN_CLIENT, // The first byte of a client begins no handshake.
    CMDI_TLS_GATE_PLAIN_SERVER, // The first byte of a server is none of TLS.
    CMDI_TLS_GATE_BAD_TYPE,
    CMDI_TLS_GATE_BAD_VERSION,
    CMDI_TLS_GATE_EMPTY,
    CMDI_TLS_GATE_TOO_SHORT, // Data below CMDI_TLS_DATA_LENGTH_MIN.
    CMDI_TLS_GATE_TOO_LONG,
    CMDI_TLS_GATE_GLITCHES, // More than CMDI_TLS_GLITCHES_MAX records brought no data.
    CMDI_TLS_GATE_REASON_COUNT,
};

enum cmdi_tls_gate_verdict {
    CMDI_TLS_GATE_PASS,
    // The call has had its records: for the library there is nothing more, until the next turn.
    CMDI_TLS_GATE_SPENT,
    CMDI_TLS_GATE_REFUSE, // The connection is to be failed; `reason` of the gate says why.
};

struct cmdi_tls_gate {
    uint64_t record_count; // Of the connection: those that have passed whole.
    uint16_t left;         // BODY; and in HEADER the upper byte of the length, from byte 4 on.
    uint8_t state;         // enum cmdi_tls_gate_state
    uint8_t reason;        // enum cmdi_tls_gate_reason
    uint8_t header_size;   // HEADER: at most CMDI_TLS_HEADER_SIZE - 1.
    uint8_t type;          // Of the record that passes.
    uint8_t call_records;  // Of the call: those that have passed whole.
    uint8_t glitches;      // Records that brought no data, less those that are forgiven.
    bool is_server;
    bool is_tls13;
};

/** `is_server`: we are, so a client sends what passes. */
void cmdi_tls_gate_init(struct cmdi_tls_gate *gate, bool is_server);

/**
 * TLS 1.3 was agreed on: a record whose header has not passed yet has at most CMDI_TLS13_LENGTH_MAX
 * bytes.
 */
void cmdi_tls_gate_set_tls13(struct cmdi_tls_gate *gate);

/**
 * Looks at the next `size` bytes of the peer. *passed is how many of them the library may have; the
 * caller comes with the rest again, if at all. It does not depend on how the bytes are cut: a header
 * that is refused passes up to the byte that showed it, and is never whole.
 *
 * Owner:   borrows `data`.
 * Returns: PASS: all of them pass; SPENT: with *passed the call is at the end of its last record;
 *          REFUSE, from then on always.
 */
enum cmdi_tls_gate_verdict cmdi_tls_gate_pass(
        struct cmdi_tls_gate *gate, const uint8_t *data, size_t size, size_t *passed);

/**
 * The call is over, with data or without, and the next one may have as many records. A record that
 * has passed in part belongs to the call in which it ends. Data without a record is the rest of an
 * earlier one, and forgives nothing.
 *
 * The records of the handshake are glitches as well: it has about ten, and no end of them otherwise.
 *
 * Returns: PASS; REFUSE: there are too many glitches, or it was refused before. Data that the call
 *          has brought came first, and is good.
 */
enum cmdi_tls_gate_verdict cmdi_tls_gate_end_call(struct cmdi_tls_gate *gate, bool has_data);

/** A sentence without its full stop; static. NO_REASON has one too. */
const char *cmdi_tls_gate_text(enum cmdi_tls_gate_reason reason);

#endif

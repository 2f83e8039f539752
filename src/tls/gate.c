/* SPDX-License-Identifier: MIT */
/*
 * A body passes at once, a header byte by byte: five steps a record, and a header that is cut
 * anywhere needs no memory but the state.
 *
 * Why a refused header is safe although its first bytes may have passed: its fifth byte never does.
 * A library can do nothing with a header that is not whole but wait.
 */
#include "tls/gate.h"

#include "base/assert.h"

enum gate_type {
    GATE_CHANGE_CIPHER_SPEC = 20, // The lowest there is.
    GATE_HANDSHAKE = 22,
    GATE_DATA = 23, // The highest that may come.
};

enum {
    GATE_VERSION_MAJOR = 3,
};

#define GATE_BIT(state) (1u << CMDI_TLS_GATE_##state)

// By state: those that may follow.
static const uint8_t gate_moves[] = {
        [CMDI_TLS_GATE_START] = GATE_BIT(HEADER) | GATE_BIT(REFUSED),
        [CMDI_TLS_GATE_HEADER] = GATE_BIT(BODY) | GATE_BIT(REFUSED),
        [CMDI_TLS_GATE_BODY] = GATE_BIT(HEADER) | GATE_BIT(REFUSED),
        [CMDI_TLS_GATE_REFUSED] = 0,
};

static const char *const gate_texts[] = {
        [CMDI_TLS_GATE_NO_REASON] = "nothing was refused",
        [CMDI_TLS_GATE_PLAIN_CLIENT] = "plaintext on a TLS port",
        [CMDI_TLS_GATE_PLAIN_SERVER] = "the server answers in plaintext, not in TLS",
        [CMDI_TLS_GATE_BAD_TYPE] = "a TLS record of an unknown type",
        [CMDI_TLS_GATE_BAD_VERSION] = "a TLS record of an unknown version",
        [CMDI_TLS_GATE_EMPTY] = "a TLS record without a byte in it",
        [CMDI_TLS_GATE_TOO_SHORT] = "a TLS record too short to hold sealed data",
        [CMDI_TLS_GATE_TOO_LONG] = "a TLS record longer than the protocol allows",
        [CMDI_TLS_GATE_GLITCHES] = "too many TLS records that brought no data",
};
_Static_assert(sizeof(gate_texts) / sizeof(gate_texts[0]) == CMDI_TLS_GATE_REASON_COUNT,
        "each reason has a text");

/* A call without data has CALL_RECORDS_MAX glitches at most, on top of those that are allowed. */
_Static_assert(CMDI_TLS_GLITCHES_MAX + CMDI_TLS_CALL_RECORDS_MAX <= UINT8_MAX,
        "the glitches fit their counter");

static void gate_move(struct cmdi_tls_gate *gate, enum cmdi_tls_gate_state next)
{
    CMDI_ASSERT((gate_moves[gate->state] >> next & 1) != 0);
    gate->state = (uint8_t)next;
}

static void gate_refuse(struct cmdi_tls_gate *gate, enum cmdi_tls_gate_reason reason)
{
    CMDI_ASSERT(gate->reason == CMDI_TLS_GATE_NO_REASON && reason != CMDI_TLS_GATE_NO_REASON);
    gate_move(gate, CMDI_TLS_GATE_REFUSED);
    gate->reason = (uint8_t)reason;
}

/* What holds between any two calls. */
static void gate_assert(const struct cmdi_tls_gate *gate)
{
    bool is_refused = gate->state == CMDI_TLS_GATE_REFUSED;
    CMDI_ASSERT(gate->state <= CMDI_TLS_GATE_REFUSED);
    CMDI_ASSERT(is_refused == (gate->reason != CMDI_TLS_GATE_NO_REASON));
    CMDI_ASSERT(gate->state != CMDI_TLS_GATE_START || gate->record_count == 0);
    CMDI_ASSERT(gate->state != CMDI_TLS_GATE_BODY ||
                (gate->left > 0 && gate->left <= CMDI_TLS_LENGTH_MAX));
    CMDI_ASSERT(gate->header_size < CMDI_TLS_HEADER_SIZE);
    CMDI_ASSERT(gate->call_records <= CMDI_TLS_CALL_RECORDS_MAX);
    CMDI_ASSERT(gate->call_records <= gate->record_count);
    CMDI_ASSERT(is_refused || gate->glitches <= CMDI_TLS_GLITCHES_MAX);
}

/* --- A record --------------------------------------------------------------------------------- */

static enum cmdi_tls_gate_reason gate_judge_type(const struct cmdi_tls_gate *gate, uint8_t type)
{
    bool is_known = type >= GATE_CHANGE_CIPHER_SPEC && type <= GATE_DATA;
    if (gate->state != CMDI_TLS_GATE_START) {
        return is_known ? CMDI_TLS_GATE_NO_REASON : CMDI_TLS_GATE_BAD_TYPE;
    }
    if (gate->is_server) {
        return type == GATE_HANDSHAKE ? CMDI_TLS_GATE_NO_REASON : CMDI_TLS_GATE_PLAIN_CLIENT;
    }
    return is_known ? CMDI_TLS_GATE_NO_REASON : CMDI_TLS_GATE_PLAIN_SERVER;
}

static enum cmdi_tls_gate_reason gate_judge_length(
        const struct cmdi_tls_gate *gate, uint16_t length)
{
    if (length == 0) {
        return CMDI_TLS_GATE_EMPTY;
    }
    if (length > (gate->is_tls13 ? CMDI_TLS13_LENGTH_MAX : CMDI_TLS_LENGTH_MAX)) {
        return CMDI_TLS_GATE_TOO_LONG;
    }
    if (gate->type == GATE_DATA && length < CMDI_TLS_DATA_LENGTH_MIN) {
        return CMDI_TLS_GATE_TOO_SHORT;
    }
    return CMDI_TLS_GATE_NO_REASON;
}

/* The byte behind the header's first `header_size`, all of which are good. */
static enum cmdi_tls_gate_reason gate_judge(const struct cmdi_tls_gate *gate, uint8_t byte)
{
    switch (gate->header_size) {
    case 0:
        return gate_judge_type(gate, byte);
    case 1:
        return byte == GATE_VERSION_MAJOR ? CMDI_TLS_GATE_NO_REASON : CMDI_TLS_GATE_BAD_VERSION;
    case CMDI_TLS_HEADER_SIZE - 1:
        return gate_judge_length(gate, (uint16_t)(gate->left | byte));
    default:
        return CMDI_TLS_GATE_NO_REASON;
    }
}

/* Returns: it passes. */
static bool gate_pass_header_byte(struct cmdi_tls_gate *gate, uint8_t byte)
{
    enum cmdi_tls_gate_reason reason = gate_judge(gate, byte);
    if (CMDI_UNLIKELY(reason != CMDI_TLS_GATE_NO_REASON)) {
        gate_refuse(gate, reason);
        return false;
    }
    if (gate->state == CMDI_TLS_GATE_START) {
        gate_move(gate, CMDI_TLS_GATE_HEADER);
    }
    if (gate->header_size == 0) {
        gate->type = byte;
    } else if (gate->header_size == CMDI_TLS_HEADER_SIZE - 2) {
        gate->left = (uint16_t)(byte << 8);
    }
    gate->header_size++;
    if (gate->header_size == CMDI_TLS_HEADER_SIZE) {
        gate->left |= byte;
        gate->header_size = 0;
        gate_move(gate, CMDI_TLS_GATE_BODY);
    }
    return true;
}

/* Returns: how many of `size` bytes are the body's. */
static size_t gate_pass_body(struct cmdi_tls_gate *gate, size_t size)
{
    CMDI_ASSERT(gate->left > 0);
    size_t count = size < gate->left ? size : gate->left;
    gate->left = (uint16_t)(gate->left - count);
    if (gate->left == 0) {
        gate->record_count++;
        gate->call_records++;
        gate_move(gate, CMDI_TLS_GATE_HEADER);
    }
    return count;
}

/* --- The stream ------------------------------------------------------------------------------- */

void cmdi_tls_gate_init(struct cmdi_tls_gate *gate, bool is_server)
{
    *gate = (struct cmdi_tls_gate){.state = CMDI_TLS_GATE_START, .is_server = is_server};
}

void cmdi_tls_gate_set_tls13(struct cmdi_tls_gate *gate)
{
    CMDI_ASSERT(gate->state != CMDI_TLS_GATE_START); // Nobody has said a word.
    gate->is_tls13 = true;
}

/* The call has had its records; the last of them has just ended. */
static bool gate_is_spent(const struct cmdi_tls_gate *gate)
{
    return gate->call_records == CMDI_TLS_CALL_RECORDS_MAX;
}

enum cmdi_tls_gate_verdict cmdi_tls_gate_pass(
        struct cmdi_tls_gate *gate, const uint8_t *data, size_t size, size_t *passed)
{
    gate_assert(gate);
    size_t at = 0;
    while (at < size && gate->state != CMDI_TLS_GATE_REFUSED && !gate_is_spent(gate)) {
        if (gate->state == CMDI_TLS_GATE_BODY) {
            at += gate_pass_body(gate, size - at);
        } else if (gate_pass_header_byte(gate, data[at])) {
            at++;
        }
    }
    CMDI_ASSERT(at <= size);
    *passed = at;
    if (CMDI_UNLIKELY(gate->state == CMDI_TLS_GATE_REFUSED)) {
        return CMDI_TLS_GATE_REFUSE;
    }
    CMDI_ASSERT(at == size || gate_is_spent(gate));
    return gate_is_spent(gate) ? CMDI_TLS_GATE_SPENT : CMDI_TLS_GATE_PASS;
}

enum cmdi_tls_gate_verdict cmdi_tls_gate_end_call(struct cmdi_tls_gate *gate, bool has_data)
{
    gate_assert(gate);
    bool brought = has_data && gate->call_records > 0;
    unsigned glitches = gate->glitches + (unsigned)gate->call_records - (brought ? 1 : 0);
    gate->call_records = 0;
    if (gate->state == CMDI_TLS_GATE_REFUSED) {
        return CMDI_TLS_GATE_REFUSE;
    }
    if (CMDI_UNLIKELY(glitches > CMDI_TLS_GLITCHES_MAX)) {
        gate->glitches = (uint8_t)glitches;
        gate_refuse(gate, CMDI_TLS_GATE_GLITCHES);
        return CMDI_TLS_GATE_REFUSE;
    }
    /* In the order in which they came: the record with data was the last. */
    gate->glitches = (uint8_t)(brought && glitches > 0 ? glitches - 1 : glitches);
    return CMDI_TLS_GATE_PASS;
}

const char *cmdi_tls_gate_text(enum cmdi_tls_gate_reason reason)
{
    CMDI_ASSERT(reason < CMDI_TLS_GATE_REASON_COUNT);
    return gate_texts[reason];
}

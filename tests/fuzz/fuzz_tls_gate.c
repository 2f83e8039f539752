/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as what a peer of TLS sends, beside a reader of whole records that does the same in the
 * plainest way. Gate and reader must agree on how much passes, what is refused and why, and how many
 * records there were, into however many pieces the bytes are cut.
 *
 *     flags 1 | cut 1 | stream      bit 0: a server; bit 1: TLS 1.3 from the second record on
 *
 * The stream is read as a library reads: a header, then its body, and the call ends with a record
 * that has data: type 23, and its first byte even.
 */
#include "tls/gate.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(fact)                                                                              \
    if (!(fact)) {                                                                                 \
        abort();                                                                                   \
    }

struct stream {
    const uint8_t *data;
    size_t size;
    bool is_server;
    bool is_tls13; // From the second record on.
};

/* How it ended. */
struct outcome {
    size_t passed;
    uint64_t records;
    enum cmdi_tls_gate_reason reason;
    int glitches;
};

static size_t header_length(const uint8_t *header)
{
    return (size_t)header[3] << 8 | header[4];
}

static bool has_data(const uint8_t *record)
{
    return record[0] == 23 && record[CMDI_TLS_HEADER_SIZE] % 2 == 0;
}

/* --- The plain reader ------------------------------------------------------------------------- */

/* What is wrong with the record, of which `size` bytes are there; *shown: the byte that shows it. */
static enum cmdi_tls_gate_reason judge(
        const struct stream *stream, size_t at, bool is_first, size_t *shown)
{
    const uint8_t *record = stream->data + at;
    size_t size = stream->size - at;
    *shown = at;
    if (size >= 1 && is_first && stream->is_server && record[0] != 22) {
        return CMDI_TLS_GATE_PLAIN_CLIENT;
    }
    if (size >= 1 && (record[0] < 20 || record[0] > 23)) {
        return is_first ? CMDI_TLS_GATE_PLAIN_SERVER : CMDI_TLS_GATE_BAD_TYPE;
    }
    *shown = at + 1;
    if (size >= 2 && record[1] != 3) {
        return CMDI_TLS_GATE_BAD_VERSION;
    }
    *shown = at + 4;
    if (size >= CMDI_TLS_HEADER_SIZE) {
        size_t length = header_length(record);
        if (length == 0) {
            return CMDI_TLS_GATE_EMPTY;
        }
        if (length > 16384u + (stream->is_tls13 && !is_first ? 256 : 2048)) {
            return CMDI_TLS_GATE_TOO_LONG;
        }
        if (length < 17 && record[0] == 23) {
            return CMDI_TLS_GATE_TOO_SHORT;
        }
    }
    return CMDI_TLS_GATE_NO_REASON;
}

/* Glitches are looked at when a call ends, by data, by 32 records, or by the end of the stream. */
static struct outcome read_plainly(const struct stream *stream)
{
    struct outcome outcome = {0};
    int in_call = 0;
    for (;;) {
        size_t shown = 0, at = outcome.passed;
        outcome.reason = judge(stream, at, outcome.records == 0, &shown);
        if (outcome.reason != CMDI_TLS_GATE_NO_REASON) {
            outcome.passed = shown;
            return outcome;
        }
        if (stream->size - at < CMDI_TLS_HEADER_SIZE ||
                stream->size - at - CMDI_TLS_HEADER_SIZE < header_length(stream->data + at)) {
            outcome.passed = stream->size;
            outcome.glitches += in_call;
            if (outcome.glitches > 100) {
                outcome.reason = CMDI_TLS_GATE_GLITCHES;
            }
            return outcome;
        }
        outcome.passed += CMDI_TLS_HEADER_SIZE + header_length(stream->data + at);
        outcome.records++;
        bool brought = has_data(stream->data + at);
        in_call += brought ? 0 : 1;
        if (brought || in_call == 32) {
            outcome.glitches += in_call;
            in_call = 0;
            if (outcome.glitches > 100) {
                outcome.reason = CMDI_TLS_GATE_GLITCHES;
                return outcome;
            }
            outcome.glitches -= brought && outcome.glitches > 0 ? 1 : 0;
        }
    }
}

/* --- The gate --------------------------------------------------------------------------------- */

/* The library wants this many bytes. Returns: how many it gets, in pieces of at most `piece`. */
static size_t feed(struct cmdi_tls_gate *gate, const uint8_t *data, size_t wanted, size_t piece,
        enum cmdi_tls_gate_verdict *verdict)
{
    size_t got = 0;
    *verdict = CMDI_TLS_GATE_PASS;
    while (got < wanted && *verdict == CMDI_TLS_GATE_PASS) {
        size_t size = wanted - got < piece ? wanted - got : piece, passed = SIZE_MAX;
        uint8_t *exact = malloc(size);
        REQUIRE(exact != NULL);
        memcpy(exact, data + got, size);
        *verdict = cmdi_tls_gate_pass(gate, exact, size, &passed);
        free(exact);
        REQUIRE(passed <= size && (passed == size || *verdict != CMDI_TLS_GATE_PASS));
        got += passed;
    }
    return got;
}

static struct outcome read_by_gate(const struct stream *stream, size_t piece)
{
    struct cmdi_tls_gate gate;
    size_t at = 0, begin = 0;
    bool is_over = false;
    cmdi_tls_gate_init(&gate, stream->is_server);
    while (!is_over) {
        /* As a library does: the rest of the header, or of the record whose header is there. */
        size_t whole = at - begin < CMDI_TLS_HEADER_SIZE
                               ? CMDI_TLS_HEADER_SIZE
                               : CMDI_TLS_HEADER_SIZE + header_length(stream->data + begin);
        size_t there = stream->size - begin < whole ? stream->size - begin : whole;
        enum cmdi_tls_gate_verdict verdict;
        at += feed(&gate, stream->data + at, begin + there - at, piece, &verdict);
        is_over = verdict == CMDI_TLS_GATE_REFUSE || at - begin < whole;
        bool ended = at - begin == whole && whole > CMDI_TLS_HEADER_SIZE;
        bool brought = ended && has_data(stream->data + begin);
        REQUIRE(verdict != CMDI_TLS_GATE_SPENT || ended);
        if (ended) {
            begin = at;
        }
        if (is_over || brought || verdict == CMDI_TLS_GATE_SPENT) {
            is_over = cmdi_tls_gate_end_call(&gate, brought) == CMDI_TLS_GATE_REFUSE || is_over;
        }
        if (ended && gate.record_count == 1 && stream->is_tls13) {
            cmdi_tls_gate_set_tls13(&gate);
        }
    }
    REQUIRE((gate.state == CMDI_TLS_GATE_REFUSED) == (gate.reason != CMDI_TLS_GATE_NO_REASON));
    REQUIRE(cmdi_tls_gate_text((enum cmdi_tls_gate_reason)gate.reason) != NULL);
    return (struct outcome){.passed = at,
            .records = gate.record_count,
            .reason = (enum cmdi_tls_gate_reason)gate.reason,
            .glitches = gate.glitches};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    const struct stream stream = {.data = data + 2,
            .size = size - 2,
            .is_server = (data[0] & 1) != 0,
            .is_tls13 = (data[0] & 2) != 0};
    struct outcome plain = read_plainly(&stream);
    const size_t pieces[] = {SIZE_MAX, 1, (size_t)data[1] + 1};
    for (int i = 0; i < 3; i++) {
        struct outcome outcome = read_by_gate(&stream, pieces[i]);
        REQUIRE(outcome.passed == plain.passed);
        REQUIRE(outcome.records == plain.records);
        REQUIRE(outcome.reason == plain.reason);
        REQUIRE(outcome.glitches == plain.glitches);
    }
    return 0;
}

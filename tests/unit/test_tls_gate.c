/* SPDX-License-Identifier: MIT */
/*
 * The record gate. TCP may cut a header at any byte, and one that is refused must be refused whatever
 * the cut, with not a byte more let through. A limit may be off by one, a count may be lost between
 * two calls or forgiven twice, and a record that has passed in part may be counted never or twice.
 */
#include "tls/gate.h"

#include <stdlib.h>
#include <string.h>

#include "support/harness.h"

enum {
    CCS = 20,
    ALERT = 21,
    HANDSHAKE = 22,
    DATA = 23,
    RECORD_SIZE_MAX = CMDI_TLS_HEADER_SIZE + CMDI_TLS_LENGTH_MAX + 1,
    CALL_MAX = CMDI_TLS_CALL_RECORDS_MAX,
};

/* Returns: the size of the record. */
static size_t write_record(uint8_t *out, uint8_t type, size_t length)
{
    out[0] = type;
    out[1] = 3;
    out[2] = 3;
    out[3] = (uint8_t)(length >> 8);
    out[4] = (uint8_t)length;
    memset(out + CMDI_TLS_HEADER_SIZE, 0xff, length); // As a header, nothing of it would pass.
    return CMDI_TLS_HEADER_SIZE + length;
}

/*
 * One piece, in a block of exactly its size, so that the sanitizer sees a read behind the end.
 */
static enum cmdi_tls_gate_verdict pass_exact(
        struct cmdi_tls_gate *gate, const uint8_t *data, size_t size, size_t *passed)
{
    uint8_t *exact = malloc(size > 0 ? size : 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(exact);
    memcpy(exact, data, size);
    enum cmdi_tls_gate_verdict verdict = cmdi_tls_gate_pass(gate, exact, size, passed);
    free(exact);
    return verdict;
}

/* A whole record in one piece, which passes. Returns: the verdict. */
static enum cmdi_tls_gate_verdict pass_record(struct cmdi_tls_gate *gate, uint8_t type)
{
    uint8_t wire[CMDI_TLS_HEADER_SIZE + CMDI_TLS_DATA_LENGTH_MIN];
    size_t size = write_record(wire, type, CMDI_TLS_DATA_LENGTH_MIN);
    size_t passed = 0;
    enum cmdi_tls_gate_verdict verdict = pass_exact(gate, wire, size, &passed);
    CU_ASSERT_EQUAL(passed, size);
    return verdict;
}

/* A gate behind its first record, with nothing counted in this call. */
static struct cmdi_tls_gate begun(bool is_server)
{
    struct cmdi_tls_gate gate;
    cmdi_tls_gate_init(&gate, is_server);
    CU_ASSERT_EQUAL(pass_record(&gate, HANDSHAKE), CMDI_TLS_GATE_PASS);
    CU_ASSERT_EQUAL(cmdi_tls_gate_end_call(&gate, true), CMDI_TLS_GATE_PASS);
    CU_ASSERT_EQUAL(gate.glitches, 0);
    return gate;
}

/* `count` records in one call; the last has data or not. Returns: the verdict of the call's end. */
static enum cmdi_tls_gate_verdict run_call(struct cmdi_tls_gate *gate, int count, bool has_data)
{
    for (int i = 0; i < count; i++) {
        CU_ASSERT_EQUAL(pass_record(gate, DATA),
                i + 1 < CALL_MAX ? CMDI_TLS_GATE_PASS : CMDI_TLS_GATE_SPENT);
    }
    return cmdi_tls_gate_end_call(gate, has_data);
}

/* Brings a gate without glitches to this number of them. */
static void add_glitches(struct cmdi_tls_gate *gate, int count)
{
    CU_ASSERT_EQUAL(gate->glitches, 0);
    for (int left = count; left > 0; left -= CALL_MAX) {
        int records = left < CALL_MAX ? left : CALL_MAX;
        CU_ASSERT_EQUAL(run_call(gate, records, false), CMDI_TLS_GATE_PASS);
    }
    CU_ASSERT_EQUAL(gate->glitches, count);
}

/* What shows that a record is refused is the last of `size` bytes, and only it does not pass. */
static void expect_refused(const struct cmdi_tls_gate *before, const uint8_t *wire, size_t size,
        enum cmdi_tls_gate_reason reason)
{
    for (size_t cut = 0; cut < size; cut++) {
        struct cmdi_tls_gate gate = *before;
        size_t passed = 99;
        CU_ASSERT_EQUAL(pass_exact(&gate, wire, cut, &passed), CMDI_TLS_GATE_PASS);
        CU_ASSERT_EQUAL(passed, cut);

        CU_ASSERT_EQUAL(pass_exact(&gate, wire + cut, size - cut, &passed), CMDI_TLS_GATE_REFUSE);
        CU_ASSERT_EQUAL(passed, size - cut - 1);
        CU_ASSERT_EQUAL(gate.state, CMDI_TLS_GATE_REFUSED);
        CU_ASSERT_EQUAL(gate.reason, reason);
        CU_ASSERT_EQUAL(gate.record_count, before->record_count);
    }
}

/* --- What passes ------------------------------------------------------------------------------ */

/* Three records: a short one, one of data, one of a single byte. */
static size_t write_stream(uint8_t *wire, size_t ends[3])
{
    ends[0] = write_record(wire, HANDSHAKE, 7);
    ends[1] = ends[0] + write_record(wire + ends[0], DATA, 20);
    ends[2] = ends[1] + write_record(wire + ends[1], ALERT, 1);
    return ends[2];
}

static void test_gate_passes_the_same_at_every_cut(void)
{
    uint8_t wire[64];
    size_t ends[3];
    size_t size = write_stream(wire, ends);
    for (size_t first = 0; first <= size; first++) {
        for (size_t second = first; second <= size; second++) {
            const size_t cuts[] = {0, first, second, size};
            struct cmdi_tls_gate gate;
            cmdi_tls_gate_init(&gate, true);
            for (int i = 0; i < 3; i++) {
                size_t piece = cuts[i + 1] - cuts[i], passed = 99;
                CU_ASSERT_EQUAL(
                        pass_exact(&gate, wire + cuts[i], piece, &passed), CMDI_TLS_GATE_PASS);
                CU_ASSERT_EQUAL(passed, piece);
                size_t at = cuts[i + 1];
                CU_ASSERT_EQUAL(gate.record_count,
                        (uint64_t)(at >= ends[0]) + (at >= ends[1]) + (at >= ends[2]));
            }
            CU_ASSERT_EQUAL(gate.state, CMDI_TLS_GATE_HEADER);
        }
    }
}

static void test_gate_passes_bytes_one_by_one(void)
{
    uint8_t wire[64];
    size_t ends[3];
    size_t size = write_stream(wire, ends);
    struct cmdi_tls_gate gate;
    cmdi_tls_gate_init(&gate, false);
    for (size_t i = 0; i < size; i++) {
        size_t passed = 99;
        CU_ASSERT_EQUAL(pass_exact(&gate, wire + i, 1, &passed), CMDI_TLS_GATE_PASS);
        CU_ASSERT_EQUAL(passed, 1);
    }
    CU_ASSERT_EQUAL(gate.record_count, 3);
}

static void test_gate_names_where_it_is(void)
{
    struct cmdi_tls_gate gate;
    uint8_t wire[CMDI_TLS_HEADER_SIZE + 300];
    size_t size = write_record(wire, HANDSHAKE, 300), passed = 0;
    cmdi_tls_gate_init(&gate, true);
    CU_ASSERT_EQUAL(gate.state, CMDI_TLS_GATE_START);
    (void)pass_exact(&gate, wire, 0, &passed);
    CU_ASSERT_EQUAL(gate.state, CMDI_TLS_GATE_START);
    (void)pass_exact(&gate, wire, 4, &passed);
    CU_ASSERT_EQUAL(gate.state, CMDI_TLS_GATE_HEADER);
    CU_ASSERT_EQUAL(gate.header_size, 4);
    (void)pass_exact(&gate, wire + 4, 1, &passed);
    CU_ASSERT_EQUAL(gate.state, CMDI_TLS_GATE_BODY);
    CU_ASSERT_EQUAL(gate.left, 300);
    (void)pass_exact(&gate, wire + 5, 299, &passed);
    CU_ASSERT_EQUAL(gate.left, 1);
    CU_ASSERT_EQUAL(gate.record_count, 0);
    (void)pass_exact(&gate, wire + 304, size - 304, &passed);
    CU_ASSERT_EQUAL(gate.state, CMDI_TLS_GATE_HEADER);
    CU_ASSERT_EQUAL(gate.header_size, 0);
    CU_ASSERT_EQUAL(gate.record_count, 1);
}

/* --- What is refused -------------------------------------------------------------------------- */

static void test_gate_takes_types_20_to_23_only(void)
{
    const struct cmdi_tls_gate gate = begun(true);
    for (int type = 0; type <= UINT8_MAX; type++) {
        const uint8_t byte = (uint8_t)type;
        if (type < CCS || type > DATA) {
            expect_refused(&gate, &byte, 1, CMDI_TLS_GATE_BAD_TYPE);
        } else {
            struct cmdi_tls_gate copy = gate;
            CU_ASSERT_EQUAL(pass_record(&copy, byte), CMDI_TLS_GATE_PASS);
        }
    }
}

static void test_gate_of_a_server_begins_with_a_handshake(void)
{
    for (int type = 0; type <= UINT8_MAX; type++) {
        const uint8_t byte = (uint8_t)type;
        struct cmdi_tls_gate gate;
        cmdi_tls_gate_init(&gate, true);
        if (type == HANDSHAKE) {
            CU_ASSERT_EQUAL(pass_record(&gate, byte), CMDI_TLS_GATE_PASS);
        } else {
            expect_refused(&gate, &byte, 1, CMDI_TLS_GATE_PLAIN_CLIENT);
        }
    }
    CU_ASSERT_STRING_EQUAL(
            cmdi_tls_gate_text(CMDI_TLS_GATE_PLAIN_CLIENT), "plaintext on a TLS port");
}

/* A server may begin with an alert; a cmdstream server without TLS begins with a length. */
static void test_gate_of_a_client_begins_with_any_type(void)
{
    for (int type = 0; type <= UINT8_MAX; type++) {
        const uint8_t byte = (uint8_t)type;
        struct cmdi_tls_gate gate;
        cmdi_tls_gate_init(&gate, false);
        if (type >= CCS && type <= DATA) {
            CU_ASSERT_EQUAL(pass_record(&gate, byte), CMDI_TLS_GATE_PASS);
        } else {
            expect_refused(&gate, &byte, 1, CMDI_TLS_GATE_PLAIN_SERVER);
        }
    }
}

static void test_gate_takes_versions_3_and_any_only(void)
{
    const struct cmdi_tls_gate gate = begun(true);
    for (int byte = 0; byte <= UINT8_MAX; byte++) {
        uint8_t wire[CMDI_TLS_HEADER_SIZE + 20];
        size_t size = write_record(wire, DATA, 20);
        wire[1] = (uint8_t)byte;
        if (byte != 3) {
            expect_refused(&gate, wire, 2, CMDI_TLS_GATE_BAD_VERSION);
        }
        wire[1] = 3;
        wire[2] = (uint8_t)byte;
        struct cmdi_tls_gate copy = gate;
        size_t passed = 0;
        CU_ASSERT_EQUAL(pass_exact(&copy, wire, size, &passed), CMDI_TLS_GATE_PASS);
        CU_ASSERT_EQUAL(passed, size);
    }
}

static void expect_length(const struct cmdi_tls_gate *before, uint8_t type, size_t length,
        enum cmdi_tls_gate_reason reason)
{
    static uint8_t wire[RECORD_SIZE_MAX];
    size_t size = write_record(wire, type, length);
    if (reason != CMDI_TLS_GATE_NO_REASON) {
        expect_refused(before, wire, CMDI_TLS_HEADER_SIZE, reason);
        return;
    }
    struct cmdi_tls_gate gate = *before;
    size_t passed = 0;
    CU_ASSERT_EQUAL(pass_exact(&gate, wire, size, &passed), CMDI_TLS_GATE_PASS);
    CU_ASSERT_EQUAL(passed, size);
    CU_ASSERT_EQUAL(gate.record_count, before->record_count + 1);
    CU_ASSERT_EQUAL(gate.state, CMDI_TLS_GATE_HEADER);
}

static void test_gate_refuses_an_empty_record(void)
{
    const struct cmdi_tls_gate gate = begun(true);
    for (uint8_t type = CCS; type <= DATA; type++) {
        expect_length(&gate, type, 0, CMDI_TLS_GATE_EMPTY);
    }
}

static void test_gate_refuses_data_too_short_for_its_tag(void)
{
    struct cmdi_tls_gate gate = begun(false);
    for (int i = 0; i < 2; i++) {
        expect_length(&gate, DATA, 1, CMDI_TLS_GATE_TOO_SHORT);
        expect_length(&gate, DATA, 16, CMDI_TLS_GATE_TOO_SHORT);
        expect_length(&gate, DATA, 17, CMDI_TLS_GATE_NO_REASON);
        expect_length(&gate, CCS, 1, CMDI_TLS_GATE_NO_REASON);
        expect_length(&gate, ALERT, 2, CMDI_TLS_GATE_NO_REASON);
        expect_length(&gate, HANDSHAKE, 16, CMDI_TLS_GATE_NO_REASON);
        cmdi_tls_gate_set_tls13(&gate);
    }
}

static void test_gate_refuses_a_byte_over_the_limit(void)
{
    struct cmdi_tls_gate gate = begun(true);
    for (uint8_t type = CCS; type <= DATA; type++) {
        expect_length(&gate, type, 16384 + 2048, CMDI_TLS_GATE_NO_REASON);
        expect_length(&gate, type, 16384 + 2049, CMDI_TLS_GATE_TOO_LONG);
    }
    cmdi_tls_gate_set_tls13(&gate);
    for (uint8_t type = CCS; type <= DATA; type++) {
        expect_length(&gate, type, 16384 + 256, CMDI_TLS_GATE_NO_REASON);
        expect_length(&gate, type, 16384 + 257, CMDI_TLS_GATE_TOO_LONG);
    }
    const uint8_t most[] = {DATA, 3, 3, 0xff, 0xff};
    expect_refused(&gate, most, sizeof(most), CMDI_TLS_GATE_TOO_LONG);
}

/* The record that is passing was begun under the old limit. */
static void test_gate_learns_the_version_inside_a_record(void)
{
    static uint8_t wire[RECORD_SIZE_MAX];
    size_t size = write_record(wire, HANDSHAKE, CMDI_TLS_LENGTH_MAX), passed = 0;
    struct cmdi_tls_gate gate = begun(true);
    CU_ASSERT_EQUAL(pass_exact(&gate, wire, 100, &passed), CMDI_TLS_GATE_PASS);
    cmdi_tls_gate_set_tls13(&gate);
    CU_ASSERT_EQUAL(pass_exact(&gate, wire + 100, size - 100, &passed), CMDI_TLS_GATE_PASS);
    CU_ASSERT_EQUAL(passed, size - 100);
    expect_length(&gate, HANDSHAKE, CMDI_TLS_LENGTH_MAX, CMDI_TLS_GATE_TOO_LONG);
}

static void test_gate_passes_what_stands_before_a_refused_record(void)
{
    uint8_t wire[64];
    size_t first = write_record(wire, HANDSHAKE, 9);
    size_t size = first + write_record(wire + first, DATA, 16);
    for (size_t cut = 0; cut < first; cut++) {
        struct cmdi_tls_gate gate;
        size_t passed = 99;
        cmdi_tls_gate_init(&gate, true);
        (void)pass_exact(&gate, wire, cut, &passed);
        CU_ASSERT_EQUAL(pass_exact(&gate, wire + cut, size - cut, &passed), CMDI_TLS_GATE_REFUSE);
        CU_ASSERT_EQUAL(passed, first + 4 - cut);
        CU_ASSERT_EQUAL(gate.reason, CMDI_TLS_GATE_TOO_SHORT);
        CU_ASSERT_EQUAL(gate.record_count, 1);
    }
}

static void test_gate_that_refused_stays_shut(void)
{
    struct cmdi_tls_gate gate;
    uint8_t wire[64];
    size_t size = write_record(wire, HANDSHAKE, 20), passed = 99;
    cmdi_tls_gate_init(&gate, true);
    CU_ASSERT_EQUAL(pass_exact(&gate, (const uint8_t *)"GET /", 5, &passed), CMDI_TLS_GATE_REFUSE);
    CU_ASSERT_EQUAL(passed, 0);

    CU_ASSERT_EQUAL(cmdi_tls_gate_end_call(&gate, false), CMDI_TLS_GATE_REFUSE);
    CU_ASSERT_EQUAL(cmdi_tls_gate_end_call(&gate, true), CMDI_TLS_GATE_REFUSE);
    passed = 99;
    CU_ASSERT_EQUAL(pass_exact(&gate, wire, size, &passed), CMDI_TLS_GATE_REFUSE);
    CU_ASSERT_EQUAL(passed, 0);
    CU_ASSERT_EQUAL(pass_exact(&gate, wire, 0, &passed), CMDI_TLS_GATE_REFUSE);
    CU_ASSERT_EQUAL(gate.reason, CMDI_TLS_GATE_PLAIN_CLIENT);
}

/* Refused in the middle of a call that also has too many glitches: the first reason stays. */
static void test_gate_keeps_its_first_reason(void)
{
    struct cmdi_tls_gate gate = begun(true);
    const uint8_t type = 99;
    size_t passed = 0;
    add_glitches(&gate, CMDI_TLS_GLITCHES_MAX);
    CU_ASSERT_EQUAL(pass_record(&gate, DATA), CMDI_TLS_GATE_PASS);
    CU_ASSERT_EQUAL(pass_exact(&gate, &type, 1, &passed), CMDI_TLS_GATE_REFUSE);
    CU_ASSERT_EQUAL(cmdi_tls_gate_end_call(&gate, false), CMDI_TLS_GATE_REFUSE);
    CU_ASSERT_EQUAL(gate.reason, CMDI_TLS_GATE_BAD_TYPE);
}

static void test_gate_has_a_sentence_for_each_reason(void)
{
    for (int i = 0; i < CMDI_TLS_GATE_REASON_COUNT; i++) {
        const char *text = cmdi_tls_gate_text((enum cmdi_tls_gate_reason)i);
        CU_ASSERT_PTR_NOT_NULL_FATAL(text);
        CU_ASSERT(strlen(text) > 10);
        for (int j = 0; j < i; j++) {
            CU_ASSERT_STRING_NOT_EQUAL(text, cmdi_tls_gate_text((enum cmdi_tls_gate_reason)j));
        }
    }
}

/* --- What is counted -------------------------------------------------------------------------- */

static void test_gate_ends_a_call_behind_its_32nd_record(void)
{
    enum {
        SIZE = CMDI_TLS_HEADER_SIZE + CMDI_TLS_DATA_LENGTH_MIN
    };
    uint8_t wire[(CALL_MAX + 1) * SIZE];
    struct cmdi_tls_gate gate = begun(true);
    for (int i = 0; i <= CALL_MAX; i++) {
        (void)write_record(wire + i * SIZE, DATA, CMDI_TLS_DATA_LENGTH_MIN);
    }
    for (size_t cut = 0; cut < sizeof(wire); cut++) {
        struct cmdi_tls_gate copy = gate;
        size_t passed = 99, total = 0;
        CU_ASSERT_EQUAL(pass_exact(&copy, wire, cut, &passed),
                cut < CALL_MAX * SIZE ? CMDI_TLS_GATE_PASS : CMDI_TLS_GATE_SPENT);
        total = passed;
        CU_ASSERT_EQUAL(pass_exact(&copy, wire + total, sizeof(wire) - total, &passed),
                CMDI_TLS_GATE_SPENT);
        total += passed;
        CU_ASSERT_EQUAL(total, CALL_MAX * SIZE);
        CU_ASSERT_EQUAL(copy.state, CMDI_TLS_GATE_HEADER);

        CU_ASSERT_EQUAL(cmdi_tls_gate_end_call(&copy, false), CMDI_TLS_GATE_PASS);
        CU_ASSERT_EQUAL(
                pass_exact(&copy, wire + total, sizeof(wire) - total, &passed), CMDI_TLS_GATE_PASS);
        CU_ASSERT_EQUAL(passed, SIZE);
        CU_ASSERT_EQUAL(copy.record_count, gate.record_count + CALL_MAX + 1);
    }
}

/* Cut by the end of a call, a record counts once: where it ends. */
static void test_gate_counts_a_record_in_the_call_that_ends_it(void)
{
    uint8_t wire[CMDI_TLS_HEADER_SIZE + 20];
    size_t size = write_record(wire, DATA, 20);
    for (size_t cut = 1; cut < size; cut++) {
        struct cmdi_tls_gate gate = begun(true);
        size_t passed = 0;
        CU_ASSERT_EQUAL(run_call(&gate, 2, false), CMDI_TLS_GATE_PASS);
        CU_ASSERT_EQUAL(pass_exact(&gate, wire, cut, &passed), CMDI_TLS_GATE_PASS);
        CU_ASSERT_EQUAL(cmdi_tls_gate_end_call(&gate, false), CMDI_TLS_GATE_PASS);
        CU_ASSERT_EQUAL(gate.glitches, 2);
        CU_ASSERT_EQUAL(gate.record_count, 3);
        CU_ASSERT_EQUAL(pass_exact(&gate, wire + cut, size - cut, &passed), CMDI_TLS_GATE_PASS);
        CU_ASSERT_EQUAL(passed, size - cut);
        CU_ASSERT_EQUAL(cmdi_tls_gate_end_call(&gate, true), CMDI_TLS_GATE_PASS);
        CU_ASSERT_EQUAL(gate.glitches, 1);
        CU_ASSERT_EQUAL(gate.record_count, 4);
    }
}

static void test_gate_refuses_the_101st_glitch(void)
{
    struct cmdi_tls_gate gate = begun(true);
    for (int i = 1; i <= 100; i++) {
        CU_ASSERT_EQUAL(run_call(&gate, 1, false), CMDI_TLS_GATE_PASS);
        CU_ASSERT_EQUAL(gate.glitches, i);
    }
    CU_ASSERT_EQUAL(run_call(&gate, 0, false), CMDI_TLS_GATE_PASS);
    CU_ASSERT_EQUAL(run_call(&gate, 1, false), CMDI_TLS_GATE_REFUSE);
    CU_ASSERT_EQUAL(gate.reason, CMDI_TLS_GATE_GLITCHES);
    CU_ASSERT_EQUAL(gate.glitches, 101);
    CU_ASSERT_EQUAL(gate.state, CMDI_TLS_GATE_REFUSED);
}

/* The calls of an endless stream of them: 32, 32, 32, and the fourth is the last. */
static void test_gate_refuses_glitches_that_come_by_the_call(void)
{
    struct cmdi_tls_gate gate = begun(false);
    for (int i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(run_call(&gate, CALL_MAX, false), CMDI_TLS_GATE_PASS);
    }
    CU_ASSERT_EQUAL(gate.glitches, 96);
    CU_ASSERT_EQUAL(run_call(&gate, CALL_MAX, false), CMDI_TLS_GATE_REFUSE);
    CU_ASSERT_EQUAL(gate.reason, CMDI_TLS_GATE_GLITCHES);
}

static void test_gate_forgives_one_glitch_a_record_with_data(void)
{
    struct cmdi_tls_gate gate = begun(true);
    add_glitches(&gate, CMDI_TLS_GLITCHES_MAX);
    for (int i = 1; i <= CMDI_TLS_GLITCHES_MAX; i++) {
        CU_ASSERT_EQUAL(run_call(&gate, 1, true), CMDI_TLS_GATE_PASS);
        CU_ASSERT_EQUAL(gate.glitches, CMDI_TLS_GLITCHES_MAX - i);
    }
    CU_ASSERT_EQUAL(run_call(&gate, 1, true), CMDI_TLS_GATE_PASS);
    CU_ASSERT_EQUAL(gate.glitches, 0); // Nothing is saved up.
    add_glitches(&gate, CMDI_TLS_GLITCHES_MAX);
    CU_ASSERT_EQUAL(run_call(&gate, 1, false), CMDI_TLS_GATE_REFUSE);
}

/* All but the last record of a call with data are glitches, and they came before it. */
static void test_gate_counts_glitches_before_the_data(void)
{
    struct cmdi_tls_gate gate = begun(true);
    CU_ASSERT_EQUAL(run_call(&gate, CALL_MAX, true), CMDI_TLS_GATE_PASS);
    CU_ASSERT_EQUAL(gate.glitches, CALL_MAX - 2);
    CU_ASSERT_EQUAL(run_call(&gate, 2, true), CMDI_TLS_GATE_PASS);
    CU_ASSERT_EQUAL(gate.glitches, CALL_MAX - 2); // One came, one is forgiven.

    gate = begun(true);
    add_glitches(&gate, CMDI_TLS_GLITCHES_MAX - 1);
    CU_ASSERT_EQUAL(run_call(&gate, 2, true), CMDI_TLS_GATE_PASS);
    CU_ASSERT_EQUAL(gate.glitches, CMDI_TLS_GLITCHES_MAX - 1);
    CU_ASSERT_EQUAL(run_call(&gate, 1, false), CMDI_TLS_GATE_PASS);
    CU_ASSERT_EQUAL(run_call(&gate, 2, true), CMDI_TLS_GATE_REFUSE);
    CU_ASSERT_EQUAL(gate.reason, CMDI_TLS_GATE_GLITCHES);
}

/* A long record is read in several calls. */
static void test_gate_forgives_nothing_for_the_rest_of_a_record(void)
{
    struct cmdi_tls_gate gate = begun(true);
    add_glitches(&gate, 50);
    CU_ASSERT_EQUAL(run_call(&gate, 0, true), CMDI_TLS_GATE_PASS);
    CU_ASSERT_EQUAL(run_call(&gate, 0, true), CMDI_TLS_GATE_PASS);
    CU_ASSERT_EQUAL(gate.glitches, 50);
}

/* Refused by what the calls have brought while the next record has come in part. */
static void test_gate_refuses_glitches_inside_a_record(void)
{
    uint8_t wire[CMDI_TLS_HEADER_SIZE + 20];
    size_t size = write_record(wire, DATA, 20);
    for (size_t cut = 0; cut < size; cut++) {
        struct cmdi_tls_gate gate = begun(true);
        size_t passed = 99;
        add_glitches(&gate, CMDI_TLS_GLITCHES_MAX);
        CU_ASSERT_EQUAL(pass_record(&gate, ALERT), CMDI_TLS_GATE_PASS);
        CU_ASSERT_EQUAL(pass_exact(&gate, wire, cut, &passed), CMDI_TLS_GATE_PASS);
        CU_ASSERT_EQUAL(cmdi_tls_gate_end_call(&gate, false), CMDI_TLS_GATE_REFUSE);
        CU_ASSERT_EQUAL(pass_exact(&gate, wire + cut, size - cut, &passed), CMDI_TLS_GATE_REFUSE);
        CU_ASSERT_EQUAL(passed, 0);
        CU_ASSERT_EQUAL(gate.reason, CMDI_TLS_GATE_GLITCHES);
    }
}

CU_TestInfo test_tls_gate[] = {
        {"passes the same at every cut", test_gate_passes_the_same_at_every_cut},
        {"passes bytes one by one", test_gate_passes_bytes_one_by_one},
        {"names where it is", test_gate_names_where_it_is},
        {"takes types 20 to 23 only", test_gate_takes_types_20_to_23_only},
        {"of a server begins with a handshake", test_gate_of_a_server_begins_with_a_handshake},
        {"of a client begins with any type", test_gate_of_a_client_begins_with_any_type},
        {"takes versions 3 and any only", test_gate_takes_versions_3_and_any_only},
        {"refuses an empty record", test_gate_refuses_an_empty_record},
        {"refuses data too short for its tag", test_gate_refuses_data_too_short_for_its_tag},
        {"refuses a byte over the limit", test_gate_refuses_a_byte_over_the_limit},
        {"learns the version inside a record", test_gate_learns_the_version_inside_a_record},
        {"passes what stands before a refused record",
                test_gate_passes_what_stands_before_a_refused_record},
        {"that refused stays shut", test_gate_that_refused_stays_shut},
        {"keeps its first reason", test_gate_keeps_its_first_reason},
        {"has a sentence for each reason", test_gate_has_a_sentence_for_each_reason},
        {"ends a call behind its 32nd record", test_gate_ends_a_call_behind_its_32nd_record},
        {"counts a record in the call that ends it",
                test_gate_counts_a_record_in_the_call_that_ends_it},
        {"refuses the 101st glitch", test_gate_refuses_the_101st_glitch},
        {"refuses glitches that come by the call",
                test_gate_refuses_glitches_that_come_by_the_call},
        {"forgives one glitch a record with data",
                test_gate_forgives_one_glitch_a_record_with_data},
        {"counts glitches before the data", test_gate_counts_glitches_before_the_data},
        {"forgives nothing for the rest of a record",
                test_gate_forgives_nothing_for_the_rest_of_a_record},
        {"refuses glitches inside a record", test_gate_refuses_glitches_inside_a_record},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("tls_gate", test_tls_gate)

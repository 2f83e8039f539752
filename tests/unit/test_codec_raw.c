/* SPDX-License-Identifier: MIT */
/*
 * The raw codec: the payload must pass untouched and uncopied, and a type it cannot carry be
 * refused at start by name.
 */
#include <cmdstream/codec.h>

#include <errno.h>
#include <stdlib.h>

#include "support/harness.h"

struct blob {
    struct cmds_bytes data;
};
struct line {
    struct cmds_string text;
};
struct pair {
    struct cmds_bytes data;
    int64_t number;
};
struct number {
    int64_t number;
};
struct maybe {
    CMDS_OPTIONAL_OF(struct cmds_bytes) data;
};
CMDS_COMMAND(blob, 0, CMDS_MAX(data, 8));
CMDS_COMMAND(line, 1, text);
CMDS_COMMAND(pair, 2, data, number);
CMDS_COMMAND(number, 3, number);
CMDS_COMMAND(maybe, 4, CMDS_OPTIONAL(data));
CMDS_COMMAND_EMPTY(nothing, 5);

static const struct cmds_codec *const raw = &cmds_codec_raw;

static void test_raw_payload_passes_untouched(void)
{
    uint8_t out[8];
    struct blob blob = {{"\0\xff\x80", 3}}, again = {{NULL, 0}};

    CU_ASSERT_EQUAL_FATAL(cmds_codec_encode(raw, blob_message(&blob), out, sizeof(out)), 3);
    CU_ASSERT_EQUAL(memcmp(out, "\0\xff\x80", 3), 0);
    CU_ASSERT_EQUAL(raw->decode(raw, &blob_type, (struct cmds_bytes){out, 3}, NULL, &again), 3);
    CU_ASSERT_PTR_EQUAL(again.data.data, out);
    CU_ASSERT_EQUAL(again.data.size, 3);
}

static void test_raw_empty_payloads_are_payloads(void)
{
    struct line line = {{NULL, 0}};
    void *value = NULL;

    CU_ASSERT_EQUAL(cmds_codec_encode(raw, line_message(&line), NULL, 0), 0);
    CU_ASSERT_EQUAL_FATAL(
            cmds_codec_decode(raw, &line_type, (struct cmds_bytes){"", 0}, &value), 0);
    CU_ASSERT_EQUAL(((struct line *)value)->text.size, 0);
    free(value);
    CU_ASSERT_EQUAL(raw->size(raw, &nothing_type, &(struct nothing){0}), 0);
    CU_ASSERT_EQUAL(raw->decode(raw, &nothing_type, (struct cmds_bytes){"", 0}, NULL, &line), 0);
    CU_ASSERT_EQUAL(raw->decode(raw, &nothing_type, (struct cmds_bytes){"x", 1}, NULL, &line),
            CMDS_E_PROTO);
}

static void test_raw_limits_hold_on_both_ways(void)
{
    struct blob longer = {{"123456789", 9}}, null = {{NULL, 1}}, again = {{NULL, 0}};
    uint8_t out[16];

    CU_ASSERT_EQUAL(cmds_codec_encode(raw, blob_message(&longer), out, sizeof(out)), CMDS_E_LIMIT);
    CU_ASSERT_EQUAL(cmds_codec_encode(raw, blob_message(&null), out, sizeof(out)), -EINVAL);
    CU_ASSERT_EQUAL(raw->decode(raw, &blob_type, longer.data, NULL, &again), CMDS_E_LIMIT);
    longer.data.size = 8;
    CU_ASSERT_EQUAL(cmds_codec_encode(raw, blob_message(&longer), out, 7), -ENOBUFS);
    CU_ASSERT_EQUAL(cmds_codec_encode(raw, blob_message(&longer), out, 8), 8);
}

static void test_raw_check_names_what_it_cannot_carry(void)
{
    struct cmds_error error = CMDS_ERROR_INIT;

    CU_ASSERT_EQUAL(raw->check(raw, &blob_type, &error), 0);
    CU_ASSERT_EQUAL(raw->check(raw, &line_type, &error), 0);
    CU_ASSERT_EQUAL(raw->check(raw, &nothing_type, &error), 0);
    CU_ASSERT_EQUAL(error.code, 0);
    CU_ASSERT_EQUAL(raw->check(raw, &pair_type, &error), CMDS_E_SCHEMA);
    CU_ASSERT_STRING_EQUAL(
            error.text, "codec raw: pair has a second field, number; it carries one");
    CU_ASSERT_EQUAL(raw->check(raw, &number_type, NULL), CMDS_E_SCHEMA);
    CU_ASSERT_EQUAL(raw->check(raw, &maybe_type, NULL), CMDS_E_SCHEMA);
}

static CU_TestInfo tests[] = {
        {"payload passes untouched", test_raw_payload_passes_untouched},
        {"empty payloads are payloads", test_raw_empty_payloads_are_payloads},
        {"limits hold on both ways", test_raw_limits_hold_on_both_ways},
        {"check names what it cannot carry", test_raw_check_names_what_it_cannot_carry},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("codec_raw", tests)

/* SPDX-License-Identifier: MIT */
/*
 * Runs of plain text in JSON, by whatever this processor has and by blocks alone: both take whole steps up to
 * the first byte that needs a second look, and copy nothing else.
 */
#define CMDI_JSON_RUN_BLOCKS
#define cmdi_json_run_read  blocks_run_read
#define cmdi_json_run_size  blocks_run_size
#define cmdi_json_run_write blocks_run_write
#include "json/run.c"
#undef cmdi_json_run_read
#undef cmdi_json_run_size
#undef cmdi_json_run_write

#include <stdlib.h>

#include "support/harness.h"

size_t cmdi_json_run_read(const uint8_t *at, size_t size);
size_t cmdi_json_run_size(const uint8_t *at, size_t size);
size_t cmdi_json_run_write(uint8_t *out, const uint8_t *at, size_t size);

enum {
    TEXT_MAX = 200,
};

static bool is_plain(unsigned byte, bool html)
{
    bool plain = byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
    return plain && !(html && (byte == '<' || byte == '>' || byte == '&'));
}

/* Is that what is taken of the text? In blocks of their own, so that a sanitizer sees a byte too many. */
static bool takes(const uint8_t *text, size_t size, size_t reads, size_t writes)
{
    uint8_t *out = calloc(1, writes + 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    bool same = cmdi_json_run_read(text, size) == reads && blocks_run_read(text, size) == reads &&
                cmdi_json_run_size(text, size) == writes && blocks_run_size(text, size) == writes;
    same = same && cmdi_json_run_write(out, text, size) == writes && memcmp(out, text, writes) == 0;
    memset(out, 0, writes);
    same = same && blocks_run_write(out, text, size) == writes && memcmp(out, text, writes) == 0;
    free(out);
    return same;
}

static void test_json_run_ends_in_front_of_the_step_with_a_special(void)
{
    for (size_t size = 0; size <= TEXT_MAX; size++) {
        uint8_t *text = malloc(size + 1);
        CU_ASSERT_PTR_NOT_NULL_FATAL(text);
        uint8_t *exact = text + 1; // And not aligned.
        memset(exact, 'x', size);
        CU_ASSERT_TRUE(takes(exact, size, size / 64 * 64, size / 64 * 64));
        for (size_t at = 0; at < size; at++) {
            exact[at] = '"';
            size_t run = (at < size / 64 * 64 ? at : size) / 64 * 64;
            CU_ASSERT_TRUE(takes(exact, size, run, run));
            exact[at] = 'x';
        }
        free(text);
    }
}

static void test_json_run_tells_every_byte(void)
{
    uint8_t text[64];
    for (unsigned byte = 0; byte < 256; byte++) {
        for (size_t at = 0; at < sizeof(text); at++) {
            memset(text, 'x', sizeof(text));
            text[at] = (uint8_t)byte;
            CU_ASSERT_TRUE(takes(text, sizeof(text), is_plain(byte, false) ? 64 : 0,
                    is_plain(byte, true) ? 64 : 0));
        }
    }
}

static CU_TestInfo tests[] = {
        {"run ends in front of the step with a special",
                test_json_run_ends_in_front_of_the_step_with_a_special},
        {"run tells every byte", test_json_run_tells_every_byte},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("json_run", tests)

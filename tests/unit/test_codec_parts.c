/* SPDX-License-Identifier: MIT */
/*
 * What the codecs share and what is done several bytes at once: it must be what the same one byte after the
 * other is, at every length, at every place, at every border, and read nothing that is not there.
 */
#include <stdlib.h>

#include "common/block.h"
#include "common/short.h"
#include "common/utf8.h"
#include "common/varint.h"
#include "support/harness.h"

enum {
    TEXT_MAX = 200,
};

/* By the definition of LEB128. */
static size_t leb_write(uint8_t *out, uint64_t value)
{
    size_t size = 0;
    for (; value >= 0x80; value >>= 7) {
        out[size++] = (uint8_t)(value | 0x80);
    }
    out[size++] = (uint8_t)value;
    return size;
}

static void test_codec_parts_varint_is_the_same_with_room_and_without(void)
{
    for (int bit = 0; bit < 64; bit++) {
        for (int near = -2; near <= 2; near++) {
            uint64_t value = ((uint64_t)1 << bit) + (uint64_t)(int64_t)near, again = 0;
            uint8_t expected[CMDI_LEB_SIZE_MAX], wide[CMDI_LEB_SIZE_MAX], loop[CMDI_LEB_SIZE_MAX];
            size_t size = leb_write(expected, value);
            CU_ASSERT_EQUAL((size_t)cmdi_leb_size(value), size);
            CU_ASSERT_EQUAL((size_t)(cmdi_leb_write_wide(wide, value) - wide), size);
            CU_ASSERT_EQUAL((size_t)(cmdi_leb_write(loop, value) - loop), size);
            CU_ASSERT_EQUAL(memcmp(wide, expected, size), 0);
            CU_ASSERT_EQUAL(memcmp(loop, expected, size), 0);
            CU_ASSERT_EQUAL(cmdi_leb_read(wide, wide + sizeof(wide), &again), (int)size);
            CU_ASSERT_EQUAL(again, value);
            again = ~value;
            CU_ASSERT_EQUAL((size_t)(cmdi_leb_write_size(wide, value) - wide), size);
            CU_ASSERT_EQUAL(memcmp(wide, expected, size), 0);
            CU_ASSERT_EQUAL(cmdi_leb_read_size(wide, wide + size, &again), (int)size);
            CU_ASSERT_EQUAL(again, value);
            CU_ASSERT_EQUAL(cmdi_leb_read_size(wide, wide + size - 1, &again), 0);
            again = ~value;
            CU_ASSERT_EQUAL(cmdi_leb_read(loop, loop + size, &again), (int)size);
            CU_ASSERT_EQUAL(again, value);
        }
    }
}

/* A zero in more bytes than it needs, up to ten; one more, or a bit beyond the 64th, is refused. */
static void test_codec_parts_varint_that_is_too_long_is_refused(void)
{
    uint8_t bytes[CMDI_LEB_SIZE_MAX + 6];
    uint64_t value = 1;
    for (int size = 1; size <= CMDI_LEB_SIZE_MAX + 1; size++) {
        memset(bytes, 0x80, sizeof(bytes));
        bytes[size - 1] = 0;
        int expected = size <= CMDI_LEB_SIZE_MAX ? size : -1;
        CU_ASSERT_EQUAL(cmdi_leb_read(bytes, bytes + sizeof(bytes), &value), expected);
        CU_ASSERT_EQUAL(
                cmdi_leb_read(bytes, bytes + size - 1, &value), size <= CMDI_LEB_SIZE_MAX ? 0 : -1);
    }
    memset(bytes, 0xff, sizeof(bytes));
    for (unsigned last = 0; last < 256; last++) {
        bytes[9] = (uint8_t)last;
        int expected = last <= 1 ? 10 : -1;
        CU_ASSERT_EQUAL(cmdi_leb_read(bytes, bytes + sizeof(bytes), &value), expected);
        CU_ASSERT_EQUAL(cmdi_leb_read(bytes, bytes + 10, &value), expected);
    }
}

/* In a block of its own, so that a sanitizer sees a byte too many. */
static void test_codec_parts_ascii_is_looked_through_to_the_last_byte(void)
{
    for (size_t size = 0; size <= TEXT_MAX; size++) {
        uint8_t *text = malloc(size + 1);
        CU_ASSERT_PTR_NOT_NULL_FATAL(text);
        uint8_t *exact = text + 1; // And not aligned.
        memset(exact, 0x7f, size);
        CU_ASSERT_TRUE(cmdi_ascii_is_all(exact, size));
        CU_ASSERT_TRUE(cmdi_utf8_is_valid(exact, size));
        for (size_t at = 0; at < size; at++) {
            exact[at] = 0x80;
            CU_ASSERT_FALSE(cmdi_ascii_is_all(exact, size));
            CU_ASSERT_FALSE(cmdi_utf8_is_valid(exact, size));
            CU_ASSERT(cmdi_ascii_prefix(exact, size) <= at);
            if (at + 1 < size) {
                exact[at] = 0xc2;
                exact[at + 1] = 0x80;
                CU_ASSERT_TRUE(cmdi_utf8_is_valid(exact, size));
                exact[at + 1] = 0x7f;
            }
            exact[at] = 0x7f;
        }
        free(text);
    }
}

static void test_codec_parts_block_finds_the_first_byte(void)
{
    uint8_t bytes[sizeof(cmdi_block)];
    memset(bytes, 0x7f, sizeof(bytes));
    CU_ASSERT_EQUAL(cmdi_block_first(cmdi_block_load(bytes)), 16);
    CU_ASSERT_FALSE(cmdi_block_any(cmdi_block_load(bytes)));
    for (size_t at = sizeof(bytes); at > 0; at--) { // What is behind it does not matter.
        bytes[at - 1] = 0x80;
        CU_ASSERT_EQUAL(cmdi_block_first(cmdi_block_load(bytes)), at - 1);
        CU_ASSERT_TRUE(cmdi_block_any(cmdi_block_load(bytes)));
    }
    for (unsigned byte = 0; byte < 256; byte++) {
        memset(bytes, (int)byte, sizeof(bytes));
        bool printable = byte >= 0x20 && byte < 0x80;
        cmdi_block found = cmdi_block_unprintable(cmdi_block_load(bytes));
        CU_ASSERT_EQUAL(cmdi_block_first(found), printable ? 16 : 0);
    }
}

/* Every byte of them counts, and none beside them. */
static void test_codec_parts_short_text_is_all_of_it(void)
{
    for (size_t size = 1; size <= CMDI_SHORT_MAX; size++) {
        uint8_t *text = malloc(size), *copy = malloc(size);
        CU_ASSERT_PTR_NOT_NULL_FATAL(text);
        CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
        for (size_t i = 0; i < size; i++) {
            text[i] = (uint8_t)(i + 1);
        }
        cmdi_short_store(copy, size, cmdi_short_load(text, size));
        CU_ASSERT_EQUAL(memcmp(text, copy, size), 0);
        CU_ASSERT_TRUE(cmdi_short_is_same(text, copy, size));
        for (size_t i = 0; i < size; i++) {
            copy[i] ^= 0x80;
            CU_ASSERT_FALSE(cmdi_short_is_same(text, copy, size));
            copy[i] ^= 0x80;
        }
        free(text);
        free(copy);
    }
}

static CU_TestInfo tests[] = {
        {"varint is the same with room and without",
                test_codec_parts_varint_is_the_same_with_room_and_without},
        {"varint that is too long is refused", test_codec_parts_varint_that_is_too_long_is_refused},
        {"ascii is looked through to the last byte",
                test_codec_parts_ascii_is_looked_through_to_the_last_byte},
        {"block finds the first byte", test_codec_parts_block_finds_the_first_byte},
        {"short text is all of it", test_codec_parts_short_text_is_all_of_it},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("codec_parts", tests)

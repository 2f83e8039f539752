/* SPDX-License-Identifier: MIT */
/*
 * Varints. TCP may cut one at any byte, a peer may send more than 64 bits or an endless one, and
 * may use more bytes than it needs: the first waits, the second is refused, the third is accepted
 * as Go accepts it. What we write is the shortest form.
 */
#include "wire/varint.h"

#include <stdlib.h>
#include <string.h>

#include <cmdstream/base.h>

#include "support/harness.h"

/* From a block of exactly `size` bytes, so that the sanitizer sees a read behind the end. */
static int decode_exact(const uint8_t *data, size_t size, uint64_t *value)
{
    uint8_t *exact = malloc(size > 0 ? size : 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(exact);
    memcpy(exact, data, size);
    int used = cmdi_varint_decode(size > 0 ? exact : exact + 1, size, value);
    free(exact);
    return used;
}

/* Each value where the number of bytes changes, and both its neighbours. */
static void for_each_edge(void (*fn)(uint64_t value))
{
    fn(0);
    for (unsigned bits = 0; bits < 64; bits++) {
        uint64_t power = (uint64_t)1 << bits;
        fn(power - 1);
        fn(power);
        fn(power + 1);
    }
    fn(UINT64_MAX - 1);
    fn(UINT64_MAX);
}

static void expect_round_trip(uint64_t value)
{
    uint8_t bytes[CMDI_VARINT_SIZE_MAX + 1];
    uint64_t back = ~value;
    memset(bytes, 0xee, sizeof(bytes));

    size_t size = (size_t)(cmdi_varint_encode(bytes, value) - bytes);

    CU_ASSERT_EQUAL(size, cmdi_varint_size(value));
    CU_ASSERT_EQUAL(bytes[size], 0xee);           // Nothing behind the end.
    CU_ASSERT(size == 1 || bytes[size - 1] != 0); // Shortest: the last byte carries bits.
    CU_ASSERT_EQUAL(cmdi_varint_decode(bytes, sizeof(bytes), &back), (int)size);
    CU_ASSERT_EQUAL(back, value);
}

static void test_varint_round_trip_at_every_edge(void)
{
    for_each_edge(expect_round_trip);
}

static void expect_wait_at_every_cut(uint64_t value)
{
    uint8_t bytes[CMDI_VARINT_SIZE_MAX];
    size_t size = (size_t)(cmdi_varint_encode(bytes, value) - bytes);
    for (size_t cut = 0; cut < size; cut++) {
        uint64_t untouched = 42;
        CU_ASSERT_EQUAL(decode_exact(bytes, cut, &untouched), 0);
        CU_ASSERT_EQUAL(untouched, 42);
    }
    uint64_t back = 0;
    CU_ASSERT_EQUAL(decode_exact(bytes, size, &back), (int)size);
    CU_ASSERT_EQUAL(back, value);
}

static void test_varint_decode_waits_at_every_cut(void)
{
    for_each_edge(expect_wait_at_every_cut);
}

static void test_varint_decode_accepts_more_bytes_than_needed(void)
{
    /* value 5 in 1 to 10 bytes */
    for (size_t size = 1; size <= CMDI_VARINT_SIZE_MAX; size++) {
        uint8_t bytes[CMDI_VARINT_SIZE_MAX] = {0};
        memset(bytes, 0x80, size);
        bytes[0] |= 5;
        bytes[size - 1] &= 0x7f;
        uint64_t value = 0;
        CU_ASSERT_EQUAL(decode_exact(bytes, size, &value), (int)size);
        CU_ASSERT_EQUAL(value, 5);
    }
}

static void test_varint_decode_takes_the_64th_bit_and_no_65th(void)
{
    uint8_t bytes[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01};
    uint64_t value = 0;

    CU_ASSERT_EQUAL(decode_exact(bytes, sizeof(bytes), &value), 10);
    CU_ASSERT_EQUAL(value, UINT64_MAX);

    value = 42;
    for (unsigned last = 2; last < 256; last++) {
        bytes[9] = (uint8_t)last;
        CU_ASSERT_EQUAL(decode_exact(bytes, sizeof(bytes), &value), CMDS_E_PROTO);
    }
    CU_ASSERT_EQUAL(value, 42);
}

static void test_varint_decode_refuses_an_eleventh_byte_without_waiting_for_it(void)
{
    uint8_t bytes[11];
    uint64_t value = 0;
    memset(bytes, 0x80, sizeof(bytes));
    bytes[10] = 0;

    CU_ASSERT_EQUAL(decode_exact(bytes, 9, &value), 0);
    CU_ASSERT_EQUAL(decode_exact(bytes, 10, &value), CMDS_E_PROTO);
    CU_ASSERT_EQUAL(decode_exact(bytes, 11, &value), CMDS_E_PROTO);
}

static CU_TestInfo tests[] = {
        {"round trip at every edge", test_varint_round_trip_at_every_edge},
        {"decode waits at every cut", test_varint_decode_waits_at_every_cut},
        {"decode accepts more bytes than needed",
                test_varint_decode_accepts_more_bytes_than_needed},
        {"decode takes the 64th bit and no 65th",
                test_varint_decode_takes_the_64th_bit_and_no_65th},
        {"decode refuses an eleventh byte without waiting for it",
                test_varint_decode_refuses_an_eleventh_byte_without_waiting_for_it},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("varint", tests)

/* SPDX-License-Identifier: MIT */
/*
 * ServerInfo, the server's first words. It may come in pieces, be empty, or claim to be longer than
 * anybody allows: the first waits, the others are refused by the length alone.
 */
#include <stdlib.h>
#include <string.h>

#include "support/harness.h"
#include "wire/frame.h"

static int decode_exact(const uint8_t *data, size_t size, struct cmds_bytes *info)
{
    uint8_t *exact = malloc(size > 0 ? size : 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(exact);
    memcpy(exact, data, size);
    int used = cmdi_server_info_decode(exact, size, info);
    free(exact);
    return used;
}

static void expect_round_trip(size_t info_size)
{
    uint8_t text[CMDI_SERVER_INFO_MAX];
    uint8_t wire[2 + CMDI_SERVER_INFO_MAX + 1];
    memset(text, 's', sizeof(text));
    memset(wire, 0xee, sizeof(wire));

    uint8_t *end = cmdi_server_info_encode(wire, (struct cmds_bytes){text, info_size});
    size_t size = (size_t)(end - wire);

    CU_ASSERT_EQUAL(size, info_size + (info_size < 128 ? 1 : 2));
    CU_ASSERT_EQUAL(*end, 0xee);
    for (size_t cut = 0; cut < size; cut++) {
        struct cmds_bytes untouched = {NULL, 0};
        CU_ASSERT_EQUAL(decode_exact(wire, cut, &untouched), 0);
        CU_ASSERT_PTR_NULL(untouched.data);
    }
    struct cmds_bytes info = {NULL, 0};
    // And leaves what follows.
    CU_ASSERT_EQUAL(cmdi_server_info_decode(wire, sizeof(wire), &info), (int)size);
    CU_ASSERT_EQUAL(info.size, info_size);
    CU_ASSERT_PTR_EQUAL(info.data, end - info_size);
}

static void test_server_info_round_trip_waits_at_every_cut(void)
{
    expect_round_trip(1);
    expect_round_trip(127);
    expect_round_trip(128);
    expect_round_trip(CMDI_SERVER_INFO_MAX);
}

static void test_server_info_too_large_is_refused_by_its_length(void)
{
    uint8_t wire[CMDI_VARINT_SIZE_MAX];
    const uint64_t lies[] = {CMDI_SERVER_INFO_MAX + 1, 1u << 20, (uint64_t)1 << 40, UINT64_MAX};
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        struct cmds_bytes info = {NULL, 0};
        size_t size = (size_t)(cmdi_varint_encode(wire, lies[i]) - wire);
        CU_ASSERT_EQUAL(decode_exact(wire, size, &info), CMDS_E_TOO_LARGE_SERVER_INFO);
        CU_ASSERT_EQUAL(decode_exact(wire, size - 1, &info), 0);
        CU_ASSERT_PTR_NULL(info.data);
    }
}

static void test_server_info_empty_or_overflowing_is_a_protocol_error(void)
{
    const uint8_t empty[] = {0};
    const uint8_t empty_longer[] = {0x80, 0x80, 0x00};
    uint8_t endless[CMDI_VARINT_SIZE_MAX];
    struct cmds_bytes info = {NULL, 0};
    memset(endless, 0xff, sizeof(endless));

    CU_ASSERT_EQUAL(decode_exact(empty, sizeof(empty), &info), CMDS_E_PROTO);
    CU_ASSERT_EQUAL(decode_exact(empty_longer, sizeof(empty_longer), &info), CMDS_E_PROTO);
    CU_ASSERT_EQUAL(decode_exact(endless, sizeof(endless), &info), CMDS_E_PROTO);
    CU_ASSERT_PTR_NULL(info.data);
}

static CU_TestInfo tests[] = {
        {"round trip waits at every cut", test_server_info_round_trip_waits_at_every_cut},
        {"too large is refused by its length", test_server_info_too_large_is_refused_by_its_length},
        {"empty or overflowing is a protocol error",
                test_server_info_empty_or_overflowing_is_a_protocol_error},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("server_info", tests)

/* SPDX-License-Identifier: MIT */
/* Borrowed strings, which may hold NUL bytes and end without one, and maps of them. */
#include <cmdstream/base.h>

#include "support/harness.h"

static void test_string_strings_compare_by_bytes(void)
{
    struct cmds_string a = {"ab\0c", 4}, b = {"ab\0d", 4}, none = {NULL, 0}, empty = {"", 0};

    CU_ASSERT_FALSE(cmds_string_equal(a, b));
    CU_ASSERT_TRUE(cmds_string_equal(a, (struct cmds_string){"ab\0c", 4}));
    CU_ASSERT_FALSE(cmds_string_equal(a, (struct cmds_string){"ab", 2}));
    CU_ASSERT_TRUE(cmds_string_equal(none, empty));
}

static void test_string_map_find_takes_the_last_of_a_key(void)
{
    static const struct cmds_pair pairs[] = {{CMDS_STRING("a"), CMDS_STRING("1")},
            {CMDS_STRING("b"), CMDS_STRING("2")}, {CMDS_STRING("a"), CMDS_STRING("3")}};
    struct cmds_map map = {pairs, 3};

    CU_ASSERT_PTR_EQUAL(cmds_map_find(map, cmds_string_from("a")), &pairs[2].value);
    CU_ASSERT_PTR_EQUAL(cmds_map_find(map, cmds_string_from("b")), &pairs[1].value);
    CU_ASSERT_PTR_NULL(cmds_map_find(map, cmds_string_from("c")));
    CU_ASSERT_PTR_NULL(cmds_map_find((struct cmds_map){NULL, 0}, cmds_string_from("a")));
    CU_ASSERT_STRING_EQUAL(cmds_version(), CMDS_VERSION);
}

static CU_TestInfo tests[] = {
        {"strings compare by bytes", test_string_strings_compare_by_bytes},
        {"map find takes the last of a key", test_string_map_find_takes_the_last_of_a_key},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("string", tests)

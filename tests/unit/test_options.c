/* SPDX-License-Identifier: MIT */
/* Option structs of other versions must be read for what they are. */
#include "base/options.h"

#include <errno.h>
#include <string.h>

#include "support/harness.h"

struct options {
    uint32_t struct_size, a;
    uint64_t b;
};
struct options_grown {
    struct options options;
    uint64_t c;
};

static void test_options_of_an_older_program_end_in_zeros(void)
{
    struct options mine = {9, 9, 9};
    struct options theirs = {offsetof(struct options, b), 7, 8};
    struct cmds_error error = CMDS_ERROR_INIT;

    CU_ASSERT_EQUAL(cmdi_options_take(&mine, sizeof(mine), &theirs, "options", &error), 0);

    CU_ASSERT_EQUAL(mine.a, 7);
    CU_ASSERT_EQUAL(mine.b, 0);
    CU_ASSERT_EQUAL(error.code, 0);
}

static void test_options_of_a_newer_program_may_only_add_zeros(void)
{
    struct options mine = {0};
    struct options_grown theirs = {{sizeof(theirs), 7, 8}, 0};
    struct cmds_error error = CMDS_ERROR_INIT;

    CU_ASSERT_EQUAL(cmdi_options_take(&mine, sizeof(mine), &theirs, "options", &error), 0);
    CU_ASSERT_EQUAL(mine.b, 8);

    theirs.c = 1;
    theirs.options.b = 5;
    CU_ASSERT_EQUAL(cmdi_options_take(&mine, sizeof(mine), &theirs, "options", &error), -E2BIG);
    CU_ASSERT_EQUAL(mine.b, 8); // Untouched on failure.
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "options: sets an option"));
}

static void test_options_that_nobody_started_are_refused(void)
{
    struct options mine = {0};
    struct options theirs = {0, 7, 8};
    static const uint32_t sizes[] = {0, 4, 7, 4097, UINT32_MAX};

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct cmds_error error = CMDS_ERROR_INIT;
        theirs.struct_size = sizes[i];
        CU_ASSERT_EQUAL(
                cmdi_options_take(&mine, sizeof(mine), &theirs, "options", &error), -EINVAL);
        CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "INIT macro"));
    }
    CU_ASSERT_EQUAL(mine.a, 0);
}

static void test_options_zero_is_the_default(void)
{
    uint32_t left = 0, set = 5;
    cmdi_default(&left, 7);
    cmdi_default(&set, 7);
    CU_ASSERT_EQUAL(left, 7);
    CU_ASSERT_EQUAL(set, 5);
}

static CU_TestInfo tests[] = {
        {"of an older program end in zeros", test_options_of_an_older_program_end_in_zeros},
        {"of a newer program may only add zeros",
                test_options_of_a_newer_program_may_only_add_zeros},
        {"that nobody started are refused", test_options_that_nobody_started_are_refused},
        {"zero is the default", test_options_zero_is_the_default},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("options", tests)

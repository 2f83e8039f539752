/* SPDX-License-Identifier: MIT */
/*
 * Errors. The record of a failure must survive what follows it, stay terminated whatever is put in,
 * and carry no byte that a terminal obeys; option structs of other versions must be read for what
 * they are.
 */
#include "base/error.h"

#include <errno.h>
#include <string.h>

#include "support/harness.h"

static void test_error_fail_keeps_the_first(void)
{
    struct cmds_error error = CMDS_ERROR_INIT;

    CU_ASSERT_EQUAL(cmdi_fail(&error, CMDS_E_LOST, "connect %s", "here"), CMDS_E_LOST);
    CU_ASSERT_EQUAL(cmdi_fail(&error, -EPIPE, "an echo of it"), -EPIPE);

    CU_ASSERT_EQUAL(error.code, CMDS_E_LOST);
    CU_ASSERT_STRING_EQUAL(error.text, "connect here");
    CU_ASSERT_EQUAL(cmdi_fail(NULL, -EIO, "nobody listens"), -EIO);
}

static void test_error_fail_cuts_a_long_text_and_shows_it(void)
{
    struct cmds_error error = CMDS_ERROR_INIT;
    char longer[400];
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';

    CU_ASSERT_EQUAL(cmdi_fail(&error, -EINVAL, "%s", longer), -EINVAL);

    CU_ASSERT_EQUAL(strlen(error.text), sizeof(error.text) - 1);
    CU_ASSERT_STRING_EQUAL(error.text + sizeof(error.text) - 5, "x...");
}

static void test_error_fail_lets_no_control_byte_through(void)
{
    struct cmds_error error = CMDS_ERROR_INIT;

    (void)cmdi_fail(&error, CMDS_E_PROTO, "name \x1b[2J\r\n\x7f\t\xc3\xa4");

    CU_ASSERT_STRING_EQUAL(error.text, "name ?[2J????\xc3\xa4");
}

static void test_error_every_code_has_a_name_and_a_sentence(void)
{
#define CMDS_X_(name, code, sentence)                                                              \
    CU_ASSERT_STRING_EQUAL(cmds_error_name(code), "CMDS_E_" #name);                                \
    CU_ASSERT_STRING_EQUAL(cmds_error_text(code), sentence);
    CMDS_ERRORS(CMDS_X_)
#undef CMDS_X_
    CU_ASSERT_STRING_EQUAL(cmds_error_name(-ECONNREFUSED), "ECONNREFUSED");
    CU_ASSERT_STRING_EQUAL(cmds_error_text(-ECONNREFUSED), "refused; is the server running?");
    CU_ASSERT_STRING_EQUAL(cmds_error_name(-ENOBUFS), "ENOBUFS");
    CU_ASSERT_STRING_EQUAL(cmds_error_name(0), "0");
    CU_ASSERT_STRING_EQUAL(cmds_error_text(0), "no error");
}

static void test_error_unknown_codes_are_called_so(void)
{
    static const int unknown[] = {1, -4095, -4999, -5999, -100000, INT32_MIN, INT32_MAX};
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        CU_ASSERT_STRING_EQUAL(cmds_error_name(unknown[i]), "unknown");
        CU_ASSERT_STRING_EQUAL(cmds_error_text(unknown[i]), "unknown");
    }
    for (int code = 0; code >= -4096; code--) {
        CU_ASSERT_PTR_NOT_NULL(cmds_error_name(code));
        CU_ASSERT_PTR_NOT_NULL(cmds_error_text(code));
    }
}

struct options {
    uint32_t struct_size, a;
    uint64_t b;
};
struct options_grown {
    struct options options;
    uint64_t c;
};

static void test_error_options_of_an_older_program_end_in_zeros(void)
{
    struct options mine = {9, 9, 9};
    struct options theirs = {offsetof(struct options, b), 7, 8};
    struct cmds_error error = CMDS_ERROR_INIT;

    CU_ASSERT_EQUAL(cmdi_options_take(&mine, sizeof(mine), &theirs, "options", &error), 0);

    CU_ASSERT_EQUAL(mine.a, 7);
    CU_ASSERT_EQUAL(mine.b, 0);
    CU_ASSERT_EQUAL(error.code, 0);
}

static void test_error_options_of_a_newer_program_may_only_add_zeros(void)
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

static void test_error_options_that_nobody_started_are_refused(void)
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

static void test_error_strings_compare_by_bytes(void)
{
    struct cmds_string a = {"ab\0c", 4}, b = {"ab\0d", 4}, none = {NULL, 0}, empty = {"", 0};

    CU_ASSERT_FALSE(cmds_string_equal(a, b));
    CU_ASSERT_TRUE(cmds_string_equal(a, (struct cmds_string){"ab\0c", 4}));
    CU_ASSERT_FALSE(cmds_string_equal(a, (struct cmds_string){"ab", 2}));
    CU_ASSERT_TRUE(cmds_string_equal(none, empty));
}

static void test_error_map_find_takes_the_last_of_a_key(void)
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
        {"fail keeps the first", test_error_fail_keeps_the_first},
        {"fail cuts a long text and shows it", test_error_fail_cuts_a_long_text_and_shows_it},
        {"fail lets no control byte through", test_error_fail_lets_no_control_byte_through},
        {"every code has a name and a sentence", test_error_every_code_has_a_name_and_a_sentence},
        {"unknown codes are called so", test_error_unknown_codes_are_called_so},
        {"options of an older program end in zeros",
                test_error_options_of_an_older_program_end_in_zeros},
        {"options of a newer program may only add zeros",
                test_error_options_of_a_newer_program_may_only_add_zeros},
        {"options that nobody started are refused",
                test_error_options_that_nobody_started_are_refused},
        {"strings compare by bytes", test_error_strings_compare_by_bytes},
        {"map find takes the last of a key", test_error_map_find_takes_the_last_of_a_key},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("error", tests)

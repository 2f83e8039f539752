/* SPDX-License-Identifier: MIT */
/*
 * Errors. The record of a failure must survive what follows it, stay terminated whatever is put in,
 * and carry no byte that a terminal obeys.
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

static void test_error_codes_of_the_program_stay_its_own(void)
{
    struct cmdi_code_text room;

    CU_ASSERT_STRING_EQUAL(cmdi_program_code(&room, -ENOSPC), "-28 (ENOSPC)");
    CU_ASSERT_STRING_EQUAL(cmdi_program_code(&room, -7777), "-7777");
    CU_ASSERT_STRING_EQUAL(cmdi_program_code(&room, -4095), "-4095");
    CU_ASSERT_STRING_EQUAL(cmdi_program_code(&room, 7), "7");
    CU_ASSERT_STRING_EQUAL(cmdi_program_code(&room, -5999), "-5999");
    CU_ASSERT_STRING_EQUAL(cmdi_program_code(&room, CMDS_E_NOT_CONNECTED),
            "CMDS_E_NOT_CONNECTED: no connection of the group is up");
#define CMDS_X_(name, code, sentence)                                                              \
    CU_ASSERT_PTR_NOT_NULL(strstr(cmdi_program_code(&room, code), sentence)); // Never cut.
    CMDS_ERRORS(CMDS_X_)
#undef CMDS_X_
}

static CU_TestInfo tests[] = {
        {"fail keeps the first", test_error_fail_keeps_the_first},
        {"fail cuts a long text and shows it", test_error_fail_cuts_a_long_text_and_shows_it},
        {"fail lets no control byte through", test_error_fail_lets_no_control_byte_through},
        {"every code has a name and a sentence", test_error_every_code_has_a_name_and_a_sentence},
        {"unknown codes are called so", test_error_unknown_codes_are_called_so},
        {"codes of the program stay its own", test_error_codes_of_the_program_stay_its_own},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("error", tests)

/* SPDX-License-Identifier: MIT */
/*
 * The option `tls`. What may go wrong: a server gets what was made for clients, and checks nobody; a
 * library of another version is called by a table that it does not have.
 */
#include "conn/option_tls.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "support/harness.h"

static const struct cmdi_security this_version = {.version = CMDI_SECURITY_VERSION};
static const struct cmdi_security other_version = {.version = CMDI_SECURITY_VERSION + 1};

/* It is -EINVAL, and the sentence has `words` in it. */
static bool is_refused(int code, const struct cmds_error *error, const char *words)
{
    bool right = code == -EINVAL && error->code == code && strstr(error->text, words) != NULL;
    if (!right) {
        (void)printf("\"%s\": got %d: %s\n", words, code, error->text);
    }
    return right;
}

static bool check_refuses(const struct cmds_tls *tls, bool is_server, const char *words)
{
    struct cmds_error error = CMDS_ERROR_INIT;
    return is_refused(cmdi_option_tls_check(tls, is_server, &error), &error, words);
}

static void test_option_tls_is_of_the_right_side(void)
{
    const struct cmds_tls server = {.security = &this_version, .is_server = true};
    const struct cmds_tls client = {.security = &this_version};

    CU_ASSERT_EQUAL(cmdi_option_tls_check(NULL, true, NULL), 0);
    CU_ASSERT_EQUAL(cmdi_option_tls_check(NULL, false, NULL), 0);
    CU_ASSERT_EQUAL(cmdi_option_tls_check(&server, true, NULL), 0);
    CU_ASSERT_EQUAL(cmdi_option_tls_check(&client, false, NULL), 0);
    CU_ASSERT_TRUE(check_refuses(&client, true, "cmds_tls_server_new()"));
    CU_ASSERT_TRUE(check_refuses(&server, false, "cmds_tls_client_new()"));
}

static void test_option_tls_is_of_this_version(void)
{
    const struct cmds_tls none = {.is_server = true};
    const struct cmds_tls other = {.security = &other_version, .is_server = true};

    CU_ASSERT_TRUE(check_refuses(&none, true, "one release"));
    CU_ASSERT_TRUE(check_refuses(&other, true, "one release"));
}

CU_TestInfo test_option_tls[] = {
        {"is of the right side", test_option_tls_is_of_the_right_side},
        {"is of this version", test_option_tls_is_of_this_version},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("option_tls", test_option_tls)

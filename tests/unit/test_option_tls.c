/* SPDX-License-Identifier: MIT */
/*
 * The option `tls`. What may go wrong: a server gets what was made for clients, and checks nobody; a
 * library of another version is called by a table that it does not have; a client knows no name by
 * which to check the server, and finds out when nobody looks at its errors any more.
 */
#include "conn/option_tls.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client/config.h"
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

static int check_connect(const struct cmds_tls *tls, const char *connect, struct cmds_error *error)
{
    const struct cmds_group_options options = {.connect = connect, .tls = (struct cmds_tls *)tls};
    return cmdi_client_config_check_tls(&options, error);
}

static void test_option_tls_of_a_client_knows_the_server_by_a_name(void)
{
    const struct cmds_tls unnamed = {.security = &this_version};
    const struct cmds_tls named = {.security = &this_version, .server_name = "a.example"};
    const struct cmds_tls server = {.security = &this_version, .is_server = true};
    static const char *const nameless[] = {"unix:/run/x", "unix:@x", ":9000"};

    CU_ASSERT_EQUAL(check_connect(&unnamed, "a.example:9000", NULL), 0);
    CU_ASSERT_EQUAL(check_connect(&unnamed, "[::1]:9000", NULL), 0);
    for (size_t i = 0; i < sizeof(nameless) / sizeof(nameless[0]); i++) {
        struct cmds_error error = CMDS_ERROR_INIT;
        CU_ASSERT_EQUAL(check_connect(NULL, nameless[i], NULL), 0);
        CU_ASSERT_EQUAL(check_connect(&named, nameless[i], NULL), 0);
        CU_ASSERT_TRUE(
                is_refused(check_connect(&unnamed, nameless[i], &error), &error, "server_name: "));
        CU_ASSERT_PTR_NOT_NULL(strstr(error.text, nameless[i]));
    }
    struct cmds_error error = CMDS_ERROR_INIT;
    CU_ASSERT_TRUE(
            is_refused(check_connect(&server, "a.example:9000", &error), &error, "tls: made for"));
    // What is no address at all is refused as such, elsewhere.
    CU_ASSERT_EQUAL(check_connect(&unnamed, "a.example", NULL), 0);
}

CU_TestInfo test_option_tls[] = {
        {"is of the right side", test_option_tls_is_of_the_right_side},
        {"is of this version", test_option_tls_is_of_this_version},
        {"of a client knows the server by a name",
                test_option_tls_of_a_client_knows_the_server_by_a_name},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("option_tls", test_option_tls)

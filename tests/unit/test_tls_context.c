/* SPDX-License-Identifier: MIT */
/*
 * A struct cmds_tls: what its options and its files may be, and the sentence for each that they may not;
 * which certificate a name gets; a reload, which is whole or nothing.
 */
#include "tls/context.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/harness.h"
#include "support/tls_pair.h"

/* ---- Helpers --------------------------------------------------------------------------------- */

static struct cmds_tls_server_options server_options(void)
{
    struct cmds_tls_server_options options = CMDS_TLS_SERVER_OPTIONS_INIT;
    options.certificate_file = tls_file("server.pem");
    options.key_file = tls_file("server.key");
    return options;
}

static struct cmds_tls_client_options client_options(void)
{
    struct cmds_tls_client_options options = CMDS_TLS_CLIENT_OPTIONS_INIT;
    options.ca_file = tls_file("ca.pem");
    return options;
}

static struct cmds_tls *server_of(const struct cmds_tls_server_options *options)
{
    struct cmds_tls *tls = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    CU_ASSERT_EQUAL(cmds_tls_server_new(&tls, options, &error), 0);
    CU_ASSERT_STRING_EQUAL(error.text, "");
    CU_ASSERT_PTR_NOT_NULL_FATAL(tls);
    return tls;
}

static struct cmds_tls *client_of(const struct cmds_tls_client_options *options)
{
    struct cmds_tls *tls = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    CU_ASSERT_EQUAL(cmds_tls_client_new(&tls, options, &error), 0);
    CU_ASSERT_STRING_EQUAL(error.text, "");
    CU_ASSERT_PTR_NOT_NULL_FATAL(tls);
    return tls;
}

/* All words are in the sentence, and it says which failure it is. */
static void expect_sentence(const struct cmds_error *error, int code, const char *words)
{
    CU_ASSERT_EQUAL(error->code, code);
    bool is_there = strstr(error->text, words) != NULL && strncmp(error->text, "TLS: ", 5) == 0;
    CU_ASSERT(is_there);
    if (!is_there || error->code != code) {
        fprintf(stderr, "    wanted %d \"%s\"\n    got    %d \"%s\"\n", code, words, error->code,
                error->text);
    }
}

static void refused_server(
        const struct cmds_tls_server_options *options, int code, const char *words)
{
    struct cmds_tls *tls = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    CU_ASSERT_EQUAL(cmds_tls_server_new(&tls, options, &error), code);
    CU_ASSERT_PTR_NULL(tls);
    expect_sentence(&error, code, words);
}

static void connects(struct cmds_tls *client, struct cmds_tls *server, const char *host)
{
    struct tls_pair pair;
    tls_pair_init(&pair, client, server);
    pair.host = host;
    bool is_done = tls_pair_connect(&pair);
    CU_ASSERT(is_done);
    if (!is_done) {
        fprintf(stderr, "    client: %s\n    server: %s\n", pair.client.error.text,
                pair.server.error.text);
    }
    tls_pair_fini(&pair);
}

static void test_context_both_sides_connect(void)
{
    struct cmds_tls_server_options server = server_options();
    struct cmds_tls_client_options client = client_options();
    struct cmds_tls *server_tls = server_of(&server), *client_tls = client_of(&client);

    connects(client_tls, server_tls, "a.example");

    cmds_tls_free(client_tls);
    cmds_tls_free(server_tls);
}

static void test_context_needs_a_certificate(void)
{
    struct cmds_tls_server_options server = CMDS_TLS_SERVER_OPTIONS_INIT;

    refused_server(&server, -EINVAL, "certificate_file is missing");
}

static const CU_TestInfo test_tls_context[] = {
        {"both sides connect", test_context_both_sides_connect},
        {"needs a certificate", test_context_needs_a_certificate},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("tls_context", test_tls_context)

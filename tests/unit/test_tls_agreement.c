/* SPDX-License-Identifier: MIT */
/*
 * What both sides agree on beyond ciphers: protocols (ALPN), whether a client shows a certificate, whom
 * a list of revoked certificates names. Where an option asks for it, a peer without it has to go.
 */
#include <stdio.h>
#include <string.h>

#include <cmdstream/tls.h>

#include "support/harness.h"
#include "support/tls_pair.h"

static struct cmds_tls *server_of(const struct cmds_tls_server_options *options)
{
    struct cmds_tls *tls = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    struct cmds_tls_server_options all = *options;
    all.certificate_file = tls_file("server.pem");
    all.key_file = tls_file("server.key");
    CU_ASSERT_EQUAL_FATAL(cmds_tls_server_new(&tls, &all, &error), 0);
    return tls;
}

static struct cmds_tls *client_of(const struct cmds_tls_client_options *options)
{
    struct cmds_tls *tls = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    CU_ASSERT_EQUAL_FATAL(cmds_tls_client_new(&tls, options, &error), 0);
    return tls;
}

/* ---- Protocols ------------------------------------------------------------------------------- */

static bool connect_alpn(struct tls_pair *pair, const char *of_client, const char *of_server)
{
    struct cmds_tls_client_options client = CMDS_TLS_CLIENT_OPTIONS_INIT;
    struct cmds_tls_server_options server = CMDS_TLS_SERVER_OPTIONS_INIT;
    client.ca_file = tls_file("ca.pem");
    client.alpn = of_client;
    server.alpn = of_server;
    tls_pair_init(pair, client_of(&client), server_of(&server));
    return tls_pair_connect(pair);
}

static void test_a_protocol_is_agreed_on(void)
{
    struct tls_pair pair;
    CU_ASSERT_TRUE_FATAL(connect_alpn(&pair, "x/1,cmdstream/1", "cmdstream/1,y/1"));
    CU_ASSERT_STRING_EQUAL(tls_peer(&pair.client)->alpn, "cmdstream/1");
    CU_ASSERT_STRING_EQUAL(tls_peer(&pair.server)->alpn, "cmdstream/1");
    tls_pair_free(&pair);
}

static void test_a_server_without_protocols_takes_any(void)
{
    struct tls_pair pair;
    CU_ASSERT_TRUE_FATAL(connect_alpn(&pair, "cmdstream/1", NULL));
    CU_ASSERT_STRING_EQUAL(tls_peer(&pair.client)->alpn, "");
    CU_ASSERT_STRING_EQUAL(tls_peer(&pair.server)->alpn, "");
    tls_pair_free(&pair);
}

static void check_alpn_is_refused(const char *of_client, const char *reason)
{
    struct tls_pair pair;
    char text[256];
    CU_ASSERT_FALSE(connect_alpn(&pair, of_client, "cmdstream/1"));
    snprintf(text, sizeof(text), "TLS handshake with client.address:2: %s", reason);
    CU_ASSERT_STRING_EQUAL(pair.server.error.text, text);
    CU_ASSERT_EQUAL(pair.server.error.code, CMDS_E_TLS_HANDSHAKE);
    CU_ASSERT_EQUAL(pair.server.alerts_out, 1);
    CU_ASSERT_STRING_EQUAL(pair.client.error.text,
            "TLS handshake with server.address:1: the peer refused: alert 120 "
            "(no_application_protocol): it has none of our protocols; check alpn");
    tls_pair_free(&pair);
}

static void test_a_client_with_other_protocols_is_refused(void)
{
    check_alpn_is_refused("x/1", "no protocol in common (ALPN); check alpn");
}

static void test_a_client_without_protocols_is_refused(void)
{
    check_alpn_is_refused(NULL, "it offers no protocol (ALPN), and one of ours is wanted");
}

/* ---- Certificates that may be missing -------------------------------------------------------- */

static bool connect_optional(struct tls_pair *pair, const char *client, const char *client_ca)
{
    struct cmds_tls_server_options server = CMDS_TLS_SERVER_OPTIONS_INIT;
    server.clients = CMDS_TLS_CLIENTS_OPTIONAL;
    server.client_ca_file = tls_file_of(client_ca, ".pem");
    tls_pair_init(pair, tls_new_client("ca", client), server_of(&server));
    return tls_pair_connect(pair);
}

static void test_a_client_may_have_no_certificate(void)
{
    struct tls_pair pair;
    CU_ASSERT_TRUE_FATAL(connect_optional(&pair, NULL, "ca"));
    CU_ASSERT_FALSE(tls_peer(&pair.server)->verified);
    CU_ASSERT_STRING_EQUAL(tls_peer(&pair.server)->subject, "");
    tls_pair_free(&pair);

    CU_ASSERT_TRUE_FATAL(connect_optional(&pair, "client", "ca"));
    CU_ASSERT_TRUE(tls_peer(&pair.server)->verified);
    CU_ASSERT_STRING_EQUAL(tls_peer(&pair.server)->subject, "CN=client");
    tls_pair_free(&pair);
}

static void test_a_client_may_not_have_a_wrong_one(void)
{
    struct tls_pair pair;
    CU_ASSERT_FALSE(connect_optional(&pair, "client", "ca_other"));
    CU_ASSERT_EQUAL(pair.server.error.code, CMDS_E_TLS_CERTIFICATE);
    tls_pair_free(&pair);
}

static void test_a_client_that_checks_nothing_believes_anybody(void)
{
    struct tls_pair pair;
    struct cmds_tls_client_options client = CMDS_TLS_CLIENT_OPTIONS_INIT;
    struct cmds_tls_server_options server = CMDS_TLS_SERVER_OPTIONS_INIT;
    client.unsafe_no_verification = true;
    tls_pair_init(&pair, client_of(&client), server_of(&server));
    pair.host = NULL;
    CU_ASSERT_TRUE_FATAL(tls_pair_connect(&pair));
    CU_ASSERT_FALSE(tls_peer(&pair.client)->verified);
    CU_ASSERT_STRING_EQUAL(tls_peer(&pair.client)->common_name, "s1");
    tls_pair_free(&pair);
}

/* ---- Revoked certificates -------------------------------------------------------------------- */

static bool connect_with_list(struct tls_pair *pair, const char *name)
{
    struct cmds_tls *server = tls_new_server(name, NULL);
    struct cmds_tls_client_options client = CMDS_TLS_CLIENT_OPTIONS_INIT;
    client.ca_file = tls_file("ca.pem");
    client.crl_file = tls_file("ca.crl");
    tls_pair_init(pair, client_of(&client), server);
    return tls_pair_connect(pair);
}

static void test_a_revoked_certificate_is_refused(void)
{
    struct tls_pair pair;
    CU_ASSERT_TRUE(connect_with_list(&pair, "server"));
    tls_pair_free(&pair);

    CU_ASSERT_FALSE(connect_with_list(&pair, "revoked"));
    CU_ASSERT_EQUAL(pair.client.error.code, CMDS_E_TLS_CERTIFICATE);
    CU_ASSERT_STRING_EQUAL(pair.client.error.text,
            "TLS handshake with server.address:1: its certificate (CN=revoked) is revoked, by "
            "crl_file");
    CU_ASSERT_EQUAL(pair.server.error.code, CMDS_E_TLS_REFUSED);
    tls_pair_free(&pair);
}

CU_TestInfo test_tls_agreement[] = {
        {"a protocol is agreed on", test_a_protocol_is_agreed_on},
        {"a server without protocols takes any", test_a_server_without_protocols_takes_any},
        {"a client with other protocols is refused", test_a_client_with_other_protocols_is_refused},
        {"a client without protocols is refused", test_a_client_without_protocols_is_refused},
        {"a client may have no certificate", test_a_client_may_have_no_certificate},
        {"a client may not have a wrong one", test_a_client_may_not_have_a_wrong_one},
        {"a client that checks nothing believes anybody",
                test_a_client_that_checks_nothing_believes_anybody},
        {"a revoked certificate is refused", test_a_revoked_certificate_is_refused},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("tls_agreement", test_tls_agreement)

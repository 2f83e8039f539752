/* SPDX-License-Identifier: MIT */
/*
 * Certificates that will not do, of every kind that scripts/make-certs.sh makes, at both sides. Each has
 * to be refused, by every build of wolfSSL, with a sentence that says why, and an alert that lets the
 * other side say as much.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmdstream/tls.h>

#include "support/harness.h"
#include "support/tls_pair.h"
#include "support/tls_swap.h"

#define BAD_CERTIFICATE                                                                            \
    "the peer refused: alert 42 (bad_certificate): our certificate will not do for it"
#define EXPIRED                                                                                    \
    "the peer refused: alert 45 (certificate_expired): our certificate is out of date, or its "    \
    "clock is wrong"
#define UNKNOWN_CA "the peer refused: alert 48 (unknown_ca): our certificate is of none of its CAs"

struct refusal {
    const char *name; // Of the certificate.
    const char *ca;
    const char *host;   // Of a server.
    const char *reason; // What the one who refuses says.
    const char *told; // What the other one says. NULL: one of two things, by the build of wolfSSL.
};

/* Phase and address, reason, remedy. */
static void check_text(const struct tls_end *end, int code, const char *begin, const char *reason)
{
    char text[512];
    CU_ASSERT_EQUAL(end->error.code, code);
    if (reason == NULL) {
        return;
    }
    snprintf(text, sizeof(text), "%s%s", begin, reason);
    if (strcmp(end->error.text, text) != 0) {
        printf("\n    \"%s\"\n    \"%s\"\n", end->error.text, text);
    }
    CU_ASSERT_STRING_EQUAL(end->error.text, text);
}

static const char *bad_name;

/* Our own options take none of them. */
static void show_bad(struct cmdi_session *server)
{
    tls_swap(server, wolfTLS_server_method(), bad_name, NULL);
}

static void show_bad_to_server(struct cmdi_session *client)
{
    tls_swap(client, wolfTLS_client_method(), bad_name, "ca");
    tls_swap_name(client);
}

static const struct refusal servers[] = {
        {"expired", "ca", "a.example",
                "its certificate (CN=expired) has expired: it was good until 2020-12-31 "
                "23:59:59 "
                "UTC; renew it, or check the clock",
                EXPIRED},
        {"future", "ca", "a.example",
                "its certificate (CN=future) is not good yet: from 2090-01-01 00:00:00 UTC; "
                "check "
                "the clock",
                EXPIRED},
        {"other_ca", "ca", "a.example",
                "its certificate (CN=other_ca) is signed by none of our CAs (CN=Test "
                "CA,O=Example); check ca_file, and whether it sends its chain",
                UNKNOWN_CA "; check its ca_file, and our chain"},
        {"server", "ca_other", "a.example",
                "its certificate (CN=s1) is signed by none of our CAs (CN=Test CA,O=Example); "
                "check ca_file, and whether it sends its chain",
                UNKNOWN_CA "; check its ca_file, and our chain"},
        {"under_not_ca", "ca", "a.example",
                "its certificate (CN=under_not_ca) is signed by none of our CAs (CN=No "
                "CA,O=Example); check ca_file, and whether it sends its chain",
                UNKNOWN_CA "; check its ca_file, and our chain"},
        {"ed25519_self", "ca", "a.example",
                "its certificate (CN=ed25519_self) is signed by itself alone, and not in "
                "ca_file",
                NULL},
        {"cn_only", "ca", "a.example",
                "its certificate (CN=a.example) has no subjectAltName: a common name alone is "
                "not "
                "enough; check server_name",
                BAD_CERTIFICATE},
        {"nul", "ca", "a.example", "its certificate has a NUL in a name, in its subjectAltName",
                BAD_CERTIFICATE},
        {"control", "ca", "a.example",
                "its certificate has a name that is not printable text, in its subject",
                BAD_CERTIFICATE},
        {"sha1", "ca", "a.example",
                "its certificate (CN=sha1) is signed by ecdsa-with-SHA1, which can be forged: "
                "SHA-256 or better is needed",
                BAD_CERTIFICATE},
        {"sha1_rsa", "ca_rsa", "a.example",
                "its certificate (CN=sha1_rsa) is signed by sha1WithRSAEncryption, which can "
                "be "
                "forged: SHA-256 or better is needed",
                BAD_CERTIFICATE},
        {"rsa_1024", "ca", "a.example",
                "its certificate (CN=rsa_1024) has a key of 1024 bits (RSA): at least 2048 are "
                "needed",
                BAD_CERTIFICATE},
        {"no_digital_signature", "ca", "a.example",
                "its certificate (CN=no_digital_signature) may not sign a handshake: its "
                "keyUsage "
                "lacks digitalSignature",
                BAD_CERTIFICATE},
        {"other_usage", "ca", "a.example",
                "its certificate (CN=other_usage) is not for a server: its extendedKeyUsage "
                "lacks "
                "serverAuth",
                BAD_CERTIFICATE},
        {"client", "ca", "a.example",
                "its certificate (CN=client) is not for a server: its extendedKeyUsage lacks "
                "serverAuth",
                BAD_CERTIFICATE},
        {"server", "ca", "c.example",
                "its certificate (CN=s1) is for a.example, B.Example, 127.0.0.1 and 2 more, "
                "not "
                "c.example; check server_name",
                BAD_CERTIFICATE},
        {"server", "ca", "10.0.0.1",
                "its certificate (CN=s1) is for a.example, B.Example, 127.0.0.1 and 2 more, "
                "not "
                "10.0.0.1: an address counts as an IP entry alone; check server_name",
                BAD_CERTIFICATE},
        {"wildcard", "ca", "a.b.example",
                "its certificate (CN=wildcard) is for *.example, not a.b.example; check "
                "server_name",
                BAD_CERTIFICATE},
        {"uri", "ca", "a.example",
                "its certificate (CN=uri) is for spiffe://example/uri, not a.example; check "
                "server_name",
                BAD_CERTIFICATE},
};

static void test_a_client_refuses_a_server(void)
{
    for (size_t i = 0; i < sizeof(servers) / sizeof(servers[0]); i++) {
        struct tls_pair pair;
        bad_name = servers[i].name;
        tls_pair_init(&pair, tls_new_client(servers[i].ca, NULL), tls_new_server("server", NULL));
        pair.server_begun = show_bad;
        pair.host = servers[i].host;
        CU_ASSERT_FALSE(tls_pair_connect(&pair));
        check_text(&pair.client, CMDS_E_TLS_CERTIFICATE,
                "TLS handshake with server.address:1: ", servers[i].reason);
        check_text(&pair.server, CMDS_E_TLS_REFUSED,
                "TLS handshake with client.address:2: ", servers[i].told);
        CU_ASSERT_EQUAL(pair.client.alerts_out, 1);
        CU_ASSERT_EQUAL(pair.client.alerts_in, 0);
        CU_ASSERT_EQUAL(pair.server.alerts_in, 1);
        CU_ASSERT_EQUAL(pair.server.alerts_out, 0);
        CU_ASSERT_PTR_NULL(tls_peer(&pair.client));
        tls_pair_free(&pair);
    }
}

static void test_a_server_refuses_a_client(void)
{
    static const struct refusal cases[] = {
            {"client", "ca_other", NULL,
                    "its certificate (CN=client) is signed by none of our CAs (CN=Test "
                    "CA,O=Example); check client_ca_file, and whether it sends its chain",
                    UNKNOWN_CA "; check its client_ca_file, and our chain"},
            {"no_digital_signature", "ca", NULL,
                    "its certificate (CN=no_digital_signature) may not sign a handshake: its "
                    "keyUsage "
                    "lacks digitalSignature",
                    BAD_CERTIFICATE},
            {"wildcard", "ca", NULL,
                    "its certificate (CN=wildcard) is not for a client: its extendedKeyUsage lacks "
                    "clientAuth",
                    BAD_CERTIFICATE},
            {NULL, "ca", NULL, "it has no certificate, and one is required",
                    "the peer refused: alert 116 (certificate_required): it wants a certificate of "
                    "ours; set certificate_file and key_file"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tls_pair pair;
        const struct refusal *it = &cases[i];
        bad_name = it->name;
        tls_pair_init(&pair, tls_new_client("ca", NULL), tls_new_server("server", it->ca));
        pair.client_begun = show_bad_to_server;
        CU_ASSERT_FALSE(tls_pair_connect(&pair));
        check_text(&pair.server, CMDS_E_TLS_CERTIFICATE,
                "TLS handshake with client.address:2: ", it->reason);

        CU_ASSERT_PTR_NOT_NULL(tls_peer(&pair.client)); // Its handshake has ended well.
        CU_ASSERT_EQUAL(tls_open(&pair.client), CMDI_SECURITY_FAILED);
        check_text(&pair.client, CMDS_E_TLS_REFUSED,
                "TLS with server.address:1, after the handshake: ", it->told);
        CU_ASSERT_EQUAL(pair.server.alerts_out, 1);
        CU_ASSERT_EQUAL(pair.client.alerts_in, 1);
        CU_ASSERT_PTR_NULL(tls_peer(&pair.server));
        tls_pair_free(&pair);
    }
}

CU_TestInfo test_tls_refusals[] = {
        {"a client refuses a server", test_a_client_refuses_a_server},
        {"a server refuses a client", test_a_server_refuses_a_client},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("tls_refusals", test_tls_refusals)

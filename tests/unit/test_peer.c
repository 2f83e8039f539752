/* SPDX-License-Identifier: MIT */
/*
 * A copy of what a handshake has shown. What may go wrong: a text that still is the session's, which
 * goes; a list that another one overlaps; a member that is left out.
 */
#include "server/peer.h"

#include <stdlib.h>
#include <string.h>

#include "support/harness.h"

static char *text(const char *words)
{
    char *copy = strdup(words);
    CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
    return copy;
}

static void test_peer_copy_needs_nothing_of_the_original(void)
{
    char *texts[] = {text("client-1"), text("O=Example, CN=client-1"), text("CN=ca"),
            text("a.example"), text("cmd"), text("TLS_AES_128_GCM_SHA256"), text("c1.example"),
            text("c2.example"), text("10.0.0.1"), text("spiffe://example/c1"), text("")};
    const char *const names[] = {texts[6], texts[7]};
    const char *const addresses[] = {texts[8]};
    const char *const uris[] = {texts[9], texts[10], texts[9]};
    struct cmds_tls_peer *peer = malloc(sizeof(*peer));
    CU_ASSERT_PTR_NOT_NULL_FATAL(peer);
    *peer = (struct cmds_tls_peer){texts[0], texts[1], texts[2], texts[3], texts[4], texts[5],
            names, addresses, uris, 2, 1, 3, 13, true, false, 0, {1, 2, 31}, 4000000000};

    struct cmds_tls_peer *copy = cmdi_peer_copy(peer);

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        memset(texts[i], 'x', strlen(texts[i]));
        free(texts[i]);
    }
    free(peer);
    CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
    CU_ASSERT_STRING_EQUAL(copy->common_name, "client-1");
    CU_ASSERT_STRING_EQUAL(copy->subject, "O=Example, CN=client-1");
    CU_ASSERT_STRING_EQUAL(copy->issuer, "CN=ca");
    CU_ASSERT_STRING_EQUAL(copy->server_name, "a.example");
    CU_ASSERT_STRING_EQUAL(copy->alpn, "cmd");
    CU_ASSERT_STRING_EQUAL(copy->cipher, "TLS_AES_128_GCM_SHA256");
    CU_ASSERT_EQUAL_FATAL(copy->dns_count, 2);
    CU_ASSERT_STRING_EQUAL(copy->dns_names[0], "c1.example");
    CU_ASSERT_STRING_EQUAL(copy->dns_names[1], "c2.example");
    CU_ASSERT_EQUAL_FATAL(copy->ip_count, 1);
    CU_ASSERT_STRING_EQUAL(copy->ip_addresses[0], "10.0.0.1");
    CU_ASSERT_EQUAL_FATAL(copy->uri_count, 3);
    CU_ASSERT_STRING_EQUAL(copy->uris[0], "spiffe://example/c1");
    CU_ASSERT_STRING_EQUAL(copy->uris[1], "");
    CU_ASSERT_STRING_EQUAL(copy->uris[2], "spiffe://example/c1");
    CU_ASSERT_EQUAL(copy->version, 13);
    CU_ASSERT_TRUE(copy->verified);
    CU_ASSERT_FALSE(copy->resumed);
    CU_ASSERT_EQUAL(copy->fingerprint[2], 31);
    CU_ASSERT_EQUAL(copy->not_after_s, 4000000000);
    free(copy);
}

static void test_peer_copy_of_one_without_a_certificate(void)
{
    const struct cmds_tls_peer none = {.common_name = "",
            .subject = "",
            .issuer = "",
            .server_name = "",
            .alpn = "",
            .cipher = "TLS_CHACHA20_POLY1305_SHA256",
            .version = 12};

    struct cmds_tls_peer *copy = cmdi_peer_copy(&none);

    CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
    CU_ASSERT_STRING_EQUAL(copy->common_name, "");
    CU_ASSERT_STRING_EQUAL(copy->cipher, none.cipher);
    CU_ASSERT_EQUAL(copy->dns_count + copy->ip_count + copy->uri_count, 0);
    CU_ASSERT_FALSE(copy->verified);
    free(copy);
}

CU_TestInfo test_peer[] = {
        {"copy needs nothing of the original", test_peer_copy_needs_nothing_of_the_original},
        {"copy of one without a certificate", test_peer_copy_of_one_without_a_certificate},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("peer", test_peer)

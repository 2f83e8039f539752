/* SPDX-License-Identifier: MIT */
/*
 * What a program learns of a peer: one block, from one count and one writing of it. A string may be cut
 * or lie behind the block, a pointer may be left out, a kind of name be taken for another.
 */
#include "tls/peer.h"

#include <stdlib.h>
#include <string.h>

#include "support/harness.h"
#include "support/tls.h"

static struct cmdi_peer_facts facts_of(struct cmds_bytes leaf)
{
    struct cmdi_peer_facts facts = {
            .leaf = leaf,
            .server_name = cmds_string_from("asked.example"),
            .alpn = {"proto and more", 5},
            .cipher = cmds_string_from("CIPHER"),
            .version = 13,
            .host = "",
    };
    return facts;
}

static void test_all_names_are_there_by_their_kind(void)
{
    struct cmdi_peer *peer;
    struct cmds_bytes leaf = tls_vector("server");
    struct cmdi_peer_facts facts = facts_of(leaf);
    facts.verified = true;
    CU_ASSERT_EQUAL_FATAL(cmdi_peer_create(&peer, &facts), 0);
    const struct cmds_tls_peer *face = &peer->face;
    CU_ASSERT_STRING_EQUAL(face->server_name, "asked.example");
    CU_ASSERT_STRING_EQUAL(face->alpn, "proto");
    CU_ASSERT_STRING_EQUAL(face->cipher, "CIPHER");
    CU_ASSERT_STRING_EQUAL(face->common_name, "s1");
    CU_ASSERT_STRING_EQUAL(face->subject, "CN=s1,OU=East,O=Example\\, Ltd,C=DE");
    CU_ASSERT_EQUAL_FATAL(face->dns_count, 2);
    CU_ASSERT_STRING_EQUAL(face->dns_names[1], "B.Example");
    CU_ASSERT_EQUAL_FATAL(face->ip_count, 2);
    CU_ASSERT_STRING_EQUAL(face->ip_addresses[0], "127.0.0.1");
    CU_ASSERT_EQUAL_FATAL(face->uri_count, 1);
    CU_ASSERT_STRING_EQUAL(face->uris[0], "spiffe://example/s1");
    CU_ASSERT_EQUAL(peer->leaf.size, 0);
    free(peer);
    free((void *)leaf.data);
}

static void test_every_certificate_fits_its_block(void)
{
    for (size_t i = 0; tls_vector_name(i) != NULL; i++) {
        struct cmdi_peer *peer;
        struct cmds_bytes leaf = tls_vector(tls_vector_name(i));
        struct cmdi_peer_facts facts = facts_of(leaf);
        facts.is_kept = true;
        facts.host = "host.example";
        CU_ASSERT_EQUAL_FATAL(cmdi_peer_create(&peer, &facts), 0);
        CU_ASSERT_EQUAL_FATAL(peer->leaf.size, leaf.size);
        CU_ASSERT_EQUAL(memcmp(peer->leaf.data, leaf.data, leaf.size), 0);
        CU_ASSERT_STRING_EQUAL(peer->host, "host.example");
        const struct cmds_tls_peer *face = &peer->face;
        size_t length = strlen(face->subject) + strlen(face->issuer) + strlen(face->common_name);
        for (uint32_t j = 0; j < face->dns_count; j++) {
            length += strlen(face->dns_names[j]);
        }
        for (uint32_t j = 0; j < face->uri_count; j++) {
            length += strlen(face->uris[j]);
        }
        CU_ASSERT_TRUE(length < 4096);
        free(peer);
        free((void *)leaf.data);
    }
}

static void check_nothing_is_known(struct cmds_bytes leaf)
{
    struct cmdi_peer *peer;
    struct cmdi_peer_facts facts = facts_of(leaf);
    CU_ASSERT_EQUAL_FATAL(cmdi_peer_create(&peer, &facts), 0);
    const struct cmds_tls_peer *face = &peer->face;
    CU_ASSERT_STRING_EQUAL(face->common_name, "");
    CU_ASSERT_STRING_EQUAL(face->subject, "");
    CU_ASSERT_STRING_EQUAL(face->issuer, "");
    CU_ASSERT_EQUAL(face->dns_count + face->ip_count + face->uri_count, 0);
    CU_ASSERT_EQUAL(face->not_after_s, 0);
    CU_ASSERT_FALSE(face->verified);
    CU_ASSERT_EQUAL(face->version, 13);
    bool is_zero = true;
    for (size_t i = 0; i < sizeof(face->fingerprint); i++) {
        is_zero &= face->fingerprint[i] == 0;
    }
    CU_ASSERT_EQUAL(is_zero, leaf.size == 0);
    free(peer);
}

static void test_without_a_certificate_strings_are_empty(void)
{
    check_nothing_is_known((struct cmds_bytes){NULL, 0});
}

static void test_one_that_cannot_be_read_shows_its_fingerprint(void)
{
    check_nothing_is_known((struct cmds_bytes){"0\x80 no certificate", 18});
}

static void test_the_fingerprint_is_sha256(void)
{
    static const uint8_t of_abc[32] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41,
            0x40, 0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c,
            0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};
    struct cmdi_peer *peer;
    struct cmdi_peer_facts facts = facts_of((struct cmds_bytes){"abc", 3});
    CU_ASSERT_EQUAL_FATAL(cmdi_peer_create(&peer, &facts), 0);
    CU_ASSERT_EQUAL(memcmp(peer->face.fingerprint, of_abc, sizeof(of_abc)), 0);
    free(peer);
}

CU_TestInfo test_tls_peer[] = {
        {"all names are there by their kind", test_all_names_are_there_by_their_kind},
        {"every certificate fits its block", test_every_certificate_fits_its_block},
        {"without a certificate strings are empty", test_without_a_certificate_strings_are_empty},
        {"one that cannot be read shows its fingerprint",
                test_one_that_cannot_be_read_shows_its_fingerprint},
        {"the fingerprint is SHA-256", test_the_fingerprint_is_sha256},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("tls_peer", test_tls_peer)

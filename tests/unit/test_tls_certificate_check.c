/* SPDX-License-Identifier: MIT */
/*
 * What will not do, and the sentence for it. Each check right, wrong and at its edge: a host that
 * matches too much is somebody else's server, and a sentence without a reason costs somebody a night.
 */
#include "tls/certificate_check.h"

#include <stdlib.h>
#include <string.h>

#include "support/harness.h"
#include "support/tls.h"

enum {
    TEXT_SIZE = 512
};

static enum cmdi_certificate_fault check_vector(const char *name, enum cmdi_certificate_owner owner)
{
    struct cmdi_certificate it;
    struct cmds_bytes der = tls_vector(name);
    CU_ASSERT_EQUAL_FATAL(cmdi_certificate_parse(&it, der.data, der.size), CMDI_CERTIFICATE_OK);
    enum cmdi_certificate_fault fault = cmdi_certificate_check(&it, owner);
    free((void *)der.data);
    return fault;
}

static void test_check_finds_what_is_wrong_with_a_server(void)
{
    static const struct {
        const char *name;
        enum cmdi_certificate_fault fault;
    } cases[] = {
            {"server", CMDI_CERTIFICATE_OK},
            {"plain", CMDI_CERTIFICATE_OK},
            {"ed25519", CMDI_CERTIFICATE_OK},
            {"ed25519_self", CMDI_CERTIFICATE_OK},
            {"p384", CMDI_CERTIFICATE_OK},
            {"rsa_2048", CMDI_CERTIFICATE_OK},
            {"pss", CMDI_CERTIFICATE_OK},
            {"sha1", CMDI_CERTIFICATE_WEAK_SIGNATURE},
            {"sha1_rsa", CMDI_CERTIFICATE_WEAK_SIGNATURE},
            {"md5", CMDI_CERTIFICATE_WEAK_SIGNATURE},
            {"pss_sha1", CMDI_CERTIFICATE_WEAK_SIGNATURE},
            {"rsa_1024", CMDI_CERTIFICATE_SMALL_KEY},
            {"p224", CMDI_CERTIFICATE_SMALL_KEY},
            {"no_digital_signature", CMDI_CERTIFICATE_NO_DIGITAL_SIGNATURE},
            {"other_usage", CMDI_CERTIFICATE_NOT_FOR_SERVER},
            {"client", CMDI_CERTIFICATE_NOT_FOR_SERVER},
            {"ca", CMDI_CERTIFICATE_NO_DIGITAL_SIGNATURE},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        CU_ASSERT_EQUAL(check_vector(cases[i].name, CMDI_CERTIFICATE_OF_SERVER), cases[i].fault);
    }
}

static void test_check_wants_a_client_of_a_client(void)
{
    CU_ASSERT_EQUAL(check_vector("client", CMDI_CERTIFICATE_OF_CLIENT), CMDI_CERTIFICATE_OK);
    CU_ASSERT_EQUAL(check_vector("server", CMDI_CERTIFICATE_OF_CLIENT), CMDI_CERTIFICATE_OK);
    CU_ASSERT_EQUAL(check_vector("plain", CMDI_CERTIFICATE_OF_CLIENT), CMDI_CERTIFICATE_OK);
    CU_ASSERT_EQUAL(
            check_vector("wildcard", CMDI_CERTIFICATE_OF_CLIENT), CMDI_CERTIFICATE_NOT_FOR_CLIENT);
    CU_ASSERT_EQUAL(check_vector("other_usage", CMDI_CERTIFICATE_OF_CLIENT),
            CMDI_CERTIFICATE_NOT_FOR_CLIENT);
}

static enum cmdi_certificate_fault check_facts(
        enum cmdi_signature signature, enum cmdi_key key, uint32_t bits)
{
    struct cmdi_certificate it = {.signature = signature, .key = key, .key_bits = bits};
    return cmdi_certificate_check(&it, CMDI_CERTIFICATE_OF_SERVER);
}

static void test_check_of_keys_and_signatures_has_its_edges(void)
{
    enum cmdi_signature good = CMDI_SIGNATURE_SHA2;
    CU_ASSERT_EQUAL(check_facts(good, CMDI_KEY_RSA, 2048), CMDI_CERTIFICATE_OK);
    CU_ASSERT_EQUAL(check_facts(good, CMDI_KEY_RSA, 2047), CMDI_CERTIFICATE_SMALL_KEY);
    CU_ASSERT_EQUAL(check_facts(good, CMDI_KEY_EC, 256), CMDI_CERTIFICATE_OK);
    CU_ASSERT_EQUAL(check_facts(good, CMDI_KEY_EC, 255), CMDI_CERTIFICATE_SMALL_KEY);
    CU_ASSERT_EQUAL(check_facts(good, CMDI_KEY_EC, 0), CMDI_CERTIFICATE_UNKNOWN_KEY);
    CU_ASSERT_EQUAL(check_facts(good, CMDI_KEY_UNKNOWN, 4096), CMDI_CERTIFICATE_UNKNOWN_KEY);
    CU_ASSERT_EQUAL(check_facts(good, CMDI_KEY_ED448, 456), CMDI_CERTIFICATE_OK);
    CU_ASSERT_EQUAL(check_facts(CMDI_SIGNATURE_UNKNOWN, CMDI_KEY_EC, 256),
            CMDI_CERTIFICATE_UNKNOWN_SIGNATURE);
    CU_ASSERT_EQUAL(check_facts(CMDI_SIGNATURE_MD5, CMDI_KEY_RSA, 1024),
            CMDI_CERTIFICATE_WEAK_SIGNATURE); // Named first.
}

static void test_check_of_usage_wants_its_bit_alone(void)
{
    struct cmdi_certificate it = {
            .signature = CMDI_SIGNATURE_SHA2, .key = CMDI_KEY_ED25519, .key_bits = 256};
    CU_ASSERT_EQUAL(cmdi_certificate_check(&it, CMDI_CERTIFICATE_OF_SERVER), 0);
    it.has_key_usage = true;
    it.key_usage = 0x7fff;
    CU_ASSERT_EQUAL(cmdi_certificate_check(&it, CMDI_CERTIFICATE_OF_SERVER),
            CMDI_CERTIFICATE_NO_DIGITAL_SIGNATURE);
    it.key_usage = 0x8000;
    CU_ASSERT_EQUAL(cmdi_certificate_check(&it, CMDI_CERTIFICATE_OF_SERVER), 0);
}

/* ---- Hosts ----------------------------------------------------------------------------------- */

static enum cmdi_certificate_fault check_host(uint8_t tag, const char *entry, const char *host)
{
    tls_build_reset();
    struct cmds_bytes names = tls_der(tag, (struct cmds_bytes){entry, strlen(entry)});
    struct cmdi_certificate it = {.has_alt_names = true, .alt_names = names};
    return cmdi_certificate_check_host(&it, host);
}

static bool matches(const char *entry, const char *host)
{
    enum cmdi_certificate_fault fault = check_host(0x82, entry, host);
    CU_ASSERT_TRUE(fault == CMDI_CERTIFICATE_OK || fault == CMDI_CERTIFICATE_OTHER_HOST);
    return fault == CMDI_CERTIFICATE_OK;
}

static void test_check_host_compares_names(void)
{
    CU_ASSERT_TRUE(matches("a.example", "a.example"));
    CU_ASSERT_TRUE(matches("A.Example", "a.eXAMPLE"));
    CU_ASSERT_TRUE(matches("a.example", "a.example."));
    CU_ASSERT_TRUE(matches("a", "a"));
    CU_ASSERT_TRUE(matches("a_b-c.1.x2", "a_b-c.1.x2"));
    CU_ASSERT_TRUE(matches("AZaz09.example", "azAZ09.example"));
    CU_ASSERT_FALSE(matches("a.example", "b.example"));
    CU_ASSERT_FALSE(matches("a.example", "a.exampl"));
    CU_ASSERT_FALSE(matches("a.example", "aa.example"));
    CU_ASSERT_FALSE(matches("a.example", "x.a.example"));
    CU_ASSERT_FALSE(matches("a.example", "example"));
    CU_ASSERT_FALSE(matches("a.example.", "a.example")); // That dot is for hosts alone.
    CU_ASSERT_FALSE(matches("a.example", "a.example.."));
    CU_ASSERT_FALSE(matches("a[", "a{")); // Only letters have two cases.
}

static void test_check_host_takes_one_wildcard_for_one_label(void)
{
    CU_ASSERT_TRUE(matches("*.example", "a.example"));
    CU_ASSERT_TRUE(matches("*.B.example", "a.b.Example."));
    CU_ASSERT_FALSE(matches("*.example", "a.b.example"));
    CU_ASSERT_FALSE(matches("*.example", "example"));
    CU_ASSERT_FALSE(matches("*.example", ".example"));
    CU_ASSERT_FALSE(matches("*.b.example", "b.example"));
    CU_ASSERT_FALSE(matches("*", "a"));
    CU_ASSERT_FALSE(matches("*.", "a."));
    CU_ASSERT_FALSE(matches("*.*", "a.b"));
    CU_ASSERT_FALSE(matches("*.*.example", "a.b.example"));
    CU_ASSERT_FALSE(matches("a.*.example", "a.b.example"));
    CU_ASSERT_FALSE(matches("a*.example", "ab.example"));
    CU_ASSERT_FALSE(matches("*a.example", "ba.example"));
    CU_ASSERT_FALSE(matches("**.example", "a.example"));
    CU_ASSERT_FALSE(matches("*.example", "*.example")); // No host has that name.
}

static void test_check_host_refuses_what_is_no_host(void)
{
    static const char *const hosts[] = {"", ".", "..", "a..b", ".a", "a b", "a\nb", "a/b", "*",
            "a:1", "[::1]", "::1%lo", "b\xc3\xbc", "127.1", "10.0.0.1.", "1", "a.2", "a.09", "a`b",
            "a{b", "a@b"};
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        CU_ASSERT_FALSE(matches(hosts[i], hosts[i])); // Not even where it is written.
        CU_ASSERT_FALSE(matches("10.0.0.1", hosts[i]));
    }
}

static void test_check_host_limits_labels_and_names(void)
{
    char host[300];
    memset(host, 'a', sizeof(host));
    host[63] = '\0';
    CU_ASSERT_TRUE(matches(host, host));
    host[63] = 'a';
    host[64] = '\0';
    CU_ASSERT_FALSE(matches(host, host));
    for (size_t i = 0; i < sizeof(host); i++) {
        host[i] = i % 2 == 0 ? 'a' : '.';
    }
    host[253] = '\0';
    CU_ASSERT_TRUE(matches(host, host));
    host[253] = 'a';
    host[254] = '\0';
    CU_ASSERT_FALSE(matches(host, host));
}

static void test_check_host_compares_addresses_with_addresses(void)
{
    CU_ASSERT_EQUAL(check_host(0x87, "\x0a\x01\x01\x02", "10.1.1.2"), CMDI_CERTIFICATE_OK);
    CU_ASSERT_EQUAL(
            check_host(0x87, "\x0a\x01\x01\x02", "10.1.1.3"), CMDI_CERTIFICATE_OTHER_ADDRESS);
    CU_ASSERT_EQUAL(check_host(0x87, "\x0a\x01\x01\x02", "::ffff:10.1.1.2"),
            CMDI_CERTIFICATE_OTHER_ADDRESS);
    CU_ASSERT_EQUAL(check_host(0x87, "abcdefghijklmnop", "6162:6364:6566:6768:696a:6b6c:6d6e:6f70"),
            CMDI_CERTIFICATE_OK);
    CU_ASSERT_EQUAL(check_host(0x87, "abcdefghijklmnop", "6162:6364:6566:6768:696A:6B6C:6D6E:6F70"),
            CMDI_CERTIFICATE_OK);
    CU_ASSERT_EQUAL(check_host(0x87, "abcdefghijklmnop", "6162::"), CMDI_CERTIFICATE_OTHER_ADDRESS);
    CU_ASSERT_EQUAL(check_host(0x82, "10.1.1.2", "10.1.1.2"), CMDI_CERTIFICATE_OTHER_ADDRESS);
    CU_ASSERT_EQUAL(check_host(0x82, "*.1.1.2", "10.1.1.2"), CMDI_CERTIFICATE_OTHER_ADDRESS);
    CU_ASSERT_EQUAL(check_host(0x87, "abcd", "abcd"), CMDI_CERTIFICATE_OTHER_HOST);
    CU_ASSERT_EQUAL(check_host(0x86, "a.example", "a.example"), CMDI_CERTIFICATE_OTHER_HOST);
    CU_ASSERT_EQUAL(check_host(0x81, "a.example", "a.example"), CMDI_CERTIFICATE_OTHER_HOST);
}

static void test_check_host_of_vectors(void)
{
    static const struct {
        const char *name, *host;
        enum cmdi_certificate_fault fault;
    } cases[] = {
            {"server", "b.example", CMDI_CERTIFICATE_OK}, // Not the first name of it.
            {"server", "::1", CMDI_CERTIFICATE_OK},
            {"server", "127.0.0.1", CMDI_CERTIFICATE_OK},
            {"server", "s1", CMDI_CERTIFICATE_OTHER_HOST}, // Its common name.
            {"wildcard", "x.example", CMDI_CERTIFICATE_OK},
            {"ip", "2001:db8::1", CMDI_CERTIFICATE_OK},
            {"ip", "10.0.0.2", CMDI_CERTIFICATE_OTHER_ADDRESS},
            {"uri", "example", CMDI_CERTIFICATE_OTHER_HOST},
            {"cn_only", "a.example", CMDI_CERTIFICATE_NO_ALT_NAME},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cmdi_certificate it;
        struct cmds_bytes der = tls_vector(cases[i].name);
        CU_ASSERT_EQUAL_FATAL(cmdi_certificate_parse(&it, der.data, der.size), 0);
        CU_ASSERT_EQUAL(cmdi_certificate_check_host(&it, cases[i].host), cases[i].fault);
        free((void *)der.data);
    }
}

/* ---- Sentences ------------------------------------------------------------------------------- */

/* What is wrong with the vector, as a server's certificate and then for `host`. */
static void expect_sentence(const char *name, const char *host, const char *expected)
{
    struct cmdi_certificate it;
    char text[TEXT_SIZE];
    struct cmds_bytes der = tls_vector(name);
    enum cmdi_certificate_fault fault = cmdi_certificate_parse(&it, der.data, der.size);
    if (fault == CMDI_CERTIFICATE_OK) {
        fault = cmdi_certificate_check(&it, CMDI_CERTIFICATE_OF_SERVER);
    }
    if (fault == CMDI_CERTIFICATE_OK && host != NULL) {
        fault = cmdi_certificate_check_host(&it, host);
    }
    size_t length = cmdi_certificate_fault_text(&it, fault, 0, host, text, sizeof(text));
    CU_ASSERT_EQUAL(length, strlen(text));
    CU_ASSERT_STRING_EQUAL(text, expected);
    free((void *)der.data);
}

static void test_check_sentences_name_the_reason(void)
{
    expect_sentence("server", "b",
            "its certificate (CN=s1) is for a.example, B.Example, 127.0.0.1 "
            "and 2 more, not b");
    expect_sentence("wildcard", "a.b.example",
            "its certificate (CN=wildcard) is for *.example, not a.b.example");
    expect_sentence("plain", "b\n", "its certificate is for a.example, not b?");
    expect_sentence("rsa_2048", "10.0.0.1",
            "its certificate (CN=rsa_2048) is for a.example, not "
            "10.0.0.1: an address counts as an IP entry alone");
    expect_sentence("ip", "a", "its certificate (CN=ip) is for 10.0.0.1, 2001:db8::1, not a");
    expect_sentence("cn_only", "a.example",
            "its certificate (CN=a.example) has no subjectAltName: a "
            "common name alone is not enough");
    expect_sentence("sha1", NULL,
            "its certificate (CN=sha1) is signed by ecdsa-with-SHA1, which can "
            "be forged: SHA-256 or better is needed");
    expect_sentence("rsa_1024", NULL,
            "its certificate (CN=rsa_1024) has a key of 1024 bits (RSA): at least 2048 are needed");
    expect_sentence("p224", NULL,
            "its certificate (CN=p224) has a key of 224 bits (P-224): at least 256 are needed");
    expect_sentence("no_digital_signature", NULL,
            "its certificate (CN=no_digital_signature) may not "
            "sign a handshake: its keyUsage lacks "
            "digitalSignature");
    expect_sentence("client", NULL,
            "its certificate (CN=client) is not for a server: its "
            "extendedKeyUsage lacks serverAuth");
    expect_sentence("nul", NULL, "its certificate has a NUL in a name, in its subjectAltName");
    expect_sentence("control", NULL,
            "its certificate has a name that is not printable text, in its subject");
    expect_sentence("server", NULL, "its certificate (CN=s1) is right");
}

static void expect_fault_text(
        struct cmdi_certificate it, enum cmdi_certificate_fault fault, const char *expected)
{
    char text[TEXT_SIZE];
    (void)cmdi_certificate_fault_text(&it, fault, 0, "h", text, sizeof(text));
    CU_ASSERT_STRING_EQUAL(text, expected);
}

static void test_check_sentences_of_the_other_faults(void)
{
    struct cmdi_certificate it = {.part = "validity", .key_name = "an unknown curve"};
    expect_fault_text(it, CMDI_CERTIFICATE_BROKEN,
            "its certificate is not X.509 in DER: broken at its validity");
    expect_fault_text(it, CMDI_CERTIFICATE_TOO_LARGE, "its certificate is above 32 KiB");
    expect_fault_text(
            it, CMDI_CERTIFICATE_TOO_MANY, "its certificate has too many entries in its validity");
    expect_fault_text(it, CMDI_CERTIFICATE_UNKNOWN_SIGNATURE,
            "its certificate is signed by an algorithm that is not known here");
    expect_fault_text(it, CMDI_CERTIFICATE_UNKNOWN_KEY,
            "its certificate has a key of an unknown "
            "curve: RSA, a named curve or Ed25519 is "
            "needed");
    expect_fault_text(it, CMDI_CERTIFICATE_NOT_FOR_CLIENT,
            "its certificate is not for a client: its extendedKeyUsage lacks clientAuth");
    expect_fault_text(it, CMDI_CERTIFICATE_OTHER_HOST, "its certificate is for no host, not h");
    tls_build_reset();
    it.alt_names = tls_repeat(tls_der(0x82, BYTES("a")), 3);
    expect_fault_text(it, CMDI_CERTIFICATE_OTHER_HOST, "its certificate is for a, a, a, not h");
    it.alt_names = tls_repeat(tls_der(0x82, BYTES("a")), 4);
    expect_fault_text(
            it, CMDI_CERTIFICATE_OTHER_HOST, "its certificate is for a, a, a and 1 more, not h");
}

static void test_check_sentences_cut_long_names_between_characters(void)
{
    char name[200] = "", expected[200] = "its certificate (CN=";
    for (size_t i = 0; i < 33; i++) {
        strcat(name, "\xc3\xbc");
    }
    strncat(expected, name, 64);
    strcat(expected, "...) has no subjectAltName: a common name alone is not enough");
    struct cmdi_certificate it = {.common_name = {name, 66}};
    expect_fault_text(it, CMDI_CERTIFICATE_NO_ALT_NAME, expected);
    it.common_name = (struct cmds_string){name + 2, 64}; // All of it.
    memcpy(expected + 20, name + 2, 64);
    strcpy(expected + 84, ") has no subjectAltName: a common name alone is not enough");
    expect_fault_text(it, CMDI_CERTIFICATE_NO_ALT_NAME, expected);
    name[0] = 'a'; // The 64th byte is within a character now.
    memmove(name + 1, name + 2, strlen(name + 2) + 1);
    it.common_name = (struct cmds_string){name, strlen(name)};
    memcpy(expected + 20, name, 63);
    strcpy(expected + 83, "...) has no subjectAltName: a common name alone is not enough");
    expect_fault_text(it, CMDI_CERTIFICATE_NO_ALT_NAME, expected);
}

static CU_TestInfo tests[] = {
        {"it finds what is wrong with a server", test_check_finds_what_is_wrong_with_a_server},
        {"it wants a client of a client", test_check_wants_a_client_of_a_client},
        {"of keys and signatures it has its edges",
                test_check_of_keys_and_signatures_has_its_edges},
        {"of usage it wants its bit alone", test_check_of_usage_wants_its_bit_alone},
        {"a host is compared with names", test_check_host_compares_names},
        {"one wildcard is one label", test_check_host_takes_one_wildcard_for_one_label},
        {"what is no host is refused", test_check_host_refuses_what_is_no_host},
        {"labels and names have limits", test_check_host_limits_labels_and_names},
        {"addresses are compared with addresses",
                test_check_host_compares_addresses_with_addresses},
        {"hosts of vectors", test_check_host_of_vectors},
        {"sentences name the reason", test_check_sentences_name_the_reason},
        {"sentences of the other faults", test_check_sentences_of_the_other_faults},
        {"sentences cut long names between characters",
                test_check_sentences_cut_long_names_between_characters},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("tls_certificate_check", tests)

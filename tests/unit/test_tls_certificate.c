/* SPDX-License-Identifier: MIT */
/*
 * Certificates of openssl and hostile ones: what they say comes out, every cut and every wrong byte is
 * survived, and what is not DER, comes twice, or stands behind an end is refused. A block of exactly
 * the size holds each, so that the sanitizer sees a read behind its end.
 */
#include "tls/certificate.h"

#include <stdlib.h>
#include <string.h>

#include "support/harness.h"
#include "support/tls.h"
#include "tls/certificate_check.h"
#include "tls/name.h"

static enum cmdi_certificate_fault parse_bytes(struct cmds_bytes der)
{
    struct cmdi_certificate certificate;
    uint8_t *exact = malloc(der.size > 0 ? der.size : 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(exact);
    memcpy(exact, der.data, der.size);
    enum cmdi_certificate_fault fault = cmdi_certificate_parse(&certificate, exact, der.size);
    free(exact);
    return fault;
}

/* Gives the memory of the vector. */
static void *parse_vector(struct cmdi_certificate *certificate, const char *name)
{
    struct cmds_bytes der = tls_vector(name);
    CU_ASSERT_EQUAL_FATAL(
            cmdi_certificate_parse(certificate, der.data, der.size), CMDI_CERTIFICATE_OK);
    return (void *)der.data;
}

static void test_certificate_says_what_openssl_wrote(void)
{
    struct cmdi_certificate it;
    void *memory = parse_vector(&it, "server");

    CU_ASSERT_EQUAL(it.version, 3);
    CU_ASSERT_TRUE(cmds_string_equal(it.common_name, cmds_string_from("s1")));
    CU_ASSERT_EQUAL(it.not_before_s, 1704067200);
    CU_ASSERT_EQUAL(it.not_after_s, 2493071999);
    CU_ASSERT_EQUAL(it.signature, CMDI_SIGNATURE_SHA2);
    CU_ASSERT_STRING_EQUAL(it.signature_name, "ecdsa-with-SHA256");
    CU_ASSERT_EQUAL(it.key, CMDI_KEY_EC);
    CU_ASSERT_STRING_EQUAL(it.key_name, "P-256");
    CU_ASSERT_EQUAL(it.key_bits, 256);
    CU_ASSERT_TRUE(it.has_alt_names && it.has_key_usage && it.has_extended_key_usage);
    CU_ASSERT_EQUAL(it.key_usage, CMDI_KEY_USAGE_DIGITAL_SIGNATURE);
    CU_ASSERT_TRUE(it.for_server && it.for_client && !it.is_ca);
    CU_ASSERT_EQUAL(it.dns_count, 2);
    CU_ASSERT_EQUAL(it.ip_count, 2);
    CU_ASSERT_EQUAL(it.uri_count, 1);
    free(memory);
}

static void test_certificate_gives_its_names_in_their_order(void)
{
    static const struct {
        enum cmdi_alt_name_kind kind;
        struct cmds_string value;
    } expected[] = {
            {CMDI_ALT_NAME_DNS, {"a.example", 9}},
            {CMDI_ALT_NAME_DNS, {"B.Example", 9}},
            {CMDI_ALT_NAME_IP, {"\x7f\x00\x00\x01", 4}},
            {CMDI_ALT_NAME_IP, {"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01", 16}},
            {CMDI_ALT_NAME_URI, {"spiffe://example/s1", 19}},
    };
    struct cmdi_certificate it;
    struct cmdi_alt_name name;
    void *memory = parse_vector(&it, "server");
    struct cmdi_alt_names names = cmdi_alt_names_begin(&it);

    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        CU_ASSERT_TRUE_FATAL(cmdi_alt_names_next(&names, &name));
        struct cmds_string value = {name.value.data, name.value.size};
        CU_ASSERT_EQUAL(name.kind, expected[i].kind);
        CU_ASSERT_TRUE(cmds_string_equal(value, expected[i].value));
    }
    CU_ASSERT_FALSE(cmdi_alt_names_next(&names, &name));
    CU_ASSERT_FALSE(cmdi_alt_names_next(&names, &name));
    free(memory);

    memory = parse_vector(&it, "cn_only");
    CU_ASSERT_FALSE(it.has_alt_names);
    names = cmdi_alt_names_begin(&it);
    CU_ASSERT_FALSE(cmdi_alt_names_next(&names, &name));
    free(memory);
}

static void test_certificate_knows_keys_and_signatures(void)
{
    static const struct {
        const char *name, *key_name, *signature_name;
        enum cmdi_key key;
        enum cmdi_signature signature;
        uint32_t bits;
    } cases[] = {
            {"rsa_2048", "RSA", "sha256WithRSAEncryption", CMDI_KEY_RSA, CMDI_SIGNATURE_SHA2, 2048},
            {"rsa_1024", "RSA", "ecdsa-with-SHA256", CMDI_KEY_RSA, CMDI_SIGNATURE_SHA2, 1024},
            {"p224", "P-224", "ecdsa-with-SHA256", CMDI_KEY_EC, CMDI_SIGNATURE_SHA2, 224},
            {"p384", "P-384", "ecdsa-with-SHA384", CMDI_KEY_EC, CMDI_SIGNATURE_SHA2, 384},
            {"ed25519", "Ed25519", "ecdsa-with-SHA256", CMDI_KEY_ED25519, CMDI_SIGNATURE_SHA2, 256},
            {"ed25519_self", "Ed25519", "Ed25519", CMDI_KEY_ED25519, CMDI_SIGNATURE_EDDSA, 256},
            {"sha1", "P-256", "ecdsa-with-SHA1", CMDI_KEY_EC, CMDI_SIGNATURE_SHA1, 256},
            {"sha1_rsa", "P-256", "sha1WithRSAEncryption", CMDI_KEY_EC, CMDI_SIGNATURE_SHA1, 256},
            {"md5", "P-256", "md5WithRSAEncryption", CMDI_KEY_EC, CMDI_SIGNATURE_MD5, 256},
            {"pss", "P-256", "RSASSA-PSS with SHA-256", CMDI_KEY_EC, CMDI_SIGNATURE_SHA2, 256},
            {"pss_sha1", "P-256", "RSASSA-PSS with SHA-1", CMDI_KEY_EC, CMDI_SIGNATURE_SHA1, 256},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cmdi_certificate it;
        void *memory = parse_vector(&it, cases[i].name);
        CU_ASSERT_EQUAL(it.key, cases[i].key);
        CU_ASSERT_STRING_EQUAL(it.key_name, cases[i].key_name);
        CU_ASSERT_EQUAL(it.key_bits, cases[i].bits);
        CU_ASSERT_EQUAL(it.signature, cases[i].signature);
        CU_ASSERT_STRING_EQUAL(it.signature_name, cases[i].signature_name);
        free(memory);
    }
}

static void test_certificate_knows_a_ca_and_other_facts(void)
{
    struct cmdi_certificate it;
    void *memory = parse_vector(&it, "ca");
    CU_ASSERT_TRUE(it.is_ca && (it.key_usage & CMDI_KEY_USAGE_CERT_SIGN) != 0);
    CU_ASSERT_EQUAL(it.key_usage & CMDI_KEY_USAGE_DIGITAL_SIGNATURE, 0);
    CU_ASSERT_EQUAL(it.not_after_s, 4102444799); // In the form for years from 2050 on.
    free(memory);
    memory = parse_vector(&it, "plain");
    CU_ASSERT_EQUAL(it.subject.size, 0);
    CU_ASSERT_EQUAL(it.common_name.size, 0);
    CU_ASSERT_FALSE(it.has_key_usage || it.has_extended_key_usage || it.is_ca);
    free(memory);
    memory = parse_vector(&it, "client");
    CU_ASSERT_TRUE(it.has_alt_names && it.for_client && !it.for_server);
    CU_ASSERT_EQUAL(it.dns_count + it.ip_count + it.uri_count, 0); // It is a mail address.
    free(memory);
    memory = parse_vector(&it, "subject");
    CU_ASSERT_EQUAL(it.not_before_s, -631238400); // A year before 1950 needs four digits.
    free(memory);
}

static void test_certificate_of_hostile_names_is_refused(void)
{
    struct cmds_bytes nul = tls_vector("nul"), control = tls_vector("control");
    struct cmdi_certificate it;

    CU_ASSERT_EQUAL(cmdi_certificate_parse(&it, nul.data, nul.size), CMDI_CERTIFICATE_NUL_IN_NAME);
    CU_ASSERT_STRING_EQUAL(it.part, "subjectAltName");
    CU_ASSERT_EQUAL(cmdi_certificate_parse(&it, control.data, control.size),
            CMDI_CERTIFICATE_BAD_CHARACTER);
    CU_ASSERT_STRING_EQUAL(it.part, "subject");
    free((void *)nul.data);
    free((void *)control.data);
}

static void test_certificate_that_is_cut_or_longer_is_refused(void)
{
    for (size_t i = 0; tls_vector_name(i) != NULL; i++) {
        struct cmds_bytes der = tls_vector(tls_vector_name(i));
        for (size_t size = 0; size < der.size; size++) {
            struct cmds_bytes cut = {der.data, size};
            CU_ASSERT_EQUAL(parse_bytes(cut), CMDI_CERTIFICATE_BROKEN);
        }
        tls_build_reset();
        CU_ASSERT_EQUAL(parse_bytes(tls_join(der, BYTES("\0"))), CMDI_CERTIFICATE_BROKEN);
        free((void *)der.data);
    }
}

static bool is_within(const uint8_t *at, struct cmds_bytes bytes)
{
    const uint8_t *start = bytes.data;
    return bytes.size > 0 && at >= start && at < start + bytes.size;
}

/* All texts and names. Returns: something that depends on all of it. */
static size_t ask_everything(const struct cmdi_certificate *it)
{
    char text[512];
    struct cmdi_alt_names names = cmdi_alt_names_begin(it);
    struct cmdi_alt_name name;
    size_t sum = cmdi_name_text(it->subject, text, sizeof(text));
    sum += cmdi_name_text(it->issuer, text, sizeof(text));
    while (cmdi_alt_names_next(&names, &name)) {
        sum += name.value.size;
    }
    enum cmdi_certificate_fault faults[] = {
            cmdi_certificate_check(it, CMDI_CERTIFICATE_OF_SERVER),
            cmdi_certificate_check_host(it, "a.example"),
            cmdi_certificate_check_host(it, "::1"),
    };
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        sum += cmdi_certificate_fault_text(it, faults[i], 0, "a.example", text, sizeof(text));
    }
    return sum;
}

/* Each other value of this byte. Returns: how many of them make a right certificate. */
static unsigned mutate(uint8_t *bytes, size_t size, size_t at, size_t *sum)
{
    unsigned right = 0;
    uint8_t byte = bytes[at];
    for (unsigned flip = 1; flip < 256; flip++) {
        struct cmdi_certificate it;
        bytes[at] = (uint8_t)(byte ^ flip);
        if (cmdi_certificate_parse(&it, bytes, size) != CMDI_CERTIFICATE_OK) {
            continue;
        }
        right++;
        // A byte of a key or of the signature is in no text: once is enough.
        if (flip == 1 || is_within(bytes + at, it.subject) || is_within(bytes + at, it.issuer) ||
                is_within(bytes + at, it.alt_names)) {
            *sum += ask_everything(&it);
        }
    }
    bytes[at] = byte;
    return right;
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WRONG_BYTE_STEP 7 // Of all, which take minutes there.
#else
#define WRONG_BYTE_STEP 1
#endif

static void test_certificate_with_any_wrong_byte_is_survived(void)
{
    size_t right = 0, sum = 0, count = 0;
    for (size_t i = 0; tls_vector_name(i) != NULL; i++) {
        struct cmds_bytes der = tls_vector(tls_vector_name(i));
        for (size_t at = i % WRONG_BYTE_STEP; at < der.size; at += WRONG_BYTE_STEP) {
            right += mutate((uint8_t *)der.data, der.size, at, &sum);
            count += 255;
        }
        free((void *)der.data);
    }
    // Keys, signatures, numbers may be others; all the rest shows.
    CU_ASSERT_TRUE(sum > 0 && right > count / 4 && right < count * 9 / 10);
}

/* ---- Parts that are wrong -------------------------------------------------------------------- */

static enum cmdi_certificate_fault build(const struct tls_parts *parts)
{
    return parse_bytes(tls_build(parts));
}

/* A right one but for this part. */
#define EXPECT_PART(fault, member, value)                                                          \
    do {                                                                                           \
        tls_build_reset();                                                                         \
        struct tls_parts parts_ = tls_parts();                                                     \
        parts_.member = (value);                                                                   \
        CU_ASSERT_EQUAL(build(&parts_), fault);                                                    \
    } while (0)
#define RIGHT(member, value)  EXPECT_PART(CMDI_CERTIFICATE_OK, member, value)
#define BROKEN(member, value) EXPECT_PART(CMDI_CERTIFICATE_BROKEN, member, value)

static void test_certificate_of_a_wrong_frame_is_refused(void)
{
    RIGHT(tail, BYTES(""));
    BROKEN(tail, BYTES("\x05\x00"));
    BROKEN(body_tail, BYTES("\x05\x00"));
    BROKEN(version, BYTES("\xa0\x03\x02\x01\x00")); // The default is not written.
    BROKEN(version, BYTES("\xa0\x03\x02\x01\x03"));
    BROKEN(version, BYTES("\xa0\x04\x02\x02\x01\x00"));
    BROKEN(version, BYTES("\xa0\x04\x02\x02\x02\x00"));
    BROKEN(version, BYTES("\xa0\x05\x02\x01\x02\x05\x00"));
    BROKEN(version, BYTES("\xa0\x00"));
    BROKEN(version, BYTES(""));                     // Version 1 has no extensions,
    BROKEN(version, BYTES("\xa0\x03\x02\x01\x01")); // nor has version 2.
    RIGHT(unique_ids, BYTES("\x81\x02\x00\x01\x82\x02\x00\x01"));
    BROKEN(unique_ids, BYTES("\x82\x02\x00\x01\x81\x02\x00\x01"));
    RIGHT(serial, BYTES("\x02\x15\x00\xff"
                        "0123456789012345678"));
    RIGHT(serial, BYTES("\x02\x01\xff")); // Negative.
    BROKEN(serial, BYTES("\x02\x16\x01"
                         "012345678901234567890"));
    BROKEN(serial, BYTES("\x02\x02\xff\x80"));
    BROKEN(serial, BYTES("\x03\x01\x00"));
    BROKEN(signature, BYTES("\x03\x01\x00"));
    BROKEN(signature, BYTES("\x03\x02\x01\x02"));
    BROKEN(signature, BYTES("\x04\x02\x00\x01"));
    BROKEN(signature, BYTES("\x03\x02\x00\x01\x05\x00"));
    BROKEN(signature, BYTES(""));
    BROKEN(validity, tls_der(0x30, BYTES("\x17\x0d"
                                         "240101000000Z")));
    BROKEN(validity, tls_der(0x30, BYTES("\x17\x0d"
                                         "240101000000Z\x17\x0d"
                                         "240101000000Z\x05\0")));
    BROKEN(issuer, BYTES("\x31\x00"));
    BROKEN(subject, BYTES("\x30\x02\x05\x00"));
    RIGHT(subject, BYTES("\x30\x00"));
}

static void test_certificate_without_extensions_is_right(void)
{
    tls_build_reset();
    struct tls_parts parts = tls_parts();
    parts.extensions = (struct cmds_bytes){NULL, 0};
    CU_ASSERT_EQUAL(build(&parts), CMDI_CERTIFICATE_OK);
    parts.version = BYTES("\xa0\x00");
    CU_ASSERT_EQUAL(build(&parts), CMDI_CERTIFICATE_BROKEN);
    parts.version = BYTES("");
    CU_ASSERT_EQUAL(build(&parts), CMDI_CERTIFICATE_OK);
    parts.unique_ids = BYTES("\x81\x02\x00\x01");
    CU_ASSERT_EQUAL(build(&parts), CMDI_CERTIFICATE_BROKEN); // Version 1 has none.
    parts.version = BYTES("\xa0\x03\x02\x01\x01");
    CU_ASSERT_EQUAL(build(&parts), CMDI_CERTIFICATE_OK);
}

/* The algorithm in both places. Returns: the kind, or -1: refused. */
static int signature_of(struct cmds_bytes content, enum cmdi_signature kind)
{
    struct cmdi_certificate it;
    tls_build_reset();
    struct tls_parts parts = tls_parts();
    parts.algorithm = parts.algorithm_again = tls_der(0x30, content);
    struct cmds_bytes der = tls_build(&parts);
    enum cmdi_certificate_fault fault = cmdi_certificate_parse(&it, der.data, der.size);
    CU_ASSERT_TRUE(fault != CMDI_CERTIFICATE_OK || it.signature == kind);
    return fault == CMDI_CERTIFICATE_OK ? (int)it.signature : -1;
}

#define PKCS1 "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01"
#define SHA2  "\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02"

static void test_certificate_signature_is_the_one_that_was_signed(void)
{
    struct cmds_bytes other = BYTES("\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03");
    BROKEN(algorithm, other); // The same size, another algorithm.
    BROKEN(algorithm_again, other);
    BROKEN(algorithm_again, BYTES(""));
    CU_ASSERT_EQUAL(signature_of(BYTES(PKCS1 "\x0b\x05\x00"), CMDI_SIGNATURE_SHA2), 3);
    CU_ASSERT_EQUAL(signature_of(BYTES(PKCS1 "\x0b"), CMDI_SIGNATURE_SHA2), 3);
    CU_ASSERT_EQUAL(signature_of(BYTES(PKCS1 "\x0b\x05\x01x"), 0), -1);
    CU_ASSERT_EQUAL(signature_of(BYTES(PKCS1 "\x0b\x05\x00\x05\x00"), 0), -1);
    CU_ASSERT_EQUAL(signature_of(BYTES(PKCS1 "\x0b\x30\x00"), 0), -1);
    CU_ASSERT_EQUAL(signature_of(BYTES(PKCS1 "\x02\x05\x00"), CMDI_SIGNATURE_MD5), 1);
    CU_ASSERT_EQUAL(signature_of(BYTES(PKCS1 "\x7f\x30\x00"), CMDI_SIGNATURE_UNKNOWN), 0);
    CU_ASSERT_EQUAL(signature_of(BYTES("\x06\x02\x2a\x86"), 0), -1);
    CU_ASSERT_EQUAL(signature_of(BYTES(""), 0), -1);
}

static void test_certificate_pss_is_what_its_hash_is(void)
{
    CU_ASSERT_EQUAL(signature_of(BYTES(PKCS1 "\x0a\x30\x00"), CMDI_SIGNATURE_SHA1), 2);
    CU_ASSERT_EQUAL(signature_of(BYTES(PKCS1 "\x0a\x30\x0f\xa0\x0d\x30\x0b" SHA2 "\x01"),
                            CMDI_SIGNATURE_SHA2),
            3);
    CU_ASSERT_EQUAL(signature_of(BYTES(PKCS1 "\x0a\x30\x11\xa0\x0f\x30\x0d" SHA2 "\x03\x05\x00"),
                            CMDI_SIGNATURE_SHA2),
            3);
    CU_ASSERT_EQUAL(signature_of(BYTES(PKCS1 "\x0a\x30\x0f\xa0\x0d\x30\x0b" SHA2 "\x07"),
                            CMDI_SIGNATURE_UNKNOWN),
            0); // SHA3-224.
    CU_ASSERT_EQUAL(signature_of(BYTES(PKCS1 "\x0a"), 0), -1);
    CU_ASSERT_EQUAL(signature_of(BYTES(PKCS1 "\x0a\x05\x00"), 0), -1);
    CU_ASSERT_EQUAL(signature_of(BYTES(PKCS1 "\x0a\x30\x00\x05\x00"), 0), -1);
    CU_ASSERT_EQUAL(signature_of(BYTES(PKCS1 "\x0a\x30\x02\xa0\x00"), 0), -1);
    CU_ASSERT_EQUAL(signature_of(BYTES(PKCS1 "\x0a\x30\x04\xa0\x02\x30\x00"), 0), -1);
    CU_ASSERT_EQUAL(
            signature_of(BYTES(PKCS1 "\x0a\x30\x11\xa0\x0f\x30\x0d" SHA2 "\x01\x30\x00"), 0), -1);
    CU_ASSERT_EQUAL(
            signature_of(BYTES(PKCS1 "\x0a\x30\x11\xa0\x0f\x30\x0b" SHA2 "\x01\x05\x00"), 0), -1);
}

/* `head`: the content of the AlgorithmIdentifier. Returns: bits; -1: refused. */
static int key_of(struct cmds_bytes head, struct cmds_bytes bits, enum cmdi_key key)
{
    struct cmdi_certificate it;
    struct tls_parts parts = tls_parts();
    bits = tls_der(0x03, tls_join(BYTES("\0"), bits));
    parts.key = tls_der(0x30, tls_join(tls_der(0x30, head), bits));
    struct cmds_bytes der = tls_build(&parts);
    enum cmdi_certificate_fault fault = cmdi_certificate_parse(&it, der.data, der.size);
    CU_ASSERT_TRUE(fault != CMDI_CERTIFICATE_OK || it.key == key);
    tls_build_reset();
    return fault == CMDI_CERTIFICATE_OK ? (int)it.key_bits : -1;
}

static struct cmds_bytes modulus(struct cmds_bytes first, size_t rest)
{
    struct cmds_bytes bytes = tls_join(first, tls_repeat(BYTES("\xff"), rest));
    return tls_der(0x30, tls_join(tls_der(0x02, bytes), BYTES("\x02\x03\x01\x00\x01")));
}

static void test_certificate_rsa_key_counts_the_bits_of_its_modulus(void)
{
    struct cmds_bytes rsa = BYTES(PKCS1 "\x01\x05\x00"), pss = BYTES(PKCS1 "\x0a\x30\x00");
    CU_ASSERT_EQUAL(key_of(rsa, modulus(BYTES("\x00\x80"), 255), CMDI_KEY_RSA), 2048);
    CU_ASSERT_EQUAL(key_of(rsa, modulus(BYTES("\x7f"), 255), CMDI_KEY_RSA), 2047);
    CU_ASSERT_EQUAL(key_of(rsa, modulus(BYTES("\x01"), 256), CMDI_KEY_RSA), 2049);
    CU_ASSERT_EQUAL(key_of(pss, modulus(BYTES("\x00\x80"), 255), CMDI_KEY_RSA), 2048);
    CU_ASSERT_EQUAL(key_of(rsa, modulus(BYTES("\x80"), 255), CMDI_KEY_RSA), -1); // Negative.
    CU_ASSERT_EQUAL(key_of(rsa, modulus(BYTES("\x00"), 0), CMDI_KEY_RSA), -1);
    CU_ASSERT_EQUAL(key_of(rsa, BYTES("\x30\x03\x02\x01\x07"), CMDI_KEY_RSA), -1);
    CU_ASSERT_EQUAL(key_of(rsa, BYTES("\x30\x06\x02\x01\x07\x02\x01\x03\x00"), CMDI_KEY_RSA), -1);
    CU_ASSERT_EQUAL(key_of(rsa, BYTES("\x30\x08\x02\x01\x07\x02\x01\x03\x05\x00"), 0), -1);
    CU_ASSERT_EQUAL(key_of(BYTES(PKCS1 "\x01\x30\x00"), modulus(BYTES("\x01"), 256), 0), -1);
}

#define EC "\x06\x07\x2a\x86\x48\xce\x3d\x02\x01"

static void test_certificate_ec_key_is_a_point_of_its_curve(void)
{
    struct cmds_bytes p256 = BYTES(EC "\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07");
    struct cmds_bytes p521 = BYTES(EC "\x06\x05\x2b\x81\x04\x00\x23"), x = BYTES("x");
    CU_ASSERT_EQUAL(key_of(p256, tls_join(BYTES("\x04"), tls_repeat(x, 64)), CMDI_KEY_EC), 256);
    CU_ASSERT_EQUAL(key_of(p256, tls_join(BYTES("\x03"), tls_repeat(x, 32)), CMDI_KEY_EC), 256);
    CU_ASSERT_EQUAL(key_of(p521, tls_join(BYTES("\x04"), tls_repeat(x, 132)), CMDI_KEY_EC), 521);
    CU_ASSERT_EQUAL(key_of(p256, tls_join(BYTES("\x04"), tls_repeat(x, 63)), CMDI_KEY_EC), -1);
    CU_ASSERT_EQUAL(key_of(p256, tls_join(BYTES("\x04"), tls_repeat(x, 32)), CMDI_KEY_EC), -1);
    CU_ASSERT_EQUAL(key_of(p256, tls_join(BYTES("\x02"), tls_repeat(x, 64)), CMDI_KEY_EC), -1);
    CU_ASSERT_EQUAL(key_of(p256, tls_join(BYTES("\x05"), tls_repeat(x, 64)), CMDI_KEY_EC), -1);
    CU_ASSERT_EQUAL(key_of(p256, BYTES(""), CMDI_KEY_EC), -1);
    CU_ASSERT_EQUAL(key_of(BYTES(EC "\x06\x01\x2a"), x, CMDI_KEY_EC), 0); // An unknown curve.
    CU_ASSERT_EQUAL(key_of(BYTES(EC "\x30\x00"), x, CMDI_KEY_EC), 0);     // One written out.
    CU_ASSERT_EQUAL(key_of(BYTES(EC), x, CMDI_KEY_EC), -1);
    CU_ASSERT_EQUAL(key_of(BYTES(EC "\x05\x00"), x, CMDI_KEY_EC), -1);
    CU_ASSERT_EQUAL(key_of(BYTES(EC "\x06\x01\x2a\x05\x00"), x, CMDI_KEY_EC), -1);
}

static void test_certificate_other_keys_have_their_size(void)
{
    struct cmds_bytes ed25519 = BYTES("\x06\x03\x2b\x65\x70"),
                      ed448 = BYTES("\x06\x03\x2b\x65\x71");
    struct cmds_bytes x = BYTES("x");
    CU_ASSERT_EQUAL(key_of(ed25519, tls_repeat(x, 32), CMDI_KEY_ED25519), 256);
    CU_ASSERT_EQUAL(key_of(ed25519, tls_repeat(x, 31), CMDI_KEY_ED25519), -1);
    CU_ASSERT_EQUAL(key_of(BYTES("\x06\x03\x2b\x65\x70\x05\x00"), tls_repeat(x, 32), 0), -1);
    CU_ASSERT_EQUAL(key_of(ed448, tls_repeat(x, 57), CMDI_KEY_ED448), 456);
    CU_ASSERT_EQUAL(key_of(ed448, tls_repeat(x, 58), CMDI_KEY_ED448), -1);
    CU_ASSERT_EQUAL(key_of(BYTES("\x06\x01\x2a\x30\x00"), x, CMDI_KEY_UNKNOWN), 0);
    BROKEN(key, BYTES("\x30\x05\x30\x03\x06\x01\x2a"));
    BROKEN(key, BYTES("\x30\x0b\x30\x03\x06\x01\x2a\x03\x02\x00x\x05\x00"));
}

static CU_TestInfo tests[] = {
        {"it says what openssl wrote", test_certificate_says_what_openssl_wrote},
        {"it gives its names in their order", test_certificate_gives_its_names_in_their_order},
        {"it knows keys and signatures", test_certificate_knows_keys_and_signatures},
        {"it knows a CA and other facts", test_certificate_knows_a_ca_and_other_facts},
        {"one of hostile names is refused", test_certificate_of_hostile_names_is_refused},
        {"one that is cut or longer is refused", test_certificate_that_is_cut_or_longer_is_refused},
        {"one with any wrong byte is survived", test_certificate_with_any_wrong_byte_is_survived},
        {"one of a wrong frame is refused", test_certificate_of_a_wrong_frame_is_refused},
        {"one without extensions is right", test_certificate_without_extensions_is_right},
        {"the signature is the one that was signed",
                test_certificate_signature_is_the_one_that_was_signed},
        {"PSS is what its hash is", test_certificate_pss_is_what_its_hash_is},
        {"an RSA key counts the bits of its modulus",
                test_certificate_rsa_key_counts_the_bits_of_its_modulus},
        {"an EC key is a point of its curve", test_certificate_ec_key_is_a_point_of_its_curve},
        {"other keys have their size", test_certificate_other_keys_have_their_size},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("tls_certificate", tests)

/* SPDX-License-Identifier: MIT */
/*
 * The facts of an X.509 leaf certificate: DER in, values out.
 *
 * It is the second opinion beside a TLS library that has checked the chain, the dates and unknown
 * critical extensions: what that library says of names and algorithms differs from build to build,
 * what is said here does not. No I/O, no memory, any thread. All slices borrow the DER.
 *
 * The bytes are a peer's. Everything is checked once, in cmdi_certificate_parse(): lengths, shortest
 * forms, counts, and that nothing stands behind an end. What cannot be displayed or compared without
 * a doubt is refused there: a NUL in any name, a control character in a common name, a DNS name or URI
 * that is not printable ASCII. The work is linear in the size, and nothing nests but as far as it is
 * written down here. Parts that nobody asks for (unknown extensions, other kinds of names) count as
 * bytes and are not looked into.
 */
#ifndef CMDI_TLS_CERTIFICATE_H
#define CMDI_TLS_CERTIFICATE_H

#include <stdbool.h>
#include <stdint.h>

#include <cmdstream/base.h>

enum {
    CMDI_CERTIFICATE_SIZE_MAX = 32 * 1024,
    CMDI_CERTIFICATE_NAME_PARTS_MAX = 64, // Attributes of a subject or issuer.
    CMDI_CERTIFICATE_EXTENSIONS_MAX = 64,
    CMDI_CERTIFICATE_ALT_NAMES_MAX = 1024,
    CMDI_CERTIFICATE_PURPOSES_MAX = 64, // Of extendedKeyUsage.
    CMDI_IP4_SIZE = 4,
    CMDI_IP6_SIZE = 16,
};

/** What is wrong with a certificate; the sentence for each: cmdi_certificate_fault_text(). */
enum cmdi_certificate_fault {
    CMDI_CERTIFICATE_OK,
    /* Of cmdi_certificate_parse(): no fact counts. */
    CMDI_CERTIFICATE_BROKEN, // No X.509 in DER.
    CMDI_CERTIFICATE_TOO_LARGE,
    CMDI_CERTIFICATE_TOO_MANY, // Parts of a name, extensions, names.
    CMDI_CERTIFICATE_NUL_IN_NAME,
    CMDI_CERTIFICATE_BAD_CHARACTER, // In a name that a program compares.
    /* Of cmdi_certificate_check(), and but for digitalSignature of cmdi_certificate_check_ca(). */
    CMDI_CERTIFICATE_WEAK_SIGNATURE, // MD5 or SHA-1, which can be forged.
    CMDI_CERTIFICATE_UNKNOWN_SIGNATURE,
    CMDI_CERTIFICATE_SMALL_KEY,
    CMDI_CERTIFICATE_UNKNOWN_KEY,
    CMDI_CERTIFICATE_NO_DIGITAL_SIGNATURE, // keyUsage is there and lacks it.
    CMDI_CERTIFICATE_NOT_FOR_SERVER,       // extendedKeyUsage is there and lacks it.
    CMDI_CERTIFICATE_NOT_FOR_CLIENT,
    /* Of cmdi_certificate_check_host(). */
    CMDI_CERTIFICATE_NO_ALT_NAME, // A common name alone is not enough.
    CMDI_CERTIFICATE_OTHER_HOST,
    CMDI_CERTIFICATE_OTHER_ADDRESS, // The host is an IP address: DNS names do not count.
};

enum cmdi_signature {
    CMDI_SIGNATURE_UNKNOWN,
    CMDI_SIGNATURE_MD5, // And older.
    CMDI_SIGNATURE_SHA1,
    CMDI_SIGNATURE_SHA2,
    CMDI_SIGNATURE_EDDSA,
};

enum cmdi_key {
    CMDI_KEY_UNKNOWN,
    CMDI_KEY_RSA,
    CMDI_KEY_EC,
    CMDI_KEY_ED25519,
    CMDI_KEY_ED448,
};

/** Bits of key_usage. */
enum {
    CMDI_KEY_USAGE_DIGITAL_SIGNATURE = 0x8000,
    CMDI_KEY_USAGE_CERT_SIGN = 0x0400,
};

struct cmdi_certificate {
    const char *part;               // The one that was read last: the guilty one after a fault.
    struct cmds_bytes subject;      // For cmdi_name_text(). May hold no attribute at all.
    struct cmds_bytes issuer;       // The same.
    struct cmds_string common_name; // Of the subject, its last. One line of UTF-8; empty: none.
    struct cmds_bytes alt_names;    // For cmdi_alt_names_begin(). Empty unless has_alt_names.
    uint32_t dns_count, ip_count, uri_count;
    int64_t not_before_s, not_after_s; // Since 1970; negative: before.
    enum cmdi_signature signature;
    const char *signature_name; // "sha256WithRSAEncryption"; static, never NULL.
    enum cmdi_key key;
    const char *key_name; // "RSA", "P-256"; static, never NULL.
    uint32_t key_bits;    // RSA: of the modulus. EC: of the curve; 0: the curve is not known.
    struct cmds_bytes public_key; // EC: the point. RSA: modulus and exponent, as DER.
    uint16_t key_usage;           // Valid if has_key_usage.
    uint8_t version;              // 1 to 3.
    bool has_alt_names, has_key_usage, has_extended_key_usage;
    bool for_server, for_client; // Valid if has_extended_key_usage.
    bool is_ca;                  // By basicConstraints.
    bool constrains_more; // Its nameConstraints has other kinds than DNS, mail and directory names.
};

enum cmdi_alt_name_kind {
    CMDI_ALT_NAME_DNS,
    CMDI_ALT_NAME_IP,
    CMDI_ALT_NAME_URI,
    CMDI_ALT_NAME_OTHER, // Mail, directory name, and so on.
};

struct cmdi_alt_name {
    enum cmdi_alt_name_kind kind;
    /*
     * DNS, URI: printable ASCII, not empty. IP: CMDI_IP4_SIZE or CMDI_IP6_SIZE bytes. OTHER: DER.
     */
    struct cmds_bytes value;
};

struct cmdi_alt_names {
    const uint8_t *at, *end;
};

/**
 * Owner:   keeps `der` as long as the facts are used.
 * Returns: CMDI_CERTIFICATE_OK: all facts are there; else nothing of *certificate is valid but `part`.
 */
CMDS_NODISCARD enum cmdi_certificate_fault cmdi_certificate_parse(
        struct cmdi_certificate *certificate, const void *der, size_t size);

/** The names of subjectAltName, in their order. */
struct cmdi_alt_names cmdi_alt_names_begin(const struct cmdi_certificate *certificate);
/** Returns: false: there was no further one. */
bool cmdi_alt_names_next(struct cmdi_alt_names *names, struct cmdi_alt_name *name);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Tables of OIDs, and the shapes behind them: the hash of RSA-PSS stands in its parameters, the curve
 * of an EC key in its own, the size of an RSA key in its modulus.
 */
#include "tls/algorithm.h"

#define OID(bytes)                                                                                 \
    {                                                                                              \
        bytes, sizeof(bytes) - 1                                                                   \
    }
#define OID_PKCS1(last)      OID("\x2a\x86\x48\x86\xf7\x0d\x01\x01" last) // 1.2.840.113549.1.1
#define OID_ECDSA_SHA2(last) OID("\x2a\x86\x48\xce\x3d\x04\x03" last)     // 1.2.840.10045.4.3
#define OID_HASH(last)       OID("\x60\x86\x48\x01\x65\x03\x04\x02" last) // 2.16.840.1.101.3.4.2
#define OID_BRAINPOOL(last)  OID("\x2b\x24\x03\x03\x02\x08\x01\x01" last) // 1.3.36.3.3.2.8.1.1

struct signature {
    struct cmds_string oid;
    enum cmdi_signature kind;
    const char *name;
};

static const struct signature signatures[] = {
        {OID_PKCS1("\x0b"), CMDI_SIGNATURE_SHA2, "sha256WithRSAEncryption"},
        {OID_PKCS1("\x0c"), CMDI_SIGNATURE_SHA2, "sha384WithRSAEncryption"},
        {OID_PKCS1("\x0d"), CMDI_SIGNATURE_SHA2, "sha512WithRSAEncryption"},
        {OID_PKCS1("\x0e"), CMDI_SIGNATURE_SHA2, "sha224WithRSAEncryption"},
        {OID_ECDSA_SHA2("\x01"), CMDI_SIGNATURE_SHA2, "ecdsa-with-SHA224"},
        {OID_ECDSA_SHA2("\x02"), CMDI_SIGNATURE_SHA2, "ecdsa-with-SHA256"},
        {OID_ECDSA_SHA2("\x03"), CMDI_SIGNATURE_SHA2, "ecdsa-with-SHA384"},
        {OID_ECDSA_SHA2("\x04"), CMDI_SIGNATURE_SHA2, "ecdsa-with-SHA512"},
        {OID("\x2b\x65\x70"), CMDI_SIGNATURE_EDDSA, "Ed25519"},
        {OID("\x2b\x65\x71"), CMDI_SIGNATURE_EDDSA, "Ed448"},
        {OID_PKCS1("\x02"), CMDI_SIGNATURE_MD5, "md2WithRSAEncryption"},
        {OID_PKCS1("\x03"), CMDI_SIGNATURE_MD5, "md4WithRSAEncryption"},
        {OID_PKCS1("\x04"), CMDI_SIGNATURE_MD5, "md5WithRSAEncryption"},
        {OID_PKCS1("\x05"), CMDI_SIGNATURE_SHA1, "sha1WithRSAEncryption"},
        {OID("\x2b\x0e\x03\x02\x1d"), CMDI_SIGNATURE_SHA1, "sha1WithRSASignature"},
        {OID("\x2a\x86\x48\xce\x3d\x04\x01"), CMDI_SIGNATURE_SHA1, "ecdsa-with-SHA1"},
        {OID("\x2a\x86\x48\xce\x38\x04\x03"), CMDI_SIGNATURE_SHA1, "dsa-with-SHA1"},
};
static const struct cmds_string signature_pss = OID_PKCS1("\x0a");

static const struct signature pss_hashes[] = {
        {OID_HASH("\x01"), CMDI_SIGNATURE_SHA2, "RSASSA-PSS with SHA-256"},
        {OID_HASH("\x02"), CMDI_SIGNATURE_SHA2, "RSASSA-PSS with SHA-384"},
        {OID_HASH("\x03"), CMDI_SIGNATURE_SHA2, "RSASSA-PSS with SHA-512"},
        {OID_HASH("\x04"), CMDI_SIGNATURE_SHA2, "RSASSA-PSS with SHA-224"},
        {OID("\x2b\x0e\x03\x02\x1a"), CMDI_SIGNATURE_SHA1, "RSASSA-PSS with SHA-1"},
        {OID("\x2a\x86\x48\x86\xf7\x0d\x02\x05"), CMDI_SIGNATURE_MD5, "RSASSA-PSS with MD5"},
};
static const struct signature pss_default = {OID(""), CMDI_SIGNATURE_SHA1, "RSASSA-PSS with SHA-1"};
static const struct signature signature_unknown = {
        OID(""), CMDI_SIGNATURE_UNKNOWN, "an unknown algorithm"};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct signature *signature_find(
        const struct signature *table, size_t count, struct cmdi_der oid)
{
    for (size_t i = 0; i < count; i++) {
        if (cmdi_der_equal(oid, table[i].oid)) {
            return &table[i];
        }
    }
    return &signature_unknown;
}

/* None, or NULL: all that most algorithms may have. */
static bool parameters_are_absent(struct cmdi_der parameters)
{
    struct cmdi_der content;
    return cmdi_der_is_empty(parameters) ||
           (cmdi_der_take(&parameters, CMDI_DER_NULL, &content) && cmdi_der_is_empty(content) &&
                   cmdi_der_is_empty(parameters));
}

/* The hash of RSA-PSS. Behind it stand mask, size of the salt and trailer. Returns: NULL: broken. */
static const struct signature *pss_hash(struct cmdi_der parameters)
{
    struct cmdi_der content, tagged, algorithm, oid;
    if (!cmdi_der_take(&parameters, CMDI_DER_SEQUENCE, &content) ||
            !cmdi_der_is_empty(parameters)) {
        return NULL;
    }
    if (!cmdi_der_is_next(content, CMDI_DER_CONTEXT_CONSTRUCTED | 0)) {
        return &pss_default;
    }
    if (!cmdi_der_take(&content, CMDI_DER_CONTEXT_CONSTRUCTED | 0, &tagged) ||
            !cmdi_der_take(&tagged, CMDI_DER_SEQUENCE, &algorithm) || !cmdi_der_is_empty(tagged) ||
            !cmdi_der_take_oid(&algorithm, &oid) || !parameters_are_absent(algorithm)) {
        return NULL;
    }
    return signature_find(pss_hashes, COUNT(pss_hashes), oid);
}

bool cmdi_algorithm_signature(struct cmdi_der *from, struct cmdi_certificate *certificate)
{
    struct cmdi_der content, oid;
    if (!cmdi_der_take(from, CMDI_DER_SEQUENCE, &content) || !cmdi_der_take_oid(&content, &oid)) {
        return false;
    }
    const struct signature *found;
    if (cmdi_der_equal(oid, signature_pss)) {
        found = pss_hash(content);
    } else {
        found = signature_find(signatures, COUNT(signatures), oid);
        if (found != &signature_unknown && !parameters_are_absent(content)) {
            found = NULL;
        }
    }
    if (found == NULL) {
        return false;
    }
    certificate->signature = found->kind;
    certificate->signature_name = found->name;
    return true;
}

/* ---- Keys ------------------------------------------------------------------------------------ */

static void key_set(
        struct cmdi_certificate *certificate, enum cmdi_key key, const char *name, uint32_t bits)
{
    certificate->key = key;
    certificate->key_name = name;
    certificate->key_bits = bits;
}

/* SEQUENCE of modulus and exponent. */
static bool key_rsa(struct cmdi_der bytes, struct cmdi_certificate *certificate)
{
    struct cmdi_der content, modulus, exponent;
    if (!cmdi_der_take(&bytes, CMDI_DER_SEQUENCE, &content) || !cmdi_der_is_empty(bytes) ||
            !cmdi_der_take_unsigned(&content, &modulus) ||
            !cmdi_der_take_unsigned(&content, &exponent) || !cmdi_der_is_empty(content)) {
        return false;
    }
    uint32_t bits = (uint32_t)cmdi_der_size(modulus) * 8;
    if (*modulus.at == 0) {
        return false;
    }
    bits -= (uint32_t)__builtin_clz(*modulus.at) - 24; // Of an unsigned of 32 bits.
    key_set(certificate, CMDI_KEY_RSA, "RSA", bits);
    return true;
}

static const struct {
    struct cmds_string oid;
    const char *name;
    uint16_t bits;
} curves[] = {
        {OID("\x2a\x86\x48\xce\x3d\x03\x01\x07"), "P-256", 256},
        {OID("\x2b\x81\x04\x00\x22"), "P-384", 384},
        {OID("\x2b\x81\x04\x00\x23"), "P-521", 521},
        {OID("\x2b\x81\x04\x00\x21"), "P-224", 224},
        {OID("\x2a\x86\x48\xce\x3d\x03\x01\x01"), "P-192", 192},
        {OID("\x2b\x81\x04\x00\x0a"), "secp256k1", 256},
        {OID_BRAINPOOL("\x07"), "brainpoolP256r1", 256},
        {OID_BRAINPOOL("\x0b"), "brainpoolP384r1", 384},
        {OID_BRAINPOOL("\x0d"), "brainpoolP512r1", 512},
};

/* `point`: 04 x y, or 02 or 03 and x alone. */
static bool point_fits(struct cmdi_der point, unsigned bits)
{
    size_t size = (bits + 7) / 8;
    if (cmdi_der_is_empty(point)) {
        return false;
    }
    bool is_compressed = *point.at == 0x02 || *point.at == 0x03;
    return (*point.at == 0x04 && cmdi_der_size(point) == 1 + 2 * size) ||
           (is_compressed && cmdi_der_size(point) == 1 + size);
}

/* Explicit parameters, and curves that are not in the table, are of no size. */
static bool key_ec(
        struct cmdi_der parameters, struct cmdi_der point, struct cmdi_certificate *certificate)
{
    struct cmdi_der oid;
    key_set(certificate, CMDI_KEY_EC, "an unknown curve", 0);
    if (!cmdi_der_is_next(parameters, CMDI_DER_OID)) {
        return cmdi_der_is_next(parameters, CMDI_DER_SEQUENCE);
    }
    if (!cmdi_der_take_oid(&parameters, &oid) || !cmdi_der_is_empty(parameters)) {
        return false;
    }
    for (size_t i = 0; i < COUNT(curves); i++) {
        if (cmdi_der_equal(oid, curves[i].oid)) {
            key_set(certificate, CMDI_KEY_EC, curves[i].name, curves[i].bits);
            return point_fits(point, curves[i].bits);
        }
    }
    return true;
}

bool cmdi_algorithm_key(struct cmdi_der *from, struct cmdi_certificate *certificate)
{
    static const struct cmds_string rsa = OID_PKCS1("\x01"), rsa_pss = OID_PKCS1("\x0a");
    static const struct cmds_string ec = OID("\x2a\x86\x48\xce\x3d\x02\x01");
    static const struct cmds_string ed25519 = OID("\x2b\x65\x70"), ed448 = OID("\x2b\x65\x71");
    struct cmdi_der content, parameters, oid, bytes;
    if (!cmdi_der_take(from, CMDI_DER_SEQUENCE, &content) ||
            !cmdi_der_take(&content, CMDI_DER_SEQUENCE, &parameters) ||
            !cmdi_der_take_oid(&parameters, &oid) || !cmdi_der_take_octets(&content, &bytes) ||
            !cmdi_der_is_empty(content)) {
        return false;
    }
    certificate->public_key = cmdi_der_bytes(bytes);
    if (cmdi_der_equal(oid, rsa)) {
        return parameters_are_absent(parameters) && key_rsa(bytes, certificate);
    }
    if (cmdi_der_equal(oid, rsa_pss)) { // Its parameters say what it may be used with.
        return key_rsa(bytes, certificate);
    }
    if (cmdi_der_equal(oid, ec)) {
        return key_ec(parameters, bytes, certificate);
    }
    if (cmdi_der_equal(oid, ed25519)) {
        key_set(certificate, CMDI_KEY_ED25519, "Ed25519", 256);
        return cmdi_der_is_empty(parameters) && cmdi_der_size(bytes) == 32;
    }
    if (cmdi_der_equal(oid, ed448)) {
        key_set(certificate, CMDI_KEY_ED448, "Ed448", 456);
        return cmdi_der_is_empty(parameters) && cmdi_der_size(bytes) == 57;
    }
    key_set(certificate, CMDI_KEY_UNKNOWN, "an unknown kind", 0);
    return true;
}

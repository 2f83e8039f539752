/* SPDX-License-Identifier: MIT */
/*
 * One pass over a certificate, part by part, in the order of RFC 5280, section 4.1.
 *
 *     SEQUENCE                            the certificate
 *         SEQUENCE                        what is signed
 *             [0] version, serial number, signature algorithm, issuer, validity, subject,
 *             public key, [1] [2] unique identifiers, [3] extensions
 *         signature algorithm             the same once more
 *         BIT STRING                      the signature
 */
#include "tls/certificate.h"

#include <string.h>

#include "base/assert.h"
#include "tls/algorithm.h"
#include "tls/der.h"
#include "tls/extensions.h"
#include "tls/name.h"

enum {
    SERIAL_SIZE_MAX = 21, // 20 and one for the sign.
};

/* Reads one part of what is signed. */
typedef enum cmdi_certificate_fault (*part_fn)(
        struct cmdi_der *from, struct cmdi_certificate *certificate);

static enum cmdi_certificate_fault fault_unless(bool is_right)
{
    return is_right ? CMDI_CERTIFICATE_OK : CMDI_CERTIFICATE_BROKEN;
}

static enum cmdi_certificate_fault part_version(
        struct cmdi_der *from, struct cmdi_certificate *certificate)
{
    struct cmdi_der content, number;
    certificate->version = 1; // The default, which is not written.
    if (!cmdi_der_is_next(*from, CMDI_DER_CONTEXT_CONSTRUCTED | 0)) {
        return CMDI_CERTIFICATE_OK;
    }
    if (!cmdi_der_take(from, CMDI_DER_CONTEXT_CONSTRUCTED | 0, &content) ||
            !cmdi_der_take_unsigned(&content, &number) || !cmdi_der_is_empty(content) ||
            cmdi_der_size(number) != 1 || *number.at < 1 || *number.at > 2) {
        return CMDI_CERTIFICATE_BROKEN;
    }
    certificate->version = (uint8_t)(*number.at + 1);
    return CMDI_CERTIFICATE_OK;
}

static enum cmdi_certificate_fault part_serial(
        struct cmdi_der *from, struct cmdi_certificate *certificate)
{
    struct cmdi_der number;
    (void)certificate; // Nobody asks for it.
    // A negative one is wrong, and RFC 5280 wants it taken: there are CAs that make them.
    return fault_unless(
            cmdi_der_take_integer(from, &number) && cmdi_der_size(number) <= SERIAL_SIZE_MAX);
}

static enum cmdi_certificate_fault part_signature_algorithm(
        struct cmdi_der *from, struct cmdi_certificate *certificate)
{
    return fault_unless(cmdi_algorithm_signature(from, certificate));
}

static enum cmdi_certificate_fault part_issuer(
        struct cmdi_der *from, struct cmdi_certificate *certificate)
{
    struct cmds_string ignored;
    return cmdi_name_parse(from, &certificate->issuer, &ignored);
}

static enum cmdi_certificate_fault part_validity(
        struct cmdi_der *from, struct cmdi_certificate *certificate)
{
    struct cmdi_der content;
    return fault_unless(cmdi_der_take(from, CMDI_DER_SEQUENCE, &content) &&
                        cmdi_der_take_time(&content, &certificate->not_before_s) &&
                        cmdi_der_take_time(&content, &certificate->not_after_s) &&
                        cmdi_der_is_empty(content));
}

static enum cmdi_certificate_fault part_subject(
        struct cmdi_der *from, struct cmdi_certificate *certificate)
{
    return cmdi_name_parse(from, &certificate->subject, &certificate->common_name);
}

static enum cmdi_certificate_fault part_key(
        struct cmdi_der *from, struct cmdi_certificate *certificate)
{
    return fault_unless(cmdi_algorithm_key(from, certificate));
}

static enum cmdi_certificate_fault part_unique_ids(
        struct cmdi_der *from, struct cmdi_certificate *certificate)
{
    struct cmdi_der content;
    for (uint8_t number = 1; number <= 2; number++) {
        uint8_t tag = (uint8_t)(CMDI_DER_CONTEXT | number);
        if (cmdi_der_is_next(*from, tag) &&
                (certificate->version < 2 || !cmdi_der_take(from, tag, &content))) {
            return CMDI_CERTIFICATE_BROKEN;
        }
    }
    return CMDI_CERTIFICATE_OK;
}

static enum cmdi_certificate_fault part_extensions(
        struct cmdi_der *from, struct cmdi_certificate *certificate)
{
    struct cmdi_der content;
    if (cmdi_der_is_empty(*from)) {
        return CMDI_CERTIFICATE_OK;
    }
    if (certificate->version < 3 ||
            !cmdi_der_take(from, CMDI_DER_CONTEXT_CONSTRUCTED | 3, &content)) {
        return CMDI_CERTIFICATE_BROKEN;
    }
    return cmdi_extensions_parse(content, certificate);
}

static const struct {
    const char *part;
    part_fn read;
} parts[] = {
        {"version", part_version},
        {"serial number", part_serial},
        {"signature algorithm", part_signature_algorithm},
        {"issuer", part_issuer},
        {"validity", part_validity},
        {"subject", part_subject},
        {"public key", part_key},
        {"unique identifiers", part_unique_ids},
        {"extensions", part_extensions},
};

/* `algorithm`: the element of the signature algorithm, as it stands there. */
static enum cmdi_certificate_fault certificate_signed(
        struct cmdi_der from, struct cmdi_certificate *certificate, struct cmdi_der *algorithm)
{
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        const uint8_t *start = from.at;
        certificate->part = parts[i].part;
        enum cmdi_certificate_fault fault = parts[i].read(&from, certificate);
        if (fault != CMDI_CERTIFICATE_OK) {
            return fault;
        }
        if (parts[i].read == part_signature_algorithm) {
            *algorithm = (struct cmdi_der){start, from.at};
        }
    }
    return fault_unless(cmdi_der_is_empty(from));
}

/* The algorithm once more, which must be the one that was signed, and the signature. */
static bool certificate_tail(struct cmdi_der from, struct cmdi_der algorithm)
{
    struct cmdi_der signature;
    size_t size = cmdi_der_size(algorithm);
    if (cmdi_der_size(from) < size || memcmp(from.at, algorithm.at, size) != 0) {
        return false;
    }
    from.at += size;
    return cmdi_der_take_octets(&from, &signature) && !cmdi_der_is_empty(signature) &&
           cmdi_der_is_empty(from);
}

enum cmdi_certificate_fault cmdi_certificate_parse(
        struct cmdi_certificate *certificate, const void *der, size_t size)
{
    struct cmdi_der from = cmdi_der_of((struct cmds_bytes){der, size});
    struct cmdi_der content, body, algorithm = {NULL, NULL};
    CMDI_ASSERT(der != NULL || size == 0);
    *certificate = (struct cmdi_certificate){
            .part = "outer frame", .signature_name = "", .key_name = "", .common_name = {"", 0}};
    if (size > CMDI_CERTIFICATE_SIZE_MAX) {
        return CMDI_CERTIFICATE_TOO_LARGE;
    }
    if (!cmdi_der_take(&from, CMDI_DER_SEQUENCE, &content) || !cmdi_der_is_empty(from) ||
            !cmdi_der_take(&content, CMDI_DER_SEQUENCE, &body)) {
        return CMDI_CERTIFICATE_BROKEN;
    }
    enum cmdi_certificate_fault fault = certificate_signed(body, certificate, &algorithm);
    if (fault != CMDI_CERTIFICATE_OK) {
        return fault;
    }
    certificate->part = "signature";
    return fault_unless(certificate_tail(content, algorithm));
}

/* ---- The names of subjectAltName ------------------------------------------------------------- */

struct cmdi_alt_names cmdi_alt_names_begin(const struct cmdi_certificate *certificate)
{
    struct cmdi_der names = cmdi_der_of(certificate->alt_names);
    return (struct cmdi_alt_names){names.at, names.end};
}

bool cmdi_alt_names_next(struct cmdi_alt_names *names, struct cmdi_alt_name *name)
{
    struct cmdi_der rest = {names->at, names->end};
    if (cmdi_der_is_empty(rest)) {
        return false;
    }
    enum cmdi_certificate_fault fault = cmdi_extensions_alt_name(&rest, name);
    CMDI_ASSERT(fault == CMDI_CERTIFICATE_OK); // They were read once when it was parsed.
    names->at = rest.at;
    return true;
}

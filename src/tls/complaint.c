/* SPDX-License-Identifier: MIT */
#include "tls/complaint.h"

#include <stdint.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "tls/line.h"
#include "tls/name.h"

enum complaint {
    COMPLAINT_UNKNOWN,
    COMPLAINT_NO_ISSUER,
    COMPLAINT_SELF_SIGNED,
    COMPLAINT_NOT_YET,
    COMPLAINT_EXPIRED,
    COMPLAINT_SIGNATURE,
    COMPLAINT_PATH,
    COMPLAINT_REVOKED,
    COMPLAINT_NO_CRL,
    COMPLAINT_OLD_CRL,
    COMPLAINT_BAD_CRL,
    COMPLAINT_NOT_A_CA,
    COMPLAINT_SMALL_KEY,
    COMPLAINT_PURPOSE,
    COMPLAINT_KEY_USAGE,
    COMPLAINT_NAME_CONSTRAINT,
    COMPLAINT_EXTENSION,
    COMPLAINT_BROKEN,
    COMPLAINT_TOO_MANY,
};

/* The numbers of OpenSSL, which builds with its interface give: they have no names in the others. */
enum {
    COMPLAINT_X509_CERT_SIGNATURE = 7,
    COMPLAINT_X509_CRL_SIGNATURE = 8,
    COMPLAINT_X509_NOT_YET = 9,
    COMPLAINT_X509_EXPIRED = 10,
    COMPLAINT_X509_CRL_EXPIRED = 12,
    COMPLAINT_X509_NOT_BEFORE = 13,
    COMPLAINT_X509_NOT_AFTER = 14,
    COMPLAINT_X509_LEAF_SELF_SIGNED = 18,
    COMPLAINT_X509_CHAIN_SELF_SIGNED = 19,
    COMPLAINT_X509_NO_ISSUER_HERE = 20,
    COMPLAINT_X509_LEAF_UNVERIFIED = 21,
    COMPLAINT_X509_CHAIN_TOO_LONG = 22,
    COMPLAINT_X509_REVOKED = 23,
    COMPLAINT_X509_NOT_A_CA = 24,
    COMPLAINT_X509_PATH_LENGTH = 25,
    COMPLAINT_X509_PURPOSE = 26,
    COMPLAINT_X509_NO_CRL = 3,
    COMPLAINT_X509_NO_ISSUER = 2,
};

static const struct {
    int16_t number;
    uint8_t complaint;
} complaints[] = {
        {COMPLAINT_X509_NO_ISSUER, COMPLAINT_NO_ISSUER},
        {COMPLAINT_X509_NO_CRL, COMPLAINT_NO_CRL},
        {COMPLAINT_X509_CERT_SIGNATURE, COMPLAINT_SIGNATURE},
        {COMPLAINT_X509_CRL_SIGNATURE, COMPLAINT_BAD_CRL},
        {COMPLAINT_X509_NOT_YET, COMPLAINT_NOT_YET},
        {COMPLAINT_X509_EXPIRED, COMPLAINT_EXPIRED},
        {COMPLAINT_X509_CRL_EXPIRED, COMPLAINT_OLD_CRL},
        {COMPLAINT_X509_NOT_BEFORE, COMPLAINT_NOT_YET},
        {COMPLAINT_X509_NOT_AFTER, COMPLAINT_EXPIRED},
        {COMPLAINT_X509_LEAF_SELF_SIGNED, COMPLAINT_SELF_SIGNED},
        {COMPLAINT_X509_CHAIN_SELF_SIGNED, COMPLAINT_SELF_SIGNED},
        {COMPLAINT_X509_NO_ISSUER_HERE, COMPLAINT_NO_ISSUER},
        {COMPLAINT_X509_LEAF_UNVERIFIED, COMPLAINT_NO_ISSUER},
        {COMPLAINT_X509_CHAIN_TOO_LONG, COMPLAINT_TOO_MANY},
        {COMPLAINT_X509_REVOKED, COMPLAINT_REVOKED},
        {COMPLAINT_X509_NOT_A_CA, COMPLAINT_NOT_A_CA},
        {COMPLAINT_X509_PATH_LENGTH, COMPLAINT_PATH},
        {COMPLAINT_X509_PURPOSE, COMPLAINT_PURPOSE},
        {ASN_NO_SIGNER_E, COMPLAINT_NO_ISSUER},
        {ASN_SELF_SIGNED_E, COMPLAINT_SELF_SIGNED},
        {ASN_BEFORE_DATE_E, COMPLAINT_NOT_YET},
        {ASN_AFTER_DATE_E, COMPLAINT_EXPIRED},
        {ASN_SIG_CONFIRM_E, COMPLAINT_SIGNATURE},
        {ASN_SIG_OID_E, COMPLAINT_SIGNATURE},
        {ASN_SIG_HASH_E, COMPLAINT_SIGNATURE},
        {ASN_SIG_KEY_E, COMPLAINT_SIGNATURE},
        {ASN_PATHLEN_SIZE_E, COMPLAINT_PATH},
        {ASN_PATHLEN_INV_E, COMPLAINT_PATH},
        {ASN_NAME_INVALID_E, COMPLAINT_NAME_CONSTRAINT},
        {ASN_CRIT_EXT_E, COMPLAINT_EXTENSION},
        {ASN_PARSE_E, COMPLAINT_BROKEN},
        {CRL_CERT_REVOKED, COMPLAINT_REVOKED},
        {CRL_MISSING, COMPLAINT_NO_CRL},
        {CRL_CERT_DATE_ERR, COMPLAINT_OLD_CRL},
        {ASN_CRL_CONFIRM_E, COMPLAINT_BAD_CRL},
        {ASN_CRL_NO_SIGNER_E, COMPLAINT_BAD_CRL},
        {NOT_CA_ERROR, COMPLAINT_NOT_A_CA},
        {RSA_KEY_SIZE_E, COMPLAINT_SMALL_KEY},
        {ECC_KEY_SIZE_E, COMPLAINT_SMALL_KEY},
        {EXTKEYUSE_AUTH_E, COMPLAINT_PURPOSE},
        {KEYUSE_SIGNATURE_E, COMPLAINT_KEY_USAGE},
        {KEYUSE_ENCIPHER_E, COMPLAINT_KEY_USAGE},
        {MAX_CHAIN_ERROR, COMPLAINT_TOO_MANY},
};

static enum complaint complaint_of(int number)
{
    for (size_t i = 0; i < sizeof(complaints) / sizeof(complaints[0]); i++) {
        if (complaints[i].number == number) {
            return complaints[i].complaint;
        }
    }
    return COMPLAINT_UNKNOWN;
}

/* ---- Pieces ---------------------------------------------------------------------------------- */

/* `certificate`: NULL: it could not be read. */
static void put_who(struct cmdi_line *line, const struct cmdi_certificate *certificate, int depth)
{
    cmdi_line_certificate(line, (unsigned)depth);
    if (certificate != NULL && certificate->common_name.size > 0) {
        cmdi_line_text(line, " (CN=");
        cmdi_line_quoted(line, certificate->common_name.data, certificate->common_name.size);
        cmdi_line_text(line, ")");
    }
}

static void put_issuer(struct cmdi_line *line, const struct cmdi_certificate *certificate)
{
    char issuer[CMDI_LINE_QUOTED_MAX + 1];
    if (certificate == NULL || certificate->issuer.size == 0) {
        return;
    }
    size_t length = cmdi_name_text(certificate->issuer, issuer, sizeof(issuer));
    cmdi_line_text(line, " (");
    cmdi_line_text(line, issuer);
    cmdi_line_text(line, length >= sizeof(issuer) ? "...)" : ")");
}

static void put_date(struct cmdi_line *line, const char *before, int64_t time_s)
{
    time_t time = (time_t)time_s;
    struct tm date;
    char text[sizeof("9999-12-31 23:59:59 UTC")];
    if (gmtime_r(&time, &date) != NULL &&
            strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &date) > 0) {
        cmdi_line_text(line, before);
        cmdi_line_text(line, text);
    }
}

static const char *const complaint_texts[] = {
        [COMPLAINT_SIGNATURE] = " is not signed by the CA that it names",
        [COMPLAINT_PATH] = " stands deeper below a CA than that CA allows",
        [COMPLAINT_REVOKED] = " is revoked, by crl_file",
        [COMPLAINT_NO_CRL] = " is of a CA that crl_file has no list of",
        [COMPLAINT_OLD_CRL] = " is of a CA whose list in crl_file is out of date; renew it",
        [COMPLAINT_BAD_CRL] = " is of a CA whose list in crl_file it has not signed",
        [COMPLAINT_NOT_A_CA] = " is signed by one that is no CA",
        [COMPLAINT_SMALL_KEY] =
                " has a key that is too small: RSA of 2048 bits or a curve of 256 is "
                "needed",
        [COMPLAINT_PURPOSE] = " is not for this side of a connection: see its extendedKeyUsage",
        [COMPLAINT_KEY_USAGE] = " may not sign a handshake: its keyUsage lacks digitalSignature",
        [COMPLAINT_NAME_CONSTRAINT] = " has a name that its CA may not give",
        [COMPLAINT_EXTENSION] = " has a critical extension that is not known here",
        [COMPLAINT_BROKEN] = " is not X.509 in DER",
        [COMPLAINT_TOO_MANY] = " comes with more certificates than are allowed",
};

static void put_number(struct cmdi_line *line, int number)
{
    cmdi_line_text(line, " is refused by wolfSSL: error ");
    cmdi_line_text(line, number < 0 ? "-" : "");
    cmdi_line_number(line, (unsigned)(number < 0 ? -number : number));
}

/* By its names; `certificate` as above. */
static bool is_of_itself(const struct cmdi_certificate *certificate)
{
    return certificate != NULL && certificate->subject.size == certificate->issuer.size &&
           memcmp(certificate->subject.data, certificate->issuer.data, certificate->issuer.size) ==
                   0;
}

static void put_complaint(struct cmdi_line *line, const struct cmdi_verify *verify,
        const struct cmdi_certificate *certificate)
{
    bool is_server = verify->owner == CMDI_CERTIFICATE_OF_CLIENT; // We are.
    const char *file = is_server ? "client_ca_file" : "ca_file";
    enum complaint complaint = complaint_of(verify->code);
    if (complaint == COMPLAINT_NO_ISSUER && is_of_itself(certificate)) {
        complaint = COMPLAINT_SELF_SIGNED; // Not every build tells them apart.
    }
    put_who(line, certificate, verify->depth);
    switch (complaint) {
    case COMPLAINT_UNKNOWN:
        put_number(line, verify->code);
        break;
    case COMPLAINT_NO_ISSUER:
        cmdi_line_text(line, " is signed by none of our CAs");
        put_issuer(line, certificate);
        cmdi_line_text(line, "; check ");
        cmdi_line_text(line, file);
        cmdi_line_text(line, verify->depth == 0 ? ", and whether it sends its chain" : "");
        break;
    case COMPLAINT_SELF_SIGNED:
        cmdi_line_text(line, " is signed by itself alone, and not in ");
        cmdi_line_text(line, file);
        break;
    case COMPLAINT_NOT_YET:
        cmdi_line_text(line, " is not good yet");
        if (certificate != NULL) {
            put_date(line, ": from ", certificate->not_before_s);
        }
        cmdi_line_text(line, "; check the clock");
        break;
    case COMPLAINT_EXPIRED:
        cmdi_line_text(line, " has expired");
        if (certificate != NULL) {
            put_date(line, ": it was good until ", certificate->not_after_s);
        }
        cmdi_line_text(line, "; renew it, or check the clock");
        break;
    default:
        cmdi_line_text(line, complaint_texts[complaint]);
        break;
    }
}

/* What wolfSSL has found there, and we would have: our sentence says more. */
static enum cmdi_certificate_fault complaint_of_ours(
        const struct cmdi_verify *verify, const struct cmdi_certificate *certificate)
{
    switch (complaint_of(verify->code)) {
    case COMPLAINT_SMALL_KEY:
    case COMPLAINT_PURPOSE:
    case COMPLAINT_KEY_USAGE:
        return verify->depth == 0 ? cmdi_certificate_check(certificate, verify->owner)
                                  : cmdi_certificate_check_ca(certificate, verify->owner);
    default:
        return CMDI_CERTIFICATE_OK;
    }
}

void cmdi_complaint_write(const struct cmdi_verify *verify, char *out, size_t size)
{
    CMDI_ASSERT(verify->code != 0 || verify->fault != CMDI_CERTIFICATE_OK);
    struct cmdi_certificate certificate;
    bool is_readable = cmdi_certificate_parse(&certificate, verify->der.data, verify->der.size) ==
                       CMDI_CERTIFICATE_OK;
    enum cmdi_certificate_fault fault = verify->fault;
    if (fault == CMDI_CERTIFICATE_OK && is_readable) {
        fault = complaint_of_ours(verify, &certificate);
    }
    if (fault == CMDI_CERTIFICATE_OK) {
        struct cmdi_line line = cmdi_line_begin(out, size);
        put_complaint(&line, verify, is_readable ? &certificate : NULL);
        return;
    }
    size_t length = cmdi_certificate_fault_text(
            &certificate, fault, (unsigned)verify->depth, verify->host, out, size);
    if (fault >= CMDI_CERTIFICATE_NO_ALT_NAME && length < size) {
        struct cmdi_line line = cmdi_line_begin(out + length, size - length);
        cmdi_line_text(&line, "; check server_name");
    }
}

/* SPDX-License-Identifier: MIT */
/*
 * Checks over facts that were parsed, and sentences about them. What is not known is refused: a list of
 * what is good does not age into a list of what was thought to be good.
 */
#include "tls/certificate_check.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

#include "base/assert.h"
#include "tls/line.h"

static enum cmdi_certificate_fault check_signature(const struct cmdi_certificate *certificate)
{
    switch (certificate->signature) {
    case CMDI_SIGNATURE_SHA2:
    case CMDI_SIGNATURE_EDDSA:
        return CMDI_CERTIFICATE_OK;
    case CMDI_SIGNATURE_MD5:
    case CMDI_SIGNATURE_SHA1:
        return CMDI_CERTIFICATE_WEAK_SIGNATURE;
    case CMDI_SIGNATURE_UNKNOWN:
        break;
    }
    return CMDI_CERTIFICATE_UNKNOWN_SIGNATURE;
}

static enum cmdi_certificate_fault check_key(const struct cmdi_certificate *certificate)
{
    uint32_t bits_min = 0;
    switch (certificate->key) {
    case CMDI_KEY_RSA:
        bits_min = CMDI_RSA_BITS_MIN;
        break;
    case CMDI_KEY_EC:
        bits_min = CMDI_EC_BITS_MIN;
        break;
    case CMDI_KEY_ED25519:
    case CMDI_KEY_ED448:
        break;
    case CMDI_KEY_UNKNOWN:
        return CMDI_CERTIFICATE_UNKNOWN_KEY;
    }
    if (certificate->key_bits == 0) {
        return CMDI_CERTIFICATE_UNKNOWN_KEY; // An unknown curve.
    }
    return certificate->key_bits < bits_min ? CMDI_CERTIFICATE_SMALL_KEY : CMDI_CERTIFICATE_OK;
}

static enum cmdi_certificate_fault check_strength(const struct cmdi_certificate *certificate)
{
    enum cmdi_certificate_fault fault = check_signature(certificate);
    return fault == CMDI_CERTIFICATE_OK ? check_key(certificate) : fault;
}

static enum cmdi_certificate_fault check_purpose(
        const struct cmdi_certificate *certificate, enum cmdi_certificate_owner owner)
{
    if (!certificate->has_extended_key_usage) {
        return CMDI_CERTIFICATE_OK;
    }
    if (owner == CMDI_CERTIFICATE_OF_SERVER) {
        return certificate->for_server ? CMDI_CERTIFICATE_OK : CMDI_CERTIFICATE_NOT_FOR_SERVER;
    }
    return certificate->for_client ? CMDI_CERTIFICATE_OK : CMDI_CERTIFICATE_NOT_FOR_CLIENT;
}

enum cmdi_certificate_fault cmdi_certificate_check(
        const struct cmdi_certificate *certificate, enum cmdi_certificate_owner owner)
{
    enum cmdi_certificate_fault fault = check_strength(certificate);
    if (fault != CMDI_CERTIFICATE_OK) {
        return fault;
    }
    if (certificate->has_key_usage &&
            (certificate->key_usage & CMDI_KEY_USAGE_DIGITAL_SIGNATURE) == 0) {
        return CMDI_CERTIFICATE_NO_DIGITAL_SIGNATURE;
    }
    return check_purpose(certificate, owner);
}

enum cmdi_certificate_fault cmdi_certificate_check_ca(
        const struct cmdi_certificate *ca, enum cmdi_certificate_owner owner)
{
    enum cmdi_certificate_fault fault = check_strength(ca);
    return fault == CMDI_CERTIFICATE_OK ? check_purpose(ca, owner) : fault;
}

/* ---- Hosts ----------------------------------------------------------------------------------- */

enum {
    LABEL_SIZE_MAX = 63
};

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* An underscore is in no name of a host by the book, and in some by use. */
static bool is_label_character(char c)
{
    c = lower(c);
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/*
 * Labels with dots between them, none of them empty; the last is no number, or it would be an address
 * in one of the forms that resolvers take: 127.1, 10.0.0.1 with a dot behind it.
 */
bool cmdi_host_is_dns_name(struct cmds_string name)
{
    size_t label_size = 0;
    bool is_number = true;
    for (size_t i = 0; i < name.size; i++) {
        char c = name.data[i];
        if (c == '.') {
            if (label_size == 0) {
                return false;
            }
            label_size = 0;
            is_number = true;
        } else {
            if (!is_label_character(c) || ++label_size > LABEL_SIZE_MAX) {
                return false;
            }
            is_number &= c >= '0' && c <= '9';
        }
    }
    return label_size > 0 && !is_number && name.size <= CMDI_HOST_SIZE_MAX;
}

static struct cmds_string string_behind(struct cmds_string string, size_t size)
{
    CMDI_ASSERT(size <= string.size);
    return (struct cmds_string){string.data + size, string.size - size};
}

/* `entry` is of the certificate and may be anything printable; `host` is a name of DNS. */
static bool dns_matches(struct cmds_string entry, struct cmds_string host)
{
    if (entry.size > 2 && entry.data[0] == '*' && entry.data[1] == '.') {
        const char *dot = memchr(host.data, '.', host.size);
        if (dot == NULL) {
            return false;
        }
        entry = string_behind(entry, 2);
        host = string_behind(host, (size_t)(dot - host.data) + 1);
    }
    if (entry.size != host.size) {
        return false;
    }
    // The host has letters, digits, dots: an entry with a further '*' in it cannot be equal to it.
    for (size_t i = 0; i < host.size; i++) {
        if (lower(entry.data[i]) != lower(host.data[i])) {
            return false;
        }
    }
    return true;
}

/* Is there an entry of this kind that is `wanted`? A host of DNS, or the bytes of an address. */
static bool alt_names_have(const struct cmdi_certificate *certificate, enum cmdi_alt_name_kind kind,
        struct cmds_string wanted)
{
    struct cmdi_alt_names names = cmdi_alt_names_begin(certificate);
    struct cmdi_alt_name name;
    while (cmdi_alt_names_next(&names, &name)) {
        struct cmds_string value = {name.value.data, name.value.size};
        bool is_dns = kind == CMDI_ALT_NAME_DNS;
        if (name.kind == kind &&
                (is_dns ? dns_matches(value, wanted) : cmds_string_equal(value, wanted))) {
            return true;
        }
    }
    return false;
}

/* Returns: the size of the address; 0: `host` is none. */
static size_t host_address(const char *host, uint8_t *address)
{
    if (inet_pton(AF_INET, host, address) == 1) {
        return CMDI_IP4_SIZE;
    }
    return inet_pton(AF_INET6, host, address) == 1 ? CMDI_IP6_SIZE : 0;
}

enum cmdi_certificate_fault cmdi_certificate_check_host(
        const struct cmdi_certificate *certificate, const char *host)
{
    uint8_t address[CMDI_IP6_SIZE];
    struct cmds_string name = cmds_string_from(host);
    if (!certificate->has_alt_names) {
        return CMDI_CERTIFICATE_NO_ALT_NAME;
    }
    size_t address_size = host_address(host, address);
    if (address_size > 0) {
        struct cmds_string wanted = {(const char *)address, address_size};
        return alt_names_have(certificate, CMDI_ALT_NAME_IP, wanted)
                       ? CMDI_CERTIFICATE_OK
                       : CMDI_CERTIFICATE_OTHER_ADDRESS;
    }
    if (name.size > 0 && name.data[name.size - 1] == '.') {
        name.size--;
    }
    return cmdi_host_is_dns_name(name) && alt_names_have(certificate, CMDI_ALT_NAME_DNS, name)
                   ? CMDI_CERTIFICATE_OK
                   : CMDI_CERTIFICATE_OTHER_HOST;
}

/* ---- Sentences ------------------------------------------------------------------------------- */

enum {
    NAMES_SHOWN_MAX = 3,
};

static void put_alt_name(struct cmdi_line *line, const struct cmdi_alt_name *name)
{
    char address[INET6_ADDRSTRLEN];
    if (name->kind == CMDI_ALT_NAME_IP) {
        int family = name->value.size == CMDI_IP4_SIZE ? AF_INET : AF_INET6;
        const char *text = inet_ntop(family, name->value.data, address, sizeof(address));
        CMDI_ASSERT(text != NULL); // There is room for all.
        cmdi_line_text(line, text);
    } else {
        cmdi_line_quoted(line, name->value.data, name->value.size);
    }
}

/* "a.example, 10.0.0.1, b.example and 2 more". */
static void put_alt_names(struct cmdi_line *line, const struct cmdi_certificate *certificate)
{
    struct cmdi_alt_names names = cmdi_alt_names_begin(certificate);
    struct cmdi_alt_name name;
    unsigned count = 0;
    while (cmdi_alt_names_next(&names, &name)) {
        if (name.kind == CMDI_ALT_NAME_OTHER) {
            continue;
        }
        if (count < NAMES_SHOWN_MAX) {
            cmdi_line_text(line, count > 0 ? ", " : "");
            put_alt_name(line, &name);
        }
        count++;
    }
    if (count == 0) {
        cmdi_line_text(line, "no host");
    } else if (count > NAMES_SHOWN_MAX) {
        cmdi_line_text(line, " and ");
        cmdi_line_number(line, count - NAMES_SHOWN_MAX);
        cmdi_line_text(line, " more");
    }
}

static void put_other_host(struct cmdi_line *line, const struct cmdi_certificate *certificate,
        const char *host, const char *why)
{
    CMDI_ASSERT(host != NULL);
    cmdi_line_text(line, " is for ");
    put_alt_names(line, certificate);
    cmdi_line_text(line, ", not ");
    cmdi_line_quoted(line, host, strlen(host));
    cmdi_line_text(line, why);
}

static void put_small_key(struct cmdi_line *line, const struct cmdi_certificate *certificate)
{
    bool is_rsa = certificate->key == CMDI_KEY_RSA;
    cmdi_line_text(line, " has a key of ");
    cmdi_line_number(line, certificate->key_bits);
    cmdi_line_text(line, " bits (");
    cmdi_line_text(line, certificate->key_name);
    cmdi_line_text(line, "): at least ");
    cmdi_line_number(line, is_rsa ? CMDI_RSA_BITS_MIN : CMDI_EC_BITS_MIN);
    cmdi_line_text(line, " are needed");
}

/* Those that cmdi_certificate_parse() found: nothing but `part` is valid. */
static bool put_parse_fault(struct cmdi_line *line, const struct cmdi_certificate *certificate,
        enum cmdi_certificate_fault fault)
{
    static const char *const texts[] = {
            [CMDI_CERTIFICATE_BROKEN] = " is not X.509 in DER: broken at its ",
            [CMDI_CERTIFICATE_TOO_LARGE] = " is above 32 KiB",
            [CMDI_CERTIFICATE_TOO_MANY] = " has too many entries in its ",
            [CMDI_CERTIFICATE_NUL_IN_NAME] = " has a NUL in a name, in its ",
            [CMDI_CERTIFICATE_BAD_CHARACTER] = " has a name that is not printable text, in its ",
    };
    if (fault < CMDI_CERTIFICATE_BROKEN || fault > CMDI_CERTIFICATE_BAD_CHARACTER) {
        return false;
    }
    cmdi_line_text(line, texts[fault]);
    cmdi_line_text(line, fault == CMDI_CERTIFICATE_TOO_LARGE ? "" : certificate->part);
    return true;
}

static void put_check_fault(struct cmdi_line *line, const struct cmdi_certificate *certificate,
        enum cmdi_certificate_fault fault)
{
    switch (fault) {
    case CMDI_CERTIFICATE_WEAK_SIGNATURE:
        cmdi_line_text(line, " is signed by ");
        cmdi_line_text(line, certificate->signature_name);
        cmdi_line_text(line, ", which can be forged: SHA-256 or better is needed");
        break;
    case CMDI_CERTIFICATE_UNKNOWN_SIGNATURE:
        cmdi_line_text(line, " is signed by an algorithm that is not known here");
        break;
    case CMDI_CERTIFICATE_SMALL_KEY:
        put_small_key(line, certificate);
        break;
    case CMDI_CERTIFICATE_UNKNOWN_KEY:
        cmdi_line_text(line, " has a key of ");
        cmdi_line_text(line, certificate->key_name);
        cmdi_line_text(line, ": RSA, a named curve or Ed25519 is needed");
        break;
    case CMDI_CERTIFICATE_NO_DIGITAL_SIGNATURE:
        cmdi_line_text(line, " may not sign a handshake: its keyUsage lacks digitalSignature");
        break;
    case CMDI_CERTIFICATE_NOT_FOR_SERVER:
        cmdi_line_text(line, " is not for a server: its extendedKeyUsage lacks serverAuth");
        break;
    case CMDI_CERTIFICATE_NOT_FOR_CLIENT:
        cmdi_line_text(line, " is not for a client: its extendedKeyUsage lacks clientAuth");
        break;
    case CMDI_CERTIFICATE_NO_ALT_NAME:
        cmdi_line_text(line, " has no subjectAltName: a common name alone is not enough");
        break;
    default:
        cmdi_line_text(line, " is right");
        break;
    }
}

size_t cmdi_certificate_fault_text(const struct cmdi_certificate *certificate,
        enum cmdi_certificate_fault fault, unsigned depth, const char *host, char *out, size_t size)
{
    struct cmdi_line line = cmdi_line_begin(out, size);
    cmdi_line_certificate(&line, depth);
    if (put_parse_fault(&line, certificate, fault)) {
        return line.length;
    }
    if (certificate->common_name.size > 0) {
        cmdi_line_text(&line, " (CN=");
        cmdi_line_quoted(&line, certificate->common_name.data, certificate->common_name.size);
        cmdi_line_text(&line, ")");
    }
    if (fault == CMDI_CERTIFICATE_OTHER_HOST) {
        put_other_host(&line, certificate, host, "");
    } else if (fault == CMDI_CERTIFICATE_OTHER_ADDRESS) {
        put_other_host(&line, certificate, host, ": an address counts as an IP entry alone");
    } else {
        put_check_fault(&line, certificate, fault);
    }
    return line.length;
}

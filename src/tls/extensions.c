/* SPDX-License-Identifier: MIT */
/*
 * An extension is an OID, a BOOLEAN that says whether it is critical, and an OCTET STRING with DER in
 * it. None of those that are known here may come twice: which of the two counted would be a guess.
 */
#include "tls/extensions.h"

#define OID(bytes)                                                                                 \
    {                                                                                              \
        bytes, sizeof(bytes) - 1                                                                   \
    }

/* ---- subjectAltName -------------------------------------------------------------------------- */

/* Tags of GeneralName: [6] is 0x86; those with elements inside have 0x20 as well. */
enum {
    GENERAL_OTHER = 0xa0,
    GENERAL_MAIL = 0x81,
    GENERAL_DNS = 0x82,
    GENERAL_X400 = 0xa3,
    GENERAL_DIRECTORY = 0xa4,
    GENERAL_EDI = 0xa5,
    GENERAL_URI = 0x86,
    GENERAL_IP = 0x87,
    GENERAL_REGISTERED = 0x88,
};

/* A name that is text: not empty, and all of it can be printed. */
static enum cmdi_certificate_fault alt_name_text(struct cmdi_der text)
{
    if (cmdi_der_is_empty(text)) {
        return CMDI_CERTIFICATE_BROKEN;
    }
    enum cmdi_certificate_fault fault = CMDI_CERTIFICATE_OK;
    for (const uint8_t *at = text.at; at < text.end; at++) {
        if (*at == '\0') {
            return CMDI_CERTIFICATE_NUL_IN_NAME;
        }
        if (*at < 0x20 || *at > 0x7e) {
            fault = CMDI_CERTIFICATE_BAD_CHARACTER;
        }
    }
    return fault;
}

static enum cmdi_certificate_fault alt_name_read(
        uint8_t tag, struct cmdi_der content, enum cmdi_alt_name_kind *kind)
{
    *kind = CMDI_ALT_NAME_OTHER;
    switch (tag) {
    case GENERAL_DNS:
        *kind = CMDI_ALT_NAME_DNS;
        return alt_name_text(content);
    case GENERAL_URI:
        *kind = CMDI_ALT_NAME_URI;
        return alt_name_text(content);
    case GENERAL_MAIL:
        return alt_name_text(content);
    case GENERAL_IP: {
        *kind = CMDI_ALT_NAME_IP;
        size_t size = cmdi_der_size(content);
        bool is_right = size == CMDI_IP4_SIZE || size == CMDI_IP6_SIZE;
        return is_right ? CMDI_CERTIFICATE_OK : CMDI_CERTIFICATE_BROKEN;
    }
    case GENERAL_OTHER:
    case GENERAL_X400:
    case GENERAL_DIRECTORY:
    case GENERAL_EDI:
    case GENERAL_REGISTERED:
        return CMDI_CERTIFICATE_OK;
    default:
        return CMDI_CERTIFICATE_BROKEN;
    }
}

enum cmdi_certificate_fault cmdi_extensions_alt_name(
        struct cmdi_der *from, struct cmdi_alt_name *name)
{
    struct cmdi_der rest = *from, content;
    uint8_t tag = 0;
    if (!cmdi_der_next(&rest, &tag, &content)) {
        return CMDI_CERTIFICATE_BROKEN;
    }
    enum cmdi_certificate_fault fault = alt_name_read(tag, content, &name->kind);
    if (fault == CMDI_CERTIFICATE_OK) {
        name->value = cmdi_der_bytes(content);
        *from = rest;
    }
    return fault;
}

static enum cmdi_certificate_fault extension_alt_names(
        struct cmdi_der from, struct cmdi_certificate *certificate)
{
    struct cmdi_der names;
    struct cmdi_alt_name name;
    uint32_t counts[CMDI_ALT_NAME_OTHER + 1] = {0}, count = 0;
    if (!cmdi_der_take(&from, CMDI_DER_SEQUENCE, &names) || !cmdi_der_is_empty(from) ||
            cmdi_der_is_empty(names)) {
        return CMDI_CERTIFICATE_BROKEN;
    }
    struct cmds_bytes all = cmdi_der_bytes(names);
    while (!cmdi_der_is_empty(names)) {
        if (++count > CMDI_CERTIFICATE_ALT_NAMES_MAX) {
            return CMDI_CERTIFICATE_TOO_MANY;
        }
        enum cmdi_certificate_fault fault = cmdi_extensions_alt_name(&names, &name);
        if (fault != CMDI_CERTIFICATE_OK) {
            return fault;
        }
        counts[name.kind]++;
    }
    certificate->has_alt_names = true;
    certificate->alt_names = all;
    certificate->dns_count = counts[CMDI_ALT_NAME_DNS];
    certificate->ip_count = counts[CMDI_ALT_NAME_IP];
    certificate->uri_count = counts[CMDI_ALT_NAME_URI];
    return CMDI_CERTIFICATE_OK;
}

/* ---- The others ------------------------------------------------------------------------------ */

/* One that allows nothing at all is no keyUsage: RFC 5280, section 4.2.1.3. */
static enum cmdi_certificate_fault extension_key_usage(
        struct cmdi_der from, struct cmdi_certificate *certificate)
{
    if (!cmdi_der_take_flags(&from, &certificate->key_usage) || !cmdi_der_is_empty(from) ||
            certificate->key_usage == 0) {
        return CMDI_CERTIFICATE_BROKEN;
    }
    certificate->has_key_usage = true;
    return CMDI_CERTIFICATE_OK;
}

static enum cmdi_certificate_fault extension_purposes(
        struct cmdi_der from, struct cmdi_certificate *certificate)
{
    static const struct cmds_string any = OID("\x55\x1d\x25\x00");
    static const struct cmds_string server = OID("\x2b\x06\x01\x05\x05\x07\x03\x01");
    static const struct cmds_string client = OID("\x2b\x06\x01\x05\x05\x07\x03\x02");
    struct cmdi_der purposes, oid;
    int count = 0;
    if (!cmdi_der_take(&from, CMDI_DER_SEQUENCE, &purposes) || !cmdi_der_is_empty(from) ||
            cmdi_der_is_empty(purposes)) {
        return CMDI_CERTIFICATE_BROKEN;
    }
    while (!cmdi_der_is_empty(purposes)) {
        if (++count > CMDI_CERTIFICATE_PURPOSES_MAX) {
            return CMDI_CERTIFICATE_TOO_MANY;
        }
        if (!cmdi_der_take_oid(&purposes, &oid)) {
            return CMDI_CERTIFICATE_BROKEN;
        }
        bool is_any = cmdi_der_equal(oid, any);
        certificate->for_server |= is_any || cmdi_der_equal(oid, server);
        certificate->for_client |= is_any || cmdi_der_equal(oid, client);
    }
    certificate->has_extended_key_usage = true;
    return CMDI_CERTIFICATE_OK;
}

static enum cmdi_certificate_fault extension_constraints(
        struct cmdi_der from, struct cmdi_certificate *certificate)
{
    struct cmdi_der content, path;
    if (!cmdi_der_take(&from, CMDI_DER_SEQUENCE, &content) || !cmdi_der_is_empty(from)) {
        return CMDI_CERTIFICATE_BROKEN;
    }
    if (cmdi_der_is_next(content, CMDI_DER_BOOLEAN) &&
            !cmdi_der_take_boolean(&content, &certificate->is_ca)) {
        return CMDI_CERTIFICATE_BROKEN;
    }
    if (!cmdi_der_is_empty(content) &&
            (!cmdi_der_take_unsigned(&content, &path) || !cmdi_der_is_empty(content))) {
        return CMDI_CERTIFICATE_BROKEN;
    }
    return CMDI_CERTIFICATE_OK;
}

/* The subtrees of one kind, permitted or excluded: a SEQUENCE each, which a name begins. */
static bool constraint_subtrees(struct cmdi_der subtrees, struct cmdi_certificate *certificate)
{
    struct cmdi_der subtree, name;
    uint8_t tag = 0;
    while (!cmdi_der_is_empty(subtrees)) {
        if (!cmdi_der_take(&subtrees, CMDI_DER_SEQUENCE, &subtree) ||
                !cmdi_der_next(&subtree, &tag, &name)) {
            return false;
        }
        certificate->constrains_more |=
                tag != GENERAL_DNS && tag != GENERAL_MAIL && tag != GENERAL_DIRECTORY;
    }
    return true;
}

static enum cmdi_certificate_fault extension_name_constraints(
        struct cmdi_der from, struct cmdi_certificate *certificate)
{
    struct cmdi_der content, subtrees;
    if (!cmdi_der_take(&from, CMDI_DER_SEQUENCE, &content) || !cmdi_der_is_empty(from)) {
        return CMDI_CERTIFICATE_BROKEN;
    }
    for (uint8_t kind = 0; kind <= 1; kind++) {
        uint8_t tag = (uint8_t)(CMDI_DER_CONTEXT_CONSTRUCTED | kind);
        if (cmdi_der_is_next(content, tag) &&
                (!cmdi_der_take(&content, tag, &subtrees) ||
                        !constraint_subtrees(subtrees, certificate))) {
            return CMDI_CERTIFICATE_BROKEN;
        }
    }
    return cmdi_der_is_empty(content) ? CMDI_CERTIFICATE_OK : CMDI_CERTIFICATE_BROKEN;
}

static const struct {
    struct cmds_string oid;
    const char *part;
    enum cmdi_certificate_fault (*read)(struct cmdi_der from, struct cmdi_certificate *certificate);
} known[] = {
        {OID("\x55\x1d\x11"), "subjectAltName", extension_alt_names},
        {OID("\x55\x1d\x0f"), "keyUsage", extension_key_usage},
        {OID("\x55\x1d\x25"), "extendedKeyUsage", extension_purposes},
        {OID("\x55\x1d\x13"), "basicConstraints", extension_constraints},
        {OID("\x55\x1d\x1e"), "nameConstraints", extension_name_constraints},
};
enum {
    KNOWN_COUNT = sizeof(known) / sizeof(known[0])
};

/* `seen`: bit i is known[i]. */
static enum cmdi_certificate_fault extension_read(
        struct cmdi_der *from, struct cmdi_certificate *certificate, unsigned *seen)
{
    struct cmdi_der extension, oid, value;
    bool is_critical = false;
    certificate->part = "extensions";
    if (!cmdi_der_take(from, CMDI_DER_SEQUENCE, &extension) ||
            !cmdi_der_take_oid(&extension, &oid)) {
        return CMDI_CERTIFICATE_BROKEN;
    }
    if (cmdi_der_is_next(extension, CMDI_DER_BOOLEAN) &&
            !cmdi_der_take_boolean(&extension, &is_critical)) {
        return CMDI_CERTIFICATE_BROKEN;
    }
    if (!cmdi_der_take(&extension, CMDI_DER_OCTET_STRING, &value) ||
            !cmdi_der_is_empty(extension)) {
        return CMDI_CERTIFICATE_BROKEN;
    }
    for (int i = 0; i < KNOWN_COUNT; i++) {
        if (cmdi_der_equal(oid, known[i].oid)) {
            bool is_second = (*seen & 1u << i) != 0;
            *seen |= 1u << i;
            certificate->part = known[i].part;
            return is_second ? CMDI_CERTIFICATE_BROKEN : known[i].read(value, certificate);
        }
    }
    return CMDI_CERTIFICATE_OK;
}

enum cmdi_certificate_fault cmdi_extensions_parse(
        struct cmdi_der from, struct cmdi_certificate *certificate)
{
    struct cmdi_der extensions;
    unsigned seen = 0;
    int count = 0;
    if (!cmdi_der_take(&from, CMDI_DER_SEQUENCE, &extensions) || !cmdi_der_is_empty(from) ||
            cmdi_der_is_empty(extensions)) {
        return CMDI_CERTIFICATE_BROKEN;
    }
    while (!cmdi_der_is_empty(extensions)) {
        if (++count > CMDI_CERTIFICATE_EXTENSIONS_MAX) {
            certificate->part = "extensions";
            return CMDI_CERTIFICATE_TOO_MANY;
        }
        enum cmdi_certificate_fault fault = extension_read(&extensions, certificate, &seen);
        if (fault != CMDI_CERTIFICATE_OK) {
            return fault;
        }
    }
    return CMDI_CERTIFICATE_OK;
}

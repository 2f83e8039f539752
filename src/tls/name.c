/* SPDX-License-Identifier: MIT */
/*
 * Names, in two steps: everything is checked when a certificate is parsed; the text is made of what
 * was checked, and asserts it.
 *
 *     SEQUENCE                     the name
 *         SET                      a part of it: most have one attribute
 *             SEQUENCE
 *                 OID, a string    the attribute
 */
#include "tls/name.h"

#include <string.h>

#include "base/assert.h"
#include "common/utf8.h"
#include "tls/line.h"

enum {
    ARC_SIZE_MAX = 9, // Bytes of one number of an OID: 63 bits.
};

struct attribute {
    struct cmdi_der type, value, element; // `element`: tag, length and value.
    uint8_t tag;
};

/* Types of attributes that have a name of their own: RFC 4514, and two that are common. */
static const struct {
    struct cmds_string oid;
    const char *name;
} types[] = {
        {{"\x55\x04\x03", 3}, "CN"},
        {{"\x55\x04\x07", 3}, "L"},
        {{"\x55\x04\x08", 3}, "ST"},
        {{"\x55\x04\x0a", 3}, "O"},
        {{"\x55\x04\x0b", 3}, "OU"},
        {{"\x55\x04\x06", 3}, "C"},
        {{"\x55\x04\x09", 3}, "STREET"},
        {{"\x55\x04\x05", 3}, "serialNumber"},
        {{"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19", 10}, "DC"},
        {{"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x01", 10}, "UID"},
        {{"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01", 9}, "emailAddress"},
};

/* Strings of one byte a character. All but Teletex are ASCII, and not all keep to it. */
static bool is_byte_string(uint8_t tag)
{
    switch (tag) {
    case CMDI_DER_NUMERIC_STRING:
    case CMDI_DER_PRINTABLE_STRING:
    case CMDI_DER_TELETEX_STRING:
    case CMDI_DER_IA5_STRING:
    case CMDI_DER_VISIBLE_STRING:
        return true;
    default:
        return false;
    }
}

static bool is_text(uint8_t tag)
{
    return tag == CMDI_DER_UTF8_STRING || is_byte_string(tag);
}

/* The character here: its bytes; 0: one byte that is none in this type of string. */
static unsigned character_size(const uint8_t *at, const uint8_t *end, uint8_t tag)
{
    if (tag == CMDI_DER_UTF8_STRING) {
        return cmdi_utf8_size(at, end);
    }
    return *at < 0x80 ? 1 : 0;
}

/* Of ASCII, or of those that come after it, U+0080 to U+009F. */
static bool is_control(const uint8_t *at, unsigned size)
{
    return (size == 1 && (*at < 0x20 || *at == 0x7f)) ||
           (size == 2 && at[0] == 0xc2 && at[1] < 0xa0);
}

/* ---- Checking -------------------------------------------------------------------------------- */

static bool attribute_next(struct cmdi_der *set, struct attribute *attribute)
{
    struct cmdi_der content;
    if (!cmdi_der_take(set, CMDI_DER_SEQUENCE, &content) ||
            !cmdi_der_take_oid(&content, &attribute->type)) {
        return false;
    }
    attribute->element = content;
    return cmdi_der_next(&content, &attribute->tag, &attribute->value) &&
           cmdi_der_is_empty(content);
}

/* Can each number of it be written? */
static bool type_is_right(struct cmdi_der type)
{
    int size = 0;
    for (const uint8_t *at = type.at; at < type.end; at++) {
        if (++size > ARC_SIZE_MAX) {
            return false;
        }
        size = *at < 0x80 ? 0 : size;
    }
    return true;
}

/* *is_clean: it is one line of ASCII or UTF-8. */
static enum cmdi_certificate_fault text_check(
        const struct attribute *attribute, bool *is_clean, bool *has_control)
{
    const uint8_t *end = attribute->value.end;
    *is_clean = true;
    *has_control = false;
    for (const uint8_t *at = attribute->value.at; at < end;) {
        unsigned size = character_size(at, end, attribute->tag);
        if (*at == '\0') {
            return CMDI_CERTIFICATE_NUL_IN_NAME;
        }
        if (size == 0 && attribute->tag == CMDI_DER_UTF8_STRING) {
            return CMDI_CERTIFICATE_BROKEN;
        }
        *is_clean &= size > 0;
        *has_control |= is_control(at, size);
        at += size > 0 ? size : 1;
    }
    return CMDI_CERTIFICATE_OK;
}

static enum cmdi_certificate_fault attribute_check(
        const struct attribute *attribute, struct cmds_string *common_name)
{
    bool is_clean = false, has_control = false;
    bool is_common_name = cmdi_der_equal(attribute->type, types[0].oid);
    if (!type_is_right(attribute->type)) {
        return CMDI_CERTIFICATE_BROKEN;
    }
    if (is_text(attribute->tag)) {
        enum cmdi_certificate_fault fault = text_check(attribute, &is_clean, &has_control);
        if (fault != CMDI_CERTIFICATE_OK) {
            return fault;
        }
    }
    if (is_common_name && has_control) {
        return CMDI_CERTIFICATE_BAD_CHARACTER;
    }
    if (is_common_name) {
        *common_name = (struct cmds_string){"", 0};
    }
    if (is_common_name && is_clean) {
        *common_name = (struct cmds_string){
                (const char *)attribute->value.at, cmdi_der_size(attribute->value)};
    }
    return CMDI_CERTIFICATE_OK;
}

enum cmdi_certificate_fault cmdi_name_parse(
        struct cmdi_der *from, struct cmds_bytes *name, struct cmds_string *common_name)
{
    struct cmdi_der content, set;
    int count = 0;
    if (!cmdi_der_take(from, CMDI_DER_SEQUENCE, &content)) {
        return CMDI_CERTIFICATE_BROKEN;
    }
    *name = cmdi_der_bytes(content);
    *common_name = (struct cmds_string){"", 0};
    while (!cmdi_der_is_empty(content)) {
        if (!cmdi_der_take(&content, CMDI_DER_SET, &set) || cmdi_der_is_empty(set)) {
            return CMDI_CERTIFICATE_BROKEN;
        }
        while (!cmdi_der_is_empty(set)) {
            struct attribute attribute;
            if (++count > CMDI_CERTIFICATE_NAME_PARTS_MAX) {
                return CMDI_CERTIFICATE_TOO_MANY;
            }
            if (!attribute_next(&set, &attribute)) {
                return CMDI_CERTIFICATE_BROKEN;
            }
            enum cmdi_certificate_fault fault = attribute_check(&attribute, common_name);
            if (fault != CMDI_CERTIFICATE_OK) {
                return fault;
            }
        }
    }
    return CMDI_CERTIFICATE_OK;
}

/* ---- Text ------------------------------------------------------------------------------------ */

static void put_hex(struct cmdi_line *line, const char *before, uint8_t byte)
{
    static const char digits[] = "0123456789ABCDEF";
    char piece[4] = {before[0], digits[byte >> 4], digits[byte & 15], '\0'};
    cmdi_line_text(line, before[0] != '\0' ? piece : piece + 1);
}

/* Dotted decimal. The first number holds the first two. */
static void put_oid(struct cmdi_line *line, struct cmdi_der oid)
{
    uint64_t number = 0;
    bool is_first = true;
    for (const uint8_t *at = oid.at; at < oid.end; at++) {
        number = number << 7 | (*at & 0x7f);
        if (*at >= 0x80) {
            continue;
        }
        if (is_first) {
            uint64_t root = number < 80 ? number / 40 : 2;
            cmdi_line_number(line, root);
            number -= root * 40;
            is_first = false;
        }
        cmdi_line_text(line, ".");
        cmdi_line_number(line, number);
        number = 0;
    }
}

/* Must it have a backslash? `index`: of its first byte in `value`. */
static bool is_special(struct cmdi_der value, const uint8_t *at)
{
    bool is_first = at == value.at, is_last = at + 1 == value.end;
    return strchr("\"+,;<>\\", *at) != NULL || (*at == '#' && is_first) ||
           (*at == ' ' && (is_first || is_last));
}

static void put_value(struct cmdi_line *line, const struct attribute *attribute)
{
    struct cmdi_der value = attribute->value;
    for (const uint8_t *at = value.at; at < value.end;) {
        unsigned size = character_size(at, value.end, attribute->tag);
        CMDI_ASSERT(*at != '\0');
        if (size == 0 || is_control(at, size)) {
            size = size > 0 ? size : 1;
            for (unsigned i = 0; i < size; i++) {
                put_hex(line, "\\", at[i]);
            }
        } else {
            char piece[5] = {'\\'};
            memcpy(piece + 1, at, size);
            bool is_escaped = size == 1 && is_special(value, at);
            cmdi_line_put(line, is_escaped ? piece : piece + 1, size + is_escaped);
        }
        at += size;
    }
}

static void put_attribute(struct cmdi_line *line, const struct attribute *attribute)
{
    const char *name = NULL;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (cmdi_der_equal(attribute->type, types[i].oid)) {
            name = types[i].name;
        }
    }
    if (name != NULL) {
        cmdi_line_text(line, name);
    } else {
        put_oid(line, attribute->type);
    }
    cmdi_line_text(line, "=");
    if (name != NULL && is_text(attribute->tag)) {
        put_value(line, attribute);
        return;
    }
    cmdi_line_text(line, "#");
    for (const uint8_t *at = attribute->element.at; at < attribute->element.end; at++) {
        put_hex(line, "", *at);
    }
}

size_t cmdi_name_text(struct cmds_bytes name, char *out, size_t size)
{
    struct cmdi_line line = cmdi_line_begin(out, size);
    struct cmdi_der content = cmdi_der_of(name);
    struct cmdi_der sets[CMDI_CERTIFICATE_NAME_PARTS_MAX];
    size_t count = 0;
    while (!cmdi_der_is_empty(content)) {
        CMDI_ASSERT(count < CMDI_CERTIFICATE_NAME_PARTS_MAX);
        bool is_set = cmdi_der_take(&content, CMDI_DER_SET, &sets[count++]);
        CMDI_ASSERT(is_set);
    }
    for (size_t i = count; i > 0; i--) {
        struct cmdi_der set = sets[i - 1];
        const char *between = i == count ? "" : ",";
        while (!cmdi_der_is_empty(set)) {
            struct attribute attribute;
            bool is_attribute = attribute_next(&set, &attribute);
            CMDI_ASSERT(is_attribute);
            cmdi_line_text(&line, between);
            put_attribute(&line, &attribute);
            between = "+";
        }
    }
    return line.length;
}

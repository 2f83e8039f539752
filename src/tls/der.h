/* SPDX-License-Identifier: MIT */
/*
 * DER: tag, length, content. Bytes in, slices of them out; no memory, no recursion, any thread.
 *
 * Nothing is believed. A length is definite, in its shortest form, below 64 KiB and within what holds
 * it; a tag has one byte. A reader that has refused something has not moved.
 */
#ifndef CMDI_TLS_DER_H
#define CMDI_TLS_DER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmdstream/base.h>

#include "base/assert.h"

/** Tags, with the bit that says that there are elements inside. */
enum {
    CMDI_DER_BOOLEAN = 0x01,
    CMDI_DER_INTEGER = 0x02,
    CMDI_DER_BIT_STRING = 0x03,
    CMDI_DER_OCTET_STRING = 0x04,
    CMDI_DER_NULL = 0x05,
    CMDI_DER_OID = 0x06,
    CMDI_DER_UTF8_STRING = 0x0c,
    CMDI_DER_NUMERIC_STRING = 0x12,
    CMDI_DER_PRINTABLE_STRING = 0x13,
    CMDI_DER_TELETEX_STRING = 0x14,
    CMDI_DER_IA5_STRING = 0x16,
    CMDI_DER_UTC_TIME = 0x17,
    CMDI_DER_GENERALIZED_TIME = 0x18,
    CMDI_DER_VISIBLE_STRING = 0x1a,
    CMDI_DER_SEQUENCE = 0x30,
    CMDI_DER_SET = 0x31,
    CMDI_DER_CONTEXT = 0x80, // | the number of an implicit tag.
    CMDI_DER_CONTEXT_CONSTRUCTED = 0xa0,
};

/** What is still to be read; or what an element holds. Borrows the certificate. */
struct cmdi_der {
    const uint8_t *at, *end;
};

static inline size_t cmdi_der_size(struct cmdi_der der)
{
    CMDI_ASSERT(der.at <= der.end);
    return (size_t)(der.end - der.at);
}

static inline bool cmdi_der_is_empty(struct cmdi_der der)
{
    return der.at == der.end;
}

static inline struct cmdi_der cmdi_der_of(struct cmds_bytes bytes)
{
    const uint8_t *data = bytes.data;
    return (struct cmdi_der){data, bytes.size > 0 ? data + bytes.size : data};
}

static inline struct cmds_bytes cmdi_der_bytes(struct cmdi_der der)
{
    return (struct cmds_bytes){der.at, cmdi_der_size(der)};
}

/** Has it exactly these bytes? */
static inline bool cmdi_der_equal(struct cmdi_der der, struct cmds_string bytes)
{
    return cmds_string_equal((struct cmds_string){(const char *)der.at, cmdi_der_size(der)}, bytes);
}

/** Does an element with this tag come next? */
static inline bool cmdi_der_is_next(struct cmdi_der from, uint8_t tag)
{
    return !cmdi_der_is_empty(from) && *from.at == tag;
}

/** Reads the next element, whatever it is. Returns: false: there is no whole one. */
bool cmdi_der_next(struct cmdi_der *from, uint8_t *tag, struct cmdi_der *content);
/** The same, and its tag must be this one. */
bool cmdi_der_take(struct cmdi_der *from, uint8_t tag, struct cmdi_der *content);
/** An OID in its shortest form: its bytes. */
bool cmdi_der_take_oid(struct cmdi_der *from, struct cmdi_der *oid);
/** An INTEGER of either sign, in its shortest form: its bytes. */
bool cmdi_der_take_integer(struct cmdi_der *from, struct cmdi_der *bytes);
/** An INTEGER that is not negative, in its shortest form: its bytes without a leading zero. */
bool cmdi_der_take_unsigned(struct cmdi_der *from, struct cmdi_der *bytes);
/** BOOLEAN. An explicit false is not DER where false is the default, and yet it is seen: taken. */
bool cmdi_der_take_boolean(struct cmdi_der *from, bool *value);
/** A BIT STRING whose bits fill its bytes. */
bool cmdi_der_take_octets(struct cmdi_der *from, struct cmdi_der *bytes);
/** A BIT STRING of flags: bit i of the string is bit 15 - i of *flags; those from 16 on are gone. */
bool cmdi_der_take_flags(struct cmdi_der *from, uint16_t *flags);
/** UTCTime or GeneralizedTime, to the second and in UTC: seconds since 1970, or before it. */
bool cmdi_der_take_time(struct cmdi_der *from, int64_t *seconds);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * DER, one element at a time.
 *
 * Each function works on a copy of the reader and stores it when all was right, so that a caller who
 * tries something else next finds the reader where it was.
 */
#include "tls/der.h"

enum {
    TAG_NUMBER_MASK = 0x1f, // All of its bits set: the number follows in bytes of its own.
    LENGTH_LONG = 0x80,
};

/* Returns: false: indefinite, not the shortest form, 64 KiB or more, or cut. */
static bool der_length(struct cmdi_der *from, size_t *length)
{
    if (cmdi_der_is_empty(*from)) {
        return false;
    }
    uint8_t first = *from->at++;
    if (first < LENGTH_LONG) {
        *length = first;
        return true;
    }
    if (first == LENGTH_LONG + 1 && cmdi_der_size(*from) >= 1) {
        *length = from->at[0];
        from->at += 1;
        return *length >= LENGTH_LONG;
    }
    if (first == LENGTH_LONG + 2 && cmdi_der_size(*from) >= 2) {
        *length = (size_t)from->at[0] << 8 | from->at[1];
        from->at += 2;
        return *length > UINT8_MAX;
    }
    return false;
}

bool cmdi_der_next(struct cmdi_der *from, uint8_t *tag, struct cmdi_der *content)
{
    struct cmdi_der rest = *from;
    size_t length = 0;
    if (cmdi_der_is_empty(rest)) {
        return false;
    }
    uint8_t first = *rest.at++;
    if ((first & TAG_NUMBER_MASK) == TAG_NUMBER_MASK || !der_length(&rest, &length) ||
            length > cmdi_der_size(rest)) {
        return false;
    }
    *tag = first;
    *content = (struct cmdi_der){rest.at, rest.at + length};
    from->at = rest.at + length;
    return true;
}

bool cmdi_der_take(struct cmdi_der *from, uint8_t tag, struct cmdi_der *content)
{
    uint8_t found = 0;
    return cmdi_der_is_next(*from, tag) && cmdi_der_next(from, &found, content);
}

bool cmdi_der_take_oid(struct cmdi_der *from, struct cmdi_der *oid)
{
    struct cmdi_der rest = *from, content;
    if (!cmdi_der_take(&rest, CMDI_DER_OID, &content) || cmdi_der_is_empty(content) ||
            content.end[-1] >= 0x80) {
        return false;
    }
    bool is_first = true; // Of the bytes of one number.
    for (const uint8_t *at = content.at; at < content.end; at++) {
        if (is_first && *at == 0x80) {
            return false;
        }
        is_first = *at < 0x80;
    }
    *oid = content;
    *from = rest;
    return true;
}

bool cmdi_der_take_integer(struct cmdi_der *from, struct cmdi_der *bytes)
{
    struct cmdi_der rest = *from, content;
    if (!cmdi_der_take(&rest, CMDI_DER_INTEGER, &content) || cmdi_der_is_empty(content)) {
        return false;
    }
    if (cmdi_der_size(content) > 1) { // A first byte that only repeats the sign is one too many.
        bool is_negative = content.at[1] >= 0x80;
        if (content.at[0] == (is_negative ? 0xff : 0x00)) {
            return false;
        }
    }
    *bytes = content;
    *from = rest;
    return true;
}

bool cmdi_der_take_unsigned(struct cmdi_der *from, struct cmdi_der *bytes)
{
    struct cmdi_der rest = *from, content;
    if (!cmdi_der_take_integer(&rest, &content) || *content.at >= 0x80) {
        return false;
    }
    if (*content.at == 0 && cmdi_der_size(content) > 1) {
        content.at++; // It was there for the sign.
    }
    *bytes = content;
    *from = rest;
    return true;
}

bool cmdi_der_take_boolean(struct cmdi_der *from, bool *value)
{
    struct cmdi_der rest = *from, content;
    if (!cmdi_der_take(&rest, CMDI_DER_BOOLEAN, &content) || cmdi_der_size(content) != 1 ||
            (*content.at != 0x00 && *content.at != 0xff)) {
        return false;
    }
    *value = *content.at != 0;
    *from = rest;
    return true;
}

/* A BIT STRING and how many bits of its last byte do not count; those must be zero. */
static bool der_take_bits(struct cmdi_der *from, struct cmdi_der *bytes, unsigned *unused)
{
    struct cmdi_der content;
    if (!cmdi_der_take(from, CMDI_DER_BIT_STRING, &content) || cmdi_der_is_empty(content)) {
        return false;
    }
    *unused = *content.at++;
    *bytes = content;
    if (cmdi_der_is_empty(content)) {
        return *unused == 0;
    }
    return *unused < 8 && (content.end[-1] & ((1u << *unused) - 1)) == 0;
}

bool cmdi_der_take_octets(struct cmdi_der *from, struct cmdi_der *bytes)
{
    struct cmdi_der rest = *from, content;
    unsigned unused = 0;
    if (!der_take_bits(&rest, &content, &unused) || unused != 0) {
        return false;
    }
    *bytes = content;
    *from = rest;
    return true;
}

bool cmdi_der_take_flags(struct cmdi_der *from, uint16_t *flags)
{
    struct cmdi_der rest = *from, content;
    unsigned unused = 0;
    if (!der_take_bits(&rest, &content, &unused)) {
        return false;
    }
    size_t size = cmdi_der_size(content);
    unsigned first = size > 0 ? content.at[0] : 0, second = size > 1 ? content.at[1] : 0;
    *flags = (uint16_t)(first << 8 | second);
    *from = rest;
    return true;
}

/* ---- Time ----------------------------------------------------------------------------------- */

/* Two digits, or -1. */
static int two_digits(const uint8_t *at)
{
    bool are_digits = at[0] >= '0' && at[0] <= '9' && at[1] >= '0' && at[1] <= '9';
    return are_digits ? (at[0] - '0') * 10 + (at[1] - '0') : -1;
}

static bool is_leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int days_of_month(int year, int month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    CMDI_ASSERT(month >= 1 && month <= 12);
    return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

/* Days from 1970-01-01 to the first of this month. */
static int64_t days_before(int year, int month)
{
    static const uint16_t days[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    CMDI_ASSERT(year >= 0 && year <= 9999 && month >= 1 && month <= 12);
    int past = year > 0 ? year - 1 : 0; // The last leap day of those years; year 0 is one itself.
    int leap_days = past / 4 - past / 100 + past / 400 + (year > 0);
    int64_t since_year_0 = (int64_t)year * 365 + leap_days + days[month - 1];
    return since_year_0 + (month > 2 && is_leap(year)) - 719528;
}

/* MMDDHHMMSSZ behind the year. */
static bool time_of_year(const uint8_t *at, int year, int64_t *seconds)
{
    int month = two_digits(at), day = two_digits(at + 2);
    int hour = two_digits(at + 4), minute = two_digits(at + 6), second = two_digits(at + 8);
    if (month < 1 || month > 12 || day < 1 || day > days_of_month(year, month) || hour < 0 ||
            hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59 || at[10] != 'Z') {
        return false;
    }
    int64_t days = days_before(year, month) + day - 1;
    *seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
    return true;
}

bool cmdi_der_take_time(struct cmdi_der *from, int64_t *seconds)
{
    enum {
        REST_SIZE = 11, // MMDDHHMMSSZ
        UTC_SIZE = 2 + REST_SIZE,
        GENERALIZED_SIZE = 4 + REST_SIZE
    };
    struct cmdi_der rest = *from, content;
    uint8_t tag = 0;
    int year = -1;
    if (!cmdi_der_next(&rest, &tag, &content)) {
        return false;
    }
    if (tag == CMDI_DER_UTC_TIME && cmdi_der_size(content) == UTC_SIZE) {
        int short_year = two_digits(content.at);
        year = short_year < 0 ? -1 : short_year + (short_year < 50 ? 2000 : 1900);
    } else if (tag == CMDI_DER_GENERALIZED_TIME && cmdi_der_size(content) == GENERALIZED_SIZE) {
        int century = two_digits(content.at), short_year = two_digits(content.at + 2);
        year = century < 0 || short_year < 0 ? -1 : century * 100 + short_year;
    }
    if (year < 0 || !time_of_year(content.end - REST_SIZE, year, seconds)) {
        return false;
    }
    *from = rest;
    return true;
}

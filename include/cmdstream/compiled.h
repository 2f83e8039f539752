/* SPDX-License-Identifier: MIT */
/*
 * The code of a schema: what its rows say is known where it is declared, so the compiler makes of each struct the
 * instructions that read and write it in msgpack: two thirds of those that a walk over the rows takes. The rows stay
 * what all else follows.
 *
 * The code takes the struct as an array, member by member, until one is of another kind than a number, a string or
 * bytes, is written as others write it, or breaks a limit. From there the library goes on by the rows: so whatever is
 * odd is judged in one place alone, and a value that the code takes is the one that the rows would have taken.
 *
 * Nothing in here is for programs: the macros of schema.h use it, and the library itself for the rows. There is no
 * code, and the library goes by the rows, for a schema made by hand, one of more than 15 fields, without
 * optimization, and where CMDS_NO_COMPILED_CODEC is defined before the first header of ours. For each member of a struct
 * that a source file uses, code takes gcc 8 ms and 330 bytes. A mistake that is mended in here reaches a program
 * when that is compiled again; a library that means something else by the code has other members for it, and the
 * size of the schema says which ones are there. No state, any thread.
 */
#ifndef CMDSTREAM_COMPILED_H
#define CMDSTREAM_COMPILED_H

#include <cmdstream/schema.h>

#include <string.h>

CMDS_BEGIN_

#define CMDS_INLINED_       static inline __attribute__((always_inline))
#define CMDS_LIKELY_(fact)  __builtin_expect(!!(fact), 1)
#define CMDS_RARELY_(fact)  __builtin_expect(!!(fact), 0)
#define CMDS_U8_(value)     CMDS_CAST_(uint8_t, (value))
#define CMDS_BYTES_(memory) CMDS_CAST_(uint8_t *, memory)

/* First bytes of items; see the format's specification. */
enum {
    CMDS_HEAD_FIXMAP_ = 0x80,
    CMDS_HEAD_FIXARRAY_ = 0x90,
    CMDS_HEAD_FIXSTR_ = 0xa0,
    CMDS_HEAD_NIL_ = 0xc0,
    CMDS_HEAD_FALSE_ = 0xc2,
    CMDS_HEAD_BIN8_ = 0xc4,
    CMDS_HEAD_BIN32_ = 0xc6,
    CMDS_HEAD_FLOAT32_ = 0xca,
    CMDS_HEAD_FLOAT64_ = 0xcb,
    CMDS_HEAD_UINT8_ = 0xcc,
    CMDS_HEAD_INT8_ = 0xd0,
    CMDS_HEAD_INT64_ = 0xd3,
    CMDS_HEAD_STR8_ = 0xd9,
    CMDS_HEAD_STR32_ = 0xdb,
    CMDS_HEAD_ARRAY16_ = 0xdc,
    CMDS_HEAD_MAP16_ = 0xde,
    CMDS_HEAD_FIXNEGATIVE_ = 0xe0
};
enum {
    CMDS_ITEM_ROOM_ = 9, // The longest number. What is stored behind an item is the next one's.
    CMDS_COMPILED_ROWS_ = 15, // The count of more than so many is not in the first byte.
    CMDS_WORD_ = 8,
    CMDS_FLOAT32_EXPONENT_ = 0x7f800000
};

#define CMDS_NOT_BEGUN_ SIZE_MAX // No row was taken: whatever was stored, all of it begins anew.

/** Has the schema code of its own? */
CMDS_INLINED_ bool cmds_has_code_(const struct cmds_schema *schema)
{
    return CMDS_LIKELY_(schema->compiled.of == schema);
}

/* --- Words ------------------------------------------------------------------------------------ */

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define CMDS_TURNED_(width, word) __builtin_bswap##width(word)
#else
#define CMDS_TURNED_(width, word) (word)
#endif
#define CMDS_WORD_OF_(width)                                                                       \
    CMDS_INLINED_ uint##width##_t cmds_load_##width##_(const uint8_t *from)                        \
    {                                                                                              \
        uint##width##_t word;                                                                      \
        memcpy(&word, from, sizeof(word));                                                         \
        return CMDS_TURNED_(width, word);                                                          \
    }                                                                                              \
    CMDS_INLINED_ void cmds_store_##width##_(uint8_t *to, uint##width##_t value)                   \
    {                                                                                              \
        uint##width##_t word = CMDS_TURNED_(width, value);                                         \
        memcpy(to, &word, sizeof(word));                                                           \
    }
CMDS_WORD_OF_(16)
CMDS_WORD_OF_(32)
CMDS_WORD_OF_(64)

/* The members of integer kinds. Their widths follow from the order of the kinds. */
CMDS_INLINED_ unsigned cmds_width_of_(unsigned kind)
{
    return 1u << (kind < CMDS_KIND_U8 ? kind - CMDS_KIND_I8 : kind - CMDS_KIND_U8);
}

CMDS_INLINED_ void cmds_store_integer_(uint8_t *to, unsigned width, uint64_t bits)
{
    uint16_t two = CMDS_CAST_(uint16_t, bits);
    uint32_t four = CMDS_CAST_(uint32_t, bits);
    switch (width) {
    case 1:
        *to = CMDS_U8_(bits);
        break;
    case 2:
        memcpy(to, &two, sizeof(two));
        break;
    case 4:
        memcpy(to, &four, sizeof(four));
        break;
    default:
        memcpy(to, &bits, sizeof(bits));
    }
}

CMDS_INLINED_ uint64_t cmds_load_integer_(const uint8_t *from, unsigned width)
{
    uint16_t two;
    uint32_t four;
    uint64_t bits;
    switch (width) {
    case 1:
        return *from;
    case 2:
        memcpy(&two, from, sizeof(two));
        return two;
    case 4:
        memcpy(&four, from, sizeof(four));
        return four;
    default:
        memcpy(&bits, from, sizeof(bits));
        return bits;
    }
}

/* --- Reading ---------------------------------------------------------------------------------- */

/*
 * All functions below get the place behind the first byte of an item, and return the place behind all of it, or NULL.
 */

/* The next bytes, of which there are one to seven, with zeros behind them: two loads that overlap. */
CMDS_UNUSED_ static __attribute__((noinline)) uint64_t cmds_last_word_(
        const uint8_t *at, const uint8_t *end)
{
    size_t size = CMDS_CAST_(size_t, end - at);
    uint64_t first, last;
    if (size >= 4) {
        first = CMDS_CAST_(uint64_t, cmds_load_32_(at)) << 32;
        last = cmds_load_32_(end - 4);
    } else if (size >= 2) {
        first = CMDS_CAST_(uint64_t, cmds_load_16_(at)) << 48;
        last = cmds_load_16_(end - 2);
    } else {
        return CMDS_CAST_(uint64_t, *at) << 56;
    }
    return first | last << (64 - 8 * size);
}

/* The next `width` bytes, at least, in the upper end of the word. Returns: false: they are not there. */
CMDS_INLINED_ bool cmds_see_word_(
        const uint8_t *at, const uint8_t *end, unsigned width, uint64_t *word)
{
    if (CMDS_LIKELY_(end - at >= CMDS_WORD_)) {
        *word = cmds_load_64_(at);
        return true;
    }
    if (end - at < CMDS_CAST_(ptrdiff_t, width)) {
        return false;
    }
    *word = cmds_last_word_(at, end);
    return true;
}

/*
 * An integer that is longer than its first byte: its 64 bits, and all ones if its form has a sign. The width is the last two
 * bits of the first byte, and the next one says whether there is a sign: no branch depends on the value.
 */
CMDS_INLINED_ const uint8_t *cmds_take_integer_(
        const uint8_t *at, const uint8_t *end, uint8_t head, uint64_t *bits, uint64_t *has_sign)
{
    unsigned form = head - CMDS_CAST_(unsigned, CMDS_HEAD_UINT8_), bit_count = 8u << (form & 3);
    unsigned width = bit_count / 8, shift = -bit_count & 63;
    uint64_t word = 0;
    if (CMDS_RARELY_(form > CMDS_HEAD_INT64_ - CMDS_HEAD_UINT8_ ||
                     !cmds_see_word_(at, end, width, &word))) {
        return CMDS_NULL_;
    }
    uint64_t plain = word >> shift;
    uint64_t extended = CMDS_CAST_(uint64_t, CMDS_CAST_(int64_t, word) >> shift);
    *has_sign = -CMDS_CAST_(uint64_t, form >> 2);
    *bits = plain ^ ((plain ^ extended) & *has_sign);
    return at + width;
}

CMDS_INLINED_ const uint8_t *cmds_take_signed_(const uint8_t *at, const uint8_t *end, uint8_t head,
        int64_t min, int64_t max, int64_t *value)
{
    uint64_t bits = 0, has_sign = 0; // For gcc -Og.
    *value = CMDS_CAST_(int8_t, head);
    if (*value >= -32) {
        return at;
    }
    at = cmds_take_integer_(at, end, head, &bits, &has_sign);
    if (CMDS_RARELY_(at == CMDS_NULL_)) {
        return CMDS_NULL_;
    }
    *value = CMDS_CAST_(int64_t, bits);
    bool fits = CMDS_CAST_(int64_t, bits & ~has_sign) >= 0 && *value >= min && *value <= max;
    return CMDS_LIKELY_(fits) ? at : CMDS_NULL_;
}

CMDS_INLINED_ const uint8_t *cmds_take_unsigned_(
        const uint8_t *at, const uint8_t *end, uint8_t head, uint64_t max, uint64_t *value)
{
    uint64_t has_sign = 0;
    *value = head;
    if (head < CMDS_HEAD_FIXMAP_) {
        return at;
    }
    at = cmds_take_integer_(at, end, head, value, &has_sign);
    if (CMDS_RARELY_(at == CMDS_NULL_)) {
        return CMDS_NULL_;
    }
    bool fits = CMDS_CAST_(int64_t, *value & has_sign) >= 0 && *value <= max;
    return CMDS_LIKELY_(fits) ? at : CMDS_NULL_;
}

/* The length of a str or a bin, all of which is there. `wide`: the form that is expected. */
CMDS_INLINED_ const uint8_t *cmds_take_length_(
        const uint8_t *at, const uint8_t *end, uint8_t head, unsigned wide, size_t *size)
{
    const unsigned other = wide == CMDS_HEAD_STR8_ ? CMDS_HEAD_BIN8_ : CMDS_HEAD_STR8_;
    *size = head & 0x1f;
    if ((head & 0xe0) != CMDS_HEAD_FIXSTR_) {
        unsigned form = head - wide;
        if (CMDS_RARELY_(form > 2)) {
            form = head - other;
        }
        unsigned width = 1u << (form & 3);
        uint64_t word = 0;
        if (CMDS_RARELY_(form > 2 || !cmds_see_word_(at, end, width, &word))) {
            return CMDS_NULL_;
        }
        *size = word >> (64 - 8 * width);
        at += width;
    }
    return CMDS_LIKELY_(CMDS_CAST_(size_t, end - at) >= *size) ? at : CMDS_NULL_;
}

CMDS_INLINED_ const uint8_t *cmds_take_span_(const uint8_t *at, const uint8_t *end, uint8_t head,
        unsigned wide, uint32_t size_max, uint8_t *to)
{
    struct cmds_bytes span;
    at = cmds_take_length_(at, end, head, wide, &span.size);
    if (CMDS_RARELY_(at == CMDS_NULL_ || (size_max != 0 && span.size > size_max))) {
        return CMDS_NULL_;
    }
    span.data = at;
    memcpy(to, &span, sizeof(span));
    return at + span.size;
}

CMDS_INLINED_ const uint8_t *cmds_take_float_(
        const uint8_t *at, const uint8_t *end, uint8_t head, uint8_t *to)
{
    if (head != CMDS_HEAD_FLOAT32_ || end - at < 4) {
        return CMDS_NULL_;
    }
    uint32_t word = cmds_load_32_(at);
    if ((word & CMDS_FLOAT32_EXPONENT_) == CMDS_FLOAT32_EXPONENT_) {
        return CMDS_NULL_; // Of NaN the general reader keeps not every bit.
    }
    memcpy(to, &word, sizeof(word));
    return at + sizeof(word);
}

CMDS_INLINED_ const uint8_t *cmds_take_double_(
        const uint8_t *at, const uint8_t *end, uint8_t head, uint8_t *to)
{
    if (CMDS_RARELY_(head != CMDS_HEAD_FLOAT64_ || end - at < CMDS_WORD_)) {
        return CMDS_NULL_;
    }
    uint64_t word = cmds_load_64_(at);
    memcpy(to, &word, sizeof(word));
    return at + sizeof(word);
}

/** What needs no memory. `kind` is a constant wherever this is called. NULL: no such kind, too. */
CMDS_INLINED_ const uint8_t *cmds_take_(const uint8_t *at, const uint8_t *end, uint8_t head,
        unsigned kind, uint32_t size_max, uint8_t *to)
{
    if (kind == CMDS_KIND_BOOL) {
        *to = head & 1;
        return CMDS_LIKELY_((head & 0xfe) == CMDS_HEAD_FALSE_) ? at : CMDS_NULL_;
    }
    if (kind >= CMDS_KIND_I8 && kind <= CMDS_KIND_I64) {
        const unsigned width = cmds_width_of_(kind);
        const int64_t max = INT64_MAX >> (64 - 8 * width);
        int64_t number;
        at = cmds_take_signed_(at, end, head, -max - 1, max, &number);
        if (CMDS_LIKELY_(at != CMDS_NULL_)) {
            cmds_store_integer_(to, width, CMDS_CAST_(uint64_t, number));
        }
        return at;
    }
    if (kind >= CMDS_KIND_U8 && kind <= CMDS_KIND_U64) {
        const unsigned width = cmds_width_of_(kind);
        uint64_t number;
        at = cmds_take_unsigned_(at, end, head, UINT64_MAX >> (64 - 8 * width), &number);
        if (CMDS_LIKELY_(at != CMDS_NULL_)) {
            cmds_store_integer_(to, width, number);
        }
        return at;
    }
    if (kind == CMDS_KIND_F32) {
        return cmds_take_float_(at, end, head, to);
    }
    if (kind == CMDS_KIND_F64) {
        return cmds_take_double_(at, end, head, to);
    }
    if (kind == CMDS_KIND_STRING || kind == CMDS_KIND_BYTES) {
        const unsigned wide = kind == CMDS_KIND_STRING ? CMDS_HEAD_STR8_ : CMDS_HEAD_BIN8_;
        return cmds_take_span_(at, end, head, wide, size_max, to);
    }
    return CMDS_NULL_;
}

CMDS_INLINED_ bool cmds_read_begin_(struct cmds_read_ *place, const uint8_t *end, size_t count)
{
    if (CMDS_RARELY_(place->at == end || *place->at != (CMDS_HEAD_FIXARRAY_ | count))) {
        return false;
    }
    place->at++;
    place->left = count;
    return true;
}

CMDS_INLINED_ bool cmds_read_row_(
        struct cmds_read_ *place, const uint8_t *end, unsigned kind, uint32_t size_max, uint8_t *to)
{
    const uint8_t *at = CMDS_NULL_;
    if (CMDS_LIKELY_(place->at < end)) {
        at = cmds_take_(place->at + 1, end, *place->at, kind, size_max, to);
    }
    if (CMDS_RARELY_(at == CMDS_NULL_)) {
        return false;
    }
    place->at = at;
    place->left--;
    return true;
}

/* --- Writing ---------------------------------------------------------------------------------- */

/* One that is longer than its first byte. `number`: what is as long, without a sign. */
CMDS_INLINED_ uint8_t *cmds_put_wide_(uint8_t *out, uint64_t value, uint64_t number, unsigned head)
{
    if (number > UINT32_MAX) {
        *out = CMDS_U8_(head + 3);
        cmds_store_64_(out + 1, value);
        return out + 1 + CMDS_WORD_;
    }
    unsigned borders = CMDS_CAST_(unsigned, number > UINT8_MAX) + (number > UINT16_MAX);
    *out = CMDS_U8_(head + borders);
    cmds_store_32_(out + 1, CMDS_CAST_(uint32_t, value) << (24 - 8 * borders - 8 * (borders >> 1)));
    return out + 2 + borders + (borders >> 1);
}

/* Of numbers of every size the short ones and the longest ones are guessed. */
CMDS_INLINED_ uint8_t *cmds_put_unsigned_(uint8_t *out, uint64_t value)
{
    if (value < CMDS_HEAD_FIXMAP_) {
        *out = CMDS_U8_(value);
        return out + 1;
    }
    return cmds_put_wide_(out, value, value, CMDS_HEAD_UINT8_);
}

CMDS_INLINED_ uint8_t *cmds_put_signed_(uint8_t *out, int64_t value)
{
    uint64_t bits = CMDS_CAST_(uint64_t, value);
    if (bits + 32 < CMDS_HEAD_FIXMAP_ + 32) {
        *out = CMDS_U8_(value);
        return out + 1;
    }
    uint64_t sign = CMDS_CAST_(uint64_t, value >> 63), number = bits ^ sign;
    unsigned head_more = CMDS_CAST_(unsigned, sign &(CMDS_HEAD_INT8_ - CMDS_HEAD_UINT8_));
    return cmds_put_wide_(out, bits, number + (number & sign), CMDS_HEAD_UINT8_ + head_more);
}

CMDS_INLINED_ uint8_t *cmds_put_length_(uint8_t *out, size_t size, bool is_str)
{
    if (size <= UINT8_MAX) {
        bool is_wide = !is_str || size >= 32;
        unsigned wide = is_str ? CMDS_HEAD_STR8_ : CMDS_HEAD_BIN8_;
        out[0] = CMDS_U8_(is_wide ? wide : CMDS_HEAD_FIXSTR_ | size);
        out[1] = CMDS_U8_(size);
        return out + 1 + is_wide;
    }
    if (CMDS_LIKELY_(size <= UINT16_MAX)) {
        out[0] = is_str ? CMDS_HEAD_STR8_ + 1 : CMDS_HEAD_BIN8_ + 1;
        cmds_store_16_(out + 1, CMDS_CAST_(uint16_t, size));
        return out + 3;
    }
    out[0] = is_str ? CMDS_HEAD_STR32_ : CMDS_HEAD_BIN32_;
    cmds_store_32_(out + 1, CMDS_CAST_(uint32_t, size));
    return out + 5;
}

/* No length of the format has more than 32 bits. */
CMDS_INLINED_ uint64_t cmds_limit_of_(uint32_t size_max)
{
    return size_max != 0 ? size_max : UINT32_MAX;
}

/*
 * What has no fixed length ends before `border`, which may be in front of `out`, and leaves the rest to what
 * follows. Returns: NULL: it is refused, or has no room.
 */
CMDS_INLINED_ uint8_t *cmds_put_span_(uint8_t *out, const uint8_t *border, const void *data,
        size_t size, uint32_t size_max, bool is_str)
{
    if (CMDS_RARELY_(size > cmds_limit_of_(size_max) || CMDS_CAST_(int64_t, size) > border - out)) {
        return CMDS_NULL_;
    }
    out = cmds_put_length_(out, size, is_str);
    if (CMDS_RARELY_(data == CMDS_NULL_)) {
        return size == 0 ? out : CMDS_NULL_;
    }
    memcpy(out, data, size);
    return out + size;
}

/**
 * A row that is neither a list, a struct nor has a fixed size; NULL: that it is, too. `kind` is a constant wherever this
 * is called.
 */
CMDS_INLINED_ uint8_t *cmds_put_(
        uint8_t *out, const uint8_t *border, unsigned kind, const uint8_t *at, uint32_t size_max)
{
    if (kind == CMDS_KIND_BOOL) {
        *out = CMDS_U8_(CMDS_HEAD_FALSE_ + (*at != 0));
        return out + 1;
    }
    if (kind >= CMDS_KIND_I8 && kind <= CMDS_KIND_I64) {
        const unsigned width = cmds_width_of_(kind), unused = 64 - 8 * width;
        uint64_t upper = cmds_load_integer_(at, width) << unused;
        return cmds_put_signed_(out, CMDS_CAST_(int64_t, upper) >> unused);
    }
    if (kind >= CMDS_KIND_U8 && kind <= CMDS_KIND_U64) {
        return cmds_put_unsigned_(out, cmds_load_integer_(at, cmds_width_of_(kind)));
    }
    if (kind == CMDS_KIND_F32) {
        *out = CMDS_HEAD_FLOAT32_;
        cmds_store_32_(out + 1, CMDS_CAST_(uint32_t, cmds_load_integer_(at, 4)));
        return out + 1 + 4;
    }
    if (kind == CMDS_KIND_F64) {
        *out = CMDS_HEAD_FLOAT64_;
        cmds_store_64_(out + 1, cmds_load_integer_(at, 8));
        return out + 1 + 8;
    }
    if (kind == CMDS_KIND_STRING || kind == CMDS_KIND_BYTES) {
        struct cmds_bytes span;
        memcpy(&span, at, sizeof(span));
        return cmds_put_span_(
                out, border, span.data, span.size, size_max, kind == CMDS_KIND_STRING);
    }
    return CMDS_NULL_;
}

/* What a struct keeps at the end of its room: for each row an item, one for the count, and one to spare. */
CMDS_INLINED_ ptrdiff_t cmds_kept_(size_t field_count)
{
    return CMDS_ITEM_ROOM_ * (CMDS_CAST_(ptrdiff_t, field_count) + 2);
}

/**
 * Of a struct: each row may take CMDS_ITEM_ROOM_ bytes behind this place, without a look at what is left; what may
 * take more ends before it.
 */
CMDS_INLINED_ const uint8_t *cmds_border_(const uint8_t *end, size_t field_count)
{
    return end - cmds_kept_(field_count);
}

/** Returns: false: there is not so much room. */
CMDS_INLINED_ bool cmds_find_border_(
        const uint8_t *out, const uint8_t *end, size_t field_count, const uint8_t **border)
{
    if (CMDS_RARELY_(end - out < cmds_kept_(field_count))) {
        return false;
    }
    *border = cmds_border_(end, field_count);
    return true;
}

CMDS_INLINED_ bool cmds_write_begin_(
        struct cmds_written_ *place, const uint8_t *end, size_t count, const uint8_t **border)
{
    if (CMDS_RARELY_(!cmds_find_border_(place->at, end, count, border))) {
        return false;
    }
    *place->at++ = CMDS_U8_(CMDS_HEAD_FIXARRAY_ | count);
    place->left = count;
    return true;
}

CMDS_INLINED_ bool cmds_write_row_(struct cmds_written_ *place, const uint8_t *border,
        unsigned kind, const uint8_t *at, uint32_t size_max)
{
    uint8_t *out = cmds_put_(place->at, border, kind, at, size_max);
    if (CMDS_RARELY_(out == CMDS_NULL_)) {
        return false;
    }
    place->at = out;
    place->left--;
    return true;
}

CMDS_END_

/* --- What a schema expands to ----------------------------------------------------------------- */

/* clang-format off */
#define CMDS_READ_(tag, item)  CMDS_ITEM_(CMDS_READ_, tag, item)
#define CMDS_WRITE_(tag, item) CMDS_ITEM_(CMDS_WRITE_, tag, item)

#define CMDS_READ_ROW_(tag, m, max)                                                                \
    if (CMDS_RARELY_(!cmds_read_row_(&cmds_place_, cmds_end_, CMDS_KIND_OF_(struct tag, m), max, CMDS_BYTES_(cmds_value_) + CMDS_OFFSET_(struct tag, m)))) return cmds_place_;
#define CMDS_READ_AS_(tag, m, name)                CMDS_READ_ROW_(tag, m, 0)
#define CMDS_READ_MAX_(tag, m, max)                CMDS_READ_ROW_(tag, m, (max))
#define CMDS_READ_LAST_(tag, m, none)              CMDS_READ_ROW_(tag, m, 0)
#define CMDS_READ_NESTED_(tag, m, nested)          return cmds_place_;
#define CMDS_READ_ARRAY_(tag, m, none)             return cmds_place_;
#define CMDS_READ_ARRAY_NESTED_(tag, m, nested)    return cmds_place_;
#define CMDS_READ_OPTIONAL_(tag, m, none)          return cmds_place_;
#define CMDS_READ_OPTIONAL_NESTED_(tag, m, nested) return cmds_place_;
#define CMDS_READ_RESERVED_(tag, none, none_)      return cmds_place_;

#define CMDS_WRITE_ROW_(tag, m, max)                                                               \
    if (CMDS_RARELY_(!cmds_write_row_(&cmds_place_, cmds_last_, CMDS_KIND_OF_(struct tag, m), CMDS_CAST_(const uint8_t *, cmds_value_) + CMDS_OFFSET_(struct tag, m), max))) return cmds_place_;
#define CMDS_WRITE_AS_(tag, m, name)                CMDS_WRITE_ROW_(tag, m, 0)
#define CMDS_WRITE_MAX_(tag, m, max)                CMDS_WRITE_ROW_(tag, m, (max))
#define CMDS_WRITE_LAST_(tag, m, none)              CMDS_WRITE_ROW_(tag, m, 0)
#define CMDS_WRITE_NESTED_(tag, m, nested)          return cmds_place_;
#define CMDS_WRITE_ARRAY_(tag, m, none)             return cmds_place_;
#define CMDS_WRITE_ARRAY_NESTED_(tag, m, nested)    return cmds_place_;
#define CMDS_WRITE_OPTIONAL_(tag, m, none)          return cmds_place_;
#define CMDS_WRITE_OPTIONAL_NESTED_(tag, m, nested) return cmds_place_;
#define CMDS_WRITE_RESERVED_(tag, none, none_)      return cmds_place_;
/* clang-format on */

#define CMDS_NO_CODE_                                                                              \
    {                                                                                              \
        CMDS_NULL_, CMDS_NULL_, CMDS_NULL_                                                         \
    }
#if defined(__OPTIMIZE__) && !defined(CMDS_NO_COMPILED_CODEC)
#define CMDS_COMPILE_(tag, count, ...)                                                             \
    CMDS_UNUSED_ static struct cmds_read_ tag##_read_(                                             \
            const uint8_t *cmds_at_, const uint8_t *cmds_end_, CMDS_UNUSED_ void *cmds_value_)     \
    {                                                                                              \
        struct cmds_read_ cmds_place_ = {cmds_at_, CMDS_NOT_BEGUN_};                               \
        if (CMDS_RARELY_(!cmds_read_begin_(&cmds_place_, cmds_end_, (count)))) {                   \
            return cmds_place_;                                                                    \
        }                                                                                          \
        CMDS_EACH_(CMDS_READ_, tag, __VA_ARGS__)                                                   \
        return cmds_place_;                                                                        \
    }                                                                                              \
    CMDS_UNUSED_ static struct cmds_written_ tag##_write_(                                         \
            uint8_t *cmds_out_, const uint8_t *cmds_end_, CMDS_UNUSED_ const void *cmds_value_)    \
    {                                                                                              \
        struct cmds_written_ cmds_place_ = {cmds_out_, CMDS_NOT_BEGUN_};                           \
        const uint8_t *cmds_last_ = CMDS_NULL_;                                                    \
        if (CMDS_RARELY_(!cmds_write_begin_(&cmds_place_, cmds_end_, (count), &cmds_last_))) {     \
            return cmds_place_;                                                                    \
        }                                                                                          \
        CMDS_EACH_(CMDS_WRITE_, tag, __VA_ARGS__)                                                  \
        return cmds_place_;                                                                        \
    }
#define CMDS_COMPILED_(tag, count)                                                                 \
    {                                                                                              \
        (count) <= CMDS_COMPILED_ROWS_ ? &tag##_schema : CMDS_NULL_,                               \
                (count) <= CMDS_COMPILED_ROWS_ ? tag##_read_ : CMDS_NULL_,                         \
                (count) <= CMDS_COMPILED_ROWS_ ? tag##_write_ : CMDS_NULL_                         \
    }
#else
#define CMDS_COMPILE_(tag, count, ...)
#define CMDS_COMPILED_(tag, count) CMDS_NO_CODE_
#endif

#endif

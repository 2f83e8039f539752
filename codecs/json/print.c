/* SPDX-License-Identifier: MIT */
/*
 * Most text stands for itself, so 64 bytes of it are examined in one step, and copied in the same. What is
 * left behind the last step is taken together with some that was before. Where much is escaped, where it
 * is would be guessed wrongly each time: its size is counted for 64 bytes at once, and it is written without
 * asking.
 *
 * Each byte of text becomes at least one byte of output, so where sixteen bytes of text are left there is
 * room for sixteen.
 */
#include "json/print.h"

#include <endian.h>
#include <string.h>

#include "base/hint.h"
#include "common/short.h"
#include "common/utf8.h"
#include "json/run.h"
#include "json/window.h"

enum {
    BLOCK = sizeof(cmdi_block),
    ESCAPE_ROOM = 8, // Of the longest one, and what is stored with it.
    STREAK = CMDI_JSON_RUN / BLOCK,
    SHY = 8, // Escapes without a window, after one that ended at what is no ASCII.
};

/* --- Text ------------------------------------------------------------------------------------- */

/* What a byte of ASCII becomes that does not stand for itself; all zero: it does, or is no ASCII. */
struct escape {
    uint8_t text[7], size;
};

#define TWO(letter)                                                                                \
    {                                                                                              \
        {'\\', letter}, 2                                                                          \
    }
#define U(high, low)                                                                               \
    {                                                                                              \
        {'\\', 'u', '0', '0', high, low}, 6                                                        \
    }
static const struct escape escapes[256] = {U('0', '0'), U('0', '1'), U('0', '2'), U('0', '3'),
        U('0', '4'), U('0', '5'), U('0', '6'), U('0', '7'), TWO('b'), TWO('t'), TWO('n'),
        U('0', 'b'), TWO('f'), TWO('r'), U('0', 'e'), U('0', 'f'), U('1', '0'), U('1', '1'),
        U('1', '2'), U('1', '3'), U('1', '4'), U('1', '5'), U('1', '6'), U('1', '7'), U('1', '8'),
        U('1', '9'), U('1', 'a'), U('1', 'b'), U('1', 'c'), U('1', 'd'), U('1', 'e'),
        U('1', 'f'), ['"'] = TWO('"'), ['\\'] = TWO('\\'), ['<'] = U('3', 'c'), ['>'] = U('3', 'e'),
        ['&'] = U('2', '6')};
_Static_assert(sizeof(struct escape) == ESCAPE_ROOM, "it is stored whole");

/* What does not stand for itself, or not always. '"' and '&' differ in one bit, and so do '<' and '>'. */
CMDI_BLOCK_INLINED_ cmdi_block specials(cmdi_block block)
{
    return cmdi_block_unprintable(block) | (cmdi_block)((block | 4) == '&') |
           (cmdi_block)((block | 2) == '>') | (cmdi_block)(block == '\\');
}

/*
 * How many bytes more than itself each of these becomes, none of which is unprintable. A quote and a
 * backslash take one more, <, > and & five.
 */
CMDI_BLOCK_INLINED_ cmdi_block extra_each(cmdi_block block)
{
    cmdi_block one = (cmdi_block)(block == '"') | (cmdi_block)(block == '\\');
    cmdi_block five = (cmdi_block)((block | 2) == '>') | (cmdi_block)(block == '&');
    return (one & 1) | (five & 5);
}

/* Their sum. Eight of them, at most 20 each, fit the upper byte of the product. */
CMDI_BLOCK_INLINED_ size_t extra_sum(cmdi_block extra)
{
    uint64_t halves[2];
    memcpy(halves, &extra, sizeof(halves));
    return (halves[0] * 0x0101010101010101u >> 56) + (halves[1] * 0x0101010101010101u >> 56);
}

/* Of a run. Returns: SIZE_MAX: something in it is unprintable. */
CMDI_BLOCK_INLINED_ size_t run_extra(const uint8_t *at)
{
    cmdi_block a = cmdi_block_load(at), b = cmdi_block_load(at + 16);
    cmdi_block c = cmdi_block_load(at + 32), d = cmdi_block_load(at + 48);
    cmdi_block odd = cmdi_block_unprintable(a) | cmdi_block_unprintable(b) |
                     cmdi_block_unprintable(c) | cmdi_block_unprintable(d);
    return CMDI_UNLIKELY(cmdi_block_any(odd))
                   ? SIZE_MAX
                   : extra_sum(extra_each(a) + extra_each(b) + extra_each(c) + extra_each(d));
}

/* Is it U+2028 or U+2029? They end a line in JavaScript. */
static bool ends_line(const uint8_t *at, unsigned size)
{
    return size == 3 && at[0] == 0xe2 && at[1] == 0x80 && (at[2] | 1) == 0xa9;
}

/* The same of one character, which *at goes behind. */
static size_t character_extra(const uint8_t **at, const uint8_t *end)
{
    const struct escape *escape = &escapes[**at];
    if (CMDI_LIKELY(**at < 0x80)) {
        *at += 1;
        return escape->size > 0 ? escape->size - 1u : 0;
    }
    unsigned size = cmdi_utf8_size(*at, end);
    size_t extra = size == 0 ? 5 : ends_line(*at, size) ? 3 : 0;
    *at += size > 0 ? size : 1;
    return extra;
}

/* Of text that has a block at least. */
static size_t long_extra(const uint8_t *at, const uint8_t *end)
{
    static const uint64_t masks[4] = {0, 0, UINT64_MAX, UINT64_MAX};
    size_t extra = 0;
    while (at < end) {
        if (end - at >= CMDI_JSON_RUN) {
            at += cmdi_json_run_size(at, (size_t)(end - at));
        }
        size_t more = end - at >= CMDI_JSON_RUN ? run_extra(at) : SIZE_MAX;
        if (CMDI_LIKELY(more != SIZE_MAX)) {
            extra += more;
            at += CMDI_JSON_RUN;
            continue;
        }
        size_t left = (size_t)(end - at) < BLOCK ? (size_t)(end - at) : BLOCK;
        // The last ones of a block: those before them become zero, which counts for nothing below.
        cmdi_block block = left == BLOCK ? cmdi_block_load(at) : cmdi_block_load(end - BLOCK);
        cmdi_block counted = cmdi_block_load((const uint8_t *)masks + left);
        if (CMDI_LIKELY(!cmdi_block_any(cmdi_block_unprintable(block) & counted))) {
            extra += extra_sum(extra_each(block & counted));
            at += left;
            continue;
        }
        for (const uint8_t *stop = at + left; at < stop;) {
            extra += character_extra(&at, end);
        }
    }
    return extra;
}

size_t cmdi_json_string_size(const uint8_t *data, size_t size)
{
    if (size >= BLOCK) {
        return 2 + size + long_extra(data, data + size);
    }
    size_t extra = 0;
    const uint8_t *at = data, *end = size > 0 ? data + size : data;
    while (at < end) {
        extra += character_extra(&at, end);
    }
    return 2 + size + extra;
}

/* One character that does not stand for itself, or not always. *at goes behind it. */
static uint8_t *write_special(uint8_t *out, const uint8_t **at, const uint8_t *end)
{
    const uint8_t *from = *at;
    const struct escape *escape = &escapes[*from];
    if (*from >= 0x80) {
        unsigned size = cmdi_utf8_size(from, end);
        *at += size > 0 ? size : 1;
        if (CMDI_LIKELY(size > 0 && !ends_line(from, size))) {
            memcpy(out, from, size);
            return out + size;
        }
        memcpy(out, size == 0 ? "\\ufffd" : from[2] == 0xa8 ? "\\u2028" : "\\u2029", 6);
        return out + 6;
    }
    *at += 1;
    memcpy(out, escape->text, escape->size);
    return out + escape->size;
}

static uint8_t *write_short(uint8_t *out, const uint8_t *at, const uint8_t *end)
{
    while (at < end) {
        if (CMDI_LIKELY(*at < 0x80 && escapes[*at].size == 0)) {
            *out++ = *at++;
        } else {
            out = write_special(out, &at, end);
        }
    }
    return out;
}

CMDI_BLOCK_INLINED_ void store(uint8_t *out, cmdi_block block)
{
    memcpy(out, &block, sizeof(block));
}

/* A block; what is not plain will be written over. Returns: how many of it are before that. */
CMDI_BLOCK_INLINED_ unsigned copy_plain(uint8_t *out, const uint8_t *at)
{
    cmdi_block block = cmdi_block_load(at);
    store(out, block);
    return cmdi_block_first(specials(block));
}

/* What does not stand for itself, or not always; and what is no ASCII. */
CMDI_BLOCK_INLINED_ struct cmdi_json_window window_of_block(const uint8_t *at)
{
    cmdi_block block = cmdi_block_load(at);
    return (struct cmdi_json_window){cmdi_block_bits(specials(block)), cmdi_block_bits(block)};
}

CMDI_BLOCK_INLINED_ uint8_t *window_copy(uint8_t *out, const uint8_t *at, size_t size)
{
    cmdi_json_window_copy(out, at, size, CMDI_JSON_WINDOW);
    return out + size;
}

/*
 * As long as each window has something to escape and is ASCII. Where the escapes of one are is known before the
 * first is written, so that none of them waits for the one before. *at goes behind what was written.
 */
static uint8_t *write_windows(uint8_t *out, const uint8_t **at, const uint8_t *end)
{
    bool goes_on = true;
    while (goes_on && end - *at >= CMDI_JSON_WINDOW_ROOM) {
        struct cmdi_json_window window = cmdi_json_window_join(window_of_block(*at),
                window_of_block(*at + 16), window_of_block(*at + 32), window_of_block(*at + 48));
        size_t size = window.odd != 0 ? (size_t)__builtin_ctzll(window.odd) : CMDI_JSON_WINDOW;
        uint64_t left = window.escapes & ((window.odd & (0 - window.odd)) - 1);
        goes_on = window.odd == 0 && left != 0;
        const uint8_t *from = *at;
        for (; left != 0; left &= left - 1) {
            const uint8_t *stop = *at + __builtin_ctzll(left);
            const struct escape *escape = &escapes[*stop];
            out = window_copy(out, from, (size_t)(stop - from));
            memcpy(out, escape, ESCAPE_ROOM);
            out += escape->size;
            from = stop + 1;
        }
        *at += size;
        out = window_copy(out, from, (size_t)(*at - from));
    }
    return out;
}

/*
 * Of text that has a block at least. Behind an escape there are more, mostly: windows. Where there is no room for
 * one, or no ASCII, a block and the escape behind it are one step, and whether there is one is no branch. Runs are
 * tried where there was none for as long as one.
 */
static uint8_t *write_long(uint8_t *out, const uint8_t *at, const uint8_t *end)
{
    static const struct escape nothing;
    unsigned shy = 0;
    for (unsigned streak = STREAK; end - at >= BLOCK + ESCAPE_ROOM;) {
        if (CMDI_UNLIKELY(streak == STREAK)) {
            streak = 0;
            size_t run = end - at >= CMDI_JSON_RUN
                                 ? cmdi_json_run_write(out, at, (size_t)(end - at))
                                 : 0;
            at += run;
            out += run;
            continue;
        }
        unsigned plain = copy_plain(out, at);
        at += plain;
        out += plain;
        streak = plain == BLOCK ? streak + 1 : 0;
        if (CMDI_UNLIKELY(*at >= 0x80)) {
            out = write_special(out, &at, end);
            continue;
        }
        if (plain < BLOCK && shy == 0 && end - at >= CMDI_JSON_WINDOW_ROOM) {
            out = write_windows(out, &at, end);
            shy = *at >= 0x80 ? SHY : 0; // There is more: a window leaves some of its room.
            continue;
        }
        shy -= plain < BLOCK && shy > 0;
        const struct escape *escape = plain < BLOCK ? &escapes[*at] : &nothing;
        memcpy(out, escape, ESCAPE_ROOM);
        out += escape->size;
        at += plain < BLOCK; // What it uses, known before it is looked up.
    }
    while (end - at >= BLOCK) {
        unsigned plain = copy_plain(out, at);
        at += plain;
        out += plain;
        out = plain < BLOCK ? write_special(out, &at, end) : out;
    }
    // If nothing was escaped in the last sixteen bytes, they lie in the output as they are.
    size_t left = (size_t)(end - at);
    cmdi_block block = cmdi_block_load(end - BLOCK);
    if (!cmdi_block_any(specials(block))) {
        store(out + left - BLOCK, block);
        return out + left;
    }
    return write_short(out, at, end);
}

uint8_t *cmdi_json_string_write(uint8_t *out, const uint8_t *data, size_t size)
{
    *out++ = '"';
    if (size > 0) {
        out = size >= BLOCK ? write_long(out, data, data + size)
                            : write_short(out, data, data + size);
    }
    *out = '"';
    return out + 1;
}

/* Of a name of 1 to 16 bytes: does none of them need a second look? */
static inline bool is_plain(struct cmdi_short name)
{
    cmdi_block block;
    memcpy(&block, &name, sizeof(block));
    // Zeros are no part of it: what is shorter than four or eight bytes has some behind it.
    return !cmdi_block_any(specials(block) & (cmdi_block)(block != 0));
}

size_t cmdi_json_name_size(const char *name, size_t size)
{
    bool is_short = size - 1 < CMDI_SHORT_MAX && is_plain(cmdi_short_load(name, size));
    return CMDI_LIKELY(is_short) ? size + 2 : cmdi_json_string_size((const uint8_t *)name, size);
}

uint8_t *cmdi_json_name_write(uint8_t *out, const char *name, size_t size)
{
    if (CMDI_LIKELY(size - 1 < CMDI_SHORT_MAX)) {
        struct cmdi_short loaded = cmdi_short_load(name, size);
        if (CMDI_LIKELY(is_plain(loaded))) {
            out[0] = '"';
            cmdi_short_store(out + 1, size, loaded);
            out[size + 1] = '"';
            return out + size + 2;
        }
    }
    return cmdi_json_string_write(out, (const uint8_t *)name, size);
}

uint8_t *cmdi_json_base64_write(uint8_t *out, const uint8_t *data, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    *out++ = '"';
    for (size_t i = 0; i < size; i += 3) {
        size_t count = size - i < 3 ? size - i : 3;
        uint32_t bits = (uint32_t)data[i] << 16 | (count > 1 ? (uint32_t)data[i + 1] << 8 : 0) |
                        (count > 2 ? data[i + 2] : 0);
        out[0] = (uint8_t)digits[bits >> 18];
        out[1] = (uint8_t)digits[bits >> 12 & 63];
        out[2] = (uint8_t)(count > 1 ? digits[bits >> 6 & 63] : '=');
        out[3] = (uint8_t)(count > 2 ? digits[bits & 63] : '=');
        out += 4;
    }
    *out = '"';
    return out + 1;
}

/* --- Whole numbers ---------------------------------------------------------------------------- */

unsigned cmdi_json_digits(uint64_t value)
{
    static const uint64_t powers[20] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000,
            100000000, 1000000000, 10000000000, 100000000000, 1000000000000, 10000000000000,
            100000000000000, 1000000000000000, 10000000000000000, 100000000000000000,
            1000000000000000000, 10000000000000000000u};
    value |= 1; // Has as many digits, and one at least.
    unsigned bits = 64u - (unsigned)__builtin_clzll(value);
    unsigned guess = bits * 1233 >> 12; // floor(bits * log10(2)), which is right or one too many.
    return guess + (value >= powers[guess]);
}

/* Eight digits, with zeros in front, of a number below 10^8, the first one in the lowest byte. */
static inline uint64_t eight_digits(uint32_t value)
{
    uint64_t fours = (uint64_t)(value % 10000) << 32 | value / 10000;
    uint64_t hundreds = (fours * 10486 >> 20) & 0x0000007f0000007fu;
    uint64_t twos = hundreds | (fours - hundreds * 100) << 16;
    uint64_t tens = (twos * 103 >> 10) & 0x000f000f000f000fu;
    return tens | (twos - tens * 10) << 8 | 0x3030303030303030u;
}

static inline uint8_t *write_eight(uint8_t *out, uint32_t value)
{
    uint64_t digits = htole64(eight_digits(value));
    memcpy(out, &digits, sizeof(digits));
    return out + sizeof(digits);
}

/* The last `count` of eight, which may be written from both ends. */
static inline uint8_t *write_few(uint8_t *out, uint32_t value, unsigned count)
{
    if (count == 1) {
        *out = (uint8_t)('0' + value);
        return out + 1;
    }
    uint64_t digits = eight_digits(value) >> (64 - 8 * count);
    if (count >= 4) {
        uint32_t first = htole32((uint32_t)digits);
        uint32_t last = htole32((uint32_t)(digits >> (8 * count - 32)));
        memcpy(out, &first, sizeof(first));
        memcpy(out + count - sizeof(last), &last, sizeof(last));
        return out + count;
    }
    out[0] = (uint8_t)digits;
    out[1] = (uint8_t)(digits >> 8);
    if (count == 3) {
        out[2] = (uint8_t)(digits >> 16);
    }
    return out + count;
}

uint8_t *cmdi_json_digits_write(uint8_t *out, uint64_t value, unsigned count)
{
    if (count <= 8) {
        return write_few(out, (uint32_t)value, count);
    }
    uint64_t upper = value / 100000000;
    uint32_t lower = (uint32_t)(value % 100000000);
    if (count <= 16) {
        out = write_few(out, (uint32_t)upper, count - 8);
    } else {
        out = write_few(out, (uint32_t)(upper / 100000000), count - 16);
        out = write_eight(out, (uint32_t)(upper % 100000000));
    }
    return write_eight(out, lower);
}

uint8_t *cmdi_json_integer_write(uint8_t *out, uint64_t value, bool is_signed)
{
    bool negative = is_signed && (int64_t)value < 0;
    value = negative ? 0 - value : value;
    *out = '-';
    return cmdi_json_digits_write(out + negative, value, cmdi_json_digits(value));
}

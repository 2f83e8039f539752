/* SPDX-License-Identifier: MIT */
/*
 * Where text ends that stands for itself: sixteen bytes are examined in one step, by the vector
 * extensions that gcc and clang share.
 *
 * Reader and writer agree on what needs a second look: control characters, the quote, the
 * backslash, and what is not ASCII. The writer escapes <, > and & as well. No state, any thread.
 */
#ifndef CMDI_JSON_PLAIN_H
#define CMDI_JSON_PLAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint8_t cmdi_json_block __attribute__((vector_size(16)));

static inline bool cmdi_json_is_plain(uint8_t byte, bool html)
{
    bool plain = byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
    return plain && !(html && (byte == '<' || byte == '>' || byte == '&'));
}

/* Bytes of the half that are zero, before the first one in memory that is not. */
static inline unsigned cmdi_json_zeros(uint64_t half)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return (unsigned)__builtin_ctzll(half) / 8;
#else
    return (unsigned)__builtin_clzll(half) / 8;
#endif
}

/* How many bytes of the block are plain, up to the first one that is not. */
static inline __attribute__((always_inline)) size_t cmdi_json_plain_in_block(
        const uint8_t *at, bool html)
{
    cmdi_json_block bytes;
    uint64_t halves[2];
    memcpy(&bytes, at, sizeof(bytes));
    cmdi_json_block found = (cmdi_json_block)(bytes < 0x20) | (cmdi_json_block)(bytes > 0x7f) |
                            (cmdi_json_block)(bytes == '"') | (cmdi_json_block)(bytes == '\\');
    if (html) {
        found |= (cmdi_json_block)(bytes == '<') | (cmdi_json_block)(bytes == '>') |
                 (cmdi_json_block)(bytes == '&');
    }
    memcpy(halves, &found, sizeof(halves));
    if (halves[0] != 0) {
        return cmdi_json_zeros(halves[0]);
    }
    return sizeof(halves[0]) + (halves[1] != 0 ? cmdi_json_zeros(halves[1]) : sizeof(halves[1]));
}

/*
 * How many bytes more than themselves the writer makes of the first bytes from `at` on, in whole
 * blocks of printable ASCII; *at goes behind them. A quote and a backslash take one more, <, > and &
 * five. Where much is escaped, where it is would be guessed wrongly each time: this only counts.
 */
static inline size_t cmdi_json_extra(const uint8_t **at, const uint8_t *end)
{
    size_t extra = 0;
    for (; end - *at >= (ptrdiff_t)sizeof(cmdi_json_block); *at += sizeof(cmdi_json_block)) {
        cmdi_json_block bytes;
        uint64_t halves[2];
        memcpy(&bytes, *at, sizeof(bytes));
        cmdi_json_block other = (cmdi_json_block)(bytes < 0x20) | (cmdi_json_block)(bytes > 0x7f);
        memcpy(halves, &other, sizeof(halves));
        if ((halves[0] | halves[1]) != 0) {
            break;
        }
        cmdi_json_block one = (cmdi_json_block)(bytes == '"') | (cmdi_json_block)(bytes == '\\');
        cmdi_json_block five = (cmdi_json_block)(bytes == '<') | (cmdi_json_block)(bytes == '>') |
                               (cmdi_json_block)(bytes == '&');
        cmdi_json_block more = (one & 1) | (five & 5);
        memcpy(halves, &more, sizeof(halves));
        // Eight bytes of at most five each: their sum fits the upper byte of the product.
        extra += (halves[0] * 0x0101010101010101u >> 56) + (halves[1] * 0x0101010101010101u >> 56);
    }
    return extra;
}

/*
 * The first byte from `at` on, before `end`, that is not plain; `end` if all are. `html` is a
 * constant wherever this is called.
 */
static inline __attribute__((always_inline)) const uint8_t *cmdi_json_plain_end(
        const uint8_t *at, const uint8_t *end, bool html)
{
    const uint8_t *from = at;
    while (end - at >= (ptrdiff_t)sizeof(cmdi_json_block)) {
        size_t plain = cmdi_json_plain_in_block(at, html);
        at += plain;
        if (plain < sizeof(cmdi_json_block)) {
            return at;
        }
    }
    if (at < end && at > from) { // What is left, together with some that was examined.
        at = end - sizeof(cmdi_json_block);
        return at + cmdi_json_plain_in_block(at, html);
    }
    while (at < end && cmdi_json_is_plain(*at, html)) {
        at++;
    }
    return at;
}

#endif

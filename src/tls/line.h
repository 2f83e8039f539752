/* SPDX-License-Identifier: MIT */
/*
 * One line of text in a caller's buffer, put together from pieces.
 *
 * A piece goes in whole or not at all, and after one that did not fit none goes in: a cut line never
 * ends within a character or an escape. The text is terminated at all times; `length` counts what the
 * whole line takes. No memory, any thread.
 */
#ifndef CMDI_TLS_LINE_H
#define CMDI_TLS_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/text.h"

enum {
    CMDI_LINE_QUOTED_MAX = 64, // Of a name in a sentence; what is longer is cut, and says so.
};

struct cmdi_line {
    char *out; // May be NULL if `size` is 0.
    size_t size, length;
    bool is_full;
};

static inline struct cmdi_line cmdi_line_begin(char *out, size_t size)
{
    if (size > 0) {
        out[0] = '\0';
    }
    return (struct cmdi_line){.out = out, .size = size, .is_full = size == 0};
}

static inline void cmdi_line_put(struct cmdi_line *line, const void *piece, size_t size)
{
    if (!line->is_full && size < line->size - line->length) {
        memcpy(line->out + line->length, piece, size);
        line->out[line->length + size] = '\0';
    } else {
        line->is_full = true;
    }
    line->length += size;
}

static inline void cmdi_line_text(struct cmdi_line *line, const char *text)
{
    cmdi_line_put(line, text, strlen(text));
}

/** Decimal. */
static inline void cmdi_line_number(struct cmdi_line *line, unsigned long long number)
{
    char digits[20]; // 2^64 has no more.
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    cmdi_line_put(line, digits + at, sizeof(digits) - at);
}

/** `size` bytes of ASCII or UTF-8 that somebody else has chosen. */
static inline void cmdi_line_quoted(struct cmdi_line *line, const char *text, size_t size)
{
    size_t shown = size <= CMDI_LINE_QUOTED_MAX ? size : CMDI_LINE_QUOTED_MAX;
    while (shown < size && shown > 0 && ((unsigned char)text[shown] & 0xc0) == 0x80) {
        shown--; // Not within a character.
    }
    for (size_t i = 0; i < shown; i++) {
        char c = cmdi_char_defuse(text[i]);
        cmdi_line_put(line, &c, 1);
    }
    cmdi_line_text(line, shown < size ? "..." : "");
}

/** How a certificate of a peer is called: 0 is its own, above it those that it sends with it. */
static inline void cmdi_line_certificate(struct cmdi_line *line, unsigned depth)
{
    if (depth == 0) {
        cmdi_line_text(line, "its certificate");
        return;
    }
    cmdi_line_text(line, "certificate ");
    cmdi_line_number(line, depth + 1);
    cmdi_line_text(line, " of its chain");
}

#endif

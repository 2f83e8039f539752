/* SPDX-License-Identifier: MIT */
/*
 * The grammar of JSON without a schema: tokens, text, and values that nobody asked for.
 *
 * Nothing here takes memory or recurses. Text is checked and measured where it lies; the caller
 * decides, knowing its size, whether it may be built and where. What is called for every field of
 * every value is inline. No state, any thread.
 */
#ifndef CMDI_JSON_SCAN_H
#define CMDI_JSON_SCAN_H

#include "base/hint.h"
#include "common/value.h"
#include "json/plain.h"

/** How far the input is read. */
struct cmdi_json_scan {
    const uint8_t *at, *end;
    unsigned depth; // Containers that are open.
};

/** A string of the input: well formed, and measured. */
struct cmdi_json_text {
    const uint8_t *from, *end; // Between its quotes; `end` is on the closing one.
    size_t size;               // Of what it says.
    bool changed;              // What it says is not what stands there: see cmdi_json_text_write().
    bool built; // What it says is in `scratch` already: see cmdi_json_take_text_slow().
};

/**
 * A number by the grammar, from the next byte on that is no space. *integer: it has neither a
 * fraction nor an exponent. Returns: 0; CMDS_E_PROTO.
 */
int cmdi_json_take_number(struct cmdi_json_scan *scan, bool *integer);
/**
 * What cmdi_json_take_text() leaves over: `plain` is the first byte that needs a second look. If `scratch` has room for
 * what the text says, it is written there while it is measured; NULL: it is only measured.
 */
int cmdi_json_take_text_slow(struct cmdi_json_scan *scan, const uint8_t *plain, uint8_t *scratch,
        size_t room, struct cmdi_json_text *text);
/** Writes the text->size bytes that the text says. */
void cmdi_json_text_write(const struct cmdi_json_text *text, uint8_t *out);
/**
 * Passes over a value, whose grammar is checked all the same. Returns: the elements of it, if it is
 * a container, else 0; CMDS_E_PROTO; CMDS_E_LIMIT: too deep.
 */
int64_t cmdi_json_skip(struct cmdi_json_scan *scan);

/** Returns: the next byte that is no space; 0, which begins nothing in JSON, at the end. */
static inline uint8_t cmdi_json_peek(struct cmdi_json_scan *scan)
{
    while (scan->at < scan->end) {
        uint8_t byte = *scan->at;
        if (CMDI_LIKELY(byte > ' ')) {
            return byte;
        }
        if (byte != ' ' && byte != '\t' && byte != '\n' && byte != '\r') {
            return 0;
        }
        scan->at++;
    }
    return 0;
}

/** Returns: 0, and `at` is behind the byte; CMDS_E_PROTO: another one follows. */
static inline int cmdi_json_take(struct cmdi_json_scan *scan, uint8_t byte)
{
    if (cmdi_json_peek(scan) != byte) {
        return CMDS_E_PROTO;
    }
    scan->at++;
    return 0;
}

/** true, false, null: `at` is on the first letter. */
static inline int cmdi_json_take_word(struct cmdi_json_scan *scan, const char *word, size_t size)
{
    if ((size_t)(scan->end - scan->at) < size || memcmp(scan->at, word, size) != 0) {
        return CMDS_E_PROTO;
    }
    scan->at += size;
    return 0;
}

static inline int cmdi_json_take_null(struct cmdi_json_scan *scan)
{
    return cmdi_json_take_word(scan, "null", 4);
}

/** `at` is on the bracket. Returns: 0; CMDS_E_LIMIT: one too many inside each other. */
static inline int cmdi_json_open(struct cmdi_json_scan *scan)
{
    scan->at++;
    return ++scan->depth > CMDI_DEPTH_MAX ? CMDS_E_LIMIT : 0;
}

/**
 * Behind the bracket of a container, or behind one of its elements. Returns: 1: another one
 * follows, and `at` is where it begins; 0: the container is closed; CMDS_E_PROTO.
 */
static inline int cmdi_json_next(struct cmdi_json_scan *scan, uint8_t close, bool first)
{
    uint8_t byte = cmdi_json_peek(scan);
    if (byte == close) {
        scan->at++;
        scan->depth--;
        return 0;
    }
    if (first) {
        return byte != 0 ? 1 : CMDS_E_PROTO;
    }
    if (byte != ',') {
        return CMDS_E_PROTO;
    }
    scan->at++;
    return cmdi_json_peek(scan) != 0 ? 1 : CMDS_E_PROTO;
}

/**
 * Text that stands for itself. Returns: 0; 1: it needs a second look from *plain on, and `at` is on its quote;
 * CMDS_E_PROTO: no string follows.
 */
static inline int cmdi_json_take_plain_text(
        struct cmdi_json_scan *scan, struct cmdi_json_text *text, const uint8_t **plain)
{
    if (CMDI_UNLIKELY(cmdi_json_peek(scan) != '"')) {
        return CMDS_E_PROTO;
    }
    const uint8_t *from = scan->at + 1;
    *plain = cmdi_json_plain_end(from, scan->end);
    if (CMDI_UNLIKELY(*plain == scan->end || **plain != '"')) {
        return 1;
    }
    *text = (struct cmdi_json_text){from, *plain, (size_t)(*plain - from), false, false};
    scan->at = *plain + 1;
    return 0;
}

/** Returns: 0; CMDS_E_PROTO: no string follows, or it is not well formed. */
static inline int cmdi_json_take_text(struct cmdi_json_scan *scan, struct cmdi_json_text *text)
{
    const uint8_t *plain;
    int code = cmdi_json_take_plain_text(scan, text, &plain);
    return CMDI_LIKELY(code <= 0) ? code : cmdi_json_take_text_slow(scan, plain, NULL, 0, text);
}

#endif

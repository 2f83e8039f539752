/* SPDX-License-Identifier: MIT */
/*
 * Where text ends that stands for itself. What needs a second look: control characters, the quote, the
 * backslash, and what is not ASCII. No state, any thread.
 */
#ifndef CMDI_JSON_PLAIN_H
#define CMDI_JSON_PLAIN_H

#include "base/hint.h"
#include "common/block.h"
#include "json/run.h"

enum {
    CMDI_JSON_BLOCK = sizeof(cmdi_block),
};

static inline bool cmdi_json_is_plain(uint8_t byte)
{
    return byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
}

/* Of the sixteen bytes at `at` those that are not plain. */
CMDI_BLOCK_INLINED_ cmdi_block cmdi_json_specials(const uint8_t *at)
{
    cmdi_block block = cmdi_block_load(at);
    return cmdi_block_unprintable(block) | (cmdi_block)(block == '"') | (cmdi_block)(block == '\\');
}

/* Of more than a block, the first of which is plain. */
static inline const uint8_t *cmdi_json_long_plain_end(const uint8_t *at, const uint8_t *end)
{
    at += CMDI_JSON_BLOCK;
    if (end - at >= CMDI_JSON_RUN) {
        at += cmdi_json_run_read(at, (size_t)(end - at));
    }
    while (end - at >= CMDI_JSON_BLOCK) {
        unsigned plain = cmdi_block_first(cmdi_json_specials(at));
        at += plain;
        if (plain < CMDI_JSON_BLOCK) {
            return at;
        }
    }
    at = end - CMDI_JSON_BLOCK; // What is left, together with some that was examined.
    return at + cmdi_block_first(cmdi_json_specials(at));
}

/* The first byte from `at` on, before `end`, that is not plain; `end` if all are. */
static inline const uint8_t *cmdi_json_plain_end(const uint8_t *at, const uint8_t *end)
{
    if (CMDI_LIKELY(end - at >= CMDI_JSON_BLOCK)) {
        unsigned plain = cmdi_block_first(cmdi_json_specials(at));
        return plain < CMDI_JSON_BLOCK ? at + plain : cmdi_json_long_plain_end(at, end);
    }
    while (at < end && cmdi_json_is_plain(*at)) {
        at++;
    }
    return at;
}

#endif

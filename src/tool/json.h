/* SPDX-License-Identifier: MIT */
/*
 * JSON to a struct and back, by walking its schema: `call` knows its types only at run time.
 *
 * The scalar kinds and strings, which is what a person can type in a shell. Names are read without
 * regard to case and written as they are on the wire, in schema order.
 *
 * What is written reads back as the same value: integers of 64 bits whole, a float in the fewest
 * digits that make it, a string with its NULs. What JSON has no number for is a string, as in
 * Protobuf's JSON: "NaN", "Infinity", "-Infinity"; so it is read, too.
 */
#ifndef CMDSTREAM_TOOL_JSON_H
#define CMDSTREAM_TOOL_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include <cmdstream/schema.h>

enum {
    TOOL_JSON_TEXT_SIZE = 512
};

/**
 * Fills `value`, zeroed by the caller, from an object; members that are absent stay zero. `name` is
 * the type's, for messages.
 *
 * Owner:   strings borrow from `object`.
 * Returns: 0; -EINVAL, and `text` (TOOL_JSON_TEXT_SIZE bytes) says which member is wrong and what
 *          there is.
 */
int tool_json_to_value(const struct cmds_schema *schema, const char *name, const json_t *object,
        void *value, char *text);
/**
 * Writes `{"type":name, fields...}`, without an end of line, to `out`, whose state says whether it
 * took it.
 *
 * Control characters are escaped, so that a terminal obeys none of them. Bytes that are not UTF-8
 * are U+FFFD each, one after the other.
 *
 * Returns: false if there were such bytes.
 */
bool tool_json_write(
        FILE *out, const struct cmds_schema *schema, const char *name, const void *value);

#endif

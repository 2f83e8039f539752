/* SPDX-License-Identifier: MIT */
/*
 * JSON to a struct and back, by walking its schema: `call` knows its types only at run time.
 *
 * Names are read exactly, or without regard to the case of ASCII letters, and written as they are on
 * the wire, in schema order. Forms are those of the codec JSON: cmds_bytes and arrays of uint8_t as
 * base64, uint8_t[N] as an array of numbers, maps as objects, an absent optional as null. Read are
 * bytes of every kind in both forms.
 *
 * What is written reads back as the same value: integers of 64 bits whole, a float in the fewest
 * digits that make it, a string with its NULs. What JSON has no number for is a string, as in
 * Protobuf's JSON: "NaN", "Infinity", "-Infinity"; so it is read, too.
 *
 * What is read is what a person typed: an unknown name, a name that is there twice, a number that the
 * field cannot hold, or a text beyond its limit is a mistake, and the sentence about it says which
 * field ("order.items[3].price") and where in the text.
 */
#ifndef CMDSTREAM_TOOL_JSON_H
#define CMDSTREAM_TOOL_JSON_H

#include <stdbool.h>
#include <stdio.h>

#include <cmdstream/schema.h>

#include "json_scan.h"

/**
 * Reads one object into `value`, zeroed by the caller; members that are absent stay zero. `name` is the
 * type's, for messages. Nothing but white space may follow.
 *
 * Owner:   the value points into *memory: cmdi_tool_memory_free().
 * Returns: 0; -EINVAL, -ENOMEM, and `text` (TOOL_JSON_TEXT_SIZE bytes) says which member is wrong, what
 *          it takes, what there is and where.
 */
int cmdi_tool_json_read(const struct cmds_schema *schema, const char *name, struct cmds_string json,
        struct tool_memory *memory, void *value, char *text);
/**
 * Writes `{"type":name, fields...}`, without an end of line, to `out`, whose state says whether it
 * took it.
 *
 * Control characters are escaped, so that a terminal obeys none of them. Bytes that are not UTF-8
 * are U+FFFD each, one after the other.
 *
 * Returns: false if there were such bytes.
 */
bool cmdi_tool_json_write(
        FILE *out, const struct cmds_schema *schema, const char *name, const void *value);
/** The same without the '{': other members stand before it. */
bool cmdi_tool_json_write_rest(
        FILE *out, const struct cmds_schema *schema, const char *name, const void *value);
/** The same without a type: what cmdi_tool_json_read() reads. */
bool cmdi_tool_json_write_value(FILE *out, const struct cmds_schema *schema, const void *value);
/** A string with its quotes. Returns: as cmdi_tool_json_write(). */
bool cmdi_tool_json_write_string(FILE *out, struct cmds_string string);

/**
 * An object with all members, each of which says something: what cmdi_tool_json_read() makes a value of,
 * within all limits. Nested structs are followed, to the depth that schemas have.
 */
void cmdi_tool_json_write_example(FILE *out, const struct cmds_schema *schema);

#endif

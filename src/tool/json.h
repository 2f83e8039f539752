/* SPDX-License-Identifier: MIT */
/*
 * JSON to a struct and back, by walking its schema: `call` knows its types only at run time.
 *
 * The scalar kinds and strings, which is what a person can type in a shell. Names are read without
 * regard to case and written as they are on the wire, in schema order.
 */
#ifndef CMDSTREAM_TOOL_JSON_H
#define CMDSTREAM_TOOL_JSON_H

#include <jansson.h>

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
/** `{"type":name, fields...}`. Gives: json_decref(). Returns: NULL without memory. */
json_t *tool_json_from_value(const struct cmds_schema *schema, const char *name, const void *value);

#endif

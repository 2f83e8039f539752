/* SPDX-License-Identifier: MIT */
/*
 * The parts of the JSON codec: the walk that writes, the walk that reads, and numbers with a point in them.
 *
 * The library's own lines and no tree of objects: a tree is made of one malloc per value, knows no uint64_t, and takes ten
 * times as long as the fields themselves. No state, any thread.
 */
#ifndef CMDI_JSON_JSON_H
#define CMDI_JSON_JSON_H

#include <cmdstream/codec_json.h>

enum {
    CMDI_JSON_NUMBER_MAX = 32, // Bytes that a formatted number takes at most.
};

/** A finite number in the fewest digits that come back as the same float or double. Returns: bytes written. */
size_t cmdi_json_format_f64(char *out, double value);
size_t cmdi_json_format_f32(char *out, float value);
/** `text` is a number by JSON's grammar. Rounded to the nearest. Returns: 0; CMDS_E_PROTO: too large. */
int cmdi_json_parse_f64(const char *text, size_t size, double *value);
int cmdi_json_parse_f32(const char *text, size_t size, float *value);

/** Returns: bytes; CMDS_E_LIMIT; -EINVAL. With `out` they are written there, without they are only counted. */
int64_t cmdi_json_write(const struct cmds_schema *schema, const uint8_t *value, uint8_t *out);
int64_t cmdi_json_read(const struct cmds_schema *schema, struct cmds_bytes in,
        struct cmds_arena *arena, uint8_t *value);

#endif

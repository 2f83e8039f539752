/* SPDX-License-Identifier: MIT */
/*
 * The parts of the JSON codec: the walk that writes, the walk that reads, the names of fields, and
 * numbers with a point in them. The grammar alone is in scan.h.
 *
 * The library's own lines and not jansson, which the tests hold them against: a tree is one malloc
 * per value, on the shard's path, from an allocator that the whole process shares; it knows no
 * uint64_t above INT64_MAX, refuses what Go replaces (invalid UTF-8, half a surrogate pair), and
 * formats floats in another way. No state, any thread.
 */
#ifndef CMDI_JSON_JSON_H
#define CMDI_JSON_JSON_H

#include <cmdstream/codec_json.h>

enum {
    CMDI_JSON_NUMBER_MAX = 32, // Bytes that a formatted number takes at most.
    CMDI_JSON_ROWS_MAX = 512,  // Of a struct.
    CMDI_JSON_CASES_MAX = 8,   // Of its names may be the same but for case.
    CMDI_JSON_NAME_MAX = 255,  // Bytes of a field's name: an escaped one is built on the stack.
};

struct cmdi_json_text;
struct cmdi_work;

/**
 * A finite number in the fewest digits that come back as the same float or double. Returns: bytes
 * written.
 */
size_t cmdi_json_format_f64(char *out, double value);
size_t cmdi_json_format_f32(char *out, float value);
/** How many bytes that will be. */
size_t cmdi_json_size_f64(double value);
size_t cmdi_json_size_f32(float value);
/**
 * Of a number by JSON's grammar the nearest float or double. Returns: 0; CMDS_E_PROTO: too large.
 */
int cmdi_json_parse_f64(const char *text, size_t size, double *value);
int cmdi_json_parse_f32(const char *text, size_t size, float *value);
/**
 * The same of the usual number, where it lies. Returns: where it ends; NULL: it is to be judged by the
 * grammar, and parsed by the functions above.
 */
const uint8_t *cmdi_json_take_f64(const uint8_t *at, const uint8_t *end, double *value);
const uint8_t *cmdi_json_take_f32(const uint8_t *at, const uint8_t *end, float *value);

/** Returns: bytes that cmdi_json_write() will write; CMDS_E_LIMIT; -EINVAL. */
int64_t cmdi_json_size(const struct cmds_schema *schema, const uint8_t *value);
/** Returns: the end of what was written. */
uint8_t *cmdi_json_write(const struct cmds_schema *schema, const uint8_t *value, uint8_t *out);
/** Returns: as a codec's try_encode. */
int64_t cmdi_json_try(
        const struct cmds_schema *schema, const uint8_t *value, uint8_t *out, size_t room);
/** Returns: all of in.size; CMDS_E_PROTO; CMDS_E_LIMIT. */
int64_t cmdi_json_read(const struct cmds_schema *schema, struct cmds_bytes in,
        struct cmds_arena *arena, uint8_t *value);
/** Are two terminated names the same but for case? */
bool cmdi_json_names_alike(const char *a, const char *b);
/** *found: NULL: no row has this name, in whatever case. Returns: 0; CMDS_E_LIMIT: the arena. */
int cmdi_json_find_row(struct cmdi_work *work, const struct cmds_schema *schema,
        const struct cmdi_json_text *name, const struct cmds_field **found);

#endif

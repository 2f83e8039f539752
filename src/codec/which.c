/* SPDX-License-Identifier: MIT */
/*
 * Two schemas are walked side by side: one has the limits, the other says how the value lies in memory.
 * Of a value that a program hands over they are the same. Names come from the program's own rows, never
 * from a peer; the path is cut where it gets too long. No state, any thread.
 */
#include "codec/which.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/error.h"
#include "codec/codec.h"
#include "codec/protocol.h"
#include "codec/value.h"

enum {
    WHICH_PATH_MAX = 128,
    // Of all copies of schemas together. One is copied for each place that it has.
    WHICH_ROWS_MAX = 1024,
    WHICH_ALIGN = 16,
    // Bytes of a value that was cut, with zeros behind them.
    WHICH_PADDED_MAX = 128 * 1024,
    WHICH_ROUNDS = 4,
};

/* --- The walk --------------------------------------------------------------------------------- */

struct walk {
    struct cmds_error *error;
    int code; // What is looked for.
    size_t path_size;
    char path[WHICH_PATH_MAX];
};

/* Where a part of the path begins: the walk goes back there. */
static size_t walk_enter(struct walk *walk, const char *name)
{
    const size_t before = walk->path_size;
    int size = snprintf(walk->path + before, sizeof(walk->path) - before, ".%s", name);
    size_t room = sizeof(walk->path) - 1 - before;
    walk->path_size += size > 0 && (size_t)size < room ? (size_t)size : room;
    return before;
}

static void walk_enter_item(struct walk *walk, size_t index)
{
    const size_t before = walk->path_size;
    int size = snprintf(walk->path + before, sizeof(walk->path) - before, "[%zu]", index);
    size_t room = sizeof(walk->path) - 1 - before;
    walk->path_size += size > 0 && (size_t)size < room ? (size_t)size : room;
}

static void walk_leave(struct walk *walk, size_t before)
{
    walk->path_size = before;
    walk->path[before] = '\0';
}

static bool walk_found(
        struct walk *walk, const char *unit, size_t size, size_t size_max, const void *data)
{
    bool is_large = walk->code == CMDS_E_LIMIT && size > size_max;
    bool is_null = walk->code == -EINVAL && data == NULL && size > 0;
    if (is_large) {
        (void)cmdi_fail(walk->error, walk->code, "%s has %zu %s, at most %zu", walk->path, size,
                unit, size_max);
    } else if (is_null) {
        (void)cmdi_fail(
                walk->error, walk->code, "%s is NULL, and has %zu %s", walk->path, size, unit);
    }
    return is_large || is_null;
}

static bool walk_struct(struct walk *walk, const struct cmds_schema *limits,
        const struct cmds_schema *layout, const uint8_t *value);

/* char[N], or in its place, where it was lifted, a string. */
static bool walk_text(struct walk *walk, const struct cmds_field *limit,
        const struct cmds_field *row, const uint8_t *at, size_t size_max)
{
    struct cmds_bytes text = {at, 0};
    const size_t room = limit->item_size - 1u;
    if (row->kind == CMDS_KIND_TEXT) {
        text.size = strnlen((const char *)at, row->item_size);
    } else {
        memcpy(&text, at, sizeof(text));
    }
    if (row->kind == CMDS_KIND_TEXT && text.size == row->item_size && walk->code == CMDS_E_LIMIT) {
        (void)cmdi_fail(walk->error, walk->code, "%s has no end within its %zu bytes", walk->path,
                text.size);
        return true;
    }
    return walk_found(walk, "bytes", text.size, size_max < room ? size_max : room, at);
}

static bool walk_map(struct walk *walk, const uint8_t *at, size_t count_max)
{
    struct cmds_map map;
    memcpy(&map, at, sizeof(map));
    if (walk_found(walk, "pairs", map.count, count_max, map.items)) {
        return true;
    }
    for (size_t i = 0; i < map.count; i++) {
        const struct cmds_pair *pair = &map.items[i];
        const size_t before = walk->path_size;
        walk_enter_item(walk, i);
        if (walk_found(walk, "bytes in its key", pair->key.size, SIZE_MAX, pair->key.data) ||
                walk_found(walk, "bytes", pair->value.size, SIZE_MAX, pair->value.data)) {
            return true;
        }
        walk_leave(walk, before);
    }
    return false;
}

static bool walk_item(struct walk *walk, const struct cmds_field *limit,
        const struct cmds_field *row, const uint8_t *at, size_t size_max)
{
    struct cmds_bytes bytes;
    switch (limit->kind) {
    case CMDS_KIND_STRING:
    case CMDS_KIND_BYTES:
        memcpy(&bytes, at, sizeof(bytes));
        return walk_found(walk, "bytes", bytes.size, size_max, bytes.data);
    case CMDS_KIND_TEXT:
        return walk_text(walk, limit, row, at, size_max);
    case CMDS_KIND_MAP:
        return walk_map(walk, at, size_max);
    case CMDS_KIND_STRUCT:
        return walk_struct(walk, limit->nested, row->nested, at);
    default:
        return false;
    }
}

static bool walk_array(struct walk *walk, const struct cmds_field *limit,
        const struct cmds_field *row, const uint8_t *at, size_t count_max)
{
    struct cmdi_array array;
    memcpy(&array, at, sizeof(array));
    if (walk_found(walk, "elements", array.count, count_max, array.items)) {
        return true;
    }
    const uint8_t *item = array.items;
    bool has_limits = limit->kind >= CMDS_KIND_STRING && limit->kind != CMDS_KIND_BLOB;
    for (size_t i = 0; i < array.count && has_limits && item != NULL; i++, item += row->item_size) {
        const size_t before = walk->path_size;
        walk_enter_item(walk, i);
        if (walk_item(walk, limit, row, item, SIZE_MAX)) {
            return true;
        }
        walk_leave(walk, before);
    }
    return false;
}

static bool walk_field(struct walk *walk, const struct cmds_field *limit,
        const struct cmds_field *row, const uint8_t *value)
{
    const uint8_t *at = value + row->offset;
    size_t size_max = limit->size_max != 0 ? limit->size_max : SIZE_MAX;
    if (row->shape == CMDS_SHAPE_ARRAY) {
        return walk_array(walk, limit, row, at, size_max);
    }
    if (row->shape == CMDS_SHAPE_OPTIONAL) {
        bool has = false;
        memcpy(&has, at, sizeof(has));
        return has && walk_item(walk, limit, row, at + row->item_offset, size_max);
    }
    return walk_item(walk, limit, row, at, size_max);
}

static bool walk_struct(struct walk *walk, const struct cmds_schema *limits,
        const struct cmds_schema *layout, const uint8_t *value)
{
    CMDI_ASSERT(limits->field_count == layout->field_count);
    for (uint32_t i = 0; i < limits->field_count; i++) {
        const struct cmds_field *limit = cmds_schema_field(limits, i);
        if (limit->kind == CMDS_KIND_RESERVED) {
            continue;
        }
        const size_t before = walk_enter(walk, limit->name);
        if (walk_field(walk, limit, cmds_schema_field(layout, i), value)) {
            return true;
        }
        walk_leave(walk, before);
    }
    return false;
}

/* Returns: it was found. */
static bool walk_value(int code, const struct cmds_schema *limits, const struct cmds_schema *layout,
        const void *value, struct cmds_error *error)
{
    struct walk walk = {.error = error, .code = code};
    int size = snprintf(walk.path, sizeof(walk.path), "%.60s", limits->name);
    walk.path_size = size > 0 ? (size_t)size : 0;
    return walk_struct(&walk, limits, layout, value);
}

int cmdi_which_encode(const struct cmds_codec *codec, struct cmds_message message, int code,
        struct cmds_error *error)
{
    const struct cmds_schema *schema = message.type->schema;
    bool has_rows = message.type->descriptor == NULL;
    if (!has_rows || !walk_value(code, schema, schema, message.value, error)) {
        (void)cmdi_fail(error, code, "%.60s: %s (codec %.32s)", schema->name, cmds_error_text(code),
                codec->name);
    }
    return code;
}

int cmdi_which_send(
        const struct cmdi_which_side *side, struct cmds_message message, struct cmds_error *error)
{
    if (message.type == NULL || !cmdi_type_table_has(side->types, message.type)) {
        return cmdi_fail(error, CMDS_E_WRONG_TYPE, "%.60s is no %s of protocol %.60s",
                message.type != NULL ? message.type->schema->name : "NULL", side->what,
                side->protocol);
    }
    const char *name = message.type->schema->name;
    if (message.value == NULL) {
        return cmdi_fail(error, CMDS_E_WRONG_TYPE, "%.60s: its value is NULL", name);
    }
    int64_t size = side->codec->size(side->codec, message.type, message.value);
    if (size < 0) {
        return cmdi_which_encode(side->codec, message, (int)size, error);
    }
    return size <= side->frame_size_max
                   ? 0
                   : cmdi_fail(error, CMDS_E_LIMIT,
                             "%.60s has %lld bytes, at most %u (frame_size_max)", name,
                             (long long)size, side->frame_size_max);
}

/* --- A schema without limits ------------------------------------------------------------------ */

struct lift {
    uint32_t row_count, schema_count;
    struct cmds_field rows[WHICH_ROWS_MAX];
    struct cmds_schema schemas[WHICH_ROWS_MAX + 1];
};

static uint32_t lift_align(uint64_t size)
{
    return (uint32_t)((size + WHICH_ALIGN - 1) & ~(uint64_t)(WHICH_ALIGN - 1));
}

static const struct cmds_schema *lift_schema(
        struct lift *lift, const struct cmds_schema *schema, uint32_t depth);

/* Its kind, and how large one of it is. Returns: false: there are too many rows. */
static bool lift_item(
        struct lift *lift, const struct cmds_field *from, struct cmds_field *row, uint32_t depth)
{
    if (from->kind == CMDS_KIND_TEXT) {
        row->kind = CMDS_KIND_STRING;
        row->item_size = sizeof(struct cmds_string);
    } else if (from->kind == CMDS_KIND_STRUCT) {
        row->nested = lift_schema(lift, from->nested, depth + 1);
        row->item_size = row->nested != NULL ? row->nested->value_size : 0;
    }
    return from->kind != CMDS_KIND_STRUCT || row->nested != NULL;
}

/* What the member takes, behind those before it. */
static uint32_t lift_place(const struct cmds_field *from, struct cmds_field *row, uint32_t offset)
{
    bool is_one = from->shape == CMDS_SHAPE_ONE;
    bool has_size = from->kind == CMDS_KIND_TEXT || from->kind == CMDS_KIND_STRUCT;
    row->offset = offset;
    row->size_max = 0;
    row->item_offset = WHICH_ALIGN;
    if (from->shape == CMDS_SHAPE_ARRAY) {
        row->size = sizeof(struct cmdi_array);
    } else if (is_one) {
        row->size = has_size ? row->item_size : from->size;
    } else {
        row->size = WHICH_ALIGN + (row->item_size > WHICH_ALIGN ? row->item_size : WHICH_ALIGN);
    }
    return lift_align((uint64_t)offset + row->size);
}

/* Returns: NULL: it has too many rows, or is too large. */
static const struct cmds_schema *lift_schema(
        struct lift *lift, const struct cmds_schema *schema, uint32_t depth)
{
    const uint32_t first = lift->row_count;
    if (depth > CMDI_DEPTH_MAX || schema->field_count > WHICH_ROWS_MAX - first) {
        return NULL;
    }
    struct cmds_schema *lifted = &lift->schemas[lift->schema_count++];
    lift->row_count += schema->field_count;
    uint32_t size = 0;
    for (uint32_t i = 0; i < schema->field_count; i++) {
        const struct cmds_field *from = cmds_schema_field(schema, i);
        struct cmds_field *row = &lift->rows[first + i];
        *row = *from;
        if (from->kind == CMDS_KIND_RESERVED) {
            continue;
        }
        if (!lift_item(lift, from, row, depth) || size > CMDI_VALUE_SIZE_MAX) {
            return NULL;
        }
        size = lift_place(from, row, size);
    }
    *lifted = (struct cmds_schema){.struct_size = sizeof(*lifted),
            .field_stride = sizeof(struct cmds_field),
            .field_count = schema->field_count,
            .value_size = size > 0 ? size : WHICH_ALIGN,
            .name = schema->name,
            .fields = &lift->rows[first]};
    return lifted;
}

/* --- What was received ------------------------------------------------------------------------ */

/*
 * A codec without lengths refuses a count before what it counts is there: zeros stand for the rest.
 * Returns: `in`, or a larger copy of it, for free(); NULL: there is no memory.
 */
static uint8_t *which_pad(struct cmds_bytes in, size_t size)
{
    uint8_t *padded = calloc(1, size);
    if (padded != NULL && in.size > 0) {
        memcpy(padded, in.data, in.size);
    }
    return padded;
}

/* Returns: as decode. *padded: what the value points to; free(). */
static int64_t which_read(const struct cmds_codec *codec, const struct cmds_type *type,
        struct cmds_bytes in, struct cmds_arena *arena, uint8_t **padded, void **value)
{
    struct cmds_bytes all = in;
    int64_t used = 0;
    for (int i = 0; i < WHICH_ROUNDS; i++) {
        *value = cmdi_codec_begin(arena, type, in.size); // For what really came.
        if (*value == NULL) {
            return -ENOMEM;
        }
        used = codec->decode(codec, type, all, arena, *value);
        if (used <= (int64_t)all.size || used > WHICH_PADDED_MAX) {
            break;
        }
        free(*padded);
        *padded = which_pad(in, (size_t)used);
        if (*padded == NULL) {
            return -ENOMEM;
        }
        all = (struct cmds_bytes){*padded, (size_t)used};
    }
    return used <= (int64_t)all.size ? used : CMDS_E_LIMIT;
}

static bool which_look(const struct cmds_codec *codec, const struct cmds_type *type,
        struct cmds_bytes in, struct cmds_arena *arena, struct cmds_error *error)
{
    struct lift *lift = type->descriptor == NULL ? calloc(1, sizeof(*lift)) : NULL;
    const struct cmds_schema *schema = lift != NULL ? lift_schema(lift, type->schema, 1) : NULL;
    uint8_t *padded = NULL;
    bool is_found = false;
    if (schema != NULL) {
        const struct cmds_type lifted = {.struct_size = sizeof(lifted),
                .number = type->number,
                .role = type->role,
                .schema = schema};
        void *value = NULL;
        is_found = which_read(codec, &lifted, in, arena, &padded, &value) >= 0 &&
                   walk_value(CMDS_E_LIMIT, type->schema, schema, value, error);
    }
    free(padded);
    free(lift);
    return is_found;
}

int cmdi_which_decode(const struct cmds_codec *codec, const struct cmds_type *type,
        struct cmds_bytes in, struct cmds_arena *arena, struct cmds_error *error)
{
    if (!which_look(codec, type, in, arena, error)) {
        (void)cmdi_fail(error, CMDS_E_LIMIT,
                "%.60s: larger than codec %.32s takes, deeper than %d, or more memory than %zu "
                "bytes may ask for",
                type->schema->name, codec->name, CMDI_DEPTH_MAX, in.size);
    }
    return CMDS_E_LIMIT;
}

/* --- For programs ----------------------------------------------------------------------------- */

int cmds_message_check(
        const struct cmds_codec *codec, struct cmds_message message, struct cmds_error *error)
{
    if (codec == NULL || message.type == NULL || message.value == NULL) {
        return cmdi_fail(error, -EINVAL, "no codec, no type or no value");
    }
    const char *name = message.type->schema->name;
    if (message.type->descriptor != NULL && (codec->flags & CMDS_CODEC_DESCRIPTORS) == 0) {
        return cmdi_fail(error, CMDS_E_SCHEMA,
                "%.60s has a descriptor, which codec %.32s does not read", name, codec->name);
    }
    int64_t size = codec->size(codec, message.type, message.value);
    return size < 0 ? cmdi_which_encode(codec, message, (int)size, error) : 0;
}

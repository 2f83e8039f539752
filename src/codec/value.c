/* SPDX-License-Identifier: MIT */
/*
 * The deep copy of a value: two walks over the same schema with the same steps, one that counts and
 * one that copies.
 *
 * Strings and bytes need no alignment and are packed; arrays and pairs are aligned for a pointer,
 * which is the most that a field can ask for. A string of no bytes stays NULL if it was, and points
 * into the block if it was not. Any thread.
 */
#include "codec/value.h"

#include <stdlib.h>

#include "base/assert.h"
#include "codec/copier.h"

static void copy_bytes(struct cmdi_copier *copier, const void *from, void *to)
{
    struct cmds_bytes bytes; // A cmds_string is the same in memory.
    memcpy(&bytes, from, sizeof(bytes));
    if (bytes.data == NULL && bytes.size == 0) {
        return;
    }
    bytes.data = cmdi_copier_take(copier, 1, bytes.size, bytes.data);
    if (to != NULL) {
        memcpy(to, &bytes, sizeof(bytes));
    }
}
_Static_assert(sizeof(struct cmds_string) == sizeof(struct cmds_bytes) &&
                       offsetof(struct cmds_string, size) == offsetof(struct cmds_bytes, size),
        "copy_bytes copies both");

static void *copy_list(struct cmdi_copier *copier, size_t count, size_t item_size, const void *from)
{
    if (count > SIZE_MAX / 2 / item_size) {
        copier->used = SIZE_MAX;
        return NULL;
    }
    return cmdi_copier_take(copier, _Alignof(void *), count * item_size, from);
}

static void copy_map(struct cmdi_copier *copier, const void *from, void *to)
{
    struct cmds_map map;
    memcpy(&map, from, sizeof(map));
    if (map.count == 0) {
        return;
    }
    struct cmds_pair *pairs = copy_list(copier, map.count, sizeof(*pairs), map.items);
    for (size_t i = 0; i < map.count && copier->used != SIZE_MAX; i++) {
        copy_bytes(copier, &map.items[i].key, pairs != NULL ? &pairs[i].key : NULL);
        copy_bytes(copier, &map.items[i].value, pairs != NULL ? &pairs[i].value : NULL);
    }
    map.items = pairs;
    if (to != NULL) {
        memcpy(to, &map, sizeof(map));
    }
}

static void copy_inside(struct cmdi_copier *copier, const struct cmds_schema *schema,
        const uint8_t *from, uint8_t *to);

/* `to` holds the same bytes as `from` already; only what they point to is still the original's. */
static void copy_item(struct cmdi_copier *copier, const struct cmds_field *field,
        const uint8_t *from, uint8_t *to)
{
    switch (field->kind) {
    case CMDS_KIND_STRING:
    case CMDS_KIND_BYTES:
        copy_bytes(copier, from, to);
        break;
    case CMDS_KIND_MAP:
        copy_map(copier, from, to);
        break;
    case CMDS_KIND_STRUCT:
        copy_inside(copier, field->nested, from, to);
        break;
    default:
        break; // Nothing is pointed to.
    }
}

static void copy_array(struct cmdi_copier *copier, const struct cmds_field *field,
        const uint8_t *from, uint8_t *to)
{
    struct cmdi_array array;
    memcpy(&array, from, sizeof(array));
    if (array.count == 0) {
        return;
    }
    const uint8_t *source = array.items;
    uint8_t *items = copy_list(copier, array.count, field->item_size, source);
    if (field->kind >= CMDS_KIND_STRING) {
        for (size_t i = 0; i < array.count && copier->used != SIZE_MAX; i++) {
            size_t at = i * field->item_size;
            copy_item(copier, field, source + at, items != NULL ? items + at : NULL);
        }
    }
    array.items = items;
    if (to != NULL) {
        memcpy(to, &array, sizeof(array));
    }
}
_Static_assert(CMDS_KIND_F64 < CMDS_KIND_STRING, "kinds below strings point to nothing");

static void copy_inside(struct cmdi_copier *copier, const struct cmds_schema *schema,
        const uint8_t *from, uint8_t *to)
{
    for (uint32_t i = 0; i < schema->field_count; i++) {
        const struct cmds_field *field = cmds_schema_field(schema, i);
        const uint8_t *source = from + field->offset;
        uint8_t *target = to != NULL ? to + field->offset : NULL;
        if (field->shape == CMDS_SHAPE_ARRAY) {
            copy_array(copier, field, source, target);
        } else if (field->shape == CMDS_SHAPE_ONE) {
            copy_item(copier, field, source, target);
        } else if (*source != 0) {
            copy_item(copier, field, source + field->item_offset,
                    target != NULL ? target + field->item_offset : NULL);
        }
    }
}

size_t cmdi_value_copy_size(const struct cmds_schema *schema, const void *value)
{
    if (schema->copy != NULL) {
        return schema->copy(schema, value, NULL, 0);
    }
    CMDI_ASSERT(schema->value_size > 0); // The protocol was checked.
    struct cmdi_copier copier = {.size_max = SIZE_MAX / 2};
    (void)cmdi_copier_take(&copier, 1, schema->value_size, value);
    copy_inside(&copier, schema, value, NULL);
    return copier.used;
}

void *cmdi_value_copy_into(
        const struct cmds_schema *schema, const void *value, void *block, size_t size)
{
    if (schema->copy != NULL) {
        return schema->copy(schema, value, block, size) <= size ? block : NULL;
    }
    struct cmdi_copier copier = {.block = block, .size_max = size};
    uint8_t *copy = cmdi_copier_take(&copier, 1, schema->value_size, value);
    if (copy != NULL) {
        copy_inside(&copier, schema, value, copy);
    }
    CMDI_ASSERT(copier.used == SIZE_MAX || copier.used <= size);
    return copier.used != SIZE_MAX ? copy : NULL;
}

void *cmds_value_copy(const struct cmds_schema *schema, const void *value)
{
    size_t size = cmdi_value_copy_size(schema, value);
    void *block = size != SIZE_MAX ? malloc(size) : NULL;
    return block != NULL ? cmdi_value_copy_into(schema, value, block, size) : NULL;
}

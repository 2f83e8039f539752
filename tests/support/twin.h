/* SPDX-License-Identifier: MIT */
/*
 * Schemas and values of all kinds by chance, and what msgpack-c's own packer makes of them: what the codecs'
 * own ways are held beside.
 *
 * Everything comes from one number, so a round that fails is found again by it. Lists, texts and names
 * lie in blocks of exactly their size, for a sanitizer to see a byte too many. One thread.
 */
#ifndef CMDI_TESTS_SUPPORT_TWIN_H
#define CMDI_TESTS_SUPPORT_TWIN_H

#include <cmdstream/codec.h>

#include <errno.h>
#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/value.h"

enum {
    TWIN_BLOCKS = 16384, // Of one round.
    TWIN_DEPTH = 3,
    TWIN_FIELDS = 24,
};

struct twin {
    uint64_t state;
    void *blocks[TWIN_BLOCKS];
    size_t block_count;
    bool breaks_limits; // Values may be larger than their rows allow, or NULL.
    bool breaks_texts;  // Some are no UTF-8.
};

#define TWIN_NEED(fact)                                                                            \
    do {                                                                                           \
        if (!(fact)) {                                                                             \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static inline uint64_t twin_next(struct twin *twin)
{
    uint64_t x = twin->state += 0x9e3779b97f4a7c15u; // splitmix64
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static inline uint32_t twin_below(struct twin *twin, uint32_t count)
{
    return (uint32_t)(twin_next(twin) >> 33) % count;
}

/* Zeroed, freed by twin_fini(). */
static inline void *twin_block(struct twin *twin, size_t size)
{
    TWIN_NEED(twin->block_count < TWIN_BLOCKS);
    void *block = calloc(1, size > 0 ? size : 1);
    TWIN_NEED(block != NULL);
    twin->blocks[twin->block_count++] = block;
    return block;
}

static inline void twin_fini(struct twin *twin)
{
    for (size_t i = 0; i < twin->block_count; i++) {
        free(twin->blocks[i]);
    }
    twin->block_count = 0;
}

/* --- A schema --------------------------------------------------------------------------------- */

/* Near to where a form ends, now and then. */
static inline uint32_t twin_length(struct twin *twin)
{
    static const uint32_t borders[] = {0, 1, 3, 4, 8, 9, 15, 16, 31, 32, 33, 255, 256, 300};
    switch (twin_below(twin, 16)) {
    case 0:
    case 1:
        return borders[twin_below(twin, sizeof(borders) / sizeof(borders[0]))];
    case 2:
        return twin_below(twin, 50) == 0 ? 65534 + twin_below(twin, 4) : twin_below(twin, 600);
    default:
        return twin_below(twin, 12);
    }
}

static inline const struct cmds_schema *twin_schema(struct twin *twin, unsigned depth);

static inline uint32_t twin_kind_size(unsigned kind)
{
    static const uint8_t sizes[] = {[CMDS_KIND_BOOL] = 1,
            [CMDS_KIND_I8] = 1,
            [CMDS_KIND_I16] = 2,
            [CMDS_KIND_I32] = 4,
            [CMDS_KIND_I64] = 8,
            [CMDS_KIND_U8] = 1,
            [CMDS_KIND_U16] = 2,
            [CMDS_KIND_U32] = 4,
            [CMDS_KIND_U64] = 8,
            [CMDS_KIND_F32] = 4,
            [CMDS_KIND_F64] = 8,
            [CMDS_KIND_STRING] = 16,
            [CMDS_KIND_BYTES] = 16,
            [CMDS_KIND_MAP] = 16,
            [CMDS_KIND_STRUCT] = 0};
    return sizes[kind];
}

static inline void twin_name(struct twin *twin, struct cmds_field *row, uint32_t index)
{
    char text[400];
    size_t size =
            (size_t)snprintf(text, sizeof(text), "%c%u", 'a' + (char)twin_below(twin, 26), index);
    size_t more = twin_below(twin, 8) == 0 ? twin_length(twin) % 300 : twin_below(twin, 14);
    memset(text + size, 'n', more);
    size += more;
    char *name = twin_block(twin, size + 1);
    memcpy(name, text, size);
    row->name = name;
    row->name_size = size <= 255 && twin_below(twin, 8) != 0 ? (uint8_t)size : 0;
}

/* Its place is behind those before it, as far from a border as anything may be. */
static inline void twin_row(
        struct twin *twin, struct cmds_field *row, uint32_t index, unsigned depth, uint32_t *end)
{
    row->kind = (uint8_t)(1 + twin_below(twin, CMDS_KIND_STRUCT));
    if (row->kind == CMDS_KIND_STRUCT && depth == TWIN_DEPTH) {
        row->kind = CMDS_KIND_I64;
    }
    if (twin_below(twin, 12) == 0) {
        *row = (struct cmds_field){.name = "", .kind = CMDS_KIND_RESERVED};
        return;
    }
    twin_name(twin, row, index);
    bool is_fixed = row->kind == CMDS_KIND_TEXT || row->kind == CMDS_KIND_BLOB;
    row->item_size = is_fixed ? 1 + twin_length(twin) % 400 : twin_kind_size(row->kind);
    if (row->kind == CMDS_KIND_STRUCT) {
        row->nested = twin_schema(twin, depth + 1);
        row->item_size = row->nested->value_size;
    }
    row->shape = twin_below(twin, 3) != 0 ? CMDS_SHAPE_ONE
                 : is_fixed               ? CMDS_SHAPE_OPTIONAL
                                          : (uint8_t)twin_below(twin, 3);
    row->offset = *end;
    row->size = row->item_size;
    if (row->shape == CMDS_SHAPE_ARRAY) {
        row->size = sizeof(struct cmdi_array);
    } else if (row->shape == CMDS_SHAPE_OPTIONAL) {
        row->item_offset = 16;
        row->size = (16 + row->item_size + 15) & ~15u;
    }
    *end += (row->size + 15) & ~15u;
    bool has_length = row->shape == CMDS_SHAPE_ARRAY || row->kind == CMDS_KIND_STRING ||
                      row->kind == CMDS_KIND_BYTES || row->kind == CMDS_KIND_MAP ||
                      row->kind == CMDS_KIND_TEXT;
    row->size_max = has_length && twin_below(twin, 2) != 0 ? 1 + twin_length(twin) : 0;
}
_Static_assert(CMDS_KIND_RESERVED == 0, "it is no member: the others begin behind it");

/* Its rows may be longer than ours are: another header's. */
static inline const struct cmds_schema *twin_schema(struct twin *twin, unsigned depth)
{
    uint32_t count = twin_below(twin, twin_below(twin, 8) == 0 ? TWIN_FIELDS : 7), end = 0;
    uint32_t stride = sizeof(struct cmds_field) + (twin_below(twin, 4) == 0 ? 16 : 0);
    uint8_t *rows = twin_block(twin, (size_t)stride * count);
    for (uint32_t i = 0; i < count; i++) {
        struct cmds_field row = {0};
        twin_row(twin, &row, i, depth, &end);
        memcpy(rows + (size_t)stride * i, &row, sizeof(row));
    }
    struct cmds_schema *schema = twin_block(twin, sizeof(*schema));
    *schema = (struct cmds_schema){.struct_size = sizeof(*schema),
            .field_stride = stride,
            .field_count = count,
            .value_size = end > 0 ? end : 16,
            .name = "twin",
            .fields = (const struct cmds_field *)(const void *)rows};
    return schema;
}

/* --- A value ---------------------------------------------------------------------------------- */

static inline uint64_t twin_integer(struct twin *twin)
{
    uint64_t bits = twin_next(twin) >> twin_below(twin, 64);
    uint64_t near = ((uint64_t)1 << twin_below(twin, 64)) + twin_below(twin, 5) - 2;
    bits = twin_below(twin, 3) == 0 ? near : bits;
    return twin_below(twin, 2) == 0 ? bits : ~bits + 1;
}

/* A length that fits, unless limits are to be broken. */
static inline uint32_t twin_within(struct twin *twin, uint32_t size_max)
{
    uint32_t size = twin_length(twin);
    bool breaks = twin->breaks_limits && twin_below(twin, 24) == 0;
    if (size_max != 0 && !breaks && size > size_max) {
        size = size_max - twin_below(twin, 2);
    }
    return size;
}

static inline struct cmds_bytes twin_span(struct twin *twin, uint32_t size_max)
{
    uint32_t size = twin_within(twin, size_max);
    if (size == 0 || (twin->breaks_limits && twin_below(twin, 64) == 0)) {
        return (struct cmds_bytes){NULL, size};
    }
    char *data = twin_block(twin, size);
    memset(data, 'a' + (char)twin_below(twin, 26), size);
    if (twin->breaks_texts && twin_below(twin, 16) == 0) {
        data[size / 2] = (char)0xff;
    }
    return (struct cmds_bytes){data, size};
}

static inline void twin_fill(struct twin *twin, const struct cmds_schema *schema, uint8_t *value);

static inline void twin_fill_map(struct twin *twin, uint8_t *at, uint32_t count_max)
{
    uint32_t count = twin_within(twin, count_max);
    count = count_max == 0 || count <= count_max ? count % 18 : count;
    count = count < 1000 ? count : 1000;
    struct cmds_pair *pairs = twin_block(twin, count * sizeof(*pairs));
    for (uint32_t i = 0; i < count && i < 40; i++) {
        struct cmds_bytes key = twin_span(twin, 0), text = twin_span(twin, 0);
        memcpy(&pairs[i].key, &key, sizeof(key));
        memcpy(&pairs[i].value, &text, sizeof(text));
    }
    struct cmds_map map = {pairs, count};
    memcpy(at, &map, sizeof(map));
}

static inline void twin_fill_item(
        struct twin *twin, const struct cmds_field *row, uint8_t *at, uint32_t size_max)
{
    uint64_t bits = twin_integer(twin);
    struct cmds_bytes span;
    switch (row->kind) {
    case CMDS_KIND_BOOL:
        *at = bits & 1;
        break;
    case CMDS_KIND_STRING:
    case CMDS_KIND_BYTES:
        span = twin_span(twin, size_max);
        memcpy(at, &span, sizeof(span));
        break;
    case CMDS_KIND_MAP:
        twin_fill_map(twin, at, size_max);
        break;
    case CMDS_KIND_TEXT:
        span.size = twin_within(twin, size_max) % (row->item_size + twin->breaks_limits);
        memset(at, 'x', span.size);
        break;
    case CMDS_KIND_BLOB:
        memset(at, (int)(bits & 0xff), row->item_size);
        break;
    case CMDS_KIND_STRUCT:
        twin_fill(twin, row->nested, at);
        break;
    default:
        memcpy(at, &bits, row->item_size);
    }
}

static inline void twin_fill(struct twin *twin, const struct cmds_schema *schema, uint8_t *value)
{
    for (uint32_t i = 0; i < schema->field_count; i++) {
        const struct cmds_field *row = cmds_schema_field(schema, i);
        uint8_t *at = value + row->offset;
        if (row->kind == CMDS_KIND_RESERVED) {
            continue;
        }
        if (row->shape == CMDS_SHAPE_ONE) {
            twin_fill_item(twin, row, at, row->size_max);
        } else if (row->shape == CMDS_SHAPE_OPTIONAL && twin_below(twin, 2) != 0) {
            *at = 1;
            twin_fill_item(twin, row, at + row->item_offset, row->size_max);
        } else if (row->shape == CMDS_SHAPE_ARRAY) {
            uint32_t count = twin_within(twin, row->size_max) % 18;
            uint8_t *items = twin_block(twin, (size_t)count * row->item_size);
            for (uint32_t k = 0; k < count && twin->block_count < TWIN_BLOCKS / 2; k++) {
                twin_fill_item(twin, row, items + (size_t)k * row->item_size, 0);
            }
            bool is_null = twin->breaks_limits && twin_below(twin, 64) == 0;
            struct cmdi_array array = {is_null ? NULL : items, count};
            memcpy(at, &array, sizeof(array));
        }
    }
}

/* --- What msgpack-c makes of it --------------------------------------------------------------- */

/* `maps`: of each struct by chance, whether it is written as a map; 0: none is; UINT64_MAX: all are. */
struct twin_writer {
    msgpack_packer packer;
    uint64_t maps;
    struct twin *odd; // Not NULL: now and then as others write it, or beyond a limit.
};

static inline bool twin_is_odd(struct twin_writer *writer, uint32_t seldom)
{
    return writer->odd != NULL && twin_below(writer->odd, seldom) == 0;
}

static inline int twin_write(
        struct twin_writer *writer, const struct cmds_schema *schema, const uint8_t *value);

static inline int twin_check(
        const struct twin_writer *writer, const void *data, size_t size, uint32_t size_max)
{
    if (writer->odd != NULL && data != NULL) {
        return 0;
    }
    return size > (size_max != 0 ? size_max : UINT32_MAX) ? CMDS_E_LIMIT
           : data == NULL && size > 0                     ? -EINVAL
                                                          : 0;
}

static inline int twin_write_str(
        struct twin_writer *writer, const void *data, size_t size, uint32_t size_max)
{
    int code = twin_check(writer, data, size, size_max);
    if (code == 0) {
        (void)msgpack_pack_str(&writer->packer, size);
        (void)msgpack_pack_str_body(&writer->packer, size > 0 ? data : "", size);
    }
    return code;
}

static inline int twin_write_map(struct twin_writer *writer, const uint8_t *at, uint32_t count_max)
{
    struct cmds_map map;
    memcpy(&map, at, sizeof(map));
    int code = twin_check(writer, map.items, map.count, count_max);
    if (code == 0) {
        (void)msgpack_pack_map(&writer->packer, map.count);
    }
    for (size_t i = 0; i < map.count && code == 0; i++) {
        const struct cmds_pair *pair = &map.items[i];
        code = twin_write_str(writer, pair->key.data, pair->key.size, 0);
        code = code < 0 ? code : twin_write_str(writer, pair->value.data, pair->value.size, 0);
    }
    return code;
}

static inline int64_t twin_load(const struct cmds_field *row, const uint8_t *at)
{
    uint64_t bits = 0;
    memcpy(&bits, at, row->item_size); // Little-endian, as all machines that this runs on.
    unsigned shift = 64 - 8 * row->item_size;
    return row->kind <= CMDS_KIND_I64 ? (int64_t)(bits << shift) >> shift : (int64_t)bits;
}

static inline int twin_write_span(struct twin_writer *writer, const struct cmds_field *row,
        const uint8_t *at, uint32_t size_max)
{
    struct cmds_bytes span;
    memcpy(&span, at, sizeof(span));
    if (row->kind == CMDS_KIND_STRING) {
        return twin_write_str(writer, span.data, span.size, size_max);
    }
    int code = twin_check(writer, span.data, span.size, size_max);
    if (code == 0) {
        (void)msgpack_pack_bin(&writer->packer, span.size);
        (void)msgpack_pack_bin_body(&writer->packer, span.size > 0 ? span.data : "", span.size);
    }
    return code;
}

/* In another form, be it right or not. */
static inline int twin_write_odd(
        struct twin_writer *writer, const struct cmds_field *row, const uint8_t *at)
{
    msgpack_packer *packer = &writer->packer;
    uint64_t bits = 0;
    memcpy(&bits, at, row->item_size < sizeof(bits) ? row->item_size : sizeof(bits));
    switch (twin_below(writer->odd, 14)) {
    case 0:
        return msgpack_pack_fix_int8(packer, (int8_t)bits);
    case 1:
        return msgpack_pack_fix_uint8(packer, (uint8_t)bits);
    case 2:
        return msgpack_pack_fix_int16(packer, (int16_t)bits);
    case 3:
        return msgpack_pack_fix_uint16(packer, (uint16_t)bits);
    case 4:
        return msgpack_pack_fix_int32(packer, (int32_t)bits);
    case 5:
        return msgpack_pack_fix_uint32(packer, (uint32_t)bits);
    case 6:
        return msgpack_pack_fix_int64(packer, (int64_t)bits);
    case 7:
        return msgpack_pack_fix_uint64(packer, bits);
    case 8:
        return msgpack_pack_float(packer, (float)(bits % 1000));
    case 9:
        return msgpack_pack_double(packer, (double)(bits % 1000));
    case 10:
        (void)msgpack_pack_str(packer, 3);
        return msgpack_pack_str_body(packer, "odd", 3);
    case 11:
        (void)msgpack_pack_bin(packer, 3);
        return msgpack_pack_bin_body(packer, "odd", 3);
    case 12:
        return msgpack_pack_true(packer);
    default:
        return msgpack_pack_nil(packer);
    }
}

static inline int twin_write_item(struct twin_writer *writer, const struct cmds_field *row,
        const uint8_t *at, uint32_t size_max)
{
    float single = 0;
    double real = 0;
    size_t size;
    if (twin_is_odd(writer, 16)) {
        return twin_write_odd(writer, row, at);
    }
    switch (row->kind) {
    case CMDS_KIND_BOOL:
        return *at != 0 ? msgpack_pack_true(&writer->packer) : msgpack_pack_false(&writer->packer);
    case CMDS_KIND_F32:
        memcpy(&single, at, sizeof(single));
        return msgpack_pack_float(&writer->packer, single);
    case CMDS_KIND_F64:
        memcpy(&real, at, sizeof(real));
        return msgpack_pack_double(&writer->packer, real);
    case CMDS_KIND_STRING:
    case CMDS_KIND_BYTES:
        return twin_write_span(writer, row, at, size_max);
    case CMDS_KIND_MAP:
        return twin_write_map(writer, at, size_max);
    case CMDS_KIND_TEXT:
        size = strnlen((const char *)at, row->item_size);
        return size == row->item_size && writer->odd == NULL
                       ? CMDS_E_LIMIT
                       : twin_write_str(writer, at, size, size_max);
    case CMDS_KIND_BLOB:
        (void)msgpack_pack_bin(&writer->packer, row->item_size);
        return msgpack_pack_bin_body(&writer->packer, at, row->item_size);
    case CMDS_KIND_STRUCT:
        return twin_write(writer, row->nested, at);
    default:
        return row->kind <= CMDS_KIND_I64
                       ? msgpack_pack_int64(&writer->packer, twin_load(row, at))
                       : msgpack_pack_uint64(&writer->packer, (uint64_t)twin_load(row, at));
    }
}
_Static_assert(
        CMDS_KIND_I64 < CMDS_KIND_U8 && CMDS_KIND_U64 < CMDS_KIND_F32, "integers stand first");

static inline int twin_write_field(
        struct twin_writer *writer, const struct cmds_field *row, const uint8_t *at)
{
    struct cmdi_array array;
    if (row->kind == CMDS_KIND_RESERVED || (row->shape == CMDS_SHAPE_OPTIONAL && *at == 0)) {
        return msgpack_pack_nil(&writer->packer);
    }
    if (row->shape != CMDS_SHAPE_ARRAY) {
        return twin_write_item(writer, row, at + row->item_offset, row->size_max);
    }
    memcpy(&array, at, sizeof(array));
    int code = twin_check(writer, array.items, array.count, row->size_max);
    if (code == 0) {
        (void)msgpack_pack_array(&writer->packer, array.count);
    }
    for (size_t i = 0; i < array.count && code == 0; i++) {
        code = twin_write_item(writer, row, (const uint8_t *)array.items + i * row->item_size, 0);
    }
    return code;
}

/* Returns: 0, CMDS_E_LIMIT, -EINVAL. */
static inline int twin_write(
        struct twin_writer *writer, const struct cmds_schema *schema, const uint8_t *value)
{
    bool as_map = writer->maps & 1;
    writer->maps = writer->maps >> 1 | writer->maps << 63;
    uint32_t count = 0, first = 0, end = schema->field_count, more = twin_is_odd(writer, 8);
    if (twin_is_odd(writer, 8)) { // A peer that is older, or in whose map the last comes first.
        end = twin_below(writer->odd, end + 1);
        first = as_map && end > 0 ? twin_below(writer->odd, end) : 0;
    }
    for (uint32_t i = first; i < end; i++) {
        count += !as_map || cmds_schema_field(schema, i)->kind != CMDS_KIND_RESERVED;
    }
    (void)(as_map ? msgpack_pack_map(&writer->packer, count + more)
                  : msgpack_pack_array(&writer->packer, count + more));
    int code = 0;
    for (uint32_t i = first; i < end && code == 0; i++) {
        const struct cmds_field *row = cmds_schema_field(schema, i);
        if (as_map && row->kind == CMDS_KIND_RESERVED) {
            continue;
        }
        if (as_map) {
            code = twin_write_str(writer, row->name, strlen(row->name), 0);
        }
        code = code < 0 ? code : twin_write_field(writer, row, value + row->offset);
    }
    if (more != 0 && code == 0) {
        const struct cmds_field *row = end > 0 ? cmds_schema_field(schema, end - 1) : NULL;
        const char *name = row != NULL && row->name != NULL && as_map ? row->name : "unknown";
        code = as_map ? twin_write_str(writer, name, strlen(name), 0) : 0;
        (void)msgpack_pack_nil(&writer->packer);
    }
    return code;
}

/* Into `buffer`, which is emptied. */
static inline int twin_encode(const struct cmds_schema *schema, const uint8_t *value, uint64_t maps,
        struct twin *odd, msgpack_sbuffer *buffer)
{
    struct twin_writer writer = {.maps = maps, .odd = odd};
    msgpack_sbuffer_clear(buffer);
    msgpack_packer_init(&writer.packer, buffer, msgpack_sbuffer_write);
    return twin_write(&writer, schema, value);
}

#endif

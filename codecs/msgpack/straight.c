/* SPDX-License-Identifier: MIT */
/*
 * The way that nearly all messages take: structs as arrays or maps of just the fields that we know, in the
 * order of the schema, each in a form of its own kind. One step per field over the schema's rows, without the
 * parser's states.
 *
 * It either reads all of a value or says that it is not for it, and read.c begins anew: so whatever is odd,
 * wrong or too large is judged in one place alone, by one set of rules. What it takes, read.c takes as
 * well, with the same outcome; the fuzzer holds the two beside each other.
 *
 * Recurses over nested schemas, whose depth the protocol check bounds, never over the value. An array has
 * no more elements than bytes follow, and memory is bounded by the arena. No state, any thread.
 */
#include <endian.h>
#include <limits.h>

#include "base/hint.h"
#include "codec/arena.h"
#include "common/carrier.h"
#include "common/value.h"
#include "msgpack/format.h"
#include "msgpack/msgpack.h"

#define FLOAT32_EXPONENT 0x7f800000u

/* What every traced command begins with whose carrier is but a traceparent. */
static const uint8_t carrier_head[] = {HEAD_FIXARRAY | 2, HEAD_FIXMAP | 1,
        HEAD_FIXSTR | CMDI_CARRIER_KEY, 't', 'r', 'a', 'c', 'e', 'p', 'a', 'r', 'e', 'n', 't',
        HEAD_STR8, CMDI_CARRIER_VALUE};

enum {
    WORD = sizeof(uint64_t),
    REMOVED_MAX = 8, // Rows that a map may pass over: a body does not pay for more.
    CARRIER_KEY = 3, // Where each part of a traced command begins.
    CARRIER_VALUE = sizeof(carrier_head),
    CARRIER_END = CARRIER_VALUE + CMDI_CARRIER_VALUE,
};
_Static_assert(CARRIER_VALUE == 16, "one comparison of a register");

/*
 * All functions below get the place behind the first byte of an item, and return the place behind all of it, or NULL.
 */
struct source {
    const uint8_t *end;
    struct cmds_arena *arena;
    struct cmdi_arena_mark mark; // Before the first list, if there is one.
    bool has_mark;
};

/* The next bytes, of which there are one to seven, with zeros behind them: two loads that overlap. */
static __attribute__((noinline)) uint64_t last_word(const uint8_t *at, const uint8_t *end)
{
    size_t size = (size_t)(end - at);
    uint64_t first, last;
    if (size >= 4) {
        first = (uint64_t)be32toh(CMDI_LOAD(uint32_t, at)) << 32;
        last = be32toh(CMDI_LOAD(uint32_t, end - 4));
    } else if (size >= 2) {
        first = (uint64_t)be16toh(CMDI_LOAD(uint16_t, at)) << 48;
        last = be16toh(CMDI_LOAD(uint16_t, end - 2));
    } else {
        return (uint64_t)*at << 56;
    }
    return first | last << (64 - 8 * size);
}

/* The next `width` bytes, at least, in the upper end of the word. Returns: false: they are not there. */
static CMDI_INLINED bool see_word(
        const uint8_t *at, const uint8_t *end, unsigned width, uint64_t *word)
{
    if (CMDI_LIKELY(end - at >= WORD)) {
        *word = be64toh(CMDI_LOAD(uint64_t, at));
        return true;
    }
    if (end - at < (ptrdiff_t)width) {
        return false;
    }
    *word = last_word(at, end);
    return true;
}

/*
 * An integer that is longer than its first byte: its 64 bits, and all ones if its form has a sign. The width is the last two bits of
 * the first byte, and the next one says whether there is a sign: no branch depends on the value.
 */
static CMDI_INLINED const uint8_t *take_integer(
        const uint8_t *at, const uint8_t *end, uint8_t head, uint64_t *bits, uint64_t *has_sign)
{
    unsigned form = head - (unsigned)HEAD_UINT8, bit_count = 8u << (form & 3);
    unsigned width = bit_count / 8, shift = -bit_count & 63;
    uint64_t word;
    if (CMDI_UNLIKELY(form > HEAD_INT64 - HEAD_UINT8 || !see_word(at, end, width, &word))) {
        return NULL;
    }
    uint64_t plain = word >> shift, extended = (uint64_t)((int64_t)word >> shift);
    *has_sign = -(uint64_t)(form >> 2);
    *bits = plain ^ ((plain ^ extended) & *has_sign);
    return at + width;
}

static CMDI_INLINED const uint8_t *take_signed(const uint8_t *at, const uint8_t *end, uint8_t head,
        int64_t min, int64_t max, int64_t *value)
{
    uint64_t bits, has_sign;
    *value = (int8_t)head;
    if (*value >= -32) {
        return at;
    }
    at = take_integer(at, end, head, &bits, &has_sign);
    if (CMDI_UNLIKELY(at == NULL)) {
        return NULL;
    }
    *value = (int64_t)bits;
    bool fits = (int64_t)(bits & ~has_sign) >= 0 && *value >= min && *value <= max;
    return CMDI_LIKELY(fits) ? at : NULL;
}

static CMDI_INLINED const uint8_t *take_unsigned(
        const uint8_t *at, const uint8_t *end, uint8_t head, uint64_t max, uint64_t *value)
{
    uint64_t has_sign;
    *value = head;
    if (head < HEAD_FIXMAP) {
        return at;
    }
    at = take_integer(at, end, head, value, &has_sign);
    if (CMDI_UNLIKELY(at == NULL)) {
        return NULL;
    }
    bool fits = (int64_t)(*value & has_sign) >= 0 && *value <= max;
    return CMDI_LIKELY(fits) ? at : NULL;
}

/* The length of a str or a bin, all of which is there. `wide`: the form that is expected. */
static CMDI_INLINED const uint8_t *take_length(
        const uint8_t *at, const uint8_t *end, uint8_t head, uint8_t wide, size_t *size)
{
    const uint8_t other = wide == HEAD_STR8 ? HEAD_BIN8 : HEAD_STR8;
    *size = head & 0x1f;
    if ((head & 0xe0) != HEAD_FIXSTR) {
        unsigned form = head - (unsigned)wide;
        if (CMDI_UNLIKELY(form > 2)) {
            form = head - (unsigned)other;
        }
        unsigned width = 1u << (form & 3);
        uint64_t word;
        if (CMDI_UNLIKELY(form > 2 || !see_word(at, end, width, &word))) {
            return NULL;
        }
        *size = word >> (64 - 8 * width);
        at += width;
    }
    return CMDI_LIKELY((size_t)(end - at) >= *size) ? at : NULL;
}

static CMDI_INLINED const uint8_t *take_span(const uint8_t *at, const uint8_t *end, uint8_t head,
        uint8_t wide, uint32_t size_max, uint8_t *to)
{
    struct cmds_string span;
    at = take_length(at, end, head, wide, &span.size);
    if (CMDI_UNLIKELY(at == NULL || (size_max != 0 && span.size > size_max))) {
        return NULL;
    }
    span.data = (const char *)at;
    CMDI_STORE(struct cmds_string, to, span);
    return at + span.size;
}

static CMDI_INLINED const uint8_t *take_float(
        const uint8_t *at, const uint8_t *end, uint8_t head, uint8_t *to)
{
    if (head != HEAD_FLOAT32 || end - at < (ptrdiff_t)sizeof(uint32_t)) {
        return NULL;
    }
    uint32_t word = be32toh(CMDI_LOAD(uint32_t, at));
    if ((word & FLOAT32_EXPONENT) == FLOAT32_EXPONENT) {
        return NULL; // Of NaN read.c keeps not every bit.
    }
    CMDI_STORE(uint32_t, to, word);
    return at + sizeof(word);
}

static CMDI_INLINED const uint8_t *take_double(
        const uint8_t *at, const uint8_t *end, uint8_t head, uint8_t *to)
{
    if (CMDI_UNLIKELY(head != HEAD_FLOAT64 || end - at < WORD)) {
        return NULL;
    }
    CMDI_STORE(uint64_t, to, be64toh(CMDI_LOAD(uint64_t, at)));
    return at + sizeof(uint64_t);
}

#define TAKE_SIGNED(type, min, max)                                                                \
    at = take_signed(at, end, head, (min), (max), &number);                                        \
    if (CMDI_LIKELY(at != NULL)) {                                                                 \
        CMDI_STORE(type, to, (type)number);                                                        \
    }                                                                                              \
    return at
#define TAKE_UNSIGNED(type, max)                                                                   \
    at = take_unsigned(at, end, head, (max), &word);                                               \
    if (CMDI_LIKELY(at != NULL)) {                                                                 \
        CMDI_STORE(type, to, (type)word);                                                          \
    }                                                                                              \
    return at

/* What needs no memory. NULL: no such kind, too. */
static CMDI_INLINED const uint8_t *take_plain(const uint8_t *at, const uint8_t *end, uint8_t head,
        unsigned form, uint32_t size_max, uint8_t *to)
{
    int64_t number;
    uint64_t word;
    switch (form) {
    case CMDS_KIND_BOOL:
        *to = head & 1;
        return CMDI_LIKELY((head & 0xfe) == HEAD_FALSE) ? at : NULL;
    case CMDS_KIND_I8:
        TAKE_SIGNED(int8_t, INT8_MIN, INT8_MAX);
    case CMDS_KIND_I16:
        TAKE_SIGNED(int16_t, INT16_MIN, INT16_MAX);
    case CMDS_KIND_I32:
        TAKE_SIGNED(int32_t, INT32_MIN, INT32_MAX);
    case CMDS_KIND_I64:
        TAKE_SIGNED(int64_t, INT64_MIN, INT64_MAX);
    case CMDS_KIND_U8:
        TAKE_UNSIGNED(uint8_t, UINT8_MAX);
    case CMDS_KIND_U16:
        TAKE_UNSIGNED(uint16_t, UINT16_MAX);
    case CMDS_KIND_U32:
        TAKE_UNSIGNED(uint32_t, UINT32_MAX);
    case CMDS_KIND_U64:
        TAKE_UNSIGNED(uint64_t, UINT64_MAX);
    case CMDS_KIND_F32:
        return take_float(at, end, head, to);
    case CMDS_KIND_F64:
        return take_double(at, end, head, to);
    case CMDS_KIND_STRING:
        return take_span(at, end, head, HEAD_STR8, size_max, to);
    case CMDS_KIND_BYTES:
        return take_span(at, end, head, HEAD_BIN8, size_max, to);
    default:
        return NULL;
    }
}

static const uint8_t *take_text(const uint8_t *at, const uint8_t *end, uint8_t head,
        const struct cmds_field *field, uint32_t size_max, uint8_t *to)
{
    size_t size;
    at = take_length(at, end, head, HEAD_STR8, &size);
    if (at == NULL || size >= field->item_size || (size_max != 0 && size > size_max) ||
            memchr(at, '\0', size) != NULL) {
        return NULL;
    }
    memcpy(to, at, size); // The rest is zero.
    return at + size;
}

static const uint8_t *take_blob(const uint8_t *at, const uint8_t *end, uint8_t head,
        const struct cmds_field *field, uint8_t *to)
{
    size_t size;
    at = take_length(at, end, head, HEAD_BIN8, &size);
    if (at == NULL || size != field->item_size) {
        return NULL;
    }
    memcpy(to, at, size);
    return at + size;
}

/* Of an array or a map. */
static CMDI_INLINED const uint8_t *take_count(const uint8_t *at, const uint8_t *end, uint8_t head,
        uint8_t fixed, uint8_t wide, size_t *count)
{
    if (CMDI_LIKELY((head & 0xf0) == fixed)) {
        *count = head & 0x0f;
        return at;
    }
    unsigned width = head == wide ? 2 : 4;
    uint64_t word;
    if ((head != wide && head != wide + 1) || !see_word(at, end, width, &word)) {
        return NULL;
    }
    *count = word >> (64 - 8 * width);
    return at + width;
}

/* Room for a list, zeroed. */
static uint8_t *list_make(const uint8_t *at, struct source *source, size_t count, size_t item_size,
        uint32_t count_max, uint8_t *to)
{
    size_t size;
    if (count > (size_t)(source->end - at) || (count_max != 0 && count > count_max) ||
            __builtin_mul_overflow(count, item_size, &size)) {
        return NULL;
    }
    if (!source->has_mark) {
        source->mark = cmdi_arena_mark(source->arena);
        source->has_mark = true;
    }
    struct cmdi_array array = {cmdi_arena_alloc(source->arena, size, _Alignof(max_align_t)), count};
    if (array.items != NULL) {
        memset(array.items, 0, size);
        CMDI_STORE(struct cmdi_array, to, array);
    }
    return array.items;
}

/* Key, value, key, value: side by side in memory, too. */
static const uint8_t *take_map(
        const uint8_t *at, struct source *source, uint8_t head, uint32_t count_max, uint8_t *to)
{
    size_t count;
    at = take_count(at, source->end, head, HEAD_FIXMAP, HEAD_MAP16, &count);
    if (at == NULL || count == 0) {
        return at;
    }
    uint8_t *item = list_make(at, source, count, sizeof(struct cmds_pair), count_max, to);
    if (item == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < 2 * count && at != NULL; i++) {
        if (at == source->end) {
            return NULL;
        }
        at = take_span(at + 1, source->end, *at, HEAD_STR8, 0, item);
        item += sizeof(struct cmds_string);
    }
    return at;
}
_Static_assert(
        sizeof(struct cmds_pair) == 2 * sizeof(struct cmds_string), "a map is a list of strings");

static const uint8_t *take_struct(const uint8_t *at, struct source *source, uint8_t head,
        const struct cmds_schema *schema, uint8_t *value);

static const uint8_t *take_item(const uint8_t *at, struct source *source, uint8_t head,
        const struct cmds_field *field, uint32_t size_max, uint8_t *to)
{
    switch (field->kind) {
    case CMDS_KIND_MAP:
        return take_map(at, source, head, size_max, to);
    case CMDS_KIND_TEXT:
        return take_text(at, source->end, head, field, size_max, to);
    case CMDS_KIND_BLOB:
        return take_blob(at, source->end, head, field, to);
    case CMDS_KIND_STRUCT:
        return take_struct(at, source, head, field->nested, to);
    case CMDS_KIND_RESERVED:
        return head == HEAD_NIL ? at : NULL;
    default:
        return take_plain(at, source->end, head, field->kind, size_max, to);
    }
}

/* A plain one is taken on the spot. */
static CMDI_INLINED const uint8_t *take_element(
        const uint8_t *at, struct source *source, const struct cmds_field *field, uint8_t *to)
{
    if (CMDI_UNLIKELY(at == source->end)) {
        return NULL;
    }
    uint8_t head = *at++;
    if (field->kind == CMDS_KIND_STRUCT) {
        return take_struct(at, source, head, field->nested, to);
    }
    const uint8_t *behind = take_plain(at, source->end, head, field->kind, 0, to);
    return CMDI_LIKELY(behind != NULL) ? behind : take_item(at, source, head, field, 0, to);
}

/* The limit is the array's, not its items'. */
static const uint8_t *take_array(const uint8_t *at, struct source *source, uint8_t head,
        const struct cmds_field *field, uint8_t *to)
{
    size_t count;
    at = take_count(at, source->end, head, HEAD_FIXARRAY, HEAD_ARRAY16, &count);
    if (at == NULL || count == 0) {
        return at;
    }
    uint8_t *item = list_make(at, source, count, field->item_size, field->size_max, to);
    if (item == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < count && at != NULL; i++) {
        at = take_element(at, source, field, item);
        item += field->item_size;
    }
    return at;
}

static const uint8_t *take_many(const uint8_t *at, struct source *source, uint8_t head,
        const struct cmds_field *field, uint8_t *to)
{
    if (field->shape == CMDS_SHAPE_ARRAY) {
        return take_array(at, source, head, field, to);
    }
    if (head == HEAD_NIL) {
        return at;
    }
    CMDI_STORE(bool, to, true);
    return take_item(at, source, head, field, field->size_max, to + field->item_offset);
}

static const uint8_t *take_field(
        const uint8_t *at, struct source *source, const struct cmds_field *field, uint8_t *value)
{
    if (CMDI_UNLIKELY(at == source->end)) {
        return NULL;
    }
    uint8_t head = *at++, *to = value + field->offset;
    return field->shape == CMDS_SHAPE_ONE ? take_item(at, source, head, field, field->size_max, to)
                                          : take_many(at, source, head, field, to);
}

/* --- Structs ---------------------------------------------------------------------------------- */

/* How far the walk over the rows has come. Two words, so that it is handed over in registers. */
struct walk {
    const struct cmds_field *field;
    const uint8_t *at;
};

/*
 * As far as the quick way leads: nearly always to the end, and everything stays in registers. Returns: the place behind
 * the last row; NULL: *rest is where it ended.
 */
static CMDI_INLINED const uint8_t *walk_quick(struct walk walk, const struct cmds_field *end_field,
        uint32_t stride, const uint8_t *end, uint8_t *value, struct walk *rest)
{
    for (; walk.field != end_field; walk.field = cmdi_row_after(walk.field, stride)) {
        const struct cmds_field *field = walk.field;
        const uint8_t *at = NULL;
        if (CMDI_LIKELY(walk.at < end)) {
            at = take_plain(walk.at + 1, end, *walk.at, cmdi_row_form(field), field->size_max,
                    value + field->offset);
        }
        if (CMDI_UNLIKELY(at == NULL)) {
            *rest = walk;
            return NULL;
        }
        walk.at = at;
    }
    return walk.at;
}

static const uint8_t *walk_rest(struct walk walk, const struct cmds_field *end_field,
        uint32_t stride, struct source *source, uint8_t *value)
{
    for (;;) {
        const uint8_t *at = take_field(walk.at, source, walk.field, value);
        if (CMDI_UNLIKELY(at == NULL)) {
            return NULL;
        }
        walk = (struct walk){cmdi_row_after(walk.field, stride), at};
        at = walk_quick(walk, end_field, stride, source->end, value, &walk);
        if (at != NULL) {
            return at;
        }
    }
}

/* An older peer has fewer fields. */
static CMDI_INLINED const uint8_t *take_rows(const uint8_t *at, struct source *source,
        const struct cmds_schema *schema, size_t count, uint8_t *value)
{
    if (CMDI_UNLIKELY(count > schema->field_count)) {
        return NULL;
    }
    const uint32_t stride = schema->field_stride;
    const struct cmds_field *end_field = cmds_schema_field(schema, (uint32_t)count);
    struct walk walk = {schema->fields, at};
    at = walk_quick(walk, end_field, stride, source->end, value, &walk);
    return CMDI_LIKELY(at != NULL) ? at : walk_rest(walk, end_field, stride, source, value);
}

static CMDI_INLINED bool is_named(const struct cmds_field *field, const uint8_t *name, size_t size)
{
    const char *own = field->name;
    if (size != cmdi_row_name_size(field)) {
        return false;
    }
    if (size >= 4 && size <= 8) {
        return CMDI_LOAD(uint32_t, own) == CMDI_LOAD(uint32_t, name) &&
               CMDI_LOAD(uint32_t, own + size - 4) == CMDI_LOAD(uint32_t, name + size - 4);
    }
    if (size > 8 && size <= 16) {
        return CMDI_LOAD(uint64_t, own) == CMDI_LOAD(uint64_t, name) &&
               CMDI_LOAD(uint64_t, own + size - 8) == CMDI_LOAD(uint64_t, name + size - 8);
    }
    return memcmp(own, name, size) == 0;
}

static CMDI_INLINED const uint8_t *take_named(
        const uint8_t *at, struct source *source, const struct cmds_field *field, uint8_t *value)
{
    if (CMDI_LIKELY(at != source->end)) {
        const uint8_t *behind = take_plain(at + 1, source->end, *at, cmdi_row_form(field),
                field->size_max, value + field->offset);
        if (CMDI_LIKELY(behind != NULL)) {
            return behind;
        }
    }
    return take_field(at, source, field, value);
}

static const uint8_t *take_pairs(const uint8_t *at, struct source *source,
        const struct cmds_schema *schema, size_t count, uint8_t *value)
{
    const struct cmds_field *field = schema->fields;
    uint32_t rows = schema->field_count, removed = 0;
    for (; count > 0; count--, rows--, field = cmdi_row_after(field, schema->field_stride)) {
        for (; rows > 0 && field->kind == CMDS_KIND_RESERVED && removed < REMOVED_MAX; removed++) {
            field = cmdi_row_after(field, schema->field_stride);
            rows--;
        }
        size_t size;
        if (rows == 0 || field->kind == CMDS_KIND_RESERVED || at == source->end) {
            return NULL;
        }
        at = take_length(at + 1, source->end, *at, HEAD_STR8, &size);
        if (at == NULL || !is_named(field, at, size)) {
            return NULL;
        }
        at = take_named(at + size, source, field, value);
        if (at == NULL) {
            return NULL;
        }
    }
    return at;
}

static const uint8_t *take_struct(const uint8_t *at, struct source *source, uint8_t head,
        const struct cmds_schema *schema, uint8_t *value)
{
    size_t count;
    const uint8_t *rows = take_count(at, source->end, head, HEAD_FIXARRAY, HEAD_ARRAY16, &count);
    if (rows != NULL) {
        return take_rows(rows, source, schema, count, value);
    }
    at = take_count(at, source->end, head, HEAD_FIXMAP, HEAD_MAP16, &count);
    return at != NULL ? take_pairs(at, source, schema, count, value) : NULL;
}

/* Does a traced command begin here, with the carrier that it mostly has, and is its own command behind that? */
static CMDI_INLINED bool is_carrier(
        const struct cmds_schema *schema, const uint8_t *begin, size_t size)
{
    return size > CARRIER_END && memcmp(begin, carrier_head, sizeof(carrier_head)) == 0 &&
           (begin[CARRIER_END] & 0xf0) == HEAD_FIXARRAY && cmdi_schema_has_carrier(schema);
}

/* NULL, too: there is no memory for the pair, and then the other ways find none. */
static const uint8_t *take_traced(const uint8_t *begin, struct source *source,
        const struct cmds_schema *schema, uint8_t *value)
{
    const struct cmds_field *carrier = schema->fields, *command = cmds_schema_field(schema, 1);
    source->mark = cmdi_arena_mark(source->arena);
    struct cmds_pair *pair = cmdi_arena_alloc(source->arena, sizeof(*pair), _Alignof(max_align_t));
    if (CMDI_UNLIKELY(pair == NULL)) {
        return NULL;
    }
    source->has_mark = true;
    const char *text = (const char *)begin;
    pair->key = (struct cmds_string){text + CARRIER_KEY, CMDI_CARRIER_KEY};
    pair->value = (struct cmds_string){text + CARRIER_VALUE, CMDI_CARRIER_VALUE};
    CMDI_STORE(bool, value + carrier->offset, true);
    CMDI_STORE(struct cmds_map, value + carrier->offset + carrier->item_offset,
            ((struct cmds_map){pair, 1}));
    return take_rows(begin + CARRIER_END + 1, source, command->nested, begin[CARRIER_END] & 0x0f,
            value + command->offset);
}

/* Whatever the first walk did not come to the end of. `walk.at` NULL: it did not begin. */
static bool read_rest(struct walk walk, const struct cmds_schema *schema, struct cmds_bytes in,
        struct cmds_arena *arena, void *value)
{
    const uint8_t *begin = in.data;
    struct source source = {.end = begin + in.size, .arena = arena, .has_mark = false};
    const uint8_t *at = NULL;
    if (is_carrier(schema, begin, in.size)) {
        at = take_traced(begin, &source, schema, value);
    } else if (walk.at != NULL) {
        const struct cmds_field *end_field = cmds_schema_field(schema, *begin & 0x0f);
        at = walk_rest(walk, end_field, schema->field_stride, &source, value);
    } else if (in.size > 0) {
        at = take_struct(begin + 1, &source, *begin, schema, value);
    }
    if (at == source.end) {
        return true;
    }
    if (source.has_mark) {
        cmdi_arena_rewind(arena, &source.mark);
    }
    memset(value, 0, schema->value_size);
    return false;
}

static CMDI_INLINED bool read_straight(const struct cmds_schema *schema, struct cmds_bytes in,
        struct cmds_arena *arena, void *value)
{
    const uint8_t *begin = in.data, *end = begin + in.size;
    struct walk walk = {schema->fields, NULL};
    unsigned count = in.size > 0 ? *begin ^ HEAD_FIXARRAY : UINT_MAX;
    // A struct of two whose first is a map of one pair, as carriers are: the quick walk would not come far.
    if (in.size > CARRIER_END && CMDI_UNLIKELY(memcmp(begin, carrier_head, 2) == 0)) {
        return read_rest(walk, schema, in, arena, value);
    }
    if (CMDI_LIKELY(count <= 0x0f && count <= schema->field_count)) {
        walk.at = begin + 1;
        const struct cmds_field *end_field = cmds_schema_field(schema, count);
        const uint8_t *at = walk_quick(walk, end_field, schema->field_stride, end, value, &walk);
        if (CMDI_LIKELY(at == end)) {
            return true;
        }
        walk.at = at == NULL ? walk.at : NULL; // Something lies behind it, which is not for us.
    }
    return read_rest(walk, schema, in, arena, value);
}

bool cmdi_msgpack_read_straight(const struct cmds_schema *schema, struct cmds_bytes in,
        struct cmds_arena *arena, void *value)
{
    return read_straight(schema, in, arena, value);
}

int64_t cmdi_msgpack_decode(const struct cmds_codec *self, const struct cmds_type *type,
        struct cmds_bytes in, struct cmds_arena *arena, void *value)
{
    (void)self; // Both read both forms.
    return CMDI_LIKELY(read_straight(type->schema, in, arena, value))
                   ? (int64_t)in.size
                   : cmdi_msgpack_read(type->schema, in, arena, value);
}

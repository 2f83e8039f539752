/* SPDX-License-Identifier: MIT */
/*
 * The way that nearly all messages take: structs as arrays of just the fields that we know, each in a form
 * of its own kind. One step per field over the schema's rows, without the parser's states.
 *
 * It either reads all of a value or says that it is not for it, and read.c begins anew: so whatever is odd,
 * wrong or too large is judged in one place alone, by one set of rules. What it takes, read.c takes as
 * well, with the same outcome; the fuzzer holds the two beside each other.
 *
 * Recurses over nested schemas, whose depth the protocol check bounds, never over the value. An array has
 * no more elements than bytes follow, and memory is bounded by the arena. No state, any thread.
 */
#include <endian.h>

#include "base/hint.h"
#include "codec/arena.h"
#include "common/value.h"
#include "msgpack/msgpack.h"

enum { // First bytes; see the format's specification.
    HEAD_FIXMAP = 0x80,
    HEAD_FIXARRAY = 0x90,
    HEAD_FIXSTR = 0xa0,
    HEAD_NIL = 0xc0,
    HEAD_FALSE = 0xc2,
    HEAD_BIN8 = 0xc4,
    HEAD_BIN32 = 0xc6,
    HEAD_FLOAT32 = 0xca,
    HEAD_FLOAT64 = 0xcb,
    HEAD_UINT8 = 0xcc,
    HEAD_INT64 = 0xd3,
    HEAD_STR8 = 0xd9,
    HEAD_STR32 = 0xdb,
    HEAD_ARRAY16 = 0xdc,
    HEAD_MAP16 = 0xde,
    HEAD_FIXNEGATIVE = 0xe0,
};

#define FLOAT32_EXPONENT 0x7f800000u

struct source {
    const uint8_t *end;
    struct cmds_arena *arena;
};

/* Two words, so that it is handed over in registers. */
struct cursor {
    const uint8_t *at;
    const struct source *source;
};

static CMDI_INLINED size_t left(const struct cursor *in)
{
    return (size_t)(in->source->end - in->at);
}

/* Big-endian, of 1, 2, 4 or 8 bytes that are there. One load where eight are. */
static CMDI_INLINED uint64_t take_word(struct cursor *in, unsigned width)
{
    uint64_t word = 0;
    if (CMDI_LIKELY(left(in) >= sizeof(word))) {
        word = be64toh(CMDI_LOAD(uint64_t, in->at)) >> (64 - 8 * width);
    } else {
        for (unsigned i = 0; i < width; i++) {
            word = word << 8 | in->at[i];
        }
    }
    in->at += width;
    return word;
}

/*
 * Any integer: its 64 bits, and whether they are those of a negative one. The width is the last two bits of
 * the head, so that no branch depends on the value.
 */
static CMDI_INLINED bool take_integer(
        struct cursor *in, uint8_t head, uint64_t *bits, bool *is_negative)
{
    if (head < 0x80 || head >= HEAD_FIXNEGATIVE) {
        *bits = (uint64_t)(int64_t)(int8_t)head;
        *is_negative = head >= 0x80;
        return true;
    }
    unsigned form = head - (unsigned)HEAD_UINT8, width = 1u << (form & 3);
    if (CMDI_UNLIKELY(form > HEAD_INT64 - HEAD_UINT8 || left(in) < width)) {
        return false;
    }
    unsigned shift = 64 - 8 * width;
    uint64_t word = take_word(in, width);
    int64_t extended = (int64_t)(word << shift) >> shift;
    bool is_signed = form >= 4;
    *bits = is_signed ? (uint64_t)extended : word;
    *is_negative = is_signed && extended < 0;
    return true;
}

static CMDI_INLINED bool take_signed(
        struct cursor *in, uint8_t head, int64_t min, int64_t max, int64_t *value)
{
    uint64_t bits;
    bool is_negative;
    if (!take_integer(in, head, &bits, &is_negative)) {
        return false;
    }
    *value = (int64_t)bits;
    return is_negative == (*value < 0) && *value >= min && *value <= max;
}

static CMDI_INLINED bool take_unsigned(
        struct cursor *in, uint8_t head, uint64_t max, uint64_t *value)
{
    bool is_negative;
    return take_integer(in, head, value, &is_negative) && !is_negative && *value <= max;
}

/* The length of a str or a bin, all of which is there. */
static CMDI_INLINED bool take_length(struct cursor *in, uint8_t head, size_t *size)
{
    if (CMDI_LIKELY((head & 0xe0) == HEAD_FIXSTR)) {
        *size = head & 0x1f;
        return left(in) >= *size;
    }
    unsigned form;
    if (CMDI_LIKELY(head >= HEAD_STR8 && head <= HEAD_STR32)) {
        form = head - (unsigned)HEAD_STR8;
    } else if (head >= HEAD_BIN8 && head <= HEAD_BIN32) {
        form = head - (unsigned)HEAD_BIN8;
    } else {
        return false;
    }
    unsigned width = 1u << form;
    if (left(in) < width) {
        return false;
    }
    *size = take_word(in, width);
    return left(in) >= *size;
}

static CMDI_INLINED bool take_span(struct cursor *in, uint8_t head, uint32_t size_max, uint8_t *to)
{
    struct cmds_string span;
    if (!take_length(in, head, &span.size) || (size_max != 0 && span.size > size_max)) {
        return false;
    }
    span.data = (const char *)in->at;
    in->at += span.size;
    CMDI_STORE(struct cmds_string, to, span);
    return true;
}

/* --- Those that are called: they get the cursor and return where it is then, or NULL. So it stays in registers. */

static const uint8_t *take_text(struct cursor in, uint8_t head, const struct cmds_field *field,
        uint32_t size_max, uint8_t *to)
{
    size_t size;
    if (!take_length(&in, head, &size) || size >= field->item_size ||
            (size_max != 0 && size > size_max) || memchr(in.at, '\0', size) != NULL) {
        return NULL;
    }
    memcpy(to, in.at, size); // The rest is zero.
    return in.at + size;
}

static const uint8_t *take_blob(
        struct cursor in, uint8_t head, const struct cmds_field *field, uint8_t *to)
{
    size_t size;
    if (!take_length(&in, head, &size) || size != field->item_size) {
        return NULL;
    }
    memcpy(to, in.at, size);
    return in.at + size;
}

/* Of an array or a map. */
static CMDI_INLINED bool take_count(
        struct cursor *in, uint8_t head, uint8_t fixed, uint8_t wide, size_t *count)
{
    if (CMDI_LIKELY((head & 0xf0) == fixed)) {
        *count = head & 0x0f;
        return true;
    }
    unsigned width = head == wide ? 2 : 4;
    if ((head != wide && head != wide + 1) || left(in) < width) {
        return false;
    }
    *count = take_word(in, width);
    return true;
}

/* Room for a list, zeroed. */
static uint8_t *list_make(
        const struct cursor *in, size_t count, size_t item_size, uint32_t count_max, uint8_t *to)
{
    size_t size;
    if (count > left(in) || (count_max != 0 && count > count_max) ||
            __builtin_mul_overflow(count, item_size, &size)) {
        return NULL;
    }
    struct cmdi_array array = {
            cmdi_arena_alloc(in->source->arena, size, _Alignof(max_align_t)), count};
    if (array.items != NULL) {
        memset(array.items, 0, size);
        CMDI_STORE(struct cmdi_array, to, array);
    }
    return array.items;
}

static CMDI_INLINED bool take_head(struct cursor *in, uint8_t *head)
{
    if (CMDI_UNLIKELY(in->at == in->source->end)) {
        return false;
    }
    *head = *in->at++;
    return true;
}

/* Key, value, key, value: side by side in memory, too. */
static const uint8_t *take_map(struct cursor in, uint8_t head, uint32_t count_max, uint8_t *to)
{
    size_t count;
    if (!take_count(&in, head, HEAD_FIXMAP, HEAD_MAP16, &count)) {
        return NULL;
    }
    if (count == 0) {
        return in.at;
    }
    uint8_t *at = list_make(&in, count, sizeof(struct cmds_pair), count_max, to);
    if (at == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < 2 * count; i++) {
        if (!take_head(&in, &head) || !take_span(&in, head, 0, at)) {
            return NULL;
        }
        at += sizeof(struct cmds_string);
    }
    return in.at;
}
_Static_assert(
        sizeof(struct cmds_pair) == 2 * sizeof(struct cmds_string), "a map is a list of strings");

static const uint8_t *take_struct(
        struct cursor in, uint8_t head, const struct cmds_schema *schema, uint8_t *value);

static CMDI_INLINED bool go_on(struct cursor *in, const uint8_t *at)
{
    in->at = at;
    return at != NULL;
}

#define TAKE_SIGNED(type, min, max)                                                                \
    if (!take_signed(in, head, (min), (max), &number)) {                                           \
        return false;                                                                              \
    }                                                                                              \
    CMDI_STORE(type, to, (type)number);                                                            \
    return true
#define TAKE_UNSIGNED(type, max)                                                                   \
    if (!take_unsigned(in, head, (max), &word)) {                                                  \
        return false;                                                                              \
    }                                                                                              \
    CMDI_STORE(type, to, (type)word);                                                              \
    return true

static CMDI_INLINED bool take_item(struct cursor *in, uint8_t head, const struct cmds_field *field,
        uint32_t size_max, uint8_t *to)
{
    int64_t number;
    uint64_t word;
    switch (field->kind) {
    case CMDS_KIND_BOOL:
        if ((head & 0xfe) != HEAD_FALSE) {
            return false;
        }
        CMDI_STORE(bool, to, (head & 1) != 0);
        return true;
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
        if (head != HEAD_FLOAT32 || left(in) < sizeof(uint32_t)) {
            return false;
        }
        word = take_word(in, sizeof(uint32_t));
        CMDI_STORE(uint32_t, to, (uint32_t)word);
        return (word & FLOAT32_EXPONENT) != FLOAT32_EXPONENT; // Of NaN read.c keeps not every bit.
    case CMDS_KIND_F64:
        if (head != HEAD_FLOAT64 || left(in) < sizeof(uint64_t)) {
            return false;
        }
        CMDI_STORE(uint64_t, to, take_word(in, sizeof(uint64_t)));
        return true;
    case CMDS_KIND_STRING:
    case CMDS_KIND_BYTES:
        return take_span(in, head, size_max, to);
    case CMDS_KIND_MAP:
        return go_on(in, take_map(*in, head, size_max, to));
    case CMDS_KIND_TEXT:
        return go_on(in, take_text(*in, head, field, size_max, to));
    case CMDS_KIND_BLOB:
        return go_on(in, take_blob(*in, head, field, to));
    case CMDS_KIND_STRUCT:
        return go_on(in, take_struct(*in, head, field->nested, to));
    case CMDS_KIND_RESERVED:
        return head == HEAD_NIL;
    default:
        return false;
    }
}

static const uint8_t *take_item_called(struct cursor in, uint8_t head,
        const struct cmds_field *field, uint32_t size_max, uint8_t *to)
{
    return take_item(&in, head, field, size_max, to) ? in.at : NULL;
}

/* The limit is the array's, not its items'. */
static const uint8_t *take_array(
        struct cursor in, uint8_t head, const struct cmds_field *field, uint8_t *to)
{
    size_t count;
    if (!take_count(&in, head, HEAD_FIXARRAY, HEAD_ARRAY16, &count)) {
        return NULL;
    }
    if (count == 0) {
        return in.at;
    }
    uint8_t *at = list_make(&in, count, field->item_size, field->size_max, to);
    if (at == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        if (!take_head(&in, &head) || !go_on(&in, take_item_called(in, head, field, 0, at))) {
            return NULL;
        }
        at += field->item_size;
    }
    return in.at;
}

static const uint8_t *take_many(
        struct cursor in, uint8_t head, const struct cmds_field *field, uint8_t *to)
{
    if (field->shape == CMDS_SHAPE_ARRAY) {
        return take_array(in, head, field, to);
    }
    if (head == HEAD_NIL) {
        return in.at;
    }
    CMDI_STORE(bool, to, true);
    return take_item_called(in, head, field, field->size_max, to + field->item_offset);
}

static const uint8_t *take_struct(
        struct cursor in, uint8_t head, const struct cmds_schema *schema, uint8_t *value)
{
    size_t count;
    if (!take_count(&in, head, HEAD_FIXARRAY, HEAD_ARRAY16, &count) ||
            count != schema->field_count) {
        return NULL;
    }
    const struct cmds_field *field = schema->fields;
    for (size_t i = 0; i < count; i++, field = cmdi_row_after(field, schema->field_stride)) {
        if (!take_head(&in, &head)) {
            return NULL;
        }
        uint8_t *to = value + field->offset;
        bool is_taken = CMDI_LIKELY(field->shape == CMDS_SHAPE_ONE)
                                ? take_item(&in, head, field, field->size_max, to)
                                : go_on(&in, take_many(in, head, field, to));
        if (CMDI_UNLIKELY(!is_taken)) {
            return NULL;
        }
    }
    return in.at;
}

bool cmdi_msgpack_read_straight(const struct cmds_schema *schema, struct cmds_bytes in,
        struct cmds_arena *arena, void *value)
{
    struct source source = {(const uint8_t *)in.data + in.size, arena};
    struct cursor cursor = {in.data, &source};
    uint8_t head;
    return take_head(&cursor, &head) && take_struct(cursor, head, schema, value) == source.end;
}

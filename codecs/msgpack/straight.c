/* SPDX-License-Identifier: MIT */
/*
 * The way that nearly all messages take: structs as arrays or maps of just the fields that we know, in the
 * order of the schema, each in a form of its own kind. By the code that the compiler made of the schema
 * (compiled.h), as far as that leads; from there one step per field over the schema's rows, without the parser's states.
 *
 * It either reads all of a value or says that it is not for it, and read.c begins anew: so whatever is odd,
 * wrong or too large is judged in one place alone, by one set of rules. What it takes, read.c takes as
 * well, with the same outcome; the fuzzer holds the two beside each other.
 *
 * Recurses over nested schemas, whose depth the protocol check bounds, never over the value. An array has
 * no more elements than bytes follow, and memory is bounded by the arena. No state, any thread.
 */
#include "base/hint.h"
#include "codec/arena.h"
#include "common/carrier.h"
#include "common/value.h"
#include "msgpack/msgpack.h"

/* What every traced command begins with whose carrier is but a traceparent. */
static const uint8_t carrier_head[] = {CMDS_HEAD_FIXARRAY_ | 2, CMDS_HEAD_FIXMAP_ | 1,
        CMDS_HEAD_FIXSTR_ | CMDI_CARRIER_KEY, 't', 'r', 'a', 'c', 'e', 'p', 'a', 'r', 'e', 'n', 't',
        CMDS_HEAD_STR8_, CMDI_CARRIER_VALUE};

enum {
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

/* One copy of the code for each kind, as the functions of compiled.h want it. NULL: it is of no plain kind, too. */
static CMDI_INLINED const uint8_t *take_plain(const uint8_t *at, const uint8_t *end, uint8_t head,
        unsigned form, uint32_t size_max, uint8_t *to)
{
#define TAKE(kind)                                                                                 \
    case kind:                                                                                     \
        return cmds_take_(at, end, head, kind, size_max, to);
    switch (form) {
        CMDI_PLAIN_KINDS(TAKE)
    default:
        return NULL;
    }
#undef TAKE
}

static const uint8_t *take_text(const uint8_t *at, const uint8_t *end, uint8_t head,
        const struct cmds_field *field, uint32_t size_max, uint8_t *to)
{
    size_t size;
    at = cmds_take_length_(at, end, head, CMDS_HEAD_STR8_, &size);
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
    at = cmds_take_length_(at, end, head, CMDS_HEAD_BIN8_, &size);
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
    if ((head != wide && head != wide + 1) || !cmds_see_word_(at, end, width, &word)) {
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
    at = take_count(at, source->end, head, CMDS_HEAD_FIXMAP_, CMDS_HEAD_MAP16_, &count);
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
        at = cmds_take_span_(at + 1, source->end, *at, CMDS_HEAD_STR8_, 0, item);
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
        return head == CMDS_HEAD_NIL_ ? at : NULL;
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
    at = take_count(at, source->end, head, CMDS_HEAD_FIXARRAY_, CMDS_HEAD_ARRAY16_, &count);
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
    if (head == CMDS_HEAD_NIL_) {
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
        at = cmds_take_length_(at + 1, source->end, *at, CMDS_HEAD_STR8_, &size);
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

/* By the rows alone. */
static const uint8_t *take_by_rows(const uint8_t *at, struct source *source, uint8_t head,
        const struct cmds_schema *schema, uint8_t *value)
{
    size_t count;
    const uint8_t *rows =
            take_count(at, source->end, head, CMDS_HEAD_FIXARRAY_, CMDS_HEAD_ARRAY16_, &count);
    if (rows != NULL) {
        return take_rows(rows, source, schema, count, value);
    }
    at = take_count(at, source->end, head, CMDS_HEAD_FIXMAP_, CMDS_HEAD_MAP16_, &count);
    return at != NULL ? take_pairs(at, source, schema, count, value) : NULL;
}

/* What the code has left, which did begin. */
static const uint8_t *take_left(struct cmds_read_ done, struct source *source,
        const struct cmds_schema *schema, uint8_t *value)
{
    if (done.left == 0) {
        return done.at;
    }
    struct walk walk = {
            cmds_schema_field(schema, schema->field_count - (uint32_t)done.left), done.at};
    return walk_rest(walk, cmdi_rows_end(schema), schema->field_stride, source, value);
}

static const uint8_t *take_struct(const uint8_t *at, struct source *source, uint8_t head,
        const struct cmds_schema *schema, uint8_t *value)
{
    if (cmds_has_code_(schema) && CMDI_LIKELY((head & 0xf0) == CMDS_HEAD_FIXARRAY_)) {
        struct cmds_read_ done = schema->compiled.read(at - 1, source->end, value);
        if (CMDI_LIKELY(done.left != CMDS_NOT_BEGUN_)) {
            return take_left(done, source, schema, value);
        }
    }
    return take_by_rows(at, source, head, schema, value);
}

/* Does a traced command begin here, with the carrier that it mostly has, and is its own command behind that? */
static CMDI_INLINED bool is_carrier(
        const struct cmds_schema *schema, const uint8_t *begin, size_t size)
{
    return size > CARRIER_END && memcmp(begin, carrier_head, sizeof(carrier_head)) == 0 &&
           (begin[CARRIER_END] & 0xf0) == CMDS_HEAD_FIXARRAY_ && cmdi_schema_has_carrier(schema);
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
    return take_struct(begin + CARRIER_END + 1, source, begin[CARRIER_END], command->nested,
            value + command->offset);
}

/* A whole value, in memory for whoever goes on: the way that nearly all take keeps no register for them. */
struct whole {
    const struct cmds_schema *schema;
    struct cmds_bytes in;
    struct cmds_arena *arena;
    void *value;
};

/* Whatever the code did not come to the end of. */
static bool read_rest(struct cmds_read_ done, const struct whole *whole)
{
    const struct cmds_schema *schema = whole->schema;
    const uint8_t *begin = whole->in.data;
    struct source source = {
            .end = begin + whole->in.size, .arena = whole->arena, .has_mark = false};
    const uint8_t *at = NULL;
    if (done.left != CMDS_NOT_BEGUN_) {
        at = take_left(done, &source, schema, whole->value);
    } else if (is_carrier(schema, begin, whole->in.size)) {
        at = take_traced(begin, &source, schema, whole->value);
    } else if (whole->in.size > 0) {
        at = take_by_rows(begin + 1, &source, *begin, schema, whole->value);
    }
    if (at != NULL && at == source.end) {
        return true;
    }
    if (source.has_mark) {
        cmdi_arena_rewind(whole->arena, &source.mark);
    }
    memset(whole->value, 0, schema->value_size);
    return false;
}

/* By the code alone. Returns: all of it was read; else *done is how far it came. */
static CMDI_INLINED bool read_coded(const struct cmds_schema *schema, struct cmds_bytes in,
        void *value, struct cmds_read_ *done)
{
    const uint8_t *begin = in.data, *end = begin + in.size;
    *done = (struct cmds_read_){begin, CMDS_NOT_BEGUN_};
    if (!cmds_has_code_(schema)) {
        return false;
    }
    *done = schema->compiled.read(begin, end, value);
    return CMDI_LIKELY(done->at == end && done->left == 0);
}

bool cmdi_msgpack_read_straight(const struct cmds_schema *schema, struct cmds_bytes in,
        struct cmds_arena *arena, void *value)
{
    const struct whole whole = {schema, in, arena, value};
    struct cmds_read_ done;
    return read_coded(schema, in, value, &done) || read_rest(done, &whole);
}

static __attribute__((noinline)) int64_t decode_rest(
        struct cmds_read_ done, const struct whole *whole)
{
    return read_rest(done, whole)
                   ? (int64_t)whole->in.size
                   : cmdi_msgpack_read(whole->schema, whole->in, whole->arena, whole->value);
}

int64_t cmdi_msgpack_decode(const struct cmds_codec *self, const struct cmds_type *type,
        struct cmds_bytes in, struct cmds_arena *arena, void *value)
{
    (void)self;
    const struct whole whole = {type->schema, in, arena, value};
    struct cmds_read_ done;
    return read_coded(type->schema, in, value, &done) ? (int64_t)in.size
                                                      : decode_rest(done, &whole);
}

/* Reads both forms, too; most are maps, of which no code is made. */
int64_t cmdi_msgpack_map_decode(const struct cmds_codec *self, const struct cmds_type *type,
        struct cmds_bytes in, struct cmds_arena *arena, void *value)
{
    (void)self;
    const struct whole whole = {type->schema, in, arena, value};
    return decode_rest((struct cmds_read_){in.data, CMDS_NOT_BEGUN_}, &whole);
}

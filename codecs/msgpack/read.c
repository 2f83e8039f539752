/* SPDX-License-Identifier: MIT */
/*
 * Msgpack becomes a value, where it lies: strings point into the input, and no tree of objects is built.
 *
 * msgpack-c's unpack_template.h, the parser under its own unpacker, calls the on_... functions below for each item. Between
 * two items the reader knows what it wants next and where that goes, so an item is one switch away from its place. The
 * template keeps one pointer for each open container; ours leads to the frame that says how to go on in it.
 *
 * What a peer may do to us is bounded before anything is allocated: every announced element takes at least a byte, so the
 * sum of all announced counts stays within the size of the input; depth is bounded by the template's stack, which is an
 * array, so nothing recurses; memory by the arena; what names in disorder cost by names.h. Where the same field comes twice in a map, the last one counts.
 * No state, any thread.
 */
#include "base/hint.h"
#include "msgpack/msgpack.h"

#include <float.h>

#include "codec/arena.h"
#include "codec/protocol.h"
#include "common/names.h"
#include "common/value.h"

#define MSGPACK_EMBED_STACK_SIZE 32 // Containers inside each other, for the template.
#include <msgpack/unpack.h>
#include <msgpack/unpack_define.h>
_Static_assert(MSGPACK_EMBED_STACK_SIZE == CMDI_DEPTH_MAX,
        "what the protocol check lets through can be read");

/*
 * What the next item is: one of enum cmds_kind, of which CMDS_KIND_RESERVED stands for anything, to
 * be skipped; or:
 */
enum {
    WANT_SKIP = CMDS_KIND_RESERVED,
    WANT_MANY = 32,                                  // + enum cmds_shape:
    WANT_ARRAY = WANT_MANY + CMDS_SHAPE_ARRAY,       // The items of a field.
    WANT_OPTIONAL = WANT_MANY + CMDS_SHAPE_OPTIONAL, // nil, or a value of the field's kind.
    WANT_ROOT,
    WANT_KEY,      // The name of a field.
    WANT_PAIR_KEY, // A key of a cmds_map; its value is wanted as a string then.
};

enum mode {
    MODE_SKIP,   // Nothing in this container is for us.
    MODE_STRUCT, // An array or a map: the rows from `field` on, `left` of them.
    MODE_KEYED,
    MODE_ITEMS, // `base` is the next item.
    MODE_PAIRS, // `base` is the next pair.
};

/* An open container. */
struct frame {
    const struct cmds_schema *schema; // MODE_STRUCT, MODE_KEYED.
    // Of these the row that is expected next; of MODE_ITEMS, MODE_PAIRS their own.
    const struct cmds_field *field;
    uint8_t *base;
    uint32_t left;
    uint8_t mode;
    bool disordered; // MODE_KEYED: a field may be coming a second time.
};

struct reader {
    const struct cmds_field *field; // Of what is wanted, unless it is WANT_ROOT or a key.
    uint8_t *target;
    uint32_t want;
    size_t budget; // Elements that may still be announced.
    struct frame *frame;
    struct cmds_arena *arena;
    const struct cmds_schema *root;
    struct cmdi_work work;
    // The first one stands for no container. Only what is opened is written.
    struct frame frames[CMDI_DEPTH_MAX + 1];
};

#define STORE(type, reader, value) CMDI_STORE(type, (reader)->target, value)

/* --- Where to go next ------------------------------------------------------------------------- */

static inline void want_row(struct reader *reader, const struct cmds_field *row, uint8_t *base)
{
    reader->field = row;
    reader->target = base + row->offset;
    reader->want = CMDI_LIKELY(row->shape == CMDS_SHAPE_ONE) ? row->kind
                                                             : WANT_MANY + (uint32_t)row->shape;
}

static inline void frame_pass_row(struct frame *frame)
{
    frame->field = cmdi_row_after(frame->field, frame->schema->field_stride);
    frame->left--;
}

static inline void want_next_row(struct reader *reader, struct frame *frame)
{
    if (CMDI_UNLIKELY(frame->left == 0)) {
        reader->want = WANT_SKIP; // A newer peer has more fields.
        return;
    }
    want_row(reader, frame->field, frame->base);
    frame_pass_row(frame);
}

static inline void want_item(struct reader *reader, struct frame *frame)
{
    reader->field = frame->field;
    reader->target = frame->base;
    reader->want = frame->field->kind;
    frame->base += frame->field->item_size;
}

static inline void want_pair(struct reader *reader, struct frame *frame)
{
    reader->field = frame->field;
    reader->target = frame->base;
    reader->want = WANT_PAIR_KEY;
    frame->base += sizeof(struct cmds_pair);
}

static void want_optional_value(struct reader *reader)
{
    STORE(bool, reader, true);
    reader->target += reader->field->item_offset;
    reader->want = reader->field->kind;
}

static uint32_t name_hash(const uint8_t *name, size_t size)
{
    uint64_t hash = size;
    while (size > 0) {
        uint64_t word = 0;
        size_t step = size < sizeof(word) ? size : sizeof(word);
        memcpy(&word, name, step);
        hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 32;
        name += step;
        size -= step;
    }
    return (uint32_t)hash;
}

/* Of how many bytes the two names are the same, before they part. */
static size_t name_prefix(const char *own, const char *other, size_t size)
{
    size_t same = 0;
    while (same < size && own[same] == other[same] && own[same] != '\0') {
        same++;
    }
    return same;
}

/* Returns: the row's index; field_count: there is none; CMDS_E_LIMIT. */
static int64_t find_row(
        struct cmdi_work *work, const struct cmds_schema *schema, const char *name, size_t size)
{
    const struct cmds_field *row = schema->fields;
    if (work->steps_left > 0) {
        uint32_t i = 0;
        size_t steps = 0;
        while (i < schema->field_count && !cmdi_row_is_named(row, name, size)) {
            steps++;
            if (row->kind != CMDS_KIND_RESERVED) {
                steps += name_prefix(row->name, name, size);
            }
            row = cmdi_row_after(row, schema->field_stride);
            i++;
        }
        cmdi_work_spend(work, steps);
        return i;
    }
    struct cmdi_names *names = cmdi_names_of(work, schema, name_hash);
    if (names == NULL) {
        return CMDS_E_LIMIT;
    }
    uint32_t hash = name_hash((const uint8_t *)name, size), slot = hash;
    for (uint32_t next; (next = cmdi_names_next(names, hash, &slot)) != 0;) {
        if (cmdi_row_is_named(cmds_schema_field(schema, next - 1), name, size)) {
            return next - 1;
        }
    }
    return schema->field_count;
}

/* Peers send fields in order, so the first guess is nearly always right. */
static int want_named(struct reader *reader, const char *name, size_t size)
{
    struct frame *frame = reader->frame;
    if (frame->left == 0 || !cmdi_row_is_named(frame->field, name, size)) {
        int64_t index = find_row(&reader->work, frame->schema, name, size);
        if (index < 0) {
            return (int)index;
        }
        frame->field = cmds_schema_field(frame->schema, (uint32_t)index);
        frame->left = frame->schema->field_count - (uint32_t)index;
        frame->disordered = true;
    }
    want_next_row(reader, frame);
    if (frame->disordered && reader->want != WANT_SKIP) {
        // As if it came for the first time.
        return cmdi_work_clear(&reader->work, reader->field, reader->target);
    }
    return 0;
}

/* --- Scalars ---------------------------------------------------------------------------------- */

/*
 * A scalar where the reader wants something else. An integer as the key of a struct is only a name
 * that nobody knows.
 */
static int other_scalar(struct reader *reader)
{
    if (reader->want == WANT_SKIP) {
        return 0;
    }
    if (reader->want == WANT_KEY) {
        reader->want = WANT_SKIP;
        return 0;
    }
    return CMDS_E_PROTO;
}

/*
 * Peers whose language has one kind of number write 2.0 as the integer 2. Only what the float can
 * hold exactly.
 */
static int store_float_of_integer(struct reader *reader, bool negative, uint64_t magnitude)
{
    bool is_float = reader->want == CMDS_KIND_F32;
    unsigned digits = is_float ? FLT_MANT_DIG : DBL_MANT_DIG;
    unsigned used = magnitude != 0 ? 64 - (unsigned)__builtin_clzll(magnitude) -
                                             (unsigned)__builtin_ctzll(magnitude)
                                   : 0;
    if (used > digits) {
        return CMDS_E_PROTO;
    }
    if (is_float) {
        STORE(float, reader, negative ? -(float)magnitude : (float)magnitude);
    } else {
        STORE(double, reader, negative ? -(double)magnitude : (double)magnitude);
    }
    return 0;
}

#define STORE_IF(fits, type, reader, value)                                                        \
    if (!(fits)) {                                                                                 \
        return CMDS_E_PROTO;                                                                       \
    }                                                                                              \
    STORE(type, reader, (type)(value));                                                            \
    return 0

static CMDI_INLINED int store_unsigned(struct reader *reader, uint64_t value)
{
    for (;;) {
        switch (reader->want) {
        case CMDS_KIND_I8:
            STORE_IF(value <= INT8_MAX, int8_t, reader, value);
        case CMDS_KIND_I16:
            STORE_IF(value <= INT16_MAX, int16_t, reader, value);
        case CMDS_KIND_I32:
            STORE_IF(value <= INT32_MAX, int32_t, reader, value);
        case CMDS_KIND_I64:
            STORE_IF(value <= INT64_MAX, int64_t, reader, value);
        case CMDS_KIND_U8:
            STORE_IF(value <= UINT8_MAX, uint8_t, reader, value);
        case CMDS_KIND_U16:
            STORE_IF(value <= UINT16_MAX, uint16_t, reader, value);
        case CMDS_KIND_U32:
            STORE_IF(value <= UINT32_MAX, uint32_t, reader, value);
        case CMDS_KIND_U64:
            STORE_IF(true, uint64_t, reader, value);
        case CMDS_KIND_F32:
        case CMDS_KIND_F64:
            return store_float_of_integer(reader, false, value);
        case WANT_OPTIONAL:
            want_optional_value(reader);
            continue;
        default:
            return other_scalar(reader);
        }
    }
}

static CMDI_INLINED int store_signed(struct reader *reader, int64_t value)
{
    if (value >= 0) {
        return store_unsigned(reader, (uint64_t)value);
    }
    for (;;) {
        switch (reader->want) {
        case CMDS_KIND_I8:
            STORE_IF(value >= INT8_MIN, int8_t, reader, value);
        case CMDS_KIND_I16:
            STORE_IF(value >= INT16_MIN, int16_t, reader, value);
        case CMDS_KIND_I32:
            STORE_IF(value >= INT32_MIN, int32_t, reader, value);
        case CMDS_KIND_I64:
            STORE_IF(true, int64_t, reader, value);
        case CMDS_KIND_F32:
        case CMDS_KIND_F64:
            return store_float_of_integer(reader, true, -(uint64_t)value);
        case WANT_OPTIONAL:
            want_optional_value(reader);
            continue;
        default:
            return other_scalar(reader); // An unsigned field too: CMDS_E_PROTO.
        }
    }
}

static inline int store_bool(struct reader *reader, bool value)
{
    if (reader->want == WANT_OPTIONAL) {
        want_optional_value(reader);
    }
    if (reader->want != CMDS_KIND_BOOL) {
        return other_scalar(reader);
    }
    STORE(bool, reader, value);
    return 0;
}

static inline int store_double(struct reader *reader, double value)
{
    if (reader->want == WANT_OPTIONAL) {
        want_optional_value(reader);
    }
    if (CMDI_LIKELY(reader->want == CMDS_KIND_F64)) {
        STORE(double, reader, value);
        return 0;
    }
    if (reader->want != CMDS_KIND_F32) {
        return other_scalar(reader);
    }
    bool finite = __builtin_isfinite(value);
    if (finite && (value > (double)FLT_MAX || value < -(double)FLT_MAX)) {
        // Rounding is what the field asks for; an infinity that nobody sent is not.
        return CMDS_E_PROTO;
    }
    STORE(float, reader, (float)value);
    return 0;
}

/* --- Strings and bytes ------------------------------------------------------------------------ */

/* A CMDS_MAX on an array or a map counts elements, and was checked where they began. */
static inline bool within_limit(const struct reader *reader, size_t size)
{
    uint32_t size_max = reader->field->size_max;
    if (CMDI_LIKELY(size_max == 0 || size <= size_max)) {
        return true;
    }
    return reader->frame->mode == MODE_ITEMS || reader->frame->mode == MODE_PAIRS;
}

static int store_text(struct reader *reader, const char *data, size_t size)
{
    if (size >= reader->field->item_size || !within_limit(reader, size)) {
        return CMDS_E_LIMIT;
    }
    if (memchr(data, '\0', size) != NULL) {
        return CMDS_E_PROTO; // A C string would end there, and two names become one.
    }
    memcpy(reader->target, data, size); // The rest is zero.
    return 0;
}

static int store_bytes_slow(struct reader *reader, const char *data, size_t size);

/* str and bin alike: both are in use for both. */
static inline int store_bytes(struct reader *reader, const char *data, size_t size)
{
    if (CMDI_UNLIKELY(reader->want != CMDS_KIND_STRING && reader->want != CMDS_KIND_BYTES)) {
        return store_bytes_slow(reader, data, size);
    }
    if (!within_limit(reader, size)) {
        return CMDS_E_LIMIT;
    }
    struct cmds_string string = {data, size};
    STORE(struct cmds_string, reader, string);
    return 0;
}

static int store_bytes_slow(struct reader *reader, const char *data, size_t size)
{
    if (reader->want == WANT_OPTIONAL) {
        want_optional_value(reader);
        return store_bytes(reader, data, size); // Once: the value of an optional is no optional.
    }
    struct cmds_string string = {data, size};
    switch (reader->want) {
    case WANT_KEY:
        return want_named(reader, data, size);
    case WANT_PAIR_KEY:
        STORE(struct cmds_string, reader, string);
        reader->target += offsetof(struct cmds_pair, value);
        reader->want = CMDS_KIND_STRING;
        return 0;
    case CMDS_KIND_TEXT:
        return store_text(reader, data, size);
    case CMDS_KIND_BLOB:
        if (size != reader->field->item_size) {
            return CMDS_E_PROTO;
        }
        memcpy(reader->target, data, size);
        return 0;
    default:
        return other_scalar(reader);
    }
}

/* --- Containers ------------------------------------------------------------------------------- */

static inline int frame_open(struct reader *reader, struct frame frame, struct frame **opened)
{
    if (CMDI_UNLIKELY(reader->frame == &reader->frames[CMDI_DEPTH_MAX])) {
        return CMDS_E_LIMIT;
    }
    *++reader->frame = frame;
    *opened = reader->frame;
    return 0;
}

static int list_open(struct reader *reader, enum mode mode, size_t count, size_t item_size,
        struct frame **opened)
{
    const struct cmds_field *field = reader->field;
    struct cmdi_array array = {NULL, count};
    size_t size;
    bool is_item = reader->frame->mode == MODE_ITEMS; // A map: the limit is that of the array.
    if (field->size_max != 0 && count > field->size_max && !is_item) {
        return CMDS_E_LIMIT;
    }
    if (__builtin_mul_overflow(count, item_size, &size)) {
        return CMDS_E_LIMIT;
    }
    if (count > 0) {
        array.items = cmdi_arena_alloc(reader->arena, size, _Alignof(max_align_t));
        if (array.items == NULL) {
            return CMDS_E_LIMIT;
        }
        memset(array.items, 0, size);
    }
    STORE(struct cmdi_array, reader, array); // A cmds_map is the same in memory.
    return frame_open(reader,
            (struct frame){.field = field, .base = array.items, .mode = (uint8_t)mode}, opened);
}
_Static_assert(sizeof(struct cmds_map) == sizeof(struct cmdi_array) &&
                       offsetof(struct cmds_map, count) == offsetof(struct cmdi_array, count),
        "list_open opens both");

static inline int struct_open(struct reader *reader, enum mode mode, struct frame **opened)
{
    const struct cmds_schema *schema =
            reader->want == WANT_ROOT ? reader->root : reader->field->nested;
    struct frame frame = {.schema = schema,
            .field = schema->fields,
            .base = reader->target,
            .left = schema->field_count,
            .mode = (uint8_t)mode,
            .disordered = false};
    return frame_open(reader, frame, opened);
}

static int other_open(struct reader *reader, struct frame **opened)
{
    if (reader->want != WANT_SKIP) {
        return CMDS_E_PROTO; // As a key too: nobody writes that, and nothing here could name it.
    }
    return frame_open(reader, (struct frame){.mode = MODE_SKIP}, opened);
}

/* Every element that is announced takes a byte or more of the input. */
static inline int budget_take(struct reader *reader, uint64_t count)
{
    if (CMDI_UNLIKELY(count > reader->budget)) {
        return CMDS_E_PROTO;
    }
    reader->budget -= (size_t)count;
    return 0;
}

/* --- What the template calls ------------------------------------------------------------------ */

static inline struct frame *on_root(struct reader *reader)
{
    return reader->frames;
}

static inline int on_nil(struct reader *reader, struct frame **done)
{
    *done = NULL;
    if (reader->want == WANT_PAIR_KEY) {
        return CMDS_E_PROTO;
    }
    if (reader->want == WANT_KEY) {
        reader->want = WANT_SKIP;
    }
    return 0; // Everything else is zero already.
}

#define ON_SCALAR(name, type, store)                                                               \
    static inline int on_##name(struct reader *reader, type value, struct frame **done)            \
    {                                                                                              \
        *done = NULL;                                                                              \
        return store(reader, value);                                                               \
    }
ON_SCALAR(uint8, uint8_t, store_unsigned)
ON_SCALAR(uint16, uint16_t, store_unsigned)
ON_SCALAR(uint32, uint32_t, store_unsigned)
ON_SCALAR(uint64, uint64_t, store_unsigned)
ON_SCALAR(int8, int8_t, store_signed)
ON_SCALAR(int16, int16_t, store_signed)
ON_SCALAR(int32, int32_t, store_signed)
ON_SCALAR(int64, int64_t, store_signed)
ON_SCALAR(float, float, store_double)
ON_SCALAR(double, double, store_double)

static inline int on_true(struct reader *reader, struct frame **done)
{
    *done = NULL;
    return store_bool(reader, true);
}

static inline int on_false(struct reader *reader, struct frame **done)
{
    *done = NULL;
    return store_bool(reader, false);
}

static inline int on_str(struct reader *reader, const char *base, const char *data, unsigned size,
        struct frame **done)
{
    *done = NULL;
    // Of nothing the template gives no place.
    return store_bytes(reader, size > 0 ? data : base, size);
}

static inline int on_bin(struct reader *reader, const char *base, const char *data, unsigned size,
        struct frame **done)
{
    return on_str(reader, base, data, size, done);
}

/*
 * The type byte counts in `size`; where it is 0, 1 + 2^32-1 bytes were announced and the template's
 * sum wrapped.
 */
static inline int on_ext(struct reader *reader, const char *base, const char *data, unsigned size,
        struct frame **done)
{
    (void)base, (void)data;
    *done = NULL;
    return size > 0 ? other_scalar(reader) : CMDS_E_PROTO;
}

static CMDI_INLINED int on_array(struct reader *reader, unsigned count, struct frame **opened)
{
    int code = budget_take(reader, count);
    if (reader->want == WANT_OPTIONAL) {
        want_optional_value(reader);
    }
    if (code < 0) {
        return code;
    }
    if (reader->want == WANT_ROOT || reader->want == CMDS_KIND_STRUCT) {
        code = struct_open(reader, MODE_STRUCT, opened);
        if (code == 0) {
            want_next_row(reader, reader->frame);
        }
        return code;
    }
    if (reader->want != WANT_ARRAY) {
        return other_open(reader, opened);
    }
    code = list_open(reader, MODE_ITEMS, count, reader->field->item_size, opened);
    if (code == 0 && count > 0) {
        want_item(reader, reader->frame);
    }
    return code;
}

static inline int on_array_item(struct reader *reader, struct frame **container, struct frame *done)
{
    (void)done;
    struct frame *frame = *container;
    reader->frame = frame; // Whatever was open inside it has ended.
    switch (frame->mode) {
    case MODE_STRUCT:
        want_next_row(reader, frame);
        break;
    case MODE_ITEMS:
        want_item(reader, frame);
        break;
    default:
        reader->want = WANT_SKIP;
        break;
    }
    return 0;
}

static inline int on_map(struct reader *reader, unsigned count, struct frame **opened)
{
    int code = budget_take(reader, 2 * (uint64_t)count);
    if (reader->want == WANT_OPTIONAL) {
        want_optional_value(reader);
    }
    if (code < 0) {
        return code;
    }
    if (reader->want == WANT_ROOT || reader->want == CMDS_KIND_STRUCT) {
        code = struct_open(reader, MODE_KEYED, opened);
        reader->want = WANT_KEY;
        return code;
    }
    if (reader->want != CMDS_KIND_MAP) {
        return other_open(reader, opened);
    }
    code = list_open(reader, MODE_PAIRS, count, sizeof(struct cmds_pair), opened);
    if (code == 0 && count > 0) {
        want_pair(reader, reader->frame);
    }
    return code;
}

static inline int on_map_item(
        struct reader *reader, struct frame **container, struct frame *key, struct frame *done)
{
    (void)key, (void)done;
    struct frame *frame = *container;
    reader->frame = frame;
    switch (frame->mode) {
    case MODE_KEYED:
        reader->want = WANT_KEY;
        break;
    case MODE_PAIRS:
        want_pair(reader, frame);
        break;
    default:
        reader->want = WANT_SKIP;
        break;
    }
    return 0;
}

#define msgpack_unpack_struct(name)     struct parser##name
#define msgpack_unpack_func(type, name) CMDS_UNUSED_ static inline type parser##name
#define msgpack_unpack_callback(name)   on##name
#define msgpack_unpack_object           struct frame *
#define msgpack_unpack_user             struct reader
#include <msgpack/unpack_template.h>

/* --- One value -------------------------------------------------------------------------------- */

int64_t cmdi_msgpack_read(const struct cmds_schema *schema, struct cmds_bytes in,
        struct cmds_arena *arena, void *value)
{
    if (in.size == 0) {
        return CMDS_E_PROTO;
    }
    // Not zeroed: two stacks lie in it, and most of them is never touched.
    struct parser_context parser;
    parser.user.field = NULL;
    parser.user.target = value;
    parser.user.want = WANT_ROOT;
    parser.user.budget = in.size;
    parser.user.frame = parser.user.frames;
    parser.user.frames[0].mode = MODE_SKIP;
    parser.user.arena = arena;
    parser.user.root = schema;
    parser.user.work = cmdi_work_of(arena, in.size);
    parser_init(&parser);
    size_t used = 0;
    int result = parser_execute(&parser, in.data, in.size, &used);
    if (CMDI_LIKELY(result == 1 && used == in.size)) {
        return (int64_t)used;
    }
    if (result == MSGPACK_UNPACK_NOMEM_ERROR) {
        return CMDS_E_LIMIT; // The template's word for too deep.
    }
    // Whole but with something behind it, cut off, or no msgpack at all; or what one of ours said.
    return result <= CMDS_E_PROTO ? result : CMDS_E_PROTO;
}

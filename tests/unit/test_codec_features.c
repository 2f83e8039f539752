/* SPDX-License-Identifier: MIT */
/*
 * What schema.h announces, executed by every codec in both directions: each kind in each shape, empty
 * and not; limits, exactly met and passed by one, on the way out and on the way in; fields that one
 * side has and the other does not; and the names that CMDS_AS gives.
 */
#include <cmdstream/codec.h>

#include <float.h>
#include <stdlib.h>
#include <string.h>

#ifdef WITH_JSON
#include <cmdstream/codec_json.h>
#endif
#ifdef WITH_MUS
#include <cmdstream/codec_mus.h>
#endif
#ifdef WITH_PROTOBUF
#include <cmdstream/codec_protobuf.h>
#endif

#include "codec/codec.h"
#include "support/harness.h"

enum {
    BODY_MAX = 8192,
    HAS_MAP_LISTS = 1, // Lists of maps, and maps that may be absent: proto3 has none.
    HAS_NAMES = 2,     // Fields have names on the wire.
    SKIPS = 4,         // What one side does not know is skipped by it.
};

static const struct {
    const struct cmds_codec *codec;
    unsigned flags;
} codecs[] = {
        {&cmds_codec_msgpack, HAS_MAP_LISTS | SKIPS},
        {&cmds_codec_msgpack_map, HAS_MAP_LISTS | HAS_NAMES | SKIPS},
#ifdef WITH_JSON
        {&cmds_codec_json, HAS_MAP_LISTS | HAS_NAMES | SKIPS},
#endif
#ifdef WITH_MUS
        {&cmds_codec_mus, HAS_MAP_LISTS},
#endif
#ifdef WITH_PROTOBUF
        {&cmds_codec_protobuf, SKIPS},
#endif
};
enum {
    CODEC_COUNT = sizeof(codecs) / sizeof(codecs[0])
};

/* --- Every kind in every shape ---------------------------------------------------------------- */

typedef char text8[8];
typedef uint8_t blob4[4];
enum color {
    RED,
    BLUE = 70000,
};

struct pear {
    int16_t size;
    struct cmds_string name;
};
struct arrays {
    CMDS_ARRAY_OF(bool) bools;
    CMDS_ARRAY_OF(int8_t) i8;
    CMDS_ARRAY_OF(int16_t) i16;
    CMDS_ARRAY_OF(int32_t) i32;
    CMDS_ARRAY_OF(int64_t) i64;
    CMDS_ARRAY_OF(uint8_t) u8;
    CMDS_ARRAY_OF(uint16_t) u16;
    CMDS_ARRAY_OF(uint32_t) u32;
    CMDS_ARRAY_OF(uint64_t) u64;
    CMDS_ARRAY_OF(float) f32;
    CMDS_ARRAY_OF(double) f64;
    CMDS_ARRAY_OF(struct cmds_string) strings;
    CMDS_ARRAY_OF(struct cmds_bytes) bytes;
    CMDS_ARRAY_OF(struct pear) pears;
};
struct optionals {
    CMDS_OPTIONAL_OF(bool) boolean;
    CMDS_OPTIONAL_OF(int8_t) i8;
    CMDS_OPTIONAL_OF(int16_t) i16;
    CMDS_OPTIONAL_OF(int32_t) i32;
    CMDS_OPTIONAL_OF(int64_t) i64;
    CMDS_OPTIONAL_OF(uint8_t) u8;
    CMDS_OPTIONAL_OF(uint16_t) u16;
    CMDS_OPTIONAL_OF(uint32_t) u32;
    CMDS_OPTIONAL_OF(uint64_t) u64;
    CMDS_OPTIONAL_OF(float) f32;
    CMDS_OPTIONAL_OF(double) f64;
    CMDS_OPTIONAL_OF(enum color) color;
    CMDS_OPTIONAL_OF(struct cmds_string) string;
    CMDS_OPTIONAL_OF(struct cmds_bytes) bytes;
    CMDS_OPTIONAL_OF(text8) text;
    CMDS_OPTIONAL_OF(blob4) blob;
    CMDS_OPTIONAL_OF(struct pear) pear;
};
struct shapes {
    struct arrays arrays;
    struct optionals optionals;
    enum color color;
};
struct map_lists {
    CMDS_ARRAY_OF(struct cmds_map) maps;
    CMDS_OPTIONAL_OF(struct cmds_map) map;
};
CMDS_SCHEMA(pear, size, name);
CMDS_SCHEMA(arrays, CMDS_ARRAY(bools), CMDS_ARRAY(i8), CMDS_ARRAY(i16), CMDS_ARRAY(i32),
        CMDS_ARRAY(i64), CMDS_ARRAY(u8), CMDS_ARRAY(u16), CMDS_ARRAY(u32), CMDS_ARRAY(u64),
        CMDS_ARRAY(f32), CMDS_ARRAY(f64), CMDS_ARRAY(strings), CMDS_ARRAY(bytes),
        CMDS_ARRAY(pears, pear));
CMDS_SCHEMA(optionals, CMDS_OPTIONAL(boolean), CMDS_OPTIONAL(i8), CMDS_OPTIONAL(i16),
        CMDS_OPTIONAL(i32), CMDS_OPTIONAL(i64), CMDS_OPTIONAL(u8), CMDS_OPTIONAL(u16),
        CMDS_OPTIONAL(u32), CMDS_OPTIONAL(u64), CMDS_OPTIONAL(f32), CMDS_OPTIONAL(f64),
        CMDS_OPTIONAL(color), CMDS_OPTIONAL(string), CMDS_OPTIONAL(bytes), CMDS_OPTIONAL(text),
        CMDS_OPTIONAL(blob), CMDS_OPTIONAL(pear, pear));
CMDS_COMMAND(shapes, 0, CMDS_NESTED(arrays, arrays), CMDS_NESTED(optionals, optionals), color);
CMDS_COMMAND(map_lists, 1, CMDS_ARRAY(maps), CMDS_OPTIONAL(map));

static struct shapes full_shapes(void)
{
    static const bool bools[] = {true, false};
    static const int8_t i8[] = {INT8_MIN, 0, INT8_MAX};
    static const int16_t i16[] = {INT16_MIN, 0, INT16_MAX};
    static const int32_t i32[] = {INT32_MIN, 0, INT32_MAX};
    static const int64_t i64[] = {INT64_MIN, 0, INT64_MAX};
    static const uint8_t u8[] = {0, 1, UINT8_MAX};
    static const uint16_t u16[] = {0, 1, UINT16_MAX};
    static const uint32_t u32[] = {0, 1, UINT32_MAX};
    static const uint64_t u64[] = {0, 1, UINT64_MAX};
    static const float f32[] = {0.1f, -FLT_MAX, 1e-45f};
    static const double f64[] = {0.1, -DBL_MAX, 5e-324};
    static const struct cmds_string strings[] = {CMDS_STRING("a"), CMDS_STRING("")};
    static const struct cmds_bytes bytes[] = {{"\0\xff", 2}, {"", 0}};
    static const struct pear pears[] = {{-1, CMDS_STRING("small")}, {0, CMDS_STRING("")}};
    return (struct shapes){
            .arrays = {{bools, 2}, {i8, 3}, {i16, 3}, {i32, 3}, {i64, 3}, {u8, 3}, {u16, 3},
                    {u32, 3}, {u64, 3}, {f32, 3}, {f64, 3}, {strings, 2}, {bytes, 2}, {pears, 2}},
            .optionals = {{true, true}, {true, -1}, {true, -2}, {true, -3}, {true, -4}, {true, 1},
                    {true, 2}, {true, 3}, {true, 4}, {true, 0.5f}, {true, 0.25}, {true, BLUE},
                    {true, CMDS_STRING("s")}, {true, {"\x80", 1}}, {true, "text"},
                    {true, {1, 2, 3, 4}}, {true, {7, CMDS_STRING("p")}}},
            .color = BLUE,
    };
}

/* Present, and zero: that is not absent. */
static struct shapes zero_shapes(void)
{
    struct shapes shapes = full_shapes();
    shapes.optionals = (struct optionals){{true, false}, {true, 0}, {true, 0}, {true, 0}, {true, 0},
            {true, 0}, {true, 0}, {true, 0}, {true, 0}, {true, 0}, {true, 0}, {true, RED},
            {true, {"", 0}}, {true, {"", 0}}, {true, ""}, {true, {0}}, {true, {0, {"", 0}}}};
    shapes.color = RED;
    return shapes;
}

#define SAME_ITEMS(a, b)                                                                           \
    CU_ASSERT((a).count == (b).count &&                                                            \
              memcmp((a).items, (b).items, (a).count * sizeof(*(a).items)) == 0)
#define SAME_OPTIONAL(a, b)                                                                        \
    CU_ASSERT((a).has == (b).has && memcmp(&(a).value, &(b).value, sizeof((a).value)) == 0)

static void check_arrays(const struct arrays *a, const struct arrays *b)
{
    SAME_ITEMS(a->bools, b->bools);
    SAME_ITEMS(a->i8, b->i8);
    SAME_ITEMS(a->i16, b->i16);
    SAME_ITEMS(a->i32, b->i32);
    SAME_ITEMS(a->i64, b->i64);
    SAME_ITEMS(a->u8, b->u8);
    SAME_ITEMS(a->u16, b->u16);
    SAME_ITEMS(a->u32, b->u32);
    SAME_ITEMS(a->u64, b->u64);
    SAME_ITEMS(a->f32, b->f32);
    SAME_ITEMS(a->f64, b->f64);
    CU_ASSERT_FATAL(a->strings.count == 2 && b->strings.count == 2);
    CU_ASSERT_FATAL(a->bytes.count == 2 && b->bytes.count == 2);
    CU_ASSERT_FATAL(a->pears.count == 2 && b->pears.count == 2);
    for (size_t i = 0; i < 2; i++) {
        CU_ASSERT(cmds_string_equal(a->strings.items[i], b->strings.items[i]));
        CU_ASSERT(a->bytes.items[i].size == b->bytes.items[i].size);
        CU_ASSERT(memcmp(a->bytes.items[i].data, b->bytes.items[i].data, a->bytes.items[i].size) ==
                  0);
        CU_ASSERT(a->pears.items[i].size == b->pears.items[i].size);
        CU_ASSERT(cmds_string_equal(a->pears.items[i].name, b->pears.items[i].name));
    }
}

static void check_optionals(const struct optionals *a, const struct optionals *b)
{
    SAME_OPTIONAL(a->boolean, b->boolean);
    SAME_OPTIONAL(a->i8, b->i8);
    SAME_OPTIONAL(a->i16, b->i16);
    SAME_OPTIONAL(a->i32, b->i32);
    SAME_OPTIONAL(a->i64, b->i64);
    SAME_OPTIONAL(a->u8, b->u8);
    SAME_OPTIONAL(a->u16, b->u16);
    SAME_OPTIONAL(a->u32, b->u32);
    SAME_OPTIONAL(a->u64, b->u64);
    SAME_OPTIONAL(a->f32, b->f32);
    SAME_OPTIONAL(a->f64, b->f64);
    SAME_OPTIONAL(a->color, b->color);
    SAME_OPTIONAL(a->text, b->text);
    SAME_OPTIONAL(a->blob, b->blob);
    CU_ASSERT(a->string.has == b->string.has);
    CU_ASSERT(cmds_string_equal(a->string.value, b->string.value));
    CU_ASSERT(a->bytes.has == b->bytes.has && a->bytes.value.size == b->bytes.value.size);
    CU_ASSERT(a->bytes.value.size == 0 ||
              memcmp(a->bytes.value.data, b->bytes.value.data, a->bytes.value.size) == 0);
    CU_ASSERT(a->pear.has == b->pear.has && a->pear.value.size == b->pear.value.size);
    CU_ASSERT(cmds_string_equal(a->pear.value.name, b->pear.value.name));
}

/* There and back. Returns: a value of its own. */
static void *around(const struct cmds_codec *codec, const struct cmds_type *type, const void *value)
{
    static uint8_t body[BODY_MAX], again[BODY_MAX];
    struct cmds_message message = {type, value};
    void *copy = NULL;
    int64_t size = cmds_codec_encode(codec, message, body, sizeof(body));
    CU_ASSERT_FATAL(size >= 0);
    struct cmds_bytes in = {body, (size_t)size};
    CU_ASSERT_EQUAL_FATAL(cmds_codec_decode(codec, type, in, &copy), 0);
    message.value = copy;
    CU_ASSERT_EQUAL(cmds_codec_encode(codec, message, again, sizeof(again)), size);
    CU_ASSERT_EQUAL(memcmp(body, again, (size_t)size), 0);
    return copy;
}

static void test_features_every_kind_in_every_shape(void)
{
    for (size_t i = 0; i < CODEC_COUNT; i++) {
        struct shapes values[] = {full_shapes(), zero_shapes()};
        for (size_t k = 0; k < 2; k++) {
            struct shapes *again = around(codecs[i].codec, &shapes_type, &values[k]);
            check_arrays(&values[k].arrays, &again->arrays);
            check_optionals(&values[k].optionals, &again->optionals);
            CU_ASSERT_EQUAL(again->color, values[k].color);
            free(again);
        }
        struct shapes nothing = {0};
        struct shapes *again = around(codecs[i].codec, &shapes_type, &nothing);
        CU_ASSERT_EQUAL(again->arrays.pears.count + again->arrays.u8.count, 0);
        CU_ASSERT_FALSE(again->optionals.text.has || again->optionals.boolean.has);
        free(again);
    }
}

static void test_features_lists_of_maps(void)
{
    static const struct cmds_pair pairs[] = {
            {CMDS_STRING("a"), CMDS_STRING("1")}, {CMDS_STRING("b"), CMDS_STRING("")}};
    static const struct cmds_map maps[] = {{pairs, 2}, {NULL, 0}, {pairs, 1}};
    static const struct cmds_type *const list[] = {&map_lists_type};
    struct cmds_protocol protocol = {sizeof(protocol), 1, 0, 0, "maps", list, NULL};
    struct map_lists value = {{maps, 3}, {true, {pairs, 2}}};
    for (size_t i = 0; i < CODEC_COUNT; i++) {
        const struct cmds_codec *codec = codecs[i].codec;
        bool has = (codecs[i].flags & HAS_MAP_LISTS) != 0;
        CU_ASSERT_EQUAL(cmdi_codec_check(codec, &protocol, NULL), has ? 0 : CMDS_E_SCHEMA);
        if (!has) {
            uint8_t body[64];
            CU_ASSERT(cmds_codec_encode(codec, map_lists_message(&value), body, sizeof(body)) ==
                      -EINVAL);
            continue;
        }
        struct map_lists *again = around(codec, &map_lists_type, &value);
        CU_ASSERT_EQUAL_FATAL(again->maps.count, 3);
        CU_ASSERT_EQUAL_FATAL(again->maps.items[0].count, 2);
        CU_ASSERT_EQUAL(again->maps.items[1].count, 0);
        CU_ASSERT(again->map.has && again->map.value.count == 2);
        const struct cmds_string *one = cmds_map_find(again->maps.items[2], pairs[0].key);
        CU_ASSERT(one != NULL && cmds_string_equal(*one, pairs[0].value));
        free(again);
    }
}

/* --- Limits ----------------------------------------------------------------------------------- */

struct bounded {
    struct cmds_string string;
    struct cmds_bytes bytes;
    struct cmds_map map;
    char text[8];
    char wide[16];
};
struct unbounded { // The same on the wire.
    struct cmds_string string;
    struct cmds_bytes bytes;
    struct cmds_map map;
    char text[16];
    char wide[16];
};
CMDS_COMMAND(bounded, 0, CMDS_MAX(string, 3), CMDS_MAX(bytes, 3), CMDS_MAX(map, 2), text,
        CMDS_MAX(wide, 3));
CMDS_COMMAND(unbounded, 0, string, bytes, map, text, wide);

static void check_limit(const struct cmds_codec *codec, const struct unbounded *value, bool fits)
{
    static uint8_t body[BODY_MAX];
    struct bounded bounded = {value->string, value->bytes, value->map, "", ""};
    memcpy(bounded.text, value->text, sizeof(bounded.text)); // Without its end if it is longer.
    memcpy(bounded.wide, value->wide, sizeof(bounded.wide));
    int64_t size = codec->size(codec, &bounded_type, &bounded);
    CU_ASSERT(fits ? size > 0 : size == CMDS_E_LIMIT);
    size = cmds_codec_encode(codec, unbounded_message(value), body, sizeof(body));
    CU_ASSERT_FATAL(size > 0);
    void *decoded = NULL;
    int code = cmds_codec_decode(
            codec, &bounded_type, (struct cmds_bytes){body, (size_t)size}, &decoded);
    CU_ASSERT_EQUAL(code, fits ? 0 : CMDS_E_LIMIT);
    free(decoded);
}

static void test_features_limits_are_exact(void)
{
    static const struct cmds_pair pairs[] = {{CMDS_STRING("a"), CMDS_STRING("1")},
            {CMDS_STRING("b"), CMDS_STRING("2")}, {CMDS_STRING("c"), CMDS_STRING("3")}};
    const struct unbounded full = {{"abc", 3}, {"abc", 3}, {pairs, 2}, "seven77", "abc"};
    for (size_t i = 0; i < CODEC_COUNT; i++) {
        const struct cmds_codec *codec = codecs[i].codec;
        struct unbounded value = full;
        check_limit(codec, &value, true);
        value.string = (struct cmds_string){"abcd", 4};
        check_limit(codec, &value, false);
        value = full;
        value.bytes.size = 4; // With its NUL.
        check_limit(codec, &value, false);
        value = full;
        value.map.count = 3;
        check_limit(codec, &value, false);
        value = full;
        memcpy(value.text, "eight888", 9);
        check_limit(codec, &value, false);
        value = full;
        memcpy(value.wide, "abcd", 5);
        check_limit(codec, &value, false);
    }
}

/* --- Fields that one side has ----------------------------------------------------------------- */

struct older {
    int64_t a;
    CMDS_ARRAY_OF(int64_t) gone;
    struct cmds_string b;
};
struct newer {
    int64_t a;
    struct cmds_string b;
    struct pear pear;
    CMDS_ARRAY_OF(struct pear) pears;
    CMDS_OPTIONAL_OF(double) real;
};
CMDS_COMMAND(older, 0, a, CMDS_ARRAY(gone), b);
CMDS_COMMAND(newer, 0, a, CMDS_RESERVED, b, CMDS_NESTED(pear, pear), CMDS_ARRAY(pears, pear),
        CMDS_OPTIONAL(real));

static void test_features_older_and_newer_peers(void)
{
    static const int64_t numbers[] = {1, 2, 3};
    static const struct pear pears[] = {{1, CMDS_STRING("p")}};
    const struct older old = {7, {numbers, 3}, CMDS_STRING("b")};
    const struct newer new = {7, CMDS_STRING("b"), {2, CMDS_STRING("q")}, {pears, 1}, {true, 0.5}};
    for (size_t i = 0; i < CODEC_COUNT; i++) {
        const struct cmds_codec *codec = codecs[i].codec;
        uint8_t body[256];
        struct newer *as_new = around(codec, &newer_type, &new); // CMDS_RESERVED keeps its place.
        CU_ASSERT(as_new->a == 7 && as_new->pears.count == 1 && as_new->real.value == 0.5);
        free(as_new);
        if ((codecs[i].flags & SKIPS) == 0) {
            continue;
        }
        void *value = NULL;
        int64_t size = cmds_codec_encode(codec, older_message(&old), body, sizeof(body));
        struct cmds_bytes in = {body, (size_t)size};
        CU_ASSERT_EQUAL_FATAL(cmds_codec_decode(codec, &newer_type, in, &value), 0);
        as_new = value;
        CU_ASSERT(as_new->a == 7 && cmds_string_equal(as_new->b, old.b));
        CU_ASSERT(as_new->pear.size == 0 && as_new->pears.count == 0 && !as_new->real.has);
        free(value);
        size = cmds_codec_encode(codec, newer_message(&new), body, sizeof(body));
        in.size = (size_t)size;
        CU_ASSERT_EQUAL_FATAL(cmds_codec_decode(codec, &older_type, in, &value), 0);
        const struct older *as_old = value;
        CU_ASSERT(as_old->a == 7 && as_old->gone.count == 0);
        CU_ASSERT(cmds_string_equal(as_old->b, new.b));
        free(value);
    }
}

struct called {
    int64_t number;
};
struct renamed {
    int64_t number;
    int64_t other;
};
CMDS_COMMAND(called, 0, CMDS_AS(number, "Number on the wire"));
CMDS_COMMAND(renamed, 0, CMDS_AS(number, "Other"), CMDS_AS(other, "Number on the wire"));

static void test_features_names_on_the_wire(void)
{
    const struct called value = {42};
    for (size_t i = 0; i < CODEC_COUNT; i++) {
        uint8_t body[128];
        void *decoded = NULL;
        int64_t size =
                cmds_codec_encode(codecs[i].codec, called_message(&value), body, sizeof(body));
        struct cmds_bytes in = {body, (size_t)size};
        if ((codecs[i].flags & SKIPS) == 0) {
            continue;
        }
        CU_ASSERT_EQUAL_FATAL(cmds_codec_decode(codecs[i].codec, &renamed_type, in, &decoded), 0);
        const struct renamed *renamed = decoded;
        bool by_name = (codecs[i].flags & HAS_NAMES) != 0;
        CU_ASSERT_EQUAL(renamed->number, by_name ? 0 : 42);
        CU_ASSERT_EQUAL(renamed->other, by_name ? 42 : 0);
        free(decoded);
    }
}

/* An empty message is one too. */
CMDS_COMMAND_EMPTY(silent, 0);

static void test_features_empty_messages(void)
{
    const struct silent silent = {0};
    for (size_t i = 0; i < CODEC_COUNT; i++) {
        free(around(codecs[i].codec, &silent_type, &silent));
    }
    CU_ASSERT_EQUAL(cmds_codec_raw.size(&cmds_codec_raw, &silent_type, &silent), 0);
}

static CU_TestInfo tests[] = {
        {"every kind in every shape", test_features_every_kind_in_every_shape},
        {"lists of maps", test_features_lists_of_maps},
        {"limits are exact", test_features_limits_are_exact},
        {"older and newer peers", test_features_older_and_newer_peers},
        {"names on the wire", test_features_names_on_the_wire},
        {"empty messages", test_features_empty_messages},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("codec features", tests)

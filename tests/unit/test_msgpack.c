/* SPDX-License-Identifier: MIT */
/*
 * The msgpack codecs. What may go wrong: a kind that does not come back as it went, a size that is
 * not what is written, a form or width that another implementation uses and we refuse, a number cut
 * silently, a field of an earlier occurrence that shines through, and everything a hostile peer may
 * announce without sending it.
 */
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "codec/arena.h"
#include "support/harness.h"
#include "support/shop.h"
#include "support/traced.h"

static const struct cmds_codec *const codecs[] = {&cmds_codec_msgpack, &cmds_codec_msgpack_map};
enum {
    CODEC_COUNT = 2,
    BODY_MAX = 4096
};

struct numbers {
    int64_t i64;
    uint64_t u64;
    int32_t i32;
    uint32_t u32;
    int16_t i16;
    uint16_t u16;
    int8_t i8;
    uint8_t u8;
    bool flag;
    float f32;
    double f64;
};
CMDS_COMMAND(numbers, 1, i64, u64, i32, u32, i16, u16, i8, u8, flag, f32, f64);
struct limits {
    struct cmds_string text;
    struct cmds_bytes bytes;
    char name[4];
    uint8_t id[2];
    struct cmds_map map;
    CMDS_ARRAY_OF(uint8_t) list;
};
CMDS_COMMAND(limits, 2, CMDS_MAX(text, 3), CMDS_MAX(bytes, 3), name, id, CMDS_MAX(map, 1),
        CMDS_ARRAY(list));
CMDS_COMMAND_EMPTY(nothing, 3);

/*
 * The outcome of a decode into a value of its own; the arena is small and its bound is part of what
 * is tested.
 */
static int64_t decode(const struct cmds_type *type, const void *bytes, size_t size, void *value,
        struct cmds_arena *arena)
{
    void *exact = malloc(size > 0 ? size : 1); // A read behind the end is seen by the sanitizer.
    memcpy(exact, bytes, size);
    memset(value, 0, type->schema->value_size);
    cmdi_arena_init(arena, 1 << 20);
    struct cmds_bytes in = {exact, size};
    int64_t used = cmds_codec_msgpack.decode(&cmds_codec_msgpack, type, in, arena, value);
    free(exact);
    return used;
}

static int64_t outcome(const struct cmds_type *type, const void *bytes, size_t size)
{
    struct shop_order value; // The largest.
    struct cmds_arena arena;
    int64_t used = decode(type, bytes, size, &value, &arena);
    CU_ASSERT(arena.size <= 1 << 20);
    cmdi_arena_fini(&arena);
    return used;
}

#define BYTES(literal) "" literal, sizeof(literal) - 1
#define WHOLE(array)   (array), sizeof(array) - 1
#define ACCEPTS(type, literal)                                                                     \
    CU_ASSERT_EQUAL(outcome(&(type), BYTES(literal)), (int64_t)sizeof(literal) - 1)
#define REFUSES(type, literal, e) CU_ASSERT_EQUAL(outcome(&(type), BYTES(literal)), (e))

static void test_msgpack_every_kind_comes_back(void)
{
    struct shop_order order;
    uint8_t body[BODY_MAX];
    shop_order_fill(&order);

    for (int i = 0; i < CODEC_COUNT; i++) {
        int64_t size = cmds_codec_encode(codecs[i], shop_order_message(&order), body, sizeof(body));
        CU_ASSERT_FATAL(size > 0);
        CU_ASSERT_EQUAL(size, codecs[i]->size(codecs[i], &shop_order_type, &order));
        for (int k = 0; k < CODEC_COUNT; k++) { // Each reads what the other wrote.
            void *again = NULL;
            struct cmds_bytes in = {body, (size_t)size};
            CU_ASSERT_EQUAL_FATAL(cmds_codec_decode(codecs[k], &shop_order_type, in, &again), 0);
            CU_ASSERT_TRUE(shop_order_equal(&order, again));
            free(again);
        }
    }
}

static void test_msgpack_zero_comes_back(void)
{
    struct shop_order order = {0};
    uint8_t body[BODY_MAX];

    for (int i = 0; i < CODEC_COUNT; i++) {
        int64_t size = cmds_codec_encode(codecs[i], shop_order_message(&order), body, sizeof(body));
        void *again = NULL;
        CU_ASSERT_EQUAL_FATAL(cmds_codec_decode(codecs[i], &shop_order_type,
                                      (struct cmds_bytes){body, (size_t)size}, &again),
                0);
        CU_ASSERT_TRUE(shop_order_equal(&order, again));
        free(again);
    }
    CU_ASSERT_EQUAL(
            cmds_codec_encode(codecs[0], nothing_message(&(struct nothing){0}), body, 1), 1);
    CU_ASSERT_EQUAL(body[0], 0x90);
    CU_ASSERT_EQUAL(
            cmds_codec_encode(codecs[1], nothing_message(&(struct nothing){0}), body, 1), 1);
    CU_ASSERT_EQUAL(body[0], 0x80);
    ACCEPTS(nothing_type, "\x90");
    ACCEPTS(nothing_type, "\x81\xa1x\x01");
}

static void test_msgpack_encode_needs_the_room_it_names(void)
{
    struct shop_order order;
    uint8_t body[BODY_MAX];
    shop_order_fill(&order);

    for (int i = 0; i < CODEC_COUNT; i++) {
        int64_t size = codecs[i]->size(codecs[i], &shop_order_type, &order);
        CU_ASSERT_EQUAL(
                cmds_codec_encode(codecs[i], shop_order_message(&order), body, (size_t)size - 1),
                -ENOBUFS);
        CU_ASSERT_EQUAL(
                cmds_codec_encode(codecs[i], shop_order_message(&order), body, (size_t)size), size);
    }
}

static void test_msgpack_every_prefix_is_refused(void)
{
    struct shop_order order;
    uint8_t body[BODY_MAX];
    shop_order_fill(&order);

    for (int i = 0; i < CODEC_COUNT; i++) {
        int64_t size =
                cmds_codec_encode(codecs[i], shop_order_message(&order), body, sizeof(body) - 1);
        for (int64_t cut = 0; cut < size; cut++) {
            CU_ASSERT_EQUAL(outcome(&shop_order_type, body, (size_t)cut), CMDS_E_PROTO);
        }
        body[size] = 0xc0;
        // And what lies behind it.
        CU_ASSERT_EQUAL(outcome(&shop_order_type, body, (size_t)size + 1), CMDS_E_PROTO);
    }
}

/* Any single byte changed: whatever it becomes, no sanitizer may find anything. */
static void test_msgpack_every_changed_byte_is_survived(void)
{
    struct shop_order order;
    uint8_t body[BODY_MAX];
    shop_order_fill(&order);

    for (int i = 0; i < CODEC_COUNT; i++) {
        int64_t size = cmds_codec_encode(codecs[i], shop_order_message(&order), body, sizeof(body));
        for (int64_t at = 0; at < size; at++) {
            for (int value = 0; value < 256; value += 3) {
                uint8_t kept = body[at];
                body[at] = (uint8_t)value;
                int64_t used = outcome(&shop_order_type, body, (size_t)size);
                CU_ASSERT(used == size || used == CMDS_E_PROTO || used == CMDS_E_LIMIT);
                body[at] = kept;
            }
        }
    }
}

/*
 * A Go peer writes an int64 in nine bytes whatever its value; all integer widths are read where
 * they fit.
 */
static void test_msgpack_integers_are_read_in_every_width(void)
{
    static const struct {
        const char *bytes;
        size_t size;
        int64_t value;
    } forms[] = {
            {BYTES("\x91\x05"), 5},
            {BYTES("\x91\xcc\x05"), 5},
            {BYTES("\x91\xcd\x00\x05"), 5},
            {BYTES("\x91\xce\x00\x00\x00\x05"), 5},
            {BYTES("\x91\xcf\x00\x00\x00\x00\x00\x00\x00\x05"), 5},
            {BYTES("\x91\xd0\x05"), 5},
            {BYTES("\x91\xd1\x00\x05"), 5},
            {BYTES("\x91\xd2\x00\x00\x00\x05"), 5},
            {BYTES("\x91\xd3\x00\x00\x00\x00\x00\x00\x00\x05"), 5},
            {BYTES("\x91\xfb"), -5},
            {BYTES("\x91\xd0\xfb"), -5},
            {BYTES("\x91\xd1\xff\xfb"), -5},
            {BYTES("\x91\xd2\xff\xff\xff\xfb"), -5},
            {BYTES("\x91\xd3\xff\xff\xff\xff\xff\xff\xff\xfb"), -5},
            {BYTES("\x91\xd3\x80\x00\x00\x00\x00\x00\x00\x00"), INT64_MIN},
            {BYTES("\x91\xcf\x7f\xff\xff\xff\xff\xff\xff\xff"), INT64_MAX},
    };
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        struct numbers numbers;
        struct cmds_arena arena;
        CU_ASSERT_EQUAL(decode(&numbers_type, forms[i].bytes, forms[i].size, &numbers, &arena),
                (int64_t)forms[i].size);
        CU_ASSERT_EQUAL(numbers.i64, forms[i].value);
        cmdi_arena_fini(&arena);
    }
}

static void test_msgpack_integers_are_exact_or_refused(void)
{
    // i64: INT64_MAX + 1
    REFUSES(numbers_type, "\x91\xcf\x80\x00\x00\x00\x00\x00\x00\x00", CMDS_E_PROTO);
    REFUSES(numbers_type, "\x92\x00\xff", CMDS_E_PROTO); // u64: -1
    ACCEPTS(numbers_type, "\x92\x00\xcf\xff\xff\xff\xff\xff\xff\xff\xff");
    ACCEPTS(numbers_type, "\x93\x00\x00\xd2\x80\x00\x00\x00"); // i32
    REFUSES(numbers_type, "\x93\x00\x00\xce\x80\x00\x00\x00", CMDS_E_PROTO);
    REFUSES(numbers_type, "\x93\x00\x00\xd3\xff\xff\xff\xff\x7f\xff\xff\xff", CMDS_E_PROTO);
    ACCEPTS(numbers_type, "\x94\x00\x00\x00\xce\xff\xff\xff\xff"); // u32
    REFUSES(numbers_type, "\x94\x00\x00\x00\xcf\x00\x00\x00\x01\x00\x00\x00\x00", CMDS_E_PROTO);
    ACCEPTS(numbers_type, "\x95\x00\x00\x00\x00\xd1\x80\x00"); // i16
    REFUSES(numbers_type, "\x95\x00\x00\x00\x00\xcd\x80\x00", CMDS_E_PROTO);
    REFUSES(numbers_type, "\x95\x00\x00\x00\x00\xd2\xff\xff\x7f\xff", CMDS_E_PROTO);
    ACCEPTS(numbers_type, "\x96\x00\x00\x00\x00\x00\xcd\xff\xff"); // u16
    REFUSES(numbers_type, "\x96\x00\x00\x00\x00\x00\xce\x00\x01\x00\x00", CMDS_E_PROTO);
    ACCEPTS(numbers_type, "\x97\x00\x00\x00\x00\x00\x00\xd0\x80"); // i8
    REFUSES(numbers_type, "\x97\x00\x00\x00\x00\x00\x00\xcc\x80", CMDS_E_PROTO);
    REFUSES(numbers_type, "\x97\x00\x00\x00\x00\x00\x00\xd1\xff\x7f", CMDS_E_PROTO);
    ACCEPTS(numbers_type, "\x98\x00\x00\x00\x00\x00\x00\x00\xcc\xff"); // u8
    REFUSES(numbers_type, "\x98\x00\x00\x00\x00\x00\x00\x00\xcd\x01\x00", CMDS_E_PROTO);
    // A float is no integer,
    REFUSES(numbers_type, "\x91\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00", CMDS_E_PROTO);
    REFUSES(numbers_type, "\x91\xc3", CMDS_E_PROTO); // nor is a bool,
    // nor the other way round.
    REFUSES(numbers_type, "\x99\x00\x00\x00\x00\x00\x00\x00\x00\x01", CMDS_E_PROTO);
    REFUSES(numbers_type,
            "\x91\xa1"
            "1",
            CMDS_E_PROTO);
}

static void test_msgpack_integer_borders_round_trip(void)
{
    static const int64_t borders[] = {0, 1, 127, 128, 255, 256, 32767, 32768, 65535, 65536,
            INT32_MAX, 2147483648, UINT32_MAX, 4294967296, INT64_MAX, -1, -32, -33, -128, -129,
            -32768, -32769, INT32_MIN, -2147483649, INT64_MIN};
    static const uint8_t sizes[] = {
            1, 1, 1, 2, 2, 3, 3, 3, 3, 5, 5, 5, 5, 9, 9, 1, 1, 2, 2, 3, 3, 5, 5, 9, 9};
    for (size_t i = 0; i < sizeof(borders) / sizeof(borders[0]); i++) {
        struct numbers numbers = {.i64 = borders[i], .u64 = (uint64_t)borders[i]};
        uint8_t body[64];
        void *again = NULL;
        int64_t size = cmds_codec_encode(codecs[0], numbers_message(&numbers), body, sizeof(body));
        int64_t unsigned_size = borders[i] < 0 ? 9 : sizes[i];
        CU_ASSERT_EQUAL(size, 1 + sizes[i] + unsigned_size + 7 + 5 + 9);
        CU_ASSERT_EQUAL_FATAL(cmds_codec_decode(codecs[0], &numbers_type,
                                      (struct cmds_bytes){body, (size_t)size}, &again),
                0);
        CU_ASSERT_EQUAL(((struct numbers *)again)->i64, borders[i]);
        CU_ASSERT_EQUAL(((struct numbers *)again)->u64, (uint64_t)borders[i]);
        free(again);
    }
}

/*
 * Some versions of some packers write 2.0 as the integer 2: the size that was promised would be a
 * lie then.
 */
static void test_msgpack_whole_floats_stay_floats(void)
{
    struct numbers numbers = {.f32 = 3.0f, .f64 = 2.0};
    uint8_t body[64];

    int64_t size = cmds_codec_encode(codecs[0], numbers_message(&numbers), body, sizeof(body));

    CU_ASSERT_EQUAL_FATAL(size, 1 + 9 + 5 + 9);
    CU_ASSERT_EQUAL(memcmp(body + 10, "\xca\x40\x40\0\0\xcb\x40\0\0\0\0\0\0\0", 14), 0);
}

/* Decodes one item as field f64 and as field f32 of a map. */
static int64_t decode_float(const char *item, size_t size, bool narrow, struct numbers *numbers)
{
    char body[32] = "\x81\xa3"
                    "f64";
    struct cmds_arena arena;
    memcpy(body + 2, narrow ? "f32" : "f64", 3);
    memcpy(body + 5, item, size);
    int64_t used = decode(&numbers_type, body, 5 + size, numbers, &arena);
    cmdi_arena_fini(&arena);
    return used;
}

static void test_msgpack_floats_are_read_in_both_widths(void)
{
    struct numbers numbers;

    CU_ASSERT(decode_float(BYTES("\xca\x3f\xc0\x00\x00"), false, &numbers) > 0);
    CU_ASSERT_EQUAL(numbers.f64, 1.5);
    CU_ASSERT(decode_float(BYTES("\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00"), true, &numbers) > 0);
    CU_ASSERT_EQUAL(numbers.f32, 1.5f);
    CU_ASSERT(decode_float(BYTES("\xcb\x80\x00\x00\x00\x00\x00\x00\x00"), false, &numbers) > 0);
    CU_ASSERT(signbit(numbers.f64));
    CU_ASSERT(decode_float(BYTES("\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00"), true, &numbers) > 0);
    CU_ASSERT(isnan(numbers.f32));
    CU_ASSERT(decode_float(BYTES("\xcb\xff\xf0\x00\x00\x00\x00\x00\x00"), true, &numbers) > 0);
    CU_ASSERT(isinf(numbers.f32) && numbers.f32 < 0);
    CU_ASSERT_EQUAL(decode_float(BYTES("\xcb\x7e\x37\xe4\x3c\x88\x00\x75\x9c"), true, &numbers),
            CMDS_E_PROTO); // 1e300
}

static void test_msgpack_integers_as_floats_are_exact_or_refused(void)
{
    struct numbers numbers;

    CU_ASSERT(decode_float(BYTES("\x02"), false, &numbers) > 0);
    CU_ASSERT_EQUAL(numbers.f64, 2.0);
    CU_ASSERT(decode_float(BYTES("\xfd"), true, &numbers) > 0);
    CU_ASSERT_EQUAL(numbers.f32, -3.0f);
    CU_ASSERT(decode_float(BYTES("\xd3\x80\x00\x00\x00\x00\x00\x00\x00"), false, &numbers) > 0);
    CU_ASSERT_EQUAL(numbers.f64, (double)INT64_MIN);
    CU_ASSERT(decode_float(BYTES("\x00"), true, &numbers) > 0);
    CU_ASSERT_EQUAL(numbers.f32, 0.0f);
    CU_ASSERT_EQUAL(decode_float(BYTES("\xcf\x00\x20\x00\x00\x00\x00\x00\x01"), false, &numbers),
            CMDS_E_PROTO);
    CU_ASSERT_EQUAL(decode_float(BYTES("\xce\x01\x00\x00\x01"), true, &numbers), CMDS_E_PROTO);
}

static void test_msgpack_missing_fields_and_nil_are_zero(void)
{
    struct shop_order order, zero = {0};
    struct cmds_arena arena;
    char nils[64] = "\xdc\x00\x1a";
    memset(nils + 3, '\xc0', 26);

    CU_ASSERT_EQUAL(decode(&shop_order_type, BYTES("\x90"), &order, &arena), 1);
    CU_ASSERT_TRUE(shop_order_equal(&order, &zero));
    CU_ASSERT_EQUAL(decode(&shop_order_type, BYTES("\x80"), &order, &arena), 1);
    CU_ASSERT_TRUE(shop_order_equal(&order, &zero));
    CU_ASSERT_EQUAL(decode(&shop_order_type, BYTES("\xc0"), &order, &arena), 1);
    CU_ASSERT_TRUE(shop_order_equal(&order, &zero));
    CU_ASSERT_EQUAL(decode(&shop_order_type, nils, 29, &order, &arena), 29);
    CU_ASSERT_TRUE(shop_order_equal(&order, &zero));
    cmdi_arena_fini(&arena);
}

static void test_msgpack_unknown_keys_and_extra_elements_are_skipped(void)
{
    struct numbers numbers;
    struct cmds_arena arena;
    // First an array with a map in it, which ends in an empty array.
    static const char keyed[] = "\x86\xa1z\x92\x01\x81\xa1y\x90"
                                "\xa3i64\x07"
                                "\x05\xa1q" // A key that is an integer,
                                "\xa2xx\xc7\x02\x05"
                                "ab" // an extension,
                                "\xa3u64\x08"
                                "\xa4nope\xc4\x01z";
    CU_ASSERT_EQUAL(
            decode(&numbers_type, WHOLE(keyed), &numbers, &arena), (int64_t)sizeof(keyed) - 1);
    CU_ASSERT_EQUAL(numbers.i64, 7);
    CU_ASSERT_EQUAL(numbers.u64, 8);

    static const char longer[] =
            "\x9e\x07\x08\x00\x00\x00\x00\x00\x00\xc2\x00\x00\x01\x92\x01\x90\x81\x90\x91\x01";
    CU_ASSERT_EQUAL(
            decode(&numbers_type, WHOLE(longer), &numbers, &arena), (int64_t)sizeof(longer) - 1);
    CU_ASSERT_EQUAL(numbers.u64, 8);
    REFUSES(numbers_type, "\x81\x90\x01", CMDS_E_PROTO); // A container is no name of a field.
    cmdi_arena_fini(&arena);
}

/* A removed row of a table made by hand has no name. The name that is looked for is the peer's. */
static void test_msgpack_rows_end_where_their_names_do(void)
{
    struct cmds_field fields[sizeof(numbers_fields) / sizeof(numbers_fields[0])];
    struct cmds_schema schema = numbers_schema;
    struct cmds_type type = numbers_type;
    void *value = NULL;
    memcpy(fields, numbers_fields, sizeof(fields));
    fields[0].name = NULL;
    fields[0].kind = CMDS_KIND_RESERVED;
    fields[1].name = "u64\0more";
    schema.fields = fields;
    type.schema = &schema;
    static const char body[] = "\x84\xa8u64\0more\x07\xa3i64\x07\xa3i32\x07\xa3u64\x07";
    struct cmds_bytes in = {body, sizeof(body) - 1};
    CU_ASSERT_EQUAL_FATAL(cmds_codec_decode(&cmds_codec_msgpack, &type, in, &value), 0);
    const struct numbers *numbers = value;
    CU_ASSERT(numbers->i64 == 0 && numbers->u64 == 7 && numbers->i32 == 7);
    free(value);
}

static void test_msgpack_the_last_of_a_key_counts(void)
{
    struct shop_order order;
    struct cmds_arena arena;
    static const char twice[] = "\x88\xa7"
                                "address\x92\xa1"
                                "A\xa2"
                                "DE"
                                "\xa7"
                                "address\x81\xa6"
                                "street\xa1"
                                "B" // Without the country: there is none then.
                                "\xa5"
                                "limit\x05\xa5"
                                "limit\xc0"
                                "\xa8"
                                "Customer\xa4"
                                "Anna\xa8"
                                "Customer\xa2"
                                "Bo"
                                "\xa4"
                                "tags\x92\xa1"
                                "x\xa1y\xa4"
                                "tags\x91\xa1"
                                "z";
    CU_ASSERT_EQUAL_FATAL(
            decode(&shop_order_type, WHOLE(twice), &order, &arena), (int64_t)sizeof(twice) - 1);
    CU_ASSERT_EQUAL(order.address.street.size, 1);
    CU_ASSERT_STRING_EQUAL(order.address.country, "");
    CU_ASSERT_FALSE(order.limit.has);
    CU_ASSERT_STRING_EQUAL(order.customer, "Bo");
    CU_ASSERT_EQUAL(order.tags.count, 1);
    cmdi_arena_fini(&arena);
}

static void test_msgpack_limits_hold_on_both_ways(void)
{
    ACCEPTS(limits_type, "\x91\xa3xyz");
    REFUSES(limits_type, "\x91\xa4xyz!", CMDS_E_LIMIT);
    REFUSES(limits_type, "\x92\xa0\xc4\x04xyz!", CMDS_E_LIMIT);
    ACCEPTS(limits_type, "\x93\xa0\xa0\xa3xyz");
    REFUSES(limits_type, "\x93\xa0\xa0\xa4xyz!", CMDS_E_LIMIT); // No room for the NUL.
    REFUSES(limits_type, "\x93\xa0\xa0\xa2x\0", CMDS_E_PROTO);  // A C string would end early.
    ACCEPTS(limits_type, "\x94\xa0\xa0\xa0\xc4\x02xy");
    REFUSES(limits_type, "\x94\xa0\xa0\xa0\xc4\x01x", CMDS_E_PROTO);
    REFUSES(limits_type, "\x94\xa0\xa0\xa0\xc4\x03xyz", CMDS_E_PROTO);
    // Of a map the pairs are counted.
    ACCEPTS(limits_type, "\x95\xa0\xa0\xa0\xc0\x81\xa4long\xa4long");
    REFUSES(limits_type, "\x95\xa0\xa0\xa0\xc0\x82\xa1x\xa1x\xa1y\xa1y", CMDS_E_LIMIT);

    static const struct cmds_pair pairs[2] = {{CMDS_STRING("a"), CMDS_STRING("b")}};
    struct limits limits[] = {
            {.text = CMDS_STRING("xyz!")},
            {.bytes = {"xyz!", 4}},
            {.name = {'x', 'y', 'z', '!'}}, // Not terminated.
            {.map = {pairs, 2}},
            {.text = {"x", (size_t)UINT32_MAX + 1}},
    };
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        CU_ASSERT_EQUAL(codecs[0]->size(codecs[0], &limits_type, &limits[i]), CMDS_E_LIMIT);
        CU_ASSERT_EQUAL(codecs[1]->size(codecs[1], &limits_type, &limits[i]), CMDS_E_LIMIT);
    }
    struct limits null[] = {
            {.text = {NULL, 1}}, {.bytes = {NULL, 1}}, {.map = {NULL, 1}}, {.list = {NULL, 1}}};
    for (size_t i = 0; i < sizeof(null) / sizeof(null[0]); i++) {
        CU_ASSERT_EQUAL(codecs[0]->size(codecs[0], &limits_type, &null[i]), -EINVAL);
    }
}

static void test_msgpack_bytes_are_kept_as_they_are(void)
{
    struct shop_order order;
    struct cmds_arena arena;
    // No UTF-8, and str for bytes.
    static const char body[] = "\x82\xa4note\xa5\xff\xfe\0\x80z\xa7invoice\xa2\0\0";
    void *value = NULL;
    CU_ASSERT_EQUAL(cmds_codec_decode(
                            codecs[0], &shop_order_type, (struct cmds_bytes){WHOLE(body)}, &value),
            0);
    CU_ASSERT_EQUAL(((struct shop_order *)value)->note.size, 5);
    CU_ASSERT_EQUAL(memcmp(((struct shop_order *)value)->note.data, "\xff\xfe\0\x80z", 5), 0);
    CU_ASSERT_EQUAL(((struct shop_order *)value)->invoice.size, 2);
    free(value);

    memset(&order, 0, sizeof(order));
    cmdi_arena_init(&arena, 4096);
    CU_ASSERT(cmds_codec_msgpack.decode(codecs[0], &shop_order_type,
                      (struct cmds_bytes){WHOLE(body)}, &arena, &order) > 0);
    CU_ASSERT_PTR_EQUAL(order.note.data, body + 7); // Where they were received: no copy.
    CU_ASSERT_EQUAL(arena.size, 0);
    cmdi_arena_fini(&arena);
}

/* Five bytes that announce four thousand million things. */
static void test_msgpack_announced_counts_are_not_believed(void)
{
    REFUSES(shop_order_type, "\xdd\xff\xff\xff\xff", CMDS_E_PROTO);
    REFUSES(shop_order_type, "\xdf\xff\xff\xff\xff", CMDS_E_PROTO);
    REFUSES(shop_order_type, "\x81\xa5items\xdd\xff\xff\xff\xff", CMDS_E_PROTO);
    REFUSES(shop_order_type, "\x81\xa6labels\xdf\xff\xff\xff\xff", CMDS_E_PROTO);
    REFUSES(shop_order_type, "\x81\xa4note\xdb\xff\xff\xff\xff", CMDS_E_PROTO);
    REFUSES(shop_order_type, "\x81\xa7invoice\xc6\xff\xff\xff\xff", CMDS_E_PROTO);
    REFUSES(shop_order_type, "\x81\xa1z\xc9\xff\xff\xff\xff", CMDS_E_PROTO);
    REFUSES(shop_order_type, "\x81\xa1z\xc9\xff\xff\xff\xff\x01", CMDS_E_PROTO);
    REFUSES(shop_order_type, "\x81\xa1z\xdd\xff\xff\xff\xff", CMDS_E_PROTO);
    REFUSES(shop_order_type, "\xc1", CMDS_E_PROTO);
    REFUSES(shop_order_type, "\x91\xc1", CMDS_E_PROTO);
    REFUSES(shop_order_type, "\x01", CMDS_E_PROTO);
    REFUSES(shop_order_type, "\xc3", CMDS_E_PROTO);
    REFUSES(shop_order_type, "", CMDS_E_PROTO);
}

static void test_msgpack_depth_is_bounded(void)
{
    static char deep[10002];
    deep[0] = '\x82';
    memcpy(deep + 1, "\xa1z", 2);
    memset(deep + 3, '\x91', 30);
    memcpy(deep + 33, "\x90\xa4gift\xc3", 7); // The map, 30 arrays and an empty one: 32.
    CU_ASSERT_EQUAL(outcome(&shop_order_type, deep, 40), 40);

    memset(deep + 3, '\x91', 31);
    memcpy(deep + 34, "\x90\xa4gift\xc3", 7);
    CU_ASSERT_EQUAL(outcome(&shop_order_type, deep, 41), CMDS_E_LIMIT);
    memset(deep + 3, '\x91', sizeof(deep) - 3);
    CU_ASSERT_EQUAL(outcome(&shop_order_type, deep, sizeof(deep)), CMDS_E_LIMIT);
    memset(deep + 3, '\x81', sizeof(deep) - 3);
    CU_ASSERT_EQUAL(outcome(&shop_order_type, deep, sizeof(deep)), CMDS_E_LIMIT);
}

/* 24,000 arrays that each announce 65,535 elements: the sum may not exceed what is there. */
static void test_msgpack_nested_counts_share_one_budget(void)
{
    static char bomb[72100];
    memcpy(bomb, "\x81\xa1z", 3);
    for (size_t i = 0; i < 24000; i++) {
        memcpy(bomb + 3 + 3 * i, "\xdc\xff\xff", 3);
    }
    CU_ASSERT_EQUAL(outcome(&shop_order_type, bomb, sizeof(bomb)), CMDS_E_PROTO);
}

/*
 * A struct in memory is larger than the nil on the wire: the arena's bound must end it, in the
 * order's items.
 */
static void test_msgpack_memory_is_bounded_by_the_arena(void)
{
    static char body[60000];
    // 59,990 nils, 24 bytes each: more than the megabyte.
    memcpy(body, "\x81\xa5items\xdc\xea\x56", 10);
    memset(body + 10, '\xc0', sizeof(body) - 10);
    CU_ASSERT_EQUAL(outcome(&shop_order_type, body, sizeof(body)), CMDS_E_LIMIT);
}

static void test_msgpack_arena_allocates_once(void)
{
    if (CMDI_POOLS_KEEP_NOTHING) {
        return; // In such a build there is nothing to be found again.
    }
    struct shop_order order;
    uint8_t body[BODY_MAX];
    struct cmds_arena arena;
    shop_order_fill(&order);
    int64_t size = cmds_codec_encode(codecs[0], shop_order_message(&order), body, sizeof(body));
    cmdi_arena_init(&arena, 1 << 20);

    uint8_t *base = NULL;
    for (int i = 0; i < 100; i++) {
        memset(&order, 0, sizeof(order));
        CU_ASSERT(codecs[0]->decode(codecs[0], &shop_order_type,
                          (struct cmds_bytes){body, (size_t)size}, &arena, &order) > 0);
        CU_ASSERT(base == NULL || base == arena.base);
        base = arena.base;
        CU_ASSERT_EQUAL(arena.size, CMDI_ARENA_CHUNK_MIN);
        cmdi_arena_reset(&arena);
    }
    cmdi_arena_fini(&arena);
}

static void test_msgpack_a_traced_command_is_that_of_go(void)
{
    static const char context[] = "\x92\x81\xab"
                                  "traceparent"
                                  "\xd9\x37" TRACED_PARENT;
    static const char empty[] = "\x92\x80";
    static const char none[] = "\x92\xc0";
    static const char command[] = "\x92\x02\x03";
    const struct traced_bytes bytes = {
            .context = {context, sizeof(context) - 1},
            .empty = {empty, sizeof(empty) - 1},
            .none = {none, sizeof(none) - 1},
            .command = {command, sizeof(command) - 1},
            .has_empty = true,
    };
    traced_case(&cmds_codec_msgpack, &bytes);
}

static CU_TestInfo tests[] = {
        {"every kind comes back", test_msgpack_every_kind_comes_back},
        {"zero comes back", test_msgpack_zero_comes_back},
        {"encode needs the room it names", test_msgpack_encode_needs_the_room_it_names},
        {"every prefix is refused", test_msgpack_every_prefix_is_refused},
        {"every changed byte is survived", test_msgpack_every_changed_byte_is_survived},
        {"integers are read in every width", test_msgpack_integers_are_read_in_every_width},
        {"integers are exact or refused", test_msgpack_integers_are_exact_or_refused},
        {"integer borders round trip", test_msgpack_integer_borders_round_trip},
        {"whole floats stay floats", test_msgpack_whole_floats_stay_floats},
        {"floats are read in both widths", test_msgpack_floats_are_read_in_both_widths},
        {"integers as floats are exact or refused",
                test_msgpack_integers_as_floats_are_exact_or_refused},
        {"missing fields and nil are zero", test_msgpack_missing_fields_and_nil_are_zero},
        {"unknown keys and extra elements are skipped",
                test_msgpack_unknown_keys_and_extra_elements_are_skipped},
        {"rows end where their names do", test_msgpack_rows_end_where_their_names_do},
        {"the last of a key counts", test_msgpack_the_last_of_a_key_counts},
        {"limits hold on both ways", test_msgpack_limits_hold_on_both_ways},
        {"bytes are kept as they are", test_msgpack_bytes_are_kept_as_they_are},
        {"announced counts are not believed", test_msgpack_announced_counts_are_not_believed},
        {"depth is bounded", test_msgpack_depth_is_bounded},
        {"nested counts share one budget", test_msgpack_nested_counts_share_one_budget},
        {"memory is bounded by the arena", test_msgpack_memory_is_bounded_by_the_arena},
        {"the arena allocates once", test_msgpack_arena_allocates_once},
        {"a traced command is that of go", test_msgpack_a_traced_command_is_that_of_go},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("msgpack", tests)

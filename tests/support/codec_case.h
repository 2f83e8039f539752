/* SPDX-License-Identifier: MIT */
/*
 * What the tests of every codec do: decode bytes that lie in an allocation of exactly their size,
 * and the checks that do not depend on the format. Include it after the harness.
 */
#ifndef CMDI_TESTS_SUPPORT_CODEC_CASE_H
#define CMDI_TESTS_SUPPORT_CODEC_CASE_H

#include <errno.h>
#include <stdlib.h>

#include "codec/arena.h"
#include "support/harness.h"
#include "support/shop.h"

enum {
    CASE_BODY_MAX = 4096,
    CASE_ARENA_MAX = 1 << 20,
};

#define CASE_BYTES(literal) "" literal, sizeof(literal) - 1

/* Of the codec under test, which the including file has as CASE_CODEC. */
#define OUTCOME(type, literal) case_outcome(&CASE_CODEC, &(type), CASE_BYTES(literal))
#define ACCEPTS(type, literal) CU_ASSERT_EQUAL(OUTCOME(type, literal), (int64_t)sizeof(literal) - 1)
#define REFUSES(type, literal) CU_ASSERT_EQUAL(OUTCOME(type, literal), CMDS_E_PROTO)
#define EXCEEDS(type, literal) CU_ASSERT_EQUAL(OUTCOME(type, literal), CMDS_E_LIMIT)

/* The wire's document writes this one down for each codec, by Go's names. */
struct echo {
    bool flag;
    int64_t number;
    struct cmds_string text;
    double real;
};
CMDS_COMMAND(echo, 0, CMDS_AS(flag, "Bool"), CMDS_AS(number, "Int64"), CMDS_AS(text, "String"),
        CMDS_AS(real, "Float64"));

/*
 * Strings of the value lie in `*exact`, which the caller frees; the arena is small, and its bound a
 * part of the test.
 */
static inline int64_t case_decode(const struct cmds_codec *codec, const struct cmds_type *type,
        struct cmds_bytes bytes, void *value, struct cmds_arena *arena, void **exact)
{
    // A block of its own: a read behind the end is seen by the sanitizer.
    *exact = malloc(bytes.size > 0 ? bytes.size : 1);
    memcpy(*exact, bytes.data, bytes.size);
    memset(value, 0, type->schema->value_size);
    cmdi_arena_init(arena, CASE_ARENA_MAX);
    return codec->decode(codec, type, (struct cmds_bytes){*exact, bytes.size}, arena, value);
}

/* The return value alone. */
static inline int64_t case_outcome(const struct cmds_codec *codec, const struct cmds_type *type,
        const void *bytes, size_t size)
{
    void *value = malloc(type->schema->value_size), *exact = NULL;
    struct cmds_arena arena;
    int64_t used =
            case_decode(codec, type, (struct cmds_bytes){bytes, size}, value, &arena, &exact);
    CU_ASSERT(arena.size <= CASE_ARENA_MAX);
    cmdi_arena_fini(&arena);
    free(exact);
    free(value);
    return used;
}

/* A value of its own: free(). NULL after a refusal. */
static inline void *case_value(const struct cmds_codec *codec, const struct cmds_type *type,
        const void *bytes, size_t size)
{
    void *value = NULL;
    struct cmds_bytes in = {bytes, size};
    return cmds_codec_decode(codec, type, in, &value) == 0 ? value : NULL;
}

/* shop_order_fill() with the map's keys in the order in which some formats write them. */
static inline void case_order_fill(struct shop_order *order)
{
    static const struct cmds_pair labels[] = {
            {CMDS_STRING(""), CMDS_STRING("empty key")}, {CMDS_STRING("k"), CMDS_STRING("v")}};
    shop_order_fill(order);
    order->labels = (struct cmds_map){labels, 2};
}

static inline void case_every_kind_comes_back(const struct cmds_codec *codec)
{
    struct shop_order order;
    uint8_t body[CASE_BODY_MAX];
    case_order_fill(&order);
    for (int zero = 0; zero < 2; zero++) {
        int64_t size = codec->size(codec, &shop_order_type, &order);
        CU_ASSERT_EQUAL(cmds_codec_encode(codec, shop_order_message(&order), body,
                                size > 0 ? (size_t)size - 1 : 0),
                size > 0 ? -ENOBUFS : 0);
        CU_ASSERT_EQUAL_FATAL(
                cmds_codec_encode(codec, shop_order_message(&order), body, sizeof(body)), size);
        struct shop_order *again = case_value(codec, &shop_order_type, body, (size_t)size);
        CU_ASSERT_PTR_NOT_NULL_FATAL(again);
        CU_ASSERT_TRUE(shop_order_equal(&order, again));
        free(again);
        memset(&order, 0, sizeof(order));
    }
}

/* What Go has written is what we write, and reads as the same value. */
static inline void case_go_vector(const struct cmds_codec *codec, const void *vector, size_t size)
{
    struct shop_order order;
    uint8_t body[CASE_BODY_MAX];
    case_order_fill(&order);
    CU_ASSERT_EQUAL_FATAL(cmds_codec_encode(codec, shop_order_message(&order), body, sizeof(body)),
            (int64_t)size);
    CU_ASSERT_EQUAL(memcmp(body, vector, size), 0);
    struct shop_order *again = case_value(codec, &shop_order_type, vector, size);
    CU_ASSERT_PTR_NOT_NULL_FATAL(again);
    CU_ASSERT_TRUE(shop_order_equal(&order, again));
    free(again);
}

/* Any single byte changed: whatever it becomes, no sanitizer may find anything. */
static inline void case_changed_bytes_are_survived(const struct cmds_codec *codec)
{
    struct shop_order order;
    uint8_t body[CASE_BODY_MAX];
    bool open_ended = (codec->flags & CMDS_CODEC_SELF_DELIMITING) != 0;
    case_order_fill(&order);
    int64_t size = cmds_codec_encode(codec, shop_order_message(&order), body, sizeof(body));
    for (int64_t at = 0; at < size; at++) {
        uint8_t kept = body[at];
        for (int value = 0; value < 256; value += 3) {
            body[at] = (uint8_t)value;
            int64_t used = case_outcome(codec, &shop_order_type, body, (size_t)size);
            CU_ASSERT(used == size || used == CMDS_E_PROTO || used == CMDS_E_LIMIT ||
                      (open_ended && used > 0));
        }
        body[at] = kept;
    }
}

/* The writer's own refusals: nothing is written then. */
struct case_limits {
    struct cmds_string text;
    struct cmds_bytes bytes;
    char name[4];
    uint8_t id[2];
    struct cmds_map map;
    CMDS_ARRAY_OF(int16_t) list;
};
CMDS_COMMAND(case_limits, 2, CMDS_MAX(text, 3), CMDS_MAX(bytes, 3), name, id, CMDS_MAX(map, 1),
        CMDS_ARRAY(list));
struct case_list {
    CMDS_ARRAY_OF(struct shop_item) items;
};
CMDS_COMMAND(case_list, 3, CMDS_ARRAY(items, shop_item));
struct case_numbers {
    int64_t i64;
    uint64_t u64;
    int8_t i8;
    uint16_t u16;
    float f32;
    double f64;
    bool flag;
};
CMDS_COMMAND(case_numbers, 4, i64, u64, i8, u16, f32, f64, flag);
CMDS_COMMAND_EMPTY(case_nothing, 5);

static inline void case_writer_refuses(const struct cmds_codec *codec)
{
    static const struct cmds_pair pairs[2] = {
            {CMDS_STRING("a"), CMDS_STRING("b")}, {CMDS_STRING("c"), CMDS_STRING("d")}};
    uint8_t body[64];
#define CASE_REFUSES(outcome, ...)                                                                 \
    CU_ASSERT_EQUAL(                                                                               \
            cmds_codec_encode(codec, case_limits_message(&(struct case_limits){__VA_ARGS__}),      \
                    body, sizeof(body)),                                                           \
            outcome)
    CASE_REFUSES(CMDS_E_LIMIT, .text = CMDS_STRING("four"));
    CASE_REFUSES(CMDS_E_LIMIT, .bytes = {"four", 4});
    CASE_REFUSES(CMDS_E_LIMIT, .name = {'f', 'o', 'u', 'r'});
    CASE_REFUSES(CMDS_E_LIMIT, .map = {pairs, 2});
    CASE_REFUSES(-EINVAL, .text = {NULL, 1});
    CASE_REFUSES(-EINVAL, .bytes = {NULL, 1});
    CASE_REFUSES(-EINVAL, .map = {NULL, 1});
    CASE_REFUSES(-EINVAL, .list = {NULL, 1});
#undef CASE_REFUSES
}

#endif

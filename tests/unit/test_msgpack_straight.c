/* SPDX-License-Identifier: MIT */
/*
 * The straight way through a msgpack value: it takes all that we write ourselves, nothing that is odd, and
 * where it gives up after having taken memory, nothing of that is left.
 */
#include <cmdstream/codec.h>

#include <stdlib.h>

#include "codec/arena.h"
#include "msgpack/msgpack.h"
#include "support/harness.h"
#include "support/shop.h"
#include "support/traced.h"

enum {
    BODY_MAX = 4096,
    ARENA_MAX = 1 << 20,
};

static size_t write_order(const struct shop_order *order, uint8_t *body)
{
    return (size_t)cmds_codec_encode(
            &cmds_codec_msgpack, shop_order_message(order), body, BODY_MAX);
}

static bool is_straight(const uint8_t *body, size_t size, struct shop_order *order)
{
    struct cmds_arena arena;
    memset(order, 0, sizeof(*order));
    cmdi_arena_init(&arena, ARENA_MAX);
    bool taken = cmdi_msgpack_read_straight(
            &shop_order_schema, (struct cmds_bytes){body, size}, &arena, order);
    if (taken) {
        void *copy = cmds_value_copy(&shop_order_schema, order); // What the arena has goes with it.
        CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
        uint8_t again[BODY_MAX];
        CU_ASSERT_EQUAL_FATAL(write_order(copy, again), size);
        CU_ASSERT_EQUAL(memcmp(again, body, size), 0);
        free(copy);
    }
    cmdi_arena_fini(&arena);
    return taken;
}

static void test_msgpack_straight_takes_every_kind_that_we_write(void)
{
    struct shop_order order, again;
    uint8_t body[BODY_MAX];
    shop_order_fill(&order);
    CU_ASSERT_TRUE(is_straight(body, write_order(&order, body), &again));
    memset(&order, 0, sizeof(order));
    CU_ASSERT_TRUE(is_straight(body, write_order(&order, body), &again));
}

static void test_msgpack_straight_takes_integers_at_every_border(void)
{
    struct shop_order order, again;
    uint8_t body[BODY_MAX];
    memset(&order, 0, sizeof(order));
    for (int bit = 0; bit < 64; bit++) {
        for (int near = -2; near <= 2; near++) {
            order.big = (long long)(((uint64_t)1 << bit) + (uint64_t)(int64_t)near);
            order.weight = (size_t)order.big;
            CU_ASSERT_TRUE(is_straight(body, write_order(&order, body), &again));
            CU_ASSERT_EQUAL(again.big, order.big);
            CU_ASSERT_EQUAL(again.weight, order.weight);
        }
    }
}

static void test_msgpack_straight_takes_texts_of_every_length(void)
{
    static const size_t lengths[] = {0, 1, 31, 32, 255, 256, 999, 1000};
    static char text[1000];
    struct shop_order order, again;
    uint8_t body[BODY_MAX];
    memset(&order, 0, sizeof(order));
    memset(text, 'x', sizeof(text));
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        order.note = (struct cmds_string){text, lengths[i]};
        order.invoice = (struct cmds_bytes){text, lengths[i]};
        CU_ASSERT_TRUE(is_straight(body, write_order(&order, body), &again));
    }
}

static void test_msgpack_straight_takes_no_cut_value(void)
{
    struct shop_order order, again;
    uint8_t body[BODY_MAX];
    shop_order_fill(&order);
    size_t size = write_order(&order, body);
    for (size_t cut = 0; cut < size; cut++) {
        uint8_t *exact = malloc(cut + 1); // So that a sanitizer sees a byte too many.
        CU_ASSERT_PTR_NOT_NULL_FATAL(exact);
        memcpy(exact, body, cut);
        CU_ASSERT_FALSE(is_straight(exact, cut, &again));
        free(exact);
    }
    body[size] = 0xc0;
    CU_ASSERT_FALSE(is_straight(body, size + 1, &again)); // Nor one with something behind it.
}

/* An order whose last field is a nil, which is legal and zero, and not what we write. */
static size_t write_odd_order(struct shop_order *order, uint8_t *body)
{
    size_t size = write_order(order, body);
    body[size - 1] = 0xc0;
    order->gift = false;
    return size;
}

static void test_msgpack_what_is_odd_is_read_all_the_same(void)
{
    struct shop_order order, again;
    uint8_t body[BODY_MAX];
    shop_order_fill(&order);
    size_t size = write_odd_order(&order, body);
    CU_ASSERT_FALSE(is_straight(body, size, &again));
    void *value = NULL;
    CU_ASSERT_EQUAL_FATAL(cmds_codec_decode(&cmds_codec_msgpack, &shop_order_type,
                                  (struct cmds_bytes){body, size}, &value),
            0);
    CU_ASSERT_TRUE(shop_order_equal(&order, value));
    free(value);
}

/* The second reading has as much memory as if there had been no first one, and leaves as much behind. */
static void test_msgpack_what_is_odd_costs_its_memory_once(void)
{
    static int64_t coupons[600]; // More than a chunk, in one body.
    struct shop_order order;
    uint8_t body[BODY_MAX];
    struct cmds_arena arenas[2];
    shop_order_fill(&order);
    order.coupons.items = coupons;
    order.coupons.count = sizeof(coupons) / sizeof(coupons[0]);
    struct cmds_bytes in = {body, write_odd_order(&order, body)};
    for (int i = 0; i < 2; i++) {
        cmdi_arena_init(&arenas[i], 3 * CMDI_ARENA_CHUNK_MIN);
        cmdi_arena_begin(&arenas[i], 0, in.size);
        CU_ASSERT_PTR_NOT_NULL(cmdi_arena_alloc(&arenas[i], 64, 8)); // Of somebody else's.
        memset(&order, 0, sizeof(order));
        int64_t used = i == 0 ? cmds_codec_msgpack.decode(&cmds_codec_msgpack, &shop_order_type, in,
                                        &arenas[i], &order)
                              : cmdi_msgpack_read(&shop_order_schema, in, &arenas[i], &order);
        CU_ASSERT_EQUAL(used, (int64_t)in.size);
        CU_ASSERT_EQUAL(order.coupons.count, 600);
    }
    CU_ASSERT_EQUAL(arenas[0].size, arenas[1].size);
    CU_ASSERT_EQUAL(arenas[0].used, arenas[1].used);
    CU_ASSERT_EQUAL(arenas[0].at - arenas[0].base, arenas[1].at - arenas[1].base);
    cmdi_arena_fini(&arenas[0]);
    cmdi_arena_fini(&arenas[1]);
}

/* --- Traced commands, whose carrier has a way of its own ---------------------------------------- */

static size_t write_traced(uint8_t *body)
{
    const struct cmds_pair pair = {CMDS_STRING("traceparent"), CMDS_STRING(TRACED_PARENT)};
    const struct sum_traced sum = {{true, {&pair, 1}}, {2, 300}};
    return (size_t)cmds_codec_encode(
            &cmds_codec_msgpack, (struct cmds_message){&sum_traced_type, &sum}, body, BODY_MAX);
}

static bool traced_equal(const struct sum_traced *a, const struct sum_traced *b)
{
    bool same = a->MapCarrier.has == b->MapCarrier.has &&
                a->MapCarrier.value.count == b->MapCarrier.value.count && a->Cmd.A == b->Cmd.A &&
                a->Cmd.B == b->Cmd.B;
    for (size_t i = 0; same && i < a->MapCarrier.value.count; i++) {
        const struct cmds_pair *one = &a->MapCarrier.value.items[i];
        const struct cmds_pair *other = &b->MapCarrier.value.items[i];
        same = cmds_string_equal(one->key, other->key) &&
               cmds_string_equal(one->value, other->value);
    }
    return same;
}

/* By the way of all others it is the same value or the same error, and takes as much memory. */
static bool is_read_alike(struct cmds_bytes in)
{
    struct cmds_arena arenas[2];
    struct sum_traced sums[2];
    int64_t used[2];
    memset(sums, 0, sizeof(sums));
    for (int i = 0; i < 2; i++) {
        cmdi_arena_init(&arenas[i], ARENA_MAX);
        cmdi_arena_begin(&arenas[i], 0, in.size);
        used[i] = i == 0 ? cmds_codec_msgpack.decode(
                                   &cmds_codec_msgpack, &sum_traced_type, in, &arenas[i], &sums[i])
                         : cmdi_msgpack_read(&sum_traced_schema, in, &arenas[i], &sums[i]);
    }
    bool alike = used[0] == used[1] && (used[0] < 0 || traced_equal(&sums[0], &sums[1]));
    alike = alike &&
            (used[0] < 0 || arenas[0].at - arenas[0].base == arenas[1].at - arenas[1].base);
    cmdi_arena_fini(&arenas[0]);
    cmdi_arena_fini(&arenas[1]);
    return alike;
}

static void test_msgpack_straight_takes_a_traced_command(void)
{
    struct cmds_arena arena;
    struct sum_traced sum;
    uint8_t body[BODY_MAX];
    size_t size = write_traced(body);
    memset(&sum, 0, sizeof(sum));
    cmdi_arena_init(&arena, ARENA_MAX);
    CU_ASSERT_TRUE(cmdi_msgpack_read_straight(
            &sum_traced_schema, (struct cmds_bytes){body, size}, &arena, &sum));
    CU_ASSERT_TRUE(sum.MapCarrier.has);
    CU_ASSERT_EQUAL_FATAL(sum.MapCarrier.value.count, 1);
    CU_ASSERT_TRUE(
            cmds_string_equal(sum.MapCarrier.value.items[0].key, cmds_string_from("traceparent")));
    CU_ASSERT_TRUE(cmds_string_equal(
            sum.MapCarrier.value.items[0].value, cmds_string_from(TRACED_PARENT)));
    CU_ASSERT_EQUAL(sum.Cmd.A, 2);
    CU_ASSERT_EQUAL(sum.Cmd.B, 300);
    cmdi_arena_fini(&arena);
}

static void test_msgpack_whatever_only_looks_like_a_carrier_is_read_as_others(void)
{
    uint8_t body[BODY_MAX];
    size_t size = write_traced(body);
    uint32_t wrong = 0;
    for (size_t at = 0; at < size; at++) {
        const uint8_t was = body[at];
        for (int byte = 0; byte <= UINT8_MAX; byte++) {
            body[at] = (uint8_t)byte;
            wrong += !is_read_alike((struct cmds_bytes){body, size});
        }
        body[at] = was;
    }
    for (size_t cut = 0; cut <= size + 1; cut++) {
        uint8_t *exact = malloc(cut + 1); // So that a sanitizer sees a byte too many.
        CU_ASSERT_PTR_NOT_NULL_FATAL(exact);
        memcpy(exact, body, cut);
        wrong += !is_read_alike((struct cmds_bytes){exact, cut});
        free(exact);
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

static CU_TestInfo tests[] = {
        {"straight takes every kind that we write",
                test_msgpack_straight_takes_every_kind_that_we_write},
        {"straight takes integers at every border",
                test_msgpack_straight_takes_integers_at_every_border},
        {"straight takes texts of every length", test_msgpack_straight_takes_texts_of_every_length},
        {"straight takes no cut value", test_msgpack_straight_takes_no_cut_value},
        {"what is odd is read all the same", test_msgpack_what_is_odd_is_read_all_the_same},
        {"what is odd costs its memory once", test_msgpack_what_is_odd_costs_its_memory_once},
        {"straight takes a traced command", test_msgpack_straight_takes_a_traced_command},
        {"whatever only looks like a carrier is read as others",
                test_msgpack_whatever_only_looks_like_a_carrier_is_read_as_others},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("msgpack_straight", tests)

/* SPDX-License-Identifier: MIT */
/*
 * The deep copy. It must be one block, equal to what was copied, and independent of it; the room it
 * needs is told exactly.
 */
#include "codec/value.h"

#include <stdlib.h>

#include <cmdstream/client.h>

#include "codec/arena.h"
#include "support/harness.h"
#include "support/shop.h"

static bool lies_in(const void *data, const void *block, size_t size)
{
    uintptr_t at = (uintptr_t)data;
    return data == NULL || (at >= (uintptr_t)block && at <= (uintptr_t)block + size);
}

static void test_value_copy_is_equal_and_in_one_block(void)
{
    struct shop_order order;
    shop_order_fill(&order);
    size_t size = cmdi_value_copy_size(&shop_order_schema, &order);

    struct shop_order *copy = cmds_value_copy(&shop_order_schema, &order);

    CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
    CU_ASSERT_TRUE(shop_order_equal(&order, copy));
    CU_ASSERT_TRUE(lies_in(copy->note.data, copy, size));
    CU_ASSERT_TRUE(lies_in(copy->billing.value.street.data, copy, size));
    CU_ASSERT_TRUE(lies_in(copy->hint.value.data, copy, size));
    CU_ASSERT_TRUE(lies_in(copy->items.items, copy, size));
    for (size_t i = 0; i < copy->tags.count; i++) {
        CU_ASSERT_TRUE(lies_in(copy->tags.items[i].data, copy, size));
    }
    for (size_t i = 0; i < copy->labels.count; i++) {
        CU_ASSERT_TRUE(lies_in(copy->labels.items[i].key.data, copy, size));
        CU_ASSERT_TRUE(lies_in(copy->labels.items[i].value.data, copy, size));
    }
    CU_ASSERT_EQUAL((uintptr_t)copy->items.items % _Alignof(struct shop_item), 0);
    free(copy);
}

static void test_value_copy_survives_the_original(void)
{
    char text[] = "borrowed";
    struct shop_order order = {.note = {text, 8}}, expected = {.note = CMDS_STRING("borrowed")};

    struct shop_order *copy = cmds_value_copy(&shop_order_schema, &order);
    memset(text, '!', sizeof(text));

    CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
    CU_ASSERT_TRUE(shop_order_equal(copy, &expected));
    free(copy);
}

/* The text too: what cmds_sender_send_multi() shows has left its connection long ago. */
static void test_value_copy_of_a_result_survives_the_original(void)
{
    char text[] = "borrowed";
    struct shop_order order = {.note = {text, 8}}, expected = {.note = CMDS_STRING("borrowed")};
    struct cmds_type type = {.schema = &shop_order_schema};
    struct cmds_result result = {.last = true, .type = &type, .value = &order, .text = text};

    struct cmds_result *copy = cmds_result_copy(&result);
    memset(text, '!', sizeof(text) - 1);

    CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
    CU_ASSERT_STRING_EQUAL(copy->text, "borrowed");
    CU_ASSERT_TRUE(shop_order_equal(copy->value, &expected));
    cmds_result_free(copy);
    CU_ASSERT_PTR_NULL(cmds_result_copy(NULL));
}

static void test_value_copy_into_needs_exactly_what_it_says(void)
{
    struct shop_order order;
    shop_order_fill(&order);
    size_t size = cmdi_value_copy_size(&shop_order_schema, &order);
    void *block = malloc(size);

    for (size_t less = 0; less < size; less += 7) {
        void *small = malloc(less + 1);
        CU_ASSERT_PTR_NULL(cmdi_value_copy_into(&shop_order_schema, &order, small, less));
        free(small);
    }
    CU_ASSERT_PTR_NULL(cmdi_value_copy_into(&shop_order_schema, &order, block, size - 1));
    CU_ASSERT_PTR_EQUAL_FATAL(cmdi_value_copy_into(&shop_order_schema, &order, block, size), block);
    CU_ASSERT_TRUE(shop_order_equal(&order, block));
    free(block);
}

static void test_value_copy_of_zero_is_the_struct_alone(void)
{
    struct shop_order order = {0};

    CU_ASSERT_EQUAL(cmdi_value_copy_size(&shop_order_schema, &order), sizeof(order));
    struct shop_order *copy = cmds_value_copy(&shop_order_schema, &order);
    CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
    CU_ASSERT_TRUE(shop_order_equal(&order, copy));
    free(copy);
}

/* What an absent optional points to was never set: nobody may look. */
static void test_value_copy_leaves_absent_optionals_alone(void)
{
    struct shop_order order = {0};
    order.hint.value = (struct cmds_string){(const char *)16, 1000};
    order.billing.value.street = (struct cmds_string){(const char *)16, 1000};

    CU_ASSERT_EQUAL(cmdi_value_copy_size(&shop_order_schema, &order), sizeof(order));
}

static void test_value_copy_refuses_what_cannot_be(void)
{
    struct shop_order order = {0};
    order.items.items = (const struct shop_item *)16;
    order.items.count = SIZE_MAX / 8;
    CU_ASSERT_EQUAL(cmdi_value_copy_size(&shop_order_schema, &order), SIZE_MAX);
    CU_ASSERT_PTR_NULL(cmds_value_copy(&shop_order_schema, &order));
}

/* --- The arena -------------------------------------------------------------------------------- */

static void test_value_arena_aligns_and_keeps_apart(void)
{
    struct cmds_arena arena;
    cmdi_arena_init(&arena, 1 << 20);
    uint8_t *last_end = NULL;
    for (size_t align = 1; align <= 16; align *= 2) {
        for (size_t size = 0; size < 40; size++) {
            uint8_t *at = cmds_arena_alloc(&arena, size, align);
            CU_ASSERT_PTR_NOT_NULL_FATAL(at);
            CU_ASSERT_EQUAL((uintptr_t)at % align, 0);
            CU_ASSERT(
                    last_end == NULL || at >= last_end || arena.chunk == NULL || at == arena.base);
            memset(at, 0xaa, size);
            last_end = at + size;
        }
    }
    cmdi_arena_fini(&arena);
    cmdi_arena_fini(&arena); // Twice is fine.
}

static void test_value_arena_holds_its_bound(void)
{
    struct cmds_arena arena;
    cmdi_arena_init(&arena, 10000);

    CU_ASSERT_PTR_NULL(cmds_arena_alloc(&arena, 10001, 1));
    CU_ASSERT_PTR_NULL(cmds_arena_alloc(&arena, SIZE_MAX, 16));
    size_t taken = 0;
    while (cmds_arena_alloc(&arena, 100, 4) != NULL) {
        taken += 100;
        CU_ASSERT_FATAL(taken <= 10000);
    }
    CU_ASSERT(taken > 8000);
    CU_ASSERT(arena.size <= 10000);
    CU_ASSERT_FALSE(arena.no_memory);
    cmdi_arena_fini(&arena);
}

/* A value has its own size, a chunk that is kept, and 64 bytes for each byte that it came in; and not one more. */
static void test_value_arena_pays_for_a_value_by_its_bytes(void)
{
    enum {
        VALUE = 65536,
        IN = 1024,
        ALL = VALUE + CMDI_ARENA_USE_MIN + IN * CMDI_ARENA_USE_FACTOR,
    };
    struct cmds_arena arena;
    for (size_t more = 0; more <= 16; more += 16) {
        cmdi_arena_init(&arena, 1 << 24);
        cmdi_arena_begin(&arena, VALUE, IN);
        CU_ASSERT_PTR_NOT_NULL(cmdi_arena_first(&arena, VALUE));
        void *rest = cmdi_arena_alloc(&arena, ALL - VALUE + more, 16);
        CU_ASSERT_EQUAL(rest != NULL, more == 0);
        cmdi_arena_fini(&arena);
    }
}

/* What is first fills a chunk to its end, or gets another one. */
static void test_value_arena_has_room_for_what_is_first(void)
{
    struct cmds_arena arena;
    cmdi_arena_init(&arena, 1 << 20);
    for (size_t size = CMDI_ARENA_CHUNK_MIN - 1; size <= CMDI_ARENA_CHUNK_MIN + 1; size++) {
        cmdi_arena_begin(&arena, 16, 0);
        CU_ASSERT_PTR_NOT_NULL(cmdi_arena_first(&arena, 16)); // The chunk is there.
        cmdi_arena_begin(&arena, size, 0);
        uint8_t *first = cmdi_arena_first(&arena, size);
        CU_ASSERT_PTR_NOT_NULL_FATAL(first);
        CU_ASSERT_EQUAL((uintptr_t)first % 16, 0);
        memset(first, 1, size);
        uint8_t *next = cmdi_arena_alloc(&arena, 1, 1);
        CU_ASSERT(next != NULL && (next < first || next >= first + size));
    }
    cmdi_arena_fini(&arena);
}

static void test_value_arena_is_warm_after_one_value(void)
{
    if (CMDI_POOLS_KEEP_NOTHING) {
        return; // In such a build there is nothing to be found again.
    }
    struct cmds_arena arena;
    cmdi_arena_init(&arena, 1 << 20);
    CU_ASSERT_EQUAL(arena.size, 0); // Nothing before the first use.
    for (int i = 0; i < 30; i++) {
        CU_ASSERT_PTR_NOT_NULL(cmds_arena_alloc(&arena, 1000, 8));
    }
    cmdi_arena_reset(&arena);
    size_t warm = arena.size;
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 15; i++) {
            CU_ASSERT_PTR_NOT_NULL(cmds_arena_alloc(&arena, 1000, 8));
        }
        CU_ASSERT_EQUAL(arena.size, warm);
        cmdi_arena_reset(&arena);
    }
    cmdi_arena_fini(&arena);
}

static void test_value_arena_gives_a_large_chunk_back(void)
{
    if (CMDI_POOLS_KEEP_NOTHING) {
        return; // In such a build there is nothing to be found again.
    }
    struct cmds_arena arena;
    cmdi_arena_init(&arena, 1 << 20);
    CU_ASSERT_PTR_NOT_NULL(cmds_arena_alloc(&arena, 500000, 8));
    cmdi_arena_reset(&arena);
    CU_ASSERT(arena.size >= 500000); // The next one may be as large.
    for (int i = 0; i < 2 * CMDI_ARENA_CALM_COUNT; i++) {
        CU_ASSERT_PTR_NOT_NULL(cmds_arena_alloc(&arena, 100, 8));
        cmdi_arena_reset(&arena);
    }
    CU_ASSERT(arena.size <= CMDI_ARENA_KEEP_MAX);
    cmdi_arena_fini(&arena);
}

static CU_TestInfo tests[] = {
        {"is equal and in one block", test_value_copy_is_equal_and_in_one_block},
        {"survives the original", test_value_copy_survives_the_original},
        {"of a result survives the original", test_value_copy_of_a_result_survives_the_original},
        {"into needs exactly what it says", test_value_copy_into_needs_exactly_what_it_says},
        {"of zero is the struct alone", test_value_copy_of_zero_is_the_struct_alone},
        {"leaves absent optionals alone", test_value_copy_leaves_absent_optionals_alone},
        {"refuses what cannot be", test_value_copy_refuses_what_cannot_be},
        {"arena aligns and keeps apart", test_value_arena_aligns_and_keeps_apart},
        {"arena holds its bound", test_value_arena_holds_its_bound},
        {"arena pays for a value by its bytes", test_value_arena_pays_for_a_value_by_its_bytes},
        {"arena has room for what is first", test_value_arena_has_room_for_what_is_first},
        {"arena is warm after one value", test_value_arena_is_warm_after_one_value},
        {"arena gives a large chunk back", test_value_arena_gives_a_large_chunk_back},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("value_copy", tests)

/* SPDX-License-Identifier: MIT */
/*
 * Object pools. Two objects could overlap, be misaligned for what they hold, or be handed out twice
 * after a growth; a trim could take one that lives, or give nothing back.
 */
#include "base/pool.h"

#include <stdlib.h>
#include <string.h>

#include "support/harness.h"

enum {
    COUNT = 3000
};

/* More objects than one chunk has: each filled with its own number must keep it. */
static void expect_apart(size_t item_size)
{
    struct cmdi_pool pool;
    unsigned char **items = calloc(COUNT, sizeof(*items));
    uint32_t wrong = 0;
    CU_ASSERT_PTR_NOT_NULL_FATAL(items);
    cmdi_pool_init(&pool, item_size);
    CU_ASSERT_TRUE(CMDI_POOLS_KEEP_NOTHING || pool.chunks == NULL); // Nothing yet.

    for (uint32_t i = 0; i < COUNT; i++) {
        items[i] = cmdi_pool_acquire(&pool);
        CU_ASSERT_PTR_NOT_NULL_FATAL(items[i]);
        wrong += ((uintptr_t)items[i] & 15) != 0;
        memset(items[i], (int)(i % 251), item_size);
    }
    CU_ASSERT_EQUAL(pool.live, COUNT);
    for (uint32_t i = 0; i < COUNT; i++) {
        wrong += items[i][0] != i % 251 || items[i][item_size - 1] != i % 251;
        cmdi_pool_release(&pool, items[i]);
    }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_EQUAL(pool.live, 0);

    cmdi_pool_fini(&pool);
    free(items);
}

static void test_pool_objects_lie_apart_and_aligned(void)
{
    expect_apart(1);
    expect_apart(8);
    expect_apart(16);
    expect_apart(17);
    expect_apart(100);
    expect_apart(70000); // Larger than a chunk: one a chunk.
}

static void test_pool_objects_of_whole_lines_begin_with_a_line(void)
{
    if (CMDI_POOLS_KEEP_NOTHING) {
        return;
    }
    static const size_t sizes[] = {64, 448, 128 * 1024};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct cmdi_pool pool;
        cmdi_pool_init(&pool, sizes[i]);
        for (uint32_t k = 0; k < 3; k++) {
            CU_ASSERT_EQUAL((uintptr_t)cmdi_pool_acquire(&pool) % 64, 0);
        }
        cmdi_pool_fini(&pool);
    }
}

static void test_pool_the_last_released_is_the_next_acquired(void)
{
    if (CMDI_POOLS_KEEP_NOTHING) {
        return;
    }
    struct cmdi_pool pool;
    cmdi_pool_init(&pool, 40);
    void *a = cmdi_pool_acquire(&pool);
    void *b = cmdi_pool_acquire(&pool);

    cmdi_pool_release(&pool, a);
    cmdi_pool_release(&pool, b);

    CU_ASSERT_PTR_EQUAL(cmdi_pool_acquire(&pool), b);
    CU_ASSERT_PTR_EQUAL(cmdi_pool_acquire(&pool), a);
    cmdi_pool_fini(&pool);
}

static void test_pool_does_not_grow_while_it_has_free_objects(void)
{
    if (CMDI_POOLS_KEEP_NOTHING) {
        return;
    }
    struct cmdi_pool pool;
    cmdi_pool_init(&pool, 64);
    for (uint32_t i = 0; i < pool.items_per_chunk; i++) {
        CU_ASSERT_PTR_NOT_NULL(cmdi_pool_acquire(&pool));
    }
    struct cmdi_pool_item *chunk = pool.chunks;
    CU_ASSERT_PTR_NULL(pool.free);
    CU_ASSERT_PTR_NULL(chunk->next);

    void *one_more = cmdi_pool_acquire(&pool);
    CU_ASSERT_PTR_NOT_NULL(one_more);
    CU_ASSERT_PTR_EQUAL(pool.chunks->next, chunk);
    cmdi_pool_release(&pool, one_more);
    CU_ASSERT_PTR_EQUAL(cmdi_pool_acquire(&pool), one_more);
    CU_ASSERT_PTR_EQUAL(pool.chunks->next, chunk);
    cmdi_pool_fini(&pool);
}

/* Objects that live stay where they are, and what is given back is exactly what is free. */
static void test_pool_trim_gives_free_chunks_back(void)
{
    if (CMDI_POOLS_KEEP_NOTHING) {
        return;
    }
    struct cmdi_account account;
    struct cmdi_pool pool;
    unsigned char **items = calloc(COUNT, sizeof(*items));
    CU_ASSERT_PTR_NOT_NULL_FATAL(items);
    cmdi_account_init(&account, 1 << 30);
    cmdi_pool_init(&pool, 300);
    cmdi_pool_charge_to(&pool, &account);
    for (uint32_t i = 0; i < COUNT; i++) {
        items[i] = cmdi_pool_acquire(&pool);
        CU_ASSERT_PTR_NOT_NULL_FATAL(items[i]);
        memset(items[i], (int)(i % 251), 300);
    }
    uint64_t full = account.size;
    CU_ASSERT(full >= COUNT * 300);

    for (uint32_t i = 0; i < COUNT; i++) {
        if (i % 1000 != 7) { // Three stay.
            cmdi_pool_release(&pool, items[i]);
        }
    }
    CU_ASSERT_EQUAL(account.size, full); // Not by itself.
    cmdi_account_trim(&account);
    CU_ASSERT(account.size > 0 && account.size <= 3 * 65536);

    uint64_t small = account.size;
    for (uint32_t i = 0; i < pool.items_per_chunk * 2; i++) { // What is free is handed out still.
        unsigned char *item = cmdi_pool_acquire(&pool);
        CU_ASSERT_PTR_NOT_NULL_FATAL(item);
        memset(item, 255, 300);
    }
    CU_ASSERT_EQUAL(account.size, small);
    for (uint32_t i = 7; i < COUNT; i += 1000) {
        CU_ASSERT_EQUAL(items[i][0], i % 251);
        CU_ASSERT_EQUAL(items[i][299], i % 251);
    }
    cmdi_pool_fini(&pool);
    CU_ASSERT_EQUAL(account.size, 0);
    CU_ASSERT_TRUE(cmdi_list_empty(&account.trims));
    free(items);
}

/* A few objects hold all chunks: looking for free ones every time would only cost. */
static void test_pool_trim_in_vain_becomes_seldom(void)
{
    if (CMDI_POOLS_KEEP_NOTHING) {
        return;
    }
    struct cmdi_pool pool;
    uint32_t chunk_count = 40, looks = 0;
    cmdi_pool_init(&pool, 64);
    void **items = calloc((size_t)chunk_count * pool.items_per_chunk, sizeof(*items));
    CU_ASSERT_PTR_NOT_NULL_FATAL(items);
    for (uint32_t i = 0; i < chunk_count * pool.items_per_chunk; i++) {
        items[i] = cmdi_pool_acquire(&pool);
        CU_ASSERT_PTR_NOT_NULL_FATAL(items[i]);
    }
    for (uint32_t i = 0; i < chunk_count * pool.items_per_chunk; i++) {
        if (i % pool.items_per_chunk != 0) {
            cmdi_pool_release(&pool, items[i]);
        }
    }
    for (uint32_t i = 0; i < 100; i++) {
        cmdi_pool_trim(&pool);
        looks += pool.trims_skipped == 0;
    }
    CU_ASSERT(looks >= 2 && looks <= 8);
    free(items);
    cmdi_pool_fini(&pool);
}

static void test_pool_at_the_bound_of_its_account(void)
{
    struct cmdi_account account;
    struct cmdi_pool pool;
    uint32_t count = 0;
    cmdi_account_init(&account, 200 * 1024);
    cmdi_pool_init(&pool, 1000);
    cmdi_pool_charge_to(&pool, &account);

    while (count < COUNT && cmdi_pool_acquire(&pool) != NULL) {
        count++;
    }
    CU_ASSERT(count > 100 && count < 205);
    CU_ASSERT(account.size <= 200 * 1024);
    CU_ASSERT_TRUE(account.refused);

    cmdi_pool_leave(&pool); // Nobody counts any more, and there is no bound.
    CU_ASSERT_EQUAL(account.size, 0);
    CU_ASSERT_PTR_NOT_NULL(cmdi_pool_acquire(&pool));
    CU_ASSERT_EQUAL(account.size, 0);
    cmdi_pool_fini(&pool);
}

static void test_pool_fini_takes_a_zeroed_and_a_finished_pool(void)
{
    struct cmdi_pool zeroed = {0};
    struct cmdi_pool pool;
    cmdi_pool_init(&pool, 32);
    CU_ASSERT_PTR_NOT_NULL(cmdi_pool_acquire(&pool)); // Still held: its memory goes all the same.

    cmdi_pool_fini(&zeroed);
    cmdi_pool_fini(&pool);
    cmdi_pool_fini(&pool);

    CU_ASSERT_PTR_NULL(pool.chunks);
    CU_ASSERT_EQUAL(pool.live, 0);
}

static CU_TestInfo tests[] = {
        {"objects lie apart and aligned", test_pool_objects_lie_apart_and_aligned},
        {"objects of whole lines begin with a line",
                test_pool_objects_of_whole_lines_begin_with_a_line},
        {"the last released is the next acquired",
                test_pool_the_last_released_is_the_next_acquired},
        {"does not grow while it has free objects",
                test_pool_does_not_grow_while_it_has_free_objects},
        {"trim gives free chunks back", test_pool_trim_gives_free_chunks_back},
        {"trim in vain becomes seldom", test_pool_trim_in_vain_becomes_seldom},
        {"at the bound of its account", test_pool_at_the_bound_of_its_account},
        {"fini takes a zeroed and a finished pool",
                test_pool_fini_takes_a_zeroed_and_a_finished_pool},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("pool", tests)

/* SPDX-License-Identifier: MIT */
/*
 * Leased buffers. A class could be too small for what was asked, a return could go to another class
 * than the lease came from, and either limit (leased, kept) could be passed by one.
 */
#include "shard/buffers.h"

#include <string.h>

#include "base/pool.h"
#include "support/harness.h"

#define KIB (size_t)1024
#define MIB (1024 * KIB)

static void expect_capacity(struct cmdi_buffers *buffers, size_t size, size_t wanted)
{
    size_t capacity = 0;
    uint8_t *data = cmdi_buffers_lease(buffers, size, &capacity);
    CU_ASSERT_PTR_NOT_NULL_FATAL(data);
    CU_ASSERT_EQUAL(capacity, wanted);
    CU_ASSERT_EQUAL(buffers->leased_size, capacity);
    memset(data, 0x5a, capacity); // All of it is ours.
    cmdi_buffers_return(buffers, data, capacity);
    CU_ASSERT_EQUAL(buffers->leased_size, 0);
}

static void test_buffers_lease_rounds_up_to_a_power_of_two(void)
{
    struct cmdi_buffers buffers;
    cmdi_buffers_init(&buffers, 64 * MIB);

    expect_capacity(&buffers, 0, 4 * KIB);
    expect_capacity(&buffers, 1, 4 * KIB);
    for (size_t room = 4 * KIB; room <= 16 * MIB; room *= 2) {
        expect_capacity(&buffers, room - 1, room);
        expect_capacity(&buffers, room, room);
        expect_capacity(&buffers, room + 1, 2 * room);
    }

    cmdi_buffers_fini(&buffers);
}

static void test_buffers_the_last_returned_is_the_next_leased(void)
{
    if (CMDI_POOLS_KEEP_NOTHING) {
        return; // In such a build there is nothing to be found again.
    }
    struct cmdi_buffers buffers;
    size_t capacity = 0;
    cmdi_buffers_init(&buffers, 1 * MIB);
    uint8_t *a = cmdi_buffers_lease(&buffers, 100, &capacity);
    uint8_t *b = cmdi_buffers_lease(&buffers, 100, &capacity);
    CU_ASSERT_PTR_NOT_EQUAL(a, b);

    cmdi_buffers_return(&buffers, a, capacity);
    cmdi_buffers_return(&buffers, b, capacity);
    CU_ASSERT_EQUAL(buffers.kept_size, 8 * KIB);

    CU_ASSERT_PTR_EQUAL(cmdi_buffers_lease(&buffers, 4096, &capacity), b);
    CU_ASSERT_PTR_EQUAL(cmdi_buffers_lease(&buffers, 1, &capacity), a);
    CU_ASSERT_EQUAL(buffers.kept_size, 0);
    cmdi_buffers_return(&buffers, a, capacity);
    cmdi_buffers_return(&buffers, b, capacity);
    cmdi_buffers_return(&buffers, NULL, 0);
    cmdi_buffers_fini(&buffers);
    CU_ASSERT_EQUAL(buffers.kept_size, 0);
}

static void test_buffers_classes_do_not_mix(void)
{
    if (CMDI_POOLS_KEEP_NOTHING) {
        return; // In such a build there is nothing to be found again.
    }
    struct cmdi_buffers buffers;
    size_t small = 0;
    size_t large = 0;
    cmdi_buffers_init(&buffers, 1 * MIB);
    uint8_t *a = cmdi_buffers_lease(&buffers, 4 * KIB, &small);
    uint8_t *b = cmdi_buffers_lease(&buffers, 4 * KIB + 1, &large);
    cmdi_buffers_return(&buffers, a, small);
    cmdi_buffers_return(&buffers, b, large);

    CU_ASSERT_PTR_EQUAL(cmdi_buffers_lease(&buffers, 8 * KIB, &large), b);
    CU_ASSERT_PTR_EQUAL(cmdi_buffers_lease(&buffers, 4 * KIB, &small), a);

    cmdi_buffers_return(&buffers, a, small);
    cmdi_buffers_return(&buffers, b, large);
    cmdi_buffers_fini(&buffers);
}

static void test_buffers_the_limit_holds_to_the_byte(void)
{
    struct cmdi_buffers buffers;
    size_t capacity = 0;
    cmdi_buffers_init(&buffers, 12 * KIB);
    uint8_t *a = cmdi_buffers_lease(&buffers, 8 * KIB, &capacity);
    CU_ASSERT_PTR_NOT_NULL_FATAL(a);

    size_t untouched = 7;
    CU_ASSERT_PTR_NULL(cmdi_buffers_lease(&buffers, 4 * KIB + 1, &untouched));
    CU_ASSERT_EQUAL(untouched, 7);
    CU_ASSERT_EQUAL(buffers.leased_size, 8 * KIB);
    size_t small = 0;
    uint8_t *b = cmdi_buffers_lease(&buffers, 4 * KIB, &small);
    CU_ASSERT_PTR_NOT_NULL(b);
    CU_ASSERT_PTR_NULL(cmdi_buffers_lease(&buffers, 0, &untouched));

    cmdi_buffers_return(&buffers, a, capacity);
    cmdi_buffers_return(&buffers, b, small);
    uint8_t *c = cmdi_buffers_lease(&buffers, 8 * KIB, &capacity); // What is kept does not count.
    CU_ASSERT_PTR_NOT_NULL(c);
    cmdi_buffers_return(&buffers, c, capacity);
    cmdi_buffers_fini(&buffers);
}

static void test_buffers_absurd_sizes_are_refused(void)
{
    struct cmdi_buffers buffers;
    size_t capacity = 0;
    cmdi_buffers_init(&buffers, UINT64_MAX);

    CU_ASSERT_PTR_NULL(cmdi_buffers_lease(&buffers, SIZE_MAX, &capacity));
    CU_ASSERT_PTR_NULL(cmdi_buffers_lease(&buffers, SIZE_MAX / 2 + 2, &capacity));
    CU_ASSERT_EQUAL(buffers.leased_size, 0);
    cmdi_buffers_fini(&buffers);
}

static void test_buffers_keeps_no_more_than_its_share(void)
{
    if (CMDI_POOLS_KEEP_NOTHING) {
        return; // In such a build there is nothing to be found again.
    }
    struct cmdi_buffers buffers;
    uint8_t *leased[6];
    size_t capacity = 0;
    cmdi_buffers_init(&buffers, 64 * MIB);
    for (int i = 0; i < 6; i++) {
        leased[i] = cmdi_buffers_lease(&buffers, 4 * MIB, &capacity);
        CU_ASSERT_PTR_NOT_NULL_FATAL(leased[i]);
    }

    for (int i = 0; i < 6; i++) {
        cmdi_buffers_return(&buffers, leased[i], capacity);
    }
    CU_ASSERT_EQUAL(buffers.kept_size, 16 * MIB);

    uint8_t *larger = cmdi_buffers_lease(&buffers, 4 * MIB + 1, &capacity);
    cmdi_buffers_trim(&buffers);
    CU_ASSERT_EQUAL(buffers.kept_size, 0);
    cmdi_buffers_return(&buffers, larger, capacity);
    CU_ASSERT_EQUAL(buffers.kept_size, 0); // Beyond the last class: nothing is kept.
    CU_ASSERT_EQUAL(buffers.leased_size, 0);
    cmdi_buffers_fini(&buffers);
}

static CU_TestInfo tests[] = {
        {"lease rounds up to a power of two", test_buffers_lease_rounds_up_to_a_power_of_two},
        {"the last returned is the next leased", test_buffers_the_last_returned_is_the_next_leased},
        {"classes do not mix", test_buffers_classes_do_not_mix},
        {"the limit holds to the byte", test_buffers_the_limit_holds_to_the_byte},
        {"absurd sizes are refused", test_buffers_absurd_sizes_are_refused},
        {"keeps no more than its share", test_buffers_keeps_no_more_than_its_share},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("buffers", tests)

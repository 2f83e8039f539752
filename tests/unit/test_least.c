/* SPDX-License-Identifier: MIT */
/*
 * The rows of the least keys. What may go wrong: a smaller key finds no row, two have one, a row is lost.
 */
#include "base/least.h"

#include <string.h>

#include "support/harness.h"

enum {
    KEYS = 100,
    ROWS = 7,
};

/* `keys` are those of 0 to KEYS - 1 in some order, perhaps each twice. */
static void least_of(const uint64_t *keys, size_t count, size_t max)
{
    uint64_t rows[KEYS] = {0};
    bool seen[KEYS] = {false};
    struct cmdi_least least;
    CU_ASSERT_EQUAL_FATAL(cmdi_least_init(&least, max), 0);
    for (size_t i = 0; i < count; i++) {
        size_t row = KEYS;
        if (cmdi_least_take(&least, keys[i], &row)) {
            CU_ASSERT_FATAL(row < max);
            rows[row] = keys[i];
        }
    }
    CU_ASSERT_EQUAL(least.count, count < max ? count : max);
    for (size_t i = 0; i < least.count; i++) {
        CU_ASSERT(rows[i] < max && !seen[rows[i]]);
        seen[rows[i]] = true;
    }
    cmdi_least_fini(&least);
}

static void test_least_keeps_the_least_in_whatever_order_they_come(void)
{
    uint64_t keys[KEYS];
    for (size_t step = 1; step < KEYS;
            step += 2) { // With 100 all odd ones but 5 and its multiples reach each.
        for (size_t i = 0; i < KEYS && step % 5 != 0; i++) {
            keys[i] = i * step % KEYS;
        }
        for (size_t max = 0; max <= ROWS && step % 5 != 0; max++) {
            least_of(keys, KEYS, max);
        }
    }
    for (size_t i = 0; i < KEYS; i++) {
        keys[i] = KEYS - 1 - i;
    }
    least_of(keys, KEYS, ROWS);
}

static void test_least_has_a_row_for_each_as_long_as_there_is_one(void)
{
    const uint64_t keys[] = {3, 0, 2, 1};
    least_of(keys, 4, 4);
    least_of(keys + 1, 1, ROWS);
    least_of(keys, 0, ROWS);
}

static void test_least_leaves_who_was_first_among_equals(void)
{
    struct cmdi_least least;
    size_t row = KEYS;
    CU_ASSERT_EQUAL_FATAL(cmdi_least_init(&least, 1), 0);
    CU_ASSERT(cmdi_least_take(&least, 5, &row));
    CU_ASSERT_FALSE(cmdi_least_take(&least, 5, &row));
    CU_ASSERT(cmdi_least_take(&least, 4, &row));
    CU_ASSERT_EQUAL(row, 0);
    cmdi_least_fini(&least);
}

static CU_TestInfo test_least[] = {
        {"it keeps the least in whatever order they come",
                test_least_keeps_the_least_in_whatever_order_they_come},
        {"it has a row for each as long as there is one",
                test_least_has_a_row_for_each_as_long_as_there_is_one},
        {"it leaves who was first among equals", test_least_leaves_who_was_first_among_equals},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("least", test_least)

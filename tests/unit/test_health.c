/* SPDX-License-Identifier: MIT */
/*
 * Which endpoints are passed over, as values: five failures in a row, or far more than the others have;
 * for how long; back by one trial; and never more than half of them, whatever happens.
 */
#include "net/health.h"

#include <string.h>

#include "support/harness.h"

enum {
    CELLS = 5,
    START_MS = 1000000,
};

static struct cmdi_health health;
static struct cmdi_health_cell cells[CELLS];
static struct cmdi_health_cell *const list[CELLS] = {
        &cells[0], &cells[1], &cells[2], &cells[3], &cells[4]};

static void setup(void)
{
    memset(&health, 0, sizeof(health));
    memset(cells, 0, sizeof(cells));
}

static bool fail(uint32_t index, uint32_t times, uint64_t now_ms)
{
    bool out = false;
    for (uint32_t i = 0; i < times; i++) {
        out = cmdi_health_failed(&health, &cells[index], CELLS, now_ms);
    }
    return out;
}

static bool is_in(uint32_t index)
{
    return atomic_load(&cells[index].until_ms) == 0;
}

/* --- In a row --------------------------------------------------------------------------------- */

static void test_health_five_in_a_row_are_out(void)
{
    setup();
    CU_ASSERT_FALSE(fail(0, 4, START_MS));
    CU_ASSERT_FALSE(cmdi_health_answered(&health, &cells[0], START_MS));
    CU_ASSERT_FALSE(fail(0, 4, START_MS));
    CU_ASSERT_FALSE(cmdi_health_is_out(&cells[0], START_MS));
    CU_ASSERT_TRUE(fail(0, 1, START_MS));
    CU_ASSERT_TRUE(cmdi_health_is_out(&cells[0], START_MS));
    CU_ASSERT_EQUAL(health.out_count, 1);
    CU_ASSERT_TRUE(cmdi_health_is_out(&cells[0], START_MS + 4999));
    CU_ASSERT_FALSE(cmdi_health_claim(&cells[0], START_MS + 4999));
    CU_ASSERT_FALSE(cmdi_health_wants_trial(&cells[0], START_MS + 4999));
    CU_ASSERT_TRUE(cmdi_health_wants_trial(&cells[0], START_MS + 5000));
    CU_ASSERT_FALSE(fail(0, 20, START_MS + 5000)); // Commands of before say nothing new.
    CU_ASSERT_EQUAL(health.out_count, 1);
}

static void test_health_comes_back_by_one_trial(void)
{
    uint64_t now_ms = START_MS;
    setup();
    (void)fail(1, 5, now_ms);
    now_ms += 5000;
    CU_ASSERT_FALSE(cmdi_health_answered(&health, &cells[1], now_ms)); // Of before: no trial.
    CU_ASSERT_TRUE(cmdi_health_claim(&cells[1], now_ms));
    CU_ASSERT_FALSE(cmdi_health_claim(&cells[1], now_ms)); // One.
    CU_ASSERT_TRUE(cmdi_health_is_out(&cells[1], now_ms));
    CU_ASSERT_TRUE(cmdi_health_answered(&health, &cells[1], now_ms));
    CU_ASSERT_TRUE(is_in(1));
    CU_ASSERT_EQUAL(health.out_count, 0);
    CU_ASSERT_TRUE(cmdi_health_claim(&cells[1], now_ms)); // As anybody may who is in.
    CU_ASSERT_FALSE(fail(1, 4, now_ms));                  // Five more are needed again.
}

static void test_health_is_out_for_longer_each_time(void)
{
    uint64_t now_ms = START_MS;
    setup();
    (void)fail(2, 5, now_ms);
    for (uint64_t times = 1; times < 20; times++) {
        uint64_t out_ms = times * 5000 < 60000 ? times * 5000 : 60000;
        CU_ASSERT_EQUAL(cells[2].until_ms, now_ms + out_ms);
        now_ms += out_ms;
        CU_ASSERT_TRUE(cmdi_health_claim(&cells[2], now_ms));
        CU_ASSERT_TRUE(fail(2, 1, now_ms)); // One is enough for a trial.
        CU_ASSERT_EQUAL(health.out_count, 1);
    }
    now_ms += 60000;
    CU_ASSERT_TRUE(cmdi_health_claim(&cells[2], now_ms));
    CU_ASSERT_TRUE(cmdi_health_answered(&health, &cells[2], now_ms));
    CU_ASSERT_TRUE(fail(2, 5, now_ms + 59999)); // Not in for long.
    CU_ASSERT_EQUAL(cells[2].until_ms, now_ms + 59999 + 60000);
    now_ms += 59999 + 60000;
    CU_ASSERT_TRUE(cmdi_health_claim(&cells[2], now_ms));
    CU_ASSERT_TRUE(cmdi_health_answered(&health, &cells[2], now_ms));
    CU_ASSERT_TRUE(fail(2, 5, now_ms + 60000));
    CU_ASSERT_EQUAL(cells[2].until_ms, now_ms + 60000 + 5000);
}

static void test_health_a_trial_that_is_lost_from_sight_is_tried_again(void)
{
    setup();
    (void)fail(0, 5, START_MS);
    CU_ASSERT_TRUE(cmdi_health_claim(&cells[0], START_MS + 5000));
    CU_ASSERT_FALSE(cmdi_health_claim(&cells[0], START_MS + 9999));
    CU_ASSERT_TRUE(cmdi_health_claim(&cells[0], START_MS + 10000));
    CU_ASSERT_TRUE(cmdi_health_answered(&health, &cells[0], START_MS + 10000));
}

static void test_health_half_of_them_stay_and_the_last_one_always(void)
{
    for (uint32_t count = 1; count <= CELLS; count++) {
        uint32_t out = 0;
        setup();
        for (uint32_t i = 0; i < 20 * count; i++) {
            out += cmdi_health_failed(&health, &cells[i % count], count, START_MS);
        }
        CU_ASSERT_EQUAL(out, (count - 1) / 2);
        CU_ASSERT_EQUAL(health.out_count, (count - 1) / 2);
        for (uint32_t i = 0; i < count; i++) {
            cmdi_health_forget(&health, &cells[i]);
            CU_ASSERT_TRUE(is_in(i));
        }
        CU_ASSERT_EQUAL(health.out_count, 0);
    }
}

/* --- By rate ---------------------------------------------------------------------------------- */

static void window(uint32_t index, uint32_t ok, uint32_t failed)
{
    cells[index].window_ok = ok;
    cells[index].window_failed = failed;
}

static bool judge(uint32_t index, uint32_t count)
{
    return cmdi_health_judge(&health, list, count, index, START_MS);
}

static void test_health_one_that_fails_more_than_the_others_is_out(void)
{
    setup();
    window(0, 15, 5);
    window(1, 1000, 0);
    window(2, 500, 0);
    CU_ASSERT_TRUE(judge(0, 3));
    CU_ASSERT_FALSE(is_in(0));
    CU_ASSERT_FALSE(judge(0, 3)); // It is out.
}

static void test_health_too_few_too_good_or_as_bad_as_others_stay(void)
{
    setup();
    window(1, 1000, 0);
    window(2, 1000, 0);
    window(0, 0, 19); // Too few to judge by.
    CU_ASSERT_FALSE(judge(0, 3));
    window(0, 80, 20); // A fifth and not more.
    CU_ASSERT_FALSE(judge(0, 3));
    window(0, 79, 21);
    CU_ASSERT_FALSE(judge(0, 2)); // Of two none is ever out.
    CU_ASSERT_TRUE(judge(0, 3));

    setup();
    for (uint32_t i = 0; i < CELLS; i++) {
        window(i, 60, 40 + i); // All look bad.
    }
    CU_ASSERT_FALSE(judge(0, CELLS));
    setup();
    window(0, 60, 40);
    window(1, 95, 5);
    window(2, 55, 45); // The others differ as much.
    CU_ASSERT_FALSE(judge(0, 3));
    setup();
    window(0, 60, 40);
    CU_ASSERT_FALSE(judge(0, 3)); // Nobody to compare it with.
}

/* --- Whatever happens ------------------------------------------------------------------------- */

static void test_health_counts_whatever_happens(void)
{
    uint64_t chance = 9, now_ms = START_MS;
    uint32_t outs = 0, backs = 0;
    setup();
    for (uint32_t i = 0; i < 400000; i++) {
        chance = chance * UINT64_C(6364136223846793005) + 1442695040888963407u;
        uint32_t roll = (uint32_t)(chance >> 40);
        struct cmdi_health_cell *cell = &cells[roll % CELLS];
        now_ms += roll / CELLS % 50;
        switch (roll / 1000 % 8) {
        case 0:
            backs += cmdi_health_answered(&health, cell, now_ms);
            break;
        case 1:
            (void)cmdi_health_claim(cell, now_ms);
            break;
        case 2:
            cell->window_ok += roll % 7;
            outs += cmdi_health_judge(&health, list, CELLS, roll % CELLS, now_ms);
            break;
        case 3:
            if (roll / 8000 % 50 == 0) {
                cmdi_health_forget(&health, cell);
            }
            break;
        default:
            outs += cmdi_health_failed(&health, cell, CELLS, now_ms);
            break;
        }
        uint32_t out = 0;
        for (uint32_t j = 0; j < CELLS; j++) {
            out += !is_in(j);
            CU_ASSERT_TRUE(cells[j].until_ms <= now_ms + CMDI_HEALTH_OUT_MAX_MS);
        }
        CU_ASSERT_TRUE(out <= (CELLS - 1) / 2);
        CU_ASSERT_EQUAL(out, health.out_count);
    }
    CU_ASSERT_TRUE(outs > 100 && backs > 100);
}

static CU_TestInfo test_health[] = {
        {"five in a row are out", test_health_five_in_a_row_are_out},
        {"comes back by one trial", test_health_comes_back_by_one_trial},
        {"is out for longer each time", test_health_is_out_for_longer_each_time},
        {"a trial that is lost from sight is tried again",
                test_health_a_trial_that_is_lost_from_sight_is_tried_again},
        {"half of them stay, and the last one always",
                test_health_half_of_them_stay_and_the_last_one_always},
        {"one that fails more than the others is out",
                test_health_one_that_fails_more_than_the_others_is_out},
        {"too few, too good, or as bad as others stay",
                test_health_too_few_too_good_or_as_bad_as_others_stay},
        {"the counts are right whatever happens", test_health_counts_whatever_happens},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("health", test_health)

/* SPDX-License-Identifier: MIT */
/*
 * The spin budget. It could burn a core that nothing comes to, never try again after a bad hour, or
 * go on spinning while another thread waits for the core. Times are plain numbers here.
 */
#include "shard/spin.h"

#include "support/harness.h"

#define US (uint64_t)1000
#define MS ((uint64_t)1000 * US)
#define S  ((uint64_t)1000 * MS)

/* So many sleeps in a row that a spin was not allowed before. */
static uint32_t sleeps_until_spin(struct cmdi_spin *spin, uint64_t now_ns)
{
    uint32_t count = 0;
    while (cmdi_spin_begin(spin, now_ns) == 0 && count < 100000) {
        count++;
    }
    return count;
}

static void test_spin_off_is_off(void)
{
    struct cmdi_spin spin;
    cmdi_spin_init(&spin, 0);

    CU_ASSERT_EQUAL(sleeps_until_spin(&spin, 1 * S), 100000);
    CU_ASSERT_FALSE(cmdi_spin_check_due(&spin, 10 * S));
}

static void end_spins(struct cmdi_spin *spin, bool hit, int count)
{
    for (int i = 0; i < count; i++) {
        (void)sleeps_until_spin(spin, 0);
        cmdi_spin_end(spin, hit);
    }
}

static void test_spin_goes_on_while_it_finds_work(void)
{
    struct cmdi_spin spin;
    cmdi_spin_init(&spin, 64 * US);

    for (int i = 0; i < 1000; i++) {
        CU_ASSERT_EQUAL(cmdi_spin_begin(&spin, 0), 64 * US);
        cmdi_spin_end(&spin, true);
    }
}

static void test_spin_misses_make_it_rare_but_never_stop_it(void)
{
    struct cmdi_spin spin;
    uint32_t before = 0;
    cmdi_spin_init(&spin, 64 * US);

    for (int i = 0; i < 20; i++) {
        uint32_t sleeps = sleeps_until_spin(&spin, 0);
        CU_ASSERT(sleeps >= before && sleeps <= 256);
        before = sleeps;
        cmdi_spin_end(&spin, false);
    }
    CU_ASSERT_EQUAL(before, 256);
}

/* Two that talk to each other and sleep wait long: a short look would never find out of that. */
static void test_spin_looks_as_long_after_misses(void)
{
    struct cmdi_spin spin;
    cmdi_spin_init(&spin, 64 * US);
    end_spins(&spin, false, 20);

    spin.sleeps_left = 0;
    CU_ASSERT_EQUAL(cmdi_spin_begin(&spin, 0), 64 * US);
}

static void test_spin_comes_back_with_hits(void)
{
    struct cmdi_spin spin;
    uint32_t sleeps = 0;
    cmdi_spin_init(&spin, 64 * US);
    end_spins(&spin, false, 20);
    for (int i = 0; i < 40; i++) {
        sleeps += sleeps_until_spin(&spin, 0);
        cmdi_spin_end(&spin, true);
    }
    CU_ASSERT_EQUAL(sleeps_until_spin(&spin, 0), 0);
    CU_ASSERT(sleeps < 1500); // Of some 50 us each: before anybody notices.

    end_spins(&spin, true, 10);
    end_spins(&spin, false, 1);
    CU_ASSERT_EQUAL(sleeps_until_spin(&spin, 0), 1);
    cmdi_spin_end(&spin, true); // One miss is soon forgiven.
    CU_ASSERT_EQUAL(sleeps_until_spin(&spin, 0), 0);
}

/* Half a core burnt for every second wake-up is too much; nine of ten are worth it. */
static void test_spin_must_be_worth_it(void)
{
    struct cmdi_spin spin;
    cmdi_spin_init(&spin, 64 * US);
    for (int i = 0; i < 100; i++) {
        end_spins(&spin, i % 2 == 0, 1);
    }
    CU_ASSERT(sleeps_until_spin(&spin, 0) >= 100);

    for (int i = 0; i < 1000; i++) {
        end_spins(&spin, i % 10 != 0, 1);
    }
    CU_ASSERT(sleeps_until_spin(&spin, 0) <= 2);
}

static void test_spin_gap_stops_it_for_a_while(void)
{
    struct cmdi_spin spin;
    uint64_t now = 1 * S;
    cmdi_spin_init(&spin, 64 * US);

    CU_ASSERT_FALSE(cmdi_spin_gap(&spin, now - 499 * US, now));
    CU_ASSERT_EQUAL(cmdi_spin_begin(&spin, now), 64 * US);
    CU_ASSERT_TRUE(cmdi_spin_gap(&spin, now - 500 * US, now));
    CU_ASSERT_EQUAL(cmdi_spin_begin(&spin, now), 0);
    CU_ASSERT_EQUAL(cmdi_spin_begin(&spin, now + 20 * MS - 1), 0);
    CU_ASSERT(cmdi_spin_begin(&spin, now + 20 * MS) > 0);
}

static void test_spin_stops_last_longer_when_they_follow_each_other(void)
{
    struct cmdi_spin spin;
    uint64_t now = 1 * S;
    uint64_t before = 0;
    cmdi_spin_init(&spin, 64 * US);
    for (int i = 0; i < 12; i++) {
        CU_ASSERT_TRUE(cmdi_spin_gap(&spin, now - 1 * MS, now));
        uint64_t stop = spin.stopped_until_ns - now;
        CU_ASSERT(stop >= before && stop <= 1 * S);
        before = stop;
        now = spin.stopped_until_ns;
    }
    CU_ASSERT_EQUAL(before, 1 * S);

    now += 10 * S; // A long peace: the next one is short again.
    CU_ASSERT_TRUE(cmdi_spin_gap(&spin, now - 1 * MS, now));
    CU_ASSERT_EQUAL(spin.stopped_until_ns - now, 20 * MS);
}

static void test_spin_preemptions_stop_it_beyond_the_kernels_own(void)
{
    struct cmdi_spin spin;
    uint64_t now = 5 * S;
    cmdi_spin_init(&spin, 64 * US);

    CU_ASSERT_TRUE(cmdi_spin_check_due(&spin, now));
    CU_ASSERT_FALSE(cmdi_spin_check(&spin, 1000000, now)); // The first look only learns the count.
    CU_ASSERT_FALSE(cmdi_spin_check_due(&spin, now + 49 * MS));
    CU_ASSERT_TRUE(cmdi_spin_check_due(&spin, now + 50 * MS));
    CU_ASSERT_FALSE(cmdi_spin_check(&spin, 1000100, now + 50 * MS)); // 2,000 a second.
    CU_ASSERT(cmdi_spin_begin(&spin, now + 50 * MS) > 0);
    CU_ASSERT_TRUE(cmdi_spin_check(&spin, 1000201, now + 100 * MS)); // 2,020.
    CU_ASSERT_EQUAL(cmdi_spin_begin(&spin, now + 100 * MS), 0);
    CU_ASSERT(cmdi_spin_begin(&spin, now + 120 * MS) > 0);
    CU_ASSERT_FALSE(cmdi_spin_check(&spin, 1002201, now + 10 * S)); // Many, but over a long time.
}

static CU_TestInfo tests[] = {
        {"off is off", test_spin_off_is_off},
        {"goes on while it finds work", test_spin_goes_on_while_it_finds_work},
        {"misses make it rare but never stop it", test_spin_misses_make_it_rare_but_never_stop_it},
        {"looks as long after misses", test_spin_looks_as_long_after_misses},
        {"comes back with hits", test_spin_comes_back_with_hits},
        {"must be worth it", test_spin_must_be_worth_it},
        {"a gap stops it for a while", test_spin_gap_stops_it_for_a_while},
        {"stops last longer when they follow each other",
                test_spin_stops_last_longer_when_they_follow_each_other},
        {"preemptions stop it beyond the kernel's own",
                test_spin_preemptions_stop_it_beyond_the_kernels_own},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("spin", tests)

/* SPDX-License-Identifier: MIT */
/*
 * The simulated network keeps the facts of the real one: those of test_stream.c,
 * test_stream_local.c and test_name.c, which run here as they are, in worlds of many seeds.
 */
#include "support/harness.h"
#include "support/sim_runs.h"

#pragma push_macro("CMDI_TEST_MAIN")
#undef CMDI_TEST_MAIN
#define CMDI_TEST_MAIN(suite, tests)
#include "unit/test_name.c"
#include "unit/test_stream.c"
#include "unit/test_stream_local.c"
#pragma pop_macro("CMDI_TEST_MAIN")

enum {
    SEEDS = 30,
};

static int main_of_test(void *context)
{
    const CU_TestInfo *test = context;
    test->pTestFunc();
    return 0;
}

static void in_worlds(int (*program_main)(void *context), void *context, uint32_t faults)
{
    for (uint64_t seed = 1; seed <= CMDI_SEEDS(SEEDS); seed++) {
        struct cmds_sim *sim = open_world(seed, faults);
        (void)add(sim, "one", false, program_main, context);
        struct cmds_sim_report report;
        CU_ASSERT_EQUAL(finish(sim, &report, NULL, 0), 0);
        CU_ASSERT_EQUAL(report.blocks_left, 0);
        CU_ASSERT_EQUAL(report.files_left, 0);
    }
}

static void keep_facts(const CU_TestInfo *test)
{
    for (; test->pName != NULL; test++) {
        printf("\n    %s ", test->pName);
        in_worlds(main_of_test, (void *)(uintptr_t)test, CMDS_SIM_NO_FAULTS);
        in_worlds(main_of_test, (void *)(uintptr_t)test, CMDS_SIM_DELAYS);
    }
}

static void test_sim_net_keeps_the_facts(void)
{
    keep_facts(test_name);
    keep_facts(test_stream);
    keep_facts(test_stream_local);
}

static CU_TestInfo test_sim_net[] = {
        {"keeps the facts", test_sim_net_keeps_the_facts},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("sim_net", test_sim_net)

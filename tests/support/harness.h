/* SPDX-License-Identifier: MIT */
/*
 * The main of a test program. A test file ends with a table of its tests and one line:
 *
 *     CU_TestInfo test_frame[] = {
 *             {"decode waits at every cut", test_frame_decode_waits_at_every_cut},
 *             CU_TEST_INFO_NULL,
 *     };
 *     CMDI_TEST_MAIN("frame", test_frame)
 *
 * `program WORDS` runs only the tests with WORDS in their name, `program '!WORDS'` only the others. Each test is named before it runs,
 * so that a crash has a name too; a test that hangs is named and ended by an alarm. CUnit is not
 * thread-safe: assert on the thread that runs the test, and bring facts of other threads there.
 */
#ifndef CMDI_TESTS_SUPPORT_HARNESS_H
#define CMDI_TESTS_SUPPORT_HARNESS_H

#include <CUnit/CUnit.h>
#include <CUnit/TestDB.h>
#include <CUnit/TestRun.h>

/** What a test program returns when this machine cannot run it: ctest counts it as skipped. */
#define CMDI_TEST_SKIPPED 77

/**
 * Of so many seeds: how many a test of a simulated world tries in this build, the first of them. A
 * sanitizer makes a world ten times as slow, and has 200 of scripts/simulate besides.
 */
#if defined(__SANITIZE_ADDRESS__)
#define CMDI_SEEDS(count) (((count) + 3) / 4)
#else
#define CMDI_SEEDS(count) (count)
#endif

/**
 * Runs the tests of one suite whose names contain argv[1], or do not contain what stands there behind a `!`, or all
 * of them without one.
 *
 * Returns: 0, or 1 when an assertion failed or when no test was left to run.
 */
int cmdi_test_main(const char *suite, const CU_TestInfo *tests, int argc, char **argv);

/** Ends the whole program as skipped, from inside a test or before the first one, and says why. */
_Noreturn void cmdi_test_skip(const char *reason);

#define CMDI_TEST_MAIN(suite, tests)                                                               \
    int main(int argc, char **argv)                                                                \
    {                                                                                              \
        return cmdi_test_main(suite, tests, argc, argv);                                           \
    }

#endif

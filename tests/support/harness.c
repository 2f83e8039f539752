/* SPDX-License-Identifier: MIT */
/*
 * Runs one CUnit suite with our own handlers: CUnit's automated mode stops at the first failed
 * assertion and writes broken XML, and its basic mode does not say which test hangs. The alarm is
 * per test; ctest's own time limit ends a program that even blocks SIGALRM.
 */
#include "support/harness.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    TEST_SECONDS_MAX = 300, // A test under a sanitizer beside seven others is no hang.
};

static void on_alarm(int number)
{
    (void)number;
    static const char text[] = "\nTIMEOUT: the test named above hangs\n";
    ssize_t written = write(STDERR_FILENO, text, sizeof(text) - 1); // Safe in a signal handler.
    (void)written;                                                  // The abort says it as well.
    abort();
}

static void on_test_start(const CU_pTest test, const CU_pSuite suite)
{
    printf("  %s: %s ... ", suite->pName, test->pName);
    (void)fflush(stdout);
    (void)alarm(TEST_SECONDS_MAX);
}

static void on_test_complete(
        const CU_pTest test, const CU_pSuite suite, const CU_pFailureRecord failures)
{
    (void)test;
    (void)suite;
    (void)alarm(0);
    printf("%s\n", failures == NULL ? "ok" : "FAILED");
    for (const CU_FailureRecord *failure = failures; failure != NULL; failure = failure->pNext) {
        printf("    %s:%u: %s\n", failure->strFileName, failure->uiLineNumber,
                failure->strCondition);
    }
    (void)fflush(stdout);
}

/* `words`: of cmdi_test_main(). */
static bool is_chosen(const CU_TestInfo *test, const char *words)
{
    if (words == NULL) {
        return true;
    }
    bool others = words[0] == '!';
    return (strstr(test->pName, words + others) != NULL) != others;
}

static int add_tests(const char *name, const CU_TestInfo *tests, const char *words)
{
    CU_pSuite suite = CU_add_suite(name, NULL, NULL);
    int count = 0;
    if (suite == NULL) {
        return 0;
    }
    for (const CU_TestInfo *test = tests; test->pName != NULL; test++) {
        if (!is_chosen(test, words)) {
            continue;
        }
        if (CU_add_test(suite, test->pName, test->pTestFunc) == NULL) {
            fprintf(stderr, "%s: cannot add \"%s\": %s\n", name, test->pName, CU_get_error_msg());
            return 0;
        }
        count++;
    }
    return count;
}

int cmdi_test_main(const char *suite, const CU_TestInfo *tests, int argc, char **argv)
{
    struct sigaction action = {.sa_handler = on_alarm};
    if (CU_initialize_registry() != CUE_SUCCESS || sigaction(SIGALRM, &action, NULL) != 0) {
        fprintf(stderr, "%s: cannot start: %s\n", suite, CU_get_error_msg());
        return 1;
    }
    if (add_tests(suite, tests, argc > 1 ? argv[1] : NULL) == 0) {
        fprintf(stderr, "%s: no test to run\n", suite);
        CU_cleanup_registry();
        return 1;
    }
    CU_set_test_start_handler(on_test_start);
    CU_set_test_complete_handler(on_test_complete);
    CU_ErrorCode error = CU_run_all_tests();
    CU_print_run_results(stdout);
    printf("\n");
    int failed = error != CUE_SUCCESS || CU_get_number_of_failure_records() > 0;
    CU_cleanup_registry();
    return failed;
}

void cmdi_test_skip(const char *reason)
{
    printf("SKIPPED: %s\n", reason);
    exit(CMDI_TEST_SKIPPED);
}

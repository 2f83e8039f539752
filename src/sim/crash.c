/* SPDX-License-Identifier: MIT */
/*
 * A program that crashes in a simulated run says with which seed, and what happened before. For the time
 * of the run only, and where nobody else has asked for the signal: a sanitizer, a debugger's library.
 */
#include <signal.h>
#include <stddef.h>
#include <stdio.h>

#include "sim/process.h"

enum {
    CRASH_STACK_SIZE = 64 * 1024, // A thread of the world that ran over its own has none left.
};
static const int crash_signals[] = {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV};
enum {
    CRASH_SIGNALS = sizeof(crash_signals) / sizeof(crash_signals[0])
};
static struct {
    struct sigaction before[CRASH_SIGNALS];
    stack_t stack_before;
    void *stack; // NULL: nothing is taken over.
} crash;

/* Not what a signal handler may do; but the program is at its end, and most often it works. */
static void crash_tell(void)
{
    const struct cmds_sim_options *options = cmdi_sim_options();
    if (options != NULL) {
        (void)fprintf(stderr, "\nThe program crashes. The last events of seed %llu:\n",
                (unsigned long long)options->seed);
        cmdi_sim_trace_tell();
    }
}

static void crash_handle(int number)
{
    crash_tell();
    (void)raise(number); // SA_RESETHAND: as if nobody had asked.
}

void cmdi_crash_begin(void)
{
    crash.stack = cmdi_sim_alloc(CRASH_STACK_SIZE);
    stack_t stack = {.ss_sp = crash.stack, .ss_size = CRASH_STACK_SIZE};
    (void)sigaltstack(&stack, &crash.stack_before);
    for (uint32_t i = 0; i < CRASH_SIGNALS; i++) {
        struct sigaction handle = {.sa_handler = crash_handle, .sa_flags = SA_ONSTACK};
        handle.sa_flags |= (int)SA_RESETHAND;
        (void)sigaction(crash_signals[i], NULL, &crash.before[i]);
        if (crash.before[i].sa_handler == SIG_DFL) {
            (void)sigaction(crash_signals[i], &handle, NULL);
        }
    }
}

void cmdi_crash_end(void)
{
    for (uint32_t i = 0; i < CRASH_SIGNALS; i++) {
        (void)sigaction(crash_signals[i], &crash.before[i], NULL);
    }
    (void)sigaltstack(&crash.stack_before, NULL);
    cmdi_sim_free(crash.stack);
    crash.stack = NULL;
}

void __asan_on_error(void);
/* The address sanitizer, if the program is built with it, calls it before it says what it has found. */
void __asan_on_error(void)
{
    crash_tell();
}

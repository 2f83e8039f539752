/* SPDX-License-Identifier: MIT */
/* Signals are waited for, never handled: no code of the library runs inside one. */
#include "machine/signals.h"

#include <signal.h>
#include <stddef.h>
#include <time.h>

static sigset_t signals_stop(void)
{
    sigset_t stop;
    (void)sigemptyset(&stop);
    (void)sigaddset(&stop, SIGTERM);
    (void)sigaddset(&stop, SIGINT);
    return stop;
}

void cmdi_stop_signals_block(void)
{
    sigset_t stop = signals_stop();
    (void)pthread_sigmask(SIG_BLOCK, &stop, NULL);
}

void cmdi_stop_signals_wait(void)
{
    sigset_t stop = signals_stop();
    int number = 0;
    (void)sigwait(&stop, &number);
}

bool cmdi_stop_signals_take(void)
{
    sigset_t stop = signals_stop();
    const struct timespec none = {0};
    return sigtimedwait(&stop, NULL, &none) > 0;
}

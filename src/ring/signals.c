/* SPDX-License-Identifier: MIT */
/* Signals are waited for, never handled: no code of the library runs inside one. */
#include "ring/signals.h"

#include <signal.h>
#include <stddef.h>
#include <time.h>

static sigset_t signals_stop(bool with_hangup)
{
    sigset_t stop;
    (void)sigemptyset(&stop);
    (void)sigaddset(&stop, SIGTERM);
    (void)sigaddset(&stop, SIGINT);
    if (with_hangup) {
        (void)sigaddset(&stop, SIGHUP);
    }
    return stop;
}

void cmdi_stop_signals_block(bool with_hangup)
{
    sigset_t stop = signals_stop(with_hangup);
    (void)pthread_sigmask(SIG_BLOCK, &stop, NULL);
}

bool cmdi_stop_signals_wait(bool with_hangup)
{
    sigset_t stop = signals_stop(with_hangup);
    int number = 0;
    (void)sigwait(&stop, &number);
    return number != SIGHUP;
}

bool cmdi_stop_signals_take(void)
{
    sigset_t stop = signals_stop(false);
    const struct timespec none = {0};
    return sigtimedwait(&stop, NULL, &none) > 0;
}

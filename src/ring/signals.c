/* SPDX-License-Identifier: MIT */
/* Signals are waited for, never handled: no code of the library runs inside one. */
#include "ring/signals.h"

#include <signal.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

#include <cmdstream/base.h>

#include "base/time.h"

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

enum cmdi_stop_signal cmdi_stop_signals_wait(bool with_hangup, uint32_t timeout_ms)
{
    sigset_t stop = signals_stop(with_hangup);
    const struct timespec timeout = {
            .tv_sec = (time_t)(timeout_ms / CMDI_MS_PER_S),
            .tv_nsec = (long)(timeout_ms % CMDI_MS_PER_S * CMDI_NS_PER_MS),
    };
    int number = sigtimedwait(&stop, NULL, timeout_ms != CMDS_NEVER ? &timeout : NULL);
    return number < 0         ? CMDI_STOP_SIGNAL_NONE
           : number == SIGHUP ? CMDI_STOP_SIGNAL_HANGUP
                              : CMDI_STOP_SIGNAL_END;
}

bool cmdi_stop_signals_take(void)
{
    sigset_t stop = signals_stop(false);
    const struct timespec none = {0};
    return sigtimedwait(&stop, NULL, &none) > 0;
}

void cmdi_process_end(int status)
{
    _exit(status);
}

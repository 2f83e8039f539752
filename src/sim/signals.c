/* SPDX-License-Identifier: MIT */
/*
 * The signals that ask a program to end, see ring/signals.h: a process of the world gets them from
 * cmds_sim_terminate(). Nobody sends it a SIGHUP.
 */
#include "ring/signals.h"

#include <cmdstream/base.h>

#include "base/assert.h"
#include "base/time.h"
#include "sim/process.h"

void cmdi_stop_signals_block(bool with_hangup)
{
    (void)with_hangup; // They wait until somebody takes them, in any case.
}

bool cmdi_stop_signals_take(void)
{
    struct cmds_sim_process *process = cmdi_process();
    CMDI_ASSERT(process != NULL);
    cmdi_sim_yield();
    if (process->stops_pending == 0) {
        return false;
    }
    process->stops_pending--;
    return true;
}

enum cmdi_stop_signal cmdi_stop_signals_wait(bool with_hangup, uint32_t timeout_ms)
{
    (void)with_hangup;
    uint64_t until_ns =
            timeout_ms != CMDS_NEVER ? cmdi_sim_now() + cmdi_ms_to_ns(timeout_ms) : CMDI_SIM_NEVER;
    while (!cmdi_stop_signals_take()) {
        if (cmdi_sim_now() >= until_ns) {
            return CMDI_STOP_SIGNAL_NONE;
        }
        (void)cmdi_sim_wait(&cmdi_process()->signalled, until_ns, "being asked to end");
    }
    return CMDI_STOP_SIGNAL_END;
}

_Noreturn void cmdi_process_end(int status)
{
    cmdi_process_exit(status);
}

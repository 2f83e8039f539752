/* SPDX-License-Identifier: MIT */
/*
 * The signals that ask a program to end, see ring/signals.h: a process of the world gets them from
 * cmds_sim_terminate(). Nobody sends it a SIGHUP.
 */
#include "ring/signals.h"

#include "base/assert.h"
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

bool cmdi_stop_signals_wait(bool with_hangup)
{
    (void)with_hangup;
    while (!cmdi_stop_signals_take()) {
        (void)cmdi_sim_wait(&cmdi_process()->signalled, CMDI_SIM_NEVER, "being asked to end");
    }
    return true;
}

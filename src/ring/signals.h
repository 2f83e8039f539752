/* SPDX-License-Identifier: MIT */
/*
 * The signals that ask a program to end, SIGTERM and SIGINT, and the one that asks it to read its files
 * anew, SIGHUP: for cmds_server_main().
 */
#ifndef CMDI_RING_SIGNALS_H
#define CMDI_RING_SIGNALS_H

#include <stdbool.h>
#include <stdint.h>

/**
 * Keeps them from ending the program; SIGHUP, if `with_hangup`. Threads that the caller starts from now
 * on inherit it.
 */
void cmdi_stop_signals_block(bool with_hangup);
enum cmdi_stop_signal {
    CMDI_STOP_SIGNAL_NONE,
    CMDI_STOP_SIGNAL_HANGUP,
    CMDI_STOP_SIGNAL_END,
};
/**
 * Waits until one arrives, or SIGHUP if `with_hangup`, and takes it. They are blocked. Returns: which;
 * NONE after `timeout_ms` (CMDS_NEVER: it waits on), or for no reason.
 */
enum cmdi_stop_signal cmdi_stop_signals_wait(bool with_hangup, uint32_t timeout_ms);
/** Ends the process at once, without anything that exit() would run. */
_Noreturn void cmdi_process_end(int status);
/** Takes one if one has arrived. They are blocked. Returns: it has. */
bool cmdi_stop_signals_take(void);

#endif

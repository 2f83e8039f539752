/* SPDX-License-Identifier: MIT */
/*
 * The signals that ask a program to end, SIGTERM and SIGINT, and the one that asks it to read its files
 * anew, SIGHUP: for cmds_server_main().
 */
#ifndef CMDI_RING_SIGNALS_H
#define CMDI_RING_SIGNALS_H

#include <stdbool.h>

/**
 * Keeps them from ending the program; SIGHUP, if `with_hangup`. Threads that the caller starts from now
 * on inherit it.
 */
void cmdi_stop_signals_block(bool with_hangup);
/**
 * Waits until one arrives, or SIGHUP if `with_hangup`, and takes it. They are blocked. Returns: it asks
 * to end; false: SIGHUP.
 */
bool cmdi_stop_signals_wait(bool with_hangup);
/** Takes one if one has arrived. They are blocked. Returns: it has. */
bool cmdi_stop_signals_take(void);

#endif

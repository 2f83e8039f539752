/* SPDX-License-Identifier: MIT */
/*
 * The signals that ask a program to end, SIGTERM and SIGINT: for cmds_server_main().
 */
#ifndef CMDI_MACHINE_SIGNALS_H
#define CMDI_MACHINE_SIGNALS_H

#include <stdbool.h>

/** Keeps them from ending the program. Threads that the caller starts from now on inherit it. */
void cmdi_stop_signals_block(void);
/** Waits until one arrives, and takes it. They are blocked. */
void cmdi_stop_signals_wait(void);
/** Takes one if one has arrived. They are blocked. Returns: it has. */
bool cmdi_stop_signals_take(void);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * A thread of the library that is held up until the test lets it go on. One at a time.
 */
#ifndef CMDI_TESTS_SUPPORT_HOLD_H
#define CMDI_TESTS_SUPPORT_HOLD_H

#include <stdbool.h>

/** Nobody is held up, and the next one will be. */
void hold_begin(void);
/** Holds up its caller until hold_end(): for cmds_runtime_post(), or inside of a callback. */
void hold_here(void *unused);
/** Somebody is, or was since hold_begin(). */
bool hold_is_on(void);
void hold_end(void);

#endif

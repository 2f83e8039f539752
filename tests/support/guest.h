/* SPDX-License-Identifier: MIT */
/*
 * A group in a world: a client of the tests' server, with everything counted that its callbacks
 * report; and a server's calls that a test keeps and answers when it likes.
 */
#ifndef CMDI_TESTS_SUPPORT_GUEST_H
#define CMDI_TESTS_SUPPORT_GUEST_H

#include "support/answers.h"
#include "support/world.h"

struct guest {
    struct cmds_group_options options;
    struct cmds_group *group;
    struct answers *answers, *unexpected;
    struct cmds_error error;
    _Atomic uint32_t up, down, writable, closed;
    _Atomic uint32_t odd;  // States that were reported and should not have been.
    _Atomic int32_t cause; // Of the last connection lost.
};

/** For cmds_group_close(); the context is the guest. */
void guest_on_closed(void *context);
/** Fills in the options; `answers` and `unexpected` are made. */
void guest_init(struct guest *guest);
/** Returns: as cmds_group_open, and its sentence is printed. */
int guest_open(struct guest *guest, struct cmds_runtime *runtime, const char *address);
/** Starts the world, opens the guest in it and waits until it is connected. */
void guest_start(struct guest *guest, struct world *world);
/** Closes, waits for on_closed, and frees the answers. */
void guest_close(struct guest *guest, const struct world *world);
/** An answer comes at once. */
int guest_echo(struct guest *guest, int64_t number, const struct cmds_send_options *how);
/** Of its group, which is open. */
struct cmds_group_counters guest_counters(const struct guest *guest);
/** The world's exec decides. */
int guest_run(
        struct guest *guest, int64_t what, int64_t number, const struct cmds_send_options *how);
/** Commands that have ended. */
uint32_t guest_last(struct guest *guest);

/* --- Calls that are kept ---------------------------------------------------------------------- */

enum {
    KEPT_MAX = 16
};
extern _Atomic(struct cmds_call *) kept_calls[KEPT_MAX];
extern _Atomic uint32_t kept_count;

/** The world keeps the calls of `run`, so that the test answers them. */
void kept_init(struct world *world);
/** Once, number `index`. */
void kept_answer(uint32_t index);

#endif

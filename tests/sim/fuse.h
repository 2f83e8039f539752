/* SPDX-License-Identifier: MIT */
/*
 * The circuit breaker of some clients of the simulated world: all groups and senders of one have it, it
 * opens and closes as its options, its commands and the program's own calls want it, and what it says is
 * held against what its commands met.
 */
#ifndef CMDI_TESTS_SIM_FUSE_H
#define CMDI_TESTS_SIM_FUSE_H

#include <cmdstream/cmdstream.h>

#include "sim/scenario.h"

struct fuse {
    struct cmds_breaker *breaker; // NULL: there is none, or there was no memory for it.
    uint64_t opened, successes, failures, refused;
};

/** A life begins. */
void fuse_begin(struct fuse *fuse, const struct scenario_client *plan);
/** Before a send: what fuse_sent() wants to know. */
struct cmds_breaker_info fuse_look(const struct fuse *fuse);
/** `before`: NULL: somebody else may have sent this command earlier. */
void fuse_sent(struct fuse *fuse, int code, const struct cmds_breaker_info *before);
/** Now and then the program opens or closes it. */
void fuse_touch(const struct fuse *fuse);
/** All groups and senders of the life have closed. */
void fuse_end(struct fuse *fuse, uint32_t life);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Hooks of some clients of the simulated world, and of the groups of its servers: whatever is done to a
 * command, each of two hooks sees it begin, and end once.
 */
#ifndef CMDI_TESTS_SIM_HOOKED_H
#define CMDI_TESTS_SIM_HOOKED_H

#include <cmdstream/cmdstream.h>

enum {
    HOOKED_COUNT = 2,
    HOOKED_PLACES = 1 << 16, // Commands that may be under way.
};

/** One of the two. */
struct hooked_one {
    uint64_t begun, ended;
    bool is_under_way[HOOKED_PLACES];
};
struct hooked {
    struct hooked_one ones[HOOKED_COUNT];
    struct cmds_hooks hooks[HOOKED_COUNT];
    const struct cmds_hooks *list[HOOKED_COUNT];
    struct cmds_breaker *breaker; // It counts, and never opens. NULL: there was no memory for it.
    struct cmds_breaker_options endpoint_breaker; // Of each endpoint. So does it.
};

/** A life begins. */
void hooked_begin(struct hooked *hooked);
void hooked_set(struct hooked *hooked, struct cmds_group_options *options);
/** All groups have closed. `number`: of whose they are. */
void hooked_end(struct hooked *hooked, uint32_t number);

#endif

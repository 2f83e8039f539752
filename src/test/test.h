/* SPDX-License-Identifier: MIT */
/* What the parts of a cmds_test know of each other. */
#ifndef CMDI_TEST_TEST_H
#define CMDI_TEST_TEST_H

#include <cmdstream/test.h>

#include "base/list.h"
#include "shard/shard.h"

struct cmdi_test_scope {
    struct cmdi_shard *shard;
    struct cmds_test *test;
};

/** From here on this thread is the test's shard. Returns: for cmdi_test_leave(). */
struct cmdi_test_scope cmdi_test_enter(struct cmds_test *test);
void cmdi_test_leave(struct cmdi_test_scope before);
/** Runs all that can run in this moment. */
void cmdi_test_drive(struct cmds_test *test);

/** The groups of a test, and what group.c does for them. Without a group its functions are NULL. */
struct cmdi_test_groups {
    struct cmdi_list list; // struct test_group
    /**
     * What the far side of one of the groups would have done meanwhile, one thing. Thread: the test's shard,
     * between two steps. Returns: there was something.
     */
    bool (*complete)(struct cmdi_list *groups);
    /** Closes those that the program has not closed. The caller drives. */
    void (*close)(struct cmdi_list *groups);
    /** They have ended. */
    void (*free)(struct cmdi_list *groups);
};
struct cmdi_test_groups *cmdi_test_groups(struct cmds_test *test);

#endif

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
/** Of struct cmdi_test_group. */
struct cmdi_list *cmdi_test_groups(struct cmds_test *test);

/* --- Groups: see group.c ------------------------------------------------------------------------ */

/**
 * What the far side of one of the groups would have done meanwhile, one thing. Thread: the test's shard,
 * between two steps. Returns: there was something.
 */
bool cmdi_test_groups_complete(struct cmdi_list *groups);
/** Closes those that the program has not closed. The caller drives. */
void cmdi_test_groups_close(struct cmdi_list *groups);
/** They have ended. */
void cmdi_test_groups_free(struct cmdi_list *groups);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * What a list says of the shards that have not answered in time: that it is not whole, and what holds them up. The
 * desk's thread.
 */
#ifndef CMDI_ADMIN_HELD_H
#define CMDI_ADMIN_HELD_H

#include <stdbool.h>
#include <stddef.h>

#include <cmdstream/inspect.h>

#include "admin/out.h"

enum {
    CMDI_ADMIN_HELD_MAX = 64, // Of the first shards alone is said what holds them up.
};

struct cmdi_admin_held {
    bool is_whole; // All have answered in time.
    size_t count;  // Those that still have not.
    struct cmds_listed_shard list[CMDI_ADMIN_HELD_MAX];
};

/** `code`: what the list was answered with. */
void cmdi_admin_held_find(struct cmds_runtime *runtime, int code, struct cmdi_admin_held *held);
/** Lines; nothing if the list is whole. */
void cmdi_admin_held_text(struct cmdi_admin_out *out, const struct cmdi_admin_held *held);
/** ,"complete":...,"held_up":[...] */
void cmdi_admin_held_json(struct cmdi_admin_out *out, const struct cmdi_admin_held *held);

#endif

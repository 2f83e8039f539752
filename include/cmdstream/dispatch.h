/* SPDX-License-Identifier: MIT */
/*
 * Which connection of a group takes a command. A strategy is a constant table; the group owns its
 * state.
 */
#ifndef CMDSTREAM_DISPATCH_H
#define CMDSTREAM_DISPATCH_H

#include <cmdstream/base.h>

CMDS_BEGIN_

/** What a strategy sees of one connection. Made by the library only, so it may grow at its end. */
struct cmds_candidate {
    uint32_t client;    // Its number in the group.
    uint32_t in_flight; // Commands sent and not answered yet.
    bool is_down;       // It is lost, or not connected yet: it takes no command now.
    uint8_t unused[7];
};

/**
 * Tells a strategy about the connection `index`, below `count`; `source` as it came.
 *
 * Owner:   borrowed until the next call of it, or until pick returns.
 * Thread:  inside pick.
 */
typedef const struct cmds_candidate *(*cmds_candidate_fn)(const void *source, uint32_t index);

enum {
    CMDS_DISPATCH_VERSION = 1
};

/**
 * The group asks for a connection that is up; if its window is full, it tries those after it in
 * turn. On a shard the candidates are the shard's own connections of the group that are up, or
 * without any those that are connecting; from any other thread, and on a shard that has neither,
 * all of them. See base.h for other sizes than this one.
 */
struct cmds_dispatch {
    uint32_t struct_size, version; // sizeof(struct cmds_dispatch), CMDS_DISPATCH_VERSION.
    const char *name;
    /**
     * Picks one of `count` (at least 1) connections. `candidate(source, index)` tells about one of
     * them. If the one picked is down or full, those after it are tried in turn. `pick_count` counts the picks of this shard (or of all other threads together); `key`
     * is the sticky_key of the send, or 0.
     *
     * Thread:  any shard, at once; the function keeps no state.
     * Returns: an index below `count`.
     */
    uint32_t (*pick)(const struct cmds_dispatch *self, uint64_t pick_count, uint64_t key,
            uint32_t count, cmds_candidate_fn candidate, const void *source);
    void (*reserved[6])(void); // NULL.
};

/** One after the other. The default. */
extern CMDS_API const struct cmds_dispatch cmds_dispatch_round_robin;

CMDS_END_

#endif

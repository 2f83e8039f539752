/* SPDX-License-Identifier: MIT */
/*
 * A walk over what the shards of a runtime have of one kind, for another thread that lists it.
 *
 *     the thread --mail--> shard 0: begin, 128, 128, ... --futex--> --mail--> shard 1 ...
 *
 * One walk at a time, and one shard after the other, so that `visit` writes where it likes. A shard
 * visits some nodes in a turn. What leaves the list between two turns leaves by cmdi_shard_unlist(),
 * which moves the walk on; what comes is behind it, and no more is visited than there was in the
 * beginning, so the walk ends however much comes. Of spans the newest is the first one; those that are
 * overwritten between two turns are the last ones, which it does not come to then.
 *
 * The end of the runtime waits for the walks that have begun, while its shards still turn.
 */
#ifndef CMDI_SHARD_WALK_H
#define CMDI_SHARD_WALK_H

#include <stddef.h>
#include <stdint.h>

#include "shard/runtime.h"

struct cmds_span;

enum {
    CMDI_WALK_PER_TURN = 128,
};

enum cmdi_walk_kind {
    CMDI_WALK_CONNS, // shard->conns
    CMDI_WALK_CALLS, // shard->calls
    CMDI_WALK_SPANS, // shard->spans
};

struct cmdi_walk {
    enum cmdi_walk_kind kind;
    /** Looks at one node, and leaves it as it is. Thread: its shard, or the one that turns it. */
    void (*visit)(struct cmdi_walk *walk, struct cmdi_shard *shard, struct cmdi_list *node);
    /** The same with a span that is over. */
    void (*visit_span)(struct cmdi_walk *walk, const struct cmds_span *span);
    uint32_t depth; // Of each shard's spans, the newest ones: at most so many.
    size_t count;   // Visited so far.

    /* Its own. */
    uint64_t spans_at; // Behind the span that is next.
    struct cmdi_mail mail;
    struct cmdi_work work;
    uint32_t left;         // On this shard, at most.
    _Atomic uint32_t over; // Futex: this shard has visited all.
};

/** `kind` and `visit` are set, all else is zero. Thread, returns: as cmds_runtime_connections(). */
int cmdi_runtime_walk(struct cmds_runtime *runtime, struct cmdi_walk *walk);

/* --- Rows of a program's array ---------------------------------------------------------------- */

struct cmdi_rows {
    char *data;
    size_t stride; // Of the program's struct, which begins with it as uint32_t.
    size_t max;
};

/** Returns: 0; -EINVAL: NULL, or the first row does not begin with a size. */
int cmdi_rows_take(struct cmdi_rows *rows, void *list, size_t max, const size_t *count);
/** Row `index` becomes what fits of `mine`, which has `size` bytes and begins with struct_size. */
void cmdi_rows_put(const struct cmdi_rows *rows, size_t index, const void *mine, size_t size);
/** Copies a text, cut if need be, to a zeroed member of `size` bytes. */
void cmdi_rows_text(char *member, size_t size, const char *text);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * A walk over what the shards of a runtime have of one kind, for another thread that lists it.
 *
 *     the thread --mail--> shard 0: begin, 128, 128, ... --futex--> --mail--> shard 1 ...
 *
 * One walk at a time, and one shard after the other, so that `visit` writes where it likes. A shard
 * visits some nodes in a turn, fewer if they take long: no turn is to be long because of a list. What
 * leaves the list between two turns leaves by cmdi_shard_unlist(), which moves the walk on; what comes is behind it, and no more is visited than there was in the
 * beginning, so the walk ends however much comes. Of spans the newest is the first one; those that are
 * overwritten between two turns are the last ones, which it does not come to then.
 *
 * A shard that a callback holds up is not waited for without end: whoever asks gives it up, and goes on
 * to the next one. What was handed to it is the runtime's own memory, an errand for each shard, so that
 * nothing is gone when the shard comes to it at last, nothing is allocated, and a shard that has been
 * asked a thousand times meanwhile has one mail:
 *
 *     FREE --asked--> ASKED <--> VISITING --> SEEN --told--> OVER --taken--> FREE
 *                      |  ^                    |
 *             given up v  | asked again        | given up
 *                     DROPPED <----------------+   --the shard comes to it--> FREE
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
/** A shard that has done nothing for a walk for so long, or whose turn has lasted so long, is given up. */
#define CMDI_WALK_SILENCE_NS (250ull * 1000 * 1000)
/** So long a walk takes, with its wait for those before it, if shards are slow rather than silent. */
#define CMDI_WALK_NS (2000ull * 1000 * 1000)

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

    uint64_t spans_at; // Its own: behind the span that is next.
};

/**
 * `kind` and `visit` are set, all else is zero. CMDS_E_TIMEOUT: some shards were given up; what the others
 * have was visited, and nothing is any more. Thread, returns: as cmds_runtime_connections().
 */
int cmdi_runtime_walk(struct cmds_runtime *runtime, struct cmdi_walk *walk);

/* --- What a shard is asked for ---------------------------------------------------------------- */

enum cmdi_errand_state {
    CMDI_ERRAND_FREE,     // The asker's.
    CMDI_ERRAND_ASKED,    // The shard's, in its mailbox or in one of its lists. Somebody waits.
    CMDI_ERRAND_VISITING, // The shard's, which writes where the walk has its results: not for long.
    CMDI_ERRAND_SEEN,     // The shard's: all is visited, and whoever waits is to be woken.
    CMDI_ERRAND_OVER,     // The asker's, who does not know it yet.
    CMDI_ERRAND_DROPPED,  // The shard's, where it was when it was ASKED or SEEN. Nobody waits.
};

struct cmdi_errand {
    struct cmdi_mail mail;
    struct cmdi_work work;
    _Atomic uint32_t state;    // Futex. enum cmdi_errand_state
    _Atomic uint32_t progress; // Parts that were visited.
    _Atomic uint64_t owed_ns;  // DROPPED: since when an answer is owed; 0: none is. By the asker.
    /* The asker's, but while it is VISITING. */
    struct cmdi_walk *walk;
    uint32_t number; // Another one for each walk.
    /* The shard's. */
    uint32_t begun; // The `number` of the walk that it is in the middle of.
    uint32_t left;  // Nodes to visit, at most.
};

/** One for each shard. Gives: free(), when no shard has one. Returns: NULL without memory. */
struct cmdi_errand *cmdi_errands_create(uint32_t count);

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

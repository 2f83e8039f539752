/* SPDX-License-Identifier: MIT */
/*
 * One attempt at a command: sent over one of a group shard's connections, or waiting for room with
 * a body of its own until it can be. It can be forgotten, and ends in exactly one result with
 * `last`.
 *
 * The maker of an attempt embeds it, and holds the group shard until it has ended. A full window
 * never fails it. It knows nothing of the one who wants the result.
 */
#ifndef CMDI_GROUP_ATTEMPT_H
#define CMDI_GROUP_ATTEMPT_H

#include <errno.h>

#include "base/assert.h"
#include "group/send.h"

enum {
    CMDI_ATTEMPT_BODY_SMALL = 256, // Waits inside the attempt; a larger body is malloc'ed.
};

/** What each state is, and which fields are valid in it. */
enum cmdi_attempt_state {
    CMDI_ATTEMPT_NEW,     // In no list, and not counted as pending. `body` is, once it was kept.
    CMDI_ATTEMPT_WAITING, // In group_shard->waiting, and counted; body and timer are valid.
    CMDI_ATTEMPT_SENT,    // `client` and `sequence` are valid; the client has counted it.
    CMDI_ATTEMPT_ENDING,  // In no list; its last result is being reported, or `work` will do so.
};

struct cmdi_attempt;

/** What the owner of an attempt does for it. On the group shard's shard. */
struct cmdi_attempt_ops {
    /** A result. With `last` it has ended, and only cmdi_attempt_fini() is left. */
    void (*on_result)(struct cmdi_attempt *attempt, const struct cmds_result *result);
    /** Memory of a body that waits. Returns: false: there is not so much. Perhaps another shard. */
    bool (*charge)(struct cmdi_attempt *attempt, size_t size);
    void (*uncharge)(struct cmdi_attempt *attempt, size_t size);
    /**
     * It waits, and no connection of its shard is up, but one of another shard is. May be NULL: it
     * stays. Returns: true: it has gone there, by cmdi_attempt_take_out(); false: it stays.
     */
    bool (*leave)(struct cmdi_attempt *attempt);
};

struct cmdi_attempt {
    struct cmdi_group_shard *group_shard;
    const struct cmdi_attempt_ops *ops;
    enum cmdi_attempt_state state;
    uint64_t deadline_ms; // UINT64_MAX: none.
    uint64_t begun_ns;    // As of a command.
    uint64_t sticky_key;  // For the dispatch strategy; 0 unless its maker says so.

    struct cmdi_client *client;
    uint64_t sequence;
    struct cmdi_track *track; // What hooks and breaker know of it; NULL: the group has none.

    struct cmdi_list link; // group_shard->waiting
    struct cmdi_timer timer;
    struct cmdi_work work; // Forgotten while it waited.
    const struct cmds_type *type;
    struct cmdi_pending_extra *extra; // Its ticket; NULL: it has none.
    bool is_borrowed;                 // `body` is, and stays as long as the attempt.
    uint8_t *body;                    // `small`, or malloc'ed. NULL: none is kept.
    size_t body_size;
    uint8_t small[CMDI_ATTEMPT_BODY_SMALL];
};

/* What the inline functions below need. */
void cmdi_attempt_on_result(void *context, const struct cmds_result *result);
void cmdi_attempt_on_timer(struct cmdi_timer *timer, uint64_t now_ms);
void cmdi_attempt_on_work(struct cmdi_shard *shard, struct cmdi_work *work);
void cmdi_attempt_free_body(struct cmdi_attempt *attempt);
int cmdi_attempt_begin_later(
        struct cmdi_attempt *attempt, const struct cmdi_command *command, int code);

/** `begun_ns`: as of a command; the clock of the shard that makes it. Thread: any. */
static inline void cmdi_attempt_init(struct cmdi_attempt *attempt,
        const struct cmdi_attempt_ops *ops, struct cmdi_group_shard *group_shard,
        uint64_t deadline_ms, uint64_t begun_ns)
{
    attempt->group_shard = group_shard;
    attempt->ops = ops;
    attempt->state = CMDI_ATTEMPT_NEW;
    attempt->deadline_ms = deadline_ms;
    attempt->client = NULL;
    attempt->track = NULL;
    attempt->extra = NULL;
    attempt->is_borrowed = false;
    attempt->begun_ns = begun_ns;
    attempt->sticky_key = 0;
    attempt->body = NULL;
    cmdi_list_init(&attempt->link);
    cmdi_timer_init(&attempt->timer, cmdi_attempt_on_timer);
    cmdi_work_init(&attempt->work, cmdi_attempt_on_work);
}
/** It has ended, or was never begun. Thread: shard, or the one that made it and never began it. */
static inline void cmdi_attempt_fini(struct cmdi_attempt *attempt)
{
    CMDI_ASSERT(attempt->state != CMDI_ATTEMPT_WAITING);
    cmdi_list_remove(&attempt->work.link);
    if (CMDI_UNLIKELY(attempt->body != NULL)) {
        cmdi_attempt_free_body(attempt);
    }
}

/**
 * Sends the command, or lets it wait. Fills in the callback and context of `command`. Inline: a
 * forwarded command costs 15 instructions less.
 *
 * Thread:  shard.
 * Returns: 0; else the attempt is as it was: -ENOBUFS: it would wait, and there is no memory for
 *          that; as cmdi_group_shard_send.
 */
static inline int cmdi_attempt_begin(struct cmdi_attempt *attempt, struct cmdi_command *command)
{
    struct cmdi_group_shard *group_shard = attempt->group_shard;
    int code = -ENOBUFS;
    CMDI_ASSERT_SLOW(attempt->state == CMDI_ATTEMPT_NEW);
    command->on_result = cmdi_attempt_on_result;
    command->context = attempt;
    /* Else the others go first; and while none is up it waits here, not behind one connection. */
    if (CMDI_LIKELY(cmdi_list_empty(&group_shard->waiting) && group_shard->up_count > 0)) {
        code = cmdi_group_shard_send(group_shard, command, attempt->sticky_key, &attempt->client);
    }
    if (CMDI_UNLIKELY(code != 0)) {
        return cmdi_attempt_begin_later(attempt, command, code);
    }
    attempt->sequence = attempt->client->sequence;
    attempt->state = CMDI_ATTEMPT_SENT;
    return 0;
}
/**
 * Keeps the command's bytes, so that cmdi_attempt_begin_kept() can send them later. Thread: any.
 * Returns: 0; -ENOBUFS, -ENOMEM.
 */
int cmdi_attempt_keep(struct cmdi_attempt *attempt, const struct cmdi_command *command);
/** The same for bytes that another one has kept. */
int cmdi_attempt_keep_bytes(struct cmdi_attempt *attempt, const struct cmds_type *type,
        const uint8_t *body, size_t size);
/** Sends what was kept, lets it wait, or ends inside this. Thread: shard. */
void cmdi_attempt_begin_kept(struct cmdi_attempt *attempt);
/**
 * It was sent, and waits on a client that is not up: to another one of its shard, where its maker is.
 * `command` is that of the client. Thread: shard. Returns: 0; else it stays where it is.
 */
int cmdi_attempt_move(struct cmdi_command *command);
/**
 * It waits no longer, is not pending here, and is as it was before its begin, with its body.
 * Whoever has it counts it first. Thread: shard.
 */
void cmdi_attempt_take_out(struct cmdi_attempt *attempt);
/** Nobody wants its result any more: it ends soon, never inside this. Thread: shard. */
void cmdi_attempt_forget(struct cmdi_attempt *attempt);

/** No connection is up here: those that wait go to a shard that has one. Thread: shard. */
void cmdi_attempt_leave(struct cmdi_group_shard *group_shard);
/** Sends those that wait, as far as there is room. Thread: shard. */
void cmdi_attempt_feed(struct cmdi_group_shard *group_shard);
/** Ends those that wait: the group is closed, or no connection is left. Thread: shard. */
void cmdi_attempt_end_waiting(struct cmdi_group_shard *group_shard, int code, const char *text);

#endif

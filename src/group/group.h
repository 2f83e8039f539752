/* SPDX-License-Identifier: MIT */
/*
 * The inside of a group.
 *
 *     cmds_group --- options, tables, tickets: constant, or under a lock
 *        |
 *        +- group shard, one per shard: a client_shard, its clients, what waits for room there.
 *        |
 *        +- client i lives in group shard i % shard_count
 *
 * Life. Each group shard, each message under way and each call of another thread holds one count of
 * `refs`. The one who gives back the last one marks the group as ended, so that nobody enters it
 * any more, and sends `end_mail` to shard 0, which calls on_closed; then the mail goes round all
 * shards, so that whatever had begun on any of them is over, and all that hangs on the group is
 * freed.
 *
 * Memory. What is left, the struct itself, is counted by `handles`: one is the opener's, which
 * close takes, others are given by cmds_group_ref(), and one is the runtime's, which keeps the
 * structs of the groups that ended last until it stops. So a thread that learns too late that
 * the group was closed reads `closing` and `refs`, and not what was freed.
 */
#ifndef CMDI_GROUP_GROUP_H
#define CMDI_GROUP_GROUP_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <cmdstream/client.h>

#include "base/list.h"
#include "client/client.h"
#include "client/room.h"
#include "group/dispatch.h"
#include "group/endpoint.h"
#include "machine/fork.h"
#include "shard/runtime.h"

/** What a group shard is told from elsewhere: a bit of `nudges`, and one mail for all of them. */
enum cmdi_nudge {
    CMDI_NUDGE_START = 1,   // The time for connecting begins.
    CMDI_NUDGE_TARGETS = 2, // The endpoint has addresses, or says why not: connect.
    CMDI_NUDGE_ROOM = 4,    // Somebody was refused: tell when there is room.
    CMDI_NUDGE_WATCH = 8,   // Somebody waits for no command to be pending.
    CMDI_NUDGE_FORGET = 16, // Tickets lie in `forgotten`.
    CMDI_NUDGE_CLOSE = 32,
};

/** A group's part on one shard. */
struct cmdi_group_shard {
    struct cmdi_client_shard client_shard;
    struct cmds_group *group;
    struct cmdi_client *clients;
    uint32_t client_count;
    // Clients that are not closed, forwards of forward_pool: with the last one it ends.
    uint32_t hold_count;

    /* Dispatch. */
    struct cmdi_client **list; // All of them, by number. Constant.
    struct cmdi_picker picker;
    uint32_t up_count, connecting_count; // Of `list`, as counted_as says.
    bool all_up; // There are connections, and up_count is the number of them.
    bool closing;

    // By enum cmdi_room: the smallest body of those that were refused; SIZE_MAX: none was.
    _Atomic size_t refused[CMDI_ROOM_COUNT];
    struct cmdi_work room_work;
    struct cmdi_work memory_work; // The shard's memory may have been what was short.
    struct cmdi_list forwards;    // struct cmdi_forward: wait for room, oldest first.
    struct cmdi_pool forward_pool;
    struct cmdi_list forgotten; // struct cmdi_ticket: under the tickets' lock.

    _Atomic uint32_t nudges; // enum cmdi_nudge; not 0: the mail is under way.
    struct cmdi_mail mail;
};

/** Somebody who sleeps until something about the group changes. On his stack. */
struct cmdi_group_waiter {
    struct cmdi_list link;
    _Atomic uint32_t woken;
};

/** What a sender learns beyond the callbacks of the program. All may be NULL. On a shard. */
struct cmdi_group_owner_ops {
    void (*on_room)(void *context); // Whenever on_writable would be called.
    void (*on_gone)(
            // Later than on_closed: no shard is inside any callback of the group, which is freed.
            void *context);
    void *context;
};

/** Somebody who closed the group and wants to know when it has. */
struct cmdi_group_closer {
    struct cmdi_group_closer *next;
    void (*fn)(void *context);
    void *context;
};

enum {
    CMDI_GROUP_LINGER_MS = 1000, // What a close gives a connection that ends in order.
};
/** In `refs`: there was nobody left, and nobody enters any more. */
#define CMDI_GROUP_ENDED UINT32_C(0x80000000)

struct cmds_group {
    struct cmdi_service service;
    struct cmds_runtime *runtime;      // Lives as long as somebody is inside.
    bool is_inline;                    // So is the runtime.
    uint32_t fork_count;               // As the runtime's, which may be gone.
    struct cmds_group_options options; // Defaults filled in; strings are ours.
    struct cmdi_client_config *config;
    struct cmdi_type_table commands, results;
    struct cmdi_tickets tickets;
    struct cmdi_group_shard **shards; // One per shard of the runtime.
    uint32_t shard_count;
    struct cmdi_client **clients; // All of them, by number.
    struct cmdi_endpoint endpoint;

    struct cmdi_group_owner_ops owner_ops; // Of the sender above it.

    _Atomic uint32_t closing;
    _Atomic uint32_t up_count, connecting_count;
    _Atomic uint64_t pick_count; // Picks by threads that are no shard of ours, and of forwards.
    pthread_mutex_t picker_lock;
    struct cmdi_picker picker; // For those threads. Under picker_lock, if it has a state.
    _Atomic uint32_t refs;     // And CMDI_GROUP_ENDED.
    _Atomic uint32_t handles;
    _Atomic uint32_t opener_gone; // Its handle has been taken.
    uint32_t linger_ms;           // Set by who began to close it, before the group shards are told.

    pthread_mutex_t lock;
    struct cmds_error
            first_error;      // Of the first connection that was lost or failed. Under the lock.
    struct cmdi_list waiters; // struct cmdi_group_waiter. Under the lock.

    // Newest first; once they have been told, a mark that says so.
    _Atomic(struct cmdi_group_closer *) closers;
    struct cmdi_group_closer opener; // Of the first close: it needs no memory.
    struct cmdi_mail end_mail;
    uint32_t end_round;          // Shards that end_mail has been to. Its own.
    _Atomic uint32_t end_posted; // Whoever sent it first does not touch the runtime any more.
    _Atomic uint32_t gone;       // Futex: only the struct is left, for who stops the runtime.
};

/** As cmds_group_open; copies owner_ops. */
int cmdi_group_open(struct cmds_group **group, struct cmds_runtime *runtime,
        const struct cmds_group_options *options, const struct cmdi_group_owner_ops *owner_ops,
        struct cmds_error *error);

/** As cmdi_runtime_is_foreign(), also when the runtime is gone. Thread: any. */
static inline bool cmdi_group_is_foreign(const struct cmds_group *group)
{
    return CMDI_UNLIKELY(group->fork_count != cmdi_fork_count());
}
/** Begins to close it. Thread: any. Returns: false: it is closing or has ended already. */
bool cmdi_group_begin_close(struct cmds_group *group, uint32_t linger_ms);

/** The caller holds a count already, or is on a shard whose group shard has not ended. */
static inline void cmdi_group_hold(struct cmds_group *group)
{
    uint32_t before = atomic_fetch_add_explicit(&group->refs, 1, memory_order_relaxed);
    CMDI_ASSERT(before != 0 && before < CMDI_GROUP_ENDED);
}
/** Gives back a count. */
void cmdi_group_leave(struct cmds_group *group);
/**
 * Takes a count, unless the group has ended: what hangs on it stays until cmdi_group_leave().
 * Thread: any.
 */
bool cmdi_group_enter(struct cmds_group *group);
/**
 * Tells a group shard; the group is held while it is under way. Thread: any that holds the group,
 * or a shard of it.
 */
void cmdi_group_shard_nudge(struct cmdi_group_shard *group_shard, enum cmdi_nudge what);

static inline struct cmdi_group_shard *cmdi_group_shard_of(const struct cmdi_client *client)
{
    return CMDI_CONTAINER(client->client_shard, struct cmdi_group_shard, client_shard);
}
/**
 * The group shard of the shard that runs the caller; an inline runtime: of its thread. Returns:
 * NULL on all other threads.
 */
struct cmdi_group_shard *cmdi_group_here(const struct cmds_group *group);
/** A hold_count is given back; the last one ends the group shard. Thread: its shard. */
void cmdi_group_shard_drop(struct cmdi_group_shard *group_shard);

/* --- send.c ----------------------------------------------------------------------------------- */

/**
 * Checks the command and measures it. `out` lacks callback, deadline and ticket. Returns: 0;
 * CMDS_E_WRONG_TYPE, CMDS_E_LIMIT.
 */
int cmdi_group_measure(
        const struct cmds_group *group, struct cmds_message message, struct cmdi_command *out);
/**
 * To one of the group shard's own clients; *client is which. Thread: its shard. Returns: as
 * cmds_group_send.
 */
int cmdi_group_shard_send(struct cmdi_group_shard *group_shard, const struct cmdi_command *command,
        uint64_t key, struct cmdi_client **client);
/** The client's state has changed. */
void cmdi_group_shard_recount(struct cmdi_group_shard *group_shard, struct cmdi_client *client);
/** Asks the strategy. Returns: an index into `list`, which is not empty. Thread: its shard. */
uint32_t cmdi_group_shard_pick(struct cmdi_group_shard *group_shard, uint64_t key);
/** A command of this kind, with a body of this size, was refused: on_writable is owed. */
void cmdi_group_shard_refused(
        struct cmdi_group_shard *group_shard, enum cmdi_room room, size_t body_size);
/**
 * Is there room with one of those that take commands now, for one that was refused? Thread: shard.
 */
bool cmdi_group_shard_has_room(const struct cmdi_group_shard *group_shard);

/* --- wait.c ----------------------------------------------------------------------------------- */

/** Everybody who waits looks again. Thread: any. */
void cmdi_group_wake(struct cmds_group *group);

/* --- forward.c -------------------------------------------------------------------------------- */

/** Sends those that wait, as far as there is room. */
void cmdi_forward_feed(struct cmdi_group_shard *group_shard);
/** Ends those that wait: the group is closed, or no connection is left. */
void cmdi_forward_end_waiting(struct cmdi_group_shard *group_shard, int error, const char *text);

#endif

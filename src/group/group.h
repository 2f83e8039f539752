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
 * `refs`. The thread that gives back the last one ends the group, so that nobody enters it any
 * more, and sends `end_mail` to shard 0, which calls on_closed; then the mail goes round all shards,
 * so that whatever had begun on any of them is over, and all that hangs on the group is freed.
 *
 * Memory. What is left, the struct itself, is counted by `handles`: one is the opener's, which
 * close takes, others are given by cmds_group_ref(), and one is the runtime's, which keeps the
 * structs of the groups that ended last until it stops. So a thread that learns too late that
 * the group was closed reads `state` and `refs`, and not what was freed.
 *
 * The files, lowest first, each of which calls only those before it: ref, spread, directory,
 * endpoints, health, breaker, strategies, dispatch, hooks, options, stock, guard (breakers of endpoints),
 * track (what hooks and breaker keep of a command), send (a command finds its connection), stats, connection, endpoint (what a program
 * sees of one), wait, attempt (a command waits for room), resend (one is sent again), command (what the
 * program sends), straight (most of it), courier, forward, group_shard, group, sender, stream.
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
#include "group/dispatch.h"
#include "group/endpoints.h"
#include "group/guard.h"
#include "group/track.h"
#include "shard/runtime.h"
#include "telemetry/scope.h"

/** What a sender or a cmds_test has beyond what a program has. All may be NULL. On a shard. */
struct cmdi_group_owner_ops {
    void (*on_room)(void *context); // Whenever on_writable would be called.
    // Later than on_closed: no shard is inside any callback of the group, which is freed.
    void (*on_gone)(void *context);
    void *context;
    // Of its connections, until on_gone. NULL: sockets. A stepped runtime has no other.
    const struct cmdi_transport *transport;
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
#define CMDI_GROUP_NOBODY UINT32_C(0x80000000)

enum cmdi_group_state {
    CMDI_GROUP_OPEN,
    CMDI_GROUP_CLOSING, // Commands are refused; linger_ms is valid, and the parts close.
    CMDI_GROUP_ENDED,   // `refs` says that nobody is inside; end_mail is on its way to shard 0.
    CMDI_GROUP_CLOSED,  // Every on_closed was or is being called; end_mail goes round.
};

struct cmdi_connection_view;
struct cmdi_group_shard;

struct cmds_group {
    struct cmdi_service service;
    struct cmds_runtime *runtime;      // Lives as long as somebody is inside.
    bool has_threads;                  // Its shards have.
    uint32_t fork_count;               // As the runtime's, which may be gone.
    struct cmds_group_options options; // Defaults filled in; strings are ours.
    struct cmdi_client_config *config;
    struct cmdi_scope *scope;   // The runtime's.
    struct cmdi_ledger *ledger; // The scope's. NULL: none is kept.
    struct cmdi_tally tally;    // Of what no shard counts.
    bool picks_kept;            // second_choices has those of the pickers. Under the scope's lock.
    struct cmdi_type_table commands, results;
    struct cmdi_tickets tickets;
    struct cmdi_group_shard **shards; // One per shard of the runtime.
    uint32_t shard_count;
    struct cmdi_client **clients;       // All of them, by number.
    struct cmdi_connection_view *views; // Of each. Under the lock.
    struct cmdi_endpoints endpoints;
    _Atomic uint32_t list_version; // How often the list of endpoints has changed.

    struct cmdi_guard guard;
    struct cmdi_tracker tracker;
    struct cmdi_stock track_stock, resend_stock; // Of threads that are no shard of ours.

    struct cmdi_group_owner_ops owner_ops; // Of the one above it.

    _Atomic uint32_t state; // enum cmdi_group_state; see cmdi_group_move().
    _Atomic uint32_t up_count, connecting_count;
    // Forwards on their way to the shard that sends them: pending, and on none.
    _Atomic uint32_t under_way;
    // Commands that went to another shard: after they counted there or as under way, before they do not here.
    _Atomic uint32_t moves;
    _Atomic uint64_t refused_elsewhere; // sends_refused, by threads that are no shard of ours.
    _Atomic uint64_t pick_count;     // Picks by threads that are no shard of ours, and of forwards.
    _Atomic uint64_t second_choices; // Of sticky, by those threads.
    pthread_mutex_t picker_lock;
    struct cmdi_picker picker; // For those threads. Under picker_lock, if it has a state.
    _Atomic bool takes_turns;  // They do: see cmdi_group_wants_turns(). Set by the first shard.
    _Atomic uint32_t refs;     // And CMDI_GROUP_NOBODY.
    _Atomic uint32_t handles;
    _Atomic uint32_t opener_gone; // Its handle has been taken.
    uint32_t linger_ms; // Set by the one that began to close it, before it nudges the parts.

    pthread_mutex_t lock;
    // Of the first connection that was lost or failed. Under the lock.
    struct cmds_error first_error;
    struct cmdi_list waiters; // struct group_waiter of wait.c. Under the lock.

    // Newest first; once all have been called, a mark that says so.
    _Atomic(struct cmdi_group_closer *) closers;
    struct cmdi_group_closer opener; // Of the first close: it needs no memory.
    struct cmdi_mail end_mail;
    uint32_t end_round;          // Shards that end_mail has been to. Its own.
    _Atomic uint32_t end_posted; // Whoever sent it first does not touch the runtime any more.
    _Atomic uint32_t gone;       // Futex: only the struct is left, for the end of the runtime.
};

/** As cmds_group_open; copies owner_ops. */
int cmdi_group_open(struct cmds_group **group, struct cmds_runtime *runtime,
        const struct cmds_group_options *options, const struct cmdi_group_owner_ops *owner_ops,
        struct cmds_error *error);

/** Begins to close it. Thread: any. Returns: false: it is closing or has ended already. */
bool cmdi_group_begin_close(struct cmds_group *group, uint32_t linger_ms);

#endif

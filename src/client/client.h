/* SPDX-License-Identifier: MIT */
/*
 * A client: one connection of a group to its server, on one shard, and the commands that wait for
 * an answer on it.
 *
 *     other threads -> inbox (locked) --mail--> shard --+-> output of the connection
 *                                                       +-> backlog
 *
 * The output takes a command if the connection is up and nothing waits before it; the backlog takes
 * it while the connection comes up, is full, or others wait already.
 *
 * Every command that the shard has taken is in the pending table, with its sequence, whether it has
 * been written or not; the backlog holds those that have not. So a deadline or a forget finds each
 * of them in one place, and a command that never left this process (CMDS_E_NOT_SENT) is
 * distinguished from one that may have been executed (CMDS_E_LOST).
 *
 * The client outlives its connections: `conn` is made anew for each address that is tried. Therefore
 * the inbox is the client's, not the connection's. Only the functions marked "Thread: any" may be
 * called off the shard.
 *
 * This is the object. What is done with it, each file using only those above it:
 *
 *     config        the options of the user, as a client needs them
 *     client_shard  what the clients of one shard share; the place where every result is reported
 *     entry         into the pending table and out of it
 *     memory        what a client holds
 *     send          commands of the shard, the backlog
 *     finish        ends: deadlines, forgets, the end of the connection
 *     receive       results
 *     pause         the program's pauses
 *     inbox         commands of other threads
 *     handover      commands that wait here go to a client that is up
 *     room          would a command be taken?
 *     state         the moves from one to another
 *     leave         from one server to another without a loss
 *     life          attempts, keepalive, states
 */
#ifndef CMDI_CLIENT_CLIENT_H
#define CMDI_CLIENT_CLIENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <cmdstream/client.h>

#include "client/attempts.h"
#include "client/backoff.h"
#include "client/client_shard.h"
#include "client/extra.h"
#include "client/keepalive.h"
#include "client/latency.h"
#include "client/pending.h"
#include "client/queue.h"
#include "conn/conn.h"
#include "net/endpoint.h"
#include "shard/inbox.h"

/** What each state is, which fields are valid in it, and what state_timer is for. */
enum cmdi_client_state {
    /**
     * No address is known. Commands wait in the backlog. Timer, once it has begun: the end of
     * `attempts`. Up to UP each state is one of those in which it may come up.
     */
    CMDI_CLIENT_RESOLVE,
    /**
     * `conn` connects to targets->list[target], and with TLS shakes hands; or is closing because it
     * could not. Commands wait. Timer: the end of this attempt.
     */
    CMDI_CLIENT_CONNECT,
    /** `conn` is connected, and its ServerInfo is to come. Else as CONNECT; it is one attempt. */
    CMDI_CLIENT_SERVER_INFO,
    /**
     * It was lost, or a round of attempts has failed: `error` says why, and when the next round
     * begins. Commands wait. `conn` is valid while conn_live: it is closing. Timer: the next round.
     */
    CMDI_CLIENT_WAITING,
    /**
     * It is up, and goes to another endpoint as soon as nobody waits for what was written: answers are
     * read, commands wait. Then `conn` ends in order: is_finishing. Timer: is anybody left, or the next
     * look of the keepalive.
     */
    CMDI_CLIENT_LEAVING,
    /**
     * Commands are written. `keepalive` is valid unless keepalive_ms is CMDS_NEVER. Timer: the next
     * look of the keepalive.
     */
    CMDI_CLIENT_UP,
    /**
     * For good. `error` says why, and does not change any more. Commands are refused, and none is
     * pending but those whose callback is due. `conn` is valid while conn_live: it is closing.
     * Timer, when the client was closed in order: the end of the server's time to let go.
     */
    CMDI_CLIENT_DOWN,
};

/** A command on its way in. Built on the stack. */
#define CMDI_BEGUN_ELSEWHERE UINT64_MAX
#define CMDI_NOT_MEASURED    SIZE_MAX
struct cmdi_command {
    const struct cmds_type *type;
    uint32_t place;    // Of the type in the protocol.
    const void *value; // NULL: `body` is it, encoded.
    const uint8_t *body;
    size_t body_size;    // Encoded. CMDI_NOT_MEASURED: see cmdi_group_name().
    uint32_t *size_seen; // Gets body_size before anybody else has the command. NULL: nobody asks.
    cmds_result_fn on_result; // NULL: no result ever comes.
    void *context;
    uint64_t deadline_ms;             // CLOCK_MONOTONIC; UINT64_MAX: none.
    struct cmdi_pending_extra *extra; // NULL: none. The client takes it if it takes the command.
    // When it was sent. 0: now; CMDI_BEGUN_ELSEWHERE: others count its end.
    uint64_t begun_ns;
    bool is_moved; // It was another client's already: its ticket is known, and may be forgotten.
};

struct cmdi_client {
    struct cmdi_conn conn; // First. Valid with conn_live.
    struct cmdi_client_shard *client_shard;

    /*
     * Per command. The atomics are written by the shard, but for `queued`, which others add to.
     */
    _Atomic uint32_t state;     // enum cmdi_client_state
    _Atomic uint32_t in_flight; // Entries of the table.
    _Atomic uint32_t queued;    // Of the inbox, until they are in the table.
    struct cmdi_latency latency;
    _Atomic uint32_t answered;    // Commands that have had a result; it turns over.
    _Atomic uint32_t answered_ms; // The clock's low half, when one had.
    uint32_t waiting;       // Entries that have not been written: their records are in the backlog.
    uint64_t sequence;      // The last one given.
    uint64_t sequence_sent; // The last one written.
    struct cmdi_pending *ended, **ended_tail; // Callbacks that are due.
    uint64_t deadline_next_ms;                // When deadline_timer fires; UINT64_MAX: not armed.
    struct cmdi_queue backlog;
    _Atomic size_t backlog_size; // Of the backlog and the output, as other threads know it.
    struct cmdi_pending_table table;
    uint64_t deadline_mark; // Of cmdi_conn_has_run: what has come is run before a deadline is over.

    struct cmdi_work ended_work;
    struct cmdi_timer deadline_timer;

    /* Other threads. */
    _Atomic uint32_t pauses; // By the program: while there are any, nothing is read. See pause.h.
    struct cmdi_inbox_room inbox_room; // Its own: each command of another thread takes the lock.
    struct cmdi_inbox inbox;           // Of struct cmdi_record.
    uint32_t inbox_count;              // Its records that are to be answered. Under its lock.
    uint32_t inbox_promised;           // Those that are being written. Under its lock.

    /* Life. */
    uint32_t number;                   // In the group.
    enum cmdi_client_state counted_as; // The owner of client_shard counts it in this state.
    // Where it goes; a count of its own. NULL: nobody knows yet. Others may look: see endpoint.h.
    _Atomic(struct cmdi_endpoint *) endpoint;
    struct cmdi_endpoint *endpoint_next; // In the next round. NULL: the same. A count of its own.
    struct cmdi_targets *targets;        // Of this round; a count of its own. NULL: not known yet.
    uint32_t target;                     // The one of them that is being tried, or is connected.
    bool conn_live;                      // From init to on_closed.
    bool is_closing;
    bool has_lost;                 // Its last connection ended with commands in flight.
    bool is_retry_due;             // In WAITING: only the end of the old connection is waited for.
    bool is_hopeless;              // Another round would end as the last one did.
    struct cmdi_attempts attempts; // Of this round.
    struct cmdi_backoff backoff;
    uint64_t retry_at_ms;   // In WAITING.
    uint64_t look_at_ms;    // In UP and LEAVING: the keepalive's next look.
    uint32_t leave_look_ms; // In LEAVING: how long until the next look whether anybody is left.
    bool is_finishing;      // In LEAVING.
    struct cmdi_keepalive keepalive;
    uint64_t pinged_ns;            // When a ping was written whose answer tells the time; 0: none.
    uint32_t answered_seen;        // For the health of its endpoint, under the lock of that.
    _Atomic uint32_t rtt_us;       // Of the last ping that was answered; 0: none was.
    struct cmdi_timer state_timer; // See enum cmdi_client_state.
    struct cmds_error error;       // Why it is not up, once it had been or a round has failed.
    struct cmds_error round_error; // Of the round that goes on, or the connection that ends.
};

static inline enum cmdi_client_state cmdi_client_state(const struct cmdi_client *client)
{
    return (enum cmdi_client_state)atomic_load_explicit(&client->state, memory_order_acquire);
}
static inline uint32_t cmdi_client_load(const struct cmdi_client *client)
{
    return atomic_load_explicit(&client->in_flight, memory_order_relaxed) +
           atomic_load_explicit(&client->queued, memory_order_relaxed);
}
/** Where it goes; NULL: nobody knows yet. Off the shard only what is atomic in it. */
static inline struct cmdi_endpoint *cmdi_client_endpoint(const struct cmdi_client *client)
{
    return atomic_load_explicit(&client->endpoint, memory_order_acquire);
}
/** As the shard sees it. */
static inline bool cmdi_client_is_up(const struct cmdi_client *client)
{
    return atomic_load_explicit(&client->state, memory_order_relaxed) == CMDI_CLIENT_UP;
}

#endif

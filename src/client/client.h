/* SPDX-License-Identifier: MIT */
/*
 * A client: one connection of a group to its server, on one shard, and the commands that wait for
 * an answer on it.
 *
 *     other threads -> inbox (locked) --mail--> shard --+-> output of the connection      up, and nothing waits before it
 *                                                       +-> backlog                       connecting, full, or behind others
 *
 * Every command that the shard has taken is in the pending table, with its sequence, whether it has
 * been written or not; the backlog holds those that have not. So a deadline or a forget finds each
 * of them in one place, and what never left this process is told apart (CMDS_E_NOT_SENT) from what
 * may have been executed (CMDS_E_LOST).
 *
 * The client outlives its connection: `conn` is made anew for each address that is tried. Therefore
 * the inbox is the client's, not the connection's. Only the functions marked "Thread: any" may be
 * called off the shard.
 *
 *     RESOLVE -> CONNECT -> SERVER_INFO -> UP -> DOWN
 *
 * CONNECT and SERVER_INFO go back to CONNECT for the next address.
 */
#ifndef CMDI_CLIENT_CLIENT_H
#define CMDI_CLIENT_CLIENT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <cmdstream/client.h>
#include <cmdstream/codec.h>

#include "base/assert.h"
#include "base/pool.h"
#include "client/attempts.h"
#include "client/extra.h"
#include "client/keepalive.h"
#include "client/pending.h"
#include "client/queue.h"
#include "codec/arena.h"
#include "codec/protocol.h"
#include "conn/conn.h"
#include "net/targets.h"

struct cmdi_client;
struct cmdi_client_shard;

/** What each state is, which fields are valid in it, and what state_timer is for. */
enum cmdi_client_state {
    /**
     * No address is known. Commands wait in the backlog. Timer, once it has begun: the end of
     * `attempts`.
     */
    CMDI_CLIENT_RESOLVE,
    /**
     * `conn` connects to targets->list[target], or is closing because it could not. Commands wait.
     * Timer: the end of this attempt.
     */
    CMDI_CLIENT_CONNECT,
    /** `conn` is connected, and its ServerInfo is to come. Else as CONNECT; it is one attempt. */
    CMDI_CLIENT_SERVER_INFO,
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

/** From where a command comes, and whether it takes a place in the window. */
enum cmdi_room {
    CMDI_ROOM_HERE, // Its client's shard.
    CMDI_ROOM_HERE_ONE_WAY,
    CMDI_ROOM_ELSEWHERE,
    CMDI_ROOM_ELSEWHERE_ONE_WAY,
    CMDI_ROOM_COUNT,
};
static inline enum cmdi_room cmdi_room_of(bool is_here, bool one_way)
{
    return (enum cmdi_room)((is_here ? CMDI_ROOM_HERE : CMDI_ROOM_ELSEWHERE) + one_way);
}

/** What clients tell their group. On their shard, none inside a public function. */
struct cmdi_client_ops {
    /** The state is UP, or DOWN and client->error says why. */
    void (*on_state)(struct cmdi_client *client, bool connected);
    /** A result that nobody waits for. */
    void (*on_unexpected)(struct cmdi_client *client, const struct cmds_result *result);
    /**
     * A window or an output that was full has room; only while client_shard->wants_room. Called
     * often: schedule.
     */
    void (*on_room)(struct cmdi_client_shard *client_shard);
    /** client_shard->pending fell to 0; only while client_shard->wants_idle. */
    void (*on_idle)(struct cmdi_client_shard *client_shard);
    /** After cmdi_client_close: nothing of the client is used any more. */
    void (*on_closed)(struct cmdi_client *client);
    /**
     * A message about a client is under way: the memory must stay until release. hold: any thread.
     */
    void (*hold)(struct cmdi_client_shard *client_shard);
    void (*release)(struct cmdi_client_shard *client_shard);
};

/** The same for all clients of a group. Constant. */
struct cmdi_client_config {
    const struct cmdi_client_ops *ops;
    const struct cmds_codec *codec;
    const struct cmdi_type_table *results;
    struct cmdi_tickets *tickets;
    const struct cmdi_transport *transport;
    const char *connect; // As the user wrote it.
    struct cmds_bytes server_info;
    struct cmdi_conn_limits limits;
    uint64_t decode_size_max;
    uint32_t in_flight_max;
    uint32_t connect_timeout_ms;
    uint32_t keepalive_ms, keepalive_interval_ms;
};

/** What the clients of one group on one shard share. The shard's, but for what is atomic. */
struct cmdi_client_shard {
    struct cmdi_shard *shard;
    const struct cmdi_client_config *config;
    struct cmdi_pool pool;    // struct cmdi_pending
    struct cmds_arena arena;  // Of the result that is being told.
    bool wants_room;          // Somebody was refused: tell on_room.
    bool wants_idle;          // Somebody waits for pending to be 0: tell on_idle.
    _Atomic uint64_t pending; // Commands without their last result. Written by the shard.
};

/** A command on its way in. Built on the stack. */
struct cmdi_command {
    const struct cmds_type *type;
    const void *value; // NULL: `body` is it, encoded.
    const uint8_t *body;
    size_t body_size;         // Encoded.
    cmds_result_fn on_result; // NULL: no result ever comes.
    void *context;
    uint64_t deadline_ms;             // CLOCK_MONOTONIC; UINT64_MAX: none.
    struct cmdi_pending_extra *extra; // NULL: none. The client takes it if it takes the command.
};

struct cmdi_client {
    struct cmdi_client_shard *client_shard;
    struct cmdi_conn conn; // Valid with conn_live.

    /*
     * Per command. The atomics are written by the shard, but for `queued`, which others add to.
     */
    _Atomic uint32_t state;     // enum cmdi_client_state
    _Atomic uint32_t in_flight; // Entries of the table.
    _Atomic uint32_t queued;    // Of the inbox, until they are in the table.
    uint32_t waiting;       // Entries that have not been written: their records are in the backlog.
    uint64_t sequence;      // The last one given.
    uint64_t sequence_sent; // The last one written.
    uint64_t deadline_next_ms; // When deadline_timer fires; UINT64_MAX: not armed.
    uint64_t deadline_mark; // Of cmdi_conn_has_run: what has come is run before a deadline is over.
    struct cmdi_pending_table table;
    struct cmdi_queue backlog;
    _Atomic size_t backlog_size; // Of the backlog and the output, as other threads know it.
    _Atomic size_t inbox_size;   // Of the inbox, as the shard knows it. Under the inbox's lock.

    struct cmdi_pending *ended, **ended_tail; // Callbacks that are due.
    struct cmdi_work ended_work;
    struct cmdi_timer deadline_timer;

    /* Other threads. */
    pthread_mutex_t inbox_lock;
    struct cmdi_queue inbox; // Under the lock.
    uint32_t inbox_count;    // Its records that are to be answered. Under the lock.
    struct cmdi_queue taken; // The shard's: what was the inbox.
    struct cmdi_mail inbox_mail;
    bool inbox_posted, inbox_closed; // Under the lock.

    /* Life. */
    uint32_t number;              // In the group.
    uint32_t order;               // The owner of client_shard keeps its place in a list here.
    struct cmdi_targets *targets; // A count of its own. NULL: not known yet.
    uint32_t target;              // The one of them that is being tried, or is connected.
    bool conn_live;               // From init to on_closed.
    bool is_closing;
    struct cmdi_attempts attempts;
    struct cmdi_keepalive keepalive;
    struct cmdi_timer state_timer; // See enum cmdi_client_state.
    struct cmds_error error;
};

void cmdi_client_shard_init(struct cmdi_client_shard *client_shard, struct cmdi_shard *shard,
        const struct cmdi_client_config *config);
/** All its clients are closed. */
void cmdi_client_shard_fini(struct cmdi_client_shard *client_shard);
/** The shard's clock: the turn's, or, on a shard that is between two turns, the real one. */
uint64_t cmdi_client_shard_now_ms(const struct cmdi_client_shard *client_shard);
/*
 * `pending` has one writer, the shard, so an addition needs no locked instruction; release, so that
 * whoever sees 0 sees what the callbacks did.
 */
static inline uint64_t cmdi_client_shard_add(struct cmdi_client_shard *client_shard, uint64_t more)
{
    uint64_t pending = atomic_load_explicit(&client_shard->pending, memory_order_relaxed) + more;
    atomic_store_explicit(&client_shard->pending, pending, memory_order_release);
    return pending;
}
/** A command was accepted: it ends in cmdi_client_shard_tell(). */
static inline void cmdi_client_shard_count(struct cmdi_client_shard *client_shard)
{
    (void)cmdi_client_shard_add(client_shard, 1);
}
/** A command that was counted already was counted once more, by the send that took it. No end. */
static inline void cmdi_client_shard_counted_twice(struct cmdi_client_shard *client_shard)
{
    uint64_t pending = cmdi_client_shard_add(client_shard, (uint64_t)-1);
    CMDI_ASSERT(pending > 0 && pending != UINT64_MAX);
}
/**
 * Tells a result of a command that was counted. With `last`, which is result->last, the command is
 * over. This is the only place where the callback of a command is called, and the only one where a
 * command stops to be pending; the callback is the last thing that knows it, so whatever else is the
 * command's has been let go of before. A send that is refused comes here never: it returns a code.
 */
static inline void cmdi_client_shard_tell(struct cmdi_client_shard *client_shard,
        cmds_result_fn on_result, void *context, const struct cmds_result *result, bool last)
{
    CMDI_ASSERT_SLOW(result->last == last);
    on_result(context, result);
    if (last) {
        uint64_t pending = cmdi_client_shard_add(client_shard, (uint64_t)-1);
        CMDI_ASSERT_SLOW(pending != UINT64_MAX);
        if (CMDI_UNLIKELY(client_shard->wants_idle) && pending == 0) {
            client_shard->config->ops->on_idle(client_shard);
        }
    }
}

/** State RESOLVE; commands are taken from here on. Thread: any. */
void cmdi_client_init(
        struct cmdi_client *client, struct cmdi_client_shard *client_shard, uint32_t number);
/** After on_closed, or if it was never started. Thread: any. */
void cmdi_client_fini(struct cmdi_client *client);
/** The time for connecting begins, unless it has. */
void cmdi_client_start(struct cmdi_client *client);
/**
 * The addresses are known, or why there are none: starts, and tries the first one. Takes a count of
 * `targets`.
 */
void cmdi_client_connect(struct cmdi_client *client, struct cmdi_targets *targets);
/**
 * Ends everything with CMDS_E_CLOSED; ops->on_closed when it is over, perhaps before this returns.
 * A connection that owes and is owed nothing ends in order, if that takes no longer than
 * `linger_ms`; all others at once. Never inside a callback.
 */
void cmdi_client_close(struct cmdi_client *client, uint32_t linger_ms);

static inline enum cmdi_client_state cmdi_client_state(const struct cmdi_client *client)
{
    return (enum cmdi_client_state)atomic_load_explicit(&client->state, memory_order_acquire);
}
static inline uint32_t cmdi_client_load(const struct cmdi_client *client)
{
    return atomic_load_explicit(&client->in_flight, memory_order_relaxed) +
           atomic_load_explicit(&client->queued, memory_order_relaxed);
}
/**
 * Would a command with a body of this size be taken now? By the same rule as the sends below, so
 * that nobody is told of room where the next send is refused. Thread: shard.
 */
bool cmdi_client_has_room(struct cmdi_client *client, enum cmdi_room room, size_t body_size);

/**
 * Writes the command, or lets it wait for the connection; client->sequence is its sequence then.
 *
 * Returns: 0; -ENOBUFS: the window or the output is full; CMDS_E_NOT_CONNECTED; -ENOMEM.
 */
int cmdi_client_send(struct cmdi_client *client, const struct cmdi_command *command);
/** The same from another thread. Thread: any. Returns: as cmdi_client_send. */
int cmdi_client_send_foreign(struct cmdi_client *client, const struct cmdi_command *command);
/**
 * Its callback will run with CMDS_E_CANCELLED, not inside this. Returns: 0; -ENOENT: nobody waits
 * for it.
 */
int cmdi_client_forget(struct cmdi_client *client, uint64_t sequence);
/** The same for a ticket that was marked; the callback runs inside this. */
void cmdi_client_forget_ticket(struct cmdi_client *client, struct cmdi_ticket *ticket);

/* --- Between the files of this folder --------------------------------------------------------- */

extern const struct cmdi_conn_ops cmdi_client_conn_ops;

int64_t cmdi_client_on_frame(struct cmdi_conn *conn, const struct cmdi_frame *frame);
/** Ends all that is pending, and what waits in the inbox, which is closed. The state is DOWN. */
void cmdi_client_end_all(struct cmdi_client *client);
/** Writes what waits, as far as there is room. */
void cmdi_client_write_backlog(struct cmdi_client *client);
/** Other threads learn how much waits for the connection. */
void cmdi_client_publish_size(struct cmdi_client *client);
/** Bytes of its queues, as cmdi_conn_ops.held. */
size_t cmdi_client_held(const struct cmdi_conn *conn);
/** Gives back memory that an idle connection does not need. */
void cmdi_client_trim(struct cmdi_client *client);
void cmdi_client_on_inbox(struct cmdi_shard *shard, struct cmdi_mail *mail);
void cmdi_client_on_deadline(struct cmdi_timer *timer, uint64_t now_ms);
void cmdi_client_on_ended(struct cmdi_shard *shard, struct cmdi_work *work);
void cmdi_client_on_state_timer(struct cmdi_timer *timer, uint64_t now_ms);

#endif

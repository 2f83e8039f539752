/* SPDX-License-Identifier: MIT */
/*
 * What the clients of one group on one shard share: the memory of pending
 * commands and of results, and the count of commands that have not ended.
 *
 * Every result reaches its callback in cmdi_client_shard_tell() and nowhere else, and a command
 * that was accepted ends there.
 */
#ifndef CMDI_CLIENT_CLIENT_SHARD_H
#define CMDI_CLIENT_CLIENT_SHARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <cmdstream/client.h>
#include <cmdstream/codec.h>

#include "base/assert.h"
#include "base/count.h"
#include "base/pool.h"
#include "client/config.h"
#include "codec/arena.h"

struct cmdi_client;
struct cmdi_client_shard;
struct cmdi_ledger_shard;
struct cmdi_endpoint;
struct cmdi_pending;
struct cmdi_type_entry;

/** What clients tell their group. On their shard, none inside a public function. */
struct cmdi_client_ops {
    /**
     * The state is UP; DOWN or WAITING, and client->error says why; or another round begins, and
     * with RESOLVE it has no addresses.
     */
    void (*on_state)(struct cmdi_client *client);
    /**
     * The server is another one than it should be. Returns: the endpoint to go to instead, with a count
     * that the client takes; NULL: there is none, and it is down for good.
     */
    struct cmdi_endpoint *(*on_stranger)(struct cmdi_client *client);
    /** A command's deadline has passed, so long after it was sent, and there was no result. */
    void (*on_timeout)(struct cmdi_client *client, uint32_t took_ms);
    /** There was a result; only while the endpoint has failures. */
    void (*on_answer)(struct cmdi_client *client);
    /** A result that nobody waits for. */
    void (*on_unexpected)(struct cmdi_client *client, const struct cmds_result *result);
    /**
     * A window or an output that was full has room; only while client_shard->wants_room. Called
     * often: schedule.
     */
    void (*on_room)(struct cmdi_client_shard *client_shard);
    /**
     * Commands wait for a client that is not up, and could go to another one. Called often:
     * schedule.
     */
    void (*on_backlog)(struct cmdi_client_shard *client_shard);
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

struct cmdi_client_counters {
    struct cmdi_conn_counters conn;
#define CMDI_X_(kind, name, meaning) uint64_t name;
    CMDS_GROUP_OWN_COUNTERS_(CMDI_X_)
#undef CMDI_X_
    struct cmdi_tls_counters tls;
#define CMDI_X_(kind, name, meaning) uint64_t name;
    CMDS_GROUP_PRESSURE_COUNTERS_(CMDI_X_)
    CMDS_GROUP_AGAIN_COUNTERS_(CMDI_X_)
    CMDS_GROUP_NOW_COUNTERS_(CMDI_X_)
#undef CMDI_X_
};

/*
 * The last result that did not end its command, and what it took to know it. Valid as long as `alike` of its
 * connection is set: then the next result is of the same command, type and size.
 */
struct cmdi_client_alike {
    struct cmdi_pending *entry;
    const struct cmdi_type_entry *row;
    struct cmds_result result; // As it was reported. Its value is where the arena begins.
    uint8_t *arena_at;         // Behind it.
};

/** What the clients of one group on one shard share. The shard's, but for what is atomic. */
struct cmdi_client_shard {
    struct cmdi_shard *shard;
    const struct cmdi_client_config *config;
    struct cmdi_pool pool;   // struct cmdi_pending
    struct cmds_arena arena; // Of the result that is being reported.
    struct cmdi_client_counters counters;
    struct cmdi_ledger_shard *ledger; // Of its commands. NULL: none is kept.
    bool wants_room;                  // Somebody was refused: tell on_room.
    bool wants_idle;                  // Somebody waits for pending to be 0: tell on_idle.
    _Atomic uint64_t pending;         // Commands without their last result. Written by the shard.
    // Of these, those that are sent again, and how many of them there may be before other threads have
    // to wait for them. They are in no window while they wait. Written by the shard; constant.
    _Atomic uint32_t again_count;
    uint32_t again_max;
    struct cmdi_client_alike alike;
};

void cmdi_client_shard_init(struct cmdi_client_shard *client_shard, struct cmdi_shard *shard,
        const struct cmdi_client_config *config);
/** All its clients are closed. */
void cmdi_client_shard_fini(struct cmdi_client_shard *client_shard);
/** The shard's clock: the turn's, or, on a shard that is between two turns, the real one. */
static inline uint64_t cmdi_client_shard_now_ms(const struct cmdi_client_shard *client_shard)
{
    return cmdi_shard_clock_ms(client_shard->shard);
}
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
    CMDI_ASSERT(pending != UINT64_MAX);
    if (client_shard->wants_idle && pending == 0) {
        client_shard->config->ops->on_idle(client_shard); // It is another shard's now.
    }
}
/** May a command of another thread have a place in a window before those that are sent again? */
static inline bool cmdi_client_shard_may_add(const struct cmdi_client_shard *client_shard)
{
    return atomic_load_explicit(&client_shard->again_count, memory_order_relaxed) <
           client_shard->again_max;
}
/** One more of them, or one less, for which somebody may have waited. */
static inline void cmdi_client_shard_count_again(struct cmdi_client_shard *client_shard)
{
    uint32_t before = atomic_load_explicit(&client_shard->again_count, memory_order_relaxed);
    atomic_store_explicit(&client_shard->again_count, before + 1, memory_order_relaxed);
}
static inline void cmdi_client_shard_uncount_again(struct cmdi_client_shard *client_shard)
{
    uint32_t before = atomic_load_explicit(&client_shard->again_count, memory_order_relaxed);
    CMDI_ASSERT(before > 0);
    atomic_store_explicit(&client_shard->again_count, before - 1, memory_order_relaxed);
    if (before == client_shard->again_max && client_shard->wants_room) {
        client_shard->config->ops->on_room(client_shard);
    }
}
/**
 * Tells a result of a command that was counted. With `last`, which is result->last, the command is
 * over. This is the only place where the callback of a command is called, and the only one where a
 * command stops to be pending; the callback is the last thing that knows it, so whatever else is
 * the command's has been let go of before. A send that is refused comes here never: it returns a
 * code.
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

#endif

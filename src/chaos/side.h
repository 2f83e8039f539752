/* SPDX-License-Identifier: MIT */
/*
 * One socket of a proxied connection, and its operations on the shard's ring. It knows nothing of what
 * is moved where. Everything here is for the shard's thread.
 *
 * Each operation is in flight once at most, completes once, and never inside the call that began it.
 */
#ifndef CMDI_CHAOS_SIDE_H
#define CMDI_CHAOS_SIDE_H

#include <stdbool.h>
#include <stdint.h>

#include <cmdstream/base.h>

#include "ring/address.h"
#include "shard/shard.h"

struct cmdi_side;

/** Bits of what is in flight. */
enum cmdi_side_operation {
    CMDI_SIDE_CONNECT = 1,
    CMDI_SIDE_RECV = 2,
    CMDI_SIDE_SEND = 4,
    CMDI_SIDE_WATCH = 8,
};
/** What a watch has found, as bits. */
enum {
    CMDI_SIDE_FINISHED = 1, // The peer sends no more.
    CMDI_SIDE_FAILED = 2,   // The connection is no more.
};

/** None is called between cmdi_side_abort() and on_closed. */
struct cmdi_side_ops {
    void (*on_connected)(struct cmdi_side *side, int result); // 0; -errno.
    /** `bytes` are borrowed until the return; none: `result` is 0, the end, or -errno. */
    void (*on_received)(struct cmdi_side *side, int result, struct cmds_bytes bytes);
    void (*on_sent)(struct cmdi_side *side, int result); // How many; -errno.
    void (*on_watched)(struct cmdi_side *side, int events);
    /** The descriptor is closed, and nothing is in flight. Perhaps inside cmdi_side_abort(). */
    void (*on_closed)(struct cmdi_side *side);
};

struct cmdi_side {
    struct cmdi_shard *shard;
    const struct cmdi_side_ops *ops;
    int fd;             // -1: closed.
    uint32_t slot;      // Valid with fd.
    uint32_t in_flight; // Final completions to come, those of cancels included.
    uint8_t armed;      // enum cmdi_side_operation
    uint8_t index;      // The owner's: which one of its sides.
    bool aborted;
};

/** Closed. */
void cmdi_side_init(struct cmdi_side *side, struct cmdi_shard *shard,
        const struct cmdi_side_ops *ops, uint8_t index);
/** Takes `fd`, a connected socket, on success. Returns: 0; -ENOMEM. */
int cmdi_side_take(struct cmdi_side *side, int fd);
/** Begins to connect; on_connected says how it went. Returns: 0; -errno. */
int cmdi_side_connect(struct cmdi_side *side, const struct cmdi_address *address);

static inline bool cmdi_side_is_open(const struct cmdi_side *side)
{
    return side->fd >= 0;
}
static inline bool cmdi_side_does(const struct cmdi_side *side, enum cmdi_side_operation operation)
{
    return (side->armed & operation) != 0;
}
/** One buffer at most. */
void cmdi_side_recv(struct cmdi_side *side);
/** All of it. Owner: keeps `bytes` until on_sent, or on_closed. */
void cmdi_side_send(struct cmdi_side *side, struct cmds_bytes bytes);
/** Until the peer has finished, or the connection has failed. */
void cmdi_side_watch(struct cmdi_side *side);
/** A FIN, behind all that was sent. */
void cmdi_side_finish(struct cmdi_side *side);
/** Ends all of it. `reset`: the peer gets a reset, and what was not sent yet is dropped. */
void cmdi_side_abort(struct cmdi_side *side, bool reset);

#endif

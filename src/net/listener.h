/* SPDX-License-Identifier: MIT */
/*
 * A listening socket on one shard, and its accept: multishot, or one at a time if the owner wants
 * to decide about each.
 *
 *                          +--> RESTING --+                  after an error, up to a second
 *     CLOSED -> LISTENING -+--> ACCEPTING +-> STOPPING -> CLOSED
 *                          +--> PARKED ---+                  the owner takes none for now
 *
 * The accept is cancelled, and the descriptor closed when its last completion has come. A connection
 * that this completion brings is the owner's like any other. Then the socket is shut down: a child
 * that was forked has it too, and would keep the port, where nobody answers. Not so if it was
 * adopted or disowned: another process listens on it, and has what the kernel still queues.
 *
 * Of a UNIX socket the file belongs to the listener if it made it, and is removed when it stops.
 */
#ifndef CMDI_NET_LISTENER_H
#define CMDI_NET_LISTENER_H

#include <stdbool.h>
#include <stdint.h>

#include "net/address.h"
#include "ring/socket.h"
#include "shard/shard.h"

struct cmdi_listener;

/** What the owner learns. All on the shard, outside of the owner's own calls but for on_closed. */
struct cmdi_listener_ops {
    /** Takes `fd`. Also while STOPPING. */
    void (*on_accepted)(struct cmdi_listener *listener, int fd);
    /** Before an accept begins. Returns: false: PARKED until cmdi_listener_resume(). */
    bool (*may_accept)(struct cmdi_listener *listener);
    /** It rests for so long because of `code`, for instance -EMFILE. */
    void (*on_error)(struct cmdi_listener *listener, int code, uint32_t rest_ms);
    /** It is CLOSED. The last call; perhaps inside cmdi_listener_stop(). */
    void (*on_closed)(struct cmdi_listener *listener);
};

enum cmdi_listener_state {
    CMDI_LISTENER_CLOSED,    // fd is -1, and there is no slot.
    CMDI_LISTENER_LISTENING, // fd valid: the kernel queues connections. Nothing is started.
    CMDI_LISTENER_ACCEPTING, // An accept is in flight.
    CMDI_LISTENER_RESTING,   // `retry` is armed.
    CMDI_LISTENER_PARKED,    // Nothing is in flight.
    CMDI_LISTENER_STOPPING,  // The accept is being cancelled.
};

struct cmdi_listener {
    struct cmdi_shard *shard;
    const struct cmdi_listener_ops *ops;
    struct cmdi_address address;  // As bound: port 0 has become one. Constant once LISTENING.
    struct cmdi_socket_file file; // A UNIX path that we made.
    struct cmdi_timer retry;
    int fd;
    uint32_t slot; // Of the shard; UINT32_MAX: none.
    uint32_t rest_ms;
    uint8_t state;  // enum cmdi_listener_state
    bool once;      // One accept at a time.
    bool is_shared; // Another process listens on the socket, too.
};

/** State CLOSED; keeps `ops`. Thread: setup. */
void cmdi_listener_init(struct cmdi_listener *listener, struct cmdi_shard *shard,
        const struct cmdi_listener_ops *ops, bool once);
/**
 * Binds and listens: LISTENING. `keepalive_ms` as of cmdi_socket_open(). Thread: setup. Returns: 0;
 * -errno.
 */
int cmdi_listener_bind(struct cmdi_listener *listener, const struct cmdi_address *address,
        uint32_t backlog, bool reuse_port, uint32_t keepalive_ms, struct cmds_error *error);
/**
 * LISTENING on a socket that listens already, made elsewhere. It and its file are somebody else's.
 *
 * Owner:   takes `fd` on success.
 * Thread:  setup.
 * Returns: 0; -EINVAL: it is no listening stream socket; -errno.
 */
int cmdi_listener_adopt(struct cmdi_listener *listener, int fd, struct cmds_error *error);
/** Another process listens on from here on: stop and close leave the socket and the file to it. */
void cmdi_listener_disown(struct cmdi_listener *listener);
/** Closes one that is LISTENING; no op is called. Thread: setup. */
void cmdi_listener_close(struct cmdi_listener *listener);

/** Begins to accept. Thread: its shard. Returns: 0; -ENOMEM: it is LISTENING still. */
int cmdi_listener_start(struct cmdi_listener *listener);
/** The owner may take one again: accepts if it is PARKED. Thread: its shard. */
void cmdi_listener_resume(struct cmdi_listener *listener);
/** Accepts no more; ops->on_closed when it is CLOSED, if it was not. Thread: its shard. */
void cmdi_listener_stop(struct cmdi_listener *listener);

/** Nothing is accepted any more, or soon. */
static inline bool cmdi_listener_is_over(const struct cmdi_listener *listener)
{
    return listener->state == CMDI_LISTENER_CLOSED || listener->state == CMDI_LISTENER_STOPPING;
}

#endif

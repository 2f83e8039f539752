/* SPDX-License-Identifier: MIT */
/*
 * Connections over a real ring, where what is received are slices of the shard's buffers: the other
 * end of each is a socket into which a thread writes, and then shuts it.
 */
#ifndef CMDI_TESTS_SUPPORT_WIRES_H
#define CMDI_TESTS_SUPPORT_WIRES_H

#include <pthread.h>

#include "support/peer.h"

struct wire {
    struct peer peer; // First member.
    int fd;           // The other end.
    const uint8_t *data;
    size_t size;
    pthread_t writer;
};

/** These of its owner end a turn that would sleep, also on a shard with a thread. */
void wire_on_eof(struct cmdi_conn *conn);
void wire_on_closed(struct cmdi_conn *conn);

/**
 * Becomes the current one. With `thread` it sleeps as soon as nothing is left, as a shard's own
 * thread lets it do. Skips the program where there is no io_uring. Gives: wire_shard_free().
 */
struct cmdi_shard *wire_shard(
        uint32_t buffer_size, uint32_t count, uint32_t count_max, bool thread);
/** Asserts that nothing is left on it. */
void wire_shard_free(struct cmdi_shard *shard);
/** One turn. */
void wire_turn(struct cmdi_shard *shard);

/** A server's connection, and `data` on its way to it, borrowed until wire_close(). NULL: only `fd`. */
void wire_open(struct wire *wire, struct cmdi_shard *shard, const uint8_t *data, size_t size);
/** The same with a security layer. */
void wire_open_secured(struct wire *wire, struct cmdi_shard *shard, struct cmds_tls *tls,
        const uint8_t *data, size_t size);
/** Fails it, and takes turns until it is closed. */
void wire_close(struct wire *wire);

#endif

/* SPDX-License-Identifier: MIT */
/* The simulated ring as its own files see it: ring.c and ring_buffers.c. */
#ifndef CMDI_SIM_RING_INSIDE_H
#define CMDI_SIM_RING_INSIDE_H

#include "ring/ring.h"
#include "sim/net.h"

enum operation_kind {
    OPERATION_ACCEPT,
    OPERATION_CONNECT,
    OPERATION_RECV,
    OPERATION_SEND,
    OPERATION_WATCH,
    OPERATION_CANCEL,
};
struct operation {
    struct cmdi_list link; // ring->queued, armed or spare.
    struct cmdi_list work; // ring->work: it is ready.
    struct cmdi_sock_watch watch;
    struct cmdi_ring *ring;
    struct cmdi_sock *sock; // With a reference; NULL: queued, or a cancel.
    const uint8_t *data;    // SEND: the owner's, read until it completes.
    size_t size, done;
    uint64_t user_data, target;
    int fd;
    uint8_t kind; // enum operation_kind.
    bool once, finish, poll_first;
    struct cmdi_address address;
};

enum buffer_state {
    BUFFER_PROVIDED, // The kernel may fill it, or has, and nobody has harvested that.
    BUFFER_HELD,
    BUFFER_PARKED,
};

struct cmdi_ring {
    struct cmdi_ring_options options;
    struct cmdi_sim_part part;
    struct cmdi_list queued, armed, work, spare;
    struct cmdi_sim_queue waiting; // Its thread, in an enter.
    const struct cmdi_sim_thread *owner;
    uint32_t queued_count, in_flight;
    struct cmdi_completion *completions; // Round and round.
    uint32_t completion_first, completion_count, completion_room;
    uint32_t shown; // Of them, that can be harvested.
    int broken;
    bool enabled, draining, woken;
    // Receive buffers, by number.
    uint8_t **buffers;
    uint8_t *buffer_states; // enum buffer_state.
    uint16_t *provided;     // Numbers in the order in which the kernel takes them, round and round.
    uint32_t provided_first, provided_count;
    uint32_t buffer_count, buffers_held;
};

void ring_complete(struct operation *operation, int64_t result, uint32_t flags, uint32_t buffer);

void ring_buffers_init(struct cmdi_ring *ring);
void ring_buffers_fini(struct cmdi_ring *ring);
/** There is one. */
uint32_t ring_buffer_take(struct cmdi_ring *ring);
void ring_buffer_untake(struct cmdi_ring *ring, uint32_t buffer);
/** It was harvested. */
void ring_buffer_hold(struct cmdi_ring *ring, uint32_t buffer);

#endif

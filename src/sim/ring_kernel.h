/* SPDX-License-Identifier: MIT */
/*
 * What the simulated kernel has of a ring, see ring/ring.h: ring.c is the owner's side, its queues and
 * its waits; ring_work.c carries operations out; ring_buffers.c is what they receive into.
 *
 *     queue --enter--> issued: tried at once, or later ---> ended: a completion
 *                         |                          ^
 *                         +--> armed --a change--> work, for the next enter
 *
 * Nothing completes outside of an enter, as with DEFER_TASKRUN: a change of a socket only makes work,
 * and wakes the owner if it waits. Which part of the work an enter does is left to chance, and so is the
 * order among operations; what one enter has left the next one does.
 */
#ifndef CMDI_SIM_RING_KERNEL_H
#define CMDI_SIM_RING_KERNEL_H

#include "base/assert.h"
#include "base/list.h"
#include "ring/ring.h"
#include "sim/net.h"
#include "sim/world.h"

enum cmdi_ring_kind {
    CMDI_RING_ACCEPT,
    CMDI_RING_CONNECT,
    CMDI_RING_RECV,
    CMDI_RING_SEND,
    CMDI_RING_WATCH,
    CMDI_RING_CANCEL,
    CMDI_RING_CANCEL_ALL, // What follows is the ring's own.
    CMDI_RING_READ_WAKE,
    CMDI_RING_ALARM,
    CMDI_RING_ALARM_MOVE,
};

enum cmdi_ring_op_state {
    CMDI_RING_OP_FREE,
    CMDI_RING_OP_QUEUED, // The kernel has not seen it.
    CMDI_RING_OP_ARMED,  // It waits for a change of its socket, a wake, a time.
    CMDI_RING_OP_WORK,   // In the list of work.
};

struct cmdi_ring_op {
    struct cmdi_sock_watch watch; // ARMED, WORK: of `sock`, if there is one.
    struct cmdi_list link;        // FREE: of the free ones; ARMED, WORK: of its bucket.
    struct cmdi_ring_kernel *kernel;
    struct cmdi_sock *sock; // With a reference to its file. NULL: none.
    uint64_t user_data;
    uint64_t target; // CANCEL: user data. ALARM: a time.
    const uint8_t *data;
    const struct cmdi_address *address;
    size_t size, done;
    uint32_t told; // WATCH: bits of enum cmdi_sock_state.
    int fd;
    uint8_t kind;  // enum cmdi_ring_kind
    uint8_t state; // enum cmdi_ring_op_state
    bool once;     // Not multishot.
    bool quiet;    // RECV: nothing is expected there.
    bool cancelled;
};

/* A buffer goes round: the kernel fills it, the owner reads and releases it. */
enum cmdi_ring_buffer_state {
    CMDI_RING_BUFFER_PROVIDED, // In the group, or filled and not harvested.
    CMDI_RING_BUFFER_HELD,     // Harvested and not released.
    CMDI_RING_BUFFER_PARKED,   // Kept out of the group, which is smaller than it may become.
};

struct cmdi_ring_buffers {
    uint8_t **blocks;  // By buffer number; NULL: not filled yet, or parked.
    uint8_t *states;   // By buffer number: enum cmdi_ring_buffer_state.
    uint32_t *filled;  // By buffer number: bytes.
    uint16_t *group;   // Numbers, round and round: `begin`, then `count`, then `added`.
    uint32_t begin;    // The next one to be filled.
    uint32_t provided; // That the kernel can take.
    uint32_t added;    // Released since the kernel was last told.
    uint32_t held;     // Harvested and not released.
    uint32_t peak;     // The most that were, since somebody asked.
    uint32_t count, count_min, count_max;
    struct cmdi_ring_options options; // Of their sizes.
};

enum {
    CMDI_RING_BUCKETS = 256,
};

struct cmdi_ring_kernel {
    struct cmdi_sim_part part;
    const struct cmdi_sim_thread *owner; // Once enabled.
    bool enabled, draining;
    int broken; // Not 0: why operations do not reach the kernel any more.
    uint32_t features;
    uint32_t in_flight;        // Operations without a final completion that was harvested.
    uint32_t looks;            // For work, in vain, since the last enter.
    int fds[2];                // The ring's, and the one that wakes it.
    struct cmdi_file *nothing; // Stands behind them, and where an accepted socket is going to be.

    // What is left to chance once for each ring.
    bool shuffles;          // The order among operations is any.
    uint32_t late_one_in;   // Of those that are issued, one is not tried at once. 0: none.
    uint32_t partly_one_in; // One enter does not do all of its work. 0: none.

    struct cmdi_ring_op **queue; // Submission: `entries` of them.
    uint32_t entries, queued;
    struct cmdi_ring_op nowhere; // Takes them when the ring is broken and the queue is full.
    struct cmdi_ring_op **work;  // Oldest first.
    uint32_t work_count, work_capacity;
    uint32_t work_left; // The first ones: an enter has left them.

    // Completions, round and round; those beyond `visible` are kept back, as the queue is full.
    struct cmdi_completion *completions;
    uint32_t begin, count, capacity, visible, visible_max;

    struct cmdi_sim_queue waiters;
    bool signalled;                    // Somebody has woken the ring since the READ completed.
    bool wake_due;                     // The READ has completed, and is to be armed again.
    struct cmdi_ring_op *wake, *alarm; // Issued, and not complete.
    bool alarm_armed;
    uint64_t alarm_at_ns;
    struct cmdi_event alarm_event;

    struct cmdi_ring_buffers buffers;
    struct cmdi_list free_ops;
    struct cmdi_ring_op **chunks;
    uint32_t chunk_count;
    struct cmdi_list buckets[CMDI_RING_BUCKETS]; // What is ARMED or WORK, by user data.
};

struct cmdi_ring {
    struct cmdi_ring_kernel *kernel;
};

/* --- ring_work.c ------------------------------------------------------------------------------ */

/** QUEUED. */
struct cmdi_ring_op *cmdi_ring_op_new(struct cmdi_ring_kernel *kernel);
/** The kernel takes it: it may end at once. */
void cmdi_ring_op_issue(struct cmdi_ring_op *op);
/** ARMED becomes WORK, and the owner is woken if it waits. */
void cmdi_ring_op_ready(struct cmdi_ring_op *op);
/** Does what an enter does of the work. */
void cmdi_ring_work(struct cmdi_ring_kernel *kernel);
/** Ends all operations without a word, and frees what the two above have. */
void cmdi_ring_ops_fini(struct cmdi_ring_kernel *kernel);

/* --- ring.c ----------------------------------------------------------------------------------- */

/** A completion. `flags`: enum CMDI_COMPLETION_... */
void cmdi_ring_post(struct cmdi_ring_kernel *kernel, const struct cmdi_completion *completion);
/** The next completion would be kept back. */
static inline bool cmdi_ring_is_full(const struct cmdi_ring_kernel *kernel)
{
    return kernel->count >= kernel->visible_max;
}

/* --- ring_buffers.c --------------------------------------------------------------------------- */

void cmdi_ring_buffers_init(
        struct cmdi_ring_buffers *buffers, const struct cmdi_ring_options *options);
void cmdi_ring_buffers_fini(struct cmdi_ring_buffers *buffers);
/** Bytes of the group's next one. There is one. */
uint32_t cmdi_ring_buffer_next_size(const struct cmdi_ring_buffers *buffers);
/** What was released since the last time is in the group. */
static inline void cmdi_ring_buffers_publish(struct cmdi_ring_buffers *buffers)
{
    buffers->provided += buffers->added;
    buffers->added = 0;
}
/** The group's next one, to be filled. NULL: there is none. */
uint8_t *cmdi_ring_buffer_next(struct cmdi_ring_buffers *buffers);
/** It leaves the group with so many bytes in it. Returns: its number. */
uint16_t cmdi_ring_buffer_take(struct cmdi_ring_buffers *buffers, size_t filled);
/** It was harvested: from now on the owner reads it. */
void cmdi_ring_buffer_hold(struct cmdi_ring_buffers *buffers, uint16_t buffer);

#endif

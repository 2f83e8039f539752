/* SPDX-License-Identifier: MIT */
/*
 * The ring as its own files see it: ring.c its life, operations and completions, setup.c how it is
 * made, buffers.c what it receives into. ring.c calls the other two, buffers.c calls setup.c.
 */
#ifndef CMDI_RING_INSIDE_H
#define CMDI_RING_INSIDE_H

#include <stdatomic.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

#include "base/assert.h"
#include "ring/compat.h"
#include "ring/ring.h"

enum {
    CMDI_RING_BUFFER_GROUP = 0,
    CMDI_RING_SETUP_WAIT_FIRST_MS = 100, // At its full size.
    CMDI_RING_SETUP_WAIT_MAX_MS = 1000,
};

/* A buffer goes round: the kernel fills it, the owner reads and releases it. */
enum cmdi_ring_buffer_state {
    CMDI_RING_BUFFER_PROVIDED, // In the group, or being filled.
    CMDI_RING_BUFFER_HELD,     // Harvested and not released.
    CMDI_RING_BUFFER_PARKED,   // Kept out of the group, which is smaller than it may become.
};

struct cmdi_ring {
    struct io_uring uring;
    struct io_uring_buf_ring *group; // Descriptors, shared with the kernel.
    uint8_t *buffers;                // One after the other by number, touched as far as used.
    uint8_t *buffer_states;          // By buffer number: enum cmdi_ring_buffer_state.
    uint32_t buffer_size, buffer_count, buffer_count_min, buffer_count_max;
    size_t group_size;    // Bytes of `group`, which has room for as many as were asked for.
    uint32_t large_count; // Buffers numbered below it are larger by large_extra.
    uint32_t large_extra;
    uint32_t small_from; // Buffers numbered from it on are smaller by small_less.
    uint32_t small_less;
    uint32_t buffers_held;  // Harvested and not released.
    uint32_t buffers_peak;  // The most that were, since somebody asked.
    uint32_t buffers_added; // Released since the kernel was last told.
    uint32_t features;
    uint32_t enter_flags;
    uint32_t in_flight; // Operations without their final completion.
    bool enabled, registered_fd, group_registered, uring_ready;
    const void *owner;        // Its thread, once enabled.
    bool draining;            // Nothing is armed again.
    bool event_dirty;         // event_fd may have been signalled since it was last read.
    _Atomic bool event_woken; // The same, by another thread.
    bool wake_due;            // The READ on wake_fd has completed, and is to be armed again.
    bool alarm_armed;
    uint64_t alarm_at_ns;
    struct __kernel_timespec alarm_time;
    int wake_fd;  // Others write it; a READ is always armed on it.
    int event_fd; // Inline: signalled by the kernel with each completion. -1 otherwise.
    uint64_t wake_value;
    struct cmdi_completion *side; // Completions taken out of the way of a full queue, oldest first.
    uint32_t side_begin, side_end, side_capacity;
    int broken;                  // Not 0: why operations do not reach the kernel any more.
    struct io_uring_sqe nowhere; // Takes them then.
};

/* --- setup.c ---------------------------------------------------------------------------------- */

/*
 * Rings count against RLIMIT_MEMLOCK, before 5.12 and again in newer kernels: all of a user's
 * together, and what a closed one had comes back some 50 ms later. So a ring that finds no memory is
 * tried again for a moment, then with smaller queues, which cost system calls under load and nothing
 * else, and then for a little longer.
 */
struct cmdi_ring_patience {
    uint32_t waited_ms, next_ms;
};
/** Waits, twice as long each time. Returns: it is worth another try. */
bool cmdi_ring_wait_for_memory(struct cmdi_ring_patience *patience, uint32_t max_ms);
/** The kernel's ring, and which features it has. Returns: 0; -errno. */
int cmdi_ring_setup(struct cmdi_ring *ring, const struct cmdi_ring_options *options,
        struct cmdi_ring_patience *patience, struct cmds_error *error);
/** Says why. Returns: `code`. */
int cmdi_ring_refused(int code, struct cmds_error *error);

/* --- buffers.c -------------------------------------------------------------------------------- */

/** Returns: 0; -errno, and fini cleans up. */
int cmdi_ring_buffers_init(struct cmdi_ring *ring, const struct cmdi_ring_options *options,
        struct cmdi_ring_patience *patience, struct cmds_error *error);
/** `written`: the kernel may still write into them, so they stay: better lost than another's. */
void cmdi_ring_buffers_fini(struct cmdi_ring *ring, bool written);

/* Where it begins in `buffers`; of buffer_count_max: where all end. */
static inline size_t cmdi_ring_buffer_offset(const struct cmdi_ring *ring, uint32_t buffer)
{
    uint32_t larger = buffer < ring->large_count ? buffer : ring->large_count; // Of those before.
    uint32_t smaller = buffer < ring->small_from ? 0 : buffer - ring->small_from;
    return (size_t)buffer * ring->buffer_size + (size_t)larger * ring->large_extra -
           (size_t)smaller * ring->small_less;
}

static inline uint8_t *cmdi_ring_buffer_at(const struct cmdi_ring *ring, uint32_t buffer)
{
    return ring->buffers + cmdi_ring_buffer_offset(ring, buffer);
}

static inline uint32_t cmdi_ring_buffer_length(const struct cmdi_ring *ring, uint32_t buffer)
{
    return ring->buffer_size + (buffer < ring->large_count ? ring->large_extra : 0) -
           (buffer < ring->small_from ? 0 : ring->small_less);
}

/*
 * Whoever still reads a buffer that was given back reads the next peer's bytes: the address
 * sanitizer is told. The kernel's own writes are not its business.
 */
static inline void cmdi_ring_poison(const struct cmdi_ring *ring, uint32_t buffer, bool poison)
{
#ifdef __SANITIZE_ADDRESS__
    uint8_t *data = cmdi_ring_buffer_at(ring, buffer);
    if (poison) {
        __asan_poison_memory_region(data, cmdi_ring_buffer_length(ring, buffer));
    } else {
        __asan_unpoison_memory_region(data, cmdi_ring_buffer_length(ring, buffer));
    }
#else
    (void)ring;
    (void)buffer;
    (void)poison;
#endif
}

/* The kernel has filled it: from now on the owner reads it. */
static inline void cmdi_ring_buffer_hold(struct cmdi_ring *ring, uint32_t buffer)
{
    CMDI_ASSERT(buffer < ring->buffer_count_max);
    CMDI_ASSERT(ring->buffer_states[buffer] == CMDI_RING_BUFFER_PROVIDED);
    ring->buffer_states[buffer] = CMDI_RING_BUFFER_HELD;
    cmdi_ring_poison(ring, buffer, false);
    ring->buffers_held++;
    ring->buffers_peak =
            ring->buffers_held > ring->buffers_peak ? ring->buffers_held : ring->buffers_peak;
}

/* What was released since the last time is in the group. */
static inline void cmdi_ring_buffers_publish(struct cmdi_ring *ring)
{
    if (ring->buffers_added > 0) {
        io_uring_buf_ring_advance(ring->group, (int)ring->buffers_added);
        ring->buffers_added = 0;
    }
}

#endif

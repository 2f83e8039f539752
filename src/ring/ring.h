/* SPDX-License-Identifier: MIT */
/*
 * One io_uring: submission of the few operations that a connection needs, completions, and a group
 * of receive buffers.
 *
 * Everything above sees values: an operation is named by 64 bits of user data, a completion carries
 * them back with a result.
 *
 * This folder is the seam to the kernel: a simulation links other objects in place of all of it, the
 * ring, sockets, names, pollers, threads and the clock. What it takes as it is, because no run depends
 * on it, lies in src/machine. Nothing else asks the kernel for anything; scripts/check.py looks.
 *
 * A ring belongs to one thread, the one that called cmdi_ring_enable(); only cmdi_ring_wake() may
 * be called from others. Operations are queued by the functions below and reach the kernel in
 * cmdi_ring_enter(): one system call a turn.
 */
#ifndef CMDI_RING_RING_H
#define CMDI_RING_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmdstream/base.h>

#include "ring/address.h"

struct cmdi_ring;

enum {
    CMDI_RING_BUFFERS_MAX = 32768,
    CMDI_RING_WAIT_NONE = 0,
};
#define CMDI_RING_WAIT_FOREVER UINT64_MAX
/** User data up to this belongs to the ring itself. */
#define CMDI_RING_OWN_MAX 15

struct cmdi_ring_options {
    uint32_t entries;            // Of the submission queue.
    uint32_t completion_entries; // Of the completion queue.
    uint32_t buffer_size;
    // Buffers numbered below large_count have large_size, at least buffer_size. 0: none are larger.
    uint32_t large_count, large_size;
    // The last small_count of all that there may be have small_size, at most buffer_size. 0: none are smaller.
    uint32_t small_count, small_size;
    uint32_t buffer_count; // Provided from the start. A power of two.
    // The group grows to this when receives run out of buffers. A power of two.
    uint32_t buffer_count_max;
    // Somebody waits on cmdi_ring_fd() instead of in enter: signal each completion there.
    bool external_wait;
};

/** Bytes of that buffer of the group. */
static inline uint32_t cmdi_ring_buffer_size(
        const struct cmdi_ring_options *options, uint32_t buffer)
{
    if (buffer < options->large_count) {
        return options->large_size;
    }
    return buffer < options->buffer_count_max - options->small_count ? options->buffer_size
                                                                     : options->small_size;
}
/** The most that one receive brings. */
static inline uint32_t cmdi_ring_buffer_size_max(const struct cmdi_ring_options *options)
{
    return cmdi_ring_buffer_size(options, 0);
}

enum {
    CMDI_COMPLETION_MORE = 1,     // The operation continues (multishot).
    CMDI_COMPLETION_BUFFER = 2,   // `buffer` was filled, and is ours until released.
    CMDI_COMPLETION_NONEMPTY = 4, // The socket had more to read.
};
struct cmdi_completion {
    uint64_t user_data;
    int32_t result; // As the kernel gave it: -errno, or bytes, or an fd.
    uint16_t buffer;
    uint16_t flags;
};

/**
 * What a ring uses beyond the floor (kernel 6.1). Names in CMDSTREAM_FEATURES_OFF (comma separated,
 * or "all") are left out.
 */
#define CMDI_RING_FEATURES(X)                                                                      \
    X(REGISTERED_FD, "registered_fd", "5.18", "a cheaper enter")                                   \
    X(NO_IOWAIT, "no_iowait", "6.15", "an idle server is not shown as waiting for disks")          \
    X(ACCEPT_POLL_FIRST, "accept_poll_first", "6.10",                                              \
            "accept waits instead of failing when descriptors ran out")
enum cmdi_ring_feature {
#define CMDI_X_(name, text, since, gives) CMDI_RING_FEATURE_##name,
    CMDI_RING_FEATURES(CMDI_X_)
#undef CMDI_X_
    CMDI_RING_FEATURE_COUNT
};

/**
 * The ring is made disabled: any thread may create it. Gives: cmdi_ring_destroy(). Returns: 0, or
 * why io_uring is refused.
 */
int cmdi_ring_create(
        struct cmdi_ring **ring, const struct cmdi_ring_options *options, struct cmds_error *error);
/**
 * Ends every operation and waits until the kernel has let go of every buffer. Nothing but wake and
 * destroy is called after it. Thread: the owner.
 */
void cmdi_ring_drain(struct cmdi_ring *ring);
/**
 * The caller ends it in the place of its owner, which uses it no more. The kernel would take nothing
 * from another thread, so nothing reaches it from here on: an enter fails with -EXDEV. Only destroy
 * is called in the end. Thread: any.
 */
void cmdi_ring_give_up(struct cmdi_ring *ring);
/** NULL is fine. Thread: the owner; any, if it was drained or never enabled. */
void cmdi_ring_destroy(struct cmdi_ring *ring);
/** The caller becomes the owner. Returns: 0; -errno. Done already, it does nothing. */
int cmdi_ring_enable(struct cmdi_ring *ring);
/** Of the submission queue: fewer than were asked for, if the kernel had no memory for those. */
uint32_t cmdi_ring_entries(const struct cmdi_ring *ring);
/** Bit i: feature i is in use. */
uint32_t cmdi_ring_features(const struct cmdi_ring *ring);
/** Readable when there is something to harvest; only with external_wait. */
int cmdi_ring_fd(const struct cmdi_ring *ring);
/**
 * Clears cmdi_ring_fd(), if anything was harvested since: before the owner's loop waits on it, and
 * before its last look.
 */
void cmdi_ring_fd_quiet(struct cmdi_ring *ring);
/** Ends a wait of the owner, now or the next one. Thread: any. */
void cmdi_ring_wake(struct cmdi_ring *ring);

/* --- Operations. Owner thread; they never fail: what cannot be done comes back as a completion.  */

/* On a ring that the kernel takes nothing from any more they go nowhere, and the next enter fails. */

/** Multishot, or `once`: a completion for each connection, its fd CLOEXEC. */
void cmdi_ring_accept(struct cmdi_ring *ring, int fd, bool once, uint64_t user_data);
void cmdi_ring_connect(
        struct cmdi_ring *ring, int fd, const struct cmdi_address *address, uint64_t user_data);
/** Multishot into the group's buffers. `poll_first`: nothing is expected to be there yet. */
void cmdi_ring_recv(struct cmdi_ring *ring, int fd, bool poll_first, uint64_t user_data);
/** The same once, and no more than buffer_size, however large the buffer: a little. */
void cmdi_ring_recv_once(struct cmdi_ring *ring, int fd, uint64_t user_data);
/** Sends all of it unless it fails; the data stays until the completion. */
void cmdi_ring_send(
        struct cmdi_ring *ring, int fd, const void *data, size_t size, uint64_t user_data);
enum {                                // Bits of a watch's result; poll(2) has the same.
    CMDI_RING_PEER_FAILED = 0x8,      // Reset, or given up.
    CMDI_RING_PEER_GONE = 0x10,       // Nothing goes in either direction any more.
    CMDI_RING_PEER_FINISHED = 0x2000, // It sends no more.
};
/**
 * With `finish` it completes once, when the peer has finished or gone. Without, it is for a peer that has
 * finished: multishot, a completion for each change, and perhaps one that says no more than that.
 */
void cmdi_ring_watch(struct cmdi_ring *ring, int fd, bool finish, uint64_t user_data);
/** Ends the operation with that user data; both complete. */
void cmdi_ring_cancel(struct cmdi_ring *ring, uint64_t target, uint64_t user_data);
/**
 * Inline runtimes: makes cmdi_ring_fd() readable at that time (CLOCK_MONOTONIC); replaces the one
 * before.
 */
void cmdi_ring_alarm(struct cmdi_ring *ring, uint64_t at_ns);

/* --- The turn --------------------------------------------------------------------------------- */

/** Something can be harvested, or an enter would make it so. No system call. */
bool cmdi_ring_has_work(const struct cmdi_ring *ring);
/** Operations without their final completion, the ring's own included. */
uint32_t cmdi_ring_in_flight(const struct cmdi_ring *ring);
/**
 * Submits what is queued, and lets the kernel finish what it has for us; waits up to `wait_ns` for
 * a first completion.
 * Returns: 0 (also when the wait ended for nothing); -errno only when the ring is unusable.
 */
int cmdi_ring_enter(struct cmdi_ring *ring, uint64_t wait_ns);
/** Takes completions. Returns: how many, at most `max`. */
uint32_t cmdi_ring_harvest(
        struct cmdi_ring *ring, struct cmdi_completion *completions, uint32_t max);

/* --- Receive buffers -------------------------------------------------------------------------- */

uint8_t *cmdi_ring_buffer(const struct cmdi_ring *ring, uint16_t buffer);
/** Back to the kernel, at the latest in the next enter. */
void cmdi_ring_buffer_release(struct cmdi_ring *ring, uint16_t buffer);
/** How many the group has now, and how many of them the kernel holds. */
uint32_t cmdi_ring_buffer_count(const struct cmdi_ring *ring);
uint32_t cmdi_ring_buffers_free(const struct cmdi_ring *ring);
/** How many it may have: fewer small ones than were asked for, if the kernel had no memory for those. */
uint32_t cmdi_ring_buffer_count_max(const struct cmdi_ring *ring);
/** The most that were not with the kernel at once, since this was last asked for. */
uint32_t cmdi_ring_buffers_peak(struct cmdi_ring *ring);
/** After a receive ended with -ENOBUFS: doubles the group up to its maximum. Returns: it grew. */
bool cmdi_ring_buffers_grow(struct cmdi_ring *ring);
/** When so many are not needed: halves the group down to its first size, and gives the memory back. */
void cmdi_ring_buffers_shrink(struct cmdi_ring *ring);

#endif

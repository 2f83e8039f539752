/* SPDX-License-Identifier: MIT */
/*
 * A shard's receive buffers: what the kernel has filled, for whom, and who waits for a free one.
 *
 * The kernel fills any buffer of the group for any connection. A filled buffer becomes a slice of
 * that connection, and is the connection's until its last byte was used; then the kernel gets it
 * back. As all connections live on the same buffers, each has a share, and where few are left
 * those who ask for little come first. The group grows when a receive finds none, and shrinks when
 * the shard is quiet or needs few of them.
 *
 * What thousands of connections bring at once are thousands of buffers, each with one command in it:
 * those behind the normal ones are small. Where much comes they would cut it into pieces, so they are
 * in the group only while one buffer holds little.
 *
 * Thread: the shard.
 */
#ifndef CMDI_SHARD_RECEIVE_H
#define CMDI_SHARD_RECEIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmdstream/base.h>

#include "base/list.h"
#include "shard/work.h"

struct cmdi_ring;
struct cmdi_ring_options;

/** A filled buffer, or what is left of it; its number in the group is its number here. */
struct cmdi_slice {
    uint32_t begin, end; // In the buffer.
    uint32_t next;       // The same connection's next slice, if this is not its last.
    uint64_t arrived_ns; // When it was taken from the kernel, by the shard's clock.
};

/** A connection's slices in their order. All zero: there are none. */
struct cmdi_slices {
    uint32_t head, tail; // Numbers of buffers. Valid unless count is 0.
    uint32_t count;
};

struct cmdi_receive {
    struct cmdi_ring *ring;    // NULL: there are no buffers, and nobody has slices.
    struct cmdi_slice *slices; // By number of the buffer.
    uint32_t slice_count;      // How many buffers there can be.
    uint32_t normal_count;     // Of these; those behind them are small.
    int32_t mean_size;         // Of what a buffer held, of the last hundred or so.
    uint64_t grown_turn;       // The shard's turn in which the group grew last.
    struct cmdi_list starved;  // struct cmdi_work: wait for a free buffer.
};

/**
 * How many buffers of `size` a shard may have by default; `lockable`: how many bytes of memory it may
 * lock for them, where the kernel counts it (16 each).
 */
uint32_t cmdi_receive_count_max(bool is_inline, uint32_t size, uint64_t lockable);

/**
 * What the group of a ring is to be: of buffers of `size`, at most `count_max` or the next power of two.
 * A receive fills one buffer, so where much comes large ones save most of the receives. Where many
 * connections share the group each brings little, so of many buffers only the first ones are large, and
 * those beyond 512 are small, unless `options` say that the shard is inline.
 */
void cmdi_receive_plan(struct cmdi_ring_options *options, uint32_t size, uint32_t count_max);
/** Zeroed is fine for fini. `options` are the ring's; NULL with it. Returns: 0; -ENOMEM. */
int cmdi_receive_init(struct cmdi_receive *receive, struct cmdi_ring *ring,
        const struct cmdi_ring_options *options);
void cmdi_receive_fini(struct cmdi_receive *receive);

/* --- Slices ----------------------------------------------------------------------------------- */

/** The kernel has put `size` bytes (not 0) into `buffer` for the owner of `slices`. */
void cmdi_receive_push(struct cmdi_receive *receive, struct cmdi_slices *slices, uint16_t buffer,
        uint32_t size, uint64_t now_ns);
/** A buffer that was filled for nobody. */
void cmdi_receive_give_back(struct cmdi_receive *receive, uint16_t buffer);
/** What is left of the oldest slice; there is one. Borrowed until its last byte is used. */
struct cmds_bytes cmdi_receive_oldest(
        const struct cmdi_receive *receive, const struct cmdi_slices *slices);
/** When that slice came. */
uint64_t cmdi_receive_arrived_ns(
        const struct cmdi_receive *receive, const struct cmdi_slices *slices);
/** So many of its bytes are used. Returns: it was used up, and its buffer was given back. */
bool cmdi_receive_use(struct cmdi_receive *receive, struct cmdi_slices *slices, size_t size);
/** Gives all of them back. */
void cmdi_receive_drop(struct cmdi_receive *receive, struct cmdi_slices *slices);

/* --- Shares ----------------------------------------------------------------------------------- */

/** Are these more than a `part`-th of the shard's buffers, the small ones left out, and more than one? */
bool cmdi_receive_is_over(
        const struct cmdi_receive *receive, const struct cmdi_slices *slices, uint32_t part);
/** Less than a quarter of the buffers is free. */
bool cmdi_receive_is_scarce(const struct cmdi_receive *receive);
/** Does little fill this buffer? */
bool cmdi_receive_is_small(const struct cmdi_receive *receive, uint16_t buffer);

/**
 * A receive ended because no buffer was free, in this turn of the shard. The group grows once in a turn,
 * however many ended in it: as all buffers are filled in turn, more of them than are needed only spread
 * what arrives over more memory than the cache holds.
 *
 * Returns: there are more of them now; false: the group is as large as it may be.
 */
bool cmdi_receive_grow(struct cmdi_receive *receive, uint64_t turn);
/**
 * A second has passed. Small buffers leave the group if much comes. `lacked`: a receive has lacked a buffer
 * meanwhile; if not, and the shard was quiet, or three quarters of the buffers were free all the time, half
 * of them leave. Each does when it is free.
 */
void cmdi_receive_relax(struct cmdi_receive *receive, bool quiet, bool lacked);

/**
 * `work` is ready again when at least a quarter of the buffers is free: work of CMDI_LEVEL_LIGHT
 * before the others, else first come first served.
 */
void cmdi_receive_wait(struct cmdi_receive *receive, struct cmdi_work *work);
/** Somebody waits, and enough buffers are free. */
bool cmdi_receive_can_feed(const struct cmdi_receive *receive);
/** Moves as many of those that wait as there are free buffers to `ready`, the list of their level. */
void cmdi_receive_feed(struct cmdi_receive *receive, struct cmdi_list ready[CMDI_LEVELS]);

#endif

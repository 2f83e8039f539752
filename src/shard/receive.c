/* SPDX-License-Identifier: MIT */
/* A shard's receive buffers. */
#include "shard/receive.h"

#include <errno.h>
#include <stdlib.h>

#include "base/assert.h"
#include "ring/ring.h"

enum {
    RECEIVE_FREE_PART = 4,    // Buffers are scarce when less than this part of them is free...
    RECEIVE_USED_PART = 4,    // ... and too many when no more than this part was ever in use.
    RECEIVE_FIRST = 32,       // The group begins with so many, or...
    RECEIVE_FIRST_LARGE = 16, // ... if these are large, with so many.
    RECEIVE_LARGE_PART = 16,  // Of all that there may be, so many are large...
    RECEIVE_LARGE_MIN = 8,    // ... unless those were fewer than these...
    RECEIVE_LARGE_FACTOR = 4, // ... by so much...
    RECEIVE_LARGE_SIZE_MAX = 128 * 1024, // ... but no larger than this.
    RECEIVE_NORMAL_MAX = 512,            // Those beyond are small...
    RECEIVE_SMALL_SIZE = 4096,           // ... which is this, a page: what is unused costs nothing.
    RECEIVE_COUNT_MAX = 4096,            // By default there may be so many...
    RECEIVE_COUNT_MAX_LOCKED = 1024,     // ... where little memory may be locked so many...
    RECEIVE_COUNT_MAX_INLINE = RECEIVE_NORMAL_MAX, // ... and of an inline runtime none are small.
    RECEIVE_LOCKED_SIZE = 16,                      // Of one, where the kernel counts them.
    RECEIVE_MEAN_OF = 64,                          // So many receives are in the mean, nearly.
    RECEIVE_LITTLE = RECEIVE_SMALL_SIZE / 4, // Where a buffer holds no more, small ones come...
    RECEIVE_MUCH = RECEIVE_SMALL_SIZE / 2,   // ... and go where it holds more.
};

static uint32_t receive_least(uint32_t one, uint32_t other)
{
    return one < other ? one : other;
}

uint32_t cmdi_receive_count_max(bool is_inline, uint32_t size, uint64_t lockable)
{
    if (is_inline) {
        return RECEIVE_COUNT_MAX_INLINE;
    }
    bool has_room = lockable >= RECEIVE_COUNT_MAX * RECEIVE_LOCKED_SIZE;
    // Without small ones all of them would be normal, and no lack of memory would make them fewer.
    return has_room && size > RECEIVE_SMALL_SIZE ? RECEIVE_COUNT_MAX : RECEIVE_COUNT_MAX_LOCKED;
}

void cmdi_receive_plan(struct cmdi_ring_options *options, uint32_t size, uint32_t count_max)
{
    uint32_t max = 1;
    while (max < count_max) {
        max *= 2;
    }
    /* An inline shard has no timer of its own that would let them go again: cmdi_receive_relax(). */
    bool has_small =
            size > RECEIVE_SMALL_SIZE && max > RECEIVE_NORMAL_MAX && !options->external_wait;
    uint32_t normal = has_small ? RECEIVE_NORMAL_MAX : max;
    uint32_t large_size = receive_least(size * RECEIVE_LARGE_FACTOR, RECEIVE_LARGE_SIZE_MAX);
    bool has_large = large_size > size && normal / RECEIVE_LARGE_PART >= RECEIVE_LARGE_MIN;
    options->buffer_size = size;
    options->large_count = has_large ? normal / RECEIVE_LARGE_PART : 0;
    options->large_size = has_large ? large_size : 0;
    options->small_count = max - normal;
    options->small_size = has_small ? RECEIVE_SMALL_SIZE : 0;
    options->buffer_count = receive_least(has_large ? RECEIVE_FIRST_LARGE : RECEIVE_FIRST, max);
    options->buffer_count_max = max;
}

int cmdi_receive_init(struct cmdi_receive *receive, struct cmdi_ring *ring,
        const struct cmdi_ring_options *options)
{
    *receive = (struct cmdi_receive){.ring = ring, .grown_turn = UINT64_MAX};
    cmdi_list_init(&receive->starved);
    if (ring == NULL) {
        return 0;
    }
    receive->slice_count = cmdi_ring_buffer_count_max(ring);
    receive->normal_count = options->buffer_count_max - options->small_count;
    receive->slices = calloc(receive->slice_count, sizeof(*receive->slices));
    return receive->slices != NULL ? 0 : -ENOMEM;
}

void cmdi_receive_fini(struct cmdi_receive *receive)
{
    free(receive->slices);
    receive->slices = NULL;
}

/* --- Slices ----------------------------------------------------------------------------------- */

void cmdi_receive_push(struct cmdi_receive *receive, struct cmdi_slices *slices, uint16_t buffer,
        uint32_t size, uint64_t now_ns)
{
    CMDI_ASSERT(buffer < receive->slice_count && size > 0);
    receive->slices[buffer] = (struct cmdi_slice){.end = size, .arrived_ns = now_ns};
    if (slices->count == 0) {
        slices->head = buffer;
    } else {
        receive->slices[slices->tail].next = buffer;
    }
    slices->tail = buffer;
    slices->count++;
    receive->mean_size += ((int32_t)size - receive->mean_size) / RECEIVE_MEAN_OF;
}

void cmdi_receive_give_back(struct cmdi_receive *receive, uint16_t buffer)
{
    cmdi_ring_buffer_release(receive->ring, buffer);
}

struct cmds_bytes cmdi_receive_oldest(
        const struct cmdi_receive *receive, const struct cmdi_slices *slices)
{
    const struct cmdi_slice *slice = &receive->slices[slices->head];
    CMDI_ASSERT(slices->count > 0);
    return (struct cmds_bytes){
            cmdi_ring_buffer(receive->ring, (uint16_t)slices->head) + slice->begin,
            slice->end - slice->begin};
}

uint64_t cmdi_receive_arrived_ns(
        const struct cmdi_receive *receive, const struct cmdi_slices *slices)
{
    CMDI_ASSERT(slices->count > 0);
    return receive->slices[slices->head].arrived_ns;
}

static void receive_pop(struct cmdi_receive *receive, struct cmdi_slices *slices)
{
    uint32_t buffer = slices->head;
    slices->head = receive->slices[buffer].next;
    slices->count--;
    cmdi_ring_buffer_release(receive->ring, (uint16_t)buffer);
}

bool cmdi_receive_use(struct cmdi_receive *receive, struct cmdi_slices *slices, size_t size)
{
    struct cmdi_slice *slice = &receive->slices[slices->head];
    CMDI_ASSERT(slices->count > 0 && size <= slice->end - slice->begin);
    slice->begin += (uint32_t)size;
    if (slice->begin < slice->end) {
        return false;
    }
    receive_pop(receive, slices);
    return true;
}

void cmdi_receive_drop(struct cmdi_receive *receive, struct cmdi_slices *slices)
{
    while (slices->count > 0) {
        receive_pop(receive, slices);
    }
}

/* --- Shares ----------------------------------------------------------------------------------- */

bool cmdi_receive_is_over(
        const struct cmdi_receive *receive, const struct cmdi_slices *slices, uint32_t part)
{
    uint32_t count = receive_least(cmdi_ring_buffer_count(receive->ring), receive->normal_count);
    return slices->count > 1 && slices->count * part > count;
}

bool cmdi_receive_is_scarce(const struct cmdi_receive *receive)
{
    return cmdi_ring_buffers_free(receive->ring) * RECEIVE_FREE_PART <
           cmdi_ring_buffer_count(receive->ring);
}

bool cmdi_receive_is_small(const struct cmdi_receive *receive, uint16_t buffer)
{
    return buffer >= receive->normal_count;
}

/* The next ones would be small, and much comes. */
static bool receive_is_full(const struct cmdi_receive *receive)
{
    return receive->mean_size > RECEIVE_LITTLE &&
           cmdi_ring_buffer_count(receive->ring) >= receive->normal_count;
}

bool cmdi_receive_grow(struct cmdi_receive *receive, uint64_t turn)
{
    if (receive->grown_turn == turn) {
        return true;
    }
    if (receive->ring == NULL || receive_is_full(receive) ||
            !cmdi_ring_buffers_grow(receive->ring)) {
        return false;
    }
    receive->grown_turn = turn;
    return true;
}

void cmdi_receive_relax(struct cmdi_receive *receive, bool quiet, bool lacked)
{
    uint32_t count = cmdi_ring_buffer_count(receive->ring);
    uint32_t peak = cmdi_ring_buffers_peak(receive->ring);
    if (receive->mean_size > RECEIVE_MUCH && count > receive->normal_count) {
        while (cmdi_ring_buffer_count(receive->ring) > receive->normal_count) {
            cmdi_ring_buffers_shrink(receive->ring);
        }
    } else if (!lacked && (quiet || peak * RECEIVE_USED_PART <= count)) {
        cmdi_ring_buffers_shrink(receive->ring);
    }
}

void cmdi_receive_wait(struct cmdi_receive *receive, struct cmdi_work *work)
{
    if (cmdi_work_queued(work)) {
        return;
    }
    bool first = work->level == CMDI_LEVEL_LIGHT;
    cmdi_list_push(first ? receive->starved.next : &receive->starved, &work->link);
}

bool cmdi_receive_can_feed(const struct cmdi_receive *receive)
{
    return receive->ring != NULL && !cmdi_list_empty(&receive->starved) &&
           !cmdi_receive_is_scarce(receive);
}

void cmdi_receive_feed(struct cmdi_receive *receive, struct cmdi_list ready[CMDI_LEVELS])
{
    if (!cmdi_receive_can_feed(receive)) {
        return;
    }
    uint32_t free_count = cmdi_ring_buffers_free(receive->ring);
    while (free_count-- > 0 && !cmdi_list_empty(&receive->starved)) {
        struct cmdi_list *node = cmdi_list_pop(&receive->starved);
        cmdi_list_push(&ready[CMDI_CONTAINER(node, struct cmdi_work, link)->level], node);
    }
}

/* SPDX-License-Identifier: MIT */
/*
 * Receive buffers: a group that the kernel takes from, as large as it is now. A number above its size is
 * parked: unless it is with the kernel or the owner from a larger time, and then it is parked when it
 * comes back.
 *
 * Each is a block of its own, made when it is first filled. Whoever still reads one that was given back
 * would read the next peer's bytes: here these are noise, and under the address sanitizer it was freed.
 */
#include <string.h>

#include "sim/ring_kernel.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) // clang's name for it.
#define __SANITIZE_ADDRESS__ 1
#endif
#endif

enum {
    BUFFER_NOISE = 0xdb,
#ifdef __SANITIZE_ADDRESS__
    BUFFER_IS_FREED = 1,
#else
    BUFFER_IS_FREED = 0,
#endif
};

/* Nobody reads it any more. `parked`: for a while. */
static void buffer_retire(struct cmdi_ring_buffers *buffers, uint32_t buffer, bool parked)
{
    if (parked || BUFFER_IS_FREED) {
        cmdi_sim_free(buffers->blocks[buffer]);
        buffers->blocks[buffer] = NULL;
    } else if (buffers->blocks[buffer] != NULL) {
        memset(buffers->blocks[buffer], BUFFER_NOISE, buffers->filled[buffer]);
    }
}

static void buffer_provide(struct cmdi_ring_buffers *buffers, uint32_t buffer)
{
    uint32_t place = (buffers->begin + buffers->provided + buffers->added) % buffers->count_max;
    CMDI_ASSERT(buffers->provided + buffers->added < buffers->count_max);
    buffers->group[place] = (uint16_t)buffer;
    buffers->added++;
    buffers->states[buffer] = CMDI_RING_BUFFER_PROVIDED;
}

void cmdi_ring_buffers_init(
        struct cmdi_ring_buffers *buffers, const struct cmdi_ring_options *options)
{
    uint32_t max = options->buffer_count_max;
    CMDI_ASSERT(options->large_count + options->small_count <= max);
    CMDI_ASSERT(cmdi_ring_buffer_size_max(options) >= options->buffer_size);
    *buffers = (struct cmdi_ring_buffers){.options = *options,
            .count_min = options->buffer_count,
            .count_max = max,
            .blocks = cmdi_sim_alloc(max * sizeof(uint8_t *)),
            .states = cmdi_sim_alloc(max),
            .filled = cmdi_sim_alloc(max * sizeof(uint32_t)),
            .group = cmdi_sim_alloc(max * sizeof(uint16_t))};
    memset(buffers->states, CMDI_RING_BUFFER_PARKED, max);
    for (; buffers->count < options->buffer_count; buffers->count++) {
        buffer_provide(buffers, buffers->count);
    }
}

void cmdi_ring_buffers_fini(struct cmdi_ring_buffers *buffers)
{
    for (uint32_t i = 0; i < buffers->count_max; i++) {
        cmdi_sim_free(buffers->blocks[i]);
    }
    cmdi_sim_free(buffers->blocks);
    cmdi_sim_free(buffers->states);
    cmdi_sim_free(buffers->filled);
    cmdi_sim_free(buffers->group);
}

/* --- The kernel's side ------------------------------------------------------------------------ */

static uint32_t buffer_size(const struct cmdi_ring_buffers *buffers, uint32_t buffer)
{
    return cmdi_ring_buffer_size(&buffers->options, buffer);
}

uint32_t cmdi_ring_buffer_next_size(const struct cmdi_ring_buffers *buffers)
{
    CMDI_ASSERT(buffers->provided > 0);
    return buffer_size(buffers, buffers->group[buffers->begin]);
}

uint8_t *cmdi_ring_buffer_next(struct cmdi_ring_buffers *buffers)
{
    if (buffers->provided == 0) {
        return NULL;
    }
    uint16_t buffer = buffers->group[buffers->begin];
    CMDI_ASSERT(buffers->states[buffer] == CMDI_RING_BUFFER_PROVIDED);
    if (buffers->blocks[buffer] == NULL) {
        buffers->blocks[buffer] = cmdi_sim_alloc(buffer_size(buffers, buffer));
    }
    return buffers->blocks[buffer];
}

uint16_t cmdi_ring_buffer_take(struct cmdi_ring_buffers *buffers, size_t filled)
{
    uint16_t buffer = buffers->group[buffers->begin];
    CMDI_ASSERT(buffers->provided > 0 && filled <= buffer_size(buffers, buffer));
    buffers->filled[buffer] = (uint32_t)filled;
    buffers->begin = (buffers->begin + 1) % buffers->count_max;
    buffers->provided--;
    return buffer;
}

void cmdi_ring_buffer_hold(struct cmdi_ring_buffers *buffers, uint16_t buffer)
{
    CMDI_ASSERT(buffers->states[buffer] == CMDI_RING_BUFFER_PROVIDED);
    buffers->states[buffer] = CMDI_RING_BUFFER_HELD;
    buffers->held++;
    buffers->peak = buffers->held > buffers->peak ? buffers->held : buffers->peak;
}

/* --- The owner's side ------------------------------------------------------------------------- */

uint8_t *cmdi_ring_buffer(const struct cmdi_ring *ring, uint16_t buffer)
{
    const struct cmdi_ring_buffers *buffers = &ring->kernel->buffers;
    CMDI_ASSERT(buffer < buffers->count_max && buffers->states[buffer] == CMDI_RING_BUFFER_HELD);
    return buffers->blocks[buffer];
}

void cmdi_ring_buffer_release(struct cmdi_ring *ring, uint16_t buffer)
{
    struct cmdi_ring_buffers *buffers = &ring->kernel->buffers;
    CMDI_ASSERT(buffer < buffers->count_max && buffers->held > 0);
    CMDI_ASSERT(buffers->states[buffer] == CMDI_RING_BUFFER_HELD);
    bool parks = buffer >= buffers->count; // The group has shrunk meanwhile.
    buffers->held--;
    buffer_retire(buffers, buffer, parks);
    if (parks) {
        buffers->states[buffer] = CMDI_RING_BUFFER_PARKED;
    } else {
        buffer_provide(buffers, buffer);
    }
}

uint32_t cmdi_ring_buffer_count(const struct cmdi_ring *ring)
{
    return ring->kernel->buffers.count;
}

uint32_t cmdi_ring_buffer_count_max(const struct cmdi_ring *ring)
{
    return ring->kernel->buffers.count_max;
}

uint32_t cmdi_ring_buffers_free(const struct cmdi_ring *ring)
{
    const struct cmdi_ring_buffers *buffers = &ring->kernel->buffers;
    return buffers->count > buffers->held ? buffers->count - buffers->held : 0;
}

uint32_t cmdi_ring_buffers_peak(struct cmdi_ring *ring)
{
    struct cmdi_ring_buffers *buffers = &ring->kernel->buffers;
    uint32_t peak = buffers->peak;
    buffers->peak = buffers->held;
    return peak;
}

bool cmdi_ring_buffers_grow(struct cmdi_ring *ring)
{
    struct cmdi_ring_buffers *buffers = &ring->kernel->buffers;
    uint32_t target = buffers->count * 2;
    if (target > buffers->count_max) {
        return false;
    }
    for (; buffers->count < target; buffers->count++) {
        // Else the kernel or the owner still has it from before a shrink.
        if (buffers->states[buffers->count] == CMDI_RING_BUFFER_PARKED) {
            buffer_provide(buffers, buffers->count);
        }
    }
    return true;
}

void cmdi_ring_buffers_shrink(struct cmdi_ring *ring)
{
    struct cmdi_ring_buffers *buffers = &ring->kernel->buffers;
    if (buffers->count / 2 >= buffers->count_min) {
        // Those above leave the group one by one, as they are used and released.
        buffers->count /= 2;
    }
}

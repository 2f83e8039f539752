/* SPDX-License-Identifier: MIT */
/*
 * Receive buffers. Each is a block of its own, made when it is first filled; under the address sanitizer
 * it is freed when it is released, so whoever still reads it is found.
 */
#include "base/assert.h"
#include "sim/ring_inside.h"

static bool buffer_is_freed(void)
{
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
    return true;
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
    return true;
#else
    return false;
#endif
}

static void buffer_provide(struct cmdi_ring *ring, uint32_t buffer)
{
    uint32_t max = ring->options.buffer_count_max;
    CMDI_ASSERT(ring->provided_count < max);
    ring->buffer_states[buffer] = BUFFER_PROVIDED;
    ring->provided[(ring->provided_first + ring->provided_count++) % max] = (uint16_t)buffer;
}

static void buffer_drop(struct cmdi_ring *ring, uint32_t buffer)
{
    cmdi_sim_free(ring->buffers[buffer]);
    ring->buffers[buffer] = NULL;
}

void ring_buffers_init(struct cmdi_ring *ring)
{
    uint32_t max = ring->options.buffer_count_max;
    ring->buffers = cmdi_sim_alloc(max * sizeof(uint8_t *));
    ring->buffer_states = cmdi_sim_alloc(max);
    ring->provided = cmdi_sim_alloc(max * sizeof(*ring->provided));
    for (uint32_t i = 0; i < max; i++) {
        ring->buffer_states[i] = BUFFER_PARKED;
    }
    for (; ring->buffer_count < ring->options.buffer_count; ring->buffer_count++) {
        buffer_provide(ring, ring->buffer_count);
    }
}

void ring_buffers_fini(struct cmdi_ring *ring)
{
    for (uint32_t i = 0; i < ring->options.buffer_count_max; i++) {
        buffer_drop(ring, i);
    }
    cmdi_sim_free(ring->buffers);
    cmdi_sim_free(ring->buffer_states);
    cmdi_sim_free(ring->provided);
}

uint32_t ring_buffer_take(struct cmdi_ring *ring)
{
    uint32_t max = ring->options.buffer_count_max;
    CMDI_ASSERT(ring->provided_count > 0);
    uint32_t buffer = ring->provided[ring->provided_first];
    ring->provided_first = (ring->provided_first + 1) % max;
    ring->provided_count--;
    if (ring->buffers[buffer] == NULL) {
        ring->buffers[buffer] = cmdi_sim_alloc(ring->options.buffer_size);
    }
    return buffer;
}

void ring_buffer_untake(struct cmdi_ring *ring, uint32_t buffer)
{
    uint32_t max = ring->options.buffer_count_max;
    ring->provided_first = (ring->provided_first + max - 1) % max;
    ring->provided[ring->provided_first] = (uint16_t)buffer;
    ring->provided_count++;
}

void ring_buffer_hold(struct cmdi_ring *ring, uint32_t buffer)
{
    CMDI_ASSERT(ring->buffer_states[buffer] == BUFFER_PROVIDED);
    ring->buffer_states[buffer] = BUFFER_HELD;
    ring->buffers_held++;
}

uint8_t *cmdi_ring_buffer(const struct cmdi_ring *ring, uint16_t buffer)
{
    CMDI_ASSERT(buffer < ring->options.buffer_count_max && ring->buffers[buffer] != NULL);
    return ring->buffers[buffer];
}

void cmdi_ring_buffer_release(struct cmdi_ring *ring, uint16_t buffer)
{
    CMDI_ASSERT(buffer < ring->options.buffer_count_max && ring->buffers_held > 0);
    CMDI_ASSERT(ring->buffer_states[buffer] == BUFFER_HELD);
    ring->buffers_held--;
    if (buffer_is_freed()) {
        buffer_drop(ring, buffer);
    }
    if (buffer >= ring->buffer_count) { // The group has shrunk meanwhile.
        ring->buffer_states[buffer] = BUFFER_PARKED;
        buffer_drop(ring, buffer);
        return;
    }
    buffer_provide(ring, buffer);
}

uint32_t cmdi_ring_buffer_count(const struct cmdi_ring *ring)
{
    return ring->buffer_count;
}

uint32_t cmdi_ring_buffers_free(const struct cmdi_ring *ring)
{
    return ring->provided_count;
}

bool cmdi_ring_buffers_grow(struct cmdi_ring *ring)
{
    uint32_t target = ring->buffer_count * 2;
    if (target > ring->options.buffer_count_max) {
        return false;
    }
    for (; ring->buffer_count < target; ring->buffer_count++) {
        if (ring->buffer_states[ring->buffer_count] == BUFFER_PARKED) {
            buffer_provide(ring, ring->buffer_count);
        }
    }
    return true;
}

void cmdi_ring_buffers_shrink(struct cmdi_ring *ring)
{
    if (ring->buffer_count / 2 >= ring->options.buffer_count) {
        ring->buffer_count /= 2;
    }
}

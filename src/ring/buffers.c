/* SPDX-License-Identifier: MIT */
/*
 * Receive buffers: a group that the kernel takes from. Address space is there for as many as it may
 * grow to, memory for those that were used. A number above the group's size is parked: unless it is
 * with the kernel or the owner from a larger time, and then it is parked when it comes back.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "ring/inside.h"

static void ring_provide(struct cmdi_ring *ring, uint32_t buffer)
{
    ring->buffer_states[buffer] = CMDI_RING_BUFFER_PROVIDED;
    cmdi_ring_poison(ring, buffer, true);
    io_uring_buf_ring_add(ring->group, cmdi_ring_buffer_at(ring, buffer),
            cmdi_ring_buffer_length(ring, buffer), (unsigned short)buffer,
            io_uring_buf_ring_mask(ring->buffer_count_max), (int)ring->buffers_added);
    ring->buffers_added++;
}

static void *ring_map(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

/* After -ENOMEM: at this size again, or without half of those that are small. Returns: false: neither. */
static bool ring_may_register_again(struct cmdi_ring *ring, struct cmdi_ring_patience *patience)
{
    uint32_t half = ring->buffer_count_max / 2;
    bool may_shrink = half >= ring->small_from && half >= ring->buffer_count_min;
    if (cmdi_ring_wait_for_memory(patience,
                may_shrink ? CMDI_RING_SETUP_WAIT_FIRST_MS : CMDI_RING_SETUP_WAIT_MAX_MS)) {
        return true;
    }
    ring->buffer_count_max = may_shrink ? half : ring->buffer_count_max;
    return may_shrink;
}

/* Returns: 0; -ENOMEM: not even without small ones; -errno. */
static int ring_register_group(struct cmdi_ring *ring, struct cmdi_ring_patience *patience)
{
    int code = 0;
    io_uring_buf_ring_init(ring->group);
    do {
        struct io_uring_buf_reg registration = {
                .ring_addr = (uint64_t)(uintptr_t)ring->group,
                .ring_entries = ring->buffer_count_max,
                .bgid = CMDI_RING_BUFFER_GROUP,
        };
        code = io_uring_register_buf_ring(&ring->uring, &registration, 0);
    } while (code == -ENOMEM && ring_may_register_again(ring, patience));
    return code;
}

static void ring_set_sizes(struct cmdi_ring *ring, const struct cmdi_ring_options *options)
{
    CMDI_ASSERT(cmdi_ring_buffer_size_max(options) >= options->buffer_size);
    CMDI_ASSERT(options->large_count + options->small_count <= options->buffer_count_max);
    CMDI_ASSERT(options->small_size <= options->buffer_size);
    ring->buffer_size = options->buffer_size;
    ring->large_count = options->large_count;
    ring->large_extra = cmdi_ring_buffer_size_max(options) - options->buffer_size;
    ring->small_from = options->buffer_count_max - options->small_count;
    ring->small_less = options->small_count > 0 ? options->buffer_size - options->small_size : 0;
    ring->buffer_count_max = options->buffer_count_max;
    ring->buffer_count_min = options->buffer_count;
}

int cmdi_ring_buffers_init(struct cmdi_ring *ring, const struct cmdi_ring_options *options,
        struct cmdi_ring_patience *patience, struct cmds_error *error)
{
    ring_set_sizes(ring, options);
    ring->group_size = ring->buffer_count_max * sizeof(struct io_uring_buf);
    ring->group = ring_map(ring->group_size);
    int code = ring->group != NULL ? ring_register_group(ring, patience) : 0;
    if (code == -ENOMEM) {
        return cmdi_ring_refused(code, error);
    }
    if (code < 0) {
        return cmdi_fail(error, code, "io_uring: registering %u receive buffers failed: %s",
                ring->buffer_count_max, strerror(-code));
    }
    ring->group_registered = ring->group != NULL;
    ring->buffers = ring_map(cmdi_ring_buffer_offset(ring, ring->buffer_count_max));
    ring->buffer_states = malloc(ring->buffer_count_max);
    if (ring->group == NULL || ring->buffers == NULL || ring->buffer_states == NULL) {
        return cmdi_fail(error, -ENOMEM, "no memory for %u receive buffers of %u bytes",
                ring->buffer_count_max, ring->buffer_size);
    }
    memset(ring->buffer_states, CMDI_RING_BUFFER_PARKED, ring->buffer_count_max);
    for (; ring->buffer_count < options->buffer_count; ring->buffer_count++) {
        ring_provide(ring, ring->buffer_count);
    }
    return 0;
}

void cmdi_ring_buffers_fini(struct cmdi_ring *ring, bool written)
{
    if (ring->group != NULL && !written) {
        (void)munmap(ring->group, ring->group_size);
    }
    if (ring->buffers != NULL && !written) {
        for (uint32_t i = 0; i < ring->buffer_count_max; i++) {
            cmdi_ring_poison(ring, i, false); // The addresses may be somebody else's soon.
        }
        (void)munmap(ring->buffers, cmdi_ring_buffer_offset(ring, ring->buffer_count_max));
    }
    free(ring->buffer_states);
}

uint8_t *cmdi_ring_buffer(const struct cmdi_ring *ring, uint16_t buffer)
{
    CMDI_ASSERT(buffer < ring->buffer_count_max);
    return cmdi_ring_buffer_at(ring, buffer);
}

/* The pages that are its alone: the kernel would clear the last one whole, with what a neighbour has there. */
static void ring_give_back_pages(const struct cmdi_ring *ring, uint32_t buffer)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t begin = cmdi_ring_buffer_offset(ring, buffer);
    size_t end = (begin + cmdi_ring_buffer_length(ring, buffer)) / page * page;
    begin = (begin + page - 1) / page * page;
    if (begin < end) {
        (void)madvise(ring->buffers + begin, end - begin, MADV_DONTNEED);
    }
}

static void ring_park(struct cmdi_ring *ring, uint32_t buffer)
{
    ring->buffer_states[buffer] = CMDI_RING_BUFFER_PARKED;
    cmdi_ring_poison(ring, buffer, true);
    ring_give_back_pages(ring, buffer);
}

void cmdi_ring_buffer_release(struct cmdi_ring *ring, uint16_t buffer)
{
    CMDI_ASSERT(buffer < ring->buffer_count_max && ring->buffers_held > 0);
    CMDI_ASSERT(ring->buffer_states[buffer] == CMDI_RING_BUFFER_HELD);
    ring->buffers_held--;
    if (CMDI_UNLIKELY(buffer >= ring->buffer_count)) {
        ring_park(ring, buffer); // The group has shrunk meanwhile.
        return;
    }
    ring_provide(ring, buffer);
}

uint32_t cmdi_ring_buffer_count(const struct cmdi_ring *ring)
{
    return ring->buffer_count;
}

uint32_t cmdi_ring_buffer_count_max(const struct cmdi_ring *ring)
{
    return ring->buffer_count_max;
}

uint32_t cmdi_ring_buffers_free(const struct cmdi_ring *ring)
{
    return ring->buffer_count > ring->buffers_held ? ring->buffer_count - ring->buffers_held : 0;
}

uint32_t cmdi_ring_buffers_peak(struct cmdi_ring *ring)
{
    uint32_t peak = ring->buffers_peak;
    ring->buffers_peak = ring->buffers_held;
    return peak;
}

bool cmdi_ring_buffers_grow(struct cmdi_ring *ring)
{
    uint32_t target = ring->buffer_count * 2;
    if (target > ring->buffer_count_max) {
        return false;
    }
    for (; ring->buffer_count < target; ring->buffer_count++) {
        // Else the kernel or we still have it from before a shrink.
        if (ring->buffer_states[ring->buffer_count] == CMDI_RING_BUFFER_PARKED) {
            ring_provide(ring, ring->buffer_count);
        }
    }
    return true;
}

void cmdi_ring_buffers_shrink(struct cmdi_ring *ring)
{
    if (ring->buffer_count / 2 >= ring->buffer_count_min) {
        // Those above leave the group one by one, as they are used and released.
        ring->buffer_count /= 2;
    }
}

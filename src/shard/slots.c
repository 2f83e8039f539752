/* SPDX-License-Identifier: MIT */
/* A shard's slots: who gets a completion. */
#include <stdlib.h>

#include "shard/shard.h"

enum {
    SHARD_SLOTS_FIRST = 64,
    SHARD_GENERATION_MASK = 0xffffff,
};

static bool shard_slots_grow(struct cmdi_shard *shard)
{
    uint32_t count = shard->slot_capacity == 0 ? SHARD_SLOTS_FIRST : shard->slot_capacity * 2;
    struct cmdi_slot *slots = realloc(shard->slots, count * sizeof(*slots));
    if (slots == NULL) {
        return false;
    }
    shard->slots = slots; // What is new is untouched: of 131,072 some may never be needed.
    shard->slot_capacity = count;
    return true;
}

/* The first that was never used. */
static bool shard_slots_begin(struct cmdi_shard *shard)
{
    if (shard->slot_count == shard->slot_capacity && !shard_slots_grow(shard)) {
        return false;
    }
    uint32_t index = shard->slot_count++;
    shard->slots[index] = (struct cmdi_slot){.generation = 1, .next_free = CMDI_SLOT_NONE};
    shard->slot_free = index;
    return true;
}

uint32_t cmdi_shard_slot_acquire(struct cmdi_shard *shard, cmdi_completion_fn fn, void *owner)
{
    if (shard->slot_free == CMDI_SLOT_NONE && !shard_slots_begin(shard)) {
        return CMDI_SLOT_NONE;
    }
    uint32_t index = shard->slot_free;
    struct cmdi_slot *slot = &shard->slots[index];
    shard->slot_free = slot->next_free;
    slot->owner = owner;
    slot->fn = fn;
    return index;
}

void cmdi_shard_slot_release(struct cmdi_shard *shard, uint32_t index)
{
    struct cmdi_slot *slot = &shard->slots[index];
    CMDI_ASSERT(slot->owner != NULL);
    slot->owner = NULL;
    slot->generation = (slot->generation + 1) & SHARD_GENERATION_MASK;
    slot->generation += slot->generation == 0;
    slot->next_free = shard->slot_free;
    shard->slot_free = index;
}

void cmdi_shard_complete(struct cmdi_shard *shard, const struct cmdi_completion *completion)
{
    uint32_t index = (uint32_t)completion->user_data;
    uint32_t generation = (uint32_t)(completion->user_data >> 32) & SHARD_GENERATION_MASK;
    CMDI_ASSERT(index < shard->slot_count);
    struct cmdi_slot *slot = &shard->slots[index];
    if (CMDI_UNLIKELY(slot->owner == NULL || slot->generation != generation)) {
        CMDI_COUNT(&shard->counters, stale_completions, 1);
        if (completion->flags & CMDI_COMPLETION_BUFFER) {
            cmdi_receive_give_back(&shard->receive, completion->buffer);
        }
        return;
    }
    slot->fn(slot->owner, (uint32_t)(completion->user_data >> 56), completion);
}

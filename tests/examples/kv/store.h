/* SPDX-License-Identifier: MIT */
/* The state, of one thread at a time: slots, searched one after the other. */
#ifndef STORE_H
#define STORE_H

#include "kv.h"

enum {
    STORE_SLOTS = 1024,
};
struct slot {
    char key[32], value[64];
    uint64_t dies_ns; // By cmds_now_ns(); 0: nobody has it.
};
struct store {
    struct cmds_runtime *runtime;
    struct slot slots[STORE_SLOTS];
    int64_t count;
};

static inline struct slot *store_find(struct store *store, struct cmds_string key)
{
    for (size_t i = 0; i < STORE_SLOTS; i++) {
        struct slot *slot = &store->slots[i];
        if (slot->dies_ns != 0 && cmds_string_equal(key, cmds_string_from(slot->key))) {
            return slot;
        }
    }
    return NULL;
}

static inline bool store_set(struct store *store, const struct kv_set *set)
{
    struct slot *slot = store_find(store, set->key);
    for (size_t i = 0; i < STORE_SLOTS && slot == NULL; i++) {
        if (store->slots[i].dies_ns == 0) {
            slot = &store->slots[i];
            store->count++;
        }
    }
    if (slot != NULL) {
        *slot = (struct slot){.dies_ns = UINT64_MAX};
        memcpy(slot->key, set->key.data, set->key.size);
        memcpy(slot->value, set->value.data, set->value.size);
        slot->dies_ns =
                set->ttl_ms != 0 ? cmds_now_ns() + set->ttl_ms * UINT64_C(1000000) : UINT64_MAX;
    }
    return slot != NULL;
}

static inline void store_expire(struct store *store)
{
    uint64_t now_ns = cmds_now_ns();
    for (size_t i = 0; i < STORE_SLOTS; i++) {
        struct slot *slot = &store->slots[i];
        if (slot->dies_ns != 0 && slot->dies_ns <= now_ns) {
            slot->dies_ns = 0;
            store->count--;
        }
    }
}

#endif

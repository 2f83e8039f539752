/* SPDX-License-Identifier: MIT */
/* What the owner of the state does with a call, on its shard; the call's own may be another. */
#ifndef OWNER_H
#define OWNER_H

#include <errno.h>

#include "store.h"

enum {
    OWNER = 0, // The shard.
};

/* The call goes to the owner: with its command, and with a reference that the owner gives back. */
static inline int to_owner(struct cmds_call *call, void (*fn)(void *call))
{
    struct store *store = cmds_call_receiver(call);
    int code = cmds_call_keep_command(call);
    if (code == 0) {
        code = cmds_runtime_post(store->runtime, OWNER, fn, cmds_call_ref(call));
        if (code < 0) {
            cmds_call_unref(call);
        }
    }
    return code;
}

static inline void owner_set(void *context)
{
    struct cmds_call *call = context;
    struct store *store = cmds_call_receiver(call);
    if (store_set(store, kv_set_of(call))) {
        (void)cmds_call_send(call, kv_done_message(&(struct kv_done){store->count}));
    } else {
        cmds_call_fail(call, -ENOBUFS, "the store is full");
    }
    cmds_call_unref(call);
}

static inline void owner_get(void *context)
{
    struct cmds_call *call = context;
    const struct slot *slot = store_find(cmds_call_receiver(call), kv_get_of(call)->key);
    struct kv_value value = {slot != NULL, cmds_string_from(slot != NULL ? slot->value : "")};
    (void)cmds_call_send(call, kv_value_message(&value));
    cmds_call_unref(call);
}

static inline void scan_more(struct cmds_call *call);

/* From the slot where it stopped, as far as there is room in the connection. */
static inline void owner_scan(void *context)
{
    struct cmds_call *call = context;
    struct store *store = cmds_call_receiver(call);
    struct cmds_string prefix = kv_scan_of(call)->prefix;
    size_t i = (size_t)(uintptr_t)cmds_call_context(call);
    for (; i < STORE_SLOTS; i++) {
        const struct slot *slot = &store->slots[i];
        struct kv_pair pair = {cmds_string_from(slot->key), cmds_string_from(slot->value)};
        if (slot->dies_ns != 0 && strncmp(slot->key, prefix.data, prefix.size) == 0 &&
                cmds_call_send(call, kv_pair_message(&pair)) == -ENOBUFS) {
            cmds_call_set_context(call, (void *)(uintptr_t)i);
            if (cmds_call_on_writable(call, scan_more) == 0) {
                return; // Our reference goes along.
            }
        }
    }
    (void)cmds_call_send(call, kv_done_message(&(struct kv_done){store->count}));
    cmds_call_unref(call);
}

static inline void scan_more(
        struct cmds_call *call) // On the call's shard: there is room, or nobody waits.
{
    (void)to_owner(call, owner_scan);
    cmds_call_unref(call);
}

#endif

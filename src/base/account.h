/* SPDX-License-Identifier: MIT */
/*
 * How much memory a shard holds in all: leased buffers, chunks of pools, large arenas, kept commands,
 * queues. One bound for all of it.
 *
 *     0 ............................ 7/8 ............ size_max
 *       whatever is asked for         small sizes only, and what frees as much as it takes
 *
 * The last part is a reserve: connections that hold much are refused before there is nothing left for
 * connections that hold little. A refusal is remembered, and at the end of its turn the shard decides
 * which connection pays for it.
 *
 * The shard's own thread charges `size`; other threads charge `shared_size`, and only when a buffer
 * grows. NULL in place of an account: nothing is counted, nothing is bounded.
 */
#ifndef CMDI_BASE_ACCOUNT_H
#define CMDI_BASE_ACCOUNT_H

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/list.h"

enum {
    CMDI_ACCOUNT_SMALL = 16 * 1024, // Up to it a charge may go into the reserve.
};

/** An owner of memory that may be unused. Linked while it may have some; `fn` on the shard's thread. */
struct cmdi_trim {
    struct cmdi_list link;
    void (*fn)(struct cmdi_trim *trim);
};

struct cmdi_account {
    uint64_t size; // Written by the shard alone, read by anybody.
    uint64_t size_max;
    struct cmdi_list trims; // struct cmdi_trim
    bool refused;           // Since the shard last checked, to a caller that does not wait.
    /* Written by any thread. */
    _Atomic bool shared_refused; // As `refused`.
    _Atomic uint64_t shared_size;
};

static inline void cmdi_account_init(struct cmdi_account *account, uint64_t size_max)
{
    *account = (struct cmdi_account){.size_max = size_max};
    cmdi_list_init(&account->trims);
}

/** Where only small sizes are given: there the reserve begins. */
static inline uint64_t cmdi_account_mark(const struct cmdi_account *account)
{
    return account->size_max - account->size_max / 8;
}

/** Thread: any. */
static inline uint64_t cmdi_account_used(const struct cmdi_account *account)
{
    return __atomic_load_n(&account->size, __ATOMIC_RELAXED) +
           atomic_load_explicit(&account->shared_size, memory_order_relaxed);
}

/** How much there may be in all, behind a charge of `size`. Thread: any. */
static inline uint64_t cmdi_account_max(const struct cmdi_account *account, size_t size)
{
    return size <= CMDI_ACCOUNT_SMALL ? account->size_max : cmdi_account_mark(account);
}

/** Would so much more be given? Thread: any. */
static inline bool cmdi_account_allows(const struct cmdi_account *account, size_t size)
{
    uint64_t max = cmdi_account_max(account, size);
    uint64_t used = cmdi_account_used(account);
    return used <= max && size <= max - used;
}

/** Why a charge was refused. Returns: -ENOBUFS: there will be room; -ENOMEM: never for so much. */
static inline int cmdi_account_refusal(const struct cmdi_account *account, size_t size)
{
    return size <= cmdi_account_max(account, size) ? -ENOBUFS : -ENOMEM;
}

/* --- The shard's thread ----------------------------------------------------------------------- */

/** Without a check of the bound: the size was allowed before, or as much is freed soon. */
static inline void cmdi_account_add(struct cmdi_account *account, size_t size)
{
    if (account != NULL) {
        __atomic_store_n(&account->size, account->size + size, __ATOMIC_RELAXED);
    }
}

static inline void cmdi_account_sub(struct cmdi_account *account, size_t size)
{
    if (account != NULL) {
        CMDI_ASSERT(account->size >= size); // Nobody frees what was not charged.
        __atomic_store_n(&account->size, account->size - size, __ATOMIC_RELAXED);
    }
}

/**
 * Returns: false at the bound, which is remembered, unless there would never be as much: nothing is
 * charged.
 */
static inline bool cmdi_account_charge(struct cmdi_account *account, size_t size)
{
    if (account == NULL) {
        return true;
    }
    if (CMDI_UNLIKELY(!cmdi_account_allows(account, size))) {
        account->refused = account->refused || size <= cmdi_account_mark(account);
        return false;
    }
    cmdi_account_add(account, size);
    return true;
}

/** The same, but any size may take from the reserve: a connection cannot live without it. */
static inline bool cmdi_account_charge_reserve(struct cmdi_account *account, size_t size)
{
    if (account == NULL) {
        return true;
    }
    uint64_t used = cmdi_account_used(account);
    if (used > account->size_max || size > account->size_max - used) {
        account->refused = account->refused || size <= cmdi_account_mark(account);
        return false;
    }
    cmdi_account_add(account, size);
    return true;
}

/** `fn` is called when memory is to be given back. Once is enough. */
static inline void cmdi_account_add_trim(struct cmdi_account *account, struct cmdi_trim *trim)
{
    CMDI_ASSERT(account == NULL || trim->fn != NULL);
    if (account != NULL && cmdi_list_empty(&trim->link)) {
        cmdi_list_push(&account->trims, &trim->link);
    }
}

/** Every owner gives back the memory that it does not use. */
static inline void cmdi_account_trim(struct cmdi_account *account)
{
    struct cmdi_list *node = account->trims.next;
    while (node != &account->trims) {
        struct cmdi_trim *trim = CMDI_CONTAINER(node, struct cmdi_trim, link);
        node = node->next; // It may leave the list.
        trim->fn(trim);
    }
}

/* --- Any thread ------------------------------------------------------------------------------- */

static inline bool cmdi_account_charge_shared(struct cmdi_account *account, size_t size)
{
    if (account == NULL) {
        return true;
    }
    if (!cmdi_account_allows(account, size)) {
        if (size <= cmdi_account_mark(account)) {
            atomic_store_explicit(&account->shared_refused, true, memory_order_relaxed);
        }
        return false;
    }
    atomic_fetch_add_explicit(&account->shared_size, size, memory_order_relaxed);
    return true;
}

static inline void cmdi_account_free_shared(struct cmdi_account *account, size_t size)
{
    if (account != NULL && size > 0) {
        uint64_t before =
                atomic_fetch_sub_explicit(&account->shared_size, size, memory_order_relaxed);
        CMDI_ASSERT(before >= size);
        (void)before;
    }
}

#endif

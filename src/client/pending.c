/* SPDX-License-Identifier: MIT */
/* The rare half of the pending table: growth, and taking entries out. One thread. */
#include "client/pending.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

enum {
    PENDING_BUCKETS_MAX = 1 << 20, // As many as the largest window.
};

void cmdi_pending_init(struct cmdi_pending_table *table)
{
    *table = (struct cmdi_pending_table){.mask = CMDI_PENDING_BUCKETS_MIN - 1};
    table->buckets = table->first;
}

void cmdi_pending_fini(struct cmdi_pending_table *table)
{
    if (table->buckets != table->first) {
        free(table->buckets);
    }
    cmdi_pending_init(table);
}

void cmdi_pending_grow(struct cmdi_pending_table *table)
{
    uint32_t size = table->mask + 1;
    if (size >= PENDING_BUCKETS_MAX) {
        return;
    }
    struct cmdi_pending **buckets = calloc((size_t)size * 2, sizeof(struct cmdi_pending *));
    if (buckets == NULL) {
        return;
    }
    uint32_t mask = size * 2 - 1;
    for (uint32_t i = 0; i < size; i++) {
        struct cmdi_pending *entry = table->buckets[i];
        while (entry != NULL) {
            struct cmdi_pending *next = entry->next;
            struct cmdi_pending **bucket = &buckets[entry->sequence & mask];
            entry->next = *bucket;
            *bucket = entry;
            entry = next;
        }
    }
    if (table->buckets != table->first) {
        free(table->buckets);
    }
    table->buckets = buckets;
    table->mask = mask;
}

void cmdi_pending_trim(struct cmdi_pending_table *table)
{
    if (table->count == 0 && table->buckets != table->first) {
        cmdi_pending_fini(table);
    }
}

void cmdi_pending_remove_slow(struct cmdi_pending_table *table, struct cmdi_pending *entry)
{
    struct cmdi_pending **link = &table->buckets[entry->sequence & table->mask];
    while (*link != entry) {
        CMDI_ASSERT(*link != NULL);
        link = &(*link)->next;
    }
    *link = entry->next;
    table->count--;
}

struct cmdi_pending *cmdi_pending_pop(struct cmdi_pending_table *table, uint32_t *bucket)
{
    for (; *bucket <= table->mask; (*bucket)++) {
        struct cmdi_pending *entry = table->buckets[*bucket];
        if (entry != NULL) {
            table->buckets[*bucket] = entry->next;
            table->count--;
            return entry;
        }
    }
    return NULL;
}

bool cmdi_pending_any_awaited(const struct cmdi_pending_table *table, uint64_t sequence_max)
{
    for (uint32_t i = 0; i <= table->mask && table->count > 0; i++) {
        for (struct cmdi_pending *entry = table->buckets[i]; entry != NULL; entry = entry->next) {
            if (entry->sequence <= sequence_max && cmdi_pending_is_awaited(entry)) {
                return true;
            }
        }
    }
    return false;
}

/* SPDX-License-Identifier: MIT */
/* See delta.h. A table of pointers with open addressing; its entries stay where they are. */
#include "otel/delta.h"

#include <errno.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/hash.h"

enum {
    SLOTS_MIN = 256, // Powers of two; at most half of them are used.
};

/* The last values of one point. */
struct entry {
    char *key; // Name and labels, of key_size bytes.
    size_t key_size;
    int64_t integer;
    double real;
    uint64_t count, zero_count;
    double sum;
    int32_t scale, offset;
    uint32_t bucket_count;
    uint64_t *buckets;
};

struct cmdi_deltas {
    struct entry **slots;
    uint32_t slot_count, count;
    uint64_t since_ns;
};

static void entry_free(struct entry *entry)
{
    if (entry != NULL) {
        free(entry->buckets);
        free(entry->key);
        free(entry);
    }
}

struct cmdi_deltas *cmdi_deltas_new(uint64_t start_ns)
{
    struct cmdi_deltas *deltas = calloc(1, sizeof(*deltas));
    if (deltas == NULL) {
        return NULL;
    }
    deltas->since_ns = start_ns;
    deltas->slot_count = SLOTS_MIN;
    deltas->slots = calloc(SLOTS_MIN, sizeof(struct entry *));
    if (deltas->slots == NULL) {
        free(deltas);
        return NULL;
    }
    return deltas;
}

void cmdi_deltas_free(struct cmdi_deltas *deltas)
{
    if (deltas == NULL) {
        return;
    }
    for (uint32_t i = 0; i < deltas->slot_count; i++) {
        entry_free(deltas->slots[i]);
    }
    free(deltas->slots);
    free(deltas);
}

uint64_t cmdi_deltas_since(const struct cmdi_deltas *deltas)
{
    return deltas->since_ns;
}

void cmdi_deltas_next(struct cmdi_deltas *deltas, uint64_t now_ns)
{
    deltas->since_ns = now_ns;
}

/* ---- The table ------------------------------------------------------------------------------- */

/* Name and labels with their sizes between them: no two points have the same. NULL: no memory. */
static char *key_make(
        const struct cmds_metric *metric, const struct cmds_point *point, size_t *size)
{
    size_t need = strlen(metric->name) + 1;
    for (uint32_t i = 0; i < point->label_count; i++) {
        need += strlen(point->labels[i].key) + 1 + sizeof(size_t) + point->labels[i].value.size;
    }
    char *key = malloc(need);
    if (key == NULL) {
        return NULL;
    }
    char *at = stpcpy(key, metric->name) + 1;
    for (uint32_t i = 0; i < point->label_count; i++) {
        const struct cmds_label *label = &point->labels[i];
        at = stpcpy(at, label->key) + 1;
        at = (char *)memcpy(at, &label->value.size, sizeof(size_t)) + sizeof(size_t);
        if (label->value.size > 0) {
            at = (char *)memcpy(at, label->value.data, label->value.size) + label->value.size;
        }
    }
    CMDI_ASSERT(at == key + need);
    *size = need;
    return key;
}

static struct entry **slot_of(
        struct entry **slots, uint32_t slot_count, const char *key, size_t key_size)
{
    uint64_t hash = cmdi_hash_mix(key_size);
    for (size_t i = 0; i < key_size; i++) {
        hash = (hash ^ (uint8_t)key[i]) * UINT64_C(0x100000001b3);
    }
    uint32_t at = (uint32_t)cmdi_hash_mix(hash) & (slot_count - 1);
    while (slots[at] != NULL &&
            (slots[at]->key_size != key_size || memcmp(slots[at]->key, key, key_size) != 0)) {
        at = (at + 1) & (slot_count - 1);
    }
    return &slots[at];
}

static int table_grow(struct cmdi_deltas *deltas)
{
    uint32_t slot_count = deltas->slot_count * 2;
    struct entry **slots = calloc(slot_count, sizeof(struct entry *));
    if (slots == NULL) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < deltas->slot_count; i++) {
        struct entry *entry = deltas->slots[i];
        if (entry != NULL) {
            *slot_of(slots, slot_count, entry->key, entry->key_size) = entry;
        }
    }
    free(deltas->slots);
    deltas->slots = slots;
    deltas->slot_count = slot_count;
    return 0;
}

/* Takes `key`. Returns: 0, and an entry of zeros if there was none; -ENOBUFS, -ENOMEM. */
static int entry_of(struct cmdi_deltas *deltas, char *key, size_t key_size, struct entry **entry)
{
    struct entry **slot = slot_of(deltas->slots, deltas->slot_count, key, key_size);
    int code = 0;
    if (*slot == NULL && deltas->count == CMDI_DELTAS_MAX) {
        code = -ENOBUFS;
    } else if (*slot == NULL && deltas->count >= deltas->slot_count / 2) {
        code = table_grow(deltas);
        slot = slot_of(deltas->slots, deltas->slot_count, key, key_size);
    }
    if (code == 0 && *slot == NULL) {
        *slot = calloc(1, sizeof(struct entry));
        if (*slot != NULL) {
            (*slot)->key = key;
            (*slot)->key_size = key_size;
            deltas->count++;
            *entry = *slot;
            return 0;
        }
        code = -ENOMEM;
    }
    free(key);
    *entry = code == 0 ? *slot : NULL;
    return code;
}

/* ---- Differences ----------------------------------------------------------------------------- */

static uint64_t bucket_before(const struct entry *entry, int64_t index)
{
    int64_t at = index - entry->offset;
    return at >= 0 && at < entry->bucket_count ? entry->buckets[at] : 0;
}

/* Is there a bucket that has less in it than it had? */
static bool is_anew(const struct entry *entry, const struct cmds_distribution *now)
{
    bool anew = now->scale != entry->scale || now->count < entry->count ||
                now->zero_count < entry->zero_count;
    for (uint32_t i = 0; i < now->bucket_count && !anew; i++) {
        anew = now->buckets[i] < bucket_before(entry, (int64_t)now->offset + i);
    }
    return anew;
}

static int keep(struct entry *entry, const struct cmds_distribution *now)
{
    if (now->bucket_count > entry->bucket_count) {
        uint64_t *buckets = realloc(entry->buckets, now->bucket_count * sizeof(uint64_t));
        if (buckets == NULL) {
            return -ENOMEM;
        }
        entry->buckets = buckets;
    }
    if (now->bucket_count > 0) {
        memcpy(entry->buckets, now->buckets, now->bucket_count * sizeof(uint64_t));
    }
    entry->bucket_count = now->bucket_count;
    entry->offset = now->offset;
    entry->scale = now->scale;
    entry->count = now->count;
    entry->zero_count = now->zero_count;
    entry->sum = now->sum;
    return 0;
}

static int take_distribution(
        struct entry *entry, const struct cmds_distribution *now, struct cmdi_delta_point *less)
{
    static const struct entry nothing = {.offset = 0};
    if (now->bucket_count > CMDI_DELTA_BUCKETS_MAX) {
        return -ENOBUFS;
    }
    const struct entry *before = is_anew(entry, now) ? &nothing : entry;
    struct cmds_distribution *out = &less->distribution;
    *out = *now;
    out->buckets = less->buckets;
    uint32_t first = UINT32_MAX, end = 0;
    for (uint32_t i = 0; i < now->bucket_count; i++) {
        less->buckets[i] = now->buckets[i] - bucket_before(before, (int64_t)now->offset + i);
        if (less->buckets[i] > 0) {
            first = first == UINT32_MAX ? i : first;
            end = i + 1;
        }
    }
    out->bucket_count = end > 0 ? end - first : 0;
    out->buckets = end > 0 ? less->buckets + first : less->buckets;
    out->offset = end > 0 ? now->offset + (int32_t)first : 0;
    out->count = now->count - before->count;
    out->zero_count = now->zero_count - before->zero_count;
    out->sum = now->sum - before->sum;
    less->point.distribution = out;
    int code = keep(entry, now);
    return code < 0 ? code : out->count > 0;
}

int cmdi_deltas_take(struct cmdi_deltas *deltas, const struct cmds_metric *metric,
        const struct cmds_point *point, struct cmdi_delta_point *less)
{
    CMDI_ASSERT(metric->kind != CMDS_METRIC_GAUGE);
    size_t key_size = 0;
    char *key = key_make(metric, point, &key_size);
    if (key == NULL) {
        return -ENOMEM;
    }
    struct entry *entry = NULL;
    int code = entry_of(deltas, key, key_size, &entry);
    if (code < 0) {
        return code;
    }
    less->point = *point;
    if (metric->kind == CMDS_METRIC_HISTOGRAM) {
        return take_distribution(entry, point->distribution, less);
    }
    less->point.integer -= point->integer < entry->integer ? 0 : entry->integer;
    less->point.real -= point->real < entry->real ? 0 : entry->real;
    entry->integer = point->integer;
    entry->real = point->real;
    return metric->is_real ? less->point.real > 0 : less->point.integer > 0;
}

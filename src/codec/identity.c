/* SPDX-License-Identifier: MIT */
/*
 * Are two types the same? By what they say, because a header's types are other objects in each source
 * file, and because nothing else tells the struct of one protocol from that of another.
 *
 * A program reads every command of a file by that file's types, so what was found out is kept, for
 * pairs of objects, in a small table: a slot is a pair, and a number that is odd while it is written,
 * so that a reader knows whether the two belong together. Whoever loses a race compares once more. A
 * pair is worth nothing after any server or group has let go of its types, since others may lie in
 * their place then. Any thread.
 */
#include <stdatomic.h>
#include <string.h>

#include "codec/protocol.h"

#include <cmdstream/codec.h>

enum {
    PAIR_COUNT = 512,
};

struct pair {
    atomic_uint_fast64_t version; // Odd: it is being written.
    atomic_uint_fast64_t age;
    _Atomic(const struct cmds_type *) own, other;
};

static struct pair pairs[PAIR_COUNT];
static atomic_uint_fast64_t types_age;

/* --- By what they say ------------------------------------------------------------------------- */

static bool names_same(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool field_same(const struct cmds_field *own, const struct cmds_field *other)
{
    if (own->kind == CMDS_KIND_RESERVED) {
        return other->kind == CMDS_KIND_RESERVED;
    }
    bool same = own->kind == other->kind && own->shape == other->shape &&
                own->flags == other->flags && own->offset == other->offset &&
                own->size == other->size && own->item_offset == other->item_offset &&
                own->item_size == other->item_size && own->size_max == other->size_max &&
                names_same(own->name, other->name);
    if (!same || own->kind != CMDS_KIND_STRUCT) {
        return same;
    }
    return other->nested != NULL && cmdi_schema_same(own->nested, other->nested);
}

/* Both are walked alike, so the depth is that of the one that was checked. */
bool cmdi_schema_same(const struct cmds_schema *own, const struct cmds_schema *other)
{
    if (own == other) {
        return true;
    }
    if (own->value_size != other->value_size || own->field_count != other->field_count ||
            !names_same(own->name, other->name)) {
        return false;
    }
    for (uint32_t i = 0; i < own->field_count; i++) {
        if (!field_same(cmds_schema_field(own, i), cmds_schema_field(other, i))) {
            return false;
        }
    }
    return true;
}

static const char *descriptor_name(const struct cmds_type *type)
{
    size_t known = offsetof(struct cmds_type, descriptor_name) + sizeof(type->descriptor_name);
    return type->struct_size >= known ? type->descriptor_name : NULL;
}

static bool descriptor_same(const struct cmds_type *own, const struct cmds_type *other)
{
    if (own->descriptor == other->descriptor) {
        return true;
    }
    const char *name = descriptor_name(own);
    return own->descriptor != NULL && other->descriptor != NULL && name != NULL &&
           names_same(name, descriptor_name(other));
}

static bool type_same(const struct cmds_type *own, const struct cmds_type *other)
{
    return own->number == other->number && own->role == other->role && own->last == other->last &&
           own->one_way == other->one_way && own->flags == other->flags && other->schema != NULL &&
           cmdi_schema_same(own->schema, other->schema) && descriptor_same(own, other) &&
           (cmdi_type_traces(own) != NULL) == (cmdi_type_traces(other) != NULL);
}

/* --- What is known already -------------------------------------------------------------------- */

static struct pair *pair_of(const struct cmds_type *own, const struct cmds_type *other)
{
    uint64_t mixed = ((uint64_t)(uintptr_t)own * 31 + (uintptr_t)other) * 0x9e3779b97f4a7c15u;
    return &pairs[mixed >> 32 & (PAIR_COUNT - 1)];
}

static bool pair_known(
        struct pair *pair, const struct cmds_type *own, const struct cmds_type *other)
{
    uint64_t version = atomic_load_explicit(&pair->version, memory_order_acquire);
    bool known = atomic_load_explicit(&pair->own, memory_order_acquire) == own &&
                 atomic_load_explicit(&pair->other, memory_order_acquire) == other &&
                 atomic_load_explicit(&pair->age, memory_order_acquire) ==
                         atomic_load_explicit(&types_age, memory_order_acquire);
    return known && version % 2 == 0 &&
           atomic_load_explicit(&pair->version, memory_order_relaxed) == version;
}

static void pair_keep(
        struct pair *pair, uint64_t age, const struct cmds_type *own, const struct cmds_type *other)
{
    uint_fast64_t version = atomic_load_explicit(&pair->version, memory_order_relaxed);
    if (version % 2 != 0 ||
            !atomic_compare_exchange_strong(&pair->version, &version, version + 1)) {
        return; // Somebody writes it just now.
    }
    atomic_store(&pair->own, own);
    atomic_store(&pair->other, other);
    atomic_store(&pair->age, age);
    atomic_store_explicit(&pair->version, version + 2, memory_order_release);
}

bool cmdi_type_same_slow(const struct cmds_type *own, const struct cmds_type *other)
{
    if (other == NULL) {
        return false;
    }
    struct pair *pair = pair_of(own, other);
    if (pair_known(pair, own, other)) {
        return true;
    }
    uint64_t age = atomic_load(&types_age); // Before the look at them.
    bool same = type_same(own, other);
    if (same) {
        pair_keep(pair, age, own, other);
    }
    return same;
}

void cmdi_types_forget(void)
{
    atomic_fetch_add(&types_age, 1);
}

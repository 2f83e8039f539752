/* SPDX-License-Identifier: MIT */
/* See spans.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmdstream/schema.h>

#include "admin/common.h"
#include "admin/spans.h"

#define NOWHERE UINT32_MAX // No index.

const char *cmdi_admin_span_type(const struct cmds_type *type)
{
    return type != NULL && type->schema != NULL ? type->schema->name : "unknown";
}

const char *cmdi_admin_span_name(char name[CMDI_ADMIN_SPAN_NAME_SIZE], const struct cmds_span *span)
{
    (void)snprintf(name, CMDI_ADMIN_SPAN_NAME_SIZE, "%s %s%s",
            span->kind == CMDS_SPAN_CLIENT ? "Send" : "Invoke", cmdi_admin_span_type(span->type),
            (span->flags & CMDS_SPAN_TRACED) != 0 ? " (trace)" : "");
    return name;
}

uint64_t cmdi_admin_span_duration_ns(const struct cmds_span *span)
{
    return span->end_ns > span->start_ns ? span->end_ns - span->start_ns : 0;
}

/* --- The tree --------------------------------------------------------------------------------- */

static int tree_earlier(const void *a, const void *b)
{
    const struct cmdi_admin_branch *left = a, *right = b;
    return (left->span->start_ns > right->span->start_ns) -
           (left->span->start_ns < right->span->start_ns);
}

static uint32_t tree_parent(
        const struct cmdi_admin_branch *branches, uint32_t count, const struct cmds_span *span)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct cmds_span *other = branches[i].span;
        if (other != span &&
                memcmp(other->span_id, span->parent_id, sizeof(span->parent_id)) == 0) {
            return i;
        }
    }
    return NOWHERE;
}

/* The first one inside of `parent` that has no place yet. */
static uint32_t tree_child(
        const struct cmdi_admin_branch *branches, uint32_t count, uint32_t parent)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!branches[i].is_placed && branches[i].parent == parent) {
            return i;
        }
    }
    return NOWHERE;
}

/* One that no root leads to: its parents are a circle, which is cut here. Returns: there was one. */
static bool tree_cut(struct cmdi_admin_branch *branches, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!branches[i].is_placed) {
            branches[i].parent = NOWHERE;
            return true;
        }
    }
    return false;
}

/* The order in which they are written goes to `order`. */
static void tree_walk(struct cmdi_admin_branch *branches, uint32_t count, uint32_t *order)
{
    uint32_t placed = 0, at = NOWHERE, depth = 0;
    do {
        uint32_t next = tree_child(branches, count, at);
        if (next != NOWHERE) {
            branches[next].is_placed = true;
            branches[next].depth = depth++;
            order[placed++] = next;
            at = next;
        } else if (at != NOWHERE) {
            at = branches[at].parent;
            depth--;
        }
    } while (at != NOWHERE || tree_child(branches, count, NOWHERE) != NOWHERE ||
             tree_cut(branches, count));
    CMDI_ADMIN_ASSERT(placed == count);
}

uint32_t cmdi_admin_spans_tree(struct cmdi_admin_branch *branches, const struct cmds_span *list,
        uint32_t count, uint32_t first, bool *is_done)
{
    static const uint32_t max = CMDI_ADMIN_SPANS_MAX;
    struct cmdi_admin_branch sorted[CMDI_ADMIN_SPANS_MAX];
    uint32_t order[CMDI_ADMIN_SPANS_MAX];
    uint32_t found = 0;
    CMDI_ADMIN_ASSERT(first < count && count <= max);
    for (uint32_t i = first; i < count; i++) {
        if (memcmp(list[i].trace_id, list[first].trace_id, sizeof(list[i].trace_id)) == 0) {
            sorted[found++] = (struct cmdi_admin_branch){.span = &list[i]};
            is_done[i] = true;
        }
    }
    qsort(sorted, found, sizeof(sorted[0]), tree_earlier);
    for (uint32_t i = 0; i < found; i++) {
        sorted[i].parent = tree_parent(sorted, found, sorted[i].span);
    }
    tree_walk(sorted, found, order);
    for (uint32_t i = 0; i < found; i++) {
        branches[i] = sorted[order[i]];
    }
    return found;
}

/* SPDX-License-Identifier: MIT */
/*
 * Spans as a tree, for a page that draws them: which belong to one trace, and which is inside of which. Values
 * alone; any thread.
 */
#ifndef CMDI_ADMIN_SPANS_H
#define CMDI_ADMIN_SPANS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmdstream/trace.h>

enum {
    CMDI_ADMIN_SPANS_MAX = 1000, // On a page: each looks for its parent among the others.
    CMDI_ADMIN_SPAN_NAME_SIZE = 256,
};

/** A span of a trace. */
struct cmdi_admin_branch {
    const struct cmds_span *span;
    uint32_t parent; // The index of another one, or UINT32_MAX: it is not among them.
    uint32_t depth;
    bool is_placed;
};

/**
 * Puts those of `list` that belong to the trace of list[first] into `branches`, as a tree is written: each
 * behind its parent, children in the order in which they began. A parent that is not there, or that is inside
 * of its own child, as ids of a hostile peer may have it, is none. `is_done` is set for those that are in it.
 *
 * Owner: `branches` and `is_done` have room for `count`. Returns: how many they are.
 */
uint32_t cmdi_admin_spans_tree(struct cmdi_admin_branch *branches, const struct cmds_span *list,
        uint32_t count, uint32_t first, bool *is_done);

/** "Invoke calc_add (trace)". Returns: `name`. */
const char *cmdi_admin_span_name(
        char name[CMDI_ADMIN_SPAN_NAME_SIZE], const struct cmds_span *span);
/** Of the command; "unknown" if it says none. */
const char *cmdi_admin_span_type(const struct cmds_type *type);
uint64_t cmdi_admin_span_duration_ns(const struct cmds_span *span);

#endif

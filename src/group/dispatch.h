/* SPDX-License-Identifier: MIT */
/*
 * Picking a connection: a strategy, its state for one list of connections, and what it sees of
 * them.
 */
#ifndef CMDI_GROUP_DISPATCH_H
#define CMDI_GROUP_DISPATCH_H

#include <cmdstream/dispatch.h>

#include "group/strategies.h"

/** A strategy and its state for one list. */
struct cmdi_picker {
    const struct cmds_dispatch *dispatch; // NULL: not made yet, or gone.
    void *state;                          // NULL: it has none.
    cmdi_short_pick_fn short_pick;        // NULL: it is asked by its table.
};

/** Returns: 0; -EINVAL, -E2BIG: not a strategy that this library knows how to call. */
int cmdi_dispatch_check(const struct cmds_dispatch *dispatch, struct cmds_error *error);

/**
 * `picker` is zeroed. Thread: setup. Returns: 0, and cmdi_picker_fini() ends it; -ENOMEM; what the
 * strategy's init returned.
 */
int cmdi_picker_init(struct cmdi_picker *picker, const struct cmds_dispatch *dispatch,
        uint32_t count, struct cmds_error *error);
/** Zeroed, or once more: does nothing. Nobody picks any more. */
void cmdi_picker_fini(struct cmdi_picker *picker);
/**
 * Asks a strategy by its table: one without a short_pick. Thread: one at a time, if there is a state. Returns: an index
 * into the list.
 */
uint32_t cmdi_picker_pick(
        const struct cmdi_picker *picker, uint64_t key, const struct cmdi_dispatch_list *list);

/** The list that `from` has, as it is now. */
typedef void (*cmdi_dispatch_view_fn)(const void *from, struct cmdi_dispatch_list *list);
/**
 * The same over a list of `count` connections that is made when the strategy looks at the first of them: one that goes
 * by the key alone looks at none.
 */
uint32_t cmdi_picker_pick_unseen(const struct cmdi_picker *picker, uint64_t key, uint32_t count,
        cmdi_dispatch_view_fn view, const void *from);

/** Of sticky, so far. Thread: any, while it is there. */
uint64_t cmdi_picker_second_choices(const struct cmdi_picker *picker);

/** The state of round-robin. */
struct cmdi_round_robin {
    uint32_t next; // The index that is asked first.
};
/**
 * The rule of round-robin: the first from `next` on that takes commands, and `next` is the one
 * after it. The table and the short way of cmdi_group_shard_pick() are this one function.
 */
static inline uint32_t cmdi_round_robin_pick(struct cmdi_round_robin *round_robin, uint32_t count,
        bool (*takes)(const void *source, uint32_t index), const void *source)
{
    uint32_t index = round_robin->next < count ? round_robin->next : 0;
    for (uint32_t i = 1; i < count && CMDI_UNLIKELY(!takes(source, index)); i++) {
        index = index + 1 < count ? index + 1 : 0;
    }
    round_robin->next = index + 1;
    return index;
}

#endif

/* SPDX-License-Identifier: MIT */
/* Round-robin, and the call of any other strategy. See dispatch.h. */
#include "group/dispatch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/options.h"
#include "group/breaker.h"

enum {
    DISPATCH_ALIGN = 64, // A cache line: the states of two shards share none.
};

/* --- Round-robin ------------------------------------------------------------------------------ */

struct round_robin_source {
    cmds_candidate_fn candidate;
    const void *source;
};

static bool round_robin_takes(const void *from, uint32_t index)
{
    const struct round_robin_source *asked = from;
    return (asked->candidate(asked->source, index)->flags & CMDS_CANDIDATE_DOWN) == 0;
}

static uint32_t round_robin_pick(const struct cmds_dispatch *self, void *state, uint64_t key,
        uint32_t count, cmds_candidate_fn candidate, const void *source)
{
    const struct round_robin_source asked = {candidate, source};
    (void)self;
    (void)key;
    return cmdi_round_robin_pick(state, count, round_robin_takes, &asked);
}

const struct cmds_dispatch cmds_dispatch_round_robin = {
        .struct_size = sizeof(struct cmds_dispatch),
        .version = CMDS_DISPATCH_VERSION,
        .name = "round-robin",
        .state_size = sizeof(struct cmdi_round_robin),
        .pick = round_robin_pick,
};

/* --- Any strategy ----------------------------------------------------------------------------- */

int cmdi_dispatch_check(const struct cmds_dispatch *dispatch, struct cmds_error *error)
{
    const size_t least = offsetof(struct cmds_dispatch, reserved);
    int code = cmdi_table_check(dispatch, least, least, "dispatch", error);
    if (code < 0) {
        return code;
    }
    if (dispatch->version != CMDS_DISPATCH_VERSION || dispatch->pick == NULL) {
        return cmdi_fail(error, -EINVAL, "dispatch: version or pick is not set");
    }
    if (dispatch->unused != 0) {
        return cmdi_fail(error, -E2BIG, "dispatch: `unused` is not 0");
    }
    if (dispatch->state_size > CMDS_DISPATCH_STATE_MAX) {
        return cmdi_fail(error, -EINVAL, "dispatch: state_size %u: at most %d",
                dispatch->state_size, CMDS_DISPATCH_STATE_MAX);
    }
    return 0;
}

int cmdi_picker_init(struct cmdi_picker *picker, const struct cmds_dispatch *dispatch,
        uint32_t count, struct cmds_error *error)
{
    size_t size = ((size_t)dispatch->state_size + DISPATCH_ALIGN - 1) / DISPATCH_ALIGN;
    void *state = size > 0 ? aligned_alloc(DISPATCH_ALIGN, size * DISPATCH_ALIGN) : NULL;
    int code = 0;
    CMDI_ASSERT(picker->dispatch == NULL && count > 0);
    if (size > 0 && state == NULL) {
        return cmdi_fail(error, -ENOMEM, "no memory for the state of a dispatch strategy");
    }
    if (state != NULL) {
        memset(state, 0, size * DISPATCH_ALIGN);
    }
    if (dispatch->init != NULL) {
        code = dispatch->init(dispatch, state, count);
    }
    if (code < 0) {
        free(state);
        return cmdi_fail(error, code, "dispatch %s: init: %s",
                dispatch->name != NULL ? dispatch->name : "", cmds_error_text(code));
    }
    *picker = (struct cmdi_picker){dispatch, state, cmdi_strategy_short_pick(dispatch)};
    return 0;
}

void cmdi_picker_fini(struct cmdi_picker *picker)
{
    const struct cmds_dispatch *dispatch = picker->dispatch;
    if (dispatch != NULL && dispatch->fini != NULL) {
        dispatch->fini(dispatch, picker->state);
    }
    free(picker->state);
    *picker = (struct cmdi_picker){NULL, NULL, NULL};
}

/* --- What a strategy sees --------------------------------------------------------------------- */

/* What a strategy has been shown. */
struct dispatch_shown {
    const struct cmdi_dispatch_list *list; // NULL: not made yet.
    struct cmdi_dispatch_list made;
    struct cmds_candidate candidate; // The one that was asked about last.
};

/* What a strategy's `source` is. */
struct dispatch_source {
    cmdi_dispatch_view_fn view; // Not asked where there is a list.
    const void *from;
    uint32_t count;
    struct dispatch_shown *shown;
};

static const struct cmds_candidate *dispatch_candidate(const void *asked, uint32_t index)
{
    static const uint32_t flags[] = {
            [CMDI_SEEN_DOWN] = CMDS_CANDIDATE_DOWN,
            [CMDI_SEEN_FULL] = CMDS_CANDIDATE_FULL,
            [CMDI_SEEN_TAKES] = 0,
    };
    const struct dispatch_source *source = asked;
    struct dispatch_shown *shown = source->shown;
    uint32_t count = source->count;
    if (shown->list == NULL) {
        source->view(source->from, &shown->made);
        shown->list = &shown->made;
        CMDI_ASSERT(shown->list->count == count);
    }
    /* A strategy is not ours: as with the index that it picks, it stays inside the list. */
    struct cmdi_seen seen = cmdi_dispatch_see(shown->list, index < count ? index : index % count);
    shown->candidate = (struct cmds_candidate){
            .struct_size = sizeof(shown->candidate),
            .client = seen.client,
            .in_flight = seen.in_flight,
            .flags = flags[seen.rank],
            .endpoint = seen.endpoint,
            .ewma_us = seen.ewma_us,
            .weight = seen.weight,
            .failures = seen.failures,
            .hash = seen.hash,
    };
    return &shown->candidate;
}

static inline uint32_t dispatch_ask(
        const struct cmdi_picker *picker, uint64_t key, const struct dispatch_source *source)
{
    const struct cmds_dispatch *dispatch = picker->dispatch;
    uint32_t count = source->count;
    CMDI_ASSERT_SLOW(dispatch != NULL && picker->short_pick == NULL && count > 0);
    uint32_t index =
            dispatch->pick(dispatch, picker->state, key, count, dispatch_candidate, source);
    return CMDI_LIKELY(index < count) ? index : index % count;
}

uint32_t cmdi_picker_pick(
        const struct cmdi_picker *picker, uint64_t key, const struct cmdi_dispatch_list *list)
{
    struct dispatch_shown shown;
    const struct dispatch_source source = {.count = list->count, .shown = &shown};
    shown.list = list;
    return dispatch_ask(picker, key, &source);
}

uint32_t cmdi_picker_pick_unseen(const struct cmdi_picker *picker, uint64_t key, uint32_t count,
        cmdi_dispatch_view_fn view, const void *from)
{
    struct dispatch_shown shown;
    const struct dispatch_source source = {view, from, count, &shown};
    shown.list = NULL;
    return dispatch_ask(picker, key, &source);
}

uint64_t cmdi_picker_second_choices(const struct cmdi_picker *picker)
{
    const struct cmdi_strategy *strategy = picker->short_pick != NULL ? picker->state : NULL;
    return strategy != NULL ? atomic_load(&strategy->second_choices) : 0;
}

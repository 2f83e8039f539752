/* SPDX-License-Identifier: MIT */
/*
 * What a group with hooks or a circuit breaker keeps of each command, from before it is sent to its
 * end; and any group of one whose trace is sampled. All others have none of this, and do not pay for it.
 *
 * The record stands between the connection and the callback of the program, in an object of the
 * shard's stock, or of the group's for all other threads.
 */
#ifndef CMDI_GROUP_TRACK_H
#define CMDI_GROUP_TRACK_H

#include <stdatomic.h>
#include <stdbool.h>

#include <cmdstream/breaker.h>

#include "group/hooks.h"
#include "group/stock.h"
#include "group/trace.h"

struct cmdi_command;
struct cmdi_group_shard;

/** What breaker and hooks know of a command. */
struct cmdi_tracked {
    uint64_t permit;   // Of the breaker.
    uint64_t until_ms; // A hook's deadline; UINT64_MAX: none.
    bool has_counted;  // The breaker knows how it went.
    struct cmds_sent_command command;
};

/** One command. Written by one thread at a time: the sender's, then that of its connection. */
struct cmdi_track {
    struct cmdi_stocked stocked;
    struct cmds_group *group;
    cmds_result_fn on_result; // Of the program, with its context.
    void *context;
    struct cmdi_group_span span;
    // Where there are neither hooks nor a breaker a track ends here.
    struct cmdi_tracked tracked;
    void *users[]; // One for each hooks.
};

/** One that waits for room outside of the group, on the stack of the thread that sends it. */
struct cmdi_kept {
    bool is_kept;
    struct cmdi_tracked tracked;
    void *users[CMDS_HOOKS_MAX];
};

/** Of a group. Constant, but for the atomic. */
struct cmdi_tracker {
    bool is_used;   // By hooks or a breaker: every command has a track.
    bool has_spans; // A command may have a span, and then a track.
    bool is_traced; // And the protocol has a traced type: a send without a context may begin a trace.
    struct cmdi_hooks hooks;
    struct cmds_breaker *breaker; // NULL: none.
    _Atomic uint64_t not_allowed; // Commands that the breaker refused.
};

/** Thread: setup. `has_spans`: the runtime keeps them. Returns: 0; -EINVAL, -E2BIG: an option. */
int cmdi_tracker_init(struct cmdi_tracker *tracker, const struct cmds_group_options *options,
        bool has_spans, struct cmds_error *error);
/** Bytes of a track. */
size_t cmdi_track_size(const struct cmdi_tracker *tracker);

/**
 * A command is about to be sent: asks the breaker and the hooks.
 *
 * `group_shard`: of the caller's shard, whose connections will take it; NULL: the caller is on any
 * other thread and has entered the group. `deadline_ms`: what it has, or CMDS_NEVER. `send`: its span
 * begins; NULL: it is not sampled.
 *
 * Returns: 0, and *track ends by cmdi_track_see(), _refuse() or _end_one_way(); else what the send
 * returns.
 */
int cmdi_track_begin(struct cmds_group *group, struct cmdi_group_shard *group_shard,
        const struct cmdi_command *command, uint32_t deadline_ms, void *data,
        const struct cmdi_traced_send *send, struct cmdi_track **track);
/** The same for one that was kept, which it is no longer; its span is a new one. */
int cmdi_track_begin_again(struct cmds_group *group, struct cmdi_group_shard *group_shard,
        struct cmdi_kept *kept, const struct cmdi_traced_send *send, size_t size,
        struct cmdi_track **track);
/** What it has now, if it had so much: a hook may have made it less. Thread: that of its begin. */
uint32_t cmdi_track_left_ms(const struct cmdi_track *track, uint32_t deadline_ms);
/** Until when, by its hooks; UINT64_MAX: they have not said. */
uint64_t cmdi_track_until_ms(const struct cmdi_track *track);
/** It was no command: nobody hears of it. Of a group with neither hooks nor a breaker. Thread: that of its begin. */
void cmdi_track_drop(struct cmdi_track *track);
/** It was not sent after all. `value` is what it was to carry. Thread: that of its begin. */
void cmdi_track_refuse(struct cmdi_track *track, const void *value, int code);
/**
 * It was not sent, and will be tried again: what breaker and hooks know of it stays, and its span begins
 * anew. Thread: that of its begin.
 */
void cmdi_track_keep(struct cmdi_track *track, struct cmdi_kept *kept);
/** It will not: as cmdi_track_refuse(). The caller has a reference to the group. */
void cmdi_kept_refuse(
        struct cmds_group *group, struct cmdi_kept *kept, const void *value, int code);
/** It was queued, and nothing will ever come of it. Thread: that of its begin. */
void cmdi_track_end_one_way(struct cmdi_track *track);
/** A result, before whoever waits for it. With `last` the track is gone. Thread: shard. */
void cmdi_track_see(struct cmdi_track *track, const struct cmds_result *result);
/** As a command's callback: tells the program's own too. */
void cmdi_track_on_result(void *track, const struct cmds_result *result);

#endif

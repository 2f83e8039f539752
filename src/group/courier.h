/* SPDX-License-Identifier: MIT */
/*
 * A forward whose command goes out on another shard than its call's: it travels there by mail, and
 * results and the end come home the same way.
 */
#ifndef CMDI_GROUP_COURIER_H
#define CMDI_GROUP_COURIER_H

#include "group/attempt.h"
#include "server/call_observer.h"

struct cmdi_forward {
    struct cmdi_attempt attempt;
    struct cmds_call *call; // A reference. The call's shard's.
    cmds_forward_fn on_result;
    void *context;
    struct cmdi_call_observer observer; // In the call.
};

/** One that is asked for: by whom, and what the options say. On the stack. */
struct cmdi_forward_ask {
    struct cmds_call *call;
    cmds_forward_fn on_result;
    void *context;
    uint32_t deadline_ms; // Never 0.
    uint64_t sticky_key;
    void *data;
    const struct cmds_trace *trace; // NULL: none goes with it.
};

static inline struct cmdi_forward *cmdi_forward_of(struct cmdi_attempt *attempt)
{
    return CMDI_CONTAINER(attempt, struct cmdi_forward, attempt);
}
/** The forward has the call from here on. `on_cancel`: the observer's. Thread: the call's shard. */
void cmdi_forward_bind(struct cmdi_forward *forward, const struct cmdi_forward_ask *ask,
        void (*on_cancel)(struct cmdi_call_observer *observer));
/**
 * A group shard whose connections take commands; the next one each time. Returns: 0;
 * CMDS_E_NOT_CONNECTED: there is none; CMDS_E_NOT_ALLOWED: none but those that breakers bar.
 */
int cmdi_forward_find_shard(
        struct cmds_group *group, uint64_t now_ms, struct cmdi_group_shard **group_shard);
/**
 * Another one than that of the attempt, which waits there. Thread: its shard. Returns: NULL: there is
 * none.
 */
struct cmdi_group_shard *cmdi_forward_find_other(const struct cmdi_attempt *attempt);

/** To that group shard. Thread: the call's shard. Returns: 0; -ENOBUFS, -ENOMEM. */
int cmdi_courier_send(struct cmdi_group_shard *group_shard, const struct cmdi_command *command,
        struct cmdi_track *track, const struct cmdi_forward_ask *ask);
/**
 * The same with the bytes of an attempt that waits, which is over for its maker with 0. Thread: the
 * call's shard. Returns: 0; -ENOBUFS, -ENOMEM: nothing has happened.
 */
int cmdi_courier_relieve(struct cmdi_group_shard *group_shard, const struct cmdi_attempt *from,
        const struct cmdi_forward_ask *ask);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Round-robin, and the call of any other strategy. No state: the picks are counted by who asks. Any
 * thread.
 */
#include "group/dispatch.h"

#include <errno.h>

#include "base/error.h"
#include "base/options.h"
#include "client/client.h"

static uint32_t round_robin_pick(const struct cmds_dispatch *self, uint64_t pick_count,
        uint64_t key, uint32_t count, cmds_candidate_fn candidate, const void *source)
{
    (void)self;
    (void)key;
    (void)candidate;
    (void)source;
    return (uint32_t)(pick_count % count);
}

const struct cmds_dispatch cmds_dispatch_round_robin = {
        .struct_size = sizeof(struct cmds_dispatch),
        .version = CMDS_DISPATCH_VERSION,
        .name = "round-robin",
        .pick = round_robin_pick,
};

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
    return 0;
}

/* What a strategy's `source` is. */
struct dispatch_source {
    struct cmdi_client *const *clients;
    struct cmds_candidate *told; // The one that was told about last.
};

static const struct cmds_candidate *dispatch_candidate(const void *from, uint32_t index)
{
    const struct dispatch_source *source = from;
    const struct cmdi_client *client = source->clients[index];
    *source->told = (struct cmds_candidate){.client = client->number,
            .in_flight = cmdi_client_load(client),
            .is_down = cmdi_client_state(client) == CMDI_CLIENT_DOWN};
    return source->told;
}

uint32_t cmdi_dispatch_pick(const struct cmds_dispatch *dispatch, uint64_t pick_count, uint64_t key,
        struct cmdi_client *const *clients, uint32_t count)
{
    struct cmds_candidate told;
    struct dispatch_source source = {clients, &told};
    uint32_t index = dispatch->pick(dispatch, pick_count, key, count, dispatch_candidate, &source);
    return index < count ? index : index % count;
}

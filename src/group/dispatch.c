/* SPDX-License-Identifier: MIT */
/*
 * Round-robin, and the call of any other strategy. No state: the turn is counted by who asks. Any
 * thread.
 */
#include "group/dispatch.h"

#include <errno.h>

#include "base/error.h"
#include "client/client.h"

static uint32_t round_robin_pick(const struct cmds_dispatch *self, uint64_t turn, uint64_t key,
        uint32_t count,
        void (*candidate)(const void *source, uint32_t index, struct cmds_candidate *out),
        const void *source)
{
    (void)self;
    (void)key;
    (void)candidate;
    (void)source;
    return (uint32_t)(turn % count);
}

const struct cmds_dispatch cmds_dispatch_round_robin = {
        .struct_size = sizeof(struct cmds_dispatch),
        .version = CMDS_DISPATCH_VERSION,
        .name = "round-robin",
        .pick = round_robin_pick,
};

int cmdi_dispatch_check(const struct cmds_dispatch *dispatch, struct cmds_error *error)
{
    if (dispatch->struct_size < sizeof(struct cmds_dispatch) ||
            dispatch->version != CMDS_DISPATCH_VERSION || dispatch->pick == NULL) {
        return cmdi_fail(error, -EINVAL, "dispatch: struct_size, version or pick is not set");
    }
    return 0;
}

static void dispatch_candidate(const void *source, uint32_t index, struct cmds_candidate *out)
{
    struct cmdi_client *const *clients = source;
    bool down = cmdi_client_phase(clients[index]) == CMDI_CLIENT_DOWN;
    *out = (struct cmds_candidate){
            clients[index]->number, down ? UINT32_MAX : cmdi_client_load(clients[index])};
}

uint32_t cmdi_dispatch_pick(const struct cmds_dispatch *dispatch, uint64_t turn, uint64_t key,
        struct cmdi_client *const *clients, uint32_t count)
{
    uint32_t index = dispatch->pick(dispatch, turn, key, count, dispatch_candidate, clients);
    return index < count ? index : index % count;
}

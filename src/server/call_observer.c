/* SPDX-License-Identifier: MIT */
/* What a group knows of a call. */
#include "server/call_observer.h"

#include "server/call.h"
#include "server/window.h"

void cmdi_call_observe(struct cmds_call *call, struct cmdi_call_observer *observer)
{
    cmdi_call_init_rest(call);
    cmdi_list_push(&call->observers, &observer->link);
}

bool cmdi_call_is_finished(const struct cmds_call *call)
{
    return atomic_load(&call->finished) != 0;
}

struct cmdi_shard *cmdi_call_shard(const struct cmds_call *call)
{
    return call->connection->server_shard->shard;
}

bool cmdi_call_charge(struct cmds_call *call, size_t size)
{
    return cmdi_window_charge(call->connection, size);
}

void cmdi_call_uncharge(struct cmds_call *call, size_t size)
{
    cmdi_window_uncharge(call->connection, size);
}

/* SPDX-License-Identifier: MIT */
/* States of connections, told and shown. See connection.h. */
#include "group/connection.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/time.h"
#include "group/ref.h"
#include "ring/clock.h"

static const enum cmds_connection_state connection_states[] = {
        [CMDI_CLIENT_RESOLVE] = CMDS_CONNECTION_CONNECTING,
        [CMDI_CLIENT_CONNECT] = CMDS_CONNECTION_CONNECTING,
        [CMDI_CLIENT_SERVER_INFO] = CMDS_CONNECTION_CONNECTING,
        [CMDI_CLIENT_WAITING] = CMDS_CONNECTION_WAITING,
        [CMDI_CLIENT_LEAVING] = CMDS_CONNECTION_CONNECTING,
        [CMDI_CLIENT_UP] = CMDS_CONNECTION_UP,
        [CMDI_CLIENT_DOWN] = CMDS_CONNECTION_DOWN,
};

void cmdi_connection_changed(struct cmds_group *group, struct cmdi_client *client)
{
    enum cmds_connection_state state = connection_states[cmdi_client_state(client)];
    struct cmdi_connection_view *view = &group->views[client->number];
    bool is_bad = state == CMDS_CONNECTION_WAITING || state == CMDS_CONNECTION_DOWN;
    const struct cmdi_endpoint *endpoint = cmdi_client_endpoint(client);
    pthread_mutex_lock(&group->lock);
    bool is_told = state == CMDS_CONNECTION_CONNECTING && view->state == state;
    view->state = state;
    view->endpoint = endpoint != NULL ? atomic_load(&endpoint->number) : 0;
    view->failed = client->backoff.failed;
    view->retry_at_ms = client->retry_at_ms;
    view->up_count += state == CMDS_CONNECTION_UP;
    view->error = client->error;
    if (state != CMDS_CONNECTION_CONNECTING) {
        view->plain = client->round_error.code != 0 ? client->round_error : client->error;
    }
    if (is_bad && !client->is_closing && group->first_error.code == 0) {
        group->first_error = view->plain; // When it was to be tried again is long past.
    }
    pthread_mutex_unlock(&group->lock);
    if (group->options.on_state != NULL && !is_told) {
        const struct cmds_error cause = client->error; // It may change in a callback's callee.
        group->options.on_state(group->options.context, client->number, state, &cause);
    }
}

void cmdi_connection_view(
        struct cmds_group *group, uint32_t client, struct cmdi_connection_view *view)
{
    CMDI_ASSERT(client < group->options.client_count);
    pthread_mutex_lock(&group->lock);
    *view = group->views[client];
    pthread_mutex_unlock(&group->lock);
}

static uint32_t connection_left_ms(const struct cmdi_connection_view *view)
{
    uint64_t now_ms = cmdi_ns_to_ms(cmdi_now_ns());
    return view->state == CMDS_CONNECTION_WAITING && view->retry_at_ms > now_ms
                   ? (uint32_t)(view->retry_at_ms - now_ms)
                   : 0;
}

int cmds_group_connection(
        struct cmds_group *group, uint32_t client, struct cmds_connection_info *info)
{
    if (group == NULL || info == NULL || client >= group->options.client_count ||
            info->struct_size < offsetof(struct cmds_connection_info, state)) {
        return -EINVAL;
    }
    int code = cmdi_group_enter_to_lock(group);
    if (code < 0) {
        return code;
    }
    struct cmdi_connection_view view;
    cmdi_connection_view(group, client, &view);
    struct cmds_connection_info full = {
            .struct_size = info->struct_size,
            .state = (uint32_t)view.state,
            .failed = view.failed,
            .retry_ms = connection_left_ms(&view),
            .rtt_us = atomic_load_explicit(&group->clients[client]->rtt_us, memory_order_relaxed),
            .endpoint = view.endpoint,
            .up_count = view.up_count,
            .error = view.error,
    };
    cmdi_group_leave(group);
    size_t size = info->struct_size < sizeof(full) ? info->struct_size : sizeof(full);
    memcpy(info, &full, size);
    return 0;
}

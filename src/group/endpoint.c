/* SPDX-License-Identifier: MIT */
/* The endpoints of a group, as its program sets and sees them. Any thread. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/options.h"
#include "base/time.h"
#include "group/breaker.h"
#include "group/connection.h"
#include "group/ref.h"
#include "ring/clock.h"

/* --- Set -------------------------------------------------------------------------------------- */

/* The program's structs may be shorter or longer than ours: all of one size. */
static int places_take(struct cmdi_place *places, const struct cmds_endpoint *endpoints,
        uint32_t count, struct cmds_error *error)
{
    size_t size = endpoints[0].struct_size;
    for (uint32_t i = 0; i < count; i++) {
        const struct cmds_endpoint *theirs = (const void *)((const char *)endpoints + i * size);
        struct cmds_endpoint mine;
        int code = cmdi_options_take(&mine, sizeof(mine), theirs, "cmds_endpoint", error);
        if (code < 0) {
            return code;
        }
        if (mine.struct_size != size) {
            return cmdi_fail(error, -EINVAL, "cmds_endpoint %u: its struct_size is another one", i);
        }
        places[i] = (struct cmdi_place){mine.address, mine.weight};
    }
    return 0;
}

static int group_set_endpoints(struct cmds_group *group, const struct cmds_endpoint *endpoints,
        uint32_t count, struct cmds_error *error)
{
    struct cmdi_place *places = calloc(count, sizeof(*places));
    if (places == NULL) {
        return cmdi_fail(error, -ENOMEM, "no memory for %u endpoints", count);
    }
    int code = places_take(places, endpoints, count, error);
    if (code == 0) {
        code = cmdi_endpoints_set(
                &group->endpoints, places, count, cmdi_ns_to_ms(cmdi_now_ns()), error);
    }
    free(places);
    return code;
}

int cmds_group_set_endpoints(struct cmds_group *group, const struct cmds_endpoint *endpoints,
        uint32_t count, struct cmds_error *error)
{
    if (group == NULL || endpoints == NULL || count == 0) {
        return cmdi_fail(error, -EINVAL, "set_endpoints: no group, or no endpoint");
    }
    if (count > CMDI_ENDPOINTS_MAX) {
        return cmdi_fail(error, -E2BIG, "set_endpoints: %u endpoints: at most %d", count,
                CMDI_ENDPOINTS_MAX);
    }
    if (cmdi_group_is_foreign(group)) {
        return cmdi_fail(error, CMDS_E_FORKED, "set_endpoints: %s", cmds_error_text(CMDS_E_FORKED));
    }
    if (!cmdi_group_enter(group)) {
        return cmdi_fail(error, CMDS_E_CLOSED, "set_endpoints: the group was closed");
    }
    int code = 0;
    if (cmdi_group_is_closing(group)) {
        code = cmdi_fail(error, CMDS_E_CLOSED, "set_endpoints: the group was closed");
    } else if (cmds_group_done(group)) {
        code = cmdi_fail(error, CMDS_E_NOT_CONNECTED,
                "set_endpoints: every connection is down for good: open another group");
    } else {
        code = group_set_endpoints(group, endpoints, count, error);
    }
    cmdi_group_leave(group);
    return code;
}

/* --- View ------------------------------------------------------------------------------------- */

uint32_t cmds_group_endpoint_count(struct cmds_group *group)
{
    uint32_t count = 0;
    if (group != NULL && cmdi_group_enter_to_lock(group) == 0) {
        count = cmdi_endpoints_count(&group->endpoints);
        cmdi_group_leave(group);
    }
    return count;
}

static void endpoint_count_clients(
        struct cmds_group *group, uint64_t now_ms, struct cmds_endpoint_state *state)
{
    uint32_t number = state->number;
    uint64_t sum_us = 0, known = 0;
    for (uint32_t i = 0; i < group->options.client_count; i++) {
        struct cmdi_connection_view view;
        cmdi_connection_view(group, i, &view);
        if (view.endpoint == number) {
            uint32_t ewma_us = cmdi_latency_us(&group->clients[i]->latency, (uint32_t)now_ms);
            state->up_count += view.state == CMDS_CONNECTION_UP;
            state->in_flight += cmdi_client_load(group->clients[i]);
            sum_us += ewma_us;
            known += ewma_us != 0;
        }
    }
    state->ewma_us = known > 0 ? (uint32_t)(sum_us / known) : 0;
}

static struct cmds_endpoint_state endpoint_state(
        struct cmds_group *group, struct cmdi_endpoint *endpoint)
{
    struct cmds_endpoint_state state = {
            .number = atomic_load(&endpoint->number),
            .weight = atomic_load(&endpoint->weight),
            .client_count = atomic_load(&endpoint->slot_count),
            .failures = atomic_load(&endpoint->failures),
            .flags = atomic_load(&endpoint->is_out) ? CMDS_ENDPOINT_STRANGER : 0,
    };
    (void)snprintf(state.address, sizeof(state.address), "%s", endpoint->text);
    pthread_mutex_lock(&endpoint->lock);
    state.error = endpoint->error;
    pthread_mutex_unlock(&endpoint->lock);
    uint64_t now_ms = cmdi_ns_to_ms(cmdi_now_ns());
    uint64_t until_ms = atomic_load(&endpoint->health.until_ms);
    state.ejected_ms = until_ms > now_ms ? (uint32_t)(until_ms - now_ms) : 0;
    if (endpoint->breaker != NULL) {
        struct cmds_breaker_info info = CMDS_BREAKER_INFO_INIT;
        cmdi_breaker_look(endpoint->breaker, now_ms, &info);
        state.breaker_state = info.state;
        state.breaker_left_ms =
                info.open_left_ms < CMDS_NEVER ? (uint32_t)info.open_left_ms : CMDS_NEVER;
    }
    endpoint_count_clients(group, now_ms, &state);
    return state;
}

int cmds_group_endpoint(struct cmds_group *group, uint32_t index, struct cmds_endpoint_state *state)
{
    if (group == NULL || state == NULL ||
            state->struct_size < offsetof(struct cmds_endpoint_state, number)) {
        return -EINVAL;
    }
    int code = cmdi_group_enter_to_lock(group);
    if (code < 0) {
        return code;
    }
    struct cmdi_endpoint *endpoint = cmdi_endpoints_at(&group->endpoints, index);
    if (endpoint != NULL) {
        struct cmds_endpoint_state full = endpoint_state(group, endpoint);
        full.struct_size = state->struct_size;
        memcpy(state, &full, full.struct_size < sizeof(full) ? full.struct_size : sizeof(full));
        cmdi_endpoint_unref(endpoint);
    }
    cmdi_group_leave(group);
    return endpoint != NULL ? 0 : -ENOENT;
}

/* --- Breakers --------------------------------------------------------------------------------- */

/* What is done with one. Any thread. */
typedef void (*endpoint_breaker_fn)(struct cmds_breaker *breaker, uint64_t now_ms, void *context);

static int endpoint_breaker_use(
        struct cmds_group *group, uint32_t number, endpoint_breaker_fn fn, void *context)
{
    if (group == NULL) {
        return -EINVAL;
    }
    if (!group->guard.is_used) {
        return -ENOENT;
    }
    int code = cmdi_group_enter_to_lock(group);
    if (code < 0) {
        return code;
    }
    struct cmdi_endpoint *endpoint = cmdi_endpoints_find(&group->endpoints, number);
    if (endpoint != NULL) {
        fn(endpoint->breaker, cmdi_ns_to_ms(cmdi_now_ns()), context);
        cmdi_endpoint_unref(endpoint);
    }
    cmdi_group_leave(group);
    return endpoint != NULL ? 0 : -ENOENT;
}

static void endpoint_breaker_look(struct cmds_breaker *breaker, uint64_t now_ms, void *info)
{
    cmdi_breaker_look(breaker, now_ms, info);
}

int cmds_group_endpoint_breaker(
        struct cmds_group *group, uint32_t number, struct cmds_breaker_info *info)
{
    return info != NULL ? endpoint_breaker_use(group, number, endpoint_breaker_look, info)
                        : -EINVAL;
}

static void endpoint_breaker_open(struct cmds_breaker *breaker, uint64_t now_ms, void *context)
{
    (void)context;
    cmdi_breaker_open(breaker, now_ms);
}

int cmds_group_endpoint_breaker_open(struct cmds_group *group, uint32_t number)
{
    return endpoint_breaker_use(group, number, endpoint_breaker_open, NULL);
}

static void endpoint_breaker_reset(struct cmds_breaker *breaker, uint64_t now_ms, void *context)
{
    (void)now_ms;
    (void)context;
    cmds_breaker_reset(breaker);
}

int cmds_group_endpoint_breaker_reset(struct cmds_group *group, uint32_t number)
{
    return endpoint_breaker_use(group, number, endpoint_breaker_reset, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Endpoints that are passed over. See seen.h. */
#include "group/seen.h"

#include "base/assert.h"
#include "group/breaker.h"

static bool endpoint_is_barred(const struct cmdi_endpoint *endpoint, uint64_t now_ms)
{
    return endpoint != NULL && endpoint->breaker != NULL &&
           !cmdi_breaker_would_pass(endpoint->breaker, now_ms);
}

static bool endpoint_is_out(const struct cmdi_endpoint *endpoint, uint64_t now_ms)
{
    return endpoint != NULL && cmdi_health_is_out(&endpoint->health, now_ms);
}

void cmdi_dispatch_watch(struct cmdi_dispatch_list *list)
{
    list->is_watched = true;
    list->any_up = list->skip_out = list->may_come = list->is_barred = false;
    for (uint32_t i = 0; i < list->count && !list->skip_out; i++) {
        const struct cmdi_endpoint *endpoint = cmdi_client_endpoint(list->clients[i]);
        enum cmdi_client_state state = cmdi_client_state(list->clients[i]);
        if (state > CMDI_CLIENT_UP) {
            continue;
        }
        if (endpoint_is_barred(endpoint, list->now_ms)) {
            list->is_barred = true;
        } else if (state == CMDI_CLIENT_UP) {
            list->any_up = true;
            list->skip_out = !endpoint_is_out(endpoint, list->now_ms);
        } else {
            list->may_come = true;
        }
    }
}

bool cmdi_dispatch_passes_over(
        const struct cmdi_dispatch_list *list, const struct cmdi_client *client)
{
    const struct cmdi_endpoint *endpoint = cmdi_client_endpoint(client);
    CMDI_ASSERT_SLOW(list->is_watched);
    return endpoint_is_barred(endpoint, list->now_ms) ||
           (list->skip_out && endpoint_is_out(endpoint, list->now_ms));
}

bool cmdi_dispatch_wants_trial(
        const struct cmdi_dispatch_list *list, const struct cmdi_endpoint *endpoint)
{
    const struct cmds_breaker *breaker = endpoint->breaker;
    uint64_t permit;
    CMDI_ASSERT_SLOW(list->is_watched);
    return (list->skip_out && cmdi_health_wants_trial(&endpoint->health, list->now_ms)) ||
           (breaker != NULL && !cmdi_breaker_passes(breaker, &permit) &&
                   cmdi_breaker_would_pass(breaker, list->now_ms));
}

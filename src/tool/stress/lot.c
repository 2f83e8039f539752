/* SPDX-License-Identifier: MIT */
/* What the groups of all lots have in common, and what makes them differ. */
#include <string.h>

#include <cmdstream/dispatch.h>

#include "stress/stress.h"

static const struct {
    const char *name;
    const struct cmds_dispatch *dispatch;
} lot_dispatches[] = {
        {"default", NULL},
        {"round-robin", &cmds_dispatch_round_robin},
        {"least", &cmds_dispatch_least},
        {"p2c", &cmds_dispatch_p2c},
        {"sticky", &cmds_dispatch_sticky},
};
enum {
    LOT_DISPATCHES = sizeof(lot_dispatches) / sizeof(lot_dispatches[0])
};

/* Returns: LOT_DISPATCHES: there is none of that name. */
static size_t lot_dispatch(const char *name)
{
    size_t i = 0;
    while (i < LOT_DISPATCHES && strcmp(lot_dispatches[i].name, name) != 0) {
        i++;
    }
    return i;
}

bool stress_lot_knows(const char *dispatch)
{
    return lot_dispatch(dispatch) < LOT_DISPATCHES;
}

static void lot_on_state(void *context, uint32_t client, enum cmds_connection_state state,
        const struct cmds_error *cause)
{
    struct stress_lot *lot = context;
    (void)client;
    (void)cause;
    if (state == CMDS_CONNECTION_UP) {
        STRESS_COUNT(stress_worker_here(lot->stress), ups);
    }
}

int stress_lot_options(
        struct stress_lot *lot, struct cmds_group_options *options, struct cmds_error *error)
{
    struct stress *stress = lot->stress;
    const struct stress_options *from = &stress->options;
    options->client_count = lot->clients;
    options->connect = stress->addresses;
    options->codec = stress->codec;
    options->dispatch = lot_dispatches[lot_dispatch(from->dispatch)].dispatch;
    options->in_flight_max = lot->window;
    options->deadline_ms = from->deadline_ms;
    options->reconnect_delay_max_ms = from->reconnect_delay_max_ms;
    options->keepalive_ms = from->keepalive_time_ms;
    options->keepalive_interval_ms = from->keepalive_interval_ms;
    options->context = lot;
    // A blocking caller waits for room by itself.
    options->on_writable = lot->manner == STRESS_LOT_CALLERS ? NULL : stress_on_writable;
    options->on_unexpected = stress_on_late;
    options->on_state = lot_on_state;
    options->tls = stress->tls;
    return stress_guard_make(lot, options, error);
}

/* SPDX-License-Identifier: MIT */
/* What the groups of all lots have in common, and what makes them differ. */
#include "stress/stress.h"

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

/* SPDX-License-Identifier: MIT */
/* Rows: names are made of those in <cmdstream/stats.h>, so that no list has to follow another. */
#include "telemetry/rows.h"

#include <string.h>

#define CMDI_IS_counter              false
#define CMDI_IS_gauge                true
#define CMDI_X_(kind, name, meaning) {CMDI_PREFIX_ #name, meaning, CMDI_IS_##kind},
#define CMDI_PREFIX_                 "cmdstream."
const struct cmdi_row cmdi_runtime_rows[] = {CMDS_RUNTIME_COUNTERS(CMDI_X_)};
#undef CMDI_PREFIX_
#define CMDI_PREFIX_ "cmdstream.server."
const struct cmdi_row cmdi_server_rows[] = {CMDS_SERVER_COUNTERS(CMDI_X_)};
#undef CMDI_PREFIX_
#define CMDI_PREFIX_ "cmdstream.client."
const struct cmdi_row cmdi_client_rows[] = {CMDS_GROUP_COUNTERS(CMDI_X_)};
#undef CMDI_PREFIX_
#undef CMDI_X_
#undef CMDI_IS_gauge
#undef CMDI_IS_counter

static bool row_ends_with(const struct cmdi_row *row, const char *end)
{
    size_t size = strlen(row->name);
    size_t end_size = strlen(end);
    return size > end_size && strcmp(row->name + size - end_size, end) == 0;
}

uint32_t cmdi_row_per_unit(const struct cmdi_row *row)
{
    return row_ends_with(row, "_us") ? 1000 * 1000 : 1;
}

/* The one row of times: a unit is no part of a metric's name. */
static const char *row_time_name(const struct cmdi_row *row)
{
    static const char server[] = "cmdstream.server.tls_handshake_time";
    static const char client[] = "cmdstream.client.tls_handshake_time";
    return strncmp(row->name, server, strlen("cmdstream.server.")) == 0 ? server : client;
}

struct cmds_metric cmdi_row_metric(const struct cmdi_row *row)
{
    struct cmds_metric metric = {
            .name = row->name,
            .unit = row_ends_with(row, "_bytes") ? "By" : "{count}",
            .description = row->meaning,
            .kind = row->is_gauge ? CMDS_METRIC_GAUGE : CMDS_METRIC_COUNTER,
    };
    if (cmdi_row_per_unit(row) != 1) {
        metric.name = row_time_name(row);
        metric.unit = "s";
        metric.description = "time that handshakes took of the shards";
        metric.is_real = true;
    }
    return metric;
}

/* SPDX-License-Identifier: MIT */
/* The lists of <cmdstream/stats.h> as tables, and each of their rows as a metric. */
#ifndef CMDI_TELEMETRY_ROWS_H
#define CMDI_TELEMETRY_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include <cmdstream/stats.h>
#include <cmdstream/telemetry.h>

enum {
    CMDI_RUNTIME_ROWS = sizeof(struct cmds_runtime_counters) / sizeof(uint64_t) - 1,
    CMDI_SERVER_ROWS = sizeof(struct cmds_server_counters) / sizeof(uint64_t) - 1,
    CMDI_CLIENT_ROWS = sizeof(struct cmds_group_counters) / sizeof(uint64_t) - 1,
    CMDI_ROWS_MAX = CMDI_CLIENT_ROWS > CMDI_SERVER_ROWS ? CMDI_CLIENT_ROWS : CMDI_SERVER_ROWS,
};

struct cmdi_row {
    const char *name; // Of the metric.
    const char *meaning;
    bool is_gauge;
};
extern const struct cmdi_row cmdi_runtime_rows[CMDI_RUNTIME_ROWS];
extern const struct cmdi_row cmdi_server_rows[CMDI_SERVER_ROWS];
extern const struct cmdi_row cmdi_client_rows[CMDI_CLIENT_ROWS];

/** As OpenTelemetry has it: times are seconds, and `row` counts microseconds of them. */
struct cmds_metric cmdi_row_metric(const struct cmdi_row *row);
/** How many of what a row counts are one of its metric's unit. */
uint32_t cmdi_row_per_unit(const struct cmdi_row *row);

#endif

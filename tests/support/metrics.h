/* SPDX-License-Identifier: MIT */
/*
 * What cmds_telemetry_write() writes, read by the letter of each format and with no mercy: a scraper
 * throws all of it away for one bad line.
 */
#ifndef CMDI_TESTS_SUPPORT_METRICS_H
#define CMDI_TESTS_SUPPORT_METRICS_H

#include <stdbool.h>
#include <stddef.h>

/** What was found. */
struct cmdi_metrics {
    unsigned families;
    unsigned samples; // Lines; of protobuf, points.
    unsigned exemplars;
};

/**
 * Text 0.0.4, or OpenMetrics 1.0.0.
 *
 * Returns: NULL; or what is wrong, and *line is the number of the line.
 */
const char *cmdi_metrics_text(
        const char *text, size_t size, bool is_open, struct cmdi_metrics *found, unsigned *line);
/** Delimited messages io.prometheus.client.MetricFamily. Returns: NULL; or what is wrong. */
const char *cmdi_metrics_proto(const void *data, size_t size, struct cmdi_metrics *found);
/** Returns: NULL; or what is wrong with it as JSON. */
const char *cmdi_metrics_json(const char *text, size_t size);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * OpenTelemetry's names as Prometheus has them: what a Collector makes of them on the way there, so
 * that what is scraped here and what comes through a Collector are the same series.
 */
#ifndef CMDI_TELEMETRY_NAME_H
#define CMDI_TELEMETRY_NAME_H

#include <cmdstream/telemetry.h>

#include "telemetry/output.h"

enum {
    CMDI_NAME_SIZE = 256 // Terminated. What is longer is cut.
};

/**
 * The name of a metric's family without a counter's "_total", for which there is room behind it:
 * words joined by '_', then the unit's word if the name does not have it.
 *
 * Owner:   borrows.
 * Returns: the unit's word, inside `name`, if the name ends with it; else NULL.
 */
const char *cmdi_name_metric(const struct cmds_metric *metric, char name[CMDI_NAME_SIZE]);
/** The name of a metric's samples: the family's, and a counter's "_total". */
void cmdi_name_sample(
        const struct cmds_metric *metric, const char *family, char name[CMDI_NAME_SIZE]);
/** A label's name, straight to the output. */
void cmdi_name_label(struct cmdi_output *output, const char *key);

#endif

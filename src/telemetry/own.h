/* SPDX-License-Identifier: MIT */
/*
 * Metrics that a program defines: a number for each, or a histogram, on each shard and one more for
 * all threads that are no shard. A shard writes its own without an atomic addition, the others share
 * theirs. Nothing that was defined goes before its runtime does, so an id is an index for good.
 */
#ifndef CMDI_TELEMETRY_OWN_H
#define CMDI_TELEMETRY_OWN_H

#include "telemetry/reading.h"

/** What was defined. */
void cmdi_read_own(struct cmdi_reading *reading);

#endif

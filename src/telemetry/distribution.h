/* SPDX-License-Identifier: MIT */
/* What was recorded (base/exponential.h), as a reader is given it. */
#ifndef CMDI_TELEMETRY_DISTRIBUTION_H
#define CMDI_TELEMETRY_DISTRIBUTION_H

#include <cmdstream/telemetry.h>

#include "base/exponential.h"

/** Durations in seconds. Owner: borrows `durations`, which nobody changes meanwhile. */
struct cmds_distribution cmdi_distribution_of_durations(const struct cmdi_durations *durations);
struct cmds_distribution cmdi_distribution_of_sizes(const struct cmdi_sizes *sizes);

#endif

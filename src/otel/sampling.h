/* SPDX-License-Identifier: MIT */
/*
 * OTEL_TRACES_SAMPLER: which traces begin here. What has a context is sampled as that says, in a runtime as in
 * OpenTelemetry's samplers named parentbased_; what cannot be had otherwise is a warning. Setup thread.
 */
#ifndef CMDI_OTEL_SAMPLING_H
#define CMDI_OTEL_SAMPLING_H

#include "otel/settings.h"

/** Returns: a sampler is named that can be had: *ratio of the traces that begin here are to be sampled. */
bool cmdi_otel_sampling(const struct cmdi_settings *settings, double *ratio);

#endif

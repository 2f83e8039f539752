/* SPDX-License-Identifier: MIT */
/*
 * The OTEL_* variables. An empty one counts as none, as OpenTelemetry wants it; a program that runs with
 * more rights than its caller has sees none. Setup thread.
 */
#ifndef CMDI_OTEL_ENVIRONMENT_H
#define CMDI_OTEL_ENVIRONMENT_H

#include "otel/settings.h"

/** "METRICS" or "TRACES". */
const char *cmdi_signal_word(enum cmdi_signal signal);
/** Returns: NULL: it is not set. */
const char *cmdi_variable(const struct cmdi_settings *settings, const char *name);
/**
 * "OTEL_EXPORTER_OTLP_" "METRICS_" or "TRACES_" `name`, and without it the one for all signals. `is_own`, which may be
 * NULL: it was the signal's own.
 */
const char *cmdi_variable_otlp(const struct cmdi_settings *settings, enum cmdi_signal signal,
        const char *name, bool *is_own);
/** A warning: the variable says something that is not understood. Its value is not shown. */
void cmdi_variable_complain(
        const struct cmdi_settings *settings, const char *name, const char *wanted);
/**
 * The same, of what cmdi_variable_otlp() gave: it names the variable that it was. The one for all signals is told of
 * once, by the first signal that has no own one.
 */
void cmdi_variable_otlp_complain(const struct cmdi_settings *settings, enum cmdi_signal signal,
        const char *name, const char *wanted);
/** Returns: false: it is no number from 1 to `max`, and *number is untouched. */
bool cmdi_number_read(const char *value, uint32_t max, uint32_t *number);
extern const char cmdi_number_wanted[];
/** A number from 1 to `max`; `fallback` without the variable, or if it is none. */
uint32_t cmdi_variable_number(
        const struct cmdi_settings *settings, const char *name, uint32_t fallback, uint32_t max);

#endif

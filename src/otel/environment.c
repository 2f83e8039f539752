/* SPDX-License-Identifier: MIT */
/* See environment.h. */
#include "otel/environment.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"

const char *cmdi_signal_word(enum cmdi_signal signal)
{
    static const char *const words[] = {
            [CMDI_SIGNAL_METRICS] = "METRICS", [CMDI_SIGNAL_TRACES] = "TRACES"};
    return words[signal];
}

const char *cmdi_variable(const struct cmdi_settings *settings, const char *name)
{
    const char *value = settings->ignore_environment ? NULL : secure_getenv(name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

const char *cmdi_variable_otlp(const struct cmdi_settings *settings, enum cmdi_signal signal,
        const char *name, bool *is_own)
{
    char own[80], all[80];
    int size =
            snprintf(own, sizeof(own), "OTEL_EXPORTER_OTLP_%s_%s", cmdi_signal_word(signal), name);
    CMDI_ASSERT(size > 0 && (size_t)size < sizeof(own));
    (void)snprintf(all, sizeof(all), "OTEL_EXPORTER_OTLP_%s", name);
    const char *value = cmdi_variable(settings, own);
    if (is_own != NULL) {
        *is_own = value != NULL;
    }
    return value != NULL ? value : cmdi_variable(settings, all);
}

void cmdi_variable_complain(
        const struct cmdi_settings *settings, const char *name, const char *wanted)
{
    char text[200];
    (void)snprintf(text, sizeof(text), "otel: %s is not %s, and is ignored", name, wanted);
    if (settings->on_log != NULL) {
        settings->on_log(settings->log_context, CMDS_LOG_WARN, text);
    }
}

uint32_t cmdi_variable_number(
        const struct cmdi_settings *settings, const char *name, uint32_t fallback, uint32_t max)
{
    const char *value = cmdi_variable(settings, name);
    if (value == NULL) {
        return fallback;
    }
    char *end;
    unsigned long long number = strtoull(value, &end, 10);
    if (value[0] < '0' || value[0] > '9' || *end != '\0' || number < 1 || number > max) {
        cmdi_variable_complain(settings, name, "a number of milliseconds");
        return fallback;
    }
    return (uint32_t)number;
}

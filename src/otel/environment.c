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

enum {
    VARIABLE_SIZE = 80,
};

/* `signal` CMDI_SIGNALS: the one for all. */
static void variable_name(char own[VARIABLE_SIZE], enum cmdi_signal signal, const char *name)
{
    bool is_own = signal != CMDI_SIGNALS;
    int size = snprintf(own, VARIABLE_SIZE, "OTEL_EXPORTER_OTLP_%s%s%s",
            is_own ? cmdi_signal_word(signal) : "", is_own ? "_" : "", name);
    CMDI_ASSERT(size > 0 && size < VARIABLE_SIZE);
}

const char *cmdi_variable_otlp(const struct cmdi_settings *settings, enum cmdi_signal signal,
        const char *name, bool *is_own)
{
    char own[VARIABLE_SIZE], all[VARIABLE_SIZE];
    variable_name(own, signal, name);
    variable_name(all, CMDI_SIGNALS, name);
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

void cmdi_variable_otlp_complain(const struct cmdi_settings *settings, enum cmdi_signal signal,
        const char *name, const char *wanted)
{
    char variable[VARIABLE_SIZE];
    bool is_told = false;
    for (int before = 0; before < (int)signal && !is_told; before++) {
        variable_name(variable, (enum cmdi_signal)before, name);
        is_told = cmdi_variable(settings, variable) == NULL;
    }
    variable_name(variable, signal, name);
    bool is_own = cmdi_variable(settings, variable) != NULL;
    if (!is_own) {
        variable_name(variable, CMDI_SIGNALS, name);
    }
    if (is_own || !is_told) {
        cmdi_variable_complain(settings, variable, wanted);
    }
}

const char cmdi_number_wanted[] = "a number of milliseconds";

bool cmdi_number_read(const char *value, uint32_t max, uint32_t *number)
{
    char *end;
    unsigned long long read = strtoull(value, &end, 10);
    if (value[0] < '0' || value[0] > '9' || *end != '\0' || read < 1 || read > max) {
        return false;
    }
    *number = (uint32_t)read;
    return true;
}

uint32_t cmdi_variable_number(
        const struct cmdi_settings *settings, const char *name, uint32_t fallback, uint32_t max)
{
    const char *value = cmdi_variable(settings, name);
    uint32_t number = fallback;
    if (value != NULL && !cmdi_number_read(value, max, &number)) {
        cmdi_variable_complain(settings, name, cmdi_number_wanted);
    }
    return number;
}

/* SPDX-License-Identifier: MIT */
/* See sampling.h. */
#include "otel/sampling.h"

#include <locale.h>
#include <stdlib.h>
#include <strings.h>

#include "otel/environment.h"

static const char sampler_name[] = "OTEL_TRACES_SAMPLER";
static const char argument_name[] = "OTEL_TRACES_SAMPLER_ARG";

struct sampler {
    const char *name;
    double ratio;      // Below 0: the argument.
    const char *other; // What it does otherwise than its name says. NULL: nothing.
};

static const struct sampler samplers[] = {
        {"parentbased_always_on", 1, NULL},
        {"parentbased_always_off", 0, NULL},
        {"parentbased_traceidratio", -1, NULL},
        {"always_on", 1,
                "otel: OTEL_TRACES_SAMPLER=always_on: as parentbased_always_on, since a context "
                "that "
                "is not sampled passes on as it is"},
        {"always_off", 0,
                "otel: OTEL_TRACES_SAMPLER=always_off: as parentbased_always_off, since a context "
                "that is sampled is followed; a server's resample_traces asks none"},
        {"traceidratio", -1,
                "otel: OTEL_TRACES_SAMPLER=traceidratio: as parentbased_traceidratio, since a "
                "context's own flag counts; a server's resample_traces asks none"},
};

static void warn(const struct cmdi_settings *settings, const char *text)
{
    if (settings->on_log != NULL && text != NULL) {
        settings->on_log(settings->log_context, CMDS_LOG_WARN, text);
    }
}

/* 1 without one, as OpenTelemetry has it. */
static double sampling_argument(const struct cmdi_settings *settings)
{
    const char *text = cmdi_variable(settings, argument_name);
    char *end = NULL;
    // A point, whatever the program's locale has.
    locale_t locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    bool has_locale = locale != (locale_t)0;
    double ratio = text == NULL ? 1
                   : has_locale ? strtod_l(text, &end, locale)
                                : strtod(text, &end);
    if (has_locale) {
        freelocale(locale);
    }
    if (text != NULL && (end == text || *end != '\0' || !(ratio >= 0 && ratio <= 1))) {
        cmdi_variable_complain(settings, argument_name, "a ratio from 0 to 1");
        return 1;
    }
    return ratio;
}

bool cmdi_otel_sampling(const struct cmdi_settings *settings, double *ratio)
{
    const char *name = cmdi_variable(settings, sampler_name);
    if (name == NULL || settings->targets[CMDI_SIGNAL_TRACES].is_off) {
        return false;
    }
    for (size_t i = 0; i < sizeof(samplers) / sizeof(samplers[0]); i++) {
        const struct sampler *sampler = &samplers[i];
        if (strcasecmp(name, sampler->name) == 0) {
            warn(settings, sampler->other);
            *ratio = sampler->ratio < 0 ? sampling_argument(settings) : sampler->ratio;
            return true;
        }
    }
    cmdi_variable_complain(settings, sampler_name,
            "always_on, always_off, traceidratio or one of these behind parentbased_");
    return false;
}

/* SPDX-License-Identifier: MIT */
/* See settings.h. Where each signal's batches go is in target.c. */
#include "otel/settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/options.h"
#include "otel/environment.h"
#include "otel/pairs.h"
#include "otel/target.h"

enum {
    METRIC_INTERVAL_DEFAULT_MS = 60000,
    SPAN_INTERVAL_DEFAULT_MS = 5000,
    INTERVAL_MAX_MS = 24 * 3600 * 1000,
};

static int check_texts(const struct cmds_otel_options *options, struct cmds_error *error)
{
    const char *texts[] = {
            options->endpoint, options->headers, options->service_name, options->resource};
    static const char *const names[] = {"endpoint", "headers", "service_name", "resource"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (texts[i] != NULL && strnlen(texts[i], CMDI_TEXT_MAX) == CMDI_TEXT_MAX) {
            return cmdi_fail(
                    error, -EINVAL, "otel: %s: longer than %d bytes", names[i], CMDI_TEXT_MAX - 1);
        }
    }
    return 0;
}

static int take(struct cmds_otel_options *mine, const struct cmds_otel_options *options,
        struct cmds_error *error)
{
    int code = cmdi_options_take(mine, sizeof(*mine), options, "cmds_otel_options", error);
    if (code == 0) {
        code = cmdi_unused_check(mine->unused, "cmds_otel_options", error);
    }
    if (code == 0 && mine->histograms > CMDS_OTEL_EXPLICIT) {
        code = cmdi_fail(error, -EINVAL, "otel: histograms: there is no %u", mine->histograms);
    }
    if (code == 0 && (mine->metric_interval_ms > INTERVAL_MAX_MS ||
                             mine->span_interval_ms > INTERVAL_MAX_MS ||
                             mine->timeout_ms > INTERVAL_MAX_MS)) {
        code = cmdi_fail(error, -EINVAL,
                "otel: metric_interval_ms, span_interval_ms, timeout_ms: at most a day");
    }
    return code < 0 ? code : check_texts(mine, error);
}

/* How histograms and totals go out: an option that is set comes before its variable. */
static void choose_form(struct cmdi_settings *settings, const struct cmds_otel_options *options)
{
    static const char form[] = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION";
    static const char temporality[] = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
    settings->is_explicit = options->histograms == CMDS_OTEL_EXPLICIT;
    const char *value = cmdi_variable(settings, form);
    if (value != NULL && !settings->is_explicit) {
        settings->is_explicit = strcasecmp(value, "explicit_bucket_histogram") == 0;
        if (!settings->is_explicit &&
                strcasecmp(value, "base2_exponential_bucket_histogram") != 0) {
            cmdi_variable_complain(settings, form,
                    "explicit_bucket_histogram or base2_exponential_bucket_histogram");
        }
    }
    settings->delta = options->delta;
    value = cmdi_variable(settings, temporality);
    if (value != NULL && !settings->delta) {
        settings->delta = strcasecmp(value, "delta") == 0 || strcasecmp(value, "lowmemory") == 0;
        if (!settings->delta && strcasecmp(value, "cumulative") != 0) {
            cmdi_variable_complain(settings, temporality, "cumulative, delta or lowmemory");
        }
    }
}

static int copy(char **out, const char *text)
{
    *out = text == NULL ? NULL : strndup(text, CMDI_TEXT_MAX);
    return text != NULL && *out == NULL ? -ENOMEM : 0;
}

/* What is wrong anywhere in the variable discards it as a whole, as OpenTelemetry wants it. */
static int choose_resource(struct cmdi_settings *settings, const struct cmds_otel_options *options,
        struct cmds_error *error)
{
    static const char variable[] = "OTEL_RESOURCE_ATTRIBUTES";
    const char *value = cmdi_variable(settings, variable);
    int code = cmdi_pairs_check(options->resource);
    if (code == -EINVAL || code == -EILSEQ) {
        return cmdi_fail(error, -EINVAL, "otel: resource: is not %s", cmdi_pairs_wanted(code));
    }
    code = cmdi_pairs_check(value);
    if (code == -EINVAL || code == -EILSEQ) {
        cmdi_variable_complain(settings, variable, cmdi_pairs_wanted(code));
        value = NULL;
    }
    code = copy(&settings->resource, options->resource);
    return code < 0 ? code : copy(&settings->resource2, value);
}

static int choose_name(struct cmdi_settings *settings, const struct cmds_otel_options *options)
{
    const char *name = options->service_name;
    if (name == NULL) {
        name = cmdi_variable(settings, "OTEL_SERVICE_NAME");
    }
    return copy(&settings->service_name, name);
}

static uint32_t interval(const struct cmdi_settings *settings, uint32_t option_ms,
        const char *variable, uint32_t default_ms)
{
    return option_ms != 0 ? option_ms
                          : cmdi_variable_number(settings, variable, default_ms, INTERVAL_MAX_MS);
}

int cmdi_settings_init(struct cmdi_settings *settings, const struct cmds_otel_options *options,
        struct cmds_error *error)
{
    *settings = (struct cmdi_settings){.service_name = NULL};
    struct cmds_otel_options mine;
    int code = take(&mine, options, error);
    if (code < 0) {
        return code;
    }
    settings->on_log = mine.on_log;
    settings->log_context = mine.log_context;
    settings->ignore_environment = mine.ignore_environment;
    settings->go_milliseconds = mine.go_milliseconds;
    settings->metric_interval_ms = interval(settings, mine.metric_interval_ms,
            "OTEL_METRIC_EXPORT_INTERVAL", METRIC_INTERVAL_DEFAULT_MS);
    settings->span_interval_ms = interval(
            settings, mine.span_interval_ms, "OTEL_BSP_SCHEDULE_DELAY", SPAN_INTERVAL_DEFAULT_MS);
    choose_form(settings, &mine);
    code = choose_resource(settings, &mine, error);
    code = code < 0 ? code : choose_name(settings, &mine);
    if (code < 0) {
        return cmdi_fail(error, code, "otel: out of memory"); // Unless it has said what it is.
    }
    for (int i = 0; i < CMDI_SIGNALS && code == 0; i++) {
        code = cmdi_target_init(settings, (enum cmdi_signal)i, &mine, error);
    }
    return code;
}

void cmdi_settings_fini(struct cmdi_settings *settings)
{
    for (int i = 0; i < CMDI_SIGNALS; i++) {
        cmdi_target_fini(&settings->targets[i]);
    }
    free(settings->service_name);
    free(settings->resource);
    free(settings->resource2);
    *settings = (struct cmdi_settings){.service_name = NULL};
}

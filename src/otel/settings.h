/* SPDX-License-Identifier: MIT */
/*
 * The options and the OTEL_* variables, put together once: what an exporter works with. A variable that
 * makes no sense is a warning and the default; an option that makes none is an error. Setup thread.
 */
#ifndef CMDI_OTEL_SETTINGS_H
#define CMDI_OTEL_SETTINGS_H

#include <cmdstream/otel.h>

enum cmdi_signal {
    CMDI_SIGNAL_METRICS,
    CMDI_SIGNAL_TRACES,
    CMDI_SIGNALS,
};

enum {
    CMDI_HEADERS_MAX = 32,
    CMDI_TEXT_MAX = 16384, // Of one variable, or one option.
};

/** Where the batches of one signal go. Texts are its own; NULL: none. */
struct cmdi_target {
    bool is_off;
    bool gzip;
    uint32_t timeout_ms;
    char *url;
    char *unix_path;
    char *shown;                     // The url without user, password and query, for logs.
    char *headers[CMDI_HEADERS_MAX]; // "key: value"
    uint32_t header_count;
    char *ca_file, *certificate_file, *key_file;
    char *proxy, *no_proxy; // Never NULL, so that libcurl does not look at the environment.
};

struct cmdi_settings {
    struct cmdi_target targets[CMDI_SIGNALS];
    char *service_name; // NULL: the default.
    char *resource,
            *resource2; // Pairs; those of the first come before the same ones of the second.
    uint32_t metric_interval_ms, span_interval_ms;
    bool is_explicit, delta, go_milliseconds, ignore_environment;
    void (*on_log)(void *context, enum cmds_log_level level, const char *text);
    void *log_context;
};

/**
 * Owner:   copies what it needs; cmdi_settings_fini(), after a failure too.
 * Returns: 0; -EINVAL, -E2BIG: an option, by name; -ENOMEM.
 */
int cmdi_settings_init(struct cmdi_settings *settings, const struct cmds_otel_options *options,
        struct cmds_error *error);
void cmdi_settings_fini(struct cmdi_settings *settings);

#endif

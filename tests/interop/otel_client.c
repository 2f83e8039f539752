/* SPDX-License-Identifier: MIT */
/*
 * otel_client ENDPOINT [explicit] [delta] [gzip]: exports the points of support/otel_points.h and the
 * spans of support/otel_spans.h once, to whoever reads them: tests/interop/test_otel.py. It fails when they are not taken.
 */
#include <stdio.h>

#include "otel/exporter.h"
#include "support/otel_points.h"
#include "support/otel_spans.h"

enum {
    LONG_MS = 30000,
};

static void on_log(void *context, enum cmds_log_level level, const char *text)
{
    (void)context;
    (void)level;
    fprintf(stderr, "%s\n", text);
}

static uint32_t take(void *context, struct cmds_span *out, uint32_t count_max)
{
    bool *is_taken = context;
    if (*is_taken || count_max < 2) {
        return 0;
    }
    *is_taken = true;
    otel_span_server(&out[0]);
    otel_span_client(&out[1]);
    return 2;
}

int main(int argc, char **argv)
{
    struct cmds_otel_options options = CMDS_OTEL_OPTIONS_INIT;
    struct cmds_error error = CMDS_ERROR_INIT;
    bool is_taken = false;
    struct cmdi_source source = {
            .read = otel_points_read, .take = take, .context = &is_taken, .start_ns = 1000};
    struct cmdi_exporter *exporter;
    options.endpoint = argc > 1 ? argv[1] : NULL;
    options.service_name = "interop";
    options.resource = "host.name=a%20host";
    options.headers = "x-key=value";
    options.ignore_environment = true;
    options.on_log = on_log;
    for (int i = 2; i < argc; i++) {
        options.delta = options.delta || strcmp(argv[i], "delta") == 0;
        options.gzip = options.gzip || strcmp(argv[i], "gzip") == 0;
        if (strcmp(argv[i], "explicit") == 0) {
            options.histograms = CMDS_OTEL_EXPLICIT;
        }
    }
    if (cmdi_exporter_open(&exporter, &source, &options, &error) < 0) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    int code = cmdi_exporter_flush(exporter, LONG_MS);
    struct cmds_otel_counters counters = CMDS_OTEL_COUNTERS_INIT;
    cmdi_exporter_stats(exporter, &counters);
    cmdi_exporter_close(exporter, 0);
    return code < 0 || counters.batches_sent != 2 || counters.items_rejected != 0;
}

/* SPDX-License-Identifier: MIT */
/* An exporter of a stranger's program: it opens, and nobody is there to send to. */
#include <cmdstream/cmdstream.h>
#include <cmdstream/otel.h>

#include <stdio.h>

int main(void)
{
    struct cmds_runtime *runtime;
    struct cmds_runtime_options runtime_options = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_otel *otel;
    struct cmds_otel_options options = CMDS_OTEL_OPTIONS_INIT;
    struct cmds_error error = CMDS_ERROR_INIT;
    runtime_options.shard_count = 1;
    options.ignore_environment = true;
    options.endpoint = "http://127.0.0.1:1";
    if (cmds_runtime_start(&runtime, &runtime_options, &error) < 0) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    int code = cmds_otel_open(&otel, runtime, &options, &error);
    if (code == 0) {
        struct cmds_otel_counters counters = CMDS_OTEL_COUNTERS_INIT;
        code = cmds_otel_stats(otel, &counters);
        code = code < 0 || counters.batches_sent > 0;
        cmds_otel_close(otel, 1);
    }
    cmds_runtime_stop(runtime);
    return code != 0;
}

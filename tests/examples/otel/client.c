/* SPDX-License-Identifier: MIT */
/*
 * A trace begins here: its context goes with the command, and what the server does is a part of it. Both
 * programs send their spans to the same Collector, which puts them together.
 */
#include <inttypes.h>
#include <semaphore.h>
#include <stdio.h>

#include "calc.h"
#include <cmdstream/otel.h>

static sem_t done;
static int64_t sum = -1;

static void on_result(void *context, const struct cmds_result *result) // Once, on a shard.
{
    (void)context;
    const struct calc_value *value = calc_value_of(result);
    if (value != NULL) {
        sum = value->value;
    } else {
        fprintf(stderr, "calc: %s\n", result->text);
    }
    (void)sem_post(&done);
}

static int ask(struct cmds_group *group)
{
    // All zero: it begins here. Of a request that came from elsewhere it is cmds_trace_parse() of its traceparent.
    const struct cmds_trace trace = {0};
    const struct calc_add add = {2, 3};
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    how.trace = &trace;
    int code = cmds_group_send(group, calc_add_message(&add), &how, on_result, NULL);
    if (code == 0) {
        (void)sem_wait(&done);
        printf("%" PRId64 "\n", sum);
    }
    return code < 0 || sum < 0 ? -1 : 0;
}

int main(int argc, char **argv)
{
    struct cmds_runtime *runtime = NULL;
    struct cmds_group *group = NULL;
    struct cmds_otel *otel = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    struct cmds_trace_options trace = CMDS_TRACE_OPTIONS_INIT;
    struct cmds_runtime_options runtime_options = CMDS_RUNTIME_OPTIONS_INIT;
    runtime_options.shard_count = 1;
    runtime_options.trace = &trace;
    struct cmds_otel_options otel_options = CMDS_OTEL_OPTIONS_INIT;
    otel_options.service_name = "calc-client";
    otel_options.on_log = cmds_log_stderr; // Else nobody hears of a backend that is not there.
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(&calc);
    options.connect = argc > 1 ? argv[1] : "127.0.0.1:9000";
    (void)sem_init(&done, 0, 0);

    int code = -1;
    if (cmds_runtime_start(&runtime, &runtime_options, &error) == 0 &&
            cmds_otel_open(&otel, runtime, &otel_options, &error) == 0 &&
            cmds_group_open(&group, runtime, &options, &error) == 0 &&
            cmds_group_wait(group, 5000, &error) == 0) {
        code = ask(group);
    }
    if (error.code < 0) {
        fprintf(stderr, "calc: %s\n", error.text);
    }
    cmds_otel_close(otel, 5000);
    cmds_runtime_stop(runtime); // Closes the group too.
    return code < 0;
}

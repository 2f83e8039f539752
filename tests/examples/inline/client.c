/* SPDX-License-Identifier: MIT */
/* No threads: whoever calls cmds_runtime_turn() is the shard. The lowest latency that there is. */
#include <inttypes.h>
#include <stdio.h>

#include "calc.h"

static void on_result(void *context, const struct cmds_result *result)
{
    const struct calc_value *value = calc_value_of(result);
    if (value != NULL) {
        printf("%" PRId64 "\n", value->value);
    } else {
        fprintf(stderr, "inline: %s\n", result->text);
    }
    *(bool *)context = true;
}

int main(int argc, char **argv)
{
    struct cmds_runtime *runtime = NULL;
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    options.shard_count = CMDS_SHARDS_INLINE;
    struct cmds_group *group = NULL;
    struct cmds_group_options group_options = CMDS_GROUP_OPTIONS_INIT(&calc);
    group_options.connect = argc > 1 ? argv[1] : "127.0.0.1:9000";
    struct cmds_error error = CMDS_ERROR_INIT;
    struct calc_add add = {2, 3};
    bool done = false;
    int code = cmds_runtime_start(&runtime, &options, &error);
    if (code == 0) {
        code = cmds_group_open(&group, runtime, &group_options, &error);
    }
    if (code == 0) { // Sent when the connection is up, within its deadline.
        code = cmds_group_send(group, calc_add_message(&add), NULL, on_result, &done);
    }
    while (code >= 0 && !done) {
        code = cmds_runtime_turn(runtime, CMDS_TURN_NOWAIT); // Spins; or wait up to so many µs.
    }
    if (code < 0) {
        fprintf(stderr, "inline: %s\n", error.code < 0 ? error.text : cmds_error_text(code));
    }
    cmds_runtime_stop(runtime);
    return code < 0;
}

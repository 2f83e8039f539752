/* SPDX-License-Identifier: MIT */
/*
 * A program of somebody who has the installed library only. It is built in every way that the
 * package offers; what it needs of the library is enough to fail when a symbol is not exported or a
 * dependency of the static library is not handed on.
 */
#include <stdio.h>
#include <string.h>

#include <cmdstream/cmdstream.h>

int main(void)
{
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    options.shard_count = CMDS_SHARDS_INLINE;
    struct cmds_runtime *runtime = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    if (strcmp(cmds_version(), CMDS_VERSION) != 0) {
        fprintf(stderr, "header %s, library %s\n", CMDS_VERSION, cmds_version());
        return 1;
    }
    if (cmds_runtime_start(&runtime, &options, &error) < 0) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    cmds_runtime_stop(runtime);
    printf("cmdstream %s\n", cmds_version());
    return 0;
}

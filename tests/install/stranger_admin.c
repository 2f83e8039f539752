/* SPDX-License-Identifier: MIT */
/*
 * A stranger's program with pages over HTTP. It fails when the library, what it stands on, or the core is
 * not linked.
 */
#include <stdio.h>
#include <string.h>

#include <cmdstream/admin.h>
#include <cmdstream/cmdstream.h>

int main(void)
{
    struct cmds_admin_options options = CMDS_ADMIN_OPTIONS_INIT;
    struct cmds_error error = CMDS_ERROR_INIT;
    struct cmds_admin *admin = NULL;
    struct cmds_runtime *runtime = NULL;
    struct cmds_runtime_options runtime_options = CMDS_RUNTIME_OPTIONS_INIT;
    char address[64] = "";
    runtime_options.shard_count = 1;
    if (cmds_admin_open(&admin, NULL, &options, &error) != -22 ||
            strstr(error.text, "metrics") == NULL) {
        fprintf(stderr, "no address at all: %s\n", error.text);
        return 1;
    }
    error = (struct cmds_error)CMDS_ERROR_INIT;
    options.metrics = "127.0.0.1:0";
    int code = cmds_runtime_start(&runtime, &runtime_options, &error);
    code = code < 0 ? code : cmds_admin_open(&admin, runtime, &options, &error);
    code = code < 0 ? code : cmds_admin_address(admin, 0, address, sizeof(address));
    if (code < 0) {
        fprintf(stderr, "%s\n", error.text);
    }
    printf("cmdstream %s, %s\n", cmds_version(), address);
    cmds_admin_close(admin);
    cmds_runtime_stop(runtime);
    return code < 0;
}

/* SPDX-License-Identifier: MIT */
/* The tool of somebody's own protocol. See program.h, and <cmdstream/tool.h>. */
#include <cmdstream/tool.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"
#include "options.h"
#include "program.h"

static const struct tool_sub own_subs[] = {
        {"call", "send commands from the shell, print their results as JSON lines", cmdi_tool_call},
        {"bench", "measure throughput and latency of a server", cmdi_tool_bench_own},
        {"describe", "print the types of the protocol, their fields and limits",
                cmdi_tool_describe},
        {"completion", "print what a shell completes words with", cmdi_tool_completion},
};

struct tool_program cmdi_tool_own_program(const char *name, const struct cmds_protocol *protocol)
{
    return (struct tool_program){.name = name,
            .title = "speaks a protocol of cmdstream.",
            .examples = "",
            .protocol = protocol,
            .subs = own_subs,
            .sub_count = sizeof(own_subs) / sizeof(own_subs[0])};
}

int cmds_tool_main(int argc, char **argv, const struct cmds_protocol *protocol)
{
    const char *path = argc > 0 && argv[0] != NULL ? argv[0] : "tool";
    const char *slash = strrchr(path, '/');
    struct cmds_error error = CMDS_ERROR_INIT;
    struct tool_program program = cmdi_tool_own_program(slash != NULL ? slash + 1 : path, protocol);
    int code = protocol != NULL ? cmds_protocol_check(protocol, &error) : CMDS_E_SCHEMA;
    if (code < 0) {
        fprintf(stderr, "%s: %s\n", program.name,
                protocol != NULL ? error.text : "cmds_tool_main() got no protocol");
        return TOOL_EXIT_USAGE;
    }
    return cmdi_tool_program_main(&program, argc, argv);
}

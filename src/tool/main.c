/* SPDX-License-Identifier: MIT */
/*
 * The program `cmdstream`: serve, bench, call, doctor. Built on the public headers alone, so that
 * whatever it does, any program can do.
 */
#include <stdio.h>
#include <string.h>

#include "common.h"
#include "options.h"

static const struct {
    const char *name, *about;
    int (*run)(int argc, char **argv);
} main_commands[] = {
        {"serve", "serve the test protocol: something to talk to", tool_serve},
        {"bench", "measure throughput and latency, against a server of its own or another",
                tool_bench},
        {"call", "send one command from the shell, print its results as JSON lines", tool_call},
        {"doctor", "say whether io_uring works here, what it offers, and what to do if not",
                tool_doctor},
};
enum {
    MAIN_COMMAND_COUNT = sizeof(main_commands) / sizeof(main_commands[0])
};

static int main_overview(FILE *out, int status)
{
    fprintf(out,
            "cmdstream %s: the Distributed Command Pattern on io_uring.\n\n"
            "Usage: cmdstream COMMAND [OPTIONS]\n\n",
            cmds_version());
    for (int i = 0; i < MAIN_COMMAND_COUNT; i++) {
        fprintf(out, "  %-8s %s\n", main_commands[i].name, main_commands[i].about);
    }
    fprintf(out,
            "\n`cmdstream COMMAND --help` has the options; `cmdstream --version` the version.\n\n"
            "  $ cmdstream serve &\n"
            "  $ cmdstream call 127.0.0.1:9000 echo '{\"string\":\"hi\",\"int64\":-5}'\n"
            "  $ cmdstream bench --conns 8 --in-flight 128\n");
    return status;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        return main_overview(stdout, TOOL_EXIT_OK);
    }
    for (int i = 0; i < MAIN_COMMAND_COUNT; i++) {
        if (strcmp(argv[1], main_commands[i].name) == 0) {
            return main_commands[i].run(argc - 1, argv + 1);
        }
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
            strcmp(argv[1], "help") == 0) {
        return main_overview(stdout, TOOL_EXIT_OK);
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("cmdstream %s\n", cmds_version());
        return TOOL_EXIT_OK;
    }
    fprintf(stderr, "cmdstream: no command \"%s\"\n\n", argv[1]);
    return main_overview(stderr, TOOL_EXIT_USAGE);
}

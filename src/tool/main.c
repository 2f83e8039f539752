/* SPDX-License-Identifier: MIT */
/*
 * The program `cmdstream`: serve, bench, call, chaos, stats, top, doctor, stress. Built on the public headers alone,
 * so that whatever it does, any program can do; but for chaos, whose proxy is the library's own.
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
        {"chaos", "stand between clients and servers, and treat connections badly", tool_chaos},
        {"stats", "show what a running service does: one table, or a row every so often",
                tool_stats},
        {"top", "the same on the whole terminal, again and again", tool_top},
        {"doctor", "say whether io_uring works here, what it offers, and what to do if not",
                tool_doctor},
        {"stress", "clients and servers that restart, stall and fail; each result is checked",
                tool_stress},
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

/* Returns: MAIN_COMMAND_COUNT if there is none of that name. */
static int main_find(const char *name)
{
    int i = 0;
    while (i < MAIN_COMMAND_COUNT && strcmp(name, main_commands[i].name) != 0) {
        i++;
    }
    return i;
}

static bool main_is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0;
}

static int main_unknown(const char *word)
{
    const char *lead = "; did you mean ";
    fprintf(stderr, "cmdstream: no command \"%s\"", word);
    for (int i = 0; i < MAIN_COMMAND_COUNT; i++) {
        if (tool_resembles(word, main_commands[i].name)) {
            fprintf(stderr, "%s%s", lead, main_commands[i].name);
            lead = " or ";
        }
    }
    fputs("\n\n", stderr);
    return main_overview(stderr, TOOL_EXIT_USAGE);
}

/* `help COMMAND` is `COMMAND --help`. */
static int main_help(int argc, char **argv)
{
    static char help[] = "--help";
    int found = argc > 2 ? main_find(argv[2]) : MAIN_COMMAND_COUNT;
    if (argc > 2 && found == MAIN_COMMAND_COUNT) {
        return main_unknown(argv[2]);
    }
    if (argc > 2) {
        char *words[] = {argv[2], help, NULL};
        return main_commands[found].run(2, words);
    }
    return main_overview(stdout, TOOL_EXIT_OK);
}

static int main_run(int argc, char **argv)
{
    if (argc < 2) {
        fputs("cmdstream: which command?\n\n", stderr);
        return main_overview(stderr, TOOL_EXIT_USAGE);
    }
    int found = main_find(argv[1]);
    if (found < MAIN_COMMAND_COUNT) {
        return main_commands[found].run(argc - 1, argv + 1);
    }
    if (main_is_help(argv[1])) {
        return main_help(argc, argv);
    }
    if (strcmp(argv[1], "--version") != 0) {
        return main_unknown(argv[1]);
    }
    if (argc > 2) {
        fprintf(stderr, "cmdstream: one argument too many: %s\n", argv[2]);
        return TOOL_EXIT_USAGE;
    }
    printf("cmdstream %s\n", cmds_version());
    return TOOL_EXIT_OK;
}

int main(int argc, char **argv)
{
    tool_standard_files();
    return tool_finish(main_run(argc, argv));
}

/* SPDX-License-Identifier: MIT */
/*
 * See options.h. getopt_long's own messages are switched off: they do not say where to look
 * further.
 */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    OPTIONS_HELP = 1,
    OPTIONS_FIRST = 256,
    OPTIONS_NAME_WIDTH = 28
};

static int options_complain(const char *name, const char *what, const char *subject)
{
    fprintf(stderr, "cmdstream %s: %s%s; see `cmdstream %s --help`\n", name, what, subject, name);
    return TOOL_EXIT_USAGE;
}

/*
 * The whole text must be a number: "12x", "", " 3" and "-1" are mistakes, not 12, 0, 3 and 2^32 -
 * 1.
 */
static bool options_number(const char *text, const struct tool_option *option, double *number)
{
    if (text[0] < '0' || text[0] > '9') {
        return false;
    }
    char *end = NULL;
    errno = 0;
    if (option->kind == TOOL_OPTION_DOUBLE) {
        *number = strtod(text, &end);
    } else {
        *number = (double)strtoull(text, &end, 10);
    }
    return errno == 0 && *end == '\0' && *number >= option->min && *number <= option->max;
}

static int options_store(
        const char *command, const struct tool_option *option, const char *text, void *values)
{
    char *target = (char *)values + option->offset;
    double number = 0;
    switch (option->kind) {
    case TOOL_OPTION_FLAG:
        *(bool *)(void *)target = true;
        return TOOL_PARSED;
    case TOOL_OPTION_TEXT:
        memcpy(target, &text, sizeof(text));
        return TOOL_PARSED;
    case TOOL_OPTION_U32:
    case TOOL_OPTION_DOUBLE:
        break;
    }
    if (!options_number(text, option, &number)) {
        fprintf(stderr, "cmdstream %s: --%s takes a number from %u to %u, not \"%s\"\n", command,
                option->name, option->min, option->max, text);
        return TOOL_EXIT_USAGE;
    }
    if (option->kind == TOOL_OPTION_U32) {
        uint32_t value = (uint32_t)number;
        memcpy(target, &value, sizeof(value));
    } else {
        memcpy(target, &number, sizeof(number));
    }
    return TOOL_PARSED;
}

static void options_to_long(const struct tool_command *command, struct option *rows)
{
    for (uint32_t i = 0; i < command->option_count; i++) {
        rows[i] = (struct option){.name = command->options[i].name,
                .has_arg = command->options[i].argument != NULL ? required_argument : no_argument,
                .val = OPTIONS_FIRST + (int)i};
    }
    rows[command->option_count] = (struct option){.name = "help", .val = OPTIONS_HELP};
}

int tool_options_parse(
        const struct tool_command *command, int argc, char **argv, void *values, int *positional)
{
    struct option rows[TOOL_OPTIONS_MAX + 2] = {{0}};
    if (command->option_count > TOOL_OPTIONS_MAX) {
        return TOOL_EXIT_USAGE;
    }
    options_to_long(command, rows);

    int status = TOOL_PARSED;
    int found;
    opterr = 0;
    optind = 0; // 0, not 1: glibc then forgets an earlier scan altogether.
    while (status == TOOL_PARSED && (found = getopt_long(argc, argv, ":h", rows, NULL)) != -1) {
        if (found == 'h' || found == OPTIONS_HELP) {
            tool_options_help(command, stdout);
            return TOOL_EXIT_OK;
        }
        if (found == ':') {
            return options_complain(argv[0], "no value after ", argv[optind - 1]);
        }
        if (found < OPTIONS_FIRST) {
            return options_complain(argv[0],
                    "unknown or ambiguous option, or a value that it does not take: ",
                    argv[optind - 1]);
        }
        status = options_store(argv[0], &command->options[found - OPTIONS_FIRST], optarg, values);
    }
    if (status != TOOL_PARSED) {
        return status;
    }
    *positional = optind;
    int rest = argc - optind;
    if (rest > command->positional_max) {
        return options_complain(
                argv[0], "one argument too many: ", argv[optind + command->positional_max]);
    }
    return rest < command->positional_min ? options_complain(argv[0], "an argument is missing", "")
                                          : TOOL_PARSED;
}

void tool_options_help(const struct tool_command *command, FILE *out)
{
    fprintf(out, "Usage: cmdstream %s\n\n%s\n", command->usage, command->about);
    if (command->option_count > 0) {
        fprintf(out, "Options:\n");
    }
    for (uint32_t i = 0; i < command->option_count; i++) {
        const struct tool_option *option = &command->options[i];
        char left[OPTIONS_NAME_WIDTH * 2];
        snprintf(left, sizeof(left), "--%s%s%s", option->name, option->argument != NULL ? " " : "",
                option->argument != NULL ? option->argument : "");
        fprintf(out, "  %-*s %s\n", OPTIONS_NAME_WIDTH, left, option->help);
    }
    fprintf(out, "  %-*s this text\n%s%s", OPTIONS_NAME_WIDTH, "--help",
            command->notes != NULL ? "\n" : "", command->notes != NULL ? command->notes : "");
}

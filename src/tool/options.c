/* SPDX-License-Identifier: MIT */
/*
 * See options.h. getopt_long's own messages are switched off: they do not say where to look
 * further.
 */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "name.h"

enum {
    OPTIONS_HELP = 1,
    OPTIONS_FIRST = 256,
    OPTIONS_NAME_WIDTH = 28,
    OPTIONS_WORD_MAX = 32,
    OPTIONS_LETTERS_MAX = 2, // So many wrong letters are a slip.
};

/* Of cmdi_tool_options_table(): who asks for a table, and the one that came by. */
static bool options_asked;
static const struct tool_command *options_shown;

static int options_complain(const char *name, const char *what, const char *subject)
{
    fprintf(stderr, "%s %s: %s%s; see `%s %s --help`\n", cmdi_tool_name(), name, what, subject,
            cmdi_tool_name(), name);
    return TOOL_EXIT_USAGE;
}

/* The letters that must be inserted, removed or replaced to make one of the other. */
static uint32_t options_distance(const char *a, const char *b)
{
    uint32_t row[OPTIONS_WORD_MAX + 1];
    size_t b_size = strlen(b);
    if (b_size > OPTIONS_WORD_MAX) {
        return UINT32_MAX;
    }
    for (uint32_t i = 0; i <= b_size; i++) {
        row[i] = i;
    }
    for (uint32_t i = 0; a[i] != '\0'; i++) {
        uint32_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < b_size; j++) {
            uint32_t replaced = diagonal + (a[i] != b[j]);
            uint32_t inserted = (row[j] < row[j + 1] ? row[j] : row[j + 1]) + 1;
            diagonal = row[j + 1];
            row[j + 1] = replaced < inserted ? replaced : inserted;
        }
    }
    return row[b_size];
}

bool cmdi_tool_resembles(const char *word, const char *name)
{
    size_t size = strlen(word);
    if (size < 2) {
        return false;
    }
    return strncmp(word, name, size) == 0 ||
           (size > OPTIONS_LETTERS_MAX && options_distance(word, name) <= OPTIONS_LETTERS_MAX);
}

/*
 * The whole text must be a number: "12x", "", " 3", "-1" and "0x10" are mistakes, not 12, 0, 3,
 * 2^32 - 1 and 16.
 */
static bool options_number(const char *text, const struct tool_option *option, double *number)
{
    if (text[0] < '0' || text[0] > '9' || strspn(text, "0123456789.eE+-") != strlen(text)) {
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
        fprintf(stderr, "%s %s: --%s takes a number from %u to %u, not \"%s\"\n", cmdi_tool_name(),
                command, option->name, option->min, option->max, text);
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

/* `argument` as it was given: "--conn=3", "-z". A name that may have been meant is named. */
static int options_unknown(
        const struct tool_command *command, const char *name, const char *argument)
{
    char word[OPTIONS_WORD_MAX + 1];
    snprintf(word, sizeof(word), "%s", argument + strspn(argument, "-"));
    word[strcspn(word, "=")] = '\0';
    const char *lead = "; did you mean";
    fprintf(stderr, "%s %s: unknown or ambiguous option, or a value that it does not take: %s",
            cmdi_tool_name(), name, argument);
    for (uint32_t i = 0; i < command->option_count; i++) {
        if (cmdi_tool_resembles(word, command->options[i].name)) {
            fprintf(stderr, "%s --%s", lead, command->options[i].name);
            lead = " or";
        }
    }
    fprintf(stderr, "; see `%s %s --help`\n", cmdi_tool_name(), name);
    return TOOL_EXIT_USAGE;
}

static int options_take(const struct tool_command *command, const char *name, int row, void *values,
        struct tool_line *line)
{
    const struct tool_option *option = &command->options[row];
    uint64_t bit = UINT64_C(1) << row % 64;
    if ((line->given[row / 64] & bit) != 0) {
        return options_complain(name, "given twice: --", option->name);
    }
    line->given[row / 64] |= bit;
    return options_store(name, option, optarg, values);
}

static int options_count(const struct tool_command *command, int argc, char **argv)
{
    int rest = argc - optind;
    if (rest > command->positional_max) {
        return options_complain(
                argv[0], "one argument too many: ", argv[optind + command->positional_max]);
    }
    return rest < command->positional_min ? options_complain(argv[0], "an argument is missing", "")
                                          : TOOL_PARSED;
}

int cmdi_tool_options_parse(const struct tool_command *command, int argc, char **argv, void *values,
        struct tool_line *line)
{
    struct option rows[TOOL_OPTIONS_MAX + 2] = {{0}};
    if (options_asked) {
        options_shown = command;
        return TOOL_EXIT_OK;
    }
    if (command->option_count > TOOL_OPTIONS_MAX) {
        return TOOL_EXIT_USAGE;
    }
    options_to_long(command, rows);

    int status = TOOL_PARSED;
    int found;
    *line = (struct tool_line){0};
    opterr = 0;
    optind = 0; // 0, not 1: glibc then forgets an earlier scan altogether.
    while (status == TOOL_PARSED && (found = getopt_long(argc, argv, ":h", rows, NULL)) != -1) {
        if (found == 'h' || found == OPTIONS_HELP) {
            cmdi_tool_options_help(command, stdout);
            return TOOL_EXIT_OK;
        }
        if (found == ':') {
            return options_complain(argv[0], "no value after ", argv[optind - 1]);
        }
        if (found < OPTIONS_FIRST) {
            return options_unknown(command, argv[0], argv[optind - 1]);
        }
        status = options_take(command, argv[0], found - OPTIONS_FIRST, values, line);
    }
    line->positional = optind;
    return status != TOOL_PARSED ? status : options_count(command, argc, argv);
}

const struct tool_command *cmdi_tool_options_table(
        int (*run)(int argc, char **argv), const char *name)
{
    char *words[] = {(char *)(uintptr_t)name, NULL};
    options_asked = true;
    options_shown = NULL;
    (void)run(1, words);
    options_asked = false;
    return options_shown;
}

bool cmdi_tool_options_given(
        const struct tool_command *command, const struct tool_line *line, const char *name)
{
    for (uint32_t i = 0; i < command->option_count; i++) {
        if (strcmp(command->options[i].name, name) == 0) {
            return (line->given[i / 64] >> i % 64 & 1) != 0;
        }
    }
    return false;
}

bool cmdi_tool_options_obey(const struct tool_command *command, const char *name,
        const struct tool_line *line, const struct tool_rule *rules, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct tool_rule *rule = &rules[i];
        bool other = cmdi_tool_options_given(command, line, rule->other);
        if (cmdi_tool_options_given(command, line, rule->option) && other != rule->needs) {
            fprintf(stderr, "%s %s: --%s %s --%s%s%s\n", cmdi_tool_name(), name, rule->option,
                    rule->needs ? "goes with" : "does not go with", rule->other,
                    rule->why != NULL ? ": " : "", rule->why != NULL ? rule->why : "");
            return false;
        }
    }
    return true;
}

/* The limits are the row's own, so that --help and the parser agree. */
static void options_print_limits(const struct tool_option *option, FILE *out)
{
    if (option->kind == TOOL_OPTION_U32 && option->max == UINT32_MAX) {
        fprintf(out, "; %u or more", option->min);
    } else if (option->kind == TOOL_OPTION_U32) {
        fprintf(out, "; %u to %u", option->min, option->max);
    } else if (option->kind == TOOL_OPTION_DOUBLE) {
        fprintf(out, "; at most %u", option->max);
    }
}

void cmdi_tool_options_help(const struct tool_command *command, FILE *out)
{
    fprintf(out, "Usage: %s %s\n\n%s", cmdi_tool_name(), command->usage, command->about);
    if (command->more != NULL) {
        command->more(out);
    }
    fputc('\n', out);
    if (command->option_count > 0) {
        fprintf(out, "Options:\n");
    }
    for (uint32_t i = 0; i < command->option_count; i++) {
        const struct tool_option *option = &command->options[i];
        char left[OPTIONS_NAME_WIDTH * 2];
        snprintf(left, sizeof(left), "--%s%s%s", option->name, option->argument != NULL ? " " : "",
                option->argument != NULL ? option->argument : "");
        fprintf(out, "  %-*s %s", OPTIONS_NAME_WIDTH, left, option->help);
        options_print_limits(option, out);
        fputc('\n', out);
    }
    fprintf(out, "  %-*s this text\n%s%s", OPTIONS_NAME_WIDTH, "--help",
            command->notes != NULL ? "\n" : "", command->notes != NULL ? command->notes : "");
}

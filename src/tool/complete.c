/* SPDX-License-Identifier: MIT */
/*
 * `completion`: what a shell offers when Tab is pressed, from the tables that parse and help.
 *
 * The script that a shell reads is the same for every program but for its name; it asks the program, which
 * so never offers what it does not take.
 */
#include <stdio.h>
#include <string.h>

#include "common.h"
#include "program.h"
#include "rows.h"
#include "types.h"

enum {
    COMPLETE_WORD_MAX = 64,
};

static const struct tool_command complete_command = {
        .usage = "completion bash",
        .about = "Prints what bash completes this program's words with: sub-commands, options, "
                 "their "
                 "values, names of types.\n",
        .notes = "  $ source <(PROGRAM completion bash)\n"
                 "  $ PROGRAM completion bash > "
                 "~/.local/share/bash-completion/completions/PROGRAM\n",
        .positional_min = 1,
        .positional_max = 1,
};

/* In bash: where a file may stand, that is left to bash. */
static const char complete_bash[] =
        "_complete()\n"
        "{\n"
        "    local line word=${COMP_WORDS[COMP_CWORD]}\n"
        "    COMPREPLY=()\n"
        "    while IFS= read -r line; do\n"
        "        if [ \"$line\" = :files ]; then\n"
        "            compopt -o filenames 2>/dev/null\n"
        "            while IFS= read -r line; do COMPREPLY+=(\"$line\"); done < <(compgen -f -- "
        "\"$word\")\n"
        "        elif [[ $line == \"$word\"* ]]; then\n"
        "            COMPREPLY+=(\"$line\")\n"
        "        fi\n"
        "    done < <(\"${COMP_WORDS[0]}\" completion words \"${COMP_WORDS[@]:1:COMP_CWORD}\" "
        "2>/dev/null)\n"
        "}\n";

/* A function's name has no '-' or '.' in every shell. */
static void complete_print_bash(void)
{
    char function[COMPLETE_WORD_MAX];
    const char *name = cmdi_tool_name();
    snprintf(function, sizeof(function), "%s", name);
    for (char *at = function; *at != '\0'; at++) {
        bool plain = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') ||
                     (*at >= '0' && *at <= '9');
        *at = plain ? *at : '_';
    }
    printf("# bash completion for %s: source it, or put it where bash-completion looks.\n_%s%s"
           "complete -F _%s_complete %s\n",
            name, function, complete_bash, function, name);
}

/* --- What may stand there --------------------------------------------------------------------- */

static void complete_types(bool results)
{
    const struct cmds_protocol *protocol = cmdi_tool_program()->protocol;
    for (uint32_t i = 0; i < protocol->command_count; i++) {
        if (results || cmdi_tool_type_is_plain(protocol->commands[i])) {
            puts(cmdi_tool_type_name(protocol->commands[i]));
        }
    }
    for (uint32_t i = 0; results && i < protocol->result_count; i++) {
        puts(cmdi_tool_type_name(protocol->results[i]));
    }
}

/* The words of a list with commas. */
static void complete_list(const char *list)
{
    while (*list != '\0') {
        size_t size = strcspn(list, ",");
        printf("%.*s\n", (int)size, list);
        list += size;
        list += strspn(list, ", ");
    }
}

static void complete_value(const struct tool_option *option)
{
    if (strcmp(option->name, "codec") == 0) {
        complete_list(TOOL_CODEC_NAMES);
    } else if (strcmp(option->argument, "TYPE") == 0) {
        complete_types(false);
    } else if (strcmp(option->argument, "FILE") == 0) {
        puts(":files");
    }
}

/* The words of "call [OPTIONS] ADDRESS TYPE [JSON]" behind the first; `index` counts those that are no option. */
static void complete_positional(const char *usage, int index)
{
    char word[COMPLETE_WORD_MAX];
    const char *at = usage + strcspn(usage, " ");
    while (sscanf(at, " %63s", word) == 1) {
        at += strspn(at, " ");
        at += strcspn(at, " ");
        if (strcmp(word, "[OPTIONS]") == 0 || index-- > 0) {
            continue;
        }
        if (strcmp(word, "TYPE") == 0 || strcmp(word, "[TYPE]") == 0) {
            complete_types(word[0] == '[');
        } else if (strcmp(word, "bash") == 0) {
            puts("bash");
        }
        return;
    }
}

static const struct tool_option *complete_option(
        const struct tool_command *command, const char *word)
{
    for (uint32_t i = 0; strncmp(word, "--", 2) == 0 && i < command->option_count; i++) {
        if (strcmp(word + 2, command->options[i].name) == 0) {
            return &command->options[i];
        }
    }
    return NULL;
}

/* `words` are those behind the sub-command's name; the last is the one that is being typed. */
static void complete_sub(const struct tool_command *command, int count, char **words)
{
    const struct tool_option *wants = NULL; // What the word before wants a value for.
    int positional = 0;
    for (int i = 0; i + 1 < count; i++) {
        const struct tool_option *option =
                wants == NULL ? complete_option(command, words[i]) : NULL;
        positional += wants == NULL && words[i][0] != '-';
        wants = option != NULL && option->argument != NULL ? option : NULL;
    }
    if (wants != NULL) {
        complete_value(wants);
        return;
    }
    if (words[count - 1][0] != '-') {
        complete_positional(command->usage, positional);
        return;
    }
    for (uint32_t i = 0; i < command->option_count; i++) {
        printf("--%s\n", command->options[i].name);
    }
    puts("--help");
}

/* What may follow; `words` are all behind the program's name. */
static int complete_words(int count, char **words)
{
    if (count > 2 && cmdi_tool_program()->load != NULL && strcmp(words[0], "--protocol") == 0) {
        return cmdi_tool_program_with(words[1], complete_words, count - 2, words + 2);
    }
    if (count == 2 && cmdi_tool_program()->load != NULL && strcmp(words[0], "--protocol") == 0) {
        puts(":files");
        return TOOL_EXIT_OK;
    }
    if (count <= 1) {
        for (size_t i = 0; i < cmdi_tool_program()->sub_count; i++) {
            puts(cmdi_tool_program()->subs[i].name);
        }
        puts("help\n--help\n--version");
        fputs(cmdi_tool_program()->load != NULL ? "--protocol\n" : "", stdout);
        return TOOL_EXIT_OK;
    }
    const struct tool_sub *sub = cmdi_tool_program_find(words[0]);
    const struct tool_command *command =
            sub != NULL ? cmdi_tool_options_table(sub->run, sub->name) : NULL;
    if (command != NULL) {
        complete_sub(command, count - 1, words + 1);
    }
    return TOOL_EXIT_OK;
}

int cmdi_tool_completion(int argc, char **argv)
{
    struct tool_line line;
    // The script asks: what follows are not its own options.
    if (argc > 1 && strcmp(argv[1], "words") == 0) {
        return complete_words(argc - 2, argv + 2);
    }
    int status = cmdi_tool_options_parse(&complete_command, argc, argv, NULL, &line);
    if (status != TOOL_PARSED) {
        return status;
    }
    if (strcmp(argv[line.positional], "bash") != 0) {
        cmdi_tool_complain("completion", "for bash alone, not \"%s\"", argv[line.positional]);
        return TOOL_EXIT_USAGE;
    }
    complete_print_bash();
    return TOOL_EXIT_OK;
}

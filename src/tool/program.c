/* SPDX-License-Identifier: MIT */
/* See program.h. */
#include "program.h"

#include <string.h>

#include "common.h"
#include "options.h"

static const struct tool_program *program_now;

const struct tool_program *cmdi_tool_program(void)
{
    return program_now;
}

const struct tool_sub *cmdi_tool_program_find(const char *name)
{
    for (size_t i = 0; i < program_now->sub_count; i++) {
        if (strcmp(name, program_now->subs[i].name) == 0) {
            return &program_now->subs[i];
        }
    }
    return NULL;
}

static int program_overview(FILE *out, int status)
{
    const char *name = program_now->name;
    fprintf(out, "%s %s\n\nUsage: %s COMMAND [OPTIONS]\n", name, program_now->title, name);
    if (program_now->load != NULL) {
        fprintf(out, "       %s --protocol FILE.so COMMAND [OPTIONS]   of a protocol of your own\n",
                name);
    }
    fputc('\n', out);
    for (size_t i = 0; i < program_now->sub_count; i++) {
        fprintf(out, "  %-10s %s\n", program_now->subs[i].name, program_now->subs[i].about);
    }
    fprintf(out, "\n`%s COMMAND --help` has the options; `%s --version` the version.\n%s", name,
            name, program_now->examples);
    return status;
}

static bool program_is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0;
}

static int program_unknown(const char *word)
{
    const char *lead = "; did you mean ";
    fprintf(stderr, "%s: no command \"%s\"", program_now->name, word);
    for (size_t i = 0; i < program_now->sub_count; i++) {
        if (cmdi_tool_resembles(word, program_now->subs[i].name)) {
            fprintf(stderr, "%s%s", lead, program_now->subs[i].name);
            lead = " or ";
        }
    }
    fputs("\n\n", stderr);
    return program_overview(stderr, TOOL_EXIT_USAGE);
}

/* `help COMMAND` is `COMMAND --help`. */
static int program_help(int argc, char **argv)
{
    static char help[] = "--help";
    const struct tool_sub *sub = argc > 2 ? cmdi_tool_program_find(argv[2]) : NULL;
    if (argc > 2 && sub == NULL) {
        return program_unknown(argv[2]);
    }
    if (sub != NULL) {
        char *words[] = {argv[2], help, NULL};
        return sub->run(2, words);
    }
    return program_overview(stdout, TOOL_EXIT_OK);
}

static int program_version(int argc, char **argv)
{
    if (argc > 2) {
        fprintf(stderr, "%s: one argument too many: %s\n", program_now->name, argv[2]);
        return TOOL_EXIT_USAGE;
    }
    if (strcmp(program_now->name, "cmdstream") == 0) {
        printf("cmdstream %s\n", cmds_version());
    } else {
        printf("%s: protocol %s, cmdstream %s\n", program_now->name, program_now->protocol->name,
                cmds_version());
    }
    return TOOL_EXIT_OK;
}

/* "--protocol FILE" and "--protocol=FILE". Returns: the words it takes; 0: it is none. */
static int program_protocol_words(int argc, char **argv, const char **path)
{
    static const char option[] = "--protocol";
    size_t size = sizeof(option) - 1;
    if (argc < 2 || program_now->load == NULL || strncmp(argv[1], option, size) != 0 ||
            (argv[1][size] != '\0' && argv[1][size] != '=')) {
        return 0;
    }
    *path = argv[1][size] == '=' ? argv[1] + size + 1 : argc > 2 ? argv[2] : NULL;
    return argv[1][size] == '=' ? 1 : 2;
}

static int program_run(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "%s: which command?\n\n", program_now->name);
        return program_overview(stderr, TOOL_EXIT_USAGE);
    }
    const struct tool_sub *sub = cmdi_tool_program_find(argv[1]);
    if (sub != NULL) {
        return sub->run(argc - 1, argv + 1);
    }
    if (program_is_help(argv[1])) {
        return program_help(argc, argv);
    }
    return strcmp(argv[1], "--version") == 0 ? program_version(argc, argv)
                                             : program_unknown(argv[1]);
}

/* With --protocol it is another program. Returns: the words to pass; negative: an exit status is told. */
static int program_load(int argc, char **argv)
{
    const char *path = NULL;
    int words = program_protocol_words(argc, argv, &path);
    if (words > 0 && path == NULL) {
        fprintf(stderr, "%s: no value after --protocol\n", program_now->name);
        return -1;
    }
    const struct tool_program *loaded = words > 0 ? program_now->load(path) : program_now;
    if (loaded == NULL) {
        return -1;
    }
    program_now = loaded;
    return words;
}

int cmdi_tool_program_with(
        const char *path, int (*fn)(int count, char **words), int count, char **words)
{
    const struct tool_program *loaded = program_now->load(path);
    if (loaded == NULL) {
        return TOOL_EXIT_USAGE;
    }
    program_now = loaded;
    return fn(count, words);
}

int cmdi_tool_program_main(const struct tool_program *program, int argc, char **argv)
{
    program_now = program;
    cmdi_tool_set_name(program->name);
    cmdi_tool_standard_files();
    int words = program_load(argc, argv);
    return cmdi_tool_finish(words < 0 ? TOOL_EXIT_USAGE : program_run(argc - words, argv + words));
}

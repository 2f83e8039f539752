/* SPDX-License-Identifier: MIT */
/*
 * A program with sub-commands: `cmdstream`, and the tool that cmds_tool_main() makes for somebody's own
 * protocol. Which sub-commands there are, and which protocol `call`, `bench` and `describe` speak, is in
 * one table; help, completion and the search for a name read that.
 */
#ifndef CMDSTREAM_TOOL_PROGRAM_H
#define CMDSTREAM_TOOL_PROGRAM_H

#include <stddef.h>
#include <stdio.h>

#include <cmdstream/schema.h>

#include "name.h"

struct tool_sub {
    const char *name, *about;
    /** `argv[0]` is the sub-command's name. Returns: the exit status. */
    int (*run)(int argc, char **argv);
};

struct tool_program {
    const char *name;
    const char *title; // The first line of what `--help` prints, behind the name and the version.
    const char *examples; // And the last ones. May be "".
    const struct cmds_protocol *protocol;
    // What --help of call says about each type. NULL: it is made of the protocol.
    const char *types;
    const struct tool_sub *subs;
    size_t sub_count;
    // `--protocol FILE` in front of a sub-command: the program that it stands for. NULL: there is no
    // such option. Returns: NULL, and one line on stderr.
    const struct tool_program *(*load)(const char *path);
};

/** Runs one of them, by the command line. Returns: the exit status, and what was printed is out. */
int cmdi_tool_program_main(const struct tool_program *program, int argc, char **argv);
/** The one that runs. */
const struct tool_program *cmdi_tool_program(void);
/** Runs `fn` as the program that `--protocol path` stands for. Returns: what it does, or an exit status. */
int cmdi_tool_program_with(
        const char *path, int (*fn)(int count, char **words), int count, char **words);
/** Of that program. Returns: NULL. */
const struct tool_sub *cmdi_tool_program_find(const char *name);

/** The program of a protocol of one's own: call, bench, describe, completion. `name` is kept. */
struct tool_program cmdi_tool_own_program(const char *name, const struct cmds_protocol *protocol);

#endif

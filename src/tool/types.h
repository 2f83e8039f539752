/* SPDX-License-Identifier: MIT */
/*
 * The types of the protocol that the program speaks, by the names that people type.
 *
 * A type's name is its struct's tag, without the protocol's own name in front of it: `add` of calc_add in
 * the protocol "calc"; nor is "command_" or "result_" part of it. The whole tag is understood as well,
 * and goes before a short name that happens to be the same.
 */
#ifndef CMDSTREAM_TOOL_TYPES_H
#define CMDSTREAM_TOOL_TYPES_H

#include <stdio.h>

#include <cmdstream/schema.h>

/** Static, or of the type. */
const char *cmdi_tool_type_name(const struct cmds_type *type);
/**
 * A command that can be sent by hand: one that its rows describe, and that carries no other.
 *
 * Returns: NULL, and one line on stderr, "cmdstream SUB: ...", that says what may have been meant.
 */
const struct cmds_type *cmdi_tool_type_command(const char *sub, const char *name);
/** One line on stderr: there is no command, or no type at all, of that name, and what may have been meant. */
void cmdi_tool_type_unknown(const char *sub, const char *name, bool results);
/** Can `call` send it? A traced one carries another; one with a descriptor is not described by rows. */
bool cmdi_tool_type_is_plain(const struct cmds_type *type);
/**
 * Fills `value`, zeroed, of value_size bytes, from JSON; says on stderr what is wrong with it, and where.
 *
 * Owner: as cmdi_tool_json_read(). Returns: 0, -EINVAL, -ENOMEM.
 */
struct tool_memory;
int cmdi_tool_type_read(const char *sub, const struct cmds_type *type, struct cmds_string json,
        struct tool_memory *memory, void *value);
/** For --help: each command, with an example. */
void cmdi_tool_types_list(FILE *out);

#endif

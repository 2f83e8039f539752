/* SPDX-License-Identifier: MIT */
/* What the program calls itself in its sentences. */
#ifndef CMDSTREAM_TOOL_NAME_H
#define CMDSTREAM_TOOL_NAME_H

/** "cmdstream", until it is set. */
const char *cmdi_tool_name(void);
/** Owner: keeps `name`. Before any thread is started. */
void cmdi_tool_set_name(const char *name);
/** One line on stderr: "cmdstream call: ...". */
void cmdi_tool_complain(const char *command, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

#endif

/* SPDX-License-Identifier: MIT */
/* See name.h. */
#include "name.h"

#include <stdarg.h>
#include <stdio.h>

static const char *name_text = "cmdstream";

const char *cmdi_tool_name(void)
{
    return name_text;
}

void cmdi_tool_set_name(const char *name)
{
    name_text = name;
}

void cmdi_tool_complain(const char *command, const char *format, ...)
{
    char line[2048]; // Written at once: other processes may write to the same terminal.
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    fprintf(stderr, "%s %s: %s\n", name_text, command, line);
}

/* SPDX-License-Identifier: MIT */
/* `cmdstream --protocol FILE.so`: a protocol that a shared object exports. */
#ifndef CMDSTREAM_TOOL_LOAD_H
#define CMDSTREAM_TOOL_LOAD_H

#include "program.h"

/**
 * For tool_program.load. The file is opened as it is named, never looked for: a name without a '/' is
 * refused, since it would mean a library path to the one and this folder to the other.
 *
 * Owner:   static; the object stays loaded.
 * Returns: NULL, and one line on stderr.
 */
const struct tool_program *tool_load(const char *path);

#endif

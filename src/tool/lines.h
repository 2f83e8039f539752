/* SPDX-License-Identifier: MIT */
/* Lines of a file descriptor, without blocking where something else is to be done meanwhile. */
#ifndef CMDSTREAM_TOOL_LINES_H
#define CMDSTREAM_TOOL_LINES_H

#include <stdbool.h>
#include <stdint.h>

#include <cmdstream/base.h>

enum {
    TOOL_LINE_MAX = 256 << 20, // Bytes. What is longer is no command.
};

/** Start from {.fd = ...}, all else zero. */
struct tool_lines {
    int fd;
    char *data;
    size_t begin, end, room; // Bytes from begin to end have been read and not given.
    size_t seen;             // Of these, those in which there is no end of a line.
    uint64_t number;         // Of the line that was given last; the first one is 1.
    bool over;               // Nothing more can be read.
};

/**
 * The next line, without its end; empty ones are passed. Reads only what is there, unless `may_block`.
 *
 * Owner:   *line lives until the next call.
 * Returns: 1; 0: none yet; CMDS_E_EOF: none any more; CMDS_E_LIMIT: a line too long; -ENOMEM; of read().
 */
int cmdi_tool_lines_next(struct tool_lines *lines, bool may_block, struct cmds_string *line);
/** Leaves the descriptor. */
void cmdi_tool_lines_free(struct tool_lines *lines);

#endif

/* SPDX-License-Identifier: MIT */
/* Of `stats`, what `top` does as well. */
#ifndef CMDSTREAM_TOOL_STATS_H
#define CMDSTREAM_TOOL_STATS_H

#include <stdbool.h>

#define TOOL_STATS_EVERY_MIN 0.01

/**
 * Is it written as an address? `name`: the sub-command's. Returns: false, and a line on stderr says how one is
 * written.
 */
bool tool_stats_takes(const char *name, const char *address);
/** A row every so many seconds, until the service is gone or stdout. `name`: the sub-command's. Returns: the exit status. */
int tool_stats_rows(const char *name, const char *address, double every);

#endif

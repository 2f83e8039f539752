/* SPDX-License-Identifier: MIT */
/* What `stats` and `top` share: a service that is read again and again. */
#ifndef CMDSTREAM_TOOL_WATCH_H
#define CMDSTREAM_TOOL_WATCH_H

#include "figures.h"
#include "http.h"

/** The newest reading of a service, and when it was taken. Zeroed: there is none. */
struct tool_watch {
    const char *address;
    json_t *last;
    uint64_t last_ns;
};

/**
 * GETs one page. Returns: 0; negative, and `why` (TOOL_HTTP_TEXT_SIZE bytes) says why, also of a status that is not
 * 200; -ENOENT: there is no such page.
 */
int tool_watch_get(const struct tool_watch *watch, struct tool_http *answer, const char *path,
        const char *accept, char *why);
/**
 * Reads once more. Gives: *figures, of what was between, if *is_made: not so the first time.
 * Returns: 0; negative, and `why`; then the reading before is still the last.
 */
int tool_watch_read(
        struct tool_watch *watch, struct tool_figures *figures, bool *is_made, char *why);
void tool_watch_end(struct tool_watch *watch);

extern const char tool_watch_json[]; // The page that is read.

#endif

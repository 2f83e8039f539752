/* SPDX-License-Identifier: MIT */
/* See watch.h. */
#include "watch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"

const char tool_watch_json[] = "/metrics?format=json&by=shard";

/* The first line of what an HTTP server says, as text. */
static void watch_refused(const struct tool_http *answer, const char *path, char *why)
{
    size_t size = strcspn(answer->body, "\r\n");
    size = size < TOOL_HTTP_TEXT_SIZE / 2 ? size : TOOL_HTTP_TEXT_SIZE / 2;
    int end = snprintf(why, TOOL_HTTP_TEXT_SIZE, "GET %.60s: %d: %.*s", path, answer->status,
            (int)size, answer->body);
    for (int i = 0; i < end && i < TOOL_HTTP_TEXT_SIZE - 1; i++) {
        why[i] = why[i] >= ' ' && why[i] <= '~' ? why[i] : '?';
    }
}

int tool_watch_get(const struct tool_watch *watch, struct tool_http *answer, const char *path,
        const char *accept, char *why)
{
    int code = tool_http_get(answer, watch->address, path, accept, why);
    if (code == 0 && answer->status != 200) {
        watch_refused(answer, path, why);
        code = answer->status == 404 ? -ENOENT : -EPROTO;
        tool_http_free(answer);
    }
    return code;
}

int tool_watch_read(
        struct tool_watch *watch, struct tool_figures *figures, bool *is_made, char *why)
{
    struct tool_http answer = {0};
    *is_made = false;
    int code = tool_watch_get(watch, &answer, tool_watch_json, "application/json", why);
    if (code < 0) {
        return code;
    }
    uint64_t now_ns = cmdi_tool_now_ns();
    json_t *now = tool_figures_parse(answer.body, answer.body_size, why);
    tool_http_free(&answer);
    if (now == NULL) {
        return -EPROTO;
    }
    if (watch->last != NULL) {
        code = tool_figures_make(figures, watch->last, now, (double)(now_ns - watch->last_ns) / 1e9,
                cmdi_tool_wall_s());
        *is_made = code == 0;
    }
    json_decref(watch->last);
    watch->last = now;
    watch->last_ns = now_ns;
    if (code < 0) {
        (void)snprintf(why, TOOL_HTTP_TEXT_SIZE, "%s", strerror(-code));
    }
    return code;
}

void tool_watch_end(struct tool_watch *watch)
{
    json_decref(watch->last);
    watch->last = NULL;
}

/* SPDX-License-Identifier: MIT */
/*
 * One GET over HTTP, as `stats` and `top` need it of cmdstream_admin: from a UNIX socket or a port, no
 * TLS, no redirections. The program stands on public headers of this library and little else, so it is
 * these lines rather than libcurl. The other side is not trusted: what it sends is bounded, and so is the
 * time.
 */
#ifndef CMDSTREAM_TOOL_HTTP_H
#define CMDSTREAM_TOOL_HTTP_H

#include <stddef.h>
#include <stdint.h>

enum {
    TOOL_HTTP_SIZE_MAX = 64 * 1024 * 1024,
    TOOL_HTTP_TIMEOUT_MS = 5000, // Of all of it.
    TOOL_HTTP_TEXT_SIZE = 256,
};

/** What has come, as malloc'ed bytes with a NUL behind them. */
struct tool_http {
    int status; // 200
    char *body; // In `data`.
    size_t body_size;
    char *data;
};

/**
 * `address`: "unix:PATH", "HOST:PORT", "[::1]:PORT", each perhaps behind "http://". `accept`: the media
 * type that is asked for.
 *
 * Owner:   gives *answer: tool_http_free().
 * Returns: 0, whatever the status; -errno, and `text` (TOOL_HTTP_TEXT_SIZE bytes) says why, in words that
 *          name the address.
 */
int tool_http_get(struct tool_http *answer, const char *address, const char *path,
        const char *accept, char *text);
/**
 * Is it written as an address, whoever may listen there? Returns: 0; -EINVAL, and `text` says how one is written.
 */
int tool_http_check(const char *address, char *text);
/** A zeroed one is fine. */
void tool_http_free(struct tool_http *answer);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * What a program waits for, said on stderr once a second from the first second on.
 *
 * A thread of its own says it, because the wait is inside a call that blocks; there is none where
 * nothing is shown. On a terminal it is one line, which goes away with the wait.
 */
#ifndef CMDSTREAM_TOOL_WAIT_H
#define CMDSTREAM_TOOL_WAIT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct tool_wait {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    const char *text; // "connecting to 127.0.0.1:9000"
    uint32_t limit_s; // 0: none that is known.
    bool shown;       // There is a thread.
    bool over;
};

/** Is stderr a terminal? Else a line a second would only fill a log. */
bool cmdi_tool_wait_is_seen(void);
/**
 * Owner:   keeps `text` until cmdi_tool_wait_end(), which every begin needs.
 * limit_ms, after which the wait ends by itself, is printed; UINT32_MAX: none. Nothing happens unless
 * `shown`.
 */
void cmdi_tool_wait_begin(struct tool_wait *wait, bool shown, const char *text, uint32_t limit_ms);
/** No line comes after it. A second call, or one of a zeroed struct, does nothing. */
void cmdi_tool_wait_end(struct tool_wait *wait);

#endif

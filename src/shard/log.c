/* SPDX-License-Identifier: MIT */
/*
 * The shard's log, which is bounded by time, and a sink for it that waits for nobody.
 *
 * The reader of stderr may be gone, or stopped, while the pipe to it is full; a shard that waited
 * there would be lost, and with it all its connections. So a line is written as a whole or not at all.
 * The lock is held for two system calls that do not wait.
 */
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmdstream/runtime.h>

#include "base/assert.h"
#include "base/text.h"
#include "base/time.h"
#include "ring/output.h"
#include "shard/shard.h"

enum {
    LOG_LINE_MAX = 1024,
    LOG_NOTE_MAX = 64, // Of it, for what was dropped.
};
_Static_assert(LOG_LINE_MAX <= PIPE_BUF, "a line is written as a whole");

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned long long log_dropped; // Since the last line that went. Under the lock.

void cmds_log_stderr(void *context, enum cmds_log_level level, const char *text)
{
    const enum cmds_log_level *least = context;
    char line[LOG_LINE_MAX];
    if (level < (least != NULL ? *least : CMDS_LOG_WARN)) {
        return;
    }
    size_t size = strnlen(text, LOG_LINE_MAX - LOG_NOTE_MAX);
    memcpy(line, text, size);
    pthread_mutex_lock(&log_lock);
    if (log_dropped > 0) {
        size += (size_t)snprintf(
                line + size, LOG_NOTE_MAX, " (%llu lines before it were dropped)", log_dropped);
    }
    line[size++] = '\n';
    bool gone = cmdi_write_now(STDERR_FILENO, line, size) == 0;
    log_dropped = gone ? 0 : log_dropped + 1;
    pthread_mutex_unlock(&log_lock);
}

void cmdi_shard_log(struct cmdi_shard *shard, enum cmdi_log_reason reason,
        enum cmds_log_level level, const char *format, ...)
{
    CMDI_ASSERT((uint32_t)reason < sizeof(shard->log_second) / sizeof(shard->log_second[0]));
    if (shard->options.log == NULL || shard->options.log->fn == NULL) {
        return;
    }
    uint64_t second = shard->now_ms / CMDI_MS_PER_S + 1;
    if (shard->log_second[reason] == second) {
        shard->log_count[reason]++;
        return;
    }
    shard->log_second[reason] = second;
    char text[512];
    va_list list;
    va_start(list, format);
    int size = vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    if (shard->log_count[reason] > 0 && size >= 0 && (size_t)size < sizeof(text)) {
        (void)snprintf(text + size, sizeof(text) - (size_t)size, " (and %u more like it)",
                shard->log_count[reason]);
        shard->log_count[reason] = 0;
    }
    cmdi_text_defuse(text); // Nothing that a peer sent may move the reader's cursor.
    shard->options.log->fn(shard->options.log->context, level, text);
}

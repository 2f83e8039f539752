/* SPDX-License-Identifier: MIT */
/* What an exporter says: at most one line a second. The exporter's thread. */
#ifndef CMDI_OTEL_LOG_H
#define CMDI_OTEL_LOG_H

#include <cmdstream/runtime.h>

struct cmdi_otel_log {
    void (*on_log)(void *context, enum cmds_log_level level, const char *text); // May be NULL.
    void *context;
    uint64_t next_ms;  // No line before.
    uint64_t left_out; // Since the last line.
};

/** One line, without control characters. The next one says how many were left out. Returns: it was written. */
bool cmdi_otel_say(struct cmdi_otel_log *log, uint64_t now_ms, enum cmds_log_level level,
        const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif

/* SPDX-License-Identifier: MIT */
/* See log.h. */
#include "otel/log.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/text.h"
#include "base/time.h"

bool cmdi_otel_say(struct cmdi_otel_log *log, uint64_t now_ms, enum cmds_log_level level,
        const char *format, ...)
{
    if (log->on_log == NULL) {
        return false;
    }
    if (now_ms < log->next_ms) {
        log->left_out++;
        return false;
    }
    char text[512];
    va_list list;
    va_start(list, format);
    int size = vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    if (log->left_out > 0 && size >= 0 && (size_t)size < sizeof(text)) {
        (void)snprintf(text + size, sizeof(text) - (size_t)size, " (%llu lines were left out)",
                (unsigned long long)log->left_out);
    }
    cmdi_text_defuse(text);
    log->left_out = 0;
    log->next_ms = now_ms + CMDI_MS_PER_S;
    log->on_log(log->context, level, text);
    return true;
}

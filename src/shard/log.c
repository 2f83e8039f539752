/* SPDX-License-Identifier: MIT */
/* The shard's log, which is bounded by time: see cmdi_shard_log(). Where it goes: sinks.c. */
#include <stdarg.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/text.h"
#include "base/time.h"
#include "ring/clock.h"
#include "shard/shard.h"

enum {
    LOG_TEXT_MAX = 512,
};

/* May such a line be written? One that nobody wants is not counted among those that were left out. */
static bool log_may(struct cmdi_shard *shard, uint32_t reason, uint32_t level)
{
    const struct cmdi_log *log = shard->options.log;
    CMDI_ASSERT(reason < CMDI_LOG_REASONS);
    if (log == NULL || (log->fn == NULL && log->on_record == NULL) ||
            level < atomic_load_explicit(&log->least, memory_order_relaxed)) {
        return false;
    }
    uint64_t second = shard->now_ms / CMDI_MS_PER_S + 1;
    if (shard->log_second[reason] == second) {
        shard->log_count[reason]++;
        return false;
    }
    shard->log_second[reason] = second;
    return true;
}

static void log_write(struct cmdi_shard *shard, const struct cmds_log_record *about,
        const char *format, va_list list)
{
    const struct cmdi_log *log = shard->options.log;
    char text[LOG_TEXT_MAX];
    int size = vsnprintf(text, sizeof(text), format, list);
    cmdi_text_defuse(text); // Nothing that a peer sent may move the reader's cursor.
    struct cmds_log_record record = *about;
    record.struct_size = sizeof(record);
    record.shard = (uint16_t)shard->index;
    record.left_out = shard->log_count[about->reason];
    record.time_ns = cmdi_wall_ns();
    record.text = text;
    shard->log_count[about->reason] = 0;
    if (log->on_record != NULL) {
        log->on_record(log->record_context, &record);
    }
    if (record.left_out > 0 && size >= 0 && (size_t)size < sizeof(text)) {
        (void)snprintf(text + size, sizeof(text) - (size_t)size, " (and %u more like it)",
                record.left_out);
    }
    if (log->fn != NULL) {
        log->fn(log->context, about->level, text);
    }
}

void cmdi_shard_log(struct cmdi_shard *shard, enum cmds_log_reason reason,
        enum cmds_log_level level, const char *format, ...)
{
    if (log_may(shard, reason, level)) {
        const struct cmds_log_record about = {.level = (uint8_t)level, .reason = (uint8_t)reason};
        va_list list;
        va_start(list, format);
        log_write(shard, &about, format, list);
        va_end(list);
    }
}

void cmdi_shard_log_about(
        struct cmdi_shard *shard, const struct cmds_log_record *about, const char *format, ...)
{
    if (log_may(shard, about->reason, about->level)) {
        va_list list;
        va_start(list, format);
        log_write(shard, about, format, list);
        va_end(list);
    }
}

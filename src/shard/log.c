/* SPDX-License-Identifier: MIT */
/*
 * The shard's log, which is bounded by time: see cmdi_shard_log(); and a program's own lines, which are
 * not. Where they go: sinks.c.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/text.h"
#include "base/time.h"
#include "ring/clock.h"
#include "shard/runtime.h"
#include "shard/shard.h"

enum {
    LOG_TEXT_MAX = 512,
};

static bool log_wants(const struct cmdi_log *log, uint32_t level)
{
    return (log->fn != NULL || log->on_record != NULL) &&
           level >= atomic_load_explicit(&log->least, memory_order_relaxed);
}

/* May such a line be written? One that nobody wants is not counted among those that were left out. */
static bool log_may(struct cmdi_shard *shard, uint32_t reason, uint32_t level)
{
    const struct cmdi_log *log = shard->options.log;
    CMDI_ASSERT(reason < CMDI_LOG_REASONS);
    if (log == NULL || !log_wants(log, level)) {
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

static void log_hand_out(
        const struct cmdi_log *log, struct cmds_log_record *record, char text[LOG_TEXT_MAX])
{
    cmdi_text_defuse(text); // Nothing that a peer sent may move the reader's cursor.
    record->struct_size = sizeof(*record);
    record->time_ns = cmdi_wall_ns();
    record->text = text;
    if (log->on_record != NULL) {
        log->on_record(log->record_context, record);
    }
    if (record->left_out > 0) {
        size_t size = strlen(text);
        (void)snprintf(
                text + size, LOG_TEXT_MAX - size, " (and %u more like it)", record->left_out);
    }
    if (log->fn != NULL) {
        log->fn(log->context, record->level, text);
    }
}

static void log_write(struct cmdi_shard *shard, const struct cmds_log_record *about,
        const char *format, va_list list)
{
    char text[LOG_TEXT_MAX];
    struct cmds_log_record record = *about;
    (void)vsnprintf(text, sizeof(text), format, list);
    record.shard = (uint16_t)shard->index;
    record.left_out = shard->log_count[about->reason];
    shard->log_count[about->reason] = 0;
    log_hand_out(shard->options.log, &record, text);
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

/* --- Of a program ----------------------------------------------------------------------------- */

int cmds_runtime_log(struct cmds_runtime *runtime, const struct cmds_log_record *theirs)
{
    size_t least_size = offsetof(struct cmds_log_record, text) + sizeof(theirs->text);
    if (theirs == NULL || theirs->struct_size < least_size || theirs->text == NULL ||
            theirs->level > CMDS_LOG_ERROR) {
        return -EINVAL;
    }
    if (cmdi_runtime_is_foreign(runtime)) {
        return CMDS_E_FORKED; // Its sinks may have been in the middle of a line.
    }
    if (log_wants(&runtime->log, theirs->level)) {
        char text[LOG_TEXT_MAX];
        struct cmds_log_record record = {0};
        size_t size = theirs->struct_size;
        memcpy(&record, theirs, size < sizeof(record) ? size : sizeof(record));
        (void)snprintf(text, sizeof(text), "%s", theirs->text);
        record.left_out = 0;
        log_hand_out(&runtime->log, &record, text);
    }
    return 0;
}

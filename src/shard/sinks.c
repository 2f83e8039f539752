/* SPDX-License-Identifier: MIT */
/*
 * Sinks for a log that wait for nobody: see <cmdstream/log.h>.
 *
 * The reader of stderr may be gone, or stopped, while the pipe to it is full; a shard that waited
 * there would be lost, and with it all its connections. So a line is written as a whole or not at all.
 * The lock is held for as long as it takes to write a line down, and for two system calls that do not
 * wait.
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmdstream/log.h>

#include "base/text.h"
#include "base/time.h"
#include "ring/output.h"
#include "shard/sinks.h"

enum {
    SINK_LINE_MAX = 4096,
    SINK_STDERR_MAX = 1024, // Of text.
    SINK_NOTE_MAX = 64,     // Of it, for what was dropped.
    SINK_BODY_MAX = 700,    // In JSON up to two bytes each.
    SINK_NAME_MAX = 128,    // Of a peer, of a type; the same.
};
_Static_assert(SINK_LINE_MAX <= PIPE_BUF, "a line is written as a whole");
_Static_assert(
        2 * (SINK_BODY_MAX + 2 * SINK_NAME_MAX) + 900 < SINK_LINE_MAX, "the longest has room");

static pthread_mutex_t sink_lock = PTHREAD_MUTEX_INITIALIZER;
// Lines, since the last one that was written. Under the lock.
static unsigned long long sink_dropped;

void cmdi_sinks_in_child(void)
{
    (void)pthread_mutex_init(&sink_lock, NULL); // Cannot fail with default attributes on Linux.
}

static bool sink_wants(const void *context, uint32_t level)
{
    const enum cmds_log_level *least = context;
    return level >= (uint32_t)(least != NULL ? *least : CMDS_LOG_WARN);
}

/* syslog's: debug 7, info 6, warning 4, error 3. */
static int sink_priority(uint32_t level)
{
    static const uint8_t priorities[] = {7, 6, 4, 3};
    return priorities[level <= CMDS_LOG_ERROR ? level : CMDS_LOG_ERROR];
}

/* Under the lock. */
static void sink_to_stderr(const char *line, size_t size)
{
    bool is_written = cmdi_write_now(STDERR_FILENO, line, size) == 0;
    sink_dropped = is_written ? 0 : sink_dropped + 1;
}

void cmds_log_stderr(void *context, enum cmds_log_level level, const char *text)
{
    char line[SINK_STDERR_MAX];
    size_t size = 0;
    if (!sink_wants(context, level)) {
        return;
    }
    if (cmdi_is_journal(STDERR_FILENO)) {
        size = (size_t)snprintf(line, SINK_NOTE_MAX, "<%d>", sink_priority(level));
    }
    size_t text_size = strnlen(text, SINK_STDERR_MAX - SINK_NOTE_MAX - size);
    memcpy(line + size, text, text_size);
    size += text_size;
    pthread_mutex_lock(&sink_lock);
    if (sink_dropped > 0) {
        size += (size_t)snprintf(
                line + size, SINK_NOTE_MAX, " (%llu lines before it were dropped)", sink_dropped);
    }
    line[size++] = '\n';
    sink_to_stderr(line, size);
    pthread_mutex_unlock(&sink_lock);
}

/* --- What a line is written into -------------------------------------------------------------- */

struct sink_line {
    char text[SINK_LINE_MAX];
    size_t size;
};

static void line_put(struct sink_line *line, const char *format, ...)
        __attribute__((format(printf, 2, 3)));
static void line_put(struct sink_line *line, const char *format, ...)
{
    size_t room = sizeof(line->text) - line->size;
    va_list list;
    va_start(list, format);
    int size = vsnprintf(line->text + line->size, room, format, list);
    va_end(list);
    line->size += size > 0 && (size_t)size < room ? (size_t)size : 0; // Too long: as if not there.
}

static void line_put_byte(struct sink_line *line, char byte)
{
    if (line->size < sizeof(line->text)) {
        line->text[line->size++] = byte;
    }
}

static void line_put_hex(struct sink_line *line, const uint8_t *id, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        line_put(line, "%02x", id[i]);
    }
}

static bool line_has_id(const uint8_t *id, size_t size)
{
    uint8_t any = 0;
    for (size_t i = 0; i < size; i++) {
        any |= id[i];
    }
    return any != 0;
}

/* A record of a program that knows an older or a newer one. */
static struct cmds_log_record sink_take(const struct cmds_log_record *theirs)
{
    struct cmds_log_record mine = {0};
    memcpy(&mine, theirs, theirs->struct_size < sizeof(mine) ? theirs->struct_size : sizeof(mine));
    mine.text = mine.text != NULL ? mine.text : "";
    return mine;
}

/* --- JSON ------------------------------------------------------------------------------------- */

/* Of the character that begins here in UTF-8; 0: none does. Texts end with a zero, which ends it. */
static size_t json_character(const unsigned char *at)
{
    size_t size = at[0] < 0x80 ? 1 : at[0] < 0xc2 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
    if (at[0] > 0xf4) {
        return 0;
    }
    for (size_t i = 1; i < size; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    bool is_long = (at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xf0 && at[1] < 0x90);
    bool is_none = (at[0] == 0xed && at[1] > 0x9f) || (at[0] == 0xf4 && at[1] > 0x8f);
    return is_long || is_none ? 0 : size;
}

/* At most `most` bytes of it; what is no UTF-8, and what controls a terminal, becomes '?'. */
static void json_put_text(struct sink_line *line, const char *text, size_t most)
{
    const unsigned char *at = (const void *)text;
    const unsigned char *end = at + strnlen(text, most);
    line_put_byte(line, '"');
    while (at < end) {
        size_t size = json_character(at);
        if (size > 1 && size <= (size_t)(end - at)) {
            for (size_t i = 0; i < size; i++) {
                line_put_byte(line, (char)at[i]);
            }
        } else {
            size = 1;
            char byte = *at < 0x80 ? cmdi_char_defuse((char)*at) : '?';
            if (byte == '"' || byte == '\\') {
                line_put_byte(line, '\\');
            }
            line_put_byte(line, byte);
        }
        at += size;
    }
    line_put_byte(line, '"');
}

/* "2026-11-27T11:13:53.000000001Z" */
static void json_put_time(struct sink_line *line, uint64_t time_ns)
{
    uint64_t seconds = time_ns / CMDI_NS_PER_S;
    // Years begin on the first of March, so that a leap day ends one. 1970-01-01 is day 719468 since
    // the first of March of the year 0. 400 years have 146097 days.
    uint64_t day = seconds / 86400 + 719468;
    uint64_t of_era = day % 146097;
    uint64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    uint64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint64_t month_from_march = (5 * of_year + 2) / 153;
    uint64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    uint64_t year = day / 146097 * 400 + year_of_era + (month <= 2);
    line_put(line, "\"%04u-%02u-%02uT%02u:%02u:%02u.%09uZ\"", (unsigned)year, (unsigned)month,
            (unsigned)(of_year - (153 * month_from_march + 2) / 5 + 1),
            (unsigned)(seconds / 3600 % 24), (unsigned)(seconds / 60 % 60),
            (unsigned)(seconds % 60), (unsigned)(time_ns % CMDI_NS_PER_S));
}

/* The port of "192.0.2.1:40022" and "[::1]:40022"; NULL: it has none, as "unix:/run/x". */
static const char *json_port(const char *peer)
{
    const char *colon = strrchr(peer, ':');
    bool is_number = colon != NULL && colon[1] != '\0' && strspn(colon + 1, "0123456789") <= 5 &&
                     colon[1 + strspn(colon + 1, "0123456789")] == '\0';
    return is_number && strncmp(peer, "unix:", 5) != 0 ? colon + 1 : NULL;
}

static void json_put_peer(struct sink_line *line, const char *peer)
{
    const char *port = json_port(peer);
    bool bracketed = port != NULL && peer[0] == '[' && port - peer > 3;
    const char *first = bracketed ? peer + 1 : peer;
    const char *last = port == NULL ? NULL : bracketed ? port - 2 : port - 1;
    size_t size = last != NULL ? (size_t)(last - first) : SINK_NAME_MAX;
    line_put(line, ",\"network.peer.address\":");
    json_put_text(line, first, size < SINK_NAME_MAX ? size : SINK_NAME_MAX);
    if (port != NULL) {
        line_put(line, ",\"network.peer.port\":%d", (int)strtol(port, NULL, 10));
    }
}

static void json_put_attributes(struct sink_line *line, const struct cmds_log_record *record)
{
    line_put(line, "\"cmdstream.reason\":\"%s\"", cmds_log_reason_name(record->reason));
    if (record->shard != CMDS_NO_SHARD) {
        line_put(line, ",\"cmdstream.shard\":%u", record->shard);
    }
    if (record->connection != 0) {
        line_put(line, ",\"cmdstream.connection\":%llu", (unsigned long long)record->connection);
    }
    if (record->peer != NULL) {
        json_put_peer(line, record->peer);
    }
    if (record->type != NULL) {
        line_put(line, ",\"cmd-stream.command.type\":");
        json_put_text(line, record->type, SINK_NAME_MAX);
        line_put(line, ",\"cmd-stream.command.seq\":%llu", (unsigned long long)record->sequence);
    }
    if (record->code != 0) {
        line_put(line, ",\"error.type\":\"%s\"", cmds_error_name(record->code));
    }
    if (record->left_out > 0) {
        line_put(line, ",\"cmdstream.left_out\":%u", record->left_out);
    }
}

void cmds_log_json(void *context, const struct cmds_log_record *theirs)
{
    static const char *const names[] = {
#define CMDI_X_(constant, word) #constant,
            CMDS_LOG_LEVELS(CMDI_X_)
#undef CMDI_X_
    };
    const struct cmds_log_record record = sink_take(theirs);
    uint32_t level = record.level <= CMDS_LOG_ERROR ? record.level : CMDS_LOG_ERROR;
    struct sink_line line = {.size = 0};
    if (!sink_wants(context, level)) {
        return;
    }
    line_put(&line, "{\"timestamp\":");
    json_put_time(&line, record.time_ns);
    line_put(&line, ",\"severity_text\":\"%s\",\"severity_number\":%u,\"body\":", names[level],
            5 + 4 * level);
    json_put_text(&line, record.text, SINK_BODY_MAX);
    line_put(&line, ",\"attributes\":{");
    json_put_attributes(&line, &record);
    pthread_mutex_lock(&sink_lock);
    if (sink_dropped > 0) {
        line_put(&line, ",\"cmdstream.dropped\":%llu", sink_dropped);
    }
    line_put_byte(&line, '}');
    if (line_has_id(record.trace_id, sizeof(record.trace_id))) {
        line_put(&line, ",\"trace_id\":\"");
        line_put_hex(&line, record.trace_id, sizeof(record.trace_id));
        line_put(&line, "\",\"span_id\":\"");
        line_put_hex(&line, record.span_id, sizeof(record.span_id));
        line_put_byte(&line, '"');
    }
    line_put(&line, "}\n");
    sink_to_stderr(line.text, line.size);
    pthread_mutex_unlock(&sink_lock);
}

/* --- The journal ------------------------------------------------------------------------------ */

const char *cmdi_log_journal_path = "/run/systemd/journal/socket";

/* NAME=value in a line: a value has no line's end in it. */
static void journal_put(struct sink_line *line, const char *name, const char *value, size_t most)
{
    size_t size = strnlen(value, most);
    line_put(line, "%s=", name);
    for (size_t i = 0; i < size; i++) {
        line_put_byte(line, cmdi_char_defuse(value[i]));
    }
    line_put_byte(line, '\n');
}

static void journal_put_record(struct sink_line *line, const struct cmds_log_record *record)
{
    line_put(line, "PRIORITY=%d\nCMDSTREAM_REASON=%s\n", sink_priority(record->level),
            cmds_log_reason_name(record->reason));
    if (record->shard != CMDS_NO_SHARD) {
        line_put(line, "CMDSTREAM_SHARD=%u\n", record->shard);
    }
    journal_put(line, "MESSAGE", record->text, SINK_BODY_MAX);
    if (record->connection != 0) {
        line_put(line, "CMDSTREAM_CONNECTION=%llu\n", (unsigned long long)record->connection);
    }
    if (record->peer != NULL) {
        journal_put(line, "CMDSTREAM_PEER", record->peer, SINK_NAME_MAX);
    }
    if (record->type != NULL) {
        journal_put(line, "CMDSTREAM_TYPE", record->type, SINK_NAME_MAX);
        line_put(line, "CMDSTREAM_SEQUENCE=%llu\n", (unsigned long long)record->sequence);
    }
    if (record->code != 0) {
        line_put(line, "CMDSTREAM_CODE=%s\n", cmds_error_name(record->code));
    }
    if (record->left_out > 0) {
        line_put(line, "CMDSTREAM_LEFT_OUT=%u\n", record->left_out);
    }
    if (line_has_id(record->trace_id, sizeof(record->trace_id))) {
        line_put(line, "TRACE_ID=");
        line_put_hex(line, record->trace_id, sizeof(record->trace_id));
        line_put(line, "\nSPAN_ID=");
        line_put_hex(line, record->span_id, sizeof(record->span_id));
        line_put_byte(line, '\n');
    }
}

void cmds_log_journal(void *context, const struct cmds_log_record *theirs)
{
    const struct cmds_log_record record = sink_take(theirs);
    struct sink_line line = {.size = 0};
    if (!sink_wants(context, record.level)) {
        return;
    }
    journal_put_record(&line, &record);
    if (cmdi_datagram_now(cmdi_log_journal_path, line.text, line.size) < 0) {
        cmds_log_stderr(context, record.level, record.text);
    }
}

/* --- Names ------------------------------------------------------------------------------------ */

static const char *const level_words[] = {
#define CMDI_X_(constant, word) word,
        CMDS_LOG_LEVELS(CMDI_X_)
#undef CMDI_X_
};
enum {
    LEVELS = sizeof(level_words) / sizeof(level_words[0]),
};

const char *cmds_log_level_name(uint32_t level)
{
    return level < LEVELS ? level_words[level] : "other";
}

int cmds_log_level_from(enum cmds_log_level *level, const char *word)
{
    if (level == NULL || word == NULL) {
        return -EINVAL;
    }
    word = strcmp(word, "warning") == 0 ? "warn" : word; // As syslog has it, and many a program.
    for (uint32_t i = 0; i < LEVELS; i++) {
        if (strcmp(word, level_words[i]) == 0) {
            *level = (enum cmds_log_level)i;
            return 0;
        }
    }
    return -EINVAL;
}

const char *cmds_log_reason_name(uint8_t reason)
{
    static const char *const names[] = {
#define CMDI_X_(constant, name, text) name,
            CMDS_LOG_REASONS(CMDI_X_)
#undef CMDI_X_
    };
    return names[reason < sizeof(names) / sizeof(names[0]) ? reason : CMDS_REASON_OTHER];
}

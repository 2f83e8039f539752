/* SPDX-License-Identifier: MIT */
/*
 * What a runtime has to say: records, and places to write them to.
 *
 * A line is about one thing that happened to a connection, a command or a shard, or that somebody changed. Of
 * each reason a shard writes at most one line a second; the next one says how many were left out. So a peer cannot
 * fill a disk, and a log is no count: telemetry.h counts. What a program writes by cmds_runtime_log() is not bounded.
 *
 * cmds_runtime_options.on_record gets records, on_log the text alone. The functions below are for these
 * two; they never wait and never allocate.
 */
#ifndef CMDSTREAM_LOG_H
#define CMDSTREAM_LOG_H

#include <cmdstream/base.h>

CMDS_BEGIN_

/** X_(constant, word), the least first. OpenTelemetry's severity_text is the constant. */
#define CMDS_LOG_LEVELS(X_)                                                                        \
    X_(DEBUG, "debug")                                                                             \
    X_(INFO, "info")                                                                               \
    X_(WARN, "warn")                                                                               \
    X_(ERROR, "error")

enum cmds_log_level {
#define CMDS_X_(constant, word) CMDS_LOG_##constant,
    CMDS_LOG_LEVELS(CMDS_X_)
#undef CMDS_X_
};

/** X_(constant, name, what happened) */
#define CMDS_LOG_REASONS(X_)                                                                       \
    X_(OTHER, "other", "anything else")                                                            \
    X_(PROTO, "protocol", "a peer broke the protocol or a limit")                                  \
    X_(TLS, "tls", "a handshake or a record of TLS failed")                                        \
    X_(ACCEPT, "accept", "the kernel gave no connection")                                          \
    X_(REFUSED, "refused", "connection_count_max connections were open")                           \
    X_(TIMEOUT, "timeout", "a peer took too long")                                                 \
    X_(SLOW, "slow", "a peer did not take what was written to it")                                 \
    X_(EXEC, "exec", "an exec function failed")                                                    \
    X_(UNFINISHED, "unfinished", "an exec function sent no last result")                           \
    X_(MEMORY, "memory", "memory was short")                                                       \
    X_(CLIENT, "client", "a connection of a group failed")                                         \
    X_(ENDPOINTS, "endpoints", "endpoints of a group changed, or could not be looked up")          \
    X_(CONNECT, "connect", "a server accepted a connection")                                       \
    X_(DISCONNECT, "disconnect", "a connection of a server ended in order")                        \
    X_(DRAIN, "drain", "a server began to drain")                                                  \
    X_(STALL, "stall", "a turn of a shard took too long")                                          \
    X_(EXEC_CLOSE, "exec_close", "a connection was closed, because an exec function failed")       \
    X_(ADMIN, "admin", "somebody changed something through the admin pages")

enum cmds_log_reason {
#define CMDS_X_(constant, name, text) CMDS_REASON_##constant,
    CMDS_LOG_REASONS(CMDS_X_)
#undef CMDS_X_
};

enum {
    CMDS_NO_SHARD = UINT16_MAX // Of cmds_log_record.shard.
};
/** The library makes them. Whoever makes one, as for cmds_runtime_log(), starts from CMDS_LOG_RECORD_INIT. */
struct cmds_log_record {
    uint32_t struct_size; // Set by CMDS_LOG_RECORD_INIT. It may grow.
    uint8_t level;        // enum cmds_log_level
    uint8_t reason;       // enum cmds_log_reason; there may be more of them.
    uint16_t shard;       // CMDS_NO_SHARD: it is of none.
    uint32_t left_out; // Lines of this shard and reason since the last one, which were not written.
    int32_t code;      // What failed; 0: nothing did.
    uint64_t time_ns;  // CLOCK_REALTIME
    uint64_t connection; // cmds_connection_id(); 0: it is about none.
    const char *peer;    // "192.0.2.1:40022"; NULL: nobody.
    const char *type;    // Of the command; NULL: it is about none.
    uint64_t sequence; // Of the command; 0: it is about none, as where a turn is blamed on a type.
    // Of the command's trace, if it was sampled; else zero.
    uint8_t trace_id[16], span_id[8];
    // The line for a person, as on_log gets it, peer and command in front; only how many were left out is
    // not in it. Without control characters.
    const char *text;
};
#ifdef __cplusplus
#define CMDS_LOG_RECORD_INIT cmds_detail::sized<struct cmds_log_record>()
#else
#define CMDS_LOG_RECORD_INIT                                                                       \
    {                                                                                              \
        .struct_size = sizeof(struct cmds_log_record)                                              \
    }
#endif

/** "warn". Thread: any. Returns: static text, never NULL; for a level nobody knows "other". */
CMDS_API const char *cmds_log_level_name(uint32_t level);
/**
 * The level of a word: those of CMDS_LOG_LEVELS, and "warning" for "warn". Owner: borrows. Thread: any.
 * Returns: 0; -EINVAL: there is no such level, or a NULL, and *level is untouched.
 */
CMDS_NODISCARD CMDS_API int cmds_log_level_from(enum cmds_log_level *level, const char *word);
/** "connect". Thread: any. Returns: static text, never NULL; for a reason nobody knows "other". */
CMDS_API const char *cmds_log_reason_name(uint8_t reason);

/**
 * For on_log: writes `text` as one line to stderr, and never waits. While nobody reads stderr, lines
 * are dropped, and the next line that is written says how many. `context` points to an enum
 * cmds_log_level, the lowest level that is written; NULL: warnings and errors. Where stderr goes to
 * systemd's journal (JOURNAL_STREAM), the line begins with its priority, "<4>", which the journal takes
 * off. Owner: keeps `context` as long as it is on_log. Thread: any.
 */
CMDS_API void cmds_log_stderr(void *context, enum cmds_log_level level, const char *text);
/**
 * For on_record: one JSON object as one line to stderr, in OpenTelemetry's names: timestamp (RFC 3339,
 * UTC), severity_text, severity_number, body, attributes, trace_id, span_id. All else as
 * cmds_log_stderr(), the lines that were dropped included: the attribute cmdstream.dropped.
 */
CMDS_API void cmds_log_json(void *context, const struct cmds_log_record *record);
/**
 * For on_record: to systemd's journal by its own protocol, with MESSAGE, PRIORITY, CMDSTREAM_REASON
 * and, where known, CMDSTREAM_SHARD, CMDSTREAM_CONNECTION, CMDSTREAM_PEER, CMDSTREAM_TYPE,
 * CMDSTREAM_SEQUENCE, CMDSTREAM_CODE, CMDSTREAM_LEFT_OUT, TRACE_ID and SPAN_ID. What the journal does
 * not take at once goes to cmds_log_stderr(). `context`, Owner, Thread: as there.
 */
CMDS_API void cmds_log_journal(void *context, const struct cmds_log_record *record);

CMDS_END_

#endif

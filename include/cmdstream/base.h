/* SPDX-License-Identifier: MIT */
/*
 * Errors, borrowed strings, and the few words that every other header uses.
 *
 * Nothing here allocates, blocks or keeps state; everything may be called from any thread.
 */
#ifndef CMDSTREAM_BASE_H
#define CMDSTREAM_BASE_H

#ifdef __cplusplus
extern "C++" { // Also where somebody includes this inside of extern "C".
#endif
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#ifdef __cplusplus
}
#endif

#define CMDS_VERSION_MAJOR 0
#define CMDS_VERSION_MINOR 1
#define CMDS_VERSION_PATCH 0
#define CMDS_VERSION       "0.1.0"

#define CMDS_API           __attribute__((visibility("default")))
/*
 * `(void)f()` must silence it: gcc's warn_unused_result in C11 does not listen to that, so there it
 * is left to clang.
 */
#if defined(__cplusplus) || (defined(__STDC_VERSION__) && __STDC_VERSION__ > 201710L)
#define CMDS_NODISCARD [[nodiscard]]
#elif defined(__clang__)
#define CMDS_NODISCARD __attribute__((warn_unused_result))
#else
#define CMDS_NODISCARD
#endif
#define CMDS_UNUSED_ __attribute__((unused))

/*
 * Structs that a program fills, and hands over by a pointer, begin with their size: options, tables
 * of functions, types, schemas, protocols; rows of tables have a stride beside them. So a program
 * and a library of different versions go together, either way:
 *
 *     shorter than the library's  what is missing reads as zero, which is each member's default;
 *     longer                      what the library does not know must be zero, or it refuses the
 *                                 struct by name: -E2BIG, of a protocol's tables CMDS_E_SCHEMA. The
 *                                 same holds for flags, and for members named `unused`;
 *     shorter than in 0.1         refused: nobody has set the size. Options: only below 8 bytes.
 *
 * Structs that the library fills begin with their size too, which the program sets by their INIT
 * macro: the library writes what fits, and leaves what it does not know as it is. Structs that it
 * makes (results, candidates) only grow at their end.
 *
 * Objects that the library exports (cmds_codec_msgpack, cmds_dispatch_round_robin, ...) never
 * change their size, since a program's linker may have made room for them: they end in reserved
 * members. What is marked as frozen has no size and never changes.
 */

#ifdef __cplusplus
extern "C++" {
namespace cmds_detail
{
/* What the INIT macros stand for in C++: everything zero but the size. */
template <class Options> constexpr Options sized()
{
    Options options{};
    options.struct_size = static_cast<uint32_t>(sizeof(options));
    return options;
}
} // namespace cmds_detail
}
#endif

/** In a field that holds a time: no limit. */
#define CMDS_NEVER UINT32_MAX

#ifdef __cplusplus
#define CMDS_STATIC_ASSERT_  static_assert
#define CMDS_NULL_           nullptr
#define CMDS_CAST_(T, value) static_cast<T>(value)
#define CMDS_BEGIN_          extern "C" {
#define CMDS_END_            }
#else
#define CMDS_STATIC_ASSERT_  _Static_assert
#define CMDS_NULL_           NULL
#define CMDS_CAST_(T, value) ((T)(value))
#define CMDS_BEGIN_
#define CMDS_END_
#endif

CMDS_BEGIN_

/**
 * Every function that can fail returns 0 or a count on success and a negative int on failure:
 * -1..-4095 is -errno, ours are below -5000. One X-macro: name, code, text.
 */
#define CMDS_ERRORS(X)                                                                             \
    X(PROTO, -5000, "the peer broke the wire protocol")                                            \
    X(EOF, -5001, "the peer closed the connection")                                                \
    X(LOST, -5002, "the connection was lost before the result came")                               \
    X(TIMEOUT, -5003, "no result within the deadline")                                             \
    X(CANCELLED, -5004, "forgotten by the caller")                                                 \
    X(CLOSED, -5005, "the object is closed")                                                       \
    X(GONE, -5006, "nobody waits for this result any more")                                        \
    X(FINISHED, -5007, "the last result was sent already")                                         \
    X(WRONG_TYPE, -5008, "a type that the protocol does not have")                                 \
    X(UNKNOWN_RESULT, -5009, "the server sent a result type that this program does not know")      \
    X(UNFINISHED, -5010, "the call ended without its last result")                                 \
    X(SCHEMA, -5011, "the tables of the protocol contradict each other")                           \
    X(LIMIT, -5012, "a value is larger than its limit")                                            \
    X(NOT_SENT, -5013, "the command never left this process; it is safe to send it again")         \
    X(NOT_CONNECTED, -5014, "no connection of the group is up")                                    \
    X(SERVER_INFO_MISMATCH, -5015, "the server's ServerInfo is not the one expected")              \
    X(TOO_LARGE_SERVER_INFO, -5016, "the server's ServerInfo is longer than 1024 bytes")           \
    X(MORE_RESULTS, -5017, "the command has more than one result; use send_multi")                 \
    X(DRAINING, -5018, "the server is shutting down")                                              \
    X(SLOW_PEER, -5019, "the peer does not take what is sent to it")                               \
    X(IDLE, -5020, "nothing came within the idle limit")                                           \
    X(REFUSED, -5021, "refused: the limit of connections is reached")                              \
    X(MEMORY_LIMIT, -5022, "the shard's memory limit is reached")                                  \
    X(FORKED, -5023, "the runtime belongs to the process that this one was forked from")           \
    X(TLS_HANDSHAKE, -5024, "the TLS handshake failed")                                            \
    X(TLS_CERTIFICATE, -5025, "the peer's certificate will not do")                                \
    X(TLS_REFUSED, -5026, "the peer refused TLS with us: an alert of it")                          \
    X(TLS_RECORD, -5027, "the peer sent what is no record of TLS")                                 \
    X(TLS_CONFIG, -5028, "a certificate, a key or a list that TLS cannot work with")               \
    X(SIM, -5029, "the simulated run has failed")                                                  \
    X(NOT_ALLOWED, -5030, "the circuit breaker is open: the command was not sent")                 \
    X(REMOTE, -5031, "the server has answered that the command failed")
enum cmds_error_code {
#define CMDS_X_(name, code, text) CMDS_E_##name = (code),
    CMDS_ERRORS(CMDS_X_)
#undef CMDS_X_
    CMDS_E_MIN_ = -5999
};

/**
 * The caller's own record of what failed: a code, and one sentence that says what was tried, with
 * which address, and what helps. Frozen layout.
 */
struct cmds_error {
    int32_t code;   // 0 until something fails; the first failure stays.
    char text[252]; // Always terminated.
};
#ifdef __cplusplus
#define CMDS_ERROR_INIT                                                                            \
    {                                                                                              \
    }
#else
#define CMDS_ERROR_INIT                                                                            \
    {                                                                                              \
        0                                                                                          \
    }
#endif

/**
 * The constant's name ("CMDS_E_TIMEOUT", "ECONNREFUSED") and one sentence about it.
 *
 * Thread:  any.
 * Returns: static text, never NULL; for a code nobody knows "unknown".
 */
CMDS_API const char *cmds_error_name(int code);
CMDS_API const char *cmds_error_text(int code);

/**
 * The library's version as it was built, to compare with CMDS_VERSION of the header. Thread: any.
 */
CMDS_API const char *cmds_version(void);

/**
 * Text that somebody else owns. A decoded string is NOT terminated: print it with CMDS_STRING_ARGS.
 * Frozen layout.
 */
struct cmds_string {
    const char *data;
    size_t size;
};
/** The same for bytes. Frozen layout. */
struct cmds_bytes {
    const void *data;
    size_t size;
};
struct cmds_pair {
    struct cmds_string key, value;
};
/** Strings by string, in the order of the wire. */
struct cmds_map {
    const struct cmds_pair *items;
    size_t count;
};

/* printf("%.*s", CMDS_STRING_ARGS(line->text)) */
#ifdef __cplusplus
#define CMDS_STRING_ARGS(s) static_cast<int>((s).size), (s).data
#define CMDS_STRING(literal)                                                                       \
    {                                                                                              \
        "" literal, sizeof(literal) - 1                                                            \
    }
#else
#define CMDS_STRING_ARGS(s) (int)(s).size, (s).data
#define CMDS_STRING(literal)                                                                       \
    {                                                                                              \
        "" literal, sizeof(literal) - 1                                                            \
    }
#endif

/** Owner: borrows `text` for as long as the result is used. Thread: any. */
static inline struct cmds_string cmds_string_from(const char *text)
{
    struct cmds_string string = {text, strlen(text)};
    return string;
}
/** Byte by byte; no locale. Thread: any. */
CMDS_API bool cmds_string_equal(struct cmds_string a, struct cmds_string b);
/**
 * The value under `key`, the last one if the peer sent the key twice. Thread: any. Returns: NULL if
 * absent.
 */
CMDS_API const struct cmds_string *cmds_map_find(struct cmds_map map, struct cmds_string key);

CMDS_END_

#endif

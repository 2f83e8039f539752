/* SPDX-License-Identifier: MIT */
/*
 * A circuit breaker: while a server fails, commands are refused here and now, instead of each
 * waiting for its deadline; after a time a few of them try it again.
 *
 *            failures >= failure_rate of the window              open_ms passed
 *     CLOSED ----------------------------------------> OPEN -----------------------> HALF_OPEN
 *       ^                                               ^                             |   |
 *       |                                               +------- one trial failed ----+   |
 *       +------------------------- success_threshold trials went well -------------------+
 *
 * Give it to a group or a sender (struct cmds_group_options), or to several that use the same
 * server: every command of theirs asks it, and counts in it. It may be used alone as well, by
 * cmds_breaker_allow() and, later, cmds_breaker_report(). Of a group with several servers each
 * endpoint may have one of its own: see endpoint_breaker of struct cmds_group_options.
 *
 * The window begins full of successes. A command counts once, at its first result; one that then
 * ends with an error, as a stream whose connection is lost, counts once more. What was sent before
 * the state last changed does not count at all. While the breaker is closed and nothing in the
 * window has failed, a command costs a few loads; no command takes a lock while it is closed.
 *
 * All callbacks run on the thread that allowed, reported, asked for the state or changed it, without
 * any lock held: they may call everything but cmds_breaker_free(). Two changes of state that follow
 * each other at once on two threads may be reported in either order; cmds_breaker_state() knows.
 */
#ifndef CMDSTREAM_BREAKER_H
#define CMDSTREAM_BREAKER_H

#include <cmdstream/base.h>

CMDS_BEGIN_

struct cmds_breaker;
struct cmds_group;
struct cmds_result;

enum cmds_breaker_state {
    CMDS_BREAKER_CLOSED = 0,    // Commands pass.
    CMDS_BREAKER_HALF_OPEN = 1, // Only trials do.
    CMDS_BREAKER_OPEN = 2       // None does.
};
/** What the end of a command says about the server. */
enum cmds_breaker_outcome {
    CMDS_BREAKER_SUCCESS,
    CMDS_BREAKER_FAILURE,
    CMDS_BREAKER_IGNORED // Nothing: it does not count.
};

/** Whose breaker it is, if an endpoint has it. Made by the library only, so it may grow at its end. */
struct cmds_breaker_endpoint {
    uint32_t struct_size; // Of the library's own struct. A member beyond it is not there.
    uint32_t number;      // cmds_endpoint_state.number
    struct cmds_group *group;
    char address[272]; // cmds_endpoint_state.address
};

/** Start from CMDS_BREAKER_OPTIONS_INIT. A field left at zero takes the default beside it. */
struct cmds_breaker_options {
    uint32_t struct_size;
    uint32_t window_size; // The last so many commands are looked at. Default 100, at most 65536.
    // It opens when so much of the window has failed: above 0, at most 1. Default 0.5.
    double failure_rate;
    uint32_t open_ms;           // How long it stays open. Default 5000; CMDS_NEVER: until a reset.
    uint32_t success_threshold; // Trials that go well until it closes. Default 1, at most 65536.
    uint32_t half_open_max;     // Trials at a time. Default: success_threshold. At most 65536.
    uint32_t unused;
    void *context; // Of all callbacks, each of which may be NULL.
    /**
     * The state is another one now. That the time of being open is over is noticed, and reported,
     * by the first command or question after it: no timer runs.
     */
    void (*on_state)(void *context, enum cmds_breaker_state state);
    /** A command succeeded, or failed; `state` is what it was before that counted. */
    void (*on_success)(void *context, enum cmds_breaker_state state);
    void (*on_failure)(void *context, enum cmds_breaker_state state);
    /**
     * What a result says: one of the server, or the error that a command ended with, be it that its
     * send returned it. Default: cmds_breaker_outcome_of(result->error): a server that answers that a
     * command failed (result->is_error) has answered. Owner: borrows.
     */
    enum cmds_breaker_outcome (*classify)(void *context, const struct cmds_result *result);
    /**
     * For the breakers of endpoints, in place of on_state, on_success and on_failure, with which a group
     * is not opened (-EINVAL, by name). Each of the last two costs a lock for every command that counts. Owner: borrows `endpoint`.
     */
    void (*on_endpoint_state)(void *context, const struct cmds_breaker_endpoint *endpoint,
            enum cmds_breaker_state state);
    void (*on_endpoint_success)(void *context, const struct cmds_breaker_endpoint *endpoint,
            enum cmds_breaker_state state);
    void (*on_endpoint_failure)(void *context, const struct cmds_breaker_endpoint *endpoint,
            enum cmds_breaker_state state);
};
/** What is to be seen of a breaker. The library fills in what struct_size has room for. */
struct cmds_breaker_info {
    uint32_t struct_size;  // CMDS_BREAKER_INFO_INIT
    uint32_t state;        // enum cmds_breaker_state
    uint32_t failures;     // In the window.
    uint32_t trials;       // Under way.
    uint64_t open_left_ms; // Until trials are let through; UINT64_MAX: never. 0 unless open.
    uint64_t opened;       // How many times it has opened.
    uint64_t refused;      // Commands that it did not let through.
};
#ifdef __cplusplus
#define CMDS_BREAKER_OPTIONS_INIT cmds_detail::sized<struct cmds_breaker_options>()
#define CMDS_BREAKER_INFO_INIT    cmds_detail::sized<struct cmds_breaker_info>()
#else
#define CMDS_BREAKER_OPTIONS_INIT                                                                  \
    {                                                                                              \
        .struct_size = sizeof(struct cmds_breaker_options)                                         \
    }
#define CMDS_BREAKER_INFO_INIT                                                                     \
    {                                                                                              \
        .struct_size = sizeof(struct cmds_breaker_info)                                            \
    }
#endif

/**
 * Owner:   copies the options; keeps `context`. Gives *breaker: cmds_breaker_free().
 * Thread:  any.
 * Returns: 0; -EINVAL, -E2BIG: an option, by name; -ENOMEM.
 */
CMDS_NODISCARD CMDS_API int cmds_breaker_new(struct cmds_breaker **breaker,
        const struct cmds_breaker_options *options, struct cmds_error *error);
/** After the close of all groups and senders that use it. NULL is fine. Thread: any. */
CMDS_API void cmds_breaker_free(struct cmds_breaker *breaker);

/**
 * May something be sent now? If so it has to be reported, once.
 *
 * Owner:   borrows; *permit is what the report needs.
 * Thread:  any.
 * Returns: 0; CMDS_E_NOT_ALLOWED: it is open, or half-open and its trials are all under way;
 *          -EINVAL: NULL.
 */
CMDS_NODISCARD CMDS_API int cmds_breaker_allow(struct cmds_breaker *breaker, uint64_t *permit);
/** How it ended. Thread: any. */
CMDS_API void cmds_breaker_report(
        struct cmds_breaker *breaker, uint64_t permit, enum cmds_breaker_outcome outcome);
/** Thread: any. */
CMDS_API enum cmds_breaker_state cmds_breaker_state(struct cmds_breaker *breaker);
/** Thread: any. Returns: false also while it is half-open. */
CMDS_API bool cmds_breaker_is_open(struct cmds_breaker *breaker);
/** Opens it for open_ms, as too many failures would. Thread: any. */
CMDS_API void cmds_breaker_open(struct cmds_breaker *breaker);
/** Closes it, with a window full of successes. Thread: any. */
CMDS_API void cmds_breaker_reset(struct cmds_breaker *breaker);
/** Owner: borrows. Thread: any. */
CMDS_API void cmds_breaker_look(struct cmds_breaker *breaker, struct cmds_breaker_info *info);
/**
 * What a code says if nobody knows better. 0, a result: success. CMDS_E_LOST, CMDS_E_NOT_SENT,
 * CMDS_E_NOT_CONNECTED, CMDS_E_TIMEOUT, and all that a connection fails with (-ECONNREFUSED and its
 * like, CMDS_E_EOF, TLS): failure. Ignored is what the program did (CMDS_E_CANCELLED,
 * CMDS_E_CLOSED), a full window (-ENOBUFS), and what is wrong with the command or in this process.
 * (In cmd-stream-go a lost connection counts as a success.)
 *
 * Thread: any.
 */
CMDS_API enum cmds_breaker_outcome cmds_breaker_outcome_of(int code);

CMDS_END_

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Hooks: functions that see each command of a group or a sender, from before it is sent to its end.
 * They are for traces, metrics, budgets, rules about what may be sent.
 *
 *     send --> before_send of each, first to last ----------------------------> a connection
 *     its callback <-- on_result, on_error, on_timeout of each, last to first <-- its results
 *
 * A command that before_send has let pass ends for these hooks exactly once: by on_result with
 * result->last, by on_timeout (CMDS_E_TIMEOUT), or by on_error (every other error, those that the send
 * itself returns among them). A command that is refused by the circuit breaker reaches no hooks.
 * Those before the one that vetoed learn of it by on_error.
 *
 * A blocking send that waits for room is one command. One that is sent again (see `resend`) is one
 * command, too: its hooks see only how it ended. A one-way command has no result: when it is queued,
 * on_result runs with one that has no type and the number 0.
 *
 * Each function runs on the thread where what it reports happened: before_send on the one that
 * sends, inside the send, and so do on_error of a send that fails and on_result of a one-way command;
 * all others on a shard. They may call everything that a result callback may. Those of one command
 * run one at a time.
 */
#ifndef CMDSTREAM_HOOKS_H
#define CMDSTREAM_HOOKS_H

#include <cmdstream/base.h>

CMDS_BEGIN_

struct cmds_group;
struct cmds_result;
struct cmds_type;

enum {
    CMDS_HOOKS_MAX = 8, // Of one group.
};

/** A command, as its hooks see it. Made by the library only, so it may grow at its end. */
struct cmds_sent_command {
    uint32_t struct_size; // Of the library's own struct. A member beyond it is not there.
    uint32_t client;      // The connection's number in the group, once it has a result.
    struct cmds_group *group;
    const struct cmds_type *type;
    const void *value; // The command itself; NULL as soon as it is sent.
    uint64_t sequence; // On its connection, once it has a result; 0: it never got one.
    uint32_t size;     // Of its body on the wire.
    // What it has, CMDS_NEVER: no limit. before_send may make it less; to all others it says nothing.
    uint32_t deadline_ms;
    uint64_t result_count; // Good results, with the one that is being reported: its number, from 1.
    void *data;            // Of cmds_send_options; NULL without.
    void *user;            // These hooks' own, of this command alone. NULL at first.
};

/** Start from CMDS_HOOKS_INIT. Each function may be NULL. */
struct cmds_hooks {
    uint32_t struct_size;
    uint32_t unused;
    void *context;
    /**
     * Returns: 0: it may be sent; a negative code, which its send returns: it may not. (A positive one
     * is CMDS_E_NOT_ALLOWED.)
     */
    int (*before_send)(void *context, struct cmds_sent_command *command);
    /** A result of the server, an error result too. With result->last the command has ended. Owner: borrows both. */
    void (*on_result)(
            void *context, struct cmds_sent_command *command, const struct cmds_result *result);
    /** It ended with result->error, which is not CMDS_E_TIMEOUT; result->text says more. */
    void (*on_error)(
            void *context, struct cmds_sent_command *command, const struct cmds_result *result);
    /** It ended by its deadline. */
    void (*on_timeout)(
            void *context, struct cmds_sent_command *command, const struct cmds_result *result);
};
#ifdef __cplusplus
#define CMDS_HOOKS_INIT cmds_detail::sized<struct cmds_hooks>()
#else
#define CMDS_HOOKS_INIT                                                                            \
    {                                                                                              \
        .struct_size = sizeof(struct cmds_hooks)                                                   \
    }
#endif

CMDS_END_

#endif

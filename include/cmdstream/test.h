/* SPDX-License-Identifier: MIT */
/*
 * Test support: exec functions run on this thread, with no socket, no thread, no ring; time stands
 * until it is moved.
 *
 * One thread uses one cmds_test. Command and results go through the codec, as on the wire. What they ask
 * other servers is asked of the test: see cmds_test_group_open().
 */
#ifndef CMDSTREAM_TEST_H
#define CMDSTREAM_TEST_H

#include <cmdstream/client.h>
#include <cmdstream/runtime.h>
#include <cmdstream/server.h>

CMDS_BEGIN_

struct cmds_test;

/**
 * Begins, after the checks of cmds_server_start(); `listen` and `tls` are not used. Owner: as there. Gives
 * *test: cmds_test_close(). Returns: 0; as cmds_server_start.
 */
CMDS_NODISCARD CMDS_API int cmds_test_open(struct cmds_test **test,
        const struct cmds_server_options *options, struct cmds_error *error);
/**
 * Runs the invokers and the exec function, again while it asks (at most 1000 rounds); one in the
 * pool runs here too. Returns: what the exec function (the outermost invoker) returned;
 * CMDS_E_UNFINISHED: 0, with neither a last result nor a reference (of a one-way command: just 0);
 * CMDS_E_LIMIT: too large; CMDS_E_WRONG_TYPE.
 */
CMDS_API int cmds_test_send(struct cmds_test *test, struct cmds_message command);
/** Results so far, over all commands; NULL beyond the last. Borrowed until close. */
CMDS_API const struct cmds_result *cmds_test_result(struct cmds_test *test, uint32_t index);
CMDS_API uint32_t cmds_test_result_count(struct cmds_test *test);
/**
 * Moves the clock from one timer to the next: cmds_call_after, deadlines, the connection's limits, and
 * the timers of cmds_test_runtime(). It begins at a day, and cmds_now_ns() says it on this thread: of
 * several tests that of the one that was used last.
 */
CMDS_API void cmds_test_advance_ms(struct cmds_test *test, uint32_t ms);
/**
 * What the program would have started: a runtime with one shard, which is this thread, inside of the
 * functions of this header that run something (all but open and close). For cmds_runtime_post(),
 * cmds_runtime_after(), cmds_runtime_every(), by any thread, and for what a runtime says of itself. A
 * server cannot run on it, nor a group of cmds_group_open(): -EINVAL.
 *
 * Owner: it is the test's: cmds_runtime_stop() does nothing. Timers end when cmds_test_close() begins.
 */
CMDS_API struct cmds_runtime *cmds_test_runtime(struct cmds_test *test);
/**
 * What cmds_call_pool_state() gives from now on, where on_pool_thread_start would have made it. NULL at
 * first. Owner: keeps `state`.
 */
CMDS_API void cmds_test_pool_state(struct cmds_test *test, void *state);
/** Calls are cancelled; sends are CMDS_E_GONE. */
CMDS_API void cmds_test_disconnect(struct cmds_test *test);
/** Sends are -ENOBUFS while it is full. */
CMDS_API void cmds_test_output_full(struct cmds_test *test, bool full);
/** Closes its groups, too. NULL is fine. */
CMDS_API void cmds_test_close(struct cmds_test *test);

/* --- Groups: a service that calls a service ----------------------------------------------------- */

/** A command as it left a group. */
struct cmds_test_command {
    const struct cmds_type *type;
    const void *value; // Of that type. Its own, as it was decoded.
    uint64_t sequence; // On its connection, from 1.
    uint32_t client;   // The connection: cmds_result.client of its results.
    uint32_t size;     // Of the body.
    // What its answer had left when it left, to within 1 ms. CMDS_NEVER: it had no deadline.
    uint32_t deadline_ms;
    bool is_answered; // It has had its last result.
    bool is_awaited;  // Somebody still waited for one, when this was last asked for.
    uint8_t unused[2];
};

/**
 * A group for the code under test, which uses it as any other: everything between its functions and the
 * bytes is the group's own code, and all but `connect` and `tls` of the options is in effect. In place
 * of a server there is the test. It is connected when this returns.
 *
 * Results and other callbacks run on this thread inside of the functions of this header that run
 * something; deadlines, pings and new attempts to connect are due by cmds_test_advance_ms(). Outside of
 * them this thread may use the group as well. Not there: a blocking sender, waits and drains (-EINVAL,
 * as nobody would turn the runtime), and several endpoints. Another thread may send; its deadlines, and
 * the times of breakers that are asked outside of those functions, are the kernel's.
 *
 * None of the functions below may be called inside of a callback.
 *
 * Owner:   as cmds_group_open(); the test closes it if nobody has.
 * Returns: 0; as cmds_group_open.
 */
CMDS_NODISCARD CMDS_API int cmds_test_group_open(struct cmds_test *test, struct cmds_group **group,
        const struct cmds_group_options *options, struct cmds_error *error);
/** How many commands have left it. 0: also of a group that is not the test's. */
CMDS_API uint32_t cmds_test_group_count(struct cmds_test *test, const struct cmds_group *group);
/** They are in the order in which they left; NULL beyond the last. Borrowed until cmds_test_close(). */
CMDS_API const struct cmds_test_command *cmds_test_group_sent(
        struct cmds_test *test, const struct cmds_group *group, uint32_t index);
/**
 * One result for that command; those of a stream one after the other. One that nobody waits for any more
 * goes to on_unexpected, as from a server.
 *
 * Owner:   borrows `result`.
 * Returns: 0; CMDS_E_WRONG_TYPE: not a result of its protocol; CMDS_E_LIMIT: larger than
 *          frame_size_max; CMDS_E_FINISHED: it has had its last result, or is a one-way command;
 *          CMDS_E_GONE: its connection is lost; -ENOENT: there is no such command; -EINVAL: the group
 *          is not of this test; -ENOMEM.
 */
CMDS_API int cmds_test_group_answer(struct cmds_test *test, struct cmds_group *group,
        uint32_t index, struct cmds_message result);
/**
 * That command alone ends with this code, such as CMDS_E_LOST; its place in the window is free when it is
 * answered. See cmds_test_group_away() for all of them.
 *
 * Returns: 0; CMDS_E_FINISHED: nobody waits for it; -EINVAL: not a negative code; else as
 *          cmds_test_group_answer.
 */
CMDS_API int cmds_test_group_fail(
        struct cmds_test *test, struct cmds_group *group, uint32_t index, int code);
/**
 * The next command of this type gets these results as soon as it has left. Those of a type are used up in
 * the order in which they were given; one that finds none waits for cmds_test_group_answer(), and so does
 * one that finds `count` 0.
 *
 * Owner:   copies.
 * Returns: 0; CMDS_E_WRONG_TYPE: not a command, or not results, of its protocol, or results for a one-way
 *          command; -EINVAL: the group is not of this test, or was closed; -ENOMEM. A result that is
 *          larger than frame_size_max is never given.
 */
CMDS_NODISCARD CMDS_API int cmds_test_group_will_answer(struct cmds_test *test,
        struct cmds_group *group, const struct cmds_type *command,
        const struct cmds_message *results, uint32_t count);
/** The same, and the command ends as by cmds_test_group_fail(). Returns: as that one; -EINVAL: the code. */
CMDS_NODISCARD CMDS_API int cmds_test_group_will_fail(struct cmds_test *test,
        struct cmds_group *group, const struct cmds_type *command, int code);
/**
 * While it is full, sends are -ENOBUFS and forwards wait. Then on_writable runs, if a send was refused,
 * and forwards leave. For a group that is not the test's, or is closed, it does nothing.
 */
CMDS_API void cmds_test_group_full(struct cmds_test *test, struct cmds_group *group, bool full);
/**
 * The server goes away: what had left ends with CMDS_E_LOST, and attempts to connect are refused. After
 * it is back they succeed, when they are due: see reconnect_delay_ms.
 */
CMDS_API void cmds_test_group_away(struct cmds_test *test, struct cmds_group *group, bool away);

CMDS_END_

#endif

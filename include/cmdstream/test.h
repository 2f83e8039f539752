/* SPDX-License-Identifier: MIT */
/*
 * Test support: exec functions run on this thread, with no socket, no thread, no ring; time stands
 * until it is moved.
 *
 * One thread uses one cmds_test. Command and results go through the codec, as on the wire.
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
 * server or a group cannot run on it: -EINVAL.
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
/** NULL is fine. */
CMDS_API void cmds_test_close(struct cmds_test *test);

CMDS_END_

#endif

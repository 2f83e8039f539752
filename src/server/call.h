/* SPDX-License-Identifier: MIT */
/*
 * A call: a command in execution. The common one lives as long as its exec function, on the shard's
 * stack and in a pool; see call.c for those that stay.
 */
#ifndef CMDI_SERVER_CALL_H
#define CMDI_SERVER_CALL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "server/call_fail.h"
#include "server/call_observer.h"
#include "server/connection.h"

enum cmdi_call_flag {
    CMDI_CALL_WHOLE = 1,    // The members below `flags` that few calls need are initialised.
    CMDI_CALL_FAILED = 2,   // Its failure was dealt with.
    CMDI_CALL_RUNNING = 4,  // Its exec function is on the shard's stack.
    CMDI_CALL_IN_POOL = 8,  // It is the worker pool's: on_cancel waits until it is back.
    CMDI_CALL_COUNTED = 16, // Its end was.
    CMDI_CALL_LATE = 32,    // Its deadline passed before the last result.
    CMDI_CALL_ENDING = 64,  // Its ends run: nothing else of the program's is called for it.
};

enum cmdi_call_finished {
    CMDI_FINISHED_NOT,
    CMDI_FINISHED_WELL,
    CMDI_FINISHED_FAILED, // With an error result.
};

struct cmdi_call_trace;

struct cmds_call {
    struct cmds_connection *connection;
    struct cmdi_server_core *core; // The connection's: a shorter way to it.
    const struct cmds_exec *exec;
    const struct cmds_type *type;
    const void *command; // NULL: not kept.
    uint64_t sequence, round, received_ns;
    // Results sent: the shard's, and those of other threads, under the inbox's lock.
    uint64_t sent_here;
    _Atomic uint64_t sent_elsewhere;
    void *context;
    struct cmdi_call_trace *trace; // NULL: it belongs to no trace.
    _Atomic uint32_t refs;         // One is the shard's, while it runs or waits. 0: it only ends.
    _Atomic uint8_t finished;      // enum cmdi_call_finished: the last result was sent.
    _Atomic uint8_t cancelled;     // Nobody waits.
    uint8_t flags;                 // enum cmdi_call_flag. The shard's.
    // Its exec function asked for another round, which it has not got. Of the thread that runs it.
    bool owed;
    uint16_t place;    // Of the command's type in the protocol.
    uint8_t end_count; // Of `ends`. Of whoever holds the call, one at a time, as those are.
    // Since its round began, and by what lies in the inbox or is promised there, or for memory.
    _Atomic bool refused_elsewhere;
    // See writable.h. Of whoever was refused last, whatever its thread: the size of the frame.
    _Atomic uint32_t refused_size;
    // NULL: nobody asked. Whoever sets it has a reference for it.
    _Atomic(cmds_call_fn) on_writable;

    /* Only for calls that live longer than their exec function: see cmdi_call_init_rest(). */
    void *kept;         // The copied command...
    size_t kept_size;   // ... and what it takes.
    uint32_t kept_pool; // Where it is from; CMDI_KEPT_POOLS: malloc.
    int job_code;       // What the exec function returned on the worker.
    struct cmdi_list link;
    struct cmdi_list observers; // struct cmdi_call_observer
    struct cmdi_timer timer, deadline;
    cmds_call_fn after, on_cancel;
    struct cmdi_list on_shard; // shard->calls
    struct cmdi_mail mail;
    struct cmdi_job job;
    // While it waits for room. The shard's, but for the mail of another thread that asked.
    struct cmdi_list writable_link; // connection->writable, or server_shard->over
    struct cmdi_call_observer writable_observer;
    struct cmdi_mail writable_mail;
    _Atomic uint32_t room;    // The futex of a thread of the pool that waits: see writable.c.
    _Atomic uintptr_t worker; // Of the pool, while it runs the function: cmdi_thread_self(); or 0.
    cmds_call_fn ends[CMDS_CALL_ENDS_MAX]; // Valid below end_count, be it whole or not.
};

/** Initialises what only calls that stay need. */
void cmdi_call_init_rest(struct cmds_call *call);
/**
 * The exec function has returned and somebody keeps the call: the connection knows it from now on.
 * Thread: shard.
 */
void cmdi_call_attach(struct cmds_call *call);
/**
 * Nobody waits any more: tells observers and on_cancel, once. Borrows `call`, which may be about to
 * end or end in here. Thread: shard.
 */
void cmdi_call_cancel(struct cmds_call *call);
/**
 * Runs on_cancel, unless it has run, the exec function is in the pool, or the last result was sent
 * and no round is owed. The caller has a reference. Thread: shard.
 */
void cmdi_call_run_on_cancel(struct cmds_call *call);
/** The last reference is gone, or only the shard's own is left. Thread: shard. */
void cmdi_call_end(struct cmds_call *call);
/** One reference less. Thread: shard, or any once the server shard has ended. */
void cmdi_call_unref_here(struct cmds_call *call);
/**
 * As if the exec function had returned an error: on_exec_error may answer, else the error result does,
 * if the protocol has one. Thread: shard.
 */
void cmdi_call_failed(struct cmds_call *call, const struct cmdi_failure *failure);
/**
 * Of all calls that closed connections of this server shard have left; the server shard is ENDING
 * from here on. Thread: its shard.
 */
void cmdi_calls_end_timers(struct cmdi_server_shard *server_shard);

#endif

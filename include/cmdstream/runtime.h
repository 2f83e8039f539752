/* SPDX-License-Identifier: MIT */
/*
 * The threads and rings that servers and groups run on.
 *
 * A runtime owns one shard per allowed core: a pinned thread with one io_uring. Start it first,
 * stop it last. It installs no signal handler and prints nothing: on_log and on_record get its
 * messages. Only if the kernel refuses a ring that has worked before, or an assertion fails, does it
 * write a line to stderr (the former to on_log as well, as an error) and abort.
 *
 * Signals: its threads block every signal that is sent to a process, and none that a fault raises
 * (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT): a handler for those may run there. A
 * child made by fork() on such a thread begins with no signal blocked; one made by posix_spawn(),
 * popen() or system() inherits the mask, so that SIGTERM does not reach it: give posix_spawn() an
 * empty one (POSIX_SPAWN_SETSIGMASK).
 *
 * fork: a runtime and all that runs on it belong to the process that started it. A child may call
 * exec or _exit, and start runtimes of its own. In the child, functions that send, wait, post, pause,
 * forget, set endpoints, open or reset an endpoint's breaker, or open a server, a group or a sender return
 * CMDS_E_FORKED; functions that stop or close do nothing and call nobody back; no function of cmds_call may be
 * called. Of those that only ask, a child may call the ones whose comment says what they return there, and no other,
 * as some wait for a lock that a thread of the parent had. An exec function or callback must not return in the child.
 *
 * dlclose: the shared library stays loaded (-z nodelete), since threads of it may be running.
 */
#ifndef CMDSTREAM_RUNTIME_H
#define CMDSTREAM_RUNTIME_H

#include <cmdstream/base.h>
#include <cmdstream/log.h>

CMDS_BEGIN_

struct cmds_runtime;
struct cmds_telemetry_options;
struct cmds_trace_options;

enum {
    CMDS_SHARDS_PER_CORE = 0,
    CMDS_SHARDS_MAX = 1024,
    // No threads: the thread that calls cmds_runtime_turn() is the shard.
    CMDS_SHARDS_INLINE = UINT16_MAX,
};
enum {
    CMDS_TURN_NOWAIT = 0
};
#define CMDS_SPIN_OFF UINT32_MAX // For spin_us: a shard with nothing to do sleeps at once.

/** Start from CMDS_RUNTIME_OPTIONS_INIT. A field left at zero takes the default beside it. */
struct cmds_runtime_options {
    uint32_t struct_size; // Set by CMDS_RUNTIME_OPTIONS_INIT.
    // Default CMDS_SHARDS_PER_CORE: the allowed CPUs, at most what a cgroup's cpu.max gives. At most
    // CMDS_SHARDS_MAX, or CMDS_SHARDS_INLINE.
    uint32_t shard_count;
    // "0,2-5": the CPUs that the shards are pinned to, one after the other. Default: the CPUs this
    // process may use, if there is a shard for each of them. Fewer shards than CPUs are not pinned,
    // or every such program would be pinned to the same first CPUs.
    const char *cpus;
    bool no_pinning; // The scheduler places the shards.
    // Always spin for the full spin_us, even if another thread wants the core. Use only when each
    // shard has a core of its own.
    bool spin_always;
    uint16_t unused;
    // Longest time that a shard spins before it sleeps. It spins only while most spins find work and
    // no other thread wants the core. Default 100: work that arrives at least every 100 us, 10,000
    // times a second, is handled without a wake-up, and the core is busy all the time. With CMDS_SPIN_OFF
    // 12,000 commands a second take a third of a core, and p50 is one wake-up longer, 13 to 26 us. A
    // value between moves that border: with 25, about what a wake-up costs in CPU time, the shard sleeps
    // up to 40,000 a second. See docs/figures.md.
    uint32_t spin_us;
    // For exec functions marked CMDS_EXEC_IN_POOL. Default 4, at most 1024; each is started when it is
    // first needed, or with the runtime: see on_pool_thread_start.
    uint32_t pool_thread_count;
    // Of one receive buffer. Default 32768, 4096..1 MiB. If there may be 128 of them or more, the
    // first sixteenth is four times as large, up to 128 KiB each; none is, if this is 128 KiB or more.
    uint32_t buffer_size;
    // Receive buffers a shard may grow to, rounded up to a power of two. Default 4096, which with the
    // default size are 33 MiB, but 1024, 21 MiB, where buffer_size is 4096, or a sixteenth of
    // RLIMIT_MEMLOCK has less than 64 KiB for each shard of this runtime: some kernels count 16 bytes
    // of it for each buffer. Of an inline runtime 512, 19 MiB; at most 32768. Where the kernel refuses so many for the lack of it,
    // a shard goes on without some or all of the small ones. It begins with 16 if the first ones are
    // that large, else with 32, gets more when it lacks one, and has fewer when it needs few: each of
    // the others gives its memory back when something has come into it and was read.
    // Where shards are threads and buffer_size is above 4096, those beyond 512 have 4096 bytes, and the
    // sixteenth is of the first 512. A shard has them for thousands of connections with a command each:
    // they come while a receive brings 1 KiB or less on average, and go where it brings more than 2. So
    // where much comes there are 512 at most, whatever this is; for more, raise buffer_size.
    uint32_t buffer_count_max;
    // Calls of all servers that wait for a thread of the pool. Default 65536. Beyond it, a connection
    // with a call in the queue gets -ENOBUFS for a further one: on_exec_error may answer, and the
    // connection stays. A connection without one may still add one. The pool takes turns between
    // servers, and between a server's connections, so that a long queue delays its own connection
    // alone.
    uint32_t pool_queue_max;
    // Bound of everything that one shard holds for connections: their buffers and the output that
    // other threads queue for them, decoded and kept commands, calls, commands that wait for an
    // answer, and the pools behind these. Default 1 GiB. Above 7/8 of it only sizes up to 16 KiB are
    // given: a connection that needs more waits (sends are -ENOBUFS), and the connection that holds
    // most is closed (CMDS_E_MEMORY_LIMIT, memory_evictions, one log line), one at a time, until
    // there is room. Results of other threads, those of the pool among them, are copied on the
    // shard: a connection for whose copy there is no memory then is closed as well. Below 1 MiB
    // little works. Receive buffers are not part of it: buffer_size and buffer_count_max bound
    // them.
    uint64_t memory_size_max;
    // Called on any thread, mostly on shards: it must not wait, or all connections of its shard wait
    // too. At most one line a second for each reason and shard, beside those of cmds_runtime_log(). NULL:
    // silence. See cmds_log_stderr().
    void (*on_log)(void *context, enum cmds_log_level level, const char *text);
    void *log_context;
    // Stack sizes of the threads that run exec functions and callbacks: shards, and the pool. At
    // least 65536. Default 0: the system's (ulimit -s; 128 KiB with musl), but at least 1 MiB.
    uint32_t shard_stack_size;
    uint32_t pool_stack_size;
    // Operations that a shard queues before a system call is forced; completions are eight times as
    // many. A power of two, 32..4096. Default 512, inline 128. About 220 bytes each of RLIMIT_MEMLOCK
    // on kernels that count rings; where it does not suffice, a shard starts with smaller queues.
    uint32_t ring_entries;
    uint32_t unused2;
    // The same lines as on_log gets, with what they are about, before it and by the same rules. NULL:
    // nobody wants them. See log.h for ready-made ones.
    void (*on_record)(void *context, const struct cmds_log_record *record);
    void *record_context;
    // What is recorded of traces, see trace.h. Copied. NULL: contexts are passed on, and that is all.
    const struct cmds_trace_options *trace;
    // What is counted, see telemetry.h. Copied. NULL: the defaults of its options.
    const struct cmds_telemetry_options *telemetry;
    // enum cmds_log_level: see cmds_runtime_set_log_level(). Default: all lines.
    uint32_t log_level;
    uint32_t unused3;
    /**
     * On each thread of the pool, before its first exec function: what it puts into *state, a database
     * connection say, is what cmds_call_pool_state() gives there. If it is set, cmds_runtime_start()
     * starts all pool_thread_count threads and waits for these functions; else each thread is started
     * when it is first needed.
     * Returns: 0; negative on one of them: the start fails, with the sentence in `error`, or the code's.
     */
    int (*on_pool_thread_start)(void *pool_context, void **state, struct cmds_error *error);
    /**
     * On each thread for which the former succeeded, or was not set, behind its last exec function:
     * when the runtime stops, after its servers have closed, or does not start.
     */
    void (*on_pool_thread_stop)(void *pool_context, void *state);
    void *pool_context;
};
#ifdef __cplusplus
#define CMDS_RUNTIME_OPTIONS_INIT cmds_detail::sized<struct cmds_runtime_options>()
#else
#define CMDS_RUNTIME_OPTIONS_INIT                                                                  \
    {                                                                                              \
        .struct_size = sizeof(struct cmds_runtime_options)                                         \
    }
#endif

/**
 * Starts the shards, and returns when every shard works. If io_uring is refused (by sysctl, seccomp,
 * kernel or memlock) it fails with one sentence that names the cause and the remedy; there is no
 * fall-back to epoll. If RLIMIT_MEMLOCK allows no further ring, it tries again for up to a second,
 * because the kernel gives a closed ring's memory back a little late, with smaller queues and fewer
 * receive buffers too: a line in the log says with how many.
 *
 * Owner:   gives *runtime: cmds_runtime_stop(). `options` and what it points to are borrowed until
 *          the return.
 * Thread:  setup.
 * Returns: 0, or why in `error` (may be NULL, as everywhere).
 */
CMDS_NODISCARD CMDS_API int cmds_runtime_start(struct cmds_runtime **runtime,
        const struct cmds_runtime_options *options, struct cmds_error *error);
/**
 * Ends all timers, closes the servers and groups that still run on it (each of them is then freed), joins
 * the threads, frees. Pending commands end with CMDS_E_CLOSED. A group takes up to a second, as with
 * cmds_group_close(), however many there are; no thread may be inside a function of a group
 * without a reference to it (cmds_group_ref). NULL is fine.
 *
 * Thread: setup, never on a shard: that ends the process; inline: the thread that turned it, or
 *         another one when that has ended. In a forked child it does nothing.
 */
CMDS_API void cmds_runtime_stop(struct cmds_runtime *runtime);

/**
 * Inline only: submits what was queued, runs what has completed, waits up to `wait_us` for
 * something to run. With an epoll loop: turn with CMDS_TURN_NOWAIT until it returns 0, then wait
 * for cmds_runtime_fd() to be readable; timers, results and posts from other threads all make it
 * so.
 *
 * Thread:  the one that turned first; any other gets -EXDEV; inside a callback -EDEADLK; in a
 *          forked child CMDS_E_FORKED.
 * Returns: how many completions, posts and timers were handled; negative on failure; -EINVAL if the
 *          runtime has threads.
 */
CMDS_API int cmds_runtime_turn(struct cmds_runtime *runtime, uint32_t wait_us);
/**
 * Inline only: readable when a turn has something to do. Owned by the runtime. Thread: any. Returns:
 * the descriptor; -EINVAL if the runtime has threads; -ENOTSUP: it is a test's, see cmds_test_runtime().
 */
CMDS_API int cmds_runtime_fd(const struct cmds_runtime *runtime);
/**
 * Does it turn new work away? From the first moment of cmds_server_shutdown(), cmds_server_close() or
 * cmds_runtime_stop(), before a listener closes, so that whoever distributes connections may be told in
 * time. False again when those servers are closed and another one accepts; false as long as there was
 * no server yet.
 *
 * Thread: any, until cmds_runtime_stop() returns.
 */
CMDS_API bool cmds_runtime_is_draining(const struct cmds_runtime *runtime);
/**
 * Lines below `level` are not made from now on. A function that on_log or on_record is
 * may drop further ones: to change the level of a program that runs, give cmds_log_stderr() and its like
 * the lowest one.
 *
 * Thread:  any, until cmds_runtime_stop() is called.
 * Returns: 0; -EINVAL: there is no such level; CMDS_E_FORKED: of a child that was forked, which has no lines.
 */
CMDS_API int cmds_runtime_set_log_level(struct cmds_runtime *runtime, enum cmds_log_level level);
/** Thread: any, until cmds_runtime_stop() is called; in a forked child it is that of the fork's moment. */
CMDS_API enum cmds_log_level cmds_runtime_log_level(const struct cmds_runtime *runtime);
/**
 * A line of the program's own, to on_record and on_log, before this returns; none if its level is below the
 * runtime's. None is left out because there are many, and left_out is 0. The record's text, level, reason
 * (CMDS_REASON_OTHER, if there is no better one), shard (CMDS_NO_SHARD, as a rule) and whatever else it is about are
 * the caller's, its time is now; the text stays as it is, without peer and command in front, but for control
 * characters, which become '?', and ends after 511 bytes.
 *
 * Owner:   borrows.
 * Thread:  any, until cmds_runtime_stop() is called; never inside on_log or on_record, which it calls.
 * Returns: 0, also if nobody wants it; -EINVAL: it does not start from CMDS_LOG_RECORD_INIT, has no text, or
 *          there is no such level; CMDS_E_FORKED: of a child that was forked, which has no lines.
 */
CMDS_API int cmds_runtime_log(struct cmds_runtime *runtime, const struct cmds_log_record *record);
/**
 * Does every shard sleep, or has it begun a turn within the last `within_ms`? If not, an exec function or
 * a callback has held one up for so long, and no connection of that shard is served. For watchdogs and
 * pages that say how a service is; cmds_server_main() asks for systemd's.
 *
 * Thread:  any, until cmds_runtime_stop() is called.
 * Returns: true for a runtime without threads: who turns it knows.
 */
CMDS_API bool cmds_runtime_turns(const struct cmds_runtime *runtime, uint32_t within_ms);
/** Thread: any. */
CMDS_API uint32_t cmds_runtime_shard_count(const struct cmds_runtime *runtime);
/**
 * The number of the shard that runs the caller. Thread: any. Returns: -ENOENT off this runtime's
 * shards.
 */
CMDS_API int cmds_runtime_current_shard(const struct cmds_runtime *runtime);

/**
 * Runs `fn` once on a shard, never inside this call.
 *
 * Thread:  any.
 * Returns: 0; -ENOBUFS: 65536 posts wait already; -EINVAL: no such shard; -ENOMEM; CMDS_E_FORKED.
 */
CMDS_NODISCARD CMDS_API int cmds_runtime_post(
        struct cmds_runtime *runtime, uint32_t shard, void (*fn)(void *context), void *context);

/* --- Time ------------------------------------------------------------------------------------- */

/**
 * The application's clock: CLOCK_MONOTONIC in ns, read anew by each call (20 to 50 ns), so that two
 * calls in one function say how long that took. It never goes back. cmds_call_received_ns() and
 * cmds_call_deadline_ns() are times of this clock, and timers count by it. In a simulation it is the
 * world's; on a thread that has used a cmds_test the time of that test, until it is closed.
 *
 * Thread: any.
 */
CMDS_API uint64_t cmds_now_ns(void);

/** A function that is to run later, for those who may want to cancel it. */
struct cmds_timer;

/**
 * Runs `fn` on a shard, once, `delay_ms` after this call; never inside this call, and never early:
 * cmds_now_ns() has passed that time when it begins. Late by what remains of a millisecond, and by what
 * holds the shard up. Timers of one shard run in the order of their time, and within one millisecond in
 * the order in which they were set there; those that other threads set count from when the shard heard of
 * them. No order is promised against posts: what is to run at once is a post.
 *
 * All memory is taken here: a timer that was set needs none when it runs. On the shard itself no lock
 * is taken, and nobody is woken. (For a call there is cmds_call_after().)
 *
 * cmds_runtime_stop() begins with the end of all timers: it waits for functions that run, and from then
 * on none does, also while servers and groups close. A timer that has not run by then never runs: what
 * its `context` is made of has to be known to the program by other means.
 *
 * Owner:   gives *timer, before `fn` can run: one call of cmds_timer_cancel(), at any time, also when `fn`
 *          has run and when the runtime has stopped. `timer` NULL: nobody cancels it, and nothing is to
 *          be given back. Keeps `context` until `fn` has run.
 * Thread:  any.
 * Returns: 0; -EINVAL: no such shard, `fn` is NULL, `delay_ms` is CMDS_NEVER (the longest is 49 days);
 *          -ENOMEM; CMDS_E_CLOSED: the runtime is stopping; CMDS_E_FORKED. *timer as it was, then.
 */
CMDS_NODISCARD CMDS_API int cmds_runtime_after(struct cmds_runtime *runtime, uint32_t shard,
        uint32_t delay_ms, void (*fn)(void *context), void *context, struct cmds_timer **timer);
/**
 * The same over and over: one period after this call, two, three, and so on, whatever `fn` takes. If the
 * shard was held up for longer than a period, what it missed is left out: `fn` runs once, and then at
 * the next of these times. So runs do not drift, never come in a burst, and two of them may be closer
 * than a period.
 *
 * Owner, Thread, Returns: as cmds_runtime_after(), and -EINVAL: `period_ms` is 0. Keeps `context` until it
 *          is cancelled, or the runtime has stopped.
 */
CMDS_NODISCARD CMDS_API int cmds_runtime_every(struct cmds_runtime *runtime, uint32_t shard,
        uint32_t period_ms, void (*fn)(void *context), void *context, struct cmds_timer **timer);
/**
 * The timer does not begin to run any more, and the handle is gone. On the timer's shard, in its own
 * function too, that is all: nothing of it runs after this. On another thread its function may be
 * running, which is told.
 *
 * Owner:   takes `timer`; NULL is fine.
 * Thread:  any; before, during and after cmds_runtime_stop().
 * Returns: 1: it would have run (again), and does not, in its own function too if it repeats; 0: it has
 *          run, or this is the function of one that runs once;
 *          -EINPROGRESS: its function runs on the shard at this moment, for the last time; CMDS_E_FORKED:
 *          nothing was done.
 */
CMDS_API int cmds_timer_cancel(struct cmds_timer *timer);
/**
 * The same, and waits for the end of a function that runs: what it uses may be freed then. The caller
 * holds no lock that the function wants.
 *
 * Owner:   takes `timer`, unless it is -EDEADLK; NULL is fine.
 * Thread:  any but another shard.
 * Returns: 1; 0; CMDS_E_FORKED; -EDEADLK: on a shard that is not the timer's.
 */
CMDS_API int cmds_timer_cancel_wait(struct cmds_timer *timer);

/**
 * One line: kernel, shards, the io_uring features in use and those that are not there. Thread: any.
 * Returns: its length, as snprintf.
 */
CMDS_API int cmds_runtime_describe(const struct cmds_runtime *runtime, char *text, size_t size);

CMDS_END_

#endif

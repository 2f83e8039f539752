/* SPDX-License-Identifier: MIT */
/*
 * What the parts of `cmdstream stress` share.
 *
 *     stress.c     options, and which of the three modes they ask for
 *     generate.c   all that is random, texts among it: plain values
 *     service.c    a server of the stress protocol, in this process
 *     supervise.c  --serve: such a server in a child process, which is ended and started again and again
 *     run.c        the clients: runtime, groups, a clock for the shards
 *     backend.c    the servers and proxies, as child processes
 *     session.c    sessions: when to send the next command
 *     caller.c     callers: threads that block in a sender
 *     draw.c       which command is next
 *     flight.c     one command from its start to its one end: every result is checked
 *     lot.c        the options of their groups
 *     guard.c      hooks and circuit breakers of the groups, and what is checked of them
 *     watch.c      descriptors and memory of this process over time
 *     report.c     the lines, and the JSON object
 *
 * Who writes what: the plan is constant from the start of the runtime on. A session and its flights belong
 * to one shard, its worker. A flight whose result comes on another shard (the own one had no connection) is
 * checked there, and given back to its worker by an atomic list. Counters are of the shard that counts, and
 * the main thread adds them up.
 */
#ifndef CMDSTREAM_TOOL_STRESS_H
#define CMDSTREAM_TOOL_STRESS_H

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <cmdstream/breaker.h>

#include "bench/certificates.h"
#include "common.h"
#include "stress/backend.h"
#include "stress/watch.h"
#include "tls.h"

enum {
    STRESS_TEXT_MAX = 1 << 16,
    STRESS_WHEEL_SIZE = 4096, // Slots of a ms; a power of two.
    STRESS_EXIT_WRONG_TEXT = 3,
    STRESS_LINE_SIZE = 1024,
    STRESS_SERVERS_MAX = 16,
};

struct stress_options {
    const char *serve, *connect, *codec, *server_stop, *dispatch, *chaos_faults, *chaos_every;
    double duration, warmup, report;
    double fail_prob, echo_prob, large_prob, delay_prob, short_prob, forget_prob;
    double no_pause_prob, workload_pause_prob, resend_prob, veto_prob, breaker_failure_rate;
    double rate;
    uint32_t seed, sessions, in_flight, clients, window, slow_sessions, slow_clients, callers,
            threads;
    uint32_t stream_max, payload_max, delay_max_ms, deadline_ms, short_max_ms;
    uint32_t workload_pause_max_ms, keepalive_pause_max_ms, keepalive_time_ms,
            keepalive_interval_ms;
    uint32_t reconnect_delay_max_ms, breaker_window_size, breaker_open_ms,
            breaker_success_threshold;
    uint32_t servers, server_shards, server_up_max_ms, server_down_max_ms, server_stall_max_ms;
    bool like_go, no_breaker, chaos, json, verbose;
    struct tool_tls tls;
};

/* Those who send, by their manner; each lot has connections of its own. */
enum stress_lots {
    STRESS_LOT_FAST,
    STRESS_LOT_SLOW,    // With pauses.
    STRESS_LOT_CALLERS, // Blocking.
    STRESS_LOTS
};

/* --- What is counted ---------------------------------------------------------------------------- */

/* (name of a member, what it is). All grow only. */
#define STRESS_COUNTERS(X)                                                                         \
    X(begun, "commands begun: taken, or refused for good")                                         \
    X(ended, "... of those: ended, each exactly once")                                             \
    X(echo, "echoes with the right answer")                                                        \
    X(stream, "streams with all their items")                                                      \
    X(fail, "commands that had to fail, and did by losing their connection")                       \
    X(items, "items of streams")                                                                   \
    X(blocked, "refused by the circuit breaker")                                                   \
    X(vetoed, "refused by a hook, as it was to")                                                   \
    X(hooked, "commands that hooks let pass")                                                      \
    X(hook_ends, "... of those: their ends, as hooks saw them")                                    \
    X(keepalive, "pauses that are long enough for pings")                                          \
    X(late, "results that came after their command had ended")                                     \
    X(send_timeouts, "commands that had not left at their deadline")                               \
    X(result_timeouts, "commands without their last result at their deadline")                     \
    X(cancelled, "commands that were forgotten on purpose")                                        \
    X(network, "commands that ended with their connection, or found none")                         \
    X(unexpected, "commands that ended with an error that should not be")                          \
    X(verify, "results or ends that are wrong")                                                    \
    X(full, "sends that had to wait for room")                                                     \
    X(ups, "connections that came up")

#define STRESS_MEMBER_(name, about) uint64_t name;
#define STRESS_ATOMIC_(name, about) _Atomic uint64_t name;
struct stress_counters {
    STRESS_COUNTERS(STRESS_MEMBER_)
};
/* One writer each: the shard. */
struct stress_counts {
    STRESS_COUNTERS(STRESS_ATOMIC_)
};
#undef STRESS_MEMBER_
#undef STRESS_ATOMIC_

#define STRESS_VETO                (-EACCES) // What a hook refuses a command with.
#define STRESS_COUNT(worker, name) stress_add(&(worker)->counts.name, 1)
static inline void stress_add(_Atomic uint64_t *counter, uint64_t count)
{
    uint64_t old = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, old + count, memory_order_relaxed);
}

/* --- Sessions ------------------------------------------------------------------------------------ */

enum stress_kind {
    STRESS_KIND_ECHO,
    STRESS_KIND_STREAM,
    STRESS_KIND_FAIL
};

enum stress_flight_state {
    STRESS_FLIGHT_FREE, // In its session's list; a result for it now is one too many.
    STRESS_FLIGHT_OUT,  // Its command was taken, or is being sent.
};

/*
 * One command. Between two commands it waits until all other flights of its session have been used, so
 * that a result after the last one finds it free.
 */
struct stress_flight {
    struct stress_session *session;
    struct stress_flight *next; // Free, or given back by another shard.
    uint64_t number;
    uint64_t sequence;         // On its connection; 0: no result yet.
    uint32_t count, size, got; // Of a stream: items, the most of each, those that came.
    uint8_t kind;              // enum stress_kind
    bool veto;                 // A hook is to refuse it.
    _Atomic uint8_t state;     // enum stress_flight_state
};

enum stress_session_state {
    STRESS_SESSION_READY,  // In no list; has a command or more out, or is about to.
    STRESS_SESSION_PAUSED, // In the wheel, until `due_ms`.
    STRESS_SESSION_FULL,   // In the worker's list `full`: no room; on_writable will tell.
    STRESS_SESSION_THIRST, // In the worker's list `thirsty`: the rate allows no command now.
};

struct stress_session {
    struct stress_worker *worker;
    struct stress_lot *lot;
    struct stress_flight *first, **end; // Free flights, the one that is free for longest first.
    struct stress_session *next;        // In the list that its state names.
    uint64_t due_ms;
    uint64_t index, drawn; // Of all sessions; commands so far.
    uint32_t out;          // Commands.
    uint8_t state;         // enum stress_session_state
};

struct stress_ticket_due {
    struct cmds_ticket ticket;
    struct stress_lot *lot;
};
enum {
    STRESS_FORGETS_MAX = 64
};

/* A shard's. */
struct stress_worker {
    _Alignas(64) struct stress_counts counts;
    _Atomic bool ticking;  // A tick was posted and has not run.
    _Atomic bool writable; // on_writable ran, perhaps on another shard: for the next tick.
    // Sessions that wait for room, at the end of a tick when all is to stop.
    _Atomic uint32_t waiting;
    _Alignas(64) _Atomic(struct stress_flight *) returned;

    _Alignas(64) struct stress *stress;
    struct stress_session *wheel[STRESS_WHEEL_SIZE];
    struct stress_session *full, *thirsty;
    uint64_t now_ms;
    double allowance; // Commands that the rate allows now.
    struct stress_ticket_due forgets[STRESS_FORGETS_MAX];
    uint32_t forget_count;
    uint32_t index;
    char text[STRESS_TEXT_MAX];
};

/* Sessions of one manner, and their connections. */
struct stress_lot {
    struct stress *stress;
    _Atomic(struct cmds_group *) group;
    uint32_t sessions, in_flight, clients, window;
    enum stress_lots manner;
    struct cmds_hooks hooks;
    const struct cmds_hooks *hooks_list[1];
    struct cmds_breaker *breaker; // NULL: none.
    uint64_t opened, refused;     // What it came to, when all is closed.
};

struct stress {
    struct stress_options options;
    const struct cmds_codec *codec;
    struct cmds_tls *tls; // NULL: plain.
    struct bench_certificates certificates;
    enum cmds_log_level log_level;

    struct stress_backend backends[STRESS_SERVERS_MAX];
    uint32_t backend_count;
    char addresses[STRESS_SERVERS_MAX * TOOL_CHILD_ADDRESS_SIZE]; // With commas.
    struct cmds_runtime *runtime;
    struct stress_lot lots[STRESS_LOTS];
    struct stress_worker *workers; // Of shards, then of callers.
    uint32_t worker_count;         // Of shards.
    struct cmds_sender *sender;    // The callers'.
    struct stress_caller *callers;
    uint32_t caller_count;
    struct stress_session *sessions;
    struct stress_flight *flights;
    uint32_t session_count;
    _Atomic bool stopping; // No session begins a command any more.

    struct stress_watch watch;
    uint64_t start_ns, end_ns;
    uint64_t left;          // Commands that never ended.
    uint64_t resent, pings; // As the groups say.
    uint64_t never_woken;   // Sessions that wait for room, though there is.
    int signal;             // That ended the load; 0: its time did.

    pthread_mutex_t mutex; // Of the rest.
    struct cmds_error first_unexpected, first_wrong;
    uint32_t complaints;
};

/* flight.c */
/** Looks at a result of this flight, and counts it. Returns: it was the last one, the flight is free. */
bool stress_flight_result(
        struct stress_worker *here, struct stress_flight *flight, const struct cmds_result *result);
/** on_unexpected of a group; `context` is its lot. */
void stress_on_late(void *context, const struct cmds_result *result);
/** Counts an end by an error. */
void stress_count_error(struct stress_worker *worker, const struct stress_flight *flight, int code,
        const char *text);
/** Counts what must not be, and says it on stderr, up to a bound. Thread: any shard. */
void stress_wrong(struct stress_worker *worker, uint64_t number, const char *what);
/** The worker of the shard that this runs on, or of this thread. */
struct stress_worker *stress_worker_here(struct stress *stress);
/** This thread is no shard; it is that worker. */
void stress_worker_be(struct stress_worker *worker);

/* session.c */
/** Workers, sessions, flights of all lots. Returns: 0, -ENOMEM. */
int stress_sessions_make(struct stress *stress);
void stress_sessions_free(struct stress *stress);
/** Posted to each shard about once a ms; `context` is its worker. */
void stress_tick(void *context);
/** on_writable of a group; `context` is its lot. */
void stress_on_writable(void *context);
struct stress_counters stress_sum(const struct stress *stress);

/* guard.c */
/** Puts a lot's hooks, and its breaker unless there is to be none, into the options. */
int stress_guard_make(
        struct stress_lot *lot, struct cmds_group_options *options, struct cmds_error *error);
/** After the runtime has stopped. */
void stress_guard_free(struct stress_lot *lot);

/* lot.c */
/** Is it a value of --dispatch? */
bool stress_lot_knows(const char *dispatch);
/** All but the callers' is a group of its own. Returns: 0; negative, see `error`. */
int stress_lot_options(
        struct stress_lot *lot, struct cmds_group_options *options, struct cmds_error *error);

/* caller.c */
int stress_callers_start(struct stress *stress, struct cmds_error *error);
/** Waits for the last command of each. */
void stress_callers_end(struct stress *stress);

/* service.c: the servers' side */
int stress_serve_here(const struct stress *stress);
/* supervise.c */
/** Is it a value of --server-stop? */
bool stress_supervise_knows(const char *way);
int stress_supervise(const struct stress *stress);

/* run.c */
int stress_run(struct stress *stress);

/* report.c */
/** The lines of the report. */
void stress_report(const struct stress *stress, FILE *out);
void stress_report_json(const struct stress *stress);
/** What makes the exit status 1, a line each on stderr. Returns: there is something. */
bool stress_has_failed(const struct stress *stress);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * What the parts of `bench` share.
 *
 *     bench.c     options, CPUs, the order of things
 *     own.c       the subject: commands of a protocol of one's own, or
 *     test.c      those of the test protocol, whose answers are checked
 *     server.c    for them a server in a child process
 *     certificates.c  what that one needs for TLS
 *     secure.c    the client's TLS, and what the two sides agreed on
 *     load.c      lanes: one command in flight each, answers checked; runs on the client's shards
 *     run.c       three ways to drive it: the runtime's shards, threads that turn their own runtime, blocking callers
 *     watch.c     hooks and a circuit breaker around each command
 *     report.c    the table and the JSON object
 *
 * Who writes what: the plan is constant from the moment the load starts, but for its two ends,
 * which the main thread moves to now when a signal ends the measurement. A worker (a shard, or a
 * thread of ours) owns its struct bench_worker; the main thread reads only its atomic counters
 * until the worker has ended.
 */
#ifndef CMDSTREAM_TOOL_BENCH_H
#define CMDSTREAM_TOOL_BENCH_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/histogram.h"
#include "clock.h"
#include "common.h"
#include "memory.h"
#include "tls.h"
#include "wait.h"

enum {
    BENCH_STRING_RANDOM_MAX = 1006, // The Go benchmark's data: uniform 0..1006.
    BENCH_TEXT_OFFSETS = 1024,      // Strings start anywhere in so much text; a power of two.
    BENCH_LANES_MAX = 1 << 22,
    BENCH_WAIT_SIZE = 320,
    BENCH_CIPHER_SIZE = 64,
    BENCH_PID_MAX = 1 << 22, // The kernel's; the clock of a greater one would be another clock.
    BENCH_EXIT_SIGNAL = 128, // And the signal's number, as a shell has it.
};

#define BENCH_UNSET    UINT32_MAX
#define BENCH_RATE_MIN 0.001

struct bench_options {
    const char *connect, *codec, *command, *value, *string_size, *dispatch, *server_info;
    double rate, duration, warmup;
    uint32_t conns, in_flight, threads, callers, light, idle;
    uint32_t stream_count, stream_size, sleep_ms, work_us, burn_us, deadline_ms;
    uint32_t spin_us, client_spin_us, server_spin_us;
    uint32_t server_shards, server_workers, server_pid;
    bool blocking, sender_single, own_threads, share, spin_always, no_pin, json, progress, hooks;
    struct tool_tls tls;
};

struct bench;
struct bench_certificates;
struct bench_lane;
struct bench_report;
struct bench_server;
struct tool_command;
struct tool_line;
struct tool_rule;

/* Room for any command that is made anew for each send. */
union bench_value {
    max_align_t align;
    char bytes[128];
};

/* What is measured. */
struct bench_subject {
    const struct tool_command *command; // The options.
    const struct tool_rule *rules;
    size_t rule_count;
    /** Its own options, and what follows from them. Returns: false, and a line on stderr. */
    bool (*take)(struct bench *bench, const struct tool_line *line);
    /** Memory, certificates for its own server. Returns: 0; negative, and a line on stderr. */
    int (*open)(struct bench *bench);
    /** Its own server on these CPUs. Returns: 0, negative. NULL: it has none. */
    int (*start)(struct bench *bench, const uint16_t *cpus, uint32_t cpu_count);
    void (*stop)(struct bench_server *server);
    void (*close)(struct bench *bench);
    /** The lane's next command, which may be built in `value`. */
    struct cmds_message (*message)(struct bench_lane *lane, union bench_value *value);
    /** Is this the answer to it? */
    bool (*is_right)(struct bench_lane *lane, const struct cmds_result *result);
    /** Its own parameters, for --json. */
    void (*report)(const struct bench *bench, struct bench_report *report);
};

/* Constant while the load runs, but for the atomic ones. */
struct bench_plan {
    const struct bench_subject *subject;
    const struct cmds_protocol *protocol;
    const struct cmds_type *type; // Of all commands.
    const void *value;            // Of a subject whose commands are all the same.
    int kind;                     // The subject's own.
    bool multi;                   // A command may have several results.
    struct tool_clock clock;
    const struct cmds_codec *codec;
    struct cmds_bytes server_info;
    char *text;    // Printable, random; BENCH_TEXT_OFFSETS + string_max bytes.
    char *pattern; // What a stream's item must hold; stream_size bytes.
    uint32_t string_min, string_max;
    uint32_t deadline_ms;
    bool sticky;         // Each connection keeps its own commands in flight.
    double due_interval; // Open loop: ticks between two commands of one worker; 0: closed loop.
    /*
     * Ticks, set just before the load starts. A command counts if it begins in [measure_from, end).
     * In the open loop one that was due is sent until `send_until`: so each has had its deadline
     * before the load is given up, and none ends by our own close.
     */
    uint64_t start, measure_from;
    _Atomic uint64_t end, send_until, give_up;
};
/* Relaxed: any command near an end may fall on either side of it. */
static inline uint64_t bench_at(const _Atomic uint64_t *ticks)
{
    return atomic_load_explicit(ticks, memory_order_relaxed);
}

/* One command in flight at most. A cache line, written by its worker only. */
struct bench_lane {
    struct bench_worker *worker;
    struct cmds_group *group;
    struct cmds_send_options *how; // Names the connection, for the sticky dispatch.
    uint64_t began;                // Ticks: sent, or in the open loop when it was due.
    const char *text;
    int64_t number;          // Of the echo; of the stream's next item.
    struct bench_lane *next; // Free, or waiting for room in the window.
    uint32_t text_size;
    bool light;
};
_Static_assert(sizeof(struct bench_lane) == 64, "a lane is a cache line");

struct bench_worker {
    // These four: written by the worker, read by the main thread.
    _Alignas(64) _Atomic uint64_t commands;
    _Atomic uint64_t results;
    _Atomic uint64_t bytes; // Bodies of results.
    _Atomic uint64_t errors;

    _Alignas(64) const struct bench_plan *plan;
    struct bench *bench;
    uint64_t random;
    int64_t numbers;
    uint32_t live; // Lanes that are neither free nor retired.
    uint32_t lane_count;
    struct bench_lane *lanes;
    struct cmds_send_options *hows;
    struct bench_lane *stalled; // Sent when the window has room again.
    struct bench_lane *free;    // Open loop.
    uint64_t due_count;         // Open loop: commands begun or due so far.
    uint64_t unsent;            // Open loop: due before the end and never sent.
    sem_t *done;                // Posted when `live` has come down to 0; may be NULL.
    struct cmds_error first_error;

    /* Threads of ours only. */
    pthread_t thread;
    sem_t go; // The times are set, or the run is off.
    struct cmds_runtime *runtime;
    struct cmds_group *group;
    struct cmds_sender *sender;
    struct bench_lane caller; // A blocking caller's one command.
    uint32_t index;
    bool group_closed;

    struct cmdi_histogram latency;
    struct cmdi_histogram light;
};

struct bench_server {
    pid_t pid;  // Whose CPU time is counted; 0: unknown.
    bool own;   // A child of ours.
    int output; // Its stdout.
    char address[256];
};

/* What the first handshake came to; written on its shard, read when all connections have closed. */
struct bench_secured {
    atomic_flag known;
    uint8_t version; // 0: none. 12, 13.
    char cipher[BENCH_CIPHER_SIZE];
};

/* Sums at one moment. */
struct bench_sample {
    uint64_t at_ns, commands, results, bytes;
    uint64_t client_cpu_ns;
    int64_t server_cpu_ns; // -1: unknown.
};

/* Of --hooks. */
struct bench_watch {
    struct cmds_breaker *breaker;
    struct cmds_hooks hooks;
    const struct cmds_hooks *list[1];
    _Atomic uint64_t wrong; // Commands whose end had not what their beginning left there.
};

struct bench {
    struct bench_options options;
    struct bench_plan plan;
    struct bench_server server;
    uint16_t client_cpus[TOOL_CPUS_MAX];
    uint32_t client_cpu_count;
    struct cmds_runtime *runtime, *idle_runtime;
    struct cmds_group *group, *light_group, *idle_group;
    struct bench_worker *workers;
    uint32_t worker_count;
    struct cmds_sender *sender;
    sem_t ready;          // Threads of ours: connected, or failed.
    sem_t done;           // A worker has no command in flight and will send no more.
    sem_t closed;         // A group has closed.
    bool off;             // Written before `go` is posted: do not start.
    int signal;           // That ended the measurement; 0: its time did.
    struct cmds_tls *tls; // NULL: plain.
    struct bench_watch watch;
    struct bench_secured secured;
    const struct bench_certificates *certificates; // Of its own server; NULL: none.
    struct tool_memory memory;                     // Of a value that was given.
    void *value;
    struct tool_wait wait; // Until the load starts.
    char wait_text[BENCH_WAIT_SIZE];
    uint64_t start_ns, measure_ns; // The load begins, the measurement.
    const char *phase;             // For the progress line.
    struct bench_sample from, to;
    enum cmds_log_level log_level;
};

/* watch.c. Returns: 0; -ENOMEM. */
int cmdi_bench_watch_open(struct bench *bench);
void cmdi_bench_watch_set(const struct bench *bench, struct cmds_group_options *options);
/* Returns: commands whose hooks were wrong. */
uint64_t cmdi_bench_watch_close(struct bench *bench);
/* load.c */
extern const struct cmds_dispatch cmdi_bench_dispatch_sticky;
/**
 * Room for `conns` x `in_flight` lanes of `group` and `light` more of `light_group`. Returns: 0,
 * -ENOMEM.
 */
int cmdi_bench_worker_fill(struct bench_worker *worker, struct cmds_group *group, uint32_t conns,
        uint32_t in_flight, struct cmds_group *light_group, uint32_t light);
/** Sends what each lane has to send first; in the open loop nothing yet. Worker's thread. */
void cmdi_bench_worker_start(struct bench_worker *worker);
/** The window has room again. Worker's thread. */
void cmdi_bench_worker_on_writable(struct bench_worker *worker);
/**
 * Open loop: sends all that is due. Returns: ticks until the next is due; UINT64_MAX: no more.
 * Worker's thread.
 */
uint64_t cmdi_bench_worker_send_due(struct bench_worker *worker, uint64_t now);
/**
 * Open loop, at the end: what was due and never sent has waited until now, or until nothing was
 * sent any more, and counts so.
 */
void cmdi_bench_worker_count_unsent(struct bench_worker *worker, uint64_t now);
/** Checks one good result and counts it. Returns: it was the last one of its command. */
bool cmdi_bench_lane_take(struct bench_lane *lane, const struct cmds_result *result);
/** Counts a command that is over, and remembers how long it took. */
void cmdi_bench_lane_end(struct bench_lane *lane, uint64_t now);
/** Counts one error; the first one's text is reported. */
void cmdi_bench_worker_error(struct bench_worker *worker, int code, const char *text);

/* run.c */
/**
 * Connects, loads, measures, closes. From the start of the load to the end of the measurement the
 * first SIGINT or SIGTERM ends the latter; any other has its usual effect.
 *
 * Returns: 0; else `error` says what could not be started.
 */
int cmdi_bench_run(struct bench *bench, struct cmds_error *error);
/** User and system time of the server's process so far. Returns: -1 if it cannot be read. */
int64_t cmdi_bench_server_cpu_ns(const struct bench_server *server);

/* bench.c */
/** `argv[0]` is the sub-command's name. Returns: the exit status. */
int cmdi_bench_main(int argc, char **argv, const struct bench_subject *subject);
/** One line on stderr. Returns: false. */
bool cmdi_bench_refuse(const char *text);

/* secure.c */
/**
 * With --tls: the client's.
 *
 * Returns: 0; negative, and a line on stderr.
 */
int cmdi_bench_secure_open(struct bench *bench);
/** After all connections. */
void cmdi_bench_secure_close(struct bench *bench);

/* report.c */
/** A member of the object of --json. NULL is null. */
void cmdi_bench_report_text(struct bench_report *report, const char *name, const char *value);
void cmdi_bench_report_count(struct bench_report *report, const char *name, uint64_t value);
void cmdi_bench_report(struct bench *bench);
uint64_t cmdi_bench_errors(const struct bench *bench);

#endif

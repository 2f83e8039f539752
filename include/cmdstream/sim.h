/* SPDX-License-Identifier: MIT */
/*
 * A world in a box: whole programs, servers and clients, over a simulated network, by a simulated
 * clock, with faults that are drawn by one seed. The same seed is the same run, event by event.
 *
 * A program that links cmdstream::sim (the library `cmdstream_sim`) in place of cmdstream::cmdstream
 * runs here as it is: its runtimes, servers, groups and senders, its own threads (pthread_create, exit),
 * mutexes, rwlocks, condition variables and semaphores, its clocks (clock_gettime, time) and its sleeps
 * (nanosleep, usleep, sleep, sched_yield) are those of the world. All of them run on the one thread that
 * called cmds_sim_run(), and change over only where they wait, lock, or ask the library for something. So
 * nothing is ever really at the same time, whatever could be comes in every order, and an hour of waiting
 * takes no time.
 *
 *     world      hosts, joined by links that delay, break and heal
 *     host       an address (10.0.0.1 and so on) and, as its name, that of its first process
 *     process    a main function; descriptors, threads and memory of its own; killed, stopped, started
 *
 * What a program must not do here: keep state in global variables that a restart of its process should
 * forget (it lies in the one memory that all processes share), or in variables of a thread (all threads
 * share one: _Thread_local, pthread_key_create), ask the kernel itself (files, sockets and epoll of its
 * own; cmds_runtime_fd), depend on addresses in memory, or wait busily without any call.
 *
 * One world at a time, on one thread. "Inside" means: on a thread of a process of the world, which its
 * main function and whatever the library calls back are.
 */
#ifndef CMDSTREAM_SIM_H
#define CMDSTREAM_SIM_H

#include <cmdstream/base.h>

CMDS_BEGIN_

/** A world. */
struct cmds_sim;
/** Of a world: valid until cmds_sim_close(), also after its end. */
struct cmds_sim_process;

/** Faults that the world draws by itself, for cmds_sim_options.faults. */
enum cmds_sim_fault {
    CMDS_SIM_DELAYS = 1, // Latency that jumps; links that clog for a while; bytes in any pieces.
    CMDS_SIM_CUTS = 2,   // Connections that are reset.
    CMDS_SIM_PARTITIONS = 4, // Hosts that do not reach each other, in one direction or both.
    CMDS_SIM_RESTARTS = 8,   // Daemons that are killed, or whose host loses power, and start again.
    CMDS_SIM_STALLS = 16,    // Processes that stand still for a while; threads that get no CPU.
    CMDS_SIM_KERNEL = 32,    // Descriptors, buffers, backlogs run out; operations end early.
    CMDS_SIM_MEMORY = 64,    // malloc that returns NULL, for the library and for the program.
    CMDS_SIM_NAMES = 128,    // Name services that are slow, dead, or say what is no longer true.
    CMDS_SIM_WALL_CLOCK = 256 // The time of day that jumps. Deadlines and timers do not follow it.
};
enum {
    CMDS_SIM_NO_FAULTS = 0,
    CMDS_SIM_ALL_FAULTS = 511
};

/** Start from CMDS_SIM_OPTIONS_INIT. A field left at zero takes the default beside it. */
struct cmds_sim_options {
    uint32_t struct_size; // Set by CMDS_SIM_OPTIONS_INIT.
    uint32_t faults;      // Bits of enum cmds_sim_fault. Default none.
    uint64_t seed;        // All that is left to chance follows from it, and from nothing else.
    // From one drawn fault of the network or of a process to the next, on average. Default 500.
    uint32_t fault_interval_ms;
    // From then on no fault begins, and those that last end: what is left has to settle. Default 10000.
    uint32_t faults_until_ms;
    // A run that is not over by then has failed. Of the world's time; default 600000.
    uint32_t time_max_ms;
    uint32_t latency_us;   // One way, on average, of a link without a fault. Default 100.
    uint32_t bytes_per_ms; // Of a link, in each direction. Default 1000000: 8 Gbit/s.
    // Of each host: shards of a runtime that names no number. Default 2, at most 256.
    uint32_t cpu_count;
    uint32_t file_count_max; // Descriptors of a process. Default 1024, at least 16.
    uint32_t event_count;    // Last events that a failure tells. Default 64.
    // Every event, as a line, when it happens: to see what a seed does. NULL: none. It runs outside.
    void (*on_event)(void *context, const char *text);
    void *event_context;
};
#ifdef __cplusplus
#define CMDS_SIM_OPTIONS_INIT cmds_detail::sized<struct cmds_sim_options>()
#else
#define CMDS_SIM_OPTIONS_INIT                                                                      \
    {                                                                                              \
        .struct_size = sizeof(struct cmds_sim_options)                                             \
    }
#endif

/** A program to run as a process. Start from CMDS_SIM_PROGRAM_INIT(name, main). */
struct cmds_sim_program {
    uint32_t struct_size; // Set by CMDS_SIM_PROGRAM_INIT.
    // It runs until it is asked to end: cmds_sim_run() does that when all others have returned.
    bool daemon;
    uint8_t unused[3];
    // Also the name to connect to, "shop:9000", unless `host` is given. 1 to 63 characters, none of
    // them a space or of ",:/[]"; no other process has it.
    const char *name;
    // Default: a host of its own, with this name. Processes that give the same name share an address.
    const char *host;
    // Runs as the process's first thread, anew after each restart. Its end is that of the process, and
    // what it has not closed and freed is closed and freed. It returns 0, or what has failed.
    int (*main)(void *context);
    void *context; // Survives restarts, as a disk does.
};
#ifdef __cplusplus
extern "C++" {
namespace cmds_detail
{
inline struct cmds_sim_program sim_program(const char *name, int (*main)(void *context))
{
    struct cmds_sim_program program = sized<struct cmds_sim_program>();
    program.name = name;
    program.main = main;
    return program;
}
} // namespace cmds_detail
}
#define CMDS_SIM_PROGRAM_INIT(name_, main_) cmds_detail::sim_program(name_, main_)
#else
#define CMDS_SIM_PROGRAM_INIT(name_, main_)                                                        \
    {                                                                                              \
        .struct_size = sizeof(struct cmds_sim_program), .name = (name_), .main = (main_)           \
    }
#endif

/** What has happened in a run. */
struct cmds_sim_report {
    uint32_t struct_size;  // Set by CMDS_SIM_REPORT_INIT.
    uint32_t faults_drawn; // Of the network and of processes.
    uint64_t hash;         // Of all events: two runs with the same one were the same.
    uint64_t event_count;
    uint64_t time_ns;                                     // Of the world.
    uint64_t switch_count;                                // From one thread to another.
    uint64_t connection_count, segment_count, byte_count; // Of the network.
    // Of processes that returned from main: what they had not given back. Threads: those that ran, or that
    // nobody had joined.
    uint64_t blocks_left, bytes_left, files_left, threads_left;
};
#ifdef __cplusplus
#define CMDS_SIM_REPORT_INIT cmds_detail::sized<struct cmds_sim_report>()
#else
#define CMDS_SIM_REPORT_INIT                                                                       \
    {                                                                                              \
        .struct_size = sizeof(struct cmds_sim_report)                                              \
    }
#endif

/* --- A run. Thread: the one that opens it, not inside ------------------------------------------ */

/**
 * Gives *sim: cmds_sim_close(). Returns: 0; -EINVAL; -EBUSY: there is one already. Without memory of
 * its own the simulation ends the program, here and later, and says so.
 */
CMDS_NODISCARD CMDS_API int cmds_sim_open(
        struct cmds_sim **sim, const struct cmds_sim_options *options, struct cmds_error *error);
/**
 * Adds a process; it starts when the world runs, daemons some ms before all others, or at once if it
 * does. Strings are copied. `process` may be NULL. Thread: also inside. Returns: 0; -EINVAL; -EEXIST:
 * the name.
 */
CMDS_NODISCARD CMDS_API int cmds_sim_start(struct cmds_sim *sim,
        const struct cmds_sim_program *program, struct cmds_sim_process **process,
        struct cmds_error *error);
/**
 * Runs until every process that is no daemon has returned, asks the daemons to end, and waits for them
 * as well.
 *
 * Returns: 0; CMDS_E_SIM: the run has failed, and `error` says how, the seed and the last events come
 *          before it on stderr: a main function that did not return 0, cmds_sim_fail(), no thread that
 *          could go on, one that made 20 million calls without a wait, time_max_ms.
 */
CMDS_NODISCARD CMDS_API int cmds_sim_run(struct cmds_sim *sim, struct cmds_error *error);
/** Of the run so far. Sets no more than report->struct_size bytes. Thread: also inside. */
CMDS_API void cmds_sim_stats(const struct cmds_sim *sim, struct cmds_sim_report *report);
/** Ends what still runs, as if killed, and frees everything. NULL is fine. */
CMDS_API void cmds_sim_close(struct cmds_sim *sim);

/* --- For the programs of the world. Inside ------------------------------------------------------ */

/** The world that the caller is in; NULL: it is not inside. Thread: any. */
CMDS_API struct cmds_sim *cmds_sim_current(void);
/** Of the caller. */
CMDS_API struct cmds_sim_process *cmds_sim_self(void);
/** A number by the seed. Also outside: a workload can be drawn before the run. */
CMDS_API uint64_t cmds_sim_random(struct cmds_sim *sim);
/** Since the world began. Thread: also outside. */
CMDS_API uint64_t cmds_sim_now_ns(const struct cmds_sim *sim);
CMDS_API void cmds_sim_sleep_ms(uint32_t ms);
/**
 * An event of the program's own: it is hashed and shown with the others; what is beyond 159 bytes is
 * cut off. printf. Also outside.
 */
CMDS_API void cmds_sim_note(struct cmds_sim *sim, const char *format, ...)
        __attribute__((format(printf, 2, 3)));
/** The run has failed, and ends at the caller's next wait. The first to say so is heard. printf. */
CMDS_API void cmds_sim_fail(struct cmds_sim *sim, const char *format, ...)
        __attribute__((format(printf, 2, 3)));
/** Waits until the caller's process is asked to end, as cmds_server_main() does. */
CMDS_API void cmds_sim_wait_stop(void);
/** It has been asked to. */
CMDS_API bool cmds_sim_stopping(void);

/* --- Faults by name. Inside, or before the run -------------------------------------------------- */

/** Asks a process to end (SIGTERM). */
CMDS_API void cmds_sim_terminate(struct cmds_sim_process *process);
/** Ends it where it stands (SIGKILL); its peers see what a kernel sends then. Of the caller: no return. */
CMDS_API void cmds_sim_kill(struct cmds_sim_process *process);
/** As kill, but of its host: nobody is told, and what is sent there vanishes until it starts again. */
CMDS_API void cmds_sim_power_off(struct cmds_sim_process *process);
/** Starts one that has ended or is about to; nothing if it runs, or if the world does not yet. */
CMDS_API void cmds_sim_restart(struct cmds_sim_process *process);
CMDS_API bool cmds_sim_is_running(const struct cmds_sim_process *process);
/** How often it has been started. */
CMDS_API uint32_t cmds_sim_start_count(const struct cmds_sim_process *process);
/** It stands still so long (SIGSTOP, SIGCONT). */
CMDS_API void cmds_sim_stall(struct cmds_sim_process *process, uint32_t ms);
/** Nothing gets from the one's host to the other's until it is healed. */
CMDS_API void cmds_sim_block(struct cmds_sim_process *from, struct cmds_sim_process *to);
CMDS_API void cmds_sim_unblock(struct cmds_sim_process *from, struct cmds_sim_process *to);
/** Adds so much to the latency between the two hosts, until it is set to 0. */
CMDS_API void cmds_sim_slow(
        struct cmds_sim_process *one, struct cmds_sim_process *other, uint32_t latency_ms);
/** Resets every connection between the two hosts. Returns: how many there were. */
CMDS_API uint32_t cmds_sim_cut(struct cmds_sim_process *one, struct cmds_sim_process *other);
/** All links work, and nothing is slow or stands still. */
CMDS_API void cmds_sim_heal(struct cmds_sim *sim);
/**
 * From now on `name` means these addresses ("10.0.0.1,10.0.0.2"), and none if it is empty; NULL: what
 * it meant before. At most 32. Returns: 0; -EINVAL.
 */
CMDS_API int cmds_sim_set_name(struct cmds_sim *sim, const char *name, const char *addresses);
/** "10.0.0.1": where its host is reached. */
CMDS_API const char *cmds_sim_address(const struct cmds_sim_process *process);
/** The time of day jumps by so much. */
CMDS_API void cmds_sim_jump_wall_clock(struct cmds_sim *sim, int64_t ms);

CMDS_END_

#endif

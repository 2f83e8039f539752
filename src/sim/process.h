/* SPDX-License-Identifier: MIT */
/*
 * The world as a whole, its hosts, and its processes: when they start, stand still, and end.
 *
 * A process is a crew of threads with descriptors, parts and memory. Whatever ends it, its threads stop
 * at once, and the loop clears up behind them in the order of a kernel: threads, parts, descriptors,
 * memory. So it may end itself, and whoever ends it needs not be in the loop.
 */
#ifndef CMDI_SIM_PROCESS_H
#define CMDI_SIM_PROCESS_H

#include <netinet/in.h>

#include "sim/scheduler.h"
#include "sim/world.h"

enum cmdi_process_state {
    CMDI_PROCESS_PLANNED, // It was never started.
    CMDI_PROCESS_RUNNING,
    CMDI_PROCESS_ENDING, // None of its threads runs any more; the loop is going to clear up.
    CMDI_PROCESS_ENDED,  // Its main function has returned.
    CMDI_PROCESS_KILLED,
};

struct cmds_sim_process {
    struct cmdi_list link; // Of the world.
    struct cmdi_sim_crew crew;
    struct cmdi_sim_host *host;
    char *name;
    int (*main)(void *context);
    void *context;
    uint32_t number; // From 1 on.
    uint32_t start_count;
    uint8_t state; // enum cmdi_process_state.
    bool daemon;
    char address[INET_ADDRSTRLEN];
    bool killed;                     // ENDING: not by itself.
    bool restart_wanted;             // ENDING: it starts again at once.
    bool stop_asked;                 // Since it was started.
    uint32_t stops_pending;          // Signals that nobody has taken.
    struct cmdi_sim_queue signalled; // Threads that wait to be asked to end.
    struct cmdi_event clear, resume, restart;
    uint32_t threads_left; // ENDING: beside the one whose return has ended it.
    struct cmdi_list parts;
    struct cmdi_file **files; // By number.
    uint32_t file_capacity, file_count;
    uint32_t file_adds; // Since it was started.
    uint64_t counted;   // Since it was started: see cmdi_process_next_number().
};

struct cmds_sim {
    struct cmds_sim_options options;
    struct cmdi_list hosts, processes;
    uint32_t host_count, process_count;
    bool runs;   // cmds_sim_run() was called.
    bool ending; // What is no daemon has returned.
    uint32_t faults_drawn;
    uint64_t blocks_left, bytes_left, files_left, threads_left;
};
/** NULL: there is none. */
struct cmds_sim *cmdi_sim_world(void);
void cmdi_sim_set_world(struct cmds_sim *sim);

/** NULL: there is none with that name. */
struct cmdi_sim_host *cmdi_sim_host_named(const char *name);
/** "10.0.0.1". */
void cmdi_sim_host_text(const struct cmdi_sim_host *host, char *text, size_t size);
/** names.c: the addresses that a name means now. Returns: how many, at most `max`; 0: nobody knows it. */
uint32_t cmdi_sim_look_up(const char *name, struct in_addr *addresses, uint32_t max);
/** See cmds_sim_set_name(); `drawn`: by a fault, on top of that. Returns: 0; -EINVAL. */
int cmdi_sim_set_name(const char *name, const char *addresses, bool drawn);
void cmdi_sim_names_begin(void);
void cmdi_sim_names_end(void);

/** The caller's; NULL: the loop. */
struct cmds_sim_process *cmdi_process(void);

/** Returns: NULL: the name is taken. */
struct cmds_sim_process *cmdi_process_add(const struct cmds_sim_program *program);
/** It is PLANNED, ENDED or KILLED; one that is ENDING starts when it has ended; one that runs stays. */
void cmdi_process_start(struct cmds_sim_process *process);
/** If it runs, or was going to. It may be the caller's, and then this does not return. */
void cmdi_process_kill(struct cmds_sim_process *process);
/** The caller's ends by itself, as if its main function had returned that. */
noreturn void cmdi_process_exit(int status);
/** Only the calling thread does, and with the last one its process. */
noreturn void cmdi_process_thread_exit(void *result);
/** All of its processes, and nobody is told. */
void cmdi_host_power_off(struct cmdi_sim_host *host);
/** Asks it to end, if it runs. */
void cmdi_process_terminate(struct cmds_sim_process *process);
/** Starts it at that time, if it does not run then. */
void cmdi_process_restart_at(struct cmds_sim_process *process, uint64_t at_ns);
/** None of its threads runs until then, or until the time of an earlier stall that is longer. */
void cmdi_process_stall(struct cmds_sim_process *process, uint64_t until_ns);
void cmdi_process_resume(struct cmds_sim_process *process);
/** Neither does it run, nor will it by itself. */
bool cmdi_process_is_over(const struct cmds_sim_process *process);
/** The world's end: what is left vanishes. In no thread of the world. */
void cmdi_process_destroy(struct cmds_sim_process *process);
void cmdi_host_destroy(struct cmdi_sim_host *host);

/** crash.c: for the time of a run. */
void cmdi_crash_begin(void);
void cmdi_crash_end(void);

/** files.c: closes all of them. */
void cmdi_files_drop(struct cmds_sim_process *process);
/** Takes it out of the caller's process. Returns: what it held, with its reference; NULL: none. */
struct cmdi_file *cmdi_fd_take(int fd);

#endif

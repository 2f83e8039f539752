/* SPDX-License-Identifier: MIT */
/*
 * Threads of the world, and who runs next. A crew is what the scheduler and the memory know of a process:
 * its threads stop, go on and vanish together.
 *
 *     RUNNABLE   it runs, or will when it is its turn; in the crew's `parked` while the crew is stopped
 *     WAITING    in a queue, or for a time
 *     ENDED      its function has returned; it is freed when it is joined, or was detached
 */
#ifndef CMDI_SIM_SCHEDULER_H
#define CMDI_SIM_SCHEDULER_H

#include <stdarg.h>
#include <stdnoreturn.h>

#include "sim/fiber.h"
#include "sim/world.h"

/** Embedded in a process. */
struct cmdi_sim_crew {
    uint32_t number;          // Of the process, from 1 on: for traces.
    uint32_t thread_count;    // That have not ended.
    uint32_t numbers_given;   // To threads, since the process started.
    bool stopped;             // None of its threads runs.
    struct cmdi_list threads; // All, also ended ones that nobody has joined.
    struct cmdi_list parked;
};

enum cmdi_sim_thread_state {
    CMDI_SIM_THREAD_RUNNABLE,
    CMDI_SIM_THREAD_WAITING,
    CMDI_SIM_THREAD_ENDED,
};
struct cmdi_sim_thread {
    struct cmdi_list link;  // crew->threads.
    struct cmdi_list queue; // Of the crew's parked ones, or of a queue.
    struct cmdi_sim_crew *crew;
    struct cmdi_fiber fiber;
    struct cmdi_event timeout;
    struct cmdi_sim_queue ended; // Who joins it.
    const void *address;         // It waits for: see cmdi_sim_wait_on(); else NULL.
    const void *owed;            // It was woken for, and has not run since; else NULL.
    const char *waits_for;       // A constant text.
    void *(*fn)(void *argument);
    void *argument, *result;
    void *owned; // cmdi_thread_owned, while it does not run.
    uint32_t number;
    uint8_t state; // enum cmdi_sim_thread_state.
    bool woken, detached;
    char name[16];
};

void cmdi_sim_crew_init(struct cmdi_sim_crew *crew, uint32_t number);
/** Runnable at once. `stack_size` 0: the usual. */
struct cmdi_sim_thread *cmdi_sim_thread_new(struct cmdi_sim_crew *crew, void *(*fn)(void *argument),
        void *argument, const char *name, size_t stack_size);
/** Nobody will join it. */
void cmdi_sim_thread_detach(struct cmdi_sim_thread *thread);
/** Waits for its end, and frees it. Returns: what its function did. */
void *cmdi_sim_thread_join(struct cmdi_sim_thread *thread);
/** As if it had ended, on the caller's side: the calling thread runs no further. */
noreturn void cmdi_sim_thread_exit(void *result);
/** All of its threads vanish where they stand. Not the one that calls: from the loop, or of others. */
void cmdi_sim_crew_drop(struct cmdi_sim_crew *crew);
void cmdi_sim_crew_stop(struct cmdi_sim_crew *crew, bool stopped);
/** The calling thread. Outside, where the library does not work, the program ends and is told why. */
struct cmdi_sim_thread *cmdi_sim_inside(void);
/** The calling thread's; NULL: the loop. */
struct cmdi_sim_crew *cmdi_sim_crew(void);
/** A line for each of its threads and what it waits for, to stderr. */
void cmdi_sim_crew_describe(const struct cmdi_sim_crew *crew, const char *process_name);

/** As cmdi_sim_wait() for a queue that an address stands for: a lock, a futex. */
bool cmdi_sim_wait_on(const void *address, uint64_t until_ns, const char *what);
uint32_t cmdi_sim_wake_on(const void *address, uint32_t count);

/** The caller is one that opens worlds: none of what the folder keeps is touched by any other. */
bool cmdi_sim_has_worlds(void);
/** Until cmdi_sim_step_in() the caller's thread is outside, as the loop is. Gives what that takes. */
struct cmdi_sim_thread *cmdi_sim_step_out(void);
void cmdi_sim_step_in(struct cmdi_sim_thread *thread);

/** What the loop does once: events that are due, one thread. Returns: false: nothing is left to do. */
bool cmdi_sim_turn(void);
/** As far as threads and events go. */
void cmdi_sim_scheduler_begin(void);
void cmdi_sim_scheduler_end(void);
uint64_t cmdi_sim_switch_count(void);

/* --- Of events.c, chance.c and trace.c, for the one who begins and ends a world ------------------ */

void cmdi_sim_events_begin(void);
void cmdi_sim_events_end(void);
/** CMDI_SIM_NEVER: none is armed. */
uint64_t cmdi_sim_next_event(void);
void cmdi_sim_fire_due(void);
void cmdi_sim_pass(uint64_t ns); // Time.
void cmdi_sim_chance_begin(uint64_t seed);
void cmdi_sim_trace_begin(void);
void cmdi_sim_trace_end(void);
uint64_t cmdi_sim_hash(void);
uint64_t cmdi_sim_trace_count(void);
void cmdi_sim_note_list(const char *format, va_list list);
void cmdi_sim_fail_list(const char *format, va_list list);
/** What was said first; NULL: the run has not failed. */
const char *cmdi_sim_failure(void);
/** The last events, to stderr. */
void cmdi_sim_trace_tell(void);

/* --- Of lock.c: what a thread has locked and not unlocked ----------------------------------------- */

bool cmdi_sim_locks_any(void);
/** What lies in this memory is no lock any more, held or not. */
void cmdi_sim_locks_forget(const void *memory, size_t size);
/** It ends, and nobody will unlock that any more. */
void cmdi_sim_locks_leave(const struct cmdi_sim_thread *thread);
/** All that its threads hold is unlocked: another process may share it, or its next life. */
void cmdi_sim_locks_drop(const struct cmdi_sim_crew *crew);

/* --- Of memory.c: what a crew has allocated and not freed ---------------------------------------- */

struct cmdi_sim_blocks {
    uint64_t count, bytes;
};
struct cmdi_sim_blocks cmdi_sim_memory_of(const struct cmdi_sim_crew *crew);
/** Frees all of it. */
void cmdi_sim_memory_drop(const struct cmdi_sim_crew *crew);

#endif

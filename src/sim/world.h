/* SPDX-License-Identifier: MIT */
/*
 * The simulated world as the files of this folder see it: its clock, its events, its chances, its
 * threads and its processes.
 *
 * Everything runs on one real thread. It is either in the world's loop, where events fire (a segment
 * arrives, a timer is due, a fault is drawn), or on the stack of one thread of the world, which gives
 * the processor back where it waits or yields. Nothing else runs meanwhile, so nothing here is locked.
 *
 *     loop:  events that are due; one thread that can run; if none can, the clock moves to the next event
 *
 * Time passes by itself in no other way than a little with each yield (what the turn has cost), so a
 * loop that waits for the time to pass ends.
 *
 * What the folder keeps for itself is allocated by cmdi_sim_alloc(), which never fails and is never
 * counted; malloc is the memory of the programs of the world (memory.c).
 */
#ifndef CMDI_SIM_WORLD_H
#define CMDI_SIM_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmdstream/sim.h>

#include "base/list.h"
#include "ring/address.h"

#define CMDI_SIM_NEVER UINT64_MAX
/** The clock when a world begins: of a machine that has been up for a while. */
#define CMDI_SIM_BEGIN_NS 1000000000u

/* --- Memory of the simulation itself ----------------------------------------------------------- */

/** Zeroed. Ends the program if there is none. */
void *cmdi_sim_alloc(size_t size);
void *cmdi_sim_realloc(void *memory, size_t size);
void cmdi_sim_free(void *memory); // NULL is fine.

/* --- Clock and events: events.c ----------------------------------------------------------------- */

struct cmdi_event;
typedef void (*cmdi_event_fn)(struct cmdi_event *event);
/** Embedded in what it is about. It fires in the loop, on no thread of the world. */
struct cmdi_event {
    uint64_t at_ns, order; // Among those of one time: who was armed first.
    uint32_t place;        // In the heap; UINT32_MAX: not armed.
    cmdi_event_fn fn;
};
/** The world's monotonic clock. */
uint64_t cmdi_sim_now(void);
void cmdi_event_init(struct cmdi_event *event, cmdi_event_fn fn);
/** Arms it, or moves it. A time that is over is now. */
void cmdi_event_at(struct cmdi_event *event, uint64_t at_ns);
/** Not armed is fine. */
void cmdi_event_off(struct cmdi_event *event);
static inline bool cmdi_event_is_armed(const struct cmdi_event *event)
{
    return event->place != UINT32_MAX;
}

/* --- Chance and trace: chance.c, trace.c -------------------------------------------------------- */

/** A stream each, so that one more draw in the one changes nothing in the others. */
enum cmdi_chance {
    CMDI_CHANCE_SCHEDULE, // Who runs next, what a turn costs.
    CMDI_CHANCE_NETWORK,  // Latencies, pieces.
    CMDI_CHANCE_KERNEL,   // The order of completions, and the kernel's faults.
    CMDI_CHANCE_FAULTS,   // What befalls the world, when, and whom.
    CMDI_CHANCE_MEMORY,
    CMDI_CHANCE_LIBRARY, // cmdi_random().
    CMDI_CHANCE_PROGRAM, // cmds_sim_random().
    CMDI_CHANCE_COUNT
};
uint64_t cmdi_sim_draw(enum cmdi_chance chance);
/** 0..bound-1; 0 for a bound of 0 or 1, without a draw. */
uint64_t cmdi_sim_below(enum cmdi_chance chance, uint64_t bound);
/** Between half of the mean and twice as much; rarely, up to 16 times. */
uint64_t cmdi_sim_about(enum cmdi_chance chance, uint64_t mean);
/** Faults of this kind may begin now, and this is one in `n`. Draws only if they may. */
bool cmdi_sim_befalls(enum cmds_sim_fault kind, enum cmdi_chance chance, uint32_t n);

/**
 * An event: it is hashed with the time and the thread, kept among the last ones, and told to on_event.
 * `what` is a short constant text ("recv", "deliver"); the numbers say of whom. No addresses.
 */
void cmdi_sim_trace(const char *what, uint64_t a, uint64_t b);
/** The same, with a text. printf. */
void cmdi_sim_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/**
 * The run has failed; the first to say so is heard. It returns: the loop ends behind the event, or at
 * the thread's next wait. printf.
 */
void cmdi_sim_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* --- Threads: scheduler.c, fiber.c -------------------------------------------------------------- */

struct cmdi_sim_thread;
/** Those that wait for one thing. Embedded in it; cmdi_list_init(). */
struct cmdi_sim_queue {
    struct cmdi_list waiting;
};
static inline void cmdi_sim_queue_init(struct cmdi_sim_queue *queue)
{
    cmdi_list_init(&queue->waiting);
}
/** NULL: the loop, or no world at all. */
struct cmdi_sim_thread *cmdi_sim_thread(void);
/** Others may run first, and a little time passes. In the loop it does nothing. */
void cmdi_sim_yield(void);
/**
 * The calling thread waits until somebody wakes it through this queue, or until that time. `what` is
 * for whoever asks why nobody goes on ("recv", "join"). Returns: it was woken; false: the time is over.
 */
bool cmdi_sim_wait(struct cmdi_sim_queue *queue, uint64_t until_ns, const char *what);
/** The calling thread does nothing for so long. `what` as above. */
void cmdi_sim_sleep(uint64_t ns, const char *what);
/** Those that wait longest, at most `count`. From anywhere; it never yields. Returns: how many. */
uint32_t cmdi_sim_wake(struct cmdi_sim_queue *queue, uint32_t count);

/* --- Processes and their descriptors: process.c, files.c ----------------------------------------- */

/** Several processes may live on one. */
struct cmdi_sim_host {
    struct cmdi_list link; // Of the world.
    char *name;
    uint32_t number;        // From 1 on; the address is 10.0.(number / 250).(number % 250 + 1).
    struct in_addr v4;      // In the order of the network.
    bool is_off;            // What comes here vanishes.
    struct cmdi_list socks; // struct cmdi_sock, see net.h: all that are bound or connected here.
    uint16_t port_next;     // For those who name none.
};
/** NULL: nobody's address. Of the caller's own: 127.0.0.0/8, ::1. */
struct cmdi_sim_host *cmdi_sim_host_of(const struct cmdi_address *address);
/** NULL: the loop, or no world. */
struct cmdi_sim_host *cmdi_sim_host(void);

/** What a descriptor or an operation in flight holds. */
struct cmdi_file {
    uint32_t refs;
    void (*released)(struct cmdi_file *file); // The last one is gone: ends it and frees it.
};
void cmdi_file_ref(struct cmdi_file *file);
void cmdi_file_unref(struct cmdi_file *file);
/**
 * The lowest free number in the caller's process, which takes over the caller's reference. Returns:
 * -EMFILE, now and then by chance, and the reference stays the caller's.
 */
int cmdi_fd_add(struct cmdi_file *file);
/** Puts another file behind an open number, with the caller's reference. Gives what was there. */
struct cmdi_file *cmdi_fd_replace(int fd, struct cmdi_file *file);
/** Borrowed. NULL: no such descriptor in the caller's process. */
struct cmdi_file *cmdi_fd_get(int fd);

/** Part of a process that has to end before its memory is freed when it is killed. Embedded. */
struct cmdi_sim_part {
    struct cmdi_list link;
    // As the kernel clears up. In the loop; `link` is off already.
    void (*die)(struct cmdi_sim_part *part);
};
/** Of the caller's process. */
void cmdi_sim_part_add(struct cmdi_sim_part *part);
void cmdi_sim_part_remove(struct cmdi_sim_part *part);

/** For traces. */
const char *cmdi_sim_process_name(uint32_t number);
/** Complete: no default is left open. NULL: there is no world. */
const struct cmds_sim_options *cmdi_sim_options(void);

#endif

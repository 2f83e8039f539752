/* SPDX-License-Identifier: MIT */
/*
 * A shard: one thread, one ring, and everything that lives on it: slots, timers, buffers, a
 * mailbox.
 *
 * The turn, over and over: take the mailbox, harvest completions, run what is ready (each with its
 * budget), fire timers, flush what became dirty, enter the kernel once. A timer judges somebody, so
 * what had come by its time is handled first. Only this thread touches a shard, but for the
 * functions marked "Thread: any".
 *
 * A turn is short, whoever asks for how much: each of its steps ends after about a millisecond or
 * after so many bytes, and what is left is the first of the next turn, which does not wait. A
 * connection that asks for little comes first, see enum cmdi_shard_level.
 *
 * Who calls cmdi_shard_turn() is another matter: see shard/drive.h. A shard that is stepped has no
 * ring, and nothing on it may use one.
 */
#ifndef CMDI_SHARD_SHARD_H
#define CMDI_SHARD_SHARD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <cmdstream/base.h>
#include <cmdstream/runtime.h>

#include "base/assert.h"
#include "base/count.h"
#include "base/list.h"
#include "base/pool.h"
#include "ring/ring.h"
#include "ring/thread.h"
#include "shard/buffers.h"
#include "shard/meter.h"
#include "shard/receive.h"
#include "shard/spin.h"
#include "shard/timer.h"
#include "shard/work.h"

struct cmdi_shard;
struct cmdi_spans;

/* --- Mailbox: messages from other threads ----------------------------------------------------- */

struct cmdi_mail;
typedef void (*cmdi_mail_fn)(struct cmdi_shard *shard, struct cmdi_mail *mail);
/** Embedded in what it is about. The poster does not touch it until `fn` has begun. */
struct cmdi_mail {
    struct cmdi_mail *next;
    cmdi_mail_fn fn;
};

/* --- Slots: who gets a completion ------------------------------------------------------------- */

/** `operation` is the number given to cmdi_shard_user_data. */
typedef void (*cmdi_completion_fn)(
        void *owner, uint32_t operation, const struct cmdi_completion *completion);

#define CMDI_SLOT_NONE UINT32_MAX
struct cmdi_slot {
    void *owner;           // NULL: free.
    cmdi_completion_fn fn; // Valid while owned.
    uint32_t generation;   // 24 bits, never 0; grows with each release.
    uint32_t next_free;
};

/*
 * A completion's user data: operation 8 bits | generation 24 | slot 32. Of a stale generation:
 * ignored, its buffer returned.
 */

/** Who runs a shard: see shard/drive.h. */
enum cmdi_drive {
    CMDI_DRIVE_THREAD,
    CMDI_DRIVE_INLINE,
    CMDI_DRIVE_STEPPED, // A shard by itself, without a ring: cmds_test and tests give it the time.
};

struct cmdi_shard_options {
    uint32_t index;
    enum cmdi_drive drive;
    int cpu;             // -1: not pinned.
    uint32_t spin_us;    // 0: never spin.
    bool spin_always;    // As in cmds_runtime_options.
    uint64_t stall_ns;   // A turn that takes longer is told of. 0: none.
    uint32_t stack_size; // Of the thread; 0: the default.
    struct cmdi_ring_options ring;
    uint64_t memory_size_max;
    const struct cmdi_log *log; // Kept.
    const void *runtime;        // Whose shard it is: compared, never looked into.
};

/** Where log lines go; shared by the shards of a runtime. Either may be NULL. */
struct cmdi_log {
    void (*fn)(void *context, enum cmds_log_level level, const char *text);
    void *context;
    void (*on_record)(void *context, const struct cmds_log_record *record);
    void *record_context;
    _Atomic uint32_t least; // enum cmds_log_level. By any thread.
};

enum {
    CMDI_SHARD_FRAMES_PER_RUN = 128,        // The budget of a connection in one turn...
    CMDI_SHARD_BYTES_PER_RUN = 128 * 1024,  // ...whichever ends first.
    CMDI_SHARD_OUTPUT_PER_RUN = 256 * 1024, // Made by it: beyond that only what a call still sends.
    CMDI_SHARD_COMPLETIONS_PER_TURN = 512,
    /*
     * What the sends of one enter may copy: an enter is not to be stopped. Each counts for at least
     * CMDI_SHARD_SEND_COST, so small ones are bounded too.
     */
    CMDI_SHARD_SEND_PER_TURN = 1024 * 1024,
    CMDI_SHARD_SEND_COST = 2 * 1024,
    CMDI_SHARD_SEND_LIGHT = 16 * 1024, // Up to so much is sent before what is larger.
    CMDI_SHARD_STEP_NS = 1000 * 1000,  // Of mail, completions, timers, and runs, each.
    CMDI_SHARD_STRIDE_MAX = 32,        // Frames, or the like, between two looks at the clock.
    CMDI_SHARD_FLUSH_SIZE = 96 * 1024, // When busy: as few sends as do not outgrow the cache.
    /*
     * After a wait, see shard_set_pace(). Smaller parts lose more by their sends than both sides
     * gain; so it was measured with 32 to 256 in flight, of 30, 530 and 4,000 bytes.
     */
    CMDI_SHARD_FRAMES_PER_PART = 32,
    CMDI_SHARD_FLUSH_SIZE_OF_PART = 20 * 1024,
};

enum {
#define CMDI_X_(constant, name, text) +1
    CMDI_LOG_REASONS = 0 CMDS_LOG_REASONS(CMDI_X_),
#undef CMDI_X_
};

struct cmdi_shard_counters {
#define CMDI_X_(kind, name, meaning) uint64_t name;
    CMDS_RUNTIME_COUNTERS(CMDI_X_)
#undef CMDI_X_
};

struct cmdi_shard {
    struct cmdi_ring *ring;  // NULL: stepped.
    uint64_t now_ns, now_ms; // When this turn began.
    // The low half of it; between two turns of when cmdi_shard_clock_ms() was last called.
    uint32_t clock_us;
    uint64_t clock_ns;   // The whole of it.
    uint64_t stalled_ms; // How much of the time until then was lost: cmdi_shard_awake_ms().
    struct cmdi_list ready[CMDI_LEVELS]; // struct cmdi_work: once in the next pass over it.
    struct cmdi_list flush;              // struct cmdi_work: at the end of this turn.
    struct cmdi_list heavy; // struct cmdi_work: behind those of `flush`, as long as there is room.
    struct cmdi_list ended; // struct cmdi_work: after the enter of this turn.
    struct cmdi_list conns; // struct cmdi_conn: not closed. It leaves by cmdi_shard_unlist().
    struct cmdi_list calls; // struct cmds_call: may outlive its exec function. Likewise.
    struct cmdi_list *walk_next; // Of one of these two: what a walk looks at next. NULL: none is.
    struct cmdi_list costly;     // struct cmdi_work: one in each turn, behind all that is ready.
    struct cmdi_list lacking;    // struct cmdi_conn: wait for memory, first come first served.
    // struct cmdi_work: once memory was given back, see cmdi_shard_refused().
    struct cmdi_list refused;
    uint64_t refused_used;       // Of the account, when that was last checked.
    struct cmdi_receive receive; // Of a shard without a ring there are no buffers.
    struct cmdi_slot *slots;
    uint32_t slot_count, slot_free, slot_capacity; // Those begun; the first free one; room.
    struct cmdi_shard_counters counters;
    struct cmdi_meter meter;
    struct cmdi_spans *spans; // NULL: none are kept.
    uint64_t moved_size;      // Received and sent by its connections: how busy it is.
    struct cmdi_buffers buffers;
    // Texts of the errors of connections that end. Not counted: they have to be there then.
    struct cmdi_pool error_texts;
    // struct cmdi_conn_more, of those whose owners have none for it: likewise. Zeroed until the first.
    struct cmdi_pool conn_mores;
    // Memory is short: at the end of a turn, see cmdi_conn_relieve(). Set with the first connection.
    void (*relieve)(struct cmdi_shard *shard);
    cmdi_work_fn conn_flush,
            conn_starve; // What a connection's flush and its wait for buffers run: likewise.
    /* Handshakes, see conn/secure.h. */
    struct cmdi_list seatless; // struct cmdi_work: wait for a seat.
    struct cmdi_list seats;    // struct cmdi_secured: wait for their peer, longest seated first.
    uint32_t seatless_count;
    uint32_t seat_count; // Those among `costly` too.
    bool trim_due;       // There were many: trim() once the shard is quiet.
    void (*trim)(void);
    uint64_t relieve_trim_ms;  // When that last had everybody give back...
    uint64_t relieve_none_ms;  // ...and when it last found nobody who holds much.
    uint64_t relieve_after_ms; // Not sooner is the next connection closed for its memory.
    struct cmdi_timer_wheel timers;
    struct cmdi_spin spin;
    /* The time that the present step of this turn takes. */
    uint64_t step_ns, looked_ns; // When it began, and when the clock was last read.
    uint32_t work_left, stride;  // Until the next look at the clock; between two of them.
    bool step_over;              // It has taken its time: end soon.
    bool flushing_heavy;         // In the list `heavy`.
    int64_t send_left;           // Of CMDI_SHARD_SEND_PER_TURN.
    struct cmdi_mail *mail_left; // Taken from the mailbox and not run, oldest first.
    /* The pace of this turn. */
    bool waited;               // It began with a wait.
    bool flush_first;          // The first connection that makes output sends it in mid-turn.
    uint32_t frames_per_run;   // Of each connection.
    uint64_t heavy_run_ns;     // How long a run of those who ask for much has taken lately.
    size_t flush_size;         // A connection with so much output sends it in mid-turn.
    uint32_t connection_count; // On this shard: without any it never spins.
    uint32_t call_count;       // In `calls`.
    uint32_t evictions;        // Connections that are being closed because they held most.
    uint32_t index;
    bool in_turn;
    bool enabled;
    struct cmdi_shard_options options;
    pthread_t thread;
    int start_code;           // Valid with `started`.
    _Atomic uint32_t started; // Futex: the thread works, or has failed to begin.
    // Of each reason: when it was last logged, and how often it was not.
    uint64_t log_second[CMDI_LOG_REASONS];
    uint32_t log_count[CMDI_LOG_REASONS];
    struct cmdi_list program_timers; // struct cmds_timer: in the wheel, or its function runs.
    bool timers_ended;               // None is set any more.

    /* Written by any thread. */
    _Alignas(64) _Atomic(struct cmdi_mail *) mailbox;
    _Atomic uint32_t sleeping;      // Set by the shard before it waits; whoever clears it wakes.
    _Atomic uint32_t stopping;      // The thread ends after the turn that sees it.
    _Atomic uint32_t load;          // Connections given to this shard, also those on their way.
    _Atomic uint64_t busy_since_ns; // When the present turn began; 0: it waits. By the shard alone.
};

/** A turn may last so long before others think that it is held up. */
#define CMDI_SHARD_HELD_UP_NS (2u * 1000 * 1000)
/** It waits, or its turn has not lasted long: what is posted to it is run soon. Thread: any. */
static inline bool cmdi_shard_turns(const struct cmdi_shard *shard, uint64_t now_ns)
{
    uint64_t since_ns = atomic_load_explicit(&shard->busy_since_ns, memory_order_relaxed);
    return since_ns == 0 || now_ns < since_ns + CMDI_SHARD_HELD_UP_NS;
}

/* --- Life. Thread: setup ---------------------------------------------------------------------- */

/** Gives: cmdi_shard_destroy(). The thread is not started. Returns: 0, or why in `error`. */
int cmdi_shard_create(struct cmdi_shard **shard, const struct cmdi_shard_options *options,
        struct cmds_error *error);
/** Runs what was posted, however long it takes: at the end. */
void cmdi_shard_take_last_mail(struct cmdi_shard *shard);
/** Runs it, what was taken before first; `all`: whatever time it takes. Returns: how many. */
uint32_t cmdi_shard_take_mail(struct cmdi_shard *shard, bool all);
/** NULL is fine. */
void cmdi_shard_destroy(struct cmdi_shard *shard);

/* --- On the shard's thread -------------------------------------------------------------------- */

/** The shard whose thread this is; NULL on any other. Thread: any. */
static inline struct cmdi_shard *cmdi_shard_current(void)
{
    return cmdi_thread_owned;
}

/**
 * One turn, then an enter that waits up to `wait_ns` if there is nothing to do. Returns: how much
 * was handled; -errno.
 */
int cmdi_shard_turn(struct cmdi_shard *shard, uint64_t wait_ns);
/** The meter moves; what it says was a stall is logged. For whoever runs the turns. */
void cmdi_shard_meter(struct cmdi_shard *shard, enum cmdi_meter_state state, uint64_t now_ns);
/** Something is to be done at once: a turn would not wait. */
bool cmdi_shard_has_work(const struct cmdi_shard *shard);
/**
 * This thread is the shard from now on (NULL: no more). Returns: the one before. For whoever runs it.
 */
struct cmdi_shard *cmdi_shard_set_current(struct cmdi_shard *shard);
/**
 * STEPPED: the time is `now_ns`; runs turns until nothing is left to be done in this moment, as this
 * thread.
 */
void cmdi_shard_step(struct cmdi_shard *shard, uint64_t now_ns);

/**
 * Gives: cmdi_shard_slot_release(), once nothing is in flight for it. Returns: its number;
 * CMDI_SLOT_NONE without memory.
 */
uint32_t cmdi_shard_slot_acquire(struct cmdi_shard *shard, cmdi_completion_fn fn, void *owner);
void cmdi_shard_slot_release(struct cmdi_shard *shard, uint32_t slot);
/** A completion goes to the owner of its slot; of a stale one the buffer is given back. */
void cmdi_shard_complete(struct cmdi_shard *shard, const struct cmdi_completion *completion);
static inline uint64_t cmdi_shard_user_data(
        const struct cmdi_shard *shard, uint32_t slot, uint32_t operation)
{
    return (uint64_t)operation << 56 | (uint64_t)shard->slots[slot].generation << 32 | slot;
}

/**
 * Runs in the next pass over the ready lists: this turn if that has not begun, else the next, which
 * then does not wait.
 */
static inline void cmdi_shard_ready(struct cmdi_shard *shard, struct cmdi_work *work)
{
    if (!cmdi_work_queued(work)) {
        cmdi_list_push(&shard->ready[work->level], &work->link);
    }
}
/** Reads the clock: is the step over? */
void cmdi_shard_look(struct cmdi_shard *shard);
/**
 * So many frames were run, or as much of something else; every so often the clock is read. Whoever
 * runs long looks at shard->step_over after it.
 */
static inline void cmdi_shard_worked(struct cmdi_shard *shard, uint32_t units)
{
    if (CMDI_UNLIKELY(units >= shard->work_left)) {
        cmdi_shard_look(shard);
    } else {
        shard->work_left -= units;
    }
}
static inline bool cmdi_shard_has_mail(const struct cmdi_shard *shard)
{
    return shard->mail_left != NULL ||
           atomic_load_explicit(&shard->mailbox, memory_order_relaxed) != NULL;
}
/** Mail, completions, timers or runs have their time from now on. */
static inline void cmdi_shard_begin_step(struct cmdi_shard *shard)
{
    shard->step_ns = shard->looked_ns;
    shard->step_over = false;
}
/**
 * Runs when everything of this turn has run, before the enter; of many, some in the next turn, which
 * does not wait.
 */
static inline void cmdi_shard_flush(struct cmdi_shard *shard, struct cmdi_work *work)
{
    if (!cmdi_work_queued(work)) {
        cmdi_list_push(&shard->flush, &work->link);
    }
}
/**
 * Runs after the enter that ends this turn: for system calls that would hold up the sends, such as
 * futex wakes.
 */
static inline void cmdi_shard_after(struct cmdi_shard *shard, struct cmdi_work *work)
{
    if (!cmdi_work_queued(work)) {
        cmdi_list_push(&shard->ended, &work->link);
    }
}

/**
 * Runs when some of the account's memory has been given back, by whomever: for those who were refused
 * it and are no connection. By another thread: within a second, where the shard has a thread.
 */
static inline void cmdi_shard_refused(struct cmdi_shard *shard, struct cmdi_work *work)
{
    if (!cmdi_work_queued(work)) {
        uint64_t used = cmdi_account_used(&shard->buffers.account);
        // Also if somebody waits already: less than now is room for this one.
        shard->refused_used = cmdi_list_empty(&shard->refused) || used > shard->refused_used
                                      ? used
                                      : shard->refused_used;
        cmdi_list_push(&shard->refused, &work->link);
    }
}

/** The node leaves `conns` or `calls`; a walk that would have come to it goes on behind it. */
static inline void cmdi_shard_unlist(struct cmdi_shard *shard, struct cmdi_list *node)
{
    if (CMDI_UNLIKELY(shard->walk_next == node)) {
        shard->walk_next = node->next;
    }
    cmdi_list_remove(node);
}

/**
 * A clock that stands still while the shard is stopped, frozen or held up for long by a callback:
 * for patience with somebody whom that may have stopped as well.
 */
static inline uint64_t cmdi_shard_awake_ms(const struct cmdi_shard *shard)
{
    return shard->now_ms - shard->stalled_ms;
}

/** As cmdi_shard_clock_ms(), between two turns. */
uint64_t cmdi_shard_read_clock_ms(struct cmdi_shard *shard);
/** Now: in a turn its time, between two turns the clock's. Thread: the shard. */
static inline uint64_t cmdi_shard_clock_ms(struct cmdi_shard *shard)
{
    return CMDI_LIKELY(shard->in_turn) ? shard->now_ms : cmdi_shard_read_clock_ms(shard);
}
/** A random number, for what must not happen everywhere at once. No secret. Thread: any. */
uint64_t cmdi_shard_random(void);

static inline void cmdi_shard_timer(
        struct cmdi_shard *shard, struct cmdi_timer *timer, uint64_t at_ms)
{
    cmdi_timer_arm(&shard->timers, timer, at_ms);
}
static inline void cmdi_shard_timer_off(struct cmdi_shard *shard, struct cmdi_timer *timer)
{
    cmdi_timer_disarm(&shard->timers, timer);
}

/**
 * At most one line a second for each reason; the next one says how many were left out. Control
 * characters become '?'.
 */
void cmdi_shard_log(struct cmdi_shard *shard, enum cmds_log_reason reason,
        enum cmds_log_level level, const char *format, ...) __attribute__((format(printf, 4, 5)));
/**
 * The same with all that is known. `about` has a reason and a level, and no text, time, shard or count.
 */
void cmdi_shard_log_about(struct cmdi_shard *shard, const struct cmds_log_record *about,
        const char *format, ...) __attribute__((format(printf, 3, 4)));

/* --- From any thread -------------------------------------------------------------------------- */

/**
 * `mail->fn` runs on the shard, in the order of posting by one thread. Wakes the shard if it
 * sleeps. Before the shard's end everything posted has run; that nothing is posted afterwards is
 * the caller's to see to (a counted reference on the shard).
 */
void cmdi_shard_post(struct cmdi_shard *shard, struct cmdi_mail *mail);

/**
 * Runs `fn(context)` on the shard and returns when it has: a message and a futex. On the shard
 * itself it simply calls; on an inline runtime whose thread is elsewhere it would wait for ever, so
 * the callers see to that.
 */
void cmdi_shard_call(struct cmdi_shard *shard, void (*fn)(struct cmdi_shard *shard, void *context),
        void *context);

#endif

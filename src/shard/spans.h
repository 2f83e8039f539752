/* SPDX-License-Identifier: MIT */
/*
 * Spans of one shard: who is sampled, and a ring of those that are over.
 *
 *     the shard --end: copy into the ring--> | span | span | ... | <--take: copies out-- one reader
 *
 * One writer and one reader, so no lock; in a full ring the oldest one gives way and is counted, and nobody is
 * ever waited for, nor woken. A runtime has one more for threads that are no shard, which has a lock.
 */
#ifndef CMDI_SHARD_SPANS_H
#define CMDI_SHARD_SPANS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <cmdstream/trace.h>

#include "base/assert.h"
#include "base/hint.h"
#include "ring/clock.h"

struct cmds_runtime;
struct cmdi_shard;

/* --- Sampling --------------------------------------------------------------------------------- */

/** Who is sampled, of those that no parent decides. One thread; what is atomic, any thread may set. */
struct cmdi_sampler {
    _Atomic uint64_t ratio_bound; // A trace is sampled whose id has 63 bits below it.
    uint64_t rate_until_ms;       // Then the next second begins.
    _Atomic uint32_t rate_max;    // In a second; 0: none is.
    uint32_t rate_count;
    /*
     * Until then none is, as far as the writer has found out; whoever changes the others makes it 0. If the writer
     * finds out just then, that holds until the second ends.
     */
    _Atomic uint64_t none_until_ms;
    // From then on what follows counts in place of ratio_bound and rate_max. 0: never.
    _Atomic uint64_t until_ms;
    _Atomic uint64_t after_bound;
    _Atomic uint32_t after_rate_max;
};

/** `ratio` 0..1 of the roots, and of these at most `rate_max` a second. */
void cmdi_sampler_init(struct cmdi_sampler *sampler, double ratio, uint32_t rate_max);
/** The same from now on. Thread: any. */
void cmdi_sampler_set(struct cmdi_sampler *sampler, double ratio, uint32_t rate_max);
/**
 * The same until then, 0: for ever; behind that, what is in force now counts again, or what was to come behind that.
 * Thread: any, one at a time.
 */
void cmdi_sampler_set_until(struct cmdi_sampler *sampler, double ratio, uint32_t rate_max,
        uint64_t until_ms, uint64_t now_ms);
/** Is the trace with this id, which begins here, sampled? By its id, so that others agree. */
bool cmdi_sampler_root(struct cmdi_sampler *sampler, const uint8_t trace_id[16], uint64_t now_ms);

/** `random` are random numbers. No id is zero. */
void cmdi_trace_id(uint8_t trace_id[16], const uint64_t random[2]);
static inline void cmdi_span_id(uint8_t span_id[8], uint64_t random)
{
    const uint64_t word = random != 0 ? random : 1;
    memcpy(span_id, &word, sizeof(word));
}

/* --- Spans ------------------------------------------------------------------------------------ */

/** Of `taken`: the reader is in the ring. */
#define CMDI_SPANS_READING (UINT64_C(1) << 63)

struct cmdi_spans {
    struct cmds_span *ring;
    uint32_t mask;
    void (*on_end)(void *context, struct cmds_span *span);
    void *context;
    struct cmdi_sampler sampler; // The writer's.
    // The clock, as it was read last in the turn that began then: see cmdi_spans_clock(). A shard's.
    uint64_t turn_ns, clock_ns;
    uint64_t wall_ns, wall_until_ns; // See cmdi_spans_wall().
    bool is_shared;
    pthread_mutex_t lock;                  // Of one that is shared: of all that the writer has.
    _Alignas(64) _Atomic uint64_t written; // The writer's.
    _Atomic uint64_t dropped;              // The same.
    // The reader's; the writer moves it on if the ring is full, but for a reader that is in it.
    _Alignas(64) _Atomic uint64_t taken;
};

/** Checks and completes. Returns: 0; -EINVAL, -E2BIG. */
int cmdi_trace_options_take(struct cmds_trace_options *mine,
        const struct cmds_trace_options *options, struct cmds_error *error);
/** `options`: taken. `is_shared`: many write. Gives: cmdi_spans_destroy(). Returns: NULL: no memory. */
struct cmdi_spans *cmdi_spans_create(const struct cmds_trace_options *options, bool is_shared);
/** NULL is fine. */
void cmdi_spans_destroy(struct cmdi_spans *spans);

/**
 * It is known that none begins now: all that it costs where so many have begun, or none is to. NULL: none ever
 * does. Thread: the writer.
 */
static inline bool cmdi_spans_are_spent(const struct cmdi_spans *spans, uint64_t now_ms)
{
    return spans == NULL ||
           now_ms < atomic_load_explicit(&spans->sampler.none_until_ms, memory_order_relaxed);
}
/** May one begin in this second? Thread: the writer. */
bool cmdi_spans_has_place(struct cmdi_spans *spans, uint64_t now_ms);
/**
 * Is a new trace begun? Then *trace is where: an id, and no span yet. Thread: the writer.
 */
bool cmdi_spans_root(struct cmdi_spans *spans, uint64_t now_ms, struct cmds_trace *trace);
/** Shall this trace be sampled, whatever its flags say? Thread: the writer. */
bool cmdi_spans_again(struct cmdi_spans *spans, uint64_t now_ms, const struct cmds_trace *trace);
_Static_assert(offsetof(struct cmds_span, start_ns) == 32, "the ids alone stand before it");
/**
 * A span of `trace`, which is inside of it from here on. The rest of it is zero but for its kind, as far as there is
 * something in it. Thread: any.
 */
static inline void cmdi_span_begin(
        struct cmds_span *span, enum cmds_span_kind kind, struct cmds_trace *trace)
{
    memcpy(span->trace_id, trace->trace_id, sizeof(span->trace_id));
    memcpy(span->parent_id, trace->span_id, sizeof(span->parent_id));
    cmdi_span_id(span->span_id, cmdi_random());
    memcpy(trace->span_id, span->span_id, sizeof(trace->span_id));
    memset(&span->start_ns, 0,
            offsetof(struct cmds_span, events) - offsetof(struct cmds_span, start_ns));
    span->kind = (uint8_t)kind;
}
/**
 * When what this turn has received was there: the clock, read once in a turn for all whose answers have
 * come. Behind the completions' harvest, so that nothing ends before its peer has sent it. Thread: shard.
 */
uint64_t cmdi_spans_clock(struct cmdi_shard *shard);
/**
 * The time of day at `now_ns`: asked for once in a second, and beside that an addition. Thread: the writer,
 * of one that is not shared.
 */
uint64_t cmdi_spans_wall(struct cmdi_spans *spans, uint64_t now_ns);
/** With so many events, as far as there is something in it: what is behind that is undefined. Thread: any. */
static inline void cmdi_span_copy(
        struct cmds_span *to, const struct cmds_span *from, uint32_t event_count)
{
    CMDI_ASSERT(event_count <= CMDS_SPAN_EVENTS_MAX);
    CMDI_ASSERT(from->attribute_size <= CMDS_SPAN_ATTRIBUTES_MAX);
    memcpy(to, from, offsetof(struct cmds_span, events));
    if (CMDI_LIKELY(event_count == 1)) {
        to->events[0] = from->events[0];
    } else {
        memcpy(to->events, from->events, event_count * sizeof(*to->events));
    }
    if (CMDI_UNLIKELY(from->attribute_size > 0)) {
        memcpy(to->attributes, from->attributes, from->attribute_size);
    }
}
/** It is over, since its end_ns. It stays the caller's. Thread: the writer. */
void cmdi_spans_end(struct cmdi_spans *spans, struct cmds_span *span);
/**
 * Where the next one will be, for who writes it there: undefined as yet, and the caller's until cmdi_spans_keep(), before
 * which no other one ends. Thread: the writer. Returns: NULL: there is no place yet, or somebody is to see it first, or
 * others write as well: it goes by cmdi_spans_end().
 */
static inline struct cmds_span *cmdi_spans_place(const struct cmdi_spans *spans)
{
    uint64_t written = atomic_load_explicit(&spans->written, memory_order_relaxed);
    uint64_t taken = atomic_load_explicit(&spans->taken, memory_order_acquire);
    // With CMDI_SPANS_READING in it the difference is large.
    bool has_place = written - taken <= spans->mask;
    return CMDI_LIKELY(has_place && spans->on_end == NULL && !spans->is_shared)
                   ? &spans->ring[written & spans->mask]
                   : NULL;
}
/** The one at its place is whole, and over. Thread: the writer. */
static inline void cmdi_spans_keep(struct cmdi_spans *spans)
{
    uint64_t next = atomic_load_explicit(&spans->written, memory_order_relaxed) + 1;
    atomic_store_explicit(&spans->written, next, memory_order_release);
    // The ring is larger than a cache near by: the next place is on its way before it is written.
    const struct cmds_span *place = &spans->ring[next & spans->mask];
    __builtin_prefetch(place, 1);
    __builtin_prefetch((const uint8_t *)place + 64, 1);
    __builtin_prefetch(place->events, 1);
}

/**
 * What the ring holds, taken or not: *at is behind the newest one. Thread: the writer, or with the lock of one
 * that is shared. Returns: how many they are, at most `depth`.
 */
uint32_t cmdi_spans_newest(const struct cmdi_spans *spans, uint32_t depth, uint64_t *at);
/** Owner: the writer's, until its next span. Thread: as above. Returns: NULL: it was overwritten. */
const struct cmds_span *cmdi_spans_at(const struct cmdi_spans *spans, uint64_t at);

#endif

/* SPDX-License-Identifier: MIT */
/* Who is sampled, and the ring. See spans.h. */
#include "shard/spans.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/hint.h"
#include "base/options.h"
#include "base/time.h"
#include "ring/clock.h"
#include "shard/runtime.h"
#include "shard/shard.h"

enum {
    SPANS_COUNT = 4096,
    SPANS_COUNT_MIN = 16,
    SPANS_COUNT_MAX = 1024 * 1024,
    SPANS_RATE = 1000,
    SPANS_PER_ROOM = 64, // Of so many one gives way at once, and one more.
};

_Static_assert(sizeof(struct cmds_span) == 512 || sizeof(void *) != 8, "a ring has whole lines");

/* --- Sampling --------------------------------------------------------------------------------- */

void cmdi_trace_id(uint8_t trace_id[16], const uint64_t random[2])
{
    const uint64_t words[2] = {random[0], random[1] != 0 ? random[1] : 1};
    memcpy(trace_id, words, sizeof(words));
}

static const double SAMPLER_WHOLE = (double)(UINT64_C(1) << 63);

/* What was set for a while has ended. Nobody does anything then: each asks, and what is set stays where it is. */
static bool sampler_is_over(const struct cmdi_sampler *sampler, uint64_t now_ms)
{
    uint64_t until_ms = atomic_load_explicit(&sampler->until_ms, memory_order_relaxed);
    return CMDI_UNLIKELY(until_ms != 0) && now_ms >= until_ms;
}

static uint64_t sampler_bound(const struct cmdi_sampler *sampler, uint64_t now_ms)
{
    return atomic_load_explicit(
            sampler_is_over(sampler, now_ms) ? &sampler->after_bound : &sampler->ratio_bound,
            memory_order_relaxed);
}

static uint32_t sampler_rate_max(const struct cmdi_sampler *sampler, uint64_t now_ms)
{
    return atomic_load_explicit(
            sampler_is_over(sampler, now_ms) ? &sampler->after_rate_max : &sampler->rate_max,
            memory_order_relaxed);
}

void cmdi_sampler_set_until(struct cmdi_sampler *sampler, double ratio, uint32_t rate_max,
        uint64_t until_ms, uint64_t now_ms)
{
    CMDI_ASSERT(ratio >= 0 && ratio <= 1 && (until_ms == 0 || until_ms > now_ms));
    if (atomic_load_explicit(&sampler->until_ms, memory_order_relaxed) == 0) {
        atomic_store_explicit(
                &sampler->after_bound, sampler_bound(sampler, now_ms), memory_order_relaxed);
        atomic_store_explicit(
                &sampler->after_rate_max, sampler_rate_max(sampler, now_ms), memory_order_relaxed);
    }
    atomic_store_explicit(
            &sampler->ratio_bound, (uint64_t)(ratio * SAMPLER_WHOLE), memory_order_relaxed);
    atomic_store_explicit(&sampler->rate_max, rate_max, memory_order_relaxed);
    atomic_store_explicit(&sampler->until_ms, until_ms, memory_order_relaxed);
    atomic_store_explicit(&sampler->none_until_ms, 0, memory_order_relaxed);
}

void cmdi_sampler_set(struct cmdi_sampler *sampler, double ratio, uint32_t rate_max)
{
    cmdi_sampler_set_until(sampler, ratio, rate_max, 0, 0);
}

void cmdi_sampler_init(struct cmdi_sampler *sampler, double ratio, uint32_t rate_max)
{
    *sampler = (struct cmdi_sampler){.rate_count = 0};
    cmdi_sampler_set(sampler, ratio, rate_max);
}

/* Has this second a place left? */
static bool sampler_has_place(struct cmdi_sampler *sampler, uint64_t now_ms)
{
    if (now_ms >= sampler->rate_until_ms) {
        sampler->rate_until_ms = now_ms - now_ms % CMDI_MS_PER_S + CMDI_MS_PER_S;
        sampler->rate_count = 0;
    }
    bool has_place = sampler->rate_count < sampler_rate_max(sampler, now_ms) &&
                     sampler_bound(sampler, now_ms) != 0; // Else no ids.
    if (!has_place) {
        atomic_store_explicit(
                &sampler->none_until_ms, sampler->rate_until_ms, memory_order_relaxed);
    }
    return has_place;
}

bool cmdi_sampler_root(struct cmdi_sampler *sampler, const uint8_t trace_id[16], uint64_t now_ms)
{
    uint64_t number = 0; // The id's second half, as OpenTelemetry's sampler of ratios takes it.
    for (size_t i = 8; i < 16; i++) {
        number = number << 8 | trace_id[i];
    }
    if (number >> 1 >= sampler_bound(sampler, now_ms) || !sampler_has_place(sampler, now_ms)) {
        return false;
    }
    sampler->rate_count++;
    return true;
}

/* --- Life ------------------------------------------------------------------------------------- */

int cmdi_trace_options_take(struct cmds_trace_options *mine,
        const struct cmds_trace_options *options, struct cmds_error *error)
{
    int code = cmdi_options_take(mine, sizeof(*mine), options, "cmds_trace_options", error);
    code = code < 0 ? code : cmdi_unused_check(mine->unused, "cmds_trace_options", error);
    if (code < 0) {
        return code;
    }
    cmdi_default(&mine->span_count, SPANS_COUNT);
    cmdi_default(&mine->span_rate_max, SPANS_RATE);
    mine->root_ratio = mine->root_ratio == 0 ? 1 : mine->root_ratio < 0 ? 0 : mine->root_ratio;
    if (mine->span_count < SPANS_COUNT_MIN || mine->span_count > SPANS_COUNT_MAX ||
            (mine->span_count & (mine->span_count - 1)) != 0) {
        return cmdi_fail(error, -EINVAL, "trace: span_count %u: a power of two, %d to %d",
                mine->span_count, SPANS_COUNT_MIN, SPANS_COUNT_MAX);
    }
    if (!(mine->root_ratio <= 1)) { // Nor a NaN.
        return cmdi_fail(error, -EINVAL, "trace: root_ratio %g: at most 1", mine->root_ratio);
    }
    return 0;
}

struct cmdi_spans *cmdi_spans_create(const struct cmds_trace_options *options, bool is_shared)
{
    struct cmdi_spans *spans = aligned_alloc(_Alignof(struct cmdi_spans), sizeof(*spans));
    if (spans == NULL) {
        return NULL;
    }
    memset(spans, 0, sizeof(*spans));
    spans->mask = options->span_count - 1;
    spans->on_end = options->on_span_end;
    spans->context = options->context;
    spans->is_shared = is_shared;
    cmdi_sampler_init(&spans->sampler, options->root_ratio, options->span_rate_max);
    (void)pthread_mutex_init(&spans->lock, NULL); // Cannot fail without attributes.
    spans->ring = calloc(options->span_count, sizeof(struct cmds_span)); // Touched when it is used.
    if (spans->ring == NULL) {
        cmdi_spans_destroy(spans);
        return NULL;
    }
    return spans;
}

void cmdi_spans_destroy(struct cmdi_spans *spans)
{
    if (spans != NULL) {
        (void)pthread_mutex_destroy(&spans->lock);
        free(spans->ring);
        free(spans);
    }
}

/* --- Sampling, while the runtime works -------------------------------------------------------- */

int cmds_runtime_sampling(const struct cmds_runtime *runtime, struct cmds_sampling *sampling)
{
    if (sampling == NULL || sampling->struct_size < offsetof(struct cmds_sampling, for_ms)) {
        return -EINVAL;
    }
    if (runtime->spans == NULL) {
        return -ENOTSUP;
    }
    // All shards have the same.
    const struct cmdi_sampler *sampler = &runtime->spans->sampler;
    uint64_t now_ms = cmdi_ns_to_ms(cmdi_now_ns());
    uint64_t until_ms = atomic_load_explicit(&sampler->until_ms, memory_order_relaxed);
    bool ends = until_ms > now_ms;
    uint64_t left_ms = ends ? until_ms - now_ms : 0;
    struct cmds_sampling mine = {.struct_size = sampling->struct_size,
            .span_rate_max = sampler_rate_max(sampler, now_ms),
            .root_ratio = (double)sampler_bound(sampler, now_ms) / SAMPLER_WHOLE,
            .for_ms = left_ms < UINT32_MAX ? (uint32_t)left_ms : UINT32_MAX,
            .after_rate_max = sampler_rate_max(sampler, ends ? until_ms : now_ms),
            .after_ratio =
                    (double)sampler_bound(sampler, ends ? until_ms : now_ms) / SAMPLER_WHOLE};
    memcpy(sampling, &mine,
            sampling->struct_size < sizeof(mine) ? sampling->struct_size : sizeof(mine));
    return 0;
}

int cmds_runtime_set_sampling(struct cmds_runtime *runtime, const struct cmds_sampling *sampling)
{
    struct cmds_sampling mine;
    if (sampling == NULL) {
        return -EINVAL;
    }
    int code = cmdi_options_take(&mine, sizeof(mine), sampling, "cmds_sampling", NULL);
    if (code == 0 && !(mine.root_ratio >= 0 && mine.root_ratio <= 1)) { // Nor a NaN.
        code = -EINVAL;
    }
    if (code == 0 && runtime->spans == NULL) {
        code = -ENOTSUP;
    }
    if (code == 0 && cmdi_runtime_is_foreign(runtime)) {
        code = CMDS_E_FORKED;
    }
    if (code < 0) {
        return code;
    }
    pthread_mutex_lock(&runtime->lock); // Of two that change it, one is the last on all shards.
    uint64_t now_ms = cmdi_ns_to_ms(cmdi_now_ns());
    uint64_t until_ms = mine.for_ms != 0 ? now_ms + mine.for_ms : 0;
    for (uint32_t i = 0; i <= runtime->shard_count; i++) {
        struct cmdi_spans *spans =
                i < runtime->shard_count ? runtime->shards[i]->spans : runtime->spans;
        cmdi_sampler_set_until(
                &spans->sampler, mine.root_ratio, mine.span_rate_max, until_ms, now_ms);
    }
    pthread_mutex_unlock(&runtime->lock);
    return 0;
}

/* --- The writer ------------------------------------------------------------------------------- */

static void spans_lock(struct cmdi_spans *spans)
{
    if (CMDI_UNLIKELY(spans->is_shared)) {
        pthread_mutex_lock(&spans->lock);
    }
}

static void spans_unlock(struct cmdi_spans *spans)
{
    if (CMDI_UNLIKELY(spans->is_shared)) {
        pthread_mutex_unlock(&spans->lock);
    }
}

bool cmdi_spans_has_place(struct cmdi_spans *spans, uint64_t now_ms)
{
    spans_lock(spans);
    bool has_place = sampler_has_place(&spans->sampler, now_ms);
    spans_unlock(spans);
    return has_place;
}

bool cmdi_spans_root(struct cmdi_spans *spans, uint64_t now_ms, struct cmds_trace *trace)
{
    spans_lock(spans);
    // First: at the bound, where most are, this is all that it costs.
    bool is_root = sampler_has_place(&spans->sampler, now_ms);
    if (is_root) {
        const uint64_t random[2] = {cmdi_random(), cmdi_random()};
        *trace = (struct cmds_trace){.flags = CMDS_TRACE_SAMPLED};
        cmdi_trace_id(trace->trace_id, random);
        is_root = cmdi_sampler_root(&spans->sampler, trace->trace_id, now_ms);
    }
    spans_unlock(spans);
    return is_root;
}

bool cmdi_spans_again(struct cmdi_spans *spans, uint64_t now_ms, const struct cmds_trace *trace)
{
    spans_lock(spans);
    bool is_sampled = cmdi_sampler_root(&spans->sampler, trace->trace_id, now_ms);
    spans_unlock(spans);
    return is_sampled;
}

uint64_t cmdi_spans_clock(struct cmdi_shard *shard)
{
    struct cmdi_spans *spans = shard->spans;
    if (CMDI_UNLIKELY(spans->turn_ns != shard->now_ns)) {
        spans->turn_ns = shard->now_ns;
        spans->clock_ns = cmdi_now_ns();
    }
    return spans->clock_ns;
}

uint64_t cmdi_spans_wall(struct cmdi_spans *spans, uint64_t now_ns)
{
    if (CMDI_UNLIKELY(now_ns >= spans->wall_until_ns)) {
        // Of the moment that the other clock begins with.
        spans->wall_ns = cmdi_wall_ns() - cmdi_now_ns();
        spans->wall_until_ns = now_ns + CMDI_NS_PER_S;
    }
    return spans->wall_ns + now_ns;
}

/*
 * The ring is full, or its reader is in it. If full, the oldest give way: their places are taken away from the
 * reader first, so that nobody reads what is overwritten; of a large ring some at once, since that is what it
 * costs when nobody reads. A reader that is in it is not waited for, and then it is the new one that is lost.
 *
 * Returns: there is a place at `written`.
 */
static __attribute__((noinline)) bool spans_make_room(struct cmdi_spans *spans, uint64_t written)
{
    uint64_t taken = atomic_load_explicit(&spans->taken, memory_order_acquire);
    uint64_t count = 1 + spans->mask / SPANS_PER_ROOM;
    bool has_room;
    do { // Again at most where the reader came in between, and has made room or is in it now.
        uint64_t waiting = written - (taken & ~CMDI_SPANS_READING);
        CMDI_ASSERT(waiting <= (uint64_t)spans->mask + 1);
        if (waiting <= spans->mask) {
            return true;
        }
        has_room = (taken & CMDI_SPANS_READING) == 0;
    } while (has_room && !atomic_compare_exchange_weak_explicit(&spans->taken, &taken,
                                 taken + count, memory_order_acq_rel, memory_order_acquire));
    uint64_t dropped = atomic_load_explicit(&spans->dropped, memory_order_relaxed);
    atomic_store_explicit(&spans->dropped, dropped + (has_room ? count : 1), memory_order_relaxed);
    return has_room;
}

void cmdi_spans_end(struct cmdi_spans *spans, struct cmds_span *span)
{
    CMDI_ASSERT(span->end_ns >= span->start_ns);
    if (spans->on_end != NULL) {
        spans->on_end(spans->context, span);
    }
    spans_lock(spans);
    uint64_t written = atomic_load_explicit(&spans->written, memory_order_relaxed);
    uint64_t taken = atomic_load_explicit(&spans->taken, memory_order_acquire);
    // With CMDI_SPANS_READING in it the difference is large.
    if (CMDI_LIKELY(written - taken <= spans->mask) || spans_make_room(spans, written)) {
        cmdi_span_copy(&spans->ring[written & spans->mask], span, span->event_count);
        cmdi_spans_keep(spans);
    }
    spans_unlock(spans);
}

uint32_t cmdi_spans_newest(const struct cmdi_spans *spans, uint32_t depth, uint64_t *at)
{
    *at = atomic_load_explicit(&spans->written, memory_order_relaxed);
    uint64_t count = *at <= spans->mask ? *at : (uint64_t)spans->mask + 1;
    return count < depth ? (uint32_t)count : depth;
}

const struct cmds_span *cmdi_spans_at(const struct cmdi_spans *spans, uint64_t at)
{
    uint64_t written = atomic_load_explicit(&spans->written, memory_order_relaxed);
    CMDI_ASSERT(at < written);
    return written - at <= (uint64_t)spans->mask + 1 ? &spans->ring[at & spans->mask] : NULL;
}

/* --- The reader ------------------------------------------------------------------------------- */

static uint32_t spans_take(struct cmdi_spans *spans, struct cmds_span *out, uint32_t count_max)
{
    // From here on the writer takes no place away.
    uint64_t taken =
            atomic_fetch_or_explicit(&spans->taken, CMDI_SPANS_READING, memory_order_acquire);
    CMDI_ASSERT((taken & CMDI_SPANS_READING) == 0); // One reader.
    uint64_t written = atomic_load_explicit(&spans->written, memory_order_acquire);
    uint32_t count = written - taken < count_max ? (uint32_t)(written - taken) : count_max;
    for (uint32_t i = 0; i < count; i++) {
        out[i] = spans->ring[(taken + i) & spans->mask];
    }
    atomic_store_explicit(&spans->taken, taken + count, memory_order_release);
    return count;
}

uint32_t cmds_span_take(struct cmds_runtime *runtime, struct cmds_span *out, uint32_t count_max)
{
    uint32_t count = 0;
    if (runtime->spans == NULL || cmdi_runtime_is_foreign(runtime)) {
        return 0;
    }
    // The one that had the last word waits longest for the next: all get their turn.
    uint32_t first = runtime->spans_next++;
    for (uint32_t i = 0; i <= runtime->shard_count && count < count_max; i++) {
        uint32_t index = (first + i) % (runtime->shard_count + 1);
        struct cmdi_spans *spans =
                index < runtime->shard_count ? runtime->shards[index]->spans : runtime->spans;
        count += spans_take(spans, out + count, count_max - count);
    }
    return count;
}

uint64_t cmds_span_dropped(const struct cmds_runtime *runtime)
{
    uint64_t dropped = 0;
    for (uint32_t i = 0; i < runtime->shard_count && runtime->spans != NULL; i++) {
        dropped += atomic_load_explicit(&runtime->shards[i]->spans->dropped, memory_order_relaxed);
    }
    return runtime->spans == NULL
                   ? 0
                   : dropped + atomic_load_explicit(&runtime->spans->dropped, memory_order_relaxed);
}

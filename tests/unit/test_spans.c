/* SPDX-License-Identifier: MIT */
/*
 * The ring of spans that are over, and its options. What may go wrong: the reader sees a span that is
 * half written, one twice, or one less; a full ring keeps what is old; a drop is not counted.
 */
#include "shard/spans.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <string.h>

#include <cmdstream/schema.h>

#include "ring/clock.h"
#include "shard/runtime.h"
#include "support/harness.h"

enum {
    SPANS = 20000,
    COUNT = 16,
    LARGE = 1024,
};

static struct cmdi_spans *make(uint32_t count, bool is_shared)
{
    struct cmds_trace_options options = CMDS_TRACE_OPTIONS_INIT;
    struct cmds_trace_options mine;
    options.span_count = count;
    CU_ASSERT_EQUAL_FATAL(cmdi_trace_options_take(&mine, &options, NULL), 0);
    struct cmdi_spans *spans = cmdi_spans_create(&mine, is_shared);
    CU_ASSERT_PTR_NOT_NULL_FATAL(spans);
    return spans;
}

static void write_one(struct cmdi_spans *spans, uint64_t number)
{
    struct cmds_trace trace = {.flags = CMDS_TRACE_SAMPLED};
    struct cmds_span span;
    cmdi_span_begin(&span, CMDS_SPAN_SERVER, &trace);
    span.sequence = number;
    span.attribute_size = sizeof(span.attributes);
    memset(span.attributes, (int)(number & 0xff), sizeof(span.attributes)); // All of it at once.
    span.end_ns = cmdi_now_ns();
    cmdi_spans_end(spans, &span);
}

static void test_spans_full_ring_keeps_the_last(void)
{
    struct cmdi_spans *spans = make(COUNT, false);
    struct cmds_runtime runtime = {.spans = spans, .fork_count = cmdi_fork_count()};
    struct cmds_span out[2 * COUNT];
    for (uint64_t i = 0; i < COUNT + 3; i++) {
        write_one(spans, i);
    }

    CU_ASSERT_EQUAL(cmds_span_take(&runtime, out, 5), 5);
    CU_ASSERT_EQUAL(cmds_span_take(&runtime, out + 5, 2 * COUNT - 5), COUNT - 5);
    CU_ASSERT_EQUAL(cmds_span_take(&runtime, out, 2 * COUNT), 0);

    CU_ASSERT_EQUAL(cmds_span_dropped(&runtime), 3);
    for (uint64_t i = 0; i < COUNT; i++) {
        CU_ASSERT_EQUAL(out[i].sequence, i + 3);
    }
    write_one(spans, 77); // There is room again.
    CU_ASSERT_EQUAL(cmds_span_take(&runtime, out, 1), 1);
    CU_ASSERT_EQUAL(out[0].sequence, 77);
    cmdi_spans_destroy(spans);
}

static void test_spans_large_ring_makes_room_for_some(void)
{
    struct cmdi_spans *spans = make(LARGE, false);
    struct cmds_runtime runtime = {.spans = spans, .fork_count = cmdi_fork_count()};
    static struct cmds_span out[LARGE];
    uint64_t dropped = 0;
    for (uint64_t i = 0; i < 2 * LARGE; i++) {
        write_one(spans, i);
        uint64_t more = cmds_span_dropped(&runtime) - dropped;
        CU_ASSERT(more == 0 || (i >= LARGE && more == LARGE / 64));
        dropped += more;
    }
    CU_ASSERT_EQUAL(dropped, LARGE);
    uint32_t count = cmds_span_take(&runtime, out, LARGE);
    CU_ASSERT_EQUAL(count, LARGE);
    for (uint64_t i = 0; i < count; i++) {
        CU_ASSERT_EQUAL(out[i].sequence, LARGE + i);
    }
    write_one(spans, 0);
    CU_ASSERT_EQUAL(cmds_span_dropped(&runtime), dropped); // There is room again.
    cmdi_spans_destroy(spans);
}

static void test_spans_full_ring_leaves_its_reader_alone(void)
{
    struct cmdi_spans *spans = make(COUNT, false);
    struct cmds_runtime runtime = {.spans = spans, .fork_count = cmdi_fork_count()};
    struct cmds_span out[COUNT];
    for (uint64_t i = 0; i < COUNT; i++) {
        write_one(spans, i);
    }
    atomic_fetch_or(&spans->taken, CMDI_SPANS_READING); // It copies the oldest now.
    write_one(spans, 77);
    CU_ASSERT_EQUAL(spans->ring[0].sequence, 0);
    CU_ASSERT_EQUAL(cmds_span_dropped(&runtime), 1);
    atomic_fetch_and(&spans->taken, ~CMDI_SPANS_READING);
    CU_ASSERT_EQUAL(cmds_span_take(&runtime, out, COUNT), COUNT);
    CU_ASSERT_EQUAL(out[COUNT - 1].sequence, COUNT - 1);

    atomic_fetch_or(&spans->taken, CMDI_SPANS_READING); // There is room beside it.
    write_one(spans, 78);
    atomic_fetch_and(&spans->taken, ~CMDI_SPANS_READING);
    CU_ASSERT_EQUAL(cmds_span_dropped(&runtime), 1);
    CU_ASSERT_EQUAL(cmds_span_take(&runtime, out, COUNT), 1);
    CU_ASSERT_EQUAL(out[0].sequence, 78);
    cmdi_spans_destroy(spans);
}

/* --- A look ----------------------------------------------------------------------------------- */

/* Of the ring that threads share, which the caller may write to. */
struct seen {
    struct cmds_runtime runtime;
    struct cmds_span_query query;
    struct cmds_span list[2 * COUNT];
    size_t count;
};

static void seen_init(struct seen *seen)
{
    *seen = (struct seen){.runtime = {.spans = make(COUNT, true),
                                  .fork_count = cmdi_fork_count(),
                                  .drive = CMDI_DRIVE_THREAD},
            .query = CMDS_SPAN_QUERY_INIT};
}

static void seen_look(struct seen *seen, size_t max)
{
    seen->count = 999;
    CU_ASSERT_EQUAL(cmds_span_look(&seen->runtime, &seen->query, seen->list, max, &seen->count), 0);
}

static void test_spans_look_sees_the_newest_first(void)
{
    struct seen seen;
    seen_init(&seen);
    seen_look(&seen, COUNT);
    CU_ASSERT_EQUAL(seen.count, 0);
    for (uint64_t i = 0; i < COUNT + 3; i++) {
        write_one(seen.runtime.spans, i);
        seen_look(&seen, 1);
        CU_ASSERT_EQUAL(seen.count, i < COUNT ? i + 1 : COUNT);
        CU_ASSERT_EQUAL(seen.list[0].sequence, i);
        CU_ASSERT_EQUAL(seen.list[0].attributes[191], i);
    }
    seen_look(&seen, 2 * COUNT);
    CU_ASSERT_EQUAL(seen.count, COUNT);
    for (uint64_t i = 0; i < COUNT; i++) {
        CU_ASSERT_EQUAL(seen.list[i].sequence, COUNT + 2 - i);
    }
    seen.query.depth = 5;
    seen_look(&seen, 0);
    CU_ASSERT_EQUAL(seen.count, 5);
    cmdi_spans_destroy(seen.runtime.spans);
}

static void test_spans_look_ends_where_it_was_overwritten(void)
{
    struct cmdi_spans *spans = make(COUNT, false);
    uint64_t at = 0;
    for (uint64_t i = 0; i < COUNT; i++) {
        write_one(spans, i);
    }
    CU_ASSERT_EQUAL(cmdi_spans_newest(spans, COUNT, &at), COUNT);
    for (uint64_t i = 0; i < 3; i++) {
        write_one(spans, COUNT + i); // Between two turns of the look.
    }
    for (uint64_t i = COUNT; i-- > 3;) {
        const struct cmds_span *span = cmdi_spans_at(spans, --at);
        CU_ASSERT(span != NULL && span->sequence == i);
    }
    CU_ASSERT_PTR_NULL(cmdi_spans_at(spans, --at));
    cmdi_spans_destroy(spans);
}

static void test_spans_look_takes_none_and_sees_those_that_were_taken(void)
{
    struct seen seen;
    struct cmds_span out[COUNT];
    seen_init(&seen);
    for (uint64_t i = 0; i < 5; i++) {
        write_one(seen.runtime.spans, i);
    }
    seen_look(&seen, COUNT);
    CU_ASSERT_EQUAL(cmds_span_take(&seen.runtime, out, 3), 3);
    seen_look(&seen, COUNT);
    CU_ASSERT_EQUAL(seen.count, 5);
    CU_ASSERT_EQUAL(seen.list[4].sequence, 0);
    CU_ASSERT_EQUAL(cmds_span_take(&seen.runtime, out, COUNT), 2);
    CU_ASSERT_EQUAL(out[0].sequence, 3);
    seen_look(&seen, COUNT);
    CU_ASSERT_EQUAL(seen.count, 5);
    CU_ASSERT_EQUAL(cmds_span_dropped(&seen.runtime), 0);
    cmdi_spans_destroy(seen.runtime.spans);
}

/* Each differs from all others: type, kind, trace, error, and how long it took. */
static void write_kinds(struct cmdi_spans *spans)
{
    static const struct cmds_schema schemas[] = {{.name = "red"}, {.name = "blue"}};
    static const struct cmds_type types[] = {{.schema = &schemas[0]}, {.schema = &schemas[1]}};
    for (uint8_t i = 0; i < 8; i++) {
        struct cmds_trace trace = {.trace_id = {[15] = (uint8_t)(1 + i / 2)}};
        struct cmds_span span;
        cmdi_span_begin(&span, i < 4 ? CMDS_SPAN_SERVER : CMDS_SPAN_CLIENT, &trace);
        span.type = &types[i % 2];
        span.sequence = i;
        span.error = i == 3 ? CMDS_E_TIMEOUT : 0;
        // The third took longest, then the second, ... : no order that they were written in.
        span.end_ns = cmdi_now_ns();
        span.start_ns = span.end_ns - (1 + (i + UINT64_C(5)) % 8) * 1000000000;
        cmdi_spans_end(spans, &span);
    }
}

static void test_spans_look_finds_what_it_is_asked_for(void)
{
    struct seen seen;
    seen_init(&seen);
    write_kinds(seen.runtime.spans);

    seen.query.type = "blue";
    seen_look(&seen, COUNT);
    CU_ASSERT_EQUAL(seen.count, 4);
    CU_ASSERT_EQUAL(seen.list[0].sequence, 7);
    seen.query.kind = CMDS_SPAN_SERVER;
    seen_look(&seen, COUNT);
    CU_ASSERT_EQUAL(seen.count, 2);
    CU_ASSERT_EQUAL(seen.list[0].sequence, 3);
    seen.query.failed = true;
    seen_look(&seen, COUNT);
    CU_ASSERT_EQUAL(seen.count, 1);
    seen.query.type = "green";
    seen_look(&seen, COUNT);
    CU_ASSERT_EQUAL(seen.count, 0);
    seen.query = (struct cmds_span_query)CMDS_SPAN_QUERY_INIT;
    seen.query.trace_id[15] = 4;
    seen_look(&seen, COUNT);
    CU_ASSERT_EQUAL(seen.count, 2);
    CU_ASSERT_EQUAL(seen.list[0].sequence + seen.list[1].sequence, 6 + 7);
    cmdi_spans_destroy(seen.runtime.spans);
}

static void test_spans_look_sees_the_slowest_first(void)
{
    static const uint64_t order[] = {2, 1, 0, 7, 6, 5, 4, 3};
    struct seen seen;
    seen_init(&seen);
    write_kinds(seen.runtime.spans);

    seen.query.slowest = true;
    for (size_t max = 1; max <= 8; max++) {
        seen_look(&seen, max);
        CU_ASSERT_EQUAL(seen.count, 8);
        for (size_t i = 0; i < max; i++) {
            CU_ASSERT_EQUAL(seen.list[i].sequence, order[i]);
        }
    }
    seen.query.duration_min_ns = UINT64_C(5000000000);
    seen_look(&seen, COUNT);
    CU_ASSERT_EQUAL(seen.count, 4);
    cmdi_spans_destroy(seen.runtime.spans);
}

static void test_spans_look_refuses_by_code(void)
{
    struct seen seen;
    seen_init(&seen);
    struct cmds_runtime *runtime = &seen.runtime;
    struct cmds_span_query *query = &seen.query;

    CU_ASSERT_EQUAL(cmds_span_look(runtime, query, NULL, 0, NULL), -EINVAL);
    CU_ASSERT_EQUAL(cmds_span_look(runtime, query, NULL, 1, &seen.count), -EINVAL);
    CU_ASSERT_EQUAL(cmds_span_look(runtime, NULL, NULL, 0, &seen.count), 0);
    query->kind = 1;
    CU_ASSERT_EQUAL(cmds_span_look(runtime, query, NULL, 0, &seen.count), -EINVAL);
    query->kind = 0;
    query->unused = 1;
    CU_ASSERT_EQUAL(cmds_span_look(runtime, query, NULL, 0, &seen.count), -E2BIG);
    query->unused = 0;
    query->struct_size = 0;
    CU_ASSERT_EQUAL(cmds_span_look(runtime, query, NULL, 0, &seen.count), -EINVAL);
    query->struct_size = sizeof(*query);
    CU_ASSERT_EQUAL(cmds_span_look(runtime, query, NULL, 0, &seen.count), 0);
    struct cmdi_spans *spans = runtime->spans;
    runtime->spans = NULL;
    CU_ASSERT_EQUAL(cmds_span_look(runtime, query, NULL, 0, &seen.count), -ENOTSUP);
    atomic_store(&runtime->stopping, 1);
    runtime->spans = spans;
    CU_ASSERT_EQUAL(cmds_span_look(runtime, query, NULL, 0, &seen.count), CMDS_E_CLOSED);
    cmdi_spans_destroy(spans);
}

/* --- Sampling --------------------------------------------------------------------------------- */

/* Returns: how many of ten traces begin in this second. */
static uint32_t roots(struct cmds_runtime *runtime, uint64_t second)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < 10; i++) {
        struct cmds_trace trace;
        count += cmdi_spans_root(runtime->spans, second * 1000 + i, &trace);
    }
    return count;
}

/* As OpenTelemetry's: the first half may be a time. */
static void test_spans_ratio_is_of_the_second_half(void)
{
    static const uint8_t low[16] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f};
    static const uint8_t high[16] = {0, 0, 0, 0, 0, 0, 0, 1, 0x80};
    struct cmdi_sampler sampler;
    cmdi_sampler_init(&sampler, 0.5, 1000);

    CU_ASSERT_TRUE(cmdi_sampler_root(&sampler, low, 1));
    CU_ASSERT_FALSE(cmdi_sampler_root(&sampler, high, 1));
}

static void test_spans_sampling_is_changed_while_it_runs(void)
{
    struct seen seen;
    seen_init(&seen);
    struct cmds_runtime *runtime = &seen.runtime;
    struct cmds_sampling sampling = CMDS_SAMPLING_INIT;

    CU_ASSERT_EQUAL(cmds_runtime_sampling(runtime, &sampling), 0);
    CU_ASSERT(sampling.root_ratio == 1 && sampling.span_rate_max == 1000);
    CU_ASSERT_EQUAL(roots(runtime, 1), 10);
    sampling.span_rate_max = 3;
    CU_ASSERT_EQUAL(cmds_runtime_set_sampling(runtime, &sampling), 0);
    CU_ASSERT_EQUAL(roots(runtime, 1), 0); // Of the same second.
    CU_ASSERT_EQUAL(roots(runtime, 2), 3);
    sampling.root_ratio = 0;
    CU_ASSERT_EQUAL(cmds_runtime_set_sampling(runtime, &sampling), 0);
    CU_ASSERT_EQUAL(roots(runtime, 3), 0);
    sampling = (struct cmds_sampling){.struct_size = sizeof(sampling), .root_ratio = 0.001};
    CU_ASSERT_EQUAL(cmds_runtime_set_sampling(runtime, &sampling), 0);
    sampling.root_ratio = 5;
    sampling.span_rate_max = 5;
    CU_ASSERT_EQUAL(cmds_runtime_sampling(runtime, &sampling), 0);
    CU_ASSERT(sampling.root_ratio == 0.001 && sampling.span_rate_max == 0);
    cmdi_spans_destroy(runtime->spans);
}

/* By itself: nobody does anything when the time has come. */
static void test_spans_sampling_for_a_while_goes_back(void)
{
    static const uint8_t any[16] = {[8] = 0x7f};
    struct seen seen;
    seen_init(&seen);
    struct cmds_runtime *runtime = &seen.runtime;
    struct cmdi_sampler *sampler = &runtime->spans->sampler; // Of 1000 a second, and of all.

    cmdi_sampler_set_until(sampler, 1, 3, 5000, 2000);
    CU_ASSERT_EQUAL(roots(runtime, 2), 3);
    CU_ASSERT_EQUAL(roots(runtime, 4), 3);
    CU_ASSERT_EQUAL(roots(runtime, 5), 10);
    cmdi_sampler_set_until(sampler, 0, 7, 9000, 6000);
    CU_ASSERT_EQUAL(roots(runtime, 7), 0);
    cmdi_sampler_set_until(sampler, 1, 2, 12000, 8000); // In its place: what is behind it stays.
    CU_ASSERT_EQUAL(roots(runtime, 11), 2);
    CU_ASSERT_EQUAL(roots(runtime, 12), 10);
    cmdi_sampler_set_until(sampler, 0, 0, 20000, 13000); // As after one that has ended.
    CU_ASSERT_FALSE(cmdi_sampler_root(sampler, any, 19999));
    CU_ASSERT_TRUE(cmdi_sampler_root(sampler, any, 20000));
    cmdi_sampler_set_until(sampler, 0, 0, 30000, 20000);
    cmdi_sampler_set(sampler, 1, 4); // For ever.
    CU_ASSERT_EQUAL(roots(runtime, 21), 4);
    CU_ASSERT_EQUAL(roots(runtime, 30), 4);
    cmdi_sampler_set_until(sampler, 1, 5, 33000, 31000);
    CU_ASSERT_EQUAL(roots(runtime, 32), 5);
    CU_ASSERT_EQUAL(roots(runtime, 33), 4);
    cmdi_spans_destroy(runtime->spans);
}

static void test_spans_sampling_says_how_long_it_lasts(void)
{
    struct seen seen;
    seen_init(&seen);
    struct cmds_runtime *runtime = &seen.runtime;
    struct cmds_sampling sampling = CMDS_SAMPLING_INIT;

    CU_ASSERT_EQUAL(cmds_runtime_sampling(runtime, &sampling), 0);
    CU_ASSERT(sampling.for_ms == 0 && sampling.after_ratio == 1 && sampling.after_rate_max == 1000);
    sampling.root_ratio = 0.25;
    sampling.for_ms = 600000;
    CU_ASSERT_EQUAL(cmds_runtime_set_sampling(runtime, &sampling), 0);
    CU_ASSERT_EQUAL(cmds_runtime_sampling(runtime, &sampling), 0);
    CU_ASSERT(sampling.for_ms > 0 && sampling.for_ms <= 600000 && sampling.root_ratio == 0.25);
    CU_ASSERT(sampling.after_ratio == 1 && sampling.after_rate_max == 1000);
    sampling.for_ms = 0;
    CU_ASSERT_EQUAL(cmds_runtime_set_sampling(runtime, &sampling), 0);

    struct cmds_sampling old = {.struct_size = offsetof(struct cmds_sampling, for_ms),
            .for_ms = 77}; // Of a program that does not know it.
    CU_ASSERT_EQUAL(cmds_runtime_sampling(runtime, &old), 0);
    CU_ASSERT(old.root_ratio == 0.25 && old.for_ms == 77);
    CU_ASSERT_EQUAL(cmds_runtime_sampling(runtime, &sampling), 0);
    CU_ASSERT(sampling.for_ms == 0 && sampling.after_ratio == 0.25);
    cmdi_spans_destroy(runtime->spans);
}

static void test_spans_are_spent_until_the_second_ends(void)
{
    struct seen seen;
    seen_init(&seen);
    struct cmds_runtime *runtime = &seen.runtime;
    struct cmdi_spans *spans = runtime->spans;
    struct cmds_sampling sampling = CMDS_SAMPLING_INIT;
    sampling.root_ratio = 1;
    sampling.span_rate_max = 3;
    CU_ASSERT_EQUAL(cmds_runtime_set_sampling(runtime, &sampling), 0);

    CU_ASSERT_FALSE(cmdi_spans_are_spent(spans, 1000));
    CU_ASSERT_EQUAL(roots(runtime, 1), 3);
    CU_ASSERT_TRUE(cmdi_spans_are_spent(spans, 1999));
    CU_ASSERT_FALSE(cmdi_spans_are_spent(spans, 2000));
    sampling.span_rate_max = 5;
    CU_ASSERT_EQUAL(cmds_runtime_set_sampling(runtime, &sampling), 0);
    CU_ASSERT_FALSE(cmdi_spans_are_spent(spans, 1999)); // Two more may begin in this one.
    CU_ASSERT_EQUAL(roots(runtime, 1), 2);
    sampling.root_ratio = 0;
    CU_ASSERT_EQUAL(cmds_runtime_set_sampling(runtime, &sampling), 0);
    CU_ASSERT_EQUAL(roots(runtime, 2), 0);
    CU_ASSERT_TRUE(cmdi_spans_are_spent(spans, 2999));
    CU_ASSERT_TRUE(cmdi_spans_are_spent(NULL, 0));
    cmdi_spans_destroy(spans);
}

static void test_spans_sampling_refuses_by_code(void)
{
    static const double wrong[] = {-0.001, 1.001, NAN, INFINITY};
    struct seen seen;
    seen_init(&seen);
    struct cmds_runtime *runtime = &seen.runtime;
    struct cmds_sampling sampling = CMDS_SAMPLING_INIT;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        sampling.root_ratio = wrong[i];
        CU_ASSERT_EQUAL(cmds_runtime_set_sampling(runtime, &sampling), -EINVAL);
    }
    CU_ASSERT_EQUAL(roots(runtime, 1), 10);
    sampling.root_ratio = 0;
    sampling.struct_size = 0;
    CU_ASSERT_EQUAL(cmds_runtime_set_sampling(runtime, &sampling), -EINVAL);
    CU_ASSERT_EQUAL(cmds_runtime_sampling(runtime, &sampling), -EINVAL);
    CU_ASSERT_EQUAL(cmds_runtime_set_sampling(runtime, NULL), -EINVAL);
    CU_ASSERT_EQUAL(cmds_runtime_sampling(runtime, NULL), -EINVAL);
    sampling.struct_size = sizeof(sampling);
    runtime->fork_count++;
    CU_ASSERT_EQUAL(cmds_runtime_set_sampling(runtime, &sampling), CMDS_E_FORKED);
    cmdi_spans_destroy(runtime->spans);
    runtime->spans = NULL;
    CU_ASSERT_EQUAL(cmds_runtime_set_sampling(runtime, &sampling), -ENOTSUP);
    CU_ASSERT_EQUAL(cmds_runtime_sampling(runtime, &sampling), -ENOTSUP);
}

/* --- Threads ---------------------------------------------------------------------------------- */

/* As those do who write it where it stays, if they may. */
static void write_in_place(struct cmdi_spans *spans, uint64_t number)
{
    struct cmds_span *place = cmdi_spans_place(spans);
    if (place == NULL) {
        write_one(spans, number);
        return;
    }
    memset(place, 0, sizeof(*place));
    place->sequence = number;
    place->attribute_size = sizeof(place->attributes);
    memset(place->attributes, (int)(number & 0xff), sizeof(place->attributes));
    cmdi_spans_keep(spans);
}

static void *write_many(void *context)
{
    for (uint64_t i = 0; i < SPANS; i++) {
        if (i % 2 == 0) {
            write_in_place(context, i);
        } else {
            write_one(context, i);
        }
    }
    return NULL;
}

/* Returns: how many of those that are seen are not whole. */
static uint32_t look_is_wrong(struct cmds_runtime *runtime)
{
    struct cmds_span_query query = CMDS_SPAN_QUERY_INIT;
    struct cmds_span list[COUNT];
    size_t count = 0;
    uint32_t wrong = cmds_span_look(runtime, &query, list, COUNT, &count) != 0;
    for (size_t i = 0; i < count; i++) {
        uint8_t mark = (uint8_t)(list[i].sequence & 0xff);
        wrong += list[i].attributes[0] != mark || list[i].attributes[191] != mark;
    }
    return wrong;
}

/* Whole, in their order, and none is lost without being counted. */
static void race(bool is_shared, int writers)
{
    struct cmdi_spans *spans = make(COUNT, is_shared);
    struct cmds_runtime runtime = {
            .spans = spans, .fork_count = cmdi_fork_count(), .drive = CMDI_DRIVE_THREAD};
    struct cmds_span out[COUNT];
    pthread_t threads[2];
    uint64_t count = 0;
    uint64_t last = 0;
    uint32_t wrong = 0;
    for (int i = 0; i < writers; i++) {
        CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, write_many, spans), 0);
    }
    uint64_t all = (uint64_t)writers * SPANS;
    while (count + cmds_span_dropped(&runtime) < all) {
        wrong += is_shared ? look_is_wrong(&runtime) : 0;
        uint32_t taken = cmds_span_take(&runtime, out, COUNT);
        for (uint32_t i = 0; i < taken; i++) {
            uint8_t mark = (uint8_t)(out[i].sequence & 0xff);
            wrong += out[i].attributes[0] != mark || out[i].attributes[191] != mark;
            wrong += writers == 1 && count + i > 0 && out[i].sequence <= last;
            last = out[i].sequence;
        }
        count += taken;
    }
    for (int i = 0; i < writers; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_EQUAL(cmds_span_take(&runtime, out, COUNT), 0);
    cmdi_spans_destroy(spans);
}

static void test_spans_reader_sees_whole_ones_in_order(void)
{
    race(false, 1);
}

static void test_spans_shared_ones_have_many_writers(void)
{
    race(true, 2);
}

static void on_end(void *context, struct cmds_span *span)
{
    (void)context;
    (void)span;
}

static void test_spans_place_is_where_nobody_else_is(void)
{
    struct cmdi_spans *spans = make(COUNT, false);
    struct cmdi_spans *shared = make(COUNT, true);
    struct cmds_runtime runtime = {.spans = spans, .fork_count = cmdi_fork_count()};
    struct cmds_span out[COUNT];
    for (uint64_t i = 0; i < COUNT; i++) {
        CU_ASSERT_PTR_EQUAL(cmdi_spans_place(spans), &spans->ring[i]);
        write_in_place(spans, i);
    }
    CU_ASSERT_PTR_NULL(cmdi_spans_place(spans)); // All of them may still be read.
    CU_ASSERT_EQUAL(cmds_span_take(&runtime, out, 1), 1);
    CU_ASSERT_EQUAL(out[0].sequence, 0);
    CU_ASSERT_PTR_EQUAL(cmdi_spans_place(spans), &spans->ring[0]);
    atomic_fetch_or(&spans->taken, CMDI_SPANS_READING);
    CU_ASSERT_PTR_NULL(cmdi_spans_place(spans));
    atomic_fetch_and(&spans->taken, ~CMDI_SPANS_READING);
    spans->on_end = on_end;
    CU_ASSERT_PTR_NULL(cmdi_spans_place(spans)); // It may end one itself.
    CU_ASSERT_PTR_NULL(cmdi_spans_place(shared));
    cmdi_spans_destroy(shared);
    cmdi_spans_destroy(spans);
}

static void test_spans_begin_inside_their_trace(void)
{
    struct cmds_trace trace = {.trace_id = {1}, .span_id = {2}, .flags = CMDS_TRACE_SAMPLED};
    struct cmds_span span;
    memset(&span, 0x5a, sizeof(span));

    cmdi_span_begin(&span, CMDS_SPAN_CLIENT, &trace);

    CU_ASSERT_EQUAL(span.parent_id[0], 2);
    CU_ASSERT_EQUAL(memcmp(span.trace_id, trace.trace_id, sizeof(span.trace_id)), 0);
    CU_ASSERT_EQUAL(memcmp(span.span_id, trace.span_id, sizeof(span.span_id)), 0);
    CU_ASSERT(memcmp(span.span_id, span.parent_id, sizeof(span.span_id)) != 0);
    CU_ASSERT_EQUAL(span.event_count + span.attribute_size + span.error + span.peer[0], 0);
}

static void test_spans_options_are_checked(void)
{
    struct cmds_trace_options options = CMDS_TRACE_OPTIONS_INIT;
    struct cmds_trace_options mine;
    struct cmds_error error = CMDS_ERROR_INIT;

    CU_ASSERT_EQUAL(cmdi_trace_options_take(&mine, &options, &error), 0);
    CU_ASSERT_EQUAL(mine.span_count, 4096);
    CU_ASSERT_EQUAL(mine.span_rate_max, 1000);
    CU_ASSERT(mine.root_ratio == 1);
    options.root_ratio = -1;
    CU_ASSERT_EQUAL(cmdi_trace_options_take(&mine, &options, &error), 0);
    CU_ASSERT(mine.root_ratio == 0);
    options.root_ratio = 1.5;
    CU_ASSERT_EQUAL(cmdi_trace_options_take(&mine, &options, &error), -EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "root_ratio"));
    options.root_ratio = 0;
    for (uint32_t count = 8; count <= 2 * 1024 * 1024; count = count == 8 ? 100 : 2097152 + count) {
        options.span_count = count;
        CU_ASSERT_EQUAL(cmdi_trace_options_take(&mine, &options, NULL), -EINVAL);
    }
    options.span_count = 16;
    options.unused = 1;
    CU_ASSERT_EQUAL(cmdi_trace_options_take(&mine, &options, NULL), -E2BIG);
}

static CU_TestInfo test_spans[] = {
        {"a full ring keeps the last", test_spans_full_ring_keeps_the_last},
        {"a large ring makes room for some", test_spans_large_ring_makes_room_for_some},
        {"a full ring leaves its reader alone", test_spans_full_ring_leaves_its_reader_alone},
        {"a look ends where it was overwritten", test_spans_look_ends_where_it_was_overwritten},
        {"a look sees the newest first", test_spans_look_sees_the_newest_first},
        {"a look takes none and sees those that were taken",
                test_spans_look_takes_none_and_sees_those_that_were_taken},
        {"a look finds what it is asked for", test_spans_look_finds_what_it_is_asked_for},
        {"a look sees the slowest first", test_spans_look_sees_the_slowest_first},
        {"a look refuses by code", test_spans_look_refuses_by_code},
        {"ratio is of the second half", test_spans_ratio_is_of_the_second_half},
        {"sampling is changed while it runs", test_spans_sampling_is_changed_while_it_runs},
        {"sampling for a while goes back", test_spans_sampling_for_a_while_goes_back},
        {"sampling says how long it lasts", test_spans_sampling_says_how_long_it_lasts},
        {"they are spent until the second ends", test_spans_are_spent_until_the_second_ends},
        {"sampling refuses by code", test_spans_sampling_refuses_by_code},
        {"a reader sees whole ones in order", test_spans_reader_sees_whole_ones_in_order},
        {"shared ones have many writers", test_spans_shared_ones_have_many_writers},
        {"a place is where nobody else is", test_spans_place_is_where_nobody_else_is},
        {"they begin inside their trace", test_spans_begin_inside_their_trace},
        {"options are checked", test_spans_options_are_checked},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("spans", test_spans)

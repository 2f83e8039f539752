/* SPDX-License-Identifier: MIT */
/*
 * The ring of spans that are over, and its options. What may go wrong: the reader sees a span that is
 * half written, one twice, or one less; a full ring keeps what is old; a drop is not counted.
 */
#include "shard/spans.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "shard/runtime.h"
#include "support/harness.h"

enum {
    SPANS = 20000,
    COUNT = 16,
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

static void *write_many(void *context)
{
    for (uint64_t i = 0; i < SPANS; i++) {
        write_one(context, i);
    }
    return NULL;
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
        {"a full ring leaves its reader alone", test_spans_full_ring_leaves_its_reader_alone},
        {"a reader sees whole ones in order", test_spans_reader_sees_whole_ones_in_order},
        {"shared ones have many writers", test_spans_shared_ones_have_many_writers},
        {"they begin inside their trace", test_spans_begin_inside_their_trace},
        {"options are checked", test_spans_options_are_checked},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("spans", test_spans)

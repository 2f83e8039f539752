/* SPDX-License-Identifier: MIT */
/* Spans of the processes of a simulated world, kept for the test to look at. */
#ifndef CMDI_TESTS_SUPPORT_SIM_SPANS_H
#define CMDI_TESTS_SUPPORT_SIM_SPANS_H

#include <string.h>

#include <cmdstream/telemetry.h>
#include <cmdstream/trace.h>

#include "support/harness.h"

enum {
    LAST,
    MIDDLE,
    USER,
    PROCESSES,
    SPANS_MAX = 256,
};

/* Of one process. */
struct kept {
    struct cmds_span spans[SPANS_MAX];
    uint32_t count;
    uint64_t dropped;
    // Of the durations, by kind of span.
    bool has_exemplar[CMDS_SPAN_CLIENT + 1];
    struct cmds_exemplar exemplar[CMDS_SPAN_CLIENT + 1];
    int64_t metric; // The same as it is read with all others. -1: it is not there.
};
static struct kept kept[PROCESSES];
/* Of `context`, a process: how many were dropped, and the exemplar of a duration. */
static inline int find_metrics(
        void *context, const struct cmds_metric *metric, const struct cmds_point *point)
{
    struct kept *at = context;
    if (strcmp(metric->name, "cmdstream.spans.dropped") == 0) {
        at->metric = point->integer;
    }
    if (point->exemplar != NULL) {
        bool is_server = strcmp(metric->name, "cmd-stream.server.command.duration") == 0;
        int kind = is_server ? CMDS_SPAN_SERVER : CMDS_SPAN_CLIENT;
        CU_ASSERT(is_server || strcmp(metric->name, "cmd-stream.client.command.duration") == 0);
        at->has_exemplar[kind] = true;
        at->exemplar[kind] = *point->exemplar;
    }
    return 0;
}

static inline void keep(struct cmds_runtime *runtime, int process)
{
    struct kept *at = &kept[process];
    if (runtime != NULL) {
        at->count += cmds_span_take(runtime, at->spans + at->count, SPANS_MAX - at->count);
        at->dropped = cmds_span_dropped(runtime);
        at->metric = -1;
        (void)cmds_telemetry_read(runtime, 0, find_metrics, at);
    }
}

/* Of one kind, with this parent. */
static inline const struct cmds_span *child(
        int process, int kind, const uint8_t parent_id[8], const uint8_t trace_id[16])
{
    const struct cmds_span *found = NULL;
    for (uint32_t i = 0; i < kept[process].count; i++) {
        const struct cmds_span *span = &kept[process].spans[i];
        if (span->kind == kind &&
                memcmp(span->parent_id, parent_id, sizeof(span->parent_id)) == 0 &&
                memcmp(span->trace_id, trace_id, sizeof(span->trace_id)) == 0) {
            CU_ASSERT_PTR_NULL(found); // Once.
            found = span;
        }
    }
    return found;
}

/* The value of a span that there is. */
static inline void exemplar_is_of_a_span(const struct kept *at, int kind)
{
    const struct cmds_exemplar *exemplar = &at->exemplar[kind];
    uint32_t found = 0;
    for (uint32_t i = 0; i < at->count; i++) {
        const struct cmds_span *span = &at->spans[i];
        double took = (double)(span->end_ns - span->start_ns) / 1e9;
        found += memcmp(span->span_id, exemplar->span_id, sizeof(span->span_id)) == 0 &&
                 memcmp(span->trace_id, exemplar->trace_id, sizeof(span->trace_id)) == 0 &&
                 span->kind == kind && took == exemplar->value;
    }
    CU_ASSERT_TRUE(at->has_exemplar[kind]);
    CU_ASSERT_EQUAL(found, 1);
    CU_ASSERT(exemplar->time_ns > 0);
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a traceparent, a tracestate, a baggage and as a whole carrier: the first byte says where
 * they are cut. What is taken is written as the same context again; what is passed on is valid.
 */
#include "telemetry/trace.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    VERSION_SIZE = 2,
};

#define REQUIRE(fact)                                                                              \
    if (!(fact)) {                                                                                 \
        abort();                                                                                   \
    }

static void check_parent(struct cmds_string text)
{
    struct cmds_trace trace = {.flags = 0xa5};
    struct cmds_trace again = {0};
    char out[CMDS_TRACEPARENT_SIZE];
    if (cmds_trace_parse(&trace, text) < 0) {
        REQUIRE(trace.flags == 0xa5);
        return;
    }
    cmds_trace_format(&trace, out);
    // Version and flags are ours, all between them is the peer's.
    REQUIRE(text.size >= sizeof(out) - 1 && strlen(out) == sizeof(out) - 1);
    REQUIRE(memcmp(out + VERSION_SIZE, text.data + VERSION_SIZE, sizeof(out) - 5) == 0);
    REQUIRE(cmds_trace_parse(&again, (struct cmds_string){out, sizeof(out) - 1}) == 0);
    REQUIRE(memcmp(again.trace_id, trace.trace_id, sizeof(trace.trace_id)) == 0);
    REQUIRE(memcmp(again.span_id, trace.span_id, sizeof(trace.span_id)) == 0);
    REQUIRE(again.flags == (trace.flags & CMDS_TRACE_SAMPLED));
}

static void check_carrier(
        struct cmds_string parent, struct cmds_string state, struct cmds_string baggage)
{
    const struct cmds_pair pairs[] = {
            {CMDS_STRING("tracestate"), state},
            {CMDS_STRING("baggage"), baggage},
            {CMDS_STRING("traceparent"), parent},
    };
    struct cmdi_carrier carrier;
    struct cmds_trace trace = {0};
    struct cmds_trace again = {0};
    if (!cmdi_trace_from_map(&trace, (struct cmds_map){pairs, 3})) {
        return;
    }
    REQUIRE(trace.state.size == 0 || cmdi_tracestate_is_valid(state));
    REQUIRE(trace.baggage.size == 0 || cmdi_baggage_is_valid(baggage));
    struct cmds_map map = cmdi_trace_to_map(&trace, &carrier);
    REQUIRE(map.count == 1u + (trace.state.size > 0) + (trace.baggage.size > 0));
    REQUIRE(cmdi_trace_from_map(&again, map));
    REQUIRE(again.state.size == trace.state.size && again.baggage.size == trace.baggage.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    size_t cut = data[0] < size - 1 ? data[0] : size - 1;
    const struct cmds_string parent = {(const char *)data + 1, cut};
    const struct cmds_string rest = {(const char *)data + 1 + cut, size - 1 - cut};
    check_parent(parent);
    (void)cmdi_tracestate_is_valid(rest);
    (void)cmdi_baggage_is_valid(rest);
    check_carrier(parent, rest, rest);
    return 0;
}

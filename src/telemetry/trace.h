/* SPDX-License-Identifier: MIT */
/*
 * Contexts of traces as values: what stands in a carrier. Bytes in, values out; no clock, no memory. Whatever a peer sends that is no context is dropped here and is never an error of
 * its command.
 */
#ifndef CMDI_TELEMETRY_TRACE_H
#define CMDI_TELEMETRY_TRACE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <cmdstream/trace.h>

enum {
    CMDI_CARRIER_PAIRS_MAX = 8, // Of a peer's carrier with more nothing is read.
    CMDI_TRACESTATE_MEMBERS_MAX = 32,
};

/** A context as pairs. `pairs` point into the carrier and to what the context points to. */
struct cmdi_carrier {
    char traceparent[CMDS_TRACEPARENT_SIZE];
    struct cmds_pair pairs[3];
};

static inline bool cmdi_trace_is_set(const struct cmds_trace *trace)
{
    return (trace->flags & CMDS_TRACE_SAMPLED) != 0;
}

/** It is a context: neither of its ids is zero. */
static inline bool cmdi_trace_is_valid(const struct cmds_trace *trace)
{
    uint64_t words[3];
    memcpy(words, trace->trace_id, sizeof(trace->trace_id));
    memcpy(&words[2], trace->span_id, sizeof(trace->span_id));
    return (words[0] | words[1]) != 0 && words[2] != 0;
}
/** May it be passed on as a tracestate? Empty is fine. */
bool cmdi_tracestate_is_valid(struct cmds_string state);
/** Has it no more than CMDS_BAGGAGE_MAX bytes, all of them printable ASCII? Empty is fine. */
bool cmdi_baggage_is_valid(struct cmds_string baggage);

/**
 * Reads a peer's carrier. Owner: what *trace points to is the map's. Returns: false: there is no
 * context in it, and *trace is untouched.
 */
bool cmdi_trace_from_map(struct cmds_trace *trace, struct cmds_map map);
/** Owner: the result points into `carrier` and to what `trace` points to. */
struct cmds_map cmdi_trace_to_map(const struct cmds_trace *trace, struct cmdi_carrier *carrier);

#endif

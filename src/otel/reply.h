/* SPDX-License-Identifier: MIT */
/*
 * What a backend's answer means for the batch, and when the next try is. Values in, values out; any
 * thread. The body comes from a peer, which may lie.
 */
#ifndef CMDI_OTEL_REPLY_H
#define CMDI_OTEL_REPLY_H

#include <cmdstream/base.h>

enum cmdi_verdict {
    CMDI_VERDICT_SENT,  // It has been taken.
    CMDI_VERDICT_AGAIN, // It may be sent once more.
    CMDI_VERDICT_LOST,
};

enum {
    CMDI_RETRY_FIRST_MS = 500, // Doubled each time.
    CMDI_RETRY_MAX_MS = 8000,
    CMDI_RETRY_FOR_MS = 30000, // After the first try a batch is given up.
};

/** `status`: of HTTP; 0: no answer came, or none that has one. */
enum cmdi_verdict cmdi_reply_verdict(long status);
/**
 * How long the batch waits for its next try.
 *
 * `tries`: how often it was sent. `retry_after_ms`: what the backend asks for; 0: nothing. `random`: any
 * number, which spreads those that were refused together. `spent_ms`: since the first try.
 *
 * Returns: milliseconds; -ETIMEDOUT: it would be too late.
 */
int64_t cmdi_reply_delay_ms(
        uint32_t tries, uint64_t retry_after_ms, uint64_t random, uint64_t spent_ms);

struct cmdi_partial {
    uint64_t rejected;          // Points, or spans, that were not taken.
    struct cmds_string message; // Of the body; may be there without a rejected one, as a warning.
};
/**
 * Reads an ExportMetricsServiceResponse, or the one of traces.
 *
 * Owner:   *partial borrows `body`; it is zero after a failure.
 * Returns: 0; CMDS_E_PROTO: it is none.
 */
int cmdi_reply_read(struct cmds_bytes body, struct cmdi_partial *partial);

#endif

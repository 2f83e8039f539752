/* SPDX-License-Identifier: MIT */
/* Spans as OTLP has them: one ExportTraceServiceRequest. One thread at a time. */
#ifndef CMDI_OTEL_TRACES_H
#define CMDI_OTEL_TRACES_H

#include <cmdstream/trace.h>

#include "otel/proto.h"

/**
 * `resource`: of cmdi_resource_make(). `realtime_ns`: what CLOCK_REALTIME was ahead of CLOCK_MONOTONIC,
 * whose times spans have: one for all of a batch, so that what one span is after another stays true.
 *
 * Owner:   `proto` is empty, and has the request afterwards.
 * Returns: 0; -ENOMEM, -EFBIG.
 */
int cmdi_traces_write(struct cmdi_proto *proto, struct cmds_bytes resource,
        const struct cmds_span *spans, uint32_t count, uint64_t realtime_ns);

#endif

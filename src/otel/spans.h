/* SPDX-License-Identifier: MIT */
/*
 * Spans on their way into batches. They are looked for ten times a second, because no shard wakes an
 * exporter; what a full courier cannot take stays in the runtime's rings, which count what they drop.
 * The exporter's thread.
 */
#ifndef CMDI_OTEL_SPANS_H
#define CMDI_OTEL_SPANS_H

#include "otel/courier.h"
#include "otel/exporter.h"
#include "otel/proto.h"

enum {
    CMDI_SPANS_MAX = 512, // Of a batch.
    CMDI_SPANS_LOOK_MS = 100,
};

struct cmdi_spans {
    const struct cmdi_source *source;
    struct cmds_bytes resource;
    uint32_t interval_ms;
    struct cmds_span *list; // Of CMDI_SPANS_MAX; NULL: it is off.
    uint32_t count;
    bool is_wanted; // All that there are, now, until there are no more of them.
    uint64_t look_ms, due_ms;
};

/** Returns: 0; -ENOMEM. */
int cmdi_spans_init(struct cmdi_spans *spans, const struct cmdi_source *source,
        struct cmds_bytes resource, uint32_t interval_ms);
void cmdi_spans_fini(struct cmdi_spans *spans);
/**
 * Takes those that are over, and pushes what is due; is_wanted becomes false when all are pushed.
 *
 * Owner:   overwrites `body`. Returns: 0; -ENOMEM, -EFBIG: a batch was lost.
 */
int cmdi_spans_look(struct cmdi_spans *spans, struct cmdi_courier *courier, struct cmdi_proto *body,
        uint64_t now_ms);

#endif

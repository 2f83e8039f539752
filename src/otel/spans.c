/* SPDX-License-Identifier: MIT */
/* See spans.h. */
#include "otel/spans.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/assert.h"
#include "base/time.h"
#include "otel/traces.h"

int cmdi_spans_init(struct cmdi_spans *spans, const struct cmdi_source *source,
        struct cmds_bytes resource, uint32_t interval_ms)
{
    *spans = (struct cmdi_spans){.source = source,
            .resource = resource,
            .interval_ms = interval_ms,
            .due_ms = UINT64_MAX};
    spans->list = malloc(CMDI_SPANS_MAX * sizeof(struct cmds_span));
    return spans->list == NULL ? -ENOMEM : 0;
}

void cmdi_spans_fini(struct cmdi_spans *spans)
{
    free(spans->list);
    *spans = (struct cmdi_spans){.list = NULL};
}

/* How far CLOCK_REALTIME is ahead of the clock of spans, now. It may be less than 0: it wraps. */
static uint64_t realtime_ahead_ns(void)
{
    struct timespec real, monotonic;
    (void)clock_gettime(CLOCK_REALTIME, &real);
    (void)clock_gettime(CLOCK_MONOTONIC, &monotonic);
    return (uint64_t)(real.tv_sec - monotonic.tv_sec) * CMDI_NS_PER_S +
           (uint64_t)(real.tv_nsec - monotonic.tv_nsec);
}

static int push(struct cmdi_spans *spans, struct cmdi_courier *courier, struct cmdi_proto *body,
        uint64_t now_ms)
{
    struct cmdi_batch batch = {.data = NULL};
    cmdi_proto_reset(body);
    int code = cmdi_traces_write(
            body, spans->resource, spans->list, spans->count, realtime_ahead_ns());
    if (code == 0) {
        code = cmdi_batch_make(
                &batch, cmdi_proto_bytes_of(body), spans->count, courier->target->gzip);
    }
    if (code == 0) {
        cmdi_courier_push(courier, &batch, now_ms);
    } else {
        cmdi_courier_lost(courier, spans->count);
    }
    spans->count = 0;
    spans->due_ms = UINT64_MAX;
    return code;
}

int cmdi_spans_look(struct cmdi_spans *spans, struct cmdi_courier *courier, struct cmdi_proto *body,
        uint64_t now_ms)
{
    CMDI_ASSERT(spans->list != NULL);
    if (now_ms < spans->look_ms && !spans->is_wanted) {
        return 0;
    }
    spans->look_ms = now_ms + CMDI_SPANS_LOOK_MS;
    int code = 0;
    while (!cmdi_courier_is_full(courier)) {
        uint32_t room = CMDI_SPANS_MAX - spans->count;
        uint32_t taken =
                spans->source->take(spans->source->context, spans->list + spans->count, room);
        CMDI_ASSERT(taken <= room);
        if (spans->count == 0 && taken > 0) {
            spans->due_ms = now_ms + spans->interval_ms;
        }
        spans->count += taken;
        bool is_due = spans->count == CMDI_SPANS_MAX || now_ms >= spans->due_ms || spans->is_wanted;
        if (spans->count > 0 && is_due) {
            int pushed = push(spans, courier, body, now_ms);
            code = code < 0 ? code : pushed;
        }
        if (taken < room) {
            spans->is_wanted = false;
            break;
        }
    }
    return code;
}

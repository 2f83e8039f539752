/* SPDX-License-Identifier: MIT */
/* What is sent at a time, and the few that wait. The exporter's thread. */
#ifndef CMDI_OTEL_BATCH_H
#define CMDI_OTEL_BATCH_H

#include <cmdstream/base.h>

enum {
    CMDI_BATCHES_WAITING_MAX = 2,
};

struct cmdi_batch {
    uint8_t *data; // NULL: there is none. Its own.
    size_t size;
    uint64_t item_count; // Points, or spans.
    bool is_gzip;
    uint32_t tries;
    uint64_t first_try_ms, next_try_ms;
};

/**
 * A copy of `body`, compressed if `gzip`, but not where that does not help.
 *
 * Owner:   *batch is the caller's: cmdi_batch_free().
 * Returns: 0; -ENOMEM.
 */
int cmdi_batch_make(
        struct cmdi_batch *batch, struct cmds_bytes body, uint64_t item_count, bool gzip);
void cmdi_batch_free(struct cmdi_batch *batch);

/** Those that wait, the oldest first. */
struct cmdi_queue {
    struct cmdi_batch batches[CMDI_BATCHES_WAITING_MAX];
    uint32_t count;
};
/**
 * Takes *batch, which has something in it. Returns: 0; else the queue was full, and the oldest one was dropped
 * for it: how many were in that.
 */
uint64_t cmdi_queue_push(struct cmdi_queue *queue, struct cmdi_batch *batch);
/** Gives the oldest one. Returns: false: there is none. */
bool cmdi_queue_pop(struct cmdi_queue *queue, struct cmdi_batch *batch);

#endif

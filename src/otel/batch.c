/* SPDX-License-Identifier: MIT */
/* See batch.h. */
#include "otel/batch.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

#include "base/assert.h"

enum {
    GZIP_WINDOW = 15 + 16, // The largest, with gzip's header and not zlib's.
    GZIP_MEMORY = 8,
};

/* Returns: its size; 0: it became no smaller, or there was no memory. */
static size_t compress_into(uint8_t *out, struct cmds_bytes body)
{
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)body.data,
            .avail_in = (uInt)body.size,
            .next_out = out,
            .avail_out = (uInt)body.size};
    if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY,
                Z_DEFAULT_STRATEGY) != Z_OK) {
        return 0;
    }
    int code = deflate(&stream, Z_FINISH);
    size_t size = stream.total_out;
    (void)deflateEnd(&stream);
    return code == Z_STREAM_END ? size : 0;
}

int cmdi_batch_make(
        struct cmdi_batch *batch, struct cmds_bytes body, uint64_t item_count, bool gzip)
{
    CMDI_ASSERT(body.size > 0);
    *batch = (struct cmdi_batch){.item_count = item_count};
    batch->data = malloc(body.size);
    if (batch->data == NULL) {
        return -ENOMEM;
    }
    if (gzip && body.size <= UINT_MAX) {
        batch->size = compress_into(batch->data, body);
        batch->is_gzip = batch->size > 0;
    }
    if (!batch->is_gzip) {
        memcpy(batch->data, body.data, body.size);
        batch->size = body.size;
    }
    return 0;
}

void cmdi_batch_free(struct cmdi_batch *batch)
{
    free(batch->data);
    *batch = (struct cmdi_batch){.data = NULL};
}

uint64_t cmdi_queue_push(struct cmdi_queue *queue, struct cmdi_batch *batch)
{
    uint64_t lost = 0;
    CMDI_ASSERT(batch->data != NULL && batch->item_count > 0);
    if (queue->count == CMDI_BATCHES_WAITING_MAX) {
        struct cmdi_batch oldest;
        (void)cmdi_queue_pop(queue, &oldest);
        lost = oldest.item_count;
        cmdi_batch_free(&oldest);
    }
    queue->batches[queue->count++] = *batch;
    *batch = (struct cmdi_batch){.data = NULL};
    return lost;
}

bool cmdi_queue_pop(struct cmdi_queue *queue, struct cmdi_batch *batch)
{
    if (queue->count == 0) {
        return false;
    }
    *batch = queue->batches[0];
    queue->count--;
    memmove(queue->batches, queue->batches + 1, queue->count * sizeof(queue->batches[0]));
    return true;
}

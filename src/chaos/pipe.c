/* SPDX-License-Identifier: MIT */
/* See pipe.h. */
#include "chaos/pipe.h"

#include <string.h>

#include "base/assert.h"

enum {
    BUCKET_PARTS = 100,    // A second.
    BUCKET_SPARE_MS = 100, // What was not used of so long is there still.
    BUCKET_MILLI = 1000,
};

/* --- Bytes ------------------------------------------------------------------------------------ */

static struct cmdi_pipe_mark *pipe_mark(struct cmdi_pipe *pipe, uint32_t nth)
{
    return &pipe->marks[(pipe->mark_first + nth) % CMDI_PIPE_MARKS];
}

/* What was put is due then. Without a free mark the last one takes it along. */
static void pipe_put_mark(struct cmdi_pipe *pipe, uint64_t due_ms)
{
    struct cmdi_pipe_mark *last =
            pipe->mark_count > 0 ? pipe_mark(pipe, pipe->mark_count - 1u) : NULL;
    if (last == NULL || (last->due_ms < due_ms && pipe->mark_count < CMDI_PIPE_MARKS)) {
        last = pipe_mark(pipe, pipe->mark_count);
        pipe->mark_count++;
    }
    *last = (struct cmdi_pipe_mark){due_ms, pipe->put};
}

void cmdi_pipe_put(struct cmdi_pipe *pipe, struct cmds_bytes bytes, uint64_t due_ms)
{
    CMDI_ASSERT(bytes.size <= pipe->capacity - cmdi_pipe_size(pipe));
    CMDI_ASSERT(pipe->end == CMDI_PIPE_GOES_ON);
    size_t at = (size_t)(pipe->put % pipe->capacity);
    size_t first = pipe->capacity - at < bytes.size ? pipe->capacity - at : bytes.size;
    memcpy(pipe->data + at, bytes.data, first);
    memcpy(pipe->data, (const uint8_t *)bytes.data + first, bytes.size - first);
    pipe->put += bytes.size;
    pipe->last_ms = due_ms > pipe->last_ms ? due_ms : pipe->last_ms;
    pipe_put_mark(pipe, pipe->last_ms);
}

void cmdi_pipe_finish(struct cmdi_pipe *pipe, enum cmdi_pipe_end end, uint64_t due_ms)
{
    CMDI_ASSERT(end > pipe->end);
    pipe->end = (uint8_t)end;
    pipe->last_ms = due_ms > pipe->last_ms ? due_ms : pipe->last_ms;
    pipe->end_due_ms = pipe->last_ms;
}

struct cmds_bytes cmdi_pipe_ripe(struct cmdi_pipe *pipe, uint64_t now_ms)
{
    while (pipe->mark_count > 0 && pipe->marks[pipe->mark_first].due_ms <= now_ms) {
        pipe->ripe = pipe->marks[pipe->mark_first].end;
        pipe->mark_first = (uint8_t)((pipe->mark_first + 1u) % CMDI_PIPE_MARKS);
        pipe->mark_count--;
    }
    size_t size = (size_t)(pipe->ripe - pipe->taken);
    if (size == 0) {
        return (struct cmds_bytes){0};
    }
    size_t at = (size_t)(pipe->taken % pipe->capacity);
    size_t straight = pipe->capacity - at;
    return (struct cmds_bytes){pipe->data + at, size < straight ? size : straight};
}

void cmdi_pipe_take(struct cmdi_pipe *pipe, size_t size)
{
    CMDI_ASSERT(size <= pipe->ripe - pipe->taken);
    pipe->taken += size;
}

enum cmdi_pipe_end cmdi_pipe_ended(const struct cmdi_pipe *pipe, uint64_t now_ms)
{
    bool is_due = pipe->end != CMDI_PIPE_GOES_ON && pipe->end_due_ms <= now_ms;
    bool is_empty = cmdi_pipe_size(pipe) == 0;
    return is_due && (is_empty || pipe->end == CMDI_PIPE_RESET) ? (enum cmdi_pipe_end)pipe->end
                                                                : CMDI_PIPE_GOES_ON;
}

uint64_t cmdi_pipe_next_ms(const struct cmdi_pipe *pipe, uint64_t now_ms)
{
    uint64_t next = CMDI_PIPE_NONE;
    if (pipe->mark_count > 0) {
        next = pipe->marks[pipe->mark_first].due_ms;
    } else if (pipe->end != CMDI_PIPE_GOES_ON) {
        next = pipe->end_due_ms;
    }
    return next > now_ms ? next : CMDI_PIPE_NONE;
}

/* --- How many bytes a second ------------------------------------------------------------------ */

size_t cmdi_bucket_allow(struct cmdi_bucket *bucket, uint32_t rate, uint64_t now_ms, size_t wanted,
        uint64_t *wait_ms)
{
    CMDI_ASSERT(rate > 0 && wanted > 0);
    uint64_t spare = (uint64_t)rate * BUCKET_SPARE_MS;
    uint64_t most = spare > BUCKET_MILLI ? spare : BUCKET_MILLI;
    uint64_t passed = bucket->at_ms != 0 ? now_ms - bucket->at_ms : 0;
    uint64_t grown = bucket->milli + (passed < BUCKET_MILLI ? passed : BUCKET_MILLI) * rate;
    bucket->milli = grown < most ? grown : most;
    bucket->at_ms = now_ms;
    uint64_t part = rate / BUCKET_PARTS > 0 ? rate / BUCKET_PARTS : 1;
    part = wanted < part ? wanted : part;
    if (bucket->milli >= part * BUCKET_MILLI) {
        uint64_t may = bucket->milli / BUCKET_MILLI;
        return may < wanted ? (size_t)may : wanted;
    }
    *wait_ms = (part * BUCKET_MILLI - bucket->milli + rate - 1) / rate;
    return 0;
}

void cmdi_bucket_spend(struct cmdi_bucket *bucket, size_t size)
{
    uint64_t milli = (uint64_t)size * BUCKET_MILLI;
    CMDI_ASSERT(milli <= bucket->milli);
    bucket->milli -= milli;
}

/* SPDX-License-Identifier: MIT */
/*
 * One direction of a connection: bytes between the side that has sent them and the one that is to get
 * them, each with a time before which it does not leave, and behind the last one how it ended. And a
 * bucket, which says how many bytes may leave now. Values only; time is a parameter.
 *
 *     bytes since the beginning:   0 ... taken ... ripe ... put
 *                                         |  may go  |  marks say when  |
 *
 * The memory is the owner's: there is none while nothing lies in the pipe.
 */
#ifndef CMDI_CHAOS_PIPE_H
#define CMDI_CHAOS_PIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmdstream/base.h>

enum {
    CMDI_PIPE_MARKS = 64,
};
#define CMDI_PIPE_NONE UINT64_MAX

enum cmdi_pipe_end {
    CMDI_PIPE_GOES_ON,
    CMDI_PIPE_FINISHED, // A FIN.
    CMDI_PIPE_RESET,
};

struct cmdi_pipe_mark {
    uint64_t due_ms;
    uint64_t end; // Bytes up to this one are ripe then. Greater than those of marks before it.
};

struct cmdi_pipe {
    uint8_t *data; // NULL: it is empty.
    size_t capacity;
    uint64_t taken, ripe, put;
    uint64_t end_due_ms; // Valid unless it goes on.
    uint64_t last_ms;    // Nothing is due before what came before it.
    uint8_t end;         // enum cmdi_pipe_end
    uint8_t mark_first, mark_count;
    struct cmdi_pipe_mark marks[CMDI_PIPE_MARKS]; // A ring, by due_ms.
};

/** How many bytes lie in it. */
static inline size_t cmdi_pipe_size(const struct cmdi_pipe *pipe)
{
    return (size_t)(pipe->put - pipe->taken);
}
/** Adds what there is room for, all of it. A time before that of earlier bytes becomes theirs. */
void cmdi_pipe_put(struct cmdi_pipe *pipe, struct cmds_bytes bytes, uint64_t due_ms);
/** No byte comes any more. A reset may come behind a FIN. */
void cmdi_pipe_finish(struct cmdi_pipe *pipe, enum cmdi_pipe_end end, uint64_t due_ms);
/** Returns: the bytes that may go, up to where the memory begins anew. */
struct cmds_bytes cmdi_pipe_ripe(struct cmdi_pipe *pipe, uint64_t now_ms);
/** So many of these are gone. */
void cmdi_pipe_take(struct cmdi_pipe *pipe, size_t size);
/** It has ended, and the end is due: behind the last byte, or a reset. */
enum cmdi_pipe_end cmdi_pipe_ended(const struct cmdi_pipe *pipe, uint64_t now_ms);
/** When more is due than at `now_ms`; CMDI_PIPE_NONE. */
uint64_t cmdi_pipe_next_ms(const struct cmdi_pipe *pipe, uint64_t now_ms);

/* --- How many bytes a second ------------------------------------------------------------------ */

struct cmdi_bucket {
    uint64_t milli; // Thousandths of a byte.
    uint64_t at_ms; // When that was so; 0: it has not begun.
};

/**
 * Of `wanted` bytes, at `rate` bytes a second. Small parts are put together, about 100 of them a
 * second. Returns: how many may go now; 0: none before `*wait_ms` have passed.
 */
size_t cmdi_bucket_allow(struct cmdi_bucket *bucket, uint32_t rate, uint64_t now_ms, size_t wanted,
        uint64_t *wait_ms);
void cmdi_bucket_spend(struct cmdi_bucket *bucket, size_t size);

#endif

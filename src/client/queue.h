/* SPDX-License-Identifier: MIT */
/*
 * Encoded commands that are not on the wire yet, in one run of bytes, first in, first out.
 *
 * A record is what the shard needs to send it and to answer for it, then the body. The queue holds
 * what waits for a connection that is not up or not taking any more; other threads leave records in
 * the client's inbox.
 */
#ifndef CMDI_CLIENT_QUEUE_H
#define CMDI_CLIENT_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmdstream/client.h>

#include "base/account.h"

struct cmdi_pending_extra;

struct cmdi_record {
    size_t size; // Of the record and its body, rounded up to the alignment of the next one.
    size_t body_size;
    uint64_t type;     // On the wire.
    uint64_t sequence; // 0: none was given yet.
    uint64_t deadline_ms;
    cmds_result_fn on_result; // NULL: no result ever comes.
    void *context;
    struct cmdi_pending_extra *extra; // NULL: none.
    uint64_t begun_ns;                // As of a command.
    /* The body follows. */
};

struct cmdi_queue {
    uint8_t *data; // malloc'ed; NULL: none.
    size_t capacity, begin, end;
    struct cmdi_account *account; // Where its capacity is charged, as shared.
};

/** Would the account give what cmdi_queue_append() of such a body takes? */
bool cmdi_queue_has_room(const struct cmdi_queue *queue, size_t body_size);
/**
 * A record at the end with room for the body; valid until the next append. Returns: NULL without
 * memory, or at the account's bound: `*code` is -ENOMEM, -ENOBUFS then.
 */
struct cmdi_record *cmdi_queue_append(struct cmdi_queue *queue, size_t body_size, int *code);
/** Everything in it is gone, and its memory. */
void cmdi_queue_clear(struct cmdi_queue *queue);
/** Gives back what is not used: everything if it is empty. */
void cmdi_queue_trim(struct cmdi_queue *queue);

static inline size_t cmdi_queue_size(const struct cmdi_queue *queue)
{
    return queue->end - queue->begin;
}
/** Bytes that a record of this body takes. */
static inline size_t cmdi_record_size(size_t body_size)
{
    size_t align = _Alignof(struct cmdi_record);
    return sizeof(struct cmdi_record) + ((body_size + align - 1) & ~(align - 1));
}
static inline uint8_t *cmdi_record_body(struct cmdi_record *record)
{
    return (uint8_t *)(record + 1);
}
/** A record at `at`, which has cmdi_record_size() bytes and the alignment of one. */
static inline struct cmdi_record *cmdi_record_begin(void *at, size_t body_size)
{
    struct cmdi_record *record = at;
    *record = (struct cmdi_record){.size = cmdi_record_size(body_size), .body_size = body_size};
    return record;
}
/** Returns: NULL when it is empty. */
static inline struct cmdi_record *cmdi_queue_front(const struct cmdi_queue *queue)
{
    return queue->begin < queue->end ? (struct cmdi_record *)(void *)(queue->data + queue->begin)
                                     : NULL;
}
static inline void cmdi_queue_pop(struct cmdi_queue *queue)
{
    queue->begin += ((struct cmdi_record *)(void *)(queue->data + queue->begin))->size;
    if (queue->begin == queue->end) {
        queue->begin = 0;
        queue->end = 0;
    }
}

#endif

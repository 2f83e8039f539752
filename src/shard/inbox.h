/* SPDX-License-Identifier: MIT */
/*
 * An inbox: bytes that other threads leave for one object of a shard (a connection, a client).
 *
 *     other threads --lock, reserve, write, commit--> inbox --one mail--> shard: take, read, give back
 *                   --lock, promise, unlock, write a part, lock, append-->
 *
 * What is large is a part of its own, written without the lock: the shard takes the lock too, and so do
 * senders to others that share it, and none of them waits for a codec that walks megabytes.
 *
 * What the bytes mean, and how many may wait, is the owner's business: it looks at its own bound
 * under the lock, before it reserves. The shard's mailbox carries the mail, the inbox what the mail
 * is about, so that a thousand appends wake the shard once.
 *
 * Why nothing is lost. The first sender that commits behind an arrival finds `posted` false and
 * posts. The shard sets it back before it takes, so an append after that posts again, at worst for
 * nothing. After cmdi_inbox_close() nothing is accepted, so the take behind it is the last.
 *
 * Why the memory is safe. The owner may go when the inbox is closed and cmdi_inbox_is_posted() is
 * false. A sender that posts under the lock has finished by then, as that takes the lock; a sender
 * that posts after it has to keep the owner alive by other means.
 *
 * The buffer is malloc'ed, as other threads grow it, and charged to the shard's account as shared.
 * A small one is kept for the next time; the account asks for it back when memory is short. An inbox
 * that nobody uses has nothing but its mail, and the lock is one of a few that its owner has for many.
 */
#ifndef CMDI_SHARD_INBOX_H
#define CMDI_SHARD_INBOX_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/account.h"
#include "base/assert.h"
#include "shard/shard.h"

enum {
    CMDI_INBOX_PART_MIN = 16 * 1024, // What has so many bytes or more is to be a part.
};

/** What one thread has written by itself. Charged as shared. */
struct cmdi_inbox_part {
    struct cmdi_inbox_part *next;
    size_t at;   // It comes behind so many of the inbox's other bytes.
    size_t size; // Of `data`.
    _Alignas(max_align_t) uint8_t data[];
};

/** Bytes at 0..size, and the parts between them. As aligned as malloc's. */
struct cmdi_inbox_bytes {
    uint8_t *data; // NULL: none.
    size_t capacity, size;
    struct cmdi_inbox_part *parts, *last; // In their order. NULL: none.
    size_t parts_size;                    // Of them all.
};

/** Some of what was taken, side by side. All zero: in front of all of it. */
struct cmdi_inbox_run {
    uint8_t *data;
    size_t size;
    size_t at;                          // In the inbox's own bytes, behind the run.
    const struct cmdi_inbox_part *part; // The one before which it ends, or which it is.
    bool begun;
};

/** What an inbox has while it is in use, malloc'ed. */
struct cmdi_inbox_store {
    struct cmdi_inbox *inbox;
    struct cmdi_inbox_bytes bytes;
    size_t promised;       // Room of the parts that are being written, which is charged.
    struct cmdi_trim trim; // It has capacity that nobody uses. The shard's.
};

/** What the inboxes of an owner may share. Constant, but for the lock. */
struct cmdi_inbox_room {
    struct cmdi_shard *shard;
    pthread_mutex_t lock; // Of each inbox, but for its mail.
};

struct cmdi_inbox {
    struct cmdi_inbox_room *room;   // Constant.
    struct cmdi_mail mail;          // About the owner: `fn` is its own.
    struct cmdi_inbox_store *store; // NULL: nothing was left since the last trim.
    // Of what waits, and of parts that are being written. Written under the lock, read without it.
    _Atomic uint32_t size;
    _Atomic uint16_t promises; // Parts that are being written. Likewise.
    bool posted;               // The mail is under way.
    bool closed;               // No more is accepted.
};

/**
 * `on_mail` runs on the shard; it begins with cmdi_inbox_arrived(). Thread: any.
 *
 * Owner: keeps `room`, which several inboxes may share: nobody has two of them locked at a time.
 */
void cmdi_inbox_init(struct cmdi_inbox *inbox, struct cmdi_inbox_room *room, cmdi_mail_fn on_mail);
/** Gives: cmdi_inbox_room_fini(). */
void cmdi_inbox_room_init(struct cmdi_inbox_room *room, struct cmdi_shard *shard);
/** No inbox has it any more. */
void cmdi_inbox_room_fini(struct cmdi_inbox_room *room);
/** Nothing is in it, no mail is under way, cmdi_inbox_trim() was called. Thread: any. */
void cmdi_inbox_fini(struct cmdi_inbox *inbox);

/** How much waits, or is promised. Thread: any; exact on the shard as far as it knows, or under the lock. */
static inline size_t cmdi_inbox_size(const struct cmdi_inbox *inbox)
{
    return atomic_load_explicit(&inbox->size, memory_order_relaxed);
}

/**
 * Parts that are being written: what they count for comes, or is given back, and then there is a mail. Thread: as above.
 */
static inline uint32_t cmdi_inbox_promises(const struct cmdi_inbox *inbox)
{
    return atomic_load_explicit(&inbox->promises, memory_order_relaxed);
}

/* --- Any thread, while the owner is known to live --------------------------------------------- */

static inline void cmdi_inbox_lock(struct cmdi_inbox *inbox)
{
    pthread_mutex_lock(&inbox->room->lock);
}
static inline void cmdi_inbox_unlock(struct cmdi_inbox *inbox)
{
    pthread_mutex_unlock(&inbox->room->lock);
}
/** Would cmdi_inbox_reserve() succeed, as far as one can know without malloc? Under the lock. */
bool cmdi_inbox_has_room(const struct cmdi_inbox *inbox, size_t size);
/**
 * Room for `size` bytes at the end, until the lock is released. Under the lock.
 *
 * Returns: NULL, and in *code CMDS_E_CLOSED, -ENOBUFS (the shard's memory is short for now) or
 *          -ENOMEM.
 */
uint8_t *cmdi_inbox_reserve(struct cmdi_inbox *inbox, size_t size, int *code);
/** `size` bytes of what was reserved are written. Under the lock. */
void cmdi_inbox_commit(struct cmdi_inbox *inbox, size_t size);
/**
 * A part of `size` bytes, CMDI_INBOX_PART_MIN or more, will be appended: it counts from here on. Under the lock.
 *
 * Gives: cmdi_inbox_append() or cmdi_inbox_break_promise(). Returns: 0; as cmdi_inbox_reserve().
 */
int cmdi_inbox_promise(struct cmdi_inbox *inbox, size_t size);
/** For the caller to write, without the lock. Gives: cmdi_inbox_append() or free(). Returns: NULL: no memory. */
struct cmdi_inbox_part *cmdi_inbox_part_new(size_t size);
/** It was promised, and is written. Under the lock; of an inbox that is not closed. Takes: it is the inbox's. */
void cmdi_inbox_append(struct cmdi_inbox *inbox, struct cmdi_inbox_part *part);
/**
 * Nothing will come: whoever waits for room is to be told. Under the lock; of an inbox that is not closed, else
 * cmdi_inbox_close() has done it.
 */
void cmdi_inbox_break_promise(struct cmdi_inbox *inbox, size_t size);
/**
 * The mail is the caller's to post, now or when the lock is released. Under the lock.
 * Returns: false: it is under way.
 */
static inline bool cmdi_inbox_take_mail(struct cmdi_inbox *inbox)
{
    bool is_mine = !inbox->posted;
    inbox->posted = true;
    return is_mine;
}
/** Posts the mail, unless it is under way. Under the lock. */
static inline void cmdi_inbox_post(struct cmdi_inbox *inbox)
{
    if (cmdi_inbox_take_mail(inbox)) {
        cmdi_shard_post(inbox->room->shard, &inbox->mail);
    }
}

/* --- The shard -------------------------------------------------------------------------------- */

/** The mail has come; what is appended from here on posts it again. */
void cmdi_inbox_arrived(struct cmdi_inbox *inbox);
/** The mail is under way: the owner has to stay. */
bool cmdi_inbox_is_posted(struct cmdi_inbox *inbox);
/** Nothing is accepted any more, nor awaited of what was promised. */
void cmdi_inbox_close(struct cmdi_inbox *inbox);
/**
 * All that waits, but for what is promised, becomes the caller's. Under the lock, where it tells other threads what counts
 * from now on. Gives: cmdi_inbox_give_back().
 */
struct cmdi_inbox_bytes cmdi_inbox_take(struct cmdi_inbox *inbox);
/** Of all that was taken, parts too. */
static inline size_t cmdi_inbox_bytes_size(const struct cmdi_inbox_bytes *bytes)
{
    return bytes->size + bytes->parts_size;
}
/** The next ones of what was taken, in the order in which they were left. Returns: false: that was all. */
bool cmdi_inbox_next_run(const struct cmdi_inbox_bytes *taken, struct cmdi_inbox_run *run);
/** What was taken has been read: its memory is kept for the next time, or freed. */
void cmdi_inbox_give_back(struct cmdi_inbox *inbox, struct cmdi_inbox_bytes *taken);
/** Gives back memory that nobody uses. */
void cmdi_inbox_trim(struct cmdi_inbox *inbox);

#endif

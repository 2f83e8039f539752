/* SPDX-License-Identifier: MIT */
/*
 * The inside of a sender: a group, and threads that sleep until their results are there.
 *
 * A caller and the shard meet in a block that the caller allocates (struct cmdi_sender_wait in
 * sender.c, struct sender_stream in stream.c) and that is freed by whoever comes second. The shard
 * never wakes a thread in the middle of a turn: it collects in its sender_shard, and wakes when the
 * turn has entered the kernel.
 */
#ifndef CMDI_GROUP_SENDER_H
#define CMDI_GROUP_SENDER_H

#include <stdatomic.h>
#include <stdint.h>

#include "group/group.h"

/** A caller that sleeps, in the list of those that a shard wakes after its turn. The shard's. */
struct cmdi_sender_sleeper {
    struct cmdi_sender_sleeper *next;
    void (*wake)(struct cmdi_sender_sleeper *sleeper); // It is in no list any more.
};

struct cmdi_sender_wait;

/** A sender's part on one shard: those that are woken after this turn. The shard's. */
struct cmdi_sender_shard {
    struct cmdi_work work;
    struct cmdi_sender_wait *waits, **waits_tail; // Only the first: each wakes the next.
    struct cmdi_sender_sleeper *sleepers;         // All of them.
};

#define CMDI_SENDER_CLOSING UINT32_C(0x80000000)

struct cmds_sender {
    struct cmds_runtime *runtime;
    struct cmds_group *group;         // A handle of ours: callers may ask it after it has closed.
    struct cmdi_sender_shard *shards; // One per shard of the runtime.
    bool owns_runtime;
    bool is_single;                            // One thread calls, and turns the ring meanwhile.
    uint64_t entered_ns;                       // is_single: when it called last.
    uint32_t stream_size_max, stream_size_low; // Of the options.
    _Atomic uint32_t users;                    // Threads inside a call, and CMDI_SENDER_CLOSING.
    _Atomic uint32_t room; // Futex: grows whenever a full window has room again.
    _Atomic uint32_t room_waiters;
    _Atomic uint32_t gone; // Futex: no shard will touch the sender any more.
};

/** The time a call has. */
struct cmdi_sender_time {
    uint64_t until_ns;   // UINT64_MAX: no limit.
    uint32_t timeout_ms; // As it was given.
};

/**
 * Begins a call. Returns: 0, and cmdi_sender_leave() ends it; CMDS_E_CLOSED, -EDEADLK, -EXDEV, in
 * `error` too.
 */
int cmdi_sender_enter(struct cmds_sender *sender, uint32_t timeout_ms,
        struct cmdi_sender_time *time, struct cmds_error *error);
void cmdi_sender_leave(struct cmds_sender *sender);
/** What is left, rounded up. Returns: 0: nothing; CMDS_NEVER: no limit. */
uint32_t cmdi_sender_left_ms(const struct cmdi_sender_time *time);
/**
 * How long to wait for a result. With hooks or a breaker a moment longer: the shard ends the command
 * by its deadline, and they have learned of it before the caller does.
 */
uint32_t cmdi_sender_patience_ms(
        const struct cmds_sender *sender, const struct cmdi_sender_time *time);
/** What the caller's options say. Returns: 0; -EINVAL, -E2BIG, in `error` too. */
int cmdi_sender_take_options(struct cmds_send_options *mine,
        const struct cmds_send_options *options, struct cmds_error *error);
/**
 * cmds_group_send, with the time that is left in place of its deadline; waits while the window is full.
 *
 * Returns: 0, and on_result will run; else as cmds_sender_send, in `error` too.
 */
int cmdi_sender_queue(struct cmds_sender *sender, struct cmds_message command,
        const struct cmdi_sender_time *time, const struct cmds_send_options *options,
        cmds_result_fn on_result, void *context, struct cmds_error *error);
/**
 * A wait for `what` ended with `code`. Of CMDS_E_TIMEOUT the sentence says why nothing is connected, if
 * nothing is. Returns: `code`.
 */
int cmdi_sender_fail_late(struct cmds_sender *sender, int code, const char *what,
        uint32_t timeout_ms, struct cmds_error *error);
/** Wakes it after this turn. It is in no list. Thread: shard. */
void cmdi_sender_wake_after(struct cmds_sender *sender, struct cmdi_sender_sleeper *sleeper);

#endif

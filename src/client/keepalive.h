/* SPDX-License-Identifier: MIT */
/*
 * Does the server still live, and when is it asked?
 *
 * A ping is sent as soon as the connection is up, so that a server knows that it will be asked, also
 * when it does not read for a while; then whenever no command was sent, or nothing was received, for
 * `idle_ms`, and every `interval_ms` as long as that lasts. Anything received after a ping proves as
 * much as its pong. The connection is lost if nothing is received for two intervals after one, and
 * for `idle_ms` and two intervals in all: a server that was just heard may be busy for a while.
 *
 * Four things must not make a living server a lost one. A ping that is still on its way cannot be
 * answered: until the peer's side has acknowledged it, what counts is that something is
 * acknowledged, so a slow link is no dead one. A process that was stopped has heard nothing, so
 * patience is counted in time awake. What was received may not have been run: while the connection
 * is behind, silence proves nothing. And a ping for which there was no room was not asked: then the
 * output that is in its way has to move.
 *
 * Pure values: times and counts come in, a verdict goes out.
 */
#ifndef CMDI_CLIENT_KEEPALIVE_H
#define CMDI_CLIENT_KEEPALIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CMDI_KEEPALIVE_PING_SIZE = 1, // Bytes of a ping.
};

struct cmdi_keepalive {
    uint32_t idle_ms, interval_ms;
    bool pong_awaited; // Nothing was received since a ping, as far as the last look knows.
    bool is_asked;     // ...and that ping was written; else only the output before it is watched.
    uint64_t since_ms; // When the connection came up.
    uint64_t ping_ms;  // When the last ping was written; 0: none was.
    uint64_t ping_sequence; // sequence_sent at the last ping.
    uint64_t ping_end;      // What delivered_size is once the first ping without a pong has come...
    uint64_t patience_ms;   // ...how long the server may be silent from then on...
    uint64_t ping_received; // ...what received_size was when that was written...
    uint64_t delivered_size, taken_size; // ...how far it was at the last look (0: unknown)...
    uint64_t delivered_at_ms;            // ...since when, in time awake...
    uint64_t pong_since_ms; // ...and when it had come, in time awake. 0: not yet, or nobody looked.
};

/** What a connection looks like. Sizes count every byte since it began. */
struct cmdi_keepalive_look {
    uint64_t now_ms;
    uint64_t awake_ms; // A clock that stands still while the process is stopped.
    uint64_t sent_ms;  // When bytes left last; 0: never.
    uint64_t received_ms;
    uint64_t sent_size;
    uint64_t delivered_size; // Of these, what the peer's side has acknowledged.
    // A count of its own, which grows with each byte that is acknowledged, also of a send that is
    // under way. 0: nobody has asked.
    uint64_t taken_size;
    uint64_t received_size; // By whatever way they came.
    uint64_t sequence_sent; // Of the last command.
    size_t output_size;     // Bytes that are still to leave.
    bool is_behind;         // The peer's bytes may lie somewhere, not received or not run.
};

enum cmdi_keepalive_verdict {
    CMDI_KEEPALIVE_WAIT,
    CMDI_KEEPALIVE_BUSY, // A ping is due, but output and another one are on their way.
    CMDI_KEEPALIVE_PING, // Write a ping, then cmdi_keepalive_pinged().
    CMDI_KEEPALIVE_LOST,
};

/** The connection is up; cmdi_keepalive_check() is due. */
void cmdi_keepalive_begin(
        struct cmdi_keepalive *keepalive, uint32_t idle_ms, uint32_t interval_ms, uint64_t now_ms);
/**
 * Does cmdi_keepalive_check(), or a ping behind it, need to know delivered_size and taken_size? Else
 * they may be sent_size and 0: to ask for them is a system call.
 */
static inline bool cmdi_keepalive_asks_delivered(
        const struct cmdi_keepalive *keepalive, uint64_t received_size, size_t output_size)
{
    return output_size > 0 ||
           (keepalive->pong_awaited && received_size == keepalive->ping_received);
}
/** Returns: what to do now; *next_ms: when to look again, unless it is LOST. */
enum cmdi_keepalive_verdict cmdi_keepalive_check(struct cmdi_keepalive *keepalive,
        const struct cmdi_keepalive_look *look, uint64_t *next_ms);
/** A ping was due; `look` is what the check saw. `is_written`: there was room for it. */
void cmdi_keepalive_pinged(
        struct cmdi_keepalive *keepalive, const struct cmdi_keepalive_look *look, bool is_written);

#endif

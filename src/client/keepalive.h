/* SPDX-License-Identifier: MIT */
/*
 * Does the server still live, and when is it asked?
 *
 * A connection that has sent nothing for `idle_ms` sends a ping, then one more every `interval_ms`
 * as long as pings are all that is sent. Anything received after a ping proves as much as its pong.
 * If nothing is received for idle_ms + interval_ms after one, the connection is lost.
 *
 * Three things must not make a living server a lost one. A ping that still waits in our output
 * cannot be answered, so patience begins when it has left. A process that was stopped has heard
 * nothing, so patience is counted in time awake. And what was received may not have been run:
 * while the connection is behind, silence proves nothing.
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
    bool pong_awaited;      // Nothing was received since a ping, as far as the last look knows.
    uint64_t since_ms;      // When the connection came up.
    uint64_t ping_ms;       // When the last ping was written; 0: none was.
    uint64_t ping_sequence; // sequence_sent at the last ping.
    uint64_t ping_end;      // What sent_size is once the first ping without a pong has left...
    uint64_t ping_received; // ...what received_size was when that was written...
    uint64_t pong_since_ms; // ...and when it left, in time awake. 0: it has not, or nobody looked.
};

/** What a connection looks like. Sizes count every byte since it began. */
struct cmdi_keepalive_look {
    uint64_t now_ms;
    uint64_t awake_ms; // A clock that stands still while the process is stopped.
    uint64_t sent_ms;  // When bytes left last; 0: never.
    uint64_t sent_size;
    uint64_t received_size; // By whatever way they came.
    uint64_t sequence_sent; // Of the last command.
    size_t output_size;     // Bytes that are still to leave.
    bool is_behind;         // The peer's bytes may lie somewhere, not received or not run.
};

enum cmdi_keepalive_verdict {
    CMDI_KEEPALIVE_WAIT,
    CMDI_KEEPALIVE_BUSY, // A ping is due, but output is on its way: that is not idle.
    CMDI_KEEPALIVE_PING, // Write a ping, then cmdi_keepalive_pinged().
    CMDI_KEEPALIVE_LOST,
};

/** The connection is up. */
void cmdi_keepalive_begin(
        struct cmdi_keepalive *keepalive, uint32_t idle_ms, uint32_t interval_ms, uint64_t now_ms);
/** When cmdi_keepalive_check() is to run for the first time. */
static inline uint64_t cmdi_keepalive_first_ms(const struct cmdi_keepalive *keepalive)
{
    return keepalive->since_ms + keepalive->idle_ms;
}
/** How long a server may be silent after a ping. */
static inline uint64_t cmdi_keepalive_patience_ms(const struct cmdi_keepalive *keepalive)
{
    return (uint64_t)keepalive->idle_ms + keepalive->interval_ms;
}
/** Returns: what to do now; *next_ms: when to look again, unless it is LOST. */
enum cmdi_keepalive_verdict cmdi_keepalive_check(struct cmdi_keepalive *keepalive,
        const struct cmdi_keepalive_look *look, uint64_t *next_ms);
/** The ping was written; `look` is what the check saw. */
void cmdi_keepalive_pinged(
        struct cmdi_keepalive *keepalive, const struct cmdi_keepalive_look *look);

#endif

/* SPDX-License-Identifier: MIT */
/* Keepalive as a small state machine over times and counts. One thread. */
#include "client/keepalive.h"

#include "base/assert.h"

void cmdi_keepalive_begin(
        struct cmdi_keepalive *keepalive, uint32_t idle_ms, uint32_t interval_ms, uint64_t now_ms)
{
    CMDI_ASSERT(idle_ms > 0 && interval_ms > 0);
    *keepalive = (struct cmdi_keepalive){
            .idle_ms = idle_ms, .interval_ms = interval_ms, .since_ms = now_ms};
}

/*
 * How much patience is left; UINT64_MAX: all of it. A look may come long after the ping has left:
 * patience then began at that time, at most one interval ago, since a look is never later.
 */
static uint64_t keepalive_left_ms(
        struct cmdi_keepalive *keepalive, const struct cmdi_keepalive_look *look)
{
    if (look->received_size != keepalive->ping_received || look->is_behind) {
        keepalive->pong_awaited = false;
    }
    if (!keepalive->pong_awaited || look->sent_size < keepalive->ping_end) {
        return UINT64_MAX;
    }
    if (keepalive->pong_since_ms == 0) {
        uint64_t ago_ms = look->now_ms - look->sent_ms;
        keepalive->pong_since_ms =
                look->awake_ms -
                (ago_ms < keepalive->interval_ms ? ago_ms : keepalive->interval_ms);
    }
    uint64_t end_ms = keepalive->pong_since_ms + cmdi_keepalive_patience_ms(keepalive);
    return end_ms > look->awake_ms ? end_ms - look->awake_ms : 0;
}

/* When the next ping is due. The first one at once, so that the server knows that we ping. */
static uint64_t keepalive_due_ms(
        const struct cmdi_keepalive *keepalive, const struct cmdi_keepalive_look *look)
{
    if (keepalive->ping_ms == 0) {
        return look->now_ms;
    }
    if (look->sequence_sent == keepalive->ping_sequence) {
        return keepalive->ping_ms + keepalive->interval_ms; // Nothing but pings was sent since.
    }
    uint64_t sent_ms = look->sent_ms > keepalive->since_ms ? look->sent_ms : keepalive->since_ms;
    return sent_ms + keepalive->idle_ms;
}

enum cmdi_keepalive_verdict cmdi_keepalive_check(
        struct cmdi_keepalive *keepalive, const struct cmdi_keepalive_look *look, uint64_t *next_ms)
{
    uint64_t left_ms = keepalive_left_ms(keepalive, look);
    if (left_ms == 0) {
        return CMDI_KEEPALIVE_LOST;
    }
    enum cmdi_keepalive_verdict verdict = CMDI_KEEPALIVE_WAIT;
    uint64_t due_ms = keepalive_due_ms(keepalive, look);
    if (due_ms <= look->now_ms) {
        verdict = look->output_size == 0 ? CMDI_KEEPALIVE_PING : CMDI_KEEPALIVE_BUSY;
        due_ms = look->now_ms + keepalive->interval_ms;
    }
    *next_ms = left_ms < due_ms - look->now_ms ? look->now_ms + left_ms : due_ms;
    return verdict;
}

void cmdi_keepalive_pinged(struct cmdi_keepalive *keepalive, const struct cmdi_keepalive_look *look)
{
    CMDI_ASSERT(look->output_size == 0); // Else it was not to be written.
    if (!keepalive->pong_awaited) {
        keepalive->pong_awaited = true;
        keepalive->pong_since_ms = 0;
        keepalive->ping_end = look->sent_size + CMDI_KEEPALIVE_PING_SIZE;
        keepalive->ping_received = look->received_size;
    }
    keepalive->ping_ms = look->now_ms;
    keepalive->ping_sequence = look->sequence_sent;
}

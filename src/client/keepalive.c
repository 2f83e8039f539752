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
 * Since when nothing has happened that proves life. A look may come long after the ping was
 * delivered: patience then began at that time, at most one interval ago, since a look is never later.
 */
static uint64_t keepalive_silent_since_ms(
        struct cmdi_keepalive *keepalive, const struct cmdi_keepalive_look *look)
{
    if (look->delivered_size < keepalive->ping_end) {
        bool moves = keepalive->taken_size > 0 && look->taken_size > keepalive->taken_size;
        if (moves || look->delivered_size > keepalive->delivered_size) {
            keepalive->delivered_at_ms = look->awake_ms;
        }
        keepalive->delivered_size = look->delivered_size;
        keepalive->taken_size = look->taken_size;
        return keepalive->delivered_at_ms;
    }
    if (keepalive->pong_since_ms == 0) {
        uint64_t ago_ms = look->now_ms - look->sent_ms;
        keepalive->pong_since_ms =
                look->awake_ms -
                (ago_ms < keepalive->interval_ms ? ago_ms : keepalive->interval_ms);
    }
    return keepalive->pong_since_ms;
}

/* How much patience is left; UINT64_MAX: all of it. */
static uint64_t keepalive_left_ms(
        struct cmdi_keepalive *keepalive, const struct cmdi_keepalive_look *look)
{
    bool is_delivered = look->delivered_size >= keepalive->ping_end;
    if (look->received_size != keepalive->ping_received || look->is_behind ||
            (!keepalive->is_asked && is_delivered)) {
        keepalive->pong_awaited = false;
    }
    if (!keepalive->pong_awaited) {
        return UINT64_MAX;
    }
    uint64_t end_ms = keepalive_silent_since_ms(keepalive, look) + keepalive->patience_ms;
    return end_ms > look->awake_ms ? end_ms - look->awake_ms : 0;
}

/* See the header: two intervals, and what is left of idle_ms since the server was heard. */
static uint64_t keepalive_patience_ms(
        const struct cmdi_keepalive *keepalive, const struct cmdi_keepalive_look *look)
{
    uint64_t heard_ms =
            look->received_ms > keepalive->since_ms ? look->received_ms : keepalive->since_ms;
    uint64_t ago_ms = look->now_ms - heard_ms;
    return 2 * (uint64_t)keepalive->interval_ms +
           (ago_ms < keepalive->idle_ms ? keepalive->idle_ms - ago_ms : 0);
}

static uint64_t keepalive_later(uint64_t one_ms, uint64_t other_ms)
{
    return one_ms > other_ms ? one_ms : other_ms;
}

/* When the next ping is due. The first one at once. */
static uint64_t keepalive_due_ms(
        const struct cmdi_keepalive *keepalive, const struct cmdi_keepalive_look *look)
{
    if (keepalive->ping_ms == 0) {
        return look->now_ms;
    }
    uint64_t again_ms = keepalive->ping_ms + keepalive->interval_ms;
    uint64_t heard_ms = keepalive_later(look->received_ms, keepalive->since_ms);
    if (look->sequence_sent == keepalive->ping_sequence &&
            keepalive->ping_ms > keepalive->since_ms) {
        return again_ms; // Nothing but pings was sent since.
    }
    uint64_t sent_ms = keepalive_later(look->sent_ms, keepalive->since_ms);
    uint64_t idle_since_ms = sent_ms < heard_ms ? sent_ms : heard_ms;
    return keepalive_later(idle_since_ms + keepalive->idle_ms, again_ms);
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
        bool is_in_the_way = look->output_size > 0 && keepalive->pong_awaited;
        verdict = is_in_the_way ? CMDI_KEEPALIVE_BUSY : CMDI_KEEPALIVE_PING;
        due_ms = look->now_ms + keepalive->interval_ms;
    }
    *next_ms = left_ms < due_ms - look->now_ms ? look->now_ms + left_ms : due_ms;
    return verdict;
}

void cmdi_keepalive_pinged(
        struct cmdi_keepalive *keepalive, const struct cmdi_keepalive_look *look, bool is_written)
{
    if (!keepalive->pong_awaited) {
        keepalive->pong_awaited = true;
        keepalive->is_asked = is_written;
        keepalive->patience_ms = keepalive_patience_ms(keepalive, look);
        keepalive->pong_since_ms = 0;
        keepalive->ping_end = look->sent_size + look->output_size +
                              (is_written ? (uint64_t)CMDI_KEEPALIVE_PING_SIZE : 0);
        keepalive->ping_received = look->received_size;
        keepalive->delivered_size = look->delivered_size; // At most: nobody may have asked.
        keepalive->taken_size = look->taken_size;
        keepalive->delivered_at_ms = look->awake_ms;
    }
    if (is_written) {
        keepalive->ping_ms = look->now_ms;
        keepalive->ping_sequence = look->sequence_sent;
    }
}

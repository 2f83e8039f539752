/* SPDX-License-Identifier: MIT */
/* The timer wheel. One thread, no clock: the shard tells the time. */
#include "shard/timer.h"

#include "base/assert.h"

enum {
    DIGIT_BITS = 6,
    DIGIT_MASK = CMDI_TIMER_SLOTS - 1,
};

void cmdi_timer_wheel_init(struct cmdi_timer_wheel *wheel, uint64_t now_ms)
{
    *wheel = (struct cmdi_timer_wheel){.now_ms = now_ms};
    cmdi_list_init(&wheel->due);
    for (uint32_t i = 0; i < CMDI_TIMER_LEVELS * CMDI_TIMER_SLOTS; i++) {
        cmdi_list_init(&wheel->slots[i]);
    }
}

void cmdi_timer_init(struct cmdi_timer *timer, cmdi_timer_fn fn)
{
    *timer = (struct cmdi_timer){.fn = fn};
    cmdi_list_init(&timer->link);
}

/*
 * The slot for a time after wheel->now_ms; beyond the last level it waits in the farthest slot and
 * is placed again from there.
 */
static uint32_t wheel_slot(const struct cmdi_timer_wheel *wheel, uint64_t at_ms)
{
    CMDI_ASSERT(at_ms > wheel->now_ms); // The present slot is being emptied, or is empty.
    uint64_t span = (uint64_t)1 << (DIGIT_BITS * CMDI_TIMER_LEVELS);
    if (at_ms - wheel->now_ms >= span - (span >> DIGIT_BITS)) {
        at_ms = wheel->now_ms + span - (span >> DIGIT_BITS) - 1;
    }
    uint64_t differ = (at_ms ^ wheel->now_ms) | 1;
    uint32_t level = (63u - (uint32_t)__builtin_clzll(differ)) / DIGIT_BITS;
    level = level < CMDI_TIMER_LEVELS ? level : CMDI_TIMER_LEVELS - 1;
    return level * CMDI_TIMER_SLOTS + ((uint32_t)(at_ms >> (DIGIT_BITS * level)) & DIGIT_MASK);
}

static void wheel_place(struct cmdi_timer_wheel *wheel, struct cmdi_timer *timer)
{
    uint64_t at_ms = timer->at_ms > wheel->now_ms ? timer->at_ms : wheel->now_ms + 1;
    timer->slot = wheel_slot(wheel, at_ms);
    cmdi_list_push(&wheel->slots[timer->slot], &timer->link);
    wheel->used[timer->slot / CMDI_TIMER_SLOTS] |= (uint64_t)1 << (timer->slot % CMDI_TIMER_SLOTS);
}

void cmdi_timer_disarm(struct cmdi_timer_wheel *wheel, struct cmdi_timer *timer)
{
    if (!cmdi_timer_armed(timer)) {
        return;
    }
    CMDI_ASSERT(timer->slot < CMDI_TIMER_LEVELS * CMDI_TIMER_SLOTS);
    cmdi_list_remove(&timer->link);
    if (cmdi_list_empty(&wheel->slots[timer->slot])) {
        wheel->used[timer->slot / CMDI_TIMER_SLOTS] &=
                ~((uint64_t)1 << (timer->slot % CMDI_TIMER_SLOTS));
    }
}

void cmdi_timer_arm(struct cmdi_timer_wheel *wheel, struct cmdi_timer *timer, uint64_t at_ms)
{
    CMDI_ASSERT(timer->fn != NULL);
    cmdi_timer_disarm(wheel, timer);
    timer->at_ms = at_ms;
    wheel_place(wheel, timer);
}

static void wheel_take_slot(struct cmdi_timer_wheel *wheel, uint32_t slot)
{
    CMDI_ASSERT(cmdi_list_empty(&wheel->due) && !cmdi_list_empty(&wheel->slots[slot]));
    cmdi_list_take(&wheel->due, &wheel->slots[slot]);
    wheel->used[slot / CMDI_TIMER_SLOTS] &= ~((uint64_t)1 << (slot % CMDI_TIMER_SLOTS));
}

/* What is due fires, the rest of the slot that was taken moves to the level below. */
static uint32_t wheel_fire(struct cmdi_timer_wheel *wheel, uint64_t now_ms, uint32_t max)
{
    uint32_t fired = 0;
    while (fired < max && !cmdi_list_empty(&wheel->due)) {
        struct cmdi_timer *timer =
                CMDI_CONTAINER(cmdi_list_pop(&wheel->due), struct cmdi_timer, link);
        if (timer->at_ms <= wheel->now_ms) {
            timer->fn(timer, now_ms);
            fired++;
        } else {
            wheel_place(wheel, timer);
        }
    }
    return fired;
}

/* The next moment at which a slot is to be emptied: its timers are due or move down. */
static uint64_t wheel_next_slot(const struct cmdi_timer_wheel *wheel, uint32_t *slot)
{
    uint64_t next = CMDI_TIMER_NONE;
    for (uint32_t level = 0; level < CMDI_TIMER_LEVELS; level++) {
        if (wheel->used[level] == 0) {
            continue;
        }
        uint32_t shift = DIGIT_BITS * level;
        uint32_t now_digit = (uint32_t)(wheel->now_ms >> shift) & DIGIT_MASK;
        /* Rotated so that bit 0 is the slot after the present one. */
        uint32_t turn = (now_digit + 1) & DIGIT_MASK;
        uint64_t rotated =
                turn == 0 ? wheel->used[level]
                          : (wheel->used[level] >> turn | wheel->used[level] << (64 - turn));
        uint32_t distance = (uint32_t)__builtin_ctzll(rotated) + 1;
        uint64_t at = ((wheel->now_ms >> shift) + distance) << shift;
        if (at < next) {
            next = at;
            *slot = level * CMDI_TIMER_SLOTS + ((now_digit + distance) & DIGIT_MASK);
        }
    }
    return next;
}

uint64_t cmdi_timer_wheel_next(const struct cmdi_timer_wheel *wheel)
{
    uint32_t slot = 0;
    return cmdi_list_empty(&wheel->due) ? wheel_next_slot(wheel, &slot) : wheel->now_ms;
}

uint32_t cmdi_timer_wheel_advance_some(
        struct cmdi_timer_wheel *wheel, uint64_t now_ms, uint32_t max)
{
    uint32_t slot = 0;
    uint32_t fired = wheel_fire(wheel, now_ms, max);
    while (cmdi_list_empty(&wheel->due) && wheel->now_ms < now_ms) {
        uint64_t next = wheel_next_slot(wheel, &slot);
        wheel->now_ms = next < now_ms ? next : now_ms;
        if (next <= now_ms) {
            wheel_take_slot(wheel, slot);
            fired += wheel_fire(wheel, now_ms, max - fired);
        }
    }
    return fired;
}

uint32_t cmdi_timer_wheel_advance(struct cmdi_timer_wheel *wheel, uint64_t now_ms)
{
    return cmdi_timer_wheel_advance_some(wheel, now_ms, UINT32_MAX);
}

/* SPDX-License-Identifier: MIT */
/*
 * The timer wheel. A timer could fire early, late, twice or never: when it lies at the edge of a
 * level, beyond the last level, when the wheel jumps over a slot, when a callback moves a timer
 * that is about to fire. Edges are tried one by one; the rest is a random comparison with a plain
 * array over more than the wheel's whole span.
 */
#include "shard/timer.h"

#include <stdlib.h>

#include "support/harness.h"

#define SPAN ((uint64_t)1 << 30) // Of all levels together.

struct probe {
    struct cmdi_timer timer;
    uint64_t fired_at;
    uint32_t fired;
};

static void probe_fire(struct cmdi_timer *timer, uint64_t now_ms)
{
    struct probe *probe = CMDI_CONTAINER(timer, struct probe, timer);
    CU_ASSERT_FALSE(cmdi_timer_armed(timer));
    probe->fired_at = now_ms;
    probe->fired++;
}

static void probe_init(struct probe *probe)
{
    *probe = (struct probe){0};
    cmdi_timer_init(&probe->timer, probe_fire);
}

/* Armed at `from` for `from + delay`: not a millisecond early, and exactly then. */
static void expect_exact(uint64_t from, uint64_t delay)
{
    struct cmdi_timer_wheel wheel;
    struct probe probe;
    cmdi_timer_wheel_init(&wheel, from);
    probe_init(&probe);
    cmdi_timer_arm(&wheel, &probe.timer, from + delay);

    CU_ASSERT(cmdi_timer_wheel_next(&wheel) <= from + delay);
    CU_ASSERT(cmdi_timer_wheel_next(&wheel) > from);
    CU_ASSERT_EQUAL(cmdi_timer_wheel_advance(&wheel, from + delay - 1), 0);
    CU_ASSERT_EQUAL(probe.fired, 0);
    CU_ASSERT_TRUE(cmdi_timer_armed(&probe.timer));
    CU_ASSERT(cmdi_timer_wheel_next(&wheel) <= from + delay);
    CU_ASSERT_EQUAL(cmdi_timer_wheel_advance(&wheel, from + delay), 1);
    CU_ASSERT_EQUAL(probe.fired, 1);
    CU_ASSERT_EQUAL(probe.fired_at, from + delay);
    CU_ASSERT_EQUAL(cmdi_timer_wheel_next(&wheel), CMDI_TIMER_NONE);
    CU_ASSERT_EQUAL(cmdi_timer_wheel_advance(&wheel, from + delay + 2 * SPAN), 0);
}

static void test_timer_fires_exactly_at_the_edges_of_every_level(void)
{
    const uint64_t starts[] = {0, 1, 63, 64, 4095, 4096, 262143, 16777215, SPAN - 1, SPAN, SPAN + 1,
            5 * SPAN - 64, 123456789};
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        for (uint64_t edge = 1; edge <= 4 * SPAN; edge *= 64) {
            for (uint64_t delay = edge > 1 ? edge - 1 : 1; delay <= edge + 1; delay++) {
                expect_exact(starts[i], delay);
            }
            expect_exact(starts[i], 63 * edge);
            expect_exact(starts[i], 63 * edge + edge - 1);
        }
    }
}

static void test_timer_far_beyond_the_span_is_not_early(void)
{
    const uint64_t delays[] = {SPAN - (SPAN >> 6) - 1, SPAN - (SPAN >> 6), SPAN - 1, SPAN, SPAN + 1,
            3 * SPAN + 7, 100 * SPAN};
    for (size_t i = 0; i < sizeof(delays) / sizeof(delays[0]); i++) {
        expect_exact(0, delays[i]);
        expect_exact(SPAN / 2 + 12345, delays[i]);
    }
}

static void test_timer_next_wakes_often_enough_and_seldom(void)
{
    struct cmdi_timer_wheel wheel;
    struct probe probe;
    uint32_t turns = 0;
    cmdi_timer_wheel_init(&wheel, 77);
    probe_init(&probe);
    cmdi_timer_arm(&wheel, &probe.timer, 77 + SPAN / 2 + 4711);

    /* Somebody who sleeps until `next` and no longer. */
    for (uint64_t next; (next = cmdi_timer_wheel_next(&wheel)) != CMDI_TIMER_NONE; turns++) {
        CU_ASSERT_FATAL(turns < CMDI_TIMER_LEVELS);
        (void)cmdi_timer_wheel_advance(&wheel, next);
    }

    CU_ASSERT_EQUAL(probe.fired, 1);
    CU_ASSERT_EQUAL(probe.fired_at, 77 + SPAN / 2 + 4711);
}

static void test_timer_in_the_past_fires_in_the_next_advance(void)
{
    struct cmdi_timer_wheel wheel;
    struct probe probes[3];
    cmdi_timer_wheel_init(&wheel, 1000);
    const uint64_t times[] = {0, 999, 1000};
    for (int i = 0; i < 3; i++) {
        probe_init(&probes[i]);
        cmdi_timer_arm(&wheel, &probes[i].timer, times[i]);
    }

    // The time has not moved: not again in this turn.
    CU_ASSERT_EQUAL(cmdi_timer_wheel_advance(&wheel, 1000), 0);
    CU_ASSERT_EQUAL(cmdi_timer_wheel_next(&wheel), 1001);
    CU_ASSERT_EQUAL(cmdi_timer_wheel_advance(&wheel, 1001), 3);
}

static void test_timer_disarm_and_rearm_leave_one_firing(void)
{
    struct cmdi_timer_wheel wheel;
    struct probe probe;
    cmdi_timer_wheel_init(&wheel, 0);
    probe_init(&probe);

    cmdi_timer_disarm(&wheel, &probe.timer); // Not armed: nothing.
    cmdi_timer_arm(&wheel, &probe.timer, 50);
    cmdi_timer_arm(&wheel, &probe.timer, 5000);
    CU_ASSERT_EQUAL(cmdi_timer_wheel_advance(&wheel, 4999), 0);
    CU_ASSERT_EQUAL(cmdi_timer_wheel_advance(&wheel, 5000), 1);
    cmdi_timer_arm(&wheel, &probe.timer, 5001);
    cmdi_timer_disarm(&wheel, &probe.timer);
    cmdi_timer_disarm(&wheel, &probe.timer);

    CU_ASSERT_FALSE(cmdi_timer_armed(&probe.timer));
    CU_ASSERT_EQUAL(cmdi_timer_wheel_next(&wheel), CMDI_TIMER_NONE);
    CU_ASSERT_EQUAL(cmdi_timer_wheel_advance(&wheel, 10000), 0);
}

static void test_timer_time_never_runs_backwards(void)
{
    struct cmdi_timer_wheel wheel;
    struct probe probe;
    cmdi_timer_wheel_init(&wheel, 100);
    probe_init(&probe);
    cmdi_timer_arm(&wheel, &probe.timer, 150);

    CU_ASSERT_EQUAL(cmdi_timer_wheel_advance(&wheel, 10), 0);
    CU_ASSERT_EQUAL(wheel.now_ms, 100);
    CU_ASSERT_EQUAL(cmdi_timer_wheel_advance(&wheel, 150), 1);
}

/* --- Inside callbacks ------------------------------------------------------------------------- */

struct meddler {
    struct cmdi_timer timer;
    struct cmdi_timer_wheel *wheel;
    struct probe *other;
    uint64_t rearm_other_at, rearm_self_at; // 0: disarm; leave alone.
    uint32_t fired;
};

static void meddle(struct cmdi_timer *timer, uint64_t now_ms)
{
    struct meddler *meddler = CMDI_CONTAINER(timer, struct meddler, timer);
    (void)now_ms;
    meddler->fired++;
    if (meddler->rearm_other_at == 0) {
        cmdi_timer_disarm(meddler->wheel, &meddler->other->timer);
    } else {
        cmdi_timer_arm(meddler->wheel, &meddler->other->timer, meddler->rearm_other_at);
    }
    if (meddler->rearm_self_at != 0) {
        cmdi_timer_arm(meddler->wheel, timer, meddler->rearm_self_at);
        meddler->rearm_self_at = 0;
    }
}

static void meddler_init(
        struct meddler *meddler, struct cmdi_timer_wheel *wheel, struct probe *other)
{
    *meddler = (struct meddler){.wheel = wheel, .other = other};
    cmdi_timer_init(&meddler->timer, meddle);
}

static void test_timer_callback_disarms_one_that_is_due_in_the_same_slot(void)
{
    struct cmdi_timer_wheel wheel;
    struct probe probe;
    struct meddler meddler;
    cmdi_timer_wheel_init(&wheel, 0);
    probe_init(&probe);
    meddler_init(&meddler, &wheel, &probe);
    cmdi_timer_arm(&wheel, &meddler.timer, 64); // Both in one slot of level 1.
    cmdi_timer_arm(&wheel, &probe.timer, 64);

    CU_ASSERT_EQUAL(cmdi_timer_wheel_advance(&wheel, 1000), 1);
    CU_ASSERT_EQUAL(probe.fired, 0);
    CU_ASSERT_EQUAL(cmdi_timer_wheel_next(&wheel), CMDI_TIMER_NONE);
}

static void test_timer_callback_moves_one_that_is_due_and_itself(void)
{
    struct cmdi_timer_wheel wheel;
    struct probe probe;
    struct meddler meddler;
    cmdi_timer_wheel_init(&wheel, 0);
    probe_init(&probe);
    meddler_init(&meddler, &wheel, &probe);
    meddler.rearm_other_at = 70;
    meddler.rearm_self_at = 68;
    cmdi_timer_arm(&wheel, &meddler.timer, 64);
    cmdi_timer_arm(&wheel, &probe.timer, 64);

    CU_ASSERT_EQUAL(cmdi_timer_wheel_advance(&wheel, 69), 2);
    CU_ASSERT_EQUAL(meddler.fired, 2);
    CU_ASSERT_EQUAL(probe.fired, 0);
    CU_ASSERT_EQUAL(cmdi_timer_wheel_next(&wheel), 70);
    CU_ASSERT_EQUAL(cmdi_timer_wheel_advance(&wheel, 70), 1);
    CU_ASSERT_EQUAL(probe.fired_at, 70);
}

/* A callback that arms for now or the past must not keep the advance from ending. */
static void test_timer_callback_that_rearms_for_now_fires_once_a_millisecond(void)
{
    struct cmdi_timer_wheel wheel;
    struct probe probe;
    struct meddler meddler;
    cmdi_timer_wheel_init(&wheel, 0);
    probe_init(&probe);
    meddler_init(&meddler, &wheel, &probe);
    meddler.rearm_self_at = 1;
    cmdi_timer_arm(&wheel, &meddler.timer, 10);

    CU_ASSERT_EQUAL(cmdi_timer_wheel_advance(&wheel, 10), 1);
    CU_ASSERT_EQUAL(cmdi_timer_wheel_next(&wheel), 11);
    CU_ASSERT_EQUAL(cmdi_timer_wheel_advance(&wheel, 11), 1);
}

/* --- Beside a model --------------------------------------------------------------------------- */

enum {
    MODEL_TIMERS = 200,
    MODEL_STEPS = 60000
};

struct model {
    struct cmdi_timer_wheel wheel;
    struct model_timer {
        struct cmdi_timer timer;
        struct model *model;
        uint64_t at_ms; // CMDI_TIMER_NONE: not armed. What the wheel is compared with.
    } timers[MODEL_TIMERS];
    uint64_t random, last_ms, until_ms;
    uint32_t wrong;
};

static uint64_t model_random(struct model *model)
{
    model->random = model->random * 6364136223846793005u + 1442695040888963407u;
    return model->random >> 33 ^ model->random << 20;
}

/* Of any order of magnitude, so that all levels and the world behind them are used. */
static uint64_t model_delay(struct model *model, uint32_t bits_max)
{
    uint64_t bits = model_random(model) % (bits_max + 1);
    return model_random(model) & (((uint64_t)1 << bits) - 1);
}

static void model_arm(struct model *model, struct model_timer *timer, uint64_t at_ms)
{
    cmdi_timer_arm(&model->wheel, &timer->timer, at_ms);
    timer->at_ms = at_ms > model->wheel.now_ms ? at_ms : model->wheel.now_ms + 1;
}

static void model_disarm(struct model *model, struct model_timer *timer)
{
    cmdi_timer_disarm(&model->wheel, &timer->timer);
    timer->at_ms = CMDI_TIMER_NONE;
}

static void model_fire(struct cmdi_timer *timer, uint64_t now_ms)
{
    struct model_timer *fired = CMDI_CONTAINER(timer, struct model_timer, timer);
    struct model *model = fired->model;
    uint64_t due_ms = model->wheel.now_ms;
    /* Exactly at its time, and no other was due before it; told the time that it really is. */
    model->wrong += fired->at_ms != due_ms || due_ms < model->last_ms || now_ms != model->until_ms;
    for (int i = 0; i < MODEL_TIMERS; i++) {
        model->wrong += model->timers[i].at_ms < due_ms;
    }
    model->last_ms = due_ms;
    fired->at_ms = CMDI_TIMER_NONE;
    switch (model_random(model) % 4) {
    case 0:
        model_arm(model, fired, due_ms + model_delay(model, 14));
        break;
    case 1:
        model_disarm(model, &model->timers[model_random(model) % MODEL_TIMERS]);
        break;
    case 2:
        model_arm(model, &model->timers[model_random(model) % MODEL_TIMERS],
                due_ms + model_delay(model, 32));
        break;
    default:
        break;
    }
}

static uint64_t model_next(const struct model *model)
{
    uint64_t next = CMDI_TIMER_NONE;
    for (int i = 0; i < MODEL_TIMERS; i++) {
        next = model->timers[i].at_ms < next ? model->timers[i].at_ms : next;
    }
    return next;
}

/*
 * Time goes on: by any step, to the wheel's own `next`, or to a hair before and after the model's.
 */
static uint64_t model_target(struct model *model)
{
    uint64_t next = cmdi_timer_wheel_next(&model->wheel);
    uint64_t due = model_next(model);
    model->wrong += (next == CMDI_TIMER_NONE) != (due == CMDI_TIMER_NONE);
    model->wrong += next > due || next <= model->wheel.now_ms;
    if (next == CMDI_TIMER_NONE) {
        return model->wheel.now_ms + model_delay(model, 33);
    }
    switch (model_random(model) % 8) {
    case 0:
        return model->wheel.now_ms + model_delay(model, 31);
    case 1:
        return due - 1;
    case 2:
        return due + model_random(model) % 3;
    default:
        return next;
    }
}

static void model_step(struct model *model)
{
    struct model_timer *timer = &model->timers[model_random(model) % MODEL_TIMERS];
    switch (model_random(model) % 4) {
    case 0:
        model_arm(model, timer, model->wheel.now_ms + model_delay(model, 34));
        break;
    case 1:
        model_arm(model, timer, model->wheel.now_ms - model_delay(model, 6));
        break;
    case 2:
        model_disarm(model, timer);
        break;
    default:
        model->until_ms = model_target(model);
        (void)cmdi_timer_wheel_advance(&model->wheel, model->until_ms);
        model->wrong += model_next(model) <= model->wheel.now_ms; // All that was due has fired.
        break;
    }
    for (int i = 0; i < MODEL_TIMERS; i++) {
        bool armed = model->timers[i].at_ms != CMDI_TIMER_NONE;
        model->wrong += armed != cmdi_timer_armed(&model->timers[i].timer);
    }
}

static void test_timer_agrees_with_a_model_over_long_spans(void)
{
    struct model *model = calloc(1, sizeof(*model));
    CU_ASSERT_PTR_NOT_NULL_FATAL(model);
    for (uint64_t seed = 1; seed <= 4; seed++) {
        *model = (struct model){.random = seed * 0x9e3779b97f4a7c15u, .last_ms = 0};
        cmdi_timer_wheel_init(&model->wheel, seed * SPAN - 1000);
        for (int i = 0; i < MODEL_TIMERS; i++) {
            model->timers[i] = (struct model_timer){.model = model, .at_ms = CMDI_TIMER_NONE};
            cmdi_timer_init(&model->timers[i].timer, model_fire);
        }
        for (int i = 0; i < MODEL_STEPS && model->wrong == 0; i++) {
            model_step(model);
        }
        CU_ASSERT_EQUAL(model->wrong, 0);
        // It went all the way round, several times.
        CU_ASSERT(model->wheel.now_ms > (seed + 8) * SPAN);
    }
    free(model);
}

/* --- Many at once ----------------------------------------------------------------------------- */

enum {
    CROWD = 100,
    SOME = 16,
};

struct member {
    struct cmdi_timer timer;
    struct cmdi_timer_wheel *wheel;
    uint32_t *count, order;
    struct cmdi_timer *ends; // Disarmed when this one fires.
};

static void member_fire(struct cmdi_timer *timer, uint64_t now_ms)
{
    struct member *member = CMDI_CONTAINER(timer, struct member, timer);
    (void)now_ms;
    member->order = ++*member->count;
    if (member->ends != NULL) {
        cmdi_timer_disarm(member->wheel, member->ends);
    }
}

/* The others are due at once, in their order, and may still be disarmed. */
static void test_timer_many_fire_some_at_a_time(void)
{
    struct cmdi_timer_wheel wheel;
    struct member crowd[CROWD];
    uint32_t count = 0;
    uint32_t total = 0;
    cmdi_timer_wheel_init(&wheel, 1000);
    for (uint32_t i = 0; i < CROWD; i++) {
        crowd[i] = (struct member){.wheel = &wheel, .count = &count};
        cmdi_timer_init(&crowd[i].timer, member_fire);
        cmdi_timer_arm(&wheel, &crowd[i].timer, i < CROWD / 2 ? 1005 : 1006);
    }
    crowd[3].ends = &crowd[30].timer; // When that one is taken and waits.
    crowd[4].ends = &crowd[CROWD - 1].timer;

    for (uint32_t fired = SOME; fired == SOME; total += fired) {
        fired = cmdi_timer_wheel_advance_some(&wheel, 1010, SOME);
        CU_ASSERT(fired <= SOME);
        CU_ASSERT(fired < SOME || cmdi_timer_wheel_next(&wheel) <= 1010);
    }

    CU_ASSERT_EQUAL(total, CROWD - 2);
    CU_ASSERT_EQUAL(count, CROWD - 2);
    CU_ASSERT_EQUAL(crowd[30].order, 0);
    for (uint32_t i = 1; i < CROWD - 1; i++) {
        CU_ASSERT(i == 30 || crowd[i].order == i + 1 - (i > 30));
    }
    CU_ASSERT_EQUAL(wheel.now_ms, 1010);
    CU_ASSERT_EQUAL(cmdi_timer_wheel_next(&wheel), CMDI_TIMER_NONE);
}

static CU_TestInfo tests[] = {
        {"fires exactly at the edges of every level",
                test_timer_fires_exactly_at_the_edges_of_every_level},
        {"far beyond the span is not early", test_timer_far_beyond_the_span_is_not_early},
        {"next wakes often enough and seldom", test_timer_next_wakes_often_enough_and_seldom},
        {"in the past fires in the next advance", test_timer_in_the_past_fires_in_the_next_advance},
        {"disarm and rearm leave one firing", test_timer_disarm_and_rearm_leave_one_firing},
        {"time never runs backwards", test_timer_time_never_runs_backwards},
        {"a callback disarms one that is due in the same slot",
                test_timer_callback_disarms_one_that_is_due_in_the_same_slot},
        {"a callback moves one that is due, and itself",
                test_timer_callback_moves_one_that_is_due_and_itself},
        {"a callback that rearms for now fires once a millisecond",
                test_timer_callback_that_rearms_for_now_fires_once_a_millisecond},
        {"many fire some at a time", test_timer_many_fire_some_at_a_time},
        {"agrees with a model over long spans", test_timer_agrees_with_a_model_over_long_spans},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("timer", tests)

/* SPDX-License-Identifier: MIT */
/* The moves of an endpoint's health. See health.h. */
#include "net/health.h"

#include <stddef.h>

#include "base/assert.h"

static void health_count_out(struct cmdi_health *health)
{
    atomic_fetch_add(&health->watch_count, 1);
    atomic_fetch_add(&health->out_count, 1);
}

static void health_count_in(struct cmdi_health *health)
{
    uint32_t before = atomic_fetch_sub(&health->out_count, 1);
    CMDI_ASSERT(before > 0);
    atomic_fetch_sub(&health->watch_count, 1);
}

static void health_put_out(
        struct cmdi_health *health, struct cmdi_health_cell *cell, uint64_t now_ms)
{
    bool was_in = cmdi_health_is_in(cell);
    if (was_in && now_ms - cell->back_ms >= CMDI_HEALTH_FORGIVE_MS) {
        cell->times = 0;
    }
    cell->times++;
    uint64_t out_ms = (uint64_t)cell->times * CMDI_HEALTH_OUT_MS;
    out_ms = out_ms < CMDI_HEALTH_OUT_MAX_MS ? out_ms : CMDI_HEALTH_OUT_MAX_MS;
    atomic_store(&cell->is_trial, false);
    atomic_store(&cell->until_ms, now_ms + out_ms);
    if (was_in) {
        health_count_out(health);
    }
}

/* Half of them have to stay. */
static bool health_may_put_out(const struct cmdi_health *health, uint32_t count)
{
    return count > 0 && atomic_load(&health->out_count) < (count - 1) / 2;
}

bool cmdi_health_failed(
        struct cmdi_health *health, struct cmdi_health_cell *cell, uint32_t count, uint64_t now_ms)
{
    uint32_t failures = atomic_load(&cell->failures);
    failures += failures < UINT32_MAX;
    atomic_store(&cell->failures, failures);
    cell->window_failed++;
    if (!cmdi_health_is_in(cell)) {
        /* Else it is a command of before, or a connection that does not come up: it is out already. */
        bool failed_trial = atomic_load(&cell->is_trial);
        if (failed_trial) {
            health_put_out(health, cell, now_ms);
        }
        return failed_trial;
    }
    if (failures < CMDI_HEALTH_IN_A_ROW || !health_may_put_out(health, count)) {
        return false;
    }
    health_put_out(health, cell, now_ms);
    return true;
}

bool cmdi_health_answered(
        struct cmdi_health *health, struct cmdi_health_cell *cell, uint64_t now_ms)
{
    if (cmdi_health_is_in(cell)) {
        atomic_store(&cell->failures, 0);
        return false;
    }
    if (!atomic_load(&cell->is_trial)) {
        return false; // A late answer of before.
    }
    atomic_store(&cell->failures, 0);
    atomic_store(&cell->is_trial, false);
    atomic_store(&cell->until_ms, 0);
    cell->back_ms = now_ms;
    cell->window_ok = cell->window_failed = 0;
    health_count_in(health);
    return true;
}

/* In 65536ths. */
static uint64_t health_rate(const struct cmdi_health_cell *cell)
{
    uint64_t all = (uint64_t)cell->window_ok + cell->window_failed;
    return all > 0 ? ((uint64_t)cell->window_failed << 16) / all : 0;
}

static bool health_can_be_judged(const struct cmdi_health_cell *cell)
{
    return cell != NULL &&
           (uint64_t)cell->window_ok + cell->window_failed >= CMDI_HEALTH_WINDOW_MIN;
}

/*
 * Without itself in the mean: of four servers one that always fails is never two deviations above a
 * mean that it is a part of.
 */
static bool health_is_worse(
        struct cmdi_health_cell *const *cells, uint32_t count, uint32_t index, uint64_t rate)
{
    uint64_t sum = 0, squares = 0, others = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (i != index && health_can_be_judged(cells[i])) {
            uint64_t other = health_rate(cells[i]);
            sum += other;
            squares += other * other;
            others++;
        }
    }
    if (others == 0 || rate * others <= sum) {
        return false;
    }
    /* (rate - mean)^2 > 4 * variance, times others^2. */
    uint64_t over = rate * others - sum;
    uint64_t variance = squares * others - sum * sum;
    return over * over > 4 * variance;
}

bool cmdi_health_judge(struct cmdi_health *health, struct cmdi_health_cell *const *cells,
        uint32_t count, uint32_t index, uint64_t now_ms)
{
    struct cmdi_health_cell *cell = cells[index];
    CMDI_ASSERT(index < count && cell != NULL);
    if (!cmdi_health_is_in(cell) || !health_can_be_judged(cell) ||
            !health_may_put_out(health, count)) {
        return false;
    }
    uint64_t rate = health_rate(cell);
    if (rate * 5 <= UINT64_C(1) << 16 || !health_is_worse(cells, count, index, rate)) {
        return false;
    }
    health_put_out(health, cell, now_ms);
    return true;
}

void cmdi_health_forget(struct cmdi_health *health, struct cmdi_health_cell *cell)
{
    if (!cmdi_health_is_in(cell)) {
        health_count_in(health);
    }
    atomic_store(&cell->until_ms, 0);
    atomic_store(&cell->failures, 0);
    atomic_store(&cell->is_trial, false);
    cell->times = 0;
    cell->back_ms = 0;
    cell->window_ok = cell->window_failed = 0;
}

bool cmdi_health_claim(struct cmdi_health_cell *cell, uint64_t now_ms)
{
    uint64_t until_ms = atomic_load(&cell->until_ms);
    if (until_ms == 0) {
        return true;
    }
    if (until_ms > now_ms || !atomic_compare_exchange_strong(
                                     &cell->until_ms, &until_ms, now_ms + CMDI_HEALTH_TRIAL_MS)) {
        return until_ms == 0;
    }
    atomic_store(&cell->is_trial, true);
    return true;
}

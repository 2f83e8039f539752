/* SPDX-License-Identifier: MIT */
/* The shard's turn: what it runs, in which order, and how long it waits in the end. */
#include "shard/shard.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/time.h"
#include "base/usdt.h"
#include "ring/clock.h"
#include "ring/cpu.h"
#include "ring/thread.h"

enum {
    SHARD_SPIN_LOOKS = 64,          // At the ring and the mailbox between two looks at the clock.
    SHARD_HARVEST = 32,             // Completions, or timers, between two looks at the clock.
    SHARD_STALL_MS = 200,           // A timer so late has not met a long turn: nobody was here.
    SHARD_PARTS = 2,                // Of a run that takes long...
    SHARD_RUN_NS_LONG = 100 * 1000, // ... which is this.
    SHARD_LOOK_ITEMS = 256,         // That a look does at least: 17 enters of about 20 each.
};

struct cmdi_shard *cmdi_shard_set_current(struct cmdi_shard *shard)
{
    struct cmdi_shard *before = cmdi_thread_owned;
    cmdi_thread_owned = shard;
    return before;
}

/* --- The turn --------------------------------------------------------------------------------- */

static void shard_set_time(struct cmdi_shard *shard, uint64_t now_ns)
{
    CMDI_ASSERT(now_ns >= shard->now_ns);
    shard->now_ns = now_ns;
    shard->now_ms = cmdi_ns_to_ms(now_ns);
    shard->clock_us = (uint32_t)(now_ns / CMDI_NS_PER_US);
    shard->clock_ns = now_ns;
    shard->looked_ns = now_ns;
}

static uint32_t shard_harvest(struct cmdi_shard *shard)
{
    struct cmdi_completion completions[SHARD_HARVEST];
    uint32_t total = 0;
    if (shard->ring == NULL) {
        return 0;
    }
    cmdi_shard_begin_step(shard);
    while (total < CMDI_SHARD_COMPLETIONS_PER_TURN && !shard->step_over) {
        uint32_t count = cmdi_ring_harvest(shard->ring, completions, SHARD_HARVEST);
        for (uint32_t i = 0; i < count; i++) {
            cmdi_shard_complete(shard, &completions[i]);
        }
        total += count;
        if (count < SHARD_HARVEST) {
            break;
        }
        cmdi_shard_look(shard); // Each may have ended a connection with all its calls.
    }
    CMDI_COUNT(&shard->counters, completions, total);
    return total;
}

static uint32_t shard_fire(struct cmdi_shard *shard)
{
    uint32_t total = 0;
    uint32_t count = 0;
    cmdi_shard_begin_step(shard);
    do {
        count = cmdi_timer_wheel_advance_some(&shard->timers, shard->now_ms, SHARD_HARVEST);
        total += count;
        if (count == SHARD_HARVEST) {
            cmdi_shard_look(shard);
        }
    } while (count == SHARD_HARVEST && !shard->step_over);
    return total;
}

/* Runs what is in the list now; what is queued meanwhile waits for the next pass. */
static uint32_t shard_run_list(struct cmdi_shard *shard, struct cmdi_list *list)
{
    struct cmdi_list now;
    struct cmdi_list *node = NULL;
    uint32_t count = 0;
    if (cmdi_list_empty(list)) {
        return 0;
    }
    cmdi_list_take(&now, list);
    while ((node = cmdi_list_pop(&now)) != NULL) {
        struct cmdi_work *work = CMDI_CONTAINER(node, struct cmdi_work, link);
        work->fn(shard, work);
        count++;
    }
    return count;
}

/* What the pass has left comes before what was queued meanwhile. */
static void shard_put_back(struct cmdi_list *list, struct cmdi_list *left)
{
    if (!cmdi_list_empty(left)) {
        cmdi_list_append(left, list);
        cmdi_list_take(list, left);
    }
}

/* Whatever the levels before it have used, a level has its share: a quarter of a step. */
static void shard_begin_level(struct cmdi_shard *shard)
{
    uint64_t latest_ns = shard->looked_ns - (CMDI_SHARD_STEP_NS - CMDI_SHARD_STEP_NS / 4);
    shard->step_ns = shard->step_ns < latest_ns ? latest_ns : shard->step_ns;
    shard->step_over = false;
}

/* What has little to send, as much as one enter may copy; the others come to `heavy`. */
static void shard_flush_small(struct cmdi_shard *shard)
{
    struct cmdi_list now;
    struct cmdi_list *node = NULL;
    CMDI_ASSERT(!shard->flushing_heavy);
    shard->send_left = CMDI_SHARD_SEND_PER_TURN;
    cmdi_list_take(&now, &shard->flush);
    while (shard->send_left > 0 && (node = cmdi_list_pop(&now)) != NULL) {
        struct cmdi_work *work = CMDI_CONTAINER(node, struct cmdi_work, link);
        work->fn(shard, work);
    }
    shard_put_back(&shard->flush, &now);
}

/* As many sends as one enter may copy: small ones first, of the large ones at least one. */
static void shard_run_flush(struct cmdi_shard *shard)
{
    struct cmdi_list *node = NULL;
    shard_flush_small(shard);
    shard->flushing_heavy = true;
    while ((node = cmdi_list_pop(&shard->heavy)) != NULL) {
        struct cmdi_work *work = CMDI_CONTAINER(node, struct cmdi_work, link);
        work->fn(shard, work);
        if (shard->send_left <= 0) {
            break;
        }
    }
    shard->flushing_heavy = false;
}

static int shard_enter(struct cmdi_shard *shard, uint64_t wait_ns)
{
    CMDI_COUNT(&shard->counters, enters, 1);
    return cmdi_ring_enter(shard->ring, wait_ns);
}

/* Of what was taken from a level one at least, the others as long as there is time. */
static uint32_t shard_run_level(
        struct cmdi_shard *shard, struct cmdi_list *now, enum cmdi_shard_level level)
{
    uint32_t count = 0;
    shard_begin_level(shard);
    while (!cmdi_list_empty(now) && !shard->step_over) {
        struct cmdi_work *work = CMDI_CONTAINER(cmdi_list_pop(now), struct cmdi_work, link);
        work->fn(shard, work);
        count++;
        cmdi_shard_worked(shard, 1);
    }
    shard_put_back(&shard->ready[level], now);
    return count;
}

/* Returns: how many ran. `parts`: a run is so much of a whole one. */
static uint32_t shard_run_heavy(struct cmdi_shard *shard, struct cmdi_list *now, uint32_t parts)
{
    uint64_t begin_ns = cmdi_now_ns();
    shard->frames_per_run /= parts;
    uint32_t count = shard_run_level(shard, now, CMDI_LEVEL_HEAVY);
    shard->frames_per_run *= parts;
    if (count > 0) { // Of nothing nothing is learned.
        shard->heavy_run_ns = (cmdi_now_ns() - begin_ns) * parts / count;
    }
    return count;
}

/* What asked for little since the pass began. */
static uint32_t shard_run_light_again(struct cmdi_shard *shard)
{
    struct cmdi_list now;
    if (cmdi_ring_has_work(shard->ring)) {
        (void)shard_enter(shard, CMDI_RING_WAIT_NONE); // The end of the turn meets a failure again.
        (void)shard_harvest(shard);
    }
    cmdi_shard_begin_step(shard);
    cmdi_list_take(&now, &shard->ready[CMDI_LEVEL_LIGHT]);
    return shard_run_level(shard, &now, CMDI_LEVEL_LIGHT);
}

/*
 * Those who ask for much, beside others who ask for little. If a run of theirs takes long, it comes in
 * parts, whose output leaves with the last one. What the others were answered leaves before each part, and
 * what they have asked meanwhile is answered before it.
 */
static uint32_t shard_run_beside(struct cmdi_shard *shard, struct cmdi_list *now)
{
    uint32_t count = 0;
    if (shard->heavy_run_ns < SHARD_RUN_NS_LONG) {
        return shard_run_heavy(shard, now, 1);
    }
    for (uint32_t part = 0; part < SHARD_PARTS; part++) {
        if (part > 0) {
            cmdi_list_take(now, &shard->ready[CMDI_LEVEL_HEAVY]);
            count += shard_run_light_again(shard);
        }
        if (!cmdi_list_empty(&shard->flush)) {
            shard_flush_small(shard);
            (void)shard_enter(shard, CMDI_RING_WAIT_NONE);
        }
        count += shard_run_heavy(shard, now, SHARD_PARTS);
    }
    return count;
}

/* The pass over the ready lists: one of each level at least, the others as long as there is time. */
static uint32_t shard_run_ready(struct cmdi_shard *shard)
{
    struct cmdi_list now[CMDI_LEVELS];
    for (uint32_t level = 0; level < CMDI_LEVELS; level++) {
        cmdi_list_take(&now[level], &shard->ready[level]);
    }
    cmdi_shard_begin_step(shard);
    uint32_t count = shard_run_level(shard, &now[CMDI_LEVEL_LIGHT], CMDI_LEVEL_LIGHT);
    bool beside = count > 0 && shard->ring != NULL && !cmdi_list_empty(&now[CMDI_LEVEL_HEAVY]);
    count += shard_run_level(shard, &now[CMDI_LEVEL_UNKNOWN], CMDI_LEVEL_UNKNOWN);
    return count + (beside ? shard_run_beside(shard, &now[CMDI_LEVEL_HEAVY])
                           : shard_run_level(shard, &now[CMDI_LEVEL_HEAVY], CMDI_LEVEL_HEAVY));
}

/* One alone, however long the list: all others come before the next one. */
static uint32_t shard_run_costly(struct cmdi_shard *shard)
{
    struct cmdi_work *work = CMDI_CONTAINER(cmdi_list_pop(&shard->costly), struct cmdi_work, link);
    work->fn(shard, work);
    return 1;
}

/* Exactly one is ready, or none is. */
static bool shard_is_alone(const struct cmdi_shard *shard)
{
    uint32_t count = 0;
    for (uint32_t level = 0; level < CMDI_LEVELS; level++) {
        const struct cmdi_list *list = &shard->ready[level];
        count += cmdi_list_empty(list) ? 0 : list->next == list->prev ? 1 : 2;
    }
    return count <= 1;
}

/*
 * After a wait both sides would work alternately. To overlap them, some output leaves in mid-turn: the
 * first part if one connection is ready, all that the first connection makes if several are.
 */
static void shard_set_pace(struct cmdi_shard *shard)
{
    bool alone = shard_is_alone(shard);
    bool in_parts = shard->waited && alone;
    shard->frames_per_run = in_parts ? CMDI_SHARD_FRAMES_PER_PART : CMDI_SHARD_FRAMES_PER_RUN;
    shard->flush_size = in_parts ? CMDI_SHARD_FLUSH_SIZE_OF_PART : CMDI_SHARD_FLUSH_SIZE;
    shard->flush_first = shard->waited && !alone;
}

/* A bound was met, or is near, or somebody waits for memory. */
static bool shard_is_short(struct cmdi_shard *shard)
{
    struct cmdi_account *account = &shard->buffers.account;
    return account->refused || !cmdi_list_empty(&shard->lacking) ||
           cmdi_account_used(account) > cmdi_account_mark(account) ||
           atomic_load_explicit(&account->shared_refused, memory_order_relaxed);
}

/* Less is used than when that was last checked: they run at the end of the next turn. */
static void shard_tell_refused(struct cmdi_shard *shard)
{
    uint64_t used = cmdi_account_used(&shard->buffers.account);
    if (used < shard->refused_used) {
        cmdi_list_append(&shard->flush, &shard->refused);
    }
    shard->refused_used = used;
}

/*
 * Harvests everything that the kernel had when this began. It works in the order in which things
 * came, and on 6.14 and later a little in each enter, so what was there is behind us after as many
 * items as there are operations in flight. No more than that: a timer must not wait for peers that
 * never cease.
 */
static uint32_t shard_look(struct cmdi_shard *shard)
{
    uint32_t handled = 0;
    if (shard->ring == NULL) {
        return 0;
    }
    uint32_t looks = cmdi_ring_in_flight(shard->ring) / SHARD_LOOK_ITEMS + 2;
    for (uint32_t i = 0; i < looks && (i == 0 || cmdi_ring_has_work(shard->ring)); i++) {
        if (shard_enter(shard, CMDI_RING_WAIT_NONE) < 0) {
            break; // The enter that ends the turn meets it again.
        }
        for (uint32_t count = 1; count > 0; handled += count) {
            count = shard_harvest(shard);
        }
    }
    return handled;
}

/*
 * A timer is due. Before it fires everything that had come by now is handled: a peer that was in
 * time shall not be judged by how late we are. Frames are run then, and a connection knows by itself
 * which of them its turn's budget has left.
 */
static uint32_t shard_before_timers(struct cmdi_shard *shard, uint64_t due_ms)
{
    uint64_t late_ms = shard->now_ms - due_ms;
    shard->stalled_ms += late_ms >= SHARD_STALL_MS ? late_ms : 0;
    return shard_look(shard);
}

static uint32_t shard_run(struct cmdi_shard *shard)
{
    uint32_t handled = cmdi_shard_take_mail(shard, false);
    uint64_t due_ms = shard->now_ms > shard->timers.now_ms ? cmdi_timer_wheel_next(&shard->timers)
                                                           : CMDI_TIMER_NONE;
    CMDI_COUNT(&shard->counters, turns, 1);
    handled += shard_harvest(shard);
    if (CMDI_UNLIKELY(due_ms <= shard->now_ms)) {
        handled += shard_before_timers(shard, due_ms);
    }
    if (CMDI_UNLIKELY(!cmdi_list_empty(&shard->receive.starved))) {
        cmdi_receive_feed(&shard->receive, shard->ready);
    }
    shard_set_pace(shard);
    handled += shard_run_ready(shard);
    handled += shard_fire(shard);
    if (CMDI_UNLIKELY(!cmdi_list_empty(&shard->costly))) {
        handled += shard_run_costly(shard);
    }
    shard_run_flush(shard);
    if (CMDI_UNLIKELY(shard_is_short(shard)) && shard->relieve != NULL) {
        shard->relieve(shard);
    }
    if (CMDI_UNLIKELY(!cmdi_list_empty(&shard->refused))) {
        shard_tell_refused(shard);
    }
    return handled;
}

/* Of its own lists and mailbox. */
static bool shard_has_own_work(const struct cmdi_shard *shard)
{
    bool ready = false;
    for (uint32_t level = 0; level < CMDI_LEVELS; level++) {
        ready = ready || !cmdi_list_empty(&shard->ready[level]);
    }
    return ready || !cmdi_list_empty(&shard->flush) || !cmdi_list_empty(&shard->heavy) ||
           !cmdi_list_empty(&shard->costly) || cmdi_shard_has_mail(shard);
}

bool cmdi_shard_has_work(const struct cmdi_shard *shard)
{
    return shard_has_own_work(shard) || (shard->ring != NULL && cmdi_ring_has_work(shard->ring)) ||
           cmdi_receive_can_feed(&shard->receive);
}

/* Until when the shard may wait: the next timer, at most `wait_ns` from the turn's begin. */
static uint64_t shard_wait_until(struct cmdi_shard *shard, uint64_t wait_ns)
{
    uint64_t until_ns = wait_ns < CMDI_RING_WAIT_FOREVER - shard->now_ns ? shard->now_ns + wait_ns
                                                                         : CMDI_RING_WAIT_FOREVER;
    uint64_t next_ms = cmdi_timer_wheel_next(&shard->timers);
    bool first = next_ms != CMDI_TIMER_NONE && cmdi_ms_to_ns(next_ms) < until_ns;
    return first ? cmdi_ms_to_ns(next_ms) : until_ns;
}

/* How long that is from now on: the turn and the spin have taken their time. */
static uint64_t shard_wait_left(struct cmdi_shard *shard, uint64_t until_ns)
{
    bool has_slept = shard->meter.state == CMDI_METER_SLEEP; // A spin has ended there.
    if (until_ns == CMDI_RING_WAIT_FOREVER && has_slept) {
        return CMDI_RING_WAIT_FOREVER;
    }
    uint64_t now_ns = cmdi_now_ns();
    if (!has_slept) {
        cmdi_shard_meter(shard, CMDI_METER_SLEEP, now_ns);
    }
    return until_ns == CMDI_RING_WAIT_FOREVER ? CMDI_RING_WAIT_FOREVER
           : until_ns > now_ns                ? until_ns - now_ns
                                              : CMDI_RING_WAIT_NONE;
}

/* Looks for work without a system call. Returns: found some; not: sleep. */
static bool shard_spin(struct cmdi_shard *shard, uint64_t until_ns)
{
    uint64_t start_ns = cmdi_now_ns();
    bool always = shard->options.spin_always;
    uint64_t budget_ns = shard->connection_count == 0 ? 0
                         : always                     ? shard->spin.budget_ns
                                                      : cmdi_spin_begin(&shard->spin, start_ns);
    cmdi_shard_meter(shard, budget_ns == 0 ? CMDI_METER_SLEEP : CMDI_METER_SPIN, start_ns);
    if (budget_ns == 0) {
        return false;
    }
    CMDI_COUNT(&shard->counters, spins, 1);
    uint64_t before_ns = start_ns;
    for (;;) {
        for (uint32_t i = 0; i < SHARD_SPIN_LOOKS; i++) {
            if (cmdi_ring_has_work(shard->ring) || cmdi_shard_has_mail(shard)) {
                cmdi_spin_end(&shard->spin, true);
                CMDI_COUNT(&shard->counters, spin_hits, 1);
                return true;
            }
            cmdi_cpu_pause();
        }
        uint64_t now_ns = cmdi_now_ns();
        if (!always && cmdi_spin_gap(&shard->spin, before_ns, now_ns)) {
            CMDI_COUNT(&shard->counters, spin_stops, 1);
            cmdi_shard_meter(shard, CMDI_METER_SLEEP, now_ns);
            return false;
        }
        before_ns = now_ns;
        if (now_ns >= until_ns || atomic_load(&shard->stopping) != 0) {
            return true; // A timer is due, or the end; that says nothing about the spin.
        }
        if (now_ns - start_ns >= budget_ns) {
            cmdi_spin_end(&shard->spin, false);
            cmdi_shard_meter(shard, CMDI_METER_SLEEP, now_ns);
            return false;
        }
    }
}

static void shard_count_preemptions(struct cmdi_shard *shard)
{
    if (!shard->options.spin_always && cmdi_spin_check_due(&shard->spin, shard->now_ns) &&
            cmdi_spin_check(&shard->spin, cmdi_preemptions(), shard->now_ns)) {
        CMDI_COUNT(&shard->counters, spin_stops, 1);
    }
}

/* Waits in the kernel, unless something came while the flag went up. */
static int shard_sleep(struct cmdi_shard *shard, uint64_t until_ns)
{
    uint64_t wait_ns = shard_wait_left(shard, until_ns);
    atomic_store(&shard->sleeping, 1);
    if (atomic_load(&shard->mailbox) != NULL || atomic_load(&shard->stopping) != 0) {
        wait_ns = CMDI_RING_WAIT_NONE;
    }
    CMDI_COUNT(&shard->counters, sleeps, 1);
    int code = shard_enter(shard, wait_ns);
    atomic_store_explicit(&shard->sleeping, 0, memory_order_relaxed);
    return code;
}

static bool shard_may_spin(const struct cmdi_shard *shard)
{
    return shard->spin.budget_ns > 0 && shard->connection_count > 0;
}

/*
 * The end of a turn: what was queued goes to the kernel; without work the shard looks, then sleeps.
 */
static int shard_end_turn(struct cmdi_shard *shard, uint64_t wait_ns)
{
    bool has_ended = !cmdi_list_empty(&shard->ended);
    shard->waited = false;
    uint64_t until_ns = shard_wait_until(shard, wait_ns);
    if (cmdi_shard_has_work(shard) || until_ns <= shard->now_ns) {
        int code = shard_enter(shard, CMDI_RING_WAIT_NONE);
        (void)shard_run_list(shard, &shard->ended);
        return code;
    }
    if (has_ended || shard_may_spin(shard)) {
        int code = shard_enter(shard, CMDI_RING_WAIT_NONE);
        (void)shard_run_list(shard, &shard->ended);
        if (code < 0 || cmdi_shard_has_work(shard)) {
            return code;
        }
        shard_count_preemptions(shard);
        atomic_store_explicit(&shard->busy_since_ns, 0, memory_order_relaxed);
        if (shard_spin(shard, until_ns)) {
            shard->waited = true;
            return shard_enter(shard, CMDI_RING_WAIT_NONE);
        }
    }
    shard->waited = true;
    atomic_store_explicit(&shard->busy_since_ns, 0, memory_order_relaxed);
    return shard_sleep(shard, until_ns);
}

int cmdi_shard_turn(struct cmdi_shard *shard, uint64_t wait_ns)
{
    CMDI_ASSERT(!shard->in_turn && shard->options.drive != CMDI_DRIVE_STEPPED);
    CMDI_ASSERT(cmdi_thread_owned == shard);
    shard->in_turn = true;
    shard_set_time(shard, cmdi_now_ns());
    cmdi_shard_meter(shard, CMDI_METER_BUSY, shard->now_ns);
    atomic_store_explicit(&shard->busy_since_ns, shard->now_ns, memory_order_relaxed);
    uint32_t handled = shard_run(shard);
    __atomic_store_n(&shard->counters.buffer_bytes, shard->buffers.leased_size, __ATOMIC_RELAXED);
    __atomic_store_n(&shard->counters.memory_bytes, cmdi_account_used(&shard->buffers.account),
            __ATOMIC_RELAXED);
    CMDI_PROBE3(turn_end, shard->index, handled, shard->now_ns);
    /* The thread that turns an inline shard looks at what has run before anything is waited for. */
    bool look_first = handled > 0 && shard->options.drive == CMDI_DRIVE_INLINE;
    int code = shard_end_turn(shard, look_first ? CMDI_RING_WAIT_NONE : wait_ns);
    if (shard->options.drive == CMDI_DRIVE_INLINE) {
        cmdi_shard_meter(shard, CMDI_METER_AWAY, cmdi_now_ns()); // What follows is the caller's.
    }
    shard->in_turn = false;
    return code < 0 ? code : (int)handled;
}

void cmdi_shard_step(struct cmdi_shard *shard, uint64_t now_ns)
{
    CMDI_ASSERT(shard->options.drive == CMDI_DRIVE_STEPPED && !shard->in_turn);
    struct cmdi_shard *before = cmdi_shard_set_current(shard);
    shard->in_turn = true;
    shard_set_time(shard, now_ns);
    do {
        (void)shard_run(shard);
        (void)shard_run_list(shard, &shard->ended);
    } while (cmdi_shard_has_work(shard));
    shard->in_turn = false;
    (void)cmdi_shard_set_current(before);
}

uint64_t cmdi_shard_read_clock_ms(struct cmdi_shard *shard)
{
    if (shard->options.drive == CMDI_DRIVE_STEPPED) {
        return shard->now_ms; // The world's.
    }
    uint64_t now_ns = cmdi_now_ns();
    shard->clock_us = (uint32_t)(now_ns / CMDI_NS_PER_US);
    shard->clock_ns = now_ns;
    return cmdi_ns_to_ms(now_ns);
}

uint64_t cmdi_shard_random(void)
{
    return cmdi_random();
}

/* --- Life ------------------------------------------------------------------------------------- */

/* In one line: of two for the same reason the log would drop the second. */
static void shard_warn_of_less(struct cmdi_shard *shard)
{
    const struct cmdi_ring_options *wanted = &shard->options.ring;
    uint32_t entries = cmdi_ring_entries(shard->ring);
    uint32_t buffers = cmdi_ring_buffer_count_max(shard->ring);
    if (entries < wanted->entries || buffers < wanted->buffer_count_max) {
        cmdi_shard_log(shard, CMDS_REASON_MEMORY, CMDS_LOG_WARN,
                "shard %u: io_uring had memory for queues of %u entries (of %u) and %u receive "
                "buffers (of %u): see RLIMIT_MEMLOCK (ulimit -l, LimitMEMLOCK=)",
                shard->index, entries, wanted->entries, buffers, wanted->buffer_count_max);
    }
}

static int shard_init_ring(struct cmdi_shard *shard, struct cmds_error *error)
{
    const struct cmdi_ring_options *ring = &shard->options.ring;
    if (shard->options.drive == CMDI_DRIVE_STEPPED) {
        return cmdi_receive_init(&shard->receive, NULL, NULL);
    }
    int code = cmdi_ring_create(&shard->ring, ring, error);
    if (code < 0) {
        return code;
    }
    code = cmdi_receive_init(&shard->receive, shard->ring, ring);
    if (code < 0) {
        return cmdi_fail(error, code, "no memory for shard %u", shard->index);
    }
    shard_warn_of_less(shard);
    return code;
}

int cmdi_shard_create(
        struct cmdi_shard **out, const struct cmdi_shard_options *options, struct cmds_error *error)
{
    struct cmdi_shard *shard = aligned_alloc(64, (sizeof(*shard) + 63) / 64 * 64);
    if (shard == NULL) {
        return cmdi_fail(error, -ENOMEM, "no memory for shard %u", options->index);
    }
    memset(shard, 0, sizeof(*shard));
    shard->options = *options;
    shard->index = options->index;
    shard->slot_free = CMDI_SLOT_NONE;
    for (uint32_t level = 0; level < CMDI_LEVELS; level++) {
        cmdi_list_init(&shard->ready[level]);
    }
    shard->stride = shard->work_left = CMDI_SHARD_STRIDE_MAX;
    struct cmdi_list *lists[] = {&shard->flush, &shard->heavy, &shard->ended, &shard->conns,
            &shard->calls, &shard->program_timers, &shard->lacking, &shard->costly,
            &shard->seatless, &shard->seats, &shard->refused};
    for (uint32_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        cmdi_list_init(lists[i]);
    }
    shard_set_pace(shard);
    cmdi_pool_init(&shard->error_texts, sizeof(((struct cmds_error *)0)->text));
    cmdi_buffers_init(&shard->buffers, options->memory_size_max);
    shard_set_time(shard, options->drive == CMDI_DRIVE_STEPPED ? 0 : cmdi_now_ns());
    cmdi_meter_init(&shard->meter, shard->now_ns, options->stall_ns);
    cmdi_timer_wheel_init(&shard->timers, shard->now_ms);
    cmdi_spin_init(&shard->spin, (uint64_t)options->spin_us * 1000);
    int code = shard_init_ring(shard, error);
    if (code < 0) {
        cmdi_shard_destroy(shard);
        return code;
    }
    *out = shard;
    return 0;
}

void cmdi_shard_destroy(struct cmdi_shard *shard)
{
    if (shard == NULL) {
        return;
    }
    CMDI_ASSERT(!shard->in_turn && cmdi_thread_owned != shard);
    cmdi_ring_destroy(shard->ring);
    cmdi_meter_fini(&shard->meter);
    cmdi_buffers_fini(&shard->buffers);
    cmdi_pool_fini(&shard->error_texts);
    cmdi_pool_fini(&shard->conn_mores);
    cmdi_receive_fini(&shard->receive);
    free(shard->slots);
    free(shard);
}

/* SPDX-License-Identifier: MIT */
/*
 * Timers of a program: each lies in its shard's wheel, and is known by a handle that any thread may
 * have.
 *
 * Who may touch one. All but `state`, `refs` and `mail` is the shard's. A timer that another thread
 * sets or cancels goes to the shard as a mail; `state` says whose move it is:
 *
 *     POSTED ---> ARMED <--> RUNNING ---> ENDED      by the shard alone
 *        \          |           |
 *         `---------+-----------+---> CANCELLED      by whoever has the handle, once
 *
 * Exactly one of the two sees the other's move, since both are one exchange. So a cancel knows whether
 * the function has run, will not run, or runs at this moment; and the shard drops its reference where
 * it finds CANCELLED: in the mail that set the timer, in the mail that the cancel sends, or behind the
 * function.
 *
 * The end. `is_closed` is set under the lock, under which mail is posted. So whatever was posted is
 * in front of, or with an inline shard behind, the walk that ends a shard's timers; the latter finds
 * `timers_ended`. A timer that was cancelled when no mail could be posted any more is still in the
 * shard's list, and ends in that walk.
 */
#include "shard/runtime_timers.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/time.h"
#include "ring/thread.h"
#include "shard/clock.h"
#include "shard/drive.h"
#include "shard/runtime.h"

enum timer_state {
    TIMER_POSTED,    // In the mailbox of its shard.
    TIMER_ARMED,     // In the wheel.
    TIMER_RUNNING,   // Its function is on the shard's stack.
    TIMER_CANCELLED, // The shard is to let go of it.
    TIMER_AWAITED,   // The same of one that runs, and somebody waits for its end.
    TIMER_ENDED,     // It has run.
    TIMER_STOPPED,   // It has not, and its runtime has ended.
};

struct cmds_timer {
    struct cmdi_timer timer;
    struct cmdi_list link; // shard->program_timers, from ARMED on.
    struct cmdi_mail mail;
    struct cmdi_shard *shard;
    struct cmdi_runtime_timers *timers;
    void (*fn)(void *context);
    void *context;
    uint64_t at_ns, delay_ns;
    bool repeats;
    bool counts_here;       // From when its shard hears of it: the caller has another clock.
    bool is_posted;         // Under the lock: its cancel was.
    _Atomic uint32_t state; // enum timer_state. Futex of the one that waits for ENDED.
    _Atomic uint32_t refs;  // The shard's, and the handle's.
};

/* --- Life of the block -------------------------------------------------------------------------- */

struct cmdi_runtime_timers *cmdi_runtime_timers_create(uint32_t fork_count)
{
    struct cmdi_runtime_timers *timers = calloc(1, sizeof(*timers));
    if (timers != NULL) {
        // Cannot fail with default attributes on Linux.
        (void)pthread_mutex_init(&timers->lock, NULL);
        timers->fork_count = fork_count;
        atomic_store(&timers->refs, 1);
    }
    return timers;
}

void cmdi_runtime_timers_free(struct cmdi_runtime_timers *timers)
{
    if (timers != NULL && atomic_fetch_sub(&timers->refs, 1) == 1) {
        (void)pthread_mutex_destroy(&timers->lock);
        free(timers);
    }
}

static void timer_unref(struct cmds_timer *timer)
{
    if (atomic_fetch_sub(&timer->refs, 1) == 1) {
        CMDI_ASSERT(!cmdi_timer_armed(&timer->timer) && cmdi_list_empty(&timer->link));
        free(timer);
    }
}

/* --- On the shard ------------------------------------------------------------------------------- */

/* The shard's part is over. Whoever waits may have gone right after the exchange, but for our reference. */
static void timer_leave(struct cmds_timer *timer, enum timer_state state)
{
    cmdi_shard_timer_off(timer->shard, &timer->timer);
    cmdi_list_remove(&timer->link);
    if (atomic_exchange(&timer->state, state) == TIMER_AWAITED) {
        cmdi_futex_wake(&timer->state, 1);
    }
    timer_unref(timer);
}

static bool timer_moves(struct cmds_timer *timer, uint32_t from, enum timer_state to)
{
    return atomic_compare_exchange_strong(&timer->state, &from, to);
}

static void timer_arm(struct cmds_timer *timer)
{
    cmdi_shard_timer(timer->shard, &timer->timer, cmdi_ns_to_ms_up(timer->at_ns));
}

/* The next time on its grid that is not over: those that a shard which was held up missed are left out. */
static void timer_next(struct cmds_timer *timer)
{
    uint64_t now_ns = timer->shard->now_ns;
    CMDI_ASSERT(now_ns >= timer->at_ns);
    timer->at_ns += ((now_ns - timer->at_ns) / timer->delay_ns + 1) * timer->delay_ns;
    timer_arm(timer);
}

static void timer_on_time(struct cmdi_timer *wheel_timer, uint64_t now_ms)
{
    (void)now_ms;
    struct cmds_timer *timer = CMDI_CONTAINER(wheel_timer, struct cmds_timer, timer);
    if (!timer_moves(timer, TIMER_ARMED, TIMER_RUNNING)) {
        return; // Cancelled, and the mail about it is on its way.
    }
    timer->shard->meter.ran = NULL; // What takes long now is no command.
    timer->fn(timer->context);
    if (timer->repeats && timer_moves(timer, TIMER_RUNNING, TIMER_ARMED)) {
        timer_next(timer);
    } else {
        timer_leave(timer, TIMER_ENDED);
    }
}

/* Returns: 0; CMDS_E_CLOSED. */
static int timer_begin(struct cmds_timer *timer)
{
    struct cmdi_shard *shard = timer->shard;
    CMDI_ASSERT(cmdi_shard_current() == shard || cmdi_shard_current() == NULL);
    if (shard->timers_ended) {
        return CMDS_E_CLOSED;
    }
    if (timer->counts_here) {
        timer->at_ns = shard->now_ns + timer->delay_ns;
    }
    cmdi_list_push(&shard->program_timers, &timer->link);
    timer_arm(timer);
    return 0;
}

static void timer_on_set(struct cmdi_shard *shard, struct cmdi_mail *mail)
{
    struct cmds_timer *timer = CMDI_CONTAINER(mail, struct cmds_timer, mail);
    enum timer_state next = shard->timers_ended ? TIMER_STOPPED : TIMER_ARMED;
    if (!timer_moves(timer, TIMER_POSTED, next) || timer_begin(timer) < 0) {
        timer_unref(timer);
    }
}

static void timer_on_cancelled(struct cmdi_shard *shard, struct cmdi_mail *mail)
{
    (void)shard;
    timer_leave(CMDI_CONTAINER(mail, struct cmds_timer, mail), TIMER_CANCELLED);
}

/* --- Setting one -------------------------------------------------------------------------------- */

static void timer_give(struct cmds_timer *timer, struct cmds_timer **out)
{
    if (out != NULL) {
        atomic_fetch_add(&timer->timers->refs, 1);
        atomic_store_explicit(&timer->refs, 2, memory_order_relaxed);
        *out = timer;
    }
}

static int timer_begin_here(struct cmds_timer *timer, struct cmds_timer **out)
{
    atomic_store_explicit(&timer->state, TIMER_ARMED, memory_order_relaxed);
    int code = timer_begin(timer);
    if (code == 0) {
        timer_give(timer, out);
    }
    return code;
}

/* The handle is there before the function may run. */
static int timer_post(struct cmds_timer *timer, struct cmds_timer **out)
{
    struct cmdi_runtime_timers *timers = timer->timers;
    timer->mail.fn = timer_on_set;
    pthread_mutex_lock(&timers->lock);
    bool is_closed = timers->is_closed;
    if (!is_closed) {
        timer_give(timer, out);
        cmdi_shard_post(timer->shard, &timer->mail);
    }
    pthread_mutex_unlock(&timers->lock);
    return is_closed ? CMDS_E_CLOSED : 0;
}

static int timer_set(struct cmds_runtime *runtime, uint32_t index, const struct cmds_timer *plan,
        struct cmds_timer **out)
{
    if (index >= runtime->shard_count || plan->fn == NULL) {
        return -EINVAL;
    }
    if (cmdi_runtime_is_foreign(runtime)) {
        return CMDS_E_FORKED;
    }
    struct cmds_timer *timer = malloc(sizeof(*timer));
    if (timer == NULL) {
        return -ENOMEM;
    }
    *timer = *plan;
    timer->shard = runtime->shards[index];
    timer->timers = runtime->timers;
    timer->at_ns = cmds_now_ns() + timer->delay_ns;
    timer->counts_here =
            timer->shard->options.drive == CMDI_DRIVE_STEPPED && !cmdi_clock_is_given();
    cmdi_timer_init(&timer->timer, timer_on_time);
    cmdi_list_init(&timer->link);
    bool is_here = cmdi_shard_current() == timer->shard;
    int code = is_here ? timer_begin_here(timer, out) : timer_post(timer, out);
    if (code < 0) {
        free(timer);
    }
    return code;
}

int cmds_runtime_after(struct cmds_runtime *runtime, uint32_t shard, uint32_t delay_ms,
        void (*fn)(void *context), void *context, struct cmds_timer **timer)
{
    const struct cmds_timer plan = {
            .fn = fn, .context = context, .delay_ns = cmdi_ms_to_ns(delay_ms), .refs = 1};
    return delay_ms != CMDS_NEVER ? timer_set(runtime, shard, &plan, timer) : -EINVAL;
}

int cmds_runtime_every(struct cmds_runtime *runtime, uint32_t shard, uint32_t period_ms,
        void (*fn)(void *context), void *context, struct cmds_timer **timer)
{
    const struct cmds_timer plan = {.fn = fn,
            .context = context,
            .delay_ns = cmdi_ms_to_ns(period_ms),
            .repeats = true,
            .refs = 1};
    bool is_period = period_ms > 0 && period_ms != CMDS_NEVER;
    return is_period ? timer_set(runtime, shard, &plan, timer) : -EINVAL;
}

/* --- Cancelling one ----------------------------------------------------------------------------- */

/* Returns: the state before. */
static enum timer_state timer_mark(struct cmds_timer *timer, bool waits)
{
    uint32_t before = atomic_load(&timer->state);
    uint32_t after = TIMER_CANCELLED;
    do {
        CMDI_ASSERT(before != TIMER_CANCELLED && before != TIMER_AWAITED); // A handle ends once.
        after = before == TIMER_RUNNING && waits ? TIMER_AWAITED
                : before >= TIMER_ENDED          ? before
                                                 : TIMER_CANCELLED;
    } while (!atomic_compare_exchange_weak(&timer->state, &before, after));
    return (enum timer_state)before;
}

static enum timer_state timer_cancel_here(struct cmds_timer *timer)
{
    enum timer_state before = timer_mark(timer, false);
    if (before == TIMER_ARMED) {
        timer_leave(timer, TIMER_CANCELLED);
    }
    return before;
}

static enum timer_state timer_cancel_elsewhere(struct cmds_timer *timer, bool waits)
{
    struct cmdi_runtime_timers *timers = timer->timers;
    pthread_mutex_lock(&timers->lock); // The shard cannot go meanwhile.
    enum timer_state before = timer_mark(timer, waits);
    if (before == TIMER_ARMED && !timers->is_closed) {
        timer->is_posted = true;
        timer->mail.fn = timer_on_cancelled;
        cmdi_shard_post(timer->shard, &timer->mail);
    }
    pthread_mutex_unlock(&timers->lock);
    while (before == TIMER_RUNNING && waits && atomic_load(&timer->state) == TIMER_AWAITED) {
        cmdi_futex_wait(&timer->state, TIMER_AWAITED, UINT64_MAX);
    }
    return before;
}

static int timer_cancel(struct cmds_timer *timer, bool waits)
{
    if (timer == NULL) {
        return 0;
    }
    struct cmdi_runtime_timers *timers = timer->timers;
    const struct cmdi_shard *here = cmdi_shard_current();
    if (CMDI_UNLIKELY(timers->fork_count != cmdi_fork_count())) {
        return CMDS_E_FORKED; // The lock may be held by nobody.
    }
    bool is_here = here == timer->shard;
    if (waits && here != NULL && !is_here) {
        return -EDEADLK; // That shard might wait for this one in the same way.
    }
    bool repeats = timer->repeats;
    enum timer_state before =
            is_here ? timer_cancel_here(timer) : timer_cancel_elsewhere(timer, waits);
    timer_unref(timer);
    cmdi_runtime_timers_free(timers);
    if (before == TIMER_RUNNING && !is_here && !waits) {
        return -EINPROGRESS;
    }
    return repeats || (before != TIMER_RUNNING && before != TIMER_ENDED);
}

int cmds_timer_cancel(struct cmds_timer *timer)
{
    return timer_cancel(timer, false);
}

int cmds_timer_cancel_wait(struct cmds_timer *timer)
{
    return timer_cancel(timer, true);
}

/* --- The end ------------------------------------------------------------------------------------ */

static void timers_end_shard(struct cmdi_shard *shard, void *context)
{
    struct cmdi_runtime_timers *timers = context;
    struct cmdi_list *node = NULL;
    pthread_mutex_lock(&timers->lock);
    shard->timers_ended = true;
    while ((node = cmdi_list_pop(&shard->program_timers)) != NULL) {
        struct cmds_timer *timer = CMDI_CONTAINER(node, struct cmds_timer, link);
        cmdi_shard_timer_off(shard, &timer->timer);
        bool is_stopped = timer_moves(timer, TIMER_ARMED, TIMER_STOPPED);
        if (is_stopped || !timer->is_posted) {
            timer_unref(timer);
        } // Else the mail ends it.
    }
    pthread_mutex_unlock(&timers->lock);
}

void cmdi_runtime_timers_end(struct cmds_runtime *runtime)
{
    struct cmdi_runtime_timers *timers = runtime->timers;
    pthread_mutex_lock(&timers->lock);
    CMDI_ASSERT(!timers->is_closed);
    timers->is_closed = true;
    pthread_mutex_unlock(&timers->lock);
    for (uint32_t i = 0; i < runtime->shard_count; i++) {
        cmdi_runtime_call(runtime, i, timers_end_shard, timers);
    }
}

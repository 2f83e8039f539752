/* SPDX-License-Identifier: MIT */
/*
 * Who runs the shards of a runtime: threads of their own, or the caller's thread.
 *
 * Why a shard's end loses no mail. A thread is told to stop by a flag, and woken as by a mail: it
 * looks at the flag behind `sleeping`, as at its mailbox, so it does not sleep through it. It ends
 * between two turns and may leave mail behind; the join makes that mail the caller's, who runs it with
 * no shard current. Whoever posts to a shard has to see to it that this happens before the join is
 * over: services (servers, groups) are stopped before, and wait for their shards.
 */
#include "shard/drive.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/time.h"
#include "ring/clock.h"
#include "ring/cpu.h"
#include "ring/thread.h"

enum {
    DRIVE_QUIET_MS = 1000,           // How often a shard looks for memory to give back.
    DRIVE_QUIET_BYTES = 1024 * 1024, // Less than that in this time is quiet.
    DRIVE_END_TURNS = 64,            // At the end of an inline runtime, until it is quiet.
};

/* --- A thread of its own ---------------------------------------------------------------------- */

struct drive_quiet {
    struct cmdi_timer timer;
    struct cmdi_shard *shard;
    uint64_t buffers_empty, bytes; // As they were at the last look.
};

/* What was not needed for a second is given back, one step at a time: if little went through, all. */
static void drive_quiet(struct cmdi_timer *timer, uint64_t now_ms)
{
    struct drive_quiet *quiet = CMDI_CONTAINER(timer, struct drive_quiet, timer);
    struct cmdi_shard *shard = quiet->shard;
    uint64_t bytes = shard->moved_size;
    bool is_quiet = bytes - quiet->bytes < DRIVE_QUIET_BYTES;
    if (is_quiet) {
        cmdi_buffers_trim(&shard->buffers);
        cmdi_pool_trim(&shard->error_texts);
        cmdi_pool_trim(&shard->conn_mores);
        cmdi_account_trim(&shard->buffers.account);
        if (shard->trim_due && shard->seat_count == 0) {
            shard->trim_due = false;
            shard->trim();
        }
    }
    cmdi_receive_relax(
            &shard->receive, is_quiet, quiet->buffers_empty != shard->counters.buffers_empty);
    quiet->bytes = bytes;
    quiet->buffers_empty = shard->counters.buffers_empty;
    cmdi_shard_timer(shard, timer, now_ms + DRIVE_QUIET_MS);
}

/* The first enter tells whether the kernel lets this thread. The start of the runtime waits for it. */
static int drive_begin(struct cmdi_shard *shard)
{
    int code = cmdi_ring_enable(shard->ring);
    code = code == 0 ? cmdi_ring_enter(shard->ring, CMDI_RING_WAIT_NONE) : code;
    shard->enabled = code == 0;
    shard->start_code = code;
    atomic_store(&shard->started, 1);
    cmdi_futex_wake(&shard->started, 1);
    return code;
}

/*
 * Enter fails only when the ring is unusable: without it every connection here hangs for ever.
 * Better to say so and stop.
 */
static void drive_lost_ring(struct cmdi_shard *shard, int code)
{
    shard->log_second[CMDS_REASON_OTHER] = 0; // Whatever was logged in this second.
    cmdi_shard_log(shard, CMDS_REASON_OTHER, CMDS_LOG_ERROR,
            "shard %u: io_uring_enter: %s; its connections cannot go on, the process ends",
            shard->index, strerror(-code));
    cmdi_die("shard %u: io_uring_enter: %s; its connections cannot go on", shard->index,
            strerror(-code));
}

static void *drive_main(void *argument)
{
    struct cmdi_shard *shard = argument;
    struct drive_quiet quiet = {.shard = shard};
    (void)cmdi_shard_set_current(shard);
    if (shard->options.cpu >= 0 && cmdi_cpu_pin((uint16_t)shard->options.cpu) < 0) {
        cmdi_shard_log(shard, CMDS_REASON_OTHER, CMDS_LOG_WARN,
                "shard %u: cannot be pinned to CPU %d", shard->index, shard->options.cpu);
    }
    int code = drive_begin(shard);
    if (code < 0) {
        cmdi_ring_drain(shard->ring);
        (void)cmdi_shard_set_current(NULL);
        return NULL;
    }
    cmdi_timer_init(&quiet.timer, drive_quiet);
    cmdi_shard_timer(shard, &quiet.timer, shard->now_ms + DRIVE_QUIET_MS);
    while (code >= 0 && atomic_load(&shard->stopping) == 0) {
        code = cmdi_shard_turn(shard, CMDI_RING_WAIT_FOREVER);
    }
    if (code < 0) {
        drive_lost_ring(shard, code);
    }
    cmdi_shard_timer_off(shard, &quiet.timer);
    // By its owner. Others may still wake it: it is freed after the join.
    cmdi_ring_drain(shard->ring);
    (void)cmdi_shard_set_current(NULL);
    return NULL;
}

int cmdi_drive_start_thread(struct cmdi_shard *shard)
{
    char name[16];
    (void)snprintf(name, sizeof(name), "cmds-shard-%u", shard->index % 10000);
    return cmdi_thread_start(&shard->thread, drive_main, shard, name, shard->options.stack_size);
}

/*
 * Waits until a started thread works. Returns: 0; -errno: why its ring cannot be used: the thread
 * has ended, and is to be joined.
 */
static int drive_wait_start(struct cmdi_shard *shard)
{
    while (atomic_load(&shard->started) == 0) {
        cmdi_futex_wait(&shard->started, 0, UINT64_MAX);
    }
    return shard->start_code;
}

void cmdi_drive_join(struct cmdi_shard *shard)
{
    atomic_store(&shard->stopping, 1);
    if (atomic_exchange(&shard->sleeping, 0) != 0) {
        cmdi_ring_wake(shard->ring);
    }
    cmdi_thread_join(shard->thread);
    cmdi_shard_take_last_mail(shard);
}

/* All of them, or none. */
static int drive_start_threads(struct cmds_runtime *runtime, struct cmds_error *error)
{
    uint32_t started = 0;
    int code = 0;
    while (started < runtime->shard_count && code == 0) {
        code = cmdi_drive_start_thread(runtime->shards[started]);
        started += code == 0;
    }
    if (code < 0) {
        (void)cmdi_fail(error, code,
                "shard %u: its thread could not be started: %s; the limit is of processes (ulimit "
                "-u, TasksMax=, pids.max) or memory",
                started, strerror(-code));
    }
    for (uint32_t i = 0; i < started; i++) {
        int one = drive_wait_start(runtime->shards[i]);
        if (one < 0 && code == 0) {
            code = cmdi_fail(error, one, "shard %u: io_uring cannot be used on its thread: %s", i,
                    strerror(-one));
        }
    }
    for (uint32_t i = 0; i < started && code < 0; i++) {
        cmdi_drive_join(runtime->shards[i]);
    }
    return code;
}

/* --- The caller's thread ---------------------------------------------------------------------- */

/* The caller is inside a turn of it, or is one of its shards. */
static bool drive_is_inside(const struct cmds_runtime *runtime)
{
    const struct cmdi_shard *current = cmdi_shard_current();
    bool inside = current != NULL && current->options.runtime == runtime;
    for (uint32_t i = 0; i < runtime->shard_count; i++) {
        inside = inside || runtime->shards[i]->in_turn;
    }
    return inside;
}

/* Is the caller the one thread that may turn? The first to ask is. */
static int drive_claim(struct cmds_runtime *runtime)
{
    if (cmdi_runtime_is_foreign(runtime)) {
        return CMDS_E_FORKED;
    }
    if (atomic_load(&runtime->turner_known) == 0) {
        pthread_mutex_lock(&runtime->lock);
        if (atomic_load(&runtime->turner_known) == 0) {
            runtime->turner = cmdi_thread_self();
            atomic_store(&runtime->turner_known, 1);
        }
        pthread_mutex_unlock(&runtime->lock);
    }
    if (runtime->turner != cmdi_thread_self()) {
        return -EXDEV;
    }
    return drive_is_inside(runtime) ? -EDEADLK : 0;
}

bool cmdi_runtime_is_turner(const struct cmds_runtime *runtime)
{
    // If the thread that turns has forked, the child's thread has its address.
    return atomic_load(&runtime->turner_known) != 0 && runtime->turner == cmdi_thread_self() &&
           !cmdi_runtime_is_parents(runtime);
}

/*
 * The fd of the runtime is to be silent until something happens from now on. Returns:
 * nothing has already.
 */
static bool drive_settle(struct cmdi_shard *shard)
{
    uint64_t next_ms = cmdi_timer_wheel_next(&shard->timers);
    if (next_ms != CMDI_TIMER_NONE) {
        cmdi_ring_alarm(shard->ring, cmdi_ms_to_ns(next_ms));
        // A failure comes again in the next turn.
        (void)cmdi_ring_enter(shard->ring, CMDI_RING_WAIT_NONE);
    }
    cmdi_ring_fd_quiet(shard->ring);
    atomic_store(&shard->sleeping, 1); // Whoever posts from now on wakes the fd.
    return atomic_load(&shard->mailbox) == NULL && !cmdi_shard_has_work(shard);
}

static int drive_turn(struct cmds_runtime *runtime, uint64_t wait_ns)
{
    CMDI_ASSERT(runtime->drive == CMDI_DRIVE_INLINE);
    struct cmdi_shard *shard = runtime->shards[0];
    int code = 0;
    if (!shard->enabled) {
        code = cmdi_ring_enable(shard->ring);
        if (code < 0) {
            return code;
        }
        shard->enabled = true;
    }
    struct cmdi_shard *before = cmdi_shard_set_current(shard);
    atomic_store_explicit(&shard->sleeping, 0, memory_order_relaxed);
    code = cmdi_shard_turn(shard, wait_ns);
    if (code == 0 && wait_ns == CMDI_RING_WAIT_NONE && !drive_settle(shard)) {
        code = cmdi_shard_turn(shard, CMDI_RING_WAIT_NONE);
        code = code == 0 ? 1 : code; // Something had come: the caller looks again before it sleeps.
    }
    (void)cmdi_shard_set_current(before);
    return code;
}

int cmds_runtime_turn(struct cmds_runtime *runtime, uint32_t wait_us)
{
    if (runtime->drive != CMDI_DRIVE_INLINE) {
        return -EINVAL;
    }
    int code = drive_claim(runtime);
    if (code < 0) {
        return code;
    }
    if (wait_us == CMDS_TURN_NOWAIT) {
        return drive_turn(runtime, CMDI_RING_WAIT_NONE);
    }
    code = drive_turn(runtime,
            wait_us == CMDS_NEVER ? CMDI_RING_WAIT_FOREVER : (uint64_t)wait_us * CMDI_NS_PER_US);
    if (code != 0) {
        return code;
    }
    return drive_turn(runtime, CMDI_RING_WAIT_NONE); // Runs what ended the wait.
}

int cmds_runtime_fd(const struct cmds_runtime *runtime)
{
    if (runtime->drive == CMDI_DRIVE_STEPPED) {
        return -ENOTSUP;
    }
    return runtime->drive == CMDI_DRIVE_INLINE ? cmdi_ring_fd(runtime->shards[0]->ring) : -EINVAL;
}

/* --- Whoever runs them ------------------------------------------------------------------------ */

int cmdi_drive_start(struct cmds_runtime *runtime, struct cmds_error *error)
{
    CMDI_ASSERT(runtime->drive != CMDI_DRIVE_INLINE || runtime->shard_count == 1);
    // The ring of an inline one is enabled by its first turn, whose thread is the one that turns it.
    return runtime->drive == CMDI_DRIVE_THREAD ? drive_start_threads(runtime, error) : 0;
}

/*
 * The thread that stops an inline runtime finishes what still lies in its ring and its mailbox. If
 * another thread has turned it, the kernel takes nothing from this one.
 */
static void drive_end_inline(struct cmds_runtime *runtime)
{
    struct cmdi_shard *shard = runtime->shards[0];
    if (drive_claim(runtime) == -EXDEV) {
        cmdi_ring_give_up(shard->ring);
    }
    for (uint32_t i = 0; i < DRIVE_END_TURNS && drive_turn(runtime, CMDI_RING_WAIT_NONE) > 0; i++) {
        // Until it is quiet.
    }
    struct cmdi_shard *before = cmdi_shard_set_current(shard);
    cmdi_shard_take_last_mail(shard);
    (void)cmdi_shard_set_current(before);
}

void cmdi_drive_stop(struct cmds_runtime *runtime)
{
    if (runtime->drive == CMDI_DRIVE_INLINE) {
        drive_end_inline(runtime);
        return;
    }
    for (uint32_t i = 0; i < runtime->shard_count; i++) {
        cmdi_drive_join(runtime->shards[i]);
    }
}

int cmdi_runtime_may_block(struct cmds_runtime *runtime)
{
    if (cmdi_runtime_is_foreign(runtime)) {
        return CMDS_E_FORKED;
    }
    if (cmdi_shard_current() != NULL) {
        return -EDEADLK;
    }
    if (runtime->drive == CMDI_DRIVE_STEPPED) {
        return -EINVAL; // Of a cmds_test: nothing that one could wait for happens meanwhile.
    }
    return runtime->drive == CMDI_DRIVE_THREAD ? 0 : drive_claim(runtime);
}

int cmdi_runtime_wait(
        struct cmds_runtime *runtime, _Atomic uint32_t *word, uint32_t seen, uint32_t timeout_ms)
{
    int code = cmdi_runtime_may_block(runtime);
    if (code < 0 || atomic_load(word) != seen) {
        return code;
    }
    uint64_t now_ns = cmdi_now_ns();
    uint64_t until_ns = timeout_ms == CMDS_NEVER ? UINT64_MAX : now_ns + cmdi_ms_to_ns(timeout_ms);
    while (code >= 0 && atomic_load(word) == seen) {
        now_ns = cmdi_now_ns();
        uint64_t left_ns = until_ns == UINT64_MAX ? UINT64_MAX
                           : until_ns > now_ns    ? until_ns - now_ns
                                                  : 0;
        if (left_ns == 0) {
            return CMDS_E_TIMEOUT;
        }
        if (runtime->drive == CMDI_DRIVE_INLINE) {
            code = drive_turn(runtime, left_ns);
        } else {
            cmdi_futex_wait(word, seen, left_ns);
        }
    }
    return code < 0 ? code : 0;
}

void cmdi_runtime_call(struct cmds_runtime *runtime, uint32_t index,
        void (*fn)(struct cmdi_shard *shard, void *context), void *context)
{
    struct cmdi_shard *shard = runtime->shards[index];
    if (runtime->drive == CMDI_DRIVE_THREAD) {
        cmdi_shard_call(shard, fn, context);
        return;
    }
    struct cmdi_shard *before = cmdi_shard_set_current(shard);
    fn(shard, context);
    (void)cmdi_shard_set_current(before);
    if (atomic_exchange(&shard->sleeping, 0) != 0) {
        cmdi_ring_wake(shard->ring); // What it left for the next turn, the fd has to ask for.
    }
}

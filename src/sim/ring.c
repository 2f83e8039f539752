/* SPDX-License-Identifier: MIT */
/*
 * The simulated ring, see ring/ring.h: its life, what its owner queues and takes, and its waits. What
 * the kernel does with it is in ring_work.c.
 *
 * It takes the steps of the real one, in the same places: an operation is queued, an enter takes what is
 * queued, does some of the work, and waits. Others run at the begin of each enter and of each wake.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/time.h"
#include "sim/process.h"
#include "sim/ring_kernel.h"

enum {
    RING_OWN_WAKE = 0, // User data of the ring's own operations.
    RING_OWN_ALARM = 1,
    RING_OWN_DRAIN = 2,
    RING_OWN_ALARM_MOVE = 3,
    RING_ENTRIES_MAX = 32768,
    RING_ENTRIES_FLOOR = 32,
    RING_DRAIN_ENTERS = 2000,     // Of 1 ms: how long a drain waits for operations that do not end.
    RING_SMALLER_ONE_IN = 8,      // Of so many rings, one has queues of half the size.
    RING_REFUSES_ONE_IN = 300,    // Of so many enters, one takes nothing.
    RING_INTERRUPTED_ONE_IN = 50, // Of so many waits, one.
    RING_INTERRUPTED_NS = 1000 * 1000,
    RING_SLACK_NS = 60 * 1000, // So much later than it should a wait ends, at most.
    RING_HARVEST_PART = 8,     // Of so many harvests, one takes less than there is.
    RING_LOOKS = 8,            // In vain, in a row: whoever looks on spins.
    RING_SPIN_NS = 20 * 1000,  // So much of a spin passes at once, at most.
};

static void ring_assert_owner(const struct cmdi_ring_kernel *kernel)
{
    CMDI_ASSERT(!kernel->enabled || kernel->owner == cmdi_sim_thread());
}

uint32_t cmdi_ring_entries(const struct cmdi_ring *ring)
{
    return ring->kernel->entries;
}

uint32_t cmdi_ring_features(const struct cmdi_ring *ring)
{
    return ring->kernel->features;
}

uint32_t cmdi_ring_in_flight(const struct cmdi_ring *ring)
{
    return ring->kernel->in_flight;
}

/* --- Life ------------------------------------------------------------------------------------- */

static void ring_nothing_released(struct cmdi_file *file)
{
    cmdi_sim_free(file);
}

static void ring_alarm_due(struct cmdi_event *event)
{
    struct cmdi_ring_kernel *kernel = CMDI_CONTAINER(event, struct cmdi_ring_kernel, alarm_event);
    CMDI_ASSERT(kernel->alarm != NULL);
    if (kernel->alarm->state == CMDI_RING_OP_ARMED) {
        cmdi_ring_op_ready(kernel->alarm);
    }
}

static void kernel_free(struct cmdi_ring_kernel *kernel)
{
    cmdi_ring_ops_fini(kernel);
    cmdi_event_off(&kernel->alarm_event);
    cmdi_ring_buffers_fini(&kernel->buffers);
    cmdi_file_unref(kernel->nothing);
    cmdi_sim_free(kernel->queue);
    cmdi_sim_free(kernel->completions);
    cmdi_sim_free(kernel);
}

/* Its process was killed, or has left it behind. Its descriptors are closed with all the others. */
static void kernel_die(struct cmdi_sim_part *part)
{
    kernel_free(CMDI_CONTAINER(part, struct cmdi_ring_kernel, part));
}

static uint32_t round_up(uint32_t count)
{
    uint32_t power = 1;
    while (power < count && power < RING_ENTRIES_MAX) {
        power *= 2;
    }
    return power;
}

static void kernel_draw(struct cmdi_ring_kernel *kernel)
{
    static const uint32_t rates[] = {0, 0, 4, 32};
    kernel->shuffles = cmdi_sim_below(CMDI_CHANCE_KERNEL, 2) != 0;
    kernel->late_one_in = rates[cmdi_sim_below(CMDI_CHANCE_KERNEL, 4)];
    kernel->partly_one_in = rates[cmdi_sim_below(CMDI_CHANCE_KERNEL, 4)];
    kernel->features = 1u << CMDI_RING_FEATURE_REGISTERED_FD;
    if (cmdi_sim_below(CMDI_CHANCE_KERNEL, 2) != 0) {
        kernel->features |= 1u << CMDI_RING_FEATURE_ACCEPT_POLL_FIRST;
    }
}

static struct cmdi_ring_kernel *kernel_new(const struct cmdi_ring_options *options)
{
    struct cmdi_ring_kernel *kernel = cmdi_sim_alloc(sizeof(*kernel));
    kernel->entries = round_up(options->entries);
    kernel->visible_max = round_up(options->completion_entries);
    if (kernel->entries > RING_ENTRIES_FLOOR && kernel->visible_max > kernel->entries &&
            cmdi_sim_befalls(CMDS_SIM_KERNEL, CMDI_CHANCE_KERNEL, RING_SMALLER_ONE_IN)) {
        kernel->entries /= 2;
        kernel->visible_max /= 2;
    }
    kernel->queue = cmdi_sim_alloc(kernel->entries * sizeof(struct cmdi_ring_op *));
    kernel->fds[0] = kernel->fds[1] = -1;
    kernel->nothing = cmdi_sim_alloc(sizeof(*kernel->nothing));
    *kernel->nothing = (struct cmdi_file){.refs = 1, .released = ring_nothing_released};
    kernel->part.die = kernel_die;
    kernel->nowhere.kernel = kernel;
    cmdi_list_init(&kernel->free_ops);
    for (uint32_t i = 0; i < CMDI_RING_BUCKETS; i++) {
        cmdi_list_init(&kernel->buckets[i]);
    }
    cmdi_sim_queue_init(&kernel->waiters);
    cmdi_event_init(&kernel->alarm_event, ring_alarm_due);
    kernel_draw(kernel);
    cmdi_ring_buffers_init(&kernel->buffers, options);
    cmdi_sim_part_add(&kernel->part);
    return kernel;
}

int cmdi_ring_create(
        struct cmdi_ring **out, const struct cmdi_ring_options *options, struct cmds_error *error)
{
    CMDI_ASSERT(options->entries > 0 && options->buffer_size > 0);
    CMDI_ASSERT(options->buffer_count > 0 && options->buffer_count <= options->buffer_count_max);
    CMDI_ASSERT(options->buffer_count_max <= CMDI_RING_BUFFERS_MAX);
    CMDI_ASSERT((options->buffer_count_max & (options->buffer_count_max - 1)) == 0);
    // The program's memory: a ring that is left is counted.
    struct cmdi_ring *ring = calloc(1, sizeof(*ring));
    if (ring == NULL) {
        return cmdi_fail(error, -ENOMEM, "no memory for a ring");
    }
    struct cmdi_ring_kernel *kernel = kernel_new(options);
    ring->kernel = kernel;
    for (uint32_t i = 0; i < 2; i++) {
        cmdi_file_ref(kernel->nothing);
        kernel->fds[i] = cmdi_fd_add(kernel->nothing);
        if (kernel->fds[i] < 0) {
            int code = kernel->fds[i];
            cmdi_file_unref(kernel->nothing);
            cmdi_ring_destroy(ring);
            return cmdi_fail(error, code, "a ring: %s", strerror(-code));
        }
    }
    *out = ring;
    return 0;
}

static struct cmdi_ring_op *ring_op(
        struct cmdi_ring *ring, enum cmdi_ring_kind kind, uint64_t user_data);

static void ring_arm_wake(struct cmdi_ring *ring)
{
    ring->kernel->wake_due = false;
    (void)ring_op(ring, CMDI_RING_READ_WAKE, RING_OWN_WAKE);
}

int cmdi_ring_enable(struct cmdi_ring *ring)
{
    struct cmdi_ring_kernel *kernel = ring->kernel;
    if (!kernel->enabled) {
        CMDI_ASSERT(cmdi_sim_thread() != NULL);
        kernel->enabled = true;
        kernel->owner = cmdi_sim_thread();
        ring_arm_wake(ring);
    }
    return 0;
}

void cmdi_ring_give_up(struct cmdi_ring *ring)
{
    struct cmdi_ring_kernel *kernel = ring->kernel;
    CMDI_ASSERT(!kernel->draining);
    kernel->owner = cmdi_sim_thread();
    kernel->broken = kernel->broken < 0 ? kernel->broken : -EXDEV;
}

void cmdi_ring_drain(struct cmdi_ring *ring)
{
    struct cmdi_ring_kernel *kernel = ring->kernel;
    struct cmdi_completion completions[64];
    if (!kernel->enabled || kernel->draining) {
        return;
    }
    kernel->draining = true;
    (void)ring_op(ring, CMDI_RING_CANCEL_ALL, RING_OWN_DRAIN);
    for (uint32_t i = 0; i < RING_DRAIN_ENTERS && kernel->in_flight > 0; i++) {
        if (cmdi_ring_enter(ring, CMDI_NS_PER_MS) < 0) {
            return;
        }
        while (cmdi_ring_harvest(ring, completions, 64) > 0) {
            // Only the count matters now.
        }
    }
    CMDI_ASSERT(kernel->in_flight == 0);
}

void cmdi_ring_destroy(struct cmdi_ring *ring)
{
    if (ring == NULL) {
        return;
    }
    cmdi_ring_drain(ring);
    for (uint32_t i = 0; i < 2; i++) {
        if (ring->kernel->fds[i] >= 0) {
            cmdi_file_unref(cmdi_fd_take(ring->kernel->fds[i]));
        }
    }
    cmdi_sim_part_remove(&ring->kernel->part);
    kernel_free(ring->kernel);
    free(ring);
}

int cmdi_ring_fd(const struct cmdi_ring *ring)
{
    (void)ring;
    return -1; // There is no poll to wait on it with.
}

void cmdi_ring_fd_quiet(struct cmdi_ring *ring)
{
    (void)ring;
}

void cmdi_ring_wake(struct cmdi_ring *ring)
{
    cmdi_sim_yield(); // Before anything is touched: by now the ring may be gone, if nobody saw to it.
    struct cmdi_ring_kernel *kernel = ring->kernel;
    kernel->signalled = true;
    if (kernel->wake != NULL && kernel->wake->state == CMDI_RING_OP_ARMED) {
        cmdi_ring_op_ready(kernel->wake);
    }
}

/* --- Submission ------------------------------------------------------------------------------- */

static void kernel_submit(struct cmdi_ring_kernel *kernel)
{
    for (uint32_t i = 0; i < kernel->queued; i++) {
        cmdi_ring_op_issue(kernel->queue[i]);
    }
    kernel->queued = 0;
}

/* What one system call does, but for a wait. */
static void kernel_enter(struct cmdi_ring_kernel *kernel)
{
    cmdi_ring_buffers_publish(&kernel->buffers);
    kernel_submit(kernel);
    cmdi_ring_work(kernel);
    kernel->visible = kernel->count < kernel->visible_max ? kernel->count : kernel->visible_max;
}

static struct cmdi_ring_op *ring_op(
        struct cmdi_ring *ring, enum cmdi_ring_kind kind, uint64_t user_data)
{
    struct cmdi_ring_kernel *kernel = ring->kernel;
    ring_assert_owner(kernel);
    if (kernel->queued == kernel->entries && kernel->broken == 0) { // The kernel has to take some.
        (void)cmdi_ring_enable(ring); // Inline, before the first turn: who fills it owns it.
        cmdi_sim_yield();
        kernel_enter(kernel);
    }
    kernel->in_flight++;
    struct cmdi_ring_op *op = &kernel->nowhere;
    if (kernel->queued < kernel->entries) {
        op = cmdi_ring_op_new(kernel);
        kernel->queue[kernel->queued++] = op;
    }
    op->kind = (uint8_t)kind;
    op->user_data = user_data;
    return op;
}

/* On a descriptor, and not the ring's own. */
static struct cmdi_ring_op *ring_op_on(
        struct cmdi_ring *ring, enum cmdi_ring_kind kind, int fd, uint64_t user_data)
{
    CMDI_ASSERT(user_data > CMDI_RING_OWN_MAX);
    struct cmdi_ring_op *op = ring_op(ring, kind, user_data);
    op->fd = fd;
    return op;
}

void cmdi_ring_accept(struct cmdi_ring *ring, int fd, bool once, uint64_t user_data)
{
    ring_op_on(ring, CMDI_RING_ACCEPT, fd, user_data)->once = once;
}

void cmdi_ring_connect(
        struct cmdi_ring *ring, int fd, const struct cmdi_address *address, uint64_t user_data)
{
    ring_op_on(ring, CMDI_RING_CONNECT, fd, user_data)->address = address;
}

void cmdi_ring_recv(struct cmdi_ring *ring, int fd, bool poll_first, uint64_t user_data)
{
    ring_op_on(ring, CMDI_RING_RECV, fd, user_data)->quiet = poll_first;
}

void cmdi_ring_recv_once(struct cmdi_ring *ring, int fd, uint64_t user_data)
{
    ring_op_on(ring, CMDI_RING_RECV, fd, user_data)->once = true;
}

void cmdi_ring_send(
        struct cmdi_ring *ring, int fd, const void *data, size_t size, uint64_t user_data)
{
    struct cmdi_ring_op *op = ring_op_on(ring, CMDI_RING_SEND, fd, user_data);
    op->data = data;
    op->size = size;
}

void cmdi_ring_watch(struct cmdi_ring *ring, int fd, bool finish, uint64_t user_data)
{
    ring_op_on(ring, CMDI_RING_WATCH, fd, user_data)->once = finish;
}

void cmdi_ring_cancel(struct cmdi_ring *ring, uint64_t target, uint64_t user_data)
{
    ring_op_on(ring, CMDI_RING_CANCEL, -1, user_data)->target = target;
}

void cmdi_ring_alarm(struct cmdi_ring *ring, uint64_t at_ns)
{
    struct cmdi_ring_kernel *kernel = ring->kernel;
    if (kernel->alarm_armed && kernel->alarm_at_ns <= at_ns) {
        return; // It fires early, and whoever looks then sets the next.
    }
    bool moves = kernel->alarm_armed;
    kernel->alarm_armed = true;
    kernel->alarm_at_ns = at_ns;
    struct cmdi_ring_op *op = ring_op(ring, moves ? CMDI_RING_ALARM_MOVE : CMDI_RING_ALARM,
            moves ? RING_OWN_ALARM_MOVE : RING_OWN_ALARM);
    op->target = at_ns;
}

/* --- Enter ------------------------------------------------------------------------------------ */

/* It does not look at the queue itself, but for what the real one sees without a system call. */
static bool kernel_has_work(const struct cmdi_ring_kernel *kernel)
{
    return kernel->work_count > 0 || kernel->count > kernel->visible;
}

/*
 * Whoever looks again and again spins, and nothing else passes the time then: so that an hour of it costs
 * little, it waits for a moment. A wake of the mailbox alone does not end that: it has to be looked for.
 */
static void kernel_spin(struct cmdi_ring_kernel *kernel)
{
    if (kernel->owner == cmdi_sim_thread() && ++kernel->looks >= RING_LOOKS) {
        uint64_t ns = 1 + cmdi_sim_below(CMDI_CHANCE_KERNEL, RING_SPIN_NS);
        (void)cmdi_sim_wait(&kernel->waiters, cmdi_sim_now() + ns, "work, and spins");
        kernel->looks = 1;
    }
}

bool cmdi_ring_has_work(const struct cmdi_ring *ring)
{
    struct cmdi_ring_kernel *kernel = ring->kernel;
    bool has = kernel->visible > 0 || kernel_has_work(kernel) || kernel->wake_due;
    if (!has && kernel->enabled) {
        kernel_spin(kernel);
    }
    return has;
}

static uint64_t enter_until(uint64_t wait_ns)
{
    uint64_t now_ns = cmdi_sim_now();
    uint64_t until_ns = CMDI_SIM_NEVER;
    if (wait_ns < CMDI_SIM_NEVER - now_ns - RING_SLACK_NS) {
        until_ns = now_ns + wait_ns + cmdi_sim_below(CMDI_CHANCE_KERNEL, RING_SLACK_NS);
    }
    if (cmdi_sim_befalls(CMDS_SIM_KERNEL, CMDI_CHANCE_KERNEL, RING_INTERRUPTED_ONE_IN)) {
        uint64_t end_ns = now_ns + cmdi_sim_below(CMDI_CHANCE_KERNEL, RING_INTERRUPTED_NS);
        until_ns = end_ns < until_ns ? end_ns : until_ns;
    }
    return until_ns;
}

/* Until there is a completion. Work that completes nothing does not end it. */
static void kernel_wait(struct cmdi_ring_kernel *kernel, uint64_t wait_ns)
{
    uint64_t until_ns = enter_until(wait_ns);
    while (kernel->visible == 0 && cmdi_sim_now() < until_ns) {
        if (kernel->work_count == 0) {
            (void)cmdi_sim_wait(&kernel->waiters, until_ns, "completions");
        }
        kernel_enter(kernel);
    }
}

int cmdi_ring_enter(struct cmdi_ring *ring, uint64_t wait_ns)
{
    struct cmdi_ring_kernel *kernel = ring->kernel;
    ring_assert_owner(kernel);
    kernel->looks = 0;
    if (kernel->visible > 0 || kernel->wake_due) {
        wait_ns = CMDI_RING_WAIT_NONE;
    }
    if (wait_ns == CMDI_RING_WAIT_NONE && !kernel_has_work(kernel) && kernel->queued == 0) {
        cmdi_ring_buffers_publish(&kernel->buffers);
        return 0;
    }
    if (kernel->broken < 0) {
        return kernel->broken;
    }
    cmdi_sim_yield();
    if (cmdi_sim_befalls(CMDS_SIM_KERNEL, CMDI_CHANCE_KERNEL, RING_REFUSES_ONE_IN)) {
        return 0; // -EAGAIN: no memory for what is queued.
    }
    kernel_enter(kernel);
    if (wait_ns != CMDI_RING_WAIT_NONE) {
        kernel_wait(kernel, wait_ns);
    }
    return 0;
}

/* --- Completions ------------------------------------------------------------------------------ */

void cmdi_ring_post(struct cmdi_ring_kernel *kernel, const struct cmdi_completion *completion)
{
    if (kernel->count == kernel->capacity) {
        uint32_t capacity = kernel->capacity > 0 ? kernel->capacity * 2 : 64;
        struct cmdi_completion *grown = cmdi_sim_alloc(capacity * sizeof(*grown));
        for (uint32_t i = 0; i < kernel->count; i++) {
            grown[i] = kernel->completions[(kernel->begin + i) & (kernel->capacity - 1)];
        }
        cmdi_sim_free(kernel->completions);
        kernel->completions = grown;
        kernel->capacity = capacity;
        kernel->begin = 0;
    }
    uint32_t place = (kernel->begin + kernel->count) & (kernel->capacity - 1);
    kernel->completions[place] = *completion;
    kernel->visible += kernel->visible == kernel->count && kernel->count < kernel->visible_max;
    kernel->count++;
}

static void harvest_own(struct cmdi_ring_kernel *kernel, const struct cmdi_completion *completion)
{
    kernel->wake_due =
            kernel->wake_due || (completion->user_data == RING_OWN_WAKE && completion->result > 0);
    kernel->alarm_armed = kernel->alarm_armed && completion->user_data != RING_OWN_ALARM;
}

static uint32_t harvest_some(
        struct cmdi_ring_kernel *kernel, struct cmdi_completion *completions, uint32_t max)
{
    uint32_t count = 0;
    while (kernel->visible > 0 && count < max) {
        struct cmdi_completion completion = kernel->completions[kernel->begin];
        kernel->begin = (kernel->begin + 1) & (kernel->capacity - 1);
        kernel->visible--;
        kernel->count--;
        if ((completion.flags & CMDI_COMPLETION_MORE) == 0) {
            CMDI_ASSERT(kernel->in_flight > 0);
            kernel->in_flight--;
        }
        if (completion.user_data <= CMDI_RING_OWN_MAX) {
            harvest_own(kernel, &completion);
            continue;
        }
        if ((completion.flags & CMDI_COMPLETION_BUFFER) != 0) {
            cmdi_ring_buffer_hold(&kernel->buffers, completion.buffer);
        }
        completions[count++] = completion;
    }
    return count;
}

uint32_t cmdi_ring_harvest(
        struct cmdi_ring *ring, struct cmdi_completion *completions, uint32_t max)
{
    struct cmdi_ring_kernel *kernel = ring->kernel;
    ring_assert_owner(kernel);
    if (kernel->visible > 1 && max > 1 && kernel->partly_one_in > 0 &&
            cmdi_sim_below(CMDI_CHANCE_KERNEL, RING_HARVEST_PART) == 0) {
        max = 1 + (uint32_t)cmdi_sim_below(CMDI_CHANCE_KERNEL, max);
    }
    uint32_t count = harvest_some(kernel, completions, max);
    if (kernel->wake_due && !kernel->draining) {
        ring_arm_wake(ring);
    }
    return count;
}

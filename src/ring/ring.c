/* SPDX-License-Identifier: MIT */
/*
 * io_uring behind the face of ring.h.
 *
 * DEFER_TASKRUN: the kernel completes our operations only inside our own enter, so nothing
 * interrupts the turn. TASKRUN_FLAG tells without a system call whether there is something to
 * complete, so a spinning shard makes none. The completion queue is much larger than the submission
 * queue, as a multishot operation completes many times.
 *
 * One thread. Only the eventfd `wake_fd` is written by others.
 */
#include "ring/ring.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/error.h"
#include "base/time.h"
#include "ring/clock.h"
#include "ring/inside.h"

enum {
    RING_OWN_WAKE = 0, // User data of the ring's own operations.
    RING_OWN_ALARM = 1,
    RING_OWN_DRAIN = 2,
    RING_OWN_ALARM_MOVE = 3,
    RING_REENTERS_MAX = 16,    // 6.14 and later do about 20 items of work per enter.
    RING_DRAIN_ENTERS = 2000,  // Of 1 ms: how long destroy waits for operations that do not end.
    RING_SIDE_CAPACITY = 1024, // Of `side` from the start: memory may be what is missing then.
    RING_FULL_TRIES_AT_ONCE = 16,
    RING_FULL_TRIES = 5000, // Of 1 ms, after those.
};

static _Thread_local char ring_thread; // Its address is the thread's.

/* Before it is enabled a ring belongs to nobody: who calls is who made it. */
static void ring_assert_owner(const struct cmdi_ring *ring)
{
    CMDI_ASSERT(!ring->enabled || ring->owner == &ring_thread);
}

uint32_t cmdi_ring_entries(const struct cmdi_ring *ring)
{
    return ring->uring.sq.ring_entries;
}

uint32_t cmdi_ring_features(const struct cmdi_ring *ring)
{
    return ring->features;
}

/* --- Life ------------------------------------------------------------------------------------- */

int cmdi_ring_create(
        struct cmdi_ring **out, const struct cmdi_ring_options *options, struct cmds_error *error)
{
    CMDI_ASSERT(options->entries > 0 && options->buffer_size > 0);
    CMDI_ASSERT(options->buffer_count > 0 && options->buffer_count <= options->buffer_count_max);
    CMDI_ASSERT(options->buffer_count_max <= CMDI_RING_BUFFERS_MAX);
    CMDI_ASSERT((options->buffer_count_max & (options->buffer_count_max - 1)) == 0);
    struct cmdi_ring *ring = calloc(1, sizeof(*ring));
    if (ring == NULL) {
        return cmdi_fail(error, -ENOMEM, "no memory for a ring");
    }
    ring->wake_fd = -1;
    ring->event_fd = -1;
    struct cmdi_ring_patience patience = {0};
    ring->side_capacity = RING_SIDE_CAPACITY;
    ring->side = malloc(ring->side_capacity * sizeof(*ring->side));
    int code = ring->side != NULL ? 0 : cmdi_fail(error, -ENOMEM, "no memory for a ring");
    if (code == 0) {
        code = cmdi_ring_setup(ring, options, &patience, error);
    }
    if (code == 0) {
        code = cmdi_ring_buffers_init(ring, options, &patience, error);
    }
    if (code == 0) {
        ring->wake_fd = eventfd(0, EFD_CLOEXEC);
        code = ring->wake_fd < 0 ? cmdi_fail(error, -errno, "eventfd: %s", strerror(errno)) : 0;
    }
    if (code == 0 && options->external_wait) {
        ring->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        code = ring->event_fd < 0 ? -errno
                                  : io_uring_register_eventfd(&ring->uring, ring->event_fd);
        code = code < 0 ? cmdi_fail(error, code, "eventfd: %s", strerror(-code)) : 0;
    }
    if (code < 0) {
        cmdi_ring_destroy(ring);
        return code;
    }
    *out = ring;
    return 0;
}

static void ring_arm_wake(struct cmdi_ring *ring);

int cmdi_ring_enable(struct cmdi_ring *ring)
{
    if (ring->enabled) {
        return 0; // So much was queued before the first turn that it had to be done then.
    }
    /* liburing 2.3 declares io_uring_enable_rings but does not export it. */
    int code =
            io_uring_register((unsigned)ring->uring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
    if (code < 0) {
        return code;
    }
    ring->enabled = true;
    ring->owner = &ring_thread;
    if (ring->features & (1u << CMDI_RING_FEATURE_REGISTERED_FD)) {
        ring->registered_fd = io_uring_register_ring_fd(&ring->uring) == 1;
    }
    if (ring->registered_fd) {
        ring->enter_flags |= IORING_ENTER_REGISTERED_RING;
    }
    ring_arm_wake(ring);
    return 0;
}

static struct io_uring_sqe *ring_sqe(struct cmdi_ring *ring);

static uint32_t ring_unsubmitted(const struct cmdi_ring *ring)
{
    const struct io_uring_sq *sq = &ring->uring.sq;
    return sq->sqe_tail - __atomic_load_n(sq->khead, __ATOMIC_ACQUIRE);
}

void cmdi_ring_give_up(struct cmdi_ring *ring)
{
    CMDI_ASSERT(!ring->draining);
    ring->owner = &ring_thread;
    ring->broken = ring->broken < 0 ? ring->broken : -EXDEV;
}

/* The kernel may write into our buffers until every operation has completed. */
void cmdi_ring_drain(struct cmdi_ring *ring)
{
    struct cmdi_completion completions[64];
    if (!ring->enabled || ring->draining) {
        return;
    }
    ring->draining = true;
    struct io_uring_sqe *sqe = ring_sqe(ring);
    io_uring_prep_cancel64(sqe, 0, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
    sqe->user_data = RING_OWN_DRAIN;
    for (uint32_t i = 0; i < RING_DRAIN_ENTERS && ring->in_flight > 0; i++) {
        if (cmdi_ring_enter(ring, CMDI_NS_PER_MS) < 0) {
            return;
        }
        while (cmdi_ring_harvest(ring, completions, 64) > 0) {
            // Only the count matters now.
        }
    }
}

void cmdi_ring_destroy(struct cmdi_ring *ring)
{
    if (ring == NULL) {
        return;
    }
    cmdi_ring_drain(ring);
    bool written = ring->enabled && ring->in_flight > ring_unsubmitted(ring);
    if (ring->group_registered) {
        // The exit below does it too.
        (void)io_uring_unregister_buf_ring(&ring->uring, CMDI_RING_BUFFER_GROUP);
    }
    if (ring->uring_ready) {
        io_uring_queue_exit(&ring->uring);
    }
    if (ring->wake_fd >= 0) {
        (void)close(ring->wake_fd);
    }
    if (ring->event_fd >= 0) {
        (void)close(ring->event_fd);
    }
    cmdi_ring_buffers_fini(ring, written);
    free(ring->side);
    free(ring);
}

int cmdi_ring_fd(const struct cmdi_ring *ring)
{
    return ring->event_fd;
}

void cmdi_ring_fd_quiet(struct cmdi_ring *ring)
{
    uint64_t count = 0;
    bool woken = atomic_exchange(&ring->event_woken, false);
    if ((ring->event_dirty || woken) && ring->event_fd >= 0) {
        ssize_t got = read(ring->event_fd, &count, sizeof(count));
        (void)got; // EAGAIN: it was quiet.
    }
    ring->event_dirty = false;
}

static void ring_signal(int fd)
{
    uint64_t one = 1;
    ssize_t written = write(fd, &one, sizeof(one));
    (void)written; // It fails only when the counter is full: then it is readable already.
}

/*
 * An application's own loop is woken directly: the kernel does not signal one eventfd reliably from
 * inside the write to another (seen on 6.18: the second such signal never came).
 */
void cmdi_ring_wake(struct cmdi_ring *ring)
{
    if (ring->event_fd >= 0) {
        ring_signal(ring->event_fd);
        atomic_store(&ring->event_woken, true);
    }
    ring_signal(ring->wake_fd);
}

/* --- Submission ------------------------------------------------------------------------------- */

uint32_t cmdi_ring_in_flight(const struct cmdi_ring *ring)
{
    return ring->in_flight;
}

/* One system call. Returns: 0; -errno as the kernel gave it. */
static int ring_enter_once(struct cmdi_ring *ring, uint32_t wait_count, uint64_t wait_ns)
{
    struct __kernel_timespec time = {
            .tv_sec = (long long)(wait_ns / CMDI_NS_PER_S),
            .tv_nsec = (long long)(wait_ns % CMDI_NS_PER_S),
    };
    struct io_uring_getevents_arg argument = {
            .sigmask_sz = _NSIG / 8,
            .ts = wait_count > 0 && wait_ns != CMDI_RING_WAIT_FOREVER ? (uint64_t)(uintptr_t)&time
                                                                      : 0,
    };
    struct io_uring_sq *sq = &ring->uring.sq;
    if (CMDI_UNLIKELY(ring->broken < 0)) {
        return ring->broken;
    }
    ring->event_dirty = true; // Work is signalled, whether a completion comes of it or not.
    cmdi_ring_buffers_publish(ring);
    __atomic_store_n(sq->ktail, sq->sqe_tail, __ATOMIC_RELEASE);
    int code = io_uring_enter2((unsigned)ring->uring.enter_ring_fd, ring_unsubmitted(ring),
            wait_count, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG | ring->enter_flags,
            (void *)&argument, sizeof(argument));
    return code < 0 ? code : 0;
}

static bool ring_queue_empty(const struct cmdi_ring *ring)
{
    const struct io_uring_cq *cq = &ring->uring.cq;
    return *cq->khead == __atomic_load_n(cq->ktail, __ATOMIC_ACQUIRE);
}

static bool ring_kernel_has_work(const struct cmdi_ring *ring)
{
    return (__atomic_load_n(ring->uring.sq.kflags, __ATOMIC_RELAXED) &
                   (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
}

bool cmdi_ring_has_work(const struct cmdi_ring *ring)
{
    return !ring_queue_empty(ring) || ring_kernel_has_work(ring) ||
           ring->side_begin < ring->side_end || ring->wake_due;
}

static bool ring_error_passes(int code)
{
    /*
     * The wait ended for nothing, or the queue is full until somebody harvests: neither breaks the
     * ring.
     */
    return code == -ETIME || code == -EINTR || code == -EBUSY || code == -EAGAIN;
}

int cmdi_ring_enter(struct cmdi_ring *ring, uint64_t wait_ns)
{
    ring_assert_owner(ring);
    if (!ring_queue_empty(ring) || ring->side_begin < ring->side_end || ring->wake_due) {
        wait_ns = CMDI_RING_WAIT_NONE;
    }
    if (wait_ns == CMDI_RING_WAIT_NONE && !ring_kernel_has_work(ring) &&
            ring_unsubmitted(ring) == 0) {
        cmdi_ring_buffers_publish(ring);
        return 0;
    }
    int code = ring_enter_once(ring, wait_ns == CMDI_RING_WAIT_NONE ? 0 : 1, wait_ns);
    for (uint32_t i = 0; i < RING_REENTERS_MAX && ring_kernel_has_work(ring); i++) {
        if (code != 0 && code != -ETIME && code != -EINTR) {
            break;
        }
        code = ring_enter_once(ring, 0, 0); // How the wait ended says nothing about the work.
    }
    return code == 0 || ring_error_passes(code) ? 0 : code;
}

static uint32_t ring_take_queue(
        struct cmdi_ring *ring, struct cmdi_completion *completions, uint32_t max);

static bool ring_side_has_room(struct cmdi_ring *ring)
{
    if (ring->side_end < ring->side_capacity) {
        return true;
    }
    uint32_t capacity = ring->side_capacity * 2;
    struct cmdi_completion *grown = realloc(ring->side, capacity * sizeof(*grown));
    if (grown == NULL) {
        return false;
    }
    ring->side = grown;
    ring->side_capacity = capacity;
    return true;
}

/*
 * Both queues are full: completions move aside so that the kernel can go on, as many as there is
 * memory for. Bounded by the operations in flight.
 */
static void ring_make_room(struct cmdi_ring *ring)
{
    uint32_t kept = ring->side_end - ring->side_begin;
    memmove(ring->side, ring->side + ring->side_begin, kept * sizeof(*ring->side));
    ring->side_begin = 0;
    ring->side_end = kept;
    while (!ring_queue_empty(ring) && ring_side_has_room(ring)) {
        ring->side_end += ring_take_queue(
                ring, ring->side + ring->side_end, ring->side_capacity - ring->side_end);
    }
}

/*
 * Operations never fail, so a ring that the kernel takes nothing from any more takes them to
 * nowhere: the next enter says why, and whoever turns the ring ends.
 */
static struct io_uring_sqe *ring_break(struct cmdi_ring *ring, int code)
{
    ring->broken = ring->broken < 0 ? ring->broken : code;
    return &ring->nowhere;
}

/* The kernel has to take some first. It may be short of memory for a while. */
static struct io_uring_sqe *ring_sqe_when_full(struct cmdi_ring *ring)
{
    int code = ring->broken;
    if (code == 0 && !ring->enabled) {
        code = cmdi_ring_enable(ring); // Inline, before the first turn: who fills it owns the ring.
    }
    for (uint32_t i = 0; code == 0 && i < RING_FULL_TRIES_AT_ONCE + RING_FULL_TRIES; i++) {
        code = ring_enter_once(ring, 0, 0);
        struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);
        if (sqe != NULL) {
            return sqe;
        }
        if (ring_error_passes(code)) {
            code = 0;
            ring_make_room(ring);
        }
        if (i >= RING_FULL_TRIES_AT_ONCE) {
            cmdi_sleep_ms(1);
        }
    }
    return ring_break(ring, code < 0 ? code : -EAGAIN);
}

static struct io_uring_sqe *ring_sqe(struct cmdi_ring *ring)
{
    ring_assert_owner(ring);
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);
    if (CMDI_UNLIKELY(sqe == NULL)) {
        sqe = ring_sqe_when_full(ring);
    }
    ring->in_flight++;
    return sqe;
}

/* After the prepare function, since those of older liburing versions clear the user data. */
static void ring_queue(struct io_uring_sqe *sqe, uint64_t user_data)
{
    CMDI_ASSERT(user_data > CMDI_RING_OWN_MAX);
    sqe->user_data = user_data;
}

static void ring_arm_wake(struct cmdi_ring *ring)
{
    struct io_uring_sqe *sqe = ring_sqe(ring);
    ring->wake_due = false;
    io_uring_prep_read(sqe, ring->wake_fd, &ring->wake_value, sizeof(ring->wake_value), 0);
    sqe->user_data = RING_OWN_WAKE;
}

void cmdi_ring_accept(struct cmdi_ring *ring, int fd, bool once, uint64_t user_data)
{
    struct io_uring_sqe *sqe = ring_sqe(ring);
    io_uring_prep_accept(sqe, fd, NULL, NULL, SOCK_CLOEXEC);
    if (!once) {
        sqe->ioprio |= IORING_ACCEPT_MULTISHOT;
    }
    if (ring->features & (1u << CMDI_RING_FEATURE_ACCEPT_POLL_FIRST)) {
        sqe->ioprio |= IORING_ACCEPT_POLL_FIRST;
    }
    ring_queue(sqe, user_data);
}

void cmdi_ring_connect(
        struct cmdi_ring *ring, int fd, const struct cmdi_address *address, uint64_t user_data)
{
    struct io_uring_sqe *sqe = ring_sqe(ring);
    io_uring_prep_connect(sqe, fd, &address->as.any, address->size);
    ring_queue(sqe, user_data);
}

void cmdi_ring_recv(struct cmdi_ring *ring, int fd, bool poll_first, uint64_t user_data)
{
    struct io_uring_sqe *sqe = ring_sqe(ring);
    io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = CMDI_RING_BUFFER_GROUP;
    if (poll_first) {
        sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
    }
    ring_queue(sqe, user_data);
}

void cmdi_ring_recv_once(struct cmdi_ring *ring, int fd, uint64_t user_data)
{
    struct io_uring_sqe *sqe = ring_sqe(ring);
    io_uring_prep_recv(sqe, fd, NULL, ring->buffer_size, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = CMDI_RING_BUFFER_GROUP;
    ring_queue(sqe, user_data);
}

void cmdi_ring_send(
        struct cmdi_ring *ring, int fd, const void *data, size_t size, uint64_t user_data)
{
    struct io_uring_sqe *sqe = ring_sqe(ring);
    io_uring_prep_send(sqe, fd, data, size, MSG_WAITALL | MSG_NOSIGNAL);
    ring_queue(sqe, user_data);
}

_Static_assert(CMDI_RING_PEER_FAILED == POLLERR && CMDI_RING_PEER_GONE == POLLHUP &&
                       CMDI_RING_PEER_FINISHED == POLLRDHUP,
        "cmdi_ring_watch");

/*
 * The kernel says POLLRDHUP whether it is asked for or not. Where that is known already, a poll for
 * once would complete in an instant, and so would each that comes after it.
 */
void cmdi_ring_watch(struct cmdi_ring *ring, int fd, bool finish, uint64_t user_data)
{
    struct io_uring_sqe *sqe = ring_sqe(ring);
    io_uring_prep_poll_add(sqe, fd, POLLERR | POLLHUP | (finish ? (unsigned)POLLRDHUP : 0));
    if (!finish) {
        sqe->len |= IORING_POLL_ADD_MULTI;
    }
    ring_queue(sqe, user_data);
}

void cmdi_ring_cancel(struct cmdi_ring *ring, uint64_t target, uint64_t user_data)
{
    struct io_uring_sqe *sqe = ring_sqe(ring);
    io_uring_prep_cancel64(sqe, target, 0);
    ring_queue(sqe, user_data);
}

void cmdi_ring_alarm(struct cmdi_ring *ring, uint64_t at_ns)
{
    if (ring->alarm_armed && ring->alarm_at_ns <= at_ns) {
        return; // It fires early, and whoever looks then sets the next.
    }
    bool moves = ring->alarm_armed;
    ring->alarm_armed = true;
    ring->alarm_at_ns = at_ns;
    ring->alarm_time.tv_sec = (long long)(at_ns / CMDI_NS_PER_S);
    ring->alarm_time.tv_nsec = (long long)(at_ns % CMDI_NS_PER_S);
    struct io_uring_sqe *sqe = ring_sqe(ring);
    if (moves) { // If it has just fired, this finds nothing, and who looks then sets the next.
        io_uring_prep_timeout_update(sqe, &ring->alarm_time, RING_OWN_ALARM, IORING_TIMEOUT_ABS);
        sqe->user_data = RING_OWN_ALARM_MOVE;
    } else {
        io_uring_prep_timeout(sqe, &ring->alarm_time, 0, IORING_TIMEOUT_ABS);
        sqe->user_data = RING_OWN_ALARM;
    }
}

/* --- Completions ------------------------------------------------------------------------------ */

static void ring_completion(
        struct cmdi_ring *ring, const struct io_uring_cqe *cqe, struct cmdi_completion *out)
{
    out->user_data = cqe->user_data;
    out->result = cqe->res;
    out->flags = 0;
    out->buffer = 0;
    if (cqe->flags & IORING_CQE_F_MORE) {
        out->flags |= CMDI_COMPLETION_MORE;
    } else {
        CMDI_ASSERT(ring->in_flight > 0);
        ring->in_flight--;
    }
    if (cqe->flags & IORING_CQE_F_BUFFER) {
        out->flags |= CMDI_COMPLETION_BUFFER;
        out->buffer = (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
        cmdi_ring_buffer_hold(ring, out->buffer);
    }
    if (cqe->flags & IORING_CQE_F_SOCK_NONEMPTY) {
        out->flags |= CMDI_COMPLETION_NONEMPTY;
    }
}

static uint32_t ring_take_queue(
        struct cmdi_ring *ring, struct cmdi_completion *completions, uint32_t max)
{
    uint32_t count = 0;
    struct io_uring_cq *cq = &ring->uring.cq;
    uint32_t head = *cq->khead;
    uint32_t tail = __atomic_load_n(cq->ktail, __ATOMIC_ACQUIRE);
    for (; head != tail && count < max; head++) {
        const struct io_uring_cqe *cqe = &cq->cqes[head & *cq->kring_mask];
        if (cqe->user_data <= CMDI_RING_OWN_MAX) {
            CMDI_ASSERT(ring->in_flight > 0);
            ring->in_flight--;
            ring->wake_due =
                    ring->wake_due || (cqe->user_data == RING_OWN_WAKE && cqe->res != -ECANCELED);
            ring->alarm_armed = ring->alarm_armed && cqe->user_data != RING_OWN_ALARM;
        } else {
            ring_completion(ring, cqe, &completions[count++]);
        }
    }
    __atomic_store_n(cq->khead, head, __ATOMIC_RELEASE);
    return count;
}

uint32_t cmdi_ring_harvest(
        struct cmdi_ring *ring, struct cmdi_completion *completions, uint32_t max)
{
    uint32_t count = 0;
    ring_assert_owner(ring);
    CMDI_ASSERT(ring->side_begin <= ring->side_end && ring->side_end <= ring->side_capacity);
    while (ring->side_begin < ring->side_end && count < max) {
        completions[count++] = ring->side[ring->side_begin++];
    }
    count += ring_take_queue(ring, completions + count, max - count);
    if (ring->wake_due && !ring->draining) {
        ring_arm_wake(ring); // After the head has moved: queueing may have to enter.
    }
    return count;
}

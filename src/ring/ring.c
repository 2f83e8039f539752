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
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

#include "base/assert.h"
#include "base/error.h"
#include "ring/compat.h"
#include "ring/probe.h"

enum {
    RING_BUFFER_GROUP = 0,
    RING_OWN_WAKE = CMDI_RING_OWN, // User data of the ring's own operations.
    RING_OWN_ALARM = 1,
    RING_OWN_DRAIN = 2,
    RING_OWN_ALARM_MOVE = 3,
    RING_OWN_MAX = 15,
    RING_REENTERS_MAX = 16,   // 6.14 and later do about 20 items of work per enter.
    RING_DRAIN_ENTERS = 2000, // Of 1 ms: how long destroy waits for operations that do not end.
};

struct cmdi_ring {
    struct io_uring uring;
    struct io_uring_buf_ring *group; // Descriptors, shared with the kernel.
    uint8_t *buffers;                // buffer_count_max * buffer_size, touched as far as used.
    uint8_t *parked;                 // By buffer number: 1 if it is ours to keep out of the group.
    uint32_t buffer_size, buffer_count, buffer_count_min, buffer_count_max;
    uint32_t buffers_held;  // Harvested and not released.
    uint32_t buffers_added; // Released since the kernel was last told.
    uint32_t features;
    uint32_t enter_flags;
    uint32_t in_flight; // Operations without their final completion.
    bool enabled, registered_fd, group_registered, uring_ready;
    bool draining;            // Nothing is armed again.
    bool event_dirty;         // event_fd may have been signalled since it was last read.
    _Atomic bool event_woken; // The same, by another thread.
    bool wake_due;            // The READ on wake_fd has completed, and is to be armed again.
    bool alarm_armed;
    uint64_t alarm_at_ns;
    struct __kernel_timespec alarm_time;
    int wake_fd;  // Others write it; a READ is always armed on it.
    int event_fd; // Inline: signalled by the kernel with each completion. -1 otherwise.
    uint64_t wake_value;
    struct cmdi_completion *side; // Completions taken out of the way of a full queue, oldest first.
    uint32_t side_begin, side_end, side_capacity;
};

/* --- Features --------------------------------------------------------------------------------- */

static bool ring_feature_off(const char *name)
{
    const char *off = getenv("CMDSTREAM_FEATURES_OFF");
    size_t size = strlen(name);
    while (off != NULL && *off != '\0') {
        size_t word = strcspn(off, ",");
        if ((word == size && memcmp(off, name, size) == 0) ||
                (word == 3 && memcmp(off, "all", 3) == 0)) {
            return true;
        }
        off += word + (off[word] == ',');
    }
    return false;
}

static void ring_choose_features(struct cmdi_ring *ring, uint32_t kernel_features)
{
    const bool available[CMDI_RING_FEATURE_COUNT] = {
            [CMDI_RING_FEATURE_REGISTERED_FD] = true,
            [CMDI_RING_FEATURE_NO_IOWAIT] = (kernel_features & IORING_FEAT_NO_IOWAIT) != 0,
            [CMDI_RING_FEATURE_ACCEPT_POLL_FIRST] =
                    (kernel_features & IORING_FEAT_RECVSEND_BUNDLE) != 0,
    };
    static const char *const names[] = {
#define CMDI_X_(name, text, since, gives) text,
            CMDI_RING_FEATURES(CMDI_X_)
#undef CMDI_X_
    };
    for (uint32_t i = 0; i < CMDI_RING_FEATURE_COUNT; i++) {
        if (available[i] && !ring_feature_off(names[i])) {
            ring->features |= 1u << i;
        }
    }
    if (ring->features & (1u << CMDI_RING_FEATURE_NO_IOWAIT)) {
        ring->enter_flags |= IORING_ENTER_NO_IOWAIT;
    }
}

uint32_t cmdi_ring_features(const struct cmdi_ring *ring)
{
    return ring->features;
}

/* --- Life ------------------------------------------------------------------------------------- */

static int ring_setup(
        struct cmdi_ring *ring, const struct cmdi_ring_options *options, struct cmds_error *error)
{
    struct io_uring_params params = {
            .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                     IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CLAMP |
                     IORING_SETUP_CQSIZE | IORING_SETUP_R_DISABLED,
            .cq_entries = options->completion_entries,
    };
    int code = io_uring_queue_init_params(options->entries, &ring->uring, &params);
    if (code < 0) {
        char text[220];
        (void)cmdi_probe_setup_error(code, text, sizeof(text));
        return cmdi_fail(error, code, "%s", text);
    }
    ring->uring_ready = true;
    // A child shall not touch it; not being able to say so harms nobody.
    (void)io_uring_ring_dontfork(&ring->uring);
    ring_choose_features(ring, params.features);
    if (ring->uring.sq.array != NULL) {
        for (uint32_t i = 0; i < params.sq_entries; i++) {
            ring->uring.sq.array[i] = i; // Our enter moves only the tail.
        }
    }
    return 0;
}

/*
 * Whoever still reads a buffer that was given back reads the next peer's bytes: the address
 * sanitizer is told. The kernel's own writes are not its business.
 */
static void ring_poison(const struct cmdi_ring *ring, uint32_t buffer, bool poison)
{
#ifdef __SANITIZE_ADDRESS__
    uint8_t *data = ring->buffers + (size_t)buffer * ring->buffer_size;
    if (poison) {
        __asan_poison_memory_region(data, ring->buffer_size);
    } else {
        __asan_unpoison_memory_region(data, ring->buffer_size);
    }
#else
    (void)ring;
    (void)buffer;
    (void)poison;
#endif
}

static void ring_provide(struct cmdi_ring *ring, uint32_t buffer)
{
    ring_poison(ring, buffer, true);
    io_uring_buf_ring_add(ring->group, ring->buffers + (size_t)buffer * ring->buffer_size,
            ring->buffer_size, (unsigned short)buffer,
            io_uring_buf_ring_mask(ring->buffer_count_max), (int)ring->buffers_added);
    ring->buffers_added++;
}

static void *ring_map(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static int ring_setup_buffers(
        struct cmdi_ring *ring, const struct cmdi_ring_options *options, struct cmds_error *error)
{
    ring->buffer_size = options->buffer_size;
    ring->buffer_count_max = options->buffer_count_max;
    ring->buffer_count_min = options->buffer_count;
    ring->group = ring_map(ring->buffer_count_max * sizeof(struct io_uring_buf));
    ring->buffers = ring_map((size_t)ring->buffer_count_max * ring->buffer_size);
    ring->parked = calloc(ring->buffer_count_max, 1);
    if (ring->group == NULL || ring->buffers == NULL || ring->parked == NULL) {
        return cmdi_fail(error, -ENOMEM, "no memory for %u receive buffers of %u bytes",
                ring->buffer_count_max, ring->buffer_size);
    }
    io_uring_buf_ring_init(ring->group);
    struct io_uring_buf_reg registration = {
            .ring_addr = (uint64_t)(uintptr_t)ring->group,
            .ring_entries = ring->buffer_count_max,
            .bgid = RING_BUFFER_GROUP,
    };
    int code = io_uring_register_buf_ring(&ring->uring, &registration, 0);
    if (code < 0) {
        return cmdi_fail(error, code, "io_uring: registering %u receive buffers failed: %s",
                ring->buffer_count_max, strerror(-code));
    }
    ring->group_registered = true;
    memset(ring->parked, 1, ring->buffer_count_max);
    for (; ring->buffer_count < options->buffer_count; ring->buffer_count++) {
        ring->parked[ring->buffer_count] = 0;
        ring_provide(ring, ring->buffer_count);
    }
    return 0;
}

int cmdi_ring_create(
        struct cmdi_ring **out, const struct cmdi_ring_options *options, struct cmds_error *error)
{
    CMDI_ASSERT(options->buffer_count <= options->buffer_count_max);
    CMDI_ASSERT((options->buffer_count_max & (options->buffer_count_max - 1)) == 0);
    struct cmdi_ring *ring = calloc(1, sizeof(*ring));
    if (ring == NULL) {
        return cmdi_fail(error, -ENOMEM, "no memory for a ring");
    }
    ring->wake_fd = -1;
    ring->event_fd = -1;
    int code = ring_setup(ring, options, error);
    if (code == 0) {
        code = ring_setup_buffers(ring, options, error);
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
        if (cmdi_ring_enter(ring, 1000000) < 0) {
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
    if (ring->group_registered) {
        // The exit below does it too.
        (void)io_uring_unregister_buf_ring(&ring->uring, RING_BUFFER_GROUP);
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
    /* What the kernel may still write into stays: better lost than somebody else's. */
    bool written = ring->enabled && ring->in_flight > 0;
    if (ring->group != NULL && !written) {
        (void)munmap(ring->group, ring->buffer_count_max * sizeof(struct io_uring_buf));
    }
    if (ring->buffers != NULL && !written) {
        for (uint32_t i = 0; i < ring->buffer_count_max; i++) {
            ring_poison(ring, i, false); // The addresses may be somebody else's soon.
        }
        (void)munmap(ring->buffers, (size_t)ring->buffer_count_max * ring->buffer_size);
    }
    free(ring->parked);
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

static uint32_t ring_unsubmitted(const struct cmdi_ring *ring)
{
    const struct io_uring_sq *sq = &ring->uring.sq;
    return sq->sqe_tail - __atomic_load_n(sq->khead, __ATOMIC_ACQUIRE);
}

uint32_t cmdi_ring_in_flight(const struct cmdi_ring *ring)
{
    return ring->in_flight;
}

bool cmdi_ring_has_unsubmitted(const struct cmdi_ring *ring)
{
    return ring_unsubmitted(ring) > 0;
}

static void ring_publish_buffers(struct cmdi_ring *ring)
{
    if (ring->buffers_added > 0) {
        io_uring_buf_ring_advance(ring->group, (int)ring->buffers_added);
        ring->buffers_added = 0;
    }
}

/* One system call. Returns: 0; -errno as the kernel gave it. */
static int ring_enter_once(struct cmdi_ring *ring, uint32_t wait_count, uint64_t wait_ns)
{
    struct __kernel_timespec time = {
            .tv_sec = (long long)(wait_ns / 1000000000u),
            .tv_nsec = (long long)(wait_ns % 1000000000u),
    };
    struct io_uring_getevents_arg argument = {
            .sigmask_sz = _NSIG / 8,
            .ts = wait_count > 0 && wait_ns != CMDI_RING_WAIT_FOREVER ? (uint64_t)(uintptr_t)&time
                                                                      : 0,
    };
    struct io_uring_sq *sq = &ring->uring.sq;
    ring->event_dirty = true; // Work is signalled, whether a completion comes of it or not.
    ring_publish_buffers(ring);
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
    if (!ring_queue_empty(ring) || ring->side_begin < ring->side_end || ring->wake_due) {
        wait_ns = CMDI_RING_WAIT_NONE;
    }
    if (wait_ns == CMDI_RING_WAIT_NONE && !ring_kernel_has_work(ring) &&
            !cmdi_ring_has_unsubmitted(ring)) {
        ring_publish_buffers(ring);
        return 0;
    }
    int code = ring_enter_once(ring, wait_ns == CMDI_RING_WAIT_NONE ? 0 : 1, wait_ns);
    for (uint32_t i = 0; i < RING_REENTERS_MAX && code == 0 && ring_kernel_has_work(ring); i++) {
        code = ring_enter_once(ring, 0, 0);
    }
    return code == 0 || ring_error_passes(code) ? 0 : code;
}

static uint32_t ring_take(
        struct cmdi_ring *ring, struct cmdi_completion *completions, uint32_t max);

/*
 * Both queues are full: completions move aside so that the kernel can go on. Bounded by the
 * operations in flight.
 */
static void ring_make_room(struct cmdi_ring *ring)
{
    struct cmdi_completion completions[64];
    uint32_t count = 0;
    uint32_t kept = ring->side_end - ring->side_begin;
    struct cmdi_completion *old = ring->side;
    uint32_t old_begin = ring->side_begin;
    ring->side_begin = ring->side_end = 0; // So that the next are taken from the queue.
    struct cmdi_completion *grown = NULL;
    uint32_t used = 0;
    uint32_t capacity = kept + 1024;
    grown = malloc(capacity * sizeof(*grown));
    CMDI_ASSERT(grown != NULL); // A completion that is lost cannot be made good.
    if (kept > 0) {
        memcpy(grown, old + old_begin, kept * sizeof(*grown));
        used = kept;
    }
    while ((count = ring_take(ring, completions, 64)) > 0) {
        if (used + count > capacity) {
            capacity *= 2;
            grown = realloc(grown, capacity * sizeof(*grown));
            CMDI_ASSERT(grown != NULL);
        }
        memcpy(grown + used, completions, count * sizeof(*grown));
        used += count;
    }
    free(old);
    ring->side = grown;
    ring->side_capacity = capacity;
    ring->side_end = used;
}

static struct io_uring_sqe *ring_sqe(struct cmdi_ring *ring)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);
    for (uint32_t i = 0; sqe == NULL; i++) {
        CMDI_ASSERT(i < 1000);
        if (!ring->enabled) {
            // Inline, before the first turn: who fills the queue owns the ring.
            int code = cmdi_ring_enable(ring);
            CMDI_ASSERT(code == 0);
        }
        if (ring_enter_once(ring, 0, 0) < 0) {
            ring_make_room(ring);
        }
        sqe = io_uring_get_sqe(&ring->uring);
    }
    ring->in_flight++;
    return sqe;
}

/* After the prepare function, since those of older liburing versions clear the user data. */
static void ring_queue(struct io_uring_sqe *sqe, uint64_t user_data)
{
    sqe->user_data = user_data;
}

static void ring_arm_wake(struct cmdi_ring *ring)
{
    struct io_uring_sqe *sqe = ring_sqe(ring);
    ring->wake_due = false;
    io_uring_prep_read(sqe, ring->wake_fd, &ring->wake_value, sizeof(ring->wake_value), 0);
    ring_queue(sqe, RING_OWN_WAKE);
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
    sqe->buf_group = RING_BUFFER_GROUP;
    if (poll_first) {
        sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
    }
    ring_queue(sqe, user_data);
}

void cmdi_ring_send(
        struct cmdi_ring *ring, int fd, const void *data, size_t size, uint64_t user_data)
{
    struct io_uring_sqe *sqe = ring_sqe(ring);
    io_uring_prep_send(sqe, fd, data, size, MSG_WAITALL | MSG_NOSIGNAL);
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
    ring->alarm_time.tv_sec = (long long)(at_ns / 1000000000u);
    ring->alarm_time.tv_nsec = (long long)(at_ns % 1000000000u);
    struct io_uring_sqe *sqe = ring_sqe(ring);
    if (moves) { // If it has just fired, this finds nothing, and who looks then sets the next.
        io_uring_prep_timeout_update(sqe, &ring->alarm_time, RING_OWN_ALARM, IORING_TIMEOUT_ABS);
        ring_queue(sqe, RING_OWN_ALARM_MOVE);
    } else {
        io_uring_prep_timeout(sqe, &ring->alarm_time, 0, IORING_TIMEOUT_ABS);
        ring_queue(sqe, RING_OWN_ALARM);
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
        ring->in_flight--;
    }
    if (cqe->flags & IORING_CQE_F_BUFFER) {
        out->flags |= CMDI_COMPLETION_BUFFER;
        out->buffer = (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
        ring_poison(ring, out->buffer, false);
        ring->buffers_held++;
    }
    if (cqe->flags & IORING_CQE_F_SOCK_NONEMPTY) {
        out->flags |= CMDI_COMPLETION_NONEMPTY;
    }
}

static uint32_t ring_take(struct cmdi_ring *ring, struct cmdi_completion *completions, uint32_t max)
{
    uint32_t count = 0;
    while (ring->side_begin < ring->side_end && count < max) {
        completions[count++] = ring->side[ring->side_begin++];
    }
    struct io_uring_cq *cq = &ring->uring.cq;
    uint32_t head = *cq->khead;
    uint32_t tail = __atomic_load_n(cq->ktail, __ATOMIC_ACQUIRE);
    for (; head != tail && count < max; head++) {
        const struct io_uring_cqe *cqe = &cq->cqes[head & *cq->kring_mask];
        if (cqe->user_data <= RING_OWN_MAX) {
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
    uint32_t count = ring_take(ring, completions, max);
    if (ring->wake_due && !ring->draining) {
        ring_arm_wake(ring); // After the head has moved: queueing may have to enter.
    }
    return count;
}

/* --- Receive buffers -------------------------------------------------------------------------- */

uint8_t *cmdi_ring_buffer(const struct cmdi_ring *ring, uint16_t buffer)
{
    return ring->buffers + (size_t)buffer * ring->buffer_size;
}

static void ring_park(struct cmdi_ring *ring, uint32_t buffer)
{
    ring->parked[buffer] = 1;
    (void)madvise(
            ring->buffers + (size_t)buffer * ring->buffer_size, ring->buffer_size, MADV_DONTNEED);
}

void cmdi_ring_buffer_release(struct cmdi_ring *ring, uint16_t buffer)
{
    CMDI_ASSERT(ring->buffers_held > 0);
    ring->buffers_held--;
    if (CMDI_UNLIKELY(buffer >= ring->buffer_count)) {
        ring_park(ring, buffer); // The group has shrunk meanwhile.
        return;
    }
    ring_provide(ring, buffer);
}

uint32_t cmdi_ring_buffer_count(const struct cmdi_ring *ring)
{
    return ring->buffer_count;
}

uint32_t cmdi_ring_buffers_free(const struct cmdi_ring *ring)
{
    return ring->buffer_count > ring->buffers_held ? ring->buffer_count - ring->buffers_held : 0;
}

bool cmdi_ring_buffers_grow(struct cmdi_ring *ring)
{
    uint32_t target = ring->buffer_count * 2;
    if (target > ring->buffer_count_max) {
        return false;
    }
    for (; ring->buffer_count < target; ring->buffer_count++) {
        // Else the kernel or we still have it from before a shrink.
        if (ring->parked[ring->buffer_count]) {
            ring->parked[ring->buffer_count] = 0;
            ring_provide(ring, ring->buffer_count);
        }
    }
    return true;
}

void cmdi_ring_buffers_shrink(struct cmdi_ring *ring)
{
    if (ring->buffer_count / 2 >= ring->buffer_count_min) {
        // Those above leave the group one by one, as they are used and released.
        ring->buffer_count /= 2;
    }
}

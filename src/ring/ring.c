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
#include <sys/mman.h>
#include <unistd.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

#include "base/assert.h"
#include "base/error.h"
#include "machine/probe.h"
#include "ring/clock.h"
#include "ring/compat.h"

enum {
    RING_BUFFER_GROUP = 0,
    RING_OWN_WAKE = CMDI_RING_OWN, // User data of the ring's own operations.
    RING_OWN_ALARM = 1,
    RING_OWN_DRAIN = 2,
    RING_OWN_ALARM_MOVE = 3,
    RING_OWN_MAX = 15,
    RING_REENTERS_MAX = 16,    // 6.14 and later do about 20 items of work per enter.
    RING_DRAIN_ENTERS = 2000,  // Of 1 ms: how long destroy waits for operations that do not end.
    RING_SIDE_CAPACITY = 1024, // Of `side` from the start: memory may be what is missing then.
    RING_FULL_TRIES_AT_ONCE = 16,
    RING_FULL_TRIES = 5000, // Of 1 ms, after those.
    /* How long a ring is tried for that the kernel has no memory for, and how small it may get. */
    RING_SETUP_WAIT_MS = 10,
    RING_SETUP_WAIT_FIRST_MS = 100, // At its full size.
    RING_SETUP_WAIT_MAX_MS = 1000,
    RING_ENTRIES_FLOOR = 32,
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
    int broken;                  // Not 0: why operations do not reach the kernel any more.
    struct io_uring_sqe nowhere; // Takes them then.
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

uint32_t cmdi_ring_entries(const struct cmdi_ring *ring)
{
    return ring->uring.sq.ring_entries;
}

uint32_t cmdi_ring_features(const struct cmdi_ring *ring)
{
    return ring->features;
}

/* --- Life ------------------------------------------------------------------------------------- */

/*
 * Rings count against RLIMIT_MEMLOCK, before 5.12 and again in newer kernels: all of a user's
 * together, and what a closed one had comes back some 50 ms later. So a ring that finds no memory is
 * tried again for a moment, then with smaller queues, which cost system calls under load and nothing
 * else, and then for a little longer.
 */
struct ring_patience {
    uint32_t waited_ms, next_ms;
};

/* Returns: it is worth another try. */
static bool ring_wait_for_memory(struct ring_patience *patience, uint32_t max_ms)
{
    if (patience->waited_ms >= max_ms) {
        return false;
    }
    patience->next_ms = patience->next_ms == 0 ? RING_SETUP_WAIT_MS : patience->next_ms * 2;
    cmdi_sleep_ms(patience->next_ms);
    patience->waited_ms += patience->next_ms;
    return true;
}

static int ring_setup_queues(struct cmdi_ring *ring, const struct cmdi_ring_options *options,
        struct io_uring_params *params, struct ring_patience *patience)
{
    uint32_t entries = options->entries;
    uint32_t completions = options->completion_entries;
    for (;;) {
        *params = (struct io_uring_params){
                .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                         IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CLAMP |
                         IORING_SETUP_CQSIZE | IORING_SETUP_R_DISABLED,
                .cq_entries = completions,
        };
        int code = io_uring_queue_init_params(entries, &ring->uring, params);
        if (code != -ENOMEM) {
            return code;
        }
        bool may_shrink = entries / 2 >= RING_ENTRIES_FLOOR && completions > entries;
        if (!ring_wait_for_memory(
                    patience, may_shrink ? RING_SETUP_WAIT_FIRST_MS : RING_SETUP_WAIT_MAX_MS)) {
            if (!may_shrink) {
                return code;
            }
            entries /= 2;
            completions /= 2;
        }
    }
}

/*
 * A sandbox may allow the set-up alone. Returns: 0; -errno of an enter, which the kernel refuses to
 * a ring that is not enabled, and to no other one of its arguments.
 */
static int ring_try_enter(const struct cmdi_ring *ring)
{
    int code = io_uring_enter2((unsigned)ring->uring.ring_fd, 0, 0, 0, NULL, 0);
    return code >= 0 || code == -EBADFD ? 0 : code;
}

static int ring_refused(int code, struct cmds_error *error)
{
    char text[252];
    (void)cmdi_probe_setup_error(code, text, sizeof(text));
    return cmdi_fail(error, code, "%s", text);
}

static int ring_setup(struct cmdi_ring *ring, const struct cmdi_ring_options *options,
        struct ring_patience *patience, struct cmds_error *error)
{
    struct io_uring_params params;
    int code = ring_setup_queues(ring, options, &params, patience);
    ring->uring_ready = code >= 0;
    code = code >= 0 ? ring_try_enter(ring) : code;
    if (code < 0) {
        return ring_refused(code, error);
    }
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

static int ring_setup_buffers(struct cmdi_ring *ring, const struct cmdi_ring_options *options,
        struct ring_patience *patience, struct cmds_error *error)
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
    int code = 0;
    do {
        code = io_uring_register_buf_ring(&ring->uring, &registration, 0);
    } while (code == -ENOMEM && ring_wait_for_memory(patience, RING_SETUP_WAIT_MAX_MS));
    if (code == -ENOMEM) {
        return ring_refused(code, error);
    }
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
    struct ring_patience patience = {0};
    ring->side_capacity = RING_SIDE_CAPACITY;
    ring->side = malloc(ring->side_capacity * sizeof(*ring->side));
    int code = ring->side != NULL ? 0 : cmdi_fail(error, -ENOMEM, "no memory for a ring");
    if (code == 0) {
        code = ring_setup(ring, options, &patience, error);
    }
    if (code == 0) {
        code = ring_setup_buffers(ring, options, &patience, error);
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

static uint32_t ring_unsubmitted(const struct cmdi_ring *ring)
{
    const struct io_uring_sq *sq = &ring->uring.sq;
    return sq->sqe_tail - __atomic_load_n(sq->khead, __ATOMIC_ACQUIRE);
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
    /* What the kernel may still write into stays: better lost than somebody else's. */
    bool written = ring->enabled && ring->in_flight > ring_unsubmitted(ring);
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

uint32_t cmdi_ring_in_flight(const struct cmdi_ring *ring)
{
    return ring->in_flight;
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
    if (CMDI_UNLIKELY(ring->broken < 0)) {
        return ring->broken;
    }
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
            ring_unsubmitted(ring) == 0) {
        ring_publish_buffers(ring);
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

void cmdi_ring_recv_once(struct cmdi_ring *ring, int fd, uint64_t user_data)
{
    struct io_uring_sqe *sqe = ring_sqe(ring);
    io_uring_prep_recv(sqe, fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = RING_BUFFER_GROUP;
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

void cmdi_ring_watch(struct cmdi_ring *ring, int fd, bool finish, uint64_t user_data)
{
    struct io_uring_sqe *sqe = ring_sqe(ring);
    io_uring_prep_poll_add(sqe, fd, POLLERR | POLLHUP | (finish ? (unsigned)POLLRDHUP : 0));
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

static uint32_t ring_take_queue(
        struct cmdi_ring *ring, struct cmdi_completion *completions, uint32_t max)
{
    uint32_t count = 0;
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
    uint32_t count = 0;
    while (ring->side_begin < ring->side_end && count < max) {
        completions[count++] = ring->side[ring->side_begin++];
    }
    count += ring_take_queue(ring, completions + count, max - count);
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

/* SPDX-License-Identifier: MIT */
/*
 * Operations of a ring, from the kernel's side: each is tried when it is issued, or later; if it would
 * have to wait it watches its socket, and a change makes it work for the next enter.
 *
 * What a kernel is free to do is done by chance: an operation is not tried at once, data is copied in
 * parts and late, a multishot operation ends, and a cancel meets its target between two states.
 * CMDS_SIM_KERNEL adds what it does when it is short of something or interrupted.
 */
#include <errno.h>

#include "sim/process.h"
#include "sim/ring_kernel.h"

enum {
    OPS_PER_CHUNK = 32,
    WORK_TRIES_MAX = 32,      // Of a receive, before others have their turn.
    WORK_PER_ENTER = 17 * 20, // An enter enters up to 17 times, and each does about 20.
    WORK_INTERRUPTED = 400,   // Of so many tries, one.
    WORK_NO_BUFFER = 200,     // Of so many buffers, one is not to be had.
    WORK_END_WITH_BUFFER = 4, // Of so many ends, one takes a buffer along.
    WORK_SEND_IN_PARTS = 8,   // Of so many sends, one.
    WORK_CANCEL_MISSES = 4,   // Of so many that could, one.
    WORK_ENDS = 100,          // Of so many completions that could be followed by more, one is not.
    WORK_RESET_UNSEEN = 3,    // Of so many resets right behind bytes, one.
    WORK_WOKEN = 8,           // Result of the READ: it has read 8 bytes.
};

static const char *const op_names[] = {
        [CMDI_RING_ACCEPT] = "accept",
        [CMDI_RING_CONNECT] = "connect",
        [CMDI_RING_RECV] = "recv",
        [CMDI_RING_SEND] = "send",
        [CMDI_RING_WATCH] = "watch",
        [CMDI_RING_CANCEL] = "cancel",
        [CMDI_RING_CANCEL_ALL] = "cancel all",
        [CMDI_RING_READ_WAKE] = "wake",
        [CMDI_RING_ALARM] = "alarm",
        [CMDI_RING_ALARM_MOVE] = "move alarm",
};

#define STATE(name) (1u << CMDI_RING_OP_##name)
static const uint8_t op_moves[] = {
        [CMDI_RING_OP_FREE] = STATE(QUEUED),
        [CMDI_RING_OP_QUEUED] = STATE(ARMED) | STATE(WORK) | STATE(FREE),
        [CMDI_RING_OP_ARMED] = STATE(WORK) | STATE(FREE),
        [CMDI_RING_OP_WORK] = STATE(ARMED) | STATE(WORK) | STATE(FREE),
};

static void op_move(struct cmdi_ring_op *op, enum cmdi_ring_op_state next)
{
    CMDI_ASSERT((op_moves[op->state] & (1u << next)) != 0);
    op->state = (uint8_t)next;
}

/* One in `n`; 0: never. */
static bool by_chance(uint32_t n)
{
    return n > 0 && cmdi_sim_below(CMDI_CHANCE_KERNEL, n) == 0;
}

static bool fault(uint32_t n)
{
    return cmdi_sim_befalls(CMDS_SIM_KERNEL, CMDI_CHANCE_KERNEL, n);
}

/* --- Operations as memory --------------------------------------------------------------------- */

static struct cmdi_list *op_bucket(struct cmdi_ring_kernel *kernel, uint64_t user_data)
{
    uint64_t hash = user_data * 0x9e3779b97f4a7c15u;
    return &kernel->buckets[hash >> 56];
}
_Static_assert(CMDI_RING_BUCKETS == 256, "the eight highest bits of the hash");

static void op_add_chunk(struct cmdi_ring_kernel *kernel)
{
    struct cmdi_ring_op *chunk = cmdi_sim_alloc(OPS_PER_CHUNK * sizeof(*chunk));
    kernel->chunks = cmdi_sim_realloc(
            kernel->chunks, (kernel->chunk_count + 1) * sizeof(struct cmdi_ring_op *));
    kernel->chunks[kernel->chunk_count++] = chunk;
    for (uint32_t i = 0; i < OPS_PER_CHUNK; i++) {
        cmdi_list_init(&chunk[i].link);
        cmdi_list_init(&chunk[i].watch.link);
        chunk[i].kernel = kernel;
        cmdi_list_push(&kernel->free_ops, &chunk[i].link);
    }
}

static void op_changed(struct cmdi_sock_watch *watch);

struct cmdi_ring_op *cmdi_ring_op_new(struct cmdi_ring_kernel *kernel)
{
    if (cmdi_list_empty(&kernel->free_ops)) {
        op_add_chunk(kernel);
    }
    struct cmdi_ring_op *op =
            CMDI_CONTAINER(cmdi_list_pop(&kernel->free_ops), struct cmdi_ring_op, link);
    *op = (struct cmdi_ring_op){.kernel = kernel, .watch = {.changed = op_changed}};
    cmdi_list_init(&op->link);
    cmdi_list_init(&op->watch.link);
    op_move(op, CMDI_RING_OP_QUEUED);
    return op;
}

/* The kernel has done with it: what it held goes first, then it is free for another. */
static void op_end(struct cmdi_ring_op *op)
{
    struct cmdi_ring_kernel *kernel = op->kernel;
    struct cmdi_sock *sock = op->sock;
    kernel->wake = kernel->wake == op ? NULL : kernel->wake;
    if (kernel->alarm == op) {
        kernel->alarm = NULL;
        cmdi_event_off(&kernel->alarm_event);
    }
    op_move(op, CMDI_RING_OP_FREE);
    op->sock = NULL;
    cmdi_list_remove(&op->link);
    cmdi_list_push(kernel->free_ops.next, &op->link); // The last one is the next: it is at hand.
    if (sock != NULL) {
        cmdi_sock_unwatch(&op->watch);
        cmdi_file_unref(cmdi_sock_file(sock));
    }
}

void cmdi_ring_ops_fini(struct cmdi_ring_kernel *kernel)
{
    for (uint32_t i = 0; i < kernel->chunk_count; i++) {
        for (uint32_t k = 0; k < OPS_PER_CHUNK; k++) {
            if (kernel->chunks[i][k].state != CMDI_RING_OP_FREE) {
                op_end(&kernel->chunks[i][k]);
            }
        }
    }
    for (uint32_t i = 0; i < kernel->chunk_count; i++) {
        cmdi_sim_free(kernel->chunks[i]);
    }
    cmdi_sim_free(kernel->chunks);
    cmdi_sim_free(kernel->work);
}

/* --- From one state to the next --------------------------------------------------------------- */

static void op_post(struct cmdi_ring_op *op, int64_t result, uint32_t flags, uint16_t buffer)
{
    struct cmdi_completion completion = {.user_data = op->user_data,
            .result = (int32_t)result,
            .buffer = buffer,
            .flags = (uint16_t)flags};
    if (op->kind < CMDI_RING_CANCEL_ALL) {
        cmdi_sim_trace(op_names[op->kind], op->user_data,
                (uint64_t)flags << 32 | (uint32_t)completion.result);
    }
    cmdi_ring_post(op->kernel, &completion);
}

/* Its last completion. */
static void op_complete_with(
        struct cmdi_ring_op *op, int64_t result, uint32_t flags, uint16_t buffer)
{
    op_post(op, result, flags, buffer);
    op_end(op);
}

static void op_complete(struct cmdi_ring_op *op, int64_t result)
{
    op_complete_with(op, result, 0, 0);
}

/* Multishot, and it continues if it can. Returns: it does. */
static bool op_continue(struct cmdi_ring_op *op, int64_t result, uint32_t flags, uint16_t buffer)
{
    struct cmdi_ring_kernel *kernel = op->kernel;
    if (op->once || cmdi_ring_is_full(kernel) || fault(WORK_ENDS)) {
        op_complete_with(op, result, flags, buffer);
        return false;
    }
    op_post(op, result, flags | CMDI_COMPLETION_MORE, buffer);
    return true;
}

static void op_work_later(struct cmdi_ring_op *op)
{
    struct cmdi_ring_kernel *kernel = op->kernel;
    op_move(op, CMDI_RING_OP_WORK);
    if (kernel->work_count == kernel->work_capacity) {
        kernel->work_capacity = kernel->work_capacity > 0 ? kernel->work_capacity * 2 : 64;
        kernel->work = cmdi_sim_realloc(
                kernel->work, kernel->work_capacity * sizeof(struct cmdi_ring_op *));
    }
    kernel->work[kernel->work_count++] = op;
}

void cmdi_ring_op_ready(struct cmdi_ring_op *op)
{
    CMDI_ASSERT(op->state == CMDI_RING_OP_ARMED);
    op_work_later(op);
    (void)cmdi_sim_wake(&op->kernel->waiters, 1);
}

static uint32_t op_awaits(const struct cmdi_ring_op *op)
{
    const uint32_t over = CMDI_SOCK_FAILED | CMDI_SOCK_GONE;
    switch ((enum cmdi_ring_kind)op->kind) {
    case CMDI_RING_ACCEPT:
    case CMDI_RING_RECV:
        return over | CMDI_SOCK_READABLE | CMDI_SOCK_FINISHED;
    case CMDI_RING_CONNECT:
    case CMDI_RING_SEND:
        return over | CMDI_SOCK_WRITABLE;
    case CMDI_RING_WATCH:
        return over | CMDI_SOCK_FINISHED;
    default:
        return 0;
    }
}

static void op_changed(struct cmdi_sock_watch *watch)
{
    struct cmdi_ring_op *op = CMDI_CONTAINER(watch, struct cmdi_ring_op, watch);
    if (op->state == CMDI_RING_OP_ARMED &&
            (cmdi_sock_state(op->sock) & op_awaits(op) & ~op->told) != 0) {
        cmdi_ring_op_ready(op);
    }
}

/* It would have to wait. */
static void op_arm(struct cmdi_ring_op *op)
{
    op_move(op, CMDI_RING_OP_ARMED);
    if (op->sock != NULL && cmdi_list_empty(&op->watch.link)) {
        cmdi_sock_watch(op->sock, &op->watch);
    }
}

/* --- What each of them does ------------------------------------------------------------------- */

/* The end is as good as a byte, whatever has come behind it. */
static bool op_has_more(const struct cmdi_ring_op *op)
{
    return cmdi_sock_unread(op->sock) > 0 || cmdi_sock_has_end(op->sock);
}

/* A reset that came right behind the bytes may have been told of together with them. */
static bool op_sees_more(const struct cmdi_ring_op *op)
{
    uint32_t state = cmdi_sock_state(op->sock) & op_awaits(op);
    return state != 0 && !((state & CMDI_SOCK_FAILED) != 0 && by_chance(WORK_RESET_UNSEEN));
}

/* A buffer is chosen first, so without one it ends even if nothing has come. */
static void op_recv(struct cmdi_ring_op *op)
{
    struct cmdi_ring_buffers *buffers = &op->kernel->buffers;
    for (uint32_t i = 0; i < WORK_TRIES_MAX; i++) {
        uint8_t *data = fault(WORK_NO_BUFFER) ? NULL : cmdi_ring_buffer_next(buffers);
        if (data == NULL) {
            op_complete(op, -ENOBUFS);
            return;
        }
        size_t room = cmdi_ring_buffer_next_size(buffers);
        room = op->once && room > buffers->options.buffer_size ? buffers->options.buffer_size
                                                               : room;
        int64_t got = cmdi_sock_recv(op->sock, data, room);
        if (got == -EAGAIN) {
            op_arm(op);
            return;
        }
        if (got <= 0 && fault(WORK_END_WITH_BUFFER)) { // As a worker of the kernel leaves it.
            op_complete_with(op, got, CMDI_COMPLETION_BUFFER, cmdi_ring_buffer_take(buffers, 0));
            return;
        }
        if (got <= 0) {
            op_complete(op, got);
            return;
        }
        bool more = op_has_more(op);
        uint32_t flags = CMDI_COMPLETION_BUFFER | (more ? CMDI_COMPLETION_NONEMPTY : 0);
        if (!op_continue(op, got, flags, cmdi_ring_buffer_take(buffers, (size_t)got))) {
            return;
        }
        if (!more && !op_sees_more(op)) {
            op_arm(op);
            return;
        }
    }
    op_work_later(op); // Others first.
}

/* The data is read as late as there is room for it: whoever changes it before the end is found out. */
static void op_send(struct cmdi_ring_op *op)
{
    while (op->done < op->size) {
        size_t size = op->size - op->done;
        bool in_parts = size > 1 && by_chance(WORK_SEND_IN_PARTS);
        size = in_parts ? 1 + (size_t)cmdi_sim_below(CMDI_CHANCE_KERNEL, size - 1) : size;
        int64_t sent = cmdi_sock_send(op->sock, op->data + op->done, size);
        if (sent == -EAGAIN) {
            op_arm(op);
            return;
        }
        if (sent < 0) {
            op_complete(op, op->done > 0 ? (int64_t)op->done : sent);
            return;
        }
        op->done += (size_t)sent;
        if (in_parts && op->done < op->size) { // As if there were no room for the rest.
            op_work_later(op);
            return;
        }
    }
    op_complete(op, (int64_t)op->done);
}

/* The kernel takes a descriptor first: without one, whoever waits goes on waiting. */
static void op_accept(struct cmdi_ring_op *op)
{
    struct cmdi_file *nothing = op->kernel->nothing;
    for (;;) {
        struct cmdi_file *file = NULL;
        bool poll_first = (op->kernel->features & (1u << CMDI_RING_FEATURE_ACCEPT_POLL_FIRST)) != 0;
        if (poll_first && (cmdi_sock_state(op->sock) & op_awaits(op)) == 0) {
            op_arm(op);
            return;
        }
        cmdi_file_ref(nothing);
        int fd = cmdi_fd_add(nothing);
        int code = fd < 0 ? fd : cmdi_sock_accept(op->sock, &file);
        if (code == 0) {
            cmdi_file_unref(cmdi_fd_replace(fd, file));
        } else {
            cmdi_file_unref(fd < 0 ? nothing : cmdi_fd_take(fd));
        }
        if (code == -EAGAIN) {
            op_arm(op);
            return;
        }
        if (code < 0) {
            op_complete(op, code);
            return;
        }
        if (!op_continue(op, fd, 0, 0)) {
            return;
        }
    }
}

static void op_connect(struct cmdi_ring_op *op)
{
    int code = cmdi_sock_connected(op->sock);
    if (code == -EINPROGRESS) {
        op_arm(op);
    } else {
        op_complete(op, code);
    }
}

/*
 * As the kernel's poll, which tells that the peer has finished whether it is asked or not. Multishot, it
 * tells what there is at first, and then at each change.
 */
static void op_look(struct cmdi_ring_op *op)
{
    uint32_t state = cmdi_sock_state(op->sock) & op_awaits(op);
    if (state == 0) {
        op_arm(op);
        return;
    }
    int32_t result = ((state & CMDI_SOCK_FAILED) != 0 ? CMDI_RING_PEER_FAILED : 0) |
                     ((state & CMDI_SOCK_GONE) != 0 ? CMDI_RING_PEER_GONE : 0) |
                     ((state & CMDI_SOCK_FINISHED) != 0 ? CMDI_RING_PEER_FINISHED : 0);
    op->told = state;
    if (op_continue(op, result, 0, 0)) {
        op_arm(op);
    }
}

static void op_read_wake(struct cmdi_ring_op *op)
{
    if (op->kernel->signalled) {
        op->kernel->signalled = false;
        op_complete(op, WORK_WOKEN);
        return;
    }
    op_arm(op);
    op->kernel->wake = op;
}

static bool op_is_interrupted(const struct cmdi_ring_op *op)
{
    bool can_be = op->kind == CMDI_RING_RECV || op->kind == CMDI_RING_SEND ||
                  op->kind == CMDI_RING_ACCEPT;
    return can_be && fault(WORK_INTERRUPTED);
}

static void op_try(struct cmdi_ring_op *op)
{
    if (op_is_interrupted(op)) {
        op_complete(op, op->done > 0 ? (int64_t)op->done : -EINTR);
        return;
    }
    switch ((enum cmdi_ring_kind)op->kind) {
    case CMDI_RING_ACCEPT:
        op_accept(op);
        break;
    case CMDI_RING_CONNECT:
        op_connect(op);
        break;
    case CMDI_RING_RECV:
        op_recv(op);
        break;
    case CMDI_RING_SEND:
        op_send(op);
        break;
    case CMDI_RING_WATCH:
        op_look(op);
        break;
    case CMDI_RING_READ_WAKE:
        op_read_wake(op);
        break;
    case CMDI_RING_ALARM:
        op_complete(op, -ETIME);
        break;
    default:
        CMDI_ASSERT(false); // The others end when they are issued.
    }
}

/* --- Cancelling ------------------------------------------------------------------------------- */

static struct cmdi_ring_op *op_find(struct cmdi_ring_kernel *kernel, uint64_t user_data)
{
    struct cmdi_list *bucket = op_bucket(kernel, user_data);
    for (struct cmdi_list *node = bucket->next; node != bucket; node = node->next) {
        struct cmdi_ring_op *op = CMDI_CONTAINER(node, struct cmdi_ring_op, link);
        if (op->user_data == user_data && !op->cancelled) {
            return op;
        }
    }
    return NULL;
}

/* A send that has sent something says so, whatever ended it. */
static void op_complete_cancelled(struct cmdi_ring_op *op)
{
    op_complete(op, op->kind == CMDI_RING_SEND && op->done > 0 ? (int64_t)op->done : -ECANCELED);
}

/*
 * Its own completion comes before or behind that of its target. A target that is about to be worked on
 * may be between two states: then it was not found, and goes on.
 */
static void op_cancel(struct cmdi_ring_op *op)
{
    struct cmdi_ring_op *target = op_find(op->kernel, op->target);
    if (target == NULL) {
        op_complete(op, -ENOENT);
        return;
    }
    if (target->state == CMDI_RING_OP_WORK && fault(WORK_CANCEL_MISSES)) {
        op_complete(op, by_chance(2) ? -EALREADY : -ENOENT);
        return;
    }
    target->cancelled = true;
    if (target->state == CMDI_RING_OP_ARMED && by_chance(2)) {
        op_complete_cancelled(target);
    } else if (target->state == CMDI_RING_OP_ARMED) {
        cmdi_ring_op_ready(target);
    }
    op_complete(op, 0);
}

static void op_cancel_all(struct cmdi_ring_op *op)
{
    struct cmdi_ring_kernel *kernel = op->kernel;
    int64_t count = 0;
    for (uint32_t i = 0; i < kernel->chunk_count * OPS_PER_CHUNK; i++) {
        struct cmdi_ring_op *other = &kernel->chunks[i / OPS_PER_CHUNK][i % OPS_PER_CHUNK];
        bool known = other->state == CMDI_RING_OP_ARMED || other->state == CMDI_RING_OP_WORK;
        if (known && !other->cancelled) {
            other->cancelled = true;
            count++;
            if (other->state == CMDI_RING_OP_ARMED) {
                cmdi_ring_op_ready(other);
            }
        }
    }
    op_complete(op, count);
}

/* --- Issue and work --------------------------------------------------------------------------- */

static void op_issue_on_socket(struct cmdi_ring_op *op)
{
    op->sock = cmdi_sock_of_fd(op->fd);
    if (op->sock == NULL) {
        if (op->fd >= 0 && !op->kernel->draining) { // Closed too early, and a stranger's soon.
            cmdi_sim_fail("an operation names descriptor %d, which is no socket", op->fd);
        }
        op_complete(op, -EBADF);
        return;
    }
    cmdi_file_ref(cmdi_sock_file(op->sock));
    int code = op->kind == CMDI_RING_CONNECT ? cmdi_sock_connect(op->sock, op->address) : 0;
    if (code < 0) {
        op_complete(op, code);
        return;
    }
    cmdi_list_push(op_bucket(op->kernel, op->user_data), &op->link);
    bool waits = op->kind == CMDI_RING_RECV && op->quiet &&
                 (cmdi_sock_state(op->sock) & op_awaits(op)) == 0;
    if (waits) {
        op_arm(op);
    } else if (by_chance(op->kernel->late_one_in)) {
        op_work_later(op);
    } else {
        op_try(op);
    }
}

static void op_move_alarm(struct cmdi_ring_op *op)
{
    struct cmdi_ring_op *alarm = op->kernel->alarm;
    bool found = alarm != NULL && alarm->state == CMDI_RING_OP_ARMED;
    if (found) {
        cmdi_event_at(&op->kernel->alarm_event, op->target);
    }
    op_complete(op, found ? 0 : -ENOENT);
}

void cmdi_ring_op_issue(struct cmdi_ring_op *op)
{
    CMDI_ASSERT(op->state == CMDI_RING_OP_QUEUED);
    switch ((enum cmdi_ring_kind)op->kind) {
    case CMDI_RING_CANCEL:
        op_cancel(op);
        break;
    case CMDI_RING_CANCEL_ALL:
        op_cancel_all(op);
        break;
    case CMDI_RING_READ_WAKE:
        op_read_wake(op);
        break;
    case CMDI_RING_ALARM:
        op_arm(op);
        op->kernel->alarm = op;
        cmdi_event_at(&op->kernel->alarm_event, op->target);
        break;
    case CMDI_RING_ALARM_MOVE:
        op_move_alarm(op);
        break;
    default:
        op_issue_on_socket(op);
    }
}

/* The `take` first ones, in any order among them if the ring is like that. */
static void work_do(struct cmdi_ring_kernel *kernel, uint32_t take)
{
    for (uint32_t i = 0; i < take; i++) {
        uint32_t other = i;
        if (kernel->shuffles) {
            other += (uint32_t)cmdi_sim_below(CMDI_CHANCE_KERNEL, take - i);
        }
        struct cmdi_ring_op *op = kernel->work[other];
        kernel->work[other] = kernel->work[i];
        CMDI_ASSERT(op->state == CMDI_RING_OP_WORK);
        if (op->cancelled) {
            op_complete_cancelled(op);
        } else {
            op_try(op);
        }
    }
    kernel->work_count -= take; // What has come meanwhile is behind them.
    for (uint32_t i = 0; i < kernel->work_count; i++) {
        kernel->work[i] = kernel->work[take + i];
    }
}

void cmdi_ring_work(struct cmdi_ring_kernel *kernel)
{
    uint32_t budget = WORK_PER_ENTER;
    bool partly = kernel->work_count > 0 && by_chance(kernel->partly_one_in);
    while (kernel->work_count > 0 && budget > 0) {
        uint32_t take = kernel->work_count;
        if (partly) {
            uint32_t must = kernel->work_left > 0 ? kernel->work_left : 1;
            take = must + (uint32_t)cmdi_sim_below(CMDI_CHANCE_KERNEL, take - must + 1);
        }
        take = take < budget ? take : budget;
        work_do(kernel, take);
        budget = partly ? 0 : budget - take;
    }
    kernel->work_left = kernel->work_count;
}

/* SPDX-License-Identifier: MIT */
/*
 * A ring over the simulated network. See ring/ring.h for what it promises.
 *
 *     queued   by the functions below      -> enter -> armed: waits for its socket, with a watch
 *     armed    its socket has changed      -> ready: work of the ring, which an enter does
 *     ready    an enter has done it        -> completions, and armed again if more may come
 *
 * As the kernel, it does the work for a ring in an enter of its own and at no other time, some of it now
 * and then, and in an order that nobody promised: only the completions of one operation keep theirs.
 */
#include "ring/ring.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "sim/ring_inside.h"

enum {
    RING_WORK_PER_ENTER = 20, // As from 6.14 on.
    RING_RECVS_AT_ONCE = 32,
    RING_ENDS_ONE_IN = 40, // A multishot operation that has no reason to; CMDS_SIM_KERNEL.
    RING_NO_BUFFER_ONE_IN = 60,
    RING_WAKES_ONE_IN = 100, // A wait that ends for nothing.
    RING_MISSES_ONE_IN = 10, // A cancel that finds its target between two states.
    RING_LATE_ONE_IN = 4,    // A send that is not done when it is submitted.
    RING_UNSEEN_ONE_IN = 4,  // A reset right behind bytes: the kernel's poll has told of both.
};

static void ring_assert_owner(const struct cmdi_ring *ring)
{
    CMDI_ASSERT(!ring->enabled || ring->owner == cmdi_sim_thread());
}

/* --- Operations ------------------------------------------------------------------------------- */

static void operation_free(struct operation *operation)
{
    struct cmdi_ring *ring = operation->ring;
    if (operation->sock != NULL) {
        cmdi_sock_unwatch(&operation->watch);
        cmdi_file_unref(cmdi_sock_file(operation->sock));
    }
    cmdi_list_remove(&operation->link);
    cmdi_list_remove(&operation->work);
    cmdi_list_push(&ring->spare, &operation->link);
    ring->in_flight--;
}

void ring_complete(struct operation *operation, int64_t result, uint32_t flags, uint32_t buffer)
{
    struct cmdi_ring *ring = operation->ring;
    if (ring->completion_count == ring->completion_room) {
        uint32_t room = ring->completion_room > 0 ? ring->completion_room * 2 : 64;
        struct cmdi_completion *grown = cmdi_sim_alloc(room * sizeof(*grown));
        for (uint32_t i = 0; i < ring->completion_count; i++) {
            grown[i] = ring->completions[(ring->completion_first + i) % ring->completion_room];
        }
        cmdi_sim_free(ring->completions);
        ring->completions = grown;
        ring->completion_room = room;
        ring->completion_first = 0;
    }
    uint32_t place = (ring->completion_first + ring->completion_count++) % ring->completion_room;
    ring->completions[place] = (struct cmdi_completion){.user_data = operation->user_data,
            .result = (int32_t)result,
            .buffer = (uint16_t)buffer,
            .flags = (uint16_t)flags};
    cmdi_sim_trace("completes", operation->user_data, (uint64_t)(uint32_t)result << 8 | flags);
    if ((flags & CMDI_COMPLETION_MORE) == 0) {
        operation_free(operation);
    }
}

static uint32_t operation_wants(const struct operation *operation)
{
    switch ((enum operation_kind)operation->kind) {
    case OPERATION_ACCEPT:
    case OPERATION_RECV:
        return CMDI_SOCK_READABLE | CMDI_SOCK_FAILED | CMDI_SOCK_GONE;
    case OPERATION_CONNECT:
    case OPERATION_SEND:
        return CMDI_SOCK_WRITABLE | CMDI_SOCK_FAILED | CMDI_SOCK_GONE;
    case OPERATION_WATCH:
        return CMDI_SOCK_FAILED | CMDI_SOCK_GONE |
               (operation->finish ? (uint32_t)CMDI_SOCK_FINISHED : 0);
    case OPERATION_CANCEL:
        break;
    }
    return 0;
}

/* First or last: nobody knows what an enter does first. */
static void operation_is_ready(struct operation *operation)
{
    struct cmdi_ring *ring = operation->ring;
    if (!cmdi_list_empty(&operation->work)) {
        return;
    }
    bool first = cmdi_sim_below(CMDI_CHANCE_KERNEL, 2) == 0;
    cmdi_list_push(first && !cmdi_list_empty(&ring->work) ? ring->work.next : &ring->work,
            &operation->work);
    (void)cmdi_sim_wake(&ring->waiting, 1);
}

static void operation_changed(struct cmdi_sock_watch *watch)
{
    struct operation *operation = CMDI_CONTAINER(watch, struct operation, watch);
    if ((cmdi_sock_state(operation->sock) & operation_wants(operation)) != 0) {
        operation_is_ready(operation);
    }
}

/* --- What an enter does with one -------------------------------------------------------------- */

static bool operation_recv_once(struct operation *operation)
{
    struct cmdi_ring *ring = operation->ring;
    bool none = cmdi_ring_buffers_free(ring) == 0;
    if (none || cmdi_sim_befalls(CMDS_SIM_KERNEL, CMDI_CHANCE_KERNEL, RING_NO_BUFFER_ONE_IN)) {
        ring_complete(operation, -ENOBUFS, 0, 0);
        return false;
    }
    uint32_t buffer = ring_buffer_take(ring);
    int64_t size = cmdi_sock_recv(
            operation->sock, cmdi_ring_buffer(ring, (uint16_t)buffer), ring->options.buffer_size);
    if (size <= 0) {
        ring_buffer_untake(ring, buffer);
        if (size != -EAGAIN) {
            ring_complete(operation, size, 0, 0);
        }
        return false;
    }
    bool more = !operation->once &&
                !cmdi_sim_befalls(CMDS_SIM_KERNEL, CMDI_CHANCE_KERNEL, RING_ENDS_ONE_IN);
    bool nonempty = cmdi_sock_unread(operation->sock) > 0;
    bool unseen = !nonempty && (cmdi_sock_state(operation->sock) & CMDI_SOCK_FAILED) != 0 &&
                  cmdi_sim_below(CMDI_CHANCE_KERNEL, RING_UNSEEN_ONE_IN) == 0;
    ring_complete(operation, size,
            CMDI_COMPLETION_BUFFER | (more ? (uint32_t)CMDI_COMPLETION_MORE : 0) |
                    (nonempty ? (uint32_t)CMDI_COMPLETION_NONEMPTY : 0),
            buffer);
    return more && !unseen;
}

static void operation_recv(struct operation *operation)
{
    uint32_t count = 0;
    while (operation_recv_once(operation)) {
        if (++count == RING_RECVS_AT_ONCE) {
            operation_is_ready(operation);
            return;
        }
    }
}

static void operation_accept(struct operation *operation)
{
    bool more = true;
    while (more) {
        struct cmdi_file *file = NULL;
        int code = cmdi_sock_accept(operation->sock, &file);
        if (code == -EAGAIN) {
            return;
        }
        int fd = code == 0 ? cmdi_fd_add(file) : code;
        if (code == 0 && fd < 0) {
            cmdi_file_unref(file);
        }
        more = fd >= 0 && !operation->once &&
               !cmdi_sim_befalls(CMDS_SIM_KERNEL, CMDI_CHANCE_KERNEL, RING_ENDS_ONE_IN);
        ring_complete(operation, fd, more ? CMDI_COMPLETION_MORE : 0, 0);
    }
}

static void operation_send(struct operation *operation)
{
    while (operation->done < operation->size) {
        int64_t sent = cmdi_sock_send(operation->sock, operation->data + operation->done,
                operation->size - operation->done);
        if (sent == -EAGAIN) {
            return;
        }
        if (sent < 0) {
            ring_complete(operation, operation->done > 0 ? (int64_t)operation->done : sent, 0, 0);
            return;
        }
        operation->done += (size_t)sent;
    }
    ring_complete(operation, (int64_t)operation->done, 0, 0);
}

static void operation_connect(struct operation *operation)
{
    int code = cmdi_sock_connected(operation->sock);
    if (code != -EINPROGRESS) {
        ring_complete(operation, code, 0, 0);
    }
}

static void operation_watch(struct operation *operation)
{
    uint32_t state = cmdi_sock_state(operation->sock) & operation_wants(operation);
    if (state != 0) {
        ring_complete(operation,
                ((state & CMDI_SOCK_FAILED) != 0 ? CMDI_RING_PEER_FAILED : 0) |
                        ((state & CMDI_SOCK_GONE) != 0 ? CMDI_RING_PEER_GONE : 0) |
                        ((state & CMDI_SOCK_FINISHED) != 0 ? CMDI_RING_PEER_FINISHED : 0),
                0, 0);
    }
}

static void operation_do(struct operation *operation)
{
    switch ((enum operation_kind)operation->kind) {
    case OPERATION_ACCEPT:
        operation_accept(operation);
        break;
    case OPERATION_CONNECT:
        operation_connect(operation);
        break;
    case OPERATION_RECV:
        operation_recv(operation);
        break;
    case OPERATION_SEND:
        operation_send(operation);
        break;
    case OPERATION_WATCH:
        operation_watch(operation);
        break;
    case OPERATION_CANCEL:
        CMDI_ASSERT(false);
        break;
    }
}

/* --- Submission ------------------------------------------------------------------------------- */

static struct operation *ring_find(const struct cmdi_ring *ring, uint64_t user_data)
{
    for (struct cmdi_list *node = ring->armed.next; node != &ring->armed; node = node->next) {
        struct operation *operation = CMDI_CONTAINER(node, struct operation, link);
        if (operation->user_data == user_data) {
            return operation;
        }
    }
    return NULL;
}

static void ring_end(struct operation *operation)
{
    bool partly = operation->kind == OPERATION_SEND && operation->done > 0;
    ring_complete(operation, partly ? (int64_t)operation->done : -ECANCELED, 0, 0);
}

static void operation_cancel(struct operation *cancel)
{
    struct operation *target = ring_find(cancel->ring, cancel->target);
    bool may_miss = target != NULL &&
                    (target->kind == OPERATION_RECV || target->kind == OPERATION_ACCEPT) &&
                    !cancel->ring->draining;
    if (target == NULL) {
        ring_complete(cancel, -ENOENT, 0, 0);
    } else if (may_miss &&
               cmdi_sim_befalls(CMDS_SIM_KERNEL, CMDI_CHANCE_KERNEL, RING_MISSES_ONE_IN)) {
        ring_complete(
                cancel, cmdi_sim_below(CMDI_CHANCE_KERNEL, 2) == 0 ? -ENOENT : -EALREADY, 0, 0);
    } else if (cmdi_sim_below(CMDI_CHANCE_KERNEL, 2) == 0) {
        ring_end(target);
        ring_complete(cancel, 0, 0, 0);
    } else {
        ring_complete(cancel, 0, 0, 0);
        ring_end(target);
    }
}

static void operation_submit(struct operation *operation)
{
    struct cmdi_ring *ring = operation->ring;
    cmdi_list_remove(&operation->link);
    cmdi_list_push(&ring->armed, &operation->link);
    if (operation->kind == OPERATION_CANCEL) {
        operation_cancel(operation);
        return;
    }
    struct cmdi_sock *sock = cmdi_sock_of_fd(operation->fd);
    if (sock == NULL) {
        cmdi_sim_fail("an operation names descriptor %d, which is no socket", operation->fd);
        ring_complete(operation, -EBADF, 0, 0);
        return;
    }
    operation->sock = sock;
    cmdi_file_ref(cmdi_sock_file(sock));
    operation->watch.changed = operation_changed;
    cmdi_sock_watch(sock, &operation->watch);
    if (operation->kind == OPERATION_CONNECT) {
        int code = cmdi_sock_connect(sock, &operation->address);
        if (code < 0) {
            ring_complete(operation, code, 0, 0);
        }
        return;
    }
    bool late = operation->kind == OPERATION_SEND &&
                cmdi_sim_below(CMDI_CHANCE_KERNEL, RING_LATE_ONE_IN) == 0;
    if (late || operation->poll_first) {
        operation_changed(&operation->watch);
    } else {
        operation_do(operation);
    }
}

static void ring_submit(struct cmdi_ring *ring)
{
    ring->queued_count = 0;
    while (!cmdi_list_empty(&ring->queued)) {
        operation_submit(CMDI_CONTAINER(ring->queued.next, struct operation, link));
    }
}

static struct operation *ring_queue(
        struct cmdi_ring *ring, enum operation_kind kind, int fd, uint64_t user_data)
{
    ring_assert_owner(ring);
    CMDI_ASSERT(user_data > CMDI_RING_OWN_MAX);
    if (ring->queued_count == ring->options.entries && ring->broken == 0) {
        if (!ring->enabled) {
            (void)cmdi_ring_enable(ring);
        }
        ring_submit(ring); // The kernel has to take some first.
    }
    struct cmdi_list *spare = cmdi_list_pop(&ring->spare);
    struct operation *operation = spare != NULL ? CMDI_CONTAINER(spare, struct operation, link)
                                                : cmdi_sim_alloc(sizeof(*operation));
    *operation = (struct operation){
            .ring = ring, .kind = (uint8_t)kind, .fd = fd, .user_data = user_data};
    cmdi_list_init(&operation->link);
    cmdi_list_init(&operation->work);
    cmdi_list_push(&ring->queued, &operation->link);
    ring->queued_count++;
    ring->in_flight++;
    return operation;
}

void cmdi_ring_accept(struct cmdi_ring *ring, int fd, bool once, uint64_t user_data)
{
    ring_queue(ring, OPERATION_ACCEPT, fd, user_data)->once = once;
}

void cmdi_ring_connect(
        struct cmdi_ring *ring, int fd, const struct cmdi_address *address, uint64_t user_data)
{
    ring_queue(ring, OPERATION_CONNECT, fd, user_data)->address = *address;
}

void cmdi_ring_recv(struct cmdi_ring *ring, int fd, bool poll_first, uint64_t user_data)
{
    ring_queue(ring, OPERATION_RECV, fd, user_data)->poll_first = poll_first;
}

void cmdi_ring_recv_once(struct cmdi_ring *ring, int fd, uint64_t user_data)
{
    ring_queue(ring, OPERATION_RECV, fd, user_data)->once = true;
}

void cmdi_ring_send(
        struct cmdi_ring *ring, int fd, const void *data, size_t size, uint64_t user_data)
{
    struct operation *operation = ring_queue(ring, OPERATION_SEND, fd, user_data);
    operation->data = data;
    operation->size = size;
}

void cmdi_ring_watch(struct cmdi_ring *ring, int fd, bool finish, uint64_t user_data)
{
    ring_queue(ring, OPERATION_WATCH, fd, user_data)->finish = finish;
}

void cmdi_ring_cancel(struct cmdi_ring *ring, uint64_t target, uint64_t user_data)
{
    ring_queue(ring, OPERATION_CANCEL, -1, user_data)->target = target;
}

void cmdi_ring_alarm(struct cmdi_ring *ring, uint64_t at_ns)
{
    (void)ring; // For cmdi_ring_fd(), which nobody can wait on here.
    (void)at_ns;
}

/* --- The turn --------------------------------------------------------------------------------- */

/* What is harvested next: no more than the queue holds, the rest when there is room again. */
static void ring_show(struct cmdi_ring *ring)
{
    uint32_t room = ring->options.completion_entries;
    ring->shown = ring->completion_count < room ? ring->completion_count : room;
}

static void ring_work(struct cmdi_ring *ring)
{
    uint64_t left = cmdi_sim_below(CMDI_CHANCE_KERNEL, 4) == 0
                            ? 1 + cmdi_sim_below(CMDI_CHANCE_KERNEL, RING_WORK_PER_ENTER)
                            : RING_WORK_PER_ENTER;
    for (; left > 0 && !cmdi_list_empty(&ring->work); left--) {
        struct operation *operation = CMDI_CONTAINER(ring->work.next, struct operation, work);
        cmdi_list_remove(&operation->work);
        operation_do(operation);
    }
    ring_show(ring);
}

bool cmdi_ring_has_work(const struct cmdi_ring *ring)
{
    return ring->completion_count > 0 || !cmdi_list_empty(&ring->work) || ring->woken;
}

uint32_t cmdi_ring_in_flight(const struct cmdi_ring *ring)
{
    return ring->in_flight;
}

static void ring_wait(struct cmdi_ring *ring, uint64_t wait_ns)
{
    uint64_t now_ns = cmdi_sim_now();
    uint64_t until_ns = wait_ns < CMDI_SIM_NEVER - now_ns ? now_ns + wait_ns : CMDI_SIM_NEVER;
    while (ring->shown == 0 && !ring->woken && cmdi_sim_now() < until_ns) {
        if (cmdi_list_empty(&ring->work)) {
            if (cmdi_sim_befalls(CMDS_SIM_KERNEL, CMDI_CHANCE_KERNEL, RING_WAKES_ONE_IN)) {
                return; // A signal, say.
            }
            (void)cmdi_sim_wait(&ring->waiting, until_ns, "completions");
        }
        ring_work(ring);
    }
}

int cmdi_ring_enter(struct cmdi_ring *ring, uint64_t wait_ns)
{
    ring_assert_owner(ring);
    cmdi_sim_yield();
    if (ring->broken < 0) {
        return ring->broken;
    }
    CMDI_ASSERT(ring->enabled);
    ring_submit(ring);
    ring_work(ring);
    if (wait_ns != CMDI_RING_WAIT_NONE) {
        ring_wait(ring, wait_ns);
    }
    ring->woken = false;
    return 0;
}

uint32_t cmdi_ring_harvest(
        struct cmdi_ring *ring, struct cmdi_completion *completions, uint32_t max)
{
    ring_assert_owner(ring);
    uint32_t count = ring->shown < max ? ring->shown : max;
    for (uint32_t i = 0; i < count; i++) {
        completions[i] = ring->completions[ring->completion_first];
        ring->completion_first = (ring->completion_first + 1) % ring->completion_room;
        if ((completions[i].flags & CMDI_COMPLETION_BUFFER) != 0) {
            ring_buffer_hold(ring, completions[i].buffer);
        }
    }
    ring->completion_count -= count;
    ring->shown -= count;
    return count;
}

void cmdi_ring_wake(struct cmdi_ring *ring)
{
    ring->woken = true;
    (void)cmdi_sim_wake(&ring->waiting, 1);
    cmdi_sim_yield();
}

/* --- Life ------------------------------------------------------------------------------------- */

static void ring_drop_operations(struct cmdi_ring *ring)
{
    struct cmdi_list *lists[] = {&ring->queued, &ring->armed};
    for (uint32_t i = 0; i < 2; i++) {
        while (!cmdi_list_empty(lists[i])) {
            operation_free(CMDI_CONTAINER(lists[i]->next, struct operation, link));
        }
    }
}

static void ring_free(struct cmdi_ring *ring)
{
    struct cmdi_list *node = NULL;
    ring_drop_operations(ring);
    while ((node = cmdi_list_pop(&ring->spare)) != NULL) {
        cmdi_sim_free(CMDI_CONTAINER(node, struct operation, link));
    }
    ring_buffers_fini(ring);
    cmdi_sim_free(ring->completions);
    cmdi_sim_free(ring);
}

static void ring_die(struct cmdi_sim_part *part)
{
    ring_free(CMDI_CONTAINER(part, struct cmdi_ring, part));
}

int cmdi_ring_create(
        struct cmdi_ring **out, const struct cmdi_ring_options *options, struct cmds_error *error)
{
    CMDI_ASSERT(options->entries > 0 && options->buffer_size > 0);
    CMDI_ASSERT(options->buffer_count > 0 && options->buffer_count <= options->buffer_count_max);
    CMDI_ASSERT(options->buffer_count_max <= CMDI_RING_BUFFERS_MAX);
    (void)error;
    struct cmdi_ring *ring = cmdi_sim_alloc(sizeof(*ring));
    ring->options = *options;
    cmdi_list_init(&ring->queued);
    cmdi_list_init(&ring->armed);
    cmdi_list_init(&ring->work);
    cmdi_list_init(&ring->spare);
    cmdi_sim_queue_init(&ring->waiting);
    ring_buffers_init(ring);
    ring->part.die = ring_die;
    cmdi_sim_part_add(&ring->part);
    *out = ring;
    return 0;
}

int cmdi_ring_enable(struct cmdi_ring *ring)
{
    if (!ring->enabled) {
        ring->enabled = true;
        ring->owner = cmdi_sim_thread();
    }
    return 0;
}

void cmdi_ring_drain(struct cmdi_ring *ring)
{
    ring_assert_owner(ring);
    ring->draining = true;
    ring_drop_operations(ring);
    ring->completion_count = ring->shown = 0;
}

void cmdi_ring_give_up(struct cmdi_ring *ring)
{
    CMDI_ASSERT(!ring->draining);
    ring->owner = cmdi_sim_thread();
    ring->broken = ring->broken < 0 ? ring->broken : -EXDEV;
}

void cmdi_ring_destroy(struct cmdi_ring *ring)
{
    if (ring != NULL) {
        cmdi_sim_part_remove(&ring->part);
        ring_free(ring);
    }
}

uint32_t cmdi_ring_entries(const struct cmdi_ring *ring)
{
    return ring->options.entries;
}

uint32_t cmdi_ring_features(const struct cmdi_ring *ring)
{
    (void)ring;
    return 0;
}

int cmdi_ring_fd(const struct cmdi_ring *ring)
{
    (void)ring;
    return -1;
}

void cmdi_ring_fd_quiet(struct cmdi_ring *ring)
{
    (void)ring;
}

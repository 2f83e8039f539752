/* SPDX-License-Identifier: MIT */
/*
 * Accepting.
 *
 * When descriptors or memory run out, it rests, longer each time, up to a second: an accept that
 * fails at once would otherwise be a loop.
 *
 * The way out of ACCEPTING is always the accept's last completion. A cancel that arrives while the
 * kernel works on the accept may find nothing, and the accept continues. So the cancel's own
 * completion is checked, and the cancel tried again as long as the accept has not ended.
 */
#include "net/listener.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/error.h"
#include "ring/ring.h"

enum {
    LISTENER_ACCEPT = 1, // Operations of the slot.
    LISTENER_CANCEL = 2,
    LISTENER_REST_MS_MIN = 10,
    LISTENER_REST_MS_MAX = 1000,
    LISTENER_CANCEL_AGAIN_MS = 1,
};

#define BIT(state) (1u << CMDI_LISTENER_##state)

// By state: those that may follow.
static const uint8_t listener_moves[] = {
        [CMDI_LISTENER_CLOSED] = BIT(LISTENING),
        [CMDI_LISTENER_LISTENING] = BIT(ACCEPTING) | BIT(PARKED) | BIT(CLOSED),
        [CMDI_LISTENER_ACCEPTING] = BIT(ACCEPTING) | BIT(RESTING) | BIT(PARKED) | BIT(STOPPING),
        [CMDI_LISTENER_RESTING] = BIT(ACCEPTING) | BIT(PARKED) | BIT(CLOSED),
        [CMDI_LISTENER_PARKED] = BIT(ACCEPTING) | BIT(PARKED) | BIT(CLOSED),
        [CMDI_LISTENER_STOPPING] = BIT(CLOSED),
};

static void listener_move(struct cmdi_listener *listener, enum cmdi_listener_state next)
{
    CMDI_ASSERT((listener_moves[listener->state] & (1u << next)) != 0);
    listener->state = (uint8_t)next;
}

/* Nothing is in flight: the next accept begins, unless the owner takes none for now. */
static void listener_accept(struct cmdi_listener *listener)
{
    if (!listener->ops->may_accept(listener)) {
        listener_move(listener, CMDI_LISTENER_PARKED);
        return;
    }
    listener_move(listener, CMDI_LISTENER_ACCEPTING);
    cmdi_ring_accept(listener->shard->ring, listener->fd, listener->once,
            cmdi_shard_user_data(listener->shard, listener->slot, LISTENER_ACCEPT));
}

/* --- The end ---------------------------------------------------------------------------------- */

static void listener_close(struct cmdi_listener *listener)
{
    listener_move(listener, CMDI_LISTENER_CLOSED);
    cmdi_shard_timer_off(listener->shard, &listener->retry);
    if (listener->slot != UINT32_MAX) {
        cmdi_shard_slot_release(listener->shard, listener->slot);
        listener->slot = UINT32_MAX;
    }
    /*
     * While the socket listens, no other server takes the path for stale, and while it is open, no
     * other file can have its number: the file that is removed is ours.
     */
    cmdi_socket_file_remove(&listener->address, &listener->file);
    if (!listener->is_shared) {
        cmdi_socket_shutdown(listener->fd, SHUT_RDWR); // A forked child has a copy of it.
    }
    cmdi_fd_close(listener->fd);
    listener->fd = -1;
}

static void listener_cancel(struct cmdi_listener *listener)
{
    cmdi_ring_cancel(listener->shard->ring,
            cmdi_shard_user_data(listener->shard, listener->slot, LISTENER_ACCEPT),
            cmdi_shard_user_data(listener->shard, listener->slot, LISTENER_CANCEL));
}

void cmdi_listener_stop(struct cmdi_listener *listener)
{
    CMDI_ASSERT(cmdi_shard_current() == listener->shard);
    if (cmdi_listener_is_over(listener)) {
        return;
    }
    if (listener->state != CMDI_LISTENER_ACCEPTING) {
        listener_close(listener);
        listener->ops->on_closed(listener);
        return;
    }
    listener_move(listener, CMDI_LISTENER_STOPPING);
    cmdi_socket_file_remove(&listener->address, &listener->file); // While it still listens.
    listener_cancel(listener);
}

/* --- Completions ------------------------------------------------------------------------------ */

/* RESTING is over; or the cancel has found nothing, and the accept has not ended since. */
static void listener_on_retry(struct cmdi_timer *timer, uint64_t now_ms)
{
    (void)now_ms;
    struct cmdi_listener *listener = CMDI_CONTAINER(timer, struct cmdi_listener, retry);
    if (listener->state == CMDI_LISTENER_STOPPING) {
        listener_cancel(listener);
    } else {
        listener_accept(listener);
    }
}

/* Returns: it rests. */
static bool listener_rest(struct cmdi_listener *listener, int code)
{
    bool passes = code == -ECONNABORTED || code == -EINTR || code == -EPROTO || code == -EAGAIN;
    if (passes) {
        return false;
    }
    uint32_t doubled = listener->rest_ms * 2;
    listener->rest_ms = listener->rest_ms == 0           ? LISTENER_REST_MS_MIN
                        : doubled < LISTENER_REST_MS_MAX ? doubled
                                                         : LISTENER_REST_MS_MAX;
    listener_move(listener, CMDI_LISTENER_RESTING);
    cmdi_shard_timer(
            listener->shard, &listener->retry, listener->shard->now_ms + listener->rest_ms);
    listener->ops->on_error(listener, code, listener->rest_ms);
    return true;
}

/* The accept has ended, with or without a connection. */
static void listener_ended(struct cmdi_listener *listener, int32_t result)
{
    if (listener->state == CMDI_LISTENER_STOPPING) {
        listener_close(listener);
        listener->ops->on_closed(listener);
        return;
    }
    CMDI_ASSERT(listener->state == CMDI_LISTENER_ACCEPTING);
    if (result >= 0 || !listener_rest(listener, result)) {
        listener_accept(listener);
    }
}

static void listener_on_completion(
        void *owner, uint32_t operation, const struct cmdi_completion *completion)
{
    struct cmdi_listener *listener = owner;
    if (operation == LISTENER_CANCEL) {
        if (completion->result < 0) {
            cmdi_shard_timer(listener->shard, &listener->retry,
                    listener->shard->now_ms + LISTENER_CANCEL_AGAIN_MS);
        }
        return;
    }
    if (completion->result >= 0) {
        listener->rest_ms = 0;
        listener->ops->on_accepted(listener, completion->result);
    }
    if ((completion->flags & CMDI_COMPLETION_MORE) == 0) {
        listener_ended(listener, completion->result);
    }
}

/* --- Life ------------------------------------------------------------------------------------- */

void cmdi_listener_init(struct cmdi_listener *listener, struct cmdi_shard *shard,
        const struct cmdi_listener_ops *ops, bool once)
{
    *listener = (struct cmdi_listener){.shard = shard,
            .ops = ops,
            .fd = -1,
            .slot = UINT32_MAX,
            .state = CMDI_LISTENER_CLOSED,
            .once = once};
    cmdi_timer_init(&listener->retry, listener_on_retry);
}

int cmdi_listener_bind(struct cmdi_listener *listener, const struct cmdi_address *address,
        uint32_t backlog, bool reuse_port, uint32_t keepalive_ms, struct cmds_error *error)
{
    char text[CMDI_ADDRESS_TEXT_MAX];
    int length = backlog < INT32_MAX ? (int)backlog : INT32_MAX;
    int fd = cmdi_socket_listen(address, length, reuse_port, keepalive_ms);
    if (fd < 0) {
        cmdi_address_text(address, text, sizeof(text));
        return cmdi_fail(error, fd, "listen %s: %s%s", text, strerror(-fd),
                fd == -EADDRINUSE ? "; does another server run there?"
                : fd == -EACCES   ? "; ports below 1024 need a privilege"
                                  : "");
    }
    listener->address = *address;
    int code = cmdi_socket_local(fd, &listener->address); // Port 0 has become one.
    cmdi_socket_file_note(address, &listener->file);
    if (code < 0) {
        cmdi_socket_file_remove(address, &listener->file);
        cmdi_fd_close(fd);
        return cmdi_fail(error, code, "listen: the address of a socket: %s", strerror(-code));
    }
    listener->is_shared = false;
    listener->fd = fd;
    listener_move(listener, CMDI_LISTENER_LISTENING);
    return 0;
}

int cmdi_listener_adopt(struct cmdi_listener *listener, int fd, struct cmds_error *error)
{
    struct cmdi_address address = {0};
    int code = cmdi_socket_local(fd, &address);
    code = code == 0 ? cmdi_socket_prepare_listening(fd) : code;
    if (code < 0) {
        return cmdi_fail(error, code, "listen: descriptor %d: %s", fd,
                code == -EINVAL ? "no socket that listens for streams" : strerror(-code));
    }
    listener->address = address;
    listener->file = (struct cmdi_socket_file){0};
    listener->is_shared = true;
    listener->fd = fd;
    listener_move(listener, CMDI_LISTENER_LISTENING);
    return 0;
}

void cmdi_listener_disown(struct cmdi_listener *listener)
{
    listener->file = (struct cmdi_socket_file){0};
    listener->is_shared = true;
}

void cmdi_listener_close(struct cmdi_listener *listener)
{
    CMDI_ASSERT(listener->state == CMDI_LISTENER_LISTENING && listener->slot == UINT32_MAX);
    listener_close(listener);
}

int cmdi_listener_start(struct cmdi_listener *listener)
{
    CMDI_ASSERT(cmdi_shard_current() == listener->shard);
    CMDI_ASSERT(listener->state == CMDI_LISTENER_LISTENING);
    listener->slot = cmdi_shard_slot_acquire(listener->shard, listener_on_completion, listener);
    if (listener->slot == UINT32_MAX) {
        return -ENOMEM;
    }
    listener_accept(listener);
    return 0;
}

void cmdi_listener_resume(struct cmdi_listener *listener)
{
    CMDI_ASSERT(cmdi_shard_current() == listener->shard);
    if (listener->state == CMDI_LISTENER_PARKED) {
        listener_accept(listener);
    }
}

/* SPDX-License-Identifier: MIT */
/* A socket and its operations. See side.h. */
#include "chaos/side.h"

#include <errno.h>

#include "ring/ring.h"
#include "ring/socket.h"

enum {
    SIDE_CANCEL = 16, // Beside enum cmdi_side_operation.
};

static void side_on_completion(
        void *owner, uint32_t operation, const struct cmdi_completion *completion);

void cmdi_side_init(struct cmdi_side *side, struct cmdi_shard *shard,
        const struct cmdi_side_ops *ops, uint8_t index)
{
    *side = (struct cmdi_side){
            .shard = shard, .ops = ops, .fd = -1, .slot = CMDI_SLOT_NONE, .index = index};
}

int cmdi_side_take(struct cmdi_side *side, int fd)
{
    CMDI_ASSERT(side->fd < 0 && side->in_flight == 0);
    side->slot = cmdi_shard_slot_acquire(side->shard, side_on_completion, side);
    if (side->slot == CMDI_SLOT_NONE) {
        return -ENOMEM;
    }
    side->fd = fd;
    side->aborted = false;
    return 0;
}

/* Counts one operation more. Returns: its user data. */
static uint64_t side_begin(struct cmdi_side *side, enum cmdi_side_operation operation)
{
    CMDI_ASSERT(side->fd >= 0 && !side->aborted && !cmdi_side_does(side, operation));
    side->armed |= (uint8_t)operation;
    side->in_flight++;
    return cmdi_shard_user_data(side->shard, side->slot, operation);
}

int cmdi_side_connect(struct cmdi_side *side, const struct cmdi_address *address)
{
    int fd = cmdi_socket_open(address, 0);
    if (fd < 0) {
        return fd;
    }
    int code = cmdi_side_take(side, fd);
    if (code < 0) {
        cmdi_fd_close(fd);
        return code;
    }
    cmdi_ring_connect(side->shard->ring, fd, address, side_begin(side, CMDI_SIDE_CONNECT));
    return 0;
}

void cmdi_side_recv(struct cmdi_side *side)
{
    cmdi_ring_recv_once(side->shard->ring, side->fd, side_begin(side, CMDI_SIDE_RECV));
}

void cmdi_side_send(struct cmdi_side *side, struct cmds_bytes bytes)
{
    CMDI_ASSERT(bytes.size > 0);
    cmdi_ring_send(
            side->shard->ring, side->fd, bytes.data, bytes.size, side_begin(side, CMDI_SIDE_SEND));
}

void cmdi_side_watch(struct cmdi_side *side)
{
    cmdi_ring_watch(side->shard->ring, side->fd, true, side_begin(side, CMDI_SIDE_WATCH));
}

void cmdi_side_finish(struct cmdi_side *side)
{
    CMDI_ASSERT(side->fd >= 0 && !side->aborted);
    cmdi_socket_shutdown(side->fd, SHUT_WR);
}

/* --- The end ---------------------------------------------------------------------------------- */

/* The last completion has come. The owner may free the side in on_closed. */
static void side_close_if_done(struct cmdi_side *side)
{
    if (!side->aborted || side->in_flight > 0 || side->fd < 0) {
        return;
    }
    CMDI_ASSERT(side->armed == 0);
    cmdi_fd_close(side->fd);
    cmdi_shard_slot_release(side->shard, side->slot);
    side->fd = -1;
    side->ops->on_closed(side);
}

/*
 * close(2) would end nothing: operations hold the file. What has reset or shut it ends them, and so
 * does a cancel, whichever comes first.
 */
void cmdi_side_abort(struct cmdi_side *side, bool reset)
{
    CMDI_ASSERT(side->fd >= 0 && !side->aborted);
    if (reset) {
        cmdi_socket_reset(side->fd);
    } else {
        cmdi_socket_shutdown(side->fd, SHUT_RDWR);
    }
    for (uint32_t bit = CMDI_SIDE_CONNECT; bit <= CMDI_SIDE_WATCH; bit *= 2) {
        if (cmdi_side_does(side, bit)) {
            side->in_flight++;
            cmdi_ring_cancel(side->shard->ring, cmdi_shard_user_data(side->shard, side->slot, bit),
                    cmdi_shard_user_data(side->shard, side->slot, SIDE_CANCEL));
        }
    }
    side->aborted = true;
    side_close_if_done(side);
}

/* --- Completions ------------------------------------------------------------------------------ */

static void side_received(struct cmdi_side *side, const struct cmdi_completion *completion)
{
    bool has_buffer = (completion->flags & CMDI_COMPLETION_BUFFER) != 0;
    struct cmds_bytes bytes = {0};
    if (completion->result > 0) {
        bytes.data = cmdi_ring_buffer(side->shard->ring, completion->buffer);
        bytes.size = (size_t)completion->result;
    }
    if (!side->aborted) {
        side->ops->on_received(side, completion->result, bytes);
    }
    if (has_buffer) {
        cmdi_receive_give_back(&side->shard->receive, completion->buffer);
    }
}

/* Gone is also who has finished where we have, too: only a failure is one. */
static int side_events(int result)
{
    bool failed = result < 0 || (result & CMDI_RING_PEER_FAILED) != 0;
    bool finished = result >= 0 && (result & CMDI_RING_PEER_FINISHED) != 0;
    return (failed ? CMDI_SIDE_FAILED : 0) | (finished ? CMDI_SIDE_FINISHED : 0);
}

static int side_connected(struct cmdi_side *side, int result)
{
    return result == 0 && cmdi_socket_undo_self(side->fd) ? -ECONNREFUSED : result;
}

static void side_tell(
        struct cmdi_side *side, uint32_t operation, const struct cmdi_completion *completion)
{
    if (operation == CMDI_SIDE_RECV) {
        side_received(side, completion);
    } else if (side->aborted || operation == SIDE_CANCEL) {
        return;
    } else if (operation == CMDI_SIDE_CONNECT) {
        side->ops->on_connected(side, side_connected(side, completion->result));
    } else if (operation == CMDI_SIDE_SEND) {
        side->ops->on_sent(side, completion->result);
    } else {
        side->ops->on_watched(side, side_events(completion->result));
    }
}

static void side_on_completion(
        void *owner, uint32_t operation, const struct cmdi_completion *completion)
{
    struct cmdi_side *side = owner;
    CMDI_ASSERT(side->in_flight > 0 && (completion->flags & CMDI_COMPLETION_MORE) == 0);
    if (operation != SIDE_CANCEL) {
        side->armed &= (uint8_t)~operation;
    }
    /* Counted until it was told: an abort on the way does not close under our feet. */
    side_tell(side, operation, completion);
    side->in_flight--;
    side_close_if_done(side);
}

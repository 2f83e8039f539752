/* SPDX-License-Identifier: MIT */
/*
 * Listening: one socket and one accept per address, on one shard, and each accepted descriptor goes
 * to the shard with the fewest connections. The count grows when it is handed out, so that a burst
 * spreads evenly too. A shard that is held up gets none as long as another turns; for the
 * listener's own shard there is a deputy (deputy.c).
 *
 * When descriptors or memory run out, accepting rests, longer each time, up to a second: an accept
 * that fails at once would otherwise be a loop. With reuse_port each shard listens for itself and
 * keeps what it accepts.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "net/address.h"
#include "ring/clock.h"
#include "ring/socket.h"
#include "ring/thread.h"
#include "server/connection.h"
#include "server/server.h"

enum {
    LISTENER_ACCEPT = 1,
    LISTENER_CANCEL = 2,
    LISTENER_BACKOFF_MS_MIN = 10,
    LISTENER_BACKOFF_MS_MAX = 1000,
};

/* --- Places ----------------------------------------------------------------------------------- */

/* Several listeners take at once: the count never goes beyond the limit. */
bool cmdi_server_take_place(struct cmds_server *server)
{
    uint32_t before = atomic_load(&server->connection_count);
    while (before < server->core->options.connection_count_max) {
        if (atomic_compare_exchange_weak(&server->connection_count, &before, before + 1)) {
            return true;
        }
    }
    return false;
}

void cmdi_server_give_place(struct cmds_server *server)
{
    atomic_fetch_sub(&server->connection_count, 1);
    for (uint32_t i = 0; i < server->listener_count; i++) {
        cmdi_listener_room(&server->listeners[i]);
    }
}

struct cmdi_server_shard *cmdi_server_choose_shard(
        struct cmds_server *server, struct cmdi_server_shard *own)
{
    uint64_t now_ns = cmdi_now_ns();
    struct cmdi_server_shard *best = own;
    uint32_t least = own != NULL ? atomic_load_explicit(&own->shard->load, memory_order_relaxed)
                                 : UINT32_MAX;
    for (uint32_t i = 0; i < server->shard_count; i++) {
        struct cmdi_shard *shard = server->shards[i]->shard;
        uint32_t load = atomic_load_explicit(&shard->load, memory_order_relaxed);
        if (load < least && cmdi_shard_turns(shard, now_ns)) {
            least = load;
            best = server->shards[i];
        }
    }
    return best;
}

/* --- Accepting -------------------------------------------------------------------------------- */

static struct cmds_server_options *listener_options(const struct cmdi_listener *listener)
{
    return &listener->server->core->options;
}

static void listener_arm(struct cmdi_listener *listener)
{
    bool once = listener_options(listener)->overflow == CMDS_OVERFLOW_QUEUE;
    if (listener->armed || listener->fd < 0 ||
            atomic_load(&listener->server->state) != CMDI_SERVER_RUNNING) {
        return;
    }
    listener->armed = true;
    cmdi_ring_accept(listener->shard->ring, listener->fd, once,
            cmdi_shard_user_data(listener->shard, listener->slot, LISTENER_ACCEPT));
}

static void listener_on_retry(struct cmdi_timer *timer, uint64_t now_ms)
{
    (void)now_ms;
    listener_arm(CMDI_CONTAINER(timer, struct cmdi_listener, retry));
}

/* --- Handing out ------------------------------------------------------------------------------ */

struct listener_delivery {
    struct cmdi_mail mail;
    struct cmdi_server_shard *server_shard;
    int fd;
};

static void listener_adopt(struct cmdi_server_shard *server_shard, int fd)
{
    struct cmdi_address address;
    char peer[CMDI_ADDRESS_TEXT_MAX] = "unknown";
    if (cmdi_socket_peer(fd, &address) == 0) {
        cmdi_address_text(&address, peer, sizeof(peer));
    }
    if (!cmdi_server_shard_is_open(server_shard) ||
            cmdi_connection_open(server_shard, &cmdi_transport_socket, fd, peer) == NULL) {
        cmdi_fd_close(fd);
        cmdi_server_shard_connection_closed(server_shard);
    }
}

static void listener_on_delivery(struct cmdi_shard *shard, struct cmdi_mail *mail)
{
    (void)shard;
    struct listener_delivery *delivery = CMDI_CONTAINER(mail, struct listener_delivery, mail);
    listener_adopt(delivery->server_shard, delivery->fd);
    free(delivery);
}

int cmdi_listener_hand_over(struct cmdi_server_shard *server_shard, int fd)
{
    struct listener_delivery *delivery = malloc(sizeof(*delivery));
    if (delivery == NULL) {
        cmdi_fd_close(fd);
        return -ENOMEM;
    }
    *delivery = (struct listener_delivery){
            .mail = {.fn = listener_on_delivery}, .server_shard = server_shard, .fd = fd};
    atomic_fetch_add(&server_shard->shard->load, 1);
    cmdi_shard_post(server_shard->shard, &delivery->mail);
    return 0;
}

/* A place is reserved for it. */
static void listener_deliver(struct cmdi_listener *listener, int fd)
{
    struct cmdi_server_shard *own = listener->server->shards[listener->shard->index];
    struct cmdi_server_shard *server_shard =
            listener_options(listener)->reuse_port
                    ? own
                    : cmdi_server_choose_shard(listener->server, own);
    if (server_shard == own) {
        atomic_fetch_add(&server_shard->shard->load, 1);
        listener_adopt(server_shard, fd);
    } else if (cmdi_listener_hand_over(server_shard, fd) < 0) {
        CMDI_COUNT(listener->shard, out_of_memory, 1);
        cmdi_server_give_place(listener->server);
    }
}

/* --- Completions ------------------------------------------------------------------------------ */

static bool listener_full(const struct cmdi_listener *listener)
{
    return atomic_load(&listener->server->connection_count) >=
           listener_options(listener)->connection_count_max;
}

static void listener_on_fd(struct cmdi_listener *listener, int fd)
{
    listener->backoff_ms = 0;
    if (atomic_load(&listener->server->state) != CMDI_SERVER_RUNNING) {
        cmdi_fd_close(fd); // It came while the accept was being cancelled.
        return;
    }
    if (!cmdi_server_take_place(listener->server)) {
        if (listener_options(listener)->overflow == CMDS_OVERFLOW_QUEUE) {
            listener->waiting_fd = fd; // Another listener was faster.
            return;
        }
        CMDI_COUNT(listener->shard, connections_refused, 1);
        cmdi_shard_log(listener->shard, CMDI_LOG_REFUSED, CMDS_LOG_WARN,
                "a connection was refused: %u are open (connection_count_max)",
                listener_options(listener)->connection_count_max);
        cmdi_fd_close(fd);
        return;
    }
    listener_deliver(listener, fd);
}

static void listener_on_error(struct cmdi_listener *listener, int code)
{
    bool passes = code == -ECONNABORTED || code == -EINTR || code == -EPROTO || code == -EAGAIN;
    if (passes || atomic_load(&listener->server->state) != CMDI_SERVER_RUNNING) {
        return;
    }
    uint32_t doubled = listener->backoff_ms * 2;
    listener->backoff_ms = listener->backoff_ms == 0           ? LISTENER_BACKOFF_MS_MIN
                           : doubled < LISTENER_BACKOFF_MS_MAX ? doubled
                                                               : LISTENER_BACKOFF_MS_MAX;
    CMDI_COUNT(listener->shard, accept_errors, 1);
    cmdi_shard_log(listener->shard, CMDI_LOG_ACCEPT, CMDS_LOG_WARN,
            "accept: %s; trying again in %u ms; raise the limit of open files (ulimit -n) if it is "
            "that",
            strerror(-code), listener->backoff_ms);
    cmdi_shard_timer(
            listener->shard, &listener->retry, listener->shard->now_ms + listener->backoff_ms);
}

static void listener_close(struct cmdi_listener *listener)
{
    cmdi_shard_timer_off(listener->shard, &listener->retry);
    if (listener->slot != UINT32_MAX) { // Else it was not started: another one could not be.
        cmdi_shard_slot_release(listener->shard, listener->slot);
        listener->slot = UINT32_MAX;
    }
    cmdi_listener_abandon(listener);
}

/* One accept has ended: the next begins, or waits for time or room, or the socket closes. */
static void listener_go_on(struct cmdi_listener *listener)
{
    if (atomic_load(&listener->server->state) != CMDI_SERVER_RUNNING) {
        listener_close(listener);
        return;
    }
    if (cmdi_timer_armed(&listener->retry)) {
        return;
    }
    if (listener->waiting_fd >= 0 || (listener_options(listener)->overflow == CMDS_OVERFLOW_QUEUE &&
                                             listener_full(listener))) {
        listener->parked = true;
        return;
    }
    listener_arm(listener);
}

static void listener_on_completion(
        void *owner, uint32_t operation, const struct cmdi_completion *completion)
{
    struct cmdi_listener *listener = owner;
    if (operation != LISTENER_ACCEPT) {
        return; // The cancel's own.
    }
    listener->armed = (completion->flags & CMDI_COMPLETION_MORE) != 0;
    if (completion->result >= 0) {
        listener_on_fd(listener, completion->result);
    } else {
        listener_on_error(listener, completion->result);
    }
    if (!listener->armed) {
        listener_go_on(listener);
    }
}

static void listener_on_room(struct cmdi_shard *shard, struct cmdi_mail *mail)
{
    (void)shard;
    struct cmdi_listener *listener = CMDI_CONTAINER(mail, struct cmdi_listener, mail);
    atomic_store(&listener->mail_posted, 0);
    if (!listener->parked || listener->fd < 0) {
        return;
    }
    if (listener->waiting_fd >= 0 && cmdi_server_take_place(listener->server)) {
        int fd = listener->waiting_fd;
        listener->waiting_fd = -1;
        listener_deliver(listener, fd);
    }
    if (listener->waiting_fd < 0 && !listener_full(listener)) {
        listener->parked = false;
        listener_arm(listener);
    }
}

void cmdi_listener_room(struct cmdi_listener *listener)
{
    if (listener_options(listener)->overflow == CMDS_OVERFLOW_QUEUE &&
            atomic_exchange(&listener->mail_posted, 1) == 0) {
        cmdi_shard_post(listener->shard, &listener->mail);
    }
}

/* --- Life ------------------------------------------------------------------------------------- */

int cmdi_listener_open(struct cmdi_listener *listener, struct cmds_server *server,
        struct cmdi_shard *shard, const struct cmdi_address *address, struct cmds_error *error)
{
    const struct cmds_server_options *options = &server->core->options;
    char text[CMDI_ADDRESS_TEXT_MAX];
    *listener = (struct cmdi_listener){.server = server,
            .shard = shard,
            .address = *address,
            .fd = -1,
            .slot = UINT32_MAX,
            .waiting_fd = -1,
            .mail = {.fn = listener_on_room}};
    cmdi_timer_init(&listener->retry, listener_on_retry);
    int backlog = options->backlog < INT32_MAX ? (int)options->backlog : INT32_MAX;
    int fd = cmdi_socket_listen(address, backlog, options->reuse_port, options->idle_timeout_ms);
    if (fd < 0) {
        cmdi_address_text(address, text, sizeof(text));
        return cmdi_fail(error, fd, "listen %s: %s%s", text, strerror(-fd),
                fd == -EADDRINUSE ? "; does another server run there?"
                : fd == -EACCES   ? "; ports below 1024 need a privilege"
                                  : "");
    }
    int code = cmdi_socket_local(fd, &listener->address); // Port 0 has become one.
    cmdi_socket_file_note(address, &listener->file);
    if (code < 0) {
        cmdi_socket_file_remove(address, &listener->file);
        cmdi_fd_close(fd);
        return cmdi_fail(error, code, "listen: the address of a socket: %s", strerror(-code));
    }
    listener->fd = fd;
    return 0;
}

void cmdi_listener_abandon(struct cmdi_listener *listener)
{
    /*
     * While the socket listens, nobody who wants the path takes it for stale, and while it is open,
     * no other file can have its number: what is removed is ours.
     */
    cmdi_socket_file_remove(&listener->address, &listener->file);
    cmdi_fd_close(listener->fd);
    listener->fd = -1;
    if (listener->waiting_fd >= 0) {
        cmdi_fd_close(listener->waiting_fd);
        listener->waiting_fd = -1;
    }
    atomic_store(&listener->closed, 1);
    cmdi_futex_wake(&listener->closed, INT32_MAX);
}

int cmdi_listener_start(struct cmdi_listener *listener)
{
    listener->slot = cmdi_shard_slot_acquire(listener->shard, listener_on_completion, listener);
    if (listener->slot == UINT32_MAX) {
        return -ENOMEM;
    }
    listener_arm(listener);
    return 0;
}

void cmdi_listener_stop(struct cmdi_listener *listener)
{
    if (listener->fd < 0) {
        return;
    }
    if (!listener->armed) {
        listener_close(listener);
        return;
    }
    cmdi_socket_file_remove(&listener->address, &listener->file); // While it still listens.
    // Without it an armed accept would go on accepting.
    cmdi_socket_shutdown(listener->fd, SHUT_RDWR);
    cmdi_ring_cancel(listener->shard->ring,
            cmdi_shard_user_data(listener->shard, listener->slot, LISTENER_ACCEPT),
            cmdi_shard_user_data(listener->shard, listener->slot, LISTENER_CANCEL));
}

/* SPDX-License-Identifier: MIT */
/* Seats, shards, and connections that wait for one. */
#include "server/accept.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "ring/clock.h"
#include "ring/socket.h"
#include "ring/thread.h"
#include "server/connection.h"
#include "server/server.h"

static struct cmdi_acceptor *acceptor_of(struct cmdi_listener *listener)
{
    return CMDI_CONTAINER(listener, struct cmdi_acceptor, listener);
}

static const struct cmds_server_options *acceptor_options(const struct cmdi_acceptor *acceptor)
{
    return &acceptor->server->core->options;
}

/* Of its shard, on which it runs. */
static struct cmdi_server_counters *acceptor_counters(struct cmdi_listener *listener)
{
    return &acceptor_of(listener)->server->shards[listener->shard->index]->counters;
}

/* --- Seats ------------------------------------------------------------------------------------ */

/* Several listeners take at once: the count never goes beyond the limit. */
bool cmdi_accept_take_seat(struct cmds_server *server)
{
    uint32_t before = atomic_load(&server->connection_count);
    while (before < server->core->options.connection_count_max) {
        if (atomic_compare_exchange_weak(&server->connection_count, &before, before + 1)) {
            return true;
        }
    }
    return false;
}

void cmdi_accept_give_seat(struct cmds_server *server)
{
    uint32_t before = atomic_fetch_sub(&server->connection_count, 1);
    CMDI_ASSERT(before > 0);
}

void cmdi_accept_tell_seat(struct cmds_server *server)
{
    if (server->core->options.overflow != CMDS_OVERFLOW_QUEUE) {
        return;
    }
    for (uint32_t i = 0; i < server->acceptor_count; i++) {
        struct cmdi_acceptor *acceptor = &server->acceptors[i];
        if (atomic_exchange(&acceptor->mail_posted, 1) == 0) {
            cmdi_shard_post(acceptor->listener.shard, &acceptor->mail);
        }
    }
}

static bool accept_is_full(const struct cmds_server *server)
{
    return atomic_load(&server->connection_count) >= server->core->options.connection_count_max;
}

/* --- Handing out ------------------------------------------------------------------------------ */

struct cmdi_server_shard *cmdi_accept_choose_shard(
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

struct accept_delivery {
    struct cmdi_mail mail;
    struct cmdi_server_shard *server_shard;
    int fd;
};

static void accept_open(struct cmdi_server_shard *server_shard, int fd)
{
    struct cmdi_address address;
    char peer[CMDI_ADDRESS_TEXT_MAX] = "unknown";
    if (cmdi_socket_peer(fd, &address) == 0) {
        cmdi_address_text(&address, peer, sizeof(peer));
    }
    if (!cmdi_server_shard_is_open(server_shard) ||
            cmdi_connection_open(server_shard, server_shard->core->transport, fd, peer) == NULL) {
        cmdi_fd_close(fd);
        cmdi_server_shard_connection_closed(server_shard);
    }
}

static void accept_on_delivery(struct cmdi_shard *shard, struct cmdi_mail *mail)
{
    struct accept_delivery *delivery = CMDI_CONTAINER(mail, struct accept_delivery, mail);
    CMDI_ASSERT(delivery->server_shard->shard == shard);
    accept_open(delivery->server_shard, delivery->fd);
    free(delivery);
}

int cmdi_accept_hand_over(struct cmdi_server_shard *server_shard, int fd)
{
    CMDI_ASSERT(fd >= 0);
    struct accept_delivery *delivery = malloc(sizeof(*delivery));
    if (delivery == NULL) {
        cmdi_fd_close(fd);
        return -ENOMEM;
    }
    *delivery = (struct accept_delivery){
            .mail = {.fn = accept_on_delivery}, .server_shard = server_shard, .fd = fd};
    atomic_fetch_add(&server_shard->shard->load, 1);
    cmdi_shard_post(server_shard->shard, &delivery->mail);
    return 0;
}

/* It has a seat. */
static void acceptor_deliver(struct cmdi_acceptor *acceptor, int fd)
{
    struct cmds_server *server = acceptor->server;
    struct cmdi_shard *shard = acceptor->listener.shard;
    struct cmdi_server_shard *own = server->shards[shard->index];
    struct cmdi_server_shard *server_shard =
            server->core->options.reuse_port ? own : cmdi_accept_choose_shard(server, own);
    if (server_shard == own) {
        atomic_fetch_add(&shard->load, 1);
        accept_open(server_shard, fd);
    } else if (cmdi_accept_hand_over(server_shard, fd) < 0) {
        CMDI_COUNT(&own->counters.conn, out_of_memory, 1);
        cmdi_accept_give_seat(server);
        cmdi_accept_tell_seat(server);
    }
}

/* --- A listener's owner ----------------------------------------------------------------------- */

/*
 * Also one that came while the accept was being cancelled: its peer believes itself connected. It
 * is opened before the shards learn that they drain or close, and ends as all others do.
 */
static void acceptor_on_accepted(struct cmdi_listener *listener, int fd)
{
    struct cmdi_acceptor *acceptor = acceptor_of(listener);
    if (cmdi_accept_take_seat(acceptor->server)) {
        acceptor_deliver(acceptor, fd);
        return;
    }
    if (acceptor_options(acceptor)->overflow == CMDS_OVERFLOW_QUEUE &&
            !cmdi_listener_is_over(listener)) {
        CMDI_ASSERT(acceptor->waiting_fd < 0);
        acceptor->waiting_fd = fd; // Another listener was faster.
        return;
    }
    CMDI_COUNT(acceptor_counters(listener), connections_refused, 1);
    cmdi_shard_log(listener->shard, CMDS_REASON_REFUSED, CMDS_LOG_WARN,
            "a connection was refused: %u are open (connection_count_max)",
            acceptor_options(acceptor)->connection_count_max);
    cmdi_fd_close(fd);
}

static bool acceptor_may_accept(struct cmdi_listener *listener)
{
    struct cmdi_acceptor *acceptor = acceptor_of(listener);
    return acceptor_options(acceptor)->overflow != CMDS_OVERFLOW_QUEUE ||
           (acceptor->waiting_fd < 0 && !accept_is_full(acceptor->server));
}

static void acceptor_on_error(struct cmdi_listener *listener, int code, uint32_t rest_ms)
{
    CMDI_COUNT(acceptor_counters(listener), accept_errors, 1);
    const struct cmds_log_record about = {
            .level = CMDS_LOG_WARN, .reason = CMDS_REASON_ACCEPT, .code = code};
    cmdi_shard_log_about(listener->shard, &about,
            "accept: %s; trying again in %u ms; raise the limit of open files (ulimit -n) if it is "
            "that",
            strerror(-code), rest_ms);
}

static void acceptor_drop_waiting(struct cmdi_acceptor *acceptor)
{
    if (acceptor->waiting_fd >= 0) {
        cmdi_fd_close(acceptor->waiting_fd);
        acceptor->waiting_fd = -1;
    }
}

static void acceptor_on_closed(struct cmdi_listener *listener)
{
    struct cmdi_acceptor *acceptor = acceptor_of(listener);
    acceptor_drop_waiting(acceptor);
    atomic_store(&acceptor->closed, 1);
    cmdi_futex_wake(&acceptor->closed, INT32_MAX);
}

static const struct cmdi_listener_ops acceptor_ops = {
        .on_accepted = acceptor_on_accepted,
        .may_accept = acceptor_may_accept,
        .on_error = acceptor_on_error,
        .on_closed = acceptor_on_closed,
};

static void acceptor_on_seat(struct cmdi_shard *shard, struct cmdi_mail *mail)
{
    (void)shard;
    struct cmdi_acceptor *acceptor = CMDI_CONTAINER(mail, struct cmdi_acceptor, mail);
    atomic_store(&acceptor->mail_posted, 0);
    if (cmdi_listener_is_over(&acceptor->listener)) {
        return;
    }
    if (acceptor->waiting_fd >= 0 && cmdi_accept_take_seat(acceptor->server)) {
        int fd = acceptor->waiting_fd;
        acceptor->waiting_fd = -1;
        acceptor_deliver(acceptor, fd);
    }
    cmdi_listener_resume(&acceptor->listener);
}

int cmdi_acceptor_open(struct cmdi_acceptor *acceptor, struct cmds_server *server,
        struct cmdi_shard *shard, const struct cmdi_address *address, struct cmds_error *error)
{
    const struct cmds_server_options *options = &server->core->options;
    *acceptor = (struct cmdi_acceptor){
            .server = server, .waiting_fd = -1, .mail = {.fn = acceptor_on_seat}};
    cmdi_listener_init(
            &acceptor->listener, shard, &acceptor_ops, options->overflow == CMDS_OVERFLOW_QUEUE);
    return cmdi_listener_bind(&acceptor->listener, address, options->backlog, options->reuse_port,
            options->idle_timeout_ms, error);
}

void cmdi_acceptor_close(struct cmdi_acceptor *acceptor)
{
    cmdi_listener_close(&acceptor->listener);
    acceptor_on_closed(&acceptor->listener);
}

int cmdi_acceptor_start(struct cmdi_acceptor *acceptor)
{
    return cmdi_listener_start(&acceptor->listener);
}

void cmdi_acceptor_stop(struct cmdi_acceptor *acceptor)
{
    cmdi_listener_stop(&acceptor->listener);
}

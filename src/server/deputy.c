/* SPDX-License-Identifier: MIT */
/*
 * It sleeps until a connection arrives, waits a moment, and looks: a shard that turns has accepted
 * by then. So it wakes at most once in that moment however many arrive, and never without one. It
 * starts after the acceptors and ends before them, so their descriptors are valid; it touches
 * nothing of theirs but what is constant.
 */
#include "server/deputy.h"

#include "base/assert.h"
#include "ring/clock.h"
#include "ring/socket.h"
#include "ring/thread.h"
#include "server/accept.h"
#include "server/server.h"

#define DEPUTY_PATIENCE_NS (3u * 1000 * 1000)

// By state: those that may follow.
static const uint8_t deputy_moves[] = {
        [CMDI_DEPUTY_OFF] = 1 << CMDI_DEPUTY_RUNNING,
        [CMDI_DEPUTY_RUNNING] = 1 << CMDI_DEPUTY_STOPPING | 1 << CMDI_DEPUTY_OFF, // No thread.
        [CMDI_DEPUTY_STOPPING] = 1 << CMDI_DEPUTY_OFF,
};

static void deputy_move(struct cmdi_deputy *deputy, enum cmdi_deputy_state next)
{
    CMDI_ASSERT((deputy_moves[atomic_load(&deputy->state)] & (1u << next)) != 0);
    atomic_store(&deputy->state, (uint32_t)next);
}

/* Accepts what waits, for shards that turn. Returns: none does, look again. */
static bool deputy_accept(struct cmdi_acceptor *acceptor)
{
    struct cmds_server *server = acceptor->server;
    for (;;) {
        struct cmdi_server_shard *server_shard = cmdi_accept_choose_shard(server, NULL);
        if (server_shard == NULL) {
            return true;
        }
        if (!cmdi_accept_take_seat(server)) {
            return false; // What happens to one too many is the listener's business.
        }
        int fd = cmdi_socket_accept_now(acceptor->listener.fd);
        if (fd < 0 || cmdi_accept_hand_over(server_shard, fd) < 0) {
            cmdi_accept_give_seat(server);
            cmdi_accept_tell_seat(server);
            return false;
        }
    }
}

static bool deputy_look(struct cmds_server *server)
{
    bool again = false;
    for (uint32_t i = 0; i < server->acceptor_count; i++) {
        struct cmdi_acceptor *acceptor = &server->acceptors[i];
        if (!cmdi_shard_turns(acceptor->listener.shard, cmdi_now_ns())) {
            again = deputy_accept(acceptor) || again;
        }
    }
    return again;
}

static void *deputy_main(void *argument)
{
    struct cmds_server *server = argument;
    struct cmdi_deputy *deputy = &server->deputy;
    while (cmdi_poller_wait(&deputy->poller)) {
        do {
            cmdi_futex_wait(&deputy->state, CMDI_DEPUTY_RUNNING, DEPUTY_PATIENCE_NS);
        } while (atomic_load(&deputy->state) == CMDI_DEPUTY_RUNNING && deputy_look(server));
    }
    return NULL;
}

void cmdi_deputy_start(struct cmds_server *server)
{
    struct cmdi_deputy *deputy = &server->deputy;
    if (server->shard_count < 2 || cmdi_poller_init(&deputy->poller) < 0) {
        return; // No other shard could take them; or: as if all shards always turned.
    }
    int code = 0;
    for (uint32_t i = 0; i < server->acceptor_count && code == 0; i++) {
        code = cmdi_poller_add(&deputy->poller, server->acceptors[i].listener.fd);
    }
    deputy_move(deputy, CMDI_DEPUTY_RUNNING);
    code = code == 0 ? cmdi_thread_start(&deputy->thread, deputy_main, server, "cmds-deputy", 0)
                     : code;
    if (code != 0) {
        deputy_move(deputy, CMDI_DEPUTY_OFF);
        cmdi_poller_fini(&deputy->poller);
    }
}

void cmdi_deputy_stop(struct cmds_server *server)
{
    struct cmdi_deputy *deputy = &server->deputy;
    if (atomic_load(&deputy->state) == CMDI_DEPUTY_OFF) {
        return;
    }
    deputy_move(deputy, CMDI_DEPUTY_STOPPING);
    cmdi_futex_wake(&deputy->state, 1);
    cmdi_poller_stop(&deputy->poller);
    cmdi_thread_join(deputy->thread);
    cmdi_poller_fini(&deputy->poller);
    deputy_move(deputy, CMDI_DEPUTY_OFF);
}

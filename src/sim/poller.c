/* SPDX-License-Identifier: MIT */
/* What ring/poller.h asks: threads that wait for something to come to a listening socket. */
#include "ring/poller.h"

#include <errno.h>

#include "base/assert.h"
#include "sim/net.h"
#include "sim/process.h"

struct poller {
    struct cmdi_file file;
    struct cmdi_sim_queue waiting;
    struct cmdi_list socks; // struct poller_sock.
    bool ready, stopped;
};
struct poller_sock {
    struct cmdi_sock_watch watch;
    struct cmdi_list link;
    struct poller *poller;
    struct cmdi_sock *sock; // Without a reference, as epoll has it.
};

static void poller_released(struct cmdi_file *file)
{
    struct poller *poller = CMDI_CONTAINER(file, struct poller, file);
    struct cmdi_list *node = NULL;
    while ((node = cmdi_list_pop(&poller->socks)) != NULL) {
        struct poller_sock *one = CMDI_CONTAINER(node, struct poller_sock, link);
        cmdi_sock_unwatch(&one->watch);
        cmdi_sim_free(one);
    }
    cmdi_sim_free(poller);
}

static struct poller *poller_of(const struct cmdi_poller *poller)
{
    struct cmdi_file *file = cmdi_fd_get(poller->poll_fd);
    CMDI_ASSERT(file != NULL && file->released == poller_released);
    return CMDI_CONTAINER(file, struct poller, file);
}

static void poller_changed(struct cmdi_sock_watch *watch)
{
    struct poller_sock *one = CMDI_CONTAINER(watch, struct poller_sock, watch);
    if ((cmdi_sock_state(one->sock) & CMDI_SOCK_READABLE) != 0) {
        one->poller->ready = true;
        (void)cmdi_sim_wake(&one->poller->waiting, 1);
    }
}

static void poller_sock_released(struct cmdi_sock_watch *watch)
{
    struct poller_sock *one = CMDI_CONTAINER(watch, struct poller_sock, watch);
    cmdi_list_remove(&one->link);
    cmdi_sim_free(one);
}

int cmdi_poller_init(struct cmdi_poller *poller)
{
    struct poller *made = cmdi_sim_alloc(sizeof(*made));
    made->file = (struct cmdi_file){.refs = 1, .released = poller_released};
    cmdi_sim_queue_init(&made->waiting);
    cmdi_list_init(&made->socks);
    poller->stop_fd = -1;
    poller->poll_fd = cmdi_fd_add(&made->file);
    if (poller->poll_fd < 0) {
        int code = poller->poll_fd;
        cmdi_file_unref(&made->file);
        return code;
    }
    return 0;
}

void cmdi_poller_fini(struct cmdi_poller *poller)
{
    cmdi_file_unref(cmdi_fd_take(poller->poll_fd));
    *poller = (struct cmdi_poller){.poll_fd = -1, .stop_fd = -1};
}

int cmdi_poller_add(struct cmdi_poller *poller, int fd)
{
    struct poller *mine = poller_of(poller);
    struct cmdi_sock *sock = cmdi_sock_of_fd(fd);
    if (sock == NULL) {
        return -EBADF;
    }
    struct poller_sock *one = cmdi_sim_alloc(sizeof(*one));
    one->poller = mine;
    one->sock = sock;
    one->watch.changed = poller_changed;
    one->watch.released = poller_sock_released;
    cmdi_list_init(&one->link);
    cmdi_list_push(&mine->socks, &one->link);
    cmdi_sock_watch(sock, &one->watch);
    poller_changed(&one->watch);
    return 0;
}

bool cmdi_poller_wait(struct cmdi_poller *poller)
{
    struct poller *mine = poller_of(poller);
    cmdi_sim_yield();
    while (!mine->ready && !mine->stopped) {
        (void)cmdi_sim_wait(&mine->waiting, CMDI_SIM_NEVER, "a connection to accept");
    }
    mine->ready = false;
    return !mine->stopped;
}

void cmdi_poller_stop(struct cmdi_poller *poller)
{
    struct poller *mine = poller_of(poller);
    mine->stopped = true;
    (void)cmdi_sim_wake(&mine->waiting, 1);
}

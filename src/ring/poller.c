/* SPDX-License-Identifier: MIT */
/* epoll over listening sockets, and an eventfd that ends the wait. */
#include "ring/poller.h"

#include <errno.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ring/socket.h"

int cmdi_poller_init(struct cmdi_poller *poller)
{
    poller->poll_fd = epoll_create1(EPOLL_CLOEXEC);
    poller->stop_fd = eventfd(0, EFD_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = poller->stop_fd};
    if (poller->poll_fd < 0 || poller->stop_fd < 0 ||
            epoll_ctl(poller->poll_fd, EPOLL_CTL_ADD, poller->stop_fd, &event) != 0) {
        int code = -errno;
        cmdi_poller_fini(poller);
        return code;
    }
    return 0;
}

void cmdi_poller_fini(struct cmdi_poller *poller)
{
    cmdi_fd_close(poller->poll_fd);
    cmdi_fd_close(poller->stop_fd);
    *poller = (struct cmdi_poller){.poll_fd = -1, .stop_fd = -1};
}

int cmdi_poller_add(struct cmdi_poller *poller, int fd)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.fd = fd};
    return epoll_ctl(poller->poll_fd, EPOLL_CTL_ADD, fd, &event) != 0 ? -errno : 0;
}

bool cmdi_poller_wait(struct cmdi_poller *poller)
{
    struct epoll_event events[16];
    int count = -1;
    do { // It has no other end than these.
        count = epoll_wait(poller->poll_fd, events, 16, -1);
    } while (count <= 0);
    bool stopped = false;
    for (int i = 0; i < count; i++) {
        stopped = stopped || events[i].data.fd == poller->stop_fd;
    }
    return !stopped;
}

void cmdi_poller_stop(struct cmdi_poller *poller)
{
    uint64_t one = 1;
    ssize_t written = write(poller->stop_fd, &one, sizeof(one));
    (void)written; // Into a counter that is 0.
}

/* SPDX-License-Identifier: MIT */
/* poll(2) before write(2): what is written to is shared with others, so it is not made non-blocking. */
#include "machine/output.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

int cmdi_write_now(int fd, const void *data, size_t size)
{
    struct pollfd room = {.fd = fd, .events = POLLOUT};
    if (poll(&room, 1, 0) < 1) {
        return -EAGAIN;
    }
    if ((room.revents & POLLOUT) == 0 || (room.revents & POLLERR) != 0) {
        return -EPIPE; // A write would be a SIGPIPE.
    }
    return write(fd, data, size) < 0 ? -errno : 0;
}

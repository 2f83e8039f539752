/* SPDX-License-Identifier: MIT */
/* poll(2) before write(2): what is written to is shared with others, so it is not made non-blocking. */
#include "ring/output.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
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

void cmdi_say(bool wrong, const char *format, ...)
{
    FILE *file = wrong ? stderr : stdout;
    va_list list;
    va_start(list, format);
    (void)vfprintf(file, format, list);
    va_end(list);
    (void)fputc('\n', file);
    (void)fflush(file);
}

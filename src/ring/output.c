/* SPDX-License-Identifier: MIT */
/* poll(2) before write(2): what is written to is shared with others, so it is not made non-blocking. */
#include "ring/output.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static pthread_once_t output_once = PTHREAD_ONCE_INIT;
static unsigned long long output_device, output_inode; // Of the journal's stream; 0: there is none.

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

const char *cmdi_environment(const char *name)
{
    return getenv(name);
}

static void output_begin(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    char *end = NULL;
    unsigned long long device = stream != NULL ? strtoull(stream, &end, 10) : 0;
    if (end != NULL && *end == ':') {
        output_device = device;
        output_inode = strtoull(end + 1, NULL, 10);
    }
}

void cmdi_output_init(void)
{
    (void)pthread_once(&output_once, output_begin);
}

bool cmdi_is_journal(int fd)
{
    struct stat status;
    cmdi_output_init();
    return output_inode != 0 && fstat(fd, &status) == 0 && status.st_dev == output_device &&
           status.st_ino == output_inode;
}

int cmdi_datagram_now(const char *path, const void *data, size_t size)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(path);
    if (length >= sizeof(address.sun_path)) {
        return -ENAMETOOLONG;
    }
    memcpy(address.sun_path, path, length);
    if (path[0] == '@') {
        address.sun_path[0] = '\0'; // All that is in the size is its name.
    }
    // Lines are rare, and a descriptor that stays open would be one more of the program's.
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -errno;
    }
    const struct sockaddr *to = (const void *)&address;
    socklen_t to_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    int code = sendto(fd, data, size, MSG_NOSIGNAL, to, to_size) < 0 ? -errno : 0;
    (void)close(fd);
    return code;
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

/* SPDX-License-Identifier: MIT */
/* The wrapped calls. See torture.h. */
#include "fault/torture.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

/* liburing's, which only src/ring/ knows. */
struct io_uring;
struct io_uring_params;
struct io_uring_buf_reg;

struct torture torture;

void torture_arm(uint64_t at, bool onwards)
{
    torture.at = at;
    torture.onwards = onwards;
    atomic_store(&torture.calls, 0);
    atomic_store(&torture.failed, 0);
    atomic_store(&torture.first, NULL);
    atomic_store(&torture.armed, 1);
}

void torture_disarm(void)
{
    atomic_store(&torture.armed, 0);
}

static bool fails(const char *name)
{
    if (atomic_load(&torture.armed) == 0) {
        return false;
    }
    uint64_t number = atomic_fetch_add(&torture.calls, 1) + 1;
    bool failed =
            torture.at != 0 && (number == torture.at || (torture.onwards && number > torture.at));
    if (torture.every != 0) {
        failed = number >= torture.at && (number - torture.at) % torture.every == 0;
    }
    if (failed && atomic_fetch_add(&torture.failed, 1) == 0) {
        atomic_store(&torture.first, name);
    }
    return failed;
}

#define WRAP(type, name, ...)                                                                      \
    type __real_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__)

/* --- Memory ----------------------------------------------------------------------------------- */

static void *made(void *block)
{
    atomic_fetch_add(&torture.blocks, block != NULL);
    return block;
}

static void *none(void)
{
    errno = ENOMEM;
    return NULL;
}

WRAP(void *, malloc, size_t size)
{
    return fails("malloc") ? none() : made(__real_malloc(size));
}

WRAP(void *, calloc, size_t count, size_t size)
{
    return fails("calloc") ? none() : made(__real_calloc(count, size));
}

WRAP(void *, realloc, void *block, size_t size)
{
    if (fails("realloc")) {
        return none();
    }
    void *grown = __real_realloc(block, size);
    return block == NULL ? made(grown) : grown;
}

WRAP(void *, aligned_alloc, size_t alignment, size_t size)
{
    return fails("aligned_alloc") ? none() : made(__real_aligned_alloc(alignment, size));
}

WRAP(int, posix_memalign, void **block, size_t alignment, size_t size)
{
    if (fails("posix_memalign")) {
        return ENOMEM;
    }
    int code = __real_posix_memalign(block, alignment, size);
    (void)made(code == 0 ? *block : NULL);
    return code;
}

WRAP(char *, strdup, const char *text)
{
    return fails("strdup") ? none() : made(__real_strdup(text));
}

WRAP(ssize_t, __getdelim, char **line, size_t *room, int end, FILE *file)
{
    bool had = *line != NULL;
    ssize_t size = __real___getdelim(line, room, end, file);
    atomic_fetch_add(&torture.blocks, !had && *line != NULL);
    return size;
}

WRAP(ssize_t, getline, char **line, size_t *room, FILE *file)
{
    return __wrap___getdelim(line, room, '\n', file);
}

WRAP(void, free, void *block)
{
    atomic_fetch_sub(&torture.blocks, block != NULL);
    __real_free(block);
}

WRAP(void *, mmap, void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    if (fails("mmap")) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return __real_mmap(at, size, protection, flags, fd, offset);
}

/* --- Threads and CPUs ------------------------------------------------------------------------- */

WRAP(int, pthread_create, pthread_t *thread, const pthread_attr_t *attributes, void *(*fn)(void *),
        void *argument)
{
    return fails("pthread_create") ? EAGAIN
                                   : __real_pthread_create(thread, attributes, fn, argument);
}

static int refused(int code)
{
    errno = code;
    return -1;
}

WRAP(int, sched_getaffinity, pid_t pid, size_t size, cpu_set_t *set)
{
    return fails("sched_getaffinity") ? refused(EINVAL) : __real_sched_getaffinity(pid, size, set);
}

WRAP(int, sched_setaffinity, pid_t pid, size_t size, const cpu_set_t *set)
{
    return fails("sched_setaffinity") ? refused(EINVAL) : __real_sched_setaffinity(pid, size, set);
}

/* --- Files and sockets ------------------------------------------------------------------------ */

WRAP(FILE *, fopen, const char *path, const char *mode)
{
    if (fails("fopen")) {
        errno = EMFILE;
        return NULL;
    }
    return __real_fopen(path, mode);
}

WRAP(int, eventfd, unsigned count, int flags)
{
    return fails("eventfd") ? refused(EMFILE) : __real_eventfd(count, flags);
}

WRAP(int, socket, int domain, int type, int protocol)
{
    return fails("socket") ? refused(EMFILE) : __real_socket(domain, type, protocol);
}

WRAP(int, setsockopt, int fd, int level, int name, const void *value, socklen_t size)
{
    return fails("setsockopt") ? refused(ENOBUFS) : __real_setsockopt(fd, level, name, value, size);
}

WRAP(int, bind, int fd, const struct sockaddr *address, socklen_t size)
{
    return fails("bind") ? refused(EADDRINUSE) : __real_bind(fd, address, size);
}

WRAP(int, listen, int fd, int backlog)
{
    return fails("listen") ? refused(EADDRINUSE) : __real_listen(fd, backlog);
}

WRAP(int, getsockname, int fd, struct sockaddr *address, socklen_t *size)
{
    return fails("getsockname") ? refused(ENOBUFS) : __real_getsockname(fd, address, size);
}

WRAP(int, getpeername, int fd, struct sockaddr *address, socklen_t *size)
{
    return fails("getpeername") ? refused(ENOTCONN) : __real_getpeername(fd, address, size);
}

WRAP(ssize_t, send, int fd, const void *data, size_t size, int flags)
{
    return fails("send") ? refused(ENOBUFS) : __real_send(fd, data, size, flags);
}

WRAP(int, getaddrinfo, const char *name, const char *service, const struct addrinfo *hints,
        struct addrinfo **list)
{
    return fails("getaddrinfo") ? EAI_MEMORY : __real_getaddrinfo(name, service, hints, list);
}

/* --- io_uring --------------------------------------------------------------------------------- */

WRAP(int, io_uring_queue_init_params, unsigned entries, struct io_uring *ring,
        struct io_uring_params *params)
{
    /* Memory that is short for a moment is waited for, so a lasting refusal is of another kind. */
    if (fails("io_uring_queue_init_params")) {
        return torture.onwards ? -EMFILE : -ENOMEM;
    }
    return __real_io_uring_queue_init_params(entries, ring, params);
}

WRAP(int, io_uring_register, unsigned fd, unsigned what, void *argument, unsigned count)
{
    /*
     * Enabling the ring. It fails once: a kernel that refuses it for good has refused the buffers,
     * and no runtime was started.
     */
    if (fails("io_uring_register") && atomic_load(&torture.failed) == 1) {
        return -EPERM;
    }
    return __real_io_uring_register(fd, what, argument, count);
}

WRAP(int, io_uring_register_buf_ring, struct io_uring *ring, struct io_uring_buf_reg *buffers,
        unsigned flags)
{
    return fails("io_uring_register_buf_ring")
                   ? -EINVAL
                   : __real_io_uring_register_buf_ring(ring, buffers, flags);
}

WRAP(int, io_uring_register_eventfd, struct io_uring *ring, int fd)
{
    return fails("io_uring_register_eventfd") ? -EBUSY : __real_io_uring_register_eventfd(ring, fd);
}

WRAP(int, io_uring_register_ring_fd, struct io_uring *ring)
{
    return fails("io_uring_register_ring_fd") ? -EBUSY : __real_io_uring_register_ring_fd(ring);
}

WRAP(int, io_uring_ring_dontfork, struct io_uring *ring)
{
    return fails("io_uring_ring_dontfork") ? -ENOMEM : __real_io_uring_ring_dontfork(ring);
}

WRAP(int, io_uring_enter2, unsigned fd, unsigned submit, unsigned wait, unsigned flags,
        sigset_t *argument, size_t size)
{
    static const int codes[] = {-EAGAIN, -EBUSY, -EINTR};
    if (atomic_load(&torture.armed) != 0 && torture.enter_every != 0 && submit + wait > 0) {
        uint64_t number = atomic_fetch_add(&torture.enters, 1);
        if (number % torture.enter_every == 0) {
            return codes[number / torture.enter_every % 3];
        }
    }
    return __real_io_uring_enter2(fd, submit, wait, flags, argument, size);
}

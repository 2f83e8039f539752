/* SPDX-License-Identifier: MIT */
/*
 * Names and texts of errors, and the record of the first one.
 *
 * The texts of errno are our own for the codes that a program over sockets meets, because they can
 * say what to do; the C library's are translated by locale and not everywhere safe between threads.
 * The rest comes from glibc's constant tables where there are any. Everything returned is static.
 * Any thread.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE // strerrorname_np, strerrordesc_np: glibc 2.32.
#endif
#include "base/error.h"

#include <errno.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/text.h"

#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 32)
#define CMDI_LIBC_HAS_ERROR_TABLES 1
#else
#define CMDI_LIBC_HAS_ERROR_TABLES 0
#endif

enum {
    CMDI_ERRNO_MAX = 4095
};

#define CMDI_ERRNOS(X)                                                                             \
    X(EPERM, "not permitted")                                                                      \
    X(ENOENT, "it does not exist")                                                                 \
    X(EINTR, "interrupted by a signal")                                                            \
    X(EIO, "input or output failed")                                                               \
    X(E2BIG, "an option that this library does not have; it is older than the header")             \
    X(EBADF, "not an open file descriptor")                                                        \
    X(EAGAIN, "not now; try again")                                                                \
    X(ENOMEM, "out of memory")                                                                     \
    X(EACCES, "permission denied")                                                                 \
    X(EFAULT, "a bad address")                                                                     \
    X(EBUSY, "busy")                                                                               \
    X(EEXIST, "it exists already")                                                                 \
    X(EXDEV, "only the thread of this shard may call this")                                        \
    X(ENODEV, "no such device")                                                                    \
    X(EINVAL, "an invalid argument")                                                               \
    X(ENFILE, "too many open files in the system")                                                 \
    X(EMFILE, "too many open files; raise the limit (ulimit -n)")                                  \
    X(ENOSPC, "no space left")                                                                     \
    X(EPIPE, "the peer closed the connection")                                                     \
    X(ERANGE, "out of range")                                                                      \
    X(EDEADLK, "this call blocks and was made on a shard's thread")                                \
    X(ENAMETOOLONG, "a name is too long")                                                          \
    X(ENOSYS, "the kernel does not have this call, or forbids it")                                 \
    X(ENOTSOCK, "not a socket")                                                                    \
    X(EDESTADDRREQ, "an address is missing")                                                       \
    X(EMSGSIZE, "the message is too large")                                                        \
    X(EPROTO, "a protocol error")                                                                  \
    X(EPROTONOSUPPORT, "the protocol is not supported")                                            \
    X(EOPNOTSUPP, "not supported")                                                                 \
    X(EAFNOSUPPORT, "the address family is not supported")                                         \
    X(EADDRINUSE, "the address is in use")                                                         \
    X(EADDRNOTAVAIL, "the address does not belong to this machine")                                \
    X(ENETDOWN, "the network is down")                                                             \
    X(ENETUNREACH, "the network cannot be reached")                                                \
    X(ECONNABORTED, "the connection was aborted")                                                  \
    X(ECONNRESET, "the peer reset the connection")                                                 \
    X(ENOBUFS, "full for the moment; there will be room")                                          \
    X(EISCONN, "connected already")                                                                \
    X(ENOTCONN, "not connected")                                                                   \
    X(ETIMEDOUT, "timed out")                                                                      \
    X(ECONNREFUSED, "refused; is the server running?")                                             \
    X(EHOSTDOWN, "the host is down")                                                               \
    X(EHOSTUNREACH, "the host cannot be reached")                                                  \
    X(EALREADY, "in progress already")                                                             \
    X(EINPROGRESS, "in progress")                                                                  \
    X(ECANCELED, "cancelled")

const char *cmds_error_name(int code)
{
    switch (code) {
    case 0:
        return "0";
#define CMDS_X_(name, value, text)                                                                 \
    case (value):                                                                                  \
        return "CMDS_E_" #name;
        CMDS_ERRORS(CMDS_X_)
#undef CMDS_X_
#define CMDI_X(name, text)                                                                         \
    case -(name):                                                                                  \
        return #name;
        CMDI_ERRNOS(CMDI_X)
#undef CMDI_X
    default:
        break;
    }
    const char *name = NULL;
#if CMDI_LIBC_HAS_ERROR_TABLES
    if (code < 0 && code >= -CMDI_ERRNO_MAX) {
        name = strerrorname_np(-code);
    }
#endif
    return name != NULL ? name : "unknown";
}

const char *cmds_error_text(int code)
{
    switch (code) {
    case 0:
        return "no error";
#define CMDS_X_(name, value, text)                                                                 \
    case (value):                                                                                  \
        return text;
        CMDS_ERRORS(CMDS_X_)
#undef CMDS_X_
#define CMDI_X(name, text)                                                                         \
    case -(name):                                                                                  \
        return text;
        CMDI_ERRNOS(CMDI_X)
#undef CMDI_X
    default:
        break;
    }
    const char *text = NULL;
#if CMDI_LIBC_HAS_ERROR_TABLES
    if (code < 0 && code >= -CMDI_ERRNO_MAX) {
        text = strerrordesc_np(-code);
    }
#endif
    return text != NULL ? text : "unknown";
}

const char *cmds_version(void)
{
    return CMDS_VERSION;
}

int cmdi_fail_list(struct cmds_error *error, int code, const char *format, va_list list)
{
    CMDI_ASSERT(code < 0);
    if (error == NULL || error->code != 0) {
        return code;
    }
    int size = vsnprintf(error->text, sizeof(error->text), format, list);
    if (size < 0) {
        error->text[0] = '\0';
    } else if ((size_t)size >= sizeof(error->text)) {
        // The reader must see that it was cut.
        memcpy(error->text + sizeof(error->text) - 4, "...", 4);
    }
    cmdi_text_defuse(error->text);
    error->code = code;
    return code;
}

int cmdi_fail(struct cmds_error *error, int code, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    code = cmdi_fail_list(error, code, format, list);
    va_end(list);
    return code;
}

const char *cmdi_program_code(struct cmdi_code_text *room, int code)
{
    const char *name = cmds_error_name(code);
    bool is_ours = code <= CMDS_E_PROTO && code >= CMDS_E_MIN_ && strncmp(name, "CMDS_", 5) == 0;
    bool is_errno = code < 0 && code >= -CMDI_ERRNO_MAX && strcmp(name, "unknown") != 0;
    if (is_ours) {
        (void)snprintf(room->text, sizeof(room->text), "%s: %s", name, cmds_error_text(code));
    } else {
        (void)snprintf(room->text, sizeof(room->text), "%d%s%s%s", code, is_errno ? " (" : "",
                is_errno ? name : "", is_errno ? ")" : "");
    }
    return room->text;
}

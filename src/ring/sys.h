/* SPDX-License-Identifier: MIT */
/*
 * What the rest of the library asks of the kernel beside io_uring: clock, random numbers, futex,
 * sockets, CPUs. Together with ring.h this is the seam to the kernel: a simulation links another
 * implementation of these two headers and nothing else.
 */
#ifndef CMDI_RING_SYS_H
#define CMDI_RING_SYS_H

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

/** An address of any family that we speak: TCP over IPv4 and IPv6, UNIX stream sockets. */
struct cmdi_address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un local;
    } as;
    socklen_t size;
};

/** CLOCK_MONOTONIC. Only the shard's turn reads it for the shard's code. */
uint64_t cmdi_now_ns(void);
/** For ids and jitter; not for secrets. Thread: any. */
uint64_t cmdi_random(void);

/**
 * Sleeps while *word is `expected`, at most so long (UINT64_MAX: no limit). May wake for no reason.
 */
void cmdi_futex_wait(_Atomic uint32_t *word, uint32_t expected, uint64_t timeout_ns);
void cmdi_futex_wake(_Atomic uint32_t *word, int count);

/**
 * A thread of the library: it blocks the signals that are sent to a process, and none of those that
 * a fault of its own raises. `thread` NULL: it is detached. `name` has at most 15 bytes.
 * `stack_size` 0: the system's default, at least 1 MiB. Returns: 0; -errno.
 */
int cmdi_thread_start(pthread_t *thread, void *(*fn)(void *argument), void *argument,
        const char *name, size_t stack_size);
/**
 * From now on forks are counted, and `in_child` (the same one in every call) runs in each child of
 * fork(2), on its only thread. Returns: 0; -ENOMEM.
 */
int cmdi_fork_watch(void (*in_child)(void));
/** How often this process was forked since: whoever remembers another number is of a parent. */
uint32_t cmdi_fork_count(void);
/** Sleeps so long, or a little less. */
void cmdi_sleep_ms(uint32_t ms);

/**
 * A stream socket of the address's family: CLOEXEC, TCP_NODELAY. `keepalive_ms`: the kernel probes
 * a silent TCP peer and gives it up after about so long (at least 4 s; CMDS_NEVER: as the system
 * does, 0: never). Returns: fd; -errno.
 */
int cmdi_socket_open(const struct cmdi_address *address, uint32_t keepalive_ms);
/**
 * A bound, listening socket, not blocking; accepted sockets, which block, inherit TCP_NODELAY and
 * the probes. A UNIX path that nobody listens on any more is replaced. Returns: fd; -errno.
 */
int cmdi_socket_listen(
        const struct cmdi_address *address, int backlog, bool reuse_port, uint32_t keepalive_ms);
/**
 * Accepts from a listening socket, with CLOEXEC, if somebody waits. Returns: fd; -EAGAIN: nobody;
 * -errno.
 */
int cmdi_socket_accept_now(int fd);

/** Waits for something to arrive at one of several listening sockets. */
struct cmdi_watch {
    int poll_fd, stop_fd;
};
/** Returns: 0; -errno. */
int cmdi_watch_init(struct cmdi_watch *watch);
void cmdi_watch_fini(struct cmdi_watch *watch);
/** Returns: 0; -errno. */
int cmdi_watch_add(struct cmdi_watch *watch, int fd);
/**
 * Each arrival ends one wait, those of a moment together one. Returns: false: cmdi_watch_stop() was
 * called.
 */
bool cmdi_watch_wait(struct cmdi_watch *watch);
/** Thread: any. */
void cmdi_watch_stop(struct cmdi_watch *watch);

/** The file of a listening UNIX socket: which one it is, not only where. */
struct cmdi_socket_file {
    uint64_t device, inode; // 0, 0: there is none.
};
/** Remembers the file that `address` was just bound to; none for any address but a UNIX path. */
void cmdi_socket_file_note(const struct cmdi_address *address, struct cmdi_socket_file *file);
/**
 * Removes it, once, unless the path is another file by now. Call it while the socket listens: then
 * nobody takes the path for stale between the look and the removal.
 */
void cmdi_socket_file_remove(const struct cmdi_address *address, struct cmdi_socket_file *file);
/** The address a socket is bound to (port 0 resolved), or of its peer. Returns: 0; -errno. */
int cmdi_socket_local(int fd, struct cmdi_address *address);
int cmdi_socket_peer(int fd, struct cmdi_address *address);
/** shutdown(2), never through the ring: OP_SHUTDOWN goes to a worker thread of the kernel. */
void cmdi_socket_shutdown(int fd, int how);
/** send(2) without waiting. Returns: bytes; -errno. */
int64_t cmdi_socket_send_now(int fd, const void *data, size_t size);
/**
 * A line to a pipe, socket, terminal or file, at most PIPE_BUF bytes: as a whole, and without a wait
 * unless another process fills the same pipe in that instant. Returns: 0; -EAGAIN: there is no room;
 * -errno: nobody can read it.
 */
int cmdi_write_now(int fd, const void *data, size_t size);
/** A UNIX socket. */
bool cmdi_socket_is_local(int fd);
/** Bytes that lie in the socket and can be received. */
size_t cmdi_socket_unread(int fd);
/** The first of these bytes, which stays there. Returns: -errno without any. */
int cmdi_socket_peek(int fd);
/**
 * Of TCP: bytes that the peer's side has acknowledged, ever; *waiting: those that it has not. Of
 * others -ENOTSUP; *waiting: memory of what the peer has not read, in whole blocks.
 */
int64_t cmdi_socket_acked(int fd, size_t *waiting);
/**
 * Two ends that are one: a connect to a port of this host that nobody listens on may get that very
 * port as its own, and TCP connects it to itself. Returns: it was so, and the port is free again.
 */
bool cmdi_socket_undo_self(int fd);
/**
 * Makes room for `count` descriptors, as far as RLIMIT_NOFILE lets it; `fd` is any open one. Where
 * there are threads the kernel waits for an RCU grace period each time the table of descriptors
 * doubles, tens of ms, and whoever opens the one too many waits with it: better now than in a turn.
 */
void cmdi_fd_expect(int fd, uint32_t count);
/** close(2). Only when no operation names the fd any more. */
void cmdi_fd_close(int fd);

/** The CPUs this thread may use, in order. Returns: how many, at most `max`. */
uint32_t cmdi_cpus_allowed(uint16_t *cpus, uint32_t max);
/** CPUs that cgroup's cpu.max gives, in hundredths; 0: no quota. */
uint32_t cmdi_cpu_quota_percent(void);
/** Pins the calling thread. Returns: 0; -errno. */
int cmdi_cpu_pin(uint16_t cpu);
/** Involuntary context switches of the calling thread so far. */
uint64_t cmdi_preemptions(void);

static inline void cmdi_cpu_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield" ::: "memory");
#endif
}

#endif

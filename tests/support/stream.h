/* SPDX-License-Identifier: MIT */
/*
 * Streams for test_stream.c and test_stream_local.c: a ring, what has completed on it, and both ends of a
 * connection. Everything is asked of ring/, as a simulated kernel runs these tests as well.
 */
#ifndef CMDI_TESTS_SUPPORT_STREAM_H
#define CMDI_TESTS_SUPPORT_STREAM_H

#include "ring/ring.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "ring/clock.h"
#include "ring/socket.h"
#include "support/harness.h"

enum {
    FIRST = 1000, // User data of the tests begins here: below 16 is the ring's own.
    CHUNK = 4096,
    TURN_NS = 200 * 1000,
    PIPE_MAX = 16 * 1024 * 1024, // No pair of sockets holds so much.
};
enum key {
    CONNECT,
    OTHER,
    SEND,
    RECV,
    WATCH,
    CANCEL,
    KEYS
};

/* A ring, and what has completed on it. */
struct rig {
    struct cmdi_ring *ring;
    struct cmds_error error; // Why there is none.
    uint32_t counts[KEYS];
    int32_t results[KEYS];
    uint8_t data[CHUNK]; // Of the last receive.
};

/* Returns: there is a ring. */
static inline bool rig_try(struct rig *rig)
{
    struct cmdi_ring_options options = {.entries = 32,
            .completion_entries = 128,
            .buffer_size = CHUNK,
            .buffer_count = 4,
            .buffer_count_max = 4};
    *rig = (struct rig){0};
    if (cmdi_ring_create(&rig->ring, &options, &rig->error) < 0) {
        return false;
    }
    CU_ASSERT_EQUAL_FATAL(cmdi_ring_enable(rig->ring), 0);
    return true;
}

static inline void rig_init(struct rig *rig)
{
    if (!rig_try(rig)) {
        cmdi_test_skip(rig->error.text);
    }
}

static inline void rig_fini(struct rig *rig)
{
    cmdi_ring_destroy(rig->ring);
}

static inline void turn(struct rig *rig)
{
    struct cmdi_completion completion;
    CU_ASSERT_EQUAL_FATAL(cmdi_ring_enter(rig->ring, TURN_NS), 0);
    while (cmdi_ring_harvest(rig->ring, &completion, 1) == 1) {
        uint64_t key = completion.user_data - FIRST;
        CU_ASSERT_FATAL(key < KEYS);
        rig->counts[key]++;
        rig->results[key] = completion.result;
        if ((completion.flags & CMDI_COMPLETION_BUFFER) != 0) {
            size_t size = completion.result > 0 ? (size_t)completion.result : 0;
            memcpy(rig->data, cmdi_ring_buffer(rig->ring, completion.buffer), size);
            cmdi_ring_buffer_release(rig->ring, completion.buffer);
        }
    }
}

/* However long it takes: the harness ends a test that hangs. */
#define UNTIL(rig, condition)                                                                      \
    while (!(condition)) {                                                                         \
        turn(rig);                                                                                 \
    }

static inline int32_t await(struct rig *rig, enum key key)
{
    UNTIL(rig, rig->counts[key] > 0);
    rig->counts[key] = 0;
    return rig->results[key];
}

/* A while in which what is going to happen at once has happened. */
static inline bool stays(struct rig *rig, enum key key)
{
    for (uint32_t i = 0; i < 50; i++) {
        turn(rig);
    }
    return rig->counts[key] == 0;
}

static inline int32_t recv_one(struct rig *rig, int fd)
{
    cmdi_ring_recv_once(rig->ring, fd, FIRST + RECV);
    return await(rig, RECV);
}

/* In however many pieces. */
static inline void recv_bytes(struct rig *rig, int fd, int32_t size)
{
    while (size > 0) {
        int32_t got = recv_one(rig, fd);
        CU_ASSERT_FATAL(got > 0);
        size -= got;
    }
    CU_ASSERT_EQUAL(size, 0);
}

static inline int32_t watch_one(struct rig *rig, int fd)
{
    cmdi_ring_watch(rig->ring, fd, true, FIRST + WATCH);
    return await(rig, WATCH);
}

static inline int send_text(int fd, const char *text)
{
    return (int)cmdi_socket_send_now(fd, text, strlen(text));
}

static inline int accept_one(struct rig *rig, int listener)
{
    int fd = -EAGAIN;
    UNTIL(rig, (fd = cmdi_socket_accept_now(listener)) != -EAGAIN);
    CU_ASSERT_FATAL(fd >= 0);
    return fd;
}

/* Returns: what the connect said; the descriptor stays open. */
static inline int32_t dial(struct rig *rig, const struct cmdi_address *address, int *fd)
{
    *fd = cmdi_socket_open(address, 0);
    CU_ASSERT_FATAL(*fd >= 0);
    cmdi_ring_connect(rig->ring, *fd, address, FIRST + CONNECT);
    return await(rig, CONNECT);
}

/* --- Addresses -------------------------------------------------------------------------------- */

static inline struct cmdi_address v4(uint32_t host, uint16_t port)
{
    return (struct cmdi_address){
            .as.v4 = {.sin_family = AF_INET,
                    .sin_port = htons(port),
                    .sin_addr.s_addr = htonl(host)},
            .size = sizeof(struct sockaddr_in),
    };
}

static inline struct cmdi_address v6(struct in6_addr host, uint16_t port)
{
    return (struct cmdi_address){
            .as.v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = host},
            .size = sizeof(struct sockaddr_in6),
    };
}

/* No other has it. */
static inline struct cmdi_address path(void)
{
    struct cmdi_address address = {.as.local.sun_family = AF_UNIX};
    int size = snprintf(address.as.local.sun_path, sizeof(address.as.local.sun_path),
            "/tmp/cmdstream-stream-%llx", (unsigned long long)cmdi_random());
    address.size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)size + 1);
    return address;
}

static inline struct cmdi_address abstract(void)
{
    struct cmdi_address address = path();
    address.as.local.sun_path[0] = '\0';
    return address;
}

/* Port 0 becomes one. */
static inline int listen_at(struct cmdi_address *address, int backlog)
{
    int fd = cmdi_socket_listen(address, backlog, false, 0);
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_EQUAL_FATAL(cmdi_socket_local(fd, address), 0);
    return fd;
}

/* Both ends of a connection. */
static inline void pair_at(struct rig *rig, struct cmdi_address address, int fds[2])
{
    int listener = listen_at(&address, 16);
    CU_ASSERT_EQUAL_FATAL(dial(rig, &address, &fds[0]), 0);
    fds[1] = accept_one(rig, listener);
    cmdi_fd_close(listener);
}

static inline void pair(struct rig *rig, int fds[2])
{
    rig_init(rig);
    pair_at(rig, v4(INADDR_LOOPBACK, 0), fds);
}

static inline void local_pair(struct rig *rig, int fds[2])
{
    rig_init(rig);
    pair_at(rig, abstract(), fds);
}

static inline void pair_fini(struct rig *rig, const int fds[2])
{
    cmdi_fd_close(fds[0]);
    cmdi_fd_close(fds[1]);
    rig_fini(rig);
}

static inline uint8_t byte_at(size_t place)
{
    return (uint8_t)(place * 7 % 251);
}

/* Fills the pipe. Returns: bytes. */
static inline size_t fill(struct rig *rig, int fd)
{
    uint8_t data[CHUNK];
    size_t total = 0;
    uint32_t full = 0;
    while (full < 20) { // What has just been sent may still be on its way.
        for (size_t i = 0; i < CHUNK; i++) {
            data[i] = byte_at(total + i);
        }
        int64_t sent = cmdi_socket_send_now(fd, data, CHUNK);
        CU_ASSERT_FATAL(sent > 0 || sent == -EAGAIN);
        total += sent > 0 ? (size_t)sent : 0;
        full = sent > 0 ? 0 : full + 1;
        if (sent < 0) {
            turn(rig);
        }
        CU_ASSERT_FATAL(total < PIPE_MAX);
    }
    return total;
}

static inline void take(struct rig *rig, int fd, size_t from, size_t to)
{
    while (from < to) {
        int32_t got = recv_one(rig, fd);
        CU_ASSERT_FATAL(got > 0);
        bool right = true;
        for (int32_t i = 0; i < got; i++) {
            right = right && rig->data[i] == byte_at(from);
            from++;
        }
        CU_ASSERT_TRUE_FATAL(right);
    }
    CU_ASSERT_EQUAL(from, to);
}

static inline void expect_room_to_be_told(struct rig *rig, int from, int to)
{
    uint8_t data[CHUNK];
    size_t total = fill(rig, from);
    bool is_full = false;
    while (!is_full) {
        for (size_t i = 0; i < CHUNK; i++) {
            data[i] = byte_at(total + i);
        }
        cmdi_ring_send(rig->ring, from, data, CHUNK, FIRST + SEND);
        is_full = stays(rig, SEND);
        if (!is_full) { // What was acknowledged late has made room.
            total += (size_t)await(rig, SEND);
            CU_ASSERT_FATAL(total < PIPE_MAX);
        }
    }
    take(rig, to, 0, total + CHUNK);

    CU_ASSERT_EQUAL(await(rig, SEND), CHUNK);
}

static inline void reset_first(struct rig *rig, const int fds[2])
{
    CU_ASSERT_EQUAL(send_text(fds[1], "unread"), 6);
    UNTIL(rig, cmdi_socket_unread(fds[0]) == 6);
    cmdi_fd_close(fds[0]);
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The way by epoll, level-triggered: each connection that is ready is read once, with as much room as
 * --buffer-size, into the one buffer that all share and that so stays in the cache, and its answers are
 * sent before the next one is looked at.
 */
#include "ceiling.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum {
    EVENTS_MAX = 256
};

struct way {
    int fd;
    uint8_t *buffer;
    struct epoll_event events[EVENTS_MAX];
};

const char way_name[] = "epoll";
const uint32_t way_buffer_count = 1, way_buffer_size = 256 * 1024;

static void way_watch(struct side *side, int operation, int fd, struct conn *conn, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = conn};
    if (epoll_ctl(side->way->fd, operation, fd, &event) != 0) {
        die("epoll_ctl", errno);
    }
}

void way_init(struct side *side)
{
    side->way = allocate(sizeof(*side->way));
    side->way->buffer = allocate(side->options->buffer_size);
    side->way->fd = epoll_create1(EPOLL_CLOEXEC);
    if (side->way->fd < 0) {
        die("epoll", errno);
    }
}

void way_accept(struct side *side)
{
    way_watch(side, EPOLL_CTL_ADD, side->listener, NULL, EPOLLIN);
}

void way_receive(struct side *side, struct conn *conn)
{
    way_watch(side, EPOLL_CTL_ADD, conn->fd, conn, EPOLLIN);
}

/* --- Output --- */

/* What is left of the output. If the socket takes no more, it says when it does. */
static void conn_push(struct side *side, struct conn *conn)
{
    ssize_t size = send(conn->fd, conn->flight + conn->flight_sent,
            conn->flight_size - conn->flight_sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (size < 0 && errno != EAGAIN && errno != EINTR) {
        conn_drop(side, conn, -errno);
        return;
    }
    conn->flight_sent += size > 0 ? (size_t)size : 0;
    if (conn->flight_sent < conn->flight_size) {
        way_watch(side, EPOLL_CTL_MOD, conn->fd, conn, EPOLLIN | EPOLLOUT);
        return;
    }
    conn->sending = false;
    conn_stream(side, conn); // If there is more, it is dirty now, and goes with the next turn.
}

void way_send(struct side *side, struct conn *conn)
{
    conn_take(conn);
    conn->flight_sent = 0;
    conn_push(side, conn);
}

/* --- The turn --- */

static void way_on_listener(struct side *side)
{
    int fd = accept4(side->listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) {
        die("accept", errno);
    }
    side_add(side, fd);
}

static void way_on_input(struct side *side, struct conn *conn)
{
    ssize_t size = recv(conn->fd, side->way->buffer, side->options->buffer_size, MSG_DONTWAIT);
    if (size > 0) {
        conn_input(side, conn, side->way->buffer, (size_t)size);
    } else if (size == 0 || (errno != EAGAIN && errno != EINTR)) {
        way_watch(side, EPOLL_CTL_DEL, conn->fd, conn, 0);
        side_lose(side, size < 0 ? -errno : 0);
    }
}

static void way_on_event(struct side *side, struct conn *conn, uint32_t events)
{
    if (conn == NULL) {
        way_on_listener(side);
        return;
    }
    if ((events & EPOLLOUT) != 0 && conn->sending) {
        way_watch(side, EPOLL_CTL_MOD, conn->fd, conn, EPOLLIN);
        conn_push(side, conn);
        if (!conn->sending && conn->fill_size > 0) {
            conn_mark(side, conn);
        }
    }
    if ((events & ~(uint32_t)EPOLLOUT) != 0) {
        way_on_input(side, conn);
    }
}

void way_turn(struct side *side)
{
    // Connections that became dirty while they were flushed go once round before they go again.
    int wait = side->options->spin || side->dirty != NULL ? 0 : -1;
    struct way *way = side->way;
    int count = 0;
    do {
        count = epoll_wait(way->fd, way->events, EVENTS_MAX, wait);
    } while (count == 0 && side->dirty == NULL);
    if (count < 0 && errno != EINTR) {
        die("epoll_wait", errno);
    }
    side->now_ns = clock_ns(CLOCK_MONOTONIC);
    side_flush(side);
    for (int i = 0; i < count; i++) {
        way_on_event(side, way->events[i].data.ptr, way->events[i].events);
        side_flush(side);
    }
}

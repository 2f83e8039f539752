/* SPDX-License-Identifier: MIT */
/* The way by io_uring: a multishot receive for each connection, one enter a turn. */
#include "ceiling.h"

#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    RING_ENTRIES = 4096
};

enum operation {
    OP_ACCEPT,
    OP_RECV,
    OP_SEND
};

struct way {
    struct io_uring ring;
    struct io_uring_buf_ring *buffer_ring;
    uint8_t *buffers;
};

const char way_name[] = "io_uring";
const uint32_t way_buffer_count = 32, way_buffer_size = 32 * 1024;

/* --- The ring --- */

static struct io_uring_sqe *side_sqe(struct side *side)
{
    struct way *way = side->way;
    struct io_uring_sqe *sqe = io_uring_get_sqe(&way->ring);
    if (sqe == NULL) {
        int code = io_uring_submit(&way->ring);
        sqe = code < 0 ? NULL : io_uring_get_sqe(&way->ring);
        if (sqe == NULL) {
            die("submit", code);
        }
    }
    return sqe;
}

/* After the prep functions, of which those of liburing 2.3 clear the user data. */
static void side_tag(struct io_uring_sqe *sqe, enum operation operation, uint32_t index)
{
    io_uring_sqe_set_data64(sqe, (uint64_t)operation << 32 | index);
}

static void ring_open(struct io_uring *ring)
{
    struct io_uring_params params = {
            .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                     IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE,
            .cq_entries = 8 * RING_ENTRIES,
    };
    int code = io_uring_queue_init_params(RING_ENTRIES, ring, &params);
    if (code < 0) {
        die("io_uring (`cmdstream doctor` says why)", code);
    }
    (void)io_uring_register_ring_fd(ring); // Cheaper enters; without it they only cost more.
}

void way_init(struct side *side)
{
    const struct options *options = side->options;
    struct way *way = allocate(sizeof(*way));
    side->way = way;
    ring_open(&way->ring);
    size_t ring_size = options->buffer_count * sizeof(struct io_uring_buf);
    size_t size = (size_t)options->buffer_count * options->buffer_size;
    way->buffer_ring =
            mmap(NULL, ring_size, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
    way->buffers = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
    if (way->buffer_ring == MAP_FAILED || way->buffers == MAP_FAILED) {
        die("memory", errno);
    }
    struct io_uring_buf_reg registration = {
            .ring_addr = (uint64_t)(uintptr_t)way->buffer_ring,
            .ring_entries = options->buffer_count,
    };
    int code = io_uring_register_buf_ring(&way->ring, &registration, 0);
    if (code < 0) {
        die("register buffers", code);
    }
    io_uring_buf_ring_init(way->buffer_ring);
    int mask = io_uring_buf_ring_mask(options->buffer_count);
    for (uint32_t i = 0; i < options->buffer_count; i++) {
        io_uring_buf_ring_add(way->buffer_ring, way->buffers + (size_t)i * options->buffer_size,
                options->buffer_size, (unsigned short)i, mask, (int)i);
    }
    io_uring_buf_ring_advance(way->buffer_ring, (int)options->buffer_count);
}

void way_receive(struct side *side, struct conn *conn)
{
    struct io_uring_sqe *sqe = side_sqe(side);
    io_uring_prep_recv_multishot(sqe, conn->fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = 0;
    sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
    side_tag(sqe, OP_RECV, conn->index);
}

void way_accept(struct side *side)
{
    struct io_uring_sqe *sqe = side_sqe(side);
    io_uring_prep_multishot_accept(sqe, side->listener, NULL, NULL, SOCK_CLOEXEC);
    side_tag(sqe, OP_ACCEPT, 0);
}

void way_send(struct side *side, struct conn *conn)
{
    struct io_uring_sqe *sqe = side_sqe(side);
    conn_take(conn);
    io_uring_prep_send(sqe, conn->fd, conn->flight, conn->flight_size, MSG_WAITALL | MSG_NOSIGNAL);
    side_tag(sqe, OP_SEND, conn->index);
    // Filled while the other half is sent; the completion sends it.
    conn_stream(side, conn);
}

/* --- The turn --- */

static void side_on_recv(
        struct side *side, struct conn *conn, const struct io_uring_cqe *cqe, int *freed)
{
    const struct options *options = side->options;
    struct way *way = side->way;
    if ((cqe->flags & IORING_CQE_F_BUFFER) != 0) {
        uint32_t buffer = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
        uint8_t *data = way->buffers + (size_t)buffer * options->buffer_size;
        conn_input(side, conn, data, cqe->res > 0 ? (size_t)cqe->res : 0);
        io_uring_buf_ring_add(way->buffer_ring, data, options->buffer_size, (unsigned short)buffer,
                io_uring_buf_ring_mask(options->buffer_count), (*freed)++);
    }
    if (cqe->res <= 0 && cqe->res != -ENOBUFS) {
        side_lose(side, cqe->res);
        return; // The socket is closed with the process; connections do not come and go here.
    }
    if ((cqe->flags & IORING_CQE_F_MORE) == 0) {
        way_receive(side, conn);
    }
}

static void side_on_send(struct side *side, struct conn *conn, int result)
{
    if (result != (int)conn->flight_size) {
        conn_drop(side, conn, result);
        return;
    }
    conn->sending = false;
    conn_stream(side, conn);
    if (conn->fill_size > 0) {
        way_send(side, conn);
    }
}

static void side_on_accept(struct side *side, const struct io_uring_cqe *cqe)
{
    if (cqe->res < 0) {
        die("accept", cqe->res);
    }
    side_add(side, cqe->res);
    if ((cqe->flags & IORING_CQE_F_MORE) == 0) {
        way_accept(side);
    }
}

/*
 * Submits, and waits for something: asleep, or looking at the two rings' flags without a system
 * call.
 */
static void side_enter(struct side *side)
{
    struct way *way = side->way;
    int result = 0;
    if (!side->options->spin) {
        result = io_uring_submit_and_wait(&way->ring, 1);
    } else {
        struct io_uring_cqe *cqe = NULL;
        if (io_uring_sq_ready(&way->ring) > 0) {
            result = io_uring_submit_and_get_events(&way->ring);
        }
        while (result >= 0 && (result = io_uring_peek_cqe(&way->ring, &cqe)) == -EAGAIN) {
#if defined(__x86_64__) || defined(__i386__)
            __builtin_ia32_pause();
#endif
            result = 0;
        }
    }
    if (result < 0 && result != -EINTR && result != -EBUSY) {
        die("enter", result);
    }
}

void way_turn(struct side *side)
{
    struct way *way = side->way;
    side_enter(side);
    side->now_ns = clock_ns(CLOCK_MONOTONIC);
    struct io_uring_cqe *cqe = NULL;
    unsigned head = 0;
    unsigned count = 0;
    int freed = 0;
    io_uring_for_each_cqe(&way->ring, head, cqe)
    {
        uint64_t data = io_uring_cqe_get_data64(cqe);
        struct conn *conn = side->conns[(uint32_t)data];
        switch ((enum operation)(data >> 32)) {
        case OP_ACCEPT:
            side_on_accept(side, cqe);
            break;
        case OP_RECV:
            side_on_recv(side, conn, cqe, &freed);
            break;
        case OP_SEND:
            side_on_send(side, conn, cqe->res);
            break;
        }
        count++;
    }
    io_uring_cq_advance(&way->ring, count);
    if (freed > 0) {
        io_uring_buf_ring_advance(way->buffer_ring, freed);
    }
    side_flush(side);
}

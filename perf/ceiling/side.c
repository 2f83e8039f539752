/* SPDX-License-Identifier: MIT */
/* A side's turn: ring, output, input. All that is measured is in this file, so that it is inlined. */
#include "ceiling.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    HEADER_SIZE = 4,
    // What the benchmark's frame has beside its string, and the four bytes of ours.
    SIZE_RANDOM_FIXED = 22,
    SIZE_RANDOM_STRING_MAX = 1006,
    RING_ENTRIES = 4096,
    // A stream's output is sent in pieces of this, while the next one is filled.
    STREAM_CHUNK_SIZE = 64 * 1024,
    OUT_SIZE_FIRST = 4096,
};
#define STREAM_BIT 0x80000000u

enum operation {
    OP_ACCEPT,
    OP_RECV,
    OP_SEND
};

/* A command that waits for its answer. Answers come in order, so a connection's are a queue. */
struct pending {
    uint64_t sent_ns;
    uint32_t size;   // Of each block to come.
    uint32_t blocks; // Still to come.
    uint8_t first, last;
};

struct conn {
    int fd;
    uint32_t index;
    bool sending, dirty;
    struct conn *next_dirty;
    uint8_t *fill, *flight; // What is appended to, and what the kernel sends.
    size_t fill_size, fill_room, flight_room, flight_size;
    uint8_t *stash; // The beginning of a block whose end has not come.
    size_t stash_size;
    uint64_t stream_left; // Server: blocks that were asked for and not yet appended.
    uint32_t stream_size, stream_index;
    struct pending *pending;              // Client: a queue of in_flight entries...
    uint32_t pending_head, pending_count; // ...its first one and how many there are.
};

static uint32_t histogram_bucket(uint64_t value)
{
    if (value < (uint64_t)1 << HISTOGRAM_BITS) {
        return (uint32_t)value;
    }
    uint32_t shift = 63 - (uint32_t)__builtin_clzll(value) - HISTOGRAM_BITS;
    return (shift << HISTOGRAM_BITS) + (uint32_t)(value >> shift);
}

/* --- The ring --- */

static struct io_uring_sqe *side_sqe(struct side *side)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&side->ring);
    if (sqe == NULL) {
        int code = io_uring_submit(&side->ring);
        sqe = code < 0 ? NULL : io_uring_get_sqe(&side->ring);
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

void side_init(struct side *side, const struct options *options, bool is_server)
{
    struct io_uring_params params = {
            .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                     IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE,
            .cq_entries = 8 * RING_ENTRIES,
    };
    *side = (struct side){.options = options, .is_server = is_server, .listener = -1};
    int code = io_uring_queue_init_params(RING_ENTRIES, &side->ring, &params);
    if (code < 0) {
        die("io_uring (`cmdstream doctor` says why)", code);
    }
    (void)io_uring_register_ring_fd(&side->ring); // Cheaper enters; without it they only cost more.
    size_t ring_size = options->buffer_count * sizeof(struct io_uring_buf);
    size_t size = (size_t)options->buffer_count * options->buffer_size;
    side->buffer_ring =
            mmap(NULL, ring_size, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
    side->buffers = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
    if (side->buffer_ring == MAP_FAILED || side->buffers == MAP_FAILED) {
        die("memory", errno);
    }
    struct io_uring_buf_reg registration = {
            .ring_addr = (uint64_t)(uintptr_t)side->buffer_ring,
            .ring_entries = options->buffer_count,
    };
    code = io_uring_register_buf_ring(&side->ring, &registration, 0);
    if (code < 0) {
        die("register buffers", code);
    }
    io_uring_buf_ring_init(side->buffer_ring);
    int mask = io_uring_buf_ring_mask(options->buffer_count);
    for (uint32_t i = 0; i < options->buffer_count; i++) {
        io_uring_buf_ring_add(side->buffer_ring, side->buffers + (size_t)i * options->buffer_size,
                options->buffer_size, (unsigned short)i, mask, (int)i);
    }
    io_uring_buf_ring_advance(side->buffer_ring, (int)options->buffer_count);
    side->conns = allocate(CONNS_MAX * sizeof(struct conn *));
    side->source = allocate(SIZE_MAX_);
    for (uint32_t i = 0; i < SIZE_MAX_; i++) {
        side->source[i] = (uint8_t)('a' + i % 26);
    }
}

static void side_recv(struct side *side, struct conn *conn)
{
    struct io_uring_sqe *sqe = side_sqe(side);
    io_uring_prep_recv_multishot(sqe, conn->fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = 0;
    sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
    side_tag(sqe, OP_RECV, conn->index);
}

void side_accept(struct side *side)
{
    struct io_uring_sqe *sqe = side_sqe(side);
    io_uring_prep_multishot_accept(sqe, side->listener, NULL, NULL, SOCK_CLOEXEC);
    side_tag(sqe, OP_ACCEPT, 0);
}

void side_add(struct side *side, int fd)
{
    if (side->conn_count == CONNS_MAX) {
        die("connections", EMFILE);
    }
    struct conn *conn = allocate(sizeof(*conn));
    conn->fd = fd;
    conn->index = side->conn_count++;
    if (!side->is_server) {
        conn->pending = allocate(side->options->in_flight * sizeof(*conn->pending));
    }
    side->conns[conn->index] = conn;
    side->open_count++;
    side_recv(side, conn);
}

/* --- Output --- */

static uint8_t *conn_room(struct side *side, struct conn *conn, size_t size)
{
    if (conn->fill_size + size > conn->fill_room) {
        size_t room = conn->fill_room > 0 ? conn->fill_room : OUT_SIZE_FIRST;
        while (room < conn->fill_size + size) {
            room *= 2;
        }
        conn->fill = realloc(conn->fill, room);
        if (conn->fill == NULL) {
            die("memory", ENOMEM);
        }
        conn->fill_room = room;
    }
    if (!conn->dirty) {
        conn->dirty = true;
        conn->next_dirty = side->dirty;
        side->dirty = conn;
    }
    uint8_t *at = conn->fill + conn->fill_size;
    conn->fill_size += size;
    return at;
}

/* A block with its first and last byte marked. */
static void conn_append(
        struct side *side, struct conn *conn, uint32_t size, uint8_t first, uint8_t last)
{
    uint8_t *at = conn_room(side, conn, HEADER_SIZE + size);
    memcpy(at, &size, HEADER_SIZE);
    memcpy(at + HEADER_SIZE, side->source, size);
    at[HEADER_SIZE] = first;
    at[HEADER_SIZE + size - 1] = last;
}

static uint8_t stream_first(uint32_t index)
{
    return (uint8_t)index;
}

static uint8_t stream_last(uint32_t index)
{
    return (uint8_t)(index >> 8 ^ 0x5a);
}

/* As much of the streams as one send carries. */
static void conn_stream(struct side *side, struct conn *conn)
{
    while (conn->stream_left > 0 && conn->fill_size < STREAM_CHUNK_SIZE) {
        conn_append(side, conn, conn->stream_size, stream_first(conn->stream_index),
                stream_last(conn->stream_index));
        conn->stream_index++;
        conn->stream_left--;
    }
}

static void conn_send(struct side *side, struct conn *conn)
{
    struct io_uring_sqe *sqe = side_sqe(side);
    uint8_t *data = conn->fill;
    size_t room = conn->fill_room;
    conn->fill = conn->flight;
    conn->fill_room = conn->flight_room;
    conn->flight = data;
    conn->flight_room = room;
    conn->flight_size = conn->fill_size;
    conn->fill_size = 0;
    conn->sending = true;
    io_uring_prep_send(sqe, conn->fd, data, conn->flight_size, MSG_WAITALL | MSG_NOSIGNAL);
    side_tag(sqe, OP_SEND, conn->index);
}

void side_flush(struct side *side)
{
    struct conn *conn = side->dirty;
    side->dirty = NULL;
    while (conn != NULL) {
        struct conn *next = conn->next_dirty;
        conn->dirty = false;
        if (!conn->sending && conn->fill_size > 0) {
            conn_send(side, conn);
            // Filled while the other half is sent; the completion sends it.
            conn_stream(side, conn);
        }
        conn = next;
    }
}

/* --- Input --- */

static void client_command(struct side *side, struct conn *conn)
{
    const struct options *options = side->options;
    uint32_t slot = (conn->pending_head + conn->pending_count++) % options->in_flight;
    struct pending *pending = &conn->pending[slot];
    *pending = (struct pending){.sent_ns = side->now_ns, .size = options->size, .blocks = 1};
    side->in_flight++;
    if (options->stream > 0) {
        uint32_t request[3] = {STREAM_BIT | 8, options->stream, options->size};
        memcpy(conn_room(side, conn, sizeof(request)), request, sizeof(request));
        pending->blocks = options->stream;
        return;
    }
    if (options->size == SIZE_RANDOM) {
        side->random ^= side->random << 13;
        side->random ^= side->random >> 7;
        side->random ^= side->random << 17;
        pending->size =
                SIZE_RANDOM_FIXED + (uint32_t)((side->random >> 32) % (SIZE_RANDOM_STRING_MAX + 1));
    }
    pending->first = (uint8_t)side->sequence;
    pending->last = (uint8_t)(side->sequence++ >> 8 ^ 0xa5);
    conn_append(side, conn, pending->size, pending->first, pending->last);
}

static void client_block(struct side *side, struct conn *conn, const uint8_t *data, uint32_t size)
{
    struct pending *pending = &conn->pending[conn->pending_head];
    if (conn->pending_count == 0 || size != pending->size) {
        fprintf(stderr, "ceiling: an answer of %u bytes that nobody waits for\n", size);
        exit(1);
    }
    if (side->options->stream > 0) {
        uint32_t index = conn->stream_index++;
        pending->first = stream_first(index);
        pending->last = stream_last(index);
    }
    if (data[0] != pending->first || data[size - 1] != pending->last) {
        side->errors++;
    }
    side->results++;
    side->bytes += HEADER_SIZE + size;
    if (--pending->blocks > 0) {
        return;
    }
    uint64_t took = side->now_ns - pending->sent_ns;
    side->histogram[histogram_bucket(took)]++;
    side->max_ns = took > side->max_ns ? took : side->max_ns;
    side->commands++;
    side->in_flight--;
    conn->pending_count--;
    conn->pending_head = (conn->pending_head + 1) % side->options->in_flight;
    if (!side->draining) {
        client_command(side, conn);
    }
}

/* One whole block, header and all. */
static void conn_block(struct side *side, struct conn *conn, const uint8_t *block, size_t size)
{
    if (!side->is_server) {
        client_block(side, conn, block + HEADER_SIZE, (uint32_t)size - HEADER_SIZE);
        return;
    }
    if ((block[3] & 0x80) == 0) {
        memcpy(conn_room(side, conn, size), block, size);
        return;
    }
    uint32_t count = 0;
    memcpy(&count, block + HEADER_SIZE, sizeof(count));
    memcpy(&conn->stream_size, block + HEADER_SIZE + sizeof(count), sizeof(conn->stream_size));
    if (size != HEADER_SIZE + 8 || conn->stream_size < SIZE_MIN || conn->stream_size > SIZE_MAX_) {
        die("a request for a stream", EPROTO);
    }
    conn->stream_left += count;
    conn_stream(side, conn);
}

/* Returns: the size of the block that begins here; 0: its header is not whole. */
static size_t block_size(const uint8_t *data, size_t size)
{
    uint32_t length = 0;
    if (size < HEADER_SIZE) {
        return 0;
    }
    memcpy(&length, data, HEADER_SIZE);
    length &= ~STREAM_BIT;
    if (length < SIZE_MIN || length > SIZE_MAX_) {
        die("the length of a block", EPROTO);
    }
    return HEADER_SIZE + (size_t)length;
}

static void conn_stash(struct conn *conn, const uint8_t *data, size_t size)
{
    if (conn->stash == NULL) {
        conn->stash = allocate(HEADER_SIZE + SIZE_MAX_);
    }
    memcpy(conn->stash + conn->stash_size, data, size);
    conn->stash_size += size;
}

/* Adds to a block that was cut. Returns: how many bytes it took. */
static size_t conn_complete(struct side *side, struct conn *conn, const uint8_t *data, size_t size)
{
    size_t used = 0;
    for (;;) {
        size_t wanted = block_size(conn->stash, conn->stash_size);
        if (wanted == conn->stash_size) {
            conn->stash_size = 0;
            conn_block(side, conn, conn->stash, wanted);
            return used;
        }
        size_t missing = (wanted == 0 ? HEADER_SIZE : wanted) - conn->stash_size;
        size_t piece = missing < size - used ? missing : size - used;
        if (piece == 0) {
            return used;
        }
        conn_stash(conn, data + used, piece);
        used += piece;
    }
}

static void conn_input(struct side *side, struct conn *conn, const uint8_t *data, size_t size)
{
    size_t at = conn->stash_size > 0 ? conn_complete(side, conn, data, size) : 0;
    while (at < size) {
        size_t whole = block_size(data + at, size - at);
        if (whole == 0 || whole > size - at) {
            conn_stash(conn, data + at, size - at);
            return;
        }
        conn_block(side, conn, data + at, whole);
        at += whole;
    }
}

void side_command(struct side *side, uint32_t index)
{
    client_command(side, side->conns[index]);
}

/* --- The turn --- */

static void side_on_recv(
        struct side *side, struct conn *conn, const struct io_uring_cqe *cqe, int *freed)
{
    const struct options *options = side->options;
    if ((cqe->flags & IORING_CQE_F_BUFFER) != 0) {
        uint32_t buffer = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
        uint8_t *data = side->buffers + (size_t)buffer * options->buffer_size;
        conn_input(side, conn, data, cqe->res > 0 ? (size_t)cqe->res : 0);
        io_uring_buf_ring_add(side->buffer_ring, data, options->buffer_size, (unsigned short)buffer,
                io_uring_buf_ring_mask(options->buffer_count), (*freed)++);
    }
    if (cqe->res <= 0 && cqe->res != -ENOBUFS) {
        if (!side->is_server) {
            die("the server is gone", cqe->res < 0 ? cqe->res : ECONNRESET);
        }
        side->open_count--;
        return; // The socket is closed with the process; connections do not come and go here.
    }
    if ((cqe->flags & IORING_CQE_F_MORE) == 0) {
        side_recv(side, conn);
    }
}

static void side_on_send(struct side *side, struct conn *conn, int result)
{
    conn->sending = false;
    if (result != (int)conn->flight_size) {
        if (!side->is_server) {
            die("send", result < 0 ? result : EPIPE);
        }
        conn->fill_size = 0; // The client went away in the middle; its receive says so too.
        conn->stream_left = 0;
        return;
    }
    conn_stream(side, conn);
    if (conn->fill_size > 0) {
        conn_send(side, conn);
        conn_stream(side, conn);
    }
}

static void side_on_accept(struct side *side, const struct io_uring_cqe *cqe)
{
    if (cqe->res < 0) {
        die("accept", cqe->res);
    }
    side_add(side, cqe->res);
    if ((cqe->flags & IORING_CQE_F_MORE) == 0) {
        side_accept(side);
    }
}

/*
 * Submits, and waits for something: asleep, or looking at the two rings' flags without a system
 * call.
 */
static void side_enter(struct side *side)
{
    int result = 0;
    if (!side->options->spin) {
        result = io_uring_submit_and_wait(&side->ring, 1);
    } else {
        struct io_uring_cqe *cqe = NULL;
        if (io_uring_sq_ready(&side->ring) > 0) {
            result = io_uring_submit_and_get_events(&side->ring);
        }
        while (result >= 0 && (result = io_uring_peek_cqe(&side->ring, &cqe)) == -EAGAIN) {
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

void side_turn(struct side *side)
{
    side_enter(side);
    side->now_ns = clock_ns(CLOCK_MONOTONIC);
    struct io_uring_cqe *cqe = NULL;
    unsigned head = 0;
    unsigned count = 0;
    int freed = 0;
    io_uring_for_each_cqe(&side->ring, head, cqe)
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
    io_uring_cq_advance(&side->ring, count);
    if (freed > 0) {
        io_uring_buf_ring_advance(side->buffer_ring, freed);
    }
    side_flush(side);
}

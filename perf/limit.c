/* SPDX-License-Identifier: MIT */
/*
 * The practical ceiling of a machine: a plain io_uring echo, with nothing above it. What a library
 * for commands reaches is told as a share of what this program reaches on the same two cores in the
 * same minutes.
 *
 *     block:   length, 4 bytes, little-endian | that many bytes
 *     echo:    the server copies each block into the connection's output and sends it back
 *     stream:  a length with its highest bit set, then count, size; the answer: so many such blocks
 *
 * One thread a side, each pinned to its own core: DEFER_TASKRUN, one multishot receive for each
 * connection into one ring of 32 buffers of 32 KiB, which the blocks are parsed in, one send in
 * flight for each connection, one enter a turn. No codec, no sequence numbers, no limits, no
 * timers. The client checks the length and the first and last byte of every answer.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <liburing.h>
#include <math.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    HEADER_SIZE = 4,
    SIZE_MIN = 2, // A first and a last byte.
    SIZE_MAX_ = 64 * 1024,
    SIZE_RANDOM = 0,
    // What the benchmark's frame has beside its string, and the four bytes of ours.
    SIZE_RANDOM_FIXED = 22,
    SIZE_RANDOM_STRING_MAX = 1006,
    CONNS_MAX = 20000,
    IN_FLIGHT_MAX = 65536,
    RING_ENTRIES = 4096,
    // A stream's output is sent in pieces of this, while the next one is filled.
    STREAM_CHUNK_SIZE = 64 * 1024,
    OUT_SIZE_FIRST = 4096,
    HISTOGRAM_BITS = 7,
    HISTOGRAM_BUCKETS = (64 - HISTOGRAM_BITS + 1) << HISTOGRAM_BITS,
    SECONDS_TO_DRAIN = 10,
};
#define STREAM_BIT 0x80000000u

struct options {
    bool server_only, json, spin;
    const char *client_of; // "address:port"; NULL: our own server.
    const char *listen;
    uint32_t size, stream, conns, in_flight;
    uint32_t buffer_count, buffer_size;
    uint32_t server_cpu, client_cpu;
    double duration, warmup;
};

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

/* One of the two sides: a thread with a ring. */
struct side {
    const struct options *options;
    bool is_server;
    struct io_uring ring;
    struct io_uring_buf_ring *buffer_ring;
    uint8_t *buffers;
    int listener;
    struct conn **conns;
    uint32_t conn_count, open_count;
    struct conn *dirty;
    uint8_t *source; // What blocks are made of.
    uint64_t now_ns;
    /* Client. */
    bool draining;
    uint64_t random, in_flight, sequence;
    uint64_t commands, results, bytes, errors;
    uint64_t *histogram;
    uint64_t max_ns;
};

static _Noreturn void die(const char *what, int error)
{
    fprintf(stderr, "limit: %s: %s\n", what, strerror(error < 0 ? -error : error));
    exit(1);
}

static void *allocate(size_t size)
{
    void *memory = calloc(1, size);
    if (memory == NULL) {
        die("memory", ENOMEM);
    }
    return memory;
}

static uint64_t clock_ns(clockid_t id)
{
    struct timespec now;
    if (clock_gettime(id, &now) != 0) {
        return 0; // The server's clock, once it has ended.
    }
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void pin(uint32_t cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof(set), &set) != 0) {
        die("pin to a CPU", errno);
    }
}

/* --- Latencies: each power of two is cut into 128 buckets --- */

static uint32_t histogram_bucket(uint64_t value)
{
    if (value < (uint64_t)1 << HISTOGRAM_BITS) {
        return (uint32_t)value;
    }
    uint32_t shift = 63 - (uint32_t)__builtin_clzll(value) - HISTOGRAM_BITS;
    return (shift << HISTOGRAM_BITS) + (uint32_t)(value >> shift);
}

static double histogram_quantile_us(const struct side *side, double quantile)
{
    uint64_t count = 0;
    uint64_t rank = (uint64_t)ceil(quantile * (double)side->commands);
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        count += side->histogram[i];
        if (count >= rank && count > 0) {
            uint32_t shift = i >> HISTOGRAM_BITS > 1 ? (i >> HISTOGRAM_BITS) - 1 : 0;
            uint64_t low = (uint64_t)(i - (shift << HISTOGRAM_BITS)) << shift;
            return (double)low / 1e3;
        }
    }
    return 0;
}

/* --- The ring --- */

static struct io_uring_sqe *side_sqe(struct side *side)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&side->ring);
    if (sqe == NULL) {
        int error = io_uring_submit(&side->ring);
        sqe = error < 0 ? NULL : io_uring_get_sqe(&side->ring);
        if (sqe == NULL) {
            die("submit", error);
        }
    }
    return sqe;
}

/* After the prep functions, of which those of liburing 2.3 clear the user data. */
static void side_tag(struct io_uring_sqe *sqe, enum operation operation, uint32_t index)
{
    io_uring_sqe_set_data64(sqe, (uint64_t)operation << 32 | index);
}

static void side_init(struct side *side, const struct options *options, bool is_server)
{
    struct io_uring_params params = {
            .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                     IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE,
            .cq_entries = 8 * RING_ENTRIES,
    };
    *side = (struct side){.options = options, .is_server = is_server, .listener = -1};
    int error = io_uring_queue_init_params(RING_ENTRIES, &side->ring, &params);
    if (error < 0) {
        die("io_uring (`cmdstream doctor` says why)", error);
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
    error = io_uring_register_buf_ring(&side->ring, &registration, 0);
    if (error < 0) {
        die("register buffers", error);
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

static void side_accept(struct side *side)
{
    struct io_uring_sqe *sqe = side_sqe(side);
    io_uring_prep_multishot_accept(sqe, side->listener, NULL, NULL, SOCK_CLOEXEC);
    side_tag(sqe, OP_ACCEPT, 0);
}

static void side_add(struct side *side, int fd)
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

/* Once a turn: one send for each connection that has output and none in flight. */
static void side_flush(struct side *side)
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
        fprintf(stderr, "limit: an answer of %u bytes that nobody waits for\n", size);
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

static void side_turn(struct side *side)
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

/* --- Roles --- */

static struct sockaddr_in parse_address(const char *text)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    char host[64] = "";
    unsigned port = 0;
    if (sscanf(text, "%63[0-9.]:%u", host, &port) != 2 || port > 65535 ||
            inet_pton(AF_INET, host, &address.sin_addr) != 1) {
        fprintf(stderr, "limit: \"%s\" is not an address such as 127.0.0.1:9000\n", text);
        exit(2);
    }
    address.sin_port = htons((uint16_t)port);
    return address;
}

static int open_socket(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0 ||
            setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0) {
        die("socket", errno);
    }
    return fd;
}

static int open_listener(const char *text, struct sockaddr_in *bound)
{
    *bound = parse_address(text);
    int fd = open_socket();
    socklen_t size = sizeof(*bound);
    if (bind(fd, (struct sockaddr *)bound, size) != 0 || listen(fd, 4096) != 0 ||
            getsockname(fd, (struct sockaddr *)bound, &size) != 0) {
        die(text, errno);
    }
    return fd;
}

/* Serves for ever; for a child of ours until its clients are gone. */
static void run_server(const struct options *options, int listener, bool is_child)
{
    struct side side;
    pin(options->server_cpu);
    side_init(&side, options, true);
    side.listener = listener;
    side_accept(&side);
    while (!is_child || side.conn_count == 0 || side.open_count > 0) {
        side_turn(&side);
    }
}

static void run_for(struct side *side, double seconds)
{
    uint64_t end = clock_ns(CLOCK_MONOTONIC) + (uint64_t)(seconds * 1e9);
    while (side->now_ns < end) {
        side_turn(side);
    }
}

struct measure {
    double seconds;
    uint64_t client_cpu_ns, server_cpu_ns;
};

static struct measure run_client(struct side *side, const struct options *options,
        const struct sockaddr_in *server, bool has_clock, clockid_t server_clock)
{
    pin(options->client_cpu);
    side_init(side, options, false);
    side->random = 0x9e3779b97f4a7c15u;
    side->histogram = allocate(HISTOGRAM_BUCKETS * sizeof(*side->histogram));
    for (uint32_t i = 0; i < options->conns; i++) {
        int fd = open_socket();
        if (connect(fd, (const struct sockaddr *)server, sizeof(*server)) != 0) {
            die("connect", errno);
        }
        side_add(side, fd);
    }
    side->now_ns = clock_ns(CLOCK_MONOTONIC);
    for (uint32_t i = 0; i < options->conns * options->in_flight; i++) {
        client_command(side, side->conns[i % options->conns]);
    }
    side_flush(side);
    run_for(side, options->warmup);

    side->commands = side->results = side->bytes = side->max_ns = 0;
    memset(side->histogram, 0, HISTOGRAM_BUCKETS * sizeof(*side->histogram));
    uint64_t begin = clock_ns(CLOCK_MONOTONIC);
    uint64_t client_cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    uint64_t server_cpu = has_clock ? clock_ns(server_clock) : 0;
    run_for(side, options->duration);
    return (struct measure){
            .seconds = (double)(clock_ns(CLOCK_MONOTONIC) - begin) / 1e9,
            .client_cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - client_cpu,
            .server_cpu_ns = has_clock ? clock_ns(server_clock) - server_cpu : 0,
    };
}

static void report(
        const struct side *side, const struct options *options, const struct measure *measure)
{
    double commands = side->commands > 0 ? (double)side->commands : 1;
    double per_second = (double)side->commands / measure->seconds;
    double results = (double)side->results / measure->seconds;
    double mb = (double)side->bytes / measure->seconds / 1e6;
    double quantiles[4] = {histogram_quantile_us(side, 0.5), histogram_quantile_us(side, 0.9),
            histogram_quantile_us(side, 0.99), histogram_quantile_us(side, 0.999)};
    double client_cpu = (double)measure->client_cpu_ns / 1e3 / commands;
    double server_cpu = (double)measure->server_cpu_ns / 1e3 / commands;
    if (!options->json) {
        printf("%ux%u%s%s: %.0f commands/s, %.0f results/s, %.1f MB/s; p50 %.1f p90 %.1f p99 %.1f "
               "p99.9 %.1f "
               "max %.1f us; CPU us per command: client %.3f, server %.3f; errors %llu\n",
                options->conns, options->in_flight, options->stream > 0 ? " stream" : "",
                options->spin ? " spinning" : "", per_second, results, mb, quantiles[0],
                quantiles[1], quantiles[2], quantiles[3], (double)side->max_ns / 1e3, client_cpu,
                server_cpu, (unsigned long long)side->errors);
        return;
    }
    printf("{\"conns\": %u, \"in_flight\": %u, \"size\": %u, \"stream\": %u, \"spin\": %s, "
           "\"seconds\": %.3f, "
           "\"commands\": %llu, \"commands_per_second\": %.1f, \"results_per_second\": %.1f, "
           "\"mb_per_second\": %.3f, ",
            options->conns, options->in_flight, options->size, options->stream,
            options->spin ? "true" : "false", measure->seconds, (unsigned long long)side->commands,
            per_second, results, mb);
    printf("\"p50_us\": %.3f, \"p90_us\": %.3f, \"p99_us\": %.3f, \"p999_us\": %.3f, \"max_us\": "
           "%.3f, "
           "\"client_cpu_us_per_command\": %.4f, \"server_cpu_us_per_command\": %.4f, \"errors\": "
           "%llu}\n",
            quantiles[0], quantiles[1], quantiles[2], quantiles[3], (double)side->max_ns / 1e3,
            client_cpu, server_cpu, (unsigned long long)side->errors);
}

static void on_alarm(int number)
{
    (void)number;
    static const char text[] = "limit: stalled: an answer never came\n";
    ssize_t written = write(STDERR_FILENO, text, sizeof(text) - 1);
    (void)written;
    _exit(1);
}

static int measure_and_report(const struct options *options, const struct sockaddr_in *server,
        bool has_clock, clockid_t clock)
{
    struct side side;
    struct sigaction action = {.sa_handler = on_alarm};
    (void)sigaction(SIGALRM, &action, NULL);
    (void)alarm((unsigned)(options->warmup + options->duration) + SECONDS_TO_DRAIN);
    struct measure measure = run_client(&side, options, server, has_clock, clock);
    struct side measured = side;
    uint64_t *histogram = allocate(HISTOGRAM_BUCKETS * sizeof(*histogram));
    memcpy(histogram, side.histogram, HISTOGRAM_BUCKETS * sizeof(*histogram));
    measured.histogram = histogram;
    side.draining = true;
    while (side.in_flight > 0) {
        side_turn(&side);
    }
    measured.errors = side.errors;
    report(&measured, options, &measure);
    bool printed = fflush(stdout) == 0;
    return side.errors == 0 && printed ? 0 : 1;
}

/* Both sides: a child serves. */
static int run_both(const struct options *options)
{
    struct sockaddr_in address;
    int listener = open_listener(options->listen, &address);
    pid_t parent = getpid();
    pid_t child = fork();
    if (child < 0) {
        die("fork", errno);
    }
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() == parent) {
            run_server(options, listener, true);
        }
        _exit(0);
    }
    (void)close(listener);
    clockid_t clock = 0;
    bool has_clock = clock_getcpuclockid(child, &clock) == 0;
    int status = measure_and_report(options, &address, has_clock, clock);
    (void)kill(child, SIGTERM);
    (void)waitpid(child, NULL, 0);
    return status;
}

/* --- Options --- */

static const char help[] =
        "Usage: limit [OPTIONS]\n\n"
        "A plain io_uring echo over loopback: the practical ceiling of this machine. By default it "
        "forks: the child\n"
        "serves on one core, the parent measures on another.\n\n"
        "  --server             only serve, on --listen, until killed\n"
        "  --client ADDRESS     only measure, against a server elsewhere\n"
        "  --listen ADDRESS     default 127.0.0.1:0\n"
        "  --conns N            connections (default 8)\n"
        "  --in-flight K        commands in flight on each (default 128)\n"
        "  --size N|random      bytes of a block behind its length (default 530); random: 22 + "
        "uniform 0..1006\n"
        "  --stream COUNT       each command is answered with COUNT blocks of --size\n"
        "  --spin               never sleep\n"
        "  --duration SECONDS   measured (default 3)\n"
        "  --warmup SECONDS     before that (default 0.5)\n"
        "  --buffers N          receive buffers, a power of two (default 32)\n"
        "  --buffer-size N      bytes of each (default 32768)\n"
        "  --server-cpu N       default: the first CPU of this process\n"
        "  --client-cpu N       default: the second one, if there is one\n"
        "  --json               one object instead of a line\n";

static double parse_number(const char *name, const char *text, double min, double max)
{
    char *end = NULL;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value >= min && value <= max)) {
        fprintf(stderr, "limit: --%s: \"%s\" is not a number from %g to %g\n", name, text, min,
                max);
        exit(2);
    }
    return value;
}

static void default_cpus(struct options *options)
{
    cpu_set_t set;
    uint32_t found[2] = {0, 0};
    uint32_t count = 0;
    if (sched_getaffinity(0, sizeof(set), &set) != 0) {
        die("CPUs", errno);
    }
    for (uint32_t cpu = 0; cpu < CPU_SETSIZE && count < 2; cpu++) {
        if (CPU_ISSET(cpu, &set)) {
            found[count++] = cpu;
        }
    }
    options->server_cpu = found[0];
    options->client_cpu = count > 1 ? found[1] : found[0];
}

enum option_kind {
    KIND_HELP,
    KIND_FLAG,
    KIND_TEXT,
    KIND_COUNT,
    KIND_SECONDS
};

/* Row i stands for option i of the table that getopt_long reads. */
static const struct {
    enum option_kind kind;
    size_t offset; // In struct options.
    double min, max;
} option_rules[] = {
        {KIND_FLAG, offsetof(struct options, server_only), 0, 0},
        {KIND_TEXT, offsetof(struct options, client_of), 0, 0},
        {KIND_TEXT, offsetof(struct options, listen), 0, 0},
        {KIND_COUNT, offsetof(struct options, conns), 1, CONNS_MAX},
        {KIND_COUNT, offsetof(struct options, in_flight), 1, IN_FLIGHT_MAX},
        {KIND_COUNT, offsetof(struct options, size), SIZE_MIN, SIZE_MAX_},
        {KIND_COUNT, offsetof(struct options, stream), 1, 1e9},
        {KIND_FLAG, offsetof(struct options, spin), 0, 0},
        {KIND_SECONDS, offsetof(struct options, duration), 0.01, 3600},
        {KIND_SECONDS, offsetof(struct options, warmup), 0, 3600},
        {KIND_COUNT, offsetof(struct options, buffer_count), 1, 32768},
        {KIND_COUNT, offsetof(struct options, buffer_size), 64, 1 << 24},
        {KIND_COUNT, offsetof(struct options, server_cpu), 0, CPU_SETSIZE - 1},
        {KIND_COUNT, offsetof(struct options, client_cpu), 0, CPU_SETSIZE - 1},
        {KIND_FLAG, offsetof(struct options, json), 0, 0},
        {KIND_HELP, 0, 0, 0},
};

static const struct option option_table[] = {
        {"server", no_argument, NULL, 0},
        {"client", required_argument, NULL, 0},
        {"listen", required_argument, NULL, 0},
        {"conns", required_argument, NULL, 0},
        {"in-flight", required_argument, NULL, 0},
        {"size", required_argument, NULL, 0},
        {"stream", required_argument, NULL, 0},
        {"spin", no_argument, NULL, 0},
        {"duration", required_argument, NULL, 0},
        {"warmup", required_argument, NULL, 0},
        {"buffers", required_argument, NULL, 0},
        {"buffer-size", required_argument, NULL, 0},
        {"server-cpu", required_argument, NULL, 0},
        {"client-cpu", required_argument, NULL, 0},
        {"json", no_argument, NULL, 0},
        {"help", no_argument, NULL, 0},
        {0},
};
_Static_assert(sizeof(option_table) / sizeof(option_table[0]) ==
                       sizeof(option_rules) / sizeof(option_rules[0]) + 1,
        "a rule for each option");

static void apply_option(struct options *options, int index, const char *text)
{
    const char *name = option_table[index].name;
    char *field = (char *)options + option_rules[index].offset;
    double min = option_rules[index].min;
    double max = option_rules[index].max;
    switch (option_rules[index].kind) {
    case KIND_HELP:
        fputs(help, stdout);
        exit(0);
    case KIND_FLAG:
        *(bool *)field = true;
        break;
    case KIND_TEXT:
        memcpy(field, &text, sizeof(text));
        break;
    case KIND_COUNT: {
        bool random = strcmp(name, "size") == 0 && strcmp(text, "random") == 0;
        uint32_t value = random ? SIZE_RANDOM : (uint32_t)parse_number(name, text, min, max);
        memcpy(field, &value, sizeof(value));
        break;
    }
    case KIND_SECONDS: {
        double value = parse_number(name, text, min, max);
        memcpy(field, &value, sizeof(value));
        break;
    }
    }
}

static struct options parse_options(int argc, char **argv)
{
    struct options options = {.listen = "127.0.0.1:0",
            .size = 530,
            .conns = 8,
            .in_flight = 128,
            .buffer_count = 32,
            .buffer_size = 32 * 1024,
            .duration = 3,
            .warmup = 0.5};
    int index = 0;
    default_cpus(&options);
    for (int found; (found = getopt_long(argc, argv, "", option_table, &index)) != -1;) {
        if (found != 0) {
            exit(2); // getopt_long has said why.
        }
        apply_option(&options, index, optarg);
    }
    if (optind < argc || (options.buffer_count & (options.buffer_count - 1)) != 0 ||
            (options.stream > 0 && options.size == SIZE_RANDOM)) {
        fputs("limit: no arguments beside options, a power of two for --buffers, and no random\n"
              "sizes for --stream; see --help\n",
                stderr);
        exit(2);
    }
    return options;
}

int main(int argc, char **argv)
{
    struct options options = parse_options(argc, argv);
    struct sockaddr_in address;
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files); // Too few shows later, by name.
    }
    if (options.server_only) {
        int listener = open_listener(options.listen, &address);
        char host[INET_ADDRSTRLEN] = "";
        (void)inet_ntop(AF_INET, &address.sin_addr, host, sizeof(host));
        printf("listening on %s:%u\n", host, ntohs(address.sin_port));
        (void)fflush(stdout);
        run_server(&options, listener, false);
    }
    if (options.client_of != NULL) {
        address = parse_address(options.client_of);
        return measure_and_report(&options, &address, false, 0);
    }
    return run_both(&options);
}

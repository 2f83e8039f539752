/* SPDX-License-Identifier: MIT */
/* What src/ring defines, over arrays: see kernel.h. */
#include "sim/kernel.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "ring/clock.h"
#include "ring/cpu.h"
#include "ring/name.h"
#include "ring/output.h"
#include "ring/poller.h"
#include "ring/ring.h"
#include "ring/signals.h"
#include "ring/socket.h"
#include "ring/thread.h"

#pragma GCC diagnostic ignored "-Wunused-parameter"

enum {
    SOCKETS = 64,
    FIRST_FD = 1000,
    QUEUE_SIZE = 64 * 1024,
    OPERATIONS = 256,
    COMPLETIONS = 1024,
};

struct socket {
    bool open, listening, finished; // finished: it sends no more.
    int peer;                       // Its fd; -1: there is none.
    struct cmdi_address address;    // That it listens on.
    int waiting[SOCKETS];           // Of a listening one: accepted next.
    uint32_t waiting_count;
    uint8_t queue[QUEUE_SIZE]; // What the peer sent.
    size_t queued;
};
static struct socket sockets[SOCKETS];
static uint64_t entered, sent_size;

static struct socket *socket_of(int fd)
{
    CMDI_ASSERT(fd >= FIRST_FD && fd < FIRST_FD + SOCKETS && sockets[fd - FIRST_FD].open);
    return &sockets[fd - FIRST_FD];
}
static struct socket *peer_of(const struct socket *socket)
{
    return socket->peer >= 0 ? socket_of(socket->peer) : NULL;
}

uint32_t kernel_open_count(void)
{
    uint32_t count = 0;
    for (int i = 0; i < SOCKETS; i++) {
        count += sockets[i].open;
    }
    return count;
}
uint64_t kernel_enter_count(void)
{
    return entered;
}
uint64_t kernel_sent_size(void)
{
    return sent_size;
}

/* --- Sockets ---------------------------------------------------------------------------------- */

int cmdi_socket_open(const struct cmdi_address *address, uint32_t keepalive_ms)
{
    for (int i = 0; i < SOCKETS; i++) {
        if (!sockets[i].open) {
            sockets[i] = (struct socket){.open = true, .peer = -1};
            return FIRST_FD + i;
        }
    }
    return -EMFILE;
}
int cmdi_socket_listen(
        const struct cmdi_address *address, int backlog, bool reuse_port, uint32_t keepalive_ms)
{
    int fd = cmdi_socket_open(address, keepalive_ms);
    if (fd >= 0) {
        socket_of(fd)->listening = true;
        socket_of(fd)->address = *address;
    }
    return fd;
}
int cmdi_socket_prepare_listening(int fd)
{
    return socket_of(fd)->listening ? 0 : -EINVAL;
}
static int socket_accept(struct socket *socket)
{
    if (socket->waiting_count == 0) {
        return -EAGAIN;
    }
    int fd = socket->waiting[0];
    memmove(socket->waiting, socket->waiting + 1, --socket->waiting_count * sizeof(int));
    return fd;
}
int cmdi_socket_accept_now(int fd)
{
    return socket_accept(socket_of(fd));
}
int cmdi_socket_local(int fd, struct cmdi_address *address)
{
    *address = socket_of(fd)->address;
    return 0;
}
int cmdi_socket_peer(int fd, struct cmdi_address *address)
{
    *address = (struct cmdi_address){.size = sizeof(struct sockaddr_in)};
    address->as.any.sa_family = AF_INET;
    return 0;
}
void cmdi_socket_shutdown(int fd, int how)
{
    struct socket *socket = socket_of(fd);
    socket->finished = true;
    if (how == SHUT_RDWR && socket->peer >= 0) {
        peer_of(socket)->finished = true;
    }
}
static int64_t socket_send(struct socket *socket, const void *data, size_t size)
{
    struct socket *peer = peer_of(socket);
    if (peer == NULL || socket->finished) {
        return -EPIPE;
    }
    size_t room = QUEUE_SIZE - peer->queued;
    size_t take = size < room ? size : room;
    memcpy(peer->queue + peer->queued, data, take);
    peer->queued += take;
    sent_size += take;
    return take > 0 ? (int64_t)take : -EAGAIN;
}
int64_t cmdi_socket_send_now(int fd, const void *data, size_t size)
{
    return socket_send(socket_of(fd), data, size);
}
size_t cmdi_socket_unread(int fd)
{
    return socket_of(fd)->queued;
}
int cmdi_socket_peek(int fd)
{
    return socket_of(fd)->queued > 0 ? socket_of(fd)->queue[0] : -EAGAIN;
}
int64_t cmdi_socket_acked(int fd, size_t *waiting)
{
    const struct socket *peer = peer_of(socket_of(fd));
    *waiting = peer != NULL ? peer->queued : 0;
    return -ENOTSUP;
}
void cmdi_socket_file_note(const struct cmdi_address *address, struct cmdi_socket_file *file)
{
    *file = (struct cmdi_socket_file){0};
}
void cmdi_fd_close(int fd)
{
    struct socket *peer = peer_of(socket_of(fd));
    if (peer != NULL) {
        peer->finished = true;
        peer->peer = -1;
    }
    socket_of(fd)->open = false;
}

_Thread_local void *cmdi_thread_owned;

uint32_t cmdi_cpus_allowed(uint16_t *cpus, uint32_t max)
{
    *cpus = 0;
    return max > 0;
}

/* --- The ring --------------------------------------------------------------------------------- */

enum operation_kind {
    NONE,
    ACCEPT,
    CONNECT,
    RECV,
    SEND,
    WATCH,
};
struct operation {
    enum operation_kind kind;
    int fd;
    bool once, finish;
    const void *data;
    size_t size, done;
    const struct cmdi_address *address;
    uint64_t user_data;
};
struct cmdi_ring {
    struct cmdi_ring_options options;
    struct operation operations[OPERATIONS];
    struct cmdi_completion completions[COMPLETIONS];
    uint32_t completion_count, buffer_next, buffers_held;
    uint8_t *buffers;
    bool *held; // By number.
};

static void complete(struct cmdi_ring *ring, struct operation *operation, int64_t result,
        uint32_t flags, uint32_t buffer)
{
    CMDI_ASSERT(ring->completion_count < COMPLETIONS);
    ring->completions[ring->completion_count++] =
            (struct cmdi_completion){.user_data = operation->user_data,
                    .result = (int32_t)result,
                    .buffer = (uint16_t)buffer,
                    .flags = (uint16_t)flags};
    if ((flags & CMDI_COMPLETION_MORE) == 0) {
        operation->kind = NONE;
    }
}

static void try_connect(struct cmdi_ring *ring, struct operation *operation)
{
    for (int i = 0; i < SOCKETS; i++) {
        struct socket *listening = &sockets[i];
        bool here = listening->open && listening->listening &&
                    listening->address.size == operation->address->size &&
                    memcmp(&listening->address.as, &operation->address->as,
                            operation->address->size) == 0;
        int fd = here ? cmdi_socket_open(operation->address, 0) : -1;
        if (fd >= 0) {
            socket_of(fd)->peer = operation->fd;
            socket_of(operation->fd)->peer = fd;
            listening->waiting[listening->waiting_count++] = fd;
            complete(ring, operation, 0, 0, 0);
            return;
        }
    }
    complete(ring, operation, -ECONNREFUSED, 0, 0);
}

static uint32_t take_buffer(struct cmdi_ring *ring)
{
    uint32_t buffer = ring->buffer_next;
    while (ring->held[buffer]) {
        buffer = (buffer + 1) % ring->options.buffer_count;
    }
    ring->buffer_next = (buffer + 1) % ring->options.buffer_count;
    ring->held[buffer] = true;
    ring->buffers_held++;
    return buffer;
}

/* Returns: there may be more. */
static bool try_recv(struct cmdi_ring *ring, struct operation *operation)
{
    struct socket *socket = socket_of(operation->fd);
    bool ended = peer_of(socket) == NULL || peer_of(socket)->finished;
    if (socket->queued == 0 || ring->buffers_held == ring->options.buffer_count) {
        if (socket->queued > 0) {
            complete(ring, operation, -ENOBUFS, 0, 0);
        } else if (ended) {
            complete(ring, operation, 0, 0, 0);
        }
        return false;
    }
    uint32_t size = ring->options.buffer_size;
    size = socket->queued < size ? (uint32_t)socket->queued : size;
    uint32_t buffer = take_buffer(ring);
    memcpy(cmdi_ring_buffer(ring, (uint16_t)buffer), socket->queue, size);
    socket->queued -= size;
    memmove(socket->queue, socket->queue + size, socket->queued);
    uint32_t flags = CMDI_COMPLETION_BUFFER | (operation->once ? 0 : CMDI_COMPLETION_MORE) |
                     (socket->queued > 0 ? CMDI_COMPLETION_NONEMPTY : 0);
    complete(ring, operation, size, flags, buffer);
    return !operation->once;
}

static void try_send(struct cmdi_ring *ring, struct operation *operation)
{
    int64_t sent = socket_send(socket_of(operation->fd),
            (const uint8_t *)operation->data + operation->done, operation->size - operation->done);
    operation->done += sent > 0 ? (size_t)sent : 0;
    if (operation->done == operation->size || (sent < 0 && sent != -EAGAIN)) {
        complete(ring, operation, sent < 0 ? sent : (int64_t)operation->done, 0, 0);
    }
}

static void try_operation(struct cmdi_ring *ring, struct operation *operation)
{
    int code = 0;
    switch (operation->kind) {
    case NONE:
        break;
    case ACCEPT:
        while (operation->kind == ACCEPT && (code = socket_accept(socket_of(operation->fd))) >= 0) {
            complete(ring, operation, code, operation->once ? 0 : CMDI_COMPLETION_MORE, 0);
        }
        break;
    case CONNECT:
        try_connect(ring, operation);
        break;
    case RECV:
        while (try_recv(ring, operation)) {
            // As long as there is something.
        }
        break;
    case SEND:
        try_send(ring, operation);
        break;
    case WATCH:
        if (peer_of(socket_of(operation->fd)) == NULL) {
            complete(ring, operation, CMDI_RING_PEER_GONE, 0, 0);
        } else if (operation->finish && peer_of(socket_of(operation->fd))->finished) {
            complete(ring, operation, CMDI_RING_PEER_FINISHED, 0, 0);
        }
        break;
    }
}

static void begin(struct cmdi_ring *ring, struct operation operation)
{
    for (uint32_t i = 0; i < OPERATIONS; i++) {
        if (ring->operations[i].kind == NONE) {
            ring->operations[i] = operation;
            return;
        }
    }
    cmdi_die("more operations than the test needs");
}
void cmdi_ring_accept(struct cmdi_ring *ring, int fd, bool once, uint64_t user_data)
{
    begin(ring, (struct operation){.kind = ACCEPT, .fd = fd, .once = once, .user_data = user_data});
}
void cmdi_ring_connect(
        struct cmdi_ring *ring, int fd, const struct cmdi_address *address, uint64_t user_data)
{
    begin(ring, (struct operation){
                        .kind = CONNECT, .fd = fd, .address = address, .user_data = user_data});
}
void cmdi_ring_recv(struct cmdi_ring *ring, int fd, bool poll_first, uint64_t user_data)
{
    begin(ring, (struct operation){.kind = RECV, .fd = fd, .user_data = user_data});
}
void cmdi_ring_recv_once(struct cmdi_ring *ring, int fd, uint64_t user_data)
{
    begin(ring, (struct operation){.kind = RECV, .fd = fd, .once = true, .user_data = user_data});
}
void cmdi_ring_send(
        struct cmdi_ring *ring, int fd, const void *data, size_t size, uint64_t user_data)
{
    begin(ring,
            (struct operation){
                    .kind = SEND, .fd = fd, .data = data, .size = size, .user_data = user_data});
}
void cmdi_ring_watch(struct cmdi_ring *ring, int fd, bool finish, uint64_t user_data)
{
    begin(ring,
            (struct operation){.kind = WATCH, .fd = fd, .finish = finish, .user_data = user_data});
}
void cmdi_ring_cancel(struct cmdi_ring *ring, uint64_t target, uint64_t user_data)
{
    struct operation cancel = {.user_data = user_data};
    int code = -ENOENT;
    for (uint32_t i = 0; i < OPERATIONS; i++) {
        struct operation *operation = &ring->operations[i];
        if (operation->kind != NONE && operation->user_data == target) {
            complete(ring, operation, -ECANCELED, 0, 0);
            code = 0;
        }
    }
    complete(ring, &cancel, code, 0, 0);
}

int cmdi_ring_create(
        struct cmdi_ring **out, const struct cmdi_ring_options *options, struct cmds_error *error)
{
    struct cmdi_ring *ring = calloc(1, sizeof(*ring));
    CMDI_ASSERT(ring != NULL);
    ring->options = *options;
    ring->buffers = malloc((size_t)options->buffer_count * options->buffer_size);
    ring->held = calloc(options->buffer_count, sizeof(bool));
    CMDI_ASSERT(ring->buffers != NULL && ring->held != NULL);
    *out = ring;
    return 0;
}
void cmdi_ring_destroy(struct cmdi_ring *ring)
{
    if (ring != NULL) {
        free(ring->buffers);
        free(ring->held);
        free(ring);
    }
}
int cmdi_ring_enter(struct cmdi_ring *ring, uint64_t wait_ns)
{
    CMDI_ASSERT(wait_ns == CMDI_RING_WAIT_NONE);
    entered++;
    for (uint32_t i = 0; i < OPERATIONS; i++) {
        try_operation(ring, &ring->operations[i]);
    }
    return 0;
}
uint32_t cmdi_ring_harvest(struct cmdi_ring *ring, struct cmdi_completion *out, uint32_t max)
{
    uint32_t count = ring->completion_count < max ? ring->completion_count : max;
    memcpy(out, ring->completions, count * sizeof(*out));
    ring->completion_count -= count;
    memmove(ring->completions, ring->completions + count, ring->completion_count * sizeof(*out));
    return count;
}
bool cmdi_ring_has_work(const struct cmdi_ring *ring)
{
    return ring->completion_count > 0;
}
uint32_t cmdi_ring_in_flight(const struct cmdi_ring *ring)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < OPERATIONS; i++) {
        count += ring->operations[i].kind != NONE;
    }
    return count;
}
uint8_t *cmdi_ring_buffer(const struct cmdi_ring *ring, uint16_t buffer)
{
    return ring->buffers + (size_t)buffer * ring->options.buffer_size;
}
void cmdi_ring_buffer_release(struct cmdi_ring *ring, uint16_t buffer)
{
    CMDI_ASSERT(ring->held[buffer]);
    ring->held[buffer] = false;
    ring->buffers_held--;
}
uint32_t cmdi_ring_buffer_count(const struct cmdi_ring *ring)
{
    return ring->options.buffer_count;
}
uint32_t cmdi_ring_buffers_free(const struct cmdi_ring *ring)
{
    return ring->options.buffer_count - ring->buffers_held;
}
uint32_t cmdi_ring_entries(const struct cmdi_ring *ring)
{
    return ring->options.entries;
}
/* --- What has one answer ---------------------------------------------------------------------- */

#define ANSWER(type, value, name, ...)                                                             \
    type name(__VA_ARGS__)                                                                         \
    {                                                                                              \
        return value;                                                                              \
    }
#define NOTHING(name, ...)                                                                         \
    void name(__VA_ARGS__)                                                                         \
    {                                                                                              \
    }

ANSWER(bool, true, cmdi_socket_is_local, int fd)
ANSWER(bool, false, cmdi_socket_undo_self, int fd)
ANSWER(int, 0, cmdi_ring_enable, struct cmdi_ring *ring)
ANSWER(bool, false, cmdi_ring_buffers_grow, struct cmdi_ring *ring)
ANSWER(uint32_t, 0, cmdi_ring_features, const struct cmdi_ring *ring)
ANSWER(int, -EAGAIN, cmdi_thread_start, pthread_t *thread, void *(*fn)(void *argument),
        void *argument, const char *name, size_t stack_size)
ANSWER(int, -ENOSYS, cmdi_poller_init, struct cmdi_poller *poller) // So there is no deputy.
ANSWER(uint64_t, 4, cmdi_random, void)
ANSWER(uint32_t, 0, cmdi_cpu_quota_percent, void)
ANSWER(int, 0, cmdi_cpu_pin, uint16_t cpu)
ANSWER(uint64_t, 0, cmdi_preemptions, void)
ANSWER(uintptr_t, 1, cmdi_thread_self, void)
NOTHING(cmdi_socket_file_remove, const struct cmdi_address *address, struct cmdi_socket_file *file)
NOTHING(cmdi_fd_expect, int fd, uint32_t count)
NOTHING(cmdi_ring_buffers_shrink, struct cmdi_ring *ring)
NOTHING(cmdi_futex_wake, _Atomic uint32_t *word, int count)

/* --- What nobody asks for where shards are stepped -------------------------------------------- */

#define ABSENT(type, name, ...)                                                                    \
    type name(__VA_ARGS__)                                                                         \
    {                                                                                              \
        cmdi_die("%s: not in this kernel", #name);                                                 \
    }

ABSENT(uint64_t, cmdi_now_ns, void)
ABSENT(void, cmdi_stop_signals_block, bool with_hangup)
ABSENT(bool, cmdi_stop_signals_wait, bool with_hangup)
ABSENT(bool, cmdi_stop_signals_take, void)
ABSENT(int, cmdi_write_now, int fd, const void *data, size_t size)
ABSENT(void, cmdi_say, bool wrong, const char *format, ...)
ABSENT(void, cmdi_futex_wait, _Atomic uint32_t *word, uint32_t expected, uint64_t timeout_ns)
ABSENT(void, cmdi_thread_join, pthread_t thread)
ABSENT(uint32_t, cmdi_interface_index, const char *name)
ABSENT(int, cmdi_name_resolve, const char *host, uint16_t port, struct cmdi_address *addresses,
        uint32_t max, const char **why)
ABSENT(void, cmdi_poller_fini, struct cmdi_poller *poller)
ABSENT(int, cmdi_poller_add, struct cmdi_poller *poller, int fd)
ABSENT(bool, cmdi_poller_wait, struct cmdi_poller *poller)
ABSENT(void, cmdi_poller_stop, struct cmdi_poller *poller)
ABSENT(void, cmdi_ring_alarm, struct cmdi_ring *ring, uint64_t at_ns)
ABSENT(void, cmdi_ring_drain, struct cmdi_ring *ring)
ABSENT(void, cmdi_ring_give_up, struct cmdi_ring *ring)
ABSENT(int, cmdi_ring_fd, const struct cmdi_ring *ring)
ABSENT(void, cmdi_ring_fd_quiet, struct cmdi_ring *ring)
ABSENT(void, cmdi_ring_wake, struct cmdi_ring *ring)

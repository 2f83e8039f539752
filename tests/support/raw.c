/* SPDX-License-Identifier: MIT */
/*
 * Sockets are not blocking: a wait is a poll, or, over an inline runtime, a turn of it, so that one
 * thread can be both ends.
 */
#include "support/raw.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "ring/address.h"

enum {
    RAW_TURN_US = 1000,
};

uint64_t raw_now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void raw_pause(struct cmds_runtime *turn)
{
    if (turn != NULL) {
        (void)cmds_runtime_turn(turn, RAW_TURN_US);
    } else {
        (void)poll(NULL, 0, 1);
    }
}

const char *raw_unix_address(const char *name)
{
    static char address[64];
    (void)snprintf(address, sizeof(address), "unix:@cmdstream-%s-%d", name, (int)getpid());
    return address;
}

/* Returns: the socket is ready. */
static bool raw_wait(struct raw *raw, short events)
{
    uint64_t until_ms = raw_now_ms() + RAW_GUARD_MS;
    do {
        struct pollfd poll_fd = {.fd = raw->fd, .events = events};
        if (poll(&poll_fd, 1, raw->turn != NULL ? 0 : 100) > 0) {
            return true;
        }
        if (raw->turn != NULL) {
            (void)cmds_runtime_turn(raw->turn, RAW_TURN_US);
        }
    } while (raw_now_ms() < until_ms);
    return false;
}

/* --- Connecting ------------------------------------------------------------------------------- */

static bool raw_local_address(const char *path, struct cmdi_address *address)
{
    size_t size = strlen(path);
    if (size == 0 || size >= sizeof(address->as.local.sun_path)) {
        return false;
    }
    address->as.local.sun_family = AF_UNIX;
    memcpy(address->as.local.sun_path, path, size + 1);
    address->size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size + 1);
    if (path[0] == '@') {
        address->as.local.sun_path[0] = '\0';
        address->size--;
    }
    return true;
}

static bool raw_parse(const char *text, struct cmdi_address *address)
{
    char host[64];
    const char *colon = strrchr(text, ':');
    memset(address, 0, sizeof(*address));
    if (strncmp(text, "unix:", 5) == 0) {
        return raw_local_address(text + 5, address);
    }
    if (colon == NULL || (size_t)(colon - text) >= sizeof(host)) {
        return false;
    }
    uint16_t port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
    if (text[0] == '[') {
        (void)snprintf(host, sizeof(host), "%.*s", (int)(colon - text - 2), text + 1);
        address->as.v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = port};
        address->size = sizeof(address->as.v6);
        return inet_pton(AF_INET6, host, &address->as.v6.sin6_addr) == 1;
    }
    (void)snprintf(host, sizeof(host), "%.*s", (int)(colon - text), text);
    address->as.v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = port};
    address->size = sizeof(address->as.v4);
    return inet_pton(AF_INET, host, &address->as.v4.sin_addr) == 1;
}

void raw_init(struct raw *raw, int fd)
{
    int yes = 1;
    *raw = (struct raw){.fd = fd};
    (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes)); // Not on a UNIX socket.
}

int raw_open(struct raw *raw, const char *text, int receive_size, struct cmds_runtime *turn)
{
    struct cmdi_address address;
    *raw = (struct raw){.fd = -1};
    if (!raw_parse(text, &address)) {
        return -EINVAL;
    }
    int fd = socket(address.as.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    if (receive_size > 0) {
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_size, sizeof(receive_size));
    }
    if (connect(fd, &address.as.any, address.size) < 0) {
        int code = errno;
        (void)close(fd);
        return -code;
    }
    raw_init(raw, fd);
    raw->turn = turn;
    return 0;
}

void raw_close(struct raw *raw)
{
    if (raw->fd >= 0) {
        (void)close(raw->fd);
    }
    free(raw->data);
    *raw = (struct raw){.fd = -1};
}

void raw_abort(struct raw *raw)
{
    struct linger linger = {.l_onoff = 1};
    (void)setsockopt(raw->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    raw_close(raw);
}

void raw_finish(struct raw *raw)
{
    (void)shutdown(raw->fd, SHUT_WR);
}

/* --- Bytes ------------------------------------------------------------------------------------ */

int64_t raw_write_some(struct raw *raw, const void *data, size_t size)
{
    ssize_t sent = send(raw->fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) {
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    }
    return sent;
}

bool raw_write(struct raw *raw, const void *data, size_t size)
{
    const uint8_t *at = data;
    while (size > 0) {
        int64_t sent = raw_write_some(raw, at, size);
        if (sent < 0 || (sent == 0 && !raw_wait(raw, POLLOUT))) {
            return false;
        }
        at += sent;
        size -= (size_t)sent;
    }
    return true;
}

static int raw_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

size_t raw_hex(const char *hex, uint8_t *out, size_t size)
{
    size_t count = 0;
    while (*hex != '\0' && count < size) {
        if (*hex == ' ') {
            hex++;
            continue;
        }
        int high = raw_digit(hex[0]);
        int low = raw_digit(hex[1]);
        if (high < 0 || low < 0) {
            abort(); // The test itself is wrong.
        }
        out[count++] = (uint8_t)(high * 16 + low);
        hex += 2;
    }
    return count;
}

bool raw_write_hex(struct raw *raw, const char *hex)
{
    uint8_t bytes[512];
    return raw_write(raw, bytes, raw_hex(hex, bytes, sizeof(bytes)));
}

static bool raw_room(struct raw *raw, size_t size)
{
    if (raw->begin > 0 && raw->begin == raw->end) {
        raw->begin = 0;
        raw->end = 0;
    }
    if (raw->capacity - raw->end >= size) {
        return true;
    }
    if (raw->begin > 0) {
        memmove(raw->data, raw->data + raw->begin, raw->end - raw->begin);
        raw->end -= raw->begin;
        raw->begin = 0;
    }
    if (raw->capacity - raw->end < size) {
        size_t capacity = (raw->end + size) * 2;
        uint8_t *data = realloc(raw->data, capacity);
        if (data == NULL) {
            return false;
        }
        raw->data = data;
        raw->capacity = capacity;
    }
    return true;
}

/* Reads once, without waiting. Returns: something came, be it the end. */
static bool raw_receive_now(struct raw *raw)
{
    if (raw->eof || raw->reset || !raw_room(raw, 65536)) {
        return false;
    }
    ssize_t size = recv(raw->fd, raw->data + raw->end, raw->capacity - raw->end, MSG_DONTWAIT);
    if (size > 0) {
        raw->end += (size_t)size;
        return true;
    }
    raw->eof = size == 0;
    raw->reset = size < 0 && errno != EAGAIN && errno != EINTR;
    return raw->eof || raw->reset;
}

/* Reads once, waiting for it. Returns: something came, be it the end. */
static bool raw_receive(struct raw *raw)
{
    while (!raw->eof && !raw->reset) {
        if (raw_receive_now(raw)) {
            return true;
        }
        if (!raw_wait(raw, POLLIN)) {
            break;
        }
    }
    return false;
}

bool raw_fill(struct raw *raw, size_t size)
{
    while (raw->end - raw->begin < size) {
        if (!raw_receive(raw)) {
            return false;
        }
    }
    return true;
}

bool raw_expect_hex(struct raw *raw, const char *hex)
{
    uint8_t bytes[512];
    size_t size = raw_hex(hex, bytes, sizeof(bytes));
    if (!raw_fill(raw, size) || memcmp(raw->data + raw->begin, bytes, size) != 0) {
        return false;
    }
    raw->begin += size;
    return true;
}

enum raw_event raw_drain(struct raw *raw)
{
    while (!raw->eof && !raw->reset) {
        raw->begin = raw->end;
        if (!raw_receive(raw)) {
            return RAW_HANG;
        }
    }
    return raw->eof ? RAW_EOF : RAW_RESET;
}

/* --- Frames ----------------------------------------------------------------------------------- */

size_t raw_varint(uint8_t *out, uint64_t value)
{
    size_t size = 0;
    while (value >= 0x80) {
        out[size++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    out[size++] = (uint8_t)value;
    return size;
}

/* Returns: bytes; 0: more are needed. */
static size_t raw_varint_read(const uint8_t *data, size_t size, uint64_t *value)
{
    *value = 0;
    for (size_t i = 0; i < size && i < 10; i++) {
        *value |= (uint64_t)(data[i] & 0x7f) << (7 * i);
        if ((data[i] & 0x80) == 0) {
            return i + 1;
        }
    }
    return 0;
}

bool raw_server_info(struct raw *raw)
{
    return raw_expect_hex(raw, "0764656661756c74");
}

size_t raw_frame_encode(
        uint8_t *out, uint64_t sequence, uint64_t type, const void *body, size_t body_size)
{
    uint8_t *at = out;
    at += raw_varint(at, sequence);
    at += raw_varint(at, type);
    at += raw_varint(at, body_size);
    memcpy(at, body, body_size);
    return (size_t)(at - out) + body_size;
}

bool raw_send(struct raw *raw, uint64_t sequence, struct cmds_message message)
{
    int64_t size = cmds_codec_msgpack.size(&cmds_codec_msgpack, message.type, message.value);
    uint8_t *bytes = size < 0 ? NULL : malloc((size_t)size * 2 + RAW_FRAME_HEADER_MAX);
    if (bytes == NULL) {
        return false;
    }
    uint8_t *body = bytes + size + RAW_FRAME_HEADER_MAX;
    bool sent =
            cmds_codec_encode(&cmds_codec_msgpack, message, body, (size_t)size) == size &&
            raw_write(raw, bytes,
                    raw_frame_encode(bytes, sequence, message.type->number, body, (size_t)size));
    free(bytes);
    return sent;
}

/* Returns: bytes of the frame at the front; 0: it is not whole. */
static size_t raw_parse_frame(const struct raw *raw, struct raw_frame *frame)
{
    const uint8_t *data = raw->data + raw->begin;
    size_t size = raw->end - raw->begin;
    uint64_t body_size = 0;
    size_t used = raw_varint_read(data, size, &frame->sequence);
    if (used == 0 || frame->sequence == 0) {
        return used;
    }
    size_t more = raw_varint_read(data + used, size - used, &frame->type);
    used += more;
    size_t last = more == 0 ? 0 : raw_varint_read(data + used, size - used, &body_size);
    used += last;
    if (last == 0 || size - used < body_size) {
        return 0;
    }
    frame->body = data + used;
    frame->body_size = (size_t)body_size;
    return used + (size_t)body_size;
}

static enum raw_event raw_next(
        struct raw *raw, struct raw_frame *frame, bool (*receive)(struct raw *raw))
{
    *frame = (struct raw_frame){0};
    for (;;) {
        size_t size = raw->begin == raw->end ? 0 : raw_parse_frame(raw, frame);
        if (size > 0) {
            raw->begin += size;
            return RAW_FRAME;
        }
        if (raw->eof || raw->reset) {
            return raw->eof ? RAW_EOF : RAW_RESET;
        }
        if (!receive(raw)) {
            return RAW_HANG;
        }
    }
}

enum raw_event raw_read(struct raw *raw, struct raw_frame *frame)
{
    return raw_next(raw, frame, raw_receive);
}

enum raw_event raw_try(struct raw *raw, struct raw_frame *frame)
{
    return raw_next(raw, frame, raw_receive_now);
}

void *raw_value(const struct raw_frame *frame, const struct cmds_type *type)
{
    void *value = NULL;
    struct cmds_bytes body = {frame->body, frame->body_size};
    if (frame->sequence == 0 || frame->type != type->number ||
            cmds_codec_decode(&cmds_codec_msgpack, type, body, &value) < 0) {
        return NULL;
    }
    return value;
}

/* --- A server in a thread --------------------------------------------------------------------- */

static void *raw_server_main(void *argument)
{
    struct raw_server *server = argument;
    for (;;) {
        int fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EINTR || errno == ECONNABORTED) {
                continue;
            }
            break; // It was shut down.
        }
        struct raw peer;
        raw_init(&peer, fd);
        atomic_fetch_add(&server->accepted, 1);
        server->serve(server, &peer, server->context);
        raw_close(&peer);
    }
    return NULL;
}

int raw_server_start(struct raw_server *server, raw_serve_fn serve, void *context)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct sockaddr *any = (struct sockaddr *)(void *)&address;
    socklen_t size = sizeof(address);
    *server = (struct raw_server){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
            .serve = serve,
            .context = context};
    if (server->fd < 0) {
        return -errno;
    }
    if (bind(server->fd, any, size) < 0 || listen(server->fd, 128) < 0 ||
            getsockname(server->fd, any, &size) < 0) {
        int code = errno;
        (void)close(server->fd);
        return -code;
    }
    (void)snprintf(
            server->address, sizeof(server->address), "127.0.0.1:%u", ntohs(address.sin_port));
    return -pthread_create(&server->thread, NULL, raw_server_main, server);
}

void raw_server_stop(struct raw_server *server)
{
    atomic_store(&server->stopping, true);
    (void)shutdown(server->fd, SHUT_RDWR);
    (void)pthread_join(server->thread, NULL);
    (void)close(server->fd);
}

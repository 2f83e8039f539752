/* SPDX-License-Identifier: MIT */
/* See backend.h. One thread, poll, and a buffer for each connection. */
#include "support/backend.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"

enum {
    CONNECTIONS_MAX = 64,
    REQUEST_SIZE_MAX = 1 << 20,
    WAIT_SECONDS = 60,
    FDS_BEFORE = 2, // In front of the connections': the listener's, and the one that ends it all.
};

struct connection {
    int fd; // -1: none.
    size_t size;
    uint8_t *bytes;
};

struct backend {
    const struct backend_step *steps;
    size_t step_count;
    int listener, end;
    char url[64];
    pthread_t thread;
    struct connection connections[CONNECTIONS_MAX];

    pthread_mutex_t lock; // Of all that follows.
    pthread_cond_t asked;
    uint32_t requests;
    char *head;
    uint8_t *body;
    size_t body_size;
};

static void connection_close(struct connection *connection, bool reset)
{
    if (reset) {
        struct linger linger = {.l_onoff = 1};
        (void)setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    }
    (void)close(connection->fd);
    free(connection->bytes);
    *connection = (struct connection){.fd = -1};
}

static void keep(struct backend *backend, const struct connection *connection, size_t head_size,
        size_t body_size)
{
    pthread_mutex_lock(&backend->lock);
    free(backend->head);
    free(backend->body);
    backend->head = strndup((const char *)connection->bytes, head_size);
    backend->body = malloc(body_size + 1);
    CMDI_ASSERT(backend->head != NULL && backend->body != NULL);
    memcpy(backend->body, connection->bytes + head_size, body_size);
    backend->body_size = body_size;
    backend->requests++;
    pthread_cond_broadcast(&backend->asked);
    pthread_mutex_unlock(&backend->lock);
}

static void answer(struct backend *backend, struct connection *connection)
{
    uint32_t at = backend_requests(backend) - 1;
    const struct backend_step *step =
            &backend->steps[at < backend->step_count ? at : backend->step_count - 1];
    if (step->is_reset) {
        connection_close(connection, true);
        return;
    }
    if (step->act == BACKEND_ANSWER) {
        size_t size = step->size > 0 ? step->size : strlen(step->text);
        (void)send(connection->fd, step->text, size, MSG_NOSIGNAL);
    }
    if (step->is_end) {
        connection_close(connection, false);
    }
}

/* Is a request whole? Then it is kept, answered and forgotten. */
static void take(struct backend *backend, struct connection *connection)
{
    const char *bytes = (const char *)connection->bytes;
    const char *end = memmem(bytes, connection->size, "\r\n\r\n", 4);
    if (end == NULL) {
        return;
    }
    size_t head_size = (size_t)(end - bytes) + 4, body_size = 0;
    for (const char *line = bytes; line < end; line = strstr(line, "\r\n") + 2) {
        if (strncasecmp(line, "content-length:", 15) == 0) {
            body_size = strtoul(line + 15, NULL, 10);
        }
    }
    if (connection->size < head_size + body_size) {
        return;
    }
    keep(backend, connection, head_size, body_size);
    connection->size -= head_size + body_size;
    memmove(connection->bytes, connection->bytes + head_size + body_size, connection->size);
    answer(backend, connection);
}

static void receive(struct backend *backend, struct connection *connection)
{
    CMDI_ASSERT(connection->size < REQUEST_SIZE_MAX);
    ssize_t size = recv(connection->fd, connection->bytes + connection->size,
            REQUEST_SIZE_MAX - connection->size, 0);
    if (size <= 0) {
        connection_close(connection, false);
        return;
    }
    connection->size += (size_t)size;
    connection->bytes[connection->size] = '\0';
    take(backend, connection);
}

static void accept_one(struct backend *backend)
{
    int fd = accept4(backend->listener, NULL, NULL, SOCK_CLOEXEC);
    for (int i = 0; fd >= 0 && i < CONNECTIONS_MAX; i++) {
        struct connection *connection = &backend->connections[i];
        if (connection->fd < 0) {
            *connection = (struct connection){.fd = fd, .bytes = malloc(REQUEST_SIZE_MAX + 1)};
            CMDI_ASSERT(connection->bytes != NULL);
            return;
        }
    }
    CMDI_ASSERT(fd < 0); // Or there were more connections than a test makes.
}

static void *run(void *context)
{
    struct backend *backend = context;
    for (;;) {
        struct pollfd fds[FDS_BEFORE + CONNECTIONS_MAX] = {
                {.fd = backend->listener, .events = POLLIN},
                {.fd = backend->end, .events = POLLIN}};
        for (int i = 0; i < CONNECTIONS_MAX; i++) {
            fds[FDS_BEFORE + i] =
                    (struct pollfd){.fd = backend->connections[i].fd, .events = POLLIN};
        }
        (void)poll(fds, FDS_BEFORE + CONNECTIONS_MAX, -1);
        if (fds[1].revents != 0) {
            return NULL;
        }
        for (int i = 0; i < CONNECTIONS_MAX; i++) {
            if (fds[FDS_BEFORE + i].revents != 0 && backend->connections[i].fd >= 0) {
                receive(backend, &backend->connections[i]);
            }
        }
        if (fds[0].revents != 0) {
            accept_one(backend);
        }
    }
}

struct backend *backend_start(const struct backend_step *steps, size_t count)
{
    struct backend *backend = calloc(1, sizeof(*backend));
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    CMDI_ASSERT(backend != NULL && count > 0);
    backend->steps = steps;
    backend->step_count = count;
    backend->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    backend->end = eventfd(0, EFD_CLOEXEC);
    for (int i = 0; i < CONNECTIONS_MAX; i++) {
        backend->connections[i].fd = -1;
    }
    CMDI_ASSERT(bind(backend->listener, (struct sockaddr *)&address, size) == 0);
    CMDI_ASSERT(listen(backend->listener, CONNECTIONS_MAX) == 0);
    CMDI_ASSERT(getsockname(backend->listener, (struct sockaddr *)&address, &size) == 0);
    (void)snprintf(
            backend->url, sizeof(backend->url), "http://127.0.0.1:%u", ntohs(address.sin_port));
    (void)pthread_mutex_init(&backend->lock, NULL);
    (void)pthread_cond_init(&backend->asked, NULL);
    CMDI_ASSERT(pthread_create(&backend->thread, NULL, run, backend) == 0);
    return backend;
}

void backend_stop(struct backend *backend)
{
    static const uint64_t one = 1;
    CMDI_ASSERT(write(backend->end, &one, sizeof(one)) == sizeof(one));
    (void)pthread_join(backend->thread, NULL);
    for (int i = 0; i < CONNECTIONS_MAX; i++) {
        if (backend->connections[i].fd >= 0) {
            connection_close(&backend->connections[i], false);
        }
    }
    (void)close(backend->listener);
    (void)close(backend->end);
    (void)pthread_cond_destroy(&backend->asked);
    (void)pthread_mutex_destroy(&backend->lock);
    free(backend->head);
    free(backend->body);
    free(backend);
}

const char *backend_url(const struct backend *backend)
{
    return backend->url;
}

bool backend_wait(struct backend *backend, uint32_t requests)
{
    struct timespec end;
    (void)clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += WAIT_SECONDS;
    int code = 0;
    pthread_mutex_lock(&backend->lock);
    while (backend->requests < requests && code == 0) {
        code = pthread_cond_timedwait(&backend->asked, &backend->lock, &end);
    }
    pthread_mutex_unlock(&backend->lock);
    return code == 0;
}

uint32_t backend_requests(struct backend *backend)
{
    pthread_mutex_lock(&backend->lock);
    uint32_t requests = backend->requests;
    pthread_mutex_unlock(&backend->lock);
    return requests;
}

char *backend_head(struct backend *backend)
{
    pthread_mutex_lock(&backend->lock);
    char *head = backend->head == NULL ? NULL : strdup(backend->head);
    pthread_mutex_unlock(&backend->lock);
    return head;
}

uint8_t *backend_body(struct backend *backend, size_t *size)
{
    pthread_mutex_lock(&backend->lock);
    uint8_t *body = malloc(backend->body_size + 1);
    if (body != NULL && backend->body != NULL) {
        memcpy(body, backend->body, backend->body_size);
    }
    *size = backend->body_size;
    pthread_mutex_unlock(&backend->lock);
    return body;
}

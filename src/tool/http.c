/* SPDX-License-Identifier: MIT */
/*
 * See http.h. The request says HTTP/1.0, so that the answer is one piece, which the end of the connection
 * or Content-Length ends.
 */
#include "http.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock.h"

enum {
    HTTP_PART = 64 * 1024,
    HTTP_HOST_MAX = 256,
    HTTP_REQUEST_MAX = 1024,
};
static const char http_unix[] = "unix:";
static const char http_scheme[] = "http://";

struct http {
    const char *address, *rest; // `rest`: without "http://".
    char host[HTTP_HOST_MAX], port[16];
    int fd;
    uint64_t until_ns;
    char *data;
    size_t size, capacity;
    char *text;
};

static int http_fail(const struct http *http, int code, const char *what)
{
    (void)snprintf(http->text, TOOL_HTTP_TEXT_SIZE, "%.150s: %s%s%s", http->address, what,
            code == -EPROTO || code == -EINVAL ? "" : ": ",
            code == -EPROTO || code == -EINVAL ? "" : strerror(-code));
    return code;
}

/* --- Connecting ------------------------------------------------------------------------------- */

static bool http_is_port(const char *digits)
{
    size_t size = strspn(digits, "0123456789");
    int port = size > 0 && size <= 5 && digits[size] == '\0' ? atoi(digits) : 0;
    return port >= 1 && port <= UINT16_MAX;
}

/* Host and port. Returns: 0; -EINVAL. */
static int http_split(struct http *http, const char *address)
{
    const char *colon = strrchr(address, ':');
    size_t size = colon != NULL ? (size_t)(colon - address) : 0;
    bool is_bracketed = size > 2 && address[0] == '[' && address[size - 1] == ']';
    if (size == 0 || size >= sizeof(http->host) || !http_is_port(colon + 1) ||
            (!is_bracketed && (address[0] == '[' || memchr(address, ':', size) != NULL))) {
        return http_fail(http, -EINVAL,
                "an address is HOST:PORT, [::1]:PORT or unix:PATH, with a port of 1 to 65535");
    }
    memcpy(http->host, address + is_bracketed, size - 2u * is_bracketed);
    http->host[size - 2u * is_bracketed] = '\0';
    memcpy(http->port, colon + 1, strlen(colon + 1) + 1);
    return 0;
}

/* Waits for `events`. Returns: 0; -ETIMEDOUT. */
static int http_wait(const struct http *http, short events)
{
    struct pollfd poller = {.fd = http->fd, .events = events};
    uint64_t now_ns = cmdi_tool_now_ns();
    int left_ms = now_ns < http->until_ns ? (int)((http->until_ns - now_ns) / 1000000) + 1 : 0;
    int ready = poll(&poller, 1, left_ms);
    return ready > 0 || (ready < 0 && errno == EINTR) ? 0 : -ETIMEDOUT;
}

static int http_connect_to(struct http *http, const struct sockaddr *to, socklen_t size)
{
    http->fd = socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (http->fd < 0) {
        return -errno;
    }
    int error = connect(http->fd, to, size) < 0 ? errno : 0;
    socklen_t length = sizeof(error);
    if (error == EINPROGRESS) {
        error = -http_wait(http, POLLOUT);
        if (error == 0 && getsockopt(http->fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0) {
            error = errno;
        }
    }
    if (error != 0) {
        (void)close(http->fd);
        http->fd = -1;
    }
    return -error;
}

/* What stands behind "http://". Returns: of a UNIX socket the path; else NULL. */
static const char *http_path(struct http *http)
{
    size_t size = sizeof(http_scheme) - 1;
    const char *rest = http->address + (strncmp(http->address, http_scheme, size) == 0 ? size : 0);
    http->rest = rest;
    size = sizeof(http_unix) - 1;
    return strncmp(rest, http_unix, size) == 0 ? rest + size : NULL;
}

/* Host and port, or the path. Returns: 0; -EINVAL. */
static int http_read_address(struct http *http)
{
    const char *path = http_path(http);
    if (path == NULL) {
        return http_split(http, http->rest);
    }
    if (path[0] == '\0' || strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path)) {
        return http_fail(http, -EINVAL, "no path of a UNIX socket");
    }
    return 0;
}

/* The path fits. */
static int http_connect_unix(struct http *http, const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t size = strlen(path);
    memcpy(to.sun_path, path, size);
    to.sun_path[0] = path[0] == '@' ? '\0' : path[0];
    size_t end = path[0] == '@' ? size : size + 1;
    (void)snprintf(http->host, sizeof(http->host), "localhost");
    return http_connect_to(http, (const struct sockaddr *)&to,
            (socklen_t)(offsetof(struct sockaddr_un, sun_path) + end));
}

static int http_connect(struct http *http)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    int code = http_read_address(http);
    const char *path = http_path(http);
    if (code < 0 || path != NULL) {
        return code < 0 ? code : http_connect_unix(http, path);
    }
    int lookup = getaddrinfo(http->host, http->port, &hints, &found);
    if (lookup != 0) {
        http_fail(http, -EPROTO, gai_strerror(lookup));
        return -EHOSTUNREACH;
    }
    code = -EHOSTUNREACH;
    for (const struct addrinfo *one = found; one != NULL && http->fd < 0; one = one->ai_next) {
        code = http_connect_to(http, one->ai_addr, one->ai_addrlen);
    }
    freeaddrinfo(found);
    return code;
}

/* --- Asking ----------------------------------------------------------------------------------- */

static int http_ask(struct http *http, const char *path, const char *accept)
{
    char request[HTTP_REQUEST_MAX];
    bool is_six = strchr(http->host, ':') != NULL;
    int size = snprintf(request, sizeof(request),
            "GET %s HTTP/1.0\r\nHost: %s%s%s%s%s\r\nAccept: %s\r\nConnection: close\r\n\r\n", path,
            is_six ? "[" : "", http->host, is_six ? "]" : "", http->port[0] != '\0' ? ":" : "",
            http->port, accept);
    if (size < 0 || (size_t)size >= sizeof(request)) {
        return -ENAMETOOLONG;
    }
    for (size_t done = 0; done < (size_t)size;) {
        ssize_t sent = send(http->fd, request + done, (size_t)size - done, MSG_NOSIGNAL);
        int code = sent < 0 ? -errno : 0;
        code = code == -EAGAIN ? http_wait(http, POLLOUT) : code == -EINTR ? 0 : code;
        if (code < 0) {
            return code;
        }
        done += sent > 0 ? (size_t)sent : 0;
    }
    return 0;
}

static int http_grow(struct http *http)
{
    if (http->size + HTTP_PART + 1 <= http->capacity) {
        return 0;
    }
    if (http->size + HTTP_PART > TOOL_HTTP_SIZE_MAX) {
        return -EFBIG;
    }
    size_t capacity = 2 * http->capacity + HTTP_PART + 1;
    char *data = realloc(http->data, capacity);
    if (data == NULL) {
        return -ENOMEM;
    }
    http->data = data;
    http->capacity = capacity;
    return 0;
}

static int http_read_all(struct http *http)
{
    for (;;) {
        int code = http_grow(http);
        if (code < 0) {
            return code;
        }
        ssize_t got = recv(http->fd, http->data + http->size, HTTP_PART, 0);
        http->data[http->size + (got > 0 ? (size_t)got : 0)] = '\0';
        if (got == 0) {
            return 0;
        }
        code = got < 0 ? -errno : 0;
        code = code == -EAGAIN ? http_wait(http, POLLIN) : code == -EINTR ? 0 : code;
        if (code < 0) {
            return code;
        }
        http->size += got > 0 ? (size_t)got : 0;
    }
}

/* --- What has come ---------------------------------------------------------------------------- */

/* Returns: what stands behind the name, in a head that ends with an empty line; NULL: it is not there. */
static const char *http_header(const char *head, const char *name)
{
    size_t size = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line != NULL; line = strstr(line + 2, "\r\n")) {
        if (strncasecmp(line + 2, name, size) == 0 && line[2 + size] == ':') {
            const char *value = line + 3 + size;
            return value + strspn(value, " \t");
        }
    }
    return NULL;
}

static int http_parse(struct http *http, struct tool_http *answer)
{
    char *end = http->size > 0 ? strstr(http->data, "\r\n\r\n") : NULL;
    int status = 0;
    if (end == NULL || sscanf(http->data, "HTTP/1.%*1d %3d", &status) != 1 || status < 100) {
        return http_fail(http, -EPROTO, "what answers does not speak HTTP");
    }
    char *body = end + 4;
    size_t size = http->size - (size_t)(body - http->data);
    end[2] = '\0'; // The head alone is searched.
    const char *length = http_header(http->data, "Content-Length");
    if (http_header(http->data, "Transfer-Encoding") != NULL) {
        return http_fail(http, -EPROTO, "the answer comes in pieces, which HTTP/1.0 has not");
    }
    if (length != NULL) {
        unsigned long long said = strtoull(length, NULL, 10);
        if (said > size) {
            return http_fail(http, -EPROTO, "the answer was cut off");
        }
        size = (size_t)said;
        body[size] = '\0';
    }
    *answer = (struct tool_http){
            .status = status, .body = body, .body_size = size, .data = http->data};
    return 0;
}

int tool_http_get(struct tool_http *answer, const char *address, const char *path,
        const char *accept, char *text)
{
    struct http http = {.address = address, .fd = -1, .text = text};
    http.until_ns = cmdi_tool_now_ns() + (uint64_t)TOOL_HTTP_TIMEOUT_MS * 1000000;
    text[0] = '\0';
    int code = http_connect(&http);
    code = code < 0 ? code : http_ask(&http, path, accept);
    code = code < 0 ? code : http_read_all(&http);
    code = code < 0 ? code : http_parse(&http, answer);
    if (http.fd >= 0) {
        (void)close(http.fd);
    }
    if (code < 0) {
        free(http.data);
        if (text[0] == '\0') {
            http_fail(&http, code, "cannot be read");
        }
    }
    return code;
}

int tool_http_check(const char *address, char *text)
{
    struct http http = {.address = address, .fd = -1, .text = text};
    return http_read_address(&http);
}

void tool_http_free(struct tool_http *answer)
{
    free(answer->data);
    *answer = (struct tool_http){0};
}

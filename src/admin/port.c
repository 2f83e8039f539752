/* SPDX-License-Identifier: MIT */
/* See port.h. */
#include "admin/port.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <microhttpd.h>

#include "admin/common.h"
#include "admin/route.h"

enum {
    PORT_IDLE_S = 5,         // No byte moves.
    PORT_REQUEST_MS = 10000, // From the end of the last response to the end of the next one.
    PORT_REST_MS = 100,
    PORT_MEMORY_SIZE = 16 * 1024, // Of a connection: the line and the headers of a request.
    PORT_NS_PER_MS = 1000000,
};

/* --- libmicrohttpd ---------------------------------------------------------------------------- */

static struct cmdi_admin_connection *port_find(struct cmdi_admin_port *port, int fd)
{
    for (uint32_t i = 0; i < CMDI_ADMIN_CONNECTIONS_MAX; i++) {
        if (port->connections[i].fd == fd) {
            return &port->connections[i];
        }
    }
    return NULL;
}

static int port_fd(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    CMDI_ADMIN_ASSERT(info != NULL);
    return info->connect_fd;
}

/* The place was taken when it was accepted. */
static void port_on_connection(void *context, struct MHD_Connection *handle, void **socket_context,
        enum MHD_ConnectionNotificationCode code)
{
    struct cmdi_admin_port *port = context;
    struct cmdi_admin_connection *connection = *socket_context;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        connection = port_find(port, port_fd(handle));
        CMDI_ADMIN_ASSERT(connection != NULL);
        *socket_context = connection;
        return;
    }
    CMDI_ADMIN_ASSERT(connection->fd >= 0 && port->connection_count > 0);
    cmdi_admin_out_free(&connection->request.out);
    connection->fd = -1;
    port->connection_count--;
    port->runs_again = true;
}

static void port_on_completed(void *context, struct MHD_Connection *handle, void **request_context,
        enum MHD_RequestTerminationCode code)
{
    (void)handle;
    (void)code;
    struct cmdi_admin_port *port = context;
    struct cmdi_admin_request *request = *request_context;
    if (request != NULL) {
        struct cmdi_admin_connection *connection =
                (void *)((char *)request - offsetof(struct cmdi_admin_connection, request));
        connection->since_ns = cmdi_admin_now_ns();
    }
    *request_context = NULL;
    port->runs_again = true;
}

/* All of it has come; it is called again for one that was suspended. */
static enum MHD_Result port_answer(struct cmdi_admin_port *port, struct cmdi_admin_request *request)
{
    bool waits = request->page->asks_shards && request->form != CMDI_ADMIN_HTML;
    if (!request->is_served && waits && cmdi_admin_desk_take(&port->desk, request)) {
        return MHD_YES;
    }
    if (!request->is_served) {
        cmdi_admin_serve(request);
    }
    return cmdi_admin_respond(request);
}

static enum MHD_Result port_on_request(void *context, struct MHD_Connection *handle,
        const char *path, const char *method, const char *version, const char *data,
        size_t *data_size, void **request_context)
{
    (void)version;
    struct cmdi_admin_port *port = context;
    struct cmdi_admin_request *request = *request_context;
    if (request == NULL) {
        struct cmdi_admin_connection *connection = port_find(port, port_fd(handle));
        CMDI_ADMIN_ASSERT(connection != NULL && connection->request.out.data == NULL);
        request = &connection->request;
        *request = (struct cmdi_admin_request){
                .admin = port->admin, .port = port, .connection = handle};
        *request_context = request;
        // What is refused is so before its body is read.
        return cmdi_admin_route(request, path, method) ? MHD_YES : cmdi_admin_respond(request);
    }
    if (*data_size > 0) {
        size_t room = sizeof(request->body) - request->body_size;
        size_t size = *data_size < room ? *data_size : room;
        memcpy(request->body + request->body_size, data, size);
        request->body_size += size;
        request->is_too_large |= size < *data_size;
        *data_size = 0;
        return MHD_YES;
    }
    return port_answer(port, request);
}

/* --- Life ------------------------------------------------------------------------------------- */

void cmdi_admin_port_init(
        struct cmdi_admin_port *port, struct cmds_admin *admin, enum cmdi_admin_place place)
{
    *port = (struct cmdi_admin_port){
            .admin = admin, .place = place, .listener.fd = -1, .epoll_fd = -1};
    cmdi_admin_desk_init(&port->desk);
    for (uint32_t i = 0; i < CMDI_ADMIN_CONNECTIONS_MAX; i++) {
        port->connections[i].fd = -1;
    }
}

int cmdi_admin_port_open(struct cmdi_admin_port *port, const char *name, const char *address,
        bool allow_remote, struct cmds_error *error)
{
    int code = cmdi_admin_listen(&port->listener, name, address, allow_remote, error);
    if (code < 0) {
        return code;
    }
    // One more than there are places: that it is full is decided here.
    port->daemon = MHD_start_daemon(
            MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
            port_on_request, port, MHD_OPTION_NOTIFY_CONNECTION, port_on_connection, port,
            MHD_OPTION_NOTIFY_COMPLETED, port_on_completed, port, MHD_OPTION_CONNECTION_LIMIT,
            (unsigned)CMDI_ADMIN_CONNECTIONS_MAX + 1, MHD_OPTION_CONNECTION_TIMEOUT,
            (unsigned)PORT_IDLE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)PORT_MEMORY_SIZE,
            MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
    const union MHD_DaemonInfo *info =
            port->daemon == NULL
                    ? NULL
                    : MHD_get_daemon_info(port->daemon, MHD_DAEMON_INFO_EPOLL_FD, NULL);
    if (info == NULL) {
        cmdi_admin_unlisten(&port->listener);
        return cmdi_admin_fail(error, -ENOMEM, "%s: libmicrohttpd does not start", name);
    }
    port->epoll_fd = info->epoll_fd;
    return 0;
}

void cmdi_admin_port_close(struct cmdi_admin_port *port)
{
    cmdi_admin_unlisten(&port->listener);
    cmdi_admin_desk_fini(&port->desk);
    if (port->daemon != NULL) {
        MHD_stop_daemon(port->daemon);
        port->daemon = NULL;
    }
    CMDI_ADMIN_ASSERT(port->connection_count == 0);
}

/* --- The turn --------------------------------------------------------------------------------- */

static bool port_may_accept(const struct cmdi_admin_port *port, uint64_t now_ns)
{
    return port->connection_count < CMDI_ADMIN_CONNECTIONS_MAX && now_ns >= port->rest_until_ns;
}

static int sooner(int ms, int other_ms)
{
    return other_ms < 0 || (ms >= 0 && ms < other_ms) ? ms : other_ms;
}

/* Until then, in ms, and never too soon. */
static int ms_until(uint64_t then_ns, uint64_t now_ns)
{
    return then_ns <= now_ns ? 0 : (int)((then_ns - now_ns) / PORT_NS_PER_MS) + 1;
}

static uint64_t connection_end_ns(const struct cmdi_admin_connection *connection)
{
    return connection->since_ns + (uint64_t)PORT_REQUEST_MS * PORT_NS_PER_MS;
}

int cmdi_admin_port_wait(
        struct cmdi_admin_port *port, struct pollfd polls[CMDI_ADMIN_PORT_POLLS], uint64_t now_ns)
{
    polls[0] = (struct pollfd){.fd = -1};
    polls[1] = (struct pollfd){.fd = -1};
    polls[2] = (struct pollfd){.fd = port->desk.served_fd, .events = POLLIN};
    if (port->daemon == NULL) {
        return -1;
    }
    polls[1] = (struct pollfd){.fd = port->epoll_fd, .events = POLLIN};
    int wait_ms = port->runs_again ? 0 : -1;
    if (port_may_accept(port, now_ns)) {
        polls[0] = (struct pollfd){.fd = port->listener.fd, .events = POLLIN};
    } else if (now_ns < port->rest_until_ns) {
        wait_ms = sooner(wait_ms, ms_until(port->rest_until_ns, now_ns));
    }
    for (uint32_t i = 0; i < CMDI_ADMIN_CONNECTIONS_MAX; i++) {
        if (port->connections[i].fd >= 0) {
            wait_ms = sooner(wait_ms, ms_until(connection_end_ns(&port->connections[i]), now_ns));
        }
    }
    MHD_UNSIGNED_LONG_LONG daemon_ms = 0;
    if (MHD_get_timeout(port->daemon, &daemon_ms) == MHD_YES) {
        wait_ms = sooner(wait_ms, daemon_ms < PORT_REQUEST_MS ? (int)daemon_ms : PORT_REQUEST_MS);
    }
    return wait_ms;
}

/* Returns: false: none waits, or none can be taken now. */
static bool port_accept(struct cmdi_admin_port *port, uint64_t now_ns)
{
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof(address);
    int fd = accept4(
            port->listener.fd, (struct sockaddr *)&address, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        bool passes = errno == EAGAIN || errno == ECONNABORTED || errno == EINTR;
        if (!passes) {
            port->rest_until_ns = now_ns + (uint64_t)PORT_REST_MS * PORT_NS_PER_MS;
        }
        return false;
    }
    struct cmdi_admin_connection *place = port_find(port, -1);
    CMDI_ADMIN_ASSERT(place != NULL);
    place->fd = fd;
    place->since_ns = now_ns;
    port->connection_count++;
    // It closes the socket if it fails, and then it has told of none.
    if (MHD_add_connection(port->daemon, fd, (struct sockaddr *)&address, size) != MHD_YES) {
        place->fd = -1;
        port->connection_count--;
    }
    return true;
}

void cmdi_admin_port_run(struct cmdi_admin_port *port, uint64_t now_ns)
{
    if (port->daemon == NULL) {
        return;
    }
    port->runs_again = cmdi_admin_desk_resumed(&port->desk);
    for (uint32_t i = 0; i < CMDI_ADMIN_CONNECTIONS_MAX; i++) {
        struct cmdi_admin_connection *connection = &port->connections[i];
        if (connection->fd >= 0 && now_ns >= connection_end_ns(connection)) {
            (void)shutdown(connection->fd, SHUT_RDWR); // libmicrohttpd sees it, and closes.
            connection->since_ns = now_ns;
        }
    }
    while (port_may_accept(port, now_ns) && port_accept(port, now_ns)) {
        port->runs_again = true;
    }
    (void)MHD_run(port->daemon);
}

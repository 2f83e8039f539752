/* SPDX-License-Identifier: MIT */
/* See change.h. */
#include "admin/change.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <microhttpd.h>

#include <cmdstream/log.h>

#include "admin/admin.h"
#include "admin/common.h"

enum {
    CHANGE_PEER_SIZE = INET6_ADDRSTRLEN + 16,
    CHANGE_TEXT_SIZE = 256,
};

/* Of a UNIX socket the process that connected, which is all that there is of a name; it may have ended. */
static void peer_process(int fd, char text[CHANGE_PEER_SIZE])
{
    struct ucred process = {.pid = 0};
    socklen_t size = sizeof(process);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &process, &size) == 0) {
        (void)snprintf(text, CHANGE_PEER_SIZE, "unix:pid %d, uid %u", (int)process.pid,
                (unsigned)process.uid);
    } else {
        (void)snprintf(text, CHANGE_PEER_SIZE, "unix:");
    }
}

static void peer_port(const struct sockaddr_storage *address, char text[CHANGE_PEER_SIZE])
{
    char host[INET6_ADDRSTRLEN] = "";
    if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const void *)address;
        (void)inet_ntop(AF_INET6, &six->sin6_addr, host, sizeof(host));
        (void)snprintf(text, CHANGE_PEER_SIZE, "[%s]:%u", host, ntohs(six->sin6_port));
    } else {
        const struct sockaddr_in *four = (const void *)address;
        (void)inet_ntop(AF_INET, &four->sin_addr, host, sizeof(host));
        (void)snprintf(text, CHANGE_PEER_SIZE, "%s:%u", host, ntohs(four->sin_port));
    }
}

static void peer_name(const struct cmdi_admin_request *request, char text[CHANGE_PEER_SIZE])
{
    const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    socklen_t size = sizeof(address);
    CMDI_ADMIN_ASSERT(info != NULL);
    if (request->port->listener.is_unix) {
        peer_process(info->connect_fd, text);
    } else if (getpeername(info->connect_fd, (struct sockaddr *)&address, &size) == 0) {
        peer_port(&address, text);
    } else {
        (void)snprintf(text, CHANGE_PEER_SIZE, "gone"); // Its request holds all the same.
    }
}

void cmdi_admin_log_change(const struct cmdi_admin_request *request, const char *format, ...)
{
    char peer[CHANGE_PEER_SIZE], text[CHANGE_TEXT_SIZE];
    peer_name(request, peer);
    size_t size = (size_t)snprintf(text, sizeof(text), "%s: admin: ", peer);
    va_list list;
    va_start(list, format);
    (void)vsnprintf(text + size, sizeof(text) - size, format, list);
    va_end(list);
    struct cmds_log_record record = CMDS_LOG_RECORD_INIT;
    record.level = CMDS_LOG_WARN;
    record.reason = CMDS_REASON_ADMIN;
    record.shard = CMDS_NO_SHARD;
    record.peer = request->port->listener.is_unix ? NULL : peer; // A process is no address.
    record.text = text;
    (void)cmds_runtime_log(request->admin->runtime, &record); // It is made as it has to be.
}

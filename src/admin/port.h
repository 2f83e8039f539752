/* SPDX-License-Identifier: MIT */
/*
 * A listener and its connections, over libmicrohttpd, which reads requests and writes responses.
 *
 * Connections are accepted here, CMDI_ADMIN_CONNECTIONS_MAX at a time; the next one waits in the kernel.
 * libmicrohttpd ends one that moves no byte for a while, and here ends one whose request or response takes
 * long, byte by byte. A thread of its own, which asks the port what to wait for, and lets it run after that.
 */
#ifndef CMDI_ADMIN_PORT_H
#define CMDI_ADMIN_PORT_H

#include <poll.h>
#include <pthread.h>
#include <stdint.h>

#include "admin/desk.h"
#include "admin/listener.h"
#include "admin/request.h"

enum {
    CMDI_ADMIN_CONNECTIONS_MAX = 8,
    CMDI_ADMIN_PORT_POLLS = 3, // Of the listener, of libmicrohttpd, of the desk.
};

struct cmdi_admin_connection {
    int fd;            // -1: this place is free.
    uint64_t since_ns; // It was accepted, or its last request was answered.
    struct cmdi_admin_request request;
};

struct cmdi_admin_port {
    struct cmds_admin *admin;
    enum cmdi_admin_place place;
    struct cmdi_admin_listener listener;
    struct MHD_Daemon *daemon; // NULL: it is off.
    int epoll_fd;              // The daemon's.
    bool runs_again;           // Something has ended: the daemon may have more to do.
    uint64_t rest_until_ns;    // No descriptor could be had.
    pthread_t thread;          // Valid with has_thread.
    bool has_thread;
    struct cmdi_admin_desk desk; // Of the private one it has a thread.
    uint32_t connection_count;
    size_t metrics_size; // Of /metrics the last time, and some more.
    struct cmdi_admin_connection connections[CMDI_ADMIN_CONNECTIONS_MAX];
};

/** It is off. Gives: cmdi_admin_port_close(). */
void cmdi_admin_port_init(
        struct cmdi_admin_port *port, struct cmds_admin *admin, enum cmdi_admin_place place);
/** `name`: of the option `address`. Returns: as cmdi_admin_listen(); -ENOMEM. On failure it is off. */
int cmdi_admin_port_open(struct cmdi_admin_port *port, const char *name, const char *address,
        bool allow_remote, struct cmds_error *error);
/** One that is off is fine. */
void cmdi_admin_port_close(struct cmdi_admin_port *port);

/** What to wait for. Returns: for how many ms at most; -1: for ever. */
int cmdi_admin_port_wait(
        struct cmdi_admin_port *port, struct pollfd polls[CMDI_ADMIN_PORT_POLLS], uint64_t now_ns);
/** After the wait. */
void cmdi_admin_port_run(struct cmdi_admin_port *port, uint64_t now_ns);

#endif

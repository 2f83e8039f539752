/* SPDX-License-Identifier: MIT */
/*
 * The address of a socket, as a value.
 */
#ifndef CMDI_RING_ADDRESS_H
#define CMDI_RING_ADDRESS_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

/** An address of any family that we speak: TCP over IPv4 and IPv6, UNIX stream sockets. */
struct cmdi_address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un local;
    } as;
    socklen_t size;
};

#endif

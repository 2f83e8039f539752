/* SPDX-License-Identifier: MIT */
/* The name service of libc. */
#include "ring/name.h"

#include <errno.h>
#include <net/if.h>
#include <netdb.h>
#include <stddef.h>
#include <string.h>

#include "base/assert.h"

int cmdi_name_resolve(const char *host, uint16_t port, struct cmdi_address *addresses, uint32_t max,
        const char **why)
{
    /*
     * Without AI_ADDRCONFIG, which hides 127.0.0.1 from a host that has IPv6 alone, and ::1 from
     * others. What this host has no route to comes last by itself, and fails at once when tried.
     */
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    CMDI_ASSERT(max > 0);
    int code = getaddrinfo(host, NULL, &hints, &list);
    if (code != 0) {
        *why = gai_strerror(code);
        return -EHOSTUNREACH;
    }
    uint32_t count = 0;
    for (struct addrinfo *info = list; info != NULL && count < max; info = info->ai_next) {
        if (info->ai_family == AF_INET || info->ai_family == AF_INET6) {
            struct cmdi_address *address = &addresses[count++];
            CMDI_ASSERT(info->ai_addrlen <= sizeof(address->as));
            *address = (struct cmdi_address){.size = info->ai_addrlen};
            memcpy(&address->as, info->ai_addr, info->ai_addrlen);
            if (info->ai_family == AF_INET) {
                address->as.v4.sin_port = htons(port);
            } else {
                address->as.v6.sin6_port = htons(port);
            }
        }
    }
    freeaddrinfo(list);
    if (count == 0) {
        *why = "the name has no IPv4 or IPv6 address";
        return -EHOSTUNREACH;
    }
    return (int)count;
}

uint32_t cmdi_interface_index(const char *name)
{
    return if_nametoindex(name);
}

/* SPDX-License-Identifier: MIT */
/*
 * Addresses as users write them: "127.0.0.1:9000", "[::1]:9000", "host.name:9000", "unix:/run/x",
 * "unix:@abstract".
 */
#ifndef CMDI_NET_ADDRESS_H
#define CMDI_NET_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmdstream/base.h>

#include "ring/address.h"

enum {
    CMDI_ADDRESS_TEXT_MAX = 128,    // Of any address as text, terminated.
    CMDI_ADDRESSES_MAX = 8,         // That one name may stand for.
    CMDI_ADDRESSES_NAME_MAX = 1024, // Of a name each of whose addresses is an endpoint.
    CMDI_HOST_MAX = 254,            // Of a DNS name, terminated.
};

/** True if `text` needs no name service: cmdi_address_resolve will not block. */
bool cmdi_address_is_numeric(const char *text);
/** Does it name port 0, on which nobody can be reached? A server may listen there. */
bool cmdi_address_lacks_port(const char *text);
/**
 * "dns:name:9000": each address of the name is a place of its own. Returns: what stands behind the colon;
 * NULL: it is not of that form.
 */
const char *cmdi_address_dns(const char *text);
/**
 * Takes the first address off a list, "10.0.0.7:9000, dns:name:9000". `*list` is then what comes behind it,
 * NULL if nothing does. A comma that a backslash stands before is part of the address ("unix:/run/a\\,b"),
 * and the backslash is not.
 *
 * Returns: the size of the address, without spaces around it; below `room` it is in `item`, terminated.
 */
size_t cmdi_address_list_take(const char **list, char *item, size_t room);
/** How many addresses a list has, at least 1. */
uint32_t cmdi_address_list_count(const char *list);
/**
 * All addresses that `text` stands for, in the order to try them. Blocks for names. An empty host
 * ("":9000) is any address.
 *
 * Returns: how many; -EINVAL: not an address; -EHOSTUNREACH: the name is not known; each with a
 *          sentence in `error`.
 */
int cmdi_address_resolve(
        const char *text, struct cmdi_address *addresses, uint32_t max, struct cmds_error *error);
/**
 * The host in `text`, as the user wrote it: without port, brackets, and the interface behind '%'.
 *
 * Owner:   `host` has CMDI_HOST_MAX bytes; untouched on failure.
 * Returns: 0; -ENOENT: it names none ("unix:/run/x", ":9000"); -EINVAL: not an address.
 */
int cmdi_address_host(const char *text, char *host);
/**
 * "10.0.0.7:41234", "[::1]:9000", "unix:/run/x", "unix:" for a peer without a name. IPv4 at a socket of IPv6
 * ("::ffff:10.0.0.7") is IPv4. Always terminated.
 */
void cmdi_address_text(const struct cmdi_address *address, char *text, size_t size);

#endif

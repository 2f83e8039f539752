/* SPDX-License-Identifier: MIT */
/*
 * Names of the network, as this host knows them.
 */
#ifndef CMDI_RING_NAME_H
#define CMDI_RING_NAME_H

#include <stdint.h>

#include "ring/address.h"

/**
 * Asks the name service for the IPv4 and IPv6 addresses of a host, in the order to try them. Blocks,
 * perhaps for many seconds.
 *
 * Thread:  any.
 * Returns: how many, at most `max`, all of them with this port; -EHOSTUNREACH, and then `*why` is a
 *          text that stays.
 */
int cmdi_name_resolve(const char *host, uint16_t port, struct cmdi_address *addresses, uint32_t max,
        const char **why);
/** Of the interface with that name; 0: there is none. Thread: any. */
uint32_t cmdi_interface_index(const char *name);

#endif

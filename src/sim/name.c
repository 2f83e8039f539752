/* SPDX-License-Identifier: MIT */
/* What ring/name.h asks: names.c knows the answers, and here they take their time. */
#include "ring/name.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/time.h"
#include "sim/process.h"

enum {
    NAME_ADDRESSES_MAX = 16,
    NAME_HANGS_ONE_IN = 4, // Under CMDS_SIM_NAMES.
    NAME_FAILS_ONE_IN = 4,
    NAME_HANGS_MS = 5000,
};

static void name_set_v4(struct cmdi_address *address, struct in_addr host, uint16_t port)
{
    *address = (struct cmdi_address){.size = sizeof(address->as.v4)};
    address->as.v4.sin_family = AF_INET;
    address->as.v4.sin_port = htons(port);
    address->as.v4.sin_addr = host;
}

/* As a file of hosts has it, without a name service. */
static int name_local(uint16_t port, struct cmdi_address *addresses, uint32_t max)
{
    addresses[0] = (struct cmdi_address){.size = sizeof(addresses->as.v6)};
    addresses[0].as.v6.sin6_family = AF_INET6;
    addresses[0].as.v6.sin6_port = htons(port);
    addresses[0].as.v6.sin6_addr = in6addr_loopback;
    if (max == 1) {
        return 1;
    }
    name_set_v4(&addresses[1], (struct in_addr){htonl(INADDR_LOOPBACK)}, port);
    return 2;
}

int cmdi_name_resolve(const char *host, uint16_t port, struct cmdi_address *addresses, uint32_t max,
        const char **why)
{
    struct in_addr found[NAME_ADDRESSES_MAX];
    CMDI_ASSERT(max > 0);
    max = max < NAME_ADDRESSES_MAX ? max : NAME_ADDRESSES_MAX;
    if (strcmp(host, "localhost") == 0 && cmdi_sim_look_up(host, found, max) == 0) {
        return name_local(port, addresses, max);
    }
    cmdi_sim_sleep(cmdi_sim_about(CMDI_CHANCE_NETWORK, CMDI_NS_PER_MS), "a name service");
    if (cmdi_sim_befalls(CMDS_SIM_NAMES, CMDI_CHANCE_NETWORK, NAME_HANGS_ONE_IN)) {
        cmdi_sim_sleep(cmdi_sim_below(CMDI_CHANCE_NETWORK, cmdi_ms_to_ns(NAME_HANGS_MS)),
                "a name service");
    }
    if (cmdi_sim_befalls(CMDS_SIM_NAMES, CMDI_CHANCE_NETWORK, NAME_FAILS_ONE_IN)) {
        *why = "the name service does not answer";
        return -EHOSTUNREACH;
    }
    uint32_t count = cmdi_sim_look_up(host, found, max);
    if (count == 0) {
        *why = "no host of this world has that name";
        return -EHOSTUNREACH;
    }
    for (uint32_t i = 0; i < count; i++) {
        name_set_v4(&addresses[i], found[i], port);
    }
    return (int)count;
}

uint32_t cmdi_interface_index(const char *name)
{
    return strcmp(name, "lo") == 0 ? 1 : 0;
}

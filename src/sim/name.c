/* SPDX-License-Identifier: MIT */
/* What ring/name.h asks: names.c knows the answers, and here they take their time. */
#include "ring/name.h"

#include <errno.h>
#include <string.h>

#include "base/time.h"
#include "sim/process.h"

enum {
    NAME_ADDRESSES_MAX = 16,
    NAME_HANGS_ONE_IN = 4, // Under CMDS_SIM_NAMES.
    NAME_FAILS_ONE_IN = 4,
    NAME_HANGS_MS = 5000,
};

static void name_wait(uint64_t ns)
{
    struct cmdi_sim_queue nobody;
    cmdi_sim_queue_init(&nobody);
    (void)cmdi_sim_wait(&nobody, cmdi_sim_now() + ns, "a name service");
}

int cmdi_name_resolve(const char *host, uint16_t port, struct cmdi_address *addresses, uint32_t max,
        const char **why)
{
    struct in_addr found[NAME_ADDRESSES_MAX];
    name_wait(cmdi_sim_about(CMDI_CHANCE_NETWORK, CMDI_NS_PER_MS));
    if (cmdi_sim_befalls(CMDS_SIM_NAMES, CMDI_CHANCE_NETWORK, NAME_HANGS_ONE_IN)) {
        name_wait(cmdi_sim_below(CMDI_CHANCE_NETWORK, cmdi_ms_to_ns(NAME_HANGS_MS)));
    }
    if (cmdi_sim_befalls(CMDS_SIM_NAMES, CMDI_CHANCE_NETWORK, NAME_FAILS_ONE_IN)) {
        *why = "the name service does not answer";
        return -EHOSTUNREACH;
    }
    uint32_t count =
            cmdi_sim_look_up(host, found, max < NAME_ADDRESSES_MAX ? max : NAME_ADDRESSES_MAX);
    if (count == 0) {
        *why = "no host of this world has that name";
        return -EHOSTUNREACH;
    }
    for (uint32_t i = 0; i < count; i++) {
        addresses[i] = (struct cmdi_address){.size = sizeof(struct sockaddr_in)};
        addresses[i].as.v4.sin_family = AF_INET;
        addresses[i].as.v4.sin_port = htons(port);
        addresses[i].as.v4.sin_addr = found[i];
    }
    return (int)count;
}

uint32_t cmdi_interface_index(const char *name)
{
    return strcmp(name, "lo") == 0 ? 1 : 0;
}

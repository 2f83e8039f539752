/* SPDX-License-Identifier: MIT */
/* See veil.h. */
#include "sim/veil.h"

#include "sim/scenario.h"
#include "support/mask.h"

static struct mask veil_servers[SCENARIO_SERVERS_MAX], veil_clients[SCENARIO_SERVERS_MAX];

void veil_begin(void)
{
    for (uint32_t i = 0; i < SCENARIO_SERVERS_MAX; i++) {
        mask_init(&veil_servers[i], true);
        mask_init(&veil_clients[i], false);
    }
}

struct cmds_tls *veil_server(uint32_t server)
{
    return &veil_servers[server].tls;
}

struct cmds_tls *veil_client(uint32_t server)
{
    return &veil_clients[server].tls;
}

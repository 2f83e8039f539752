/* SPDX-License-Identifier: MIT */
/* Which state may follow which. See state.h, and client.h for what each of them is. */
#include "client/state.h"

#define CLIENT_BIT(state) (1u << CMDI_CLIENT_##state)

static const uint8_t client_moves[] = {
        [CMDI_CLIENT_RESOLVE] = CLIENT_BIT(CONNECT) | CLIENT_BIT(WAITING) | CLIENT_BIT(DOWN),
        [CMDI_CLIENT_CONNECT] = CLIENT_BIT(CONNECT) | CLIENT_BIT(SERVER_INFO) |
                                CLIENT_BIT(WAITING) | CLIENT_BIT(DOWN),
        [CMDI_CLIENT_SERVER_INFO] =
                CLIENT_BIT(CONNECT) | CLIENT_BIT(UP) | CLIENT_BIT(WAITING) | CLIENT_BIT(DOWN),
        [CMDI_CLIENT_WAITING] =
                CLIENT_BIT(RESOLVE) | CLIENT_BIT(CONNECT) | CLIENT_BIT(WAITING) | CLIENT_BIT(DOWN),
        [CMDI_CLIENT_LEAVING] = CLIENT_BIT(WAITING) | CLIENT_BIT(DOWN),
        [CMDI_CLIENT_UP] = CLIENT_BIT(WAITING) | CLIENT_BIT(LEAVING) | CLIENT_BIT(DOWN),
        [CMDI_CLIENT_DOWN] = 0,
};

void cmdi_client_move(struct cmdi_client *client, enum cmdi_client_state next)
{
    CMDI_ASSERT((client_moves[cmdi_client_state(client)] & (1u << next)) != 0);
    atomic_store_explicit(&client->state, (uint32_t)next, memory_order_release);
}

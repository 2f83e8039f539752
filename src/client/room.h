/* SPDX-License-Identifier: MIT */
/* Would a client take a command now? */
#ifndef CMDI_CLIENT_ROOM_H
#define CMDI_CLIENT_ROOM_H

#include <stdbool.h>
#include <stddef.h>

#include "client/client.h"

/** From where a command comes, and whether it takes a place in the window. */
enum cmdi_room {
    CMDI_ROOM_HERE, // Its client's shard.
    CMDI_ROOM_HERE_ONE_WAY,
    CMDI_ROOM_ELSEWHERE,
    CMDI_ROOM_ELSEWHERE_ONE_WAY,
    CMDI_ROOM_MEMORY, // Of no client: what is kept beside a command found no memory on the shard.
    CMDI_ROOM_COUNT,
};
static inline enum cmdi_room cmdi_room_of(bool is_here, bool one_way)
{
    return (enum cmdi_room)((is_here ? CMDI_ROOM_HERE : CMDI_ROOM_ELSEWHERE) + one_way);
}

/**
 * Would a command with a body of this size be taken now? By the same rule as cmdi_client_send() and
 * cmdi_client_inbox_send(), so that room is never reported where the next send is refused. Thread:
 * shard.
 */
bool cmdi_client_has_room(struct cmdi_client *client, enum cmdi_room room, size_t body_size);

#endif

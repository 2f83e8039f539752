/* SPDX-License-Identifier: MIT */
/* A group's part on one shard: its connections there, and what waits for room on them. */
#ifndef CMDI_GROUP_GROUP_SHARD_H
#define CMDI_GROUP_GROUP_SHARD_H

#include "client/room.h"
#include "group/group.h"

/** What other threads want of a group shard: a bit of `nudges`, and one mail for all of them. */
enum cmdi_nudge {
    CMDI_NUDGE_TARGETS = 1, // Where connections go, or by which addresses, may be another question.
    CMDI_NUDGE_LOOK_UP = 2, // Of the first shard: see when the next lookup is due, and what is new.
    CMDI_NUDGE_ROOM = 4,    // Somebody was refused: tell when there is room.
    CMDI_NUDGE_IDLE = 8,    // Somebody waits for no command to be pending.
    CMDI_NUDGE_FORGET = 16, // Tickets lie in `forgotten`.
    CMDI_NUDGE_CLOSE = 32,
};

/** A group's part on one shard. */
struct cmdi_group_shard {
    struct cmdi_client_shard client_shard;
    struct cmds_group *group;
    struct cmdi_tally tally; // Of its counters.
    struct cmdi_client *clients;
    uint32_t client_count;
    // Clients that are not closed, forwards of forward_pool: with the last one it ends.
    uint32_t hold_count;

    /* Dispatch. */
    struct cmdi_client **list; // All of them, by number. Constant.
    struct cmdi_picker picker;
    struct cmdi_round_robin turn;        // If it takes_turns, in place of the picker's state.
    uint32_t up_count, connecting_count; // Of `list`, as counted_as says.
    bool all_up;      // There are connections, and up_count is the number of them.
    bool takes_turns; // As cmdi_group_wants_turns() said when the endpoints changed last.
    bool closing;
    _Atomic uint32_t list_seen; // The list_version that its clients know of.

    // By enum cmdi_room: the smallest body of those that were refused; SIZE_MAX: none was.
    _Atomic size_t refused[CMDI_ROOM_COUNT];
    struct cmdi_work room_work;
    struct cmdi_work memory_work; // The shard's memory may have been what was short.
    struct cmdi_list waiting;     // struct cmdi_attempt: for room, oldest first.
    struct cmdi_list resting;     // struct cmdi_resend: lost, and to be sent again.
    struct cmdi_pool forward_pool;
    struct cmdi_stock track_stock, resend_stock, pass_stock;
    struct cmdi_list forgotten; // struct cmdi_ticket: under the tickets' lock.

    _Atomic uint32_t nudges; // enum cmdi_nudge; not 0: the mail is under way.
    struct cmdi_mail mail;
    struct cmdi_timer look_up_timer;   // Of the first shard.
    struct cmdi_timer hand_over_timer; // Something waits for a connection that is not up.
};

extern const struct cmdi_client_ops cmdi_group_shard_client_ops;

/**
 * With the clients number `index`, `index` + shard_count, ... of the group, which learns where they
 * are. Thread: setup. Returns: NULL without memory.
 */
struct cmdi_group_shard *cmdi_group_shard_create(struct cmds_group *group, uint32_t index);
/** Nobody is inside any more. NULL is fine. Thread: any. */
void cmdi_group_shard_free(struct cmdi_group_shard *group_shard);
/**
 * Is it round-robin that picks? It is asked for; or nothing is, and there is but one endpoint: then it is
 * as good as least, and costs less. Changes with the list of endpoints. Thread: any.
 */
bool cmdi_group_wants_turns(struct cmds_group *group);
/** The client's state has changed: counts it anew, here and in the group. Thread: its shard. */
void cmdi_group_shard_recount(struct cmdi_group_shard *group_shard, struct cmdi_client *client);

static inline struct cmdi_group_shard *cmdi_group_shard_of(const struct cmdi_client *client)
{
    return CMDI_CONTAINER(client->client_shard, struct cmdi_group_shard, client_shard);
}
/**
 * Is it here that a command of this shard is sent? Where a connection is up; without any in the whole
 * group, where one may come up. Thread: its shard.
 */
static inline bool cmdi_group_shard_is_first(const struct cmdi_group_shard *group_shard)
{
    return group_shard->up_count > 0 ||
           (group_shard->connecting_count > 0 && atomic_load(&group_shard->group->up_count) == 0);
}
/** Is there a client that takes commands? Thread: its shard. */
static inline bool cmdi_group_shard_is_usable(const struct cmdi_group_shard *group_shard)
{
    return (group_shard->up_count | group_shard->connecting_count) != 0;
}

#endif

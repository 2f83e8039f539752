/* SPDX-License-Identifier: MIT */
/*
 * Tickets: the names of those commands of a group for which somebody asked to be able to ask, or to
 * forget.
 *
 * Only such commands pay for it. One mutex covers the table and the state of every ticket, so that
 * has and forget are exact: of a result and a forget that race, the first one under the lock wins,
 * and the other one learns it.
 */
#ifndef CMDI_CLIENT_TICKET_H
#define CMDI_CLIENT_TICKET_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

struct cmdi_client;
struct cmdi_pending;

struct cmdi_ticket {
    struct cmdi_ticket *next; // In its bucket.
    uint64_t id;
    // The one that has the command. Written by the sender before anybody knows the id, and later
    // under the lock.
    struct cmdi_client *client;
    struct cmdi_pending *entry; // NULL until the client's shard has it. The shard's.
    struct cmdi_list link;      // Of the forgotten ones of a shard. Under the lock.
    bool is_forgotten;          // Under the lock.
};

struct cmdi_tickets {
    pthread_mutex_t lock;
    struct cmdi_ticket **buckets; // NULL until the first one.
    uint32_t mask, count;
    uint64_t last_id;
};

void cmdi_tickets_init(struct cmdi_tickets *tickets);
/** Gives back the table, if it is empty. Thread: any. */
void cmdi_tickets_trim(struct cmdi_tickets *tickets);
/** Every ticket was closed. */
void cmdi_tickets_fini(struct cmdi_tickets *tickets);

/**
 * The ticket gets an id and is in the table until cmdi_tickets_close(): its memory stays the
 * caller's. Returns: false without memory. Thread: any.
 */
bool cmdi_tickets_open(struct cmdi_tickets *tickets, struct cmdi_ticket *ticket);
/** The command is over, or was never queued. Returns: it was forgotten before. Thread: any. */
bool cmdi_tickets_close(struct cmdi_tickets *tickets, struct cmdi_ticket *ticket);
/** Thread: any. */
bool cmdi_tickets_is_forgotten(struct cmdi_tickets *tickets, struct cmdi_ticket *ticket);
/**
 * Its command goes to another client, whose shard has no entry of it yet. Thread: the shard that
 * has it. Returns: false: it was forgotten, and stays.
 */
bool cmdi_tickets_move(
        struct cmdi_tickets *tickets, struct cmdi_ticket *ticket, struct cmdi_client *client);
/**
 * Its command has gone to another client of the same shard, forgotten or not. Thread: that shard.
 */
void cmdi_tickets_follow(struct cmdi_tickets *tickets, struct cmdi_ticket *ticket,
        struct cmdi_client *client, struct cmdi_pending *entry);
/** Is there a ticket of this id that nobody forgot? Thread: any. */
bool cmdi_tickets_has(struct cmdi_tickets *tickets, uint64_t id);
/**
 * Marks it, and puts it into the list that `list_of` names for its client.
 *
 * Thread:  any.
 * Returns: the client, whose shard has to be notified now; NULL: there is none, or it was forgotten
 *          already.
 */
struct cmdi_client *cmdi_tickets_forget(struct cmdi_tickets *tickets, uint64_t id,
        struct cmdi_list *(*list_of)(struct cmdi_client *client));
/** Takes one out of such a list. Returns: NULL when it is empty. */
struct cmdi_ticket *cmdi_tickets_pop(struct cmdi_tickets *tickets, struct cmdi_list *list);

#endif

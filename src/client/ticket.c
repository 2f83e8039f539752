/* SPDX-License-Identifier: MIT */
/*
 * A chained hash by id; ids are dense, so the bucket is their low bits. Everything under one lock.
 */
#include "client/ticket.h"

#include <stdlib.h>

#include "base/assert.h"

enum {
    TICKET_BUCKETS_MIN = 64,
};

void cmdi_tickets_init(struct cmdi_tickets *tickets)
{
    *tickets = (struct cmdi_tickets){.count = 0};
    (void)pthread_mutex_init(&tickets->lock, NULL); // Cannot fail without attributes.
}

void cmdi_tickets_fini(struct cmdi_tickets *tickets)
{
    CMDI_ASSERT(tickets->count == 0);
    free(tickets->buckets);
    tickets->buckets = NULL;
    (void)pthread_mutex_destroy(&tickets->lock);
}

void cmdi_tickets_trim(struct cmdi_tickets *tickets)
{
    pthread_mutex_lock(&tickets->lock);
    if (tickets->count == 0) {
        free(tickets->buckets);
        tickets->buckets = NULL;
    }
    pthread_mutex_unlock(&tickets->lock);
}

/* Under the lock. Returns: false if there is not even a first table. */
static bool tickets_grow(struct cmdi_tickets *tickets)
{
    uint32_t size = tickets->buckets != NULL ? (tickets->mask + 1) * 2 : TICKET_BUCKETS_MIN;
    struct cmdi_ticket **buckets = calloc(size, sizeof(struct cmdi_ticket *));
    if (buckets == NULL) {
        return tickets->buckets != NULL;
    }
    for (uint32_t i = 0; tickets->buckets != NULL && i <= tickets->mask; i++) {
        while (tickets->buckets[i] != NULL) {
            struct cmdi_ticket *ticket = tickets->buckets[i];
            tickets->buckets[i] = ticket->next;
            ticket->next = buckets[ticket->id & (size - 1)];
            buckets[ticket->id & (size - 1)] = ticket;
        }
    }
    free(tickets->buckets);
    tickets->buckets = buckets;
    tickets->mask = size - 1;
    return true;
}

bool cmdi_tickets_open(struct cmdi_tickets *tickets, struct cmdi_ticket *ticket)
{
    *ticket = (struct cmdi_ticket){.id = 0};
    cmdi_list_init(&ticket->link);
    pthread_mutex_lock(&tickets->lock);
    bool room =
            (tickets->buckets != NULL && tickets->count <= tickets->mask) || tickets_grow(tickets);
    if (room) {
        ticket->id = ++tickets->last_id;
        struct cmdi_ticket **bucket = &tickets->buckets[ticket->id & tickets->mask];
        ticket->next = *bucket;
        *bucket = ticket;
        tickets->count++;
    }
    pthread_mutex_unlock(&tickets->lock);
    return room;
}

bool cmdi_tickets_close(struct cmdi_tickets *tickets, struct cmdi_ticket *ticket)
{
    CMDI_ASSERT(ticket->id != 0);
    pthread_mutex_lock(&tickets->lock);
    struct cmdi_ticket **link = &tickets->buckets[ticket->id & tickets->mask];
    while (*link != ticket) {
        CMDI_ASSERT(*link != NULL);
        link = &(*link)->next;
    }
    *link = ticket->next;
    tickets->count--;
    cmdi_list_remove(&ticket->link);
    bool was_forgotten = ticket->is_forgotten;
    ticket->id = 0;
    pthread_mutex_unlock(&tickets->lock);
    return was_forgotten;
}

bool cmdi_tickets_is_forgotten(struct cmdi_tickets *tickets, struct cmdi_ticket *ticket)
{
    pthread_mutex_lock(&tickets->lock);
    bool is_forgotten = ticket->is_forgotten;
    pthread_mutex_unlock(&tickets->lock);
    return is_forgotten;
}

bool cmdi_tickets_move(
        struct cmdi_tickets *tickets, struct cmdi_ticket *ticket, struct cmdi_client *client)
{
    pthread_mutex_lock(&tickets->lock);
    bool moves = !ticket->is_forgotten;
    if (moves) {
        ticket->client = client;
        ticket->entry = NULL;
    }
    pthread_mutex_unlock(&tickets->lock);
    return moves;
}

void cmdi_tickets_follow(struct cmdi_tickets *tickets, struct cmdi_ticket *ticket,
        struct cmdi_client *client, struct cmdi_pending *entry)
{
    pthread_mutex_lock(&tickets->lock);
    ticket->client = client;
    ticket->entry = entry;
    pthread_mutex_unlock(&tickets->lock);
}

/* Under the lock. Returns: NULL if there is none, or it was forgotten. */
static struct cmdi_ticket *tickets_find(struct cmdi_tickets *tickets, uint64_t id)
{
    struct cmdi_ticket *ticket =
            tickets->buckets != NULL ? tickets->buckets[id & tickets->mask] : NULL;
    while (ticket != NULL && ticket->id != id) {
        ticket = ticket->next;
    }
    return ticket != NULL && !ticket->is_forgotten ? ticket : NULL;
}

bool cmdi_tickets_has(struct cmdi_tickets *tickets, uint64_t id)
{
    pthread_mutex_lock(&tickets->lock);
    bool has = tickets_find(tickets, id) != NULL;
    pthread_mutex_unlock(&tickets->lock);
    return has;
}

struct cmdi_client *cmdi_tickets_forget(struct cmdi_tickets *tickets, uint64_t id,
        struct cmdi_list *(*list_of)(struct cmdi_client *client))
{
    struct cmdi_client *client = NULL;
    pthread_mutex_lock(&tickets->lock);
    struct cmdi_ticket *ticket = tickets_find(tickets, id);
    if (ticket != NULL) {
        client = ticket->client;
        ticket->is_forgotten = true;
        cmdi_list_push(list_of(client), &ticket->link);
    }
    pthread_mutex_unlock(&tickets->lock);
    return client;
}

struct cmdi_ticket *cmdi_tickets_pop(struct cmdi_tickets *tickets, struct cmdi_list *list)
{
    pthread_mutex_lock(&tickets->lock);
    struct cmdi_list *node = cmdi_list_pop(list);
    pthread_mutex_unlock(&tickets->lock);
    return node != NULL ? CMDI_CONTAINER(node, struct cmdi_ticket, link) : NULL;
}

/* SPDX-License-Identifier: MIT */
/*
 * Intrusive doubly linked lists. A node is in at most one list; a node that is in none points to
 * itself, so that removing it again does nothing. The head is a node like any other.
 */
#ifndef CMDI_BASE_LIST_H
#define CMDI_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/assert.h"

struct cmdi_list {
    struct cmdi_list *next, *prev;
};

#define CMDI_CONTAINER(pointer, type, member)                                                      \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

static inline void cmdi_list_init(struct cmdi_list *node)
{
    node->next = node;
    node->prev = node;
}

static inline bool cmdi_list_empty(const struct cmdi_list *head)
{
    return head->next == head;
}

static inline void cmdi_list_push(struct cmdi_list *head, struct cmdi_list *node)
{
    CMDI_ASSERT_SLOW(cmdi_list_empty(node)); // It is in no other list.
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

static inline void cmdi_list_remove(struct cmdi_list *node)
{
    CMDI_ASSERT_SLOW(node->prev->next == node && node->next->prev == node);
    node->prev->next = node->next;
    node->next->prev = node->prev;
    cmdi_list_init(node);
}

/** Returns: the first node, now in no list; NULL if there is none. */
static inline struct cmdi_list *cmdi_list_pop(struct cmdi_list *head)
{
    struct cmdi_list *node = head->next;
    if (node == head) {
        return NULL;
    }
    cmdi_list_remove(node);
    return node;
}

/** All nodes of `from` go to the empty list `to`. */
static inline void cmdi_list_take(struct cmdi_list *to, struct cmdi_list *from)
{
    cmdi_list_init(to);
    if (cmdi_list_empty(from)) {
        return;
    }
    to->next = from->next;
    to->prev = from->prev;
    to->next->prev = to;
    to->prev->next = to;
    cmdi_list_init(from);
}

/** All nodes of `from` go behind those of `to`. */
static inline void cmdi_list_append(struct cmdi_list *to, struct cmdi_list *from)
{
    if (cmdi_list_empty(from)) {
        return;
    }
    from->next->prev = to->prev;
    from->prev->next = to;
    to->prev->next = from->next;
    to->prev = from->prev;
    cmdi_list_init(from);
}

#endif

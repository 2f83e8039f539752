/* SPDX-License-Identifier: MIT */
/* The block of a command that has more than most: one malloc for all of it. Any thread. */
#include "client/extra.h"

#include <stdlib.h>

struct cmdi_pending_extra *cmdi_extra_open(struct cmdi_tickets *tickets)
{
    struct cmdi_pending_extra *extra = malloc(sizeof(*extra));
    if (extra == NULL || !cmdi_tickets_open(tickets, &extra->ticket)) {
        free(extra);
        return NULL;
    }
    return extra;
}

bool cmdi_extra_close(struct cmdi_tickets *tickets, struct cmdi_pending_extra *extra)
{
    bool was_forgotten = cmdi_tickets_close(tickets, &extra->ticket);
    free(extra);
    return was_forgotten;
}

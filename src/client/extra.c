/* SPDX-License-Identifier: MIT */
/* The block of a command that has more than most: one malloc for all of it. Any thread. */
#include "client/extra.h"

#include <stdlib.h>

#include <cmdstream/base.h>

struct cmdi_pending_extra *cmdi_extra_open(struct cmdi_tickets *tickets)
{
    struct cmdi_pending_extra *extra = malloc(sizeof(*extra));
    if (extra == NULL || !cmdi_tickets_open(tickets, &extra->ticket)) {
        free(extra);
        return NULL;
    }
    extra->owner = NULL;
    extra->on_forget = NULL;
    return extra;
}

bool cmdi_extra_close(struct cmdi_tickets *tickets, struct cmdi_pending_extra *extra)
{
    bool was_forgotten = cmdi_tickets_close(tickets, &extra->ticket);
    if (extra->owner != NULL) {
        *extra->owner = NULL;
    }
    free(extra);
    return was_forgotten;
}

bool cmdi_extra_end(struct cmdi_tickets *tickets, struct cmdi_pending_extra *extra, int code)
{
    bool is_kept = extra->owner != NULL && (code == CMDS_E_LOST || code == CMDS_E_NOT_SENT) &&
                   !cmdi_tickets_is_forgotten(tickets, &extra->ticket);
    if (is_kept) {
        extra->ticket.entry = NULL;
    }
    return !is_kept && cmdi_extra_close(tickets, extra);
}

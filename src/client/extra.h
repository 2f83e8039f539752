/* SPDX-License-Identifier: MIT */
/*
 * What few commands have, beside what all have: an entry of the pending table is one cache line and
 * full, so the rest is one block behind one pointer, which the common path never follows.
 *
 * The sender makes the block, on any thread, before the command can be answered. It travels with
 * the command: command -> record of a queue -> pending entry; whoever ends the command gives it
 * back. Today it holds the ticket. A span, the twin of a hedged command, what a hook of the user
 * remembers of one belong here as well: they live as long.
 */
#ifndef CMDI_CLIENT_EXTRA_H
#define CMDI_CLIENT_EXTRA_H

#include <stdbool.h>

#include "client/ticket.h"

struct cmdi_pending_extra {
    struct cmdi_ticket ticket; // In the group's table, from open to close.
    // Of a command that may be sent again: who closes it after CMDS_E_LOST and CMDS_E_NOT_SENT, by
    // its own pointer, which a close clears. NULL: nobody but the client.
    struct cmdi_pending_extra **owner;
    // While no client has the command: somebody has forgotten it. NULL: a client has it. The
    // shard's.
    void (*on_forget)(struct cmdi_pending_extra *extra);
};

/** Thread: any. Gives: cmdi_extra_close(). Returns: NULL without memory. */
struct cmdi_pending_extra *cmdi_extra_open(struct cmdi_tickets *tickets);
/**
 * The command is over, or was never queued. Returns: it was forgotten before: it ends as cancelled.
 * Thread: any.
 */
bool cmdi_extra_close(struct cmdi_tickets *tickets, struct cmdi_pending_extra *extra);
/**
 * The same for a command that ends with this error: with some the owner keeps it, unless it was
 * forgotten. Thread: its shard.
 */
bool cmdi_extra_end(struct cmdi_tickets *tickets, struct cmdi_pending_extra *extra, int code);

#endif

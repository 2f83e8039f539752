/* SPDX-License-Identifier: MIT */
/*
 * A connection through the proxy. Its owner, a target, says when it may connect; all the rest it does by
 * itself. Everything here is for the shard's thread.
 */
#ifndef CMDI_CHAOS_LINK_H
#define CMDI_CHAOS_LINK_H

#include "chaos/inside.h"

/**
 * WAITING, the last one in the target's list. Takes `fd`, a client's, on success. At its end it frees
 * itself and calls chaos->on_gone. Returns: 0; -ENOMEM.
 */
int cmdi_link_open(struct cmdi_chaos_target *target, int fd);
/** WAITING, and for a while: notices if the client goes. */
void cmdi_link_wait(struct cmdi_link *link);
/** WAITING: connects to the target's addresses, of which there is one at least. */
void cmdi_link_connect(struct cmdi_link *link);
/** WAITING: the target is not to be had, for that reason; the client gets a reset. */
void cmdi_link_refuse(struct cmdi_link *link, const char *reason);
/** Resets both ends, unless it is CLOSING. */
void cmdi_link_drop(struct cmdi_link *link);
/** Faults may befall it. */
bool cmdi_link_is_live(const struct cmdi_link *link);
/** A fault befalls a live one. `kind`: those that concern connections. */
void cmdi_link_befall(
        struct cmdi_link *link, enum cmdi_chaos_kind kind, uint8_t ways, uint64_t until_ms);
/** Spells of its target have begun or ended. */
void cmdi_link_look(struct cmdi_link *link);

#endif

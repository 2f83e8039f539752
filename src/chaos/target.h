/* SPDX-License-Identifier: MIT */
/*
 * A route of a proxy: its listener, the addresses of what is behind it, and the faults that concern all
 * of its connections.
 */
#ifndef CMDI_CHAOS_TARGET_H
#define CMDI_CHAOS_TARGET_H

#include "chaos/inside.h"

/** Zeroed is fine for fini. Binds the listener. Thread: setup. Returns: 0, or why in `error`. */
int cmdi_chaos_target_init(struct cmdi_chaos_target *target, struct cmdi_chaos *chaos,
        uint32_t index, const struct cmdi_chaos_route *route, struct cmds_error *error);
/**
 * It is stopped, and without links: lets go of a lookup. What that has posted may still be on its way.
 * Thread: setup.
 */
void cmdi_chaos_target_forget(struct cmdi_chaos_target *target);
/** The target is not started, or forgotten. Thread: setup. */
void cmdi_chaos_target_fini(struct cmdi_chaos_target *target);

/* --- On the shard ------------------------------------------------------------------------------ */

/** Accepts from now on, unless it is befallen by `refuse` already. Returns: 0; -ENOMEM. */
int cmdi_chaos_target_start(struct cmdi_chaos_target *target);
/** Listens no more, and drops its links. */
void cmdi_chaos_target_stop(struct cmdi_chaos_target *target);
/** A link is gone: there may be room for another one. */
void cmdi_chaos_target_resume(struct cmdi_chaos_target *target);
/**
 * A fault befalls all of it: those of links each of its live links, and those to come, if it lasts.
 * Returns: how many links; of refuse and hang 1.
 */
uint32_t cmdi_chaos_target_befall(struct cmdi_chaos_target *target, enum cmdi_chaos_kind kind,
        uint8_t ways, uint64_t until_ms);
/** Ends what lasts, also of its links. */
void cmdi_chaos_target_heal(struct cmdi_chaos_target *target);

#endif

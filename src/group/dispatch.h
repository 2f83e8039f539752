/* SPDX-License-Identifier: MIT */
/*
 * Picking a connection, as values: a list of candidates and a count go in, an index comes out.
 */
#ifndef CMDI_GROUP_DISPATCH_H
#define CMDI_GROUP_DISPATCH_H

#include <cmdstream/dispatch.h>

struct cmdi_client;

/** Returns: 0; -EINVAL: not a strategy that this library knows how to call. */
int cmdi_dispatch_check(const struct cmds_dispatch *dispatch, struct cmds_error *error);
/**
 * Asks the strategy about clients in an array. Returns: an index below `count`, whatever the
 * strategy says. Thread: any.
 */
uint32_t cmdi_dispatch_pick(const struct cmds_dispatch *dispatch, uint64_t pick_count, uint64_t key,
        struct cmdi_client *const *clients, uint32_t count);

#endif

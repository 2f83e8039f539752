/* SPDX-License-Identifier: MIT */
/*
 * Looking up a name on a thread of its own, because the name service blocks for as long as it
 * likes.
 *
 * The thread and its owner share a counted block. The owner may let go at any time without waiting
 * for the name service; the thread then finds nobody to report to, and frees the block.
 */
#ifndef CMDI_NET_RESOLVE_H
#define CMDI_NET_RESOLVE_H

#include "net/address.h"

struct cmdi_resolve;

/**
 * The addresses that the name stands for, in the order to try them; or `count` 0, and `error` says
 * why there are none. All are borrowed until it returns. It may not call cmdi_resolve_let_go().
 *
 * Thread: one of its own, once, perhaps before cmdi_resolve_begin() has returned.
 */
typedef void (*cmdi_resolved_fn)(void *context, const struct cmdi_address *addresses,
        uint32_t count, const struct cmds_error *error);

/**
 * Begins to look up `text`: its first `address_max` addresses.
 *
 * Owner:   copies `text`; gives *resolve, set before the thread starts: cmdi_resolve_let_go().
 *          Keeps `context` until then.
 * Thread:  any.
 * Returns: 0; -ENOMEM, -EAGAIN; `fn` is not called then.
 */
int cmdi_resolve_begin(struct cmdi_resolve **resolve, const char *text, uint32_t address_max,
        struct cmds_error *error, cmdi_resolved_fn fn, void *context);
/**
 * From its return `fn` does not run and its context is not touched any more. Waits for an `fn` that
 * is running, but never for the name service. NULL is fine. Thread: any, once.
 */
void cmdi_resolve_let_go(struct cmdi_resolve *resolve);

#endif

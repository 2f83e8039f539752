/* SPDX-License-Identifier: MIT */
/*
 * What one name stood for when it was looked up: addresses to try, and how each is called in
 * errors.
 *
 * Constant from the moment it is made, and counted. Another lookup makes another one; each user of
 * this one keeps it for as long as it holds a count.
 */
#ifndef CMDI_NET_TARGETS_H
#define CMDI_NET_TARGETS_H

#include <stdatomic.h>

#include "net/address.h"

/** One address to try. */
struct cmdi_target {
    struct cmdi_address address;
    char text[2 * CMDI_ADDRESS_TEXT_MAX]; // "10.0.0.7:9000", "host.name:9000 (10.0.0.7:9000)".
};

struct cmdi_targets {
    _Atomic uint32_t refs;
    uint32_t count;          // 0: `error` says why there is none; else `error` is zeroed.
    struct cmds_error error; // Of the lookup.
    struct cmdi_target list[];
};

/**
 * `name` is what the user wrote. `count` may be 0; then `error` says why.
 *
 * Owner:   copies; gives one count: cmdi_targets_unref().
 * Thread:  any.
 * Returns: never NULL: without memory, one with no address, whose error says so.
 */
struct cmdi_targets *cmdi_targets_create(const char *name, const struct cmdi_address *addresses,
        uint32_t count, const struct cmds_error *error);
/** The caller holds a count, or somebody does for it. Thread: any. Returns: `targets`. */
struct cmdi_targets *cmdi_targets_ref(struct cmdi_targets *targets);
/** NULL is fine. Thread: any. */
void cmdi_targets_unref(struct cmdi_targets *targets);

#endif

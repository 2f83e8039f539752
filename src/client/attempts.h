/* SPDX-License-Identifier: MIT */
/*
 * Which address is tried next, and how long.
 *
 * All addresses together have `timeout_ms`, which begins before they are known. Each attempt gets
 * an equal share of what is left of it, so that an address that answers nothing does not use it all
 * up, and one that fails at once leaves its share to the others.
 *
 * No time passes between two attempts of a round; when the next round begins is backoff.h's.
 *
 * Pure values: the time comes in, the decision goes out.
 */
#ifndef CMDI_CLIENT_ATTEMPTS_H
#define CMDI_CLIENT_ATTEMPTS_H

#include <stdbool.h>
#include <stdint.h>

struct cmdi_attempts {
    bool has_begun;
    uint32_t next;     // Index of the next address; the one before it is being tried.
    uint64_t until_ms; // End of all attempts; UINT64_MAX: none.
    uint64_t since_ms; // When this attempt began; before the first one: when the time began.
};

/** The time begins, unless it has. `timeout_ms` CMDS_NEVER: no limit. */
void cmdi_attempts_begin(struct cmdi_attempts *attempts, uint64_t now_ms, uint32_t timeout_ms);
/**
 * Returns: true: address `*index` of `count` is to be tried, until `*until_ms` (UINT64_MAX: without
 * a limit); false: none is left, or no time.
 */
bool cmdi_attempts_next(struct cmdi_attempts *attempts, uint64_t now_ms, uint32_t count,
        uint32_t *index, uint64_t *until_ms);
/** The remaining addresses would say the same: none of them is tried. */
void cmdi_attempts_end(struct cmdi_attempts *attempts);

#endif

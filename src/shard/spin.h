/* SPDX-License-Identifier: MIT */
/*
 * How long a shard looks for work before it sleeps.
 *
 * A wake-up costs 15 to 100 us, so looking a little longer is often cheaper; but a fixed spin is
 * poison where two threads share a core: each burns what the other one needs. So the budget follows
 * success (doubles on a hit, halves on a miss, is tried ever more rarely once it is 0), and
 * spinning stops for a while when somebody else wants the core: a gap between two looks at the
 * clock, or involuntary context switches.
 *
 * Pure values: time and counts come in, decisions go out.
 */
#ifndef CMDI_SHARD_SPIN_H
#define CMDI_SHARD_SPIN_H

#include <stdbool.h>
#include <stdint.h>

struct cmdi_spin {
    uint64_t budget_ns, budget_ns_max; // Max 0: never.
    uint64_t stopped_until_ns;
    uint64_t stop_ns;         // How long the next stop lasts.
    uint64_t checked_ns;      // When preemptions were last looked at.
    uint64_t preemptions;     // What they were then.
    uint32_t misses_to_probe; // Sleeps until a budget of 0 is tried again.
    uint32_t misses_between;  // How many of them next time.
};

void cmdi_spin_init(struct cmdi_spin *spin, uint64_t budget_ns_max);
/** How long to look now. Returns: 0: sleep at once. */
uint64_t cmdi_spin_begin(struct cmdi_spin *spin, uint64_t now_ns);
/** The spin found work, or did not. */
void cmdi_spin_end(struct cmdi_spin *spin, bool hit);
/**
 * A gap between two looks at the clock inside a spin. Returns: true: somebody took the core; stop.
 */
bool cmdi_spin_gap(struct cmdi_spin *spin, uint64_t before_ns, uint64_t now_ns);
/** Is it time to look at the preemptions (a system call)? */
bool cmdi_spin_check_due(const struct cmdi_spin *spin, uint64_t now_ns);
/**
 * Involuntary switches of this thread so far. Returns: true: too many since the last time; stopped
 * for a while.
 */
bool cmdi_spin_check(struct cmdi_spin *spin, uint64_t preemptions, uint64_t now_ns);

#endif

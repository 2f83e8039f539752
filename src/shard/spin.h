/* SPDX-License-Identifier: MIT */
/*
 * How long a shard looks for work before it sleeps.
 *
 * A wake-up costs 15 to 100 us, so looking a little longer is often cheaper; but a fixed spin is
 * poison where two threads share a core: each burns what the other one needs. So it is done before
 * each sleep where most spins find work (more than two of three), ever more rarely where they do
 * not, and not at all for a while when somebody else wants the core: a gap between two looks at the
 * clock, or involuntary context switches.
 *
 * How long it looks does not follow success. A shorter look misses all the more; and two shards that
 * talk to each other would both sleep for good once they do, because the sleep of the one is what
 * makes the other wait for longer than it looks.
 *
 * Pure values: time and counts come in, decisions go out.
 */
#ifndef CMDI_SHARD_SPIN_H
#define CMDI_SHARD_SPIN_H

#include <stdbool.h>
#include <stdint.h>

struct cmdi_spin {
    uint64_t budget_ns; // 0: never.
    uint64_t stopped_until_ns;
    uint64_t stop_ns;     // How long the next stop lasts.
    uint64_t checked_ns;  // When preemptions were last looked at.
    uint64_t preemptions; // What they were then.
    uint32_t doubt;       // Doubles with a miss, loses a quarter with a hit.
    uint32_t sleeps_left; // Without a spin, until the next one: the more the greater the doubt.
};

void cmdi_spin_init(struct cmdi_spin *spin, uint64_t budget_ns);
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

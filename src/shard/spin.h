/* SPDX-License-Identifier: MIT */
/*
 * How long a shard looks for work before it sleeps.
 *
 * A wake-up costs 15 to 100 us, so a spin of that length is often cheaper; but if two threads share a
 * core, a fixed spin burns the time that the other thread needs. So a shard spins before each sleep
 * while most spins find work (more than two of three), ever more rarely if they do not, and not at all
 * for a while if another thread wants the core. It sees that by a gap between two readings of the
 * clock, or by involuntary context switches.
 *
 * The length of a spin does not follow success. A shorter spin misses all the more. And if two shards
 * talk to each other and one sleeps, the other waits longer than its spin and sleeps too; with spins
 * cut short neither would spin successfully again.
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
    uint64_t checked_ns;  // When preemptions were last read.
    uint64_t preemptions; // As read then.
    uint32_t doubt;       // Doubles with a miss, loses a quarter with a hit.
    uint32_t sleeps_left; // Without a spin, until the next one: the more the greater the doubt.
};

void cmdi_spin_init(struct cmdi_spin *spin, uint64_t budget_ns);
/** How long to spin now. Returns: 0: sleep at once. */
uint64_t cmdi_spin_begin(struct cmdi_spin *spin, uint64_t now_ns);
/** The spin found work, or did not. */
void cmdi_spin_end(struct cmdi_spin *spin, bool hit);
/**
 * Two readings of the clock inside a spin. Returns: true: another thread had the core in between; stop.
 */
bool cmdi_spin_gap(struct cmdi_spin *spin, uint64_t before_ns, uint64_t now_ns);
/** Is it time to read the preemptions (a system call)? */
bool cmdi_spin_check_due(const struct cmdi_spin *spin, uint64_t now_ns);
/**
 * Involuntary switches of this thread so far. Returns: true: too many since the last time; stopped
 * for a while.
 */
bool cmdi_spin_check(struct cmdi_spin *spin, uint64_t preemptions, uint64_t now_ns);

#endif

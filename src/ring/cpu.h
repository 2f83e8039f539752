/* SPDX-License-Identifier: MIT */
/*
 * The CPUs of this machine, as this thread and its cgroup may use them.
 */
#ifndef CMDI_RING_CPU_H
#define CMDI_RING_CPU_H

#include <stdint.h>

/** The CPUs this thread may use, in order. Returns: how many, at most `max`. */
uint32_t cmdi_cpus_allowed(uint16_t *cpus, uint32_t max);
/** CPUs that cgroup's cpu.max gives, in hundredths; 0: no quota. */
uint32_t cmdi_cpu_quota_percent(void);
/** Pins the calling thread. Returns: 0; -errno. */
int cmdi_cpu_pin(uint16_t cpu);
/** Involuntary context switches of the calling thread so far. */
uint64_t cmdi_preemptions(void);

static inline void cmdi_cpu_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield" ::: "memory");
#endif
}

#endif

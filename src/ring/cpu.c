/* SPDX-License-Identifier: MIT */
/* CPUs: which of them this thread may use. No state; any thread. */
#include "ring/cpu.h"

#include <errno.h>
#include <sched.h>
#include <sys/resource.h>

#include "machine/cgroup.h"

enum {
    CPUS_MAX = 65536, // What a uint16_t can name; more than any kernel is built for.
    CPU_WORDS = CPUS_MAX / (8 * sizeof(unsigned long)),
};
/* cpu_set_t ends at 1024 CPUs; the system calls take a mask of any size. */
struct cpu_mask {
    unsigned long words[CPU_WORDS];
};
#define CPU_WORD_BITS (8 * sizeof(unsigned long))

uint32_t cmdi_cpus_allowed(uint16_t *cpus, uint32_t max)
{
    struct cpu_mask mask = {0};
    uint32_t count = 0;
    if (sched_getaffinity(0, sizeof(mask), (cpu_set_t *)(void *)&mask) != 0) {
        return 0;
    }
    for (uint32_t cpu = 0; cpu < CPUS_MAX && count < max; cpu++) {
        if (mask.words[cpu / CPU_WORD_BITS] >> (cpu % CPU_WORD_BITS) & 1) {
            cpus[count++] = (uint16_t)cpu;
        }
    }
    return count;
}

int cmdi_cpu_pin(uint16_t cpu)
{
    struct cpu_mask mask = {0};
    mask.words[cpu / CPU_WORD_BITS] = 1ul << (cpu % CPU_WORD_BITS);
    return sched_setaffinity(0, sizeof(mask), (const cpu_set_t *)(const void *)&mask) == 0 ? 0
                                                                                           : -errno;
}

uint64_t cmdi_preemptions(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_THREAD, &usage) == 0 ? (uint64_t)usage.ru_nivcsw : 0;
}

uint32_t cmdi_cpu_quota_percent(void)
{
    return cmdi_cgroup_cpu_percent();
}

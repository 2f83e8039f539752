/* SPDX-License-Identifier: MIT */
/* The CPUs of a host of the world, see ring/cpu.h. Which one a thread is pinned to makes no difference. */
#include "ring/cpu.h"

#include "base/assert.h"
#include "sim/scheduler.h"

uint32_t cmdi_cpus_allowed(uint16_t *cpus, uint32_t max)
{
    (void)cmdi_sim_inside(); // A runtime asks this first.
    uint32_t count = cmdi_sim_options()->cpu_count < max ? cmdi_sim_options()->cpu_count : max;
    for (uint32_t i = 0; i < count; i++) {
        cpus[i] = (uint16_t)i;
    }
    return count;
}

uint32_t cmdi_cpu_quota_percent(void)
{
    return 0;
}

int cmdi_cpu_pin(uint16_t cpu)
{
    CMDI_ASSERT(cpu < cmdi_sim_options()->cpu_count);
    return 0;
}

uint64_t cmdi_preemptions(void)
{
    return 0;
}

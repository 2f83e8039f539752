/* SPDX-License-Identifier: MIT */
/* What the cgroup of this process gives it. */
#ifndef CMDI_MACHINE_CGROUP_H
#define CMDI_MACHINE_CGROUP_H

#include <stdint.h>

/** CPUs that cpu.max gives, in hundredths; 0: no quota. Thread: any; reads /proc and /sys. */
uint32_t cmdi_cgroup_cpu_percent(void);

#endif

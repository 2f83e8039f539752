/* SPDX-License-Identifier: MIT */
/* The clocks of libc, as the programs of the world read them. */
#ifndef CMDI_SIM_LIBC_H
#define CMDI_SIM_LIBC_H

#include <stdint.h>
#include <time.h>

/** The world's time of a moment by the monotonic clock, or by the time of day: which one is seen. */
uint64_t cmdi_sim_time_of(const struct timespec *moment);
/** The time of day jumps. */
void cmdi_sim_wall_jump(int64_t ns);
void cmdi_sim_wall_begin(void);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The stopwatch of the load: ticks, cheap enough to read for each of four million commands a
 * second.
 *
 * On x86 with an invariant time stamp counter a tick is one of its counts (about 10 ns to read,
 * against 25-50 ns for clock_gettime and far more where the kernel cannot serve it without a system
 * call); elsewhere a tick is a nanosecond. Calibrated once, against CLOCK_MONOTONIC; then constant,
 * so any thread may read it.
 */
#ifndef CMDSTREAM_TOOL_CLOCK_H
#define CMDSTREAM_TOOL_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct tool_clock {
    double ns_per_tick;
    bool counter; // The time stamp counter; else CLOCK_MONOTONIC.
};

uint64_t cmdi_tool_now_ns(void);
/** The time of day: seconds since 1970. */
double cmdi_tool_wall_s(void);
/** Takes 20 ms where there is a counter to calibrate. */
struct tool_clock cmdi_tool_clock_calibrate(void);

static inline uint64_t tool_clock_ticks(const struct tool_clock *clock)
{
#if defined(__x86_64__)
    if (clock->counter) {
        return __builtin_ia32_rdtsc();
    }
#endif
    (void)clock;
    return cmdi_tool_now_ns();
}

static inline uint64_t tool_clock_from_ns(const struct tool_clock *clock, double ns)
{
    return (uint64_t)(ns / clock->ns_per_tick);
}

static inline double tool_clock_to_us(const struct tool_clock *clock, uint64_t ticks)
{
    return (double)ticks * clock->ns_per_tick / 1000.0;
}

#endif

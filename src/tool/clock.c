/* SPDX-License-Identifier: MIT */
/* See clock.h. */
#include "clock.h"

#include <time.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

enum {
    CLOCK_CALIBRATION_NS = 20 * 1000 * 1000
};

uint64_t cmdi_tool_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

double cmdi_tool_wall_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

#if defined(__x86_64__)
/* Invariant: the same rate in every power state, and the same count on every core. */
static bool clock_counter_is_invariant(void)
{
    unsigned int a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid(0x80000007, &a, &b, &c, &d) != 0 && (d & (1U << 8)) != 0;
}

struct tool_clock cmdi_tool_clock_calibrate(void)
{
    struct tool_clock clock = {.ns_per_tick = 1, .counter = false};
    if (!clock_counter_is_invariant()) {
        return clock;
    }
    uint64_t start_ns = cmdi_tool_now_ns();
    uint64_t start = __builtin_ia32_rdtsc();
    struct timespec pause = {.tv_nsec = CLOCK_CALIBRATION_NS};
    nanosleep(&pause, NULL);
    uint64_t ns = cmdi_tool_now_ns() - start_ns;
    uint64_t ticks = __builtin_ia32_rdtsc() - start;
    if (ticks > 0) {
        clock = (struct tool_clock){.ns_per_tick = (double)ns / (double)ticks, .counter = true};
    }
    return clock;
}
#else
struct tool_clock cmdi_tool_clock_calibrate(void)
{
    return (struct tool_clock){.ns_per_tick = 1, .counter = false};
}
#endif

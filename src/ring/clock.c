/* SPDX-License-Identifier: MIT */
/* Time and chance. No state but the generator of each thread. */
#include "ring/clock.h"

#include <stddef.h>
#include <sys/random.h>
#include <time.h>

#include "base/time.h"

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    // Cannot fail: the clock exists and the pointer is good.
    (void)clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * CMDI_NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t cmdi_now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

uint64_t cmdi_wall_ns(void)
{
    return clock_ns(CLOCK_REALTIME);
}

uint64_t cmdi_random(void)
{
    static _Thread_local uint64_t state;
    if (state == 0 && getrandom(&state, sizeof(state), GRND_NONBLOCK) != (ssize_t)sizeof(state)) {
        /*
         * So early after boot that the kernel has no entropy. Time and the thread's own address
         * must do.
         */
        state = cmdi_now_ns() ^ (uint64_t)(uintptr_t)&state << 16;
    }
    state += 0x9e3779b97f4a7c15u; // splitmix64.
    uint64_t value = state;
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9u;
    value = (value ^ value >> 27) * 0x94d049bb133111ebu;
    return value ^ value >> 31;
}

void cmdi_sleep_ms(uint32_t ms)
{
    const struct timespec time = {
            .tv_sec = (time_t)(ms / 1000),
            .tv_nsec = (long)(ms % CMDI_MS_PER_S * CMDI_NS_PER_MS),
    };
    (void)nanosleep(&time, NULL); // A signal ends it early: the callers look again.
}

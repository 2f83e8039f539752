/* SPDX-License-Identifier: MIT */
/*
 * Clocks and sleeps as programs have them from libc, led here by the linker (--wrap), and those of the
 * seam, ring/clock.h. Outside of the world they are the real ones.
 */
#include "sim/libc.h"

#include <errno.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/time.h"
#include "ring/clock.h"
#include "sim/scheduler.h"
#include "sim/world.h"

#define LIBC_WALL_BEGIN_S 1767225600 // 2026, when a world begins.

int __real_clock_gettime(clockid_t clock, struct timespec *now);
time_t __real_time(time_t *now);
int __real_nanosleep(const struct timespec *time, struct timespec *left);
int __real_usleep(useconds_t us);
unsigned __real_sleep(unsigned seconds);
int __real_gettimeofday(struct timeval *now, void *zone);
int __real_timespec_get(struct timespec *now, int base);
int __real_clock_nanosleep(
        clockid_t clock, int flags, const struct timespec *time, struct timespec *left);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
time_t __wrap_time(time_t *now);
int __wrap_nanosleep(const struct timespec *time, struct timespec *left);
int __wrap_usleep(useconds_t us);
unsigned __wrap_sleep(unsigned seconds);
int __wrap_gettimeofday(struct timeval *now, void *zone);
int __wrap_timespec_get(struct timespec *now, int base);
int __wrap_clock_nanosleep(
        clockid_t clock, int flags, const struct timespec *time, struct timespec *left);

static int64_t wall_jumped_ns;

void cmdi_sim_wall_begin(void)
{
    wall_jumped_ns = 0;
}

void cmdi_sim_wall_jump(int64_t ns)
{
    wall_jumped_ns += ns;
}

static uint64_t wall_now(void)
{
    return LIBC_WALL_BEGIN_S * (uint64_t)CMDI_NS_PER_S + cmdi_sim_now() + (uint64_t)wall_jumped_ns;
}

uint64_t cmdi_sim_time_of(const struct timespec *moment)
{
    uint64_t ns = (uint64_t)moment->tv_sec * CMDI_NS_PER_S + (uint64_t)moment->tv_nsec;
    if (moment->tv_sec < LIBC_WALL_BEGIN_S / 2) {
        return ns; // No world runs for so many years.
    }
    uint64_t now = wall_now();
    return ns > now ? cmdi_sim_now() + (ns - now) : cmdi_sim_now();
}

static struct timespec timespec_of(uint64_t ns)
{
    return (struct timespec){
            .tv_sec = (time_t)(ns / CMDI_NS_PER_S), .tv_nsec = (long)(ns % CMDI_NS_PER_S)};
}

/* --- Of programs ------------------------------------------------------------------------------ */

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    if (cmdi_sim_thread() == NULL) {
        return __real_clock_gettime(clock, now);
    }
    cmdi_sim_yield();
    bool wall = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI;
    *now = timespec_of(wall ? wall_now() : cmdi_sim_now());
    return 0;
}

time_t __wrap_time(time_t *now)
{
    if (cmdi_sim_thread() == NULL) {
        return __real_time(now);
    }
    cmdi_sim_yield(); // Whoever asks until a second is over gets there.
    time_t seconds = (time_t)(wall_now() / CMDI_NS_PER_S);
    if (now != NULL) {
        *now = seconds;
    }
    return seconds;
}

int __wrap_nanosleep(const struct timespec *time, struct timespec *left)
{
    if (cmdi_sim_thread() == NULL) {
        return __real_nanosleep(time, left);
    }
    cmdi_sim_sleep((uint64_t)time->tv_sec * CMDI_NS_PER_S + (uint64_t)time->tv_nsec, "a time");
    return 0;
}

int __wrap_usleep(useconds_t us)
{
    if (cmdi_sim_thread() == NULL) {
        return __real_usleep(us);
    }
    cmdi_sim_sleep((uint64_t)us * CMDI_NS_PER_US, "a time");
    return 0;
}

unsigned __wrap_sleep(unsigned seconds)
{
    if (cmdi_sim_thread() == NULL) {
        return __real_sleep(seconds);
    }
    cmdi_sim_sleep((uint64_t)seconds * CMDI_NS_PER_S, "a time");
    return 0;
}

int __wrap_gettimeofday(struct timeval *now, void *zone)
{
    if (cmdi_sim_thread() == NULL) {
        return __real_gettimeofday(now, zone);
    }
    cmdi_sim_yield();
    struct timespec wall = timespec_of(wall_now());
    *now = (struct timeval){.tv_sec = wall.tv_sec, .tv_usec = wall.tv_nsec / 1000};
    return 0;
}

int __wrap_timespec_get(struct timespec *now, int base)
{
    if (cmdi_sim_thread() == NULL || base != TIME_UTC) {
        return __real_timespec_get(now, base);
    }
    cmdi_sim_yield();
    *now = timespec_of(wall_now());
    return base;
}

int __wrap_clock_nanosleep(
        clockid_t clock, int flags, const struct timespec *time, struct timespec *left)
{
    if (cmdi_sim_thread() == NULL) {
        return __real_clock_nanosleep(clock, flags, time, left);
    }
    bool absolute = (flags & TIMER_ABSTIME) != 0;
    uint64_t ns = (uint64_t)time->tv_sec * CMDI_NS_PER_S + (uint64_t)time->tv_nsec;
    uint64_t until_ns = absolute ? cmdi_sim_time_of(time) : cmdi_sim_now() + ns;
    cmdi_sim_sleep(until_ns > cmdi_sim_now() ? until_ns - cmdi_sim_now() : 0, "a time");
    return 0;
}

/* --- Of the seam ------------------------------------------------------------------------------ */

uint64_t cmdi_now_ns(void)
{
    cmdi_sim_yield();
    return cmdi_sim_now();
}

uint64_t cmdi_wall_ns(void)
{
    return wall_now(); // No place to go on elsewhere: a line of the log changes no schedule.
}

uint64_t cmdi_random(void)
{
    return cmdi_sim_draw(CMDI_CHANCE_LIBRARY);
}

void cmdi_sleep_ms(uint32_t ms)
{
    cmdi_sim_sleep(cmdi_ms_to_ns(ms), "a time");
}

/* SPDX-License-Identifier: MIT */
/* See watchdog.h. */
#include "watchdog.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmdstream/server.h>

enum {
    WATCHDOG_AGAIN_MS = 20, // A shard was in a long turn: it may be over soon.
    WATCHDOG_MAX_MS = 24 * 3600 * 1000,
};

static uint64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* 0: not set, or no number. */
static uint64_t environment_number(const char *name)
{
    const char *text = getenv(name);
    char *end = NULL;
    errno = 0;
    unsigned long long number = text != NULL ? strtoull(text, &end, 10) : 0;
    return end != NULL && end != text && *end == '\0' && errno == 0 ? number : 0;
}

void cmdi_tool_watchdog_init(struct cmdi_tool_watchdog *watchdog)
{
    uint64_t timeout_us = environment_number("WATCHDOG_USEC");
    bool is_ours = getenv("WATCHDOG_PID") == NULL ||
                   environment_number("WATCHDOG_PID") == (uint64_t)getpid();
    uint64_t period_ms = timeout_us / 2000;
    *watchdog = (struct cmdi_tool_watchdog){.next_ms = now_ms()};
    if (is_ours && timeout_us > 0) {
        watchdog->period_ms = period_ms == 0                ? 1
                              : period_ms < WATCHDOG_MAX_MS ? period_ms
                                                            : WATCHDOG_MAX_MS;
    }
}

uint32_t cmdi_tool_watchdog_look(
        struct cmdi_tool_watchdog *watchdog, const struct cmds_runtime *runtime)
{
    if (watchdog->period_ms == 0) {
        return CMDS_NEVER;
    }
    uint64_t now = now_ms();
    if (now >= watchdog->next_ms) {
        if (!cmds_runtime_turns(runtime, (uint32_t)watchdog->period_ms)) {
            return WATCHDOG_AGAIN_MS;
        }
        (void)cmds_notify("WATCHDOG=1"); // Whoever does not take it ends the program.
        watchdog->next_ms = now + watchdog->period_ms;
    }
    return (uint32_t)(watchdog->next_ms - now);
}

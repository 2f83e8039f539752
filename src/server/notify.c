/* SPDX-License-Identifier: MIT */
/*
 * What a program tells systemd, by sd_notify(3)'s protocol: one datagram to the socket that the
 * environment names.
 *
 * The watchdog's signs of life come from the thread that serves, which does nothing else. So they say
 * something only because that thread looks at the shards first.
 */
#include "server/notify.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <cmdstream/server.h>

#include "base/time.h"
#include "ring/clock.h"
#include "ring/output.h"
#include "ring/thread.h"

enum {
    NOTIFY_TRIES = 100, // While the socket has no room.
    NOTIFY_REST_MS = 10,
    NOTIFY_AGAIN_MS = 20, // A shard was in a long turn: it may be over soon.
};

int cmds_notify(const char *state)
{
    const char *path = cmdi_environment("NOTIFY_SOCKET");
    if (path == NULL || path[0] == '\0') {
        return 0;
    }
    if (path[0] != '/' && path[0] != '@') {
        return -EAFNOSUPPORT;
    }
    int code = cmdi_datagram_now(path, state, strlen(state));
    for (uint32_t i = 0; i < NOTIFY_TRIES && code == -EAGAIN; i++) {
        cmdi_sleep_ms(NOTIFY_REST_MS);
        code = cmdi_datagram_now(path, state, strlen(state));
    }
    return code < 0 ? code : 1;
}

/* 0: not set, or no number. */
static uint64_t notify_number(const char *name)
{
    const char *text = cmdi_environment(name);
    char *end = NULL;
    unsigned long long number = text != NULL ? strtoull(text, &end, 10) : 0;
    return end != NULL && end != text && *end == '\0' ? number : 0;
}

void cmdi_watchdog_init(struct cmdi_watchdog *watchdog, uint64_t now_ns)
{
    uint64_t timeout_us = notify_number("WATCHDOG_USEC");
    uint64_t pid = notify_number("WATCHDOG_PID");
    bool is_ours = cmdi_environment("WATCHDOG_PID") == NULL || pid == cmdi_pid();
    bool is_possible = timeout_us < UINT64_MAX / CMDI_NS_PER_US;
    watchdog->period_ns = is_ours && is_possible ? timeout_us * CMDI_NS_PER_US / 2 : 0;
    watchdog->next_ns = now_ns;
}

uint32_t cmdi_watchdog_look(
        struct cmdi_watchdog *watchdog, const struct cmds_runtime *runtime, uint64_t now_ns)
{
    if (watchdog->period_ns == 0) {
        return CMDS_NEVER;
    }
    if (now_ns >= watchdog->next_ns) {
        uint64_t period_ms = cmdi_ns_to_ms_up(watchdog->period_ns);
        uint32_t within_ms = period_ms < CMDS_NEVER ? (uint32_t)period_ms : CMDS_NEVER - 1;
        if (!cmds_runtime_turns(runtime, within_ms)) {
            return NOTIFY_AGAIN_MS;
        }
        // Whoever does not take it ends the program; there is nobody else to say so to.
        (void)cmds_notify("WATCHDOG=1");
        watchdog->next_ns = now_ns + watchdog->period_ns;
    }
    uint64_t left_ms = cmdi_ns_to_ms_up(watchdog->next_ns - now_ns);
    return left_ms < CMDS_NEVER ? (uint32_t)left_ms : CMDS_NEVER - 1;
}

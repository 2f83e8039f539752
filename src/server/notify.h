/* SPDX-License-Identifier: MIT */
/* systemd's watchdog: a program says that it lives as long as its shards do. See cmds_notify(). */
#ifndef CMDI_SERVER_NOTIFY_H
#define CMDI_SERVER_NOTIFY_H

#include <stdint.h>

#include <cmdstream/runtime.h>

struct cmdi_watchdog {
    uint64_t period_ns; // Between two signs of life. 0: nobody waits for one.
    uint64_t next_ns;
};

/** As WATCHDOG_USEC and WATCHDOG_PID say. */
void cmdi_watchdog_init(struct cmdi_watchdog *watchdog, uint64_t now_ns);
/**
 * Says that the program lives, if it is time and every shard sleeps or has turned since the last time.
 * Returns: when to look again, in ms; CMDS_NEVER: not at all.
 */
uint32_t cmdi_watchdog_look(
        struct cmdi_watchdog *watchdog, const struct cmds_runtime *runtime, uint64_t now_ns);

#endif

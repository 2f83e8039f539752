/* SPDX-License-Identifier: MIT */
/*
 * systemd's watchdog, as cmds_server_main() serves it: a program says that it lives as long as its shards do. On
 * public functions alone, as any program with a main of its own may do it. One thread.
 */
#ifndef CMDSTREAM_TOOL_WATCHDOG_H
#define CMDSTREAM_TOOL_WATCHDOG_H

#include <stdint.h>

#include <cmdstream/runtime.h>

struct cmdi_tool_watchdog {
    uint64_t period_ms; // Between two signs of life. 0: nobody waits for one.
    uint64_t next_ms;
};

/** As WATCHDOG_USEC and WATCHDOG_PID say. */
void cmdi_tool_watchdog_init(struct cmdi_tool_watchdog *watchdog);
/**
 * Says WATCHDOG=1 if it is time, and every shard sleeps or has turned since the last time. Returns: when to look
 * again, in ms; CMDS_NEVER: not at all.
 */
uint32_t cmdi_tool_watchdog_look(
        struct cmdi_tool_watchdog *watchdog, const struct cmds_runtime *runtime);

#endif

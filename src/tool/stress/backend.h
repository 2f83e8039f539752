/* SPDX-License-Identifier: MIT */
/*
 * What the clients connect to: a server that restarts, in a child process of a child process, or an address
 * where somebody else serves; with --chaos a proxy in front of it, in a child process as well.
 */
#ifndef CMDSTREAM_TOOL_STRESS_BACKEND_H
#define CMDSTREAM_TOOL_STRESS_BACKEND_H

#include <stdbool.h>
#include <stdint.h>

#include "child.h"
#include "stress/watch.h"

/* What a supervisor has to tell at its end. */
struct stress_served {
    uint64_t starts, kills, drains, stalls, failures;
    uint64_t descriptors_peak, memory_peak_kib;
};

struct stress_backend {
    char address[TOOL_CHILD_ADDRESS_SIZE]; // For the clients.
    struct tool_child supervisor;          // Without a pid: somebody else's server.
    struct stress_served served;
    struct tool_child proxy;
    struct stress_sample proxy_begin, proxy_end, proxy_peak;
    bool proxy_failed;
};

struct stress;
struct stress_options;

/** Will a proxy take --chaos-faults and --chaos-every? Else it says on stderr why not. */
bool stress_backend_chaos_goes(const struct stress_options *options);
/** Returns: 0; negative, and a line on stderr. */
int stress_backend_start(
        struct stress_backend *backend, const struct stress *stress, uint32_t index);
/** Has the proxy ended, how large is it? */
void stress_backend_look(struct stress_backend *backend);
/** No client is left. */
void stress_backend_end(struct stress_backend *backend);
/** All of them together; of the peaks of servers, which are not all up at once, the highest. */
struct stress_served stress_served_sum(const struct stress *stress);
struct stress_backend stress_proxies_sum(const struct stress *stress);
/** Does a proxy hold connections, though it has neither clients nor servers any more? */
bool stress_backend_leaks(const struct stress_backend *backend);

#endif

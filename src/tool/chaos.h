/* SPDX-License-Identifier: MIT */
/*
 * The command line of `cmdstream chaos`: what stands there becomes the options of a proxy. See
 * chaos/chaos.h for what they mean.
 */
#ifndef CMDSTREAM_TOOL_CHAOS_H
#define CMDSTREAM_TOOL_CHAOS_H

#include "chaos/chaos.h"
#include "options.h"

struct tool_chaos_options {
    const char *delay, *faults, *every, *lasts, *after, *scope, *way;
    uint32_t throttle, split, seed, share, buffer, max_connections;
    double duration, until;
    bool plan, quiet, json;
};

struct tool_chaos {
    struct tool_chaos_options line;
    struct cmdi_chaos_options options; // `routes` points to those here.
    struct cmdi_chaos_route routes[CMDI_CHAOS_ROUTES_MAX];
};

/**
 * Fills `chaos` from the command line.
 *
 * Owner:   the routes point into argv, which is written to, and stay as long as it does.
 * Returns: TOOL_PARSED; else the exit status of the program, and a line on stderr says why.
 */
int tool_chaos_parse(struct tool_chaos *chaos, int argc, char **argv);

#endif

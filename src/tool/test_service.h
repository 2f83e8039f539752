/* SPDX-License-Identifier: MIT */
/*
 * The server's half of the test protocol: its exec functions, ready to be put into server options.
 */
#ifndef CMDSTREAM_TOOL_TEST_SERVICE_H
#define CMDSTREAM_TOOL_TEST_SERVICE_H

#include "clock.h"
#include "test_protocol.h"

/** The receiver. Constant while the server runs, so all shards may read it. */
struct tool_service {
    struct tool_clock clock;
    uint64_t burn_ticks;  // What an echo costs on purpose, on the shard.
    size_t data_size_max; // Of a stream's item.
};

/** Protocol, exec functions and shard state. Owner: keeps `service` until the server has closed. */
struct cmds_server_options tool_service_options(struct tool_service *service);

#endif

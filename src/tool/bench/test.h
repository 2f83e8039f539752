/* SPDX-License-Identifier: MIT */
/* What `cmdstream bench` of the test protocol has beside the load: its own server. */
#ifndef CMDSTREAM_TOOL_BENCH_TEST_H
#define CMDSTREAM_TOOL_BENCH_TEST_H

#include "bench/bench.h"
#include "bench/certificates.h"

/**
 * Starts `cmdstream serve` on these CPUs and waits until it listens. Returns: 0, -errno; a line on
 * stderr then.
 */
int bench_server_start(struct bench *bench, const uint16_t *cpus, uint32_t cpu_count);
void bench_server_stop(struct bench_server *server);

#endif

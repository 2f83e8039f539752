/* SPDX-License-Identifier: MIT */
/*
 * Looks at a runtime that works: its spans, connections, calls, shards and metrics, as whoever looks after it
 * has them. What is seen has to be whole and in order, no count goes down, and no shard is kept by a look.
 */
#ifndef CMDI_TESTS_SIM_LOOKED_H
#define CMDI_TESTS_SIM_LOOKED_H

#include <cmdstream/cmdstream.h>

enum {
    LOOKED_METRICS_MAX = 256,
};

struct looked_metric {
    const char *name;
    uint64_t count;
    double sum;
};
struct looked_metrics {
    uint32_t count;
    struct looked_metric list[LOOKED_METRICS_MAX];
};

/** What was seen of one runtime. It survives its process. */
struct looked {
    struct cmds_runtime *runtime;
    uint32_t life;
    bool is_held;  // Callbacks may hold up its shards.
    bool is_going; // Between the begin and the end.
    uint64_t dropped, looks;
    struct looked_metrics last, now;
};

/** The runtime has started. `life`: of the oracle. */
void looked_begin(struct looked *looked, struct cmds_runtime *runtime, uint32_t life, bool is_held);
/** Looks at all of it, now and then. Thread: the one that turns it if it is inline; one at a time. */
void looked_look(struct looked *looked);
/** The same, of what many may look at. Thread: any but a shard. */
void looked_beside(const struct looked *looked);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Contexts of traces in the simulated world: a third of the commands have one, which names the command;
 * whoever executes one, be it through another server, sees the context of that one. Half of them are
 * sampled, and half of the processes keep spans.
 */
#ifndef CMDI_TESTS_SIM_TRACED_H
#define CMDI_TESTS_SIM_TRACED_H

#include <cmdstream/cmdstream.h>

enum {
    TRACED_SPANS = 32, // Of each shard. Few: a ring that is full is common.
};

/** For cmds_runtime_options. `number`: of the process. Returns: NULL: it keeps none. */
const struct cmds_trace_options *traced_options(uint32_t number);
/** Command `id` is about to be sent. Returns: `trace`, filled in; NULL: it goes without. */
const struct cmds_trace *traced_context(uint64_t id, struct cmds_trace *trace);
/** The number in the context of a call; 0: it has none. */
uint64_t traced_number(const struct cmds_call *call);
/** Command `id` is executed. `may_lack`: of the server's memory there may be too little. */
void traced_look(const struct cmds_call *call, uint64_t id, bool may_lack);
/** It is whole, and of a command that was sent with it. */
void traced_check(const struct cmds_span *span);
/** Spans that have ended since the last time. */
void traced_take(struct cmds_runtime *runtime);

#endif

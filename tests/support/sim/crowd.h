/* SPDX-License-Identifier: MIT */
/*
 * Four servers in a simulated world, and a group with an endpoint or more, that a test loads. How long a
 * command takes is the world's doing, so a server is as slow as it was made.
 */
#ifndef CMDI_TESTS_SUPPORT_SIM_CROWD_H
#define CMDI_TESTS_SUPPORT_SIM_CROWD_H

#include <stdatomic.h>

#include <cmdstream/cmdstream.h>
#include <cmdstream/sim.h>

#include "support/harness.h"

#include "support/sim_runs.h"

enum {
    CROWD_SERVERS = 4,
    CROWD_CONNECTIONS = 4,
    CROWD_DEADLINE_MS = 2000,
    CROWD_COMMANDS_MAX = 40000,
};

struct ask {
    int64_t number, takes_ms;
};
struct watch {
    int64_t number, takes_ms;
};
struct answer {
    int64_t number;
};
struct item {
    int64_t number;
};
CMDS_COMMAND(ask, 0, number, takes_ms);
CMDS_COMMAND(watch, 1, number, takes_ms); // An item at once, the answer later.
CMDS_RESULT(answer, 0, number);
CMDS_RESULT_NEVER_LAST(item, 1, number);

struct server {
    struct cmds_sim_process *process;
    _Atomic uint32_t asked;
    _Atomic bool fails;       // Each command ends its connection.
    _Atomic bool is_unsteady; // It answers every other command too late.
};

struct crowd {
    int (*use)(struct crowd *crowd); // What the test is about. Returns: 0: all was right.
    const struct cmds_dispatch *dispatch;
    const char *connect;
    uint32_t client_count, deadline_ms;
    bool on_shard; // Commands are sent there, not by the main thread.
    struct cmds_sim_process *client;
    struct server servers[CROWD_SERVERS];
    struct cmds_runtime *runtime;
    struct cmds_group *group;
    _Atomic uint32_t answers, failures, refused;
    _Atomic uint32_t sent;
    _Atomic uint32_t answers_by[CROWD_CONNECTIONS]; // By connection.
    uint32_t took_us[CROWD_COMMANDS_MAX];           // Of each that was answered.
};

/** All else is zero. */
struct crowd *crowd_new(const struct cmds_dispatch *dispatch, bool on_shard);
/** In a world of its own. Returns: what `use` returned. */
int crowd_run(struct crowd *crowd, int (*use)(struct crowd *crowd));
/** Counts. The context is the crowd. */
void crowd_on_result(void *context, const struct cmds_result *result);
/** One command, which is timed. Returns: 0; a code. */
int crowd_load_one(struct crowd *crowd, uint64_t key, int64_t takes_ms);
/** A command every ms, of 64 keys. Returns: 0; a code. */
int crowd_load(struct crowd *crowd, uint32_t ms);
int crowd_load_long(struct crowd *crowd, uint32_t ms, int64_t takes_ms);
/** From now on the first `count` of the servers, and all connections are there. Returns: 0; a code. */
int crowd_set(struct crowd *crowd, uint32_t count);

#endif

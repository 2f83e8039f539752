/* SPDX-License-Identifier: MIT */
/* Simulated worlds for tests of one fact: opened, filled, run and closed in a line each. */
#ifndef CMDI_TESTS_SUPPORT_SIM_RUNS_H
#define CMDI_TESTS_SUPPORT_SIM_RUNS_H

#include <stdio.h>

#include <cmdstream/cmdstream.h>
#include <cmdstream/sim.h>

#include "support/harness.h"

static inline struct cmds_sim *open_world(uint64_t seed, uint32_t faults)
{
    struct cmds_sim_options options = CMDS_SIM_OPTIONS_INIT;
    options.seed = seed;
    options.faults = faults;
    options.time_max_ms = 60000;
    options.event_count = 1; // Failures that are meant need no story.
    struct cmds_sim *sim = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    CU_ASSERT_EQUAL_FATAL(cmds_sim_open(&sim, &options, &error), 0);
    return sim;
}

static inline struct cmds_sim_process *add(struct cmds_sim *sim, const char *name, bool daemon,
        int (*program_main)(void *context), void *context)
{
    struct cmds_sim_program program = CMDS_SIM_PROGRAM_INIT(name, program_main);
    program.daemon = daemon;
    program.context = context;
    struct cmds_sim_process *process = NULL;
    CU_ASSERT_EQUAL_FATAL(cmds_sim_start(sim, &program, &process, NULL), 0);
    return process;
}

/* Runs and closes it. Returns: the code; `text` gets the sentence. */
static inline int finish(
        struct cmds_sim *sim, struct cmds_sim_report *report, char *text, size_t size)
{
    struct cmds_error error = CMDS_ERROR_INIT;
    int code = cmds_sim_run(sim, &error);
    if (report != NULL) {
        *report = (struct cmds_sim_report)CMDS_SIM_REPORT_INIT;
        cmds_sim_stats(sim, report);
    }
    if (text != NULL) {
        (void)snprintf(text, size, "%s", error.text);
    }
    cmds_sim_close(sim);
    return code;
}

/* The main function of a server that has one shard, until it is asked to end. */
static inline int serve(const struct cmds_server_options *own)
{
    struct cmds_runtime *runtime = NULL;
    struct cmds_server *server = NULL;
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    options.shard_count = 1;
    int code = cmds_runtime_start(&runtime, &options, NULL);
    code = code < 0 ? code : cmds_server_start(&server, runtime, own, NULL);
    cmds_sim_wait_stop();
    cmds_server_close(server);
    cmds_runtime_stop(runtime);
    return code;
}

#endif

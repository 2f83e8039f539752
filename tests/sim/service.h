/* SPDX-License-Identifier: MIT */
/*
 * A server of the simulated world: it executes commands in every way there is, forwards some to another
 * server, is asked to end, is closed in the middle, and starts anew.
 */
#ifndef CMDI_TESTS_SIM_SERVICE_H
#define CMDI_TESTS_SIM_SERVICE_H

#include <pthread.h>

#include "sim/hooked.h"
#include "sim/looked.h"
#include "sim/oracle.h"

/** In static memory: what of it a start needs is set anew by each. */
struct service {
    const struct scenario_server *plan;
    struct cmds_sim_process *process;
    struct cmds_runtime *runtime;
    struct cmds_server *server;
    uint32_t life;
    uint32_t shards_started;
    /* The server behind it. */
    struct cmds_group *upstream;
    uint32_t upstream_group;
    bool upstream_closed;
    struct hooked hooked; // Of that group.
    struct looked looked;
    /* Calls for its own thread to answer, by the ids of their commands. */
    pthread_mutex_t lock;
    pthread_cond_t filled;
    pthread_t thread;
    bool has_thread, is_stopping;
    uint32_t first, last;
};
extern struct service services[SCENARIO_SERVERS_MAX];

/** For struct cmds_sim_program: the context is its struct service. */
int service_main(void *context);
/** Its exec functions, and what else a server calls back: service_exec.c. */
void service_options(struct service *service, struct cmds_server_options *options);
/** Answers what is queued, until service->is_stopping: on a thread. */
void *service_answers(void *context);

#endif

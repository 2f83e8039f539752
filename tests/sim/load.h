/* SPDX-License-Identifier: MIT */
/*
 * A client of the simulated world: groups and blocking senders to one server, used by shards, by
 * callbacks and by threads of the program's own, until what was drawn is sent.
 *
 * load.c has its life and that of its groups, load_send.c what is sent and what comes of it, load_steer.c
 * what else is done to them.
 */
#ifndef CMDI_TESTS_SIM_LOAD_H
#define CMDI_TESTS_SIM_LOAD_H

#include <pthread.h>

#include "sim/fuse.h"
#include "sim/hooked.h"
#include "sim/looked.h"
#include "sim/oracle.h"
#include "sim/strategy.h"

enum {
    LOAD_GROUPS_MAX = 2,
    LOAD_SHARDS_MAX = 4,
    LOAD_THREADS_MAX = 4,
    LOAD_TICKETS = 16,
    LOAD_SHARERS_MAX = 3, // Of one sender, beside the thread that has opened it.
};

struct load;
/** Commands of one shard (or of one thread) that may be forgotten. */
struct load_ticket {
    uint64_t id;
    struct cmds_ticket ticket;
};
/** What one shard sends through one group. */
struct load_driver {
    struct load_group *group;
    uint32_t shard, in_flight;
    uint64_t waits_since_ns; // For on_writable; 0: it does not.
};
struct load_group {
    struct load *load;
    struct cmds_group *group;
    uint32_t number; // Of struct oracle_group.
    bool is_closing, is_closed;
    bool is_left;             // For the runtime to close.
    struct cmds_group *own;   // The reference of the one that looks after it.
    uint32_t closes, is_over; // How often it was closed, and how many on_closed have run.
    uint32_t early;           // Of these, before the end.
    uint32_t writables;       // How often on_writable has run.
    struct load_driver drivers[LOAD_SHARDS_MAX];
    struct load_ticket tickets[LOAD_TICKETS];
    uint32_t ticket_next;
    uint64_t pending_max;
    uint32_t pauses[SCENARIO_CONNECTIONS_MAX]; // Of each connection, to be ended.
    bool is_changing;                          // Its endpoints: somebody is at it.
};
/** A thread of the program: through a group, or by a sender of its own. */
struct load_thread {
    struct load *load;
    struct load_group *group; // NULL: a sender.
    struct cmds_group *handle;
    pthread_t thread;
    bool is_running, is_done;
    uint32_t number;
};
/** In static memory: what of it a start needs is set anew by each. */
struct load {
    const struct scenario_client *plan;
    const struct scenario_server *server;
    struct cmds_sim_process *process;
    struct cmds_runtime *runtime;
    char connect[160];
    uint32_t life, shards;
    uint32_t sent; // Of plan->commands, in all lives.
    struct strategy strategy;
    struct hooked hooked; // Of every second client.
    struct fuse fuse;
    struct looked looked;
    bool is_stopping, is_last; // is_last: of its rounds.
    struct load_group groups[LOAD_GROUPS_MAX];
    struct load_thread threads[LOAD_GROUPS_MAX * LOAD_THREADS_MAX + LOAD_THREADS_MAX];
    uint32_t thread_count;
};
extern struct load loads[SCENARIO_CLIENTS_MAX];

/** For struct cmds_sim_program: the context is its struct load. */
int load_main(void *context);
/** No more is to be sent. */
bool load_is_over(const struct load *load);
/** Lets the time pass: an inline runtime turns meanwhile. */
void load_pass(struct load *load, uint32_t ms);
/** May this failure come of what was drawn? */
bool load_may_fail(int code);
/** The options of its groups; the callbacks are for a struct load_group. */
void load_group_options(struct load *load, struct cmds_group_options *options);

/* --- load_send.c -------------------------------------------------------------------------------- */

/** Anybody who holds a reference. */
void load_close(struct load_group *group, struct cmds_group *handle);
/** On each shard of the runtime: begins to send through the group. */
void load_drive(struct load_group *group);
void load_on_writable(void *context);
void load_on_unexpected(void *context, const struct cmds_result *result);
void load_on_state(void *context, uint32_t client, enum cmds_connection_state state,
        const struct cmds_error *cause);
/** A thread that sends through the group; one with a sender of its own, which others may share. */
void *load_thread_group(void *context);
void *load_thread_sender(void *context);

/* --- load_steer.c ------------------------------------------------------------------------------- */

/** Now and then. `in_result`: in a callback of this connection. */
void load_pause(
        struct load_group *group, struct cmds_group *handle, uint32_t client, bool in_result);
/** Ends each pause, one in so many times. */
void load_resume_some(struct load_group *group, struct cmds_group *handle, uint32_t one_in);
/** Now and then: to some of the servers that are alike. */
void load_change(struct load_group *group, struct cmds_group *handle);
/** What its groups connect to at first. */
void load_set_connect(struct load *load);
/** Lets the name of all kin of `server` mean these, bits; before the run as well. */
void load_set_name(
        struct cmds_sim *sim, const struct scenario *scenario, uint32_t server, uint32_t servers);
/** Nothing more is sent: waits until all its connections are up, as they have to be some day. */
void load_settle_group(struct load_group *group);

#endif

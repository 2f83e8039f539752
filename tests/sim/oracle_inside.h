/* SPDX-License-Identifier: MIT */
/* The oracle's tables, for its own three files. */
#ifndef CMDI_TESTS_SIM_ORACLE_INSIDE_H
#define CMDI_TESTS_SIM_ORACLE_INSIDE_H

#include "sim/oracle.h"

struct oracle_server {
    uint32_t epoch; // One more whenever it begins to end, or is found to have died.
    uint32_t life;  // 0: none.
    bool is_up;     // It accepts.
    bool has_works; // Commands for its pool were sent.
};
// So long nothing goes on, and it is a standstill.
#define ORACLE_STILL_NS 1000000000u

/** One of its connections is paused, or was a moment ago. */
bool oracle_is_paused(const struct oracle_group *group);
/** Is it fine that one of its connections is lost, or never comes up? */
bool oracle_may_lose(const struct oracle_group *group);

extern struct oracle_command oracle_commands[ORACLE_COMMANDS_MAX];
extern struct oracle_group oracle_groups[ORACLE_GROUPS_MAX];
extern struct oracle_life oracle_lives[ORACLE_LIVES_MAX];
extern struct oracle_link oracle_links[ORACLE_LINKS_MAX];
extern struct oracle_server oracle_servers[SCENARIO_SERVERS_MAX];
extern uint32_t oracle_client_lives[SCENARIO_CLIENTS_MAX];

#endif

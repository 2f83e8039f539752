/* SPDX-License-Identifier: MIT */
/* See chaos.h. */
#include "sim/chaos.h"

#include <stdio.h>

#include "sim/load.h"
#include "sim/service.h"

enum {
    CHAOS_STALL_MAX_MS = 3000,
    CHAOS_SLOW_MAX_MS = 500,
};

static struct cmds_sim_process *chaos_process(uint32_t number)
{
    uint32_t servers = oracle.scenario->server_count;
    return number < servers ? services[number].process : loads[number - servers].process;
}

static bool chaos_is_fragile(uint32_t number)
{
    const struct scenario *scenario = oracle.scenario;
    return number < scenario->server_count
                   ? scenario->servers[number].fragile
                   : scenario->clients[number - scenario->server_count].fragile;
}

/* Those that have ended for another reason than that they are done. */
static void chaos_revive(bool all)
{
    const struct scenario *scenario = oracle.scenario;
    for (uint32_t i = 0; i < scenario->server_count; i++) {
        if (!cmds_sim_is_running(services[i].process) && (all || oracle_chance(2))) {
            cmds_sim_restart(services[i].process);
        }
    }
    for (uint32_t i = 0; i < scenario->client_count; i++) {
        bool is_done = loads[i].life != 0 && oracle_life(loads[i].life)->is_over;
        if (!cmds_sim_is_running(loads[i].process) && !is_done && (all || oracle_chance(2))) {
            cmds_sim_restart(loads[i].process);
        }
    }
}

static void chaos_link(uint32_t kind, struct cmds_sim_process *one, struct cmds_sim_process *other)
{
    switch (kind) {
    case SCENARIO_BLOCK:
        cmds_sim_block(one, other);
        if (oracle_chance(2)) {
            cmds_sim_block(other, one);
        }
        break;
    case SCENARIO_CUT:
        (void)cmds_sim_cut(one, other);
        break;
    default:
        cmds_sim_slow(one, other, oracle_below(CHAOS_SLOW_MAX_MS));
        break;
    }
}

static void chaos_befall(uint32_t kind, uint32_t victim)
{
    const struct scenario *scenario = oracle.scenario;
    uint32_t count = scenario->server_count + scenario->client_count;
    struct cmds_sim_process *process = chaos_process(victim);
    bool is_server = victim < scenario->server_count;
    switch (kind) {
    case SCENARIO_KILL:
        cmds_sim_kill(process);
        break;
    case SCENARIO_POWER:
        cmds_sim_power_off(process);
        break;
    case SCENARIO_STALL:
        cmds_sim_stall(process, 1 + oracle_below(CHAOS_STALL_MAX_MS));
        break;
    case SCENARIO_TERMINATE:
        if (is_server) {
            cmds_sim_terminate(process);
        }
        break;
    case SCENARIO_CLOCK:
        cmds_sim_jump_wall_clock(oracle.sim, (int64_t)oracle_below(7200000) - 3600000);
        break;
    case SCENARIO_NAME:
        if (is_server && oracle_chance(2)) {
            load_set_name(oracle.sim, scenario, victim, oracle_below(1u << SCENARIO_SERVERS_MAX));
        } else if (is_server) {
            const char *other = cmds_sim_address(chaos_process(oracle_below(count)));
            (void)cmds_sim_set_name(oracle.sim, scenario->servers[victim].name,
                    oracle_chance(2)   ? NULL
                    : oracle_chance(2) ? ""
                                       : other);
        }
        break;
    default:
        chaos_link(kind, process, chaos_process(oracle_below(count)));
        break;
    }
}

static void chaos_once(void)
{
    uint32_t count = oracle.scenario->server_count + oracle.scenario->client_count;
    uint32_t kind = 1u << oracle_below(9);
    uint32_t victim = oracle_below(count);
    if ((oracle.scenario->chaos & kind) != 0 && chaos_is_fragile(victim)) {
        cmds_sim_note(oracle.sim, "chaos %u befalls %u", kind, victim);
        chaos_befall(kind, victim);
    }
}

int chaos_main(void *context)
{
    const struct scenario *scenario = oracle.scenario;
    uint64_t until_ns = scenario->load_ms * 1000000ull;
    (void)context;
    while (scenario->chaos != 0 && oracle_now_ns() < until_ns) {
        cmds_sim_sleep_ms(scenario->chaos_ms / 4 + oracle_below(scenario->chaos_ms));
        for (uint32_t i = 0; i < 4; i++) {
            chaos_once();
        }
        chaos_revive(false);
        if (oracle_chance(4)) {
            cmds_sim_heal(oracle.sim);
        }
    }
    if (scenario->chaos != 0) {
        cmds_sim_heal(oracle.sim);
        for (uint32_t i = 0; i < scenario->server_count; i++) {
            (void)cmds_sim_set_name(oracle.sim, scenario->servers[i].name, NULL);
            load_set_name(oracle.sim, scenario, i, scenario_kin(scenario, i));
        }
        /* What it asked to end may end a while later. */
        for (uint32_t i = 0; i < 30; i++) {
            chaos_revive(true);
            cmds_sim_sleep_ms(1000);
        }
    }
    return 0;
}

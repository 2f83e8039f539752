/* SPDX-License-Identifier: MIT */
/* What a client does to its groups beside sending: see load.h. */
#include <stdio.h>
#include <string.h>

#include "sim/load.h"
#include "sim/service.h"

enum {
    STEER_ADDRESS_MAX = 40,
    // A host that lost power starts again within 30 s, and is tried within 30. Without pings a server ends
    // what is idle for 120 s.
    STEER_SETTLE_MS = 100000,
    STEER_STEP_MS = 100,
};

/* --- Pauses -------------------------------------------------------------------------------------- */

void load_pause(
        struct load_group *group, struct cmds_group *handle, uint32_t client, bool in_result)
{
    if (!group->load->plan->pauses || group->is_closing || !oracle_chance(50)) {
        return;
    }
    int code = cmds_group_pause(handle, client);
    if (code == 0) {
        group->pauses[client]++;
        oracle_group_paused(group->number, client, in_result);
    } else if (code != CMDS_E_CLOSED) {
        (void)oracle_fail("cmds_group_pause(): %s", cmds_error_name(code));
    }
}

static void load_resume(struct load_group *group, struct cmds_group *handle, uint32_t client)
{
    group->pauses[client]--;
    oracle_group_resumes(group->number, client);
    int code = cmds_group_resume(handle, client);
    if (code != 0 && code != CMDS_E_CLOSED) {
        (void)oracle_fail("cmds_group_resume(): %s", cmds_error_name(code));
    }
}

void load_resume_some(struct load_group *group, struct cmds_group *handle, uint32_t one_in)
{
    for (uint32_t i = 0; i < group->load->plan->connections; i++) {
        while (group->pauses[i] > 0 && oracle_chance(one_in)) {
            load_resume(group, handle, i);
        }
    }
}

/* --- Endpoints ----------------------------------------------------------------------------------- */

static void load_name_of(const struct scenario_server *server, char *text, size_t size)
{
    (void)snprintf(text, size, "dns:kin%u:%u", server->kin, server->port);
}

void load_set_connect(struct load *load)
{
    const struct scenario *scenario = oracle.scenario;
    uint32_t kin = load->plan->moves ? scenario_kin(scenario, load->plan->server) : 0;
    size_t at = 0;
    if (kin == 0 || load->plan->names) {
        (void)snprintf(load->connect, sizeof(load->connect), "%s", load->server->connect);
    }
    if (kin != 0 && load->plan->names) {
        load_name_of(load->server, load->connect, sizeof(load->connect));
        return;
    }
    for (uint32_t i = 0; i < scenario->server_count; i++) {
        if ((kin & 1u << i) != 0) {
            at += (size_t)snprintf(load->connect + at, sizeof(load->connect) - at, "%s%s",
                    at > 0 ? "," : "", scenario->servers[i].connect);
        }
    }
}

void load_set_name(
        struct cmds_sim *sim, const struct scenario *scenario, uint32_t server, uint32_t servers)
{
    char name[16], list[SCENARIO_SERVERS_MAX * 32] = "";
    uint32_t kin = scenario_kin(scenario, server);
    (void)snprintf(name, sizeof(name), "kin%u", scenario->servers[server].kin);
    for (uint32_t i = 0; i < scenario->server_count; i++) {
        if ((kin & servers & 1u << i) != 0) {
            (void)strcat(list, list[0] != '\0' ? "," : "");
            (void)strcat(list, cmds_sim_address(services[i].process));
        }
    }
    (void)cmds_sim_set_name(sim, name, list);
}

/* Some of them, at least one. */
static uint32_t load_draw_servers(uint32_t kin)
{
    uint32_t servers = 0;
    for (uint32_t i = 0; i < 16 && servers == 0; i++) {
        servers = kin & oracle_below(1u << SCENARIO_SERVERS_MAX);
    }
    return servers != 0 ? servers : kin;
}

/* `by_name`: the last one is the name of all. */
static void load_set_endpoints(
        struct load_group *group, struct cmds_group *handle, uint32_t servers, bool by_name)
{
    char name[STEER_ADDRESS_MAX];
    struct cmds_endpoint endpoints[SCENARIO_SERVERS_MAX + 1];
    const struct scenario *scenario = oracle.scenario;
    uint32_t kin = scenario_kin(scenario, group->load->plan->server);
    uint32_t count = 0, before = oracle_group(group->number)->listed;
    for (uint32_t i = 0; i < scenario->server_count; i++) {
        if ((servers & 1u << i) != 0) {
            endpoints[count] =
                    (struct cmds_endpoint)CMDS_ENDPOINT_INIT(scenario->servers[i].connect);
            endpoints[count++].weight = oracle_chance(3) ? 1 + oracle_below(100) : 0;
        }
    }
    if (by_name) {
        load_name_of(group->load->server, name, sizeof(name));
        endpoints[count++] = (struct cmds_endpoint)CMDS_ENDPOINT_INIT(name);
    }
    oracle_group_lists(group->number, by_name ? kin : servers);
    int code = cmds_group_set_endpoints(handle, endpoints, count, NULL);
    oracle_group_listed(group->number, code < 0 ? before : by_name ? kin : servers);
    bool is_done = code == CMDS_E_NOT_CONNECTED && cmds_group_done(handle);
    if (code < 0 && code != CMDS_E_CLOSED && !is_done && !load_may_fail(code)) {
        (void)oracle_fail("cmds_group_set_endpoints(): %s", cmds_error_name(code));
    }
}

void load_change(struct load_group *group, struct cmds_group *handle)
{
    const struct scenario_client *plan = group->load->plan;
    if (!plan->moves || group->is_closing || group->is_changing || !oracle_chance(50)) {
        return;
    }
    uint32_t servers = load_draw_servers(scenario_kin(oracle.scenario, plan->server));
    group->is_changing = true;
    if (plan->names && oracle_chance(2)) {
        load_set_name(oracle.sim, oracle.scenario, plan->server, servers);
    } else {
        load_set_endpoints(group, handle, servers, plan->names && oracle_chance(2));
    }
    group->is_changing = false;
}

/* Do the endpoints say what the group has? If not `text` says how. */
static bool load_view_is_right(const struct load_group *group, char *text, size_t size)
{
    struct cmds_endpoint_state state = CMDS_ENDPOINT_STATE_INIT;
    const struct scenario_client *plan = group->load->plan;
    uint32_t listed = (uint32_t)__builtin_popcount(oracle_group(group->number)->listed);
    uint32_t count = cmds_group_endpoint_count(group->own);
    uint32_t clients = 0, ups = 0, least = UINT32_MAX, most = 0;
    for (uint32_t i = 0; i < count && cmds_group_endpoint(group->own, i, &state) == 0; i++) {
        clients += state.client_count;
        ups += state.up_count;
        least = state.client_count < least ? state.client_count : least;
        most = state.client_count > most ? state.client_count : most;
    }
    (void)snprintf(text, size,
            "%u endpoints (of %u) have %u to %u of %u connections, in all %u, of which %u are up",
            count, listed, least, most, plan->connections, clients, ups);
    return clients == plan->connections && ups == plan->connections && most <= least + 1 &&
           (!plan->moves || plan->names || count == listed);
}

/* May its connections all be up some day? */
static bool load_can_settle(const struct load *load)
{
    const struct scenario_client *plan = load->plan;
    const struct scenario *scenario = oracle.scenario;
    uint32_t kin = scenario_kin(scenario, plan->server);
    bool can = plan->reconnect_ms != CMDS_NEVER && plan->reconnect_count == 0 &&
               !plan->is_stranger && plan->memory_size_max == 0;
    for (uint32_t i = 0; i < scenario->server_count; i++) {
        const struct scenario_server *server = &scenario->servers[i];
        bool is_steady =
                !server->strict && server->connection_count_max == 0 && server->lives_ms == 0;
        can = can && ((kin & 1u << i) == 0 || is_steady);
    }
    return can;
}

void load_settle_group(struct load_group *group)
{
    char text[200];
    struct load *load = group->load;
    uint64_t until_ns = (oracle.scenario->load_ms + STEER_SETTLE_MS) * 1000000ull;
    if (!load_can_settle(load) || group->closes > 0 || group->is_changing) {
        return;
    }
    group->is_changing = true; // From now on nobody does.
    while (group->closes == 0) {
        struct cmds_error error = CMDS_ERROR_INIT;
        load_resume_some(group, group->own, 1);
        int code = cmds_group_wait(group->own, 0, &error);
        if (load_view_is_right(group, text, sizeof(text)) && code == 0) {
            break;
        }
        /* A command without a deadline may hold one for ever. */
        if (oracle_now_ns() > until_ns && cmds_group_pending(group->own) > 0) {
            break;
        }
        if (oracle_now_ns() > until_ns && group->closes == 0) {
            (void)oracle_fail("group %u: nothing goes wrong any more, and %s (%s)", group->number,
                    text, error.text);
            break;
        }
        load_pass(load, STEER_STEP_MS);
    }
    group->is_changing = false;
}

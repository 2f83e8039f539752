/* SPDX-License-Identifier: MIT */
/* What the clients say of their groups. See oracle.h. */
#include <string.h>

#include "sim/oracle_inside.h"

struct oracle_group *oracle_group(uint32_t group)
{
    return &oracle_groups[group];
}

/* `late`: how late an end may be; else: by how much a deadline, which counts from the turn's time. */
static uint64_t oracle_slack_ns(uint32_t client, bool is_calm, bool late)
{
    const struct scenario *scenario = oracle.scenario;
    uint64_t slack_ms = late ? 100 : 2;
    bool stalls = (scenario->faults & CMDS_SIM_STALLS) != 0;
    stalls = stalls || (!is_calm && (scenario->chaos & SCENARIO_STALL) != 0);
    /* What has come and cannot be read for want of memory may be the answer: it is waited for. */
    bool is_short = client != SCENARIO_NONE && scenario->clients[client].memory_size_max != 0;
    is_short = is_short || (scenario->faults & CMDS_SIM_MEMORY) != 0;
    if (client == SCENARIO_NONE || scenario->clients[client].is_sleepy) {
        slack_ms += late ? 5000 : 1000;
    } else if (is_short && late) {
        slack_ms += 1000;
    }
    return (slack_ms + (stalls ? 8000 : 0)) * 1000000;
}

/* Which servers it may reach, and how they are. */
static void oracle_group_begin(struct oracle_group *group)
{
    const struct scenario *scenario = oracle.scenario;
    group->moves = group->client != SCENARIO_NONE && scenario->clients[group->client].moves;
    if (group->moves || scenario_lies(scenario)) {
        group->servers = scenario_kin(scenario, group->server);
    }
    group->listed = group->servers;
    for (uint32_t i = 0; i < scenario->server_count; i++) {
        group->epochs[i] = oracle_servers[i].epoch;
        group->was_down |= (group->servers & 1u << i) != 0 && !oracle_servers[i].is_up;
    }
}

uint32_t oracle_group_open(uint32_t life, uint32_t client, uint32_t server, uint32_t connections)
{
    if (oracle.group_count == ORACLE_GROUPS_MAX) {
        (void)oracle_fail("the oracle: more than %u groups", ORACLE_GROUPS_MAX);
        return 0;
    }
    uint32_t number = oracle.group_count++;
    bool is_calm = client != SCENARIO_NONE
                           ? scenario_is_calm(oracle.scenario, client)
                           : oracle_lives[life].is_calm &&
                                     scenario_server_is_calm(oracle.scenario, server);
    oracle_groups[number] = (struct oracle_group){
            .life = life,
            .server = server,
            .client = client,
            .connections = connections,
            .is_calm = is_calm,
            .slack_ns = oracle_slack_ns(client, is_calm, true),
            .early_ns = oracle_slack_ns(client, is_calm, false),
            .servers = 1u << server,
    };
    oracle_group_begin(&oracle_groups[number]);
    memset(oracle_groups[number].states, CMDS_CONNECTION_CONNECTING, connections);
    return number;
}

bool oracle_may_lose(const struct oracle_group *group)
{
    bool is_new = false;
    for (uint32_t i = 0; i < oracle.scenario->server_count; i++) {
        is_new = is_new ||
                 ((group->servers & 1u << i) != 0 && oracle_servers[i].epoch != group->epochs[i]);
    }
    /* It does not say when it begins to end. */
    bool is_main =
            group->client == SCENARIO_NONE && oracle.scenario->servers[group->server].is_main;
    return !group->is_calm || group->was_down || is_new || is_main;
}

bool oracle_group_is_calm(uint32_t number)
{
    return !oracle_may_lose(&oracle_groups[number]);
}

void oracle_group_lists(uint32_t number, uint32_t servers)
{
    oracle_groups[number].listed |= servers;
}

void oracle_group_listed(uint32_t number, uint32_t servers)
{
    struct oracle_group *group = &oracle_groups[number];
    for (uint32_t i = 0; i < oracle.scenario->server_count; i++) {
        if ((group->listed & ~servers & 1u << i) != 0) {
            group->unlisted_ns[i] = oracle_now_ns();
        }
    }
    group->listed = servers;
    group->changes++;
}

/* A connection that waits begins anew, or fails at once for want of an address. */
static bool oracle_may_follow(uint32_t before, uint32_t next, bool moves)
{
    static const uint8_t follows[] = {
            [CMDS_CONNECTION_DOWN] = 0,
            [CMDS_CONNECTION_UP] = 1u << CMDS_CONNECTION_DOWN | 1u << CMDS_CONNECTION_WAITING,
            [CMDS_CONNECTION_WAITING] = 1u << CMDS_CONNECTION_DOWN | 1u << CMDS_CONNECTION_WAITING |
                                        1u << CMDS_CONNECTION_CONNECTING,
            [CMDS_CONNECTION_CONNECTING] = 1u << CMDS_CONNECTION_DOWN | 1u << CMDS_CONNECTION_UP |
                                           1u << CMDS_CONNECTION_WAITING,
    };
    bool is_move = before == CMDS_CONNECTION_UP && next == CMDS_CONNECTION_CONNECTING;
    return before < sizeof(follows) && next < sizeof(follows) &&
           ((follows[before] & 1u << next) != 0 || (is_move && moves));
}

/* It is not up any more, or not yet. */
static void oracle_check_cause(uint32_t number, uint32_t client, enum cmds_connection_state state,
        const struct cmds_error *cause)
{
    struct oracle_group *group = &oracle_groups[number];
    bool is_bad = state == CMDS_CONNECTION_WAITING || state == CMDS_CONNECTION_DOWN;
    /* It is left for another endpoint. */
    bool is_move =
            state == CMDS_CONNECTION_WAITING && cause->code == CMDS_E_NOT_CONNECTED && group->moves;
    if (state == CMDS_CONNECTION_DOWN) {
        group->causes[client] = cause->code;
    }
    if (is_bad && cause->code == CMDS_E_CLOSED && group->state == ORACLE_GROUP_OPEN) {
        (void)oracle_fail("group %u: state %u says closed, but it was not", number, state);
    } else if (is_bad && cause->code != CMDS_E_CLOSED && group->state == ORACLE_GROUP_OPEN &&
               !oracle_may_lose(group) && !is_move) {
        (void)oracle_fail("group %u (client %d, server %u): nothing disturbed connection %u, and "
                          "it is in state %u: %s",
                number, (int)group->client, group->server, client, state, cause->text);
    }
}

void oracle_group_state(uint32_t number, uint32_t client, enum cmds_connection_state state,
        const struct cmds_error *cause)
{
    struct oracle_group *group = &oracle_groups[number];
    oracle.checks++;
    if (group->state == ORACLE_GROUP_CLOSED || group->state == ORACLE_GROUP_VOID) {
        (void)oracle_fail("group %u: on_state after its end", number);
    } else if (client >= group->connections) {
        (void)oracle_fail(
                "group %u: on_state of connection %u of %u", number, client, group->connections);
    } else if (!oracle_may_follow(group->states[client], state, group->moves)) {
        (void)oracle_fail("group %u: connection %u: state %u after %u", number, client, state,
                group->states[client]);
    } else if ((cause->code == 0) != (state == CMDS_CONNECTION_UP) ||
               (cause->text[0] == '\0') != (state == CMDS_CONNECTION_UP)) {
        (void)oracle_fail("group %u: state %u has the cause %d", number, state, cause->code);
    } else {
        group->states[client] = (uint8_t)state;
        group->up[client] += state == CMDS_CONNECTION_UP;
        group->waits[client] += state == CMDS_CONNECTION_WAITING;
        group->down[client] = (uint8_t)(group->down[client] + (state == CMDS_CONNECTION_DOWN));
        oracle_check_cause(number, client, state, cause);
    }
}

void oracle_group_paused(uint32_t number, uint32_t client, bool in_result)
{
    struct oracle_group *group = &oracle_groups[number];
    group->pauses[client]++;
    group->is_silent[client] = group->is_silent[client] || in_result;
    group->paused_ns = oracle_now_ns();
}

void oracle_group_resumes(uint32_t number, uint32_t client)
{
    struct oracle_group *group = &oracle_groups[number];
    group->pauses[client]--;
    group->is_silent[client] = false;
    group->paused_ns = oracle_now_ns();
}

bool oracle_is_paused(const struct oracle_group *group)
{
    bool is_paused = group->paused_ns != 0 && oracle_now_ns() < group->paused_ns + ORACLE_STILL_NS;
    for (uint32_t i = 0; i < group->connections; i++) {
        is_paused = is_paused || group->pauses[i] > 0;
    }
    return is_paused;
}

void oracle_group_closing(uint32_t number)
{
    if (oracle_groups[number].state == ORACLE_GROUP_OPEN) {
        oracle_groups[number].state = ORACLE_GROUP_CLOSING;
    }
}

static void oracle_group_check_end(uint32_t number)
{
    const struct oracle_group *group = &oracle_groups[number];
    if (group->pending != 0) {
        (void)oracle_fail("group %u (client %d): it is closed, and %llu commands have no end",
                number, (int)group->client, (unsigned long long)group->pending);
    }
    for (uint32_t i = 0; i < group->connections && !group->is_sender; i++) {
        if (group->down[i] != 1) {
            (void)oracle_fail("group %u: it is closed, and connection %u was never down (up %u)",
                    number, i, group->up[i]);
        }
        if (group->lost[i] > 0 && group->waits[i] == 0 && group->causes[i] == CMDS_E_CLOSED) {
            (void)oracle_fail("group %u: %u commands were lost, and connection %u was not", number,
                    group->lost[i], i);
        }
    }
}

void oracle_group_closed(uint32_t number)
{
    struct oracle_group *group = &oracle_groups[number];
    oracle.checks++;
    if (group->state != ORACLE_GROUP_CLOSING) {
        (void)oracle_fail("group %u: on_closed in state %u", number, group->state);
    }
    group->state = ORACLE_GROUP_CLOSED;
    oracle_group_check_end(number);
}

void oracle_group_never(uint32_t number)
{
    struct oracle_group *group = &oracle_groups[number];
    if (group->pending != 0) {
        (void)oracle_fail("group %u: it did not open, and has %llu commands", number,
                (unsigned long long)group->pending);
    }
    group->state = ORACLE_GROUP_VOID;
}

void oracle_sender_refused(uint32_t number, int code, const struct cmds_error *error)
{
    const struct oracle_group *group = &oracle_groups[number];
    oracle_group_never(number);
    if (error->code != code || error->text[0] == '\0') {
        (void)oracle_fail("cmds_sender_open() returned %s, and its error is %d: %s",
                cmds_error_name(code), error->code, error->text);
    }
    if (!oracle_may_lose(group)) {
        (void)oracle_fail("a sender of client %u to server %u did not open: %s", group->client,
                group->server, error->text);
    }
}

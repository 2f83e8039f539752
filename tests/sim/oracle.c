/* SPDX-License-Identifier: MIT */
/* What the clients say: groups, commands and their ends. See oracle.h. */
#include "sim/oracle.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sim/oracle_inside.h"

#define ORACLE_STILL_NS  1000000000u
#define ORACLE_SMALL_MAX 2000u

struct oracle oracle;
struct oracle_command oracle_commands[ORACLE_COMMANDS_MAX];
struct oracle_group oracle_groups[ORACLE_GROUPS_MAX];
struct oracle_life oracle_lives[ORACLE_LIVES_MAX];
struct oracle_link oracle_links[ORACLE_LINKS_MAX];
struct oracle_server oracle_servers[SCENARIO_SERVERS_MAX];
uint32_t oracle_client_lives[SCENARIO_CLIENTS_MAX];
static uint8_t bodies[ORACLE_BODY_PLACES + ORACLE_BODY_MAX];

static void oracle_fill_bodies(void)
{
    uint32_t state = 12345;
    for (size_t i = 0; i < sizeof(bodies) && bodies[ORACLE_BODY_PLACES] == 0; i++) {
        state = state * 1664525 + 1013904223;
        bodies[i] = (uint8_t)(state >> 24) | 1;
    }
}

void oracle_begin(struct cmds_sim *sim, const struct scenario *scenario)
{
    memset(oracle_commands, 0, (oracle.command_count + 1) * sizeof(oracle_commands[0]));
    memset(oracle_groups, 0, (oracle.group_count + 1) * sizeof(oracle_groups[0]));
    memset(oracle_lives, 0, (oracle.life_count + 1) * sizeof(oracle_lives[0]));
    memset(oracle_links, 0, (oracle.link_count + 1) * sizeof(oracle_links[0]));
    memset(oracle_servers, 0, sizeof(oracle_servers));
    memset(oracle_client_lives, 0, sizeof(oracle_client_lives));
    memset(&oracle, 0, sizeof(oracle));
    oracle.sim = sim;
    oracle.scenario = scenario;
    /* Number 0 is nobody. */
    oracle.command_count = oracle.group_count = oracle.life_count = oracle.link_count = 1;
    oracle_fill_bodies();
}

bool oracle_fail(const char *format, ...)
{
    va_list arguments;
    if (!oracle.has_failed) {
        oracle.has_failed = true;
        va_start(arguments, format);
        (void)vsnprintf(oracle.failure, sizeof(oracle.failure), format, arguments);
        va_end(arguments);
        if (!oracle.is_over) {
            cmds_sim_fail(oracle.sim, "%s", oracle.failure);
        }
    }
    return false;
}

uint64_t oracle_now_ns(void)
{
    return cmds_sim_now_ns(oracle.sim);
}

uint32_t oracle_below(uint32_t bound)
{
    return bound <= 1 ? 0 : (uint32_t)(cmds_sim_random(oracle.sim) % bound);
}

bool oracle_chance(uint32_t n)
{
    return oracle_below(n) == 0;
}

struct cmds_bytes oracle_body(uint64_t id, uint32_t index, uint32_t size)
{
    uint64_t place = (id * 2654435761u + index * 40503u) % ORACLE_BODY_PLACES;
    return (struct cmds_bytes){
            size == 0 ? NULL : bodies + place, size < ORACLE_BODY_MAX ? size : ORACLE_BODY_MAX};
}

bool oracle_body_is(struct cmds_bytes body, uint64_t id, uint32_t index, uint32_t size)
{
    struct cmds_bytes expected = oracle_body(id, index, size);
    return body.size == expected.size &&
           (body.size == 0 || memcmp(body.data, expected.data, body.size) == 0);
}

/* --- Groups ------------------------------------------------------------------------------------- */

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
            .epoch = oracle_servers[server].epoch,
            .was_down = !oracle_servers[server].is_up,
    };
    memset(oracle_groups[number].states, CMDS_CONNECTION_CONNECTING, connections);
    return number;
}

bool oracle_may_lose(const struct oracle_group *group)
{
    const struct oracle_server *server = &oracle_servers[group->server];
    /* It does not say when it begins to end. */
    bool is_main =
            group->client == SCENARIO_NONE && oracle.scenario->servers[group->server].is_main;
    return !group->is_calm || group->was_down || server->epoch != group->epoch || is_main;
}

/* A connection that waits begins anew, or fails at once for want of an address. */
static bool oracle_may_follow(uint32_t before, uint32_t next)
{
    static const uint8_t follows[] = {
            [CMDS_CONNECTION_DOWN] = 0,
            [CMDS_CONNECTION_UP] = 1u << CMDS_CONNECTION_DOWN | 1u << CMDS_CONNECTION_WAITING,
            [CMDS_CONNECTION_WAITING] = 1u << CMDS_CONNECTION_DOWN | 1u << CMDS_CONNECTION_WAITING |
                                        1u << CMDS_CONNECTION_CONNECTING,
            [CMDS_CONNECTION_CONNECTING] = 1u << CMDS_CONNECTION_DOWN | 1u << CMDS_CONNECTION_UP |
                                           1u << CMDS_CONNECTION_WAITING,
    };
    return before < sizeof(follows) && next < sizeof(follows) &&
           (follows[before] & 1u << next) != 0;
}

/* It is not up any more, or not yet. */
static void oracle_check_cause(uint32_t number, uint32_t client, enum cmds_connection_state state,
        const struct cmds_error *cause)
{
    struct oracle_group *group = &oracle_groups[number];
    bool is_bad = state == CMDS_CONNECTION_WAITING || state == CMDS_CONNECTION_DOWN;
    if (state == CMDS_CONNECTION_DOWN) {
        group->causes[client] = cause->code;
    }
    if (is_bad && cause->code == CMDS_E_CLOSED && group->state == ORACLE_GROUP_OPEN) {
        (void)oracle_fail("group %u: state %u says closed, but it was not", number, state);
    } else if (is_bad && cause->code != CMDS_E_CLOSED && group->state == ORACLE_GROUP_OPEN &&
               !oracle_may_lose(group)) {
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
    } else if (!oracle_may_follow(group->states[client], state)) {
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

static bool oracle_is_paused(const struct oracle_group *group)
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

/* --- Commands ----------------------------------------------------------------------------------- */

struct oracle_command *oracle_command(uint64_t id)
{
    return &oracle_commands[id];
}

uint64_t oracle_command_id(uint64_t record)
{
    uint32_t first = oracle_commands[record].first;
    return first != 0 ? first : record;
}

uint64_t oracle_command_new(
        uint32_t group, enum oracle_type type, const struct talk_ask *plan, uint32_t deadline_ms)
{
    if (oracle.command_count == ORACLE_COMMANDS_MAX) {
        return 0;
    }
    uint64_t now_ns = oracle_now_ns();
    oracle_commands[oracle.command_count] = (struct oracle_command){
            .group = group,
            .type = (uint8_t)type,
            .state = ORACLE_SENDING,
            .how = plan->how,
            .count = plan->count,
            .delay_ms = plan->delay_ms,
            .size = plan->size,
            .body_size = (uint32_t)plan->body.size,
            .sent_ns = now_ns,
            .due_ns = deadline_ms == CMDS_NEVER ? UINT64_MAX
                                                : now_ns + (uint64_t)deadline_ms * 1000000,
    };
    if (type == ORACLE_WORK) {
        oracle_servers[oracle_groups[group].server].has_works = true;
    }
    return oracle.command_count++;
}

/* May there be no memory for it? */
static bool oracle_is_short(const struct oracle_group *group)
{
    const struct scenario *scenario = oracle.scenario;
    return (scenario->faults & (CMDS_SIM_MEMORY | CMDS_SIM_KERNEL)) != 0 ||
           group->client == SCENARIO_NONE || scenario->clients[group->client].memory_size_max != 0;
}

void oracle_command_sent(uint64_t id, int code)
{
    struct oracle_command *command = &oracle_commands[id];
    struct oracle_group *group = &oracle_groups[command->group];
    oracle.checks++;
    if (code == 0) {
        bool one_way = command->type == ORACLE_TELL;
        group->one_way += one_way;
        group->taken += !one_way;
        if (command->state == ORACLE_SENDING) {
            command->state = ORACLE_TAKEN;
            group->pending += !one_way;
            if (!one_way && group->state == ORACLE_GROUP_CLOSED) {
                (void)oracle_fail(
                        "command %llu was taken, and its group has closed without its end",
                        (unsigned long long)id);
            }
        }
        return;
    }
    if (command->state != ORACLE_SENDING || command->executions > 0 || command->received > 0) {
        (void)oracle_fail(
                "command %llu: the send returned %s, and it was executed %u times and has "
                "state %u",
                (unsigned long long)id, cmds_error_name(code), command->executions, command->state);
    }
    command->state = ORACLE_REFUSED;
    group->not_allowed += code == CMDS_E_NOT_ALLOWED;
    group->bad_sends += cmds_breaker_outcome_of(code) == CMDS_BREAKER_FAILURE;
    bool memory = oracle_is_short(group);
    bool fine = code == -ENOBUFS || code == CMDS_E_NOT_CONNECTED || code == CMDS_E_LIMIT ||
                (code == CMDS_E_CLOSED && group->state != ORACLE_GROUP_OPEN) ||
                (code == CMDS_E_NOT_ALLOWED && group->breaks) || (code == -ENOMEM && memory);
    if (code == CMDS_E_NOT_CONNECTED && !oracle_may_lose(group) &&
            group->state == ORACLE_GROUP_OPEN) {
        fine = false;
    }
    if (group->client == SCENARIO_NONE && (code == CMDS_E_GONE || code == CMDS_E_FINISHED)) {
        fine = true;
    }
    if (!fine) {
        (void)oracle_fail("command %llu of group %u: a send returned %d, %s",
                (unsigned long long)id, command->group, code, cmds_error_name(code));
    }
}

void oracle_command_forget(uint64_t id)
{
    oracle_commands[id].forgotten = true;
}

static void oracle_check_time(uint64_t id, const struct oracle_command *command, int code)
{
    const struct oracle_group *group = &oracle_groups[command->group];
    uint64_t now_ns = oracle_now_ns();
    if (command->due_ns == 0) {
        return;
    }
    if (command->due_ns == UINT64_MAX) {
        if (code == CMDS_E_TIMEOUT) {
            (void)oracle_fail(
                    "command %llu has no deadline, and timed out", (unsigned long long)id);
        }
        return;
    }
    if (code == CMDS_E_TIMEOUT && now_ns + group->early_ns < command->due_ns) {
        (void)oracle_fail("command %llu timed out %llu us early", (unsigned long long)id,
                (unsigned long long)((command->due_ns - now_ns) / 1000));
    }
    if (now_ns > command->due_ns + group->slack_ns) {
        (void)oracle_fail("command %llu ended with %s %llu us after its deadline",
                (unsigned long long)id, cmds_error_name(code),
                (unsigned long long)((now_ns - command->due_ns) / 1000));
    }
}

/*
 * A deadline is no excuse for a standstill: nothing disturbs the two, whatever is sent there is answered
 * at once or soon, and yet nothing has gone on for a second. Somebody sleeps who was not woken.
 */
static bool oracle_stands_still(const struct oracle_command *command)
{
    const struct oracle_group *group = &oracle_groups[command->group];
    if (group->client == SCENARIO_NONE || oracle_may_lose(group) || command->type != ORACLE_ASK ||
            command->has_failed || group->state != ORACLE_GROUP_OPEN || oracle_is_paused(group)) {
        return false;
    }
    const struct scenario_client *client = &oracle.scenario->clients[group->client];
    const uint32_t prompt = 1u << TALK_NOW | 1u << TALK_AGAIN | 1u << TALK_AFTER |
                            1u << TALK_SHARD | 1u << TALK_SOFT | 1u << TALK_REFUSED;
    uint64_t since_ns = group->heard_ns > command->sent_ns ? group->heard_ns : command->sent_ns;
    /* A large body may be under way for long, through small buffers. */
    return (client->hows & ~prompt) == 0 && !client->is_sleepy && client->memory_size_max == 0 &&
           client->size_max <= ORACLE_SMALL_MAX &&
           oracle.scenario->servers[group->server].memory_size_max == 0 &&
           oracle_now_ns() > since_ns + ORACLE_STILL_NS + (uint64_t)command->delay_ms * 1000000;
}

static void oracle_check_code(uint64_t id, const struct oracle_command *command, int code)
{
    struct oracle_group *group = &oracle_groups[command->group];
    bool short_memory = oracle_is_short(group);
    bool fine = code == 0;
    switch (code) {
    case CMDS_E_TIMEOUT:
        group->timeouts++;
        fine = !oracle_stands_still(command);
        break;
    case CMDS_E_NOT_SENT:
        group->not_sent++;
        fine = command->executions == 0 &&
               (oracle_may_lose(group) || group->state != ORACLE_GROUP_OPEN);
        break;
    case CMDS_E_LOST:
        fine = oracle_may_lose(group);
        break;
    case CMDS_E_CANCELLED:
        group->cancelled++;
        fine = command->forgotten || (group->client == SCENARIO_NONE && command->other != 0);
        break;
    case CMDS_E_CLOSED:
        group->closed++;
        fine = group->state != ORACLE_GROUP_OPEN;
        break;
    case CMDS_E_MORE_RESULTS:
        fine = group->is_sender && command->count > 1;
        break;
    case CMDS_E_NOT_CONNECTED:
        fine = group->is_sender && command->executions == 0;
        break;
    case -ENOBUFS:
    case -ENOMEM:
        fine = short_memory;
        break;
    case CMDS_E_LIMIT:
        fine = group->is_sender && command->executions == 0;
        break;
    case CMDS_E_NOT_ALLOWED:
        group->not_allowed++;
        fine = group->is_sender && group->breaks && command->executions == 0;
        break;
    default:
        break;
    }
    if (!fine) {
        (void)oracle_fail(
                "command %llu of group %u (client %d, server %u), executed %u times, ended "
                "with %s",
                (unsigned long long)id, command->group, (int)group->client, group->server,
                command->executions, cmds_error_name(code));
    }
}

void oracle_command_end(uint64_t id, int code)
{
    struct oracle_command *command = &oracle_commands[id];
    struct oracle_group *group = &oracle_groups[command->group];
    oracle.checks++;
    if (command->state != ORACLE_SENDING && command->state != ORACLE_TAKEN) {
        (void)oracle_fail("command %llu: an end, %s, in state %u (the first one was %s)",
                (unsigned long long)id, cmds_error_name(code), command->state,
                cmds_error_name(command->end));
        return;
    }
    oracle_check_time(id, command, code);
    oracle_check_code(id, command, code);
    group->bad += cmds_breaker_outcome_of(code) == CMDS_BREAKER_FAILURE;
    group->left += group->is_sender && (code == CMDS_E_CANCELLED || code == CMDS_E_MORE_RESULTS);
    group->heard_ns = code == 0 ? oracle_now_ns() : group->heard_ns;
    if (code == 0 && command->type != ORACLE_TELL && command->received != command->count) {
        (void)oracle_fail("command %llu: the last result came, %u of %u", (unsigned long long)id,
                command->received, command->count);
    }
    group->pending -= command->state == ORACLE_TAKEN;
    command->state = ORACLE_ENDED;
    command->end = code;
    command->ended_ns = oracle_now_ns();
    group->ended++;
    oracle.ended++;
}

/* A result that has a value: which one, and is it right? Returns: it was the last one. */
static bool oracle_check_value(
        uint64_t id, struct oracle_command *command, const struct cmds_result *result)
{
    oracle_groups[command->group].heard_ns = oracle_now_ns();
    const struct talk_part *part = talk_part_of(result);
    const struct talk_bit *bit = talk_bit_of(result);
    uint64_t got = part != NULL ? part->id : bit != NULL ? bit->id : 0;
    uint32_t index = part != NULL ? part->index : bit != NULL ? bit->index : 0;
    bool last = index + 1 == command->count;
    if (got != id) {
        return oracle_fail("command %llu got a result of command %llu", (unsigned long long)id,
                (unsigned long long)got);
    }
    if (index != command->received) {
        return oracle_fail("command %llu got result %u as number %u", (unsigned long long)id, index,
                command->received);
    }
    uint32_t again = command->second != 0 ? oracle_commands[command->second].tried : 0;
    if (command->executions == 0 || (index >= command->tried && index >= again)) {
        return oracle_fail(
                "command %llu got result %u that nobody sent", (unsigned long long)id, index);
    }
    if (!oracle_body_is(part != NULL ? part->body : bit->body, id, index, command->size)) {
        return oracle_fail("command %llu: the body of result %u is not what was sent",
                (unsigned long long)id, index);
    }
    if (result->last != last || (part == NULL && last) || (part != NULL && part->last != last)) {
        return oracle_fail("command %llu: result %u of %u, last: %d", (unsigned long long)id, index,
                command->count, result->last);
    }
    oracle_groups[command->group].good += command->received == 0;
    command->received++;
    oracle.result_count++;
    oracle_groups[command->group].results++;
    return last;
}

bool oracle_command_value(uint64_t id, const struct cmds_result *result)
{
    struct oracle_command *command = &oracle_commands[id];
    oracle.checks++;
    if (command->state != ORACLE_SENDING && command->state != ORACLE_TAKEN) {
        return oracle_fail(
                "command %llu: a result in state %u", (unsigned long long)id, command->state);
    }
    return oracle_check_value(id, command, result);
}

bool oracle_command_result(uint64_t id, const struct cmds_result *result)
{
    struct oracle_command *command = &oracle_commands[id];
    struct oracle_group *group = &oracle_groups[command->group];
    if (group->state == ORACLE_GROUP_CLOSED || group->state == ORACLE_GROUP_VOID) {
        return oracle_fail("command %llu: a callback after the end of group %u",
                (unsigned long long)id, command->group);
    }
    if (result->error == 0) {
        if (group->is_silent[result->client]) {
            return oracle_fail("command %llu: a result of connection %u, which is paused",
                    (unsigned long long)id, result->client);
        }
        if (!oracle_command_value(id, result)) {
            return false;
        }
        oracle_command_end(id, 0);
        return true;
    }
    if (!result->last || result->value != NULL || result->type != NULL || result->text == NULL ||
            result->text[0] == '\0') {
        return oracle_fail("command %llu: an error that is not whole, %s", (unsigned long long)id,
                cmds_error_name(result->error));
    }
    /* One that is sent again may be lost on another connection than the one that it ends on. */
    bool moves = command->type == ORACLE_FETCH && command->resends;
    if (result->error == CMDS_E_LOST && result->client < group->connections && !moves) {
        group->lost[result->client]++;
    }
    oracle_command_end(id, result->error);
    return true;
}

void oracle_unexpected(uint32_t number, const struct cmds_result *result)
{
    struct oracle_group *group = &oracle_groups[number];
    const struct talk_part *part = talk_part_of(result);
    const struct talk_bit *bit = talk_bit_of(result);
    uint64_t id = part != NULL ? part->id : bit != NULL ? bit->id : 0;
    group->unexpected++;
    oracle.checks++;
    if (group->state == ORACLE_GROUP_CLOSED || group->state == ORACLE_GROUP_VOID) {
        (void)oracle_fail("group %u: on_unexpected after its end", number);
        return;
    }
    if (id == 0 || id >= oracle.command_count || oracle_commands[id].group != number) {
        (void)oracle_fail(
                "group %u: an unexpected result of command %llu", number, (unsigned long long)id);
        return;
    }
    const struct oracle_command *command = &oracle_commands[id];
    bool over = command->state == ORACLE_ENDED &&
                (command->end == CMDS_E_TIMEOUT || command->end == CMDS_E_CANCELLED);
    if (!over && !command->forgotten && oracle_now_ns() + group->slack_ns < command->due_ns) {
        (void)oracle_fail("group %u: a result of command %llu is unexpected, in state %u with %s",
                number, (unsigned long long)id, command->state, cmds_error_name(command->end));
    }
}

uint64_t oracle_group_results(uint32_t number)
{
    return oracle_groups[number].results + oracle_groups[number].unexpected;
}

static void oracle_check_resent(
        uint32_t number, const struct cmds_group_counters *counters, bool is_quiet)
{
    const struct oracle_group *group = &oracle_groups[number];
    uint64_t resent = counters->commands_resent;
    bool may = group->resends && (oracle_may_lose(group) || !is_quiet);
    if ((resent > 0 && !may) || (resent < group->again && is_quiet)) {
        (void)oracle_fail("group %u: commands_resent is %llu, and %llu were executed twice", number,
                (unsigned long long)resent, (unsigned long long)group->again);
    }
}

void oracle_group_counters(uint32_t number, const struct cmds_group_counters *counters,
        uint64_t results, uint64_t not_allowed, bool is_quiet)
{
    const struct oracle_group *group = &oracle_groups[number];
    uint64_t taken = group->taken + group->one_way;
    oracle.checks++;
    uint64_t sent_max = taken + counters->commands_resent + SCENARIO_CONNECTIONS_MAX;
    if (counters->commands_sent > sent_max && !group->is_sender) {
        (void)oracle_fail("group %u: commands_sent is %llu, and %llu were taken", number,
                (unsigned long long)counters->commands_sent, (unsigned long long)taken);
    }
    oracle_check_resent(number, counters, is_quiet);
    if (counters->commands_not_allowed < not_allowed ||
            counters->commands_not_allowed > group->not_allowed + SCENARIO_CONNECTIONS_MAX) {
        (void)oracle_fail("group %u: commands_not_allowed is %llu, and %llu were not", number,
                (unsigned long long)counters->commands_not_allowed,
                (unsigned long long)group->not_allowed);
    }
    if (counters->results_received < results && !group->is_sender) {
        (void)oracle_fail("group %u: results_received is %llu, and %llu came", number,
                (unsigned long long)counters->results_received, (unsigned long long)results);
    }
    if (counters->connections > group->connections) {
        (void)oracle_fail("group %u: %llu connections of %u", number,
                (unsigned long long)counters->connections, group->connections);
    }
    if (!is_quiet || group->is_sender || oracle_may_lose(group)) {
        return;
    }
    bool all_sent = group->timeouts + group->cancelled + group->not_sent + group->closed == 0;
    /* Nothing is pending, and a one-way command may still wait for the output to leave. */
    if (all_sent && (counters->commands_sent > taken || counters->commands_sent < group->taken)) {
        (void)oracle_fail("group %u: commands_sent is %llu, not %llu", number,
                (unsigned long long)counters->commands_sent, (unsigned long long)taken);
    }
    if (all_sent && counters->results_received != results) {
        (void)oracle_fail("group %u: results_received is %llu, not %llu", number,
                (unsigned long long)counters->results_received, (unsigned long long)results);
    }
    if (counters->deadlines < group->timeouts ||
            counters->deadlines > group->timeouts + group->cancelled) {
        (void)oracle_fail("group %u: deadlines is %llu, and %llu timed out", number,
                (unsigned long long)counters->deadlines, (unsigned long long)group->timeouts);
    }
}

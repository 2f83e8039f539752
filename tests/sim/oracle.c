/* SPDX-License-Identifier: MIT */
/* What the clients say of commands and their ends. See oracle.h; of groups: oracle_group.c. */
#include "sim/oracle.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sim/oracle_inside.h"

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
    for (uint32_t i = 0; type == ORACLE_WORK && i < oracle.scenario->server_count; i++) {
        oracle_servers[i].has_works |= (oracle_groups[group].servers & 1u << i) != 0;
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
                (code == CMDS_E_NOT_ALLOWED && group->breaks) || (code == -ENOMEM && memory) ||
                (code == CMDS_E_TIMEOUT && group->is_sender); // It has waited for room.
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
    if (now_ns > command->due_ns + group->slack_ns + command->slept_ns) {
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
            (command->has_failed && !scenario_answers(oracle.scenario)) ||
            group->state != ORACLE_GROUP_OPEN || oracle_is_paused(group) || group->moves) {
        return false;
    }
    const struct scenario_client *client = &oracle.scenario->clients[group->client];
    /* What fails is answered by the library. */
    const uint32_t told = 1u << TALK_SOFT_ALONE | 1u << TALK_UNFINISHED | 1u << TALK_HARD;
    const uint32_t prompt = 1u << TALK_NOW | 1u << TALK_AGAIN | 1u << TALK_AFTER |
                            1u << TALK_SHARD | 1u << TALK_SOFT | 1u << TALK_REFUSED |
                            (scenario_answers(oracle.scenario) ? told : 0);
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
    case CMDS_E_REMOTE:
        fine = scenario_answers(oracle.scenario);
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

/*
 * The server has answered that it failed: with what its service returned, or with an end that the
 * library alone knows of.
 */
static void oracle_check_failed(
        uint64_t id, struct oracle_command *command, const struct cmds_result *result)
{
    const struct talk_oops *oops = talk_oops_of(result);
    struct oracle_group *group = &oracle_groups[command->group];
    if (oops == NULL || !result->last || result->error != 0 || oops->code >= 0 ||
            oops->text.size == 0 || command->type == ORACLE_TELL) {
        (void)oracle_fail("command %llu: an error result that is none", (unsigned long long)id);
        return;
    }
    // Sent again, it may have met another server, of which it has to be said.
    bool has_run = (command->executions > 0 || command->second != 0) && !command->resends;
    bool is_late = oops->code == CMDS_E_TIMEOUT;
    // Of the pool: it is full, has no thread, has no memory.
    bool is_full = oops->code == -ENOBUFS || oops->code == -EAGAIN || oops->code == -ENOMEM;
    bool has_failed = command->has_failed ||
                      (command->second != 0 && oracle_commands[command->second].has_failed);
    if (!has_failed && !is_late && (has_run || !is_full)) {
        (void)oracle_fail("command %llu, executed %u times, was answered with %s (%.*s)",
                (unsigned long long)id, command->executions, cmds_error_name((int)oops->code),
                CMDS_STRING_ARGS(oops->text));
    }
    group->heard_ns = oracle_now_ns();
    group->good += command->received == 0;
    group->results++;
    oracle.result_count++;
}

bool oracle_command_failed(uint64_t id, const struct cmds_result *result)
{
    struct oracle_command *command = &oracle_commands[id];
    oracle.checks++;
    if (command->state != ORACLE_SENDING && command->state != ORACLE_TAKEN) {
        return oracle_fail("command %llu: an error result in state %u", (unsigned long long)id,
                command->state);
    }
    oracle_check_failed(id, command, result);
    return true;
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
        if (result->is_error ? !oracle_command_failed(id, result)
                             : !oracle_command_value(id, result)) {
            return false;
        }
        oracle_command_end(id, result->is_error ? CMDS_E_REMOTE : 0);
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
    if (result->is_error) {
        return; // It says which code, and not of which command.
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

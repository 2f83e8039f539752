/* SPDX-License-Identifier: MIT */
/* What the servers say, the lives of both, and what has to be so at the end. See oracle.h. */
#include <errno.h>
#include <stdio.h>

#include "sim/oracle_inside.h"

// How long what a cancelled call had begun may take to end, and its connection to close.
#define ORACLE_SOON_NS   60000000u
#define ORACLE_CLOSED_NS 1000000000u

/* --- Lives ------------------------------------------------------------------------------------- */

struct oracle_life *oracle_life(uint32_t life)
{
    return &oracle_lives[life];
}

struct oracle_sums oracle_life_sums(uint32_t life)
{
    struct oracle_sums sums = {0};
    for (uint32_t i = 1; i < oracle.group_count; i++) {
        const struct oracle_group *group = &oracle_groups[i];
        if (group->life == life) {
            sums.good += group->good;
            sums.good_max += group->taken + group->one_way;
            /* A sender's wait may end before anything of it was sent. */
            sums.bad += group->is_sender ? 0 : group->bad + group->bad_sends;
            /* What a sender has forgotten may have been lost before its shard knew of that. */
            sums.bad_max += group->bad + group->bad_sends + group->left;
        }
    }
    return sums;
}

/* Its process was killed: what it had is gone, and nobody will be told. */
static void oracle_life_died(uint32_t number)
{
    struct oracle_life *life = &oracle_lives[number];
    life->is_dead = true;
    for (uint32_t i = 1; i < oracle.group_count; i++) {
        struct oracle_group *group = &oracle_groups[i];
        if (group->life == number && group->state != ORACLE_GROUP_CLOSED) {
            group->state = ORACLE_GROUP_VOID;
        }
    }
    for (uint32_t i = 1; i < oracle.link_count; i++) {
        if (oracle_links[i].life == number) {
            oracle_links[i].is_open = false;
        }
    }
    if (life->is_calm) {
        (void)oracle_fail("%s %u died, and nothing befell it",
                life->is_server ? "server" : "client", life->number);
    }
}

static void oracle_life_replace(bool is_server, uint32_t number, uint32_t life)
{
    uint32_t *place = is_server ? &oracle_servers[number].life : &oracle_client_lives[number];
    if (*place != 0 && !oracle_lives[*place].is_over) {
        oracle_life_died(*place);
    }
    *place = life;
    if (is_server) {
        oracle_servers[number].epoch++;
        oracle_servers[number].is_up = false;
    }
}

uint32_t oracle_life_begin(bool is_server, uint32_t number)
{
    if (oracle.life_count == ORACLE_LIVES_MAX) {
        (void)oracle_fail("the oracle: more than %u lives", ORACLE_LIVES_MAX);
        return 0;
    }
    uint32_t life = oracle.life_count++;
    bool is_calm = is_server ? scenario_server_is_calm(oracle.scenario, number)
                             : !oracle.scenario->clients[number].fragile;
    uint32_t unkind = (uint32_t)CMDS_SIM_ALL_FAULTS & ~(uint32_t)CMDS_SIM_WALL_CLOCK;
    is_calm = is_calm && (oracle.scenario->faults & unkind) == 0;
    oracle_lives[life] = (struct oracle_life){
            .number = number, .is_server = is_server, .is_calm = is_calm, .drain = 1};
    oracle_life_replace(is_server, number, life);
    return life;
}

void oracle_life_up(uint32_t number)
{
    oracle_servers[oracle_lives[number].number].is_up = true;
}

void oracle_life_ending(uint32_t number)
{
    struct oracle_life *life = &oracle_lives[number];
    if (life->is_server && !life->is_ending) {
        oracle_servers[life->number].epoch++;
        oracle_servers[life->number].is_up = false;
    }
    life->ending_ns = life->is_ending ? life->ending_ns : oracle_now_ns();
    life->is_ending = true;
}

void oracle_life_end(uint32_t number, int drain)
{
    struct oracle_life *life = &oracle_lives[number];
    oracle_life_ending(number);
    life->drain = drain;
    life->is_over = true;
    oracle.checks++;
    uint32_t *place = life->is_server ? &oracle_servers[life->number].life
                                      : &oracle_client_lives[life->number];
    if (*place == number) {
        *place = 0;
    }
    if (life->is_server && life->connects != life->disconnects + life->refusals) {
        (void)oracle_fail(
                "server %u: on_connect ran %llu times, on_disconnect %llu, %llu were refused",
                life->number, (unsigned long long)life->connects,
                (unsigned long long)life->disconnects, (unsigned long long)life->refusals);
    }
    if (life->is_server && life->kept != 0) {
        (void)oracle_fail("server %u: it is closed, and %llu calls are kept", life->number,
                (unsigned long long)life->kept);
    }
    if (life->is_server && life->ends != life->ends_due) {
        (void)oracle_fail("server %u: it is closed, and of %llu ends of calls %llu have run",
                life->number, (unsigned long long)life->ends_due, (unsigned long long)life->ends);
    }
}

/* --- Connections -------------------------------------------------------------------------------- */

uint32_t oracle_link_open(uint32_t life)
{
    if (oracle.link_count == ORACLE_LINKS_MAX) {
        (void)oracle_fail("the oracle: more than %u connections", ORACLE_LINKS_MAX);
        return 0;
    }
    uint32_t link = oracle.link_count++;
    oracle_links[link] = (struct oracle_link){.life = life, .is_open = true};
    oracle_lives[life].connects++;
    if (oracle_lives[life].is_over) {
        (void)oracle_fail("server %u: on_connect after its end", oracle_lives[life].number);
    }
    return link;
}

struct oracle_link *oracle_link(uint32_t link)
{
    return &oracle_links[link];
}

void oracle_link_refused(uint32_t link)
{
    oracle_links[link].is_open = false;
    oracle_links[link].is_refused = true;
    oracle_lives[oracle_links[link].life].refusals++;
}

void oracle_link_close(uint32_t link, const struct cmds_error *cause)
{
    struct oracle_life *life = &oracle_lives[oracle_links[link].life];
    oracle.checks++;
    if (link == 0 || !oracle_links[link].is_open) {
        (void)oracle_fail("server %u: on_disconnect of a connection that is not open (%u)",
                life->number, link);
        return;
    }
    if (cause == NULL || cause->code >= 0) {
        (void)oracle_fail("server %u: on_disconnect without a cause", life->number);
    }
    uint64_t cut_ns = oracle_links[link].cut_ns;
    if (life->is_calm && cut_ns != 0 && oracle_now_ns() > cut_ns + ORACLE_CLOSED_NS) {
        (void)oracle_fail("server %u: a call was cancelled before its time was over, and %llu us "
                          "before its connection ended",
                life->number, (unsigned long long)(oracle_now_ns() - cut_ns) / 1000);
    }
    oracle_links[link].is_open = false;
    life->disconnects++;
}

/* --- Calls -------------------------------------------------------------------------------------- */

static bool oracle_is_plan(const struct oracle_command *command, const struct talk_ask *value)
{
    return command->how == value->how && command->count == value->count &&
           command->delay_ms == value->delay_ms && command->size == value->size &&
           oracle_body_is(value->body, value->id, UINT32_MAX, command->body_size);
}

/* On its shard: link is 0 in the pool, where nobody may ask for it. */
static void oracle_exec_link(
        uint32_t link, const struct cmds_call *call, struct oracle_command *command)
{
    struct oracle_link *at = &oracle_links[link];
    const struct oracle_life *life = &oracle_lives[at->life];
    const struct scenario_server *plan = &oracle.scenario->servers[life->number];
    uint32_t bound = plan->in_flight_max != 0 ? plan->in_flight_max : 1024;
    uint64_t sequence = cmds_call_sequence(call);
    if (!at->is_open) {
        (void)oracle_fail("server %u: a command of a connection that is not open", life->number);
    }
    if (sequence <= at->last_sequence) {
        (void)oracle_fail("server %u: command %llu of a connection after command %llu",
                life->number, (unsigned long long)sequence, (unsigned long long)at->last_sequence);
    }
    at->last_sequence = sequence;
    at->live++;
    if (at->live > bound) {
        (void)oracle_fail("server %u: %u calls of a connection, and the bound is %u", life->number,
                at->live, bound);
    }
    command->link = link;
}

/* Is it there where the group's endpoints are, or were when it was sent? */
static void oracle_exec_place(uint64_t id, const struct oracle_command *command, uint32_t server)
{
    const struct oracle_group *group = &oracle_groups[command->group];
    uint32_t bit = 1u << server;
    bool is_late = command->sent_ns > group->unlisted_ns[server] + group->slack_ns;
    if ((group->servers & bit) == 0) {
        (void)oracle_fail("server %u: command %llu was for server %u", server,
                (unsigned long long)id, group->server);
    }
    if ((group->listed & bit) == 0 && is_late && !scenario_lies(oracle.scenario) &&
            (oracle.scenario->faults & CMDS_SIM_MEMORY) == 0) {
        (void)oracle_fail("server %u: command %llu was sent %llu us after it was no endpoint any "
                          "more",
                server, (unsigned long long)id,
                (unsigned long long)(command->sent_ns - group->unlisted_ns[server]) / 1000);
    }
}

/*
 * Only what may be lost without harm is sent twice, and only when it was. Returns: the record of this
 * execution.
 */
static struct oracle_command *oracle_exec_again(uint64_t id, uint32_t link)
{
    struct oracle_command *command = &oracle_commands[id];
    struct oracle_group *group = &oracle_groups[command->group];
    if (command->type != ORACLE_FETCH || !command->resends || command->executions > 2 ||
            oracle.command_count == ORACLE_COMMANDS_MAX) {
        (void)oracle_fail(
                "command %llu is executed %u times", (unsigned long long)id, command->executions);
        return command;
    }
    if (link != 0 && link == command->first_link) {
        (void)oracle_fail("command %llu came twice on one connection", (unsigned long long)id);
    }
    /* The older of the two may come last, from a connection that its client has given up. */
    if (!oracle_may_lose(group)) {
        (void)oracle_fail(
                "command %llu is executed again, and was not lost", (unsigned long long)id);
    }
    group->again++;
    command->second = oracle.command_count++;
    struct oracle_command *again = &oracle_commands[command->second];
    *again = (struct oracle_command){.group = command->group,
            .type = command->type,
            .state = ORACLE_VOID,
            .how = command->how,
            .count = command->count,
            .delay_ms = command->delay_ms,
            .size = command->size,
            .body_size = command->body_size,
            .executions = 1,
            .first = (uint32_t)id,
            .sent_ns = command->sent_ns};
    return again;
}

struct oracle_command *oracle_exec(uint32_t number, uint32_t link, struct cmds_call *call,
        enum oracle_type type, const struct talk_ask *value)
{
    struct oracle_life *life = &oracle_lives[number];
    oracle.checks++;
    if (value->id == 0 || value->id >= oracle.command_count ||
            oracle_commands[value->id].type != type) {
        (void)oracle_fail("server %u: command %llu was never sent", life->number,
                (unsigned long long)value->id);
        return NULL;
    }
    uint64_t record = cmds_call_round(call) > 0 ? (uintptr_t)cmds_call_context(call) : value->id;
    struct oracle_command *command = &oracle_commands[record];
    if (!oracle_is_plan(command, value)) {
        (void)oracle_fail("server %u: command %llu is not what was sent", life->number,
                (unsigned long long)value->id);
    }
    if (life->is_over) {
        (void)oracle_fail("server %u: a command after its end", life->number);
    }
    oracle_exec_place(value->id, command, life->number);
    if (cmds_call_round(call) > 0) {
        oracle_call_lives(command, "a round");
        life->rounds++;
        if (command->executions == 0 || command->life != number) {
            (void)oracle_fail("command %llu: round %llu without a first one",
                    (unsigned long long)value->id, (unsigned long long)cmds_call_round(call));
        }
        return command;
    }
    command->executions++;
    oracle_groups[command->group].heard_ns = oracle_now_ns();
    life->executions++;
    oracle.executed++;
    if (command->state == ORACLE_REFUSED ||
            (command->state == ORACLE_ENDED &&
                    (command->end == CMDS_E_NOT_SENT || command->end == CMDS_E_NOT_ALLOWED))) {
        (void)oracle_fail(
                "command %llu was not sent, and is executed", (unsigned long long)value->id);
    }
    if (command->executions > 1) {
        command = oracle_exec_again(value->id, link);
    }
    command->life = number;
    command->call = call;
    command->first_link = link;
    if (link != 0) {
        oracle_exec_link(link, call, command);
    }
    return command;
}

uint32_t oracle_send_begin(uint64_t id)
{
    struct oracle_command *command = &oracle_commands[id];
    oracle_call_lives(command, "a send");
    command->tried = command->sent + 1;
    if (command->tried == command->count) {
        oracle_call_over(command);
    }
    return command->sent;
}

void oracle_send_end(uint64_t id, int code)
{
    struct oracle_command *command = &oracle_commands[id];
    bool short_memory =
            (oracle.scenario->faults & (CMDS_SIM_MEMORY | CMDS_SIM_KERNEL)) != 0 ||
            oracle.scenario->servers[oracle_lives[command->life].number].memory_size_max;
    oracle.checks++;
    if (code == 0) {
        command->sent++;
        oracle_groups[command->group].heard_ns = oracle_now_ns();
        oracle_lives[command->life].results++;
        if (command->type == ORACLE_TELL) {
            (void)oracle_fail(
                    "command %llu is one-way, and a result was taken", (unsigned long long)id);
        }
    } else if (code != CMDS_E_GONE && code != -ENOBUFS && !(code == -ENOMEM && short_memory) &&
               !(code == CMDS_E_FINISHED && scenario_answers(oracle.scenario))) {
        (void)oracle_fail("command %llu: sending result %u returned %s", (unsigned long long)id,
                command->sent, cmds_error_name(code));
    }
}

void oracle_call_over(struct oracle_command *command)
{
    if (command->link != 0) {
        oracle_links[command->link].live--;
        command->link = 0;
    }
}

void oracle_end_due(struct oracle_command *command)
{
    oracle_call_lives(command, "an end that is asked for");
    command->ends_due++;
    oracle_lives[command->life].ends_due++;
}

void oracle_call_ended(struct oracle_command *command, uint8_t place)
{
    struct oracle_life *life = &oracle_lives[command->life];
    oracle.checks++;
    if (command->ends + place != command->ends_due) {
        (void)oracle_fail("server %u: end %u of a call runs as number %u of %u", life->number,
                place, command->ends + 1, command->ends_due);
    }
    if (command->is_kept || command->in_pool) {
        (void)oracle_fail("server %u: a call ends that the service %s", life->number,
                command->is_kept ? "keeps" : "runs in the pool");
    }
    command->ends++;
    life->ends++;
}

void oracle_call_lives(const struct oracle_command *command, const char *what)
{
    oracle.checks++;
    if (command->ends != 0) {
        (void)oracle_fail(
                "server %u: %s behind the end of a call", oracle_lives[command->life].number, what);
    }
}

void oracle_cancelled(struct oracle_command *command, bool in_time)
{
    struct oracle_life *life = &oracle_lives[command->life];
    oracle.checks++;
    oracle_call_lives(command, "on_cancel");
    if (command->in_pool) {
        (void)oracle_fail("server %u: on_cancel runs beside its function", life->number);
    }
    if (command->link != 0 && !in_time && oracle_links[command->link].cut_ns == 0) {
        oracle_links[command->link].cut_ns = oracle_now_ns();
    }
    if (command->is_cancelled) {
        (void)oracle_fail("server %u: a call is cancelled twice", life->number);
    }
    if (command->executions > 0 && command->sent == command->count &&
            command->type != ORACLE_TELL) {
        (void)oracle_fail(
                "server %u: a call is cancelled that has had its last result", life->number);
    }
    command->is_cancelled = true;
    command->cancelled_ns = oracle_now_ns();
    life->cancels++;
}

void oracle_let_go(const struct oracle_command *command, const char *what)
{
    const struct oracle_life *life = &oracle_lives[command->life];
    oracle.checks++;
    if (life->is_calm && command->cancelled_ns != 0 &&
            oracle_now_ns() > command->cancelled_ns + ORACLE_SOON_NS) {
        (void)oracle_fail("server %u: a call was cancelled %llu us ago, and its %s ends now",
                life->number, (unsigned long long)(oracle_now_ns() - command->cancelled_ns) / 1000,
                what);
    }
}

void oracle_server_counters(uint32_t number, const struct cmds_server_counters *counters)
{
    const struct oracle_life *life = &oracle_lives[number];
    const struct scenario_server *plan = &oracle.scenario->servers[life->number];
    /* Calls that wait for the pool may end with their connection. */
    bool exact =
            life->is_calm && !oracle_servers[life->number].has_works && plan->memory_size_max == 0;
    oracle.checks++;
    if (counters->commands_received < life->executions ||
            (exact && counters->commands_received != life->executions + life->failures)) {
        (void)oracle_fail(
                "server %u: commands_received is %llu, and %llu were executed, %llu were not",
                life->number, (unsigned long long)counters->commands_received,
                (unsigned long long)life->executions, (unsigned long long)life->failures);
    }
    /* What another thread has queued is lost with its connection, and not counted. */
    uint64_t answers =
            scenario_answers(oracle.scenario)
                    ? counters->exec_errors + counters->exec_timeouts + counters->out_of_memory
                    : 0; // Error results, at most.
    if (counters->results_sent > life->results + answers) {
        (void)oracle_fail("server %u: results_sent is %llu, and %llu were", life->number,
                (unsigned long long)counters->results_sent, (unsigned long long)life->results);
    }
    if (counters->connections_accepted < life->connects) {
        (void)oracle_fail("server %u: connections_accepted is %llu, and %llu connected",
                life->number, (unsigned long long)counters->connections_accepted,
                (unsigned long long)life->connects);
    }
    if (counters->exec_closes > counters->exec_errors ||
            (counters->exec_closes > 0 && scenario_answers(oracle.scenario))) {
        (void)oracle_fail("server %u: exec_closes is %llu, and %llu calls failed", life->number,
                (unsigned long long)counters->exec_closes,
                (unsigned long long)counters->exec_errors);
    }
    if (plan->connection_count_max != 0 && counters->connections > plan->connection_count_max) {
        (void)oracle_fail("server %u: %llu connections of %u", life->number,
                (unsigned long long)counters->connections, plan->connection_count_max);
    }
}

/* --- The end ------------------------------------------------------------------------------------ */

/*
 * A server that drained says that nothing was lost, and nothing came between. What has not been read when
 * linger_timeout_ms is over may be lost all the same: the connection is cut off.
 */
static void oracle_check_drained(uint64_t id, const struct oracle_command *command)
{
    const struct oracle_group *group = &oracle_groups[command->group];
    const struct oracle_life *life = &oracle_lives[command->life];
    uint32_t linger_ms = oracle.scenario->servers[life->number].linger_ms;
    uint64_t linger_ns = (linger_ms != 0 ? linger_ms : 2000) * 1000000ull;
    if (command->ended_ns >= life->ending_ns + linger_ns) {
        return;
    }
    if (command->state == ORACLE_ENDED && command->end == CMDS_E_LOST && command->executions == 1 &&
            command->sent == command->count && group->is_calm && life->is_over &&
            life->drain == 0) {
        (void)oracle_fail("command %llu was answered, server %u has drained, and it was lost",
                (unsigned long long)id, life->number);
    }
}

void oracle_finish(void)
{
    oracle.is_over = true;
    for (uint32_t i = 1; i < oracle.life_count; i++) {
        /* One that was killed last has nobody to say so. */
        if (!oracle_lives[i].is_over && oracle_lives[i].is_calm) {
            (void)oracle_fail("%s %u has not ended",
                    oracle_lives[i].is_server ? "server" : "client", oracle_lives[i].number);
        }
    }
    for (uint32_t i = 1; i < oracle.group_count; i++) {
        if (oracle_lives[oracle_groups[i].life].is_over &&
                oracle_groups[i].state != ORACLE_GROUP_CLOSED &&
                oracle_groups[i].state != ORACLE_GROUP_VOID) {
            (void)oracle_fail("group %u has not closed", i);
        }
    }
    for (uint64_t id = 1; id < oracle.command_count; id++) {
        const struct oracle_command *command = &oracle_commands[id];
        bool is_over = command->state == ORACLE_ENDED || command->state == ORACLE_REFUSED ||
                       command->first != 0 || command->type == ORACLE_TELL ||
                       oracle_groups[command->group].state == ORACLE_GROUP_VOID ||
                       !oracle_lives[oracle_groups[command->group].life].is_over;
        if (!is_over) {
            (void)oracle_fail("command %llu has no end", (unsigned long long)id);
        }
        oracle_check_drained(id, command);
    }
}

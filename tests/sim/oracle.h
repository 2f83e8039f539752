/* SPDX-License-Identifier: MIT */
/*
 * Who knows everything: what was sent by whom, what was executed where, what came back. Each party of
 * the world says here what it does and sees, and whatever contradicts the contracts of the public headers
 * fails the run.
 *
 * All of it lies in static memory, so it survives the processes that it is about. It calls nothing of
 * the library and waits for nobody, so it changes no schedule.
 */
#ifndef CMDI_TESTS_SIM_ORACLE_H
#define CMDI_TESTS_SIM_ORACLE_H

#include <cmdstream/cmdstream.h>

#include "sim/scenario.h"
#include "sim/talk.h"

enum {
    ORACLE_COMMANDS_MAX = 1u << 19,
    ORACLE_GROUPS_MAX = 16384,
    ORACLE_LIVES_MAX = 8192,
    ORACLE_LINKS_MAX = 1u << 17,
    ORACLE_BODY_MAX = 1u << 20,
    ORACLE_BODY_PLACES = 65521,
    ORACLE_DOWN_MAX = 2 * SCENARIO_CONNECTIONS_MAX,
};

enum oracle_type {
    ORACLE_ASK,
    ORACLE_WORK,
    ORACLE_FETCH,
    ORACLE_TELL,
};
enum oracle_state {
    ORACLE_SENDING, // Inside of a send: a callback may be earlier than its return.
    ORACLE_TAKEN,   // The send returned 0.
    ORACLE_REFUSED, // It did not: nothing may come of it.
    ORACLE_ENDED,
    ORACLE_VOID, // Its process died, and nobody will hear of it.
};

struct oracle_command {
    uint32_t group;
    uint8_t type, state;
    bool forgotten;    // Somebody has asked for that.
    bool is_cancelled; // At the server.
    bool has_failed;   // There, and its service does not answer it: the library may.
    bool in_pool;      // A thread of the server's pool runs its function.
    uint8_t ends_due;  // Of its call: asked for, ...
    uint8_t ends;      // ... and run.
    bool resends;      // It may be sent again.
    uint32_t how, count, delay_ms, size, body_size;
    uint32_t executions, life; // How often, and the first time by whom.
    // Its second execution is a record of its own, beside what the first one still does.
    uint32_t first, second;
    uint32_t first_link;  // Of its first execution, also when that is over.
    uint32_t tried, sent; // Results: given to the library by the server, and taken by it.
    uint32_t received;
    int32_t end;
    uint64_t sent_ns, due_ns, ended_ns; // due_ns: UINT64_MAX: never; 0: not known.
    uint64_t slept_ns; // Its reader, between two results that may have come in time.
    /* The server's own. */
    struct cmds_call *call;
    uint32_t link, next;
    uint32_t other;          // The one that it is forwarded for, or as which it is forwarded.
    bool is_kept, is_copied; // With its command.
    uint64_t cancelled_ns;   // Its on_cancel ran; 0: it did not, or has none.
    int forward_shard;       // On which it was forwarded: the call's own.
    uint64_t traced;         // The number in the context that goes with it; 0: none does.
};

enum oracle_group_state {
    ORACLE_GROUP_OPEN,
    ORACLE_GROUP_CLOSING,
    ORACLE_GROUP_CLOSED,
    ORACLE_GROUP_VOID,
};
/** From one open to its on_closed. */
struct oracle_group {
    uint32_t life, server, client; // client: SCENARIO_NONE: a server's own, to another one.
    uint32_t connections;
    uint32_t servers;                           // Bits: where its commands may go.
    uint32_t listed;                            // Of these, its endpoints now,
    uint32_t changes;                           // which were others before,
    uint64_t unlisted_ns[SCENARIO_SERVERS_MAX]; // until then.
    uint32_t epochs[SCENARIO_SERVERS_MAX];      // Of its servers, when it was opened.
    uint8_t state;
    bool is_calm, is_sender, was_down;
    bool resends;                             // Some of its commands do.
    bool moves;                               // It may be given other endpoints.
    bool breaks;                              // It has a breaker, which may open.
    uint8_t states[SCENARIO_CONNECTIONS_MAX]; // enum cmds_connection_state, told last.
    uint8_t down[SCENARIO_CONNECTIONS_MAX];
    uint32_t up[SCENARIO_CONNECTIONS_MAX], waits[SCENARIO_CONNECTIONS_MAX];
    int32_t causes[SCENARIO_CONNECTIONS_MAX];
    uint32_t lost[SCENARIO_CONNECTIONS_MAX];
    uint32_t pauses[SCENARIO_CONNECTIONS_MAX];
    // Paused in a callback of its own, and not resumed since.
    bool is_silent[SCENARIO_CONNECTIONS_MAX];
    uint64_t paused_ns;                         // When one was paused, or resumed, last.
    uint64_t pending;                           // Taken, and without an end.
    uint64_t again;                             // Commands that were executed twice.
    uint64_t good, bad, bad_sends, not_allowed; // To a breaker: see struct oracle_sums.
    uint64_t left; // Commands of a sender that it forgot after a result.
    uint64_t taken, one_way, ended, results, unexpected, timeouts, cancelled, not_sent, closed;
    uint64_t slack_ns, early_ns; // How late an end may be; how early, for a deadline.
    uint64_t heard_ns;           // When something of a command of it last went on, at either side.
};

/** One start of a server, or one of a client's process. */
struct oracle_life {
    uint32_t number;
    bool is_server, is_calm, is_over, is_dead, is_ending;
    uint64_t ending_ns; // When it began to end.
    int32_t drain;      // What the shutdown returned; 1: there was none.
    uint64_t executions, results, connects, disconnects, refusals, rounds, cancels, failures;
    uint64_t ends_due, ends; // Of calls: asked for, and run.
    uint64_t kept;           // Calls whose reference is held now.
};

/** A connection, as a server sees it. */
struct oracle_link {
    uint32_t life;
    bool is_open, is_refused;
    uint32_t live;   // Calls whose last result was not given to the library.
    uint32_t nevers; // Calls that are kept until they are cancelled, since it began.
    uint64_t cut_ns; // A call was cancelled before its time: its end follows. 0: none was.
    uint64_t last_sequence;
};

struct oracle {
    struct cmds_sim *sim;
    const struct scenario *scenario;
    bool has_failed, is_over;
    char failure[512];
    uint32_t command_count, group_count, life_count, link_count;
    uint64_t ended, executed, result_count;
    uint64_t checks; // For a summary: how many facts were held against a contract.
};
extern struct oracle oracle;

void oracle_begin(struct cmds_sim *sim, const struct scenario *scenario);
/** After the run: what has to be so by now. */
void oracle_finish(void);
/** The first one is kept. printf. Returns: false. */
bool oracle_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
uint64_t oracle_now_ns(void);
/** 0..bound-1, by the seed. */
uint32_t oracle_below(uint32_t bound);
/** One in `n`. */
bool oracle_chance(uint32_t n);

/* --- Bodies: what the bytes of a command or of one of its results are -------------------------- */

struct cmds_bytes oracle_body(uint64_t id, uint32_t index, uint32_t size);
bool oracle_body_is(struct cmds_bytes body, uint64_t id, uint32_t index, uint32_t size);

/* --- Lives ------------------------------------------------------------------------------------- */

/** The one before, of the same process, has died if it did not end. Returns: its number. */
uint32_t oracle_life_begin(bool is_server, uint32_t number);
/** A server: it accepts. */
void oracle_life_up(uint32_t life);
void oracle_life_ending(uint32_t life);
/** All is closed. `drain` as in struct oracle_life. */
void oracle_life_end(uint32_t life, int drain);
struct oracle_life *oracle_life(uint32_t life);
/** What a breaker of all groups of a life has to have seen: at least, and at most. */
struct oracle_sums {
    uint64_t good, good_max, bad, bad_max;
};
struct oracle_sums oracle_life_sums(uint32_t life);

/* --- Clients ----------------------------------------------------------------------------------- */

/** `client` SCENARIO_NONE: a server's. */
uint32_t oracle_group_open(uint32_t life, uint32_t client, uint32_t server, uint32_t connections);
struct oracle_group *oracle_group(uint32_t group);
void oracle_group_state(uint32_t group, uint32_t client, enum cmds_connection_state state,
        const struct cmds_error *cause);
/** A connection is paused: `in_result`: in a callback of it, so no result may follow. */
void oracle_group_paused(uint32_t group, uint32_t client, bool in_result);
/** Before it is resumed. */
void oracle_group_resumes(uint32_t group, uint32_t client);
/** Its endpoints are about to be these, bits by server; and are. */
void oracle_group_lists(uint32_t group, uint32_t servers);
void oracle_group_listed(uint32_t group, uint32_t servers);
/** Nothing disturbs it: no connection of it may be lost. */
bool oracle_group_is_calm(uint32_t group);
void oracle_group_closing(uint32_t group);
void oracle_group_closed(uint32_t group);
/** It did not come into being. */
void oracle_group_never(uint32_t group);
/** Nor did the sender, for this reason. */
void oracle_sender_refused(uint32_t group, int code, const struct cmds_error *error);

/** One that is about to be sent. The values are of the caller's choice. Returns: its id; 0: no room. */
uint64_t oracle_command_new(
        uint32_t group, enum oracle_type type, const struct talk_ask *plan, uint32_t deadline_ms);
struct oracle_command *oracle_command(uint64_t id);
/** What its sender and its results call it: another number if it is a second execution. */
uint64_t oracle_command_id(uint64_t record);
/** What its send returned. */
void oracle_command_sent(uint64_t id, int code);
/** A callback with it. Returns: it was the end. */
bool oracle_command_result(uint64_t id, const struct cmds_result *result);
/** A result or an end that a blocking call gave. */
bool oracle_command_value(uint64_t id, const struct cmds_result *result);
/** An error result, before the end that it is. */
bool oracle_command_failed(uint64_t id, const struct cmds_result *result);
void oracle_command_end(uint64_t id, int code);
void oracle_command_forget(uint64_t id);
void oracle_unexpected(uint32_t group, const struct cmds_result *result);
/** Results, unexpected ones included, that have come so far. */
uint64_t oracle_group_results(uint32_t group);
/** `results` and `not_allowed`: before the counters were read. */
void oracle_group_counters(uint32_t group, const struct cmds_group_counters *counters,
        uint64_t results, uint64_t not_allowed, bool is_quiet);

/* --- Servers ----------------------------------------------------------------------------------- */

uint32_t oracle_link_open(uint32_t life);
struct oracle_link *oracle_link(uint32_t link);
void oracle_link_refused(uint32_t link);
void oracle_link_close(uint32_t link, const struct cmds_error *cause);
/**
 * The exec function begins, for the first time or again: then the call's context is the record's number.
 * Returns: NULL: it is not to go on.
 */
struct oracle_command *oracle_exec(uint32_t life, uint32_t link, struct cmds_call *call,
        enum oracle_type type, const struct talk_ask *value);
/** Before a result is given to the library, and what that returned. Returns: its index. */
uint32_t oracle_send_begin(uint64_t id);
void oracle_send_end(uint64_t id, int code);
/** The call takes no part in the bound of its connection any more. */
void oracle_call_over(struct oracle_command *command);
/** Its on_cancel runs. `in_time`: what the call had as its time is over. */
void oracle_cancelled(struct oracle_command *command, bool in_time);
/** Its call is to have another end. */
void oracle_end_due(struct oracle_command *command);
/** One of them runs: they were asked for in order, and this one is `place`, from 1. */
void oracle_call_ended(struct oracle_command *command, uint8_t place);
/** Something of its call runs, or its call is used. */
void oracle_call_lives(const struct oracle_command *command, const char *what);
/** The service is told of the end of what a cancelled call had begun: that has to be soon. */
void oracle_let_go(const struct oracle_command *command, const char *what);
void oracle_server_counters(uint32_t life, const struct cmds_server_counters *counters);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The protocol of the simulated services. A command says what the server has to do with it, and carries
 * the number under which the oracle knows it; each result carries that number, and its place.
 */
#ifndef CMDI_TESTS_SIM_TALK_H
#define CMDI_TESTS_SIM_TALK_H

#include <cmdstream/schema.h>

/** How a command is executed: struct talk_ask.how. */
enum talk_how {
    TALK_NOW,        // All results, then 0.
    TALK_AGAIN,      // A few results in each round.
    TALK_AFTER,      // Kept; a timer sends one result each time.
    TALK_FOREIGN,    // Kept; a thread of the server's program answers.
    TALK_SHARD,      // Kept; another shard answers.
    TALK_FORWARD,    // Another server answers.
    TALK_SOFT,       // All results but the last, then an error; on_exec_error sends the last one.
    TALK_SOFT_ALONE, // The same, and nobody sends the last one.
    TALK_UNFINISHED, // The same, but for the error.
    TALK_REFUSED,    // An invoker refuses it, and on_exec_error answers.
    TALK_NEVER,      // Kept until it is cancelled.
    TALK_HARD,       // An error of the application: the connection is closed.
    TALK_CLOSE,      // It closes its connection.
    TALK_HOW_COUNT,
};

struct talk_ask {
    uint64_t id;
    uint32_t how, count; // Results, the last one included.
    uint32_t delay_ms;   // Of each result.
    uint32_t size;       // Of each result's body.
    struct cmds_bytes body;
};
/** For the pool: it sleeps so long. */
struct talk_work {
    uint64_t id;
    uint32_t how, count, delay_ms, size;
    struct cmds_bytes body;
};
/** Without an answer. */
struct talk_tell {
    uint64_t id;
    uint32_t how, count, delay_ms, size;
    struct cmds_bytes body;
};
/** As talk_ask; it may be executed twice. */
struct talk_fetch {
    uint64_t id;
    uint32_t how, count, delay_ms, size;
    struct cmds_bytes body;
};
CMDS_COMMAND(talk_ask, 0, id, how, count, delay_ms, size, body);
CMDS_COMMAND(talk_work, 1, id, how, count, delay_ms, size, body);
CMDS_COMMAND_IDEMPOTENT(talk_fetch, 2, id, how, count, delay_ms, size, body);
CMDS_COMMAND_ONE_WAY(talk_tell, 300, id, how, count, delay_ms, size, body);
CMDS_TRACED(talk_ask_traced, 20, talk_ask);
CMDS_TRACED(talk_work_traced, 21, talk_work);
CMDS_TRACED(talk_fetch_traced, 22, talk_fetch);
CMDS_TRACED(talk_tell_traced, 301, talk_tell);

struct talk_part {
    uint64_t id;
    uint32_t index;
    bool last;
    uint8_t unused[3];
    struct cmds_bytes body;
};
/** One that is never the last. */
struct talk_bit {
    uint64_t id;
    uint32_t index;
    struct cmds_bytes body;
};
CMDS_RESULT(talk_part, 0, id, index, CMDS_LAST(last), unused, body);
CMDS_RESULT_NEVER_LAST(talk_bit, 9, id, index, body);

/** What a server that answers sends for a command that failed there; the library fills it in. */
struct talk_oops {
    int64_t code;
    struct cmds_string text;
};
CMDS_RESULT_ERROR(talk_oops, 11, code, text);

static const struct cmds_type *const talk_commands[] = {&talk_ask_type, &talk_work_type,
        &talk_fetch_type, &talk_tell_type, &talk_ask_traced_type, &talk_work_traced_type,
        &talk_fetch_traced_type, &talk_tell_traced_type};
static const struct cmds_type *const talk_results[] = {
        &talk_part_type, &talk_bit_type, &talk_oops_type};
static const struct cmds_protocol talk_protocol CMDS_UNUSED_ =
        CMDS_PROTOCOL("talk", talk_commands, talk_results);
/** Of servers that have no word for a failure. */
static const struct cmds_type *const talk_mute_results[] = {&talk_part_type, &talk_bit_type};
static const struct cmds_protocol talk_mute CMDS_UNUSED_ =
        CMDS_PROTOCOL("talk", talk_commands, talk_mute_results);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The stress protocol: what `cmdstream stress` speaks, and the stress programs in Go.
 *
 *     command                                     what the server does
 *     0 echo    seed number delay_ms text         one result 0: the same text, after so long
 *     1 stream  seed number delay_ms count size   `count` results 1, the final one last, spread over so long
 *     2 fail    number delay_ms                   the execution fails after so long, and this connection is closed
 *
 *     result
 *     0 echoed  number text                       always the last
 *     1 item    number index last text            the one with `last` set
 *
 * Both sides know each text from (seed, number): see generate.h. A server that gets another text does not
 * answer.
 */
#ifndef CMDSTREAM_TOOL_STRESS_PROTOCOL_H
#define CMDSTREAM_TOOL_STRESS_PROTOCOL_H

#include <cmdstream/cmdstream.h>

struct stress_echo {
    int64_t seed, number, delay_ms;
    struct cmds_string text;
};
struct stress_stream {
    int64_t seed, number, delay_ms, count, size;
};
struct stress_fail {
    int64_t number, delay_ms;
};
struct stress_echoed {
    int64_t number;
    struct cmds_string text;
};
struct stress_item {
    int64_t number, index;
    bool last;
    struct cmds_string text;
};

/* Each may be executed twice: the same answer comes. */
CMDS_COMMAND_IDEMPOTENT(stress_echo, 0, seed, number, delay_ms, text);
CMDS_COMMAND_IDEMPOTENT(stress_stream, 1, seed, number, delay_ms, count, size);
CMDS_COMMAND(stress_fail, 2, number, delay_ms);
CMDS_RESULT(stress_echoed, 0, number, text);
CMDS_RESULT(stress_item, 1, number, index, CMDS_LAST(last), text);

static const struct cmds_type *const stress_commands[] = {
        &stress_echo_type, &stress_stream_type, &stress_fail_type};
static const struct cmds_type *const stress_results[] = {&stress_echoed_type, &stress_item_type};
static const struct cmds_protocol stress_protocol CMDS_UNUSED_ =
        CMDS_PROTOCOL("stress", stress_commands, stress_results);

#endif

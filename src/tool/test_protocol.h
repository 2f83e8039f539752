/* SPDX-License-Identifier: MIT */
/*
 * The test protocol: a small service that every tool here serves and speaks, so that anything can
 * be driven from outside.
 *
 *     command                                      what the server does
 *     0 echo    bool int64 string float64          one result 0 with equal fields
 *     1 stream  count size                         `count` results 1, the final one last; 0: one with index -1
 *     2 sleep   ms, then the four of echo          one result 0 after so long; nothing else is held up
 *     3 fail                                       the execution fails, and this connection is closed
 *     4 work    us                                 burns CPU in the worker pool, then one result 0 of zeros
 *
 *     result
 *     0 echo    bool int64 string float64          always the last
 *     1 item    index last data                    the one with `last` set; byte i of data is 'a' + i % 26
 *
 * The printed name of a type is its struct tag without the part up to the first underscore.
 */
#ifndef CMDSTREAM_TOOL_TEST_PROTOCOL_H
#define CMDSTREAM_TOOL_TEST_PROTOCOL_H

#include <cmdstream/cmdstream.h>

struct command_echo {
    bool boolean;
    int64_t int64;
    struct cmds_string string;
    double float64;
};
struct command_stream {
    int64_t count, size;
};
struct command_sleep {
    int64_t ms;
    bool boolean;
    int64_t int64;
    struct cmds_string string;
    double float64;
};
struct command_work {
    int64_t us;
};
struct result_echo {
    bool boolean;
    int64_t int64;
    struct cmds_string string;
    double float64;
};
struct result_item {
    int64_t index;
    bool last;
    struct cmds_string data;
};

CMDS_COMMAND(command_echo, 0, CMDS_AS(boolean, "bool"), int64, string, float64);
CMDS_COMMAND(command_stream, 1, count, size);
CMDS_COMMAND(command_sleep, 2, ms, CMDS_AS(boolean, "bool"), int64, string, float64);
CMDS_COMMAND_EMPTY(command_fail, 3);
CMDS_COMMAND(command_work, 4, us);
CMDS_RESULT(result_echo, 0, CMDS_AS(boolean, "bool"), int64, string, float64);
CMDS_RESULT(result_item, 1, index, CMDS_LAST(last), data);

static const struct cmds_type *const test_commands[] = {&command_echo_type, &command_stream_type,
        &command_sleep_type, &command_fail_type, &command_work_type};
static const struct cmds_type *const test_results[] = {&result_echo_type, &result_item_type};
static const struct cmds_protocol test_protocol CMDS_UNUSED_ =
        CMDS_PROTOCOL("test", test_commands, test_results);

/** "echo" of the schema "command_echo". */
static inline const char *test_type_name(const struct cmds_type *type)
{
    const char *underscore = strchr(type->schema->name, '_');
    return underscore != NULL ? underscore + 1 : type->schema->name;
}

#endif

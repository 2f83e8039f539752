/* SPDX-License-Identifier: MIT */
/* What the checks share. See target.h. */
#include "target.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static char reason[300]; // Main thread.

void because_not(void)
{
    reason[0] = '\0';
}

const char *target_reason(void)
{
    return reason;
}

bool because(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof(reason), format, arguments);
    va_end(arguments);
    return false;
}

bool because_of(const char *what, int code, const struct cmds_error *error)
{
    return because("%s: %s: %s", what, cmds_error_name(code), error->text);
}

int target_open(const struct target *target, uint32_t clients, struct cmds_sender **sender,
        struct cmds_error *error)
{
    struct cmds_group_options group = CMDS_GROUP_OPTIONS_INIT(&test_protocol);
    group.server_info = target->server_info;
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&test_protocol);
    options.connect = target->address;
    options.codec = target->codec;
    options.client_count = clients;
    options.group = &group;
    options.tls = target->secure.tls;
    return cmds_sender_open(sender, &options, error);
}

struct cmds_sender *target_must_open(const struct target *target, uint32_t clients)
{
    struct cmds_sender *sender = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    int code = target_open(target, clients, &sender, &error);
    if (code < 0) {
        (void)because_of("connect", code, &error);
    }
    return sender;
}

bool echo_same(const struct command_echo *sent, const struct result_echo *got)
{
    return got != NULL && got->boolean == sent->boolean && got->int64 == sent->int64 &&
           cmds_string_equal(got->string, sent->string) &&
           memcmp(&got->float64, &sent->float64, sizeof(double)) == 0;
}

bool echo_once(
        struct cmds_sender *sender, const struct command_echo *echo, struct cmds_error *error)
{
    struct cmds_result *result = NULL;
    int code = cmds_sender_send(sender, command_echo_message(echo), ANSWER_MS, &result, error);
    bool same = code == 0 && echo_same(echo, result_echo_of(result));
    cmds_result_free(result);
    return same;
}

bool echo_check(struct cmds_sender *sender, const struct command_echo *echo)
{
    struct cmds_error error = CMDS_ERROR_INIT;
    return echo_once(sender, echo, &error) ||
           because("echo of %d, %lld, %zu bytes, %a: %s", echo->boolean, (long long)echo->int64,
                   echo->string.size, echo->float64,
                   error.code < 0 ? error.text : "another value came back");
}

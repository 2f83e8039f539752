/* SPDX-License-Identifier: MIT */
#ifndef VAULT_H
#define VAULT_H

#include <cmdstream/cmdstream.h>

struct vault_login {
    struct cmds_string secret;
};
struct vault_read {
    int32_t page;
};
CMDS_COMMAND(vault_login, 0, CMDS_MAX(secret, 64));
CMDS_COMMAND(vault_read, 1, page);
CMDS_COMMAND_EMPTY(vault_times, 2);

struct vault_text {
    struct cmds_string text;
};
struct vault_time { // One of these for each type of command.
    struct cmds_string type;
    int64_t calls;
    bool measured, last;
};
struct vault_error {
    int32_t code;
    struct cmds_string text;
};
CMDS_RESULT(vault_text, 0, text);
CMDS_RESULT(vault_time, 1, type, calls, measured, CMDS_LAST(last));
CMDS_RESULT_ERROR(vault_error, 2, code, text);

static const struct cmds_type *const vault_commands[] = {
        &vault_login_type, &vault_read_type, &vault_times_type};
static const struct cmds_type *const vault_results[] = {
        &vault_text_type, &vault_time_type, &vault_error_type};
static const struct cmds_protocol vault = CMDS_PROTOCOL("vault", vault_commands, vault_results);

#endif

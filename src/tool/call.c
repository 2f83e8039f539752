/* SPDX-License-Identifier: MIT */
/*
 * `cmdstream call`: one command from the shell, its results as JSON lines.
 *
 * A single-threaded sender: the calling thread turns the ring itself, so the program starts no
 * thread but the one that says, on a terminal, what it waits for.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common.h"
#include "json.h"
#include "rows.h"
#include "test_protocol.h"
#include "tls.h"
#include "wait.h"

enum {
    CALL_NOT_PRINTED = 1, // What ends a stream: tool_finish() says why.
    CALL_WAIT_SIZE = 320,
};

struct call_options {
    const char *codec, *server_info;
    uint32_t repeat, deadline_ms, max_frame;
    struct tool_tls tls;
};

static const struct tool_option call_rows[] = {
        TOOL_ROW_CODEC(call_options),
        TOOL_ROW_SERVER_INFO(call_options),
        TOOL_U32(call_options, "repeat", "N", repeat, 1, UINT32_MAX,
                "send it so often, one after the other (default 1)"),
        TOOL_U32(call_options, "deadline-ms", "N", deadline_ms, 1, UINT32_MAX,
                "for all results of one command, and to connect (default 5000; 4294967295: none)"),
        TOOL_ROW_MAX_FRAME(call_options),
        TOOL_ROWS_TLS_CLIENT(call_options),
};
static const struct tool_command call_command = {
        .usage = "call [OPTIONS] ADDRESS COMMAND [JSON]",
        .about = "Sends one command of the test protocol, prints each result as a line of JSON.\n"
                 "Members that are left out are zero.\n\n"
                 "  echo    "
                 "{\"bool\":false,\"int64\":0,\"string\":\"\",\"float64\":0}  the same back\n"
                 "  stream  "
                 "{\"count\":3,\"size\":8}                              so many results of so many "
                 "bytes\n"
                 "  sleep   "
                 "{\"ms\":100} and the four of echo                   the same back, later\n"
                 "  fail    "
                 "{}                                                closes the connection\n"
                 "  work    "
                 "{\"us\":1000}                                       burns CPU in the pool\n",
        .notes = "ADDRESS is HOST:PORT, [::1]:PORT, unix:PATH or unix:@NAME.\n\n"
                 "  $ cmdstream call 127.0.0.1:9000 echo '{\"string\":\"hi\",\"int64\":-5}'\n"
                 "  "
                 "{\"type\":\"echo\",\"bool\":false,\"int64\":-5,\"string\":\"hi\",\"float64\":0}"
                 "\n\n"
                 "Numbers are printed in the fewest digits that read back the same; \"NaN\", "
                 "\"Infinity\" and \"-Infinity\" are\n"
                 "what JSON has no number for. Control characters are escaped; a byte that is not "
                 "UTF-8 is shown as U+FFFD,\n"
                 "and stderr says so.\n\n"
                 "Exit status: 0; 1 the command failed, and stderr says why; 2 a bad argument.\n",
        .options = call_rows,
        .option_count = sizeof(call_rows) / sizeof(call_rows[0]),
        .positional_min = 2,
        .positional_max = 3,
};

static const struct cmds_type *call_type(const char *name)
{
    for (uint32_t i = 0; i < test_protocol.command_count; i++) {
        if (strcmp(test_type_name(test_protocol.commands[i]), name) == 0) {
            return test_protocol.commands[i];
        }
    }
    fprintf(stderr, "cmdstream call: no command \"%s\"; there are ", name);
    for (uint32_t i = 0; i < test_protocol.command_count; i++) {
        fprintf(stderr, "%s%s", i > 0 ? ", " : "", test_type_name(test_protocol.commands[i]));
    }
    fputc('\n', stderr);
    return NULL;
}

static int call_print(void *context, const struct cmds_result *result)
{
    tool_wait_end(context);
    const char *name = test_type_name(result->type);
    if (!tool_json_write(stdout, result->type->schema, name, result->value)) {
        fprintf(stderr, "cmdstream call: the string has bytes that are not UTF-8: each is shown as "
                        "U+FFFD\n");
    }
    fputc('\n', stdout);
    return tool_flush() == 0 ? 0 : CALL_NOT_PRINTED;
}

static int call_report(int code, const struct cmds_error *error)
{
    if (code != CALL_NOT_PRINTED) {
        fprintf(stderr, "cmdstream call: %s: %s\n", cmds_error_name(code),
                error->code < 0 ? error->text : cmds_error_text(code));
    }
    return TOOL_EXIT_FAILED;
}

struct call_target {
    const char *address;
    const struct cmds_codec *codec;
    struct cmds_bytes server_info;
    struct cmds_tls *tls; // NULL: plain.
};

/* Until the first result; call_print() ends the wait. */
static int call_send(struct cmds_sender *sender, const struct call_options *from,
        const char *address, struct cmds_message message, struct cmds_error *error)
{
    char text[CALL_WAIT_SIZE];
    struct tool_wait wait;
    snprintf(text, sizeof(text), "waiting for a result of %s from %.200s",
            test_type_name(message.type), address);
    tool_wait_begin(&wait, tool_wait_is_seen(), text, from->deadline_ms);
    int code = cmds_sender_send_multi(sender, message, from->deadline_ms, error, call_print, &wait);
    tool_wait_end(&wait);
    return code;
}

static int call_run(const struct call_options *from, const struct call_target *target,
        struct cmds_message message)
{
    struct cmds_group_options group = CMDS_GROUP_OPTIONS_INIT(&test_protocol);
    group.server_info = target->server_info;
    group.frame_size_max = from->max_frame;
    group.deadline_ms = from->deadline_ms;
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&test_protocol);
    options.connect = target->address;
    options.codec = target->codec;
    options.group = &group;
    options.connect_timeout_ms = from->deadline_ms;
    options.single_thread = true;
    options.tls = target->tls;

    struct cmds_sender *sender = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    char text[CALL_WAIT_SIZE];
    struct tool_wait wait;
    snprintf(text, sizeof(text), "connecting to %.200s", target->address);
    tool_wait_begin(&wait, tool_wait_is_seen(), text, from->deadline_ms);
    int code = cmds_sender_open(&sender, &options, &error);
    tool_wait_end(&wait);
    for (uint32_t i = 0; code == 0 && i < from->repeat; i++) {
        code = call_send(sender, from, target->address, message, &error);
    }
    int status = code == 0 ? TOOL_EXIT_OK : call_report(code, &error);
    cmds_sender_close(sender, 0);
    return status;
}

static json_t *call_parse(const char *text)
{
    json_error_t error;
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (json == NULL) {
        fprintf(stderr, "cmdstream call: not JSON at column %d: %s\n", error.column, error.text);
    }
    return json;
}

int tool_call(int argc, char **argv)
{
    struct call_options options = {.repeat = 1, .deadline_ms = 5000};
    struct tool_line line;
    int status = tool_options_parse(&call_command, argc, argv, &options, &line);
    if (status == TOOL_PARSED) {
        status = tool_tls_check_client(&call_command, "call", &line, &options.tls);
    }
    if (status != TOOL_PARSED) {
        return status;
    }
    int first = line.positional;
    struct call_target target = {.address = argv[first]};
    target.codec = tool_codec_find("call", options.codec);
    const struct cmds_type *type = call_type(argv[first + 1]);
    if (target.codec == NULL || type == NULL ||
            !tool_server_info("call", options.server_info, &target.server_info)) {
        return TOOL_EXIT_USAGE;
    }
    json_t *json = call_parse(first + 2 < argc ? argv[first + 2] : "{}");
    if (json == NULL) {
        return TOOL_EXIT_USAGE;
    }
    union {
        struct command_echo echo;
        struct command_stream stream;
        struct command_sleep sleep;
        struct command_fail fail;
        struct command_work work;
    } value = {0};
    char text[TOOL_JSON_TEXT_SIZE];
    if (tool_json_to_value(type->schema, test_type_name(type), json, &value, text) < 0) {
        fprintf(stderr, "cmdstream call: %s\n", text);
        status = TOOL_EXIT_USAGE;
    } else {
        struct cmds_error error = CMDS_ERROR_INIT;
        int code = tool_tls_make_client(&target.tls, &options.tls, &error);
        status = code < 0 ? call_report(code, &error)
                          : call_run(&options, &target, (struct cmds_message){type, &value});
        tool_tls_free(target.tls);
    }
    json_decref(json);
    return status;
}

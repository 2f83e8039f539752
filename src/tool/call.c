/* SPDX-License-Identifier: MIT */
/*
 * `call`: commands from the shell, one or one for each line of standard input; results as JSON lines.
 *
 * The calling thread turns the ring itself, so the program starts no thread but the one that says, on a
 * terminal, what it waits for. Commands are sent one after the other, or so many at once: lanes, each of
 * which has one in flight.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "common.h"
#include "json.h"
#include "lines.h"
#include "program.h"
#include "rows.h"
#include "tls.h"
#include "types.h"
#include "wait.h"

enum {
    CALL_WAIT_SIZE = 320,
    CALL_IN_FLIGHT_MAX = 1024,
    CALL_DEADLINE_MS = 5000,
    CALL_TURN_US = 100000,
};

struct call_options {
    const char *codec, *server_info;
    uint32_t repeat, deadline_ms, timeout_ms, count, in_flight, max_frame;
    struct tool_tls tls;
};

static const struct tool_option call_rows[] = {
        TOOL_ROW_CODEC(call_options),
        TOOL_ROW_SERVER_INFO(call_options),
        TOOL_U32(call_options, "repeat", "N", repeat, 1, UINT32_MAX,
                "send it so often, one after the other (default 1)"),
        TOOL_U32(call_options, "in-flight", "N", in_flight, 1, CALL_IN_FLIGHT_MAX,
                "so many commands at once; results have the number of their line (default 1)"),
        TOOL_U32(call_options, "deadline-ms", "N", deadline_ms, 1, UINT32_MAX,
                "for all results of one command, and to connect (default 5000; 4294967295: none)"),
        TOOL_U32(call_options, "count", "N", count, 1, UINT32_MAX,
                "so many results of one command are enough; then it has no deadline of its own"),
        TOOL_U32(call_options, "timeout-ms", "N", timeout_ms, 1, UINT32_MAX,
                "what came within so long is enough; then commands have no deadline of their own"),
        TOOL_ROW_MAX_FRAME(call_options),
        TOOL_ROWS_TLS_CLIENT(call_options),
};
static void call_list_types(FILE *out)
{
    if (cmdi_tool_program()->types != NULL) {
        fputs(cmdi_tool_program()->types, out);
        return;
    }
    cmdi_tool_types_list(out);
    fprintf(out, "\n`%s describe TYPE` has the fields.\n", cmdi_tool_name());
}

static const struct tool_command call_command = {
        .usage = "call [OPTIONS] ADDRESS TYPE [JSON]",
        .about = "Sends one command, prints each result as a line of JSON. Members that are left "
                 "out are "
                 "zero. JSON -\n"
                 "is standard input: each line is a command, blank ones are passed.\n\n",
        .more = call_list_types,
        .notes =
                "ADDRESS is HOST:PORT, [::1]:PORT, unix:PATH or unix:@NAME.\n\n"
                "Bytes are base64, as \"aGk=\", or an array of numbers. Numbers are printed in the "
                "fewest digits that read\n"
                "back the same; \"NaN\", \"Infinity\" and \"-Infinity\" are what JSON has no "
                "number "
                "for. Control characters are\n"
                "escaped; a byte that is not UTF-8 is shown as U+FFFD, and stderr says so.\n\n"
                "Lines are sent one after the other: the next when the last result has come. A "
                "line that is wrong, and a\n"
                "command that fails, is told on stderr with its number, and the next one "
                "follows.\n\n"
                "Exit status: 0; 1 a command failed, and stderr says why; 2 a bad argument.\n",
        .options = call_rows,
        .option_count = sizeof(call_rows) / sizeof(call_rows[0]),
        .positional_min = 2,
        .positional_max = 3,
};

/* One command in flight. */
struct call_lane {
    struct call *call;
    struct cmds_ticket ticket;
    uint64_t line; // Or how often it was sent.
    uint32_t results;
    bool busy;
    bool enough; // It was forgotten: its end is no failure.
};

struct call {
    struct call_options options;
    const char *address;
    const struct cmds_codec *codec;
    struct cmds_bytes server_info;
    struct cmds_tls *tls; // NULL: plain.
    const struct cmds_type *type;
    void *value; // Of the command that is sent next, or again and again.
    struct tool_memory memory;
    struct tool_lines lines;
    bool from_lines;
    bool pending; // `value` is a command that was not sent yet.

    struct cmds_runtime *runtime;
    struct cmds_group *group;
    struct call_lane *lanes;
    uint32_t busy;
    uint64_t sent, failed;
    uint64_t until_ns;    // Of --timeout-ms; 0: none.
    uint32_t deadline_ms; // Of a command.
    struct tool_wait wait;
    char wait_text[CALL_WAIT_SIZE];
    bool tried;    // The first attempt to connect is over.
    bool closed;   // The group is.
    bool finished; // No further command.
    bool broken;   // stdout does not take it.
};

/* --- What went wrong -------------------------------------------------------------------------- */

static void call_fail(struct call *call, uint64_t line, int code, const char *text)
{
    cmdi_tool_wait_end(&call->wait);
    call->failed++;
    if (call->from_lines) {
        cmdi_tool_complain(
                "call", "line %llu: %s: %s", (unsigned long long)line, cmds_error_name(code), text);
    } else {
        cmdi_tool_complain("call", "%s: %s", cmds_error_name(code), text);
        call->finished = true;
    }
}

static void call_stop(struct call *call)
{
    call->finished = true;
    for (uint32_t i = 0; i < call->options.in_flight; i++) {
        struct call_lane *lane = &call->lanes[i];
        if (lane->busy && !lane->enough) {
            lane->enough = true;
            (void)cmds_group_forget(call->group, lane->ticket);
        }
    }
}

/* --- Results ---------------------------------------------------------------------------------- */

static void call_print(const struct call_lane *lane, const struct cmds_result *result)
{
    const char *name = cmdi_tool_type_name(result->type);
    fputc('{', stdout);
    if (lane->call->options.in_flight > 1) {
        printf("\"line\":%llu,", (unsigned long long)lane->line);
    }
    if (!cmdi_tool_json_write_rest(stdout, result->type->schema, name, result->value)) {
        cmdi_tool_complain(
                "call", "the string has bytes that are not UTF-8: each is shown as U+FFFD");
    }
    fputc('\n', stdout);
}

static void call_on_result(void *context, const struct cmds_result *result)
{
    struct call_lane *lane = context;
    struct call *call = lane->call;
    cmdi_tool_wait_end(&call->wait);
    if (result->error == 0 && !lane->enough) {
        lane->results++;
        call_print(lane, result);
        if (result->is_error) { // What the server says of it is on stdout.
            call_fail(call, lane->line, CMDS_E_REMOTE, cmds_error_text(CMDS_E_REMOTE));
        }
        if (!result->last && lane->results == call->options.count) {
            lane->enough = true;
            (void)cmds_group_forget(call->group, lane->ticket);
        }
    } else if (result->error < 0 && !lane->enough) {
        call_fail(call, lane->line, result->error, result->text);
    }
    if (result->last) {
        lane->busy = false;
        call->busy--;
    }
}

/* --- Commands --------------------------------------------------------------------------------- */

/* The next line is in `value`. */
static void call_read_line(struct call *call, bool may_block)
{
    struct cmds_string line = {0};
    int code = cmdi_tool_lines_next(&call->lines, may_block, &line);
    if (code <= 0) {
        call->finished = code < 0;
        if (code < 0 && code != CMDS_E_EOF) {
            call_fail(call, call->lines.number + 1, code,
                    code == CMDS_E_LIMIT ? "it is too long" : cmds_error_text(code));
        }
        return;
    }
    char text[TOOL_JSON_TEXT_SIZE];
    cmdi_tool_memory_free(&call->memory);
    memset(call->value, 0, call->type->schema->value_size);
    code = cmdi_tool_json_read(call->type->schema, cmdi_tool_type_name(call->type), line,
            &call->memory, call->value, text);
    if (code < 0) {
        call->failed++;
        call->sent++;
        cmdi_tool_complain("call", "line %llu: %s", (unsigned long long)call->lines.number, text);
        return;
    }
    call->pending = true;
}

static void call_send(struct call *call, struct call_lane *lane)
{
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    how.ticket = &lane->ticket;
    lane->line = call->from_lines ? call->lines.number : call->sent + 1;
    lane->results = 0;
    lane->enough = false;
    struct cmds_message message = {call->type, call->value};
    int code = cmds_group_send(call->group, message, &how, call_on_result, lane);
    if (code == -ENOBUFS) {
        return; // A turn makes room.
    }
    call->pending = false;
    call->sent++;
    if (code < 0) {
        call_fail(call, lane->line, code, cmds_error_text(code));
    } else if (!call->type->one_way) {
        lane->busy = true;
        call->busy++;
        if (!call->from_lines) {
            snprintf(call->wait_text, sizeof(call->wait_text),
                    "waiting for a result of %.60s from %.200s", cmdi_tool_type_name(call->type),
                    call->address);
            cmdi_tool_wait_begin(&call->wait, cmdi_tool_wait_is_seen() && call->busy == 1,
                    call->wait_text, call->deadline_ms);
        }
    }
}

static struct call_lane *call_free_lane(struct call *call)
{
    for (uint32_t i = 0; i < call->options.in_flight; i++) {
        if (!call->lanes[i].busy) {
            return &call->lanes[i];
        }
    }
    return NULL;
}

/* As many as lanes are free and commands are there. */
static void call_send_more(struct call *call)
{
    struct call_lane *lane = NULL;
    while (!call->finished && (lane = call_free_lane(call)) != NULL) {
        if (!call->pending && call->from_lines) {
            uint64_t before = call->lines.number;
            call_read_line(call, false);
            if (!call->pending && call->lines.number == before) {
                return;
            }
        } else if (!call->pending) {
            call->pending = call->sent < call->options.repeat;
            call->finished = !call->pending;
        }
        if (call->pending) {
            call_send(call, lane);
        }
        if (call->pending) {
            return;
        }
    }
}

/* Until the ring has something, or, if a lane is free, standard input. */
static void call_wait(struct call *call)
{
    uint64_t now_ns = cmdi_tool_now_ns();
    uint64_t left_ms = call->until_ns > now_ns ? (call->until_ns - now_ns) / 1000000 + 1 : 0;
    int timeout_ms = call->until_ns == 0 ? -1 : left_ms > 1000 ? 1000 : (int)left_ms;
    struct pollfd files[2] = {{.fd = cmds_runtime_fd(call->runtime), .events = POLLIN},
            {.fd = call->lines.fd, .events = POLLIN}};
    bool reads =
            call->from_lines && !call->finished && !call->pending && call_free_lane(call) != NULL;
    (void)poll(files, reads ? 2 : 1, timeout_ms);
}

static void call_loop(struct call *call)
{
    if (call->options.timeout_ms > 0) {
        call->until_ns = cmdi_tool_now_ns() + (uint64_t)call->options.timeout_ms * 1000000;
    }
    for (;;) {
        call_send_more(call);
        if (call->finished && call->busy == 0) {
            return;
        }
        // One turn: a stream without end would keep a second one going, too.
        int handled = cmds_runtime_turn(call->runtime, CMDS_TURN_NOWAIT);
        call->broken = call->broken || cmdi_tool_flush() < 0;
        if (handled < 0 || call->broken) {
            call->finished = true;
            return;
        }
        if (call->until_ns != 0 && cmdi_tool_now_ns() >= call->until_ns) {
            call_stop(call);
        }
        if (handled == 0 && (call->busy > 0 || (call->from_lines && !call->finished))) {
            call_wait(call);
        }
    }
}

/* --- The connection --------------------------------------------------------------------------- */

static void call_on_state(void *context, uint32_t client, enum cmds_connection_state state,
        const struct cmds_error *cause)
{
    (void)client;
    (void)cause;
    (void)state;
    ((struct call *)context)->tried = true;
}

static int call_connect(struct call *call, struct cmds_error *error)
{
    struct cmds_runtime_options runtime = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_group_options group = CMDS_GROUP_OPTIONS_INIT(cmdi_tool_program()->protocol);
    const struct call_options *from = &call->options;
    uint32_t connect_ms = from->deadline_ms == 0 ? CALL_DEADLINE_MS : from->deadline_ms;
    runtime.shard_count = CMDS_SHARDS_INLINE;
    group.connect = call->address;
    group.codec = call->codec;
    group.server_info = call->server_info;
    group.frame_size_max = from->max_frame;
    group.deadline_ms = call->deadline_ms;
    group.connect_timeout_ms = connect_ms;
    group.tls = call->tls;
    group.context = call;
    group.on_state = call_on_state;
    int code = cmds_runtime_start(&call->runtime, &runtime, error);
    code = code < 0 ? code : cmds_group_open(&call->group, call->runtime, &group, error);
    while (code >= 0 && !call->tried) {
        code = cmds_runtime_turn(call->runtime, CALL_TURN_US);
    }
    if (code >= 0 && cmds_group_connected(call->group) == 0) {
        code = cmds_group_error(call->group, error);
    }
    return code < 0 ? code : 0;
}

static void call_on_closed(void *context)
{
    ((struct call *)context)->closed = true;
}

/* What was written still leaves. */
static void call_close(struct call *call)
{
    if (call->group != NULL) {
        cmds_group_close(call->group, call_on_closed, call);
        while (!call->closed && cmds_runtime_turn(call->runtime, CALL_TURN_US) >= 0) {
        }
    }
    cmds_runtime_stop(call->runtime);
}

static int call_run(struct call *call)
{
    struct cmds_error error = CMDS_ERROR_INIT;
    snprintf(call->wait_text, sizeof(call->wait_text), "connecting to %.200s", call->address);
    cmdi_tool_wait_begin(&call->wait, cmdi_tool_wait_is_seen(), call->wait_text,
            call->options.deadline_ms > 0 ? call->options.deadline_ms : CALL_DEADLINE_MS);
    int code = cmdi_tool_tls_make_client(&call->tls, &call->options.tls, &error);
    code = code < 0 ? code : call_connect(call, &error);
    cmdi_tool_wait_end(&call->wait);
    if (code < 0) {
        cmdi_tool_complain("call", "%s: %s", cmds_error_name(code),
                error.code < 0 ? error.text : cmds_error_text(code));
    } else {
        call_loop(call);
    }
    cmdi_tool_wait_end(&call->wait);
    call_close(call);
    cmdi_tool_tls_free(call->tls);
    if (call->from_lines && call->failed > 0) {
        cmdi_tool_complain("call", "%llu of %llu command%s failed",
                (unsigned long long)call->failed, (unsigned long long)call->sent,
                cmdi_tool_plural(call->sent));
    }
    return code < 0 || call->failed > 0 || call->broken ? TOOL_EXIT_FAILED : TOOL_EXIT_OK;
}

/* --- The command line ------------------------------------------------------------------------- */

/* Returns: TOOL_PARSED; else the exit status. */
static int call_take(struct call *call, const struct tool_line *line, int argc, char **argv)
{
    int first = line->positional;
    const char *json = first + 2 < argc ? argv[first + 2] : "{}";
    call->address = argv[first];
    call->codec = cmdi_tool_codec_find("call", call->options.codec);
    call->type = cmdi_tool_type_command("call", argv[first + 1]);
    if (call->codec == NULL || call->type == NULL ||
            !cmdi_tool_server_info("call", call->options.server_info, &call->server_info)) {
        return TOOL_EXIT_USAGE;
    }
    call->deadline_ms = call->options.deadline_ms > 0 ? call->options.deadline_ms
                        : call->options.count > 0 || call->options.timeout_ms > 0
                                ? CMDS_NEVER
                                : CALL_DEADLINE_MS;
    call->from_lines = strcmp(json, "-") == 0;
    if (call->from_lines && cmdi_tool_options_given(&call_command, line, "repeat")) {
        cmdi_tool_complain(
                "call", "--repeat does not go with standard input: each line is sent once");
        return TOOL_EXIT_USAGE;
    }
    call->value = calloc(1, call->type->schema->value_size + 1);
    call->lanes = calloc(call->options.in_flight, sizeof(*call->lanes));
    if (call->value == NULL || call->lanes == NULL) {
        cmdi_tool_complain("call", "no memory");
        return TOOL_EXIT_FAILED;
    }
    for (uint32_t i = 0; i < call->options.in_flight; i++) {
        call->lanes[i].call = call;
    }
    if (!call->from_lines && cmdi_tool_type_read("call", call->type, cmds_string_from(json),
                                     &call->memory, call->value) < 0) {
        return TOOL_EXIT_USAGE;
    }
    return TOOL_PARSED;
}

int cmdi_tool_call(int argc, char **argv)
{
    struct call call = {.options = {.repeat = 1, .in_flight = 1}, .lines = {.fd = STDIN_FILENO}};
    struct tool_line line;
    int status = cmdi_tool_options_parse(&call_command, argc, argv, &call.options, &line);
    if (status == TOOL_PARSED) {
        status = cmdi_tool_tls_check_client(&call_command, "call", &line, &call.options.tls);
    }
    if (status == TOOL_PARSED) {
        status = call_take(&call, &line, argc, argv);
    }
    if (status == TOOL_PARSED) {
        status = call_run(&call);
    }
    cmdi_tool_memory_free(&call.memory);
    cmdi_tool_lines_free(&call.lines);
    free(call.lanes);
    free(call.value);
    return status;
}

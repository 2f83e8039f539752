/* SPDX-License-Identifier: MIT */
/*
 * `bench` of a protocol of one's own: one command, again and again, against a server that is there. What
 * the answers say is not known, so they are counted, and not checked.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/load_rows.h"
#include "json.h"
#include "name.h"
#include "program.h"
#include "types.h"

static void own_list_types(FILE *out)
{
    cmdi_tool_types_list(out);
}

static const struct tool_option own_rows[] = {
        TOOL_TEXT(bench_options, "connect", "ADDRESS", connect, "the server that is measured"),
        TOOL_TEXT(bench_options, "command", "TYPE", command,
                "what is sent (default: the first command)"),
        TOOL_TEXT(bench_options, "value", "JSON", value,
                "its fields (default: something in each; see the list above)"),
        BENCH_ROWS_LOAD(bench_options),
        TOOL_U32(bench_options, "deadline-ms", "N", deadline_ms, 1, 3600000,
                "of a command (default 5000)"),
        BENCH_ROWS_BESIDE(bench_options),
        TOOL_U32(bench_options, "spin-us", "N", spin_us, 0, TOOL_SPIN_US_MAX,
                "the most the client looks for work, us; 0: not at all (default 100)"),
        TOOL_FLAG(bench_options, "spin-always", spin_always,
                "it spins --spin-us each time, also when others need the core"),
        BENCH_ROWS_SERVER(bench_options),
        TOOL_FLAG(bench_options, "no-pin", no_pin, "the scheduler places the shards"),
        BENCH_ROWS_OUTPUT(bench_options),
};
static const struct tool_command own_command = {
        .usage = "bench --connect ADDRESS [OPTIONS]",
        .about =
                "Measures commands/s, latencies and CPU time per command. In the closed loop each "
                "connection has K commands\n"
                "in flight, and an answer sends the next. In the open loop (--rate) commands begin "
                "when they are due, and\n"
                "latency counts from then, whether they could be sent or not. A one-way command "
                "is over when it is queued.\n\n",
        .more = own_list_types,
        .notes = "SIGINT (^C) or SIGTERM ends the measurement: what was measured so far is "
                 "reported, after the last\n"
                 "answers; a second one ends it at once. What a server does again and again it "
                 "should be able to do so.\n\n"
                 "Exit status: 0; 1 there were errors, or it could not start; 2 a bad option; 130 "
                 "or 143 a signal ended it.\n",
        .options = own_rows,
        .option_count = sizeof(own_rows) / sizeof(own_rows[0]),
};

/* Returns: NULL, and a line on stderr. */
static const struct cmds_type *own_type(const char *name)
{
    const struct cmds_protocol *protocol = cmdi_tool_program()->protocol;
    for (uint32_t i = 0; name == NULL && i < protocol->command_count; i++) {
        if (cmdi_tool_type_is_plain(protocol->commands[i])) {
            return protocol->commands[i];
        }
    }
    if (name == NULL) {
        (void)cmdi_bench_refuse("the protocol has no command that JSON could say");
        return NULL;
    }
    return cmdi_tool_type_command("bench", name);
}

/* From JSON that was given, or from an example. */
static bool own_read(struct bench *bench, const struct cmds_type *type)
{
    char *example = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&example, &size);
    bench->value = calloc(1, type->schema->value_size + 1);
    if (out == NULL || bench->value == NULL) {
        return cmdi_bench_refuse("no memory");
    }
    cmdi_tool_json_write_example(out, type->schema);
    fclose(out);
    const char *json = bench->options.value != NULL ? bench->options.value : example;
    int code = cmdi_tool_type_read(
            "bench", type, cmds_string_from(json), &bench->memory, bench->value);
    free(example);
    return code == 0;
}

static bool own_take(struct bench *bench, const struct tool_line *line)
{
    (void)line;
    struct bench_options *options = &bench->options;
    if (options->connect == NULL) {
        return cmdi_bench_refuse("which server? --connect ADDRESS");
    }
    const struct cmds_type *type = own_type(options->command);
    if (type == NULL || !own_read(bench, type)) {
        return false;
    }
    options->command = cmdi_tool_type_name(type);
    bench->plan.protocol = cmdi_tool_program()->protocol;
    bench->plan.type = type;
    bench->plan.value = bench->value;
    bench->plan.multi = true;
    return true;
}

static int own_open(struct bench *bench)
{
    (void)bench;
    return 0;
}

static void own_close(struct bench *bench)
{
    cmdi_tool_memory_free(&bench->memory);
    free(bench->value);
}

static struct cmds_message own_message(struct bench_lane *lane, union bench_value *value)
{
    (void)value;
    const struct bench_plan *plan = lane->worker->plan;
    return (struct cmds_message){plan->type, plan->value};
}

static bool own_is_right(struct bench_lane *lane, const struct cmds_result *result)
{
    (void)lane;
    (void)result;
    return true;
}

static void own_report(const struct bench *bench, struct bench_report *report)
{
    cmdi_bench_report_text(report, "value", bench->options.value);
}

static const struct bench_subject own_subject = {.command = &own_command,
        .take = own_take,
        .open = own_open,
        .close = own_close,
        .message = own_message,
        .is_right = own_is_right,
        .report = own_report};

int cmdi_tool_bench_own(int argc, char **argv)
{
    return cmdi_bench_main(argc, argv, &own_subject);
}

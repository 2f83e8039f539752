/* SPDX-License-Identifier: MIT */
/*
 * What a runtime counts, written by it. What may go wrong: two metrics that become one name for
 * Prometheus, points of a metric that are not in a row, a format that lacks some, a name of a server
 * that breaks a line, a reader that stops too early.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <cmdstream/telemetry.h>
#include <cmdstream/trace.h>

#include "support/guest.h"
#include "support/metrics.h"
#include "support/world.h"
#include "telemetry/output.h"

static const enum cmds_telemetry_format formats[] = {CMDS_FORMAT_PROMETHEUS,
        CMDS_FORMAT_OPENMETRICS, CMDS_FORMAT_PROMETHEUS_PROTOBUF, CMDS_FORMAT_JSON};

static char text[1 << 20];

static size_t write_all(struct world *world, enum cmds_telemetry_format format, uint32_t flags)
{
    int64_t size = cmds_telemetry_write(world->runtime, format, flags, text, sizeof(text));
    CU_ASSERT_FATAL(size > 0 && size < (int64_t)sizeof(text));
    return (size_t)size;
}

static const char *check_all(enum cmds_telemetry_format format, size_t size)
{
    struct cmdi_metrics found = {.families = 1};
    unsigned line = 0;
    const char *wrong;
    if (format == CMDS_FORMAT_PROMETHEUS_PROTOBUF) {
        wrong = cmdi_metrics_proto(text, size, &found);
    } else if (format == CMDS_FORMAT_JSON) {
        wrong = cmdi_metrics_json(text, size);
    } else {
        wrong = cmdi_metrics_text(text, size, format == CMDS_FORMAT_OPENMETRICS, &found, &line);
    }
    if (wrong == NULL && found.families == 0) {
        wrong = "nothing";
    }
    if (wrong != NULL) {
        printf("format %d, line %u: %s\n", (int)format, line, wrong);
    }
    return wrong;
}

/* Of a world with a server and a group that have exchanged three commands. */
static void world_talk(struct world *world, struct guest *guest, const char *name)
{
    world_init(world);
    world->options.listen = "127.0.0.1:0";
    world->options.name = name;
    CU_ASSERT_EQUAL_FATAL(world_start(world), 0);
    guest_init(guest);
    CU_ASSERT_EQUAL_FATAL(guest_open(guest, world->runtime, world->address), 0);
    CU_ASSERT_EQUAL_FATAL(cmds_group_wait(guest->group, RAW_GUARD_MS, NULL), 0);
    for (int64_t i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(guest_echo(guest, i, NULL), 0);
    }
    WORLD_UNTIL(world, guest_last(guest) == 3);
}

static void test_write_all_formats_are_read_back(void)
{
    static const uint32_t flags[] = {
            0, CMDS_READ_BY_SHARD, CMDS_READ_EMPTY, CMDS_READ_GO_MILLISECONDS};
    struct world world;
    struct guest guest;
    world_talk(&world, &guest, "a \"b\\ }");

    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        for (size_t k = 0; k < sizeof(flags) / sizeof(flags[0]); k++) {
            CU_ASSERT_PTR_NULL(check_all(formats[i], write_all(&world, formats[i], flags[k])));
        }
    }
    (void)write_all(&world, CMDS_FORMAT_PROMETHEUS, 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(text,
            "\ncmdstream_server_commands_received_total{cmdstream_name=\"a \\\"b\\\\ }\"} 3\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "\ncmdstream_client_commands_sent_total 3\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "\ncmdstream_build_info{cmdstream_version=\""));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "\nprocess_cpu_seconds_total "));
    (void)write_all(&world, CMDS_FORMAT_PROMETHEUS, CMDS_READ_BY_SHARD);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "\ncmdstream_turns_total{cmdstream_shard=\"0\"} "));

    guest_close(&guest, &world);
    world_stop(&world);
}

static void test_write_needs_what_it_says(void)
{
    struct world world;
    world_init(&world);
    CU_ASSERT_EQUAL_FATAL(world_start(&world), 0);

    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        int64_t size = cmds_telemetry_write(world.runtime, formats[i], 0, NULL, 0);
        CU_ASSERT(size > 1000);
        char *out = malloc((size_t)size + 200); // Numbers grow meanwhile.
        CU_ASSERT_PTR_NOT_NULL_FATAL(out);
        int64_t again = cmds_telemetry_write(world.runtime, formats[i], 0, out, (size_t)size + 200);
        CU_ASSERT(again >= size - 200 && again < size + 200);
        free(out);
    }

    world_stop(&world);
}

static void test_write_refuses_what_there_is_not(void)
{
    struct world world;
    world_init(&world);
    CU_ASSERT_EQUAL_FATAL(world_start(&world), 0);

    CU_ASSERT_EQUAL(cmds_telemetry_write(world.runtime, (enum cmds_telemetry_format)9, 0, text, 9),
            -EINVAL);
    CU_ASSERT_EQUAL(
            cmds_telemetry_write(world.runtime, CMDS_FORMAT_JSON, 1u << 30, text, 9), -EINVAL);
    CU_ASSERT_EQUAL(cmds_telemetry_write(world.runtime, CMDS_FORMAT_JSON, 0, NULL, 9), -EINVAL);
    CU_ASSERT_EQUAL(cmds_telemetry_write(NULL, CMDS_FORMAT_JSON, 0, text, 9), -EINVAL);

    world_stop(&world);
}

static bool finds(struct world *world, const char *words)
{
    (void)write_all(world, CMDS_FORMAT_OPENMETRICS, 0);
    return strstr(text, words) != NULL;
}

/* Of three sampled commands one is it: the last. */
static void test_write_has_the_last_span_as_exemplar(void)
{
    struct cmds_trace_options trace = CMDS_TRACE_OPTIONS_INIT;
    struct world world;
    struct guest guest;
    struct cmds_span spans[3];
    uint32_t taken = 0;
    world_init(&world);
    world.runtime_options.trace = &trace;
    world.options.listen = "127.0.0.1:0";
    CU_ASSERT_EQUAL_FATAL(world_start(&world), 0);
    guest_init(&guest);
    CU_ASSERT_EQUAL_FATAL(guest_open(&guest, world.runtime, world.address), 0);
    CU_ASSERT_EQUAL_FATAL(cmds_group_wait(guest.group, RAW_GUARD_MS, NULL), 0);
    for (uint32_t i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(guest_echo(&guest, i, NULL), 0);
        WORLD_UNTIL(&world, guest_last(&guest) == i + 1);
        WORLD_UNTIL(&world,
                (taken += cmds_span_take(world.runtime, &spans[taken], 3 - taken)) == i + 1);
    }

    char id[64] = "";
    struct cmdi_output output = {id, sizeof(id) - 1, 0};
    cmdi_output_text(&output, " # {trace_id=\"");
    cmdi_output_hex(&output, spans[2].trace_id, sizeof(spans[2].trace_id));
    /* It is taken from the ring just before it becomes the exemplar. */
    WORLD_UNTIL(&world, finds(&world, id));
    const char *found = strstr(text, id);
    CU_ASSERT_PTR_NULL(strstr(found + 1, " # {trace_id=")); // One, since there is one type.
    while (found > text && found[-1] != '\n') {
        found--;
    }
    static const char line[] = "cmd_stream_server_command_duration_seconds_bucket{";
    CU_ASSERT_EQUAL(strncmp(found, line, strlen(line)), 0);
    CU_ASSERT_PTR_NULL(check_all(CMDS_FORMAT_OPENMETRICS, strlen(text)));
    size_t size = write_all(&world, CMDS_FORMAT_PROMETHEUS_PROTOBUF, 0);
    CU_ASSERT_PTR_NULL(check_all(CMDS_FORMAT_PROMETHEUS_PROTOBUF, size));

    guest_close(&guest, &world);
    world_stop(&world);
}

CU_TestInfo test_telemetry_write[] = {
        {"all formats are read back", test_write_all_formats_are_read_back},
        {"has the last span as exemplar", test_write_has_the_last_span_as_exemplar},
        {"needs what it says", test_write_needs_what_it_says},
        {"refuses what there is not", test_write_refuses_what_there_is_not},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("telemetry_write", test_telemetry_write)

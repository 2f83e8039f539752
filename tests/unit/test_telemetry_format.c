/* SPDX-License-Identifier: MIT */
/*
 * Points as text, JSON and protobuf. What may go wrong: a name that a Collector would give otherwise, a
 * label that ends its line, a bound that a query cannot join, a count that is not the sum of buckets, a
 * native bucket one beside its own, a size that is not what is written, a locale with a comma.
 */
#include "telemetry/format.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/harness.h"
#include "support/metrics.h"
#include "support/points.h"

static const enum cmds_telemetry_format formats[] = {CMDS_FORMAT_PROMETHEUS,
        CMDS_FORMAT_OPENMETRICS, CMDS_FORMAT_PROMETHEUS_PROTOBUF, CMDS_FORMAT_JSON};

static char text[65536];

static int64_t write_points(enum cmds_telemetry_format kind, char *out, size_t size)
{
    struct cmdi_format format;
    CU_ASSERT_FATAL(cmdi_format_begin(&format, kind, 0, out, size));
    cmdi_points_tell(1, cmdi_format_point, &format);
    return cmdi_format_end(&format);
}

static int64_t write_one(enum cmds_telemetry_format kind, uint32_t flags,
        const struct cmds_metric *metric, const struct cmds_point *point)
{
    struct cmdi_format format;
    CU_ASSERT_FATAL(cmdi_format_begin(&format, kind, flags, text, sizeof(text)));
    (void)cmdi_format_point(&format, metric, point);
    return cmdi_format_end(&format);
}

static void check_has(const char *line)
{
    bool has = strstr(text, line) != NULL;
    if (!has) {
        printf("lacks: %s\nin: %s\n", line, text);
    }
    CU_ASSERT(has);
}

static void check_lacks(const char *words)
{
    CU_ASSERT_PTR_NULL(strstr(text, words));
}

/* --- Names ------------------------------------------------------------------------------------ */

static void check_name(const char *otel, const char *unit, enum cmds_metric_kind kind,
        const char *name, const char *word)
{
    struct cmds_metric metric = {.name = otel, .unit = unit, .kind = (uint8_t)kind};
    char out[CMDI_NAME_SIZE];
    const char *found = cmdi_name_metric(&metric, out);
    CU_ASSERT_STRING_EQUAL(out, name);
    CU_ASSERT_STRING_EQUAL(found != NULL ? found : "", word);
}

static void test_format_names_as_a_collector(void)
{
    check_name("cmd-stream.server.command.count", "{command}", CMDS_METRIC_COUNTER,
            "cmd_stream_server_command_count", "");
    check_name("cmd-stream.server.command.size", "By", CMDS_METRIC_HISTOGRAM,
            "cmd_stream_server_command_size_bytes", "bytes");
    check_name("cmd-stream.client.result.duration", "s", CMDS_METRIC_HISTOGRAM,
            "cmd_stream_client_result_duration_seconds", "seconds");
    check_name("process.cpu", "s", CMDS_METRIC_COUNTER, "process_cpu_seconds", "seconds");
    check_name("a.seconds", "s", CMDS_METRIC_GAUGE, "a_seconds", "seconds");
    check_name("seconds.of", "s", CMDS_METRIC_GAUGE, "seconds_of", "");
    check_name("x.milliseconds", "s", CMDS_METRIC_GAUGE, "x_milliseconds_seconds", "seconds");
    check_name("share", "1", CMDS_METRIC_GAUGE, "share_ratio", "");
    check_name("share", "1", CMDS_METRIC_COUNTER, "share", "");
    check_name("things.total", "", CMDS_METRIC_COUNTER, "things", "");
    check_name("things.total.total", "total", CMDS_METRIC_COUNTER, "things", "");
    check_name("time.total", "s", CMDS_METRIC_COUNTER, "time_seconds", "seconds");
    check_name("rate", "By/s", CMDS_METRIC_GAUGE, "rate_bytes_per_second", "");
    check_name("pages", "pages", CMDS_METRIC_COUNTER, "pages", "");
    check_name("x", "widgets", CMDS_METRIC_COUNTER, "x_widgets", "widgets");
    check_name("no.unit", NULL, CMDS_METRIC_GAUGE, "no_unit", "");
}

static void test_format_names_are_names_whatever_comes(void)
{
    check_name("", "", CMDS_METRIC_GAUGE, "_", "");
    check_name("--", "{}", CMDS_METRIC_COUNTER, "_", "");
    check_name("9lives", "", CMDS_METRIC_GAUGE, "_9lives", "");
    check_name("a\"b\n{c}\xff..d-", "", CMDS_METRIC_GAUGE, "a_b_c_d", "");
    check_name(" total", "", CMDS_METRIC_COUNTER, "total", "");
    char longest[1000], out[CMDI_NAME_SIZE];
    memset(longest, 'a', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    (void)cmdi_name_metric(&(struct cmds_metric){.name = longest, .unit = "s"}, out);
    CU_ASSERT_EQUAL(strlen(out), CMDI_NAME_SIZE - sizeof("_total"));
}

static void check_label(const char *key, const char *name)
{
    char out[64];
    struct cmdi_output output = {out, sizeof(out), 0};
    cmdi_name_label(&output, key);
    out[output.used] = '\0';
    CU_ASSERT_STRING_EQUAL(out, name);
}

static void test_format_label_names_as_a_collector(void)
{
    check_label("cmd-stream.command.type", "cmd_stream_command_type");
    check_label("cmdstream.name", "cmdstream_name");
    check_label("9", "key_9");
    check_label("_a", "key_a");
    check_label("__a", "__a");
    check_label("", "key");
}

/* --- Numbers ---------------------------------------------------------------------------------- */

static void check_real(double number, const char *expected)
{
    char out[CMDI_OUTPUT_REAL_SIZE];
    cmdi_real_text(number, out);
    CU_ASSERT_STRING_EQUAL(out, expected);
}

static void test_format_reals_are_exact_and_short(void)
{
    check_real(0, "0");
    check_real(0.1, "0.1");
    check_real(0.25, "0.25");
    check_real(-3, "-3");
    check_real(0.1 + 0.2, "0.30000000000000004");
    check_real(ldexp(1, -19), "1.9073486328125e-06");
    check_real(ldexp(1, 62), "4.611686018427388e+18");
    check_real(1.7976931348623157e308, "1.7976931348623157e+308");
    check_real(5e-324, "4.94065645841247e-324");
    check_real(INFINITY, "+Inf");
    check_real(-INFINITY, "-Inf");
    check_real(NAN, "NaN");
}

static void test_format_reals_have_a_point_in_every_locale(void)
{
    static const char *const names[] = {
            "de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "de_DE", "fr_FR"};
    bool is_set = false;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && !is_set; i++) {
        is_set = setlocale(LC_NUMERIC, names[i]) != NULL;
    }
    if (!is_set) {
        printf("no locale with a comma is installed: looked at with this one only\n");
    }
    check_real(0.25, "0.25");
    check_real(-1.5e-300, "-1.5e-300");
    setlocale(LC_NUMERIC, "C");
}

static void check_integer(int64_t number, const char *expected)
{
    char out[32];
    struct cmdi_output output = {out, sizeof(out), 0};
    cmdi_output_signed(&output, number);
    out[output.used] = '\0';
    CU_ASSERT_STRING_EQUAL(out, expected);
}

static void test_format_integers_are_whole(void)
{
    check_integer(0, "0");
    check_integer(INT64_MAX, "9223372036854775807");
    check_integer(INT64_MIN, "-9223372036854775808");
}

/* --- Text ------------------------------------------------------------------------------------- */

static void test_format_prometheus_text(void)
{
    CU_ASSERT(write_points(CMDS_FORMAT_PROMETHEUS, text, sizeof(text)) < (int64_t)sizeof(text));

    check_has("# HELP cmd_stream_server_command_count_total Number of server commands.\n"
              "# TYPE cmd_stream_server_command_count_total counter\n"
              "cmd_stream_server_command_count_total{cmd_stream_command_type=\"calc_add\","
              "cmd_stream_command_status=\"OK\","
              "cmdstream_name=\"a \\\"hostile\\\\ name\\n?[31m\xef\xbf\xbd\"} 100\n");
    check_has("# HELP cmd_stream_server_command_duration_seconds Duration of \"server\" commands.\n"
              "# TYPE cmd_stream_server_command_duration_seconds histogram\n");
    check_has("le=\"1\"} 100\n");
    check_has("le=\"+Inf\"} 100\n");
    check_has("# TYPE cmdstream_shard_busy_seconds_total counter\n"
              "cmdstream_shard_busy_seconds_total 0.25\n");
    check_has("# TYPE cmdstream_connections gauge\ncmdstream_connections 7\n");
    check_lacks("# EOF");
    check_lacks("# UNIT");
    check_lacks("trace_id");
}

static void test_format_openmetrics_text(void)
{
    int64_t size = write_points(CMDS_FORMAT_OPENMETRICS, text, sizeof(text));

    CU_ASSERT(size < (int64_t)sizeof(text));
    check_has("# HELP cmd_stream_server_command_count Number of server commands.\n"
              "# TYPE cmd_stream_server_command_count counter\n"
              "cmd_stream_server_command_count_total{cmd_stream_command_type=\"calc_add\",");
    check_has("# HELP cmd_stream_server_command_duration_seconds "
              "Duration of \\\"server\\\" commands.\n"
              "# TYPE cmd_stream_server_command_duration_seconds histogram\n"
              "# UNIT cmd_stream_server_command_duration_seconds seconds\n");
    check_has("le=\"1.0\"} 100\n");
    check_has("le=\"0.015625\"} 100 # {trace_id=\"4bf92f3577b34da6a3ce929d0e0e4736\","
              "span_id=\"00f067aa0ba902b7\"} 0.01 1700000000.123\n");
    check_has("# UNIT cmdstream_shard_busy_seconds seconds\n"
              "cmdstream_shard_busy_seconds_total 0.25\n");
    CU_ASSERT_STRING_EQUAL(text + size - 6, "# EOF\n");
}

static const struct cmds_metric durations = {
        .name = "cmd-stream.server.command.duration",
        .unit = "s",
        .kind = CMDS_METRIC_HISTOGRAM,
        .is_real = true,
};

static const struct cmds_point *point_of(struct cmdi_points_histogram *histogram)
{
    static struct cmds_point point;
    point = (struct cmds_point){.distribution = cmdi_points_distribution(histogram)};
    return &point;
}

static void test_format_buckets_are_cumulative_and_exact(void)
{
    struct cmdi_points_histogram histogram = {.scale = 3, .zero_threshold = ldexp(1, -24)};
    cmdi_points_record(&histogram, 0, 1);
    cmdi_points_record(&histogram, ldexp(1, -19), 10); // On a bound: that bucket's.
    cmdi_points_record(&histogram, ldexp(1.001, -19), 100);
    cmdi_points_record(&histogram, 16, 1000);
    cmdi_points_record(&histogram, 17, 10000);

    write_one(CMDS_FORMAT_PROMETHEUS, 0, &durations, point_of(&histogram));

    check_has("_bucket{le=\"1.9073486328125e-06\"} 11\n");
    check_has("_bucket{le=\"7.62939453125e-06\"} 111\n");
    check_has("_bucket{le=\"4\"} 111\n");
    check_has("_bucket{le=\"16\"} 1111\n");
    check_has("_bucket{le=\"+Inf\"} 11111\n");
    check_has("_count 11111\n");
}

static void test_format_bounds_are_the_same_with_nothing_counted(void)
{
    struct cmdi_points_histogram histogram = {.scale = 3};
    write_one(CMDS_FORMAT_PROMETHEUS, 0, &durations, point_of(&histogram));

    unsigned lines = 0;
    for (const char *at = text; (at = strstr(at, "le=\"")) != NULL; at++) {
        lines++;
    }
    CU_ASSERT_EQUAL(lines, 22);
    check_has("_sum 0\n");
    check_has("_count 0\n");
}

static void test_format_bounds_of_sizes_and_of_milliseconds(void)
{
    struct cmds_metric sizes = {.name = "x", .unit = "By", .kind = CMDS_METRIC_HISTOGRAM};
    struct cmdi_points_histogram histogram = {.scale = 0};
    cmdi_points_record(&histogram, 4, 1);
    cmdi_points_record(&histogram, 5, 1);
    write_one(CMDS_FORMAT_PROMETHEUS, 0, &sizes, point_of(&histogram));
    check_has("x_bytes_bucket{le=\"1\"} 0\nx_bytes_bucket{le=\"4\"} 1\n"
              "x_bytes_bucket{le=\"16\"} 2\n");
    check_has("{le=\"16777216\"} 2\n");

    write_one(CMDS_FORMAT_PROMETHEUS, CMDS_READ_GO_MILLISECONDS, &durations, point_of(&histogram));
    check_has("{le=\"0.001953125\"} 0\n");
    check_lacks("{le=\"0.00048828125\"}");
    check_has("{le=\"16384\"} 2\n");
}

static void test_format_labels_may_be_long(void)
{
    static char name[1000];
    struct cmdi_points_histogram histogram = {.scale = 0};
    memset(name, 'n', sizeof(name) - 1);
    const struct cmds_label label = {.key = "key", .value = {name, sizeof(name) - 1}};
    struct cmds_point point = *point_of(&histogram);
    point.labels = &label;
    point.label_count = 1;
    write_one(CMDS_FORMAT_PROMETHEUS, 0, &durations, &point);

    unsigned lines = 0;
    for (const char *at = text; (at = strstr(at, name)) != NULL; at++) {
        lines += at[sizeof(name) - 1] == '"';
        at += sizeof(name) - 1;
    }
    CU_ASSERT_EQUAL(lines, 22 + 2);
}

/* Each of them stands once for each command type. */
static void test_format_bounds_of_commands_are_few(void)
{
    struct cmds_metric frames = {
            .name = "cmd-stream.client.result.size", .unit = "By", .kind = CMDS_METRIC_HISTOGRAM};
    struct cmds_metric exec = {.name = "cmdstream.server.exec.duration",
            .unit = "s",
            .kind = CMDS_METRIC_HISTOGRAM,
            .is_real = true};
    struct cmdi_points_histogram histogram = {.scale = 0};
    cmdi_points_record(&histogram, 5, 1);
    write_one(CMDS_FORMAT_PROMETHEUS, 0, &frames, point_of(&histogram));
    check_lacks("{le=\"4\"}");
    check_has("_bucket{le=\"16\"} 1\n");
    check_has("_bucket{le=\"16777216\"} 1\n");

    write_one(CMDS_FORMAT_PROMETHEUS, 0, &exec, point_of(&histogram));
    check_has("_bucket{le=\"4.76837158203125e-07\"} 0\n");
    check_lacks("{le=\"1\"}");
    check_has("_bucket{le=\"4\"} 0\n");
}

static void test_format_text_parses(void)
{
    for (int is_open = 0; is_open <= 1; is_open++) {
        struct cmdi_metrics found;
        unsigned line;
        int64_t size = write_points(
                is_open ? CMDS_FORMAT_OPENMETRICS : CMDS_FORMAT_PROMETHEUS, text, sizeof(text));
        const char *wrong = cmdi_metrics_text(text, (size_t)size, is_open, &found, &line);
        if (wrong != NULL) {
            printf("line %u: %s\n", line, wrong);
        }
        CU_ASSERT_PTR_NULL(wrong);
        CU_ASSERT_EQUAL(found.families, 8);
        CU_ASSERT_EQUAL(found.samples, 6 + 24 + 14 + 24);
        CU_ASSERT_EQUAL(found.exemplars, (unsigned)is_open);
    }
}

/* --- JSON ------------------------------------------------------------------------------------- */

static void test_format_json(void)
{
    int64_t size = write_points(CMDS_FORMAT_JSON, text, sizeof(text));

    CU_ASSERT_PTR_NULL(cmdi_metrics_json(text, (size_t)size));
    check_has(
            "{\"metrics\":[\n{\"name\":\"cmd-stream.server.command.count\",\"unit\":\"{command}\","
            "\"description\":\"Number of server commands.\",\"kind\":\"counter\",\"points\":["
            "{\"labels\":{\"cmd-stream.command.type\":\"calc_add\","
            "\"cmd-stream.command.status\":\"OK\","
            "\"cmdstream.name\":\"a \\\"hostile\\\\ name\\u000a\\u001b[31m\xef\xbf\xbd\"},"
            "\"value\":100},{\"labels\":");
    check_has("\"count\":100,");
    check_has(",\"scale\":0,\"offset\":4,\"zero_count\":0,\"zero_threshold\":0,"
              "\"buckets\":[60,0,0,0,0,0,0,40]}]}");
    check_has("\"exemplar\":{\"trace_id\":\"4bf92f3577b34da6a3ce929d0e0e4736\","
              "\"span_id\":\"00f067aa0ba902b7\",\"time_ns\":1700000000123000000,\"value\":0.01}}");
    check_has("{\"labels\":{},\"value\":0.25}");
}

static void test_format_json_without_a_point(void)
{
    struct cmdi_format format;
    CU_ASSERT_FATAL(cmdi_format_begin(&format, CMDS_FORMAT_JSON, 0, text, sizeof(text)));
    CU_ASSERT_EQUAL(cmdi_format_end(&format), (int64_t)strlen(text));
    CU_ASSERT_PTR_NULL(cmdi_metrics_json(text, strlen(text)));

    struct cmds_metric gauge = {.name = "x", .kind = CMDS_METRIC_GAUGE, .is_real = true};
    write_one(CMDS_FORMAT_JSON, 0, &gauge, &(struct cmds_point){.real = INFINITY});
    check_has("\"value\":\"+Inf\"");
}

/* --- Protobuf --------------------------------------------------------------------------------- */

static const char *find_bytes(const char *data, size_t size, const char *bytes, size_t bytes_size)
{
    for (size_t i = 0; i + bytes_size <= size; i++) {
        if (memcmp(data + i, bytes, bytes_size) == 0) {
            return data + i;
        }
    }
    return NULL;
}

#define HAS_BYTES(size, bytes)                                                                     \
    CU_ASSERT_PTR_NOT_NULL(find_bytes(text, (size_t)(size), (bytes), sizeof(bytes) - 1))

static void test_format_protobuf_is_well_formed(void)
{
    struct cmdi_metrics found;
    int64_t size = write_points(CMDS_FORMAT_PROMETHEUS_PROTOBUF, text, sizeof(text));
    CU_ASSERT_FATAL(size < (int64_t)sizeof(text));
    const char *wrong = cmdi_metrics_proto(text, (size_t)size, &found);
    if (wrong != NULL) {
        printf("protobuf: %s\n", wrong);
    }
    CU_ASSERT_PTR_NULL(wrong);
    CU_ASSERT_EQUAL(found.families, 8);
    CU_ASSERT_EQUAL(found.samples, 9);
    CU_ASSERT_EQUAL(found.exemplars, 1);
}

/* Values of (1, 2] are OpenTelemetry's bucket 0 at scale 0, and Prometheus' bucket 1 of schema 0. */
static void test_format_native_buckets_are_numbered_by_their_upper_bound(void)
{
    struct cmds_metric sizes = {.name = "x", .unit = "By", .kind = CMDS_METRIC_HISTOGRAM};
    struct cmdi_points_histogram histogram = {.scale = 0};
    cmdi_points_record(&histogram, 2, 5);
    CU_ASSERT_EQUAL(cmdi_points_distribution(&histogram)->offset, 0);
    int64_t size = write_one(CMDS_FORMAT_PROMETHEUS_PROTOBUF, 0, &sizes, point_of(&histogram));
    // schema 0, zero_threshold 0.0, zero_count 0; span {offset +1, length 1}; deltas {+5}.
    HAS_BYTES(size, "\x28\x00\x31\x00\x00\x00\x00\x00\x00\x00\x00\x38\x00"
                    "\x62\x04\x08\x02\x10\x01"
                    "\x6a\x01\x0a");
}

static void test_format_native_spans_leave_gaps_out(void)
{
    struct cmds_metric sizes = {.name = "x", .unit = "By", .kind = CMDS_METRIC_HISTOGRAM};
    struct cmdi_points_histogram histogram = {.scale = 0};
    cmdi_points_record(&histogram, 2, 5);   // Bucket 0.
    cmdi_points_record(&histogram, 16, 3);  // Bucket 3: two empty ones between stay.
    cmdi_points_record(&histogram, 256, 4); // Bucket 7: three are left out.
    int64_t size = write_one(CMDS_FORMAT_PROMETHEUS_PROTOBUF, 0, &sizes, point_of(&histogram));
    // Spans {+1, 4}, {+3, 1}; deltas +5 -5 +0 +3 +1.
    HAS_BYTES(size, "\x62\x04\x08\x02\x10\x04\x62\x04\x08\x06\x10\x01"
                    "\x6a\x05\x0a\x09\x00\x06\x02");
    struct cmdi_metrics found;
    CU_ASSERT_PTR_NULL(cmdi_metrics_proto(text, (size_t)size, &found));
}

static void test_format_native_histogram_without_a_value_is_one(void)
{
    struct cmds_metric sizes = {.name = "x", .unit = "By", .kind = CMDS_METRIC_HISTOGRAM};
    struct cmdi_points_histogram histogram = {.scale = 0};
    int64_t size = write_one(CMDS_FORMAT_PROMETHEUS_PROTOBUF, 0, &sizes, point_of(&histogram));
    HAS_BYTES(size, "\x38\x00\x62\x04\x08\x00\x10\x00");
    struct cmdi_metrics found;
    CU_ASSERT_PTR_NULL(cmdi_metrics_proto(text, (size_t)size, &found));
}

/* --- All of them ------------------------------------------------------------------------------ */

static void test_format_tells_the_size_that_it_takes(void)
{
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        int64_t whole = write_points(formats[i], NULL, 0);
        CU_ASSERT_EQUAL(write_points(formats[i], text, sizeof(text)), whole);
        bool is_text = formats[i] != CMDS_FORMAT_PROMETHEUS_PROTOBUF;
        for (size_t size = 1; size < (size_t)whole + 3; size += 1 + size / 3) {
            char *part = malloc(size); // So that one byte beyond is noticed.
            CU_ASSERT_EQUAL(write_points(formats[i], part, size), whole);
            size_t held = size <= (size_t)whole ? size - 1 : (size_t)whole;
            CU_ASSERT(!is_text || memcmp(part, text, held) == 0);
            CU_ASSERT_EQUAL(part[held], '\0');
            free(part);
        }
    }
}

static void test_format_has_a_content_type(void)
{
    CU_ASSERT_STRING_EQUAL(cmds_telemetry_content_type(CMDS_FORMAT_PROMETHEUS),
            "text/plain; version=0.0.4; charset=utf-8");
    CU_ASSERT_STRING_EQUAL(cmds_telemetry_content_type(CMDS_FORMAT_OPENMETRICS),
            "application/openmetrics-text; version=1.0.0; charset=utf-8");
    CU_ASSERT_STRING_EQUAL(cmds_telemetry_content_type(CMDS_FORMAT_PROMETHEUS_PROTOBUF),
            "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; "
            "encoding=delimited");
    CU_ASSERT_STRING_EQUAL(cmds_telemetry_content_type(CMDS_FORMAT_JSON), "application/json");
    CU_ASSERT_PTR_NULL(cmds_telemetry_content_type((enum cmds_telemetry_format)4));
    struct cmdi_format format;
    CU_ASSERT_FALSE(cmdi_format_begin(&format, (enum cmds_telemetry_format)4, 0, NULL, 0));
}

CU_TestInfo test_telemetry_format[] = {
        {"names as a Collector", test_format_names_as_a_collector},
        {"names are names whatever comes", test_format_names_are_names_whatever_comes},
        {"label names as a Collector", test_format_label_names_as_a_collector},
        {"reals are exact and short", test_format_reals_are_exact_and_short},
        {"reals have a point in every locale", test_format_reals_have_a_point_in_every_locale},
        {"integers are whole", test_format_integers_are_whole},
        {"prometheus text", test_format_prometheus_text},
        {"openmetrics text", test_format_openmetrics_text},
        {"buckets are cumulative and exact", test_format_buckets_are_cumulative_and_exact},
        {"bounds are the same with nothing counted",
                test_format_bounds_are_the_same_with_nothing_counted},
        {"bounds of sizes and of milliseconds", test_format_bounds_of_sizes_and_of_milliseconds},
        {"labels may be long", test_format_labels_may_be_long},
        {"bounds of commands are few", test_format_bounds_of_commands_are_few},
        {"text parses", test_format_text_parses},
        {"json", test_format_json},
        {"json without a point", test_format_json_without_a_point},
        {"protobuf is well formed", test_format_protobuf_is_well_formed},
        {"native buckets are numbered by their upper bound",
                test_format_native_buckets_are_numbered_by_their_upper_bound},
        {"native spans leave gaps out", test_format_native_spans_leave_gaps_out},
        {"native histogram without a value is one",
                test_format_native_histogram_without_a_value_is_one},
        {"tells the size that it takes", test_format_tells_the_size_that_it_takes},
        {"has a content type", test_format_has_a_content_type},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("telemetry_format", test_telemetry_format)

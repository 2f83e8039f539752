/* SPDX-License-Identifier: MIT */
/*
 * Options and OTEL_* variables: which one counts, what is refused, what is only complained of; and that
 * no header is shown.
 */
#include "otel/settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "otel/pairs.h"
#include "otel/resource.h"
#include "otel/sampling.h"
#include "support/harness.h"

extern char **environ;

static char said[4096]; // All lines of on_log, one after the other.

static void on_log(void *context, enum cmds_log_level level, const char *text)
{
    (void)context;
    (void)level;
    size_t used = strlen(said);
    (void)snprintf(said + used, sizeof(said) - used, "%s\n", text);
}

/* Only what a test sets is there. */
static void forget_environment(void)
{
    char name[256];
    for (char **at = environ; *at != NULL;) {
        size_t size = strcspn(*at, "=");
        bool ours = strncmp(*at, "OTEL_", 5) == 0 || strcasestr(*at, "_proxy=") != NULL;
        if (ours && size < sizeof(name)) {
            memcpy(name, *at, size);
            name[size] = '\0';
            (void)unsetenv(name);
            at = environ;
        } else {
            at++;
        }
    }
    said[0] = '\0';
}

static struct cmdi_settings settings_of(const struct cmds_otel_options *options)
{
    struct cmdi_settings settings;
    struct cmds_error error = CMDS_ERROR_INIT;
    struct cmds_otel_options mine = *options;
    mine.on_log = on_log;
    CU_ASSERT_EQUAL_FATAL(cmdi_settings_init(&settings, &mine, &error), 0);
    return settings;
}

static const struct cmds_otel_options no_options = CMDS_OTEL_OPTIONS_INIT;

static void test_settings_defaults(void)
{
    forget_environment();
    struct cmdi_settings settings = settings_of(&no_options);
    const struct cmdi_target *target = &settings.targets[CMDI_SIGNAL_METRICS];

    CU_ASSERT_STRING_EQUAL(target->url, "http://localhost:4318/v1/metrics");
    CU_ASSERT_STRING_EQUAL(target->proxy, "");
    CU_ASSERT_EQUAL(target->timeout_ms, 10000);
    CU_ASSERT_STRING_EQUAL(
            settings.targets[CMDI_SIGNAL_TRACES].url, "http://localhost:4318/v1/traces");
    CU_ASSERT_EQUAL(settings.metric_interval_ms, 60000);
    CU_ASSERT_EQUAL(settings.span_interval_ms, 5000);
    CU_ASSERT_FALSE(target->gzip || target->is_off || settings.is_explicit || settings.delta);
    CU_ASSERT_STRING_EQUAL(said, "");
    cmdi_settings_fini(&settings);
}

static void set(const char *name, const char *value)
{
    CU_ASSERT_EQUAL_FATAL(setenv(name, value, 1), 0);
}

static void test_settings_of_the_environment(void)
{
    forget_environment();
    set("OTEL_EXPORTER_OTLP_ENDPOINT", "https://user:geheim@collector:443/prefix/");
    set("OTEL_EXPORTER_OTLP_HEADERS", "api-key = a%20b%2Cc , x=, y=1");
    set("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip");
    set("OTEL_EXPORTER_OTLP_TIMEOUT", "2000");
    set("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "3000");
    set("OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca.pem");
    set("OTEL_METRIC_EXPORT_INTERVAL", "500");
    set("OTEL_BSP_SCHEDULE_DELAY", "700");
    set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://jaeger:4318/v1/traces");
    set("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "own=1");
    set("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "Delta");
    set("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "explicit_bucket_histogram");
    set("https_proxy", "http://proxy:3128");
    struct cmdi_settings settings = settings_of(&no_options);
    const struct cmdi_target *target = &settings.targets[CMDI_SIGNAL_METRICS];

    CU_ASSERT_STRING_EQUAL(target->url, "https://user:geheim@collector:443/prefix/v1/metrics");
    CU_ASSERT_STRING_EQUAL(target->shown, "collector:443/prefix/v1/metrics");
    CU_ASSERT_EQUAL_FATAL(target->header_count, 3);
    CU_ASSERT_STRING_EQUAL(target->headers[0], "api-key: a b,c");
    CU_ASSERT_STRING_EQUAL(target->headers[1], "x;");
    CU_ASSERT_STRING_EQUAL(target->headers[2], "y: 1");
    CU_ASSERT_STRING_EQUAL(target->ca_file, "/ca.pem");
    CU_ASSERT_STRING_EQUAL(target->proxy, "http://proxy:3128");
    CU_ASSERT_TRUE(target->gzip && settings.delta && settings.is_explicit);
    CU_ASSERT_EQUAL(target->timeout_ms, 3000);
    CU_ASSERT_EQUAL(settings.metric_interval_ms, 500);
    CU_ASSERT_EQUAL(settings.span_interval_ms, 700);
    const struct cmdi_target *traces = &settings.targets[CMDI_SIGNAL_TRACES];
    CU_ASSERT_STRING_EQUAL(traces->url, "http://jaeger:4318/v1/traces");
    CU_ASSERT_EQUAL(traces->timeout_ms, 2000);
    CU_ASSERT_EQUAL_FATAL(traces->header_count, 1);
    CU_ASSERT_STRING_EQUAL(traces->headers[0], "own: 1");
    CU_ASSERT_STRING_EQUAL(said, "");
    cmdi_settings_fini(&settings);
}

/* Returns: the ratio; -1: the runtime's own stays. */
static double sampling_of(const char *sampler, const char *argument)
{
    double ratio = -1;
    forget_environment();
    set("OTEL_TRACES_SAMPLER", sampler);
    if (argument != NULL) {
        set("OTEL_TRACES_SAMPLER_ARG", argument);
    }
    struct cmdi_settings settings = settings_of(&no_options);
    bool is_set = cmdi_otel_sampling(&settings, &ratio);
    cmdi_settings_fini(&settings);
    return is_set ? ratio : -1;
}

static void test_settings_sampler_is_had_or_complained_of(void)
{
    static const struct {
        const char *sampler, *argument;
        double ratio;
        const char *words; // Of a warning. NULL: none.
    } rows[] = {
            {"parentbased_always_on", NULL, 1, NULL},
            {"ParentBased_Always_Off", NULL, 0, NULL},
            {"parentbased_traceidratio", "0.25", 0.25, NULL},
            {"parentbased_traceidratio", NULL, 1, NULL},
            {"parentbased_traceidratio", "0", 0, NULL},
            {"parentbased_always_on", "0.25", 1, NULL}, // It has none.
            {"always_on", NULL, 1, "as parentbased_always_on"},
            {"always_off", NULL, 0, "as parentbased_always_off"},
            {"traceidratio", "1e-3", 0.001, "as parentbased_traceidratio"},
            {"parentbased_traceidratio", "1.5", 1, "OTEL_TRACES_SAMPLER_ARG is not a ratio"},
            {"parentbased_traceidratio", "-1", 1, "OTEL_TRACES_SAMPLER_ARG is not a ratio"},
            {"parentbased_traceidratio", "nan", 1, "OTEL_TRACES_SAMPLER_ARG is not a ratio"},
            {"parentbased_traceidratio", "0.5x", 1, "OTEL_TRACES_SAMPLER_ARG is not a ratio"},
            {"jaeger_remote", "endpoint=x", -1, "OTEL_TRACES_SAMPLER is not always_on"},
            {"alwayson", NULL, -1, "OTEL_TRACES_SAMPLER is not always_on"},
            {"", NULL, -1, NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        double ratio = sampling_of(rows[i].sampler, rows[i].argument);
        CU_ASSERT(ratio == rows[i].ratio);
        CU_ASSERT(rows[i].words == NULL ? said[0] == '\0' : strstr(said, rows[i].words) != NULL);
    }
}

static void test_settings_sampler_of_no_traces_is_none(void)
{
    double ratio = -1;
    forget_environment();
    set("OTEL_TRACES_SAMPLER", "jaeger_remote");
    set("OTEL_TRACES_EXPORTER", "none");
    struct cmdi_settings settings = settings_of(&no_options);
    CU_ASSERT_FALSE(cmdi_otel_sampling(&settings, &ratio));
    CU_ASSERT_STRING_EQUAL(said, "");
    cmdi_settings_fini(&settings);

    struct cmds_otel_options options = CMDS_OTEL_OPTIONS_INIT;
    forget_environment();
    set("OTEL_TRACES_SAMPLER", "always_off");
    options.ignore_environment = true;
    settings = settings_of(&options);
    CU_ASSERT_FALSE(cmdi_otel_sampling(&settings, &ratio));
    cmdi_settings_fini(&settings);
}

static void test_settings_options_come_first(void)
{
    forget_environment();
    set("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://other/path");
    set("OTEL_EXPORTER_OTLP_TIMEOUT", "2000");
    set("OTEL_SERVICE_NAME", "environment");
    set("OTEL_METRIC_EXPORT_INTERVAL", "500");
    struct cmds_otel_options options = CMDS_OTEL_OPTIONS_INIT;
    struct cmdi_settings settings = settings_of(&options);
    // The signal's own is taken as it is.
    CU_ASSERT_STRING_EQUAL(settings.targets[0].url, "http://other/path");
    CU_ASSERT_STRING_EQUAL(settings.service_name, "environment");
    CU_ASSERT_EQUAL(settings.metric_interval_ms, 500);
    cmdi_settings_fini(&settings);

    options.endpoint = "unix:/run/otel.sock";
    options.service_name = "mine";
    options.timeout_ms = 1;
    options.metric_interval_ms = 900;
    settings = settings_of(&options);
    CU_ASSERT_STRING_EQUAL(settings.targets[0].url, "http://localhost/v1/metrics");
    CU_ASSERT_STRING_EQUAL(settings.targets[0].unix_path, "/run/otel.sock");
    CU_ASSERT_STRING_EQUAL(settings.service_name, "mine");
    CU_ASSERT_EQUAL(settings.targets[0].timeout_ms, 1);
    CU_ASSERT_EQUAL(settings.metric_interval_ms, 900);
    cmdi_settings_fini(&settings);

    options = (struct cmds_otel_options)CMDS_OTEL_OPTIONS_INIT;
    options.ignore_environment = true;
    settings = settings_of(&options);
    CU_ASSERT_STRING_EQUAL(settings.targets[0].url, "http://localhost:4318/v1/metrics");
    CU_ASSERT_PTR_NULL(settings.service_name);
    cmdi_settings_fini(&settings);
}

static void is_off_with(const struct cmds_otel_options *options, bool metrics, bool traces)
{
    struct cmdi_settings settings = settings_of(options);
    CU_ASSERT_EQUAL(settings.targets[CMDI_SIGNAL_METRICS].is_off, metrics);
    CU_ASSERT_EQUAL(settings.targets[CMDI_SIGNAL_TRACES].is_off, traces);
    cmdi_settings_fini(&settings);
}

static void test_settings_can_be_off(void)
{
    struct cmds_otel_options options = CMDS_OTEL_OPTIONS_INIT;
    forget_environment();
    set("OTEL_SDK_DISABLED", "true");
    is_off_with(&options, true, true);
    forget_environment();
    set("OTEL_METRICS_EXPORTER", "none");
    is_off_with(&options, true, false);
    forget_environment();
    set("OTEL_TRACES_EXPORTER", "none");
    is_off_with(&options, false, true);
    forget_environment();
    options.no_metrics = true;
    is_off_with(&options, true, false);
    options.no_metrics = false;
    options.no_traces = true;
    is_off_with(&options, false, true);
}

/* A service does not stay away because of a variable: it says so, and takes the default. */
static void test_settings_complain_of_variables(void)
{
    static const char *const bad[][2] = {{"OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317"},
            {"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"}, {"OTEL_EXPORTER_OTLP_TIMEOUT", "10s"},
            {"OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:99999"},
            {"OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector/?key=geheim"},
            {"OTEL_METRICS_EXPORTER", "prometheus"}, {"OTEL_TRACES_EXPORTER", "console"},
            {"OTEL_RESOURCE_ATTRIBUTES", "zone=a,geheim"}, {"OTEL_METRIC_EXPORT_INTERVAL", "-1"},
            {"OTEL_EXPORTER_OTLP_COMPRESSION", "brotli"}, {"OTEL_EXPORTER_OTLP_HEADERS", "geheim"},
            {"OTEL_EXPORTER_OTLP_HEADERS", "a=geheim%0d%0ab: 1"},
            {"OTEL_EXPORTER_OTLP_HEADERS", "b=1,a=geheim%zz,c=2"},
            {"OTEL_EXPORTER_OTLP_HEADERS", "a=geheim%2"}, {"OTEL_RESOURCE_ATTRIBUTES", "a=b%"},
            {"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "both"},
            {"OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "any"}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        forget_environment();
        set(bad[i][0], bad[i][1]);
        struct cmdi_settings settings = settings_of(&no_options);
        CU_ASSERT_PTR_NOT_NULL_FATAL(strstr(said, bad[i][0]));
        CU_ASSERT_PTR_NULL(strstr(strstr(said, bad[i][0]) + 1, bad[i][0])); // Not for each signal.
        CU_ASSERT_PTR_NULL(strstr(said, "geheim"));
        CU_ASSERT(strchr(bad[i][1], '%') == NULL || strstr(bad[i][1], "%0d") != NULL ||
                  strstr(said, "two hexadecimal digits behind each %") != NULL);
        CU_ASSERT_PTR_NULL(settings.resource2);
        CU_ASSERT_STRING_EQUAL(settings.targets[0].url, "http://localhost:4318/v1/metrics");
        CU_ASSERT_EQUAL(settings.targets[0].header_count, 0);
        CU_ASSERT_EQUAL(settings.targets[0].timeout_ms, 10000);
        cmdi_settings_fini(&settings);
    }
}

/* Each is named that was wrong, once: a signal's own, and the one for those that have no own one. */
static void test_settings_complain_of_the_variable_that_it_was(void)
{
    static const struct {
        const char *metrics, *traces, *all; // Values of OTEL_EXPORTER_OTLP_..._TIMEOUT.
        uint32_t metrics_ms, traces_ms;
        const char *said;
    } rows[] = {
            {NULL, NULL, "x", 10000, 10000, "otel: OTEL_EXPORTER_OTLP_TIMEOUT is"},
            {"7", NULL, "x", 7, 10000, "otel: OTEL_EXPORTER_OTLP_TIMEOUT is"},
            {NULL, "8", "x", 10000, 8, "otel: OTEL_EXPORTER_OTLP_TIMEOUT is"},
            {"7", "8", "x", 7, 8, NULL}, // Nobody asks it.
            {"x", NULL, "9", 10000, 9, "otel: OTEL_EXPORTER_OTLP_METRICS_TIMEOUT is"},
            {NULL, "x", "9", 9, 10000, "otel: OTEL_EXPORTER_OTLP_TRACES_TIMEOUT is"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        forget_environment();
        const char *values[] = {rows[i].metrics, rows[i].traces, rows[i].all};
        static const char *const names[] = {"OTEL_EXPORTER_OTLP_METRICS_TIMEOUT",
                "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"};
        for (size_t n = 0; n < 3; n++) {
            if (values[n] != NULL) {
                set(names[n], values[n]);
            }
        }
        struct cmdi_settings settings = settings_of(&no_options);
        CU_ASSERT_EQUAL(settings.targets[CMDI_SIGNAL_METRICS].timeout_ms, rows[i].metrics_ms);
        CU_ASSERT_EQUAL(settings.targets[CMDI_SIGNAL_TRACES].timeout_ms, rows[i].traces_ms);
        size_t size = rows[i].said == NULL ? 0 : strlen(rows[i].said);
        CU_ASSERT(rows[i].said == NULL ? said[0] == '\0' : strncmp(said, rows[i].said, size) == 0);
        const char *end = strchr(said, '\n');
        CU_ASSERT(end == NULL || end[1] == '\0'); // One line.
        cmdi_settings_fini(&settings);
    }
}

static void test_settings_refuse_options(void)
{
    forget_environment();
    static char long_text[CMDI_TEXT_MAX + 1];
    memset(long_text, 'x', CMDI_TEXT_MAX);
    struct cmds_otel_options bad[16];
    for (size_t i = 0; i < 16; i++) {
        bad[i] = no_options;
    }
    bad[0].endpoint = "collector:4318";
    bad[1].headers = "geheim";
    bad[2].headers = "a=geheim\nb";
    bad[3].histograms = 7;
    bad[4].service_name = long_text;
    bad[5].metric_interval_ms = UINT32_MAX;
    bad[6].unused = 1;
    bad[7].endpoint = "http://collector:99999";
    bad[8].endpoint = "http://collector:";
    bad[9].endpoint = "http://[::1]:x";
    bad[10].endpoint = "https://collector/?key=geheim"; // "/v1/traces" would be a part of the key.
    bad[11].endpoint = "http://:4318";
    bad[12].endpoint = "unix:";
    bad[13].resource = "zone=a,geheim";
    bad[14].headers = "key=geheim%zz";
    bad[15].resource = "zone=geheim%4";
    for (size_t i = 0; i < 16; i++) {
        struct cmdi_settings settings;
        struct cmds_error error = CMDS_ERROR_INIT;
        int code = cmdi_settings_init(&settings, &bad[i], &error);
        CU_ASSERT_EQUAL(code, i == 6 ? -E2BIG : -EINVAL);
        CU_ASSERT_EQUAL(error.code, code);
        CU_ASSERT_PTR_NULL(strstr(error.text, "geheim"));
        CU_ASSERT(i < 14 || strstr(error.text, "two hexadecimal digits") != NULL);
        cmdi_settings_fini(&settings);
    }
}

/* One more than there is room for: none is kept, and none is left behind. */
static void test_settings_refuse_too_many_headers(void)
{
    forget_environment();
    char text[CMDI_HEADERS_MAX * 4 + 8] = "";
    size_t size = 0;
    for (uint32_t count = 1; count <= CMDI_HEADERS_MAX + 1; count++) {
        size += (size_t)snprintf(text + size, sizeof(text) - size, "%sk=v", count > 1 ? "," : "");
        struct cmds_otel_options options = no_options;
        struct cmdi_settings settings;
        options.headers = text;
        int code = cmdi_settings_init(&settings, &options, NULL);
        CU_ASSERT_EQUAL(code, count > CMDI_HEADERS_MAX ? -EINVAL : 0);
        cmdi_settings_fini(&settings);
    }
}

static void test_pairs_one_by_one(void)
{
    const char *text = " a = b=c ,, =x, broken,d=%41%4g%,e=%41%25%2c,f=%4";
    char buffer[64];
    struct cmds_pair pair;
    CU_ASSERT_EQUAL_FATAL(cmdi_pairs_next(&text, buffer, sizeof(buffer), &pair), 1);
    CU_ASSERT_TRUE(cmds_string_equal(pair.key, cmds_string_from("a")));
    CU_ASSERT_TRUE(cmds_string_equal(pair.value, cmds_string_from("b=c")));
    CU_ASSERT_EQUAL(cmdi_pairs_next(&text, buffer, sizeof(buffer), &pair), -EINVAL);
    CU_ASSERT_EQUAL(cmdi_pairs_next(&text, buffer, sizeof(buffer), &pair), -EINVAL);
    CU_ASSERT_EQUAL(cmdi_pairs_next(&text, buffer, sizeof(buffer), &pair), -EILSEQ);
    CU_ASSERT_EQUAL_FATAL(cmdi_pairs_next(&text, buffer, sizeof(buffer), &pair), 1);
    CU_ASSERT_TRUE(cmds_string_equal(pair.value, cmds_string_from("A%,")));
    CU_ASSERT_EQUAL(cmdi_pairs_next(&text, buffer, sizeof(buffer), &pair), -EILSEQ);
    CU_ASSERT_EQUAL(cmdi_pairs_next(&text, buffer, sizeof(buffer), &pair), 0);
}

static bool holds(const struct cmdi_proto *proto, const char *text)
{
    struct cmds_bytes bytes = cmdi_proto_bytes_of(proto);
    return memmem(bytes.data, bytes.size, text, strlen(text)) != NULL;
}

static void test_resource_who_comes_first(void)
{
    forget_environment();
    set("OTEL_RESOURCE_ATTRIBUTES", "deployment=test,service.name=third,zone=z%201");
    struct cmds_otel_options options = CMDS_OTEL_OPTIONS_INIT;
    options.resource = "deployment=prod,process.pid=none";
    struct cmdi_settings settings = settings_of(&options);
    struct cmdi_proto proto;
    cmdi_proto_init(&proto, 65536);

    CU_ASSERT_EQUAL(cmdi_resource_make(&proto, &settings), 0);
    CU_ASSERT_TRUE(holds(&proto, "prod") && holds(&proto, "third") && holds(&proto, "z 1"));
    CU_ASSERT_TRUE(holds(&proto, "none") && holds(&proto, "telemetry.sdk.name"));
    CU_ASSERT_FALSE(holds(&proto, "test") || holds(&proto, "unknown_service"));
    cmdi_proto_fini(&proto);
    cmdi_settings_fini(&settings);

    forget_environment();
    settings = settings_of(&no_options);
    cmdi_proto_init(&proto, 65536);
    CU_ASSERT_EQUAL(cmdi_resource_make(&proto, &settings), 0);
    CU_ASSERT_TRUE(holds(&proto, "unknown_service:test_otel_settings"));
    cmdi_proto_fini(&proto);
    cmdi_settings_fini(&settings);
}

static CU_TestInfo tests[] = {
        {"defaults", test_settings_defaults},
        {"of the environment", test_settings_of_the_environment},
        {"a sampler is had or complained of", test_settings_sampler_is_had_or_complained_of},
        {"a sampler of no traces is none", test_settings_sampler_of_no_traces_is_none},
        {"options come first", test_settings_options_come_first},
        {"it can be off", test_settings_can_be_off},
        {"settings complain of the variable that it was",
                test_settings_complain_of_the_variable_that_it_was},
        {"variables are complained of", test_settings_complain_of_variables},
        {"options are refused", test_settings_refuse_options},
        {"refuse too many headers", test_settings_refuse_too_many_headers},
        {"pairs one by one", test_pairs_one_by_one},
        {"resource: who comes first", test_resource_who_comes_first},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("otel_settings", tests)

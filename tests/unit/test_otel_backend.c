/* SPDX-License-Identifier: MIT */
/*
 * An exporter and a backend that lies. Whatever it does, close() comes back, nothing waits without a
 * bound, and what is lost is counted; a batch that may be sent again is. Time limits of requests are
 * hours: a close() that waited for one would hang.
 */
#include "otel/exporter.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include "support/backend.h"
#include "support/harness.h"
#include "support/otel_points.h"
#include "support/otel_spans.h"

enum {
    LONG_MS = 60000, // That nothing takes.
    REQUEST_MS = 3600000,
};

static const struct cmdi_source source = {.read = otel_points_read, .start_ns = 1000};

static char said[65536];

static void on_log(void *context, enum cmds_log_level level, const char *text)
{
    (void)context;
    size_t used = strlen(said);
    (void)snprintf(said + used, sizeof(said) - used, "%s: %s\n", cmds_log_level_name(level), text);
}

static struct cmds_otel_options options_for(const char *endpoint)
{
    struct cmds_otel_options options = CMDS_OTEL_OPTIONS_INIT;
    options.ignore_environment = true;
    options.endpoint = endpoint;
    options.timeout_ms = REQUEST_MS;
    options.service_name = "t";
    options.on_log = on_log;
    said[0] = '\0';
    return options;
}

static struct cmdi_exporter *open_with(const struct cmds_otel_options *options)
{
    struct cmdi_exporter *exporter = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    CU_ASSERT_EQUAL_FATAL(cmdi_exporter_open(&exporter, &source, options, &error), 0);
    return exporter;
}

static struct cmdi_exporter *open_for(const char *endpoint)
{
    struct cmds_otel_options options = options_for(endpoint);
    return open_with(&options);
}

static struct cmds_otel_counters stats(const struct cmdi_exporter *exporter)
{
    struct cmds_otel_counters counters = CMDS_OTEL_COUNTERS_INIT;
    cmdi_exporter_stats(exporter, &counters);
    return counters;
}

static const struct backend_step fine = {.text = BACKEND_OK};

static void test_sends_what_was_collected(void)
{
    struct backend *backend = backend_start(&fine, 1);
    struct cmds_otel_options options = options_for(backend_url(backend));
    options.headers = "api-key=geheim%20ist";
    struct cmdi_exporter *exporter = open_with(&options);

    CU_ASSERT_EQUAL(cmdi_exporter_flush(exporter, LONG_MS), 0);
    char *head = backend_head(backend);
    size_t size = 0;
    uint8_t *body = backend_body(backend, &size);
    CU_ASSERT_PTR_NOT_NULL_FATAL(head);
    CU_ASSERT_EQUAL(strncmp(head, "POST /v1/metrics HTTP/1.1\r\n", 27), 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(head, "\r\nContent-Type: application/x-protobuf\r\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(head, "\r\napi-key: geheim ist\r\n"));
    CU_ASSERT_PTR_NULL(strstr(head, "Expect:"));
    CU_ASSERT_PTR_NOT_NULL(memmem(body, size, "A histogram.", 12));
    CU_ASSERT_PTR_NOT_NULL(memmem(body, size, "telemetry.sdk.name", 18));
    free(head);
    free(body);

    CU_ASSERT_EQUAL(cmdi_exporter_flush(exporter, LONG_MS), 0);
    CU_ASSERT_EQUAL(stats(exporter).batches_sent, 2);
    CU_ASSERT_EQUAL(stats(exporter).batches_dropped, 0);
    cmdi_exporter_close(exporter, LONG_MS);
    CU_ASSERT_EQUAL(backend_requests(backend), 3); // The end flushes.
    CU_ASSERT_STRING_EQUAL(said, "");
    backend_stop(backend);
}

static void test_compresses(void)
{
    struct backend *backend = backend_start(&fine, 1);
    struct cmds_otel_options options = options_for(backend_url(backend));
    options.gzip = true;
    options.histograms = CMDS_OTEL_EXPLICIT;
    struct cmdi_exporter *exporter = open_with(&options);
    CU_ASSERT_EQUAL(cmdi_exporter_flush(exporter, LONG_MS), 0);

    char *head = backend_head(backend);
    CU_ASSERT_PTR_NOT_NULL(strstr(head, "\r\nContent-Encoding: gzip\r\n"));
    size_t size = 0;
    uint8_t *body = backend_body(backend, &size), plain[4096];
    z_stream stream = {
            .next_in = body, .avail_in = (uInt)size, .next_out = plain, .avail_out = sizeof(plain)};
    CU_ASSERT_EQUAL_FATAL(inflateInit2(&stream, 15 + 16), Z_OK);
    CU_ASSERT_EQUAL(inflate(&stream, Z_FINISH), Z_STREAM_END);
    CU_ASSERT_PTR_NOT_NULL(memmem(plain, stream.total_out, "A histogram.", 12));
    (void)inflateEnd(&stream);
    free(head);
    free(body);
    cmdi_exporter_close(exporter, LONG_MS);
    backend_stop(backend);
}

/* Is there a line of this level with this in it? */
static bool was_said(const char *level, const char *text)
{
    const char *at = strstr(said, text);
    while (at != NULL && at > said && at[-1] != '\n') {
        at--;
    }
    return at != NULL && strncmp(at, level, strlen(level)) == 0;
}

/* One refusal, and then it is taken: the same batch, once more. */
static void is_tried_again(const char *refusal, bool is_end, bool is_reset)
{
    const struct backend_step steps[] = {
            {.text = refusal, .is_end = is_end, .is_reset = is_reset}, fine};
    struct backend *backend = backend_start(steps, 2);
    struct cmdi_exporter *exporter = open_for(backend_url(backend));

    CU_ASSERT_EQUAL(cmdi_exporter_flush(exporter, LONG_MS), 0);
    CU_ASSERT_EQUAL(stats(exporter).batches_sent, 1);
    CU_ASSERT_EQUAL(stats(exporter).tries_again, 1);
    CU_ASSERT_EQUAL(stats(exporter).batches_dropped, 0);
    CU_ASSERT_EQUAL(backend_requests(backend), 2);
    // The first one is a warning; the next ones are told as info.
    CU_ASSERT_TRUE(was_said("warn: ", "again in"));
    cmdi_exporter_close(exporter, LONG_MS);
    backend_stop(backend);
}

static void test_tries_again(void)
{
    is_tried_again("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", false, false);
    is_tried_again(
            "HTTP/1.1 429 Slow\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n", false, false);
    is_tried_again("HTTP/1.1 502 Bad\r\nRetry-After: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
                   "Content-Length: 0\r\n\r\n",
            false, false);
    is_tried_again("HTTP/1.1 20", true, false); // Half a head.
    is_tried_again("\x16\x03\x01 what is this?\r\n\r\n", true, false);
    is_tried_again("", false, true);
}

static void test_refusals_are_dropped_at_once(void)
{
    static const struct backend_step bad = {
            .text = "HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\n\r\nno!"};
    struct backend *backend = backend_start(&bad, 1);
    struct cmdi_exporter *exporter = open_for(backend_url(backend));

    CU_ASSERT_EQUAL(cmdi_exporter_flush(exporter, LONG_MS), -EIO);
    CU_ASSERT_EQUAL(stats(exporter).batches_dropped, 1);
    CU_ASSERT_EQUAL(stats(exporter).tries_again, 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(said, "HTTP 400"));
    cmdi_exporter_close(exporter, LONG_MS);
    backend_stop(backend);
}

/* The batch is taken, but for some of it; or there is only a warning; or a body that is none. */
static void test_partial_success(void)
{
    static const char some[] =
            "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n\x0a\x08\x08\x03\x12\x04oops";
    static const char lie[] =
            "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n\x0a\x06\x08\xff\xff\xff\xff\x0f";
    static const char warning[] =
            "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n\x0a\x06\x12\x04oh\x1b!";
    static const char json[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    static const char half[] = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n\x0a";
    const struct backend_step steps[] = {{.text = some}, {.text = lie}, {.text = warning},
            {.text = json}, {.text = half, .is_end = true}};
    struct backend *backend = backend_start(steps, 5);
    struct cmdi_exporter *exporter = open_for(backend_url(backend));
    for (uint64_t i = 1; i <= 5; i++) {
        CU_ASSERT_EQUAL(cmdi_exporter_flush(exporter, LONG_MS), 0);
        CU_ASSERT_EQUAL(stats(exporter).batches_sent, i);
    }
    CU_ASSERT_EQUAL(stats(exporter).items_rejected, 3 + 4); // No more than there were.
    CU_ASSERT_EQUAL(stats(exporter).tries_again, 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(said, "3 of 4 were rejected: oops"));
    CU_ASSERT_PTR_NULL(strchr(said, '\x1b'));
    cmdi_exporter_close(exporter, LONG_MS);
    backend_stop(backend);
}

static void test_close_comes_back_whatever_the_backend_does(void)
{
    static const struct backend_step acts[] = {
            {.act = BACKEND_SILENCE},
            {.text = "HTTP/1.1 200 OK\r\nContent-Le"},
            {.text = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"},
            {.text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\nx"},
            {.text = "HTTP/1.1 503 Busy\r\nRetry-After: 25\r\nContent-Length: 0\r\n\r\n"},
            {.text = "HTTP/1.1 100 Continue\r\n\r\n"},
            {.is_reset = true},
    };
    for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
        struct backend *backend = backend_start(&acts[i], 1);
        struct cmdi_exporter *exporter = open_for(backend_url(backend));
        CU_ASSERT_EQUAL(cmdi_exporter_flush(exporter, 1), -ETIMEDOUT);
        CU_ASSERT_TRUE(backend_wait(backend, 1));
        CU_ASSERT_EQUAL(stats(exporter).batches_sent, 0);
        cmdi_exporter_close(exporter, i % 2 == 0 ? 100 : 0);
        backend_stop(backend);
    }
}

/* What it asks for is after the end: it is not waited for at all. */
static void test_close_does_not_wait_in_vain(void)
{
    static const struct backend_step busy = {
            .text = "HTTP/1.1 503 Busy\r\nRetry-After: 25\r\nContent-Length: 0\r\n\r\n"};
    struct backend *backend = backend_start(&busy, 1);
    struct cmdi_exporter *exporter = open_for(backend_url(backend));
    cmdi_exporter_close(exporter, 20000);
    CU_ASSERT_EQUAL(backend_requests(backend), 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(said, "again in"));
    CU_ASSERT_PTR_NOT_NULL(
            strstr(said, "refused (HTTP 503): the exporter ends, 1 batch is dropped"));
    backend_stop(backend);
}

static void test_nobody_is_there(void)
{
    struct backend *backend = backend_start(&fine, 1);
    char url[64];
    (void)snprintf(url, sizeof(url), "%s", backend_url(backend));
    backend_stop(backend);
    struct cmdi_exporter *exporter = open_for(url);
    CU_ASSERT_EQUAL(cmdi_exporter_flush(exporter, 1), -ETIMEDOUT);
    cmdi_exporter_close(exporter, 1);
}

static void pause_ms(long ms)
{
    struct timespec pause = {.tv_nsec = ms * 1000000};
    (void)nanosleep(&pause, NULL);
}

static void test_a_full_queue_counts_drops(void)
{
    static const struct backend_step silence = {.act = BACKEND_SILENCE};
    struct backend *backend = backend_start(&silence, 1);
    struct cmds_otel_options options = options_for(backend_url(backend));
    options.metric_interval_ms = 1;
    struct cmdi_exporter *exporter = open_with(&options);

    while (stats(exporter).batches_dropped < 3) { // Without the bound, the alarm ends it.
        pause_ms(1);
    }
    CU_ASSERT_TRUE(backend_wait(backend, 1));
    struct cmds_otel_counters counters = stats(exporter);
    CU_ASSERT_EQUAL(counters.batches_sent, 0);
    CU_ASSERT_EQUAL(counters.points_sent, 0);
    // Each batch has all points; the exporter goes on while they are read.
    CU_ASSERT(counters.points_dropped >= 3 * 2 && counters.spans_dropped == 0);
    cmdi_exporter_close(exporter, 0);
    CU_ASSERT_EQUAL(backend_requests(backend), 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(said, "wait already"));
    CU_ASSERT_PTR_NOT_NULL(strstr(said, "3 batches are dropped")); // One was sent, two waited.
    backend_stop(backend);
}

static void test_a_child_exports_nothing(void)
{
    struct backend *backend = backend_start(&fine, 1);
    struct cmdi_exporter *exporter = open_for(backend_url(backend));
    CU_ASSERT_EQUAL(cmdi_exporter_flush(exporter, LONG_MS), 0);
    pid_t child = fork();
    if (child == 0) {
        int code = cmdi_exporter_flush(exporter, LONG_MS);
        cmdi_exporter_close(exporter, LONG_MS);
        _exit(code == CMDS_E_FORKED ? 0 : 1);
    }
    int status = 1;
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    CU_ASSERT_EQUAL(status, 0);
    CU_ASSERT_EQUAL(backend_requests(backend), 1);
    CU_ASSERT_EQUAL(cmdi_exporter_flush(exporter, LONG_MS), 0);
    cmdi_exporter_close(exporter, LONG_MS);
    backend_stop(backend);
}

/* SigBlk of the thread with this name; 0: there is none. */
static unsigned long long blocked_signals(const char *name)
{
    unsigned long long blocked = 0;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *task; tasks != NULL && (task = readdir(tasks)) != NULL;) {
        char path[300], text[4096] = "";
        (void)snprintf(path, sizeof(path), "/proc/self/task/%s/status", task->d_name);
        FILE *file = fopen(path, "r");
        size_t size = file == NULL ? 0 : fread(text, 1, sizeof(text) - 1, file);
        text[size] = '\0';
        const char *mask = strstr(text, "SigBlk:");
        if (mask != NULL && strncmp(text + 6, name, strlen(name)) == 0) {
            blocked = strtoull(mask + 7, NULL, 16);
        }
        if (file != NULL) {
            (void)fclose(file);
        }
    }
    if (tasks != NULL) {
        (void)closedir(tasks);
    }
    return blocked;
}

static void test_its_thread_takes_no_signals(void)
{
    struct backend *backend = backend_start(&fine, 1);
    struct cmdi_exporter *exporter = open_for(backend_url(backend));
    CU_ASSERT_EQUAL(cmdi_exporter_flush(exporter, LONG_MS), 0); // It has its name by now.
    unsigned long long blocked = blocked_signals("cmds-otel");
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGALRM, SIGPIPE, SIGCHLD};
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        CU_ASSERT_TRUE(blocked >> (signals[i] - 1) & 1);
    }
    cmdi_exporter_close(exporter, LONG_MS);
    backend_stop(backend);
}

/* Of a password in the address, and of headers, nothing is ever said. */
static void test_secrets_are_not_said(void)
{
    static const struct backend_step bad = {
            .text = "HTTP/1.1 401 Who?\r\nContent-Length: 0\r\n\r\n"};
    struct backend *backend = backend_start(&bad, 1);
    char url[128];
    (void)snprintf(url, sizeof(url), "http://user:geheim@%s", backend_url(backend) + 7);
    struct cmds_otel_options options = options_for(url);
    options.headers = "api-key=geheim";
    struct cmdi_exporter *exporter = open_with(&options);
    CU_ASSERT_EQUAL(cmdi_exporter_flush(exporter, LONG_MS), -EIO);
    cmdi_exporter_close(exporter, LONG_MS);
    char *head = backend_head(backend);
    CU_ASSERT_PTR_NOT_NULL(strstr(head, "Authorization: Basic"));
    CU_ASSERT_PTR_NOT_NULL(strstr(said, "HTTP 401"));
    CU_ASSERT_PTR_NULL(strstr(said, "geheim"));
    free(head);
    backend_stop(backend);
}

static void test_off_is_off(void)
{
    struct backend *backend = backend_start(&fine, 1);
    struct cmds_otel_options options = options_for(backend_url(backend));
    options.ignore_environment = false;
    CU_ASSERT_EQUAL_FATAL(setenv("OTEL_SDK_DISABLED", "true", 1), 0);
    struct cmdi_exporter *exporter = open_with(&options);
    (void)unsetenv("OTEL_SDK_DISABLED");
    CU_ASSERT_EQUAL(cmdi_exporter_flush(exporter, LONG_MS), 0);
    cmdi_exporter_close(exporter, LONG_MS);
    CU_ASSERT_EQUAL(backend_requests(backend), 0);
    backend_stop(backend);
}

/* ---- Spans ----------------------------------------------------------------------------------- */

static _Atomic uint32_t spans_left;

static uint32_t take_spans(void *context, struct cmds_span *out, uint32_t count_max)
{
    (void)context;
    uint32_t count = atomic_load(&spans_left);
    count = count < count_max ? count : count_max;
    for (uint32_t i = 0; i < count; i++) {
        otel_span_server(&out[i]);
    }
    atomic_fetch_sub(&spans_left, count);
    return count;
}

static struct cmdi_exporter *open_with_spans(const struct cmds_otel_options *options)
{
    static const struct cmdi_source both = {
            .read = otel_points_read, .take = take_spans, .start_ns = 1000};
    struct cmdi_exporter *exporter = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    CU_ASSERT_EQUAL_FATAL(cmdi_exporter_open(&exporter, &both, options, &error), 0);
    return exporter;
}

/* A flush sends all that there are, however many batches they make. */
static void test_spans_are_sent(void)
{
    struct backend *backend = backend_start(&fine, 1);
    struct cmds_otel_options options = options_for(backend_url(backend));
    options.no_metrics = true;
    options.span_interval_ms = REQUEST_MS;
    atomic_store(&spans_left, 3000);
    struct cmdi_exporter *exporter = open_with_spans(&options);
    CU_ASSERT_EQUAL(cmdi_exporter_flush(exporter, LONG_MS), 0);
    CU_ASSERT_EQUAL(atomic_load(&spans_left), 0);
    CU_ASSERT_EQUAL(stats(exporter).spans_sent, 3000);
    CU_ASSERT_EQUAL(stats(exporter).batches_sent, 6);
    char *head = backend_head(backend);
    CU_ASSERT_EQUAL(strncmp(head, "POST /v1/traces HTTP/1.1\r\n", 26), 0);
    free(head);

    CU_ASSERT_EQUAL(cmdi_exporter_flush(exporter, LONG_MS), 0); // There are none, and no batch.
    CU_ASSERT_EQUAL(backend_requests(backend), 6);
    atomic_store(&spans_left, 7);
    cmdi_exporter_close(exporter, LONG_MS);
    CU_ASSERT_EQUAL(backend_requests(backend), 7);
    backend_stop(backend);
}

/* By themselves, when they have waited long enough. */
static void test_spans_are_looked_for(void)
{
    struct backend *backend = backend_start(&fine, 1);
    struct cmds_otel_options options = options_for(backend_url(backend));
    options.no_metrics = true;
    options.span_interval_ms = 1;
    atomic_store(&spans_left, 5);
    struct cmdi_exporter *exporter = open_with_spans(&options);
    CU_ASSERT_TRUE(backend_wait(backend, 1));
    cmdi_exporter_close(exporter, LONG_MS);
    backend_stop(backend);
}

/* A backend that says nothing: what cannot be sent stays with the runtime, and is no loss of ours. */
static void test_spans_stay_with_the_runtime(void)
{
    static const struct backend_step silence = {.act = BACKEND_SILENCE};
    struct backend *backend = backend_start(&silence, 1);
    struct cmds_otel_options options = options_for(backend_url(backend));
    options.no_metrics = true;
    atomic_store(&spans_left, 100000);
    struct cmdi_exporter *exporter = open_with_spans(&options);
    CU_ASSERT_TRUE(backend_wait(backend, 1));
    CU_ASSERT_EQUAL(cmdi_exporter_flush(exporter, 1), -ETIMEDOUT);
    CU_ASSERT(atomic_load(&spans_left) >= 100000 - 4 * 512);
    CU_ASSERT_EQUAL(stats(exporter).spans_dropped, 0);
    cmdi_exporter_close(exporter, 1);
    backend_stop(backend);
}

/* One that is silent to spans does not keep metrics back. */
static void test_signals_do_not_wait_for_each_other(void)
{
    static const struct backend_step silence = {.act = BACKEND_SILENCE};
    struct backend *backend = backend_start(&fine, 1), *silent = backend_start(&silence, 1);
    char url[96];
    (void)snprintf(url, sizeof(url), "%s/v1/traces", backend_url(silent));
    struct cmds_otel_options options = options_for(NULL);
    options.ignore_environment = false;
    options.metric_interval_ms = 1;
    CU_ASSERT_EQUAL_FATAL(setenv("no_proxy", "127.0.0.1", 1), 0);
    (void)unsetenv("OTEL_TRACES_EXPORTER");
    (void)unsetenv("OTEL_METRICS_EXPORTER");
    CU_ASSERT_EQUAL_FATAL(setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", url, 1), 0);
    CU_ASSERT_EQUAL_FATAL(setenv("OTEL_EXPORTER_OTLP_ENDPOINT", backend_url(backend), 1), 0);
    atomic_store(&spans_left, 512);
    struct cmdi_exporter *exporter = open_with_spans(&options);
    (void)unsetenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
    (void)unsetenv("OTEL_EXPORTER_OTLP_ENDPOINT");
    CU_ASSERT_TRUE(backend_wait(silent, 1));
    uint32_t requests = backend_requests(backend);
    CU_ASSERT_TRUE(backend_wait(backend, requests + 2));
    CU_ASSERT_EQUAL(stats(exporter).spans_sent, 0);
    cmdi_exporter_close(exporter, 0);
    backend_stop(backend);
    backend_stop(silent);
}

/* --- What is waited for before it is read ------------------------------------------------------ */

struct settler {
    struct cmdi_exporter *exporter;
    bool loses; // In its wait a batch is lost.
    uint64_t deadline_ns;
};

static void settle(void *context, uint64_t deadline_ns)
{
    struct settler *settler = context;
    bool loses = settler->loses;
    settler->loses = false;
    if (loses) {
        CU_ASSERT_EQUAL(cmdi_exporter_flush(settler->exporter, LONG_MS), -EIO);
    }
    settler->deadline_ns = deadline_ns;
}

/* Half of the time, at most 5 s. */
static void expect_to_settle(struct settler *settler, uint32_t timeout_ms, uint64_t within_ns)
{
    uint64_t before_ns = cmds_now_ns();
    CU_ASSERT_EQUAL(cmdi_exporter_flush(settler->exporter, timeout_ms), 0);
    CU_ASSERT(settler->deadline_ns >= before_ns + within_ns);
    CU_ASSERT(settler->deadline_ns <= cmds_now_ns() + within_ns);
}

static void test_settles_before_it_reads(void)
{
    static const struct backend_step steps[] = {
            {.text = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"},
            {.text = BACKEND_OK}};
    struct backend *backend = backend_start(steps, 2);
    struct settler settler = {.loses = true};
    struct cmdi_source settled = source;
    struct cmds_otel_options options = options_for(backend_url(backend));
    struct cmds_error error = CMDS_ERROR_INIT;
    settled.settle = settle;
    settled.context = &settler;
    CU_ASSERT_EQUAL_FATAL(cmdi_exporter_open(&settler.exporter, &settled, &options, &error), 0);

    CU_ASSERT_EQUAL(cmdi_exporter_flush(settler.exporter, LONG_MS), -EIO);
    CU_ASSERT_EQUAL(stats(settler.exporter).batches_sent, 1);
    expect_to_settle(&settler, LONG_MS, (uint64_t)5 * 1000 * 1000 * 1000);
    expect_to_settle(&settler, 9999, (uint64_t)4999500 * 1000);
    settler.deadline_ns = 0;
    cmdi_exporter_close(settler.exporter, 0);
    CU_ASSERT_EQUAL(settler.deadline_ns, 0); // At once.
    backend_stop(backend);
}

static CU_TestInfo tests[] = {
        {"sends what was collected", test_sends_what_was_collected},
        {"compresses", test_compresses},
        {"tries again", test_tries_again},
        {"refusals are dropped at once", test_refusals_are_dropped_at_once},
        {"settles before it reads", test_settles_before_it_reads},
        {"partial success", test_partial_success},
        {"close comes back, whatever the backend does",
                test_close_comes_back_whatever_the_backend_does},
        {"close does not wait in vain", test_close_does_not_wait_in_vain},
        {"nobody is there", test_nobody_is_there},
        {"a full queue counts drops", test_a_full_queue_counts_drops},
        {"a child exports nothing", test_a_child_exports_nothing},
        {"its thread takes no signals", test_its_thread_takes_no_signals},
        {"secrets are not said", test_secrets_are_not_said},
        {"off is off", test_off_is_off},
        {"spans are sent", test_spans_are_sent},
        {"spans are looked for", test_spans_are_looked_for},
        {"spans stay with the runtime", test_spans_stay_with_the_runtime},
        {"signals do not wait for each other", test_signals_do_not_wait_for_each_other},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("otel_backend", tests)

/* SPDX-License-Identifier: MIT */
/*
 * Metrics that a program defines. What may go wrong: an addition that is lost where threads meet, a
 * shard that writes to another one's place, a definition that has Prometheus throw away the whole
 * scrape, a time in the wrong unit, an id that is none.
 */
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmdstream/telemetry.h>

#include "support/metrics.h"
#include "support/read_metrics.h"
#include "support/world.h"

enum {
    SHARDS = 2,
    THREADS = 4,
    TIMES = 3000 * 1000, // Long enough that threads meet.
    RECORDS = 20 * 1000
};

static struct cmds_runtime *runtime_of(void)
{
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_runtime *runtime = NULL;
    options.shard_count = SHARDS;
    CU_ASSERT_EQUAL_FATAL(cmds_runtime_start(&runtime, &options, NULL), 0);
    return runtime;
}

static int define(struct cmds_runtime *runtime, enum cmds_metric_kind kind, const char *name,
        const char *unit, uint32_t *id)
{
    struct cmds_metric_options options = CMDS_METRIC_OPTIONS_INIT;
    options.kind = (uint8_t)kind;
    options.name = name;
    options.unit = unit;
    options.description = "Something.";
    return cmds_metric_define(runtime, &options, id);
}

/* --- Counting --------------------------------------------------------------------------------- */

struct counting {
    struct cmds_runtime *runtime;
    uint32_t counter, gauge, times, sizes;
    _Atomic uint32_t begun, ready;
};

static void count(void *context)
{
    struct counting *counting = context;
    atomic_fetch_add(&counting->begun, 1);
    while (atomic_load(&counting->begun) < SHARDS + THREADS) {
        (void)sched_yield();
    }
    for (int i = 0; i < TIMES; i++) {
        cmds_metric_add(counting->runtime, counting->counter, 2);
    }
    for (int i = 0; i < RECORDS; i++) {
        cmds_metric_add(counting->runtime, counting->gauge, i % 2 == 0 ? 3 : -4);
        cmds_metric_record(counting->runtime, counting->times, 20 * 1000);
        cmds_metric_record(counting->runtime, counting->sizes, 1000);
    }
    atomic_fetch_add(&counting->ready, 1);
}

static void *count_on_a_thread(void *context)
{
    count(context);
    return NULL;
}

static struct cmds_distribution found_distribution;
static uint64_t found_buckets[4];

static int find_histogram(
        void *context, const struct cmds_metric *metric, const struct cmds_point *point)
{
    if (strcmp(metric->name, context) == 0 && point->distribution != NULL) {
        found_distribution = *point->distribution;
        uint32_t held = point->distribution->bucket_count;
        held = held < 4 ? held : 4;
        memcpy(found_buckets, point->distribution->buckets, held * sizeof(uint64_t));
    }
    return 0;
}

static void test_own_sums_are_exact_wherever_it_was_counted(void)
{
    struct counting counting = {.runtime = runtime_of()};
    pthread_t threads[THREADS];
    CU_ASSERT_EQUAL(define(counting.runtime, CMDS_METRIC_COUNTER, "app.orders", "{order}",
                            &counting.counter),
            0);
    CU_ASSERT_EQUAL(
            define(counting.runtime, CMDS_METRIC_GAUGE, "app.open", NULL, &counting.gauge), 0);
    CU_ASSERT_EQUAL(
            define(counting.runtime, CMDS_METRIC_HISTOGRAM, "app.wait", "s", &counting.times), 0);
    CU_ASSERT_EQUAL(
            define(counting.runtime, CMDS_METRIC_HISTOGRAM, "app.size", "By", &counting.sizes), 0);

    for (uint32_t i = 0; i < SHARDS; i++) {
        CU_ASSERT_EQUAL(cmds_runtime_post(counting.runtime, i, count, &counting), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        CU_ASSERT_EQUAL(pthread_create(&threads[i], NULL, count_on_a_thread, &counting), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    while (atomic_load(&counting.ready) < SHARDS + THREADS) {
        (void)usleep(1000);
    }

    int64_t all = (SHARDS + THREADS) * RECORDS;
    CU_ASSERT_EQUAL(metric_total(counting.runtime, "app.orders"), 2LL * (SHARDS + THREADS) * TIMES);
    CU_ASSERT_EQUAL(metric_total(counting.runtime, "app.open"), -all / 2);
    (void)cmds_telemetry_read(counting.runtime, 0, find_histogram, (void *)"app.wait");
    CU_ASSERT_EQUAL(found_distribution.count, (uint64_t)all);
    CU_ASSERT_EQUAL(found_distribution.scale, 3);
    CU_ASSERT_EQUAL(found_distribution.offset, -125); // 20 us: 2^(-125/8) < 20e-6 <= 2^(-124/8).
    CU_ASSERT_EQUAL(found_distribution.bucket_count, 1);
    CU_ASSERT_EQUAL(found_buckets[0], (uint64_t)all);
    CU_ASSERT(fabs(found_distribution.sum - 20e-6 * (double)all) < 1e-9);
    (void)cmds_telemetry_read(counting.runtime, 0, find_histogram, (void *)"app.size");
    CU_ASSERT_EQUAL(found_distribution.count, (uint64_t)all);
    CU_ASSERT_EQUAL(found_distribution.offset, 9); // 512 < 1000 <= 1024.
    CU_ASSERT(fabs(found_distribution.sum - 1000 * (double)all) < 0.5);

    for (uint32_t i = 0; i <= SHARDS; i++) {
        char shard[16] = "none";
        if (i < SHARDS) {
            (void)snprintf(shard, sizeof(shard), "%u", (unsigned)i);
        }
        struct metric_sum of = {.name = "app.orders", .key = "cmdstream.shard", .value = shard};
        struct metric_sum found = metric_read(counting.runtime, CMDS_READ_BY_SHARD, of);
        CU_ASSERT_EQUAL(found.points, 1);
        CU_ASSERT_EQUAL(found.integer, 2 * TIMES * (i < SHARDS ? 1 : THREADS));
    }
    cmds_runtime_stop(counting.runtime);
}

struct huge {
    struct cmds_runtime *runtime;
    uint32_t times, sizes;
    _Atomic uint32_t ready;
};

static void record_huge(void *context)
{
    struct huge *huge = context;
    cmds_metric_record(huge->runtime, huge->times, UINT64_MAX / 4 * 3);
    cmds_metric_record(huge->runtime, huge->sizes, UINT64_MAX / 4 * 3);
    atomic_fetch_add(&huge->ready, 1);
}

/* A sum that fell would be taken for a restart. */
static void test_own_sums_end_at_the_last_number(void)
{
    struct huge huge = {.runtime = runtime_of()};
    double last[2] = {0, 0}, most[2] = {(double)UINT64_MAX / 1e9, (double)UINT64_MAX};
    CU_ASSERT_EQUAL(define(huge.runtime, CMDS_METRIC_HISTOGRAM, "t", "s", &huge.times), 0);
    CU_ASSERT_EQUAL(define(huge.runtime, CMDS_METRIC_HISTOGRAM, "b", "By", &huge.sizes), 0);

    for (uint32_t i = 1; i <= 6; i++) { // Here, and on both shards: each alone, and their sum.
        if (i % 2 == 1) {
            record_huge(&huge);
        } else {
            CU_ASSERT_EQUAL(cmds_runtime_post(huge.runtime, i / 2 % SHARDS, record_huge, &huge), 0);
        }
        while (atomic_load(&huge.ready) < i) {
            (void)sched_yield();
        }
        for (uint32_t which = 0; which < 2; which++) {
            struct metric_sum of = {.name = which == 0 ? "t" : "b"};
            struct metric_sum found = metric_read(huge.runtime, 0, of);
            CU_ASSERT_EQUAL(found.count, i);
            CU_ASSERT(found.real >= last[which] && found.real <= most[which]);
            CU_ASSERT(i == 1 || found.real == most[which]);
            last[which] = found.real;
        }
    }
    cmds_runtime_stop(huge.runtime);
}

static void test_own_times_are_seconds(void)
{
    struct cmds_runtime *runtime = runtime_of();
    uint32_t counter, gauge;
    CU_ASSERT_EQUAL(define(runtime, CMDS_METRIC_COUNTER, "app.busy", "s", &counter), 0);
    CU_ASSERT_EQUAL(define(runtime, CMDS_METRIC_GAUGE, "app.offset", "s", &gauge), 0);

    cmds_metric_add(runtime, counter, 1500 * 1000 * 1000);
    cmds_metric_add(runtime, gauge, -250 * 1000 * 1000);

    CU_ASSERT_EQUAL(metric_read(runtime, 0, (struct metric_sum){.name = "app.busy"}).real, 1.5);
    CU_ASSERT_EQUAL(metric_read(runtime, 0, (struct metric_sum){.name = "app.offset"}).real, -0.25);
    cmds_runtime_stop(runtime);
}

static void test_own_ids_that_are_none_count_nothing(void)
{
    struct cmds_runtime *runtime = runtime_of();
    cmds_metric_add(runtime, 0, 1); // Nothing was defined yet.
    cmds_metric_record(runtime, 7, 1);
    uint32_t counter, histogram;
    CU_ASSERT_EQUAL(define(runtime, CMDS_METRIC_COUNTER, "a", NULL, &counter), 0);
    CU_ASSERT_EQUAL(define(runtime, CMDS_METRIC_HISTOGRAM, "b", NULL, &histogram), 0);

    cmds_metric_add(runtime, counter, -5);  // A counter does not fall,
    cmds_metric_add(runtime, histogram, 1); // and kinds are not mixed.
    cmds_metric_record(runtime, counter, 1);
    cmds_metric_add(runtime, 2, 1);
    cmds_metric_record(runtime, UINT32_MAX, 1);

    CU_ASSERT_EQUAL(metric_read(runtime, 0, (struct metric_sum){.name = "a"}).integer, 0);
    CU_ASSERT_EQUAL(metric_read(runtime, 0, (struct metric_sum){.name = "b"}).count, 0);
    cmds_runtime_stop(runtime);
}

/* --- Definitions ------------------------------------------------------------------------------ */

static void test_own_definitions_that_are_refused(void)
{
    static const char *const bad[] = {
            "", "9a", "_a", ".a", "a b", "a\"", "a\n", "\xc3\xa4", "a{}", NULL};
    struct cmds_runtime *runtime = runtime_of();
    uint32_t id = 77;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CU_ASSERT_EQUAL(define(runtime, CMDS_METRIC_COUNTER, bad[i], NULL, &id), -EINVAL);
    }
    char longest[129];
    memset(longest, 'a', sizeof(longest));
    longest[128] = '\0';
    CU_ASSERT_EQUAL(define(runtime, CMDS_METRIC_COUNTER, longest, NULL, &id), -EINVAL);
    CU_ASSERT_EQUAL(define(runtime, CMDS_METRIC_COUNTER, "a", "a\nb", &id), -EINVAL);
    CU_ASSERT_EQUAL(define(runtime, CMDS_METRIC_COUNTER, "a", longest, &id), -EINVAL);
    CU_ASSERT_EQUAL(define(runtime, (enum cmds_metric_kind)3, "a", NULL, &id), -EINVAL);
    CU_ASSERT_EQUAL(
            define(runtime, CMDS_METRIC_COUNTER, "cmd-stream.server.x", NULL, &id), -EEXIST);
    CU_ASSERT_EQUAL(define(runtime, CMDS_METRIC_COUNTER, "cmdstream-turns", NULL, &id), -EEXIST);
    CU_ASSERT_EQUAL(define(runtime, CMDS_METRIC_COUNTER, "process/cpu", "s", &id), -EEXIST);
    struct cmds_metric_options options = {0};
    CU_ASSERT_EQUAL(cmds_metric_define(runtime, &options, &id), -EINVAL);
    CU_ASSERT_EQUAL(cmds_metric_define(runtime, NULL, &id), -EINVAL);
    options = (struct cmds_metric_options)CMDS_METRIC_OPTIONS_INIT;
    options.name = "a";
    options.unused[1] = 1;
    CU_ASSERT_EQUAL(cmds_metric_define(runtime, &options, &id), -E2BIG);
    CU_ASSERT_EQUAL(id, 77);
    longest[127] = '\0';
    CU_ASSERT_EQUAL(define(runtime, CMDS_METRIC_COUNTER, longest, "By", &id), 0);
    cmds_runtime_stop(runtime);
}

static void test_own_names_are_taken_once(void)
{
    struct cmds_runtime *runtime = runtime_of();
    uint32_t first, id = 77;
    CU_ASSERT_EQUAL(define(runtime, CMDS_METRIC_HISTOGRAM, "app.x", "s", &first), 0);
    CU_ASSERT_EQUAL(define(runtime, CMDS_METRIC_HISTOGRAM, "app.x", "s", &id), 0);
    CU_ASSERT_EQUAL(id, first);
    CU_ASSERT_EQUAL(define(runtime, CMDS_METRIC_GAUGE, "app.x", "s", &id), -EEXIST);
    CU_ASSERT_EQUAL(define(runtime, CMDS_METRIC_GAUGE, "app-x.seconds", NULL, &id), -EEXIST);
    CU_ASSERT_EQUAL(define(runtime, CMDS_METRIC_GAUGE, "app.x.seconds.sum", NULL, &id), -EEXIST);
    CU_ASSERT_EQUAL(define(runtime, CMDS_METRIC_GAUGE, "app_x_seconds_bucket", NULL, &id), -EEXIST);
    CU_ASSERT_EQUAL(define(runtime, CMDS_METRIC_GAUGE, "app.y.count", NULL, &id), 0);
    CU_ASSERT_EQUAL(define(runtime, CMDS_METRIC_HISTOGRAM, "app.y", NULL, &id), -EEXIST);
    CU_ASSERT_EQUAL(define(runtime, CMDS_METRIC_COUNTER, "app.z", NULL, &id), 0);
    CU_ASSERT_EQUAL(define(runtime, CMDS_METRIC_GAUGE, "app.z_total", NULL, &id), -EEXIST);
    CU_ASSERT_EQUAL(define(runtime, CMDS_METRIC_GAUGE, "app.z", NULL, &id), -EEXIST);
    cmds_runtime_stop(runtime);
}

static void test_own_metrics_are_so_many_and_written(void)
{
    static char names[CMDS_METRICS_MAX + 1][16];
    static char text[1 << 20];
    struct cmds_runtime *runtime = runtime_of();
    struct cmdi_metrics found;
    unsigned line;
    uint32_t id;
    for (uint32_t i = 0; i <= CMDS_METRICS_MAX; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "app.m%u", (unsigned)i);
        int code = define(runtime, (enum cmds_metric_kind)(i % 3), names[i], NULL, &id);
        CU_ASSERT_EQUAL(code, i < CMDS_METRICS_MAX ? 0 : -ENOSPC);
    }
    CU_ASSERT_EQUAL(id, CMDS_METRICS_MAX - 1);
    int64_t size = cmds_telemetry_write(runtime, CMDS_FORMAT_OPENMETRICS, 0, text, sizeof(text));
    CU_ASSERT_FATAL(size > 0 && size < (int64_t)sizeof(text));
    CU_ASSERT_PTR_NULL(cmdi_metrics_text(text, (size_t)size, true, &found, &line));
    CU_ASSERT(found.families > CMDS_METRICS_MAX);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "# HELP app_m255 Something.\n# TYPE app_m255 counter\n"
                                        "app_m255_total 0\n"));
    cmds_runtime_stop(runtime);
}

CU_TestInfo test_telemetry_own[] = {
        {"sums are exact wherever it was counted", test_own_sums_are_exact_wherever_it_was_counted},
        {"sums end at the last number", test_own_sums_end_at_the_last_number},
        {"times are seconds", test_own_times_are_seconds},
        {"ids that are none count nothing", test_own_ids_that_are_none_count_nothing},
        {"definitions that are refused", test_own_definitions_that_are_refused},
        {"names are taken once", test_own_names_are_taken_once},
        {"metrics are so many and written", test_own_metrics_are_so_many_and_written},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("telemetry_own", test_telemetry_own)

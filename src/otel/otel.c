/* SPDX-License-Identifier: MIT */
/* The functions of <cmdstream/otel.h>: an exporter that reads a runtime. */
#include <cmdstream/otel.h>

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>

#include "base/cond.h"
#include "base/error.h"
#include "base/time.h"
#include "otel/exporter.h"

/* struct cmds_otel is struct cmdi_exporter, by the name that a program has for it. */
static struct cmdi_exporter *exporter_of(struct cmds_otel *otel)
{
    return (struct cmdi_exporter *)otel;
}

static int read_runtime(void *context, uint32_t flags, cmds_point_fn fn, void *fn_context)
{
    return cmds_telemetry_read(context, flags, fn, fn_context);
}

static uint32_t take_spans(void *context, struct cmds_span *out, uint32_t count_max)
{
    return cmds_span_take(context, out, count_max);
}

/* Whoever sets OTEL_TRACES_SAMPLER means these, and no bound of a second beside it. */
static int sample_roots(void *context, double root_ratio)
{
    struct cmds_sampling sampling = CMDS_SAMPLING_INIT;
    sampling.root_ratio = root_ratio;
    sampling.span_rate_max = UINT32_MAX;
    return cmds_runtime_set_sampling(context, &sampling);
}

/* ---- The end of turns ------------------------------------------------------------------------ */

/* Of the shards that are to come, and of who waits for them: the last one frees. */
struct settling {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint32_t users;
};

static struct settling *settling_new(uint32_t shard_count)
{
    struct settling *settling = malloc(sizeof(*settling));
    if (settling != NULL) {
        (void)pthread_mutex_init(&settling->lock, NULL);
        cmdi_cond_init(&settling->changed);
        settling->users = 1 + shard_count;
    }
    return settling;
}

static void settling_leave(void *context)
{
    struct settling *settling = context;
    pthread_mutex_lock(&settling->lock);
    bool is_last = --settling->users == 0;
    (void)pthread_cond_signal(&settling->changed);
    pthread_mutex_unlock(&settling->lock);
    if (is_last) {
        (void)pthread_cond_destroy(&settling->changed);
        (void)pthread_mutex_destroy(&settling->lock);
        free(settling);
    }
}

/*
 * Waits for the end of the turns that run, where durations are counted: so that nothing is missing of what
 * the program has been told. A shard takes its mail when it begins a turn, so a post runs behind the end of
 * the one before. A shard that does not come in time is not waited for; nor is one without a thread, because
 * the turns of that may be the caller's.
 */
static void settle_runtime(void *context, uint64_t deadline_ns)
{
    struct cmds_runtime *runtime = context;
    uint32_t count = cmds_runtime_shard_count(runtime);
    bool has_threads = cmds_runtime_fd(runtime) == -EINVAL;
    struct settling *settling = has_threads ? settling_new(count) : NULL;
    if (settling == NULL) {
        return;
    }
    struct timespec end = {.tv_sec = (time_t)(deadline_ns / CMDI_NS_PER_S),
            .tv_nsec = (long)(deadline_ns % CMDI_NS_PER_S)};
    for (uint32_t i = 0; i < count; i++) {
        if (cmds_runtime_post(runtime, i, settling_leave, settling) < 0) {
            settling_leave(settling); // That one does not come.
        }
    }
    int code = 0;
    pthread_mutex_lock(&settling->lock);
    while (settling->users > 1 && code == 0) {
        code = pthread_cond_timedwait(&settling->changed, &settling->lock, &end);
    }
    pthread_mutex_unlock(&settling->lock);
    settling_leave(settling);
}

/* ---- The exporter of a runtime --------------------------------------------------------------- */

static int find_start(
        void *context, const struct cmds_metric *metric, const struct cmds_point *point)
{
    if (strcmp(metric->name, "process.start_time") != 0) {
        return 0;
    }
    *(uint64_t *)context = (uint64_t)(point->real * CMDI_NS_PER_S);
    return 1;
}

/*
 * No total is older than the process; and one that begins anew comes from another service.instance.id,
 * because that is made for each exporter.
 */
static uint64_t start_of(const struct cmds_runtime *runtime)
{
    uint64_t start_ns = 0;
    (void)cmds_telemetry_read(runtime, 0, find_start, &start_ns);
    if (start_ns == 0) {
        struct timespec now;
        (void)clock_gettime(CLOCK_REALTIME, &now);
        start_ns = (uint64_t)now.tv_sec * CMDI_NS_PER_S + (uint64_t)now.tv_nsec;
    }
    return start_ns;
}

int cmds_otel_open(struct cmds_otel **otel, struct cmds_runtime *runtime,
        const struct cmds_otel_options *options, struct cmds_error *error)
{
    if (otel == NULL || runtime == NULL || options == NULL) {
        return cmdi_fail(error, -EINVAL, "cmds_otel_open: otel, runtime and options are needed");
    }
    struct cmdi_source source = {.read = read_runtime,
            .take = take_spans,
            .sample = sample_roots,
            .settle = settle_runtime,
            .context = runtime,
            .start_ns = start_of(runtime)};
    struct cmdi_exporter *exporter = NULL;
    int code = cmdi_exporter_open(&exporter, &source, options, error);
    if (code == 0) {
        *otel = (struct cmds_otel *)exporter;
    }
    return code;
}

int cmds_otel_flush(struct cmds_otel *otel, uint32_t timeout_ms)
{
    return cmdi_exporter_flush(exporter_of(otel), timeout_ms);
}

int cmds_otel_stats(const struct cmds_otel *otel, struct cmds_otel_counters *counters)
{
    if (counters->struct_size < offsetof(struct cmds_otel_counters, batches_sent)) {
        return -EINVAL;
    }
    struct cmds_otel_counters mine = {.struct_size = counters->struct_size};
    cmdi_exporter_stats((const struct cmdi_exporter *)otel, &mine);
    size_t size = counters->struct_size;
    memcpy(counters, &mine, size < sizeof(mine) ? size : sizeof(mine));
    return 0;
}

void cmds_otel_close(struct cmds_otel *otel, uint32_t timeout_ms)
{
    cmdi_exporter_close(exporter_of(otel), timeout_ms);
}

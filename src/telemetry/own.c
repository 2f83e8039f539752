/* SPDX-License-Identifier: MIT */
#include "telemetry/own.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/options.h"
#include "telemetry/name.h"

enum {
    LINE_SIZE = 64,
    NAME_LENGTH_MAX = 127,
    UNIT_LENGTH_MAX = 31,
    NS_PER_S = 1000 * 1000 * 1000
};

/* One of its own for each place, so that shards do not write to one line of the cache. */
struct own_metric {
    struct cmds_metric metric;
    char *histograms; // [places] of struct cmdi_durations or cmdi_sizes; NULL: it is a number.
};

struct cmdi_own {
    uint32_t places;        // Shards, and the last one for other threads.
    pthread_mutex_t shared; // Of histograms of the last place: who writes there.
    _Atomic uint32_t count; // The first `count` metrics never change.
    struct own_metric metrics[CMDS_METRICS_MAX];
    uint64_t *numbers; // [places][CMDS_METRICS_MAX]
};

_Static_assert(CMDS_METRICS_MAX * sizeof(uint64_t) % LINE_SIZE == 0, "places share no line");

/* Times are given in nanoseconds, and read in seconds. */
static bool own_is_time(const struct own_metric *own)
{
    return own->metric.is_real;
}

static size_t own_stride(const struct own_metric *own)
{
    size_t size = own_is_time(own) ? sizeof(struct cmdi_durations) : sizeof(struct cmdi_sizes);
    return (size + LINE_SIZE - 1) / LINE_SIZE * LINE_SIZE;
}

static void *own_histogram(const struct own_metric *own, uint32_t place)
{
    return own->histograms + place * own_stride(own);
}

static void *alloc_lines(size_t size)
{
    CMDI_ASSERT(size % LINE_SIZE == 0);
    void *lines = aligned_alloc(LINE_SIZE, size);
    return lines != NULL ? memset(lines, 0, size) : NULL;
}

/* --- Definitions ------------------------------------------------------------------------------ */

static void own_free(struct cmdi_own *own)
{
    uint32_t count = atomic_load(&own->count);
    for (uint32_t i = 0; i < count; i++) {
        free(own->metrics[i].histograms);
    }
    (void)pthread_mutex_destroy(&own->shared);
    free(own->numbers);
    free(own);
}

static struct cmdi_own *own_create(uint32_t places)
{
    struct cmdi_own *own = calloc(1, sizeof(*own));
    if (own == NULL) {
        return NULL;
    }
    own->places = places;
    own->numbers = alloc_lines((size_t)places * CMDS_METRICS_MAX * sizeof(uint64_t));
    if (own->numbers == NULL) {
        free(own);
        return NULL;
    }
    (void)pthread_mutex_init(&own->shared, NULL); // Cannot fail with default attributes on Linux.
    return own;
}

static bool is_printable(const char *text, size_t length_max)
{
    size_t length = strnlen(text, length_max + 1);
    for (size_t i = 0; i < length; i++) {
        if (text[i] < ' ' || text[i] > '~') {
            return false;
        }
    }
    return length <= length_max;
}

/* Of the instrument's name: OpenTelemetry's rule. */
static bool is_name(const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    static const char others[] =
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-/";
    size_t length = strnlen(name, NAME_LENGTH_MAX + 1);
    return length > 0 && length <= NAME_LENGTH_MAX && strchr(letters, name[0]) != NULL &&
           strspn(name, others) == length;
}

/* What a metric is called in Prometheus' text. */
struct names {
    char family[CMDI_NAME_SIZE], sample[CMDI_NAME_SIZE];
    bool is_histogram;
};

static void names_of(const struct cmds_metric *metric, struct names *names)
{
    (void)cmdi_name_metric(metric, names->family);
    cmdi_name_sample(metric, names->family, names->sample);
    names->is_histogram = metric->kind == CMDS_METRIC_HISTOGRAM;
}

/* Does the histogram have a line of this name? */
static bool names_have(const struct names *histogram, const char *name)
{
    static const char *const suffixes[] = {"_bucket", "_sum", "_count"};
    size_t size = strlen(histogram->family);
    if (!histogram->is_histogram || strncmp(name, histogram->family, size) != 0) {
        return false;
    }
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        if (strcmp(name + size, suffixes[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* A counter's sample ends with "_total", so only its family may be a line of a histogram. */
static bool names_clash(const struct names *one, const struct names *other)
{
    return strcmp(one->family, other->family) == 0 || strcmp(one->sample, other->sample) == 0 ||
           names_have(one, other->family) || names_have(other, one->family);
}

/* The library's own begin so. */
static bool names_are_taken(const struct names *names)
{
    static const char *const prefixes[] = {"cmd_stream_", "cmdstream_", "process_"};
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        if (strncmp(names->family, prefixes[i], strlen(prefixes[i])) == 0) {
            return true;
        }
    }
    return false;
}

static int own_check(const struct cmds_metric_options *options)
{
    bool is_good = options->name != NULL && is_name(options->name) &&
                   options->kind <= CMDS_METRIC_HISTOGRAM &&
                   (options->unit == NULL || is_printable(options->unit, UNIT_LENGTH_MAX));
    return is_good ? 0 : -EINVAL;
}

static bool is_same(const struct cmds_metric *one, const struct cmds_metric *other)
{
    return strcmp(one->name, other->name) == 0 && strcmp(one->unit, other->unit) == 0 &&
           one->kind == other->kind;
}

/* Under the telemetry's lock. Returns: its id, or that of the same one. */
static int own_add(struct cmdi_own *own, const struct cmds_metric *metric)
{
    struct names names, others;
    uint32_t count = atomic_load(&own->count);
    names_of(metric, &names);
    if (names_are_taken(&names)) {
        return -EEXIST;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (is_same(&own->metrics[i].metric, metric)) {
            return (int)i;
        }
        names_of(&own->metrics[i].metric, &others);
        if (names_clash(&names, &others)) {
            return -EEXIST;
        }
    }
    if (count == CMDS_METRICS_MAX) {
        return -ENOSPC;
    }
    struct own_metric *added = &own->metrics[count];
    *added = (struct own_metric){.metric = *metric};
    if (metric->kind == CMDS_METRIC_HISTOGRAM) {
        added->histograms = alloc_lines(own->places * own_stride(added));
        if (added->histograms == NULL) {
            return -ENOMEM;
        }
    }
    atomic_store_explicit(&own->count, count + 1, memory_order_release);
    return (int)count;
}

int cmds_metric_define(
        struct cmds_runtime *runtime, const struct cmds_metric_options *theirs, uint32_t *id)
{
    struct cmds_metric_options options;
    if (runtime == NULL || theirs == NULL || id == NULL) {
        return -EINVAL;
    }
    int code = cmdi_options_take(&options, sizeof(options), theirs, "cmds_metric_options", NULL);
    if (code == 0) {
        uint64_t unused = options.unused[0] | options.unused[1] | options.unused[2];
        code = cmdi_unused_check(unused, "cmds_metric_options", NULL);
    }
    if (code < 0 || (code = own_check(&options)) < 0) {
        return code;
    }
    if (cmdi_runtime_is_foreign(runtime)) {
        return CMDS_E_FORKED;
    }
    struct cmds_metric metric = {.name = options.name,
            .unit = options.unit != NULL ? options.unit : "",
            .description = options.description,
            .kind = options.kind};
    metric.is_real = strcmp(metric.unit, "s") == 0;
    struct cmdi_telemetry *telemetry = cmdi_telemetry_of(runtime);
    if (telemetry == NULL) {
        return -ENOMEM;
    }
    pthread_mutex_lock(&telemetry->lock);
    struct cmdi_own *own = atomic_load(&telemetry->own);
    if (own == NULL && (own = own_create(runtime->shard_count + 1)) != NULL) {
        telemetry->free_own = own_free;
        atomic_store(&telemetry->own, own);
    }
    code = own != NULL ? own_add(own, &metric) : -ENOMEM;
    pthread_mutex_unlock(&telemetry->lock);
    if (code < 0) {
        return code;
    }
    *id = (uint32_t)code;
    return 0;
}

/* --- Counting --------------------------------------------------------------------------------- */

static struct cmdi_own *own_of(const struct cmds_runtime *runtime)
{
    struct cmdi_telemetry *telemetry = atomic_load(&runtime->telemetry);
    return telemetry != NULL ? atomic_load(&telemetry->own) : NULL;
}

/* Returns: NULL: this id was not given. */
static struct own_metric *own_find(struct cmdi_own *own, uint32_t id)
{
    return own != NULL && id < atomic_load_explicit(&own->count, memory_order_acquire)
                   ? &own->metrics[id]
                   : NULL;
}

/* Where this thread counts. */
static uint32_t own_place(const struct cmds_runtime *runtime)
{
    int shard = cmds_runtime_current_shard(runtime);
    return shard >= 0 ? (uint32_t)shard : runtime->shard_count;
}

void cmds_metric_add(struct cmds_runtime *runtime, uint32_t id, int64_t number)
{
    struct cmdi_own *own = own_of(runtime);
    const struct own_metric *metric = own_find(own, id);
    if (metric == NULL || metric->histograms != NULL ||
            (metric->metric.kind == CMDS_METRIC_COUNTER && number < 0)) {
        return;
    }
    uint32_t place = own_place(runtime);
    uint64_t *slot = &own->numbers[(size_t)place * CMDS_METRICS_MAX + id];
    if (place + 1 < own->places) {
        cmdi_exponential_add(slot, (uint64_t)number);
    } else {
        (void)__atomic_fetch_add(slot, (uint64_t)number, __ATOMIC_RELAXED);
    }
}

/* Numbers are the program's, up to the last one: a sum that wrapped would be a restart to Prometheus. */
static void own_record(const struct own_metric *own, uint32_t place, uint64_t number)
{
    if (own_is_time(own)) {
        struct cmdi_durations *durations = own_histogram(own, place);
        int32_t bucket = cmdi_duration_bucket(cmdi_duration_units(number));
        cmdi_durations_record_in(durations, bucket, 0, 1);
        cmdi_exponential_add_capped(&durations->sum_ns, number);
    } else {
        struct cmdi_sizes *sizes = own_histogram(own, place);
        cmdi_sizes_count(sizes, number);
        cmdi_exponential_add_capped(&sizes->sum, number);
    }
}

void cmds_metric_record(struct cmds_runtime *runtime, uint32_t id, uint64_t number)
{
    struct cmdi_own *own = own_of(runtime);
    const struct own_metric *metric = own_find(own, id);
    if (metric == NULL || metric->histograms == NULL) {
        return;
    }
    uint32_t place = own_place(runtime);
    if (place + 1 < own->places) {
        own_record(metric, place, number);
    } else if (!cmdi_runtime_is_foreign(runtime)) { // In a child nobody gives the lock back.
        pthread_mutex_lock(&own->shared);
        own_record(metric, place, number);
        pthread_mutex_unlock(&own->shared);
    }
}

/* --- Reading ---------------------------------------------------------------------------------- */

static void read_histogram(
        struct cmdi_reading *reading, const struct cmdi_own *own, const struct own_metric *metric)
{
    struct cmdi_durations durations = {0};
    struct cmdi_sizes sizes = {0};
    for (uint32_t i = 0; i < own->places; i++) {
        if (own_is_time(metric)) {
            cmdi_durations_merge(&durations, own_histogram(metric, i));
        } else {
            cmdi_sizes_merge(&sizes, own_histogram(metric, i));
        }
    }
    if (own_is_time(metric)) {
        cmdi_reading_durations(reading, &metric->metric, &durations, false);
    } else {
        cmdi_reading_sizes(reading, &metric->metric, &sizes);
    }
}

static void read_number(
        struct cmdi_reading *reading, const struct cmdi_own *own, uint32_t id, uint64_t *values)
{
    const struct own_metric *metric = &own->metrics[id];
    uint64_t sum = 0;
    for (uint32_t i = 0; i < own->places; i++) {
        const uint64_t *slot = &own->numbers[(size_t)i * CMDS_METRICS_MAX + id];
        values[i] = __atomic_load_n(slot, __ATOMIC_RELAXED);
        sum += values[i];
    }
    if (!cmdi_reading_by_shard(reading)) {
        values[0] = sum;
    }
    cmdi_reading_number(
            reading, &metric->metric, values, 1, own->places, own_is_time(metric) ? NS_PER_S : 1);
}

void cmdi_read_own(struct cmdi_reading *reading)
{
    const struct cmdi_own *own = own_of(reading->runtime);
    uint32_t count = own != NULL ? atomic_load_explicit(&own->count, memory_order_acquire) : 0;
    uint64_t *values = count > 0 ? malloc(own->places * sizeof(uint64_t)) : NULL;
    if (count > 0 && values == NULL) {
        reading->code = -ENOMEM;
    }
    for (uint32_t i = 0; i < count && reading->code == 0; i++) {
        if (own->metrics[i].histograms != NULL) {
            read_histogram(reading, own, &own->metrics[i]);
        } else {
            read_number(reading, own, i, values);
        }
    }
    free(values);
}

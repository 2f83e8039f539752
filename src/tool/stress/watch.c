/* SPDX-License-Identifier: MIT */
/* See watch.h. */
#include "stress/watch.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    WATCH_PATH_SIZE = 64,
    WATCH_DISTANCE_NS = 100 * 1000 * 1000,
    WATCH_DESCRIPTORS_SLACK = 8, // Connections on their way up or down between two looks.
    WATCH_MEMORY_SLACK_KIB = 8192,
    WATCH_KIB = 1024,
    WATCH_MEMORY_SHARE = 10, // A tenth is slack, too.
};

static uint64_t watch_descriptors(pid_t pid)
{
    char path[WATCH_PATH_SIZE];
    snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    DIR *folder = opendir(path);
    uint64_t count = 0;
    if (folder == NULL) {
        return 0;
    }
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        count += entry->d_name[0] != '.';
    }
    closedir(folder);
    return count > 0 && pid == getpid() ? count - 1 : count; // Without the folder's own.
}

static uint64_t watch_memory_kib(pid_t pid)
{
    char path[WATCH_PATH_SIZE];
    uint64_t size = 0, resident = 0;
    snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return 0;
    }
    int read = fscanf(file, "%" SCNu64 " %" SCNu64, &size, &resident);
    fclose(file);
    return read == 2 ? resident * (uint64_t)sysconf(_SC_PAGESIZE) / WATCH_KIB : 0;
}

struct stress_sample stress_sample_of(pid_t pid)
{
    return (struct stress_sample){
            .descriptors = watch_descriptors(pid), .memory_kib = watch_memory_kib(pid)};
}

void stress_watch_start(struct stress_watch *watch, uint64_t now_ns, uint64_t warm_ns)
{
    watch->count = 0;
    watch->distance_ns = WATCH_DISTANCE_NS;
    watch->next_ns = now_ns;
    watch->warm_ns = warm_ns;
}

bool stress_watch_is_due(const struct stress_watch *watch, uint64_t now_ns)
{
    return now_ns >= watch->next_ns;
}

static void watch_halve(struct stress_watch *watch)
{
    for (uint32_t i = 0; i < watch->count / 2; i++) {
        watch->samples[i] = watch->samples[i * 2 + 1];
    }
    watch->count /= 2;
    watch->distance_ns *= 2;
}

void stress_watch_add(struct stress_watch *watch, uint64_t now_ns, struct stress_sample sample)
{
    watch->next_ns = now_ns + watch->distance_ns;
    watch->last = sample;
    if (sample.descriptors > watch->descriptors_peak) {
        watch->descriptors_peak = sample.descriptors;
    }
    if (sample.memory_kib > watch->memory_peak_kib) {
        watch->memory_peak_kib = sample.memory_kib;
    }
    if (now_ns < watch->warm_ns) {
        return;
    }
    if (watch->after_warm.descriptors == 0) {
        watch->after_warm = sample;
    }
    if (watch->count == STRESS_SAMPLES_MAX) {
        watch_halve(watch);
    }
    watch->samples[watch->count++] = sample;
}

static uint64_t watch_own_descriptors(const struct stress_sample *sample)
{
    return sample->descriptors > sample->connections ? sample->descriptors - sample->connections
                                                     : 0;
}

static uint64_t watch_memory(const struct stress_sample *sample)
{
    return sample->memory_kib;
}

/*
 * Returns: how much the lowest value of the last quarter is above the highest of the first. 0: it is not,
 * or there are too few samples to say. `*base` is that highest value.
 */
static uint64_t watch_growth(const struct stress_watch *watch,
        uint64_t (*value)(const struct stress_sample *sample), uint64_t *base)
{
    uint32_t quarter = watch->count / 4;
    uint64_t high = 0, low = UINT64_MAX;
    if (watch->count < STRESS_SAMPLES_MIN) {
        return 0;
    }
    for (uint32_t i = 0; i < quarter; i++) {
        uint64_t early = value(&watch->samples[i]);
        uint64_t late = value(&watch->samples[watch->count - 1 - i]);
        high = early > high ? early : high;
        low = late < low ? late : low;
    }
    *base = high;
    return low > high ? low - high : 0;
}

bool stress_watch_descriptors_grew(const struct stress_watch *watch)
{
    uint64_t base = 0;
    return watch->closed.descriptors > watch->begin.descriptors ||
           watch_growth(watch, watch_own_descriptors, &base) > WATCH_DESCRIPTORS_SLACK;
}

bool stress_watch_memory_grew(const struct stress_watch *watch)
{
    uint64_t base = 0;
    uint64_t growth = watch_growth(watch, watch_memory, &base);
    return growth > WATCH_MEMORY_SLACK_KIB && growth > base / WATCH_MEMORY_SHARE;
}

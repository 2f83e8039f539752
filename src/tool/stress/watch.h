/* SPDX-License-Identifier: MIT */
/*
 * Open descriptors and resident memory of this process over time, and whether they stay flat.
 *
 * Samples are at equal distances; when there is no room for more, every second one is dropped and the
 * distance doubles. Flat is judged after the warm-up: it grew if all of the last quarter of the samples is
 * higher than all of the first quarter, by more than a slack.
 */
#ifndef CMDSTREAM_TOOL_STRESS_WATCH_H
#define CMDSTREAM_TOOL_STRESS_WATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    STRESS_SAMPLES_MAX = 512,
    STRESS_SAMPLES_MIN = 16, // Fewer than so many say nothing.
};

struct stress_sample {
    uint64_t descriptors, memory_kib;
    // Of the descriptors, those that connections have: they come and go with the servers.
    uint64_t connections;
};

struct stress_watch {
    struct stress_sample samples[STRESS_SAMPLES_MAX];
    uint32_t count;
    uint64_t distance_ns, next_ns, warm_ns;
    struct stress_sample begin, after_warm; // Before anything; the first one after the warm-up.
    struct stress_sample last;              // Of the load.
    struct stress_sample closed;            // When all is closed again.
    uint64_t descriptors_peak, memory_peak_kib;
};

/** Of a process; zeroed if it is gone. */
struct stress_sample stress_sample_of(pid_t pid);
/** The load begins; samples count from `warm_ns` on. */
void stress_watch_start(struct stress_watch *watch, uint64_t now_ns, uint64_t warm_ns);
/** Is a sample due? */
bool stress_watch_is_due(const struct stress_watch *watch, uint64_t now_ns);
void stress_watch_add(struct stress_watch *watch, uint64_t now_ns, struct stress_sample sample);
/** More are open when all is closed than were at the beginning, or they grew. */
bool stress_watch_descriptors_grew(const struct stress_watch *watch);
bool stress_watch_memory_grew(const struct stress_watch *watch);

#endif

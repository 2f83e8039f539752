/* SPDX-License-Identifier: MIT */
/*
 * What /status shows of all that is counted, by shard and by type, at one moment; and what lies between two
 * such moments. Values alone; one thread at a time.
 */
#ifndef CMDI_ADMIN_SNAPSHOT_H
#define CMDI_ADMIN_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmdstream/telemetry.h>

enum {
    CMDI_ADMIN_SCALE = 3,            // Of its histograms: eight buckets for each power of two.
    CMDI_ADMIN_BUCKET_FIRST = -256,  // 2^-32
    CMDI_ADMIN_BUCKETS = 512,        // Up to 2^32.
    CMDI_ADMIN_TYPES_MAX = 1024,     // Further ones are left out, and that is said.
    CMDI_ADMIN_TYPE_NAME_SIZE = 128, // With its terminator; longer ones are cut.
};

/** Of seconds: bucket i counts values up to 2^((CMDI_ADMIN_BUCKET_FIRST + i + 1) / 8). */
struct cmdi_admin_durations {
    uint64_t zero_count; // Too short for a bucket.
    double sum_s;
    uint64_t buckets[CMDI_ADMIN_BUCKETS];
};

struct cmdi_admin_shard {
    double busy_s, spin_s, sleep_s;
    uint64_t turns, commands, results, recv_bytes, send_bytes; // Of servers and of clients.
    int64_t connections, memory_bytes;                         // Now.
};

struct cmdi_admin_type {
    bool is_client;
    char name[CMDI_ADMIN_TYPE_NAME_SIZE]; // Of the servers, or groups; "": none.
    char type[CMDI_ADMIN_TYPE_NAME_SIZE];
    uint64_t count, failed, timeout, cancelled; // `count`: of all of them.
    struct cmdi_admin_durations durations;
};

struct cmdi_admin_snapshot {
    uint64_t time_ns; // CLOCK_MONOTONIC
    double start_s;   // When the process began, since 1970; 0: nobody knows.
    double cpu_s;
    int64_t resident_bytes;
    uint32_t shard_count, type_count, type_capacity, types_left_out;
    bool failed; // No memory for all of it.
    struct cmdi_admin_shard *shards;
    struct cmdi_admin_type *types; // In the order in which they were read.
    struct cmdi_admin_durations turns;
};

/** Owner: gives: cmdi_admin_snapshot_free(). Returns: NULL: no memory. */
struct cmdi_admin_snapshot *cmdi_admin_snapshot_new(uint32_t shard_count);
/** NULL is fine. */
void cmdi_admin_snapshot_free(struct cmdi_admin_snapshot *snapshot);
/** A cmds_point_fn: `context` is the snapshot. Returns: 0; -ENOMEM. */
int cmdi_admin_snapshot_add(
        void *context, const struct cmds_metric *metric, const struct cmds_point *point);

/** Of an earlier one the type that this one is. Returns: NULL: there is none. */
const struct cmdi_admin_type *cmdi_admin_snapshot_find(
        const struct cmdi_admin_snapshot *snapshot, const struct cmdi_admin_type *type);

/** What lies between two, of which the earlier one may be NULL. */
struct cmdi_admin_durations cmdi_admin_durations_since(
        const struct cmdi_admin_durations *now, const struct cmdi_admin_durations *before);
uint64_t cmdi_admin_durations_count(const struct cmdi_admin_durations *durations);
/**
 * `quantile`: 0.5 is the median, 1 the greatest. Returns: seconds, at most 4.5 % off, as `cmdstream stats` has them;
 * 0: it is too short for a bucket; NAN: there is no value.
 */
double cmdi_admin_durations_quantile(const struct cmdi_admin_durations *durations, double quantile);

#endif

/* SPDX-License-Identifier: MIT */
/* See snapshot.h. Which metrics are shown is a table; all others are passed over. */
#include "admin/snapshot.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "admin/common.h"

/* --- Shards ----------------------------------------------------------------------------------- */

/* Of a shard: a sum of one metric or more. */
static const struct shard_row {
    const char *metric;
    size_t offset;
    enum {
        ROW_REAL,
        ROW_INTEGER,
    } kind;
} shard_rows[] = {
        {"cmdstream.shard.busy", offsetof(struct cmdi_admin_shard, busy_s), ROW_REAL},
        {"cmdstream.shard.spin", offsetof(struct cmdi_admin_shard, spin_s), ROW_REAL},
        {"cmdstream.shard.sleep", offsetof(struct cmdi_admin_shard, sleep_s), ROW_REAL},
        {"cmdstream.turns", offsetof(struct cmdi_admin_shard, turns), ROW_INTEGER},
        {"cmdstream.memory_bytes", offsetof(struct cmdi_admin_shard, memory_bytes), ROW_INTEGER},
        {"cmdstream.server.connections", offsetof(struct cmdi_admin_shard, connections),
                ROW_INTEGER},
        {"cmdstream.client.connections", offsetof(struct cmdi_admin_shard, connections),
                ROW_INTEGER},
        {"cmdstream.server.commands_received", offsetof(struct cmdi_admin_shard, commands),
                ROW_INTEGER},
        {"cmdstream.client.commands_sent", offsetof(struct cmdi_admin_shard, commands),
                ROW_INTEGER},
        {"cmdstream.server.results_sent", offsetof(struct cmdi_admin_shard, results), ROW_INTEGER},
        {"cmdstream.client.results_received", offsetof(struct cmdi_admin_shard, results),
                ROW_INTEGER},
        {"cmdstream.server.recv_bytes", offsetof(struct cmdi_admin_shard, recv_bytes), ROW_INTEGER},
        {"cmdstream.client.recv_bytes", offsetof(struct cmdi_admin_shard, recv_bytes), ROW_INTEGER},
        {"cmdstream.server.send_bytes", offsetof(struct cmdi_admin_shard, send_bytes), ROW_INTEGER},
        {"cmdstream.client.send_bytes", offsetof(struct cmdi_admin_shard, send_bytes), ROW_INTEGER},
};

static struct cmds_string label(const struct cmds_point *point, const char *key)
{
    for (uint32_t i = 0; i < point->label_count; i++) {
        if (strcmp(point->labels[i].key, key) == 0) {
            return point->labels[i].value;
        }
    }
    return (struct cmds_string){"", 0};
}

/* Returns: NULL: it is of no shard of ours. */
static struct cmdi_admin_shard *find_shard(
        const struct cmdi_admin_snapshot *snapshot, const struct cmds_point *point)
{
    struct cmds_string text = label(point, "cmdstream.shard");
    uint32_t index = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9' || index >= snapshot->shard_count) {
            return NULL;
        }
        index = index * 10 + (uint32_t)(text.data[i] - '0');
    }
    return text.size > 0 && index < snapshot->shard_count ? &snapshot->shards[index] : NULL;
}

static void add_to_shard(struct cmdi_admin_snapshot *snapshot, const struct cmds_metric *metric,
        const struct cmds_point *point)
{
    struct cmdi_admin_shard *shard = find_shard(snapshot, point);
    for (size_t i = 0; shard != NULL && i < sizeof(shard_rows) / sizeof(shard_rows[0]); i++) {
        const struct shard_row *row = &shard_rows[i];
        char *field = (char *)shard + row->offset;
        if (strcmp(row->metric, metric->name) != 0) {
            continue;
        }
        if (row->kind == ROW_REAL) {
            double sum;
            memcpy(&sum, field, sizeof(sum));
            sum += point->real;
            memcpy(field, &sum, sizeof(sum));
        } else {
            uint64_t sum;
            memcpy(&sum, field, sizeof(sum));
            sum += (uint64_t)point->integer;
            memcpy(field, &sum, sizeof(sum));
        }
    }
}

/* --- Durations -------------------------------------------------------------------------------- */

static void add_durations(
        struct cmdi_admin_durations *durations, const struct cmds_distribution *distribution)
{
    durations->zero_count += distribution->zero_count;
    durations->sum_s += distribution->sum;
    for (uint32_t i = 0; i < distribution->bucket_count; i++) {
        // By its upper bound: at a finer scale the bucket that has it, at a coarser one the last of several.
        int64_t end = (int64_t)distribution->offset + i + 1;
        int32_t finer = distribution->scale - CMDI_ADMIN_SCALE;
        end = finer >= 0 ? -(-end >> finer) : end * (1 << -finer);
        int64_t index = end - 1 - CMDI_ADMIN_BUCKET_FIRST;
        index = index < 0 ? 0 : index < CMDI_ADMIN_BUCKETS ? index : CMDI_ADMIN_BUCKETS - 1;
        durations->buckets[index] += distribution->buckets[i];
    }
}

struct cmdi_admin_durations cmdi_admin_durations_since(
        const struct cmdi_admin_durations *now, const struct cmdi_admin_durations *before)
{
    struct cmdi_admin_durations since = *now;
    if (before != NULL) {
        since.zero_count -= before->zero_count;
        since.sum_s -= before->sum_s;
        for (uint32_t i = 0; i < CMDI_ADMIN_BUCKETS; i++) {
            since.buckets[i] -= before->buckets[i];
        }
    }
    return since;
}

uint64_t cmdi_admin_durations_count(const struct cmdi_admin_durations *durations)
{
    uint64_t count = durations->zero_count;
    for (uint32_t i = 0; i < CMDI_ADMIN_BUCKETS; i++) {
        count += durations->buckets[i];
    }
    return count;
}

double cmdi_admin_durations_quantile(const struct cmdi_admin_durations *durations, double quantile)
{
    uint64_t count = cmdi_admin_durations_count(durations);
    double wanted = quantile * (double)count;
    uint64_t seen = durations->zero_count;
    for (uint32_t i = 0; i < CMDI_ADMIN_BUCKETS && (double)seen < wanted; i++) {
        seen += durations->buckets[i];
        if ((double)seen >= wanted) {
            // The middle of its bucket, as its values are spread on a scale of powers.
            return exp2((CMDI_ADMIN_BUCKET_FIRST + (double)i + 0.5) / 8);
        }
    }
    return count > 0 ? 0 : NAN;
}

/* --- Types ------------------------------------------------------------------------------------ */

static void copy_name(char to[CMDI_ADMIN_TYPE_NAME_SIZE], struct cmds_string from)
{
    size_t size = from.size < CMDI_ADMIN_TYPE_NAME_SIZE ? from.size : CMDI_ADMIN_TYPE_NAME_SIZE - 1;
    memset(to, 0, CMDI_ADMIN_TYPE_NAME_SIZE);
    memcpy(to, from.data, size);
}

static bool is_same(const struct cmdi_admin_type *a, const struct cmdi_admin_type *b)
{
    return a->is_client == b->is_client && strcmp(a->name, b->name) == 0 &&
           strcmp(a->type, b->type) == 0;
}

const struct cmdi_admin_type *cmdi_admin_snapshot_find(
        const struct cmdi_admin_snapshot *snapshot, const struct cmdi_admin_type *type)
{
    for (uint32_t i = 0; i < snapshot->type_count; i++) {
        if (is_same(&snapshot->types[i], type)) {
            return &snapshot->types[i];
        }
    }
    return NULL;
}

/* Returns: NULL: there are too many, or it has failed. */
static struct cmdi_admin_type *take_type(
        struct cmdi_admin_snapshot *snapshot, bool is_client, const struct cmds_point *point)
{
    static const struct cmdi_admin_type none;
    struct cmdi_admin_type type;
    type.is_client = is_client;
    copy_name(type.name, label(point, "cmdstream.name"));
    copy_name(type.type, label(point, "cmd-stream.command.type"));
    const struct cmdi_admin_type *found = cmdi_admin_snapshot_find(snapshot, &type);
    if (found != NULL) {
        return &snapshot->types[found - snapshot->types];
    }
    if (snapshot->type_count == CMDI_ADMIN_TYPES_MAX) {
        snapshot->types_left_out++; // Once for each point of it: more than none.
        return NULL;
    }
    if (snapshot->type_count == snapshot->type_capacity) {
        uint32_t capacity = snapshot->type_capacity == 0 ? 16 : 2 * snapshot->type_capacity;
        struct cmdi_admin_type *types = realloc(snapshot->types, capacity * sizeof(*types));
        if (types == NULL) {
            snapshot->failed = true;
            return NULL;
        }
        snapshot->types = types;
        snapshot->type_capacity = capacity;
    }
    struct cmdi_admin_type *taken = &snapshot->types[snapshot->type_count++];
    *taken = none;
    taken->is_client = is_client;
    memcpy(taken->name, type.name, sizeof(type.name));
    memcpy(taken->type, type.type, sizeof(type.type));
    return taken;
}

static void count_type(struct cmdi_admin_type *type, const struct cmds_point *point)
{
    struct cmds_string status = label(point, "cmd-stream.command.status");
    uint64_t number = (uint64_t)point->integer;
    type->count += number;
    if (cmds_string_equal(status, (struct cmds_string)CMDS_STRING("FAILED"))) {
        type->failed += number;
    } else if (cmds_string_equal(status, (struct cmds_string)CMDS_STRING("TIMEOUT"))) {
        type->timeout += number;
    } else if (cmds_string_equal(status, (struct cmds_string)CMDS_STRING("CANCELLED"))) {
        type->cancelled += number;
    }
}

/* Returns: false: it is no metric of a type. */
static bool add_to_type(struct cmdi_admin_snapshot *snapshot, const struct cmds_metric *metric,
        const struct cmds_point *point)
{
    static const char *const prefixes[] = {
            "cmd-stream.server.command.", "cmd-stream.client.command."};
    for (uint32_t i = 0; i < 2; i++) {
        size_t size = strlen(prefixes[i]);
        if (strncmp(metric->name, prefixes[i], size) != 0) {
            continue;
        }
        bool is_count = strcmp(metric->name + size, "count") == 0;
        bool is_duration =
                strcmp(metric->name + size, "duration") == 0 && point->distribution != NULL;
        struct cmdi_admin_type *type =
                is_count || is_duration ? take_type(snapshot, i == 1, point) : NULL;
        if (type != NULL && is_count) {
            count_type(type, point);
        } else if (type != NULL) {
            add_durations(&type->durations, point->distribution);
        }
        return true;
    }
    return false;
}

/* --- All of it -------------------------------------------------------------------------------- */

struct cmdi_admin_snapshot *cmdi_admin_snapshot_new(uint32_t shard_count)
{
    struct cmdi_admin_snapshot *snapshot = calloc(1, sizeof(*snapshot));
    if (snapshot == NULL) {
        return NULL;
    }
    snapshot->shards = calloc(shard_count, sizeof(*snapshot->shards));
    if (snapshot->shards == NULL) {
        free(snapshot);
        return NULL;
    }
    snapshot->shard_count = shard_count;
    return snapshot;
}

void cmdi_admin_snapshot_free(struct cmdi_admin_snapshot *snapshot)
{
    if (snapshot != NULL) {
        free(snapshot->shards);
        free(snapshot->types);
        free(snapshot);
    }
}

int cmdi_admin_snapshot_add(
        void *context, const struct cmds_metric *metric, const struct cmds_point *point)
{
    struct cmdi_admin_snapshot *snapshot = context;
    if (strcmp(metric->name, "process.cpu") == 0) {
        snapshot->cpu_s = point->real;
    } else if (strcmp(metric->name, "process.start_time") == 0) {
        snapshot->start_s = point->real;
    } else if (strcmp(metric->name, "process.resident_memory") == 0) {
        snapshot->resident_bytes = point->integer;
    } else if (strcmp(metric->name, "cmdstream.turn.duration") == 0 &&
               point->distribution != NULL) {
        add_durations(&snapshot->turns, point->distribution);
    } else if (!add_to_type(snapshot, metric, point)) {
        add_to_shard(snapshot, metric, point);
    }
    return snapshot->failed ? -ENOMEM : 0;
}

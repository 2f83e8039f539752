/* SPDX-License-Identifier: MIT */
/*
 * Reading what is counted by command type. Types of one name in one scope are one, whatever ledger and
 * shard has counted them: they are added up first, then told metric by metric.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "telemetry/ledger.h"
#include "telemetry/reading.h"

enum {
    TYPES_RESULTS = 8, // Of a command type, told apart; one more is that of all others.
};

/* Its counts by place: those of commands by status, then those of results. */
enum {
    TYPES_COUNT_RESULTS = CMDI_STATUSES,
    TYPES_COUNTS = CMDI_STATUSES + TYPES_RESULTS + 1,
};

struct type_result {
    const char *name; // NULL: no more. Of the last one: that of all others, if there are any.
    struct cmdi_sizes sizes;
    struct cmdi_durations durations;
};

struct type_sum {
    const struct cmdi_scope *scope;
    const char *name;
    uint64_t *counts; // [places][TYPES_COUNTS]
    struct cmdi_sizes sizes;
    struct cmdi_durations durations[CMDI_STATUSES];
    struct cmdi_durations exec;
    struct cmdi_ledger_exemplar exemplar; // The latest. Without one its time_ns is 0.
    struct type_result results[TYPES_RESULTS + 1];
};

struct types {
    struct type_sum **list;
    uint32_t count, capacity, places;
    bool has_spans; // The runtime keeps some.
};

/* --- Sums ------------------------------------------------------------------------------------- */

static struct type_sum *types_add(
        struct types *types, const struct cmdi_scope *scope, const char *name)
{
    for (uint32_t i = 0; i < types->count; i++) {
        if (types->list[i]->scope == scope && strcmp(types->list[i]->name, name) == 0) {
            return types->list[i];
        }
    }
    if (types->count == types->capacity) {
        uint32_t capacity = types->capacity * 2 + 16;
        struct type_sum **list = realloc(types->list, capacity * sizeof(struct type_sum *));
        if (list == NULL) {
            return NULL;
        }
        types->list = list;
        types->capacity = capacity;
    }
    struct type_sum *sum = calloc(1, sizeof(*sum));
    uint64_t *counts = calloc((size_t)types->places * TYPES_COUNTS, sizeof(uint64_t));
    if (sum == NULL || counts == NULL) {
        free(sum);
        free(counts);
        return NULL;
    }
    sum->scope = scope;
    sum->name = name;
    sum->counts = counts;
    types->list[types->count++] = sum;
    return sum;
}

static void types_fini(struct types *types)
{
    for (uint32_t i = 0; i < types->count; i++) {
        free(types->list[i]->counts);
        free(types->list[i]);
    }
    free(types->list);
}

static uint64_t types_load(const uint64_t *number)
{
    return __atomic_load_n(number, __ATOMIC_RELAXED);
}

/* Returns: its index. `name` NULL: it is one of all others. */
static uint32_t sum_result(struct type_sum *sum, const char *name)
{
    uint32_t i = name != NULL ? 0 : TYPES_RESULTS;
    while (i < TYPES_RESULTS && sum->results[i].name != NULL &&
            strcmp(sum->results[i].name, name) != 0) {
        i++;
    }
    if (sum->results[i].name == NULL) {
        sum->results[i].name = i < TYPES_RESULTS ? name : "";
    }
    return i;
}

/* Of one slot. `answered`: how many of its results are counted with their commands. */
static void sum_add_slot(struct type_sum *sum, uint32_t index, const struct cmdi_type_block *block,
        const struct cmdi_result_slot *slot, uint64_t answered, uint64_t *counts)
{
    struct type_result *result = &sum->results[index];
    uint64_t count = types_load(&slot->count);
    counts[TYPES_COUNT_RESULTS + index] += count + answered;
    cmdi_frame_sizes_merge(&result->sizes, &slot->sizes);
    if (count > 0) {
        cmdi_durations_merge(&result->durations, &slot->durations);
    }
    if (answered > 0) {
        cmdi_durations_merge(&result->durations, &block->both);
    }
}

static void sum_add_results(struct type_sum *sum, const struct cmdi_ledger *ledger,
        const struct cmdi_type_block *block, uint64_t answered, uint64_t *counts)
{
    for (uint32_t i = 0; i <= CMDI_RESULT_SLOTS; i++) {
        const struct cmdi_result_slot *slot = &block->results[i];
        uint32_t result = __atomic_load_n(&slot->result, __ATOMIC_ACQUIRE);
        if (result == 0) {
            return;
        }
        CMDI_ASSERT(result <= ledger->result_count);
        uint32_t index =
                sum_result(sum, i < CMDI_RESULT_SLOTS ? ledger->results[result - 1].name : NULL);
        sum_add_slot(sum, index, block, slot, i == 0 ? answered : 0, counts);
    }
}

/* What has never been written is left alone: a read would be its first use, and take memory. */
static void sum_add_block(struct type_sum *sum, const struct cmdi_ledger *ledger,
        const struct cmdi_type_block *block, uint64_t *counts)
{
    uint64_t answered = types_load(&block->answered);
    for (uint32_t status = 0; status < CMDI_STATUSES; status++) {
        uint64_t count = types_load(&block->count[status]);
        counts[status] += count + (status == CMDI_STATUS_OK ? answered : 0);
        if (count > 0) {
            cmdi_durations_merge(&sum->durations[status], &block->durations[status]);
        }
    }
    if (answered > 0) {
        cmdi_durations_merge(&sum->durations[CMDI_STATUS_OK], &block->both);
    }
    cmdi_frame_sizes_merge(&sum->sizes, &block->sizes);
    cmdi_durations_merge(&sum->exec, &block->exec);
    sum_add_results(sum, ledger, block, answered, counts);
}

/* Of the latest on any shard. Without one that ended well nothing was written. */
static void sum_add_exemplar(struct type_sum *sum, const struct cmdi_type_block *block)
{
    struct cmdi_ledger_exemplar exemplar;
    if (types_load(&block->answered) + types_load(&block->count[CMDI_STATUS_OK]) > 0 &&
            cmdi_ledger_exemplar(&block->exemplar, &exemplar) &&
            exemplar.time_ns > sum->exemplar.time_ns) {
        sum->exemplar = exemplar;
    }
}

static int types_gather_ledger(
        struct types *types, const struct cmdi_scope *scope, const struct cmdi_ledger *ledger)
{
    for (uint32_t i = 0; i < ledger->command_count; i++) {
        struct type_sum *sum = types_add(types, scope, ledger->commands[i].name);
        if (sum == NULL) {
            return -ENOMEM;
        }
        for (uint32_t k = 0; k < ledger->shard_count; k++) {
            sum_add_block(sum, ledger, &ledger->shards[k].blocks[i],
                    sum->counts + (size_t)(k % types->places) * TYPES_COUNTS);
            if (types->has_spans) {
                sum_add_exemplar(sum, &ledger->shards[k].blocks[i]);
            }
        }
    }
    return 0;
}

static int types_gather(
        struct types *types, const struct cmdi_reading *reading, enum cmdi_scope_kind kind)
{
    struct cmdi_telemetry *telemetry = atomic_load(&reading->runtime->telemetry);
    uint32_t total = telemetry != NULL ? atomic_load(&telemetry->scope_count) : 0;
    int code = 0;
    types->has_spans = reading->runtime->spans != NULL;
    types->places = cmdi_reading_by_shard(reading) ? reading->runtime->shard_count : 1;
    for (uint32_t i = 0; i < total && code == 0; i++) {
        struct cmdi_scope *scope = telemetry->scopes[i];
        /* Ledgers are added at the end, and never go. */
        cmdi_scope_lock(scope);
        const struct cmdi_ledger *ledger = scope->kind == kind ? scope->ledgers : NULL;
        cmdi_scope_unlock(scope);
        while (ledger != NULL && code == 0) {
            code = types_gather_ledger(types, scope, ledger);
            cmdi_scope_lock(scope);
            ledger = ledger->next;
            cmdi_scope_unlock(scope);
        }
    }
    return code;
}

/* --- Points ----------------------------------------------------------------------------------- */

struct types_metrics {
    struct cmds_metric command_count, command_size, command_duration;
    struct cmds_metric result_count, result_size, result_duration, exec_duration;
};
#define TYPES_METRIC(name_, unit_, description_, kind_, is_real_)                                  \
    {                                                                                              \
        .name = name_, .unit = unit_, .description = description_, .kind = kind_,                  \
        .is_real = is_real_                                                                        \
    }
#define TYPES_METRICS(side)                                                                        \
    {                                                                                              \
        .command_count = TYPES_METRIC("cmd-stream." side ".command.count", "{command}",            \
                "Number of " side " commands.", CMDS_METRIC_COUNTER, false),                       \
        .command_size = TYPES_METRIC("cmd-stream." side ".command.size", "By",                     \
                "Size of " side " commands.", CMDS_METRIC_HISTOGRAM, false),                       \
        .command_duration = TYPES_METRIC("cmd-stream." side ".command.duration", "s",              \
                "Duration of " side " commands.", CMDS_METRIC_HISTOGRAM, true),                    \
        .result_count = TYPES_METRIC("cmd-stream." side ".result.count", "{result}",               \
                "Number of " side " results.", CMDS_METRIC_COUNTER, false),                        \
        .result_size = TYPES_METRIC("cmd-stream." side ".result.size", "By",                       \
                "Size of " side " results.", CMDS_METRIC_HISTOGRAM, false),                        \
        .result_duration = TYPES_METRIC("cmd-stream." side ".result.duration", "s",                \
                "Duration of " side " results.", CMDS_METRIC_HISTOGRAM, true),                     \
        .exec_duration = TYPES_METRIC("cmdstream." side ".exec.duration", "s",                     \
                "Time of exec functions, sampled.", CMDS_METRIC_HISTOGRAM, true)                   \
    }
static const struct types_metrics types_metrics[CMDI_SCOPE_KINDS] = {
        [CMDI_SCOPE_SERVER] = TYPES_METRICS("server"),
        [CMDI_SCOPE_CLIENT] = TYPES_METRICS("client"),
};
static const char *const types_statuses[CMDI_STATUSES] = {"OK", "FAILED", "TIMEOUT", "CANCELLED"};

/* Labels of a point: the type, perhaps one more, and the name if there is one. */
static void types_label(struct cmdi_reading *reading, const struct type_sum *sum, const char *key,
        const char *value)
{
    cmdi_reading_label(reading, "cmd-stream.command.type", sum->name);
    if (key != NULL) {
        cmdi_reading_label(reading, key, value);
    }
    if (sum->scope->name[0] != '\0') {
        cmdi_reading_label(reading, "cmdstream.name", sum->scope->name);
    }
}

static void types_label_result(
        struct cmdi_reading *reading, const struct type_sum *sum, uint32_t index)
{
    if (index < TYPES_RESULTS) {
        types_label(reading, sum, "cmd-stream.result.type", sum->results[index].name);
    } else {
        types_label(reading, sum, "otel.metric.overflow", "true");
    }
}

static uint64_t types_total(const struct types *types, const struct type_sum *sum, uint32_t column)
{
    uint64_t total = 0;
    for (uint32_t place = 0; place < types->places; place++) {
        total += sum->counts[(size_t)place * TYPES_COUNTS + column];
    }
    return total;
}

static void types_tell_counts(
        const struct types *types, struct cmdi_reading *reading, const struct cmds_metric *metric)
{
    bool all = (reading->flags & CMDS_READ_EMPTY) != 0;
    for (uint32_t i = 0; i < types->count; i++) {
        const struct type_sum *sum = types->list[i];
        for (uint32_t status = 0; status < CMDI_STATUSES; status++) {
            if (all || types_total(types, sum, status) > 0) {
                types_label(reading, sum, "cmd-stream.command.status", types_statuses[status]);
                cmdi_reading_number(
                        reading, metric, &sum->counts[status], TYPES_COUNTS, types->places, 1);
                cmdi_reading_unlabel(reading, 0);
            }
        }
    }
}

/* Shards count them all the same: that costs less than to ask. */
static bool types_has_sizes(const struct cmdi_reading *reading)
{
    return (reading->runtime->telemetry_options.off & CMDS_TELEMETRY_SIZES) == 0;
}

/* A command in flight has a size, and no end. */
static void types_tell_sizes(
        const struct types *types, struct cmdi_reading *reading, const struct cmds_metric *metric)
{
    for (uint32_t i = 0; i < types->count && types_has_sizes(reading); i++) {
        const struct type_sum *sum = types->list[i];
        if (sum->sizes.sum > 0) {
            types_label(reading, sum, NULL, NULL);
            cmdi_reading_sizes(reading, metric, &sum->sizes);
            cmdi_reading_unlabel(reading, 0);
        }
    }
}

static bool types_has(const struct cmdi_durations *durations)
{
    static const struct cmdi_durations none;
    return memcmp(durations, &none, sizeof(none)) != 0;
}

/* For the durations of commands that ended well. Returns: NULL: there is none. */
static const struct cmds_exemplar *types_exemplar(const struct cmdi_reading *reading,
        const struct cmdi_ledger_exemplar *from, struct cmds_exemplar *out)
{
    bool as_ms = (reading->flags & CMDS_READ_GO_MILLISECONDS) != 0;
    if (from->time_ns == 0) {
        return NULL;
    }
    out->value = (double)from->took_ns / (as_ms ? 1e6 : 1e9);
    out->time_ns = from->time_ns;
    memcpy(out->trace_id, from->trace_id, sizeof(out->trace_id));
    memcpy(out->span_id, &from->span_id, sizeof(out->span_id));
    return out;
}

static void types_tell_durations(
        const struct types *types, struct cmdi_reading *reading, const struct cmds_metric *metric)
{
    for (uint32_t i = 0; i < types->count; i++) {
        const struct type_sum *sum = types->list[i];
        for (uint32_t status = 0; status < CMDI_STATUSES; status++) {
            if (types_has(&sum->durations[status])) {
                struct cmds_exemplar exemplar;
                reading->exemplar = status == CMDI_STATUS_OK
                                            ? types_exemplar(reading, &sum->exemplar, &exemplar)
                                            : NULL;
                types_label(reading, sum, "cmd-stream.command.status", types_statuses[status]);
                cmdi_reading_durations(reading, metric, &sum->durations[status], true);
                cmdi_reading_unlabel(reading, 0);
                reading->exemplar = NULL;
            }
        }
    }
}

enum types_part {
    TYPES_PART_COUNT,
    TYPES_PART_SIZE,
    TYPES_PART_DURATION,
};

static void types_tell_result(const struct types *types, struct cmdi_reading *reading,
        const struct cmds_metric *metric, enum types_part part, uint32_t type, uint32_t index)
{
    const struct type_sum *sum = types->list[type];
    const struct type_result *result = &sum->results[index];
    uint32_t column = TYPES_COUNT_RESULTS + index;
    types_label_result(reading, sum, index);
    if (part == TYPES_PART_COUNT) {
        cmdi_reading_number(reading, metric, &sum->counts[column], TYPES_COUNTS, types->places, 1);
    } else if (part == TYPES_PART_SIZE && result->sizes.sum > 0 && types_has_sizes(reading)) {
        cmdi_reading_sizes(reading, metric, &result->sizes);
    } else if (part == TYPES_PART_DURATION && types_has(&result->durations)) {
        cmdi_reading_durations(reading, metric, &result->durations, true);
    }
    cmdi_reading_unlabel(reading, 0);
}

static void types_tell_results(const struct types *types, struct cmdi_reading *reading,
        const struct cmds_metric *metric, enum types_part part)
{
    for (uint32_t i = 0; i < types->count; i++) {
        for (uint32_t k = 0; k <= TYPES_RESULTS; k++) {
            if (types->list[i]->results[k].name != NULL) {
                types_tell_result(types, reading, metric, part, i, k);
            }
        }
    }
}

static void types_tell_exec(
        const struct types *types, struct cmdi_reading *reading, const struct cmds_metric *metric)
{
    for (uint32_t i = 0; i < types->count; i++) {
        if (types_has(&types->list[i]->exec)) {
            types_label(reading, types->list[i], NULL, NULL);
            cmdi_reading_durations(reading, metric, &types->list[i]->exec, false);
            cmdi_reading_unlabel(reading, 0);
        }
    }
}

static void types_tell(const struct types *types, struct cmdi_reading *reading,
        const struct types_metrics *metrics)
{
    types_tell_counts(types, reading, &metrics->command_count);
    types_tell_sizes(types, reading, &metrics->command_size);
    types_tell_durations(types, reading, &metrics->command_duration);
    types_tell_results(types, reading, &metrics->result_count, TYPES_PART_COUNT);
    types_tell_results(types, reading, &metrics->result_size, TYPES_PART_SIZE);
    types_tell_results(types, reading, &metrics->result_duration, TYPES_PART_DURATION);
    types_tell_exec(types, reading, &metrics->exec_duration);
}

void cmdi_read_types(struct cmdi_reading *reading)
{
    for (uint32_t kind = 0; kind < CMDI_SCOPE_KINDS && reading->code == 0; kind++) {
        struct types types = {0};
        reading->code = types_gather(&types, reading, (enum cmdi_scope_kind)kind);
        if (reading->code == 0) {
            types_tell(&types, reading, &types_metrics[kind]);
        }
        types_fini(&types);
    }
}

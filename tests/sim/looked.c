/* SPDX-License-Identifier: MIT */
/* See looked.h. */
#include "sim/looked.h"

#include <errno.h>
#include <string.h>

#include "sim/oracle.h"
#include "sim/traced.h"

enum {
    LOOKED_SPANS = 32,
    LOOKED_ROWS = 32,
    LOOKED_SHARDS = 8,
    LOOKED_ONE_IN = 10, // So many chances to look, and one look.
    LOOKED_MS = 2500,   // A walk has two seconds, and may end a little later.
};

void looked_begin(struct looked *looked, struct cmds_runtime *runtime, uint32_t life, bool is_held)
{
    *looked =
            (struct looked){.runtime = runtime, .life = life, .is_held = is_held, .is_going = true};
}

/* --- What a look may return --------------------------------------------------------------------- */

/* Nothing of the world holds up its shards, so that none is given up. */
static bool looked_is_prompt(const struct looked *looked)
{
    return oracle_life(looked->life)->is_calm && !looked->is_held;
}

/* Returns: there is something to be seen. */
static bool looked_came(const struct looked *looked, const char *what, int code, uint64_t began_ns)
{
    bool is_short = code == -ENOMEM && (oracle.scenario->faults & CMDS_SIM_MEMORY) != 0;
    bool is_late = code == CMDS_E_TIMEOUT && !looked_is_prompt(looked);
    uint64_t took_ns = oracle_now_ns() - began_ns;
    oracle.checks++;
    if (code != 0 && !is_short && !is_late) {
        return oracle_fail("%s returned %s", what, cmds_error_name(code));
    }
    if (looked_is_prompt(looked) && took_ns > LOOKED_MS * 1000000ull) {
        return oracle_fail("%s took %llu ms", what, (unsigned long long)took_ns / 1000000);
    }
    return code == 0 || is_late;
}

/* --- Spans -------------------------------------------------------------------------------------- */

static uint64_t looked_key(const struct cmds_span_query *query, const struct cmds_span *span)
{
    return query->slowest ? span->end_ns - span->start_ns : span->end_ns;
}

static void looked_check_spans(
        const struct cmds_span_query *query, const struct cmds_span *list, size_t listed)
{
    for (size_t i = 0; i < listed; i++) {
        const struct cmds_span *span = &list[i];
        traced_check(span);
        if ((query->kind != 0 && span->kind != query->kind) ||
                (query->failed && span->error == 0) ||
                span->end_ns - span->start_ns < query->duration_min_ns) {
            (void)oracle_fail("a look shows a span that nobody has asked for");
        }
        if (i > 0 && looked_key(query, &list[i - 1]) < looked_key(query, span)) {
            (void)oracle_fail("a look shows spans that are not in order");
        }
        for (size_t other = 0; other < i; other++) {
            if (memcmp(list[other].span_id, span->span_id, sizeof(span->span_id)) == 0) {
                (void)oracle_fail("a look shows a span twice");
            }
        }
    }
}

static void looked_spans(const struct looked *looked)
{
    struct cmds_span list[LOOKED_SPANS];
    struct cmds_span_query query = CMDS_SPAN_QUERY_INIT;
    size_t count = 0, room = oracle_below(LOOKED_SPANS + 1);
    uint64_t began_ns = oracle_now_ns();
    uint32_t shards = cmds_runtime_shard_count(looked->runtime);
    query.kind = (uint8_t)(oracle_chance(3) ? CMDS_SPAN_SERVER + oracle_below(2) : 0);
    query.failed = oracle_chance(4);
    query.slowest = oracle_chance(2);
    query.duration_min_ns = oracle_chance(4) ? oracle_below(1000000) : 0;
    query.depth = oracle_chance(4) ? 1 + oracle_below(TRACED_SPANS) : 0;
    const struct cmds_span_query *asked = &query;
    if (oracle_chance(8)) { // As without one: all, the newest first.
        query = (struct cmds_span_query)CMDS_SPAN_QUERY_INIT;
        asked = NULL;
    }
    int code = cmds_span_look(looked->runtime, asked, list, room, &count);
    if (code == -ENOTSUP) {
        return; // It keeps none.
    }
    if (looked_came(looked, "cmds_span_look()", code, began_ns)) {
        size_t most = (size_t)(shards + 1) * TRACED_SPANS;
        if (count > most) {
            (void)oracle_fail("a look has found %zu spans, and at most %zu are kept", count, most);
        }
        looked_check_spans(&query, list, count < room ? count : room);
    }
}

/* --- Connections and calls ---------------------------------------------------------------------- */

static bool looked_is_text(const char *text, size_t size)
{
    return text[0] != '\0' && memchr(text, '\0', size) != NULL;
}

static void looked_connections(const struct looked *looked)
{
    struct cmds_listed_connection list[LOOKED_ROWS] = {CMDS_LISTED_CONNECTION_INIT};
    size_t count = 0;
    uint64_t began_ns = oracle_now_ns();
    int code = cmds_runtime_connections(looked->runtime, list, LOOKED_ROWS, &count);
    uint32_t shards = cmds_runtime_shard_count(looked->runtime);
    if (!looked_came(looked, "cmds_runtime_connections()", code, began_ns)) {
        return;
    }
    for (size_t i = 0; i < count && i < LOOKED_ROWS; i++) {
        const struct cmds_listed_connection *row = &list[i];
        if (row->shard >= shards || row->stage > CMDS_STAGE_CLOSING ||
                row->side > CMDS_SIDE_GROUP || !looked_is_text(row->peer, sizeof(row->peer))) {
            (void)oracle_fail("a connection of shard %u is listed that is none", row->shard);
        }
        if (i > 0 && list[i - 1].shard > row->shard) {
            (void)oracle_fail("connections are not listed shard by shard");
        }
    }
}

static void looked_calls(const struct looked *looked)
{
    struct cmds_listed_call list[LOOKED_ROWS] = {CMDS_LISTED_CALL_INIT};
    size_t count = 0;
    uint64_t began_ns = oracle_now_ns();
    int code = cmds_runtime_calls(looked->runtime, list, LOOKED_ROWS, &count);
    if (!looked_came(looked, "cmds_runtime_calls()", code, began_ns)) {
        return;
    }
    for (size_t i = 0; i < count && i < LOOKED_ROWS; i++) {
        const struct cmds_listed_call *row = &list[i];
        if (row->stage > CMDS_CALL_ROOM || row->received_ns > cmds_now_ns() ||
                !looked_is_text(row->type, sizeof(row->type))) {
            (void)oracle_fail("a call of shard %u is listed that is none", row->shard);
        }
        if (i > 0 && list[i - 1].received_ns > row->received_ns) {
            (void)oracle_fail("calls are not listed the oldest first");
        }
    }
}

/* After a look that all shards have answered, none has anything of it left. */
static void looked_shards(const struct looked *looked, bool is_alone)
{
    struct cmds_listed_shard list[LOOKED_SHARDS] = {CMDS_LISTED_SHARD_INIT};
    size_t count = 0;
    int code = cmds_runtime_shards(looked->runtime, list, LOOKED_SHARDS, &count);
    if (code != 0 || count != cmds_runtime_shard_count(looked->runtime)) {
        (void)oracle_fail(
                "cmds_runtime_shards() returned %s and %zu shards", cmds_error_name(code), count);
        return;
    }
    for (size_t i = 0; i < count && i < LOOKED_SHARDS; i++) {
        bool is_kept = is_alone && looked_is_prompt(looked) && list[i].unanswered_us > 0;
        if (list[i].shard != i || is_kept) {
            (void)oracle_fail("shard %zu has a look left that began %llu us ago", i,
                    (unsigned long long)list[i].unanswered_us);
        }
    }
}

/* --- Metrics ------------------------------------------------------------------------------------ */

/* Returns: NULL: it is not there. */
static struct looked_metric *looked_find(struct looked_metrics *metrics, const char *name)
{
    for (uint32_t i = 0; i < metrics->count; i++) {
        if (strcmp(metrics->list[i].name, name) == 0) {
            return &metrics->list[i];
        }
    }
    return NULL;
}

/* Of all points of a metric: each of them grows. */
static int looked_point(
        void *context, const struct cmds_metric *metric, const struct cmds_point *point)
{
    struct looked_metrics *metrics = context;
    const struct cmds_distribution *distribution = point->distribution;
    if (metric->kind == CMDS_METRIC_GAUGE || strncmp(metric->name, "process.", 8) == 0) {
        return 0;
    }
    struct looked_metric *found = looked_find(metrics, metric->name);
    if (found == NULL && metrics->count < LOOKED_METRICS_MAX) {
        found = &metrics->list[metrics->count++];
        *found = (struct looked_metric){.name = metric->name};
    }
    if (found != NULL) {
        found->count += distribution != NULL ? distribution->count : (uint64_t)point->integer;
        found->sum += distribution != NULL ? distribution->sum : point->real;
    }
    return 0;
}

static void looked_read(struct looked *looked)
{
    struct looked_metrics *now = &looked->now;
    now->count = 0;
    uint64_t dropped = cmds_span_dropped(looked->runtime);
    if (dropped < looked->dropped) {
        (void)oracle_fail("fewer spans were dropped than a moment ago");
    }
    looked->dropped = dropped;
    if (cmds_telemetry_read(looked->runtime, 0, looked_point, now) < 0) {
        return; // No memory.
    }
    for (uint32_t i = 0; i < looked->last.count; i++) {
        const struct looked_metric *last = &looked->last.list[i];
        const struct looked_metric *found = looked_find(now, last->name);
        if (found == NULL || found->count < last->count || found->sum < last->sum) {
            (void)oracle_fail("%s has gone down", last->name);
        }
    }
    looked->last = *now;
}

/* --- Looks -------------------------------------------------------------------------------------- */

void looked_look(struct looked *looked)
{
    if (!looked->is_going || !oracle_chance(LOOKED_ONE_IN)) {
        return;
    }
    looked->looks++;
    looked_spans(looked);
    looked_connections(looked);
    looked_calls(looked);
    looked_shards(looked, true);
    looked_read(looked);
}

void looked_beside(const struct looked *looked)
{
    if (looked->is_going && oracle_chance(LOOKED_ONE_IN)) {
        looked_spans(looked);
        looked_shards(looked, false);
    }
}

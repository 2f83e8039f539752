/* SPDX-License-Identifier: MIT */
/*
 * A look at spans that are over, without taking them: a walk in which each shard reads its own ring, so that
 * whoever writes a span knows nothing of whoever looks.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <cmdstream/schema.h>
#include <cmdstream/trace.h>

#include "base/least.h"
#include "base/options.h"
#include "machine/fork.h"
#include "shard/runtime.h"
#include "shard/spans.h"
#include "shard/walk.h"

struct look {
    struct cmdi_walk walk;
    struct cmds_span_query query;
    bool has_trace;
    struct cmds_span *list;
    struct cmdi_least rows;
    size_t found;
};

static uint64_t look_duration(const struct cmds_span *span)
{
    return span->end_ns > span->start_ns ? span->end_ns - span->start_ns : 0;
}

static bool look_wants(const struct look *look, const struct cmds_span *span)
{
    const struct cmds_span_query *query = &look->query;
    return (query->kind == 0 || span->kind == query->kind) &&
           (!query->failed || span->error != 0) && look_duration(span) >= query->duration_min_ns &&
           (!look->has_trace ||
                   memcmp(span->trace_id, query->trace_id, sizeof(span->trace_id)) == 0) &&
           (query->type == NULL || strcmp(span->type->schema->name, query->type) == 0);
}

/* The greatest comes first, and the heap has the least. */
static uint64_t look_key(const struct look *look, const struct cmds_span *span)
{
    return UINT64_MAX - (look->query.slowest ? look_duration(span) : span->end_ns);
}

static void look_visit(struct cmdi_walk *walk, const struct cmds_span *span)
{
    struct look *look = CMDI_CONTAINER(walk, struct look, walk);
    size_t row = 0;
    if (!look_wants(look, span)) {
        return;
    }
    look->found++;
    if (cmdi_least_take(&look->rows, look_key(look, span), &row)) {
        cmdi_span_copy(&look->list[row], span, span->event_count);
    }
}

static int look_compare(uint64_t left, uint64_t right)
{
    return (left < right) - (left > right);
}

static int look_newer(const void *a, const void *b)
{
    const struct cmds_span *left = a, *right = b;
    return look_compare(left->end_ns, right->end_ns);
}

static int look_slower(const void *a, const void *b)
{
    int by_duration = look_compare(look_duration(a), look_duration(b));
    return by_duration != 0 ? by_duration : look_newer(a, b);
}

static int look_take_query(struct look *look, const struct cmds_span_query *query)
{
    const struct cmds_span_query all = CMDS_SPAN_QUERY_INIT;
    struct cmds_span_query *mine = &look->query;
    query = query != NULL ? query : &all;
    int code = cmdi_options_take(mine, sizeof(*mine), query, "cmds_span_query", NULL);
    code = code < 0 ? code
                    : cmdi_unused_check(mine->unused | mine->unused2, "cmds_span_query", NULL);
    if (code == 0 && mine->kind != 0 && mine->kind != CMDS_SPAN_SERVER &&
            mine->kind != CMDS_SPAN_CLIENT) {
        code = -EINVAL;
    }
    look->has_trace = !cmdi_is_zero(mine->trace_id, 0, sizeof(mine->trace_id));
    look->walk.depth = mine->depth > 0 ? mine->depth : UINT32_MAX;
    return code;
}

int cmds_span_look(struct cmds_runtime *runtime, const struct cmds_span_query *query,
        struct cmds_span *list, size_t count_max, size_t *count)
{
    struct look look = {.walk = {.kind = CMDI_WALK_SPANS, .visit_span = look_visit}, .list = list};
    if (count == NULL || (list == NULL && count_max > 0)) {
        return -EINVAL;
    }
    int code = look_take_query(&look, query);
    if (code == 0 && runtime->spans == NULL) {
        code = -ENOTSUP;
    }
    code = code < 0 ? code : cmdi_least_init(&look.rows, count_max);
    code = code < 0 ? code : cmdi_runtime_walk(runtime, &look.walk);
    if (code == 0 || code == CMDS_E_TIMEOUT) {
        if (look.rows.count > 0) {
            qsort(list, look.rows.count, sizeof(*list),
                    look.query.slowest ? look_slower : look_newer);
        }
        *count = look.found;
    }
    cmdi_least_fini(&look.rows);
    return code;
}

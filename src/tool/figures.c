/* SPDX-License-Identifier: MIT */
/*
 * See figures.h. A metric that is not there (an older server, or what is switched off) leaves NAN, which
 * is shown as such; a point that is not as it should be counts as none.
 */
#include "figures.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http.h"

enum {
    FIGURES_BUCKETS = 4096, // Of one scale: 2^-256 to 2^256 s at scale 3.
};

static const char label_shard[] = "cmdstream.shard";
static const char label_name[] = "cmdstream.name";
static const char label_type[] = "cmd-stream.command.type";
static const char label_status[] = "cmd-stream.command.status";

/* --- The JSON --------------------------------------------------------------------------------- */

json_t *tool_parse_list(const char *text, size_t size, const char *list, char *why)
{
    json_error_t error;
    json_t *root = json_loadb(text, size, 0, &error);
    if (root == NULL || !json_is_array(json_object_get(root, list))) {
        json_decref(root);
        (void)snprintf(
                why, TOOL_HTTP_TEXT_SIZE, "what answers is not the JSON of a cmdstream service");
        return NULL;
    }
    return root;
}

json_t *tool_figures_parse(const char *text, size_t size, char *why)
{
    return tool_parse_list(text, size, "metrics", why);
}

/* Returns: NULL: there is none of that name. */
static const json_t *figures_points(const json_t *root, const char *name)
{
    size_t i = 0;
    const json_t *metric = NULL;
    json_array_foreach(json_object_get(root, "metrics"), i, metric)
    {
        const char *its = json_string_value(json_object_get(metric, "name"));
        const json_t *points = json_object_get(metric, "points");
        if (its != NULL && strcmp(its, name) == 0 && json_array_size(points) > 0) {
            return points;
        }
    }
    return NULL;
}

static const char *figures_label(const json_t *point, const char *key)
{
    const char *value = json_string_value(json_object_get(json_object_get(point, "labels"), key));
    return value != NULL ? value : "";
}

/* What a server calls itself is shown on a terminal, which must obey none of it. */
static void figures_copy(char name[TOOL_FIGURES_NAME_SIZE], const char *label)
{
    (void)snprintf(name, TOOL_FIGURES_NAME_SIZE, "%s", label);
    for (char *at = name; *at != '\0'; at++) {
        *at = *at >= ' ' && *at <= '~' ? *at : '?';
    }
}

static double figures_value(const json_t *point)
{
    return json_number_value(json_object_get(point, "value"));
}

/* All points, of all shards and servers. */
static double figures_sum(const json_t *root, const char *name)
{
    const json_t *points = figures_points(root, name);
    const json_t *point = NULL;
    size_t i = 0;
    double sum = points != NULL ? 0 : NAN;
    json_array_foreach(points, i, point)
    {
        sum += figures_value(point);
    }
    return sum;
}

/* What one of two metrics does not know does not hide the other. */
static double figures_plus(double a, double b)
{
    return isnan(a) ? b : isnan(b) ? a : a + b;
}

static double figures_or_0(double a)
{
    return isnan(a) ? 0 : a;
}

/* --- Histograms ------------------------------------------------------------------------------- */

/* Buckets as in struct cmds_distribution; what came between two readings is their difference. */
struct spread {
    // That of index i at i + FIGURES_BUCKETS / 2. Doubles: no sum of them overflows.
    double counts[FIGURES_BUCKETS];
    double zeros;
    json_int_t scale;
    bool is_known;
};

static void spread_add(struct spread *spread, const json_t *point, int sign)
{
    const json_t *buckets = json_object_get(point, "buckets");
    const json_t *scale = json_object_get(point, "scale");
    json_int_t offset = json_integer_value(json_object_get(point, "offset"));
    const json_t *bucket = NULL;
    size_t i = 0;
    if (!json_is_array(buckets) || !json_is_integer(scale) || offset < -FIGURES_BUCKETS ||
            offset > FIGURES_BUCKETS ||
            (spread->is_known && json_integer_value(scale) != spread->scale)) {
        return;
    }
    spread->scale = json_integer_value(scale);
    spread->is_known = true;
    spread->zeros += sign * json_number_value(json_object_get(point, "zero_count"));
    json_array_foreach(buckets, i, bucket)
    {
        json_int_t at = offset + (json_int_t)i + FIGURES_BUCKETS / 2;
        if (at >= 0 && at < FIGURES_BUCKETS) {
            spread->counts[at] += sign * json_number_value(bucket);
        }
    }
}

static double spread_count(const struct spread *spread)
{
    double count = spread->zeros > 0 ? spread->zeros : 0;
    for (uint32_t i = 0; i < FIGURES_BUCKETS; i++) {
        count += spread->counts[i] > 0 ? spread->counts[i] : 0;
    }
    return count;
}

/*
 * The middle of the bucket that has it, also of the highest value (part 1): at most half a bucket off either way,
 * and what the admin's /status says of the same values. Returns: NAN: there is no value.
 */
static double spread_quantile(const struct spread *spread, double part)
{
    double count = spread_count(spread);
    double rank = ceil(part * count);
    double passed = spread->zeros > 0 ? spread->zeros : 0;
    if (!(count > 0)) {
        return NAN;
    }
    for (int32_t i = 0; i < FIGURES_BUCKETS && passed < rank; i++) {
        passed += spread->counts[i] > 0 ? spread->counts[i] : 0;
        if (passed >= rank) {
            double at = (double)(i - FIGURES_BUCKETS / 2) + 0.5;
            return exp2(at / exp2((double)spread->scale));
        }
    }
    return 0;
}

/* Those of one type; NULL: of all. */
static void spread_add_metric(
        struct spread *spread, const json_t *root, const char *name, const char *type, int sign)
{
    const json_t *point = NULL;
    size_t i = 0;
    json_array_foreach(figures_points(root, name), i, point)
    {
        if (type == NULL || strcmp(figures_label(point, label_type), type) == 0) {
            spread_add(spread, point, sign);
        }
    }
}

/* --- Two readings ----------------------------------------------------------------------------- */

struct figures_pair {
    const json_t *before, *after;
    double seconds;
};

static double pair_rate(const struct figures_pair *pair, const char *name)
{
    double now = figures_sum(pair->after, name);
    double grown = now - figures_or_0(figures_sum(pair->before, name));
    return isnan(now) ? NAN : grown > 0 ? grown / pair->seconds : 0;
}

static const char *const count_names[] = {
        "cmd-stream.server.command.count", "cmd-stream.client.command.count"};
static const char *const duration_names[] = {
        "cmd-stream.server.command.duration", "cmd-stream.client.command.duration"};

/* --- Types ------------------------------------------------------------------------------------ */

/* Returns: NULL: there are too many. */
static struct tool_type_figures *types_find(
        struct tool_figures *figures, const char *name, bool is_client)
{
    for (uint32_t i = 0; i < figures->type_count; i++) {
        struct tool_type_figures *type = &figures->types[i];
        if (type->is_client == is_client && strcmp(type->key, name) == 0) {
            return type;
        }
    }
    if (figures->type_count == TOOL_FIGURES_TYPES_MAX) {
        return NULL;
    }
    struct tool_type_figures *type = &figures->types[figures->type_count++];
    *type = (struct tool_type_figures){.key = name, .is_client = is_client};
    figures_copy(type->name, name);
    return type;
}

/* `weight`: 1 / seconds of what came last, less that of what was before. */
static void types_add(
        struct tool_figures *figures, const json_t *root, bool is_client, double weight)
{
    const json_t *point = NULL;
    size_t i = 0;
    json_array_foreach(figures_points(root, count_names[is_client]), i, point)
    {
        struct tool_type_figures *type =
                types_find(figures, figures_label(point, label_type), is_client);
        double count = figures_value(point) * weight;
        bool is_error = strcmp(figures_label(point, label_status), "OK") != 0;
        if (type != NULL) {
            type->commands += count;
            type->errors += is_error ? count : 0;
        }
    }
}

static void types_measure(
        struct tool_figures *figures, const struct figures_pair *pair, struct spread *spread)
{
    for (uint32_t i = 0; i < figures->type_count; i++) {
        struct tool_type_figures *type = &figures->types[i];
        *spread = (struct spread){.zeros = 0};
        spread_add_metric(spread, pair->after, duration_names[type->is_client], type->key, 1);
        spread_add_metric(spread, pair->before, duration_names[type->is_client], type->key, -1);
        type->p50 = spread_quantile(spread, 0.5);
        type->p99 = spread_quantile(spread, 0.99);
        type->max = spread_quantile(spread, 1);
        type->commands = type->commands > 0 ? type->commands : 0;
        type->errors = type->errors > 0 ? type->errors : 0;
        figures->commands = figures_plus(figures->commands, type->commands);
        figures->errors = figures_plus(figures->errors, type->errors);
    }
    *spread = (struct spread){.zeros = 0};
    for (uint32_t side = 0; side < 2; side++) {
        spread_add_metric(spread, pair->after, duration_names[side], NULL, 1);
        spread_add_metric(spread, pair->before, duration_names[side], NULL, -1);
    }
    figures->p50 = spread_quantile(spread, 0.5);
    figures->p99 = spread_quantile(spread, 0.99);
    *spread = (struct spread){.zeros = 0};
    spread_add_metric(spread, pair->after, "cmdstream.turn.duration", NULL, 1);
    spread_add_metric(spread, pair->before, "cmdstream.turn.duration", NULL, -1);
    figures->turn_p99 = spread_quantile(spread, 0.99);
}

/* Without counts by type what servers and groups count is known all the same. */
static void figures_count_without_types(
        struct tool_figures *figures, const struct figures_pair *pair)
{
    if (figures->type_count == 0) {
        figures->commands = figures_plus(pair_rate(pair, "cmdstream.server.commands_received"),
                pair_rate(pair, "cmdstream.client.commands_sent"));
        figures->errors = pair_rate(pair, "cmdstream.server.exec_errors");
    }
}

static int figures_make_types(struct tool_figures *figures, const struct figures_pair *pair)
{
    struct spread *spread = malloc(sizeof(*spread));
    figures->types = calloc(TOOL_FIGURES_TYPES_MAX, sizeof(*figures->types));
    if (spread == NULL || figures->types == NULL) {
        free(spread);
        return -ENOMEM;
    }
    for (uint32_t side = 0; side < 2; side++) {
        types_add(figures, pair->after, side == 1, 1 / pair->seconds);
        types_add(figures, pair->before, side == 1, -1 / pair->seconds);
    }
    figures->commands = NAN;
    figures->errors = NAN;
    types_measure(figures, pair, spread);
    figures_count_without_types(figures, pair);
    for (uint32_t i = 0; i < figures->type_count; i++) {
        figures->types[i].key = NULL;
    }
    free(spread);
    return 0;
}

/* --- Shards ----------------------------------------------------------------------------------- */

/* Returns: the number of the point's shard; negative: it has none. */
static long figures_shard(const json_t *point)
{
    const char *text = figures_label(point, label_shard);
    char *end = NULL;
    long shard = text[0] >= '0' && text[0] <= '9' ? strtol(text, &end, 10) : -1;
    return shard >= 0 && *end == '\0' && shard < TOOL_FIGURES_SHARDS_MAX ? shard : -1;
}

static void shards_add(struct tool_figures *figures, const json_t *root, const char *name,
        size_t member, double weight)
{
    const json_t *point = NULL;
    size_t i = 0;
    json_array_foreach(figures_points(root, name), i, point)
    {
        long shard = figures_shard(point);
        if (shard >= 0 && shard < (long)figures->shard_count) {
            double *value = (double *)(void *)((char *)&figures->shards[shard] + member);
            *value = figures_or_0(*value) + figures_value(point) * weight;
        }
    }
}

static int figures_make_shards(struct tool_figures *figures, const struct figures_pair *pair)
{
    static const struct {
        const char *name;
        size_t member;
    } rates[] = {
            {"cmdstream.shard.busy", offsetof(struct tool_shard_figures, busy)},
            {"cmdstream.turns", offsetof(struct tool_shard_figures, turns)},
            {"cmdstream.server.commands_received", offsetof(struct tool_shard_figures, commands)},
            {"cmdstream.client.commands_sent", offsetof(struct tool_shard_figures, commands)},
            {"cmdstream.server.recv_bytes", offsetof(struct tool_shard_figures, recv)},
            {"cmdstream.client.recv_bytes", offsetof(struct tool_shard_figures, recv)},
            {"cmdstream.server.send_bytes", offsetof(struct tool_shard_figures, send)},
            {"cmdstream.client.send_bytes", offsetof(struct tool_shard_figures, send)},
    };
    const json_t *point = NULL;
    size_t i = 0;
    json_array_foreach(figures_points(pair->after, "cmdstream.turns"), i, point)
    {
        long shard = figures_shard(point);
        uint32_t count = shard >= 0 ? (uint32_t)shard + 1 : 0;
        figures->shard_count = count > figures->shard_count ? count : figures->shard_count;
    }
    figures->shards = calloc(figures->shard_count + 1u, sizeof(*figures->shards));
    if (figures->shards == NULL) {
        return -ENOMEM;
    }
    for (i = 0; i < figures->shard_count; i++) {
        figures->shards[i] = (struct tool_shard_figures){NAN, NAN, NAN, NAN, NAN, NAN};
    }
    for (i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        shards_add(figures, pair->after, rates[i].name, rates[i].member, 1 / pair->seconds);
        shards_add(figures, pair->before, rates[i].name, rates[i].member, -1 / pair->seconds);
    }
    shards_add(figures, pair->after, "cmdstream.memory_bytes",
            offsetof(struct tool_shard_figures, memory), 1);
    return 0;
}

/* --- All of it -------------------------------------------------------------------------------- */

/* The first of its servers, else of its groups, that has a name. */
static void figures_find_name(struct tool_figures *figures, const json_t *root)
{
    static const char *const names[] = {
            "cmdstream.server.connections", "cmdstream.client.connections"};
    for (uint32_t side = 0; side < 2 && figures->name[0] == '\0'; side++) {
        const json_t *point = NULL;
        size_t i = 0;
        json_array_foreach(figures_points(root, names[side]), i, point)
        {
            if (figures->name[0] == '\0') {
                figures_copy(figures->name, figures_label(point, label_name));
            }
        }
    }
}

static void figures_make_totals(
        struct tool_figures *figures, const struct figures_pair *pair, double wall_s)
{
    const json_t *build = json_array_get(figures_points(pair->after, "cmdstream.build_info"), 0);
    figures_copy(figures->version, figures_label(build, "cmdstream.version"));
    figures_find_name(figures, pair->after);
    figures->uptime = wall_s - figures_sum(pair->after, "process.start_time");
    figures->connections = figures_plus(figures_sum(pair->after, "cmdstream.server.connections"),
            figures_sum(pair->after, "cmdstream.client.connections"));
    figures->busy = pair_rate(pair, "cmdstream.shard.busy") /
                    (figures->shard_count > 0 ? figures->shard_count : 1);
    figures->turns = pair_rate(pair, "cmdstream.turns");
    figures->recv = figures_plus(pair_rate(pair, "cmdstream.server.recv_bytes"),
            pair_rate(pair, "cmdstream.client.recv_bytes"));
    figures->send = figures_plus(pair_rate(pair, "cmdstream.server.send_bytes"),
            pair_rate(pair, "cmdstream.client.send_bytes"));
    figures->memory = figures_sum(pair->after, "cmdstream.memory_bytes");
}

int tool_figures_make(struct tool_figures *figures, const json_t *before, const json_t *after,
        double seconds, double wall_s)
{
    double began = figures_sum(before, "process.start_time");
    double begins = figures_sum(after, "process.start_time");
    bool restarted = !isnan(began) && !isnan(begins) && began != begins;
    struct figures_pair pair = {restarted ? after : before, after, seconds > 0 ? seconds : 1};
    *figures = (struct tool_figures){.restarted = restarted, .seconds = seconds};
    int code = figures_make_shards(figures, &pair);
    code = code < 0 ? code : figures_make_types(figures, &pair);
    if (code < 0) {
        tool_figures_free(figures);
        return code;
    }
    figures_make_totals(figures, &pair, wall_s);
    tool_figures_sort(figures, TOOL_SORT_COMMANDS);
    return 0;
}

void tool_figures_free(struct tool_figures *figures)
{
    free(figures->shards);
    free(figures->types);
    *figures = (struct tool_figures){.seconds = 0};
}

/* --- Order ------------------------------------------------------------------------------------ */

const char *tool_figures_sort_name(enum tool_figures_sort sort)
{
    static const char *const names[TOOL_SORTS] = {"cmd/s", "p99", "err/s", "name"};
    return names[sort];
}

static int sort_by_name(const void *a, const void *b)
{
    const struct tool_type_figures *left = a;
    const struct tool_type_figures *right = b;
    int names = strcmp(left->name, right->name);
    return names != 0 ? names : left->is_client - right->is_client;
}

static int sort_by(double left, double right, const void *a, const void *b)
{
    left = figures_or_0(left);
    right = figures_or_0(right);
    return left > right ? -1 : left < right ? 1 : sort_by_name(a, b);
}

static int sort_by_commands(const void *a, const void *b)
{
    const struct tool_type_figures *left = a;
    const struct tool_type_figures *right = b;
    return sort_by(left->commands, right->commands, a, b);
}

static int sort_by_p99(const void *a, const void *b)
{
    const struct tool_type_figures *left = a;
    const struct tool_type_figures *right = b;
    return sort_by(left->p99, right->p99, a, b);
}

static int sort_by_errors(const void *a, const void *b)
{
    const struct tool_type_figures *left = a;
    const struct tool_type_figures *right = b;
    return sort_by(left->errors, right->errors, a, b);
}

void tool_figures_sort(struct tool_figures *figures, enum tool_figures_sort sort)
{
    static int (*const by[TOOL_SORTS])(const void *a, const void *b) = {
            sort_by_commands, sort_by_p99, sort_by_errors, sort_by_name};
    qsort(figures->types, figures->type_count, sizeof(*figures->types), by[sort]);
}

/* SPDX-License-Identifier: MIT */
/*
 * The page / and /status: what runs, since when, on what; what each shard does, and how each type of command
 * fares, since the start and since the last look.
 *
 * JSON has what was counted, whole, and whoever fetches it twice subtracts: looks of several do not disturb
 * each other. Text is for one who looks now and then.
 */
#include <errno.h>
#include <math.h>
#include <time.h>
#include <unistd.h>

#include <microhttpd.h>

#include "admin/admin.h"
#include "admin/common.h"
#include "admin/pages.h"
#include "admin/snapshot.h"
#include "admin/words.h"

enum {
    STATUS_DESCRIPTION_SIZE = 1024,
    // A look that is nearer than this to the one before is not the next one's last.
    STATUS_WINDOW_MS = 900,
};

/* What one answer is made of. */
struct status {
    struct cmds_admin *admin;
    struct cmdi_admin_out *out;
    const struct cmdi_admin_snapshot *now;
    const struct cmdi_admin_snapshot *before; // NULL: the start.
    double seconds;                           // Between the two.
    char description[STATUS_DESCRIPTION_SIZE];
};

static double seconds_between(uint64_t from_ns, uint64_t to_ns)
{
    return to_ns > from_ns ? (double)(to_ns - from_ns) / 1e9 : 1e-9;
}

/*
 * Of the process, as `cmdstream stats` has it. What is counted began with the runtime, which is older than the
 * admin by as long as a program takes to open that: by the admin's age a rate since the start could be any.
 */
static double uptime_of(const struct cmds_admin *admin, const struct cmdi_admin_snapshot *now)
{
    struct timespec wall;
    (void)clock_gettime(CLOCK_REALTIME, &wall);
    double up_s = (double)wall.tv_sec + (double)wall.tv_nsec / 1e9 - now->start_s;
    double open_s = seconds_between(admin->start_ns, now->time_ns);
    return now->start_s > 0 && up_s > open_s ? up_s : open_s;
}

static const struct cmdi_admin_page *next_page(
        const struct cmds_admin *admin, const struct cmdi_admin_page *page)
{
    while (page->path != NULL && ((page->places & CMDI_ADMIN_PRIVATE) == 0 ||
                                         (page->is_there != NULL && !page->is_there(admin)) ||
                                         (page->is_change && !admin->allow_changes))) {
        page++;
    }
    return page;
}

/* --- Text ------------------------------------------------------------------------------------- */

static void text_head(const struct status *status)
{
    struct cmdi_admin_out *out = status->out;
    char text[CMDI_ADMIN_WORD_SIZE];
    cmdi_admin_out_format(out, "cmdstream %s  pid %d  up %s  CPU %.1f s", cmds_version(),
            (int)getpid(), cmdi_admin_time(text, uptime_of(status->admin, status->now)),
            status->now->cpu_s);
    cmdi_admin_out_format(out, "  resident %s%s\n",
            cmdi_admin_bytes(text, (double)status->now->resident_bytes),
            cmds_runtime_is_draining(status->admin->runtime) ? "  DRAINING" : "");
    cmdi_admin_out_plain(out, cmds_string_from(status->description));
    cmdi_admin_out_format(out, "\n\nSince the %s, %s ago:\n",
            status->before == NULL ? "start" : "last look", cmdi_admin_time(text, status->seconds));
}

static void text_rate(
        struct cmdi_admin_out *out, uint64_t now, uint64_t before, double seconds, int width)
{
    char text[CMDI_ADMIN_WORD_SIZE];
    cmdi_admin_right(out, cmdi_admin_number(text, (double)(now - before) / seconds), width);
}

static void text_byte_rate(
        struct cmdi_admin_out *out, uint64_t now, uint64_t before, double seconds)
{
    char text[CMDI_ADMIN_WORD_SIZE];
    cmdi_admin_right(out, cmdi_admin_bytes(text, (double)(now - before) / seconds), 10);
}

static void text_shards(const struct status *status)
{
    static const struct cmdi_admin_shard none;
    struct cmdi_admin_out *out = status->out;
    char text[CMDI_ADMIN_WORD_SIZE];
    cmdi_admin_out_text(out,
            "shard  busy  spins     turns/s   cmd/turn      commands/s  connections      recv/s"
            "      sent/s      memory\n");
    for (uint32_t i = 0; i < status->now->shard_count; i++) {
        const struct cmdi_admin_shard *now = &status->now->shards[i];
        const struct cmdi_admin_shard *before =
                status->before == NULL ? &none : &status->before->shards[i];
        double turns = (double)(now->turns - before->turns);
        cmdi_admin_out_format(out, "%5u  %3.0f%%  %4.0f%%  ", i,
                100 * (now->busy_s - before->busy_s) / status->seconds,
                100 * (now->spin_s - before->spin_s) / status->seconds);
        text_rate(out, now->turns, before->turns, status->seconds, 10);
        cmdi_admin_right(out,
                cmdi_admin_number(
                        text, turns > 0 ? (double)(now->commands - before->commands) / turns : 0),
                9);
        text_rate(out, now->commands, before->commands, status->seconds, 14);
        cmdi_admin_right(out, cmdi_admin_number(text, (double)now->connections), 11);
        text_byte_rate(out, now->recv_bytes, before->recv_bytes, status->seconds);
        text_byte_rate(out, now->send_bytes, before->send_bytes, status->seconds);
        cmdi_admin_right(out, cmdi_admin_bytes(text, (double)now->memory_bytes), 10);
        cmdi_admin_out_text(out, "\n");
    }
}

static uint64_t errors_of(const struct cmdi_admin_type *type)
{
    return type->failed + type->timeout + type->cancelled;
}

static void text_quantiles(struct cmdi_admin_out *out, const struct cmdi_admin_durations *durations)
{
    static const double quantiles[] = {0.5, 0.9, 0.99, 1};
    char text[CMDI_ADMIN_WORD_SIZE];
    for (size_t i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++) {
        cmdi_admin_right(out,
                cmdi_admin_time(text, cmdi_admin_durations_quantile(durations, quantiles[i])), 7);
    }
}

/* Since the last look, and the quantiles since the start in one line more. */
static void text_type(const struct status *status, const struct cmdi_admin_type *now)
{
    static const struct cmdi_admin_type none;
    struct cmdi_admin_out *out = status->out;
    const struct cmdi_admin_type *before =
            status->before == NULL ? NULL : cmdi_admin_snapshot_find(status->before, now);
    before = before == NULL ? &none : before;
    cmdi_admin_left(out, now->type, 24);
    cmdi_admin_left(out, now->is_client ? "client" : "server", 6);
    cmdi_admin_left(out, now->name, 12);
    text_rate(out, now->count, before->count, status->seconds, 12);
    text_rate(out, errors_of(now), errors_of(before), status->seconds, 8);
    struct cmdi_admin_durations since =
            cmdi_admin_durations_since(&now->durations, &before->durations);
    text_quantiles(out, &since);
    cmdi_admin_out_text(out, "|  ");
    text_quantiles(out, &now->durations);
    cmdi_admin_out_text(out, "\n");
}

static void text_types(const struct status *status)
{
    struct cmdi_admin_out *out = status->out;
    if (status->now->type_count == 0) {
        return;
    }
    cmdi_admin_out_text(out, "\ntype                      side    name            commands/s  "
                             "errors/s      p50      p90"
                             "      p99      max  |  since the start\n");
    for (uint32_t i = 0; i < status->now->type_count; i++) {
        text_type(status, &status->now->types[i]);
    }
    if (status->now->types_left_out > 0) {
        cmdi_admin_out_format(out, "further types are left out, after %d\n", CMDI_ADMIN_TYPES_MAX);
    }
}

static void status_text(const struct status *status)
{
    struct cmdi_admin_out *out = status->out;
    text_head(status);
    text_shards(status);
    text_types(status);
    cmdi_admin_out_text(out, "\n");
    const struct cmds_admin *admin = status->admin;
    for (const struct cmdi_admin_page *page = next_page(admin, admin->pages); page->path != NULL;
            page = next_page(admin, page + 1)) {
        cmdi_admin_out_format(out, "%-14s %s\n", page->path, page->about);
    }
}

/* --- JSON ------------------------------------------------------------------------------------- */

static void json_shards(const struct status *status)
{
    struct cmdi_admin_out *out = status->out;
    cmdi_admin_out_text(out, ",\n\"shards\":[");
    for (uint32_t i = 0; i < status->now->shard_count; i++) {
        const struct cmdi_admin_shard *shard = &status->now->shards[i];
        cmdi_admin_out_format(out,
                "%s\n{\"shard\":%u,\"busy_s\":%.9f,\"spin_s\":%.9f,\"sleep_s\":%.9f,\"turns\":%llu,"
                "\"commands\":%llu,\"results\":%llu,",
                i == 0 ? "" : ",", i, shard->busy_s, shard->spin_s, shard->sleep_s,
                (unsigned long long)shard->turns, (unsigned long long)shard->commands,
                (unsigned long long)shard->results);
        cmdi_admin_out_format(out,
                "\"connections\":%lld,\"recv_bytes\":%llu,\"send_bytes\":%llu,\"memory_bytes\":%"
                "lld}",
                (long long)shard->connections, (unsigned long long)shard->recv_bytes,
                (unsigned long long)shard->send_bytes, (long long)shard->memory_bytes);
    }
    cmdi_admin_out_text(out, "]");
}

/* As in /metrics, but that all have the same scale; empty buckets at both ends are left out. */
static void json_durations(struct cmdi_admin_out *out, const struct cmdi_admin_durations *durations)
{
    static const double quantiles[] = {0.5, 0.9, 0.99, 1};
    static const char *const names[] = {"p50_s", "p90_s", "p99_s", "max_s"};
    uint32_t first = 0, end = CMDI_ADMIN_BUCKETS;
    while (end > 0 && durations->buckets[end - 1] == 0) {
        end--;
    }
    while (first < end && durations->buckets[first] == 0) {
        first++;
    }
    cmdi_admin_out_format(out, "{\"count\":%llu,\"sum_s\":%.9f,\"zero_count\":%llu",
            (unsigned long long)cmdi_admin_durations_count(durations), durations->sum_s,
            (unsigned long long)durations->zero_count);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        double seconds = cmdi_admin_durations_quantile(durations, quantiles[i]);
        // JSON has no NAN; that there is no value is what `count` says.
        cmdi_admin_out_format(out, ",\"%s\":%.4g", names[i], isnan(seconds) ? 0 : seconds);
    }
    cmdi_admin_out_format(out, ",\"scale\":%d,\"offset\":%d,\"buckets\":[", CMDI_ADMIN_SCALE,
            CMDI_ADMIN_BUCKET_FIRST + (int)first);
    for (uint32_t i = first; i < end; i++) {
        cmdi_admin_out_format(
                out, "%s%llu", i == first ? "" : ",", (unsigned long long)durations->buckets[i]);
    }
    cmdi_admin_out_text(out, "]}");
}

static void json_types(const struct status *status)
{
    struct cmdi_admin_out *out = status->out;
    cmdi_admin_out_text(out, ",\n\"types\":[");
    for (uint32_t i = 0; i < status->now->type_count; i++) {
        const struct cmdi_admin_type *type = &status->now->types[i];
        cmdi_admin_out_format(out, "%s\n{\"side\":\"%s\",\"name\":", i == 0 ? "" : ",",
                type->is_client ? "client" : "server");
        cmdi_admin_out_json(out, cmds_string_from(type->name));
        cmdi_admin_out_text(out, ",\"type\":");
        cmdi_admin_out_json(out, cmds_string_from(type->type));
        cmdi_admin_out_format(out,
                ",\"count\":%llu,\"failed\":%llu,\"timeout\":%llu,\"cancelled\":%llu,"
                "\"durations\":",
                (unsigned long long)type->count, (unsigned long long)type->failed,
                (unsigned long long)type->timeout, (unsigned long long)type->cancelled);
        json_durations(out, &type->durations);
        cmdi_admin_out_text(out, "}");
    }
    cmdi_admin_out_format(
            out, "],\n\"types_left_out\":%s", status->now->types_left_out > 0 ? "true" : "false");
}

static void json_pages(const struct status *status)
{
    struct cmdi_admin_out *out = status->out;
    const struct cmds_admin *admin = status->admin;
    cmdi_admin_out_text(out, ",\n\"pages\":[");
    const char *comma = "";
    for (const struct cmdi_admin_page *page = next_page(admin, admin->pages); page->path != NULL;
            page = next_page(admin, page + 1)) {
        cmdi_admin_out_format(out, "%s{\"path\":\"%s\",\"is_change\":%s,\"about\":", comma,
                page->path, page->is_change ? "true" : "false");
        cmdi_admin_out_json(out, cmds_string_from(page->about));
        cmdi_admin_out_text(out, "}");
        comma = ",";
    }
    cmdi_admin_out_text(out, "]");
}

static void status_json(const struct status *status)
{
    struct cmdi_admin_out *out = status->out;
    bool is_draining = cmds_runtime_is_draining(status->admin->runtime);
    cmdi_admin_out_format(out,
            "{\"version\":\"%s\",\"pid\":%d,\"uptime_s\":%.3f,\"draining\":%s,\"shard_count\":%u,"
            "\"cpu_s\":%.3f,\"resident_bytes\":%lld,",
            cmds_version(), (int)getpid(), uptime_of(status->admin, status->now),
            is_draining ? "true" : "false", status->now->shard_count, status->now->cpu_s,
            (long long)status->now->resident_bytes);
    cmdi_admin_out_text(out, "\"description\":");
    cmdi_admin_out_json(out, cmds_string_from(status->description));
    json_shards(status);
    cmdi_admin_out_text(out, ",\n\"turns\":");
    json_durations(out, &status->now->turns);
    json_types(status);
    json_pages(status);
    cmdi_admin_out_text(out, "}\n");
}

/* --- The page --------------------------------------------------------------------------------- */

/* Owner: gives. Returns: 0; negative, and *out is NULL. */
static int look(struct cmdi_admin_snapshot **out, const struct cmds_admin *admin)
{
    struct cmdi_admin_snapshot *now =
            cmdi_admin_snapshot_new(cmds_runtime_shard_count(admin->runtime));
    int code = now == NULL ? -ENOMEM
                           : cmds_telemetry_read(admin->runtime, CMDS_READ_BY_SHARD,
                                     cmdi_admin_snapshot_add, now);
    *out = NULL;
    if (code < 0) {
        cmdi_admin_snapshot_free(now);
        return code;
    }
    now->time_ns = cmdi_admin_now_ns();
    *out = now;
    return 0;
}

void cmdi_admin_page_status(struct cmdi_admin_request *request)
{
    struct cmds_admin *admin = request->admin;
    struct cmdi_admin_snapshot *now;
    int code = look(&now, admin);
    if (code < 0) {
        cmdi_admin_refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, cmds_error_text(code));
        return;
    }
    struct status status = {
            .admin = admin, .out = &request->out, .now = now, .before = admin->last_look};
    status.seconds = status.before == NULL ? uptime_of(admin, now)
                                           : seconds_between(status.before->time_ns, now->time_ns);
    (void)cmds_runtime_describe(admin->runtime, status.description, sizeof(status.description));
    if (request->form == CMDI_ADMIN_JSON) {
        status_json(&status);
        cmdi_admin_snapshot_free(now);
        return;
    }
    status_text(&status);
    if (admin->last_look == NULL || status.seconds * 1000 >= STATUS_WINDOW_MS) {
        cmdi_admin_snapshot_free(admin->last_look);
        admin->last_look = now;
    } else {
        cmdi_admin_snapshot_free(now);
    }
}

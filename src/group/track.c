/* SPDX-License-Identifier: MIT */
/* Commands that hooks or a breaker look at. See track.h. */
#include "group/track.h"

#include <errno.h>

#include "base/assert.h"
#include "base/hint.h"
#include "base/time.h"
#include "group/breaker.h"
#include "group/group_shard.h"
#include "group/trace.h"
#include "ring/clock.h"

static bool tracker_finds_traced(const struct cmds_protocol *protocol)
{
    bool is_traced = false;
    for (uint32_t i = 0; i < protocol->command_count && !is_traced; i++) {
        is_traced = cmdi_type_traces(protocol->commands[i]) != NULL;
    }
    return is_traced;
}

int cmdi_tracker_init(struct cmdi_tracker *tracker, const struct cmds_group_options *options,
        bool has_spans, struct cmds_error *error)
{
    int code = cmdi_hooks_take(&tracker->hooks, options, error);
    tracker->breaker = options->breaker;
    tracker->is_used = tracker->hooks.count > 0 || tracker->breaker != NULL;
    tracker->has_spans = has_spans;
    tracker->is_traced = has_spans && tracker_finds_traced(options->protocol);
    return code;
}

size_t cmdi_track_size(const struct cmdi_tracker *tracker)
{
    return tracker->is_used ? sizeof(struct cmdi_track) + tracker->hooks.count * sizeof(void *)
                            : offsetof(struct cmdi_track, tracked);
}

/* --- The beginning ---------------------------------------------------------------------------- */

/* The turn's, on a shard; not asked for every command. */
static uint64_t track_now_ms(void)
{
    struct cmdi_shard *shard = cmdi_shard_current();
    return shard != NULL ? cmdi_shard_clock_ms(shard) : cmdi_ns_to_ms(cmdi_now_ns());
}

static int track_allow(struct cmdi_tracker *tracker, uint64_t *permit)
{
    struct cmds_breaker *breaker = tracker->breaker;
    *permit = 0;
    if (breaker == NULL || CMDI_LIKELY(cmdi_breaker_passes(breaker, permit))) {
        return 0;
    }
    int code = cmdi_breaker_allow_trial(breaker, track_now_ms(), permit);
    if (code < 0) {
        atomic_fetch_add_explicit(&tracker->not_allowed, 1, memory_order_relaxed);
    }
    return code;
}

/* Says to the breaker how it went. */
static void tracked_count(struct cmdi_tracker *tracker, struct cmdi_tracked *tracked,
        enum cmds_breaker_outcome outcome, uint64_t now_ms)
{
    uint64_t permit = tracked->permit;
    if (tracker->breaker != NULL) {
        tracked->has_counted = true;
        tracked->permit &= ~CMDI_BREAKER_TRIAL; // Its place is free: what comes now is no trial.
        cmdi_breaker_report(tracker->breaker, permit, outcome, now_ms);
    }
}

/* Returns: 0; -ENOBUFS: the shard's memory is short; -ENOMEM. */
static int track_make(
        struct cmds_group *group, struct cmdi_group_shard *group_shard, struct cmdi_track **out)
{
    struct cmdi_stock *stock =
            group_shard != NULL ? &group_shard->track_stock : &group->track_stock;
    struct cmdi_track *track = cmdi_stock_take(stock);
    if (CMDI_UNLIKELY(track == NULL)) {
        return cmdi_pool_lack(&stock->pool);
    }
    track->group = group;
    track->span.entry = NULL;
    *out = track;
    return 0;
}

/* Asks the hooks. */
static int track_ask(struct cmdi_track *track, const struct cmdi_command *command,
        uint32_t deadline_ms, void *data)
{
    struct cmdi_tracked *tracked = &track->tracked;
    const struct cmdi_hooks *hooks = &track->group->tracker.hooks;
    tracked->until_ms = UINT64_MAX;
    tracked->has_counted = false;
    const struct cmds_message message = cmdi_group_untraced(command->type, command->value);
    tracked->command = (struct cmds_sent_command){
            .struct_size = sizeof(struct cmds_sent_command),
            .group = track->group,
            .type = message.type,
            .value = message.value,
            .size = (uint32_t)command->body_size,
            .deadline_ms = deadline_ms,
            .data = data,
    };
    int code = cmdi_hooks_before(hooks, &tracked->command, track->users);
    if (CMDI_UNLIKELY(code == 0 && tracked->command.deadline_ms < deadline_ms)) {
        tracked->until_ms = track_now_ms() + tracked->command.deadline_ms;
    }
    tracked->command.value = NULL; // From here on another thread may have it.
    return code;
}

static void track_begin_span(
        struct cmdi_track *track, const struct cmdi_traced_send *send, size_t size)
{
    CMDI_ASSERT(track->group->tracker.has_spans);
    track->span = send->span;
    track->span.size = (uint32_t)size;
}

int cmdi_track_begin(struct cmds_group *group, struct cmdi_group_shard *group_shard,
        const struct cmdi_command *command, uint32_t deadline_ms, void *data,
        const struct cmdi_traced_send *send, struct cmdi_track **out)
{
    struct cmdi_tracker *tracker = &group->tracker;
    uint64_t permit;
    if (!tracker->is_used) { // All that there is is the span.
        int code = track_make(group, group_shard, out);
        if (CMDI_LIKELY(code == 0)) {
            track_begin_span(*out, send, command->body_size);
        }
        return code;
    }
    int code = track_allow(tracker, &permit);
    if (CMDI_UNLIKELY(code < 0)) {
        return code;
    }
    struct cmdi_track *track = NULL;
    code = track_make(group, group_shard, &track);
    if (CMDI_UNLIKELY(code < 0)) {
        struct cmdi_tracked tracked = {.permit = permit};
        tracked_count(tracker, &tracked, CMDS_BREAKER_IGNORED, 0);
        return code;
    }
    track->tracked.permit = permit;
    code = track_ask(track, command, deadline_ms, data);
    if (CMDI_UNLIKELY(code < 0)) {
        tracked_count(tracker, &track->tracked, CMDS_BREAKER_IGNORED, 0);
        cmdi_stock_give_back(&track->stocked);
        return code;
    }
    if (CMDI_UNLIKELY(send != NULL)) {
        track_begin_span(track, send, command->body_size);
    }
    *out = track;
    return 0;
}

uint64_t cmdi_track_until_ms(const struct cmdi_track *track)
{
    return track->group->tracker.is_used ? track->tracked.until_ms : UINT64_MAX;
}

uint32_t cmdi_track_left_ms(const struct cmdi_track *track, uint32_t deadline_ms)
{
    uint64_t until_ms = cmdi_track_until_ms(track);
    if (CMDI_LIKELY(until_ms == UINT64_MAX)) {
        return deadline_ms;
    }
    uint64_t now_ms = track_now_ms();
    uint64_t left_ms = until_ms > now_ms ? until_ms - now_ms : 0;
    return left_ms < deadline_ms ? (uint32_t)left_ms : deadline_ms;
}

/* --- Those that wait for room outside --------------------------------------------------------- */

int cmdi_track_begin_again(struct cmds_group *group, struct cmdi_group_shard *group_shard,
        struct cmdi_kept *kept, const struct cmdi_traced_send *send, size_t size,
        struct cmdi_track **out)
{
    struct cmdi_track *track = NULL;
    CMDI_ASSERT(kept->is_kept);
    int code = track_make(group, group_shard, &track);
    if (code < 0) {
        return code;
    }
    track->tracked = kept->tracked;
    memcpy(track->users, kept->users, group->tracker.hooks.count * sizeof(void *));
    kept->is_kept = false;
    if (CMDI_UNLIKELY(send != NULL)) {
        track_begin_span(track, send, size);
    }
    *out = track;
    return 0;
}

void cmdi_track_keep(struct cmdi_track *track, struct cmdi_kept *kept)
{
    CMDI_ASSERT(!kept->is_kept);
    if (track->group->tracker.is_used) { // Else there was but a span.
        kept->is_kept = true;
        kept->tracked = track->tracked;
        memcpy(kept->users, track->users, track->group->tracker.hooks.count * sizeof(void *));
    }
    cmdi_stock_give_back(&track->stocked);
}

/* --- The end ---------------------------------------------------------------------------------- */

static void tracked_tell(struct cmdi_tracker *tracker, struct cmdi_tracked *tracked, void **users,
        const struct cmds_result *result)
{
    enum cmds_breaker_outcome outcome;
    if (tracker->breaker != NULL &&
            cmdi_breaker_counts(tracker->breaker, tracked->has_counted, result, &outcome)) {
        tracked_count(
                tracker, tracked, outcome, outcome == CMDS_BREAKER_FAILURE ? track_now_ms() : 0);
    }
    cmdi_hooks_tell(&tracker->hooks, &tracked->command, users, result);
}

static struct cmds_result track_refusal(int code)
{
    return (struct cmds_result){.error = code, .last = true, .text = cmds_error_text(code)};
}

/* Of a command that no connection has taken, or that says no more. */
static void track_end_span(struct cmdi_track *track, const struct cmds_result *result)
{
    if (CMDI_UNLIKELY(track->span.entry != NULL)) {
        cmdi_group_span_end(track->group, &track->span, NULL, result);
    }
}

void cmdi_track_drop(struct cmdi_track *track)
{
    CMDI_ASSERT(!track->group->tracker.is_used);
    cmdi_stock_give_back(&track->stocked);
}

void cmdi_track_refuse(struct cmdi_track *track, const void *value, int code)
{
    struct cmds_result result = track_refusal(code);
    track_end_span(track, &result);
    if (track->group->tracker.is_used) {
        track->tracked.command.value = value;
        tracked_tell(&track->group->tracker, &track->tracked, track->users, &result);
    }
    cmdi_stock_give_back(&track->stocked);
}

void cmdi_kept_refuse(struct cmds_group *group, struct cmdi_kept *kept, const void *value, int code)
{
    struct cmds_result result = track_refusal(code);
    CMDI_ASSERT(kept->is_kept);
    kept->is_kept = false;
    kept->tracked.command.value = value;
    tracked_tell(&group->tracker, &kept->tracked, kept->users, &result);
}

void cmdi_track_end_one_way(struct cmdi_track *track)
{
    struct cmdi_tracker *tracker = &track->group->tracker;
    struct cmds_result result = {.last = true, .text = ""};
    track_end_span(track, &result);
    if (tracker->is_used) {
        tracked_count(tracker, &track->tracked, CMDS_BREAKER_IGNORED, 0);
        cmdi_hooks_tell(&tracker->hooks, &track->tracked.command, track->users, &result);
    }
    cmdi_stock_give_back(&track->stocked);
}

void cmdi_track_see(struct cmdi_track *track, const struct cmds_result *result)
{
    struct cmdi_tracker *tracker = &track->group->tracker;
    if (CMDI_UNLIKELY(track->span.entry != NULL) && result->last) {
        const struct cmdi_client *client =
                result->sequence != 0 ? track->group->clients[result->client] : NULL;
        cmdi_group_span_end(track->group, &track->span, client, result);
    }
    if (tracker->is_used) {
        struct cmds_sent_command *command = &track->tracked.command;
        command->sequence = result->sequence;
        command->client = result->client;
        command->result_count += result->error == 0;
        tracked_tell(tracker, &track->tracked, track->users, result);
    }
    if (CMDI_LIKELY(result->last)) {
        cmdi_stock_give_back(&track->stocked);
    }
}

void cmdi_track_on_result(void *context, const struct cmds_result *result)
{
    struct cmdi_track *track = context;
    cmds_result_fn on_result = track->on_result;
    void *program = track->context;
    cmdi_track_see(track, result);
    on_result(program, result); // The last one that knows the command.
}

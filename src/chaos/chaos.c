/* SPDX-License-Identifier: MIT */
/*
 * The proxy as a whole: its routes, its schedule, and its end, which comes when the last listener and
 * the last connection are gone. See chaos.h.
 */
#include "chaos/chaos.h"

#include <errno.h>
#include <stdlib.h>

#include "base/error.h"
#include "chaos/inside.h"
#include "chaos/link.h"
#include "chaos/target.h"
#include "ring/thread.h"
#include "shard/drive.h"

/* --- Names ------------------------------------------------------------------------------------ */

static const char *const chaos_kinds[] = {
#define CMDI_X_(name, text, about) text,
        CMDI_CHAOS_FAULTS(CMDI_X_)
#undef CMDI_X_
};
static const char *const chaos_scopes[] = {"one", "target", "all"};

const char *cmdi_chaos_kind_name(enum cmdi_chaos_kind kind)
{
    CMDI_ASSERT(kind < CMDI_CHAOS_KINDS);
    return chaos_kinds[kind];
}

const char *cmdi_chaos_scope_name(enum cmdi_chaos_scope scope)
{
    CMDI_ASSERT(scope < CMDI_CHAOS_SCOPES);
    return chaos_scopes[scope];
}

/* --- Options ---------------------------------------------------------------------------------- */

static bool chaos_is_range(struct cmdi_chaos_range range)
{
    return range.min <= range.max;
}

static int chaos_check(const struct cmdi_chaos_options *mine, const struct cmdi_shard *shard,
        struct cmds_error *error)
{
    uint32_t received = cmdi_ring_buffer_size_max(&shard->options.ring);
    uint32_t wanted = mine->always;
    for (uint32_t kind = 0; kind < CMDI_CHAOS_KINDS; kind++) {
        wanted |= mine->faults[kind] > 0 ? 1u << kind : 0;
    }
    if (mine->route_count == 0 || mine->route_count > CMDI_CHAOS_ROUTES_MAX) {
        return cmdi_fail(
                error, -EINVAL, "%u routes: 1 to %d", mine->route_count, CMDI_CHAOS_ROUTES_MAX);
    }
    if (mine->buffer_size < 2 * received) {
        return cmdi_fail(
                error, -EINVAL, "buffer_size %u: at least %u", mine->buffer_size, 2 * received);
    }
    if (!chaos_is_range(mine->delay_ms) || !chaos_is_range(mine->every_ms) ||
            !chaos_is_range(mine->after_bytes) || !chaos_is_range(mine->lasts_ms)) {
        return cmdi_fail(error, -EINVAL, "a range ends before it begins");
    }
    if (((wanted >> CMDI_CHAOS_THROTTLE & 1) != 0 && mine->throttle == 0) ||
            ((wanted >> CMDI_CHAOS_SPLIT & 1) != 0 && mine->split == 0)) {
        return cmdi_fail(error, -EINVAL, "throttle and split need a number");
    }
    if (mine->share > 100 || mine->ways > CMDI_CHAOS_BOTH ||
            (mine->always >> CMDI_CHAOS_BLACK_HOLE) != 0 ||
            mine->scopes >= 1u << CMDI_CHAOS_SCOPES) {
        return cmdi_fail(error, -EINVAL, "share, ways, scopes or always: out of range");
    }
    return 0;
}

/* What is asked for neither in time nor by bytes is there from the beginning: see chaos_begin(). */
static uint32_t chaos_from_the_beginning(struct cmdi_chaos_options *mine)
{
    uint32_t lasting = mine->always;
    if (mine->every_ms.max > 0 || mine->by_bytes) {
        return lasting;
    }
    for (uint32_t kind = 0; kind < CMDI_CHAOS_LASTING; kind++) {
        lasting |= mine->faults[kind] > 0 ? 1u << kind : 0;
        mine->faults[kind] = 0;
    }
    mine->by_bytes = true; // The others: each connection, at its first moment.
    mine->after_bytes = (struct cmdi_chaos_range){0, 0};
    return lasting;
}

/* --- The schedule ----------------------------------------------------------------------------- */

/* Of the live ones, oldest first, route by route: number `nth`. NULL: there are only *count. */
static struct cmdi_link *chaos_nth_live(struct cmdi_chaos *chaos, uint32_t nth, uint32_t *count)
{
    *count = 0;
    for (uint32_t i = 0; i < chaos->options.route_count; i++) {
        struct cmdi_list *links = &chaos->targets[i].links;
        for (struct cmdi_list *node = links->next; node != links; node = node->next) {
            struct cmdi_link *link = CMDI_CONTAINER(node, struct cmdi_link, link);
            if (cmdi_link_is_live(link) && (*count)++ == nth) {
                return link;
            }
        }
    }
    return NULL;
}

static struct cmdi_link *chaos_pick(struct cmdi_chaos *chaos, uint32_t which)
{
    uint32_t count = 0;
    (void)chaos_nth_live(chaos, UINT32_MAX, &count);
    return count > 0 ? chaos_nth_live(chaos, which % count, &count) : NULL;
}

/* Sets the event's connection, target and count. `link`: of scope ONE; NULL: there is none. */
static void chaos_befall(
        struct cmdi_chaos *chaos, struct cmdi_chaos_event *event, struct cmdi_link *link)
{
    uint64_t now_ms = cmdi_shard_clock_ms(chaos->shard);
    uint64_t until_ms = cmdi_chaos_until(now_ms, event->lasts_ms);
    if (event->scope == CMDI_CHAOS_ONE) {
        event->count = link != NULL;
        if (link != NULL) {
            event->connection = link->number;
            event->target = link->target->index;
            cmdi_link_befall(link, event->kind, event->ways, until_ms);
        }
        return;
    }
    for (uint32_t i = 0; i < chaos->options.route_count; i++) {
        if (event->scope == CMDI_CHAOS_ALL || i == event->target) {
            event->count += cmdi_chaos_target_befall(
                    &chaos->targets[i], event->kind, event->ways, until_ms);
        }
    }
}

static void chaos_arm_next(struct cmdi_chaos *chaos)
{
    if (cmdi_plan_next(&chaos->plan, &chaos->next)) {
        cmdi_shard_timer(chaos->shard, &chaos->timer, chaos->start_ms + chaos->next.at_ms);
    }
}

static struct cmdi_chaos_event chaos_event(
        const struct cmdi_plan_fault *fault, const struct cmdi_chaos_options *options)
{
    bool is_target = fault->scope == CMDI_CHAOS_TARGET;
    return (struct cmdi_chaos_event){.at_ms = fault->at_ms,
            .kind = fault->kind,
            .scope = fault->scope,
            .ways = fault->ways,
            .target = is_target ? fault->which % options->route_count : 0,
            .lasts_ms = fault->lasts_ms};
}

static void chaos_on_timer(struct cmdi_timer *timer, uint64_t now_ms)
{
    (void)now_ms;
    struct cmdi_chaos *chaos = CMDI_CONTAINER(timer, struct cmdi_chaos, timer);
    const struct cmdi_plan_fault *next = &chaos->next;
    struct cmdi_chaos_event event = {.at_ms = next->at_ms,
            .kind = next->kind,
            .scope = next->scope,
            .ways = next->ways,
            .target =
                    next->scope == CMDI_CHAOS_TARGET ? next->which % chaos->options.route_count : 0,
            .lasts_ms = next->lasts_ms};
    bool is_one = next->scope == CMDI_CHAOS_ONE;
    chaos->counters.scheduled++;
    chaos_befall(chaos, &event, is_one ? chaos_pick(chaos, next->which) : NULL);
    if (chaos->options.on_event != NULL) {
        chaos->options.on_event(chaos->options.context, &event);
    }
    chaos_arm_next(chaos);
}

void cmdi_chaos_foretell(const struct cmdi_chaos_options *options, uint64_t end_ms,
        void (*fn)(void *context, const struct cmdi_chaos_event *event), void *context)
{
    struct cmdi_plan plan;
    struct cmdi_plan_fault next;
    cmdi_plan_init(&plan, options);
    while (cmdi_plan_next(&plan, &next) && next.at_ms < end_ms) {
        struct cmdi_chaos_event event = chaos_event(&next, options);
        fn(context, &event);
    }
}

/* --- Asked for by name ------------------------------------------------------------------------ */

struct chaos_request {
    struct cmdi_chaos *chaos;
    struct cmdi_chaos_event event;
    struct cmdi_chaos_counters *counters;
    int code;
};

static void chaos_call(struct cmdi_chaos *chaos,
        void (*fn)(struct cmdi_shard *shard, void *context), struct chaos_request *request)
{
    request->chaos = chaos;
    cmdi_runtime_call(chaos->runtime, chaos->shard->index, fn, request);
}

static void chaos_on_stats(struct cmdi_shard *shard, void *context)
{
    (void)shard;
    struct chaos_request *request = context;
    *request->counters = request->chaos->counters;
    request->counters->open = request->chaos->link_count;
}

void cmdi_chaos_stats(struct cmdi_chaos *chaos, struct cmdi_chaos_counters *counters)
{
    struct chaos_request request = {.counters = counters};
    chaos_call(chaos, chaos_on_stats, &request);
}

/* Of that number; 0: the oldest live one. */
static struct cmdi_link *chaos_find(struct cmdi_chaos *chaos, uint64_t number)
{
    uint32_t count = 0;
    struct cmdi_link *link = chaos_nth_live(chaos, 0, &count);
    for (uint32_t nth = 1; link != NULL && number != 0 && link->number != number; nth++) {
        link = chaos_nth_live(chaos, nth, &count);
    }
    return link;
}

static void chaos_on_do(struct cmdi_shard *shard, void *context)
{
    (void)shard;
    struct chaos_request *request = context;
    struct cmdi_chaos_event *event = &request->event;
    bool is_one = event->scope == CMDI_CHAOS_ONE;
    event->count = 0;
    chaos_befall(
            request->chaos, event, is_one ? chaos_find(request->chaos, event->connection) : NULL);
}

uint32_t cmdi_chaos_do(struct cmdi_chaos *chaos, const struct cmdi_chaos_event *event)
{
    struct chaos_request request = {.event = *event};
    chaos_call(chaos, chaos_on_do, &request);
    return request.event.count;
}

static void chaos_on_heal(struct cmdi_shard *shard, void *context)
{
    (void)shard;
    struct chaos_request *request = context;
    for (uint32_t i = 0; i < request->chaos->options.route_count; i++) {
        cmdi_chaos_target_heal(&request->chaos->targets[i]);
    }
}

void cmdi_chaos_heal(struct cmdi_chaos *chaos)
{
    struct chaos_request request = {0};
    chaos_call(chaos, chaos_on_heal, &request);
}

/* --- Life ------------------------------------------------------------------------------------- */

static void chaos_on_gone(struct cmdi_chaos *chaos)
{
    if (!chaos->closing) {
        for (uint32_t i = 0; i < chaos->options.route_count; i++) {
            cmdi_chaos_target_resume(&chaos->targets[i]);
        }
    } else if (chaos->link_count == 0 && chaos->listening == 0) {
        atomic_store(&chaos->closed, 1);
        cmdi_futex_wake(&chaos->closed, 1); // The last use of it.
    }
}

static void chaos_free(struct cmdi_chaos *chaos)
{
    for (uint32_t i = 0; i < chaos->options.route_count && chaos->targets != NULL; i++) {
        cmdi_chaos_target_fini(&chaos->targets[i]);
    }
    free(chaos->targets);
    free(chaos);
}

/* What is there from the beginning, before anybody is accepted. */
static void chaos_befall_at_first(struct cmdi_chaos_target *target, uint32_t kinds)
{
    const struct cmdi_chaos_options *options = &target->chaos->options;
    struct cmdi_draw draw = {options->seed};
    uint8_t ways = cmdi_plan_draw_ways(options, &draw);
    for (uint32_t kind = 0; kind < CMDI_CHAOS_LASTING; kind++) {
        bool stays = (options->always >> kind & 1) != 0 || options->until_ms == 0;
        uint32_t lasts_ms = stays ? CMDS_NEVER : options->until_ms;
        if ((kinds >> kind & 1) != 0) {
            (void)cmdi_chaos_target_befall(
                    target, kind, ways, cmdi_chaos_until(target->chaos->start_ms, lasts_ms));
        }
    }
}

static void chaos_on_begin(struct cmdi_shard *shard, void *context)
{
    struct chaos_request *request = context;
    struct cmdi_chaos *chaos = request->chaos;
    uint32_t kinds = chaos_from_the_beginning(&chaos->options);
    chaos->start_ms = cmdi_shard_clock_ms(shard);
    for (uint32_t i = 0; i < chaos->options.route_count && request->code == 0; i++) {
        chaos_befall_at_first(&chaos->targets[i], kinds);
        request->code = cmdi_chaos_target_start(&chaos->targets[i]);
    }
    if (request->code == 0) {
        chaos_arm_next(chaos);
    }
}

static int chaos_make(struct cmdi_chaos **out, struct cmds_runtime *runtime, uint32_t shard,
        const struct cmdi_chaos_options *options, struct cmds_error *error)
{
    struct cmdi_chaos *chaos = calloc(1, sizeof(*chaos));
    struct cmdi_chaos_target *targets = calloc(options->route_count, sizeof(*targets));
    if (chaos == NULL || targets == NULL) {
        free(chaos);
        free(targets);
        return cmdi_fail(error, -ENOMEM, "no memory for a proxy");
    }
    chaos->options = *options;
    chaos->options.routes = NULL;
    chaos->runtime = runtime;
    chaos->shard = runtime->shards[shard];
    chaos->targets = targets;
    chaos->on_gone = chaos_on_gone;
    cmdi_timer_init(&chaos->timer, chaos_on_timer);
    cmdi_plan_init(&chaos->plan, &chaos->options);
    for (uint32_t i = 0; i < options->route_count; i++) {
        int code = cmdi_chaos_target_init(&targets[i], chaos, i, &options->routes[i], error);
        if (code < 0) {
            chaos_free(chaos);
            return code;
        }
    }
    *out = chaos;
    return 0;
}

int cmdi_chaos_start(struct cmdi_chaos **out, struct cmds_runtime *runtime, uint32_t shard,
        const struct cmdi_chaos_options *options, struct cmds_error *error)
{
    struct cmdi_chaos_options mine = *options;
    struct cmdi_chaos *chaos = NULL;
    CMDI_ASSERT(shard < runtime->shard_count);
    mine.connection_count_max =
            mine.connection_count_max != 0 ? mine.connection_count_max : CMDI_CHAOS_CONNECTIONS;
    mine.buffer_size = mine.buffer_size != 0 ? mine.buffer_size : CMDI_CHAOS_BUFFER_SIZE;
    int code = chaos_check(&mine, runtime->shards[shard], error);
    code = code < 0 ? code : chaos_make(&chaos, runtime, shard, &mine, error);
    if (code < 0) {
        return code;
    }
    struct chaos_request request = {.code = 0};
    chaos_call(chaos, chaos_on_begin, &request);
    if (request.code < 0) {
        cmdi_chaos_close(chaos);
        return cmdi_fail(error, request.code, "no memory for a proxy");
    }
    *out = chaos;
    return 0;
}

void cmdi_chaos_address(const struct cmdi_chaos *chaos, uint32_t route, char *text, size_t size)
{
    CMDI_ASSERT(route < chaos->options.route_count);
    cmdi_address_text(&chaos->targets[route].bound, text, size);
}

static void chaos_on_close(struct cmdi_shard *shard, void *context)
{
    struct chaos_request *request = context;
    struct cmdi_chaos *chaos = request->chaos;
    chaos->closing = true;
    cmdi_shard_timer_off(shard, &chaos->timer);
    for (uint32_t i = 0; i < chaos->options.route_count; i++) {
        cmdi_chaos_target_stop(&chaos->targets[i]);
    }
    chaos_on_gone(chaos);
}

static void chaos_on_nothing(struct cmdi_shard *shard, void *context)
{
    (void)shard;
    (void)context;
}

void cmdi_chaos_close(struct cmdi_chaos *chaos)
{
    struct chaos_request request = {0};
    if (chaos == NULL) {
        return;
    }
    chaos_call(chaos, chaos_on_close, &request);
    while (atomic_load(&chaos->closed) == 0) {
        (void)cmdi_runtime_wait(chaos->runtime, &chaos->closed, 0, CMDS_NEVER);
    }
    for (uint32_t i = 0; i < chaos->options.route_count; i++) {
        cmdi_chaos_target_forget(&chaos->targets[i]);
    }
    /* What a lookup has posted before it was let go has run when this has. */
    chaos_call(chaos, chaos_on_nothing, &request);
    chaos_free(chaos);
}

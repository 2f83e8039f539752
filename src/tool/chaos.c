/* SPDX-License-Identifier: MIT */
/*
 * `cmdstream chaos`: the proxy of src/chaos on a runtime of its own, and what it says.
 *
 * The shard must not wait for whoever reads stdout: it leaves what has happened in a queue, and the main
 * thread, which waits for signals, looks there ten times a second. What there are too many of is counted.
 */
#include "chaos.h"

#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "common.h"

enum {
    CHAOS_QUEUE = 1024,
    CHAOS_BUFFERS_MAX = 64,  // None is large, so half a direction's buffer has room for one.
    CHAOS_SINGLE_PER_S = 10, // Lines about single connections, of --after.
    CHAOS_LOOK_NS = 100 * 1000 * 1000,
    CHAOS_NS_PER_S = 1000 * 1000 * 1000,
    CHAOS_PLAN_S = 60,
    CHAOS_ADDRESS_MAX = 128,
    CHAOS_TEXT_MAX = 512,
};

struct chaos {
    struct tool_chaos tool;
    struct cmds_runtime *runtime;
    struct cmdi_chaos *proxy;
    uint64_t start_ns;
    char listens[CMDI_CHAOS_ROUTES_MAX][CHAOS_ADDRESS_MAX];
    pthread_mutex_t mutex; // Of all below. Held for as long as an event is copied.
    struct cmdi_chaos_event queue[CHAOS_QUEUE];
    uint32_t first, count;
    uint64_t untold;
    uint64_t single_s; // Of `singles`, which were told in that second.
    uint32_t singles;
};

/* --- What has happened ------------------------------------------------------------------------ */

/* On the shard. */
static void chaos_on_event(void *context, const struct cmdi_chaos_event *event)
{
    struct chaos *chaos = context;
    uint64_t second = event->at_ms / 1000;
    pthread_mutex_lock(&chaos->mutex);
    chaos->singles = second != chaos->single_s ? 0 : chaos->singles;
    chaos->single_s = second;
    chaos->singles += event->by_bytes;
    if (chaos->count == CHAOS_QUEUE || (event->by_bytes && chaos->singles > CHAOS_SINGLE_PER_S)) {
        chaos->untold++;
    } else {
        chaos->queue[(chaos->first + chaos->count++) % CHAOS_QUEUE] = *event;
    }
    pthread_mutex_unlock(&chaos->mutex);
}

/* Returns: there was one. */
static bool chaos_next(struct chaos *chaos, struct cmdi_chaos_event *event)
{
    pthread_mutex_lock(&chaos->mutex);
    bool is_there = chaos->count > 0;
    if (is_there) {
        *event = chaos->queue[chaos->first];
        chaos->first = (chaos->first + 1) % CHAOS_QUEUE;
        chaos->count--;
    }
    pthread_mutex_unlock(&chaos->mutex);
    return is_there;
}

static uint64_t chaos_take_untold(struct chaos *chaos)
{
    pthread_mutex_lock(&chaos->mutex);
    uint64_t untold = chaos->untold;
    chaos->untold = 0;
    pthread_mutex_unlock(&chaos->mutex);
    return untold;
}

/* --- Lines ------------------------------------------------------------------------------------ */

static void chaos_print_json(json_t *object)
{
    char *text = object != NULL ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
    if (text != NULL) {
        puts(text);
    }
    free(text);
    json_decref(object);
}

static void chaos_set(json_t *object, const char *name, uint64_t value)
{
    (void)json_object_set_new(object, name, json_integer((json_int_t)value));
}

static const char *chaos_way_name(uint8_t ways)
{
    return ways == CMDI_CHAOS_UP ? "up" : ways == CMDI_CHAOS_DOWN ? "down" : "both ways";
}

/* It moves bytes in directions. */
static bool chaos_has_way(const struct cmdi_chaos_event *event)
{
    return event->kind < CMDI_CHAOS_OF_LINKS;
}

static void chaos_event_json(const struct chaos *chaos, const struct cmdi_chaos_event *event)
{
    json_t *object = json_object();
    const struct cmdi_chaos_route *route = &chaos->tool.routes[event->target];
    (void)json_object_set_new(object, "event", json_string("fault"));
    (void)json_object_set_new(object, "s", json_real((double)event->at_ms / 1000.0));
    (void)json_object_set_new(object, "fault", json_string(cmdi_chaos_kind_name(event->kind)));
    (void)json_object_set_new(object, "scope", json_string(cmdi_chaos_scope_name(event->scope)));
    chaos_set(object, "count", event->count);
    if (event->scope != CMDI_CHAOS_ALL && (event->count > 0 || event->scope != CMDI_CHAOS_ONE)) {
        (void)json_object_set_new(object, "target", json_string(route->target));
    }
    if (event->connection != 0) {
        chaos_set(object, "connection", event->connection);
    }
    if (chaos_has_way(event)) {
        (void)json_object_set_new(object, "way",
                json_string(event->ways == CMDI_CHAOS_BOTH ? "both" : chaos_way_name(event->ways)));
    }
    if (event->kind < CMDI_CHAOS_LASTING) {
        (void)json_object_set_new(object, "for_ms",
                event->lasts_ms == CMDS_NEVER ? json_null() : json_integer(event->lasts_ms));
    }
    if (event->by_bytes) {
        chaos_set(object, "after_bytes", event->bytes);
    }
    chaos_print_json(object);
}

/* "connection 17 of 127.0.0.1:9000", "all 3 connections" */
static void chaos_whom(const struct chaos *chaos, const struct cmdi_chaos_event *event,
        bool planned, char *text, size_t size)
{
    bool of_links = event->kind < CMDI_CHAOS_OF_LINKS || event->kind >= CMDI_CHAOS_LASTING;
    const char *target = chaos->tool.routes[event->target].target;
    const char *plural = event->count == 1 ? "" : "s";
    if (event->scope == CMDI_CHAOS_ONE && planned) {
        (void)snprintf(text, size, "one connection");
    } else if (event->scope == CMDI_CHAOS_ONE && event->count == 0) {
        (void)snprintf(text, size, "nobody: there is no connection");
    } else if (event->scope == CMDI_CHAOS_ONE) {
        (void)snprintf(
                text, size, "connection %llu to %s", (unsigned long long)event->connection, target);
    } else if (event->scope == CMDI_CHAOS_TARGET && (planned || !of_links)) {
        (void)snprintf(text, size, "%s", target);
    } else if (event->scope == CMDI_CHAOS_TARGET) {
        (void)snprintf(text, size, "%s, %u connection%s", target, event->count, plural);
    } else if (planned) {
        (void)snprintf(text, size, "all");
    } else {
        (void)snprintf(text, size, "all: %u %s%s", event->count, of_links ? "connection" : "target",
                plural);
    }
}

static void chaos_event_line(
        const struct chaos *chaos, const struct cmdi_chaos_event *event, bool planned)
{
    char whom[CHAOS_TEXT_MAX];
    chaos_whom(chaos, event, planned, whom, sizeof(whom));
    printf("%10.3f s  %-10s %s", (double)event->at_ms / 1000.0, cmdi_chaos_kind_name(event->kind),
            whom);
    if (chaos_has_way(event)) {
        printf(", %s", chaos_way_name(event->ways));
    }
    if (event->by_bytes) {
        printf(", after %llu bytes", (unsigned long long)event->bytes);
    }
    if (event->kind < CMDI_CHAOS_LASTING && event->lasts_ms == CMDS_NEVER) {
        printf(", for good");
    } else if (event->kind < CMDI_CHAOS_LASTING) {
        printf(", for %.3f s", event->lasts_ms / 1000.0);
    }
    putchar('\n');
}

static void chaos_tell(struct chaos *chaos)
{
    struct cmdi_chaos_event event;
    uint64_t untold = chaos_take_untold(chaos);
    while (chaos_next(chaos, &event)) {
        if (chaos->tool.line.json) {
            chaos_event_json(chaos, &event);
        } else {
            chaos_event_line(chaos, &event, false);
        }
    }
    if (untold > 0 && chaos->tool.line.json) {
        chaos_print_json(json_pack("{s:s,s:I}", "event", "untold", "count", (json_int_t)untold));
    } else if (untold > 0) {
        printf("              and %llu more\n", (unsigned long long)untold);
    }
    (void)cmdi_tool_flush(); // cmdi_tool_finish() says it.
}

static void chaos_summary_json(
        const struct chaos *chaos, const struct cmdi_chaos_counters *counters, double seconds)
{
    json_t *object = json_object();
    json_t *faults = json_object();
    for (uint32_t kind = 0; kind < CMDI_CHAOS_KINDS; kind++) {
        chaos_set(faults, cmdi_chaos_kind_name(kind), counters->faults[kind]);
    }
    (void)json_object_set_new(object, "event", json_string("summary"));
    (void)json_object_set_new(object, "seconds", json_real(seconds));
    chaos_set(object, "seed", chaos->tool.options.seed);
    chaos_set(object, "connections", counters->accepted);
    chaos_set(object, "open", counters->open);
    chaos_set(object, "not_connected", counters->not_connected);
    chaos_set(object, "bytes_up", counters->bytes_up);
    chaos_set(object, "bytes_down", counters->bytes_down);
    chaos_set(object, "scheduled", counters->scheduled);
    (void)json_object_set_new(object, "faults", faults);
    chaos_print_json(object);
}

static void chaos_summary(
        const struct chaos *chaos, const struct cmdi_chaos_counters *counters, double seconds)
{
    const char *lead = "befallen:";
    if (chaos->tool.line.json) {
        chaos_summary_json(chaos, counters, seconds);
        return;
    }
    printf("%.1f s: %llu connection%s, %llu of them open, %llu whose target was not to be had; "
           "%llu bytes up, %llu down\n",
            seconds, (unsigned long long)counters->accepted, cmdi_tool_plural(counters->accepted),
            (unsigned long long)counters->open, (unsigned long long)counters->not_connected,
            (unsigned long long)counters->bytes_up, (unsigned long long)counters->bytes_down);
    printf("faults: %llu by the schedule; ", (unsigned long long)counters->scheduled);
    for (uint32_t kind = 0; kind < CMDI_CHAOS_KINDS; kind++) {
        if (counters->faults[kind] > 0) {
            printf("%s %s %llu", lead, cmdi_chaos_kind_name(kind),
                    (unsigned long long)counters->faults[kind]);
            lead = ",";
        }
    }
    printf("%s (seed %llu)\n", lead[0] == ',' ? "" : "nobody befallen",
            (unsigned long long)chaos->tool.options.seed);
}

/* --- A run ------------------------------------------------------------------------------------ */

static int chaos_start(struct chaos *chaos, struct cmds_error *error)
{
    static enum cmds_log_level level;
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    level = chaos->tool.line.quiet ? CMDS_LOG_ERROR : CMDS_LOG_WARN;
    options.shard_count = 1;
    options.spin_us = CMDS_SPIN_OFF;
    options.buffer_count_max = CHAOS_BUFFERS_MAX;
    options.on_log = cmdi_tool_log_line;
    options.log_context = &level;
    if (!chaos->tool.line.quiet) {
        chaos->tool.options.on_event = chaos_on_event;
        chaos->tool.options.context = chaos;
    }
    int code = cmds_runtime_start(&chaos->runtime, &options, error);
    return code < 0 ? code
                    : cmdi_chaos_start(
                              &chaos->proxy, chaos->runtime, 0, &chaos->tool.options, error);
}

/* In one write, so that a script may read it and connect. Returns: false: stdout does not take it. */
static bool chaos_announce(struct chaos *chaos)
{
    for (uint32_t i = 0; i < chaos->tool.options.route_count; i++) {
        const char *target = chaos->tool.routes[i].target;
        cmdi_chaos_address(chaos->proxy, i, chaos->listens[i], sizeof(chaos->listens[i]));
        if (chaos->tool.line.json) {
            chaos_print_json(json_pack("{s:s,s:s,s:s,s:I}", "event", "listening", "address",
                    chaos->listens[i], "target", target, "seed",
                    (json_int_t)chaos->tool.options.seed));
        } else {
            printf("listening on %s (for %s, seed %llu)\n", chaos->listens[i], target,
                    (unsigned long long)chaos->tool.options.seed);
        }
    }
    return cmdi_tool_flush() == 0;
}

static void chaos_wait(struct chaos *chaos, const sigset_t *signals)
{
    uint64_t lasts_ns = (uint64_t)(chaos->tool.line.duration * CHAOS_NS_PER_S);
    for (;;) {
        uint64_t passed_ns = cmdi_tool_now_ns() - chaos->start_ns;
        if (lasts_ns > 0 && passed_ns >= lasts_ns) {
            return;
        }
        uint64_t wait_ns = lasts_ns > 0 && lasts_ns - passed_ns < CHAOS_LOOK_NS
                                   ? lasts_ns - passed_ns
                                   : CHAOS_LOOK_NS;
        struct timespec wait = {.tv_nsec = (long)wait_ns};
        if (sigtimedwait(signals, NULL, &wait) > 0) {
            return;
        }
        chaos_tell(chaos);
    }
}

static int chaos_run(struct chaos *chaos, const sigset_t *signals)
{
    struct cmds_error error = CMDS_ERROR_INIT;
    struct cmdi_chaos_counters counters;
    int code = chaos_start(chaos, &error);
    int status = TOOL_EXIT_FAILED;
    chaos->start_ns = cmdi_tool_now_ns();
    if (code < 0) {
        fprintf(stderr, "cmdstream chaos: %s\n",
                error.code < 0 ? error.text : cmds_error_text(code));
    } else if (chaos_announce(chaos)) {
        chaos_wait(chaos, signals);
        cmdi_chaos_stats(chaos->proxy, &counters);
        chaos_tell(chaos);
        chaos_summary(
                chaos, &counters, (double)(cmdi_tool_now_ns() - chaos->start_ns) / CHAOS_NS_PER_S);
        status = TOOL_EXIT_OK;
    }
    cmdi_chaos_close(chaos->proxy);
    cmds_runtime_stop(chaos->runtime);
    return status;
}

static void chaos_on_planned(void *context, const struct cmdi_chaos_event *event)
{
    const struct chaos *chaos = context;
    if (chaos->tool.line.json) {
        chaos_event_json(chaos, event);
    } else {
        chaos_event_line(chaos, event, true);
    }
}

static int chaos_plan(struct chaos *chaos)
{
    double seconds = chaos->tool.line.duration > 0 ? chaos->tool.line.duration : CHAOS_PLAN_S;
    cmdi_chaos_foretell(&chaos->tool.options, (uint64_t)(seconds * 1000), chaos_on_planned, chaos);
    return TOOL_EXIT_OK;
}

int tool_chaos(int argc, char **argv)
{
    static struct chaos chaos; // Too large for a stack.
    chaos = (struct chaos){.mutex = PTHREAD_MUTEX_INITIALIZER};
    int status = tool_chaos_parse(&chaos.tool, argc, argv);
    if (status != TOOL_PARSED) {
        return status;
    }
    if (chaos.tool.line.plan) {
        return chaos_plan(&chaos);
    }
    uint32_t asked = chaos.tool.line.max_connections;
    if (asked > 0 && !cmdi_tool_files_suffice("chaos", 2ull * asked, 1)) {
        return TOOL_EXIT_FAILED;
    }
    (void)cmdi_tool_raise_nofile();
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    return chaos_run(&chaos, &signals);
}

/* SPDX-License-Identifier: MIT */
/*
 * Spans that are looked at while shards write them and an exporter takes them.
 * What may go wrong: one is shown that is half written, or twice; a look takes what the exporter was to get; a shard waits.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include <cmdstream/trace.h>

#include "support/world.h"

enum {
    LOADS = 2,
    RING = 512, // More than a shard shows in a turn.
    ROOM = 3 * RING,
    LOOKS = 200,
};

struct traffic {
    struct world world;
    _Atomic uint32_t stop;
    _Atomic uint64_t ended; // Spans.
    uint64_t taken;
    uint32_t wrong; // Of those that were taken.
};

/* Whoever finds a span half written finds two halves that do not agree. */
static void on_span_end(void *context, struct cmds_span *span)
{
    struct traffic *traffic = context;
    char text[24];
    for (int i = 0; i < 4; i++) {
        int size = snprintf(text, sizeof(text), "%020llu", (unsigned long long)span->sequence);
        cmds_span_set(span, "mark", (struct cmds_string){text, (size_t)size});
    }
    atomic_fetch_add(&traffic->ended, 1);
}

static bool is_whole(const struct cmds_span *span)
{
    uint32_t at = 0, count = 0;
    const char *key = NULL;
    struct cmds_string value;
    char text[24];
    (void)snprintf(text, sizeof(text), "%020llu", (unsigned long long)span->sequence);
    while (cmds_span_attribute(span, &at, &key, &value)) {
        count += cmds_string_equal(value, cmds_string_from(text)) && strcmp(key, "mark") == 0;
    }
    return count == 4 && span->end_ns >= span->start_ns &&
           strcmp(span->type->schema->name, "echo") == 0;
}

static void *load_main(void *context)
{
    struct traffic *traffic = context;
    struct raw raw;
    uint64_t sequence = 0;
    CU_ASSERT(world_connect(&traffic->world, &raw));
    while (atomic_load(&traffic->stop) == 0 && world_echoes(&raw, sequence + 1)) {
        sequence++;
    }
    raw_close(&raw);
    return NULL;
}

/* All that ended was taken, or is counted as dropped. */
static void *exporter_main(void *context)
{
    struct traffic *traffic = context;
    struct cmds_span out[32];
    uint32_t count = 0;
    do {
        bool was_over = atomic_load(&traffic->stop) == 2;
        count = cmds_span_take(traffic->world.runtime, out, 32);
        for (uint32_t i = 0; i < count; i++) {
            traffic->wrong += !is_whole(&out[i]);
        }
        traffic->taken += count;
        count = was_over ? count : 1;
    } while (count > 0);
    return NULL;
}

static void look(struct traffic *traffic, bool slowest)
{
    struct cmds_span list[ROOM];
    struct cmds_span_query query = CMDS_SPAN_QUERY_INIT;
    size_t count = 0;
    uint32_t wrong = 0;
    query.slowest = slowest;
    WORLD_ASKED(cmds_span_look(traffic->world.runtime, &query, list, ROOM, &count));
    CU_ASSERT_FATAL(count <= ROOM);
    for (size_t i = 0; i < count; i++) {
        wrong += !is_whole(&list[i]);
        wrong += i > 0 && memcmp(list[i].span_id, list[i - 1].span_id, 8) == 0; // Each once.
        wrong += i > 0 && !slowest && list[i].end_ns > list[i - 1].end_ns;
        wrong += i > 0 && slowest &&
                 list[i].end_ns - list[i].start_ns > list[i - 1].end_ns - list[i - 1].start_ns;
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

static void traffic_start(struct traffic *traffic, struct cmds_trace_options *trace)
{
    *traffic = (struct traffic){.stop = 0};
    world_init(&traffic->world);
    trace->span_count = RING;
    trace->span_rate_max = UINT32_MAX;
    trace->on_span_end = on_span_end;
    trace->context = traffic;
    traffic->world.runtime_options.trace = trace;
    CU_ASSERT_FATAL(world_start(&traffic->world) == 0);
}

static void test_look_is_whole_while_shards_write_and_an_exporter_takes(void)
{
    struct cmds_trace_options trace = CMDS_TRACE_OPTIONS_INIT;
    struct traffic traffic;
    pthread_t loads[LOADS], exporter;
    traffic_start(&traffic, &trace);
    for (int i = 0; i < LOADS; i++) {
        CU_ASSERT_EQUAL_FATAL(pthread_create(&loads[i], NULL, load_main, &traffic), 0);
    }
    CU_ASSERT_EQUAL_FATAL(pthread_create(&exporter, NULL, exporter_main, &traffic), 0);

    WORLD_UNTIL(&traffic.world, atomic_load(&traffic.ended) > 4 * RING);
    for (int i = 0; i < LOOKS; i++) {
        look(&traffic, i % 2 == 1);
    }

    atomic_store(&traffic.stop, 1);
    for (int i = 0; i < LOADS; i++) {
        (void)pthread_join(loads[i], NULL);
    }
    WORLD_UNTIL(&traffic.world, cmds_server_connection_count(traffic.world.server) == 0);
    atomic_store(&traffic.stop, 2);
    (void)pthread_join(exporter, NULL);
    CU_ASSERT_EQUAL(traffic.wrong, 0);
    CU_ASSERT_EQUAL(
            traffic.taken + cmds_span_dropped(traffic.world.runtime), atomic_load(&traffic.ended));
    world_stop(&traffic.world);
}

static int exec_look(struct cmds_call *call, const struct run *run)
{
    const struct world *world = cmds_call_receiver(call);
    struct cmds_span_query query = CMDS_SPAN_QUERY_INIT;
    size_t count = 0;
    (void)run;
    return world_send_item(call, cmds_span_look(world->runtime, &query, NULL, 0, &count), true);
}

static void test_look_is_refused_on_a_shard(void)
{
    struct cmds_trace_options trace = CMDS_TRACE_OPTIONS_INIT;
    struct run run = {.number = 0};
    uint64_t sequence = 0;
    bool last = false;
    struct world world;
    struct raw raw;
    world_init(&world);
    world.exec = exec_look;
    world.runtime_options.trace = &trace;
    CU_ASSERT_FATAL(world_start(&world) == 0);
    CU_ASSERT_FATAL(world_connect(&world, &raw));
    CU_ASSERT(raw_send(&raw, 1, run_message(&run)));
    CU_ASSERT_EQUAL(world_read_item(&raw, &sequence, &last), -EDEADLK);
    raw_close(&raw);
    world_stop(&world);
}

static CU_TestInfo test_look[] = {
        {"it is whole while shards write and an exporter takes",
                test_look_is_whole_while_shards_write_and_an_exporter_takes},
        {"it is refused on a shard", test_look_is_refused_on_a_shard},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("look", test_look)

/* SPDX-License-Identifier: MIT */
/*
 * Groups that open and close while somebody reads all counters. What may go wrong: a reader finds a group
 * that is half made, or one that is half gone, or what the program has freed by then.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <cmdstream/client.h>
#include <cmdstream/inspect.h>
#include <cmdstream/telemetry.h>

#include "support/world.h"
#include "telemetry/scope.h"

enum {
    OPENED = 30,
    OUT_SIZE = 256 * 1024,
};

static struct cmds_runtime *opening;
static uint32_t made, read_early;

/* A strategy whose state is made: nobody may look at it yet. */
static int on_made(const struct cmds_dispatch *dispatch, void *state, uint32_t count)
{
    (void)dispatch;
    (void)state;
    (void)count;
    struct cmdi_scope *scope = cmdi_scope_find(opening, CMDI_SCOPE_CLIENT, "half made");
    cmdi_scope_lock(scope);
    read_early += !cmdi_list_empty(&scope->tallies);
    cmdi_scope_unlock(scope);
    made++;
    return 0;
}

static void test_open_is_read_when_it_is_whole(void)
{
    struct world world;
    struct cmds_dispatch dispatch = cmds_dispatch_least;
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(&world_protocol);
    struct cmds_group *group = NULL;
    world_init(&world);
    CU_ASSERT_FATAL(world_start(&world) == 0);
    dispatch.init = on_made;
    options.connect = world.address;
    options.name = "half made";
    options.dispatch = &dispatch;
    opening = world.runtime;
    made = read_early = 0;

    CU_ASSERT_FATAL(cmds_group_open(&group, world.runtime, &options, NULL) == 0);

    CU_ASSERT(made > 0);
    CU_ASSERT_EQUAL(read_early, 0);
    struct cmdi_scope *scope = cmdi_scope_find(world.runtime, CMDI_SCOPE_CLIENT, "half made");
    CU_ASSERT_FALSE(cmdi_list_empty(&scope->tallies));
    cmds_group_close(group, NULL, NULL);
    world_stop(&world);
}

/* --- What was given to it --------------------------------------------------------------------- */

struct closing {
    struct cmds_runtime *runtime;
    uint32_t listed; // Groups, once their end was told.
    _Atomic uint32_t over;
};

static void on_option(void *context, const struct cmds_listed_option *option)
{
    struct closing *closing = context;
    closing->listed += strcmp(option->object, "group") == 0;
}

/* From here on the codec, the strategy and the protocol are the program's again. */
static void on_closed_list(void *context)
{
    struct closing *closing = context;
    CU_ASSERT_EQUAL(cmds_runtime_options_list(closing->runtime, on_option, closing), 0);
    atomic_store(&closing->over, 1);
}

static void test_open_is_not_listed_when_it_has_closed(void)
{
    struct world world;
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(&world_protocol);
    struct cmds_group *group = NULL;
    world_init(&world);
    CU_ASSERT_FATAL(world_start(&world) == 0);
    struct closing closing = {.runtime = world.runtime};
    options.connect = world.address;
    CU_ASSERT_FATAL(cmds_group_open(&group, world.runtime, &options, NULL) == 0);
    CU_ASSERT_EQUAL(cmds_runtime_options_list(world.runtime, on_option, &closing), 0);
    CU_ASSERT(closing.listed > 0);
    closing.listed = 0;

    cmds_group_close(group, on_closed_list, &closing);

    WORLD_UNTIL(&world, atomic_load(&closing.over) != 0);
    CU_ASSERT_EQUAL(closing.listed, 0);
    world_stop(&world);
}

/* --- For the sanitizers ----------------------------------------------------------------------- */

struct reading {
    struct cmds_runtime *runtime;
    _Atomic uint32_t over;
    _Atomic int64_t least;
};

static void *read_all(void *context)
{
    struct reading *reading = context;
    char *out = malloc(OUT_SIZE);
    while (out != NULL && atomic_load(&reading->over) == 0) {
        int64_t size = cmds_telemetry_write(
                reading->runtime, CMDS_FORMAT_JSON, CMDS_READ_BY_SHARD, out, OUT_SIZE);
        if (size < atomic_load(&reading->least)) {
            atomic_store(&reading->least, size);
        }
    }
    free(out);
    return NULL;
}

static void on_closed(void *context)
{
    atomic_store((_Atomic uint32_t *)context, 1);
}

static void test_open_and_close_while_others_read(void)
{
    struct world world;
    pthread_t thread;
    world_init(&world);
    CU_ASSERT_FATAL(world_start(&world) == 0);
    struct reading reading = {.runtime = world.runtime, .least = INT64_MAX};
    CU_ASSERT_FATAL(pthread_create(&thread, NULL, read_all, &reading) == 0);

    for (uint32_t i = 0; i < OPENED; i++) {
        struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(&world_protocol);
        struct cmds_group *group = NULL;
        _Atomic uint32_t closed = 0;
        options.connect = world.address;
        options.client_count = 2;
        CU_ASSERT_FATAL(cmds_group_open(&group, world.runtime, &options, NULL) == 0);
        cmds_group_close(group, on_closed, (void *)&closed);
        WORLD_UNTIL(&world, atomic_load(&closed) != 0);
    }

    atomic_store(&reading.over, 1);
    (void)pthread_join(thread, NULL);
    CU_ASSERT(atomic_load(&reading.least) > 0);
    world_stop(&world);
}

CU_TestInfo test_telemetry_open[] = {
        {"a group is read when it is whole", test_open_is_read_when_it_is_whole},
        {"a group is not listed when it has closed", test_open_is_not_listed_when_it_has_closed},
        {"open and close while others read", test_open_and_close_while_others_read},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("telemetry_open", test_telemetry_open)

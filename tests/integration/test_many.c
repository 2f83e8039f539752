/* SPDX-License-Identifier: MIT */
/*
 * What may go wrong with very many connections at once: descriptors, slots, buffers and timers that
 * run out, an accept that is lost in a burst, shards that are loaded unevenly.
 */

#include "support/world.h"

enum {
    MANY = 5000,
};

static void test_many_connections_each_are_served(void)
{
    uint32_t count = world_fit_connections(MANY);
    struct world world;
    world_init(&world);
    CU_ASSERT_FATAL(world_start(&world) == 0);
    struct raw *raws = calloc(count, sizeof(*raws));
    CU_ASSERT_FATAL(raws != NULL && count > 0);
    for (uint32_t i = 0; i < count; i++) {
        CU_ASSERT_FATAL(world_connect(&world, &raws[i]));
    }
    CU_ASSERT_EQUAL(cmds_server_connection_count(world.server), count);

    for (uint32_t i = 0; i < count; i++) { // All at once, then all the answers.
        CU_ASSERT(raw_write_hex(&raws[i], WORLD_ECHO_HEX));
    }
    for (uint32_t i = 0; i < count; i++) {
        struct raw_frame frame;
        CU_ASSERT_FATAL(raw_read(&raws[i], &frame) == RAW_FRAME);
        CU_ASSERT(frame.sequence == 1 && frame.type == 0);
    }
    CU_ASSERT_EQUAL(world_stats(&world).connections, count);
    CU_ASSERT_EQUAL(world_stats(&world).proto_errors, 0);
    WORLD_UNTIL(&world, world_stats(&world).buffer_bytes == 0); // All idle: none owns a buffer.

    for (uint32_t i = 0; i < count; i++) {
        raw_close(&raws[i]);
    }
    WORLD_UNTIL(&world, cmds_server_connection_count(world.server) == 0);
    free(raws);
    world_stop(&world);
}

CU_TestInfo test_many[] = {
        {"connections, each served", test_many_connections_each_are_served},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("many", test_many)

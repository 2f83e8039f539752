/* SPDX-License-Identifier: MIT */
/*
 * Servers, groups and senders whose connections are secured, and those where one side only expects
 * that.
 */
#include "support/world.h"

/* The first bytes of a client that speaks TLS: record, version, size; ClientHello, size, version. */
#define CLIENT_HELLO "16 03 01 00 f1 01 00 00 ed 03 03 5a 11 c0 de"

static void test_secured_client_at_a_plain_server_is_recognised(void)
{
    struct world world;
    struct raw raw;
    world_init(&world);
    world.options.linger_timeout_ms = 50;
    CU_ASSERT_FATAL(world_start(&world) == 0);
    CU_ASSERT_FATAL(world_connect(&world, &raw));

    CU_ASSERT_TRUE(raw_write_hex(&raw, CLIENT_HELLO));

    WORLD_UNTIL(&world, atomic_load(&world.disconnected) == 1);
    CU_ASSERT_EQUAL(atomic_load(&world.cause), CMDS_E_PROTO);
    CU_ASSERT_EQUAL(world_logged(&world, "looks like TLS, and the server's port is plain"), 1);
    raw_close(&raw);

    CU_ASSERT_FATAL(world_connect(&world, &raw)); // The same bytes later are a mistake like others.
    CU_ASSERT_TRUE(world_echoes(&raw, 1));
    CU_ASSERT_TRUE(raw_write_hex(&raw, CLIENT_HELLO));
    WORLD_UNTIL(&world, atomic_load(&world.disconnected) == 2);
    CU_ASSERT_EQUAL(world_logged(&world, "looks like TLS"), 1);
    raw_close(&raw);
    world_stop(&world);
}

CU_TestInfo test_secured[] = {
        {"client at a plain server is recognised",
                test_secured_client_at_a_plain_server_is_recognised},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("secured", test_secured)

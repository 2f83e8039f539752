/* SPDX-License-Identifier: MIT */
/*
 * The counters of runtime, server and group. What may go wrong: an event that is counted for another
 * object on the same shards, a gauge that does not come back to 0, a row that lies elsewhere in the
 * public struct than in a block, a struct of a program that knows fewer rows.
 */
#include <errno.h>
#include <string.h>

#include "base/count.h"
#include "support/guest.h"
#include "support/world.h"

static struct cmds_server_counters server_counters(const struct cmds_server *server)
{
    struct cmds_server_counters counters = CMDS_SERVER_COUNTERS_INIT;
    cmds_server_stats(server, &counters);
    return counters;
}

/* Of a second server on the world's runtime. */
static struct cmds_server *second_server(struct world *world, char *address, size_t size)
{
    struct cmds_server *server = NULL;
    CU_ASSERT_EQUAL_FATAL(
            cmds_server_start(&server, world->runtime, &world->options, &world->error), 0);
    CU_ASSERT_EQUAL_FATAL(cmds_server_address(server, 0, address, size), 0);
    return server;
}

static void test_stats_belong_to_their_owner(void)
{
    char address[128];
    struct world world;
    struct guest one, two;
    world_init(&world);
    world.options.listen = "127.0.0.1:0";
    CU_ASSERT_EQUAL_FATAL(world_start(&world), 0);
    struct cmds_server *second = second_server(&world, address, sizeof(address));
    guest_init(&one);
    guest_init(&two);
    CU_ASSERT_EQUAL_FATAL(guest_open(&one, world.runtime, world.address), 0);
    CU_ASSERT_EQUAL_FATAL(cmds_group_wait(one.group, RAW_GUARD_MS, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(guest_open(&two, world.runtime, address), 0);
    CU_ASSERT_EQUAL_FATAL(cmds_group_wait(two.group, RAW_GUARD_MS, NULL), 0);

    for (int64_t i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(guest_echo(&one, i, NULL), 0);
    }
    CU_ASSERT_EQUAL(guest_echo(&two, 7, NULL), 0);
    WORLD_UNTIL(&world, guest_last(&one) == 3 && guest_last(&two) == 1);

    CU_ASSERT_EQUAL(server_counters(world.server).commands_received, 3);
    CU_ASSERT_EQUAL(server_counters(world.server).results_sent, 3);
    CU_ASSERT_EQUAL(server_counters(world.server).connections_accepted, 1);
    CU_ASSERT_EQUAL(server_counters(second).commands_received, 1);
    CU_ASSERT_EQUAL(guest_counters(&one).commands_sent, 3);
    CU_ASSERT_EQUAL(guest_counters(&one).results_received, 3);
    CU_ASSERT_EQUAL(guest_counters(&two).commands_sent, 1);
    CU_ASSERT_EQUAL(guest_counters(&one).connections, 1);
    /* What one side sends the other one receives: the completions may come later. */
    WORLD_UNTIL(&world,
            guest_counters(&one).send_bytes == server_counters(world.server).recv_bytes &&
                    guest_counters(&one).recv_bytes == server_counters(world.server).send_bytes &&
                    guest_counters(&one).recv_bytes > 0);

    guest_close(&one, &world);
    WORLD_UNTIL(&world, server_counters(world.server).connections == 0);
    CU_ASSERT_EQUAL(server_counters(world.server).connections_closed, 1);
    CU_ASSERT_EQUAL(server_counters(world.server).commands_received, 3); // They stay.
    CU_ASSERT_EQUAL(server_counters(second).connections, 1);
    guest_close(&two, &world);
    cmds_server_close(second);
    world_stop(&world);
}

/* Each row by its name in the public struct is the row of that name in the block. */
static void test_stats_rows_are_where_their_names_are(void)
{
    struct cmds_server_counters sums = {0};
    uint64_t block[sizeof(sums) / sizeof(uint64_t) - 1];
    uint64_t next = 1;
    for (size_t i = 0; i < sizeof(block) / sizeof(block[0]); i++) {
        block[i] = i + 1;
    }
    cmdi_counters_add(&sums, block, sizeof(block));
#define CHECK(kind, name, meaning) CU_ASSERT_EQUAL(sums.name, next++);
    CMDS_SERVER_COUNTERS(CHECK)
#undef CHECK
    CU_ASSERT_EQUAL(next, sizeof(block) / sizeof(block[0]) + 1);
    CU_ASSERT_EQUAL(sums.struct_size + sums.unused, 0);
}

/* A program that knows fewer rows, or more, or did not begin with the INIT macro. */
static void test_stats_of_another_version(void)
{
    struct {
        struct cmds_server_counters known;
        uint64_t newer;
    } theirs;
    const struct cmds_server_counters sums = {.connections = 5, .pings_answered = 9};
    const uint32_t sizes[] = {0, 4, 8, 16, sizeof(theirs.known), sizeof(theirs)};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        memset(&theirs, 0xff, sizeof(theirs));
        theirs.known.struct_size = sizes[i];
        cmdi_counters_give(&theirs, &sums, sizeof(sums));
        CU_ASSERT_EQUAL(theirs.known.struct_size, sizes[i]);
        CU_ASSERT_EQUAL(theirs.known.connections, sizes[i] >= 16 ? 5 : UINT64_MAX);
        CU_ASSERT_EQUAL(
                theirs.known.connections_closed, sizes[i] >= sizeof(theirs.known) ? 0 : UINT64_MAX);
        CU_ASSERT_EQUAL(
                theirs.known.pings_answered, sizes[i] >= sizeof(theirs.known) ? 9 : UINT64_MAX);
        CU_ASSERT_EQUAL(theirs.newer, UINT64_MAX);
    }
}

static void test_stats_of_a_group_that_has_ended(void)
{
    struct world world;
    struct guest guest;
    struct cmds_group_counters counters = CMDS_GROUP_COUNTERS_INIT;
    world_init(&world);
    CU_ASSERT_EQUAL_FATAL(world_start(&world), 0);
    guest_init(&guest);
    CU_ASSERT_EQUAL_FATAL(guest_open(&guest, world.runtime, world.address), 0);
    CU_ASSERT_EQUAL_FATAL(cmds_group_wait(guest.group, RAW_GUARD_MS, NULL), 0);
    struct cmds_group *handle = cmds_group_ref(guest.group);
    guest_close(&guest, &world);

    WORLD_UNTIL(&world, cmds_group_stats(handle, &counters) == CMDS_E_CLOSED);
    CU_ASSERT_EQUAL(counters.connections, 0);
    CU_ASSERT_EQUAL(cmds_group_stats(NULL, &counters), -EINVAL);
    CU_ASSERT_EQUAL(cmds_group_stats(handle, NULL), -EINVAL);
    CU_ASSERT_EQUAL(cmds_sender_stats(NULL, &counters), -EINVAL);
    cmds_group_unref(handle);
    world_stop(&world);
}

static CU_TestInfo tests[] = {
        {"belong to their owner", test_stats_belong_to_their_owner},
        {"rows are where their names are", test_stats_rows_are_where_their_names_are},
        {"of another version", test_stats_of_another_version},
        {"of a group that has ended", test_stats_of_a_group_that_has_ended},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("stats", tests)

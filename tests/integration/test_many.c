/* SPDX-License-Identifier: MIT */
/*
 * What may go wrong with very many connections at once: descriptors, slots, buffers and timers that
 * run out, an accept that is lost in a burst, shards that are loaded unevenly.
 */

#include "support/hold.h"
#include "support/world.h"

enum {
    MANY = 5000,
    BURST = 1500, // More than the buffers that are not small.
    BURST_NORMAL = 512,
    ROUNDS_MAX = 100,
    TALKERS = 64,      // Who send much now and then...
    TALK_SIZE = 60000, // ... which fills many small buffers, and fits a socket.
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

/* --- Small buffers ---------------------------------------------------------------------------- */

/* A frame, and its answer, which is the same but for the header. */
struct talk {
    size_t size, body_size;
    uint8_t bytes[TALK_SIZE + 100], body[TALK_SIZE + 64];
};

static void talk_init(struct talk *talk, size_t text_size)
{
    static char text[TALK_SIZE];
    struct echo echo = {.int64 = -5, .string = {text, text_size}};
    for (size_t i = 0; i < text_size; i++) {
        text[i] = (char)('a' + i % 26);
    }
    int64_t size = cmds_codec_encode(
            &cmds_codec_msgpack, echo_message(&echo), talk->body, sizeof(talk->body));
    CU_ASSERT_FATAL(size > 0);
    talk->body_size = (size_t)size;
    talk->size = raw_frame_encode(talk->bytes, 1, 0, talk->body, talk->body_size);
}

/* All say it while the only shard is held up, so that all of it waits when it goes on. */
static void burst(struct world *world, struct raw *raws, uint32_t count, const struct talk *talk)
{
    hold_begin();
    CU_ASSERT_FATAL(cmds_runtime_post(world->runtime, 0, hold_here, NULL) == 0);
    WORLD_UNTIL(world, hold_is_on());
    bool all = true;
    for (uint32_t i = 0; i < count; i++) {
        all &= raw_write(&raws[i], talk->bytes, talk->size);
    }
    hold_end();
    CU_ASSERT_FATAL(all);
    for (uint32_t i = 0; i < count; i++) {
        struct raw_frame frame;
        CU_ASSERT_FATAL(raw_read(&raws[i], &frame) == RAW_FRAME);
        CU_ASSERT_FATAL(frame.sequence == 1 && frame.body_size == talk->body_size);
        CU_ASSERT_FATAL(memcmp(frame.body, talk->body, talk->body_size) == 0);
    }
}

/* Until all of a burst find a buffer. */
static void burst_until_none_lacks(
        struct world *world, struct raw *raws, uint32_t count, const struct talk *talk)
{
    uint64_t empty = 0, before = 1;
    for (uint32_t round = 0; round < ROUNDS_MAX && empty != before; round++) {
        before = world_stats(world).buffers_empty;
        burst(world, raws, count, talk);
        empty = world_stats(world).buffers_empty;
    }
    CU_ASSERT_EQUAL(empty, before);
}

/* Each has a buffer though they are many, since their commands are small; much fits into small ones as well. */
static void test_many_small_commands_find_buffers(void)
{
    static struct talk little, much;
    uint32_t count = world_fit_connections(BURST);
    struct world world;
    if (count <= BURST_NORMAL) {
        printf("***** not tested: small buffers are for more than %d connections ***** ",
                BURST_NORMAL);
        return;
    }
    talk_init(&little, 10);
    talk_init(&much, TALK_SIZE);
    world_init(&world);
    world.runtime_options.shard_count = 1;
    world.runtime_options.buffer_count_max = 4096;
    CU_ASSERT_FATAL(world_start(&world) == 0);
    struct raw *raws = calloc(count, sizeof(*raws));
    CU_ASSERT_FATAL(raws != NULL);
    for (uint32_t i = 0; i < count; i++) {
        CU_ASSERT_FATAL(world_connect(&world, &raws[i]));
    }

    bool is_short = world_logged(&world, "receive buffers (of") > 0;
    if (is_short) {
        printf("***** not tested: RLIMIT_MEMLOCK has no room for small buffers ***** ");
    } else {
        burst_until_none_lacks(&world, raws, count, &little);
    }
    for (uint32_t round = 0; round < 5; round++) {
        burst(&world, raws, TALKERS, &much);
        burst(&world, raws, count, &little);
    }
    for (uint32_t round = 0; round < 20; round++) {
        burst(&world, raws, TALKERS, &much);
    }
    if (!is_short) {
        burst_until_none_lacks(&world, raws, count, &little);
    }
    CU_ASSERT_EQUAL(world_stats(&world).proto_errors, 0);

    for (uint32_t i = 0; i < count; i++) {
        raw_close(&raws[i]);
    }
    free(raws);
    world_stop(&world);
}

CU_TestInfo test_many[] = {
        {"small commands find buffers", test_many_small_commands_find_buffers},
        {"connections, each served", test_many_connections_each_are_served},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("many", test_many)

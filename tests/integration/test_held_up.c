/* SPDX-License-Identifier: MIT */
/*
 * Nobody holds up another: neither who asks for much, nor who is slow, nor a shard that does not
 * turn. What is asserted is an order: the one with little is answered before the many have had what
 * they ask for.
 */
#include "ring/clock.h"
#include "shard/runtime.h"
#include "support/world.h"

#include <errno.h>
#include <unistd.h>

enum {
    HOGS = 32,
    HOG_COMMANDS = 32,
    BURN_US = 500,
    PROVEN = 20, // So many echoes alone, and the server knows who asks for little.
    POSTS = 2000,
    STREAM_SIZE = 64 * 1024 * 1024,
    ITEM_SIZE = 32 * 1024,
    NEWCOMERS = 16,
    BUFFERS = 32,
    CROWD = 400, // More than are drained or closed in one go.
};

enum what {
    WHAT_WHERE, // The item's index is the shard.
    WHAT_HOLD,  // Does not return before it is let go.
    WHAT_BURN,
    WHAT_STREAM, // `number` bytes, as many as it may in a round.
};

struct hold {
    struct world world;
    struct raw holder;
    struct raw other; // On the wrong shard, if there was one: open until the end.
    _Atomic uint32_t held, let_go;
    _Atomic uint32_t burnt;
    /* Of the stream; on its shard. */
    uint64_t turn;
    size_t of_turn, most_of_turn;
};

static void burn(void)
{
    uint64_t until_ns = cmdi_now_ns() + (uint64_t)BURN_US * 1000;
    while (cmdi_now_ns() < until_ns) {
        // As a function does that computes.
    }
}

/* Sends as much as it is let, whatever the reader takes. Counts what one turn has to do. */
static int stream(struct hold *hold, struct cmds_call *call, int64_t size)
{
    static const char data[ITEM_SIZE];
    int64_t sent = (int64_t)(intptr_t)cmds_call_context(call);
    uint64_t turn = hold->world.runtime->shards[0]->counters.turns;
    int code = 0;
    hold->of_turn = turn == hold->turn ? hold->of_turn : 0;
    hold->turn = turn;
    while (code == 0 && sent < size) {
        struct item item = {
                .index = sent, .last = sent + ITEM_SIZE >= size, .data = {data, ITEM_SIZE}};
        code = cmds_call_send(call, item_message(&item));
        sent += code == 0 ? ITEM_SIZE : 0;
        hold->of_turn += code == 0 ? ITEM_SIZE : 0;
    }
    hold->most_of_turn = hold->of_turn > hold->most_of_turn ? hold->of_turn : hold->most_of_turn;
    cmds_call_set_context(call, (void *)(intptr_t)sent);
    return code == -ENOBUFS ? CMDS_EXEC_AGAIN : code;
}

static int exec_hold(struct cmds_call *call, const struct run *run)
{
    struct world *world = cmds_call_receiver(call);
    struct hold *hold = world->context;
    if (run->what == WHAT_HOLD) {
        atomic_store(&hold->held, 1);
        while (atomic_load(&hold->let_go) == 0) {
            (void)usleep(1000);
        }
    } else if (run->what == WHAT_BURN) {
        burn();
        atomic_fetch_add(&hold->burnt, 1);
    } else if (run->what == WHAT_STREAM) {
        return stream(hold, call, run->number);
    }
    return world_send_item(call, cmds_runtime_current_shard(world->runtime), true);
}

static void hold_init(struct hold *hold, uint32_t shard_count)
{
    memset(hold, 0, sizeof(*hold));
    world_init(&hold->world);
    hold->world.runtime_options.shard_count = shard_count;
    hold->world.exec = exec_hold;
    hold->world.context = hold;
    hold->holder.fd = -1;
    hold->other.fd = -1;
}

static void hold_stop(struct hold *hold)
{
    raw_close(&hold->holder);
    raw_close(&hold->other);
    world_stop(&hold->world);
}

static bool is_on_shard(struct raw *raw, int64_t shard)
{
    uint64_t sequence = 0;
    bool last = false;
    struct run run = {.what = WHAT_WHERE};
    CU_ASSERT_FATAL(raw_send(raw, 1, run_message(&run)));
    return world_read_item(raw, &sequence, &last) == shard;
}

/* A connection that lives on this shard: with reuse_port it takes some more. */
static void connect_holder(struct hold *hold, int64_t shard)
{
    CU_ASSERT_FATAL(world_connect(&hold->world, &hold->holder));
    while (!is_on_shard(&hold->holder, shard)) {
        raw_close(&hold->other);
        hold->other = hold->holder; // So that the next one goes elsewhere.
        CU_ASSERT_FATAL(world_connect(&hold->world, &hold->holder));
    }
}

/* The shard does not turn any more, and everybody can see it. */
static void hold_shard(struct hold *hold, int64_t shard)
{
    struct run run = {.what = WHAT_HOLD};
    connect_holder(hold, shard);
    CU_ASSERT_FATAL(raw_send(&hold->holder, 2, run_message(&run)));
    WORLD_UNTIL(&hold->world, atomic_load(&hold->held) == 1);
    const struct cmdi_shard *held = hold->world.runtime->shards[shard];
    WORLD_UNTIL(&hold->world, !cmdi_shard_turns(held, cmdi_now_ns()));
}

/* --- A shard that does not turn --------------------------------------------------------------- */

/* All are served at once, whichever shard the kernel, or the count, would have chosen. */
static void expect_newcomers_served(struct hold *hold, int64_t shard)
{
    struct raw newcomers[NEWCOMERS];
    CU_ASSERT_FATAL(world_start(&hold->world) == 0);
    hold_shard(hold, shard);

    for (uint32_t i = 0; i < NEWCOMERS; i++) {
        CU_ASSERT_FATAL(world_connect(&hold->world, &newcomers[i]));
        CU_ASSERT_FATAL(world_echoes(&newcomers[i], 1));
    }

    atomic_store(&hold->let_go, 1);
    uint64_t sequence = 0;
    bool last = false;
    CU_ASSERT_EQUAL(world_read_item(&hold->holder, &sequence, &last), shard);
    for (uint32_t i = 0; i < NEWCOMERS; i++) {
        CU_ASSERT(world_echoes(&newcomers[i], 2));
        raw_close(&newcomers[i]);
    }
    hold_stop(hold);
}

static void test_held_up_listener_has_a_deputy(void)
{
    static struct hold hold;
    hold_init(&hold, 2);
    expect_newcomers_served(&hold, 0);

    hold_init(&hold, 2);
    hold.world.options.overflow = CMDS_OVERFLOW_QUEUE; // One accept at a time.
    expect_newcomers_served(&hold, 0);

    hold_init(&hold, 2);
    hold.world.options.listen = raw_unix_address("held-up");
    expect_newcomers_served(&hold, 0);
}

static void test_held_up_shard_gets_no_connection(void)
{
    static struct hold hold;
    hold_init(&hold, 2);
    expect_newcomers_served(&hold, 1);
}

static void test_held_up_listener_of_its_own_has_a_deputy(void)
{
    static struct hold hold;
    hold_init(&hold, 2);
    hold.world.options.reuse_port = true;
    expect_newcomers_served(&hold, 1);
}

/* What is one too many waits, or is told so, as without a deputy. */
static void test_held_up_deputy_keeps_to_the_limit(void)
{
    static struct hold hold;
    struct raw one, two;
    hold_init(&hold, 2);
    hold.world.options.overflow = CMDS_OVERFLOW_QUEUE;
    hold.world.options.connection_count_max = 2;
    CU_ASSERT_FATAL(world_start(&hold.world) == 0);
    hold_shard(&hold, 0); // The listener's, which takes the first connection itself.
    CU_ASSERT_EQUAL(cmds_server_connection_count(hold.world.server), 1);

    CU_ASSERT_FATAL(world_connect(&hold.world, &one));
    CU_ASSERT_FATAL(raw_open(&two, hold.world.address, 0, NULL) == 0); // In the backlog.
    CU_ASSERT(world_echoes(&one, 1));
    CU_ASSERT_EQUAL(cmds_server_connection_count(hold.world.server), 2);
    raw_close(&one);
    atomic_store(&hold.let_go, 1);
    CU_ASSERT(raw_server_info(&two) && world_echoes(&two, 1));

    raw_close(&two);
    hold_stop(&hold);
}

/* --- A shard that turns, for others ----------------------------------------------------------- */

static void prove(struct raw *raw)
{
    for (uint64_t i = 1; i <= PROVEN; i++) {
        CU_ASSERT_FATAL(world_echoes(raw, i));
    }
}

static void test_held_up_by_slow_commands_no_more_than_by_a_few(void)
{
    static struct hold hold;
    struct raw raw;
    struct raw hogs[HOGS];
    uint8_t bytes[HOG_COMMANDS * 32];
    uint8_t body[8];
    size_t body_size = raw_hex("930200a0", body, sizeof(body)); // run{WHAT_BURN, 0, ""}
    size_t size = 0;
    hold_init(&hold, 1);
    CU_ASSERT_FATAL(world_start(&hold.world) == 0 && world_connect(&hold.world, &raw));
    for (uint64_t i = 1; i <= HOG_COMMANDS; i++) {
        size += raw_frame_encode(bytes + size, i, 1, body, body_size);
    }
    for (uint32_t i = 0; i < HOGS; i++) {
        CU_ASSERT_FATAL(world_connect(&hold.world, &hogs[i]));
    }
    prove(&raw);

    for (uint32_t i = 0; i < HOGS; i++) {
        CU_ASSERT_FATAL(raw_write(&hogs[i], bytes, size));
    }
    for (uint64_t i = 1; i <= 4; i++) {
        CU_ASSERT(world_echoes(&raw, PROVEN + i));
    }
    CU_ASSERT(atomic_load(&hold.burnt) < HOGS * HOG_COMMANDS / 2);

    WORLD_UNTIL(&hold.world, atomic_load(&hold.burnt) == HOGS * HOG_COMMANDS);
    for (uint32_t i = 0; i < HOGS; i++) {
        raw_close(&hogs[i]);
    }
    raw_close(&raw);
    hold_stop(&hold);
}

static void test_held_up_by_a_stream_no_more_than_by_its_share(void)
{
    static struct hold hold;
    struct raw raw;
    struct run run = {.what = WHAT_STREAM, .number = STREAM_SIZE};
    uint64_t sequence = 0;
    bool last = false;
    hold_init(&hold, 1);
    CU_ASSERT_FATAL(world_start(&hold.world) == 0 && world_connect(&hold.world, &raw));

    CU_ASSERT_FATAL(raw_send(&raw, 1, run_message(&run)));
    for (int64_t at = 0; at < STREAM_SIZE; at += ITEM_SIZE) {
        CU_ASSERT_FATAL(world_read_item(&raw, &sequence, &last) == at);
    }
    CU_ASSERT(last && world_echoes(&raw, 2));
    raw_close(&raw);
    hold_stop(&hold); // The shard's thread has ended: its numbers can be read.
    /* What leaves while it is made, and what may wait: output_size_max, and an item beyond half. */
    CU_ASSERT(hold.most_of_turn <= CMDI_SHARD_OUTPUT_PER_RUN + 1024 * 1024 + ITEM_SIZE);
}

static void post_burn(void *context)
{
    burn();
    atomic_fetch_add((_Atomic uint32_t *)context, 1);
}

static void test_held_up_by_posts_no_more_than_by_a_few(void)
{
    static struct hold hold;
    struct raw raw;
    hold_init(&hold, 1);
    CU_ASSERT_FATAL(world_start(&hold.world) == 0 && world_connect(&hold.world, &raw));
    prove(&raw);

    for (uint32_t i = 0; i < POSTS; i++) {
        CU_ASSERT_EQUAL(cmds_runtime_post(hold.world.runtime, 0, post_burn, &hold.burnt), 0);
    }
    for (uint64_t i = 1; i <= 4; i++) {
        CU_ASSERT(world_echoes(&raw, PROVEN + i));
    }
    CU_ASSERT(atomic_load(&hold.burnt) < POSTS / 2);

    raw_close(&raw);
    hold_stop(&hold); // Runs the others.
    CU_ASSERT_EQUAL(atomic_load(&hold.burnt), POSTS);
}

/* They take many turns; the end waits for them. */
static void test_held_up_posts_run_before_an_inline_stop(void)
{
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_runtime *runtime = NULL;
    _Atomic uint32_t burnt = 0;
    options.shard_count = CMDS_SHARDS_INLINE;
    CU_ASSERT_EQUAL_FATAL(cmds_runtime_start(&runtime, &options, NULL), 0);
    for (uint32_t i = 0; i < POSTS; i++) {
        CU_ASSERT_EQUAL(cmds_runtime_post(runtime, 0, post_burn, &burnt), 0);
    }
    cmds_runtime_stop(runtime);
    CU_ASSERT_EQUAL(atomic_load(&burnt), POSTS);
}

/* Told some at a time, and all of them are. */
/*
 * Each of the many sends a few bytes, and there are buffers for a quarter of them: whoever came last
 * does not wait until all of them have run.
 */
static void test_held_up_by_few_bytes_that_hold_no_buffer(void)
{
    static struct hold hold;
    static struct raw many[BUFFERS * 4];
    struct raw light;
    struct run burning = {.what = WHAT_BURN};
    struct echo echo = {.string = CMDS_STRING("hi")};
    struct raw_frame frame;
    hold_init(&hold, 1);
    hold.world.runtime_options.buffer_count_max = BUFFERS;
    CU_ASSERT_FATAL(world_start(&hold.world) == 0);
    CU_ASSERT_FATAL(world_connect(&hold.world, &light));
    for (uint32_t i = 0; i < BUFFERS * 4; i++) {
        CU_ASSERT_FATAL(world_connect(&hold.world, &many[i]));
    }
    for (uint64_t i = 1; i <= PROVEN; i++) {
        CU_ASSERT_FATAL(world_echoes(&light, i));
    }
    hold_shard(&hold, 0);

    for (uint32_t i = 0; i < BUFFERS * 4; i++) {
        CU_ASSERT_FATAL(raw_send(&many[i], 1, run_message(&burning)));
    }
    CU_ASSERT_FATAL(raw_send(&light, PROVEN + 1, echo_message(&echo)));
    atomic_store(&hold.let_go, 1);

    CU_ASSERT(raw_read(&light, &frame) == RAW_FRAME && frame.sequence == PROVEN + 1);
    CU_ASSERT(atomic_load(&hold.burnt) < BUFFERS + BUFFERS / 2);
    for (uint32_t i = 0; i < BUFFERS * 4; i++) {
        CU_ASSERT(raw_read(&many[i], &frame) == RAW_FRAME && frame.sequence == 1);
        raw_close(&many[i]);
    }
    raw_close(&light);
    hold_stop(&hold);
}

static void test_held_up_crowd_is_drained_and_closed(void)
{
    static struct hold hold;
    static struct raw crowd[CROWD];
    for (uint32_t drain = 0; drain <= 1; drain++) {
        hold_init(&hold, 1);
        CU_ASSERT_FATAL(world_start(&hold.world) == 0);
        for (uint32_t i = 0; i < CROWD; i++) {
            CU_ASSERT_FATAL(world_connect(&hold.world, &crowd[i]));
        }
        if (drain) {
            CU_ASSERT_EQUAL(cmds_server_shutdown(hold.world.server, 1), CMDS_E_TIMEOUT);
        }
        cmds_server_close(hold.world.server);
        hold.world.server = NULL;
        for (uint32_t i = 0; i < CROWD; i++) {
            CU_ASSERT(raw_drain(&crowd[i]) != RAW_HANG);
            raw_close(&crowd[i]);
        }
        CU_ASSERT_EQUAL(atomic_load(&hold.world.disconnected), CROWD);
        hold_stop(&hold);
    }
}

static CU_TestInfo tests[] = {
        {"listener has a deputy", test_held_up_listener_has_a_deputy},
        {"shard gets no connection", test_held_up_shard_gets_no_connection},
        {"listener of its own has a deputy", test_held_up_listener_of_its_own_has_a_deputy},
        {"deputy keeps to the limit", test_held_up_deputy_keeps_to_the_limit},
        {"by slow commands no more than by a few",
                test_held_up_by_slow_commands_no_more_than_by_a_few},
        {"by a stream no more than by its share",
                test_held_up_by_a_stream_no_more_than_by_its_share},
        {"by posts no more than by a few", test_held_up_by_posts_no_more_than_by_a_few},
        {"by few bytes that hold no buffer", test_held_up_by_few_bytes_that_hold_no_buffer},
        {"crowd is drained and closed", test_held_up_crowd_is_drained_and_closed},
        {"posts run before an inline stop", test_held_up_posts_run_before_an_inline_stop},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("held_up", tests)

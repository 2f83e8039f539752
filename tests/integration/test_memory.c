/* SPDX-License-Identifier: MIT */
/*
 * Memory of a shard, through the public face. What calls keep, what other threads queue, what
 * clients let wait could have no bound; a bound could stand for ever, or end others than who met it;
 * and what was counted might not come back.
 */
#include "base/pool.h"
#include "support/world.h"

#include <errno.h>
#include <sys/socket.h>

enum {
    COUNT = 20,
    TEXT_SIZE = 20000,
};

static char text[TEXT_SIZE];

struct keeper {
    struct cmds_call *_Atomic calls[COUNT];
    _Atomic uint32_t count; // Of calls, valid below it.
    _Atomic int32_t code;   // Of the last that could not be kept.
};

static int exec_keep(struct cmds_call *call, const struct run *run)
{
    (void)run;
    struct world *world = cmds_call_receiver(call);
    struct keeper *keeper = world->context;
    int code = cmds_call_keep_command(call);
    if (code < 0) {
        atomic_store(&keeper->code, code);
        return code;
    }
    uint32_t index = atomic_load(&keeper->count);
    atomic_store(&keeper->calls[index], cmds_call_ref(call));
    atomic_store(&keeper->count, index + 1);
    return 0;
}

static void keeper_answer(struct world *world, struct raw *raw, uint32_t index)
{
    struct keeper *keeper = world->context;
    uint64_t sequence = 0;
    bool last = false;
    struct cmds_call *call = keeper->calls[index];
    CU_ASSERT_EQUAL(run_of(call)->text.size, TEXT_SIZE);
    CU_ASSERT_EQUAL(world_send_item(call, index, true), 0);
    cmds_call_unref(call);
    CU_ASSERT_EQUAL(world_read_item(raw, &sequence, &last), index);
    CU_ASSERT_EQUAL(sequence, index + 1);
}

static void keeper_start(struct world *world, struct keeper *keeper, struct raw *raw)
{
    memset(text, 'k', sizeof(text));
    memset(keeper, 0, sizeof(*keeper));
    world->runtime_options.shard_count = 1;
    world->exec = exec_keep;
    world->context = keeper;
    CU_ASSERT_FATAL(world_start(world) == 0 && world_connect(world, raw));
}

/* At the bound it stops reading, below it reads on; other connections know nothing of it. */
static void test_memory_kept_commands_are_bounded(void)
{
    struct world world;
    struct raw raw, other;
    struct keeper keeper;
    struct run run = {.text = {text, sizeof(text)}};
    world_init(&world);
    world.options.kept_size_max = 4 * TEXT_SIZE;
    keeper_start(&world, &keeper, &raw);
    CU_ASSERT_FATAL(world_connect(&world, &other));

    for (uint32_t i = 0; i < COUNT; i++) {
        CU_ASSERT(raw_send(&raw, i + 1, run_message(&run)));
    }
    WORLD_UNTIL(&world, atomic_load(&keeper.count) >= 4);
    CU_ASSERT(world_echoes(&other, 1));
    WORLD_UNTIL(&world, world_stats(&world).read_pauses >= 1);
    CU_ASSERT_EQUAL(atomic_load(&keeper.count), 4);
    CU_ASSERT(world_stats(&world).memory_bytes >= 4 * TEXT_SIZE);

    for (uint32_t i = 0; i < COUNT; i++) {
        WORLD_UNTIL(&world, atomic_load(&keeper.count) > i);
        CU_ASSERT(atomic_load(&keeper.count) <= i + 4);
        keeper_answer(&world, &raw, i);
    }
    raw_close(&raw);
    raw_close(&other);
    WORLD_UNTIL(&world, world_stats(&world).memory_bytes == 0); // Pools and arenas, too.
    world_stop(&world);
}

static void test_memory_one_command_may_always_be_kept(void)
{
    struct world world;
    struct raw raw;
    struct keeper keeper;
    struct run run = {.text = {text, sizeof(text)}};
    world_init(&world);
    world.options.kept_size_max = 1;
    keeper_start(&world, &keeper, &raw);

    for (uint32_t i = 0; i < 3; i++) {
        CU_ASSERT(raw_send(&raw, i + 1, run_message(&run)));
    }
    for (uint32_t i = 0; i < 3; i++) {
        WORLD_UNTIL(&world, atomic_load(&keeper.count) == i + 1);
        keeper_answer(&world, &raw, i);
    }
    raw_close(&raw);
    world_stop(&world);
}

/*
 * The program keeps what no connection can be closed for. Then one more call cannot be kept; that
 * call ends, the connections stay.
 */
static void test_memory_kept_beyond_the_shards_bound_ends_one_call(void)
{
    static char large[480 * 1024];
    struct world world;
    struct raw raw, other;
    struct keeper keeper;
    world_init(&world);
    memset(large, 'l', sizeof(large));
    world.runtime_options.memory_size_max = 1687 * 1024; // Room for one, with its frame.
    keeper_start(&world, &keeper, &raw);
    CU_ASSERT_FATAL(world_connect(&world, &other));
    struct run run = {.text = {large, sizeof(large)}};

    CU_ASSERT(raw_send(&raw, 1, run_message(&run)));
    WORLD_UNTIL(&world, atomic_load(&keeper.count) == 1);
    raw_abort(&raw); // The first connection goes, its call stays.
    WORLD_UNTIL(&world, atomic_load(&world.disconnected) == 1);
    CU_ASSERT(raw_send(&other, 1, run_message(&run)));
    WORLD_UNTIL(&world, atomic_load(&keeper.code) != 0);
    CU_ASSERT_EQUAL(atomic_load(&keeper.code), -ENOBUFS);
    CU_ASSERT(world_echoes(&other, 2));
    CU_ASSERT(world_stats(&world).memory_bytes <= world.runtime_options.memory_size_max);

    for (uint32_t i = 0; i < atomic_load(&keeper.count); i++) {
        cmds_call_unref(keeper.calls[i]);
    }
    raw_close(&other);
    WORLD_UNTIL(&world, world_stats(&world).memory_bytes == 0);
    world_stop(&world);
}

/* --- Those who hold much ---------------------------------------------------------------------- */

enum {
    HOGS = 12,
    INNOCENTS = 8,
    ITEM_SIZE = 600 * 1024,
};

/* A result that is larger than all sockets: it stays in the output of who does not read. */
static int exec_hog(struct cmds_call *call, const struct run *run)
{
    static char data[ITEM_SIZE];
    (void)run;
    struct item item = {1, true, {data, sizeof(data)}};
    int code = cmds_call_send(call, item_message(&item));
    return code == -ENOBUFS ? CMDS_EXEC_AGAIN : code;
}

static bool hog_start(struct world *world, struct raw *hog)
{
    bool good = raw_open(hog, world->address, 4096, world_turn(world)) == 0 && raw_server_info(hog);
    for (uint64_t i = 1; i <= 20 && good; i++) {
        good = raw_send(hog, i, run_message(&(struct run){0}));
    }
    return good;
}

/* Twelve connections want more than there is and take nothing; the others do not suffer. */
static void test_memory_hogs_pay_for_what_they_hold(void)
{
    struct world world;
    struct raw hogs[HOGS], innocents[INNOCENTS];
    world_init(&world);
    world.runtime_options.shard_count = 1;
    world.runtime_options.memory_size_max = 16 * 1024 * 1024;
    world.options.output_size_max = 4 * 1024 * 1024;
    world.exec = exec_hog;
    CU_ASSERT_FATAL(world_start(&world) == 0);
    for (int i = 0; i < INNOCENTS / 2; i++) {
        CU_ASSERT_FATAL(world_connect(&world, &innocents[i]));
    }
    for (int i = 0; i < HOGS; i++) {
        CU_ASSERT(hog_start(&world, &hogs[i]));
    }
    WORLD_UNTIL(&world, world_stats(&world).memory_evictions > 0);

    for (int i = INNOCENTS / 2; i < INNOCENTS; i++) {
        CU_ASSERT_FATAL(world_connect(&world, &innocents[i]));
    }
    for (uint64_t round = 1; round <= 20; round++) {
        for (int i = 0; i < INNOCENTS; i++) {
            CU_ASSERT(world_echoes(&innocents[i], round));
            CU_ASSERT(world_stats(&world).memory_bytes <= world.runtime_options.memory_size_max);
        }
    }
    CU_ASSERT(world_logged(&world, "held most") >= 1);
    CU_ASSERT(atomic_load(&world.disconnected) < HOGS); // No more than had to.

    for (int i = 0; i < HOGS; i++) {
        raw_close(&hogs[i]);
    }
    for (int i = 0; i < INNOCENTS; i++) {
        CU_ASSERT(world_echoes(&innocents[i], 21));
        raw_close(&innocents[i]);
    }
    WORLD_UNTIL(&world, world_stats(&world).memory_bytes == 0);
    world_stop(&world);
}

/* Frames that never get whole fill the shard; one that does, and needs a stash, still comes through. */
static void test_memory_half_frames_do_not_starve_whole_ones(void)
{
    static uint8_t half[1024 * 1024];
    static char data[300 * 1024];
    struct world world;
    struct raw hogs[HOGS], innocent;
    struct raw_frame frame;
    struct echo echo = {.string = {data, sizeof(data)}};
    uint8_t head[] = {1, 0, 0x80, 0x80, 0x80, 2, 0x94, 0xc3, 0xfb, 0xdb}; // Of 4 MiB.
    world_init(&world);
    world.runtime_options.shard_count = 1;
    world.runtime_options.memory_size_max = 8 * 1024 * 1024;
    CU_ASSERT_FATAL(world_start(&world) == 0 && world_connect(&world, &innocent));
    for (int i = 0; i < HOGS; i++) {
        CU_ASSERT_FATAL(world_connect(&world, &hogs[i]));
        (void)raw_write(&hogs[i], head, sizeof(head));
        (void)raw_write(&hogs[i], half, sizeof(half));
    }
    for (uint64_t i = 1; i <= 5; i++) {
        CU_ASSERT(raw_send(&innocent, i, echo_message(&echo)));
        CU_ASSERT_EQUAL_FATAL(raw_read(&innocent, &frame), RAW_FRAME);
        CU_ASSERT_EQUAL(frame.sequence, i);
    }
    CU_ASSERT(world_stats(&world).memory_evictions > 0);
    for (int i = 0; i < HOGS; i++) {
        raw_close(&hogs[i]);
    }
    raw_close(&innocent);
    WORLD_UNTIL(&world, world_stats(&world).memory_bytes == 0);
    world_stop(&world);
}

/* --- Clients ---------------------------------------------------------------------------------- */

struct sending {
    struct cmds_group *group;
    struct echo echo;
    uint32_t count; // Taken.
    int code;       // Of the first that was not.
};

static void on_result(void *context, const struct cmds_result *result)
{
    (void)result;
    (*(uint32_t *)context)++;
}

static uint32_t results;

static void *send_until_full(void *context)
{
    struct sending *sending = context;
    while ((sending->code = cmds_group_send(sending->group, echo_message(&sending->echo), NULL,
                    on_result, &results)) == 0) {
        sending->count++;
    }
    return NULL;
}

static void serve_nothing(struct raw_server *server, struct raw *peer, void *context)
{
    (void)peer;
    (void)context;
    while (!atomic_load(&server->stopping)) {
        raw_pause(NULL); // Not even its ServerInfo: commands wait.
    }
}

/* One bound for what the shard and other threads let wait on one connection. */
static void test_memory_of_a_client_is_one_bound(void)
{
    enum {
        BOUND = 256 * 1024,
        SIZE = 1000
    };
    struct raw_server server;
    struct cmds_runtime *runtime = NULL;
    struct cmds_runtime_options runtime_options = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(&world_protocol);
    struct cmds_runtime_counters stats = CMDS_RUNTIME_COUNTERS_INIT;
    struct sending there = {.echo = {.string = {text, SIZE}}}, here;
    pthread_t thread;
    results = 0;
    CU_ASSERT_FATAL(raw_server_start(&server, serve_nothing, NULL) == 0);
    runtime_options.shard_count = CMDS_SHARDS_INLINE;
    CU_ASSERT_FATAL(cmds_runtime_start(&runtime, &runtime_options, NULL) == 0);
    options.connect = server.address;
    options.output_size_max = BOUND;
    options.in_flight_max = 100000;
    CU_ASSERT_FATAL(cmds_group_open(&there.group, runtime, &options, NULL) == 0);
    CU_ASSERT(cmds_runtime_turn(runtime, CMDS_TURN_NOWAIT) >= 0);
    here = there;

    for (int round = 0; round < 3; round++) { // What was in the inbox is in the backlog then.
        CU_ASSERT_FATAL(pthread_create(&thread, NULL, send_until_full, &there) == 0);
        (void)pthread_join(thread, NULL);
        (void)send_until_full(&here);
        CU_ASSERT_EQUAL(there.code, -ENOBUFS);
        CU_ASSERT_EQUAL(here.code, -ENOBUFS);
        CU_ASSERT((here.count + there.count) * SIZE < BOUND + 2 * (SIZE + 100));
        CU_ASSERT(cmds_runtime_turn(runtime, CMDS_TURN_NOWAIT) >= 0);
    }
    CU_ASSERT((here.count + there.count) * (SIZE + 100) > BOUND / 2);
    CU_ASSERT(there.count > 0);
    (void)cmds_runtime_turn(runtime, CMDS_TURN_NOWAIT);
    cmds_runtime_stats(runtime, &stats);
    CU_ASSERT(stats.memory_bytes >= (here.count + there.count) * SIZE);

    cmds_group_close(there.group, NULL, NULL);
    for (int i = 0; i < 100000 && stats.memory_bytes > 0; i++) {
        (void)cmds_runtime_turn(runtime, 1000);
        cmds_runtime_stats(runtime, &stats);
    }
    CU_ASSERT_EQUAL(stats.memory_bytes, 0);
    CU_ASSERT_EQUAL(results, here.count + there.count);
    cmds_runtime_stop(runtime);
    raw_server_stop(&server);
}

/* --- What a group cannot take ----------------------------------------------------------------- */

static _Atomic bool is_leaving;

/* Says who it is, if it is asked to, and takes all, and answers nothing. */
static void serve_silence(struct raw_server *server, struct raw *peer, void *context)
{
    static char sink[65536];
    if (context != NULL) {
        (void)raw_write_hex(peer, "0764656661756c74");
    }
    while (!atomic_load(&server->stopping) && !atomic_exchange(&is_leaving, false)) {
        if (recv(peer->fd, sink, sizeof(sink), MSG_DONTWAIT) <= 0) {
            raw_pause(NULL);
        }
    }
}

struct lacking {
    struct raw_server server;
    struct cmds_runtime *runtime;
    struct cmds_group *group;
    uint32_t writable;
};

static void on_writable(void *context)
{
    ((struct lacking *)context)->writable++;
}

/* A group on an inline runtime with a mebibyte. `is_up`: of a server that says who it is. */
static void lacking_open(struct lacking *lacking, bool is_up)
{
    struct cmds_runtime_options runtime_options = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(&world_protocol);
    *lacking = (struct lacking){.writable = 0};
    results = 0;
    CU_ASSERT_FATAL(raw_server_start(&lacking->server, serve_silence, is_up ? lacking : NULL) == 0);
    runtime_options.shard_count = CMDS_SHARDS_INLINE;
    runtime_options.memory_size_max = 1024 * 1024;
    CU_ASSERT_FATAL(cmds_runtime_start(&lacking->runtime, &runtime_options, NULL) == 0);
    options.connect = lacking->server.address;
    options.in_flight_max = 1000000;
    options.deadline_ms = CMDS_NEVER;
    options.context = lacking;
    options.on_writable = on_writable;
    CU_ASSERT_FATAL(cmds_group_open(&lacking->group, lacking->runtime, &options, NULL) == 0);
    if (is_up) {
        CU_ASSERT_EQUAL(cmds_group_wait(lacking->group, RAW_GUARD_MS, NULL), 0);
    }
}

static void lacking_close(struct lacking *lacking)
{
    cmds_group_close(lacking->group, NULL, NULL);
    cmds_runtime_stop(lacking->runtime);
    raw_server_stop(&lacking->server);
}

/* Until it is refused. Returns: how many were taken. */
static uint32_t lacking_send(
        struct lacking *lacking, struct cmds_message message, const struct cmds_send_options *how)
{
    uint32_t count = 0;
    int code = 0;
    while (code == 0 && count < 100000) {
        code = cmds_group_send(lacking->group, message, how, on_result, &results);
        count += code == 0;
        if (count % 8 == 0) { // Little waits to leave.
            (void)cmds_runtime_turn(lacking->runtime, CMDS_TURN_NOWAIT);
        }
    }
    CU_ASSERT_EQUAL(code, -ENOBUFS);
    for (int i = 0; i < 20; i++) {
        (void)cmds_runtime_turn(lacking->runtime, 1000);
    }
    return count;
}

/* Until it is refused, and then until there is room: when the commands have ended. */
static void lacking_fill(uint32_t size, uint32_t resend)
{
    struct lacking lacking;
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    struct pool pool = {
            .text = {text, size}}; // Once lost it is not sent again: it is not idempotent.
    uint32_t count = 0;
    lacking_open(&lacking, true);
    how.resend = resend;
    count = lacking_send(&lacking, pool_message(&pool), &how);
    // Nothing has ended yet; but with pools of malloc the little that has left gives room for a few more.
    CU_ASSERT_TRUE(CMDI_POOLS_KEEP_NOTHING || lacking.writable == 0);
    while (lacking.writable > 0) {
        lacking.writable = 0;
        uint32_t more = lacking_send(&lacking, pool_message(&pool), &how);
        CU_ASSERT_TRUE_FATAL(more > 0); // It was told the truth.
        count += more;
    }
    CU_ASSERT_TRUE(count > 100);
    CU_ASSERT_EQUAL(results, 0);

    atomic_store(&is_leaving, true);
    for (uint64_t until = raw_now_ms() + RAW_GUARD_MS;
            (lacking.writable == 0 || results < count) && raw_now_ms() < until;) {
        (void)cmds_runtime_turn(lacking.runtime, 10000);
    }
    CU_ASSERT_EQUAL(lacking.writable, 1);
    CU_ASSERT_EQUAL(results, count);
    CU_ASSERT_EQUAL(
            cmds_group_send(lacking.group, pool_message(&pool), &how, on_result, &results), 0);
    lacking_close(&lacking);
    CU_ASSERT_EQUAL(results, count + 1);
}

static void test_memory_that_a_group_lacks_is_waited_for(void)
{
    lacking_fill(0, CMDS_RESEND_NEVER);   // What is in flight fills it,
    lacking_fill(1000, CMDS_RESEND_ONCE); // or what may have to be sent again.
}

static void *send_large(void *context)
{
    static char large[1536 * 1024];
    struct echo echo = {.string = {large, sizeof(large)}};
    static int code;
    code = cmds_group_send(context, echo_message(&echo), NULL, on_result, &results);
    return &code;
}

/* Nothing could tell of room for it. */
static void test_memory_that_a_group_can_never_have(void)
{
    for (int is_up = 0; is_up < 2; is_up++) {
        struct lacking lacking;
        pthread_t thread;
        void *code = NULL;
        lacking_open(&lacking, is_up != 0);
        CU_ASSERT_EQUAL(*(int *)send_large(lacking.group), -ENOMEM);
        CU_ASSERT_FATAL(pthread_create(&thread, NULL, send_large, lacking.group) == 0);
        (void)pthread_join(thread, &code);
        CU_ASSERT_EQUAL(*(int *)code, -ENOMEM);
        lacking_close(&lacking);
    }
    CU_ASSERT_EQUAL(results, 0);
}

static CU_TestInfo tests[] = {
        {"kept commands are bounded", test_memory_kept_commands_are_bounded},
        {"one command may always be kept", test_memory_one_command_may_always_be_kept},
        {"kept beyond the shard's bound ends one call",
                test_memory_kept_beyond_the_shards_bound_ends_one_call},
        {"hogs pay for what they hold", test_memory_hogs_pay_for_what_they_hold},
        {"half frames do not starve whole ones", test_memory_half_frames_do_not_starve_whole_ones},
        {"of a client is one bound", test_memory_of_a_client_is_one_bound},
        {"that a group lacks is waited for", test_memory_that_a_group_lacks_is_waited_for},
        {"that a group can never have", test_memory_that_a_group_can_never_have},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("memory", tests)

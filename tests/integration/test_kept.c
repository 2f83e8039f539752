/* SPDX-License-Identifier: MIT */
/*
 * Calls that outlive their exec function: answered by a timer, by other threads, or never. Their
 * results may be lost or mixed up on the way to the shard, and their memory may go with a
 * connection, a server or a runtime that they outlive.
 */
#include "support/world.h"

#include <errno.h>

enum {
    KEPT_MAX = 8
};

/* What the exec functions of a test hand to it. */
struct kept {
    struct cmds_call *_Atomic calls[KEPT_MAX];
    _Atomic uint32_t count;     // Of calls, valid below it.
    _Atomic uint32_t cancelled; // How often on_cancel ran.
    _Atomic uint32_t wrong_shard;
    int codes[4];
};

static void on_cancel(struct cmds_call *call)
{
    struct world *world = cmds_call_receiver(call);
    struct kept *kept = world->context;
    if (cmds_runtime_current_shard(world->runtime) < 0 || !cmds_call_is_cancelled(call)) {
        atomic_fetch_add(&kept->wrong_shard, 1);
    }
    atomic_fetch_add(&kept->cancelled, 1);
}

static int exec_keep(struct cmds_call *call, const struct run *run)
{
    struct world *world = cmds_call_receiver(call);
    struct kept *kept = world->context;
    int code = run->what == 0 ? cmds_call_keep_command(call) : 0;
    if (code < 0) {
        return code;
    }
    cmds_call_on_cancel(call, on_cancel);
    uint32_t index = atomic_load(&kept->count);
    atomic_store(&kept->calls[index], cmds_call_ref(call));
    atomic_store(&kept->count, index + 1);
    return 0;
}

/* A world whose `run` is kept, one connection, and `count` kept calls. */
static void kept_start(struct world *world, struct kept *kept, struct raw *raw, uint32_t count)
{
    memset(kept, 0, sizeof(*kept));
    world->exec = exec_keep;
    world->context = kept;
    CU_ASSERT_FATAL(world_start(world) == 0 && world_connect(world, raw));
    for (uint32_t i = 0; i < count; i++) {
        struct run run = {.number = i, .text = CMDS_STRING("kept text")};
        CU_ASSERT(raw_send(raw, i + 1, run_message(&run)));
    }
    WORLD_UNTIL(world, atomic_load(&kept->count) == count);
}

/* --- Answers from elsewhere ------------------------------------------------------------------- */

static void test_kept_call_is_answered_by_another_thread(void)
{
    struct world world;
    struct raw raw;
    struct kept kept;
    uint64_t sequence = 0;
    bool last = false;
    world_init(&world);
    kept_start(&world, &kept, &raw, 3);

    for (uint32_t i = 3; i-- > 0;) { // This thread is none of the shards.
        struct cmds_call *call = kept.calls[i];
        const struct run *run = run_of(call);
        CU_ASSERT_FATAL(run != NULL && run->number == i);
        CU_ASSERT(cmds_string_equal(run->text, (struct cmds_string)CMDS_STRING("kept text")));
        CU_ASSERT_EQUAL(cmds_call_after(call, 1, on_cancel), -EXDEV);
        CU_ASSERT_EQUAL(world_send_item(call, 100 + i, false), 0);
        CU_ASSERT_EQUAL(world_send_item(call, 200 + i, true), 0);
        CU_ASSERT_EQUAL(world_send_item(call, 300 + i, true), CMDS_E_FINISHED);
        CU_ASSERT(!cmds_call_is_cancelled(call));
        cmds_call_unref(call);
        CU_ASSERT_EQUAL(world_read_item(&raw, &sequence, &last), 100 + i);
        CU_ASSERT_EQUAL(world_read_item(&raw, &sequence, &last), 200 + i);
        CU_ASSERT(sequence == i + 1 && last);
    }
    CU_ASSERT(world_echoes(&raw, 4));
    CU_ASSERT_EQUAL(atomic_load(&kept.cancelled), 0);

    raw_close(&raw);
    world_stop(&world);
}

/* Without keep_command the command is gone with its receive buffer. */
static void test_kept_call_has_no_command_unless_copied(void)
{
    struct world world;
    struct raw raw;
    struct kept kept;
    struct run run = {.what = 1, .text = CMDS_STRING("not kept")};
    world_init(&world);
    kept_start(&world, &kept, &raw, 0);

    CU_ASSERT(raw_send(&raw, 1, run_message(&run)));
    WORLD_UNTIL(&world, atomic_load(&kept.count) == 1);
    CU_ASSERT(world_echoes(&raw, 2)); // The exec function has returned long since.
    CU_ASSERT_PTR_NULL(run_of(kept.calls[0]));
    CU_ASSERT_EQUAL(world_send_item(kept.calls[0], 1, true), 0);
    cmds_call_unref(kept.calls[0]);

    raw_close(&raw);
    world_stop(&world);
}

enum {
    SENDERS = 4,
    EACH = 500
};

struct sender {
    struct cmds_call *call;
    uint32_t number;
    pthread_t thread;
};

static void *sender_main(void *argument)
{
    struct sender *sender = argument;
    int code = 0;
    for (int64_t i = 0; i < EACH && (code == 0 || code == -ENOBUFS); i += code == 0) {
        code = world_send_item(sender->call, sender->number * 10000 + i, false);
    }
    cmds_call_unref(sender->call);
    return NULL;
}

static void test_kept_call_keeps_the_order_of_each_thread(void)
{
    struct world world;
    struct raw raw;
    struct kept kept;
    struct sender senders[SENDERS];
    int64_t next[SENDERS] = {0};
    uint64_t sequence = 0;
    bool last = false;
    world_init(&world);
    world.options.output_size_max = 4096; // So that they meet the bound.
    kept_start(&world, &kept, &raw, 1);

    for (uint32_t i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){.call = cmds_call_ref(kept.calls[0]), .number = i};
        CU_ASSERT_FATAL(pthread_create(&senders[i].thread, NULL, sender_main, &senders[i]) == 0);
    }
    for (uint32_t i = 0; i < SENDERS * EACH; i++) {
        int64_t index = world_read_item(&raw, &sequence, &last);
        CU_ASSERT_FATAL(index >= 0 && index / 10000 < SENDERS);
        CU_ASSERT_FATAL(index % 10000 == next[index / 10000]);
        next[index / 10000]++;
    }
    for (uint32_t i = 0; i < SENDERS; i++) {
        CU_ASSERT(pthread_join(senders[i].thread, NULL) == 0);
    }
    CU_ASSERT_EQUAL(world_send_item(kept.calls[0], 7, true), 0);
    cmds_call_unref(kept.calls[0]);
    CU_ASSERT_EQUAL(world_read_item(&raw, &sequence, &last), 7);
    CU_ASSERT(last);

    raw_close(&raw);
    world_stop(&world);
}

/* --- Timers ----------------------------------------------------------------------------------- */

static void after_again(struct cmds_call *call)
{
    int64_t round = (int64_t)(intptr_t)cmds_call_context(call);
    cmds_call_set_context(call, (void *)(intptr_t)(round + 1));
    if (world_send_item(call, round, round == 4) == 0 && round < 4) {
        (void)cmds_call_after(call, 1, after_again); // Its reference is the timer's.
    }
}

static void after_other(struct cmds_call *call)
{
    (void)world_send_item(call, -1, true); // Must never run: one timer at a time.
}

static int exec_after(struct cmds_call *call, const struct run *run)
{
    int code = cmds_call_after(call, (uint32_t)run->number, after_again);
    return code == 0 && cmds_call_after(call, 0, after_other) == -EBUSY ? 0 : -EIO;
}

static void test_kept_call_is_answered_by_timers(void)
{
    struct world world;
    struct raw raw;
    uint64_t sequence = 0;
    bool last = false;
    struct run slow = {.number = 30}, fast = {.number = 0};
    world_init(&world);
    world.exec = exec_after;
    CU_ASSERT_FATAL(world_start(&world) == 0 && world_connect(&world, &raw));

    CU_ASSERT(raw_send(&raw, 1, run_message(&slow)));
    CU_ASSERT(raw_send(&raw, 2, run_message(&fast)));
    uint32_t ended = 0;
    int64_t next[3] = {0};
    while (ended < 2) {
        int64_t index = world_read_item(&raw, &sequence, &last);
        CU_ASSERT_FATAL(sequence == 1 || sequence == 2);
        CU_ASSERT_FATAL(index == next[sequence]++);
        ended += last;
    }
    CU_ASSERT(next[1] == 5 && next[2] == 5);
    CU_ASSERT(world_echoes(&raw, 3));

    raw_close(&raw);
    world_stop(&world);
}

/* --- Nobody waits any more -------------------------------------------------------------------- */

static void test_kept_call_outlives_its_connection(void)
{
    struct world world;
    struct raw raw, other;
    struct kept kept;
    world_init(&world);
    kept_start(&world, &kept, &raw, 2);

    raw_abort(&raw);
    WORLD_UNTIL(&world, atomic_load(&kept.cancelled) == 2);
    CU_ASSERT_EQUAL(atomic_load(&kept.wrong_shard), 0);
    WORLD_UNTIL(&world, atomic_load(&world.disconnected) == 1);
    WORLD_UNTIL(&world, cmds_server_connection_count(world.server) == 0);
    for (uint32_t i = 0; i < 2; i++) {
        struct cmds_call *call = kept.calls[i];
        CU_ASSERT(cmds_call_is_cancelled(call));
        CU_ASSERT_EQUAL(world_send_item(call, 1, true), CMDS_E_GONE);
        CU_ASSERT_EQUAL(run_of(call)->number, i);
        CU_ASSERT_EQUAL(
                strncmp(cmds_connection_peer(cmds_call_connection(call)), "127.0.0.1:", 10), 0);
        cmds_call_fail(call, -EIO, "nobody hears it");
        cmds_call_unref(call);
    }
    CU_ASSERT(world_connect(&world, &other) && world_echoes(&other, 1));
    CU_ASSERT_EQUAL(world_stats(&world).unfinished_calls, 0); // Cancelled is not forgotten.
    CU_ASSERT_EQUAL(atomic_load(&kept.cancelled), 2);         // Once each.

    raw_close(&other);
    world_stop(&world);
}

static void test_kept_call_that_was_answered_is_not_cancelled(void)
{
    struct world world;
    struct raw raw;
    struct kept kept;
    uint64_t sequence = 0;
    bool last = false;
    world_init(&world);
    kept_start(&world, &kept, &raw, 1);

    CU_ASSERT_EQUAL(world_send_item(kept.calls[0], 1, true), 0);
    CU_ASSERT_EQUAL(world_read_item(&raw, &sequence, &last), 1);
    raw_abort(&raw); // After a FIN it would wait for the call to end.
    WORLD_UNTIL(&world, atomic_load(&world.disconnected) == 1);
    CU_ASSERT_EQUAL(atomic_load(&kept.cancelled), 0);
    cmds_call_unref(kept.calls[0]);

    world_stop(&world);
}

static void test_kept_call_ends_at_its_deadline(void)
{
    struct world world;
    struct raw raw;
    struct kept kept;
    world_init(&world);
    world.options.exec_timeout_ms = 20;
    kept_start(&world, &kept, &raw, 1);

    struct cmds_call *call = kept.calls[0];
    CU_ASSERT_EQUAL(cmds_call_deadline_ns(call) - cmds_call_received_ns(call), 20000000);
    WORLD_UNTIL(&world, atomic_load(&kept.cancelled) == 1);
    CU_ASSERT_EQUAL(world_stats(&world).exec_timeouts, 1);
    CU_ASSERT_EQUAL(world_send_item(call, 1, true), CMDS_E_GONE);
    CU_ASSERT(world_echoes(&raw, 2)); // The connection stays.
    cmds_call_unref(call);
    CU_ASSERT(world_echoes(&raw, 3));
    CU_ASSERT_EQUAL(cmds_server_connection_count(world.server), 1);

    raw_close(&raw);
    world_stop(&world);
}

/* --- Failures from elsewhere ------------------------------------------------------------------ */

static void test_kept_call_that_is_dropped_is_unfinished(void)
{
    struct world world;
    struct raw raw;
    struct kept kept;
    world_init(&world);
    kept_start(&world, &kept, &raw, 1);

    cmds_call_unref(kept.calls[0]);
    WORLD_UNTIL(&world, world_stats(&world).unfinished_calls == 1);
    CU_ASSERT(world_echoes(&raw, 2));
    raw_finish(&raw); // It does not count as in flight any more.
    CU_ASSERT_EQUAL(raw_drain(&raw), RAW_EOF);
    CU_ASSERT(world_logged(&world, "run: the last reference was let go without") > 0);

    raw_close(&raw);
    world_stop(&world);
}

static void test_kept_call_fails_from_another_thread(void)
{
    struct world world;
    struct raw raw;
    struct kept kept;
    world_init(&world);
    kept_start(&world, &kept, &raw, 2);

    cmds_call_fail(kept.calls[0], -ENOBUFS, "the store is full");
    cmds_call_unref(kept.calls[0]);
    WORLD_UNTIL(&world, world_stats(&world).exec_errors == 1);
    CU_ASSERT(world_echoes(&raw, 3)); // This code spares the connection,
    cmds_call_fail(kept.calls[1], -EIO, "the store is broken");
    CU_ASSERT(raw_drain(&raw) != RAW_HANG); // that one does not.
    WORLD_UNTIL(&world, atomic_load(&world.disconnected) == 1);
    CU_ASSERT_EQUAL(atomic_load(&world.cause), -EIO);
    WORLD_UNTIL(&world, world_logged(&world, "the store is full") == 1);
    cmds_call_unref(kept.calls[1]);
    CU_ASSERT_EQUAL(world_stats(&world).unfinished_calls, 0);

    raw_close(&raw);
    world_stop(&world);
}

static int answer_error(void *receiver, struct cmds_call *call, const struct cmds_error *error)
{
    (void)receiver;
    return world_send_item(call, error->code, true);
}

static void test_kept_call_failure_may_be_answered(void)
{
    struct world world;
    struct raw raw;
    struct kept kept;
    uint64_t sequence = 0;
    bool last = false;
    world_init(&world);
    world.options.on_exec_error = answer_error;
    kept_start(&world, &kept, &raw, 2);

    cmds_call_fail(kept.calls[0], 5, NULL); // No failure is positive.
    cmds_call_unref(kept.calls[0]);
    CU_ASSERT_EQUAL(world_read_item(&raw, &sequence, &last), -EINVAL);
    CU_ASSERT_EQUAL(sequence, 1);
    cmds_call_unref(kept.calls[1]);
    CU_ASSERT_EQUAL(world_read_item(&raw, &sequence, &last), CMDS_E_UNFINISHED);
    CU_ASSERT_EQUAL(sequence, 2);
    CU_ASSERT(world_echoes(&raw, 3));

    raw_close(&raw);
    world_stop(&world);
}

enum {
    FAR_MS = 3600000,
    FAR_COUNT = 20
};

/* Nobody waits, so it runs now, once, and there is no later one. */
static void far_over(struct cmds_call *call)
{
    struct world *world = cmds_call_receiver(call);
    struct kept *kept = world->context;
    bool good = cmds_call_is_cancelled(call) && run_of(call) != NULL &&
                cmds_call_after(call, 1, far_over) == CMDS_E_GONE;
    atomic_fetch_add(good ? &kept->cancelled : &kept->wrong_shard, 1);
}

static int exec_far(struct cmds_call *call, const struct run *run)
{
    (void)run;
    struct world *world = cmds_call_receiver(call);
    struct kept *kept = world->context;
    int code = cmds_call_keep_command(call);
    code = code == 0 ? cmds_call_after(call, FAR_MS, far_over) : code;
    atomic_fetch_add(&kept->count, 1);
    return code;
}

static void far_start(struct world *world, struct kept *kept, struct raw *raw)
{
    memset(kept, 0, sizeof(*kept));
    world->exec = exec_far;
    world->context = kept;
    CU_ASSERT_FATAL(world_start(world) == 0 && world_connect(world, raw));
    for (uint32_t i = 0; i < FAR_COUNT; i++) {
        struct run run = {.number = i, .text = CMDS_STRING("kept text")};
        CU_ASSERT(raw_send(raw, i + 1, run_message(&run)));
    }
    WORLD_UNTIL(world, atomic_load(&kept->count) == FAR_COUNT);
}

/* An hour's delay is nobody's when the peer is gone. */
static void test_kept_call_does_not_wait_for_a_peer_that_is_gone(void)
{
    struct world world;
    struct raw raw;
    struct kept kept;
    world_init(&world);
    far_start(&world, &kept, &raw);
    CU_ASSERT_EQUAL(atomic_load(&kept.cancelled), 0);

    raw_abort(&raw);

    WORLD_UNTIL(&world, atomic_load(&kept.cancelled) == FAR_COUNT);
    CU_ASSERT_EQUAL(atomic_load(&kept.wrong_shard), 0);
    CU_ASSERT_EQUAL(world_stats(&world).unfinished_calls, 0);
    world_stop(&world);
}

static void test_kept_call_does_not_wait_beyond_its_deadline(void)
{
    struct world world;
    struct raw raw;
    struct kept kept;
    world_init(&world);
    world.options.exec_timeout_ms = 50;
    far_start(&world, &kept, &raw);

    WORLD_UNTIL(&world, atomic_load(&kept.cancelled) == FAR_COUNT);
    CU_ASSERT_EQUAL(atomic_load(&kept.wrong_shard), 0);
    CU_ASSERT(world_echoes(&raw, FAR_COUNT + 1));

    raw_close(&raw);
    world_stop(&world);
}

/* --- Its server closes ------------------------------------------------------------------------ */

static _Atomic bool is_writing, may_be_written;

/* A large one takes until somebody lets it. */
static uint8_t *encode_slowly(const struct cmds_codec *self, const struct cmds_type *type,
        const void *value, uint8_t *out, size_t size)
{
    (void)self;
    if (size > 100000) {
        atomic_store(&is_writing, true);
        while (!atomic_load(&may_be_written)) {
            raw_pause(NULL);
        }
    }
    return cmds_codec_msgpack.encode(&cmds_codec_msgpack, type, value, out, size);
}

static void *send_large(void *context)
{
    static char text[200000];
    struct kept *kept = context;
    struct item item = {.index = 1, .last = true, .data = {text, sizeof(text)}};
    kept->codes[0] = cmds_call_send(kept->calls[0], item_message(&item));
    return NULL;
}

/* Nobody waits for a large result that is being written: neither its shard nor whoever closes the server. */
static void test_kept_call_is_written_while_its_server_closes(void)
{
    struct world world;
    struct raw raw;
    struct kept kept;
    pthread_t thread;
    struct cmds_codec codec = cmds_codec_msgpack;
    world_init(&world);
    codec.encode = encode_slowly;
    world.options.codec = &codec;
    atomic_store(&is_writing, false);
    atomic_store(&may_be_written, false);
    kept_start(&world, &kept, &raw, 1);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, send_large, &kept), 0);
    WORLD_UNTIL(&world, atomic_load(&is_writing));

    CU_ASSERT(world_echoes(&raw, 2));
    world_end_server(&world);

    atomic_store(&may_be_written, true);
    (void)pthread_join(thread, NULL);
    CU_ASSERT_EQUAL(kept.codes[0], CMDS_E_GONE);
    CU_ASSERT_EQUAL(
            cmds_call_send(kept.calls[0], item_message(&(struct item){.index = 2})), CMDS_E_GONE);
    CU_ASSERT_EQUAL(
            cmds_call_check(kept.calls[0], item_message(&(struct item){.index = 2}), NULL), 0);
    cmds_call_unref(kept.calls[0]);
    raw_close(&raw);
    world_stop(&world);
}

static CU_TestInfo tests[] = {
        {"call is written while its server closes",
                test_kept_call_is_written_while_its_server_closes},
        {"call is answered by another thread", test_kept_call_is_answered_by_another_thread},
        {"call has no command unless copied", test_kept_call_has_no_command_unless_copied},
        {"call keeps the order of each thread", test_kept_call_keeps_the_order_of_each_thread},
        {"call is answered by timers", test_kept_call_is_answered_by_timers},
        {"call outlives its connection", test_kept_call_outlives_its_connection},
        {"call that was answered is not cancelled",
                test_kept_call_that_was_answered_is_not_cancelled},
        {"call ends at its deadline", test_kept_call_ends_at_its_deadline},
        {"call that is dropped is unfinished", test_kept_call_that_is_dropped_is_unfinished},
        {"call fails from another thread", test_kept_call_fails_from_another_thread},
        {"call does not wait for a peer that is gone",
                test_kept_call_does_not_wait_for_a_peer_that_is_gone},
        {"call does not wait beyond its deadline",
                test_kept_call_does_not_wait_beyond_its_deadline},
        {"call failure may be answered", test_kept_call_failure_may_be_answered},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("kept", tests)

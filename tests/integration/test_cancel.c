/* SPDX-License-Identifier: MIT */
/*
 * The end of a kept call that comes from two sides at once: a thread answers it and lets go of the
 * last reference, while on the shard its connection goes or its deadline passes. Whoever only
 * borrows the call there may bring it back to life, so that it ends twice; its on_cancel may run
 * for somebody who has let go long ago. And streams, on the shard and in the pool, whose connection
 * goes or whose deadline passes at any moment: what they keep between rounds is freed once. Nothing
 * here is against the documentation.
 */
#include "support/world.h"

#include <errno.h>
#include <time.h>

enum {
    LATER_MAX = 1 << 14,
    PER_CONNECTION = 200,
};

/* Calls on their way to the thread that answers them: one shard pushes, one thread pops. */
struct later {
    struct {
        struct cmds_call *call;
        uint64_t at_ns;
    } queue[LATER_MAX];
    _Atomic uint32_t head, tail;
    uint64_t delay_ns;
    _Atomic bool stop;
    _Atomic uint64_t answered, gone, told, broken;
    pthread_t thread;
};

static uint64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void on_cancel(struct cmds_call *call)
{
    struct later *later = ((struct world *)cmds_call_receiver(call))->context;
    atomic_fetch_add(&later->told, 1);
    // A second end would have given the call to another command: then it is not cancelled.
    atomic_fetch_add(&later->broken, !cmds_call_is_cancelled(call));
}

static int exec_later(struct cmds_call *call, const struct run *run)
{
    struct later *later = ((struct world *)cmds_call_receiver(call))->context;
    uint32_t head = atomic_load(&later->head);
    (void)run;
    if (head - atomic_load(&later->tail) == LATER_MAX) {
        return -ENOBUFS;
    }
    cmds_call_on_cancel(call, on_cancel);
    later->queue[head % LATER_MAX].call = cmds_call_ref(call);
    // Around the deadline, which falls on a whole millisecond: on both sides of it.
    later->queue[head % LATER_MAX].at_ns =
            now_ns() + later->delay_ns + (later->delay_ns != 0 ? head * 7919 % 2000 * 1000 : 0);
    atomic_store(&later->head, head + 1);
    return 0;
}

static void *later_main(void *argument)
{
    struct later *later = argument;
    const struct timespec pause = {0, 50000};
    while (!atomic_load(&later->stop) || atomic_load(&later->tail) != atomic_load(&later->head)) {
        uint32_t tail = atomic_load(&later->tail);
        if (tail == atomic_load(&later->head)) {
            (void)nanosleep(&pause, NULL);
            continue;
        }
        struct cmds_call *call = later->queue[tail % LATER_MAX].call;
        while (now_ns() < later->queue[tail % LATER_MAX].at_ns && !atomic_load(&later->stop)) {
            // The moment is to be met.
        }
        atomic_store(&later->tail, tail + 1);
        int code = world_send_item(call, 1, true);
        atomic_fetch_add(&later->answered, code == 0);
        atomic_fetch_add(&later->gone, code == CMDS_E_GONE);
        cmds_call_unref(call);
    }
    return NULL;
}

static struct later *later_start(struct world *world)
{
    struct later *later = calloc(1, sizeof(*later));
    CU_ASSERT_PTR_NOT_NULL_FATAL(later);
    world->runtime_options.shard_count = 1;
    world->exec = exec_later;
    world->context = later;
    CU_ASSERT_FATAL(pthread_create(&later->thread, NULL, later_main, later) == 0);
    return later;
}

static void later_stop(struct world *world, struct later *later)
{
    WORLD_UNTIL(world, cmds_server_connection_count(world->server) == 0); // Nothing comes any more.
    atomic_store(&later->stop, true);
    (void)pthread_join(later->thread, NULL);
    world_stop(world);
    CU_ASSERT_EQUAL(atomic_load(&later->broken), 0);
    free(later);
}

/* Many commands in one piece: of type 1, `run`, or 2, `pool`, or both. */
static bool send_many(struct raw *raw, uint64_t first, uint64_t type, uint64_t other_type)
{
    uint8_t bytes[PER_CONNECTION * 16];
    uint8_t body[8];
    size_t body_size = raw_hex("930001a0", body, sizeof(body));
    size_t size = 0;
    for (uint64_t i = 0; i < PER_CONNECTION; i++) {
        size += raw_frame_encode(
                bytes + size, first + i, i % 2 == 0 ? type : other_type, body, body_size);
    }
    return raw_write(raw, bytes, size);
}

static void test_cancel_by_reset_meets_the_last_unref(void)
{
    enum {
        RESETS = 2000
    };
    struct world world;
    world_init(&world);
    struct later *later = later_start(&world);
    CU_ASSERT_FATAL(world_start(&world) == 0);

    for (uint32_t i = 0; i < RESETS; i++) {
        struct raw raw;
        const struct timespec pause = {0, (long)(i * 7919 % 400) * 1000};
        CU_ASSERT_FATAL(world_connect(&world, &raw) && send_many(&raw, 1, 1, 1));
        (void)nanosleep(&pause, NULL);
        raw_abort(&raw);
    }

    CU_ASSERT(atomic_load(&later->answered) + atomic_load(&later->gone) > 0);
    later_stop(&world, later);
}

static void test_cancel_by_deadline_meets_the_last_unref(void)
{
    enum {
        PIECES = 800
    };
    struct world world;
    struct raw raw;
    struct raw_frame frame;
    world_init(&world);
    world.options.exec_timeout_ms = 2;
    struct later *later = later_start(&world);
    later->delay_ns = 2000000;
    CU_ASSERT_FATAL(world_start(&world) == 0 && world_connect(&world, &raw));

    for (uint64_t i = 0; i < PIECES; i++) {
        const struct timespec pause = {0, 2500000};
        CU_ASSERT_FATAL(send_many(&raw, 1 + i * PER_CONNECTION, 1, 1));
        (void)nanosleep(&pause, NULL);
        while (raw_try(&raw, &frame) == RAW_FRAME) {
            CU_ASSERT_FATAL(frame.sequence > 0 && frame.sequence <= PIECES * PER_CONNECTION);
        }
    }
    WORLD_UNTIL(&world, atomic_load(&world.returned) == PIECES * PER_CONNECTION);

    CU_ASSERT(world_stats(&world).exec_timeouts > 0); // Both ends were met.
    CU_ASSERT(atomic_load(&later->answered) > 0);
    raw_close(&raw);
    later_stop(&world, later);
}

/* --- Streams ---------------------------------------------------------------------------------- */

/* What a stream keeps between its rounds. */
struct stream {
    _Atomic bool runs;
    int64_t next;
};

struct streams {
    _Atomic uint64_t begun, ended, told, wrong;
};

static void stream_on_cancel(struct cmds_call *call)
{
    struct streams *streams = ((struct world *)cmds_call_receiver(call))->context;
    struct stream *stream = cmds_call_context(call);
    atomic_fetch_add(&streams->told, 1);
    atomic_fetch_add(&streams->wrong, atomic_load(&stream->runs));
    free(stream);
}

/* Ten items, one in each round. */
static int exec_stream(struct cmds_call *call, const struct run *run)
{
    struct streams *streams = ((struct world *)cmds_call_receiver(call))->context;
    struct stream *stream = cmds_call_context(call);
    (void)run;
    if (stream == NULL) {
        stream = calloc(1, sizeof(*stream));
        if (stream == NULL) {
            return -ENOMEM;
        }
        atomic_fetch_add(&streams->begun, 1);
        cmds_call_set_context(call, stream);
        cmds_call_on_cancel(call, stream_on_cancel);
    }
    atomic_store(&stream->runs, true);
    int code = world_send_item(call, stream->next, stream->next == 9);
    stream->next += code == 0;
    atomic_store(&stream->runs, false);
    if (code == -ENOBUFS || (code == 0 && stream->next < 10)) {
        return CMDS_EXEC_AGAIN;
    }
    free(stream);
    atomic_fetch_add(&streams->ended, 1);
    return code;
}

static void test_cancel_of_streams_frees_each_once(void)
{
    enum {
        RESETS = 200
    };
    struct world world;
    struct streams streams;
    memset(&streams, 0, sizeof(streams));
    world_init(&world);
    world.exec = exec_stream;
    world.context = &streams;
    world.options.exec_timeout_ms = 3;
    world.options.output_size_max = 4096; // Many wait between two rounds.
    CU_ASSERT_FATAL(world_start(&world) == 0);

    for (uint32_t i = 0; i < RESETS; i++) {
        struct raw raw;
        const struct timespec pause = {0, (long)(i * 7919 % 5000) * 1000};
        CU_ASSERT_FATAL(world_connect(&world, &raw) && send_many(&raw, 1, 1, 2));
        (void)nanosleep(&pause, NULL);
        raw_abort(&raw);
    }
    WORLD_UNTIL(&world, cmds_server_connection_count(world.server) == 0);
    WORLD_UNTIL(&world, atomic_load(&streams.ended) + atomic_load(&streams.told) ==
                                atomic_load(&streams.begun));
    world_stop(&world);

    CU_ASSERT(atomic_load(&streams.ended) > 0 && atomic_load(&streams.told) > 0);
    CU_ASSERT_EQUAL(
            atomic_load(&streams.ended) + atomic_load(&streams.told), atomic_load(&streams.begun));
    CU_ASSERT_EQUAL(atomic_load(&streams.wrong), 0);
}

static CU_TestInfo tests[] = {
        {"by reset meets the last unref", test_cancel_by_reset_meets_the_last_unref},
        {"by deadline meets the last unref", test_cancel_by_deadline_meets_the_last_unref},
        {"of streams frees each once", test_cancel_of_streams_frees_each_once},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("cancel", tests)

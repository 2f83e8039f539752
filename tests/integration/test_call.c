/* SPDX-License-Identifier: MIT */
/*
 * Calls: results, streams, failures. A result may be lost, doubled, or come in another order; a
 * stream may fill the memory of a server whose peer does not read; a failed command may take its
 * connection along when it should not, or leave the peer waiting for ever.
 */
#include "support/world.h"

#include <errno.h>
#include <sys/socket.h>

/* --- Results ---------------------------------------------------------------------------------- */

static int exec_many(struct cmds_call *call, const struct run *run)
{
    int code = 0;
    for (int64_t i = 0; i < run->number && code == 0; i++) {
        code = world_send_item(call, i, i == run->number - 1);
    }
    return code;
}

static void test_call_sends_many_results_in_order(void)
{
    struct world world;
    struct raw raw;
    world_init(&world);
    world.exec = exec_many;
    CU_ASSERT_FATAL(world_start(&world) == 0 && world_connect(&world, &raw));

    for (uint64_t sequence = 1; sequence <= 20; sequence++) {
        struct run run = {.number = 500};
        CU_ASSERT_FATAL(raw_send(&raw, sequence, run_message(&run)));
    }
    for (uint64_t sequence = 1; sequence <= 20; sequence++) {
        for (int64_t i = 0; i < 500; i++) {
            uint64_t got = 0;
            bool last = false;
            CU_ASSERT_FATAL(world_read_item(&raw, &got, &last) == i);
            CU_ASSERT_FATAL(got == sequence && last == (i == 499));
        }
    }
    CU_ASSERT(world_echoes(&raw, 21) && atomic_load(&world.executed) > 0); // And nothing more.

    raw_close(&raw);
    world_stop(&world);
}

/* What an exec function saw; the shard writes, the test reads when the answer has come. */
struct seen {
    _Atomic int codes[8];
    uint64_t sequence, round, received_ns, deadline_ns, connection;
    char peer[64];
    void *receiver, *context, *context_after;
    bool null_of, wrong_type;
};

static int exec_codes(struct cmds_call *call, const struct run *run)
{
    struct world *world = cmds_call_receiver(call);
    struct seen *seen = world->context;
    struct item first = {.index = 1}, last = {.index = 2, .last = true};
    struct note note = {3};
    seen->codes[0] = cmds_call_send(call, run_message(run));
    seen->codes[1] = cmds_call_send(call, item_message(NULL));
    seen->codes[2] = cmds_call_send(call, (struct cmds_message){NULL, &first});
    seen->codes[3] = cmds_call_send(call, item_message(&first));
    seen->codes[4] = cmds_call_send(call, note_message(&note));
    seen->codes[5] = cmds_call_send(call, item_message(&last));
    seen->codes[6] = cmds_call_send(call, item_message(&last));
    seen->codes[7] = cmds_call_send(call, note_message(&note));
    return 0;
}

static void test_call_send_refuses_what_cannot_be_sent(void)
{
    struct world world;
    struct raw raw;
    struct raw_frame frame;
    struct seen seen = {.round = 99};
    uint64_t sequence = 0;
    bool last = false;
    struct run run = {0};
    world_init(&world);
    world.exec = exec_codes;
    world.context = &seen;
    CU_ASSERT_FATAL(world_start(&world) == 0 && world_connect(&world, &raw));

    CU_ASSERT(raw_send(&raw, 9, run_message(&run)));
    CU_ASSERT_EQUAL(world_read_item(&raw, &sequence, &last), 1);
    CU_ASSERT(raw_read(&raw, &frame) == RAW_FRAME && frame.type == 2 && frame.sequence == 9);
    CU_ASSERT_EQUAL(world_read_item(&raw, &sequence, &last), 2);
    CU_ASSERT(last);
    // Nothing of what was refused has left.
    CU_ASSERT(world_echoes(&raw, 10) && atomic_load(&world.executed) > 0);
    CU_ASSERT_EQUAL(seen.codes[0], CMDS_E_WRONG_TYPE);
    CU_ASSERT_EQUAL(seen.codes[1], CMDS_E_WRONG_TYPE);
    CU_ASSERT_EQUAL(seen.codes[2], CMDS_E_WRONG_TYPE);
    CU_ASSERT_EQUAL(seen.codes[3], 0);
    CU_ASSERT_EQUAL(seen.codes[4], 0);
    CU_ASSERT_EQUAL(seen.codes[5], 0);
    CU_ASSERT_EQUAL(seen.codes[6], CMDS_E_FINISHED);
    CU_ASSERT_EQUAL(seen.codes[7], CMDS_E_FINISHED);

    raw_close(&raw);
    world_stop(&world);
}

static char large[300000];

static int exec_large(struct cmds_call *call, const struct run *run)
{
    struct world *world = cmds_call_receiver(call);
    struct seen *seen = world->context;
    struct item item = {.data = {large, (size_t)run->number}};
    int code = 0;
    if (cmds_call_round(call) == 0) {
        seen->codes[0] = 0; // So many megabytes fit into no socket.
        for (int i = 0; i < 10000 && code == 0; i++) {
            code = cmds_call_send(call, item_message(&item));
            seen->codes[0] += code == 0;
        }
        seen->codes[1] = code;
    }
    code = world_send_item(call, -1, true);
    return code == -ENOBUFS ? CMDS_EXEC_AGAIN : code;
}

static void test_call_send_is_bounded(void)
{
    struct world world;
    struct raw raw;
    struct seen seen = {.round = 99};
    uint64_t sequence = 0;
    bool last = false;
    struct run run = {.number = 10000};
    world_init(&world);
    world.exec = exec_large;
    world.context = &seen;
    world.options.frame_size_max = 200000;
    world.options.output_size_max = 100000;
    CU_ASSERT_FATAL(world_start(&world) == 0 && raw_open(&raw, world.address, 4096, NULL) == 0 &&
                    raw_server_info(&raw));

    CU_ASSERT(raw_send(&raw, 1, run_message(&run)));
    while (world_read_item(&raw, &sequence, &last) == 0) {
        CU_ASSERT_FATAL(sequence == 1);
    }
    CU_ASSERT(last && atomic_load(&world.returned) > 0);
    CU_ASSERT_EQUAL(seen.codes[1], -ENOBUFS);
    CU_ASSERT(seen.codes[0] >= 5);
    run.number = 199000; // Larger than the bound, but legal: taken when there is room at all.
    CU_ASSERT(raw_send(&raw, 2, run_message(&run)));
    CU_ASSERT_EQUAL(world_read_item(&raw, &sequence, &last), 0);
    while (!last) {
        (void)world_read_item(&raw, &sequence, &last);
        CU_ASSERT_FATAL(sequence == 2);
    }
    CU_ASSERT(atomic_load(&world.returned) > 0);
    CU_ASSERT_EQUAL(seen.codes[1], -ENOBUFS);
    run.number = 200001;
    CU_ASSERT(raw_send(&raw, 3, run_message(&run)));
    CU_ASSERT_EQUAL(world_read_item(&raw, &sequence, &last), -1);
    CU_ASSERT(atomic_load(&world.returned) > 0);
    CU_ASSERT_EQUAL(seen.codes[0], 0);
    CU_ASSERT_EQUAL(seen.codes[1], CMDS_E_LIMIT);
    CU_ASSERT(world_echoes(&raw, 4) && atomic_load(&world.executed) > 0);

    raw_close(&raw);
    world_stop(&world);
}

static int exec_look(struct cmds_call *call, const struct run *run)
{
    struct world *world = cmds_call_receiver(call);
    struct seen *seen = world->context;
    (void)run;
    seen->receiver = cmds_call_receiver(call);
    seen->sequence = cmds_call_sequence(call);
    seen->round = cmds_call_round(call);
    seen->received_ns = cmds_call_received_ns(call);
    seen->deadline_ns = cmds_call_deadline_ns(call);
    seen->context = cmds_call_context(call);
    cmds_call_set_context(call, seen);
    seen->context_after = cmds_call_context(call);
    seen->connection = cmds_connection_id(cmds_call_connection(call));
    seen->null_of = echo_of(call) == NULL;
    seen->wrong_type = cmds_call_value(call, &echo_type) == NULL;
    (void)snprintf(
            seen->peer, sizeof(seen->peer), "%s", cmds_connection_peer(cmds_call_connection(call)));
    return world_send_item(call, run_of(call) == run, true);
}

static void test_call_knows_where_it_is_from(void)
{
    struct world world;
    struct raw raw;
    struct seen seen = {.round = 99};
    uint64_t sequence = 0;
    bool last = false;
    struct run run = {0};
    world_init(&world);
    world.exec = exec_look;
    world.context = &seen;
    CU_ASSERT_FATAL(world_start(&world) == 0 && world_connect(&world, &raw));

    CU_ASSERT(raw_send(&raw, 4711, run_message(&run)));
    CU_ASSERT_EQUAL(world_read_item(&raw, &sequence, &last), 1);
    CU_ASSERT_EQUAL(atomic_load(&world.returned), 1);
    CU_ASSERT_EQUAL(seen.sequence, 4711);
    CU_ASSERT_EQUAL(seen.round, 0);
    CU_ASSERT_EQUAL(seen.deadline_ns, UINT64_MAX);
    CU_ASSERT(seen.received_ns > 0 && seen.connection > 0);
    CU_ASSERT_PTR_NULL(seen.context);
    CU_ASSERT_PTR_EQUAL(seen.context_after, &seen);
    CU_ASSERT_PTR_EQUAL(seen.receiver, &world);
    CU_ASSERT(seen.null_of && seen.wrong_type);
    CU_ASSERT_EQUAL(strncmp(seen.peer, "127.0.0.1:", 10), 0);

    raw_close(&raw);
    world_stop(&world);
}

/* --- Streams ---------------------------------------------------------------------------------- */

enum {
    CHUNK = 8192
};

/* Items of CHUNK bytes, as many as fit, again while there are more. */
static int exec_stream(struct cmds_call *call, const struct run *run)
{
    int64_t index = (int64_t)(intptr_t)cmds_call_context(call);
    int code = 0;
    while (index < run->number) {
        struct item item = {index, index == run->number - 1, {large, CHUNK}};
        code = cmds_call_send(call, item_message(&item));
        if (code < 0) {
            break;
        }
        index++;
    }
    cmds_call_set_context(call, (void *)(intptr_t)index);
    if (code == 0 || code == -ENOBUFS) {
        return index < run->number ? CMDS_EXEC_AGAIN : 0;
    }
    return code;
}

static void test_call_streams_to_a_slow_reader_in_bounded_memory(void)
{
    enum {
        ITEMS = 8192
    };
    struct world world;
    struct raw slow, other;
    struct run run = {.number = ITEMS};
    uint64_t echoes = 1, most = 0, before = 0;
    world_init(&world);
    world.exec = exec_stream;
    CU_ASSERT_FATAL(world_start(&world) == 0 && world_connect(&world, &other));
    CU_ASSERT_FATAL(raw_open(&slow, world.address, 4096, NULL) == 0 && raw_server_info(&slow));

    CU_ASSERT(raw_send(&slow, 1, run_message(&run)));
    do { // Until nothing moves any more: the kernel's buffers are full.
        before = world_stats(&world).send_bytes;
        for (uint32_t i = 0; i < 50; i++) {
            raw_pause(NULL);
        }
    } while (world_stats(&world).send_bytes != before);
    CU_ASSERT(before < (uint64_t)ITEMS * CHUNK / 2);
    for (int64_t index = 0; index < ITEMS; index++) {
        uint64_t sequence = 0;
        bool last = false;
        uint64_t now = world_stats(&world).buffer_bytes;
        most = now > most ? now : most;
        CU_ASSERT_FATAL(world_read_item(&slow, &sequence, &last) == index);
        CU_ASSERT_FATAL(sequence == 1 && last == (index == ITEMS - 1));
        if (index % 512 == 0) {
            CU_ASSERT_FATAL(world_echoes(&other, echoes++)); // Others go in between.
        }
    }
    CU_ASSERT(most < 5u << 20); // Twice the bound (fill and flight), as leased.
    CU_ASSERT(world_stats(&world).exec_rounds > 0);
    CU_ASSERT(world_echoes(&slow, 2));

    raw_close(&slow);
    raw_close(&other);
    world_stop(&world);
}

/*
 * As many streams as there are, each goes on; commands that come meanwhile are answered between
 * them.
 */
static void test_call_interleaves_streams(void)
{
    enum {
        STREAMS = 100,
        ITEMS = 40
    };
    struct world world;
    struct raw raw;
    int64_t next[STREAMS + 1] = {0};
    struct run run = {.number = ITEMS};
    world_init(&world);
    world.exec = exec_stream;
    world.options.output_size_max = 65536;
    CU_ASSERT_FATAL(world_start(&world) == 0 && world_connect(&world, &raw));

    for (uint64_t sequence = 1; sequence <= STREAMS; sequence++) {
        CU_ASSERT_FATAL(raw_send(&raw, sequence, run_message(&run)));
    }
    for (uint32_t i = 0; i < STREAMS * ITEMS; i++) {
        uint64_t sequence = 0;
        bool last = false;
        int64_t index = world_read_item(&raw, &sequence, &last);
        CU_ASSERT_FATAL(sequence >= 1 && sequence <= STREAMS && index == next[sequence]);
        CU_ASSERT_FATAL(last == (index == ITEMS - 1));
        next[sequence]++;
    }
    CU_ASSERT(world_echoes(&raw, STREAMS + 1));

    raw_close(&raw);
    world_stop(&world);
}

static void test_call_streams_end_with_their_peer(void)
{
    struct world world;
    struct run run = {.number = INT64_MAX};
    world_init(&world);
    world.exec = exec_stream;
    CU_ASSERT_FATAL(world_start(&world) == 0);

    for (uint32_t i = 0; i < 20; i++) {
        struct raw raw;
        CU_ASSERT_FATAL(world_connect(&world, &raw));
        CU_ASSERT(raw_send(&raw, 1, run_message(&run)));
        CU_ASSERT(raw_send(&raw, 2, run_message(&run)));
        CU_ASSERT(raw_fill(&raw, (size_t)i * 10000));
        if (i % 2 == 0) {
            raw_abort(&raw);
        } else {
            raw_close(&raw);
        }
    }
    WORLD_UNTIL(&world, cmds_server_connection_count(world.server) == 0);
    WORLD_UNTIL(&world, world_stats(&world).buffer_bytes == 0);

    world_stop(&world);
}

/* --- Failures --------------------------------------------------------------------------------- */

static int exec_fail(struct cmds_call *call, const struct run *run)
{
    (void)call;
    return (int)run->number;
}

static void test_call_failure_closes_its_connection(void)
{
    static const int codes[] = {-EIO, -ETIMEDOUT, -EACCES, -EINVAL, -EAGAIN, 7};
    struct world world;
    struct raw other;
    world_init(&world);
    world.exec = exec_fail;
    CU_ASSERT_FATAL(world_start(&world) == 0 && world_connect(&world, &other));

    for (uint32_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        struct raw raw;
        struct run run = {.number = codes[i]};
        CU_ASSERT_FATAL(world_connect(&world, &raw));
        CU_ASSERT(raw_send(&raw, 1, run_message(&run)));
        CU_ASSERT(raw_drain(&raw) != RAW_HANG);
        raw_close(&raw); // Else the server waits for it to close: 2 s.
        WORLD_UNTIL(&world, atomic_load(&world.disconnected) == i + 1);
        CU_ASSERT_EQUAL(atomic_load(&world.cause), codes[i] > 0 ? -EINVAL : codes[i]);
        CU_ASSERT_EQUAL(world_stats(&world).exec_errors, i + 1);
        CU_ASSERT(world_echoes(&other, i + 1));
    }

    raw_close(&other);
    world_stop(&world);
}

static void test_call_failure_of_others_spares_the_connection(void)
{
    static const int codes[] = {-ENOBUFS, CMDS_E_GONE, CMDS_E_FINISHED, CMDS_E_NOT_CONNECTED,
            CMDS_E_NOT_SENT, CMDS_E_LOST, CMDS_E_TIMEOUT, CMDS_E_CANCELLED, CMDS_E_CLOSED,
            CMDS_E_UNKNOWN_RESULT, CMDS_E_WRONG_TYPE, CMDS_E_LIMIT, CMDS_E_MORE_RESULTS,
            CMDS_E_PROTO, CMDS_E_MEMORY_LIMIT, -ENOMEM, 0};
    struct world world;
    struct raw raw;
    world_init(&world);
    world.exec = exec_fail;
    CU_ASSERT_FATAL(world_start(&world) == 0 && world_connect(&world, &raw));

    for (uint32_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        struct run run = {.number = codes[i]};
        CU_ASSERT(raw_send(&raw, 2 * i + 1, run_message(&run)));
        CU_ASSERT_FATAL(world_echoes(&raw, 2 * i + 2));
        CU_ASSERT_EQUAL(world_stats(&world).exec_errors, i + 1);
    }
    // Only the one that returned 0 and forgot to answer.
    CU_ASSERT_EQUAL(world_stats(&world).unfinished_calls, 1);
    CU_ASSERT(world_logged(&world, "nobody has the call") == 1);

    raw_close(&raw);
    world_stop(&world);
}

static _Atomic uint32_t named; // Failures whose text begins with the command's name.

static int on_exec_error(void *receiver, struct cmds_call *call, const struct cmds_error *error)
{
    (void)receiver;
    atomic_fetch_add(&named, strncmp(error->text, "run: ", 5) == 0);
    return error->code == -EPERM ? -1 : world_send_item(call, error->code, true);
}

static void test_call_failure_may_be_answered(void)
{
    static const int codes[] = {-EIO, -ENOBUFS, 0};
    struct world world;
    struct raw raw;
    uint64_t sequence = 0;
    bool last = false;
    world_init(&world);
    world.exec = exec_fail;
    world.options.on_exec_error = on_exec_error;
    CU_ASSERT_FATAL(world_start(&world) == 0 && world_connect(&world, &raw));

    for (uint32_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        struct run run = {.number = codes[i]};
        CU_ASSERT(raw_send(&raw, 2 * i + 1, run_message(&run)));
        CU_ASSERT_EQUAL(world_read_item(&raw, &sequence, &last),
                codes[i] == 0 ? CMDS_E_UNFINISHED : codes[i]);
        CU_ASSERT_EQUAL(sequence, 2 * i + 1);
        CU_ASSERT_EQUAL(atomic_load(&named), i + 1);
        CU_ASSERT(world_echoes(&raw, 2 * i + 2));
    }
    struct run run = {.number = -EPERM};
    CU_ASSERT(raw_send(&raw, 100, run_message(&run)));
    CU_ASSERT(raw_drain(&raw) != RAW_HANG);
    raw_close(&raw);
    WORLD_UNTIL(&world, atomic_load(&world.disconnected) == 1);
    CU_ASSERT_EQUAL(atomic_load(&world.cause), -EPERM);

    world_stop(&world);
}

static int exec_close(struct cmds_call *call, const struct run *run)
{
    (void)run;
    cmds_connection_close(cmds_call_connection(call));
    return world_send_item(call, 0, true);
}

static void test_call_may_close_its_connection(void)
{
    struct world world;
    struct raw raw;
    struct run run = {0};
    world_init(&world);
    world.exec = exec_close;
    CU_ASSERT_FATAL(world_start(&world) == 0 && world_connect(&world, &raw));

    CU_ASSERT(raw_send(&raw, 1, run_message(&run)));
    CU_ASSERT(raw_drain(&raw) != RAW_HANG);
    WORLD_UNTIL(&world, atomic_load(&world.disconnected) == 1);
    CU_ASSERT_EQUAL(atomic_load(&world.cause), CMDS_E_CLOSED);

    raw_close(&raw);
    world_stop(&world);
}

/* --- Invokers --------------------------------------------------------------------------------- */

static void trace(struct cmds_call *call, const char *word)
{
    struct world *world = cmds_call_receiver(call);
    char *text = world->context;
    (void)strcat(text, word);
}

static int invoker_outer(void *receiver, struct cmds_call *call, struct cmds_invocation *next)
{
    (void)receiver;
    trace(call, "[");
    int code = cmds_invocation_next(next, call);
    trace(call, "]");
    return code;
}

static int invoker_inner(void *receiver, struct cmds_call *call, struct cmds_invocation *next)
{
    (void)receiver;
    const struct run *run = run_of(call);
    if (run != NULL && run->what == 1) {
        trace(call, "!");
        return -EACCES;
    }
    trace(call, "(");
    int code = cmds_invocation_next(next, call);
    trace(call, ")");
    return code;
}

static int exec_traced(struct cmds_call *call, const struct run *run)
{
    (void)run;
    trace(call, ".");
    if (cmds_call_round(call) < 2) {
        return CMDS_EXEC_AGAIN;
    }
    return world_send_item(call, (int64_t)cmds_call_round(call), true);
}

static void test_call_passes_invokers_in_order(void)
{
    static const cmds_invoker_fn invokers[] = {invoker_outer, invoker_inner};
    struct world world;
    struct raw raw;
    char text[64] = "";
    uint64_t sequence = 0;
    bool last = false;
    struct run run = {0}, veto = {.what = 1};
    world_init(&world);
    world.exec = exec_traced;
    world.context = text;
    world.options.invokers = invokers;
    world.options.invoker_count = 2;
    CU_ASSERT_FATAL(world_start(&world) == 0 && world_connect(&world, &raw));

    CU_ASSERT(raw_send(&raw, 1, run_message(&run)));
    CU_ASSERT_EQUAL(world_read_item(&raw, &sequence, &last), 2);
    CU_ASSERT(raw_send(&raw, 2, run_message(&veto)));
    CU_ASSERT(raw_drain(&raw) != RAW_HANG); // Refused: it never ran, and the connection is closed.
    raw_close(&raw);
    WORLD_UNTIL(&world, atomic_load(&world.disconnected) == 1);
    CU_ASSERT_EQUAL(atomic_load(&world.cause), -EACCES);
    CU_ASSERT_STRING_EQUAL(text, "[(.)][(.)][(.)][!]"); // Once per round.

    world_stop(&world);
}

static CU_TestInfo tests[] = {
        {"sends many results in order", test_call_sends_many_results_in_order},
        {"send refuses what cannot be sent", test_call_send_refuses_what_cannot_be_sent},
        {"send is bounded", test_call_send_is_bounded},
        {"knows where it is from", test_call_knows_where_it_is_from},
        {"streams to a slow reader in bounded memory",
                test_call_streams_to_a_slow_reader_in_bounded_memory},
        {"interleaves streams", test_call_interleaves_streams},
        {"streams end with their peer", test_call_streams_end_with_their_peer},
        {"failure closes its connection", test_call_failure_closes_its_connection},
        {"failure of others spares the connection",
                test_call_failure_of_others_spares_the_connection},
        {"failure may be answered", test_call_failure_may_be_answered},
        {"may close its connection", test_call_may_close_its_connection},
        {"passes invokers in order", test_call_passes_invokers_in_order},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("call", tests)

/* SPDX-License-Identifier: MIT */
/*
 * Commands with many results: each command gets its own, in order, up to its last; and whatever ends
 * a stream early ends that stream alone, once. One stream by itself is test_group's, a blocking one
 * test_sender's, one to a slow reader test_call's.
 */
#include <errno.h>
#include <string.h>

#include "support/guest.h"

enum {
    WHAT_ITEMS, // So many as it says, a round each.
    WHAT_NOTES, // Notes, which are never the last, and then an item.
    WHAT_FAILS, // So many as it says, and then no last one.
    WHAT_BURST, // So many as it says in one round, each with as much data as burst_data() says.
};
enum {
    BURST_SAME = 5, // So many of a size follow each other.
};

static struct cmds_string burst_data(int64_t index)
{
    static const char text[] = "abcdefghijklmnopqrstuvwxyz";
    return (struct cmds_string){text, (size_t)(index / BURST_SAME) % sizeof(text)};
}

static int exec_burst(struct cmds_call *call, const struct run *run)
{
    int code = 0;
    for (int64_t i = 0; i < run->number && code == 0; i++) {
        struct item item = {i, i + 1 == run->number, burst_data(i)};
        code = cmds_call_send(call, item_message(&item));
    }
    return code;
}

static int exec_many(struct cmds_call *call, const struct run *run)
{
    if (run->what == WHAT_BURST) {
        return exec_burst(call, run);
    }
    int64_t index = (int64_t)cmds_call_round(call);
    bool last = index + 1 >= run->number;
    if (run->what == WHAT_FAILS && index >= run->number) {
        return -EDOM;
    }
    struct note note = {index};
    int code = run->what == WHAT_NOTES && !last
                       ? cmds_call_send(call, note_message(&note))
                       : world_send_item(call, index, last && run->what != WHAT_FAILS);
    if (code < 0) {
        return code;
    }
    return last && run->what != WHAT_FAILS ? 0 : CMDS_EXEC_AGAIN;
}

static void many_start(struct world *world, struct guest *guest)
{
    world_init(world);
    guest_init(guest);
    world->exec = exec_many;
    guest->options.deadline_ms = RAW_GUARD_MS;
    guest_start(guest, world);
}

static void test_multi_result_streams_side_by_side_keep_their_order(void)
{
    enum {
        STREAMS = 5
    };
    struct answers *answers[STREAMS];
    struct world world;
    struct guest guest;
    many_start(&world, &guest);

    for (int i = 0; i < STREAMS; i++) {
        struct run run = {WHAT_ITEMS, 100 * (i + 1), CMDS_STRING("")};
        answers[i] = answers_new();
        CU_ASSERT_EQUAL(
                cmds_group_send(guest.group, run_message(&run), NULL, answers_take, answers[i]), 0);
    }
    CU_ASSERT_EQUAL(cmds_group_drain(guest.group, RAW_GUARD_MS), 0);
    for (uint32_t i = 0; i < STREAMS; i++) {
        uint32_t count = 100 * (i + 1);
        CU_ASSERT_EQUAL_FATAL(atomic_load(&answers[i]->count), count);
        for (uint32_t at = 0; at < count; at++) {
            CU_ASSERT_EQUAL(answers_at(answers[i], at).number, at);
            CU_ASSERT_EQUAL(answers_at(answers[i], at).sequence, i + 1);
            CU_ASSERT_EQUAL(answers_at(answers[i], at).last, at + 1 == count);
        }
        answers_free(answers[i]);
    }
    CU_ASSERT_EQUAL(guest_counters(&guest).results_received, 1500);

    guest_close(&guest, &world);
    world_stop(&world);
}

struct burst {
    uint64_t sequence;
    int64_t next;
    bool wrong;
    struct answers *answers;
};

static void burst_take(void *context, const struct cmds_result *result)
{
    struct burst *burst = context;
    const struct item *item = item_of(result);
    struct cmds_string data = burst_data(burst->next);
    burst->wrong = burst->wrong || item == NULL || item->index != burst->next ||
                   item->data.size != data.size || result->sequence != burst->sequence ||
                   memcmp(item->data.data, data.data, data.size) != 0 || item->last != result->last;
    burst->next++;
    answers_take(burst->answers, result);
}

/* Back to back, with the same header or another one. */
static void test_multi_result_bursts_keep_what_each_result_says(void)
{
    enum {
        BURSTS = 3,
        COUNT = 2000
    };
    struct burst bursts[BURSTS];
    struct world world;
    struct guest guest;
    many_start(&world, &guest);

    for (uint32_t i = 0; i < BURSTS; i++) {
        struct run run = {WHAT_BURST, COUNT, CMDS_STRING("")};
        bursts[i] = (struct burst){.sequence = i + 1, .answers = answers_new()};
        CU_ASSERT_EQUAL(
                cmds_group_send(guest.group, run_message(&run), NULL, burst_take, &bursts[i]), 0);
    }
    CU_ASSERT_EQUAL(cmds_group_drain(guest.group, RAW_GUARD_MS), 0);
    for (uint32_t i = 0; i < BURSTS; i++) {
        CU_ASSERT_FALSE(bursts[i].wrong);
        CU_ASSERT_EQUAL(bursts[i].next, COUNT);
        CU_ASSERT_EQUAL(atomic_load(&bursts[i].answers->last_count), 1);
        answers_free(bursts[i].answers);
    }
    CU_ASSERT_EQUAL(guest_counters(&guest).results_received, BURSTS * COUNT);

    guest_close(&guest, &world);
    world_stop(&world);
}

static void test_multi_result_of_two_types(void)
{
    struct world world;
    struct guest guest;
    many_start(&world, &guest);

    CU_ASSERT_EQUAL(guest_run(&guest, WHAT_NOTES, 4, NULL), 0);
    WORLD_UNTIL(&world, guest_last(&guest) == 1);
    CU_ASSERT_EQUAL_FATAL(atomic_load(&guest.answers->good_count), 4);
    for (uint32_t i = 0; i < 4; i++) {
        struct answer answer = answers_at(guest.answers, i);
        CU_ASSERT_EQUAL(answer.number, i == 3 ? 3 : INT64_MIN); // Those before are notes.
        CU_ASSERT_EQUAL(answer.last, i == 3);
    }

    guest_close(&guest, &world);
    world_stop(&world);
}

static void test_multi_result_forgotten_stream_leaves_the_others(void)
{
    struct cmds_send_options how = CMDS_SEND_OPTIONS_INIT;
    struct cmds_ticket ticket = {0};
    struct world world;
    struct guest guest;
    many_start(&world, &guest);
    how.ticket = &ticket;
    how.deadline_ms = CMDS_NEVER;

    CU_ASSERT_EQUAL(guest_run(&guest, WHAT_ITEMS, INT64_MAX, &how), 0);
    WORLD_UNTIL(&world, atomic_load(&guest.answers->good_count) >= 10);
    CU_ASSERT_EQUAL(cmds_group_forget(guest.group, ticket), 0);
    WORLD_UNTIL(&world, guest_last(&guest) == 1);
    uint32_t good = atomic_load(&guest.answers->good_count);
    CU_ASSERT_EQUAL(atomic_load(&guest.answers->count), good + 1);
    WORLD_UNTIL(&world, atomic_load(&guest.unexpected->count) > 0); // The server goes on.

    struct answers *later = answers_new();
    struct run run = {WHAT_ITEMS, 20, CMDS_STRING("")};
    CU_ASSERT_EQUAL(cmds_group_send(guest.group, run_message(&run), NULL, answers_take, later), 0);
    WORLD_UNTIL(&world, atomic_load(&later->last_count) == 1);
    CU_ASSERT_EQUAL(atomic_load(&later->good_count), 20);
    CU_ASSERT_EQUAL(atomic_load(&guest.answers->good_count), good);

    guest_close(&guest, &world);
    answers_free(later);
    world_stop(&world);
}

static void test_multi_result_stream_without_an_end_is_lost_once(void)
{
    struct world world;
    struct guest guest;
    many_start(&world, &guest);

    /* Its failure closes the connection. */
    CU_ASSERT_EQUAL(guest_run(&guest, WHAT_FAILS, 3, NULL), 0);
    WORLD_UNTIL(&world, guest_last(&guest) == 1);
    WORLD_UNTIL(&world, atomic_load(&guest.down) == 1);
    CU_ASSERT_EQUAL_FATAL(atomic_load(&guest.answers->count), 4);
    for (uint32_t i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(answers_at(guest.answers, i).number, i); // What was answered still came.
        CU_ASSERT_FALSE(answers_at(guest.answers, i).last);
    }
    CU_ASSERT_EQUAL(answers_at(guest.answers, 3).error, CMDS_E_LOST);
    CU_ASSERT_TRUE(answers_at(guest.answers, 3).last);

    guest_close(&guest, &world);
    world_stop(&world);
}

static CU_TestInfo test_multi_result[] = {
        {"streams side by side keep their order",
                test_multi_result_streams_side_by_side_keep_their_order},
        {"bursts keep what each result says", test_multi_result_bursts_keep_what_each_result_says},
        {"of two types", test_multi_result_of_two_types},
        {"forgotten stream leaves the others",
                test_multi_result_forgotten_stream_leaves_the_others},
        {"stream without an end is lost once",
                test_multi_result_stream_without_an_end_is_lost_once},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("multi_result", test_multi_result)

/* SPDX-License-Identifier: MIT */
/*
 * Who is connected, and which calls are stuck. What may go wrong: an entry that is missing, twice, or of
 * a connection that is gone; a young call in place of an old one; a turn that is long because of it; a
 * list that never ends, or that a runtime ends under.
 */
#include <errno.h>
#include <string.h>

#include <cmdstream/inspect.h>

#include "ring/thread.h"
#include "shard/walk.h"
#include "support/sim/hall.h"

enum {
    SEEDS = 5,
    WINDOW = 2,
    LIST = 32,
    CROWD = 3 * CMDI_WALK_PER_TURN + 7,
    LISTERS = 3,
    LATE = 40,
    JOB_MS = 100,
};

static void run_all(struct hall *hall, void (*script)(struct hall *hall))
{
    for (uint64_t seed = 1; seed <= CMDI_SEEDS(SEEDS); seed++) {
        struct hall mine = *hall;
        mine.options.receiver = &mine;
        hall_run(&mine, seed, script);
    }
}

static size_t list_connections(struct hall *hall, struct cmds_listed_connection *list, size_t max)
{
    size_t count = SIZE_MAX;
    memset(list, 0xee, max * sizeof(*list));
    list[0].struct_size = sizeof(*list);
    CU_ASSERT_EQUAL(cmds_runtime_connections(hall->runtime, list, max, &count), 0);
    return count;
}

static size_t list_calls(struct hall *hall, struct cmds_listed_call *list, size_t max)
{
    size_t count = SIZE_MAX;
    memset(list, 0xee, max * sizeof(*list));
    list[0].struct_size = sizeof(*list);
    CU_ASSERT_EQUAL(cmds_runtime_calls(hall->runtime, list, max, &count), 0);
    return count;
}

/* --- Connections ------------------------------------------------------------------------------ */

static void script_connections(struct hall *hall)
{
    struct cmds_listed_connection list[LIST];
    struct guest guests[3];
    CU_ASSERT_EQUAL(list_connections(hall, list, LIST), 0);
    for (uint32_t i = 0; i < 3; i++) {
        guest_enter(&guests[i]);
        cmds_sim_sleep_ms(100);
    }
    (void)guest_send(&guests[1], &act_type, 7);
    HALL_UNTIL(hall->acts == 1);
    cmds_sim_sleep_ms(50);

    CU_ASSERT_EQUAL_FATAL(list_connections(hall, list, LIST), 3);
    for (uint32_t i = 0; i < 3; i++) {
        const struct cmds_listed_connection *row = &list[i];
        uint64_t age_ms = 100 * (3 - i) + 50;
        CU_ASSERT(row->struct_size == sizeof(*row) && row->shard == 0 && row->tls_version == 0);
        CU_ASSERT(row->side == CMDS_SIDE_SERVER && row->stage == CMDS_STAGE_OPEN);
        CU_ASSERT(row->age_ms >= age_ms && row->age_ms < age_ms + 10);
        CU_ASSERT(row->idle_ms >= 50 && row->idle_ms <= row->age_ms);
        CU_ASSERT_EQUAL(row->in_flight, i == 1);
        CU_ASSERT_EQUAL(row->recv_bytes > 0, i == 1);
        CU_ASSERT(row->send_bytes > 0 && row->queued_bytes == 0 && row->pauses == 0);
        CU_ASSERT(strncmp(row->peer, "127.0.0.1:", 10) == 0 && strcmp(row->name, "hall") == 0);
        CU_ASSERT(i == 0 || row->id > list[i - 1].id);
    }
    CU_ASSERT(list[1].idle_ms < list[2].idle_ms);

    guest_close(&guests[0]);
    HALL_UNTIL(hall->disconnects == 1);
    CU_ASSERT_EQUAL(list_connections(hall, list, LIST), 2);
    guest_close(&guests[1]);
    guest_close(&guests[2]);
}

static void test_sim_inspect_lists_connections(void)
{
    struct hall hall;
    hall_init(&hall);
    hall.options.name = "hall";
    hall.act = hall_act_keep;

    run_all(&hall, script_connections);
}

/* A peer that has as many calls as it may, and one that reads nothing. */
static void script_pauses(struct hall *hall)
{
    struct cmds_listed_connection list[LIST];
    struct guest full;
    guest_enter(&full);
    for (uint32_t i = 0; i < WINDOW + 1; i++) {
        (void)guest_send(&full, &act_type, i);
    }
    HALL_UNTIL(hall_stats(hall).read_pauses == 1);

    CU_ASSERT_EQUAL_FATAL(list_connections(hall, list, LIST), 1);
    CU_ASSERT_EQUAL(list[0].pauses, CMDS_PAUSE_CALLS);
    CU_ASSERT_EQUAL(list[0].in_flight, WINDOW);

    guest_finish(&full);
    CU_ASSERT_EQUAL(hall_answer_kept(hall, 1), 0);
    HALL_UNTIL(hall->kept_count == WINDOW);
    hall_pause_us(1000 * HALL_SETTLE_MS);
    CU_ASSERT_EQUAL_FATAL(list_connections(hall, list, LIST), 1);
    CU_ASSERT_EQUAL(list[0].pauses, CMDS_PAUSE_END);
    hall_forget(hall);
    guest_close(&full);
}

static void test_sim_inspect_says_why_nothing_is_read(void)
{
    struct hall hall;
    hall_init(&hall);
    hall.act = hall_act_keep;
    hall.options.in_flight_max = WINDOW;

    run_all(&hall, script_pauses);
}

static void count_result(void *context, const struct cmds_result *result)
{
    (void)result;
    ++*(_Atomic uint32_t *)context;
}

/* Both ends are in this runtime. */
static void script_group(struct hall *hall)
{
    struct cmds_listed_connection list[LIST];
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(hall->options.protocol);
    struct cmds_group *group = NULL;
    struct act act = {1};
    _Atomic uint32_t results = 0;
    options.connect = "127.0.0.1:9000";
    options.client_count = 2;
    options.name = "guests";
    options.keepalive_ms = CMDS_NEVER;
    CU_ASSERT_EQUAL_FATAL(cmds_group_open(&group, hall->runtime, &options, NULL), 0);
    CU_ASSERT_EQUAL(cmds_group_wait(group, 1000, NULL), 0);
    CU_ASSERT_EQUAL(cmds_group_send(group, act_message(&act), NULL, count_result, &results), 0);
    HALL_UNTIL(hall->acts == 1);
    CU_ASSERT_EQUAL(cmds_group_pause(group, 1), 0);
    hall_pause_us(1000);

    CU_ASSERT_EQUAL_FATAL(list_connections(hall, list, LIST), 4);
    uint32_t seen[2] = {0}, in_flight[2] = {0}, paused = 0;
    for (uint32_t i = 0; i < 4; i++) {
        bool is_group = list[i].side == CMDS_SIDE_GROUP;
        CU_ASSERT(list[i].stage == CMDS_STAGE_OPEN && list[i].side <= CMDS_SIDE_GROUP);
        CU_ASSERT(!is_group || (list[i].id < 2 && strcmp(list[i].peer, "127.0.0.1:9000") == 0));
        CU_ASSERT_EQUAL(strcmp(list[i].name, is_group ? "guests" : ""), 0);
        seen[is_group]++;
        in_flight[is_group] += list[i].in_flight;
        paused += is_group && list[i].id == 1 ? list[i].pauses == CMDS_PAUSE_PROGRAM
                                              : 2u * (list[i].pauses != 0);
    }
    CU_ASSERT(seen[0] == 2 && seen[1] == 2 && in_flight[0] == 1 && in_flight[1] == 1);
    CU_ASSERT_EQUAL(paused, 1);
    CU_ASSERT_EQUAL(hall_answer_kept(hall, 1), 0);
    CU_ASSERT_EQUAL(cmds_group_resume(group, 1), 0);
    HALL_UNTIL(results == 1);
    cmds_group_close(group, NULL, NULL);
}

static void test_sim_inspect_lists_the_connections_of_groups(void)
{
    struct hall hall;
    hall_init(&hall);
    hall.act = hall_act_keep;

    run_all(&hall, script_group);
}

/* --- Calls ------------------------------------------------------------------------------------ */

static void script_calls(struct hall *hall)
{
    struct cmds_listed_call list[LIST];
    struct guest guests[2];
    CU_ASSERT_EQUAL(list_calls(hall, list, LIST), 0);
    guest_enter(&guests[0]);
    guest_enter(&guests[1]);
    for (uint32_t i = 0; i < 6; i++) { // The two shards in turns.
        (void)guest_send(&guests[i % 2], &act_type, i);
        HALL_UNTIL(hall->acts == i + 1);
        cmds_sim_sleep_ms(10);
    }
    struct line part = {.number = 1, .text = CMDS_STRING("part")};
    CU_ASSERT_EQUAL(cmds_call_send(hall->kept[2], line_message(&part)), 0);
    CU_ASSERT_EQUAL(cmds_call_send(hall->kept[2], line_message(&part)), 0);

    CU_ASSERT_EQUAL_FATAL(list_calls(hall, list, LIST), 6);
    for (uint32_t i = 0; i < 6; i++) {
        CU_ASSERT_EQUAL(list[i].received_ns, cmds_call_received_ns(hall->kept[i]));
        CU_ASSERT_EQUAL(list[i].sequence, i / 2 + 1);
        CU_ASSERT_EQUAL(
                list[i].connection, cmds_connection_id(cmds_call_connection(hall->kept[i])));
        CU_ASSERT_EQUAL(list[i].results, i == 2 ? 2 : 0);
        CU_ASSERT(list[i].age_us >= 10000 * (6 - i) && list[i].age_us < 10000 * (6 - i) + 10000);
        CU_ASSERT(list[i].stage == CMDS_CALL_KEPT && list[i].round == 0);
        CU_ASSERT(!list[i].finished && !list[i].cancelled);
        CU_ASSERT_EQUAL(strcmp(list[i].type, "act"), 0);
        CU_ASSERT(strncmp(list[i].peer, "127.0.0.1:", 10) == 0 && list[i].name[0] == '\0');
    }
    CU_ASSERT(list[0].shard != list[1].shard && list[0].shard == list[2].shard);
    for (size_t max = 1; max < 6; max++) { // The oldest, on whichever shard.
        CU_ASSERT_EQUAL(list_calls(hall, list, max), 6);
        for (size_t i = 0; i < max; i++) {
            CU_ASSERT_EQUAL(list[i].received_ns, cmds_call_received_ns(hall->kept[i]));
        }
    }

    guest_close(&guests[0]); // Its calls are still kept: that is what is to be seen.
    HALL_UNTIL(hall->disconnects == 1);
    CU_ASSERT_EQUAL_FATAL(list_calls(hall, list, LIST), 6);
    for (uint32_t i = 0; i < 6; i++) {
        CU_ASSERT_EQUAL(list[i].cancelled, i % 2 == 0);
    }
    hall_forget(hall);
    HALL_UNTIL(list_calls(hall, list, LIST) == 0);
    guest_close(&guests[1]);
}

static void test_sim_inspect_lists_the_oldest_calls_first(void)
{
    struct hall hall;
    hall_init(&hall);
    hall.act = hall_act_keep;
    hall.runtime_options.shard_count = 2;

    run_all(&hall, script_calls);
}

static int act_again(struct cmds_call *call, const struct act *act)
{
    struct hall *hall = cmds_call_receiver(call);
    return hall->cancels > 0 ? hall_answer(call, act->number) : CMDS_EXEC_AGAIN;
}

static int work_long(struct cmds_call *call, const struct work *work)
{
    cmds_sim_sleep_ms(JOB_MS);
    return hall_answer(call, work->number);
}

static void script_stages(struct hall *hall)
{
    struct cmds_listed_call list[LIST];
    struct guest guest;
    guest_enter(&guest);
    (void)guest_send(&guest, &work_type, 1);
    HALL_UNTIL(hall->works == 1);
    (void)guest_send(&guest, &act_type, 2);
    HALL_UNTIL(hall->acts >= 2);

    CU_ASSERT_EQUAL_FATAL(list_calls(hall, list, LIST), 2);
    CU_ASSERT(list[0].stage == CMDS_CALL_POOL && strcmp(list[0].type, "work") == 0);
    CU_ASSERT(list[1].stage == CMDS_CALL_AGAIN && strcmp(list[1].type, "act") == 0);
    CU_ASSERT(list[0].round == 0 && list[1].round > 0);
    hall->cancels = 1;
    CU_ASSERT_TRUE(guest_expects(&guest, 2, JOB_MS));
    CU_ASSERT_TRUE(guest_expects(&guest, 1, 2 * JOB_MS));
    HALL_UNTIL(list_calls(hall, list, LIST) == 0);
    guest_close(&guest);
}

static void test_sim_inspect_says_what_a_call_waits_for(void)
{
    struct hall hall;
    hall_init(&hall);
    hall.act = act_again;
    hall.work = work_long;

    run_all(&hall, script_stages);
}

/* A call that is kept when its server ends is its keeper's alone. */
static void script_orphan(struct hall *hall)
{
    struct cmds_listed_call list[LIST];
    struct guest guest;
    guest_enter(&guest);
    (void)guest_send(&guest, &act_type, 1);
    HALL_UNTIL(hall->acts == 1);
    CU_ASSERT_EQUAL(list_calls(hall, list, LIST), 1);

    cmds_server_close(hall->server);
    hall->server = NULL;
    CU_ASSERT_EQUAL(list_calls(hall, list, LIST), 0);
    hall_forget(hall);
    CU_ASSERT_EQUAL(list_calls(hall, list, LIST), 0);
    guest_close(&guest);
}

static void test_sim_inspect_knows_no_call_of_a_closed_server(void)
{
    struct hall hall;
    hall_init(&hall);
    hall.act = hall_act_keep;

    run_all(&hall, script_orphan);
}

/* --- Many, while they come and go --------------------------------------------------------------- */

struct turns {
    struct cmdi_walk walk;
    uint64_t turn;
    uint32_t in_turn, turns, most;
};

static void turns_visit(struct cmdi_walk *walk, struct cmdi_shard *shard, struct cmdi_list *node)
{
    struct turns *turns = CMDI_CONTAINER(walk, struct turns, walk);
    (void)node;
    bool is_new = turns->turns == 0 || shard->counters.turns != turns->turn;
    turns->turn = shard->counters.turns;
    turns->turns += is_new;
    turns->in_turn = is_new ? 1 : turns->in_turn + 1;
    turns->most = turns->in_turn > turns->most ? turns->in_turn : turns->most;
}

static struct guest crowd[CROWD];

static void script_turns(struct hall *hall)
{
    struct turns turns = {.walk = {.kind = CMDI_WALK_CONNS, .visit = turns_visit}};
    for (uint32_t i = 0; i < CROWD; i++) {
        guest_enter(&crowd[i]);
    }

    CU_ASSERT_EQUAL(cmdi_runtime_walk(hall->runtime, &turns.walk), 0);
    CU_ASSERT(turns.walk.count == CROWD && turns.turns == 4);
    CU_ASSERT_EQUAL(turns.most, CMDI_WALK_PER_TURN);
    for (uint32_t i = 0; i < CROWD; i++) {
        guest_close(&crowd[i]);
    }
}

static void test_sim_inspect_shows_some_in_a_turn(void)
{
    struct hall hall;
    hall_init(&hall);

    hall_run(&hall, 1, script_turns);
}

struct lister {
    struct hall *hall;
    struct cmds_listed_connection list[CROWD];
    _Atomic uint32_t *stop;
    uint32_t lists;
};
static struct lister listers[LISTERS];

static void lister_check(const struct lister *lister, size_t count)
{
    CU_ASSERT(count <= CROWD);
    for (size_t i = 1; i < count && i < CROWD; i++) { // One shard: in the order of their numbers.
        CU_ASSERT(lister->list[i].id > lister->list[i - 1].id);
        CU_ASSERT(lister->list[i].stage <= CMDS_STAGE_CLOSING);
    }
}

static void *lister_main(void *context)
{
    struct lister *lister = context;
    while (*lister->stop == 0) {
        lister_check(lister, list_connections(lister->hall, lister->list, CROWD));
        lister->lists++;
        hall_pause_us(50);
    }
    return NULL;
}

/* The first, the last, and one of each part go while they are listed; then the server. */
static void script_churn(struct hall *hall)
{
    _Atomic uint32_t stop = 0;
    pthread_t threads[LISTERS];
    for (uint32_t i = 0; i < CROWD; i++) {
        guest_enter(&crowd[i]);
    }
    for (uint32_t i = 0; i < LISTERS; i++) {
        listers[i] = (struct lister){.hall = hall, .stop = &stop};
        threads[i] = hall_thread(lister_main, &listers[i]);
    }
    for (uint32_t i = 0; i < CROWD; i++) {
        uint32_t victim = i % 2 == 0 ? i / 2 : CROWD - 1 - i / 2;
        guest_close(&crowd[victim]);
        if (i % 5 == 0) {
            hall_pause_us(30);
        }
    }
    cmds_server_close(hall->server);
    hall->server = NULL;
    hall_pause_us(2000);
    stop = 1;
    for (uint32_t i = 0; i < LISTERS; i++) {
        (void)pthread_join(threads[i], NULL);
        CU_ASSERT(listers[i].lists > 1);
    }
    CU_ASSERT_EQUAL(list_connections(hall, listers[0].list, CROWD), 0);
}

static void test_sim_inspect_bears_that_they_come_and_go(void)
{
    struct hall hall;
    hall_init(&hall);

    run_all(&hall, script_churn);
}

struct late {
    struct hall *hall;
    uint32_t counted;
};

static void *late_main(void *context)
{
    struct late *late = context;
    size_t count = 0;
    late->counted = cmds_runtime_connections(late->hall->runtime, NULL, 0, &count) == 0;
    return NULL;
}

/* So many list, one after the other, that most are still to come when only they are left. */
static void script_late(struct hall *hall)
{
    struct late lates[LATE];
    pthread_t threads[LATE];
    for (uint32_t i = 0; i < CMDI_WALK_PER_TURN; i++) {
        guest_enter(&crowd[i]);
    }
    atomic_store(&hall->runtime->walking, 1); // Until all of them have begun.
    for (uint32_t i = 0; i < LATE; i++) {
        lates[i] = (struct late){.hall = hall};
        threads[i] = hall_thread(late_main, &lates[i]);
    }
    HALL_UNTIL(atomic_load(&hall->runtime->walks) == LATE);
    atomic_store(&hall->runtime->walking, 0);
    cmdi_futex_wake(&hall->runtime->walking, 1);
    hall->server = NULL;
    cmds_runtime_stop(hall->runtime);

    uint32_t counted = 0;
    for (uint32_t i = 0; i < LATE; i++) {
        (void)pthread_join(threads[i], NULL);
        counted += lates[i].counted;
    }
    CU_ASSERT_EQUAL(counted, LATE);
    for (uint32_t i = 0; i < CMDI_WALK_PER_TURN; i++) {
        guest_close(&crowd[i]);
    }
    CU_ASSERT_EQUAL(cmds_runtime_start(&hall->runtime, &hall->runtime_options, NULL), 0);
}

static void test_sim_inspect_is_waited_for_by_the_end_of_the_runtime(void)
{
    struct hall hall;
    hall_init(&hall);

    run_all(&hall, script_late);
}

/* --- Misuse ----------------------------------------------------------------------------------- */

struct probe {
    struct hall *hall;
    _Atomic uint32_t is_over;
    int connections, calls;
};

static void probe_ask(void *context)
{
    struct probe *probe = context;
    size_t count = 77;
    probe->connections = cmds_runtime_connections(probe->hall->runtime, NULL, 0, &count);
    probe->calls = cmds_runtime_calls(probe->hall->runtime, NULL, 0, &count);
    CU_ASSERT_EQUAL(count, 77);
    probe->is_over = 1;
}

static void script_misuse(struct hall *hall)
{
    struct probe probe = {.hall = hall};
    struct cmds_listed_connection row = {.struct_size = 0};
    struct cmds_listed_call call = {.struct_size = offsetof(struct cmds_listed_call, round)};
    size_t count = 77;
    CU_ASSERT_EQUAL(cmds_runtime_connections(hall->runtime, &row, 1, &count), -EINVAL);
    CU_ASSERT_EQUAL(cmds_runtime_connections(hall->runtime, NULL, 1, &count), -EINVAL);
    CU_ASSERT_EQUAL(cmds_runtime_connections(hall->runtime, &row, 0, NULL), -EINVAL);
    row.struct_size = 12; // The next one would lie askew.
    CU_ASSERT_EQUAL(cmds_runtime_connections(hall->runtime, &row, 1, &count), -EINVAL);
    call.struct_size = offsetof(struct cmds_listed_call, received_ns);
    CU_ASSERT_EQUAL(cmds_runtime_calls(hall->runtime, &call, 1, &count), -EINVAL);
    CU_ASSERT_EQUAL(count, 77);

    CU_ASSERT_EQUAL(cmds_runtime_post(hall->runtime, 0, probe_ask, &probe), 0);
    HALL_UNTIL(probe.is_over == 1);
    CU_ASSERT(probe.connections == -EDEADLK && probe.calls == -EDEADLK);
}

static void test_sim_inspect_refuses_misuse(void)
{
    struct hall hall;
    hall_init(&hall);

    hall_run(&hall, 1, script_misuse);
}

/* A program of an older version has shorter rows: nothing else is written. */
static void script_short(struct hall *hall)
{
    enum {
        SHORT = offsetof(struct cmds_listed_call, results),
        ROOM = 4
    };
    struct guest guest;
    uint64_t rows[ROOM * SHORT / sizeof(uint64_t)];
    size_t count = 0;
    guest_enter(&guest);
    for (uint32_t i = 0; i < 2; i++) {
        (void)guest_send(&guest, &act_type, i);
    }
    HALL_UNTIL(hall->acts == 2);
    memset(rows, 0xee, sizeof(rows));
    memcpy(rows, &(uint32_t){SHORT}, sizeof(uint32_t));

    CU_ASSERT_EQUAL(cmds_runtime_calls(hall->runtime, (void *)rows, ROOM, &count), 0);
    CU_ASSERT_EQUAL(count, 2);
    for (uint32_t i = 0; i < ROOM; i++) {
        struct cmds_listed_call row = {.struct_size = 0};
        memcpy(&row, (char *)rows + (size_t)i * SHORT, SHORT);
        CU_ASSERT_EQUAL(row.struct_size, i < 2 ? SHORT : 0xeeeeeeee);
        CU_ASSERT_EQUAL(row.sequence, i < 2 ? i + 1 : UINT64_C(0xeeeeeeeeeeeeeeee));
    }
    hall_forget(hall);
    guest_close(&guest);
}

static void test_sim_inspect_fills_rows_of_any_version(void)
{
    struct hall hall;
    hall_init(&hall);
    hall.act = hall_act_keep;

    hall_run(&hall, 1, script_short);
}

CU_TestInfo test_sim_inspect[] = {
        {"lists connections", test_sim_inspect_lists_connections},
        {"says why nothing is read", test_sim_inspect_says_why_nothing_is_read},
        {"lists the connections of groups", test_sim_inspect_lists_the_connections_of_groups},
        {"lists the oldest calls first", test_sim_inspect_lists_the_oldest_calls_first},
        {"says what a call waits for", test_sim_inspect_says_what_a_call_waits_for},
        {"knows no call of a closed server", test_sim_inspect_knows_no_call_of_a_closed_server},
        {"shows some in a turn", test_sim_inspect_shows_some_in_a_turn},
        {"bears that they come and go", test_sim_inspect_bears_that_they_come_and_go},
        {"is waited for by the end of the runtime",
                test_sim_inspect_is_waited_for_by_the_end_of_the_runtime},
        {"refuses misuse", test_sim_inspect_refuses_misuse},
        {"fills rows of any version", test_sim_inspect_fills_rows_of_any_version},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("sim_inspect", test_sim_inspect)

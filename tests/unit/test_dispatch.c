/* SPDX-License-Identifier: MIT */
/*
 * Dispatch as values: each connection that takes commands gets its share, a strategy sees what it
 * needs and cannot break out of the list, an index means the same connection whatever becomes of
 * the others, and the counts of a group shard follow the states of its clients.
 */
#include "group/dispatch.h"

#include <errno.h>

#include "group/group_shard.h"
#include "group/send.h"
#include "support/harness.h"

enum {
    COUNT = 5,
    WINDOW = 50,
};
static struct cmdi_shard shard;
static const struct cmdi_client_config config = {.in_flight_max = WINDOW};
static struct cmdi_client clients[COUNT];
static struct cmdi_client *list[COUNT];
static struct cmds_group group;
static struct cmdi_group_shard group_shard;

static void state_set(uint32_t number, enum cmdi_client_state state)
{
    atomic_store(&clients[number].state, (uint32_t)state);
    cmdi_group_shard_recount(&group_shard, &clients[number]);
}

/* All are connecting. */
static void setup(void)
{
    memset(&group, 0, sizeof(group));
    memset(&group_shard, 0, sizeof(group_shard));
    memset(clients, 0, sizeof(clients));
    for (uint32_t i = 0; i < COUNT; i++) {
        clients[i].number = i;
        list[i] = &clients[i];
    }
    group_shard.group = &group;
    group_shard.client_shard.shard = &shard;
    group_shard.client_shard.config = &config;
    group_shard.list = list;
    group_shard.client_count = COUNT;
    group_shard.connecting_count = COUNT;
    atomic_store(&group.connecting_count, COUNT);
}

static uint32_t pick_of(const struct cmdi_picker *picker, uint64_t key, uint32_t count, bool any_up)
{
    const struct cmdi_dispatch_list of = {
            .clients = list, .count = count, .in_flight_max = WINDOW, .any_up = any_up};
    return cmdi_picker_pick(picker, key, &of);
}

static uint32_t pick(const struct cmdi_picker *picker, uint64_t key, bool any_up)
{
    return pick_of(picker, key, COUNT, any_up);
}

/* --- Round-robin ------------------------------------------------------------------------------ */

static void test_dispatch_round_robin_is_fair_to_those_that_are_up(void)
{
    for (uint32_t down = 0; down < 1u << COUNT; down++) {
        struct cmdi_picker picker = {NULL, NULL, NULL};
        uint32_t picks[COUNT] = {0};
        uint32_t up_count = 0;
        setup();
        for (uint32_t i = 0; i < COUNT; i++) {
            bool is_down = (down >> i & 1) != 0;
            state_set(i, is_down ? CMDI_CLIENT_DOWN : CMDI_CLIENT_UP);
            up_count += !is_down;
        }
        CU_ASSERT_EQUAL(cmdi_picker_init(&picker, &cmds_dispatch_round_robin, COUNT, NULL), 0);
        for (uint32_t i = 0; i < 60; i++) {
            uint32_t index = pick(&picker, 0, up_count > 0);
            picks[index % COUNT]++;
            CU_ASSERT_TRUE(index < COUNT);
        }
        for (uint32_t i = 0; i < COUNT && up_count > 0; i++) {
            CU_ASSERT_EQUAL(picks[i], (down >> i & 1) != 0 ? 0 : 60 / up_count);
        }
        cmdi_picker_fini(&picker);
    }
}

/* A group shard does not ask the table. Whatever the states, it does what the table would. */
static void test_dispatch_short_way_of_round_robin_is_the_table(void)
{
    static const enum cmdi_client_state states[] = {
            CMDI_CLIENT_CONNECT, CMDI_CLIENT_UP, CMDI_CLIENT_DOWN};
    struct cmdi_picker picker = {NULL, NULL, NULL};
    setup();
    CU_ASSERT_EQUAL(cmdi_picker_init(&picker, &cmds_dispatch_round_robin, COUNT, NULL), 0);
    CU_ASSERT_EQUAL(
            cmdi_picker_init(&group_shard.picker, &cmds_dispatch_round_robin, COUNT, NULL), 0);
    group_shard.takes_turns = true;
    for (uint32_t courses = 0; courses < 3 * 3 * 3 * 3 * 3; courses++) {
        for (uint32_t i = 0, left = courses; i < COUNT; i++, left /= 3) {
            state_set(i, states[left % 3]);
        }
        for (uint32_t i = 0; i < 7; i++) {
            uint32_t index = pick(&picker, 0, group_shard.up_count > 0);
            CU_ASSERT_EQUAL(cmdi_group_shard_pick(&group_shard, 0), index);
        }
    }
    cmdi_picker_fini(&picker);
    cmdi_picker_fini(&group_shard.picker);
}

/* --- The other strategies of the library ------------------------------------------------------ */

static uint64_t chance;

static uint32_t roll(uint32_t below)
{
    chance = chance * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)((chance >> 33) % below);
}

static void shake(void)
{
    static const enum cmdi_client_state states[] = {
            CMDI_CLIENT_CONNECT, CMDI_CLIENT_UP, CMDI_CLIENT_UP, CMDI_CLIENT_DOWN};
    for (uint32_t i = 0; i < COUNT; i++) {
        state_set(i, states[roll(4)]);
        atomic_store(&clients[i].in_flight, roll(2) != 0 ? roll(WINDOW + 5) : roll(4));
        atomic_store(&clients[i].latency.ewma_us, roll(3) * roll(400));
    }
    shard.now_ms += roll(5000);
}

/* A group shard asks none of them by its table. Whatever it sees, it picks what the table would. */
static void strategy_is_its_table(const struct cmds_dispatch *dispatch)
{
    struct cmdi_strategy by_table, mine;
    struct cmdi_picker *picker = &group_shard.picker;
    setup();
    chance = 3;
    CU_ASSERT_EQUAL(cmdi_picker_init(picker, dispatch, COUNT, NULL), 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(picker->short_pick);
    ((struct cmdi_strategy *)picker->state)->random = 1;
    for (uint32_t i = 0; i < 20000; i++) {
        uint64_t key = roll(2) != 0 ? roll(100) : 0;
        struct cmdi_picker table = {dispatch, &by_table, NULL};
        shake();
        memcpy(&by_table, picker->state, sizeof(by_table));
        struct cmdi_dispatch_list of = {.clients = list,
                .count = COUNT,
                .in_flight_max = WINDOW,
                .now_ms = shard.now_ms,
                .any_up = group_shard.up_count > 0};
        uint32_t index = cmdi_group_shard_pick(&group_shard, key);
        CU_ASSERT_EQUAL(cmdi_picker_pick(&table, key, &of), index);
        memcpy(&mine, picker->state, sizeof(mine));
        CU_ASSERT_EQUAL(memcmp(&mine, &by_table, sizeof(mine)), 0);
    }
    cmdi_picker_fini(picker);
}

static void test_dispatch_short_way_of_the_others_is_their_table(void)
{
    strategy_is_its_table(&cmds_dispatch_least);
    strategy_is_its_table(&cmds_dispatch_p2c);
    strategy_is_its_table(&cmds_dispatch_sticky);
}

/* --- A strategy of the user's ----------------------------------------------------------------- */

static uint32_t pick_least(const struct cmds_dispatch *self, void *state, uint64_t key,
        uint32_t count, cmds_candidate_fn candidate, const void *source)
{
    (void)self;
    CU_ASSERT_PTR_NULL(state); // It asked for none.
    if (key == 77) {
        return UINT32_MAX; // A broken strategy.
    }
    uint32_t best = 0;
    uint32_t least = UINT32_MAX;
    for (uint32_t i = 0; i < count; i++) {
        CU_ASSERT_EQUAL(candidate(source, i + count)->client, i); // Stays inside the list.
        const struct cmds_candidate *one = candidate(source, i);
        CU_ASSERT_EQUAL(one->struct_size, sizeof(*one));
        CU_ASSERT_EQUAL(one->client, i);
        CU_ASSERT_EQUAL(one->weight, CMDS_WEIGHT);
        CU_ASSERT_EQUAL((one->flags & CMDS_CANDIDATE_FULL) != 0,
                (one->flags & CMDS_CANDIDATE_DOWN) == 0 && one->in_flight >= WINDOW);
        if ((one->flags & CMDS_CANDIDATE_DOWN) == 0 && one->in_flight < least) {
            least = one->in_flight;
            best = i;
        }
    }
    return best;
}

static void test_dispatch_custom_strategy_sees_the_load(void)
{
    struct cmds_dispatch least = {.struct_size = sizeof(least),
            .version = CMDS_DISPATCH_VERSION,
            .name = "least",
            .pick = pick_least};
    struct cmdi_picker picker = {NULL, NULL, NULL};
    struct cmds_error error = CMDS_ERROR_INIT;
    setup();
    for (uint32_t i = 0; i < COUNT; i++) {
        atomic_store(&clients[i].in_flight, 10 - i);
    }
    atomic_store(&clients[4].queued, 100);

    CU_ASSERT_EQUAL(cmdi_dispatch_check(&least, NULL), 0);
    CU_ASSERT_EQUAL(cmdi_picker_init(&picker, &least, COUNT, NULL), 0);
    CU_ASSERT_EQUAL(pick(&picker, 0, false), 3); // All are connecting.
    state_set(3, CMDI_CLIENT_DOWN);
    CU_ASSERT_EQUAL(pick(&picker, 0, false), 2);
    state_set(0, CMDI_CLIENT_UP); // Those that are connecting are down to it now.
    CU_ASSERT_EQUAL(pick(&picker, 0, true), 0);
    CU_ASSERT_TRUE(pick(&picker, 77, true) < COUNT);
    cmdi_picker_fini(&picker);

    least.version = 9;
    CU_ASSERT_EQUAL(cmdi_dispatch_check(&least, &error), -EINVAL);
    CU_ASSERT_TRUE(strstr(error.text, "dispatch") != NULL);
}

static uint32_t pick_by_key(const struct cmds_dispatch *self, void *state, uint64_t key,
        uint32_t count, cmds_candidate_fn candidate, const void *source)
{
    (void)self, (void)state, (void)candidate, (void)source;
    return (uint32_t)(key % count);
}

static void test_dispatch_index_means_the_same_connection_whatever_comes(void)
{
    static const struct cmds_dispatch by_key = {.struct_size = sizeof(by_key),
            .version = CMDS_DISPATCH_VERSION,
            .name = "by key",
            .pick = pick_by_key};
    setup();
    CU_ASSERT_EQUAL(cmdi_picker_init(&group_shard.picker, &by_key, COUNT, NULL), 0);
    for (uint32_t down = 0; down < 1u << COUNT; down++) {
        for (uint32_t i = 0; i < COUNT; i++) {
            state_set(i, (down >> i & 1) != 0 ? CMDI_CLIENT_DOWN : CMDI_CLIENT_UP);
        }
        for (uint32_t key = 0; key < COUNT; key++) {
            uint32_t index = cmdi_group_shard_pick(&group_shard, key);
            CU_ASSERT_EQUAL(group_shard.list[index]->number, key);
        }
    }
    cmdi_picker_fini(&group_shard.picker);
}

static uint32_t view_count;

static void view_counted(const void *from, struct cmdi_dispatch_list *of)
{
    CU_ASSERT_PTR_EQUAL(from, &group_shard);
    *of = (struct cmdi_dispatch_list){.clients = list, .count = COUNT, .in_flight_max = WINDOW};
    view_count++;
}

static void test_dispatch_list_is_made_once_for_who_looks_at_it(void)
{
    struct cmds_dispatch dispatch = {.struct_size = sizeof(dispatch),
            .version = CMDS_DISPATCH_VERSION,
            .name = "any",
            .pick = pick_by_key};
    struct cmdi_picker picker = {NULL, NULL, NULL};
    setup();
    state_set(0, CMDI_CLIENT_DOWN);
    view_count = 0;
    CU_ASSERT_EQUAL(cmdi_picker_init(&picker, &dispatch, COUNT, NULL), 0);
    CU_ASSERT_EQUAL(
            cmdi_picker_pick_unseen(&picker, 8, COUNT, view_counted, &group_shard), 8 % COUNT);
    CU_ASSERT_EQUAL(view_count, 0); // By the key alone.
    dispatch.pick = pick_least;
    CU_ASSERT_EQUAL(cmdi_picker_pick_unseen(&picker, 0, COUNT, view_counted, &group_shard), 1);
    CU_ASSERT_EQUAL(view_count, 1);
    CU_ASSERT_TRUE(cmdi_picker_pick_unseen(&picker, 77, COUNT, view_counted, &group_shard) < COUNT);
    CU_ASSERT_EQUAL(view_count, 1);
    cmdi_picker_fini(&picker);

    dispatch.pick = pick_by_key;
    CU_ASSERT_EQUAL(cmdi_picker_init(&group_shard.picker, &dispatch, COUNT, NULL), 0);
    group_shard.client_shard.config = NULL; // A list that is made would read it.
    CU_ASSERT_EQUAL(cmdi_group_shard_pick(&group_shard, 8), 8 % COUNT);
    group_shard.client_shard.config = &config;
    cmdi_picker_fini(&group_shard.picker);

    dispatch.pick = pick_least;
    CU_ASSERT_EQUAL(cmdi_picker_init(&group_shard.picker, &dispatch, COUNT, NULL), 0);
    state_set(4, CMDI_CLIENT_UP);
    // Those that are connecting are down to it.
    CU_ASSERT_EQUAL(cmdi_group_shard_pick(&group_shard, 0), 4);
    cmdi_picker_fini(&group_shard.picker);
}

/* --- State ------------------------------------------------------------------------------------ */

struct kept {
    uint32_t count, picks, inits;
};
static uint32_t fini_count, fini_picks;
static int init_code;

static int kept_init(const struct cmds_dispatch *self, void *state, uint32_t count)
{
    struct kept *kept = state;
    CU_ASSERT_EQUAL((uintptr_t)state % 64, 0);
    CU_ASSERT_EQUAL(kept->count + kept->picks + kept->inits, 0);
    CU_ASSERT_EQUAL(self->state_size, sizeof(*kept));
    kept->count = count;
    kept->inits++;
    return init_code;
}

static void kept_fini(const struct cmds_dispatch *self, void *state)
{
    const struct kept *kept = state;
    (void)self;
    CU_ASSERT_EQUAL(kept->inits, 1);
    fini_count++;
    fini_picks += kept->picks;
}

static uint32_t kept_pick(const struct cmds_dispatch *self, void *state, uint64_t key,
        uint32_t count, cmds_candidate_fn candidate, const void *source)
{
    struct kept *kept = state;
    (void)self, (void)key, (void)candidate, (void)source;
    CU_ASSERT_EQUAL(kept->count, count);
    return kept->picks++ % count;
}

static const struct cmds_dispatch kept_dispatch = {.struct_size = sizeof(kept_dispatch),
        .version = CMDS_DISPATCH_VERSION,
        .name = "kept",
        .state_size = sizeof(struct kept),
        .init = kept_init,
        .fini = kept_fini,
        .pick = kept_pick};

static void test_dispatch_each_list_has_a_state_of_its_own(void)
{
    struct cmdi_picker one = {NULL, NULL, NULL}, other = {NULL, NULL, NULL};
    setup();
    fini_count = fini_picks = 0;
    init_code = 0;
    CU_ASSERT_EQUAL(cmdi_picker_init(&one, &kept_dispatch, COUNT, NULL), 0);
    CU_ASSERT_EQUAL(cmdi_picker_init(&other, &kept_dispatch, 2, NULL), 0);
    for (uint32_t i = 0; i < 10; i++) {
        CU_ASSERT_EQUAL(pick(&one, 0, true), i % COUNT);
    }
    CU_ASSERT_EQUAL(pick_of(&other, 0, 2, true), 0);
    cmdi_picker_fini(&one);
    CU_ASSERT_EQUAL(fini_count, 1);
    CU_ASSERT_EQUAL(fini_picks, 10);
    cmdi_picker_fini(&one); // Once more is nothing.
    cmdi_picker_fini(&other);
    CU_ASSERT_EQUAL(fini_count, 2);
    CU_ASSERT_EQUAL(fini_picks, 11);
}

static void test_dispatch_init_that_fails_is_told_and_not_ended(void)
{
    struct cmdi_picker picker = {NULL, NULL, NULL};
    struct cmds_error error = CMDS_ERROR_INIT;
    fini_count = 0;
    init_code = -EPERM;
    CU_ASSERT_EQUAL(cmdi_picker_init(&picker, &kept_dispatch, COUNT, &error), -EPERM);
    CU_ASSERT_TRUE(strstr(error.text, "kept") != NULL);
    cmdi_picker_fini(&picker);
    CU_ASSERT_EQUAL(fini_count, 0);
}

static void test_dispatch_bad_tables_are_refused(void)
{
    struct cmds_dispatch bad = kept_dispatch;
    bad.pick = NULL;
    CU_ASSERT_EQUAL(cmdi_dispatch_check(&bad, NULL), -EINVAL);
    bad = kept_dispatch;
    bad.unused = 1;
    CU_ASSERT_EQUAL(cmdi_dispatch_check(&bad, NULL), -E2BIG);
    bad = kept_dispatch;
    bad.state_size = CMDS_DISPATCH_STATE_MAX;
    CU_ASSERT_EQUAL(cmdi_dispatch_check(&bad, NULL), 0);
    bad.state_size++;
    CU_ASSERT_EQUAL(cmdi_dispatch_check(&bad, NULL), -EINVAL);
}

/* --- Counts ----------------------------------------------------------------------------------- */

static void check_counts(void)
{
    uint32_t up = 0, connecting = 0;
    for (uint32_t i = 0; i < COUNT; i++) {
        enum cmdi_client_state state = cmdi_client_state(list[i]);
        CU_ASSERT_EQUAL(list[i]->number, i);
        up += state == CMDI_CLIENT_UP;
        connecting += state < CMDI_CLIENT_UP;
    }
    CU_ASSERT_EQUAL(group_shard.up_count, up);
    CU_ASSERT_EQUAL(group_shard.connecting_count, connecting);
    CU_ASSERT_EQUAL(group_shard.all_up, up == COUNT);
    CU_ASSERT_EQUAL(atomic_load(&group.up_count), up);
    CU_ASSERT_EQUAL(atomic_load(&group.connecting_count), connecting);
}

static void test_group_shard_counts_follow_every_course_of_states(void)
{
    /*
     * Each client's course is one of: stays, fails, comes up, comes up and fails; all combinations,
     * in two interleavings.
     */
    for (uint32_t courses = 0; courses < 1u << (2 * COUNT); courses++) {
        setup();
        for (uint32_t i = 0; i < 2 * COUNT; i++) {
            uint32_t step = courses % 2 ? i / COUNT : i % 2;
            uint32_t number = courses % 2 ? i % COUNT : i / 2;
            uint32_t course = courses >> (2 * number) & 3;
            if (course == 1 && step == 0) {
                state_set(number, CMDI_CLIENT_DOWN);
            } else if (course >= 2 && step == 0) {
                state_set(number, CMDI_CLIENT_UP);
            } else if (course == 3) {
                state_set(number, CMDI_CLIENT_DOWN);
            }
            check_counts();
        }
    }
}

static CU_TestInfo test_dispatch[] = {
        {"round-robin is fair to those that are up",
                test_dispatch_round_robin_is_fair_to_those_that_are_up},
        {"the short way of round-robin is the table",
                test_dispatch_short_way_of_round_robin_is_the_table},
        {"the short way of the others is their table",
                test_dispatch_short_way_of_the_others_is_their_table},
        {"a custom strategy sees the load", test_dispatch_custom_strategy_sees_the_load},
        {"an index means the same connection, whatever comes",
                test_dispatch_index_means_the_same_connection_whatever_comes},
        {"a list is made once, for who looks at it",
                test_dispatch_list_is_made_once_for_who_looks_at_it},
        {"each list has a state of its own", test_dispatch_each_list_has_a_state_of_its_own},
        {"an init that fails is told, and not ended",
                test_dispatch_init_that_fails_is_told_and_not_ended},
        {"bad tables are refused", test_dispatch_bad_tables_are_refused},
        {"a group shard's counts follow every course of states",
                test_group_shard_counts_follow_every_course_of_states},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("dispatch", test_dispatch)

/* SPDX-License-Identifier: MIT */
/*
 * A shard's receive buffers, over a ring that is only numbers: this program defines the few functions
 * of it that they use. What may go wrong: slices come out in another order, a buffer goes back early,
 * twice or never, somebody waits for ever, or the greedy before the modest.
 */
#include "shard/receive.h"

#include <string.h>

#include "ring/ring.h"
#include "support/harness.h"

enum {
    BUFFERS = 20,
    SIZE = 100,
};

/* --- The ring --------------------------------------------------------------------------------- */

struct cmdi_ring {
    uint8_t data[BUFFERS][SIZE];
    bool held[BUFFERS];
    uint32_t count, count_min, count_max, peak, shrinks;
};

uint8_t *cmdi_ring_buffer(const struct cmdi_ring *ring, uint16_t buffer)
{
    return (uint8_t *)(uintptr_t)ring->data[buffer];
}
void cmdi_ring_buffer_release(struct cmdi_ring *ring, uint16_t buffer)
{
    CU_ASSERT_TRUE(ring->held[buffer]);
    ring->held[buffer] = false;
}
uint32_t cmdi_ring_buffer_count(const struct cmdi_ring *ring)
{
    return ring->count;
}
uint32_t cmdi_ring_buffer_count_max(const struct cmdi_ring *ring)
{
    return ring->count_max;
}
static uint32_t held_count(const struct cmdi_ring *ring)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < BUFFERS; i++) {
        count += ring->held[i];
    }
    return count;
}
uint32_t cmdi_ring_buffers_free(const struct cmdi_ring *ring)
{
    return ring->count - held_count(ring);
}
uint32_t cmdi_ring_buffers_peak(struct cmdi_ring *ring)
{
    return ring->peak;
}
bool cmdi_ring_buffers_grow(struct cmdi_ring *ring)
{
    if (ring->count * 2 > ring->count_max) {
        return false;
    }
    ring->count *= 2;
    return true;
}
void cmdi_ring_buffers_shrink(struct cmdi_ring *ring)
{
    ring->shrinks++;
    ring->count /= ring->count / 2 >= ring->count_min ? 2 : 1;
}

/* --- The tests -------------------------------------------------------------------------------- */

struct desk {
    struct cmdi_ring ring;
    struct cmdi_receive receive;
    struct cmdi_list ready[CMDI_LEVELS];
};

/* The last `small_count` are small. */
static void desk_init(struct desk *desk, uint32_t small_count)
{
    struct cmdi_ring_options options = {.buffer_count_max = BUFFERS, .small_count = small_count};
    CU_ASSERT_EQUAL_FATAL(cmdi_receive_init(&desk->receive, &desk->ring, &options), 0);
}

static void desk_open(struct desk *desk)
{
    *desk = (struct desk){.ring = {.count = BUFFERS, .count_max = BUFFERS}};
    desk_init(desk, 0);
    for (int i = 0; i < CMDI_LEVELS; i++) {
        cmdi_list_init(&desk->ready[i]);
    }
}

/* The kernel fills it, for the owner of `slices`. */
static void desk_fill(struct desk *desk, struct cmdi_slices *slices, uint16_t buffer, uint32_t size,
        uint64_t now_ns)
{
    desk->ring.held[buffer] = true;
    memset(desk->ring.data[buffer], buffer, SIZE);
    cmdi_receive_push(&desk->receive, slices, buffer, size, now_ns);
}

/* The first `count` buffers are with somebody. */
static void desk_hold(struct desk *desk, uint32_t count)
{
    for (uint32_t i = 0; i < BUFFERS; i++) {
        desk->ring.held[i] = i < count;
    }
}

static void test_receive_slices_keep_their_order(void)
{
    struct desk desk;
    struct cmdi_slices mine = {.count = 0};
    struct cmdi_slices other = {.count = 0};
    desk_open(&desk);
    desk_fill(&desk, &mine, 5, 10, 1000);
    desk_fill(&desk, &other, 2, 20, 1500);
    desk_fill(&desk, &mine, 0, 30, 2000);

    struct cmds_bytes oldest = cmdi_receive_oldest(&desk.receive, &mine);
    CU_ASSERT_EQUAL(oldest.size, 10);
    CU_ASSERT_EQUAL(*(const uint8_t *)oldest.data, 5);
    CU_ASSERT_EQUAL(cmdi_receive_arrived_ns(&desk.receive, &mine), 1000);
    CU_ASSERT_TRUE(cmdi_receive_use(&desk.receive, &mine, 10));
    oldest = cmdi_receive_oldest(&desk.receive, &mine);
    CU_ASSERT_EQUAL(oldest.size, 30);
    CU_ASSERT_EQUAL(*(const uint8_t *)oldest.data, 0);
    CU_ASSERT_EQUAL(cmdi_receive_arrived_ns(&desk.receive, &mine), 2000);
    CU_ASSERT_EQUAL(cmdi_receive_oldest(&desk.receive, &other).size, 20);

    cmdi_receive_drop(&desk.receive, &mine);
    CU_ASSERT_EQUAL(mine.count, 0);
    CU_ASSERT_EQUAL(other.count, 1);
    CU_ASSERT_EQUAL(held_count(&desk.ring), 1);
    cmdi_receive_drop(&desk.receive, &other);
    CU_ASSERT_EQUAL(held_count(&desk.ring), 0);
    cmdi_receive_fini(&desk.receive);
}

static void test_receive_buffer_goes_back_with_its_last_byte(void)
{
    struct desk desk;
    struct cmdi_slices mine = {.count = 0};
    desk_open(&desk);
    desk_fill(&desk, &mine, 3, 10, 0);
    CU_ASSERT_FALSE(cmdi_receive_use(&desk.receive, &mine, 0));
    CU_ASSERT_FALSE(cmdi_receive_use(&desk.receive, &mine, 9));
    CU_ASSERT_EQUAL(held_count(&desk.ring), 1);
    CU_ASSERT_EQUAL(cmdi_receive_oldest(&desk.receive, &mine).size, 1);
    CU_ASSERT_TRUE(cmdi_receive_use(&desk.receive, &mine, 1));
    CU_ASSERT_EQUAL(held_count(&desk.ring), 0);

    desk.ring.held[4] = true; // Filled for one that has gone.
    cmdi_receive_give_back(&desk.receive, 4);
    CU_ASSERT_FALSE(desk.ring.held[4]);
    cmdi_receive_fini(&desk.receive);
}

static void test_receive_share_is_a_part_and_more_than_one(void)
{
    struct desk desk;
    desk_open(&desk);
    CU_ASSERT_FALSE(cmdi_receive_is_over(&desk.receive, &(struct cmdi_slices){.count = 1}, 100));
    CU_ASSERT_FALSE(cmdi_receive_is_over(&desk.receive, &(struct cmdi_slices){.count = 5}, 4));
    CU_ASSERT_TRUE(cmdi_receive_is_over(&desk.receive, &(struct cmdi_slices){.count = 6}, 4));
    desk_hold(&desk, BUFFERS - BUFFERS / 4);
    CU_ASSERT_FALSE(cmdi_receive_is_scarce(&desk.receive));
    desk_hold(&desk, BUFFERS - BUFFERS / 4 + 1);
    CU_ASSERT_TRUE(cmdi_receive_is_scarce(&desk.receive));
    cmdi_receive_fini(&desk.receive);
}

static void test_receive_those_that_ask_for_little_come_first(void)
{
    struct desk desk;
    struct cmdi_work works[BUFFERS / 4 + 1];
    int last = BUFFERS / 4;
    desk_open(&desk);
    desk_hold(&desk, BUFFERS);
    for (int i = 0; i <= last; i++) {
        cmdi_work_init(&works[i], NULL);
        works[i].level = i < last ? CMDI_LEVEL_HEAVY : CMDI_LEVEL_LIGHT;
        cmdi_receive_wait(&desk.receive, &works[i]);
        cmdi_receive_wait(&desk.receive, &works[i]); // Which changes nothing.
    }
    CU_ASSERT_FALSE(cmdi_receive_can_feed(&desk.receive));
    cmdi_receive_feed(&desk.receive, desk.ready);
    CU_ASSERT_TRUE(cmdi_list_empty(&desk.ready[CMDI_LEVEL_LIGHT]));

    desk_hold(&desk, BUFFERS - BUFFERS / 4); // Free for all but one of them.
    CU_ASSERT_TRUE(cmdi_receive_can_feed(&desk.receive));
    cmdi_receive_feed(&desk.receive, desk.ready);
    CU_ASSERT_PTR_EQUAL(cmdi_list_pop(&desk.ready[CMDI_LEVEL_LIGHT]), &works[last].link);
    for (int i = 0; i < last - 1; i++) {
        CU_ASSERT_PTR_EQUAL(cmdi_list_pop(&desk.ready[CMDI_LEVEL_HEAVY]), &works[i].link);
    }
    CU_ASSERT_TRUE(cmdi_list_empty(&desk.ready[CMDI_LEVEL_HEAVY]));
    CU_ASSERT_TRUE(cmdi_work_queued(&works[last - 1]));
    cmdi_receive_feed(&desk.receive, desk.ready);
    CU_ASSERT_PTR_EQUAL(cmdi_list_pop(&desk.ready[CMDI_LEVEL_HEAVY]), &works[last - 1].link);
    CU_ASSERT_FALSE(cmdi_receive_can_feed(&desk.receive)); // Nobody waits.
    cmdi_receive_fini(&desk.receive);
}

static void test_receive_group_grows_once_in_a_turn(void)
{
    struct desk desk;
    desk_open(&desk);
    desk.ring.count = BUFFERS / 4;
    CU_ASSERT_TRUE(cmdi_receive_grow(&desk.receive, 0));
    CU_ASSERT_TRUE(cmdi_receive_grow(&desk.receive, 0)); // Many ended in it, and one growth may do.
    CU_ASSERT_EQUAL(desk.ring.count, BUFFERS / 2);
    CU_ASSERT_TRUE(cmdi_receive_grow(&desk.receive, 1));
    CU_ASSERT_EQUAL(desk.ring.count, BUFFERS);
    CU_ASSERT_FALSE(cmdi_receive_grow(&desk.receive, 2)); // That was the last.
    cmdi_receive_fini(&desk.receive);
}

/* However much comes: what thousands of connections have needed once is no burden on eight busy ones. */
static void test_receive_group_shrinks_to_what_is_used(void)
{
    struct desk desk;
    desk_open(&desk);
    for (desk.ring.peak = 0; desk.ring.peak <= BUFFERS; desk.ring.peak++) {
        desk.ring.shrinks = 0;
        cmdi_receive_relax(&desk.receive, false, false);
        CU_ASSERT_EQUAL(desk.ring.shrinks, desk.ring.peak <= BUFFERS / 4);
        desk.ring.count = BUFFERS;
    }
    desk.ring.shrinks = 0;
    cmdi_receive_relax(&desk.receive, true, true); // One was lacking.
    CU_ASSERT_EQUAL(desk.ring.shrinks, 0);
    cmdi_receive_relax(&desk.receive, true, false); // Little came: whatever was in use at once.
    CU_ASSERT_EQUAL(desk.ring.shrinks, 1);
    cmdi_receive_fini(&desk.receive);
}

/* So many receives bring so many bytes each. */
static void desk_bring(struct desk *desk, uint32_t receives, uint32_t size)
{
    for (uint32_t i = 0; i < receives; i++) {
        struct cmdi_slices slices = {.count = 0};
        desk_fill(desk, &slices, 0, size, 1000);
        cmdi_receive_drop(&desk->receive, &slices);
    }
}

/*
 * A thousand connections with a command each have a buffer each; with sixteen each they would get them in
 * pieces.
 */
static void test_receive_small_ones_are_for_little(void)
{
    struct desk desk;
    desk_open(&desk);
    cmdi_receive_fini(&desk.receive);
    desk.ring.count = desk.ring.count_min = BUFFERS / 4;
    desk_init(&desk, BUFFERS / 2);
    CU_ASSERT_FALSE(cmdi_receive_is_small(&desk.receive, BUFFERS / 2 - 1));
    CU_ASSERT_TRUE(cmdi_receive_is_small(&desk.receive, BUFFERS / 2));
    desk_bring(&desk, 300, 8000);
    CU_ASSERT_TRUE(cmdi_receive_grow(&desk.receive, 1));
    CU_ASSERT_FALSE(cmdi_receive_grow(&desk.receive, 2)); // The next ones are small.
    CU_ASSERT_EQUAL(desk.ring.count, BUFFERS / 2);
    desk_bring(&desk, 600, 500);
    CU_ASSERT_TRUE(cmdi_receive_grow(&desk.receive, 3));
    CU_ASSERT_EQUAL(desk.ring.count, BUFFERS);

    struct cmdi_slices slices = {.count = BUFFERS / 4};
    CU_ASSERT_TRUE(cmdi_receive_is_over(&desk.receive, &slices, 4)); // They are nobody's share.

    desk.ring.peak = BUFFERS;
    cmdi_receive_relax(&desk.receive, false, false);
    CU_ASSERT_EQUAL(desk.ring.count, BUFFERS);
    desk_bring(&desk, 300, 8000);
    cmdi_receive_relax(&desk.receive, false, true); // Much comes: whether one was lacking or not.
    CU_ASSERT_EQUAL(desk.ring.count, BUFFERS / 2);
    cmdi_receive_relax(&desk.receive, false, true);
    CU_ASSERT_EQUAL(desk.ring.count, BUFFERS / 2);
    cmdi_receive_fini(&desk.receive);
}

static const struct plan_row {
    uint32_t size, count_max;
    struct cmdi_ring_options want;
} plan_rows[] = {
        {32768, 512,
                {.large_count = 32,
                        .large_size = 131072,
                        .buffer_count = 16,
                        .buffer_count_max = 512}},
        {32768, 500,
                {.large_count = 32,
                        .large_size = 131072,
                        .buffer_count = 16,
                        .buffer_count_max = 512}},
        {4096, 128,
                {.large_count = 8,
                        .large_size = 16384,
                        .buffer_count = 16,
                        .buffer_count_max = 128}},
        {65536, 128,
                {.large_count = 8,
                        .large_size = 131072,
                        .buffer_count = 16,
                        .buffer_count_max = 128}},
        {131072, 512, {.buffer_count = 32, .buffer_count_max = 512}},
        {1048576, 32768,
                {.small_count = 32256,
                        .small_size = 4096,
                        .buffer_count = 32,
                        .buffer_count_max = 32768}},
        {32768, 4096,
                {.large_count = 32,
                        .large_size = 131072,
                        .small_count = 3584,
                        .small_size = 4096,
                        .buffer_count = 16,
                        .buffer_count_max = 4096}},
        {4096, 1024, // None can be smaller than these.
                {.large_count = 64,
                        .large_size = 16384,
                        .buffer_count = 16,
                        .buffer_count_max = 1024}},
        {32768, 4096, // Inline.
                {.large_count = 256,
                        .large_size = 131072,
                        .buffer_count = 16,
                        .buffer_count_max = 4096,
                        .external_wait = true}},
        {32768, 64, {.buffer_count = 32, .buffer_count_max = 64}},
        {32768, 3, {.buffer_count = 4, .buffer_count_max = 4}},
        {32768, 1, {.buffer_count = 1, .buffer_count_max = 1}},
};

/* With few buffers, or large ones, all are as large as was asked for; of very many the last ones are small. */
static void test_receive_plan_makes_the_first_of_many_large(void)
{
    for (size_t i = 0; i < sizeof(plan_rows) / sizeof(plan_rows[0]); i++) {
        struct cmdi_ring_options options = {.external_wait = plan_rows[i].want.external_wait};
        cmdi_receive_plan(&options, plan_rows[i].size, plan_rows[i].count_max);
        CU_ASSERT_EQUAL(options.buffer_size, plan_rows[i].size);
        CU_ASSERT_EQUAL(options.large_count, plan_rows[i].want.large_count);
        CU_ASSERT_EQUAL(options.large_size, plan_rows[i].want.large_size);
        CU_ASSERT_EQUAL(options.small_count, plan_rows[i].want.small_count);
        CU_ASSERT_EQUAL(options.small_size, plan_rows[i].want.small_size);
        CU_ASSERT_EQUAL(options.buffer_count, plan_rows[i].want.buffer_count);
        CU_ASSERT_EQUAL(options.buffer_count_max, plan_rows[i].want.buffer_count_max);
        /* All of them are not a fifth more than if none were large. */
        uint64_t bytes = 0;
        for (uint32_t buffer = 0; buffer < options.buffer_count_max; buffer++) {
            bytes += cmdi_ring_buffer_size(&options, buffer);
        }
        CU_ASSERT(bytes * 5 <= (uint64_t)options.buffer_count_max * options.buffer_size * 6);
    }
}

/* Thousands of small ones are no reason to take locked memory from the rings of others. */
static void test_receive_default_count_heeds_locked_memory(void)
{
    CU_ASSERT_EQUAL(cmdi_receive_count_max(false, 32768, UINT64_MAX), 4096);
    CU_ASSERT_EQUAL(cmdi_receive_count_max(false, 4097, 65536), 4096);
    CU_ASSERT_EQUAL(cmdi_receive_count_max(false, 4096, UINT64_MAX), 1024);
    CU_ASSERT_EQUAL(cmdi_receive_count_max(false, 32768, 65535), 1024);
    CU_ASSERT_EQUAL(cmdi_receive_count_max(false, 32768, 0), 1024);
    CU_ASSERT_EQUAL(cmdi_receive_count_max(true, 32768, UINT64_MAX), 512);
    CU_ASSERT_EQUAL(cmdi_receive_count_max(true, 4096, 0), 512);
}

static void test_receive_without_a_ring_has_nothing(void)
{
    struct cmdi_receive receive;
    CU_ASSERT_EQUAL(cmdi_receive_init(&receive, NULL, NULL), 0);
    CU_ASSERT_FALSE(cmdi_receive_grow(&receive, 1));
    CU_ASSERT_FALSE(cmdi_receive_can_feed(&receive));
    cmdi_receive_fini(&receive);
    cmdi_receive_fini(&(struct cmdi_receive){.slices = NULL});
}

static CU_TestInfo test_receive[] = {
        {"slices keep their order", test_receive_slices_keep_their_order},
        {"buffer goes back with its last byte", test_receive_buffer_goes_back_with_its_last_byte},
        {"share is a part and more than one", test_receive_share_is_a_part_and_more_than_one},
        {"those that ask for little come first", test_receive_those_that_ask_for_little_come_first},
        {"plan makes the first of many large", test_receive_plan_makes_the_first_of_many_large},
        {"default count heeds locked memory", test_receive_default_count_heeds_locked_memory},
        {"group grows once in a turn", test_receive_group_grows_once_in_a_turn},
        {"group shrinks to what is used", test_receive_group_shrinks_to_what_is_used},
        {"small ones are for little", test_receive_small_ones_are_for_little},
        {"without a ring has nothing", test_receive_without_a_ring_has_nothing},
        CU_TEST_INFO_NULL,
};
CMDI_TEST_MAIN("receive", test_receive)

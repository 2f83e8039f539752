/* SPDX-License-Identifier: MIT */
/* See strategy.h. */
#include "sim/strategy.h"

#include <unistd.h>

#include "sim/oracle.h"

struct strategy_state {
    uint32_t count;
    uint32_t is_busy;
    uint64_t picks;
};

static struct strategy *strategy_of(const struct cmds_dispatch *self)
{
    return (struct strategy *)(uintptr_t)self;
}

static int strategy_begin(const struct cmds_dispatch *self, void *memory, uint32_t count)
{
    struct strategy_state *state = memory;
    struct strategy *strategy = strategy_of(self);
    if (state->count != 0 || state->is_busy != 0 || state->picks != 0 || count == 0 ||
            count > strategy->connections) {
        (void)oracle_fail(
                "a dispatch strategy begins with %u connections, its state not zeroed", count);
    }
    state->count = count;
    strategy->states++;
    return 0;
}

static void strategy_end(const struct cmds_dispatch *self, void *memory)
{
    struct strategy_state *state = memory;
    if (state->count == 0 || state->is_busy != 0) {
        (void)oracle_fail("a dispatch strategy ends that has not begun, or picks");
    }
    state->count = 0;
    strategy_of(self)->states--;
}

/* The one with the fewest in flight; or whatever, also beyond the last. */
static uint32_t strategy_pick(const struct cmds_dispatch *self, void *memory, uint64_t key,
        uint32_t count, cmds_candidate_fn candidate, const void *source)
{
    struct strategy_state *state = memory;
    const struct strategy *strategy = strategy_of(self);
    uint32_t best = 0, least = UINT32_MAX;
    if (state->is_busy++ != 0 || state->count != count || count < 2) {
        (void)oracle_fail(
                "a dispatch strategy picks of %u connections, and has %u", count, state->count);
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct cmds_candidate *one = candidate(source, i);
        if (one->client >= strategy->connections || one->in_flight > 2 * strategy->in_flight_max) {
            (void)oracle_fail(
                    "a candidate is connection %u, with %u in flight", one->client, one->in_flight);
        }
        bool is_up = (one->flags & CMDS_CANDIDATE_DOWN) == 0;
        if (is_up && one->in_flight < least) {
            best = i;
            least = one->in_flight;
        }
    }
    if (oracle_chance(100)) {
        (void)usleep(1); // Others may run meanwhile.
    }
    state->picks++;
    state->is_busy--;
    return key != 0 ? (uint32_t)key : oracle_chance(4) ? oracle_below(UINT32_MAX) : best;
}

void strategy_init(struct strategy *strategy, uint32_t connections, uint32_t in_flight_max)
{
    *strategy = (struct strategy){
            .dispatch = {.struct_size = sizeof(struct cmds_dispatch),
                    .version = CMDS_DISPATCH_VERSION,
                    .name = "strategy",
                    .state_size = sizeof(struct strategy_state),
                    .init = strategy_begin,
                    .fini = strategy_end,
                    .pick = strategy_pick},
            .connections = connections,
            .in_flight_max = in_flight_max != 0 ? in_flight_max : 1024,
    };
}

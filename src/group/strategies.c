/* SPDX-License-Identifier: MIT */
/* Least, two choices, sticky: the rules, and then the two forms of each. See strategies.h. */
#include "group/strategies.h"

#include "ring/clock.h"

enum {
    STRATEGY_DRAWS = 4, // Pairs that two choices draws before it looks at them all.
    /* With these, and CMDI_LATENCY_US_MAX, the products below fit into 64 bits. */
    STRATEGY_WEIGHT_MAX = 100 * 100,
    STRATEGY_IN_FLIGHT_MAX = (1 << 21) - 1,
};

/* --- Chance ----------------------------------------------------------------------------------- */

static inline uint64_t strategy_mix(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/* Below `count`. */
static inline uint32_t strategy_draw(struct cmdi_strategy *strategy, uint32_t count)
{
    if (CMDI_UNLIKELY(strategy->random == 0)) {
        strategy->random = cmdi_random();
    }
    strategy->random += UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)((strategy_mix(strategy->random) >> 32) * count >> 32);
}

/* --- Cost ------------------------------------------------------------------------------------- */

/* What the cost of a connection is made of. */
struct strategy_load {
    uint32_t ewma_us, in_flight, weight;
    enum cmdi_seen_rank rank;
};
struct strategy_cost {
    uint64_t time; // Divided by the weight.
    uint32_t weight;
    enum cmdi_seen_rank rank;
};

static inline struct strategy_load strategy_load(struct cmdi_seen seen)
{
    return (struct strategy_load){seen.ewma_us, seen.in_flight, seen.weight, seen.rank};
}

static inline struct strategy_cost strategy_cost(struct strategy_load load)
{
    /* The first command of a connection tells how long it takes; till then it gets no second one. */
    uint64_t ewma_us = load.ewma_us == 0 && load.in_flight > 0 ? CMDI_LATENCY_NEW_US : load.ewma_us;
    return (struct strategy_cost){
            .time = ewma_us * (load.in_flight + 1), .weight = load.weight, .rank = load.rank};
}

/* None is less than one of the lowest rank, not even another one of it. */
static inline bool strategy_is_less(struct strategy_cost one, struct strategy_cost other)
{
    return one.rank != other.rank ? one.rank > other.rank
                                  : one.time * other.weight < other.time * one.weight;
}

/* --- Least ------------------------------------------------------------------------------------ */

/*
 * Nobody's latency is known to a half: up to 1.5 times the lowest one counts as that. Else of two equal
 * servers one would have all the commands, as long as there are so few that none is in flight.
 */
static inline uint32_t least_round(uint32_t ewma_us, uint32_t lowest_us)
{
    uint32_t most_us = lowest_us + lowest_us / 2;
    return ewma_us - 1 < most_us ? lowest_us : ewma_us; // 0 stays: it is not known.
}

/* Arrays, not structs: a struct that has just been written in parts is slow to read as one. */
struct least_loads {
    uint32_t ewma_us[CMDI_LEAST_LOOKS], in_flight[CMDI_LEAST_LOOKS], weight[CMDI_LEAST_LOOKS];
    uint8_t rank[CMDI_LEAST_LOOKS];
    uint32_t lowest_us; // The least latency of those that take commands, less 1.
    enum cmdi_seen_rank best_rank;
};

static inline void least_look(struct least_loads *loads, uint32_t looks, uint32_t index,
        uint32_t count, cmdi_seen_fn see, const void *source)
{
    loads->lowest_us = CMDI_LATENCY_US_MAX - 1;
    loads->best_rank = CMDI_SEEN_DOWN;
    for (uint32_t i = 0; i < looks; i++) {
        struct cmdi_seen seen = see(source, index);
        loads->ewma_us[i] = seen.ewma_us;
        loads->in_flight[i] = seen.in_flight;
        loads->weight[i] = seen.weight;
        loads->rank[i] = (uint8_t)seen.rank;
        uint32_t us = CMDI_LIKELY(seen.rank == CMDI_SEEN_TAKES) ? seen.ewma_us - 1 : UINT32_MAX;
        loads->lowest_us = us < loads->lowest_us ? us : loads->lowest_us; // Of 0 it is the highest.
        loads->best_rank = seen.rank > loads->best_rank ? seen.rank : loads->best_rank;
        index = index + 1 < count ? index + 1 : 0;
    }
}

/* Returns: which one of them. */
static inline uint32_t least_of(const struct least_loads *loads, uint32_t looks)
{
    uint64_t least = UINT64_MAX >> 14; // Times any weight it fits.
    uint32_t best = 0, weight = 1;
    for (uint32_t i = 0; i < looks; i++) {
        struct strategy_load load = {least_round(loads->ewma_us[i], loads->lowest_us + 1),
                loads->in_flight[i], loads->weight[i], loads->best_rank};
        struct strategy_cost cost = strategy_cost(load);
        bool is_less =
                loads->rank[i] == loads->best_rank && cost.time * weight < least * cost.weight;
        best = is_less ? i : best;
        least = is_less ? cost.time : least;
        weight = is_less ? cost.weight : weight;
    }
    return best;
}

static inline uint32_t least_pick(
        struct cmdi_strategy *strategy, uint32_t count, cmdi_seen_fn see, const void *source)
{
    struct least_loads loads;
    uint32_t looks = count < CMDI_LEAST_LOOKS ? count : CMDI_LEAST_LOOKS;
    uint32_t first = count == looks ? strategy->next : strategy_draw(strategy, count);
    uint32_t best = first = first < count ? first : 0;
    /* Once, as a rule: others are looked at if none of these takes commands. */
    for (uint32_t looked = 0; looked < count; looked += looks) {
        least_look(&loads, looks, first, count, see, source);
        if (CMDI_LIKELY(loads.best_rank == CMDI_SEEN_TAKES) || looked == 0) {
            best = first + least_of(&loads, looks);
            best = best < count ? best : best - count;
        }
        if (CMDI_LIKELY(loads.best_rank == CMDI_SEEN_TAKES)) {
            break;
        }
        first = (first + looks) % count;
    }
    strategy->next = best + 1;
    return best;
}

/* --- Two choices ------------------------------------------------------------------------------ */

static inline uint32_t p2c_pick(
        struct cmdi_strategy *strategy, uint32_t count, cmdi_seen_fn see, const void *source)
{
    for (uint32_t i = 0; i < STRATEGY_DRAWS; i++) {
        uint32_t one = strategy_draw(strategy, count);
        uint32_t other = strategy_draw(strategy, count - 1);
        other += other >= one;
        struct strategy_cost cost = strategy_cost(strategy_load(see(source, one)));
        struct strategy_cost other_cost = strategy_cost(strategy_load(see(source, other)));
        if (strategy_is_less(other_cost, cost)) {
            cost = other_cost;
            one = other;
        }
        if (CMDI_LIKELY(cost.rank == CMDI_SEEN_TAKES)) {
            return one;
        }
    }
    return least_pick(strategy, count, see, source); // Most of them are down or full.
}

/* --- Sticky ----------------------------------------------------------------------------------- */

/* How much a key likes a connection: first its endpoint, then the connection. */
struct sticky_liking {
    uint64_t endpoint;
    uint64_t connection;
    uint32_t weight;
};

/* -log2(x / 2^64), in 2^-24; the line between two powers is bent by what it lacks in its middle. */
static inline uint64_t sticky_log(uint64_t x)
{
    const uint64_t one = UINT64_C(1) << 24;
    uint32_t zeros = (uint32_t)__builtin_clzll(x | 1);
    uint64_t part = (x | 1) << zeros << 1 >> 40; // Of 2^24, after the highest bit.
    uint64_t bend = ((part * (one - part) >> 24) * 5756000) >> 24;
    return (((uint64_t)zeros + 1) << 24) - part - bend;
}

static inline struct sticky_liking sticky_like(uint64_t key, struct cmdi_seen seen)
{
    return (struct sticky_liking){
            .endpoint = strategy_mix(key ^ seen.hash),
            .connection = seen.client,
            .weight = seen.weight,
    };
}

/*
 * Of exponential random times, one per endpoint, each endpoint is the first with the share of its
 * weight; and whatever joins or leaves, the order of the others stays.
 */
static inline bool sticky_is_liked_more(
        uint64_t key, struct sticky_liking one, struct sticky_liking other)
{
    if (CMDI_UNLIKELY(one.endpoint == other.endpoint)) {
        return strategy_mix(key + one.connection) > strategy_mix(key + other.connection);
    }
    if (CMDI_LIKELY(one.weight == other.weight)) {
        return one.endpoint > other.endpoint;
    }
    return sticky_log(one.endpoint) * other.weight < sticky_log(other.endpoint) * one.weight;
}

/* What is in flight on all that are up, and their weights. */
struct sticky_load {
    uint64_t in_flight, weight;
};

static struct sticky_load sticky_load(uint32_t count, cmdi_seen_fn see, const void *source)
{
    struct sticky_load all = {0, 0};
    for (uint32_t i = 0; i < count; i++) {
        struct cmdi_seen seen = see(source, i);
        if (seen.rank != CMDI_SEEN_DOWN) {
            all.in_flight += seen.in_flight;
            all.weight += seen.weight;
        }
    }
    return all;
}

/* Does it take one more, and has it not more than 1.25 times its share with that? */
static inline bool sticky_takes(struct sticky_load all, struct cmdi_seen seen)
{
    return seen.rank == CMDI_SEEN_TAKES &&
           (seen.in_flight < CMDI_STICKY_FLOOR || (seen.in_flight + UINT64_C(1)) * 4 * all.weight <=
                                                          (all.in_flight + 1) * 5 * seen.weight);
}

/* The one that is liked most of those that take one more; without any, `first`. */
static uint32_t sticky_pick_second(struct cmdi_strategy *strategy, uint64_t key, uint32_t count,
        cmdi_seen_fn see, const void *source, uint32_t first)
{
    struct sticky_load all = sticky_load(count, see, source);
    struct sticky_liking most = {0, 0, 0};
    uint32_t best = UINT32_MAX;
    if (sticky_takes(all, see(source, first))) {
        return first;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct cmdi_seen seen = see(source, i);
        struct sticky_liking liking = sticky_like(key, seen);
        if (sticky_takes(all, seen) &&
                (best == UINT32_MAX || sticky_is_liked_more(key, liking, most))) {
            most = liking;
            best = i;
        }
    }
    uint64_t before = atomic_load_explicit(&strategy->second_choices, memory_order_relaxed);
    atomic_store_explicit(&strategy->second_choices, before + 1, memory_order_relaxed);
    return best != UINT32_MAX ? best : first;
}

static inline uint32_t sticky_pick(struct cmdi_strategy *strategy, uint64_t key, uint32_t count,
        cmdi_seen_fn see, const void *source)
{
    if (key == 0) {
        return least_pick(strategy, count, see, source);
    }
    key = strategy_mix(key);
    struct sticky_liking most = sticky_like(key, see(source, 0));
    uint32_t first = 0;
    for (uint32_t i = 1; i < count; i++) {
        struct sticky_liking liking = sticky_like(key, see(source, i));
        if (sticky_is_liked_more(key, liking, most)) {
            most = liking;
            first = i;
        }
    }
    struct cmdi_seen seen = see(source, first);
    if (CMDI_LIKELY(seen.rank == CMDI_SEEN_TAKES && seen.in_flight < CMDI_STICKY_FLOOR)) {
        return first;
    }
    return sticky_pick_second(strategy, key, count, see, source, first);
}

/* --- The public tables ------------------------------------------------------------------------ */

struct strategy_source {
    cmds_candidate_fn candidate;
    const void *source;
};

static uint32_t strategy_at_most(uint32_t value, uint32_t max)
{
    return value < max ? value : max;
}

static struct cmdi_seen strategy_see(const void *from, uint32_t index)
{
    const struct strategy_source *asked = from;
    const struct cmds_candidate *one = asked->candidate(asked->source, index);
    return (struct cmdi_seen){
            .hash = one->hash,
            .client = one->client,
            .in_flight = strategy_at_most(one->in_flight, STRATEGY_IN_FLIGHT_MAX),
            .ewma_us = strategy_at_most(one->ewma_us, CMDI_LATENCY_US_MAX),
            .weight = one->weight != 0 ? strategy_at_most(one->weight, STRATEGY_WEIGHT_MAX) : 1,
            .rank = (one->flags & CMDS_CANDIDATE_DOWN) != 0   ? CMDI_SEEN_DOWN
                    : (one->flags & CMDS_CANDIDATE_FULL) != 0 ? CMDI_SEEN_FULL
                                                              : CMDI_SEEN_TAKES,
    };
}

static uint32_t least_pick_table(const struct cmds_dispatch *self, void *state, uint64_t key,
        uint32_t count, cmds_candidate_fn candidate, const void *source)
{
    const struct strategy_source asked = {candidate, source};
    (void)self;
    (void)key;
    return least_pick(state, count, strategy_see, &asked);
}

static uint32_t p2c_pick_table(const struct cmds_dispatch *self, void *state, uint64_t key,
        uint32_t count, cmds_candidate_fn candidate, const void *source)
{
    const struct strategy_source asked = {candidate, source};
    (void)self;
    (void)key;
    return p2c_pick(state, count, strategy_see, &asked);
}

static uint32_t sticky_pick_table(const struct cmds_dispatch *self, void *state, uint64_t key,
        uint32_t count, cmds_candidate_fn candidate, const void *source)
{
    const struct strategy_source asked = {candidate, source};
    (void)self;
    return sticky_pick(state, key, count, strategy_see, &asked);
}

#define STRATEGY_TABLE(name_, pick_)                                                               \
    {                                                                                              \
        .struct_size = sizeof(struct cmds_dispatch), .version = CMDS_DISPATCH_VERSION,             \
        .name = (name_), .state_size = sizeof(struct cmdi_strategy), .pick = (pick_)               \
    }
const struct cmds_dispatch cmds_dispatch_least = STRATEGY_TABLE("least", least_pick_table);
const struct cmds_dispatch cmds_dispatch_p2c = STRATEGY_TABLE("p2c", p2c_pick_table);
const struct cmds_dispatch cmds_dispatch_sticky = STRATEGY_TABLE("sticky", sticky_pick_table);

/* --- The short way ---------------------------------------------------------------------------- */

static uint32_t least_pick_short(
        struct cmdi_strategy *strategy, uint64_t key, const struct cmdi_dispatch_list *list)
{
    (void)key;
    return least_pick(strategy, list->count, cmdi_dispatch_see, list);
}

static uint32_t p2c_pick_short(
        struct cmdi_strategy *strategy, uint64_t key, const struct cmdi_dispatch_list *list)
{
    (void)key;
    return p2c_pick(strategy, list->count, cmdi_dispatch_see, list);
}

static uint32_t sticky_pick_short(
        struct cmdi_strategy *strategy, uint64_t key, const struct cmdi_dispatch_list *list)
{
    return sticky_pick(strategy, key, list->count, cmdi_dispatch_see, list);
}

cmdi_short_pick_fn cmdi_strategy_short_pick(const struct cmds_dispatch *dispatch)
{
    return dispatch == &cmds_dispatch_least    ? least_pick_short
           : dispatch == &cmds_dispatch_p2c    ? p2c_pick_short
           : dispatch == &cmds_dispatch_sticky ? sticky_pick_short
                                               : NULL;
}

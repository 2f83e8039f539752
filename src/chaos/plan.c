/* SPDX-License-Identifier: MIT */
/* The schedule. See plan.h. */
#include "chaos/plan.h"

#include "base/assert.h"

enum {
    PLAN_STREAM = 0, // Connections have those from 1 on.
};

void cmdi_plan_init(struct cmdi_plan *plan, const struct cmdi_chaos_options *options)
{
    *plan = (struct cmdi_plan){.options = options};
    cmdi_draw_init(&plan->draw, options->seed, PLAN_STREAM);
}

bool cmdi_plan_is_on(const struct cmdi_chaos_options *options, uint64_t at_ms)
{
    return options->until_ms == 0 || at_ms < options->until_ms;
}

enum cmdi_chaos_kind cmdi_plan_draw_kind(
        const struct cmdi_chaos_options *options, struct cmdi_draw *draw, uint32_t kinds)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < CMDI_CHAOS_KINDS; i++) {
        sum += (kinds >> i & 1) != 0 ? options->faults[i] : 0;
    }
    uint32_t drawn = sum > 0 ? cmdi_draw_below(draw, sum) : 0;
    for (uint32_t i = 0; i < CMDI_CHAOS_KINDS && sum > 0; i++) {
        uint32_t weight = (kinds >> i & 1) != 0 ? options->faults[i] : 0;
        if (drawn < weight) {
            return (enum cmdi_chaos_kind)i;
        }
        drawn -= weight;
    }
    return CMDI_CHAOS_KINDS;
}

uint8_t cmdi_plan_draw_ways(const struct cmdi_chaos_options *options, struct cmdi_draw *draw)
{
    uint32_t drawn = CMDI_CHAOS_UP + cmdi_draw_below(draw, CMDI_CHAOS_BOTH);
    return options->ways == CMDI_CHAOS_ANY ? (uint8_t)drawn : options->ways;
}

uint32_t cmdi_plan_draw_lasts(
        const struct cmdi_chaos_options *options, struct cmdi_draw *draw, uint64_t at_ms)
{
    uint32_t drawn = cmdi_draw_range(draw, options->lasts_ms);
    uint32_t lasts = options->lasts_ms.max == 0 ? CMDS_NEVER : drawn;
    uint64_t left = options->until_ms > at_ms ? options->until_ms - at_ms : CMDS_NEVER;
    return lasts < left ? lasts : (uint32_t)left;
}

static enum cmdi_chaos_scope plan_draw_scope(
        const struct cmdi_chaos_options *options, struct cmdi_draw *draw)
{
    static const uint32_t usual = 1u << CMDI_CHAOS_ONE | 1u << CMDI_CHAOS_ALL;
    uint32_t scopes = options->scopes != 0 ? options->scopes : usual;
    uint32_t nth = cmdi_draw_below(draw, (uint32_t)__builtin_popcount(scopes));
    for (; nth > 0; nth--) {
        scopes &= scopes - 1;
    }
    return (enum cmdi_chaos_scope)__builtin_ctz(scopes);
}

/* Everything is drawn for every fault, so that a kind more does not move all that comes after it. */
bool cmdi_plan_next(struct cmdi_plan *plan, struct cmdi_plan_fault *fault)
{
    const struct cmdi_chaos_options *options = plan->options;
    if (options->every_ms.max == 0) {
        return false;
    }
    uint64_t gap = cmdi_draw_range(&plan->draw, options->every_ms);
    plan->at_ms += gap > 0 ? gap : 1;
    fault->at_ms = plan->at_ms;
    fault->kind = cmdi_plan_draw_kind(options, &plan->draw, UINT32_MAX);
    fault->scope = plan_draw_scope(options, &plan->draw);
    fault->ways = cmdi_plan_draw_ways(options, &plan->draw);
    fault->which = (uint32_t)(cmdi_draw_next(&plan->draw) >> 32);
    fault->lasts_ms = cmdi_plan_draw_lasts(options, &plan->draw, plan->at_ms);
    if (fault->kind >= CMDI_CHAOS_LASTING) {
        fault->lasts_ms = 0;
    } else if (fault->kind >= CMDI_CHAOS_OF_LINKS && fault->scope == CMDI_CHAOS_ONE) {
        fault->scope = CMDI_CHAOS_TARGET;
    }
    return fault->kind < CMDI_CHAOS_KINDS && cmdi_plan_is_on(options, plan->at_ms);
}

/* SPDX-License-Identifier: MIT */
/*
 * The schedule: which fault comes when, for whom and for how long. Values only: it follows from the
 * options and the seed, whatever the connections do.
 */
#ifndef CMDI_CHAOS_PLAN_H
#define CMDI_CHAOS_PLAN_H

#include "chaos/chaos.h"
#include "chaos/draw.h"

/** One of them. */
struct cmdi_plan_fault {
    uint64_t at_ms; // Since the start.
    enum cmdi_chaos_kind kind;
    enum cmdi_chaos_scope scope;
    uint8_t ways;      // Bits.
    uint32_t which;    // Of n connections or targets the one with number which % n.
    uint32_t lasts_ms; // CMDS_NEVER; 0 of those that do not last.
};

struct cmdi_plan {
    const struct cmdi_chaos_options *options; // Kept.
    struct cmdi_draw draw;
    uint64_t at_ms; // Of the last one.
};

void cmdi_plan_init(struct cmdi_plan *plan, const struct cmdi_chaos_options *options);
/** Returns: false: there is none, or none any more. */
bool cmdi_plan_next(struct cmdi_plan *plan, struct cmdi_plan_fault *fault);

/** A kind by the weights in the options, of those that are bits of `kinds`; KINDS: there is none. */
enum cmdi_chaos_kind cmdi_plan_draw_kind(
        const struct cmdi_chaos_options *options, struct cmdi_draw *draw, uint32_t kinds);
uint8_t cmdi_plan_draw_ways(const struct cmdi_chaos_options *options, struct cmdi_draw *draw);
/** Of a lasting fault that begins at `at_ms` since the start. */
uint32_t cmdi_plan_draw_lasts(
        const struct cmdi_chaos_options *options, struct cmdi_draw *draw, uint64_t at_ms);
/** Whether faults still come at `at_ms` since the start. */
bool cmdi_plan_is_on(const struct cmdi_chaos_options *options, uint64_t at_ms);

#endif

/* SPDX-License-Identifier: MIT */
/* The spin budget as a small state machine over times. One thread. */
#include "shard/spin.h"

enum {
    SPIN_BUDGET_NS_MIN = 2000, // Below it, it is nothing.
    SPIN_GAP_NS = 500 * 1000,  // Nobody stays away so long but by losing the core.
    SPIN_STOP_NS_MIN = 20 * 1000 * 1000,
    SPIN_STOP_NS_MAX = 1000 * 1000 * 1000,
    SPIN_CHECK_NS = 50 * 1000 * 1000,
    /*
     * The threads of the kernel alone interrupt a spinning thread some hundred times a second, for
     * microseconds; a shard that shares the core with the one it talks to is switched out with
     * every message, more than 10,000 times. Whoever takes whole slices is seen as a gap.
     */
    SPIN_PREEMPTIONS_PER_SECOND_MAX = 2000,
    SPIN_PROBE_SLEEPS_MIN = 4,
    SPIN_PROBE_SLEEPS_MAX = 256,
};

void cmdi_spin_init(struct cmdi_spin *spin, uint64_t budget_ns_max)
{
    *spin = (struct cmdi_spin){
            .budget_ns = budget_ns_max,
            .budget_ns_max = budget_ns_max,
            .stop_ns = SPIN_STOP_NS_MIN,
            .misses_between = SPIN_PROBE_SLEEPS_MIN,
    };
}

uint64_t cmdi_spin_begin(struct cmdi_spin *spin, uint64_t now_ns)
{
    if (spin->budget_ns_max == 0 || now_ns < spin->stopped_until_ns) {
        return 0;
    }
    if (spin->budget_ns == 0) {
        if (spin->misses_to_probe > 0) {
            spin->misses_to_probe--;
            return 0;
        }
        spin->budget_ns = spin->budget_ns_max / 4 > SPIN_BUDGET_NS_MIN ? spin->budget_ns_max / 4
                                                                       : spin->budget_ns_max;
    }
    return spin->budget_ns;
}

void cmdi_spin_end(struct cmdi_spin *spin, bool hit)
{
    if (hit) {
        uint64_t doubled = spin->budget_ns * 2;
        spin->budget_ns = doubled < spin->budget_ns_max ? doubled : spin->budget_ns_max;
        spin->misses_between = SPIN_PROBE_SLEEPS_MIN;
        return;
    }
    spin->budget_ns /= 2;
    if (spin->budget_ns < SPIN_BUDGET_NS_MIN) {
        spin->budget_ns = 0;
        spin->misses_to_probe = spin->misses_between;
        uint32_t doubled = spin->misses_between * 2;
        spin->misses_between = doubled < SPIN_PROBE_SLEEPS_MAX ? doubled : SPIN_PROBE_SLEEPS_MAX;
    }
}

static void spin_stop(struct cmdi_spin *spin, uint64_t now_ns)
{
    /* A stop soon after the last one lasts longer. */
    bool again = now_ns < spin->stopped_until_ns + 4 * spin->stop_ns && spin->stopped_until_ns != 0;
    uint64_t doubled = spin->stop_ns * 2;
    spin->stop_ns = !again                       ? SPIN_STOP_NS_MIN
                    : doubled < SPIN_STOP_NS_MAX ? doubled
                                                 : SPIN_STOP_NS_MAX;
    spin->stopped_until_ns = now_ns + spin->stop_ns;
}

bool cmdi_spin_gap(struct cmdi_spin *spin, uint64_t before_ns, uint64_t now_ns)
{
    if (now_ns - before_ns < SPIN_GAP_NS) {
        return false;
    }
    spin_stop(spin, now_ns);
    return true;
}

bool cmdi_spin_check_due(const struct cmdi_spin *spin, uint64_t now_ns)
{
    return spin->budget_ns_max != 0 && now_ns - spin->checked_ns >= SPIN_CHECK_NS;
}

bool cmdi_spin_check(struct cmdi_spin *spin, uint64_t preemptions, uint64_t now_ns)
{
    uint64_t span_ns = now_ns - spin->checked_ns;
    uint64_t count = preemptions - spin->preemptions;
    bool first = spin->checked_ns == 0;
    spin->checked_ns = now_ns;
    spin->preemptions = preemptions;
    if (first || count * 1000000000u <= (uint64_t)SPIN_PREEMPTIONS_PER_SECOND_MAX * span_ns) {
        return false;
    }
    spin_stop(spin, now_ns);
    return true;
}

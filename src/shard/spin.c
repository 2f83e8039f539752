/* SPDX-License-Identifier: MIT */
/* The spin as a small state machine over times. One thread. */
#include "shard/spin.h"

#include "base/assert.h"
#include "base/time.h"

enum {
    SPIN_GAP_NS = 500 * CMDI_NS_PER_US, // Only a thread that lost the core is away so long.
    SPIN_STOP_NS_MIN = 20 * CMDI_NS_PER_MS,
    SPIN_STOP_NS_MAX = CMDI_NS_PER_S,
    SPIN_CHECK_NS = 50 * CMDI_NS_PER_MS,
    /*
     * The threads of the kernel alone interrupt a spinning thread some hundred times a second, for
     * microseconds; a shard that shares the core with the one it talks to is switched out with
     * every message, more than 10,000 times. A thread that takes whole slices is seen as a gap.
     */
    SPIN_PREEMPTIONS_PER_SECOND_MAX = 2000,
    SPIN_DOUBT_OF_SLEEP = 8, // So much of it is a sleep without a spin before.
    SPIN_DOUBT_MAX = 256 * SPIN_DOUBT_OF_SLEEP,
};

void cmdi_spin_init(struct cmdi_spin *spin, uint64_t budget_ns)
{
    *spin = (struct cmdi_spin){.budget_ns = budget_ns, .stop_ns = SPIN_STOP_NS_MIN};
}

uint64_t cmdi_spin_begin(struct cmdi_spin *spin, uint64_t now_ns)
{
    if (now_ns < spin->stopped_until_ns) {
        return 0;
    }
    if (spin->sleeps_left > 0) {
        spin->sleeps_left--;
        return 0;
    }
    return spin->budget_ns;
}

void cmdi_spin_end(struct cmdi_spin *spin, bool hit)
{
    uint32_t more = 2 * spin->doubt + SPIN_DOUBT_OF_SLEEP;
    if (hit) {
        spin->doubt -= (spin->doubt + 3) / 4;
    } else {
        spin->doubt = more < SPIN_DOUBT_MAX ? more : SPIN_DOUBT_MAX;
    }
    CMDI_ASSERT(spin->doubt <= SPIN_DOUBT_MAX);
    spin->sleeps_left = spin->doubt / SPIN_DOUBT_OF_SLEEP;
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
    CMDI_ASSERT(now_ns >= before_ns);
    if (now_ns - before_ns < SPIN_GAP_NS) {
        return false;
    }
    spin_stop(spin, now_ns);
    return true;
}

bool cmdi_spin_check_due(const struct cmdi_spin *spin, uint64_t now_ns)
{
    return spin->budget_ns != 0 && now_ns - spin->checked_ns >= SPIN_CHECK_NS;
}

bool cmdi_spin_check(struct cmdi_spin *spin, uint64_t preemptions, uint64_t now_ns)
{
    CMDI_ASSERT(now_ns >= spin->checked_ns && preemptions >= spin->preemptions);
    uint64_t span_ns = now_ns - spin->checked_ns;
    uint64_t count = preemptions - spin->preemptions;
    bool first = spin->checked_ns == 0;
    spin->checked_ns = now_ns;
    spin->preemptions = preemptions;
    if (first || count * CMDI_NS_PER_S <= (uint64_t)SPIN_PREEMPTIONS_PER_SECOND_MAX * span_ns) {
        return false;
    }
    spin_stop(spin, now_ns);
    return true;
}

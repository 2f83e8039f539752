/* SPDX-License-Identifier: MIT */
/* All that is left to chance: xoshiro256** of Blackman and Vigna, a stream for each purpose. */
#include "base/assert.h"
#include "base/time.h"
#include "sim/scheduler.h"
#include "sim/world.h"

static uint64_t chance_states[CMDI_CHANCE_COUNT][4];

static uint64_t splitmix(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15u;
    uint64_t value = *state;
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9u;
    value = (value ^ value >> 27) * 0x94d049bb133111ebu;
    return value ^ value >> 31;
}

void cmdi_sim_chance_begin(uint64_t seed)
{
    for (uint32_t i = 0; i < CMDI_CHANCE_COUNT; i++) {
        uint64_t state = seed + (uint64_t)i * 0xd1342543de82ef95u;
        for (uint32_t word = 0; word < 4; word++) {
            chance_states[i][word] = splitmix(&state);
        }
    }
}

static uint64_t rotate(uint64_t value, uint32_t by)
{
    return value << by | value >> (64 - by);
}

uint64_t cmdi_sim_draw(enum cmdi_chance chance)
{
    uint64_t *state = chance_states[chance];
    uint64_t value = rotate(state[1] * 5, 7) * 9;
    uint64_t shifted = state[1] << 17;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = rotate(state[3], 45);
    return value;
}

uint64_t cmdi_sim_below(enum cmdi_chance chance, uint64_t bound)
{
    // The high half of a product is even enough: nobody counts on a bias of 2^-32.
    return bound <= 1            ? 0
           : bound <= UINT32_MAX ? (cmdi_sim_draw(chance) >> 32) * bound >> 32
                                 : cmdi_sim_draw(chance) % bound;
}

uint64_t cmdi_sim_about(enum cmdi_chance chance, uint64_t mean)
{
    uint64_t value = mean / 2 + cmdi_sim_below(chance, mean + mean / 2 + 1);
    uint64_t rare = cmdi_sim_draw(chance);
    return rare % 256 != 0 ? value : value * (1 + rare / 256 % 8);
}

bool cmdi_sim_befalls(enum cmds_sim_fault kind, enum cmdi_chance chance, uint32_t n)
{
    const struct cmds_sim_options *options = cmdi_sim_options();
    return options != NULL && (options->faults & kind) != 0 &&
           cmdi_sim_now() < CMDI_SIM_BEGIN_NS + cmdi_ms_to_ns(options->faults_until_ms) &&
           cmdi_sim_below(chance, n) == 0;
}

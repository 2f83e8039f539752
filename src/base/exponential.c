/* SPDX-License-Identifier: MIT */
/* The tables of exponential.h, and sums over what several threads have recorded. */
#include "base/exponential.h"

const uint8_t cmdi_duration_guess[64] = {0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 3,
        3, 3, 3, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4, 5, 5, 5, 5, 5, 5, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6,
        6, 6, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7};

const uint64_t cmdi_duration_bounds[9] = {UINT64_C(9223372036854775808),
        UINT64_C(10058158527438640870), UINT64_C(10968499650544839023),
        UINT64_C(11961233684655323370), UINT64_C(13043817825332782212),
        UINT64_C(14224384202002324189), UINT64_C(15511800964685064948),
        UINT64_C(16915738899553466670), UINT64_MAX};

void cmdi_durations_merge(struct cmdi_durations *into, const struct cmdi_durations *from)
{
    into->zero += __atomic_load_n(&from->zero, __ATOMIC_RELAXED);
    cmdi_exponential_add_capped(&into->sum_ns, __atomic_load_n(&from->sum_ns, __ATOMIC_RELAXED));
    for (uint32_t i = 0; i < CMDI_DURATION_BUCKETS; i++) {
        into->buckets[i] += __atomic_load_n(&from->buckets[i], __ATOMIC_RELAXED);
    }
}

void cmdi_sizes_merge(struct cmdi_sizes *into, const struct cmdi_sizes *from)
{
    into->zero += __atomic_load_n(&from->zero, __ATOMIC_RELAXED);
    cmdi_exponential_add_capped(&into->sum, __atomic_load_n(&from->sum, __ATOMIC_RELAXED));
    for (uint32_t i = 0; i < CMDI_SIZE_BUCKETS; i++) {
        into->buckets[i] += __atomic_load_n(&from->buckets[i], __ATOMIC_RELAXED);
    }
}

void cmdi_frame_sizes_merge(struct cmdi_sizes *into, const struct cmdi_frame_sizes *from)
{
    uint64_t sum = __atomic_load_n(&from->beyond, __ATOMIC_RELAXED);
    for (uint32_t i = 0; i < CMDI_SIZE_BUCKETS; i++) {
        uint64_t cell = cmdi_frame_size_cell(UINT32_C(1) << i);
        uint64_t count = __atomic_load_n(&from->cells[cell], __ATOMIC_RELAXED);
        into->buckets[i] += count;
        sum += count;
    }
    cmdi_exponential_add_capped(&into->sum, sum);
}

/* SPDX-License-Identifier: MIT */
/* A dispatch strategy that looks at all it is given, and holds the library to what dispatch.h says. */
#ifndef CMDI_TESTS_SIM_STRATEGY_H
#define CMDI_TESTS_SIM_STRATEGY_H

#include <cmdstream/dispatch.h>

struct strategy {
    struct cmds_dispatch dispatch; // First.
    uint32_t connections, in_flight_max;
    uint32_t states; // Begun, and not ended.
};

void strategy_init(struct strategy *strategy, uint32_t connections, uint32_t in_flight_max);

#endif

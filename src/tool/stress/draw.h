/* SPDX-License-Identifier: MIT */
/* What a session or a caller sends next: all of it follows from (seed, number). */
#ifndef CMDSTREAM_TOOL_STRESS_DRAW_H
#define CMDSTREAM_TOOL_STRESS_DRAW_H

#include "stress/generate.h"
#include "stress/protocol.h"
#include "stress/stress.h"

struct stress_draw {
    enum stress_kind kind;
    uint32_t count, size, delay_ms, deadline_ms;
    bool forget, veto, resend;
};

union stress_value {
    struct stress_echo echo;
    struct stress_stream stream;
    struct stress_fail fail;
};

double stress_draw_share(const struct stress *stress, uint64_t number, enum stress_purpose purpose);
/** From 0 on, below `count`. `index`, from 1 on, tells several of one purpose apart. */
uint32_t stress_draw_below(const struct stress *stress, uint64_t number,
        enum stress_purpose purpose, uint64_t index, uint64_t count);
struct stress_draw stress_draw(const struct stress *stress, uint64_t number);
/** Owner: `value`, and the worker's text, until the message is sent. */
struct cmds_message stress_message(struct stress_worker *worker, const struct stress_draw *draw,
        uint64_t number, union stress_value *value);
/** How long to wait after a send that was refused. */
uint64_t stress_retry_ms(const struct stress *stress, uint64_t number);
/** The flight's command is about to be sent. */
void stress_flight_begin(
        struct stress_flight *flight, const struct stress_draw *draw, uint64_t number);

#endif

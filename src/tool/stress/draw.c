/* SPDX-License-Identifier: MIT */
/* See draw.h. */
#include "stress/draw.h"

enum {
    DRAW_RETRY_MAX_MS = 20
};

double stress_draw_share(const struct stress *stress, uint64_t number, enum stress_purpose purpose)
{
    return stress_share(stress_random(stress->options.seed, number, purpose));
}

uint32_t stress_draw_below(const struct stress *stress, uint64_t number,
        enum stress_purpose purpose, uint64_t index, uint64_t count)
{
    // A purpose that is asked for a share and a number needs two values: they are far from each other.
    uint64_t random = stress_random(stress->options.seed, number, purpose + (index << 32));
    return (uint32_t)stress_below(random, count);
}

struct stress_draw stress_draw(const struct stress *stress, uint64_t number)
{
    const struct stress_options *options = &stress->options;
    double kind = stress_draw_share(stress, number, STRESS_KIND);
    struct stress_draw draw = {.deadline_ms = options->deadline_ms};
    draw.kind = kind < options->fail_prob                        ? STRESS_KIND_FAIL
                : kind < options->fail_prob + options->echo_prob ? STRESS_KIND_ECHO
                                                                 : STRESS_KIND_STREAM;
    bool large = stress_draw_share(stress, number, STRESS_SIZE) < options->large_prob;
    uint64_t size_max = large ? STRESS_TEXT_MAX : options->payload_max;
    draw.size = stress_draw_below(stress, number, STRESS_SIZE, 1, size_max + 1);
    if (draw.kind == STRESS_KIND_STREAM) {
        draw.count = 1 + stress_draw_below(stress, number, STRESS_COUNT, 1, options->stream_max);
    }
    if (stress_draw_share(stress, number, STRESS_DELAY) < options->delay_prob) {
        draw.delay_ms = stress_draw_below(
                stress, number, STRESS_DELAY, 1, (uint64_t)options->delay_max_ms + 1);
    }
    if (stress_draw_share(stress, number, STRESS_DEADLINE) < options->short_prob) {
        draw.deadline_ms =
                1 + stress_draw_below(stress, number, STRESS_DEADLINE, 1, options->short_max_ms);
    }
    draw.forget = stress_draw_share(stress, number, STRESS_FORGET) < options->forget_prob;
    draw.resend = stress_draw_share(stress, number, STRESS_RESEND) < options->resend_prob;
    draw.veto = stress_draw_share(stress, number, STRESS_REFUSE) < options->veto_prob;
    return draw;
}

uint64_t stress_retry_ms(const struct stress *stress, uint64_t number)
{
    return 1 + stress_draw_below(stress, number, STRESS_PAUSE, 2, DRAW_RETRY_MAX_MS);
}

struct cmds_message stress_message(struct stress_worker *worker, const struct stress_draw *draw,
        uint64_t number, union stress_value *value)
{
    uint64_t seed = worker->stress->options.seed;
    switch (draw->kind) {
    case STRESS_KIND_ECHO:
        stress_write(worker->text, draw->size, stress_random(seed, number, STRESS_TEXT));
        value->echo = (struct stress_echo){
                (int64_t)seed, (int64_t)number, draw->delay_ms, {worker->text, draw->size}};
        return stress_echo_message(&value->echo);
    case STRESS_KIND_STREAM:
        value->stream = (struct stress_stream){
                (int64_t)seed, (int64_t)number, draw->delay_ms, draw->count, draw->size};
        return stress_stream_message(&value->stream);
    case STRESS_KIND_FAIL:
        break;
    }
    value->fail = (struct stress_fail){(int64_t)number, draw->delay_ms};
    return stress_fail_message(&value->fail);
}

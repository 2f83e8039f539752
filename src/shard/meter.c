/* SPDX-License-Identifier: MIT */
/* The meter's moves: each of them closes a span of time. */
#include "shard/meter.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <cmdstream/schema.h>

#include "base/time.h"
#include "shard/shard.h"

/* From BUSY to BUSY is the next turn. A shard spins or sleeps behind a turn, and then turns again. */
static const uint8_t meter_moves[] = {
        [CMDI_METER_AWAY] = 1 << CMDI_METER_BUSY,
        [CMDI_METER_BUSY] = 1 << CMDI_METER_AWAY | 1 << CMDI_METER_BUSY | 1 << CMDI_METER_SPIN |
                            1 << CMDI_METER_SLEEP,
        [CMDI_METER_SPIN] = 1 << CMDI_METER_AWAY | 1 << CMDI_METER_BUSY | 1 << CMDI_METER_SLEEP,
        [CMDI_METER_SLEEP] = 1 << CMDI_METER_AWAY | 1 << CMDI_METER_BUSY,
};

void cmdi_meter_init(struct cmdi_meter *meter, uint64_t now_ns, uint64_t stall_ns)
{
    meter->since_ns = now_ns;
    meter->stall_ns = stall_ns != 0 ? stall_ns : UINT64_MAX;
    (void)pthread_mutex_init(&meter->ran_lock, NULL); // Cannot fail without attributes.
}

void cmdi_meter_fini(struct cmdi_meter *meter)
{
    (void)pthread_mutex_destroy(&meter->ran_lock);
}

void cmdi_meter_ran_name(struct cmdi_meter *meter, char *name, size_t size)
{
    pthread_mutex_lock(&meter->ran_lock);
    const struct cmds_type *ran = atomic_load_explicit(&meter->ran, memory_order_relaxed);
    (void)snprintf(name, size, "%s", ran != NULL ? ran->schema->name : "");
    pthread_mutex_unlock(&meter->ran_lock);
}

void cmdi_meter_forget_types(struct cmdi_meter *meter)
{
    cmdi_meter_ran(meter, NULL);
    pthread_mutex_lock(&meter->ran_lock); // Whoever has read it before is done with it.
    pthread_mutex_unlock(&meter->ran_lock);
}

static void meter_end_turn(struct cmdi_meter *meter, uint64_t duration_ns)
{
    cmdi_durations_record(&meter->turns, duration_ns, 1);
    struct cmdi_turn_note *next = meter->notes;
    meter->notes = NULL; // Those that are added in here hear of the next turn.
    while (next != NULL) {
        struct cmdi_turn_note *note = next;
        next = note->next;
        note->fn(note, duration_ns);
    }
}

uint64_t cmdi_meter_move(struct cmdi_meter *meter, enum cmdi_meter_state state, uint64_t now_ns)
{
    CMDI_ASSERT((meter_moves[meter->state] & 1 << state) != 0 && now_ns >= meter->since_ns);
    uint64_t took_ns = now_ns - meter->since_ns;
    bool was_busy = meter->state == CMDI_METER_BUSY;
    cmdi_exponential_add(&meter->time_ns[meter->state], took_ns);
    meter->state = (uint8_t)state;
    meter->since_ns = now_ns;
    if (was_busy) {
        meter_end_turn(meter, took_ns);
    }
    if (CMDI_LIKELY(!was_busy || took_ns <= meter->stall_ns)) {
        return 0;
    }
    cmdi_exponential_add(&meter->stalls, 1);
    return took_ns;
}

void cmdi_shard_meter(struct cmdi_shard *shard, enum cmdi_meter_state state, uint64_t now_ns)
{
    const struct cmds_type *ran = atomic_load_explicit(&shard->meter.ran, memory_order_relaxed);
    uint64_t stall_ns = cmdi_meter_move(&shard->meter, state, now_ns);
    cmdi_meter_ran(&shard->meter, NULL);
    if (CMDI_UNLIKELY(stall_ns != 0)) {
        const struct cmds_log_record about = {.level = CMDS_LOG_WARN,
                .reason = CMDS_REASON_STALL,
                .type = ran != NULL ? ran->schema->name : NULL};
        cmdi_shard_log_about(shard, &about, "shard %u: a turn took %llu ms; what ran last: %s",
                shard->index, (unsigned long long)(stall_ns / CMDI_NS_PER_MS),
                ran != NULL ? ran->schema->name : "no command");
    }
}

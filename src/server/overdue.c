/* SPDX-License-Identifier: MIT */
/* See overdue.h. */
#include "server/overdue.h"

#include <cmdstream/inspect.h>

#include "base/time.h"
#include "ring/clock.h"
#include "ring/output.h"
#include "ring/signals.h"
#include "ring/thread.h"

enum {
    LOOK_MS = 100,
    GONE_MS = 500,  // Main waits for a shard.
    HELD_MS = 1000, // A shard does not come back; one that is busy does.
    SHARDS_MAX = 64,
};

static void overdue_say(struct cmds_runtime *runtime)
{
    static struct cmds_listed_shard shards[SHARDS_MAX]; // The process ends here.
    const struct cmds_listed_shard *longest = &shards[0];
    size_t count = 0;
    shards[0].struct_size = sizeof(shards[0]);
    (void)cmds_runtime_shards(runtime, shards, SHARDS_MAX, &count);
    for (size_t i = 1; i < count && i < SHARDS_MAX; i++) {
        longest = shards[i].turn_us > longest->turn_us ? &shards[i] : longest;
    }
    cmdi_say(true,
            "shard %u has been held up for %llu ms by %s, and the end cannot wait for it: the "
            "process ends, and what is open is cut",
            longest->shard, (unsigned long long)(longest->turn_us / 1000),
            longest->type[0] != '\0' ? longest->type : "a callback");
}

static void *overdue_main(void *argument)
{
    struct cmdi_overdue *overdue = argument;
    bool is_asked = false;
    while (atomic_load(&overdue->is_over) == 0) {
        uint64_t now_ns = cmdi_now_ns();
        bool is_gone = now_ns > atomic_load(&overdue->beat_ns) + cmdi_ms_to_ns(GONE_MS);
        is_asked = is_asked || (is_gone && cmdi_stop_signals_take());
        if (is_gone && (is_asked || now_ns > atomic_load(&overdue->until_ns)) &&
                !cmds_runtime_turns(overdue->runtime, HELD_MS)) {
            overdue_say(overdue->runtime);
            cmdi_process_end(overdue->status);
        }
        cmdi_futex_wait(&overdue->is_over, 0, cmdi_ms_to_ns(LOOK_MS));
    }
    return NULL;
}

void cmdi_overdue_begin(
        struct cmdi_overdue *overdue, struct cmds_runtime *runtime, uint64_t until_ns, int status)
{
    overdue->runtime = runtime;
    atomic_store(&overdue->until_ns, until_ns);
    overdue->status = status;
    atomic_store(&overdue->beat_ns, cmdi_now_ns());
    atomic_store(&overdue->is_over, 0);
    overdue->is_started =
            cmdi_thread_start(&overdue->thread, overdue_main, overdue, "cmds-overdue", 0) == 0;
}

void cmdi_overdue_end(struct cmdi_overdue *overdue)
{
    if (!overdue->is_started) {
        return;
    }
    atomic_store(&overdue->is_over, 1);
    cmdi_futex_wake(&overdue->is_over, 1);
    cmdi_thread_join(overdue->thread);
}

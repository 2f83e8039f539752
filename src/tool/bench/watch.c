/* SPDX-License-Identifier: MIT */
/*
 * --hooks: a circuit breaker that never opens and hooks that only count, to see what a command costs
 * more with them.
 */
#include "bench/bench.h"

static int watch_before_send(void *context, struct cmds_sent_command *command)
{
    (void)context;
    command->user = command;
    return 0;
}

static void watch_end(
        void *context, struct cmds_sent_command *command, const struct cmds_result *result)
{
    struct bench_watch *watch = context;
    if (result->last && command->user != command) {
        atomic_fetch_add_explicit(&watch->wrong, 1, memory_order_relaxed);
    }
}

int cmdi_bench_watch_open(struct bench *bench)
{
    struct bench_watch *watch = &bench->watch;
    struct cmds_breaker_options options = CMDS_BREAKER_OPTIONS_INIT;
    if (!bench->options.hooks) {
        return 0;
    }
    watch->hooks = (struct cmds_hooks)CMDS_HOOKS_INIT;
    watch->hooks.context = watch;
    watch->hooks.before_send = watch_before_send;
    watch->hooks.on_result = watch_end;
    watch->hooks.on_error = watch_end;
    watch->hooks.on_timeout = watch_end;
    watch->list[0] = &watch->hooks;
    return cmds_breaker_new(&watch->breaker, &options, NULL);
}

void cmdi_bench_watch_set(const struct bench *bench, struct cmds_group_options *options)
{
    if (bench->options.hooks) {
        options->hooks = bench->watch.list;
        options->hooks_count = 1;
        options->breaker = bench->watch.breaker;
    }
}

uint64_t cmdi_bench_watch_close(struct bench *bench)
{
    cmds_breaker_free(bench->watch.breaker);
    return atomic_load(&bench->watch.wrong);
}

/* SPDX-License-Identifier: MIT */
/*
 * What groups have in a scene whose servers go and come: hooks that count, a breaker of the group and
 * those of its endpoints, commands that are sent again, short pauses between two tries.
 */
#ifndef CMDI_TESTS_FAULT_TORTURE_MOVES_H
#define CMDI_TESTS_FAULT_TORTURE_MOVES_H

#include <stdatomic.h>

#include <cmdstream/cmdstream.h>

struct torture_moves {
    struct cmds_hooks hooks;
    const struct cmds_hooks *list[1];
    struct cmds_breaker_options breaker_options;
    struct cmds_breaker *breaker;
    _Atomic uint32_t begun, over; // Commands, as hooks see them.
};

static inline int torture_moves_before(void *context, struct cmds_sent_command *command)
{
    struct torture_moves *moves = context;
    (void)command;
    atomic_fetch_add(&moves->begun, 1);
    return 0;
}

static inline void torture_moves_after(
        void *context, struct cmds_sent_command *command, const struct cmds_result *result)
{
    struct torture_moves *moves = context;
    (void)command;
    atomic_fetch_add(&moves->over, result->last);
}

/* Returns: 0, or why there is no breaker. */
static inline int torture_moves_init(struct torture_moves *moves, struct cmds_error *error)
{
    moves->hooks = (struct cmds_hooks)CMDS_HOOKS_INIT;
    moves->hooks.context = moves;
    moves->hooks.before_send = torture_moves_before;
    moves->hooks.on_result = torture_moves_after;
    moves->hooks.on_error = torture_moves_after;
    moves->hooks.on_timeout = torture_moves_after;
    moves->list[0] = &moves->hooks;
    moves->breaker_options = (struct cmds_breaker_options)CMDS_BREAKER_OPTIONS_INIT;
    moves->breaker_options.open_ms = 5;
    moves->breaker_options.window_size = 40;
    return cmds_breaker_new(&moves->breaker, &moves->breaker_options, error);
}

/* For as long as `moves` lives. */
static inline void torture_moves_set(
        struct torture_moves *moves, struct cmds_group_options *options)
{
    options->hooks = moves->list;
    options->hooks_count = 1;
    options->breaker = moves->breaker;
    options->endpoint_breaker = &moves->breaker_options;
    options->resend = CMDS_RESEND_ONCE;
    options->reconnect_delay_ms = 2;
    options->reconnect_delay_max_ms = 20;
}

#endif

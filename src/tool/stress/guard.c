/* SPDX-License-Identifier: MIT */
/*
 * Hooks and circuit breakers of the clients' groups. Checked of the hooks: each command that they let pass
 * ends once for them, its results come to them first and are numbered, and what they keep in it stays.
 *
 * Of the sessions without pauses a lost connection loses a hundred commands at once, which would open a
 * breaker with the window of ten of the Go test each time: theirs is longer, and not open for so long.
 */
#include <errno.h>

#include "stress/stress.h"

enum {
    GUARD_WINDOW_TIMES = 100,
    GUARD_WINDOW_MAX = 65536,
    GUARD_OPEN_PART = 10,
};

/* A caller's sends have no `data`. */
static void *guard_token(struct stress_lot *lot, const struct cmds_sent_command *command)
{
    return command->data != NULL ? command->data : lot;
}

static uint64_t guard_number(const struct cmds_sent_command *command)
{
    const struct stress_flight *flight = command->data;
    return flight != NULL ? flight->number : 0;
}

static struct stress_worker *guard_look(
        struct stress_lot *lot, const struct cmds_sent_command *command)
{
    struct stress_worker *here = stress_worker_here(lot->stress);
    if (command->user != guard_token(lot, command)) {
        stress_wrong(here, guard_number(command), "what a hook has kept is another one's");
    }
    return here;
}

static int guard_before_send(void *context, struct cmds_sent_command *command)
{
    struct stress_lot *lot = context;
    struct stress_worker *here = stress_worker_here(lot->stress);
    const struct stress_flight *flight = command->data;
    if (command->user != NULL || command->sequence != 0 || command->value == NULL) {
        stress_wrong(here, guard_number(command),
                "a command that a hook sees before it is sent has been used");
    }
    if (flight != NULL && flight->veto) {
        return STRESS_VETO;
    }
    command->user = guard_token(lot, command);
    STRESS_COUNT(here, hooked);
    return 0;
}

/* A caller looks at its results later, on another thread: theirs are not compared. */
static bool guard_is_next(const struct cmds_sent_command *command)
{
    const struct stress_flight *flight = command->data;
    return flight == NULL ? command->result_count > 0
                          : command->result_count == (uint64_t)flight->got + 1;
}

static void guard_on_result(
        void *context, struct cmds_sent_command *command, const struct cmds_result *result)
{
    struct stress_worker *here = guard_look(context, command);
    if (result->error != 0 || !guard_is_next(command) || command->sequence != result->sequence) {
        stress_wrong(here, guard_number(command), "a hook got a result that is not the next one");
    }
    if (result->last) {
        STRESS_COUNT(here, hook_ends);
    }
}

static void guard_on_error(
        void *context, struct cmds_sent_command *command, const struct cmds_result *result)
{
    struct stress_worker *here = guard_look(context, command);
    if (result->error >= 0 || result->error == CMDS_E_TIMEOUT) {
        stress_wrong(here, guard_number(command), "a hook for errors got something else");
    }
    STRESS_COUNT(here, hook_ends);
}

static void guard_on_timeout(
        void *context, struct cmds_sent_command *command, const struct cmds_result *result)
{
    struct stress_worker *here = guard_look(context, command);
    if (result->error != CMDS_E_TIMEOUT) {
        stress_wrong(here, guard_number(command), "a hook for deadlines got something else");
    }
    STRESS_COUNT(here, hook_ends);
}

static int guard_make_breaker(struct stress_lot *lot, struct cmds_error *error)
{
    const struct stress_options *from = &lot->stress->options;
    struct cmds_breaker_options options = CMDS_BREAKER_OPTIONS_INIT;
    uint64_t window = from->breaker_window_size;
    window = lot->manner == STRESS_LOT_SLOW ? window : window * GUARD_WINDOW_TIMES;
    options.window_size = (uint32_t)(window < GUARD_WINDOW_MAX ? window : GUARD_WINDOW_MAX);
    options.failure_rate = from->breaker_failure_rate;
    uint32_t open_ms = lot->manner == STRESS_LOT_SLOW ? from->breaker_open_ms
                                                      : from->breaker_open_ms / GUARD_OPEN_PART;
    options.open_ms = open_ms > 0 ? open_ms : 1;
    options.success_threshold = from->breaker_success_threshold;
    return cmds_breaker_new(&lot->breaker, &options, error);
}

int stress_guard_make(
        struct stress_lot *lot, struct cmds_group_options *options, struct cmds_error *error)
{
    lot->hooks = (struct cmds_hooks)CMDS_HOOKS_INIT;
    lot->hooks.context = lot;
    lot->hooks.before_send = guard_before_send;
    lot->hooks.on_result = guard_on_result;
    lot->hooks.on_error = guard_on_error;
    lot->hooks.on_timeout = guard_on_timeout;
    lot->hooks_list[0] = &lot->hooks;
    options->hooks = lot->hooks_list;
    options->hooks_count = 1;
    int code = lot->stress->options.no_breaker || lot->breaker != NULL
                       ? 0
                       : guard_make_breaker(lot, error);
    options->breaker = lot->breaker;
    return code;
}

void stress_guard_free(struct stress_lot *lot)
{
    struct cmds_breaker_info info = CMDS_BREAKER_INFO_INIT;
    if (lot->breaker != NULL) {
        cmds_breaker_look(lot->breaker, &info);
        lot->opened = info.opened;
        lot->refused = info.refused;
        cmds_breaker_free(lot->breaker);
        lot->breaker = NULL;
    }
}

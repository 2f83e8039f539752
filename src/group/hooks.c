/* SPDX-License-Identifier: MIT */
/* The chain of hooks. Each has its own `user` of a command, which the command shows while it runs. */
#include "group/hooks.h"

#include <errno.h>

#include "base/error.h"
#include "base/options.h"

int cmdi_hooks_take(struct cmdi_hooks *hooks, const struct cmds_group_options *options,
        struct cmds_error *error)
{
    hooks->count = 0;
    if (options->hooks_count > CMDS_HOOKS_MAX) {
        return cmdi_fail(
                error, -EINVAL, "hooks_count %u: at most %d", options->hooks_count, CMDS_HOOKS_MAX);
    }
    for (uint32_t i = 0; i < options->hooks_count; i++) {
        struct cmds_hooks *mine = &hooks->items[i];
        if (options->hooks == NULL || options->hooks[i] == NULL) {
            return cmdi_fail(error, -EINVAL, "hooks: number %u is NULL", i);
        }
        int code = cmdi_options_take(mine, sizeof(*mine), options->hooks[i], "cmds_hooks", error);
        code = code < 0 ? code : cmdi_unused_check(mine->unused, "cmds_hooks", error);
        if (code < 0) {
            return code;
        }
    }
    hooks->count = options->hooks_count;
    return 0;
}

static void hooks_tell_one(const struct cmds_hooks *item, struct cmds_sent_command *command,
        const struct cmds_result *result)
{
    void (*fn)(void *, struct cmds_sent_command *, const struct cmds_result *) =
            result->error == 0                ? item->on_result
            : result->error == CMDS_E_TIMEOUT ? item->on_timeout
                                              : item->on_error;
    if (fn != NULL) {
        fn(item->context, command, result);
    }
}

/* The first `count` of them, backwards. */
static void hooks_tell_first(const struct cmdi_hooks *hooks, uint32_t count,
        struct cmds_sent_command *command, void **users, const struct cmds_result *result)
{
    for (uint32_t i = count; i-- > 0;) {
        command->user = users[i];
        hooks_tell_one(&hooks->items[i], command, result);
        users[i] = command->user;
    }
}

int cmdi_hooks_before(
        const struct cmdi_hooks *hooks, struct cmds_sent_command *command, void **users)
{
    for (uint32_t i = 0; i < hooks->count; i++) {
        const struct cmds_hooks *item = &hooks->items[i];
        command->user = NULL;
        int code = item->before_send != NULL ? item->before_send(item->context, command) : 0;
        users[i] = command->user;
        if (code != 0) {
            int refusal = code < 0 ? code : CMDS_E_NOT_ALLOWED;
            struct cmds_error why = CMDS_ERROR_INIT;
            struct cmdi_code_text room;
            (void)cmdi_fail(&why, refusal, "before_send of a hook returned %s",
                    cmdi_program_code(&room, code));
            struct cmds_result veto = {.error = refusal, .last = true, .text = why.text};
            hooks_tell_first(hooks, i, command, users, &veto);
            return refusal;
        }
    }
    return 0;
}

void cmdi_hooks_tell(const struct cmdi_hooks *hooks, struct cmds_sent_command *command,
        void **users, const struct cmds_result *result)
{
    hooks_tell_first(hooks, hooks->count, command, users, result);
}

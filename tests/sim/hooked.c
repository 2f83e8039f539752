/* SPDX-License-Identifier: MIT */
/* Hooks that know which commands are under way: see hooked.h. */
#include "sim/hooked.h"

#include <string.h>

#include "sim/oracle.h"

static int hooked_before(void *context, struct cmds_sent_command *command)
{
    struct hooked_one *one = context;
    uint64_t place = one->begun++ % HOOKED_PLACES;
    if (command->user != NULL || command->value == NULL || one->is_under_way[place]) {
        (void)oracle_fail("a command begins that its hooks have seen before");
    }
    one->is_under_way[place] = true;
    command->user = &one->is_under_way[place];
    return 0;
}

static void hooked_after(
        void *context, struct cmds_sent_command *command, const struct cmds_result *result)
{
    struct hooked_one *one = context;
    bool *is_under_way = command->user;
    if (is_under_way == NULL || !*is_under_way || (result->error != 0 && !result->last)) {
        (void)oracle_fail("hooks see a result (%s) of a command that has ended",
                cmds_error_name(result->error));
    } else if (result->last) {
        *is_under_way = false;
        one->ended++;
    }
}

static void hooked_on_time(
        void *context, struct cmds_sent_command *command, const struct cmds_result *result)
{
    if (result->error != CMDS_E_TIMEOUT) {
        (void)oracle_fail("on_timeout with %s", cmds_error_name(result->error));
    }
    hooked_after(context, command, result);
}

void hooked_begin(struct hooked *hooked)
{
    struct cmds_breaker_options options = CMDS_BREAKER_OPTIONS_INIT;
    memset(hooked, 0, sizeof(*hooked));
    options.window_size = 65536;
    options.failure_rate = 1;
    hooked->endpoint_breaker = options;
    if (cmds_breaker_new(&hooked->breaker, &options, NULL) < 0) {
        hooked->breaker = NULL;
    }
    for (int i = 0; i < HOOKED_COUNT; i++) {
        hooked->hooks[i] = (struct cmds_hooks){.struct_size = sizeof(struct cmds_hooks),
                .context = &hooked->ones[i],
                .before_send = hooked_before,
                .on_result = hooked_after,
                .on_error = hooked_after,
                .on_timeout = hooked_on_time};
        hooked->list[i] = &hooked->hooks[i];
    }
}

void hooked_set(struct hooked *hooked, struct cmds_group_options *options)
{
    options->hooks = hooked->list;
    options->hooks_count = HOOKED_COUNT;
    options->breaker = hooked->breaker;
    options->endpoint_breaker = &hooked->endpoint_breaker;
}

void hooked_end(struct hooked *hooked, uint32_t number)
{
    for (int i = 0; i < HOOKED_COUNT; i++) {
        const struct hooked_one *one = &hooked->ones[i];
        if (one->begun != one->ended || one->begun != hooked->ones[0].begun) {
            (void)oracle_fail("number %u: hooks saw %llu commands begin and %llu end", number,
                    (unsigned long long)one->begun, (unsigned long long)one->ended);
        }
    }
    cmds_breaker_free(hooked->breaker);
}

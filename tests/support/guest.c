/* SPDX-License-Identifier: MIT */
/* A group in a world. See guest.h. */
#include "support/guest.h"

#include <stdio.h>
#include <string.h>

static void guest_on_writable(void *context)
{
    atomic_fetch_add(&((struct guest *)context)->writable, 1);
}

static void guest_on_unexpected(void *context, const struct cmds_result *result)
{
    answers_take(((struct guest *)context)->unexpected, result);
}

static void guest_on_state(void *context, uint32_t client, enum cmds_connection_state state,
        const struct cmds_error *cause)
{
    struct guest *guest = context;
    (void)client;
    bool may_come_back = guest->options.reconnect_delay_ms != CMDS_NEVER;
    bool is_known = state == CMDS_CONNECTION_UP || state == CMDS_CONNECTION_DOWN || may_come_back;
    if (!is_known || (state == CMDS_CONNECTION_UP) != (cause->code == 0)) {
        atomic_fetch_add(&guest->odd, 1);
    }
    atomic_store(&guest->cause, cause->code);
    atomic_fetch_add(&guest->up, state == CMDS_CONNECTION_UP);
    atomic_fetch_add(&guest->down, state == CMDS_CONNECTION_DOWN);
}

void guest_on_closed(void *context)
{
    atomic_store(&((struct guest *)context)->closed, 1);
}

void guest_init(struct guest *guest)
{
    memset(guest, 0, sizeof(*guest));
    guest->options = (struct cmds_group_options)CMDS_GROUP_OPTIONS_INIT(&world_protocol);
    // What these tests see is one connection; see test_sim_reconnect for those that come back.
    guest->options.reconnect_delay_ms = CMDS_NEVER;
    guest->options.context = guest;
    guest->options.on_writable = guest_on_writable;
    guest->options.on_unexpected = guest_on_unexpected;
    guest->options.on_state = guest_on_state;
    guest->answers = answers_new();
    guest->unexpected = answers_new();
}

int guest_open(struct guest *guest, struct cmds_runtime *runtime, const char *address)
{
    guest->options.connect = address;
    int code = cmds_group_open(&guest->group, runtime, &guest->options, &guest->error);
    if (code < 0) {
        fprintf(stderr, "%s\n", guest->error.text);
    }
    return code;
}

void guest_close(struct guest *guest, const struct world *world)
{
    cmds_group_close(guest->group, guest_on_closed, guest);
    WORLD_UNTIL(world, atomic_load(&guest->closed) == 1);
    CU_ASSERT_EQUAL(atomic_load(&guest->odd), 0);
    answers_free(guest->answers);
    answers_free(guest->unexpected);
}

int guest_echo(struct guest *guest, int64_t number, const struct cmds_send_options *how)
{
    struct echo echo = {true, number, CMDS_STRING("hi"), 0.5};
    return cmds_group_send(guest->group, echo_message(&echo), how, answers_take, guest->answers);
}

int guest_run(
        struct guest *guest, int64_t what, int64_t number, const struct cmds_send_options *how)
{
    struct run run = {what, number, CMDS_STRING("")};
    return cmds_group_send(guest->group, run_message(&run), how, answers_take, guest->answers);
}

uint32_t guest_last(struct guest *guest)
{
    return atomic_load(&guest->answers->last_count);
}

void guest_start(struct guest *guest, struct world *world)
{
    CU_ASSERT_FATAL(world_start(world) == 0);
    CU_ASSERT_FATAL(guest_open(guest, world->runtime, world->address) == 0);
    CU_ASSERT_FATAL(cmds_group_wait(guest->group, RAW_GUARD_MS, &guest->error) == 0);
}

_Atomic(struct cmds_call *) kept_calls[KEPT_MAX];
_Atomic uint32_t kept_count;

static int exec_keep(struct cmds_call *call, const struct run *run)
{
    (void)run;
    int code = cmds_call_keep_command(call);
    if (code == 0) {
        atomic_store(&kept_calls[atomic_fetch_add(&kept_count, 1) % KEPT_MAX], cmds_call_ref(call));
    }
    return code;
}

void kept_answer(uint32_t index)
{
    struct cmds_call *call = atomic_exchange(&kept_calls[index], NULL);
    const struct run *run = run_of(call);
    (void)world_send_item(call, run->number, true); // CMDS_E_GONE when the test has closed it.
    cmds_call_unref(call);
}

void kept_init(struct world *world)
{
    atomic_store(&kept_count, 0);
    world->exec = exec_keep;
}

struct cmds_group_counters guest_counters(const struct guest *guest)
{
    struct cmds_group_counters counters = CMDS_GROUP_COUNTERS_INIT;
    CU_ASSERT_EQUAL(cmds_group_stats(guest->group, &counters), 0);
    return counters;
}

/* SPDX-License-Identifier: MIT */
/* Breakers of endpoints, and the permits of commands. See guard.h. */
#include "group/guard.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/hint.h"
#include "base/time.h"
#include "group/breaker.h"
#include "group/ref.h"
#include "ring/clock.h"

/** The permit of one command, of the endpoint to whose connection it went. */
struct cmdi_pass {
    struct cmdi_stocked stocked;
    struct cmdi_client *client;   // Which takes it.
    struct cmds_breaker *breaker; // NULL: the permit was given back for good.
    uint64_t permit;
    bool has_counted;         // The breaker knows how it went.
    cmds_result_fn on_result; // Of the command, with its context.
    void *context;
};

/* --- Breakers --------------------------------------------------------------------------------- */

int cmdi_guard_init(struct cmdi_guard *guard, const struct cmds_group_options *options,
        struct cmds_error *error)
{
    int code = 0;
    if (options->endpoint_breaker != NULL) {
        code = cmdi_breaker_options_take(&guard->options, options->endpoint_breaker, error);
    }
    guard->is_used = options->endpoint_breaker != NULL && code == 0;
    cmdi_stock_init(&guard->stock, sizeof(struct cmdi_pass), NULL);
    return code;
}

void cmdi_guard_fini(struct cmdi_guard *guard)
{
    cmdi_stock_fini(&guard->stock);
}

static struct cmds_breaker *guard_make(void *context)
{
    const struct cmds_group *group = context;
    return cmdi_breaker_make(&group->guard.options, true);
}

static void guard_give_to(
        void *context, struct cmds_breaker *breaker, const struct cmdi_endpoint *endpoint)
{
    if (endpoint != NULL) {
        cmdi_breaker_give_to(breaker, context, atomic_load(&endpoint->number), endpoint->text);
    } else {
        cmdi_breaker_give_to(breaker, NULL, 0, "");
    }
}

const struct cmdi_endpoint_ops cmdi_guard_endpoint_ops = {
        .make = guard_make,
        .give_to = guard_give_to,
        .free = cmds_breaker_free,
};

/* --- Permits ---------------------------------------------------------------------------------- */

size_t cmdi_pass_size(void)
{
    return sizeof(struct cmdi_pass);
}

/* A trial's place is free with the first report: what comes after it is no trial. */
static void pass_report(struct cmdi_pass *pass, enum cmds_breaker_outcome outcome, uint64_t now_ms)
{
    uint64_t permit = pass->permit;
    CMDI_ASSERT(pass->breaker != NULL);
    pass->has_counted = true;
    pass->permit &= ~CMDI_BREAKER_TRIAL;
    cmdi_breaker_report(pass->breaker, permit, outcome, now_ms);
}

static void pass_end(struct cmdi_pass *pass)
{
    pass->breaker = NULL;
    cmdi_stock_give_back(&pass->stocked);
}

void cmdi_guard_drop(struct cmdi_pass *pass)
{
    if (pass != NULL) {
        CMDI_ASSERT(!pass->has_counted);
        pass_report(pass, CMDS_BREAKER_IGNORED, 0);
        pass_end(pass);
    }
}

/* What waited for one endpoint and was sent to another says nothing of either. */
static bool pass_is_of_another(const struct cmdi_pass *pass)
{
    const struct cmdi_endpoint *endpoint = cmdi_client_endpoint(pass->client);
    return endpoint == NULL || endpoint->breaker != pass->breaker;
}

/* On the client's shard. */
static void pass_on_result(void *context, const struct cmds_result *result)
{
    struct cmdi_pass *pass = context;
    cmds_result_fn on_result = pass->on_result;
    void *program = pass->context;
    enum cmds_breaker_outcome outcome;
    CMDI_ASSERT(pass->breaker != NULL);
    if (cmdi_breaker_counts(pass->breaker, pass->has_counted, result, &outcome)) {
        outcome = pass_is_of_another(pass) ? CMDS_BREAKER_IGNORED : outcome;
        pass_report(pass, outcome,
                outcome == CMDS_BREAKER_FAILURE
                        ? cmdi_client_shard_now_ms(pass->client->client_shard)
                        : 0);
    }
    if (result->last) {
        pass_end(pass);
    }
    on_result(program, result);
}

static struct cmdi_stock *pass_stock(struct cmds_group *group)
{
    struct cmdi_group_shard *here = cmdi_group_here(group);
    return here != NULL ? &here->pass_stock : &group->guard.stock;
}

int cmdi_guard_claim(struct cmdi_client *client, struct cmds_breaker *breaker, uint64_t now_ms,
        const struct cmdi_command *command, struct cmdi_guarded *guarded)
{
    uint64_t permit;
    guarded->pass = NULL;
    guarded->command = *command;
    if (command->on_result == NULL) {
        return cmdi_breaker_passes(breaker, &permit) ? 0 : CMDS_E_NOT_ALLOWED;
    }
    struct cmdi_stock *stock = pass_stock(cmdi_group_shard_of(client)->group);
    struct cmdi_pass *pass = cmdi_stock_take(stock);
    if (pass == NULL) {
        return cmdi_pool_lack(&stock->pool);
    }
    int code = cmdi_breaker_allow(breaker, now_ms, &permit);
    if (CMDI_UNLIKELY(code < 0)) {
        cmdi_stock_give_back(&pass->stocked);
        return code;
    }
    pass->client = client;
    pass->breaker = breaker;
    pass->permit = permit;
    pass->has_counted = false;
    pass->on_result = command->on_result;
    pass->context = command->context;
    guarded->pass = pass;
    guarded->command.on_result = pass_on_result;
    guarded->command.context = pass;
    return 0;
}

struct cmdi_pass *cmdi_guard_unwrap(struct cmdi_command *command)
{
    struct cmdi_pass *pass = NULL;
    if (command->on_result == pass_on_result) {
        pass = command->context;
        command->on_result = pass->on_result;
        command->context = pass->context;
    }
    return pass;
}

/* --- Words ------------------------------------------------------------------------------------ */

static void explain_one(const struct cmds_breaker_info *info, uint64_t now_count, const char *whom,
        struct cmds_error *error)
{
    char whose[48] = "";
    if (now_count > 1) {
        (void)snprintf(whose, sizeof(whose), "s of all %" PRIu64 " endpoints", now_count);
    }
    const char *are = now_count > 1 ? "are" : "is";
    if (info->state != CMDS_BREAKER_OPEN) {
        (void)cmdi_fail(error, CMDS_E_NOT_ALLOWED,
                "send: the circuit breaker%s %s open: %s is being tried", whose, are, whom);
    } else if (info->open_left_ms == UINT64_MAX) {
        (void)cmdi_fail(error, CMDS_E_NOT_ALLOWED,
                "send: the circuit breaker%s %s open: %s is not tried before a reset", whose, are,
                whom);
    } else {
        (void)cmdi_fail(error, CMDS_E_NOT_ALLOWED,
                "send: the circuit breaker%s %s open: %s is tried again in %" PRIu64 " ms", whose,
                are, whom, info->open_left_ms);
    }
}

/* Of those that have connections: which is tried first? Returns: how many there are. */
static uint32_t guard_find_first(struct cmds_group *group, uint64_t now_ms,
        struct cmds_breaker_info *first, char *whom, size_t whom_size)
{
    uint32_t count = 0;
    struct cmdi_endpoint *endpoint = NULL;
    for (uint32_t i = 0; (endpoint = cmdi_endpoints_at(&group->endpoints, i)) != NULL; i++) {
        struct cmds_breaker_info info = CMDS_BREAKER_INFO_INIT;
        cmdi_breaker_look(endpoint->breaker, now_ms, &info);
        bool has_clients = atomic_load(&endpoint->slot_count) > 0;
        if (has_clients && (count == 0 || info.open_left_ms < first->open_left_ms)) {
            *first = info;
            (void)snprintf(whom, whom_size, "%s", endpoint->text);
        }
        count += has_clients;
        cmdi_endpoint_unref(endpoint);
    }
    return count;
}

void cmdi_guard_explain(struct cmds_group *group, struct cmds_error *error)
{
    struct cmds_breaker_info info = CMDS_BREAKER_INFO_INIT;
    uint64_t now_ms = cmdi_ns_to_ms(cmdi_now_ns());
    char whom[272] = "";
    uint32_t count = 0;
    if (group->tracker.breaker != NULL) {
        cmdi_breaker_look(group->tracker.breaker, now_ms, &info);
    }
    if (info.state != CMDS_BREAKER_CLOSED) {
        count = 1;
        (void)snprintf(whom, sizeof(whom), "%s", group->options.connect);
    } else if (group->guard.is_used && cmdi_group_enter(group)) {
        count = guard_find_first(group, now_ms, &info, whom, sizeof(whom));
        cmdi_group_leave(group);
    }
    if (count > 0 && info.state != CMDS_BREAKER_CLOSED) {
        explain_one(&info, count, whom, error);
    } else { // A hook's word, or it has closed since.
        (void)cmdi_fail(error, CMDS_E_NOT_ALLOWED, "send: %s", cmds_error_text(CMDS_E_NOT_ALLOWED));
    }
}

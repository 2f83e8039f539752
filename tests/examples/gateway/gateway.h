/* SPDX-License-Identifier: MIT */
/*
 * The gateway: for each page it asks several services at once, and answers when all have answered or
 * have failed: a page without its rating is better than no page.
 *
 *     deadline   each part has GATEWAY_PART_MS, a page what exec_timeout_ms says: nobody waits longer
 *     breaker    of a service that keeps failing the part is missing at once
 *     again      a part whose connection was lost is asked for once more: to read twice does no harm
 *
 * All that happens to a call happens on its shard, so a page needs no lock.
 */
#ifndef GATEWAY_H
#define GATEWAY_H

#include <errno.h>
#include <stdlib.h>

#include "pages.h"

enum {
    GATEWAY_PARTS = 3,
    GATEWAY_PART_MS = 1000,
    GATEWAY_PAGE_MS = 5000,
    GATEWAY_AGAIN_MS = 20, // A service that ends takes its other connections along.
};

struct gateway_upstream {
    const char *name, *address;
    struct cmds_breaker *breaker;
    struct cmds_group *group;
};
struct gateway {
    struct gateway_upstream upstreams[GATEWAY_PARTS];
    struct cmds_server *server;
    char address[64]; // "127.0.0.1:0" at first; then with the port that it got.
};

/* The context of a call. */
struct gateway_page {
    struct part_get question;
    struct page_part parts[GATEWAY_PARTS];
    bool is_lost[GATEWAY_PARTS],
            was_lost[GATEWAY_PARTS]; // Waits to be asked again; was asked again.
    uint32_t left;
};

/* A part has a value, or is missing. The last one answers the call. */
static void gateway_put(struct cmds_call *call, uint32_t i, int64_t value, int code)
{
    struct gateway_page *mine = cmds_call_context(call);
    mine->parts[i].value = value;
    mine->parts[i].error = code;
    if (--mine->left == 0) {
        struct page_whole whole = {.parts = {mine->parts, GATEWAY_PARTS}};
        (void)cmds_call_send(call, page_whole_message(&whole)); // CMDS_E_GONE: nobody waits.
        free(mine);
    }
}

static void gateway_ask(struct cmds_call *call, uint32_t i);

static void gateway_ask_again(struct cmds_call *call)
{
    struct gateway_page *mine = cmds_call_context(call);
    bool is_lost[GATEWAY_PARTS];
    memcpy(is_lost, mine->is_lost, sizeof(is_lost));
    memset(mine->is_lost, 0, sizeof(mine->is_lost));
    for (uint32_t i = 0; i < GATEWAY_PARTS; i++) {
        if (is_lost[i]) {
            gateway_ask(call, i);
        }
    }
}

/* `context`: which part. */
static void gateway_on_part(struct cmds_call *call, void *context, const struct cmds_result *result)
{
    uint32_t i = (uint32_t)(uintptr_t)context;
    struct gateway_page *mine = cmds_call_context(call);
    const struct part_value *value = part_value_of(result);
    if (value != NULL) {
        gateway_put(call, i, value->value, 0);
        return;
    }
    int code = cmds_result_cause(result);
    if (code == CMDS_E_LOST && !mine->was_lost[i]) {
        int again = cmds_call_after(call, GATEWAY_AGAIN_MS, gateway_ask_again);
        if (again == 0 || again == -EBUSY) { // Busy: another part was lost just now.
            mine->is_lost[i] = mine->was_lost[i] = true;
            return;
        }
    }
    gateway_put(call, i, 0, code);
}

static void gateway_ask(struct cmds_call *call, uint32_t i)
{
    struct gateway *gateway = cmds_call_receiver(call);
    struct gateway_page *mine = cmds_call_context(call);
    int code = cmds_group_forward(gateway->upstreams[i].group, part_get_message(&mine->question),
            NULL, call, gateway_on_part, (void *)(uintptr_t)i);
    if (code < 0) {
        gateway_put(call, i, 0, code); // CMDS_E_NOT_ALLOWED: the breaker is open.
    }
}

static int gateway_get(struct cmds_call *call, const struct page_get *get)
{
    struct gateway *gateway = cmds_call_receiver(call);
    struct gateway_page *mine = calloc(1, sizeof(*mine)); // A busy one would keep a stock of them.
    if (mine == NULL) {
        return -ENOMEM;
    }
    cmds_call_set_context(call, mine);
    mine->question.sku = get->sku;
    mine->left = GATEWAY_PARTS;
    for (uint32_t i = 0; i < GATEWAY_PARTS; i++) {
        mine->parts[i].name = cmds_string_from(gateway->upstreams[i].name);
    }
    for (uint32_t i = 0; i < GATEWAY_PARTS; i++) {
        gateway_ask(call, i); // If it answers the call, this was the last one.
    }
    return 0;
}

static const struct cmds_exec gateway_execs[] = {CMDS_EXEC(page_get, gateway_get)};

static int gateway_connect(
        struct gateway_upstream *upstream, struct cmds_runtime *runtime, struct cmds_error *error)
{
    struct cmds_breaker_options breaker = CMDS_BREAKER_OPTIONS_INIT;
    breaker.window_size = 4;
    breaker.failure_rate = 0.5;
    breaker.open_ms = 2000;
    int code = cmds_breaker_new(&upstream->breaker, &breaker, error);
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(&part);
    options.connect = upstream->address;
    options.client_count = cmds_runtime_shard_count(runtime); // One for each shard.
    options.deadline_ms = GATEWAY_PART_MS;
    options.breaker = upstream->breaker;
    return code < 0 ? code : cmds_group_open(&upstream->group, runtime, &options, error);
}

static int gateway_serve(
        struct gateway *gateway, struct cmds_runtime *runtime, struct cmds_error *error)
{
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&page, gateway_execs);
    options.listen = gateway->address;
    options.receiver = gateway;
    options.exec_timeout_ms = GATEWAY_PAGE_MS;
    int code = cmds_server_start(&gateway->server, runtime, &options, error);
    return code < 0 ? code
                    : cmds_server_address(
                              gateway->server, 0, gateway->address, sizeof(gateway->address));
}

#endif

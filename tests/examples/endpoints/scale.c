/* SPDX-License-Identifier: MIT */
/*
 * A group with several servers, of which some go and others come. The servers are in this program, so
 * that it can be seen who does the work; to a group they are addresses like any others, and with
 * connect = "dns:shop:9000" it would find them by itself.
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>

#include <cmdstream/cmdstream.h>

struct buy {
    int64_t number;
};
struct bought {
    int64_t number;
};
CMDS_COMMAND(buy, 0, number);
CMDS_RESULT(bought, 0, number);
static const struct cmds_type *const commands[] = {&buy_type};
static const struct cmds_type *const results[] = {&bought_type};
static const struct cmds_protocol protocol = CMDS_PROTOCOL("shop", commands, results);

enum {
    SHOPS = 3,
    COMMANDS = 300,
};

struct shop {
    struct cmds_server *server;
    char address[64];
    _Atomic uint32_t asked;
};
static struct shop shops[SHOPS];

static int on_buy(struct cmds_call *call, const struct buy *buy)
{
    struct shop *shop = cmds_call_receiver(call);
    struct bought bought = {buy->number};
    shop->asked++;
    return cmds_call_send(call, bought_message(&bought));
}
static const struct cmds_exec execs[] = {CMDS_EXEC(buy, on_buy)};

static int shop_open(struct shop *shop, struct cmds_runtime *runtime, struct cmds_error *error)
{
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    options.listen = "127.0.0.1:0";
    options.receiver = shop;
    int code = cmds_server_start(&shop->server, runtime, &options, error);
    return code < 0 ? code
                    : cmds_server_address(shop->server, 0, shop->address, sizeof(shop->address));
}

static _Atomic uint32_t failed;

static void on_result(void *context, const struct cmds_result *result)
{
    (void)context;
    failed += bought_of(result) == NULL;
}

/* Sends as many commands, and shows which servers had some of them. */
static void show(struct cmds_group *group)
{
    for (int i = 0; i < SHOPS; i++) {
        shops[i].asked = 0;
    }
    for (int i = 0; i < COMMANDS; i++) {
        struct buy buy = {i};
        failed += cmds_group_send(group, buy_message(&buy), NULL, on_result, NULL) < 0;
    }
    (void)cmds_group_drain(group, 10000);
    printf("%" PRIu32 " endpoints, %" PRIu32 " failed; asked:", cmds_group_endpoint_count(group),
            failed);
    for (int i = 0; i < SHOPS; i++) {
        printf(" %s", shops[i].asked > 0 ? "yes" : "no");
    }
    printf("\n");
}

/* What a program does that learns of its servers from Consul, from Kubernetes, or from a file. */
static int go_to(
        struct cmds_group *group, const char *one, const char *other, struct cmds_error *error)
{
    struct cmds_endpoint endpoints[2] = {CMDS_ENDPOINT_INIT(one), CMDS_ENDPOINT_INIT(other)};
    int code = cmds_group_set_endpoints(group, endpoints, 2, error);
    return code < 0 ? code : cmds_group_wait(group, 5000, error);
}

int main(void)
{
    char list[2 * sizeof(shops[0].address)];
    struct cmds_runtime *runtime = NULL;
    struct cmds_group *group = NULL;
    struct cmds_runtime_options runtime_options = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_group_options options = CMDS_GROUP_OPTIONS_INIT(&protocol);
    struct cmds_error error = CMDS_ERROR_INIT;
    runtime_options.shard_count = 1;
    int code = cmds_runtime_start(&runtime, &runtime_options, &error);
    for (int i = 0; i < SHOPS && code == 0; i++) {
        code = shop_open(&shops[i], runtime, &error);
    }
    snprintf(list, sizeof(list), "%s,%s", shops[0].address, shops[1].address);
    options.connect = list;
    code = code < 0 ? code : cmds_group_open(&group, runtime, &options, &error);
    code = code < 0 ? code : cmds_group_wait(group, 5000, &error);
    if (code == 0) {
        show(group);
        code = go_to(group, shops[1].address, shops[2].address, &error);
    }
    if (code == 0) {
        show(group);
    } else {
        fprintf(stderr, "endpoints: %s\n", error.text);
    }
    cmds_runtime_stop(runtime); // Closes the group and the servers.
    return code < 0;
}

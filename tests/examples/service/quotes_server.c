/* SPDX-License-Identifier: MIT */
/*
 * The service in front: its exec function asks another server, and answers when that has answered.
 * Both connections live on one shard, so no thread is crossed; when the other server is slow or
 * away, this one's callers feel it and nothing piles up.
 */
#include "prices.h"
#include "quotes.h"

struct app {
    const char *upstream;
    struct cmds_group *prices;
};

static void on_price(struct cmds_call *call, void *context, const struct cmds_result *result)
{
    const struct prices_price *price = prices_price_of(result);
    if (price == NULL) {
        cmds_call_fail_as(call, result);
        return;
    }
    int64_t count = (int64_t)(intptr_t)context;
    struct quotes_quote quote = {price->cents * count};
    (void)cmds_call_send(call, quotes_quote_message(&quote)); // CMDS_E_GONE: nobody waits.
}

static int get(struct cmds_call *call, const struct quotes_get *command)
{
    struct app *app = cmds_call_receiver(call);
    void *count = (void *)(intptr_t)command->count;
    struct prices_get question = {command->sku};
    return cmds_group_forward(
            app->prices, prices_get_message(&question), NULL, call, on_price, count);
}

static const struct cmds_exec execs[] = {CMDS_EXEC(quotes_get, get)};

static int on_start(void *context, struct cmds_runtime *runtime, struct cmds_error *error)
{
    struct app *app = context;
    struct cmds_group_options upstream = CMDS_GROUP_OPTIONS_INIT(&prices);
    upstream.connect = app->upstream;
    upstream.client_count = cmds_runtime_shard_count(runtime);       // One for each shard.
    return cmds_group_open(&app->prices, runtime, &upstream, error); // The runtime's end closes it.
}

int main(int argc, char **argv) // One runtime for the server and for the group that it calls.
{
    struct app app = {.upstream = argc > 2 ? argv[2] : "127.0.0.1:9001"};
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&quotes, execs);
    struct cmds_main_options around = CMDS_MAIN_OPTIONS_INIT;
    options.listen = argc > 1 ? argv[1] : "127.0.0.1:9000";
    options.receiver = around.context = &app;
    around.on_start = on_start;
    return cmds_server_run(&options, &around);
}

/* SPDX-License-Identifier: MIT */
/*
 * The service in front: its exec function asks another server, and answers when that has answered.
 * Both connections live on one shard, so no thread is crossed; when the other server is slow or
 * away, this one's callers feel it and nothing piles up.
 */
#include <signal.h>
#include <stdio.h>

#include "prices.h"
#include "quotes.h"

struct app {
    struct cmds_group *prices;
};

static void on_price(struct cmds_call *call, void *context, const struct cmds_result *result)
{
    const struct prices_price *price = prices_price_of(result);
    if (price == NULL) {
        cmds_call_fail(call, cmds_result_cause(result), result->text);
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

static int serve_until(struct cmds_server *server, const sigset_t *stop)
{
    char address[64];
    int number = 0;
    if (cmds_server_address(server, 0, address, sizeof(address)) == 0) {
        printf("listening on %s\n", address);
        (void)fflush(stdout);
    }
    (void)sigwait(stop, &number);
    return cmds_server_shutdown(server, 5000);
}

int main(int argc, char **argv) // One runtime for the server and for the group that it calls.
{
    struct app app = {NULL};
    struct cmds_runtime *runtime = NULL;
    struct cmds_server *server = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    struct cmds_runtime_options runtime_options = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&quotes, execs);
    options.listen = argc > 1 ? argv[1] : "127.0.0.1:9000";
    options.receiver = &app;
    struct cmds_group_options upstream = CMDS_GROUP_OPTIONS_INIT(&prices);
    upstream.connect = argc > 2 ? argv[2] : "127.0.0.1:9001";
    sigset_t stop;
    (void)sigemptyset(&stop);
    (void)sigaddset(&stop, SIGTERM);
    (void)sigaddset(&stop, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &stop, NULL);

    int code = -1;
    if (cmds_runtime_start(&runtime, &runtime_options, &error) == 0) {
        upstream.client_count = cmds_runtime_shard_count(runtime); // One for each shard.
        if (cmds_group_open(&app.prices, runtime, &upstream, &error) == 0 &&
                cmds_server_start(&server, runtime, &options, &error) == 0) {
            code = serve_until(server, &stop);
        }
    }
    if (code < 0) {
        fprintf(stderr, "quotes: %s\n", error.code < 0 ? error.text : cmds_error_text(code));
    }
    cmds_server_close(server);
    cmds_runtime_stop(runtime); // Closes the group too.
    return code < 0;
}

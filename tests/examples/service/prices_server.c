/* SPDX-License-Identifier: MIT */
/* The service behind: it knows the price of everything. */
#include "prices.h"

static int get(struct cmds_call *call, const struct prices_get *command)
{
    struct prices_price price = {(int64_t)command->sku * 100 + 99};
    return cmds_call_send(call, prices_price_message(&price));
}

static const struct cmds_exec execs[] = {CMDS_EXEC(prices_get, get)};

int main(int argc, char **argv)
{
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&prices, execs);
    options.listen = argc > 1 ? argv[1] : "127.0.0.1:9001";
    return cmds_server_main(&options);
}

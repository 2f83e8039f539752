/* SPDX-License-Identifier: MIT */
/*
 * A stranger's tool for a protocol of his own. It fails when the library, or what it stands on, is not
 * linked.
 */
#include <stdio.h>

#include <cmdstream/cmdstream.h>
#include <cmdstream/tool.h>

struct shop_buy {
    struct cmds_string name;
    int32_t count;
};
struct shop_bought {
    int64_t price;
};
CMDS_COMMAND(shop_buy, 0, name, count);
CMDS_RESULT(shop_bought, 0, price);

static const struct cmds_type *const shop_commands[] = {&shop_buy_type};
static const struct cmds_type *const shop_results[] = {&shop_bought_type};
static const struct cmds_protocol shop = CMDS_PROTOCOL("shop", shop_commands, shop_results);

int main(int argc, char **argv)
{
    return cmds_tool_main(argc, argv, &shop);
}

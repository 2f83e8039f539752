/* SPDX-License-Identifier: MIT */
/* Keeps count of a few things, in a mutex: every shard may be asked for them. */
#include <errno.h>
#include <pthread.h>

#include "stock.h"

static struct item {
    char name[16];
    int64_t count;
} items[16];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static int send_item(struct cmds_call *call, const struct item *item, bool last)
{
    struct stock_item result = {cmds_string_from(item->name), item->count, last};
    return cmds_call_send(call, stock_item_message(&result));
}

static int add(struct cmds_call *call, const struct stock_add *command)
{
    int code = -ENOSPC;
    pthread_mutex_lock(&mutex);
    for (int i = 0; i < 16 && code == -ENOSPC; i++) {
        struct item *item = &items[i];
        if (item->name[0] == '\0') {
            memcpy(item->name, command->name.data, command->name.size); // CMDS_MAX: 15 at most.
        }
        if (cmds_string_equal(cmds_string_from(item->name), command->name)) {
            item->count += command->count;
            code = send_item(call, item, true);
        }
    }
    pthread_mutex_unlock(&mutex);
    return code;
}

static int list(struct cmds_call *call, const struct stock_list *command)
{
    struct cmds_string prefix = command->prefix.has ? command->prefix.value : cmds_string_from("");
    struct item all = {.name = "(all)"};
    int code = 0;
    pthread_mutex_lock(&mutex);
    for (int i = 0; i < 16 && code == 0; i++) {
        if (items[i].name[0] != '\0' && prefix.size < sizeof(items[i].name) &&
                memcmp(items[i].name, prefix.data, prefix.size) == 0) {
            all.count += items[i].count;
            code = send_item(call, &items[i], false);
        }
    }
    pthread_mutex_unlock(&mutex);
    return code < 0 ? code : send_item(call, &all, true);
}

static const struct cmds_exec execs[] = {CMDS_EXEC(stock_add, add), CMDS_EXEC(stock_list, list)};

int main(int argc, char **argv)
{
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&stock, execs);
    options.listen = argc > 1 ? argv[1] : "127.0.0.1:9000";
    return cmds_server_main(&options);
}

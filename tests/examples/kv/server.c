/* SPDX-License-Identifier: MIT */
/*
 * State that changes, without a lock: it belongs to one shard. Calls are posted there from theirs, and
 * are answered from there; a timer of that shard takes out what has expired.
 */
#include "owner.h"

enum {
    EXPIRY_MS = 10,
};

static int set(struct cmds_call *call, const struct kv_set *command)
{
    (void)command;
    return to_owner(call, owner_set);
}

static int get(struct cmds_call *call, const struct kv_get *command)
{
    (void)command;
    return to_owner(call, owner_get);
}

static int scan(struct cmds_call *call, const struct kv_scan *command)
{
    (void)command;
    return to_owner(call, owner_scan);
}

static void expire(void *context)
{
    store_expire(context);
}

static int on_start(void *context, struct cmds_runtime *runtime, struct cmds_error *error)
{
    struct store *store = context;
    (void)error;
    store->runtime = runtime;
    return cmds_runtime_every(runtime, OWNER, EXPIRY_MS, expire, store, NULL);
}

static const struct cmds_exec execs[] = {
        CMDS_EXEC(kv_set, set), CMDS_EXEC(kv_get, get), CMDS_EXEC(kv_scan, scan)};

int main(int argc, char **argv)
{
    static struct store store;
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&kv, execs);
    struct cmds_main_options around = CMDS_MAIN_OPTIONS_INIT;
    options.listen = argc > 1 ? argv[1] : "127.0.0.1:9000";
    options.receiver = around.context = &store;
    around.on_start = on_start;
    return cmds_server_run(&options, &around);
}

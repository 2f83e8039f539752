/* SPDX-License-Identifier: MIT */
/*
 * Middleware: what every command passes before its exec function. The outer one measures how long a call
 * took, to its end and not just to the return of its function; the inner one lets nobody read who has not
 * logged in on this connection.
 */
#include <errno.h>
#include <stdatomic.h>

#include "vault.h"

static struct {
    _Atomic int64_t calls, ns;
} times[3]; // By the number of the command.

static void on_end(struct cmds_call *call) // The last that is heard of it.
{
    uint32_t number = cmds_call_type(call)->number;
    atomic_fetch_add(&times[number].calls, 1);
    atomic_fetch_add(&times[number].ns, (int64_t)(cmds_now_ns() - cmds_call_received_ns(call)));
}

static int measure(void *receiver, struct cmds_call *call, struct cmds_invocation *next)
{
    (void)receiver;
    int code = cmds_call_on_end(call, on_end); // Once, however often the function runs.
    return code < 0 ? code : cmds_invocation_next(next, call);
}

static int authorize(void *receiver, struct cmds_call *call, struct cmds_invocation *next)
{
    (void)receiver;
    bool is_login = cmds_call_type(call)->number == vault_login_type.number;
    if (is_login || cmds_connection_context(cmds_call_connection(call)) != NULL) {
        return cmds_invocation_next(next, call);
    }
    cmds_call_fail(call, -EACCES, "log in first"); // Its function never runs.
    return 0;
}

static int login(struct cmds_call *call, const struct vault_login *login)
{
    static char in[] = "in";
    static const struct cmds_string secret = CMDS_STRING("sesame");
    if (!cmds_string_equal(login->secret, secret)) {
        cmds_call_fail(call, -EACCES, "no");
        return 0;
    }
    cmds_connection_set_context(cmds_call_connection(call), in); // The connection's, on its shard.
    return cmds_call_send(call, vault_text_message(&(struct vault_text){CMDS_STRING("welcome")}));
}

static int read_page(struct cmds_call *call, const struct vault_read *read)
{
    static const struct cmds_string pages[] = {CMDS_STRING("gold"), CMDS_STRING("silver")};
    if (read->page < 0 || read->page > 1) {
        return -ENOENT;
    }
    return cmds_call_send(call, vault_text_message(&(struct vault_text){pages[read->page]}));
}

static int tell_times(struct cmds_call *call, const struct vault_times *unused)
{
    (void)unused;
    int code = 0;
    for (uint32_t i = 0; code == 0 && i < 2; i++) {
        struct vault_time time = {.type = cmds_string_from(vault.commands[i]->schema->name),
                .calls = atomic_load(&times[i].calls),
                .measured = atomic_load(&times[i].ns) > 0,
                .last = i == 1};
        code = cmds_call_send(call, vault_time_message(&time));
    }
    return code;
}

static const struct cmds_exec execs[] = {CMDS_EXEC(vault_login, login),
        CMDS_EXEC(vault_read, read_page), CMDS_EXEC(vault_times, tell_times)};
static const cmds_invoker_fn invokers[] = {measure, authorize}; // The first one is the outermost.

int main(int argc, char **argv)
{
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&vault, execs);
    options.listen = argc > 1 ? argv[1] : "127.0.0.1:9000";
    options.invokers = invokers;
    options.invoker_count = 2;
    return cmds_server_main(&options);
}

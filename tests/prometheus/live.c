/* SPDX-License-Identifier: MIT */
/*
 * A server and a client in one runtime. The first line that it writes to stdout is where cmdstream_admin
 * serves its metrics, or empty in a build without that. For each line of stdin, which is a number of `enum
 * cmds_telemetry_format`, it sends some commands, and writes to stdout how many bytes there are, an end of
 * line, and what a scrape would find.
 */
#include <stdio.h>
#include <stdlib.h>

#include <cmdstream/cmdstream.h>
#ifdef WITH_ADMIN
#include <cmdstream/admin.h>
#endif

enum {
    COMMANDS = 20,
    SIZE = 1 << 20
};

struct live_add {
    int64_t a, b;
};
struct live_value {
    int64_t value;
};
CMDS_COMMAND(live_add, 0, a, b);
CMDS_RESULT(live_value, 0, value);
static const struct cmds_type *const commands[] = {&live_add_type};
static const struct cmds_type *const results[] = {&live_value_type};
static const struct cmds_protocol protocol = CMDS_PROTOCOL("live", commands, results);

static int on_add(struct cmds_call *call, const struct live_add *add)
{
    struct live_value value = {add->a + add->b};
    return cmds_call_send(call, live_value_message(&value));
}
static const struct cmds_exec execs[] = {CMDS_EXEC(live_add, on_add)};

static int work(struct cmds_sender *sender)
{
    for (int i = 0; i < COMMANDS; i++) {
        struct live_add add = {i, i};
        struct cmds_result *result = NULL;
        int code = cmds_sender_send(sender, live_add_message(&add), 30000, &result, NULL);
        cmds_result_free(result);
        if (code < 0) {
            return code;
        }
    }
    return 0;
}

#ifdef WITH_ADMIN
static int admin_open(struct cmds_admin **admin, struct cmds_runtime *runtime)
{
    struct cmds_admin_options options = CMDS_ADMIN_OPTIONS_INIT;
    char address[128];
    options.metrics = "127.0.0.1:0";
    int code = cmds_admin_open(admin, runtime, &options, NULL);
    if (code == 0) {
        code = cmds_admin_address(*admin, 0, address, sizeof(address));
        printf("%s\n", address);
    }
    return code;
}
#else
struct cmds_admin;
static int admin_open(struct cmds_admin **admin, struct cmds_runtime *runtime)
{
    (void)admin;
    (void)runtime;
    printf("\n");
    return 0;
}
static void cmds_admin_close(struct cmds_admin *admin)
{
    (void)admin;
}
#endif

static int serve(const struct cmds_runtime *runtime, struct cmds_sender *sender)
{
    static char out[SIZE];
    char line[16];
    while (fgets(line, sizeof(line), stdin) != NULL) {
        int code = work(sender);
        enum cmds_telemetry_format format = (enum cmds_telemetry_format)atoi(line);
        int64_t size = cmds_telemetry_write(runtime, format, 0, out, sizeof(out));
        if (code < 0 || size < 0 || size >= SIZE) {
            return -1;
        }
        printf("%lld\n", (long long)size);
        (void)fwrite(out, 1, (size_t)size, stdout);
        if (fflush(stdout) != 0) {
            return -1;
        }
    }
    return 0;
}

int main(void)
{
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_telemetry_options telemetry = CMDS_TELEMETRY_OPTIONS_INIT;
    struct cmds_server_options server_options = CMDS_SERVER_OPTIONS_INIT(&protocol, execs);
    struct cmds_sender_options sender_options = CMDS_SENDER_OPTIONS_INIT(&protocol);
    struct cmds_error error = CMDS_ERROR_INIT;
    struct cmds_runtime *runtime = NULL;
    struct cmds_server *server = NULL;
    struct cmds_sender *sender = NULL;
    struct cmds_admin *admin = NULL;
    char address[128];
    telemetry.exec_sample = 1; // Each: the commands are few.
    options.shard_count = 1;
    options.telemetry = &telemetry;
    server_options.listen = "127.0.0.1:0";
    server_options.name = "live";
    sender_options.connect = address;
    int code = cmds_runtime_start(&runtime, &options, &error);
    sender_options.runtime = runtime;
    if (code == 0) {
        code = cmds_server_start(&server, runtime, &server_options, &error);
    }
    if (code == 0) {
        code = cmds_server_address(server, 0, address, sizeof(address));
    }
    if (code == 0) {
        code = cmds_sender_open(&sender, &sender_options, &error);
    }
    if (code < 0) {
        fprintf(stderr, "live: %s\n", error.text);
        return 77;
    }
    code = admin_open(&admin, runtime);
    code = code < 0 || fflush(stdout) != 0 ? -1 : serve(runtime, sender);
    cmds_admin_close(admin);
    cmds_sender_close(sender, 1000);
    cmds_server_close(server);
    cmds_runtime_stop(runtime);
    return code < 0;
}

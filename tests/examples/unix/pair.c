/* SPDX-License-Identifier: MIT */
/*
 * A UNIX socket, for programs on one machine: no port, no TCP, and the file's permissions say who may
 * connect. Both ends are in this program. Without a file: "unix:@name", which everybody in the network
 * namespace may connect to.
 */
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "calc.h"

#define ADDRESS "unix:./calc.sock"

static int add(struct cmds_call *call, const struct calc_add *add)
{
    // "unix:": the other end has no address, so this is all there is to say of it.
    printf("from %s\n", cmds_connection_peer(cmds_call_connection(call)));
    return cmds_call_send(call, calc_value_message(&(struct calc_value){add->a + add->b}));
}

static int greet(struct cmds_call *call, const struct calc_greet *greet)
{
    struct calc_line line = {.text = greet->name, .last = true};
    return cmds_call_send(call, calc_line_message(&line));
}

static const struct cmds_exec execs[] = {CMDS_EXEC(calc_add, add), CMDS_EXEC(calc_greet, greet)};

static int ask(struct cmds_error *error)
{
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&calc);
    struct cmds_sender *sender = NULL;
    struct cmds_result *result = NULL;
    options.connect = ADDRESS;
    int code = cmds_sender_open(&sender, &options, error);
    if (code == 0) {
        struct calc_add add = {2, 3};
        code = cmds_sender_send(sender, calc_add_message(&add), 5000, &result, error);
    }
    const struct calc_value *value = calc_value_of(result);
    if (value != NULL) {
        printf("%" PRId64 "\n", value->value);
    }
    cmds_result_free(result);
    cmds_sender_close(sender, 1000);
    return code;
}

int main(void)
{
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&calc, execs);
    struct cmds_runtime_options runtime_options = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_runtime *runtime = NULL;
    struct cmds_server *server = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    struct stat file;
    options.listen = ADDRESS;
    (void)umask(0077); // Only we may connect: the socket is made with what this leaves.
    int code = cmds_runtime_start(&runtime, &runtime_options, &error);
    code = code < 0 ? code : cmds_server_start(&server, runtime, &options, &error);
    if (code == 0 && stat("calc.sock", &file) == 0) {
        printf("mode %o\n", file.st_mode & 0777u);
        code = ask(&error);
    }
    cmds_server_close(server); // Removes the file.
    cmds_runtime_stop(runtime);
    printf("the file is %s\n", stat("calc.sock", &file) == 0 ? "left" : "gone");
    if (code < 0) {
        fprintf(stderr, "calc: %s\n", error.text);
    }
    return code < 0;
}

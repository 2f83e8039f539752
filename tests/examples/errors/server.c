/* SPDX-License-Identifier: MIT */
/*
 * Commands that fail, each in another way. The protocol has an error result, so whoever sent one is
 * told at once, and the connection stays, with all that is on it.
 */
#include <errno.h>

#include "shelf.h"

static int get(struct cmds_call *call, const struct shelf_get *get)
{
    static const struct cmds_string apple = CMDS_STRING("apple"), bomb = CMDS_STRING("bomb"),
                                    nobody = CMDS_STRING("nobody");
    if (cmds_string_equal(get->key, apple)) {
        struct shelf_found found = {CMDS_STRING("red")};
        return cmds_call_send(call, shelf_found_message(&found));
    }
    if (cmds_string_equal(get->key, bomb)) {
        return -EPERM; // A code alone: the client reads the library's sentence about it.
    }
    if (cmds_string_equal(get->key, nobody)) {
        return 0; // A bug: nobody answers. The client is told, and does not wait for its deadline.
    }
    cmds_call_fail(call, -ENOENT, "no such thing on this shelf"); // Words for the client.
    return 0;
}

static const struct cmds_exec execs[] = {CMDS_EXEC(shelf_get, get)};

int main(int argc, char **argv)
{
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&shelf, execs);
    options.listen = argc > 1 ? argv[1] : "127.0.0.1:9000";
    return cmds_server_main(&options);
}

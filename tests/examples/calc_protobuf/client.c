/* SPDX-License-Identifier: MIT */
/* Messages are initialized before they are sent, as everywhere in protobuf-c. */
#include <inttypes.h>
#include <stdio.h>

#include "calc.h"

int main(int argc, char **argv)
{
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&calc);
    options.connect = argc > 1 ? argv[1] : "127.0.0.1:9000";
    options.codec = &cmds_codec_protobuf;
    struct cmds_sender *sender = NULL;
    struct cmds_result *result = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    Calc__Add add = CALC__ADD__INIT;
    add.a = 2;
    add.b = 3;
    int code = cmds_sender_open(&sender, &options, &error);
    if (code == 0) {
        code = cmds_sender_send(sender, calc_add_message(&add), 5000 /* ms */, &result, &error);
    }
    const Calc__Value *value = calc_value_of(result); // NULL if there is none.
    if (value != NULL) {
        printf("%" PRId64 "\n", value->value);
    } else {
        fprintf(stderr, "calc: %s\n", code < 0 ? error.text : "not a value");
    }
    cmds_result_free(result);
    cmds_sender_close(sender, 1000);
    return value == NULL;
}

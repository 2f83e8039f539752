/* SPDX-License-Identifier: MIT */
/* Both sides name the same codec: nothing on the wire does. */
#include <inttypes.h>
#include <stdio.h>

#include <cmdstream/codec_json.h>

#include "calc.h"

int main(int argc, char **argv)
{
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&calc);
    options.connect = argc > 1 ? argv[1] : "127.0.0.1:9000";
    options.codec = &cmds_codec_json;
    struct cmds_sender *sender = NULL;
    struct cmds_result *result = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    struct calc_add add = {2, 3};
    int code = cmds_sender_open(&sender, &options, &error);
    if (code == 0) {
        code = cmds_sender_send(sender, calc_add_message(&add), 5000 /* ms */, &result, &error);
    }
    const struct calc_value *value = calc_value_of(result); // NULL if there is none.
    if (value != NULL) {
        printf("%" PRId64 "\n", value->value);
    } else {
        fprintf(stderr, "calc: %s\n", code < 0 ? error.text : "not a value");
    }
    cmds_result_free(result);
    cmds_sender_close(sender, 1000);
    return value == NULL;
}

/* SPDX-License-Identifier: MIT */
/* Asks the service in front; that there is another one behind it does not show. */
#include <inttypes.h>
#include <stdio.h>

#include "quotes.h"

int main(int argc, char **argv)
{
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&quotes);
    options.connect = argc > 1 ? argv[1] : "127.0.0.1:9000";
    struct cmds_sender *sender = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    int code = cmds_sender_open(&sender, &options, &error);
    for (uint32_t count = 1; count <= 3 && code == 0; count++) {
        struct quotes_get get = {.sku = 7, .count = count};
        struct cmds_result *result = NULL;
        code = cmds_sender_send(sender, quotes_get_message(&get), 5000, &result, &error);
        const struct quotes_quote *quote = quotes_quote_of(result);
        if (quote != NULL) {
            printf("%u: %" PRId64 "\n", count, quote->cents);
        }
        cmds_result_free(result);
    }
    if (code < 0) {
        fprintf(stderr, "quotes: %s\n", error.text);
    }
    cmds_sender_close(sender, 1000);
    return code < 0;
}

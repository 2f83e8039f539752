/* SPDX-License-Identifier: MIT */
/* The other end: it shows its certificate, and checks the server's: our CA's, and for this address. */
#include <stdio.h>

#include <cmdstream/tls.h>

#include "echo.h"

int main(int argc, char **argv)
{
    struct cmds_tls_client_options tls = CMDS_TLS_CLIENT_OPTIONS_INIT;
    tls.certificate_file = "certs/client.pem";
    tls.key_file = "certs/client.key";
    tls.ca_file = "certs/ca.pem";
    struct cmds_sender_options options = CMDS_SENDER_OPTIONS_INIT(&echo);
    options.connect = argc > 1 ? argv[1] : "127.0.0.1:9000";
    struct cmds_sender *sender = NULL;
    struct cmds_result *result = NULL;
    struct cmds_error error = CMDS_ERROR_INIT;
    int code = cmds_tls_client_new(&options.tls, &tls, &error);
    if (code == 0) {
        code = cmds_sender_open(&sender, &options, &error);
    }
    if (code == 0) {
        struct echo_say say = {cmds_string_from("hello world")};
        code = cmds_sender_send(sender, echo_say_message(&say), 1000, &result, &error);
    }
    const struct echo_said *said = echo_said_of(result);
    if (said != NULL) {
        printf("%.*s\n", CMDS_STRING_ARGS(said->text));
    } else {
        fprintf(stderr, "client: %s\n", error.code < 0 ? error.text : cmds_error_text(code));
    }
    cmds_result_free(result);
    cmds_sender_close(sender, 1000);
    cmds_tls_free(options.tls);
    return said == NULL;
}

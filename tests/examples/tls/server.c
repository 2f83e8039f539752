/* SPDX-License-Identifier: MIT */
/*
 * Mutual TLS: who has no certificate of our CA does not get in, and every exec function knows who asks.
 * The certificates are those of scripts/make-certs.sh.
 */
#include <stdio.h>

#include <cmdstream/tls.h>

#include "echo.h"

static int say(struct cmds_call *call, const struct echo_say *command)
{
    const struct cmds_tls_peer *peer = cmds_connection_tls(cmds_call_connection(call));
    char text[256];
    snprintf(text, sizeof(text), "%s says: %.*s", peer->common_name,
            CMDS_STRING_ARGS(command->text));
    struct echo_said said = {cmds_string_from(text)};
    return cmds_call_send(call, echo_said_message(&said));
}

static const struct cmds_exec execs[] = {CMDS_EXEC(echo_say, say)};

int main(int argc, char **argv)
{
    struct cmds_tls_server_options tls = CMDS_TLS_SERVER_OPTIONS_INIT;
    tls.certificate_file = "certs/server.pem";
    tls.key_file = "certs/server.key";
    tls.clients = CMDS_TLS_CLIENTS_REQUIRED;
    tls.client_ca_file = "certs/ca.pem";
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&echo, execs);
    options.listen = argc > 1 ? argv[1] : "127.0.0.1:9000";
    struct cmds_error error = CMDS_ERROR_INIT;
    if (cmds_tls_server_new(&options.tls, &tls, &error) < 0) {
        fprintf(stderr, "server: %s\n", error.text);
        return 1;
    }
    int status = cmds_server_main(&options);
    cmds_tls_free(options.tls);
    return status;
}

/* SPDX-License-Identifier: MIT */
/*
 * A stranger's program that uses TLS: it makes a client's half, which needs no file. It
 * fails when the library, what it stands on, or the core is not linked.
 */
#include <stdio.h>
#include <string.h>

#include <cmdstream/cmdstream.h>
#include <cmdstream/tls.h>

int main(void)
{
    struct cmds_tls_client_options options = CMDS_TLS_CLIENT_OPTIONS_INIT;
    struct cmds_error error = CMDS_ERROR_INIT;
    struct cmds_tls *tls = NULL;
    options.certificate_file = "nowhere.pem";
    if (cmds_tls_client_new(&tls, &options, &error) != -22 ||
            strstr(error.text, "key_file") == NULL) {
        fprintf(stderr, "a certificate without a key: %s\n", error.text);
        return 1;
    }
    error = (struct cmds_error)CMDS_ERROR_INIT;
    options.certificate_file = NULL;
    options.unsafe_no_verification = true;
    if (cmds_tls_client_new(&tls, &options, &error) < 0 || cmds_tls_reload(tls, &error) < 0) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    cmds_tls_free(tls);
    printf("cmdstream %s, %s\n", cmds_version(), cmds_tls_library());
    return 0;
}

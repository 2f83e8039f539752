/* SPDX-License-Identifier: MIT */
/* The functions of <cmdstream/tls.h>. */
#include <cmdstream/tls.h>

#include <errno.h>
#include <stdlib.h>

#include "base/error.h"
#include "tls/context.h"

int cmds_tls_server_new(struct cmds_tls **tls, const struct cmds_tls_server_options *options,
        struct cmds_error *error)
{
    (void)tls;
    (void)options;
    return cmdi_fail(error, -ENOSYS, "TLS: not there yet");
}

int cmds_tls_client_new(struct cmds_tls **tls, const struct cmds_tls_client_options *options,
        struct cmds_error *error)
{
    (void)tls;
    (void)options;
    return cmdi_fail(error, -ENOSYS, "TLS: not there yet");
}

int cmds_tls_reload(struct cmds_tls *tls, struct cmds_error *error)
{
    (void)tls;
    return cmdi_fail(error, -ENOSYS, "TLS: not there yet");
}

void cmds_tls_free(struct cmds_tls *tls)
{
    free(tls);
}

const char *cmds_tls_library(void)
{
    return "wolfSSL " LIBWOLFSSL_VERSION_STRING;
}

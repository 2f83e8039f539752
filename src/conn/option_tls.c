/* SPDX-License-Identifier: MIT */
/* See option_tls.h. */
#include "conn/option_tls.h"

#include <errno.h>

#include "base/error.h"

int cmdi_option_tls_check(const struct cmds_tls *tls, bool is_server, struct cmds_error *error)
{
    if (tls == NULL) {
        return 0;
    }
    if (tls->security == NULL || tls->security->version != CMDI_SECURITY_VERSION) {
        return cmdi_fail(error, -EINVAL,
                "tls: made by a library of another version: cmdstream_tls and cmdstream (%s) must "
                "come from one release",
                CMDS_VERSION);
    }
    if (tls->is_server != is_server) {
        return cmdi_fail(error, -EINVAL, "tls: made for a %s: this is a %s, use %s",
                is_server ? "client" : "server", is_server ? "server" : "client",
                is_server ? "cmds_tls_server_new()" : "cmds_tls_client_new()");
    }
    return 0;
}

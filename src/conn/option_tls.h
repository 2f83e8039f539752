/* SPDX-License-Identifier: MIT */
/* The option `tls` of a server, a group and a sender: can it be used there? */
#ifndef CMDI_CONN_OPTION_TLS_H
#define CMDI_CONN_OPTION_TLS_H

#include <stdbool.h>

#include <cmdstream/base.h>

#include "conn/security.h"

/**
 * Owner:   borrows; NULL is plain, and fine.
 * Thread:  any.
 * Returns: 0; -EINVAL: it is made for the other side, or by a library of another version.
 */
int cmdi_option_tls_check(const struct cmds_tls *tls, bool is_server, struct cmds_error *error);

#endif

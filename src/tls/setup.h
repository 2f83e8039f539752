/* SPDX-License-Identifier: MIT */
/*
 * A WOLFSSL_CTX as we want it. Builds of wolfSSL differ in what they do by default (some take every server,
 * some resume by a cache that the process shares), so everything is said here.
 */
#ifndef CMDI_TLS_SETUP_H
#define CMDI_TLS_SETUP_H

#include <cmdstream/base.h>

#include "tls/options.h"
#include "tls/tickets.h"
#include "tls/wolf.h"

/** What a WOLFSSL_CTX of these options asks of a peer: WOLFSSL_VERIFY_*. */
int cmdi_setup_verify_mode(const struct cmdi_tls_options *options);

/**
 * Without certificates: those come next.
 *
 * Owner:   gives *ctx: wolfSSL_CTX_free(). Keeps `scope`, of a server, as long as there is a WOLFSSL_CTX.
 * Returns: 0; CMDS_E_TLS_CONFIG: this wolfSSL lacks something; -ENOMEM.
 */
int cmdi_setup_create(WOLFSSL_CTX **ctx, const struct cmdi_tls_options *options,
        struct cmdi_ticket_scope *scope, struct cmds_error *error);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Whom we believe: CAs, and what they have revoked, from files that were read into a WOLFSSL_CTX.
 *
 * Each certificate must be one of a CA, by its own words: there are builds of wolfSSL that take any other
 * one too, and then accept it as it is. One that is not valid today is left out; a file without a
 * valid one is refused.
 */
#ifndef CMDI_TLS_TRUST_H
#define CMDI_TLS_TRUST_H

#include <stdbool.h>

#include <cmdstream/base.h>

#include "tls/anchors.h"
#include "tls/files.h"
#include "tls/wolf.h"

/**
 * The verify mode of `ctx` is set already: dates are checked by it.
 *
 * `is_systems`: what we cannot use is left out too: it is not the user's.
 * `anchors`:    those that were taken are added. NULL: somebody has them already.
 * Returns:      0; CMDS_E_TLS_CONFIG; -ENOMEM.
 */
int cmdi_trust_load_cas(WOLFSSL_CTX *ctx, const struct cmdi_file *file, bool is_systems,
        struct cmdi_anchors *anchors, struct cmds_error *error);
/**
 * After the CAs: each list must be signed by one of them. From then on each certificate of a chain needs
 * the list of its issuer, which is in date. None is fetched from anywhere.
 */
int cmdi_trust_load_crls(WOLFSSL_CTX *ctx, const struct cmdi_file *file, struct cmds_error *error);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Our own certificate, its chain and its key, from files that were read into a WOLFSSL_CTX: each block is
 * looked at, so that what is wrong has a sentence.
 */
#ifndef CMDI_TLS_OWN_H
#define CMDI_TLS_OWN_H

#include <cmdstream/base.h>

#include "tls/files.h"
#include "tls/wolf.h"

enum {
    CMDI_CHAIN_COUNT_MAX = 9
};

/**
 * `server_name`: the certificate must be for it; NULL, or one that begins with "*.": any will do.
 *
 * Returns: 0; CMDS_E_TLS_CONFIG; -ENOMEM.
 */
int cmdi_own_load(WOLFSSL_CTX *ctx, const struct cmdi_file *certificate,
        const struct cmdi_file *key, const char *server_name, struct cmds_error *error);

#endif

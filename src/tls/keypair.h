/* SPDX-License-Identifier: MIT */
/*
 * Is this key the certificate's? The private key is made into a public one, and the two are compared:
 * wolfSSL's own check takes any key of the same curve.
 */
#ifndef CMDI_TLS_KEYPAIR_H
#define CMDI_TLS_KEYPAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tls/certificate.h"
#include "tls/wolf.h"

/**
 * `ctx`: has both already. `der`: the private key, PKCS #8 or the older form of its kind; it is written
 * to.
 */
bool cmdi_keypair_check(const WOLFSSL_CTX *ctx, const struct cmdi_certificate *certificate,
        uint8_t *der, size_t size);

#endif

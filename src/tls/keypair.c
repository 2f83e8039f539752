/* SPDX-License-Identifier: MIT */
/* See keypair.h. */
#include "tls/keypair.h"

#include <string.h>

#include <wolfssl/wolfcrypt/asn_public.h>
#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/ed25519.h>

static bool equals(struct cmds_bytes public_key, const uint8_t *bytes, size_t size)
{
    return public_key.size == size && memcmp(public_key.data, bytes, size) == 0;
}

static bool check_ec(struct cmds_bytes public_key, const uint8_t *der, size_t size)
{
    uint8_t point[1 + 2 * MAX_ECC_BYTES];
    word32 at = 0, point_size = sizeof(point);
    ecc_key key;
    if (wc_ecc_init(&key) != 0) {
        return false;
    }
    // What the file says of its public half counts for nothing.
    bool is_its = wc_EccPrivateKeyDecode(der, &at, &key, (word32)size) == 0 &&
                  wc_ecc_make_pub(&key, NULL) == 0 &&
                  wc_ecc_export_x963(&key, point, &point_size) == 0 &&
                  equals(public_key, point, point_size);
    (void)wc_ecc_free(&key); // It wipes the key.
    return is_its;
}

static bool check_ed25519(struct cmds_bytes public_key, const uint8_t *der, size_t size)
{
    uint8_t bytes[ED25519_PUB_KEY_SIZE];
    word32 at = 0;
    ed25519_key key;
    if (wc_ed25519_init(&key) != 0) {
        return false;
    }
    bool is_its = wc_Ed25519PrivateKeyDecode(der, &at, &key, (word32)size) == 0 &&
                  wc_ed25519_make_public(&key, bytes, sizeof(bytes)) == 0 &&
                  equals(public_key, bytes, sizeof(bytes));
    wc_ed25519_free(&key); // The same.
    return is_its;
}

bool cmdi_keypair_check(const WOLFSSL_CTX *ctx, const struct cmdi_certificate *certificate,
        uint8_t *der, size_t size)
{
    if (wolfSSL_CTX_check_private_key(ctx) != WOLFSSL_SUCCESS) {
        return false;
    }
    switch (certificate->key) {
    case CMDI_KEY_EC:
        return check_ec(certificate->public_key, der, size);
    case CMDI_KEY_ED25519:
        return check_ed25519(certificate->public_key, der, size);
    case CMDI_KEY_RSA: // Its modulus was compared.
        return true;
    case CMDI_KEY_ED448:
    case CMDI_KEY_UNKNOWN:
        break;
    }
    return false;
}

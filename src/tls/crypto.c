/* SPDX-License-Identifier: MIT */
/* See crypto.h. */
#include "tls/crypto.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/error.h"
#include "tls/wolf.h"

#include <wolfssl/wolfcrypt/aes.h>
#include <wolfssl/wolfcrypt/cryptocb.h>

#include "tls/aes_gcm.h"

/* wolfSSL's assembly: for AES it asks the CPU at run time; for the rest it is chosen when it is built. */
#if defined(WOLFSSL_AESNI) || defined(WOLFSSL_ARMASM)
#define CRYPTO_HAS_AES 1
#else
#define CRYPTO_HAS_AES 0
#endif
#if CRYPTO_HAS_AES || defined(USE_INTEL_SPEEDUP) || defined(WOLFSSL_SP_ASM)
#define CRYPTO_MADE_OF "assembly"
#else
#define CRYPTO_MADE_OF "C only"
#endif
#if defined(CMDI_TLS_GCRYPT) && defined(WOLF_CRYPTO_CB)
#define CRYPTO_CAN_USE_GCRYPT 1
#else
#define CRYPTO_CAN_USE_GCRYPT 0
#endif

enum {
    CRYPTO_DEVICE = 0x636d6473,       // Any number that no other part of a process takes.
    CRYPTO_PROOF_DEVICE = 0x636d6474, // Counts how often it is asked.
    CRYPTO_TEXT_SIZE = 128,
};

static struct {
    pthread_mutex_t mutex; // Of the start.
    bool is_ready;
    bool aes_is_fast;
    int device;
    char text[CRYPTO_TEXT_SIZE];
} crypto = {.mutex = PTHREAD_MUTEX_INITIALIZER, .device = INVALID_DEVID};

/* --- libgcrypt under wolfSSL ------------------------------------------------------------------- */

#if CRYPTO_CAN_USE_GCRYPT
static int crypto_result(int code)
{
    switch (code) {
    case 0:
        return 0;
    case -ENOTSUP:
        return CRYPTOCB_UNAVAILABLE; // wolfSSL does it.
    case -EBADMSG:
        return AES_GCM_AUTH_E;
    default:
        return WC_HW_E;
    }
}

/* wolfSSL asks for each piece of work. `context`: counts, or NULL. */
static int crypto_on_work(int device, wc_CryptoInfo *info, void *context)
{
    (void)device;
    if (info->algo_type != WC_ALGO_TYPE_CIPHER || info->cipher.type != WC_CIPHER_AES_GCM) {
        return CRYPTOCB_UNAVAILABLE;
    }
    // Both have the same members, and yet they are different types.
    bool seals = info->cipher.enc != 0;
    const Aes *aes = seals ? info->cipher.aesgcm_enc.aes : info->cipher.aesgcm_dec.aes;
    word32 iv_size = seals ? info->cipher.aesgcm_enc.ivSz : info->cipher.aesgcm_dec.ivSz;
    word32 tag_size = seals ? info->cipher.aesgcm_enc.authTagSz : info->cipher.aesgcm_dec.authTagSz;
    if (aes == NULL || iv_size != CMDI_AES_GCM_IV_SIZE || tag_size != CMDI_AES_GCM_TAG_SIZE) {
        return CRYPTOCB_UNAVAILABLE; // Nothing of TLS.
    }
    if (context != NULL) {
        ++*(unsigned *)context;
    }
    struct cmdi_aes_gcm record = {
            .owner = aes,
            .key = (const uint8_t *)aes->devKey,
            .key_size = (size_t)aes->keylen,
            .iv = seals ? info->cipher.aesgcm_enc.iv : info->cipher.aesgcm_dec.iv,
            .extra = seals ? info->cipher.aesgcm_enc.authIn : info->cipher.aesgcm_dec.authIn,
            .extra_size =
                    seals ? info->cipher.aesgcm_enc.authInSz : info->cipher.aesgcm_dec.authInSz,
            .in = seals ? info->cipher.aesgcm_enc.in : info->cipher.aesgcm_dec.in,
            .out = seals ? info->cipher.aesgcm_enc.out : info->cipher.aesgcm_dec.out,
            .size = seals ? info->cipher.aesgcm_enc.sz : info->cipher.aesgcm_dec.sz,
    };
    return crypto_result(seals ? cmdi_aes_gcm_seal(&record, info->cipher.aesgcm_enc.authTag)
                               : cmdi_aes_gcm_open(&record, info->cipher.aesgcm_dec.authTag));
}

/* Seals `text` by wolfSSL, as `device` makes it do that. */
static bool crypto_seal(int device, uint8_t text[64], uint8_t tag[CMDI_AES_GCM_TAG_SIZE])
{
    static const uint8_t key[32] = "cmdstream: a key of 32 bytes ...",
                         iv[CMDI_AES_GCM_IV_SIZE] = "iv";
    Aes aes;
    if (wc_AesInit(&aes, NULL, device) != 0) {
        return false;
    }
    bool done = wc_AesGcmSetKey(&aes, key, sizeof(key)) == 0 &&
                wc_AesGcmEncrypt(&aes, text, text, 64, iv, sizeof(iv), tag, CMDI_AES_GCM_TAG_SIZE,
                        key, 5) == 0;
    wc_AesFree(&aes);
    return done;
}

/*
 * With libgcrypt under it this wolfSSL seals what it seals alone. It would not if the struct of its keys
 * were another one than its header says.
 */
static bool crypto_agrees(void)
{
    uint8_t ours[64] = "both", theirs[64] = "both";
    uint8_t our_tag[CMDI_AES_GCM_TAG_SIZE], their_tag[CMDI_AES_GCM_TAG_SIZE];
    unsigned asked = 0;
    if (wc_CryptoCb_RegisterDevice(CRYPTO_PROOF_DEVICE, crypto_on_work, &asked) != 0) {
        return false;
    }
    bool done = crypto_seal(CRYPTO_PROOF_DEVICE, ours, our_tag);
    wc_CryptoCb_UnRegisterDevice(CRYPTO_PROOF_DEVICE);
    return done && asked == 1 && crypto_seal(INVALID_DEVID, theirs, their_tag) &&
           memcmp(ours, theirs, sizeof(ours)) == 0 &&
           memcmp(our_tag, their_tag, sizeof(our_tag)) == 0;
}

static bool crypto_takes_gcrypt(bool aes_is_fast)
{
    return cmdi_aes_gcm_start() && (!aes_is_fast || cmdi_aes_gcm_is_best()) && crypto_agrees() &&
           wc_CryptoCb_RegisterDevice(CRYPTO_DEVICE, crypto_on_work, NULL) == 0;
}
#endif

/* --- Which -------------------------------------------------------------------------------------- */

static bool crypto_cpu_has_aes(void)
{
#if defined(__x86_64__)
    return __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul");
#else
    return true; // A wolfSSL with ARM's AES does not run without.
#endif
}

static void crypto_choose(void)
{
    crypto.aes_is_fast = CRYPTO_HAS_AES && crypto_cpu_has_aes();
#if CRYPTO_CAN_USE_GCRYPT
    if (crypto_takes_gcrypt(crypto.aes_is_fast)) {
        crypto.device = CRYPTO_DEVICE;
        crypto.aes_is_fast = true;
        snprintf(crypto.text, sizeof(crypto.text),
                "wolfSSL %s (" CRYPTO_MADE_OF "), AES by libgcrypt %s", wolfSSL_lib_version(),
                cmdi_aes_gcm_version());
        return;
    }
#endif
    snprintf(crypto.text, sizeof(crypto.text), "wolfSSL %s (" CRYPTO_MADE_OF "), %s",
            wolfSSL_lib_version(),
            crypto.aes_is_fast ? "AES by wolfSSL" : "no fast AES: ChaCha20 first");
}

int cmdi_tls_crypto_start(struct cmds_error *error)
{
    pthread_mutex_lock(&crypto.mutex);
    int result = crypto.is_ready ? WOLFSSL_SUCCESS : wolfSSL_Init();
    if (!crypto.is_ready && result == WOLFSSL_SUCCESS) {
        crypto_choose();
        crypto.is_ready = true;
    }
    pthread_mutex_unlock(&crypto.mutex);
    return result == WOLFSSL_SUCCESS ? 0
                                     : cmdi_fail(error, CMDS_E_TLS_CONFIG,
                                               "TLS: wolfSSL does not start (%d)", result);
}

int cmdi_tls_crypto_device(void)
{
    CMDI_ASSERT(crypto.is_ready);
    return crypto.device;
}

void cmdi_tls_crypto_forget(void)
{
#if CRYPTO_CAN_USE_GCRYPT
    if (crypto.device != INVALID_DEVID) {
        cmdi_aes_gcm_forget();
    }
#endif
}

bool cmdi_tls_aes_is_fast(void)
{
    return cmdi_tls_crypto_start(NULL) == 0 && crypto.aes_is_fast;
}

const char *cmdi_tls_crypto_text(void)
{
    return cmdi_tls_crypto_start(NULL) == 0 ? crypto.text
                                            : "wolfSSL " LIBWOLFSSL_VERSION_STRING
                                              ", which does not start";
}

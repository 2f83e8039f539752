/* SPDX-License-Identifier: MIT */
/*
 * What this wolfSSL is, and who makes AES for it: wolfSSL itself, or libgcrypt by a crypto callback, a
 * device in wolfSSL's words. Decided once in a process. Any thread.
 */
#ifndef CMDI_TLS_CRYPTO_H
#define CMDI_TLS_CRYPTO_H

#include <stdbool.h>

#include <cmdstream/base.h>

/**
 * wolfSSL_Init(), and a device where it gains something, once and for good: wolfSSL_Cleanup() would
 * forget the device. Before the first WOLFSSL_CTX, and as often as one likes.
 *
 * Returns: 0; CMDS_E_TLS_CONFIG: wolfSSL does not start.
 */
CMDS_NODISCARD int cmdi_tls_crypto_start(struct cmds_error *error);

/**
 * After the start. For wolfSSL_CTX_SetDevId() of each context. INVALID_DEVID: wolfSSL's own AES is as
 * good.
 */
int cmdi_tls_crypto_device(void);

/**
 * A session of this thread has ended: what is kept of its keys outside of wolfSSL is wiped, with those of
 * others, which their next records bring again.
 */
void cmdi_tls_crypto_forget(void);

/** At any time. AES-GCM has the CPU's help. Else ChaCha20-Poly1305 is several times as fast. */
bool cmdi_tls_aes_is_fast(void);
/** At any time. What cmds_tls_library() says. */
const char *cmdi_tls_crypto_text(void);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * A peer that our own options do not make: TLS 1.2 alone, or with a certificate that we would not take
 * ourselves. The object of a session that has begun is swapped for one of wolfSSL's own making.
 */
#ifndef CMDI_TESTS_SUPPORT_TLS_SWAP_H
#define CMDI_TESTS_SUPPORT_TLS_SWAP_H

#include <string.h>

#include "support/harness.h"
#include "support/tls_pair.h"
#include "tls/session.h"

/** `method`: taken. `name`: its certificate; `ca`: whom it believes; both NULL: none. */
static inline void tls_swap(
        struct cmdi_session *session, WOLFSSL_METHOD *method, const char *name, const char *ca)
{
    WOLFSSL_CTX *context = wolfSSL_CTX_new(method);
    CU_ASSERT_PTR_NOT_NULL_FATAL(context);
    if (ca != NULL) {
        int done = wolfSSL_CTX_load_verify_locations(context, tls_file_of(ca, ".pem"), NULL);
        CU_ASSERT_EQUAL(done, WOLFSSL_SUCCESS);
    }
    if (name != NULL) {
        int pem = WOLFSSL_FILETYPE_PEM;
        int done = wolfSSL_CTX_use_certificate_chain_file(context, tls_file_of(name, ".pem"));
        CU_ASSERT_EQUAL(done, WOLFSSL_SUCCESS);
        done = wolfSSL_CTX_use_PrivateKey_file(context, tls_file_of(name, ".key"), pem);
        CU_ASSERT_EQUAL(done, WOLFSSL_SUCCESS);
    }
    wolfSSL_free(session->object);
    session->object = wolfSSL_new(context);
    CU_ASSERT_PTR_NOT_NULL_FATAL(session->object);
    wolfSSL_CTX_free(context);
    cmdi_verify_attach(&session->handshake->verify, session->object, session->tls->verify_mode);
    cmdi_shim_attach(&session->shim, session->object);
}

static inline void tls_swap_name(struct cmdi_session *session)
{
    const char *name = session->handshake->server_name;
    int done = wolfSSL_UseSNI(
            session->object, WOLFSSL_SNI_HOST_NAME, name, (unsigned short)strlen(name));
    CU_ASSERT_EQUAL(done, WOLFSSL_SUCCESS);
}

#endif

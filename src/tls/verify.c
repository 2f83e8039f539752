/* SPDX-License-Identifier: MIT */
/*
 * Builds of wolfSSL differ in when they call: for each certificate of the chain, from its top down, or
 * for bad ones and the leaf alone. The leaf comes last, in all of them.
 */
#include "tls/verify.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

void cmdi_verify_init(struct cmdi_verify *verify, const char *host,
        enum cmdi_certificate_owner owner, bool checks)
{
    *verify = (struct cmdi_verify){.host = host, .owner = owner, .checks = checks};
}

void cmdi_verify_fini(struct cmdi_verify *verify)
{
    free((void *)verify->der.data);
    verify->der = (struct cmds_bytes){0};
}

static void verify_keep(struct cmdi_verify *verify, const WOLFSSL_X509_STORE_CTX *store)
{
    int index = store->error_depth;
    if (store->certs == NULL || index < 0 || index >= store->totalCerts) {
        return;
    }
    const WOLFSSL_BUFFER_INFO *certificate = &store->certs[index];
    uint8_t *der = certificate->length > 0 ? malloc(certificate->length) : NULL;
    if (der == NULL) {
        return;
    }
    memcpy(der, certificate->buffer, certificate->length);
    free((void *)verify->der.data);
    verify->der = (struct cmds_bytes){der, certificate->length};
}

static enum cmdi_certificate_fault verify_judge(const struct cmdi_verify *verify)
{
    struct cmdi_certificate certificate;
    enum cmdi_certificate_fault fault =
            cmdi_certificate_parse(&certificate, verify->der.data, verify->der.size);
    if (fault == CMDI_CERTIFICATE_OK) {
        fault = cmdi_certificate_check(&certificate, verify->owner);
    }
    if (fault == CMDI_CERTIFICATE_OK && verify->host != NULL) {
        fault = cmdi_certificate_check_host(&certificate, verify->host);
    }
    return fault;
}

static bool verify_leaf(struct cmdi_verify *verify, const WOLFSSL_X509_STORE_CTX *store)
{
    verify_keep(verify, store);
    if (!verify->checks) {
        return true;
    }
    verify->lacks_memory = verify->der.size == 0;
    if (!verify->lacks_memory) {
        verify->fault = verify_judge(verify);
    }
    verify->is_verified = !cmdi_verify_has_failed(verify);
    return verify->is_verified;
}

/* Returns, as wolfSSL wants it: 1: good; 0: bad, whatever it thinks itself. */
static int verify_call(int is_good, WOLFSSL_X509_STORE_CTX *store)
{
    struct cmdi_verify *verify = store->userCtx;
    if (verify == NULL) {
        return 0;
    }
    verify->is_verified = false;
    if (cmdi_verify_has_failed(verify)) {
        return 0;
    }
    if (verify->checks && (!is_good || store->error != 0)) {
        verify->code = store->error != 0 ? store->error : VERIFY_CERT_ERROR;
        verify->depth = store->error_depth;
        verify_keep(verify, store);
        return 0;
    }
    if (store->totalCerts == 0) {
        return 1; // It has none: the end of the handshake says whether it needs one.
    }
    return store->error_depth > 0 || verify_leaf(verify, store) ? 1 : 0;
}

void cmdi_verify_attach(struct cmdi_verify *verify, WOLFSSL *object, int mode)
{
    wolfSSL_set_verify(object, mode, verify_call);
    wolfSSL_SetCertCbCtx(object, verify);
}

void cmdi_verify_detach(WOLFSSL *object)
{
    wolfSSL_SetCertCbCtx(object, NULL);
}

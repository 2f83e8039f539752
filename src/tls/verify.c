/* SPDX-License-Identifier: MIT */
/*
 * wolfSSL calls for each certificate that came, from the top of the chain down, the leaf last. What it has
 * found to be a CA it remembers if we do not refuse it, for all objects of the same WOLFSSL_CTX.
 */
#include "tls/verify.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"

void cmdi_verify_init(struct cmdi_verify *verify, const char *host,
        enum cmdi_certificate_owner owner, const struct cmdi_anchors *anchors)
{
    *verify = (struct cmdi_verify){.host = host, .owner = owner, .anchors = anchors};
}

void cmdi_verify_fini(struct cmdi_verify *verify)
{
    free((void *)verify->der.data);
    verify->der = (struct cmds_bytes){0};
}

static bool is_same(struct cmds_bytes a, struct cmds_bytes b)
{
    return a.size == b.size && memcmp(a.data, b.data, a.size) == 0;
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

/*
 * Does the chain lead from the leaf up to a name that we hold? wolfSSL takes a CA for known that came with
 * another connection, which may have expired since: who comes with the leaf alone would be right or wrong
 * by what others have sent. Returns: 0, or wolfSSL's number for what is wrong.
 *
 * On the way a CA may say which addresses and URIs there may be below it. wolfSSL does not ask for those
 * kinds of nameConstraints: who has such names may not have them from there.
 */
static int verify_path(const struct cmdi_verify *verify, const WOLFSSL_X509_STORE_CTX *store)
{
    struct cmdi_certificate leaf, at, next;
    bool is_constrained = false;
    int64_t now_s = (int64_t)time(NULL);
    if (cmdi_certificate_parse(&leaf, verify->der.data, verify->der.size) != CMDI_CERTIFICATE_OK) {
        return ASN_PARSE_E;
    }
    at = leaf;
    for (int step = 0; step < store->totalCerts; step++) {
        if (cmdi_anchors_have_name(verify->anchors, at.issuer, now_s, &is_constrained)) {
            bool has_some = leaf.ip_count > 0 || leaf.uri_count > 0;
            return is_constrained && has_some ? ASN_NAME_INVALID_E : 0;
        }
        bool is_found = false;
        for (int i = 1; i < store->totalCerts && !is_found; i++) {
            is_found = cmdi_certificate_parse(&next, store->certs[i].buffer,
                               store->certs[i].length) == CMDI_CERTIFICATE_OK &&
                       is_same(next.subject, at.issuer);
        }
        if (!is_found) {
            break;
        }
        at = next;
        is_constrained = is_constrained || at.constrains_more;
    }
    return ASN_NO_SIGNER_E;
}

/* One above the leaf, which wolfSSL has nothing against. */
static bool verify_ca(struct cmdi_verify *verify, const WOLFSSL_X509_STORE_CTX *store)
{
    const WOLFSSL_BUFFER_INFO *certificate = &store->certs[store->error_depth];
    struct cmdi_certificate ca;
    enum cmdi_certificate_fault fault =
            cmdi_certificate_parse(&ca, certificate->buffer, certificate->length);
    if (fault == CMDI_CERTIFICATE_OK) {
        if (cmdi_anchors_have(verify->anchors, &ca)) {
            return true;
        }
        fault = cmdi_certificate_check_ca(&ca, verify->owner);
    }
    if (fault == CMDI_CERTIFICATE_OK) {
        return true;
    }
    int code = wolfSSL_CertManagerVerifyBuffer(
            verify->manager, certificate->buffer, (long)certificate->length, WOLFSSL_FILETYPE_ASN1);
    if (code == ASN_NO_SIGNER_E || code == ASN_SELF_SIGNED_E) {
        return true; // Nobody that it trusts has signed it: it goes by the others.
    }
    verify_keep(verify, store);
    verify->lacks_memory = code == MEMORY_E || verify->der.size == 0;
    verify->fault = fault;
    verify->depth = store->error_depth;
    return false;
}

static bool verify_leaf(struct cmdi_verify *verify, const WOLFSSL_X509_STORE_CTX *store)
{
    verify_keep(verify, store);
    if (verify->anchors == NULL) {
        return true;
    }
    verify->lacks_memory = verify->der.size == 0;
    if (!verify->lacks_memory) {
        verify->fault = verify_judge(verify);
        verify->code = verify->fault == CMDI_CERTIFICATE_OK ? verify_path(verify, store) : 0;
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
    if (verify->anchors != NULL && (!is_good || store->error != 0)) {
        verify->code = store->error != 0 ? store->error : VERIFY_CERT_ERROR;
        verify->depth = store->error_depth;
        verify_keep(verify, store);
        return 0;
    }
    if (store->totalCerts == 0) {
        return 1; // It has none: the end of the handshake says whether it needs one.
    }
    if (store->error_depth == 0) {
        return verify_leaf(verify, store) ? 1 : 0;
    }
    return verify->anchors == NULL || verify_ca(verify, store) ? 1 : 0;
}

void cmdi_verify_attach(struct cmdi_verify *verify, WOLFSSL *object, int mode)
{
    verify->manager = wolfSSL_CTX_GetCertManager(wolfSSL_get_SSL_CTX(object));
    wolfSSL_set_verify(object, mode, verify_call);
    wolfSSL_SetCertCbCtx(object, verify);
}

void cmdi_verify_detach(WOLFSSL *object)
{
    wolfSSL_SetCertCbCtx(object, NULL);
}

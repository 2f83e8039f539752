/* SPDX-License-Identifier: MIT */
/* See trust.h. */
#include "tls/trust.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "tls/certificate.h"
#include "tls/certificate_check.h"
#include "tls/der.h"
#include "tls/name.h"
#include "tls/pem.h"
#include "tls/refuse.h"

#include <wolfssl/wolfcrypt/error-crypt.h>

enum {
    SUBJECT_SIZE = 80
};

/* What is made of a file of CAs. */
struct trust {
    WOLFSSL_CTX *ctx;
    const struct cmdi_file *file;
    bool is_systems;
    struct cmdi_anchors *anchors; // NULL: they are not kept.
    unsigned seen, loaded;
    int date_fault; // Of the last one that is not valid today.
};

/* Is it a CA's? Otherwise, the sentence. */
static int check_ca(const struct trust *trust, const uint8_t *der, size_t size,
        struct cmdi_certificate *ca, struct cmds_error *error)
{
    enum cmdi_certificate_fault fault = cmdi_certificate_parse(ca, der, size);
    if (fault != CMDI_CERTIFICATE_OK) {
        char sentence[200];
        (void)cmdi_certificate_fault_text(ca, fault, 0, NULL, sentence, sizeof(sentence));
        return cmdi_refuse_file(
                error, trust->file, "certificate %u in it: %s", trust->seen, sentence);
    }
    char subject[SUBJECT_SIZE] = "";
    (void)cmdi_name_text(ca->subject, subject, sizeof(subject));
    if (!ca->is_ca) {
        return cmdi_refuse_file(error, trust->file,
                "certificate %u in it (%s) is not one of a CA (CA:TRUE): who trusts somebody "
                "trusts "
                "the CA that signed for him",
                trust->seen, subject);
    }
    if (ca->has_key_usage && (ca->key_usage & CMDI_KEY_USAGE_CERT_SIGN) == 0) {
        return cmdi_refuse_file(error, trust->file,
                "certificate %u in it (%s) may not sign others: its keyUsage lacks keyCertSign",
                trust->seen, subject);
    }
    return 0;
}

/* Returns: 0, also where it was left out. */
static int add_ca(struct trust *trust, const uint8_t *der, size_t size, struct cmds_error *error)
{
    struct cmds_error ignored = CMDS_ERROR_INIT;
    struct cmdi_certificate ca;
    int code = check_ca(trust, der, size, &ca, trust->is_systems ? &ignored : error);
    if (code < 0) {
        return trust->is_systems ? 0 : code;
    }
    int result = wolfSSL_CTX_load_verify_buffer_ex(
            trust->ctx, der, (long)size, WOLFSSL_FILETYPE_ASN1, 0, WOLFSSL_LOAD_FLAG_NONE);
    if (result == WOLFSSL_SUCCESS) {
        trust->loaded++;
        if (trust->anchors != NULL && cmdi_anchors_add(trust->anchors, &ca) < 0) {
            return cmdi_refuse_memory(error);
        }
    } else if (result == ASN_AFTER_DATE_E || result == ASN_BEFORE_DATE_E) {
        trust->date_fault = result;
    } else if (!trust->is_systems || result == MEMORY_E) {
        return cmdi_refuse_wolf(error, trust->file, result);
    }
    return 0;
}

static int add_ca_block(
        struct trust *trust, const struct cmdi_pem_block *block, struct cmds_error *error)
{
    uint8_t *der = malloc(cmdi_pem_size_max(block->body.size));
    if (der == NULL) {
        return cmdi_refuse_memory(error);
    }
    trust->seen++;
    int code = add_ca(trust, der, cmdi_pem_decode(block->body, der), error);
    free(der);
    return code;
}

/* None has remained. */
static int refuse_all(const struct trust *trust, struct cmds_error *error)
{
    if (trust->date_fault == ASN_AFTER_DATE_E) {
        return cmdi_refuse_file(error, trust->file, "each of its CAs has expired");
    }
    if (trust->date_fault != 0) {
        return cmdi_refuse_file(
                error, trust->file, "none of its CAs is valid yet; is the clock right?");
    }
    return cmdi_refuse_file(error, trust->file, "no CA in it (PEM: -----BEGIN CERTIFICATE-----)");
}

int cmdi_trust_load_cas(WOLFSSL_CTX *ctx, const struct cmdi_file *file, bool is_systems,
        struct cmdi_anchors *anchors, struct cmds_error *error)
{
    struct trust trust = {.ctx = ctx, .file = file, .is_systems = is_systems, .anchors = anchors};
    struct cmdi_pem pem = cmdi_pem_begin(file->bytes);
    struct cmdi_pem_block block;
    enum cmdi_pem_result result;
    while ((result = cmdi_pem_next(&pem, &block)) == CMDI_PEM_BLOCK) {
        if (cmds_string_equal(block.label, cmds_string_from("CERTIFICATE"))) {
            int code = add_ca_block(&trust, &block, error);
            if (code < 0) {
                return code;
            }
        }
    }
    if (result == CMDI_PEM_CUT) {
        return cmdi_refuse_cut(error, file);
    }
    return trust.loaded > 0 ? 0 : refuse_all(&trust, error);
}

/* ---- What they have revoked ------------------------------------------------------------------ */

#ifdef HAVE_CRL_IO
/* wolfSSL would ask the network, inside a handshake. */
static int fetch_nothing(WOLFSSL_CRL *crl, const char *url, int url_size)
{
    (void)crl;
    (void)url;
    (void)url_size;
    return -1;
}
#endif

static int enable_crls(WOLFSSL_CTX *ctx, const struct cmdi_file *file, struct cmds_error *error)
{
    int result = wolfSSL_CTX_EnableCRL(ctx, WOLFSSL_CRL_CHECK | WOLFSSL_CRL_CHECKALL);
#ifdef HAVE_CRL_IO
    if (result == WOLFSSL_SUCCESS) {
        result = wolfSSL_CTX_SetCRL_IOCb(ctx, fetch_nothing);
    }
#endif
    return result == WOLFSSL_SUCCESS ? 0 : cmdi_refuse_wolf(error, file, result);
}

/* Is its nextUpdate over? Not every version of wolfSSL says so of what it refuses. */
static bool is_expired(const uint8_t *der, size_t size)
{
    struct cmdi_der all = cmdi_der_of((struct cmds_bytes){der, size}), list, body, ignored;
    int64_t this_update_s, next_update_s;
    if (!cmdi_der_take(&all, CMDI_DER_SEQUENCE, &list) ||
            !cmdi_der_take(&list, CMDI_DER_SEQUENCE, &body)) {
        return false;
    }
    if (cmdi_der_is_next(body, CMDI_DER_INTEGER) && !cmdi_der_take_integer(&body, &ignored)) {
        return false;
    }
    return cmdi_der_take(&body, CMDI_DER_SEQUENCE, &ignored) && // Algorithm.
           cmdi_der_take(&body, CMDI_DER_SEQUENCE, &ignored) && // Issuer.
           cmdi_der_take_time(&body, &this_update_s) && cmdi_der_take_time(&body, &next_update_s) &&
           next_update_s < (int64_t)time(NULL);
}

static bool is_block_expired(const struct cmdi_pem_block *block)
{
    uint8_t *der = malloc(cmdi_pem_size_max(block->body.size));
    bool is = der != NULL && is_expired(der, cmdi_pem_decode(block->body, der));
    free(der);
    return is;
}

static int add_crl(WOLFSSL_CTX *ctx, const struct cmdi_file *file, unsigned number,
        const struct cmdi_pem_block *block, struct cmds_error *error)
{
    int result = wolfSSL_CTX_LoadCRLBuffer(
            ctx, block->all.data, (long)block->all.size, WOLFSSL_FILETYPE_PEM);
    if (result == WOLFSSL_SUCCESS) {
        return 0;
    }
    if (result == ASN_CRL_NO_SIGNER_E || result == ASN_CRL_CONFIRM_E) {
        return cmdi_refuse_file(error, file,
                "list %u in it was signed by none of the CAs that are trusted", number);
    }
    if (result != MEMORY_E && is_block_expired(block)) {
        return cmdi_refuse_file(error, file, "list %u in it has expired: fetch a new one", number);
    }
    return cmdi_refuse_wolf(error, file, result);
}

int cmdi_trust_load_crls(WOLFSSL_CTX *ctx, const struct cmdi_file *file, struct cmds_error *error)
{
    struct cmdi_pem pem = cmdi_pem_begin(file->bytes);
    struct cmdi_pem_block block;
    enum cmdi_pem_result result = CMDI_PEM_END;
    unsigned count = 0;
    int code = enable_crls(ctx, file, error);
    while (code == 0 && (result = cmdi_pem_next(&pem, &block)) == CMDI_PEM_BLOCK) {
        if (cmds_string_equal(block.label, cmds_string_from("X509 CRL"))) {
            code = add_crl(ctx, file, ++count, &block, error);
        }
    }
    if (code < 0) {
        return code;
    }
    if (result == CMDI_PEM_CUT) {
        return cmdi_refuse_cut(error, file);
    }
    return count > 0 ? 0
                     : cmdi_refuse_file(error, file,
                               "no list of revoked certificates in it (PEM: -----BEGIN X509 "
                               "CRL-----)");
}

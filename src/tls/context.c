/* SPDX-License-Identifier: MIT */
/* See context.h. */
#include "tls/context.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/error.h"
#include "tls/anchors.h"
#include "tls/crypto.h"
#include "tls/digest.h"
#include "tls/options.h"
#include "tls/own.h"
#include "tls/refuse.h"
#include "tls/resume.h"
#include "tls/setup.h"
#include "tls/thread.h"
#include "tls/tickets.h"
#include "tls/trust.h"

/* One certificate of it. */
struct entry {
    WOLFSSL_CTX *ctx;
    const char *server_name; // Of the options. NULL: the first, for everybody else.
    struct cmdi_ticket_scope scope;
};

struct cmdi_context {
    _Atomic uint32_t refs;
    uint8_t policy[CMDI_DIGEST_SIZE];
    struct cmdi_anchors anchors; // Of each entry: they come from the same file.
    uint32_t count;
    struct entry entries[];
};

/* ---- What the files hold --------------------------------------------------------------------- */

struct material {
    uint32_t count;
    struct cmdi_file *certificates, *keys; // Of each pair of the options.
    struct cmdi_file ca, crl;              // No data: none.
    bool is_systems;                       // `ca` is the system's.
};

static void material_free(struct material *material)
{
    for (uint32_t i = 0; i < material->count; i++) {
        cmdi_file_free(&material->certificates[i]);
        cmdi_file_free(&material->keys[i]);
    }
    free(material->certificates);
    free(material->keys);
    cmdi_file_free(&material->ca);
    cmdi_file_free(&material->crl);
}

static int read_pairs(
        struct material *material, const struct cmdi_tls_options *options, struct cmds_error *error)
{
    material->certificates = calloc(options->pair_count + 1, sizeof(*material->certificates));
    material->keys = calloc(options->pair_count + 1, sizeof(*material->keys));
    if (material->certificates == NULL || material->keys == NULL) {
        return cmdi_refuse_memory(error);
    }
    material->count = options->pair_count;
    int code = 0;
    for (uint32_t i = 0; code == 0 && i < options->pair_count; i++) {
        const struct cmdi_tls_pair *pair = &options->pairs[i];
        code = cmdi_file_read(&material->certificates[i], pair->certificate,
                CMDI_FILE_CHAIN_SIZE_MAX, false, error);
        if (code == 0) {
            code = cmdi_file_read(
                    &material->keys[i], pair->key, CMDI_FILE_KEY_SIZE_MAX, true, error);
        }
    }
    return code;
}

static int read_trust(
        struct material *material, const struct cmdi_tls_options *options, struct cmds_error *error)
{
    struct cmdi_file_name ca = options->ca;
    bool verifies = cmdi_setup_verify_mode(options) != WOLFSSL_VERIFY_NONE;
    if (verifies && ca.path == NULL) { // A server has one: its options were checked.
        CMDI_ASSERT(!options->is_server);
        ca = (struct cmdi_file_name){"ca_file (the system's store)", cmdi_file_system_store()};
        material->is_systems = true;
        if (ca.path == NULL) {
            return cmdi_fail(error, CMDS_E_TLS_CONFIG,
                    "TLS: no ca_file, and this system has no store of CAs (%s): install "
                    "ca-certificates, or set ca_file or SSL_CERT_FILE",
                    cmdi_file_system_places());
        }
    }
    int code = 0;
    if (verifies) {
        code = cmdi_file_read(&material->ca, ca, CMDI_FILE_LIST_SIZE_MAX, false, error);
    }
    if (code == 0 && options->crl.path != NULL) {
        code = cmdi_file_read(&material->crl, options->crl, CMDI_FILE_LIST_SIZE_MAX, false, error);
    }
    return code;
}

/* ---- The policy ------------------------------------------------------------------------------ */

/*
 * What a resumed session goes by. A server's own certificate is no part of it: a new one says nothing of
 * who the clients are. A client's is: it says who it is.
 */
static void digest_policy(const struct cmdi_tls_options *options, const struct material *material,
        uint8_t policy[CMDI_DIGEST_SIZE])
{
    struct cmdi_digest digest;
    cmdi_digest_begin(&digest);
    cmdi_digest_add_number(&digest, options->is_server);
    cmdi_digest_add_number(&digest, options->clients);
    cmdi_digest_add_number(&digest, options->version_min);
    cmdi_digest_add_number(&digest, options->unsafe_no_verification);
    cmdi_digest_add(&digest, (struct cmds_bytes){options->ciphers.suites,
                                     options->ciphers.count * sizeof(options->ciphers.suites[0])});
    cmdi_digest_add_text(&digest, options->alpn);
    cmdi_digest_add_text(&digest, options->server_name);
    cmdi_digest_add(&digest, material->ca.bytes);
    cmdi_digest_add(&digest, material->crl.bytes);
    if (!options->is_server && material->count > 0) {
        cmdi_digest_add(&digest, material->certificates[0].bytes);
    }
    cmdi_digest_end(&digest, policy);
}

static void digest_scope(const uint8_t policy[CMDI_DIGEST_SIZE], const char *server_name,
        uint8_t scope[CMDI_DIGEST_SIZE])
{
    struct cmdi_digest digest;
    cmdi_digest_begin(&digest);
    cmdi_digest_add_text(&digest, "ticket");
    cmdi_digest_add(&digest, (struct cmds_bytes){policy, CMDI_DIGEST_SIZE});
    cmdi_digest_add_text(&digest, server_name);
    cmdi_digest_end(&digest, scope);
}

/* ---- Contexts -------------------------------------------------------------------------------- */

static void context_destroy(struct cmdi_context *context)
{
    for (uint32_t i = 0; i < context->count; i++) {
        wolfSSL_CTX_free(context->entries[i].ctx);
    }
    cmdi_anchors_fini(&context->anchors);
    free(context);
}

static int fill_entry(const struct cmdi_tls *tls, const struct material *material, uint32_t index,
        struct cmdi_context *context, struct cmds_error *error)
{
    struct entry *entry = &context->entries[index];
    const struct cmdi_tls_options *options = tls->options;
    int code = cmdi_setup_create(&entry->ctx, options, &entry->scope, error);
    if (code == 0 && index < material->count) {
        code = cmdi_own_load(entry->ctx, &material->certificates[index], &material->keys[index],
                entry->server_name, error);
    }
    if (code == 0 && material->ca.bytes.data != NULL) {
        code = cmdi_trust_load_cas(entry->ctx, &material->ca, material->is_systems,
                index == 0 ? &context->anchors : NULL, error);
    }
    if (code == 0 && material->crl.bytes.data != NULL) {
        code = cmdi_trust_load_crls(entry->ctx, &material->crl, error);
    }
    if (code == 0) {
        // Last: with a device, wolfSSL takes a public key for a private one that the device has.
        (void)wolfSSL_CTX_SetDevId(entry->ctx, cmdi_tls_crypto_device());
    }
    return code;
}

static int context_create(const struct cmdi_tls *tls, const struct material *material,
        struct cmdi_context **context, struct cmds_error *error)
{
    uint32_t count = material->count > 0 ? material->count : 1; // A client without a certificate.
    struct cmdi_context *created =
            calloc(1, sizeof(*created) + count * sizeof(created->entries[0]));
    if (created == NULL) {
        return cmdi_refuse_memory(error);
    }
    atomic_init(&created->refs, 1);
    created->count = count;
    digest_policy(tls->options, material, created->policy);
    int code = 0;
    for (uint32_t i = 0; code == 0 && i < count; i++) {
        struct entry *entry = &created->entries[i];
        entry->server_name = i < material->count ? tls->options->pairs[i].server_name : NULL;
        entry->scope.tickets = tls->tickets;
        digest_scope(created->policy, entry->server_name, entry->scope.digest);
        code = fill_entry(tls, material, i, created, error);
    }
    if (code < 0) {
        context_destroy(created);
        return code;
    }
    *context = created;
    return 0;
}

int cmdi_context_read(
        const struct cmdi_tls *tls, struct cmdi_context **context, struct cmds_error *error)
{
    struct material material = {.count = 0};
    cmdi_tls_thread_works();
    int code = read_pairs(&material, tls->options, error);
    if (code == 0) {
        code = read_trust(&material, tls->options, error);
    }
    if (code == 0) {
        code = context_create(tls, &material, context, error);
    }
    material_free(&material);
    return code;
}

struct cmdi_context *cmdi_tls_hold(struct cmdi_tls *tls)
{
    pthread_mutex_lock(&tls->mutex);
    struct cmdi_context *context = tls->context;
    atomic_fetch_add_explicit(&context->refs, 1, memory_order_relaxed);
    pthread_mutex_unlock(&tls->mutex);
    return context;
}

void cmdi_tls_swap(struct cmdi_tls *tls, struct cmdi_context *context)
{
    pthread_mutex_lock(&tls->mutex);
    struct cmdi_context *old = tls->context;
    tls->context = context;
    pthread_mutex_unlock(&tls->mutex);
    cmdi_context_unref(old);
}

void cmdi_context_unref(struct cmdi_context *context)
{
    if (context != NULL &&
            atomic_fetch_sub_explicit(&context->refs, 1, memory_order_acq_rel) == 1) {
        context_destroy(context);
    }
}

/* ---- What a session asks of them ------------------------------------------------------------- */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_name(const char *name, struct cmds_string server_name)
{
    for (size_t i = 0; i < server_name.size; i++) {
        // Where `name` ends before it, its NUL differs: a name of a peer may have one in it as well.
        if (name[i] == '\0' || lower(name[i]) != lower(server_name.data[i])) {
            return false;
        }
    }
    return name[server_name.size] == '\0';
}

/* The first entry for this name, or for "*." and it. */
static const struct entry *find_entry(
        const struct cmdi_context *context, struct cmds_string server_name, bool is_wild)
{
    for (uint32_t i = 1; i < context->count; i++) {
        const char *name = context->entries[i].server_name;
        bool name_is_wild = strncmp(name, "*.", 2) == 0;
        if (name_is_wild == is_wild && is_name(is_wild ? name + 2 : name, server_name)) {
            return &context->entries[i];
        }
    }
    return NULL;
}

WOLFSSL_CTX *cmdi_context_for(const struct cmdi_context *context, struct cmds_string server_name)
{
    const struct entry *entry = NULL;
    if (server_name.size > 0) {
        entry = find_entry(context, server_name, false);
        const char *dot = memchr(server_name.data, '.', server_name.size);
        if (entry == NULL && dot != NULL && dot > server_name.data) {
            size_t behind = (size_t)(dot - server_name.data) + 1;
            struct cmds_string rest = {dot + 1, server_name.size - behind};
            entry = find_entry(context, rest, true);
        }
    }
    return entry != NULL ? entry->ctx : context->entries[0].ctx;
}

int cmdi_context_object(const struct cmdi_tls *tls, const struct cmdi_context *context,
        struct cmds_string server_name, WOLFSSL **object)
{
    // It reads random numbers from a file, and does not say what failed.
    errno = 0;
    WOLFSSL *created = wolfSSL_new(cmdi_context_for(context, server_name));
    if (created == NULL) {
        return errno == EMFILE || errno == ENFILE ? -errno : -ENOMEM;
    }
    if (tls->alpn != NULL) {
        char names[CMDI_TLS_ALPN_SIZE_MAX + 1];
        size_t size = strlen(tls->alpn);
        memcpy(names, tls->alpn, size + 1); // wolfSSL writes into it.
        if (wolfSSL_UseALPN(created, names, (unsigned)size, WOLFSSL_ALPN_FAILED_ON_MISMATCH) !=
                WOLFSSL_SUCCESS) {
            wolfSSL_free(created);
            return -ENOMEM;
        }
    }
    *object = created;
    return 0;
}

const uint8_t *cmdi_context_policy(const struct cmdi_context *context)
{
    return context->policy;
}

const struct cmdi_anchors *cmdi_context_anchors(const struct cmdi_context *context)
{
    return &context->anchors;
}

bool cmdi_tls_allows(const struct cmdi_tls *tls, WOLFSSL *object)
{
    int version = wolfSSL_GetVersion(object);
    int least = tls->version_min == 13 ? WOLFSSL_TLSV1_3 : WOLFSSL_TLSV1_2;
    int suite = wolfSSL_get_current_cipher_suite(object);
    return version >= least && version <= WOLFSSL_TLSV1_3 &&
           cmdi_ciphers_have(&tls->options->ciphers, (uint16_t)suite);
}

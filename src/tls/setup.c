/* SPDX-License-Identifier: MIT */
/* See setup.h. */
#include "tls/setup.h"

#include <errno.h>

#include "base/error.h"
#include "tls/certificate_check.h"
#include "tls/own.h"

int cmdi_setup_verify_mode(const struct cmdi_tls_options *options)
{
    if (!options->is_server) {
        return options->unsafe_no_verification ? WOLFSSL_VERIFY_NONE : WOLFSSL_VERIFY_PEER;
    }
    switch ((enum cmds_tls_clients)options->clients) {
    case CMDS_TLS_CLIENTS_NONE:
        break;
    case CMDS_TLS_CLIENTS_OPTIONAL:
        return WOLFSSL_VERIFY_PEER;
    case CMDS_TLS_CLIENTS_REQUIRED:
        return WOLFSSL_VERIFY_PEER | WOLFSSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    }
    return WOLFSSL_VERIFY_NONE;
}

static int refuse(struct cmds_error *error, const char *what, int number)
{
    return cmdi_fail(error, CMDS_E_TLS_CONFIG, "TLS: wolfSSL %s refuses %s (%d)",
            wolfSSL_lib_version(), what, number);
}

/* Keys that can be guessed, chains without end; versions and ciphers. */
static int set_strength(
        WOLFSSL_CTX *ctx, const struct cmdi_tls_options *options, struct cmds_error *error)
{
    int version = options->version_min == 13 ? WOLFSSL_TLSV1_3 : WOLFSSL_TLSV1_2;
    int result = wolfSSL_CTX_SetMinVersion(ctx, version);
    if (result != WOLFSSL_SUCCESS) {
        return refuse(error, "version_min", result);
    }
    char ciphers[CMDI_CIPHERS_TEXT_SIZE];
    cmdi_ciphers_text(&options->ciphers, ciphers);
    result = wolfSSL_CTX_set_cipher_list(ctx, ciphers);
    if (result != WOLFSSL_SUCCESS) {
        return refuse(error, "the list of ciphers", result);
    }
    int groups[] = {WOLFSSL_ECC_X25519, WOLFSSL_ECC_SECP256R1, WOLFSSL_ECC_SECP384R1};
    result = wolfSSL_CTX_set_groups(ctx, groups, sizeof(groups) / sizeof(groups[0]));
    if (result != WOLFSSL_SUCCESS) {
        return refuse(error, "X25519, P-256 or P-384", result);
    }
    result = wolfSSL_CTX_SetMinRsaKey_Sz(ctx, CMDI_RSA_BITS_MIN);
    if (result != WOLFSSL_SUCCESS) {
        return refuse(error, "a least size of RSA keys", result);
    }
    result = wolfSSL_CTX_SetMinEccKey_Sz(ctx, CMDI_EC_BITS_MIN);
    if (result != WOLFSSL_SUCCESS) {
        return refuse(error, "a least size of EC keys", result);
    }
    wolfSSL_CTX_set_verify_depth(ctx, CMDI_CHAIN_COUNT_MAX);
    return 0;
}

/*
 * Who resumes: by our tickets, at servers that ask for no certificate. By wolfSSL's cache, which is the
 * process's, a client could resume here what it began at a server that does not ask.
 */
static int set_resumption(WOLFSSL_CTX *ctx, const struct cmdi_tls_options *options,
        struct cmdi_ticket_scope *scope, struct cmds_error *error)
{
    if (!options->is_server) {
        return 0; // Its cache stays on: without it, some versions take no session from us.
    }
    (void)wolfSSL_CTX_set_session_cache_mode(ctx, WOLFSSL_SESS_CACHE_OFF); // Always "success".
    int result = wolfSSL_CTX_set_TicketEncCb(ctx, cmdi_tls_tickets_callback);
    if (result == WOLFSSL_SUCCESS) {
        result = wolfSSL_CTX_set_TicketEncCtx(ctx, scope);
    }
    if (result == WOLFSSL_SUCCESS) {
        result = wolfSSL_CTX_NoTicketTLSv12(ctx);
    }
    if (result != WOLFSSL_SUCCESS) {
        return refuse(error, "tickets of our own", result);
    }
    if (options->ticket_lifetime_s == 0) {
        result = wolfSSL_CTX_no_ticket_TLSv13(ctx);
        return result == 0 ? 0 : refuse(error, "to make no tickets", result);
    }
    // What a client is told, and what the server itself looks at.
    result = wolfSSL_CTX_set_TicketHint(ctx, (int)options->ticket_lifetime_s);
    (void)wolfSSL_CTX_set_timeout(ctx, options->ticket_lifetime_s); // Of two minds what is success.
    if (result == WOLFSSL_SUCCESS) {
        result = wolfSSL_CTX_set_num_tickets(ctx, 1);
    }
    return result == WOLFSSL_SUCCESS ? 0 : refuse(error, "a lifetime of tickets", result);
}

int cmdi_setup_create(WOLFSSL_CTX **ctx, const struct cmdi_tls_options *options,
        struct cmdi_ticket_scope *scope, struct cmds_error *error)
{
    WOLFSSL_CTX *created =
            wolfSSL_CTX_new(options->is_server ? wolfTLS_server_method() : wolfTLS_client_method());
    if (created == NULL) {
        return cmdi_fail(error, -ENOMEM, "TLS: out of memory");
    }
    wolfSSL_CTX_set_verify(created, cmdi_setup_verify_mode(options), NULL);
    int code = set_strength(created, options, error);
    if (code == 0) {
        code = set_resumption(created, options, scope, error);
    }
    if (code == 0) {
        int result = wolfSSL_CTX_set_group_messages(created);
        code = result == WOLFSSL_SUCCESS ? 0 : refuse(error, "to group messages", result);
    }
    if (code < 0) {
        wolfSSL_CTX_free(created);
        return code;
    }
    *ctx = created;
    return 0;
}

/* SPDX-License-Identifier: MIT */
/* The functions of <cmdstream/tls.h>. */
#include <cmdstream/tls.h>

#include <errno.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/error.h"
#include "tls/context.h"
#include "tls/crypto.h"
#include "tls/layer.h"
#include "tls/options.h"
#include "tls/refuse.h"
#include "tls/resume.h"
#include "tls/setup.h"
#include "tls/tickets.h"

static void tls_destroy(struct cmdi_tls *tls)
{
    cmdi_context_unref(tls->context);
    cmdi_tls_tickets_destroy(tls->tickets);
    cmdi_resume_destroy(tls->resume);
    cmdi_tls_options_destroy(tls->options);
    (void)pthread_mutex_destroy(&tls->mutex);
    (void)pthread_mutex_destroy(&tls->reload_mutex);
    free(tls);
}

static void set_facts(struct cmdi_tls *tls, const struct cmdi_tls_options *options)
{
    tls->face = (struct cmds_tls){
            .security = &cmdi_tls_security,
            .server_name = options->server_name,
            .handshakes_max = options->handshakes_max,
            .is_server = options->is_server,
    };
    tls->alpn = options->alpn;
    tls->on_peer = options->on_peer;
    tls->on_peer_context = options->on_peer_context;
    tls->clients = options->clients;
    tls->version_min = options->version_min;
    tls->verify_mode = cmdi_setup_verify_mode(options);
    tls->verifies = tls->verify_mode != WOLFSSL_VERIFY_NONE;
    tls->requires =
            tls->verifies && (!options->is_server || options->clients == CMDS_TLS_CLIENTS_REQUIRED);
    tls->resumes = options->is_server ? options->ticket_lifetime_s > 0 : !options->no_resumption;
}

static int create_resumption(struct cmdi_tls *tls, struct cmds_error *error)
{
    if (!tls->resumes) {
        return 0;
    }
    if (tls->face.is_server) {
        return cmdi_tls_tickets_create(&tls->tickets, tls->options->ticket_lifetime_s, error);
    }
    return cmdi_resume_create(&tls->resume) == 0 ? 0 : cmdi_refuse_memory(error);
}

/* Owner: takes `options`, always. */
static int tls_create(
        struct cmds_tls **tls, struct cmdi_tls_options *options, struct cmds_error *error)
{
    struct cmdi_tls *created = calloc(1, sizeof(*created));
    if (created == NULL) {
        cmdi_tls_options_destroy(options);
        return cmdi_refuse_memory(error);
    }
    created->options = options;
    CMDI_ASSERT(pthread_mutex_init(&created->mutex, NULL) == 0);
    CMDI_ASSERT(pthread_mutex_init(&created->reload_mutex, NULL) == 0);
    set_facts(created, options);
    int code = cmdi_tls_crypto_start(error);
    if (code == 0) {
        code = create_resumption(created, error);
    }
    if (code == 0) {
        code = cmdi_context_read(created, &created->context, error);
    }
    if (code < 0) {
        tls_destroy(created);
        return code;
    }
    *tls = &created->face;
    return 0;
}

int cmds_tls_server_new(struct cmds_tls **tls, const struct cmds_tls_server_options *options,
        struct cmds_error *error)
{
    struct cmdi_tls_options *mine = NULL;
    int code = cmdi_tls_options_of_server(&mine, options, error);
    return code < 0 ? code : tls_create(tls, mine, error);
}

int cmds_tls_client_new(struct cmds_tls **tls, const struct cmds_tls_client_options *options,
        struct cmds_error *error)
{
    struct cmdi_tls_options *mine = NULL;
    int code = cmdi_tls_options_of_client(&mine, options, error);
    return code < 0 ? code : tls_create(tls, mine, error);
}

void cmds_tls_free(struct cmds_tls *tls)
{
    if (tls != NULL) {
        tls_destroy(cmdi_tls_of(tls));
    }
}

const char *cmds_tls_library(void)
{
    return cmdi_tls_crypto_text();
}

/* SPDX-License-Identifier: MIT */
/* See context.h. */
#include "tls/context.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/assert.h"

struct cmdi_context {
    _Atomic uint32_t refs;
    WOLFSSL_CTX *own; // Of the certificate that has no name of its own.
    uint8_t policy[32];
};

struct cmdi_context *cmdi_tls_hold(struct cmdi_tls *tls)
{
    pthread_mutex_lock(&tls->mutex);
    struct cmdi_context *context = tls->context;
    atomic_fetch_add_explicit(&context->refs, 1, memory_order_relaxed);
    pthread_mutex_unlock(&tls->mutex);
    return context;
}

void cmdi_context_unref(struct cmdi_context *context)
{
    if (context != NULL &&
            atomic_fetch_sub_explicit(&context->refs, 1, memory_order_acq_rel) == 1) {
        wolfSSL_CTX_free(context->own);
        free(context);
    }
}

WOLFSSL_CTX *cmdi_context_for(const struct cmdi_context *context, struct cmds_string server_name)
{
    (void)server_name;
    return context->own;
}

int cmdi_context_object(const struct cmdi_tls *tls, const struct cmdi_context *context,
        struct cmds_string server_name, WOLFSSL **object)
{
    (void)tls;
    *object = wolfSSL_new(cmdi_context_for(context, server_name));
    return *object != NULL ? 0 : -ENOMEM;
}

const uint8_t *cmdi_context_policy(const struct cmdi_context *context)
{
    return context->policy;
}

bool cmdi_tls_allows(const struct cmdi_tls *tls, WOLFSSL *object)
{
    (void)tls;
    (void)object;
    return true;
}

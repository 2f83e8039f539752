/* SPDX-License-Identifier: MIT */
/* Files are read anew, for the sessions from now on. */
#include <pthread.h>

#include <cmdstream/tls.h>

#include "tls/context.h"
#include "tls/resume.h"

int cmds_tls_reload(struct cmds_tls *face, struct cmds_error *error)
{
    struct cmdi_tls *tls = cmdi_tls_of(face);
    struct cmdi_context *context = NULL;
    pthread_mutex_lock(&tls->reload_mutex);
    int code = cmdi_context_read(tls, &context, error);
    if (code == 0) {
        const uint8_t *policy = cmdi_context_policy(context);
        if (tls->resume != NULL) {
            cmdi_resume_drop_others(tls->resume, policy);
        }
        cmdi_tls_swap(tls, context);
    }
    pthread_mutex_unlock(&tls->reload_mutex);
    return code;
}

/* SPDX-License-Identifier: MIT */
/*
 * A client's sessions for its next connections. Each is used once, for the same peer, under the same
 * policy, and comes with the certificate that was checked when it began: what a wolfSSL knows of the
 * peer after a resumption differs from build to build.
 *
 * A small table; the oldest goes. Any thread: there is a lock, taken twice for a connection.
 */
#ifndef CMDI_TLS_RESUME_H
#define CMDI_TLS_RESUME_H

#include <stdbool.h>
#include <stdint.h>

#include <cmdstream/base.h>

#include "tls/wolf.h"

enum {
    CMDI_RESUME_COUNT_MAX = 64,
    CMDI_RESUME_POLICY_SIZE = 32,
};

struct cmdi_resume;

/** Gives *resume. Returns: 0; -ENOMEM. */
int cmdi_resume_create(struct cmdi_resume **resume);
/** NULL is fine. */
void cmdi_resume_destroy(struct cmdi_resume *resume);

/** For whom a session is good. All of it is compared. */
struct cmdi_resume_key {
    const char *server_name; // Checked in the certificate; "" if nothing was checked.
    const char *address;     // As cmdi_security_peer has it.
    const uint8_t *policy;   // cmdi_context_policy() of the context that the session began with.
};

/**
 * Keeps a session, if there is memory.
 *
 * Owner: takes `session`, always: of wolfSSL_get1_session(), and nobody else's from then on, so at the end
 *        of a connection; a ticket that comes is written into it. Copies the leaf, which is empty if
 *        it was not checked.
 */
void cmdi_resume_keep(struct cmdi_resume *resume, const struct cmdi_resume_key *key,
        WOLFSSL_SESSION *session, struct cmds_bytes leaf);

/**
 * The youngest of this key, which is kept no longer.
 *
 * Owner:   gives *session, wolfSSL_SESSION_free(); *leaf (DER, or empty), free().
 * Returns: false: there is none.
 */
bool cmdi_resume_take(struct cmdi_resume *resume, const struct cmdi_resume_key *key,
        WOLFSSL_SESSION **session, struct cmds_bytes *leaf);

/** Drops those of other policies: of what was reloaded. */
void cmdi_resume_drop_others(struct cmdi_resume *resume, const uint8_t *policy);

#endif

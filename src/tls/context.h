/* SPDX-License-Identifier: MIT */
/*
 * A struct cmds_tls and the contexts in it.
 *
 *     cmdi_tls        options, which are constant; ticket keys and kept sessions; the current context
 *     cmdi_context    what the files held when they were read: constant, counted
 *
 * A session holds the context that was current when it began, and lets go of it at its end. So a reload
 * makes a context beside the old one, and swaps a pointer: no session waits, and none sees half of it.
 *
 * Any thread. A struct cmdi_tls outlives its sessions.
 */
#ifndef CMDI_TLS_CONTEXT_H
#define CMDI_TLS_CONTEXT_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmdstream/tls.h>

#include "conn/security.h"
#include "tls/wolf.h"

struct cmdi_anchors;
struct cmdi_context;
struct cmdi_resume;
struct cmdi_tls_tickets;
struct cmdi_tls_options;

struct cmdi_tls {
    struct cmds_tls face; // First. is_server, a client's server_name.

    /* Of the options. Constant. */
    struct cmdi_tls_options *options;
    const char *alpn;    // NULL: none.
    uint8_t clients;     // Of a server: enum cmds_tls_clients.
    uint8_t version_min; // 12 or 13.
    // The peer's certificate, if it has one, is checked: always, unless a server asks for none, or a client
    // has unsafe_no_verification.
    bool verifies;
    bool requires; // Without a checked certificate of the peer the handshake fails.
    bool resumes;  // A client keeps sessions; a server gives tickets.
    int (*on_peer)(void *context, const struct cmds_tls_peer *peer); // Of a client; NULL: none.
    void *on_peer_context;
    int verify_mode; // Of wolfSSL, as each WOLFSSL_CTX has it: for whoever sets a callback beside it.

    struct cmdi_tls_tickets *tickets; // Of a server that resumes.
    struct cmdi_resume *resume;       // Of a client that resumes.

    pthread_mutex_t reload_mutex; // One reload at a time.
    pthread_mutex_t mutex;        // For `context`: taken for an instant.
    struct cmdi_context *context; // The current one.
};

static inline struct cmdi_tls *cmdi_tls_of(struct cmds_tls *tls)
{
    return (struct cmdi_tls *)tls;
}
static inline const struct cmdi_tls *cmdi_tls_of_const(const struct cmds_tls *tls)
{
    return (const struct cmdi_tls *)tls;
}

/**
 * Reads all files, and checks them.
 *
 * Owner:   gives *context. Thread: any but a shard. Returns: as cmds_tls_server_new().
 */
int cmdi_context_read(
        const struct cmdi_tls *tls, struct cmdi_context **context, struct cmds_error *error);
/** Owner: takes `context`, which is the current one from now on. */
void cmdi_tls_swap(struct cmdi_tls *tls, struct cmdi_context *context);

/** Gives: the current context, counted: cmdi_context_unref(). Never NULL. */
struct cmdi_context *cmdi_tls_hold(struct cmdi_tls *tls);
/** NULL is fine. */
void cmdi_context_unref(struct cmdi_context *context);

/**
 * Of a server: the one for the name that a client asks for (SNI): that name, or "*." in place of its
 * first label, or the server's own. Upper and lower case are the same.
 *
 * `server_name`: empty: it asks for none; a client's context has one alone.
 * Owner:         the context's.
 */
WOLFSSL_CTX *cmdi_context_for(const struct cmdi_context *context, struct cmds_string server_name);

/**
 * A new object of the one above, with what wolfSSL wants on each object alone (ALPN). Verify mode,
 * versions, ciphers, groups, tickets are those of the WOLFSSL_CTX. Callbacks are the caller's to set:
 * I/O, verify (with tls->verify_mode).
 *
 * Owner:   gives *object: wolfSSL_free(). The context is held as long.
 * Returns: 0; -ENOMEM; -EMFILE, -ENFILE: wolfSSL reads random numbers from a file.
 */
int cmdi_context_object(const struct cmdi_tls *tls, const struct cmdi_context *context,
        struct cmds_string server_name, WOLFSSL **object);

/** SHA-256 over what decides whom we believe: CA files, CRL, and the options. 32 bytes, the context's. */
const uint8_t *cmdi_context_policy(const struct cmdi_context *context);

/** The CAs that peers are checked against; the context's. */
const struct cmdi_anchors *cmdi_context_anchors(const struct cmdi_context *context);

/** Has the object agreed on a cipher and a version that our options allow? After the handshake. */
bool cmdi_tls_allows(const struct cmdi_tls *tls, WOLFSSL *object);

#endif

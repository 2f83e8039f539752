/* SPDX-License-Identifier: MIT */
/*
 * The peer's certificate, while wolfSSL looks at it: what wolfSSL has found, our own checks, and the
 * bytes of the certificate, which not every build of wolfSSL keeps.
 *
 * Of the CAs that a peer sends with it we ask that their signatures cannot be forged, their keys not be
 * guessed, and that an extendedKeyUsage, if they have one, has the peer's side of a connection; but not
 * of those that we hold ourselves: they are trusted for what they are. So it is for all
 * that wolfSSL has found to be a CA of ours, needed or not, as wolfSSL will remember it, for other
 * connections too. What it does not know, above the CA that we hold, does not matter.
 *
 * Our checks run inside wolfSSL's callback, so that it sends the alert. They never make good what
 * wolfSSL has found bad.
 *
 * One at a time, on the connection's shard.
 */
#ifndef CMDI_TLS_VERIFY_H
#define CMDI_TLS_VERIFY_H

#include <stdbool.h>

#include <cmdstream/base.h>

#include "tls/anchors.h"
#include "tls/certificate_check.h"
#include "tls/wolf.h"

struct cmdi_verify {
    /* What is asked. */
    const char *host; // Of a server that is to be checked; NULL: anybody of our CAs.
    enum cmdi_certificate_owner owner;
    const struct cmdi_anchors *anchors; // Of the context. NULL: any certificate will do.
    WOLFSSL_CERT_MANAGER *manager;      // Of the object.

    /* What was found. The first that was bad stays. */
    bool is_verified;  // The leaf is good.
    bool lacks_memory; // It was refused for that alone.
    int code;          // What wolfSSL had against it, in one of two numberings; or 0.
    enum cmdi_certificate_fault fault; // What we had against it.
    int depth;                         // Of the bad one: 0 is the leaf.
    struct cmds_bytes der;             // Of the bad one, or of the leaf. Owned. Empty: none came.
};

void cmdi_verify_init(struct cmdi_verify *verify, const char *host,
        enum cmdi_certificate_owner owner, const struct cmdi_anchors *anchors);
void cmdi_verify_fini(struct cmdi_verify *verify);

/**
 * From now on the object's certificates come here. `mode`: of WOLFSSL_VERIFY_; set anew, as each
 * object of a context has to have it.
 *
 * Owner: keeps `verify` until detached.
 */
void cmdi_verify_attach(struct cmdi_verify *verify, WOLFSSL *object, int mode);
/** From now on every certificate is refused: none is asked for after the handshake. */
void cmdi_verify_detach(WOLFSSL *object);

static inline bool cmdi_verify_has_failed(const struct cmdi_verify *verify)
{
    return verify->code != 0 || verify->fault != CMDI_CERTIFICATE_OK || verify->lacks_memory;
}

#endif

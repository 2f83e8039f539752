/* SPDX-License-Identifier: MIT */
/*
 * Why TLS with a peer has failed: one code and one sentence, with phase, peer, check, reason, remedy.
 *
 *     TLS handshake with 10.0.0.7:9000: its certificate (CN=s1) is for a.example, not b.example; check
 *     server_name
 *
 * wolfSSL's numbers of errors come in two numberings, and its strings differ from build to build. So
 * what can be known better is asked first: what was refused by the gate, what the check of the
 * certificate has found, which alert the peer has sent. The number comes last.
 *
 * One at a time, on the connection's shard.
 */
#ifndef CMDI_TLS_FAULT_H
#define CMDI_TLS_FAULT_H

#include <stdbool.h>

#include "tls/shim.h"
#include "tls/verify.h"
#include "tls/wolf.h"

struct cmds_error;

enum cmdi_fault_phase {
    CMDI_FAULT_HANDSHAKE,
    CMDI_FAULT_AFTER_HANDSHAKE, // Nothing has come since: a client may learn only now that it is refused.
    CMDI_FAULT_OPEN,
};

struct cmdi_fault {
    const char *address; // Of the peer.
    enum cmdi_fault_phase phase;
    bool is_server; // We are.
    const struct cmdi_shim *shim;
    const struct cmdi_verify *verify; // NULL: no certificate was looked at.
    WOLFSSL *object;                  // NULL: there is none, and no number.
    int number;                       // wolfSSL_get_error().
};

/**
 * A call of wolfSSL has failed.
 *
 * Returns: the code, which is negative.
 */
int cmdi_fault_record(const struct cmdi_fault *fault, struct cmds_error *error);
/** What wolfSSL does not know of: `code`, and `reason` behind phase and peer. Returns: `code`. */
int cmdi_fault_say(
        const struct cmdi_fault *fault, int code, const char *reason, struct cmds_error *error);

#endif

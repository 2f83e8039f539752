/* SPDX-License-Identifier: MIT */
/*
 * A session of TLS: one WOLFSSL object, and what stands around it. Its functions are those of
 * conn/security.h.
 *
 *     BEGUN --step--> HANDSHAKE --finish--> OPEN --close_notify--> CLOSED
 *        \_______________\_________________/_______________________/-----> FAILED
 *
 * Memory of its own: this struct and, from OPEN on, the peer; until then what only a handshake needs.
 */
#ifndef CMDI_TLS_SESSION_H
#define CMDI_TLS_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "conn/security.h"
#include "tls/context.h"
#include "tls/hello.h"
#include "tls/peer.h"
#include "tls/shim.h"
#include "tls/verify.h"

enum cmdi_session_state {
    CMDI_SESSION_BEGUN,     // No step was made.
    CMDI_SESSION_HANDSHAKE, // Until here `handshake` is valid, and no longer.
    CMDI_SESSION_OPEN,      // From here on `peer` is valid.
    CMDI_SESSION_CLOSED,    // The peer has said that nothing more comes; we may still send.
    CMDI_SESSION_FAILED,    // For good. `handshake` or `peer` as it was before.
};

/** What only a handshake needs. */
struct cmdi_handshake {
    struct cmdi_verify verify;
    // The name that a client asks for, or that we check; no address of it has brackets or a scope.
    char server_name[CMDI_HELLO_NAME_MAX + 1];
    bool lacks_alpn;              // The client offers no protocol, and one of ours is wanted.
    bool wants_no_ticket;         // The client would not resume with a fresh key exchange.
    struct cmds_bytes known_leaf; // Of the session that a client would resume. Owned; empty: none.
};

struct cmdi_session {
    struct cmdi_shim shim;
    struct cmdi_tls *tls;
    struct cmdi_context *context; // Counted.
    WOLFSSL *object;
    struct cmdi_handshake *handshake;
    struct cmdi_peer *peer;
    int16_t alert_in, alert_out; // The last that was counted; 0: none.
    uint8_t state;               // enum cmdi_session_state
    uint8_t ticket_count;        // Records without data that a client forgives: they bring tickets.
    bool has_had_data;
    bool is_notified; // We have said that nothing more comes.
    char address[];   // Of the peer, for sentences.
};

void cmdi_session_move(struct cmdi_session *session, enum cmdi_session_state next);
/** wolfSSL gave `number`, or has no part in it. Counts alerts. Returns: the code. */
int cmdi_session_fail(struct cmdi_session *session, int number, struct cmds_error *error);
/** For a reason of our own. Returns: `code`. */
int cmdi_session_refuse(
        struct cmdi_session *session, int code, const char *reason, struct cmds_error *error);

void cmdi_session_count(struct cmdi_session *session, enum cmdi_security_event event);
/** Those that came or left since, each once, but for the one that ends in order. */
void cmdi_session_count_alerts(struct cmdi_session *session);
/** Of this thread: what one connection's failure has left must not be taken for another's. */
void cmdi_session_clear_errors(void);

/** Frees it, in any state. NULL and a half-made one are fine. */
void cmdi_session_end(struct cmdi_session *session);
/** As in conn/security.h. */
const struct cmds_tls_peer *cmdi_session_peer(const struct cmdi_session *session);
/** The handshake is over: its part goes. */
void cmdi_session_drop_handshake(struct cmdi_session *session);

#endif

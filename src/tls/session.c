/* SPDX-License-Identifier: MIT */
/* States, failures, the end. The handshake: handshake.c; what comes after it: records.c. */
#include "tls/session.h"

#include <stdlib.h>

#include "base/assert.h"
#include "tls/crypto.h"
#include "tls/fault.h"
#include "tls/resume.h"

enum {
    SESSION_TICKET_SIZE_MAX = 4096, // A longer one is not kept.
};

#define SESSION_BIT(state) (1u << CMDI_SESSION_##state)

// By state: those that may follow.
static const uint8_t session_moves[] = {
        [CMDI_SESSION_BEGUN] = SESSION_BIT(HANDSHAKE) | SESSION_BIT(FAILED),
        [CMDI_SESSION_HANDSHAKE] = SESSION_BIT(OPEN) | SESSION_BIT(FAILED),
        [CMDI_SESSION_OPEN] = SESSION_BIT(CLOSED) | SESSION_BIT(FAILED),
        [CMDI_SESSION_CLOSED] = SESSION_BIT(FAILED),
        [CMDI_SESSION_FAILED] = 0,
};

void cmdi_session_move(struct cmdi_session *session, enum cmdi_session_state next)
{
    CMDI_ASSERT((session_moves[session->state] >> next & 1) != 0);
    session->state = (uint8_t)next;
}

/* ---- Failures -------------------------------------------------------------------------------- */

void cmdi_session_count(struct cmdi_session *session, enum cmdi_security_event event)
{
    session->shim.io->count(session->shim.context, event);
}

/* close_notify has the number 0. */
void cmdi_session_count_alerts(struct cmdi_session *session)
{
    WOLFSSL_ALERT_HISTORY history;
    if (wolfSSL_get_alert_history(session->object, &history) != WOLFSSL_SUCCESS) {
        return;
    }
    if (history.last_rx.code > 0 && history.last_rx.code != session->alert_in) {
        session->alert_in = (int16_t)history.last_rx.code;
        cmdi_session_count(session, CMDI_SECURITY_ALERT_IN);
    }
    if (history.last_tx.code > 0 && history.last_tx.code != session->alert_out) {
        session->alert_out = (int16_t)history.last_tx.code;
        cmdi_session_count(session, CMDI_SECURITY_ALERT_OUT);
    }
}

void cmdi_session_clear_errors(void)
{
#ifdef OPENSSL_EXTRA
    wolfSSL_ERR_clear_error();
#endif
}

static struct cmdi_fault session_fault(const struct cmdi_session *session, int number)
{
    bool is_server = session->tls->face.is_server;
    bool is_early = !is_server && !session->has_had_data;
    struct cmdi_fault fault = {
            .address = session->address,
            .phase = is_early ? CMDI_FAULT_AFTER_HANDSHAKE : CMDI_FAULT_OPEN,
            .is_server = is_server,
            .shim = &session->shim,
            .object = session->object,
            .number = number,
    };
    if (session->handshake != NULL) {
        fault.phase = CMDI_FAULT_HANDSHAKE;
        fault.verify = &session->handshake->verify;
    }
    return fault;
}

int cmdi_session_fail(struct cmdi_session *session, int number, struct cmds_error *error)
{
    cmdi_session_count_alerts(session);
    struct cmdi_fault fault = session_fault(session, number);
    int code = cmdi_fault_record(&fault, error);
    cmdi_session_clear_errors();
    cmdi_session_move(session, CMDI_SESSION_FAILED);
    return code;
}

int cmdi_session_refuse(
        struct cmdi_session *session, int code, const char *reason, struct cmds_error *error)
{
    struct cmdi_fault fault = session_fault(session, 0);
    cmdi_session_move(session, CMDI_SESSION_FAILED);
    return cmdi_fault_say(&fault, code, reason, error);
}

/* ---- Its end --------------------------------------------------------------------------------- */

void cmdi_session_drop_handshake(struct cmdi_session *session)
{
    if (session->handshake != NULL) {
        cmdi_verify_fini(&session->handshake->verify);
        free((void *)session->handshake->known_leaf.data);
        free(session->handshake);
        session->handshake = NULL;
    }
}

/* For the next connection, if the server has sent a ticket. */
static void session_keep(struct cmdi_session *session)
{
    uint8_t ticket[SESSION_TICKET_SIZE_MAX];
    word32 size = sizeof(ticket);
    WOLFSSL_SESSION *kept = NULL;
    if (wolfSSL_get_SessionTicket(session->object, ticket, &size) == WOLFSSL_SUCCESS && size > 0) {
        kept = wolfSSL_get1_session(session->object);
    }
    if (kept == NULL) {
        return;
    }
    struct cmdi_resume_key key = {
            .server_name = session->peer->host,
            .address = session->address,
            .policy = cmdi_context_policy(session->context),
    };
    cmdi_resume_keep(session->tls->resume, &key, kept, session->peer->leaf);
}

void cmdi_session_end(struct cmdi_session *session)
{
    if (session == NULL) {
        return;
    }
    if (session->peer != NULL && session->tls->resume != NULL &&
            session->state != CMDI_SESSION_FAILED) {
        session_keep(session);
    }
    wolfSSL_free(session->object);
    cmdi_tls_crypto_forget();
    cmdi_session_clear_errors();
    cmdi_context_unref(session->context);
    cmdi_session_drop_handshake(session);
    free(session->peer);
    free(session);
}

const struct cmds_tls_peer *cmdi_session_peer(const struct cmdi_session *session)
{
    return session->peer != NULL ? &session->peer->face : NULL;
}

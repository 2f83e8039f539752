/* SPDX-License-Identifier: MIT */
#include "tls/records.h"

#include <limits.h>

#include "base/assert.h"

static bool records_may_come(const struct cmdi_session *session)
{
    return session->state == CMDI_SESSION_OPEN || session->state == CMDI_SESSION_CLOSED;
}

/* Those of the call that is about to end. Tickets bring something, and do not show. */
static void records_count_glitches(struct cmdi_session *session, bool has_brought)
{
    unsigned count = session->shim.gate.call_records;
    count -= has_brought && count > 0 ? 1 : 0;
    for (; count > 0; count--) {
        if (session->ticket_count > 0) {
            session->ticket_count--;
        } else {
            cmdi_session_count(session, CMDI_SECURITY_GLITCH);
        }
    }
}

/* wolfSSL had no data for us. */
static enum cmdi_security_result records_lack(
        struct cmdi_session *session, int number, struct cmds_error *error)
{
    bool is_closed = number == WOLFSSL_ERROR_ZERO_RETURN;
    enum cmdi_security_result lack = cmdi_shim_lack(&session->shim);
    bool is_waiting = number == WOLFSSL_ERROR_WANT_READ && !session->shim.lacks_memory;
    records_count_glitches(session, !is_waiting);
    enum cmdi_tls_gate_verdict verdict = cmdi_tls_gate_end_call(&session->shim.gate, false);
    if (is_closed) {
        cmdi_session_move(session, CMDI_SESSION_CLOSED);
        return CMDI_SECURITY_CLOSED;
    }
    if (!is_waiting || verdict == CMDI_TLS_GATE_REFUSE) {
        (void)cmdi_session_fail(session, number, error);
        return CMDI_SECURITY_FAILED;
    }
    if (lack == CMDI_SECURITY_SPENT) {
        cmdi_session_count_alerts(session); // Warnings may be among them.
    }
    return lack;
}

enum cmdi_security_result cmdi_records_open(struct cmdi_session *session, uint8_t *out, size_t room,
        size_t *size, struct cmds_error *error)
{
    CMDI_ASSERT(records_may_come(session));
    CMDI_ASSERT(room >= CMDI_SECURITY_RECORD_MAX);
    if (session->state == CMDI_SESSION_CLOSED) {
        return CMDI_SECURITY_CLOSED;
    }
    int count = wolfSSL_read(session->object, out, room < INT_MAX ? (int)room : INT_MAX);
    if (CMDI_UNLIKELY(count <= 0)) {
        return records_lack(session, wolfSSL_get_error(session->object, count), error);
    }
    records_count_glitches(session, true);
    (void)cmdi_tls_gate_end_call(&session->shim.gate, true); // A refusal shows at the next call.
    session->has_had_data = true;
    *size = (size_t)count;
    return CMDI_SECURITY_DATA;
}

int cmdi_records_seal(
        struct cmdi_session *session, const uint8_t *data, size_t size, struct cmds_error *error)
{
    CMDI_ASSERT(records_may_come(session) && !session->is_notified && size > 0);
    while (size > 0) {
        int piece = size < CMDI_SECURITY_RECORD_MAX ? (int)size : CMDI_SECURITY_RECORD_MAX;
        int count = wolfSSL_write(session->object, data, piece);
        if (CMDI_UNLIKELY(count != piece)) {
            int number = count > 0 ? 0 : wolfSSL_get_error(session->object, count);
            return cmdi_session_fail(session, number, error);
        }
        data += piece;
        size -= (size_t)piece;
    }
    return 0;
}

void cmdi_records_notify(struct cmdi_session *session)
{
    CMDI_ASSERT(records_may_come(session) && !session->is_notified);
    session->is_notified = true;
    // Without memory it is not said, and the peer sees a cut.
    (void)wolfSSL_shutdown(session->object);
    cmdi_session_clear_errors();
}

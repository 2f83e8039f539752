/* SPDX-License-Identifier: MIT */
/*
 * A session until its handshake is over: is a flight whole, with which certificate, step by step, and
 * is the peer who it should be?
 *
 * wolfSSL has checked what it checks, our own checks ran inside of that (verify.c). Behind it stands
 * one more look at what both have agreed on: versions of wolfSSL have let through a cipher that was
 * not offered, and a client without its certificate by way of a session that it resumed.
 */
#include "tls/handshake.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "tls/fault.h"
#include "tls/resume.h"
#include "tls/thread.h"

enum {
    HANDSHAKE_RECORD_HANDSHAKE = 22,
    HANDSHAKE_RECORD_DATA = 23,
    HANDSHAKE_TICKETS_MAX = 2, // That a server sends at its end, as a rule.
};

/* ---- What a step will cost ------------------------------------------------------------------- */

/* In clear, a key exchange; sealed, a certificate and its signature, if we ask for one. */
static bool handshake_is_heavy(const struct cmdi_tls *tls, uint8_t type)
{
    bool has_certificate = !tls->face.is_server || tls->verifies;
    return type == HANDSHAKE_RECORD_HANDSHAKE || (type == HANDSHAKE_RECORD_DATA && has_certificate);
}

/* Which records become whole with these bytes? A copy of the gate looks at them. */
static enum cmdi_security_weight handshake_weigh_records(
        const struct cmdi_session *session, const uint8_t *data, size_t size)
{
    struct cmdi_tls_gate gate = session->shim.gate;
    enum cmdi_security_weight weight = CMDI_SECURITY_LACKS;
    while (size > 0) {
        uint64_t record_count = gate.record_count;
        size_t piece = gate.state == CMDI_TLS_GATE_BODY ? gate.left : 1;
        size_t passed = 0;
        enum cmdi_tls_gate_verdict verdict =
                cmdi_tls_gate_pass(&gate, data, piece < size ? piece : size, &passed);
        if (gate.record_count > record_count) {
            if (handshake_is_heavy(session->tls, gate.type)) {
                return CMDI_SECURITY_HEAVY;
            }
            weight = CMDI_SECURITY_LIGHT;
        }
        if (verdict != CMDI_TLS_GATE_PASS) {
            return CMDI_SECURITY_LIGHT; // To be refused, or the turn's share.
        }
        data += passed;
        size -= passed;
    }
    return weight;
}

enum cmdi_security_weight cmdi_handshake_weigh(const struct cmds_tls *tls,
        const struct cmdi_session *session, const uint8_t *data, size_t size)
{
    if (session != NULL && session->state != CMDI_SESSION_BEGUN) {
        CMDI_ASSERT(session->state == CMDI_SESSION_HANDSHAKE);
        return handshake_weigh_records(session, data, size);
    }
    if (!tls->is_server) {
        return CMDI_SECURITY_HEAVY;
    }
    const char *why;
    switch (cmdi_hello_look(data, size, &why)) {
    case CMDI_HELLO_CUT:
        return CMDI_SECURITY_LACKS;
    case CMDI_HELLO_WHOLE:
        return CMDI_SECURITY_HEAVY;
    case CMDI_HELLO_REFUSED:
        break;
    }
    return CMDI_SECURITY_LIGHT;
}

/* ---- Its start ------------------------------------------------------------------------------- */

/* Returns: 0; CMDS_E_TLS_RECORD. */
static int handshake_read_hello(
        struct cmdi_session *session, const uint8_t *data, size_t size, struct cmds_error *error)
{
    const char *why;
    if (cmdi_hello_look(data, size, &why) == CMDI_HELLO_REFUSED) {
        return cmdi_session_refuse(session, CMDS_E_TLS_RECORD, why, error);
    }
    struct cmdi_hello hello;
    cmdi_hello_read(data, size, &hello);
    _Static_assert(sizeof(hello.server_name) == sizeof(session->handshake->server_name), "a name");
    memcpy(session->handshake->server_name, hello.server_name, sizeof(hello.server_name));
    session->handshake->lacks_alpn = session->tls->alpn != NULL && !hello.has_alpn;
    session->handshake->wants_no_ticket = !hello.takes_psk_dhe;
    session->shim.takes_no_ticket = !hello.takes_psk_dhe || !hello.has_key_share;
    return 0;
}

/* The name without brackets, the scope of an address, the dot at its end. Returns: 0; negative. */
static int handshake_name_server(struct cmdi_session *session,
        const struct cmdi_security_peer *peer, struct cmds_error *error)
{
    const char *host = session->tls->face.server_name;
    host = host != NULL ? host : peer->host;
    if (host == NULL) {
        return !session->tls->verifies
                       ? 0
                       : cmdi_session_refuse(session, CMDS_E_TLS_CONFIG,
                                 "nothing says whose certificate it should be; set server_name",
                                 error);
    }
    size_t size = strlen(host);
    if (size > 0 && host[0] == '[') {
        host++;
        size = strcspn(host, "]%");
    } else if (size > 0 && host[size - 1] == '.') {
        size--;
    }
    if (size > CMDI_HELLO_NAME_MAX) {
        return cmdi_session_refuse(
                session, -ENAMETOOLONG, "its name is too long for a certificate", error);
    }
    memcpy(session->handshake->server_name, host, size);
    return 0;
}

static bool handshake_is_address(const char *name)
{
    uint8_t address[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1;
}

/* A name of DNS is asked for; an address is not, by the book. Returns: 0; -ENOMEM. */
static int handshake_ask_for(WOLFSSL *object, const char *name)
{
    if (name[0] == '\0' || handshake_is_address(name)) {
        return 0;
    }
    int result = wolfSSL_UseSNI(object, WOLFSSL_SNI_HOST_NAME, name, (word16)strlen(name));
    return result == WOLFSSL_SUCCESS ? 0 : -ENOMEM;
}

/* Is this the certificate that a full handshake would accept today? */
static bool handshake_still_knows(const struct cmdi_session *session, struct cmds_bytes leaf)
{
    struct cmdi_certificate certificate;
    return !session->tls->verifies ||
           (cmdi_certificate_parse(&certificate, leaf.data, leaf.size) == CMDI_CERTIFICATE_OK &&
                   certificate.not_after_s >= (int64_t)time(NULL) &&
                   cmdi_certificate_check_host(&certificate, session->handshake->server_name) ==
                           CMDI_CERTIFICATE_OK);
}

/* A kept session is offered. Whatever fails, there is a full handshake. */
static void handshake_resume(struct cmdi_session *session)
{
    struct cmdi_resume_key key = {
            .server_name = session->tls->verifies ? session->handshake->server_name : "",
            .address = session->address,
            .policy = cmdi_context_policy(session->context),
    };
    WOLFSSL_SESSION *kept;
    struct cmds_bytes leaf;
    if (!cmdi_resume_take(session->tls->resume, &key, &kept, &leaf)) {
        return;
    }
    session->handshake->known_leaf = leaf;
    if (handshake_still_knows(session, leaf)) {
        (void)wolfSSL_set_session(session->object, kept);
    }
    wolfSSL_SESSION_free(kept);
}

/* Returns: 0; -ENOMEM. */
static int handshake_make_object(struct cmdi_session *session)
{
    struct cmdi_tls *tls = session->tls;
    bool is_server = tls->face.is_server;
    const char *name = session->handshake->server_name;
    session->context = cmdi_tls_hold(tls);
    int code = cmdi_context_object(
            tls, session->context, cmds_string_from(is_server ? name : ""), &session->object);
    if (code == 0 && !is_server) {
        code = handshake_ask_for(session->object, name);
    } else if (code == 0 && session->handshake->wants_no_ticket) {
        (void)wolfSSL_no_ticket_TLSv13(session->object); // It could not use one here.
    }
    if (code < 0) {
        return code;
    }
    struct cmdi_verify *verify = &session->handshake->verify;
    cmdi_verify_init(verify, is_server || !tls->verifies ? NULL : name,
            is_server ? CMDI_CERTIFICATE_OF_CLIENT : CMDI_CERTIFICATE_OF_SERVER,
            tls->verifies ? cmdi_context_anchors(session->context) : NULL);
    cmdi_verify_attach(verify, session->object, tls->verify_mode);
    cmdi_shim_attach(&session->shim, session->object);
    if (tls->resume != NULL) {
        handshake_resume(session);
    }
    return 0;
}

static struct cmdi_session *handshake_allocate(const char *address)
{
    size_t size = strlen(address) + 1;
    struct cmdi_session *session = calloc(1, sizeof(*session) + size);
    struct cmdi_handshake *handshake = calloc(1, sizeof(*handshake));
    if (session == NULL || handshake == NULL) {
        free(session);
        free(handshake);
        return NULL;
    }
    memcpy(session->address, address, size);
    session->handshake = handshake;
    return session;
}

int cmdi_handshake_begin(struct cmds_tls *tls, const struct cmdi_security_peer *peer,
        const struct cmdi_security_io *io, void *context, const uint8_t *data, size_t size,
        struct cmdi_session **session, struct cmds_error *error)
{
    *session = NULL;
    cmdi_tls_thread_works();
    struct cmdi_session *made = handshake_allocate(peer->address);
    if (made == NULL) {
        struct cmdi_fault fault = {.address = peer->address, .phase = CMDI_FAULT_HANDSHAKE};
        return cmdi_fault_say(&fault, -ENOMEM, "out of memory", error);
    }
    made->tls = cmdi_tls_of(tls);
    cmdi_shim_init(&made->shim, io, context, tls->is_server);
    int code = tls->is_server ? handshake_read_hello(made, data, size, error)
                              : handshake_name_server(made, peer, error);
    if (code == 0) {
        code = handshake_make_object(made);
        if (code < 0) {
            (void)cmdi_session_refuse(made, code, cmds_error_text(code), error);
        }
    }
    if (code < 0) {
        cmdi_session_end(made);
        return code;
    }
    *session = made;
    return 0;
}

/* ---- Its end --------------------------------------------------------------------------------- */

/* A client's program has the last word. */
static bool handshake_program_refuses(const struct cmdi_session *session)
{
    const struct cmdi_tls *tls = session->tls;
    return tls->on_peer != NULL && tls->on_peer(tls->on_peer_context, &session->peer->face) < 0;
}

/* Returns: what is not as it should be; NULL: nothing. */
static const char *handshake_objection(const struct cmdi_session *session, bool is_verified,
        bool is_resumed, struct cmds_string alpn, int *code)
{
    const struct cmdi_tls *tls = session->tls;
    *code = CMDS_E_TLS_HANDSHAKE;
    if (!cmdi_tls_allows(tls, session->object)) {
        return "it came to a version or a cipher that we did not offer";
    }
    if (is_resumed && wolfSSL_get_curve_name(session->object) == NULL) {
        return "it has resumed a session without a fresh key exchange";
    }
    if (tls->face.is_server && tls->alpn != NULL && alpn.size == 0) {
        return "no protocol in common (ALPN); check alpn";
    }
    *code = CMDS_E_TLS_CERTIFICATE;
    if (tls->face.is_server && tls->verifies && is_resumed) {
        return "it has resumed a session, and its certificate is not known";
    }
    return tls->requires && !is_verified ? "it has no certificate, and one is required" : NULL;
}

static struct cmds_string handshake_alpn(WOLFSSL *object)
{
    char *name = NULL;
    word16 size = 0;
    if (wolfSSL_ALPN_GetProtocol(object, &name, &size) != WOLFSSL_SUCCESS || name == NULL) {
        return (struct cmds_string){"", 0};
    }
    return (struct cmds_string){name, size};
}

static struct cmds_string handshake_cipher(WOLFSSL *object)
{
    int suite = wolfSSL_get_current_cipher_suite(object);
    const char *name = wolfSSL_get_cipher_name_iana_from_suite(
            (unsigned char)(suite >> 8), (unsigned char)suite);
    return cmds_string_from(name != NULL ? name : "");
}

static enum cmdi_security_result handshake_finish(
        struct cmdi_session *session, struct cmds_error *error)
{
    const struct cmdi_handshake *handshake = session->handshake;
    const char *name = handshake->server_name;
    bool is_tls13 = wolfSSL_GetVersion(session->object) == WOLFSSL_TLSV1_3;
    bool is_resumed = wolfSSL_session_reused(session->object) != 0;
    bool is_client = !session->tls->face.is_server;
    bool is_checked = is_client && session->tls->verifies;
    struct cmdi_peer_facts facts = {
            .leaf = is_resumed ? handshake->known_leaf : handshake->verify.der,
            .server_name = cmds_string_from(handshake_is_address(name) ? "" : name),
            .alpn = handshake_alpn(session->object),
            .cipher = handshake_cipher(session->object),
            .version = is_tls13 ? 13 : 12,
            .verified = is_resumed ? is_checked && handshake->known_leaf.size > 0
                                   : handshake->verify.is_verified,
            .resumed = is_resumed,
            .is_kept = session->tls->resume != NULL,
            .host = is_checked ? name : "",
    };
    int code;
    const char *objection =
            handshake_objection(session, facts.verified, is_resumed, facts.alpn, &code);
    if (objection == NULL) {
        code = cmdi_peer_create(&session->peer, &facts);
        objection = "out of memory";
    }
    if (code == 0 && handshake_program_refuses(session)) {
        code = CMDS_E_TLS_CERTIFICATE;
        objection = "our program refuses it (on_peer)";
    }
    if (code < 0) {
        // For wolfSSL all is well, and it has no alert for us; without this the peer would see a cut.
        (void)wolfSSL_shutdown(session->object);
        (void)cmdi_session_refuse(session, code, objection, error);
        cmdi_session_clear_errors();
        return CMDI_SECURITY_FAILED;
    }
    if (is_tls13) {
        cmdi_tls_gate_set_tls13(&session->shim.gate);
    }
    if (is_tls13 && is_client) {
        // That of the session that it has offered, resumed or not: it is used up, and its secret was
        // replaced. Without a new one the next handshake would fail.
        (void)wolfSSL_set_SessionTicket(session->object, NULL, 0);
    }
    session->ticket_count = is_tls13 && is_client ? HANDSHAKE_TICKETS_MAX : 0;
    cmdi_verify_detach(session->object);
    cmdi_session_drop_handshake(session);
    cmdi_session_move(session, CMDI_SESSION_OPEN);
    return CMDI_SECURITY_DONE;
}

/* Before wolfSSL has written a word, an alert is seven bytes in clear. */
static enum cmdi_security_result handshake_refuse_hello(
        struct cmdi_session *session, struct cmds_error *error)
{
    static const uint8_t no_application_protocol[] = {21, 3, 3, 0, 2, 2, 120};
    const struct cmdi_shim *shim = &session->shim;
    if (shim->io->put(shim->context, no_application_protocol, sizeof(no_application_protocol)) ==
            0) {
        shim->io->count(shim->context, CMDI_SECURITY_ALERT_OUT);
    }
    (void)cmdi_session_refuse(session, CMDS_E_TLS_HANDSHAKE,
            "it offers no protocol (ALPN), and one of ours is wanted", error);
    return CMDI_SECURITY_FAILED;
}

enum cmdi_security_result cmdi_handshake_step(
        struct cmdi_session *session, struct cmds_error *error)
{
    if (session->state == CMDI_SESSION_BEGUN) {
        cmdi_session_move(session, CMDI_SESSION_HANDSHAKE);
        if (session->handshake->lacks_alpn) {
            return handshake_refuse_hello(session, error);
        }
    }
    CMDI_ASSERT(session->state == CMDI_SESSION_HANDSHAKE);
    int result = session->tls->face.is_server ? wolfSSL_accept(session->object)
                                              : wolfSSL_connect(session->object);
    bool is_done = result == WOLFSSL_SUCCESS;
    int number = is_done ? 0 : wolfSSL_get_error(session->object, result);
    enum cmdi_security_result lack = cmdi_shim_lack(&session->shim);
    enum cmdi_tls_gate_verdict verdict = cmdi_tls_gate_end_call(&session->shim.gate, false);
    if (is_done) {
        return handshake_finish(session, error);
    }
    if (number == WOLFSSL_ERROR_WANT_READ && !session->shim.lacks_memory &&
            verdict == CMDI_TLS_GATE_PASS) {
        return lack;
    }
    (void)cmdi_session_fail(session, number, error);
    return CMDI_SECURITY_FAILED;
}

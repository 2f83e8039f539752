/* SPDX-License-Identifier: MIT */
/* Records by XOR: see mask.h. */
#include "support/mask.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/error.h"
#include "shard/shard.h"

_Atomic uint32_t mask_trims;

/* --- Records ---------------------------------------------------------------------------------- */

static size_t mask_body_size(const uint8_t *header)
{
    return (size_t)header[1] << 8 | header[2];
}

/*
 * TSan does not look at each byte: a test of frames of megabytes would take half a minute. What copies
 * these bytes before and behind is looked at.
 */
__attribute__((no_sanitize("thread"))) static void mask_xor(
        uint8_t *out, const uint8_t *data, size_t size, uint64_t record)
{
    for (size_t i = 0; i < size; i++) {
        out[i] = data[i] ^ (uint8_t)(0x5a + record * 13 + i);
    }
}

static uint8_t *mask_put_header(uint8_t *out, enum mask_type type, size_t size)
{
    CMDI_ASSERT(size <= UINT16_MAX);
    *out++ = (uint8_t)type;
    *out++ = (uint8_t)(size >> 8);
    *out++ = (uint8_t)size;
    return out;
}

uint8_t *mask_put(uint8_t *out, enum mask_type type, const void *data, size_t size)
{
    out = mask_put_header(out, type, size);
    if (size > 0) {
        memcpy(out, data, size);
    }
    return out + size;
}

uint8_t *mask_put_hello(uint8_t *out, uint8_t flight, size_t size)
{
    CMDI_ASSERT(size > 0);
    out = mask_put_header(out, MASK_HELLO, size);
    memset(out, 'h', size);
    *out = flight;
    return out + size;
}

uint8_t *mask_put_data(struct mask_end *end, uint8_t *out, const void *data, size_t size)
{
    out = mask_put_header(out, MASK_DATA, size);
    mask_xor(out, data, size, end->sealed++);
    return out + size;
}

uint8_t *mask_wrap(
        struct mask_end *end, uint8_t *out, const void *data, size_t size, size_t record_size)
{
    const uint8_t *from = data;
    for (size_t at = 0; at < size; at += record_size) {
        size_t left = size - at;
        out = mask_put_data(end, out, from + at, left < record_size ? left : record_size);
    }
    return out;
}

struct mask_found mask_unwrap(struct mask_end *end, const uint8_t *wire, size_t size, uint8_t *out)
{
    struct mask_found found = {0};
    size_t at = 0;
    while (size - at >= MASK_HEADER_SIZE &&
            size - at >= MASK_HEADER_SIZE + mask_body_size(wire + at)) {
        size_t body_size = mask_body_size(wire + at);
        found.last = wire[at];
        found.hellos += wire[at] == MASK_HELLO;
        found.alerts += wire[at] == MASK_ALERT;
        found.notifies += wire[at] == MASK_NOTIFY;
        found.glitches += wire[at] == MASK_GLITCH;
        found.is_wrong = found.is_wrong || wire[at] < MASK_HELLO || wire[at] > MASK_ASK;
        if (wire[at] == MASK_DATA) {
            if (out != NULL) {
                mask_xor(out + found.size, wire + at + MASK_HEADER_SIZE, body_size, end->opened);
            }
            end->opened++;
            found.records++;
            found.size += body_size;
        }
        at += MASK_HEADER_SIZE + body_size;
    }
    found.cut = size - at;
    return found;
}

/* --- A session -------------------------------------------------------------------------------- */

struct cmdi_session {
    struct mask *mask;
    const struct cmdi_security_io *io;
    void *context;
    pthread_t thread; // Where it began: the shard's.
    uint32_t flight;  // Of the handshake: the last one that was sent or received.
    uint32_t steps, opens, seals;
    uint32_t glitches;
    struct mask_end end;
    bool done, failed, closed, notified;
    char address[MASK_ADDRESS_MAX], wants[MASK_NAME_MAX], peer_name[MASK_NAME_MAX];
    struct cmds_tls_peer peer;
    size_t have; // Of the record that comes.
    uint8_t record[MASK_RECORD_MAX], out[MASK_RECORD_MAX];
};

static struct mask *mask_of(const struct cmds_tls *tls)
{
    return CMDI_CONTAINER(tls, struct mask, tls);
}

/* Each function but end() begins with it: on the shard's thread, and not after a failure. */
static void mask_enter(const struct cmdi_session *session, bool done)
{
    CMDI_ASSERT(pthread_equal(session->thread, pthread_self()));
    CMDI_ASSERT(!session->failed && session->done == done);
}

static int mask_send(struct cmdi_session *session, uint8_t *end, struct cmds_error *error)
{
    int code = session->io->put(session->context, session->out, (size_t)(end - session->out));
    if (code < 0) {
        session->failed = true;
        return cmdi_fail(error, code, "mask: there was no room for what is to leave");
    }
    return 0;
}

static enum cmdi_security_result mask_fail_silently(
        struct cmdi_session *session, struct cmds_error *error, int code, const char *text)
{
    (void)cmdi_fail(error, code, "TLS %s %s%s: mask: %s", session->done ? "with" : "handshake with",
            session->address,
            session->done && !session->mask->tls.is_server ? ", after the handshake" : "", text);
    session->failed = true;
    return CMDI_SECURITY_FAILED;
}

static enum cmdi_security_result mask_fail(
        struct cmdi_session *session, struct cmds_error *error, int code, const char *text)
{
    if (!session->mask->fails_silently && code != CMDS_E_TLS_REFUSED) {
        struct cmds_error ignored = CMDS_ERROR_INIT;
        session->io->count(session->context, CMDI_SECURITY_ALERT_OUT);
        (void)mask_send(session, mask_put(session->out, MASK_ALERT, "!", 1), &ignored);
    }
    return mask_fail_silently(session, error, code, text);
}

/* Up to `size` bytes of the record are there. Returns: all of them. */
static bool mask_fetch(struct cmdi_session *session, size_t size)
{
    while (session->have < size) {
        size_t there = 0;
        const uint8_t *data = session->io->peek(session->context, &there);
        CMDI_ASSERT((data != NULL) == (there > 0));
        if (data == NULL) {
            return false;
        }
        size_t take = size - session->have < there ? size - session->have : there;
        memcpy(session->record + session->have, data, take);
        session->have += take;
        session->io->take(session->context, take);
    }
    return true;
}

/* Returns: DATA: a record is whole, and `have` is 0 again; else as open(). */
static enum cmdi_security_result mask_read(struct cmdi_session *session, struct cmds_error *error)
{
    bool whole = mask_fetch(session, MASK_HEADER_SIZE);
    if (whole && (session->record[0] < MASK_HELLO || session->record[0] > MASK_ASK ||
                         mask_body_size(session->record) > CMDI_SECURITY_RECORD_MAX)) {
        // What speaks something else would not understand an alert.
        return mask_fail_silently(session, error, CMDS_E_TLS_RECORD, "no record");
    }
    if (!whole || !mask_fetch(session, MASK_HEADER_SIZE + mask_body_size(session->record))) {
        return session->have > 0 ? CMDI_SECURITY_CUT : CMDI_SECURITY_EMPTY;
    }
    session->have = 0;
    return CMDI_SECURITY_DATA;
}

static int mask_answer(struct cmdi_session *session, struct cmds_error *error)
{
    static const uint8_t zeros[CMDI_SECURITY_RECORD_MAX];
    uint8_t *end = mask_put(session->out, MASK_GLITCH, zeros, session->mask->answer_size);
    return mask_send(session, end, error);
}

/* The record is one that both in a handshake and behind it means the same. Returns: DATA: it is not. */
static enum cmdi_security_result mask_common(
        struct cmdi_session *session, uint32_t *in_call, struct cmds_error *error)
{
    bool empty = session->record[0] == MASK_DATA && mask_body_size(session->record) == 0;
    switch (session->record[0]) {
    case MASK_ALERT:
        session->io->count(session->context, CMDI_SECURITY_ALERT_IN);
        return mask_fail(session, error, CMDS_E_TLS_REFUSED, "an alert of the peer");
    case MASK_ASK:
        if (mask_answer(session, error) < 0) {
            return CMDI_SECURITY_FAILED;
        }
        break;
    case MASK_GLITCH:
        break;
    default:
        if (!empty) {
            return CMDI_SECURITY_DATA;
        }
        session->end.opened++;
        break;
    }
    session->io->count(session->context, CMDI_SECURITY_GLITCH);
    if (++session->glitches > MASK_GLITCHES_MAX) {
        return mask_fail(session, error, CMDS_E_TLS_RECORD, "too much that brings nothing");
    }
    return ++*in_call < MASK_SPENT_AFTER ? CMDI_SECURITY_EMPTY : CMDI_SECURITY_SPENT;
}

/* The next record that says something. Returns: DATA: it is there; else as open(). */
static enum cmdi_security_result mask_next(struct cmdi_session *session, struct cmds_error *error)
{
    uint32_t in_call = 0;
    for (;;) {
        enum cmdi_security_result result = mask_read(session, error);
        if (result != CMDI_SECURITY_DATA) {
            return result;
        }
        result = mask_common(session, &in_call, error);
        if (result != CMDI_SECURITY_EMPTY) {
            return result;
        }
    }
}

/* --- The handshake ---------------------------------------------------------------------------- */

/* Is a record whole in what has come, together with what the session has? */
static bool mask_is_whole(const struct cmdi_session *session, const uint8_t *data, size_t size)
{
    uint8_t header[MASK_HEADER_SIZE];
    size_t have = session != NULL ? session->have : 0;
    for (size_t i = 0; i < MASK_HEADER_SIZE; i++) {
        if (i >= have + size) {
            return false;
        }
        header[i] = i < have ? session->record[i] : data[i - have];
    }
    return have + size >= MASK_HEADER_SIZE + mask_body_size(header);
}

static enum cmdi_security_weight mask_weigh(const struct cmds_tls *tls,
        const struct cmdi_session *session, const uint8_t *data, size_t size)
{
    const struct mask *mask = mask_of(tls);
    if (session == NULL && !tls->is_server) {
        return CMDI_SECURITY_HEAVY;
    }
    CMDI_ASSERT((data != NULL) == (size > 0));
    if (size == 0) {
        return CMDI_SECURITY_LACKS;
    }
    uint8_t type = session != NULL && session->have > 0 ? session->record[0] : data[0];
    if (type != MASK_HELLO || (session != NULL && mask->is_eager)) {
        return CMDI_SECURITY_LIGHT;
    }
    if (!mask_is_whole(session, data, size)) {
        return CMDI_SECURITY_LACKS;
    }
    return session != NULL && tls->is_server && mask->is_light_at_last ? CMDI_SECURITY_LIGHT
                                                                       : CMDI_SECURITY_HEAVY;
}

static int mask_begin(struct cmds_tls *tls, const struct cmdi_security_peer *peer,
        const struct cmdi_security_io *io, void *context, const uint8_t *data, size_t size,
        struct cmdi_session **session, struct cmds_error *error)
{
    struct mask *mask = mask_of(tls);
    CMDI_ASSERT(*session == NULL && peer->address != NULL && (data != NULL) == (size > 0));
    atomic_fetch_add(&mask->begins, 1);
    *session = mask->cannot_begin ? NULL : malloc(sizeof(**session));
    if (*session == NULL) {
        return cmdi_fail(error, -ENOMEM, "mask: no memory for a session with %s", peer->address);
    }
    atomic_fetch_add(&mask->sessions, 1);
    **session = (struct cmdi_session){
            .mask = mask,
            .io = io,
            .context = context,
            .thread = pthread_self(),
            .peer = {.common_name = "mask",
                    .subject = "CN=mask",
                    .issuer = "",
                    .server_name = "",
                    .alpn = "",
                    .cipher = "XOR",
                    .version = 13,
                    .resumed = mask->resumes},
    };
    const char *wants = mask->wants;
    if (mask->checks_host) {
        wants = tls->server_name != NULL ? tls->server_name : peer->host;
        CMDI_ASSERT(wants != NULL);
    }
    (void)snprintf((*session)->wants, MASK_NAME_MAX, "%s", wants != NULL ? wants : "");
    (void)snprintf((*session)->address, MASK_ADDRESS_MAX, "%s", peer->address);
    return 0;
}

/* A flight that says who sends it, if it has a name. */
static uint8_t *mask_put_flight(const struct mask *mask, uint8_t *out, uint32_t flight)
{
    size_t name_size = mask->name != NULL ? strlen(mask->name) + 2 : 0; // With ':' and the NUL.
    size_t size = mask->flight_size > 1 + name_size ? mask->flight_size : 1 + name_size;
    uint8_t *end = mask_put_hello(out, (uint8_t)flight, size);
    if (name_size > 0) {
        (void)snprintf((char *)out + MASK_HEADER_SIZE + 1, name_size, ":%s", mask->name);
    }
    return end;
}

/* Who has sent the flight. Returns: it will do. */
static bool mask_take_name(struct cmdi_session *session)
{
    const uint8_t *body = session->record + MASK_HEADER_SIZE;
    size_t size = mask_body_size(session->record);
    if (size > 2 && body[1] == ':') {
        (void)snprintf(
                session->peer_name, MASK_NAME_MAX, "%.*s", (int)size - 2, (const char *)body + 2);
        session->peer.common_name = session->peer_name;
        session->peer.verified = true;
    }
    return session->wants[0] == '\0' || session->flight + 2 < session->mask->flights ||
           strcmp(session->wants, session->peer_name) == 0;
}

/* Our flight. Returns: DONE: it was the last one; else EMPTY, or FAILED. */
static enum cmdi_security_result mask_speak(struct cmdi_session *session, struct cmds_error *error)
{
    session->flight++;
    uint8_t *end = mask_put_flight(session->mask, session->out, session->flight);
    if (mask_send(session, end, error) < 0) {
        return CMDI_SECURITY_FAILED;
    }
    return session->flight == session->mask->flights ? CMDI_SECURITY_DONE : CMDI_SECURITY_EMPTY;
}

/* The peer's flight, and ours behind it. */
static enum cmdi_security_result mask_shake(struct cmdi_session *session, struct cmds_error *error)
{
    const struct mask *mask = session->mask;
    if (session->steps == mask->fails_in_step) {
        return mask_fail(session, error, CMDS_E_TLS_CERTIFICATE, "this step was to fail");
    }
    if (session->flight == 0 && !mask->tls.is_server) {
        return mask_speak(session, error);
    }
    enum cmdi_security_result result = mask_next(session, error);
    if (result != CMDI_SECURITY_DATA) {
        return result;
    }
    if (session->record[0] != MASK_HELLO || mask_body_size(session->record) == 0 ||
            session->record[MASK_HEADER_SIZE] != session->flight + 1) {
        return mask_fail(session, error, CMDS_E_TLS_HANDSHAKE, "not the flight that is due");
    }
    if (!mask_take_name(session)) {
        return mask_fail(session, error, CMDS_E_TLS_CERTIFICATE, "the name is wrong");
    }
    session->flight++;
    return session->flight == mask->flights ? CMDI_SECURITY_DONE : mask_speak(session, error);
}

static enum cmdi_security_result mask_step(struct cmdi_session *session, struct cmds_error *error)
{
    mask_enter(session, false);
    atomic_fetch_add(&session->mask->steps, 1);
    session->steps++;
    enum cmdi_security_result result = mask_shake(session, error);
    session->done = result == CMDI_SECURITY_DONE;
    return result;
}

/* --- Behind the handshake --------------------------------------------------------------------- */

static enum cmdi_security_result mask_open(struct cmdi_session *session, uint8_t *out, size_t room,
        size_t *size, struct cmds_error *error)
{
    mask_enter(session, true);
    CMDI_ASSERT(room >= CMDI_SECURITY_RECORD_MAX && !session->closed);
    atomic_fetch_add(&session->mask->opens, 1);
    enum cmdi_security_result result = mask_next(session, error);
    if (result != CMDI_SECURITY_DATA) {
        return result;
    }
    if (session->record[0] == MASK_NOTIFY) {
        session->closed = true;
        return CMDI_SECURITY_CLOSED;
    }
    if (session->record[0] != MASK_DATA) {
        return mask_fail(session, error, CMDS_E_TLS_RECORD, "a handshake behind the handshake");
    }
    if (++session->opens == session->mask->fails_in_open) {
        return mask_fail(session, error, CMDS_E_TLS_RECORD, "this record was to fail");
    }
    session->glitches -= session->glitches > 0;
    *size = mask_body_size(session->record);
    mask_xor(out, session->record + MASK_HEADER_SIZE, *size, session->end.opened++);
    return CMDI_SECURITY_DATA;
}

static int mask_seal(
        struct cmdi_session *session, const uint8_t *data, size_t size, struct cmds_error *error)
{
    mask_enter(session, true);
    CMDI_ASSERT(size > 0 && !session->notified);
    atomic_fetch_add(&session->mask->seals, 1);
    if (++session->seals == session->mask->fails_in_seal) {
        session->failed = true;
        return cmdi_fail(error, CMDS_E_TLS_RECORD, "mask: this seal was to fail");
    }
    for (size_t at = 0; at < size; at += CMDI_SECURITY_RECORD_MAX) {
        size_t piece = size - at < CMDI_SECURITY_RECORD_MAX ? size - at : CMDI_SECURITY_RECORD_MAX;
        uint8_t *end = mask_put_data(&session->end, session->out, data + at, piece);
        int code = mask_send(session, end, error);
        if (code < 0) {
            return code;
        }
    }
    return 0;
}

static void mask_notify(struct cmdi_session *session)
{
    mask_enter(session, true);
    CMDI_ASSERT(!session->notified);
    session->notified = true;
    atomic_fetch_add(&session->mask->notifies, 1);
    struct cmds_error error = CMDS_ERROR_INIT;
    (void)mask_send(session, mask_put(session->out, MASK_NOTIFY, NULL, 0), &error);
}

static void mask_end(struct cmdi_session *session)
{
    atomic_fetch_add(&session->mask->ends, 1);
    atomic_fetch_sub(&session->mask->sessions, 1);
    free(session);
}

static const struct cmds_tls_peer *mask_peer(const struct cmdi_session *session)
{
    return session->done ? &session->peer : NULL;
}

static void mask_trim(void)
{
    atomic_fetch_add(&mask_trims, 1);
}

static int mask_reload(struct cmds_tls *tls, struct cmds_error *error)
{
    struct mask *mask = CMDI_CONTAINER(tls, struct mask, tls);
    atomic_fetch_add(&mask->reloads, 1);
    return mask->cannot_reload ? cmdi_fail(error, CMDS_E_TLS_CONFIG, "the file: no certificate")
                               : 0;
}

static const struct cmdi_security mask_security = {
        .version = CMDI_SECURITY_VERSION,
        .weigh = mask_weigh,
        .begin = mask_begin,
        .step = mask_step,
        .open = mask_open,
        .seal = mask_seal,
        .notify = mask_notify,
        .end = mask_end,
        .peer = mask_peer,
        .reload = mask_reload,
        .trim = mask_trim,
};

void mask_init(struct mask *mask, bool is_server)
{
    *mask = (struct mask){
            .tls = {.security = &mask_security, .handshakes_max = 64, .is_server = is_server},
            .flights = 3,
            .flight_size = 10,
    };
}

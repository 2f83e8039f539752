/* SPDX-License-Identifier: MIT */
/*
 * A connection's part of its security layer: the session, and the bytes on their way to it and from
 * it. A connection without a layer has none of this: conn->secured is NULL, and costs a branch for
 * each slice and each flush.
 *
 *     received, in order:  stash (opened) | inside the session | raw | slices
 *     to be sent:          flight | wire | fill (to be sealed)
 *
 * `raw` takes what may not stay in the shard's buffers: what comes while a handshake waits for its
 * turn, or the connection is paused.
 *
 * Handshakes. A step that costs much is the shard's `costly` work, one a turn, first come first
 * served. A session is made in its first step, so a peer that says nothing costs nothing. So many
 * handshakes of clients that came to us may be under way on a shard as there are seats
 * (handshakes_max); the others wait for a seat. Whoever has had one for longest, and whose peer has the
 * word, makes room for them: after a second, and the sooner the more of them wait. So peers that begin
 * handshakes and end none cost those who are slow their patience, and nobody his turn; what they say
 * meanwhile buys them no time. A handshake with a server takes no seat: how many there are is our program's choice,
 * and its server, which may be on this very shard, may need a seat before it answers.
 *
 * States of a handshake:
 *
 *     LISTENS -> [SEATLESS ->] DUE -> LISTENS -> DUE ... -> OVER
 */
#ifndef CMDI_CONN_SECURE_H
#define CMDI_CONN_SECURE_H

#include "conn/conn.h"

enum {
    CMDI_SECURE_RAW_MAX = 64 * 1024,     // Received in a handshake: that much and more is not read.
    CMDI_SECURE_ANSWERS_MAX = 64 * 1024, // Of the session's own, that wait behind a send.
    CMDI_SECURE_SILENT_MS = 500,         // After so long the receive is armed anew.
    CMDI_SECURE_SEAT_MS = 1000,          // Of a seat, while few wait for one.
    // While many do: a long round trip, or a client that is as busy as we are.
    CMDI_SECURE_SEAT_MIN_MS = 100,
    CMDI_SECURE_FEW = 256, // With so many waiting it has half of its time.
};

enum cmdi_handshake_state {
    CMDI_HANDSHAKE_LISTENS,  // The peer has to say something, or the transport to be opened.
    CMDI_HANDSHAKE_SEATLESS, // Its first step is due, and there is no seat: shard->seatless.
    CMDI_HANDSHAKE_DUE,      // Its step is due: shard->costly.
    CMDI_HANDSHAKE_OVER,     // Well or not.
};

struct cmdi_secured {
    struct cmdi_conn *conn;
    struct cmds_tls *tls;
    struct cmdi_security_peer peer; // The owner's strings.
    struct cmdi_tls_counters *counters;
    struct cmdi_session *session; // NULL: no step was made.
    struct cmdi_conn_buffer raw, wire;
    struct cmdi_work step; // In shard->costly, or seatless.
    struct cmdi_list seat; // shard->seats: has a session and no step due, by sat_ms.
    uint64_t sat_ms;       // When its first step was made.
    int64_t overhead;      // Of what was received: used up, and not in run_size yet.
    uint64_t opened_size;  // Of data, in all.
    uint64_t settled_size; // run_size, when it was last put there.
    uint8_t handshake;     // enum cmdi_handshake_state
    bool seated;           // Counts in shard->seat_count.
    bool cut;              // The session holds a part of a record, behind the handshake.
    bool closed;           // The peer has said that nothing more comes.
    bool notified;         // And so have we.
    bool sealed;           // Something of the owner's was.
    bool failed;           // Nothing is sealed or opened any more.
    bool seal_failed;      // Because of a seal: the next flush closes the connection.
};

static inline bool cmdi_secure_has_raw(const struct cmdi_conn *conn)
{
    return conn->secured != NULL && conn->secured->raw.begin < conn->secured->raw.end;
}
/** What has come waits for us, and not for what is still to come. */
static inline bool cmdi_secure_is_late(const struct cmdi_conn *conn)
{
    return cmdi_secure_has_raw(conn) && conn->secured->handshake != CMDI_HANDSHAKE_LISTENS;
}
/** There are bytes that were received and not run. */
static inline bool cmdi_conn_has_received(const struct cmdi_conn *conn)
{
    return conn->slices.count > 0 || conn->more->stash.begin < conn->more->stash.end ||
           cmdi_secure_has_raw(conn);
}
/** All that was received is run, but for a part of a record. */
static inline bool cmdi_secure_is_cut(const struct cmdi_conn *conn)
{
    return conn->secured != NULL && conn->secured->cut && !cmdi_conn_has_received(conn);
}
/** Something was made that has not left, beside fill and flight. */
static inline bool cmdi_secure_has_wire(const struct cmdi_conn *conn)
{
    return conn->secured != NULL && conn->secured->wire.end > 0;
}
/** What leaves, or has left, is the owner's: not a handshake alone. */
static inline bool cmdi_secure_has_sealed(const struct cmdi_conn *conn)
{
    return CMDI_LIKELY(conn->secured == NULL) || conn->secured->sealed;
}
/** A step of its handshake is due, and we are late with it. */
static inline bool cmdi_secure_is_due(const struct cmdi_conn *conn)
{
    return conn->secured != NULL && (conn->secured->handshake == CMDI_HANDSHAKE_DUE ||
                                            conn->secured->handshake == CMDI_HANDSHAKE_SEATLESS);
}

static inline bool cmdi_secure_seal_failed(const struct cmdi_conn *conn)
{
    return conn->secured != NULL && conn->secured->seal_failed;
}

/* --- secure.c: bytes -------------------------------------------------------------------------- */

/** What a session calls; its context is the connection. */
extern const struct cmdi_security_io cmdi_secure_io;

/**
 * One record into the stash. Returns: as security->open, of which DATA has been appended. In *lack:
 * 0; else there was no room, the result is EMPTY, and it is as cmdi_conn_lack() says.
 */
enum cmdi_security_result cmdi_secure_open(
        struct cmdi_conn *conn, int *lack, struct cmds_error *error);
/** All that was opened has run: what was received beside it counts as run too. */
void cmdi_secure_settle(struct cmdi_conn *conn);
/** All of `fill` goes to `wire`. Returns: 0; negative: it has failed, and `error` says why. */
int cmdi_secure_seal(struct cmdi_conn *conn, struct cmds_error *error);
/** The peer is told that nothing more comes; once. Returns: something is to be sent. */
bool cmdi_secure_notify(struct cmdi_conn *conn);

/* --- secure.c: seats -------------------------------------------------------------------------- */

/** Asserts that the move is legal. */
void cmdi_secure_move(struct cmdi_conn *conn, enum cmdi_handshake_state next);
/** For how long a handshake keeps its seat, as many as wait for one. */
uint64_t cmdi_secure_seat_ms(const struct cmdi_shard *shard);
/** Its step is due: as soon as there is a seat and it is its turn. */
void cmdi_secure_queue(struct cmdi_conn *conn);
/** The peer's turn. */
void cmdi_secure_listen(struct cmdi_conn *conn);
/** The handshake is over: its seat is free. `done`: well. Again it does nothing. */
void cmdi_secure_leave(struct cmdi_conn *conn, bool done);
/** Everything but the session is given back; the connection closes. */
void cmdi_secure_close(struct cmdi_conn *conn);
/** Ends the session. Again it does nothing. */
void cmdi_secure_fini(struct cmdi_conn *conn);

/* --- handshake.c ------------------------------------------------------------------------------ */

/** SECURING, and all that has come is in `raw`: if it is enough, a step is made or queued. */
void cmdi_handshake_run(struct cmdi_conn *conn);
/** SECURING, and time has passed: of those that have a seat, one may have to go. */
void cmdi_handshake_look(struct cmdi_conn *conn, uint64_t now_ms);
/** shard->costly has come to it. */
void cmdi_handshake_on_turn(struct cmdi_shard *shard, struct cmdi_work *work);

#endif

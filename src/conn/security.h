/* SPDX-License-Identifier: MIT */
/*
 * What may stand between a connection's buffers and its transport: a security layer, which makes
 * records of what is sent and opens those that come.
 *
 *     frames | fill -> seal -> wire -> flight | transport         out
 *     frames | stash <- open <- received      | transport         in
 *
 * The layer knows bytes alone: no descriptor, no ring, no connection. So TLS is a library of its own
 * (src/tls), which reaches nothing of this one but what this header gives it, and tests have a layer
 * of a few lines. The connection owns all buffers, and decides when what is done; a session is the
 * layer's state for one connection.
 *
 * Life of a session: weigh() until a whole flight is there; begin(); step() until it is DONE, for
 * each flight; open() and seal(); notify(); end(), which may come at any time after begin(). All on
 * the connection's shard, one at a time. None of them waits.
 */
#ifndef CMDI_CONN_SECURITY_H
#define CMDI_CONN_SECURITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cmds_error;
struct cmds_tls;
struct cmds_tls_peer;
struct cmdi_session;

enum {
    CMDI_SECURITY_VERSION = 1,        // Of this header: both libraries were built with it.
    CMDI_SECURITY_RECORD_MAX = 16384, // Bytes that a record carries.
    CMDI_SECURITY_FLIGHT_MAX = 16384, // Of a peer's first flight.
    CMDI_SECURITY_OVERHEAD_MAX = 64,  // What a record is longer than what it carries.
};

/** What a call of a session came to. */
enum cmdi_security_result {
    CMDI_SECURITY_DONE,   // step: the handshake is over, and the peer is who it should be.
    CMDI_SECURITY_DATA,   // open: there are bytes.
    CMDI_SECURITY_EMPTY,  // All that had come was taken; no record is cut.
    CMDI_SECURITY_CUT,    // All that had come was taken; the rest of a record is still to come.
    CMDI_SECURITY_SPENT,  // Much has come that brought nothing: the rest in another turn.
    CMDI_SECURITY_CLOSED, // open: the peer has said that nothing more comes.
    CMDI_SECURITY_FAILED, // For good. The error says why; an alert that is due was put.
};

/** What a step with what has come will cost. */
enum cmdi_security_weight {
    CMDI_SECURITY_LACKS, // The flight is not whole: there is nothing to do.
    CMDI_SECURITY_LIGHT, // Microseconds; also where it will only be refused.
    CMDI_SECURITY_HEAVY, // Public-key work: one such step per shard and turn.
};

/** What the connection counts for it. */
enum cmdi_security_event {
    CMDI_SECURITY_ALERT_IN,
    CMDI_SECURITY_ALERT_OUT,
    CMDI_SECURITY_GLITCH, // A record that brought nothing.
};

/** What a session calls, inside its own functions only; `context` as given to begin(). */
struct cmdi_security_io {
    /**
     * What was received and not taken: the first part of it that lies in one piece.
     *
     * Owner:   borrowed until take(), or the end of the session's function.
     * Returns: NULL, and *size 0: nothing.
     */
    const uint8_t *(*peek)(void *context, size_t *size);
    /** So many bytes, of those that peek() showed, are used. */
    void (*take)(void *context, size_t size);
    /** Appends to what leaves. Owner: copies. Returns: 0; -ENOMEM: the session fails. */
    int (*put)(void *context, const uint8_t *data, size_t size);
    void (*count)(void *context, enum cmdi_security_event event);
};

/** Whom a client connects to. All NULL for a server, but `address`. */
struct cmdi_security_peer {
    const char *host;    // As the user wrote it, without the port; NULL: it has none (unix).
    const char *address; // For sentences: "host.name:9000 (10.0.0.7:9000)". Never NULL.
};

struct cmdi_security {
    uint32_t version; // CMDI_SECURITY_VERSION
    /**
     * Before begin(), session NULL, and between steps. `data`: all that has come and was not taken,
     * in one piece. Cheap: it allocates nothing, and is called again for every byte that comes.
     * A server waits for the client's first flight; a client's first step is HEAVY and needs nothing.
     */
    enum cmdi_security_weight (*weigh)(const struct cmds_tls *tls,
            const struct cmdi_session *session, const uint8_t *data, size_t size);
    /**
     * `data` as for weigh(): by what a client says first, a server chooses its certificate.
     *
     * Owner:   keeps io, context and, until the handshake is over, peer; `*session` goes to end().
     *          On failure *session is NULL.
     * Returns: 0; negative, and `error` says why: without memory, or bytes that are no TLS.
     */
    int (*begin)(struct cmds_tls *tls, const struct cmdi_security_peer *peer,
            const struct cmdi_security_io *io, void *context, const uint8_t *data, size_t size,
            struct cmdi_session **session, struct cmds_error *error);
    /** Goes on with the handshake. Returns: DONE, EMPTY, CUT, SPENT, FAILED. */
    enum cmdi_security_result (*step)(struct cmdi_session *session, struct cmds_error *error);
    /**
     * After DONE: opens one record to `out`, which has `room` bytes, at least RECORD_MAX.
     *
     * Returns: DATA, with *size > 0; EMPTY, CUT, SPENT, CLOSED, FAILED.
     */
    enum cmdi_security_result (*open)(struct cmdi_session *session, uint8_t *out, size_t room,
            size_t *size, struct cmds_error *error);
    /**
     * After DONE: `size` > 0 bytes leave, in records of RECORD_MAX bytes. All of them, or it fails.
     *
     * Returns: 0; negative, and `error` says why: the session has failed.
     */
    int (*seal)(struct cmdi_session *session, const uint8_t *data, size_t size,
            struct cmds_error *error);
    /** After DONE, unless it has failed: the peer learns that nothing more comes. Put, like all. */
    void (*notify)(struct cmdi_session *session);
    /** Frees it, in any state. Nothing is put. */
    void (*end)(struct cmdi_session *session);
    /** Borrowed until end(). Returns: NULL before DONE. Thread: any, where the caller keeps it. */
    const struct cmds_tls_peer *(*peer)(const struct cmdi_session *session);
    /** cmds_tls_reload(), for those who know the library by this table alone. */
    int (*reload)(struct cmds_tls *tls, struct cmds_error *error);
    /** A shard is quiet again after many handshakes: what they left behind may be given back. */
    void (*trim)(void);
};

/** Begins the layer's own. Constant while connections use it. */
struct cmds_tls {
    const struct cmdi_security *security;
    const char *server_name; // A client's option. NULL: `host` of the peer is used.
    uint16_t handshakes_max; // A server's: that are under way on a shard at a time.
    bool is_server;
};

#endif

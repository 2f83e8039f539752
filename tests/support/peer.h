/* SPDX-License-Identifier: MIT */
/*
 * One connection for the unit tests: a transport that waits to be told how each operation ended, an
 * owner that looks at what it gets, on a shard whose clock somebody moves. One thread.
 */
#ifndef CMDI_TESTS_SUPPORT_PEER_H
#define CMDI_TESTS_SUPPORT_PEER_H

#include "conn/conn.h"

enum {
    PEER_SENT_MAX = 4 * 1024 * 1024,
    PEER_FRAMES = 40,
    PEER_WIRE_MAX = 64 * 1024,
    PEER_ROUNDS_MAX = 1000,
};

/** A connection, what its transport was asked for, and what its owner was told. */
struct peer {
    struct cmdi_conn conn;
    struct cmdi_shard *shard;
    struct cmdi_conn_limits limits;
    struct cmdi_conn_counters counters;
    struct cmdi_tls_counters tls_counters;

    const uint8_t *sending; // Copied when the send completes: until then it has to stay.
    size_t sending_size;
    uint8_t *sent;
    size_t sent_size;
    int64_t now_takes; // What send_now returns at most.
    bool opening, receiving;
    bool stopping;               // The armed receive is being ended.
    bool watching, watch_finish; // A watch is armed, also for a FIN.
    bool aborted;
    uint64_t taken; // What the transport says that watches...
    size_t waiting; // ...and counts.
    uint32_t recvs, stops, shuts, aborts, closes;

    uint64_t frames; // The last sequence that was run: they come as 1, 2, 3...
    uint64_t pause_at, fail_at, finish_at, ping_count;
    uint32_t lows, eofs, opens, closings, closeds;
    bool wrong; // A frame was not the one expected.
    bool busy, told_inside;
    int open_code;
};

struct peer *peer_of(struct cmdi_conn *conn);

/* --- An owner that looks ---------------------------------------------------------------------- */

int64_t peer_on_frame(struct cmdi_conn *conn, const struct cmdi_frame *frame);
int peer_on_ping(struct cmdi_conn *conn);
void peer_on_output_low(struct cmdi_conn *conn);
void peer_on_eof(struct cmdi_conn *conn);
void peer_on_closing(struct cmdi_conn *conn);
void peer_on_closed(struct cmdi_conn *conn);
/** Starts it, or fails it with the code. */
void peer_on_open(struct cmdi_conn *conn, int code);
/** "calc" it has to be. */
int peer_on_server_info(struct cmdi_conn *conn, struct cmds_bytes info);
/** All of these but the last two: a connection that begins OPEN. */
extern const struct cmdi_conn_ops peer_server_ops;
/** The same with peer_on_open and answers_first; with both of them: for peer_open_secured(). */
extern const struct cmdi_conn_ops peer_secured_server_ops, peer_client_ops;
/** Large sizes, no time but a second of linger. */
extern const struct cmdi_conn_limits peer_limits;

/** The transport with a watch, and a count of what the peer has taken: for conn.transport. */
extern const struct cmdi_transport peer_watching_transport;

/* --- Life ------------------------------------------------------------------------------------- */

/** On a shard that is there. Ops with on_open: the transport is being opened. */
void peer_init(struct peer *peer, struct cmdi_shard *shard, const struct cmdi_conn_ops *ops);
/** On a stepped shard of its own, which becomes the current one. Gives: peer_free(). */
struct peer *peer_open(const struct cmdi_conn_ops *ops);
/** The same with a limit for the opening and the ServerInfo together. */
struct peer *peer_open_timed(const struct cmdi_conn_ops *ops, uint32_t server_info_timeout_ms);
/**
 * With a security layer: SECURING if `tls` is a server's; else its transport is being opened. A test
 * has to ask for peer->opens. `tls` is kept.
 */
struct peer *peer_open_secured(
        const struct cmdi_conn_ops *ops, struct cmds_tls *tls, uint32_t server_info_timeout_ms);
/** The same on a shard that is there. */
void peer_init_secured(struct peer *peer, struct cmdi_shard *shard, const struct cmdi_conn_ops *ops,
        struct cmds_tls *tls, uint32_t server_info_timeout_ms);
/** One of peer_server_ops whose receive is armed. */
struct peer *peer_started(void);
/** Ends what is in flight after the transport's abort, until it is closed. */
void peer_end_operations(struct peer *peer);
/** Closes one of peer_init(); its shard lives on. */
void peer_fini(struct peer *peer);
/** Closes it; asserts that everything was told once and nothing is left. */
void peer_free(struct peer *peer);

/* --- Driving ---------------------------------------------------------------------------------- */

/** Runs what is to be run now. */
void peer_advance(struct peer *peer);
void peer_advance_ms(struct peer *peer, uint64_t ms);
/** The same in steps: a shard that is very late with a timer was stopped, for which peers do not pay. */
void peer_pass_ms(struct peer *peer, uint64_t ms);
/** The operation in flight has ended. */
void peer_open_done(struct peer *peer, int code);
void peer_send_done(struct peer *peer, int32_t result);
void peer_recv_done(struct peer *peer, int code);
void peer_watch_done(struct peer *peer, int events);
/** Completes sends as long as there are any. Returns: how many. */
uint32_t peer_send_all(struct peer *peer);

/** A frame whose body peer_on_frame() knows. Returns: the end. */
uint8_t *peer_put_frame(uint8_t *out, uint64_t sequence, size_t body_size);
/** Frames 1..count of many sizes, with pings between them. Returns: the size. */
size_t peer_mixed_frames(uint8_t *out, uint64_t count);
/** These bytes are to be sent. */
void peer_append(struct peer *peer, const void *data, size_t size);

#endif

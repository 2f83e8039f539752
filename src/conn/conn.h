/* SPDX-License-Identifier: MIT */
/*
 * A connection: frames over a transport, on one shard, for a server and a client alike.
 *
 * Input. The kernel fills buffers of the shard's group; each becomes a slice queued on its
 * connection. Frames are parsed where they lie. Only what cannot be parsed in place goes to the
 * stash: the frame that a slice cuts, and the slices of a connection that is paused, so that
 * nobody's standstill holds the shard's buffers.
 *
 * Output. Frames are appended to `fill`; at the end of the turn `fill` becomes `flight` and one
 * SEND takes it. Both are leased and given back when empty. What other threads want to send, the
 * owner collects in an inbox of its own (shard/inbox.h); the connection only tells them how large
 * the output is.
 *
 * Life. One owner embeds the connection and gets each event by its ops, last of all on_closed,
 * exactly once. All functions below are for the shard's thread.
 *
 *     CONNECTING -> SECURING -> SERVER_INFO -> OPEN -> FINISHING -> LINGERING -> CLOSING -> CLOSED
 *
 * Each may go straight to CLOSING. Without a security layer SECURING is left out, without a ServerInfo
 * to wait for SERVER_INFO. From SECURING and SERVER_INFO it may go to FINISHING, for an alert to leave.
 */
#ifndef CMDI_CONN_CONN_H
#define CMDI_CONN_CONN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmdstream/codec.h>

#include "conn/security.h"
#include "conn/transport.h"
#include "shard/shard.h"
#include "wire/frame.h"

struct cmdi_conn;
struct cmdi_secured;
struct cmds_listed_connection;

enum cmdi_conn_state {
    CMDI_CONN_CONNECTING, // The transport is being opened. Output is collected.
    // A recv is armed; the security layer shakes hands. Output is collected, but for its own.
    CMDI_CONN_SECURING,
    // A recv is armed; a client waits for the ServerInfo. Output is collected.
    CMDI_CONN_SERVER_INFO,
    CMDI_CONN_OPEN, // Frames are run, output is sent.
    // No frame is run any more; what is to be sent leaves, then the write side is shut.
    CMDI_CONN_FINISHING,
    // Our FIN is out; input is thrown away until the peer's comes, or the deadline.
    CMDI_CONN_LINGERING,
    CMDI_CONN_CLOSING, // The transport was aborted, and may still call.
    CMDI_CONN_CLOSED,  // The transport is closed; on_closed has been or is being called.
};

/** What a connection receives. Whether frames are run is another matter: see `paused`. */
enum cmdi_input_state {
    CMDI_INPUT_IDLE, // No receive is armed; the end of the next run arms one, if there is room.
    CMDI_INPUT_RECEIVING, // One is armed.
    CMDI_INPUT_STARVED,   // It ended for want of a buffer: `starve` waits for one.
    CMDI_INPUT_STOPPING,  // One is armed and being ended, by cmdi_conn_stop_input().
    CMDI_INPUT_STOPPED,   // None will be armed, unless the rest is to be thrown away.
    // The peer's FIN was seen, or the input broke: recv_error. Slices and stash may hold frames.
    CMDI_INPUT_ENDED,
};

/** What of the output is under way. `fill` is appended to in every state. */
enum cmdi_output_state {
    CMDI_OUTPUT_IDLE,    // `flight` is not leased.
    CMDI_OUTPUT_LEFT,    // It holds bytes, of which no send is in flight: the next flush sends.
    CMDI_OUTPUT_SENDING, // A send of them is in flight: send_size.
    CMDI_OUTPUT_BROKEN,  // The peer takes nothing any more; what it sent before is still read.
};

/** While no receive is armed the transport may look out for the peer's end. */
enum cmdi_watch_state {
    CMDI_WATCH_OFF,
    CMDI_WATCH_ARMED, // Its end comes to cmdi_conn_on_watch().
    CMDI_WATCH_OVER,  // It has nothing more to report, or cannot.
};

/** From on_frame: not now. The frame stays, and is seen again after cmdi_conn_resume(). */
#define CMDI_CONN_LATER INT64_MIN

/**
 * What the owner learns. All on the shard, and never inside a cmdi_conn_ function that the owner
 * called, except on_closing.
 */
struct cmdi_conn_ops {
    /**
     * A whole frame (sequence > 0); self-delimiting: the body and what follows it. Borrowed until
     * the return.
     * Returns: bytes of the body used; more than there are: not whole, so many are needed at least
     *          (only self-delimiting); CMDI_CONN_LATER, once the connection is paused; a negative
     *          error closes the connection.
     */
    int64_t (*on_frame)(struct cmdi_conn *conn, const struct cmdi_frame *frame);
    /** The byte 00. Returns: as on_frame. */
    int (*on_ping)(struct cmdi_conn *conn);
    /**
     * The transport's open is over, and so is the handshake of the security layer, which was not when
     * cmdi_conn_open() returned. `code` 0: the state is SERVER_INFO or OPEN now, and the owner calls
     * cmdi_conn_start(). Negative: the owner fails it; a handshake that fails ends as all else does, by
     * on_closing. NULL: its transports open at once, and it has no security layer.
     */
    void (*on_open)(struct cmdi_conn *conn, int code);
    /**
     * In state SERVER_INFO. Returns: 0: the state becomes OPEN; negative closes. NULL: there is no
     * ServerInfo to wait for.
     */
    int (*on_server_info)(struct cmdi_conn *conn, struct cmds_bytes info);
    /**
     * Once in every run of the connection: the owner's own work, of at most `budget` units; after
     * the first one it ends early when conn->spent or shard->step_over says so, see
     * cmdi_shard_worked(). Returns: there is more. May be NULL.
     */
    bool (*run)(struct cmdi_conn *conn, uint32_t budget);
    /** Output fell to the low mark after it had been above it. May be NULL. */
    void (*on_output_low)(struct cmdi_conn *conn);
    /**
     * The peer's FIN has come and every whole frame before it has run. Nothing is closed yet: the
     * owner decides.
     */
    void (*on_eof)(struct cmdi_conn *conn);
    /**
     * For a second nothing was received, as we do not read, nothing was sent, and nothing waits to
     * be: the peer may well doubt that we live. NULL: may it.
     */
    void (*on_held)(struct cmdi_conn *conn);
    /**
     * For write_timeout_ms the peer has taken too little of what waits for it. Returns: it may stay as
     * long again. NULL: it may not.
     */
    bool (*spares_slow)(struct cmdi_conn *conn);
    /** Is there a reason to stay although nothing is received: calls in flight, say. NULL: none. */
    bool (*is_busy)(const struct cmdi_conn *conn);
    /**
     * Inside cmdi_conn_finish(): the last moment to append output, for what other threads have
     * queued. It may fail the connection. Inside cmdi_conn_fail_soon(), where it is FINISHING already:
     * what they have queued goes no further. May be NULL.
     */
    void (*on_finishing)(struct cmdi_conn *conn);
    /** Bytes that other threads have queued for the output: they share its bound. NULL: none. */
    size_t (*queued)(const struct cmdi_conn *conn);
    /**
     * The state is CLOSING: cmdi_conn_error() says why. Nothing is sent any more; fail what is pending.
     * May run inside cmdi_conn_fail.
     */
    void (*on_closing)(struct cmdi_conn *conn);
    /** The state is CLOSED. The owner may free the memory. */
    void (*on_closed)(struct cmdi_conn *conn);
    /** cmdi_conn_refuse() lets the output leave: a server. */
    bool answers_first;
    /** Nothing is there yet when a receive is first armed: a server's accepted connection. */
    bool expects_quiet;
    /**
     * Room for what only a connection that is not idle has, in the owner's memory: see struct
     * cmdi_conn_more. Returns: NULL without memory. NULL: it is of the shard's, and the connection
     * never rests.
     */
    struct cmdi_conn_more *(*lease)(struct cmdi_conn *conn);
    /** What was leased goes back: the connection is idle, or the owner has said that it is not needed. */
    void (*give_back)(struct cmdi_conn *conn, struct cmdi_conn_more *more);
    /** Bytes that the owner holds for it, beside its buffers. NULL: none. */
    size_t (*held)(const struct cmdi_conn *conn);
    /**
     * What its owner knows of it, for somebody who lists: side, id, peer, in_flight, rtt_us; why it is
     * paused, if it is; more queued_bytes, if there are. NULL: it is not listed.
     */
    void (*describe)(const struct cmdi_conn *conn, struct cmds_listed_connection *row);
};

/** Shared by all connections of an owner; kept. Times in ms; CMDS_NEVER: no limit. */
struct cmdi_conn_limits {
    uint32_t frame_size_max;
    uint32_t output_size_max;
    uint32_t server_info_timeout_ms; // Until the ServerInfo has left, or has come; TLS included.
    uint32_t frame_timeout_ms;
    uint32_t write_timeout_ms;
    uint32_t idle_timeout_ms;
    uint32_t linger_timeout_ms;
    bool self_delimiting; // Not a limit, but of the same owner: the codec finds the end of a body.
};

/** Bytes at begin..end of a leased buffer; data NULL: none leased. */
struct cmdi_conn_buffer {
    uint8_t *data;
    size_t capacity, begin, end;
};

/**
 * What a connection has only while it is not idle. It is leased before the first byte moves in either
 * direction, and goes back when for a while nothing has happened and nothing is owed (more.c).
 */
struct cmdi_conn_more {
    /* Seldom: first, so that what follows lies together with what the owner has behind it. */
    uint64_t stash_ns; // When the last of the stash's bytes arrived.
    // How far the codec has come in a frame; leased while a self-delimiting frame is cut.
    struct cmds_codec_place *place;
    struct cmdi_work starve;
    struct cmdi_list lacking; // shard->lacking, unless its own output will free what it lacks.
    uint64_t looked_taken,
            looked_waiting;    // At the last look since: of taken_size, and what waited.
    uint64_t write_stalled_ms; // shard->stalled_ms of that time.
    /* Times, in ms of the shard's clock; 0: not running. */
    uint64_t linger_until;
    uint64_t finished_at; // The peer's FIN was seen, perhaps behind what is not read yet.
    uint64_t deaf_since;  // No recv is armed, and that is our doing.
    uint64_t server_info_until;
    int32_t recv_error; // Why the input ended, beside the peer's FIN. Valid if ENDED.

    /* Of each run and each send. */
    struct cmdi_conn *conn;
    struct cmdi_work flush;
    struct cmdi_conn_buffer flight; // Being sent.
    size_t made_size;               // Of this run's output: what is no longer in `fill`.
    uint64_t arrived_ns; // When the last bytes of what runs now arrived, by the shard's clock.
    size_t frame_need; // Bytes that the frame at stash.begin has at least, if it is known to be cut.
    uint64_t frame_since, write_since; // Times, as above.
    struct cmdi_conn_buffer stash;
    uint32_t send_size; // Valid while SENDING.
    bool fails_soon;    // It is FINISHING, and the flush of the turn fails it.
};
_Static_assert(offsetof(struct cmdi_conn_more, conn) == 128, "the rest of a run is three lines");

/** That of each connection that rests: everything in it is 0, and nothing is written. */
extern const struct cmdi_conn_more cmdi_conn_resting;

/* By lines of the cache, as one of many with little each finds none of them there. */
struct cmdi_conn {
    /* Of each run: what it is and what has come. */
    struct cmdi_shard *shard;
    struct cmdi_conn_more *more;         // Never NULL; to be written only behind cmdi_conn_wake().
    struct cmdi_secured *secured;        // Its security layer (conn/secure.h). NULL: none.
    struct cmdi_conn_counters *counters; // The owner's, on this shard.
    uint8_t state;                       // enum cmdi_conn_state
    uint8_t input;                       // enum cmdi_input_state
    uint8_t watch;                       // enum cmdi_watch_state
    uint8_t output;                      // enum cmdi_output_state
    bool paused;    // The owner wants no frames: set by pause, cleared by resume.
    bool slow;      // What came was run so slowly that one buffer does at a time.
    bool unrun;     // Of what was received no run has seen the last part.
    bool end_told;  // on_eof was called, or the connection was failed in its place.
    bool above_low; // Output was above the low mark: on_output_low is owed.
    bool running;   // Inside run: teardown waits.
    bool spent;     // This run has made its share of output: what can wait for the next one does.
    uint8_t light_runs;        // The last so many asked for little, see conn_set_level().
    bool lacks_input;          // `lacks` is for the stash: no frame is run until then.
    bool evicted : 1;          // It held most when memory was short, and is being closed.
    bool transport_closed : 1; // cmdi_conn_on_closed() was called. Only CLOSING and CLOSED.
    /*
     * Set by on_frame: what it has found out for this frame holds for the next one, if that has the same
     * header. While it is called with it set the frame is such a one, of the same run over the same bytes.
     */
    bool alike : 1;
    uint8_t length_more; // Bytes that the last frame's length had beside its first.
    uint8_t ended_in;    // The state that CLOSING came from. Only CLOSING and CLOSED.
    struct cmdi_slices slices;
    uint32_t fill_hint; // What the last flight needed: the next fill is leased at once.

    union {
        uint64_t align;
        unsigned char bytes[CMDI_TRANSPORT_STATE_MAX];
    } transport_state; // The transport's own.
    struct cmdi_work ready;
    uint64_t received_at; // In ms of the shard's clock, as sent_at.

    uint64_t received_size;
    uint64_t run_size; // Of what was received: run.
    const struct cmdi_conn_ops *ops;
    const struct cmdi_conn_limits *limits;
    const struct cmdi_transport *transport;
    size_t flight_size; // What is left of more->flight.
    size_t lacks; // Bytes that the shard had no memory for: it waits for them. 0: it does not.
    uint64_t sent_at;

    struct cmdi_conn_buffer fill; // Appended to.
    uint64_t sent_size;
    // Of the output, as other threads know it: all beyond half of the bound, and what is taken.
    _Atomic uint32_t output_seen;
    int error_code; // Why it ends: 0: it does not. See error_text.

    /* Seldom. */
    uint64_t taken_size; // Of the peer, when write_since began: transport->taken.
    uint64_t begun_at;   // It was opened then.
    // When the recv was armed last: the low halves of counters.turns, and of the time in ms.
    uint32_t armed_turn, armed_at;
    struct cmdi_list on_shard; // shard->conns
    struct cmdi_timer timer;
    /* Why it ends: the first cause; EOF when the peer left in order. See cmdi_conn_error(). */
    char *error_text; // Of shard->error_texts. NULL with an error: there was no memory for it.
};
_Static_assert(offsetof(struct cmdi_conn, taken_size) == 240, "a run looks at four lines");

/* --- Life ------------------------------------------------------------------------------------- */

/**
 * The state is CONNECTING; nothing has begun, and the shard knows nothing of it.
 *
 * Owner: keeps ops, transport, limits and counters until on_closed. What ops->lease gives is the
 *        owner's to take back with cmdi_conn_drop_more(), when it has closed.
 */
void cmdi_conn_init(struct cmdi_conn *conn, struct cmdi_shard *shard,
        const struct cmdi_conn_ops *ops, const struct cmdi_transport *transport,
        const struct cmdi_conn_limits *limits, struct cmdi_conn_counters *counters);
/**
 * Between init and open: a security layer stands between the connection and its transport. The state
 * after CONNECTING is SECURING, also of a server's connection, whose open then returns 0; on_open
 * reports when the handshake is over.
 *
 * Owner:   keeps tls, counters and the strings of `peer` until cmdi_conn_fini().
 * Returns: 0; -ENOMEM.
 */
int cmdi_conn_secure(struct cmdi_conn *conn, struct cmds_tls *tls,
        const struct cmdi_security_peer *peer, struct cmdi_tls_counters *counters);
/** What the handshake has shown of the peer; NULL: it is not over, or there is no layer. */
const struct cmds_tls_peer *cmdi_conn_tls_peer(const struct cmdi_conn *conn);
/**
 * Opens the transport: as its open(). From here on the connection ends with on_closed.
 *
 * Owner:   takes `fd` on success. `address` is borrowed until on_open.
 * Returns: 1: the state is SERVER_INFO, or OPEN without on_server_info, and the owner calls
 *          cmdi_conn_start(); 0: on_open will report; -errno: it is as after init.
 */
int cmdi_conn_open(struct cmdi_conn *conn, int fd, const struct cmdi_address *address);
/** Begins to receive. */
void cmdi_conn_start(struct cmdi_conn *conn);

/**
 * After on_closed, or an open that failed; on the shard: gives back what its error took, and frees the session with what it
 * knows of the peer. Again it does nothing.
 */
void cmdi_conn_fini(struct cmdi_conn *conn);

/** Why it ends, if nothing has said so before. Closes nothing. */
void cmdi_conn_note(struct cmdi_conn *conn, int code, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
/** Why it ends or has ended; code 0: it does not. Thread: shard. */
void cmdi_conn_error(const struct cmdi_conn *conn, struct cmds_error *error);
/**
 * Does the sentence begin with what was tried, and with whom? Those of a security layer do, as it knows
 * best what it was about.
 */
bool cmdi_conn_error_names_peer(const struct cmds_error *error);
/** Closes at once, because of `code`; the first cause stays. Safe in any op and any state. */
void cmdi_conn_fail(struct cmdi_conn *conn, int code, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
/**
 * The same, of one that is OPEN, for whoever may be called by a function of the program's, which no callback
 * is to interrupt: from here on it is FINISHING, so that nothing more is run and written, and the flush of
 * the turn closes it. What was written before may leave by then.
 */
void cmdi_conn_fail_soon(struct cmdi_conn *conn, int code, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
/**
 * Closes because of what the peer sent. Where answers_first is set that is in order: what was
 * answered before still leaves, since closing with unread input would reset it away. Else at once.
 */
void cmdi_conn_refuse(struct cmdi_conn *conn, int code, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
/**
 * Closes in order: sends what is there, shuts the write side, reads on until the peer's FIN or
 * linger_timeout_ms.
 */
void cmdi_conn_finish(struct cmdi_conn *conn);

/**
 * Receives no more; what has been received still runs, then on_eof is called as if the peer had
 * finished.
 */
void cmdi_conn_stop_input(struct cmdi_conn *conn);

static inline bool cmdi_conn_alive(const struct cmdi_conn *conn)
{
    return conn->state < CMDI_CONN_FINISHING;
}

/* --- Idle or not ------------------------------------------------------------------------------ */

/** It is idle: its `more` is nobody's. */
static inline bool cmdi_conn_is_resting(const struct cmdi_conn *conn)
{
    return conn->more == &cmdi_conn_resting;
}
/** Slow path of wake. */
bool cmdi_conn_wake_slow(struct cmdi_conn *conn);
/** It is about to do something: `more` may be written. Returns: false without memory, or CLOSING. */
static inline bool cmdi_conn_wake(struct cmdi_conn *conn)
{
    return CMDI_LIKELY(!cmdi_conn_is_resting(conn)) || cmdi_conn_wake_slow(conn);
}
/** Gives `more` back, of one that has closed or never opened, or rests from here on. Again it does nothing. */
void cmdi_conn_drop_more(struct cmdi_conn *conn);

/* --- Output ----------------------------------------------------------------------------------- */

static inline size_t cmdi_conn_output_size(const struct cmdi_conn *conn)
{
    return conn->fill.end + conn->flight_size;
}
/**
 * Half of the bound: commands run below it, and a result of any legal size is taken below it, if
 * the shard has memory for it. Without memory the output counts as high until there is.
 */
static inline bool cmdi_conn_output_high(const struct cmdi_conn *conn)
{
    return cmdi_conn_output_size(conn) >= conn->limits->output_size_max / 2 || conn->lacks > 0;
}
/**
 * The same bound for what another thread queues: `queued` bytes are in its queue, `seen` in the
 * output. The queue has half of the bound, because the output may grow to the other half unseen; so
 * the two together stay within the bound and one frame of each side.
 */
static inline bool cmdi_conn_queue_allows(
        const struct cmdi_conn_limits *limits, size_t queued, size_t seen, size_t size)
{
    size_t max = limits->output_size_max;
    return queued + seen < max / 2 || (queued + size <= max / 2 && queued + seen + size <= max);
}

/**
 * Other threads learn how large the output is; `more` bytes that were taken from them are on their
 * way into it, and count already.
 */
static inline void cmdi_conn_publish_output(struct cmdi_conn *conn, size_t more)
{
    size_t size = cmdi_conn_output_size(conn) + more; // No bound is larger than 32 bits.
    atomic_store_explicit(&conn->output_seen,
            CMDI_LIKELY(size < UINT32_MAX) ? (uint32_t)size : UINT32_MAX, memory_order_relaxed);
}

/**
 * How many of the bytes sent the peer's side has acknowledged, about; all of them where nobody knows. With
 * TCP those of a send that is under way count, as sent_size does not. *taken: a count that also grows with
 * what a UNIX peer has read of it, and that is comparable with itself alone. A system call.
 */
uint64_t cmdi_conn_delivered_size(struct cmdi_conn *conn, uint64_t *taken);

/** Would cmdi_conn_reserve() of this size succeed? As far as one can know without malloc. */
bool cmdi_conn_has_room(const struct cmdi_conn *conn, size_t size);
/** Slow path of reserve. */
uint8_t *cmdi_conn_reserve_slow(struct cmdi_conn *conn, size_t size, int *code);
/**
 * Room for `size` bytes at the end of the output. Returns: NULL, and in *code -ENOBUFS (the bound,
 * or the shard's memory is short: on_output_low when it is to be tried again), or -ENOMEM (there is
 * none, or never as much).
 */
static inline uint8_t *cmdi_conn_reserve(struct cmdi_conn *conn, size_t size, int *code)
{
    size_t end = conn->fill.end + size;
    if (CMDI_LIKELY(end <= conn->fill.capacity && end <= conn->limits->output_size_max / 2 &&
                    conn->flight_size == 0)) {
        return conn->fill.data + conn->fill.end;
    }
    return cmdi_conn_reserve_slow(conn, size, code);
}
/**
 * The same beyond the bound: for what was taken from another thread, where the bound was checked.
 * Returns: NULL without memory.
 */
uint8_t *cmdi_conn_reserve_beyond(struct cmdi_conn *conn, size_t size);
/** Slow path of commit: a lot has come together. */
void cmdi_conn_flush_now(struct cmdi_conn *conn);
/** `size` bytes of what was reserved last are written; they leave at the end of the turn. */
static inline void cmdi_conn_commit(struct cmdi_conn *conn, size_t size)
{
    conn->fill.end += size;
    cmdi_shard_flush(conn->shard, &conn->more->flush);
    if (CMDI_UNLIKELY(conn->fill.end >= conn->shard->flush_size)) {
        cmdi_conn_flush_now(conn);
    }
}

/* --- Input ------------------------------------------------------------------------------------ */

/** No more frames for now: the rest stays, the recv is cancelled. Legal inside on_frame. */
void cmdi_conn_pause(struct cmdi_conn *conn);
void cmdi_conn_resume(struct cmdi_conn *conn);
/** Nothing more comes from the peer: its FIN, or its security layer has said so. */
bool cmdi_conn_peer_has_ended(const struct cmdi_conn *conn);
/** Held: the next frame, which is not read, is a ping. */
bool cmdi_conn_has_ping(struct cmdi_conn *conn);
/**
 * Nothing can be concluded from what the peer has not sent: its bytes may lie in the socket, as no
 * recv is armed or it has been for no whole turn, or here and wait for their turn.
 */
bool cmdi_conn_is_behind(const struct cmdi_conn *conn);
/**
 * Has everything been run that had come when this was first asked? *mark is 0 then; it is the
 * caller's, and 0 again afterwards. However much comes meanwhile, the answer becomes true; of one that is
 * CLOSING it is; and for what cannot be run for want of memory, or as it is paused, nobody waits, since
 * that may last for long. Nor for what cannot be received as the shard's buffers are with others, while
 * one of these waits for memory.
 */
bool cmdi_conn_has_run(struct cmdi_conn *conn, uint64_t *mark);
/** Bytes were received that are in no buffer of the shard's (a harness, a security layer); copied. */
void cmdi_conn_feed(struct cmdi_conn *conn, const void *data, size_t size);
/** The owner has work for ops->run. */
static inline void cmdi_conn_ready(struct cmdi_conn *conn)
{
    cmdi_shard_ready(conn->shard, &conn->ready);
}

/* --- From the transport ----------------------------------------------------------------------- */

/* Each of these is legal in every state: what comes when nobody wants it is thrown away. */

/** The open is over. `code`: 0; -errno. */
void cmdi_conn_on_open(struct cmdi_conn *conn, int code);
/**
 * Bytes were received into a buffer of the shard's, which becomes the connection's. `more_waits`:
 * there were more than fitted.
 */
void cmdi_conn_on_data(struct cmdi_conn *conn, uint16_t buffer, uint32_t size, bool more_waits);
/**
 * The armed receive is over. `code`: 0: the peer's FIN; -ENOBUFS: the shard has no free buffer;
 * -EAGAIN, -EINTR, -ECANCELED: it may be armed again; else the -errno that ended the input.
 */
void cmdi_conn_on_recv_end(struct cmdi_conn *conn, int code);
/** The send is over. `result`: bytes taken; -errno. */
void cmdi_conn_on_send(struct cmdi_conn *conn, int32_t result);
/** The watch is over. `events`: bits of enum cmdi_peer_event; -errno. */
void cmdi_conn_on_watch(struct cmdi_conn *conn, int events);
/** Nothing of the transport is left. Once, after abort or inside it. Last: it may free `conn`. */
void cmdi_conn_on_closed(struct cmdi_conn *conn);

#endif

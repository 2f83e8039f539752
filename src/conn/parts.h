/* SPDX-License-Identifier: MIT */
/*
 * What the files of a connection know of each other, from the lowest to the highest: a file uses
 * those above it in this list, never those below. What has to go the other way goes through the
 * functions that conn.c puts into the connection.
 *
 *     timer more memory stash secure recv -> life -> handshake -> limits relieve output -> frames -> input
 *         -> conn, socket
 */
#ifndef CMDI_CONN_PARTS_H
#define CMDI_CONN_PARTS_H

#include "conn/conn.h"

enum {
    CMDI_CONN_HELD_MS = 1000, // How often on_held is called.
};

/** It waits for a ServerInfo. */
static inline bool cmdi_conn_is_client(const struct cmdi_conn *conn)
{
    return conn->ops->on_server_info != NULL;
}

/* --- timer.c ---------------------------------------------------------------------------------- */

/** The timer fires at `at_ms`, or earlier. */
void cmdi_conn_timer_by(struct cmdi_conn *conn, uint64_t at_ms);
/** The timer fires when `timeout_ms` is over, or earlier. */
void cmdi_conn_timer_after(struct cmdi_conn *conn, uint64_t since_ms, uint32_t timeout_ms);
/** How long the peer may take nothing. An end has an end, whatever else has none. */
uint32_t cmdi_conn_write_timeout(const struct cmdi_conn *conn);
/** Sets the timer for the next look at what the peer has taken. */
void cmdi_conn_look_at_write(struct cmdi_conn *conn, uint64_t now_ms);
/** Something is to be sent: from now on until the peer has taken it all, that is watched. */
void cmdi_conn_begin_write(struct cmdi_conn *conn);

/* --- more.c ----------------------------------------------------------------------------------- */

/** It has none: of one that was just made. */
void cmdi_conn_begin_resting(struct cmdi_conn *conn);
/** It rests, if it is idle and has been for long enough; else the timer comes back. */
void cmdi_conn_look_for_rest(struct cmdi_conn *conn, uint64_t now_ms);

/* --- memory.c --------------------------------------------------------------------------------- */

/** Bytes that the connection holds of the shard's memory. */
size_t cmdi_conn_held(const struct cmdi_conn *conn);
/**
 * A lease of `size` bytes was refused: it waits until there is memory. Returns: -ENOBUFS: it waits;
 * -ENOMEM: there is none, or never as much, and it does not wait.
 */
int cmdi_conn_lack(struct cmdi_conn *conn, size_t size, bool input);
/** It waits no more. */
void cmdi_conn_lack_over(struct cmdi_conn *conn);
/** One that was closed for what it held has closed; its calls may keep some of it for a while. */
void cmdi_conn_evicted_closed(struct cmdi_conn *conn);

static inline void cmdi_conn_return(struct cmdi_conn *conn, struct cmdi_conn_buffer *buffer)
{
    cmdi_buffers_return(&conn->shard->buffers, buffer->data, buffer->capacity);
    *buffer = (struct cmdi_conn_buffer){0};
}

/* --- stash.c ---------------------------------------------------------------------------------- */

/**
 * Room for `size` more in one of the connection's buffers of input. It grows by what has come, never
 * by what a length claims. Returns: false without memory.
 */
bool cmdi_conn_stash_room(struct cmdi_conn *conn, struct cmdi_conn_buffer *stash, size_t size);
/** Copies received bytes behind the others. Returns: false without memory. */
bool cmdi_conn_stash_append(struct cmdi_conn *conn, const void *data, size_t size);
/**
 * Up to `size` bytes of the oldest slice go to the stash. Returns: 0; as cmdi_conn_lack(), and it
 * is as before.
 */
int cmdi_conn_stash_slice(struct cmdi_conn *conn, size_t size);
/** The same with all slices, as far as there is memory. */
int cmdi_conn_stash_all(struct cmdi_conn *conn);
/** The stash is empty: gives it back. */
void cmdi_conn_drop_stash(struct cmdi_conn *conn);
/** Of a security layer: what was received and not opened, beside the slices. */
void cmdi_conn_drop_raw(struct cmdi_conn *conn);
/** Gives all received bytes back, as nobody will read them; inside a run: when it ends. */
void cmdi_conn_drop_slices(struct cmdi_conn *conn);
/** The next looks at the frame that is cut continue where the last one ended. Returns: false
 * without memory. */
bool cmdi_conn_open_place(struct cmdi_conn *conn);
/** No frame is cut any more. */
void cmdi_conn_drop_place(struct cmdi_conn *conn);

/* --- recv.c ----------------------------------------------------------------------------------- */

/** A receive is armed. */
static inline bool cmdi_conn_is_receiving(const struct cmdi_conn *conn)
{
    return conn->input == CMDI_INPUT_RECEIVING || conn->input == CMDI_INPUT_STOPPING;
}
/** By cmdi_conn_stop_input(). */
static inline bool cmdi_conn_input_is_stopped(const struct cmdi_conn *conn)
{
    return conn->input == CMDI_INPUT_STOPPING || conn->input == CMDI_INPUT_STOPPED;
}
/** We read nothing of what the peer sends, for a reason of our own that may last. */
static inline bool cmdi_conn_is_held(const struct cmdi_conn *conn)
{
    return conn->state == CMDI_CONN_OPEN &&
           (conn->paused || (cmdi_conn_input_is_stopped(conn) && !cmdi_conn_peer_has_ended(conn)));
}
/** Nothing was received for so long that a buffer more is due, for the peer to see that we live. */
bool cmdi_conn_is_long_deaf(const struct cmdi_conn *conn);
/** Asserts that the move is legal. */
void cmdi_conn_input_move(struct cmdi_conn *conn, enum cmdi_input_state next);
/** Arms the receive, if the input's state and the connection's let it. */
void cmdi_conn_arm_recv(struct cmdi_conn *conn, bool expects_quiet);
/** Ends the armed receive, if one is. */
void cmdi_conn_stop_recv(struct cmdi_conn *conn);
/** What the peer sends would not be seen: its silence is ours. */
bool cmdi_conn_is_deaf(const struct cmdi_conn *conn);
/**
 * Nothing is received for now, or any more, but whoever goes has to be noticed. After a FIN the
 * same FIN would be noticed for ever.
 */
void cmdi_conn_watch_peer(struct cmdi_conn *conn);
/** The peer sends no more. From here on the calls that it waits for have their time. */
void cmdi_conn_peer_finished(struct cmdi_conn *conn);

/* --- life.c ----------------------------------------------------------------------------------- */

/** Asserts that the move is legal. */
void cmdi_conn_move(struct cmdi_conn *conn, enum cmdi_conn_state next);
/** CONNECTING or SECURING is over: to what comes next. */
void cmdi_conn_opened(struct cmdi_conn *conn);
/**
 * The security layer has failed. An alert that says why leaves first: a server closes in order, so
 * that unread input does not reset it away; a client gives it to the kernel.
 */
void cmdi_conn_fail_secured(struct cmdi_conn *conn, const struct cmds_error *error);
/** To CLOSING. The error is set, or the end is in order. */
void cmdi_conn_abort(struct cmdi_conn *conn);
/** CLOSING, and nothing of the transport is left: the last step, after which it may be freed. */
void cmdi_conn_close_if_done(struct cmdi_conn *conn);
/** FINISHING, and everything has left: our FIN. */
void cmdi_conn_linger_if_sent(struct cmdi_conn *conn);
/** Counts the end of a connection that the peer, or the way to it, has broken off. */
void cmdi_conn_count_reset(struct cmdi_conn *conn, int code);

/* --- frames.c --------------------------------------------------------------------------------- */

/** A run of a connection: what it may still do, and what has come of it. */
struct cmdi_conn_run {
    uint32_t frames; // Left of the present piece: between two looks at the clock.
    uint32_t piece;  // Frames that it had.
    uint32_t more;   // Left of the budget behind it.
    uint32_t alike;  // Of a stream: those that are not counted in `frames` yet.
    size_t bytes;    // Left of the budget.
    bool partial;    // What is there is not a whole frame, and nothing more has come.
    bool progress;   // A frame was run.
};

/** As many frames as there are, and as the budget allows. Returns: bytes used. */
size_t cmdi_conn_run_bytes(
        struct cmdi_conn *conn, const uint8_t *data, size_t size, struct cmdi_conn_run *run);

/* --- What conn.c puts into the connection ----------------------------------------------------- */

/** limits.c: the timer has fired. */
void cmdi_conn_on_timer(struct cmdi_timer *timer, uint64_t now_ms);
/** relieve.c: shard->relieve. */
void cmdi_conn_relieve(struct cmdi_shard *shard);
/** output.c: the end of the turn. */
void cmdi_conn_run_flush(struct cmdi_shard *shard, struct cmdi_work *work);
/** input.c: frames within the budget, then the owner's own work. */
void cmdi_conn_run(struct cmdi_shard *shard, struct cmdi_work *work);
/** input.c: there are receive buffers again. */
void cmdi_conn_on_buffers(struct cmdi_shard *shard, struct cmdi_work *work);

#endif

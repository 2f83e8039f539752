/* SPDX-License-Identifier: MIT */
/*
 * The other end of a connection, byte by byte: a client that can say anything to a server, and a
 * server in a thread that can say anything to a client.
 *
 * It knows the wire by itself (its own varints, its own frames), so that it does not share a
 * mistake with what it tests. Every wait is for an event and has a guard of RAW_GUARD_MS, which
 * only a hang reaches. One thread uses one struct raw.
 */
#ifndef CMDI_TESTS_SUPPORT_RAW_H
#define CMDI_TESTS_SUPPORT_RAW_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmdstream/cmdstream.h>

enum {
    RAW_GUARD_MS = 100000,
    RAW_FRAME_HEADER_MAX = 30,
};

struct raw {
    int fd;                    // -1: not connected.
    struct cmds_runtime *turn; // An inline runtime that waits turn; NULL: they just wait.
    bool eof;                  // The peer's FIN has come...
    bool reset;                // ... or its RST.
    uint8_t *data;             // Received and not read: at begin..end.
    size_t begin, end, capacity;
};

struct raw_frame {
    uint64_t sequence, type; // Sequence 0: a pong; nothing else is valid.
    const uint8_t *body;     // Until the next read.
    size_t body_size;
};

enum raw_event {
    RAW_FRAME, // There is one.
    RAW_EOF,   // The peer has finished, and nothing was left.
    RAW_RESET, // The peer has reset the connection.
    RAW_HANG,  // Nothing within the guard.
};

/** Milliseconds of CLOCK_MONOTONIC. */
uint64_t raw_now_ms(void);
/**
 * Waits for about a millisecond; an inline runtime turns meanwhile. For loops that look for a
 * condition.
 */
void raw_pause(struct cmds_runtime *turn);

/* --- Connecting ------------------------------------------------------------------------------- */

/**
 * "unix:@..." of this process alone: two builds may be tested beside each other. Owner: the function's, until
 * it is called again.
 */
const char *raw_unix_address(const char *name);

/**
 * "127.0.0.1:1", "[::1]:1", "unix:/path", "unix:@name". `receive_size`: SO_RCVBUF, 0: the kernel's.
 * Returns: 0, -errno.
 */
int raw_open(struct raw *raw, const char *address, int receive_size, struct cmds_runtime *turn);
/** Takes a connected descriptor. */
void raw_init(struct raw *raw, int fd);
/** Closes and frees; safe on a closed one. */
void raw_close(struct raw *raw);
/** Closes with a RST. */
void raw_abort(struct raw *raw);
/** FIN. */
void raw_finish(struct raw *raw);

/* --- Bytes ------------------------------------------------------------------------------------ */

/** All of it. Returns: false if the peer has gone, or takes nothing within the guard. */
bool raw_write(struct raw *raw, const void *data, size_t size);
/** As much as the peer takes without a wait. Returns: how much; negative if it has gone. */
int64_t raw_write_some(struct raw *raw, const void *data, size_t size);
/** "00 2a ff": pairs of digits, blanks between them or not. */
bool raw_write_hex(struct raw *raw, const char *hex);
/** Waits until so many bytes are there. */
bool raw_fill(struct raw *raw, size_t size);
/** The next bytes are these. */
bool raw_expect_hex(struct raw *raw, const char *hex);
/** Reads whatever comes until the end. Returns: RAW_EOF, RAW_RESET, RAW_HANG. */
enum raw_event raw_drain(struct raw *raw);
/** Returns: the number of bytes, of at most `size`. */
size_t raw_hex(const char *hex, uint8_t *out, size_t size);

/* --- Frames ----------------------------------------------------------------------------------- */

size_t raw_varint(uint8_t *out, uint64_t value);
/** The default ServerInfo. */
bool raw_server_info(struct raw *raw);
/** A whole frame. Returns: its size. */
size_t raw_frame_encode(
        uint8_t *out, uint64_t sequence, uint64_t type, const void *body, size_t body_size);
/** One command or result, by the default codec. */
bool raw_send(struct raw *raw, uint64_t sequence, struct cmds_message message);
/** The next frame, waited for. */
enum raw_event raw_read(struct raw *raw, struct raw_frame *frame);
/** The next frame, if it is there already. Returns: RAW_HANG if it is not. */
enum raw_event raw_try(struct raw *raw, struct raw_frame *frame);
/** Decodes its body; free(). NULL: it is of another type or cannot be decoded. */
void *raw_value(const struct raw_frame *frame, const struct cmds_type *type);

/* --- A server in a thread --------------------------------------------------------------------- */

struct raw_server;
/** One connection, on the server's thread; it is closed when this returns. */
typedef void (*raw_serve_fn)(struct raw_server *server, struct raw *peer, void *context);

struct raw_server {
    int fd;
    char address[64];
    pthread_t thread;
    raw_serve_fn serve;
    void *context;
    _Atomic uint32_t accepted;
    _Atomic bool stopping; // `serve` looks at it when it waits for something of its own.
};

/** Listens on a port of 127.0.0.1; one connection after the other. Returns: 0, -errno. */
int raw_server_start(struct raw_server *server, raw_serve_fn serve, void *context);
/** Accepts no more, and waits for `serve`. */
void raw_server_stop(struct raw_server *server);

#endif

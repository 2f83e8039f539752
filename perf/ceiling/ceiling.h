/* SPDX-License-Identifier: MIT */
/* The parts of the plain echo that main.c describes. Whatever fails ends the program. */
#ifndef CMDI_PERF_CEILING_H
#define CMDI_PERF_CEILING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

enum {
    SIZE_MIN = 2, // A first and a last byte.
    SIZE_MAX_ = 64 * 1024,
    SIZE_RANDOM = 0,
    CONNS_MAX = 20000,
    IN_FLIGHT_MAX = 65536,
    // Of latencies: each power of two is cut into 128 buckets.
    HISTOGRAM_BITS = 7,
    HISTOGRAM_BUCKETS = (64 - HISTOGRAM_BITS + 1) << HISTOGRAM_BITS,
};

struct options {
    bool server_only, json, spin;
    bool check;            // Every byte of an answer is compared; else the first and the last one.
    const char *client_of; // "address:port"; NULL: our own server.
    const char *listen;
    uint32_t size, stream, conns, in_flight;
    uint32_t buffer_count, buffer_size;
    uint32_t server_cpu, client_cpu;
    double duration, warmup;
};

/* A command that waits for its answer. Answers come in order, so a connection's are a queue. */
struct pending {
    uint64_t sent_ns;
    uint32_t size;   // Of each block to come.
    uint32_t blocks; // Still to come.
    uint8_t first, last;
};

struct conn {
    int fd;
    uint32_t index;
    bool sending, dirty;
    struct conn *next_dirty;
    uint8_t *fill, *flight; // What is appended to, and what the kernel sends.
    size_t fill_size, fill_room, flight_room, flight_size, flight_sent;
    uint8_t *stash; // The beginning of a block whose end has not come.
    size_t stash_size;
    uint64_t stream_left; // Server: blocks that were asked for and not yet appended.
    uint32_t stream_size, stream_index;
    struct pending *pending;              // Client: a queue of in_flight entries...
    uint32_t pending_head, pending_count; // ...its first one and how many there are.
};

/* One of the two sides: a thread that asks the kernel in one way. */
struct side {
    const struct options *options;
    bool is_server;
    struct way *way;
    int listener;
    struct conn **conns;
    uint32_t conn_count, open_count;
    struct conn *dirty;
    uint8_t *source; // What blocks are made of.
    uint64_t now_ns;
    /* Client. */
    bool draining;
    uint64_t random, in_flight, sequence;
    uint64_t commands, results, bytes, errors;
    uint64_t *histogram;
    uint64_t max_ns;
};

/* main.c */
_Noreturn void die(const char *what, int error);
/* Zeroed. */
void *allocate(size_t size);
/* 0 if that clock is gone. */
uint64_t clock_ns(clockid_t id);

/* options.c: ends the program if they are wrong, or after --help. */
struct options parse_options(int argc, char **argv);

/* blocks.c */
void side_init(struct side *side, const struct options *options, bool is_server);
/* A connection with all that it may have in flight. */
void side_add(struct side *side, int fd);
/* Of a connection: the socket is closed with the process; they do not come and go here. */
void side_lose(struct side *side, int error);
/* Sends one command on connection `index`. */
void side_command(struct side *side, uint32_t index);
/* Once a turn: one send for each connection that has output and none in flight. */
void side_flush(struct side *side);
/* What was received: whole blocks are answered, a cut one waits. */
void conn_input(struct side *side, struct conn *conn, const uint8_t *data, size_t size);
/* Appends as much of the streams as one send carries. */
void conn_stream(struct side *side, struct conn *conn);
/* The next side_flush() looks at it. */
void conn_mark(struct side *side, struct conn *conn);
/* What was appended is what is sent. */
void conn_take(struct conn *conn);
/* After a send that failed: the client went away in the middle; its receive says so too. */
void conn_drop(struct side *side, struct conn *conn, int result);

/* ring.c, epoll.c: a way to ask the kernel; each program is linked with one. */
struct way;
extern const char way_name[];
extern const uint32_t way_buffer_count, way_buffer_size; // By default.
void way_init(struct side *side);
/* Accepts on side->listener. */
void way_accept(struct side *side);
/* From now on it is read. */
void way_receive(struct side *side, struct conn *conn);
/* Takes the output and sends it. */
void way_send(struct side *side, struct conn *conn);
/* Waits for something, and handles all that has come. */
void way_turn(struct side *side);

#endif

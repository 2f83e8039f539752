/* SPDX-License-Identifier: MIT */
/* The parts of the plain echo that main.c describes. Whatever fails ends the program. */
#ifndef CMDI_PERF_CEILING_H
#define CMDI_PERF_CEILING_H

#include <liburing.h>
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
    const char *client_of; // "address:port"; NULL: our own server.
    const char *listen;
    uint32_t size, stream, conns, in_flight;
    uint32_t buffer_count, buffer_size;
    uint32_t server_cpu, client_cpu;
    double duration, warmup;
};

/* A command that waits for its answer. Answers come in order, so a connection's are a queue. */
struct pending;
struct conn;

/* One of the two sides: a thread with a ring. */
struct side {
    const struct options *options;
    bool is_server;
    struct io_uring ring;
    struct io_uring_buf_ring *buffer_ring;
    uint8_t *buffers;
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

/* side.c */
void side_init(struct side *side, const struct options *options, bool is_server);
/* Accepts on side->listener. */
void side_accept(struct side *side);
/* A connection with all that it may have in flight. */
void side_add(struct side *side, int fd);
/* Sends one command on connection `index`. */
void side_command(struct side *side, uint32_t index);
/* Once a turn: one send for each connection that has output and none in flight. */
void side_flush(struct side *side);
/* Submits, waits for completions, handles them all. */
void side_turn(struct side *side);

#endif

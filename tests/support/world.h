/* SPDX-License-Identifier: MIT */
/*
 * A runtime and a server for the integration tests, and the small protocol that they speak.
 *
 * Set options between world_init() and world_start(). `run` and `pool` do what the test says:
 * world->exec. On an inline runtime the test's own thread is the shard; world_connect() and
 * WORLD_UNTIL() turn it while they wait.
 */
#ifndef CMDI_TESTS_SUPPORT_WORLD_H
#define CMDI_TESTS_SUPPORT_WORLD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmdstream/cmdstream.h>

#include "support/harness.h"
#include "support/raw.h"

/* --- The protocol ----------------------------------------------------------------------------- */

struct echo {
    bool boolean;
    int64_t int64;
    struct cmds_string string;
    double float64;
};
struct run {
    int64_t what, number;
    struct cmds_string text;
};
struct pool {
    int64_t what, number;
    struct cmds_string text;
};
struct echoed {
    bool boolean;
    int64_t int64;
    struct cmds_string string;
    double float64;
};
struct item {
    int64_t index;
    bool last;
    struct cmds_string data;
};
struct note {
    int64_t number;
};
CMDS_COMMAND_IDEMPOTENT(echo, 0, CMDS_AS(boolean, "bool"), int64, string, float64);
CMDS_COMMAND_IDEMPOTENT(run, 1, what, number, text);
CMDS_COMMAND(pool, 2, what, number, text);
CMDS_RESULT(echoed, 0, CMDS_AS(boolean, "bool"), int64, string, float64);
CMDS_RESULT(item, 1, index, CMDS_LAST(last), data);
CMDS_RESULT_NEVER_LAST(note, 2, number);

extern const struct cmds_protocol world_protocol;

/** The echo of the wire's document: {true, -5, "hi", 1.5} as command `seq` 1, and as its result. */
#define WORLD_ECHO_HEX "01000f94c3fba26869cb3ff8000000000000"

/* --- The world -------------------------------------------------------------------------------- */

enum {
    WORLD_LOG_LINES = 64,
    WORLD_LOG_SIZE = 300,
};

struct world_stats {
#define WORLD_X_(kind, name, meaning) uint64_t name;
    CMDS_RUNTIME_COUNTERS(WORLD_X_)
    CMDS_SERVER_COUNTERS(WORLD_X_)
#undef WORLD_X_
};

struct world {
    struct cmds_runtime_options runtime_options;
    struct cmds_server_options options;
    struct cmds_runtime *runtime;
    struct cmds_server *server;
    struct cmds_error error;
    char address[128];

    int (*exec)(struct cmds_call *call, const struct run *run); // Of `run`; of `pool` on a worker.
    void *context;                                              // The test's own.

    _Atomic uint64_t executed; // Commands of any kind.
    _Atomic uint64_t returned; // Of those; who reads it sees what their exec functions wrote.
    _Atomic uint32_t connected, disconnected;
    _Atomic int32_t cause; // Of the last disconnect.

    pthread_mutex_t log_lock;
    _Atomic uint32_t log_count;
    char log[WORLD_LOG_LINES][WORLD_LOG_SIZE];
};

/** Two shards, an address on port 0. */
void world_init(struct world *world);
/** Runtime and server. Returns: 0, or why in world->error. */
int world_start(struct world *world);
/** The server alone, at once: its address stays known, and nobody listens there. */
void world_end_server(struct world *world);
/** A server where the last one was. Returns: 0, or why in world->error. */
int world_serve_again(struct world *world);
/** Server, then runtime. Safe when one or both are gone. */
void world_stop(struct world *world);
/** NULL unless the runtime is inline: who waits must turn it. */
struct cmds_runtime *world_turn(const struct world *world);
/** Connects and reads the ServerInfo. */
bool world_connect(struct world *world, struct raw *raw);
/** The answer of `echo` comes: the server lives, and takes part. */
bool world_echoes(struct raw *raw, uint64_t sequence);
/** Of runtime and server; without a server zeros for its part. */
struct world_stats world_stats(const struct world *world);
/** How many log lines contain `words`. */
uint32_t world_logged(struct world *world, const char *words);
/** An item without data. */
int world_send_item(struct cmds_call *call, int64_t index, bool last);
/** The index of the item that the next frame is, INT64_MIN if it is none; its sequence and last. */
int64_t world_read_item(struct raw *raw, uint64_t *sequence, bool *last);

/**
 * Raises the limit of open files as far as it goes. Returns: how many connections fit, of which both ends
 * are in this process; at most `wanted`, and says so if it is less.
 */
uint32_t world_fit_connections(uint32_t wanted);

/** Waits for `condition`; a hang fails the test. */
#define WORLD_UNTIL(world, condition)                                                              \
    do {                                                                                           \
        uint64_t until_ms_ = raw_now_ms() + RAW_GUARD_MS;                                          \
        while (!(condition) && raw_now_ms() < until_ms_) {                                         \
            raw_pause(world_turn(world));                                                          \
        }                                                                                          \
        CU_ASSERT_FATAL(condition);                                                                \
    } while (0)

/** What asks every shard succeeds; again, where the machine had no time for one of them. */
#define WORLD_ASKED(question)                                                                      \
    do {                                                                                           \
        uint64_t until_ms_ = raw_now_ms() + RAW_GUARD_MS;                                          \
        int code_ = CMDS_E_TIMEOUT;                                                                \
        while (code_ == CMDS_E_TIMEOUT && raw_now_ms() < until_ms_) {                              \
            code_ = (question);                                                                    \
        }                                                                                          \
        CU_ASSERT_EQUAL_FATAL(code_, 0);                                                           \
    } while (0)

#endif

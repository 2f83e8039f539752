/* SPDX-License-Identifier: MIT */
/*
 * A server in a simulated world, and the other ends of its connections, which a test plays byte by byte.
 *
 * A test sets options and what the exec functions do, and gives a script, which is the main thread of the
 * only process: hall_run(). All time is the world's, so a wait for something that must not happen is as good
 * as one for something that must.
 */
#ifndef CMDI_TESTS_SUPPORT_SIM_HALL_H
#define CMDI_TESTS_SUPPORT_SIM_HALL_H

#include <pthread.h>

#include <cmdstream/cmdstream.h>
#include <cmdstream/sim.h>

#include "support/harness.h"

enum {
    HALL_PORT = 9000,
    HALL_CALLS_MAX = 64,
    HALL_SETTLE_MS = 20, // Whatever needs no timer is over by then.
};

struct act {
    int64_t number;
};
struct work {
    int64_t number;
};
struct big {
    int64_t number;
    struct cmds_string text;
};
struct note {
    int64_t number;
    struct cmds_string text;
};
struct value {
    int64_t number;
};
struct line {
    int64_t number;
    bool last;
    struct cmds_string text;
};
CMDS_COMMAND(act, 0, number);
CMDS_COMMAND(work, 1, number);
CMDS_COMMAND(big, 2, number, text);
CMDS_COMMAND_ONE_WAY(note, 3, number, text);
CMDS_RESULT(value, 0, number);
CMDS_RESULT(line, 1, number, CMDS_LAST(last), text);

struct hall {
    struct cmds_sim_options sim_options;
    struct cmds_runtime_options runtime_options;
    struct cmds_server_options options;
    int (*act)(struct cmds_call *call, const struct act *act);
    int (*work)(struct cmds_call *call, const struct work *work); // On a thread of the pool.
    int (*big)(struct cmds_call *call, const struct big *big);
    void (*script)(struct hall *hall);
    void *context;

    struct cmds_runtime *runtime;
    struct cmds_server *server; // The script may close it, and sets it to NULL then.
    struct cmds_call *kept[HALL_CALLS_MAX];
    uint32_t kept_count;
    uint32_t acts, works, bigs, notes, cancels, connects, disconnects;
    int cause; // Of the last disconnect.
};

/** One shard, a listener on HALL_PORT, exec functions that answer with the number. */
void hall_init(struct hall *hall);
/** The options of a further server of the same kind, for another receiver. */
struct cmds_server_options hall_options(struct hall *hall);
/** Runs the script in a world of this seed; then all is closed, and nothing may be left. */
void hall_run(struct hall *hall, uint64_t seed, void (*script)(struct hall *hall));

/* --- Exec functions, and what is done with what they keep. -------------------------------------- */

int hall_answer(struct cmds_call *call, int64_t number);
int hall_act_echo(struct cmds_call *call, const struct act *act);
/** hall->kept gets the call, and on_cancel counts. */
int hall_act_keep(struct cmds_call *call, const struct act *act);
/** Answers the oldest kept call with its number, and lets go of it. Returns: as the send. */
int hall_answer_kept(struct hall *hall, int64_t number);
/** Lets go of all of them. */
void hall_forget(struct hall *hall);

struct cmds_server_counters hall_stats(const struct hall *hall);

/* --- Time --------------------------------------------------------------------------------------- */

uint64_t hall_now_ns(void);
void hall_pause_us(uint64_t us);
/** Waits for a condition, with a guard of world's time; a hang fails the test. */
#define HALL_UNTIL(condition)                                                                      \
    do {                                                                                           \
        uint64_t until_ns_ = hall_now_ns() + 10000000000u;                                         \
        while (!(condition) && hall_now_ns() < until_ns_) {                                        \
            hall_pause_us(100);                                                                    \
        }                                                                                          \
        CU_ASSERT(condition);                                                                      \
    } while (0)
/** A thread of the process. */
pthread_t hall_thread(void *(*fn)(void *context), void *context);

/* --- Peers -------------------------------------------------------------------------------------- */

struct guest {
    int fd;
    uint64_t sequence; // Of the last command.
    uint8_t *data;     // Came, and was not read.
    size_t size, capacity;
    bool ended, reset;
    bool informed; // The ServerInfo was read.
};

/** What guest_read() has found. */
struct answer {
    uint64_t sequence, type;
    int64_t number;
    bool last;
};

enum guest_event {
    GUEST_ANSWER,
    GUEST_END,     // The server has finished, and nothing was left.
    GUEST_RESET,   // The connection was reset.
    GUEST_NOTHING, // Nothing came in time.
};

/** Connects; what the server does then is not waited for. Gives: guest_close(). */
void guest_open(struct guest *guest);
/** The same. Returns: false: nobody listens, or there is no descriptor, and nothing is given. */
bool guest_try(struct guest *guest);
/** Waits for the ServerInfo. Returns: it came in time. */
bool guest_is_in(struct guest *guest, uint64_t ms);
/** guest_open() and the ServerInfo. */
void guest_enter(struct guest *guest);
/** Also with what it has not read: then the server meets a reset. */
void guest_close(struct guest *guest);
/** Sends no more; the server sees the end of it. */
void guest_finish(struct guest *guest);
/** A command of these bytes, as many as the socket takes. Returns: they were taken. */
bool guest_send(struct guest *guest, const struct cmds_type *type, int64_t number);
/** Bytes, as many as the socket takes. */
size_t guest_write(struct guest *guest, const uint8_t *data, size_t size);
/** Encodes a command. Returns: the size. */
size_t guest_encode(
        struct guest *guest, uint8_t *out, const struct cmds_type *type, int64_t number);
enum guest_event guest_read(struct guest *guest, struct answer *answer, uint64_t ms);
/** The next answer is a value with this number. */
bool guest_expects(struct guest *guest, int64_t number, uint64_t ms);

#endif

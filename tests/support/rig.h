/* SPDX-License-Identifier: MIT */
/*
 * A client without a network for the unit tests: over a transport that keeps what is sent, on a
 * stepped shard whose clock the test moves, with a group that counts what it is told. The codec is
 * `raw`. One thread.
 */
#ifndef CMDI_TESTS_SUPPORT_RIG_H
#define CMDI_TESTS_SUPPORT_RIG_H

#include "client/finish.h"
#include "client/inbox.h"
#include "client/life.h"
#include "client/room.h"
#include "client/send.h"
#include "support/harness.h"

enum {
    RIG_WINDOW = 3,
    RIG_IDLE_MS = 1000,
    RIG_INTERVAL_MS = 100,
    RIG_NEVER = -1, // Instead of a deadline.
};

struct ask {
    struct cmds_bytes data;
};
struct done {
    struct cmds_bytes data;
};
struct part {
    struct cmds_bytes data;
};
CMDS_COMMAND(ask, 0, data);
CMDS_RESULT(done, 0, data);
CMDS_RESULT_NEVER_LAST(part, 1, data);

/** What became of one command. */
struct outcome {
    struct rig *rig;
    uint32_t results, lasts;
    uint32_t place; // Of its end among those of the rig, from 1.
    int code;
    char text[128];
    bool sends_again; // Inside its last callback.
    int again_code;
};

struct rig {
    struct cmdi_shard *shard;
    struct cmdi_client_shard client_shard;
    struct cmdi_client client;
    struct cmdi_client_config config;
    struct cmdi_type_table results;
    struct cmdi_tickets tickets;
    struct cmdi_list forgotten;
    struct cmdi_endpoint_store endpoints;
    // Where it is to go if its server is a stranger; a count that it takes. NULL: nowhere.
    struct cmdi_endpoint *other;
    bool opening, receiving, sending, aborted; // The transport.
    uint64_t sent_size;                        // By the transport.
    int holds;
    uint32_t ups, downs, closeds, idles, rooms, unexpected, ends;
};

/** In state RESOLVE. Gives: rig_free(). */
struct rig *rig_open(void);
/** Gives a count. */
struct cmdi_endpoint *rig_endpoint(struct rig *rig, const char *text);
/** Its server says who it is. */
void rig_greet(struct rig *rig);
/** The same, and it is up. */
void rig_connect(struct rig *rig);
struct rig *rig_connected(void);
/** Closes it; asserts that everything that was accepted has ended, and that nothing is left. */
void rig_free(struct rig *rig);

/** Time passes; what is to be sent is sent. */
void rig_advance_ms(struct rig *rig, uint64_t ms);
/** The server sends these bytes. */
void rig_feed(struct rig *rig, const void *data, size_t size);
/** A result without data. */
void rig_answer(struct rig *rig, uint8_t sequence, const struct cmds_type *type);
/** What was in flight ends, after the connection was given up. */
void rig_end_operations(struct rig *rig);
/** Commands that have not ended. */
uint64_t rig_pending(struct rig *rig);

/** A command whose results `outcome` takes. */
struct cmdi_command outcome_command(struct outcome *outcome, int deadline_ms);
/** Sends one. Returns: as the send. */
int outcome_ask(struct outcome *outcome, int deadline_ms);
int outcome_ask_elsewhere(struct outcome *outcome);

#define EXPECT_ENDED(outcome, expected)                                                            \
    do {                                                                                           \
        CU_ASSERT_EQUAL((outcome).lasts, 1);                                                       \
        CU_ASSERT_EQUAL((outcome).code, (expected));                                               \
    } while (0)

#endif

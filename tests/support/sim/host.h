/* SPDX-License-Identifier: MIT */
/*
 * A server that a test plays byte by byte for a group of the world, beside or in place of a hall's; and a
 * group that counts what it is told.
 */
#ifndef CMDI_TESTS_SUPPORT_SIM_HOST_H
#define CMDI_TESTS_SUPPORT_SIM_HOST_H

#include "support/sim/hall.h"

enum {
    HOST_PORT = 9001,
};

/** Listens on HOST_PORT of 127.0.0.1. Gives: cmdi_fd_close(). */
int host_listen(void);
/** The same on all addresses of its host. */
int host_listen_everywhere(void);
/** The next connection, of which the test is the server. Gives: guest_close(). Returns: one came in time. */
bool host_accept(int listener, struct guest *guest, uint64_t ms);
/** A ServerInfo of these bytes. */
void host_inform(struct guest *guest, const char *info);
/** host_accept() and the default ServerInfo. */
void host_enter(int listener, struct guest *guest);
/** A value for the command of this sequence. */
void host_answer(struct guest *guest, uint64_t sequence, int64_t number);
/** The next command is this one. Returns: its sequence; 0: none came in time. */
uint64_t host_expects(struct guest *guest, int64_t number, uint64_t ms);
/** Nothing comes for a while. */
bool host_is_left_alone(struct guest *guest);

struct asker {
    struct cmds_group_options options;
    struct cmds_group *group;
    uint32_t told, ended, good, unexpected, ups, downs, closed;
    int code; // Of the last result that was an error, or of the last loss.
};

/** Of HOST_PORT, one connection, which does not come back, commands that wait for ever. */
void asker_init(struct asker *asker, struct hall *hall);
void asker_open(struct asker *asker, struct hall *hall);
/** Closes it, and waits for the end. */
void asker_close(struct asker *asker);
/** Sends an act. `deadline_ms` 0: the group's. `ticket` may be NULL. Returns: as the send. */
int ask(struct asker *asker, int64_t number, uint32_t deadline_ms, struct cmds_ticket *ticket);
/** Runs `fn` on shard 0, and waits for its return. */
void hall_on_shard(struct hall *hall, void (*fn)(void *context), void *context);
/** Holds shard 0 up for so long; returns at once, when it has begun. */
void hall_hold_up(struct hall *hall, uint32_t ms);

#endif

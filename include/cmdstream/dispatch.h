/* SPDX-License-Identifier: MIT */
/*
 * Which connection of a group takes a command. A strategy is a constant table of functions; what it
 * remembers lies in memory that the group gives it.
 *
 * A group asks about lists of connections. Each shard with connections of the group has a list of
 * its own: those connections, in the order of their numbers. All threads that are no shard of the
 * group's runtime share one more list: all connections, where index i is connection number i. A
 * shard whose own connections are all lost, or that has none, uses that list too. A list never
 * changes: an index means the same connection for as long as the group lives, and a connection that
 * is lost keeps its index. For a list of one connection the strategy is not asked.
 */
#ifndef CMDSTREAM_DISPATCH_H
#define CMDSTREAM_DISPATCH_H

#include <cmdstream/base.h>

CMDS_BEGIN_

/** A bit of cmds_candidate.flags. Ignore bits you do not know. */
enum cmds_candidate_flag {
    // It takes no command now: it is lost; or others are up and it is not, or its endpoint is out; or
    // the breaker of its endpoint lets nobody through.
    CMDS_CANDIDATE_DOWN = 1,
    CMDS_CANDIDATE_FULL = 2, // As many commands as the group allows are in flight.
};

enum {
    CMDS_WEIGHT = 1000, // cmds_candidate.weight of an endpoint for which no weight was set.
};

/** What a strategy sees of one connection. Made by the library only. */
struct cmds_candidate {
    uint32_t struct_size; // Of the library's own struct. A member beyond it is not there.
    uint32_t client;      // The connection's number in the group.
    // Commands that it has taken and that are not answered yet; 0, as ewma_us is, if the next one is a
    // trial: that of an endpoint that was out, or whose breaker is half-open.
    uint32_t in_flight;
    uint32_t flags; // enum cmds_candidate_flag

    /* What follows, older libraries do not have. */
    uint32_t endpoint; // Where it leads: cmds_endpoint_state.number; 0: not known yet.
    /**
     * How long a command takes until its first result, in microseconds: the longest of late, which
     * halves every 8 s as long as others are shorter. A command that fails counts with its deadline
     * at least. 0: no result yet.
     */
    uint32_t ewma_us;
    uint32_t weight;   // 100 times the endpoint's weight; less in the first 10 s of a new endpoint.
    uint32_t failures; // Commands and attempts to connect that failed, since the last result.
    uint64_t hash;     // Of the endpoint's address: the same in every process.
};

/**
 * Returns what there is to know of the connection `index`, modulo `count`. `source` is what pick
 * was given.
 *
 * Owner:   borrowed until it is called again, or pick returns.
 * Thread:  inside pick.
 */
typedef const struct cmds_candidate *(*cmds_candidate_fn)(const void *source, uint32_t index);

enum {
    CMDS_DISPATCH_VERSION = 1,
    CMDS_DISPATCH_STATE_MAX = 1048576, // Of state_size.
};

/** See base.h for tables of other sizes than this one. */
struct cmds_dispatch {
    uint32_t struct_size, version; // sizeof(struct cmds_dispatch), CMDS_DISPATCH_VERSION.
    const char *name;
    // Bytes of `state`: one block for each list, zeroed, aligned to 64 bytes. 0: `state` is NULL.
    uint32_t state_size;
    uint32_t unused; // 0.
    /**
     * Prepares the state of a list of `count` connections, at least 1. May be NULL.
     *
     * Thread:  the one that opens the group, before any pick.
     * Returns: 0; or a negative code, which cmds_group_open() returns: then fini is not called for
     *          this state.
     */
    int (*init)(const struct cmds_dispatch *self, void *state, uint32_t count);
    /**
     * Ends the state of a list, before on_closed of cmds_group_close() runs. May be NULL.
     *
     * Thread:  a shard, after the last pick; or the one that failed to open the group.
     */
    void (*fini)(const struct cmds_dispatch *self, void *state);
    /**
     * Picks one of the `count` connections of a list, at least 2. `candidate(source, index)` tells
     * about one of them. `key` is the sticky_key of the send, or 0. If the one picked is down or
     * full, the group tries those after it, in the order of the list. A strategy calls no function
     * of the group.
     *
     * Thread:  the list's shard; for the list of all connections, any. Never two at once with the
     *          same `state`; a strategy without state may be called by any number of threads at
     *          once.
     * Returns: an index; the group takes it modulo `count`.
     */
    uint32_t (*pick)(const struct cmds_dispatch *self, void *state, uint64_t key, uint32_t count,
            cmds_candidate_fn candidate, const void *source);
    void (*reserved[4])(void); // NULL.
};

/*
 * The strategies of the library. None of them takes a connection that is down, or full while
 * another is not, and all but the first respect the weights.
 *
 * An endpoint whose transport fails is passed over by each of them, and is down to a strategy of your
 * own: after 5 failures in a row (a connection that does not come up, or is lost with commands in
 * flight; a deadline that passes while another endpoint answers), or if, of 20 commands or more in 10 s,
 * more than a fifth fail and far more than of the others. It is out for 5 s, the next time for 10 s, at
 * most for a minute; then one command tries it. Never more than (n - 1) / 2 of n endpoints are out; if
 * none of the others is up, those that are out are used. What an application answers does not matter.
 *
 * An endpoint whose circuit breaker (endpoint_breaker of struct cmds_group_options) lets nobody through
 * is passed over, too, be it the last one. A trial that is due goes to the first command that is picked
 * for its endpoint. One that the breaker does not let through any more goes to the next connection of
 * the list that takes it.
 */

/** One after the other. The default while there is one endpoint. */
extern CMDS_API const struct cmds_dispatch cmds_dispatch_round_robin;
/**
 * The one of the least cost: latency (ewma_us) * (in_flight + 1) / weight; of equal ones each in its
 * turn, and latencies up to 1.5 times the lowest one are equal. The default while there are several endpoints. Of up
 * to 8 connections all are looked at; of more, 8 in a row, from a random one on. A connection without any
 * result gets one command first, and is taken for slow until it has answered.
 */
extern CMDS_API const struct cmds_dispatch cmds_dispatch_least;
/** The one of the lesser cost, as above, of two random ones: the same work for any number. */
extern CMDS_API const struct cmds_dispatch cmds_dispatch_p2c;
/**
 * The commands of one sticky_key go to one endpoint, and to one connection there, in every process
 * and every shard that sees the endpoint; a new endpoint takes its share of the keys from all
 * others, one that goes gives its own to all others, and no further key moves. (Rendezvous hashing,
 * by weight.) If the first choice of a key is down or full, or has more than 8 commands in flight
 * and more than 1.25 times its share of all, the command goes to the key's second choice, which is
 * as fixed as the first one; see the counter `second_choices`. Without a key: as least.
 */
extern CMDS_API const struct cmds_dispatch cmds_dispatch_sticky;

CMDS_END_

#endif

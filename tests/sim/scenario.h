/* SPDX-License-Identifier: MIT */
/*
 * What a seed draws before its world begins: who is there, with which options, what is sent, what goes
 * wrong. Plain data; the same seed is the same scenario.
 *
 * A pair of a client and a server is calm if nothing that was drawn may disturb it. What befalls others
 * is no excuse for what happens between the two.
 */
#ifndef CMDI_TESTS_SIM_SCENARIO_H
#define CMDI_TESTS_SIM_SCENARIO_H

#include <cmdstream/cmdstream.h>
#include <cmdstream/sim.h>

enum {
    SCENARIO_SERVERS_MAX = 4,
    SCENARIO_CLIENTS_MAX = 5,
    SCENARIO_CONNECTIONS_MAX = 16,
};
#define SCENARIO_NONE UINT32_MAX

/** What chaos.c does to the fragile ones: bits. */
enum scenario_chaos {
    SCENARIO_KILL = 1,
    SCENARIO_POWER = 2,
    SCENARIO_STALL = 4,
    SCENARIO_BLOCK = 8,
    SCENARIO_CUT = 16,
    SCENARIO_SLOW = 32,
    SCENARIO_TERMINATE = 64,
    SCENARIO_CLOCK = 128,
    SCENARIO_NAME = 256,
    SCENARIO_CHAOS_ALL = 511,
};

enum scenario_codec {
    SCENARIO_MSGPACK,
    SCENARIO_MSGPACK_MAP,
    SCENARIO_JSON,
    SCENARIO_MUS,
    SCENARIO_PROTOBUF,
    SCENARIO_CODECS,
};

struct scenario_server {
    uint32_t number;
    char name[24], connect[32], server_info[32];
    uint32_t port;
    uint32_t host_of; // The server whose host it lives on; its own number: a host of its own.
    // The first of those that are alike: a group may have any of them as its endpoints. They have hosts of
    // their own and the same port.
    uint32_t kin;
    uint8_t codec; // enum scenario_codec
    bool masked;   // With TLS's double.
    bool fragile;  // Something may befall it.
    bool strict;   // Its limits may end a connection that did nothing wrong.
    bool is_main;  // cmds_server_main().
    bool is_inline;
    bool reuse_port, queues;
    bool is_patient; // CMDS_SLOW_READER_WAIT
    uint32_t shards, pool_threads, pool_queue_max, upstream;
    uint32_t lives_ms; // Then it ends and starts anew, in the same process. 0: never.
    uint32_t drain_ms; // 0: it is closed without a drain.
    uint32_t in_flight_max, frame_size_max, output_size_max, kept_size_max;
    uint32_t connection_count_max;
    uint32_t idle_ms, frame_ms, write_ms, exec_ms, linger_ms;
    uint64_t memory_size_max;
    uint32_t buffer_size, buffer_count_max;
    uint32_t ring_entries, spin_us;
};

struct scenario_client {
    uint32_t number, server;
    char name[24];
    bool is_inline, fragile, is_stranger; // Another ServerInfo.
    bool is_sleepy;                       // Callbacks sleep.
    bool is_tough;                        // Sends what makes a server close the connection.
    bool is_hasty;                        // Closes while commands are under way.
    bool forgets, sticky, picks;          // picks: by a strategy of its own.
    bool resends;                         // Commands that say nothing else.
    bool pauses;                          // Connections, for a while.
    bool moves;       // It has all kin of its server as endpoints, and sets others now and then.
    bool names;       // By "dns:", and the name moves.
    uint8_t dispatch; // Which of the library's: see load_group_options().
    uint32_t shards, groups, connections, threads, senders;
    uint32_t stream_size_max;   // Of senders, whose streams are read slowly. 0: they are not.
    uint32_t commands, at_once; // In all; of one shard of one group at a time.
    uint32_t think_us, size_max, count_max, delay_max_ms;
    uint32_t hows; // Bits by enum talk_how.
    uint32_t in_flight_max, frame_size_max, output_size_max;
    uint32_t deadline_ms, keepalive_ms, keepalive_interval_ms, write_ms, connect_ms;
    uint32_t reconnect_ms, reconnect_max_ms,
            reconnect_count; // reconnect_ms CMDS_NEVER: it does not.
    // Of its circuit breaker, cmds_breaker_options. breaker_window 0: it has none.
    uint32_t breaker_window, breaker_percent, breaker_open_ms, breaker_threshold, breaker_trials;
    uint64_t memory_size_max;
    uint32_t buffer_size, buffer_count_max;
    uint32_t ring_entries, spin_us;
};

struct scenario {
    uint64_t seed;
    uint32_t server_count, client_count;
    struct scenario_server servers[SCENARIO_SERVERS_MAX];
    struct scenario_client clients[SCENARIO_CLIENTS_MAX];
    uint32_t faults;             // Of the world: enum cmds_sim_fault.
    uint32_t chaos, chaos_ms;    // Named ones: enum scenario_chaos; from one to the next.
    uint32_t load_ms, settle_ms; // Nothing new is begun after the former; all has ended by the sum.
    uint32_t latency_us, bytes_per_ms, cpu_count, file_count_max;
};

/** Overrides, to make a failure smaller. SCENARIO_NONE: as drawn. */
struct scenario_limits {
    uint32_t clients, commands, load_ms, faults, chaos, hows, shards, threads, connections;
};
#define SCENARIO_LIMITS_INIT                                                                       \
    {                                                                                              \
        SCENARIO_NONE, SCENARIO_NONE, SCENARIO_NONE, SCENARIO_NONE, SCENARIO_NONE, SCENARIO_NONE,  \
                SCENARIO_NONE, SCENARIO_NONE, SCENARIO_NONE                                        \
    }

void scenario_draw(struct scenario *scenario, uint64_t seed, const struct scenario_limits *limits);
/** Its servers have an error result. */
bool scenario_answers(const struct scenario *scenario);
/** In a line of words. */
void scenario_describe(const struct scenario *scenario, char *text, size_t size);
/** All servers alike: bits by number. */
uint32_t scenario_kin(const struct scenario *scenario, uint32_t server);
/** A name may mean the host of another one. */
bool scenario_lies(const struct scenario *scenario);
/** Nothing that was drawn touches the server. */
bool scenario_server_is_calm(const struct scenario *scenario, uint32_t server);
/** Nor the client, nor what is between them. */
bool scenario_is_calm(const struct scenario *scenario, uint32_t client);
const struct cmds_codec *scenario_codec_of(enum scenario_codec codec);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * A proxy that treats connections badly: what `cmdstream chaos` and tests put between a client and a
 * server. Bytes are moved as they are; what they mean, TLS included, is nobody's business here.
 *
 *     client ---- listener | side 0  --- pipe up --->  side 1 | ---- target
 *                          |         <-- pipe down --         |
 *
 * A connection without a fault is as if there were no proxy: a FIN becomes a FIN, a reset becomes a
 * reset, and who reads slowly slows the other one down. A proxy reads no more than buffer_size bytes
 * ahead in each direction; the kernel's socket buffers come on top of it.
 *
 * Faults come from three sources, and the same seed gives the same ones:
 *
 *     always     options.always, and options.faults where neither of the next two is asked for
 *     in time    options.every_ms: from one to the next, for a connection, a target, or all
 *     by bytes   options.after_bytes: of each connection, when it has moved so many
 *
 * It lives on one shard and has no thread but for lookups of names. The functions below are for a
 * thread that is no shard's, as those of a server.
 */
#ifndef CMDI_CHAOS_CHAOS_H
#define CMDI_CHAOS_CHAOS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmdstream/base.h>

struct cmds_runtime;
struct cmdi_chaos;

/** Kind of fault, its name, and what it does. The first ones last until they heal. */
#define CMDI_CHAOS_FAULTS(X)                                                                       \
    X(DELAY, "delay", "bytes come later")                                                          \
    X(THROTTLE, "throttle", "so many bytes a second")                                              \
    X(SPLIT, "split", "bytes go in pieces")                                                        \
    X(BLACK_HOLE, "black-hole", "connections stay, and nothing moves")                             \
    X(REFUSE, "refuse", "nobody listens")                                                          \
    X(HANG, "hang", "new connections are accepted, and nothing moves on them")                     \
    X(CUT, "cut", "both ends get a FIN, wherever that is")                                         \
    X(RESET, "reset", "both ends get a reset")                                                     \
    X(HALF_OPEN, "half-open", "one end gets a reset, what the other sends goes nowhere")
enum cmdi_chaos_kind {
#define CMDI_X_(name, text, about) CMDI_CHAOS_##name,
    CMDI_CHAOS_FAULTS(CMDI_X_)
#undef CMDI_X_
    CMDI_CHAOS_KINDS,
    CMDI_CHAOS_LASTING = CMDI_CHAOS_CUT,     // Those below it last.
    CMDI_CHAOS_OF_LINKS = CMDI_CHAOS_REFUSE, // Those below it, of them, concern connections.
};
/** Whom a fault of the schedule befalls. Of refuse and hang, one connection is one target. */
enum cmdi_chaos_scope {
    CMDI_CHAOS_ONE,    // One connection.
    CMDI_CHAOS_TARGET, // All of a target, those that come while it lasts too.
    CMDI_CHAOS_ALL,
    CMDI_CHAOS_SCOPES,
};
/**
 * Directions, as bits. Half-open: UP: the target's end is reset and the client never learns; DOWN: the
 * other way round; else it is drawn.
 */
enum {
    CMDI_CHAOS_UP = 1, // From the client to the target.
    CMDI_CHAOS_DOWN = 2,
    CMDI_CHAOS_BOTH = 3,
    CMDI_CHAOS_ANY = 0, // Of options: each time drawn, up, down or both.
};

struct cmdi_chaos_range {
    uint32_t min, max; // Both are among them.
};

struct cmdi_chaos_route {
    const char *listen, *target; // Addresses, as servers and groups take them.
};

/** What has happened, for on_event. */
struct cmdi_chaos_event {
    uint64_t at_ms; // Since the start.
    enum cmdi_chaos_kind kind;
    enum cmdi_chaos_scope scope;
    bool by_bytes;       // Of one connection, when it had moved `bytes`.
    uint8_t ways;        // Bits.
    uint32_t target;     // Number of the route; of scope ALL 0.
    uint32_t count;      // Connections that it befell; of refuse and hang: targets.
    uint64_t connection; // 1, 2, 3: in the order of accepting; 0: not one.
    uint64_t bytes;
    uint32_t lasts_ms; // CMDS_NEVER: it does not heal. 0: it is no lasting one.
};

/** All zero but for routes is a proxy without a fault. */
struct cmdi_chaos_options {
    const struct cmdi_chaos_route *routes;
    uint32_t route_count; // At most CMDI_CHAOS_ROUTES_MAX.
    uint32_t always;      // Bits of DELAY, THROTTLE, SPLIT: of every connection, all the time.
    uint64_t seed;
    uint32_t faults[CMDI_CHAOS_KINDS]; // Weight of each where one is drawn; 0: never.
    struct cmdi_chaos_range delay_ms;  // Of each piece that comes, drawn; order stays.
    uint32_t throttle;                 // Bytes a second, in each direction of a connection.
    uint32_t split;                    // Bytes of a piece.
    struct cmdi_chaos_range every_ms;  // max 0: no schedule.
    struct cmdi_chaos_range after_bytes;
    bool by_bytes;                    // after_bytes counts.
    uint8_t ways;                     // CMDI_CHAOS_UP, DOWN, BOTH or ANY.
    uint8_t scopes;                   // Bits of enum cmdi_chaos_scope; 0: ONE and ALL.
    uint8_t share;                    // Percent of connections that after_bytes befalls; 0: all.
    struct cmdi_chaos_range lasts_ms; // max 0: what lasts does not heal.
    uint32_t until_ms;                // From then on all is healed and nothing comes; 0: never.
    uint32_t connection_count_max;    // Those beyond wait to be accepted. Default 10000.
    uint32_t buffer_size;             // Of a direction. Default 65536, at least 2 receive buffers.
    /* Thread: the shard. It must not wait. NULL: nobody wants to know. */
    void (*on_event)(void *context, const struct cmdi_chaos_event *event);
    void *context;
};
enum {
    CMDI_CHAOS_ROUTES_MAX = 256,
    CMDI_CHAOS_CONNECTIONS = 10000,
    CMDI_CHAOS_BUFFER_SIZE = 65536,
};

struct cmdi_chaos_counters {
    uint64_t accepted, open; // Connections of clients.
    uint64_t not_connected;  // Their target was not to be had; the client got a reset.
    uint64_t bytes_up, bytes_down;
    uint64_t scheduled;                // Faults of the schedule that have come.
    uint64_t faults[CMDI_CHAOS_KINDS]; // How often each befell a connection, or a target.
};

/** "black-hole". */
const char *cmdi_chaos_kind_name(enum cmdi_chaos_kind kind);
/** "one", "target", "all". */
const char *cmdi_chaos_scope_name(enum cmdi_chaos_scope scope);

/** The schedule of these options up to `end_ms`: `fn` is told each fault as it will come. */
void cmdi_chaos_foretell(const struct cmdi_chaos_options *options, uint64_t end_ms,
        void (*fn)(void *context, const struct cmdi_chaos_event *event), void *context);

/**
 * Listens on all routes and begins.
 *
 * Owner:   gives *chaos: cmdi_chaos_close(), before the runtime is stopped. `options` is copied; of what
 *          it points to, only `context` is needed after the return.
 * Thread:  setup.
 * Returns: 0, or why in `error`.
 */
int cmdi_chaos_start(struct cmdi_chaos **chaos, struct cmds_runtime *runtime, uint32_t shard,
        const struct cmdi_chaos_options *options, struct cmds_error *error);
/** Where the route listens; port 0 has become one. `text` has CMDI_ADDRESS_TEXT_MAX bytes. */
void cmdi_chaos_address(const struct cmdi_chaos *chaos, uint32_t route, char *text, size_t size);
void cmdi_chaos_stats(struct cmdi_chaos *chaos, struct cmdi_chaos_counters *counters);
/**
 * A fault that is asked for by name: `event`'s kind, scope, ways, target, connection (of scope ONE;
 * 0: the oldest) and lasts_ms count. on_event is not called. Returns: how many it befell.
 */
uint32_t cmdi_chaos_do(struct cmdi_chaos *chaos, const struct cmdi_chaos_event *event);
/** Ends what lasts, of all targets and connections. */
void cmdi_chaos_heal(struct cmdi_chaos *chaos);
/** Listens no more, resets every connection, frees. NULL is fine. */
void cmdi_chaos_close(struct cmdi_chaos *chaos);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Results, a group of connections, and the blocking sender over it.
 *
 * A group keeps client_count connections to one address, spread over the shards of its runtime. A
 * client is a group of one. Callbacks run on a shard, one at a time for each connection; any
 * function of this header may be called from them, except those that say they block.
 *
 * Where a pointer may be NULL its function says so; elsewhere NULL is -EINVAL, or the answer of a
 * group that has nothing.
 *
 * A group may be closed while other threads use it. Each of these threads should have a reference
 * of its own (cmds_group_ref): its calls return CMDS_E_CLOSED from then on.
 */
#ifndef CMDSTREAM_CLIENT_H
#define CMDSTREAM_CLIENT_H

#include <cmdstream/schema.h>

CMDS_BEGIN_

struct cmds_breaker;
struct cmds_breaker_info;
struct cmds_breaker_options;
struct cmds_call;
struct cmds_codec;
struct cmds_dispatch;
struct cmds_group;
struct cmds_hooks;
struct cmds_runtime;
struct cmds_sender;
struct cmds_tls;
struct cmds_trace;

/**
 * Made by the library only, so it may grow at its end. In a callback it is borrowed until the
 * callback returns.
 */
struct cmds_result {
    // 0; or why no (further) result will come: CMDS_E_TIMEOUT, CMDS_E_LOST, CMDS_E_NOT_SENT,
    // CMDS_E_CANCELLED, CMDS_E_CLOSED, CMDS_E_UNKNOWN_RESULT; -ENOMEM; of a forward CMDS_E_NOT_ALLOWED.
    int32_t error;
    bool last; // Nothing follows. Always true with an error.
    // The server has answered that the command failed: an ordinary result, `error` is 0, of the protocol's
    // error type. See cmds_result_is_error().
    bool is_error;
    uint8_t unused[2];
    const struct cmds_type *type; // NULL with an error.
    // Read it with <tag>_of(result), which checks; NULL with an error.
    const void *value;
    // The error in one sentence: what was tried, the address, what helps. "" without an error.
    const char *text;
    uint64_t sequence; // Of the command on its connection; 0 if it never got one.
    uint32_t client;   // The connection's number in its group.
    uint32_t size;     // Of the frame's body on the wire.
};
/**
 * Why <tag>_of(result) was NULL. NULL is fine. Thread: any. Returns: the result's error; CMDS_E_REMOTE
 * if it is the server's own error (result->is_error), else, and of NULL, CMDS_E_WRONG_TYPE; never 0.
 */
CMDS_API int cmds_result_cause(const struct cmds_result *result);
/**
 * Has the server answered that the command failed, with its protocol's CMDS_RESULT_ERROR? A code of this
 * library in it (CMDS_E_TIMEOUT, say) speaks of what happened over there. All may be NULL; *text lives as
 * long as the result, and is not terminated. Thread: any. Returns: true, and both are filled in; false:
 * another result, or none: they are untouched.
 */
CMDS_API bool cmds_result_is_error(
        const struct cmds_result *result, int64_t *code, struct cmds_string *text);
/** Owner: gives: cmds_result_free(). Thread: any. Returns: NULL without memory, or of NULL. */
CMDS_API struct cmds_result *cmds_result_copy(const struct cmds_result *result);
/** NULL is fine. Thread: any. */
CMDS_API void cmds_result_free(struct cmds_result *result);

typedef void (*cmds_result_fn)(void *context, const struct cmds_result *result);
typedef int (*cmds_result_each_fn)(void *context, const struct cmds_result *result);
typedef void (*cmds_forward_fn)(
        struct cmds_call *call, void *context, const struct cmds_result *result);

/* --- Group: asynchronous ---------------------------------------------------------------------- */

/**
 * What a connection of a group does. Values may be added, but none of these changes its meaning.
 */
enum cmds_connection_state {
    // For good: the group was closed; the server is another one (CMDS_E_SERVER_INFO_MISMATCH), and
    // there is and will be no other endpoint; or it was lost or never came up, and is not tried again.
    CMDS_CONNECTION_DOWN = 0,
    CMDS_CONNECTION_UP = 1,         // It takes commands and sends them.
    CMDS_CONNECTION_WAITING = 2,    // It was lost or did not come up, and will be tried again.
    CMDS_CONNECTION_CONNECTING = 3, // It is being opened.
};

/**
 * Start from CMDS_GROUP_OPTIONS_INIT. A field left at zero takes the default beside it. Times in
 * ms, CMDS_NEVER: no limit.
 */
struct cmds_group_options {
    uint32_t struct_size; // CMDS_GROUP_OPTIONS_INIT sets it and `protocol`.
    // Connections, at most 65536. They are shared out among the endpoints, so with fewer connections
    // than endpoints some have none. Default: of one address 1; of a list or of "dns:" 4 for each
    // shard, or as many as are listed if that is more, but at most 16 for each shard. A shard without
    // one sends through those of others: give as many as there are shards, or more.
    uint32_t client_count;
    const struct cmds_protocol *protocol;
    // "127.0.0.1:9000", "[::1]:9000", "host.name:9000", "unix:/run/x", "unix:@abstract", or several
    // with commas between them, each of which is an endpoint. A name is one endpoint: the first 8 of
    // its addresses are tried, one after the other. Of "dns:host.name:9000" each address is one, as
    // they come and go; see cmds_group_set_endpoints(). At most 4096 addresses; a comma of a path has
    // a backslash before it ("unix:/run/a\\,b").
    const char *connect;
    const struct cmds_codec *codec; // NULL: msgpack.
    // NULL: round-robin while there is one endpoint, cmds_dispatch_least while there are several.
    const struct cmds_dispatch *dispatch;
    // Commands in flight per connection, also those whose deadline has passed and that the server has
    // not answered yet. Default 1024, at most 1048576. A server stops reading at its own
    // in_flight_max, so more than that is of no use.
    uint32_t in_flight_max;
    uint32_t deadline_ms; // Of a command that names none. Default 5000.
    // From connect to the end of the ServerInfo, a TLS handshake included, over all addresses. Default
    // 5000.
    uint32_t connect_timeout_ms;
    uint32_t frame_size_max; // Body of one command or result. Default 16 MiB, at most 1 GiB.
    // Bytes that wait on one connection, those of other threads included; then sends are -ENOBUFS.
    // Below half of it a command of any legal size is taken: at most it is exceeded by one command
    // of the shard and one of another thread. Default 1 MiB, at least 4096.
    uint32_t output_size_max;
    // How long output may wait without the server taking a little of it: 500 bytes for each second of
    // this, at most 4 KiB, or all. Not while results are not read, see cmds_group_pause(). Default 10000.
    uint32_t write_timeout_ms;
    // A ping is sent as soon as the connection is up, and when no command was sent or nothing was
    // received for so long. Default 2500; CMDS_NEVER: no pings.
    uint32_t keepalive_ms;
    // Time between pings while that lasts. A connection is lost if nothing at all is received for two
    // of them after a ping has reached the server's side, or nothing of what is in its way is
    // acknowledged for so long, and nothing is received for keepalive_ms and two of them in all. Bytes
    // that were received and wait for their callback count; time in which the shard was stopped or
    // held up does not. Default 1000: a server that has vanished is found within 5 s. A server that
    // does not read, at a bound or in its drain, sends a sign of life once a second: keepalive_ms and
    // two of these should be no less than 1500.
    uint32_t keepalive_interval_ms;
    struct cmds_bytes server_info; // What the server must say. Default "default".
    void *context;                 // For the callbacks below, which run on a shard.
    /**
     * A send returned -ENOBUFS, and one like it would be taken now; or no connection is left to
     * take it. Runs on each shard for the sends that its connections refused, once for all of them,
     * and perhaps before such a send has returned.
     */
    void (*on_writable)(void *context);
    /**
     * A result that nobody waits for: its command's deadline had passed, or the command had been
     * forgotten. `result` as in a result callback.
     */
    void (*on_unexpected)(void *context, const struct cmds_result *result);
    /**
     * The state of a connection has changed. `cause` says why it is not up, in words that name the
     * address, how often it was tried and when it is tried again (CMDS_E_CLOSED: the group is being
     * closed); of CMDS_CONNECTION_UP it is zeroed. A connection begins as CONNECTING, which is not
     * told; DOWN is its last state. Later versions may report more states: write
     * `state == CMDS_CONNECTION_UP`, so that a state you do not know counts as not connected.
     *
     * Owner: borrows `cause` until it returns.
     */
    void (*on_state)(void *context, uint32_t client, enum cmds_connection_state state,
            const struct cmds_error *cause);
    // Of cmds_tls_client_new(), see tls.h; groups and senders may share it. The server has to have the
    // name in `connect`, or the server_name of its options, which a UNIX socket needs. NULL: plain.
    struct cmds_tls *tls;
    // What sees each command, in this order; see hooks.h. What they point to is copied, their
    // contexts are kept. NULL with a count of 0: none.
    const struct cmds_hooks *const *hooks;
    // Refuses commands while the server fails; see breaker.h. Groups and senders may share it. NULL:
    // none.
    struct cmds_breaker *breaker;
    uint32_t hooks_count; // At most CMDS_HOOKS_MAX.
    // A connection that is lost, or cannot be opened, is tried again after a random time: at most
    // this after the first failure, twice as much after each further one in a row, up to
    // reconnect_delay_max_ms and to twice the time that the row has lasted. A connection that was up
    // for a second, or answered a command, ends the row. Default 100; CMDS_NEVER: it is not tried
    // again.
    uint32_t reconnect_delay_ms;
    uint32_t reconnect_delay_max_ms; // Default 30000; CMDS_NEVER: no bound.
    uint32_t reconnect_count_max;    // Failures in a row after which it stays down. 0: no limit.
    uint32_t resend; // Of commands that do not say: enum cmds_resend. Default CMDS_RESEND_NEVER.
    // How often the names of "dns:" are looked up, give or take a fifth. They are as well when a
    // connection failed, or when there was no memory for what a lookup found, but no more often than
    // once a second. Default 30000, at least 1000; CMDS_NEVER: only then.
    uint32_t resolve_interval_ms;
    // Each endpoint has a circuit breaker of its own, with these options: see breaker.h. An endpoint
    // whose breaker lets nobody through is passed over, by every strategy; while that is so of all that
    // are up, and none else is coming up, sends are CMDS_E_NOT_ALLOWED. Commands count for the endpoint
    // whose connection took them. Copied, but for `context`, which is kept. `breaker` is asked first.
    // NULL: none.
    const struct cmds_breaker_options *endpoint_breaker;
    // The label "cmdstream.name" of its metrics, see telemetry.h: at most 127 printable ASCII
    // characters. Copied. Groups and senders of one name, or without one, are added up. NULL: no
    // label.
    const char *name;
};
/** Names one command of a group, for has and forget. Only valid for the group that filled it in. */
struct cmds_ticket {
    uint64_t id; // Never used twice in a group, never 0; not the sequence on the wire.
};
/** Whether a command is sent again. Forwarded ones never are. */
enum cmds_resend {
    CMDS_RESEND_DEFAULT, // As the group's option says.
    // If it ends with CMDS_E_NOT_SENT, and once if it ends with CMDS_E_LOST, but that only of a type
    // that is idempotent (see CMDS_COMMAND_IDEMPOTENT), and 10 ms later, since a server that ends
    // takes its other connections along. It waits for a connection with room, within its deadline;
    // with CMDS_NEVER for that there is no end to it as long as it has never left.
    // Those that go again have places before others: while as many of them have not ended as the
    // connections of a shard may have in flight, threads that are no shard get -ENOBUFS.
    // Not after a first result, nor while the breaker is not closed. Its bytes are kept until it has
    // ended; more than 256 are malloc'ed.
    CMDS_RESEND_ONCE,
    CMDS_RESEND_NEVER,
};
/** A command's own. NULL in a send: the group's. */
struct cmds_send_options {
    uint32_t struct_size; // CMDS_SEND_OPTIONS_INIT
    uint32_t deadline_ms; // 0: the group's; CMDS_NEVER. The server does not learn it.
    uint64_t sticky_key;  // Handed to the dispatch strategy.
    // Filled in before the first result and before the send returns 0; such a command costs a short
    // lock more. Of a one-way command id is 0, which names nothing. May be NULL.
    struct cmds_ticket *ticket;
    void *data;      // For the group's hooks: struct cmds_sent_command has it.
    uint32_t resend; // enum cmds_resend
    uint32_t unused;
    // A context that goes with the command, if the protocol lists a CMDS_TRACED type for it; such as
    // cmds_call_trace() of the call that it is for. NULL: none; then a trace may begin here, see trace.h.
    const struct cmds_trace *trace;
};
#ifdef __cplusplus
CMDS_END_
extern "C++" {
namespace cmds_detail
{
template <class Options> Options options_init(const struct cmds_protocol *protocol)
{
    Options options = sized<Options>();
    options.protocol = protocol;
    return options;
}
} // namespace cmds_detail
}
CMDS_BEGIN_
#define CMDS_GROUP_OPTIONS_INIT(protocol_)                                                         \
    cmds_detail::options_init<struct cmds_group_options>(protocol_)
#define CMDS_SEND_OPTIONS_INIT cmds_detail::sized<struct cmds_send_options>()
#else
#define CMDS_GROUP_OPTIONS_INIT(protocol_)                                                         \
    {                                                                                              \
        .struct_size = sizeof(struct cmds_group_options), .protocol = (protocol_)                  \
    }
#define CMDS_SEND_OPTIONS_INIT                                                                     \
    {                                                                                              \
        .struct_size = sizeof(struct cmds_send_options)                                            \
    }
#endif

/**
 * Starts to connect and returns, whether the server is there or not: a connection that is lost or
 * cannot be opened is tried again (see reconnect_delay_ms). Commands may be sent at once; while no
 * connection is up they wait for the first that is, within their deadline. Those that had been
 * written when a connection is lost end with CMDS_E_LOST, those that had not with CMDS_E_NOT_SENT.
 * Names are resolved on a thread of their own, and again when a connection has failed.
 *
 * Owner:   copies the options; keeps protocol, codec, dispatch, tls, breaker and contexts until the
 *          group has closed. Gives *group: cmds_group_close(), which takes that reference; without a
 *          close cmds_runtime_stop() does. *group is set before the first callback runs.
 * Thread:  any, a shard too; an inline runtime: the thread that turns it.
 * Returns: 0; CMDS_E_SCHEMA; -EINVAL, -E2BIG: an option, by name; -ENOMEM; CMDS_E_CLOSED: the
 *          runtime is stopping; what the dispatch strategy's init returned.
 */
CMDS_NODISCARD CMDS_API int cmds_group_open(struct cmds_group **group, struct cmds_runtime *runtime,
        const struct cmds_group_options *options, struct cmds_error *error);
/**
 * One more reference to the handle, to be given back by cmds_group_unref(); not to the
 * connections: a group closes as soon as somebody closes it. While it is held every function of
 * this header may be called, also after on_closed and after the runtime has stopped: sends are
 * CMDS_E_CLOSED then, no ticket is waited for, nothing is connected or pending, error still says
 * what it said. (Of an inline runtime: threads other than the one that turns it must be out of
 * these functions before the runtime is stopped.)
 *
 * Without one, a thread that does not know of a close may still send and ask, and gets the same
 * answers, as long as the runtime runs and not more than 2,000 other groups have closed on it
 * since.
 *
 * Thread:  any that holds a reference, or knows that somebody does. NULL is fine.
 * Returns: `group`.
 */
CMDS_API struct cmds_group *cmds_group_ref(struct cmds_group *group);
/** Closes nothing. NULL is fine. Thread: any. */
CMDS_API void cmds_group_unref(struct cmds_group *group);

/**
 * Waits until each connection is up, or down for good. One that is tried again is waited for.
 *
 * Thread:  any but a shard (-EDEADLK); an inline runtime: the thread that turns it, and the call
 *          turns it.
 * Returns: 0: all are up; else why the first that is not failed last (CMDS_E_TIMEOUT: it has not
 *          failed yet), and `error` says how many of how many are up; CMDS_E_CLOSED: the group was
 *          closed, be it meanwhile; -EDEADLK; -EXDEV: inline, and another thread turns it.
 */
CMDS_NODISCARD CMDS_API int cmds_group_wait(
        struct cmds_group *group, uint32_t timeout_ms, struct cmds_error *error);

/**
 * Queues one command, encoded before this returns. `on_result` runs on the shard of the connection
 * that carries it, which is the caller's own as long as one of its connections is up; never inside
 * this call: once for each result, up to one with `last`. Of a one-way command (CMDS_COMMAND_ONE_WAY) it
 * never runs; such a command is never pending and has no deadline, and one that still waits for its
 * connection when that ends is dropped without a word.
 *
 * Owner:   borrows `command` and `how`, which may be NULL, as `on_result` may; keeps `context`
 *          until the result with `last`.
 * Thread:  any; on a shard with connections of the group without a lock or a wake.
 * Returns: 0; -ENOBUFS: the window or the output is full, or the shard's memory is short,
 *          on_writable will tell; CMDS_E_NOT_CONNECTED: every connection is down for good;
 *          CMDS_E_CLOSED: somebody has begun to close the group; CMDS_E_WRONG_TYPE: not a command of
 *          this protocol; CMDS_E_LIMIT: larger than frame_size_max, never taken; -EINVAL: a NULL pointer
 *          with a size; this and -E2BIG: `how` (struct_size, resend, unused); -ENOMEM: malloc has none, or all of
 *          the shard's memory_size_max would not do, so nothing will tell; CMDS_E_NOT_ALLOWED: the breaker
 *          is open, or those of all endpoints are; CMDS_E_FORKED; what a hook's before_send returned.
 */
CMDS_NODISCARD CMDS_API int cmds_group_send(struct cmds_group *group, struct cmds_message command,
        const struct cmds_send_options *how, cmds_result_fn on_result, void *context);
/**
 * Why the group would not take this command, for after a send that returned CMDS_E_WRONG_TYPE,
 * CMDS_E_LIMIT or -EINVAL: "calc_greet.name has 70000 bytes, at most 65535". Nothing is sent. A sender
 * says so by itself.
 *
 * Owner:   borrows. `error` may be NULL.
 * Thread:  any. Group: as cmds_group_send().
 * Returns: 0: by its type, its fields and its size it would be taken; those three codes, and `error` names
 *          the field and its limit; CMDS_E_CLOSED: the group is closed.
 */
CMDS_NODISCARD CMDS_API int cmds_group_check(
        struct cmds_group *group, struct cmds_message command, struct cmds_error *error);
/**
 * A send for the sake of a call: keeps the call until the last result, prefers this shard's
 * connections, waits while the window is full or no connection is up, which may then be the first of any
 * shard, for what `how` or the group says, or what is left of the call's own deadline, whichever is less,
 * and ends when the call is cancelled. The context of the call's trace goes with it, or that of `how`, see
 * trace.h.
 *
 * A call may have any number of them, to one group or to several. Each has its own `context`, and its
 * results come on the call's shard, whichever connection brought them, one at a time with all else that
 * happens to the call there: a fan-in needs no lock. Those of commands that cmds_group_send() sent come on
 * the shard of their connection, which may be another one.
 *
 * `how` has deadline, sticky key, trace and data; NULL: the group's. It has no ticket, since a forward ends
 * with its call, and is never sent again.
 *
 * Owner:   borrows `command` and `how`; keeps `context` until the result with `last`.
 * Thread:  the call's shard.
 * Returns: 0, and on_result will run on the call's shard, the last time with `last`, never inside this
 *          call; CMDS_E_GONE: the call is cancelled; CMDS_E_FINISHED: it has had its last result;
 *          CMDS_E_CLOSED, CMDS_E_NOT_CONNECTED, CMDS_E_WRONG_TYPE (also for a one-way command),
 *          CMDS_E_LIMIT, -ENOBUFS: it would have to wait, and memory_size_max has no room for that;
 *          -ENOMEM; CMDS_E_NOT_ALLOWED (one that waits for room when the breakers of all endpoints of its
 *          shard open ends with it), and what a hook's before_send returned; -EXDEV off the call's shard;
 *          -EINVAL: a pointer that may not be NULL is, or `how` has a ticket or CMDS_RESEND_ONCE.
 */
CMDS_NODISCARD CMDS_API int cmds_group_forward(struct cmds_group *group,
        struct cmds_message command, const struct cmds_send_options *how, struct cmds_call *call,
        cmds_forward_fn on_result, void *context);
/** Is the command of this ticket still waited for? Thread: any. */
CMDS_API bool cmds_group_has(struct cmds_group *group, struct cmds_ticket ticket);
/**
 * Ends the command of this ticket here; the server is not told. Its on_result runs once more, with
 * CMDS_E_CANCELLED, never inside this call. Thread: any. Returns: 0; -ENOENT: it is over; CMDS_E_FORKED.
 *
 * A stream goes on at the server, and what it sends comes here and counts as unexpected results, until it
 * ends, the server's exec_timeout_ms has passed, or the connection is closed. The same holds for a command
 * whose deadline has passed. A protocol with streams without an end has a small command to end one, by an
 * id that the subscriber chose: the example pubsub shows it.
 */
CMDS_API int cmds_group_forget(struct cmds_group *group, struct cmds_ticket ticket);
/**
 * Stops reading from connection `client` (that of cmds_result.client), until as many calls of
 * cmds_group_resume() as there were of this: for whoever gets results faster than they can be dealt
 * with. What has not been read fills the way back to the server, which then has to wait: its sends
 * are -ENOBUFS. In a result callback no further result of that connection follows.
 *
 * It stops all results of the connection. Commands are still sent on it, and their deadlines pass
 * meanwhile: what comes too late is on_unexpected's. A reset, and the end of the group, are noticed;
 * a server that vanishes without a word is not until reading goes on. A server whose slow_reader is
 * CMDS_SLOW_READER_CLOSE ends a connection that takes nothing for its write_timeout_ms; that it
 * takes something is shown by a little that is read every 2 s all the same, up to 4 MiB in all.
 *
 * The count stays when the connection is lost: whatever took its place is not read either. So each
 * pause is to be followed by one resume, also after the last result.
 *
 * Thread:  any; in a callback of the connection it takes effect at once, elsewhere soon.
 * Returns: 0; -EINVAL: there is no such connection, or, of a resume, it is not paused; CMDS_E_CLOSED;
 *          CMDS_E_FORKED.
 */
CMDS_API int cmds_group_pause(struct cmds_group *group, uint32_t client);
CMDS_API int cmds_group_resume(struct cmds_group *group, uint32_t client);
/** Its runtime; of a sender that was given none the one of its own, which the sender alone stops. Thread: any. */
CMDS_API struct cmds_runtime *cmds_group_runtime(const struct cmds_group *group);
/** How many connections are up, and how many there are. Thread: any. */
CMDS_API uint32_t cmds_group_connected(const struct cmds_group *group);
CMDS_API uint32_t cmds_group_size(const struct cmds_group *group);
/** What there is to know of one connection. Start from CMDS_CONNECTION_INFO_INIT. */
struct cmds_connection_info {
    uint32_t struct_size;    // CMDS_CONNECTION_INFO_INIT; members beyond it are not written.
    uint32_t state;          // enum cmds_connection_state
    uint32_t failed;         // How often it failed in a row: see reconnect_delay_ms.
    uint32_t retry_ms;       // WAITING: until it is tried again.
    uint32_t rtt_us;         // From the last ping that was answered to its answer; 0: none was.
    uint32_t endpoint;       // Where it goes: cmds_endpoint_state.number; 0: not known yet.
    uint64_t up_count;       // How often it has been up.
    struct cmds_error error; // Why it is not up; zeroed while it is up, or has not failed yet.
};
#ifdef __cplusplus
#define CMDS_CONNECTION_INFO_INIT cmds_detail::sized<struct cmds_connection_info>()
#else
#define CMDS_CONNECTION_INFO_INIT                                                                  \
    {                                                                                              \
        .struct_size = sizeof(struct cmds_connection_info)                                         \
    }
#endif
/**
 * Owner:   borrows `info`.
 * Thread:  any.
 * Returns: 0; -EINVAL: there is no connection of that number, or a NULL pointer; CMDS_E_CLOSED: the
 *          group has ended; CMDS_E_FORKED. Then `info` is as it was.
 */
CMDS_API int cmds_group_connection(
        struct cmds_group *group, uint32_t client, struct cmds_connection_info *info);
/* --- Group: endpoints ------------------------------------------------------------------------- */

/** One place of several to which a group connects. Start from CMDS_ENDPOINT_INIT(address). */
struct cmds_endpoint {
    uint32_t struct_size;
    uint32_t weight;     // How much of the load it is to have beside others. 1 to 100. Default 10.
    const char *address; // As one of cmds_group_options.connect; a comma of a path is as it is.
};
#ifdef __cplusplus
CMDS_END_
extern "C++" {
namespace cmds_detail
{
inline struct cmds_endpoint endpoint_init(const char *address)
{
    struct cmds_endpoint endpoint = sized<struct cmds_endpoint>();
    endpoint.address = address;
    return endpoint;
}
} // namespace cmds_detail
}
CMDS_BEGIN_
#define CMDS_ENDPOINT_INIT(address_) cmds_detail::endpoint_init(address_)
#define CMDS_ENDPOINT_STATE_INIT     cmds_detail::sized<struct cmds_endpoint_state>()
#else
#define CMDS_ENDPOINT_INIT(address_)                                                               \
    {                                                                                              \
        .struct_size = sizeof(struct cmds_endpoint), .address = (address_)                         \
    }
#define CMDS_ENDPOINT_STATE_INIT                                                                   \
    {                                                                                              \
        .struct_size = sizeof(struct cmds_endpoint_state)                                          \
    }
#endif
/**
 * Puts this list in place of the one that `connect` or an earlier call gave. Every endpoint gets as many
 * connections as any other, or one more; no more of them move than that takes. A connection that moves
 * takes no new command, ends in order when nobody waits for an answer on it, and connects to its new
 * endpoint. Those of an endpoint whose address is in both lists stay.
 *
 * cmds_group_wait() waits until all have moved. A wrong ServerInfo takes one endpoint out until the
 * list changes. If no other is left it is tried again, since the list may change once more, as that
 * of "dns:" may; with a `connect` that is neither, its connections are down for good.
 *
 * Owner:   copies.
 * Thread:  any, in callbacks too.
 * Returns: 0; -EINVAL: no endpoint, an address that is none, a weight, a UNIX socket where TLS needs a
 *          name; -E2BIG: more than 4096, or a member that this library lacks; -ENOMEM; then nothing has
 *          changed; CMDS_E_NOT_CONNECTED: every connection is down for good; CMDS_E_CLOSED: the group
 *          was closed.
 */
CMDS_NODISCARD CMDS_API int cmds_group_set_endpoints(struct cmds_group *group,
        const struct cmds_endpoint *endpoints, uint32_t count, struct cmds_error *error);

/** What there is to know of one endpoint. Start from CMDS_ENDPOINT_STATE_INIT. */
struct cmds_endpoint_state {
    uint32_t struct_size; // CMDS_ENDPOINT_STATE_INIT; members beyond it are not written.
    uint32_t number;      // Its own as long as it is in the list; never 0, never given twice.
    uint32_t weight;
    uint32_t client_count; // Connections that are to go there,
    uint32_t up_count;     // and those that are up.
    uint32_t failures;     // Connections in a row that were lost or did not come up.
    uint32_t flags;        // enum cmds_endpoint_flag
    uint32_t ejected_ms;   // How much longer it gets no command, because it fails. See dispatch.h.
    uint64_t in_flight;    // Commands without their last result.
    uint32_t ewma_us;      // The mean of its connections': see struct cmds_candidate.
    uint32_t unused;
    char address[272];       // "10.0.0.7:9000", "host.name:9000", "unix:/run/x"
    struct cmds_error error; // Why the last connection was lost or did not come up.
    // enum cmds_breaker_state of its own breaker: see endpoint_breaker. 0: it is closed, or there is none.
    uint32_t breaker_state;
    uint32_t breaker_left_ms; // How much longer that is open. CMDS_NEVER: until a reset.
};
enum cmds_endpoint_flag {
    CMDS_ENDPOINT_STRANGER = 1, // Its ServerInfo was another one: it gets no connection.
};
/** How many there are in the list; with "dns:" it grows and shrinks. In a forked child 0. Thread: any. */
CMDS_API uint32_t cmds_group_endpoint_count(struct cmds_group *group);
/**
 * The one at `index`, in the order of the list; of a name in that in which its addresses were found.
 *
 * Owner:   borrows `state`.
 * Thread:  any.
 * Returns: 0; -ENOENT: there are not so many; -EINVAL; CMDS_E_CLOSED: the group has ended; CMDS_E_FORKED.
 *          Then `state` is as it was.
 */
CMDS_API int cmds_group_endpoint(
        struct cmds_group *group, uint32_t index, struct cmds_endpoint_state *state);
/**
 * What is to be seen of the breaker of the endpoint with this number (cmds_endpoint_state.number).
 * `refused` counts those that had asked it and were sent elsewhere; as a rule nobody asks while it
 * lets none through.
 *
 * Owner:   borrows `info`, which is untouched on failure.
 * Thread:  any.
 * Returns: 0; -ENOENT: there is no such endpoint in the list, or endpoints have no breakers; -EINVAL;
 *          CMDS_E_CLOSED: the group has ended; CMDS_E_FORKED.
 */
CMDS_API int cmds_group_endpoint_breaker(
        struct cmds_group *group, uint32_t number, struct cmds_breaker_info *info);
/** As cmds_breaker_open(). Thread: any. Returns: as cmds_group_endpoint_breaker. */
CMDS_API int cmds_group_endpoint_breaker_open(struct cmds_group *group, uint32_t number);
/** As cmds_breaker_reset(). Thread: any. Returns: as cmds_group_endpoint_breaker. */
CMDS_API int cmds_group_endpoint_breaker_reset(struct cmds_group *group, uint32_t number);

/* --- Group: the rest -------------------------------------------------------------------------- */

/**
 * Commands without their last result, over all connections; one-way ones never. A command that passes
 * from the thread that sent it to its shard may count twice for that moment: 0 is always true. Thread: any.
 */
CMDS_API uint64_t cmds_group_pending(const struct cmds_group *group);
/**
 * True when no connection is up or will ever be: Go's Done. While connections are tried again it is
 * false; in a forked child it is true. Thread: any.
 */
CMDS_API bool cmds_group_done(const struct cmds_group *group);
/**
 * Why the first connection that was lost, or could not be opened, was so; it may be up again. Thread:
 * any. Returns: its code, 0 if none was; CMDS_E_FORKED; `error` (may be NULL) gets the sentence.
 */
CMDS_API int cmds_group_error(const struct cmds_group *group, struct cmds_error *error);
/**
 * Waits until no command is pending. Thread: as cmds_group_wait. Returns: 0; CMDS_E_TIMEOUT;
 * -EDEADLK, -EXDEV as there.
 */
CMDS_NODISCARD CMDS_API int cmds_group_drain(struct cmds_group *group, uint32_t timeout_ms);
/**
 * Every pending command ends with CMDS_E_CLOSED, and every later send is CMDS_E_CLOSED. A
 * connection on which nothing is pending ends in order: what was written still leaves, for up to a
 * second; one whose server does not read or does not close until then is cut off. All others are
 * cut off at once. `on_closed` (may be NULL) runs on a shard when all that is over, and is the
 * last callback of the group; its options' pointers may go then.
 *
 * The first close takes the reference that open gave. Later ones, and those of a group that ended
 * with its runtime, need one of their own to be safe (cmds_group_ref); the `on_closed` of each of
 * them runs once, in the order of the calls, or inside this call if the group has closed already
 * (or, of a later one, without memory). Legal in any callback. NULL is fine.
 *
 * Thread: any; an inline runtime: the thread that turns it.
 */
CMDS_API void cmds_group_close(
        struct cmds_group *group, void (*on_closed)(void *context), void *context);

/* --- Sender: blocking ------------------------------------------------------------------------- */

/** Start from CMDS_SENDER_OPTIONS_INIT. A field left at zero takes the default beside it. */
struct cmds_sender_options {
    uint32_t struct_size;  // CMDS_SENDER_OPTIONS_INIT sets it and `protocol`.
    uint32_t client_count; // Default: as of a group.
    const struct cmds_protocol *protocol;
    const char *connect;
    const struct cmds_codec *codec;
    struct cmds_runtime *runtime; // NULL: one of its own, with one thread and 512 receive buffers.
    // All other options of the group; NULL: their defaults. Borrowed until open returns. A member
    // above that is not 0 goes before the same one here.
    const struct cmds_group_options *group;
    uint32_t connect_timeout_ms; // Default 5000.
    // One thread uses the sender and turns its private ring itself: no hop, the lowest latency. Between
    // its calls nothing runs: no ping is sent, and a connection that ended comes back in the next call.
    // Not with `runtime`.
    bool single_thread;
    // Open does not wait for the connections, and so does not fail if servers are away: calls wait for
    // them within their timeout.
    bool connect_later;
    uint8_t unused[2];
    struct cmds_tls *tls; // As of the group. NULL: that of `group`, if it has one.
    // Of one send_multi: bytes of results that wait for `each`. With so many the stream's connection
    // stops reading, and with no more than stream_size_low it reads on; one result of any legal size
    // is always taken. Default 1 MiB, and a quarter of it.
    uint32_t stream_size_max;
    uint32_t stream_size_low;
    const char *name; // As of the group.
};
#ifdef __cplusplus
#define CMDS_SENDER_OPTIONS_INIT(protocol_)                                                        \
    cmds_detail::options_init<struct cmds_sender_options>(protocol_)
#else
#define CMDS_SENDER_OPTIONS_INIT(protocol_)                                                        \
    {                                                                                              \
        .struct_size = sizeof(struct cmds_sender_options), .protocol = (protocol_)                 \
    }
#endif

/**
 * Tries each connection once, and waits for all of these attempts; fails if none comes up, unless
 * connect_later is set. All others, and those that are lost later, are tried again, as of a group,
 * and calls wait for them within their timeout.
 *
 * Owner:   as cmds_group_open. Gives *sender: cmds_sender_close(). On failure *sender is untouched.
 * Thread:  any but a shard.
 * Returns: 0; else `error` says how many of how many connected, and why the first that did not.
 */
CMDS_NODISCARD CMDS_API int cmds_sender_open(struct cmds_sender **sender,
        const struct cmds_sender_options *options, struct cmds_error *error);
/**
 * Sends and waits for the only result. The caller sleeps. A full window is waited for within the
 * timeout. A command whose first result is not the last one, be it by its type
 * (CMDS_RESULT_NEVER_LAST) or by its value, has been executed all the same, and ends here with
 * CMDS_E_MORE_RESULTS: that result is not given, the rest is forgotten. A one-way command returns
 * when it is queued, with *result NULL.
 *
 * `timeout_ms` is the command's deadline; 0: the group's.
 *
 * Owner:   borrows `command`. Gives *result: cmds_result_free(). `result` may be NULL: not wanted.
 * Thread:  any number at once; not on a shard (-EDEADLK). single_thread: always the same one
 *          (-EXDEV).
 * Returns: 0, and <tag>_of(*result) reads it; CMDS_E_REMOTE: the server has answered with the
 *          protocol's error result, which *result is (free it as any other), and `error` has its code and
 *          text in words. No other code says so, and this one says nothing else: the command did arrive, and to
 *          send it again is a question for the code in the result. Else *result is untouched and `error`
 *          says why: CMDS_E_TIMEOUT, CMDS_E_LOST, CMDS_E_NOT_SENT, CMDS_E_CLOSED, CMDS_E_UNKNOWN_RESULT,
 *          CMDS_E_MORE_RESULTS (use send_multi), and what cmds_group_send returns.
 */
CMDS_NODISCARD CMDS_API int cmds_sender_send(struct cmds_sender *sender,
        struct cmds_message command, uint32_t timeout_ms, struct cmds_result **result,
        struct cmds_error *error);
/**
 * `each` runs on the calling thread for every good result, in order; nonzero forgets the rest and
 * is returned; of a one-way command it never runs. timeout_ms is for the whole. After either the server
 * still sends what it has, see cmds_group_forget(). An error result ends it with CMDS_E_REMOTE, and
 * `error` says its code and text; `each` does not see it.
 *
 * Results wait for `each` in memory, up to stream_size_max and one more: then their connection stops
 * reading, as by cmds_group_pause(), so that the server, too, has to wait. What else the connection
 * would bring waits meanwhile: give streams that are read slowly a sender of their own.
 *
 * Thread:  as cmds_sender_send.
 * Returns: 0 after the last result; what `each` returned; else as cmds_sender_send.
 */
CMDS_NODISCARD CMDS_API int cmds_sender_send_multi(struct cmds_sender *sender,
        struct cmds_message command, uint32_t timeout_ms, struct cmds_error *error,
        cmds_result_each_fn each, void *context);
/**
 * The same two with the options of a send: its deadline_ms is the timeout, 0 or `how` NULL: the group's. A
 * ticket lets another thread end the wait, with CMDS_E_CANCELLED; see cmds_group_forget() and
 * cmds_sender_group().
 *
 * Owner:   borrow `command` and `how` until they return; else as the two above.
 * Thread:  as cmds_sender_send.
 * Returns: as the two above; -EINVAL, -E2BIG: `how`, and `error` names the field.
 */
CMDS_NODISCARD CMDS_API int cmds_sender_send_with(struct cmds_sender *sender,
        struct cmds_message command, const struct cmds_send_options *how,
        struct cmds_result **result, struct cmds_error *error);
CMDS_NODISCARD CMDS_API int cmds_sender_send_multi_with(struct cmds_sender *sender,
        struct cmds_message command, const struct cmds_send_options *how, struct cmds_error *error,
        cmds_result_each_fn each, void *context);
/**
 * The group under it, for what the sender does not offer; owned by the sender, which closes it.
 * A thread that may use it after cmds_sender_close() has begun needs a reference of its own
 * (cmds_group_ref). Thread: any.
 */
CMDS_API struct cmds_group *cmds_sender_group(struct cmds_sender *sender);
/**
 * Waits up to timeout_ms for what is in flight, ends the rest with CMDS_E_CLOSED, frees. Then the
 * connections have what is left of timeout_ms, at most a second, to end in order; after it they are
 * cut off, whatever their servers do. Calls under way on other threads end with CMDS_E_CLOSED, and
 * are waited for, as is the runtime if it is the sender's own: only `each` and callbacks of the
 * program can hold it up longer. No call may begin after it. NULL is fine.
 *
 * Thread: as cmds_sender_send; on a shard it does nothing.
 */
CMDS_API void cmds_sender_close(struct cmds_sender *sender, uint32_t timeout_ms);

CMDS_END_

#endif

/* SPDX-License-Identifier: MIT */
/*
 * A server, its connections, and a call: one command in execution.
 *
 * A server listens on a runtime. Each accepted connection lives on one shard; every callback about
 * it, and every exec function of its commands (but those marked CMDS_EXEC_IN_POOL), runs on that
 * shard's thread. Any function of this header may be called from any callback, except those that
 * say they block.
 */
#ifndef CMDSTREAM_SERVER_H
#define CMDSTREAM_SERVER_H

#include <cmdstream/schema.h>

CMDS_BEGIN_

struct cmds_call;
struct cmds_codec;
struct cmds_connection;
struct cmds_invocation;
struct cmds_runtime;
struct cmds_server;
struct cmds_tls;
struct cmds_tls_peer;

/**
 * An exec function may return this beside 0 and an error: then it is called again when the
 * connection has room. See CMDS_EXEC.
 */
enum {
    CMDS_EXEC_AGAIN = 1
};

/**
 * A row of the exec table, made by CMDS_EXEC. The row's size is in the options (exec_stride), so
 * that a later version may add to it.
 */
struct cmds_exec {
    const struct cmds_type *type;
    cmds_any_fn exec;
    cmds_invoke_fn invoke;
    uint32_t flags, unused; // By the macros. A bit that the library does not know is refused.
};
enum {
    CMDS_EXEC_POOL_ = 1
};

CMDS_END_

/**
 * int add(struct cmds_call *call, const struct calc_add *command): CMDS_EXEC(calc_add, add). The
 * compiler checks the struct.
 *
 * `command` is borrowed until the function returns. It returns
 *     0                the last result was sent, or the call was kept and it will be; of a one-way command: done;
 *     CMDS_EXEC_AGAIN  call me again, with the same command, when the connection has room: a stream of any length in
 *                      bounded memory, other connections served in between; cmds_call_round() counts. A send that was
 *                      -ENOBUFS in this round is to be repeated in the next. If no further round comes, on_cancel runs
 *                      instead: see cmds_call_on_cancel;
 *     CMDS_E_..., -ENOBUFS, -ENOMEM
 *                      what this library's own functions give, cmds_call_send, cmds_group_forward and
 *                      cmds_result_cause among them: this call failed. It is counted, and on_exec_error may answer;
 *                      the connection stays, whatever an upstream did: errors do not amplify;
 *     other negative   the application's own error (a misused function's -EINVAL or -EXDEV among them): the call failed
 *                      as well.
 * Returning 0 with neither is CMDS_E_UNFINISHED: the call failed, too.
 * Of a call whose connection ends nobody is told: then CMDS_E_GONE, which its sends return, and no answer are
 * no failures.
 *
 * What the client learns of a call that failed and that on_exec_error has not answered depends on the
 * protocol:
 *     with a CMDS_RESULT_ERROR  the error result, as the call's last, behind what was sent before; the
 *                      connection stays, whatever the code. So end too: cmds_call_fail(), a last reference that
 *                      is let go, a full pool, no memory, exec_timeout_ms. It has room beyond
 *                      output_size_max: each call one, of 1.5 KiB or so at most. If there is no memory
 *                      even for it, the connection is closed;
 *     without one      nothing of a CMDS_E_..., -ENOBUFS, -ENOMEM: it waits until its own deadline. For
 *                      another negative the connection is closed, as in Go, and on_disconnect called; what
 *                      was answered before still leaves. A line in the log says so each time, and the remedy
 *                      is a row of the protocol, or an on_exec_error that answers.
 *
 * A one-way command (CMDS_COMMAND_ONE_WAY) may be kept, forwarded, run again and in the pool, and
 * fail, like any other. But nobody waits for it: each send is CMDS_E_GONE, and it is finished when
 * its function returns 0 or its last reference is let go.
 *
 * Thread: the connection's shard, and all connections of that shard wait until it returns.
 * CMDS_EXEC_IN_POOL: a thread of the pool, where it may block. The calls of one connection start in
 * their order, and the pool takes turns between connections; if pool_queue_max calls wait there, a
 * call may fail with -ENOBUFS before it runs (runtime.h).
 */
#ifdef __cplusplus
#define CMDS_EXEC_(tag, fn, flags)                                                                 \
    {                                                                                              \
        &tag##_type, nullptr, &cmds_detail::invoke<struct tag, fn>,                                \
                static_cast<uint32_t>(flags) * static_cast<uint32_t>(tag##_is_command), 0          \
    }
#define CMDS_EXEC(tag, fn)         CMDS_EXEC_(tag, fn, 0)
#define CMDS_EXEC_IN_POOL(tag, fn) CMDS_EXEC_(tag, fn, CMDS_EXEC_POOL_)
#else
#define CMDS_EXEC_(tag, fn, flags)                                                                 \
    {                                                                                              \
        &tag##_type,                                                                               \
                (cmds_any_fn) _Generic(&(fn), int (*)(struct cmds_call *, const struct tag *)      \
                                       : (fn)),                                                    \
                tag##_invoke, (flags), 0                                                           \
    }
#define CMDS_EXEC(tag, fn)         CMDS_EXEC_(tag, fn, 0)
#define CMDS_EXEC_IN_POOL(tag, fn) CMDS_EXEC_(tag, fn, CMDS_EXEC_POOL_)
#endif

CMDS_BEGIN_

/**
 * Middleware around every exec function: logging, tracing, access control. `return
 * cmds_invocation_next(next, call)` continues; a negative return without it refuses the command.
 * Runs once per round, on the thread of the exec function.
 */
typedef int (*cmds_invoker_fn)(
        void *receiver, struct cmds_call *call, struct cmds_invocation *next);
/** Thread: inside an invoker, at most once. Returns: what the exec function returned. */
CMDS_API int cmds_invocation_next(struct cmds_invocation *next, struct cmds_call *call);

/** What happens to a connection beyond connection_count_max. */
enum cmds_overflow {
    // It is accepted and closed at once, and counted: the peer knows where it stands.
    CMDS_OVERFLOW_REFUSE,
    CMDS_OVERFLOW_QUEUE, // It waits in the kernel's backlog until another one ends.
};

/** What happens to a connection whose peer takes too little of its results, see write_timeout_ms. */
enum cmds_slow_reader {
    CMDS_SLOW_READER_CLOSE, // It is closed, and counted.
    // It stays, however long: it holds no more than its bounds, and its calls wait. A peer whose system
    // answers nothing any more ends by the kernel's own time, a quarter of an hour or so.
    CMDS_SLOW_READER_WAIT,
};

/**
 * Start from CMDS_SERVER_OPTIONS_INIT. A field left at zero takes the default beside it. Times in
 * ms, CMDS_NEVER: no limit.
 *
 * Limits are for peers, never for our own lateness. A shard that was stopped, held up or not turned
 * first handles everything that has arrived, and then checks its limits. While a connection does
 * not read (at a bound, in a drain, without buffers), the silence of its peer counts for nothing; a
 * client that sends pings (with TLS: that has sent one before) gets a pong once a second meanwhile,
 * unasked, and so knows that the server lives.
 *
 * The end of a peer is noticed whether the connection reads or not. A reset, or the close of a UNIX
 * socket, closes the connection and cancels its calls at once; but the commands that a UNIX peer
 * left behind are run first, as if it had only finished sending, and if the connection stands at a
 * bound idle_timeout_ms ends that. A TCP peer that vanishes without a word is found by the kernel's
 * probes, see idle_timeout_ms. A peer that has only finished sending (half a close) gets the
 * results of what it sent before. Connections that end by a reset are counted in `resets` of
 * stats.h, those that end by a limit in the counter of that limit. The latter have a line in the log
 * too, but for idle ones.
 */
struct cmds_server_options {
    // CMDS_SERVER_OPTIONS_INIT sets these three, `protocol` and `execs`.
    uint32_t struct_size, exec_stride, exec_count;
    // Default 10000; `overflow` says what happens to one more.
    uint32_t connection_count_max;
    const struct cmds_protocol *protocol;
    const struct cmds_exec *execs;
    // "127.0.0.1:9000", "[::]:0", "unix:/run/x", "unix:@abstract"; up to 64 with commas. A comma of
    // a path has a backslash before it ("unix:/run/a\\,b"); a path has at most 107 bytes. Its file
    // is removed when the server stops accepting, unless another server has put its own there.
    const char *listen;
    const struct cmds_codec *codec; // NULL: msgpack.
    // The application's state. Every shard has it at once: see on_shard_start.
    void *receiver;
    const cmds_invoker_fn *invokers; // The first one is the outermost.
    uint32_t invoker_count;
    // Calls per connection. Default 1024; at the first command beyond it stops reading.
    uint32_t in_flight_max;
    // Body of one command or result. Default 16 MiB, at most 1 GiB. May be larger than
    // output_size_max and kept_size_max.
    uint32_t frame_size_max;
    // Output that may wait on one connection, results of the shard and of other threads together.
    // Default 1 MiB, at least 4096. At the bound sends are -ENOBUFS; CMDS_EXEC_AGAIN and
    // cmds_call_on_writable() wait until half of it has left. Below half of it a result of any legal
    // size is taken, so that the bound is exceeded at most by one result of the shard and one of
    // another thread.
    uint32_t output_size_max;
    // How long a connection may stay without anything received, anything sent and any call in
    // flight. Default 120000. The calls of a peer that has finished sending have the same time,
    // from the last result that left; then they are cancelled. And if a TCP peer answers no probe
    // of the kernel for about so long, but at least 4 s, it is given up (CMDS_NEVER: after the
    // system's time, two hours and more).
    uint32_t idle_timeout_ms;
    uint32_t frame_timeout_ms; // From a frame's first byte to its last. Default 10000.
    // For the ServerInfo to leave, and with `tls` for the handshake before it. Default 5000. A peer that
    // does not take it counts as a slow consumer.
    uint32_t server_info_timeout_ms;
    // How long queued output may wait without the peer taking a little of it: 500 bytes for each
    // second of this, at most 4 KiB, or all of it if it is less. A TCP peer's system acknowledges it, a
    // UNIX peer reads it. Default 10000. Then slow_reader says what happens; an orderly close ends in any
    // case, after 10 s if this is CMDS_NEVER.
    uint32_t write_timeout_ms;
    // The call's deadline: the wire carries none. When it passes, the client gets the protocol's error
    // result with CMDS_E_TIMEOUT, if there is one. Default CMDS_NEVER. Nor does a client tell that it does
    // not want a stream any more: without this a stream ends by itself, by a command of the protocol that
    // ends it (the example pubsub), or with its connection.
    uint32_t exec_timeout_ms;
    // How long an orderly close reads on, so that no last result is lost; longer while the peer's
    // system has not taken all of them, which write_timeout_ms then judges. Default 2000.
    uint32_t linger_timeout_ms;
    uint32_t backlog; // Of listen(2). Default 4096; the kernel's somaxconn caps it.
    uint8_t overflow; // enum cmds_overflow.
    // A listener per shard: the kernel spreads connections by hash, unevenly when they are few. Not
    // for UNIX sockets.
    bool reuse_port;
    uint8_t slow_reader; // enum cmds_slow_reader.
    uint8_t unused;
    struct cmds_bytes server_info; // 1..1024 bytes. Default "default".
    /** On each shard, before its first connection. Negative stops the start. */
    int (*on_shard_start)(void *receiver, uint32_t shard, void **shard_state);
    /** On each shard, after its last connection. */
    void (*on_shard_stop)(void *receiver, uint32_t shard, void *shard_state);
    /**
     * A connection was accepted; with `tls` its handshake is over, and cmds_connection_tls() says who
     * the peer is. Negative refuses it: it is closed at once.
     */
    int (*on_connect)(void *receiver, struct cmds_connection *connection);
    /**
     * Once per connection, but for those that on_connect refused; `cause` is CMDS_E_EOF when the
     * peer simply left.
     */
    void (*on_disconnect)(
            void *receiver, struct cmds_connection *connection, const struct cmds_error *cause);
    /**
     * A call failed: its exec function returned an error, cmds_call_fail() was called, it ended
     * without its last result, or there was no thread or memory to run it; but not by its deadline,
     * which may pass while it runs. May keep the call to answer later.
     * Thread: shard. Returns: 0: it sent a last result instead (of a one-way command: it has dealt
     * with it), and the connection stays; negative: as without it: the protocol's error result is
     * sent, if there is one. That happens also if it returns 0 and nobody answers until the last
     * reference has gone.
     */
    int (*on_exec_error)(void *receiver, struct cmds_call *call, const struct cmds_error *error);
    // Bytes of commands that a connection's calls keep (cmds_call_keep_command, CMDS_EXEC_AGAIN,
    // CMDS_EXEC_IN_POOL, cmds_group_forward that waits). Default 16 MiB; at the bound it stops
    // reading, as at in_flight_max, until calls end. One command may always be kept, of any size.
    uint32_t kept_size_max;
    uint32_t unused2;
    // Of cmds_tls_server_new(), see tls.h; several servers may share it. NULL: plain.
    struct cmds_tls *tls;
    // The label "cmdstream.name" of its metrics, see telemetry.h: at most 127 printable ASCII
    // characters. Copied. Servers of one name, or without one, are added up. NULL: no label.
    const char *name;
    // Whether a trace is sampled is not for its peer to say: it is as of one that begins here, see
    // trace.h. For servers whose peers are strangers.
    bool resample_traces;
    uint8_t unused3;
    uint16_t unused4;
    uint32_t unused5;
};
#ifdef __cplusplus
CMDS_END_
static inline struct cmds_server_options cmds_server_options_init_(
        const struct cmds_protocol *protocol, const struct cmds_exec *execs, uint32_t exec_count)
{
    struct cmds_server_options options = cmds_detail::sized<struct cmds_server_options>();
    options.exec_stride = sizeof(*execs);
    options.exec_count = exec_count;
    options.protocol = protocol;
    options.execs = execs;
    return options;
}
CMDS_BEGIN_
#define CMDS_SERVER_OPTIONS_INIT(protocol_, execs_)                                                \
    cmds_server_options_init_((protocol_), (execs_), CMDS_COUNT_(execs_))
#else
#define CMDS_SERVER_OPTIONS_INIT(protocol_, execs_)                                                \
    {                                                                                              \
        .struct_size = sizeof(struct cmds_server_options),                                         \
        .exec_stride = sizeof(struct cmds_exec), .exec_count = CMDS_COUNT_(execs_),                \
        .protocol = (protocol_), .execs = (execs_)                                                 \
    }
#endif

/**
 * What a program has around its server, for cmds_server_run(). Start from CMDS_MAIN_OPTIONS_INIT. A field
 * left at zero takes the default beside it. Its functions run one after the other, on the thread that
 * called cmds_server_run().
 */
struct cmds_main_options {
    uint32_t struct_size; // Set by CMDS_MAIN_OPTIONS_INIT.
    // How long calls have to end and results to leave, from the signal on; then connections are cut.
    // Default 10000; CMDS_NEVER: until they have, or a second signal comes. If an exec function or a
    // callback then holds up a shard for a second and more, the process ends with status 2 and a line
    // that names it, because no orderly end could.
    uint32_t drain_timeout_ms;
    // The runtime's, but not CMDS_SHARDS_INLINE. Copied. NULL: its defaults. If neither on_log nor
    // on_record is set, on_log is cmds_log_stderr().
    const struct cmds_runtime_options *runtime;
    void *context; // Of the functions below.
    /**
     * The runtime runs and the server does not yet: for groups of other services, timers, and what exec
     * functions need. Returns: 0; negative: the program ends with the sentence in `error` (which
     * cmds_group_open() and its like have put there), or the code's; on_stop does not run.
     */
    int (*on_start)(void *context, struct cmds_runtime *runtime, struct cmds_error *error);
    /** The server listens, and "listening on" was printed. */
    void (*on_started)(void *context, struct cmds_server *server);
    /**
     * A signal to end has come, the server still accepts: for what would hold up the drain, such as
     * subscriptions, whose last results may be sent from here. It does not take long: what systemd's
     * watchdog hears comes from this thread.
     */
    void (*on_drain)(void *context, struct cmds_server *server);
    /**
     * The server has closed, or did not start; the runtime still runs, with its timers: for what
     * on_start has made. Groups that are left are closed by the runtime's end, and on_pool_thread_stop
     * runs after this, so what pool_context leads to is not freed here.
     */
    void (*on_stop)(void *context, struct cmds_runtime *runtime);
    bool quiet; // Does not print "listening on". Why it did not start is printed all the same.
    uint8_t unused;
    uint16_t unused2;
    uint32_t unused3;
};
#ifdef __cplusplus
#define CMDS_MAIN_OPTIONS_INIT cmds_detail::sized<struct cmds_main_options>()
#else
#define CMDS_MAIN_OPTIONS_INIT                                                                     \
    {                                                                                              \
        .struct_size = sizeof(struct cmds_main_options)                                            \
    }
#endif

/**
 * For a program whose job is to serve: starts a runtime of its own, prints "listening on ADDRESS"
 * for each address, waits for SIGTERM or SIGINT, drains for up to 10 s (a second signal ends it at
 * once). With `tls`, SIGHUP until then has it read the files of that anew, see cmds_tls_reload().
 * Errors go to stderr in words. Under systemd (NOTIFY_SOCKET) it says when it is ready, reloads and
 * stops; with WatchdogSec= also that it lives, as long as each shard sleeps or turns: an exec function
 * that never returns is found. See docs/operations.md. A program that is to end by itself sends itself
 * SIGTERM: kill(getpid(), SIGTERM).
 *
 * Owner:   borrows both until it returns. `main_options` NULL: the defaults.
 * Thread:  main, before other threads.
 * Returns: what main returns: 0; 1: could not start; 2: some connections did not end in time: stderr says
 *          how many have calls that did not end, and which is the oldest, whose results were not
 *          taken, and whose peers got everything and did not close.
 */
CMDS_API int cmds_server_run(
        const struct cmds_server_options *options, const struct cmds_main_options *main_options);
/** cmds_server_run(options, NULL). */
CMDS_API int cmds_server_main(const struct cmds_server_options *options);
/**
 * Tells systemd about the service, as sd_notify(3): "READY=1", "STATUS=...", several with line ends
 * between them. For programs with a main of their own.
 *
 * Thread:  any, as long as nobody changes the environment. It waits up to a second if systemd is slow.
 * Returns: 1; 0: nobody asked, NOTIFY_SOCKET is not set; -errno.
 */
CMDS_API int cmds_notify(const char *state);

/**
 * Binds, listens, and accepts on the runtime's shards. With more than one shard there is a further
 * thread: it sleeps, and accepts for a shard that is held up by a long exec function. A new
 * connection goes to the shard with the fewest connections among those that are not held up.
 *
 * Blocks: a name is looked up, and an address in use (each address of a name in turn; a UNIX path only if
 * the process that listened there has ended) is tried for a second, as what a process listened on with
 * io_uring is released some time after it was killed.
 *
 * Owner:   copies the options; keeps tls until cmds_server_close() has returned; protocol, execs, invokers, codec and
 *          receiver until then and until the last kept call is let go of, as its thread may be in them; a command under
 *          way by cmds_group_forward() keeps its call, too. Gives *server: cmds_server_close().
 * Thread:  setup; an inline runtime: the thread that turns it.
 * Returns: 0; CMDS_E_SCHEMA: the tables contradict each other, or a command has no exec function,
 *          by name; -EINVAL, -E2BIG: an option, by name; -EADDRINUSE, -EACCES, ... of the address;
 *          CMDS_E_CLOSED: the runtime is stopping; -EDEADLK on a shard; -EXDEV: another thread
 *          turns the inline runtime.
 */
CMDS_NODISCARD CMDS_API int cmds_server_start(struct cmds_server **server,
        struct cmds_runtime *runtime, const struct cmds_server_options *options,
        struct cmds_error *error);
/**
 * The bound address as text ("127.0.0.1:40123"), with the port that 0 became. Thread: any. Returns:
 * 0; -ENOENT beyond the last; -ENOBUFS.
 */
CMDS_NODISCARD CMDS_API int cmds_server_address(
        const struct cmds_server *server, uint32_t index, char *text, size_t size);
/**
 * Drains: accepts no more, executes every command that was received, sends the results, and closes
 * each connection in order; one whose TLS handshake is not over ends at once.
 *
 * Thread:  any but a shard (-EDEADLK); an inline runtime: the thread that turns it, and the call
 *          turns it.
 * Returns: 0: all connections have ended, in order or because their peers left: nothing that was
 *          waited for is lost; CMDS_E_TIMEOUT: some have not; they live until cmds_server_close();
 *          else why the first of those that were cut off before their peers had all results was so:
 *          CMDS_E_SLOW_PEER (write_timeout_ms), CMDS_E_IDLE (a call that nobody ended),
 *          CMDS_E_MEMORY_LIMIT, -ENOMEM. All have ended then, too.
 */
CMDS_NODISCARD CMDS_API int cmds_server_shutdown(struct cmds_server *server, uint32_t timeout_ms);
/**
 * Closes all connections at once, and frees. Calls that are kept stay valid and are cancelled: until the last of
 * them is let go of, what cmds_server_start() keeps for them is kept. Waits for exec functions in the pool, so never from one. NULL is fine. Blocks. Thread: as shutdown.
 */
CMDS_API void cmds_server_close(struct cmds_server *server);
/** Open connections now. Thread: any. */
CMDS_API uint32_t cmds_server_connection_count(const struct cmds_server *server);

/* --- Call ------------------------------------------------------------------------------------- */

/**
 * Queues a result; the message is encoded before this returns.
 *
 * Owner:   borrows.
 * Thread:  any; while the exec function runs or a reference is held: of threads that may send at the same
 *          time each holds one of its own. On the call's shard without a lock or a wake.
 * Returns: 0; CMDS_E_GONE: nobody waits, or the command is one-way. On the call's shard also that there was
 *          no memory for what other threads had sent, or for a last result behind it: then the connection
 *          ends at the end of the turn, and on_cancel runs there, never inside this;
 *          CMDS_E_FINISHED: the last result was sent, or is being sent; -ENOBUFS: the output bound, or the
 *          shard's memory is short (nothing was sent; CMDS_EXEC_AGAIN runs when there is room again, and so
 *          does what cmds_call_on_writable() was given);
 *          CMDS_E_WRONG_TYPE: not a result of this protocol; CMDS_E_LIMIT: a field or the frame is
 *          too large; -EINVAL: a NULL pointer with a size;
 *          -ENOMEM.
 */
CMDS_NODISCARD CMDS_API int cmds_call_send(struct cmds_call *call, struct cmds_message result);
/**
 * Why a send did not take this result, for after CMDS_E_WRONG_TYPE, CMDS_E_LIMIT or -EINVAL:
 * "calc_line.text has 70000 bytes, at most 65535". Nothing is sent. An exec function that just returns the
 * code has this sentence in the log, and on_exec_error is told it.
 *
 * Owner:   borrows. `error` may be NULL.
 * Thread:  any that holds a reference or runs the exec function.
 * Returns: 0: by its type, its fields and its size it would be taken; those three codes, and `error` names
 *          the field and its limit.
 */
CMDS_NODISCARD CMDS_API int cmds_call_check(
        struct cmds_call *call, struct cmds_message result, struct cmds_error *error);
/**
 * As if the exec function had returned `code` (0 and above: -EINVAL); for calls that were kept. Off
 * the shard it is done soon after. Copies `text` (may be NULL), up to 251 bytes: the peer reads it, if
 * the protocol has a CMDS_RESULT_ERROR, so nothing may be in it that the peer must not learn (a path, an
 * address, a query). cmds_call_fail_as() does it with what an upstream has answered.
 *
 * Without memory off the shard it does nothing, and the call ends as CMDS_E_UNFINISHED when its last
 * reference goes. Thread: any that holds a reference.
 */
CMDS_API void cmds_call_fail(struct cmds_call *call, int code, const char *text);
/**
 * Fails a call as the command that was sent for it has failed: the natural end of a cmds_forward_fn
 * whose <tag>_of(result) was NULL. The code and text of an error result are passed on to the call's
 * peer; of all else (CMDS_E_LOST, CMDS_E_TIMEOUT, ...) the code and the library's sentence about it:
 * addresses, which result->text has, are for the log and on_exec_error alone, which gets
 * cmds_result_cause(). The connection stays. NULL: CMDS_E_WRONG_TYPE. Thread: as cmds_call_fail.
 */
CMDS_API void cmds_call_fail_as(struct cmds_call *call, const struct cmds_result *result);

/**
 * Takes a counted reference: the call outlives the exec function, its connection and its server.
 * Never fails. Thread: any that holds a reference or runs the exec function.
 */
CMDS_API struct cmds_call *cmds_call_ref(struct cmds_call *call);
/**
 * NULL is fine. If the last reference goes without a last result, the call ends with
 * CMDS_E_UNFINISHED (but never a one-way command): on_exec_error is called for that, and the client
 * gets the error result, see CMDS_EXEC; nothing but its ends, see cmds_call_on_end(), is called for the
 * call after it. Thread: any.
 */
CMDS_API void cmds_call_unref(struct cmds_call *call);
/**
 * Copies the command, so that <tag>_of(call) works until the last unref; without it, it is NULL
 * once the exec function returned.
 *
 * Thread:  inside the exec function.
 * Returns: 0; -ENOBUFS: memory_size_max (returned by an exec function it ends this call alone);
 *          -ENOMEM; -EINVAL: the function has returned.
 */
CMDS_NODISCARD CMDS_API int cmds_call_keep_command(struct cmds_call *call);

typedef void (*cmds_call_fn)(struct cmds_call *call);
/**
 * Runs `fn` on the shard after so many ms; holds a reference until `fn` has returned. A call has
 * one such timer at a time. If the call is cancelled (its connection is gone, its deadline has
 * passed) or the server closes, `fn` runs soon after that instead, but not inside the cancelling
 * function. Thread: shard. Returns: 0; -EBUSY: a timer is set; -EXDEV off the shard; CMDS_E_GONE:
 * the call is cancelled or has ended, or the server is closed.
 */
CMDS_NODISCARD CMDS_API int cmds_call_after(
        struct cmds_call *call, uint32_t delay_ms, cmds_call_fn fn);
/**
 * `fn` runs on the shard, at most once, never while the exec function runs (in the pool either:
 * there cmds_call_is_cancelled() tells it meanwhile); the call is valid in it. NULL takes it back.
 *     A kept call: when the connection is gone or the deadline passes before its last result was
 *         sent. It does not begin once the last reference was let go. But the library holds one of
 *         its own for it, so another thread may send and let go of the program's last one just
 *         before `fn` runs or while it does: what both use needs a lock or a count.
 *     After CMDS_EXEC_AGAIN: also when no further round comes for another reason: no memory, no
 *         thread, an invoker kept it from the function, the last result was sent meanwhile. Either
 *         the function is called again or `fn` runs, so that what is kept between rounds is freed.
 *         A connection that closes because another command failed runs no round any more; `fn` runs
 *         when it is closed.
 *     Any other return without a reference ends the call, and `fn` never runs.
 *
 * Thread: inside the exec function, there; inside on_exec_error, if that keeps the call: what was
 * set before is forgotten with the last reference.
 */
CMDS_API void cmds_call_on_cancel(struct cmds_call *call, cmds_call_fn fn);
/**
 * After a send that was -ENOBUFS: runs `fn` once, on the call's shard, when one of that size would be
 * taken; soon if it would be by then. Also, then soon, when the call is cancelled or the server
 * closes: its send says so. Never inside this function, nor inside one that cancels the call; beside
 * the exec function while that runs in the pool. It holds a reference until `fn` has returned, and a
 * call has one at a time.
 *     Room is for whoever sends first, so the next send may be -ENOBUFS once more: then ask again. Calls
 * of one connection are told in the order in which they asked, and in turns with CMDS_EXEC_AGAIN. An
 * exec function in the pool may wait instead: cmds_call_wait_writable(). Another thread that is to wait
 * sleeps on what `fn` wakes.
 *
 * Thread:  any that holds a reference or runs the exec function.
 * Returns: 0; -EBUSY: it is asked for already; CMDS_E_GONE: nobody waits for results of this call;
 *          CMDS_E_FINISHED; -EINVAL: NULL.
 */
CMDS_NODISCARD CMDS_API int cmds_call_on_writable(struct cmds_call *call, cmds_call_fn fn);
/**
 * For exec functions in the pool: sleeps after a send that was -ENOBUFS until one of that size would be
 * taken, at most so long. Nobody reads the clock or wakes for it meanwhile. The shard says whether there
 * is room, so a wait of 0 is over before it has answered.
 *     A thread that waits serves nobody, so clients that do not read must not get all of them: one thread
 * of the pool never waits, with pool_thread_count 1 none does. Who would be the last is refused at once,
 * with -ENOBUFS. Then, as after CMDS_E_TIMEOUT, return CMDS_EXEC_AGAIN: the function is run once more
 * when there is room, and no thread is held until then; where it stands is in the call's context. How
 * long that may be is for write_timeout_ms, slow_reader and exec_timeout_ms to say.
 *
 * Thread:  the pool's that runs the call's exec function.
 * Returns: 0: there is room, for whoever sends first; -ENOBUFS: too many wait; CMDS_E_TIMEOUT;
 *          CMDS_E_GONE: the call is cancelled, or the server closes; CMDS_E_FINISHED; CMDS_E_DRAINING:
 *          the server drains, which a call is told once: a stream without an end is to end now, one
 *          that has an end goes on, and may wait again; -EBUSY: cmds_call_on_writable() was asked;
 *          -EINVAL: NULL, or CMDS_NEVER; -EXDEV: another thread.
 */
CMDS_NODISCARD CMDS_API int cmds_call_wait_writable(struct cmds_call *call, uint32_t timeout_ms);
/** So many ends may a call have, see cmds_call_on_end(). */
enum {
    CMDS_CALL_ENDS_MAX = 8
};
/**
 * `fn` runs once, when the call has ended, and is the last that the program hears of it: the function
 * has returned, each reference was let go, and so what holds one is over (a timer, cmds_call_on_writable,
 * a forward); on_cancel and on_exec_error have run if they were to. Whatever the call gets or holds
 * may be freed in it. So it is however the call came to its end: answered in its function, run again,
 * kept, in the pool, failed, without an answer, its client dead, its server closed. A call that
 * on_exec_error keeps has not ended.
 *     Of several the last one runs first, so an invoker's runs behind its function's. Each `fn` is there
 * once: whoever asks in each round need not count. Nothing here needs memory, neither now nor at the end.
 *     In `fn` the call, its context, its connection and a command that was kept are valid; its send is
 * CMDS_E_FINISHED or CMDS_E_GONE, a timer CMDS_E_GONE (off the shard -EXDEV), cmds_call_fail() does nothing, and a reference is
 * let go in it again. cmds_call_is_cancelled() says whether somebody still waited.
 *     It runs on the call's shard, also if another thread let go of the last reference; it may run inside
 * the cmds_call_unref() of the shard that does, so whoever calls that holds no lock that `fn` takes. Only
 * a call that is kept when its server has closed has no shard any more: it ends on the thread that lets
 * go of it, inside that, be it after cmds_runtime_stop(). Then cmds_call_shard_state() is gone, and
 * receiver, protocol, execs, codec and invokers are yours to keep until then.
 *     A command that nothing of the program's has seen (refused, or not decoded) has no call.
 *
 * Thread:  any that holds a reference or runs the exec function, an invoker or a callback of the call;
 *          one at a time.
 * Returns: 0; -ENOBUFS: it has CMDS_CALL_ENDS_MAX; CMDS_E_FINISHED: in an end; -EINVAL: NULL.
 */
CMDS_NODISCARD CMDS_API int cmds_call_on_end(struct cmds_call *call, cmds_call_fn fn);
/** Thread: any. */
CMDS_API bool cmds_call_is_cancelled(const struct cmds_call *call);

/** The server's receiver. Thread: any. */
CMDS_API void *cmds_call_receiver(const struct cmds_call *call);
/**
 * What on_shard_start made for this call's shard. Thread: any; what it points to is the shard's.
 */
CMDS_API void *cmds_call_shard_state(const struct cmds_call *call);
/**
 * What on_pool_thread_start (runtime.h) made for the thread of the pool that runs this call's exec
 * function: for that function and its invokers. Thread: any. Returns: NULL anywhere else.
 */
CMDS_API void *cmds_call_pool_state(const struct cmds_call *call);
/** Yours, one per call; NULL at first. Thread: one at a time. */
CMDS_API void *cmds_call_context(const struct cmds_call *call);
CMDS_API void cmds_call_set_context(struct cmds_call *call, void *context);
/**
 * The type of its command, as the server's protocol lists it: by its number and schema->name an invoker
 * knows what it wraps. Of a command that came under the number of a CMDS_TRACED type it is the type that
 * this traces, as in the exec function. Lives as long as the protocol. Thread: any.
 */
CMDS_API const struct cmds_type *cmds_call_type(const struct cmds_call *call);
/** 0, then one more for each CMDS_EXEC_AGAIN. Thread: any. */
CMDS_API uint64_t cmds_call_round(const struct cmds_call *call);
/** The command's number on its connection (Go's Seq). Thread: any. */
CMDS_API uint64_t cmds_call_sequence(const struct cmds_call *call);
/**
 * When the shard took the command's bytes from the kernel, by cmds_now_ns(); exec_timeout_ms counts
 * from here. They may have waited here since, for their turn or while the connection was at a
 * bound; what waits copied has the time of the last bytes that were copied with it. Thread: any.
 */
CMDS_API uint64_t cmds_call_received_ns(const struct cmds_call *call);
/**
 * When the command is given up, by cmds_now_ns(); UINT64_MAX without exec_timeout_ms. Thread: any.
 */
CMDS_API uint64_t cmds_call_deadline_ns(const struct cmds_call *call);
/** Lives as long as the call. Thread: any. */
CMDS_API struct cmds_connection *cmds_call_connection(const struct cmds_call *call);

/* --- Connection ------------------------------------------------------------------------------- */

/** Never used twice in a process. Thread: any. */
CMDS_API uint64_t cmds_connection_id(const struct cmds_connection *connection);
/**
 * "10.0.0.7:41234", "unix:"; borrowed, lives as long as the connection or a call of it. Thread:
 * any.
 */
CMDS_API const char *cmds_connection_peer(const struct cmds_connection *connection);
/**
 * What the TLS handshake has shown of the peer, see tls.h: who it is, if it has a certificate. Borrowed;
 * it never changes, and lives as long as the connection or a call of it: until on_disconnect returns,
 * and for as long as a call is kept.
 *
 * Thread:  any.
 * Returns: NULL without TLS.
 */
CMDS_API const struct cmds_tls_peer *cmds_connection_tls(const struct cmds_connection *connection);
/** Yours, one per connection; NULL at first. Thread: shard. */
CMDS_API void *cmds_connection_context(const struct cmds_connection *connection);
CMDS_API void cmds_connection_set_context(struct cmds_connection *connection, void *context);
/**
 * Closes it soon after this returns, and results that have not left are lost; on_disconnect tells.
 * Thread: shard.
 */
CMDS_API void cmds_connection_close(struct cmds_connection *connection);

CMDS_END_

#endif

/* SPDX-License-Identifier: MIT */
/* Options of `bench`, whatever it measures. */
#ifndef CMDSTREAM_TOOL_BENCH_LOAD_ROWS_H
#define CMDSTREAM_TOOL_BENCH_LOAD_ROWS_H

#include "bench/bench.h"
#include "rows.h"

#define BENCH_ROWS_LOAD(type)                                                                      \
    TOOL_ROW_CODEC(type),                                                                          \
            TOOL_DOUBLE(type, "duration", "S", duration, 0, 86400,                                 \
                    "seconds that are measured, more than 0 (default 5)"),                         \
            TOOL_DOUBLE(                                                                           \
                    type, "warmup", "S", warmup, 0, 3600, "seconds before them (default 0.5)"),    \
            TOOL_U32(type, "conns", "N", conns, 1, 65536,                                          \
                    "connections (default 8; with --blocking 1)"),                                 \
            TOOL_U32(type, "in-flight", "K", in_flight, 1, TOOL_IN_FLIGHT_MAX,                     \
                    "commands in flight on each (default 128; with --rate the most, 1024)"),       \
            TOOL_DOUBLE(type, "rate", "R", rate, 0, 100000000,                                     \
                    "open loop: so many commands/s in total, 0.001 or more, however fast the "     \
                    "answers "                                                                     \
                    "come"),                                                                       \
            TOOL_U32(type, "threads", "N", threads, 1, CMDS_SHARDS_MAX,                            \
                    "client shards (default: the client's CPUs, at most --conns)"),                \
            TOOL_FLAG(type, "own-threads", own_threads,                                            \
                    "each client thread turns an inline runtime of its own; --rate always does"),  \
            TOOL_FLAG(type, "blocking", blocking,                                                  \
                    "threads that block in one sender, a command each"),                           \
            TOOL_U32(type, "callers", "C", callers, 1, 4096, "how many of them (default 16)"),     \
            TOOL_FLAG(type, "sender-single", sender_single,                                        \
                    "with --blocking: each has a single-threaded sender of its own"),              \
            TOOL_TEXT(type, "dispatch", "NAME", dispatch,                                          \
                    "sticky: each connection keeps its K (default); round-robin")

#define BENCH_ROWS_BESIDE(type)                                                                    \
    TOOL_FLAG(type, "hooks", hooks,                                                                \
            "with hooks and a circuit breaker around each command, that do nothing"),              \
            TOOL_U32(type, "light", "N", light, 1, 65536,                                          \
                    "N more connections with one command in flight each, reported apart"),         \
            TOOL_U32(type, "idle", "N", idle, 1, 65536, "N more connections that do nothing")

#define BENCH_ROWS_SERVER(type)                                                                    \
    TOOL_U32(type, "server-pid", "PID", server_pid, 1, BENCH_PID_MAX,                              \
            "with --connect: count the CPU time of this process"),                                 \
            TOOL_ROW_SERVER_INFO(type)

#define BENCH_ROWS_OUTPUT(type)                                                                    \
    TOOL_ROWS_TLS_CLIENT(type), TOOL_FLAG(type, "json", json, "print one JSON object"),            \
            TOOL_FLAG(type, "progress", progress,                                                  \
                    "a line each second on stderr (default: if that is a terminal)")

#endif

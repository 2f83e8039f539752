/* SPDX-License-Identifier: MIT */
/*
 * The proof of `cmdstream doctor`: not what should work, but what does.
 *
 * It does what `cmdstream serve` does with its default options: the limit of open files raised, a
 * runtime with as many shards, servers on loopback TCP and on a UNIX socket, and through each an
 * echo for every shard and a command in the pool of threads.
 *
 * In a child process, because what is tried may fail in ways that end a process, or never end: that
 * is a finding, too.
 */
#ifndef CMDSTREAM_TOOL_DOCTOR_TRY_H
#define CMDSTREAM_TOOL_DOCTOR_TRY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common.h"

enum {
    DOCTOR_TRY_SERVERS = 2,
    DOCTOR_TRY_TEXT_SIZE = 400,
    DOCTOR_TRY_MS = 60000,
};

struct doctor_try_server {
    bool tried; // Without a runtime there is no server.
    bool works;
    const char *kind;                // "TCP", "UNIX"
    char text[DOCTOR_TRY_TEXT_SIZE]; // What it did, or why it did not.
};

struct doctor_try {
    uint64_t file_limit; // Open files, after raising; UINT64_MAX: none.
    uint32_t shard_count;
    bool runtime_works;
    char runtime[1024]; // What the runtime says of itself, or why it did not start.
    struct doctor_try_server servers[DOCTOR_TRY_SERVERS];
};

/* The child, while it tries. */
struct doctor_child {
    pid_t pid;
    int output;
};

/** Before there are threads. Returns: 0, -errno. */
int doctor_try_start(struct doctor_child *child);
/**
 * Waits for the child: some milliseconds, and up to DOCTOR_TRY_MS where packets or completions
 * vanish.
 */
void doctor_try_finish(struct doctor_child *child, struct doctor_try *trial);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * A runtime over HTTP: metrics for whoever collects them, pages for whoever looks after it.
 *
 * The library is cmdstream_admin, beside the core, and stands on libmicrohttpd. There are two listeners,
 * both off unless they have an address:
 *
 *     metrics   GET /metrics, /healthz and /readyz, and nothing else: what may be shown to a network.
 *     admin     the pages, a UNIX socket of mode 0600 or a port of the loopback interface. `/` lists
 *               them. Each is text for a terminal, JSON (?format=json) for a program, and HTML for a
 *               browser. What changes something is a POST, and only with allow_changes; each change is a
 *               line of the runtime's log, WARN, with the reason CMDS_REASON_ADMIN.
 *
 * Each has a thread; a shard neither waits for it nor is woken by it. The pages that ask shards what they hold,
 * and wait for them within the bounds of <cmdstream/inspect.h>, have another one. Each listener has 8 connections; a peer that stalls holds one of them for
 * at most some seconds. See docs/admin.md.
 */
#ifndef CMDSTREAM_ADMIN_H
#define CMDSTREAM_ADMIN_H

#include <cmdstream/base.h>

CMDS_BEGIN_

struct cmds_admin;
struct cmds_runtime;

/** Start from CMDS_ADMIN_OPTIONS_INIT. A field left at zero takes the default beside it. */
struct cmds_admin_options {
    uint32_t struct_size; // Set by CMDS_ADMIN_OPTIONS_INIT.
    bool allow_remote;    // `metrics` may be an address that other machines reach.
    bool allow_changes;   // POST is taken.
    uint8_t unused[2];
    // "127.0.0.1:9464", "[::1]:9464", "localhost:9464", "unix:PATH"; port 0: any. Default NULL: off.
    const char *metrics;
    const char *admin; // The same, on the loopback interface in any case. Default NULL: off.
    /**
     * POST /drain: makes the program drain, soon after this returns; it must not wait. A program that
     * drains by SIGTERM sends itself one. NULL: there is no such page. Thread: the admin's.
     */
    void (*on_drain)(void *context);
    void *context;
};
#ifdef __cplusplus
#define CMDS_ADMIN_OPTIONS_INIT cmds_detail::sized<struct cmds_admin_options>()
#else
#define CMDS_ADMIN_OPTIONS_INIT                                                                    \
    {                                                                                              \
        .struct_size = sizeof(struct cmds_admin_options)                                           \
    }
#endif

/**
 * Listens, and starts the threads. /readyz is ready from now on until cmds_runtime_is_draining(): open it
 * when the servers have been started.
 *
 * Owner:   gives *admin: cmds_admin_close(), before cmds_runtime_stop(). Copies the options.
 * Thread:  setup.
 * Returns: 0; -EINVAL, -E2BIG: an option, by name, or no address at all; -EACCES: an address that other
 *          machines reach, and allow_remote is not set or it is the admin's; -EADDRINUSE, ... of the
 *          address; -ENOMEM; -EAGAIN: no thread.
 */
CMDS_NODISCARD CMDS_API int cmds_admin_open(struct cmds_admin **admin, struct cmds_runtime *runtime,
        const struct cmds_admin_options *options, struct cmds_error *error);
/**
 * Where it listens, with the port that 0 became. `index`: 0: metrics, 1: admin. Thread: any. Returns: 0;
 * -ENOENT: that one is off, or there is no such listener; -ENOBUFS.
 */
CMDS_NODISCARD CMDS_API int cmds_admin_address(
        const struct cmds_admin *admin, uint32_t index, char *text, size_t size);
/**
 * Ends all connections, joins the threads, frees. NULL is fine. In a forked child it does nothing. A list that
 * is under way is waited for: some 250 ms if a shard is held up, 4 s at the very most.
 * Thread: setup, never one of its own.
 */
CMDS_API void cmds_admin_close(struct cmds_admin *admin);

CMDS_END_

#endif

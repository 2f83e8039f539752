/* SPDX-License-Identifier: MIT */
/*
 * The object and its two ports, each with a thread, the private one with a second one for the pages that ask
 * shards: what is waited for there holds up nobody but who asked for it.
 */
#ifndef CMDI_ADMIN_ADMIN_H
#define CMDI_ADMIN_ADMIN_H

#include <pthread.h>
#include <sys/types.h>

#include <cmdstream/admin.h>
#include <cmdstream/runtime.h>

#include "admin/port.h"

enum {
    CMDI_ADMIN_PORTS = 2, // Metrics, and the private one.
};

/** All pages; the last has no path. */
extern const struct cmdi_admin_page cmdi_admin_pages[];

struct cmds_admin {
    struct cmds_runtime *runtime;
    const struct cmdi_admin_page *pages;
    bool allow_changes;
    bool was_asked_to_drain; // Once is enough: a program may take a second time for impatience.
    void (*on_drain)(void *context);
    void *context;
    uint64_t start_ns; // CLOCK_MONOTONIC
    // Of /status as text; the private port's thread. NULL: none.
    struct cmdi_admin_snapshot *last_look;
    pid_t process; // In a forked child there are no threads.
    int stop_fd;   // An eventfd: readable when the threads are to end.
    struct cmdi_admin_port ports[CMDI_ADMIN_PORTS];
};

#endif

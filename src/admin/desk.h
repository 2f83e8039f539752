/* SPDX-License-Identifier: MIT */
/*
 * Where the pages are written that ask shards and wait for them: a thread of its own, one page at a time, so that
 * the port's thread answers everybody else meanwhile. The connection of such a request is suspended until then,
 * and libmicrohttpd does nothing with it.
 */
#ifndef CMDI_ADMIN_DESK_H
#define CMDI_ADMIN_DESK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "admin/request.h"

enum {
    CMDI_ADMIN_DESK_MAX = 8, // As many as a port has connections: each waits for one page.
};

struct cmdi_admin_desk {
    pthread_t thread; // Valid with has_thread.
    bool has_thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool ends;
    int served_fd; // An eventfd: readable when a connection was resumed. -1: there is none.
    uint32_t waiting_count;
    struct cmdi_admin_request *waiting[CMDI_ADMIN_DESK_MAX]; // The first is the next.
};

/** What is all zero but served_fd is one without a thread, which takes nothing. */
void cmdi_admin_desk_init(struct cmdi_admin_desk *desk);
/** Returns: 0; -errno. The thread is the caller's to start. */
int cmdi_admin_desk_open(struct cmdi_admin_desk *desk);
/** Thread: the port's. Returns: some connections were resumed since the last time. */
bool cmdi_admin_desk_resumed(struct cmdi_admin_desk *desk);
/** No page is written any more, and the thread has ended: after the page that it is at, which has a bound. */
void cmdi_admin_desk_fini(struct cmdi_admin_desk *desk);
/** The thread's. `desk` is a struct cmdi_admin_desk. */
void *cmdi_admin_desk_main(void *desk);
/**
 * Suspends the connection of the request, which is served and resumed later. Returns: false: it cannot
 * be. Thread: the port's.
 */
bool cmdi_admin_desk_take(struct cmdi_admin_desk *desk, struct cmdi_admin_request *request);

#endif

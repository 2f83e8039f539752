/* SPDX-License-Identifier: MIT */
/*
 * Waits for something to arrive at one of several listening sockets: on a thread beside those of the
 * shards.
 */
#ifndef CMDI_RING_POLLER_H
#define CMDI_RING_POLLER_H

#include <stdbool.h>

struct cmdi_poller {
    int poll_fd, stop_fd;
};
/** Returns: 0; -errno. */
int cmdi_poller_init(struct cmdi_poller *poller);
void cmdi_poller_fini(struct cmdi_poller *poller);
/** Returns: 0; -errno. */
int cmdi_poller_add(struct cmdi_poller *poller, int fd);
/**
 * Each arrival ends one wait, those of a moment together one. Returns: false: cmdi_poller_stop() was
 * called.
 */
bool cmdi_poller_wait(struct cmdi_poller *poller);
/** Thread: any. */
void cmdi_poller_stop(struct cmdi_poller *poller);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Two machines in one: this process, and a child of it, each in a network of its own, with a cable between
 * them that can go dark. Both networks have no name and end with the processes, however these end.
 */
#ifndef CMDI_TESTS_SUPPORT_NETNS_H
#define CMDI_TESTS_SUPPORT_NETNS_H

#include <stdbool.h>
#include <sys/types.h>

#define NETNS_HERE  "10.77.0.1"
#define NETNS_THERE "10.77.0.2"

/** How a cable goes dark. Nobody is told by either: what is sent is gone. */
enum netns_dark {
    NETNS_LOST,   // Frames of both sides go to addresses that nobody has.
    NETNS_PULLED, // The far end is down.
};

/**
 * Gives this process a network of its own, and a child of it another one; there `there` runs, and the child
 * ends with what it returns. Ends the program as skipped if that is not allowed here.
 *
 * Thread:  main, before there is another one.
 * Returns: the child.
 */
pid_t netns_begin(int (*there)(void *context), void *context);
/** Thread: any. Returns: whether it worked; else ip has said why. */
bool netns_darken(pid_t child, enum netns_dark how);
/** The cable is as it was. */
bool netns_light(pid_t child, enum netns_dark how);
/**
 * From now on names are looked up at this address alone, by this process; before netns_begin().
 *
 * Returns: false: it is not allowed here.
 */
bool netns_resolve_at(const char *address);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * What ends a program whose shard does not come back. Its end asks every shard, and one that an exec function
 * holds up for ever answers never: then neither the drain's time nor a second signal would do anything.
 *
 * A thread of its own looks, from the drain's begin to the server's close. It ends the process if a shard is
 * held up while the time is over or a second signal has come, and says by what; it leaves signals alone as
 * long as the program's main comes by to take them.
 */
#ifndef CMDI_SERVER_OVERDUE_H
#define CMDI_SERVER_OVERDUE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <cmdstream/runtime.h>

struct cmdi_overdue {
    struct cmds_runtime *runtime;
    int status; // Of the process, then.
    bool is_started;
    _Atomic uint64_t until_ns; // UINT64_MAX: only a signal ends it.
    _Atomic uint64_t beat_ns;  // When main came by.
    _Atomic uint32_t is_over;  // A futex.
    pthread_t thread;
};

/** Without a thread there is nobody who looks, and that is all. */
void cmdi_overdue_begin(
        struct cmdi_overdue *overdue, struct cmds_runtime *runtime, uint64_t until_ns, int status);
/** Main comes by, and takes signals itself. */
static inline void cmdi_overdue_beat(struct cmdi_overdue *overdue, uint64_t now_ns)
{
    atomic_store(&overdue->beat_ns, now_ns);
}
/** The drain is over: from now on a shard that is held up is not waited for. */
static inline void cmdi_overdue_is_due(struct cmdi_overdue *overdue)
{
    atomic_store(&overdue->until_ns, 0);
}
/** Nobody looks any more. The runtime is there still. */
void cmdi_overdue_end(struct cmdi_overdue *overdue);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * A command sent for the sake of a call.
 *
 * It is executed by a group shard: by that of the call's shard if it has connections, and then no
 * thread is crossed; else by another one, and command, results and cancellation travel by mail. A
 * full window never fails it: it waits in the group shard's list. It ends in exactly one result
 * with `last`, reported on the call's shard.
 */
#ifndef CMDI_GROUP_FORWARD_H
#define CMDI_GROUP_FORWARD_H

#include <stddef.h>

/** Of what a group shard's forward_pool hands out. */
size_t cmdi_forward_size(void);

#endif

/* SPDX-License-Identifier: MIT */
/* The end of a call as it is counted by type. */
#ifndef CMDI_SERVER_COUNT_H
#define CMDI_SERVER_COUNT_H

#include "server/call.h"

/** It has ended, as far as somebody who counts sees it: once, whoever keeps it on. Thread: shard. */
void cmdi_call_count_end(struct cmds_call *call);

#endif

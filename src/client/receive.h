/* SPDX-License-Identifier: MIT */
/* Results: from a frame to the callback of the command that it answers. The shard. */
#ifndef CMDI_CLIENT_RECEIVE_H
#define CMDI_CLIENT_RECEIVE_H

#include "client/client.h"

/** As cmdi_conn_ops.on_frame. */
int64_t cmdi_client_on_frame(struct cmdi_conn *conn, const struct cmdi_frame *frame);

#endif

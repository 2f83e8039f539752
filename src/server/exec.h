/* SPDX-License-Identifier: MIT */
/* Commands of a connection: from its frames to what their exec functions return. */
#ifndef CMDI_SERVER_EXEC_H
#define CMDI_SERVER_EXEC_H

#include <stdbool.h>
#include <stdint.h>

#include "conn/conn.h"

/** One command: decode, make a call, run it. Returns: as cmdi_conn_ops.on_frame. */
int64_t cmdi_exec_on_frame(struct cmdi_conn *conn, const struct cmdi_frame *frame);
/**
 * Runs calls that asked to be run again, and tells those that wait for room: at most `budget` of each.
 * Returns: there is more.
 */
bool cmdi_exec_run(struct cmdi_conn *conn, uint32_t budget);

#endif

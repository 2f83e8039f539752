/* SPDX-License-Identifier: MIT */
/* What a server's connections and calls look like to somebody who lists them. Thread: their shard. */
#ifndef CMDI_SERVER_INSPECT_H
#define CMDI_SERVER_INSPECT_H

#include "conn/conn.h"

/** As cmdi_conn_ops.describe. */
void cmdi_inspect_connection(const struct cmdi_conn *conn, struct cmds_listed_connection *row);

#endif

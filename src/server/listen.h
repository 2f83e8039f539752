/* SPDX-License-Identifier: MIT */
/* The addresses that a server listens on. */
#ifndef CMDI_SERVER_LISTEN_H
#define CMDI_SERVER_LISTEN_H

struct cmds_error;
struct cmds_server;

/**
 * Opens an acceptor for each address of the option `listen`; with reuse_port one on each shard.
 * Nothing is accepted yet. Thread: setup. Returns: 0; as cmds_server_start. The acceptors that were
 * opened before a failure are the server's to close.
 */
int cmdi_listen(struct cmds_server *server, struct cmds_error *error);

#endif

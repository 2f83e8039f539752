/* SPDX-License-Identifier: MIT */
/*
 * What a handshake has shown of a client, for as long as its connection or a call of it lives: the
 * session that has found it out ends with the connection's bytes.
 */
#ifndef CMDI_SERVER_PEER_H
#define CMDI_SERVER_PEER_H

#include <cmdstream/tls.h>

/** Owner: copies; gives one block: free(). Thread: any. Returns: NULL without memory. */
struct cmds_tls_peer *cmdi_peer_copy(const struct cmds_tls_peer *peer);

#endif

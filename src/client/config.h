/* SPDX-License-Identifier: MIT */
/*
 * What is the same for all clients of a group, and constant: the options of the user as a client
 * and its connection need them.
 */
#ifndef CMDI_CLIENT_CONFIG_H
#define CMDI_CLIENT_CONFIG_H

#include <cmdstream/client.h>
#include <cmdstream/codec.h>

#include "client/backoff.h"
#include "codec/protocol.h"
#include "conn/conn.h"
#include "net/address.h"

struct cmdi_client_ops;
struct cmdi_tickets;
struct cmdi_transport;

enum {
    CMDI_CLIENT_SERVER_INFO_MAX = CMDI_SERVER_INFO_MAX,
};

/** The same for all clients of a group. Constant. */
struct cmdi_client_config {
    const struct cmdi_client_ops *ops;
    const struct cmds_codec *codec;
    const struct cmdi_type_table *commands, *results;
    struct cmdi_tickets *tickets;
    const struct cmdi_transport *transport;
    const char *connect;  // As the user wrote it.
    const char *name;     // Of its group; "": none.
    const char *protocol; // Its name.
    struct cmds_tls *tls; // NULL: plain.
    struct cmds_bytes server_info;
    struct cmdi_conn_limits limits;
    uint64_t decode_size_max;
    uint32_t in_flight_max;
    uint32_t connect_timeout_ms;
    struct cmdi_backoff_options backoff;
    uint32_t keepalive_ms, keepalive_interval_ms;
};

/** The option `tls`. Returns: 0; -EINVAL. */
int cmdi_client_config_check_tls(
        const struct cmds_group_options *options, struct cmds_error *error);
/**
 * What the options, in which no default is missing, say about a connection. A close gives one that
 * ends in order `linger_ms`. Left to the caller: ops, results, tickets. Thread: setup.
 *
 * Owner: keeps the pointers of the options.
 */
void cmdi_client_config_fill(struct cmdi_client_config *config,
        const struct cmds_group_options *options, uint32_t linger_ms);
/**
 * The memory that one command may ask for at most: a queue doubles, and may have the old half
 * beside it meanwhile.
 */
size_t cmdi_client_config_memory_max(const struct cmdi_client_config *config);

#endif

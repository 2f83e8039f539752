/* SPDX-License-Identifier: MIT */
/*
 * What a server is made of before it runs: checked options and the tables that are made of them.
 */
#ifndef CMDI_SERVER_OPTIONS_H
#define CMDI_SERVER_OPTIONS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmdstream/server.h>

#include "codec/protocol.h"
#include "conn/conn.h"
#include "wire/frame.h"

/** The result that says that a command failed. */
struct cmdi_error_type {
    const struct cmds_type *type; // NULL: the protocol has none.
    uint32_t code_size, text_max; // Of its members.
};

/** What outlives cmds_server_close() while calls are kept. Constant after start. */
struct cmdi_server_core {
    struct cmds_server_options options; // Defaults filled in.
    struct cmdi_type_table commands, results;
    const struct cmds_exec **execs;         // By the index of the command's entry in `commands`.
    const struct cmdi_transport *transport; // Of the connections that are accepted.
    struct cmdi_conn_limits limits;
    uint8_t server_info[2 + CMDI_SERVER_INFO_MAX];
    size_t server_info_size;
    struct cmdi_error_type failed; // failure.h
    _Atomic uint32_t refs;         // One for the server, one for each shard.
};

/**
 * Checks and copies everything. Gives: cmdi_server_core_unref(). Returns: 0; as cmds_server_start.
 */
int cmdi_server_core_create(struct cmdi_server_core **core,
        const struct cmds_server_options *options, struct cmds_error *error);
/** NULL is fine. Thread: any. */
void cmdi_server_core_unref(struct cmdi_server_core *core);

#endif

/* SPDX-License-Identifier: MIT */
/* A server's options: their defaults, their checks, and the tables that are made of them. */
#include "server/options.h"
#include "ring/thread.h"

#include <errno.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/options.h"
#include "codec/codec.h"
#include "conn/option_tls.h"
#include "ring/thread.h"
#include "server/failure_value.h"
#include "telemetry/scope.h"

enum {
    CORE_CONNECTIONS = 10000,
    CORE_IN_FLIGHT = 1024,
    CORE_FRAME_SIZE = 16 * 1024 * 1024,
    CORE_FRAME_SIZE_MAX = 1024 * 1024 * 1024,
    CORE_OUTPUT_SIZE = 1024 * 1024,
    CORE_KEPT_SIZE = 16 * 1024 * 1024,
    CORE_OUTPUT_SIZE_MIN = 4096, // The ServerInfo and a pong must always find room.
    CORE_IDLE_MS = 120000,
    CORE_FRAME_MS = 10000,
    CORE_SERVER_INFO_MS = 5000,
    CORE_WRITE_MS = 10000,
    CORE_LINGER_MS = 2000,
    CORE_BACKLOG = 4096,
};

static int core_take_options(struct cmdi_server_core *core,
        const struct cmds_server_options *options, struct cmds_error *error)
{
    struct cmds_server_options *mine = &core->options;
    int code = cmdi_options_take(mine, sizeof(*mine), options, "cmds_server_options", error);
    code = code < 0 ? code
                    : cmdi_unused_check(mine->unused | mine->unused2 | mine->unused3 |
                                                mine->unused4 | mine->unused5,
                              "cmds_server_options", error);
    if (code < 0) {
        return code;
    }
    cmdi_default(&mine->connection_count_max, CORE_CONNECTIONS);
    cmdi_default(&mine->in_flight_max, CORE_IN_FLIGHT);
    cmdi_default(&mine->frame_size_max, CORE_FRAME_SIZE);
    cmdi_default(&mine->output_size_max, CORE_OUTPUT_SIZE);
    cmdi_default(&mine->kept_size_max, CORE_KEPT_SIZE);
    cmdi_default(&mine->idle_timeout_ms, CORE_IDLE_MS);
    cmdi_default(&mine->frame_timeout_ms, CORE_FRAME_MS);
    cmdi_default(&mine->server_info_timeout_ms, CORE_SERVER_INFO_MS);
    cmdi_default(&mine->write_timeout_ms, CORE_WRITE_MS);
    cmdi_default(&mine->exec_timeout_ms, CMDS_NEVER);
    cmdi_default(&mine->linger_timeout_ms, CORE_LINGER_MS);
    cmdi_default(&mine->backlog, CORE_BACKLOG);
    mine->codec = mine->codec != NULL ? mine->codec : &cmds_codec_msgpack;
    if (mine->server_info.size == 0) {
        mine->server_info = (struct cmds_bytes){"default", 7};
    }
    return 0;
}

static int core_check_limits(const struct cmds_server_options *mine, struct cmds_error *error)
{
    if (mine->server_info.data == NULL) {
        return cmdi_fail(error, -EINVAL, "server_info: %zu bytes at NULL", mine->server_info.size);
    }
    if (mine->server_info.size > CMDI_SERVER_INFO_MAX) {
        return cmdi_fail(error, -EINVAL, "server_info: %zu bytes; at most %d",
                mine->server_info.size, CMDI_SERVER_INFO_MAX);
    }
    if (mine->frame_size_max > CORE_FRAME_SIZE_MAX) {
        return cmdi_fail(error, -EINVAL, "frame_size_max %u: at most %d", mine->frame_size_max,
                CORE_FRAME_SIZE_MAX);
    }
    if (mine->output_size_max < CORE_OUTPUT_SIZE_MIN) {
        return cmdi_fail(error, -EINVAL, "output_size_max %u: at least %d", mine->output_size_max,
                CORE_OUTPUT_SIZE_MIN);
    }
    if (mine->overflow > CMDS_OVERFLOW_QUEUE) {
        return cmdi_fail(error, -EINVAL, "overflow %u: CMDS_OVERFLOW_REFUSE or CMDS_OVERFLOW_QUEUE",
                mine->overflow);
    }
    if (mine->slow_reader > CMDS_SLOW_READER_WAIT) {
        return cmdi_fail(error, -EINVAL,
                "slow_reader %u: CMDS_SLOW_READER_CLOSE or CMDS_SLOW_READER_WAIT",
                mine->slow_reader);
    }
    int code = cmdi_scope_check_name(mine->name, error);
    return code < 0 ? code : cmdi_option_tls_check(mine->tls, true, error);
}

static int core_check_tables(const struct cmds_server_options *mine, struct cmds_error *error)
{
    if (mine->protocol == NULL || mine->protocol->name == NULL) {
        return cmdi_fail(error, -EINVAL,
                "protocol: none, or one without a name: make it with CMDS_PROTOCOL");
    }
    if (mine->exec_count > 0 &&
            (mine->execs == NULL || mine->exec_stride < sizeof(struct cmds_exec) ||
                    mine->exec_stride % _Alignof(struct cmds_exec) != 0)) {
        return cmdi_fail(error, -EINVAL,
                "execs: %u rows of %u bytes at %s: start from CMDS_SERVER_OPTIONS_INIT",
                mine->exec_count, mine->exec_stride, mine->execs != NULL ? "an address" : "NULL");
    }
    for (uint32_t i = 0; i < mine->invoker_count; i++) {
        if (mine->invokers == NULL || mine->invokers[i] == NULL) {
            return cmdi_fail(error, -EINVAL, "invokers: one of them is NULL");
        }
    }
    return cmdi_codec_check(mine->codec, mine->protocol, error);
}

static const struct cmds_exec *core_exec_at(
        const struct cmds_server_options *options, uint32_t index)
{
    const void *row = (const char *)options->execs + (size_t)index * options->exec_stride;
    return row;
}

static int core_add_exec(
        struct cmdi_server_core *core, const struct cmds_exec *exec, struct cmds_error *error)
{
    const struct cmds_server_options *options = &core->options;
    if (exec->type == NULL || exec->invoke == NULL ||
            !cmdi_type_table_has(&core->commands, exec->type)) {
        return cmdi_fail(error, CMDS_E_SCHEMA,
                "%s: an exec function for %s, which is not a command of it",
                options->protocol->name, exec->type != NULL ? exec->type->schema->name : "nothing");
    }
    if ((exec->flags & ~(uint32_t)CMDS_EXEC_POOL_) != 0 || exec->unused != 0 ||
            !cmdi_is_zero(exec, sizeof(*exec), options->exec_stride)) {
        return cmdi_fail(error, -E2BIG,
                "%s: the row of %s has something that this library (%s) does not know",
                options->protocol->name, exec->type->schema->name, CMDS_VERSION);
    }
    const struct cmdi_type_entry *entry =
            cmdi_type_table_entry(&core->commands, exec->type->number);
    if (entry->command != entry->type) {
        return cmdi_fail(error, CMDS_E_SCHEMA,
                "%s: an exec function for the traced %s: that of %s executes it",
                options->protocol->name, exec->type->schema->name, entry->command->schema->name);
    }
    const struct cmds_exec **slot = &core->execs[entry - core->commands.entries];
    if (*slot != NULL) {
        return cmdi_fail(error, CMDS_E_SCHEMA, "%s: two exec functions for command %u %s",
                options->protocol->name, exec->type->number, exec->type->schema->name);
    }
    *slot = exec;
    return 0;
}

static int core_make_tables(struct cmdi_server_core *core, struct cmds_error *error)
{
    const struct cmds_protocol *protocol = core->options.protocol;
    int code = cmdi_type_table_init(&core->commands, protocol->commands, protocol->command_count);
    if (code == 0) {
        code = cmdi_type_table_init(&core->results, protocol->results, protocol->result_count);
    }
    uint32_t entries = core->commands.dense_count + core->commands.sparse_count;
    core->execs = code == 0 ? calloc(entries + 1, sizeof(struct cmds_exec *)) : NULL;
    if (core->execs == NULL) {
        return cmdi_fail(error, -ENOMEM, "no memory for the tables of %s", protocol->name);
    }
    for (uint32_t i = 0; i < core->options.exec_count && code == 0; i++) {
        code = core_add_exec(core, core_exec_at(&core->options, i), error);
    }
    for (uint32_t i = 0; i < entries && code == 0; i++) {
        const struct cmdi_type_entry *entry = &core->commands.entries[i];
        const struct cmds_type *type = entry->command;
        const struct cmdi_type_entry *own =
                type != NULL ? cmdi_type_table_entry(&core->commands, type->number) : NULL;
        core->execs[i] = own != NULL ? core->execs[own - core->commands.entries] : NULL;
        if (type != NULL && core->execs[i] == NULL) {
            code = cmdi_fail(error, CMDS_E_SCHEMA, "%s: command %u %s has no exec function",
                    protocol->name, type->number, type->schema->name);
        }
    }
    return code;
}

int cmdi_server_core_create(struct cmdi_server_core **out,
        const struct cmds_server_options *options, struct cmds_error *error)
{
    struct cmdi_server_core *core = calloc(1, sizeof(*core));
    if (core == NULL) {
        return cmdi_fail(error, -ENOMEM, "no memory for a server");
    }
    atomic_store(&core->refs, 1);
    int code = core_take_options(core, options, error);
    code = code == 0 ? core_check_limits(&core->options, error) : code;
    code = code == 0 ? core_check_tables(&core->options, error) : code;
    code = code == 0 ? core_make_tables(core, error) : code;
    code = code == 0 ? cmdi_failure_init(core, error) : code;
    if (code < 0) {
        cmdi_server_core_unref(core);
        return code;
    }
    const struct cmds_server_options *mine = &core->options;
    core->transport = &cmdi_transport_socket;
    core->server_info_size =
            (size_t)(cmdi_server_info_encode(core->server_info, mine->server_info) -
                     core->server_info);
    core->limits = (struct cmdi_conn_limits){
            .frame_size_max = mine->frame_size_max,
            .output_size_max = mine->output_size_max,
            .server_info_timeout_ms = mine->server_info_timeout_ms,
            .frame_timeout_ms = mine->frame_timeout_ms,
            .write_timeout_ms = mine->write_timeout_ms,
            .idle_timeout_ms = mine->idle_timeout_ms,
            .linger_timeout_ms = mine->linger_timeout_ms,
            .self_delimiting = (mine->codec->flags & CMDS_CODEC_SELF_DELIMITING) != 0,
    };
    *out = core;
    return 0;
}

void cmdi_server_core_unref(struct cmdi_server_core *core)
{
    if (core == NULL || atomic_fetch_sub(&core->refs, 1) != 1) {
        return;
    }
    cmdi_type_table_fini(&core->commands);
    cmdi_type_table_fini(&core->results);
    free(core->execs);
    free(core);
}

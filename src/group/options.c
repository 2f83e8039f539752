/* SPDX-License-Identifier: MIT */
/* Options of a group: defaults, and bounds with the name of the field. */
#include "group/options.h"

#include <errno.h>

#include "base/error.h"
#include "base/options.h"
#include "client/config.h"
#include "codec/codec.h"
#include "group/breaker.h"
#include "group/dispatch.h"
#include "group/hooks.h"
#include "net/address.h"
#include "telemetry/scope.h"

enum {
    GROUP_CLIENTS_MAX = 65536,
    GROUP_SHARD_CLIENTS = 4, // Of several endpoints.
    GROUP_SHARD_CLIENTS_MAX = 16,
    GROUP_RESOLVE_INTERVAL_MS = 30000,
    GROUP_RESOLVE_INTERVAL_MIN_MS = 1000,
    GROUP_IN_FLIGHT = 1024,
    GROUP_IN_FLIGHT_MAX = 1048576,
    GROUP_DEADLINE_MS = 5000,
    GROUP_CONNECT_TIMEOUT_MS = 5000,
    GROUP_FRAME_SIZE = 16 * 1024 * 1024,
    GROUP_FRAME_SIZE_MAX = 1024 * 1024 * 1024,
    GROUP_OUTPUT_SIZE = 1024 * 1024,
    GROUP_OUTPUT_SIZE_MIN = 4096, // As a server's: a ping and small commands must find room.
    GROUP_WRITE_TIMEOUT_MS = 10000,
    GROUP_KEEPALIVE_MS = 2500,
    GROUP_KEEPALIVE_INTERVAL_MS = 1000,
    GROUP_RECONNECT_DELAY_MS = 100,
    GROUP_RECONNECT_DELAY_MAX_MS = 30000,
};

/* One address: one. Several: enough that each shard has some choice. */
static uint32_t options_client_count(const char *connect, uint32_t shard_count)
{
    uint32_t listed = cmdi_address_list_count(connect);
    bool is_dns = cmdi_address_dns(connect) != NULL;
    if (listed == 1 && !is_dns) {
        return 1;
    }
    uint32_t least = GROUP_SHARD_CLIENTS * shard_count;
    uint32_t most = GROUP_SHARD_CLIENTS_MAX * shard_count;
    return listed < least ? least : listed < most ? listed : most;
}

static void options_fill(struct cmds_group_options *mine)
{
    static const char default_info[] = "default";
    cmdi_default(&mine->resolve_interval_ms, GROUP_RESOLVE_INTERVAL_MS);
    cmdi_default(&mine->in_flight_max, GROUP_IN_FLIGHT);
    cmdi_default(&mine->deadline_ms, GROUP_DEADLINE_MS);
    cmdi_default(&mine->connect_timeout_ms, GROUP_CONNECT_TIMEOUT_MS);
    cmdi_default(&mine->frame_size_max, GROUP_FRAME_SIZE);
    cmdi_default(&mine->output_size_max, GROUP_OUTPUT_SIZE);
    cmdi_default(&mine->write_timeout_ms, GROUP_WRITE_TIMEOUT_MS);
    cmdi_default(&mine->keepalive_ms, GROUP_KEEPALIVE_MS);
    cmdi_default(&mine->keepalive_interval_ms, GROUP_KEEPALIVE_INTERVAL_MS);
    cmdi_default(&mine->reconnect_delay_ms, GROUP_RECONNECT_DELAY_MS);
    cmdi_default(&mine->reconnect_delay_max_ms, GROUP_RECONNECT_DELAY_MAX_MS);
    mine->codec = mine->codec != NULL ? mine->codec : &cmds_codec_msgpack;
    if (mine->server_info.size == 0) {
        mine->server_info = (struct cmds_bytes){default_info, sizeof(default_info) - 1};
    }
}

static int options_check_limits(const struct cmds_group_options *mine, struct cmds_error *error)
{
    if (mine->client_count > GROUP_CLIENTS_MAX) {
        return cmdi_fail(error, -EINVAL, "client_count %u: at most %d", mine->client_count,
                GROUP_CLIENTS_MAX);
    }
    if (mine->in_flight_max > GROUP_IN_FLIGHT_MAX) {
        return cmdi_fail(error, -EINVAL, "in_flight_max %u: at most %d", mine->in_flight_max,
                GROUP_IN_FLIGHT_MAX);
    }
    if (mine->frame_size_max > GROUP_FRAME_SIZE_MAX) {
        return cmdi_fail(error, -EINVAL, "frame_size_max %u: at most %d", mine->frame_size_max,
                GROUP_FRAME_SIZE_MAX);
    }
    if (mine->resolve_interval_ms < GROUP_RESOLVE_INTERVAL_MIN_MS) {
        return cmdi_fail(error, -EINVAL, "resolve_interval_ms %u: at least %d",
                mine->resolve_interval_ms, GROUP_RESOLVE_INTERVAL_MIN_MS);
    }
    if (mine->output_size_max < GROUP_OUTPUT_SIZE_MIN) {
        return cmdi_fail(error, -EINVAL, "output_size_max %u: at least %d", mine->output_size_max,
                GROUP_OUTPUT_SIZE_MIN);
    }
    if (mine->server_info.size > CMDI_CLIENT_SERVER_INFO_MAX || mine->server_info.data == NULL) {
        return cmdi_fail(error, -EINVAL, "server_info of %zu bytes: 1 to %d",
                mine->server_info.size, CMDI_CLIENT_SERVER_INFO_MAX);
    }
    return cmdi_scope_check_name(mine->name, error);
}

static int options_check_protocol(const struct cmds_group_options *mine, struct cmds_error *error)
{
    const struct cmds_protocol *protocol = mine->protocol;
    if (protocol == NULL || protocol->name == NULL) {
        return cmdi_fail(
                error, -EINVAL, "protocol: none; start from CMDS_GROUP_OPTIONS_INIT(&protocol)");
    }
    return cmdi_codec_check(mine->codec, protocol, error);
}

/* What would never be called is refused: a program that waits for it would wait in silence. */
static int options_check_endpoint_breaker(
        const struct cmds_breaker_options *options, struct cmds_error *error)
{
    struct cmds_breaker_options breaker;
    int code = cmdi_breaker_options_take(&breaker, options, error);
    if (code < 0) {
        return code;
    }
    const char *name = breaker.on_state != NULL     ? "state"
                       : breaker.on_success != NULL ? "success"
                       : breaker.on_failure != NULL ? "failure"
                                                    : NULL;
    return name == NULL
                   ? 0
                   : cmdi_fail(error, -EINVAL,
                             "endpoint_breaker: on_%s is of a breaker of its own; of endpoints "
                             "it is on_endpoint_%s",
                             name, name);
}

int cmdi_group_options_take(struct cmds_group_options *mine,
        const struct cmds_group_options *options, uint32_t shard_count, struct cmds_error *error)
{
    int code = cmdi_options_take(mine, sizeof(*mine), options, "cmds_group_options", error);
    if (code < 0) {
        return code;
    }
    if (mine->connect == NULL || mine->connect[0] == '\0') {
        return cmdi_fail(error, -EINVAL, "connect: no address, as in \"127.0.0.1:9000\"");
    }
    cmdi_default(&mine->client_count, options_client_count(mine->connect, shard_count));
    options_fill(mine);
    code = options_check_limits(mine, error);
    if (code == 0) {
        code = options_check_protocol(mine, error);
    }
    if (code == 0) {
        code = cmdi_client_config_check_tls(mine, error);
    }
    if (code == 0) {
        struct cmdi_hooks hooks;
        code = cmdi_hooks_take(&hooks, mine, error);
    }
    if (code == 0 && mine->endpoint_breaker != NULL) {
        code = options_check_endpoint_breaker(mine->endpoint_breaker, error);
    }
    if (code == 0 && mine->resend > CMDS_RESEND_NEVER) {
        code = cmdi_fail(error, -EINVAL, "resend %u: one of enum cmds_resend", mine->resend);
    }
    return code < 0 || mine->dispatch == NULL ? code : cmdi_dispatch_check(mine->dispatch, error);
}

/* SPDX-License-Identifier: MIT */
/* From the options of a group to the constants of its clients. See config.h. */
#include "client/config.h"

#include "conn/option_tls.h"
#include "conn/transport.h"

enum {
    CONFIG_DECODE_EXTRA = 1024 * 1024, // A small frame may hold structs that are larger in memory.
};

int cmdi_client_config_check_tls(const struct cmds_group_options *options, struct cmds_error *error)
{
    return cmdi_option_tls_check(options->tls, false, error);
}

void cmdi_client_config_fill(struct cmdi_client_config *config,
        const struct cmds_group_options *options, uint32_t linger_ms)
{
    config->codec = options->codec;
    config->transport = &cmdi_transport_socket;
    config->connect = options->connect;
    config->protocol = options->protocol->name;
    config->tls = options->tls;
    config->server_info = options->server_info;
    config->decode_size_max = (uint64_t)options->frame_size_max * 4 + CONFIG_DECODE_EXTRA;
    config->in_flight_max = options->in_flight_max;
    config->connect_timeout_ms = options->connect_timeout_ms;
    config->backoff = (struct cmdi_backoff_options){.delay_ms = options->reconnect_delay_ms,
            .delay_max_ms = options->reconnect_delay_max_ms,
            .count_max = options->reconnect_count_max};
    config->keepalive_ms = options->keepalive_ms;
    config->keepalive_interval_ms = options->keepalive_interval_ms;
    config->limits = (struct cmdi_conn_limits){
            .frame_size_max = options->frame_size_max,
            .output_size_max = options->output_size_max,
            .server_info_timeout_ms = CMDS_NEVER, // The client's own timer covers all addresses.
            /* Deadlines and the pong find a server that stops in mid-frame. */
            .frame_timeout_ms = CMDS_NEVER,
            .write_timeout_ms = options->write_timeout_ms,
            .idle_timeout_ms = CMDS_NEVER,
            .linger_timeout_ms = linger_ms,
            .self_delimiting = (options->codec->flags & CMDS_CODEC_SELF_DELIMITING) != 0,
    };
}

size_t cmdi_client_config_memory_max(const struct cmdi_client_config *config)
{
    return 4 * ((size_t)config->limits.output_size_max + config->limits.frame_size_max);
}

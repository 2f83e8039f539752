/* SPDX-License-Identifier: MIT */
/* A server's options, for whoever lists them. */
#include "server/option_list.h"

#include "server/server.h"
#include "shard/option_list.h"

static const struct cmdi_option_word overflow_words[] = {
        {CMDS_OVERFLOW_REFUSE, "refuse"}, {CMDS_OVERFLOW_QUEUE, "queue"}, {0, NULL}};
static const struct cmdi_option_word slow_reader_words[] = {
        {CMDS_SLOW_READER_CLOSE, "close"}, {CMDS_SLOW_READER_WAIT, "wait"}, {0, NULL}};
static const struct cmdi_option_row rows[] = {
        CMDI_OPTION(cmds_server_options, connection_count_max, CMDS_OPTION_NUMBER),
        CMDI_OPTION(cmds_server_options, in_flight_max, CMDS_OPTION_NUMBER),
        CMDI_OPTION(cmds_server_options, frame_size_max, CMDS_OPTION_NUMBER),
        CMDI_OPTION(cmds_server_options, output_size_max, CMDS_OPTION_NUMBER),
        CMDI_OPTION(cmds_server_options, kept_size_max, CMDS_OPTION_NUMBER),
        CMDI_OPTION(cmds_server_options, idle_timeout_ms, CMDS_OPTION_NUMBER),
        CMDI_OPTION(cmds_server_options, frame_timeout_ms, CMDS_OPTION_NUMBER),
        CMDI_OPTION(cmds_server_options, server_info_timeout_ms, CMDS_OPTION_NUMBER),
        CMDI_OPTION(cmds_server_options, write_timeout_ms, CMDS_OPTION_NUMBER),
        CMDI_OPTION(cmds_server_options, exec_timeout_ms, CMDS_OPTION_NUMBER),
        CMDI_OPTION(cmds_server_options, linger_timeout_ms, CMDS_OPTION_NUMBER),
        CMDI_OPTION(cmds_server_options, backlog, CMDS_OPTION_NUMBER),
        CMDI_OPTION_WORDS(cmds_server_options, overflow, "overflow", overflow_words),
        CMDI_OPTION_WORDS(cmds_server_options, slow_reader, "slow_reader", slow_reader_words),
        CMDI_OPTION(cmds_server_options, reuse_port, CMDS_OPTION_BOOL),
        CMDI_OPTION(cmds_server_options, resample_traces, CMDS_OPTION_BOOL),
        CMDI_OPTION(cmds_server_options, invoker_count, CMDS_OPTION_NUMBER),
        CMDI_OPTION(cmds_server_options, on_connect, CMDS_OPTION_SET),
        CMDI_OPTION(cmds_server_options, on_disconnect, CMDS_OPTION_SET),
        CMDI_OPTION(cmds_server_options, on_exec_error, CMDS_OPTION_SET),
        CMDI_OPTION(cmds_server_options, tls, CMDS_OPTION_SET),
};

void cmdi_server_list_options(const struct cmdi_service *service, struct cmdi_option_list *list)
{
    const struct cmds_server *server = CMDI_CONTAINER(service, struct cmds_server, service);
    const struct cmds_server_options *options = &server->core->options;
    char address[CMDI_ADDRESS_TEXT_MAX];
    list->option.object = "server";
    list->option.owner = server->scope != NULL ? server->scope->name : "";
    for (uint32_t i = 0; cmds_server_address(server, i, address, sizeof(address)) == 0; i++) {
        cmdi_option_list_text(list, "listen", address);
    }
    cmdi_option_list_text(list, "codec", options->codec->name);
    cmdi_option_list_number(list, "server_info", CMDS_OPTION_SET, 1); // There is a default.
    cmdi_option_list_rows(list, rows, sizeof(rows) / sizeof(rows[0]), options);
}

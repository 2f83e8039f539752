/* SPDX-License-Identifier: MIT */
/* A group's options, for whoever lists them. */
#include "group/option_list.h"

#include "group/group.h"
#include "shard/option_list.h"

static const struct cmdi_option_word count_words[] = {{0, "no limit"}, {0, NULL}};
static const struct cmdi_option_word resend_words[] = {{CMDS_RESEND_DEFAULT, "never"},
        {CMDS_RESEND_ONCE, "once"}, {CMDS_RESEND_NEVER, "never"}, {0, NULL}};
static const struct cmdi_option_row rows[] = {
        CMDI_OPTION(cmds_group_options, client_count, CMDS_OPTION_NUMBER),
        CMDI_OPTION(cmds_group_options, in_flight_max, CMDS_OPTION_NUMBER),
        CMDI_OPTION(cmds_group_options, deadline_ms, CMDS_OPTION_NUMBER),
        CMDI_OPTION(cmds_group_options, connect_timeout_ms, CMDS_OPTION_NUMBER),
        CMDI_OPTION(cmds_group_options, frame_size_max, CMDS_OPTION_NUMBER),
        CMDI_OPTION(cmds_group_options, output_size_max, CMDS_OPTION_NUMBER),
        CMDI_OPTION(cmds_group_options, write_timeout_ms, CMDS_OPTION_NUMBER),
        CMDI_OPTION(cmds_group_options, keepalive_ms, CMDS_OPTION_NUMBER),
        CMDI_OPTION(cmds_group_options, keepalive_interval_ms, CMDS_OPTION_NUMBER),
        CMDI_OPTION(cmds_group_options, reconnect_delay_ms, CMDS_OPTION_NUMBER),
        CMDI_OPTION(cmds_group_options, reconnect_delay_max_ms, CMDS_OPTION_NUMBER),
        CMDI_OPTION_WORDS(
                cmds_group_options, reconnect_count_max, "reconnect_count_max", count_words),
        CMDI_OPTION_WORDS(cmds_group_options, resend, "resend", resend_words),
        CMDI_OPTION(cmds_group_options, resolve_interval_ms, CMDS_OPTION_NUMBER),
        CMDI_OPTION(cmds_group_options, hooks_count, CMDS_OPTION_NUMBER),
        CMDI_OPTION(cmds_group_options, breaker, CMDS_OPTION_SET),
        CMDI_OPTION(cmds_group_options, endpoint_breaker, CMDS_OPTION_SET),
        CMDI_OPTION(cmds_group_options, on_state, CMDS_OPTION_SET),
        CMDI_OPTION(cmds_group_options, on_writable, CMDS_OPTION_SET),
        CMDI_OPTION(cmds_group_options, on_unexpected, CMDS_OPTION_SET),
        CMDI_OPTION(cmds_group_options, tls, CMDS_OPTION_SET),
};

void cmdi_group_list_options(const struct cmdi_service *service, struct cmdi_option_list *list)
{
    const struct cmds_group *group = CMDI_CONTAINER(service, struct cmds_group, service);
    const struct cmds_group_options *options = &group->options;
    if (atomic_load(&group->state) == CMDI_GROUP_CLOSED) {
        return; // What it was given may be gone.
    }
    list->option.object = "group";
    list->option.owner = group->scope != NULL ? group->scope->name : "";
    cmdi_option_list_text(list, "codec", options->codec->name);
    cmdi_option_list_number(list, "server_info", CMDS_OPTION_SET, 1); // There is a default.
    cmdi_option_list_rows(list, rows, sizeof(rows) / sizeof(rows[0]), options);
}

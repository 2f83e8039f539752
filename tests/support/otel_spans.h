/* SPDX-License-Identifier: MIT */
/* Spans made by hand, for whoever exports: what a server did, with all that a span can have, and a client. */
#ifndef CMDI_TESTS_SUPPORT_OTEL_SPANS_H
#define CMDI_TESTS_SUPPORT_OTEL_SPANS_H

#include <cmdstream/schema.h>
#include <cmdstream/trace.h>

static const struct cmds_schema otel_command_schema = {.name = "calc_add"};
static const struct cmds_schema otel_result_schema = {.name = "calc_sum"};
static const struct cmds_type otel_command = {.schema = &otel_command_schema};
static const struct cmds_type otel_result = {.schema = &otel_result_schema};

static inline void otel_span_server(struct cmds_span *span)
{
    *span = (struct cmds_span){
            .trace_id = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
            .span_id = {1, 2, 3, 4, 5, 6, 7, 8},
            .parent_id = {2, 3, 4, 5, 6, 7, 8, 9},
            .start_ns = 5,
            .end_ns = 9,
            .type = &otel_command,
            .sequence = 7,
            .size = 12,
            .error = CMDS_E_TIMEOUT,
            .kind = CMDS_SPAN_SERVER,
            .flags = CMDS_SPAN_REMOTE_PARENT | CMDS_SPAN_TRACED,
            .event_count = 2,
            .dropped_events = 2,
            .peer = "[::1]:9000",
    };
    span->events[0] =
            (struct cmds_span_event){.time_ns = 6, .type = &otel_result, .number = 1, .size = 300};
    span->events[1] = (struct cmds_span_event){.time_ns = 7, .name = "looked up"};
    cmds_span_set(span, "user", cmds_string_from("x"));
    cmds_span_set(span, "more", cmds_string_from(""));
    span->dropped_attributes = 3;
}

static inline void otel_span_client(struct cmds_span *span)
{
    *span = (struct cmds_span){
            .trace_id = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
            .span_id = {2, 3, 4, 5, 6, 7, 8, 9},
            .start_ns = 1,
            .end_ns = 2,
            .type = &otel_command,
            .sequence = 7,
            .size = 12,
            .kind = CMDS_SPAN_CLIENT,
            .peer = "unix:/run/x",
    };
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The page /metrics: all that the runtime counts, in the format that who asks likes best. A collector of
 * Prometheus says so in Accept; a person and a program by ?format=.
 */
#include <errno.h>
#include <string.h>

#include <microhttpd.h>

#include <cmdstream/telemetry.h>

#include "admin/accept.h"
#include "admin/admin.h"
#include "admin/common.h"
#include "admin/pages.h"

enum {
    // What is not written to is no memory; and a page for which it is too small is made twice.
    METRICS_SIZE_FIRST = 2 * 1024 * 1024,
    METRICS_TRIES_MAX = 4, // Numbers grow between the first try and the second.
};

static const struct cmdi_admin_offer offers[] = {
        [CMDS_FORMAT_PROMETHEUS] = {"text/plain", "version=0.0.4;charset=utf-8"},
        [CMDS_FORMAT_OPENMETRICS] = {"application/openmetrics-text", "version=1.0.0;charset=utf-8"},
        [CMDS_FORMAT_PROMETHEUS_PROTOBUF] = {"application/vnd.google.protobuf",
                "proto=io.prometheus.client.MetricFamily;encoding=delimited"},
        [CMDS_FORMAT_JSON] = {"application/json", ""},
};

/* Returns: false: it is refused. */
static bool choose_format(struct cmdi_admin_request *request, enum cmds_telemetry_format *format)
{
    const char *name = cmdi_admin_argument(request, "format");
    bool is_json = request->form == CMDI_ADMIN_JSON || (name != NULL && strcmp(name, "json") == 0);
    if (!is_json && name != NULL && strcmp(name, "text") != 0) {
        cmdi_admin_refuse(request, MHD_HTTP_BAD_REQUEST, "format is text or json.");
        return false;
    }
    *format = is_json        ? CMDS_FORMAT_JSON
              : name != NULL ? CMDS_FORMAT_PROMETHEUS
                             : cmdi_admin_accept(cmdi_admin_header(request, MHD_HTTP_HEADER_ACCEPT),
                                       offers, sizeof(offers) / sizeof(offers[0]));
    return true;
}

static bool choose_flags(struct cmdi_admin_request *request, uint32_t *flags)
{
    static const struct {
        const char *name, *on, *off; // `off`: as without it.
        uint32_t flag;
        const char *sentence;
    } rows[] = {
            {"by", "shard", "all", CMDS_READ_BY_SHARD, "by is shard, or all."},
            {"empty", "1", "0", CMDS_READ_EMPTY,
                    "empty is 1: also types that never occurred, or 0."},
            {"milliseconds", "1", "0", CMDS_READ_GO_MILLISECONDS,
                    "milliseconds is 1: durations as otelcmd-stream-go 0.2 has them, or 0."},
    };
    *flags = 0;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *value = cmdi_admin_argument(request, rows[i].name);
        bool is_on = value != NULL && strcmp(value, rows[i].on) == 0;
        if (value != NULL && !is_on && strcmp(value, rows[i].off) != 0) {
            cmdi_admin_refuse(request, MHD_HTTP_BAD_REQUEST, rows[i].sentence);
            return false;
        }
        *flags |= is_on ? rows[i].flag : 0;
    }
    return true;
}

/* Returns: 0; -ENOMEM; -EAGAIN: it grows faster than it is read; what cmds_telemetry_write() returned. */
static int64_t write_metrics(
        struct cmdi_admin_request *request, enum cmds_telemetry_format format, uint32_t flags)
{
    struct cmdi_admin_port *port = request->port;
    struct cmdi_admin_out *out = &request->out;
    size_t room = port->metrics_size > METRICS_SIZE_FIRST ? port->metrics_size : METRICS_SIZE_FIRST;
    for (uint32_t i = 0; i < METRICS_TRIES_MAX; i++) {
        if (!cmdi_admin_out_room(out, room)) {
            return -ENOMEM;
        }
        int64_t size = cmds_telemetry_write(
                request->admin->runtime, format, flags, out->data, out->capacity);
        if (size < 0) {
            return size;
        }
        room = (size_t)size + (size_t)size / 8 + 1;
        if ((size_t)size < out->capacity) {
            out->size = (size_t)size;
            port->metrics_size = room;
            return 0;
        }
    }
    return -EAGAIN;
}

void cmdi_admin_page_metrics(struct cmdi_admin_request *request)
{
    enum cmds_telemetry_format format;
    uint32_t flags;
    if (!choose_format(request, &format) || !choose_flags(request, &flags)) {
        return;
    }
    int64_t code = write_metrics(request, format, flags);
    if (code < 0) {
        cmdi_admin_refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, cmds_error_text((int)code));
        return;
    }
    request->content_type = cmds_telemetry_content_type(format);
    CMDI_ADMIN_ASSERT(request->content_type != NULL);
}

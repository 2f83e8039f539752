/* SPDX-License-Identifier: MIT */
#include "telemetry/format.h"

#include "base/assert.h"

static const struct cmdi_format_kind *kind_of(enum cmds_telemetry_format format)
{
    switch (format) {
    case CMDS_FORMAT_PROMETHEUS:
        return &cmdi_format_prometheus;
    case CMDS_FORMAT_OPENMETRICS:
        return &cmdi_format_openmetrics;
    case CMDS_FORMAT_PROMETHEUS_PROTOBUF:
        return &cmdi_format_protobuf;
    case CMDS_FORMAT_JSON:
        return &cmdi_format_json;
    }
    return NULL;
}

const char *cmds_telemetry_content_type(enum cmds_telemetry_format format)
{
    const struct cmdi_format_kind *kind = kind_of(format);
    return kind != NULL ? kind->content_type : NULL;
}

bool cmdi_format_begin(struct cmdi_format *format, enum cmds_telemetry_format kind, uint32_t flags,
        char *out, size_t size)
{
    *format = (struct cmdi_format){.kind = kind_of(kind), .output = {out, size, 0}, .flags = flags};
    if (format->kind == NULL) {
        return false;
    }
    format->kind->begin(format);
    return true;
}

int cmdi_format_point(
        void *context, const struct cmds_metric *metric, const struct cmds_point *point)
{
    struct cmdi_format *format = context;
    CMDI_ASSERT((metric->kind == CMDS_METRIC_HISTOGRAM) == (point->distribution != NULL));
    if (format->metric_name == NULL || strcmp(format->metric_name, metric->name) != 0) {
        if (format->metric_name != NULL) {
            format->kind->metric_end(format);
            format->metric_count++;
        }
        format->metric_name = metric->name;
        format->point_count = 0;
        format->kind->metric(format, metric);
    }
    format->kind->point(format, metric, point);
    format->point_count++;
    return 0;
}

int64_t cmdi_format_end(struct cmdi_format *format)
{
    if (format->metric_name != NULL) {
        format->kind->metric_end(format);
    }
    format->kind->end(format);
    struct cmdi_output *output = &format->output;
    if (output->size > 0) {
        output->out[output->used < output->size ? output->used : output->size - 1] = '\0';
    }
    return (int64_t)output->used;
}

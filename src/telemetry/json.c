/* SPDX-License-Identifier: MIT */
/*
 * JSON for programs: OpenTelemetry's names, and every number as it was counted.
 *
 *     {"metrics": [{"name", "unit", "description", "kind": "counter" | "gauge" | "histogram",
 *                   "points": [{"labels": {...}, "value"}]}]}
 *
 * A histogram's points have count, sum, scale, offset, zero_count, zero_threshold and buckets in place
 * of value: struct cmds_distribution. An exemplar has its ids in hexadecimal digits. Integers are
 * written whole, whatever a reader makes of those above 2^53; what JSON has no number for is a string.
 */
#include "telemetry/escape.h"
#include "telemetry/format.h"

static void json_text(struct cmdi_output *output, struct cmds_string text)
{
    cmdi_output_byte(output, '"');
    cmdi_escape(output, text, CMDI_ESCAPE_JSON);
    cmdi_output_byte(output, '"');
}

/* A member of which more follow or that follows others; `before` stands in front of it. */
static void json_member(struct cmdi_output *output, const char *before, const char *name)
{
    cmdi_output_text(output, before);
    json_text(output, (struct cmds_string){name, strlen(name)});
    cmdi_output_byte(output, ':');
}

static void json_real(struct cmdi_output *output, const char *name, double number)
{
    char text[CMDI_OUTPUT_REAL_SIZE];
    cmdi_real_text(number, text);
    json_member(output, ",", name);
    bool is_number = number - number == 0;
    if (is_number) {
        cmdi_output_text(output, text);
    } else {
        json_text(output, (struct cmds_string){text, strlen(text)});
    }
}

static void json_unsigned(struct cmdi_output *output, const char *name, uint64_t number)
{
    json_member(output, ",", name);
    cmdi_output_unsigned(output, number);
}

static void json_signed(struct cmdi_output *output, const char *name, int64_t number)
{
    json_member(output, ",", name);
    cmdi_output_signed(output, number);
}

static void json_distribution(
        struct cmdi_output *output, const struct cmds_distribution *distribution)
{
    uint64_t count = distribution->zero_count;
    for (uint32_t i = 0; i < distribution->bucket_count; i++) {
        count += distribution->buckets[i];
    }
    json_unsigned(output, "count", count);
    json_real(output, "sum", distribution->sum);
    json_signed(output, "scale", distribution->scale);
    json_signed(output, "offset", distribution->offset);
    json_unsigned(output, "zero_count", distribution->zero_count);
    json_real(output, "zero_threshold", distribution->zero_threshold);
    json_member(output, ",", "buckets");
    cmdi_output_byte(output, '[');
    for (uint32_t i = 0; i < distribution->bucket_count; i++) {
        cmdi_output_text(output, i > 0 ? "," : "");
        cmdi_output_unsigned(output, distribution->buckets[i]);
    }
    cmdi_output_byte(output, ']');
}

static void json_exemplar(struct cmdi_output *output, const struct cmds_exemplar *exemplar)
{
    json_member(output, ",", "exemplar");
    json_member(output, "{", "trace_id");
    cmdi_output_byte(output, '"');
    cmdi_output_hex(output, exemplar->trace_id, sizeof(exemplar->trace_id));
    cmdi_output_byte(output, '"');
    json_member(output, ",", "span_id");
    cmdi_output_byte(output, '"');
    cmdi_output_hex(output, exemplar->span_id, sizeof(exemplar->span_id));
    cmdi_output_byte(output, '"');
    json_unsigned(output, "time_ns", exemplar->time_ns);
    json_real(output, "value", exemplar->value);
    cmdi_output_byte(output, '}');
}

static void json_begin(struct cmdi_format *format)
{
    cmdi_output_text(&format->output, "{\"metrics\":[");
}

static void json_string(struct cmdi_output *output, const char *name, const char *text)
{
    text = text != NULL ? text : "";
    json_member(output, ",", name);
    json_text(output, (struct cmds_string){text, strlen(text)});
}

static void json_metric(struct cmdi_format *format, const struct cmds_metric *metric)
{
    static const char *const kinds[] = {
            [CMDS_METRIC_COUNTER] = "counter",
            [CMDS_METRIC_GAUGE] = "gauge",
            [CMDS_METRIC_HISTOGRAM] = "histogram",
    };
    struct cmdi_output *output = &format->output;
    cmdi_output_text(output, format->metric_count > 0 ? ",\n" : "\n");
    json_member(output, "{", "name");
    json_text(output, (struct cmds_string){metric->name, strlen(metric->name)});
    json_string(output, "unit", metric->unit);
    json_string(output, "description", metric->description);
    json_string(output, "kind", kinds[metric->kind]);
    json_member(output, ",", "points");
    cmdi_output_byte(output, '[');
}

static void json_point(struct cmdi_format *format, const struct cmds_metric *metric,
        const struct cmds_point *point)
{
    struct cmdi_output *output = &format->output;
    json_member(output, format->point_count > 0 ? ",{" : "{", "labels");
    cmdi_output_byte(output, '{');
    for (uint32_t i = 0; i < point->label_count; i++) {
        json_member(output, i > 0 ? "," : "", point->labels[i].key);
        json_text(output, point->labels[i].value);
    }
    cmdi_output_byte(output, '}');
    if (metric->kind == CMDS_METRIC_HISTOGRAM) {
        json_distribution(output, point->distribution);
    } else if (metric->is_real) {
        json_real(output, "value", point->real);
    } else {
        json_signed(output, "value", point->integer);
    }
    if (point->exemplar != NULL) {
        json_exemplar(output, point->exemplar);
    }
    cmdi_output_byte(output, '}');
}

static void json_metric_end(struct cmdi_format *format)
{
    cmdi_output_text(&format->output, "]}");
}

static void json_end(struct cmdi_format *format)
{
    cmdi_output_text(&format->output, "\n]}\n");
}

const struct cmdi_format_kind cmdi_format_json = {
        "application/json",
        json_begin,
        json_metric,
        json_point,
        json_metric_end,
        json_end,
};

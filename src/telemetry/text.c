/* SPDX-License-Identifier: MIT */
/*
 * Prometheus' text: format 0.0.4, and OpenMetrics 1.0.0, which differs from it in five things. A
 * counter's family has no "_total", only its samples do; there is UNIT; HELP escapes quotes; a bound
 * that is whole has ".0"; exemplars; and "# EOF" says that nothing was cut off.
 */
#include "base/hint.h"
#include "telemetry/escape.h"
#include "telemetry/format.h"

static bool is_open(const struct cmdi_format *format)
{
    return format->kind == &cmdi_format_openmetrics;
}

/* --- A family --------------------------------------------------------------------------------- */

static void text_comment(struct cmdi_format *format, const char *word)
{
    struct cmdi_output *output = &format->output;
    cmdi_output_text(output, "# ");
    cmdi_output_text(output, word);
    cmdi_output_byte(output, ' ');
    cmdi_output_text(output, is_open(format) ? format->base_name : format->name);
    cmdi_output_byte(output, ' ');
}

static void text_bounds(struct cmdi_format *format)
{
    for (uint32_t i = 0; i < format->bounds.count; i++) {
        cmdi_real_text(cmdi_bounds_value(&format->bounds, i), format->le[i]);
        size_t size = strlen(format->le[i]);
        if (is_open(format) && strcspn(format->le[i], ".e") == size) {
            memcpy(format->le[i] + size, ".0", sizeof(".0"));
        }
    }
}

static void text_metric(struct cmdi_format *format, const struct cmds_metric *metric)
{
    static const char *const types[] = {
            [CMDS_METRIC_COUNTER] = "counter",
            [CMDS_METRIC_GAUGE] = "gauge",
            [CMDS_METRIC_HISTOGRAM] = "histogram",
    };
    struct cmdi_output *output = &format->output;
    const char *unit = cmdi_name_metric(metric, format->base_name);
    cmdi_name_sample(metric, format->base_name, format->name);
    if (metric->description != NULL && metric->description[0] != '\0') {
        text_comment(format, "HELP");
        struct cmds_string text = {metric->description, strlen(metric->description)};
        cmdi_escape(output, text, is_open(format) ? CMDI_ESCAPE_QUOTED : CMDI_ESCAPE_LINE);
        cmdi_output_byte(output, '\n');
    }
    text_comment(format, "TYPE");
    cmdi_output_text(output, types[metric->kind]);
    cmdi_output_byte(output, '\n');
    if (is_open(format) && unit != NULL) {
        text_comment(format, "UNIT");
        cmdi_output_text(output, unit);
        cmdi_output_byte(output, '\n');
    }
    if (metric->kind == CMDS_METRIC_HISTOGRAM) {
        format->bounds = cmdi_bounds_of(metric, format->flags);
        text_bounds(format);
    }
}

/* --- Samples ---------------------------------------------------------------------------------- */

/* Of a point: made once, for a histogram has some thirty lines with the same ones. */
struct text_labels {
    const struct cmds_point *point;
    size_t name_size; // Of the sample.
    size_t size;      // Of `text`: "{a=\"b\",c=\"d\"", or nothing. Above that of `text`: not kept.
    char text[512];
};

static void text_write_labels(struct cmdi_output *output, const struct cmds_point *point)
{
    for (uint32_t i = 0; i < point->label_count; i++) {
        cmdi_output_byte(output, i == 0 ? '{' : ',');
        cmdi_name_label(output, point->labels[i].key);
        cmdi_output_text(output, "=\"");
        cmdi_escape(output, point->labels[i].value, CMDI_ESCAPE_QUOTED);
        cmdi_output_byte(output, '"');
    }
}

static void text_make_labels(const struct cmdi_format *format, const struct cmds_point *point,
        struct text_labels *labels)
{
    struct cmdi_output output = {labels->text, sizeof(labels->text), 0};
    text_write_labels(&output, point);
    labels->point = point;
    labels->name_size = strlen(format->name);
    labels->size = (size_t)output.used;
}

/* `le`: NULL: no such label. */
static void text_sample(struct cmdi_format *format, const struct text_labels *labels,
        const char *suffix, const char *le)
{
    struct cmdi_output *output = &format->output;
    bool has_labels = labels->point->label_count > 0;
    cmdi_output_bytes(output, format->name, labels->name_size);
    cmdi_output_text(output, suffix);
    if (CMDI_LIKELY(labels->size <= sizeof(labels->text))) {
        cmdi_output_bytes(output, labels->text, labels->size);
    } else {
        text_write_labels(output, labels->point);
    }
    if (le != NULL) {
        cmdi_output_text(output, has_labels ? ",le=\"" : "{le=\"");
        cmdi_output_text(output, le);
        cmdi_output_byte(output, '"');
    }
    cmdi_output_text(output, has_labels || le != NULL ? "} " : " ");
}

static void text_real(struct cmdi_output *output, double number)
{
    char text[CMDI_OUTPUT_REAL_SIZE];
    cmdi_real_text(number, text);
    cmdi_output_text(output, text);
}

static void text_exemplar(struct cmdi_output *output, const struct cmds_exemplar *exemplar)
{
    cmdi_output_text(output, " # {trace_id=\"");
    cmdi_output_hex(output, exemplar->trace_id, sizeof(exemplar->trace_id));
    cmdi_output_text(output, "\",span_id=\"");
    cmdi_output_hex(output, exemplar->span_id, sizeof(exemplar->span_id));
    cmdi_output_text(output, "\"} ");
    text_real(output, exemplar->value);
    cmdi_output_byte(output, ' ');
    uint64_t milliseconds = exemplar->time_ns / 1000000;
    cmdi_output_unsigned(output, milliseconds / 1000);
    const char fraction[] = {'.', (char)('0' + milliseconds % 1000 / 100),
            (char)('0' + milliseconds % 100 / 10), (char)('0' + milliseconds % 10)};
    cmdi_output_bytes(output, fraction, sizeof(fraction));
}

/* The rest of a line, with an exemplar if there is one for it. */
static void text_end_line(struct cmdi_format *format, const struct cmds_exemplar *exemplar)
{
    if (is_open(format) && exemplar != NULL) {
        text_exemplar(&format->output, exemplar);
    }
    cmdi_output_byte(&format->output, '\n');
}

static void text_number(struct cmdi_format *format, const struct cmds_metric *metric,
        const struct cmds_point *point)
{
    if (metric->is_real) {
        text_real(&format->output, point->real);
    } else {
        cmdi_output_signed(&format->output, point->integer);
    }
    text_end_line(format, metric->kind == CMDS_METRIC_COUNTER ? point->exemplar : NULL);
}

static void text_histogram(struct cmdi_format *format, const struct cmds_point *point,
        const struct text_labels *labels)
{
    struct cmdi_output *output = &format->output;
    const struct cmdi_bounds *bounds = &format->bounds;
    uint64_t counts[CMDI_BOUNDS_MAX];
    uint64_t count = cmdi_bounds_fill(bounds, point->distribution, counts);
    const struct cmds_exemplar *exemplar = point->exemplar;
    uint32_t with = exemplar != NULL ? cmdi_bounds_index(bounds, exemplar->value) : UINT32_MAX;
    for (uint32_t i = 0; i <= bounds->count; i++) {
        bool is_last = i == bounds->count;
        text_sample(format, labels, "_bucket", is_last ? "+Inf" : format->le[i]);
        cmdi_output_unsigned(output, is_last ? count : counts[i]);
        text_end_line(format, i == with ? exemplar : NULL);
    }
    text_sample(format, labels, "_sum", NULL);
    text_real(output, point->distribution->sum);
    text_end_line(format, NULL);
    text_sample(format, labels, "_count", NULL);
    cmdi_output_unsigned(output, count);
    text_end_line(format, NULL);
}

static void text_point(struct cmdi_format *format, const struct cmds_metric *metric,
        const struct cmds_point *point)
{
    struct text_labels labels;
    text_make_labels(format, point, &labels);
    if (metric->kind == CMDS_METRIC_HISTOGRAM) {
        text_histogram(format, point, &labels);
        return;
    }
    text_sample(format, &labels, "", NULL);
    text_number(format, metric, point);
}

static void text_nothing(struct cmdi_format *format)
{
    (void)format;
}

static void text_end(struct cmdi_format *format)
{
    cmdi_output_text(&format->output, "# EOF\n");
}

const struct cmdi_format_kind cmdi_format_prometheus = {
        "text/plain; version=0.0.4; charset=utf-8",
        text_nothing,
        text_metric,
        text_point,
        text_nothing,
        text_nothing,
};

const struct cmdi_format_kind cmdi_format_openmetrics = {
        "application/openmetrics-text; version=1.0.0; charset=utf-8",
        text_nothing,
        text_metric,
        text_point,
        text_nothing,
        text_end,
};

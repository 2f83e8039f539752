/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/utf8.h"
#include "support/metrics.h"

enum {
    NAME_SIZE = 512,
    FAMILIES_MAX = 512,
    LABELS_MAX = 16
};

enum type {
    TYPE_COUNTER,
    TYPE_GAUGE,
    TYPE_HISTOGRAM
};

/* One sample's line. */
struct sample {
    char name[NAME_SIZE];
    char labels[LABELS_MAX][NAME_SIZE]; // Their names.
    unsigned label_count;
    char series[4096]; // All labels but `le`, as they stand.
    char le[64];
    double value;
    bool has_exemplar;
};

struct reader {
    const char *at, *end;
    bool is_open;
    struct cmdi_metrics *found;
    char names[FAMILIES_MAX][NAME_SIZE]; // Of families that have a TYPE.
    enum type type;                      // Of the last one.
    // Of the histogram's series that is read.
    bool is_in_series;
    char series[4096];
    double last_le, last_count;
    unsigned seen; // 1: its +Inf, 2: its sum.
};

static bool is_name_char(char c, bool is_first, bool is_label)
{
    return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c == ':' && !is_label) || (c >= '0' && c <= '9' && !is_first);
}

static const char *read_name(struct reader *reader, bool is_label, char *name)
{
    size_t size = 0;
    while (reader->at < reader->end && is_name_char(*reader->at, size == 0, is_label)) {
        if (size + 1 >= NAME_SIZE) {
            return "a name is too long";
        }
        name[size++] = *reader->at++;
    }
    name[size] = '\0';
    return size > 0 ? NULL : "no name";
}

static bool take(struct reader *reader, const char *text)
{
    size_t size = strlen(text);
    if ((size_t)(reader->end - reader->at) < size || memcmp(reader->at, text, size) != 0) {
        return false;
    }
    reader->at += size;
    return true;
}

/* To the end of the line: what is left of a HELP. */
static const char *read_help(struct reader *reader)
{
    for (; reader->at < reader->end && *reader->at != '\n'; reader->at++) {
        if (*reader->at == '"' && reader->is_open) {
            return "a bare quote in HELP";
        }
        if (*reader->at == '\\') {
            reader->at++;
            if (reader->at == reader->end ||
                    strchr(reader->is_open ? "\\n\"" : "\\n", *reader->at) == NULL) {
                return "a bad escape in HELP";
            }
        }
    }
    return NULL;
}

static const char *read_comment(struct reader *reader)
{
    char name[NAME_SIZE];
    bool is_type = take(reader, "TYPE ");
    bool is_unit = !is_type && take(reader, "UNIT ");
    if (!is_type && !is_unit && !take(reader, "HELP ")) {
        return "a comment of no kind";
    }
    const char *wrong = read_name(reader, false, name);
    if (wrong != NULL || !take(reader, " ")) {
        return wrong != NULL ? wrong : "no space behind a name";
    }
    if (is_unit) {
        char unit[NAME_SIZE];
        wrong = read_name(reader, true, unit);
        size_t size = strlen(name), unit_size = strlen(unit);
        if (wrong == NULL && (size <= unit_size || strcmp(name + size - unit_size, unit) != 0)) {
            wrong = "the name does not end with its unit";
        }
        return wrong;
    }
    if (!is_type) {
        return read_help(reader);
    }
    for (unsigned i = 0; i < reader->found->families; i++) {
        if (strcmp(reader->names[i], name) == 0) {
            return "a second TYPE of this name";
        }
    }
    if (reader->found->families == FAMILIES_MAX) {
        return "too many families";
    }
    strcpy(reader->names[reader->found->families++], name);
    reader->type = TYPE_COUNTER;
    if (take(reader, "gauge")) {
        reader->type = TYPE_GAUGE;
    } else if (take(reader, "histogram")) {
        reader->type = TYPE_HISTOGRAM;
    } else if (!take(reader, "counter")) {
        return "an unknown type";
    }
    return NULL;
}

/* The value of a label, behind its first quote. */
static const char *read_value(struct reader *reader)
{
    for (; reader->at < reader->end && *reader->at != '"'; reader->at++) {
        if (*reader->at == '\n') {
            return "an end of line in a label";
        }
        if (*reader->at == '\\') {
            reader->at++;
            if (reader->at == reader->end || strchr("\\\"n", *reader->at) == NULL) {
                return "a bad escape in a label";
            }
        }
    }
    return take(reader, "\"") ? NULL : "a label does not end";
}

static const char *read_labels(struct reader *reader, struct sample *sample)
{
    size_t used = 0;
    do {
        const char *from = reader->at;
        char *name = sample->labels[sample->label_count];
        const char *wrong = read_name(reader, true, name);
        if (wrong != NULL || !take(reader, "=\"")) {
            return wrong != NULL ? wrong : "no value of a label";
        }
        for (unsigned i = 0; i < sample->label_count; i++) {
            if (strcmp(sample->labels[i], name) == 0) {
                return "the same label twice";
            }
        }
        const char *value = reader->at;
        if ((wrong = read_value(reader)) != NULL) {
            return wrong;
        }
        if (strcmp(name, "le") == 0) {
            snprintf(sample->le, sizeof(sample->le), "%.*s", (int)(reader->at - value - 1), value);
        } else if (used + (size_t)(reader->at - from) < sizeof(sample->series)) {
            memcpy(sample->series + used, from, (size_t)(reader->at - from));
            used += (size_t)(reader->at - from);
        }
        if (++sample->label_count == LABELS_MAX) {
            return "too many labels";
        }
    } while (take(reader, ","));
    return take(reader, "}") ? NULL : "labels do not end";
}

static const char *read_number(struct reader *reader, double *number)
{
    static const char digits[] = "0123456789+-.eInfNa";
    char text[64];
    size_t size = 0;
    while (reader->at < reader->end && strchr(digits, *reader->at) != NULL && *reader->at != '\0' &&
            size < 63) {
        text[size++] = *reader->at++;
    }
    text[size] = '\0';
    char *end;
    *number = strtod(text, &end);
    return size > 0 && *end == '\0' ? NULL : "no number";
}

static const char *read_exemplar(struct reader *reader)
{
    struct sample labels = {0};
    double number;
    const char *wrong = read_labels(reader, &labels);
    if (wrong == NULL && !take(reader, " ")) {
        wrong = "no value of an exemplar";
    }
    if (wrong == NULL) {
        wrong = read_number(reader, &number);
    }
    if (wrong == NULL && take(reader, " ")) {
        wrong = read_number(reader, &number);
    }
    reader->found->exemplars++;
    return wrong;
}

static const char *read_sample(struct reader *reader, struct sample *sample)
{
    const char *wrong = read_name(reader, false, sample->name);
    if (wrong == NULL && take(reader, "{")) {
        wrong = read_labels(reader, sample);
    }
    if (wrong == NULL && !take(reader, " ")) {
        wrong = "no space before a number";
    }
    if (wrong == NULL) {
        wrong = read_number(reader, &sample->value);
    }
    if (wrong == NULL && reader->is_open && take(reader, " # {")) {
        sample->has_exemplar = true;
        wrong = read_exemplar(reader);
    }
    return wrong;
}

/* --- What lines mean together ----------------------------------------------------------------- */

static const char *judge_histogram(
        struct reader *reader, const struct sample *sample, const char *suffix)
{
    if (!reader->is_in_series) {
        memcpy(reader->series, sample->series, sizeof(reader->series));
        reader->is_in_series = true;
        reader->last_le = -INFINITY;
        reader->last_count = 0;
        reader->seen = 0;
    }
    if (memcmp(reader->series, sample->series, sizeof(reader->series)) != 0) {
        return "a histogram's lines are mixed with another one's";
    }
    if (strcmp(suffix, "_bucket") == 0) {
        char *end;
        double le = strtod(sample->le, &end);
        if (sample->le[0] == '\0' || *end != '\0' || !(le > reader->last_le) || reader->seen != 0) {
            return "bounds that do not grow";
        }
        if (sample->value < reader->last_count) {
            return "buckets that fall";
        }
        reader->last_le = le;
        reader->last_count = sample->value;
        reader->seen = le == INFINITY;
        return NULL;
    }
    if (sample->le[0] != '\0' || sample->has_exemplar) {
        return "what only a bucket has";
    }
    if (strcmp(suffix, "_sum") == 0) {
        bool is_next = reader->seen == 1;
        reader->seen = 2;
        return is_next ? NULL : "no +Inf";
    }
    bool is_whole = strcmp(suffix, "_count") == 0 && reader->seen == 2;
    reader->is_in_series = false;
    return is_whole && sample->value == reader->last_count ? NULL
                                                           : "a count that is not that of +Inf";
}

static const char *judge(struct reader *reader, const struct sample *sample)
{
    if (reader->found->families == 0) {
        return "no TYPE before it";
    }
    const char *family = reader->names[reader->found->families - 1];
    size_t size = strlen(family);
    const char *suffix = sample->name + size;
    if (strncmp(sample->name, family, size) != 0) {
        return "it is not of the last family";
    }
    if (reader->type == TYPE_HISTOGRAM) {
        return judge_histogram(reader, sample, suffix);
    }
    bool is_counter = reader->type == TYPE_COUNTER;
    bool has_total = size > 6 && strcmp(family + size - 6, "_total") == 0;
    if (is_counter && !reader->is_open && !has_total) {
        return "a counter without _total";
    }
    if (is_counter && reader->is_open && has_total) {
        return "a counter's family with _total";
    }
    if (strcmp(suffix, is_counter && reader->is_open ? "_total" : "") != 0) {
        return "a suffix that the type does not have";
    }
    return sample->has_exemplar && !is_counter ? "an exemplar of a gauge" : NULL;
}

static const char *read_line(struct reader *reader)
{
    if (take(reader, "# ")) {
        if (reader->is_open && take(reader, "EOF\n")) {
            return reader->at == reader->end ? NULL : "more behind EOF";
        }
        return reader->is_in_series ? "a histogram without its count" : read_comment(reader);
    }
    static struct sample sample;
    sample = (struct sample){.value = 0};
    const char *wrong = read_sample(reader, &sample);
    reader->found->samples++;
    return wrong != NULL ? wrong : judge(reader, &sample);
}

const char *cmdi_metrics_text(
        const char *text, size_t size, bool is_open, struct cmdi_metrics *found, unsigned *line)
{
    static struct reader reader; // Large.
    reader = (struct reader){.at = text, .end = text + size, .is_open = is_open, .found = found};
    *found = (struct cmdi_metrics){0};
    *line = 0;
    if (!cmdi_utf8_is_valid(text, size)) {
        return "no UTF-8";
    }
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if ((c < 0x20 && c != '\n') || c == 0x7f) {
            return "a control character";
        }
    }
    if (is_open && (size < 6 || memcmp(text + size - 6, "# EOF\n", 6) != 0)) {
        return "no EOF";
    }
    while (reader.at < reader.end) {
        ++*line;
        const char *wrong = read_line(&reader);
        if (wrong == NULL && reader.at < reader.end && !take(&reader, "\n")) {
            wrong = "more on the line";
        }
        if (wrong != NULL) {
            return wrong;
        }
    }
    return reader.is_in_series ? "a histogram without its count" : NULL;
}

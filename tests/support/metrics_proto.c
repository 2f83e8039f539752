/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "common/utf8.h"
#include "support/metrics.h"

/* A message, or what is left of it. */
struct part {
    const uint8_t *at, *end;
};

struct field {
    uint32_t number;
    uint32_t wire;
    uint64_t value;   // Of wire types 0 and 1.
    struct part part; // Of wire type 2.
};

static bool read_varint(struct part *part, uint64_t *value)
{
    *value = 0;
    for (unsigned shift = 0; shift < 64 && part->at < part->end; shift += 7) {
        uint8_t byte = *part->at++;
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            return true;
        }
    }
    return false;
}

static bool read_part(struct part *part, struct part *inner)
{
    uint64_t size;
    if (!read_varint(part, &size) || size > (uint64_t)(part->end - part->at)) {
        return false;
    }
    *inner = (struct part){part->at, part->at + size};
    part->at += size;
    return true;
}

static bool read_field(struct part *part, struct field *field)
{
    uint64_t tag;
    if (!read_varint(part, &tag)) {
        return false;
    }
    field->number = (uint32_t)(tag >> 3);
    field->wire = tag & 7;
    switch (field->wire) {
    case 0:
        return read_varint(part, &field->value);
    case 1:
        if (part->end - part->at < 8) {
            return false;
        }
        memcpy(&field->value, part->at, 8);
        part->at += 8;
        return true;
    case 2:
        return read_part(part, &field->part);
    default:
        return false;
    }
}

static double real_of(const struct field *field)
{
    double real;
    memcpy(&real, &field->value, sizeof(real));
    return real;
}

static int64_t unzigzag(uint64_t value)
{
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

static const char *read_label(struct part part)
{
    struct field field;
    for (unsigned i = 1; i <= 2; i++) {
        if (!read_field(&part, &field) || field.number != i || field.wire != 2) {
            return "a label is no name and value";
        }
        if (!cmdi_utf8_is_valid(field.part.at, (size_t)(field.part.end - field.part.at))) {
            return "no UTF-8";
        }
    }
    return part.at == part.end ? NULL : "more in a label";
}

static const char *read_exemplar(struct part part, struct cmdi_metrics *found)
{
    found->exemplars++;
    struct field field;
    while (part.at < part.end) {
        if (!read_field(&part, &field)) {
            return "a bad field of an exemplar";
        }
        const char *wrong = NULL;
        if (field.number == 1 && field.wire == 2) {
            wrong = read_label(field.part);
        } else if (!(field.number == 2 && field.wire == 1) &&
                   !(field.number == 3 && field.wire == 2)) {
            wrong = "an unknown field of an exemplar";
        }
        if (wrong != NULL) {
            return wrong;
        }
    }
    return NULL;
}

/* --- Histograms ------------------------------------------------------------------------------- */

struct histogram {
    uint64_t count, zero_count, native, last_count;
    double last_bound;
    int64_t schema, index;
    uint64_t span_buckets, delta_count;
    double zero_threshold;
};

static const char *read_bucket(
        struct histogram *histogram, struct part part, struct cmdi_metrics *found)
{
    struct field count, bound, exemplar;
    if (!read_field(&part, &count) || count.number != 1 || count.wire != 0 ||
            !read_field(&part, &bound) || bound.number != 2 || bound.wire != 1) {
        return "a bucket is no count and bound";
    }
    if (!(real_of(&bound) > histogram->last_bound) || count.value < histogram->last_count) {
        return "buckets that do not grow";
    }
    histogram->last_bound = real_of(&bound);
    histogram->last_count = count.value;
    if (part.at == part.end) {
        return NULL;
    }
    if (!read_field(&part, &exemplar) || exemplar.number != 3 || exemplar.wire != 2) {
        return "more in a bucket";
    }
    return read_exemplar(exemplar.part, found);
}

static const char *read_span(struct histogram *histogram, struct part part)
{
    struct field offset, length;
    if (!read_field(&part, &offset) || offset.number != 1 || offset.wire != 0 ||
            !read_field(&part, &length) || length.number != 2 || length.wire != 0) {
        return "a span is no offset and length";
    }
    if (histogram->span_buckets > 0 && unzigzag(offset.value) < 0) {
        return "spans that go back";
    }
    histogram->index += unzigzag(offset.value) + (int64_t)length.value;
    histogram->span_buckets += length.value;
    return NULL;
}

static const char *read_deltas(struct histogram *histogram, struct part part)
{
    int64_t count = 0;
    while (part.at < part.end) {
        uint64_t delta;
        if (!read_varint(&part, &delta)) {
            return "a bad delta";
        }
        count += unzigzag(delta);
        if (count < 0) {
            return "a bucket below zero";
        }
        histogram->native += (uint64_t)count;
        histogram->delta_count++;
    }
    return NULL;
}

static const char *read_histogram_field(
        struct histogram *histogram, const struct field *field, struct cmdi_metrics *found)
{
    switch (field->number << 3 | field->wire) {
    case 1 << 3 | 0:
        histogram->count = field->value;
        return NULL;
    case 2 << 3 | 1:
        return NULL;
    case 3 << 3 | 2:
        return read_bucket(histogram, field->part, found);
    case 5 << 3 | 0:
        histogram->schema = unzigzag(field->value);
        return histogram->schema >= -4 && histogram->schema <= 8 ? NULL : "no such schema";
    case 6 << 3 | 1:
        histogram->zero_threshold = real_of(field);
        return NULL;
    case 7 << 3 | 0:
        histogram->zero_count = field->value;
        return NULL;
    case 12 << 3 | 2:
        return read_span(histogram, field->part);
    case 13 << 3 | 2:
        return read_deltas(histogram, field->part);
    default:
        return "an unknown field of a histogram";
    }
}

static const char *read_histogram(struct part part, struct cmdi_metrics *found)
{
    struct histogram histogram = {.last_bound = -INFINITY};
    while (part.at < part.end) {
        struct field field;
        if (!read_field(&part, &field)) {
            return "a bad field of a histogram";
        }
        const char *wrong = read_histogram_field(&histogram, &field, found);
        if (wrong != NULL) {
            return wrong;
        }
    }
    if (histogram.last_bound != INFINITY || histogram.last_count != histogram.count) {
        return "buckets do not end with the count";
    }
    if (histogram.native + histogram.zero_count != histogram.count) {
        return "native buckets are not the count";
    }
    return histogram.span_buckets == histogram.delta_count ? NULL : "spans are not the buckets";
}

/* --- Points and families ---------------------------------------------------------------------- */

static const char *read_value(struct part part, bool is_counter, struct cmdi_metrics *found)
{
    struct field value, exemplar;
    if (!read_field(&part, &value) || value.number != 1 || value.wire != 1) {
        return "no value";
    }
    if (part.at == part.end) {
        return NULL;
    }
    if (!read_field(&part, &exemplar) || exemplar.number != 2 || exemplar.wire != 2 ||
            !is_counter || part.at != part.end) {
        return "more beside a value";
    }
    return read_exemplar(exemplar.part, found);
}

static const char *read_point(struct part part, uint64_t type, struct cmdi_metrics *found)
{
    found->samples++;
    bool has_value = false;
    while (part.at < part.end) {
        struct field field;
        if (!read_field(&part, &field) || field.wire != 2) {
            return "a bad field of a point";
        }
        const char *wrong = "a point of another type";
        if (field.number == 1) {
            wrong = has_value ? "a label behind the value" : read_label(field.part);
        } else if (field.number == 7 && type == 4) {
            wrong = read_histogram(field.part, found);
        } else if ((field.number == 2 && type == 1) || (field.number == 3 && type == 0)) {
            wrong = read_value(field.part, type == 0, found);
        }
        has_value = field.number != 1;
        if (wrong != NULL) {
            return wrong;
        }
    }
    return has_value ? NULL : "a point without a value";
}

static const char *read_family(struct part part, struct cmdi_metrics *found)
{
    struct field field;
    uint64_t type = UINT64_MAX;
    found->families++;
    if (!read_field(&part, &field) || field.number != 1 || field.wire != 2 ||
            field.part.at == field.part.end) {
        return "a family without a name";
    }
    while (part.at < part.end) {
        const char *wrong = NULL;
        if (!read_field(&part, &field)) {
            return "a bad field of a family";
        }
        if (field.number == 2 && field.wire == 2) {
            size_t size = (size_t)(field.part.end - field.part.at);
            wrong = cmdi_utf8_is_valid(field.part.at, size) ? NULL : "no UTF-8";
        } else if (field.number == 3 && field.wire == 0) {
            type = field.value;
        } else if (field.number == 4 && field.wire == 2) {
            wrong = read_point(field.part, type, found);
        } else {
            wrong = "an unknown field of a family";
        }
        if (wrong != NULL) {
            return wrong;
        }
    }
    return NULL;
}

const char *cmdi_metrics_proto(const void *data, size_t size, struct cmdi_metrics *found)
{
    struct part all = {data, (const uint8_t *)data + size};
    *found = (struct cmdi_metrics){0};
    while (all.at < all.end) {
        struct part family;
        if (!read_part(&all, &family)) {
            return "a family is cut off";
        }
        const char *wrong = read_family(family, found);
        if (wrong != NULL) {
            return wrong;
        }
    }
    return NULL;
}

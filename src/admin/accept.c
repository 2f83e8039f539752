/* SPDX-License-Identifier: MIT */
/* See accept.h. The most specific range that names an offer says its quality, as RFC 9110 wants it. */
#include "admin/accept.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "admin/common.h"

enum {
    QUALITY_MAX = 1000,
};

struct piece {
    const char *data;
    size_t size;
};

/* How closely a range names an offer. */
enum closeness {
    CLOSE_NOT,
    CLOSE_ANY,  // */*
    CLOSE_KIND, // text/*
    CLOSE_TYPE,
    CLOSE_PARAMETERS, // The type, and a parameter of it.
};

struct range {
    struct piece type; // "text/plain"
    struct piece parameters;
    uint32_t quality; // In thousandths.
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static struct piece trimmed(const char *from, const char *to)
{
    while (from < to && is_blank(*from)) {
        from++;
    }
    while (from < to && is_blank(to[-1])) {
        to--;
    }
    return (struct piece){from, (size_t)(to - from)};
}

static bool same(struct piece piece, const char *text, size_t size)
{
    return piece.size == size && strncasecmp(piece.data, text, size) == 0;
}

/* Where the next separator is, quotes apart; `end` if there is none. */
static const char *until(const char *at, const char *end, char separator)
{
    bool quoted = false;
    for (; at < end; at++) {
        if (*at == '"') {
            quoted = !quoted;
        } else if (*at == separator && !quoted) {
            break;
        }
    }
    return at;
}

/* Takes "name=value" from the front. Returns: false: there is none left. */
static bool take_parameter(struct piece *rest, struct piece *name, struct piece *value)
{
    const char *end = rest->data + rest->size;
    if (rest->size == 0) {
        return false;
    }
    const char *stop = until(rest->data, end, ';');
    const char *equals = until(rest->data, stop, '=');
    *name = trimmed(rest->data, equals);
    *value = trimmed(equals < stop ? equals + 1 : stop, stop);
    if (value->size >= 2 && value->data[0] == '"' && value->data[value->size - 1] == '"') {
        *value = (struct piece){value->data + 1, value->size - 2};
    }
    *rest = stop < end ? (struct piece){stop + 1, (size_t)(end - stop - 1)}
                       : (struct piece){end, 0};
    return true;
}

/* "0.25" is 250. What is no number is 0: then it is not wanted. */
static uint32_t parse_quality(struct piece text)
{
    uint32_t quality = 0, digit_value = QUALITY_MAX;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (i == 1 ? c != '.' : c < '0' || c > '9') {
            return 0;
        }
        if (i != 1) {
            quality += (uint32_t)(c - '0') * digit_value;
            digit_value /= 10;
        }
    }
    return quality < QUALITY_MAX ? quality : QUALITY_MAX;
}

static struct range parse_range(const char *from, const char *to)
{
    const char *stop = until(from, to, ';');
    struct range range = {.type = trimmed(from, stop), .quality = QUALITY_MAX};
    range.parameters =
            stop < to ? (struct piece){stop + 1, (size_t)(to - stop - 1)} : trimmed(to, to);
    struct piece rest = range.parameters, name, value;
    while (take_parameter(&rest, &name, &value)) {
        if (same(name, "q", 1)) {
            range.quality = parse_quality(value);
        }
    }
    return range;
}

/* Returns: 1: the offer has it so; -1: it has another value; 0: it does not have it. */
static int offer_has(const char *parameters, struct piece name, struct piece value)
{
    struct piece rest = {parameters, strlen(parameters)}, own_name, own_value;
    while (take_parameter(&rest, &own_name, &own_value)) {
        if (same(name, own_name.data, own_name.size)) {
            return same(value, own_value.data, own_value.size) ? 1 : -1;
        }
    }
    return 0;
}

static enum closeness range_names(const struct range *range, const struct cmdi_admin_offer *offer)
{
    size_t kind_size = strcspn(offer->type, "/") + 1;
    if (same(range->type, "*/*", 3)) {
        return CLOSE_ANY;
    }
    if (range->type.size == kind_size + 1 && range->type.data[kind_size] == '*' &&
            strncasecmp(range->type.data, offer->type, kind_size) == 0) {
        return CLOSE_KIND;
    }
    if (!same(range->type, offer->type, strlen(offer->type))) {
        return CLOSE_NOT;
    }
    enum closeness closeness = CLOSE_TYPE;
    struct piece rest = range->parameters, name, value;
    while (take_parameter(&rest, &name, &value)) {
        int has = same(name, "q", 1) ? 0 : offer_has(offer->parameters, name, value);
        if (has < 0) {
            return CLOSE_NOT;
        }
        closeness = has > 0 ? CLOSE_PARAMETERS : closeness;
    }
    return closeness;
}

uint32_t cmdi_admin_accept(
        const char *accept, const struct cmdi_admin_offer *offers, uint32_t count)
{
    CMDI_ADMIN_ASSERT(count > 0 && count <= CMDI_ADMIN_OFFERS_MAX);
    uint32_t qualities[CMDI_ADMIN_OFFERS_MAX] = {0};
    enum closeness closest[CMDI_ADMIN_OFFERS_MAX] = {CLOSE_NOT};
    const char *end = accept == NULL ? NULL : accept + strlen(accept);
    for (const char *at = accept; at < end;) {
        const char *stop = until(at, end, ',');
        struct range range = parse_range(at, stop);
        for (uint32_t i = 0; i < count; i++) {
            enum closeness closeness = range_names(&range, &offers[i]);
            if (closeness > closest[i]) {
                closest[i] = closeness;
                qualities[i] = range.quality;
            }
        }
        at = stop < end ? stop + 1 : end;
    }
    uint32_t best = 0;
    for (uint32_t i = 1; i < count; i++) {
        if (qualities[i] > qualities[best] ||
                (qualities[i] == qualities[best] && qualities[i] > 0 &&
                        closest[i] > closest[best])) {
            best = i;
        }
    }
    return best;
}

/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "common/utf8.h"
#include "support/metrics.h"

enum {
    DEPTH_MAX = 32
};

struct reader {
    const char *at, *end;
    unsigned depth;
};

static const char *read_any(struct reader *reader);

static bool take(struct reader *reader, char c)
{
    while (reader->at < reader->end && (*reader->at == ' ' || *reader->at == '\n')) {
        reader->at++;
    }
    if (reader->at == reader->end || *reader->at != c) {
        return false;
    }
    reader->at++;
    return true;
}

/* Behind its first quote. */
static const char *read_string(struct reader *reader)
{
    while (reader->at < reader->end && *reader->at != '"') {
        if ((unsigned char)*reader->at < 0x20) {
            return "a control character";
        }
        if (*reader->at == '\\') {
            reader->at++;
            if (reader->at == reader->end || strchr("\"\\u", *reader->at) == NULL) {
                return "a bad escape";
            }
            if (*reader->at == 'u' && reader->end - reader->at < 5) {
                return "an escape is cut off";
            }
        }
        reader->at++;
    }
    return take(reader, '"') ? NULL : "a string does not end";
}

static const char *read_members(struct reader *reader, bool is_object)
{
    char last = is_object ? '}' : ']';
    if (take(reader, last)) {
        return NULL;
    }
    do {
        if (is_object) {
            if (!take(reader, '"')) {
                return "a member without a name";
            }
            const char *wrong = read_string(reader);
            if (wrong != NULL || !take(reader, ':')) {
                return wrong != NULL ? wrong : "no colon";
            }
        }
        const char *wrong = read_any(reader);
        if (wrong != NULL) {
            return wrong;
        }
    } while (take(reader, ','));
    return take(reader, last) ? NULL : "it does not end";
}

static const char *read_number(struct reader *reader)
{
    const char *from = reader->at;
    bool has_digit = false;
    while (reader->at < reader->end && strchr("0123456789+-.e", *reader->at) != NULL) {
        has_digit = has_digit || (*reader->at >= '0' && *reader->at <= '9');
        reader->at++;
    }
    return has_digit && *from != '+' && *from != '.' ? NULL : "no value";
}

static const char *read_any(struct reader *reader)
{
    if (reader->depth == DEPTH_MAX) {
        return "too deep";
    }
    reader->depth++;
    const char *wrong;
    if (take(reader, '{')) {
        wrong = read_members(reader, true);
    } else if (take(reader, '[')) {
        wrong = read_members(reader, false);
    } else if (take(reader, '"')) {
        wrong = read_string(reader);
    } else {
        wrong = read_number(reader);
    }
    reader->depth--;
    return wrong;
}

const char *cmdi_metrics_json(const char *text, size_t size)
{
    struct reader reader = {text, text + size, 0};
    if (!cmdi_utf8_is_valid(text, size) || memchr(text, 0, size) != NULL) {
        return "no UTF-8, or a NUL";
    }
    const char *wrong = read_any(&reader);
    if (wrong == NULL && (!take(&reader, '\0') && reader.at < reader.end)) {
        wrong = "more behind it";
    }
    return wrong;
}

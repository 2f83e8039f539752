/* SPDX-License-Identifier: MIT */
/* See pairs.h. */
#include "otel/pairs.h"

#include <errno.h>

#include "base/assert.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static struct cmds_string trim(struct cmds_string text)
{
    while (text.size > 0 && is_blank(text.data[0])) {
        text.data++;
        text.size--;
    }
    while (text.size > 0 && is_blank(text.data[text.size - 1])) {
        text.size--;
    }
    return text;
}

static int digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A '%' without two digits behind it is itself. Returns: the size of what is in `out`. */
static size_t decode(char *out, struct cmds_string text)
{
    size_t size = 0;
    for (size_t i = 0; i < text.size; i++) {
        bool escaped = text.data[i] == '%' && text.size - i > 2 && digit(text.data[i + 1]) >= 0 &&
                       digit(text.data[i + 2]) >= 0;
        if (escaped) {
            out[size++] = (char)(digit(text.data[i + 1]) << 4 | digit(text.data[i + 2]));
            i += 2;
        } else {
            out[size++] = text.data[i];
        }
    }
    out[size] = '\0';
    return size;
}

int cmdi_pairs_next(const char **text, char *buffer, size_t size, struct cmds_pair *pair)
{
    struct cmds_string element = {.size = 0};
    while (element.size == 0) {
        if (**text == '\0') {
            return 0;
        }
        size_t length = strcspn(*text, ",");
        element = trim((struct cmds_string){*text, length});
        *text += length + ((*text)[length] == ',');
    }
    CMDI_ASSERT(size >= element.size + 2);
    const char *equals = memchr(element.data, '=', element.size);
    if (equals == NULL) {
        return -EINVAL;
    }
    struct cmds_string key =
            trim((struct cmds_string){element.data, (size_t)(equals - element.data)});
    size_t left = element.size - (size_t)(equals - element.data) - 1;
    struct cmds_string value = trim((struct cmds_string){equals + 1, left});
    if (key.size == 0) {
        return -EINVAL;
    }
    memcpy(buffer, key.data, key.size);
    buffer[key.size] = '\0';
    pair->key = (struct cmds_string){buffer, key.size};
    pair->value.data = buffer + key.size + 1;
    pair->value.size = decode(buffer + key.size + 1, value);
    return 1;
}

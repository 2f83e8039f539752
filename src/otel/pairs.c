/* SPDX-License-Identifier: MIT */
/* See pairs.h. */
#include "otel/pairs.h"

#include <errno.h>
#include <stdlib.h>

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

/* Returns: false: a '%' without two digits behind it. */
static bool decode(char *out, struct cmds_string text, size_t *size)
{
    *size = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] != '%') {
            out[(*size)++] = text.data[i];
        } else if (text.size - i > 2 && digit(text.data[i + 1]) >= 0 &&
                   digit(text.data[i + 2]) >= 0) {
            out[(*size)++] = (char)(digit(text.data[i + 1]) << 4 | digit(text.data[i + 2]));
            i += 2;
        } else {
            return false;
        }
    }
    out[*size] = '\0';
    return true;
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
    return decode(buffer + key.size + 1, value, &pair->value.size) ? 1 : -EILSEQ;
}

int cmdi_pairs_check(const char *text)
{
    size_t size = text == NULL ? 1 : strlen(text) + 2;
    char *buffer = malloc(size);
    struct cmds_pair pair;
    int code = buffer == NULL ? -ENOMEM : 1;
    while (text != NULL && code > 0) {
        code = cmdi_pairs_next(&text, buffer, size, &pair);
    }
    if (buffer != NULL) {
        explicit_bzero(buffer, size); // Headers are secrets.
        free(buffer);
    }
    return code < 0 ? code : 0;
}

const char *cmdi_pairs_wanted(int code)
{
    return code == -EILSEQ
                   ? "key=value with two hexadecimal digits behind each % (%25 is the sign itself)"
                   : "key=value everywhere, with commas";
}

/* SPDX-License-Identifier: MIT */
/* See out.h. */
#include "admin/out.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/common.h"

enum {
    OUT_CAPACITY_MIN = 4096,
};

void cmdi_admin_out_free(struct cmdi_admin_out *out)
{
    free(out->data);
    *out = (struct cmdi_admin_out){0};
}

bool cmdi_admin_out_room(struct cmdi_admin_out *out, size_t size)
{
    if (out->failed || out->capacity - out->size >= size) {
        return !out->failed;
    }
    size_t capacity = out->capacity > OUT_CAPACITY_MIN ? out->capacity : OUT_CAPACITY_MIN;
    while (capacity - out->size < size && capacity <= SIZE_MAX / 2) {
        capacity *= 2;
    }
    char *data = capacity - out->size >= size ? realloc(out->data, capacity) : NULL;
    if (data == NULL) {
        out->failed = true;
        return false;
    }
    out->data = data;
    out->capacity = capacity;
    return true;
}

void cmdi_admin_out_bytes(struct cmdi_admin_out *out, const void *data, size_t size)
{
    if (size > 0 && cmdi_admin_out_room(out, size)) {
        memcpy(out->data + out->size, data, size);
        out->size += size;
    }
}

void cmdi_admin_out_text(struct cmdi_admin_out *out, const char *text)
{
    cmdi_admin_out_bytes(out, text, strlen(text));
}

void cmdi_admin_out_format(struct cmdi_admin_out *out, const char *format, ...)
{
    char text[512];
    va_list list;
    va_start(list, format);
    int length = vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    // What may be longer is written by the other functions.
    CMDI_ADMIN_ASSERT(length >= 0 && (size_t)length < sizeof(text));
    cmdi_admin_out_bytes(out, text, (size_t)length);
}

void cmdi_admin_out_plain(struct cmdi_admin_out *out, struct cmds_string text)
{
    if (!cmdi_admin_out_room(out, text.size)) {
        return;
    }
    for (size_t i = 0; i < text.size; i++) {
        unsigned char byte = (unsigned char)text.data[i];
        out->data[out->size++] = byte < 0x20 || byte == 0x7f ? '?' : text.data[i];
    }
}

/* --- JSON ------------------------------------------------------------------------------------- */

/* The size of the character that begins here; 0: it is not UTF-8. */
static size_t utf8_size(const unsigned char *at, size_t left)
{
    size_t size = at[0] < 0x80                     ? 1
                  : at[0] >= 0xc2 && at[0] <= 0xdf ? 2
                  : (at[0] & 0xf0) == 0xe0         ? 3
                  : at[0] >= 0xf0 && at[0] <= 0xf4 ? 4
                                                   : 0;
    if (size == 0 || size > left) {
        return 0;
    }
    for (size_t i = 1; i < size; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    // Too long for what it says, a half of a pair, beyond the last one.
    bool is_wrong = (at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) ||
                    (at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f);
    return is_wrong ? 0 : size;
}

void cmdi_admin_out_json(struct cmdi_admin_out *out, struct cmds_string text)
{
    const unsigned char *data = (const unsigned char *)text.data;
    cmdi_admin_out_text(out, "\"");
    for (size_t i = 0, size; i < text.size; i += size) {
        size = utf8_size(data + i, text.size - i);
        if (size == 0) {
            cmdi_admin_out_text(out, "?");
            size = 1;
        } else if (data[i] == '"' || data[i] == '\\') {
            cmdi_admin_out_format(out, "\\%c", data[i]);
        } else if (data[i] < 0x20 || data[i] == 0x7f) {
            cmdi_admin_out_format(out, "\\u%04x", data[i]);
        } else {
            cmdi_admin_out_bytes(out, data + i, size);
        }
    }
    cmdi_admin_out_text(out, "\"");
}

/* SPDX-License-Identifier: MIT */
/*
 * The body of a response while it grows. If memory runs out it stays failed, and whoever wrote it looks
 * at the end. The thread that owns it.
 */
#ifndef CMDI_ADMIN_OUT_H
#define CMDI_ADMIN_OUT_H

#include <stdbool.h>
#include <stddef.h>

#include <cmdstream/base.h>

/** {0} is an empty one. */
struct cmdi_admin_out {
    char *data; // Of malloc; NULL as long as it is empty.
    size_t size, capacity;
    bool failed; // Something is missing; nothing is added any more.
};

void cmdi_admin_out_free(struct cmdi_admin_out *out);
/** Room for `size` more bytes, at data + size. Returns: false: it has failed. */
bool cmdi_admin_out_room(struct cmdi_admin_out *out, size_t size);
void cmdi_admin_out_bytes(struct cmdi_admin_out *out, const void *data, size_t size);
void cmdi_admin_out_text(struct cmdi_admin_out *out, const char *text);
void cmdi_admin_out_format(struct cmdi_admin_out *out, const char *format, ...)
        __attribute__((format(printf, 2, 3)));
/** For a terminal: control characters become '?'. */
void cmdi_admin_out_plain(struct cmdi_admin_out *out, struct cmds_string text);
/** A string of JSON, in quotes. A byte that is not UTF-8 becomes '?'. */
void cmdi_admin_out_json(struct cmdi_admin_out *out, struct cmds_string text);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * PEM: text with blocks between "-----BEGIN label-----" and "-----END label-----". Bytes in, blocks out.
 * No memory, any thread.
 *
 * What stands between blocks is skipped, as everybody does: comments, the certificate in words. A block
 * that was begun and has no end is what a half-written file has, so it is never skipped.
 */
#ifndef CMDI_TLS_PEM_H
#define CMDI_TLS_PEM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmdstream/base.h>

struct cmdi_pem {
    const char *at, *end;
};

struct cmdi_pem_block {
    struct cmds_string label; // "CERTIFICATE"
    struct cmds_string body;  // Lines of base64, and before them perhaps headers.
    struct cmds_bytes all;    // From the first dash to the last.
};

enum cmdi_pem_result {
    CMDI_PEM_BLOCK,
    CMDI_PEM_END,
    CMDI_PEM_CUT, // A block has begun, and its end is not there.
};

/** A mark in front that says that it is UTF-8 is left out: the first block stands at the start of a line. */
static inline struct cmdi_pem cmdi_pem_begin(struct cmds_bytes text)
{
    const char *data = text.data;
    if (text.size >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0) {
        data += 3;
        text.size -= 3;
    }
    return (struct cmdi_pem){data, text.size > 0 ? data + text.size : data};
}

/** Owner: *block borrows the text. Returns: BLOCK; END or CUT: *block is untouched. */
enum cmdi_pem_result cmdi_pem_next(struct cmdi_pem *pem, struct cmdi_pem_block *block);

/** How many bytes a body of so many characters has at most. */
static inline size_t cmdi_pem_size_max(size_t characters)
{
    return characters / 4 * 3 + 3;
}

/**
 * Decodes a body. White space counts for nothing; everything else must be base64, with its padding.
 *
 * `out`:   cmdi_pem_size_max(body.size) bytes.
 * Returns: how many there are; 0: it is no base64, or has headers, or nothing.
 */
size_t cmdi_pem_decode(struct cmds_string body, uint8_t *out);

#endif

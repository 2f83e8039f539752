/* SPDX-License-Identifier: MIT */
/*
 * SHA-256 over parts, each with its size in front: no two lists of parts give the same bytes. By
 * wolfSSL, whose SHA-256 needs no memory and cannot fail. Any thread.
 */
#ifndef CMDI_TLS_DIGEST_H
#define CMDI_TLS_DIGEST_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmdstream/base.h>

#include "base/assert.h"
#include "tls/wolf.h"

#include <wolfssl/wolfcrypt/sha256.h>

enum {
    CMDI_DIGEST_SIZE = 32
};

struct cmdi_digest {
    wc_Sha256 state;
};

static inline void cmdi_digest_begin(struct cmdi_digest *digest)
{
    CMDI_ASSERT(wc_InitSha256(&digest->state) == 0);
}

static inline void cmdi_digest_add(struct cmdi_digest *digest, struct cmds_bytes part)
{
    uint64_t size = part.size;
    CMDI_ASSERT(part.size <= UINT32_MAX);
    CMDI_ASSERT(wc_Sha256Update(&digest->state, (const byte *)&size, sizeof(size)) == 0);
    if (size > 0) {
        CMDI_ASSERT(wc_Sha256Update(&digest->state, part.data, (word32)part.size) == 0);
    }
}

/** NULL is something else than "". */
static inline void cmdi_digest_add_text(struct cmdi_digest *digest, const char *text)
{
    size_t size = text != NULL ? strlen(text) + 1 : 0;
    cmdi_digest_add(digest, (struct cmds_bytes){text, size});
}

static inline void cmdi_digest_add_number(struct cmdi_digest *digest, uint64_t number)
{
    cmdi_digest_add(digest, (struct cmds_bytes){&number, sizeof(number)});
}

static inline void cmdi_digest_end(struct cmdi_digest *digest, uint8_t out[CMDI_DIGEST_SIZE])
{
    CMDI_ASSERT(wc_Sha256Final(&digest->state, out) == 0);
    wc_Sha256Free(&digest->state);
}

#endif

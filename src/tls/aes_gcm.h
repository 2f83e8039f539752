/* SPDX-License-Identifier: MIT */
/*
 * AES-GCM by libgcrypt: 20 times as fast as a wolfSSL that has no assembly. It knows nothing of wolfSSL.
 *
 * A cipher's handle is 2 KB and takes 0.1 us to get its key, so a thread keeps a few. Nobody says when a
 * key is not needed any more: a handle serves one owner until another takes its place, and whether it
 * has the right key is seen by the key itself. All are wiped when their thread ends.
 *
 * Any thread, after cmdi_aes_gcm_start().
 */
#ifndef CMDI_TLS_AES_GCM_H
#define CMDI_TLS_AES_GCM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CMDI_AES_GCM_IV_SIZE = 12,
    CMDI_AES_GCM_TAG_SIZE = 16,
    CMDI_AES_GCM_HANDLES = 16, // Of a thread: eight connections in turn, without a key set anew.
};

/** One record. All is borrowed until the call returns. */
struct cmdi_aes_gcm {
    const void *owner;  // Whose key it is: a handle is looked for by it.
    const uint8_t *key; // Of 16 or 32 bytes.
    size_t key_size;
    const uint8_t *iv; // CMDI_AES_GCM_IV_SIZE
    const uint8_t *extra;
    size_t extra_size; // What is authenticated and not encrypted.
    const uint8_t *in; // May be `out`.
    uint8_t *out;
    size_t size; // May be 0, and then `in` and `out` NULL.
};

/**
 * Makes libgcrypt ready, unless the application has: without secure memory, which nothing here uses. An
 * application that wants it otherwise does that before it makes its first cmds_tls.
 *
 * Thread:  any, one at a time.
 * Returns: false, each time: it is not to be used: too old, this CPU does not help it, a wrong answer.
 */
bool cmdi_aes_gcm_start(void);
/** After that. As fast as any: VAES, in a release that uses it. */
bool cmdi_aes_gcm_is_best(void);
/** "1.10.1" */
const char *cmdi_aes_gcm_version(void);

/**
 * Returns: 0; -ENOTSUP: nothing was done, somebody else may (another size of key, no memory); -EIO:
 *          what `out` holds is lost.
 */
int cmdi_aes_gcm_seal(const struct cmdi_aes_gcm *record, uint8_t tag[CMDI_AES_GCM_TAG_SIZE]);
/** Returns: as above; -EBADMSG: the tag is wrong, and `out` was wiped. */
int cmdi_aes_gcm_open(const struct cmdi_aes_gcm *record, const uint8_t tag[CMDI_AES_GCM_TAG_SIZE]);

/** After the start: wipes the keys that this thread keeps; the handles stay. */
void cmdi_aes_gcm_forget(void);

/** How many handles this thread has, and keys, for tests. */
unsigned cmdi_aes_gcm_handles(void);
unsigned cmdi_aes_gcm_keys(void);

#endif

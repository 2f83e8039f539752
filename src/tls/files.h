/* SPDX-License-Identifier: MIT */
/*
 * Files of certificates and keys, read whole into memory before anything is made of them: opened once, so
 * that what was checked is what was read.
 */
#ifndef CMDI_TLS_FILES_H
#define CMDI_TLS_FILES_H

#include <stdbool.h>
#include <stddef.h>

#include <cmdstream/base.h>

enum {
    CMDI_FILE_KEY_SIZE_MAX = 64 * 1024,
    CMDI_FILE_CHAIN_SIZE_MAX = 512 * 1024,
    CMDI_FILE_LIST_SIZE_MAX = 16 * 1024 * 1024, // CAs, CRLs.
};

/** Which option has it: for sentences. "names[3].key_file" */
struct cmdi_file_name {
    const char *option, *path;
};

struct cmdi_file {
    struct cmdi_file_name name;
    struct cmds_bytes bytes; // Of malloc.
    bool is_secret;
};

/**
 * `is_secret`: refused if group or others may read or write it; wiped when it is freed.
 *
 * Owner:   keeps `name`. Gives *file: cmdi_file_free(). On failure it holds nothing.
 * Returns: 0; -errno; -EFBIG: more than `size_max` bytes; -EINVAL: no regular file; -EACCES;
 *          -EBUSY: it was written to meanwhile; -ENOMEM.
 */
int cmdi_file_read(struct cmdi_file *file, struct cmdi_file_name name, size_t size_max,
        bool is_secret, struct cmds_error *error);
/** Zeroed is fine. */
void cmdi_file_free(struct cmdi_file *file);

/**
 * The file of the CAs that this system trusts: what SSL_CERT_FILE says, else the first of the usual
 * places. Static, or of the environment. Returns: NULL: there is none.
 */
const char *cmdi_file_system_store(void);
/** All places where it was looked for, as a text. Static. */
const char *cmdi_file_system_places(void);

#endif

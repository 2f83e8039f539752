/* SPDX-License-Identifier: MIT */
/*
 * The ciphers that there are for us: AEAD with an ephemeral key exchange, and nothing else. A list that a
 * user writes chooses among them; there is no name for a weak one. Values, no memory, any thread.
 */
#ifndef CMDI_TLS_CIPHERS_H
#define CMDI_TLS_CIPHERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmdstream/base.h>

enum {
    CMDI_CIPHERS_MAX = 9,
    CMDI_CIPHERS_TEXT_SIZE = 320, // All of them, by wolfSSL's names.
};

/** A list, best first. */
struct cmdi_ciphers {
    uint16_t suites[CMDI_CIPHERS_MAX]; // As TLS numbers them.
    uint8_t count;
    bool has_tls13, has_tls12;
};

/** All of them. `chacha_first`: there is nothing that makes AES fast. */
struct cmdi_ciphers cmdi_ciphers_default(bool chacha_first);
/**
 * `list`: OpenSSL's names, with colons between them.
 *
 * Returns: 0; -EINVAL: a name that is not one of ours, or comes twice; none of TLS 1.3.
 */
int cmdi_ciphers_parse(struct cmdi_ciphers *ciphers, const char *list, struct cmds_error *error);
bool cmdi_ciphers_have(const struct cmdi_ciphers *ciphers, uint16_t suite);
/** The list as wolfSSL wants it. */
void cmdi_ciphers_text(const struct cmdi_ciphers *ciphers, char text[CMDI_CIPHERS_TEXT_SIZE]);

#endif

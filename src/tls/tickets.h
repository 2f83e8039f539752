/* SPDX-License-Identifier: MIT */
/*
 * Tickets of a server: what it needs to resume a session, sealed, and kept by the client.
 *
 * The keys are shared by all shards and live in memory alone. A new one is made when half a lifetime is
 * over, and each opens tickets for as long as the last one that it sealed is good: three of them.
 *
 * A ticket is good where it was made. Its seal covers a scope: the options, the CAs, the name of the
 * certificate. At another one it does not open, which is no fault: a whole handshake follows.
 *
 * A client that would resume without a fresh key exchange has no use for a ticket: who learns a ticket's
 * key later, or the client's memory, must not be able to read what was said before.
 *
 *     key_name 16 | iv 16: nonce 12, zeros | length 2 | sealed: ticket, tag 16 | mac 32: of no use
 *
 * wolfSSL wants the parts, and reads `mac` behind the end of a shortened ticket: so the tag is not there.
 */
#ifndef CMDI_TLS_TICKETS_H
#define CMDI_TLS_TICKETS_H

#include <stdbool.h>
#include <stdint.h>

#include <cmdstream/base.h>

#include "tls/digest.h"
#include "tls/wolf.h"

enum {
    CMDI_TICKET_TAG_SIZE = 16,
    CMDI_TICKET_SIZE_MAX = 1024, // Of what wolfSSL seals.
};

struct cmdi_tls_tickets;

/** Of one certificate of a context: it lives as long as its WOLFSSL_CTX has it. */
struct cmdi_ticket_scope {
    struct cmdi_tls_tickets *tickets; // NULL: every ticket is refused, none is made.
    uint8_t digest[CMDI_DIGEST_SIZE];
};

/** Gives *tickets. `lifetime_s`: at least that long a ticket can be opened. Returns: 0; -errno. */
int cmdi_tls_tickets_create(
        struct cmdi_tls_tickets **tickets, uint32_t lifetime_s, struct cmds_error *error);
/** NULL is fine. Wipes the keys. */
void cmdi_tls_tickets_destroy(struct cmdi_tls_tickets *tickets);

/**
 * For wolfSSL: SessionTicketEncCb, its context a struct cmdi_ticket_scope. None is opened where the
 * object's struct cmdi_shim takes_no_ticket.
 */
int cmdi_tls_tickets_callback(WOLFSSL *object, unsigned char key_name[WOLFSSL_TICKET_NAME_SZ],
        unsigned char iv[WOLFSSL_TICKET_IV_SZ], unsigned char mac[WOLFSSL_TICKET_MAC_SZ], int seals,
        unsigned char *ticket, int size, int *size_out, void *context);

/**
 * The same at a time of the caller's, in seconds, which never goes back.
 *
 * `ticket`: has room for the tag behind its `size` bytes.
 * Returns:  true; false: without random bytes.
 */
bool cmdi_tls_tickets_seal(const struct cmdi_ticket_scope *scope, uint64_t now_s,
        uint8_t key_name[WOLFSSL_TICKET_NAME_SZ], uint8_t iv[WOLFSSL_TICKET_IV_SZ], uint8_t *ticket,
        size_t size);
/** `size`: with the tag. Returns: false: of another key or scope, or forged: *ticket is garbage. */
bool cmdi_tls_tickets_open(const struct cmdi_ticket_scope *scope, uint64_t now_s,
        const uint8_t key_name[WOLFSSL_TICKET_NAME_SZ], const uint8_t iv[WOLFSSL_TICKET_IV_SZ],
        uint8_t *ticket, size_t size);

#endif
